/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PANE_H
#define TIDE_PATH_PANE_H

#include <tidemark/backend.h>

#include "sys/clock.h"

#define PANE_EVENTS_MAX 1000

/** The events of a pane lane by lane: places of entries. */
struct pane_lanes {
	uint32_t total;  /* 0: they are not linked */
	uint16_t *first; /* by lane; the number of entries: it has none */
	uint16_t *next;  /* by entry: the next one of the same lane, or that number */
};

/** How far a pane has come. */
enum pane_state {
	PANE_FILLING, /* it is being read */
	PANE_LATE,    /* the same, and somebody has waited in vain: nobody waits any more */
	PANE_READ,    /* nobody writes to it any more */
};

/** Every visible event of (from, to], without a filter; used by panes.c alone. */
struct pane {
	struct pane *next;
	tide_position from, to; /* while it is being read: how far that may get */
	uint64_t losses;
	size_t bytes;      /* while it is being read: what that may take */
	size_t references; /* the list's, and of who reads it or copies from it */
	enum pane_state state;
	/* written by who fills it, fixed from then on */
	struct tide_page page;
	struct pane_lanes lanes;
};

/** What a pane takes. */
struct pane_size {
	size_t events;
	size_t share; /* bytes of events */
	size_t bytes; /* of all of it, at most */
	uint32_t lanes;
};

/** Empty, to be read into; NULL: there is no memory. */
struct pane *pane_new(const struct pane_size *size);
void pane_free(struct pane *pane);
/** What the places of so many events take. */
size_t pane_lanes_bytes(uint32_t total, size_t events);
/** What it takes, having been read. */
size_t pane_bytes(const struct pane *pane);
/** It was read: link the events of each lane. */
void pane_link(struct pane *pane);
/** Add to a page what comes behind `page->scanned_to`, by the filter; whether it was used up. No
 * lock is needed: nobody writes to a pane that was read. */
bool pane_copy(const struct pane *pane, const struct tide_filter *filter, struct tide_page *page);

#endif

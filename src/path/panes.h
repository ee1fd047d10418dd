/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PANES_H
#define TIDE_PATH_PANES_H

#include <tidemark/backend.h>

#include "sys/wakeup.h"

#define PANES_SCAN_MAX 10000 /* events that one read looks at */

/** Pages of one store's history that several readers are about to need, read once for all. */
struct panes;
/** One of them: every visible event of (from, to], without a filter. */
struct pane;

/** Whether a reader is one of those for whom pages are kept. */
enum panes_standing {
	PANES_AWAY,  /* it reads no history */
	PANES_READS, /* it comes by here */
	PANES_WAITS, /* somebody reads what it needs next */
	PANES_AHEAD, /* those behind it need what would have to go for that */
};

/** Until when a reader waits for something. */
struct panes_patience {
	tide_position at; /* where it began to; negative: it does not wait */
	struct mono_time until;
};

/** A reader that goes ahead, and until when it waits for those behind it. */
struct panes_lead {
	tide_position from; /* it has gone on without waiting; negative: from its next read on */
	struct mono_time since;
	struct panes_patience patience;
};

/** What was read ahead of a reader and was more than there was room for. */
struct panes_unfit {
	tide_position from; /* negative: nothing was */
	size_t bytes;
};

/** A reader of history; embedded in what reads. */
struct panes_reader {
	/* fixed */
	struct wakeup *wakeup; /* rung when what it waits for was read; NULL: it never waits */
	int64_t max_bytes;     /* that it reads ahead itself */

	/* under the lock of the panes */
	struct panes_reader *next;
	enum panes_standing standing;
	tide_position awaited_from; /* before that it was waited for in vain */
	uint32_t lanes;             /* it is one of so many; 0: of none */
	uint32_t ahead;             /* panes that it wishes beyond its own */
	tide_position at;           /* it has read up to here */
	struct panes_patience for_page;
	struct panes_lead lead;
	struct panes_unfit unfit;
};

/** What a reader asks for: the events behind a position. */
struct panes_query {
	tide_position after;
	tide_position until; /* having come so far is enough for a page */
	const struct tide_filter *filter;
	struct mono_time now;
	bool is_lane;    /* others that want the rest are about to come */
	uint32_t ahead;  /* panes that are to be read ahead of it: panes_next */
	uint64_t losses; /* of connections to the store so far: what was read before one is void */
};

enum panes_answer {
	PANES_FULL,  /* the page has all that it takes, or has come far enough */
	PANES_FILL,  /* read `pane` behind `after`, then call panes_filled and panes_take */
	PANES_WAIT,  /* somebody is reading it: ask again when rung, at `until` at the latest */
	PANES_ALONE, /* nobody else needs it, or it cannot be shared: read for yourself */
};

/** With PANES_FILL and PANES_WAIT: what to do. */
struct panes_turn {
	struct pane *pane;
	tide_position after;
	struct mono_time until;
};

tide_status panes_new(struct panes **ret, struct tide_error *err);
void panes_free(struct panes *panes); /* no reader may have joined any more */

/**
 * Add to the page what panes have behind `query->after`, by the filter, and say how to go on behind
 * `page->scanned_to`; the reader joins. Nothing is said of the feed's end: only who reads knows it.
 */
enum panes_answer panes_read(struct panes *panes, struct panes_reader *reader,
			     const struct panes_query *query, struct tide_page *page,
			     struct panes_turn *ret);
/** The page of a pane, begun: who was told to fill it reads into it. */
struct tide_page *panes_page(struct pane *pane);
/** It was read, or was not, and is gone then: the others hear of it. `losses` as they are now. */
void panes_filled(struct panes *panes, struct pane *pane, bool was_read, uint64_t losses);
/** Whether a pane is to be read ahead of readers that wish it, and which: as PANES_FILL, but it is
 * nobody's turn. */
bool panes_next(struct panes *panes, uint64_t losses, struct panes_turn *ret);
void panes_let_go(struct panes *panes, struct pane *pane);
/** Add to the page what the pane has behind `page->scanned_to`, and let go of the pane. */
void panes_take(struct panes *panes, struct pane *pane, const struct tide_filter *filter,
		struct tide_page *page);

/** The reader stands here now; `is_end`: by a read of its own, which found nothing behind it. */
void panes_stand(struct panes *panes, struct panes_reader *reader, tide_position at, bool is_end);
/** It reads no history any more: nothing is kept for it. */
void panes_leave(struct panes *panes, struct panes_reader *reader);

/** The newest event in any pane; position 0: there is none. */
struct tide_anchor panes_newest(struct panes *panes);
/** The store is another one: what was read of it goes, and so does what is being read. */
void panes_forget(struct panes *panes);
/** What is held, or will be by who is reading. */
size_t panes_bytes(struct panes *panes);

#endif

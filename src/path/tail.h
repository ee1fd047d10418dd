/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_TAIL_H
#define TIDE_PATH_TAIL_H

#include <tidemark/backend.h>

#include "path/notify.h"

#define TAIL_EVENTS_MAX 4096
#define TAIL_BYTES_MAX (16 << 20)

/** The newest committed events of one store, in memory: every visible event in (from, to] of the
 * feed. */
struct tail;

/** What the tail knows of the events behind a position. */
enum tail_answer {
	TAIL_PAGE,    /* the page was filled */
	TAIL_END,     /* there is none, as of the last ring of the bell */
	TAIL_FILLING, /* somebody is looking, and will ring RING_TAIL */
	TAIL_FILL,    /* look yourself: read behind *ret_to without filter, then call tail_filled */
	TAIL_BEHIND,  /* the window does not reach back so far */
	TAIL_CLOSED   /* there is no window, for want of memory: read the store */
};

tide_status tail_new(struct notifier *notifier, struct tail **ret, struct tide_error *err);
void tail_free(struct tail *tail);

/** Open the window at a feed end that was just read, unless it is open. Without memory it stays
 * closed. */
void tail_open(struct tail *tail, tide_position end);

/** What a subscription asks of the tail. */
struct tail_query {
	tide_position after;
	/* everything up to `after` was read from the store: the window may move there */
	bool was_read;
	const struct tide_filter *filter;
	struct mono_time now;
	int64_t max_age_ns; /* how old a look at the store may be that found nothing */
};

/**
 * Ask for the events behind a position. `page` was begun. With TAIL_FILL, `*ret_to` is what to read
 * behind; with TAIL_END, `*ret_look_at` is when to look again without a ring.
 */
enum tail_answer tail_read(struct tail *tail, const struct tail_query *query,
			   struct tide_page *page, tide_position *ret_to,
			   struct mono_time *ret_look_at);

/** Where the window ends, 0 while it is closed; `*ret` is the newest event in it, position 0 when
 * it has none. */
tide_position tail_newest(struct tail *tail, struct tide_anchor *ret);
/** The store is another one: the window closes, and a look that is under way finds nothing. */
void tail_forget(struct tail *tail);

/** Whether the last look ended at a hole that an open append may still fill. */
bool tail_is_at_hole(struct tail *tail);

/** End the look that TAIL_FILL began; `page` is NULL when it failed. TIDE_OK, TIDE_OUT_OF_MEMORY
 * (the window closes). */
tide_status tail_filled(struct tail *tail, const struct tide_page *page, struct mono_time now,
			struct tide_error *err);

#endif

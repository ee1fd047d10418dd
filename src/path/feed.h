/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_FEED_H
#define TIDE_PATH_FEED_H

#include <stdatomic.h>

#include <tidemark/backend.h>

#include "path/tail.h"
#include "path/panes.h"
#include "policy/inherit.h"
#include "sys/clock.h"

/** What reading ahead has come to; acquisitions - releases = in flight. */
struct feed_flow {
	int64_t in_flight;
	int64_t peak_in_flight;
	int64_t pause_count; /* the reader was blocked */
	int64_t total_pause_ns;
	int64_t total_acquisitions;
	int64_t total_releases;
	bool is_at_hole; /* the reader stands at a hole that an open append may still fill */
};

/** How a feed reads; fixed for a run. */
struct feed_limits {
	size_t page_events; /* min(batch_size, max_in_flight) */
	int64_t max_in_flight;
	int64_t threshold; /* of backpressure, events */
	int64_t max_bytes; /* payload and metadata in flight */
	int64_t poll_ns;
	uint32_t panes_ahead; /* of history, that others read for it; 0: none */
};

/** How many of the events that come by the filter wants. */
enum feed_verdict {
	FEED_WANTS_MOST, /* a good part: all of it is read ahead */
	FEED_WANTS_SOME,
	FEED_WANTS_FEW,   /* the database is asked for them */
	FEED_FINDS_NO_FEW /* the same, and no index finds them among the others */
};

/** What became of the events since the last verdict, and that. */
struct feed_share {
	int64_t scanned, wanted;
	enum feed_verdict verdict;
};

#define FEED_BOUND_BEGIN (-1) /* before the first event */

/** How far a feed may go: a subscription that is told so waits there. */
struct feed_bound {
	/* nothing behind it is handed over; 0: everything is; or FEED_BOUND_BEGIN */
	atomic_int_least64_t position;
	atomic_int_least64_t met; /* the last one that the run has stopped at, all saved */
};

/** What lanes of another number have settled: such events pass as if the filter had them. */
struct feed_inherited {
	struct inherit_row *rows;
	size_t count; /* 0: nothing */
};

/** One subscription's events in position order, read ahead in pages. Used by the runner only. */
struct feed {
	struct tide_store *store;
	const struct tide_filter *filter;
	struct feed_limits limits;

	tide_position read_to;    /* everything at or below was read, or is before the start */
	bool was_read;            /* read_to comes from a read, not from a start position */
	struct tide_page **pages; /* ring of `capacity` */
	size_t capacity, first, count;
	size_t next;     /* entry of the first page that comes next */
	int64_t bytes;   /* in flight */
	bool is_end;     /* nothing more, as of the last ring */
	bool is_behind;  /* the newest-event window does not reach back to read_to */
	bool is_blocked; /* the reader waits for room */
	struct mono_time blocked_since;
	/* total_releases when it was blocked: something has to be settled first */
	int64_t blocked_releases;
	/* total_releases when the last page was read: something of it is delivered first */
	int64_t read_releases;
	struct mono_time look_at;    /* with is_end: look again without a ring */
	struct mono_time wait_until; /* another reads what comes next, for all */
	int64_t since_end;           /* events read from the tail since its end was last seen */
	struct tide_page scratch;    /* of a look for the tail */
	struct feed_flow flow;
	struct panes_reader reader; /* joined while history is read */
	struct feed_share share;
	struct feed_bound bound; /* atomic: set and asked by any thread */
	struct feed_inherited inherited;
	/* of the last read, for the log: store, tail, store_for_tail, window, store_for_window */
	const char *source;
};

tide_status feed_init(struct feed *feed, struct tide_store *store, const struct tide_filter *filter,
		      const struct feed_limits *limits, struct tide_error *err);
void feed_fini(struct feed *feed);

/** Nothing is read for now: nothing is kept for it. */
void feed_rest(struct feed *feed);
/** Begin behind `position`, forgetting everything read ahead. */
void feed_start(struct feed *feed, tide_position position, struct mono_time now);
/** What passes from here on; it takes the rows. */
void feed_inherit(struct feed *feed, struct inherit_row *rows, size_t count);
/** The bell rang, or it is time to poll: look again. */
void feed_rung(struct feed *feed);

/** Whether there is room and reason to read another page now. */
bool feed_wants(struct feed *feed, struct mono_time now);
/** Read one page: from the store, or, when live, from the tail. Errors of the backend. */
tide_status feed_fill(struct feed *feed, void *session, bool is_live, struct mono_time now,
		      struct tide_error *err);

/** The page being delivered, NULL when nothing is read ahead. */
static inline struct tide_page *feed_page(struct feed *feed)
{
	return feed->count > 0 ? feed->pages[feed->first] : NULL;
}
/** The entry that comes next in it; NULL when only its end is left (feed_finish_page). */
static inline struct tide_page_entry *feed_peek(struct feed *feed)
{
	struct tide_page *page = feed_page(feed);
	return page && feed->next < page->count ? &page->entries[feed->next] : NULL;
}
/** The next entry was settled. */
void feed_take(struct feed *feed);
/** The page was settled to its end; it is reused. */
void feed_finish_page(struct feed *feed);

#endif

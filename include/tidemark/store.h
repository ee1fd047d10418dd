/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_STORE_H
#define TIDEMARK_STORE_H

#include <tidemark/event.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** An open event store; usable from any number of threads at once. */
struct tide_store;

/** A read in progress; used by one thread at a time. */
struct tide_reader;

/** A registry of event types (event_type.h). */
struct tide_event_types;

/** How to open a store; zero members mean their defaults. Fill it with TIDE_STORE_OPTIONS. */
struct tide_store_options {
	size_t size;     /* of this struct, set by TIDE_STORE_OPTIONS */
	bool initialize; /* create missing tables and columns; otherwise they are an error */
	bool read_only;  /* refuse every write with `unsupported` */
	size_t max_payload_bytes;    /* limit of a payload and of metadata, bytes; 0: 16 MiB */
	double busy_timeout_seconds; /* wait for another process's lock, seconds; 0: 5 */
	/* refuse events of unregistered types; NULL: accept all */
	const struct tide_event_types *types;
	/* wait for PostgreSQL's answer to an append, or another write, seconds; 0: 30 */
	double append_timeout_seconds;
};
#ifdef __cplusplus
#define TIDE_STORE_OPTIONS() tide_store_options_default()
static inline struct tide_store_options tide_store_options_default(void)
{
	struct tide_store_options options = {};
	options.size = sizeof options;
	return options;
}
#else
#define TIDE_STORE_OPTIONS(...)                                                                    \
	(&(const struct tide_store_options){ .size = sizeof(struct tide_store_options),            \
					     __VA_ARGS__ })
#endif

/**
 * Open an event store: "memory:", "sqlite:orders.db", "postgresql://host/database",
 * "fault:.../URL".
 *
 * `options` may be NULL. A store that lacks a table or column is refused with `schema` unless
 * `initialize` is set. Query parameters of the URL are named in the documentation of each backend;
 * an unknown one is `argument`.
 *
 * Owns:    the caller owns `*ret`; release it with tide_store_close.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_SCHEMA, TIDE_UNSUPPORTED, TIDE_CONNECTION_LOST, TIDE_BUSY,
 *          TIDE_CORRUPT, TIDE_IO, TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_open(const char *url, const struct tide_store_options *options,
			    struct tide_store **ret, struct tide_error *err);

/**
 * Close a store; NULL is allowed. Managers, readers and repositories on it must be closed before.
 *
 * Owns:    takes `store`.
 * Threads: one, as the last call on it.
 * Returns: nothing.
 */
void tide_store_close(struct tide_store *store);
static inline void tide_store_close_cleanup(struct tide_store **store)
{
	tide_store_close(*store);
}

/**
 * Tell the URL a store was opened with, without its password.
 *
 * Owns:    nothing; valid until the store is closed.
 * Threads: any.
 * Returns: the URL.
 */
const char *tide_store_url(const struct tide_store *store);

/* Values of tide_append.expected; n >= 1 means that the stream is at version n. */
#define TIDE_NO_STREAM 0        /* the stream has no events */
#define TIDE_ANY (-1)           /* no expectation */
#define TIDE_STREAM_EXISTS (-2) /* the stream has at least one event */

/** An append: events for one stream, and where the stream must be. */
struct tide_append {
	struct tide_stream stream;
	int64_t expected; /* TIDE_NO_STREAM, TIDE_ANY, TIDE_STREAM_EXISTS, or the exact version */
	const struct tide_new_event *events;
	size_t count; /* events, at least 1 */
};

/** What an append came to. */
struct tide_append_result {
	/* of the stream: of the last event appended, or the actual one at a conflict */
	tide_version version;
	tide_position first_position; /* of the batch; 0 at a conflict */
	tide_position last_position;  /* of the batch; 0 at a conflict */
	bool was_stored_before;       /* the append repeated an earlier one; nothing was written */
};

/**
 * Append events to one stream: all of them or none.
 *
 * The stream must be at `append->expected`; if it is not, nothing is written and `ret->version`
 * says where it is. Repeating an append with the same event ids is a success that returns the
 * original result. With TIDE_CONNECTION_LOST and TIDE_TIMEOUT the outcome is unknown; repeating the
 * append with the same event ids is safe. `ret` may be NULL. A transactional handler holds the
 * write lock of its SQLite database: an append to that one, by its own thread, is TIDE_DEADLOCK at
 * once.
 *
 * Owns:    nothing; the events may be freed when this returns.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_CONFLICT, TIDE_DUPLICATE_EVENT, TIDE_ARGUMENT, TIDE_NOT_FOUND
 *          (unregistered type), TIDE_UNSUPPORTED (read-only), TIDE_DEADLOCK, TIDE_DIVERGED,
 *          TIDE_BUSY, TIDE_TIMEOUT, TIDE_CONNECTION_LOST, TIDE_DISK_FULL, TIDE_IO, TIDE_CORRUPT,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_append(struct tide_store *store, const struct tide_append *append,
			      struct tide_append_result *ret, struct tide_error *err);

/**
 * Append to several streams in one transaction: all of them or none, in this order.
 *
 * A stream may be named more than once; a later append to it finds what the earlier ones wrote.
 * `ret` holds `count` results and may be NULL; at a conflict the result of the stream that was
 * elsewhere says where it is.
 *
 * Owns:    nothing; the events may be freed when this returns.
 * Threads: any.
 * Returns: as tide_store_append.
 */
tide_status tide_store_append_all(struct tide_store *store, const struct tide_append *appends,
				  size_t count, struct tide_append_result *ret,
				  struct tide_error *err);

/** A bound or limit that may be absent. */
struct tide_bound {
	bool is_set;
	int64_t value;
};

/** Make a bound that is present. */
static inline struct tide_bound tide_bound(int64_t value)
{
	struct tide_bound bound = { true, value };
	return bound;
}

/** What to read; zero members do not restrict. Criteria are combined by AND, members of one list by
 * OR. */
struct tide_query {
	struct tide_stream stream; /* one stream, ordered by version, when `of_stream` is set */
	bool of_stream;            /* bounds are versions then, positions of the feed otherwise */
	bool backward;             /* newest first */
	struct tide_bound after;   /* forward: results lie above it; absent: from the first */
	struct tide_bound before;  /* backward: results lie below it; absent: from the last */
	struct tide_bound limit;   /* results after filtering; absent: no limit; 0: nothing */
	const char *const *event_types;     /* ends in NULL; NULL or empty: all */
	const char *const *aggregate_types; /* ends in NULL; NULL or empty: all */
	/* NULL: all; feed reads: events of this aggregate id only */
	const struct tide_uuid *aggregate_id;
	const struct tide_uuid *tenant_id;      /* NULL: all; never matches events without tenant */
	const struct tide_time *occurred_from;  /* NULL: no bound; inclusive */
	const struct tide_time *occurred_until; /* NULL: no bound; inclusive */
	/* Feed reads: also what is visible behind a hole that an open append may still fill (see
	 * tide_store_settle). What is read there is not in its final order: events may yet appear
	 * between. */
	bool unsettled;
};

/**
 * Begin a read of one stream or of the feed; memory use does not grow with the result.
 *
 * `query` may be NULL for the whole feed, forward. A forward read resumed with `after` = the last
 * position returned continues without loss or repetition.
 *
 * Owns:    the caller owns `*ret`, closes it before the store; `query` and what it names may be
 *          freed when this returns.
 * Threads: any; the reader itself belongs to one thread at a time.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY; of a stream also
 *          TIDE_BUSY, TIDE_CORRUPT, TIDE_IO, as its first rows are read here.
 */
tide_status tide_store_read(struct tide_store *store, const struct tide_query *query,
			    struct tide_reader **ret, struct tide_error *err);

/**
 * Step to the next event; `*ret` is NULL at the end.
 *
 * Owns:    nothing; the view is valid until the next call on this reader.
 * Threads: the reader's.
 * Returns: TIDE_OK, TIDE_DECODE (naming the position; the next call goes on behind it), TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_CORRUPT, TIDE_IO, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_reader_next(struct tide_reader *reader, const struct tide_event **ret,
			     struct tide_error *err);

/**
 * Tell the version the stream was at when its read began, whatever filters and limit say; 0 for a
 * feed read.
 *
 * Owns:    nothing.
 * Threads: the reader's.
 * Returns: the version.
 */
tide_version tide_reader_stream_version(const struct tide_reader *reader);

/**
 * Close a reader; NULL is allowed.
 *
 * Owns:    takes `reader`.
 * Threads: the reader's.
 * Returns: nothing.
 */
void tide_reader_close(struct tide_reader *reader);
static inline void tide_reader_close_cleanup(struct tide_reader **reader)
{
	tide_reader_close(*reader);
}

/**
 * Fetch one event by its id.
 *
 * Owns:    the caller owns `*ret`, one block; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT, TIDE_DECODE, TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_event(struct tide_store *store, const struct tide_uuid *event_id,
			     struct tide_event **ret, struct tide_error *err);

/**
 * Tell whether an event id is stored, in any stream.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_event_exists(struct tide_store *store, const struct tide_uuid *event_id,
				    bool *ret, struct tide_error *err);

/**
 * Tell the version of a stream, 0 when it has no events.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_stream_version(struct tide_store *store, struct tide_stream stream,
				      tide_version *ret, struct tide_error *err);

/**
 * Tell the feed end: the greatest position a feed read could return now, 0 when the store is empty.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_end(struct tide_store *store, tide_position *ret, struct tide_error *err);

#define TIDE_WAITING_FOR_SIZE 320

/** How far the feed is settled: nothing will appear at or below its end any more. */
struct tide_horizon {
	tide_position end;    /* the feed end */
	tide_position newest; /* the greatest position visible when it was asked for */
	/* whose open append holds the rest back; empty: nobody does */
	char holder[TIDE_WAITING_FOR_SIZE];
};

/**
 * Wait until every event that is visible now is settled, for at most `wait_seconds` (0: only look).
 *
 * Appends that were open at the start are waited for as they end, later ones are not. It came to
 * that when `ret->end >= ret->newest`; else `ret->holder` tells who stays. Only on PostgreSQL does
 * anything hold the feed back.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK also when the wait was not long enough; TIDE_ARGUMENT, TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_settle(struct tide_store *store, double wait_seconds,
			      struct tide_horizon *ret, struct tide_error *err);

/**
 * Remove every event, checkpoint, dead letter and snapshot of a memory store; positions restart at
 * 1.
 *
 * Owns:    nothing.
 * Threads: any, while no subscription runs.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_UNSUPPORTED (not a memory store).
 */
tide_status tide_store_clear(struct tide_store *store, struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

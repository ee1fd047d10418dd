/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_METRICS_H
#define TIDE_PATH_METRICS_H

/*
 * What one subscription counts over its whole life, guarded by the subscription's lock; and what a
 * store counts. Exposition: supervise/metrics.c.
 */

#include <tidemark/error_record.h>
#include <tidemark/snapshot.h>

#include "sys/mutex.h"

#define METRICS_BUCKETS 12 /* the last one is +Inf */
#define METRICS_TYPES_MAX 1000

extern const double metrics_bounds[METRICS_BUCKETS - 1]; /* seconds */

struct histogram {
	int64_t buckets[METRICS_BUCKETS]; /* not cumulative */
	int64_t count;
	double sum; /* seconds */
};

/** So many that took `ns` each. */
void histogram_add(struct histogram *histogram, int64_t ns, int64_t count);

/** Where pages of the feed come from. */
enum { METRICS_FROM_STORE, METRICS_FROM_WINDOW, METRICS_FROM_TAIL, METRICS_SOURCES };

/** What a store counts, from any thread. */
struct metrics_store {
	_Atomic(int64_t) events_appended;
	_Atomic(int64_t) conflicts;
	_Atomic(int64_t) duplicates[2]; /* replayed, refused */
	_Atomic(int64_t) append_buckets[METRICS_BUCKETS];
	_Atomic(int64_t) append_ns;
	_Atomic(int64_t) snapshots[TIDE_SNAPSHOT_OUTCOMES];
	/* what subscriptions read, by METRICS_FROM_: pages, and events that they looked at */
	_Atomic(int64_t) feed_pages[METRICS_SOURCES], feed_events[METRICS_SOURCES];
};

enum { METRICS_REPLAYED, METRICS_REFUSED };

void metrics_add(_Atomic(int64_t) *counter, int64_t value);
void metrics_append_took(struct metrics_store *metrics, int64_t ns);
struct histogram metrics_append_seconds(struct metrics_store *metrics);
/** A page of so many events, passed over or not. */
void metrics_read_page(struct metrics_store *metrics, int source, int64_t events);

/** The event types that have a label of their own: at most METRICS_TYPES_MAX for all subscriptions
 * of a manager. */
struct metrics_names {
	struct mutex lock;
	char **slots; /* under lock: open hash, capacity a power of two */
	size_t count, capacity;
};
void metrics_names_init(struct metrics_names *names);
void metrics_names_fini(struct metrics_names *names);

struct metrics_counts {
	int64_t handled, dead_lettered;
	int64_t failed[TIDE_STATUS_COUNT];
};

/** Counts of one event type, or of "other" beyond METRICS_TYPES_MAX. */
struct metrics_type {
	char *event_type;
	struct metrics_counts counts;
	/* the delivery transaction of this number, in which it counts */
	struct metrics_counts before;
	uint64_t transaction;
};

/** Counts of events whatever their type. */
struct metrics_totals {
	int64_t skipped, dead_lettered, discarded;
	struct histogram latency_seconds; /* from the append to the handling */
};

struct metrics {
	struct metrics_names *names; /* shared; NULL: every type is admitted */
	struct metrics_type *types;  /* open hash, capacity a power of two */
	size_t type_count, type_capacity;
	struct metrics_type *last; /* the one counted last */
	struct metrics_type other;

	struct metrics_totals totals;
	struct metrics_totals totals_before; /* the open delivery transaction */
	uint64_t transaction;                /* number of the last one */
	bool is_in_transaction;

	struct histogram handled_seconds, failed_seconds, checkpoint_seconds;
	int64_t handler_timeouts;
	int64_t checkpoints_saved, checkpoint_failures;
	int64_t errors[5][4];                   /* by category and severity */
	int64_t wakeups[5];                     /* by source: append, bus, notify, poll, manual */
	int64_t ownership[3];                   /* acquired, lost, released */
	int64_t retries[TIDE_RETRY_OPERATIONS]; /* of ended runs */
	int64_t blocked_ns;                     /* of ended runs: the reader waited for room */
};

enum {
	METRICS_WAKE_APPEND,
	METRICS_WAKE_BUS,
	METRICS_WAKE_NOTIFY,
	METRICS_WAKE_POLL,
	METRICS_WAKE_MANUAL
};
enum { METRICS_ACQUIRED, METRICS_LOST, METRICS_RELEASED };

/** The counts of an event type; never NULL: "other" when there are too many types or memory is
 * out. */
struct metrics_type *metrics_type(struct metrics *metrics, struct tide_text event_type);
void metrics_fini(struct metrics *metrics);

/*
 * What is settled in a delivery transaction is told when that is committed, and never when it is
 * rolled back: a counter that went back would look like one of a process that was started again.
 */
void metrics_transaction_begin(struct metrics *metrics);
void metrics_transaction_end(struct metrics *metrics, bool is_committed);
struct metrics_counts metrics_told(const struct metrics *metrics, const struct metrics_type *type);
struct metrics_totals metrics_told_totals(const struct metrics *metrics);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_SNAPSHOT_H
#define TIDEMARK_SNAPSHOT_H

#include <tidemark/store.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** The latest state of one aggregate. */
struct tide_snapshot {
	struct tide_stream stream;
	tide_version version;   /* of the stream when the state was taken */
	int32_t schema_version; /* of the state's shape, from 1 */
	struct tide_text state; /* JSON */
	struct tide_time created_at;
	/* false: kept by an earlier version, or in a database without the column; set by saving */
	bool has_last_event;
	struct tide_uuid last_event_id; /* of the event at `version`; nil: there was none */
};

/**
 * Fetch the snapshot of an aggregate.
 *
 * `ret->stream` is `stream` as given.
 *
 * Owns:    the caller owns `ret->state.data`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT, TIDE_UNSUPPORTED (the backend keeps none),
 *          TIDE_DECODE, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_snapshot_load(struct tide_store *store, struct tide_stream stream,
				     struct tide_snapshot *ret, struct tide_error *err);

/**
 * Keep the state of an aggregate, replacing the one before.
 *
 * A stored snapshot of a higher version and the same schema_version stays, unless its last event is
 * not in the stream at that version; that is a success. `created_at` is set to now, and the last
 * event is looked up.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_UNSUPPORTED, TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_DISK_FULL, TIDE_IO, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_store_snapshot_save(struct tide_store *store, const struct tide_snapshot *snapshot,
				     struct tide_error *err);

/** What became of a snapshot, for the metrics of the store. */
enum tide_snapshot_outcome {
	TIDE_SNAPSHOT_WAS_SAVED,
	TIDE_SNAPSHOT_WAS_FAILED,
	TIDE_SNAPSHOT_WAS_LOADED,
	TIDE_SNAPSHOT_WAS_REJECTED,
	TIDE_SNAPSHOT_OUTCOMES /* the number of them */
};

/**
 * Count what became of a snapshot. Repositories do; who takes snapshots without one may.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: nothing.
 */
void tide_store_count_snapshot(struct tide_store *store, enum tide_snapshot_outcome outcome);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

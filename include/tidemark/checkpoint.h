/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_CHECKPOINT_H
#define TIDEMARK_CHECKPOINT_H

#include <tidemark/store.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** The checkpoints of one database, measured against the feed of one store; usable from any
 * thread. */
struct tide_checkpoints;

/** The event that a position stands on: the greatest one at or below it. A plain value. */
struct tide_anchor {
	tide_position position; /* 0: none */
	struct tide_uuid event_id;
};

/** One row: how far a projection has come. A plain value, it owns nothing. */
struct tide_checkpoint {
	char projection_name[TIDE_NAME_MAX + 1];
	struct tide_uuid last_event_id;          /* of the last event processed; nil: none */
	char last_event_type[TIDE_NAME_MAX + 1]; /* empty: none */
	bool has_last_processed_at;              /* whether the next member is known */
	struct tide_time last_processed_at;
	bool has_position;        /* false: the row has no position */
	tide_position position;   /* the subscription position */
	int64_t events_processed; /* events handled or dead-lettered over the life of the row */
	struct tide_time created_at;
	struct tide_time updated_at;
	struct tide_anchor anchor; /* as its subscription saved it; position 0: none is kept */
};

/** How far a projection is behind. A plain value, it owns nothing. */
struct tide_lag {
	char projection_name[TIDE_NAME_MAX + 1];
	struct tide_uuid last_event_id;   /* nil: none */
	struct tide_uuid latest_event_id; /* the newest matching event; nil: none matches */
	double lag_seconds; /* how long the oldest matching event behind the position has waited */
	int64_t events_processed;
	bool has_last_processed_at;
	struct tide_time last_processed_at;
	int64_t lag_events; /* positions behind the feed end */
	/* between the last event and the newest matching one, when they occurred */
	double event_time_lag_seconds;
};

/**
 * Open the checkpoints of the database at `url`, measured against the feed of `store`.
 *
 * A NULL `url` means the store's own database. `options` as for tide_store_open, may be NULL.
 *
 * Owns:    the caller owns `*ret` and closes it before `store`.
 * Threads: any.
 * Returns: as tide_store_open.
 */
tide_status tide_checkpoints_open(const char *url, const struct tide_store_options *options,
				  struct tide_store *store, struct tide_checkpoints **ret,
				  struct tide_error *err);

/**
 * Close a checkpoint repository; NULL is allowed.
 *
 * Owns:    takes `checkpoints`.
 * Threads: one, as the last call on it.
 * Returns: nothing.
 */
void tide_checkpoints_close(struct tide_checkpoints *checkpoints);
static inline void tide_checkpoints_close_cleanup(struct tide_checkpoints **checkpoints)
{
	tide_checkpoints_close(*checkpoints);
}

/**
 * Fetch the whole row of a projection.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_load(struct tide_checkpoints *checkpoints, const char *name,
				  struct tide_checkpoint *ret, struct tide_error *err);

/**
 * Fetch the id of the last event a projection processed.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (no row, or none processed yet), TIDE_ARGUMENT, TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_get(struct tide_checkpoints *checkpoints, const char *name,
				 struct tide_uuid *ret, struct tide_error *err);

/**
 * Record one more processed event without touching the position.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_DISK_FULL,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_update(struct tide_checkpoints *checkpoints, const char *name,
				    const struct tide_uuid *event_id, const char *event_type,
				    struct tide_error *err);

/**
 * Fetch the position of a projection.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (no row, or no position in it), TIDE_ARGUMENT, TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_position(struct tide_checkpoints *checkpoints, const char *name,
				      tide_position *ret, struct tide_error *err);

/** A position to save, and what was processed on the way to it. */
struct tide_progress {
	tide_position position; /* >= 0; a lower one than stored rewinds */
	/* of the last event processed; NULL: the stored one stays */
	const struct tide_uuid *event_id;
	const char *event_type; /* of that event; NULL exactly when event_id is */
	int64_t count;          /* events processed since the last save, >= 0 */
};

/**
 * Save a position. Repeating it stores the same position again and adds its count again.
 *
 * A running subscription of this name is fenced and goes on from this position.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: as tide_checkpoints_update.
 */
tide_status tide_checkpoints_save(struct tide_checkpoints *checkpoints, const char *name,
				  const struct tide_progress *progress, struct tide_error *err);

/**
 * Measure how far a projection is behind, among events of the given types (NULL or empty: all; ends
 * in NULL).
 *
 * Seconds are rounded to 1 decimal, never negative, and 0 when no matching event waits.
 * `lag_seconds` is now less the instant at which the oldest waiting event was stored: it grows
 * while a projection stands still. Of one that has lanes the lane furthest behind is told, with the
 * events that all of them have processed.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (no row), TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_lag(struct tide_checkpoints *checkpoints, const char *name,
				 const char *const *event_types, struct tide_lag *ret,
				 struct tide_error *err);

/**
 * Delete the row of one projection; an absent row is success.
 *
 * A running subscription of this name is fenced and begins again where one without a row does. Of
 * one that has, or had, lanes all rows are deleted, in one transaction, with its unresolved dead
 * letters.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_UNSUPPORTED (it has partitions by hand), TIDE_BUSY (also:
 *          its number of lanes was changed meanwhile), TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_reset(struct tide_checkpoints *checkpoints, const char *name,
				   struct tide_error *err);

/**
 * Delete the row of one projection together with what a function does to its read model: both or
 * neither.
 *
 * `function` is given `self` and the native connection (sqlite3 *, PGconn *) with a transaction
 * open, which it must neither commit nor roll back; when it fails, nothing has happened. Unresolved
 * dead letters of the projection go, too. The ownership of the projection is taken before and
 * released after: an owner that runs writes nothing meanwhile and then begins anew. Of one that
 * has, or had, lanes all rows are deleted, and `function` is called once.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_UNSUPPORTED (a database without such transactions, or
 *          partitions by hand), TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_DISK_FULL,
 *          TIDE_OUT_OF_MEMORY, and the errors of `function`.
 */
tide_status tide_checkpoints_reset_with(struct tide_checkpoints *checkpoints, const char *name,
					tide_status (*function)(void *self, void *connection,
								struct tide_error *err),
					void *self, struct tide_error *err);

/**
 * Look whether the store still is the one that a projection was made from: the event its position
 * stands on is where it was.
 *
 * A row that keeps no such event, as after a save by a person, is not looked at. The message of
 * TIDE_DIVERGED says what was expected, what is there, and the ways out.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_DIVERGED, TIDE_NOT_FOUND (no row), TIDE_ARGUMENT, TIDE_UNSUPPORTED
 *          (partitions by hand), TIDE_BUSY (also: a replica that has not got so far),
 *          TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_verify(struct tide_checkpoints *checkpoints, const char *name,
				    struct tide_error *err);

/**
 * Set the position of a projection to one that its read model stands at, and delete its unresolved
 * dead letters above it.
 *
 * A running subscription of this name is fenced and goes on from there. `ret_deleted`, how many
 * dead letters went, may be NULL. Of one that has, or had, lanes all rows that are beyond it are
 * set, in one transaction; lanes that had not come so far stay where they are.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (no row), TIDE_ARGUMENT (also a position above the stored ones),
 *          TIDE_UNSUPPORTED (it has partitions by hand), TIDE_BUSY, TIDE_CONNECTION_LOST,
 *          TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_rewind(struct tide_checkpoints *checkpoints, const char *name,
				    tide_position position, int64_t *ret_deleted,
				    struct tide_error *err);

/**
 * Accept the store as it is: the position of a projection stands on the event that is now the
 * greatest at or below it.
 *
 * For a store from which events were deleted on purpose. `ret`, that event, may be NULL. Of one
 * that has, or had, lanes each row is accepted, and `ret` is that of the one furthest behind.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (no row, or no position in it), TIDE_ARGUMENT, TIDE_UNSUPPORTED
 *          (it has partitions by hand), TIDE_BUSY (also: a row was set meanwhile),
 *          TIDE_CONNECTION_LOST, TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_accept(struct tide_checkpoints *checkpoints, const char *name,
				    struct tide_anchor *ret, struct tide_error *err);

/**
 * List every row, sorted bytewise by name.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count` rows; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_list(struct tide_checkpoints *checkpoints,
				  struct tide_checkpoint **ret, size_t *ret_count,
				  struct tide_error *err);

/**
 * Tell whether a live process owns the subscription of this name, or one of its lanes, at this
 * moment.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_is_owned(struct tide_checkpoints *checkpoints, const char *name,
				      bool *ret, struct tide_error *err);

/**
 * End the ownership of a projection, whoever has it: for one that cannot end by itself, as when its
 * host is gone for good.
 *
 * An owner that lives is fenced at its next write or renewal, and then tries again as everybody
 * does. On SQLite its lock is the kernel's: nobody else owns before the owner has found out, or its
 * process has ended. The error that ended the last run is forgotten, so that a name that is not
 * wanted any more is no finding of `tide doctor`. Of one with lanes every lane's is ended, one by
 * one; when that fails half way, log and journal have it with how many were.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (it was never owned), TIDE_ARGUMENT, TIDE_UNSUPPORTED
 *          (partitions by hand), TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_DISK_FULL,
 *          TIDE_OUT_OF_MEMORY.
 */
tide_status tide_checkpoints_release(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

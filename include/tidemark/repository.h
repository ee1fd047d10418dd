/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_REPOSITORY_H
#define TIDEMARK_REPOSITORY_H

#include <tidemark/aggregate.h>
#include <tidemark/bus.h>
#include <tidemark/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Loads and saves the aggregates of one type; usable from any thread. */
struct tide_repository;

/** When a save that is due writes its snapshot. */
enum tide_snapshot_mode {
	TIDE_SNAPSHOT_SYNC, /* inside the save */
	/* soon, in a thread of the repository; at most one waits per aggregate */
	TIDE_SNAPSHOT_BACKGROUND,
	TIDE_SNAPSHOT_MANUAL /* never; only tide_repository_snapshot does */
};

/** How to open a repository; zero members mean their defaults. Fill it with TIDE_REPOSITORY. */
struct tide_repository_options {
	size_t size;                            /* of this struct, set by TIDE_REPOSITORY */
	struct tide_store *store;               /* required; must outlive the repository */
	const struct tide_aggregate_type *type; /* required; of what it creates and loads */
	struct tide_bus *bus;                   /* saved events are published here; NULL: nowhere */
	int32_t snapshot_every; /* events; due when a save crosses a multiple; 0: only on request */
	enum tide_snapshot_mode snapshot_mode; /* sync */
	int32_t update_attempts;               /* of tide_repository_update; 0: 100 */
};
#ifdef __cplusplus
static inline struct tide_repository_options
tide_repository_options_default(struct tide_store *store, const struct tide_aggregate_type *type)
{
	struct tide_repository_options options = {};
	options.size = sizeof options;
	options.store = store;
	options.type = type;
	return options;
}
#else
#define TIDE_REPOSITORY(...)                                                                       \
	(&(const struct tide_repository_options){ .size = sizeof(struct tide_repository_options),  \
						  __VA_ARGS__ })
#endif

/**
 * Open a repository. No I/O, no thread.
 *
 * Owns:    the caller owns `*ret` and closes it before the store.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_repository_open(const struct tide_repository_options *options,
				 struct tide_repository **ret, struct tide_error *err);

/**
 * Close a repository after writing the snapshots that wait; NULL is allowed.
 *
 * Owns:    takes `repository`.
 * Threads: one, as the last call on it.
 * Returns: nothing.
 */
void tide_repository_close(struct tide_repository *repository);
static inline void tide_repository_close_cleanup(struct tide_repository **repository)
{
	tide_repository_close(*repository);
}

/**
 * Make a new aggregate at version 0; a NULL `id` gives it a new one. No I/O.
 *
 * Owns:    the caller owns `*ret`; release it with tide_aggregate_free.
 * Threads: any.
 * Returns: as tide_aggregate_new.
 */
tide_status tide_repository_create(struct tide_repository *repository, const struct tide_uuid *id,
				   struct tide_aggregate **ret, struct tide_error *err);

/**
 * Load an aggregate: its snapshot where one is usable, then the events behind it.
 *
 * A snapshot of another schema_version, one that cannot be read, or one beyond the stream is passed
 * over with a warning in the log, and the whole stream is read.
 *
 * Owns:    the caller owns `*ret`; release it with tide_aggregate_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT, TIDE_DECODE, TIDE_UNHANDLED_EVENT, TIDE_VERSION,
 *          TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY, and what the type's functions
 *          return.
 */
tide_status tide_repository_load(struct tide_repository *repository, const struct tide_uuid *id,
				 struct tide_aggregate **ret, struct tide_error *err);

/**
 * Load an aggregate, or make it at version 0 when there is none.
 *
 * Owns:    the caller owns `*ret`; release it with tide_aggregate_free.
 * Threads: any.
 * Returns: as tide_repository_load, but never TIDE_NOT_FOUND.
 */
tide_status tide_repository_load_or_create(struct tide_repository *repository,
					   const struct tide_uuid *id, struct tide_aggregate **ret,
					   struct tide_error *err);

/**
 * Ask for the version of an aggregate without reading its events; 0 when there is none.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: as tide_store_stream_version.
 */
tide_status tide_repository_version(struct tide_repository *repository, const struct tide_uuid *id,
				    tide_version *ret, struct tide_error *err);
tide_status tide_repository_exists(struct tide_repository *repository, const struct tide_uuid *id,
				   bool *ret, struct tide_error *err);

/**
 * Store the uncommitted events, publish them, and take a snapshot when one is due.
 *
 * Nothing uncommitted is a success without I/O. On failure the events stay uncommitted; repeating
 * the save after TIDE_CONNECTION_LOST or TIDE_TIMEOUT is safe. TIDE_PUBLISH_FAILED means that the
 * events are stored but were not published. A snapshot that fails is logged and counted.
 *
 * Owns:    nothing.
 * Threads: any; the aggregate belongs to the caller.
 * Returns: TIDE_OK, TIDE_CONFLICT (load again, decide again), TIDE_PUBLISH_FAILED, and as
 *          tide_store_append.
 */
tide_status tide_repository_save(struct tide_repository *repository,
				 struct tide_aggregate *aggregate, struct tide_error *err);

/**
 * Store the uncommitted events of several aggregates in one transaction: all of them or none.
 *
 * The aggregates may be of any type; no two may be equal.
 *
 * Owns:    nothing.
 * Threads: any; the aggregates belong to the caller.
 * Returns: as tide_repository_save, TIDE_UNSUPPORTED (the backend has no such transaction).
 */
tide_status tide_repository_save_all(struct tide_repository *repository,
				     struct tide_aggregate *const *aggregates, size_t count,
				     struct tide_error *err);

/** What to do to an aggregate: raise events, or refuse with a status. Called again when somebody
 * else was faster. */
typedef tide_status tide_command(struct tide_aggregate *aggregate, void *context,
				 struct tide_error *err);
/** The same for several aggregates at once. */
typedef tide_status tide_command_all(struct tide_aggregate *const *aggregates, size_t count,
				     void *context, struct tide_error *err);

/**
 * Load (or create), run the command, save; on a conflict begin anew, up to `update_attempts` times.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, what `command` returns, TIDE_CONFLICT after the last attempt, and as
 *          tide_repository_load and tide_repository_save.
 */
tide_status tide_repository_update(struct tide_repository *repository, const struct tide_uuid *id,
				   tide_command *command, void *context, struct tide_error *err);

/**
 * The same for several aggregates of the repository's type, saved in one transaction.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: as tide_repository_update and tide_repository_save_all.
 */
tide_status tide_repository_update_all(struct tide_repository *repository,
				       const struct tide_uuid *ids, size_t count,
				       tide_command_all *command, void *context,
				       struct tide_error *err);

/**
 * Take a snapshot of a saved aggregate now, whatever the mode.
 *
 * Owns:    nothing.
 * Threads: any; the aggregate belongs to the caller.
 * Returns: TIDE_OK, TIDE_STATE (uncommitted events), TIDE_UNSUPPORTED (the type or the backend has
 *          none), and as tide_store_snapshot_save.
 */
tide_status tide_repository_snapshot(struct tide_repository *repository,
				     const struct tide_aggregate *aggregate,
				     struct tide_error *err);

/**
 * Wait until no background snapshot is waiting or being written; `seconds` < 0 waits for ever.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_TIMEOUT, TIDE_ARGUMENT.
 */
tide_status tide_repository_wait_snapshots(struct tide_repository *repository, double seconds,
					   struct tide_error *err);

/** What a repository has done so far. */
struct tide_repository_stats {
	int64_t loads;
	int64_t saves;     /* that stored something */
	int64_t conflicts; /* saves refused with `conflict` */
	int64_t snapshots_saved;
	int64_t snapshots_failed;   /* could not be written */
	int64_t snapshots_loaded;   /* used by a load */
	int64_t snapshots_rejected; /* passed over by a load */
};

/**
 * Read the counters, as one consistent snapshot.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the counters.
 */
struct tide_repository_stats tide_repository_stats(struct tide_repository *repository);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

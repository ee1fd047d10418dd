/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_DOMAIN_REPOSITORY_H
#define TIDE_DOMAIN_REPOSITORY_H

/* A repository, as its parts see it. */

#include <tidemark/repository.h>

#include "sys/mutex.h"
#include "sys/thread.h"

/** A snapshot on its way to the store. */
struct snapshot_task {
	struct snapshot_task *next;
	/* state.data belongs to the task; stream.aggregate_type to the type */
	struct tide_snapshot snapshot;
};

struct tide_repository {
	/* fixed after open */
	struct tide_store *store;
	struct tide_bus *bus; /* NULL: none */
	const struct tide_aggregate_type *type;
	int32_t snapshot_every; /* 0: never by itself */
	enum tide_snapshot_mode snapshot_mode;
	int32_t update_attempts;

	/* under lock */
	struct mutex lock;
	struct cond changed; /* a task came or ended */
	struct tide_repository_stats stats;
	struct snapshot_task *first, *last;
	bool is_writing; /* the thread is writing a snapshot that is no longer in the list */
	bool is_closing;
	struct thread thread;
};

/** Add to one counter of the repository. */
#define REPOSITORY_COUNT(repository, counter)                                                      \
	do {                                                                                       \
		mutex_lock(&(repository)->lock);                                                   \
		(repository)->stats.counter++;                                                     \
		mutex_unlock(&(repository)->lock);                                                 \
	} while (0)

/** After a save that took the version from `before` to where it is: take a snapshot if it is due.
 * Never fails the save.
 */
void snapshotter_saved(struct tide_repository *repository, const struct tide_aggregate *aggregate,
		       tide_version before);
/** Put the aggregate at its snapshot when there is a usable one and the stream is at `version`;
 * else leave it as it is.
 */
void snapshotter_restore(struct tide_repository *repository, struct tide_aggregate *aggregate);
/** Write what waits and end the thread. */
void snapshotter_close(struct tide_repository *repository);

#endif

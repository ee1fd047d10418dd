/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_CHECKPOINTS_H
#define TIDE_PATH_CHECKPOINTS_H

#include <tidemark/deadletter.h>

#include "path/store.h"

/** The checkpoints, dead letters and leases of one database, and the feed they are measured against. */
struct tide_checkpoints {
	struct tide_store *feed;     /* whose events are counted */
	struct tide_store *database; /* where the rows are; often the same */
	bool owns_database;
};

/** Fill the lag and the newest event id of `ret` for a row as it would be stored. */
tide_status lag_measure(struct tide_store *feed, const struct tide_checkpoint *row, const char *const *event_types,
			struct tide_lag *ret, struct tide_error *err);

/** Ask for redelivery of everything parked behind an entry that is out of the way. `fence` NULL: a user's call. */
tide_status parked_release(const struct tide_checkpoint_ops *ops, void *session, const struct tide_fence *fence,
			   const struct tide_dead_letter *head, struct tide_time now, struct tide_error *err);

#endif

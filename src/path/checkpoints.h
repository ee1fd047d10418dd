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

/** Message of an entry that waits for an older one of its aggregate; %s is that one's event id. */
#define DEAD_LETTER_PARKED "parked behind event %s"
bool dead_letter_is_parked(const char *message);

/** Ask for redelivery of everything parked behind an event that is out of the way. `fence` NULL: a user's call. */
tide_status dead_letter_unpark(const struct tide_checkpoint_ops *ops, void *session, const struct tide_fence *fence,
			       const char *projection_name, const struct tide_uuid *behind, struct tide_time now,
			       struct tide_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_CHECKPOINTS_H
#define TIDE_PATH_CHECKPOINTS_H

#include <tidemark/deadletter.h>

#include "path/store.h"

/** The checkpoints, dead letters and leases of one database, and the feed they are measured
 * against. */
struct tide_checkpoints {
	struct tide_store *feed;     /* whose events are counted */
	struct tide_store *database; /* where the rows are; often the same */
	bool owns_database;
};

/** How a projection begins anew. */
struct checkpoints_anew {
	/* what is done to its read model, in the same transaction; NULL: it has none */
	tide_status (*function)(void *self, void *connection, struct tide_error *err);
	void *self;
	tide_position from; /* behind which it begins; negative: where one without a row does */
	const char *by, *act, *detail; /* for the journal; NULL: its user, "reset", nothing */
};
/** Forget the row, of one with lanes all rows, and the unresolved dead letters of a projection, as
 * tide_checkpoints_reset_with does. `ret_letters`, how many of those went, may be NULL. */
tide_status checkpoints_begin_anew(struct tide_checkpoints *checkpoints, const char *name,
				   const struct checkpoints_anew *anew, int64_t *ret_letters,
				   struct tide_error *err);

/** Who owns what, and what ended in error; release with tide_free. Nothing where the database does
 * not keep it. */
tide_status checkpoints_leases(struct tide_checkpoints *checkpoints, struct tide_lease_info **ret,
			       size_t *ret_count, struct tide_error *err);

/** The row of a name, or of its lane that is furthest behind, with what all of them have counted.
 * TIDE_NOT_FOUND. */
tide_status checkpoints_load_slowest(struct tide_checkpoints *checkpoints, const char *name,
				     struct tide_checkpoint *ret, struct tide_error *err);

/** As family_number. */
tide_status checkpoints_lanes(struct tide_checkpoints *checkpoints, const char *name, uint32_t *ret,
			      struct tide_error *err);

/** The number of lanes that a name was given last; lanes 0: it was never asked for any. */
tide_status checkpoints_group(struct tide_checkpoints *checkpoints, const char *name,
			      struct tide_group *ret, struct tide_error *err);

/** One event of the feed, as far as lag needs it. */
struct lag_event {
	bool is_found;
	tide_position position;
	struct tide_uuid event_id;
	struct tide_time occurred_at, stored_at;
};
/** The oldest event of these types behind a position. */
tide_status lag_find_waiting(struct tide_store *feed, tide_position position,
			     const char *const *event_types, struct lag_event *ret,
			     struct tide_error *err);
/** For how long an event has waited; 0 when there is none. */
double lag_seconds_of(const struct lag_event *waiting, struct tide_time now);

/** Ask for redelivery of everything parked behind an entry that is out of the way. `fence` NULL: a
 * user's call. */
tide_status parked_make_due(const struct tide_store *database, void *session,
			    const struct tide_fence *fence, const struct tide_dead_letter *head,
			    struct tide_time now, struct tide_error *err);

#endif

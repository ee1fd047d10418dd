/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_DOMAIN_AGGREGATE_H
#define TIDE_DOMAIN_AGGREGATE_H

/* Aggregates as their repository sees them. */

#include <tidemark/aggregate.h>

struct tide_aggregate {
	/* fixed after new */
	const struct tide_aggregate_type *type;
	struct tide_uuid id;

	/* the holder's thread */
	tide_version version; /* stored and uncommitted events */
	void *state;
	void *spare; /* memory for the state that comes next; it holds nothing */
	struct tide_event_list uncommitted;
	size_t capacity; /* of the list */
};

/* ---- States, by the hooks of their type, else by its table ---- */

/** A status from a user's function, with a message when it gave none. */
tide_status state_outcome(tide_status status, const char *what, const char *name,
			  struct tide_error *err);
tide_status state_check_type(const struct tide_aggregate_type *type, struct tide_error *err);
tide_status state_init(const struct tide_aggregate_type *type, void *state, struct tide_error *err);
void state_fini(const struct tide_aggregate_type *type, void *state);
/** `to` owns nothing on failure. */
tide_status state_copy(const struct tide_aggregate_type *type, void *to, const void *from,
		       struct tide_error *err);
bool state_has_snapshots(const struct tide_aggregate_type *type);
tide_status state_encode(const struct tide_aggregate_type *type, const void *state, char **ret,
			 struct tide_error *err);
/** Into an initialized state, which can still be released on failure. */
tide_status state_decode(const struct tide_aggregate_type *type, void *state, struct tide_text json,
			 struct tide_error *err);

/* ---- Aggregates ---- */

static inline struct tide_stream aggregate_stream(const struct tide_aggregate *aggregate)
{
	return (struct tide_stream){ aggregate->id, aggregate->type->name };
}
/** Version of the last stored event. */
static inline tide_version aggregate_stored_version(const struct tide_aggregate *aggregate)
{
	return aggregate->version - (tide_version)aggregate->uncommitted.count;
}
/** Apply one stored event in place, without a copy: after a failure the aggregate can only be
 * released. */
tide_status aggregate_fold(struct tide_aggregate *aggregate, const struct tide_event *event,
			   struct tide_error *err);
/** Put the state and version of a snapshot in place of what is there. A failure changes nothing. */
tide_status aggregate_restore(struct tide_aggregate *aggregate, tide_version version,
			      struct tide_text json, struct tide_error *err);

#endif

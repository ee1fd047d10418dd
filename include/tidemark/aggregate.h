/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_AGGREGATE_H
#define TIDEMARK_AGGREGATE_H

/*
 * Aggregates: a state that is the fold of its own events.
 *
 *	static tide_status deposited(void *state, const void *payload, const struct tide_event *event,
 *	                             struct tide_error *err)
 *	{
 *		((struct account *)state)->balance += ((const struct money_deposited *)payload)->amount;
 *		return TIDE_OK;
 *	}
 *	static const struct tide_applier account_appliers[] = { { &money_deposited, deposited }, TIDE_APPLIER_END };
 *	static const struct tide_aggregate_type account_type = {
 *		.name = "Account", .state_size = sizeof(struct account), .appliers = account_appliers,
 *	};
 *
 * Apply functions work on a copy of the state, which replaces the state only when all of them
 * succeeded: a failure changes nothing, and an apply function need not undo anything.
 */

#include <tidemark/event_type.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * Change the state as the event says. `payload` is the decoded struct of the applier's type, valid
 * during the call.
 *
 * Decides nothing: what happened, happened. A failure means that the event makes no sense for this
 * state.
 */
typedef tide_status tide_apply(void *state, const void *payload, const struct tide_event *event,
			       struct tide_error *err);

/** Which function applies the events of a type. */
struct tide_applier {
	const struct tide_event_type *type; /* NULL ends a list */
	tide_apply *apply;
};
/* clang-format off */
#define TIDE_APPLIER_END { 0, 0 }
/* clang-format on */

/** A kind of aggregate. `name`, `state_size` and `appliers` are required. */
struct tide_aggregate_type {
	const char *name;                    /* aggregate type of its streams */
	size_t state_size;                   /* bytes */
	const struct tide_applier *appliers; /* ends in TIDE_APPLIER_END */
	/* event types that only advance the version; ends in NULL; NULL: none */
	const char *const *ignored;
	int32_t schema_version; /* of the state's shape, for snapshots; 0: 1 */

	/* The state as a table: it is then copied, released and written to snapshots without the
	 * hooks below. */
	const struct tide_field *state_fields;

	/* Hooks; each NULL means: by state_fields, or without those what is said here. */
	/* of zeroed memory; none: it stays zero */
	tide_status (*init)(void *state, struct tide_error *err);
	void (*fini)(void *state); /* none: the state owns nothing */
	/* Into zeroed memory; on failure nothing is left in `to`. None: bytewise, refused together
	 * with `fini`. */
	tide_status (*copy)(void *to, const void *from, struct tide_error *err);
	tide_status (*snapshot_encode)(const void *state, char **ret,
				       struct tide_error *err); /* malloc; none: no snapshots */
	/* Into an initialized state; on failure the state can still be released. None: no
	 * snapshots. */
	tide_status (*snapshot_decode)(void *state, struct tide_text json, struct tide_error *err);
};

/** One aggregate: an id, a state, a version, and events that are not stored yet. Used by one thread
 * at a time. */
struct tide_aggregate;

/**
 * Make an aggregate at version 0. No I/O.
 *
 * Owns:    the caller owns `*ret`; release it with tide_aggregate_free. `type` must outlive it.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT (nil id, unusable type), TIDE_OUT_OF_MEMORY, and what init
 *          returns.
 */
tide_status tide_aggregate_new(const struct tide_aggregate_type *type, const struct tide_uuid *id,
			       struct tide_aggregate **ret, struct tide_error *err);

/**
 * Release an aggregate and its uncommitted events; NULL is allowed.
 *
 * Owns:    takes `aggregate`.
 * Threads: the aggregate's.
 * Returns: nothing.
 */
void tide_aggregate_free(struct tide_aggregate *aggregate);
static inline void tide_aggregate_free_cleanup(struct tide_aggregate **aggregate)
{
	tide_aggregate_free(*aggregate);
}

/**
 * Tell what an aggregate is: id, type, version (stored and uncommitted events), version of its next
 * event.
 *
 * Owns:    nothing.
 * Threads: the aggregate's.
 * Returns: the fact.
 */
const struct tide_uuid *tide_aggregate_id(const struct tide_aggregate *aggregate);
const struct tide_aggregate_type *tide_aggregate_type_of(const struct tide_aggregate *aggregate);
tide_version tide_aggregate_version(const struct tide_aggregate *aggregate);
tide_version tide_aggregate_next_version(const struct tide_aggregate *aggregate);

/**
 * Read the state; only apply functions change it.
 *
 * Owns:    nothing; valid until the next raise or load.
 * Threads: the aggregate's.
 * Returns: the state.
 */
const void *tide_aggregate_state(const struct tide_aggregate *aggregate);

/**
 * Tell whether two aggregates have the same id and type; their states are not compared.
 *
 * Owns:    nothing.
 * Threads: the aggregates'.
 * Returns: whether they are equal.
 */
bool tide_aggregate_equal(const struct tide_aggregate *a, const struct tide_aggregate *b);

/**
 * Raise an event: apply it to the state and remember it for saving. A failure changes nothing.
 *
 * `payload` is the struct of `type`. Ids, time and version are filled in.
 *
 * Owns:    nothing; `payload` may be released when this returns.
 * Threads: the aggregate's.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_UNHANDLED_EVENT (no applier, not ignored),
 *          TIDE_OUT_OF_MEMORY, and what the
 * apply function returns.
 */
tide_status tide_aggregate_raise(struct tide_aggregate *aggregate,
				 const struct tide_event_type *type, const void *payload,
				 struct tide_error *err);

/**
 * Raise an event with an envelope of its own: metadata, actor, cause, JSON payload.
 *
 * Its aggregate id and type must be unset or the aggregate's own, its version unset or the next.
 *
 * Owns:    nothing; `event` and what it names may be released when this returns.
 * Threads: the aggregate's.
 * Returns: as tide_aggregate_raise, TIDE_VERSION (not the next version), TIDE_DECODE (payload does
 *          not fit its type).
 */
tide_status tide_aggregate_raise_event(struct tide_aggregate *aggregate,
				       const struct tide_new_event *event, struct tide_error *err);

/**
 * Apply history: events of this aggregate whose versions follow the present one. A failure changes
 * nothing at all.
 *
 * Owns:    nothing.
 * Threads: the aggregate's.
 * Returns: TIDE_OK, TIDE_ARGUMENT (another aggregate's event), TIDE_VERSION (a gap), TIDE_STATE
 *          (uncommitted events), TIDE_UNHANDLED_EVENT, TIDE_DECODE, TIDE_OUT_OF_MEMORY, and what
 *          the apply function returns.
 */
tide_status tide_aggregate_load(struct tide_aggregate *aggregate,
				const struct tide_event *const *events, size_t count,
				struct tide_error *err);

/** Events that belong to their holder; release them with tide_event_list_fini. */
struct tide_event_list {
	struct tide_event **events;
	size_t count;
};

/**
 * Release the events of a list; an empty one is allowed.
 *
 * Owns:    takes the events, not the list.
 * Threads: the list's.
 * Returns: nothing.
 */
void tide_event_list_fini(struct tide_event_list *list);
static inline void tide_event_list_fini_cleanup(struct tide_event_list *list)
{
	tide_event_list_fini(list);
}

/**
 * Copy the events that are not stored yet, in the order raised.
 *
 * Owns:    the caller owns `*ret`; release it with tide_event_list_fini.
 * Threads: the aggregate's.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_aggregate_uncommitted(const struct tide_aggregate *aggregate,
				       struct tide_event_list *ret, struct tide_error *err);
size_t tide_aggregate_uncommitted_count(const struct tide_aggregate *aggregate);

/**
 * Forget the uncommitted events and hand them over; state and version stay. What a repository does
 * after a save.
 *
 * Owns:    the caller owns `*ret` (may be NULL: they are released).
 * Threads: the aggregate's.
 * Returns: nothing.
 */
void tide_aggregate_clear(struct tide_aggregate *aggregate, struct tide_event_list *ret);

/* ---- Deciding as a pure function ------------------------------------------------------------- */

/** The events a decision has come to so far. */
struct tide_decision;

/**
 * Decide what follows from a command: read the state, add events to the decision, or refuse with a
 * status.
 *
 * Changes nothing; the appliers are its other half, `evolve`.
 */
typedef tide_status tide_decide(const void *state, const void *command,
				struct tide_decision *decision, struct tide_error *err);

/**
 * Add an event to a decision.
 *
 * Owns:    nothing; `payload` may be released when this returns.
 * Threads: the decision's.
 * Returns: as tide_event_encode.
 */
tide_status tide_decision_add(struct tide_decision *decision, const struct tide_event_type *type,
			      const void *payload, struct tide_error *err);

/**
 * Decide on the present state and raise what was decided: all of it or nothing.
 *
 * Owns:    nothing.
 * Threads: the aggregate's.
 * Returns: TIDE_OK, what `decide` returns, and as tide_aggregate_raise.
 */
tide_status tide_aggregate_decide(struct tide_aggregate *aggregate, tide_decide *decide,
				  const void *command, struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

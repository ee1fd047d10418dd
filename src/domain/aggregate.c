/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregates: events are applied to a copy of the state, which takes the state's place when all
 * went well.
 *
 *	raise:  complete ─▶ copy state ─▶ apply to the copy ─▶ swap, version + 1, remember the event
 *	                                        └─ failure: the copy is released, nothing has changed
 */
#include "domain/aggregate.h"

#include <inttypes.h>

#include "core/json.h"
#include "core/text.h"
#include "domain/decision.h"
#include "types/fields.h"
#include "sys/alloc.h"

#define AGGREGATE_LOCAL_SIZE 1024 /* payload structs up to this size are decoded on the stack */

/* ---- Applying -------------------------------------------------------------------------------- */

static const struct tide_applier *aggregate_applier(const struct tide_aggregate_type *type,
						    const struct tide_event *event)
{
	for (const struct tide_applier *applier = type->appliers; applier->type; applier++)
		if (text_equals(event->event_type, applier->type->name))
			return applier;
	return NULL;
}

static bool aggregate_ignores(const struct tide_aggregate_type *type,
			      const struct tide_event *event)
{
	for (const char *const *name = type->ignored; name && *name; name++)
		if (text_equals(event->event_type, *name))
			return true;
	return false;
}

static tide_status aggregate_call(const struct tide_applier *applier, void *state,
				  const void *payload, const struct tide_event *event,
				  struct tide_error *err)
{
	if (err)
		*err = (struct tide_error){ 0 };
	return state_outcome(applier->apply(state, payload, event, err), "apply function of",
			     applier->type->name, err);
}

/** Change a state as an event says; a failure leaves it somewhere in between. */
static tide_status aggregate_apply(const struct tide_aggregate_type *type, void *state,
				   const struct tide_event *event, struct tide_error *err)
{
	const struct tide_applier *applier = aggregate_applier(type, event);
	if (!applier) {
		if (aggregate_ignores(type, event))
			return TIDE_OK;
		return tide_fail(err, TIDE_UNHANDLED_EVENT, "'%s' has no apply function for '%.*s'",
				 type->name, (int)event->event_type.size, event->event_type.data);
	}

	_Alignas(max_align_t) char local[AGGREGATE_LOCAL_SIZE];
	bool is_local = applier->type->size <= sizeof local;
	ALLOC_AUTO void *heap = is_local ? NULL : alloc_zero(1, applier->type->size);
	void *payload = is_local ? local : heap;
	if (!payload)
		return alloc_fail(err);

	tide_status status = tide_event_decode(applier->type, event, payload, err);
	if (status != TIDE_OK)
		return status;

	status = aggregate_call(applier, state, payload, event, err);
	fields_fini(applier->type->fields, payload);
	return status;
}

static tide_status aggregate_check_event(const struct tide_aggregate *aggregate,
					 const struct tide_event *event, tide_version wanted,
					 struct tide_error *err)
{
	if (!tide_uuid_equal(&event->aggregate_id, &aggregate->id) ||
	    !text_equals(event->aggregate_type, aggregate->type->name))
		return tide_fail(err, TIDE_ARGUMENT,
				 "the event belongs to another aggregate, of type '%.*s'",
				 (int)event->aggregate_type.size, event->aggregate_type.data);
	if (event->version == wanted)
		return TIDE_OK;

	char id[TIDE_UUID_TEXT_SIZE], event_id[TIDE_UUID_TEXT_SIZE];
	return tide_fail(err, TIDE_VERSION,
			 "event '%s' has version %" PRId32 ", but version %" PRId32
			 " is next in '%s:%s'",
			 tide_uuid_format(&event->event_id, event_id), event->version, wanted,
			 tide_uuid_format(&aggregate->id, id), aggregate->type->name);
}

tide_status aggregate_fold(struct tide_aggregate *aggregate, const struct tide_event *event,
			   struct tide_error *err)
{
	tide_status status = aggregate_check_event(aggregate, event, aggregate->version + 1, err);
	if (status == TIDE_OK)
		status = aggregate_apply(aggregate->type, aggregate->state, event, err);
	if (status == TIDE_OK)
		aggregate->version++;
	return status;
}

/** Let the state in `spare` take the state's place. */
static void aggregate_swap(struct tide_aggregate *aggregate, tide_version version)
{
	void *old = aggregate->state;
	state_fini(aggregate->type, old);
	aggregate->state = aggregate->spare;
	aggregate->spare = old;
	aggregate->version = version;
}

/** Apply events to a copy of the state that takes its place when all of them succeeded. */
static tide_status aggregate_advance(struct tide_aggregate *aggregate,
				     const struct tide_event *const *events, size_t count,
				     struct tide_error *err)
{
	tide_status status = state_copy(aggregate->type, aggregate->spare, aggregate->state, err);
	if (status != TIDE_OK)
		return status;

	tide_version version = aggregate->version;
	for (size_t i = 0; i < count && status == TIDE_OK; i++) {
		status = aggregate_check_event(aggregate, events[i], version + 1, err);
		if (status == TIDE_OK)
			status = aggregate_apply(aggregate->type, aggregate->spare, events[i], err);
		version++;
	}

	if (status == TIDE_OK)
		aggregate_swap(aggregate, version);
	else
		state_fini(aggregate->type, aggregate->spare);
	return status;
}

tide_status tide_aggregate_load(struct tide_aggregate *aggregate,
				const struct tide_event *const *events, size_t count,
				struct tide_error *err)
{
	if (!aggregate || (!events && count))
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 aggregate ? "events" : "aggregate");
	if (aggregate->uncommitted.count)
		return tide_fail(err, TIDE_STATE, "the aggregate has %zu uncommitted events",
				 aggregate->uncommitted.count);
	return aggregate_advance(aggregate, events, count, err);
}

tide_status aggregate_restore(struct tide_aggregate *aggregate, tide_version version,
			      struct tide_text json, struct tide_error *err)
{
	tide_status status = state_init(aggregate->type, aggregate->spare, err);
	if (status != TIDE_OK)
		return status;
	status = state_decode(aggregate->type, aggregate->spare, json, err);
	if (status == TIDE_OK)
		aggregate_swap(aggregate, version);
	else
		state_fini(aggregate->type, aggregate->spare);
	return status;
}

/* ---- Raising --------------------------------------------------------------------------------- */

static tide_status aggregate_reserve(struct tide_aggregate *aggregate, size_t count,
				     struct tide_error *err)
{
	size_t wanted = aggregate->uncommitted.count + count;
	if (wanted <= aggregate->capacity)
		return TIDE_OK;
	if (wanted < aggregate->capacity * 2)
		wanted = aggregate->capacity * 2;
	void *grown = alloc_resize(aggregate->uncommitted.events, wanted,
				   sizeof *aggregate->uncommitted.events);
	if (!grown)
		return alloc_fail(err);
	aggregate->uncommitted.events = grown;
	aggregate->capacity = wanted;
	return TIDE_OK;
}

/** Apply and remember events; on success they belong to the aggregate. */
static tide_status aggregate_raise(struct tide_aggregate *aggregate, struct tide_event **events,
				   size_t count, struct tide_error *err)
{
	tide_status status = aggregate_reserve(aggregate, count, err);
	if (status == TIDE_OK)
		status = aggregate_advance(aggregate, (const struct tide_event *const *)events,
					   count, err);
	for (size_t i = 0; i < count && status == TIDE_OK; i++)
		aggregate->uncommitted.events[aggregate->uncommitted.count++] = events[i];
	return status;
}

static tide_status aggregate_check_new(const struct tide_aggregate *aggregate,
				       const struct tide_new_event *event, struct tide_error *err)
{
	tide_status status = name_check_type(event->event_type, "event_type", err);
	if (status == TIDE_OK && event->actor_id)
		status = name_check_actor(event->actor_id, "actor_id", err);

	if (status == TIDE_OK && event->payload.data)
		status = json_check(event->payload, false, "payload", err);
	if (status == TIDE_OK && event->metadata.data)
		status = json_check(event->metadata, true, "metadata", err);

	if (status != TIDE_OK)
		return status;
	if (event->event_version < 0 || event->version < 0)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be negative",
				 event->version < 0 ? "version" : "event_version");

	if (event->aggregate_type && strcmp(event->aggregate_type, aggregate->type->name) != 0)
		return tide_fail(err, TIDE_ARGUMENT, "aggregate_type is '%s', not '%s'",
				 event->aggregate_type, aggregate->type->name);

	if (!tide_uuid_is_nil(&event->aggregate_id) &&
	    !tide_uuid_equal(&event->aggregate_id, &aggregate->id))
		return tide_fail(err, TIDE_ARGUMENT, "aggregate_id is another aggregate's");
	return TIDE_OK;
}

static struct tide_uuid aggregate_or(struct tide_uuid given, struct tide_uuid (*otherwise)(void))
{
	return tide_uuid_is_nil(&given) ? otherwise() : given;
}

/** Complete an event to raise as an owned one with the version `next`. */
static tide_status aggregate_complete(const struct tide_aggregate *aggregate,
				      const struct tide_new_event *event, tide_version next,
				      struct tide_event **ret, struct tide_error *err)
{
	struct tide_event whole = {
		.version = event->version ? event->version : next,
		.event_version = event->event_version ? event->event_version : 1,
		.event_id = aggregate_or(event->event_id, tide_uuid_v7),
		.aggregate_id = aggregate->id,
		.tenant_id = event->tenant_id,
		.correlation_id = aggregate_or(event->correlation_id, tide_uuid_v4),
		.causation_id = event->causation_id,
		.event_type = tide_text(event->event_type),
		.aggregate_type = tide_text(aggregate->type->name),
		.actor_id = tide_text(event->actor_id),
		.metadata = event->metadata.data ? event->metadata : tide_text("{}"),
		.payload = event->payload.data ? event->payload : tide_text("{}"),
		.occurred_at = event->occurred_at ? *event->occurred_at : tide_time_now(),
	};
	return tide_event_copy(&whole, ret, err);
}

static tide_status aggregate_raise_new(struct tide_aggregate *aggregate,
				       const struct tide_new_event *event, struct tide_error *err)
{
	if (aggregate->version == INT32_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "version %" PRId32 " is the last one",
				 aggregate->version);
	struct tide_event *owned;
	tide_status status =
		aggregate_complete(aggregate, event, aggregate->version + 1, &owned, err);
	if (status != TIDE_OK)
		return status;
	status = aggregate_raise(aggregate, &owned, 1, err);
	if (status != TIDE_OK)
		tide_free(owned);
	return status;
}

tide_status tide_aggregate_raise_event(struct tide_aggregate *aggregate,
				       const struct tide_new_event *event, struct tide_error *err)
{
	if (!aggregate || !event)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 aggregate ? "event" : "aggregate");
	tide_status status = aggregate_check_new(aggregate, event, err);
	return status == TIDE_OK ? aggregate_raise_new(aggregate, event, err) : status;
}

tide_status tide_aggregate_raise(struct tide_aggregate *aggregate,
				 const struct tide_event_type *type, const void *payload,
				 struct tide_error *err)
{
	if (!aggregate)
		return tide_fail(err, TIDE_ARGUMENT, "aggregate must not be null");
	ALLOC_AUTO char *json = NULL;
	tide_status status = tide_event_encode(type, payload, &json, err);
	if (status == TIDE_OK)
		status = name_check_type(type->name, "event_type", err);
	if (status != TIDE_OK)
		return status;
	const struct tide_new_event event = { .event_type = type->name,
					      .event_version = type->version,
					      .payload = tide_text(json) };
	return aggregate_raise_new(aggregate, &event, err);
}

/** Complete every event of a decision; `ret` has room for them. */
static tide_status aggregate_complete_all(const struct tide_aggregate *aggregate,
					  const struct tide_decision *decision,
					  struct tide_event_list *ret, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < decision->count && status == TIDE_OK; i++) {
		const struct tide_event_type *type = decision->items[i].type;
		const struct tide_new_event event = { .event_type = type->name,
						      .event_version = type->version,
						      .payload = tide_text(
							      decision->items[i].payload) };
		status = aggregate_complete(aggregate, &event,
					    aggregate->version + 1 + (tide_version)i,
					    &ret->events[i], err);
		ret->count += status == TIDE_OK;
	}
	return status;
}

static tide_status aggregate_raise_decision(struct tide_aggregate *aggregate,
					    const struct tide_decision *decision,
					    struct tide_error *err)
{
	if ((size_t)(INT32_MAX - aggregate->version) < decision->count)
		return tide_fail(err, TIDE_ARGUMENT, "version %d would be exceeded", INT32_MAX);
	struct tide_event_list events = { .events = alloc_zero(decision->count,
							       sizeof(struct tide_event *)) };
	if (!events.events)
		return alloc_fail(err);

	tide_status status = aggregate_complete_all(aggregate, decision, &events, err);
	if (status == TIDE_OK)
		status = aggregate_raise(aggregate, events.events, events.count, err);
	if (status == TIDE_OK)
		events.count = 0; /* they belong to the aggregate now */
	tide_event_list_fini(&events);
	return status;
}

tide_status tide_aggregate_decide(struct tide_aggregate *aggregate, tide_decide *decide,
				  const void *command, struct tide_error *err)
{
	if (!aggregate || !decide)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 aggregate ? "decide" : "aggregate");
	struct tide_decision decision = { 0 };
	if (err)
		*err = (struct tide_error){ 0 };
	tide_status status = state_outcome(decide(aggregate->state, command, &decision, err),
					   "decision on", aggregate->type->name, err);
	if (status == TIDE_OK && decision.count)
		status = aggregate_raise_decision(aggregate, &decision, err);
	decision_fini(&decision);
	return status;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static tide_status aggregate_build(struct tide_aggregate *aggregate, struct tide_error *err)
{
	aggregate->state = alloc_zero(1, aggregate->type->state_size);
	aggregate->spare = alloc_zero(1, aggregate->type->state_size);
	if (!aggregate->state || !aggregate->spare)
		return alloc_fail(err);
	return state_init(aggregate->type, aggregate->state, err);
}

/** Release the memory; the state is released already, or never came to life. */
static void aggregate_drop(struct tide_aggregate *aggregate)
{
	tide_event_list_fini(&aggregate->uncommitted);
	tide_free(aggregate->state);
	tide_free(aggregate->spare);
	tide_free(aggregate);
}

tide_status tide_aggregate_new(const struct tide_aggregate_type *type, const struct tide_uuid *id,
			       struct tide_aggregate **ret, struct tide_error *err)
{
	if (!id || !ret || tide_uuid_is_nil(id))
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 !id || ret ? "id" : "ret");

	tide_status status = state_check_type(type, err);
	if (status != TIDE_OK)
		return status;

	struct tide_aggregate *aggregate = alloc_zero(1, sizeof *aggregate);
	if (!aggregate)
		return alloc_fail(err);

	aggregate->type = type;
	aggregate->id = *id;
	status = aggregate_build(aggregate, err);
	if (status == TIDE_OK)
		*ret = aggregate;
	else
		aggregate_drop(aggregate);
	return status;
}

void tide_aggregate_free(struct tide_aggregate *aggregate)
{
	if (!aggregate)
		return;
	state_fini(aggregate->type, aggregate->state);
	aggregate_drop(aggregate);
}

const struct tide_uuid *tide_aggregate_id(const struct tide_aggregate *aggregate)
{
	return aggregate ? &aggregate->id : NULL;
}

const struct tide_aggregate_type *tide_aggregate_type_of(const struct tide_aggregate *aggregate)
{
	return aggregate ? aggregate->type : NULL;
}

tide_version tide_aggregate_version(const struct tide_aggregate *aggregate)
{
	return aggregate ? aggregate->version : 0;
}

tide_version tide_aggregate_next_version(const struct tide_aggregate *aggregate)
{
	return aggregate ? aggregate->version + 1 : 0;
}

const void *tide_aggregate_state(const struct tide_aggregate *aggregate)
{
	return aggregate ? aggregate->state : NULL;
}

bool tide_aggregate_equal(const struct tide_aggregate *a, const struct tide_aggregate *b)
{
	return a == b || (a && b && tide_uuid_equal(&a->id, &b->id) &&
			  strcmp(a->type->name, b->type->name) == 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reactions: events that a handler appends in its delivery transaction.
 *
 *	handler ─▶ checked, named after the event in hand ─▶ backend, in the transaction ─▶ kept
 *	              commit with read model and checkpoint ─▶ counted, the bell rings
 *
 * Happy path: the events get their ids from the one that is handled, and their positions as in any
 * append; the transaction commits right behind the event, and then others hear of it.
 * Failure modes: the append is refused: nothing of it is there, and the handler judges. The attempt
 * fails, or its transaction is lost: what it appended goes with it, and the event that is handled
 * again brings the same ids. They stand already: a success that writes nothing. In a rebuild
 * nothing is appended at all.
 */
#include "path/react.h"

#include <stdio.h>
#include <string.h>

#include "path/delivery.h"
#include "path/session.h"
#include "sys/alloc.h"

/* ---- Ids ------------------------------------------------------------------------------------- */

/* NAME, TYPE/UUID and a number, each in a line; no name has a line feed. */
#define REACT_NAME_SIZE (2 * (TIDE_NAME_MAX + 1) + TIDE_UUID_TEXT_SIZE + 24)

/* Where an event has failed in the middle, its index comes again. */
static void react_end_call(struct reactions *reactions, bool is_kept)
{
	for (size_t i = 0; i < reactions->count; i++) {
		struct react_stream *stream = &reactions->streams[i];
		if (is_kept)
			stream->kept = stream->count;
		else
			stream->count = stream->kept;
	}
}

static struct react_stream *react_find(const struct reactions *reactions,
				       const struct tide_stream *stream)
{
	for (size_t i = 0; i < reactions->count; i++) {
		struct react_stream *at = &reactions->streams[i];
		if (tide_uuid_equal(&at->aggregate_id, &stream->aggregate_id) &&
		    strcmp(at->aggregate_type, stream->aggregate_type) == 0)
			return at;
	}
	return NULL;
}

static struct react_stream *react_stream(struct reactions *reactions,
					 const struct tide_stream *stream)
{
	struct react_stream *found = react_find(reactions, stream);
	if (found)
		return found;

	if (reactions->count == reactions->capacity) {
		size_t capacity = reactions->capacity ? 2 * reactions->capacity : 4;
		struct react_stream *streams =
			alloc_resize(reactions->streams, capacity, sizeof *streams);
		if (!streams)
			return NULL;
		reactions->streams = streams;
		reactions->capacity = capacity;
	}

	found = &reactions->streams[reactions->count++];
	*found = (struct react_stream){ .aggregate_id = stream->aggregate_id };
	snprintf(found->aggregate_type, sizeof found->aggregate_type, "%s", stream->aggregate_type);
	return found;
}

static struct tide_uuid react_id(const struct tide_subscription *subscription,
				 const struct tide_event *cause, const struct react_stream *stream)
{
	char name[REACT_NAME_SIZE], id[TIDE_UUID_TEXT_SIZE];
	snprintf(name, sizeof name, "%.*s\n%s/%s\n%zu",
		 (int)subscription->runner.transaction.reactions.name_size, subscription->name,
		 stream->aggregate_type, tide_uuid_format(&stream->aggregate_id, id),
		 stream->count);
	return tide_uuid_v5(&cause->event_id, name);
}

static void react_follow(struct tide_event *event, const struct tide_event *cause)
{
	if (tide_uuid_is_nil(&event->causation_id))
		event->causation_id = cause->event_id;
	if (tide_uuid_is_nil(&event->correlation_id))
		event->correlation_id = cause->correlation_id;
	if (tide_uuid_is_nil(&event->correlation_id)) /* of foreign origin */
		event->correlation_id = tide_uuid_v4();
}

static tide_status react_name(struct tide_subscription *subscription,
			      const struct tide_event *cause, const struct append_batch *batch,
			      struct tide_error *err)
{
	struct reactions *reactions = &subscription->runner.transaction.reactions;
	struct tide_event *event = batch->events;
	if (reactions->position != cause->position)
		reactions->count = 0;
	reactions->position = cause->position;

	for (size_t i = 0; i < batch->count; i++) {
		const struct tide_commit *commit = &batch->commits[i];
		struct react_stream *stream = react_stream(reactions, &commit->stream);
		if (!stream)
			return alloc_fail(err);
		for (size_t k = 0; k < commit->count; k++, event++, stream->count++) {
			react_follow(event, cause);
			if (tide_uuid_is_nil(&event->event_id))
				event->event_id = react_id(subscription, cause, stream);
		}
	}
	return append_check_ids(batch, err);
}

/* ---- The call -------------------------------------------------------------------------------- */

/* The event whose turn it is. */
static const struct tide_event *react_cause(const struct tide_delivery *delivery)
{
	const struct together *together = &delivery->together;
	if (together->count == 0)
		return delivery->event;
	size_t last = together->count - 1;
	return together->events[together->done < last ? together->done : last];
}

static tide_status react_check(const struct tide_delivery *delivery,
			       const struct tide_append *appends, size_t count,
			       struct tide_error *err)
{
	if (!delivery)
		return tide_fail(err, TIDE_ARGUMENT, "delivery is NULL");
	if (!appends || count == 0)
		return tide_fail(err, TIDE_ARGUMENT, "an append needs at least one event");
	if (!delivery->subscription->subscriber.appends)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "subscriber '%s' was not registered as one that appends",
				 delivery->subscription->name);
	return TIDE_OK;
}

static tide_status react_append(struct tide_subscription *subscription,
				const struct append_batch *batch, struct tide_error *err)
{
	struct metrics_store *metrics = &subscription->engine->store->metrics;
	struct append_tally tally = { 0 };
	struct mono_time since = clock_mono(&clock_system);
	tide_status status = session_append(subscription, batch, err);
	metrics_append_took(metrics, mono_since(clock_mono(&clock_system), since));
	append_count(batch, status, &tally);
	if (status == TIDE_OK)
		append_add(&subscription->runner.transaction.reactions.attempt, &tally);
	else
		append_tell(metrics, &tally);
	return status;
}

tide_status tide_delivery_append(struct tide_delivery *delivery, const struct tide_append *appends,
				 size_t count, struct tide_append_result *results,
				 struct tide_error *err)
{
	tide_status status = react_check(delivery, appends, count, err);
	if (status != TIDE_OK)
		return status;

	struct tide_subscription *subscription = delivery->subscription;
	const struct tide_event *cause = react_cause(delivery);
	bool is_quiet = cause->position <= subscription->subscriber.appends_after;
	APPEND_BATCH_AUTO struct append_batch batch = { 0 };
	status = append_make(subscription->engine->store, appends, count, &batch, err);
	if (status == TIDE_OK && !is_quiet) {
		status = react_name(subscription, cause, &batch, err);
		if (status == TIDE_OK)
			status = react_append(subscription, &batch, err);
		react_end_call(&subscription->runner.transaction.reactions, status == TIDE_OK);
	}

	if (status == TIDE_OK || status == TIDE_CONFLICT)
		append_give(&batch, status, results);
	return status;
}

/* ---- Its transaction ------------------------------------------------------------------------- */

void react_begin(struct tide_subscription *subscription)
{
	struct reactions *reactions = &subscription->runner.transaction.reactions;
	reactions->attempt = (struct append_tally){ 0 };
	reactions->count = 0;
	reactions->position = 0;
}

bool react_has_appended(const struct tide_subscription *subscription)
{
	return subscription->runner.transaction.reactions.attempt.events > 0;
}

bool react_is_open(const struct tide_subscription *subscription)
{
	return subscription->runner.transaction.reactions.open.events > 0;
}

void react_keep(struct tide_subscription *subscription)
{
	struct reactions *reactions = &subscription->runner.transaction.reactions;
	append_add(&reactions->open, &reactions->attempt);
	reactions->attempt = (struct append_tally){ 0 };
}

void react_commit(struct tide_subscription *subscription)
{
	struct tide_store *store = subscription->engine->store;
	struct reactions *reactions = &subscription->runner.transaction.reactions;
	append_tell(&store->metrics, &reactions->open);
	if (reactions->open.events > 0)
		notifier_ring(store->notifier, RING_APPEND);
	react_forget(subscription);
}

void react_forget(struct tide_subscription *subscription)
{
	subscription->runner.transaction.reactions.open = (struct append_tally){ 0 };
}

void react_fini(struct reactions *reactions)
{
	tide_free(reactions->streams);
	*reactions = (struct reactions){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/event.h"

#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

static tide_status event_check_json(struct tide_text text, bool must_be_object, const char *what,
				    size_t max_bytes, struct tide_error *err)
{
	if (!text.data)
		return text.size ? tide_fail(err, TIDE_ARGUMENT, "%s has a size but no data", what)
				 : TIDE_OK;
	if (text.size > max_bytes)
		return tide_fail(err, TIDE_ARGUMENT, "%s of %zu bytes is over the limit of %zu",
				 what, text.size, max_bytes);
	return json_check(text, must_be_object, what, err);
}

static tide_status event_check_numbers(const struct tide_new_event *event, struct tide_error *err)
{
	if (event->event_version < 0)
		return tide_fail(err, TIDE_ARGUMENT, "event_version %" PRId32 " is below 1",
				 event->event_version);
	if (event->version < 0)
		return tide_fail(err, TIDE_ARGUMENT, "version %" PRId32 " is below 0",
				 event->version);
	if (event->occurred_at && (event->occurred_at->unix_us < TIDE_TIME_MIN_US ||
				   event->occurred_at->unix_us > TIDE_TIME_MAX_US))
		return tide_fail(err, TIDE_ARGUMENT,
				 "occurred_at %" PRId64 " us is outside the years 0001 to 9999",
				 event->occurred_at->unix_us);
	return TIDE_OK;
}

static tide_status event_check_fields(const struct tide_new_event *event, size_t max_payload_bytes,
				      struct tide_error *err)
{
	tide_status status = name_check_type(event->event_type, "event_type", err);
	if (status == TIDE_OK && event->aggregate_type)
		status = name_check_type(event->aggregate_type, "aggregate_type", err);

	if (status == TIDE_OK && event->actor_id)
		status = name_check_actor(event->actor_id, "actor_id", err);
	if (status == TIDE_OK)
		status = event_check_numbers(event, err);

	if (status == TIDE_OK)
		status = event_check_json(event->payload, false, "payload", max_payload_bytes, err);
	if (status == TIDE_OK)
		status =
			event_check_json(event->metadata, true, "metadata", max_payload_bytes, err);
	return status;
}

tide_status event_check(const struct tide_new_event *event, size_t index, size_t max_payload_bytes,
			struct tide_error *err)
{
	struct tide_error field;
	tide_status status = event_check_fields(event, max_payload_bytes, &field);
	if (status == TIDE_OK)
		return TIDE_OK;
	return tide_fail(err, status, "event %zu: %s", index, field.message);
}

static struct tide_text event_text_or(struct tide_text text, const char *otherwise)
{
	return text.data ? text : tide_text(otherwise);
}

struct tide_event event_stamp(const struct tide_new_event *event, struct tide_stream stream,
			      struct tide_time now)
{
	return (struct tide_event){
		.version = event->version,
		.event_version = event->event_version ? event->event_version : 1,
		.event_id = event->event_id,
		.aggregate_id = stream.aggregate_id,
		.tenant_id = event->tenant_id,
		.correlation_id = event->correlation_id,
		.causation_id = event->causation_id,
		.event_type = tide_text(event->event_type),
		.aggregate_type = tide_text(stream.aggregate_type),
		.actor_id = tide_text(event->actor_id),
		.metadata = event_text_or(event->metadata, "{}"),
		.payload = event_text_or(event->payload, "{}"),
		.occurred_at = event->occurred_at ? *event->occurred_at : now,
		.stored_at = now,
	};
}

static struct tide_text event_put(char **room, struct tide_text text)
{
	if (!text.data)
		return text;
	char *copy = *room;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	*room += text.size + 1;
	return text_view(copy, text.size);
}

tide_status tide_event_copy(const struct tide_event *event, struct tide_event **ret,
			    struct tide_error *err)
{
	if (!event || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", event ? "ret" : "event");
	struct tide_text problem = tide_text(event->undecodable),
			 id = tide_text(event->event_id_text);
	struct tide_event *copy =
		alloc_resize(NULL,
			     sizeof *copy + event->event_type.size + event->aggregate_type.size +
				     event->actor_id.size + event->metadata.size +
				     event->payload.size + problem.size + id.size + 7,
			     1);
	if (!copy)
		return alloc_fail(err);

	char *room = (char *)(copy + 1);
	*copy = *event;
	copy->event_type = event_put(&room, event->event_type);
	copy->aggregate_type = event_put(&room, event->aggregate_type);
	copy->actor_id = event_put(&room, event->actor_id);
	copy->metadata = event_put(&room, event->metadata);
	copy->payload = event_put(&room, event->payload);
	copy->undecodable = event_put(&room, problem).data;
	copy->event_id_text = event_put(&room, id).data;
	*ret = copy;
	return TIDE_OK;
}

struct tide_new_event tide_new_event_caused_by(struct tide_new_event event,
					       const struct tide_event *cause)
{
	if (!cause)
		return event;
	event.causation_id = cause->event_id;
	event.correlation_id = cause->correlation_id;
	return event;
}

struct tide_new_event tide_new_event_with_version(struct tide_new_event event, tide_version version)
{
	event.version = version;
	return event;
}

bool tide_event_is_caused_by(const struct tide_event *event, const struct tide_event *cause)
{
	return event && cause && tide_uuid_equal(&event->causation_id, &cause->event_id);
}

bool tide_event_is_correlated_with(const struct tide_event *event, const struct tide_event *other)
{
	return event && other && !tide_uuid_is_nil(&event->correlation_id) &&
	       tide_uuid_equal(&event->correlation_id, &other->correlation_id);
}

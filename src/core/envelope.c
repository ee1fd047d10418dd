/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that another library wrote: their payload holds the base fields of the event beside the
 * domain's own.
 *
 * Happy path: the payload is an object whose event_id is the row's; its base members become fields,
 * the others stay. Failure: a base member that cannot be read, or a payload that is no JSON, is
 * TIDE_DECODE naming position and member.
 */
#include <inttypes.h>
#include <string.h>

#include "core/event.h"
#include "core/text.h"
#include "sys/alloc.h"

/** What an envelope says about its event; what is absent keeps its default. */
struct envelope {
	int32_t event_version;
	struct tide_uuid correlation_id, causation_id;
	struct tide_text metadata;
};

static const struct envelope envelope_default = { .event_version = 1, .metadata = { "{}", 2 } };

/* Return whether the value could be read. */
static bool envelope_take_ignored(const struct json_token *value, struct tide_text raw,
				  struct envelope *ret)
{
	(void)value, (void)raw, (void)ret;
	return true;
}

static bool envelope_take_version(const struct json_token *value, struct tide_text raw,
				  struct envelope *ret)
{
	(void)raw;
	int64_t number;
	if (!json_int(value, &number) || number < 1 || number > INT32_MAX)
		return false;
	ret->event_version = (int32_t)number;
	return true;
}

static bool envelope_take_correlation(const struct json_token *value, struct tide_text raw,
				      struct envelope *ret)
{
	(void)raw;
	return value->kind == JSON_STRING &&
	       uuid_read(value->text.data, value->text.size, &ret->correlation_id);
}

static bool envelope_take_causation(const struct json_token *value, struct tide_text raw,
				    struct envelope *ret)
{
	(void)raw;
	return value->kind == JSON_STRING &&
	       uuid_read(value->text.data, value->text.size, &ret->causation_id);
}

static bool envelope_take_metadata(const struct json_token *value, struct tide_text raw,
				   struct envelope *ret)
{
	ret->metadata = raw;
	return value->kind == JSON_OBJECT;
}

/* The members that are no domain data. `version` and `payload` are no names that the other library
 * gives to base fields. */
static const struct envelope_member {
	const char *name;
	bool (*take)(const struct json_token *value, struct tide_text raw, struct envelope *ret);
} envelope_members[] = {
	{ "event_id", envelope_take_ignored },
	{ "event_type", envelope_take_ignored },
	{ "event_version", envelope_take_version },
	{ "occurred_at", envelope_take_ignored },
	{ "aggregate_id", envelope_take_ignored },
	{ "aggregate_type", envelope_take_ignored },
	{ "aggregate_version", envelope_take_ignored },
	{ "tenant_id", envelope_take_ignored },
	{ "actor_id", envelope_take_ignored },
	{ "correlation_id", envelope_take_correlation },
	{ "causation_id", envelope_take_causation },
	{ "metadata", envelope_take_metadata },
};

static const struct envelope_member *envelope_find_member(const struct json_token *key)
{
	for (size_t i = 0; i < sizeof envelope_members / sizeof *envelope_members; i++)
		if (json_equals(key, envelope_members[i].name))
			return &envelope_members[i];
	return NULL;
}

static bool envelope_is_one(const struct tide_event *event)
{
	struct json_reader reader;
	json_read(&reader, event->payload.data, event->payload.size);
	if (json_next(&reader).kind != JSON_OBJECT)
		return false;

	bool is_same = false;
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		struct json_token value = json_next(&reader);
		struct tide_uuid id;
		if (json_equals(&key, "event_id"))
			is_same = value.kind == JSON_STRING &&
				  uuid_read(value.text.data, value.text.size, &id) &&
				  tide_uuid_equal(&id, &event->event_id);
		json_skip(&reader, value, NULL);
	}
	return is_same;
}

/* Take the base members, and write the domain's into scratch. The payload was checked. */
static tide_status envelope_split(const struct tide_event *event, struct envelope *ret,
				  struct buffer *scratch, struct tide_error *err)
{
	struct json_reader reader;
	json_read(&reader, event->payload.data, event->payload.size);
	json_next(&reader);
	json_open(scratch, '{');
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		struct json_token value = json_next(&reader);
		struct tide_text raw = { 0 };
		json_skip(&reader, value, &raw);
		const struct envelope_member *member = envelope_find_member(&key);
		if (member && value.kind != JSON_NULL && !member->take(&value, raw, ret))
			return tide_fail(err, TIDE_DECODE,
					 "position %" PRId64 ": %s of the envelope is malformed",
					 event->position, member->name);
		if (member)
			continue;
		/* with its quotes and escapes */
		json_raw(scratch, text_view(key.text.data - 1, key.text.size + 2));
		buffer_add(scratch, ":", 1);
		json_raw(scratch, raw);
	}

	json_close(scratch, '}');
	return TIDE_OK;
}

static void envelope_fill(struct tide_event *event, const struct envelope *envelope,
			  struct tide_text payload)
{
	event->event_version = envelope->event_version;
	event->correlation_id = envelope->correlation_id;
	event->causation_id = envelope->causation_id;
	event->metadata = envelope->metadata;
	event->payload = payload;
}

tide_status event_open_envelope(struct tide_event *event, struct buffer *scratch,
				struct tide_error *err)
{
	struct tide_error problem;
	if (json_check(event->payload, false, "payload", &problem) != TIDE_OK)
		return tide_fail(err, TIDE_DECODE, "position %" PRId64 ": %s", event->position,
				 problem.message);

	struct envelope envelope = envelope_default;
	if (!envelope_is_one(event)) {
		envelope_fill(event, &envelope, event->payload);
		return TIDE_OK;
	}

	scratch->size = 0;
	scratch->failed = false;
	tide_status status = envelope_split(event, &envelope, scratch, err);
	if (status != TIDE_OK)
		return status;

	size_t payload_size = scratch->size;
	buffer_add(scratch, "", 1);
	buffer_add(scratch, envelope.metadata.data, envelope.metadata.size);
	if (scratch->failed)
		return alloc_fail(err);

	envelope.metadata.data = scratch->data + payload_size + 1;
	envelope_fill(event, &envelope, text_view(scratch->data, payload_size));
	return TIDE_OK;
}

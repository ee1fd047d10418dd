/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event as one JSON object: writing it with its members in their fixed order, and reading it
 * back.
 *
 * Happy path of reading: the original is walked once, each member's value goes to the same place of
 * an owned copy, decoded and ended with a NUL; decoding never makes a text longer, and what follows
 * a value in the copy is not needed any more. Failure: the first member that is wrong is named;
 * nothing is kept.
 */
#include "core/event.h"

#include <stddef.h>
#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

void event_write_json(struct buffer *buffer, const struct tide_event *event)
{
	json_open(buffer, '{');
	JSON_LITERAL_KEY(buffer, "global_position");
	json_integer(buffer, event->position);
	JSON_LITERAL_KEY(buffer, "event_id");
	if (event->event_id_text)
		json_string(buffer, event->event_id_text);
	else
		json_uuid(buffer, &event->event_id);
	JSON_LITERAL_KEY(buffer, "event_type");
	json_text(buffer, event->event_type);
	JSON_LITERAL_KEY(buffer, "event_version");
	json_integer(buffer, event->event_version);
	JSON_LITERAL_KEY(buffer, "occurred_at");
	json_time(buffer, event->occurred_at);
	JSON_LITERAL_KEY(buffer, "aggregate_id");
	json_uuid(buffer, &event->aggregate_id);
	JSON_LITERAL_KEY(buffer, "aggregate_type");
	json_text(buffer, event->aggregate_type);
	JSON_LITERAL_KEY(buffer, "aggregate_version");
	json_integer(buffer, event->version);
	JSON_LITERAL_KEY(buffer, "tenant_id");
	json_uuid(buffer, &event->tenant_id);
	JSON_LITERAL_KEY(buffer, "actor_id");
	json_text(buffer, event->actor_id);
	JSON_LITERAL_KEY(buffer, "correlation_id");
	json_uuid(buffer, &event->correlation_id);
	JSON_LITERAL_KEY(buffer, "causation_id");
	json_uuid(buffer, &event->causation_id);

	/* What could not be decoded may be no JSON either: it is shown as text. */
	JSON_LITERAL_KEY(buffer, "metadata");
	json_raw(buffer,
		 event->metadata.data && !event->undecodable ? event->metadata : tide_text("{}"));
	if (event->undecodable) {
		JSON_LITERAL_KEY(buffer, "raw");
		json_text(buffer, event->payload);
	} else {
		JSON_LITERAL_KEY(buffer, "payload");
		json_raw(buffer, event->payload.data ? event->payload : tide_text("{}"));
	}
	JSON_LITERAL_KEY(buffer, "stored_at");
	json_time(buffer, event->stored_at);
	json_close(buffer, '}');
}

tide_status tide_event_to_json(const struct tide_event *event, char **ret, struct tide_error *err)
{
	if (!event || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", event ? "ret" : "event");
	struct buffer buffer = { 0 };
	event_write_json(&buffer, event);
	return buffer_take(&buffer, ret, err);
}

/** A read in progress: the value at hand, and the owned copy its text goes into. */
struct event_value {
	struct json_token token;
	struct tide_text raw; /* the value as it stands in the original */
	char *place;          /* where it stands in the copy, as many bytes */
};

/* The readers of each kind return what is wrong with a value, NULL when nothing is. */

static const char *event_take_text(const struct event_value *value, void *ret)
{
	if (value->token.kind != JSON_STRING)
		return "is no string";
	if (strlen(value->place) == 0)
		return "is empty";
	*(const char **)ret = value->place;
	return NULL;
}

static const char *event_take_json(const struct event_value *value, void *ret)
{
	memcpy(value->place, value->raw.data, value->raw.size);
	value->place[value->raw.size] = '\0'; /* at least the object's bracket is behind it */
	*(struct tide_text *)ret = text_view(value->place, value->raw.size);
	return NULL;
}

static const char *event_take_object(const struct event_value *value, void *ret)
{
	return value->token.kind == JSON_OBJECT ? event_take_json(value, ret) : "is no object";
}

static const char *event_take_uuid(const struct event_value *value, void *ret)
{
	if (value->token.kind != JSON_STRING || !uuid_read(value->place, strlen(value->place), ret))
		return "is no UUID";
	return NULL;
}

/* Ids may be derived from a name, so that whoever writes the JSON needs no UUIDs: the same name is
 * the same id. */
static const char *event_take_id(const struct event_value *value, void *ret)
{
	if (value->token.kind != JSON_STRING || strncmp(value->place, "name:", 5) != 0 ||
	    !value->place[5])
		return event_take_uuid(value, ret);
	*(struct tide_uuid *)ret = tide_uuid_v5(NULL, value->place + 5);
	return NULL;
}

static const char *event_take_time(const struct event_value *value, void *ret)
{
	if (value->token.kind != JSON_STRING || !time_read(value->place, strlen(value->place), ret))
		return "is no RFC 3339 instant";
	return NULL;
}

static const char *event_take_position(const struct event_value *value, void *ret)
{
	int64_t number;
	if (!json_int(&value->token, &number) || number < 0)
		return "is no position";
	*(tide_position *)ret = number;
	return NULL;
}

static const char *event_take_version(const struct event_value *value, void *ret)
{
	int64_t number;
	if (!json_int(&value->token, &number) || number < 0 || number > INT32_MAX)
		return "is no integer from 0 to 2147483647";
	*(int32_t *)ret = (int32_t)number;
	return NULL;
}

static const char *event_take_schema_version(const struct event_value *value, void *ret)
{
	int64_t number;
	if (!json_int(&value->token, &number) || number < 1 || number > INT32_MAX)
		return "is no integer from 1 to 2147483647";
	*(int32_t *)ret = (int32_t)number;
	return NULL;
}

/* clang-format off */
#define EVENT_AT(member) offsetof(struct event_json, member)
/* Every member that is known; a null is the same as none, except for the payload. */
static const struct event_member {
	const char *name;
	const char *(*take)(const struct event_value *value, void *ret);
	size_t at;
	bool is_required;
} event_members[] = {
	{ "global_position",   event_take_position,       EVENT_AT(position),             false },
	{ "event_id",          event_take_id,             EVENT_AT(event.event_id),       false },
	{ "event_type",        event_take_text,           EVENT_AT(event.event_type),     true  },
	{ "event_version",     event_take_schema_version, EVENT_AT(event.event_version),  false },
	{ "occurred_at",       event_take_time,           EVENT_AT(occurred_at),          false },
	{ "aggregate_id",      event_take_id,             EVENT_AT(event.aggregate_id),   true  },
	{ "aggregate_type",    event_take_text,           EVENT_AT(event.aggregate_type), true  },
	{ "aggregate_version", event_take_version,        EVENT_AT(event.version),        false },
	{ "tenant_id",         event_take_uuid,           EVENT_AT(event.tenant_id),      false },
	{ "actor_id",          event_take_text,           EVENT_AT(event.actor_id),       false },
	{ "correlation_id",    event_take_uuid,           EVENT_AT(event.correlation_id), false },
	{ "causation_id",      event_take_uuid,           EVENT_AT(event.causation_id),   false },
	{ "metadata",          event_take_object,         EVENT_AT(event.metadata),       false },
	{ "payload",           event_take_json,           EVENT_AT(event.payload),        true  },
	{ "stored_at",         event_take_time,           EVENT_AT(stored_at),            false },
};
#undef EVENT_AT
/* clang-format on */
#define EVENT_MEMBER_COUNT (sizeof event_members / sizeof *event_members)
#define EVENT_MEMBERS_OF_STREAM (1u << 5 | 1u << 6) /* aggregate_id, aggregate_type */
#define EVENT_MEMBER_TIME 4 /* occurred_at: its absence is no instant, so it must be known */

/* The member of a name, EVENT_MEMBER_COUNT when there is none; looked for first behind the last one
 * seen, where it is when the members are in their usual order. */
static size_t event_find_member(const struct json_token *key, uint32_t seen)
{
	size_t first = seen ? 32 - (size_t)__builtin_clz(seen) : 0;
	for (size_t i = first; i < first + EVENT_MEMBER_COUNT; i++)
		if (json_equals(key, event_members[i % EVENT_MEMBER_COUNT].name))
			return i % EVENT_MEMBER_COUNT;
	return EVENT_MEMBER_COUNT;
}

static tide_status event_read_member(struct json_reader *reader, const struct json_token *key,
				     struct event_json *ret, uint32_t *seen, struct tide_error *err)
{
	size_t i = event_find_member(key, *seen);
	if (i == EVENT_MEMBER_COUNT)
		return tide_fail(err, TIDE_ARGUMENT, "'%.*s' is no member of an event",
				 (int)utf8_cut(key->text.data, key->text.size, 64), key->text.data);

	const struct event_member *member = &event_members[i];
	struct event_value value = { .token = json_next(reader) };
	json_skip(reader, value.token, &value.raw);
	if (value.token.kind == JSON_NULL && member->take != event_take_json)
		return TIDE_OK;

	value.place = ret->text + value.token.at;
	if (value.token.kind == JSON_STRING && member->take != event_take_json)
		json_unescape(&value.token, value.place);
	const char *problem = member->take(&value, (char *)ret + member->at);
	if (problem)
		return tide_fail(err, TIDE_ARGUMENT, "%s %.*s %s", member->name,
				 (int)utf8_cut(value.raw.data, value.raw.size, 64), value.raw.data,
				 problem);

	*seen |= 1u << i;
	return TIDE_OK;
}

/* `given` has a bit for each member that need not be there. */
static tide_status event_read_members(struct tide_text json, uint32_t given, struct event_json *ret,
				      struct tide_error *err)
{
	struct json_reader reader;
	uint32_t seen = 0;
	json_read(&reader, json.data, json.size);
	json_next(&reader);
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		tide_status status = event_read_member(&reader, &key, ret, &seen, err);
		if (status != TIDE_OK)
			return status;
	}

	for (size_t i = 0; i < EVENT_MEMBER_COUNT; i++)
		if (event_members[i].is_required && !((seen | given) >> i & 1))
			return tide_fail(err, TIDE_ARGUMENT, "%s is missing",
					 event_members[i].name);
	if (tide_uuid_is_nil(&ret->event.aggregate_id))
		return tide_fail(err, TIDE_ARGUMENT, "aggregate_id is the nil UUID");

	ret->event.occurred_at = seen >> EVENT_MEMBER_TIME & 1 ? &ret->occurred_at : NULL;
	return TIDE_OK;
}

static tide_status event_read_given(struct tide_text json, const struct event_json *begin,
				    uint32_t given, struct event_json *ret, struct tide_error *err)
{
	tide_status status = json_check_around(json, true, "the event", err);
	if (status != TIDE_OK)
		return status;
	*ret = *begin;
	ret->text = alloc_text(json.data, json.size);
	if (!ret->text)
		return alloc_fail(err);
	status = event_read_members(json, given, ret, err);
	if (status != TIDE_OK)
		event_json_fini(ret);
	return status;
}

tide_status event_read_json(struct tide_text json, struct event_json *ret, struct tide_error *err)
{
	static const struct event_json begin;
	return event_read_given(json, &begin, 0, ret, err);
}

tide_status event_read_of_stream(struct tide_text json, struct tide_stream stream,
				 struct event_json *ret, struct tide_error *err)
{
	struct event_json begin = { .event = { .aggregate_id = stream.aggregate_id,
					       .aggregate_type = stream.aggregate_type } };
	return event_read_given(json, &begin, EVENT_MEMBERS_OF_STREAM, ret, err);
}

void event_json_fini(struct event_json *event)
{
	tide_free(event->text);
	*event = (struct event_json){ 0 };
}

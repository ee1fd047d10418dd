/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event_data of a dead letter, which may be of another library: the domain's members beside the
 * base members, or all of it as a JSON string. It is brought into our own shape and read as that.
 */
#include <stdio.h>
#include <string.h>

#include "core/event.h"
#include "core/escape.h"
#include "core/text.h"
#include "sys/alloc.h"

/* The members that are not the domain's; `payload` is one only in our own shape. */
static const char *const data_base_names[] = {
	"global_position", "event_id",       "event_type",        "event_version", "occurred_at",
	"aggregate_id",    "aggregate_type", "aggregate_version", "tenant_id",     "actor_id",
	"correlation_id",  "causation_id",   "metadata",          "stored_at",
};

static bool data_is_base(const struct json_token *key)
{
	for (size_t i = 0; i < sizeof data_base_names / sizeof *data_base_names; i++)
		if (json_equals(key, data_base_names[i]))
			return true;
	return false;
}

static bool data_is_ours(struct tide_text object)
{
	bool has_payload = false;
	struct json_reader reader;
	json_read(&reader, object.data, object.size);
	json_next(&reader);

	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		bool is_payload = json_equals(&key, "payload");
		if (!is_payload && !data_is_base(&key))
			return false;
		has_payload = has_payload || is_payload;
		json_skip(&reader, key, NULL);
	}
	return has_payload;
}

static void data_add_members(struct buffer *buffer, struct tide_text object, bool is_base)
{
	struct json_reader reader;
	json_read(&reader, object.data, object.size);
	json_next(&reader);

	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader)) {
		struct tide_text value;
		json_skip(&reader, key, &value);
		if (data_is_base(&key) != is_base)
			continue;
		/* with its quotes and escapes */
		json_raw(buffer, text_view(key.text.data - 1, key.text.size + 2));
		buffer_add(buffer, ":", 1);
		json_raw(buffer, value);
	}
}

static tide_status data_read_object(struct tide_text object, struct event_json *ret,
				    struct tide_error *err)
{
	tide_status status = json_check_around(object, true, "event_data", err);
	if (status != TIDE_OK)
		return status;
	if (data_is_ours(object))
		return event_read_json(object, ret, err);

	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	data_add_members(&buffer, object, true);
	json_key(&buffer, "payload");
	json_open(&buffer, '{');
	data_add_members(&buffer, object, false);
	json_close(&buffer, '}');
	json_close(&buffer, '}');
	ALLOC_AUTO char *ours = NULL;
	status = buffer_take(&buffer, &ours, err);
	return status == TIDE_OK ? event_read_json(tide_text(ours), ret, err) : status;
}

/* The object that event_data is, or that it holds as a string; `*ret_owned` is what has to live as
 * long. */
static tide_status data_object(struct tide_text json, struct tide_text *ret, char **ret_owned,
			       struct tide_error *err)
{
	struct json_reader reader;
	*ret = json;
	json_read(&reader, json.data, json.size);
	struct json_token token = json_next(&reader);
	if (token.kind != JSON_STRING)
		return TIDE_OK;
	char *inside = alloc_zero(1, json.size + 1);
	if (!inside)
		return alloc_fail(err);
	*ret = text_view(inside, json_unescape(&token, inside));
	*ret_owned = inside;
	return TIDE_OK;
}

tide_status event_read_data(struct tide_text json, struct event_json *ret, struct tide_error *err)
{
	ALLOC_AUTO char *owned = NULL;
	struct tide_text object;
	tide_status status = json_check_around(json, false, "event_data", err);
	if (status == TIDE_OK)
		status = data_object(json, &object, &owned, err);
	return status == TIDE_OK ? data_read_object(object, ret, err) : status;
}

/* ---- Only where it belongs ------------------------------------------------------------------- */

uint64_t event_type_hash(struct tide_text aggregate_type)
{
	return fnv1a64(aggregate_type.data, aggregate_type.size);
}

static tide_status place_take_type(const struct json_token *value, struct event_place *ret,
				   struct tide_error *err)
{
	ALLOC_AUTO char *type = alloc_zero(1, value->text.size + 1);
	if (!type)
		return alloc_fail(err);
	ret->type_hash = event_type_hash(text_view(type, json_unescape(value, type)));
	return TIDE_OK;
}

tide_status event_read_place(struct tide_text json, struct event_place *ret, struct tide_error *err)
{
	ALLOC_AUTO char *owned = NULL;
	struct tide_text object;
	struct json_reader reader;
	struct json_token key;
	bool has_id = false, has_type = false;
	*ret = (struct event_place){ 0 };
	tide_status status = data_object(json, &object, &owned, err);
	if (status != TIDE_OK)
		return status;

	json_read(&reader, object.data, object.size);
	if (json_next(&reader).kind != JSON_OBJECT)
		return TIDE_OK;

	while (status == TIDE_OK && (key = json_next(&reader)).kind == JSON_KEY) {
		struct json_token value = json_next(&reader);
		if (value.kind == JSON_NUMBER && json_equals(&key, "global_position"))
			json_int(&value, &ret->position);
		if (value.kind == JSON_STRING && json_equals(&key, "aggregate_id"))
			has_id = uuid_read(value.text.data, value.text.size, &ret->aggregate_id);
		if (value.kind == JSON_STRING && json_equals(&key, "aggregate_type")) {
			status = place_take_type(&value, ret, err);
			has_type = true;
		}
		ret->has_stream = has_id && has_type;
		if (!json_skip(&reader, value, NULL))
			break;
	}
	return status;
}

bool event_place_is_in(const struct event_place *place, uint32_t index, uint32_t total)
{
	const struct tide_uuid *id = &place->aggregate_id;
	if (total == 0)
		return true;
	return place->has_stream ? fnv1a64(id->bytes, sizeof id->bytes) % total == index
				 : index == 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void data_add_text(struct buffer *buffer, struct buffer *scratch, struct tide_text text)
{
	scratch->size = 0;
	escape_add(scratch, text, ESCAPE_UTF8);
	buffer->failed |= scratch->failed;
	json_text(buffer,
		  scratch->failed ? text_view("", 0) : text_view(scratch->data, scratch->size));
}

static tide_status data_write_raw(const struct tide_event *event, char **ret,
				  struct tide_error *err)
{
	struct buffer buffer = { 0 }, scratch = { 0 };
	json_open(&buffer, '{');
	json_key(&buffer, "global_position");
	json_integer(&buffer, event->position);
	json_key(&buffer, "event_id");

	if (event->event_id_text)
		data_add_text(&buffer, &scratch, tide_text(event->event_id_text));
	else
		json_uuid(&buffer, &event->event_id);
	json_key(&buffer, "event_type");
	data_add_text(&buffer, &scratch, event->event_type);
	json_key(&buffer, "aggregate_id");
	json_uuid(&buffer, &event->aggregate_id);
	json_key(&buffer, "aggregate_type");
	data_add_text(&buffer, &scratch, event->aggregate_type);
	json_key(&buffer, "aggregate_version");
	json_integer(&buffer, event->version);
	json_key(&buffer, "raw");
	data_add_text(&buffer, &scratch, event->payload);
	json_close(&buffer, '}');
	buffer_fini(&scratch);
	return buffer_take(&buffer, ret, err);
}

tide_status event_write_data(const struct tide_event *event, char **ret, struct tide_error *err)
{
	if (event->undecodable)
		return data_write_raw(event, ret, err);
	ALLOC_AUTO char *json = NULL;
	tide_status status = tide_event_to_json(event, &json, err);
	if (status != TIDE_OK)
		return status;

	/* What a store gave out unchecked, such as bytes that are no UTF-8 within a payload, is
	 * found here. */
	if (json_check(tide_text(json), true, "event", NULL) != TIDE_OK)
		return data_write_raw(event, ret, err);

	*ret = json;
	json = NULL;
	return TIDE_OK;
}

tide_status event_plain_data(const char *data, char **ret, struct tide_error *err)
{
	ALLOC_AUTO char *ascii = NULL;
	struct buffer buffer = { 0 };
	tide_status status = escape_text(tide_text(data), ESCAPE_ASCII, &ascii, err);
	if (status != TIDE_OK)
		return status;
	json_string(&buffer, ascii);
	return buffer_take(&buffer, ret, err);
}

tide_status event_id_for_queue(const struct tide_event *event, struct tide_uuid *ret_id, char **ret,
			       struct tide_error *err)
{
	char text[TIDE_UUID_TEXT_SIZE + 32];
	tide_status status;
	if (!tide_uuid_is_nil(&event->event_id)) {
		status = escape_text(tide_text(tide_uuid_format(&event->event_id, text)),
				     ESCAPE_UTF8, ret, err);
	} else if (event->event_id_text && *event->event_id_text) {
		status = escape_text(tide_text(event->event_id_text), ESCAPE_UTF8, ret, err);
	} else {
		snprintf(text, sizeof text, "event at position %lld", (long long)event->position);
		status = escape_text(tide_text(text), ESCAPE_UTF8, ret, err);
	}

	if (status == TIDE_OK && tide_uuid_parse(*ret, ret_id, NULL) != TIDE_OK)
		*ret_id = tide_uuid_v5(NULL, *ret);
	return status;
}

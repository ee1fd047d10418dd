/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event_data of a dead letter, which may be of another library: the domain's members beside the base members, or
 * all of it as a JSON string. It is brought into our own shape and read as that.
 */
#include <string.h>

#include "core/event.h"
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
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY; key = json_next(&reader)) {
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
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY; key = json_next(&reader)) {
		struct tide_text value;
		json_skip(&reader, key, &value);
		if (data_is_base(&key) != is_base)
			continue;
		json_raw(buffer, text_view(key.text.data - 1, key.text.size + 2)); /* with its quotes and escapes */
		buffer_add(buffer, ":", 1);
		json_raw(buffer, value);
	}
}

static tide_status data_read_object(struct tide_text object, struct event_json *ret, struct tide_error *err)
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

/* The object that event_data is, or that it holds as a string; `*ret_owned` is what has to live as long. */
static tide_status data_object(struct tide_text json, struct tide_text *ret, char **ret_owned, struct tide_error *err)
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

/* ---- Only where it belongs ---------------------------------------------------------------------------------- */

uint64_t event_type_hash(struct tide_text aggregate_type)
{
	return fnv1a64(aggregate_type.data, aggregate_type.size);
}

static tide_status place_take_type(const struct json_token *value, struct event_place *ret, struct tide_error *err)
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

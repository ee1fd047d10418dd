/* SPDX-License-Identifier: Apache-2.0 */
/* Event types: a struct to its payload and back. */
#include <tidemark/event_type.h>

#include <inttypes.h>

#include "types/fields.h"
#include "types/upcast.h"
#include "sys/alloc.h"

static tide_status type_check(const struct tide_event_type *type, const void *value,
			      const char *what, struct tide_error *err)
{
	if (!type || !type->name || !type->fields)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 type ? "name and fields of a type" : "type");
	if (type->version < 1)
		return tide_fail(err, TIDE_ARGUMENT,
				 "version of '%s' must be at least 1, not %" PRId32, type->name,
				 type->version);
	return value ? TIDE_OK : tide_fail(err, TIDE_ARGUMENT, "%s must not be null", what);
}

static tide_status type_write(const struct tide_event_type *type, const void *value,
			      struct buffer *buffer, struct tide_error *err)
{
	return fields_encode(type->fields, value, NULL, buffer, err);
}

tide_status tide_event_encode(const struct tide_event_type *type, const void *value, char **ret,
			      struct tide_error *err)
{
	tide_status status = type_check(type, value, "value", err);
	if (status == TIDE_OK && !ret)
		status = tide_fail(err, TIDE_ARGUMENT, "ret must not be null");
	if (status != TIDE_OK)
		return status;
	struct buffer buffer = { 0 };
	status = type_write(type, value, &buffer, err);
	if (status == TIDE_OK)
		return buffer_take(&buffer, ret, err);
	buffer_fini(&buffer);
	return status;
}

tide_status tide_payload_decode(const struct tide_event_type *type, int32_t event_version,
				struct tide_text payload, void *ret, struct tide_error *err)
{
	tide_status status = type_check(type, ret, "ret", err);
	if (status != TIDE_OK)
		return status;
	if (event_version < 1 || event_version > type->version)
		return tide_fail(err, TIDE_DECODE,
				 "'%s' is known up to version %" PRId32 ", not %" PRId32,
				 type->name, type->version, event_version);

	ALLOC_AUTO char *present = NULL;
	if (event_version < type->version) {
		status = upcast_run(type, event_version, payload, &present, err);
		payload = tide_text(present);
	}

	const struct fields_shape shape = { type->fields, type->size, type->policy, type->defaults,
					    "payload" };
	return status == TIDE_OK ? fields_decode(&shape, payload, ret, err) : status;
}

tide_status tide_event_decode(const struct tide_event_type *type, const struct tide_event *event,
			      void *ret, struct tide_error *err)
{
	tide_status status = type_check(type, event, "event", err);
	if (status != TIDE_OK)
		return status;
	if (event->undecodable)
		return tide_fail(err, TIDE_DECODE,
				 "the stored row at position %" PRId64 " is no event: %s",
				 event->position, event->undecodable);
	if (event->event_type.size != strlen(type->name) ||
	    memcmp(event->event_type.data, type->name, event->event_type.size) != 0)
		return tide_fail(err, TIDE_DECODE, "'%.*s' is not '%s'",
				 (int)event->event_type.size, event->event_type.data, type->name);
	return tide_payload_decode(type, event->event_version, event->payload, ret, err);
}

void tide_event_type_fini(const struct tide_event_type *type, void *value)
{
	if (!type || !value)
		return;
	fields_fini(type->fields, value);
	memset(value, 0, type->size);
}

/** `name="Ann" total=250`: the members of an object without braces and quotes around the names. */
static void type_print_members(const char *json, size_t size, struct buffer *buffer)
{
	struct json_reader reader;
	json_read(&reader, json, size);
	struct json_token token = json_next(&reader);
	while ((token = json_next(&reader)).kind == JSON_KEY) {
		struct tide_text key = token.text, value = { 0 };
		json_skip(&reader, token, &value);
		buffer_add(buffer, " ", 1);
		buffer_add(buffer, key.data, key.size);
		buffer_add(buffer, "=", 1);
		buffer_add(buffer, value.data, value.size);
	}
}

tide_status tide_event_type_print(const struct tide_event_type *type, const void *value, char **ret,
				  struct tide_error *err)
{
	ALLOC_AUTO char *json = NULL;
	tide_status status = tide_event_encode(type, value, &json, err);
	if (status == TIDE_OK && !ret)
		status = tide_fail(err, TIDE_ARGUMENT, "ret must not be null");
	if (status != TIDE_OK)
		return status;
	struct buffer buffer = { 0 };
	buffer_add(&buffer, type->name, strlen(type->name));
	type_print_members(json, strlen(json), &buffer);
	return buffer_take(&buffer, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Structs as JSON objects. */
#include "core/json_fields.h"

static bool json_field_is_known(const struct json_field *field, const void *object)
{
	if (field->known && !*(const bool *)((const char *)object + field->known))
		return false;
	return !field->is_known || field->is_known(object);
}

static void json_field_number(struct buffer *buffer, const struct json_field *field,
			      const void *place)
{
	switch (field->kind) {
	case JSON_FIELD_REAL:
		json_number(buffer, *(const double *)place, field->decimals);
		break;

	case JSON_FIELD_SMALL:
		json_integer(buffer, *(const int32_t *)place);
		break;
	case JSON_FIELD_UNSIGNED:
		json_integer(buffer, *(const uint32_t *)place);
		break;
	case JSON_FIELD_SIZE:
		json_integer(buffer, (int64_t)(*(const size_t *)place));
		break;
	default:
		json_integer(buffer, *(const int64_t *)place);
	}
}

static const char *json_field_words(const struct json_field *field, const void *place)
{
	const struct tide_error *error = place;
	const char *chars = place;

	switch (field->kind) {
	case JSON_FIELD_TEXT:
		return *(const char *const *)place;
	case JSON_FIELD_NAME:
		return field->name(*(const int *)place);
	case JSON_FIELD_ERROR:
		return error->status == TIDE_OK ? NULL : error->message;
	case JSON_FIELD_WORDS:
		return *chars ? chars : NULL;
	default:
		return chars;
	}
}

static void json_field_value(struct buffer *buffer, const struct json_field *field,
			     const void *place)
{
	switch (field->kind) {
	case JSON_FIELD_INTEGER:
	case JSON_FIELD_SMALL:
	case JSON_FIELD_UNSIGNED:
	case JSON_FIELD_SIZE:
	case JSON_FIELD_REAL:
		json_field_number(buffer, field, place);
		break;

	case JSON_FIELD_FLAG:
		json_bool(buffer, *(const bool *)place);
		break;
	case JSON_FIELD_CHARS:
	case JSON_FIELD_WORDS:
	case JSON_FIELD_TEXT:
	case JSON_FIELD_NAME:
	case JSON_FIELD_ERROR:
		json_string(buffer, json_field_words(field, place));
		break;
	case JSON_FIELD_TIME:
		json_time(buffer, *(const struct tide_time *)place);
		break;
	case JSON_FIELD_UUID:
		json_uuid(buffer, place);
		break;
	}
}

void json_add_fields(struct buffer *buffer, const struct json_field *fields, size_t count,
		     const void *object)
{
	for (size_t i = 0; i < count; i++) {
		json_key(buffer, fields[i].key);
		if (json_field_is_known(&fields[i], object))
			json_field_value(buffer, &fields[i],
					 (const char *)object + fields[i].place);
		else
			json_null(buffer);
	}
}

void json_fields(struct buffer *buffer, const struct json_field *fields, size_t count,
		 const void *object)
{
	json_open(buffer, '{');
	json_add_fields(buffer, fields, count, object);
	json_close(buffer, '}');
}

tide_status json_fields_text(const struct json_field *fields, size_t count, const void *object,
			     char **ret, struct tide_error *err)
{
	if (!object || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 object ? "ret" : "what is to be written");
	struct buffer buffer = { 0 };
	json_fields(&buffer, fields, count, object);
	return buffer_take(&buffer, ret, err);
}

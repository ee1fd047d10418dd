/* SPDX-License-Identifier: Apache-2.0 */
/* Writing structs as JSON by their tables. */
#include "types/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/text.h"

#define REFUSE(...) field_fail(path, err, TIDE_ARGUMENT, __VA_ARGS__)

static tide_status field_number_encode(const struct tide_field *field, const void *at,
				       const struct field_path *path, struct buffer *buffer,
				       struct tide_error *err)
{
	switch (field->kind) {
	case TIDE_KIND_INT32:
		json_integer(buffer, *(const int32_t *)at);
		return TIDE_OK;
	case TIDE_KIND_INT64:
		json_integer(buffer, *(const int64_t *)at);
		return TIDE_OK;
	case TIDE_KIND_UINT32:
		json_integer(buffer, *(const uint32_t *)at);
		return TIDE_OK;
	case TIDE_KIND_UINT64: {
		char digits[24];
		int size = snprintf(digits, sizeof digits, "%" PRIu64, *(const uint64_t *)at);
		json_raw(buffer, (struct tide_text){ digits, (size_t)size });
		return TIDE_OK;
	}
	default:
		if (!isfinite(*(const double *)at))
			return REFUSE("'%g' is no finite number", *(const double *)at);
		json_number(buffer, *(const double *)at, -1);
		return TIDE_OK;
	}
}

/** Raw JSON without the blanks around it, which would hide from the writer that a value is
 * there. */
static struct tide_text field_trim(struct tide_text text)
{
	static const char blanks[] = " \t\r\n";
	while (text.size && memchr(blanks, text.data[0], 4)) {
		text.data++;
		text.size--;
	}
	while (text.size && memchr(blanks, text.data[text.size - 1], 4))
		text.size--;
	return text;
}

static tide_status field_text_encode(const struct tide_field *field, const void *at,
				     const struct field_path *path, struct buffer *buffer,
				     struct tide_error *err)
{
	bool is_pointer = field->flags & TIDE_FIELD_POINTER;
	const char *data = is_pointer ? *(char *const *)at : at;
	if (!data)
		return REFUSE("is NULL");

	struct tide_text text = { data, is_pointer ? strlen(data) : strnlen(data, field->size) };
	if (!is_pointer && text.size == field->size)
		return REFUSE("has no NUL within its %zu bytes", field->size);
	if (field->kind == TIDE_KIND_JSON) {
		struct tide_error why;
		if (json_check(text, false, "the text", &why) != TIDE_OK)
			return REFUSE("%s", why.message);
		json_raw(buffer, field_trim(text));
		return TIDE_OK;
	}

	if (field->kind == TIDE_KIND_DECIMAL && !field_is_decimal(text.data, text.size))
		return REFUSE("'%.80s' is not a decimal number", text.data);
	if (!utf8_is_valid(text.data, text.size))
		return REFUSE("is not valid UTF-8");

	json_text(buffer, text);
	return TIDE_OK;
}

static tide_status field_time_encode(const void *at, const struct field_path *path,
				     struct buffer *buffer, struct tide_error *err)
{
	struct tide_time time = *(const struct tide_time *)at;
	if (time.unix_us < TIDE_TIME_MIN_US || time.unix_us > TIDE_TIME_MAX_US)
		return REFUSE("'%" PRId64 "' is not in the years 0001 to 9999", time.unix_us);
	json_time(buffer, time);
	return TIDE_OK;
}

static void field_uuid_encode(const void *at, struct buffer *buffer)
{
	char text[TIDE_UUID_TEXT_SIZE];
	json_text(buffer,
		  (struct tide_text){ tide_uuid_format(at, text), TIDE_UUID_TEXT_SIZE - 1 });
}

static tide_status field_enum_encode(const struct tide_field *field, const void *at,
				     const struct field_path *path, struct buffer *buffer,
				     struct tide_error *err)
{
	const char *name;
	if (!field_enum_name(field, at, &name))
		return REFUSE("'%" PRId32 "' has no name", *(const int32_t *)at);
	json_string(buffer, name);
	return TIDE_OK;
}

static tide_status field_encode(const struct tide_field *field, const void *base,
				const struct field_path *path, struct buffer *buffer,
				struct tide_error *err);

static tide_status field_array_encode(const struct tide_field *field, const void *base,
				      const struct field_path *path, struct buffer *buffer,
				      struct tide_error *err)
{
	const char *items = *(char *const *)field_at(field, base);
	size_t count = *field_count(field, base);
	if (count && !items)
		return REFUSE("has %zu items at NULL", count);

	struct tide_field item = field_item(field);
	struct field_path inner = { .outer = path };
	tide_status status = TIDE_OK;
	json_open(buffer, '[');
	for (; inner.index < count && status == TIDE_OK; inner.index++)
		status =
			field_encode(&item, items + inner.index * field->size, &inner, buffer, err);
	json_close(buffer, ']');
	return status;
}

static tide_status field_struct_encode(const struct tide_field *field, const void *at,
				       const struct field_path *path, struct buffer *buffer,
				       struct tide_error *err)
{
	const void *inner = field->flags & TIDE_FIELD_POINTER ? *(void *const *)at : at;
	return inner ? fields_encode(field->fields, inner, path, buffer, err) : REFUSE("is NULL");
}

/** Write the value of a member that has one. */
static tide_status field_encode(const struct tide_field *field, const void *base,
				const struct field_path *path, struct buffer *buffer,
				struct tide_error *err)
{
	const void *at = field_at(field, base);
	switch (field->kind) {
	case TIDE_KIND_BOOL:
		json_bool(buffer, *(const bool *)at);
		return TIDE_OK;
	case TIDE_KIND_TEXT:
	case TIDE_KIND_DECIMAL:
	case TIDE_KIND_JSON:
		return field_text_encode(field, at, path, buffer, err);
	case TIDE_KIND_UUID:
		field_uuid_encode(at, buffer);
		return TIDE_OK;
	case TIDE_KIND_TIME:
		return field_time_encode(at, path, buffer, err);
	case TIDE_KIND_ENUM:
		return field_enum_encode(field, at, path, buffer, err);
	case TIDE_KIND_STRUCT:
		return field_struct_encode(field, at, path, buffer, err);
	case TIDE_KIND_ARRAY:
		return field_array_encode(field, base, path, buffer, err);
	default:
		return field_number_encode(field, at, path, buffer, err);
	}
}

tide_status fields_encode(const struct tide_field *fields, const void *base,
			  const struct field_path *path, struct buffer *buffer,
			  struct tide_error *err)
{
	tide_status status = TIDE_OK;
	struct field_path inner = { .outer = path };
	json_open(buffer, '{');
	for (const struct tide_field *field = fields;
	     field->kind != TIDE_KIND_END && status == TIDE_OK; field++) {
		if (field_is_none(field, base))
			continue;
		inner.field = field;
		json_key(buffer, field->key);
		status = field_encode(field, base, &inner, buffer, err);
	}

	json_close(buffer, '}');
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of an event type as a JSON Schema (draft 2020-12,
 * https://json-schema.org/draft/2020-12). */
#include "types/fields.h"

#include <inttypes.h>

/** The tables around the one being written: one that contains itself is written as a reference. */
struct schema_scope {
	const struct schema_scope *outer; /* NULL: the root */
	const struct tide_field *fields;
	const char *key; /* of the member in the outer scope */
	bool is_item;    /* of an array */
};

/** A schema being written. */
struct schema_writer {
	struct buffer out;
	unsigned policy;
};

static void schema_object(struct schema_writer *writer, const struct schema_scope *scope);

static void schema_word(struct schema_writer *writer, const char *key, const char *value)
{
	json_key(&writer->out, key);
	json_string(&writer->out, value);
}

static void schema_bound(struct schema_writer *writer, const char *key, int64_t value)
{
	json_key(&writer->out, key);
	json_integer(&writer->out, value);
}

/** `#/properties/items/items/properties/…`: where a scope stands in the document. */
static void schema_pointer(struct schema_writer *writer, const struct schema_scope *scope)
{
	if (!scope->outer) {
		buffer_add(&writer->out, "#", 1);
		return;
	}
	schema_pointer(writer, scope->outer);
	buffer_format(&writer->out, "/properties/%s%s", scope->key, scope->is_item ? "/items" : "");
}

static void schema_struct(struct schema_writer *writer, const struct tide_field *field,
			  const struct schema_scope *outer, const char *key, bool is_item)
{
	for (const struct schema_scope *scope = outer; scope; scope = scope->outer) {
		if (scope->fields != field->fields)
			continue;
		json_key(&writer->out, "$ref");
		buffer_add(&writer->out, "\"", 1);
		schema_pointer(writer, scope);
		buffer_add(&writer->out, "\"", 1);
		return;
	}
	schema_object(writer, &(struct schema_scope){ outer, field->fields, key, is_item });
}

static void schema_names(struct schema_writer *writer, const char *const *names)
{
	json_key(&writer->out, "enum");
	json_open(&writer->out, '[');
	for (; *names; names++)
		json_string(&writer->out, *names);
	json_close(&writer->out, ']');
}

static void schema_text(struct schema_writer *writer, const struct tide_field *field)
{
	schema_word(writer, "type", "string");
	if (field->kind == TIDE_KIND_DECIMAL)
		schema_word(writer, "pattern", "^-?[0-9]+(\\.[0-9]+)?$");
	if (!(field->flags & TIDE_FIELD_POINTER))
		schema_bound(writer, "maxLength", (int64_t)field->size - 1);
}

static void schema_integer(struct schema_writer *writer, const struct tide_field *field)
{
	schema_word(writer, "type", "integer");
	if (field->kind == TIDE_KIND_INT32) {
		schema_bound(writer, "minimum", INT32_MIN);
		schema_bound(writer, "maximum", INT32_MAX);
	} else if (field->kind != TIDE_KIND_INT64) {
		schema_bound(writer, "minimum", 0);
	}
	if (field->kind == TIDE_KIND_UINT32)
		schema_bound(writer, "maximum", UINT32_MAX);
}

static void schema_array(struct schema_writer *writer, const struct tide_field *field,
			 const struct schema_scope *scope);

/** The keywords of a field that is no array. */
static void schema_value(struct schema_writer *writer, const struct tide_field *field,
			 const struct schema_scope *scope, const char *key, bool is_item)
{
	switch (field->kind) {
	case TIDE_KIND_BOOL:
		schema_word(writer, "type", "boolean");
		break;
	case TIDE_KIND_DOUBLE:
		schema_word(writer, "type", "number");
		break;
	case TIDE_KIND_TEXT:
	case TIDE_KIND_DECIMAL:
		schema_text(writer, field);
		break;
	case TIDE_KIND_UUID:
	case TIDE_KIND_TIME:
		schema_word(writer, "type", "string");
		schema_word(writer, "format", field->kind == TIDE_KIND_UUID ? "uuid" : "date-time");
		break;
	case TIDE_KIND_ENUM:
		schema_names(writer, field->names);
		break;
	case TIDE_KIND_STRUCT:
		schema_struct(writer, field, scope, key, is_item);
		break;
	case TIDE_KIND_ARRAY:
		schema_array(writer, field, scope);
		break;
	case TIDE_KIND_JSON:
	case TIDE_KIND_END:
		break; /* any value */
	default:
		schema_integer(writer, field);
	}
}

static void schema_array(struct schema_writer *writer, const struct tide_field *field,
			 const struct schema_scope *scope)
{
	struct tide_field item = field_item(field);
	schema_word(writer, "type", "array");
	json_key(&writer->out, "items");
	json_open(&writer->out, '{');
	schema_value(writer, &item, scope, field->key, true);
	json_close(&writer->out, '}');
}

static bool schema_is_required(const struct schema_writer *writer, const struct tide_field *field)
{
	return !(writer->policy & TIDE_DEFAULT_MISSING) &&
	       !(field->flags & (TIDE_FIELD_FLAGGED | TIDE_FIELD_NULLABLE));
}

static void schema_object(struct schema_writer *writer, const struct schema_scope *scope)
{
	schema_word(writer, "type", "object");
	json_key(&writer->out, "properties");
	json_open(&writer->out, '{');
	for (const struct tide_field *field = scope->fields; field->kind != TIDE_KIND_END;
	     field++) {
		json_key(&writer->out, field->key);
		json_open(&writer->out, '{');
		schema_value(writer, field, scope, field->key, false);
		json_close(&writer->out, '}');
	}

	json_close(&writer->out, '}');
	json_key(&writer->out, "required");
	json_open(&writer->out, '[');
	for (const struct tide_field *field = scope->fields; field->kind != TIDE_KIND_END; field++)
		if (schema_is_required(writer, field))
			json_string(&writer->out, field->key);
	json_close(&writer->out, ']');
	json_key(&writer->out, "additionalProperties");
	json_bool(&writer->out, !(writer->policy & TIDE_REFUSE_UNKNOWN));
}

tide_status tide_event_type_schema(const struct tide_event_type *type, char **ret,
				   struct tide_error *err)
{
	if (!type || !type->name || !type->fields || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null", type ? "ret" : "type");
	struct schema_writer writer = { .policy = type->policy };
	json_open(&writer.out, '{');
	schema_word(&writer, "$schema", "https://json-schema.org/draft/2020-12/schema");
	schema_word(&writer, "title", type->name);
	json_key(&writer.out, "$comment");
	buffer_format(&writer.out, "\"event_version %" PRId32 "\"", type->version);
	schema_object(&writer, &(struct schema_scope){ .fields = type->fields });
	json_close(&writer.out, '}');
	return buffer_take(&writer.out, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON into structs by their tables, in one pass.
 *
 * Members are expected in the order of the table, as fields_encode writes them; then each key costs
 * one comparison. Any other order is found by search. What was read before a failure is released;
 * the caller's struct is untouched.
 */
#include "types/fields.h"

#include <assert.h>
#include <stdio.h>

#include "core/text.h"
#include "sys/alloc.h"

#define FIELDS_LOCAL_SIZE 1024 /* structs up to this size are read on the stack */
#define FIELD_SHOWN 80         /* bytes of a value that a message shows */
#define REFUSE(...) field_fail(path, d->err, TIDE_DECODE, __VA_ARGS__)

/** A read in progress. */
struct field_decoder {
	struct json_reader reader;
	unsigned policy;
	const char *what;
	struct tide_error *err;
};

/* ---- Messages -------------------------------------------------------------------------------- */

/** `'abc' is not an integer`; containers and words are named. */
static tide_status field_refuse(struct field_decoder *d, const struct json_token *token,
				const struct field_path *path, const char *wanted)
{
	switch (token->kind) {
	case JSON_ERROR:
		return tide_fail(d->err, TIDE_DECODE, "%s is no JSON: at byte %zu, %s", d->what,
				 d->reader.at, d->reader.problem);
	case JSON_OBJECT:
		return REFUSE("an object is not %s", wanted);
	case JSON_ARRAY:
		return REFUSE("an array is not %s", wanted);
	case JSON_NULL:
		return REFUSE("null is not %s", wanted);
	default: {
		size_t shown = utf8_cut(token->text.data, token->text.size, FIELD_SHOWN);
		return REFUSE("'%.*s%s' is not %s", (int)shown, token->text.data,
			      shown < token->text.size ? "…" : "", wanted);
	}
	}
}

/* ---- Values ---------------------------------------------------------------------------------- */

static bool field_read_uint64(const struct json_token *token, uint64_t *ret)
{
	uint64_t value = 0;
	if (token->kind != JSON_NUMBER)
		return false;
	for (size_t i = 0; i < token->text.size; i++) {
		unsigned digit = (unsigned)(token->text.data[i] - '0');
		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret = value;
	return true;
}

static tide_status field_integer_decode(struct field_decoder *d, enum tide_field_kind kind,
					void *at, const struct json_token *token,
					const struct field_path *path)
{
	int64_t value = 0;
	bool is_integer =
		kind == TIDE_KIND_UINT64 ? field_read_uint64(token, at) : json_int(token, &value);
	if (!is_integer)
		return field_refuse(d, token, path,
				    kind == TIDE_KIND_UINT64 || kind == TIDE_KIND_UINT32
					    ? "an unsigned integer"
					    : "an integer");

	switch (kind) {
	case TIDE_KIND_INT64:
		*(int64_t *)at = value;
		return TIDE_OK;
	case TIDE_KIND_INT32:
		*(int32_t *)at = (int32_t)value;
		return value == (int32_t)value
			       ? TIDE_OK
			       : field_refuse(d, token, path, "an integer of 32 bits");
	case TIDE_KIND_UINT32:
		*(uint32_t *)at = (uint32_t)value;
		return value == (uint32_t)value
			       ? TIDE_OK
			       : field_refuse(d, token, path, "an unsigned integer of 32 bits");
	default:
		return TIDE_OK;
	}
}

/** Copy text to where the field keeps it. */
static tide_status field_keep(struct field_decoder *d, const struct tide_field *field, void *at,
			      const struct json_token *token, const struct field_path *path)
{
	bool is_pointer = field->flags & TIDE_FIELD_POINTER;
	char *room = is_pointer ? alloc_text(token->text.data, token->text.size) : NULL;
	if (is_pointer) {
		if (!room)
			return alloc_fail(d->err);
		tide_free(*(char **)at);
		*(char **)at = room;
	} else if (token->text.size < field->size) {
		room = at;
		memcpy(room, token->text.data, token->text.size);
		room[token->text.size] = '\0';
	}

	if (room) {
		if (token->has_escapes)
			json_unescape(token, room);
		return TIDE_OK;
	}

	/* the raw text does not fit; without its escapes it may */
	ALLOC_AUTO char *plain = alloc_text(token->text.data, token->text.size);
	if (!plain)
		return alloc_fail(d->err);

	size_t size = token->has_escapes ? json_unescape(token, plain) : token->text.size;
	if (size >= field->size)
		return REFUSE("'%.*s…' is longer than %zu bytes",
			      (int)utf8_cut(plain, size, FIELD_SHOWN), plain, field->size - 1);

	memcpy(at, plain, size + 1);
	return TIDE_OK;
}

static tide_status field_text_decode(struct field_decoder *d, const struct tide_field *field,
				     void *at, struct json_token token,
				     const struct field_path *path)
{
	if (field->kind == TIDE_KIND_JSON) {
		struct json_token first = token;
		if (!json_skip(&d->reader, first, &token.text))
			return field_refuse(d, &(struct json_token){ .kind = JSON_ERROR }, path,
					    "");
		token.has_escapes = false;
		return field_keep(d, field, at, &token, path);
	}

	if (field->kind == TIDE_KIND_DECIMAL) {
		if ((token.kind != JSON_STRING && token.kind != JSON_NUMBER) ||
		    !field_is_decimal(token.text.data, token.text.size))
			return field_refuse(d, &token, path, "a decimal number");
	} else if (token.kind != JSON_STRING) {
		return field_refuse(d, &token, path, "a string");
	}
	return field_keep(d, field, at, &token, path);
}

static tide_status field_enum_decode(struct field_decoder *d, const struct tide_field *field,
				     void *at, const struct json_token *token,
				     const struct field_path *path)
{
	char wanted[160] = "one of ";
	size_t used = strlen(wanted);
	for (uint32_t value = 0; field->names[value]; value++) {
		if (token->kind == JSON_STRING && json_equals(token, field->names[value])) {
			memcpy(at, &value, sizeof value);
			return TIDE_OK;
		}
		size_t size = strlen(field->names[value]);
		if (used + size + 3 > sizeof wanted)
			continue;
		used += (size_t)sprintf(wanted + used, "%s%s", value ? ", " : "",
					field->names[value]);
	}
	return field_refuse(d, token, path, wanted);
}

static tide_status fields_read(struct field_decoder *d, const struct tide_field *fields, void *base,
			       const struct json_token *token, const struct field_path *path);
static tide_status field_read(struct field_decoder *d, const struct tide_field *field, void *base,
			      const struct json_token *token, const struct field_path *path);

/** Make room for one more item, zeroed. */
static tide_status field_array_grow(struct field_decoder *d, const struct tide_field *field,
				    void *base, size_t *capacity)
{
	char **items = (char **)field_at(field, base);
	size_t *count = field_count(field, base);
	if (*count == *capacity) {
		size_t wanted = *capacity ? *capacity * 2 : 4;
		char *grown = alloc_resize(*items, wanted, field->size);
		if (!grown)
			return alloc_fail(d->err);
		*items = grown;
		*capacity = wanted;
	}

	memset(*items + *count * field->size, 0, field->size);
	(*count)++;
	return TIDE_OK;
}

static tide_status field_array_decode(struct field_decoder *d, const struct tide_field *field,
				      void *base, const struct json_token *token,
				      const struct field_path *path)
{
	if (token->kind != JSON_ARRAY)
		return field_refuse(d, token, path, "an array");
	field_fini(field, base); /* defaults */

	struct tide_field item = field_item(field);
	struct field_path inner = { .outer = path };
	size_t capacity = 0;

	for (tide_status status = TIDE_OK;; inner.index++) {
		struct json_token next = json_next(&d->reader);
		if (next.kind == JSON_ARRAY_END)
			return TIDE_OK;
		if (next.kind == JSON_ERROR)
			return field_refuse(d, &next, path, "");
		status = field_array_grow(d, field, base, &capacity);
		if (status == TIDE_OK)
			status = field_read(d, &item,
					    *(char **)field_at(field, base) +
						    inner.index * field->size,
					    &next, &inner);
		if (status != TIDE_OK)
			return status;
	}
}

static tide_status field_struct_decode(struct field_decoder *d, const struct tide_field *field,
				       void *at, const struct json_token *token,
				       const struct field_path *path)
{
	if (!(field->flags & TIDE_FIELD_POINTER))
		return fields_read(d, field->fields, at, token, path);
	void **pointer = at;
	if (!*pointer && !(*pointer = alloc_zero(1, field->size)))
		return alloc_fail(d->err);
	return fields_read(d, field->fields, *pointer, token, path);
}

/** A value that is text in JSON and something else in C. */
static tide_status field_parsed_decode(struct field_decoder *d, enum tide_field_kind kind, void *at,
				       const struct json_token *token,
				       const struct field_path *path)
{
	bool is_good = token->kind == JSON_STRING && !token->has_escapes;
	if (kind == TIDE_KIND_UUID)
		return is_good && uuid_read(token->text.data, token->text.size, at)
			       ? TIDE_OK
			       : field_refuse(d, token, path, "a UUID");
	return is_good && time_read(token->text.data, token->text.size, at)
		       ? TIDE_OK
		       : field_refuse(d, token, path, "an instant");
}

static tide_status field_bool_decode(struct field_decoder *d, bool *at,
				     const struct json_token *token, const struct field_path *path)
{
	if (token->kind != JSON_TRUE && token->kind != JSON_FALSE)
		return field_refuse(d, token, path, "true or false");
	*at = token->kind == JSON_TRUE;
	return TIDE_OK;
}

/** Read the value that `token` begins into a member. */
static tide_status field_read(struct field_decoder *d, const struct tide_field *field, void *base,
			      const struct json_token *token, const struct field_path *path)
{
	void *at = (void *)field_at(field, base);
	switch (field->kind) {
	case TIDE_KIND_BOOL:
		return field_bool_decode(d, at, token, path);
	case TIDE_KIND_DOUBLE:
		return json_double(token, at) ? TIDE_OK : field_refuse(d, token, path, "a number");
	case TIDE_KIND_TEXT:
	case TIDE_KIND_DECIMAL:
	case TIDE_KIND_JSON:
		return field_text_decode(d, field, at, *token, path);
	case TIDE_KIND_UUID:
	case TIDE_KIND_TIME:
		return field_parsed_decode(d, field->kind, at, token, path);
	case TIDE_KIND_ENUM:
		return field_enum_decode(d, field, at, token, path);
	case TIDE_KIND_STRUCT:
		return field_struct_decode(d, field, at, token, path);
	case TIDE_KIND_ARRAY:
		return field_array_decode(d, field, base, token, path);
	default:
		return field_integer_decode(d, field->kind, at, token, path);
	}
}

/* ---- Structs --------------------------------------------------------------------------------- */

static bool field_is_named(const struct tide_field *field, const struct json_token *key)
{
	if (key->has_escapes)
		return json_equals(key, field->key);
	return field->key_size == key->text.size &&
	       memcmp(field->key, key->text.data, key->text.size) == 0;
}

/** The field of a key, first looking where it is expected; NULL: none. */
static const struct tide_field *fields_find(const struct tide_field *fields,
					    const struct tide_field *expected,
					    const struct json_token *key)
{
	if (expected->kind != TIDE_KIND_END && field_is_named(expected, key))
		return expected;
	for (const struct tide_field *field = fields; field->kind != TIDE_KIND_END; field++)
		if (field_is_named(field, key))
			return field;
	return NULL;
}

static bool field_may_be_none(const struct tide_field *field)
{
	return field->flags & (TIDE_FIELD_FLAGGED | TIDE_FIELD_NULLABLE);
}

static void field_set_none(const struct tide_field *field, void *base)
{
	field_fini(field, base);
	if (field->flags & TIDE_FIELD_FLAGGED)
		*((bool *)base + field->other) = false;
	else if (field->kind == TIDE_KIND_UUID)
		memset((char *)base + field->offset, 0, field->size);
}

/** Make a member that was read as it was before. */
static void field_forget(const struct tide_field *field, void *base)
{
	field_fini(field, base);
	if (!(field->flags & TIDE_FIELD_POINTER))
		memset((char *)base + field->offset, 0, field->size);
}

/** Read the value of one member; `is_again` says that the object had it before: the last one
 * wins. */
static tide_status field_member(struct field_decoder *d, const struct tide_field *field, void *base,
				bool is_again, const struct field_path *path)
{
	struct json_token token = json_next(&d->reader);
	if (is_again)
		field_forget(field, base);
	if (token.kind == JSON_NULL && field_may_be_none(field)) {
		field_set_none(field, base);
		return TIDE_OK;
	}
	tide_status status = field_read(d, field, base, &token, path);
	if (status == TIDE_OK && field->flags & TIDE_FIELD_FLAGGED)
		*((bool *)base + field->other) = true;
	return status;
}

/** A member without a field. */
static tide_status field_unknown(struct field_decoder *d, const struct json_token *key,
				 const struct field_path *outer)
{
	if (d->policy & TIDE_REFUSE_UNKNOWN)
		return field_fail(&(struct field_path){ .outer = outer, .key = key->text }, d->err,
				  TIDE_DECODE, "is not a known member");
	if (json_skip(&d->reader, *key, NULL))
		return TIDE_OK;
	return field_refuse(d, &(struct json_token){ .kind = JSON_ERROR }, outer, "");
}

static tide_status fields_check_missing(struct field_decoder *d, const struct tide_field *fields,
					const uint64_t *seen, const struct field_path *outer)
{
	if (d->policy & TIDE_DEFAULT_MISSING)
		return TIDE_OK;
	for (size_t i = 0; fields[i].kind != TIDE_KIND_END; i++)
		if (!(seen[i / 64] >> (i % 64) & 1) && !field_may_be_none(&fields[i]))
			return field_fail(
				&(struct field_path){ .outer = outer, .field = &fields[i] }, d->err,
				TIDE_DECODE, "is missing");
	return TIDE_OK;
}

static tide_status fields_read(struct field_decoder *d, const struct tide_field *fields, void *base,
			       const struct json_token *token, const struct field_path *path)
{
	if (token->kind != JSON_OBJECT)
		return field_refuse(d, token, path, "an object");
	uint64_t seen[FIELDS_MAX / 64] = { 0 };
	const struct tide_field *expected = fields;
	struct field_path inner = { .outer = path };

	for (tide_status status = TIDE_OK;;) {
		struct json_token key = json_next(&d->reader);
		if (key.kind == JSON_OBJECT_END)
			return fields_check_missing(d, fields, seen, path);
		if (key.kind != JSON_KEY)
			return field_refuse(d, &key, path, "");
		inner.field = fields_find(fields, expected, &key);
		if (inner.field) {
			size_t index = (size_t)(inner.field - fields);
			assert(index < FIELDS_MAX);
			bool is_again = seen[index / 64] >> (index % 64) & 1;
			seen[index / 64] |= UINT64_C(1) << (index % 64);
			expected = inner.field + 1;
			status = field_member(d, inner.field, base, is_again, &inner);
		} else {
			status = field_unknown(d, &key, path);
		}
		if (status != TIDE_OK)
			return status;
	}
}

/** Read the whole text into a struct that holds the defaults. */
static tide_status fields_read_all(struct field_decoder *d, const struct fields_shape *shape,
				   void *base)
{
	struct json_token token = json_next(&d->reader);
	tide_status status = fields_read(d, shape->fields, base, &token, NULL);
	if (status != TIDE_OK)
		return status;
	token = json_next(&d->reader);
	return token.kind == JSON_END ? TIDE_OK : field_refuse(d, &token, NULL, "");
}

tide_status fields_decode(const struct fields_shape *shape, struct tide_text json, void *ret,
			  struct tide_error *err)
{
	_Alignas(max_align_t) char local[FIELDS_LOCAL_SIZE];
	ALLOC_AUTO void *heap = shape->size > sizeof local ? alloc_zero(1, shape->size) : NULL;
	void *base = shape->size > sizeof local ? heap : local;
	if (!base)
		return alloc_fail(err);
	memset(base, 0, shape->size);
	tide_status status = TIDE_OK;
	if (shape->defaults)
		status = fields_copy(shape->fields, shape->size, base, shape->defaults, err);
	if (status != TIDE_OK)
		return status;

	struct field_decoder d = { .policy = shape->policy, .what = shape->what, .err = err };
	json_read(&d.reader, json.data, json.data ? json.size : 0);
	status = fields_read_all(&d, shape, base);
	if (status == TIDE_OK)
		memcpy(ret, base, shape->size);
	else
		fields_fini(shape->fields, base);
	return status;
}

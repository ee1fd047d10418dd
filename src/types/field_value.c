/* SPDX-License-Identifier: Apache-2.0 */
/* Values of fields in memory: none or not, whose, copied, released. */
#include "types/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sys/alloc.h"

#define FIELD_PATH_SIZE 256     /* bytes of a path in a message */
#define FIELDS_COMPARED_DEPTH 6 /* tables inside tables */

static int field_path_part(const struct field_path *path, char *ret, size_t size)
{
	if (path->field)
		return snprintf(ret, size, ".%s", path->field->key);
	if (path->key.data)
		return snprintf(ret, size, ".%.*s",
				(int)(path->key.size < 80 ? path->key.size : 80), path->key.data);
	return snprintf(ret, size, "[%zu]", path->index);
}

static size_t field_path_write(const struct field_path *path, char *ret, size_t size)
{
	if (!path) {
		memcpy(ret, "$", 2);
		return 1;
	}
	size_t used = field_path_write(path->outer, ret, size);
	int added = field_path_part(path, ret + used, size - used);
	return (size_t)added < size - used ? used + (size_t)added : size - 1;
}

tide_status field_fail(const struct field_path *path, struct tide_error *err, tide_status status,
		       const char *format, ...)
{
	char where[FIELD_PATH_SIZE], what[FIELD_PATH_SIZE];
	field_path_write(path, where, sizeof where);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	return tide_fail(err, status, "%s: %s", where, what);
}

bool field_is_none(const struct tide_field *field, const void *base)
{
	static const struct tide_uuid nil;
	if (field->flags & TIDE_FIELD_FLAGGED)
		return !*((const bool *)base + field->other);
	if (!(field->flags & TIDE_FIELD_NULLABLE))
		return false;
	if (field->kind == TIDE_KIND_UUID)
		return memcmp(field_at(field, base), &nil, sizeof nil) == 0;
	return *(void *const *)field_at(field, base) == NULL;
}

struct tide_field field_item(const struct tide_field *array)
{
	struct tide_field item = { .kind = array->item,
				   .size = array->size,
				   .fields = array->fields,
				   .names = array->names };
	if (item.kind == TIDE_KIND_TEXT || item.kind == TIDE_KIND_DECIMAL ||
	    item.kind == TIDE_KIND_JSON)
		item.flags = TIDE_FIELD_POINTER;
	return item;
}

bool field_enum_name(const struct tide_field *field, const void *at, const char **ret)
{
	uint32_t value, count = 0;
	memcpy(&value, at, sizeof value);
	while (count < value && field->names[count])
		count++;
	*ret = field->names[count];
	return *ret != NULL;
}

static size_t field_digits(const char *text, size_t size)
{
	size_t count = 0;
	while (count < size && text[count] >= '0' && text[count] <= '9')
		count++;
	return count;
}

bool field_is_decimal(const char *text, size_t size)
{
	size_t at = size > 0 && text[0] == '-';
	size_t whole = field_digits(text + at, size - at);
	at += whole;
	if (whole == 0 || at == size)
		return whole > 0;
	return text[at] == '.' && at + 1 < size &&
	       field_digits(text + at + 1, size - at - 1) == size - at - 1;
}

/* ---- Releasing ------------------------------------------------------------------------------- */

static void field_array_fini(const struct tide_field *field, void *base)
{
	char **items = (char **)field_at(field, base);
	size_t *count = field_count(field, base);
	struct tide_field item = field_item(field);
	for (size_t i = 0; *items && i < *count; i++)
		field_fini(&item, *items + i * field->size);
	tide_free(*items);
	*items = NULL;
	*count = 0;
}

static void field_pointer_fini(const struct tide_field *field, void *base)
{
	void **pointer = (void **)field_at(field, base);
	if (*pointer && field->kind == TIDE_KIND_STRUCT)
		fields_fini(field->fields, *pointer);
	tide_free(*pointer);
	*pointer = NULL;
}

void field_fini(const struct tide_field *field, void *base)
{
	if (field->kind == TIDE_KIND_ARRAY)
		field_array_fini(field, base);
	else if (field->flags & TIDE_FIELD_POINTER)
		field_pointer_fini(field, base);
	else if (field->kind == TIDE_KIND_STRUCT)
		fields_fini(field->fields, (void *)field_at(field, base));
}

void fields_fini(const struct tide_field *fields, void *base)
{
	for (const struct tide_field *field = fields; field->kind != TIDE_KIND_END; field++)
		field_fini(field, base);
}

/* ---- Copying --------------------------------------------------------------------------------- */

/* `to` is a bytewise copy whose pointers still are those of `from`; what a field owns is NULL after
 * field_disown. */
static void fields_disown(const struct tide_field *fields, void *base);

static void field_disown(const struct tide_field *field, void *base)
{
	if (field->kind == TIDE_KIND_ARRAY)
		*field_count(field, base) = 0;
	if (field->flags & TIDE_FIELD_POINTER)
		*(void **)field_at(field, base) = NULL;
	else if (field->kind == TIDE_KIND_STRUCT)
		fields_disown(field->fields, (void *)field_at(field, base));
}

static void fields_disown(const struct tide_field *fields, void *base)
{
	for (const struct tide_field *field = fields; field->kind != TIDE_KIND_END; field++)
		field_disown(field, base);
}

static tide_status fields_copy_owned(const struct tide_field *fields, void *to, const void *from,
				     struct tide_error *err);
static tide_status field_copy_owned(const struct tide_field *field, void *to, const void *from,
				    struct tide_error *err);

static tide_status field_array_copy(const struct tide_field *field, void *to, const void *from,
				    struct tide_error *err)
{
	const char *source = *(char *const *)field_at(field, from);
	size_t total = *field_count(field, from);
	if (!source || total == 0)
		return TIDE_OK;

	char *items = alloc_zero(total, field->size);
	if (!items)
		return alloc_fail(err);

	*(char **)field_at(field, to) = items;
	struct tide_field item = field_item(field);
	tide_status status = TIDE_OK;
	for (size_t i = 0; i < total && status == TIDE_OK; i++) {
		memcpy(items + i * field->size, source + i * field->size, field->size);
		field_disown(&item, items + i * field->size);
		*field_count(field, to) = i + 1;
		status = field_copy_owned(&item, items + i * field->size, source + i * field->size,
					  err);
	}
	return status;
}

static tide_status field_pointer_copy(const struct tide_field *field, void *to, const void *from,
				      struct tide_error *err)
{
	const void *source = *(void *const *)field_at(field, from);
	if (!source)
		return TIDE_OK;

	bool is_struct = field->kind == TIDE_KIND_STRUCT;
	void *copy = is_struct ? alloc_zero(1, field->size) : alloc_text(source, strlen(source));
	if (!copy)
		return alloc_fail(err);

	*(void **)field_at(field, to) = copy;
	if (!is_struct)
		return TIDE_OK;

	memcpy(copy, source, field->size);
	fields_disown(field->fields, copy);
	return fields_copy_owned(field->fields, copy, source, err);
}

static tide_status field_copy_owned(const struct tide_field *field, void *to, const void *from,
				    struct tide_error *err)
{
	if (field->kind == TIDE_KIND_ARRAY)
		return field_array_copy(field, to, from, err);
	if (field->flags & TIDE_FIELD_POINTER)
		return field_pointer_copy(field, to, from, err);
	if (field->kind == TIDE_KIND_STRUCT)
		return fields_copy_owned(field->fields, (void *)field_at(field, to),
					 field_at(field, from), err);
	return TIDE_OK;
}

static tide_status fields_copy_owned(const struct tide_field *fields, void *to, const void *from,
				     struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (const struct tide_field *field = fields;
	     field->kind != TIDE_KIND_END && status == TIDE_OK; field++)
		status = field_copy_owned(field, to, from, err);
	return status;
}

tide_status fields_copy(const struct tide_field *fields, size_t size, void *to, const void *from,
			struct tide_error *err)
{
	memcpy(to, from, size);
	fields_disown(fields, to);
	tide_status status = fields_copy_owned(fields, to, from, err);
	if (status != TIDE_OK)
		fields_fini(fields, to);
	return status;
}

/* ---- Comparing tables ------------------------------------------------------------------------ */

static bool field_names_equal(const char *const *a, const char *const *b)
{
	if (a == b || !a || !b)
		return a == b;
	while (*a && *b && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool fields_equal_to(const struct tide_field *a, const struct tide_field *b, int depth);

static bool field_equal(const struct tide_field *a, const struct tide_field *b, int depth)
{
	return a->kind == b->kind && strcmp(a->key, b->key) == 0 && a->flags == b->flags &&
	       a->offset == b->offset && a->size == b->size && a->other == b->other &&
	       a->item == b->item && field_names_equal(a->names, b->names) &&
	       fields_equal_to(a->fields, b->fields, depth);
}

/* A table may contain itself; what is equal to the depth compared is taken as equal. */
static bool fields_equal_to(const struct tide_field *a, const struct tide_field *b, int depth)
{
	if (a == b || !a || !b || depth == 0)
		return a == b || depth == 0;
	while (a->kind != TIDE_KIND_END && b->kind != TIDE_KIND_END &&
	       field_equal(a, b, depth - 1)) {
		a++;
		b++;
	}
	return a->kind == TIDE_KIND_END && b->kind == TIDE_KIND_END;
}

bool fields_equal(const struct tide_field *a, const struct tide_field *b)
{
	return fields_equal_to(a, b, FIELDS_COMPARED_DEPTH);
}

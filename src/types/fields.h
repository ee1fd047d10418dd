/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TYPES_FIELDS_H
#define TIDE_TYPES_FIELDS_H

/* What a table of fields can do: write a struct as JSON, read it back, copy it, release it. */

#include <tidemark/event_type.h>

#include "core/json.h"

#define FIELDS_MAX 256 /* members of one struct */

/** Where in a value we are, for messages; lives on the stack, the innermost part is at hand. */
struct field_path {
	const struct field_path *outer; /* NULL: the struct as a whole */
	const struct tide_field *field; /* NULL: an item of an array */
	struct tide_text key; /* without a field: a member nobody knows; data NULL: an item */
	size_t index;         /* of an item */
};

/** Fail with a message that begins with the path, such as `$.items[3].price: `. */
tide_status field_fail(const struct field_path *path, struct tide_error *err, tide_status status,
		       const char *format, ...) TIDE_PRINTF(4, 5);

/** Whether the member has no value. */
bool field_is_none(const struct tide_field *field, const void *base);
/** The value of a member; of a POINTER kind, where the pointer is. */
static inline const void *field_at(const struct tide_field *field, const void *base)
{
	return (const char *)base + field->offset;
}
/** The field that describes one item of an array, at offset 0. */
struct tide_field field_item(const struct tide_field *array);
/** The count of an array. */
static inline size_t *field_count(const struct tide_field *array, const void *base)
{
	return (size_t *)((char *)base + array->other);
}
/** The value of an enum of four bytes. */
bool field_enum_name(const struct tide_field *field, const void *at, const char **ret);
/** Digits with an optional minus and point: what TIDE_KIND_DECIMAL holds. */
bool field_is_decimal(const char *text, size_t size);

/** Write the struct as one JSON object. TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY (buffer.failed
 * is for the caller).
 */
tide_status fields_encode(const struct tide_field *fields, const void *base,
			  const struct field_path *path, struct buffer *buffer,
			  struct tide_error *err);

/** A struct to read: its table, size, policy and defaults, and what messages call its JSON. */
struct fields_shape {
	const struct tide_field *fields;
	size_t size;
	unsigned policy;
	const void *defaults;
	const char *what; /* "payload" */
};
/** Read one JSON object into `ret`, which is untouched on failure. TIDE_OK, TIDE_DECODE,
 * TIDE_OUT_OF_MEMORY. */
tide_status fields_decode(const struct fields_shape *shape, struct tide_text json, void *ret,
			  struct tide_error *err);

/** Release what the members own and zero their pointers. */
void fields_fini(const struct tide_field *fields, void *base);
/** The same for one member. */
void field_fini(const struct tide_field *field, void *base);
/** Copy a struct of `size` bytes and all it owns; `to` needs no content. TIDE_OK,
 * TIDE_OUT_OF_MEMORY (`to` owns nothing). */
tide_status fields_copy(const struct tide_field *fields, size_t size, void *to, const void *from,
			struct tide_error *err);
/** Whether two tables say the same. */
bool fields_equal(const struct tide_field *a, const struct tide_field *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_JSON_FIELDS_H
#define TIDE_CORE_JSON_FIELDS_H

/* Structs as JSON objects, by a table of their members. Its order is the order of the keys, and
 * part of the contract. */

#include "core/json.h"

/** What a member is. */
enum json_field_kind {
	JSON_FIELD_INTEGER,  /* int64_t */
	JSON_FIELD_SMALL,    /* int32_t */
	JSON_FIELD_UNSIGNED, /* uint32_t */
	JSON_FIELD_SIZE,     /* size_t */
	JSON_FIELD_REAL,     /* double */
	JSON_FIELD_FLAG,     /* bool */
	JSON_FIELD_CHARS,    /* an array of char */
	JSON_FIELD_WORDS,    /* the same; null when it is empty */
	JSON_FIELD_TEXT,     /* const char *; null when it is NULL */
	JSON_FIELD_NAME,     /* an enum, told by name */
	JSON_FIELD_TIME,     /* struct tide_time */
	JSON_FIELD_UUID,     /* struct tide_uuid; null when it is nil */
	JSON_FIELD_ERROR,    /* struct tide_error: its message; null when there is none */
};

/** A member of a struct, and its key. */
struct json_field {
	const char *key;
	enum json_field_kind kind;
	size_t place;                   /* in the struct */
	int decimals;                   /* of a REAL, as json_number has them */
	const char *(*name)(int value); /* of a NAME */
	int names;                      /* of a NAME: so many, from 0; 0: it is not said */
	/* null unless this bool of the struct is set; 0: it always is */
	size_t known;
	bool (*is_known)(const void *object); /* or unless this is true; may be NULL */
};

#define JSON_FIELDS(table) (table), sizeof(table) / sizeof *(table)

/** Add the members to the object that was opened. */
void json_add_fields(struct buffer *buffer, const struct json_field *fields, size_t count,
		     const void *object);
/** An object of these members alone, as a value. */
void json_fields(struct buffer *buffer, const struct json_field *fields, size_t count,
		 const void *object);
/** The same as a text. TIDE_OK, TIDE_ARGUMENT (NULL), TIDE_OUT_OF_MEMORY. */
tide_status json_fields_text(const struct json_field *fields, size_t count, const void *object,
			     char **ret, struct tide_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_JSON_H
#define TIDE_CORE_JSON_H

/*
 * JSON (RFC 8259), strict and without allocation while reading: UTF-8 checked, depth at most 512,
 * no U+0000 and no lone surrogate in escapes. The reader is a tokenizer over text; the writer
 * appends to a growing buffer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tidemark/error.h>
#include <tidemark/event.h>

#define JSON_DEPTH_MAX 512  /* of a payload, and whatever else json_check lets pass */
#define JSON_DEPTH_READ 576 /* of what is read: an event or a dead letter stands around a payload */

enum json_kind {
	JSON_END,   /* the text is over */
	JSON_ERROR, /* see json_reader.problem */
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,      /* [ */
	JSON_ARRAY_END,  /* ] */
	JSON_OBJECT,     /* { */
	JSON_OBJECT_END, /* } */
	JSON_KEY         /* a member's name; its value is the next token */
};

/** One token; `text` is the raw text: of a string without its quotes, of a number its digits. */
struct json_token {
	enum json_kind kind;
	bool has_escapes; /* strings and keys: the raw text contains a backslash */
	struct tide_text text;
	size_t at; /* byte offset of the token */
};

/** A read in progress over borrowed text that need not end in a NUL. */
struct json_reader {
	const char *text;
	size_t size;
	size_t at;
	uint32_t depth;
	uint8_t expect;                           /* what may come next, by the grammar */
	uint32_t depth_max;                       /* JSON_DEPTH_READ, unless set to less */
	uint64_t is_object[JSON_DEPTH_READ / 64]; /* a bit per open container */
	const char *problem;                      /* after JSON_ERROR: what is wrong, static text */
};

void json_read(struct json_reader *reader, const char *text, size_t size);
/** The next token. After the outermost value: JSON_END, or JSON_ERROR when something follows it. */
struct json_token json_next(struct json_reader *reader);
/**
 * Read on until the value that `token` began, or that follows the key `token`, is over; true unless
 * there was an error. `*ret` (may be NULL) is the value's raw text, a string's with its quotes.
 */
bool json_skip(struct json_reader *reader, struct json_token token, struct tide_text *ret);

/** Whether a key or string equals `text`, escapes decoded. */
bool json_equals(const struct json_token *token, const char *text);
/** Decode a string's or key's escapes into `buffer` (at least text.size + 1 bytes); returns the
 * size, NUL-terminated. */
size_t json_unescape(const struct json_token *token, char *buffer);
/** Numbers: false when it is no integer in range, no finite double. */
bool json_int(const struct json_token *token, int64_t *ret);
bool json_double(const struct json_token *token, double *ret);

/** TIDE_ARGUMENT naming `what` ("payload"), the offset and the problem when text is not one JSON
 * value (or no object when asked). */
tide_status json_check(struct tide_text text, bool must_be_object, const char *what,
		       struct tide_error *err);
/** The same for what stands around a payload, which itself may be as deep as json_check lets
 * pass. */
tide_status json_check_around(struct tide_text text, bool must_be_object, const char *what,
			      struct tide_error *err);

/** A growing text; once memory is out it stays `failed` and further writes do nothing. */
struct buffer {
	char *data; /* NUL-terminated when not NULL */
	size_t size;
	size_t capacity;
	bool failed;
};
void buffer_fini(struct buffer *buffer);
/** Make room for `size` more bytes and a NUL, for those who write into `data` themselves. */
bool buffer_reserve(struct buffer *buffer, size_t size);
void buffer_add(struct buffer *buffer, const char *data, size_t size);
void buffer_format(struct buffer *buffer, const char *format, ...) TIDE_PRINTF(2, 3);
/** Hand the text over: TIDE_OK with `*ret` for tide_free, or TIDE_OUT_OF_MEMORY and everything
 * released. */
tide_status buffer_take(struct buffer *buffer, char **ret, struct tide_error *err);

/* Writing JSON: values and members put their commas themselves, from what stands before them. */
void json_open(struct buffer *buffer, char bracket);  /* '{' or '[' */
void json_close(struct buffer *buffer, char bracket); /* '}' or ']' */
void json_key(struct buffer *buffer, const char *key);
/** The same for a literal that needs no escapes, which is put there as it is. */
#define JSON_LITERAL_KEY(buffer, literal) json_add((buffer), "\"" literal "\":", sizeof literal + 2)
/** Text as it is; what stands before it decides about its comma. */
void json_add(struct buffer *buffer, const char *text, size_t size);
/* escaped and quoted; null when data is NULL */
void json_text(struct buffer *buffer, struct tide_text text);
void json_string(struct buffer *buffer, const char *string); /* the same; NULL: null */
void json_integer(struct buffer *buffer, int64_t value);
void json_number(struct buffer *buffer, double value,
		 int decimals); /* decimals < 0: shortest form that reads back the same */
void json_bool(struct buffer *buffer, bool value);
void json_null(struct buffer *buffer);
void json_raw(struct buffer *buffer, struct tide_text json);         /* already JSON */
void json_uuid(struct buffer *buffer, const struct tide_uuid *uuid); /* null when nil */
void json_time(struct buffer *buffer, struct tide_time time);

/* Members, each with its key. */
void json_add_string(struct buffer *buffer, const char *key, const char *string);
void json_add_integer(struct buffer *buffer, const char *key, int64_t value);
void json_add_number(struct buffer *buffer, const char *key, double value, int decimals);
void json_add_bool(struct buffer *buffer, const char *key, bool value);
void json_add_uuid(struct buffer *buffer, const char *key, const struct tide_uuid *uuid);
/* null when it is not known */
void json_add_time(struct buffer *buffer, const char *key, bool is_known, struct tide_time time);

#endif

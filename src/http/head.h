/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_HEAD_H
#define TIDE_HTTP_HEAD_H

/*
 * The head of a request (RFC 9112), and a body in chunks. Strict: what two readers could take
 * differently is refused. Everything here is a function of bytes, without I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tidemark/event.h>

#include "core/json.h"

#define HTTP_LINE_MAX 8192    /* bytes of the request line */
#define HTTP_HEAD_MAX 32768   /* bytes of the whole head */
#define HTTP_FIELDS_MAX 128   /* fields of a head */
#define HTTP_TRAILER_MAX 4096 /* bytes of chunk sizes and trailers that say nothing */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

struct http_field {
	struct tide_text name, value; /* of the value without blanks around it */
};

/** A head that was read: views of its text. */
struct http_head {
	enum http_method method;
	struct tide_text method_name, target;
	int minor; /* HTTP/1.minor */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t field_count;
	bool keeps_alive, is_chunked, has_length, expects_continue;
	uint64_t length; /* of the body, when it has one */
};

/** A head that comes in pieces: how much of it was looked at. Zero to begin with. */
struct http_scan {
	size_t at;
};

/** Why a request is refused: an HTTP status and its words. */
struct http_refusal {
	int status; /* 0: it is not */
	const char *why;
};

/** Look for the end of a head. `*ret_size` is its size with the blank line, 0 while it is not
 * whole. */
struct http_refusal head_scan(struct http_scan *scan, const char *text, size_t size,
			      size_t *ret_size);
/** Read a whole head. */
struct http_refusal head_read(const char *text, size_t size, struct http_head *ret);
/** The first field of that name, whatever the case of its letters; NULL: there is none. */
const struct tide_text *head_field(const struct http_head *head, const char *name);
/** Whether two texts are the same but for the case of ASCII letters. */
bool head_is_word(struct tide_text text, const char *word);

/** A body in chunks that comes in pieces. Zero to begin with. */
struct http_chunks {
	enum {
		CHUNK_SIZE,
		CHUNK_EXTENSION,
		CHUNK_SIZE_END,
		CHUNK_DATA,
		CHUNK_DATA_CR,
		CHUNK_DATA_LF,
		CHUNK_TRAILER,
		CHUNK_TRAILER_LF,
		CHUNK_END_LF,
		CHUNK_DONE
	} state;
	uint64_t left;  /* of the chunk */
	int digits;     /* of its size */
	size_t ignored; /* bytes that say nothing */
	bool has_trailer;
};
/** Take bytes of it; data goes to `body`. `*ret_used` of them belonged to it. */
struct http_refusal chunks_read(struct http_chunks *chunks, const char *data, size_t size,
				uint64_t body_max, struct buffer *body, size_t *ret_used);

#endif

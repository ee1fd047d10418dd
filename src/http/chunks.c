/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body in chunks (RFC 9112, 7.1), a byte after the other.
 *
 *   SIZE ─▶ EXTENSION ─▶ SIZE_END ─▶ DATA ─▶ DATA_CR ─▶ DATA_LF ─▶ SIZE
 *                           │ the size is 0
 *                           ▼
 *                        TRAILER ⇄ TRAILER_LF,   END_LF ─▶ DONE
 *
 * Extensions and trailers are passed over, as far as they are short. Failure modes: a size that is
 * none or more than 16 hexadecimal digits, a chunk that does not end where it said, a lone line
 * feed: refused.
 */
#include "http/head.h"

#include <string.h>

#define REFUSE(status, why) ((struct http_refusal){ (status), (why) })
#define ACCEPT ((struct http_refusal){ 0, NULL })

static int chunk_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct http_refusal chunk_size(struct http_chunks *chunks, char c)
{
	int digit = chunk_digit(c);
	if (digit >= 0 && chunks->digits < 16) {
		chunks->left = chunks->left * 16 + (uint64_t)digit;
		chunks->digits++;
		return ACCEPT;
	}

	if (digit >= 0 || chunks->digits == 0 || (c != '\r' && c != ';'))
		return REFUSE(400, "the size of a chunk is none");
	chunks->state = c == '\r' ? CHUNK_SIZE_END : CHUNK_EXTENSION;
	return ACCEPT;
}

/* Bytes that say nothing: the rest of a line of sizes, or a trailer. */
static struct http_refusal chunk_ignore(struct http_chunks *chunks, char c)
{
	if (++chunks->ignored > HTTP_TRAILER_MAX)
		return REFUSE(431, "what is beside the chunks is longer than 4 KiB");
	if (c == '\n')
		return REFUSE(400, "a line between chunks ends without a carriage return");
	if (chunks->state == CHUNK_EXTENSION) {
		chunks->state = c == '\r' ? CHUNK_SIZE_END : CHUNK_EXTENSION;
		return ACCEPT;
	}
	if (c == '\r')
		chunks->state = chunks->has_trailer ? CHUNK_TRAILER_LF : CHUNK_END_LF;
	chunks->has_trailer = true;
	return ACCEPT;
}

/* What has to be exactly this one. */
static struct http_refusal chunk_mark(struct http_chunks *chunks, char c)
{
	bool is_last = chunks->left == 0;
	if (c != (chunks->state == CHUNK_DATA_CR ? '\r' : '\n'))
		return REFUSE(400, "a chunk does not end where it said");

	switch (chunks->state) {
	case CHUNK_SIZE_END:
		chunks->state = is_last ? CHUNK_TRAILER : CHUNK_DATA;
		break;
	case CHUNK_DATA_CR:
		chunks->state = CHUNK_DATA_LF;
		break;
	case CHUNK_DATA_LF:
		chunks->state = CHUNK_SIZE;
		chunks->digits = 0;
		break;
	case CHUNK_TRAILER_LF:
		chunks->state = CHUNK_TRAILER;
		chunks->has_trailer = false;
		break;
	default:
		chunks->state = CHUNK_DONE;
		break;
	}
	return ACCEPT;
}

static size_t chunk_data(struct http_chunks *chunks, const char *data, size_t size,
			 struct buffer *body)
{
	size_t taken = chunks->left < size ? (size_t)chunks->left : size;
	buffer_add(body, data, taken);
	chunks->left -= taken;
	if (chunks->left == 0)
		chunks->state = CHUNK_DATA_CR;
	return taken;
}

struct http_refusal chunks_read(struct http_chunks *chunks, const char *data, size_t size,
				uint64_t body_max, struct buffer *body, size_t *ret_used)
{
	struct http_refusal refusal = ACCEPT;
	size_t at = 0;

	while (refusal.status == 0 && at < size && chunks->state != CHUNK_DONE) {
		if (chunks->state == CHUNK_DATA) {
			if (chunks->left > body_max - body->size)
				return REFUSE(413, "the body is longer than what is taken here");
			at += chunk_data(chunks, data + at, size - at, body);
			continue;
		}
		char c = data[at++];
		if (chunks->state == CHUNK_SIZE)
			refusal = chunk_size(chunks, c);
		else if (chunks->state == CHUNK_EXTENSION || chunks->state == CHUNK_TRAILER)
			refusal = chunk_ignore(chunks, c);
		else
			refusal = chunk_mark(chunks, c);
	}
	*ret_used = at;
	return refusal;
}

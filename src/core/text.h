/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_TEXT_H
#define TIDE_CORE_TEXT_H

/* Checks of names and other small texts, and reading values that carry a length. */

#include <tidemark/backend.h>
#include <tidemark/event.h>

bool utf8_is_valid(const char *text, size_t size);
/** The greatest size <= `limit` that ends at a character boundary. */
size_t utf8_cut(const char *text, size_t size, size_t limit);
bool text_equals(struct tide_text text, const char *string);
struct tide_text text_view(const char *data, size_t size);
/** Make a C string fit to be one line of UTF-8: control characters become spaces, what is no UTF-8
 * becomes '?'. */
void text_make_line(char *text);
/** Copy a name of whatever size and bytes: cut at a character boundary, and UTF-8. */
void text_take_name(struct tide_text text, char ret[TIDE_NAME_MAX + 1]);

/** Event and aggregate types: 1..255 of A-Z a-z 0-9 _ . -; `what` names the field. TIDE_ARGUMENT
 * with field and value. */
tide_status name_check_type(const char *name, const char *what, struct tide_error *err);
/** Projection and subscription names; `is_partitioned` allows the suffix #i/n. TIDE_ARGUMENT. */
tide_status name_check_projection(const char *name, bool is_partitioned, struct tide_error *err);
/** actor_id, resolved_by: 1..255 bytes of UTF-8 without control characters. TIDE_ARGUMENT. */
tide_status name_check_actor(const char *name, const char *what, struct tide_error *err);

/** The same as the public parsers for texts with a length, and without a message. */
bool uuid_read(const char *text, size_t size, struct tide_uuid *ret);
bool time_read(const char *text, size_t size, struct tide_time *ret);

/** Reads many instants that lie close together: the minute of the last one is remembered. Zero to
 * begin with. */
struct time_reader {
	char minute[16]; /* as it was written: 2026-03-01T10:00 */
	int64_t unix_us; /* its beginning; meaningless while `minute` is empty */
};
/** As time_read. */
bool time_reader_next(struct time_reader *reader, const char *text, size_t size,
		      struct tide_time *ret);
/** Glob of one event type: * ? [abc] [a-z] [!a]; the pattern was checked before. */
bool pattern_matches(const char *pattern, const char *text, size_t size);
/** TIDE_ARGUMENT for an unterminated [ or a size outside 1..255. */
tide_status pattern_check(const char *pattern, struct tide_error *err);
/** FNV-1a, 64 bit. */
uint64_t fnv1a64(const void *data, size_t size);

#endif

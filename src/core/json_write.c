/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/json_string.h"
#include "core/utf8.h"

/* A comma belongs between two values: not at the beginning, behind a bracket or colon, or in front
 * of a new line's value. */
static inline bool json_wants_comma(const struct buffer *buffer)
{
	static const bool begins[256] = {
		['{'] = true, ['['] = true, [':'] = true, [','] = true, ['\n'] = true
	};
	return buffer->size && !begins[(unsigned char)buffer->data[buffer->size - 1]];
}

/* Room as buffer_reserve makes it, without a call where there is some. */
static inline bool json_reserve(struct buffer *buffer, size_t size)
{
	return (!buffer->failed && buffer->capacity - buffer->size > size) ||
	       buffer_reserve(buffer, size);
}

static inline void json_put(struct buffer *buffer, char byte)
{
	if (!json_reserve(buffer, 1))
		return;
	buffer->data[buffer->size++] = byte;
	buffer->data[buffer->size] = '\0';
}

static void json_separate(struct buffer *buffer)
{
	if (json_wants_comma(buffer))
		json_put(buffer, ',');
}

void json_add(struct buffer *buffer, const char *text, size_t size)
{
	json_separate(buffer);
	if (!json_reserve(buffer, size))
		return;
	memcpy(buffer->data + buffer->size, text, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void json_open(struct buffer *buffer, char bracket)
{
	json_separate(buffer);
	json_put(buffer, bracket);
}

void json_close(struct buffer *buffer, char bracket)
{
	json_put(buffer, bracket);
}

/* The escape of a byte that may not stand in a string as it is. */
static void json_add_escape(struct buffer *buffer, unsigned char byte)
{
	static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
	const char *found = memchr(meanings, byte, sizeof meanings - 1);
	if (found)
		buffer_add(buffer, (const char[]){ '\\', letters[found - meanings] }, 2);
	else
		buffer_format(buffer, "\\u%04x", byte);
}

/* Bytes at the beginning of `at` that can be copied as they are. The last eight are looked at
 * together, though some of them were. */
static size_t json_clean_run(const unsigned char *at, size_t size)
{
	size_t run = 0, length;
	while (run < size) {
		if (size - run >= 8 && (length = json_plain_run((const char *)at + run)) > 0) {
			run += length;
			continue;
		}
		if (size >= 8 && size - run < 8 && json_plain_run((const char *)at + size - 8) == 8)
			return size;

		if (at[run] < 0x20 || at[run] == '"' || at[run] == '\\')
			break;
		length = at[run] < 0x80 ? 1 : utf8_length(at + run, size - run);
		if (length == 0)
			break;
		run += length;
	}
	return run;
}

/* Text that needs escapes; `run` bytes at its beginning do not. */
static void json_add_escaped(struct buffer *buffer, const unsigned char *at, size_t size,
			     size_t run)
{
	buffer_add(buffer, "\"", 1);
	for (; size; run = json_clean_run(at, size)) {
		buffer_add(buffer, (const char *)at, run);
		at += run;
		size -= run;
		if (size == 0)
			break;
		if (at[0] >= 0x80)
			buffer_add(buffer, "\xef\xbf\xbd", 3); /* no UTF-8: U+FFFD in its place */
		else
			json_add_escape(buffer, at[0]);
		at++;
		size--;
	}
	buffer_add(buffer, "\"", 1);
}

static void json_add_quoted(struct buffer *buffer, const char *text, size_t size)
{
	size_t run = json_clean_run((const unsigned char *)text, size);
	if (run < size) {
		json_add_escaped(buffer, (const unsigned char *)text, size, run);
	} else if (json_reserve(buffer, size + 2)) {
		char *to = buffer->data + buffer->size;
		to[0] = '"';
		memcpy(to + 1, text, size);
		memcpy(to + 1 + size, "\"", 2);
		buffer->size += size + 2;
	}
}

void json_key(struct buffer *buffer, const char *key)
{
	json_separate(buffer);
	json_add_quoted(buffer, key, strlen(key));
	json_put(buffer, ':');
}

void json_text(struct buffer *buffer, struct tide_text text)
{
	if (!text.data) {
		json_null(buffer);
		return;
	}
	json_separate(buffer);
	json_add_quoted(buffer, text.data, text.size);
}

void json_string(struct buffer *buffer, const char *string)
{
	json_text(buffer, tide_text(string));
}

void json_integer(struct buffer *buffer, int64_t value)
{
	char digits[24];
	size_t at = sizeof digits;
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	do
		digits[--at] = (char)('0' + left % 10);
	while (left /= 10);
	if (value < 0)
		digits[--at] = '-';
	json_add(buffer, digits + at, sizeof digits - at);
}

/* The fewest digits that read back as the same number. */
static void json_shortest(char *ret, size_t size, double value)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(ret, size, "%.*g", digits, value);
		if (strtod(ret, NULL) == value)
			return;
	}
}

void json_number(struct buffer *buffer, double value, int decimals)
{
	if (!isfinite(value)) {
		json_null(buffer); /* JSON has no such numbers */
		return;
	}

	char text[512]; /* DBL_MAX has 309 digits before its point */
	/* The program's locale may have another decimal point. The C locale is static, it need not
	 * be freed. */
	locale_t before = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
	if (decimals < 0)
		json_shortest(text, sizeof text, value);
	else
		snprintf(text, sizeof text, "%.*f", decimals < 100 ? decimals : 100, value);
	uselocale(before);
	json_add(buffer, text, strlen(text));
}

void json_bool(struct buffer *buffer, bool value)
{
	json_add(buffer, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct buffer *buffer)
{
	json_add(buffer, "null", 4);
}

static bool json_is_space(char byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

void json_raw(struct buffer *buffer, struct tide_text json)
{
	if (!json.data) {
		json_null(buffer);
		return;
	}

	while (json.size && json_is_space(json.data[json.size - 1]))
		json.size--; /* a value ends in no space: json_wants_comma relies on it */
	json_separate(buffer);
	size_t start = buffer->size;
	buffer_add(buffer, json.data, json.size);
	if (buffer->failed)
		return;

	/* Outside strings a line break is only space, inside it cannot be: the result is one
	 * line. */
	char *text = buffer->data + start;
	for (const char *breaks = "\n\r"; *breaks; breaks++)
		for (char *at = text; (at = memchr(at, *breaks, json.size - (size_t)(at - text)));)
			*at = ' ';
}

void json_uuid(struct buffer *buffer, const struct tide_uuid *uuid)
{
	if (tide_uuid_is_nil(uuid)) {
		json_null(buffer);
		return;
	}
	char text[TIDE_UUID_TEXT_SIZE + 2] = "\"";
	tide_uuid_format(uuid, text + 1);
	text[TIDE_UUID_TEXT_SIZE] = '"';
	json_add(buffer, text, TIDE_UUID_TEXT_SIZE + 1);
}

void json_time(struct buffer *buffer, struct tide_time time)
{
	char text[TIDE_TIME_TEXT_SIZE + 2] = "\"";
	tide_time_format(time, text + 1);
	text[TIDE_TIME_TEXT_SIZE] = '"';
	json_add(buffer, text, TIDE_TIME_TEXT_SIZE + 1);
}

void json_add_string(struct buffer *buffer, const char *key, const char *string)
{
	json_key(buffer, key);
	json_string(buffer, string);
}

void json_add_integer(struct buffer *buffer, const char *key, int64_t value)
{
	json_key(buffer, key);
	json_integer(buffer, value);
}

void json_add_number(struct buffer *buffer, const char *key, double value, int decimals)
{
	json_key(buffer, key);
	json_number(buffer, value, decimals);
}

void json_add_bool(struct buffer *buffer, const char *key, bool value)
{
	json_key(buffer, key);
	json_bool(buffer, value);
}

void json_add_uuid(struct buffer *buffer, const char *key, const struct tide_uuid *uuid)
{
	json_key(buffer, key);
	json_uuid(buffer, uuid);
}

void json_add_time(struct buffer *buffer, const char *key, bool is_known, struct tide_time time)
{
	json_key(buffer, key);
	if (is_known)
		json_time(buffer, time);
	else
		json_null(buffer);
}

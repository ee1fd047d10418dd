/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text.h"

#include <stdint.h>
#include <string.h>

#include "core/utf8.h"

bool utf8_is_valid(const char *text, size_t size)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + size;
	while (at < end) {
		uint64_t word;
		if (end - at >= 8) {
			memcpy(&word, at, 8);
			if (!(word & UINT64_C(0x8080808080808080))) {
				at += 8;
				continue;
			}
		}
		size_t length = utf8_length(at, (size_t)(end - at));
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

size_t utf8_cut(const char *text, size_t size, size_t limit)
{
	if (size <= limit)
		return size;
	size_t cut = limit;
	for (int back = 0; back < 3 && cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80; back++)
		cut--;
	/* no boundary near: no UTF-8 either */
	return ((unsigned char)text[cut] & 0xc0) == 0x80 ? limit : cut;
}

bool text_equals(struct tide_text text, const char *string)
{
	if (!text.data || !string)
		return !text.data && !string;
	return strnlen(string, text.size + 1) == text.size &&
	       memcmp(text.data, string, text.size) == 0;
}

struct tide_text text_view(const char *data, size_t size)
{
	return (struct tide_text){ data, size };
}

void text_make_line(char *text)
{
	unsigned char *at = (unsigned char *)text;
	size_t left = strlen(text);
	while (left) {
		size_t length = utf8_length(at, left);
		if (length == 0)
			*at = '?';
		else if (utf8_is_control(at))
			memset(at, ' ', length);
		length = length ? length : 1;
		at += length;
		left -= length;
	}
}

void text_take_name(struct tide_text text, char ret[TIDE_NAME_MAX + 1])
{
	size_t size = text.size > TIDE_NAME_MAX ? utf8_cut(text.data, text.size, TIDE_NAME_MAX)
						: text.size;
	if (size)
		memcpy(ret, text.data, size);
	ret[size] = '\0';
	if (!utf8_is_valid(ret, size))
		text_make_line(ret);
}

uint64_t fnv1a64(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/escape.h"

#include <string.h>

#include "core/text.h"
#include "core/utf8.h"

/* A valid character's number. */
static uint32_t escape_code(const unsigned char *at, size_t length)
{
	uint32_t code = length == 1 ? at[0] : at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++)
		code = code << 6 | (at[i] & 0x3f);
	return code;
}

static void escape_add_code(struct buffer *buffer, uint32_t code)
{
	if (code > 0xffff) /* as JSON does */
		buffer_format(buffer, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
			      0xdc00 + (code & 0x3ff));
	else
		buffer_format(buffer, "\\u%04x", code);
}

void escape_add(struct buffer *buffer, struct tide_text text, uint32_t greatest)
{
	const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size,
			    *plain = at;
	while (at < end) {
		size_t length = utf8_length(at, (size_t)(end - at));
		uint32_t code = length ? escape_code(at, length) : 0;
		if (code > 0 && code <= greatest) {
			at += length;
			continue;
		}
		buffer_add(buffer, (const char *)plain, (size_t)(at - plain));
		if (code)
			escape_add_code(buffer, code);
		else
			buffer_format(buffer, "\\x%02x", *at);
		at += length ? length : 1;
		plain = at;
	}
	buffer_add(buffer, (const char *)plain, (size_t)(at - plain));
}

tide_status escape_text(struct tide_text text, uint32_t greatest, char **ret,
			struct tide_error *err)
{
	struct buffer buffer = { 0 };
	escape_add(&buffer, text, greatest);
	buffer_add(&buffer, "", 0);
	return buffer_take(&buffer, ret, err);
}

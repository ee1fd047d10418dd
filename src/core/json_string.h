/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_JSON_STRING_H
#define TIDE_CORE_JSON_STRING_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Check the escape that begins at `text`, a surrogate pair taken as one: NULL with its length, or
 * the problem. */
const char *json_escape_check(const char *text, size_t size, size_t *ret_length);

/** How many of eight bytes come before the first that ends a plain run: a quote, a backslash, a
 * control or non-ASCII byte. */
static inline size_t json_plain_run(const char *at)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t word;
	memcpy(&word, at, 8);
	word = le64toh(word);
	uint64_t quote = (word ^ ones * '"') - ones, backslash = (word ^ ones * '\\') - ones;
	uint64_t special = (word | (word - ones * 0x20) | quote | backslash) & ones * 0x80;
	return special ? (size_t)__builtin_ctzll(special) / 8 : 8;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_UTF8_H
#define TIDE_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool utf8_is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/** Bytes of the character at `at`, of which `left` (> 0) bytes are there; 0 when it is none (RFC
 * 3629 section 4). */
static inline size_t utf8_length(const unsigned char *at, size_t left)
{
	unsigned char lead = at[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4 || left < 2 || !utf8_is_tail(at[1]))
		return 0;
	if (lead < 0xe0)
		return 2;
	/* the shortest form only, no surrogates, nothing above U+10FFFF */
	if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || left < 3 ||
	    !utf8_is_tail(at[2]))
		return 0;
	if (lead < 0xf0)
		return 3;
	if ((lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f) || left < 4 ||
	    !utf8_is_tail(at[3]))
		return 0;
	return 4;
}

/** Whether a valid character is U+0000..001F or U+007F..009F. */
static inline bool utf8_is_control(const unsigned char *at)
{
	return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/text.h"

/* Behind the ']' of the class that begins at `pattern`; NULL when it has none. A ']' that comes
 * first is a member. */
static const char *pattern_class_end(const char *pattern)
{
	const char *at = pattern + 1;
	if (*at == '!')
		at++;
	if (*at == ']')
		at++;
	const char *end = strchr(at, ']');
	return end ? end + 1 : NULL;
}

static bool pattern_class_has(const char *pattern, const char *end, unsigned char byte)
{
	const unsigned char *at = (const unsigned char *)pattern + 1,
			    *last = (const unsigned char *)end - 1;
	bool is_negated = *at == '!';
	bool is_member = false;
	for (at += is_negated; at < last; at++) {
		bool is_range = last - at > 2 && at[1] == '-';
		is_member |= is_range ? at[0] <= byte && byte <= at[2] : at[0] == byte;
		at += is_range ? 2 : 0;
	}
	return is_member != is_negated;
}

/* Behind the part of the pattern that matches this one byte; NULL when it does not match. */
static const char *pattern_step(const char *pattern, char byte)
{
	if (*pattern == '[') {
		const char *end = pattern_class_end(pattern);
		return end && pattern_class_has(pattern, end, (unsigned char)byte) ? end : NULL;
	}
	return *pattern && (*pattern == '?' || *pattern == byte) ? pattern + 1 : NULL;
}

bool pattern_matches(const char *pattern, const char *text, size_t size)
{
	const char *star = NULL; /* behind the last '*' seen: only this one need ever take back */
	size_t star_at = 0, at = 0;
	while (at < size) {
		if (*pattern == '*') {
			star = ++pattern;
			star_at = at;
			continue;
		}
		const char *next = pattern_step(pattern, text[at]);
		if (next) {
			pattern = next;
			at++;
		} else if (star) {
			pattern = star;
			at = ++star_at;
		} else {
			return false;
		}
	}

	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

tide_status pattern_check(const char *pattern, struct tide_error *err)
{
	if (!pattern)
		return tide_fail(err, TIDE_ARGUMENT, "pattern is missing");
	size_t size = strnlen(pattern, TIDE_NAME_MAX + 1);
	if (size == 0 || size > TIDE_NAME_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "pattern '%.40s' is not of 1 to %d bytes",
				 pattern, TIDE_NAME_MAX);

	for (const char *at = pattern; *at;) {
		const char *next = *at == '[' ? pattern_class_end(at) : at + 1;
		if (!next)
			return tide_fail(err, TIDE_ARGUMENT, "pattern '%s' has a [ without ]",
					 pattern);
		at = next;
	}
	return TIDE_OK;
}

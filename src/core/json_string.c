/* SPDX-License-Identifier: Apache-2.0 */
/* What stands inside a token: escapes and numbers. */
#include "core/json_string.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"

#define JSON_NUMBER_SIZE 1100 /* more digits than any double needs */

static int json_hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The code unit of \uXXXX; negative when it is none. */
static int json_unit(const char *text, size_t size)
{
	if (size < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	int unit = 0;
	for (int i = 2; i < 6; i++) {
		int digit = json_hex(text[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static bool json_is_high(int unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool json_is_low(int unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

/* What a letter behind a backslash stands for; 0: nothing. */
static char json_short_escape(char letter)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *found = letter ? strchr(letters, letter) : NULL;
	return found ? meanings[found - letters] : '\0';
}

const char *json_escape_check(const char *text, size_t size, size_t *ret_length)
{
	*ret_length = 2;
	if (size >= 2 && json_short_escape(text[1]))
		return NULL;

	int unit = json_unit(text, size);
	if (unit < 0)
		return "an unknown escape";
	if (unit == 0)
		return "\\u0000, which not every store can hold";

	*ret_length = json_is_high(unit) ? 12 : 6;
	if (json_is_low(unit) ||
	    (json_is_high(unit) && !json_is_low(json_unit(text + 6, size - 6))))
		return "half a surrogate pair";
	return NULL;
}

static size_t json_put_utf8(char *ret, unsigned code)
{
	if (code < 0x80) {
		ret[0] = (char)code;
		return 1;
	}
	size_t tails = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	static const unsigned char leads[] = { 0, 0xc0, 0xe0, 0xf0 };
	ret[0] = (char)(leads[tails] | code >> (6 * tails));
	for (size_t i = 1; i <= tails; i++)
		ret[i] = (char)(0x80 | (code >> (6 * (tails - i)) & 0x3f));
	return tails + 1;
}

/* Decode the checked escape at `*at` and step behind it; the size put into `ret`, at most 4. */
static size_t json_decode_escape(const char **at, char *ret)
{
	const char *text = *at;
	char meaning = json_short_escape(text[1]);
	if (meaning) {
		*at += 2;
		*ret = meaning;
		return 1;
	}

	unsigned unit = (unsigned)json_unit(text, 6);
	*at += 6;
	if (!json_is_high((int)unit))
		return json_put_utf8(ret, unit);

	*at += 6;
	return json_put_utf8(ret, 0x10000 + ((unit - 0xd800) << 10) +
					  ((unsigned)json_unit(text + 6, 6) - 0xdc00));
}

size_t json_unescape(const struct json_token *token, char *buffer)
{
	const char *at = token->text.data, *end = at + token->text.size;
	char *to = buffer;
	while (at < end) {
		const char *backslash =
			token->has_escapes ? memchr(at, '\\', (size_t)(end - at)) : NULL;
		size_t plain = (size_t)((backslash ? backslash : end) - at);
		memmove(to, at, plain);
		to += plain;
		at += plain;
		if (backslash)
			to += json_decode_escape(&at, to);
	}

	*to = '\0';
	return (size_t)(to - buffer);
}

bool json_equals(const struct json_token *token, const char *text)
{
	const char *at = token->text.data, *end = at + token->text.size;
	if (!token->has_escapes)
		return strncmp(text, at, token->text.size) == 0 && text[token->text.size] == '\0';

	while (at < end) {
		char decoded[4];
		size_t size = 1;
		if (*at == '\\')
			size = json_decode_escape(&at, decoded);
		else
			decoded[0] = *at++;
		if (strncmp(text, decoded, size) != 0)
			return false;
		text += size;
	}
	return *text == '\0';
}

bool json_int(const struct json_token *token, int64_t *ret)
{
	if (token->kind != JSON_NUMBER)
		return false;
	const char *at = token->text.data, *end = at + token->text.size;
	bool is_negative = *at == '-';
	int64_t value = 0; /* kept negative: there is one more of them */
	for (at += is_negative; at < end; at++)
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, *at - '0', &value))
			return false;
	if (!is_negative && value == INT64_MIN)
		return false;

	*ret = is_negative ? value : -value;
	return true;
}

bool json_double(const struct json_token *token, double *ret)
{
	if (token->kind != JSON_NUMBER || token->text.size >= JSON_NUMBER_SIZE)
		return false;
	char digits[JSON_NUMBER_SIZE];
	memcpy(digits, token->text.data, token->text.size);
	digits[token->text.size] = '\0';
	/* The program's locale may have another decimal point. The C locale is static, it need not
	 * be freed. */
	double value = strtod_l(digits, NULL, newlocale(LC_ALL_MASK, "C", (locale_t)0));
	if (!isfinite(value))
		return false;
	*ret = value;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as values: numbers, sizes and times with their units, as they are configured. */
#include "core/value.h"

#include <string.h>

#include "core/json.h"

/* A number and what stands behind it, without the blanks between. */
static bool value_split(const char *text, bool is_whole, double *ret, const char **ret_unit)
{
	size_t size = *text == '-' ? 1 : 0;
	size += strspn(text + size, "0123456789");
	if (!is_whole && size > 0 && text[size] == '.')
		size += 1 + strspn(text + size + 1, "0123456789");
	struct json_token token = { .kind = JSON_NUMBER, .text = { text, size } };
	int64_t whole;
	if (size == 0 || text[size - 1] == '.' || text[size - 1] == '-')
		return false;

	bool is_read = is_whole ? json_int(&token, &whole) : json_double(&token, ret);
	if (is_read && is_whole)
		*ret = (double)whole;
	*ret_unit = text + size + strspn(text + size, " \t");
	return is_read;
}

struct value_unit {
	const char *name;
	double factor;
};

static tide_status value_read_unit(const char *text, bool is_whole, const struct value_unit *units,
				   const char *what, double *ret, struct tide_error *err)
{
	const char *unit;
	double number;
	if (value_split(text, is_whole, &number, &unit))
		for (; units->name; units++)
			if (strcmp(units->name, unit) == 0) {
				*ret = number * units->factor;
				return TIDE_OK;
			}
	return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is no %s", text, what);
}

tide_status value_read_integer(const char *text, int64_t *ret, struct tide_error *err)
{
	size_t size = strlen(text), digits = strspn(text + (*text == '-'), "0123456789");
	struct json_token token = { .kind = JSON_NUMBER, .text = { text, size } };
	if (digits == 0 || digits + (*text == '-') != size || !json_int(&token, ret))
		return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is no whole number", text);
	return TIDE_OK;
}

tide_status value_read_real(const char *text, double *ret, struct tide_error *err)
{
	static const struct value_unit none[] = { { "", 1 }, { NULL, 0 } };
	return value_read_unit(text, false, none, "number", ret, err);
}

tide_status value_read_bytes(const char *text, int64_t *ret, struct tide_error *err)
{
	static const struct value_unit units[] = {
		{ "", 1 },   { "B", 1 }, { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 },
		{ NULL, 0 },
	};
	double bytes;
	tide_status status = value_read_unit(text, true, units, "size such as 4096, 64KiB or 16MiB",
					     &bytes, err);
	if (status == TIDE_OK && (bytes > 1e18 || bytes < -1e18))
		return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is too much", text);
	if (status == TIDE_OK)
		*ret = (int64_t)bytes;
	return status;
}

tide_status value_read_seconds(const char *text, double *ret, struct tide_error *err)
{
	static const struct value_unit units[] = {
		{ "", 1 },   { "ms", 0.001 }, { "s", 1 },     { "min", 60 },
		{ "m", 60 }, { "h", 3600 },   { "d", 86400 }, { NULL, 0 },
	};
	return value_read_unit(text, false, units, "time such as 5, 200ms, 1.5s, 2min, 1h or 3d",
			       ret, err);
}

tide_status value_read_flag(const char *text, bool *ret, struct tide_error *err)
{
	bool is_true = strcmp(text, "true") == 0;
	if (!is_true && strcmp(text, "false") != 0)
		return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is neither true nor false", text);
	*ret = is_true;
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/text.h"
#include "core/utf8.h"

/* What a message shows of a value that is too long. */
#define NAME_SHOWN 40

static bool name_is_type_byte(unsigned char byte)
{
	unsigned char lower = byte | 0x20;
	return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' ||
	       byte == '.' || byte == '-';
}

static tide_status name_check_size(const char *name, const char *what, size_t *ret,
				   struct tide_error *err)
{
	if (!name)
		return tide_fail(err, TIDE_ARGUMENT, "%s is missing", what);
	size_t size = strnlen(name, TIDE_NAME_MAX + 1);
	if (size == 0)
		return tide_fail(err, TIDE_ARGUMENT, "%s is empty", what);
	if (size > TIDE_NAME_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "%s '%.*s...' is longer than %d bytes", what,
				 (int)utf8_cut(name, size, NAME_SHOWN), name, TIDE_NAME_MAX);
	*ret = size;
	return TIDE_OK;
}

tide_status name_check_type(const char *name, const char *what, struct tide_error *err)
{
	size_t size = 0;
	tide_status status = name_check_size(name, what, &size, err);
	if (status != TIDE_OK)
		return status;
	for (size_t i = 0; i < size; i++)
		if (!name_is_type_byte((unsigned char)name[i]))
			return tide_fail(err, TIDE_ARGUMENT,
					 "%s '%s' has a character other than A-Z a-z 0-9 _ . -",
					 what, name);
	return TIDE_OK;
}

static tide_status name_check_plain(const char *name, const char *what, size_t *ret,
				    struct tide_error *err)
{
	tide_status status = name_check_size(name, what, ret, err);
	if (status != TIDE_OK)
		return status;

	const unsigned char *at = (const unsigned char *)name;
	for (size_t left = *ret, length; left; at += length, left -= length) {
		length = utf8_length(at, left);
		if (length == 0)
			return tide_fail(err, TIDE_ARGUMENT, "%s '%s' is not valid UTF-8", what,
					 name);
		if (utf8_is_control(at))
			return tide_fail(err, TIDE_ARGUMENT, "%s '%s' has a control character",
					 what, name);
	}
	return TIDE_OK;
}

static size_t name_digits_before(const char *name, size_t size)
{
	size_t digits = 0;
	while (digits < size && name[size - 1 - digits] >= '0' && name[size - 1 - digits] <= '9')
		digits++;
	return digits;
}

static bool name_ends_in_partition(const char *name, size_t size)
{
	size_t total = name_digits_before(name, size);
	if (total == 0 || size == total || name[size - total - 1] != '/')
		return false;
	size -= total + 1;
	size_t index = name_digits_before(name, size);
	return index > 0 && size > index && name[size - index - 1] == '#';
}

tide_status name_check_projection(const char *name, bool is_partitioned, struct tide_error *err)
{
	size_t size = 0;
	tide_status status = name_check_plain(name, "name", &size, err);
	if (status != TIDE_OK)
		return status;
	if (!is_partitioned && name_ends_in_partition(name, size))
		return tide_fail(err, TIDE_ARGUMENT, "name '%s' ends like a partition (#i/n)",
				 name);
	return TIDE_OK;
}

tide_status name_check_actor(const char *name, const char *what, struct tide_error *err)
{
	size_t size = 0;
	return name_check_plain(name, what, &size, err);
}

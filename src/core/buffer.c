/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "sys/alloc.h"

#define BUFFER_CAPACITY_MIN 256

void buffer_fini(struct buffer *buffer)
{
	tide_free(buffer->data);
	*buffer = (struct buffer){ 0 };
}

bool buffer_reserve(struct buffer *buffer, size_t size)
{
	if (buffer->failed)
		return false;
	if (buffer->capacity - buffer->size > size)
		return true;

	size_t need, capacity = buffer->capacity ? buffer->capacity : BUFFER_CAPACITY_MIN;
	if (__builtin_add_overflow(buffer->size, size + 1, &need) || need > SIZE_MAX / 2 ||
	    size == SIZE_MAX)
		buffer->failed = true;
	while (!buffer->failed && capacity < need)
		capacity *= 2;
	char *data = buffer->failed ? NULL : alloc_resize(buffer->data, capacity, 1);
	buffer->failed = !data;
	if (!data)
		return false;

	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

void buffer_add(struct buffer *buffer, const char *data, size_t size)
{
	if (!buffer_reserve(buffer, size))
		return;
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (size < 0 || !buffer_reserve(buffer, (size_t)size))
		return;
	va_start(arguments, format);
	vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, arguments);
	va_end(arguments);
	buffer->size += (size_t)size;
}

tide_status buffer_take(struct buffer *buffer, char **ret, struct tide_error *err)
{
	buffer_add(buffer, "", 0); /* an empty text is a text, too */
	if (buffer->failed) {
		buffer_fini(buffer);
		return alloc_fail(err);
	}
	*ret = buffer->data;
	*buffer = (struct buffer){ 0 };
	return TIDE_OK;
}

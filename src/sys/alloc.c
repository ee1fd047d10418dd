/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/alloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* set for good by the first alloc_fail_from, so that programs pay one load */
static atomic_bool alloc_is_watched;
static _Atomic int64_t alloc_made;
static _Atomic int64_t alloc_refuse_from; /* 0: never */

void alloc_fail_from(int64_t nth)
{
	atomic_store(&alloc_refuse_from, 0);
	atomic_store(&alloc_made, 0);
	atomic_store(&alloc_is_watched, true);
	atomic_store(&alloc_refuse_from, nth);
}

int64_t alloc_count(void)
{
	return atomic_load(&alloc_made);
}

bool alloc_is_refused(void)
{
	if (!atomic_load_explicit(&alloc_is_watched, memory_order_relaxed))
		return false;
	int64_t made = atomic_fetch_add(&alloc_made, 1) + 1;
	int64_t from = atomic_load(&alloc_refuse_from);
	return from > 0 && made >= from;
}

/* Bytes to ask for, 0 when there cannot be so many. Never none: NULL for nothing would look like
 * failure. */
static size_t alloc_bytes(size_t count, size_t size)
{
	size_t bytes;
	if (alloc_is_refused() || __builtin_mul_overflow(count, size, &bytes) ||
	    bytes > PTRDIFF_MAX)
		return 0;
	return bytes ? bytes : 1;
}

void *alloc_zero(size_t count, size_t size)
{
	size_t bytes = alloc_bytes(count, size);
	return bytes ? calloc(1, bytes) : NULL;
}

void *alloc_resize(void *memory, size_t count, size_t size)
{
	size_t bytes = alloc_bytes(count, size);
	return bytes ? realloc(memory, bytes) : NULL;
}

char *alloc_text(const char *text, size_t size)
{
	if (size == SIZE_MAX)
		return NULL;
	char *copy = alloc_resize(NULL, size + 1, 1);
	if (!copy)
		return NULL;
	if (size)
		memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

char *alloc_format(const char *format, ...)
{
	if (alloc_is_refused())
		return NULL;
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	int size = vasprintf(&text, format, arguments);
	va_end(arguments);
	return size < 0 ? NULL : text;
}

tide_status alloc_fail(struct tide_error *err)
{
	return tide_fail(err, TIDE_OUT_OF_MEMORY, "out of memory");
}

void tide_free(void *memory)
{
	free(memory);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_ALLOC_H
#define TIDE_SYS_ALLOC_H

/*
 * Heap memory. All of the library's comes from here, so that a test can make the Nth allocation
 * fail. Every function returns NULL when memory is out; none aborts. Released with tide_free.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tidemark/error.h>

void *alloc_zero(size_t count, size_t size);
void *alloc_resize(void *memory, size_t count, size_t size); /* the old block stays on failure */
char *alloc_text(const char *text, size_t size);             /* a copy with a NUL behind it */
char *alloc_format(const char *format, ...) TIDE_PRINTF(1, 2);

/** Report that memory is out: `return alloc_fail(err);` */
tide_status alloc_fail(struct tide_error *err);

/** For tests: let the Nth allocation from now on and all later ones fail; 0 ends it. Threads:
 * any. */
void alloc_fail_from(int64_t nth);
/** For what takes memory without asking here, such as a thread: count it as an allocation; true
 * when it is to fail. */
bool alloc_is_refused(void);
/** For tests: allocations made since the last alloc_fail_from. */
int64_t alloc_count(void);

static inline void alloc_cleanup(void *pointer)
{
	tide_free(*(void **)pointer);
}
/** A local that is released when it goes out of scope. */
#define ALLOC_AUTO __attribute__((cleanup(alloc_cleanup), unused))

#endif

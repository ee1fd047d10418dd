/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_TIME_H
#define TIDEMARK_TIME_H

#include <stdint.h>

#include <tidemark/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** An instant of wall time in UTC, in the years 0001 to 9999. */
struct tide_time {
	int64_t unix_us; /* microseconds since 1970-01-01T00:00:00Z, negative before */
};

#define TIDE_TIME_TEXT_SIZE 33 /* bytes of the text form with its terminating NUL */
#define TIDE_TIME_MIN_US (-INT64_C(62135596800000000)) /* 0001-01-01T00:00:00.000000 */
#define TIDE_TIME_MAX_US INT64_C(253402300799999999)   /* 9999-12-31T23:59:59.999999 */

/**
 * Read the wall clock.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the present instant.
 */
struct tide_time tide_time_now(void);

/**
 * Read an RFC 3339 instant: `T` or one space, 0 to 9 fraction digits (cut to 6), `Z`, `+HH:MM`, or
 * no zone for UTC.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_time_parse(const char *text, struct tide_time *ret, struct tide_error *err);

/**
 * Write `YYYY-MM-DDTHH:MM:SS.ffffff+00:00` and return `ret`.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: `ret`.
 */
char *tide_time_format(struct tide_time time, char ret[TIDE_TIME_TEXT_SIZE]);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_UUID_H
#define TIDEMARK_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include <tidemark/error.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A UUID (RFC 9562), most significant byte first; all zero is the nil UUID and means "none" in
 * optional fields. */
struct tide_uuid {
	uint8_t bytes[16]; /* in the order of the text form */
};

#define TIDE_UUID_TEXT_SIZE 37 /* bytes of the text form with its terminating NUL */

/**
 * Read the 36-character hyphenated form, in either case.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_uuid_parse(const char *text, struct tide_uuid *ret, struct tide_error *err);

/**
 * Write the lower-case hyphenated form and return `ret`.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: `ret`.
 */
char *tide_uuid_format(const struct tide_uuid *uuid, char ret[TIDE_UUID_TEXT_SIZE]);

/**
 * Make a random UUID (version 4), or a time-ordered one (version 7, increasing within this
 * process).
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the UUID.
 */
struct tide_uuid tide_uuid_v4(void);
struct tide_uuid tide_uuid_v7(void);

/**
 * Make the version-5 UUID of a name (SHA-1, RFC 9562 section 5.5): the same name gives the same
 * UUID everywhere.
 *
 * A NULL `space` means the namespace Tidemark uses for `Order/name:anything`, the URL namespace of
 * RFC 9562.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the UUID.
 */
struct tide_uuid tide_uuid_v5(const struct tide_uuid *space, const char *name);

/**
 * Compare bytewise, which is also the order of the text form.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it is nil, whether they are equal; below, at or above 0 as `a` is before, equal
 *          to or after `b`.
 */
bool tide_uuid_is_nil(const struct tide_uuid *uuid);
bool tide_uuid_equal(const struct tide_uuid *a, const struct tide_uuid *b);
int tide_uuid_compare(const struct tide_uuid *a, const struct tide_uuid *b);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

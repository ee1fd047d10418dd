/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_ESCAPE_H
#define TIDE_CORE_ESCAPE_H

/* Text of anybody's bytes, made fit for where only some characters can be kept. */

#include "core/json.h"

#define ESCAPE_UTF8 0x10ffffu /* any character */
#define ESCAPE_LATIN1 0xffu   /* those of ISO 8859-1 */
#define ESCAPE_ASCII 0x7fu    /* those of every encoding */

/**
 * Add a text so that it is UTF-8 of characters up to `greatest`: others become \uXXXX as in JSON,
 * bytes that are no UTF-8, and NUL, become \xXX. JSON stays the same JSON.
 */
void escape_add(struct buffer *buffer, struct tide_text text, uint32_t greatest);
/** The same as a string of its own, for tide_free. Returns TIDE_OK, TIDE_OUT_OF_MEMORY. */
tide_status escape_text(struct tide_text text, uint32_t greatest, char **ret,
			struct tide_error *err);

#endif

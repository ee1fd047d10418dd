/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_JSON_STRING_H
#define TIDE_CORE_JSON_STRING_H

#include <stddef.h>

/** Check the escape that begins at `text`, a surrogate pair taken as one: NULL with its length, or the problem. */
const char *json_escape_check(const char *text, size_t size, size_t *ret_length);

#endif

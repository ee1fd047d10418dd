/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_VALUE_H
#define TIDE_CORE_VALUE_H

/* Texts as values. TIDE_ARGUMENT with what is wrong with the text, without a name: "'x' is no
 * number". */

#include <stdbool.h>
#include <stdint.h>

#include <tidemark/error.h>

tide_status value_read_integer(const char *text, int64_t *ret, struct tide_error *err);
/** 16 MiB, 64KiB, 4096. */
tide_status value_read_bytes(const char *text, int64_t *ret, struct tide_error *err);
tide_status value_read_real(const char *text, double *ret, struct tide_error *err);
/** 5, 1.5s, 200ms, 2 min or 2m, 1h, 3d. */
tide_status value_read_seconds(const char *text, double *ret, struct tide_error *err);
tide_status value_read_flag(const char *text, bool *ret, struct tide_error *err);

#endif

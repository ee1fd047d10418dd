/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_DIE_H
#define TIDE_TESTS_DIE_H

#include <tidemark/tidemark.h>

/** End the program, saying why under its name. */
_Noreturn void bench_die(const char *format, ...) TIDE_PRINTF(1, 2);
/** The same unless `status` is TIDE_OK. */
void bench_check(tide_status status, const struct tide_error *err);

#endif

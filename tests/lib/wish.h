/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WISH_H
#define TEST_WISH_H

#include <stdint.h>

/** A number that the environment asks for, such as how often, or a seed, else the standard one. */
int64_t test_number(const char *variable, int64_t standard);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_RANDOM_H
#define TIDE_SYS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/** Fill memory from the kernel's generator, by way of a pool per thread; a fork does not repeat
 * it. */
void random_bytes(void *ret, size_t size);

/** A small repeatable generator (xorshift64*) for jitter and simulations. */
struct random {
	uint64_t state; /* never 0 */
};
void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
double random_unit(struct random *random); /* 0 <= x < 1 */

#endif

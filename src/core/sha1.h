/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CORE_SHA1_H
#define TIDE_CORE_SHA1_H

/* SHA-1 (FIPS 180-4), for version-5 UUIDs only. */

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

struct sha1 {
	uint32_t state[5];
	uint64_t size; /* bytes added */
	uint8_t block[64];
};

void sha1_init(struct sha1 *sha1);
void sha1_add(struct sha1 *sha1, const void *data, size_t size);
void sha1_end(struct sha1 *sha1, uint8_t ret[SHA1_SIZE]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sha1.h"

#include <string.h>

static uint32_t sha1_rotate(uint32_t x, int by)
{
	return x << by | x >> (32 - by);
}

static uint32_t sha1_word(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

/* The function and constant of a round, FIPS 180-4 sections 4.1.1 and 4.2.1. */
static uint32_t sha1_mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
	if (round < 20)
		return ((b & c) | (~b & d)) + 0x5a827999;
	if (round < 40)
		return (b ^ c ^ d) + 0x6ed9eba1;
	if (round < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	return (b ^ c ^ d) + 0xca62c1d6;
}

static void sha1_block(struct sha1 *sha1)
{
	uint32_t w[80];
	for (int i = 0; i < 16; i++)
		w[i] = sha1_word(sha1->block + 4 * i);
	for (int i = 16; i < 80; i++)
		w[i] = sha1_rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	uint32_t a = sha1->state[0], b = sha1->state[1], c = sha1->state[2], d = sha1->state[3],
		 e = sha1->state[4];
	for (int i = 0; i < 80; i++) {
		uint32_t next = sha1_rotate(a, 5) + sha1_mix(i, b, c, d) + e + w[i];
		e = d;
		d = c;
		c = sha1_rotate(b, 30);
		b = a;
		a = next;
	}

	sha1->state[0] += a;
	sha1->state[1] += b;
	sha1->state[2] += c;
	sha1->state[3] += d;
	sha1->state[4] += e;
}

void sha1_init(struct sha1 *sha1)
{
	*sha1 = (struct sha1){ .state = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
					  0xc3d2e1f0 } };
}

void sha1_add(struct sha1 *sha1, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	while (size) {
		size_t used = sha1->size % sizeof sha1->block;
		size_t part = sizeof sha1->block - used;
		if (part > size)
			part = size;
		memcpy(sha1->block + used, bytes, part);
		sha1->size += part;
		bytes += part;
		size -= part;
		if (used + part == sizeof sha1->block)
			sha1_block(sha1);
	}
}

void sha1_end(struct sha1 *sha1, uint8_t ret[SHA1_SIZE])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = sha1->size * 8;
	size_t used = sha1->size % 64;
	sha1_add(sha1, padding, used < 56 ? 56 - used : 120 - used);
	uint8_t size[8];
	for (int i = 0; i < 8; i++)
		size[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_add(sha1, size, sizeof size);
	for (int i = 0; i < SHA1_SIZE; i++)
		ret[i] = (uint8_t)(sha1->state[i / 4] >> (24 - 8 * (i % 4)));
}

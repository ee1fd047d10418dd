/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/uuid.h>

#include <endian.h>
#include <string.h>

#include "core/sha1.h"
#include "core/text.h"

#define UUID_ALL(byte) (UINT64_C(0x0101010101010101) * (byte))

/* clang-format off */
/* Where the two digits of each byte stand in the text. */
static const uint8_t uuid_places[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };
/* clang-format on */

/* RFC 9562 section 6.6: the namespace of names that are URLs. */
static const struct tide_uuid uuid_space_url = { { 0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00,
						   0xc0, 0x4f, 0xd4, 0x30, 0xc8 } };

/* Eight hexadecimal digits at once, a byte each in one word; a byte of `*bad` gets its top bit where one is none. */
static uint32_t uuid_read_eight(const char *text, uint64_t *bad)
{
	uint64_t word;
	memcpy(&word, text, 8);
	word = le64toh(word);
	*bad |= word;
	uint64_t low = word & UUID_ALL(0x7f);
	uint64_t letter = (low & UUID_ALL(0x40)) >> 6; /* 1 where it may be a letter */
	uint64_t value = (low & UUID_ALL(0x0f)) + letter * 9;
	uint64_t folded = low & ~(letter << 5); /* letters as capitals */
	uint64_t least = UUID_ALL('0') + letter * ('A' - '0');
	uint64_t most = UUID_ALL('9') + letter * ('F' - '9');
	*bad |= ~((folded | UUID_ALL(0x80)) - least); /* top bit: below the least */
	*bad |= ~((most | UUID_ALL(0x80)) - folded);  /* top bit: above the most */
	value = (value << 4 | value >> 8) & UINT64_C(0x00ff00ff00ff00ff);
	value = (value | value >> 8) & UINT64_C(0x0000ffff0000ffff);
	return htole32((uint32_t)(value | value >> 16));
}

bool uuid_read(const char *text, size_t size, struct tide_uuid *ret)
{
	if (size != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
		return false;
	char middle[16]; /* the two parts around each of the inner hyphens */
	memcpy(middle, text + 9, 4);
	memcpy(middle + 4, text + 14, 4);
	memcpy(middle + 8, text + 19, 4);
	memcpy(middle + 12, text + 24, 4);
	uint64_t bad = 0;
	uint32_t words[4] = { uuid_read_eight(text, &bad), uuid_read_eight(middle, &bad),
			      uuid_read_eight(middle + 8, &bad), uuid_read_eight(text + 28, &bad) };
	if (bad & UUID_ALL(0x80))
		return false;
	memcpy(ret->bytes, words, sizeof ret->bytes);
	return true;
}

tide_status tide_uuid_parse(const char *text, struct tide_uuid *ret, struct tide_error *err)
{
	if (!text || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", text ? "ret" : "UUID text");
	if (!uuid_read(text, strlen(text), ret))
		return tide_fail(err, TIDE_ARGUMENT, "'%.64s' is no UUID of 36 characters", text);
	return TIDE_OK;
}

char *tide_uuid_format(const struct tide_uuid *uuid, char ret[TIDE_UUID_TEXT_SIZE])
{
	static const char digits[16] = "0123456789abcdef";
	for (int i = 0; i < 16; i++) {
		ret[uuid_places[i]] = digits[uuid->bytes[i] >> 4];
		ret[uuid_places[i] + 1] = digits[uuid->bytes[i] & 15];
	}
	ret[8] = ret[13] = ret[18] = ret[23] = '-';
	ret[36] = '\0';
	return ret;
}

struct tide_uuid tide_uuid_v5(const struct tide_uuid *space, const char *name)
{
	struct sha1 sha1;
	sha1_init(&sha1);
	sha1_add(&sha1, (space ? space : &uuid_space_url)->bytes, 16);
	sha1_add(&sha1, name, strlen(name));
	uint8_t digest[SHA1_SIZE];
	sha1_end(&sha1, digest);
	struct tide_uuid uuid;
	memcpy(uuid.bytes, digest, sizeof uuid.bytes);
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x50);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	return uuid;
}

bool tide_uuid_is_nil(const struct tide_uuid *uuid)
{
	static const struct tide_uuid nil;
	return memcmp(uuid, &nil, sizeof nil) == 0;
}

bool tide_uuid_equal(const struct tide_uuid *a, const struct tide_uuid *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

int tide_uuid_compare(const struct tide_uuid *a, const struct tide_uuid *b)
{
	return memcmp(a, b, sizeof *a);
}

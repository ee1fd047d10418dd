/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/uuid.h>

#include <string.h>

#include "core/sha1.h"
#include "core/text.h"

/* clang-format off */
#define UUID_IS_DIGIT 0x10
#define UUID_DIGIT(value) (UUID_IS_DIGIT | (value))
static const uint8_t uuid_digits[256] = {
	['0'] = UUID_DIGIT(0), UUID_DIGIT(1), UUID_DIGIT(2), UUID_DIGIT(3), UUID_DIGIT(4),
	UUID_DIGIT(5), UUID_DIGIT(6), UUID_DIGIT(7), UUID_DIGIT(8), UUID_DIGIT(9),
	['A'] = UUID_DIGIT(10), UUID_DIGIT(11), UUID_DIGIT(12), UUID_DIGIT(13), UUID_DIGIT(14), UUID_DIGIT(15),
	['a'] = UUID_DIGIT(10), UUID_DIGIT(11), UUID_DIGIT(12), UUID_DIGIT(13), UUID_DIGIT(14), UUID_DIGIT(15),
};
#undef UUID_DIGIT
/* Where the two digits of each byte stand in the text. */
static const uint8_t uuid_places[16] = { 0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34 };
/* clang-format on */

/* RFC 9562 section 6.6: the namespace of names that are URLs. */
static const struct tide_uuid uuid_space_url = { { 0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00,
						   0xc0, 0x4f, 0xd4, 0x30, 0xc8 } };

bool uuid_read(const char *text, size_t size, struct tide_uuid *ret)
{
	if (size != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
		return false;
	struct tide_uuid uuid;
	unsigned all = UUID_IS_DIGIT; /* loses the bit as soon as one digit is none */
	for (int i = 0; i < 16; i++) {
		const unsigned char *pair = (const unsigned char *)text + uuid_places[i];
		unsigned high = uuid_digits[pair[0]], low = uuid_digits[pair[1]];
		all &= high & low;
		uuid.bytes[i] = (uint8_t)(high << 4 | (low & 15));
	}
	if (!all)
		return false;
	*ret = uuid;
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

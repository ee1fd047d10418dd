/* SPDX-License-Identifier: Apache-2.0 */
#include <tidemark/uuid.h>

#include <endian.h>
#include <string.h>

#include "core/sha1.h"
#include "core/text.h"

/* RFC 9562 section 6.6: the namespace of names that are URLs. */
static const struct tide_uuid uuid_space_url = { { 0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
						   0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30,
						   0xc8 } };

/* Sixteen bytes at once; the compiler finds the machine's instructions for it, or does without. */
typedef int8_t uuid_lanes __attribute__((vector_size(16)));

typedef uint64_t uuid_words __attribute__((vector_size(16)));

/*
 * Eight digits as they stand in memory, four from each place. Put together in registers: small
 * stores that one great load follows would make it wait for them.
 */
static uint64_t uuid_join(const char *first, const char *second)
{
	uint32_t low, high;
	memcpy(&low, first, sizeof low);
	memcpy(&high, second, sizeof high);
	return htole64(le32toh(low) | (uint64_t)le32toh(high) << 32);
}

/* Sixteen hexadecimal digits to their values; lanes of `*bad` are set where one is none. */
static uuid_lanes uuid_read_digits(uint64_t first, uint64_t second, uuid_lanes *bad)
{
	uuid_lanes digits = (uuid_lanes)(uuid_words){ first, second };
	uuid_lanes is_letter = digits > '@';
	uuid_lanes folded = digits & ~(is_letter & 0x20); /* letters as capitals */
	*bad |= (folded < '0' + (is_letter & ('A' - '0'))) |
		(folded > '9' + (is_letter & ('F' - '9')));
	return (digits & 0x0f) + (is_letter & 9);
}

/* Eight values of four bits to four bytes. */
static uint32_t uuid_pack(uint64_t values)
{
	values = le64toh(values);
	values = (values << 4 | values >> 8) & UINT64_C(0x00ff00ff00ff00ff);
	values = (values | values >> 8) & UINT64_C(0x0000ffff0000ffff);
	return htole32((uint32_t)(values | values >> 16));
}

bool uuid_read(const char *text, size_t size, struct tide_uuid *ret)
{
	if (size != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
		return false;
	uuid_lanes bad = { 0 };
	uuid_lanes values[2] = {
		uuid_read_digits(uuid_join(text, text + 4), uuid_join(text + 9, text + 14), &bad),
		uuid_read_digits(uuid_join(text + 19, text + 24), uuid_join(text + 28, text + 32),
				 &bad),
	};

	uint64_t halves[4], any[2];
	memcpy(any, &bad, sizeof any);
	if (any[0] | any[1])
		return false;

	memcpy(halves, values, sizeof halves);
	uint32_t words[4] = { uuid_pack(halves[0]), uuid_pack(halves[1]), uuid_pack(halves[2]),
			      uuid_pack(halves[3]) };
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

/* Four bytes to their eight digits as they stand in memory: each half of a byte to a byte of its
 * own, those above nine to letters. */
static uint64_t uuid_write_digits(const uint8_t *bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint32_t word;
	memcpy(&word, bytes, sizeof word);

	uint64_t values = be32toh(word);
	values = (values << 16 | values) & UINT64_C(0x0000ffff0000ffff);
	values = (values << 8 | values) & UINT64_C(0x00ff00ff00ff00ff);
	values = (values << 4 | values) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	uint64_t is_letter = (values + ones * 6) >> 4 & ones;
	return htobe64(values + ones * '0' + is_letter * ('a' - '9' - 1));
}

char *tide_uuid_format(const struct tide_uuid *uuid, char ret[TIDE_UUID_TEXT_SIZE])
{
	uint64_t digits[4];
	for (int i = 0; i < 4; i++)
		digits[i] = uuid_write_digits(uuid->bytes + i * 4);

	const char *from = (const char *)digits;
	memcpy(ret, from, 8);
	memcpy(ret + 9, from + 8, 4);
	memcpy(ret + 14, from + 12, 4);
	memcpy(ret + 19, from + 16, 4);
	memcpy(ret + 24, from + 20, 12);
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

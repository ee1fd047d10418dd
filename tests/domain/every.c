/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/every.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/must.h"

static const char *const color_names[] = { "red", "green", "blue", NULL };

static const struct tide_field part_fields[] = {
	TIDE_FIELD_TEXT(struct part, name),
	TIDE_FIELD_INT32(struct part, count),
	TIDE_FIELD_DECIMAL_CHARS(struct part, price),
	TIDE_FIELD_END,
};

const struct tide_field every_fields[] = {
	TIDE_FIELD_BOOL(struct every, flag),
	TIDE_FIELD_INT32(struct every, i32),
	TIDE_FIELD_INT64(struct every, i64),
	TIDE_FIELD_UINT32(struct every, u32),
	TIDE_FIELD_UINT64(struct every, u64),
	TIDE_FIELD_DOUBLE(struct every, real),
	TIDE_FIELD_TEXT(struct every, text, "a \"quoted\" key"),
	TIDE_FIELD_CHARS(struct every, chars),
	TIDE_FIELD_DECIMAL(struct every, decimal),
	TIDE_FIELD_UUID(struct every, id),
	TIDE_FIELD_TIME(struct every, at),
	TIDE_FIELD_ENUM(struct every, color, color_names),
	TIDE_FIELD_JSON(struct every, json),
	TIDE_FIELD_STRUCT(struct every, part, part_fields),
	TIDE_FIELD_OPTIONAL_TEXT(struct every, maybe_text),
	TIDE_FIELD_OPTIONAL_UUID(struct every, maybe_id),
	TIDE_FIELD_OPTIONAL_STRUCT(struct every, maybe_part, part_fields),
	TIDE_FIELD_OPTIONAL(INT64, struct every, maybe_i64, has_maybe_i64),
	TIDE_FIELD_OPTIONAL(CHARS, struct every, maybe_chars, has_maybe_chars),
	TIDE_FIELD_OPTIONAL_ENUM(struct every, maybe_color, has_maybe_color, color_names),
	TIDE_FIELD_ARRAY_STRUCT(struct every, parts, part_count, part_fields),
	TIDE_FIELD_ARRAY(INT64, struct every, numbers, number_count),
	TIDE_FIELD_ARRAY(TEXT, struct every, words, word_count),
	TIDE_FIELD_ARRAY_ENUM(struct every, colors, color_count, color_names),
	TIDE_FIELD_ARRAY(DOUBLE, struct every, reals, real_count),
	TIDE_FIELD_END,
};

TIDE_EVENT_TYPE(every_tolerant, "Every", 1, struct every, every_fields);
TIDE_EVENT_TYPE_WITH(every_strict, "Every", 1, struct every, every_fields, NULL,
		     TIDE_REFUSE_UNKNOWN, NULL);
TIDE_EVENT_TYPE_WITH(every_lenient, "Every", 1, struct every, every_fields, NULL,
		     TIDE_DEFAULT_MISSING, NULL);
const struct tide_event_type *const every_type = &every_tolerant;
const struct tide_event_type *const every_strict_type = &every_strict;
const struct tide_event_type *const every_lenient_type = &every_lenient;

/* ---- Generating ------------------------------------------------------------------------------ */

#define PICK(random, array) (array)[random_next(random) % (sizeof(array) / sizeof *(array))]

static bool coin(struct random *random)
{
	return random_next(random) % 2;
}

static int64_t generate_integer(struct random *random)
{
	static const int64_t limits[] = { 0,         1,         -1,        INT32_MIN,
					  INT32_MAX, INT64_MIN, INT64_MAX, INT64_C(1) << 53 };
	return coin(random) ? PICK(random, limits) : (int64_t)random_next(random);
}

static double generate_real(struct random *random)
{
	static const double limits[] = { 0.0,      -0.0,    0.1,          -1.5,        DBL_MAX,
					 -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, DBL_EPSILON, 1e21 };
	if (coin(random))
		return PICK(random, limits);
	double value;
	do {
		uint64_t bits = random_next(random);
		memcpy(&value, &bits, sizeof value);
	} while (!isfinite(value));
	return value;
}

/** Valid UTF-8 of at most `size` - 1 bytes, with all that needs escaping in it. */
static void generate_chars(struct random *random, char *ret, size_t size)
{
	static const char *const pieces[] = { "a",    "Z",    "\"", "\\", "/", "\n", "\x01",
					      "\x1f", "\x7f", "é",  "→",  "😀", " " };
	ret[0] = '\0';
	for (size_t wanted = random_next(random) % size, used = 0;;) {
		const char *piece = PICK(random, pieces);
		if (used + strlen(piece) > wanted)
			return;
		memcpy(ret + used, piece, strlen(piece) + 1);
		used += strlen(piece);
	}
}

static char *generate_text(struct random *random)
{
	char text[200];
	generate_chars(random, text, sizeof text);
	return strdup(text);
}

static struct tide_uuid generate_uuid(struct random *random)
{
	struct tide_uuid uuid;
	for (size_t i = 0; i < sizeof uuid.bytes; i++)
		uuid.bytes[i] = (uint8_t)random_next(random);
	uuid.bytes[0] |= 1;
	return uuid;
}

static struct tide_time generate_time(struct random *random)
{
	static const int64_t limits[] = { TIDE_TIME_MIN_US, TIDE_TIME_MAX_US, 0, -1, 1 };
	int64_t span =
		(int64_t)(random_next(random) % (uint64_t)(TIDE_TIME_MAX_US - TIDE_TIME_MIN_US));
	return (struct tide_time){ coin(random) ? PICK(random, limits) : TIDE_TIME_MIN_US + span };
}

static void generate_decimal(struct random *random, char *ret, size_t size)
{
	static const char *const limits[] = { "0",      "-0",    "0.00",
					      "-12.50", "00012", "99999999999999.999999" };
	if (coin(random))
		snprintf(ret, size, "%s", PICK(random, limits));
	else
		snprintf(ret, size, "%" PRId32 ".%02u", (int32_t)random_next(random),
			 (unsigned)(random_next(random) % 100));
}

static struct part generate_part(struct random *random)
{
	struct part part = { .name = generate_text(random),
			     .count = (int32_t)generate_integer(random) };
	generate_decimal(random, part.price, sizeof part.price);
	return part;
}

static void generate_scalars(struct every *every, struct random *random)
{
	static const char *const values[] = { "null", "{}", "[1,{\"a\":\" \"}]", "-0.5e-3",
					      "\"\\u00e9\\n\"" };
	every->flag = coin(random);
	every->i32 = (int32_t)generate_integer(random);
	every->i64 = generate_integer(random);
	every->u32 = (uint32_t)generate_integer(random);
	every->u64 = (uint64_t)generate_integer(random);
	every->real = generate_real(random);
	every->text = generate_text(random);
	generate_chars(random, every->chars, sizeof every->chars);
	every->decimal = calloc(1, 32);
	generate_decimal(random, every->decimal, 32);
	every->id = coin(random) ? generate_uuid(random) : (struct tide_uuid){ 0 };
	every->at = generate_time(random);
	every->color = random_next(random) % 3;
	every->json = strdup(PICK(random, values));
	every->part = generate_part(random);
}

static void generate_optionals(struct every *every, struct random *random)
{
	if (coin(random))
		every->maybe_text = generate_text(random);
	if (coin(random))
		every->maybe_id = generate_uuid(random);
	if (coin(random)) {
		every->maybe_part = calloc(1, sizeof *every->maybe_part);
		*every->maybe_part = generate_part(random);
	}
	if ((every->has_maybe_i64 = coin(random)))
		every->maybe_i64 = generate_integer(random);
	if ((every->has_maybe_chars = coin(random)))
		generate_chars(random, every->maybe_chars, sizeof every->maybe_chars);
	if ((every->has_maybe_color = coin(random)))
		every->maybe_color = random_next(random) % 3;
}

#define GENERATE_ARRAY(items, count, value)                                                        \
	do {                                                                                       \
		count = coin(random) ? 0 : random_next(random) % 20;                               \
		items = count ? calloc(count, sizeof *items) : NULL;                               \
		for (size_t i = 0; i < count; i++)                                                 \
			items[i] = value;                                                          \
	} while (0)

void every_generate(struct every *every, struct random *random)
{
	memset(every, 0, sizeof *every);
	generate_scalars(every, random);
	generate_optionals(every, random);
	GENERATE_ARRAY(every->parts, every->part_count, generate_part(random));
	GENERATE_ARRAY(every->numbers, every->number_count, generate_integer(random));
	GENERATE_ARRAY(every->words, every->word_count, generate_text(random));
	GENERATE_ARRAY(every->colors, every->color_count, random_next(random) % 3);
	GENERATE_ARRAY(every->reals, every->real_count, generate_real(random));
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void text_equal(const char *a, const char *b)
{
	assert_true((a == NULL) == (b == NULL));
	if (a)
		assert_string_equal(a, b);
}

static void part_equal(const struct part *a, const struct part *b)
{
	text_equal(a->name, b->name);
	assert_int_equal(a->count, b->count);
	assert_string_equal(a->price, b->price);
}

static void scalars_equal(const struct every *a, const struct every *b)
{
	assert_int_equal(a->flag, b->flag);
	assert_int_equal(a->i32, b->i32);
	assert_true(a->i64 == b->i64);
	assert_true(a->u32 == b->u32);
	assert_true(a->u64 == b->u64);
	assert_memory_equal(&a->real, &b->real, sizeof a->real);
	text_equal(a->text, b->text);
	assert_string_equal(a->chars, b->chars);
	text_equal(a->decimal, b->decimal);
	assert_memory_equal(&a->id, &b->id, sizeof a->id);
	assert_true(a->at.unix_us == b->at.unix_us);
	assert_int_equal(a->color, b->color);
	text_equal(a->json, b->json);
	part_equal(&a->part, &b->part);
}

static void optionals_equal(const struct every *a, const struct every *b)
{
	text_equal(a->maybe_text, b->maybe_text);
	assert_memory_equal(&a->maybe_id, &b->maybe_id, sizeof a->maybe_id);
	assert_true((a->maybe_part == NULL) == (b->maybe_part == NULL));
	if (a->maybe_part)
		part_equal(a->maybe_part, b->maybe_part);
	assert_int_equal(a->has_maybe_i64, b->has_maybe_i64);
	assert_true(a->maybe_i64 == b->maybe_i64);
	assert_int_equal(a->has_maybe_chars, b->has_maybe_chars);
	assert_string_equal(a->maybe_chars, b->maybe_chars);
	assert_int_equal(a->has_maybe_color, b->has_maybe_color);
	assert_int_equal(a->maybe_color, b->maybe_color);
}

void every_equal(const struct every *a, const struct every *b)
{
	scalars_equal(a, b);
	optionals_equal(a, b);
	assert_int_equal(a->part_count, b->part_count);
	for (size_t i = 0; i < a->part_count; i++)
		part_equal(&a->parts[i], &b->parts[i]);
	assert_int_equal(a->number_count, b->number_count);
	if (a->number_count)
		assert_memory_equal(a->numbers, b->numbers, a->number_count * sizeof *a->numbers);
	assert_int_equal(a->word_count, b->word_count);
	for (size_t i = 0; i < a->word_count; i++)
		text_equal(a->words[i], b->words[i]);
	assert_int_equal(a->color_count, b->color_count);
	for (size_t i = 0; i < a->color_count; i++)
		assert_int_equal(a->colors[i], b->colors[i]);
	assert_int_equal(a->real_count, b->real_count);
	if (a->real_count)
		assert_memory_equal(a->reals, b->reals, a->real_count * sizeof *a->reals);
}

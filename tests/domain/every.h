/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_EVERY_H
#define TEST_EVERY_H

/* An event type with a field of every kind, and generated values of it. */

#include <tidemark/tidemark.h>

#include "sys/random.h"

enum color { COLOR_RED, COLOR_GREEN, COLOR_BLUE };

struct part {
	char *name;
	int32_t count;
	char price[24];
};

struct every {
	bool flag;
	int32_t i32;
	int64_t i64;
	uint32_t u32;
	uint64_t u64;
	double real;
	char *text;
	char chars[16];
	char *decimal;
	struct tide_uuid id;
	struct tide_time at;
	enum color color;
	char *json;
	struct part part;
	/* may be absent */
	char *maybe_text;
	struct tide_uuid maybe_id;
	struct part *maybe_part;
	int64_t maybe_i64;
	bool has_maybe_i64;
	char maybe_chars[8];
	bool has_maybe_chars;
	enum color maybe_color;
	bool has_maybe_color;
	/* many */
	struct part *parts;
	size_t part_count;
	int64_t *numbers;
	size_t number_count;
	char **words;
	size_t word_count;
	enum color *colors;
	size_t color_count;
	double *reals;
	size_t real_count;
};

extern const struct tide_field every_fields[];
extern const struct tide_event_type *const every_type;
/** The same table, refusing members it does not know. */
extern const struct tide_event_type *const every_strict_type;
/** The same table, with zero for what is missing. */
extern const struct tide_event_type *const every_lenient_type;

/** Fill with values at their limits and between; release with tide_event_type_fini. */
void every_generate(struct every *every, struct random *random);
/** Fails the test unless both hold the same values. */
void every_equal(const struct every *a, const struct every *b);

#endif

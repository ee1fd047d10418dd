/* SPDX-License-Identifier: Apache-2.0 */
#include "core/parts.h"

#include <string.h>

#include "sys/alloc.h"
#include "unit.h"

static void assert_expands(const char *text, part_set parts, const char *expected)
{
	struct buffer buffer = { 0 };
	parts_expand(&buffer, text, parts);
	assert_false(buffer.failed);
	assert_string_equal(buffer.data, expected);
	buffer_fini(&buffer);
}

static void segments_are_kept_by_what_is_there(void **state)
{
	(void)state;
	static const char text[] =
		"SELECT a<+ANCHOR , b+><-ANCHOR , NULL+> FROM t<+LEASE_SECONDS  WHERE c <> 1+>";
	assert_expands(text, PARTS_ALL, "SELECT a , b FROM t  WHERE c <> 1");
	assert_expands(text, 0, "SELECT a , NULL FROM t");
	assert_expands(text, PART_BIT(PART_LEASE_SECONDS), "SELECT a , NULL FROM t  WHERE c <> 1");
}

static void what_is_no_segment_stays(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "SELECT 1 < 2", "a <> b AND c <-1 AND d <+1",
					     "x->>'y' -> 'z' <- 1" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_expands(texts[i], 0, texts[i]);
}

static void columns_belong_to_one_part_or_to_none(void **state)
{
	(void)state;
	assert_int_equal(part_of("projection_checkpoints", "anchor_position"), PART_ANCHOR);
	assert_int_equal(part_of("projection_versions", "init_hash"), PART_VERSIONS);
	assert_int_equal(part_of("projection_checkpoints", "global_position"), PART_COUNT);
	assert_int_equal(part_of("events", "host"), PART_COUNT);
	for (enum part part = 0; part < PART_COUNT; part++)
		assert_true(strlen(part_loss(part)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_kept_by_what_is_there),
		cmocka_unit_test(what_is_no_segment_stays),
		cmocka_unit_test(columns_belong_to_one_part_or_to_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "sys/alloc.h"

static void the_nth_allocation_and_all_later_ones_fail(void **state)
{
	(void)state;
	alloc_fail_from(3);
	void *first = alloc_zero(1, 8), *second = alloc_resize(NULL, 8, 1);
	assert_non_null(first);
	assert_non_null(second);
	assert_null(alloc_zero(1, 8));
	assert_null(alloc_text("x", 1));
	assert_null(alloc_format("%d", 1));
	assert_null(alloc_resize(first, 64, 1));
	assert_int_equal(alloc_count(), 6);
	alloc_fail_from(0);
	assert_int_equal(alloc_count(), 0);
	void *third = alloc_zero(1, 8);
	assert_non_null(third);
	assert_int_equal(alloc_count(), 1);
	tide_free(first);
	tide_free(second);
	tide_free(third);
}

static void a_size_that_overflows_is_no_memory(void **state)
{
	(void)state;
	assert_null(alloc_zero(SIZE_MAX / 2, 4));
	assert_null(alloc_resize(NULL, SIZE_MAX / 2, 4));
	assert_null(alloc_text("x", SIZE_MAX));
}

static void nothing_is_allocated_too(void **state)
{
	(void)state;
	void *none = alloc_zero(0, 8), *empty = alloc_resize(NULL, 0, 0);
	assert_non_null(none);
	assert_non_null(empty);
	tide_free(none);
	tide_free(empty);
	tide_free(NULL);
}

static void texts_are_copied_with_a_nul_behind(void **state)
{
	(void)state;
	char *text = alloc_text("abcdef", 3), *empty = alloc_text(NULL, 0),
	     *formatted = alloc_format("%s-%d", "a", 7);
	assert_string_equal(text, "abc");
	assert_string_equal(empty, "");
	assert_string_equal(formatted, "a-7");
	tide_free(text);
	tide_free(empty);
	tide_free(formatted);
}

static void no_memory_is_reported_by_name(void **state)
{
	(void)state;
	struct tide_error err;
	assert_fails(alloc_fail(&err), TIDE_OUT_OF_MEMORY, &err, "out of memory");
	assert_int_equal(err.retry, TIDE_RETRY_LATER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nth_allocation_and_all_later_ones_fail),
		cmocka_unit_test(a_size_that_overflows_is_no_memory),
		cmocka_unit_test(nothing_is_allocated_too),
		cmocka_unit_test(texts_are_copied_with_a_nul_behind),
		cmocka_unit_test(no_memory_is_reported_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

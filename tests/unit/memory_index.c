/* SPDX-License-Identifier: Apache-2.0 */
/* The index of the memory store: what shares a slot with something that goes stays. */
#include "unit.h"

#include "backends/memory/index.h"

static bool has(const struct index *index, uint64_t hash, int64_t value)
{
	int64_t found;
	for (size_t probe = 0; (found = index_next(index, hash, &probe)) != 0;)
		if (found == value)
			return true;
	return false;
}

static void what_goes_hides_nothing_behind_it(void **state)
{
	(void)state;
	struct index index = { 0 };
	assert_int_equal(index_reserve(&index, 8, NULL), TIDE_OK);
	/* one slot for all of them, the last but one has a slot of its own among theirs */
	for (int64_t value = 1; value <= 6; value++)
		index_put(&index, value == 5 ? 2 : 0, value);
	for (int64_t gone = 1; gone <= 6; gone++) {
		index_remove(&index, gone == 5 ? 2 : 0, gone);
		for (int64_t value = 1; value <= 6; value++)
			assert_int_equal(has(&index, value == 5 ? 2 : 0, value), value > gone);
	}
	index_fini(&index);
}

static void it_grows_before_it_is_full(void **state)
{
	(void)state;
	struct index index = { 0 };
	for (int64_t value = 1; value <= 1000; value++) {
		assert_int_equal(index_reserve(&index, 1, NULL), TIDE_OK);
		index_put(&index, (uint64_t)value % 7, value);
		assert_true(index.count < index.capacity);
	}
	for (int64_t value = 1; value <= 1000; value++)
		assert_true(has(&index, (uint64_t)value % 7, value));
	assert_false(has(&index, 0, 1001));
	index_fini(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_hides_nothing_behind_it),
		cmocka_unit_test(it_grows_before_it_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

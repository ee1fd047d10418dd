/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of events that may come again. */
#include "path/fate.h"

#include "sys/alloc.h"
#include "unit.h"

static const struct tide_error refused = { .status = TIDE_ARGUMENT };

static struct fate *end(struct fates *fates, tide_position position)
{
	struct fate *fate = fates_end(fates, position);
	fate->error = refused;
	fate->stacktrace = alloc_text("at line 7", 9);
	return fate;
}

static void events_that_failed_are_finished_as_they_come_again(void **state)
{
	(void)state;
	struct fates fates = { 0 };
	end(&fates, 7);
	assert_ptr_equal(fates_ending(&fates), fates_find(&fates, 7));
	fates_put_off(&fates); /* the feed has begun anew before it */
	assert_null(fates_ending(&fates));
	end(&fates, 3);
	fates_check(&fates, 2);

	assert_true(fates_has_failed(&fates, 7) && fates_has_failed(&fates, 3));
	assert_false(fates_has_failed(&fates, 5));
	fates_settle(&fates, 3, false);
	assert_null(fates_find(&fates, 3));
	fates_come_again(&fates, 7);
	assert_int_equal(fates_ending(&fates)->position, 7);
	fates_settle(&fates, 7, false);
	assert_int_equal(fates.count, 0);
}

static void an_event_is_buried_once_and_refused_the_second_time(void **state)
{
	(void)state;
	struct fates fates = { 0 };
	fates_doom(&fates, 4, &refused);
	assert_int_equal(fates_doomed(&fates, 4)->error.status, TIDE_ARGUMENT);
	assert_false(fates_has_refused(&fates));
	end(&fates, 4)->is_uncalled = true;
	fates_settle(&fates, 4, true);
	assert_int_equal(fates_find(&fates, 4)->kind, FATE_BURIED);

	fates_doom(&fates, 4, &refused);
	assert_true(fates_has_refused(&fates));
	assert_non_null(fates_doomed(&fates, 4));
	fates_commit(&fates, 3);
	assert_int_equal(fates.count, 1);
	fates_commit(&fates, 4);
	assert_int_equal(fates.count, 0);
}

static void tries_of_a_dead_letter_go_on_counting_when_its_event_comes_again(void **state)
{
	(void)state;
	struct fates fates = { 0 };
	fates_try_entry(&fates, 5, 2);
	assert_int_equal(fates_find(&fates, 5)->entry_tries, 2);
	assert_false(fates_has_failed(&fates, 5));
	fates_try_entry(&fates, 5, 0);
	assert_int_equal(fates_find(&fates, 5)->entry_tries, 0);
	fates_forget(&fates);
}

static void of_too_many_the_furthest_is_forgotten(void **state)
{
	(void)state;
	struct fates fates = { 0 };
	for (tide_position position = FATES_MAX + 2; position > 0; position--) {
		end(&fates, position);
		fates_put_off(&fates);
	}
	assert_int_equal(fates.count, FATES_MAX);
	assert_true(fates_has_failed(&fates, 1) && fates_has_failed(&fates, FATES_MAX));
	assert_false(fates_has_failed(&fates, FATES_MAX + 1));
	fates_check(&fates, 0);
	fates_forget(&fates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_that_failed_are_finished_as_they_come_again),
		cmocka_unit_test(an_event_is_buried_once_and_refused_the_second_time),
		cmocka_unit_test(tries_of_a_dead_letter_go_on_counting_when_its_event_comes_again),
		cmocka_unit_test(of_too_many_the_furthest_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that a try goes by: how long to wait, when a breaker opens, since when a database is
 * gone. */
#include "policy/availability.h"
#include "policy/breaker.h"
#include "policy/rate.h"
#include "policy/retry.h"
#include "unit.h"

static struct mono_time at(int64_t seconds)
{
	return (struct mono_time){ seconds * NS_PER_SECOND };
}

/* ---- Retry ----------------------------------------------------------------------------------- */

static double delay_of(double jitter, int32_t k, struct random *random)
{
	const struct retry_policy policy = {
		.initial_delay = 0.5, .max_delay = 60, .base = 3, .jitter = jitter
	};
	return seconds_of_ns(retry_delay(&policy, k, random));
}

static void delays_grow_by_their_base_up_to_the_greatest(void **state)
{
	(void)state;
	struct random random;
	static const double expected[] = { 0.5, 1.5, 4.5, 13.5, 40.5, 60, 60 };
	random_seed(&random, 1);
	for (int32_t k = 0; k < (int32_t)(sizeof expected / sizeof *expected); k++)
		assert_float_equal(delay_of(0, k, &random), expected[k], 1e-6);
	assert_float_equal(delay_of(0, INT32_MAX, &random), 60, 1e-6);
}

static void jitter_is_a_part_of_the_delay_that_has_grown(void **state)
{
	(void)state;
	struct random random;
	double least = 60, most = 0;
	random_seed(&random, 7);
	for (int i = 0; i < 1000; i++) {
		double delay = delay_of(0.2, 2, &random);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_true(least >= 4.5 * 0.8 && least < 4.5 * 0.85);
	assert_true(most <= 4.5 * 1.2 && most > 4.5 * 1.15);
}

/* ---- The breaker ----------------------------------------------------------------------------- */

static const struct tide_time wall = { 1 };

static void a_breaker_opens_once_however_much_fails_while_it_is_open(void **state)
{
	(void)state;
	struct breaker breaker;
	breaker_init(&breaker, true, 2, 10);
	assert_false(breaker_failure(&breaker, at(1), wall));
	assert_true(breaker_failure(&breaker, at(2), wall));
	assert_int_equal(breaker.times_opened, 1);

	/* what was let through before it opened */
	assert_false(breaker_failure(&breaker, at(3), wall));
	assert_int_equal(breaker.times_opened, 1);
	assert_int_equal(breaker_ready_at(&breaker).ns, at(13).ns);
	assert_false(breaker_admit(&breaker, at(12), false));

	assert_true(breaker_admit(&breaker, at(13), false));
	assert_false(breaker_admit(&breaker, at(13), false));
	assert_true(breaker_failure(&breaker, at(14), wall)); /* the probe opens it again */
	assert_int_equal(breaker.times_opened, 2);
	assert_int_equal(breaker.state, BREAKER_OPEN);
}

/* One that did not wait for the recovery time, whose handler was not called after all. */
static void a_probe_that_is_cancelled_leaves_the_next_call_a_probe(void **state)
{
	(void)state;
	struct breaker breaker;
	breaker_init(&breaker, true, 1, 10);
	assert_true(breaker_failure(&breaker, at(2), wall));
	assert_false(breaker_admit(&breaker, at(4), false));
	assert_true(breaker_admit(&breaker, at(4), true));
	breaker_cancel(&breaker);
	assert_int_equal(breaker.state, BREAKER_OPEN);
	assert_true(breaker_admit(&breaker, at(4), false));
}

/* ---- Availability ---------------------------------------------------------------------------- */

static void note(struct availability *availability, tide_status status, int64_t seconds)
{
	struct tide_error error = { .status = status };
	availability_note(availability, status, status == TIDE_OK ? NULL : &error, at(seconds));
}

static void an_outage_is_told_since_its_first_failure_in_a_row(void **state)
{
	(void)state;
	struct availability one = { 0 };
	note(&one, TIDE_CONNECTION_LOST, 3);
	note(&one, TIDE_DISK_FULL, 5);
	assert_int_equal(one.state, TIDE_UNAVAILABLE);
	assert_int_equal(one.since.ns, at(3).ns);
	assert_int_equal(one.error.status, TIDE_DISK_FULL); /* the last one */

	note(&one, TIDE_FENCED, 6); /* an answer */
	assert_int_equal(one.state, TIDE_AVAILABLE);
	note(&one, TIDE_BUSY, 8);
	assert_int_equal(one.since.ns, at(8).ns);

	availability_note_silence(&one, at(9));
	assert_int_equal(one.since.ns, at(8).ns);
	availability_note_silence(&one, at(7));
	assert_int_equal(one.since.ns, at(7).ns);
}

static void of_two_databases_the_worse_is_told_and_of_two_outages_the_older(void **state)
{
	(void)state;
	struct availability there = { 0 }, early = { 0 }, late = { 0 };
	note(&there, TIDE_OK, 1);
	note(&early, TIDE_CONNECTION_LOST, 2);
	note(&late, TIDE_DISK_FULL, 3);
	assert_int_equal(availability_worse(&there, &late).error.status, TIDE_DISK_FULL);
	assert_int_equal(availability_worse(&late, &there).error.status, TIDE_DISK_FULL);
	assert_int_equal(availability_worse(&early, &late).since.ns, at(2).ns);
	assert_int_equal(availability_worse(&late, &early).since.ns, at(2).ns);
}

/* ---- What happens in a minute ---------------------------------------------------------------- */

static void a_minute_counts_what_was_in_it(void **state)
{
	static const struct {
		int64_t seconds, count;
	} looks[] = { { 130, 3 }, { 159, 3 }, { 160, 2 }, { 184, 2 }, { 185, 0 } };
	(void)state;
	struct rate rate = { 0 };
	rate_add(&rate, at(100));
	rate_add(&rate, at(125));
	rate_add(&rate, at(125));
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
		assert_int_equal(rate_per_minute(&rate, at(looks[i].seconds)), looks[i].count);
}

/* As many minutes as the time since then has, or a day: the seconds have come round. */
static void after_peace_a_minute_has_nothing_in_it(void **state)
{
	static const int64_t later[] = { 60, 61, 119, 120, 600, 86400 };
	(void)state;
	for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
		struct rate rate = { 0 };
		rate_add(&rate, at(100));
		assert_int_equal(rate_per_minute(&rate, at(100 + later[i])), 0);
		rate_add(&rate, at(100 + later[i]));
		assert_int_equal(rate_per_minute(&rate, at(100 + later[i])), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_grow_by_their_base_up_to_the_greatest),
		cmocka_unit_test(jitter_is_a_part_of_the_delay_that_has_grown),
		cmocka_unit_test(a_breaker_opens_once_however_much_fails_while_it_is_open),
		cmocka_unit_test(a_probe_that_is_cancelled_leaves_the_next_call_a_probe),
		cmocka_unit_test(an_outage_is_told_since_its_first_failure_in_a_row),
		cmocka_unit_test(of_two_databases_the_worse_is_told_and_of_two_outages_the_older),
		cmocka_unit_test(a_minute_counts_what_was_in_it),
		cmocka_unit_test(after_peace_a_minute_has_nothing_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a program asks of a manager in one call: run everything, which are paused, what kind of
 * state, 200 or 503. */
#include "rig.h"

static void a_run_returns_behind_everything_that_was_stored(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "sqlite:%d/store.db");
	rig_subscribe_as(&rig, "More", NULL);
	tide_position last = 0;
	for (int i = 0; i < 250; i++)
		last = rig_append(&rig, "Good");
	must(tide_manager_run(rig.manager, 30, err));
	assert_true(tide_manager_is_running(rig.manager));
	assert_int_equal(
		tide_subscription_position(tide_manager_subscription(rig.manager, "Totals")), last);
	assert_int_equal(tide_subscription_position(rig.subscription), last);
	assert_int_equal(rig.script.calls, 500);
	rig_close(&rig);
}

static void a_run_tells_the_failure_of_a_start(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_error err;
	rig_ready(&rig, "fault:op=lease_acquire,status=corrupt/memory:%n");
	assert_int_equal(tide_manager_run(rig.manager, 0, &err), TIDE_CORRUPT);
	assert_int_equal(tide_manager_run(rig.manager, -1, &err), TIDE_ARGUMENT);
	rig_close(&rig);
}

static void a_subscription_says_what_kind_of_state_it_is_in(void **state)
{
	(void)state;
	static const struct {
		enum tide_state state;
		bool is_running, is_paused, is_terminal;
	} kinds[] = {
		{ TIDE_STATE_STARTING, false, false, false },
		{ TIDE_STATE_CATCHING_UP, true, false, false },
		{ TIDE_STATE_LIVE, true, false, false },
		{ TIDE_STATE_PAUSED, false, true, false },
		{ TIDE_STATE_STOPPED, false, false, true },
		{ TIDE_STATE_ERROR, false, false, true },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		assert_int_equal(tide_state_is_running(kinds[i].state), kinds[i].is_running);
		assert_int_equal(tide_state_is_paused(kinds[i].state), kinds[i].is_paused);
		assert_int_equal(tide_state_is_terminal(kinds[i].state), kinds[i].is_terminal);
	}
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	assert_false(tide_subscription_is_running(rig.subscription) ||
		     tide_subscription_is_terminal(rig.subscription));
	rig_start(&rig);
	assert_true(tide_subscription_is_running(rig.subscription));
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	wait_for(10, tide_subscription_is_paused(rig.subscription));
	assert_false(tide_subscription_is_running(rig.subscription) ||
		     tide_subscription_is_terminal(rig.subscription));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	assert_true(tide_subscription_is_terminal(rig.subscription));
	rig_close(&rig);
	assert_true(tide_subscription_is_terminal(NULL));
}

static size_t paused_count(struct rig *rig)
{
	TIDE_CLEANUP(tide_free) const char **names = NULL;
	size_t count = 0;
	must(tide_manager_paused_names(rig->manager, &names, &count, err));
	assert_null(names[count]);
	return count;
}

static void the_names_of_the_paused_are_names_for_other_calls(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	rig_subscribe_as(&rig, "B", NULL);
	rig_subscribe_as(&rig, "A", NULL);
	rig_start(&rig);
	assert_int_equal(paused_count(&rig), 0);
	assert_true(tide_manager_pause(rig.manager, "A", TIDE_PAUSE_MANUAL));
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	wait_for(10, paused_count(&rig) == 2);
	TIDE_CLEANUP(tide_free) const char **names = NULL;
	size_t count;
	must(tide_manager_paused_names(rig.manager, &names, &count, err));
	assert_string_equal(names[0], "Totals");
	assert_string_equal(names[1], "A");
	must(tide_manager_stop(rig.manager, names, 0, err));
	assert_true(
		tide_subscription_is_terminal(tide_manager_subscription(rig.manager, "Totals")));
	assert_true(tide_subscription_is_running(tide_manager_subscription(rig.manager, "B")));
	rig_close(&rig);
}

static int health_answer(struct rig *rig)
{
	TIDE_CLEANUP(tide_health_fini) struct tide_health health = { 0 };
	must(tide_manager_health(rig->manager, &health, err));
	return tide_health_http_status(&health);
}

static int readiness_answer(struct rig *rig)
{
	TIDE_CLEANUP(tide_readiness_fini) struct tide_readiness readiness = { 0 };
	must(tide_manager_readiness(rig->manager, &readiness, err));
	return tide_readiness_http_status(&readiness);
}

static void a_probe_is_200_only_when_all_is_well(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	assert_int_equal(health_answer(&rig), 503); /* nothing is known of it yet */
	assert_int_equal(readiness_answer(&rig), 503);
	rig_start(&rig);
	wait_for(10, health_answer(&rig) == 200);
	assert_int_equal(readiness_answer(&rig), 200);
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	wait_for(10, health_answer(&rig) == 503);
	assert_int_equal(readiness_answer(&rig), 200);
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_int_equal(tide_liveness_http_status(&liveness), 200);
	liveness.alive = false;
	assert_int_equal(tide_liveness_http_status(&liveness), 503);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_returns_behind_everything_that_was_stored),
		cmocka_unit_test(a_run_tells_the_failure_of_a_start),
		cmocka_unit_test(a_subscription_says_what_kind_of_state_it_is_in),
		cmocka_unit_test(the_names_of_the_paused_are_names_for_other_calls),
		cmocka_unit_test(a_probe_is_200_only_when_all_is_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a real manager logs, at which level; and telling what it knows when memory runs out. */
#include "rig.h"

#include "path/probe.h"
#include "sys/alloc.h"

/* ---- The log --------------------------------------------------------------------------------- */

static void changes_are_logged_at_their_levels(void **state)
{
	(void)state;
	struct rig rig;
	rig_log_begin();
	rig_open(&rig, "memory:%n");
	rig.config.circuit_breaker_failure_threshold = 2;
	rig.config.circuit_breaker_recovery_timeout = 3600;
	rig_begin(&rig);
	wait_for(10, rig_logged("info subscription state changed", "from=starting to=live") == 1);
	/* it was, from its making */
	assert_int_equal(rig_logged("info subscription state changed", "to=starting"), 0);
	wait_for(10,
		 rig_logged("info subscription start position", "position=0 from=beginning") == 1);
	assert_int_equal(
		rig_logged("notice subscription no checkpoint, starting from the beginning",
			   "name='Totals'"),
		1);
	wait_for(10, rig_logged("notice subscription ownership acquired", "name='Totals'") == 1);
	atomic_store(&rig.script.failures, 1);
	rig_settle(&rig, "Good");
	wait_for(10, rig_logged("warning subscription trying again",
				"operation=handler position=1 attempt=2") == 1);
	rig_settle(&rig, "Bad");
	wait_for(10, rig_logged("error dlq event dead-lettered", "position=2") == 1);
	wait_for(10, rig_logged("warning subscription bad event", "error=handler_permanent") == 1);
	atomic_store(&rig.script.failures, 1); /* the second in a row */
	rig_append(&rig, "Good");
	rig_await(&rig, TIDE_STATE_PAUSED);
	wait_for(10,
		 rig_logged("info subscription state changed", "from=live to=paused reason=") == 1);
	wait_for(10, rig_logged("warning subscription circuit breaker changed",
				"breaker=handler from=closed to=open") == 1);
	assert_true(tide_manager_resume(rig.manager, "Totals"));
	must(tide_subscription_wait(rig.subscription, 3, 10, err));
	wait_for(10, rig_logged("warning subscription circuit breaker changed",
				"from=open to=half_open") == 1);
	wait_for(10, rig_logged("warning subscription circuit breaker changed",
				"from=half_open to=closed") == 1);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	wait_for(10, rig_logged("notice subscription ownership released", "name='Totals'") == 1);
	wait_for(10, rig_logged("info subscription state changed", "from=live to=stopped") == 1);
	assert_int_equal(rig_logged("{\"n\"", NULL), 0); /* no payload */
	assert_int_equal(rig_logged(RIG_STACKTRACE, NULL), 0);
	rig_close(&rig);
	rig_log_end();
}

static void lost_ownership_and_retries_of_databases_are_logged(void **state)
{
	(void)state;
	struct rig rig;
	rig_log_begin();
	rig_open(&rig, "fault:op=save,status=busy,times=1/sqlite:%d/store.db");
	rig.config.checkpoint_strategy = TIDE_EVERY_EVENT;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	wait_for(10, rig_logged("warning subscription trying again",
				"operation=checkpoint attempt=2") == 1);
	rig_sql(&rig, "UPDATE subscription_leases SET owner = "
		      "'33333333-3333-4333-8333-333333333333', epoch = epoch + 1");
	rig_append(&rig, "Good");
	wait_for(10, rig_logged("notice subscription ownership lost", "name='Totals'") == 1);
	wait_for(10, rig_logged("info subscription state changed", "from=error to=starting") == 1);
	rig_close(&rig);
	rig_log_end();
}

/* Its dead letter is asked for while the breaker is open, and is the probe that closes it. */
static void a_redelivery_moves_the_breaker_as_an_event_does(void **state)
{
	(void)state;
	struct rig rig;
	rig_log_begin();
	rig_open(&rig, "memory:%n");
	rig.config.circuit_breaker_failure_threshold = 1;
	rig.config.circuit_breaker_recovery_timeout = 0.05;
	rig_begin(&rig);
	rig_settle(&rig, "Bad");
	wait_for(10, rig_logged("circuit breaker changed", "from=closed to=open") == 1);
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(rig.checkpoints,
				    &(struct tide_dead_letter_query){ .any_status = true }, &list,
				    err));
	int64_t id = list.entries[0].id;
	tide_dead_letters_free(&list);

	must(tide_dead_letters_retry(rig.checkpoints, id, err)); /* fails once more */
	wait_for(10, rig_logged("circuit breaker changed",
				"breaker=handler from=half_open to=open") == 1);
	assert_int_equal(
		rig_logged("circuit breaker changed", "breaker=handler from=open to=half_open"), 1);
	atomic_store(&rig.script.is_healed, true);
	must(tide_dead_letters_retry(rig.checkpoints, id, err));
	wait_for(10, rig_logged("circuit breaker changed",
				"breaker=handler from=half_open to=closed") == 1);
	assert_int_equal(
		rig_logged("circuit breaker changed", "breaker=handler from=open to=half_open"), 2);
	rig_close(&rig);
	rig_log_end();
}

static void run_a_little(enum tide_log_level level)
{
	struct rig rig;
	rig_log_begin_at(level);
	rig_ready(&rig, "memory:%n");
	rig_append(&rig, "Good");
	rig_start(&rig);
	rig_settle(&rig, "Good");
	if (level == TIDE_LOG_DEBUG) {
		wait_for(10, rig_logged("debug subscription waiting", "for='new events'") > 0);
		wait_for(10, rig_logged("debug subscription woken",
					"name='Totals' sources=append") > 0);
	}
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	rig_close(&rig);
}

static void pages_waits_saves_and_rings_are_logged_at_debug_alone(void **state)
{
	(void)state;
	run_a_little(TIDE_LOG_DEBUG);
	assert_int_equal(rig_logged("debug subscription page read",
				    "name='Totals' behind=0 to=1 events=1 source=store"),
			 1);
	assert_int_equal(rig_logged("debug subscription page read",
				    "name='Totals' behind=1 to=2 events=1 source=tail"),
			 1);
	assert_true(rig_logged("debug subscription page read", "source=store_for_tail") > 0);
	assert_int_equal(
		rig_logged("debug checkpoint saved", "name='Totals' position=1 seconds=0."), 1);
	assert_true(rig_logged("debug checkpoint saved", "name='Totals' position=2 seconds=0.") >
		    0);
	assert_int_equal(rig_logged("{\"n\"", NULL), 0); /* no payload */
	rig_log_end();
	run_a_little(TIDE_LOG_INFO);
	assert_true(rig_logged("info subscription state changed", NULL) > 0);
	assert_int_equal(rig_logged("debug ", NULL), 0);
	rig_log_end();
}

/* ---- Memory that runs out -------------------------------------------------------------------- */

static tide_status tell_metrics(struct rig *rig)
{
	char *text;
	tide_status status = tide_manager_metrics(rig->manager, &text, NULL);
	if (status == TIDE_OK)
		tide_free(text);
	return status;
}

static tide_status tell_health(struct rig *rig)
{
	struct tide_health health;
	char *text;
	tide_status status = tide_manager_health(rig->manager, &health, NULL);
	if (status != TIDE_OK)
		return status;
	status = tide_health_json(&health, &text, NULL);
	tide_health_fini(&health);
	if (status == TIDE_OK)
		tide_free(text);
	return status;
}

static tide_status tell_readiness(struct rig *rig)
{
	struct tide_readiness readiness;
	char *text;
	tide_status status = tide_manager_readiness(rig->manager, &readiness, NULL);
	if (status != TIDE_OK)
		return status;
	status = tide_readiness_json(&readiness, &text, NULL);
	tide_readiness_fini(&readiness);
	if (status == TIDE_OK)
		tide_free(text);
	return status;
}

static tide_status tell_errors(struct rig *rig)
{
	char *text;
	tide_status status = tide_manager_error_stats_json(rig->manager, &text, NULL);
	if (status == TIDE_OK)
		tide_free(text);
	return status;
}

static tide_status tell_statuses(struct rig *rig)
{
	struct tide_subscription_status *statuses;
	size_t count;
	char *text;
	tide_status status = tide_manager_statuses(rig->manager, &statuses, &count, NULL);
	if (status != TIDE_OK)
		return status;
	status = tide_subscription_status_json(&statuses[0], &text, NULL);
	tide_free(statuses);
	if (status == TIDE_OK)
		tide_free(text);
	return status;
}

static void whatever_is_told_survives_that_memory_runs_out(void **state)
{
	(void)state;
	static tide_status (*const tellers[])(struct rig *) = { tell_metrics, tell_health,
								tell_readiness, tell_errors,
								tell_statuses };
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.event_types = (const char *const[]){ "Good", "Bad", NULL };
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	rig_settle(&rig, "Bad");
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	rig_append(&rig, "Good"); /* so that there is a lag to measure */
	for (size_t i = 0; i < sizeof tellers / sizeof *tellers; i++) {
		tide_status status = TIDE_OUT_OF_MEMORY;
		for (int64_t nth = 1; status != TIDE_OK; nth++) {
			alloc_fail_from(nth);
			status = tellers[i](&rig);
			alloc_fail_from(0);
			assert_true(status == TIDE_OK || status == TIDE_OUT_OF_MEMORY);
		}
	}
	rig_close(&rig);
}

static void probe_without_a_thread_is_told_once(void **state)
{
	(void)state;
	struct tide_store *store;
	struct probe probe;
	rig_log_begin();
	must(tide_store_open("memory:", NULL, &store, err));
	probe_init(&probe, store, store);
	alloc_fail_from(1);
	for (int i = 0; i < 3; i++)
		assert_false(probe_ask(&probe, 0).is_fresh);
	alloc_fail_from(0);
	assert_int_equal(rig_logged("warning manager databases are not probed", NULL), 1);
	assert_true(probe_ask(&probe, 10 * NS_PER_SECOND).is_fresh);
	probe_fini(&probe);
	tide_store_close(store);
	rig_log_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_logged_at_their_levels),
		cmocka_unit_test(a_redelivery_moves_the_breaker_as_an_event_does),
		cmocka_unit_test(pages_waits_saves_and_rings_are_logged_at_debug_alone),
		cmocka_unit_test(lost_ownership_and_retries_of_databases_are_logged),
		cmocka_unit_test(whatever_is_told_survives_that_memory_runs_out),
		cmocka_unit_test(probe_without_a_thread_is_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

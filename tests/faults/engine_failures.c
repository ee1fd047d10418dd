/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of events whose handler fails: retried, dead-lettered, discarded, held back with
 * their aggregate, delivered again; a run that ends with the failure and is restarted; the breaker;
 * signs of trouble.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine_tools.h"

struct bench {
	struct rig rig;
	struct witness witness;
	struct tide_subscription *subscription;
};

static void bench_open(struct bench *bench, const char *backend,
		       tide_status (*decide)(struct witness *, const struct tide_event *,
					     struct tide_delivery *))
{
	*bench = (struct bench){ .witness = WITNESS };
	bench->witness.decide = decide;
	rig_open(&bench->rig, backend);
}

static void bench_start(struct bench *bench, const struct tide_subscription_config *config)
{
	struct tide_subscriber subscriber = witness_single("Bench", &bench->witness);
	must(tide_manager_subscribe(bench->rig.manager, &subscriber, config, &bench->subscription,
				    err));
	/* A run that has ended by now is reported here; the tests look at the state. */
	(void)tide_manager_start(bench->rig.manager, NULL, 0, NULL, NULL, NULL);
}

static void bench_close(struct bench *bench)
{
	rig_close(&bench->rig);
	witness_fini(&bench->witness);
}

/* ---- Retry ----------------------------------------------------------------------------------- */

static tide_status fail_two_transiently_twice(struct witness *witness,
					      const struct tide_event *event,
					      struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 2 && tide_delivery_attempt(delivery) < 3)
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "attempt %d",
					  tide_delivery_attempt(delivery));
	return TIDE_OK;
}

static void a_transient_failure_is_retried_with_its_successors_waiting(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_two_transiently_twice);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 4);
	struct tide_subscription_config config = quick_config();
	bench_start(&bench, &config);
	wait_position(bench.subscription, 4);
	witness_saw_all(&bench.witness, 1, 4);
	assert_int_equal(bench.witness.attempts[1], 3);
	assert_int_equal(atomic_load(&bench.witness.calls), 6);
	struct tide_error_stats stats;
	must(tide_manager_error_stats(bench.rig.manager, "Bench", &stats, err));
	assert_int_equal(stats.total_errors, 2);
	assert_int_equal(stats.retried_errors, 2);
	assert_int_equal(stats.dlq_count, 0);
	assert_int_equal(status_of(bench.subscription).events_failed, 0);
	bench_close(&bench);
}

/* ---- Dead letters ---------------------------------------------------------------------------- */

static tide_status fail_two_while_closed(struct witness *witness, const struct tide_event *event,
					 struct tide_delivery *delivery)
{
	if (event->position == 2 && !atomic_load(&witness->gate))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
	return TIDE_OK;
}

static enum tide_dead_letter_status status_of_entry(struct rig *rig, int64_t id)
{
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_get(rig->checkpoints, id, &list, err));
	enum tide_dead_letter_status status = list.entries[0].status;
	tide_dead_letters_free(&list);
	return status;
}

static void a_dead_letter_is_delivered_again_when_asked_for(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_two_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 4);
	struct tide_subscription_config config = quick_config();
	bench_start(&bench, &config);
	wait_position(bench.subscription, 4);
	struct tide_dead_letter_list dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 1);
	assert_string_equal(dead.entries[0].error_message, "no such customer");
	int64_t id = dead.entries[0].id;
	tide_dead_letters_free(&dead);
	/* in vain: failed again, one retry more */
	must(tide_dead_letters_retry(bench.rig.checkpoints, id, err));
	wait_for(PATIENCE, atomic_load(&bench.witness.calls) == 5);
	wait_for(PATIENCE, status_of_entry(&bench.rig, id) == TIDE_DEAD_LETTER_FAILED);
	dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.entries[0].retry_count, 1);
	tide_dead_letters_free(&dead);
	atomic_store(&bench.witness.gate, true);
	must(tide_dead_letters_retry(bench.rig.checkpoints, id, err));
	wait_for(PATIENCE, status_of_entry(&bench.rig, id) == TIDE_DEAD_LETTER_RESOLVED);
	const tide_position expected[] = { 1, 3, 4, 2 };
	assert_int_equal(bench.witness.count, 4);
	assert_memory_equal(bench.witness.positions, expected, sizeof expected);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_int_equal(status.position, 4);
	assert_int_equal(status.events_processed, 4); /* not counted again */
	assert_int_equal(status.events_dlq, 1);
	bench_close(&bench);
}

static void failed_events_are_discarded_when_configured(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_two_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 4);
	struct tide_subscription_config config = quick_config();
	config.discard_failed_events = true;
	bench_start(&bench, &config);
	wait_position(bench.subscription, 4);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_int_equal(status.events_discarded, 1);
	assert_int_equal(status.events_processed, 3);
	assert_int_equal(status.events_failed, 1);
	struct tide_dead_letter_list dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 0);
	tide_dead_letters_free(&dead);
	bench_close(&bench);
}

/* ---- Ending with the failure ----------------------------------------------------------------- */

static void a_run_that_may_not_continue_ends_and_restarts_at_the_event(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_two_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 4);
	struct tide_subscription_config config = quick_config();
	config.continue_on_error = false;
	bench_start(&bench, &config);
	wait_state(bench.subscription, TIDE_STATE_ERROR);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_string_equal(status.error.message, "no such customer");
	assert_int_equal(status.position, 1);
	assert_int_equal(saved_position(bench.rig.checkpoints, "Bench"), 1);
	refused(TIDE_NOT_FOUND, tide_manager_restart(bench.rig.manager, "Nobody", err));
	atomic_store(&bench.witness.gate, true);
	must(tide_manager_restart(bench.rig.manager, "Bench", err));
	wait_position(bench.subscription, 4);
	refused(TIDE_STATE, tide_manager_restart(bench.rig.manager, "Bench", err));
	witness_saw_all(&bench.witness, 1, 4);
	bench_close(&bench);
}

static tide_status fail_even(struct witness *witness, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	(void)witness;
	return event->position % 2 ? TIDE_OK
				   : tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "even");
}

static void too_many_failed_events_end_the_run_behind_the_last_of_them(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_even);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 10);
	struct tide_subscription_config config = quick_config();
	config.max_errors_before_stop = 3;
	bench_start(&bench, &config);
	wait_state(bench.subscription, TIDE_STATE_ERROR);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_int_equal(status.position, 6); /* the third one is settled */
	assert_int_equal(status.events_failed, 3);
	assert_int_equal(saved_position(bench.rig.checkpoints, "Bench"), 6);
	bench_close(&bench);
}

/* ---- The breaker ----------------------------------------------------------------------------- */

static tide_status fail_all_while_closed(struct witness *witness, const struct tide_event *event,
					 struct tide_delivery *delivery)
{
	(void)event;
	if (atomic_load(&witness->gate))
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "the other side is down");
}

static void an_open_breaker_pauses_and_skips_nothing(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_all_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 5);
	struct tide_subscription_config config = quick_config();
	config.circuit_breaker_enabled = true;
	config.circuit_breaker_failure_threshold = 2;
	config.circuit_breaker_recovery_timeout = 0.2;
	config.max_retries = 1000;
	bench_start(&bench, &config);
	wait_state(bench.subscription, TIDE_STATE_PAUSED);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_int_equal(status.pause_reason, TIDE_PAUSE_BACKPRESSURE);
	assert_int_equal(status.position, 0);
	int calls = atomic_load(&bench.witness.calls);
	assert_in_range(calls, 2, 6);
	wait_for(PATIENCE, atomic_load(&bench.witness.calls) > calls); /* a probe, by itself */
	atomic_store(&bench.witness.gate, true);
	wait_position(bench.subscription, 5);
	witness_saw_all(&bench.witness, 1, 5);
	wait_state(bench.subscription, TIDE_STATE_LIVE);
	bench_close(&bench);
}

static void a_resume_probes_at_once_and_a_manual_pause_outranks_the_breaker(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_all_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 5);
	struct tide_subscription_config config = quick_config();
	config.circuit_breaker_enabled = true;
	config.circuit_breaker_failure_threshold = 1;
	config.circuit_breaker_recovery_timeout = 1000;
	config.max_retries = 1000;
	bench_start(&bench, &config);
	wait_state(bench.subscription, TIDE_STATE_PAUSED);
	assert_true(tide_manager_pause(bench.rig.manager, "Bench", TIDE_PAUSE_MAINTENANCE));
	assert_int_equal(status_of(bench.subscription).pause_reason, TIDE_PAUSE_MAINTENANCE);
	atomic_store(&bench.witness.gate, true);
	assert_true(tide_manager_resume(bench.rig.manager, "Bench"));
	wait_position(bench.subscription, 5);
	witness_saw_all(&bench.witness, 1, 5);
	bench_close(&bench);
}

static void a_redelivery_waits_for_the_breaker(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_two_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 2);
	struct tide_subscription_config config = quick_config();
	config.circuit_breaker_enabled = true;
	config.circuit_breaker_failure_threshold = 1;
	config.circuit_breaker_recovery_timeout = 0.5;
	double since = seconds_now();
	bench_start(&bench, &config);
	wait_position(bench.subscription, 2); /* dead-lettered, and the breaker is open */
	atomic_store(&bench.witness.gate, true);
	struct tide_dead_letter_list dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 1);
	must(tide_dead_letters_retry(bench.rig.checkpoints, dead.entries[0].id, err));
	wait_for(PATIENCE,
		 status_of_entry(&bench.rig, dead.entries[0].id) == TIDE_DEAD_LETTER_RESOLVED);
	assert_true(seconds_now() - since >= config.circuit_breaker_recovery_timeout);
	tide_dead_letters_free(&dead);
	bench_close(&bench);
}

/* ---- Held aggregates ------------------------------------------------------------------------- */

/* Events of aggregate 1 fail while the gate is closed. */
static tide_status fail_first_aggregate(struct witness *witness, const struct tide_event *event,
					struct tide_delivery *delivery)
{
	struct tide_uuid first = uuid_of(1);
	if (tide_uuid_equal(&event->aggregate_id, &first) && !atomic_load(&witness->gate))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not now");
	return TIDE_OK;
}

static void a_held_aggregate_keeps_its_order_through_parking_and_release(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_first_aggregate);
	for (unsigned i = 0; i < 8; i++) /* odd positions: aggregate 1; even ones: aggregate 2 */
		append_many(bench.rig.store, stream_of("Order", 1 + i % 2), i, 1);
	struct tide_subscription_config config = quick_config();
	config.hold_aggregate_on_failure = true;
	bench_start(&bench, &config);
	wait_position(bench.subscription, 8);
	/* event 1 in vain, and those of aggregate 2 */
	assert_int_equal(atomic_load(&bench.witness.calls), 5);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_int_equal(status.events_dlq, 4);
	assert_int_equal(status.events_failed, 1);
	assert_int_equal(status.events_processed, 8);
	struct tide_dead_letter_list dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 4);
	assert_string_equal(dead.entries[0].error_message, "not now");
	for (size_t i = 1; i < 4; i++)
		assert_memory_equal(dead.entries[i].error_message, "parked behind event ", 20);
	refused(TIDE_STATE,
		tide_dead_letters_retry(bench.rig.checkpoints, dead.entries[2].id, err));
	/* The held aggregates are found again by the next run. */
	must(tide_manager_stop(bench.rig.manager, NULL, 0, err));
	must(tide_manager_start(bench.rig.manager, NULL, 0, NULL, NULL, err));
	append_many(bench.rig.store, stream_of("Order", 1), 9, 1);
	wait_position(bench.subscription, 9);
	assert_int_equal(atomic_load(&bench.witness.calls), 5);
	atomic_store(&bench.witness.gate, true);
	must(tide_dead_letters_retry(bench.rig.checkpoints, dead.entries[0].id, err));
	wait_for(PATIENCE, witness_count(&bench.witness) == 9);
	const tide_position expected[] = { 2, 4, 6, 8, 1, 3, 5, 7, 9 };
	assert_memory_equal(bench.witness.positions, expected, sizeof expected);
	struct tide_dead_letter_stats stats;
	wait_for(PATIENCE,
		 tide_dead_letters_stats(bench.rig.checkpoints, &stats, NULL) == TIDE_OK &&
			 stats.total_failed + stats.total_retrying == 0);
	append_many(bench.rig.store, stream_of("Order", 1), 10, 1); /* and it is held no more */
	wait_for(PATIENCE, witness_count(&bench.witness) == 10);
	tide_dead_letters_free(&dead);
	bench_close(&bench);
}

static void discarding_the_oldest_releases_what_is_parked_behind_it(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, fail_first_aggregate);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 4);
	struct tide_subscription_config config = quick_config();
	config.hold_aggregate_on_failure = true;
	bench_start(&bench, &config);
	wait_position(bench.subscription, 4);
	struct tide_dead_letter_list dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 4);
	atomic_store(&bench.witness.gate, true);
	must(tide_dead_letters_discard(bench.rig.checkpoints, dead.entries[0].id, err));
	wait_for(PATIENCE, witness_count(&bench.witness) == 3);
	witness_saw_all(&bench.witness, 2, 4);
	wait_for(PATIENCE,
		 status_of_entry(&bench.rig, dead.entries[3].id) == TIDE_DEAD_LETTER_RESOLVED);
	refused(TIDE_STATE,
		tide_dead_letters_discard(bench.rig.checkpoints, dead.entries[3].id, err));
	refused(TIDE_NOT_FOUND,
		tide_dead_letters_discard(bench.rig.checkpoints, dead.entries[0].id, err));
	tide_dead_letters_free(&dead);
	bench_close(&bench);
}

/* ---- Signs of trouble ------------------------------------------------------------------------ */

static tide_status wait_for_gate(struct witness *witness, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)event, (void)delivery;
	while (!atomic_load(&witness->gate))
		wait_a_moment();
	return TIDE_OK;
}

static void a_slow_handler_raises_the_backpressure_flag(void **state)
{
	struct bench bench;
	bench_open(&bench, *state, wait_for_gate);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 100);
	struct tide_subscription_config config = quick_config();
	config.batch_size = 5;
	config.max_in_flight = 20;
	config.backpressure_threshold = 0.5;
	bench_start(&bench, &config);
	wait_for(PATIENCE, atomic_load(&bench.witness.calls) == 1);
	struct tide_subscription_status status = status_of(bench.subscription);
	assert_true(status.backpressure);
	assert_in_range(status.in_flight, 10, 20);
	atomic_store(&bench.witness.gate, true);
	wait_position(bench.subscription, 100);
	status = status_of(bench.subscription);
	assert_false(status.backpressure);
	assert_int_equal(status.in_flight, 0);
	assert_in_range(status.in_flight_peak, 10, 20);
	bench_close(&bench);
}

static void count_critical(void *self, const struct tide_error_record *record)
{
	if (strstr(record->error_message, "self-check"))
		atomic_fetch_add((atomic_int *)self, 1);
}

static void the_self_check_reports_a_version_that_is_missing(void **state)
{
	(void)state;
	struct bench bench;
	atomic_int critical = 0;
	int64_t id;
	bench_open(&bench, "sqlite", NULL);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 5);
	sqlite3 *database = plain_open(bench.rig.file);
	plain_run(database, "DELETE FROM events WHERE version = 3");
	sqlite3_close(database);
	struct tide_subscription_config config = quick_config();
	config.self_check = true;
	must(tide_manager_on_error(bench.rig.manager, TIDE_ERRORS_OF_SEVERITY,
				   TIDE_SEVERITY_CRITICAL, count_critical, &critical, &id, err));
	bench_start(&bench, &config);
	wait_position(bench.subscription, 5);
	assert_int_equal(atomic_load(&critical), 1);
	assert_int_equal(witness_count(&bench.witness), 4);
	bench_close(&bench);
}

/* ---- Between the dead letter and the checkpoint ---------------------------------------------- */

static tide_status die_at_three(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)self;
	if (event->position == 2)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
	if (event->position == 3) /* event 2 is a dead letter, and no checkpoint is behind it yet */
		kill(getpid(), SIGKILL);
	return TIDE_OK;
}

static int die_run(const char *url, int report_to)
{
	(void)report_to;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	insist(tide_manager_subscribe(
		manager, &(struct tide_subscriber){ .name = "Bench", .handle = die_at_three },
		&config, &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	(void)tide_subscription_wait(subscription, 4, PATIENCE, NULL);
	return 1;
}

static void a_dead_letter_written_again_after_a_crash_is_one_entry(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "sqlite", fail_two_while_closed);
	append_many(bench.rig.store, stream_of("Order", 1), 0, 4);
	struct child child = child_start(die_run, bench.rig.url);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
	struct tide_dead_letter_list dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 1);
	int64_t id = dead.entries[0].id;
	tide_dead_letters_free(&dead);
	assert_int_equal(saved_position(bench.rig.checkpoints, "Bench"), -1);
	struct tide_subscription_config config = quick_config();
	bench_start(&bench, &config);
	wait_position(bench.subscription, 4);
	dead = dead_letters_of(bench.rig.checkpoints, "Bench");
	assert_int_equal(dead.count, 1);
	assert_int_equal(dead.entries[0].id, id);
	assert_int_equal(dead.entries[0].status, TIDE_DEAD_LETTER_FAILED);
	tide_dead_letters_free(&dead);
	bench_close(&bench);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	static char memory[] = "memory", sqlite[] = "sqlite";
#define BOTH(test) cmocka_unit_test_prestate(test, memory), cmocka_unit_test_prestate(test, sqlite)
	const struct CMUnitTest tests[] = {
		BOTH(a_transient_failure_is_retried_with_its_successors_waiting),
		BOTH(a_dead_letter_is_delivered_again_when_asked_for),
		BOTH(failed_events_are_discarded_when_configured),
		BOTH(a_run_that_may_not_continue_ends_and_restarts_at_the_event),
		BOTH(too_many_failed_events_end_the_run_behind_the_last_of_them),
		BOTH(an_open_breaker_pauses_and_skips_nothing),
		BOTH(a_resume_probes_at_once_and_a_manual_pause_outranks_the_breaker),
		BOTH(a_redelivery_waits_for_the_breaker),
		BOTH(a_held_aggregate_keeps_its_order_through_parking_and_release),
		BOTH(discarding_the_oldest_releases_what_is_parked_behind_it),
		BOTH(a_slow_handler_raises_the_backpressure_flag),
		cmocka_unit_test(the_self_check_reports_a_version_that_is_missing),
		cmocka_unit_test(a_dead_letter_written_again_after_a_crash_is_one_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

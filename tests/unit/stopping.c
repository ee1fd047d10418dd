/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending: a stop is a shutdown like the others, an instant that was asked for is kept, and no hook
 * holds it up.
 */
#include <stdlib.h>

#include "path/store.h"
#include "rig.h"
#include "supervise/shutdown.h"
#include "sys/alloc.h"
#include "sys/thread.h"

#define P "tidemark_"

static struct tide_shutdown_result stopping_result;

static void run(void *self)
{
	struct rig *rig = self;
	must(tide_manager_run_until_shutdown(rig->manager, &stopping_result, err));
}

static void rig_run(struct rig *rig, struct thread *thread)
{
	must(thread_start(thread, "runs", run, rig, err));
	rig_await(rig, TIDE_STATE_LIVE);
}

/* Open the script when the drain has begun, and so many seconds have passed. */
struct opening {
	struct rig *rig;
	double seconds;
	struct thread thread;
};

static void open_later(void *self)
{
	struct opening *opening = self;
	wait_for(10, rig_logged("phase began", "draining") > 0);
	double since = seconds_now();
	wait_for(10, seconds_now() - since >= opening->seconds);
	atomic_store(&opening->rig->script.is_closed, false);
}

static void opening_start(struct opening *opening)
{
	rig_log_begin_at(TIDE_LOG_DEBUG);
	must(thread_start(&opening->thread, "opens", open_later, opening, err));
}

static void opening_end(struct opening *opening)
{
	thread_join(&opening->thread);
	rig_log_end();
}

/* ---- A stop is a shutdown -------------------------------------------------------------------- */

static void a_stop_counts_as_a_shutdown(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_shutdown_metrics metrics;
	rig_live(&rig, "memory:%n");
	rig_settle(&rig, "Good");
	must(tide_manager_stop(rig.manager, (const char *const[]){ "Totals", NULL }, 0, err));
	/* the manager went on */
	METRIC_IS(&rig, P "shutdowns_initiated_total{reason=\"programmatic\"}", 0);
	rig_start(&rig);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	METRIC_IS(&rig, P "shutdowns_initiated_total{reason=\"programmatic\"}", 1);
	METRIC_IS(&rig, P "shutdowns_completed_total{outcome=\"clean\"}", 1);
	METRIC_IS(&rig, P "shutdown_duration_seconds_count{outcome=\"clean\"}", 1);
	METRIC_IS(&rig, P "shutdown_drain_duration_seconds_count", 1);
	must(tide_manager_shutdown_metrics(rig.manager, &metrics, err));
	assert_string_equal(metrics.outcome, "clean");
	must(tide_manager_stop(rig.manager, NULL, 0, err)); /* nothing runs: nothing ends */
	METRIC_IS(&rig, P "shutdowns_initiated_total{reason=\"programmatic\"}", 1);
	rig_start(&rig);
	rig_hold(&rig);
	struct tide_error why =
		refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, 0.05, err));
	must_mention(&why, "Totals");
	METRIC_IS(&rig, P "shutdowns_completed_total{outcome=\"timeout\"}", 1);
	rig_close(&rig);
}

static void what_is_in_hand_has_all_of_the_limit_of_a_stop(void **state)
{
	(void)state;
	struct rig rig;
	struct opening opening = { .rig = &rig, .seconds = 0.3 };
	rig_open(&rig, "memory:%n");
	must(tide_manager_open(TIDE_MANAGER(.store = rig.store, .checkpoints = rig.checkpoints,
					    .drain_timeout = 0.01),
			       &rig.manager, err));
	rig_begin(&rig);
	rig_hold(&rig);
	opening_start(&opening);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	opening_end(&opening);
	METRIC_IS(&rig, P "shutdown_events_drained_total", 1);
	rig_close(&rig);
}

static void the_drain_has_its_time_before_the_reserve(void **state)
{
	(void)state;
	static const struct {
		double total, left, drain_timeout, expected;
	} rows[] = {
		{ 30, 30, 10, 10 },  { 30, 30, 25, 25 },   { 30, 30, 60, 25 },
		{ 30, 12, 10, 7 },   { 30, 4, 10, 0 },     { 12, 12, 2, 2 },
		{ 12, 12, 60, 9.6 }, { 12, 5, 60, 2.6 },   { 3.1, 3.1, 2, 2 },
		{ 3, 3, 2, 2 },      { 2.9, 2.9, 2, 1.9 }, { 2, 2, 2, 1 },
		{ 1, 1, 2, 0.5 },    { 0.2, 0.2, 2, 0.1 }, { 0, 0, 2, 0 },
		{ -5, -5, 2, 0 },    { 100, 100, 99, 95 }, { 5, 5, 10, 4 },
		{ 25, 25, 60, 20 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double limit =
			shutdown_drain_limit(rows[i].total, rows[i].left, rows[i].drain_timeout);
		if (limit < rows[i].expected - 1e-9 || limit > rows[i].expected + 1e-9)
			fail_msg("row %zu: %g instead of %g", i, limit, rows[i].expected);
	}
	double before = 0;
	for (double total = 0; total < 40; total += 0.01) { /* a longer time never waits shorter */
		double limit = shutdown_drain_limit(total, total, 20);
		assert_true(limit >= before - 1e-9);
		before = limit;
	}
}

static void a_longer_shutdown_waits_no_shorter_for_a_handler(void **state)
{
	(void)state;
	static const double timeouts[] = { 3.1, 12 };
	for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		struct rig rig;
		struct thread thread;
		struct tide_shutdown_metrics metrics;
		rig_open(&rig, "memory:%n");
		must(tide_manager_open(
			TIDE_MANAGER(.store = rig.store, .checkpoints = rig.checkpoints,
				     .shutdown_timeout = timeouts[i], .drain_timeout = 2),
			&rig.manager, err));
		rig_subscribe(&rig);
		rig_run(&rig, &thread);
		rig_hold(&rig);
		tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
		thread_join(&thread);
		must(tide_manager_shutdown_metrics(rig.manager, &metrics, err));
		assert_string_equal(metrics.outcome, "timeout");
		assert_true(metrics.drain_duration_seconds >= 1.99 &&
			    metrics.drain_duration_seconds < 5);
		atomic_store(&rig.script.is_closed, false);
		rig_close(&rig);
	}
}

/* The manager's limit is of all of it. */
static void one_that_is_stopped_or_removed_has_the_limit_of_its_own(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.shutdown_timeout = 30;
	rig.config.shutdown_timeout = 0.1;
	rig_begin(&rig);
	rig_hold(&rig);
	double since = seconds_now();
	refused(TIDE_BUSY, tide_manager_unsubscribe(rig.manager, "Totals", err));
	assert_true(seconds_now() - since < 20);
	atomic_store(&rig.script.is_closed, false);
	wait_for(10, tide_manager_start(rig.manager, NULL, 10, NULL, NULL, NULL) == TIDE_OK);

	rig_hold(&rig);
	since = seconds_now();
	refused(TIDE_TIMEOUT,
		tide_manager_stop(rig.manager, (const char *const[]){ "Totals", NULL }, 0, err));
	assert_true(seconds_now() - since < 20);
	atomic_store(&rig.script.is_closed, false);
	wait_for(10, tide_manager_start(rig.manager, NULL, 10, NULL, NULL, NULL) == TIDE_OK);
	rig_close(&rig);
}

static void a_stop_ends_a_request_that_nobody_waits_for(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "memory:%n");
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_HEALTH_CHECK);
	refused(TIDE_SHUTTING_DOWN, tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	METRIC_IS(&rig, P "shutdowns_initiated_total{reason=\"health_check\"}", 1);
	must(tide_manager_start(rig.manager, NULL, 10, NULL, NULL, err));
	rig_close(&rig);
}

static tide_status hold_batch(void *self, const struct tide_event *const *events, size_t count,
			      struct tide_delivery *delivery)
{
	(void)events;
	(void)delivery;
	struct rig *rig = self;
	atomic_store(&rig->script.calls, (int)count);
	atomic_store(&rig->script.is_inside, true);
	while (atomic_load(&rig->script.is_closed))
		wait_a_moment();
	return TIDE_OK;
}

static void a_batch_in_hand_counts_by_its_events(void **state)
{
	(void)state;
	struct rig rig;
	struct thread thread;
	rig_open(&rig, "memory:%n");
	append_many(rig.store, stream_of("Rig", 1), 0, 7);
	must(tide_manager_open(TIDE_MANAGER(.store = rig.store, .checkpoints = rig.checkpoints),
			       &rig.manager, err));
	struct tide_subscriber subscriber = { .name = "Totals",
					      .self = &rig,
					      .handle_batch = hold_batch };
	must(tide_manager_subscribe(rig.manager, &subscriber, &rig.config, &rig.subscription, err));
	atomic_store(&rig.script.is_closed, true);
	must(thread_start(&thread, "runs", run, &rig, err));
	rig_await_inside(&rig);
	struct opening opening = { .rig = &rig };
	opening_start(&opening);
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	thread_join(&thread);
	opening_end(&opening);
	int64_t count = atomic_load(&rig.script.calls);
	assert_int_equal(count, 7);
	assert_int_equal(stopping_result.in_flight_at_start, count);
	assert_int_equal(stopping_result.events_drained, count);
	assert_int_equal(stopping_result.events_not_drained, 0);
	rig_close(&rig);
}

static void stop(void *self)
{
	struct rig *rig = self;
	must(tide_manager_stop(rig->manager, NULL, 60, err));
}

static void what_is_settled_is_saved_while_the_drain_goes_on(void **state)
{
	(void)state;
	struct rig rig;
	struct thread thread;
	struct tide_checkpoint row = { 0 };
	rig_open(&rig, "memory:%n");
	rig.config.checkpoint_strategy = TIDE_PERIODIC;
	rig.config.checkpoint_interval_seconds = 3600;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	rig_hold(&rig);
	must(thread_start(&thread, "stops", stop, &rig, err));
	wait_for(30, tide_checkpoints_load(rig.checkpoints, "Totals", &row, NULL) == TIDE_OK);
	assert_int_equal(row.position, 1);
	assert_true(atomic_load(&rig.script.is_inside));
	atomic_store(&rig.script.is_closed, false);
	thread_join(&thread);
	must(tide_checkpoints_load(rig.checkpoints, "Totals", &row, err));
	assert_int_equal(row.position, 2);
	rig_close(&rig);
}

/* ---- What cannot start ----------------------------------------------------------------------- */

static atomic_bool starting_is_over;

/* When the start has come to something, memory is there again and the run is asked to end. */
static void end_what_has_started(void *self)
{
	struct rig *rig = self;
	enum tide_state state;
	do {
		wait_a_moment();
		state = tide_subscription_state(rig->subscription);
	} while (state != TIDE_STATE_LIVE && state != TIDE_STATE_ERROR &&
		 !atomic_load(&starting_is_over));
	alloc_fail_from(0);
	tide_manager_request_shutdown(rig->manager, TIDE_SHUTDOWN_PROGRAMMATIC);
}

static void what_cannot_start_says_so(void **state)
{
	(void)state;
	bool has_started = false;
	for (int64_t n = 1; !has_started; n++) {
		struct rig rig;
		struct thread thread;
		struct tide_error why = { 0 };
		struct tide_subscription_status status;
		rig_ready(&rig, "memory:%n");
		atomic_store(&starting_is_over, false);
		must(thread_start(&thread, "ends", end_what_has_started, &rig, err));
		alloc_fail_from(n);
		tide_status result = tide_manager_run_until_shutdown(rig.manager, NULL, &why);
		atomic_store(&starting_is_over, true);
		thread_join(&thread);
		must(tide_subscription_status(rig.subscription, &status, err));
		bool has_failed = status.state == TIDE_STATE_ERROR;
		has_started = result == TIDE_OK && !has_failed;
		if (has_failed)
			assert_int_equal(status.error.status, TIDE_OUT_OF_MEMORY);
		if (result != TIDE_OK)
			assert_int_equal(why.status, TIDE_OUT_OF_MEMORY);
		if (result != TIDE_OK && has_failed)
			assert_string_equal(status.error.message, why.message);
		/* the first one lists the subscriptions */
		assert_true(has_started || has_failed || n == 1);
		rig_close(&rig);
	}
}

/* ---- A given instant ------------------------------------------------------------------------- */

static struct tide_time seconds_from_now(double seconds)
{
	return (struct tide_time){ tide_time_now().unix_us + (int64_t)(seconds * 1e6) };
}

static void an_instant_farther_away_than_the_configured_time_is_kept(void **state)
{
	(void)state;
	struct rig rig;
	struct thread thread;
	rig_open(&rig, "memory:%n");
	rig.shutdown_timeout = 0.05;
	rig_subscribe(&rig);
	rig_run(&rig, &thread);
	rig_hold(&rig);
	struct opening opening = { .rig = &rig, .seconds = 0.3 };
	opening_start(&opening);
	tide_manager_request_shutdown_by(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC,
					 seconds_from_now(100));
	thread_join(&thread);
	opening_end(&opening);
	assert_int_equal(stopping_result.phase, TIDE_PHASE_STOPPED);
	assert_int_equal(stopping_result.events_drained, 1);
	rig_close(&rig);
}

static void an_instant_that_is_near_or_gone_ends_it_in_time(void **state)
{
	(void)state;
	static const double instants[] = { 0.3, 0, -1e6, -1e12 };
	for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
		struct rig rig;
		struct thread thread;
		rig_ready(&rig, "memory:%n");
		rig_run(&rig, &thread);
		rig_settle(&rig, "Good");
		rig_hold(&rig);
		tide_manager_request_shutdown_by(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC,
						 seconds_from_now(instants[i]));
		thread_join(&thread);
		assert_int_equal(stopping_result.phase, TIDE_PHASE_FORCED);
		assert_int_equal(stopping_result.reason, TIDE_SHUTDOWN_TIMEOUT);
		assert_int_equal(stopping_result.events_not_drained, 1);
		/* which draining alone would have */
		assert_true(stopping_result.duration_seconds < 10);
		struct tide_checkpoint row;
		must(tide_checkpoints_load(rig.checkpoints, "Totals", &row, err));
		assert_int_equal(row.position, 1);
		atomic_store(&rig.script.is_closed, false);
		wait_for(10, tide_manager_restart(rig.manager, "Totals", NULL) != TIDE_BUSY);
		rig_close(&rig);
	}
}

static void only_the_first_instant_counts(void **state)
{
	(void)state;
	struct rig rig;
	rig_log_begin();
	rig_ready(&rig, "memory:%n");
	/* which names none */
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_HEALTH_CHECK);
	tide_manager_request_shutdown_by(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC,
					 seconds_from_now(9999));
	tide_manager_request_shutdown_by(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC,
					 seconds_from_now(-1));
	run(&rig);
	assert_int_equal(stopping_result.reason, TIDE_SHUTDOWN_HEALTH_CHECK);
	assert_int_equal(rig_logged("shutdown began", "limit_seconds=99"), 1);
	must(tide_manager_start(rig.manager, NULL, 10, NULL, NULL, err));
	/* the instant is forgotten with its request */
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	assert_int_equal(rig_logged("shutdown began", "limit_seconds=30.000"), 1);
	rig_close(&rig);
	rig_log_end();
}

/* ---- Hooks ----------------------------------------------------------------------------------- */

static tide_status hook_count(void *self, const struct tide_shutdown_result *result)
{
	(void)result;
	atomic_fetch_add((atomic_int *)self, 1);
	return TIDE_OK;
}

static void a_hook_that_memory_keeps_from_being_called_is_logged(void **state)
{
	(void)state;
	bool was_through = false, was_kept = false;
	for (int64_t nth = 1; !was_through && nth < 200; nth++) {
		struct rig rig;
		atomic_int called = 0;
		rig_log_begin();
		rig_open(&rig, "memory:%n");
		must(tide_manager_open(
			TIDE_MANAGER(.store = rig.store, .checkpoints = rig.checkpoints),
			&rig.manager,
			err)); /* without a subscription, whose thread would allocate now or then */
		must(tide_manager_add_hook(rig.manager, TIDE_HOOK_AFTER_SHUTDOWN, hook_count,
					   &called, 0, err));
		tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
		alloc_fail_from(nth);
		tide_status status = tide_manager_run_until_shutdown(rig.manager, NULL, NULL);
		alloc_fail_from(0);
		was_through = atomic_load(&called) == 1;
		if (status == TIDE_OK && !was_through) {
			was_kept = true;
			assert_int_equal(rig_logged("a hook was not called", NULL), 1);
		}
		rig_close(&rig);
		rig_log_end();
	}
	assert_true(was_through && was_kept);
}

struct adding {
	struct rig *rig;
	atomic_bool should_end;
	atomic_int called;
};

static void add_hook(struct adding *adding)
{
	must(tide_manager_add_hook(adding->rig->manager, TIDE_HOOK_AFTER_SHUTDOWN, hook_count,
				   &adding->called, 0, err));
}

static void add_hooks(void *self)
{
	struct adding *adding = self;
	for (int i = 0; i < 1000 && !atomic_load(&adding->should_end); i++) {
		add_hook(adding);
		wait_a_moment();
	}
}

/* The thread sanitizer looks at this one. */
static void hooks_may_be_added_while_others_are_called(void **state)
{
	(void)state;
	struct rig rig;
	struct thread runs, adds;
	rig_ready(&rig, "memory:%n");
	rig_run(&rig, &runs);
	struct adding adding = { .rig = &rig };
	for (int i = 0; i < 20; i++)
		add_hook(&adding);
	must(thread_start(&adds, "adds", add_hooks, &adding, err));
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	wait_for(10, atomic_load(&adding.called) >= 20);
	atomic_store(&adding.should_end, true);
	thread_join(&adds);
	thread_join(&runs);
	assert_int_equal(stopping_result.phase, TIDE_PHASE_STOPPED);
	rig_close(&rig);
}

/* ---- Starting it from several places --------------------------------------------------------- */

static atomic_bool starters_should_end;

static void restart_again_and_again(void *self)
{
	struct rig *rig = self;
	while (!atomic_load(&starters_should_end))
		(void)tide_manager_restart(rig->manager, "Totals", NULL);
}

/* Each run fails at its first event, often before the call that began it has returned; the thread
 * sanitizer looks, too. */
static void restarts_from_several_threads_keep_one_run_at_a_time(void **state)
{
	(void)state;
	struct rig rig;
	struct thread threads[3];
	rig_open(&rig, "memory:%n");
	rig.config.continue_on_error = false;
	rig_append(&rig, "Bad");
	rig_begin(&rig);
	rig_await(&rig, TIDE_STATE_ERROR);
	atomic_store(&starters_should_end, false);
	for (int i = 0; i < 3; i++)
		must(thread_start(&threads[i], "restarts", restart_again_and_again, &rig, err));
	wait_for(60, atomic_load(&rig.script.calls) > 300);
	atomic_store(&starters_should_end, true);
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	rig_await(&rig, TIDE_STATE_ERROR); /* the last of them, too */
	atomic_store(&rig.script.is_healed, true);
	wait_for(10, tide_manager_restart(rig.manager, "Totals", NULL) != TIDE_BUSY);
	must(tide_subscription_wait(rig.subscription, 1, 10, err));
	rig_close(&rig);
}

struct removal {
	struct rig *rig;
	const char *name;
	atomic_bool *may_begin;
	struct thread thread;
	tide_status status;
};

static void remove_it(void *self)
{
	struct removal *removal = self;
	while (!atomic_load(removal->may_begin))
		continue;
	removal->status = tide_manager_unsubscribe(removal->rig->manager, removal->name, NULL);
}

/* Remove two names at once; how many were there. */
static int remove_both(struct rig *rig, const char *first, const char *second)
{
	atomic_bool may_begin = false;
	struct removal removals[2] = { { .rig = rig, .name = first, .may_begin = &may_begin },
				       { .rig = rig, .name = second, .may_begin = &may_begin } };
	for (int i = 0; i < 2; i++)
		must(thread_start(&removals[i].thread, "removes", remove_it, &removals[i], err));
	atomic_store(&may_begin, true);
	int removed = 0;
	for (int i = 0; i < 2; i++) {
		thread_join(&removals[i].thread);
		assert_true(removals[i].status == TIDE_OK || removals[i].status == TIDE_NOT_FOUND);
		removed += removals[i].status == TIDE_OK;
	}
	return removed;
}

static void subscriptions_removed_at_once_wait_for_each_other_and_no_longer(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n"); /* not running: no watchdog wakes whoever waits */
	for (int i = 0; i < 300; i++) {
		rig_subscribe_as(&rig, "First", NULL);
		rig_subscribe_as(&rig, "Second", NULL);
		assert_int_equal(remove_both(&rig, "First", "Second"), 2);
		rig_subscribe_as(&rig, "First", NULL);
		assert_int_equal(remove_both(&rig, "First", "First"), 1);
	}
	assert_int_equal(tide_manager_count(rig.manager), 1);
	rig_close(&rig);
}

static void subscribe_again_and_again(void *self)
{
	struct rig *rig = self;
	struct tide_subscriber subscriber = { .name = "Late",
					      .self = &rig->script,
					      .handle = rig_handle };
	while (!atomic_load(&starters_should_end)) {
		(void)tide_manager_start(rig->manager, NULL, 0, NULL, NULL, NULL);
		(void)tide_manager_subscribe(rig->manager, &subscriber, &rig->config, NULL, NULL);
		(void)tide_manager_unsubscribe(rig->manager, "Late", NULL);
	}
}

/* When a stop has returned, nothing runs that was not started after it: the lease of each is free
 * at the end. */
static void a_stop_overlooks_nothing_that_is_being_started(void **state)
{
	(void)state;
	struct rig rig;
	struct thread threads[2];
	rig_live(&rig, "memory:%n");
	atomic_store(&starters_should_end, false);
	for (int i = 0; i < 2; i++)
		must(thread_start(&threads[i], "subscribes", subscribe_again_and_again, &rig, err));
	for (int i = 0; i < 100; i++)
		must(tide_manager_stop(rig.manager, NULL, 0, err));
	atomic_store(&starters_should_end, true);
	for (int i = 0; i < 2; i++)
		thread_join(&threads[i]);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	assert_false(tide_manager_is_running(rig.manager));
	for (struct tide_subscription *one = rig.manager->subscriptions; one; one = one->next)
		assert_false(runner_is_running(one));
	must(tide_manager_destroy(rig.manager, err));
	rig.manager = NULL;
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_counts_as_a_shutdown),
		cmocka_unit_test(what_is_in_hand_has_all_of_the_limit_of_a_stop),
		cmocka_unit_test(what_cannot_start_says_so),
		cmocka_unit_test(the_drain_has_its_time_before_the_reserve),
		cmocka_unit_test(a_longer_shutdown_waits_no_shorter_for_a_handler),
		cmocka_unit_test(one_that_is_stopped_or_removed_has_the_limit_of_its_own),
		cmocka_unit_test(a_stop_ends_a_request_that_nobody_waits_for),
		cmocka_unit_test(what_is_settled_is_saved_while_the_drain_goes_on),
		cmocka_unit_test(a_batch_in_hand_counts_by_its_events),
		cmocka_unit_test(an_instant_farther_away_than_the_configured_time_is_kept),
		cmocka_unit_test(an_instant_that_is_near_or_gone_ends_it_in_time),
		cmocka_unit_test(only_the_first_instant_counts),
		cmocka_unit_test(a_hook_that_memory_keeps_from_being_called_is_logged),
		cmocka_unit_test(hooks_may_be_added_while_others_are_called),
		cmocka_unit_test(subscriptions_removed_at_once_wait_for_each_other_and_no_longer),
		cmocka_unit_test(a_stop_overlooks_nothing_that_is_being_started),
		cmocka_unit_test(restarts_from_several_threads_keep_one_run_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

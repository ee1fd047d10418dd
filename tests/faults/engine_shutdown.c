/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGTERM in the middle of things: what run_until_shutdown reports is true, its time limit holds,
 * and the checkpoint is right. Each case is a process of its own that is sent real signals.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "engine_tools.h"

#define EVENTS 2000
#define LIMIT 4.0  /* seconds of the whole shutdown */
#define MARGIN 2.5 /* seconds that starting threads and a busy machine may add */

/* What the process and the test share: the test's orders and the process's report. */
struct shared {
	atomic_int calls, handled;
	atomic_int before_hooks, after_hooks;
	atomic_int refused; /* subscribe and start said shutting_down: 2 */
	atomic_bool is_called, may_return;
	atomic_bool is_saving;   /* of a sequence that is held up there */
	atomic_bool is_draining; /* what was in hand then counts as drained when it is settled */
	struct tide_shutdown_result result;
	double seconds; /* from the first signal's arrival to the return of run_until_shutdown */
	int again;      /* events handled by a second run of the same manager */
};

enum what {
	SLOW,
	CATCH_UP,
	PAUSED,
	BREAKER,
	LOCKED,
	LOCKED_LONG,
	HANGING,
	DOUBLE,
	TRIPLE,
	HOOK_HANGS
};

/* Those that end before any limit does have all the time that a busy machine may need; the others
 * show the limits. */
static bool is_limited(unsigned what)
{
	return what == LOCKED || what == HANGING;
}

static bool is_locked(unsigned what)
{
	return what == LOCKED || what == LOCKED_LONG;
}

struct running {
	struct shared *shared;
	enum what what;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_store *store;
	atomic_bool is_second;
	/* a hook that was left behind may use the manager until it returns */
	atomic_bool has_hook_returned;
};

static struct shared *shared_map(const char *directory)
{
	char path[300];
	snprintf(path, sizeof path, "%s/shared", directory);
	FILE *file = fopen(path, "a+");
	if (!file || ftruncate(fileno(file), sizeof(struct shared)) != 0)
		abort();
	void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED,
			    fileno(file), 0);
	fclose(file);
	if (memory == MAP_FAILED)
		abort();
	return memory;
}

/* ---- The process ----------------------------------------------------------------------------- */

static tide_status running_handle(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct running *running = self;
	struct shared *shared = running->shared;
	atomic_fetch_add(&shared->calls, 1);
	if (!atomic_load(&running->is_second)) {
		if (running->what == BREAKER)
			return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "as told");
		if (running->what == SLOW || running->what == HANGING || running->what == DOUBLE ||
		    running->what == TRIPLE) {
			atomic_store(&shared->is_called, true);
			while (!atomic_load(&shared->may_return))
				wait_a_moment();
		} else if (running->what == CATCH_UP) {
			do /* a signal that is slow to come still finds the second half */
				wait_a_moment();
			while (event->position > EVENTS / 2 &&
			       !tide_delivery_is_stopping(delivery));
		}
	}
	atomic_fetch_add(&shared->handled, 1);
	return TIDE_OK;
}

static tide_status hook_before(void *self, const struct tide_shutdown_result *result)
{
	struct running *running = self;
	struct shared *shared = running->shared;
	struct tide_error err;
	struct tide_subscriber late = { .name = "Late", .self = running, .handle = running_handle };
	if (result == NULL)
		atomic_fetch_add(&shared->before_hooks, 1);
	if (tide_manager_subscribe(running->manager, &late, NULL, NULL, &err) == TIDE_SHUTTING_DOWN)
		atomic_fetch_add(&shared->refused, 1);
	if (tide_manager_restart(running->manager, "Run", &err) == TIDE_SHUTTING_DOWN)
		atomic_fetch_add(&shared->refused, 1);
	while (running->what == HOOK_HANGS && !atomic_load(&shared->may_return))
		wait_a_moment();
	atomic_store(&running->has_hook_returned, true);
	return TIDE_OK;
}

static tide_status hook_after(void *self, const struct tide_shutdown_result *result)
{
	struct running *running = self;
	if (result && result->phase >= TIDE_PHASE_STOPPED)
		atomic_fetch_add(&running->shared->after_hooks, 1);
	return TIDE_OK;
}

static void announce(int report_to, struct running *running)
{
	struct tide_subscription *subscription = running->subscription;
	struct tide_subscription_status status;
	do {
		wait_a_moment();
		insist(tide_subscription_status(subscription, &status, err));
		if (running->what == PAUSED && status.state == TIDE_STATE_LIVE)
			tide_manager_pause(running->manager, "Run", TIDE_PAUSE_MANUAL);
	} while (!(running->what == PAUSED       ? status.state == TIDE_STATE_PAUSED
		   : running->what == BREAKER    ? status.state == TIDE_STATE_PAUSED
		   : running->what == CATCH_UP   ? status.position > 10
		   : is_locked(running->what)    ? status.state == TIDE_STATE_LIVE
		   : running->what == HOOK_HANGS ? status.state == TIDE_STATE_LIVE
						 : atomic_load(&running->shared->is_called)));
	child_report(report_to, 'r');
}

struct announcement {
	int report_to;
	struct running *running;
};

static void *announce_thread(void *self)
{
	struct announcement *announcement = self;
	announce(announcement->report_to, announcement->running);
	return NULL;
}

static void running_again(struct running *running)
{
	atomic_store(&running->is_second, true);
	int before = atomic_load(&running->shared->handled);
	tide_position end;
	insist(tide_store_end(running->store, &end, err));
	insist(tide_manager_start(running->manager, NULL, PATIENCE, NULL, NULL, err));
	insist(tide_subscription_wait(running->subscription, end, PATIENCE, err));
	insist(tide_manager_stop(running->manager, NULL, 0, err));
	running->shared->again = atomic_load(&running->shared->handled) - before;
}

static void look_for_the_drain(void *shared, const struct tide_log_line *line)
{
	if (strcmp(line->message, "phase began") == 0 && strstr(line->fields, "draining"))
		atomic_store(&((struct shared *)shared)->is_draining, true);
}

/* The thread of the sequence logs this: it goes no further. */
static void stay_at_the_save(void *shared, const struct tide_log_line *line)
{
	if (strcmp(line->message, "phase began") != 0 || !strstr(line->fields, "checkpointing"))
		return;
	atomic_store(&((struct shared *)shared)->is_saving, true);
	for (;;)
		pause();
}

/* The argument: what, directory. */
static int running_run(const char *argument, int report_to)
{
	unsigned what;
	char directory[256], url[300];
	if (sscanf(argument, "%u %255s", &what, directory) != 2)
		return 97;
	snprintf(url, sizeof url, "sqlite:%s/events.db", directory);
	struct running running = { .shared = shared_map(directory), .what = (enum what)what };
	struct tide_subscription_config config = quick_config();
	if (what == SLOW)
		tide_log_set(look_for_the_drain, running.shared, TIDE_LOG_DEBUG);
	if (what == TRIPLE)
		tide_log_set(stay_at_the_save, running.shared, TIDE_LOG_DEBUG);
	/* so that only what the library does with a third signal can end the process */
	if (what == TRIPLE) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
	}
	config.checkpoint_strategy = is_locked(what) ? TIDE_PERIODIC : TIDE_EVERY_BATCH;
	config.checkpoint_interval_seconds = 100;
	config.batch_size = 50;
	config.max_retries = 1000;
	config.processing_timeout = 100;
	config.circuit_breaker_enabled = what == BREAKER;
	insist(tide_store_open(url, TIDE_STORE_OPTIONS(.busy_timeout_seconds = 0.5), &running.store,
			       err));
	insist(tide_manager_open(
		TIDE_MANAGER(.store = running.store,
			     .shutdown_timeout = is_limited(what) ? LIMIT : 2 * PATIENCE,
			     .drain_timeout = is_limited(what) ? 1 : PATIENCE),
		&running.manager, err));
	insist(tide_manager_add_hook(running.manager, TIDE_HOOK_BEFORE_SHUTDOWN, hook_before,
				     &running, 0.5, err));
	insist(tide_manager_add_hook(running.manager, TIDE_HOOK_AFTER_SHUTDOWN, hook_after,
				     &running, 0.5, err));
	struct tide_subscriber subscriber = { .name = "Run",
					      .self = &running,
					      .handle = running_handle };
	insist(tide_manager_subscribe(running.manager, &subscriber, &config, &running.subscription,
				      err));
	pthread_t announcer;
	struct announcement announcement = { report_to, &running };
	pthread_create(&announcer, NULL, announce_thread, &announcement);
	insist(tide_manager_run_until_shutdown(running.manager, &running.shared->result, err));
	child_report(report_to, 'd'); /* the clock of the test stops here */
	pthread_join(announcer, NULL);
	char *json;
	insist(tide_shutdown_result_json(&running.shared->result, &json, err));
	printf("%s\n", json);
	tide_free(json);
	/* Left behind by a handler or a hook, or waited for by a test that counts what the first
	 * run did. */
	while ((what == HANGING || what == DOUBLE || what == HOOK_HANGS || is_locked(what) ||
		what == CATCH_UP) &&
	       !atomic_load(&running.shared->may_return))
		wait_a_moment();
	/* busy until what was abandoned has returned */
	while (what == HANGING || what == DOUBLE || is_locked(what)) {
		struct tide_error err;
		/* Refused either way, so nothing is handled before it is counted. */
		if (tide_manager_restart(running.manager, "Run", &err) != TIDE_BUSY)
			break;
		wait_a_moment();
	}
	running_again(&running);
	while (what == HOOK_HANGS && !atomic_load(&running.has_hook_returned))
		wait_a_moment();
	tide_manager_close(running.manager);
	tide_store_close(running.store);
	return 0;
}

/* ---- The test -------------------------------------------------------------------------------- */

struct term {
	struct rig rig;
	struct shared *shared;
	struct child child;
	double since, took;
};

static void term_start(struct term *term, enum what what, unsigned events)
{
	*term = (struct term){ 0 };
	rig_make(&term->rig, "sqlite");
	must(tide_store_open(term->rig.url, NULL, &term->rig.store, err));
	append_many(term->rig.store, stream_of("Order", 1), 0, events);
	rig_shut(&term->rig);
	term->shared = shared_map(term->rig.directory);
	char argument[300];
	snprintf(argument, sizeof argument, "%u %s", (unsigned)what, term->rig.directory);
	term->child = child_start(running_run, argument);
	assert_int_equal(child_await(&term->child, PATIENCE), 'r');
}

static void term_signal(struct term *term)
{
	/* before: the signal may be obeyed before this process goes on */
	term->since = seconds_now();
	child_signal(&term->child, SIGTERM);
}

/* A signal that follows the last one at once is the same one: let it be another. */
static void pass_same_signal(void)
{
	pass_time(0.6);
}

static void term_await(struct term *term)
{
	assert_int_equal(child_await(&term->child, PATIENCE), 'd');
	term->took = seconds_now() - term->since;
	assert_true(term->took < LIMIT + MARGIN);
}

static tide_position term_checkpoint(const struct term *term)
{
	sqlite3 *database = plain_open(term->rig.file);
	tide_position position =
		plain_number(database, "SELECT global_position FROM projection_checkpoints");
	sqlite3_close(database);
	return position;
}

/* The process ends well, its second run having handled what was left. */
static void term_end(struct term *term, int left)
{
	atomic_store(&term->shared->may_return, true);
	assert_int_equal(child_join(&term->child), 0);
	assert_int_equal(term->shared->again, left);
	munmap(term->shared, sizeof *term->shared);
	rig_close(&term->rig);
}

static void assert_clean(const struct term *term)
{
	const struct tide_shutdown_result *result = &term->shared->result;
	assert_int_equal(result->phase, TIDE_PHASE_STOPPED);
	assert_int_equal(result->reason, TIDE_SHUTDOWN_SIGTERM);
	assert_false(result->forced);
	assert_int_equal(result->subscriptions_stopped, 1);
	assert_int_equal(result->error.status, TIDE_OK);
	assert_true(result->duration_seconds <= term->took);
	assert_int_equal(atomic_load(&term->shared->before_hooks), 1);
	assert_int_equal(atomic_load(&term->shared->after_hooks), 1);
	assert_int_equal(atomic_load(&term->shared->refused), 2);
}

static void a_slow_handler_is_drained(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, SLOW, 20);
	term_signal(&term);
	wait_for(PATIENCE, atomic_load(&term.shared->is_draining));
	pass_time(0.3); /* well into the drain */
	atomic_store(&term.shared->may_return, true);
	term_await(&term);
	assert_clean(&term);
	assert_int_equal(term.shared->result.in_flight_at_start, 1);
	assert_int_equal(term.shared->result.events_drained, 1);
	assert_int_equal(term.shared->result.events_not_drained, 0);
	assert_int_equal(term.shared->result.checkpoints_saved, 1);
	term_end(&term, 19);
}

static void catching_up_ends_between_two_events(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, CATCH_UP, EVENTS);
	term_signal(&term);
	term_await(&term);
	assert_clean(&term);
	int handled = atomic_load(&term.shared->handled);
	assert_in_range(handled, 10, EVENTS - 1);
	assert_int_equal(term.shared->result.events_not_drained, 0);
	atomic_store(&term.shared->may_return, true);
	assert_int_equal(child_join(&term.child), 0);
	/* Nothing was handled twice, and nothing left out: the second run took up exactly where the
	 * first one ended. */
	assert_int_equal(atomic_load(&term.shared->handled), EVENTS);
	assert_int_equal(term_checkpoint(&term), EVENTS);
	rig_close(&term.rig);
}

static void a_paused_subscription_stops(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, PAUSED, 20);
	term_signal(&term);
	term_await(&term);
	assert_clean(&term);
	assert_int_equal(term.shared->result.in_flight_at_start, 0);
	assert_int_equal(term_checkpoint(&term), 20);
	term_end(&term, 0);
}

static void an_open_breaker_does_not_hold_the_end_up(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, BREAKER, 20);
	term_signal(&term);
	term_await(&term);
	assert_clean(&term);
	assert_int_equal(term.shared->result.checkpoints_saved, 0);
	term_end(&term, 20);
}

static void a_locked_store_costs_the_checkpoint_and_not_the_limit(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, LOCKED, 20);
	/* Live with everything saved; five more are settled and, with this strategy, not yet
	 * saved. */
	must(tide_store_open(term.rig.url, NULL, &term.rig.store, err));
	append_many(term.rig.store, stream_of("Order", 1), 20, 5);
	rig_shut(&term.rig);
	wait_for(PATIENCE, atomic_load(&term.shared->handled) == 25);
	assert_int_equal(term_checkpoint(&term), 20);
	sqlite3 *locker = plain_open(term.rig.file);
	plain_run(locker, "BEGIN IMMEDIATE");
	term_signal(&term);
	term_await(&term);
	const struct tide_shutdown_result *result = &term.shared->result;
	assert_int_equal(result->phase, TIDE_PHASE_FORCED);
	assert_int_equal(result->reason, TIDE_SHUTDOWN_TIMEOUT);
	assert_int_equal(result->in_flight_at_start, 0);
	must_mention(&result->error, "saves the position");
	assert_int_equal(result->checkpoints_saved, 0);
	assert_int_equal(term_checkpoint(&term), 20);
	assert_int_equal(result->subscriptions_stopped, 1);
	plain_run(locker, "ROLLBACK");
	sqlite3_close(locker);
	atomic_store(&term.shared->may_return, true);
	assert_int_equal(child_join(&term.child), 0);
	/* At least once: unless the save went through after all when the lock went, what it held is
	 * handled again. */
	assert_true(term.shared->again == 5 || term.shared->again == 0);
	assert_int_equal(atomic_load(&term.shared->handled), 25 + term.shared->again);
	assert_int_equal(term_checkpoint(&term), 25);
	munmap(term.shared, sizeof *term.shared);
	rig_close(&term.rig);
}

static void a_lock_that_goes_in_time_costs_nothing(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, LOCKED_LONG, 20);
	must(tide_store_open(term.rig.url, NULL, &term.rig.store, err));
	append_many(term.rig.store, stream_of("Order", 1), 20, 5);
	rig_shut(&term.rig);
	wait_for(PATIENCE, atomic_load(&term.shared->handled) == 25);
	sqlite3 *locker = plain_open(term.rig.file);
	plain_run(locker, "BEGIN IMMEDIATE");
	term_signal(&term);
	pass_time(0.7); /* longer than its busy timeout, so that the save is tried again */
	plain_run(locker, "ROLLBACK");
	sqlite3_close(locker);
	term_await(&term);
	assert_clean(&term);
	assert_int_equal(term.shared->result.checkpoints_saved, 1);
	assert_int_equal(term_checkpoint(&term), 25);
	term_end(&term, 0);
}

static void a_handler_that_does_not_return_is_left_behind(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, HANGING, 20);
	term_signal(&term);
	term_await(&term);
	const struct tide_shutdown_result *result = &term.shared->result;
	assert_int_equal(result->phase, TIDE_PHASE_FORCED);
	assert_int_equal(result->reason, TIDE_SHUTDOWN_TIMEOUT);
	assert_true(result->forced);
	assert_int_equal(result->in_flight_at_start, 1);
	assert_int_equal(result->events_drained, 0);
	assert_int_equal(result->events_not_drained, 1);
	assert_int_equal(result->subscriptions_stopped, 1);
	assert_int_equal(atomic_load(&term.shared->after_hooks), 1);
	assert_true(term_checkpoint(&term) <= 0); /* nothing was settled */
	assert_int_equal(result->checkpoints_saved, 0);
	/* Released only now; its success is ignored, and the event is handled again. */
	atomic_store(&term.shared->may_return, true);
	assert_int_equal(child_join(&term.child), 0);
	assert_int_equal(atomic_load(&term.shared->calls), 21);
	assert_int_equal(term_checkpoint(&term), 20);
	munmap(term.shared, sizeof *term.shared);
	rig_close(&term.rig);
}

static void a_second_signal_forces_the_end(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, DOUBLE, 20);
	term_signal(&term);
	wait_for(PATIENCE, atomic_load(&term.shared->before_hooks) == 1);
	pass_same_signal();
	child_signal(&term.child, SIGTERM);
	term_await(&term); /* long before the drain would give up */
	const struct tide_shutdown_result *result = &term.shared->result;
	assert_int_equal(result->phase, TIDE_PHASE_FORCED);
	assert_int_equal(result->reason, TIDE_SHUTDOWN_DOUBLE_SIGNAL);
	assert_string_equal(result->error.message, "Forced by double signal");
	assert_int_equal(atomic_load(&term.shared->after_hooks), 0);
	atomic_store(&term.shared->may_return, true);
	assert_int_equal(child_join(&term.child), 0);
	assert_int_equal(term_checkpoint(&term), 20);
	munmap(term.shared, sizeof *term.shared);
	rig_close(&term.rig);
}

static void a_third_signal_is_left_to_the_system(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, TRIPLE, 20);
	term_signal(&term);
	wait_for(PATIENCE, atomic_load(&term.shared->before_hooks) == 1);
	pass_same_signal();
	child_signal(&term.child, SIGTERM);
	wait_for(PATIENCE, atomic_load(&term.shared->is_saving)); /* and goes no further */
	pass_same_signal();
	child_signal(&term.child, SIGINT);
	assert_int_equal(child_join(&term.child), 128 + SIGINT);
	assert_int_equal(atomic_load(&term.shared->after_hooks), 0);
	munmap(term.shared, sizeof *term.shared);
	rig_close(&term.rig);
}

/* Whatever its number in the row: the process has to be told again before it ends another way. */
static void signals_that_follow_at_once_are_the_same_one(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, SLOW, 20);
	/* so that all of them are there at once, however slow the machine is */
	child_signal(&term.child, SIGSTOP);
	int status;
	assert_int_equal(waitpid(term.child.pid, &status, WUNTRACED), term.child.pid);
	child_signal(&term.child, SIGTERM);
	child_signal(&term.child, SIGINT);
	child_signal(&term.child, SIGCONT);
	wait_for(PATIENCE, atomic_load(&term.shared->is_draining));
	atomic_store(&term.shared->may_return, true);
	term.since = seconds_now();
	term_await(&term);
	assert_int_equal(term.shared->result.phase, TIDE_PHASE_STOPPED);
	assert_false(term.shared->result.forced);
	assert_int_equal(atomic_load(&term.shared->after_hooks), 1);
	term_end(&term, 19);
}

static void a_second_signal_ends_the_wait_for_a_locked_store(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, LOCKED_LONG, 20);
	must(tide_store_open(term.rig.url, NULL, &term.rig.store, err));
	append_many(term.rig.store, stream_of("Order", 1), 20, 5);
	rig_shut(&term.rig);
	wait_for(PATIENCE, atomic_load(&term.shared->handled) == 25);
	sqlite3 *locker = plain_open(term.rig.file);
	plain_run(locker, "BEGIN IMMEDIATE");
	term_signal(&term);
	wait_for(PATIENCE, atomic_load(&term.shared->before_hooks) == 1);
	pass_same_signal(); /* the sequence waits for the save now */
	child_signal(&term.child, SIGTERM);
	double since = seconds_now();
	term_await(&term);
	assert_true(seconds_now() - since < 1.0 + MARGIN); /* without it, the save has 5 s */
	assert_int_equal(term.shared->result.reason, TIDE_SHUTDOWN_DOUBLE_SIGNAL);
	plain_run(locker, "ROLLBACK");
	sqlite3_close(locker);
	atomic_store(&term.shared->may_return, true);
	assert_int_equal(child_join(&term.child), 0);
	assert_int_equal(term_checkpoint(&term), 25);
	rig_close(&term.rig);
}

static void a_hook_that_hangs_does_not_hold_the_end_up(void **state)
{
	(void)state;
	struct term term;
	term_start(&term, HOOK_HANGS, 20);
	term_signal(&term);
	term_await(&term);
	assert_clean(&term);
	assert_true(term.took >= 0.5); /* its limit; no other one is near */
	assert_int_equal(term_checkpoint(&term), 20);
	term_end(&term, 0);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_handler_is_drained),
		cmocka_unit_test(catching_up_ends_between_two_events),
		cmocka_unit_test(a_paused_subscription_stops),
		cmocka_unit_test(an_open_breaker_does_not_hold_the_end_up),
		cmocka_unit_test(a_locked_store_costs_the_checkpoint_and_not_the_limit),
		cmocka_unit_test(a_lock_that_goes_in_time_costs_nothing),
		cmocka_unit_test(a_handler_that_does_not_return_is_left_behind),
		cmocka_unit_test(a_second_signal_forces_the_end),
		cmocka_unit_test(a_third_signal_is_left_to_the_system),
		cmocka_unit_test(signals_that_follow_at_once_are_the_same_one),
		cmocka_unit_test(a_second_signal_ends_the_wait_for_a_locked_store),
		cmocka_unit_test(a_hook_that_hangs_does_not_hold_the_end_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many at once: threads that append to a live subscription, pausing and resuming under load, a
 * thousand subscriptions of one manager that are paused, resumed, failed and restarted at random.
 *
 * TIDE_TEST_SECONDS: how long the thousand are troubled (10).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_tools.h"

#define APPENDERS 5
#define APPENDS 200

/* ---- Five threads ---------------------------------------------------------------------------- */

static void appender(void *self, size_t index)
{
	struct rig *rig = self;
	for (unsigned i = 0; i < APPENDS; i++)
		append_many(rig->store, stream_of("Thread", (unsigned)index), i, 1);
}

static void each_event_of_five_threads_arrives_once_and_in_order(void **state)
{
	struct rig rig;
	rig_open(&rig, *state);
	struct witness witness = WITNESS;
	struct tide_subscriber subscriber = witness_single("Live", &witness);
	struct tide_subscription_config config = quick_config();
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	assert_int_equal(tide_subscription_state(subscription), TIDE_STATE_LIVE);
	race_to(APPENDERS, appender, &rig);
	wait_position(subscription, APPENDERS * APPENDS);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	witness_saw_all(&witness, 1, APPENDERS * APPENDS);
	assert_int_equal(checkpoint_of(rig.checkpoints, "Live").events_processed,
			 APPENDERS * APPENDS);
	rig_close(&rig);
	witness_fini(&witness);
}

/* ---- Pause and resume ------------------------------------------------------------------------ */

struct switches {
	struct rig *rig;
	atomic_bool is_over;
	atomic_int paused, resumed;
};

static void switch_or_append(void *self, size_t index)
{
	struct switches *switches = self;
	if (index == 0) {
		for (unsigned i = 0; i < APPENDS; i++) {
			append_many(switches->rig->store, stream_of("Thread", 0), i, 1);
			while (atomic_load(&switches->paused) < (int)i / 4) /* so that they meet */
				wait_a_moment();
		}
		atomic_store(&switches->is_over, true);
		return;
	}
	while (!atomic_load(&switches->is_over)) {
		if (index == 1)
			switches->paused += tide_manager_pause(switches->rig->manager, "Switched",
							       TIDE_PAUSE_MANUAL);
		else
			switches->resumed +=
				tide_manager_resume(switches->rig->manager, "Switched");
	}
}

static void pauses_and_resumes_in_a_race_lose_nothing(void **state)
{
	struct rig rig;
	rig_open(&rig, *state);
	struct witness witness = WITNESS;
	struct switches switches = { .rig = &rig };
	struct tide_subscriber subscriber = witness_single("Switched", &witness);
	struct tide_subscription_config config = quick_config();
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	race_to(3, switch_or_append, &switches);
	/* Each that took effect changed the state: paused and running alternate, and the state is
	 * what they say. */
	int open = atomic_load(&switches.paused) - atomic_load(&switches.resumed);
	assert_in_range(open, 0, 1);
	assert_int_equal(tide_subscription_state(subscription) == TIDE_STATE_PAUSED, open);
	assert_true(atomic_load(&switches.paused) > 0);
	tide_manager_resume(rig.manager, "Switched");
	wait_position(subscription, APPENDS);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	witness_saw_all(&witness, 1, APPENDS);
	rig_close(&rig);
	witness_fini(&witness);
}

/** The states as the log tells them. */
struct told {
	struct rig *rig;
	char last[32];
	int lines, breaks;
};

static void told_line(void *self, const struct tide_log_line *line)
{
	struct told *told = self;
	char from[32] = "", to[32] = "";
	const char *states = strstr(line->fields, " from=");
	if (strcmp(line->message, "state changed") != 0 || !states ||
	    sscanf(states, " from=%31s to=%31s", from, to) != 2)
		return;
	told->breaks += told->lines++ > 0 && strcmp(told->last, from) != 0;
	strcpy(told->last, to);
}

static void told_switch(void *self, size_t index)
{
	struct told *told = self;
	for (int i = 0; i < 2000; i++) {
		if ((index + (size_t)i) % 2)
			(void)tide_manager_pause(told->rig->manager, "Told", TIDE_PAUSE_MANUAL);
		else
			(void)tide_manager_resume(told->rig->manager, "Told");
	}
}

static void the_log_tells_states_in_the_order_of_their_changes(void **state)
{
	struct rig rig;
	struct told told = { .rig = &rig };
	rig_open(&rig, *state);
	struct witness witness = WITNESS;
	struct tide_subscriber subscriber = witness_single("Told", &witness);
	struct tide_subscription_config config = quick_config();
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, NULL, err));
	tide_log_set(told_line, &told, TIDE_LOG_INFO);
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	race_to(4, told_switch, &told);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_true(told.lines > 10);
	assert_int_equal(told.breaks, 0);
	assert_string_equal(told.last, "stopped");
	rig_close(&rig);
	witness_fini(&witness);
}

static void nothing_is_delivered_while_paused(void **state)
{
	struct rig rig;
	rig_open(&rig, *state);
	struct witness witness = WITNESS;
	struct tide_subscriber subscriber = witness_single("Paused", &witness);
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_PERIODIC;
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	append_many(rig.store, stream_of("Order", 1), 0, 5);
	wait_position(subscription, 5);
	assert_true(tide_manager_pause(rig.manager, "Paused", TIDE_PAUSE_MAINTENANCE));
	wait_for(PATIENCE, saved_position(rig.checkpoints, "Paused") == 5); /* the trailing save */
	append_many(rig.store, stream_of("Order", 1), 5, 5);
	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.state, TIDE_STATE_PAUSED);
	assert_int_equal(status.pause_reason, TIDE_PAUSE_MAINTENANCE);
	assert_int_equal(status.lag_events, 5);
	assert_int_equal(witness_count(&witness), 5);
	assert_false(tide_manager_pause(rig.manager, "Paused", TIDE_PAUSE_MANUAL));
	assert_true(tide_manager_resume(rig.manager, "Paused"));
	wait_position(subscription, 10);
	assert_false(tide_manager_resume(rig.manager, "Paused"));
	assert_false(tide_manager_resume(rig.manager, "Nobody"));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	witness_saw_all(&witness, 1, 10);
	rig_close(&rig);
	witness_fini(&witness);
}

/* ---- A thousand ------------------------------------------------------------------------------ */

#define CROWD 1000
#define CROWD_EVENTS 60

/* One of the thousand: which events it has handled, and when to fail. */
struct member {
	atomic_int inside, overlaps, out_of_order;
	atomic_int handled; /* calls that succeeded */
	tide_position last; /* its runner's thread */
	/* microseconds from the append of the newest event to its handler */
	atomic_int_least64_t latest;
	unsigned number;
	atomic_int fail; /* 1: the next call transiently, 2: permanently */
	struct tide_subscription *subscription;
};

static tide_status member_handle(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct member *member = self;
	if (atomic_fetch_add(&member->inside, 1) != 0)
		atomic_fetch_add(&member->overlaps, 1);
	int fail = atomic_exchange(&member->fail, 0);
	tide_status status = TIDE_OK;
	if (fail)
		status = tide_delivery_fail(
			delivery, fail == 1 ? TIDE_HANDLER_TRANSIENT : TIDE_HANDLER_PERMANENT,
			"as told");
	if (status == TIDE_OK) {
		/* At least once: after a restart an event may come again, but none may be passed
		 * over. */
		if (event->position > member->last + 1)
			atomic_fetch_add(&member->out_of_order, 1);
		member->last = event->position;
		atomic_fetch_add(&member->handled, 1);
		atomic_store(&member->latest, tide_time_now().unix_us - event->stored_at.unix_us);
	}
	atomic_fetch_sub(&member->inside, 1);
	return status;
}

static long status_number(const char *key)
{
	char line[256];
	long number = -1;
	FILE *file = fopen("/proc/self/status", "r");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, key, strlen(key)) == 0)
			number = strtol(line + strlen(key) + 1, NULL, 10);
	if (file)
		fclose(file);
	return number;
}

static void crowd_wait(struct member *members, tide_position position)
{
	for (size_t i = 0; i < CROWD; i++)
		wait_position(members[i].subscription, position);
}

/* Behind a thousand that save their progress, the lock of an SQLite file may be away for longer
 * than an append waits. */
static void crowd_append(struct rig *rig, unsigned number)
{
	struct tide_new_event events[] = { event_of("Counted", number) };
	struct tide_error err;
	tide_status status;
	do
		status = tide_store_append(rig->store,
					   APPEND(stream_of("Crowd", number % 5), TIDE_ANY, events),
					   NULL, &err);
	while (status == TIDE_BUSY);
	assert_int_equal(status, TIDE_OK);
}

static void crowd_trouble(struct rig *rig, struct member *members, double seconds)
{
	double until = seconds_now() + seconds;
	unsigned appended = 1;
	double append_at = seconds_now();
	while (seconds_now() < until) {
		struct member *member = &members[random() % (CROWD / 2)];
		const char *name = tide_subscription_name(member->subscription);
		switch (random() % 5) {
		case 0:
			tide_manager_pause(rig->manager, name, TIDE_PAUSE_MANUAL);
			break;
		case 1:
			tide_manager_resume(rig->manager, name);
			break;
		case 2:
			atomic_store(&member->fail, 1);
			break;
		case 3:
			atomic_store(&member->fail, 2);
			break;
		default:
			(void)tide_manager_restart(rig->manager, name, NULL);
		}
		if (appended < CROWD_EVENTS && seconds_now() >= append_at) {
			crowd_append(rig, appended++);
			append_at = seconds_now() + seconds / CROWD_EVENTS;
		}
	}
	while (appended < CROWD_EVENTS)
		crowd_append(rig, appended++);
}

static void crowd_settle(struct rig *rig, struct member *members)
{
	for (size_t i = 0; i < CROWD; i++) {
		const char *name = tide_subscription_name(members[i].subscription);
		atomic_store(&members[i].fail, 0);
		double deadline = seconds_now() + PATIENCE;
		while (tide_subscription_position(members[i].subscription) < CROWD_EVENTS &&
		       seconds_now() < deadline) {
			tide_manager_resume(rig->manager, name);
			(void)tide_manager_restart(rig->manager, name, NULL);
			(void)tide_subscription_wait(members[i].subscription, CROWD_EVENTS, 0.1,
						     NULL);
		}
		assert_int_equal(tide_subscription_position(members[i].subscription), CROWD_EVENTS);
	}
}

static void no_event_is_lost_for_any_of_a_thousand_subscriptions(void **state)
{
	struct rig rig;
	rig_open(&rig, *state);
	unsigned seed = (unsigned)test_number("TIDE_TEST_SEED", (int64_t)time(NULL));
	srandom(seed);
	struct member *members = calloc(CROWD, sizeof *members);
	assert_non_null(members);
	long before = status_number("VmRSS:");
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.initial_retry_delay = config.max_retry_delay = 0.01;
	/* a permanent failure ends the run; a restart delivers the event again */
	config.continue_on_error = false;
	config.circuit_breaker_enabled = false;
	/* all of them ask one file for their ownership at once: a start may take its time */
	config.max_retries = 1000;
	/* A thousand writers of one SQLite file after every event would measure SQLite's queue for
	 * the lock. */
	if (strcmp(*state, "sqlite") == 0)
		config.checkpoint_strategy = TIDE_PERIODIC;
	for (unsigned i = 0; i < CROWD; i++) {
		char name[32];
		snprintf(name, sizeof name, "Member%u", i);
		members[i].number = i;
		struct tide_subscriber subscriber = { .name = name,
						      .self = &members[i],
						      .handle = member_handle };
		must(tide_manager_subscribe(rig.manager, &subscriber, &config,
					    &members[i].subscription, err));
	}
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	crowd_append(&rig, 0);
	crowd_wait(members, 1);
	int64_t slowest = 0;
	for (size_t i = 0; i < CROWD; i++)
		slowest = atomic_load(&members[i].latest) > slowest
				  ? atomic_load(&members[i].latest)
				  : slowest;
	print_message("%s, seed %u: %d subscriptions, %ld threads, %ld KiB more memory, slowest of "
		      "one append %.1f ms\n",
		      (const char *)*state, seed, CROWD, status_number("Threads:"),
		      status_number("VmRSS:") - before, (double)slowest / 1e3);
	crowd_trouble(&rig, members, (double)test_number("TIDE_TEST_SECONDS", 10));
	crowd_settle(&rig, members);
	/* A thousand last writes to one file may take longer than a stop waits for them; nothing is
	 * in hand by now. */
	struct tide_error why = { 0 };
	if (tide_manager_stop(rig.manager, NULL, 0, &why) != TIDE_OK)
		assert_int_equal(why.status, TIDE_TIMEOUT);
	for (size_t i = 0; i < CROWD; i++) {
		assert_int_equal(atomic_load(&members[i].overlaps), 0);
		assert_int_equal(atomic_load(&members[i].out_of_order), 0);
		assert_int_equal(members[i].last, CROWD_EVENTS);
		/* A last save that found the file locked was not made, and the restart goes by the
		 * row. */
		assert_in_range(atomic_load(&members[i].handled), CROWD_EVENTS,
				strcmp(*state, "sqlite") == 0 ? 2 * CROWD_EVENTS : CROWD_EVENTS);
	}
	rig_close(&rig);
	free(members);
}

/* ---- What a start comes to ------------------------------------------------------------------- */

static tide_status refuse_all(struct witness *witness, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)witness;
	(void)event;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "refused at once");
}

#define CALM 15

/* The one that fails is started first: by the time that it is asked, it has ended in error. */
static void a_start_returns_what_resolving_it_came_to(void **state)
{
	struct rig rig;
	struct witness failing = WITNESS, calm = WITNESS;
	failing.decide = refuse_all;
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	rig_open(&rig, *state);
	append_many(rig.store, stream_of("Order", 1), 0, 20);
	struct tide_subscription_config config = quick_config();
	config.continue_on_error = false;
	struct tide_subscriber subscriber = witness_single("Failing", &failing);
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	for (int i = 0; i < CALM; i++) {
		char name[16];
		snprintf(name, sizeof name, "Calm%d", i);
		subscriber = witness_single(name, &calm);
		must(tide_manager_subscribe(rig.manager, &subscriber, NULL, NULL, err));
	}
	for (int round = 0; round < 20; round++) {
		must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
		wait_state(subscription, TIDE_STATE_ERROR);
		must(tide_manager_restart(rig.manager, "Failing", err));
		wait_state(subscription, TIDE_STATE_ERROR);
		struct tide_error why =
			refused(TIDE_HANDLER_PERMANENT,
				tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
		must_mention(&why, "refused at once");
		must(tide_manager_stop(rig.manager, NULL, 0, err));
	}
	must(tide_manager_start(rig.manager, (const char *const[]){ "Calm0", NULL }, 0, NULL, NULL,
				err));
	for (int round = 0; round < 200; round++) {
		must(tide_manager_unsubscribe(rig.manager, "Failing", err));
		subscriber = witness_single("Failing", &failing);
		must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
		wait_state(subscription, TIDE_STATE_ERROR);
	}
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	rig_close(&rig);
	witness_fini(&failing);
	witness_fini(&calm);
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
}

int main(void)
{
	static char memory[] = "memory", sqlite[] = "sqlite";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(each_event_of_five_threads_arrives_once_and_in_order,
					  memory),
		cmocka_unit_test_prestate(each_event_of_five_threads_arrives_once_and_in_order,
					  sqlite),
		cmocka_unit_test_prestate(pauses_and_resumes_in_a_race_lose_nothing, memory),
		cmocka_unit_test_prestate(pauses_and_resumes_in_a_race_lose_nothing, sqlite),
		cmocka_unit_test_prestate(the_log_tells_states_in_the_order_of_their_changes,
					  memory),
		cmocka_unit_test_prestate(a_start_returns_what_resolving_it_came_to, memory),
		cmocka_unit_test_prestate(a_start_returns_what_resolving_it_came_to, sqlite),
		cmocka_unit_test_prestate(nothing_is_delivered_while_paused, memory),
		cmocka_unit_test_prestate(nothing_is_delivered_while_paused, sqlite),
		cmocka_unit_test_prestate(no_event_is_lost_for_any_of_a_thousand_subscriptions,
					  memory),
		cmocka_unit_test_prestate(no_event_is_lost_for_any_of_a_thousand_subscriptions,
					  sqlite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One owner at a time on one SQLite file: a second process stands by, takes over from a killed or a
 * stopped one, and who is no longer the owner cannot save. And two processes that append while a
 * third one is subscribed.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine_tools.h"

/* ---- Processes ------------------------------------------------------------------------------- */

static tide_status pass(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)self, (void)event, (void)delivery;
	return TIDE_OK;
}

/* Stopped by SIGTERM; reports 's' when it stands by and 'o' when it owns. */
static int owner_run(const char *url, int report_to)
{
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = quick_config();
	config.poll_interval_seconds = 0.5;
	insist(tide_store_open(url, NULL, &store, err));
	insist(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	insist(tide_manager_subscribe(manager,
				      &(struct tide_subscriber){ .name = "Owned", .handle = pass },
				      &config, &subscription, err));
	insist(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	for (bool was_standby = false, was_owner = false;;) {
		struct tide_subscription_status status;
		insist(tide_subscription_status(subscription, &status, err));
		if (status.standby && !was_standby)
			child_report(report_to, 's');
		if (status.state == TIDE_STATE_LIVE && !was_owner)
			child_report(report_to, 'o');
		was_standby = status.standby;
		was_owner = status.state == TIDE_STATE_LIVE;
		if (sigtimedwait(&term, NULL, &(struct timespec){ .tv_nsec = 2000000 }) == SIGTERM)
			break;
	}
	insist(tide_manager_stop(manager, NULL, 0, err));
	tide_manager_close(manager);
	tide_store_close(store);
	return 0;
}

/* How long the standby took to take over after the owner went by a signal. */
static double takeover_seconds(int by_signal, int status)
{
	struct rig rig;
	rig_make(&rig, "sqlite");
	struct child first = child_start(owner_run, rig.url);
	assert_int_equal(child_await(&first, PATIENCE), 'o');
	struct child second = child_start(owner_run, rig.url);
	assert_int_equal(child_await(&second, PATIENCE), 's');
	child_signal(&first, by_signal);
	assert_int_equal(child_join(&first), status);
	double since = seconds_now();
	assert_int_equal(child_await(&second, PATIENCE), 'o');
	double took = seconds_now() - since;
	child_signal(&second, SIGTERM);
	assert_int_equal(child_join(&second), 0);
	rig_close(&rig);
	return took;
}

static void standby_takes_over_within_two_seconds_of_a_kill(void **state)
{
	(void)state;
	double took = takeover_seconds(SIGKILL, 128 + SIGKILL);
	print_message("taken over %.3f s after SIGKILL\n", took);
	assert_true(took < 2.0);
}

static void standby_takes_over_after_a_clean_stop(void **state)
{
	(void)state;
	double took = takeover_seconds(SIGTERM, 0);
	print_message("taken over %.3f s after a clean stop\n", took);
	assert_true(took < 2.0); /* its poll interval is 0.5 s */
}

/* ---- Two managers in one process ------------------------------------------------------------- */

struct pair {
	struct rig rig;
	struct tide_manager *other;
	struct tide_subscription *first, *second;
	struct witness saw_first, saw_second;
};

static void pair_open_polling(struct pair *pair, const char *backend, double poll_seconds)
{
	*pair = (struct pair){ .saw_first = WITNESS, .saw_second = WITNESS };
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	config.poll_interval_seconds = poll_seconds;
	rig_open(&pair->rig, backend);
	must(tide_manager_open(TIDE_MANAGER(.store = pair->rig.store), &pair->other, err));
	struct tide_subscriber first = witness_single("Owned", &pair->saw_first);
	struct tide_subscriber second = witness_single("Owned", &pair->saw_second);
	must(tide_manager_subscribe(pair->rig.manager, &first, &config, &pair->first, err));
	must(tide_manager_subscribe(pair->other, &second, &config, &pair->second, err));
	must(tide_manager_start(pair->rig.manager, NULL, PATIENCE, NULL, NULL, err));
	must(tide_manager_start(pair->other, NULL, PATIENCE, NULL, NULL, err));
}

static void pair_open(struct pair *pair, const char *backend)
{
	pair_open_polling(pair, backend, quick_config().poll_interval_seconds);
}

static void pair_close(struct pair *pair)
{
	tide_manager_close(pair->other);
	rig_close(&pair->rig);
	witness_fini(&pair->saw_first);
	witness_fini(&pair->saw_second);
}

static void second_manager_stands_by_and_continues_from_the_checkpoint(void **state)
{
	struct pair pair;
	pair_open(&pair, *state);
	assert_int_equal(tide_subscription_state(pair.second), TIDE_STATE_STARTING);
	assert_true(status_of(pair.second).standby);
	assert_false(status_of(pair.first).standby);
	assert_false(tide_manager_pause(pair.other, "Owned", TIDE_PAUSE_MANUAL));
	append_many(pair.rig.store, stream_of("Order", 1), 0, 5);
	wait_position(pair.first, 5);
	must(tide_manager_stop(pair.rig.manager, NULL, 0, err));
	append_many(pair.rig.store, stream_of("Order", 1), 5, 5);
	wait_position(pair.second, 10);
	witness_saw_all(&pair.saw_first, 1, 5);
	witness_saw_all(&pair.saw_second, 6, 10);
	assert_false(status_of(pair.second).standby);
	wait_for(PATIENCE, saved_position(pair.rig.checkpoints, "Owned") == 10);
	assert_int_equal(checkpoint_of(pair.rig.checkpoints, "Owned").events_processed, 10);
	pair_close(&pair);
}

static void stopping_a_standby_works_at_once(void **state)
{
	struct pair pair;
	pair_open(&pair, *state);
	double since = seconds_now();
	must(tide_manager_stop(pair.other, NULL, 0, err));
	assert_true(seconds_now() - since < 5);
	assert_int_equal(tide_subscription_state(pair.second), TIDE_STATE_STOPPED);
	pair_close(&pair);
}

static void a_release_in_the_same_process_is_heard_at_once(void **state)
{
	struct pair pair;
	pair_open_polling(&pair, *state, 3600);
	assert_true(status_of(pair.second).standby);
	must(tide_manager_stop(pair.rig.manager, NULL, 0, err));
	wait_state(pair.second, TIDE_STATE_LIVE);
	pair_close(&pair);
}

/* Through a store handle of its own, the standby hears every append and no release. */
static void a_standby_asks_at_its_poll_whatever_rings(void **state)
{
	(void)state;
	struct rig rig;
	struct tide_store *store;
	struct tide_manager *other;
	struct tide_subscription *standby;
	struct witness saw = WITNESS;
	struct tide_subscriber subscriber = witness_single("Owned", &saw);
	struct tide_subscription_config config = quick_config();
	config.poll_interval_seconds = 1.5;
	rig_open(&rig, "sqlite");
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, NULL, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	must(tide_store_open(rig.url, NULL, &store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store), &other, err));
	must(tide_manager_subscribe(other, &subscriber, &config, &standby, err));
	double since = seconds_now(); /* before it asks for the first time */
	must(tide_manager_start(other, NULL, PATIENCE, NULL, NULL, err));
	assert_true(status_of(standby).standby);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	for (unsigned n = 0; tide_subscription_state(standby) != TIDE_STATE_LIVE; n++) {
		append_many(store, stream_of("Order", 1), n, 1);
		wait_a_moment();
	}
	assert_true(seconds_now() - since >= config.poll_interval_seconds);
	tide_manager_close(other);
	tide_store_close(store);
	rig_close(&rig);
	witness_fini(&saw);
}

static void an_owner_that_was_replaced_cannot_save(void **state)
{
	(void)state;
	struct pair pair;
	pair_open(&pair, "sqlite");
	append_many(pair.rig.store, stream_of("Order", 1), 0, 3);
	wait_position(pair.first, 3);
	wait_for(PATIENCE, saved_position(pair.rig.checkpoints, "Owned") == 3);
	sqlite3 *database = plain_open(pair.rig.file);
	plain_run(database, "UPDATE subscription_leases SET epoch = epoch + 1, owner = NULL WHERE "
			    "name = 'Owned'");
	append_many(pair.rig.store, stream_of("Order", 1), 3, 1);
	/* The first one finds out when it saves event 4: fenced, nothing written, and it stands by
	 * behind the other one. */
	wait_for(PATIENCE, tide_subscription_state(pair.second) == TIDE_STATE_LIVE ||
				   status_of(pair.first).error.status == TIDE_FENCED);
	wait_for(PATIENCE, saved_position(pair.rig.checkpoints, "Owned") == 4);
	assert_int_equal(status_of(pair.first).error.status, TIDE_FENCED);
	assert_int_equal(checkpoint_of(pair.rig.checkpoints, "Owned").events_processed, 4);
	wait_for(PATIENCE, status_of(pair.first).standby != status_of(pair.second).standby);
	sqlite3_close(database);
	pair_close(&pair);
}

/* ---- Appending from other processes ---------------------------------------------------------- */

#define WRITES 40

static int writer_run(const char *argument, int report_to)
{
	unsigned number;
	char url[512];
	struct tide_store *store;
	if (sscanf(argument, "%u %511s", &number, url) != 2)
		return 97;
	insist(tide_store_open(url, NULL, &store, err));
	child_report(report_to, 'r');
	for (unsigned n = 0; n < WRITES; n++) {
		struct tide_new_event events[] = { event_of("Counted", n) };
		insist(tide_store_append(
			store, APPEND(stream_of("Writer", number), (int64_t)n, events), NULL, err));
		/* idle in between: latency, not throughput */
		pass_time(0.005 + 0.01 * (double)(random() % 100) / 100);
	}
	tide_store_close(store);
	return 0;
}

struct latencies {
	double seconds[2 * WRITES];
	size_t count;
};

static tide_status latency_note(struct witness *witness, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)delivery;
	struct latencies *latencies = witness->more;
	struct tide_time now = tide_time_now();
	if (latencies->count < COUNT(latencies->seconds))
		latencies->seconds[latencies->count++] =
			(double)(now.unix_us - event->occurred_at.unix_us) / 1e6;
	return TIDE_OK;
}

static int compare_seconds(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

static void events_of_two_processes_arrive_in_order_and_soon(void **state)
{
	(void)state;
	struct rig rig;
	struct latencies latencies = { .count = 0 };
	struct witness witness = WITNESS;
	witness.decide = latency_note;
	witness.more = &latencies;
	rig_open(&rig, "sqlite");
	struct tide_subscription_config config = quick_config();
	config.poll_interval_seconds = 10; /* soon means that commits are noticed, not polled for */
	struct tide_subscriber subscriber = witness_single("Near", &witness);
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	struct child writers[2];
	for (unsigned i = 0; i < 2; i++) {
		char argument[600];
		snprintf(argument, sizeof argument, "%u %s", i, rig.url);
		writers[i] = child_start(writer_run, argument);
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(child_join(&writers[i]), 0);
	wait_position(subscription, 2L * WRITES);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	witness_saw_all(&witness, 1, 2L * WRITES);
	qsort(latencies.seconds, latencies.count, sizeof *latencies.seconds, compare_seconds);
	double median = latencies.seconds[latencies.count / 2];
	print_message("latency between processes: median %.1f ms, worst %.1f ms\n", median * 1e3,
		      latencies.seconds[latencies.count - 1] * 1e3);
	assert_true(median < 1.0); /* a millisecond where nothing else is at work */
	rig_close(&rig);
	witness_fini(&witness);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	static char memory[] = "memory", sqlite[] = "sqlite";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standby_takes_over_within_two_seconds_of_a_kill),
		cmocka_unit_test(standby_takes_over_after_a_clean_stop),
		cmocka_unit_test_prestate(
			second_manager_stands_by_and_continues_from_the_checkpoint, memory),
		cmocka_unit_test_prestate(
			second_manager_stands_by_and_continues_from_the_checkpoint, sqlite),
		cmocka_unit_test_prestate(stopping_a_standby_works_at_once, memory),
		cmocka_unit_test_prestate(stopping_a_standby_works_at_once, sqlite),
		cmocka_unit_test_prestate(a_release_in_the_same_process_is_heard_at_once, memory),
		cmocka_unit_test_prestate(a_release_in_the_same_process_is_heard_at_once, sqlite),
		cmocka_unit_test(a_standby_asks_at_its_poll_whatever_rings),
		cmocka_unit_test(an_owner_that_was_replaced_cannot_save),
		cmocka_unit_test(events_of_two_processes_arrive_in_order_and_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

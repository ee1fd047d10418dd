/* SPDX-License-Identifier: Apache-2.0 */
/* Appends that the server does not answer: a synchronous standby that is missing, a table that
 * somebody has locked. */
#include <stdio.h>
#include <string.h>

#include "core/url.h"
#include "postgres_tools.h"
#include "sys/alloc.h"
#include "sys/thread.h"

#define STANDBY_TRIES 200

/* ---- A server whose standby is missing ------------------------------------------------------- */

/* The connections of stores; those of the tests have no name of their own. */
static int64_t processes(void)
{
	return sql_asked("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
			 "'tidemark'");
}

static int64_t stored(const char *schema)
{
	char sql[100];
	snprintf(sql, sizeof sql, "SELECT count(*) FROM %s.events", schema);
	return sql_asked(sql);
}

static void *store_opened(const char *text, struct tide_store_options options)
{
	struct tide_url url;
	void *store;
	options.size = sizeof options;
	options.initialize = true;
	must(url_parse(text, &url, err));
	must(STORE->open(&url, &options, &store, err));
	url_fini(&url);
	return store;
}

/* The first append that nobody answers; those before it came before the server had read its
 * configuration again. */
static struct tide_error unanswered(void *store, struct tide_event *ret_event)
{
	for (int i = 0; i < STANDBY_TRIES; i++) {
		struct tide_error error = { 0 };
		struct tide_append_result result;
		*ret_event = event_made(stream_of("Order", 1), "{}");
		double began = seconds_now();
		if (append_event(store, ret_event, TIDE_ANY, &result, &error) == TIDE_OK) {
			wait_a_moment();
			continue;
		}
		assert_int_equal(error.status, TIDE_TIMEOUT);
		assert_true(seconds_now() - began > 0.9 && seconds_now() - began < 20);
		return error;
	}
	fail_msg("every append was answered");
	return (struct tide_error){ 0 };
}

/* The server needs a moment to read its configuration again, and a loaded one more. */
static struct tide_append_result answered(void *store, const struct tide_event *event)
{
	struct tide_append_result result;
	struct tide_error error = { 0 };
	double began = seconds_now();
	while (append_event(store, event, TIDE_ANY, &result, &error) != TIDE_OK) {
		assert_true(error.status == TIDE_TIMEOUT || error.status == TIDE_BUSY);
		assert_true(seconds_now() - began < 60);
	}
	return result;
}

static void an_append_without_its_standby_is_a_timeout(void **state)
{
	(void)state;
	void *store = store_opened("postgresql:///?schema=missing&append_timeout=1.5s",
				   (struct tide_store_options){ 0 });
	struct tide_event event;
	standby_named("nobody");
	struct tide_error why = unanswered(store, &event);
	must_mention(&why, "after 1.5 s");
	must_mention(&why, "unknown");
	must_mention(&why, "safe");
	assert_int_equal(why.retry, TIDE_RETRY_LATER);
	standby_named("");
	assert_true(answered(store, &event).was_stored_before);
	STORE->close(store);
}

/* Every repetition waits behind the first try of its event, whose transaction is not over for the
 * others. */
static void appends_without_their_standby_keep_to_the_pool(void **state)
{
	(void)state;
	void *store = store_opened("postgresql:///?schema=again&pool=2",
				   (struct tide_store_options){ .append_timeout_seconds = 1,
								.busy_timeout_seconds = 0.2 });
	struct tide_event events[6];
	struct tide_append_result result;
	wait_for(60, processes() == 1); /* those of other stores have gone */
	standby_named("nobody");
	unanswered(store, &events[0]);
	tide_position before = stored("again");
	for (int i = 1; i < 6; i++) {
		struct tide_error error = { 0 };
		events[i] = event_made(stream_of("Order", (unsigned)i), "{}");
		tide_status status = append_event(store, i % 2 ? &events[0] : &events[i], TIDE_ANY,
						  &result, &error);
		assert_int_equal(status, i == 1 ? TIDE_TIMEOUT : TIDE_BUSY);
		if (i > 1)
			must_mention(&error, "2 of them");
		assert_true(processes() <= 3); /* the pool's, and the bell's */
	}
	assert_int_equal(stored("again"), before);
	standby_named("");
	for (int i = 0; i < 6; i++) {
		result = answered(store, &events[i]);
		assert_true(i > 0 || result.was_stored_before);
	}
	assert_int_equal(stored("again"), before + 6);
	assert_true(processes() <= 3);
	STORE->close(store);
}

static void a_store_with_unanswered_appends_can_be_closed(void **state)
{
	(void)state;
	void *store = store_opened("postgresql:///?schema=closed&append_timeout=1",
				   (struct tide_store_options){ 0 });
	struct tide_event event;
	standby_named("nobody");
	unanswered(store, &event);
	STORE->close(store); /* hangs, or does not */
	standby_named("");
	store = backend_opened("postgresql:///?schema=closed");
	assert_true(answered(store, &event).was_stored_before);
	STORE->close(store);
}

/* ---- A table that somebody has locked -------------------------------------------------------- */

/* The first append of a connection waits at preparing its statement, the next one at running it. */
static void an_append_behind_a_lock_is_a_timeout_and_its_connection_serves_again(void **state)
{
	(void)state;
	void *store = store_opened("postgresql:///?schema=locked&pool=1&append_timeout=1",
				   (struct tide_store_options){ 0 });
	PGconn *other = sql_connect("");
	struct tide_append_result result;
	wait_for(60, processes() == 1); /* those of other stores have gone */
	for (int i = 1; i <= 3; i++) {
		struct tide_event event = event_made(stream_of("Order", 1), "{}");
		sql_run(other, "BEGIN; LOCK TABLE locked.events IN ACCESS EXCLUSIVE MODE");
		refused(TIDE_TIMEOUT, append_event(store, &event, TIDE_ANY, &result, err));
		sql_run(other, "COMMIT");
		assert_int_equal(answered(store, &event).version, i);
		assert_int_equal(stored("locked"), i);
		assert_true(processes() <= 2); /* the pool's, and the bell's */
	}
	PQfinish(other);
	STORE->close(store);
}

static void append_in_a_thread(void *store)
{
	appended(store, stream_of("Order", 1), "{}");
}

static void an_append_that_takes_its_time_below_the_limit_is_answered(void **state)
{
	(void)state;
	void *store = store_opened("postgresql:///?schema=slow&append_timeout=100",
				   (struct tide_store_options){ 0 });
	struct thread thread = { 0 };
	PGconn *other = sql_connect(""), *look = sql_connect("");
	for (int i = 1; i <= 2; i++) {
		sql_run(other, "BEGIN; LOCK TABLE slow.events IN ACCESS EXCLUSIVE MODE");
		must(thread_start(&thread, "appender", append_in_a_thread, store, err));
		wait_for(
			60,
			sql_number(look,
				   "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
				   "'slow.events'::regclass") == 1);
		sql_run(other, "COMMIT");
		thread_join(&thread);
		assert_int_equal(stored("slow"), i);
	}
	PQfinish(look);
	PQfinish(other);
	STORE->close(store);
}

/* ---- The setting ----------------------------------------------------------------------------- */

static void a_limit_out_of_range_is_refused_by_name(void **state)
{
	(void)state;
	void *store;
	static const char *const values[] = { "0", "-1", "999ms", "86401", "25h", "soon", "" };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		char url[80];
		snprintf(url, sizeof url, "postgresql:///?append_timeout=%s", values[i]);
		struct tide_error why =
			refused(TIDE_ARGUMENT, backend_open(url, false, &store, err));
		must_mention(&why, "append_timeout");
		must_mention(&why, values[i]);
	}
	struct tide_store *whole;
	struct tide_error why = refused(
		TIDE_ARGUMENT,
		tide_store_open("postgresql:///", TIDE_STORE_OPTIONS(.append_timeout_seconds = -2),
				&whole, err));
	must_mention(&why, "append_timeout_seconds -2");
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_append_without_its_standby_is_a_timeout),
		cmocka_unit_test(appends_without_their_standby_keep_to_the_pool),
		cmocka_unit_test(a_store_with_unanswered_appends_can_be_closed),
		cmocka_unit_test(
			an_append_behind_a_lock_is_a_timeout_and_its_connection_serves_again),
		cmocka_unit_test(an_append_that_takes_its_time_below_the_limit_is_answered),
		cmocka_unit_test(a_limit_out_of_range_is_refused_by_name),
	};
	int failed = cmocka_run_group_tests_name("postgres_timeout", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The engine over PostgreSQL: read models in the same database and in another one, lost
 * connections, a pooler between.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/temp.h"
#include "lib/wait.h"

static struct tide_store *store_opened(const char *url)
{
	struct tide_store *store;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	return store;
}

/* Soon tried again, and never by the poll. */
static struct tide_subscription_config config_quick(void)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.2;
	config.max_retries = 100;
	config.circuit_breaker_enabled = false;
	config.poll_interval_seconds = 30;
	return config;
}

/** A manager with one subscription. */
struct running {
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
};

static struct running run_subscriber(struct tide_store *store, const char *into,
				     const struct tide_subscriber *subscriber)
{
	struct running running = { .store = store };
	struct tide_subscription_config config = config_quick();
	must(tide_checkpoints_open(into, TIDE_STORE_OPTIONS(.initialize = true), store,
				   &running.checkpoints, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store, .checkpoints = running.checkpoints),
			       &running.manager, err));
	must(tide_manager_subscribe(running.manager, subscriber, &config, NULL, err));
	must(tide_manager_start(running.manager, NULL, 10, NULL, NULL, err));
	return running;
}

static void run_end(struct running *running)
{
	tide_manager_close(running->manager);
	tide_checkpoints_close(running->checkpoints);
}

static tide_position position_of(const struct running *running, const char *name)
{
	tide_position position = 0;
	tide_checkpoints_position(running->checkpoints, name, &position, NULL);
	return position;
}

static int64_t sql_number(const char *text)
{
	PGconn *connection = PQconnectdb("");
	PGresult *result = PQexec(connection, text);
	if (PQntuples(result) != 1)
		fail_msg("%s: %s", text, PQerrorMessage(connection));
	int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	PQfinish(connection);
	return value;
}

/* ---- SQL projections ------------------------------------------------------------------------- */

static const char totals_postgres[] =
	"-- init:\nCREATE TABLE IF NOT EXISTS totals (id uuid PRIMARY KEY, total bigint "
	"NOT NULL, seen timestamptz, at bigint);\n"
	"-- on: Counted\nINSERT INTO totals VALUES (:aggregate_id, "
	"(:payload->>'n')::bigint, :occurred_at, :global_position)\n"
	"ON CONFLICT (id) DO UPDATE SET total = totals.total + excluded.total, at = "
	":global_position; -- not a :parameter\n"
	"-- reset:\nDELETE FROM totals;\n";
static const char totals_sqlite[] =
	"-- init:\nCREATE TABLE IF NOT EXISTS totals (id TEXT PRIMARY KEY, total INTEGER NOT "
	"NULL);\n"
	"-- on: Counted\nINSERT INTO totals VALUES (:aggregate_id, json_extract(:payload, '$.n'))\n"
	"ON CONFLICT (id) DO UPDATE SET total = total + excluded.total;\n";

static struct tide_sql_projection *projection_opened(const char *text, const char *url)
{
	struct tide_sql_projection *projection;
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = text, .name = "totals", .url = url), &projection, err));
	return projection;
}

/* Append to `store`, project into `into`, and come to the sum 0 + 1 + … + 49 in two streams. */
static void project(struct tide_store *store, const char *into, const char *text)
{
	struct tide_sql_projection *projection = projection_opened(text, into);
	append_many(store, stream_of("Order", 1), 0, 20);
	struct running running =
		run_subscriber(store, into, tide_sql_projection_subscriber(projection));
	append_many(store, stream_of("Order", 2), 20, 30);
	wait_for(10, position_of(&running, "totals") == 50);
	run_end(&running);
	tide_sql_projection_close(projection);
}

static void a_sql_projection_runs_beside_its_events(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=beside&options=-csearch_path%3Dbeside";
	struct tide_store *store = store_opened(url);
	project(store, url, totals_postgres);
	assert_int_equal(sql_number("SELECT sum(total) FROM beside.totals"), 49 * 50 / 2);
	assert_int_equal(sql_number("SELECT max(at) FROM beside.totals"), 50);

	struct tide_sql_projection *projection = projection_opened(totals_postgres, url);
	struct tide_checkpoints *checkpoints;
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	must(tide_sql_projection_reset(projection, checkpoints, err));
	assert_int_equal(sql_number("SELECT count(*) FROM beside.totals"), 0);
	tide_checkpoints_close(checkpoints);
	tide_sql_projection_close(projection);
	tide_store_close(store);
}

/* Without retries: a statement that met the change would be a dead letter. */
static void a_sql_projection_goes_on_when_its_table_is_changed(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=reshaped&options=-csearch_path%3Dreshaped";
	static const char text[] =
		"-- init:\nCREATE TABLE IF NOT EXISTS totals (id uuid PRIMARY KEY, total bigint "
		"NOT "
		"NULL);\n-- on: Counted\nINSERT INTO totals VALUES (:aggregate_id, "
		"(:payload->>'n')::bigint)\nON CONFLICT (id) DO UPDATE SET total = totals.total + "
		"excluded.total RETURNING *;\n";
	struct tide_store *store = store_opened(url);
	struct tide_sql_projection *projection = projection_opened(text, url);
	append_many(store, stream_of("Order", 1), 0, 20);
	struct running running =
		run_subscriber(store, url, tide_sql_projection_subscriber(projection));
	wait_for(10, position_of(&running, "totals") == 20);
	postgres_sql("reshaped",
		     "ALTER TABLE totals ALTER total TYPE numeric, ADD COLUMN more text");
	append_many(store, stream_of("Order", 1), 20, 30);
	wait_for(10, position_of(&running, "totals") == 50);
	assert_int_equal(sql_number("SELECT sum(total) FROM reshaped.totals"), 49 * 50 / 2);
	assert_int_equal(sql_number("SELECT count(*) FROM reshaped.dead_letter_queue"), 0);
	run_end(&running);
	tide_sql_projection_close(projection);
	tide_store_close(store);
}

static void a_wrong_statement_is_named_with_its_line(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=wrong";
	struct tide_store *store = store_opened(url);
	struct tide_sql_projection *projection =
		projection_opened("-- on: A\nSELECT 1;\nSELECT nothing FROM nowhere;\n", url);
	struct tide_manager *manager;
	struct tide_subscription_config config = config_quick();
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, tide_sql_projection_subscriber(projection), &config,
				    NULL, err));
	struct tide_error why =
		refused(TIDE_ARGUMENT, tide_manager_start(manager, NULL, 10, NULL, NULL, err));
	must_mention(&why, "line 3");
	must(tide_manager_stop(manager, NULL, 20, err));
	tide_manager_close(manager);
	tide_sql_projection_close(projection);
	tide_store_close(store);
}

static void read_models_live_in_another_database(void **state)
{
	(void)state;
	char directory[TEMP_PATH_SIZE], into[TEMP_PATH_SIZE + 30], events[TEMP_PATH_SIZE + 30];
	temp_make(directory);
	snprintf(into, sizeof into, "sqlite:%s/model.db", directory);
	snprintf(events, sizeof events, "sqlite:%s/events.db", directory);
	struct tide_store *store = store_opened("postgresql:///?schema=outward");
	project(store, into, totals_sqlite);
	tide_store_close(store);
	sqlite3 *database;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open(into + 7, &database), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(database, "SELECT sum(total) FROM totals", -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(statement, 0), 49 * 50 / 2);
	sqlite3_finalize(statement);
	sqlite3_close(database);

	store = store_opened(events);
	project(store, "postgresql:///?schema=inward&options=-csearch_path%3Dinward",
		totals_postgres);
	assert_int_equal(sql_number("SELECT sum(total) FROM inward.totals"), 49 * 50 / 2);
	tide_store_close(store);
	temp_remove(directory);
}

/* ---- Lost connections ------------------------------------------------------------------------ */

static tide_status count_event(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	char text[160];
	snprintf(text, sizeof text,
		 "UPDATE %s.totals SET events = events + 1, last = %lld WHERE last < %lld",
		 (const char *)self, (long long)event->position, (long long)event->position);
	PGresult *result = PQexec(tide_delivery_connection(delivery), text);
	bool is_ok = PQresultStatus(result) == PGRES_COMMAND_OK,
	     is_once = is_ok && strcmp(PQcmdTuples(result), "1") == 0;
	PQclear(result);
	if (is_ok && !is_once)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "seen before");
	return TIDE_OK; /* what the connection says is for the subscription to find out */
}

static void totals_made(const char *schema)
{
	postgres_sql(schema, "CREATE TABLE totals (events bigint, last bigint); INSERT INTO totals "
			     "VALUES (0, 0)");
}

static void ended_connections_neither_lose_nor_double_an_event(void **state)
{
	(void)state;
	struct tide_store *store = store_opened("postgresql:///?schema=ended");
	totals_made("ended");
	static char schema[] = "ended";
	struct tide_subscriber subscriber = {
		.name = "count", .self = schema, .handle = count_event, .transactional = true
	};
	struct running running = run_subscriber(store, NULL, &subscriber);
	double next = 0, end = seconds_now() + 6;
	int64_t appended = 0;
	while (seconds_now() < end) {
		append_many(store, stream_of("Order", (unsigned)appended % 5), 0, 7);
		appended += 7;
		if (seconds_now() > next) {
			postgres_terminate_all();
			next = seconds_now() + 0.4;
		}
	}
	tide_position last = end_of(store);
	wait_for(30, position_of(&running, "count") == last);
	run_end(&running);
	assert_int_equal(sql_number("SELECT events FROM ended.totals"), appended);
	assert_int_equal(sql_number("SELECT count(*) FROM ended.events"), appended);
	assert_int_equal(sql_number("SELECT count(*) FROM ended.dead_letter_queue"), 0);
	tide_store_close(store);
}

/* ---- A server that is away ------------------------------------------------------------------- */

static tide_status tally(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	atomic_fetch_add((atomic_int *)self, 1);
	return TIDE_OK;
}

static struct tide_subscription_health health_of(struct tide_manager *manager, const char *name)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, name, &health, err));
	return health;
}

/* Whether a manager is ready, and if not, that a database is why. */
static bool is_ready(struct tide_manager *manager)
{
	struct tide_readiness readiness;
	must(tide_manager_readiness(manager, &readiness, err));
	bool is_ready = readiness.ready;
	assert_int_equal(is_ready, readiness.unavailable_seconds <= 5);
	assert_non_null(strstr(readiness.reason,
			       is_ready ? "Manager is ready" : "Database unavailable for "));
	tide_readiness_fini(&readiness);
	return is_ready;
}

/* `is_idle`: nothing but the probe asks the server; else a subscription tries to read. */
static void health_tells_of_the_server(const char *url, bool is_idle)
{
	struct tide_store *store = store_opened(url);
	atomic_int seen = 0;
	struct tide_subscriber subscriber = { .name = "tally", .self = &seen, .handle = tally };
	struct running running = run_subscriber(store, NULL, &subscriber);
	append_one(store, stream_of("Order", 1), "First");
	wait_for(10, seen == 1);
	struct tide_subscription_health health = health_of(running.manager, "tally");
	assert_int_equal(health.indicators[TIDE_INDICATOR_STORE].status, TIDE_HEALTHY);
	assert_string_equal(health.indicators[TIDE_INDICATOR_STORE].message, "Databases answer");
	if (is_idle)
		assert_true(tide_manager_pause(running.manager, "tally", TIDE_PAUSE_MANUAL));

	postgres_halt(SIGINT);
	health = health_of(running.manager, "tally"); /* the first question after it */
	assert_int_equal(health.indicators[TIDE_INDICATOR_STORE].status, TIDE_UNHEALTHY);
	assert_true(health.status >= TIDE_UNHEALTHY);
	assert_int_equal(health.feed, TIDE_UNAVAILABLE);
	assert_int_equal(health.checkpoints, TIDE_UNAVAILABLE);
	assert_true(health.lag_stale);
	assert_int_not_equal(health.indicators[TIDE_INDICATOR_LAG].status, TIDE_HEALTHY);
	wait_for(30, !is_ready(running.manager));

	postgres_resume();
	wait_for(30, health_of(running.manager, "tally").indicators[TIDE_INDICATOR_STORE].status ==
			     TIDE_HEALTHY);
	wait_for(30, is_ready(running.manager));
	assert_int_equal(health_of(running.manager, "tally").store_error.status, TIDE_OK);
	if (is_idle)
		assert_true(tide_manager_resume(running.manager, "tally"));
	append_one(store, stream_of("Order", 1), "Second");
	wait_for(30, seen == 2);
	run_end(&running);
	tide_store_close(store);
}

static void health_tells_of_a_server_that_is_away(void **state)
{
	(void)state;
	health_tells_of_the_server("postgresql:///?schema=away", false);
	health_tells_of_the_server("postgresql:///?schema=away_idle", true);
}

/* ---- Redelivery ------------------------------------------------------------------------------ */

static atomic_int outrun_calls;

/* Fails at first. When it is asked for again, a person resolves the entry while the handler
 * runs. */
static tide_status outrun(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	if (atomic_fetch_add(&outrun_calls, 1) == 0)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not yet");
	PQclear(PQexec(tide_delivery_connection(delivery),
		       "UPDATE outrun.totals SET events = events + 1"));
	postgres_sql("outrun", "UPDATE dead_letter_queue SET status = 'resolved', resolved_at = "
			       "now(), resolved_by = 'me'");
	return TIDE_OK;
}

static void what_a_person_resolves_meanwhile_is_not_redelivered_as_well(void **state)
{
	(void)state;
	struct tide_store *store = store_opened("postgresql:///?schema=outrun");
	totals_made("outrun");
	struct tide_subscriber subscriber = { .name = "outrun",
					      .handle = outrun,
					      .transactional = true };
	struct running running = run_subscriber(store, NULL, &subscriber);
	append_one(store, stream_of("Order", 1), "First");
	wait_for(30, sql_number("SELECT count(*) FROM outrun.dead_letter_queue") == 1);
	must(tide_dead_letters_retry(running.checkpoints,
				     sql_number("SELECT id FROM outrun.dead_letter_queue"), err));
	wait_for(30, outrun_calls == 2);
	append_one(store, stream_of("Order", 1), "Second");
	wait_for(30, position_of(&running, "outrun") == 2); /* it goes on */
	run_end(&running);
	assert_int_equal(sql_number("SELECT events FROM outrun.totals"), 1); /* the second's */
	assert_int_equal(sql_number("SELECT count(*) FROM outrun.dead_letter_queue WHERE "
				    "resolved_by = 'me'"),
			 1);
	tide_store_close(store);
}

/* ---- Hearing, and a pooler ------------------------------------------------------------------- */

static void hear_another_handle(const char *url, double within)
{
	struct tide_store *store = store_opened(url), *other = store_opened(url);
	atomic_int seen = 0;
	struct tide_subscriber subscriber = { .name = "tally", .self = &seen, .handle = tally };
	struct running running = run_subscriber(store, NULL, &subscriber);
	/* while the listener may still be about to listen */
	append_one(other, stream_of("Order", 1), "First");
	wait_for(within, seen == 1);
	for (int i = 2; i <= 20; i++) {
		append_one(other, stream_of("Order", 1), "Next");
		wait_for(within, seen == i);
	}
	run_end(&running);
	tide_store_close(other);
	tide_store_close(store);
}

static void commits_of_others_are_heard_without_the_poll(void **state)
{
	(void)state;
	hear_another_handle("postgresql:///?schema=heard", 5);
}

static void commits_of_others_are_seen_through_a_pooler(void **state)
{
	(void)state;
	char directory[256];
	if (!pgbouncer_start(directory))
		skip();
	hear_another_handle("postgresql:///?schema=pooled&port=6432", 8);
	const char *url = "postgresql:///?schema=public&port=6432";
	struct tide_store *store = store_opened(url);
	project(store, url, totals_postgres);
	assert_int_equal(sql_number("SELECT sum(total) FROM totals"), 49 * 50 / 2);
	tide_store_close(store);
	pgbouncer_stop();
}

/* Commits what it has made as soon as somebody waits for it. */
static void *commit_when_waited_for(void *rival)
{
	wait_for(20,
		 sql_number(
			 "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") ==
			 1);
	PQclear(PQexec(rival, "COMMIT"));
	return NULL;
}

/* IF NOT EXISTS does not see the table of a transaction that is open, and fails when that
 * commits. */
static void a_table_that_another_made_meanwhile_is_found_at_the_next_try(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=rival";
	struct tide_store *store = store_opened(url);
	PGconn *rival = PQconnectdb("");
	PQclear(PQexec(rival, "BEGIN; CREATE TABLE rival.totals (id uuid PRIMARY KEY, total bigint "
			      "NOT NULL, seen "
			      "timestamptz, at bigint)"));
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, commit_when_waited_for, rival), 0);
	project(store, url, totals_postgres);
	pthread_join(thread, NULL);
	assert_int_equal(sql_number("SELECT sum(total) FROM rival.totals"), 49 * 50 / 2);
	PQfinish(rival);
	tide_store_close(store);
}

static tide_status insert_seen(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	PGresult *result =
		PQexec(tide_delivery_connection(delivery), "INSERT INTO seen VALUES (1)");
	tide_status status =
		PQresultStatus(result) == PGRES_COMMAND_OK ? TIDE_OK : TIDE_HANDLER_PERMANENT;
	PQclear(result);
	return status;
}

/* One server process serves both schemas by turns: nothing of one may be left on its connection. */
static void two_schemas_hold_two_read_models(void **state)
{
	(void)state;
	char directory[256];
	if (!pgbouncer_start(directory))
		skip();
	const char *east_url = "postgresql:///?schema=east&port=6432",
		   *west_url = "postgresql:///?schema=west&port=6432";
	struct tide_store *east = store_opened(east_url), *west = store_opened(west_url);
	postgres_sql("east", "CREATE TABLE seen (n INTEGER)");
	postgres_sql("west", "CREATE TABLE seen (n INTEGER)");
	struct tide_sql_projection *east_totals = projection_opened(totals_postgres, east_url);
	struct tide_sql_projection *west_totals = projection_opened(totals_postgres, west_url);
	struct tide_subscriber seen = { .name = "seen",
					.handle = insert_seen,
					.transactional = true };
	struct running runs[] = {
		run_subscriber(east, NULL, tide_sql_projection_subscriber(east_totals)),
		run_subscriber(west, NULL, tide_sql_projection_subscriber(west_totals)),
		run_subscriber(east, NULL, &seen),
		run_subscriber(west, NULL, &seen),
	};
	for (unsigned i = 0; i < 20; i++) {
		append_one(east, stream_of("Order", i), "Counted");
		if (i % 2)
			append_one(west, stream_of("Order", i), "Counted");
	}
	wait_for(20,
		 position_of(&runs[0], "totals") == 20 && position_of(&runs[1], "totals") == 10);
	wait_for(20, position_of(&runs[2], "seen") == 20 && position_of(&runs[3], "seen") == 10);
	for (size_t i = 0; i < 4; i++)
		run_end(&runs[i]);
	assert_int_equal(sql_number("SELECT count(*) FROM east.totals"), 20);
	assert_int_equal(sql_number("SELECT count(*) FROM west.totals"), 10);
	assert_int_equal(sql_number("SELECT count(*) FROM east.seen"), 20);
	assert_int_equal(sql_number("SELECT count(*) FROM west.seen"), 10);
	tide_sql_projection_close(east_totals);
	tide_sql_projection_close(west_totals);
	tide_store_close(east);
	tide_store_close(west);
	pgbouncer_stop();
}

/* ---- A hole that several meet in a history --------------------------------------------------- */

#define HOLE_READERS 4
#define HOLE_AT 1501

/** What one of them was given. */
struct hole_reader {
	atomic_int count;
	atomic_bool is_out_of_order;
	tide_position last;
};

static tide_status hole_handle(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	struct hole_reader *reader = self;
	(void)delivery;
	if (event->position != reader->last + 1)
		atomic_store(&reader->is_out_of_order, true);
	reader->last = event->position;
	atomic_fetch_add(&reader->count, 1);
	return TIDE_OK;
}

static void nobody_passes_the_hole_that_several_meet_in_a_history(void **state)
{
	(void)state;
	struct tide_store *store = store_opened("postgresql:///?schema=hole");
	for (unsigned i = 0; i < 30; i++)
		append_many(store, stream_of("Order", i), i * 50, 50);
	PGconn *late = PQconnectdb("");
	PQclear(PQexec(late, "SET search_path = hole; BEGIN; INSERT INTO events (event_id, "
			     "aggregate_id, aggregate_type, event_type, version, \"timestamp\", "
			     "payload, event_version) VALUES (gen_random_uuid(), "
			     "gen_random_uuid(), 'Order', 'Late', 1, clock_timestamp(), '{}', 1)"));
	for (unsigned i = 0; i < 30; i++)
		append_many(store, stream_of("Order", i), i * 50, 50);

	struct hole_reader readers[HOLE_READERS] = { 0 };
	struct tide_manager *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	for (int i = 0; i < HOLE_READERS; i++) {
		char name[16];
		snprintf(name, sizeof name, "hole%d", i);
		struct tide_subscriber subscriber = { .name = name,
						      .self = &readers[i],
						      .handle = hole_handle };
		struct tide_subscription_config config = config_quick();
		must(tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	}
	must(tide_manager_start(manager, NULL, 30, NULL, NULL, err)); /* that is its end, so far */
	for (int i = 0; i < HOLE_READERS; i++)
		assert_int_equal(atomic_load(&readers[i].count), HOLE_AT - 1);
	PQclear(PQexec(late, "COMMIT"));
	for (int i = 0; i < HOLE_READERS; i++)
		wait_for(30, atomic_load(&readers[i].count) == HOLE_AT + 1500);
	for (int i = 0; i < HOLE_READERS; i++)
		assert_false(atomic_load(&readers[i].is_out_of_order));
	tide_manager_close(manager);
	PQfinish(late);
	tide_store_close(store);
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sql_projection_runs_beside_its_events),
		cmocka_unit_test(a_sql_projection_goes_on_when_its_table_is_changed),
		cmocka_unit_test(a_wrong_statement_is_named_with_its_line),
		cmocka_unit_test(read_models_live_in_another_database),
		cmocka_unit_test(ended_connections_neither_lose_nor_double_an_event),
		cmocka_unit_test(health_tells_of_a_server_that_is_away),
		cmocka_unit_test(what_a_person_resolves_meanwhile_is_not_redelivered_as_well),
		cmocka_unit_test(commits_of_others_are_heard_without_the_poll),
		cmocka_unit_test(commits_of_others_are_seen_through_a_pooler),
		cmocka_unit_test(two_schemas_hold_two_read_models),
		cmocka_unit_test(nobody_passes_the_hole_that_several_meet_in_a_history),
		cmocka_unit_test(a_table_that_another_made_meanwhile_is_found_at_the_next_try),
	};
	int failed = cmocka_run_group_tests_name("postgres_engine", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

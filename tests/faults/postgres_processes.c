/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight processes on one database: four append, by threads that share commits, three project
 * transactionally under different names, one of them by SQL that is handled together, one stands
 * by. Any of them is killed at any moment and started again. Nothing is lost, nothing is twice in a
 * read model, and their order is the feed's.
 *
 *	postgres_processes [SECONDS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/child.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/wait.h"
#include "sys/random.h"

#define URL "postgresql:///?schema=public&pool=1"
#define APPENDERS 4
#define APPENDER_THREADS 3
#define PROJECTORS 4 /* the last one has the name of the first: it stands by */
#define NAMES 3
#define BY_SQL "model1"
#define PROCESSES (APPENDERS + PROJECTORS)
#define MODULUS 1000003
#define STILL_LIMIT 60 /* seconds; four times a lease */

static double seconds = 8;

static struct tide_store *store_opened(void)
{
	struct tide_store *store;
	struct tide_error err;
	while (tide_store_open(URL, NULL, &store, &err) != TIDE_OK)
		wait_a_moment(); /* a process killed just now may still hold its connections */
	return store;
}

/** One thread of a process that appends. */
struct appender {
	struct tide_store *store;
	unsigned stream;
};

static void *append_for_ever(void *self)
{
	const struct appender *appender = self;
	struct tide_store *store = appender->store;
	struct tide_stream stream = stream_of("Order", appender->stream);
	tide_version version = version_of(store, stream);
	for (; version >= 0; version++) {
		struct tide_new_event event = event_of("Counted", (unsigned)version);
		struct tide_append append = {
			.stream = stream, .expected = version, .events = &event, .count = 1
		};
		struct tide_append_result result;
		struct tide_error err;
		tide_status status = tide_store_append(store, &append, &result, &err);
		/* The server may still have been committing the last append of the process that was
		 * killed. */
		if (status == TIDE_CONFLICT)
			version = result.version - 1;
		else
			must_be(status, TIDE_OK, &err, "tide_store_append", __FILE__, __LINE__);
	}
	return NULL;
}

/* More threads than connections: those that wait go together. */
static int appenders_run(const char *number, int report_to)
{
	struct appender appenders[APPENDER_THREADS];
	struct tide_store *store = store_opened();
	pthread_t thread;
	(void)report_to;
	for (int i = 0; i < APPENDER_THREADS; i++) {
		appenders[i] =
			(struct appender){ store, (unsigned)(APPENDER_THREADS * atoi(number) + i) };
		if (i > 0)
			pthread_create(&thread, NULL, append_for_ever, &appenders[i]);
	}
	append_for_ever(&appenders[0]);
	return 0;
}

/* The hash depends on the order: an event missing, twice or out of order shows in every later
 * value. */
static tide_status project(void *self, const struct tide_event *event,
			   struct tide_delivery *delivery)
{
	char text[200];
	snprintf(text, sizeof text,
		 "UPDATE models SET events = events + 1, hash = (hash * 31 + %lld) %% %d, last = "
		 "%lld WHERE name = '%s'",
		 (long long)event->position, MODULUS, (long long)event->position,
		 (const char *)self);
	PQclear(PQexec(tide_delivery_connection(delivery), text));
	return TIDE_OK; /* the connection tells the rest */
}

static struct tide_subscriber subscriber_by_sql(void)
{
	struct tide_sql_projection *projection;
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = "-- on: *\nUPDATE models SET events = events + 1, "
					    "hash = (hash * 31 + :global_position) % 1000003, "
					    "last = :global_position WHERE name = '" BY_SQL "';\n",
				    .name = BY_SQL, .url = URL),
		&projection, err));
	return *tide_sql_projection_subscriber(projection);
}

static int project_for_ever(const char *name, int report_to)
{
	(void)report_to;
	struct tide_store *store = store_opened();
	struct tide_manager *manager;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_subscriber subscriber = { .name = name,
					      .self = (void *)(intptr_t)name,
					      .handle = project,
					      .transactional = true };
	if (strcmp(name, BY_SQL) == 0)
		subscriber = subscriber_by_sql();
	config.poll_interval_seconds = 0.2;
	config.batch_size = 20;
	config.max_process_deaths = 1000000; /* every death here is innocent */
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	while (manager)
		wait_a_moment();
	return 0;
}

static struct child process_start(int which)
{
	char argument[16];
	if (which < APPENDERS)
		snprintf(argument, sizeof argument, "%d", which);
	else
		snprintf(argument, sizeof argument, "model%d", (which - APPENDERS) % NAMES);
	return child_start(which < APPENDERS ? appenders_run : project_for_ever, argument);
}

/* Half of the times as if it had ended well: else whoever comes next goes carefully, and nothing is
 * handled together. Nobody else has its name. */
static void forget_unclean_end(PGconn *connection, struct random *random)
{
	if (random_unit(random) < 0.5)
		PQclear(PQexec(connection, "UPDATE subscription_leases SET owner = NULL WHERE "
					   "name = '" BY_SQL "'"));
}

static void process_kill(struct child *child)
{
	child_signal(child, SIGKILL);
	assert_int_equal(child_join(child), 128 + SIGKILL);
}

static int64_t number(PGconn *connection, const char *text)
{
	PGresult *result = PQexec(connection, text);
	if (PQntuples(result) != 1)
		fail_msg("%s: %s", text, PQerrorMessage(connection));
	int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return value;
}

static int64_t fold(PGconn *connection, int64_t *ret_count)
{
	PGresult *rows = PQexec(connection, "SELECT global_position FROM events ORDER BY 1");
	int64_t hash = 0;
	*ret_count = PQntuples(rows);
	for (int row = 0; row < PQntuples(rows); row++)
		hash = (hash * 31 + strtoll(PQgetvalue(rows, row, 0), NULL, 10)) % MODULUS;
	PQclear(rows);
	return hash;
}

/* How many share one is the machine's; that some do, ours. */
static void appends_have_shared_commits(PGconn *connection, int64_t count)
{
	int64_t commits = number(connection, "SELECT count(DISTINCT xmin::text) FROM events");
	print_message("%lld events in %lld commits\n", (long long)count, (long long)commits);
	assert_true(commits < count);
}

static void models_equal_the_fold(PGconn *connection)
{
	int64_t count, hash = fold(connection, &count);
	char text[200];
	assert_int_equal(number(connection, "SELECT sum(version) FROM (SELECT max(version) AS "
					    "version FROM events GROUP BY "
					    "aggregate_id) s"),
			 count);
	snprintf(text, sizeof text,
		 "SELECT count(*) FROM models WHERE events = %lld AND hash = %lld",
		 (long long)count, (long long)hash);
	assert_int_equal(number(connection, text), NAMES);
	assert_int_equal(number(connection, "SELECT count(*) FROM dead_letter_queue"), 0);
	print_message("%lld events in each of %d read models\n", (long long)count, NAMES);
	appends_have_shared_commits(connection, count);
}

/* A killed owner's lease holds its name back while it runs, and what was appended meanwhile is a
 * backlog that grows with the length of the run: so the limit is on standing still, not on catching
 * up. */
static double models_catch_up(PGconn *connection)
{
	char lagging[160];
	double begin = seconds_now(), moved = begin;
	for (int64_t last = -1; seconds_now() - moved < STILL_LIMIT;) {
		/* the statement of a killed appender may still be running */
		int64_t end =
			number(connection, "SELECT COALESCE(max(global_position), 0) FROM events");
		snprintf(lagging, sizeof lagging, "SELECT count(*) FROM models WHERE last < %lld",
			 (long long)end);
		if (number(connection, lagging) == 0)
			return seconds_now() - begin;
		int64_t slowest = number(connection, "SELECT min(last) FROM models");
		if (slowest != last)
			moved = seconds_now();
		last = slowest;
		for (double until = seconds_now() + 0.1; seconds_now() < until;)
			wait_a_moment();
	}
	fail_msg("a read model stands still at %lld of %lld",
		 (long long)number(connection, "SELECT min(last) FROM models"),
		 (long long)number(connection, "SELECT max(global_position) FROM events"));
	return 0;
}

static void processes_killed_at_random_lose_and_double_nothing(void **state)
{
	(void)state;
	struct child children[PROCESSES];
	struct random random;
	random_seed(&random, 11);
	for (int i = 0; i < PROCESSES; i++)
		children[i] = process_start(i);
	PGconn *connection = PQconnectdb("");
	int kills = 0;
	for (double end = seconds_now() + seconds; seconds_now() < end; kills++) {
		double until = seconds_now() + 0.1 + 0.5 * random_unit(&random);
		while (seconds_now() < until)
			wait_a_moment();
		int which = (int)(random_next(&random) % PROCESSES);
		process_kill(&children[which]);
		if (which == APPENDERS + 1)
			forget_unclean_end(connection, &random);
		children[which] = process_start(which);
	}
	for (int i = 0; i < APPENDERS; i++)
		process_kill(&children[i]);
	double caught_up = models_catch_up(connection);
	for (int i = APPENDERS; i < PROCESSES; i++)
		process_kill(&children[i]);
	print_message("%d kills, caught up in %.0f s, ", kills, caught_up);
	models_equal_the_fold(connection);
	PQfinish(connection);
}

int main(int count, char **arguments)
{
	child_main(count, arguments);
	if (count > 1)
		seconds = atof(arguments[1]);
	if (!postgres_start())
		return 77;
	struct tide_store *store;
	must(tide_store_open(URL, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	tide_store_close(store);
	postgres_sql("public", "CREATE TABLE models (name text PRIMARY KEY, events bigint, hash "
			       "bigint, last bigint); "
			       "INSERT INTO models VALUES ('model0', 0, 0, 0), ('model1', 0, 0, "
			       "0), ('model2', 0, 0, 0)");
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		processes_killed_at_random_lose_and_double_nothing) };
	int failed = cmocka_run_group_tests_name("postgres_processes", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

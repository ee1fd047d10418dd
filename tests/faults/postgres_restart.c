/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server restarted, fast and at once, and its connections ended at random, while threads append
 * and project transactionally. Nothing acknowledged is lost, nothing is stored twice, and the read
 * models equal the fold of the
 *log.
 *
 *	postgres_restart [SECONDS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "postgres_tools.h"
#include "sys/random.h"

#define URL "postgresql:///?schema=restart"
#define APPENDERS 3
#define PROJECTORS 2

static double seconds = 12;
static atomic_bool is_over, is_complete;

/** A thread that appends to its own stream, repeating what has no known outcome. */
struct appender {
	pthread_t thread;
	void *store;
	unsigned id;
	int32_t acknowledged, repeated;
};

static void *appender_run(void *self)
{
	struct appender *appender = self;
	struct tide_stream stream = stream_of("Order", appender->id);
	while (!is_over) {
		struct tide_event event = event_made(stream, "{\"n\": 1}");
		struct tide_append_result result;
		struct tide_error why;
		tide_status status;
		while ((status = append_event(appender->store, &event, appender->acknowledged,
					      &result, &why)) != TIDE_OK) {
			if (status != TIDE_CONNECTION_LOST && status != TIDE_BUSY)
				fail_msg("%s", why.message);
			appender->repeated++;
		}
		assert_int_equal(result.version, ++appender->acknowledged);
	}
	return NULL;
}

/** A transactional subscription, as the core runs one. */
struct projector {
	pthread_t thread;
	void *store;
	char name[8];
	int lives;
};

/* One event: its totals, which must never have seen it before. */
static tide_status project_event(void *session, const char *name, const struct tide_event *event)
{
	char text[200];
	tide_status status = STORE->savepoint(session, NULL);
	if (status != TIDE_OK)
		return status;
	snprintf(text, sizeof text,
		 "UPDATE restart.totals SET events = events + 1, last = %lld WHERE name = '%s' AND "
		 "last < %lld",
		 (long long)event->position, name, (long long)event->position);
	PGresult *result = PQexec(STORE->connection(session), text);
	bool is_once = PQresultStatus(result) != PGRES_COMMAND_OK || atoi(PQcmdTuples(result)) == 1;
	PQclear(result);
	assert_true(is_once);
	status = STORE->check(session, NULL);
	return status == TIDE_OK ? STORE->release(session, NULL) : status;
}

static tide_status project_page(void *session, const char *name, const struct tide_page *page)
{
	tide_status status = STORE->begin(session, NULL);
	for (size_t i = 0; status == TIDE_OK && i < page->count; i++)
		status = project_event(session, name, &page->entries[i].event);
	struct tide_checkpoint_write write = {
		.name = name,
		.has_position = true,
		.progress = { .position = page->scanned_to, .count = (int64_t)page->count },
		.now = tide_time_now(),
	};
	if (status == TIDE_OK)
		status = CHECKPOINT->save(session, NULL, &write, NULL);
	return status == TIDE_OK ? STORE->commit(session, NULL) : status;
}

/* From opening a session to its loss; true once everything has been seen. */
static bool project_life(struct projector *projector, struct tide_page *page)
{
	void *session;
	struct tide_checkpoint checkpoint = { .position = 0 };
	if (STORE->session_open(projector->store, &session, NULL) != TIDE_OK)
		return false;
	tide_status status = CHECKPOINT->load(session, projector->name, &checkpoint, NULL);
	if (status == TIDE_NOT_FOUND)
		status = TIDE_OK;
	bool is_done = false;
	while (status == TIDE_OK && !is_done) {
		bool was_complete = is_complete;
		status = feed_read(session, page, checkpoint.position, 50, NULL);
		if (status == TIDE_OK && page->count > 0)
			status = project_page(session, projector->name, page);
		if (status == TIDE_OK) {
			checkpoint.position = page->scanned_to;
			is_done = was_complete && page->is_end && page->wait_ns == 0;
			if (page->is_end)
				wait_a_moment();
		}
	}
	STORE->rollback(session);
	STORE->session_close(session);
	return is_done;
}

static void *projector_run(void *self)
{
	struct projector *projector = self;
	struct tide_page page;
	tide_page_init(&page);
	do {
		projector->lives++;
		wait_a_moment();
	} while (!project_life(projector, &page));
	tide_page_fini(&page);
	return NULL;
}

static void disturb(struct random *random)
{
	unsigned dice = (unsigned)(random_next(random) % 10);
	if (dice < 7) {
		postgres_terminate_all();
	} else {
		postgres_halt(dice < 9 ? SIGQUIT : SIGINT);
		postgres_resume();
	}
	double until = seconds_now() + 0.2 + 0.8 * random_unit(random);
	while (seconds_now() < until)
		wait_a_moment();
}

static void read_models_equal_the_fold(int64_t appended)
{
	PGconn *connection = sql_connect("options=-csearch_path=restart");
	assert_int_equal(sql_number(connection, "SELECT count(*) FROM events"), appended);
	assert_int_equal(sql_number(connection, "SELECT count(*) FROM totals WHERE events = "
						"(SELECT count(*) FROM events) AND last = "
						"(SELECT max(global_position) FROM events)"),
			 PROJECTORS);
	assert_int_equal(
		sql_number(connection,
			   "SELECT count(*) FROM projection_checkpoints WHERE events_processed = "
			   "(SELECT count(*) FROM events)"),
		PROJECTORS);
	PQfinish(connection);
}

static void nothing_is_lost_or_doubled_whatever_happens_to_the_server(void **state)
{
	(void)state;
	void *store = backend_opened(URL);
	struct appender appenders[APPENDERS] = { 0 };
	struct projector projectors[PROJECTORS] = { 0 };
	postgres_sql("restart", "CREATE TABLE totals (name text PRIMARY KEY, events bigint NOT "
				"NULL, last bigint NOT NULL); "
				"INSERT INTO totals VALUES ('p0', 0, 0), ('p1', 0, 0)");
	for (unsigned i = 0; i < PROJECTORS; i++) {
		projectors[i].store = store;
		snprintf(projectors[i].name, sizeof projectors[i].name, "p%u", i);
		pthread_create(&projectors[i].thread, NULL, projector_run, &projectors[i]);
	}
	for (unsigned i = 0; i < APPENDERS; i++) {
		appenders[i] = (struct appender){ .store = store, .id = i };
		pthread_create(&appenders[i].thread, NULL, appender_run, &appenders[i]);
	}
	struct random random;
	random_seed(&random, 7);
	int disturbances = 0;
	for (double end = seconds_now() + seconds; seconds_now() < end; disturbances++)
		disturb(&random);
	is_over = true;
	int64_t appended_in_all = 0;
	for (unsigned i = 0; i < APPENDERS; i++) {
		pthread_join(appenders[i].thread, NULL);
		appended_in_all += appenders[i].acknowledged;
	}
	is_complete = true;
	for (unsigned i = 0; i < PROJECTORS; i++)
		pthread_join(projectors[i].thread, NULL);
	print_message("%d disturbances, %lld events, %d appends repeated by the caller, %d and %d "
		      "lives of the projectors\n",
		      disturbances, (long long)appended_in_all,
		      appenders[0].repeated + appenders[1].repeated + appenders[2].repeated,
		      projectors[0].lives, projectors[1].lives);
	read_models_equal_the_fold(appended_in_all);
	STORE->close(store);
}

int main(int count, char **arguments)
{
	if (count > 1)
		seconds = atof(arguments[1]);
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		nothing_is_lost_or_doubled_whatever_happens_to_the_server) };
	int failed = cmocka_run_group_tests_name("postgres_restart", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

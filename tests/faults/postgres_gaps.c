/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers against adversarial writers: positions drawn early and used late, savepoints, rollbacks, pauses while a
 * position is held, transactions of random length, and unrelated ones that stay open, here and in another database.
 * Every event is accounted for. A naive reader runs along and must skip, else the test could not see a skip.
 *
 *	postgres_gaps [SECONDS]
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/postgres/postgres.h"
#include "core/url.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/wait.h"
#include "sys/random.h"

#define URL "postgresql:///?schema=public"
#define WRITERS_MAX 32
#define SUBSCRIBERS 5
#define LATE 2 /* of them begin while the writers write, each as a process that knows nothing yet */
#define SHARED_STREAMS 16

static double seconds = 20;
static atomic_bool is_over;     /* the writers are to end */
static atomic_bool is_complete; /* the readers are to end when nothing is left */

static PGconn *connect_to(const char *options)
{
	PGconn *connection = PQconnectdb(options);
	if (PQstatus(connection) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(connection));
	return connection;
}

/* False when the server refuses, as it may for a version that another writer was faster with. */
static bool run(PGconn *connection, const char *format, ...)
{
	char text[700];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	PGresult *result = PQexec(connection, text);
	ExecStatusType status = PQresultStatus(result);
	PQclear(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static int64_t number(PGconn *connection, const char *text)
{
	PGresult *result = PQexec(connection, text);
	int64_t value = PQntuples(result) == 1 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
	PQclear(result);
	return value;
}

/* ---- Writers ------------------------------------------------------------------------------------------------- */

/** One writing connection. */
struct writer {
	pthread_t thread;
	PGconn *connection;
	struct random random;
	int id;
	int committed;
};

static unsigned pick(struct writer *writer, unsigned below)
{
	return (unsigned)(random_next(&writer->random) % below);
}

/* Mostly short, sometimes long enough for hundreds of others to commit. */
static void dawdle(struct writer *writer)
{
	unsigned dice = pick(writer, 100);
	double until = seconds_now() + (dice < 60 ? 0 : dice < 95 ? pick(writer, 5) : pick(writer, 120)) / 1000.0;
	while (seconds_now() < until)
		wait_a_moment();
}

/* One event behind the last one of a stream: `position` is "DEFAULT" or a value drawn before. */
static bool insert(struct writer *writer, const char *type, unsigned stream, const char *position)
{
	return run(writer->connection,
		   "INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, event_type, version, "
		   "\"timestamp\", payload, event_version) SELECT %s, gen_random_uuid(), "
		   "'00000000-0000-4000-8000-%012u', '%s', "
		   "'Happened', COALESCE(max(version), 0) + 1, clock_timestamp(), '{}', 1 FROM events WHERE "
		   "aggregate_id = "
		   "'00000000-0000-4000-8000-%012u' AND aggregate_type = '%s'",
		   position, stream + 1, type, stream + 1, type);
}

/* Draw positions first, dawdle, and use them in their order, in streams of its own. */
static bool insert_late(struct writer *writer)
{
	char drawn[3][24];
	unsigned count = 1 + pick(writer, 3);
	for (unsigned i = 0; i < count; i++)
		snprintf(drawn[i], sizeof drawn[i], "%lld",
			 (long long)number(writer->connection, "SELECT nextval('events_global_position_seq')"));
	dawdle(writer);
	for (unsigned i = 0; i < count; i++)
		if (!insert(writer, "Own", (unsigned)writer->id, drawn[i]))
			return false;
	return true;
}

static bool insert_and_regret(struct writer *writer)
{
	if (!run(writer->connection, "SAVEPOINT regret"))
		return false;
	insert(writer, "Own", (unsigned)writer->id, "DEFAULT");
	dawdle(writer);
	return run(writer->connection, "ROLLBACK TO SAVEPOINT regret");
}

static void transaction(struct writer *writer)
{
	run(writer->connection, "BEGIN");
	bool is_well = true, is_shared = false;
	for (unsigned left = 1 + pick(writer, 4); is_well && left > 0; left--) {
		unsigned dice = pick(writer, 10);
		if (dice < 3 && !is_shared)
			is_well = insert_late(writer);
		else if (dice < 4)
			is_well = insert_and_regret(writer);
		else if (dice < 6 && !is_shared) /* one shared stream a transaction, so that writers cannot deadlock */
			is_shared = is_well = insert(writer, "Shared", pick(writer, SHARED_STREAMS), "DEFAULT");
		else
			is_well = insert(writer, "Own", (unsigned)writer->id, "DEFAULT");
		dawdle(writer);
	}
	if (is_well && pick(writer, 100) >= 12)
		writer->committed += run(writer->connection, "COMMIT");
	else
		run(writer->connection, "ROLLBACK");
}

static void *writer_run(void *self)
{
	struct writer *writer = self;
	while (!is_over)
		transaction(writer);
	return NULL;
}

/* ---- Readers ------------------------------------------------------------------------------------------------- */

/** What one reader saw. */
struct seen {
	pthread_t thread;
	void *store;
	int64_t *positions;
	size_t count, capacity;
	size_t disordered; /* positions not above the one before */
	size_t inverted;   /* versions not above the one before in their stream */
	double stalest; /* seconds from insertion to delivery, the transaction's own length included; of late ones their lateness */
};

static void see(struct seen *seen, int64_t position)
{
	if (seen->count == seen->capacity) {
		seen->capacity = seen->capacity ? seen->capacity * 2 : 4096;
		seen->positions = realloc(seen->positions, seen->capacity * sizeof *seen->positions);
		assert_non_null(seen->positions);
	}
	seen->disordered += seen->count > 0 && position <= seen->positions[seen->count - 1];
	seen->positions[seen->count++] = position;
}

/* Streams are numbered from 1 in the last bytes of their ids. */
static void see_event(struct seen *seen, const struct tide_event *event, int32_t versions[2][64])
{
	char id[TIDE_UUID_TEXT_SIZE];
	unsigned stream = (unsigned)atoi(tide_uuid_format(&event->aggregate_id, id) + 24) % 64;
	int32_t *version = &versions[event->aggregate_type.data[0] == 'S'][stream];
	seen->inverted += event->version != *version + 1;
	*version = event->version;
	double age = (double)(tide_time_now().unix_us - event->occurred_at.unix_us) / 1e6;
	if (age > seen->stalest)
		seen->stalest = age;
	see(seen, event->position);
}

static void *subscriber_run(void *self)
{
	struct seen *seen = self;
	const struct tide_store_ops *ops = &tide_backend_postgres.store;
	int32_t versions[2][64] = { { 0 } };
	struct tide_filter all = { 0 };
	struct tide_page_query query = { .filter = &all, .max_events = 100, .max_bytes = 1 << 24, .max_scan = 10000 };
	struct tide_page page;
	void *session;
	tide_page_init(&page);
	must(ops->session_open(seen->store, &session, err));
	for (;;) {
		bool was_complete = is_complete;
		tide_page_begin(&page, query.max_events, query.max_bytes);
		must(ops->read(session, &query, &page, err));
		for (size_t i = 0; i < page.count; i++)
			see_event(seen, &page.entries[i].event, versions);
		query.bound = page.scanned_to;
		if (was_complete && page.is_end && page.wait_ns == 0)
			break;
		if (page.is_end)
			wait_a_moment();
	}
	ops->session_close(session);
	tide_page_fini(&page);
	return NULL;
}

static void *naive_run(void *self)
{
	struct seen *seen = self;
	PGconn *connection = connect_to("");
	int64_t position = 0;
	while (!is_complete) {
		char text[120];
		snprintf(text, sizeof text,
			 "SELECT global_position FROM events WHERE global_position > %lld ORDER BY 1 LIMIT 100",
			 (long long)position);
		PGresult *rows = PQexec(connection, text);
		for (int row = 0; row < PQntuples(rows); row++)
			see(seen, position = strtoll(PQgetvalue(rows, row, 0), NULL, 10));
		PQclear(rows);
	}
	PQfinish(connection);
	return NULL;
}

/* ---- The accounts -------------------------------------------------------------------------------------------- */

/** What is in the table in the end. */
static struct seen truth_read(void)
{
	struct seen truth = { 0 };
	PGconn *connection = connect_to("");
	PGresult *rows = PQexec(connection, "SELECT global_position FROM events ORDER BY 1");
	for (int row = 0; row < PQntuples(rows); row++)
		see(&truth, strtoll(PQgetvalue(rows, row, 0), NULL, 10));
	PQclear(rows);
	PQfinish(connection);
	return truth;
}

static size_t count_skipped(const struct seen *truth, const struct seen *seen)
{
	size_t skipped = 0, at = 0;
	for (size_t i = 0; i < truth->count; i++) {
		while (at < seen->count && seen->positions[at] < truth->positions[i])
			at++;
		skipped += at == seen->count || seen->positions[at] != truth->positions[i];
	}
	return skipped;
}

static void *store_open(void)
{
	struct tide_url url;
	void *store;
	must(url_parse(URL, &url, err));
	must(tide_backend_postgres.store.open(&url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	url_fini(&url);
	return store;
}

static void accounts_are_right(const struct seen *truth, const struct seen subscribers[SUBSCRIBERS],
			       const struct seen *naive)
{
	for (int i = 0; i < SUBSCRIBERS; i++) {
		size_t skipped = count_skipped(truth, &subscribers[i]);
		print_message("  subscriber %d: %zu events, %zu skipped, %zu out of order, %zu versions inverted, "
			      "stalest %.0f ms\n",
			      i, subscribers[i].count, skipped, subscribers[i].disordered, subscribers[i].inverted,
			      subscribers[i].stalest * 1000);
		assert_int_equal(skipped, 0);
		assert_int_equal(subscribers[i].disordered, 0);
		assert_int_equal(subscribers[i].inverted, 0);
		assert_int_equal(subscribers[i].count, truth->count);
	}
	size_t skipped = count_skipped(truth, naive);
	print_message("  naive reader: %zu skipped\n", skipped);
	assert_true(skipped > 0);
}

static void subscriber_begin(struct seen *subscriber, void *store)
{
	subscriber->store = store;
	pthread_create(&subscriber->thread, NULL, subscriber_run, subscriber);
}

static void pass(double time)
{
	for (double end = seconds_now() + time; seconds_now() < end;)
		wait_a_moment();
}

static void readers_account_for_every_event(int writer_count)
{
	struct writer writers[WRITERS_MAX] = { 0 };
	struct seen subscribers[SUBSCRIBERS] = { 0 }, naive = { 0 };
	void *late[SUBSCRIBERS] = { NULL };
	void *store = store_open();
	postgres_sql("public", "TRUNCATE events; CREATE TABLE IF NOT EXISTS unrelated (n integer)");
	PGconn *unrelated[] = { connect_to(""), connect_to("dbname=elsewhere") };
	assert_true(run(unrelated[0], "BEGIN") && run(unrelated[0], "INSERT INTO unrelated VALUES (1)"));
	assert_true(run(unrelated[1], "BEGIN") && run(unrelated[1], "CREATE TABLE unrelated (n integer)"));
	is_over = is_complete = false;
	for (int i = 0; i < SUBSCRIBERS - LATE; i++)
		subscriber_begin(&subscribers[i], store);
	pthread_create(&naive.thread, NULL, naive_run, &naive);
	for (int i = 0; i < writer_count; i++) {
		writers[i] = (struct writer){ .id = i, .connection = connect_to("") };
		random_seed(&writers[i].random, (uint64_t)i + 1);
		pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]);
	}
	pass(seconds / 6);
	for (int i = SUBSCRIBERS - LATE; i < SUBSCRIBERS; i++) {
		late[i] = store_open();
		subscriber_begin(&subscribers[i], late[i]);
		pass(seconds / 6);
	}
	is_over = true;
	for (int i = 0; i < writer_count; i++) {
		pthread_join(writers[i].thread, NULL);
		PQfinish(writers[i].connection);
	}
	is_complete = true;
	for (int i = 0; i < SUBSCRIBERS; i++)
		pthread_join(subscribers[i].thread, NULL);
	pthread_join(naive.thread, NULL);
	struct seen truth = truth_read();
	for (int i = SUBSCRIBERS - LATE; i < SUBSCRIBERS; i++)
		tide_backend_postgres.store.close(late[i]);
	tide_backend_postgres.store.close(store);
	PQfinish(unrelated[0]);
	PQfinish(unrelated[1]);
	print_message("%d writers: %zu events\n", writer_count, truth.count);
	accounts_are_right(&truth, subscribers, &naive); /* with nothing left open that the next test would wait for */
	for (int i = 0; i < SUBSCRIBERS; i++)
		free(subscribers[i].positions);
	free(naive.positions);
	free(truth.positions);
}

static void eight_writers_make_no_reader_skip(void **state)
{
	(void)state;
	readers_account_for_every_event(8);
}

static void thirty_two_writers_make_no_reader_skip(void **state)
{
	(void)state;
	readers_account_for_every_event(32);
}

int main(int count, char **arguments)
{
	if (count > 1)
		seconds = atof(arguments[1]);
	if (!postgres_start())
		return 77;
	postgres_sql("public", "CREATE DATABASE elsewhere");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_writers_make_no_reader_skip),
		cmocka_unit_test(thirty_two_writers_make_no_reader_skip),
	};
	int failed = cmocka_run_group_tests_name("postgres_gaps", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

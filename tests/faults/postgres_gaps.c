/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers against adversarial writers: positions drawn early and used late, savepoints, rollbacks,
 * pauses while a position is held, transactions of random length, appends that share a commit, and
 * unrelated ones that stay open, here and in another database. Every event is accounted for, by
 * reading, one by one, and in SQL that is handled together. A naive reader runs along and must
 * skip, else the test could not see a skip.
 *
 * It prints how much later than it could an event was delivered: an event can be delivered in its
 * order once the last transaction that drew an earlier position, or its own, has ended.
 *
 *	postgres_gaps [SECONDS]
 *
 * so long for each load: 8 and 32 writers, readers that connect to the server, and through
 * PgBouncer.
 */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "backends/postgres/postgres.h"
#include "core/url.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/wait.h"
#include "sys/clock.h"
#include "sys/random.h"

#define DIRECT "postgresql:///?schema=public"
#define POOLED "postgresql:///?schema=public&port=6432"
#define WRITERS_MAX 32
#define SUBSCRIBERS 5
#define LATE 2 /* of them begin while the writers write, each as a process that knows nothing yet */
#define SHARED_STREAMS 16
#define APPENDERS 8            /* over two connections */
#define APPENDER_STREAM 40     /* the first one's; behind those of the writers */
#define APPENDER_INTERVAL 0.05 /* seconds; they append at the same moments */
#define POSITIONS_MAX (1 << 25)
#define DRAWN_MAX 64

static double seconds = 8;
static bool has_pooler;
/* by position: when the transaction that drew it had ended; 0: nobody could tell */
static _Atomic int64_t *ended;
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

/* ---- Writers --------------------------------------------------------------------------------- */

/** One writing connection. */
struct writer {
	pthread_t thread;
	PGconn *connection;
	struct random random;
	int id;
	int committed;
	int64_t drawn[DRAWN_MAX]; /* in the transaction */
	int drawn_count;
};

static unsigned pick(struct writer *writer, unsigned below)
{
	return (unsigned)(random_next(&writer->random) % below);
}

/* Mostly short, sometimes long enough for hundreds of others to commit. */
static void dawdle(struct writer *writer)
{
	unsigned dice = pick(writer, 100);
	double until = seconds_now() + (dice < 60   ? 0
					: dice < 95 ? pick(writer, 5)
						    : pick(writer, 120)) /
					       1000.0;
	while (seconds_now() < until)
		wait_a_moment();
}

static int64_t draw(struct writer *writer, int64_t position)
{
	if (position > 0 && writer->drawn_count < DRAWN_MAX)
		writer->drawn[writer->drawn_count++] = position;
	return position;
}

/* One event behind the last one of a stream: `position` is "DEFAULT" or a value drawn before. */
static bool insert(struct writer *writer, const char *type, unsigned stream, const char *position)
{
	char text[700];
	snprintf(text, sizeof text,
		 "INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, "
		 "event_type, version, "
		 "\"timestamp\", payload, event_version) SELECT %s, gen_random_uuid(), "
		 "'00000000-0000-4000-8000-%012u', '%s', "
		 "'Happened', COALESCE(max(version), 0) + 1, clock_timestamp(), '{}', 1 FROM "
		 "events WHERE "
		 "aggregate_id = "
		 "'00000000-0000-4000-8000-%012u' AND aggregate_type = '%s' RETURNING "
		 "global_position",
		 position, stream + 1, type, stream + 1, type);
	return draw(writer, number(writer->connection, text)) > 0;
}

/* Draw positions first, dawdle, and use them in their order, in streams of its own. */
static bool insert_late(struct writer *writer)
{
	char drawn[3][24];
	unsigned count = 1 + pick(writer, 3);
	for (unsigned i = 0; i < count; i++)
		snprintf(drawn[i], sizeof drawn[i], "%lld",
			 (long long)draw(writer,
					 number(writer->connection,
						"SELECT nextval('events_global_position_seq')")));
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

/* What the transaction drew is final from now on. */
static void note_end(struct writer *writer)
{
	int64_t now = clock_mono(&clock_system).ns;
	for (int i = 0; i < writer->drawn_count; i++) {
		assert_true(writer->drawn[i] < POSITIONS_MAX);
		ended[writer->drawn[i]] = now;
	}
	writer->drawn_count = 0;
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
		/* one shared stream a transaction, so that writers cannot deadlock */
		else if (dice < 6 && !is_shared)
			is_shared = is_well =
				insert(writer, "Shared", pick(writer, SHARED_STREAMS), "DEFAULT");
		else
			is_well = insert(writer, "Own", (unsigned)writer->id, "DEFAULT");
		dawdle(writer);
	}
	if (is_well && pick(writer, 100) >= 12)
		writer->committed += run(writer->connection, "COMMIT");
	else
		run(writer->connection, "ROLLBACK");
	note_end(writer);
}

static void *writer_run(void *self)
{
	struct writer *writer = self;
	while (!is_over)
		transaction(writer);
	return NULL;
}

/* ---- Appenders ------------------------------------------------------------------------------- */

/** Threads of one process that append by the engine: those that wait go together. */
struct appenders {
	struct tide_store *store;
	pthread_t threads[APPENDERS];
	atomic_uint number; /* of threads that have begun */
};

static void *appender_run(void *self)
{
	struct appenders *appenders = self;
	struct tide_new_event event = { .event_type = "Happened" };
	struct tide_stream stream = { .aggregate_type = "Own" };
	char id[TIDE_UUID_TEXT_SIZE];
	snprintf(id, sizeof id, "00000000-0000-4000-8000-%012u",
		 APPENDER_STREAM + atomic_fetch_add(&appenders->number, 1));
	must(tide_uuid_parse(id, &stream.aggregate_id, err));
	while (!is_over) {
		int64_t moment = (int64_t)(seconds_now() / APPENDER_INTERVAL);
		while ((int64_t)(seconds_now() / APPENDER_INTERVAL) == moment)
			wait_a_moment();
		struct tide_append append = {
			.stream = stream, .expected = TIDE_ANY, .events = &event, .count = 1
		};
		must(tide_store_append(appenders->store, &append, NULL, err));
	}
	return NULL;
}

static void appenders_start(struct appenders *appenders, const char *url)
{
	char pooled[200];
	snprintf(pooled, sizeof pooled, "%s&pool=2", url);
	*appenders = (struct appenders){ 0 };
	must(tide_store_open(pooled, NULL, &appenders->store, err));
	for (int i = 0; i < APPENDERS; i++)
		pthread_create(&appenders->threads[i], NULL, appender_run, appenders);
}

static void appenders_stop(struct appenders *appenders)
{
	for (int i = 0; i < APPENDERS; i++)
		pthread_join(appenders->threads[i], NULL);
	tide_store_close(appenders->store);
}

/* ---- Readers --------------------------------------------------------------------------------- */

/** What one reader saw. */
struct seen {
	pthread_t thread;
	void *store;
	bool leaps;                 /* it looks for the events by their type */
	int64_t *positions, *times; /* of each event, and when it was delivered */
	size_t count, capacity;
	size_t disordered; /* positions below the one before */
	size_t twice;
	size_t inverted; /* versions not above the one before in their stream */
	int32_t versions[2][64];
};

static void see(struct seen *seen, int64_t position)
{
	if (seen->count == seen->capacity) {
		seen->capacity = seen->capacity ? seen->capacity * 2 : 4096;
		seen->positions =
			realloc(seen->positions, seen->capacity * sizeof *seen->positions);
		seen->times = realloc(seen->times, seen->capacity * sizeof *seen->times);
		assert_true(seen->positions && seen->times);
	}
	int64_t before = seen->count > 0 ? seen->positions[seen->count - 1] : 0;
	seen->disordered += position < before;
	seen->twice += position == before;
	seen->times[seen->count] = clock_mono(&clock_system).ns;
	seen->positions[seen->count++] = position;
}

/* Streams are numbered from 1 in the last bytes of their ids. */
static void see_event(struct seen *seen, const struct tide_event *event)
{
	char id[TIDE_UUID_TEXT_SIZE];
	unsigned stream = (unsigned)atoi(tide_uuid_format(&event->aggregate_id, id) + 24) % 64;
	int32_t *version = &seen->versions[event->aggregate_type.data[0] == 'S'][stream];
	seen->inverted += event->version != *version + 1;
	*version = event->version;
	see(seen, event->position);
}

static void *subscriber_run(void *self)
{
	struct seen *seen = self;
	const struct tide_store_ops *ops = &tide_backend_postgres.store;
	const char *const types[] = { "Happened", "Never", NULL };
	struct tide_filter filter = { .event_types = seen->leaps ? types : NULL };
	struct tide_page_query query = { .filter = &filter,
					 .max_events = 100,
					 .max_bytes = 1 << 24,
					 .max_scan = 10000,
					 .is_sparse = seen->leaps };
	struct tide_page page;
	void *session;
	tide_page_init(&page);
	must(ops->session_open(seen->store, &session, err));
	for (;;) {
		bool was_complete = is_complete;
		tide_page_begin(&page, query.max_events, query.max_bytes);
		must(ops->read(session, &query, &page, err));
		for (size_t i = 0; i < page.count; i++)
			see_event(seen, &page.entries[i].event);
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

static tide_status engine_see(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)delivery;
	struct seen *seen = self;
	see_event(seen, event);
	return TIDE_OK;
}

/** The whole engine. */
struct engine {
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
};

static void engine_start(struct engine *engine, const char *url,
			 const struct tide_subscriber *subscriber, uint32_t batch_size)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.batch_size = batch_size;
	config.max_in_flight = 1000;
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.poll_interval_seconds = 0.01; /* the writers ring no bell */
	must(tide_store_open(url, NULL, &engine->store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = engine->store), &engine->manager, err));
	must(tide_manager_subscribe(engine->manager, subscriber, &config, &engine->subscription,
				    err));
	must(tide_manager_start(engine->manager, NULL, 20, NULL, NULL, err));
}

/* Wait until it is through, and end it. */
static void engine_finish(struct engine *engine, tide_position end)
{
	struct tide_subscription_status status;
	double since = seconds_now();
	do {
		wait_a_moment();
		must(tide_subscription_status(engine->subscription, &status, err));
		if (seconds_now() > since + 120)
			fail_msg("%s, at %lld of %lld", status.name, (long long)status.position,
				 (long long)end);
	} while (status.position < end);
	assert_int_equal(status.events_dlq, 0);
	print_message("  %s: through %.0f ms after the others\n", status.name,
		      (seconds_now() - since) * 1000);
	tide_manager_close(engine->manager);
	tide_store_close(engine->store);
}

/* What is projected by SQL, in the order in which it came. */
static struct tide_sql_projection *projection_open(const char *url)
{
	struct tide_sql_projection *projection;
	must(tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = "-- init:\nCREATE TABLE IF NOT EXISTS projected (n "
					    "bigserial, at bigint);\n"
					    "-- on: *\nINSERT INTO projected (at) VALUES "
					    "(:global_position);\n",
				    .name = "projected", .url = url),
		&projection, err));
	return projection;
}

static void projection_is_right(size_t events)
{
	PGconn *connection = connect_to("");
	int64_t projected = number(connection, "SELECT count(*) FROM projected"),
		missing = number(connection,
				 "SELECT count(*) FROM events LEFT JOIN projected ON at = "
				 "global_position WHERE at IS NULL"),
		disordered = number(connection,
				    "SELECT count(*) FROM (SELECT at <= lag(at) OVER (ORDER BY n) "
				    "AS is_wrong FROM projected) s WHERE is_wrong"),
		commits = number(connection, "SELECT count(DISTINCT xmin::text) FROM events WHERE "
					     "right(aggregate_id::text, 12)::bigint >= 40"),
		appended = number(connection, "SELECT count(*) FROM events WHERE "
					      "right(aggregate_id::text, 12)::bigint >= 40");
	PQfinish(connection);
	print_message("  SQL: %lld events, %lld skipped, %lld out of order; %lld appended in %lld "
		      "commits\n",
		      (long long)projected, (long long)missing, (long long)disordered,
		      (long long)appended, (long long)commits);
	assert_int_equal(projected, events);
	assert_int_equal(missing, 0);
	assert_int_equal(disordered, 0);
	assert_true(commits < appended);
}

static void *naive_run(void *self)
{
	struct seen *seen = self;
	PGconn *connection = connect_to("");
	int64_t position = 0;
	while (!is_complete) {
		char text[120];
		snprintf(text, sizeof text,
			 "SELECT global_position FROM events WHERE global_position > %lld ORDER BY "
			 "1 LIMIT 100",
			 (long long)position);
		PGresult *rows = PQexec(connection, text);
		for (int row = 0; row < PQntuples(rows); row++)
			see(seen, position = strtoll(PQgetvalue(rows, row, 0), NULL, 10));
		PQclear(rows);
	}
	PQfinish(connection);
	return NULL;
}

/* ---- The accounts ---------------------------------------------------------------------------- */

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

static void *store_open(const char *text)
{
	struct tide_url url;
	void *store;
	must(url_parse(text, &url, err));
	must(tide_backend_postgres.store.open(&url, TIDE_STORE_OPTIONS(.initialize = true), &store,
					      err));
	url_fini(&url);
	return store;
}

static int compare_delays(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* How long after it could an event was delivered. */
static void tell_delays(const struct seen *seen)
{
	double *delays = malloc((seen->count + 1) * sizeof *delays);
	int64_t ideal = 0;
	size_t count = 0;
	for (int64_t position = 1; count < seen->count; position++) {
		if (ended[position] > ideal)
			ideal = ended[position];
		if (position < seen->positions[count])
			continue;
		int64_t delay = seen->times[count] - ideal;
		delays[count++] = delay > 0 ? (double)delay / 1e6 : 0;
	}
	qsort(delays, count, sizeof *delays, compare_delays);
	if (count > 0)
		print_message("    over the ideal: median %.1f ms, p99 %.1f ms, greatest %.1f ms\n",
			      delays[count / 2], delays[count * 99 / 100], delays[count - 1]);
	free(delays);
}

static void account_is_right(const struct seen *truth, const struct seen *seen, const char *name)
{
	size_t skipped = count_skipped(truth, seen);
	print_message("  %s: %zu events, %zu skipped, %zu twice, %zu out of order, %zu versions "
		      "inverted\n",
		      name, seen->count, skipped, seen->twice, seen->disordered, seen->inverted);
	assert_int_equal(skipped, 0);
	assert_int_equal(seen->twice, 0);
	assert_int_equal(seen->disordered, 0);
	assert_int_equal(seen->inverted, 0);
	assert_int_equal(seen->count, truth->count);
}

static void accounts_are_right(const struct seen *truth, const struct seen subscribers[SUBSCRIBERS],
			       const struct seen *single, const struct seen *naive)
{
	static const char *const names[2][2] = { { "subscriber", "leaping subscriber" },
						 { "late subscriber", "late leaping subscriber" } };
	for (int i = 0; i < SUBSCRIBERS; i++) {
		bool is_late = i >= SUBSCRIBERS - LATE;
		account_is_right(truth, &subscribers[i], names[is_late][subscribers[i].leaps]);
		if (!is_late)
			tell_delays(&subscribers[i]);
	}
	account_is_right(truth, single, "subscription with pages of one");
	tell_delays(single);
	size_t skipped = count_skipped(truth, naive);
	print_message("  naive reader: %zu skipped\n", skipped);
	assert_true(skipped > 0);
}

static void subscriber_begin(struct seen *subscriber, void *store, bool leaps)
{
	subscriber->store = store;
	subscriber->leaps = leaps;
	pthread_create(&subscriber->thread, NULL, subscriber_run, subscriber);
}

static void pass(double time)
{
	for (double end = seconds_now() + time; seconds_now() < end;)
		wait_a_moment();
}

static void seen_fini(struct seen *seen)
{
	free(seen->positions);
	free(seen->times);
}

static void writers_start(struct writer *writers, int count)
{
	for (int i = 0; i < count; i++) {
		writers[i] = (struct writer){ .id = i, .connection = connect_to("") };
		random_seed(&writers[i].random, (uint64_t)i + 1);
		pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]);
	}
}

static void writers_stop(struct writer *writers, int count)
{
	is_over = true;
	for (int i = 0; i < count; i++) {
		pthread_join(writers[i].thread, NULL);
		PQfinish(writers[i].connection);
	}
}

static void clear(void)
{
	ended = calloc(POSITIONS_MAX, sizeof *ended);
	assert_non_null(ended);
	postgres_sql("public", "TRUNCATE events RESTART IDENTITY; TRUNCATE projection_checkpoints; "
			       "TRUNCATE projection_versions; DROP TABLE IF EXISTS projected; "
			       "CREATE TABLE IF NOT EXISTS unrelated (n integer)");
	is_over = is_complete = false;
}

static void readers_account_for_every_event(int writer_count, const char *url)
{
	struct writer writers[WRITERS_MAX] = { 0 };
	struct seen subscribers[SUBSCRIBERS] = { 0 }, single = { 0 }, naive = { 0 };
	void *late[SUBSCRIBERS] = { NULL };
	struct engine engine, projecting;
	struct appenders appenders;
	void *store = store_open(url);
	clear();
	struct tide_sql_projection *projection = projection_open(url);
	const struct tide_subscriber subscriber = { .name = "one_by_one",
						    .self = &single,
						    .handle = engine_see };
	PGconn *unrelated[] = { connect_to(""), connect_to("dbname=elsewhere") };
	assert_true(run(unrelated[0], "BEGIN") &&
		    run(unrelated[0], "INSERT INTO unrelated VALUES (1)"));
	assert_true(run(unrelated[1], "BEGIN") &&
		    run(unrelated[1], "CREATE TABLE unrelated (n integer)"));
	for (int i = 0; i < SUBSCRIBERS - LATE; i++)
		subscriber_begin(&subscribers[i], store, i % 2);
	engine_start(&engine, url, &subscriber, 1);
	engine_start(&projecting, url, tide_sql_projection_subscriber(projection), 1000);
	pthread_create(&naive.thread, NULL, naive_run, &naive);
	writers_start(writers, writer_count);
	appenders_start(&appenders, url);
	pass(seconds / (LATE + 1));
	for (int i = SUBSCRIBERS - LATE; i < SUBSCRIBERS; i++) {
		late[i] = store_open(url);
		subscriber_begin(&subscribers[i], late[i], i % 2);
		pass(seconds / (LATE + 1));
	}
	writers_stop(writers, writer_count);
	appenders_stop(&appenders);
	is_complete = true;
	for (int i = 0; i < SUBSCRIBERS; i++)
		pthread_join(subscribers[i].thread, NULL);
	pthread_join(naive.thread, NULL);
	struct seen truth = truth_read();
	print_message("%d writers%s: %zu events\n", writer_count,
		      strcmp(url, POOLED) == 0 ? ", PgBouncer" : "", truth.count);
	engine_finish(&engine, truth.positions[truth.count - 1]);
	engine_finish(&projecting, truth.positions[truth.count - 1]);
	tide_sql_projection_close(projection);
	for (int i = SUBSCRIBERS - LATE; i < SUBSCRIBERS; i++)
		tide_backend_postgres.store.close(late[i]);
	tide_backend_postgres.store.close(store);
	PQfinish(unrelated[0]);
	PQfinish(unrelated[1]);
	accounts_are_right(&truth, subscribers, &single,
			   &naive); /* with nothing left open that the next would wait for */
	projection_is_right(truth.count);
	for (int i = 0; i < SUBSCRIBERS; i++)
		seen_fini(&subscribers[i]);
	seen_fini(&single);
	seen_fini(&naive);
	seen_fini(&truth);
	free(ended);
}

static void eight_writers_make_no_reader_skip(void **state)
{
	(void)state;
	readers_account_for_every_event(8, DIRECT);
}

static void thirty_two_writers_make_no_reader_skip(void **state)
{
	(void)state;
	readers_account_for_every_event(32, DIRECT);
}

static void eight_writers_make_no_reader_behind_a_pooler_skip(void **state)
{
	(void)state;
	if (!has_pooler)
		skip();
	readers_account_for_every_event(8, POOLED);
}

static void thirty_two_writers_make_no_reader_behind_a_pooler_skip(void **state)
{
	(void)state;
	if (!has_pooler)
		skip();
	readers_account_for_every_event(32, POOLED);
}

int main(int count, char **arguments)
{
	char directory[256];
	const char *wish = getenv("TIDE_TEST_SECONDS");
	if (count > 1 || wish)
		seconds = atof(count > 1 ? arguments[1] : wish);
	if (!postgres_start())
		return 77;
	postgres_sql("public", "CREATE DATABASE elsewhere");
	has_pooler = pgbouncer_start(directory);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_writers_make_no_reader_skip),
		cmocka_unit_test(thirty_two_writers_make_no_reader_skip),
		cmocka_unit_test(eight_writers_make_no_reader_behind_a_pooler_skip),
		cmocka_unit_test(thirty_two_writers_make_no_reader_behind_a_pooler_skip),
	};
	int failed = cmocka_run_group_tests_name("postgres_gaps", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

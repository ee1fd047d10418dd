/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"
#include "lib/wait.h"

#define THREADS 8
#define APPENDS 60
#define PROCESSES 4
#define PROCESS_THREADS 2

static void append_then_read_returns_what_was_written(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	struct tide_uuid aggregate = tide_uuid_v7();
	struct tide_event event = fixture_event("Happened", "{\"a\": [1,2]}");
	event.tenant_id = tide_uuid_v4();
	event.causation_id = tide_uuid_v4();
	event.actor_id = tide_text("someone");
	event.metadata = tide_text("{\"k\":\"v\"}");
	struct tide_commit commit = { { aggregate, "Thing" }, TIDE_NO_STREAM, &event, 1 };
	struct tide_append_result result;
	assert_ok(STORE->append(store, &commit, 1, &result, &err));
	assert_int_equal(result.version, 1);
	assert_int_equal(result.first_position, 1);
	assert_int_equal(result.last_position, 1);
	struct tide_page page;
	tide_page_init(&page);
	assert_ok(fixture_read(session, 0, 10, &page, &err));
	assert_int_equal(page.count, 1);
	assert_true(page.is_end);
	assert_int_equal(page.scanned_to, 1);
	const struct tide_event *got = &page.entries[0].event;
	assert_null(got->undecodable);
	assert_int_equal(got->position, 1);
	assert_int_equal(got->version, 1);
	assert_true(tide_uuid_equal(&got->event_id, &event.event_id));
	assert_true(tide_uuid_equal(&got->aggregate_id, &aggregate));
	assert_true(tide_uuid_equal(&got->tenant_id, &event.tenant_id));
	assert_true(tide_uuid_equal(&got->correlation_id, &event.correlation_id));
	assert_true(tide_uuid_equal(&got->causation_id, &event.causation_id));
	assert_int_equal(got->occurred_at.unix_us, event.occurred_at.unix_us);
	assert_string_equal(got->event_type.data, "Happened");
	assert_string_equal(got->aggregate_type.data, "Thing");
	assert_string_equal(got->actor_id.data, "someone");
	assert_string_equal(got->metadata.data, "{\"k\":\"v\"}");
	assert_string_equal(got->payload.data, "{\"a\": [1,2]}");
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

static void append_refused_half_way_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	struct tide_uuid a = tide_uuid_v7(), b = tide_uuid_v7();
	assert_ok(fixture_append(store, &b, TIDE_NO_STREAM, 3, NULL, &err));
	struct tide_event events[2] = { fixture_event("Happened", "1"),
					fixture_event("Happened", "2") };
	struct tide_commit commits[2] = { { { a, "Thing" }, TIDE_ANY, events, 1 },
					  { { b, "Thing" }, 7, events + 1, 1 } };
	struct tide_append_result results[2] = { { .last_position = -1 }, { .last_position = -1 } };
	assert_status(TIDE_CONFLICT, STORE->append(store, commits, 2, results, &err));
	assert_int_equal(results[0].last_position, -1);
	assert_int_equal(results[1].version, 3);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM events"), 3);
	/* One id of the batch is known, behind one that is not: the first insert is taken back. */
	struct tide_event again[2] = { fixture_event("Happened", "3"), events[0] };
	struct tide_commit first = { { a, "Thing" }, TIDE_ANY, events, 1 };
	assert_ok(STORE->append(store, &first, 1, results, &err));
	struct tide_commit second = { { a, "Thing" }, TIDE_ANY, again, 2 };
	assert_status(TIDE_DUPLICATE_EVENT, STORE->append(store, &second, 1, results, &err));
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM events"), 4);
	STORE->close(store);
}

static void append_repeated_returns_the_original_result(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	struct tide_uuid aggregate = tide_uuid_v7();
	struct tide_event events[2] = { fixture_event("Happened", "1"),
					fixture_event("Happened", "2") };
	struct tide_commit commit = { { aggregate, "Thing" }, TIDE_NO_STREAM, events, 2 };
	struct tide_append_result first, second;
	assert_ok(STORE->append(store, &commit, 1, &first, &err));
	assert_false(first.was_stored_before);
	assert_ok(STORE->append(store, &commit, 1, &second, &err));
	assert_true(second.was_stored_before);
	assert_int_equal(second.version, 2);
	assert_int_equal(second.first_position, first.first_position);
	assert_int_equal(second.last_position, first.last_position);
	STORE->close(store);
}

/* Events of type "Refused", and no others, meet the trigger of the database's owner. */
static tide_status append_refused(void *store, const char *payload, struct tide_error *err)
{
	struct tide_event event = fixture_event("Refused", payload);
	struct tide_commit commit = { { tide_uuid_v7(), "Thing" }, TIDE_ANY, &event, 1 };
	struct tide_append_result result;
	return STORE->append(store, &commit, 1, &result, err);
}

static void what_a_trigger_refuses_is_not_stored_and_reported(void **state)
{
	static const struct {
		const char *moment, *raise, *says;
		tide_status status;
	} triggers[] = {
		{ "BEFORE", "RAISE(ABORT, 'no such luck')", "no such luck", TIDE_IO },
		{ "AFTER", "RAISE(ABORT, 'no such luck')", "no such luck", TIDE_IO },
		{ "AFTER", "RAISE(FAIL, 'no such luck')", "no such luck", TIDE_IO },
		{ "AFTER", "RAISE(ROLLBACK, 'no such luck')", "no such luck", TIDE_IO },
		{ "BEFORE", "RAISE(IGNORE)", "trigger on 'events'", TIDE_STATE },
	};
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	for (size_t i = 0; i < sizeof triggers / sizeof *triggers; i++) {
		char sql[300];
		snprintf(sql, sizeof sql,
			 "DROP TRIGGER IF EXISTS strict; CREATE TRIGGER strict %s INSERT ON events "
			 "WHEN NEW.event_type "
			 "= "
			 "'Refused' BEGIN SELECT %s; END",
			 triggers[i].moment, triggers[i].raise);
		fixture_sql(fixture, sql);
		assert_status(triggers[i].status, append_refused(store, "{}", &err));
		assert_says(&err, triggers[i].says);
		assert_int_equal(
			fixture_number(fixture,
				       "SELECT count(*) FROM events WHERE event_type = 'Refused'"),
			0);
		struct tide_uuid other = tide_uuid_v7();
		assert_ok(fixture_append(store, &other, TIDE_ANY, 1, NULL, &err));
	}
	STORE->close(store);
}

/* What a trigger refuses may be stored already: the rules of an append have the first word. */
static void a_repetition_is_a_success_whatever_a_trigger_says(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	struct tide_event event = fixture_event("Refused", "{}");
	struct tide_commit commit = { { tide_uuid_v7(), "Thing" }, TIDE_ANY, &event, 1 };
	struct tide_append_result result;
	assert_ok(STORE->append(store, &commit, 1, &result, &err));
	fixture_sql(fixture, "CREATE TRIGGER strict BEFORE INSERT ON events BEGIN SELECT "
			     "RAISE(ABORT, 'no'); END");
	assert_ok(STORE->append(store, &commit, 1, &result, &err));
	assert_true(result.was_stored_before);
	STORE->close(store);
}

static void a_table_that_would_replace_or_ignore_keeps_what_is_stored(void **state)
{
	static const char *const policies[] = { "IGNORE", "REPLACE" };
	struct fixture *fixture = *state;
	struct tide_error err;
	for (size_t i = 0; i < 2; i++) {
		char sql[700];
		struct fixture one = *fixture;
		snprintf(one.database, sizeof one.database, "%s/%s.db", fixture->directory,
			 policies[i]);
		snprintf(sql, sizeof sql,
			 "CREATE TABLE events (global_position INTEGER PRIMARY KEY AUTOINCREMENT, "
			 "event_id TEXT NOT "
			 "NULL "
			 "UNIQUE ON CONFLICT %s, aggregate_id TEXT NOT NULL, aggregate_type TEXT "
			 "NOT NULL, event_type "
			 "TEXT NOT NULL, version INTEGER NOT NULL, timestamp TEXT NOT NULL, "
			 "payload TEXT NOT NULL, "
			 "created_at TEXT NOT NULL DEFAULT '', UNIQUE (aggregate_id, "
			 "aggregate_type, version))",
			 policies[i]);
		fixture_sql(&one, sql);
		void *store = fixture_open(one.database, "");
		struct tide_event event = fixture_event("Happened", "{}");
		struct tide_commit commit = { { tide_uuid_v7(), "Thing" }, TIDE_ANY, &event, 1 };
		struct tide_append_result result;
		assert_ok(STORE->append(store, &commit, 1, &result, &err));
		commit.stream.aggregate_id = tide_uuid_v7();
		assert_status(TIDE_DUPLICATE_EVENT,
			      STORE->append(store, &commit, 1, &result, &err));
		assert_int_equal(
			fixture_number(&one,
				       "SELECT count(*) FROM events WHERE global_position = 1"),
			1);
		STORE->close(store);
	}
}

/** A thread that appends to a stream all share, and to its own. */
struct appender {
	void *store;
	struct tide_uuid shared, own;
	size_t conflicts, failures;
};

static void *appender_run(void *self)
{
	struct appender *appender = self;
	struct tide_error err;
	for (int64_t i = 0; i < APPENDS; i++) {
		if (fixture_append(appender->store, &appender->shared, TIDE_ANY, 1, NULL, &err) !=
		    TIDE_OK)
			appender->failures++;
		if (fixture_append(appender->store, &appender->own, 2 * i, 2, NULL, &err) !=
		    TIDE_OK)
			appender->failures++;
		/* A conflict in a group must not hurt its neighbours. */
		if (fixture_append(appender->store, &appender->own, 1000000, 2, NULL, &err) ==
		    TIDE_CONFLICT)
			appender->conflicts++;
	}
	return NULL;
}

static size_t appenders_run(void *store, const struct tide_uuid *shared, size_t count,
			    struct appender *appenders)
{
	pthread_t threads[THREADS];
	size_t failures = 0;
	for (size_t i = 0; i < count; i++) {
		appenders[i] = (struct appender){ .store = store,
						  .shared = *shared,
						  .own = tide_uuid_v7() };
		if (pthread_create(&threads[i], NULL, appender_run, &appenders[i]) != 0)
			return 1;
	}
	for (size_t i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		failures += appenders[i].failures + (appenders[i].conflicts != APPENDS);
	}
	return failures;
}

static void assert_streams_are_gapless(const struct fixture *fixture)
{
	assert_int_equal(
		fixture_number(fixture,
			       "SELECT count(*) FROM (SELECT 1 FROM events GROUP BY aggregate_id, "
			       "aggregate_type HAVING count(*) <> max(version))"),
		0);
}

static void group_commit_of_threads_loses_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct appender appenders[THREADS];
	struct tide_uuid shared = tide_uuid_v7();
	void *store = fixture_open(fixture->database, "");
	assert_int_equal(appenders_run(store, &shared, THREADS, appenders), 0);
	STORE->close(store);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM events"),
			 THREADS * APPENDS * 3);
	assert_streams_are_gapless(fixture);
}

static void *append_once(void *store)
{
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	return fixture_append(store, &aggregate, 0, 1, NULL, &err) == TIDE_OK ? store : NULL;
}

static size_t appends_waiting(struct sqlite_store *store)
{
	mutex_lock(&store->writer.lock);
	size_t count = store->writer.waiting;
	mutex_unlock(&store->writer.lock);
	return count;
}

/* The first one waits for the file, the others for it. */
static void appends_that_wait_share_a_commit(void **state)
{
	struct fixture *fixture = *state;
	pthread_t threads[THREADS];
	sqlite3 *holder;
	fixture_count_commits();
	void *store = fixture_open(fixture->database, "");
	assert_int_equal(sqlite3_open(fixture->database, &holder), SQLITE_OK);
	assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_once, store), 0);
	wait_for(60, appends_waiting(store) == THREADS - 1);
	atomic_store(&fixture_commits, 0);
	assert_int_equal(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	for (size_t i = 0; i < THREADS; i++) {
		void *stored;
		pthread_join(threads[i], &stored);
		assert_non_null(stored);
	}
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM events"), THREADS);
	assert_int_equal(atomic_load(&fixture_commits), 2);
	sqlite3_close(holder);
	STORE->close(store);
}

static void group_commit_works_in_memory(void **state)
{
	(void)state;
	struct appender appenders[THREADS];
	struct tide_uuid shared = tide_uuid_v7();
	struct tide_error err;
	void *store = fixture_open(":memory:", "");
	assert_int_equal(appenders_run(store, &shared, THREADS, appenders), 0);
	void *session = fixture_session(store);
	tide_position end;
	assert_ok(STORE->end(session, &end, &err));
	assert_int_equal(end, THREADS * APPENDS * 3);
	STORE->session_close(session);
	STORE->close(store);
}

/** What a child process needs. */
struct process {
	const char *database;
	struct tide_uuid shared;
};

static int process_run(void *self)
{
	struct process *process = self;
	struct appender appenders[PROCESS_THREADS];
	void *store;
	if (fixture_try_open(process->database, "", NULL, &store, NULL) != TIDE_OK)
		return 2;
	size_t failures = appenders_run(store, &process->shared, PROCESS_THREADS, appenders);
	STORE->close(store);
	return failures ? 1 : 0;
}

static void appends_of_processes_share_the_file(void **state)
{
	struct fixture *fixture = *state;
	pid_t children[PROCESSES];
	struct process process = { fixture->database, tide_uuid_v7() };
	STORE->close(fixture_open(fixture->database, ""));
	for (size_t i = 0; i < PROCESSES; i++)
		children[i] = fixture_fork(process_run, &process);
	for (size_t i = 0; i < PROCESSES; i++)
		fixture_join(children[i]);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM events"),
			 PROCESSES * PROCESS_THREADS * APPENDS * 3);
	assert_streams_are_gapless(fixture);
}

static void append_past_the_busy_timeout_is_busy(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	STORE->close(fixture_open(fixture->database, ""));
	assert_ok(fixture_try_open(fixture->database, "",
				   TIDE_STORE_OPTIONS(.busy_timeout_seconds = 0.2), &store, &err));
	sqlite3 *holder;
	assert_int_equal(sqlite3_open(fixture->database, &holder), SQLITE_OK);
	assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	struct tide_uuid aggregate = tide_uuid_v7();
	int64_t begin = fixture_now_us();
	assert_status(TIDE_BUSY, fixture_append(store, &aggregate, TIDE_ANY, 1, NULL, &err));
	assert_int_equal(err.retry, TIDE_RETRY_LATER);
	assert_true(fixture_now_us() - begin >= 200000);
	assert_int_equal(sqlite3_exec(holder, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(holder);
	assert_ok(fixture_append(store, &aggregate, TIDE_ANY, 1, NULL, &err));
	STORE->close(store);
}

/** A process that tells the version of each append it was told to be stored. */
struct teller {
	const char *database;
	struct tide_uuid aggregate;
	int told;
};

static int teller_run(void *self)
{
	struct teller *teller = self;
	struct tide_error err;
	void *store;
	if (fixture_try_open(teller->database, "", NULL, &store, &err) != TIDE_OK)
		return 1;
	for (;;) {
		struct tide_append_result result;
		if (fixture_append(store, &teller->aggregate, TIDE_ANY, 5, &result, &err) !=
		    TIDE_OK)
			return 2;
		if (write(teller->told, &result.version, sizeof result.version) !=
		    sizeof result.version)
			return 3;
	}
}

static void a_killed_writer_keeps_all_it_was_told_and_blocks_nobody(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	STORE->close(fixture_open(fixture->database, ""));
	for (int round = 0; round < 5; round++) {
		int pipes[2];
		tide_version version = 0, last = 0;
		assert_int_equal(pipe(pipes), 0);
		struct teller teller = { fixture->database, tide_uuid_v7(), pipes[1] };
		pid_t child = fixture_fork(teller_run, &teller);
		close(pipes[1]);
		while (last < 50 + 35 * round) {
			assert_int_equal(read(pipes[0], &version, sizeof version), sizeof version);
			last = version;
		}
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		while (read(pipes[0], &version, sizeof version) == sizeof version)
			last = version;
		close(pipes[0]);
		void *store = fixture_open(fixture->database, "");
		void *session = fixture_session(store);
		assert_ok(STORE->stream_version(session,
						(struct tide_stream){ teller.aggregate, "Thing" },
						&version, &err));
		assert_true(version >= last && version % 5 == 0);
		assert_ok(fixture_append(store, &teller.aggregate, version, 1, NULL, &err));
		STORE->session_close(session);
		STORE->close(store);
	}
	assert_streams_are_gapless(fixture);
}

static void *delivery_begins(void *session)
{
	struct tide_error err;
	assert_ok(STORE->begin(session, &err));
	return NULL;
}

static atomic_bool is_reading;

/* A reader that is half-way through a table, and lets go of it after a while. */
static void *read_for_a_while(void *session)
{
	sqlite3_stmt *statement;
	sqlite3 *native = STORE->connection(session);
	assert_int_equal(sqlite3_prepare_v2(native, "SELECT global_position FROM events", -1,
					    &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	atomic_store(&is_reading, true);
	for (int moment = 0; moment < 50; moment++)
		wait_a_moment();
	sqlite3_finalize(statement);
	return NULL;
}

/* Without a log readers keep a commit waiting: that is nobody's deadlock. */
static void a_commit_in_memory_waits_for_readers(void **state)
{
	(void)state;
	struct tide_error err;
	void *store = fixture_open(":memory:", "");
	void *session = fixture_session(store), *reader = fixture_session(store);
	struct tide_uuid aggregate = tide_uuid_v7();
	struct tide_checkpoint_write write = { .name = "P", .has_position = true };
	assert_ok(fixture_append(store, &aggregate, TIDE_ANY, 2, NULL, &err));
	pthread_t thread;
	pthread_create(&thread, NULL, read_for_a_while, reader);
	while (!atomic_load(&is_reading))
		wait_a_moment();
	assert_ok(STORE->begin(session, &err));
	assert_ok(CHECKPOINT->save(session, NULL, &write, &err));
	assert_ok(STORE->commit(session, &err));
	pthread_join(thread, NULL);
	STORE->session_close(reader);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_delivery_past_the_busy_timeout_is_busy(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	STORE->close(fixture_open(fixture->database, ""));
	assert_ok(fixture_try_open(fixture->database, "",
				   TIDE_STORE_OPTIONS(.busy_timeout_seconds = 0.05), &store, &err));
	void *session = fixture_session(store), *other = fixture_session(store);
	struct tide_checkpoint_write write = { .name = "P", .has_position = true };
	pthread_t thread;
	pthread_create(&thread, NULL, delivery_begins, session);
	pthread_join(thread, NULL);
	assert_status(TIDE_BUSY, STORE->begin(other, &err));
	assert_status(TIDE_BUSY, CHECKPOINT->save(other, NULL, &write, &err));
	STORE->rollback(other);
	assert_ok(STORE->commit(session, &err));
	assert_ok(STORE->begin(session, &err)); /* by this thread, which would wait for itself */
	assert_status(TIDE_DEADLOCK, STORE->begin(other, &err));
	assert_status(TIDE_DEADLOCK, CHECKPOINT->save(other, NULL, &write, &err));
	STORE->rollback(other);
	assert_ok(STORE->commit(session, &err));
	assert_ok(CHECKPOINT->save(other, NULL, &write, &err));
	STORE->session_close(other);
	STORE->session_close(session);
	STORE->close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(append_then_read_returns_what_was_written),
		TEST(append_refused_half_way_leaves_nothing),
		TEST(append_repeated_returns_the_original_result),
		TEST(what_a_trigger_refuses_is_not_stored_and_reported),
		TEST(a_repetition_is_a_success_whatever_a_trigger_says),
		TEST(a_table_that_would_replace_or_ignore_keeps_what_is_stored),
		TEST(group_commit_of_threads_loses_nothing),
		TEST(appends_that_wait_share_a_commit),
		TEST(group_commit_works_in_memory),
		TEST(appends_of_processes_share_the_file),
		TEST(append_past_the_busy_timeout_is_busy),
		TEST(a_killed_writer_keeps_all_it_was_told_and_blocks_nobody),
		TEST(a_commit_in_memory_waits_for_readers),
		TEST(a_delivery_past_the_busy_timeout_is_busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Appends that wait for a connection share a statement and a commit, and nothing else. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "backends/postgres/inner.h"
#include "postgres_tools.h"

/** One append in a thread of its own. */
struct caller {
	pthread_t thread;
	void *store;
	struct tide_event event;
	int64_t expected;
	tide_status status;
	struct tide_append_result result;
	struct tide_error err;
};

static void *caller_run(void *self)
{
	struct caller *caller = self;
	caller->status = append_event(caller->store, &caller->event, caller->expected,
				      &caller->result, &caller->err);
	return NULL;
}

static void caller_begin(struct caller *caller, void *store, struct tide_event event,
			 int64_t expected)
{
	*caller = (struct caller){ .store = store, .event = event, .expected = expected };
	assert_int_equal(pthread_create(&caller->thread, NULL, caller_run, caller), 0);
}

static size_t waiting(struct pg_store *store)
{
	size_t count = 0;
	mutex_lock(&store->lock);
	for (struct pg_turn *turn = store->first; turn; turn = turn->next)
		count++;
	mutex_unlock(&store->lock);
	return count;
}

/* On a busy machine it takes long to make them all wait. */
static struct pg_store *store_made(const char *schema, const char *more)
{
	char url[200];
	snprintf(url, sizeof url, "postgresql:///?schema=%s&pool=1%s", schema, more);
	struct pg_store *store = backend_opened(url);
	store->busy_ns = 300 * NS_PER_SECOND;
	return store;
}

/* A row of a stream that is not committed: who appends to it waits until it is. */
static PGconn *stream_held(const char *schema, int64_t number)
{
	PGconn *connection = sql_connect("");
	struct tide_stream stream = stream_of("Order", number);
	char id[TIDE_UUID_TEXT_SIZE], text[500];
	snprintf(text, sizeof text,
		 "BEGIN; INSERT INTO %s.events (event_id, aggregate_id, aggregate_type, "
		 "event_type, version, "
		 "\"timestamp\", payload) VALUES (gen_random_uuid(), '%s', 'Order', 'Held', 1, "
		 "now(), '{}')",
		 schema, tide_uuid_format(&stream.aggregate_id, id));
	sql_run(connection, text);
	return connection;
}

static void held_end(PGconn *connection)
{
	sql_run(connection, "ROLLBACK");
	PQfinish(connection);
}

enum { MEMBERS = 6 };

/* The only connection is in use until all of them wait for it. */
static void crowd_append(struct pg_store *store, struct caller *members,
			 const struct tide_event *events, const int64_t *expected)
{
	struct pg_turn first = { 0 };
	must(pg_pool_take(store, &first, err));
	for (size_t i = 0; i < MEMBERS; i++) {
		caller_begin(&members[i], store, events[i], expected[i]);
		wait_for(120, waiting(store) == i + 1);
	}
	pg_pool_give(store, first.connection);
	for (size_t i = 0; i < MEMBERS; i++)
		pthread_join(members[i].thread, NULL);
}

static int64_t transactions(const char *schema, const char *type)
{
	char text[200];
	PGconn *connection = sql_connect("");
	snprintf(text, sizeof text,
		 "SELECT count(DISTINCT xmin::text) FROM %s.events WHERE aggregate_type = '%s'",
		 schema, type);
	int64_t count = sql_number(connection, text);
	PQfinish(connection);
	return count;
}

static void appends_that_wait_share_a_commit_and_a_conflict_stays_its_own(void **state)
{
	(void)state;
	struct caller members[MEMBERS];
	struct tide_event events[MEMBERS];
	int64_t expected[MEMBERS] = { 0, TIDE_ANY, 7, TIDE_STREAM_EXISTS, 0, TIDE_ANY };
	struct pg_store *store = store_made("shared", "");
	for (int i = 0; i < MEMBERS; i++)
		events[i] = event_made(stream_of("Grouped", MEMBERS - i), "{}");
	crowd_append(store, members, events, expected);
	for (int i = 0; i < MEMBERS; i++) {
		bool is_met = i != 2 && i != 3;
		assert_int_equal(members[i].status, is_met ? TIDE_OK : TIDE_CONFLICT);
		assert_int_equal(members[i].result.version, is_met ? 1 : 0);
		assert_true(!is_met || members[i].result.last_position > 0);
		assert_int_equal(members[i].result.first_position, members[i].result.last_position);
	}
	assert_int_equal(transactions("shared", "Grouped"), 1);
	STORE->close(store);
}

static void an_id_that_is_known_or_taken_touches_no_other_append(void **state)
{
	(void)state;
	struct caller members[MEMBERS];
	struct tide_event events[MEMBERS];
	int64_t expected[MEMBERS] = { 0, 0, 0, 0, 0, 0 };
	struct pg_store *store = store_made("taken", "");
	struct tide_event stored = event_made(stream_of("Grouped", 1), "{}");
	struct tide_append_result before;
	must(append_event(store, &stored, 0, &before, err));
	for (int i = 0; i < MEMBERS; i++)
		events[i] = event_made(stream_of("Grouped", i + 1), "{}");
	events[0] = stored;
	events[3].event_id = stored.event_id;
	crowd_append(store, members, events, expected);
	assert_int_equal(members[0].status, TIDE_OK);
	assert_true(members[0].result.was_stored_before);
	assert_int_equal(members[0].result.last_position, before.last_position);
	assert_int_equal(members[3].status, TIDE_DUPLICATE_EVENT);
	for (int i = 1; i < MEMBERS; i++)
		if (i != 3) {
			assert_int_equal(members[i].status, TIDE_OK);
			assert_int_equal(members[i].result.version, 1);
			assert_false(members[i].result.was_stored_before);
		}
	STORE->close(store);
}

/* Two of one stream must not go into one statement, which would number both alike. */
static void two_of_one_stream_follow_each_other(void **state)
{
	(void)state;
	struct caller members[MEMBERS];
	struct tide_event events[MEMBERS];
	int64_t expected[MEMBERS];
	struct pg_store *store = store_made("same", "");
	for (int i = 0; i < MEMBERS; i++) {
		events[i] = event_made(stream_of("Grouped", i / 2 + 1), "{}");
		expected[i] = i % 2;
	}
	crowd_append(store, members, events, expected);
	for (int i = 0; i < MEMBERS; i++) {
		assert_int_equal(members[i].status, TIDE_OK);
		assert_int_equal(members[i].result.version, i % 2 + 1);
	}
	STORE->close(store);
}

static void an_unanswered_group_is_a_timeout_for_each_and_safe_to_repeat(void **state)
{
	(void)state;
	struct caller members[MEMBERS];
	struct tide_event events[MEMBERS];
	int64_t expected[MEMBERS] = { 0, 0, 0, 0, 0, 0 };
	struct pg_store *store = store_made("unanswered", "&append_timeout=2");
	PGconn *other = stream_held("unanswered", 1);
	for (int i = 0; i < MEMBERS; i++)
		events[i] = event_made(stream_of("Order", i + 1), "{}");
	crowd_append(store, members, events, expected);
	for (int i = 0; i < MEMBERS; i++) {
		assert_int_equal(members[i].status, TIDE_TIMEOUT);
		must_mention(&members[i].err, "append_timeout");
	}
	held_end(other);
	for (int i = 0; i < MEMBERS; i++) {
		struct tide_append_result again;
		must(append_event(store, &events[i], 0, &again, err));
		assert_int_equal(again.version, 1);
		assert_true(again.was_stored_before);
	}
	STORE->close(store);
}

/* One of the group conflicts once a row of its stream is committed, so that all of them try alone,
 * and one waits for the row of another stream. */
static void who_is_sent_back_alone_has_its_time_once(void **state)
{
	enum { LIMIT = 8 };
	(void)state;
	struct caller members[MEMBERS];
	struct pg_store *store = store_made("once", "&append_timeout=8");
	struct tide_uuid two = stream_of("Order", 2).aggregate_id;
	struct tide_uuid last = stream_of("Order", MEMBERS).aggregate_id;
	bool is_ahead = tide_uuid_compare(&two, &last) < 0; /* the statement gets there first */
	PGconn *first = stream_held("once", is_ahead ? 2 : MEMBERS);
	PGconn *second = stream_held("once", is_ahead ? MEMBERS : 2);
	PGconn *look = sql_connect("");
	struct pg_turn taken = { 0 };
	must(pg_pool_take(store, &taken, err));
	for (int i = 0; i < MEMBERS; i++) {
		caller_begin(&members[i], store, event_made(stream_of("Order", i + 1), "{}"), 0);
		wait_for(120, waiting(store) == (size_t)i + 1);
	}
	double began = seconds_now();
	pg_pool_give(store, taken.connection);
	wait_for(60, sql_number(look, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1);
	while (seconds_now() < began + LIMIT - 3)
		wait_a_moment();
	sql_run(first, "COMMIT");
	for (int i = 0; i < MEMBERS; i++)
		pthread_join(members[i].thread, NULL);
	assert_true(seconds_now() - began < 2 * LIMIT - 4);
	assert_int_not_equal(members[is_ahead ? MEMBERS - 1 : 1].status, TIDE_OK);
	held_end(second);
	PQfinish(first);
	PQfinish(look);
	STORE->close(store);
}

/** A thread that appends to a stream of its own until it is told to stop. */
struct writer {
	pthread_t thread;
	void *store;
	int64_t number, appended;
	atomic_bool *is_over;
};

static void *writer_run(void *self)
{
	struct writer *writer = self;
	while (!*writer->is_over) {
		struct tide_event event = event_made(stream_of("Killed", writer->number), "{}");
		struct tide_append_result result;
		struct tide_error err;
		tide_status status;
		do
			status = append_event(writer->store, &event, writer->appended, &result,
					      &err);
		while (status == TIDE_CONNECTION_LOST || status == TIDE_BUSY ||
		       status == TIDE_TIMEOUT);
		if (status != TIDE_OK || result.version != writer->appended + 1)
			fail_msg("%s: %s", tide_status_name(status), err.message);
		writer->appended++;
	}
	return NULL;
}

static void a_server_killed_under_groups_loses_nothing_and_stores_nothing_twice(void **state)
{
	enum { WRITERS = 24, KILLS = 6 };
	(void)state;
	struct writer writers[WRITERS];
	atomic_bool is_over = false;
	struct pg_store *store = backend_opened("postgresql:///?schema=killed&pool=4");
	for (int i = 0; i < WRITERS; i++) {
		writers[i] =
			(struct writer){ .store = store, .number = i + 1, .is_over = &is_over };
		pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]);
	}
	for (int i = 0; i < KILLS; i++) {
		PGconn *connection = sql_connect("");
		int64_t begun = sql_number(connection, "SELECT count(*) FROM killed.events");
		wait_for(60, sql_number(connection, "SELECT count(*) FROM killed.events") >
				     begun + 500);
		PQfinish(connection);
		postgres_halt(SIGQUIT);
		postgres_resume();
	}
	is_over = true;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	PGconn *connection = sql_connect("");
	int64_t total = 0;
	for (int i = 0; i < WRITERS; i++) {
		struct tide_stream stream = stream_of("Killed", i + 1);
		char id[TIDE_UUID_TEXT_SIZE], text[200];
		snprintf(text, sizeof text,
			 "SELECT count(*) FROM killed.events WHERE aggregate_id = '%s'",
			 tide_uuid_format(&stream.aggregate_id, id));
		assert_int_equal(sql_number(connection, text), writers[i].appended);
		total += writers[i].appended;
	}
	int64_t groups =
		sql_number(connection, "SELECT count(DISTINCT xmin::text) FROM killed.events");
	/* how many share one is the machine's; that some do, ours */
	if (groups >= total)
		fail_msg("%lld events in %lld transactions", (long long)total, (long long)groups);
	PQfinish(connection);
	STORE->close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_that_wait_share_a_commit_and_a_conflict_stays_its_own),
		cmocka_unit_test(an_id_that_is_known_or_taken_touches_no_other_append),
		cmocka_unit_test(two_of_one_stream_follow_each_other),
		cmocka_unit_test(an_unanswered_group_is_a_timeout_for_each_and_safe_to_repeat),
		cmocka_unit_test(who_is_sent_back_alone_has_its_time_once),
		cmocka_unit_test(
			a_server_killed_under_groups_loses_nothing_and_stores_nothing_twice),
	};
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	if (!postgres_start())
		return 77;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	return failed;
}

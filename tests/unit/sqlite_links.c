/* SPDX-License-Identifier: Apache-2.0 */
/* The connections that the sessions of subscriptions share. */
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "sqlite_fixture.h"

#include "backends/sqlite/internal.h"
#include "lib/must.h"
#include "lib/resting.h"
#include "lib/wait.h"

#define SHARED 16 /* connections of one store that subscriptions share */
#define CROWD 40

/** A store, and sessions that share its connections. */
struct crowd {
	struct sqlite_store *store;
	struct sqlite_session *sessions[CROWD];
};

static struct sqlite_session *shared_session(struct sqlite_store *store)
{
	struct tide_error err;
	void *session;
	assert_ok(STORE->session_share(store, NULL, NULL, &session, &err));
	return session;
}

static void crowd_open(struct crowd *crowd, const struct fixture *fixture,
		       const struct tide_store_options *options)
{
	struct tide_error err;
	void *store;
	assert_ok(fixture_try_open(fixture->database, "", options, &store, &err));
	crowd->store = store;
	for (int i = 0; i < CROWD; i++)
		crowd->sessions[i] = shared_session(store);
}

static size_t links_count(struct sqlite_store *store)
{
	mutex_lock(&store->links.lock);
	size_t count = store->links.count;
	mutex_unlock(&store->links.lock);
	return count;
}

static void crowd_close(struct crowd *crowd)
{
	for (int i = 0; i < CROWD; i++)
		STORE->session_close(crowd->sessions[i]);
	assert_int_equal(links_count(crowd->store), 0);
	STORE->close(crowd->store);
}

static void work(struct sqlite_session *session)
{
	struct tide_error err;
	tide_position end;
	uint64_t number;
	assert_ok(STORE->session_ready(session, &number, &err));
	assert_ok(STORE->end(session, &end, &err));
}

/* ---- Taking and giving ----------------------------------------------------------------------- */

static void who_works_one_after_the_other_needs_one_connection(void **state)
{
	struct crowd crowd;
	crowd_open(&crowd, *state, TIDE_STORE_OPTIONS(.initialize = true));
	assert_int_equal(links_count(crowd.store), 0);
	const sqlite3 *handle = NULL;
	for (int i = 0; i < CROWD; i++) {
		work(crowd.sessions[i]);
		if (!handle)
			handle = crowd.sessions[i]->connection.handle;
		assert_ptr_equal(crowd.sessions[i]->connection.handle, handle);
		STORE->session_rest(crowd.sessions[i]);
		assert_null(crowd.sessions[i]->connection.handle);
		STORE->session_rest(crowd.sessions[i]);
	}
	assert_int_equal(links_count(crowd.store), 1);
	crowd_close(&crowd);
}

static void *work_in_thread(void *self)
{
	work(self);
	return NULL;
}

/* Nobody gives one back for a while: the next one waits, and has it at once when one does. */
static void who_finds_none_waits_until_one_rests(void **state)
{
	struct crowd crowd;
	pthread_t thread;
	crowd_open(&crowd, *state,
		   TIDE_STORE_OPTIONS(.initialize = true, .busy_timeout_seconds = 1000));
	for (int i = 0; i < SHARED; i++)
		work(crowd.sessions[i]);
	assert_int_equal(links_count(crowd.store), SHARED);

	const sqlite3 *handle = crowd.sessions[3]->connection.handle;
	assert_int_equal(pthread_create(&thread, NULL, work_in_thread, crowd.sessions[SHARED]), 0);
	STORE->session_rest(crowd.sessions[3]);
	pthread_join(thread, NULL);
	assert_ptr_equal(crowd.sessions[SHARED]->connection.handle, handle);
	assert_int_equal(links_count(crowd.store), SHARED);
	crowd_close(&crowd);
}

/* All of them may wait for a writer of another process: nobody waits for them for good. */
static void when_none_is_given_back_there_is_one_more_for_a_while(void **state)
{
	struct crowd crowd;
	crowd_open(&crowd, *state,
		   TIDE_STORE_OPTIONS(.initialize = true, .busy_timeout_seconds = 0.01));
	for (int i = 0; i < SHARED + 3; i++)
		work(crowd.sessions[i]);
	assert_int_equal(links_count(crowd.store), SHARED + 3);
	for (int i = 0; i < SHARED + 3; i++)
		STORE->session_rest(crowd.sessions[i]);
	assert_int_equal(links_count(crowd.store), SHARED);
	crowd_close(&crowd);
}

static void one_that_cannot_be_opened_is_not_counted(void **state)
{
	const struct fixture *fixture = *state;
	char aside[sizeof fixture->database + 8];
	struct crowd crowd;
	struct tide_error err;
	uint64_t number;
	crowd_open(&crowd, fixture,
		   TIDE_STORE_OPTIONS(.initialize = true, .busy_timeout_seconds = 0.01));
	snprintf(aside, sizeof aside, "%s.aside", fixture->database);
	assert_int_equal(rename(fixture->database, aside), 0);
	for (int i = 0; i < CROWD; i++)
		assert_status(TIDE_DIVERGED,
			      STORE->session_ready(crowd.sessions[i], &number, &err));
	assert_int_equal(links_count(crowd.store), 0);

	assert_int_equal(rename(aside, fixture->database), 0);
	work(crowd.sessions[0]);
	assert_int_equal(links_count(crowd.store), 1);
	crowd_close(&crowd);
}

/* ---- Whose it is ----------------------------------------------------------------------------- */

static void who_has_a_transaction_open_keeps_its_connection(void **state)
{
	struct crowd crowd;
	struct tide_error err;
	crowd_open(&crowd, *state, TIDE_STORE_OPTIONS(.initialize = true));
	struct sqlite_session *session = crowd.sessions[0];
	assert_ok(STORE->begin(session, &err));
	STORE->session_rest(session);
	assert_non_null(session->connection.handle);
	assert_ok(STORE->check(session, &err));
	assert_ok(STORE->commit(session, &err));
	STORE->session_rest(session);
	assert_null(session->connection.handle);
	crowd_close(&crowd);
}

/* What a handler has prepared and set there is its own. */
static void a_connection_that_a_handler_has_seen_stays_with_its_session(void **state)
{
	struct crowd crowd;
	crowd_open(&crowd, *state, TIDE_STORE_OPTIONS(.initialize = true));
	struct sqlite_session *own = crowd.sessions[0];
	work(own);
	const void *handle = STORE->connection(own);
	assert_non_null(handle);
	STORE->session_rest(own);
	for (int i = 1; i < CROWD; i++) {
		work(crowd.sessions[i]);
		assert_ptr_not_equal(crowd.sessions[i]->connection.handle, handle);
		STORE->session_rest(crowd.sessions[i]);
	}
	assert_ptr_equal(STORE->connection(own), handle);
	assert_int_equal(links_count(crowd.store), 1);
	crowd_close(&crowd);
}

/* Neither by what it was told of as a delivery, nor by an interruption that comes late. */
static void who_had_a_connection_has_nothing_to_do_with_it_any_more(void **state)
{
	struct crowd crowd;
	struct tide_error err;
	sqlite3_stmt *statement;
	crowd_open(&crowd, *state, TIDE_STORE_OPTIONS(.initialize = true));
	struct sqlite_session *before = crowd.sessions[0], *now = crowd.sessions[1];
	assert_ok(STORE->begin(before, &err));
	sqlite3 *handle = before->connection.handle;
	assert_ok(STORE->commit(before, &err));
	assert_null(sqlite3_commit_hook(handle, NULL, NULL));
	STORE->session_rest(before);

	work(now);
	assert_ptr_equal(now->connection.handle, handle);
	assert_int_equal(sqlite3_prepare_v2(handle, "VALUES (1), (2), (3)", -1, &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	STORE->interrupt(before);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	STORE->interrupt(now);
	assert_int_equal(sqlite3_step(statement), SQLITE_INTERRUPT);
	sqlite3_finalize(statement);
	crowd_close(&crowd);
}

/* It waits for locks as its store says, whoever opened the connection. */
static void a_connection_waits_for_who_has_it_now(void **state)
{
	struct crowd crowd;
	struct tide_error err;
	sqlite3 *blocker;
	const struct fixture *fixture = *state;
	crowd_open(&crowd, fixture,
		   TIDE_STORE_OPTIONS(.initialize = true, .busy_timeout_seconds = 0.01));
	work(crowd.sessions[0]);
	STORE->session_rest(crowd.sessions[0]);
	STORE->session_close(crowd.sessions[0]);
	crowd.sessions[0] = shared_session(crowd.store);

	assert_int_equal(sqlite3_open(fixture->database, &blocker), SQLITE_OK);
	assert_int_equal(sqlite3_exec(blocker, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_status(TIDE_BUSY, STORE->begin(crowd.sessions[1], &err));
	sqlite3_close(blocker);
	assert_ok(STORE->begin(crowd.sessions[1], &err));
	STORE->rollback(crowd.sessions[1]);
	crowd_close(&crowd);
}

/* ---- Subscriptions --------------------------------------------------------------------------- */

#define SUBSCRIPTIONS 200
#define EVENTS 20

struct counted {
	atomic_int events;
	tide_position last;
};

static tide_status count(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	struct counted *counted = self;
	(void)delivery;
	assert_true(event->position > counted->last);
	counted->last = event->position;
	atomic_fetch_add(&counted->events, 1);
	return TIDE_OK;
}

static void subscribe_all(struct tide_manager *manager, struct counted *counted)
{
	char name[32];
	for (int i = 0; i < SUBSCRIPTIONS; i++) {
		struct tide_subscription *subscription;
		snprintf(name, sizeof name, "counted-%d", i);
		must(tide_manager_subscribe(manager,
					    &(struct tide_subscriber){ .name = name,
								       .handle = count,
								       .self = &counted[i] },
					    NULL, &subscription, err));
	}
}

static void append_all(struct tide_store *store)
{
	for (int i = 0; i < EVENTS; i++) {
		struct tide_append_result result;
		struct tide_new_event event = { .event_type = "Counted",
						.payload = tide_text("{}") };
		must(tide_store_append(store,
				       &(struct tide_append){ .stream = { tide_uuid_v7(), "Thing" },
							      .expected = TIDE_ANY,
							      .events = &event,
							      .count = 1 },
				       &result, err));
	}
}

/* With a connection each they would need four hundred files. */
static void two_hundred_subscriptions_live_on_a_hundred_files(void **state)
{
	static struct counted counted[SUBSCRIPTIONS];
	const struct fixture *fixture = *state;
	char url[sizeof fixture->database + 8];
	struct rlimit before, few;
	struct tide_store *store;
	struct tide_manager *manager;
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);

	snprintf(url, sizeof url, "sqlite:%s", fixture->database);
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	append_all(store);
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	subscribe_all(manager, counted);
	must(tide_manager_start(manager, NULL, 60, NULL, NULL, err));
	append_all(store);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		wait_for(60, atomic_load(&counted[i].events) == 2 * EVENTS);
	must(tide_manager_stop(manager, NULL, 60, err));
	tide_manager_close(manager);
	tide_store_close(store);

	setrlimit(RLIMIT_NOFILE, &before);
	for (int i = 0; i < SUBSCRIPTIONS; i++)
		assert_int_equal(counted[i].events, 2 * EVENTS);
	assert_int_equal(fixture_number(fixture,
					"SELECT count(*) FROM projection_checkpoints WHERE "
					"global_position = (SELECT max(global_position) FROM "
					"events)"),
			 SUBSCRIPTIONS);
}

static bool has_connection(void *session)
{
	return ((const struct sqlite_session *)session)->connection.link != NULL;
}

static void orphan(void *self)
{
	fixture_sql(self, "UPDATE subscription_leases SET owner = "
			  "'01900000-0000-7000-8000-000000000000', released_at = NULL");
}

static void handlers_are_called_while_their_session_has_no_connection(void **state)
{
	struct fixture *fixture = *state;
	char url[sizeof fixture->database + 8];
	snprintf(url, sizeof url, "sqlite:%s", fixture->database);
	resting_see(&(struct resting){ url, has_connection, orphan, fixture });
}

#define LINKS_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINKS_TEST(who_works_one_after_the_other_needs_one_connection),
		LINKS_TEST(who_finds_none_waits_until_one_rests),
		LINKS_TEST(when_none_is_given_back_there_is_one_more_for_a_while),
		LINKS_TEST(one_that_cannot_be_opened_is_not_counted),
		LINKS_TEST(who_has_a_transaction_open_keeps_its_connection),
		LINKS_TEST(a_connection_that_a_handler_has_seen_stays_with_its_session),
		LINKS_TEST(who_had_a_connection_has_nothing_to_do_with_it_any_more),
		LINKS_TEST(a_connection_waits_for_who_has_it_now),
		LINKS_TEST(two_hundred_subscriptions_live_on_a_hundred_files),
		LINKS_TEST(handlers_are_called_while_their_session_has_no_connection),
	};
	return cmocka_run_group_tests_name("sqlite_links", tests, NULL, NULL);
}

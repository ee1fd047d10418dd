/* SPDX-License-Identifier: Apache-2.0 */
/* What only PostgreSQL has: schemas and roles, holes, leases by the server's clock, listeners, a
 * pooler in between. */
#include <pthread.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_tools.h"
#include "sys/alloc.h"

/* ---- Schema ---------------------------------------------------------------------------------- */

static void *initialise(void *schema)
{
	char url[100];
	snprintf(url, sizeof url, "postgresql:///?schema=%s&pool=1", (const char *)schema);
	void *store;
	struct tide_error why = { 0 };
	if (backend_open(url, true, &store, &why) != TIDE_OK)
		return strdup(why.message);
	STORE->close(store);
	return NULL;
}

static void eight_that_initialise_at_once_do_not_disturb_each_other(void **state)
{
	(void)state;
	pthread_t threads[8];
	char schema[] = "crowd";
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, initialise, schema);
	for (int i = 0; i < 8; i++) {
		void *message;
		pthread_join(threads[i], &message);
		if (message)
			fail_msg("%s", (char *)message);
	}
}

static void a_missing_table_or_column_is_named(void **state)
{
	(void)state;
	void *store;
	struct tide_error why = refused(
		TIDE_SCHEMA, backend_open("postgresql:///?schema=nowhere", false, &store, err));
	must_mention(&why, "'events'");
	must_mention(&why, "'nowhere'");
	STORE->close(backend_opened("postgresql:///?schema=partly"));
	postgres_sql("partly", "ALTER TABLE projection_checkpoints DROP COLUMN global_position");
	why = refused(TIDE_SCHEMA,
		      backend_open("postgresql:///?schema=partly", false, &store, err));
	must_mention(&why, "'global_position'");
	STORE->close(backend_opened("postgresql:///?schema=partly"));
	must(backend_open("postgresql:///?schema=partly", false, &store, err));
	STORE->close(store);
}

static void a_role_without_rights_is_told_so_and_may_use_what_is_complete(void **state)
{
	(void)state;
	void *store;
	STORE->close(backend_opened("postgresql:///?schema=owned"));
	postgres_sql("owned", "CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA owned TO guest; "
			      "GRANT SELECT, INSERT ON events TO guest; GRANT USAGE ON SEQUENCE "
			      "events_global_position_seq TO guest");
	struct tide_error why =
		refused(TIDE_SCHEMA,
			backend_open("postgresql:///?schema=fresh&user=guest", true, &store, err));
	must_mention(&why, "'guest' may not");
	must(backend_open("postgresql:///?schema=owned&user=guest", true, &store, err));
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").version, 1);
	void *session = session_opened(store);
	assert_int_equal(end_seen(session), 1);
	why = refused(TIDE_UNSUPPORTED, CHECKPOINT->reset(session, "anything", err));
	must_mention(&why, "permission denied");
	STORE->session_close(session);
	STORE->close(store);
}

/* It has the rights to subscribe, and none on what an audit or lanes ask for. */
static void a_role_that_may_only_subscribe_renews_and_saves_what_it_drops(void **state)
{
	(void)state;
	void *store;
	struct tide_uuid owner = tide_uuid_v4();
	struct tide_lease lease;
	struct tide_checkpoint row;
	STORE->close(backend_opened("postgresql:///?schema=dropping"));
	postgres_sql("dropping",
		     "CREATE ROLE dropper LOGIN; GRANT USAGE ON SCHEMA dropping TO dropper; "
		     "GRANT SELECT ON events TO dropper; GRANT SELECT, INSERT, UPDATE ON "
		     "projection_checkpoints, subscription_leases, dead_letter_queue TO dropper; "
		     "GRANT USAGE ON ALL SEQUENCES IN SCHEMA dropping TO dropper");
	must(backend_open("postgresql:///?schema=dropping&user=dropper", false, &store, err));
	void *session = session_opened(store);
	must(CHECKPOINT->lease_acquire(session, "orders", &owner, &lease, err));
	struct tide_fence fence = { .name = "orders", .owner = owner, .epoch = lease.epoch };
	struct tide_lease_renewal renewal = { .fence = fence };
	must(CHECKPOINT->lease_renew_all(session, &renewal, 1, err));
	assert_int_equal(renewal.result, TIDE_RENEWAL_MADE);
	for (int64_t i = 1; i <= 4; i++) {
		struct tide_checkpoint_write write = { .name = "orders",
						       .has_position = true,
						       .progress = { .position = i, .count = 0 },
						       .discarded = 1,
						       .now = tide_time_now() };
		if (i % 2)
			must(STORE->begin(session, err));
		must(CHECKPOINT->save(session, &fence, &write, err));
		if (i % 2)
			must(STORE->commit(session, err));
		must(CHECKPOINT->load(session, "orders", &row, err));
		assert_int_equal(row.position, i);
	}
	STORE->session_close(session);
	STORE->close(store);
}

static void a_sequence_with_a_cache_is_refused(void **state)
{
	(void)state;
	void *store;
	STORE->close(backend_opened("postgresql:///?schema=cached"));
	postgres_sql("cached", "ALTER SEQUENCE events_global_position_seq CACHE 20");
	struct tide_error why = refused(
		TIDE_SCHEMA, backend_open("postgresql:///?schema=cached", true, &store, err));
	must_mention(&why, "CACHE 20");
}

static void search_path_chooses_the_schema(void **state)
{
	(void)state;
	postgres_sql("public", "CREATE SCHEMA \"By path\"");
	void *store = backend_opened("postgresql:///?options=-csearch_path%3D%22By%5C%20path%22");
	appended(store, stream_of("Order", 1), "{}");
	STORE->close(store);
	PGconn *connection = sql_connect("");
	assert_int_equal(sql_number(connection, "SELECT count(*) FROM \"By path\".events"), 1);
	PQfinish(connection);
}

static void no_secret_is_in_a_message(void **state)
{
	(void)state;
	static const char *const urls[] = { "postgresql://me:hunter2@/?host=/nowhere",
					    "postgresql://me:hunter2@[bad/",
					    "postgresql:me:hunter2",
					    "postgres:///?password=hunter2&host=/nowhere",
					    "postgresql:///?pool=hunter2x0" };
	for (size_t i = 0; i < sizeof urls / sizeof *urls - 1; i++) {
		void *store;
		struct tide_error why = { 0 };
		assert_int_not_equal(backend_open(urls[i], false, &store, &why), TIDE_OK);
		assert_null(strstr(why.message, "hunter2"));
	}
}

/* ---- Holes ----------------------------------------------------------------------------------- */

static void a_hole_is_waited_for_as_long_as_its_append_runs(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=holes"),
	     *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	appended(store, stream_of("Order", 1), "{}");
	PGconn *writer = sql_connect("");
	sql_run(writer, "BEGIN");
	assert_int_equal(sql_number(writer, "SELECT nextval('holes.events_global_position_seq')"),
			 2);
	appended(store, stream_of("Order", 1), "{}");

	must(feed_read(session, &page, 0, 10, err));
	assert_int_equal(page.count, 1);
	must(feed_read(session, &page, 1, 10, err));
	assert_int_equal(page.count, 0);
	assert_int_equal(page.scanned_to, 1);
	assert_true(page.is_end);
	assert_true(page.wait_ns > 0);
	assert_int_equal(end_seen(session), 1);
	struct tide_filter all = { 0 };
	struct tide_page_query backward = { .filter = &all,
					    .backward = true,
					    .bound = INT64_MAX,
					    .max_events = 9,
					    .max_bytes = 1 << 20 };
	tide_page_begin(&page, 9, 1 << 20);
	must(STORE->read(session, &backward, &page, err));
	assert_int_equal(page.count, 1);

	sql_run(writer, "ROLLBACK");
	must(feed_read(session, &page, 1, 10, err));
	assert_int_equal(page.count, 1);
	assert_int_equal(page.entries[0].event.position, 3);
	assert_int_equal(end_seen(session), 3);
	PQfinish(writer);
	STORE->session_close(session);
	STORE->close(store);
	tide_page_fini(&page);
}

static void an_event_that_commits_late_comes_in_its_place(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=late"),
	     *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	PGconn *writer = sql_connect("options=-csearch_path=late"),
	       *other = sql_connect("options=-csearch_path=late");
	sql_run(writer,
		"BEGIN; INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, "
		"version, "
		"timestamp, payload) "
		"VALUES (gen_random_uuid(), gen_random_uuid(), 'Late', 'Came', 1, now(), '{}')");
	/* holds on, to a position further on */
	sql_run(other, "BEGIN; SELECT nextval('events_global_position_seq')");
	appended(store, stream_of("Order", 1), "{}");
	must(feed_read(session, &page, 0, 10, err));
	assert_int_equal(page.count, 0);
	sql_run(writer, "COMMIT");
	/* 1 is there; 2 is held by the other one; 3 waits */
	must(feed_read(session, &page, 0, 10, err));
	assert_int_equal(page.count, 1);
	assert_string_equal(page.entries[0].event.event_type.data, "Came");
	sql_run(other, "ROLLBACK");
	must(feed_read(session, &page, 1, 10, err));
	assert_int_equal(page.count, 1);
	assert_int_equal(page.entries[0].event.position, 3);
	PQfinish(writer);
	PQfinish(other);
	STORE->session_close(session);
	STORE->close(store);
	tide_page_fini(&page);
}

static void a_prepared_transaction_is_waited_for(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=twophase"),
	     *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	PGconn *writer = sql_connect("options=-csearch_path=twophase");
	sql_run(writer, "BEGIN; INSERT INTO events (event_id, aggregate_id, aggregate_type, "
			"event_type, version, "
			"timestamp, payload) "
			"VALUES (gen_random_uuid(), gen_random_uuid(), 'Late', 'Came', 1, now(), "
			"'{}'); PREPARE "
			"TRANSACTION 'late'");
	appended(store, stream_of("Order", 1), "{}");
	must(feed_read(session, &page, 0, 10, err));
	assert_int_equal(page.count, 0);
	sql_run(writer, "COMMIT PREPARED 'late'");
	must(feed_read(session, &page, 0, 10, err));
	assert_int_equal(page.count, 2);
	PQfinish(writer);
	STORE->session_close(session);
	STORE->close(store);
	tide_page_fini(&page);
}

/* What a replica shows of the feed behind a position. */
static size_t replica_shows(void *session, struct tide_page *page, tide_position after)
{
	must(feed_read(session, page, after, 10, err));
	return page->count;
}

static void a_replica_is_read_in_order_and_not_written(void **state)
{
	(void)state;
	void *primary = backend_opened("postgresql:///?schema=copied"), *replica, *watch;
	struct tide_page page;
	tide_page_init(&page);
	appended(primary, stream_of("Order", 1), "{}");
	postgres_replica_start();
	must(backend_open("postgresql:///?schema=copied&port=5433", false, &replica, err));
	void *session = session_opened(replica);
	wait_for(20, end_seen(session) == 1);

	PGconn *writer = sql_connect("options=-csearch_path=copied");
	sql_run(writer,
		"BEGIN; INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, "
		"version, "
		"timestamp, payload) "
		"VALUES (gen_random_uuid(), gen_random_uuid(), 'Late', 'Came', 1, now(), '{}')");
	appended(primary, stream_of("Order", 1), "{}");
	PGconn *looker = sql_connect("port=5433");
	wait_for(20, sql_number(looker, "SELECT max(global_position) FROM copied.events") == 3);
	assert_int_equal(replica_shows(session, &page, 1), 0);
	assert_int_equal(end_seen(session), 1);
	sql_run(writer, "COMMIT");
	wait_for(20, replica_shows(session, &page, 1) == 2);
	assert_string_equal(page.entries[0].event.event_type.data, "Came");

	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_append_result result;
	refused(TIDE_BUSY, append_event(replica, &event, TIDE_ANY, &result, err));
	bool rang = false;
	must(NOTIFY->start(replica, &watch, err));
	must(NOTIFY->wait(watch, 0, &rang, err));
	must(NOTIFY->wait(watch, 0, &rang, err));
	appended(primary, stream_of("Order", 1), "{}");
	must(NOTIFY->wait(watch, 20000000000, &rang, err));
	assert_true(rang);
	NOTIFY->stop(watch);
	PQfinish(writer);
	PQfinish(looker);
	STORE->session_close(session);
	STORE->close(replica);
	STORE->close(primary);
	tide_page_fini(&page);
	postgres_replica_stop();
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void great_payloads_come_one_by_one_and_pages_keep_their_limit(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=great"),
	     *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	size_t size = 1500000;
	char *payload = malloc(size + 3);
	assert_non_null(payload);
	for (size_t i = 0; i < size; i++)
		payload[i + 1] = (char)('a' + (i * 2654435761u >> 7) % 26);
	payload[0] = payload[size + 1] = '"';
	payload[size + 2] = '\0';
	for (int i = 0; i < 7; i++)
		appended(store, stream_of("Order", 1), i % 2 ? "{}" : payload);
	tide_position at = 0;
	size_t seen = 0, pages = 0;
	do {
		must(feed_read(session, &page, at, 100, err));
		assert_true(page.bytes <= 1 << 22);
		for (size_t i = 0; i < page.count; i++, seen++)
			assert_int_equal(page.entries[i].event.payload.size,
					 seen % 2 ? 2 : size + 2);
		at = page.scanned_to;
		pages++;
	} while (!page.is_end);
	assert_int_equal(seen, 7);
	assert_true(pages >= 2);
	free(payload);
	STORE->session_close(session);
	STORE->close(store);
	tide_page_fini(&page);
}

static void rows_of_another_library_and_jsonb_columns_are_read(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=foreign_rows"),
	     *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	postgres_sql("foreign_rows", "ALTER TABLE events ALTER payload TYPE jsonb; INSERT INTO "
				     "events (event_id, aggregate_id, "
				     "aggregate_type, "
				     "event_type, version, timestamp, payload) VALUES "
				     "('00000000-0000-4000-8000-000000000001', "
				     "gen_random_uuid(), "
				     "'Order', 'Placed', 1, '2024-01-01', '{\"event_id\": "
				     "\"00000000-0000-4000-8000-000000000001\", "
				     "\"event_version\": 3, \"amount\": 5}'), (gen_random_uuid(), "
				     "gen_random_uuid(), 'Order', 'Broken', 1, "
				     "'infinity', '{}')");
	struct tide_append_result result = appended(store, stream_of("Order", 1), "{\"a\": 1}");
	assert_int_equal(result.version, 1);
	must(feed_read(session, &page, 0, 100, err));
	assert_int_equal(page.count, 3);
	assert_int_equal(page.entries[0].event.event_version, 3);
	assert_non_null(strstr(page.entries[0].event.payload.data, "amount"));
	assert_null(strstr(page.entries[0].event.payload.data, "event_version"));
	assert_non_null(page.entries[1].event.undecodable);
	assert_string_equal(page.entries[2].event.payload.data, "{\"a\": 1}");
	STORE->session_close(session);
	STORE->close(store);
	tide_page_fini(&page);
}

/* ---- Appends --------------------------------------------------------------------------------- */

/** Appenders racing for one stream. */
struct racer {
	pthread_t thread;
	void *store;
	int won, lost;
};

static void *racer_run(void *self)
{
	struct racer *racer = self;
	struct tide_stream stream = stream_of("Race", 1);
	for (int64_t version = 0; version < 60;) {
		struct tide_event event = event_made(stream, "{}");
		struct tide_append_result result;
		struct tide_error why;
		tide_status status = append_event(racer->store, &event, version, &result, &why);
		if (status != TIDE_OK && status != TIDE_CONFLICT)
			fail_msg("%s", why.message);
		racer->won += status == TIDE_OK;
		racer->lost += status == TIDE_CONFLICT;
		version = result.version;
	}
	return NULL;
}

static void each_version_has_one_winner_with_more_racers_than_connections(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=race&pool=3"),
	     *session = session_opened(store);
	struct racer racers[10] = { 0 };
	int won = 0;
	for (int i = 0; i < 10; i++) {
		racers[i].store = store;
		pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]);
	}
	for (int i = 0; i < 10; i++) {
		pthread_join(racers[i].thread, NULL);
		won += racers[i].won;
	}
	tide_version version;
	must(STORE->stream_version(session, stream_of("Race", 1), &version, err));
	assert_int_equal(version, won);
	PGconn *connection = sql_connect("");
	int64_t peak = sql_number(
		connection,
		"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH streams%'");
	assert_true(peak <= 3);
	PQfinish(connection);
	STORE->session_close(session);
	STORE->close(store);
}

static void an_idle_connection_that_was_ended_costs_nobody_an_append(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=ended");
	for (int i = 0; i < 5; i++) {
		struct tide_append_result result = appended(store, stream_of("Order", 1), "{}");
		assert_int_equal(result.version, i + 1);
		assert_false(result.was_stored_before);
		assert_true(postgres_terminate_all() > 0);
	}
	STORE->close(store);
}

/* ---- Leases ---------------------------------------------------------------------------------- */

static void a_lease_runs_out_by_the_servers_clock_and_fences_its_former_owner(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=leases"), *a = session_opened(store),
	     *b = session_opened(store);
	struct tide_uuid first = tide_uuid_v4(), second = tide_uuid_v4();
	struct tide_lease lease;
	must(CHECKPOINT->lease_acquire(a, "orders", &first, &lease, err));
	assert_true(lease.is_owned && lease.epoch == 1 && !lease.was_unclean);
	struct tide_fence fence = { "orders", first, lease.epoch };
	must(CHECKPOINT->lease_mark(a, &fence, 42, 1, err));
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_false(lease.is_owned);

	postgres_sql("leases",
		     "UPDATE subscription_leases SET expires_at = now() - interval '1 s'");
	bool is_owned;
	must(CHECKPOINT->lease_is_owned(b, "orders", &is_owned, err));
	assert_false(is_owned);
	must(CHECKPOINT->lease_renew(a, &fence, err)); /* nobody took it meanwhile */
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_false(lease.is_owned);

	postgres_sql("leases",
		     "UPDATE subscription_leases SET expires_at = now() - interval '1 s'");
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_true(lease.is_owned && lease.was_unclean && lease.epoch == 2);
	assert_int_equal(lease.suspect, 42);
	assert_int_equal(lease.suspect_deaths, 2);
	refused(TIDE_FENCED, CHECKPOINT->lease_renew(a, &fence, err));
	struct tide_checkpoint_write write = { .name = "orders",
					       .has_position = true,
					       .progress = { .position = 7 } };
	refused(TIDE_FENCED, CHECKPOINT->save(a, &fence, &write, err));
	struct tide_fence good = { "orders", second, lease.epoch };
	must(CHECKPOINT->save(b, &good, &write, err));
	must(CHECKPOINT->lease_release(b, &good, err));
	must(CHECKPOINT->lease_acquire(a, "orders", &first, &lease, err));
	assert_true(lease.is_owned && !lease.was_unclean && lease.suspect == 0 && lease.epoch == 3);
	STORE->session_close(a);
	STORE->session_close(b);
	STORE->close(store);
}

static void no_new_owner_comes_while_a_fenced_write_is_open_but_renewing_goes_on(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=open_write"),
	     *a = session_opened(store), *b = session_opened(store);
	struct tide_uuid first = tide_uuid_v4(), second = tide_uuid_v4();
	struct tide_lease lease;
	must(CHECKPOINT->lease_acquire(a, "orders", &first, &lease, err));
	struct tide_fence fence = { "orders", first, lease.epoch };
	struct tide_checkpoint_write write = { .name = "orders",
					       .has_position = true,
					       .progress = { .position = 7 } };
	must(STORE->begin(a, err));
	must(CHECKPOINT->save(a, &fence, &write, err));
	must(CHECKPOINT->lease_renew(b, &fence, err));
	postgres_sql("open_write", "SET lock_timeout = '1s'; UPDATE subscription_leases SET "
				   "expires_at = now() - interval '1 s'");
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_false(lease.is_owned);
	must(STORE->commit(a, err));
	must(CHECKPOINT->lease_acquire(b, "orders", &second, &lease, err));
	assert_true(lease.is_owned);
	must(STORE->begin(a, err));
	refused(TIDE_FENCED, CHECKPOINT->save(a, &fence, &write, err));
	STORE->rollback(a);
	STORE->session_close(a);
	STORE->session_close(b);
	STORE->close(store);
}

/* ---- Handlers -------------------------------------------------------------------------------- */

static void handler_runs(void *session, const char *text)
{
	PQclear(PQexec(STORE->connection(session), text));
}

static void what_a_handler_did_to_its_transaction_is_found_out(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=handlers"),
	     *session = session_opened(store);
	must(STORE->begin(session, err));
	must(STORE->savepoint(session, err));
	handler_runs(session, "SELECT 1/0");
	struct tide_error why = refused(TIDE_IO, STORE->check(session, err));
	must_mention(&why, "22012");
	must(STORE->rollback_to(session, err));
	must(STORE->check(session, err));
	must(STORE->savepoint(session, err));
	handler_runs(session, "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$");
	refused(TIDE_BUSY, STORE->check(session, err));
	must(STORE->rollback_to(session, err));
	must(STORE->savepoint(session, err));
	handler_runs(session, "COMMIT");
	why = refused(TIDE_STATE, STORE->check(session, err));
	assert_string_equal(why.message, "handler ended the delivery transaction");
	STORE->rollback(session);
	must(STORE->begin(session, err));
	must(STORE->savepoint(session, err));
	handler_runs(session, "COMMIT; BEGIN");
	refused(TIDE_STATE, STORE->check(session, err));
	STORE->rollback(session);
	must(STORE->begin(session, err));
	must(STORE->commit(session, err));
	STORE->session_close(session);
	STORE->close(store);
}

/* What the server said last is there to be read when the write fails: libpq then calls the
 * connection good. */
static void a_server_that_crashes_in_a_transaction_is_a_lost_connection(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=crash"), *session;
	must(STORE->session_open(store, &session, err));
	must(STORE->begin(session, err));
	must(STORE->savepoint(session, err)); /* begun with the transaction */
	must(STORE->release(session, err));
	postgres_halt(SIGQUIT);
	refused(TIDE_CONNECTION_LOST, STORE->savepoint(session, err));
	refused(TIDE_CONNECTION_LOST, STORE->check(session, err));
	STORE->rollback(session);
	postgres_resume();
	STORE->session_close(session);
	must(STORE->session_open(store, &session, err));
	must(STORE->begin(session, err));
	must(STORE->savepoint(session, err));
	STORE->rollback(session);
	STORE->session_close(session);
	STORE->close(store);
}

/* ---- Listening, and a pooler in between ------------------------------------------------------ */

static void a_listener_hears_of_commits_and_comes_back_after_it_was_killed(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=bells"), *watch;
	bool rang = false;
	must(NOTIFY->start(store, &watch, err));
	must(NOTIFY->wait(watch, 0, &rang, err));
	assert_true(rang); /* for what was missed before */
	must(NOTIFY->wait(watch, 20000000, &rang, err));
	assert_false(rang);
	appended(store, stream_of("Order", 1), "{}");
	must(NOTIFY->wait(watch, 5000000000, &rang, err));
	assert_true(rang);
	NOTIFY->interrupt(watch);
	double before = seconds_now();
	must(NOTIFY->wait(watch, 60000000000, &rang, err));
	assert_true(seconds_now() - before < 10);
	postgres_terminate_all();
	refused(TIDE_CONNECTION_LOST, NOTIFY->wait(watch, 5000000000, &rang, err));
	must(NOTIFY->wait(watch, 0, &rang, err));
	assert_true(rang);
	appended(store, stream_of("Order", 1), "{}");
	must(NOTIFY->wait(watch, 5000000000, &rang, err));
	assert_true(rang);
	NOTIFY->stop(watch);
	STORE->close(store);
}

static void everything_works_behind_a_pooler_in_transaction_mode(void **state)
{
	(void)state;
	char directory[256];
	if (!pgbouncer_start(directory))
		skip();
	void *store = backend_opened("postgresql:///?schema=pooled&port=6432"),
	     *session = session_opened(store);
	void *other = session_opened(store), *watch;
	struct tide_page page;
	tide_page_init(&page);
	for (int i = 0; i < 40; i++)
		appended(store, stream_of("Order", (unsigned)i % 3), "{}");
	/* the pooler gives each statement whatever connection is free */
	for (int i = 0; i < 20; i++) {
		must(feed_read(session, &page, 2 * i, 2, err));
		assert_int_equal(page.count, 2);
		assert_int_equal(page.entries[0].event.position, 2 * i + 1);
		must(STORE->begin(other, err));
		must(STORE->savepoint(other, err));
		struct tide_checkpoint_write write = { .name = "orders",
						       .has_position = true,
						       .progress = { .position = 2 * i } };
		must(CHECKPOINT->save(other, NULL, &write, err));
		must(STORE->release(other, err));
		must(STORE->commit(other, err));
	}
	struct tide_lease lease;
	struct tide_uuid me = tide_uuid_v4(), you = tide_uuid_v4();
	must(CHECKPOINT->lease_acquire(session, "orders", &me, &lease, err));
	assert_true(lease.is_owned);
	must(CHECKPOINT->lease_acquire(other, "orders", &you, &lease, err));
	assert_false(lease.is_owned);

	bool rang = false;
	must(NOTIFY->start(store, &watch, err));
	double until = seconds_now() + 3; /* in which the probe is given up */
	while (seconds_now() < until)
		must(NOTIFY->wait(watch, 100000000, &rang, err));
	must(NOTIFY->wait(watch, 100000000, &rang, err));
	assert_false(rang);
	appended(store, stream_of("Order", 9), "{}");
	must(NOTIFY->wait(watch, 2000000000, &rang, err));
	assert_true(rang);
	NOTIFY->stop(watch);
	STORE->session_close(session);
	STORE->session_close(other);
	STORE->close(store);
	tide_page_fini(&page);
	pgbouncer_stop();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Open, append, read, save, close; the first error. */
static tide_status a_little_of_everything(void)
{
	void *store, *session;
	struct tide_append_result result;
	struct tide_page page;
	struct tide_event event = event_made(stream_of("Order", 1), "{\"a\": 1}");
	struct tide_checkpoint_write write = { .name = "orders",
					       .has_position = true,
					       .progress = { .position = 1 } };
	struct tide_checkpoint *list = NULL;
	size_t count;
	tide_status status = backend_open("postgresql:///?schema=memory", true, &store, NULL);
	if (status != TIDE_OK)
		return status;
	status = append_event(store, &event, TIDE_ANY, &result, NULL);
	if (status == TIDE_OK)
		/* looks the known id up */
		status = append_event(store, &event, TIDE_ANY, &result, NULL);
	tide_page_init(&page);
	if (status == TIDE_OK && (status = STORE->session_open(store, &session, NULL)) == TIDE_OK) {
		status = feed_read(session, &page, 0, 10, NULL);
		if (status == TIDE_OK)
			status = CHECKPOINT->save(session, NULL, &write, NULL);
		if (status == TIDE_OK)
			status = CHECKPOINT->list(session, &list, &count, NULL);
		STORE->session_close(session);
	}
	tide_free(list);
	tide_page_fini(&page);
	STORE->close(store);
	return status;
}

static void running_out_of_memory_anywhere_is_reported_and_leaks_nothing(void **state)
{
	(void)state;
	assert_int_equal(a_little_of_everything(), TIDE_OK);
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status != TIDE_OK; nth++) {
		alloc_fail_from(nth);
		status = a_little_of_everything();
		alloc_fail_from(0);
		if (status != TIDE_OK)
			assert_int_equal(status, TIDE_OUT_OF_MEMORY);
		assert_true(nth < 1000);
	}
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_that_initialise_at_once_do_not_disturb_each_other),
		cmocka_unit_test(a_missing_table_or_column_is_named),
		cmocka_unit_test(a_role_without_rights_is_told_so_and_may_use_what_is_complete),
		cmocka_unit_test(a_role_that_may_only_subscribe_renews_and_saves_what_it_drops),
		cmocka_unit_test(a_sequence_with_a_cache_is_refused),
		cmocka_unit_test(search_path_chooses_the_schema),
		cmocka_unit_test(no_secret_is_in_a_message),
		cmocka_unit_test(a_hole_is_waited_for_as_long_as_its_append_runs),
		cmocka_unit_test(an_event_that_commits_late_comes_in_its_place),
		cmocka_unit_test(a_prepared_transaction_is_waited_for),
		cmocka_unit_test(a_replica_is_read_in_order_and_not_written),
		cmocka_unit_test(great_payloads_come_one_by_one_and_pages_keep_their_limit),
		cmocka_unit_test(rows_of_another_library_and_jsonb_columns_are_read),
		cmocka_unit_test(each_version_has_one_winner_with_more_racers_than_connections),
		cmocka_unit_test(an_idle_connection_that_was_ended_costs_nobody_an_append),
		cmocka_unit_test(a_lease_runs_out_by_the_servers_clock_and_fences_its_former_owner),
		cmocka_unit_test(
			no_new_owner_comes_while_a_fenced_write_is_open_but_renewing_goes_on),
		cmocka_unit_test(what_a_handler_did_to_its_transaction_is_found_out),
		cmocka_unit_test(a_server_that_crashes_in_a_transaction_is_a_lost_connection),
		cmocka_unit_test(a_listener_hears_of_commits_and_comes_back_after_it_was_killed),
		cmocka_unit_test(everything_works_behind_a_pooler_in_transaction_mode),
		cmocka_unit_test(running_out_of_memory_anywhere_is_reported_and_leaks_nothing),
	};
	int failed = cmocka_run_group_tests_name("postgres_store", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that lose what they had acknowledged: a standby promoted without the last transactions,
 * tables emptied in place. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/temp.h"
#include "lib/wait.h"
#include "postgres_tools.h"
#include "sys/thread.h"

static int64_t number_of(const char *sql)
{
	PGconn *connection = PQconnectdb("");
	PGresult *result = PQexec(connection, sql);
	int64_t number = PQresultStatus(result) == PGRES_TUPLES_OK
				 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10)
				 : -1;
	PQclear(result);
	PQfinish(connection);
	return number;
}

/** A projection: its read model is in the store's database, or its checkpoint alone is
 * elsewhere. */
struct model {
	struct tide_checkpoints *checkpoints;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
};

static const char *model_schema = "lost";
/* in the handler of the 20th event, its row written */
static atomic_bool model_waits, model_is_inside;

static tide_status model_insert(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)self;
	char sql[100];
	snprintf(sql, sizeof sql, "INSERT INTO %s.read_model VALUES (%lld)", model_schema,
		 (long long)event->position);
	PGresult *result = PQexec(tide_delivery_connection(delivery), sql);
	bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	while (event->position == 20 && atomic_load(&model_waits)) {
		atomic_store(&model_is_inside, true);
		wait_a_moment();
	}
	return is_done ? TIDE_OK : TIDE_HANDLER_TRANSIENT;
}

static tide_status model_hear(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)self, (void)event, (void)delivery;
	return TIDE_OK;
}

static struct model model_run(struct tide_store *store, const char *into, bool is_transactional)
{
	struct model model;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.max_retries = 1000;
	config.initial_retry_delay = 0.01;
	config.max_retry_delay = 0.2;
	config.poll_interval_seconds = 0.2;
	config.circuit_breaker_enabled = false;
	struct tide_subscriber subscriber = { .name = is_transactional ? "same" : "other",
					      .handle =
						      is_transactional ? model_insert : model_hear,
					      .transactional = is_transactional };
	must(tide_checkpoints_open(into, TIDE_STORE_OPTIONS(.initialize = true), store,
				   &model.checkpoints, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store, .checkpoints = model.checkpoints),
			       &model.manager, err));
	must(tide_manager_subscribe(model.manager, &subscriber, &config, &model.subscription, err));
	/* one that has diverged says so */
	(void)tide_manager_start(model.manager, NULL, 30, NULL, NULL, NULL);
	return model;
}

static void model_close(struct model *model)
{
	must(tide_manager_stop(model->manager, NULL, 10, NULL));
	tide_manager_close(model->manager);
	tide_checkpoints_close(model->checkpoints);
}

static tide_position stored(const struct model *model, const char *name)
{
	tide_position position = 0;
	(void)tide_checkpoints_position(model->checkpoints, name, &position, NULL);
	return position;
}

static struct tide_error error_of(const struct model *model)
{
	struct tide_subscription_status status;
	must(tide_subscription_status(model->subscription, &status, err));
	return status.error;
}

static bool has_diverged(const struct model *model)
{
	struct tide_subscription_status status;
	must(tide_subscription_status(model->subscription, &status, err));
	return status.state == TIDE_STATE_ERROR && status.error.status == TIDE_DIVERGED;
}

static void a_standby_without_the_last_transactions_is_found_out(void **state)
{
	(void)state;
	char directory[TEMP_PATH_SIZE], into[TEMP_PATH_SIZE + 40];
	struct tide_store *store;
	temp_make(directory);
	snprintf(into, sizeof into, "sqlite:%s/other.db", directory);
	must(tide_store_open("postgresql:///?schema=lost", TIDE_STORE_OPTIONS(.initialize = true),
			     &store, err));
	postgres_sql("lost", "CREATE TABLE read_model (position BIGINT PRIMARY KEY)");
	append_many(store, stream_of("Order", 1), 0, 10);
	struct model same = model_run(store, NULL, true), other = model_run(store, into, false);
	wait_for(30, stored(&same, "same") == 10 && stored(&other, "other") == 10);
	postgres_replica_start();
	postgres_replica_stop();
	append_many(store, stream_of("Order", 1), 10, 5);
	wait_for(30, stored(&same, "same") == 15 && stored(&other, "other") == 15);

	postgres_fail_over();
	wait_for(60, has_diverged(&other));
	struct tide_error why = error_of(&other);
	must_mention(&why, "was at 15, nothing is there now, the feed ends at 10");
	append_many(store, stream_of("Order", 2), 0, 8);
	int64_t end = number_of("SELECT max(global_position) FROM lost.events");
	wait_for(60, stored(&same, "same") == end);
	assert_int_equal(number_of("SELECT count(*) FROM lost.read_model"), 18);
	assert_int_equal(number_of("SELECT count(*) FROM lost.events WHERE global_position NOT IN "
				   "(SELECT position FROM "
				   "lost.read_model)"),
			 0);
	must(tide_checkpoints_rewind(other.checkpoints, "other", 10, NULL, err));
	must(tide_manager_restart(other.manager, "other", err));
	wait_for(30, stored(&other, "other") == end);
	model_close(&same);
	model_close(&other);
	tide_store_close(store);
	temp_remove(directory);
}

/* No connection is lost: the pooler has its clients wait until the other server is there. Who reads
 * on finds that what it has read is gone, and so does who knows it of another. */
static void a_standby_behind_a_pooler_that_pauses_is_found_out(void **state)
{
	(void)state;
	char bouncer[256], url[320];
	struct tide_page page;
	if (!pgbouncer_start(bouncer))
		skip();
	snprintf(url, sizeof url, "postgresql:///?schema=pooled&host=%s&port=6432", bouncer);
	void *store = backend_opened(url), *reads = session_opened(store),
	     *hears = session_opened(store);
	for (unsigned i = 0; i < 10; i++)
		appended(store, stream_of("Order", i), "{}");
	postgres_replica_start();
	postgres_replica_stop();
	for (unsigned i = 0; i < 5; i++)
		appended(store, stream_of("Order", i), "{}");
	tide_page_init(&page);
	must(feed_read(reads, &page, 0, 100, err));
	assert_int_equal(page.count, 15);
	must(feed_read(hears, &page, 0, 5, err));

	uint64_t losses = STORE->losses(store);
	pgbouncer_tell("PAUSE");
	postgres_fail_over();
	pgbouncer_tell("RESUME");
	for (unsigned i = 0; i < 20; i++)
		appended(store, stream_of("Order", i), "{}");
	struct tide_error why;
	if (STORE->losses(store) == losses) { /* else the pooler cut one, and everybody looks */
		why = refused(TIDE_CONNECTION_LOST, feed_read(hears, &page, 15, 5, err));
		must_mention(&why, "at 15");
	}
	assert_true(STORE->losses(store) > losses);
	why = refused(TIDE_CONNECTION_LOST, feed_read(reads, &page, 15, 100, err));
	must_mention(&why, "at 15");
	must(feed_read(reads, &page, 10, 100, err));
	assert_int_equal(page.count, 20);
	tide_page_fini(&page);
	STORE->session_close(reads);
	STORE->session_close(hears);
	STORE->close(store);
	pgbouncer_stop();
}

/* A server takes back events, as one that has taken over from another. One session finds out; what
 * was settled before holds for none of them. */
static void nothing_is_settled_once_any_session_has_seen_that_events_are_gone(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=taken_back");
	void *front = session_opened(store), *behind = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	for (int i = 0; i < 10; i++)
		appended(store, stream_of("Order", (unsigned)i), "{}");
	must(feed_read(front, &page, 0, 100, err));
	assert_int_equal(page.scanned_to, 10);
	assert_int_equal(end_seen(behind), 10);
	must(feed_read(behind, &page, 0, 5, err));
	assert_int_equal(page.scanned_to, 5);

	postgres_sql("taken_back",
		     "DELETE FROM events WHERE global_position > 7; DELETE "
		     "FROM tidemark_feed; SELECT setval('events_global_position_seq', 7)");
	PGconn *writer = sql_connect("");
	sql_run(writer, "BEGIN");
	assert_int_equal(
		sql_number(writer, "SELECT nextval('taken_back.events_global_position_seq')"), 8);
	for (int i = 0; i < 4; i++)
		appended(store, stream_of("Invoice", (unsigned)i), "{}");
	refused(TIDE_CONNECTION_LOST, feed_read(front, &page, 10, 100, err));

	must(feed_read(behind, &page, 5, 100, err));
	assert_int_equal(page.scanned_to, 7);
	must(feed_read(behind, &page, 7, 100, err));
	assert_int_equal(page.count, 0);
	assert_true(page.wait_ns > 0);
	sql_run(writer, "ROLLBACK");
	must(feed_read(behind, &page, 7, 100, err));
	assert_int_equal(page.scanned_to, 12);
	PQfinish(writer);
	tide_page_fini(&page);
	STORE->session_close(front);
	STORE->session_close(behind);
	STORE->close(store);
}

static tide_status leap_read(void *session, struct tide_page *page, tide_position after,
			     size_t max_events, struct tide_error *err)
{
	const char *const types[] = { "Happened", NULL };
	const struct tide_filter filter = { .event_types = types };
	const struct tide_page_query query = { .filter = &filter,
					       .bound = after,
					       .max_events = max_events,
					       .max_bytes = 1 << 22,
					       .max_scan = 10000,
					       .is_sparse = true };
	tide_page_begin(page, query.max_events, query.max_bytes);
	return STORE->read(session, &query, page, err);
}

/* Others are where the ones that were read stood, and all of them are settled. */
static void who_leaps_finds_that_what_it_has_read_last_is_gone(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=leapt");
	void *first = session_opened(store), *second = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	for (int i = 0; i < 10; i++)
		appended(store, stream_of("Order", (unsigned)i), "{}");
	must(leap_read(first, &page, 0, 5, err));
	assert_int_equal(page.count, 5);
	assert_int_equal(page.scanned_to, 5);
	must(leap_read(first, &page, 5, 2, err));
	assert_int_equal(page.scanned_to, 7);

	postgres_sql("leapt", "DELETE FROM events WHERE global_position > 3; SELECT "
			      "setval('events_global_position_seq', 3)");
	for (int i = 0; i < 12; i++)
		appended(store, stream_of("Invoice", (unsigned)i), "{}");
	refused(TIDE_CONNECTION_LOST, leap_read(first, &page, 7, 5, err));
	must(leap_read(second, &page, 3, 100, err));
	assert_int_equal(page.count, 12);
	assert_int_equal(page.scanned_to, 15);
	tide_page_fini(&page);
	STORE->session_close(first);
	STORE->session_close(second);
	STORE->close(store);
}

#define ICU "'\"en-x-icu\"'::regcollation"

/* As an upgrade of the system leaves it until REINDEX: HZ is before Happened there, as bytes have
 * it, and behind it in the order that the server searches by. */
static void who_leaps_goes_by_no_index_in_an_older_order(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=reordered");
	void *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	for (int i = 0; i < 20; i++)
		appended(store, stream_of("Order", (unsigned)i), "{}");
	postgres_sql("reordered",
		     "UPDATE events SET event_type = 'HZ' WHERE global_position <= 15");
	must(leap_read(session, &page, 0, 100, err));
	assert_int_equal(page.count, 5);
	assert_int_equal(page.leapt, 15);
	STORE->session_close(session);
	STORE->close(store);

	postgres_sql("reordered",
		     "UPDATE pg_attribute SET attcollation = " ICU " WHERE attrelid = "
		     "'events'::regclass AND attname = 'event_type'; "
		     "UPDATE pg_index SET indcollation = (" ICU "::oid::text || ' 0')::oidvector "
		     "WHERE indexrelid = 'idx_events_event_type'::regclass; "
		     "UPDATE pg_collation SET collversion = 'older' WHERE oid = " ICU);
	store = backend_opened("postgresql:///?schema=reordered&options=-cenable_seqscan%3Doff");
	session = session_opened(store);
	must(leap_read(session, &page, 0, 100, err));
	assert_int_equal(page.count, 5);
	assert_int_equal(page.leapt, 0);
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
	postgres_sql("reordered", "UPDATE pg_collation SET collversion = "
				  "pg_collation_actual_version(oid) WHERE oid = " ICU);
}

static void a_table_emptied_with_its_numbering_is_found_out(void **state)
{
	(void)state;
	struct tide_store *store;
	must(tide_store_open("postgresql:///?schema=emptied",
			     TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	append_many(store, stream_of("Order", 1), 0, 10);
	struct model model = model_run(store, NULL, false);
	wait_for(30, stored(&model, "other") == 10);
	model_close(&model);
	postgres_sql("emptied", "TRUNCATE events RESTART IDENTITY");
	tide_store_close(store);
	must(tide_store_open("postgresql:///?schema=emptied", NULL, &store, err));
	append_many(store, stream_of("Order", 2), 0, 12);
	model = model_run(store, NULL, false);
	wait_for(30, has_diverged(&model));
	refused(TIDE_DIVERGED, tide_checkpoints_verify(model.checkpoints, "other", err));
	assert_int_equal(stored(&model, "other"), 10);
	model_close(&model);
	tide_store_close(store);
}

static tide_status empty_model(void *self, void *connection, struct tide_error *err)
{
	(void)self;
	PGresult *result = PQexec(connection, "TRUNCATE forced.read_model");
	bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return is_done ? TIDE_OK : tide_fail(err, TIDE_IO, "%s", PQerrorMessage(connection));
}

static void reset_model(void *self)
{
	const struct model *model = self;
	must(tide_checkpoints_reset_with(model->checkpoints, "same", empty_model, NULL, err));
}

static void a_reset_beside_an_open_delivery_keeps_nothing_and_loses_nothing(void **state)
{
	(void)state;
	struct tide_store *store;
	struct thread thread;
	must(tide_store_open("postgresql:///?schema=forced", TIDE_STORE_OPTIONS(.initialize = true),
			     &store, err));
	postgres_sql("forced", "CREATE TABLE read_model (position BIGINT PRIMARY KEY)");
	model_schema = "forced";
	append_many(store, stream_of("Order", 1), 0, 19);
	struct model model = model_run(store, NULL, true);
	wait_for(30, stored(&model, "same") == 19);
	atomic_store(&model_waits, true);
	append_many(store, stream_of("Order", 1), 19, 5);
	wait_for(30, atomic_load(&model_is_inside));
	must(thread_start(&thread, "resets", reset_model, &model, err));
	wait_for(30, number_of("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0);
	atomic_store(&model_waits, false);
	thread_join(&thread);
	wait_for(60, stored(&model, "same") == 24);
	assert_int_equal(number_of("SELECT count(*) FROM forced.read_model"), 24);
	assert_int_equal(number_of("SELECT events_processed FROM forced.projection_checkpoints"),
			 24);
	model_close(&model);
	tide_store_close(store);
	model_schema = "lost";
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_beside_an_open_delivery_keeps_nothing_and_loses_nothing),
		cmocka_unit_test(nothing_is_settled_once_any_session_has_seen_that_events_are_gone),
		cmocka_unit_test(who_leaps_finds_that_what_it_has_read_last_is_gone),
		cmocka_unit_test(who_leaps_goes_by_no_index_in_an_older_order),
		cmocka_unit_test(a_table_emptied_with_its_numbering_is_found_out),
		cmocka_unit_test(a_standby_without_the_last_transactions_is_found_out),
		cmocka_unit_test(a_standby_behind_a_pooler_that_pauses_is_found_out),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	return failed;
}

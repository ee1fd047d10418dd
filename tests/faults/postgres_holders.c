/* SPDX-License-Identifier: Apache-2.0 */
/* Appends that stay open and hold events back: who they are, for status, health and doctor, and who
 * waits for them. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "postgres_tools.h"

#define INSERT_LATE                                                                                \
	"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "        \
	"timestamp, payload) "                                                                     \
	"VALUES (gen_random_uuid(), gen_random_uuid(), 'Late', 'Came', 1, now(), "                 \
	"'{\"secret\":1}')"

/* What the backend says about the open appends. */
static const char *told(void *session)
{
	static char text[TIDE_WAITING_FOR_SIZE];
	must(STORE->waiting_for(session, text, sizeof text, err));
	return text;
}

static void an_append_that_stays_open_is_named(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=named"), *guest_store;
	void *session = session_opened(store);
	postgres_sql(
		"named",
		"CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA named TO guest; GRANT SELECT ON "
		"named.events TO guest");
	must(backend_open("postgresql://guest@/?schema=named", false, &guest_store, err));
	void *guest = session_opened(guest_store);
	assert_string_equal(told(session), "");

	PGconn *writer = sql_connect("application_name=nightly options=-csearch_path=named");
	char pid[24];
	snprintf(pid, sizeof pid, "pid %d ", PQbackendPID(writer));
	sql_run(writer, "BEGIN; " INSERT_LATE);
	assert_string_equal(told(session), ""); /* an append takes a moment */
	assert_string_equal(told(guest), "");
	wait_for(20, *told(session));
	assert_ptr_equal(strstr(told(session), pid), told(session));
	assert_non_null(strstr(told(session), "'nightly' of 'postgres', open for "));
	assert_non_null(strstr(told(session), "idle in transaction: "));
	assert_null(strstr(told(session), "secret"));
	/* who may not see its age waits as long by the own clock */
	wait_for(20, *told(guest));
	assert_ptr_equal(strstr(told(guest), pid), told(guest));
	assert_null(strstr(told(guest), "open for"));

	sql_run(writer, "ROLLBACK");
	assert_string_equal(told(session), "");
	assert_string_equal(told(guest), "");
	PQfinish(writer);
	STORE->session_close(session);
	STORE->session_close(guest);
	STORE->close(guest_store);
	STORE->close(store);
}

/* Keeps the advice about open appends. */
static void advice_into(void *self, enum tide_finding_level level, const char *check,
			const char *advice, const char *finding)
{
	(void)level;
	(void)finding;
	if (strcmp(check, "open appends") == 0)
		snprintf(self, 1000, "%s", advice);
}

static void a_forgotten_prepared_transaction_is_named(void **state)
{
	(void)state;
	char advice[1000] = "";
	void *store = backend_opened("postgresql:///?schema=forgotten"),
	     *session = session_opened(store);
	PGconn *writer = sql_connect("options=-csearch_path=forgotten");
	sql_run(writer, "BEGIN; " INSERT_LATE "; PREPARE TRANSACTION 'it''s forgotten'");
	PQfinish(writer);
	wait_for(20, *told(session));
	assert_non_null(strstr(told(session),
			       "prepared transaction 'it's forgotten' of 'postgres', open for "));
	must(STORE->examine(session, advice_into, advice, err));
	assert_string_equal(
		advice,
		"run COMMIT PREPARED 'it''s forgotten' or ROLLBACK PREPARED 'it''s forgotten'");
	postgres_sql("forgotten", strstr(advice, "ROLLBACK"));
	assert_string_equal(told(session), "");
	STORE->session_close(session);
	STORE->close(store);
}

static tide_status tally(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	atomic_fetch_add((atomic_int *)self, 1);
	return TIDE_OK;
}

static struct tide_subscription_status status_of(struct tide_subscription *subscription)
{
	struct tide_subscription_status status;
	must(tide_subscription_status(subscription, &status, err));
	return status;
}

static void must_hold(char *json, const char *text)
{
	if (!strstr(json, text))
		fail_msg("'%s' is not in %s", text, json);
	tide_free(json);
}

/* What holds the feed is told in text and in JSON, by the status and by the indicator that would
 * otherwise say all is well.
 */
static void everything_names_the_holder(struct tide_manager *manager,
					const struct tide_subscription_status *status)
{
	char *json, expected[TIDE_WAITING_FOR_SIZE + 20];
	must(tide_subscription_status_json(status, &json, err));
	must_hold(json, "\"waiting_for\":\"pid ");
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, "tally", &health, err));
	snprintf(expected, sizeof expected, "events wait for an append that stays open: pid ");
	assert_non_null(strstr(health.indicators[TIDE_INDICATOR_LAG].message, expected));
	assert_non_null(strstr(health.waiting_for, "'nightly'"));
	must(tide_subscription_health_json(&health, &json, err));
	must_hold(json, "\"details\":{\"lag_events\":0,\"waiting_for\":\"pid ");
}

static void status_and_health_name_who_holds_the_feed(void **state)
{
	(void)state;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	atomic_int seen = 0;
	struct tide_subscriber subscriber = { .name = "tally", .self = &seen, .handle = tally };
	must(tide_store_open("postgresql:///?schema=watched",
			     TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	append_one(store, stream_of("Order", 1), "First");
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, NULL, &subscription, err));
	must(tide_manager_start(manager, NULL, 20, NULL, NULL, err));
	wait_for(10, seen == 1);

	PGconn *writer = sql_connect("application_name=nightly options=-csearch_path=watched");
	sql_run(writer, "BEGIN; " INSERT_LATE);
	append_one(store, stream_of("Order", 1), "Second"); /* is held back */
	wait_for(20, *status_of(subscription).waiting_for);
	assert_int_equal(seen, 1);
	struct tide_subscription_status status = status_of(subscription);
	everything_names_the_holder(manager, &status);

	sql_run(writer, "COMMIT");
	wait_for(10, seen == 3);
	wait_for(10, !*status_of(subscription).waiting_for);
	PQfinish(writer);
	tide_manager_close(manager);
	tide_store_close(store);
}

/* An open append that holds back nothing is nobody's business. */
static void an_open_append_behind_the_end_is_not_reported(void **state)
{
	(void)state;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	atomic_int seen = 0;
	struct tide_subscriber subscriber = { .name = "tally", .self = &seen, .handle = tally };
	must(tide_store_open("postgresql:///?schema=ahead", TIDE_STORE_OPTIONS(.initialize = true),
			     &store, err));
	append_one(store, stream_of("Order", 1), "First");
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, NULL, &subscription, err));
	must(tide_manager_start(manager, NULL, 20, NULL, NULL, err));
	wait_for(10, seen == 1);
	void *backend = backend_opened("postgresql:///?schema=ahead"),
	     *session = session_opened(backend);
	PGconn *writer = sql_connect("options=-csearch_path=ahead");
	sql_run(writer, "BEGIN; " INSERT_LATE);
	wait_for(20, *told(session));
	assert_string_equal(status_of(subscription).waiting_for, "");
	PQfinish(writer);
	STORE->session_close(session);
	STORE->close(backend);
	tide_manager_close(manager);
	tide_store_close(store);
}

/* ---- Readers that begin while an append is open ---------------------------------------------- */

/* Positions of the feed as a new process sees them, up to where it would wait. */
static void sees(const char *url, const char *expected)
{
	void *store = backend_opened(url), *session = session_opened(store);
	char seen[200] = "";
	struct tide_page page;
	tide_page_init(&page);
	tide_position after = 0;
	/* the first look may end at a hole that the next one passes */
	for (int looks = 0; looks < 20; looks++) {
		must(feed_read(session, &page, after, 10, err));
		for (size_t i = 0; i < page.count; i++)
			snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%lld ",
				 (long long)page.entries[i].event.position);
		after = page.scanned_to;
	}
	assert_string_equal(seen, expected);
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

static void burn_position(const char *schema)
{
	char text[80];
	snprintf(text, sizeof text, "SELECT nextval('%s.events_global_position_seq')", schema);
	postgres_sql(schema, text);
}

static void a_new_reader_passes_the_holes_that_others_have_passed(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=aged";
	void *store = backend_opened(url);
	for (int i = 0; i < 3; i++) {
		appended(store, stream_of("Order", 1), "{}");
		burn_position("aged");
	}
	appended(store, stream_of("Order", 1), "{}");
	sees(url, "1 3 5 7 ");

	PGconn *writer = sql_connect("options=-csearch_path=aged");
	sql_run(writer, "BEGIN; " INSERT_LATE); /* 8 */
	appended(store, stream_of("Order", 1), "{}");
	sees(url, "1 3 5 7 ");
	void *session = session_opened(store);
	assert_int_equal(end_seen(session), 7);
	STORE->session_close(session);
	sql_run(writer, "COMMIT");
	sees(url, "1 3 5 7 8 9 ");
	PQfinish(writer);
	STORE->close(store);
}

static void what_was_known_of_a_sequence_is_void_once_it_is_restarted(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=restarted";
	void *store = backend_opened(url);
	for (int i = 0; i < 5; i++)
		appended(store, stream_of("Order", 1), "{}");
	burn_position("restarted");
	appended(store, stream_of("Order", 1), "{}");
	sees(url, "1 2 3 4 5 7 ");
	void *early = session_opened(store);
	assert_int_equal(end_seen(early), 7);
	STORE->session_close(early);
	postgres_sql("restarted", "TRUNCATE events RESTART IDENTITY");
	appended(store, stream_of("Order", 1), "{}");
	PGconn *writer = sql_connect("options=-csearch_path=restarted");
	sql_run(writer, "BEGIN; " INSERT_LATE); /* 2 */
	for (int i = 0; i < 8; i++)
		appended(store, stream_of("Order", 1), "{}");
	sees(url, "1 ");
	void *session = session_opened(store); /* by a store that was open all the time */
	assert_int_equal(end_seen(session), 1);
	STORE->session_close(session);
	sql_run(writer, "COMMIT");
	sees(url, "1 2 3 4 5 6 7 8 9 10 ");
	PQfinish(writer);
	STORE->close(store);
}

/* One look of a reader that goes on: the positions it gets, and where it stands then. */
static void look_sees(void *session, tide_position *at, const char *expected)
{
	char seen[200] = "";
	struct tide_page page;
	tide_page_init(&page);
	do {
		must(feed_read(session, &page, *at, 10, err));
		for (size_t i = 0; i < page.count; i++)
			snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%lld ",
				 (long long)page.entries[i].event.position);
		*at = page.scanned_to;
	} while (!page.is_end);
	assert_string_equal(seen, expected);
	tide_page_fini(&page);
}

static void restore_in_place(const char *schema)
{
	char command[400];
	snprintf(command, sizeof command,
		 "bin=$(pg_config --bindir) && \"$bin/pg_dump\" --clean -n %s > %s/dump.sql && "
		 "\"$bin/psql\" -qX -v "
		 "ON_ERROR_STOP=1 -f %s/dump.sql > /dev/null",
		 schema, postgres_directory(), postgres_directory());
	assert_int_equal(system(command), 0);
}

/* Who holds the feed up, told as soon as anybody does. */
static const char *held_by(void *session)
{
	wait_for(20, *told(session));
	return told(session);
}

static PGconn *opened_append(const char *options)
{
	PGconn *writer = sql_connect(options);
	sql_run(writer, "BEGIN; " INSERT_LATE);
	return writer;
}

static void a_hole_of_a_rollback_is_not_waited_for_because_of_later_appends(void **state)
{
	(void)state;
	static const char options[] = "options=-csearch_path=floors";
	void *store = backend_opened("postgresql:///?schema=floors"),
	     *session = session_opened(store);
	tide_position at = 0;
	appended(store, stream_of("Order", 1), "{}");
	PGconn *first = opened_append(options); /* 2 */
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "1 ");
	PGconn *second = opened_append(options); /* 4 */
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "");
	PGconn *third = opened_append(options); /* 6 */
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "");
	sql_run(first, "ROLLBACK");
	look_sees(session, &at, "3 ");
	sql_run(second, "ROLLBACK");
	look_sees(session, &at, "5 "); /* while the third is open, which owns nothing below 6 */
	sql_run(third, "COMMIT");
	look_sees(session, &at, "6 7 ");
	PQfinish(first);
	PQfinish(second);
	PQfinish(third);
	STORE->session_close(session);
	STORE->close(store);
}

/* One more look of who reads, then one who has not looked before asks. */
static bool is_told_beside(void *reader, tide_position *at, void *store, const char *name)
{
	look_sees(reader, at, "");
	void *asker = session_opened(store);
	bool is_told = strstr(told(asker), name) != NULL;
	STORE->session_close(asker);
	return is_told;
}

static void who_owns_the_hole_is_named_and_not_who_is_older(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=innocent"),
	     *session = session_opened(store), *asker = session_opened(store);
	tide_position at = 0;
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "1 ");
	PGconn *older = sql_connect("application_name=older options=-csearch_path=innocent");
	sql_run(older, "BEGIN; SELECT 1");
	PGconn *owner = opened_append("application_name=owner options=-csearch_path=innocent");
	appended(store, stream_of("Order", 1), "{}"); /* 3, behind the owner's 2 */
	look_sees(session, &at, "");
	sql_run(older, INSERT_LATE); /* 4 */
	appended(store, stream_of("Order", 1), "{}");

	wait_for(30, is_told_beside(session, &at, store, "'owner'"));
	assert_non_null(strstr(told(asker), "'owner'"));
	struct tide_horizon horizon;
	must(STORE->horizon(asker, &horizon, err));
	assert_int_equal(horizon.end, 1);
	assert_non_null(strstr(horizon.holder, "'owner'"));

	sql_run(owner, "ROLLBACK");
	look_sees(session, &at, "3 ");
	wait_for(30, is_told_beside(session, &at, store, "'older'"));
	sql_run(older, "ROLLBACK");
	look_sees(session, &at, "5 ");
	assert_string_equal(told(asker), "");
	PQfinish(older);
	PQfinish(owner);
	STORE->session_close(asker);
	STORE->session_close(session);
	STORE->close(store);
}

/* ---- A table that is replaced while it is read ----------------------------------------------- */

/* An append that stays open in the new table holds up what comes behind it, for a reader that was
 * there before. */
static void a_replaced_table_is_followed(const char *schema, const char *replacement)
{
	char url[80], options[80];
	snprintf(url, sizeof url, "postgresql:///?schema=%s", schema);
	snprintf(options, sizeof options, "options=-csearch_path=%s", schema);
	void *store = backend_opened(url), *session = session_opened(store);
	tide_position at = 0;
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "1 ");
	assert_int_equal(end_seen(session), 1);
	if (replacement)
		postgres_sql(schema, replacement);
	else
		restore_in_place(schema);
	PGconn *writer = opened_append(options); /* 2 */
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "");
	assert_int_equal(end_seen(session), 1);
	assert_non_null(strstr(held_by(session), "pid "));
	sql_run(writer, "COMMIT");
	look_sees(session, &at, "2 3 ");
	assert_int_equal(end_seen(session), 3);
	PQfinish(writer);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_table_that_takes_the_place_of_another_is_followed(void **state)
{
	(void)state;
	a_replaced_table_is_followed("swapped",
				     "BEGIN; CREATE TABLE fresh (LIKE events INCLUDING ALL); "
				     "CREATE SEQUENCE fresh_seq OWNED BY "
				     "fresh.global_position; ALTER TABLE fresh ALTER "
				     "global_position SET DEFAULT nextval('fresh_seq'); "
				     "INSERT INTO fresh SELECT * FROM events; SELECT "
				     "setval('fresh_seq', 1); ALTER TABLE events RENAME TO "
				     "stale; ALTER TABLE fresh RENAME TO events; COMMIT");
	/* a copy whose default draws from the sequence of the other one */
	a_replaced_table_is_followed(
		"shared",
		"BEGIN; CREATE TABLE fresh (LIKE events INCLUDING ALL); INSERT INTO fresh "
		"SELECT * FROM events; ALTER TABLE events RENAME TO stale; ALTER TABLE fresh "
		"RENAME TO events; COMMIT");
	a_replaced_table_is_followed(
		"identified",
		"BEGIN; ALTER TABLE events ALTER global_position DROP DEFAULT; DROP SEQUENCE "
		"events_global_position_seq; ALTER TABLE events ALTER global_position ADD "
		"GENERATED "
		"BY DEFAULT AS IDENTITY (START 2); COMMIT");
}

static void a_schema_that_is_restored_in_place_is_followed(void **state)
{
	(void)state;
	a_replaced_table_is_followed("restored", NULL);
}

static void a_sequence_that_readers_cannot_follow_ends_them_also_when_it_comes_later(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=hoarded"),
	     *session = session_opened(store);
	struct tide_error error;
	struct tide_page page;
	tide_page_init(&page);
	appended(store, stream_of("Order", 1), "{}");
	assert_int_equal(end_seen(session), 1);
	postgres_sql("hoarded", "CREATE SEQUENCE hoard CACHE 20 START 3; ALTER TABLE events ALTER "
				"global_position SET "
				"DEFAULT nextval('hoard')");
	appended(store, stream_of("Order", 1), "{}");
	assert_int_equal(feed_read(session, &page, 1, 10, &error), TIDE_SCHEMA);
	assert_non_null(strstr(error.message, "sequence 'hoarded.hoard' has CACHE 20"));
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

static bool feed_can_be_read(void *session)
{
	tide_position end;
	return STORE->end(session, &end, NULL) == TIDE_OK;
}

/* Prepared transactions have another name after a restart. A reader behind a pooler does not even
 * notice the restart. */
static void a_prepared_transaction_that_outlives_the_server_is_waited_for(void **state)
{
	(void)state;
	char directory[256];
	if (!pgbouncer_start(directory))
		skip();
	void *store = backend_opened("postgresql:///?schema=outlived&port=6432"),
	     *session = session_opened(store);
	tide_position at = 0;
	appended(store, stream_of("Order", 1), "{}");
	PGconn *writer = sql_connect("options=-csearch_path=outlived");
	sql_run(writer, "BEGIN; " INSERT_LATE "; PREPARE TRANSACTION 'outlives'"); /* 2 */
	PQfinish(writer);
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "1 ");
	postgres_halt(SIGINT);
	postgres_resume();
	wait_for(20, feed_can_be_read(session));
	look_sees(session, &at, "");
	postgres_sql("outlived", "COMMIT PREPARED 'outlives'");
	look_sees(session, &at, "2 3 ");
	STORE->session_close(session);
	STORE->close(store);
	pgbouncer_stop();
}

/* Events were taken back, and their numbering with them, but not what readers had left of it. */
static void a_mark_beyond_the_newest_event_settles_nothing(void **state)
{
	(void)state;
	const char *url = "postgresql:///?schema=beyond";
	void *store = backend_opened(url);
	appended(store, stream_of("Order", 1), "{}");
	postgres_sql("beyond", "DELETE FROM tidemark_feed; INSERT INTO tidemark_feed SELECT 1, "
			       "pg_relation_filenode('events_global_position_seq')::int8, 10");
	PGconn *writer = sql_connect("options=-csearch_path=beyond");
	sql_run(writer, "BEGIN; " INSERT_LATE); /* 2 */
	appended(store, stream_of("Order", 1), "{}");
	STORE->close(store);

	store = backend_opened(url);
	void *session = session_opened(store);
	tide_position at = 0;
	look_sees(session, &at, "1 ");
	assert_int_equal(end_seen(session), 1);
	sql_run(writer, "COMMIT");
	look_sees(session, &at, "2 3 ");
	PQfinish(writer);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_reader_whose_right_to_the_mark_is_taken_reads_on(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=revoked"),
	     *session = session_opened(store);
	tide_position at = 0;
	appended(store, stream_of("Order", 1), "{}");
	burn_position("revoked");
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "1 3 ");
	postgres_sql("revoked", "DROP TABLE tidemark_feed");
	burn_position("revoked");
	appended(store, stream_of("Order", 1), "{}");
	look_sees(session, &at, "5 ");
	assert_int_equal(end_seen(session), 5);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_reader_without_the_right_to_leave_a_mark_reads_all_the_same(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=unmarked");
	appended(store, stream_of("Order", 1), "{}");
	burn_position("unmarked");
	appended(store, stream_of("Order", 1), "{}");
	postgres_sql("unmarked", "CREATE ROLE looker LOGIN; GRANT USAGE ON SCHEMA unmarked TO "
				 "looker; GRANT SELECT ON "
				 "unmarked.events TO looker");
	sees("postgresql://looker@/?schema=unmarked", "1 3 ");
	postgres_sql("unmarked", "ALTER ROLE looker SET default_transaction_read_only = on; GRANT "
				 "SELECT, INSERT, UPDATE "
				 "ON unmarked.tidemark_feed TO looker");
	sees("postgresql://looker@/?schema=unmarked", "1 3 ");
	postgres_sql("unmarked", "DROP TABLE tidemark_feed");
	void *old;
	must(backend_open("postgresql:///?schema=unmarked", false, &old, err));
	STORE->close(old);
	sees("postgresql:///?schema=unmarked", "1 3 "); /* which makes it again */
	PGconn *connection = sql_connect("");
	assert_int_equal(sql_number(connection, "SELECT settled FROM unmarked.tidemark_feed"), 3);
	PQfinish(connection);
	STORE->close(store);
}

/* ---- What doctor asks through a pooler ------------------------------------------------------- */

static void report_into(void *self, enum tide_finding_level level, const char *check,
			const char *advice, const char *finding)
{
	char *all = self;
	size_t size = strlen(all);
	(void)advice;
	snprintf(all + size, 8000 - size, "<%d> %s: %s\n", (int)level, check, finding);
}

static void an_examination_tells_of_a_pooler_in_between(void **state)
{
	(void)state;
	char directory[256], findings[8000] = "";
	if (!pgbouncer_start(directory))
		skip();
	void *store = backend_opened("postgresql:///?schema=pooled&port=6432"),
	     *session = session_opened(store);
	must(STORE->examine(session, report_into, findings, err));
	assert_non_null(strstr(findings, ", behind a pooler\n"));
	assert_non_null(strstr(findings, "<1> notifications: they do not arrive"));
	assert_non_null(strstr(findings, "<0> open appends: none"));
	assert_null(strstr(findings, "<2>"));
	STORE->session_close(session);
	STORE->close(store);
	pgbouncer_stop();
}

static void an_examination_of_a_replica_says_so(void **state)
{
	(void)state;
	char findings[8000] = "";
	void *primary = backend_opened("postgresql:///?schema=mirrored"), *replica;
	appended(primary, stream_of("Order", 1), "{}");
	postgres_replica_start();
	must(backend_open("postgresql:///?schema=mirrored&port=5433", false, &replica, err));
	void *session = session_opened(replica);
	must(STORE->examine(session, report_into, findings, err));
	assert_non_null(strstr(findings, "<1> server: it is a replica"));
	assert_non_null(strstr(findings, "<1> notifications: a replica has none"));
	assert_non_null(strstr(findings, "<0> positions: the newest is 1"));
	assert_null(strstr(findings, "<2>"));
	assert_string_equal(told(session), "");
	STORE->session_close(session);
	STORE->close(replica);
	STORE->close(primary);
	postgres_replica_stop();
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_append_that_stays_open_is_named),
		cmocka_unit_test(a_forgotten_prepared_transaction_is_named),
		cmocka_unit_test(status_and_health_name_who_holds_the_feed),
		cmocka_unit_test(an_open_append_behind_the_end_is_not_reported),
		cmocka_unit_test(a_new_reader_passes_the_holes_that_others_have_passed),
		cmocka_unit_test(what_was_known_of_a_sequence_is_void_once_it_is_restarted),
		cmocka_unit_test(a_hole_of_a_rollback_is_not_waited_for_because_of_later_appends),
		cmocka_unit_test(who_owns_the_hole_is_named_and_not_who_is_older),
		cmocka_unit_test(a_table_that_takes_the_place_of_another_is_followed),
		cmocka_unit_test(a_schema_that_is_restored_in_place_is_followed),
		cmocka_unit_test(
			a_sequence_that_readers_cannot_follow_ends_them_also_when_it_comes_later),
		cmocka_unit_test(a_prepared_transaction_that_outlives_the_server_is_waited_for),
		cmocka_unit_test(a_mark_beyond_the_newest_event_settles_nothing),
		cmocka_unit_test(a_reader_whose_right_to_the_mark_is_taken_reads_on),
		cmocka_unit_test(a_reader_without_the_right_to_leave_a_mark_reads_all_the_same),
		cmocka_unit_test(an_examination_tells_of_a_pooler_in_between),
		cmocka_unit_test(an_examination_of_a_replica_says_so),
	};
	int failed = cmocka_run_group_tests_name("postgres_holders", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

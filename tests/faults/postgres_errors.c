/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL refuses, and databases that are not as they must be: told apart, reported at
 * once, by name. */
#include <stdio.h>
#include <string.h>

#include "backends/postgres/statements.h"
#include "postgres_tools.h"

/* ---- Uniqueness ------------------------------------------------------------------------------ */

/* Make `events` anew with the given constraints; its sequence stays. */
static struct tide_error refused_events(const char *constraints)
{
	char sql[1200];
	snprintf(sql, sizeof sql,
		 "ALTER SEQUENCE IF EXISTS events_global_position_seq OWNED BY NONE; DROP TABLE "
		 "events; CREATE TABLE "
		 "events ("
		 "global_position BIGINT NOT NULL DEFAULT nextval('events_global_position_seq'), "
		 "event_id UUID NOT "
		 "NULL, aggregate_id UUID NOT NULL, aggregate_type VARCHAR(255) NOT NULL, "
		 "event_type VARCHAR(255) NOT "
		 "NULL, tenant_id UUID, actor_id VARCHAR(255), version INTEGER NOT NULL, "
		 "\"timestamp\" TIMESTAMPTZ NOT "
		 "NULL, payload JSON NOT NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), "
		 "event_version INTEGER, "
		 "correlation_id UUID, causation_id UUID, metadata JSON, %s; "
		 "ALTER SEQUENCE events_global_position_seq OWNED BY events.global_position",
		 constraints);
	postgres_sql("keys", sql);
	void *store = NULL;
	struct tide_error why = refused(
		TIDE_SCHEMA, backend_open("postgresql:///?schema=keys", false, &store, err));
	struct tide_error again =
		refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=keys", true, &store, err));
	assert_string_equal(why.message, again.message);
	return why;
}

static void events_without_its_uniqueness_are_refused_naming_it(void **state)
{
	(void)state;
	STORE->close(backend_opened("postgresql:///?schema=keys"));
	struct tide_error why = refused_events("PRIMARY KEY (global_position), UNIQUE (event_id))");
	must_mention(&why, "UNIQUE (aggregate_id, aggregate_type, version)");
	why = refused_events(
		"PRIMARY KEY (global_position), UNIQUE (aggregate_id, aggregate_type, version))");
	must_mention(&why, "UNIQUE (event_id)");
	must_mention(&why, "ALTER TABLE \"keys\".events ADD UNIQUE (event_id)");
	why = refused_events("PRIMARY KEY (global_position), UNIQUE (event_id) DEFERRABLE, UNIQUE "
			     "(aggregate_id, "
			     "aggregate_type, version))");
	must_mention(&why, "UNIQUE (event_id)");
	why = refused_events("PRIMARY KEY (global_position, \"timestamp\"), UNIQUE (event_id, "
			     "\"timestamp\"), UNIQUE "
			     "(aggregate_id, aggregate_type, version, \"timestamp\")) PARTITION BY "
			     "RANGE (\"timestamp\")");
	must_mention(&why, "table 'events'");
	must_mention(&why, "UNIQUE (global_position)");
}

/* CREATE INDEX CONCURRENTLY that failed leaves an index that refuses nothing for certain. */
static void an_invalid_index_is_no_uniqueness_and_another_name_is_as_good(void **state)
{
	(void)state;
	void *store;
	STORE->close(backend_opened("postgresql:///?schema=indexed"));
	postgres_sql("indexed", "ALTER TABLE events DROP CONSTRAINT events_event_id_key; CREATE "
				"UNIQUE INDEX mine ON events "
				"(event_id) INCLUDE (version); UPDATE pg_index SET indisvalid = "
				"false WHERE indexrelid = "
				"'mine'::regclass");
	struct tide_error why = refused(
		TIDE_SCHEMA, backend_open("postgresql:///?schema=indexed", true, &store, err));
	must_mention(&why, "UNIQUE (event_id)");
	postgres_sql("indexed", "REINDEX INDEX mine");
	must(backend_open("postgresql:///?schema=indexed", false, &store, err));
	STORE->close(store);
}

/* ---- Errors of an append --------------------------------------------------------------------- */

/* A trigger of the owner: events whose payload names an SQLSTATE meet it, "drop" leaves them out
 * without a word. */
static const char strict_trigger[] = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
				     "$$ BEGIN IF NEW.payload->>'code' = 'drop' THEN "
				     "RETURN NULL; ELSIF NEW.payload->>'code' IS NOT NULL THEN "
				     "RAISE EXCEPTION 'no such luck' USING ERRCODE = "
				     "NEW.payload->>'code'; END IF; RETURN NEW; END $$; CREATE "
				     "TRIGGER strict BEFORE INSERT ON events FOR EACH ROW "
				     "EXECUTE FUNCTION refuse()";

/* Each failed try burns the position that it drew. */
static void what_is_no_race_is_reported_at_once_with_its_sqlstate(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		tide_status status;
	} errors[] = {
		{ "23505", TIDE_IO },   { "22003", TIDE_IO },   { "53100", TIDE_DISK_FULL },
		{ "53200", TIDE_BUSY }, { "53300", TIDE_BUSY }, { "53400", TIDE_BUSY },
		{ "40P01", TIDE_BUSY }, { "55P03", TIDE_BUSY }, { "P0001", TIDE_IO },
	};
	void *store = backend_opened("postgresql:///?schema=strict");
	postgres_sql("strict", strict_trigger);
	tide_position burnt = 0;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		char payload[40];
		struct tide_append_result result;
		snprintf(payload, sizeof payload, "{\"code\": \"%s\"}", errors[i].code);
		struct tide_event event = event_made(stream_of("Order", 1), payload);
		struct tide_error why = refused(
			errors[i].status, append_event(store, &event, TIDE_ANY, &result, err));
		must_mention(&why, "no such luck");
		must_mention(&why, errors[i].code);
		why = refused(errors[i].status,
			      append_event(store, &event, TIDE_NO_STREAM, &result, err));
		burnt += 2;
	}
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, burnt + 1);
	STORE->close(store);
}

/* The server's other limits are told by a role's as well. */
static void a_server_that_has_no_connection_left_is_busy(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=crowded"), *more;
	postgres_sql("crowded", "CREATE ROLE crowd LOGIN CONNECTION LIMIT 0");
	struct tide_error why =
		refused(TIDE_BUSY, backend_open("postgresql://crowd@/postgres?schema=crowded",
						false, &more, err));
	must_mention(&why, "too many connections");
	assert_int_equal(why.retry, TIDE_RETRY_LATER);
	STORE->close(store);
}

/* A standby becomes the primary, and a setting is taken back: it is waited for. */
static void transactions_that_may_not_write_are_busy(void **state)
{
	(void)state;
	struct tide_append_result result;
	void *store = backend_opened("postgresql:///?schema=reading"), *reading;
	must(backend_open(
		"postgresql:///?schema=reading&options=-cdefault_transaction_read_only%3Don", false,
		&reading, err));
	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_error why =
		refused(TIDE_BUSY, append_event(reading, &event, TIDE_ANY, &result, err));
	must_mention(&why, "read-only");
	must_mention(&why, "25006");
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, 1);
	STORE->close(reading);
	STORE->close(store);
}

/* Three tries more, in case it was one: a position each. */
static void a_race_that_a_trigger_alleges_is_tried_again_a_few_times_only(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=alleged"),
	     *session = session_opened(store);
	postgres_sql("alleged", strict_trigger);
	struct tide_append_result result, results[2];
	struct tide_event event = event_made(stream_of("Order", 1), "{\"code\": \"40001\"}");
	struct tide_error why =
		refused(TIDE_BUSY, append_event(store, &event, TIDE_ANY, &result, err));
	must_mention(&why, "no such luck");
	must_mention(&why, "40001");
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, 5);
	refused(TIDE_BUSY, append_event(store, &event, 1, &result, err));
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, 10);
	struct tide_event a = event_made(stream_of("Order", 2), "{\"code\": \"40P01\"}");
	struct tide_event b = event_made(stream_of("Order", 3), "{}");
	struct tide_commit pair[] = {
		{ .stream = stream_of("Order", 2), .expected = TIDE_ANY, .events = &a, .count = 1 },
		{ .stream = stream_of("Order", 3), .expected = TIDE_ANY, .events = &b, .count = 1 },
	};
	why = refused(TIDE_BUSY, STORE->append(store, pair, 2, results, err));
	must_mention(&why, "40P01");
	STORE->session_close(session);
	STORE->close(store);
}

/* A sequence counts what is rolled back, too. */
static void a_serialization_failure_that_passes_is_tried_again(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=passing");
	postgres_sql("passing",
		     "CREATE SEQUENCE tries; CREATE FUNCTION fail() RETURNS trigger LANGUAGE "
		     "plpgsql AS $$ BEGIN IF "
		     "nextval('passing.tries') <= 3 THEN RAISE EXCEPTION SQLSTATE '40001'; END IF; "
		     "RETURN NEW; END $$; "
		     "CREATE "
		     "TRIGGER fail BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fail()");
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").version, 1);
	STORE->close(store);
}

static void a_repetition_is_a_success_whatever_a_trigger_says(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=stored_before");
	struct tide_event event = event_made(stream_of("Order", 1), "{\"code\": \"P0001\"}");
	struct tide_append_result result;
	must(append_event(store, &event, TIDE_NO_STREAM, &result, err));
	postgres_sql("stored_before", strict_trigger);
	must(append_event(store, &event, TIDE_NO_STREAM, &result, err));
	assert_true(result.was_stored_before);
	assert_int_equal(result.version, 1);
	struct tide_event other = event_made(stream_of("Order", 1), "{\"code\": \"P0001\"}");
	refused(TIDE_CONFLICT, append_event(store, &other, TIDE_NO_STREAM, &result, err));
	assert_int_equal(result.version, 1);
	STORE->close(store);
}

static void an_event_that_a_trigger_leaves_out_is_reported(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=left_out"),
	     *session = session_opened(store);
	postgres_sql("left_out", strict_trigger);
	struct tide_event event = event_made(stream_of("Order", 1), "{\"code\": \"drop\"}");
	struct tide_append_result result;
	struct tide_error why =
		refused(TIDE_STATE, append_event(store, &event, TIDE_ANY, &result, err));
	must_mention(&why, "trigger");
	why = refused(TIDE_STATE, append_event(store, &event, TIDE_NO_STREAM, &result, err));
	struct tide_event pair[] = { event_made(stream_of("Order", 2), "{}"), event };
	struct tide_commit commit = {
		.stream = stream_of("Order", 2), .expected = TIDE_ANY, .events = pair, .count = 2
	};
	why = refused(TIDE_STATE, STORE->append(store, &commit, 1, &result, err));
	must_mention(&why, "1 of 2");
	STORE->session_close(session);
	STORE->close(store);
}

static void a_race_is_known_by_constraints_that_were_renamed(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=renamed");
	struct tide_event event = event_made(stream_of("Order", 1), "{}"), other = event;
	struct tide_append_result result;
	must(append_event(store, &event, TIDE_NO_STREAM, &result, err));
	postgres_sql("renamed", "ALTER TABLE events RENAME CONSTRAINT events_event_id_key TO mine; "
				"ALTER TABLE events ADD CONSTRAINT yours UNIQUE (version, "
				"aggregate_id, aggregate_type); "
				"ALTER TABLE events DROP CONSTRAINT uq_events_aggregate_version");
	other.aggregate_id = uuid_of(2);
	refused(TIDE_DUPLICATE_EVENT, append_event(store, &other, TIDE_ANY, &result, err));
	must(append_event(store, &event, TIDE_NO_STREAM, &result, err));
	assert_true(result.was_stored_before);
	STORE->close(store);
}

static void a_sequence_behind_the_events_is_refused_with_what_mends_it(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=behind"), *second;
	appended(store, stream_of("Order", 1), "{}");
	postgres_sql("behind", "INSERT INTO events (global_position, event_id, aggregate_id, "
			       "aggregate_type, event_type, "
			       "version, timestamp, payload) SELECT n, gen_random_uuid(), "
			       "gen_random_uuid(), 'Copied', "
			       "'Came', 1, now(), '{}' FROM generate_series(2, 2000) n");
	struct tide_error why = refused(
		TIDE_SCHEMA, backend_open("postgresql:///?schema=behind", false, &second, err));
	must_mention(&why, "SELECT setval('behind.events_global_position_seq', 2000)");
	refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=behind", true, &second, err));
	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_append_result result;
	why = refused(TIDE_SCHEMA, append_event(store, &event, TIDE_ANY, &result, err));
	must_mention(&why, "setval");
	PGconn *connection = sql_connect("");
	assert_int_equal(
		sql_number(connection, "SELECT last_value FROM behind.events_global_position_seq"),
		2);
	PQfinish(connection);
	postgres_sql("behind", "SELECT setval('behind.events_global_position_seq', 2000)");
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, 2001);
	must(backend_open("postgresql:///?schema=behind", false, &second, err));
	STORE->close(second);
	STORE->close(store);
}

static void events_whose_position_draws_from_no_sequence_are_refused_naming_it(void **state)
{
	(void)state;
	static const char *const otherwise[] = {
		"DROP DEFAULT",
		"SET DEFAULT 7",
		"SET DEFAULT nextval('undrawn.events_global_position_seq'::text)",
		"SET DEFAULT - nextval('undrawn.events_global_position_seq')",
		("SET DEFAULT nextval('undrawn.events_global_position_seq') + "
		 "nextval('undrawn.snapshots_id_seq')"),
	};
	static const char *const draws[] = {
		"SET DEFAULT nextval('undrawn.\"it''s mine\"')",
		"SET DEFAULT nextval('undrawn.events_global_position_seq')::integer",
		("DROP DEFAULT; ALTER TABLE events ALTER global_position ADD GENERATED ALWAYS AS "
		 "IDENTITY"),
	};
	char sql[200];
	void *store = backend_opened("postgresql:///?schema=undrawn");
	STORE->close(store);
	postgres_sql("undrawn", "CREATE SEQUENCE \"it's mine\"");
	for (size_t i = 0; i < 2 * (sizeof otherwise / sizeof *otherwise); i++) {
		if (i % 2 == 0) {
			snprintf(sql, sizeof sql, "ALTER TABLE events ALTER global_position %s",
				 otherwise[i / 2]);
			postgres_sql("undrawn", sql);
		}
		struct tide_error why =
			refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=undrawn",
							  i % 2 == 1, &store, err));
		must_mention(&why, "'global_position'");
		must_mention(&why, "'events'");
		must_mention(&why, "SET DEFAULT nextval('undrawn.events_global_position_seq')");
	}
	for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
		snprintf(sql, sizeof sql, "ALTER TABLE events ALTER global_position %s", draws[i]);
		if (strstr(sql, "IDENTITY"))
			postgres_sql("undrawn", "ALTER SEQUENCE events_global_position_seq OWNED "
						"BY NONE");
		postgres_sql("undrawn", sql);
		must(backend_open("postgresql:///?schema=undrawn", false, &store, err));
		STORE->close(store);
	}
}

/* What numbers dead letters, snapshots and leases is needed as much, whatever it is. */
static void tables_whose_id_has_no_default_are_refused_naming_them(void **state)
{
	(void)state;
	static const char *const tables[] = { "dead_letter_queue", "snapshots",
					      "subscription_leases" };
	char sql[200];
	void *store = backend_opened("postgresql:///?schema=undrawn_ids");
	STORE->close(store);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		snprintf(sql, sizeof sql, "ALTER TABLE %s ALTER id DROP DEFAULT", tables[i]);
		postgres_sql("undrawn_ids", sql);
		for (int initialize = 0; initialize < 2; initialize++) {
			struct tide_error why = refused(
				TIDE_SCHEMA, backend_open("postgresql:///?schema=undrawn_ids",
							  initialize, &store, err));
			must_mention(&why, "'id'");
			must_mention(&why, tables[i]);
		}
		snprintf(sql, sizeof sql,
			 "ALTER TABLE %s ALTER id SET DEFAULT nextval('%s_id_seq')", tables[i],
			 tables[i]);
		postgres_sql("undrawn_ids", sql);
	}
	must(backend_open("postgresql:///?schema=undrawn_ids", false, &store, err));
	STORE->close(store);
}

/* What is read in binary would become another value, silently. */
static void columns_of_another_type_are_refused_naming_what_mends_them(void **state)
{
	(void)state;
	static const struct {
		const char *table, *column, *type, *mended;
	} changes[] = {
		{ "events", "global_position", "integer", "int8" },
		{ "events", "version", "bigint", "int4" },
		{ "events", "event_version", "text", "int4" },
		{ "events", "aggregate_id", "text", "uuid" },
		{ "events", "event_type", "char(20)", "text" },
		{ "events", "created_at", "timestamp", "timestamptz" },
		{ "events", "metadata", "bytea", "json" },
		{ "projection_checkpoints", "global_position", "numeric", "int8" },
		{ "projection_checkpoints", "events_processed", "integer", "int8" },
		{ "dead_letter_queue", "retry_count", "smallint", "int4" },
		{ "snapshots", "version", "bigint", "int4" },
		{ "subscription_leases", "epoch", "integer", "int8" },
	};
	char sql[200];
	void *store = backend_opened("postgresql:///?schema=typed");
	STORE->close(store);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		snprintf(sql, sizeof sql, "ALTER TABLE %s ALTER %s TYPE %s USING NULL",
			 changes[i].table, changes[i].column, changes[i].type);
		postgres_sql("typed", sql);
		for (int initialize = 0; initialize < 2; initialize++) {
			struct tide_error why =
				refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=typed",
								  initialize, &store, err));
			must_mention(&why, changes[i].table);
			snprintf(sql, sizeof sql, "ALTER COLUMN \"%s\" TYPE %s", changes[i].column,
				 changes[i].mended);
			must_mention(&why, sql);
		}
		snprintf(sql, sizeof sql, "ALTER TABLE %s ALTER %s TYPE %s USING NULL",
			 changes[i].table, changes[i].column, changes[i].mended);
		postgres_sql("typed", sql);
	}
	postgres_sql("typed", "CREATE DOMAIN place AS bigint; ALTER TABLE events ALTER "
			      "global_position TYPE place, ALTER metadata TYPE jsonb, ALTER "
			      "actor_id TYPE text");
	must(backend_open("postgresql:///?schema=typed", false, &store, err));
	STORE->close(store);
}

/* Their rows are read with those of the parent, and their ids and positions are nobody's. */
static void tables_that_inherit_from_events_are_refused_naming_them(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=heirs");
	STORE->close(store);
	postgres_sql("heirs", "CREATE TABLE old_events () INHERITS (events)");
	for (int initialize = 0; initialize < 2; initialize++) {
		struct tide_error why =
			refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=heirs", initialize,
							  &store, err));
		must_mention(&why, "heirs.old_events");
		must_mention(&why, "NO INHERIT \"heirs\".events");
	}
	postgres_sql("heirs", "ALTER TABLE old_events NO INHERIT events");
	must(backend_open("postgresql:///?schema=heirs", false, &store, err));
	STORE->close(store);
}

/* ---- Tables that are changed while they are in use ------------------------------------------- */

static void changed(const char *schema, const char *texts)
{
	char sql[900];
	snprintf(sql, sizeof sql,
		 "ALTER TABLE events ALTER aggregate_type TYPE %s, ALTER event_type TYPE %s, ALTER "
		 "actor_id TYPE %s; "
		 "ALTER TABLE events ALTER payload TYPE %s; ALTER TABLE projection_checkpoints "
		 "ALTER projection_name "
		 "TYPE "
		 "%s, ALTER last_event_type TYPE %s; ALTER TABLE dead_letter_queue ALTER status "
		 "TYPE %s, ALTER "
		 "event_type TYPE %s",
		 texts, texts, texts, strcmp(texts, "text") == 0 ? "jsonb" : "json", texts, texts,
		 texts, texts);
	postgres_sql(schema, sql);
}

/* Everything once, on connections that have prepared it before. */
static void everything_is_asked(void *store, void *session, struct tide_page *page,
				const struct tide_event *event)
{
	struct tide_checkpoint checkpoint, *checkpoints;
	struct tide_dead_letter_list letters = { 0 };
	struct tide_dead_letter_filter filter = { .limit = 10, .statuses = { true, true, true } };
	size_t count;
	tide_version version;
	struct tide_append_result result;
	appended(store, stream_of("Order", 1), "{}");
	must(append_event(store, event, TIDE_ANY, &result, err));
	must(feed_read(session, page, 0, 1, err)); /* reads ahead */
	assert_int_equal(page->count, 1);
	must(STORE->find(session, &event->event_id, page, err));
	must(STORE->stream_version(session, stream_of("Order", 1), &version, err));
	must(CHECKPOINT->load(session, "orders", &checkpoint, err));
	must(CHECKPOINT->list(session, &checkpoints, &count, err));
	assert_int_equal(count, 1);
	tide_free(checkpoints);
	must(CHECKPOINT->dead_letter_list(session, &filter, &letters, err));
	tide_free(letters.entries);
}

static void a_table_that_is_changed_costs_nobody_a_statement(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=altered&pool=1"),
	     *session = session_opened(store);
	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_checkpoint_write write = { .name = "orders",
					       .has_position = true,
					       .progress = { .position = 1 } };
	struct tide_page page;
	tide_page_init(&page);
	for (int i = 0; i < 3000; i++)
		appended(store, stream_of("Order", 2), "{}");
	must(CHECKPOINT->save(session, NULL, &write, err));
	everything_is_asked(store, session, &page, &event);
	changed("altered", "text");
	must(feed_read(session, &page, 1, 1500, err));
	everything_is_asked(store, session, &page, &event);
	changed("altered", "varchar(255)");
	everything_is_asked(store, session, &page, &event);
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

/* The rows in their order, none twice, when the table is changed between two pages that were read
 * ahead. */
static void a_scan_goes_on_where_it_was_when_its_table_is_changed(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=scanned"),
	     *session = session_opened(store);
	struct tide_page page;
	tide_page_init(&page);
	for (int i = 0; i < 2500; i++)
		appended(store, stream_of("Order", 1), "{}");
	tide_position at = 0;
	for (int pages = 0; at < 2500; pages++) {
		must(feed_read(session, &page, at, 250, err));
		assert_int_equal(page.entries[0].event.position, at + 1);
		assert_int_equal(page.count, page.scanned_to - at);
		at = page.scanned_to;
		postgres_sql("scanned",
			     pages % 2 ? "ALTER TABLE events ALTER event_type TYPE text"
				       : "ALTER TABLE events ALTER event_type TYPE varchar(200)");
	}
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

/* A statement that fails takes its transaction along: the next one succeeds. */
static void a_transaction_that_a_changed_table_broke_can_be_repeated(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=repeated"),
	     *session = session_opened(store);
	struct tide_dead_letter_write write = { .projection_name = "orders",
						.event_id = uuid_of(1),
						.event_type = "A",
						.event_data = "{}",
						.message = "no",
						.now = tide_time_now() };
	int64_t id;
	must(CHECKPOINT->dead_letter_add(session, NULL, &write, &id, err));
	struct tide_dead_letter_change change = { .id = id, .now = tide_time_now() };
	must(STORE->begin(session, err));
	refused(TIDE_STATE, CHECKPOINT->dead_letter_change(session, NULL, &change, err));
	STORE->rollback(session);
	postgres_sql("repeated", "ALTER TABLE dead_letter_queue ALTER status TYPE text");
	must(STORE->begin(session, err));
	refused(TIDE_BUSY, CHECKPOINT->dead_letter_change(session, NULL, &change, err));
	STORE->rollback(session);
	must(STORE->begin(session, err));
	refused(TIDE_STATE, CHECKPOINT->dead_letter_change(session, NULL, &change, err));
	STORE->rollback(session);
	PQclear(PQexec(STORE->connection(session), "DEALLOCATE ALL"));
	must(STORE->begin(session, err));
	refused(TIDE_BUSY, CHECKPOINT->dead_letter_change(session, NULL, &change, err));
	STORE->rollback(session);
	must(STORE->begin(session, err));
	refused(TIDE_STATE, CHECKPOINT->dead_letter_change(session, NULL, &change, err));
	STORE->rollback(session);
	STORE->session_close(session);
	STORE->close(store);
}

/* ---- Encodings ------------------------------------------------------------------------------- */

static void note_finding(void *self, enum tide_finding_level level, const char *check,
			 const char *advice, const char *finding)
{
	(void)level;
	(void)check;
	(void)advice;
	*(bool *)self |= strstr(finding, "nextval") != NULL;
}

/* ---- Rights ---------------------------------------------------------------------------------- */

/* Asked first in a transaction alone: what is refused by itself breaks nothing. */
static void a_role_without_a_journal_is_refused_and_breaks_no_transaction(void **state)
{
	static const char *const missing[] = { "", "GRANT SELECT, INSERT ON subscription_journal",
					       "GRANT DELETE ON subscription_journal" };
	struct tide_journal_write entry = {
		.who = "anna", .host = "here", .act = "reset", .name = "q", .now = tide_time_now()
	};
	struct tide_checkpoint row;
	(void)state;
	void *store;
	STORE->close(backend_opened("postgresql:///?schema=mute"));
	postgres_sql("mute",
		     "CREATE ROLE mute LOGIN; GRANT USAGE ON SCHEMA mute TO mute; GRANT SELECT "
		     "ON events TO mute; GRANT SELECT, INSERT, UPDATE ON projection_checkpoints, "
		     "subscription_leases, dead_letter_queue TO mute");
	must(backend_open("postgresql:///?schema=mute&user=mute", false, &store, err));
	void *session = session_opened(store);
	for (int i = 0; i < 3; i++) {
		char grant[100];
		snprintf(grant, sizeof grant, "%s TO mute", missing[i]);
		if (*missing[i])
			postgres_sql("mute", grant);
		struct tide_error why =
			refused(TIDE_UNSUPPORTED, CHECKPOINT->journal_add(session, &entry, err));
		must_mention(&why, "permission denied");
		struct tide_checkpoint_write write = { .name = "orders",
						       .has_position = true,
						       .progress = { .position = i + 1 },
						       .now = tide_time_now() };
		must(STORE->begin(session, err));
		must(CHECKPOINT->save(session, NULL, &write, err));
		why = refused(TIDE_UNSUPPORTED, CHECKPOINT->journal_add(session, &entry, err));
		must_mention(&why, "this role may not write 'subscription_journal'");
		must(STORE->commit(session, err));
		must(CHECKPOINT->load(session, "orders", &row, err));
		assert_int_equal(row.position, i + 1);
	}

	postgres_sql("mute", "GRANT USAGE ON ALL SEQUENCES IN SCHEMA mute TO mute");
	must(CHECKPOINT->journal_add(session, &entry, err));
	must(STORE->begin(session, err));
	must(CHECKPOINT->journal_add(session, &entry, err));
	must(STORE->commit(session, err));
	STORE->session_close(session);
	STORE->close(store);
}

static void a_role_that_may_not_see_groups_moves_what_has_no_lanes(void **state)
{
	static const char url[] = "postgresql:///?schema=unseeing&user=unseeing";
	const struct tide_progress progress = { .position = 7 };
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_checkpoint row;
	(void)state;
	STORE->close(backend_opened("postgresql:///?schema=unseeing"));
	postgres_sql(
		"unseeing",
		"CREATE ROLE unseeing LOGIN; GRANT USAGE ON SCHEMA unseeing TO unseeing; GRANT "
		"SELECT ON events TO unseeing; GRANT SELECT, INSERT, UPDATE, DELETE ON "
		"projection_checkpoints, subscription_leases, dead_letter_queue, "
		"projection_segments TO unseeing; GRANT USAGE ON ALL SEQUENCES IN SCHEMA "
		"unseeing TO unseeing");
	must(tide_store_open(url, NULL, &store, err));
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	must(tide_checkpoints_save(checkpoints, "orders", &progress, err));
	must(tide_checkpoints_rewind(checkpoints, "orders", 5, NULL, err));
	must(tide_checkpoints_load(checkpoints, "orders", &row, err));
	assert_int_equal(row.position, 5);
	must(tide_checkpoints_reset(checkpoints, "orders", err));
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(checkpoints, "orders", &row, err));
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
}

static void a_database_without_utf8_is_asked_in_ascii(void **state)
{
	(void)state;
	for (int i = 0; i < PG_STATEMENT_COUNT; i++)
		for (const char *at = pg_statement_text((enum pg_statement)i); *at; at++)
			assert_true((unsigned char)*at < 0x80);
	postgres_sql("public", "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE "
			       "'C' TEMPLATE template0");
	void *store = backend_opened("postgresql:///latin"), *session = session_opened(store);
	PGconn *writer = sql_connect("dbname=latin");
	sql_run(writer, "BEGIN; SELECT nextval('events_global_position_seq')");
	appended(store, stream_of("Order", 1), "{}");
	bool is_told = false;
	must(STORE->examine(session, note_finding, &is_told, err));
	assert_true(is_told);
	PQfinish(writer);
	STORE->session_close(session);
	STORE->close(store);
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_without_its_uniqueness_are_refused_naming_it),
		cmocka_unit_test(an_invalid_index_is_no_uniqueness_and_another_name_is_as_good),
		cmocka_unit_test(what_is_no_race_is_reported_at_once_with_its_sqlstate),
		cmocka_unit_test(a_server_that_has_no_connection_left_is_busy),
		cmocka_unit_test(transactions_that_may_not_write_are_busy),
		cmocka_unit_test(a_race_that_a_trigger_alleges_is_tried_again_a_few_times_only),
		cmocka_unit_test(a_serialization_failure_that_passes_is_tried_again),
		cmocka_unit_test(a_repetition_is_a_success_whatever_a_trigger_says),
		cmocka_unit_test(an_event_that_a_trigger_leaves_out_is_reported),
		cmocka_unit_test(a_race_is_known_by_constraints_that_were_renamed),
		cmocka_unit_test(a_sequence_behind_the_events_is_refused_with_what_mends_it),
		cmocka_unit_test(
			events_whose_position_draws_from_no_sequence_are_refused_naming_it),
		cmocka_unit_test(tables_whose_id_has_no_default_are_refused_naming_them),
		cmocka_unit_test(columns_of_another_type_are_refused_naming_what_mends_them),
		cmocka_unit_test(tables_that_inherit_from_events_are_refused_naming_them),
		cmocka_unit_test(a_table_that_is_changed_costs_nobody_a_statement),
		cmocka_unit_test(a_scan_goes_on_where_it_was_when_its_table_is_changed),
		cmocka_unit_test(a_transaction_that_a_changed_table_broke_can_be_repeated),
		cmocka_unit_test(a_database_without_utf8_is_asked_in_ascii),
		cmocka_unit_test(a_role_without_a_journal_is_refused_and_breaks_no_transaction),
		cmocka_unit_test(a_role_that_may_not_see_groups_moves_what_has_no_lanes),
	};
	int failed = cmocka_run_group_tests_name("postgres_errors", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

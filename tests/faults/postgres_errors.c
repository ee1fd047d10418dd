/* SPDX-License-Identifier: Apache-2.0 */
/* What PostgreSQL refuses, and databases that are not as they must be: told apart, reported at once, by name. */
#include <stdio.h>
#include <string.h>

#include "postgres_tools.h"

/* ---- Uniqueness ------------------------------------------------------------------------------------------------ */

/* Make `events` anew with the given constraints; its sequence stays. */
static struct tide_error refused_events(const char *constraints)
{
	char sql[1200];
	snprintf(sql, sizeof sql,
		 "ALTER SEQUENCE IF EXISTS events_global_position_seq OWNED BY NONE; DROP TABLE events; CREATE TABLE "
		 "events ("
		 "global_position BIGINT NOT NULL DEFAULT nextval('events_global_position_seq'), event_id UUID NOT "
		 "NULL, aggregate_id UUID NOT NULL, aggregate_type VARCHAR(255) NOT NULL, event_type VARCHAR(255) NOT "
		 "NULL, tenant_id UUID, actor_id VARCHAR(255), version INTEGER NOT NULL, \"timestamp\" TIMESTAMPTZ NOT "
		 "NULL, payload JSON NOT NULL, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), event_version INTEGER, "
		 "correlation_id UUID, causation_id UUID, metadata JSON, %s; "
		 "ALTER SEQUENCE events_global_position_seq OWNED BY events.global_position",
		 constraints);
	postgres_sql("keys", sql);
	void *store = NULL;
	struct tide_error why = refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=keys", false, &store, err));
	struct tide_error again = refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=keys", true, &store, err));
	assert_string_equal(why.message, again.message);
	return why;
}

static void events_without_its_uniqueness_are_refused_naming_it(void **state)
{
	(void)state;
	STORE->close(backend_opened("postgresql:///?schema=keys"));
	struct tide_error why = refused_events("PRIMARY KEY (global_position), UNIQUE (event_id))");
	must_mention(&why, "UNIQUE (aggregate_id, aggregate_type, version)");
	why = refused_events("PRIMARY KEY (global_position), UNIQUE (aggregate_id, aggregate_type, version))");
	must_mention(&why, "UNIQUE (event_id)");
	must_mention(&why, "ALTER TABLE \"keys\".events ADD UNIQUE (event_id)");
	why = refused_events("PRIMARY KEY (global_position), UNIQUE (event_id) DEFERRABLE, UNIQUE (aggregate_id, "
			     "aggregate_type, version))");
	must_mention(&why, "UNIQUE (event_id)");
	why = refused_events(
		"PRIMARY KEY (global_position, \"timestamp\"), UNIQUE (event_id, \"timestamp\"), UNIQUE "
		"(aggregate_id, aggregate_type, version, \"timestamp\")) PARTITION BY RANGE (\"timestamp\")");
	must_mention(&why, "table 'events'");
	must_mention(&why, "UNIQUE (global_position)");
}

/* CREATE INDEX CONCURRENTLY that failed leaves an index that refuses nothing for certain. */
static void an_invalid_index_is_no_uniqueness_and_another_name_is_as_good(void **state)
{
	(void)state;
	void *store;
	STORE->close(backend_opened("postgresql:///?schema=indexed"));
	postgres_sql("indexed",
		     "ALTER TABLE events DROP CONSTRAINT events_event_id_key; CREATE UNIQUE INDEX mine ON events "
		     "(event_id) INCLUDE (version); UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
		     "'mine'::regclass");
	struct tide_error why = refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=indexed", true, &store, err));
	must_mention(&why, "UNIQUE (event_id)");
	postgres_sql("indexed", "REINDEX INDEX mine");
	must(backend_open("postgresql:///?schema=indexed", false, &store, err));
	STORE->close(store);
}

/* ---- Errors of an append --------------------------------------------------------------------------------------- */

/* A trigger of the owner: events whose payload names an SQLSTATE meet it, "drop" leaves them out without a word. */
static const char strict_trigger[] =
	"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.payload->>'code' = 'drop' THEN "
	"RETURN NULL; ELSIF NEW.payload->>'code' IS NOT NULL THEN RAISE EXCEPTION 'no such luck' USING ERRCODE = "
	"NEW.payload->>'code'; END IF; RETURN NEW; END $$; CREATE TRIGGER strict BEFORE INSERT ON events FOR EACH ROW "
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
		struct tide_error why = refused(errors[i].status, append_event(store, &event, TIDE_ANY, &result, err));
		must_mention(&why, "no such luck");
		must_mention(&why, errors[i].code);
		why = refused(errors[i].status, append_event(store, &event, TIDE_NO_STREAM, &result, err));
		burnt += 2;
	}
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, burnt + 1);
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
	void *store = backend_opened("postgresql:///?schema=left_out"), *session = session_opened(store);
	postgres_sql("left_out", strict_trigger);
	struct tide_event event = event_made(stream_of("Order", 1), "{\"code\": \"drop\"}");
	struct tide_append_result result;
	struct tide_error why = refused(TIDE_STATE, append_event(store, &event, TIDE_ANY, &result, err));
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
	postgres_sql("renamed",
		     "ALTER TABLE events RENAME CONSTRAINT events_event_id_key TO mine; "
		     "ALTER TABLE events ADD CONSTRAINT yours UNIQUE (version, aggregate_id, aggregate_type); "
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
	postgres_sql("behind",
		     "INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, event_type, "
		     "version, timestamp, payload) SELECT n, gen_random_uuid(), gen_random_uuid(), 'Copied', "
		     "'Came', 1, now(), '{}' FROM generate_series(2, 2000) n");
	struct tide_error why = refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=behind", false, &second, err));
	must_mention(&why, "SELECT setval('behind.events_global_position_seq', 2000)");
	refused(TIDE_SCHEMA, backend_open("postgresql:///?schema=behind", true, &second, err));
	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_append_result result;
	why = refused(TIDE_SCHEMA, append_event(store, &event, TIDE_ANY, &result, err));
	must_mention(&why, "setval");
	PGconn *connection = sql_connect("");
	assert_int_equal(sql_number(connection, "SELECT last_value FROM behind.events_global_position_seq"), 2);
	PQfinish(connection);
	postgres_sql("behind", "SELECT setval('behind.events_global_position_seq', 2000)");
	assert_int_equal(appended(store, stream_of("Order", 1), "{}").first_position, 2001);
	must(backend_open("postgresql:///?schema=behind", false, &second, err));
	STORE->close(second);
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
		cmocka_unit_test(a_repetition_is_a_success_whatever_a_trigger_says),
		cmocka_unit_test(an_event_that_a_trigger_leaves_out_is_reported),
		cmocka_unit_test(a_race_is_known_by_constraints_that_were_renamed),
		cmocka_unit_test(a_sequence_behind_the_events_is_refused_with_what_mends_it),
	};
	int failed = cmocka_run_group_tests_name("postgres_errors", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What correctness stands on and is changed while stores are open, rows that a policy hides, and
 * tables that a crash empties. */
#include <stdio.h>
#include <string.h>

#include "postgres_tools.h"

static tide_status append_again(void *store, struct tide_error *err)
{
	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_append_result result;
	return append_event(store, &event, TIDE_ANY, &result, err);
}

/* Append until it is refused. */
static struct tide_error refused_in_the_end(void *store)
{
	struct tide_error why = { 0 };
	wait_for(60, append_again(store, &why) != TIDE_OK);
	assert_int_equal(why.status, TIDE_SCHEMA);
	return why;
}

/* ---- Changes while stores are open ----------------------------------------------------------- */

#define EVENTS_COPY                                                                                \
	"BEGIN; CREATE TABLE swapped (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS); "     \
	"INSERT INTO swapped SELECT * FROM events; ALTER SEQUENCE events_global_position_seq "     \
	"OWNED BY swapped.global_position; ALTER TABLE events RENAME TO old; ALTER TABLE "         \
	"swapped RENAME TO events; ALTER TABLE events ADD UNIQUE (global_position), ADD UNIQUE "   \
	"(aggregate_id, aggregate_type, version); COMMIT"

static const struct {
	const char *what, *named, *mended;
} changes[] = {
	{ "ALTER TABLE events DROP CONSTRAINT events_event_id_key", "UNIQUE (event_id)",
	  "ALTER TABLE events ADD UNIQUE (event_id)" },
	{ "ALTER TABLE events DROP CONSTRAINT uq_events_aggregate_version",
	  "UNIQUE (aggregate_id, aggregate_type, version)",
	  "ALTER TABLE events ADD UNIQUE (version, aggregate_type, aggregate_id)" },
	{ "ALTER TABLE projection_checkpoints DROP CONSTRAINT projection_checkpoints_pkey",
	  "UNIQUE (projection_name)",
	  "ALTER TABLE projection_checkpoints ADD PRIMARY KEY (projection_name)" },
	{ "ALTER TABLE events ALTER payload DROP NOT NULL", "'payload'",
	  "ALTER TABLE events ALTER payload SET NOT NULL" },
	{ "ALTER TABLE events ALTER event_version TYPE text", "'event_version'",
	  "ALTER TABLE events ALTER event_version TYPE integer USING event_version::integer" },
	{ "ALTER TABLE events ALTER global_position SET DEFAULT "
	  "nextval('changed.events_global_position_seq') + 0",
	  "SET DEFAULT nextval",
	  "ALTER TABLE events ALTER global_position SET DEFAULT "
	  "nextval('changed.events_global_position_seq')" },
	{ "ALTER SEQUENCE events_global_position_seq CACHE 20", "CACHE 20",
	  "ALTER SEQUENCE events_global_position_seq CACHE 1" },
	{ "CREATE TABLE heir () INHERITS (events)", "changed.heir", "DROP TABLE heir" },
	{ "ALTER TABLE dead_letter_queue ENABLE ROW LEVEL SECURITY", "'dead_letter_queue'",
	  "ALTER TABLE dead_letter_queue DISABLE ROW LEVEL SECURITY" },
	{ EVENTS_COPY, "UNIQUE (event_id)", "ALTER TABLE events ADD UNIQUE (event_id)" },
};

static void what_is_taken_from_the_tables_of_an_open_store_is_missed(void **state)
{
	(void)state;
	STORE->close(backend_opened("postgresql:///?schema=changed"));
	postgres_sql("changed",
		     "CREATE ROLE changer LOGIN; GRANT ALL ON SCHEMA changed TO changer; "
		     "GRANT ALL ON ALL TABLES IN SCHEMA changed TO changer; "
		     "GRANT ALL ON ALL SEQUENCES IN SCHEMA changed TO changer");
	void *store = backend_opened("postgresql:///?schema=changed&user=changer");
	must(append_again(store, err));
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		postgres_sql("changed", changes[i].what);
		if (strstr(changes[i].what, "CREATE TABLE swapped"))
			postgres_sql("changed", "GRANT ALL ON events TO changer");
		struct tide_error why = refused_in_the_end(store);
		must_mention(&why, changes[i].named);
		why = refused(TIDE_SCHEMA, append_again(store, err));
		must_mention(&why, changes[i].named);
		postgres_sql("changed", changes[i].mended);
		must(append_again(store, err));
	}
	STORE->close(store);
}

static void a_domain_that_takes_null_again_is_missed(void **state)
{
	(void)state;
	STORE->close(backend_opened("postgresql:///?schema=domained"));
	postgres_sql("domained", "CREATE DOMAIN id AS uuid NOT NULL; ALTER TABLE events ALTER "
				 "event_id DROP NOT NULL, ALTER event_id TYPE id");
	void *store = backend_opened("postgresql:///?schema=domained");
	must(append_again(store, err));
	postgres_sql("domained", "ALTER DOMAIN id DROP NOT NULL");
	struct tide_error why = refused_in_the_end(store);
	must_mention(&why, "'event_id'");
	postgres_sql("domained", "ALTER DOMAIN id SET NOT NULL");
	must(append_again(store, err));
	STORE->close(store);
}

/* The same ids once more, as an import that is repeated: none of them may be stored twice. */
static void an_import_that_loses_its_key_stores_nothing_twice(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=imported");
	struct tide_event events[3];
	struct tide_append_result result;
	for (int i = 0; i < 3; i++) {
		events[i] = event_made(stream_of("Order", 1), "{}");
		must(append_event(store, &events[i], TIDE_ANY, &result, err));
	}
	postgres_sql("imported", "ALTER TABLE events DROP CONSTRAINT events_event_id_key");
	refused_in_the_end(store);
	for (int i = 0; i < 3; i++)
		refused(TIDE_SCHEMA, append_event(store, &events[i], TIDE_ANY, &result, err));
	assert_int_equal(sql_asked("SELECT count(*) - count(DISTINCT event_id) FROM "
				   "imported.events"),
			 0);
	STORE->close(store);
}

static void a_new_connection_looks_before_it_appends(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=anew&pool=1");
	for (int i = 0; i < 5; i++) {
		must(append_again(store, err));
		postgres_sql("anew", "ALTER TABLE events DROP CONSTRAINT events_event_id_key");
		postgres_terminate_all();
		struct tide_error why = refused(TIDE_SCHEMA, append_again(store, err));
		must_mention(&why, "UNIQUE (event_id)");
		postgres_sql("anew", "ALTER TABLE events ADD CONSTRAINT events_event_id_key "
				     "UNIQUE (event_id)");
	}
	must(append_again(store, err));
	STORE->close(store);
}

static void a_plan_that_a_change_has_outdated_is_a_reason_to_look(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=planned&pool=1");
	for (int i = 0; i < 5; i++) {
		must(append_again(store, err));
		postgres_sql("planned", "ALTER TABLE events ALTER version TYPE bigint");
		struct tide_error why = refused(TIDE_SCHEMA, append_again(store, err));
		must_mention(&why, "'version'");
		postgres_sql("planned", "ALTER TABLE events ALTER version TYPE integer");
	}
	must(append_again(store, err));
	STORE->close(store);
}

static tide_status read_again(void *session, struct tide_page *page, struct tide_error *err)
{
	return feed_read(session, page, 0, 10, err);
}

static void readers_miss_what_is_taken_while_they_wait_for_events(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=polled"),
	     *session = session_opened(store);
	struct tide_error why = { 0 };
	struct tide_page page;
	tide_page_init(&page);
	must(append_again(store, err));
	must(read_again(session, &page, err));
	postgres_sql("polled", "ALTER TABLE events DROP CONSTRAINT events_event_id_key");
	wait_for(60, read_again(session, &page, &why) != TIDE_OK);
	assert_int_equal(why.status, TIDE_SCHEMA);
	must_mention(&why, "UNIQUE (event_id)");
	postgres_sql("polled", "ALTER TABLE events ADD UNIQUE (event_id)");
	must(read_again(session, &page, err));
	assert_int_equal(page.count, 1);
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

/* What is read in binary would be other values until the next look. */
static void a_reader_whose_plan_is_outdated_looks_before_it_reads(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=retyped"),
	     *session = session_opened(store);
	struct tide_event event = event_made(stream_of("Order", 1), "{}");
	struct tide_append_result result;
	struct tide_page page;
	tide_page_init(&page);
	must(append_event(store, &event, TIDE_ANY, &result, err));
	for (int i = 0; i < 6; i++) {
		must(read_again(session, &page, err));
		must(STORE->find(session, &event.event_id, &page, err));
		assert_int_equal(page.entries[0].event.version, 1);
		postgres_sql("retyped", "ALTER TABLE events ALTER version TYPE bigint");
		struct tide_error why = refused(
			TIDE_SCHEMA, i % 2 ? read_again(session, &page, err)
					   : STORE->find(session, &event.event_id, &page, err));
		must_mention(&why, "'version'");
		postgres_sql("retyped", "ALTER TABLE events ALTER version TYPE integer");
	}
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

/* ---- Policies -------------------------------------------------------------------------------- */

static void tables_whose_rows_a_policy_hides_are_refused_naming_them(void **state)
{
	(void)state;
	static const char *const tables[] = { "events", "projection_checkpoints",
					      "dead_letter_queue", "subscription_leases",
					      "subscription_journal" };
	char sql[200];
	void *store;
	STORE->close(backend_opened("postgresql:///?schema=hidden"));
	postgres_sql("hidden", "CREATE ROLE partial LOGIN; GRANT USAGE ON SCHEMA hidden TO "
			       "partial; GRANT SELECT ON ALL TABLES IN SCHEMA hidden TO partial");
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		snprintf(sql, sizeof sql, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY", tables[i]);
		postgres_sql("hidden", sql);
		for (int initialize = 0; initialize < 2; initialize++) {
			struct tide_error why =
				refused(TIDE_SCHEMA,
					backend_open("postgresql:///?schema=hidden&user=partial",
						     initialize, &store, err));
			snprintf(sql, sizeof sql,
				 "ALTER TABLE \"hidden\".%s DISABLE ROW LEVEL SECURITY", tables[i]);
			must_mention(&why, sql);
			must_mention(&why, "'partial'");
		}
		must(backend_open("postgresql:///?schema=hidden", false, &store, err));
		STORE->close(store);
		snprintf(sql, sizeof sql, "ALTER TABLE %s DISABLE ROW LEVEL SECURITY", tables[i]);
		postgres_sql("hidden", sql);
	}
	postgres_sql("hidden", "ALTER TABLE events ENABLE ROW LEVEL SECURITY; ALTER ROLE partial "
			       "BYPASSRLS");
	must(backend_open("postgresql:///?schema=hidden&user=partial", false, &store, err));
	STORE->close(store);
}

/* ---- What doctor says ------------------------------------------------------------------------ */

/** What an examination said of a table. */
struct told {
	const char *table;
	bool is_problem, is_notice, has_advice;
};

static void note_told(void *self, enum tide_finding_level level, const char *check,
		      const char *advice, const char *finding)
{
	struct told *told = self;
	if (strcmp(check, "tables") != 0 || !strstr(finding, told->table))
		return;
	told->is_problem |= level == TIDE_FINDING_PROBLEM;
	told->is_notice |= level == TIDE_FINDING_NOTICE;
	told->has_advice |= strstr(advice, "SET LOGGED") || strstr(advice, "DISABLE ROW LEVEL");
}

static struct told examined(void *session, const char *table)
{
	struct told told = { .table = table };
	must(STORE->examine(session, note_told, &told, err));
	return told;
}

static void doctor_names_tables_that_a_crash_empties_or_whose_rows_are_hidden(void **state)
{
	(void)state;
	void *store = backend_opened("postgresql:///?schema=logged"),
	     *session = session_opened(store);
	assert_false(examined(session, "'events'").is_problem);
	postgres_sql("logged", "ALTER TABLE events SET UNLOGGED; ALTER TABLE "
			       "projection_checkpoints SET UNLOGGED; ALTER TABLE snapshots ENABLE "
			       "ROW LEVEL SECURITY");
	struct told told = examined(session, "'events'");
	assert_true(told.is_problem && told.has_advice);
	told = examined(session, "'projection_checkpoints'");
	assert_true(told.is_problem && told.has_advice);
	told = examined(session, "'snapshots'");
	assert_true(told.is_notice && told.has_advice && !told.is_problem);
	assert_false(examined(session, "'dead_letter_queue'").is_problem);
	STORE->session_close(session);
	STORE->close(store);
}

int main(void)
{
	if (!postgres_start())
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_from_the_tables_of_an_open_store_is_missed),
		cmocka_unit_test(a_domain_that_takes_null_again_is_missed),
		cmocka_unit_test(an_import_that_loses_its_key_stores_nothing_twice),
		cmocka_unit_test(a_new_connection_looks_before_it_appends),
		cmocka_unit_test(a_plan_that_a_change_has_outdated_is_a_reason_to_look),
		cmocka_unit_test(readers_miss_what_is_taken_while_they_wait_for_events),
		cmocka_unit_test(a_reader_whose_plan_is_outdated_looks_before_it_reads),
		cmocka_unit_test(tables_whose_rows_a_policy_hides_are_refused_naming_them),
		cmocka_unit_test(doctor_names_tables_that_a_crash_empties_or_whose_rows_are_hidden),
	};
	int failed = cmocka_run_group_tests_name("postgres_looks", tests, NULL, NULL);
	postgres_stop();
	return failed;
}

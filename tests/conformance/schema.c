/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are not what they should be: refused by name, or completed when asked to. */
#include <stdatomic.h>
#include <stdio.h>

#include "conformance/cases.h"
#include "lib/wait.h"

static const char *const tables[] = { "events", "projection_checkpoints", "dead_letter_queue",
				      "snapshots", "subscription_leases" };

static void database_without_a_table_is_refused_naming_it(struct fixture *f)
{
	char sql[100];
	struct tide_store *store;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		snprintf(sql, sizeof sql, "DROP TABLE %s", tables[i]);
		fixture_sql(f, sql);
		struct tide_error why =
			refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
		must_mention(&why, tables[i]);
		must(tide_store_open(f->url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
		tide_store_close(store);
		must(tide_store_open(f->url, NULL, &store, err));
		tide_store_close(store);
	}
}

static void missing_nullable_columns_are_added_when_asked(struct fixture *f)
{
	static const char *const columns[] = { "event_version", "correlation_id", "causation_id",
					       "metadata" };
	char sql[100];
	append_one(f->store, stream_of("Order", 1), "A");
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		snprintf(sql, sizeof sql, "ALTER TABLE events DROP COLUMN %s", columns[i]);
		fixture_sql(f, sql);
	}
	fixture_sql(f, "ALTER TABLE projection_checkpoints DROP COLUMN global_position");
	struct tide_store *store;
	struct tide_error why = refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	must_mention(&why, "event_version");
	fixture_reopen(f);
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.events[0]->event_version, 1);
	append_one(f->store, stream_of("Order", 1), "B");
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 2 },
				   err));
}

static void database_of_an_earlier_version_works_and_is_completed_when_asked(struct fixture *f)
{
	static const char *const columns[][2] = {
		{ "projection_checkpoints", "anchor_position" },
		{ "projection_checkpoints", "anchor_event_id" },
		{ "dead_letter_queue", "parked_behind" },
		{ "snapshots", "last_event_id" },
		{ "subscription_leases", "lease_seconds" },
		{ "subscription_leases", "host" },
		{ "subscription_leases", "pid" },
		{ "subscription_leases", "last_error" },
		{ "subscription_leases", "last_error_at" },
		{ "subscription_leases", "reason" },
	};
	char sql[120];
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		snprintf(sql, sizeof sql, "ALTER TABLE %s DROP COLUMN %s", columns[i][0],
			 columns[i][1]);
		fixture_sql(f, sql);
	}
	fixture_sql(f, "DROP TABLE projection_versions");
	fixture_sql(f, "DROP TABLE projection_segments");
	fixture_sql(f, "DROP TABLE projection_rebuilds");
	fixture_sql(f, "DROP TABLE subscription_controls");
	fixture_sql(f, "DROP TABLE subscription_journal");
	fixture_sql(f, "DROP TABLE subscription_groups");
	fixture_sql(f, "DROP TABLE subscription_members");
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	must(tide_store_open(f->url, NULL, &store, err));
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	append_one(store, stream_of("Order", 1), "A");
	must(tide_checkpoints_save(checkpoints, "p", &(struct tide_progress){ .position = 1 },
				   err));
	struct tide_error why =
		refused(TIDE_UNSUPPORTED, tide_control_pause(checkpoints, "p", NULL, NULL, err));
	must_mention(&why, "complete it with 'tide init'");
	struct tide_control *controls;
	struct tide_journal_entry *journal;
	size_t count;
	must(tide_controls_list(checkpoints, &controls, &count, err));
	assert_int_equal(count, 0);
	tide_free(controls);
	must(tide_journal_list(checkpoints, NULL, 0, &journal, &count, err));
	assert_int_equal(count, 0);
	tide_free(journal);
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
	fixture_reopen(f);
	must(tide_control_pause(f->checkpoints, "p", NULL, NULL, err));
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		snprintf(sql, sizeof sql, "UPDATE %s SET %s = NULL", columns[i][0], columns[i][1]);
		fixture_sql(f, sql);
	}
	fixture_sql(f, "DELETE FROM projection_versions");
	fixture_sql(f, "DELETE FROM projection_rebuilds");
}

static void database_without_a_required_column_is_refused_naming_it(struct fixture *f)
{
	fixture_sql(f, "ALTER TABLE dead_letter_queue DROP COLUMN error_message");
	struct tide_store *store;
	struct tide_error why = refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	must_mention(&why, "error_message");
}

/* A copy has the columns and the rows, and nothing that refuses a second row. */
static void database_whose_tables_lack_uniqueness_is_refused_naming_it(struct fixture *f)
{
	static const char *const keys[] = { "events", "projection_name", "event_id", "aggregate_id",
					    "name" };
	char sql[200];
	struct tide_store *store;
	append_one(f->store, stream_of("Order", 1), "A");
	for (size_t i = sizeof tables / sizeof *tables; i-- > 0;) {
		snprintf(sql, sizeof sql,
			 "CREATE TABLE copied AS SELECT * FROM %s; DROP TABLE %s; ALTER TABLE "
			 "copied RENAME TO %s",
			 tables[i], tables[i], tables[i]);
		fixture_sql(f, sql);
		struct tide_error why =
			refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
		must_mention(&why, tables[i]);
		must_mention(&why, keys[i]);
		why = refused(TIDE_SCHEMA,
			      tide_store_open(f->url, TIDE_STORE_OPTIONS(.initialize = true),
					      &store, err));
		must_mention(&why, tables[i]);
		why = refused(TIDE_SCHEMA,
			      tide_store_open(f->url, TIDE_STORE_OPTIONS(.read_only = true), &store,
					      err));
		must_mention(&why, tables[i]);
		snprintf(sql, sizeof sql, "DROP TABLE %s", tables[i]);
		fixture_sql(f, sql);
		must(tide_store_open(f->url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
		tide_store_close(store);
	}
}

static tide_status append_again(struct fixture *f, struct tide_error *err)
{
	struct tide_new_event event = event_of("A", 1);
	struct tide_append_result result;
	return tide_store_append(f->store,
				 &(struct tide_append){ .stream = stream_of("Order", 1),
							.expected = TIDE_ANY,
							.events = &event,
							.count = 1 },
				 &result, err);
}

/* Appends to a store that is open are refused as its opening would be, soon after the change, and
 * go on once it is mended. */
static void open_store_misses_what_is_taken_from_its_tables(struct fixture *f)
{
	char sql[200];
	must(append_again(f, err));
	for (size_t i = 1; i < sizeof tables / sizeof *tables; i++) {
		struct tide_error why = { 0 };
		snprintf(sql, sizeof sql,
			 "ALTER TABLE %s RENAME TO kept; CREATE TABLE %s AS SELECT * FROM kept",
			 tables[i], tables[i]);
		fixture_sql(f, sql);
		wait_for(60, append_again(f, &why) != TIDE_OK);
		assert_int_equal(why.status, TIDE_SCHEMA);
		must_mention(&why, tables[i]);
		why = refused(TIDE_SCHEMA, append_again(f, err));
		must_mention(&why, tables[i]);
		snprintf(sql, sizeof sql, "DROP TABLE %s; ALTER TABLE kept RENAME TO %s", tables[i],
			 tables[i]);
		fixture_sql(f, sql);
		must(append_again(f, err));
	}
}

/* An index is as good as a constraint, whatever its name and the order of its columns, if it is
 * over all rows. */
#define SNAPSHOT_COLUMNS                                                                           \
	"aggregate_id UUID NOT NULL, aggregate_type TEXT NOT NULL, version INTEGER NOT NULL, "     \
	"schema_version INTEGER NOT NULL DEFAULT 1, state TEXT NOT NULL, "                         \
	"created_at TIMESTAMPTZ NOT NULL DEFAULT '2024-01-01')"
static void any_unique_index_over_all_rows_will_do(struct fixture *f)
{
	const char *make = f->quirks->has_text_columns
				   ? "DROP TABLE snapshots; CREATE TABLE snapshots (id INTEGER "
				     "PRIMARY KEY, " SNAPSHOT_COLUMNS
				   : "DROP TABLE snapshots; CREATE TABLE snapshots (id BIGSERIAL "
				     "PRIMARY KEY, " SNAPSHOT_COLUMNS;
	struct tide_store *store;
	fixture_sql(f, make);
	struct tide_error why = refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	must_mention(&why, "UNIQUE (aggregate_id, aggregate_type)");
	fixture_sql(f, "CREATE UNIQUE INDEX partly ON snapshots (aggregate_type, aggregate_id) "
		       "WHERE version > 0");
	refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	fixture_sql(
		f,
		"CREATE UNIQUE INDEX wider ON snapshots (aggregate_type, aggregate_id, version)");
	refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	fixture_sql(f, "CREATE UNIQUE INDEX folded ON snapshots (aggregate_type, aggregate_id, "
		       "(lower(state)))");
	refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	fixture_sql(f, "CREATE INDEX plain ON snapshots (aggregate_type, aggregate_id)");
	refused(TIDE_SCHEMA, tide_store_open(f->url, NULL, &store, err));
	fixture_sql(f, "CREATE UNIQUE INDEX whole ON snapshots (aggregate_type, aggregate_id)");
	must(tide_store_open(f->url, NULL, &store, err));
	tide_store_close(store);
}

/** Tables made elsewhere, all of whose columns are as they must be; %s is the type of a key that
 * numbers rows. SQLite takes any name of a type. */
static const struct made_elsewhere {
	const char *table, *columns;
} made_elsewhere[] = {
	{ "events",
	  "global_position %s, event_id UUID NOT NULL UNIQUE, aggregate_id UUID NOT NULL, "
	  "aggregate_type TEXT NOT NULL, event_type TEXT NOT NULL, tenant_id UUID, actor_id TEXT, "
	  "version INTEGER NOT NULL, timestamp TIMESTAMPTZ NOT NULL, payload TEXT NOT NULL, "
	  "created_at TIMESTAMPTZ NOT NULL DEFAULT '2024-01-01', event_version INTEGER, "
	  "correlation_id UUID, "
	  "causation_id UUID, metadata TEXT, UNIQUE (aggregate_id, aggregate_type, version)" },
	{ "dead_letter_queue",
	  "id %s, event_id UUID NOT NULL, projection_name TEXT NOT NULL, event_type TEXT, "
	  "event_data TEXT, error_message TEXT, error_stacktrace TEXT, retry_count INTEGER, "
	  "first_failed_at TIMESTAMPTZ, last_failed_at TIMESTAMPTZ, status TEXT, resolved_at "
	  "TIMESTAMPTZ, "
	  "resolved_by TEXT, UNIQUE (event_id, projection_name)" },
	{ "snapshots",
	  "id %s, aggregate_id UUID NOT NULL, aggregate_type TEXT NOT NULL, version INTEGER, "
	  "schema_version INTEGER, state TEXT, created_at TIMESTAMPTZ, "
	  "UNIQUE (aggregate_id, aggregate_type)" },
	{ "subscription_leases",
	  "id %s, name TEXT NOT NULL UNIQUE, owner TEXT, epoch BIGINT, acquired_at TIMESTAMPTZ, "
	  "released_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, suspect_position BIGINT, "
	  "suspect_deaths INTEGER" },
};
#define REQUIRED " NOT NULL"

/* What stands at `at` is REQUIRED, and left out; NULL: nothing is. */
static void make_elsewhere(struct fixture *f, const struct made_elsewhere *made, const char *at)
{
	const char *end = made->columns + strlen(made->columns), *name = at ? at : end;
	char format[800], sql[900];
	snprintf(format, sizeof format, "DROP TABLE %s; CREATE TABLE %s (%.*s%s)", made->table,
		 made->table, (int)(name - made->columns), made->columns,
		 at ? at + strlen(REQUIRED) : "");
	char *type = strstr(format, "%s");
	snprintf(sql, sizeof sql, "%.*s%s%s", (int)(type - format), format,
		 f->quirks->has_text_columns ? "INTEGER PRIMARY KEY" : "BIGSERIAL PRIMARY KEY",
		 type + 2);
	fixture_sql(f, sql);
}

static void must_be_refused(struct fixture *f, const char *table, const char *column)
{
	for (int way = 0; way < 3; way++) {
		struct tide_store *store;
		struct tide_error why = refused(
			TIDE_SCHEMA, tide_store_open(f->url,
						     TIDE_STORE_OPTIONS(.initialize = way == 1,
									.read_only = way == 2),
						     &store, err));
		must_mention(&why, table);
		must_mention(&why, column);
		must_mention(&why, "NOT NULL");
	}
}

/* A row without an id, a version or a name is outside of every uniqueness. */
static void database_whose_columns_may_be_null_is_refused_naming_them(struct fixture *f)
{
	struct tide_store *store;
	for (size_t i = 0; i < sizeof made_elsewhere / sizeof *made_elsewhere; i++) {
		const struct made_elsewhere *made = &made_elsewhere[i];
		size_t count = 0;
		for (const char *at = made->columns; (at = strstr(at, REQUIRED)); at++, count++) {
			const char *begin = at, *end;
			while (begin[-2] != ',')
				begin--;
			end = strchr(begin, ' ');
			char column[40];
			snprintf(column, sizeof column, "'%.*s'", (int)(end - begin), begin);
			make_elsewhere(f, made, at);
			must_be_refused(f, made->table, column);
		}
		assert_true(count > 0);
		make_elsewhere(f, made, NULL);
		must(tide_store_open(f->url, NULL, &store, err));
		tide_store_close(store);
	}
}

/** Threads that all initialise one database. */
struct initialisers {
	const char *url;
	atomic_int wrong;
};

static void initialisers_run(void *self, size_t index)
{
	(void)index;
	struct initialisers *initialisers = self;
	struct tide_store *store;
	if (tide_store_open(initialisers->url, TIDE_STORE_OPTIONS(.initialize = true), &store,
			    NULL) != TIDE_OK)
		atomic_fetch_add(&initialisers->wrong, 1);
	else
		tide_store_close(store);
}

static void initialising_at_once_is_safe_and_changes_nothing_twice(struct fixture *f)
{
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		char sql[100];
		snprintf(sql, sizeof sql, "DROP TABLE %s", tables[i]);
		fixture_sql(f, sql);
	}
	struct initialisers initialisers = { .url = f->url };
	race_to(6, initialisers_run, &initialisers);
	assert_int_equal(initialisers.wrong, 0);
	fixture_reopen(f);
	append_one(f->store, stream_of("Order", 1), "A");
	race_to(6, initialisers_run, &initialisers);
	assert_int_equal(initialisers.wrong, 0);
	assert_int_equal(version_of(f->store, stream_of("Order", 1)), 1);
}

const struct test_case schema_cases[] = {
	CASE_NEEDS(database_without_a_table_is_refused_naming_it, NEEDS_SQL),
	CASE_NEEDS(missing_nullable_columns_are_added_when_asked, NEEDS_SQL),
	CASE_NEEDS(database_of_an_earlier_version_works_and_is_completed_when_asked, NEEDS_SQL),
	CASE_NEEDS(database_without_a_required_column_is_refused_naming_it, NEEDS_SQL),
	CASE_NEEDS(database_whose_tables_lack_uniqueness_is_refused_naming_it, NEEDS_SQL),
	CASE_NEEDS(open_store_misses_what_is_taken_from_its_tables, NEEDS_SQL),
	CASE_NEEDS(any_unique_index_over_all_rows_will_do, NEEDS_SQL),
	CASE_NEEDS(database_whose_columns_may_be_null_is_refused_naming_them, NEEDS_SQL),
	CASE_NEEDS(initialising_at_once_is_safe_and_changes_nothing_twice, NEEDS_SQL),
	CASES_END,
};

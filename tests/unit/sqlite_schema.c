/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static void open_without_a_file_says_to_initialise_and_makes_none(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct stat info;
	void *store = NULL;
	assert_status(TIDE_SCHEMA, fixture_try_open(fixture->database, "", NULL, &store, &err));
	assert_says(&err, "tide init");
	assert_null(store);
	assert_status(TIDE_SCHEMA,
		      fixture_try_open(fixture->database, "",
				       TIDE_STORE_OPTIONS(.read_only = true, .initialize = true),
				       &store, &err));
	assert_int_equal(stat(fixture->database, &info), -1);
}

static void open_without_a_table_names_it(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	STORE->close(fixture_open(fixture->database, ""));
	fixture_sql(fixture, "DROP TABLE snapshots");
	assert_status(TIDE_SCHEMA, fixture_try_open(fixture->database, "", NULL, &store, &err));
	assert_says(&err, "'snapshots'");
	STORE->close(fixture_open(fixture->database, ""));
	assert_ok(fixture_try_open(fixture->database, "", NULL, &store, &err));
	STORE->close(store);
}

static void open_without_a_nullable_column_names_it_and_initialising_adds_it(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	fixture_sql(fixture, "CREATE TABLE projection_checkpoints (projection_name TEXT PRIMARY "
			     "KEY, last_event_id TEXT, "
			     "last_event_type TEXT, last_processed_at TEXT, events_processed "
			     "INTEGER NOT NULL DEFAULT 0, "
			     "created_at TEXT NOT NULL DEFAULT (datetime('now')), "
			     "updated_at TEXT NOT NULL DEFAULT (datetime('now')))");
	STORE->close(fixture_open(fixture->database, ""));
	assert_int_equal(
		fixture_number(fixture,
			       "SELECT count(*) FROM pragma_table_info('projection_checkpoints') "
			       "WHERE name = 'global_position'"),
		1);
	fixture_sql(fixture, "ALTER TABLE events DROP COLUMN causation_id");
	assert_status(TIDE_SCHEMA, fixture_try_open(fixture->database, "", NULL, &store, &err));
	assert_says(&err, "'causation_id'");
	assert_says(&err, "'events'");
	STORE->close(fixture_open(fixture->database, ""));
	assert_ok(fixture_try_open(fixture->database, "", NULL, &store, &err));
	STORE->close(store);
}

static void open_without_a_required_column_is_refused_and_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	fixture_sql(fixture,
		    "CREATE TABLE events (global_position INTEGER PRIMARY KEY, event_id TEXT)");
	assert_status(TIDE_SCHEMA,
		      fixture_try_open(fixture->database, "",
				       TIDE_STORE_OPTIONS(.initialize = true), &store, &err));
	assert_says(&err, "'aggregate_id'");
	assert_int_equal(
		fixture_number(fixture, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"),
		1);
}

/* Positions come from the rowid; another key would leave them NULL, or make them something else. */
static void open_of_events_without_a_key_of_theirs_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		const char *position, *constraints, *says;
	} tables[] = {
		{ "INTEGER PRIMARY KEY AUTOINCREMENT", "UNIQUE (event_id)",
		  "UNIQUE (aggregate_id, aggregate_type, version)" },
		{ "INTEGER PRIMARY KEY AUTOINCREMENT",
		  "UNIQUE (version, aggregate_id, aggregate_type)", "UNIQUE (event_id)" },
		{ "BIGINT PRIMARY KEY",
		  "UNIQUE (event_id), UNIQUE (aggregate_id, aggregate_type, version)",
		  "INTEGER PRIMARY KEY (global_position)" },
		{ "INTEGER UNIQUE",
		  "UNIQUE (event_id), UNIQUE (aggregate_id, aggregate_type, version)",
		  "INTEGER PRIMARY KEY (global_position)" },
	};
	struct fixture *fixture = *state;
	struct tide_error err;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		char sql[800];
		void *store;
		snprintf(sql, sizeof sql,
			 "DROP TABLE IF EXISTS events; CREATE TABLE events (global_position %s, "
			 "event_id TEXT NOT "
			 "NULL, aggregate_id TEXT NOT NULL, aggregate_type TEXT NOT NULL, "
			 "event_type TEXT NOT NULL, "
			 "tenant_id TEXT, actor_id TEXT, version INTEGER NOT NULL, timestamp TEXT "
			 "NOT NULL, payload "
			 "TEXT "
			 "NOT NULL, created_at TEXT NOT NULL DEFAULT '', event_version INTEGER, "
			 "correlation_id TEXT, "
			 "causation_id TEXT, metadata TEXT, %s)",
			 tables[i].position, tables[i].constraints);
		fixture_sql(fixture, sql);
		assert_status(TIDE_SCHEMA, fixture_try_open(fixture->database, "",
							    TIDE_STORE_OPTIONS(.initialize = true),
							    &store, &err));
		assert_says(&err, "'events'");
		assert_says(&err, tables[i].says);
		assert_int_equal(
			fixture_number(
				fixture,
				"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
				"name NOT LIKE 'sqlite_%'"),
			1);
	}
}

static void more_columns_and_triggers_are_tolerated(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	STORE->close(fixture_open(fixture->database, ""));
	fixture_sql(fixture, "ALTER TABLE events ADD COLUMN extra TEXT; ALTER TABLE "
			     "projection_checkpoints ADD COLUMN note TEXT; "
			     "CREATE TRIGGER stamp AFTER UPDATE ON projection_checkpoints BEGIN "
			     "UPDATE projection_checkpoints SET "
			     "updated_at = '2020-02-03 04:05:06' WHERE projection_name = "
			     "NEW.projection_name; END");
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	struct tide_checkpoint_write write = { .name = "P",
					       .has_position = true,
					       .progress = { .position = 3, .count = 1 },
					       .now = tide_time_now() };
	assert_ok(CHECKPOINT->save(session, NULL, &write, &err));
	write.progress.position = 4;
	assert_ok(CHECKPOINT->save(session, NULL, &write, &err));
	struct tide_checkpoint row;
	assert_ok(CHECKPOINT->load(session, "P", &row, &err));
	assert_int_equal(row.position, 4);
	assert_int_equal(row.events_processed, 2);
	assert_int_equal(row.updated_at.unix_us, INT64_C(1580702706000000));
	STORE->session_close(session);
	STORE->close(store);
}

static int initialise(void *self)
{
	void *store;
	struct tide_error err;
	if (fixture_try_open(self, "", TIDE_STORE_OPTIONS(.initialize = true), &store, &err) !=
	    TIDE_OK) {
		fprintf(stderr, "initialise: %s\n", err.message);
		return 1;
	}
	STORE->close(store);
	return 0;
}

static void processes_may_initialise_at_once(void **state)
{
	struct fixture *fixture = *state;
	for (int round = 0; round < 5; round++) {
		char path[TEMP_PATH_SIZE + 16];
		pid_t children[4];
		snprintf(path, sizeof path, "%s/%d.db", fixture->directory, round);
		for (size_t i = 0; i < 4; i++)
			children[i] = fixture_fork(initialise, path);
		for (size_t i = 0; i < 4; i++)
			fixture_join(children[i]);
	}
}

static void a_file_that_is_no_database_is_corrupt(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	FILE *file = fopen(fixture->database, "w");
	assert_non_null(file);
	for (int i = 0; i < 2000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	assert_status(TIDE_CORRUPT, fixture_try_open(fixture->database, "", NULL, &store, &err));
	assert_status(TIDE_CORRUPT,
		      fixture_try_open(fixture->database, "",
				       TIDE_STORE_OPTIONS(.initialize = true), &store, &err));
	assert_int_equal(err.native, SQLITE_NOTADB);
}

/* The last page that a table or an index begins with: opening looks at those. */
static long last_root(const char *database)
{
	sqlite3 *native;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open(database, &native), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(native, "SELECT max(rootpage) FROM sqlite_schema", -1,
					    &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	long page = (long)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(native);
	return page;
}

static void a_damaged_file_is_corrupt_when_it_is_read(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	void *store = fixture_open(fixture->database, "");
	assert_ok(fixture_append(store, &aggregate, TIDE_ANY, 500, NULL, &err));
	STORE->close(store);
	FILE *file = fopen(fixture->database, "r+");
	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	long size = ftell(file);
	fseek(file, last_root(fixture->database) * 4096, SEEK_SET);
	while (ftell(file) < size)
		fputc(0x5a, file);
	fclose(file);
	assert_ok(fixture_try_open(fixture->database, "", NULL, &store, &err));
	void *session = fixture_session(store);
	struct tide_page page;
	tide_page_init(&page);
	assert_status(TIDE_CORRUPT, fixture_read(session, 0, 1000, &page, &err));
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

static void parameters_are_checked_by_name_and_value(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store;
	assert_status(TIDE_ARGUMENT, fixture_try_open(fixture->database, "?synchronous=maybe", NULL,
						      &store, &err));
	assert_says(&err, "'synchronous'");
	assert_says(&err, "'maybe'");
	assert_status(TIDE_ARGUMENT, fixture_try_open(fixture->database, "?projection_synchronous=",
						      NULL, &store, &err));
	assert_says(&err, "'projection_synchronous'");
	assert_status(TIDE_ARGUMENT,
		      fixture_try_open(fixture->database, "?category_index=2", NULL, &store, &err));
	assert_status(TIDE_ARGUMENT,
		      fixture_try_open(fixture->database, "?sync=full", NULL, &store, &err));
	assert_says(&err, "sync");
	STORE->close(
		fixture_open(fixture->database,
			     "?synchronous=normal&projection_synchronous=full&category_index=1"));
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM sqlite_schema WHERE name = "
						 "'idx_events_aggregate_type'"),
			 1);
}

static void a_path_is_kept_when_the_directory_changes(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	char before[200];
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(fixture->directory), 0);
	void *store = fixture_open("relative.db", "");
	assert_int_equal(chdir(before), 0);
	void *session = fixture_session(store);
	tide_position end;
	assert_ok(STORE->end(session, &end, &err));
	STORE->session_close(session);
	STORE->close(store);
}

static void read_only_reads_and_refuses_writes(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	void *store = fixture_open(fixture->database, "");
	assert_ok(fixture_append(store, &aggregate, TIDE_ANY, 2, NULL, &err));
	STORE->close(store);
	assert_ok(fixture_try_open(fixture->database, "", TIDE_STORE_OPTIONS(.read_only = true),
				   &store, &err));
	assert_status(TIDE_UNSUPPORTED, fixture_append(store, &aggregate, TIDE_ANY, 1, NULL, &err));
	void *session = fixture_session(store);
	tide_position end;
	assert_ok(STORE->end(session, &end, &err));
	assert_int_equal(end, 2);
	assert_status(TIDE_UNSUPPORTED, CHECKPOINT->reset(session, "P", &err));
	STORE->session_close(session);
	STORE->close(store);
}

/* By whom it is counts for nothing: SQLite counts the changes. */
static void an_index_that_is_dropped_while_it_is_used_is_missed_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	struct tide_page page;
	tide_page_init(&page);
	fixture_sql(fixture,
		    "CREATE TABLE snapshots (id INTEGER PRIMARY KEY, aggregate_id TEXT NOT NULL, "
		    "aggregate_type TEXT NOT NULL, version INTEGER NOT NULL, schema_version "
		    "INTEGER NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL); CREATE "
		    "UNIQUE INDEX mine ON snapshots (aggregate_id, aggregate_type)");
	void *store = fixture_open(fixture->database, ""), *session = fixture_session(store);
	for (int i = 1; i <= 3; i++) {
		assert_ok(fixture_append(store, &aggregate, TIDE_ANY, 1, NULL, &err));
		assert_ok(fixture_read(session, 0, 10, &page, &err));
		assert_int_equal(page.count, i);
		fixture_sql(fixture, "DROP INDEX mine");
		assert_status(TIDE_SCHEMA,
			      fixture_append(store, &aggregate, TIDE_ANY, 1, NULL, &err));
		assert_says(&err, "CREATE UNIQUE INDEX");
		assert_status(TIDE_SCHEMA, fixture_read(session, 0, 10, &page, &err));
		assert_says(&err, "'snapshots'");
		assert_status(TIDE_SCHEMA, STORE->begin(session, &err));
		fixture_sql(fixture, "CREATE UNIQUE INDEX mine ON snapshots (aggregate_type, "
				     "aggregate_id)");
	}
	assert_ok(STORE->begin(session, &err));
	assert_ok(STORE->commit(session, &err));
	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

static void memory_stores_are_separate_and_shared_by_their_sessions(void **state)
{
	(void)state;
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	void *stores[2] = { fixture_open(":memory:", ""), fixture_open(":memory:", "") };
	void *sessions[3] = { fixture_session(stores[0]), fixture_session(stores[0]),
			      fixture_session(stores[1]) };
	assert_ok(fixture_append(stores[0], &aggregate, TIDE_ANY, 2, NULL, &err));
	tide_position ends[3];
	for (int i = 0; i < 3; i++)
		assert_ok(STORE->end(sessions[i], &ends[i], &err));
	assert_int_equal(ends[0], 2);
	assert_int_equal(ends[1], 2);
	assert_int_equal(ends[2], 0);
	for (int i = 0; i < 3; i++)
		STORE->session_close(sessions[i]);
	STORE->close(stores[0]);
	STORE->close(stores[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(open_without_a_file_says_to_initialise_and_makes_none),
		TEST(open_without_a_table_names_it),
		TEST(open_without_a_nullable_column_names_it_and_initialising_adds_it),
		TEST(open_without_a_required_column_is_refused_and_changes_nothing),
		TEST(open_of_events_without_a_key_of_theirs_is_refused_and_changes_nothing),
		TEST(more_columns_and_triggers_are_tolerated),
		TEST(processes_may_initialise_at_once),
		TEST(a_file_that_is_no_database_is_corrupt),
		TEST(a_damaged_file_is_corrupt_when_it_is_read),
		TEST(parameters_are_checked_by_name_and_value),
		TEST(a_path_is_kept_when_the_directory_changes),
		TEST(read_only_reads_and_refuses_writes),
		TEST(an_index_that_is_dropped_while_it_is_used_is_missed_at_once),
		TEST(memory_stores_are_separate_and_shared_by_their_sessions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

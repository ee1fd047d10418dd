/* SPDX-License-Identifier: Apache-2.0 */
#include <sqlite3.h>
#ifdef TIDE_HAVE_POSTGRES
#include <libpq-fe.h>
#endif
#include <stdio.h>
#include <stdlib.h>

#include "lib/fixture.h"
#ifdef TIDE_HAVE_POSTGRES
#include "lib/postgres.h"
#endif

static void sqlite_run(struct fixture *fixture, const char *sql)
{
	char path[2 * TEMP_PATH_SIZE];
	snprintf(path, sizeof path, "%s/store.db", fixture->directory);
	sqlite3 *database;
	char *why = NULL;
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	sqlite3_busy_timeout(database, 5000);
	if (sqlite3_exec(database, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	sqlite3_close(database);
}

static int64_t sqlite_number(struct fixture *fixture, const char *sql)
{
	char path[2 * TEMP_PATH_SIZE];
	snprintf(path, sizeof path, "%s/store.db", fixture->directory);
	sqlite3 *database;
	sqlite3_stmt *statement = NULL;
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	sqlite3_busy_timeout(database, 20000);
	if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(database));
	int64_t number =
		sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return number;
}

static bool sqlite_run_in_handler(void *connection, const char *sql)
{
	return sqlite3_exec(connection, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int64_t sqlite_ask_in_handler(void *connection, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int64_t number = -1;
	if (sqlite3_prepare_v2(connection, sql, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

#ifdef TIDE_HAVE_POSTGRES
static bool postgres_run_in_handler(void *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);
	bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return is_done;
}

static int64_t postgres_ask_in_handler(void *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);
	int64_t number = PQntuples(result) == 1 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
	PQclear(result);
	return number;
}
#endif

/* clang-format off */
#define SQLITE_HANDLER .run = sqlite_run_in_handler, .ask = sqlite_ask_in_handler
#define SQLITE_SQL .sql = sqlite_run, .number = sqlite_number
#define MEMORY_QUIRKS .is_shared = true, .has_clear = true
#define SQLITE_QUIRKS \
	.is_durable = true, .is_shared = true, .is_shared_by_processes = true, .has_transactions = true, .has_sql = true, \
	.has_text_columns = true, .leaps = true
#define POSTGRES \
	.start = postgres_start, .stop = postgres_stop, .sql = postgres_fixture_sql, .number = postgres_fixture_number, \
	.run = postgres_run_in_handler, .ask = postgres_ask_in_handler, \
	.quirks = { .is_durable = true, .is_shared = true, .is_shared_by_processes = true, .has_transactions = true, \
		    .has_sql = true, .leaps = true, .feed_may_end_in_a_batch = true, .skipped = 7 }

const struct test_backend test_backends[] = {
	{ .name = "memory", .url = "memory:%n", .quirks = { MEMORY_QUIRKS, .skipped = 93 } },
	{ .name = "memory-private", .url = "memory:", .quirks = { .has_clear = true, .skipped = 102 } },
	{ .name = "sqlite", .url = "sqlite:%d/store.db", SQLITE_SQL, SQLITE_HANDLER, .quirks = { SQLITE_QUIRKS, .skipped = 0 } },
	{ .name = "sqlite-memory", .url = "sqlite::memory:", SQLITE_HANDLER, .quirks = { .has_transactions = true, .leaps = true, .skipped = 66 } },
	{ .name = "fault-memory", .url = "fault:/memory:%n", .quirks = { MEMORY_QUIRKS, .skipped = 93 } },
	{ .name = "fault-sqlite", .url = "fault:/sqlite:%d/store.db", SQLITE_SQL, SQLITE_HANDLER, .quirks = { SQLITE_QUIRKS, .skipped = 0 } },
#ifdef TIDE_HAVE_POSTGRES
	{ .name = "postgres", .url = "postgresql:///?schema=s%n", POSTGRES },
	{ .name = "fault-postgres", .url = "fault:/postgresql:///?schema=s%n", POSTGRES },
#endif
};
/* clang-format on */

const size_t test_backend_count = sizeof test_backends / sizeof *test_backends;

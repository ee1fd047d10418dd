/* SPDX-License-Identifier: Apache-2.0 */
#include <sqlite3.h>
#include <stdio.h>

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

/* clang-format off */
#define MEMORY_QUIRKS .is_shared = true, .has_clear = true
#define SQLITE_QUIRKS \
	.is_durable = true, .is_shared = true, .is_shared_by_processes = true, .has_transactions = true, .has_sql = true, \
	.has_text_columns = true
#define POSTGRES \
	.start = postgres_start, .stop = postgres_stop, .sql = postgres_fixture_sql, \
	.quirks = { .is_durable = true, .is_shared = true, .is_shared_by_processes = true, .has_transactions = true, \
		    .has_sql = true, .feed_may_end_in_a_batch = true, .skipped = 1 }

const struct test_backend test_backends[] = {
	{ .name = "memory", .url = "memory:%n", .quirks = { MEMORY_QUIRKS, .skipped = 16 } },
	{ .name = "memory-private", .url = "memory:", .quirks = { .has_clear = true, .skipped = 22 } },
	{ .name = "sqlite", .url = "sqlite:%d/store.db", .sql = sqlite_run, .quirks = { SQLITE_QUIRKS, .skipped = 0 } },
	{ .name = "sqlite-memory", .url = "sqlite::memory:", .quirks = { .has_transactions = true, .skipped = 22 } },
	{ .name = "fault-memory", .url = "fault:/memory:%n", .quirks = { MEMORY_QUIRKS, .skipped = 16 } },
	{ .name = "fault-sqlite", .url = "fault:/sqlite:%d/store.db", .sql = sqlite_run, .quirks = { SQLITE_QUIRKS, .skipped = 0 } },
#ifdef TIDE_HAVE_POSTGRES
	{ .name = "postgres", .url = "postgresql:///?schema=s%n", POSTGRES },
	{ .name = "fault-postgres", .url = "fault:/postgresql:///?schema=s%n", POSTGRES },
#endif
};
/* clang-format on */

const size_t test_backend_count = sizeof test_backends / sizeof *test_backends;

/* SPDX-License-Identifier: Apache-2.0 */
/* How the server runs what is prepared: plans that were made for a small table do not stay when it
 * has grown. */
#include <stdio.h>

#include "postgres_tools.h"

static int64_t rows_scanned(PGconn *connection, const char *schema)
{
	char text[200];
	snprintf(text, sizeof text,
		 "SELECT COALESCE(max(seq_tup_read), 0) FROM pg_stat_user_tables WHERE schemaname "
		 "= '%s' "
		 "AND relname = 'events'",
		 schema);
	return sql_number(connection, text);
}

static int64_t rows_inserted(PGconn *connection, const char *schema)
{
	char text[200];
	snprintf(text, sizeof text,
		 "SELECT COALESCE(max(n_tup_ins), 0) FROM pg_stat_user_tables WHERE schemaname = "
		 "'%s' AND relname = "
		 "'events'",
		 schema);
	return sql_number(connection, text);
}

/* After a VACUUM of an empty table the cheapest way to the newest event of a stream is to read the
 * whole table. */
static void appends_into_a_vacuumed_empty_store_do_not_read_it_all_each_time(void **state)
{
	enum { APPENDS = 3000 };
	(void)state;
	STORE->close(backend_opened("postgresql:///?schema=aging"));
	postgres_sql("aging", "ALTER TABLE events SET (autovacuum_enabled = false)");
	postgres_sql("aging", "VACUUM events");
	void *store = backend_opened("postgresql:///?schema=aging&pool=1&prepare=1");
	PGconn *connection = sql_connect("");
	int64_t before = rows_scanned(connection, "aging");
	for (int i = 0; i < APPENDS; i++)
		appended(store, stream_of("Order", i + 1), "{}");
	STORE->close(store);
	wait_for(20, rows_inserted(connection, "aging") == APPENDS);
	int64_t scanned = rows_scanned(connection, "aging") - before;
	if (scanned > APPENDS * 100)
		fail_msg("%d appends read %lld rows", APPENDS, (long long)scanned);
	PQfinish(connection);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_into_a_vacuumed_empty_store_do_not_read_it_all_each_time),
	};
	if (!postgres_start())
		return 77;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	return failed;
}

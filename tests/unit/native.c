/* SPDX-License-Identifier: Apache-2.0 */
/* What each code of a database and of the system means, once for all who meet it. */
#include "sys/native.h"

#include <errno.h>

#include "unit.h"

static void means(struct native found, tide_status status, bool is_of_statement, const char *what)
{
	if (found.status != status || found.is_of_statement != is_of_statement)
		fail_msg("%s is %s and %s the statement's fault", what,
			 tide_status_name(found.status), found.is_of_statement ? "is" : "is not");
}

static void each_code_of_sqlite_means_one_thing(void **state)
{
	(void)state;
	static const struct {
		int code, number;
		tide_status status;
		bool is_of_statement;
	} rows[] = {
		{ SQLITE_BUSY, 0, TIDE_BUSY, false },
		{ SQLITE_BUSY_SNAPSHOT, 0, TIDE_BUSY, false },
		{ SQLITE_LOCKED, 0, TIDE_BUSY, false },
		{ SQLITE_LOCKED_SHAREDCACHE, 0, TIDE_BUSY, false },
		{ SQLITE_PROTOCOL, 0, TIDE_BUSY, false },
		{ SQLITE_IOERR_BLOCKED, 0, TIDE_BUSY, false },
		{ SQLITE_IOERR_LOCK, 0, TIDE_BUSY, false },
		{ SQLITE_NOMEM, 0, TIDE_OUT_OF_MEMORY, false },
		{ SQLITE_IOERR_NOMEM, 0, TIDE_OUT_OF_MEMORY, false },
		{ SQLITE_FULL, 0, TIDE_DISK_FULL, false },
		{ SQLITE_IOERR, 0, TIDE_IO, false },
		{ SQLITE_IOERR_WRITE, EIO, TIDE_IO, false },
		{ SQLITE_IOERR_WRITE, ENOSPC, TIDE_DISK_FULL, false },
		{ SQLITE_IOERR_FSYNC, EDQUOT, TIDE_DISK_FULL, false },
		{ SQLITE_CANTOPEN, ENOENT, TIDE_IO, false },
		{ SQLITE_CANTOPEN, EFBIG, TIDE_DISK_FULL, false },
		{ SQLITE_CORRUPT, 0, TIDE_CORRUPT, false },
		{ SQLITE_CORRUPT_INDEX, 0, TIDE_CORRUPT, false },
		{ SQLITE_NOTADB, 0, TIDE_CORRUPT, false },
		{ SQLITE_INTERRUPT, 0, TIDE_CANCELLED, false },
		{ SQLITE_CONSTRAINT_UNIQUE, 0, TIDE_IO, true },
		{ SQLITE_CONSTRAINT_TRIGGER, ENOSPC, TIDE_IO, true },
		{ SQLITE_READONLY_DIRECTORY, 0, TIDE_UNSUPPORTED, true },
		{ SQLITE_PERM, 0, TIDE_UNSUPPORTED, true },
		{ SQLITE_AUTH, 0, TIDE_UNSUPPORTED, true },
		{ SQLITE_TOOBIG, 0, TIDE_ARGUMENT, true },
		{ SQLITE_SCHEMA, 0, TIDE_SCHEMA, true },
		{ SQLITE_ERROR, 0, TIDE_INTERNAL, true },
		{ SQLITE_MISMATCH, 0, TIDE_INTERNAL, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		means(native_sqlite(rows[i].code, rows[i].number), rows[i].status,
		      rows[i].is_of_statement, sqlite3_errstr(rows[i].code));
}

static void each_sqlstate_means_one_thing(void **state)
{
	(void)state;
	static const struct {
		const char *sqlstate;
		tide_status status;
		bool is_of_statement;
	} rows[] = {
		{ "08006", TIDE_CONNECTION_LOST, false },
		{ "25P03", TIDE_CONNECTION_LOST, false },
		{ "28P01", TIDE_CONNECTION_LOST, false },
		{ "57P01", TIDE_CONNECTION_LOST, false },
		{ "57P03", TIDE_CONNECTION_LOST, false },
		{ "25006", TIDE_BUSY, false },
		{ "40001", TIDE_BUSY, false },
		{ "40P01", TIDE_BUSY, false },
		{ "53200", TIDE_BUSY, false },
		{ "53300", TIDE_BUSY, false },
		{ "55P03", TIDE_BUSY, false },
		{ "53100", TIDE_DISK_FULL, false },
		{ "57014", TIDE_TIMEOUT, false },
		{ "58030", TIDE_IO, false },
		{ "XX001", TIDE_CORRUPT, false },
		{ "XX002", TIDE_CORRUPT, false },
		{ "0A000", TIDE_UNSUPPORTED, true },
		{ "42501", TIDE_UNSUPPORTED, true },
		{ "3F000", TIDE_SCHEMA, true },
		{ "42703", TIDE_SCHEMA, true },
		{ "42P01", TIDE_SCHEMA, true },
		{ "23505", TIDE_IO, true },
		{ "22012", TIDE_IO, true },
		{ "25P02", TIDE_IO, true },
		{ "40002", TIDE_IO, true },
		{ "P0001", TIDE_IO, true },
		{ "XX000", TIDE_IO, true },
		{ "", TIDE_IO, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		means(native_postgres(rows[i].sqlstate), rows[i].status, rows[i].is_of_statement,
		      rows[i].sqlstate);
}

static void a_system_call_finds_no_room_no_memory_or_fails(void **state)
{
	(void)state;
	assert_int_equal(native_system(ENOSPC), TIDE_DISK_FULL);
	assert_int_equal(native_system(EDQUOT), TIDE_DISK_FULL);
	assert_int_equal(native_system(EFBIG), TIDE_DISK_FULL);
	assert_int_equal(native_system(ENOMEM), TIDE_OUT_OF_MEMORY);
	assert_int_equal(native_system(EACCES), TIDE_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_code_of_sqlite_means_one_thing),
		cmocka_unit_test(each_sqlstate_means_one_thing),
		cmocka_unit_test(a_system_call_finds_no_room_no_memory_or_fails),
	};
	return cmocka_run_group_tests_name("native", tests, NULL, NULL);
}

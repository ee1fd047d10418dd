/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/native.h"

#include <errno.h>
#include <string.h>

tide_status native_system(int number)
{
	switch (number) {
	case ENOMEM:
		return TIDE_OUT_OF_MEMORY;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return TIDE_DISK_FULL;
	default:
		return TIDE_IO;
	}
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

/* clang-format off */
/* An extended code is looked for before the one that it extends. */
static const struct { int code; struct native means; } native_codes[] = {
	{ SQLITE_BUSY,          { TIDE_BUSY,          false } },
	{ SQLITE_LOCKED,        { TIDE_BUSY,          false } },
	{ SQLITE_PROTOCOL,      { TIDE_BUSY,          false } }, /* the locks of the log, contended for too long */
	{ SQLITE_IOERR_BLOCKED, { TIDE_BUSY,          false } }, /* locks that the kernel refuses for now are no damage */
	{ SQLITE_IOERR_LOCK,    { TIDE_BUSY,          false } },
	{ SQLITE_IOERR_NOMEM,   { TIDE_OUT_OF_MEMORY, false } },
	{ SQLITE_NOMEM,         { TIDE_OUT_OF_MEMORY, false } },
	{ SQLITE_FULL,          { TIDE_DISK_FULL,     false } },
	{ SQLITE_IOERR,         { TIDE_IO,            false } }, /* or a full disk, by the errno */
	{ SQLITE_CANTOPEN,      { TIDE_IO,            false } }, /* likewise */
	{ SQLITE_CORRUPT,       { TIDE_CORRUPT,       false } },
	{ SQLITE_NOTADB,        { TIDE_CORRUPT,       false } },
	{ SQLITE_INTERRUPT,     { TIDE_CANCELLED,     false } },
	{ SQLITE_CONSTRAINT,    { TIDE_IO,            true  } }, /* of the owner's making; ours are told apart before */
	{ SQLITE_READONLY,      { TIDE_UNSUPPORTED,   true  } },
	{ SQLITE_PERM,          { TIDE_UNSUPPORTED,   true  } },
	{ SQLITE_AUTH,          { TIDE_UNSUPPORTED,   true  } },
	{ SQLITE_TOOBIG,        { TIDE_ARGUMENT,      true  } },
	{ SQLITE_SCHEMA,        { TIDE_SCHEMA,        true  } },
};
/* clang-format on */

static struct native native_find(int code)
{
	for (size_t i = 0; i < sizeof native_codes / sizeof *native_codes; i++)
		if (native_codes[i].code == code)
			return native_codes[i].means;
	return (struct native){ TIDE_INTERNAL, true };
}

struct native native_sqlite(int code, int number)
{
	struct native means = native_find(code);
	if (means.status == TIDE_INTERNAL)
		means = native_find(code & 0xff);
	if (means.status == TIDE_IO && !means.is_of_statement &&
	    native_system(number) == TIDE_DISK_FULL)
		means.status = TIDE_DISK_FULL;
	return means;
}

/* What the last failed system call on the database or its log said; SQLite keeps it per file. */
static int native_errno_of_files(sqlite3 *handle)
{
	static const int files[] = { SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER };
	int found = 0;
	for (size_t i = 0; found == 0 && i < sizeof files / sizeof *files; i++) {
		sqlite3_file *file = NULL;
		if (sqlite3_file_control(handle, "main", files[i], &file) == SQLITE_OK && file &&
		    file->pMethods)
			file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &found);
	}
	return found;
}

int native_sqlite_errno(sqlite3 *handle, int code)
{
	if (!handle)
		return 0;
	return (code & 0xff) == SQLITE_IOERR ? native_errno_of_files(handle)
					     : sqlite3_system_errno(handle);
}

/* ---- PostgreSQL ------------------------------------------------------------------------------ */

/* clang-format off */
/*
 * The longest prefix decides. Transient are exactly the classes 08 and 53 (but for a full disk), 57P, 40001 and 40P01,
 * waiting for a lock in vain, and transactions that may only read.
 */
static const struct { const char *prefix; struct native means; } native_states[] = {
	{ "",      { TIDE_IO,              true  } },
	{ "08",    { TIDE_CONNECTION_LOST, false } }, /* connection exception */
	{ "0A",    { TIDE_UNSUPPORTED,     true  } }, /* feature not supported */
	{ "25006", { TIDE_BUSY,            false } }, /* read-only transaction: a standby that may be promoted, or a setting */
	{ "25P03", { TIDE_CONNECTION_LOST, false } }, /* idle in a transaction for too long, terminated */
	{ "28",    { TIDE_CONNECTION_LOST, false } }, /* refused at the door */
	{ "3F",    { TIDE_SCHEMA,          true  } }, /* no such schema */
	{ "40001", { TIDE_BUSY,            false } }, /* serialization failure */
	{ "40P01", { TIDE_BUSY,            false } }, /* deadlock detected */
	{ "42501", { TIDE_UNSUPPORTED,     true  } }, /* insufficient privilege */
	{ "42703", { TIDE_SCHEMA,          true  } }, /* undefined column */
	{ "42P01", { TIDE_SCHEMA,          true  } }, /* undefined table */
	{ "53",    { TIDE_BUSY,            false } }, /* insufficient resources: memory, connections, locks */
	{ "53100", { TIDE_DISK_FULL,       false } }, /* disk full */
	{ "55P03", { TIDE_BUSY,            false } }, /* lock not available */
	{ "57014", { TIDE_TIMEOUT,         false } }, /* query cancelled, by statement_timeout as a rule */
	{ "57P",   { TIDE_CONNECTION_LOST, false } }, /* shut down, restarted, terminated */
	{ "58",    { TIDE_IO,              false } }, /* system error */
	{ "XX001", { TIDE_CORRUPT,         false } }, /* data corrupted */
	{ "XX002", { TIDE_CORRUPT,         false } }, /* index corrupted */
};
/* clang-format on */

struct native native_postgres(const char *sqlstate)
{
	size_t best = 0, longest = 0;
	for (size_t i = 0; i < sizeof native_states / sizeof *native_states; i++) {
		size_t size = strlen(native_states[i].prefix);
		if (size > longest && strncmp(sqlstate, native_states[i].prefix, size) == 0) {
			best = i;
			longest = size;
		}
	}
	return native_states[best].means;
}

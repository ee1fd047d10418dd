/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SYS_NATIVE_H
#define TIDE_SYS_NATIVE_H

/*
 * What the error codes of SQLite, of PostgreSQL and of the system mean, whoever ran the statement:
 * a backend, or a projection for its handler.
 */

#include <stdbool.h>

#include <sqlite3.h>

#include <tidemark/error.h>

/** What a database's code says. */
struct native {
	tide_status status;
	bool is_of_statement; /* its words or its values are to blame: the same one fails again */
};

/** `code`: SQLite's, extended where that is known; `number`: the errno behind it, 0: none is
 * known. */
struct native native_sqlite(int code, int number);
/** `sqlstate`: five characters. */
struct native native_postgres(const char *sqlstate);
/** Of a system call by itself. */
tide_status native_system(int number);

/** The errno behind a failure of a connection; it may set other words in place of those that the
 * connection has for its error. `handle` may be NULL. */
int native_sqlite_errno(sqlite3 *handle, int code);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite and the system report, with the words that they leave out; sys/native.c has what
 * their codes mean. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"
#include "sys/native.h"

/* SQLite only says that it cannot open, or cannot write. */
static void status_add_limit(int number, char *text, size_t size)
{
	struct rlimit limit;
	size_t used = strlen(text);
	if (number == EFBIG)
		snprintf(text + used, size - used,
			 ": a file may not grow beyond what ulimit -f or its file system allows");
	if (number == EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0)
		snprintf(text + used, size - used,
			 ": this process may have %llu files open (ulimit -n), and each "
			 "subscription that runs on "
			 "SQLite needs two",
			 (unsigned long long)limit.rlim_cur);
}

static bool status_may_make_files_beside(const char *file)
{
	const char *slash = strrchr(file, '/');
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file) + 1 : 1,
		 slash ? file : ".");
	return access(folder, W_OK | X_OK) == 0;
}

/* SQLite names neither the file nor the right that is missing. */
static const char *status_right(const struct sqlite_connection *connection, int code)
{
	const char *file = connection->file;
	struct stat info;
	if (stat(file, &info) != 0)
		return errno != ENOENT || status_may_make_files_beside(file)
			       ? ""
			       : ": this user may not make a file in its directory";
	if (S_ISDIR(info.st_mode))
		return ": it is a directory";
	if (access(file, R_OK) != 0)
		return ": this user may not read the file";
	if (connection->is_read_only && code == SQLITE_READONLY)
		return ": it was opened to be read only";
	if (connection->is_read_only)
		return ": to read beside who writes it, this user needs read access to the -wal "
		       "and "
		       "the -shm beside it";
	return ": this user may not write the file, the directory, or the -wal and the -shm "
	       "beside it";
}

static void status_add_right(const struct sqlite_connection *connection, int code, int system,
			     char *text, size_t size)
{
	int kind = code & 0xff;
	bool may_be_one = kind == SQLITE_READONLY || kind == SQLITE_CANTOPEN;
	size_t used = strlen(text);
	struct stat info;
	if (!connection->file || native_system(system) == TIDE_DISK_FULL || system == EMFILE ||
	    system == ENFILE)
		return;
	if (kind == SQLITE_IOERR) /* of who only wants to read a directory */
		may_be_one = stat(connection->file, &info) == 0 && S_ISDIR(info.st_mode);
	if (may_be_one)
		snprintf(text + used, size - used, "%s", status_right(connection, code));
}

tide_status sqlite_fail(struct sqlite_connection *connection, int code, const char *what,
			struct tide_error *err)
{
	sqlite3 *handle = connection->handle;
	if ((code & 0xff) == SQLITE_BUSY && connection->waits_for_itself)
		return sqlite_fail_own_lock(connection->file, err);

	/* Before anything that could fail in turn: file controls set the error of the handle. */
	char text[300];
	bool is_latest = handle && sqlite3_extended_errcode(handle) == code;
	snprintf(text, sizeof text, "%s",
		 is_latest ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
	int system = native_sqlite_errno(handle, code);
	status_add_limit(system, text, sizeof text);
	status_add_right(connection, code, system, text, sizeof text);
	char holder[360] = "";
	if (code == SQLITE_BUSY)
		sqlite_holder_say(connection, holder, sizeof holder);
	tide_status status = tide_fail(err, native_sqlite(code, system).status, "%s: %s%s%s", what,
				       text, *holder ? ": " : "", holder);
	if (err)
		err->native = code;
	return status;
}

tide_status sqlite_fail_system(int number, const char *what, const char *path,
			       struct tide_error *err)
{
	tide_status status = native_system(number);
	char buffer[64], text[200];
	snprintf(text, sizeof text, "%s", strerror_r(number, buffer, sizeof buffer));
	status_add_limit(number, text, sizeof text);
	tide_fail(err, status, "%s '%s': %s", what, path, text);
	if (err)
		err->native = number;
	return status;
}

bool sqlite_is_constraint(int code)
{
	return (code & 0xff) == SQLITE_CONSTRAINT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the database takes writes: for `tide doctor`.
 *
 * Happy path: the write lock is had, and a file without a name beside the database takes as much
 * room as a page of events; it is gone when it is closed. Where such a file cannot be made, pages
 * are written into the log behind its end, in a transaction that is rolled back, so that the next
 * append writes over them: no reader sees any, and no subscription is rung.
 * Failure: what SQLite or the system says of it is the finding.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"

#define EXAMINE_BUSY_NS (200 * NS_PER_MS)

#define EXAMINE_ROOM (256 << 10)
/* 64 KiB: more than most appends. */
static const char examine_write[] = "CREATE TABLE tidemark_probe (pad BLOB);"
				    "INSERT INTO tidemark_probe VALUES (zeroblob(65536));";

/** Who is told, and of what. */
struct examination {
	tide_report report;
	void *self;
};

static void examine_say(const struct examination *examination, enum tide_finding_level level,
			const char *advice, const char *finding)
{
	examination->report(examination->self, level, "writing", advice, finding);
}

static void examine_names(const struct examination *examination, const struct sqlite_store *store)
{
	char finding[160];
	int names = sqlite_place_names(store);
	if (names < 2)
		return;
	snprintf(finding, sizeof finding,
		 "the file has %d names (hard links): by each of them it has another log, and what "
		 "is written by one replaces what is written by another",
		 names);
	examine_say(examination, TIDE_FINDING_PROBLEM,
		    "end who has it open by another name, and remove that name", finding);
}

static bool examine_is_read_only(const struct sqlite_session *session)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	struct sqlite_connection *connection = (struct sqlite_connection *)&session->connection;
	bool has_row = false;
	if (sqlite3_db_readonly(connection->handle, "main") == 1)
		return true;
	return sqlite_statement(connection, "PRAGMA query_only", &statement, NULL) == TIDE_OK &&
	       sqlite_step(connection, statement, &has_row, NULL) == TIDE_OK && has_row &&
	       sqlite3_column_int(statement, 0) != 0;
}

static void examine_refused(const struct examination *examination,
			    const struct sqlite_session *session)
{
	struct stat file;
	bool is_other = stat(session->store->file, &file) == 0 && file.st_uid != geteuid();
	if (is_other && sqlite3_db_readonly(session->connection.handle, "main") == 1)
		examine_say(examination, TIDE_FINDING_NOTICE, "",
			    "this user, who does not own the file, may only read it; whether "
			    "others may write is not seen");
	else
		examine_say(examination, TIDE_FINDING_PROBLEM,
			    "give the file, its directory and its -wal and -shm to who appends",
			    "the database is read-only: appends and checkpoints are refused");
}

/* What is flushed before the commit lands in the log all the same. */
static tide_status examine_log(struct sqlite_connection *connection, struct tide_error *err)
{
	tide_status status = sqlite_script(connection, examine_write, err);
	int code = status == TIDE_OK ? sqlite3_db_cacheflush(connection->handle) : SQLITE_OK;
	if (code != SQLITE_OK)
		status = sqlite_fail(connection, code, "database", err);
	return status;
}

/* The log may have room left from before, which a disk without any has not. */
static tide_status examine_disk(const char *file, bool *ret_known, struct tide_error *err)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(file, '/');
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file) + 1 : 2,
		 slash ? file : "./");
	int unnamed = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	*ret_known = unnamed >= 0;
	if (unnamed < 0)
		return TIDE_OK;
	int number = posix_fallocate(unnamed, 0, EXAMINE_ROOM);
	close(unnamed);
	*ret_known = number != EOPNOTSUPP && number != EINVAL;
	return number && *ret_known ? sqlite_fail_system(number, "no room beside", file, err)
				    : TIDE_OK;
}

static tide_status examine_try(struct sqlite_connection *connection, struct tide_error *err)
{
	bool is_known = false;
	tide_status status = sqlite_script(connection, "BEGIN IMMEDIATE", err);
	if (status != TIDE_OK)
		return status;
	status = examine_disk(connection->file, &is_known, err);
	if (!is_known)
		status = examine_log(connection, err);
	if (sqlite3_get_autocommit(connection->handle) == 0)
		(void)sqlite_script(connection, "ROLLBACK", NULL);
	return status;
}

static tide_status examine_written(const struct sqlite_store *store, struct tide_error *err)
{
	struct sqlite_connection connection;
	tide_status status = sqlite_connect(store, false, false, &connection, err);
	if (status != TIDE_OK)
		return status;
	connection.busy_ns = EXAMINE_BUSY_NS;
	status = examine_try(&connection, err);
	sqlite_disconnect(&connection);
	return status;
}

tide_status sqlite_examine_writing(void *self, tide_report report, void *context,
				   struct tide_error *err)
{
	const struct sqlite_session *session = self;
	const struct examination examination = { .report = report, .self = context };
	struct tide_error why;
	examine_names(&examination, session->store);
	if (examine_is_read_only(session)) {
		examine_refused(&examination, session);
		return TIDE_OK;
	}

	tide_status status =
		session->store->is_memory ? TIDE_OK : examine_written(session->store, &why);
	if (status == TIDE_OUT_OF_MEMORY)
		return tide_fail(err, status, "%s", why.message);
	if (status == TIDE_OK)
		examine_say(&examination, TIDE_FINDING_OK, "", "the database takes writes");
	else if (status == TIDE_BUSY)
		examine_say(&examination, TIDE_FINDING_NOTICE,
			    "ask again; what stays like this holds up appends and checkpoints",
			    why.message);
	else if (status == TIDE_DISK_FULL)
		examine_say(&examination, TIDE_FINDING_PROBLEM,
			    "make room: appends are refused, subscriptions wait for it and go on "
			    "by themselves",
			    why.message);
	else
		examine_say(&examination, TIDE_FINDING_PROBLEM, "", why.message);
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who keeps a database locked, as far as it can be known: for the error of who gave up waiting, and
 * for who asks why a subscription is not further.
 *
 * Happy path: the kernel's list of locks has the process that holds the write lock of the log
 * (byte 120 of the -shm, https://www.sqlite.org/walformat.html), and the leases say what that
 * process owns. The -shm itself is not opened: closing it would end the locks that SQLite has on it
 * in this process (fcntl(2)).
 * Failure modes: a process of another container is not in the list: then the newest owner that
 * runs under another host's name is named as one that may be it. Whoever let go meanwhile is not
 * found: nothing is said.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"

#define HOLDER_WRITE_LOCK 120
#define HOLDER_LOOKS                                                                               \
	40 /* a transaction takes moments: who holds it at each look keeps others out */
#define HOLDER_PAUSE_MS 10

/* The process that holds the lock; 0: none is seen. */
static int holder_find(const char *file)
{
	char path[4096], line[256];
	struct stat shm;
	int pid = 0;
	if (snprintf(path, sizeof path, "%s-shm", file) >= (int)sizeof path || stat(path, &shm))
		return 0;
	FILE *locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;

	while (pid == 0 && fgets(line, sizeof line, locks)) {
		unsigned major_of, minor_of;
		unsigned long long inode, first;
		int found;
		bool is_lock = sscanf(line, "%*d: POSIX ADVISORY WRITE %d %x:%x:%llu %llu", &found,
				      &major_of, &minor_of, &inode, &first) == 5;
		if (is_lock && inode == shm.st_ino && major_of == major(shm.st_dev) &&
		    minor_of == minor(shm.st_dev) && first == HOLDER_WRITE_LOCK)
			pid = found;
	}
	(void)fclose(locks);
	return pid;
}

/* `(tide)`, and whether it is stopped: field 3 of proc(5)'s stat, behind the name. */
static void holder_describe(int pid, char *ret, size_t size)
{
	char path[40], line[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	size_t read = file ? fread(line, 1, sizeof line - 1, file) : 0;
	if (file)
		(void)fclose(file);
	line[read] = '\0';

	const char *name = strchr(line, '('), *end = strrchr(line, ')');
	if (!name || !end || end < name) {
		snprintf(ret, size, "process %d holds it", pid);
		return;
	}
	bool is_stopped = end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
	snprintf(ret, size, "process %d %.*s holds it%s", pid, (int)(end - name + 1), name,
		 is_stopped ? ", which is stopped (kill -CONT, or kill -KILL)" : "");
}

static const char holder_leases[] =
	"SELECT name, acquired_at, ifnull(host, ''), pid FROM subscription_leases WHERE owner IS "
	"NOT NULL AND pid IS NOT NULL AND (pid = ?1 OR (?1 = 0 AND host <> ?2)) ORDER BY "
	"acquired_at DESC LIMIT 1";

/* The newest subscription of the process, or of any; readers wait for no writer. */
static void holder_add_lease(struct sqlite_connection *connection, int pid, char *ret, size_t size)
{
	sqlite3_stmt *statement = NULL;
	size_t used = strlen(ret);
	int64_t busy_ns = connection->busy_ns;
	struct utsname here;
	if (!(connection->parts & PART_BIT(PART_LEASE_HISTORY)) || uname(&here) != 0)
		return;

	connection->busy_ns = 0;
	if (sqlite3_prepare_v2(connection->handle, holder_leases, -1, &statement, NULL) ==
		    SQLITE_OK &&
	    sqlite3_bind_int(statement, 1, pid) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 2, here.nodename, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		const char *since = (const char *)sqlite3_column_text(statement, 1);
		const char *host = (const char *)sqlite3_column_text(statement, 2);
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		if (pid != 0)
			snprintf(ret + used, size - used, "; it owns '%.100s' on %.80s since %s",
				 name ? name : "?", host && *host ? host : "this host",
				 since ? since : "?");
		else
			snprintf(ret + used, size - used,
				 "who holds it is not seen from here; process %d on %s owns '%s' "
				 "since %s",
				 sqlite3_column_int(statement, 3),
				 host && *host ? host : "an unknown host", name,
				 since ? since : "?");
	}
	sqlite3_finalize(statement);
	connection->busy_ns = busy_ns;
}

void sqlite_holder_say(struct sqlite_connection *connection, char *ret, size_t size)
{
	*ret = '\0';
	if (!connection->handle || !connection->file || *connection->file != '/')
		return;
	int pid = holder_find(connection->file);
	if (pid == getpid()) {
		snprintf(ret, size, "another connection of this process holds it");
		return;
	}
	if (pid != 0)
		holder_describe(pid, ret, size);
	holder_add_lease(connection, pid, ret, size);
}

tide_status sqlite_blocked(void *self, int64_t number, struct tide_blocker *ret,
			   struct tide_error *err)
{
	const struct sqlite_session *session = self;
	const char *file = session->store->file;
	(void)number;
	(void)err;
	*ret = (struct tide_blocker){ 0 };
	int pid = session->store->is_memory ? 0 : holder_find(file);
	for (int i = 1; pid > 0 && i < HOLDER_LOOKS; i++) {
		ppoll(NULL, 0, &(struct timespec){ .tv_nsec = HOLDER_PAUSE_MS * 1000000L }, NULL);
		if (holder_find(file) != pid)
			pid = 0;
	}

	ret->pid = pid;
	if (pid > 0)
		holder_describe(pid, ret->what, sizeof ret->what);
	return TIDE_OK;
}

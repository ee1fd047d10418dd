/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a connection to the file, how it waits for other connections' locks, and closing it.
 *
 * Fails when: the file cannot be opened (io), or is no database (corrupt).
 */

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "backends/sqlite/internal.h"

/*
 * SQLite calls this while another connection holds the lock it needs; 0 gives up. A commit holds
 * the lock for a flush, 0.2 ms and more, and a busy writer frees it for microseconds only: look
 * often, so that two processes share the file.
 */
static int link_wait(void *self, int attempts)
{
	struct sqlite_connection *connection = self;
	struct mono_time now = clock_mono(&clock_system);
	if (attempts == 0)
		connection->waits_for_itself =
			sqlite_delivery_is_mine(connection->file, connection);
	if (connection->waits_for_itself)
		return 0;
	if (attempts == 0)
		connection->busy_until = mono_add(now, connection->busy_ns - connection->turn_ns);
	int64_t left = mono_since(connection->busy_until, now);
	if (left <= 0)
		return 0;

	int64_t pause = attempts < 100 ? 100000 : attempts < 1000 ? 300000 : 2 * NS_PER_MS;
	if (pause > left)
		pause = left;
	struct timespec time = { .tv_sec = 0, .tv_nsec = (long)pause };
	ppoll(NULL, 0, &time, NULL);
	return 1;
}

/* SQL function tide_us(text): an instant as microseconds, null when it is none; instants are never
 * compared as text. */
static void link_tide_us(sqlite3_context *context, int count, sqlite3_value **values)
{
	(void)count;
	const char *text = (const char *)sqlite3_value_text(values[0]);
	struct tide_time time;
	if (text && time_read(text, (size_t)sqlite3_value_bytes(values[0]), &time))
		sqlite3_result_int64(context, time.unix_us);
	else
		sqlite3_result_null(context);
}

int sqlite_connection_point(struct sqlite_connection *connection)
{
	return sqlite3_busy_handler(connection->handle, link_wait, connection);
}

static int link_set_up(struct sqlite_connection *connection, bool is_full)
{
	sqlite3 *handle = connection->handle;
	int code = sqlite_connection_point(connection);
	if (code == SQLITE_OK)
		code = sqlite3_create_function_v2(handle, "tide_us", 1,
						  SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
						  link_tide_us, NULL, NULL, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(handle,
				    is_full ? "PRAGMA synchronous = FULL"
					    : "PRAGMA synchronous = NORMAL",
				    NULL, NULL, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(handle, "PRAGMA mmap_size = 0", NULL, NULL, NULL);
	return code;
}

/* The file as a URI whose reader takes no locks and looks for no log. */
static char *link_frozen_uri(const char *file)
{
	struct buffer uri = { 0 };
	char *ret = NULL;
	buffer_format(&uri, "file:");
	for (; *file; file++)
		buffer_format(&uri, strchr("%?#", *file) ? "%%%02X" : "%c", (unsigned char)*file);
	buffer_format(&uri, "?immutable=1");
	return buffer_take(&uri, &ret, NULL) == TIDE_OK ? ret : NULL;
}

static int link_open(struct sqlite_connection *connection, int flags, bool is_full)
{
	const struct sqlite_store *store = connection->store;
	ALLOC_AUTO char *frozen = store->is_frozen ? link_frozen_uri(store->file) : NULL;
	if (store->is_frozen && !frozen)
		return SQLITE_NOMEM;

	int code = sqlite3_open_v2(frozen ? frozen : store->file, &connection->link->handle,
				   flags | (frozen ? SQLITE_OPEN_URI : 0), NULL);
	connection->handle = connection->link->handle;
	return code == SQLITE_OK ? link_set_up(connection, is_full) : code;
}

void sqlite_connection_init(const struct sqlite_store *store, struct sqlite_connection *ret)
{
	*ret = (struct sqlite_connection){ .file = store->file,
					   .store = store,
					   .is_read_only = store->is_read_only,
					   .busy_ns = store->busy_ns,
					   .parts = store->parts };
}

tide_status sqlite_link_open(struct sqlite_connection *connection, bool may_create, bool is_full,
			     struct tide_error *err)
{
	const struct sqlite_store *store = connection->store;
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (store->is_memory)
		flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
	else
		flags |= store->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	if (may_create && !store->is_read_only)
		flags |= SQLITE_OPEN_CREATE;
	assert(!connection->link);
	connection->link = alloc_zero(1, sizeof *connection->link);
	if (!connection->link)
		return alloc_fail(err);

	int code = link_open(connection, flags, is_full);
	if (code == SQLITE_OK)
		return TIDE_OK;

	char what[300];
	snprintf(what, sizeof what, "'%s'", store->file);
	tide_status status = sqlite_fail(connection, code, what, err);
	sqlite_link_close(store, connection->link);
	connection->link = NULL;
	connection->handle = NULL;
	return status;
}

tide_status sqlite_connect(const struct sqlite_store *store, bool may_create, bool is_full,
			   struct sqlite_connection *ret, struct tide_error *err)
{
	sqlite_connection_init(store, ret);
	return sqlite_link_open(ret, may_create, is_full, err);
}

/* The last connection copies its log into the file and deletes what is at the log's path: that may
 * be what others have written meanwhile. */
static void link_leave_log(const struct sqlite_store *store, struct sqlite_link *link)
{
	if (link->handle && sqlite_place_check(store, NULL) != TIDE_OK)
		sqlite3_db_config(link->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void sqlite_link_close(const struct sqlite_store *store, struct sqlite_link *link)
{
	link_leave_log(store, link);
	for (size_t i = 0; i < link->fixed_count; i++)
		sqlite3_finalize(link->fixed[i].statement);
	for (size_t i = 0; i < SQLITE_SHAPES_MAX; i++)
		sqlite3_finalize(link->shapes[i]);
	/* A handler may have left statements of its own behind: _v2 waits for them instead of
	 * failing. */
	sqlite3_close_v2(link->handle);
	tide_free(link);
}

void sqlite_disconnect(struct sqlite_connection *connection)
{
	if (connection->link)
		sqlite_link_close(connection->store, connection->link);
	if (connection->has_turn)
		sqlite_turn_give(connection->turn);
	memset(connection, 0, sizeof *connection);
}

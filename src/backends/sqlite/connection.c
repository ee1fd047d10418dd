/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection, its waiting for other connections' locks, and its prepared statements.
 *
 * Happy path: connect once, prepare each text once, bind, step, reset. Fails when: the file cannot
 * be opened (io), is no database (corrupt), or stays locked past the busy wait (busy).
 */

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"

/*
 * SQLite calls this while another connection holds the lock it needs; 0 gives up. A commit holds
 * the lock for a flush, 0.2 ms and more, and a busy writer frees it for microseconds only: look
 * often, so that two processes share the file.
 */
static int connection_wait(void *self, int attempts)
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
static void connection_tide_us(sqlite3_context *context, int count, sqlite3_value **values)
{
	(void)count;
	const char *text = (const char *)sqlite3_value_text(values[0]);
	struct tide_time time;
	if (text && time_read(text, (size_t)sqlite3_value_bytes(values[0]), &time))
		sqlite3_result_int64(context, time.unix_us);
	else
		sqlite3_result_null(context);
}

static int connection_set_up(struct sqlite_connection *connection, bool is_full)
{
	sqlite3 *handle = connection->handle;
	int code = sqlite3_busy_handler(handle, connection_wait, connection);
	if (code == SQLITE_OK)
		code = sqlite3_create_function_v2(handle, "tide_us", 1,
						  SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
						  connection_tide_us, NULL, NULL, NULL);

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
static char *connection_frozen_uri(const char *file)
{
	struct buffer uri = { 0 };
	char *ret = NULL;
	buffer_format(&uri, "file:");
	for (; *file; file++)
		buffer_format(&uri, strchr("%?#", *file) ? "%%%02X" : "%c", (unsigned char)*file);
	buffer_format(&uri, "?immutable=1");
	return buffer_take(&uri, &ret, NULL) == TIDE_OK ? ret : NULL;
}

tide_status sqlite_connect(const struct sqlite_store *store, bool may_create, bool is_full,
			   struct sqlite_connection *ret, struct tide_error *err)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (store->is_memory)
		flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
	else
		flags |= store->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	if (may_create && !store->is_read_only)
		flags |= SQLITE_OPEN_CREATE;
	memset(ret, 0, sizeof *ret);
	ret->file = store->file;
	ret->store = store;
	ret->is_read_only = store->is_read_only;
	ret->busy_ns = store->busy_ns;
	ret->parts = store->parts;
	ALLOC_AUTO char *frozen = store->is_frozen ? connection_frozen_uri(store->file) : NULL;
	if (store->is_frozen && !frozen)
		return alloc_fail(err);

	int code = sqlite3_open_v2(frozen ? frozen : store->file, &ret->handle,
				   flags | (frozen ? SQLITE_OPEN_URI : 0), NULL);
	if (code == SQLITE_OK)
		code = connection_set_up(ret, is_full);
	if (code == SQLITE_OK)
		return TIDE_OK;

	char what[300];
	snprintf(what, sizeof what, "'%s'", store->file);
	tide_status status = sqlite_fail(ret, code, what, err);
	sqlite_disconnect(ret);
	return status;
}

/* The last connection copies its log into the file and deletes what is at the log's path: that may
 * be what others have written meanwhile. */
static void connection_leave_log(struct sqlite_connection *connection)
{
	if (connection->handle && sqlite_place_check(connection->store, NULL) != TIDE_OK)
		sqlite3_db_config(connection->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void sqlite_disconnect(struct sqlite_connection *connection)
{
	connection_leave_log(connection);
	for (size_t i = 0; i < connection->fixed_count; i++)
		sqlite3_finalize(connection->fixed[i].statement);
	for (size_t i = 0; i < SQLITE_SHAPES_MAX; i++)
		sqlite3_finalize(connection->shapes[i]);
	/* A handler may have left statements of its own behind: _v2 waits for them instead of
	 * failing. */
	sqlite3_close_v2(connection->handle);
	if (connection->has_turn)
		sqlite_turn_give(connection->turn);
	memset(connection, 0, sizeof *connection);
}

/* Our texts are right, so what does not compile does not fit the tables. */
static tide_status connection_prepare(struct sqlite_connection *connection, const char *sql,
				      sqlite3_stmt **ret, struct tide_error *err)
{
	int code = sqlite3_prepare_v3(connection->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret,
				      NULL);
	if (code == SQLITE_OK)
		return TIDE_OK;
	if ((code & 0xff) != SQLITE_ERROR)
		return sqlite_fail(connection, code, "cannot prepare a statement", err);
	tide_fail(err, TIDE_SCHEMA, "the tables do not fit: %s",
		  sqlite3_errmsg(connection->handle));
	if (err)
		err->native = code;
	return TIDE_SCHEMA;
}

static tide_status connection_prepare_parts(struct sqlite_connection *connection, const char *sql,
					    sqlite3_stmt **ret, struct tide_error *err)
{
	struct buffer text = { 0 };
	parts_expand(&text, sql, connection->parts);
	tide_status status =
		text.failed ? alloc_fail(err) : connection_prepare(connection, text.data, ret, err);
	buffer_fini(&text);
	return status;
}

tide_status sqlite_statement(struct sqlite_connection *connection, const char *sql,
			     sqlite3_stmt **ret, struct tide_error *err)
{
	for (size_t i = 0; i < connection->fixed_count; i++) {
		if (connection->fixed[i].sql == sql) {
			*ret = connection->fixed[i].statement;
			return TIDE_OK;
		}
	}

	assert(connection->fixed_count < SQLITE_FIXED_MAX);
	sqlite3_stmt *statement;
	tide_status status = parts_divide(sql)
				     ? connection_prepare_parts(connection, sql, &statement, err)
				     : connection_prepare(connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;

	connection->fixed[connection->fixed_count].sql = sql;
	connection->fixed[connection->fixed_count++].statement = statement;
	*ret = statement;
	return TIDE_OK;
}

tide_status sqlite_shape(struct sqlite_connection *connection, const char *sql, sqlite3_stmt **ret,
			 struct tide_error *err)
{
	for (size_t i = 0; i < SQLITE_SHAPES_MAX; i++) {
		sqlite3_stmt *statement = connection->shapes[i];
		if (statement && strcmp(sqlite3_sql(statement), sql) == 0) {
			*ret = statement;
			return TIDE_OK;
		}
	}

	sqlite3_stmt *statement;
	tide_status status = connection_prepare(connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;

	size_t slot = connection->next_shape++ % SQLITE_SHAPES_MAX;
	sqlite3_finalize(connection->shapes[slot]);
	connection->shapes[slot] = statement;
	*ret = statement;
	return TIDE_OK;
}

/* Only what begins to write waits: a transaction of a savepoint is none of ours, and who has
 * SQLite's lock already, by a statement that goes on returning rows, would be waited for by the one
 * whose turn it is. */
static void connection_take_turn(struct sqlite_connection *connection, sqlite3_stmt *statement)
{
	connection->turn_ns = 0;
	if (!connection->turn || connection->has_turn || sqlite3_stmt_readonly(statement) ||
	    !sqlite3_get_autocommit(connection->handle) ||
	    sqlite3_txn_state(connection->handle, NULL) == SQLITE_TXN_WRITE)
		return;
	connection->has_turn = sqlite_turn_try(connection->turn);
	if (connection->has_turn || sqlite_delivery_is_mine(connection->file, connection))
		return;
	connection->has_turn = sqlite_turn_wait(connection->turn, connection->busy_ns);
	if (!connection->has_turn)
		connection->turn_ns = connection->busy_ns;
}

void sqlite_connection_look(struct sqlite_connection *connection)
{
	if (!connection->has_turn || !sqlite3_get_autocommit(connection->handle))
		return;
	connection->has_turn = false;
	sqlite_turn_give(connection->turn);
}

tide_status sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement,
			bool *ret_row, struct tide_error *err)
{
	connection_take_turn(connection, statement);
	int code = sqlite3_step(statement);
	sqlite_connection_look(connection);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return sqlite_fail(connection, code, "database", err);
	if (ret_row)
		*ret_row = code == SQLITE_ROW;
	return TIDE_OK;
}

tide_status sqlite_run(struct sqlite_connection *connection, const char *sql,
		       struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;
	return sqlite_step(connection, statement, NULL, err);
}

tide_status sqlite_script(struct sqlite_connection *connection, const char *sql,
			  struct tide_error *err)
{
	int code = sqlite3_exec(connection->handle, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? TIDE_OK : sqlite_fail(connection, code, "database", err);
}

void sqlite_bind_uuid(sqlite3_stmt *statement, int index, const struct tide_uuid *uuid,
		      char text[TIDE_UUID_TEXT_SIZE])
{
	if (tide_uuid_is_nil(uuid))
		sqlite3_bind_null(statement, index);
	else
		sqlite3_bind_text(statement, index, tide_uuid_format(uuid, text),
				  TIDE_UUID_TEXT_SIZE - 1, SQLITE_STATIC);
}

void sqlite_bind_time(sqlite3_stmt *statement, int index, struct tide_time time,
		      char text[TIDE_TIME_TEXT_SIZE])
{
	sqlite3_bind_text(statement, index, tide_time_format(time, text), TIDE_TIME_TEXT_SIZE - 1,
			  SQLITE_STATIC);
}

bool sqlite_column_uuid(sqlite3_stmt *statement, int column, struct tide_uuid *ret)
{
	struct tide_text text = sqlite_column_view(statement, column);
	return text.data && uuid_read(text.data, text.size, ret);
}

bool sqlite_column_time(sqlite3_stmt *statement, int column, struct tide_time *ret)
{
	struct tide_text text = sqlite_column_view(statement, column);
	return text.data && time_read(text.data, text.size, ret);
}

void sqlite_column_name(sqlite3_stmt *statement, int column, char ret[TIDE_NAME_MAX + 1])
{
	struct tide_text text = sqlite_column_view(statement, column);
	size_t size = text.size > TIDE_NAME_MAX ? utf8_cut(text.data, text.size, TIDE_NAME_MAX)
						: text.size;
	if (size)
		memcpy(ret, text.data, size);
	ret[size] = '\0';
}

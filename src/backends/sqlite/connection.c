/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements that are prepared on a connection.
 *
 * Happy path: prepare each text once, bind, step, reset. Fails when: the tables do not fit
 * (schema), or the file stays locked past the busy wait (busy).
 */

#include <assert.h>
#include <string.h>

#include "backends/sqlite/internal.h"

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
	tide_status status = sqlite_links_take(connection, err);
	if (status != TIDE_OK)
		return status;
	struct sqlite_link *link = connection->link;
	for (size_t i = 0; i < link->fixed_count; i++) {
		if (link->fixed[i].sql == sql) {
			*ret = link->fixed[i].statement;
			return TIDE_OK;
		}
	}

	assert(link->fixed_count < SQLITE_FIXED_MAX);
	sqlite3_stmt *statement;
	status = parts_divide(sql) ? connection_prepare_parts(connection, sql, &statement, err)
				   : connection_prepare(connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;

	link->fixed[link->fixed_count].sql = sql;
	link->fixed[link->fixed_count++].statement = statement;
	*ret = statement;
	return TIDE_OK;
}

tide_status sqlite_shape(struct sqlite_connection *connection, const char *sql, sqlite3_stmt **ret,
			 struct tide_error *err)
{
	tide_status status = sqlite_links_take(connection, err);
	if (status != TIDE_OK)
		return status;
	struct sqlite_link *link = connection->link;
	for (size_t i = 0; i < SQLITE_SHAPES_MAX; i++) {
		sqlite3_stmt *statement = link->shapes[i];
		if (statement && strcmp(sqlite3_sql(statement), sql) == 0) {
			*ret = statement;
			return TIDE_OK;
		}
	}

	sqlite3_stmt *statement;
	status = connection_prepare(connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;

	size_t slot = link->next_shape++ % SQLITE_SHAPES_MAX;
	sqlite3_finalize(link->shapes[slot]);
	link->shapes[slot] = statement;
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
	tide_status status = sqlite_links_take(connection, err);
	if (status != TIDE_OK)
		return status;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What PostgreSQL answered a statement of a projection, as a status and in words that may be
 * logged.
 *
 * Failure modes: what the server says of an event may quote it: the message names SQLSTATE,
 * constraint, table and column, and the words are kept aside for the dead letter.
 */
#include "project/postgres_result.h"

#include <stdio.h>
#include <string.h>

#include "project/postgres_guard.h"
#include "sys/alloc.h"
#include "sys/native.h"

/* Of what would fail again: TIDE_HANDLER_PERMANENT. */
tide_status postgres_status(PGconn *connection, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (PQstatus(connection) != CONNECTION_OK)
		return TIDE_CONNECTION_LOST;
	if (!state)
		return TIDE_INTERNAL;
	struct native means = native_postgres(state);
	return means.is_of_statement ? TIDE_HANDLER_PERMANENT : means.status;
}

bool postgres_is_success(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_COMMAND_OK ||
	       PQresultStatus(result) == PGRES_TUPLES_OK ||
	       PQresultStatus(result) == PGRES_EMPTY_QUERY;
}

/* As the catalog has them, when nobody wrote quotes around them. */
static bool postgres_is_identifier(const char *name)
{
	size_t size = 0;
	while (postgres_guard_is_name(name[size]) || (size > 0 && name[size] == '$'))
		size++;
	return size > 0 && size < 64 && !name[size] && !(*name >= '0' && *name <= '9');
}

/*
 * Whether the names in an error are the server's own: those of values and constraints are, unless a
 * function raised the error. RAISE fills every field as its author likes, from the event, too.
 */
static bool postgres_has_names(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *source = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
	bool is_of_values = state && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0);
	return is_of_values && source && strcmp(source, "exec_stmt_raise") != 0;
}

static void postgres_add_name(const PGresult *result, int field, const char *what, char *ret,
			      size_t size)
{
	const char *name = PQresultErrorField(result, field);
	size_t said = strlen(ret);
	if (name && postgres_is_identifier(name))
		snprintf(ret + said, size - said, ", %s '%.63s'", what, name);
}

/* What the server says of an event may quote it: names stand in its place. */
const char *postgres_name_cause(const PGresult *result, char *ret, size_t size)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	snprintf(ret, size, "PostgreSQL refused it with SQLSTATE %s", state ? state : "unknown");
	if (!postgres_has_names(result))
		return ret;
	postgres_add_name(result, PG_DIAG_CONSTRAINT_NAME, "constraint", ret, size);
	postgres_add_name(result, PG_DIAG_TABLE_NAME, "table", ret, size);
	postgres_add_name(result, PG_DIAG_COLUMN_NAME, "column", ret, size);
	return ret;
}

void postgres_keep_words(struct sql_script *script, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	if (message && !script->words)
		script->words =
			alloc_format("%s%s%s", message, detail ? "\n" : "", detail ? detail : "");
}

/* Takes the result; `otherwise` is for what would fail again: TIDE_HANDLER_PERMANENT when there is
 * an event in it. */
tide_status postgres_end(const struct sql_script *script, const struct sql_statement *statement,
			 PGconn *connection, PGresult *result, tide_status otherwise,
			 struct tide_error *err)
{
	if (postgres_is_success(result)) {
		PQclear(result);
		return TIDE_OK;
	}

	tide_status status = postgres_status(connection, result);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char names[400];
	if (!message)
		message = "the connection is lost";
	else if (otherwise == TIDE_HANDLER_PERMANENT)
		message = postgres_name_cause(result, names, sizeof names);
	if (status == TIDE_HANDLER_PERMANENT)
		status = otherwise;
	if (statement)
		tide_fail(err, status, "'%s' line %zu: %s", script->path, statement->line, message);
	else
		tide_fail(err, status, "'%s' init: %s", script->path, message);
	PQclear(result);
	return status;
}

tide_status postgres_sent(const struct sql_script *script, PGconn *connection, int is_sent,
			  struct tide_error *err)
{
	if (is_sent)
		return TIDE_OK;
	bool is_there = PQstatus(connection) == CONNECTION_OK;
	return tide_fail(err, is_there ? TIDE_OUT_OF_MEMORY : TIDE_CONNECTION_LOST, "'%s': %s",
			 script->path,
			 is_there ? "libpq took no statement" : "the connection is lost");
}

PGresult *postgres_take(PGconn *connection)
{
	PGresult *result = PQgetResult(connection), *more;

	while (result && (more = PQgetResult(connection)))
		PQclear(more);
	return result;
}

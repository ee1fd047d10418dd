/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding the statements of a projection against the tables of a PostgreSQL database.
 *
 * Happy path: in a transaction that may not write, the server parses each statement, which finds
 * its tables, columns and types, under a savepoint, so that one that fails leaves the others to be
 * tried.
 * Failure modes: the tables that init makes are not there yet: what needs them cannot be told apart
 * from a mistake, and is left to the first run.
 */
#include "project/postgres_live.h"

#include <string.h>

#include "project/postgres_result.h"

static tide_status live_command(const struct sql_script *script, PGconn *connection,
				const char *text, struct tide_error *err)
{
	return postgres_end(script, NULL, connection, PQexec(connection, text), TIDE_IO, err);
}

/* Whether something that init makes is not there yet. */
static bool live_lacks_tables(const struct sql_script *script, PGconn *connection)
{
	bool lacks_some = false;

	for (size_t i = 0; i < script->table_count && !lacks_some; i++) {
		const char *const values[] = { script->tables[i] };
		PGresult *rows = PQexecParams(
			connection,
			"SELECT to_regclass((SELECT string_agg(quote_ident(part), '.') FROM "
			"unnest(string_to_array($1, '.')) part)) IS NULL",
			1, NULL, values, NULL, NULL, 0);
		lacks_some = PQntuples(rows) == 1 && *PQgetvalue(rows, 0, 0) == 't';
		PQclear(rows);
	}
	return lacks_some;
}

/* A statement is not judged by what the first run makes. */
static bool live_is_early(const PGresult *result, bool lacks_tables)
{
	static const char *const states[] = { "42P01", "42883", "42704", "3F000" };
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	for (size_t i = 0; lacks_tables && state && i < sizeof states / sizeof *states; i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

static tide_status live_examine_one(const struct sql_script *script, size_t at, PGconn *connection,
				    const struct postgres_live *live, struct tide_error *err)
{
	const struct sql_statement *statement = &script->statements[at];
	struct tide_error problem;
	PGresult *result;

	tide_status status = live_command(script, connection, "SAVEPOINT tidemark_live", err);
	if (status == TIDE_OK)
		status = live->prepare(script, statement, connection, &result, err);
	if (status != TIDE_OK)
		return status;
	if (live_is_early(result, live->lacks_tables)) {
		PQclear(result);
	} else {
		status = postgres_end(script, statement, connection, result, TIDE_ARGUMENT,
				      &problem);
		if (status == TIDE_OK)
			status = live->refuse(script, statement, live->guard, connection, &problem);
		if (status == TIDE_CONNECTION_LOST)
			return tide_fail(err, status, "%s", problem.message);
		if (status != TIDE_OK)
			live->tell(live->self, problem.message);
	}
	return live_command(script, connection, "ROLLBACK TO SAVEPOINT tidemark_live", err);
}

tide_status postgres_live_examine(const struct sql_script *script, PGconn *connection,
				  struct postgres_live *live, struct tide_error *err)
{
	tide_status status = live_command(script, connection, "SET TRANSACTION READ ONLY", err);

	live->lacks_tables = status == TIDE_OK && live_lacks_tables(script, connection);
	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0;
		     section->kind == SQL_ON && j < section->count && status == TIDE_OK; j++)
			status =
				live_examine_one(script, section->first + j, connection, live, err);
	}
	return status;
}

tide_status postgres_live_query(PGconn *connection, const char *text, sql_cells *row, void *self,
				struct tide_error *err)
{
	const char *cells[POSTGRES_CELLS_MAX];
	PGresult *rows = PQexecParams(connection, text, 0, NULL, NULL, NULL, NULL, 0);
	const char *message = PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY);
	tide_status status = TIDE_OK;

	if (!postgres_is_success(rows))
		status = tide_fail(err, TIDE_ARGUMENT, "%s",
				   message ? message : "the connection is lost");
	else if (PQnfields(rows) > POSTGRES_CELLS_MAX)
		status = tide_fail(err, TIDE_ARGUMENT, "it has %d columns, expected at most %d",
				   PQnfields(rows), POSTGRES_CELLS_MAX);
	for (int i = 0; status == TIDE_OK && i < PQntuples(rows); i++) {
		for (int j = 0; j < PQnfields(rows); j++)
			cells[j] = PQgetisnull(rows, i, j) ? NULL : PQgetvalue(rows, i, j);
		status = row(self, cells, (size_t)PQnfields(rows), err);
	}
	PQclear(rows);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of Tidemark's own on PostgreSQL, and where its tables are.
 *
 * Happy path: one statement with its parameters, in the open transaction, a row at a time.
 * Failure modes: it fails: its error is the connection's, or `io`.
 */
#include "project/postgres_ask.h"

#include <stdio.h>

#include "project/postgres_result.h"
#include "sys/libpq.h"

tide_status postgres_ask(const struct sql_script *script, void *connection,
			 const struct sql_question *question, struct tide_error *err)
{
	const char *columns[SQL_COLUMNS_MAX] = { NULL };
	PGresult *rows = PQexecParams(connection, question->text, question->count, NULL,
				      question->values, NULL, NULL, 0);
	tide_status status = TIDE_OK;

	if (!postgres_is_success(rows))
		return postgres_end(script, NULL, connection, rows, TIDE_IO, err);
	for (int i = 0; question->row && i < PQntuples(rows) && status == TIDE_OK; i++) {
		for (int j = 0; j < PQnfields(rows) && j < SQL_COLUMNS_MAX; j++)
			columns[j] = PQgetisnull(rows, i, j) ? NULL : PQgetvalue(rows, i, j);
		status = question->row(question->self, columns, err);
	}
	PQclear(rows);
	return status;
}

static tide_status postgres_note_place(void *self, const char *const *columns,
				       struct tide_error *err)
{
	struct sql_place *place = self;

	(void)err;
	snprintf(place->own, sizeof place->own, "%s", columns[0]);
	snprintf(place->made, sizeof place->made, "%s", columns[1] ? columns[1] : "");
	place->has_versions = columns[2] && *columns[2] == 't';
	place->has_rebuilds = columns[3] && *columns[3] == 't';
	return TIDE_OK;
}

tide_status postgres_find_place(const struct sql_script *script, void *connection,
				struct sql_place *ret, struct tide_error *err)
{
	struct sql_question question = {
		.text = "SELECT quote_ident(n.nspname) || '.', current_schema() || '.', (SELECT "
			"has_table_privilege(v.oid, 'SELECT') AND has_table_privilege(v.oid, "
			"'INSERT') AND "
			"has_table_privilege(v.oid, 'UPDATE') AND has_table_privilege(v.oid, "
			"'DELETE') FROM pg_class v "
			"WHERE "
			"v.relnamespace = n.oid AND v.relname = 'projection_versions'), EXISTS "
			"(SELECT FROM pg_class r WHERE r.relnamespace = n.oid AND r.relname = "
			"'projection_rebuilds') FROM "
			"pg_class c JOIN "
			"pg_namespace n "
			"ON n.oid = c.relnamespace WHERE c.oid = to_regclass('events')",
		.row = postgres_note_place,
		.self = ret,
	};

	*ret = (struct sql_place){ .has_versions = false };
	return postgres_ask(script, connection, &question, err);
}

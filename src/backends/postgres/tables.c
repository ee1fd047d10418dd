/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables that do not keep or do not show what is written to them: a policy of row-level security
 * hides rows from a role without a word, so that events would be passed over, a checkpoint would
 * not be found and a store would seem to have gone back; an UNLOGGED table is empty after a crash
 * of the server, and on every standby.
 *
 * Happy path: no table of the schema is one of these. Failure: TIDE_SCHEMA for hidden rows, naming
 * table and role; what costs rows only later is for doctor to say.
 */
#include "backends/postgres/inner.h"

#define TABLES_OURS                                                                                \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = "         \
	"$1::text AND c.relname = ANY($2::text[]) AND c.relkind IN ('r', 'p') "

static tide_status tables_ask(const struct pg_store *store, struct pg_connection *connection,
			      const char *text, PGresult **ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, store->schema);
	pg_schema_put_tables(&params);
	return pg_query(connection, text, &params, ret, err);
}

tide_status pg_tables_check(const struct pg_store *store, struct pg_connection *connection,
			    struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status =
		tables_ask(store, connection,
			   "SELECT c.relname::text, current_user::text, "
			   "quote_ident(current_user)::text " TABLES_OURS
			   "AND row_security_active(c.oid) ORDER BY array_position($2::text[], "
			   "c.relname::text) LIMIT 1",
			   &rows, err);
	if (status != TIDE_OK || PQntuples(rows) == 0)
		return status;

	const char *table = PQgetvalue(rows, 0, 0);
	return tide_fail(err, TIDE_SCHEMA,
			 "row-level security of table '%s' in schema '%.64s' holds for role "
			 "'%.64s' and may hide rows from it; run ALTER TABLE %.100s%s DISABLE ROW "
			 "LEVEL SECURITY, or ALTER ROLE %.100s BYPASSRLS",
			 table, store->schema, PQgetvalue(rows, 0, 1), store->target.schema, table,
			 PQgetvalue(rows, 0, 2));
}

/** The columns of what the examination asks: a row for a table that is not as it should be. */
enum tables_column { TABLES_NAME, TABLES_IS_UNLOGGED, TABLES_HAS_POLICIES };

static void tables_tell(const struct pg_store *store, const PGresult *rows, int row,
			tide_report report, void *self)
{
	char advice[240], finding[240];
	const char *table = PQgetvalue(rows, row, TABLES_NAME);
	if (pg_bool(rows, row, TABLES_IS_UNLOGGED)) {
		snprintf(finding, sizeof finding,
			 "'%.64s' is UNLOGGED: a crash of the server empties it, and no standby "
			 "has its rows",
			 table);
		snprintf(advice, sizeof advice, "run ALTER TABLE %.130s%.64s SET LOGGED",
			 store->target.schema, table);
		report(self, TIDE_FINDING_PROBLEM, "tables", advice, finding);
	}

	if (!pg_bool(rows, row, TABLES_HAS_POLICIES))
		return;
	snprintf(finding, sizeof finding,
		 "'%.64s' has row-level security: roles that it holds for cannot open the store",
		 table);
	snprintf(advice, sizeof advice, "run ALTER TABLE %.130s%.64s DISABLE ROW LEVEL SECURITY",
		 store->target.schema, table);
	report(self, TIDE_FINDING_NOTICE, "tables", advice, finding);
}

tide_status pg_tables_examine(const struct pg_store *store, struct pg_connection *connection,
			      tide_report report, void *self, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = tables_ask(store, connection,
					"SELECT c.relname::text, c.relpersistence = 'u', "
					"c.relrowsecurity " TABLES_OURS
					"AND (c.relpersistence = 'u' OR c.relrowsecurity) ORDER BY "
					"array_position($2::text[], c.relname::text)",
					&rows, err);
	if (status != TIDE_OK)
		return status;

	for (int row = 0; row < PQntuples(rows); row++)
		tables_tell(store, rows, row, report, self);
	if (PQntuples(rows) == 0)
		report(self, TIDE_FINDING_OK, "tables", "",
		       "every table survives a crash of the server, and no policy hides rows");
	return TIDE_OK;
}

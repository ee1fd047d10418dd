/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What correctness stands on, looked at when a store is opened, and again while it is open: people
 * drop constraints and swap tables under programs that run.
 *
 *	open ──▶ take the print of the catalog ──▶ check everything
 *	append, page ──▶ the last look is a second old? ──▶ take the print: the same? go on
 *	                                                                   another one? check everything
 *
 * Happy path: at most once a second one statement sums up the rows of the catalog that make the
 * tables, and finds them as they were. A new connection of the pool looks always, and so does
 * whoever meets a plan that a change has outdated. The print is taken before the check, so that a
 * change in between is another print. Failure: TIDE_SCHEMA as at opening, and the next call looks
 * again.
 */
#include "backends/postgres/inner.h"

#define LOOK_AGAIN_NS NS_PER_SECOND

/* The row versions of what an ALTER writes; VACUUM and ANALYZE write none of these. */
static const char look_print[] =
	"WITH t AS (SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON "
	"n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname = ANY($2::text[]) AND "
	"c.relkind IN ('r', 'p')) SELECT hashtextextended(string_agg(part, ' ' ORDER BY part), 0) "
	"FROM (SELECT concat_ws('-', 't', oid, relname, relkind, row_security_active(oid)) FROM t "
	"UNION ALL SELECT concat_ws('-', 'i', indexrelid, indisvalid, indisready, xmin) FROM "
	"pg_index WHERE indrelid IN (SELECT oid FROM t) UNION ALL SELECT concat_ws('-', 'a', "
	"attrelid, attnum, xmin) FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid "
	"FROM t) UNION ALL SELECT concat_ws('-', 'y', oid, xmin) FROM pg_type WHERE oid IN (SELECT "
	"atttypid FROM pg_attribute WHERE attrelid IN (SELECT oid FROM t)) UNION ALL SELECT "
	"concat_ws('-', 'd', adrelid, adnum, xmin) FROM pg_attrdef WHERE "
	"adrelid IN (SELECT oid FROM t) UNION ALL SELECT concat_ws('-', 'h', inhrelid, inhparent) "
	"FROM pg_inherits WHERE inhparent IN (SELECT oid FROM t) UNION ALL SELECT concat_ws('-', "
	"'s', seqrelid, xmin) FROM pg_sequence WHERE seqrelid = (SELECT " PG_NUMBERING(
		"$3") ")) p(part)";

static tide_status look_take_print(const struct pg_store *store, struct pg_connection *connection,
				   int64_t *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, store->schema);
	pg_schema_put_tables(&params);
	pg_put_string(&params, store->table);
	tide_status status = pg_query(connection, look_print, &params, &rows, err);
	if (status == TIDE_OK)
		*ret = pg_is_null(rows, 0, 0) ? 0 : pg_int8(rows, 0, 0);
	return status;
}

/* `ret_races` may be NULL, as pg_keys_check has it. */
static tide_status look_check(const struct pg_store *store, struct pg_connection *connection,
			      char **ret_races, int64_t *ret_file, struct tide_error *err)
{
	const char *schema = store->schema, *schema_dot = store->target.schema;
	tide_status status = pg_keys_check(connection, schema, schema_dot, ret_races, err);
	if (status == TIDE_OK)
		status = pg_columns_check(connection, schema, schema_dot, err);
	if (status == TIDE_OK)
		status = pg_tables_check(store, connection, err);
	if (status == TIDE_OK)
		status = pg_schema_check_numbering(store, connection, ret_file, err);
	return status == TIDE_OK ? pg_keys_check_sequence(store, connection, err) : status;
}

tide_status pg_look_first(struct pg_store *store, struct pg_connection *connection,
			  struct tide_error *err)
{
	int64_t print;
	tide_status status = look_take_print(store, connection, &print, err);
	if (status == TIDE_OK)
		status = look_check(store, connection, &store->race_keys, &store->numbering_file,
				    err);
	if (status != TIDE_OK)
		return status;
	store->print = print;
	store->look_at = clock_mono(&clock_system).ns + LOOK_AGAIN_NS;
	return TIDE_OK;
}

static tide_status look_again(struct pg_store *store, struct pg_connection *connection,
			      struct tide_error *err)
{
	int64_t print, file;
	tide_status status = look_take_print(store, connection, &print, err);
	if (status != TIDE_OK || print == store->print)
		return status;
	status = look_check(store, connection, NULL, &file, err);
	if (status == TIDE_OK)
		store->print = print;
	return status;
}

bool pg_look_is_due(const struct pg_store *store)
{
	return clock_mono(&clock_system).ns >= store->look_at;
}

tide_status pg_look(struct pg_store *store, struct pg_connection *connection,
		    struct tide_error *err)
{
	/* the others go on meanwhile */
	store->look_at = clock_mono(&clock_system).ns + LOOK_AGAIN_NS;
	tide_status status = look_again(store, connection, err);
	if (status != TIDE_OK)
		store->look_at = 0;
	return status;
}

tide_status pg_run(struct pg_store *store, struct pg_connection *connection,
		   enum pg_statement statement, const struct pg_params *params, PGresult **ret,
		   struct tide_error *err)
{
	for (;;) {
		tide_status status = pg_send(connection, statement, params, err);
		if (status == TIDE_OK)
			status = pg_take(connection, ret, err);
		bool is_outdated = status == TIDE_BUSY && connection->has_outdated;
		if (!is_outdated || PQtransactionStatus(connection->native) != PQTRANS_IDLE)
			return status;
		status = pg_look(store, connection, err);
		if (status != TIDE_OK)
			return status;
	}
}

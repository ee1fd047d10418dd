/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the role may do, for what is kept only where it may be kept.
 *
 * Happy path: with a transaction open it is asked first, since to be refused there would break all
 * of it. Without one nothing is asked, and the statement itself is refused.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

static tide_status rights_ask(struct pg_session *session, struct pg_connection *connection,
			      const char *table, const char *rights, PGresult **ret,
			      struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	ALLOC_AUTO char *name = alloc_format("%s%s", session->store->target.schema, table);
	if (!name)
		return alloc_fail(err);
	pg_put_string(&params, name);
	pg_put_string(&params, rights);
	return pg_query(
		connection,
		"SELECT (SELECT bool_and(has_table_privilege($1::text, may)) FROM "
		"regexp_split_to_table($2::text, ', ') AS may) AND CASE WHEN $2::text LIKE "
		"'%INSERT%' THEN COALESCE(has_sequence_privilege(pg_get_serial_sequence($1::text, "
		"'id'), 'USAGE'), true) ELSE true END",
		&params, ret, err);
}

tide_status pg_may(struct pg_session *session, const char *table, const char *rights, bool *ret,
		   struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	struct pg_connection *writer;
	tide_status status = pg_session_writer(session, &writer, err);
	if (status != TIDE_OK)
		return status;

	bool is_open = PQtransactionStatus(writer->native) != PQTRANS_IDLE;
	if (is_open)
		status = rights_ask(session, writer, table, rights, &rows, err);
	if (status == TIDE_OK)
		*ret = !is_open || pg_bool(rows, 0, 0);
	return status;
}

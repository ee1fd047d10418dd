/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds an append open: for the log, for status and health, for doctor.
 *
 * Happy path: the holders of the sequence's lock (gap.c) are looked up among the sessions and
 * prepared transactions. Failure: what the role may not know is left out.
 */
#include "backends/postgres/inner.h"

#include <stdarg.h>

#include "core/text.h"

tide_status pg_holders(struct pg_session *session, const char *transactions, PGresult **ret,
		       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_string(&params, session->store->table);
	pg_put_string(&params, transactions);
	return pg_read_run(session, PG_HOLDERS_TOLD, &params, ret, err);
}

static void holder_add(char ret[PG_HOLDER_SIZE], const char *format, ...) TIDE_PRINTF(2, 3);

static void holder_add(char ret[PG_HOLDER_SIZE], const char *format, ...)
{
	size_t size = strlen(ret);
	va_list list;
	va_start(list, format);
	vsnprintf(ret + size, PG_HOLDER_SIZE - size, format, list);
	va_end(list);
}

static void holder_add_column(char ret[PG_HOLDER_SIZE], const char *format, const PGresult *rows,
			      int row, int column)
{
	if (!pg_is_null(rows, row, column))
		holder_add(ret, format, PQgetvalue(rows, row, column));
}

void pg_holder_describe(const PGresult *rows, int row, char ret[PG_HOLDER_SIZE])
{
	*ret = '\0';
	if (!pg_is_null(rows, row, PG_HOLDER_PID))
		holder_add(ret, "pid %d", pg_int4(rows, row, PG_HOLDER_PID));
	else if (pg_is_null(rows, row, PG_HOLDER_GID))
		holder_add(ret, "transaction %s", PQgetvalue(rows, row, PG_HOLDER_TRANSACTION));
	holder_add_column(ret, "prepared transaction '%.64s'", rows, row, PG_HOLDER_GID);
	holder_add_column(ret, " '%.64s'", rows, row, PG_HOLDER_APPLICATION);
	holder_add_column(ret, " of '%.63s'", rows, row, PG_HOLDER_USER);

	if (!pg_is_null(rows, row, PG_HOLDER_SECONDS))
		holder_add(ret, ", open for %lld s",
			   (long long)pg_int8(rows, row, PG_HOLDER_SECONDS));
	holder_add_column(ret, ", %s", rows, row, PG_HOLDER_STATE);
	holder_add_column(ret, ": %s", rows, row, PG_HOLDER_QUERY);
	text_make_line(ret); /* the texts are others', and may be cut */
}

tide_status pg_blocked(void *session, int64_t number, struct tide_blocker *ret,
		       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	char who[PG_HOLDER_SIZE] = "";
	*ret = (struct tide_blocker){ 0 };
	if (number <= 0)
		return TIDE_OK;

	pg_put_int4(&params, (int32_t)number);
	tide_status status = pg_read_run(session, PG_BLOCKERS_TOLD, &params, &rows, err);
	if (status != TIDE_OK || PQntuples(rows) == 0)
		return status;
	pg_holder_describe(rows, 0, who);
	ret->pid = pg_is_null(rows, 0, PG_HOLDER_PID) ? 0 : pg_int4(rows, 0, PG_HOLDER_PID);
	snprintf(ret->what, sizeof ret->what, "%s", *who ? who : "a prepared transaction");
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: a connection for reading, and one for writing beside it.
 *
 * The writer exists only once something is written while the reader has a page on its way, or in a transaction. So a
 * session that only reads, or only calls now and then, costs one connection.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

#define SESSION_LEASE_MS 5000

tide_status pg_session_open(void *store, void **ret, struct tide_error *err)
{
	struct pg_session *session = alloc_zero(1, sizeof *session);
	if (!session)
		return alloc_fail(err);
	session->store = store;
	session->lease_ms = SESSION_LEASE_MS;
	pg_gap_learn(session);
	struct pg_connection *reader;
	tide_status status = pg_session_reader(session, &reader, err);
	if (status == TIDE_OK)
		*ret = session;
	else
		pg_session_close(session);
	return status;
}

void pg_session_close(void *self)
{
	struct pg_session *session = self;
	pg_scan_drop(session);
	pg_connection_close(&session->reader);
	pg_connection_close(&session->writer);
	pg_gap_fini(session);
	buffer_fini(&session->scratch);
	tide_free(session);
}

void pg_session_limit(void *self, const struct tide_session_limits *limits)
{
	struct pg_session *session = self;
	session->lease_ms = (int32_t)(limits->lease * 1000);
	session->idle_ms = limits->idle_in_transaction < INT32_MAX / 1000
				   ? (int64_t)(limits->idle_in_transaction * 1000)
				   : INT32_MAX;
}

void pg_session_interrupt(void *self)
{
	struct pg_session *session = self;
	pg_connection_interrupt(&session->writer);
	pg_connection_interrupt(&session->reader);
}

static tide_status session_connect(struct pg_session *session, struct pg_connection *connection, struct tide_error *err)
{
	if (connection->native)
		return TIDE_OK;
	return pg_connection_open(connection, &session->store->target, err);
}

/* A reader that was lost while it lay idle is replaced: nothing depends on it but what was read ahead. What was settled
 * is found out again, since another server may have taken over. */
static void session_renew_reader(struct pg_session *session)
{
	if (!session->reader.native || session->scan.is_flying || pg_connection_has_survived(&session->reader))
		return;
	pg_store_lost(session->store);
	pg_connection_close(&session->reader);
	pg_gap_void(session);
}

tide_status pg_session_reader(struct pg_session *session, struct pg_connection **ret, struct tide_error *err)
{
	session_renew_reader(session);
	tide_status status = session_connect(session, &session->reader, err);
	if (status == TIDE_OK)
		status = pg_scan_land(session, err);
	if (status == TIDE_OK)
		*ret = &session->reader;
	return status;
}

tide_status pg_session_writer(struct pg_session *session, struct pg_connection **ret, struct tide_error *err)
{
	session->is_untouched = false;
	if (!session->writer.native && !session->scan.is_flying)
		return pg_session_reader(session, ret, err);
	*ret = &session->writer;
	return session_connect(session, *ret, err);
}

static tide_status session_run(struct pg_session *session, struct pg_connection *connection,
			       enum pg_statement statement, const struct pg_params *params, PGresult **ret,
			       struct tide_error *err)
{
	tide_status status = pg_run(connection, statement, params, ret, err);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	return status;
}

tide_status pg_read_run(struct pg_session *session, enum pg_statement statement, const struct pg_params *params,
			PGresult **ret, struct tide_error *err)
{
	struct pg_connection *connection;
	tide_status status = pg_session_reader(session, &connection, err);
	return status == TIDE_OK ? session_run(session, connection, statement, params, ret, err) : status;
}

tide_status pg_write_run(struct pg_session *session, enum pg_statement statement, const struct pg_params *params,
			 PGresult **ret, struct tide_error *err)
{
	struct pg_connection *connection;
	tide_status status = pg_session_writer(session, &connection, err);
	if (status == TIDE_OK)
		status = session_run(session, connection, statement, params, ret, err);
	pg_scan_drain(session);
	return status;
}

tide_status pg_stream_version(void *self, struct tide_stream stream, tide_version *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_uuid(&params, &stream.aggregate_id);
	pg_put_string(&params, stream.aggregate_type);
	tide_status status = pg_read_run(self, PG_STREAM_VERSION, &params, &rows, err);
	if (status == TIDE_OK)
		*ret = pg_int4(rows, 0, 0);
	return status;
}

tide_status pg_anchor(void *self, tide_position position, struct tide_anchor *ret, bool *ret_may_come,
		      struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_int8(&params, position);
	tide_status status = pg_read_run(self, PG_ANCHOR, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	*ret = (struct tide_anchor){ 0 };
	*ret_may_come = pg_bool(rows, 0, 2);
	if (!pg_is_null(rows, 0, 0))
		*ret = (struct tide_anchor){ pg_int8(rows, 0, 0), pg_uuid(rows, 0, 1) };
	return TIDE_OK;
}

uint64_t pg_losses(void *self)
{
	struct pg_store *store = self;
	return store->losses;
}

tide_status pg_find(void *self, const struct tide_uuid *event_id, struct tide_page *page, struct tide_error *err)
{
	static const struct tide_filter all = { 0 };
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	pg_put_uuid(&params, event_id);
	tide_status status = pg_read_run(self, PG_FIND, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(rows) == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "event '%s' is not stored", tide_uuid_format(event_id, text));
	bool fits;
	return pg_row_add(self, rows, 0, &all, page, &fits, err);
}

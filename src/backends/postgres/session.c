/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: a connection for reading, and one for writing beside it.
 *
 * The writer exists only once something is written while the reader has a page on its way, or in a
 * transaction. So a session that only reads, or only calls now and then, costs one connection. What
 * was read ahead (scan.c) lands before the reader is used for anything else.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

#define SESSION_LEASE_MS 5000

/* ---- Answers that come late ------------------------------------------------------------------ */

tide_status pg_session_settle(const struct pg_session *session, struct pg_connection *connection,
			      struct tide_error *err)
{
	if (!connection->is_late)
		return TIDE_OK;
	pg_connection_limit(connection, PG_ANSWER_WRITE, session->answer_seconds);
	tide_status status = pg_connection_settle(connection, err);
	pg_connection_limit(connection, PG_ANSWER_WRITE, 0);
	if (status == TIDE_OK && session->has_appended)
		pg_bell_ring(session->store);
	return status;
}

static bool session_is_late(struct pg_connection *connection, enum tide_await how)
{
	return connection->native && connection->is_late &&
	       (how == TIDE_AWAIT_NOTHING || !pg_connection_land(connection));
}

tide_status pg_session_await(void *self, enum tide_await how, struct tide_error *err)
{
	struct pg_session *session = self;
	if (how != TIDE_AWAIT_NOTHING)
		session->is_unsure = false;
	bool is_writer_late = session_is_late(session->writer, how),
	     is_reader_late = session_is_late(session->reader, how);
	if (!is_writer_late && !is_reader_late && !session->is_unsure)
		return TIDE_OK;
	if (how != TIDE_AWAIT_ANSWER)
		return tide_fail(err, TIDE_TIMEOUT, "PostgreSQL has not answered a write yet");
	tide_status status = pg_session_settle(session, session->writer, err);
	return status == TIDE_OK ? pg_session_settle(session, session->reader, err) : status;
}

/* ---- What is on its way ---------------------------------------------------------------------- */

void pg_chunk_drop(struct pg_chunk *chunk)
{
	PQclear(chunk->rows);
	*chunk = (struct pg_chunk){ 0 };
}

static tide_status session_take(struct pg_session *session, struct pg_chunk *chunk,
				struct tide_error *err)
{
	PGresult *results[2];
	if (!chunk->is_checked)
		return pg_take(session->reader, &chunk->rows, err);
	tide_status status = pg_take_both(session->reader, results, err);
	if (status != TIDE_OK)
		return status;
	chunk->rows = results[1];
	status = pg_gap_found(session, results[0], err);
	chunk->settled = session->settled;
	PQclear(results[0]);
	return status;
}

tide_status pg_session_land(struct pg_session *session, struct tide_error *err)
{
	struct pg_scan *scan = &session->scan;
	if (!scan->is_flying)
		return TIDE_OK;

	scan->is_flying = false;
	tide_status status = session_take(session, &scan->next, err);
	if (status != TIDE_OK) {
		pg_chunk_drop(&scan->next);
		scan->is_asked = false;
		if (status == TIDE_BUSY && session->reader->has_outdated)
			/* nothing came; whoever wants rows asks again */
			status = pg_look(session->store, session->reader, err);
		if (status == TIDE_CONNECTION_LOST)
			pg_store_lost(session->store);
		return status;
	}

	scan->next.count = PQntuples(scan->next.rows);
	return TIDE_OK;
}

void pg_session_drain(struct pg_session *session)
{
	if (session->scan.is_flying)
		PQconsumeInput(session->reader->native);
}

/* Forget what was read ahead. */
void pg_session_drop(struct pg_session *session)
{
	if (session->scan.is_flying)
		pg_session_land(session, NULL);
	pg_chunk_drop(&session->scan.chunk);
	pg_chunk_drop(&session->scan.next);
	session->scan.is_asked = false;
}

/* Another session has seen that the server may be another one: what was settled on that which it
 * has replaced need not be here. What was read last is still to be found there. */
void pg_session_heed_losses(struct pg_session *session)
{
	uint64_t losses = session->store->losses;
	if (session->losses == losses)
		return;
	const struct tide_anchor last = session->scan.last;
	pg_session_drop(session); /* what lands with it is of the one before, and not for others */
	pg_gap_void(session);
	session->scan.last = last;
	session->losses = losses;
}

/* ---- The session ----------------------------------------------------------------------------- */

static struct pg_session *session_new(struct pg_store *store, struct tide_error *err)
{
	struct pg_session *session = alloc_zero(1, sizeof *session);
	if (!session) {
		(void)alloc_fail(err);
		return NULL;
	}

	session->store = store;
	session->reader = &session->own[0];
	session->writer = &session->own[1];
	session->lease_ms = SESSION_LEASE_MS;
	session->answer_seconds = store->append_seconds;
	session->losses = store->losses;
	pg_gap_learn(session);
	return session;
}

tide_status pg_session_open(void *store, void **ret, struct tide_error *err)
{
	struct pg_session *session = session_new(store, err);
	struct pg_connection *reader;
	if (!session)
		return TIDE_OUT_OF_MEMORY;
	tide_status status = pg_session_reader(session, &reader, err);
	if (status == TIDE_OK)
		*ret = session;
	else
		pg_session_close(session);
	return status;
}

tide_status pg_session_share(void *store, void (*ring)(void *self), void *self, void **ret,
			     struct tide_error *err)
{
	struct pg_session *session = session_new(store, err);
	if (!session)
		return TIDE_OUT_OF_MEMORY;
	session->place = (struct pg_place){ .is_shared = true, .ring = ring, .self = self };
	pg_seats_enter(session);
	*ret = session;
	return TIDE_OK;
}

void pg_session_close(void *self)
{
	struct pg_session *session = self;
	pg_session_drop(session);
	if (session->place.is_shared)
		pg_seats_leave(session);
	pg_connection_close(&session->own[0]);
	pg_connection_close(&session->own[1]);
	pg_gap_fini(session);
	buffer_fini(&session->scratch);
	tide_free(session);
}

void pg_session_limit(void *self, const struct tide_session_limits *limits)
{
	struct pg_session *session = self;
	session->lease_ms = (int32_t)(limits->lease * 1000);
	if (limits->lease > 0 && limits->lease < session->answer_seconds)
		session->answer_seconds = limits->lease;
	session->idle_ms = limits->idle_in_transaction < INT32_MAX / 1000
				   ? (int64_t)(limits->idle_in_transaction * 1000)
				   : INT32_MAX;
}

void pg_session_interrupt(void *self)
{
	pg_seats_interrupt(self);
}

int64_t pg_session_number(void *self)
{
	const struct pg_session *session = self;
	const struct pg_connection *connection =
		session->writer->native ? session->writer : session->reader;
	return connection->native ? PQbackendPID(connection->native) : 0;
}

static tide_status session_connect(struct pg_session *session, struct pg_connection *connection,
				   struct tide_error *err)
{
	if (connection->native)
		return TIDE_OK;
	return pg_connection_open(connection, &session->store->target, err);
}

/* ---- Sharing connections --------------------------------------------------------------------- */

static bool session_is_at_work(const struct pg_session *session)
{
	return session->in_transaction || session->writer->is_late || session->reader->is_late;
}

bool pg_session_take(void *self)
{
	struct pg_session *session = self;
	if (pg_seats_has_extra(session) && !session_is_at_work(session)) {
		(void)pg_session_land(session, NULL);
		pg_seats_give(session);
	}
	return pg_seats_take(session);
}

/* Who has a seat writes by it, so that nobody who has one waits for another's. */
bool pg_session_combines(void *self)
{
	struct pg_session *session = self;
	return session->store->is_lazy && session->place.is_shared && !pg_seats_has(session);
}

/* One that was lost while nobody had it is made anew before anything is prepared on it. */
static tide_status session_make_ready(struct pg_session *session, struct tide_error *err)
{
	struct pg_connection *writer = session->writer;
	if (session_is_at_work(session) || session->scan.is_flying || session->is_writer_lost)
		return TIDE_OK;
	if (writer->native && !pg_connection_has_survived(writer)) {
		pg_store_lost(session->store);
		pg_connection_close(writer);
		pg_gap_void(session);
	}
	return session_connect(session, writer, err);
}

tide_status pg_session_ready(void *self, uint64_t *ret_number, struct tide_error *err)
{
	struct pg_session *session = self;
	tide_status status = pg_seats_claim(session, err);
	if (status == TIDE_OK)
		status = session_make_ready(session, err);
	if (status == TIDE_OK)
		*ret_number = session->writer->number;
	return status;
}

/* What is on its way may stay so where nobody waits for the seat. What is not answered stays, too:
 * whoever asks this session next waits for the answer. */
void pg_session_rest(void *self)
{
	struct pg_session *session = self;
	if (session_is_at_work(session))
		return;
	if (session->scan.is_flying && pg_seats_suffice(session->store))
		return;
	(void)pg_session_land(session, NULL);
	pg_seats_give(session);
}

/* A reader that was lost while it lay idle is replaced: nothing depends on it but what was read
 * ahead. What was settled is found out again, since another server may have taken over. */
static void session_renew_reader(struct pg_session *session)
{
	if (!session->reader->native || session->scan.is_flying || session->reader->is_late ||
	    pg_connection_has_survived(session->reader))
		return;
	pg_store_lost(session->store);
	pg_connection_close(session->reader);
	pg_gap_void(session);
}

tide_status pg_session_reader(struct pg_session *session, struct pg_connection **ret,
			      struct tide_error *err)
{
	tide_status status = pg_seats_claim_reader(session, err);
	if (status != TIDE_OK)
		return status;
	session_renew_reader(session);
	status = session_connect(session, session->reader, err);
	if (status == TIDE_OK)
		status = pg_session_settle(session, session->reader, err);
	if (status == TIDE_OK)
		status = pg_session_land(session, err);
	if (status == TIDE_OK)
		*ret = session->reader;
	return status;
}

tide_status pg_session_look(struct pg_session *session, struct tide_error *err)
{
	struct pg_connection *reader;
	if (!pg_look_is_due(session->store))
		return TIDE_OK;
	tide_status status = pg_session_reader(session, &reader, err);
	if (status == TIDE_OK)
		status = pg_look(session->store, reader, err);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	return status;
}

tide_status pg_session_writer(struct pg_session *session, struct pg_connection **ret,
			      struct tide_error *err)
{
	session->is_untouched = session->is_unsure = false;
	bool is_own = !session->place.is_shared;
	if (is_own && !session->writer->native && !session->scan.is_flying)
		return pg_session_reader(session, ret, err);
	tide_status status = pg_seats_claim(session, err);
	if (status == TIDE_OK && session->reader == session->writer)
		status = pg_session_land(session, err);
	if (status == TIDE_OK && session->place.is_shared)
		status = session_make_ready(session, err);
	if (status != TIDE_OK)
		return status;
	*ret = session->writer;
	status = session_connect(session, *ret, err);
	return status == TIDE_OK ? pg_session_settle(session, *ret, err) : status;
}

/* What commits by itself is waited for as long as a COMMIT is. */
static tide_status session_run(struct pg_session *session, struct pg_connection *connection,
			       enum pg_statement statement, const struct pg_params *params,
			       PGresult **ret, struct tide_error *err)
{
	bool is_idle = PQtransactionStatus(connection->native) == PQTRANS_IDLE;
	if (is_idle && pg_statement_writes(statement))
		pg_connection_limit(connection, PG_ANSWER_WRITE, session->answer_seconds);
	tide_status status = pg_run(session->store, connection, statement, params, ret, err);
	pg_connection_limit(connection, PG_ANSWER_WRITE, 0);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	return status;
}

tide_status pg_read_run(struct pg_session *session, enum pg_statement statement,
			const struct pg_params *params, PGresult **ret, struct tide_error *err)
{
	struct pg_connection *connection;
	tide_status status = pg_session_reader(session, &connection, err);
	return status == TIDE_OK ? session_run(session, connection, statement, params, ret, err)
				 : status;
}

tide_status pg_write_run(struct pg_session *session, enum pg_statement statement,
			 const struct pg_params *params, PGresult **ret, struct tide_error *err)
{
	struct pg_connection *connection;
	tide_status status = pg_session_writer(session, &connection, err);
	if (status == TIDE_OK)
		status = session_run(session, connection, statement, params, ret, err);
	pg_session_drain(session);
	return status;
}

uint64_t pg_losses(void *self)
{
	struct pg_store *store = self;
	return store->losses;
}

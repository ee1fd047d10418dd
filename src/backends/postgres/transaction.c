/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transaction a handler shares with its checkpoint, on the writer's connection.
 *
 * A savepoint is released together with the making of the next one, or by the commit: one round
 * trip less an event. The first one is made with the transaction: another one less a transaction.
 * Failure: a COMMIT is not answered in time, as when a synchronous standby is missing:
 * TIDE_TIMEOUT. It goes on, and whatever is asked of the connection next waits for it first, so
 * that the row of the checkpoint then tells what became of it. A handler that left the transaction
 * aborted, or ended it, is found out by looking at the connection, which watches every result that
 * libpq makes.
 */
#include "backends/postgres/inner.h"

#include "backends/postgres/status.h"
#include "sys/alloc.h"
#include "sys/native.h"

static tide_status transaction_command(struct pg_session *session, const char *text,
				       struct tide_error *err)
{
	tide_status status = pg_command(session->writer, text, err);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	return status;
}

/* The writer is opened once: who was given its connection may have prepared statements there. Where
 * it reads, too, what is on its way comes first. */
static tide_status transaction_open_writer(struct pg_session *session, struct tide_error *err)
{
	if (session->is_writer_lost)
		return tide_fail(err, TIDE_CONNECTION_LOST,
				 "PostgreSQL: the connection of the transaction is lost");
	tide_status status = pg_seats_claim(session, err);
	if (status == TIDE_OK && session->writer == session->reader)
		status = pg_session_land(session, err);
	if (status != TIDE_OK)
		return status;
	if (session->writer->native)
		return TIDE_OK;
	return pg_connection_open(session->writer, &session->store->target, err);
}

/* A process that freezes in it would keep the rows it has locked from whoever takes over. */
static tide_status transaction_begin(struct pg_session *session, struct tide_error *err)
{
	const char *begin = session->store->target.begin;
	char *text ALLOC_AUTO =
		session->idle_ms == 0
			? alloc_format("%s; SAVEPOINT tidemark", begin)
			: alloc_format("%s; SET LOCAL idle_in_transaction_session_timeout = %lld; "
				       "SAVEPOINT tidemark",
				       begin, (long long)session->idle_ms);
	return text ? transaction_command(session, text, err) : alloc_fail(err);
}

tide_status pg_begin(void *self, struct tide_error *err)
{
	struct pg_session *session = self;
	tide_status status = transaction_open_writer(session, err);
	if (status == TIDE_OK)
		status = pg_session_settle(session, session->writer, err);
	if (status != TIDE_OK)
		return status;
	status = transaction_begin(session, err);
	if (status != TIDE_OK)
		return status;
	session->has_savepoint = session->is_released = session->has_appended = false;
	session->is_untouched = session->in_transaction = true;
	session->writer->was_ended = false;
	return TIDE_OK;
}

/* COMMIT of an aborted transaction succeeds with the tag ROLLBACK. */
tide_status pg_commit(void *self, struct tide_error *err)
{
	struct pg_session *session = self;
	PG_RESULT_AUTO PGresult *result = NULL;
	tide_status status = pg_check(session, err);
	if (status != TIDE_OK)
		return status;

	session->has_savepoint = false;
	pg_connection_limit(session->writer, PG_ANSWER_WRITE, session->answer_seconds);
	status = pg_query(session->writer, "COMMIT", NULL, &result, err);
	pg_connection_limit(session->writer, PG_ANSWER_WRITE, 0);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	if (status == TIDE_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0)
		return tide_fail(
			err, TIDE_IO,
			"PostgreSQL: the transaction was rolled back instead of committed");
	if (status != TIDE_OK)
		return status;
	session->in_transaction = false;
	if (session->has_appended)
		pg_bell_ring(session->store);
	return TIDE_OK;
}

void pg_rollback(void *self)
{
	struct pg_session *session = self;
	session->has_savepoint = false;
	/* a commit whose answer is late is none that could be taken back */
	if (session->writer->is_late || !pg_connection_is_usable(session->writer))
		return;
	session->in_transaction = false;
	if (PQtransactionStatus(session->writer->native) == PQTRANS_IDLE)
		return;
	if (PQtransactionStatus(session->writer->native) == PQTRANS_ACTIVE ||
	    pg_command(session->writer, "ROLLBACK", NULL) != TIDE_OK) {
		session->is_writer_lost = true;
		/* the server rolls back when its peer is gone */
		pg_connection_close(session->writer);
	}
}

tide_status pg_savepoint(void *self, struct tide_error *err)
{
	struct pg_session *session = self;
	bool is_open = session->has_savepoint && session->is_released;
	if (session->is_untouched) {
		session->has_savepoint = true;
		session->is_untouched = session->writer->was_ended = false;
		return TIDE_OK;
	}

	tide_status status = transaction_command(
		session,
		is_open ? "RELEASE SAVEPOINT tidemark; SAVEPOINT tidemark" : "SAVEPOINT tidemark",
		err);
	if (status != TIDE_OK)
		return status;

	session->has_savepoint = true;
	session->is_released = session->writer->was_ended = false;
	return TIDE_OK;
}

tide_status pg_release(void *self, struct tide_error *err)
{
	struct pg_session *session = self;
	(void)err;
	session->is_released = true;
	return TIDE_OK;
}

tide_status pg_rollback_to(void *self, struct tide_error *err)
{
	struct pg_session *session = self;
	if (!session->has_savepoint)
		return TIDE_OK;
	tide_status status = transaction_command(
		session, "ROLLBACK TO SAVEPOINT tidemark; RELEASE SAVEPOINT tidemark", err);
	session->has_savepoint = session->is_released = false;
	return status;
}

/* After a failed handler statement in libpq's pipeline or COPY mode the connection is of no use for
 * us. */
tide_status pg_check(void *self, struct tide_error *err)
{
	struct pg_session *session = self;
	PGconn *native = session->writer->native;
	if (!pg_connection_is_usable(session->writer)) {
		pg_store_lost(session->store);
		return pg_fail_connection(native, err);
	}

	switch (PQtransactionStatus(native)) {
	case PQTRANS_INTRANS:
		if (!session->writer->was_ended)
			return TIDE_OK;
		break;
	case PQTRANS_INERROR: {
		const char *sqlstate = session->writer->sqlstate;
		tide_status status = native_postgres(sqlstate).status;
		tide_fail(err, status, "PostgreSQL: the handler left the transaction aborted (%s)",
			  sqlstate);
		if (err)
			err->native = pg_native_of(sqlstate);
		return status;
	}
	case PQTRANS_ACTIVE:
		return tide_fail(
			err, TIDE_STATE,
			"the handler left a statement running on the delivery transaction");
	default:
		break;
	}
	return tide_fail(err, TIDE_STATE, "handler ended the delivery transaction");
}

void *pg_native(void *self)
{
	struct pg_session *session = self;
	return transaction_open_writer(session, NULL) == TIDE_OK ? session->writer->native : NULL;
}

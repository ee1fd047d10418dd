/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/connection.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/postgres/status.h"
#include "core/escape.h"
#include "sys/alloc.h"
#include "sys/libpq.h"

#define CONNECTION_LOOK_MS 100
#define CONNECTION_USES_MAX 500 /* of a prepared statement until it is prepared anew */

static void connection_copy(char ret[64], const PGresult *result, int field)
{
	const char *text = PQresultErrorField(result, field);
	snprintf(ret, 64, "%s", text ? text : "");
}

static void connection_note(struct pg_connection *connection, const PGresult *result,
			    const char *sqlstate)
{
	strncpy(connection->sqlstate, sqlstate, sizeof connection->sqlstate - 1);
	connection_copy(connection->broken.schema, result, PG_DIAG_SCHEMA_NAME);
	connection_copy(connection->broken.table, result, PG_DIAG_TABLE_NAME);
	connection_copy(connection->broken.constraint, result, PG_DIAG_CONSTRAINT_NAME);
}

/* libpq shows every result of a connection here, also those of a handler's own statements. */
static int connection_watch(PGEventId id, void *info, void *self)
{
	if (id != PGEVT_RESULTCREATE)
		return 1;
	struct pg_connection *connection = self;
	PGresult *result = ((PGEventResultCreate *)info)->result;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (sqlstate && PQresultStatus(result) == PGRES_FATAL_ERROR)
		connection_note(connection, result, sqlstate);
	const char *tag = PQcmdStatus(result);
	if (strcmp(tag, "COMMIT") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0)
		connection->was_ended = true;
	return 1;
}

/* Notices are the server's small talk; the library prints nothing. */
static void connection_ignore(void *self, const char *message)
{
	(void)self;
	(void)message;
}

static bool connection_has_encoding(const PGconn *native, const char *name)
{
	const char *encoding = PQparameterStatus(native, "server_encoding");
	return encoding && strcmp(encoding, name) == 0;
}

/* A database without an encoding gives out no bytes that are none of ours; so it is told that we
 * have none, either. */
static bool connection_take_bytes(PGconn *native)
{
	return !connection_has_encoding(native, "SQL_ASCII") ||
	       PQsetClientEncoding(native, "SQL_ASCII") == 0;
}

bool pg_connection_is_bytes(const struct pg_connection *connection)
{
	return connection_has_encoding(connection->native, "SQL_ASCII");
}

uint32_t pg_connection_greatest(const struct pg_connection *connection)
{
	if (connection_has_encoding(connection->native, "UTF8") ||
	    pg_connection_is_bytes(connection))
		return ESCAPE_UTF8;
	return connection_has_encoding(connection->native, "LATIN1") ? ESCAPE_LATIN1 : ESCAPE_ASCII;
}

tide_status pg_connection_open(struct pg_connection *connection, const struct pg_target *target,
			       struct tide_error *err)
{
	connection->native = NULL;
	connection->target = target;
	connection->prepared = 0;
	connection->sqlstate[0] = '\0';
	memset(&connection->broken, 0, sizeof connection->broken);
	connection->was_ended = connection->is_broken = false;
	connection->is_late = false;
	connection->limit = 0;
	static _Atomic uint64_t opened;
	PGconn *native = PQconnectdbParams(target->keywords, target->values, 0);
	if (!native)
		return alloc_fail(err);
	if (PQstatus(native) != CONNECTION_OK || !connection_take_bytes(native)) {
		tide_status status = pg_fail_connect(native, err);
		PQfinish(native);
		return status;
	}

	PQsetNoticeProcessor(native, connection_ignore, NULL);
	if (!PQregisterEventProc(native, connection_watch, "tidemark", connection)) {
		PQfinish(native);
		return alloc_fail(err);
	}

	connection->native = native;
	connection->number = atomic_fetch_add(&opened, 1) + 1;
	PQfreeCancel(atomic_exchange(&connection->cancel, PQgetCancel(native)));
	return TIDE_OK;
}

void pg_connection_close(struct pg_connection *connection)
{
	PQfreeCancel(atomic_exchange(&connection->cancel, NULL));
	PQfinish(connection->native);
	connection->native = NULL;
	connection->prepared = connection->outdated = 0;
	connection->is_late = false;
}

/* While one is sent, nobody else has what it is sent with; a connection made anew meanwhile has
 * brought its own. */
void pg_connection_interrupt(struct pg_connection *connection)
{
	char ignored[256];
	PGcancel *cancel = atomic_exchange(&connection->cancel, NULL), *none = NULL;
	if (!cancel)
		return;
	/* returns when the server has dealt with it */
	(void)PQcancel(cancel, ignored, sizeof ignored);
	if (!atomic_compare_exchange_strong(&connection->cancel, &none, cancel))
		PQfreeCancel(cancel);
}

bool pg_connection_is_usable(const struct pg_connection *connection)
{
	return connection->native && !connection->is_broken &&
	       PQstatus(connection->native) == CONNECTION_OK;
}

bool pg_connection_has_survived(struct pg_connection *connection)
{
	for (int tries = 0; tries < 3 && pg_connection_is_usable(connection); tries++) {
		struct pollfd fd = { .fd = PQsocket(connection->native), .events = POLLIN };
		if (poll(&fd, 1, 0) <= 0)
			return true;
		PQconsumeInput(connection->native);
	}
	return pg_connection_is_usable(connection);
}

static tide_status connection_fail(struct pg_connection *connection, const PGresult *result,
				   struct tide_error *err)
{
	const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	if (result && !sqlstate) /* libpq's own: it gave up, whatever PQstatus says */
		connection->is_broken = true;
	if (!sqlstate && pg_connection_is_usable(connection))
		return tide_fail(err, TIDE_INTERNAL, "PostgreSQL: libpq refused a call: %.300s",
				 PQerrorMessage(connection->native));
	return sqlstate ? pg_fail_result(result, err) : pg_fail_connection(connection->native, err);
}

/* What libpq wants to know about parameters: all of them binary. */
struct connection_args {
	const char *values[PG_PARAMS_MAX];
	int formats[PG_PARAMS_MAX];
};

static int connection_args(const struct pg_params *params, struct connection_args *ret)
{
	int count = params ? params->count : 0;
	for (int i = 0; i < count; i++) {
		/* an empty text is a value, too: its pointer must not be NULL */
		const char *data = params->bytes.data ? params->bytes.data + params->starts[i] : "";
		ret->values[i] = params->lengths[i] < 0 ? NULL : data;
		ret->formats[i] = 1;
	}
	return count;
}

static bool connection_is_success(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
	       status == PGRES_EMPTY_QUERY;
}

void pg_connection_limit(struct pg_connection *connection, enum pg_answer answer, double seconds)
{
	connection->deadline = mono_add(clock_mono(&clock_system), ns_of_seconds(seconds));
	connection->limit = seconds;
	connection->answer = answer;
}

bool pg_connection_is_flying(const struct pg_connection *connection)
{
	return connection->native && PQtransactionStatus(connection->native) == PQTRANS_ACTIVE;
}

bool pg_connection_land(struct pg_connection *connection)
{
	PQconsumeInput(connection->native); /* a loss is what PQgetResult tells */
	while (!PQisBusy(connection->native) || PQstatus(connection->native) != CONNECTION_OK) {
		PGresult *result = PQgetResult(connection->native);
		if (!result) {
			connection->is_late = false;
			return true;
		}
		PQclear(result);
	}
	return false;
}

/* How long poll may wait. What TLS has read ahead lies with libpq and wakes nobody, so that is
 * looked for now and then. */
static int connection_patience_ms(const struct pg_connection *connection)
{
	int64_t left = mono_since(connection->deadline, clock_mono(&clock_system));
	int64_t ms = left > 0 ? (left + NS_PER_MS - 1) / NS_PER_MS : 0;
	int64_t most = PQsslInUse(connection->native) ? CONNECTION_LOOK_MS : INT_MAX;
	return (int)(ms < most ? ms : most);
}

/*
 * Wait until a result can be had without waiting; false when the time was up before. As many system
 * calls as PQgetResult makes for it. A loss is left to PQgetResult.
 */
static bool connection_await(struct pg_connection *connection)
{
	while (connection->limit > 0 && PQisBusy(connection->native)) {
		int ms = connection_patience_ms(connection);
		struct pollfd fd = { .fd = PQsocket(connection->native), .events = POLLIN };
		int ready = poll(&fd, 1, ms);
		bool is_hidden = ready == 0 && PQsslInUse(connection->native);
		if ((ready > 0 || is_hidden) && !PQconsumeInput(connection->native))
			return true;
		if (ready == 0 && ms == 0 && PQisBusy(connection->native))
			return false;
	}
	return true;
}

/*
 * The answer to one text; of its results the first failure counts, else the last one. False when
 * the time was up before: the connection is flying and late. It is neither cancelled nor closed: a
 * cancel ends the wait for a standby, so that the event is there for everybody but not where it
 * must be, and a close is noticed by no server process that waits for one.
 */
static bool connection_collect(struct pg_connection *connection, PGresult **ret)
{
	PGresult *kept = NULL, *next;
	for (;;) {
		if (!connection_await(connection)) {
			PQclear(kept);
			connection->is_late = true;
			return false;
		}
		next = PQgetResult(connection->native);
		if (!next)
			break;
		if (kept && !connection_is_success(kept)) {
			PQclear(next);
			continue;
		}
		PQclear(kept);
		kept = next;
		if (PQresultStatus(next) == PGRES_COPY_IN || PQresultStatus(next) == PGRES_COPY_OUT)
			break;
	}

	*ret = kept;
	return true;
}

static tide_status connection_fail_late(const struct pg_connection *connection,
					struct tide_error *err)
{
	char cause[PG_LATE_SIZE];
	pg_late_cause(connection, cause);
	if (connection->answer == PG_ANSWER_WRITE)
		return tide_fail(err, TIDE_TIMEOUT,
				 "PostgreSQL has not answered a write after %g s%s; whether it is "
				 "committed is not known yet",
				 connection->limit, cause);
	return tide_fail(err, TIDE_TIMEOUT,
			 "PostgreSQL has not answered an append after %g s (append_timeout)%s; "
			 "whether it is stored is "
			 "unknown, repeating it with the same event ids is safe",
			 connection->limit, cause);
}

tide_status pg_connection_settle(struct pg_connection *connection, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *result = NULL;
	if (!connection->is_late)
		return TIDE_OK;
	if (!connection_collect(connection, &result))
		return connection_fail_late(connection, err);
	connection->is_late = false;
	return TIDE_OK; /* a loss is what the next statement finds */
}

/* Failing is of no account: the name is then in use still, and preparing says so. False: it is not
 * answered. */
static bool connection_forget(struct pg_connection *connection, enum pg_statement statement,
			      const char *name)
{
	PG_RESULT_AUTO PGresult *result = NULL;
	char text[20];
	snprintf(text, sizeof text, "DEALLOCATE %s", name);
	if (PQsendQuery(connection->native, text) && !connection_collect(connection, &result))
		return false;
	connection->outdated &= ~(UINT64_C(1) << statement);
	return true;
}

/* Whether one that nobody waited for was prepared in the end, the next time need not know. */
static tide_status connection_prepare_late(struct pg_connection *connection,
					   enum pg_statement statement, struct tide_error *err)
{
	connection->outdated |= UINT64_C(1) << statement;
	return connection_fail_late(connection, err);
}

/*
 * The server keeps the plan of a prepared statement until it analyses a table that grows. One made
 * while the table was empty may read all of it each time; planning anew now and then bounds what
 * that costs.
 */
static void connection_age(struct pg_connection *connection, enum pg_statement statement)
{
	uint64_t bit = UINT64_C(1) << statement;
	bool is_idle = PQtransactionStatus(connection->native) == PQTRANS_IDLE;
	if (!(connection->prepared & bit) || connection->uses[statement]++ < CONNECTION_USES_MAX ||
	    !is_idle)
		return;
	connection->prepared &= ~bit;
	connection->outdated |= bit;
}

static tide_status connection_prepare(struct pg_connection *connection, enum pg_statement statement,
				      const char *name, struct tide_error *err)
{
	connection_age(connection, statement);
	if (connection->prepared & UINT64_C(1) << statement)
		return TIDE_OK;

	bool is_outdated = connection->outdated & UINT64_C(1) << statement;
	if (is_outdated && !connection_forget(connection, statement, name))
		return connection_prepare_late(connection, statement, err);

	PG_RESULT_AUTO PGresult *result = NULL;
	if (!PQsendPrepare(connection->native, name, connection->target->statements[statement], 0,
			   NULL))
		return connection_fail(connection, NULL, err);
	if (!connection_collect(connection, &result))
		return connection_prepare_late(connection, statement, err);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		return connection_fail(connection, result, err);

	connection->prepared |= UINT64_C(1) << statement;
	connection->uses[statement] = 0;
	return TIDE_OK;
}

#define STATEMENT_NAME(statement)                                                                  \
	{                                                                                          \
		't', (char)('0' + (statement) / 10), (char)('0' + (statement) % 10), '\0'          \
	}

static bool connection_prepares(const struct pg_connection *connection, int statement)
{
	return connection->target->can_prepare && statement < PG_STATEMENT_PREPARED;
}

static tide_status connection_make_ready(struct pg_connection *connection,
					 enum pg_statement statement,
					 const struct pg_params *params, struct tide_error *err)
{
	_Static_assert(PG_STATEMENT_PREPARED <= 64, "a bit for each that is prepared");
	if (params && params->bytes.failed)
		return alloc_fail(err);
	connection->sqlstate[0] = '\0';
	const char name[] = STATEMENT_NAME(statement);
	return connection_prepares(connection, (int)statement)
		       ? connection_prepare(connection, statement, name, err)
		       : TIDE_OK;
}

static bool connection_send(struct pg_connection *connection, enum pg_statement statement,
			    const struct pg_params *params)
{
	struct connection_args args;
	int count = connection_args(params, &args);
	const int *lengths = params ? params->lengths : NULL;
	const char name[] = STATEMENT_NAME(statement);
	if (connection_prepares(connection, (int)statement))
		return PQsendQueryPrepared(connection->native, name, count, args.values, lengths,
					   args.formats, 1);
	return PQsendQueryParams(connection->native, connection->target->statements[statement],
				 count, NULL, args.values, lengths, args.formats, 1);
}

static void connection_note_sent(struct pg_connection *connection, int first, int second)
{
	connection->sent[0] = connection_prepares(connection, first) ? first : -1;
	connection->sent[1] = connection_prepares(connection, second) ? second : -1;
	connection->has_outdated = false;
}

tide_status pg_send(struct pg_connection *connection, enum pg_statement statement,
		    const struct pg_params *params, struct tide_error *err)
{
	tide_status status = connection_make_ready(connection, statement, params, err);
	if (status != TIDE_OK)
		return status;
	connection_note_sent(connection, (int)statement, -1);
	return connection_send(connection, statement, params)
		       ? TIDE_OK
		       : connection_fail(connection, NULL, err);
}

/* A synchronisation ends the transaction of what was sent before it, so the second statement has a
 * snapshot of its own whatever isolation the role prefers. */
tide_status pg_send_both(struct pg_connection *connection, const enum pg_statement statements[2],
			 const struct pg_params *const params[2], struct tide_error *err)
{
	PGconn *native = connection->native;
	tide_status status = connection_make_ready(connection, statements[0], params[0], err);
	if (status == TIDE_OK)
		status = connection_make_ready(connection, statements[1], params[1], err);
	if (status != TIDE_OK)
		return status;

	connection_note_sent(connection, (int)statements[0], (int)statements[1]);
	bool is_sent = PQenterPipelineMode(native);
	for (int i = 0; is_sent && i < 2; i++)
		is_sent = connection_send(connection, statements[i], params[i]) &&
			  PQpipelineSync(native);
	if (is_sent)
		return TIDE_OK;

	connection->is_broken = true;
	return connection_fail(connection, NULL, err);
}

/*
 * A plan whose result a change of a table would alter fails with "feature not supported", and only
 * the server's function that says so tells it from other such errors. A handler or a person may
 * also have dropped every prepared statement.
 */
static bool connection_is_outdated(const PGresult *result, int sent)
{
	const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *function = result ? PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION) : NULL;
	if (sent < 0 || !sqlstate)
		return false;
	return strcmp(sqlstate, "26000") == 0 || (strcmp(sqlstate, "0A000") == 0 && function &&
						  strcmp(function, "RevalidateCachedQuery") == 0);
}

/* It is prepared again when it is sent next; the transaction that it broke can be repeated. */
static tide_status connection_fail_sent(struct pg_connection *connection, const PGresult *result,
					int sent, struct tide_error *err)
{
	if (!connection_is_outdated(result, sent))
		return connection_fail(connection, result, err);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool is_gone = strcmp(sqlstate, "26000") == 0; /* by DEALLOCATE ALL, as a rule */
	connection->has_outdated = true;
	connection->prepared &= is_gone ? 0 : ~(UINT64_C(1) << sent);
	connection->outdated = is_gone ? 0 : connection->outdated | UINT64_C(1) << sent;
	return tide_fail(err, TIDE_BUSY,
			 "PostgreSQL: a table was changed under a prepared statement (%s)",
			 sqlstate);
}

tide_status pg_take(struct pg_connection *connection, PGresult **ret, struct tide_error *err)
{
	PGresult *kept = NULL;
	if (!connection_collect(connection, &kept))
		return connection_fail_late(connection, err);
	if (kept && connection_is_success(kept)) {
		*ret = kept;
		return TIDE_OK;
	}
	tide_status status = connection_fail_sent(connection, kept, connection->sent[0], err);
	PQclear(kept);
	return status;
}

/* The result of one statement of a pipeline, and the synchronisation behind it. */
static PGresult *connection_take_step(struct pg_connection *connection)
{
	PGresult *kept = PQgetResult(connection->native), *next;
	while (kept && (next = PQgetResult(connection->native)) != NULL)
		PQclear(next);
	if (kept)
		PQclear(PQgetResult(connection->native));
	return kept;
}

tide_status pg_take_both(struct pg_connection *connection, PGresult *ret[2], struct tide_error *err)
{
	PGresult *results[2];
	for (int i = 0; i < 2; i++)
		results[i] = connection_take_step(connection);
	bool is_first_well = results[0] && connection_is_success(results[0]);
	bool is_well = is_first_well && results[1] && connection_is_success(results[1]);
	if (!PQexitPipelineMode(connection->native))
		connection->is_broken = true;
	if (is_well) {
		ret[0] = results[0];
		ret[1] = results[1];
		return TIDE_OK;
	}

	tide_status status = connection_fail_sent(connection, results[is_first_well],
						  connection->sent[is_first_well], err);
	PQclear(results[0]);
	PQclear(results[1]);
	return status;
}

tide_status pg_query(struct pg_connection *connection, const char *text,
		     const struct pg_params *params, PGresult **ret, struct tide_error *err)
{
	if (params && params->bytes.failed)
		return alloc_fail(err);
	struct connection_args args;
	int count = connection_args(params, &args);
	connection->sqlstate[0] = '\0';
	connection_note_sent(connection, -1, -1);
	if (!PQsendQueryParams(connection->native, text, count, NULL, args.values,
			       params ? params->lengths : NULL, args.formats, 1))
		return connection_fail(connection, NULL, err);
	return pg_take(connection, ret, err);
}

tide_status pg_command(struct pg_connection *connection, const char *text, struct tide_error *err)
{
	connection->sqlstate[0] = '\0';
	connection_note_sent(connection, -1, -1);
	if (!PQsendQuery(connection->native, text))
		return connection_fail(connection, NULL, err);
	PG_RESULT_AUTO PGresult *result = NULL;
	return pg_take(connection, &result, err);
}

int64_t pg_changed(PGresult *result)
{
	return strtoll(PQcmdTuples(result), NULL, 10);
}

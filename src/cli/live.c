/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A projection tried on its database, by a session of its own.
 *
 * Happy path: a transaction is opened, the statements are prepared or run, and it is rolled back.
 * Failure modes: an event that fails is undone by itself, and the others are run all the same; what
 * ends the transaction ends the trial.
 */
#include "cli/live.h"

#include <string.h>

#include "path/port.h"
#include "sys/alloc.h"

/** A session and its native connection. */
struct live {
	struct tide_store *database;
	void *session, *connection;
	bool is_open; /* the transaction */
};

static tide_status live_begin(struct live *live, struct tide_store *database, bool has_transaction,
			      struct tide_error *err)
{
	*live = (struct live){ .database = database };
	if (!port_has_transactions(database))
		return tide_fail(err, TIDE_UNSUPPORTED, "'%s' has no transactions", database->url);
	tide_status status = store_borrow(database, &live->session, err);
	if (status == TIDE_OK && has_transaction)
		status = port_begin(live->database, live->session, err);
	live->is_open = status == TIDE_OK && has_transaction;
	live->connection =
		status == TIDE_OK ? port_connection(live->database, live->session) : NULL;
	if (status == TIDE_OK && !live->connection)
		status = tide_fail(err, TIDE_CONNECTION_LOST, "'%s': the connection is lost",
				   database->url);
	return status;
}

static void live_end(struct live *live, tide_status status)
{
	if (live->is_open)
		port_rollback(live->database, live->session);
	if (live->session)
		store_return(live->database, live->session, status);
}

/* On SQLite a transaction of this kind keeps others from writing, and the look needs none. */
tide_status live_examine(struct tide_sql_projection *projection, struct tide_store *database,
			 sql_tell *tell, void *self, struct tide_error *err)
{
	struct live live;
	bool has_transaction = projection->dialect != &sql_dialect_sqlite;
	tide_status status = live_begin(&live, database, has_transaction, err);
	if (status == TIDE_OK)
		status = sql_projection_examine(projection, live.connection, tell, self, err);
	live_end(&live, status);
	return status;
}

tide_status live_query(struct tide_sql_projection *projection, struct tide_store *database,
		       const char *text, sql_cells *row, void *self, struct tide_error *err)
{
	struct live live;
	tide_status status = live_begin(&live, database, true, err);
	if (status == TIDE_OK)
		status = sql_projection_query(projection, live.connection, text, row, self, err);
	live_end(&live, status);
	return status;
}

static tide_status live_no_row(void *self, const char *const *cells, size_t count,
			       struct tide_error *err)
{
	(void)self;
	(void)cells;
	(void)count;
	(void)err;
	return TIDE_OK;
}

tide_status live_do(struct tide_store *database, live_action *action, void *self,
		    struct tide_error *err)
{
	struct live live;
	tide_status status = live_begin(&live, database, true, err);
	if (status == TIDE_OK)
		status = action(self, live.connection, err);
	if (status == TIDE_OK)
		status = port_commit(live.database, live.session, err);
	live.is_open = live.is_open && status != TIDE_OK;
	live_end(&live, status);
	return status;
}

/** A statement to be run. */
struct live_statement {
	const struct tide_sql_projection *projection;
	const char *text;
};

static tide_status live_run_statement(void *self, void *connection, struct tide_error *err)
{
	const struct live_statement *statement = self;
	return sql_projection_query(statement->projection, connection, statement->text, live_no_row,
				    NULL, err);
}

tide_status live_run(struct tide_sql_projection *projection, struct tide_store *database,
		     const char *text, struct tide_error *err)
{
	struct live_statement statement = { projection, text };
	return live_do(database, live_run_statement, &statement, err);
}

/* Its failure is its own: the statements before it stay to be seen. */
static tide_status live_try_event(const struct live *live, struct tide_sql_projection *projection,
				  const struct tide_event *event, const struct live_hearer *hearer,
				  struct live_trial *trial, struct tide_error *err)
{
	struct tide_error failed;
	tide_status status = port_savepoint(live->database, live->session, err);

	if (status != TIDE_OK)
		return status;
	status = sql_projection_try_event(projection, live->connection, event, &failed);
	if (status == TIDE_OK)
		status = sql_projection_tell_appends(projection, event, hearer->tell, hearer->self,
						     &failed);
	trial->events++;
	trial->to = event->position;
	if (status == TIDE_OK)
		return port_release_savepoint(live->database, live->session, err);
	if (trial->failed++ == 0) {
		trial->first = failed;
		trial->first_at = event->position;
	}
	if (status == TIDE_CONNECTION_LOST)
		return tide_fail(err, status, "%s", failed.message);
	return port_rollback_to(live->database, live->session, err);
}

static tide_status live_try_events(const struct live *live, struct tide_sql_projection *projection,
				   struct tide_store *feed, int64_t limit,
				   const struct live_hearer *hearer, struct live_trial *trial,
				   struct tide_error *err)
{
	const struct tide_query query = { .event_types = projection->subscriber.event_types,
					  .after = tide_bound(trial->from),
					  .limit = tide_bound(limit) };
	struct tide_reader *reader;
	const struct tide_event *event = NULL;
	tide_status status = tide_store_read(feed, &query, &reader, err);

	if (status != TIDE_OK)
		return status;
	do {
		status = tide_reader_next(reader, &event, err);
		if (status == TIDE_DECODE) /* it would be set aside */
			continue;
		if (status == TIDE_OK && event)
			status = live_try_event(live, projection, event, hearer, trial, err);
	} while (status == TIDE_DECODE || (status == TIDE_OK && event));
	tide_reader_close(reader);
	return status;
}

static tide_status live_take_rows(struct tide_sql_projection *projection, struct live_trial *trial,
				  struct tide_error *err)
{
	size_t count = projection->script.statement_count;
	trial->rows = alloc_zero(count + 1, sizeof *trial->rows);
	if (!trial->rows)
		return alloc_fail(err);
	memcpy(trial->rows, projection->script.changed, count * sizeof *trial->rows);
	return TIDE_OK;
}

tide_status live_try(struct tide_sql_projection *projection, struct tide_checkpoints *checkpoints,
		     tide_position after, int64_t limit, const struct live_hearer *hearer,
		     struct live_trial *ret, struct tide_error *err)
{
	struct live live;

	*ret = (struct live_trial){ .from = after, .to = after };
	tide_status status = live_begin(&live, checkpoints->database, true, err);
	if (status == TIDE_OK)
		status = sql_projection_try(projection, live.connection, err);
	/* what init did is behind the savepoint that a transaction may begin with */
	if (status == TIDE_OK)
		status = port_savepoint(live.database, live.session, err);
	if (status == TIDE_OK)
		status = port_release_savepoint(live.database, live.session, err);
	if (status == TIDE_OK)
		status = live_try_events(&live, projection, checkpoints->feed, limit, hearer, ret,
					 err);
	if (status == TIDE_OK)
		status = live_take_rows(projection, ret, err);
	if (live.connection)
		sql_projection_try_end(projection, live.connection);
	live_end(&live, status);
	return status;
}

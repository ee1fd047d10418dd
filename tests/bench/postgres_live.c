/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live subscriptions on one PostgreSQL store, which share `connections` of it, over a private
 * server that flushes as in production.
 *
 *	bench-postgres-live [-n SUBSCRIPTIONS] [-s SECONDS] [-p APPENDS-A-SECOND]
 *
 * As bench-live; by hand, one connection that appends and then moves all rows in one statement. The
 * server has 50 connections, fewer than there are subscriptions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "die.h"
#include "lib/postgres.h"
#include "many.h"

static char schema[32];
static int made;

static void schema_make(void)
{
	struct tide_store *store;
	struct tide_error err;
	char url[80];
	snprintf(schema, sizeof schema, "live%d", ++made);
	snprintf(url, sizeof url, "postgresql:///?schema=%s", schema);
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	tide_store_close(store);
}

static void schema_remove(void)
{
	char sql[80];
	snprintf(sql, sizeof sql, "DROP SCHEMA %s CASCADE", schema);
	postgres_sql("public", sql);
}

/* ---- By hand --------------------------------------------------------------------------------- */

static PGresult *hand_done(PGconn *connection, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		bench_die("by hand: %s", PQerrorMessage(connection));
	return result;
}

static PGconn *hand_open(void)
{
	static const char insert[] =
		"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		"\"timestamp\", payload, event_version, metadata) VALUES ($1, $1, 'Order', "
		"'OrderPlaced', 1, now(), '{\"order\": 4711}', 1, '{}') RETURNING "
		"global_position::text";
	static const char save[] = "UPDATE projection_checkpoints SET global_position = $1, "
				   "events_processed = events_processed + 1";
	char rows[200];
	PGconn *connection = PQconnectdb("");
	snprintf(
		rows, sizeof rows,
		"SET search_path = %s; INSERT INTO projection_checkpoints (projection_name) SELECT "
		"'live-' || i FROM generate_series(1, %d) i",
		schema, many.subscriptions);
	PQclear(hand_done(connection, PQexec(connection, rows)));
	PQclear(hand_done(connection, PQprepare(connection, "insert", insert, 0, NULL)));
	PQclear(hand_done(connection, PQprepare(connection, "save", save, 0, NULL)));
	return connection;
}

static PGresult *hand_run(PGconn *connection, const char *name, const char *value)
{
	return hand_done(connection, PQexecPrepared(connection, name, 1, &value, NULL, NULL, 0));
}

static void live_by_hand(void)
{
	PGconn *connection = hand_open();
	int64_t count = 0;
	char id[TIDE_UUID_TEXT_SIZE];
	struct lap lap = lap_begin();
	for (; seconds_of_clock() - lap.clock < many.seconds; count++) {
		struct tide_uuid uuid = tide_uuid_v7();
		PGresult *row = hand_run(connection, "insert", tide_uuid_format(&uuid, id));
		PQclear(hand_run(connection, "save", PQgetvalue(row, 0, 0)));
		PQclear(row);
	}
	(void)lap_end(&lap, count);
	PQfinish(connection);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/** What a row is measured with. */
struct side {
	const struct table *table;
	enum tide_checkpoint_strategy strategy;
};

static void side_measure(void *self, bool is_ours)
{
	const struct side *side = self;
	char url[80];
	schema_make();
	snprintf(url, sizeof url, "postgresql:///?schema=%s", schema);
	if (is_ours)
		many_live(side->table, url, side->strategy);
	else
		live_by_hand();
	schema_remove();
}

int main(int argc, char **argv)
{
	struct table table = { .program = "bench-postgres-live", .rounds = 9 };
	int option;
	many.subscriptions = 200;
	while ((option = getopt(argc, argv, MANY_OPTIONS)) != -1)
		if (!many_option(option, optarg) && !table_option(&table, option, optarg))
			bench_die("usage: bench-postgres-live " MANY_USAGE);

	if (!postgres_start_as(&(struct postgres_wish){ .is_flushing = true, .connections = 50 }))
		return 77;
	many_begin(&table);
	table_run(&table, &(struct table_row){ .name = "many live on PostgreSQL, every batch" },
		  side_measure, &(struct side){ &table, TIDE_EVERY_BATCH });
	table_run(&table, &(struct table_row){ .name = "many live on PostgreSQL, periodic" },
		  side_measure, &(struct side){ &table, TIDE_PERIODIC });
	postgres_stop();
	return 0;
}

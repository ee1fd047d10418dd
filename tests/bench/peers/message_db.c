/* SPDX-License-Identifier: Apache-2.0 */
#include "message_db.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <tidemark/tidemark.h>

#include "../die.h"
#include "../latency.h"
#include "../table.h"
#include "lib/postgres.h"

#define PAGE "1000"
#define STREAM 100
#define TEMPLATE "message_db"     /* as it was installed */
#define HISTORY "message_db_full" /* what is caught up on */
#define FRESH "message_db_fresh"

static void checked(PGconn *connection, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		bench_die("message-db: %s", PQerrorMessage(connection));
	PQclear(result);
}

static PGconn *connected(const char *database)
{
	char options[160];
	snprintf(options, sizeof options, "dbname=%s options='-c search_path=message_store,public'",
		 database);
	PGconn *connection = PQconnectdb(options);
	checked(connection,
		PQprepare(connection, "write",
			  "SELECT write_message($1::varchar, $2::varchar, $3::varchar, $4::jsonb)",
			  0, NULL));
	checked(connection,
		PQprepare(connection, "get",
			  "SELECT * FROM get_category_messages('order', $1::bigint, " PAGE ")", 0,
			  NULL));
	return connection;
}

/** The parameters of a message. */
struct message {
	char id[TIDE_UUID_TEXT_SIZE], stream[64];
	const char *values[4];
};

static void message_fill(struct message *message, const char *stream)
{
	struct tide_uuid id = tide_uuid_v4();
	snprintf(message->stream, sizeof message->stream, "%s", stream);
	message->values[0] = tide_uuid_format(&id, message->id);
	message->values[1] = message->stream;
	message->values[2] = "OrderPlaced";
	message->values[3] = bench_payload;
}

static void message_write(PGconn *connection, const struct message *message)
{
	checked(connection, PQexecPrepared(connection, "write", 4, message->values, NULL, NULL, 0));
}

/* ---- Appending ------------------------------------------------------------------------------- */

static void batch_begin(PGconn *connection, bool is_tuned)
{
	if (!is_tuned)
		checked(connection, PQexec(connection, "BEGIN"));
	else if (!PQenterPipelineMode(connection) ||
		 !PQsendQueryParams(connection, "BEGIN", 0, NULL, NULL, NULL, NULL, 0))
		bench_die("message-db: %s", PQerrorMessage(connection));
}

static void batch_write(PGconn *connection, const struct message *message, bool is_tuned)
{
	if (!is_tuned)
		message_write(connection, message);
	else if (!PQsendQueryPrepared(connection, "write", 4, message->values, NULL, NULL, 0))
		bench_die("message-db: %s", PQerrorMessage(connection));
}

static void batch_end(PGconn *connection, bool is_tuned)
{
	if (!is_tuned) {
		checked(connection, PQexec(connection, "COMMIT"));
		return;
	}

	if (!PQsendQueryParams(connection, "COMMIT", 0, NULL, NULL, NULL, NULL, 0) ||
	    !PQpipelineSync(connection))
		bench_die("message-db: %s", PQerrorMessage(connection));
	for (bool is_over = false; !is_over;) {
		PGresult *result = PQgetResult(connection);
		is_over = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		if (result && !is_over)
			checked(connection, result);
		else
			PQclear(result);
	}
	PQexitPipelineMode(connection);
}

static void append_all(PGconn *connection, int64_t count, int64_t each, bool is_tuned)
{
	struct message message;
	char stream[64] = "";
	for (int64_t i = 0; i < count; i += each) {
		if (i % STREAM == 0)
			snprintf(stream, sizeof stream, "order-%ld", (long)i / STREAM);
		if (each > 1)
			batch_begin(connection, is_tuned);
		for (int64_t k = 0; k < each; k++) {
			message_fill(&message, stream);
			batch_write(connection, &message, each > 1 && is_tuned);
		}
		if (each > 1)
			batch_end(connection, is_tuned);
	}
}

static void database_make(const char *name)
{
	char sql[128];
	snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s", name);
	postgres_sql("public", sql);
	snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE " TEMPLATE, name);
	postgres_sql("public", sql);
}

void message_db_append(int64_t count, int64_t each, bool is_tuned)
{
	database_make(FRESH);
	PGconn *connection = connected(FRESH);
	struct lap lap = lap_begin();
	append_all(connection, count, each, is_tuned);
	(void)lap_end(&lap, count);
	PQfinish(connection);
}

bool message_db_install(const char *directory, int64_t history, char why[256])
{
	char command[4300];
	snprintf(command, sizeof command,
		 "%s/node_modules/@eventide/message-db/database/install.sh", directory);
	if (access(command, R_OK) != 0) {
		snprintf(why, 256, "@eventide/message-db is not installed");
		return false;
	}
	snprintf(command, sizeof command,
		 "DATABASE_NAME=" TEMPLATE
		 " bash '%s/node_modules/@eventide/message-db/database/install.sh' >/dev/null 2>&1",
		 directory);
	if (system(command) != 0) {
		snprintf(why, 256, "its install.sh does not work here");
		return false;
	}

	database_make(HISTORY);
	PGconn *connection = connected(HISTORY);
	append_all(connection, history, STREAM, true);
	checked(connection, PQexec(connection, "VACUUM ANALYZE messages"));
	PQfinish(connection);
	return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Columns of its type `message`. */
enum { COLUMN_POSITION = 4, COLUMN_DATA };

static PGresult *page_read(PGconn *connection, int64_t position)
{
	char from[24];
	const char *const values[] = { from };
	snprintf(from, sizeof from, "%lld", (long long)position);
	PGresult *rows = PQexecPrepared(connection, "get", 1, values, NULL, NULL, 0);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		bench_die("message-db: %s", PQerrorMessage(connection));
	return rows;
}

static int64_t row_position(const PGresult *rows, int row)
{
	return strtoll(PQgetvalue(rows, row, COLUMN_POSITION), NULL, 10);
}

/* As a consumer of Eventide keeps it: a message in a stream of positions. */
static void position_write(PGconn *connection, int64_t position)
{
	struct message message;
	char data[64];
	message_fill(&message, "order:position-bench");
	snprintf(data, sizeof data, "{\"position\": %lld}", (long long)position);
	message.values[2] = "Recorded";
	message.values[3] = data;
	message_write(connection, &message);
}

static int64_t handled;

static void handle_one(const char *data)
{
	handled += *data == '{';
}
/* Read through a variable, so that the call stays a call. */
static void (*volatile handler)(const char *data) = handle_one;

void message_db_catch_up(int64_t count, int64_t every)
{
	PGconn *connection = connected(HISTORY);
	int64_t position = 0;
	int seen;
	handled = 0;
	struct lap lap = lap_begin();
	do {
		PGresult *rows = page_read(connection, position + 1);
		seen = PQntuples(rows);
		for (int row = 0; row < seen; row++) {
			position = row_position(rows, row);
			handler(PQgetvalue(rows, row, COLUMN_DATA));
			if (handled % every == 0)
				position_write(connection, position);
		}
		PQclear(rows);
	} while (seen > 0);
	(void)lap_end(&lap, handled);
	PQfinish(connection);
	if (handled != count)
		bench_die("message-db: %lld of %lld events handled", (long long)handled,
			  (long long)count);
}

/* ---- Live ------------------------------------------------------------------------------------ */

/** Who appends, and how often who listens looks. */
struct live {
	PGconn *connection;
	int poll_ms;
};

static void live_listen(void *self, int reports, int until)
{
	const struct live *live = self;
	PGconn *connection = connected(FRESH);
	struct pollfd ending = { .fd = until, .events = POLLIN };
	int64_t position = 0;
	bool is_over = false;
	latency_report(reports, true);
	while (!is_over) {
		PGresult *rows = page_read(connection, position + 1);
		int seen = PQntuples(rows);
		for (int row = 0; row < seen; row++) {
			position = row_position(rows, row);
			latency_report(reports, false);
		}
		PQclear(rows);
		is_over = poll(&ending, 1, seen > 0 ? 0 : live->poll_ms) != 0;
	}
	PQfinish(connection);
}

static void live_begin(void *self, int reports)
{
	(void)reports;
	((struct live *)self)->connection = connected(FRESH);
}

static void live_append(void *self)
{
	struct message message;
	message_fill(&message, "order-live");
	message_write(((struct live *)self)->connection, &message);
}

static void live_end(void *self)
{
	PQfinish(((struct live *)self)->connection);
}

void message_db_live(double *took, int count, int poll_ms)
{
	struct live live = { .poll_ms = poll_ms };
	const struct latency_way way = { .self = &live,
					 .listen = live_listen,
					 .begin = live_begin,
					 .append = live_append,
					 .end = live_end,
					 .period = poll_ms / 1e3 };
	database_make(FRESH);
	latency_take(&way, took, count);
}

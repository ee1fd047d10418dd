/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL projections, and handlers in C, against the same statements by hand: one upsert an event,
 * read in pages, the page and its checkpoint in one transaction. By hand is a loop of prepared
 * statements on SQLite, by processor time, and one libpq pipeline a page on PostgreSQL, over a
 * server that flushes, by the clock.
 *
 *	bench-projection [-d DIRECTORY] [-n EVENTS] [-j] [-r ROUNDS] [-o PART-OF-A-NAME]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <tidemark/tidemark.h>

#include "die.h"
#include "lib/postgres.h"
#include "table.h"

#define STREAM 100     /* events of one aggregate, appended together */
#define CUSTOMERS 9973 /* rows of the read model */
#define PATIENCE 600.0

/** How one case is measured. */
struct work {
	const char *name;
	const char *url;
	int64_t page;
	bool reads_all;     /* by hand, SQLite: every column of an event */
	bool reads_nothing; /* by hand, PostgreSQL: the reading does not count */
	/* of ours: SQL, or the same event by event; or C, which is handed its events one by one, or
	 * together */
	enum { HANDLER_SQL, HANDLER_SQL_EACH, HANDLER_C, HANDLER_C_TOGETHER } handler;
};

static int64_t events = 50000;
static struct table table = { .program = "bench-projection", .rounds = 9 };
static const char *directory = ".";
static char sqlite_url[4200], sqlite_path[4100];
static const char postgres_url[] = "postgresql:///?schema=public";
static int made; /* read models so far, for names that are new */

/* The orders of a customer and their amount, out of the payload; %s: the payload. */
static const char sqlite_upsert[] =
	"INSERT INTO totals_%d (customer, orders, amount) VALUES (json_extract(%s, '$.customer'), "
	"1, "
	"json_extract(%s, '$.amount')) ON CONFLICT (customer) DO UPDATE SET orders = orders + 1, "
	"amount = amount + excluded.amount";
static const char postgres_upsert[] =
	"INSERT INTO totals_%d AS t (customer, orders, amount) VALUES (%s::json->>'customer', 1, "
	"(%s::json->>'amount')::float8) ON CONFLICT (customer) DO UPDATE SET orders = t.orders + "
	"1, "
	"amount = t.amount + excluded.amount";
static const char table_text[] =
	"CREATE TABLE IF NOT EXISTS totals_%d (customer TEXT PRIMARY KEY, orders "
	"BIGINT NOT NULL, amount FLOAT NOT NULL)";
static const char checkpoint[] =
	"INSERT INTO bare_checkpoints (name, position) VALUES ('bare', $1) ON CONFLICT (name) DO "
	"UPDATE SET position = excluded.position";
static const char page_text[] = "SELECT global_position, payload FROM events WHERE global_position "
				"> $1 ORDER BY global_position LIMIT $2";

static const char whole_page_text[] =
	"SELECT global_position, payload, event_id, aggregate_id, aggregate_type, event_type, "
	"tenant_id, actor_id, version, timestamp, created_at, event_version, correlation_id, "
	"causation_id, metadata FROM events WHERE global_position > $1 ORDER BY global_position "
	"LIMIT $2";
#define COLUMNS 15

static bool is_sqlite(const struct work *work)
{
	return strncmp(work->url, "sqlite", 6) == 0;
}

/* ---- By hand, SQLite ------------------------------------------------------------------------- */

/** The connection and its statements. */
struct bare_sqlite {
	sqlite3 *db;
	sqlite3_stmt *page, *upsert, *checkpoint;
};

static void lite_do(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		bench_die("%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3_stmt *lite_prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
	    SQLITE_OK)
		bench_die("%s: %s", sql, sqlite3_errmsg(db));
	return statement;
}

static void lite_step(struct bare_sqlite *bare, sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE)
		bench_die("bare loop: %s", sqlite3_errmsg(bare->db));
	sqlite3_reset(statement);
}

static void lite_open(struct bare_sqlite *bare, const struct work *work)
{
	char text[500];
	if (sqlite3_open_v2(sqlite_path, &bare->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		bench_die("%s: %s", sqlite_path, sqlite3_errmsg(bare->db));
	lite_do(bare->db, "PRAGMA synchronous=NORMAL");
	snprintf(text, sizeof text, table_text, made);
	lite_do(bare->db, text);
	bare->page = lite_prepare(bare->db, work->reads_all ? whole_page_text : page_text);
	snprintf(text, sizeof text, sqlite_upsert, made, "$1", "$1");
	bare->upsert = lite_prepare(bare->db, text);
	bare->checkpoint = lite_prepare(bare->db, checkpoint);
}

/* Each event goes from the row that reads it into the statement. */
static int64_t lite_page(struct bare_sqlite *bare, const struct work *work, int64_t *position)
{
	int64_t count = 0;
	lite_do(bare->db, "BEGIN IMMEDIATE");
	sqlite3_bind_int64(bare->page, 1, *position);
	sqlite3_bind_int64(bare->page, 2, work->page);
	for (; sqlite3_step(bare->page) == SQLITE_ROW; count++) {
		*position = sqlite3_column_int64(bare->page, 0);
		for (int column = 2; work->reads_all && column < COLUMNS; column++)
			(void)sqlite3_column_text(bare->page, column);
		sqlite3_bind_text(bare->upsert, 1, (const char *)sqlite3_column_text(bare->page, 1),
				  sqlite3_column_bytes(bare->page, 1), SQLITE_STATIC);
		lite_step(bare, bare->upsert);
	}
	sqlite3_reset(bare->page);
	sqlite3_bind_int64(bare->checkpoint, 1, *position);
	lite_step(bare, bare->checkpoint);
	lite_do(bare->db, "COMMIT");
	return count;
}

static void lite_measure(const struct work *work)
{
	struct bare_sqlite bare;
	int64_t position = 0, done = 0, count;
	lite_open(&bare, work);
	struct lap lap = lap_begin();
	while ((count = lite_page(&bare, work, &position)) > 0)
		done += count;
	(void)lap_end(&lap, done);
	sqlite3_finalize(bare.page);
	sqlite3_finalize(bare.upsert);
	sqlite3_finalize(bare.checkpoint);
	sqlite3_close(bare.db);
	if (done != events)
		bench_die("%lld of %lld events handled", (long long)done, (long long)events);
}

/* ---- By hand, PostgreSQL --------------------------------------------------------------------- */

static void pg_must(PGconn *connection, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	    status != PGRES_PIPELINE_SYNC)
		bench_die("%s", PQerrorMessage(connection));
	PQclear(result);
}

static PGconn *pg_opened(void)
{
	char text[500];
	PGconn *connection = PQconnectdb("");
	snprintf(text, sizeof text, table_text, made);
	pg_must(connection, PQexec(connection, text));
	pg_must(connection, PQprepare(connection, "page", page_text, 0, NULL));
	snprintf(text, sizeof text, postgres_upsert, made, "$1", "$1");
	pg_must(connection, PQprepare(connection, "upsert", text, 0, NULL));
	pg_must(connection, PQprepare(connection, "checkpoint", checkpoint, 0, NULL));
	return connection;
}

/* Send BEGIN, the statements, the checkpoint and COMMIT, then take all answers. */
static void pg_pipeline(PGconn *connection, const PGresult *page, int count)
{
	if (!PQenterPipelineMode(connection))
		bench_die("no pipeline");
	PQsendQueryParams(connection, "BEGIN", 0, NULL, NULL, NULL, NULL, 0);
	for (int i = 0; i < count; i++) {
		const char *const values[] = { PQgetvalue(page, i, 1) };
		PQsendQueryPrepared(connection, "upsert", 1, values, NULL, NULL, 0);
	}
	const char *const last[] = { PQgetvalue(page, count - 1, 0) };
	PQsendQueryPrepared(connection, "checkpoint", 1, last, NULL, NULL, 0);
	PQsendQueryParams(connection, "COMMIT", 0, NULL, NULL, NULL, NULL, 0);
	PQpipelineSync(connection);
	for (int i = 0; i < count + 3; i++) {
		pg_must(connection, PQgetResult(connection));
		if (PQgetResult(connection))
			bench_die("one answer too many");
	}
	pg_must(connection, PQgetResult(connection));
	PQexitPipelineMode(connection);
}

static PGresult *pg_page(PGconn *connection, const struct work *work, int64_t position)
{
	char behind[24], limit[24];
	const char *const values[] = { behind, limit };
	snprintf(behind, sizeof behind, "%lld", (long long)position);
	snprintf(limit, sizeof limit, "%lld", (long long)work->page);
	PGresult *page = PQexecPrepared(connection, "page", 2, values, NULL, NULL, 0);
	if (PQresultStatus(page) != PGRES_TUPLES_OK)
		bench_die("%s", PQerrorMessage(connection));
	return page;
}

static void pg_measure(const struct work *work)
{
	PGconn *connection = pg_opened();
	int64_t position = 0, done = 0;
	double reading = 0;
	struct lap lap = lap_begin();
	for (;;) {
		double begun = seconds_of_clock();
		PGresult *page = pg_page(connection, work, position);
		int count = PQntuples(page);
		reading += seconds_of_clock() - begun;
		if (count > 0) {
			pg_pipeline(connection, page, count);
			position = strtoll(PQgetvalue(page, count - 1, 0), NULL, 10);
		}
		PQclear(page);
		done += count;
		if (count == 0)
			break;
	}

	double took = seconds_of_clock() - lap.clock - (work->reads_nothing ? reading : 0);
	lap_set(&lap, done, took / (double)done);
	PQfinish(connection);
	if (done != events)
		bench_die("%lld of %lld events handled", (long long)done, (long long)events);
}

/* ---- Ours ------------------------------------------------------------------------------------ */

static struct tide_sql_projection *ours_projection(const struct work *work, const char *name)
{
	struct tide_sql_projection *projection;
	struct tide_error err;
	char made_table[300], statement[500], text[900];
	snprintf(made_table, sizeof made_table, table_text, made);
	snprintf(statement, sizeof statement, is_sqlite(work) ? sqlite_upsert : postgres_upsert,
		 made, ":payload", ":payload");
	snprintf(text, sizeof text, "-- init:\n%s;\n-- on: OrderPlaced\n%s;\n", made_table,
		 statement);
	bench_check(tide_sql_projection_open(
			    TIDE_SQL_PROJECTION(.text = text, .name = name, .url = work->url),
			    &projection, &err),
		    &err);
	return projection;
}

/** A handler in C that does the same with a statement of its own. */
struct handler {
	const struct work *work;
	sqlite3_stmt *upsert; /* SQLite */
};

static tide_status handler_attach(void *self, void *connection, struct tide_error *err)
{
	struct handler *handler = self;
	bool is_lite = is_sqlite(handler->work);
	char text[500];
	(void)err;
	snprintf(text, sizeof text, table_text, made);
	if (is_lite)
		lite_do(connection, text);
	else
		pg_must(connection, PQexec(connection, text));
	snprintf(text, sizeof text, is_lite ? sqlite_upsert : postgres_upsert, made, "$1", "$1");
	if (is_lite)
		handler->upsert = lite_prepare(connection, text);
	else
		pg_must(connection, PQprepare(connection, "upsert", text, 0, NULL));
	return TIDE_OK;
}

static void handler_detach(void *self, void *connection)
{
	struct handler *handler = self;
	(void)connection;
	sqlite3_finalize(handler->upsert);
	handler->upsert = NULL;
}

static tide_status handler_upsert(struct handler *handler, const struct tide_event *event)
{
	sqlite3_bind_text(handler->upsert, 1, event->payload.data, (int)event->payload.size,
			  SQLITE_STATIC);
	int code = sqlite3_step(handler->upsert);
	sqlite3_reset(handler->upsert);
	return code == SQLITE_DONE ? TIDE_OK : TIDE_HANDLER_PERMANENT;
}

static tide_status handler_handle(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	struct handler *handler = self;
	PGconn *connection = tide_delivery_connection(delivery);
	const char *const values[] = { event->payload.data };
	if (is_sqlite(handler->work))
		return handler_upsert(handler, event);
	pg_must(connection, PQexecPrepared(connection, "upsert", 1, values, NULL, NULL, 0));
	return TIDE_OK;
}

static tide_status handler_pipeline(PGconn *connection, const struct tide_event *const *page,
				    size_t count, struct tide_delivery *delivery)
{
	if (!PQenterPipelineMode(connection))
		bench_die("no pipeline");
	for (size_t i = 0; i < count; i++) {
		const char *const values[] = { page[i]->payload.data };
		PQsendQueryPrepared(connection, "upsert", 1, values, NULL, NULL, 0);
	}
	PQpipelineSync(connection);
	for (size_t i = 0; i < count; i++) {
		pg_must(connection, PQgetResult(connection));
		PQclear(PQgetResult(connection));
		(void)tide_delivery_go_on(delivery, i + 1);
	}
	pg_must(connection, PQgetResult(connection));
	PQexitPipelineMode(connection);
	return TIDE_OK;
}

static tide_status handler_handle_together(void *self, const struct tide_event *const *page,
					   size_t count, struct tide_delivery *delivery)
{
	struct handler *handler = self;
	tide_status status = TIDE_OK;
	size_t done = 0;
	if (!is_sqlite(handler->work))
		return handler_pipeline(tide_delivery_connection(delivery), page, count, delivery);
	do
		status = handler_upsert(handler, page[done++]);
	while (status == TIDE_OK && tide_delivery_go_on(delivery, done));
	tide_delivery_take(delivery, done, 0);
	return status;
}

static struct tide_subscriber handler_subscriber(struct handler *handler, const char *name)
{
	bool is_together = handler->work->handler == HANDLER_C_TOGETHER;
	return (struct tide_subscriber){ .name = name,
					 .self = handler,
					 .handle = handler_handle,
					 .handle_together =
						 is_together ? handler_handle_together : NULL,
					 .transactional = true,
					 .attach = handler_attach,
					 .detach = handler_detach };
}

static void ours_measure(const struct work *work)
{
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = tide_catch_up_config(work->page, true);
	struct tide_error err;
	tide_position end;
	char name[32];
	config.max_in_flight = 2000;
	snprintf(name, sizeof name, "totals-%d", made);

	struct tide_sql_projection *projection = ours_projection(work, name);
	struct handler handler = { .work = work };
	struct tide_subscriber subscriber = *tide_sql_projection_subscriber(projection);
	if (work->handler == HANDLER_SQL_EACH)
		subscriber.handle_together = NULL;
	else if (work->handler != HANDLER_SQL)
		subscriber = handler_subscriber(&handler, name);
	bench_check(tide_store_open(work->url, NULL, &store, &err), &err);
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
		    &err);
	struct lap lap = lap_begin();
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, end, PATIENCE, &err), &err);
	(void)lap_end(&lap, events);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	tide_store_close(store);
	tide_sql_projection_close(projection);
}

static void measure(void *self, bool is_ours)
{
	const struct work *work = self;
	made++;
	if (is_ours)
		ours_measure(work);
	else if (is_sqlite(work))
		lite_measure(work);
	else
		pg_measure(work);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static struct tide_new_event order_placed(int64_t number, char payload[320])
{
	snprintf(payload, 320,
		 "{\"order\": %lld, \"customer\": \"customer-%05lld\", \"amount\": %.2f, "
		 "\"currency\": \"EUR\", \"lines\": %d, \"note\": \"the quick brown fox jumps "
		 "over the lazy dog and then walks home along the river, thinking about what it "
		 "might have for supper before the tide comes in\"}",
		 (long long)number, (long long)(number * 7919 % CUSTOMERS),
		 (double)(number % 1000) + 0.25, (int)(number % 9) + 1);
	return (struct tide_new_event){ .event_type = "OrderPlaced",
					.payload = tide_text(payload) };
}

/* A store, and the table of the checkpoints of the loop by hand. */
static void history_made(const char *url, bool is_by_libpq)
{
	static const char table_of_bare[] = "CREATE TABLE IF NOT EXISTS bare_checkpoints (name "
					    "TEXT PRIMARY KEY, position BIGINT)";
	static char payloads[STREAM][320];
	struct tide_new_event batch[STREAM];
	struct tide_store *store;
	struct tide_error err;
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	for (int64_t i = 0; i < events; i += STREAM) {
		for (int64_t k = 0; k < STREAM; k++)
			batch[k] = order_placed(i + k, payloads[k]);
		const struct tide_append append = { .stream = { tide_uuid_v4(), "Order" },
						    .expected = TIDE_ANY,
						    .events = batch,
						    .count = STREAM };
		bench_check(tide_store_append(store, &append, NULL, &err), &err);
	}
	tide_store_close(store);
	if (is_by_libpq) {
		postgres_sql("public", table_of_bare);
		postgres_sql("public", "VACUUM ANALYZE events");
		return;
	}
	sqlite3 *db;
	if (sqlite3_open(sqlite_path, &db) != SQLITE_OK)
		bench_die("%s: %s", sqlite_path, sqlite3_errmsg(db));
	lite_do(db, table_of_bare);
	sqlite3_close(db);
}

static void history_remove(void)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	char file[4200];
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", sqlite_path, endings[i]);
		unlink(file);
	}
}

/* clang-format off */
#define LITE .url = sqlite_url
#define PG .url = postgres_url
static const struct {
	struct work work;
	double aim;
} cases[] = {
	{ { "SQL, SQLite, page 100", LITE, .page = 100 }, 0.92 },
	{ { "SQL, SQLite, page 1000", LITE, .page = 1000 }, 0.92 },
	{ { "SQL, SQLite, page 1000, bare reads all", LITE, .page = 1000, .reads_all = true }, 0 },
	{ { "SQL event by event, SQLite, page 1000", LITE, .page = 1000, .handler = HANDLER_SQL_EACH }, 0 },
	{ { "SQL, PostgreSQL, page 100", PG, .page = 100 }, 0 },
	{ { "SQL, PostgreSQL, page 1000", PG, .page = 1000 }, 0.9 },
	{ { "SQL, PostgreSQL, page 1000, bare reads nothing", PG, .page = 1000, .reads_nothing = true }, 0 },
	{ { "SQL event by event, PostgreSQL, page 1000", PG, .page = 1000, .handler = HANDLER_SQL_EACH }, 0 },
	{ { "C one by one, SQLite, page 1000", LITE, .page = 1000, .handler = HANDLER_C }, 0 },
	{ { "C together, SQLite, page 1000", LITE, .page = 1000, .handler = HANDLER_C_TOGETHER }, 0.9 },
	{ { "C one by one, PostgreSQL, page 1000", PG, .page = 1000, .handler = HANDLER_C }, 0 },
	{ { "C together, PostgreSQL, page 1000", PG, .page = 1000, .handler = HANDLER_C_TOGETHER }, 0.9 },
};
/* clang-format on */

static bool wants(bool is_of_sqlite)
{
	bool is_wanted = false;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		is_wanted |= table_wants(&table, cases[i].work.name) &&
			     is_sqlite(&cases[i].work) == is_of_sqlite;
	return is_wanted;
}

static void rows_run(bool has_postgres)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct work work = cases[i].work;
		const struct table_row row = { work.name, cases[i].aim, is_sqlite(&work) };
		if (has_postgres || is_sqlite(&work))
			table_run(&table, &row, measure, &work);
	}
}

int main(int count, char **arguments)
{
	int option;
	while ((option = getopt(count, arguments, TABLE_OPTIONS "d:n:")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 'n')
			events = strtoll(optarg, NULL, 10) / STREAM * STREAM;
		else if (!table_option(&table, option, optarg))
			bench_die(
				"usage: bench-projection [-d DIRECTORY] [-n EVENTS] " TABLE_USAGE);
	}

	if (events < 1000)
		bench_die("at least 1000 events");
	table.events = events;
	snprintf(sqlite_path, sizeof sqlite_path, "%s/projection-%ld.db", directory,
		 (long)getpid());
	snprintf(sqlite_url, sizeof sqlite_url, "sqlite:%s", sqlite_path);
	bool has_postgres =
		wants(false) && postgres_start_as(&(struct postgres_wish){ .is_flushing = true });

	if (wants(true))
		history_made(sqlite_url, false);
	if (has_postgres)
		history_made(postgres_url, true);
	table_head(&table);
	rows_run(has_postgres);
	history_remove();
	if (has_postgres)
		postgres_stop();
	return 0;
}

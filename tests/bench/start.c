/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long it takes until there is a first event: of the command, and of opening a store in C.
 *
 *	bench-start -t TIDE [-d DIRECTORY] [-n EVENTS] [-k TIMES]
 *
 * Beside it what comes with the database: `sqlite3` and `psql`, which print the same row, and
 * sqlite3 or libpq, by which it is read. Each figure is the mean of some times.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#ifdef HAVE_LIBPQ
#include <libpq-fe.h>

#include "lib/postgres.h"
#endif

#include "die.h"
#include "latency.h"
#include "table.h"

#define FIRST_ROW "SELECT * FROM events ORDER BY global_position LIMIT 1"
#define STREAM 100

static const char *directory = ".", *tide;
static char path[4100], url[4200];
static int64_t events = 20000;
static int times = 20;

static void store_fill(void)
{
	struct tide_new_event batch[STREAM];
	struct tide_store *store;
	struct tide_error err;
	for (int i = 0; i < STREAM; i++)
		batch[i] = (struct tide_new_event){ .event_type = "OrderPlaced",
						    .payload = tide_text(bench_payload) };
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	for (int64_t i = 0; i < events; i += STREAM) {
		const struct tide_append append = {
			{ tide_uuid_v4(), "Order" }, TIDE_NO_STREAM, batch, STREAM
		};
		bench_check(tide_store_append(store, &append, NULL, &err), &err);
	}
	tide_store_close(store);
}

/* ---- Commands -------------------------------------------------------------------------------- */

/* From its start until it has ended. */
static void command_run(const char *const words[])
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		int nowhere = open("/dev/null", O_WRONLY);
		dup2(nowhere, STDOUT_FILENO);
		execvp(words[0], (char *const *)(uintptr_t)words);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		bench_die("'%s' did not work", words[0]);
}

static void command_repeat(const char *const words[])
{
	struct lap lap = lap_begin();
	for (int i = 0; i < times; i++)
		command_run(words);
	(void)lap_end(&lap, times);
}

static void command_ours(void)
{
	const char *const words[] = { tide, "--store", url, "read", "--limit", "1", NULL };
	command_repeat(words);
}

static void command_measure_sqlite(void *self, bool is_ours)
{
	const char *const words[] = { "sqlite3", path, FIRST_ROW, NULL };
	(void)self;
	if (is_ours)
		command_ours();
	else
		command_repeat(words);
}

/* ---- In C ------------------------------------------------------------------------------------ */

static void open_ours(void)
{
	struct tide_store *store;
	struct tide_reader *reader;
	const struct tide_event *event;
	struct tide_error err;
	const struct tide_query first = { .limit = tide_bound(1) };
	bench_check(tide_store_open(url, NULL, &store, &err), &err);
	bench_check(tide_store_read(store, &first, &reader, &err), &err);
	bench_check(tide_reader_next(reader, &event, &err), &err);
	if (!event)
		bench_die("there is no event");
	tide_reader_close(reader);
	tide_store_close(store);
}

static void open_sqlite(void)
{
	sqlite3 *db;
	sqlite3_stmt *row;
	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, FIRST_ROW, -1, &row, NULL) != SQLITE_OK ||
	    sqlite3_step(row) != SQLITE_ROW)
		bench_die("by hand: %s", sqlite3_errmsg(db));
	sqlite3_finalize(row);
	sqlite3_close(db);
}

static void open_repeat(void (*once)(void))
{
	struct lap lap = lap_begin();
	for (int i = 0; i < times; i++)
		once();
	(void)lap_end(&lap, times);
}

static void open_measure_sqlite(void *self, bool is_ours)
{
	(void)self;
	open_repeat(is_ours ? open_ours : open_sqlite);
}

#ifdef HAVE_LIBPQ
static void command_measure_postgres(void *self, bool is_ours)
{
	const char *const words[] = { "psql", "-XAtqc", FIRST_ROW, NULL };
	(void)self;
	if (is_ours)
		command_ours();
	else
		command_repeat(words);
}

static void open_libpq(void)
{
	PGconn *connection = PQconnectdb("");
	PGresult *row = PQexec(connection, FIRST_ROW);
	if (PQntuples(row) != 1)
		bench_die("by hand: %s", PQerrorMessage(connection));
	PQclear(row);
	PQfinish(connection);
}

static void open_measure_postgres(void *self, bool is_ours)
{
	(void)self;
	open_repeat(is_ours ? open_ours : open_libpq);
}
#endif

/* ---- Rows ------------------------------------------------------------------------------------ */

/** What a database is measured with. */
struct rows {
	struct table_row command, open;
	table_measure measure_command, measure_open;
};

#define TAKES(text, most)                                                                          \
	{                                                                                          \
		.name = (text), .unit = "ms", .scale = 1e3, .within = (most)                       \
	}

static bool rows_are_wanted(const struct rows *rows, const struct table *table)
{
	return table_wants(table, rows->command.name) || table_wants(table, rows->open.name);
}

static void rows_run(const struct rows *rows, const struct table *table)
{
	store_fill();
	table_run(table, &rows->command, rows->measure_command, NULL);
	table_run(table, &rows->open, rows->measure_open, NULL);
}

static void sqlite_run(const struct table *table)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	const struct rows rows = { TAKES("tide read --limit 1, SQLite", 10),
				   TAKES("open and first event, C, SQLite", 5),
				   command_measure_sqlite, open_measure_sqlite };
	char file[4200];
	if (!rows_are_wanted(&rows, table))
		return;
	snprintf(path, sizeof path, "%s/bench-start-%ld.db", directory, (long)getpid());
	snprintf(url, sizeof url, "sqlite:%s", path);
	rows_run(&rows, table);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", path, endings[i]);
		unlink(file);
	}
}

#ifdef HAVE_LIBPQ
static void postgres_run(const struct table *table)
{
	const struct rows rows = { TAKES("tide read --limit 1, PostgreSQL", 10),
				   TAKES("open and first event, C, PostgreSQL", 5),
				   command_measure_postgres, open_measure_postgres };
	if (!rows_are_wanted(&rows, table) ||
	    !postgres_start_as(&(struct postgres_wish){ .is_flushing = true }))
		return;
	snprintf(url, sizeof url, "postgresql:");
	rows_run(&rows, table);
	postgres_stop();
}
#endif

int main(int argc, char **argv)
{
	struct table table = { .program = "bench-start", .rounds = 9 };
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:t:k:")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 'n')
			events = strtoll(optarg, NULL, 10);
		else if (option == 't')
			tide = optarg;
		else if (option == 'k')
			times = atoi(optarg);
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench-start -t TIDE [-d DIRECTORY] [-n EVENTS] [-k "
				  "TIMES] " TABLE_USAGE);
	}

	if (!tide || events < STREAM || times < 1)
		bench_die("-t names the command; at least 100 events, and once");
	table.events = events;
	table_head(&table);
	sqlite_run(&table);
#ifdef HAVE_LIBPQ
	postgres_run(&table);
#endif
	return 0;
}

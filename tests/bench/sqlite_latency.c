/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live latency on SQLite, in one process and across two, from the call of an append, which is
 * flushed, to the handler.
 *
 *	bench-latency [-d DIRECTORY] [-n EVENTS]
 *
 * By hand: an insert, then a bell, at which who listens reads behind its last position. In one
 * process the bell is a pipe, across processes a file that inotify watches.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#include "die.h"
#include "latency.h"
#include "table.h"

static const char *directory = ".";
static char path[4100], url[4200], bell[4200];
static int samples = 500;

static void database_make(void)
{
	static int made;
	struct tide_store *store;
	struct tide_error err;
	snprintf(path, sizeof path, "%s/bench-latency-%ld-%d.db", directory, (long)getpid(),
		 ++made);
	snprintf(url, sizeof url, "sqlite:%s", path);
	snprintf(bell, sizeof bell, "%s-bell", path);
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	tide_store_close(store);
}

static void database_remove(void)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners", "-bell" };
	char file[4200];
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", path, endings[i]);
		unlink(file);
	}
}

/* ---- By hand --------------------------------------------------------------------------------- */

/** Who appends and rings and, in one process, the thread that listens. */
struct hand {
	sqlite3 *db;
	sqlite3_stmt *insert;
	int rings;           /* what is written to rings */
	int heard, until[2]; /* of the thread: its bell, and what ends it */
	int reports;
	pthread_t thread;
};

static sqlite3_stmt *hand_prepare(sqlite3 **db, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_open(path, db) != SQLITE_OK || sqlite3_busy_timeout(*db, 10000) != SQLITE_OK ||
	    sqlite3_exec(*db, "PRAGMA synchronous=FULL", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(*db, sql, -1, &statement, NULL) != SQLITE_OK)
		bench_die("by hand: %s", sqlite3_errmsg(*db));
	return statement;
}

static void hand_read(sqlite3_stmt *page, sqlite3_int64 *position, int reports)
{
	sqlite3_bind_int64(page, 1, *position);
	while (sqlite3_step(page) == SQLITE_ROW) {
		*position = sqlite3_column_int64(page, 0);
		if (sqlite3_column_bytes(page, 1) > 0)
			latency_report(reports, false);
	}
	sqlite3_reset(page);
}

static void hand_follow(int rung, int until, int reports)
{
	static const char sql[] = "SELECT global_position, payload FROM events WHERE "
				  "global_position > ?1 ORDER BY global_position LIMIT 1000";
	char bytes[4096];
	sqlite3 *db;
	sqlite3_stmt *page = hand_prepare(&db, sql);
	sqlite3_int64 position = 0;
	struct pollfd fds[] = { { .fd = rung, .events = POLLIN },
				{ .fd = until, .events = POLLIN } };
	latency_report(reports, true);
	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		if (read(rung, bytes, sizeof bytes) > 0)
			hand_read(page, &position, reports);
	sqlite3_finalize(page);
	sqlite3_close(db);
}

static void *hand_listen_here(void *self)
{
	struct hand *hand = self;
	hand_follow(hand->heard, hand->until[0], hand->reports);
	return NULL;
}

static void hand_listen_there(void *self, int reports, int until)
{
	int watch = inotify_init1(IN_CLOEXEC);
	(void)self;
	if (watch < 0 || inotify_add_watch(watch, bell, IN_MODIFY) < 0)
		bench_die("%s cannot be watched", bell);
	hand_follow(watch, until, reports);
	close(watch);
}

static void hand_begin(void *self, int reports)
{
	static const char sql[] =
		"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		"timestamp, payload, created_at, event_version, metadata) VALUES (?1, ?1, 'Order', "
		"'OrderPlaced', 1, '2026-01-01T00:00:00.000000+00:00', ?2, "
		"'2026-01-01T00:00:00.000000+00:00', 1, '{}')";
	struct hand *hand = self;
	int ends[2];
	hand->insert = hand_prepare(&hand->db, sql);
	hand->reports = reports;
	if (hand->rings >= 0) /* the file, which exists before it is watched */
		return;
	if (pipe(ends) || pipe(hand->until))
		bench_die("there are no pipes");
	hand->heard = ends[0];
	hand->rings = ends[1];
	if (pthread_create(&hand->thread, NULL, hand_listen_here, hand) != 0)
		bench_die("no thread");
}

static void hand_append(void *self)
{
	struct hand *hand = self;
	char text[TIDE_UUID_TEXT_SIZE];
	struct tide_uuid id = tide_uuid_v7();
	sqlite3_bind_text(hand->insert, 1, tide_uuid_format(&id, text), -1, SQLITE_STATIC);
	sqlite3_bind_text(hand->insert, 2, bench_payload, -1, SQLITE_STATIC);
	if (sqlite3_step(hand->insert) != SQLITE_DONE)
		bench_die("by hand: %s", sqlite3_errmsg(hand->db));
	sqlite3_reset(hand->insert);
	if (write(hand->rings, "r", 1) != 1)
		bench_die("the bell cannot be rung");
}

static void hand_end(void *self)
{
	struct hand *hand = self;
	if (hand->heard >= 0) {
		close(hand->until[1]);
		pthread_join(hand->thread, NULL);
		close(hand->until[0]);
		close(hand->heard);
	}
	close(hand->rings);
	sqlite3_finalize(hand->insert);
	sqlite3_close(hand->db);
}

static void latency_by_hand(bool is_across, double *took)
{
	struct hand hand = { .rings = -1, .heard = -1 };
	const struct latency_way way = { .self = &hand,
					 .listen = is_across ? hand_listen_there : NULL,
					 .begin = hand_begin,
					 .append = hand_append,
					 .end = hand_end };
	if (is_across)
		hand.rings = open(bell, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (is_across && hand.rings < 0)
		bench_die("%s cannot be made", bell);
	latency_take(&way, took, samples);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/** A row: which of all samples it is about. */
struct latency_row {
	struct table_row row;
	bool is_across;
	int percent;
};

static void latency_measure(void *self, bool is_ours)
{
	const struct latency_row *row = self;
	double *took = calloc((size_t)samples, sizeof *took);
	if (!took)
		bench_die("out of memory");
	database_make();
	struct lap lap = lap_begin();
	if (is_ours)
		latency_of_store(url, row->is_across, took, samples);
	else
		latency_by_hand(row->is_across, took);
	lap_set(&lap, samples, took[samples * row->percent / 100]);
	database_remove();
	free(took);
}

#define LATENCY(text, share, most)                                                                 \
	{ .name = "live latency, SQLite, " text, .unit = "ms", .scale = 1e3, .within = (most) },   \
		.percent = (share)

int main(int argc, char **argv)
{
	struct latency_row rows[] = {
		{ LATENCY("in process, p50", 50, 0.08) },
		{ LATENCY("in process, p99", 99, 0) },
		{ LATENCY("across processes, p50", 50, 1), .is_across = true },
		{ LATENCY("across processes, p99", 99, 3), .is_across = true },
	};
	struct table table = { .program = "bench-latency", .rounds = 9 };
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 'n')
			samples = atoi(optarg);
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench-latency [-d DIRECTORY] [-n EVENTS] " TABLE_USAGE);
	}

	if (samples < 20)
		bench_die("at least 20 events");
	table.events = samples;
	table_head(&table);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		table_run(&table, &rows[i].row, latency_measure, &rows[i]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Others on the same work: Emmett on SQLite and PostgreSQL, and message-db, by turns with ours.
 *
 *	bench-peers -p DIRECTORY [-d DIRECTORY] [-n EVENTS] [-l LATENCIES]
 *
 * -p has what tests/bench/peers/install put there. A ratio says how many times as fast as the other
 * ours is. Emmett runs in processes of its own, which measure themselves without their start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "../die.h"
#include "../latency.h"
#include "../table.h"
#include "lib/postgres.h"
#include "message_db.h"

#define STREAM 100
#define PATIENCE 600.0
#define WORDS_MAX 9000

enum peer { EMMETT_SQLITE, EMMETT_POSTGRES, MESSAGE_DB, PEERS };
enum work { APPEND, CATCH_UP, LIVE_HALF, LIVE_LAST };

/** One row. */
struct peer_row {
	enum peer peer;
	bool is_tuned;
	enum work work;
	int64_t each; /* events of an append, or to a checkpoint; of LIVE_HALF and LIVE_LAST none */
	const char *name;
};

/** What is asked of a run, and what it has made. */
static struct {
	const char *directory, *packages;
	int64_t events; /* of Emmett; message-db is fast enough for more */
	int samples;
	int made;
} run = { .directory = ".", .events = 20000, .samples = 100 };

/* The same for both sides. */
static int64_t events_of(enum peer peer)
{
	return run.events * (peer == MESSAGE_DB ? 5 : 1);
}

static const char *history_of(enum peer peer)
{
	return peer == MESSAGE_DB ? "history_long" : "history";
}

static const char *const emmett_names[] = { "sqlite", "postgres" };

/* ---- Stores ---------------------------------------------------------------------------------- */

static void file_remove(const char *path)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	char file[4200];
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", path, endings[i]);
		unlink(file);
	}
}

/* A new file, or a name of a history. */
static void file_name(char ret[4100], const char *kind)
{
	snprintf(ret, 4100, "%s/bench-peers-%ld-%s.db", run.directory, (long)getpid(), kind);
}

static void url_of(enum peer peer, const char *kind, char ret[4200])
{
	char path[4100];
	file_name(path, kind);
	if (peer == EMMETT_SQLITE)
		snprintf(ret, 4200, "sqlite:%s", path);
	else
		snprintf(ret, 4200, "postgresql:///?schema=%s", kind);
}

static struct tide_store *store_opened(const char *url)
{
	struct tide_store *store;
	struct tide_error err;
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	return store;
}

static void store_remove(enum peer peer, const char *kind)
{
	char path[4100], sql[80];
	file_name(path, kind);
	snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE", kind);
	if (peer == EMMETT_SQLITE)
		file_remove(path);
	else
		postgres_sql("public", sql);
}

/* ---- Ours ------------------------------------------------------------------------------------ */

static void our_append_all(struct tide_store *store, int64_t count, int64_t each)
{
	struct tide_new_event batch[STREAM];
	struct tide_uuid stream = tide_uuid_v4();
	struct tide_error err;
	for (int64_t i = 0; i < each; i++)
		batch[i] = (struct tide_new_event){ .event_type = "OrderPlaced",
						    .payload = tide_text(bench_payload) };
	for (int64_t i = 0; i < count; i += each) {
		if (i % STREAM == 0)
			stream = tide_uuid_v4();
		const struct tide_append append = {
			{ stream, "Order" }, TIDE_ANY, batch, (size_t)each
		};
		bench_check(tide_store_append(store, &append, NULL, &err), &err);
	}
}

static void our_append(enum peer peer, int64_t count, int64_t each)
{
	char url[4200];
	store_remove(peer, "fresh");
	url_of(peer, "fresh", url);
	tide_store_close(store_opened(url));
	struct tide_store *store = store_opened(url);
	struct lap lap = lap_begin();
	our_append_all(store, count, each);
	(void)lap_end(&lap, count);
	tide_store_close(store);
	store_remove(peer, "fresh");
}

static tide_status our_count(void *self, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	(void)delivery;
	*(int64_t *)self += event->position > 0;
	return TIDE_OK;
}

static void our_catch_up(enum peer peer, int64_t page)
{
	char url[4200], name[32];
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = tide_catch_up_config((int)page, true);
	struct tide_error err;
	tide_position end;
	int64_t handled = 0;
	url_of(peer, history_of(peer), url);
	snprintf(name, sizeof name, "catch-up-%d", ++run.made);
	struct tide_store *store = store_opened(url);
	const struct tide_subscriber subscriber = { .name = name,
						    .self = &handled,
						    .handle = our_count };
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
		    &err);

	struct lap lap = lap_begin();
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, end, PATIENCE, &err), &err);
	(void)lap_end(&lap, handled);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	tide_store_close(store);
	if (handled != events_of(peer))
		bench_die("%lld of %lld events handled", (long long)handled,
			  (long long)events_of(peer));
}

static void our_live(enum peer peer, double *took, int count)
{
	char url[4200];
	store_remove(peer, "fresh");
	url_of(peer, "fresh", url);
	latency_of_store(url, true, took, count);
	store_remove(peer, "fresh");
}

static void our_history(enum peer peer)
{
	char url[4200];
	url_of(peer, history_of(peer), url);
	struct tide_store *store = store_opened(url);
	our_append_all(store, events_of(peer), STREAM);
	tide_store_close(store);
	if (peer != EMMETT_SQLITE)
		postgres_sql(history_of(peer), "VACUUM ANALYZE events");
}

/* ---- Emmett ---------------------------------------------------------------------------------- */

/* Run it over a store of its own; false: it did not work, and the line says why. */
static bool emmett_run(const struct peer_row *row, const char *kind, const char *work,
		       char line[256])
{
	char command[WORDS_MAX], store[4200];
	if (row->peer == EMMETT_SQLITE)
		file_name(store, kind);
	else
		snprintf(store, sizeof store, "postgresql://postgres@localhost/%s?host=%s", kind,
			 postgres_directory());
	snprintf(command, sizeof command, "node '%s/emmett.mjs' %s '%s' %s %s 2>/dev/null",
		 run.packages, emmett_names[row->peer], store, row->is_tuned ? "tuned" : "default",
		 work);
	FILE *said = popen(command, "r");
	*line = '\0';
	bool is_said = said && fgets(line, 256, said);
	line[strcspn(line, "\n")] = '\0';
	if (!is_said)
		snprintf(line, 256, "node does not run it");
	return said && pclose(said) == 0 && (is_said || !strncmp(work, "fill", 4));
}

static void emmett_store(enum peer peer, const char *kind)
{
	char sql[80], path[4100];
	file_name(path, kind);
	if (peer == EMMETT_SQLITE) {
		file_remove(path);
		return;
	}
	snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s", kind);
	postgres_sql("public", sql);
	snprintf(sql, sizeof sql, "CREATE DATABASE %s", kind);
	postgres_sql("public", sql);
}

static void emmett_measure(const struct peer_row *row, const char *work, bool is_fresh, double *ret)
{
	char line[256];
	double count;
	if (is_fresh)
		emmett_store(row->peer, "emmett_fresh");
	if (!emmett_run(row, is_fresh ? "emmett_fresh" : "emmett_history", work, line) ||
	    sscanf(line, "%lf %lf %lf %lf", &count, &ret[0], &ret[1], &ret[2]) < 3)
		bench_die("Emmett, '%s': %s", work, line);
	if (is_fresh && row->peer == EMMETT_SQLITE)
		emmett_store(row->peer, "emmett_fresh");
}

static void emmett_throughput(const struct peer_row *row, int64_t count)
{
	bool is_append = row->work == APPEND;
	double said[3];
	char work[80];
	snprintf(work, sizeof work, "%s %lld %lld", is_append ? "append" : "catch-up",
		 (long long)count, (long long)row->each);
	emmett_measure(row, work, is_append, said);
	lap_told(count, said[0] / (double)count, said[1] / (double)count);
}

/* At its default it polls each second when nothing comes: few samples suffice. */
static void emmett_live(const struct peer_row *row, double ret[2])
{
	double said[3] = { 0 };
	char work[80];
	snprintf(work, sizeof work, "live %d", row->is_tuned ? run.samples : run.samples / 5);
	emmett_measure(row, work, true, said);
	ret[0] = said[0];
	ret[1] = said[2];
}

/* ---- Both sides ------------------------------------------------------------------------------ */

/* A measurement of latency gives two rows their figures, which each takes in turn. */
static struct {
	double figures[2][2][TABLE_ROUNDS_MAX]; /* of theirs and ours, of LIVE_HALF and LIVE_LAST */
	int kept[2], taken[2];
} live;

static void live_take(const struct peer_row *row, bool is_ours, double ret[2])
{
	double *took = calloc((size_t)run.samples, sizeof *took);
	if (!took)
		bench_die("out of memory");
	if (!is_ours && row->peer != MESSAGE_DB) {
		emmett_live(row, ret);
	} else {
		if (is_ours)
			our_live(row->peer, took, run.samples);
		else
			message_db_live(took, run.samples, row->is_tuned ? 1 : 100);
		ret[0] = took[run.samples / 2];
		ret[1] = took[run.samples * 99 / 100];
	}
	free(took);
}

static void live_measure(const struct peer_row *row, bool is_ours)
{
	double ret[2];
	int which = row->work == LIVE_LAST;
	if (which && live.taken[is_ours] < live.kept[is_ours]) {
		ret[1] = live.figures[is_ours][1][live.taken[is_ours]++];
	} else {
		live_take(row, is_ours, ret);
		if (!which)
			live.figures[is_ours][1][live.kept[is_ours]++] = ret[1];
	}
	lap_told(run.samples, ret[which], 0);
}

static void row_measure(void *self, bool is_ours)
{
	const struct peer_row *row = self;
	int64_t count = events_of(row->peer) / (row->work == APPEND && row->each == 1 ? 20 : 1);
	if (row->work == LIVE_HALF || row->work == LIVE_LAST)
		live_measure(row, is_ours);
	else if (is_ours && row->work == APPEND)
		our_append(row->peer, count, row->each);
	else if (is_ours)
		our_catch_up(row->peer, row->each);
	else if (row->peer != MESSAGE_DB)
		emmett_throughput(row, count);
	else if (row->work == APPEND)
		message_db_append(count, row->each, row->is_tuned);
	else
		message_db_catch_up(count, row->each);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* clang-format off */
static const struct peer_row rows[] = {
	{ EMMETT_SQLITE, false, APPEND, 1,       "append, single, default" },
	{ EMMETT_SQLITE, true,  APPEND, 1,       "append, single, tuned" },
	{ EMMETT_SQLITE, false, APPEND, 100,     "append, 100 a batch, default" },
	{ EMMETT_SQLITE, true,  APPEND, 100,     "append, 100 a batch, tuned" },
	{ EMMETT_SQLITE, false, CATCH_UP, 100,   "catch up, per 100, default" },
	{ EMMETT_SQLITE, true,  CATCH_UP, 100,   "catch up, per 100, tuned" },
	{ EMMETT_SQLITE, true,  CATCH_UP, 1000,  "catch up, per 1000, tuned" },
	{ EMMETT_SQLITE, false, LIVE_HALF, 0,    "live, p50, default" },
	{ EMMETT_SQLITE, false, LIVE_LAST, 0,    "live, p99, default" },
	{ EMMETT_SQLITE, true,  LIVE_HALF, 0,    "live, p50, tuned" },
	{ EMMETT_SQLITE, true,  LIVE_LAST, 0,    "live, p99, tuned" },
	{ EMMETT_POSTGRES, false, APPEND, 1,     "append, single, default" },
	{ EMMETT_POSTGRES, true,  APPEND, 1,     "append, single, tuned" },
	{ EMMETT_POSTGRES, false, APPEND, 100,   "append, 100 a batch, default" },
	{ EMMETT_POSTGRES, true,  APPEND, 100,   "append, 100 a batch, tuned" },
	{ EMMETT_POSTGRES, false, CATCH_UP, 100, "catch up, per 100, default" },
	{ EMMETT_POSTGRES, true,  CATCH_UP, 100, "catch up, per 100, tuned" },
	{ EMMETT_POSTGRES, true,  CATCH_UP, 1000, "catch up, per 1000, tuned" },
	{ EMMETT_POSTGRES, false, LIVE_HALF, 0,  "live, p50, default" },
	{ EMMETT_POSTGRES, false, LIVE_LAST, 0,  "live, p99, default" },
	{ EMMETT_POSTGRES, true,  LIVE_HALF, 0,  "live, p50, tuned" },
	{ EMMETT_POSTGRES, true,  LIVE_LAST, 0,  "live, p99, tuned" },
	{ MESSAGE_DB, false, APPEND, 1,          "append, single" },
	{ MESSAGE_DB, false, APPEND, 100,        "append, 100 a batch" },
	{ MESSAGE_DB, true,  APPEND, 100,        "append, 100 a batch, pipelined" },
	{ MESSAGE_DB, false, CATCH_UP, 100,      "catch up, per 100" },
	{ MESSAGE_DB, true,  CATCH_UP, 1000,     "catch up, per 1000" },
	{ MESSAGE_DB, false, LIVE_HALF, 0,       "live, p50, poll 100 ms" },
	{ MESSAGE_DB, false, LIVE_LAST, 0,       "live, p99, poll 100 ms" },
	{ MESSAGE_DB, true,  LIVE_HALF, 0,       "live, p50, poll 1 ms" },
	{ MESSAGE_DB, true,  LIVE_LAST, 0,       "live, p99, poll 1 ms" },
};

static const struct {
	const char *name;
	const char *settings;
} peers[PEERS] = {
	[EMMETT_SQLITE] = { "Emmett, SQLite",
		"default: batches of 100, a pull each 50 ms, a connection a call; tuned: batches as told, no pause, one connection, "
		"positions with synchronous=NORMAL, no look at the schema" },
	[EMMETT_POSTGRES] = { "Emmett, PostgreSQL",
		"default: batches of 100, a pull each 50 ms; tuned: batches as told, no pause, no look at the schema" },
	[MESSAGE_DB] = { "message-db",
		"a loop over write_message and get_category_messages, prepared, pages of 1000, positions as Eventide's consumers write "
		"them" },
};
/* clang-format on */

static void note_print(const struct table *table, const char *name, const char *what,
		       const char *text)
{
	if (table->is_json)
		printf("{\"program\":\"%s\",\"note\":\"%s\",\"%s\":\"%s\"}\n", table->program, name,
		       what, text);
	else
		printf("\n%s: %s: %s\n", name, what, text);
	fflush(stdout);
}

/* What it needs, and what it says of itself; false: why it cannot be measured. */
static bool peer_prepare(enum peer peer, const struct table *table)
{
	const struct peer_row tuned = { .peer = peer, .is_tuned = false };
	char line[256], work[40];
	bool is_there;
	snprintf(work, sizeof work, "fill %lld", (long long)run.events);
	if (peer == MESSAGE_DB) {
		snprintf(line, sizeof line, "1.3, its functions in PL/pgSQL");
		is_there = message_db_install(run.packages, events_of(peer), line);
	} else {
		char filled[256];
		emmett_store(peer, "emmett_history");
		is_there = emmett_run(&tuned, "emmett_history", "versions", line);
		if (is_there && !emmett_run(&tuned, "emmett_history", work, filled))
			bench_die("Emmett, '%s': %s", work, filled);
	}
	note_print(table, peers[peer].name, is_there ? "version" : "not measured", line);
	if (is_there)
		note_print(table, peers[peer].name, "settings", peers[peer].settings);
	return is_there;
}

static void peer_run(enum peer peer, const struct table *table)
{
	if (!peer_prepare(peer, table))
		return;
	our_history(peer);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct peer_row which = rows[i];
		char name[100];
		snprintf(name, sizeof name, "%s: %s", peers[peer].name, which.name);
		bool is_live = which.work == LIVE_HALF || which.work == LIVE_LAST;
		const struct table_row row = { .name = name,
					       .unit = is_live ? "ms" : NULL,
					       .scale = 1e3 };
		if (which.work == LIVE_HALF)
			memset(&live, 0, sizeof live);
		if (which.peer == peer)
			table_run(table, &row, row_measure, &which);
	}
}

static bool peer_is_wanted(enum peer peer, const struct table *table)
{
	bool is_wanted = false;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[100];
		snprintf(name, sizeof name, "%s: %s", peers[peer].name, rows[i].name);
		is_wanted |= rows[i].peer == peer && table_wants(table, name);
	}
	return is_wanted;
}

static void all_run(const struct table *table)
{
	bool has_server = postgres_start_as(&(struct postgres_wish){ .is_flushing = true });
	table_head(table);
	for (enum peer peer = 0; peer < PEERS; peer++)
		if ((has_server || peer == EMMETT_SQLITE) && peer_is_wanted(peer, table))
			peer_run(peer, table);
	store_remove(EMMETT_SQLITE, "history");
	emmett_store(EMMETT_SQLITE, "emmett_history");
	if (has_server)
		postgres_stop();
}

int main(int argc, char **argv)
{
	struct table table = { .program = "bench-peers", .rounds = 3 };
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:l:p:")) != -1) {
		if (option == 'd')
			run.directory = optarg;
		else if (option == 'n')
			run.events = strtoll(optarg, NULL, 10) / STREAM * STREAM;
		else if (option == 'l')
			run.samples = atoi(optarg);
		else if (option == 'p')
			run.packages = optarg;
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench-peers -p DIRECTORY [-d DIRECTORY] [-n EVENTS] [-l "
				  "LATENCIES] " TABLE_USAGE);
	}

	if (!run.packages || run.events < 2000 || run.samples < 20)
		bench_die("-p names what was installed; at least 2000 events and 20 latencies");
	table.events = run.events;
	all_run(&table);
	return 0;
}

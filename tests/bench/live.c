/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live subscriptions on one SQLite store.
 *
 *	bench-live [-d DIRECTORY] [-n SUBSCRIPTIONS] [-s SECONDS] [-p APPENDS-A-SECOND]
 *
 * Appends a second while each event goes to every subscription and each of them saves after every
 * batch; by hand, one thread that appends and then moves as many rows in one transaction. Beside it
 * the time from an append's call to its last handler, memory and open files.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#include "die.h"
#include "lib/wait.h"
#include "table.h"

#define APPENDS_MAX 200000
#define LIVE_SECONDS 120

static int subscriptions = 1000;
static double seconds = 5, pace; /* 0: as fast as it goes */
static const char *directory = ".";
static char path[4100], url[4200];
static int made;

/** The appends of a measurement. */
static struct {
	double called[APPENDS_MAX], took[APPENDS_MAX]; /* until the last handler had it */
	atomic_int seen[APPENDS_MAX];
	tide_position first; /* the one behind this is append 0 */
	atomic_int done;     /* that every subscription has seen */
} run;

static void database_make(void)
{
	struct tide_store *store;
	struct tide_error err;
	snprintf(path, sizeof path, "%s/bench-live-%ld-%d.db", directory, (long)getpid(), ++made);
	snprintf(url, sizeof url, "sqlite:%s", path);
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	tide_store_close(store);
}

static void database_remove(void)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	char file[4200];
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", path, endings[i]);
		unlink(file);
	}
}

static struct tide_store *store_opened(void)
{
	struct tide_store *store;
	struct tide_error err;
	bench_check(tide_store_open(url, NULL, &store, &err), &err);
	return store;
}

static tide_position append_one(struct tide_store *store)
{
	struct tide_append_result result;
	struct tide_error err;
	struct tide_new_event event = { .event_type = "OrderPlaced",
					.payload = tide_text("{\"order\": 4711}") };
	const struct tide_append append = { .stream = { tide_uuid_v4(), "Order" },
					    .events = &event,
					    .count = 1 };
	bench_check(tide_store_append(store, &append, &result, &err), &err);
	return result.last_position;
}

/* ---- By hand --------------------------------------------------------------------------------- */

/** A connection that appends, and one that saves. */
struct hand {
	sqlite3 *appends, *saves;
	sqlite3_stmt *insert, *save;
};

static void hand_do(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		bench_die("%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3 *hand_connect(const char *synchronous)
{
	sqlite3 *db;
	if (sqlite3_open(path, &db) != SQLITE_OK)
		bench_die("%s: %s", path, sqlite3_errmsg(db));
	hand_do(db, synchronous);
	sqlite3_busy_timeout(db, 10000);
	return db;
}

static void hand_open(struct hand *hand)
{
	static const char insert[] =
		"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		"timestamp, payload, created_at, event_version, metadata) VALUES (?1, ?1, 'Order', "
		"'OrderPlaced', 1, '2026-01-01T00:00:00.000000+00:00', '{\"order\": 4711}', "
		"'2026-01-01T00:00:00.000000+00:00', 1, '{}')";
	static const char save[] = "UPDATE projection_checkpoints SET global_position = ?2, "
				   "events_processed = events_processed + 1 WHERE "
				   "projection_name = ?1";
	hand->appends = hand_connect("PRAGMA synchronous=FULL");
	hand->saves = hand_connect("PRAGMA synchronous=NORMAL");
	if (sqlite3_prepare_v2(hand->appends, insert, -1, &hand->insert, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(hand->saves, save, -1, &hand->save, NULL) != SQLITE_OK)
		bench_die("by hand: %s", sqlite3_errmsg(hand->saves));
}

static void hand_close(struct hand *hand)
{
	sqlite3_finalize(hand->insert);
	sqlite3_finalize(hand->save);
	sqlite3_close(hand->appends);
	sqlite3_close(hand->saves);
}

static void hand_step(sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE)
		bench_die("by hand: %s", sqlite3_errmsg(sqlite3_db_handle(statement)));
	sqlite3_reset(statement);
}

static sqlite3_int64 hand_append(struct hand *hand)
{
	char text[TIDE_UUID_TEXT_SIZE];
	struct tide_uuid id = tide_uuid_v7();
	sqlite3_bind_text(hand->insert, 1, tide_uuid_format(&id, text), -1, SQLITE_STATIC);
	hand_step(hand->insert);
	return sqlite3_last_insert_rowid(hand->appends);
}

static void hand_save_all(struct hand *hand, sqlite3_int64 position)
{
	char name[32];
	hand_do(hand->saves, "BEGIN IMMEDIATE");
	for (int i = 0; i < subscriptions; i++) {
		snprintf(name, sizeof name, "live-%d", i);
		sqlite3_bind_text(hand->save, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(hand->save, 2, position);
		hand_step(hand->save);
	}
	hand_do(hand->saves, "COMMIT");
}

static void many_by_hand(void)
{
	struct hand hand;
	int64_t count = 0;
	char rows[200];
	database_make();
	hand_open(&hand);
	snprintf(rows, sizeof rows,
		 "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		 "INSERT INTO "
		 "projection_checkpoints (projection_name) SELECT 'live-' || i FROM n",
		 subscriptions - 1);
	hand_do(hand.saves, rows);

	struct lap lap = lap_begin();
	for (; seconds_of_clock() - lap.clock < seconds; count++)
		hand_save_all(&hand, hand_append(&hand));
	(void)lap_end(&lap, count);
	hand_close(&hand);
	database_remove();
}

/* ---- Many ------------------------------------------------------------------------------------ */

static tide_status many_handle(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)self;
	(void)delivery;
	int64_t number = event->position - run.first - 1;
	if (atomic_fetch_add(&run.seen[number], 1) + 1 == subscriptions) {
		run.took[number] = seconds_of_clock() - run.called[number];
		atomic_fetch_add(&run.done, 1);
	}
	return TIDE_OK;
}

static struct tide_manager *many_started(struct tide_store *store,
					 enum tide_checkpoint_strategy strategy)
{
	struct tide_manager *manager;
	struct tide_error err;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.checkpoint_strategy = strategy;
	config.start_from = TIDE_START_END;
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	for (int i = 0; i < subscriptions; i++) {
		char name[32];
		snprintf(name, sizeof name, "live-%d", i);
		const struct tide_subscriber subscriber = { .name = name, .handle = many_handle };
		bench_check(tide_manager_subscribe(manager, &subscriber, &config, NULL, &err),
			    &err);
	}
	bench_check(tide_manager_start(manager, NULL, LIVE_SECONDS, NULL, NULL, &err), &err);
	return manager;
}

static int many_append(struct tide_store *store)
{
	double begun = seconds_of_clock();
	int count = 0;
	while (seconds_of_clock() - begun < seconds && count < APPENDS_MAX) {
		while (pace > 0 && seconds_of_clock() < begun + count / pace)
			wait_a_moment();
		run.called[count++] = seconds_of_clock();
		append_one(store);
	}
	return count;
}

static long peak_kib(void)
{
	char line[128];
	long peak = -1;
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		sscanf(line, "VmHWM: %ld", &peak);
	if (status)
		fclose(status);
	return peak;
}

static int files_open(void)
{
	DIR *files = opendir("/proc/self/fd");
	int count = -3;
	while (files && readdir(files))
		count++;
	if (files)
		closedir(files);
	return count;
}

static void many_tell(const struct table *table, int count, int files)
{
	(void)median_of(run.took, count);
	printf(table->is_json ? "{\"program\":\"bench-live\",\"note\":\"append to the last of %d "
				"handlers\",\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"peak_kib\":%ld,"
				"\"files\":%d}\n"
			      : "  append to the last of %d handlers: p50 %.1f ms, p99 %.1f ms; "
				"peak %ld KiB, %d "
				"open files\n",
	       subscriptions, run.took[count / 2] * 1000, run.took[count * 99 / 100] * 1000,
	       peak_kib(), files);
	fflush(stdout);
}

static void many_ours(const struct table *table, enum tide_checkpoint_strategy strategy)
{
	struct tide_error err;
	database_make();
	struct tide_store *store = store_opened();
	memset(&run, 0, sizeof run);
	run.first = append_one(store);
	struct tide_manager *manager = many_started(store, strategy);

	struct lap lap = lap_begin();
	int count = many_append(store);
	while (atomic_load(&run.done) < count)
		wait_a_moment();
	(void)lap_end(&lap, count);
	many_tell(table, count, files_open());
	bench_check(tide_manager_stop(manager, NULL, 60, &err), &err);
	tide_manager_close(manager);
	tide_store_close(store);
	database_remove();
}

/** What a row is measured with. */
struct side {
	const struct table *table;
	enum tide_checkpoint_strategy strategy;
};

static void many_measure(void *self, bool is_ours)
{
	const struct side *side = self;
	if (is_ours)
		many_ours(side->table, side->strategy);
	else
		many_by_hand();
}

int main(int argc, char **argv)
{
	struct table table = { .program = "bench-live", .rounds = 9 };
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:s:p:")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 'n')
			subscriptions = atoi(optarg);
		else if (option == 's')
			seconds = atof(optarg);
		else if (option == 'p')
			pace = atof(optarg);
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench-live [-d DIRECTORY] [-n SUBSCRIPTIONS] [-s "
				  "SECONDS] [-p APPENDS-A-SECOND] " TABLE_USAGE);
	}

	if (subscriptions < 1 || !(seconds > 0) || pace < 0)
		bench_die("-n and -s are more than 0");
	table.events = subscriptions;
	table_head(&table);
	table_run(&table, &(struct table_row){ .name = "many live, every batch" }, many_measure,
		  &(struct side){ &table, TIDE_EVERY_BATCH });
	table_run(&table, &(struct table_row){ .name = "many live, periodic" }, many_measure,
		  &(struct side){ &table, TIDE_PERIODIC });
	return 0;
}

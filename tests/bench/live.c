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
#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>
#include <tidemark/tidemark.h>

#include "die.h"
#include "lib/wait.h"
#include "many.h"

static char path[4100], url[4200];
static int made;

static void database_make(void)
{
	struct tide_store *store;
	struct tide_error err;
	snprintf(path, sizeof path, "%s/bench-live-%ld-%d.db", many.directory, (long)getpid(),
		 ++made);
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
	for (int i = 0; i < many.subscriptions; i++) {
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
		 many.subscriptions - 1);
	hand_do(hand.saves, rows);

	struct lap lap = lap_begin();
	for (; seconds_of_clock() - lap.clock < many.seconds; count++)
		hand_save_all(&hand, hand_append(&hand));
	(void)lap_end(&lap, count);
	hand_close(&hand);
	database_remove();
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
	if (!is_ours) {
		many_by_hand();
		return;
	}
	database_make();
	many_live(side->table, url, side->strategy);
	database_remove();
}

int main(int argc, char **argv)
{
	struct table table = { .program = "bench-live", .rounds = 9 };
	int option;
	while ((option = getopt(argc, argv, MANY_OPTIONS)) != -1)
		if (!many_option(option, optarg) && !table_option(&table, option, optarg))
			bench_die("usage: bench-live " MANY_USAGE);

	many_begin(&table);
	table_run(&table, &(struct table_row){ .name = "many live, every batch" }, side_measure,
		  &(struct side){ &table, TIDE_EVERY_BATCH });
	table_run(&table, &(struct table_row){ .name = "many live, periodic" }, side_measure,
		  &(struct side){ &table, TIDE_PERIODIC });
	return 0;
}

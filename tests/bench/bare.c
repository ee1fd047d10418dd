/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops to compare with: the same work on the same tables by sqlite3 alone, with no checks, no
 * conversions and nothing around it. Pages are read by sqlite3_step, copied into one reused arena,
 * and handed to a function pointer.
 */
#include "bench.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 15
#define PAYLOAD 9
#define PAGE 1000
#define ARENA (2 * 1024 * 1024)

struct bare {
	sqlite3 *db;
	sqlite3_stmt *insert, *page, *upsert;
	char *arena;
	size_t used;
};

/** A row as a reader wants it: texts in the arena. */
struct bare_event {
	int64_t position;
	int64_t version;
	struct tide_text columns[COLUMNS];
};

static int64_t handled;

static void count_event(const struct bare_event *event)
{
	handled += event->position > 0;
}
/* Read through a variable, so that the call stays a call. */
static void (*volatile bare_handler)(const struct bare_event *event) = count_event;

static void bare_do(struct bare *bare, const char *sql)
{
	if (sqlite3_exec(bare->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		bench_die("%s: %s", sql, sqlite3_errmsg(bare->db));
}

static sqlite3_stmt *bare_prepare(struct bare *bare, const char *sql)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v3(bare->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
	    SQLITE_OK)
		bench_die("%s: %s", sql, sqlite3_errmsg(bare->db));
	return statement;
}

static void bare_open(struct bare *bare, const char *path, const char *synchronous)
{
	if (sqlite3_open_v2(path, &bare->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		bench_die("%s: %s", path, sqlite3_errmsg(bare->db));
	bare_do(bare, "PRAGMA journal_mode=WAL");
	bare_do(bare, synchronous);
	bare->insert = bare_prepare(
		bare,
		"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		"timestamp, payload, created_at, event_version, correlation_id, metadata) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	bare->page =
		bare_prepare(bare, "SELECT global_position, version, event_id, aggregate_id, "
				   "aggregate_type, event_type, "
				   "tenant_id, actor_id, timestamp, payload, created_at, "
				   "event_version, correlation_id, "
				   "causation_id, metadata FROM events WHERE global_position > ? "
				   "ORDER BY global_position LIMIT ?");
	bare->upsert = bare_prepare(
		bare,
		"INSERT INTO projection_checkpoints (projection_name, global_position, "
		"last_event_id, "
		"last_event_type, last_processed_at, events_processed, updated_at) "
		"VALUES ('bare', ?, ?, ?, ?, ?, ?) ON CONFLICT (projection_name) DO UPDATE SET "
		"global_position = excluded.global_position, last_event_id = "
		"excluded.last_event_id, "
		"last_event_type = excluded.last_event_type, "
		"last_processed_at = excluded.last_processed_at, updated_at = excluded.updated_at, "
		"events_processed = events_processed + excluded.events_processed");
	bare->arena = malloc(ARENA);
	if (!bare->arena)
		bench_die("out of memory");
}

static void bare_close(struct bare *bare)
{
	sqlite3_finalize(bare->insert);
	sqlite3_finalize(bare->page);
	sqlite3_finalize(bare->upsert);
	sqlite3_close(bare->db);
	free(bare->arena);
}

static void bare_step(struct bare *bare, sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE)
		bench_die("bare loop: %s", sqlite3_errmsg(bare->db));
	sqlite3_reset(statement);
}

static struct tide_text bare_copy(struct bare *bare, sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	struct tide_text copy = { bare->arena + bare->used,
				  (size_t)sqlite3_column_bytes(row, column) };

	if (bare->used + copy.size + 1 > ARENA)
		bench_die("bare loop: a page does not fit its arena");
	if (!text)
		return (struct tide_text){ NULL, 0 };
	memcpy(bare->arena + bare->used, text, copy.size + 1);
	bare->used += copy.size + 1;
	return copy;
}

static int bare_read(struct bare *bare, int64_t after, int64_t limit, struct bare_event *events)
{
	int count = 0;
	int code;

	bare->used = 0;
	sqlite3_bind_int64(bare->page, 1, after);
	sqlite3_bind_int64(bare->page, 2, limit);
	while ((code = sqlite3_step(bare->page)) == SQLITE_ROW) {
		struct bare_event *event = &events[count++];
		event->position = sqlite3_column_int64(bare->page, 0);
		event->version = sqlite3_column_int64(bare->page, 1);
		for (int column = 2; column < COLUMNS; column++)
			event->columns[column] = bare_copy(bare, bare->page, column);
	}
	if (code != SQLITE_DONE)
		bench_die("bare loop: %s", sqlite3_errmsg(bare->db));
	sqlite3_reset(bare->page);
	return count;
}

static void bare_checkpoint(struct bare *bare, const struct bare_event *event, int64_t count)
{
	sqlite3_bind_int64(bare->upsert, 1, event->position);
	sqlite3_bind_text(bare->upsert, 2, event->columns[2].data, -1, SQLITE_STATIC);
	sqlite3_bind_text(bare->upsert, 3, event->columns[5].data, -1, SQLITE_STATIC);
	sqlite3_bind_text(bare->upsert, 4, event->columns[8].data, -1, SQLITE_STATIC);
	sqlite3_bind_int64(bare->upsert, 5, count);
	sqlite3_bind_text(bare->upsert, 6, event->columns[8].data, -1, SQLITE_STATIC);
	bare_step(bare, bare->upsert);
}

/* The events after `after`, at most `limit`; a checkpoint after each `every` of them, and one at
 * the end. */
static double bare_catch_up(struct bench *bench, int64_t after, int64_t limit, int64_t every,
			    bool works)
{
	static struct bare_event events[PAGE];
	struct bare bare = { 0 };
	struct lap lap;
	int64_t done = 0, saved = 0;
	int count;

	bare_open(&bare, bench->history, "PRAGMA synchronous=NORMAL");
	lap = lap_begin();
	handled = 0;
	while (done < limit && (count = bare_read(&bare, after, PAGE, events)) > 0) {
		for (int i = 0; i < count; i++) {
			bare_handler(&events[i]);
			if (works)
				bench_work(events[i].columns[PAYLOAD].data,
					   events[i].columns[PAYLOAD].size);
			if (++done - saved == every || done == limit) {
				bare_checkpoint(&bare, &events[i], done - saved);
				saved = done;
			}
		}
		after = events[count - 1].position;
	}
	double rate = lap_end(&lap, done);
	if (handled < limit)
		bench_die("bare loop: %lld of %lld events handled", (long long)handled,
			  (long long)limit);
	bare_close(&bare);
	return rate;
}

double bare_catch_up_batch(struct bench *bench)
{
	return bare_catch_up(bench, 0, bench->events, PAGE, false);
}

double bare_catch_up_working(struct bench *bench)
{
	return bare_catch_up(bench, 0, bench->events, PAGE, true);
}

double bare_catch_up_event(struct bench *bench)
{
	return bare_catch_up(bench, bench->events - bench->events / 10, bench->events / 10, 1,
			     false);
}

double bare_catch_up_periodic(struct bench *bench)
{
	return bare_catch_up(bench, 0, bench->events, INT64_MAX, false);
}

double bare_resume(struct bench *bench)
{
	return bare_catch_up(bench, bench->events / 2, bench->events - bench->events / 2, PAGE,
			     false);
}

/* Every column of every row is fetched, nothing is copied. */
double bare_scan(struct bench *bench)
{
	struct bare bare = { 0 };
	struct lap lap;
	int64_t rows = 0;

	bare_open(&bare, bench->history, "PRAGMA synchronous=NORMAL");
	lap = lap_begin();
	sqlite3_bind_int64(bare.page, 1, 0);
	sqlite3_bind_int64(bare.page, 2, -1);
	while (sqlite3_step(bare.page) == SQLITE_ROW) {
		rows += sqlite3_column_int64(bare.page, 0) > 0;
		for (int column = 1; column < COLUMNS; column++)
			if (sqlite3_column_text(bare.page, column))
				bench_worked += (uint64_t)sqlite3_column_bytes(bare.page, column);
	}
	double rate = lap_end(&lap, rows);
	sqlite3_reset(bare.page);
	bare_close(&bare);
	return rate;
}

static void bare_insert(struct bare *bare, const struct bench_row *row)
{
	sqlite3_stmt *insert = bare->insert;

	sqlite3_bind_text(insert, 1, row->event_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 2, row->aggregate_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 3, "Order", -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 4, "OrderPlaced", -1, SQLITE_STATIC);
	sqlite3_bind_int64(insert, 5, row->version);
	sqlite3_bind_text(insert, 6, row->occurred_at, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 7, row->payload, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 8, row->occurred_at, -1, SQLITE_STATIC);
	sqlite3_bind_int64(insert, 9, 1);
	sqlite3_bind_text(insert, 10, row->correlation_id, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 11, "{}", -1, SQLITE_STATIC);
	bare_step(bare, insert);
}

static double bare_append(const char *path, int64_t count, int64_t batch)
{
	struct bench_row *rows = bench_rows(count);
	struct bare bare = { 0 };
	struct lap lap;

	bare_open(&bare, path, "PRAGMA synchronous=FULL");
	lap = lap_begin();
	for (int64_t i = 0; i < count; i++) {
		if (i % batch == 0)
			bare_do(&bare, "BEGIN IMMEDIATE");
		bare_insert(&bare, &rows[i]);
		if (i % batch == batch - 1 || i == count - 1)
			bare_do(&bare, "COMMIT");
	}
	double rate = lap_end(&lap, count);
	bare_close(&bare);
	free(rows);
	return rate;
}

static double bare_append_new(struct bench *bench, int64_t count, int64_t batch)
{
	char path[4096];
	double rate;

	bench_database(bench, path);
	rate = bare_append(path, count, batch);
	bench_remove(path);
	return rate;
}

double bare_append_hundred(struct bench *bench)
{
	return bare_append_new(bench, bench->events / 10, 100);
}

double bare_append_thousand(struct bench *bench)
{
	return bare_append_new(bench, bench->events / 4, 1000);
}

double bare_append_single(struct bench *bench)
{
	return bare_append_new(bench, bench->events / 200, 1);
}

void bare_fill(const char *path, int64_t count)
{
	bare_append(path, count, 1000);
}

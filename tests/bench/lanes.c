/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lanes buy: one subscription with them beside the same without.
 *
 *	bench-lanes [-d DIRECTORY] [-n EVENTS] [-p]
 *
 * A handler that waits for a millisecond, as one that asks a service does, with 8 and with 64
 * lanes; one that does nothing, in 8; two lanes in each of four processes, which print how often
 * the history was read; with -p, on a PostgreSQL server of its own, too, and a projection in SQL in
 * 4 lanes. The events are of as many aggregates, so that the lanes have alike shares.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tidemark/sql_projection.h>
#include <tidemark/tidemark.h>

#include "die.h"
#include "lib/child.h"
#include "lib/postgres.h"
#include "lib/wait.h"
#include "table.h"

#define APPEND_TOGETHER 500
#define LANES_SECONDS 600
#define MEMBERS 4
#define MEMBER_LANES 2

static int64_t events = 20000;
static const char *directory = ".";
static int made;

/** A row: on what, with how many lanes, what is done with an event. */
struct side {
	struct table *table;
	const char *store; /* memory, sqlite, postgres */
	uint32_t lanes;
	tide_handler *handle; /* NULL: the projection in SQL */
	bool is_shared;       /* by MEMBERS processes, else all are in this one */
};

static tide_status handle_waiting(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	wait_a_moment();
	return TIDE_OK;
}

static tide_status handle_nothing(void *self, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

static void events_append(struct tide_store *store, int64_t count)
{
	static struct tide_append appends[APPEND_TOGETHER];
	static struct tide_new_event each[APPEND_TOGETHER];
	struct tide_error err;
	for (int64_t done = 0; done < count;) {
		size_t together = 0;
		for (; together < APPEND_TOGETHER && done < count; together++, done++) {
			each[together] =
				(struct tide_new_event){ .event_type = "Counted",
							 .payload = tide_text("{\"n\":1}") };
			appends[together] = (struct tide_append){
				.stream = { tide_uuid_v4(), "Order" },
				.expected = TIDE_ANY,
				.events = &each[together],
				.count = 1,
			};
		}
		bench_check(tide_store_append_all(store, appends, together, NULL, &err), &err);
	}
}

static double subscription_run(struct tide_store *store, const struct side *side, bool has_lanes,
			       const struct tide_subscriber *subscriber, int64_t count)
{
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_subscription *subscription;
	struct tide_manager *manager;
	struct tide_error err;
	tide_position end;
	config.lanes = has_lanes ? side->lanes : 1;
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, subscriber, &config, &subscription, &err),
		    &err);
	struct lap lap = lap_begin();
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, end, LANES_SECONDS, &err), &err);
	double rate = lap_end(&lap, count);
	tide_manager_close(manager);
	return rate;
}

static void projection_run(struct tide_store *store, const struct side *side, bool has_lanes,
			   int64_t count)
{
	static const char text[] =
		"-- init:\n"
		"CREATE TABLE IF NOT EXISTS counts (id UUID PRIMARY KEY, n BIGINT);\n"
		"-- on: *\n"
		"INSERT INTO counts VALUES (:aggregate_id::uuid, 1) ON CONFLICT (id) "
		"DO UPDATE SET n = counts.n + 1;\n";
	struct tide_sql_projection *projection;
	struct tide_error err;
	bench_check(tide_sql_projection_open(TIDE_SQL_PROJECTION(.text = text, .name = "counts",
								 .url = "postgresql:"),
					     &projection, &err),
		    &err);
	(void)subscription_run(store, side, has_lanes, tide_sql_projection_subscriber(projection),
			       count);
	tide_sql_projection_close(projection);
}

/* ---- Lanes of several processes -------------------------------------------------------------- */

/* What a metric of a manager says; one without labels, or with the labels that `name` ends in. */
static long long metric_of(struct tide_manager *manager, const char *name)
{
	struct tide_error err;
	char *text;
	bench_check(tide_manager_metrics(manager, &text, &err), &err);
	const char *line = strstr(text, name);
	long long value = line ? atoll(line + strlen(name)) : 0;
	tide_free(text);
	return value;
}

/* A process that has its share of the lanes of the store at `url`, which will have `count` events:
 * "FILE COUNT URL". It reports when it has them, paused, goes on when there are all events, and
 * reports when it has settled them; what it read of the store becomes a line of FILE. */
static int member_run(const char *argument, int report_to)
{
	char file[2100];
	int length;
	long long count;
	if (sscanf(argument, "%2099s %lld %n", file, &count, &length) != 2)
		return 2;
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	const struct tide_subscriber subscriber = { .name = "counts", .handle = handle_waiting };
	struct tide_subscription *subscription;
	struct tide_manager *manager;
	struct tide_store *store;
	struct tide_error err;
	config.lanes = MEMBERS * MEMBER_LANES;
	bench_check(tide_store_open(argument + length, NULL, &store, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
		    &err);
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	struct tide_subscription_status status;
	do {
		wait_a_moment();
		bench_check(tide_subscription_status(subscription, &status, &err), &err);
	} while (status.lanes_owned != MEMBER_LANES || status.state != TIDE_STATE_LIVE);
	if (!tide_manager_pause(manager, "counts", TIDE_PAUSE_MANUAL))
		bench_die("a member cannot be paused");
	child_report(report_to, 'r');
	tide_position end = 0;
	while (end < count) {
		wait_a_moment();
		bench_check(tide_store_end(store, &end, &err), &err);
	}
	(void)tide_manager_resume(manager, "counts");

	while (tide_subscription_position(subscription) < count)
		wait_a_moment();
	child_report(report_to, 'd');
	FILE *lines = fopen(file, "a");
	if (!lines)
		return 3;
	fprintf(lines, "%lld %lld\n",
		metric_of(manager, "tidemark_feed_pages_total{source=\"store\"}"),
		metric_of(manager, "tidemark_feed_events_total{source=\"store\"}"));
	fclose(lines);
	tide_manager_close(manager);
	tide_store_close(store);
	return 0;
}

/* Prints what a process read, of the history. */
static void reads_print(const char *file, int64_t count)
{
	long long pages, read, all_pages = 0, all_read = 0;
	FILE *lines = fopen(file, "r");
	while (lines && fscanf(lines, "%lld %lld", &pages, &read) == 2) {
		all_pages += pages;
		all_read += read;
	}
	if (lines)
		fclose(lines);
	(void)unlink(file);
	fprintf(stderr, "each process read the history %.2f times, in %lld pages\n",
		(double)all_read / (double)count / MEMBERS, all_pages / MEMBERS);
}

static void members_run(struct tide_store *store, const char *url, int64_t count)
{
	struct child members[MEMBERS];
	char file[2048], argument[6400];
	snprintf(file, sizeof file, "%s/bench-lanes-%ld.reads", directory, (long)getpid());
	snprintf(argument, sizeof argument, "%s %lld %s", file, (long long)count, url);
	for (int i = 0; i < MEMBERS; i++)
		members[i] = child_start(member_run, argument);
	for (int i = 0; i < MEMBERS; i++)
		(void)child_await(&members[i], LANES_SECONDS);

	events_append(store, count);
	struct lap lap = lap_begin();
	for (int i = 0; i < MEMBERS; i++)
		if (child_await(&members[i], LANES_SECONDS) != 'd')
			bench_die("a member ended before the events did");
	(void)lap_end(&lap, count);
	for (int i = 0; i < MEMBERS; i++)
		(void)child_join(&members[i]);
	reads_print(file, count);
}

/* ---- Sides ----------------------------------------------------------------------------------- */

static void lanes_measure(void *self, bool is_ours)
{
	const struct side *side = self;
	/* that without lanes takes as long as one of them */
	bool waits = side->handle == handle_waiting;
	int64_t count = waits && !is_ours ? events / side->lanes : events;
	char path[4100], url[4200];
	struct tide_store *store;
	struct tide_error err;
	snprintf(path, sizeof path, "%s/bench-lanes-%ld-%d.db", directory, (long)getpid(), ++made);
	if (strcmp(side->store, "sqlite") == 0)
		snprintf(url, sizeof url, "sqlite:%s?synchronous=normal", path);
	else if (strcmp(side->store, "postgres") == 0)
		snprintf(url, sizeof url, "postgresql:///?schema=lanes%d", made);
	else
		snprintf(url, sizeof url, "memory:");
	bench_check(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		    &err);
	bool has_members = side->is_shared && is_ours;
	if (!has_members)
		events_append(store, count);

	const struct tide_subscriber subscriber = { .name = "counts", .handle = side->handle };
	if (has_members)
		members_run(store, url, count);
	else if (side->handle)
		(void)subscription_run(store, side, is_ours, &subscriber, count);
	else
		projection_run(store, side, is_ours, count);
	tide_store_close(store);
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		char file[4200];
		snprintf(file, sizeof file, "%s%s", path, endings[i]);
		(void)unlink(file);
	}
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	struct table table = { .program = "bench-lanes", .rounds = 5 };
	bool has_postgres = false;
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:p")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 'n')
			events = atoll(optarg);
		else if (option == 'p')
			has_postgres = true;
		else if (!table_option(&table, option, optarg))
			bench_die(
				"usage: bench-lanes [-d DIRECTORY] [-n EVENTS] [-p] " TABLE_USAGE);
	}
	if (events < 64)
		bench_die("at least 64 events");

	has_postgres =
		has_postgres && postgres_start_as(&(struct postgres_wish){ .is_flushing = true });
	table.events = events;
	table_head(&table);
	const struct {
		struct table_row row;
		struct side side;
	} rows[] = {
		{ { "1 ms, 8 lanes, memory", 7.5, false },
		  { &table, "memory", 8, handle_waiting, false } },
		{ { "1 ms, 64 lanes, memory", 50, false },
		  { &table, "memory", 64, handle_waiting, false } },
		{ { "1 ms, 8 lanes, sqlite", 7.5, false },
		  { &table, "sqlite", 8, handle_waiting, false } },
		{ { "1 ms, 64 lanes, sqlite", 30, false },
		  { &table, "sqlite", 64, handle_waiting, false } },
		{ { "nothing, 8 lanes, memory", 0.7, false },
		  { &table, "memory", 8, handle_nothing, false } },
		{ { "nothing, 8 lanes, sqlite", 0.7, false },
		  { &table, "sqlite", 8, handle_nothing, false } },
		{ { "1 ms, 2 lanes in each of 4 processes, sqlite", 7, false },
		  { &table, "sqlite", 8, handle_waiting, true } },
		{ { "1 ms, 2 lanes in each of 4 processes, postgres", 7, false },
		  { &table, "postgres", 8, handle_waiting, true } },
		{ { "SQL, 4 lanes, postgres", 1.7, false },
		  { &table, "postgres", 4, NULL, false } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (table_wants(&table, rows[i].row.name) &&
		    (has_postgres || strcmp(rows[i].side.store, "postgres") != 0))
			table_run(&table, &rows[i].row, lanes_measure, (void *)&rows[i].side);
	if (has_postgres)
		postgres_stop();
	return 0;
}

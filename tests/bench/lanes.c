/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lanes buy: one subscription with them beside the same without.
 *
 *	bench-lanes [-d DIRECTORY] [-n EVENTS] [-p]
 *
 * A handler that waits for a millisecond, as one that asks a service does, with 8 and with 64 lanes;
 * one that does nothing, in 8; with -p, on a PostgreSQL server of its own, a projection in SQL in 4. The
 * events are of as many aggregates, so that the lanes have alike shares.
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
#include "lib/postgres.h"
#include "lib/wait.h"
#include "table.h"

#define APPEND_TOGETHER 500
#define LANES_SECONDS 600

static int64_t events = 20000;
static const char *directory = ".";
static int made;

/** A row: on what, with how many lanes, what is done with an event. */
struct side {
	struct table *table;
	const char *store; /* memory, sqlite, postgres */
	uint32_t lanes;
	tide_handler *handle; /* NULL: the projection in SQL */
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
	events_append(store, count);

	const struct tide_subscriber subscriber = { .name = "counts", .handle = side->handle };
	if (side->handle)
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
		  { &table, "memory", 8, handle_waiting } },
		{ { "1 ms, 64 lanes, memory", 50, false },
		  { &table, "memory", 64, handle_waiting } },
		{ { "1 ms, 8 lanes, sqlite", 7.5, false },
		  { &table, "sqlite", 8, handle_waiting } },
		{ { "1 ms, 64 lanes, sqlite", 30, false },
		  { &table, "sqlite", 64, handle_waiting } },
		{ { "nothing, 8 lanes, memory", 0.7, false },
		  { &table, "memory", 8, handle_nothing } },
		{ { "nothing, 8 lanes, sqlite", 0.7, false },
		  { &table, "sqlite", 8, handle_nothing } },
		{ { "SQL, 4 lanes, postgres", 1.7, false }, { &table, "postgres", 4, NULL } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (table_wants(&table, rows[i].row.name) &&
		    (has_postgres || strcmp(rows[i].side.store, "postgres") != 0))
			table_run(&table, &rows[i].row, lanes_measure, (void *)&rows[i].side);
	if (has_postgres)
		postgres_stop();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a look costs as a history grows: each row is the same look into a history of a tenth, and
 * into a whole one. Ten events of each of two types are spread over all others.
 *
 *	bench-pages [-d DIRECTORY] [-n EVENTS] [-j] [-r ROUNDS] [-o PART-OF-A-NAME]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "die.h"
#ifdef TIDE_HAVE_POSTGRES
#include "lib/postgres.h"
#endif
#include "table.h"

#define BATCH 1000
#define RARE 10 /* events of a rare type */
#define PATIENCE 600.0

/** A history, opened. */
struct history {
	char path[3000];
	char url[4100];
	int64_t events;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_uuid stream; /* of 10 events, in the middle */
};

/** A look at it. */
struct look {
	const char *name;
	void (*at)(const struct history *history);
	int times; /* in one measurement */
	double aim;
};

/** What a row is measured with: a tenth of the history, and the whole. */
struct pair {
	const struct look *look;
	const struct history *small, *large;
};

static int64_t events = 200000;
static const char *directory = ".";
static int made;

/* ---- Histories ------------------------------------------------------------------------------- */

static const char *type_of(const struct history *history, int64_t number)
{
	int64_t at = number % (history->events / RARE);
	return at == 7 ? "Rare" : at == 8 ? "Seldom" : "Common";
}

static void history_append(struct history *history, int64_t first, int64_t count,
			   struct tide_uuid stream)
{
	struct tide_new_event batch[BATCH];
	struct tide_error err;
	const struct tide_append append = { .stream = { stream, "Order" },
					    .expected = TIDE_ANY,
					    .events = batch,
					    .count = (size_t)count };
	for (int64_t i = 0; i < count; i++)
		batch[i] = (struct tide_new_event){
			.event_type = type_of(history, first + i),
			.payload = tide_text("{\"order\": 4711, \"customer\": \"customer-00815\", "
					     "\"amount\": 17.25, \"currency\": \"EUR\", \"note\": "
					     "\"the quick brown fox jumps over the lazy dog\"}")
		};
	bench_check(tide_store_append(history->store, &append, NULL, &err), &err);
}

static void history_make(struct history *history, const char *url, int64_t count)
{
	struct tide_error err;
	snprintf(history->url, sizeof history->url, "%s", url);
	history->events = count;
	history->stream = tide_uuid_v4();
	bench_check(
		tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &history->store, &err),
		&err);
	for (int64_t i = 0; i < count; i += BATCH) {
		if (i == count / BATCH / 2 * BATCH)
			history_append(history, RARE, RARE, history->stream);
		history_append(history, i, BATCH, tide_uuid_v4());
	}
	bench_check(tide_checkpoints_open(NULL, NULL, history->store, &history->checkpoints, &err),
		    &err);
	bench_check(tide_checkpoints_save(
			    history->checkpoints, "behind",
			    &(struct tide_progress){ .position = count / 2, .count = 1 }, &err),
		    &err);
}

static void history_remove(struct history *history)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-owners" };
	char file[4100];
	tide_checkpoints_close(history->checkpoints);
	tide_store_close(history->store);
	for (size_t i = 0; *history->path && i < sizeof endings / sizeof *endings; i++) {
		snprintf(file, sizeof file, "%s%s", history->path, endings[i]);
		unlink(file);
	}
}

/* ---- Looks ----------------------------------------------------------------------------------- */

static void look_read(const struct history *history, const struct tide_query *query, int expected)
{
	struct tide_reader *reader;
	const struct tide_event *event;
	struct tide_error err;
	int seen = 0;
	bench_check(tide_store_read(history->store, query, &reader, &err), &err);
	for (;; seen++) {
		bench_check(tide_reader_next(reader, &event, &err), &err);
		if (!event)
			break;
	}
	tide_reader_close(reader);
	if (seen != expected)
		bench_die("%d events, not %d", seen, expected);
}

static void look_at_newest(const struct history *history)
{
	look_read(history, &(struct tide_query){ .backward = true, .limit = tide_bound(100) }, 100);
}

static void look_at_stream(const struct history *history)
{
	look_read(history,
		  &(struct tide_query){ .of_stream = true, .stream = { history->stream, "Order" } },
		  RARE);
}

static const char *const rare[] = { "Rare", NULL }, *const both[] = { "Rare", "Seldom", NULL };

static void look_at_rare(const struct history *history)
{
	look_read(history, &(struct tide_query){ .event_types = rare, .limit = tide_bound(RARE) },
		  RARE);
}

static void look_at_newest_rare(const struct history *history)
{
	look_read(history,
		  &(struct tide_query){
			  .event_types = rare, .backward = true, .limit = tide_bound(RARE) },
		  RARE);
}

static void look_at_two_rare(const struct history *history)
{
	look_read(history,
		  &(struct tide_query){ .event_types = both, .limit = tide_bound(2 * RARE) },
		  2 * RARE);
}

static void look_at_lag(const struct history *history)
{
	struct tide_lag lag;
	struct tide_error err;
	bench_check(tide_checkpoints_lag(history->checkpoints, "behind", NULL, &lag, &err), &err);
}

static tide_status handle(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	++*(int *)self;
	return TIDE_OK;
}

/* A subscription to a rare type, from the beginning to the end. */
static void look_by_subscription(const struct history *history)
{
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_error err;
	tide_position end;
	char name[40];
	int seen = 0;
	snprintf(name, sizeof name, "rare-%d", ++made);
	const struct tide_subscriber subscriber = {
		.name = name, .self = &seen, .handle = handle, .event_types = rare
	};
	bench_check(tide_store_end(history->store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = history->store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
		    &err);
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, end, PATIENCE, &err), &err);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	if (seen != RARE)
		bench_die("%d events handled, not %d", seen, RARE);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* clang-format off */
static const struct look looks[] = {
	{ "the newest page",                 look_at_newest,       50, 0.83 },
	{ "a page by a rare type",           look_at_rare,         50, 0.83 },
	{ "its newest page",                 look_at_newest_rare,  50, 0.83 },
	{ "a page by two rare types",        look_at_two_rare,     50, 0.83 },
	{ "a stream of 10 events",           look_at_stream,       50, 0.83 },
	{ "lag, half behind",                look_at_lag,          50, 0.83 },
	{ "a subscription to a rare type",   look_by_subscription, 1,  0 },
};
/* clang-format on */

static void pair_measure(void *self, bool is_ours)
{
	const struct pair *pair = self;
	struct lap lap = lap_begin();
	for (int i = 0; i < pair->look->times; i++)
		pair->look->at(is_ours ? pair->large : pair->small);
	(void)lap_end(&lap, pair->look->times);
}

static void rows_run(const struct table *table, const char *database, const struct history *small,
		     const struct history *large)
{
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		char name[100];
		struct pair pair = { &looks[i], small, large };
		snprintf(name, sizeof name, "%s, %s", looks[i].name, database);
		table_run(table, &(struct table_row){ .name = name, .aim = looks[i].aim },
			  pair_measure, &pair);
	}
}

static void sqlite_run(const struct table *table)
{
	struct history histories[2] = { 0 };
	for (int i = 0; i < 2; i++) {
		char url[4100];
		snprintf(histories[i].path, sizeof histories[i].path, "%s/pages-%ld-%d.db",
			 directory, (long)getpid(), i);
		snprintf(url, sizeof url, "sqlite:%.3000s", histories[i].path);
		history_make(&histories[i], url, i ? events : events / 10);
	}

	rows_run(table, "SQLite", &histories[0], &histories[1]);
	history_remove(&histories[0]);
	history_remove(&histories[1]);
}

#ifdef TIDE_HAVE_POSTGRES
static void postgres_run(const struct table *table)
{
	struct history histories[2] = { 0 };
	if (!postgres_start())
		return;
	history_make(&histories[0], "postgresql:///?schema=small", events / 10);
	history_make(&histories[1], "postgresql:///?schema=large", events);
	postgres_sql("small", "VACUUM ANALYZE events");
	postgres_sql("large", "VACUUM ANALYZE events");
	rows_run(table, "PostgreSQL", &histories[0], &histories[1]);
	history_remove(&histories[0]);
	history_remove(&histories[1]);
	postgres_stop();
}
#else
static void postgres_run(const struct table *table)
{
	(void)table;
}
#endif

int main(int argc, char **argv)
{
	struct table table = { .program = "bench-pages", .rounds = 9 };
	int option;
	while ((option = getopt(argc, argv, TABLE_OPTIONS "d:n:")) != -1) {
		if (option == 'd')
			directory = optarg;
		else if (option == 'n')
			events = strtoll(optarg, NULL, 10);
		else if (!table_option(&table, option, optarg))
			bench_die("usage: bench-pages [-d DIRECTORY] [-n EVENTS] " TABLE_USAGE);
	}

	if (events < 20 * BATCH)
		bench_die("at least %d events", 20 * BATCH);
	events = events / (10 * BATCH) * 10 * BATCH;
	table.events = events;
	table_head(&table);
	sqlite_run(&table);
	postgres_run(&table);
	return 0;
}

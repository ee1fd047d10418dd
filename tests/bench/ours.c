/* SPDX-License-Identifier: Apache-2.0 */
/* The same work through the public interface, as a user's program would do it. */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS_MAX 64
#define FOLLOWERS 5
#define PATIENCE 600.0 /* seconds until a measurement counts as hung */

static struct tide_store *our_store(const char *path)
{
	struct tide_store *store;
	struct tide_error err;
	char url[4104];

	snprintf(url, sizeof url, "sqlite:%s", path);
	bench_check(tide_store_open(url, NULL, &store, &err), &err);
	return store;
}

static tide_status our_count(void *self, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	(void)delivery;
	*(int64_t *)self += event->position > 0;
	return TIDE_OK;
}

static tide_status our_work(void *self, const struct tide_event *event,
			    struct tide_delivery *delivery)
{
	bench_work(event->payload.data, event->payload.size);
	return our_count(self, event, delivery);
}

/* Subscribe behind `after`, wait for the feed end, and tell the rate up to there. */
static double our_catch_up(struct bench *bench, const char *path, tide_position after,
			   enum tide_checkpoint_strategy strategy, tide_handler *handle)
{
	struct tide_store *store = our_store(path);
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_error err;
	int64_t handled = 0;
	tide_position end;
	char name[32];
	struct lap lap;

	snprintf(name, sizeof name, "bench-%ld-%d", (long)getpid(), ++bench->made);
	struct tide_subscriber subscriber = { .name = name, .self = &handled, .handle = handle };
	config.checkpoint_strategy = strategy;
	config.start_from = TIDE_START_POSITION;
	config.start_position = after;
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
		    &err);
	lap = lap_begin();
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, end, PATIENCE, &err), &err);
	double rate = lap_end(&lap, handled);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	if (handled != end - after)
		bench_die("%lld of %lld events handled", (long long)handled,
			  (long long)(end - after));
	tide_manager_close(manager);
	tide_store_close(store);
	return rate;
}

double our_catch_up_batch(struct bench *bench)
{
	return our_catch_up(bench, bench->history, 0, TIDE_EVERY_BATCH, our_count);
}

double our_catch_up_working(struct bench *bench)
{
	return our_catch_up(bench, bench->history, 0, TIDE_EVERY_BATCH, our_work);
}

double our_catch_up_event(struct bench *bench)
{
	return our_catch_up(bench, bench->history, bench->events - bench->events / 10,
			    TIDE_EVERY_EVENT, our_count);
}

double our_catch_up_periodic(struct bench *bench)
{
	return our_catch_up(bench, bench->history, 0, TIDE_PERIODIC, our_count);
}

double our_resume(struct bench *bench)
{
	return our_catch_up(bench, bench->history, bench->events / 2, TIDE_EVERY_BATCH, our_count);
}

double our_scan(struct bench *bench)
{
	struct tide_store *store = our_store(bench->history);
	struct tide_reader *reader;
	const struct tide_event *event;
	struct tide_error err;
	int64_t rows = 0;
	struct lap lap = lap_begin();

	bench_check(tide_store_read(store, NULL, &reader, &err), &err);
	for (;;) {
		bench_check(tide_reader_next(reader, &event, &err), &err);
		if (!event)
			break;
		rows++;
	}
	double rate = lap_end(&lap, rows);
	tide_reader_close(reader);
	tide_store_close(store);
	return rate;
}

static struct tide_new_event our_event(const struct bench_row *row)
{
	return (struct tide_new_event){ .event_type = "OrderPlaced",
					.payload = tide_text(row->payload) };
}

double our_append_hundred(struct bench *bench)
{
	int64_t count = bench->events / 10 / 100 * 100;
	struct bench_row *rows = bench_rows(count);
	struct tide_new_event events[100];
	struct tide_store *store;
	struct tide_error err;
	char path[4096];
	struct lap lap;

	bench_database(bench, path);
	store = our_store(path);
	lap = lap_begin();
	for (int64_t i = 0; i < count; i += 100) {
		struct tide_append append = { .stream.aggregate_type = "Order",
					      .events = events,
					      .count = 100 };
		for (int64_t k = 0; k < 100; k++)
			events[k] = our_event(&rows[i + k]);
		bench_check(
			tide_uuid_parse(rows[i].aggregate_id, &append.stream.aggregate_id, &err),
			&err);
		bench_check(tide_store_append(store, &append, NULL, &err), &err);
	}
	double rate = lap_end(&lap, count);
	tide_store_close(store);
	bench_remove(path);
	free(rows);
	return rate;
}

/* One of several threads that append single events, each to a stream of its own. */
struct writer {
	struct tide_store *store;
	const struct bench_row *rows;
	int64_t count;
	pthread_t thread;
};

static void *writer_run(void *self)
{
	struct writer *writer = self;
	struct tide_stream stream = { tide_uuid_v4(), "Order" };
	struct tide_error err;

	for (int64_t i = 0; i < writer->count; i++) {
		struct tide_new_event event = our_event(&writer->rows[i]);
		struct tide_append append = { stream, i, &event, 1 };
		bench_check(tide_store_append(writer->store, &append, NULL, &err), &err);
	}
	return NULL;
}

static double our_append_by(struct bench *bench, int count, int64_t each)
{
	struct bench_row *rows = bench_rows(each);
	struct writer writers[WRITERS_MAX];
	char path[4096];
	bench_database(bench, path);
	struct tide_store *store = our_store(path);
	struct lap lap = lap_begin();
	for (int i = 0; i < count; i++) {
		writers[i] = (struct writer){ .store = store, .rows = rows, .count = each };
		if (pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]) != 0)
			bench_die("no thread");
	}

	for (int i = 0; i < count; i++)
		pthread_join(writers[i].thread, NULL);
	double rate = lap_end(&lap, each * count);
	tide_store_close(store);
	bench_remove(path);
	free(rows);
	return rate;
}

double our_append_8(struct bench *bench)
{
	return our_append_by(bench, 8, bench->events / 400);
}

double our_append_64(struct bench *bench)
{
	return our_append_by(bench, 64, bench->events / 1600 + 1);
}

/* ---- Several over one history ---------------------------------------------------------------- */

/** One of them. */
struct follower {
	char name[40];
	int64_t handled;
	struct tide_subscription *subscription;
};

static void follower_add(struct bench *bench, struct tide_manager *manager,
			 struct follower *follower)
{
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_error err;
	snprintf(follower->name, sizeof follower->name, "follower-%ld-%d", (long)getpid(),
		 ++bench->made);
	const struct tide_subscriber subscriber = { .name = follower->name,
						    .self = &follower->handled,
						    .handle = our_count };
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &follower->subscription,
					   &err),
		    &err);
}

/* Events of the history a second, until the last one has them all. */
static double our_followers(struct bench *bench, int count)
{
	struct tide_store *store = our_store(bench->history);
	struct tide_manager *manager;
	struct follower followers[FOLLOWERS] = { 0 };
	struct tide_error err;
	tide_position end;
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	for (int i = 0; i < count; i++)
		follower_add(bench, manager, &followers[i]);

	struct lap lap = lap_begin();
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	for (int i = 0; i < count; i++)
		bench_check(tide_subscription_wait(followers[i].subscription, end, PATIENCE, &err),
			    &err);
	double rate = lap_end(&lap, end);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	tide_store_close(store);
	return rate;
}

double our_follower(struct bench *bench)
{
	return our_followers(bench, 1);
}

double our_followers_5(struct bench *bench)
{
	return our_followers(bench, FOLLOWERS);
}

/* ---- Import ---------------------------------------------------------------------------------- */

/* A file of events as `tide import` reads it. */
static void our_write_import(const char *path, int64_t count)
{
	struct bench_row *rows = bench_rows(count);
	FILE *file = fopen(path, "w");

	if (!file)
		bench_die("%s cannot be written", path);
	for (int64_t i = 0; i < count; i++)
		fprintf(file,
			"{\"event_id\": \"%s\", \"event_type\": \"OrderPlaced\", \"occurred_at\": "
			"\"%s\", "
			"\"aggregate_id\": \"%s\", \"aggregate_type\": \"Order\", \"payload\": "
			"%s}\n",
			rows[i].event_id, rows[i].occurred_at, rows[i].aggregate_id,
			rows[i].payload);
	if (fclose(file) != 0)
		bench_die("%s cannot be written", path);
	free(rows);
}

double our_import(struct bench *bench)
{
	int64_t count = bench->events / 4;
	char path[4096], url[4104], input[4112];
	struct lap lap;
	int status;

	bench_database(bench, path);
	snprintf(url, sizeof url, "sqlite:%s", path);
	snprintf(input, sizeof input, "%s.ndjson", path);
	our_write_import(input, count);
	lap = lap_begin();
	pid_t child = fork();
	if (child == 0) {
		int nowhere = open("/dev/null", O_WRONLY);
		dup2(nowhere, STDOUT_FILENO);
		execl(bench->tide, bench->tide, "--store", url, "import", input, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		bench_die("'%s import' did not work", bench->tide);
	double rate = lap_end(&lap, count);
	unlink(input);
	bench_remove(path);
	return rate;
}

long our_peak_memory(const char *path, int64_t count)
{
	struct bench bench = { .events = count };
	char line[128];
	long peak = -1;
	FILE *status;

	our_catch_up(&bench, path, 0, TIDE_EVERY_BATCH, our_count);
	status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof line, status))
		sscanf(line, "VmHWM: %ld", &peak);
	if (status)
		fclose(status);
	return peak;
}

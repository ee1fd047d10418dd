/* SPDX-License-Identifier: Apache-2.0 */
#include "many.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "lib/wait.h"

#define APPENDS_MAX 200000
#define LIVE_SECONDS 120

struct many many = { .subscriptions = 1000, .seconds = 5, .directory = "." };

/** The appends of a measurement. */
static struct {
	double called[APPENDS_MAX], took[APPENDS_MAX]; /* until the last handler had it */
	atomic_int seen[APPENDS_MAX];
	tide_position first; /* the one behind this is append 0 */
	atomic_int done;     /* that every subscription has seen */
} run;

static struct tide_store *many_store(const char *url)
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

static tide_status many_handle(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)self;
	(void)delivery;
	int64_t number = event->position - run.first - 1;
	if (atomic_fetch_add(&run.seen[number], 1) + 1 == many.subscriptions) {
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
	for (int i = 0; i < many.subscriptions; i++) {
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
	while (seconds_of_clock() - begun < many.seconds && count < APPENDS_MAX) {
		while (many.pace > 0 && seconds_of_clock() < begun + count / many.pace)
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
	       many.subscriptions, run.took[count / 2] * 1000, run.took[count * 99 / 100] * 1000,
	       peak_kib(), files);
	fflush(stdout);
}

void many_live(const struct table *table, const char *url, enum tide_checkpoint_strategy strategy)
{
	struct tide_error err;
	struct tide_store *store = many_store(url);
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
}

bool many_option(int option, const char *argument)
{
	if (option == 'd')
		many.directory = argument;
	else if (option == 'n')
		many.subscriptions = atoi(argument);
	else if (option == 's')
		many.seconds = atof(argument);
	else if (option == 'p')
		many.pace = atof(argument);
	else
		return false;
	return true;
}

void many_begin(struct table *table)
{
	if (many.subscriptions < 1 || !(many.seconds > 0) || many.pace < 0)
		bench_die("-n and -s are more than 0");
	table->events = many.subscriptions;
	table_head(table);
}

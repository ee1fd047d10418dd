/* SPDX-License-Identifier: Apache-2.0 */
/* Catching up in memory, against a loop over an array that calls a handler through a pointer. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define STREAM 100
#define PATIENCE 600.0

static int64_t handled;

static tide_status memory_count(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)self;
	(void)delivery;
	handled += event->position > 0;
	return TIDE_OK;
}
/* Read through a variable, so that the call stays a call. */
static tide_handler *volatile memory_handler = memory_count;

double bare_memory(struct bench *bench)
{
	struct tide_event *events = calloc((size_t)bench->events, sizeof *events);
	if (!events)
		bench_die("out of memory");
	for (int64_t i = 0; i < bench->events; i++)
		events[i].position = i + 1;

	handled = 0;
	struct lap lap = lap_begin();
	for (int64_t i = 0; i < bench->events; i++)
		(void)memory_handler(NULL, &events[i], NULL);
	double rate = lap_end(&lap, handled);
	free(events);
	return rate;
}

static void memory_fill(struct bench *bench, struct tide_store *store)
{
	struct bench_row *rows = bench_rows(bench->events);
	struct tide_new_event events[STREAM];
	struct tide_error err;
	for (int64_t i = 0; i < bench->events; i += STREAM) {
		struct tide_append append = { .stream = { tide_uuid_v4(), "Order" },
					      .events = events,
					      .count = STREAM };
		for (int64_t k = 0; k < STREAM; k++)
			events[k] = (struct tide_new_event){
				.event_type = "OrderPlaced",
				.payload = tide_text(rows[(i + k) % bench->events].payload)
			};
		bench_check(tide_store_append(store, &append, NULL, &err), &err);
	}
	free(rows);
}

double our_memory(struct bench *bench)
{
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_subscriber subscriber = { .name = "memory", .handle = memory_count };
	struct tide_error err;
	tide_position end;
	bench_check(tide_store_open("memory:", NULL, &store, &err), &err);
	memory_fill(bench, store);
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_manager_subscribe(manager, &subscriber, &config, &subscription, &err),
		    &err);

	struct lap lap = lap_begin();
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, end, PATIENCE, &err), &err);
	double rate = lap_end(&lap, end);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	tide_store_close(store);
	return rate;
}

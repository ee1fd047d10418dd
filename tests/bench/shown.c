/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with many subscriptions that is shown over HTTP, for tests/bench/http and board.js: it
 * prints its URL when all of them are live, and ends when its standard input does.
 *
 *	bench-shown [-n SUBSCRIPTIONS] [-e EVENTS] [-s STORE]
 *
 * They begin behind the events, which it appends to the store, in memory unless another is named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "die.h"

#define LIVE_SECONDS 120
#define STREAM_EVENTS 10 /* of each stream */
#define STREAMS 100      /* of each transaction */

/** What is shown. */
struct shown {
	int subscriptions;
	long long events;
	const char *store;
};

static tide_status handle(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

/* One transaction. */
static void append_streams(struct tide_store *store, const struct tide_new_event *events,
			   long count)
{
	struct tide_append appends[STREAMS];
	struct tide_error err;
	size_t streams = 0;
	for (long left = count; left > 0; left -= STREAM_EVENTS)
		appends[streams++] = (struct tide_append){
			{ tide_uuid_v4(), "Thing" },
			TIDE_NO_STREAM,
			events,
			(size_t)(left < STREAM_EVENTS ? left : STREAM_EVENTS),
		};
	bench_check(tide_store_append_all(store, appends, streams, NULL, &err), &err);
}

static void append(struct tide_store *store, long long count)
{
	struct tide_new_event events[STREAM_EVENTS];
	for (int i = 0; i < STREAM_EVENTS; i++)
		events[i] = (struct tide_new_event){
			.event_type = i == 0 ? "ThingBegun" : "ThingChanged",
			.payload = tide_text(
				"{\"what\":\"as much as an event says\",\"amount\":1250}"),
		};
	for (const long most = STREAMS * STREAM_EVENTS; count > 0; count -= most)
		append_streams(store, events, count < most ? (long)count : most);
}

static void subscribe(struct tide_manager *manager, int count)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_error err;

	config.start_from = TIDE_START_END;
	for (int i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof name, "projection %03d", i);
		struct tide_subscriber subscriber = { .name = name, .handle = handle };
		bench_check(tide_manager_subscribe(manager, &subscriber, &config, NULL, &err),
			    &err);
	}
}

static void show(const struct shown *shown)
{
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_http *http;
	struct tide_error err;

	bench_check(
		tide_store_open(shown->store, TIDE_STORE_OPTIONS(.initialize = true), &store, &err),
		&err);
	append(store, shown->events);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	subscribe(manager, shown->subscriptions);
	bench_check(tide_manager_run(manager, LIVE_SECONDS, &err), &err);
	bench_check(tide_http_open(manager, TIDE_HTTP(.address = "127.0.0.1:0"), &http, &err),
		    &err);

	printf("%s\n", tide_http_url(http));
	fflush(stdout);
	while (getchar() != EOF)
		;
	tide_http_close(http);
	tide_manager_close(manager);
	tide_store_close(store);
}

int main(int argc, char **argv)
{
	struct shown shown = { 500, 1000, "memory:" };
	for (int option; (option = getopt(argc, argv, "n:e:s:")) != -1;) {
		if (option == 'n')
			shown.subscriptions = atoi(optarg);
		else if (option == 'e')
			shown.events = atoll(optarg);
		else if (option == 's')
			shown.store = optarg;
		else
			return 2;
	}
	show(&shown);
	return 0;
}

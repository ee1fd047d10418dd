/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with many subscriptions that is shown over HTTP, for tests/bench/http: it prints its URL
 * when all of them are live, and ends when its standard input does.
 *
 *	bench-shown [-n SUBSCRIPTIONS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tidemark/tidemark.h>

#include "die.h"

#define LIVE_SECONDS 120
#define EVENTS 1000

static tide_status handle(void *self, const struct tide_event *event,
			  struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

static void append(struct tide_store *store)
{
	const struct tide_new_event event = { .event_type = "Happened",
					      .payload = tide_text("{}") };
	struct tide_error err;
	for (int i = 0; i < EVENTS; i++) {
		struct tide_append append = {
			{ tide_uuid_v4(), "Thing" }, TIDE_NO_STREAM, &event, 1
		};
		struct tide_append_result result;
		bench_check(tide_store_append(store, &append, &result, &err), &err);
	}
}

int main(int argc, char **argv)
{
	int count = 500;
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_http *http;
	struct tide_error err;
	for (int option; (option = getopt(argc, argv, "n:")) != -1;)
		count = option == 'n' ? atoi(optarg) : count;

	bench_check(tide_store_open("memory:", NULL, &store, &err), &err);
	append(store);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	for (int i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof name, "projection %03d", i);
		struct tide_subscriber subscriber = { .name = name, .handle = handle };
		bench_check(tide_manager_subscribe(manager, &subscriber, NULL, NULL, &err), &err);
	}
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
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member that is cut off by a network that carries nothing, with much read ahead and nothing to
 * save: it goes on for two thirds of its lease, and no call begins after that.
 *
 *	faults-postgres_cut_off     TIDE_TEST_ROUNDS: how often (5)
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <tidemark/tidemark.h>

#include "engine_tools.h"
#include "lib/postgres.h"
#include "lib/proxy.h"

#define SCHEMA "postgresql:///?schema=cut_off"
#define LEASE 1.0
#define TRUST (LEASE * 2 / 3)
#define SLACK 0.15 /* seconds, of a busy machine, in more than half of the rounds */
#define EVENTS 20000
#define A_CALL 0.005

/** When calls began. */
struct calls {
	_Atomic double last;
};

static tide_status take_time(void *self, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	struct calls *calls = self;
	(void)event;
	(void)delivery;
	atomic_store(&calls->last, seconds_now());
	pass_time(A_CALL);
	return TIDE_OK;
}

static struct tide_subscription_config ahead_config(void)
{
	struct tide_subscription_config config = quick_config();
	config.lanes = 2;
	config.poll_interval_seconds = 3600;
	config.batch_size = config.max_in_flight = EVENTS;
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.checkpoint_interval_seconds = 3600;
	return config;
}

/* How long after it was cut off the last call began. */
static double cut_off_once(struct proxy *proxy, struct calls *calls)
{
	double before = seconds_now();
	wait_for(PATIENCE, atomic_load(&calls->last) > before);
	proxy_hold(proxy);
	double held = seconds_now();
	while (seconds_now() < held + 1.2 * LEASE)
		wait_a_moment();
	double last = atomic_load(&calls->last) - held;
	proxy_cut(proxy);
	double cut = seconds_now();
	wait_for(PATIENCE, atomic_load(&calls->last) > cut);
	return last;
}

static int number_compare(const void *a, const void *b)
{
	const double *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

static void fill(void)
{
	struct tide_store *store;
	must(tide_store_open(SCHEMA, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	for (unsigned i = 0; i < EVENTS / 500; i++)
		append_many(store, stream_of("Order", i), 0, 500);
	tide_store_close(store);
}

static void one_that_is_cut_off_begins_no_call_once_two_thirds_of_its_lease_are_over(void **state)
{
	char directory[TEMP_PATH_SIZE], url[2 * TEMP_PATH_SIZE];
	struct calls calls = { 0 };
	struct tide_store *store;
	struct tide_manager *manager;
	const struct tide_subscriber subscriber = { .name = "ahead",
						    .self = &calls,
						    .handle = take_time };
	const struct tide_subscription_config config = ahead_config();
	size_t rounds = (size_t)test_number("TIDE_TEST_ROUNDS", 5);
	double *times = calloc(rounds, sizeof *times);
	(void)state;
	assert_true(times && rounds > 0);
	temp_make(directory);
	struct proxy *proxy = proxy_open(directory);
	snprintf(url, sizeof url, SCHEMA "&host=%s", directory);
	fill();

	must(tide_store_open(url, NULL, &store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store, .lease_seconds = LEASE), &manager,
			       err));
	must(tide_manager_subscribe(manager, &subscriber, &config, NULL, err));
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	for (size_t i = 0; i < rounds; i++)
		times[i] = cut_off_once(proxy, &calls);
	qsort(times, rounds, sizeof *times, number_compare);
	print_message("cut off %zu times with a lease of %.0f s: the last call began %.3f s later, "
		      "median, and %.3f s at most\n",
		      rounds, LEASE, times[rounds / 2], times[rounds - 1]);
	assert_true(times[rounds / 2] < TRUST + SLACK);
	tide_manager_close(manager);
	tide_store_close(store);
	proxy_close(proxy);
	temp_remove(directory);
	free(times);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			one_that_is_cut_off_begins_no_call_once_two_thirds_of_its_lease_are_over),
	};
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	if (!postgres_start())
		return 77;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	return failed;
}

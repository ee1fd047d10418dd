/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that no other test sees act: the spread of a backoff, the length of the list of errors,
 * the bytes of a page. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

/* ---- retry_jitter ---------------------------------------------------------------------------- */

/* The waits before the attempts of a failing event, as parts of what they are without jitter. */
static void knob_waits(double jitter, double parts[], int count)
{
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = walk_fail_two;
	struct tide_subscription_config config = walk_config();
	config.circuit_breaker_enabled = false;
	config.max_retries = count;
	config.initial_retry_delay = 1;
	config.max_retry_delay = 1e6;
	config.retry_exponential_base = 2;
	config.retry_jitter = jitter;
	walk_start(&walk, false, &config);
	walk_to_wait(&walk);
	for (int i = 0; i < count; i++) {
		parts[i] = (double)(walk.next.ns - walk.now_ns) / (double)NS_PER_SECOND / exp2(i);
		walk_on(&walk);
	}
	walk_close(&walk);
}

static void a_backoff_is_spread_by_its_jitter_and_no_further(void **state)
{
	(void)state;
	double exact[8], spread[8];
	knob_waits(0, exact, 8);
	knob_waits(0.5, spread, 8);
	int away = 0;
	for (int i = 0; i < 8; i++) {
		assert_true(fabs(exact[i] - 1) < 1e-6);
		assert_true(spread[i] >= 0.5 && spread[i] <= 1.5);
		away += fabs(spread[i] - 1) > 0.01;
	}
	assert_in_range(away, 4, 8); /* each is away by chance 0.98 */
}

/* ---- max_recent_errors ----------------------------------------------------------------------- */

static tide_status refuse_all(struct witness *witness, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)witness;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "cannot take %d",
				  (int)event->position);
}

static void check_recent(int32_t limit, size_t expected)
{
	struct walk walk;
	struct tide_recent_error *recent;
	size_t count;
	walk_open(&walk, "memory", 5);
	walk.witness.decide = refuse_all;
	struct tide_subscription_config config = walk_config();
	config.circuit_breaker_enabled = false;
	config.max_recent_errors = limit;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	must(tide_subscription_recent_errors(walk.subscription, &recent, &count, err));
	assert_int_equal(count, expected);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(recent[i].position, 5 - (tide_position)i);
	assert_int_equal(walk.records[TIDE_HANDLER_PERMANENT], 5); /* all of them were told */
	tide_free(recent);
	walk_close(&walk);
}

static void as_many_errors_are_kept_as_configured_the_newest_first(void **state)
{
	(void)state;
	check_recent(0, 0);
	check_recent(2, 2);
	check_recent(100, 5);
}

/* ---- max_batch_bytes ------------------------------------------------------------------------- */

#define KNOB_CALLS 8

struct knob_batches {
	size_t count;
	size_t events[KNOB_CALLS];
};

static tide_status count_batch(void *self, const struct tide_event *const *events, size_t count,
			       struct tide_delivery *delivery)
{
	struct knob_batches *batches = self;
	(void)events, (void)delivery;
	if (batches->count < KNOB_CALLS)
		batches->events[batches->count] = count;
	batches->count++;
	return TIDE_OK;
}

static void append_sized(struct tide_store *store, size_t bytes)
{
	char payload[2000];
	assert_true(bytes < sizeof payload);
	memset(payload, 'x', bytes);
	payload[0] = payload[bytes - 1] = '"';
	struct tide_new_event events[] = { { .event_type = "Sized",
					     .payload = { payload, bytes } } };
	must(tide_store_append(store,
			       &(struct tide_append){ stream_of("Order", 1), TIDE_ANY, events, 1 },
			       NULL, err));
}

static void a_page_ends_where_its_bytes_do_and_a_greater_event_comes_alone(void **state)
{
	static const size_t sizes[] = { 100, 100, 100, 1000, 100, 100 };
	static const size_t expected[] = { 2, 1, 1, 2 };
	struct rig rig;
	struct knob_batches batches = { 0 };
	struct tide_subscription *subscription;
	rig_open(&rig, *state);
	for (size_t i = 0; i < COUNT(sizes); i++)
		append_sized(rig.store, sizes[i]);
	struct tide_subscriber subscriber = { .name = "Knob",
					      .self = &batches,
					      .handle_batch = count_batch };
	struct tide_subscription_config config = quick_config();
	config.max_batch_bytes = 250; /* of payload and metadata, which is {} here */
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	wait_position(subscription, COUNT(sizes));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	assert_int_equal(batches.count, COUNT(expected));
	assert_memory_equal(batches.events, expected, sizeof expected);
	rig_close(&rig);
}

int main(void)
{
	static char memory[] = "memory", sqlite[] = "sqlite";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backoff_is_spread_by_its_jitter_and_no_further),
		cmocka_unit_test(as_many_errors_are_kept_as_configured_the_newest_first),
		cmocka_unit_test_prestate(
			a_page_ends_where_its_bytes_do_and_a_greater_event_comes_alone, memory),
		cmocka_unit_test_prestate(
			a_page_ends_where_its_bytes_do_and_a_greater_event_comes_alone, sqlite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

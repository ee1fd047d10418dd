/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that bound a run: attempts, failed events, events and bytes in flight. */
#include "conformance/recorder.h"

#include <stdlib.h>
#include <string.h>

static tide_status judge_always(struct recorder *recorder, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)event;
	return tide_delivery_fail(delivery, *(tide_status *)recorder->self, "cannot");
}

static void run_ends_with_as_many_failed_events_as_it_may_have(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	tide_status permanent = TIDE_HANDLER_PERMANENT;
	recorder->judge = judge_always;
	recorder->self = &permanent;
	append_many(f->store, stream_of("Order", 1), 1, 10);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.max_errors_before_stop = 2;

	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
	delivered(recorder, 1, 2);
	assert_int_equal(status_of(subscription).events_failed, 2);
	assert_int_equal(row_of(f, "p").position, 2);
}

/* Only a write of ours finds out that the ownership is lost: a handler that says so has failed. */
static void handler_that_says_fenced_has_failed(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	tide_status fenced = TIDE_FENCED;
	recorder->judge = judge_always;
	recorder->self = &fenced;
	append_many(f->store, stream_of("Order", 1), 1, 3);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();

	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 3);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 3);
	tide_dead_letters_free(&letters);
	struct tide_error_stats stats;
	must(tide_manager_error_stats(manager, "p", &stats, err));
	assert_int_equal(stats.by_type[TIDE_HANDLER_PERMANENT], 3);
	assert_int_equal(stats.by_type[TIDE_FENCED], 0);
}

/* Late once, then as quick as anybody. */
static tide_status judge_late(struct recorder *recorder, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)recorder;
	(void)event;
	while (tide_delivery_attempt(delivery) == 1 && !tide_delivery_is_late(delivery))
		wait_a_moment();
	return TIDE_OK;
}

static void late_handler_is_tried_again_whatever_a_rule_says(struct fixture *f)
{
	const struct tide_classification permanent = { .category = TIDE_CATEGORY_PERMANENT,
						       .severity = TIDE_SEVERITY_HIGH,
						       .retryable = false };
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_late;
	append_many(f->store, stream_of("Order", 1), 1, 1);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.processing_timeout = 0.2;

	MANAGER *manager = manager_of(f->store);
	must(tide_manager_classify(manager, NULL, TIDE_TIMEOUT, &permanent, err));
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 1);
	assert_int_equal(status_of(subscription).events_failed, 0);
}

/* ---- In flight ------------------------------------------------------------------------------- */

static void no_more_events_are_in_flight_than_may_be(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	append_many(f->store, stream_of("Order", 1), 1, 500);
	struct tide_subscriber subscriber = batch_subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.batch_size = 60;
	config.max_in_flight = 100;

	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	delivered_all_after(recorder, f->store, 0);
	int64_t peak = status_of(subscription).in_flight_peak;
	assert_true(peak >= 60 && peak <= 100);
}

/* Waits with the first event in hand, so that what is read ahead stays in flight. */
static tide_status judge_first(struct recorder *recorder, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)delivery;
	while (event->position == 1 && !atomic_load((atomic_bool *)recorder->self))
		wait_a_moment();
	return TIDE_OK;
}

static void event_greater_than_the_bytes_in_flight_comes_alone(struct fixture *f)
{
	const size_t size = (size_t)1 << 20;
	char *huge = malloc(size + 1);
	memset(huge, 'h', size);
	huge[0] = huge[size - 1] = '"';
	huge[size] = '\0';
	append_many(f->store, stream_of("Order", 1), 1, 3);
	struct tide_new_event event = { .event_type = "Huge", .payload = tide_text(huge) };
	must(tide_store_append(f->store,
			       &(struct tide_append){ .stream = stream_of("Order", 2),
						      .expected = TIDE_ANY,
						      .events = &event,
						      .count = 1 },
			       NULL, err));
	append_one(f->store, stream_of("Order", 1), "Counted");
	free(huge);

	RECORDER *recorder = recorder_new();
	atomic_bool may_go = false;
	recorder->judge = judge_first;
	recorder->self = &may_go;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.batch_size = 1;
	config.max_batch_bytes = 1000;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	wait_for(20, recorder->inside == 1);
	atomic_store(&may_go, true);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 3, 4, 5);
	assert_true(status_of(subscription).in_flight_peak <= 3);
}

const struct test_case limits_cases[] = {
	CASE(run_ends_with_as_many_failed_events_as_it_may_have),
	CASE(handler_that_says_fenced_has_failed),
	CASE(late_handler_is_tried_again_whatever_a_rule_says),
	CASE(no_more_events_are_in_flight_than_may_be),
	CASE(event_greater_than_the_bytes_in_flight_comes_alone),
	CASES_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Batch handlers that answer for a part of their batch, and have more of it under way. */
#include <stdatomic.h>

#include "conformance/recorder.h"

/** A batch handler that answers for two events a call, and for the fifth with a failure, twice. */
struct parts {
	struct recorder *recorder;
	bool was_idle; /* each event is answered for at the second call only */
	int failures;
	atomic_int most; /* events in one call */
	atomic_int left; /* runs that are over */
	atomic_int in_hand;
	atomic_bool is_held; /* nothing is answered for */
};

static tide_status parts_handle(void *self, const struct tide_event *const *events, size_t count,
				struct tide_delivery *delivery)
{
	struct parts *parts = self;
	if ((int)count > atomic_load(&parts->most))
		atomic_store(&parts->most, (int)count);
	parts->was_idle = !parts->was_idle;
	if (parts->was_idle || (parts->is_held && !tide_delivery_is_stopping(delivery))) {
		tide_delivery_take(delivery, 0, (size_t)parts->in_hand);
		wait_a_moment();
		return TIDE_OK;
	}

	bool is_failing = events[0]->position == 5 && parts->failures < 2;
	size_t taken = is_failing || count < 2 || events[1]->position == 5 ? 1 : 2;
	parts->failures += is_failing;
	parts->in_hand -= parts->in_hand ? (int)taken : 0;
	tide_delivery_take(delivery, taken, (size_t)parts->in_hand);
	if (is_failing)
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "not yet");
	return recorder_handle_batch(parts->recorder, events, taken, delivery);
}

static void parts_leave(void *self)
{
	atomic_fetch_add(&((struct parts *)self)->left, 1);
}

static struct tide_subscriber parts_subscriber(struct parts *parts)
{
	return (struct tide_subscriber){ .name = "p",
					 .self = parts,
					 .handle_batch = parts_handle,
					 .batch_events = 7,
					 .leave = parts_leave };
}

static void batch_handler_may_answer_for_a_part_of_its_batch(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 20);
	RECORDER *recorder = recorder_new();
	struct parts parts = { .recorder = recorder };
	struct tide_subscription_config config = quick_config();
	config.self_check = true;
	struct tide_subscriber subscriber = parts_subscriber(&parts);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_int_equal(parts.left, 0);
	stop(manager);
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20);
	assert_int_equal(recorder->calls[4].attempt, 3);
	assert_int_equal(recorder->calls[5].attempt, 3); /* of the same call */
	assert_int_equal(recorder->calls[6].attempt, 1);
	assert_int_equal(parts.most, 7);
	assert_int_equal(parts.left, 1);
	assert_int_equal(status_of(subscription).recent_errors_count, 2);
	assert_int_equal(row_of(f, "p").position, 20);
}

static void stop_waits_for_what_a_batch_handler_has_begun(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 20);
	RECORDER *recorder = recorder_new();
	struct parts parts = { .recorder = recorder, .failures = 2, .in_hand = 6, .is_held = true };
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = parts_subscriber(&parts);
	MANAGER *manager = manager_of(f->store);
	subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	wait_for(10, atomic_load(&parts.most) > 0);
	stop(manager);
	delivered(recorder, 1, 2, 3, 4, 5, 6);
	assert_int_equal(row_of(f, "p").position, 6);
}

/** A batch handler that has an event under way and never answers; its ownership ends meanwhile. */
struct lost {
	struct tide_checkpoints *checkpoints;
	atomic_int calls;
	bool is_released;
};

static tide_status lost_handle(void *self, const struct tide_event *const *events, size_t count,
			       struct tide_delivery *delivery)
{
	struct lost *lost = self;
	(void)events;
	(void)count;
	atomic_fetch_add(&lost->calls, 1);
	if (tide_delivery_is_stopping(delivery) && !lost->is_released)
		lost->is_released =
			tide_checkpoints_release(lost->checkpoints, "p", NULL) == TIDE_OK;
	tide_delivery_take(delivery, 0, 1);
	wait_a_moment();
	return TIDE_OK;
}

static void stop_waits_for_no_answer_once_the_ownership_is_lost(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 1);
	struct lost lost = { .checkpoints = f->checkpoints };
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = { .name = "p",
					      .self = &lost,
					      .handle_batch = lost_handle };
	MANAGER *manager;
	must(tide_manager_open(TIDE_MANAGER(.store = f->store, .lease_seconds = 1), &manager, err));
	(void)subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	wait_for(30, atomic_load(&lost.calls) > 0);
	must(tide_manager_stop(manager, NULL, 30, err));
	assert_true(lost.is_released);
	assert_int_equal(stored_position(f, "p"), 0);
}

const struct test_case part_cases[] = {
	CASE(batch_handler_may_answer_for_a_part_of_its_batch),
	CASE(stop_waits_for_what_a_batch_handler_has_begun),
	CASE(stop_waits_for_no_answer_once_the_ownership_is_lost),
	CASES_END,
};

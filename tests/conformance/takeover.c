/* SPDX-License-Identifier: Apache-2.0 */
/* Who goes on behind another owner begins where that one came, whatever it was to begin with. */
#include "conformance/recorder.h"

/* What the owner has left behind the row is there when the other takes over. */
static void take_over(struct fixture *f, enum tide_start_from start_from)
{
	RECORDER *first = recorder_new(), *second = recorder_new();
	struct tide_subscriber one = subscriber_of("p", first), two = subscriber_of("p", second);
	struct tide_subscription_config config = quick_config();
	config.start_from = start_from;
	MANAGER *manager = manager_of(f->store);
	MANAGER *other = manager_of(f->store);
	struct tide_subscription *owner = subscribe(manager, &one, &config);
	struct tide_subscription *standby = subscribe(other, &two, &config);

	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 3);
	catch_up(f->store, owner);
	start(other);
	assert_true(status_of(standby).standby);
	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	must(tide_subscription_wait_state(owner, TIDE_STATE_PAUSED, 30, err));
	append_many(f->store, stream_of("Order", 1), 3, 2);

	stop(manager);
	must(tide_subscription_wait_state(standby, TIDE_STATE_LIVE, 30, err));
	catch_up(f->store, standby);
	delivered(first, 1, 2, 3);
	delivered(second, 4, 5);
	stop(other);
}

static void standby_that_begins_at_the_beginning_takes_over_where_the_owner_was(struct fixture *f)
{
	take_over(f, TIDE_START_BEGINNING);
}

static void standby_that_begins_at_the_end_takes_over_where_the_owner_was(struct fixture *f)
{
	take_over(f, TIDE_START_END);
}

static tide_status refuse_the_second(struct recorder *recorder, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	(void)recorder;
	return event->position == 2
		       ? tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as told")
		       : TIDE_OK;
}

static void restart_goes_on_behind_the_owner_in_between(struct fixture *f)
{
	RECORDER *first = recorder_new(), *second = recorder_new();
	struct tide_subscriber one = subscriber_of("p", first), two = subscriber_of("p", second);
	struct tide_subscription_config config = quick_config();
	config.continue_on_error = false;
	first->judge = refuse_the_second;
	MANAGER *manager = manager_of(f->store);
	MANAGER *other = manager_of(f->store);
	struct tide_subscription *failed = subscribe(manager, &one, &config);
	struct tide_subscription *between = subscribe(other, &two, &config);

	start(manager);
	start(other);
	append_many(f->store, stream_of("Order", 1), 0, 3);
	must(tide_subscription_wait_state(failed, TIDE_STATE_ERROR, 30, err));
	catch_up(f->store, between);
	stop(other);

	append_many(f->store, stream_of("Order", 1), 3, 1);
	must(tide_manager_restart(manager, "p", err));
	catch_up(f->store, failed);
	delivered(first, 1, 2, 4);
	delivered(second, 2, 3);
	stop(manager);
}

const struct test_case takeover_cases[] = {
	CASE(standby_that_begins_at_the_beginning_takes_over_where_the_owner_was),
	CASE(standby_that_begins_at_the_end_takes_over_where_the_owner_was),
	CASE(restart_goes_on_behind_the_owner_in_between),
	CASES_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Who goes on behind another owner begins where that one came, whatever it was to begin with. */
#include "conformance/recorder.h"
#include "lib/wait.h"

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

static bool is_resolved(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list found = { 0 };
	must(tide_dead_letters_get(f->checkpoints, id, &found, err));
	bool is_resolved = found.entries[0].status == TIDE_DEAD_LETTER_RESOLVED;
	tide_dead_letters_free(&found);
	return is_resolved;
}

/* Of a run that died between its dead letter and its checkpoint, and that a person has asked for
 * meanwhile: what comes before it is handled first. */
static void dead_letter_ahead_of_its_row_waits_for_the_feed(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	struct tide_new_event events[] = { event_of("OrderPlaced", 2) };
	events[0].event_id = uuid_of(2);
	append_many(f->store, stream_of("Order", 1), 0, 2);
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events), NULL,
			       err));
	append_many(f->store, stream_of("Order", 1), 3, 2);

	struct tide_event *event;
	int64_t id;
	must(tide_store_event(f->store, &events[0].event_id, &event, err));
	must(tide_dead_letters_add(f->checkpoints, "p", event, "as told", NULL, 1, &id, err));
	tide_free(event);
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	wait_for(20, is_resolved(f, id));
	stop(manager);
	delivered(recorder, 1, 2, 3, 4, 5, 3);
}

const struct test_case takeover_cases[] = {
	CASE(standby_that_begins_at_the_beginning_takes_over_where_the_owner_was),
	CASE(standby_that_begins_at_the_end_takes_over_where_the_owner_was),
	CASE(restart_goes_on_behind_the_owner_in_between),
	CASE(dead_letter_ahead_of_its_row_waits_for_the_feed),
	CASES_END,
};

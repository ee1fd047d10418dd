/* SPDX-License-Identifier: Apache-2.0 */
/* The position has one truth, its row: who writes it says what it was, and a row that was moved is
 * gone by. */
#include <string.h>

#include "conformance/recorder.h"
#include "path/store.h"
#include "path/subscription.h"

/** An owner as a backend knows one. */
struct owner {
	struct fixture *f;
	void *session;
	struct tide_fence fence;
};

static const struct tide_checkpoint_ops *owner_ops(const struct owner *owner)
{
	return &owner->f->store->backend->checkpoint;
}

static void owner_acquire(struct owner *owner)
{
	struct tide_lease lease = { 0 };
	owner->fence = (struct tide_fence){ .name = "p", .owner = uuid_of(1) };
	must(owner_ops(owner)->lease_acquire(owner->session, "p", &owner->fence.owner, &lease,
					     err));
	assert_true(lease.is_owned);
	owner->fence.epoch = lease.epoch;
}

static void owner_open(struct owner *owner, struct fixture *f)
{
	*owner = (struct owner){ .f = f };
	must(f->store->backend->store.session_open(f->store->state, &owner->session, err));
	owner_acquire(owner);
}

static void owner_close(struct owner *owner)
{
	must(owner_ops(owner)->lease_release(owner->session, &owner->fence, err));
	owner->f->store->backend->store.session_close(owner->session);
}

static tide_status owner_save(struct owner *owner, const struct tide_checkpoint_known *expected,
			      tide_position position)
{
	struct tide_checkpoint_write write = { .name = "p",
					       .has_position = true,
					       .progress = { .position = position, .count = 1 },
					       .now = tide_time_now(),
					       .expected = expected };
	return owner_ops(owner)->save(owner->session, &owner->fence, &write, NULL);
}

static struct tide_checkpoint_known known_at(tide_position position)
{
	return (struct tide_checkpoint_known){ .has_row = true,
					       .has_position = true,
					       .position = position };
}

static const struct tide_checkpoint_known no_row, no_position = { .has_row = true };

static void save_over_another_row_is_diverged(struct fixture *f)
{
	struct owner owner;
	struct tide_checkpoint_known at5 = known_at(5), at6 = known_at(6);
	owner_open(&owner, f);
	assert_int_equal(owner_save(&owner, &at5, 6), TIDE_DIVERGED);
	refused(TIDE_NOT_FOUND,
		tide_checkpoints_load(f->checkpoints, "p", &(struct tide_checkpoint){ 0 }, err));
	assert_int_equal(owner_save(&owner, &no_row, 5), TIDE_OK);
	assert_int_equal(owner_save(&owner, &no_row, 6), TIDE_DIVERGED);
	assert_int_equal(owner_save(&owner, &no_position, 6), TIDE_DIVERGED);
	assert_int_equal(owner_save(&owner, &at6, 7), TIDE_DIVERGED);
	assert_int_equal(row_of(f, "p").position, 5);
	assert_int_equal(owner_save(&owner, &at5, 6), TIDE_OK);
	assert_int_equal(owner_save(&owner, &at6, 6), TIDE_OK);
	assert_int_equal(row_of(f, "p").position, 6);
	assert_int_equal(row_of(f, "p").events_processed, 3);
	owner_close(&owner);
}

static void rows_without_a_position_are_compared_too(struct fixture *f)
{
	struct owner owner;
	struct tide_uuid event = uuid_of(7);
	owner_open(&owner, f);
	must(tide_checkpoints_update(f->checkpoints, "p", &event, "Placed", err));
	struct tide_checkpoint_known at0 = known_at(0), at4 = known_at(4);
	assert_int_equal(owner_save(&owner, &at0, 4), TIDE_DIVERGED);
	assert_int_equal(owner_save(&owner, &no_position, 4), TIDE_OK);
	assert_int_equal(owner_save(&owner, &no_position, 5), TIDE_DIVERGED);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	owner_acquire(&owner);
	assert_int_equal(owner_save(&owner, &at4, 5), TIDE_DIVERGED);
	assert_int_equal(owner_save(&owner, &no_position, 5), TIDE_DIVERGED);
	/* no position: nobody's harm */
	must(tide_checkpoints_update(f->checkpoints, "p", &event, "Placed", err));
	assert_int_equal(owner_save(&owner, &no_row, 5), TIDE_OK);
	assert_int_equal(row_of(f, "p").events_processed, 2);
	owner_close(&owner);
}

static void fence_falls_before_the_row_is_compared(struct fixture *f)
{
	struct owner owner;
	struct tide_checkpoint_known at9 = known_at(9);
	owner_open(&owner, f);
	owner.fence.epoch--;
	assert_int_equal(owner_save(&owner, &at9, 10), TIDE_FENCED);
	assert_int_equal(owner_save(&owner, &no_row, 10), TIDE_FENCED);
	owner.fence.epoch++;
	owner_close(&owner);
}

static void position_moved_by_a_person_ends_the_epoch_of_its_owner(struct fixture *f)
{
	struct owner owner;
	struct tide_uuid event = uuid_of(7);
	owner_open(&owner, f);
	int64_t epoch = owner.fence.epoch;
	must(tide_checkpoints_update(f->checkpoints, "p", &event, "Placed", err));
	must(owner_ops(&owner)->lease_renew(owner.session, &owner.fence, err));
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 3 },
				   err));
	refused(TIDE_FENCED, owner_ops(&owner)->lease_renew(owner.session, &owner.fence, err));
	assert_int_equal(owner_save(&owner, &no_position, 4), TIDE_FENCED);
	owner_acquire(&owner);
	assert_int_equal(owner.fence.epoch, epoch + 2);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	refused(TIDE_FENCED, owner_ops(&owner)->lease_renew(owner.session, &owner.fence, err));
	owner_close(&owner);
}

/* ---- Under a running subscription ------------------------------------------------------------ */

/* Move the row past everybody, as its owner would: no epoch changes. */
static void forge(struct fixture *f, struct tide_subscription *subscription, tide_position position)
{
	void *session;
	mutex_lock(&subscription->lock);
	struct tide_fence fence = subscription->lease.fence;
	mutex_unlock(&subscription->lock);
	struct tide_checkpoint_write write = { .name = "p",
					       .has_position = true,
					       .progress = { .position = position },
					       .now = tide_time_now() };
	must(f->store->backend->store.session_open(f->store->state, &session, err));
	must(f->store->backend->checkpoint.save(session, &fence, &write, err));
	f->store->backend->store.session_close(session);
}

/* Ten events are delivered and saved, and the subscription is live. */
static struct tide_subscription *run_to_ten(struct fixture *f, struct tide_manager *manager,
					    struct recorder *recorder)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	wait_for(30, stored_position(f, "p") == 10);
	return subscription;
}

static bool has_begun_again(struct recorder *recorder, tide_position from)
{
	pthread_mutex_lock(&recorder->lock);
	bool has_begun = false;
	for (size_t i = 1; i < recorder->count; i++)
		has_begun = has_begun || (recorder->calls[i].position == from &&
					  recorder->calls[i - 1].position >= from);
	pthread_mutex_unlock(&recorder->lock);
	return has_begun;
}

static void row_that_went_back_is_begun_from_again(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	forge(f, subscription, 4);
	append_many(f->store, stream_of("Order", 1), 10, 2);
	wait_for(30, has_begun_again(recorder, 5));
	wait_for(30, stored_position(f, "p") == 12);
	catch_up(f->store, subscription);
	assert_int_equal(status_of(subscription).error.status, TIDE_OK);
	stop(manager);
	assert_int_equal(row_of(f, "p").position, 12);
}

static void row_that_went_back_under_an_idle_owner_is_found(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	forge(f, subscription, 4);
	wait_for(60, has_begun_again(recorder, 5) || tide_subscription_is_terminal(subscription));
	assert_string_equal(status_of(subscription).error.message, "");
	wait_for(30, stored_position(f, "p") == 10);
	assert_int_equal(status_of(subscription).error.status, TIDE_OK);
	stop(manager);
}

static void stop_tells_of_a_row_that_went_back(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	wait_for(30, status_of(subscription).state == TIDE_STATE_PAUSED);
	forge(f, subscription, 4);
	stop(manager);
	assert_int_equal(status_of(subscription).position, 4);
	assert_int_equal(row_of(f, "p").position, 4);
}

static void row_that_went_on_without_its_owner_is_diverged(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	forge(f, subscription, 11);
	append_many(f->store, stream_of("Order", 1), 10, 2);
	wait_for(30, status_of(subscription).state == TIDE_STATE_ERROR);
	struct tide_error why = status_of(subscription).error;
	assert_int_equal(why.status, TIDE_DIVERGED);
	must_mention(&why, "'p'");
	must_mention(&why, "rewind");
	assert_int_equal(row_of(f, "p").position, 11);
	recorder_forget(recorder);
	must(tide_manager_restart(manager, "p", err));
	wait_for(30, stored_position(f, "p") == 12);
	stop(manager);
	delivered(recorder, 12);
}

static void person_who_moves_a_position_is_obeyed_by_a_running_owner(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	run_to_ten(f, manager, recorder);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 7 },
				   err));
	append_many(f->store, stream_of("Order", 1), 10, 1);
	wait_for(60, has_begun_again(recorder, 8));
	wait_for(30, stored_position(f, "p") == 11);
	recorder_forget(recorder);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	append_many(f->store, stream_of("Order", 1), 11, 1);
	wait_for(60, has_begun_again(recorder, 1));
	wait_for(30, stored_position(f, "p") == 12);
	stop(manager);
}

static void person_who_moves_a_position_is_obeyed_by_an_idle_owner(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	run_to_ten(f, manager, recorder);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 7 },
				   err));
	wait_for(30, has_begun_again(recorder, 8));
	wait_for(30, stored_position(f, "p") == 10);
	recorder_forget(recorder);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	wait_for(30, recorder_count(recorder) == 10);
	wait_for(30, stored_position(f, "p") == 10);
	stop(manager);
}

static void row_that_is_gone_is_diverged(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	fixture_sql(f, "DELETE FROM projection_checkpoints");
	append_many(f->store, stream_of("Order", 1), 10, 2);
	wait_for(30, status_of(subscription).state == TIDE_STATE_ERROR);
	assert_int_equal(status_of(subscription).error.status, TIDE_DIVERGED);
	assert_int_equal(stored_position(f, "p"), 0);
	recorder_forget(recorder);
	must(tide_manager_restart(manager, "p", err));
	wait_for(30, stored_position(f, "p") == 12);
	stop(manager);
	delivered_all_after(recorder, f->store, 0);
}

/* Whoever wrote it: it is told, and nobody is run into the ground by it. */
static void row_below_zero_is_diverged(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	forge(f, subscription, -5);
	append_many(f->store, stream_of("Order", 1), 10, 2);
	wait_for(30, status_of(subscription).state == TIDE_STATE_ERROR);
	struct tide_error why = status_of(subscription).error;
	assert_int_equal(why.status, TIDE_DIVERGED);
	must_mention(&why, "'p' is at -5");
	must_mention(&why, "reset");
	why = refused(TIDE_DIVERGED, tide_checkpoints_verify(f->checkpoints, "p", err));
	must_mention(&why, "'p' is at -5");
	struct tide_lag lag;
	must(tide_checkpoints_lag(f->checkpoints, "p", NULL, &lag, err));
	assert_int_equal(lag.lag_events, 12);
	refused(TIDE_DIVERGED, tide_manager_restart(manager, "p", err));
	assert_int_equal(row_of(f, "p").position, -5);
	recorder_forget(recorder);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	must(tide_manager_restart(manager, "p", err));
	wait_for(30, stored_position(f, "p") == 12);
	stop(manager);
	delivered_all_after(recorder, f->store, 0);
}

/* ---- What a position stands on --------------------------------------------------------------- */

static struct tide_uuid id_at(struct fixture *f, tide_position position)
{
	struct tide_page page;
	void *session;
	struct tide_anchor anchor = { 0 };
	bool may_come;
	tide_page_init(&page);
	must(f->store->backend->store.session_open(f->store->state, &session, err));
	must(f->store->backend->store.anchor(session, position, &anchor, &may_come, err));
	f->store->backend->store.session_close(session);
	tide_page_fini(&page);
	assert_int_equal(anchor.position, position);
	return anchor.event_id;
}

static void project_once(struct fixture *f, struct recorder *recorder,
			 const struct tide_subscription_config *config)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
}

static void position_stands_on_the_newest_event_whatever_was_filtered(struct fixture *f)
{
	static const char *const never[] = { "Never", NULL };
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	for (int filtered = 0; filtered < 2; filtered++) {
		append_many(f->store, stream_of("Order", 1), filtered * 10, 10);
		RECORDER *recorder = recorder_new();
		struct tide_subscriber subscriber = subscriber_of("p", recorder);
		subscriber.event_types = filtered ? never : NULL;
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		catch_up(f->store, subscription);
		stop(manager);
		tide_position end = end_of(f->store);
		struct tide_uuid id = id_at(f, end);
		struct tide_checkpoint row = row_of(f, "p");
		assert_int_equal(row.position, end);
		assert_int_equal(row.anchor.position, end);
		assert_true(tide_uuid_equal(&row.anchor.event_id, &id));
		must(tide_checkpoints_verify(f->checkpoints, "p", err));
	}
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 12 },
				   err));
	assert_int_equal(row_of(f, "p").anchor.position, 0);
	must(tide_checkpoints_verify(f->checkpoints, "p", err));
}

/* The row itself has no event below it: a person moved it there, or it is where lanes begin. */
static void position_that_no_run_has_come_to_stands_on_its_event(struct fixture *f)
{
	struct tide_subscription_config config = quick_config();
	struct tide_progress moved = { .count = 0 };
	for (uint32_t lanes = 1; lanes <= 2; lanes++) {
		append_many(f->store, stream_of("Order", 1), lanes * 10, 10);
		tide_position end = moved.position = end_of(f->store);
		RECORDER *recorder = recorder_new();
		config.lanes = lanes;
		config.start_from = lanes > 1 ? TIDE_START_END : TIDE_START_CHECKPOINT;
		if (lanes == 1)
			must(tide_checkpoints_save(f->checkpoints, "p", &moved, err));
		struct tide_subscriber subscriber =
			subscriber_of(lanes > 1 ? "laned" : "p", recorder);
		MANAGER *manager = manager_of(f->store);
		(void)subscribe(manager, &subscriber, &config);
		start(manager);
		wait_for(30, row_of(f, lanes > 1 ? "laned#1/2" : "p").anchor.position == end);
		stop(manager);
		assert_int_equal(row_of(f, lanes > 1 ? "laned#0/2" : "p").anchor.position, end);
		assert_int_equal(recorder_count(recorder), 0);
	}
}

static struct tide_error start_diverges(struct fixture *f, struct recorder *recorder)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	wait_for(30, status_of(subscription).state == TIDE_STATE_ERROR);
	struct tide_error why = status_of(subscription).error;
	stop(manager);
	assert_int_equal(why.status, TIDE_DIVERGED);
	must_mention(&why, "'p'");
	must_mention(&why, "rewind");
	must_mention(&why, "rebuild");
	must_mention(&why, "accept");
	refused(TIDE_DIVERGED, tide_checkpoints_verify(f->checkpoints, "p", err));
	return why;
}

static void store_that_went_back_is_diverged_until_a_person_decides(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	project_once(f, recorder, &config);
	fixture_sql(f, "DELETE FROM events WHERE global_position > 6");
	recorder_forget(recorder);
	struct tide_error why = start_diverges(f, recorder);
	must_mention(&why, "was at 10, nothing is there now, the feed ends at 6");
	append_many(f->store, stream_of("Order", 2), 0, 10); /* grown past the old position again */
	why = start_diverges(f, recorder);
	assert_int_equal(row_of(f, "p").position, 10);
	delivered_nothing(recorder);
	int64_t deleted = -1;
	must(tide_checkpoints_rewind(f->checkpoints, "p", 6, &deleted, err));
	assert_int_equal(deleted, 0);
	project_once(f, recorder, &config);
	delivered_all_after(recorder, f->store, 6);
	must(tide_checkpoints_verify(f->checkpoints, "p", err));
}

/* A writer that knows no anchors leaves the old one behind: it is of another time, and proves
 * nothing. */
static void anchor_above_its_position_is_not_held_against_the_store(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	project_once(f, recorder, &config);
	fixture_sql(f, "UPDATE projection_checkpoints SET global_position = 4, anchor_event_id = "
		       "'33333333-3333-4333-8333-333333333333'");
	must(tide_checkpoints_verify(f->checkpoints, "p", err));
	recorder_forget(recorder);
	project_once(f, recorder, &config);
	delivered(recorder, 5, 6, 7, 8, 9, 10);
}

static void store_whose_events_were_replaced_is_diverged(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	project_once(f, recorder, &config);
	fixture_sql(f, "UPDATE events SET event_id = '11111111-2222-4333-8444-555555555555' WHERE "
		       "global_position = 10");
	recorder_forget(recorder);
	struct tide_error why = start_diverges(f, recorder);
	must_mention(&why, "event 11111111-2222-4333-8444-555555555555 is there now");
	struct tide_anchor anchor;
	must(tide_checkpoints_accept(f->checkpoints, "p", &anchor, err));
	assert_int_equal(anchor.position, 10);
	append_many(f->store, stream_of("Order", 1), 10, 1);
	project_once(f, recorder, &config);
	delivered_all_after(recorder, f->store, 10);
}

static void events_replaced_under_an_idle_owner_are_diverged(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = run_to_ten(f, manager, recorder);
	fixture_sql(f, "UPDATE events SET event_id = '11111111-2222-4333-8444-555555555555' WHERE "
		       "global_position = 10");
	wait_for(60, status_of(subscription).state == TIDE_STATE_ERROR);
	struct tide_error why = status_of(subscription).error;
	assert_int_equal(why.status, TIDE_DIVERGED);
	must_mention(&why, "event 11111111-2222-4333-8444-555555555555 is there now");
	stop(manager);
}

static tide_status judge_some(struct recorder *recorder, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)recorder;
	bool fails = event->position == 3 || event->position == 8;
	return fails ? tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no") : TIDE_OK;
}

static void rewind_deletes_the_dead_letters_above_it(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_some;
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	project_once(f, recorder, &config);
	int64_t deleted = 0;
	refused(TIDE_ARGUMENT, tide_checkpoints_rewind(f->checkpoints, "p", -1, &deleted, err));
	refused(TIDE_NOT_FOUND, tide_checkpoints_rewind(f->checkpoints, "q", 5, &deleted, err));
	struct tide_error why = refused(
		TIDE_ARGUMENT, tide_checkpoints_rewind(f->checkpoints, "p", 11, &deleted, err));
	must_mention(&why, "'p' is at position 10");
	must_mention(&why, "11 is above it");
	assert_int_equal(row_of(f, "p").position, 10);
	must(tide_checkpoints_rewind(f->checkpoints, "p", 5, &deleted, err));
	assert_int_equal(deleted, 1);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	tide_dead_letters_free(&letters);
	assert_int_equal(row_of(f, "p").position, 5);
}

const struct test_case position_cases[] = {
	CASE(save_over_another_row_is_diverged),
	CASE(rows_without_a_position_are_compared_too),
	CASE(fence_falls_before_the_row_is_compared),
	CASE(position_moved_by_a_person_ends_the_epoch_of_its_owner),
	CASE(row_that_went_back_is_begun_from_again),
	CASE(row_that_went_back_under_an_idle_owner_is_found),
	CASE(stop_tells_of_a_row_that_went_back),
	CASE(row_that_went_on_without_its_owner_is_diverged),
	CASE(person_who_moves_a_position_is_obeyed_by_a_running_owner),
	CASE(person_who_moves_a_position_is_obeyed_by_an_idle_owner),
	CASE_NEEDS(row_that_is_gone_is_diverged, NEEDS_SQL),
	CASE(row_below_zero_is_diverged),
	CASE(position_stands_on_the_newest_event_whatever_was_filtered),
	CASE(position_that_no_run_has_come_to_stands_on_its_event),
	CASE_NEEDS(store_that_went_back_is_diverged_until_a_person_decides, NEEDS_SQL),
	CASE_NEEDS(anchor_above_its_position_is_not_held_against_the_store, NEEDS_SQL),
	CASE_NEEDS(store_whose_events_were_replaced_is_diverged, NEEDS_SQL),
	CASE_NEEDS(events_replaced_under_an_idle_owner_are_diverged, NEEDS_SQL),
	CASE(rewind_deletes_the_dead_letters_above_it),
	CASES_END,
};

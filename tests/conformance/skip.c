/* SPDX-License-Identifier: Apache-2.0 */
/* A person lets a lane go on behind the event that it stopped on, by the name of all lanes. */
#include <stdio.h>
#include <string.h>

#include <tidemark/backend.h>

#include "conformance/recorder.h"
#include "path/checkpoints.h"

#define LANES 4
#define STREAMS 24

/* Position i + 1 is the first event of stream i. */
static void fill(struct fixture *f)
{
	for (int64_t i = 0; i < STREAMS; i++)
		append_one(f->store, stream_of("Order", i), "A");
}

static uint32_t lane_of(int64_t stream, uint32_t lanes)
{
	struct tide_event event = { .aggregate_id = stream_of("Order", stream).aggregate_id };
	uint32_t lane = 0;
	while (!tide_filter_matches(
		&(struct tide_filter){ .partition_index = lane, .partition_total = lanes }, &event))
		lane++;
	return lane;
}

static tide_position stored_by_lane(struct fixture *f, uint32_t lane, uint32_t lanes)
{
	char name[32];
	snprintf(name, sizeof name, "p#%u/%u", lane, lanes);
	return stored_position(f, name);
}

/** Two positions that fail; 0: none. */
struct failing {
	tide_position at[2];
};

static tide_status fail_there(struct recorder *recorder, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	const struct failing *failing = recorder->self;
	return event->position == failing->at[0] || event->position == failing->at[1]
		       ? tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as it was told")
		       : TIDE_OK;
}

static bool is_owned(struct fixture *f, const char *name)
{
	struct tide_lease_info *leases;
	size_t count;
	bool is_found = false;
	must(checkpoints_leases(f->checkpoints, &leases, &count, err));
	for (size_t i = 0; i < count; i++)
		is_found |= leases[i].is_owned && strcmp(leases[i].name, name) == 0;
	tide_free(leases);
	return is_found;
}

/* What ended it is told before it lets go. */
static bool has_stopped(struct fixture *f, const struct failing *failing, uint32_t lane,
			uint32_t lanes)
{
	struct tide_why why;
	char name[32];
	snprintf(name, sizeof name, "p#%u/%u", lane, lanes);
	for (int i = 0; i < 2; i++)
		if (failing->at[i] > 0 && lane_of(failing->at[i] - 1, lanes) == lane)
			return tide_checkpoints_why(f->checkpoints, name, &why, NULL) == TIDE_OK &&
			       why.cause == TIDE_CAUSE_FAILED_EVENT && !is_owned(f, name);
	return stored_position(f, name) == end_of(f->store);
}

/* Until the lanes that such events fall to have ended in error, and the others have it all. */
static struct tide_manager *run_until_stopped(struct fixture *f, struct recorder *recorder,
					      uint32_t lanes)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(lanes);
	config.continue_on_error = false;
	struct tide_manager *manager = manager_of(f->store);
	subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	for (uint32_t i = 0; i < lanes; i++)
		wait_for(20, has_stopped(f, recorder->self, i, lanes));
	return manager;
}

static tide_position skipped(struct fixture *f, tide_position position)
{
	struct tide_anchor event;
	must(tide_control_skip(f->checkpoints, "p", position, NULL, &event, err));
	return event.position;
}

static void skip_of_the_name_goes_on_in_the_lane_that_stopped(struct fixture *f)
{
	struct failing failing = { { 3, 0 } };
	uint32_t lane = lane_of(2, LANES);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_there;
	recorder->self = &failing;
	fill(f);
	MANAGER *manager = run_until_stopped(f, recorder, LANES);
	struct tide_error why =
		refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 4, NULL, NULL, err));
	must_mention(&why, "stopped on the event at 3, not 4");
	assert_int_equal(skipped(f, 3), 3);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_by_lane(f, i, LANES), i == lane ? 3 : STREAMS);

	struct tide_journal_entry *list;
	size_t count;
	char told[16];
	snprintf(told, sizeof told, "lane %u/%d", lane, LANES);
	must(tide_journal_list(f->checkpoints, "p", 0, &list, &count, err));
	assert_int_equal(count, 1);
	assert_non_null(strstr(list[0].detail, told));
	tide_free(list);
	why = refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	must_mention(&why, "none of the 4 lanes of 'p' has stopped on an event");

	must(tide_manager_restart(manager, "p", err));
	wait_for(20, stored_by_lane(f, lane, LANES) == STREAMS);
	assert_int_equal(recorder_count(recorder), STREAMS);
}

static void skip_where_several_lanes_stopped_says_which(struct fixture *f)
{
	struct failing failing = { { 3, 4 } };
	while (lane_of(failing.at[1] - 1, LANES) == lane_of(2, LANES))
		failing.at[1]++;
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_there;
	recorder->self = &failing;
	fill(f);
	MANAGER *manager = run_until_stopped(f, recorder, LANES);
	struct tide_error why =
		refused(TIDE_STATE, tide_control_skip(f->checkpoints, "p", 0, NULL, NULL, err));
	must_mention(&why, "several lanes of 'p' have stopped on an event: say which, at ");
	assert_int_equal(skipped(f, failing.at[1]), failing.at[1]);
	assert_int_equal(skipped(f, 0), failing.at[0]);
	must(tide_manager_restart(manager, "p", err));
	for (uint32_t i = 0; i < LANES; i++)
		wait_for(20, stored_by_lane(f, i, LANES) == STREAMS);
}

static tide_status begin_in_vain(void *session, struct tide_error *err)
{
	(void)session;
	return tide_fail(err, TIDE_IO, "not now");
}

/* It has had the ownerships for a moment. */
static void skip_goes_on_behind_a_move_that_was_made_in_vain(struct fixture *f)
{
	struct failing failing = { { 3, 0 } };
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_there;
	recorder->self = &failing;
	fill(f);
	MANAGER *manager = run_until_stopped(f, recorder, LANES);
	stop(manager);

	const struct tide_backend *real = f->store->backend;
	struct tide_backend vain = *real;
	vain.store.begin = begin_in_vain;
	f->store->backend = &vain;
	refused(TIDE_IO, tide_checkpoints_rewind(f->checkpoints, "p", 1, NULL, err));
	f->store->backend = real;
	assert_int_equal(skipped(f, 0), 3);
}

/* An event before it that the lane itself would have to handle, had no other settled it. */
static void skip_passes_what_lanes_of_another_number_had_settled(struct fixture *f)
{
	struct failing failing = { { 0, 0 } };
	for (int64_t i = 1; i < STREAMS && failing.at[0] == 0; i++)
		if (lane_of(i - 1, 4) == (lane_of(i, 4) + 2) % 4)
			failing.at[0] = i + 1;
	assert_true(failing.at[0] > 0);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_there;
	recorder->self = &failing;
	fill(f);
	for (uint32_t lanes = 4; lanes >= 2; lanes -= 2) {
		MANAGER *manager = run_until_stopped(f, recorder, lanes);
		stop(manager);
	}
	uint32_t lane = lane_of(failing.at[0] - 1, 2);
	assert_true(stored_by_lane(f, lane, 2) < failing.at[0] - 1);
	assert_int_equal(skipped(f, 0), failing.at[0]);
	assert_int_equal(stored_by_lane(f, lane, 2), failing.at[0]);
}

/* It is passed over like what falls to others: nothing behind the position goes uncounted. */
static void what_lanes_of_another_number_had_settled_is_counted_as_passed(struct fixture *f)
{
	struct failing failing = { { 3, 0 } };
	uint32_t lane = lane_of(2, LANES);
	RECORDER *recorder = recorder_new();
	recorder->judge = fail_there;
	recorder->self = &failing;
	fill(f);
	MANAGER *before = run_until_stopped(f, recorder, LANES);
	stop(before);
	int64_t left = 0, behind = STREAMS - stored_by_lane(f, lane, LANES);
	for (int64_t i = 2; i < STREAMS; i++)
		left += lane_of(i, LANES) == lane;
	assert_in_range(left, 1, behind - 1);

	failing.at[0] = 0;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(1);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.events_processed, left);
	assert_int_equal(status.events_skipped, behind - left);
}

const struct test_case skip_cases[] = {
	CASE(skip_of_the_name_goes_on_in_the_lane_that_stopped),
	CASE(skip_where_several_lanes_stopped_says_which),
	CASE_NEEDS(skip_goes_on_behind_a_move_that_was_made_in_vain, NEEDS_TRANSACTIONS),
	CASE(skip_passes_what_lanes_of_another_number_had_settled),
	CASE(what_lanes_of_another_number_had_settled_is_counted_as_passed),
	CASES_END,
};

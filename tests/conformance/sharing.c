/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes as their manager begins and ends them, together. */
#include <string.h>

#include "conformance/recorder.h"
#include "supervise/sharing.h"

#define LANES 4

static struct tide_subscription_config sharing_config(void)
{
	struct tide_subscription_config config = quick_config();
	config.lanes = LANES;
	return config;
}

static tide_status fail_while_told(struct recorder *recorder, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	const atomic_bool *fails = recorder->self;
	(void)event;
	return *fails ? tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as it was told")
		      : TIDE_OK;
}

/* A lane in error when all were stopped: a restart begins the subscription, not that lane alone. */
static void restart_of_what_was_stopped_begins_all_of_its_lanes(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	atomic_bool fails = true;
	recorder->judge = fail_while_told;
	recorder->self = &fails;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = sharing_config();
	config.continue_on_error = false;
	append_one(f->store, stream_of("Order", 1), "A");
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 20, err));
	stop(manager);
	assert_int_equal(status_of(subscription).state, TIDE_STATE_ERROR);

	fails = false;
	must(tide_manager_restart(manager, "p", err));
	wait_for(20, status_of(subscription).lanes_owned == LANES);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 1);
}

/* ---- Who is a member ------------------------------------------------------------------------- */

static bool metrics_have(struct tide_manager *manager, const char *sample)
{
	char *text;
	must(tide_manager_metrics(manager, &text, err));
	bool is_there = strstr(text, sample) != NULL;
	tide_free(text);
	return is_there;
}

#define MEMBERS "\ntidemark_group_members{subscription=\"p\"} "
#define REBALANCES "\ntidemark_group_rebalances_total{subscription=\"p\"} "

/* Those who join first have the larger shares: of five lanes 5, 3, 2, and 3 again. */
static void members_and_changes_of_the_share_are_counted(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = sharing_config();
	config.lanes = 5;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	assert_true(metrics_have(manager, MEMBERS "0\n"));
	assert_true(metrics_have(manager, REBALANCES "0\n"));
	start(manager);
	wait_for(20, metrics_have(manager, MEMBERS "1\n"));
	assert_true(metrics_have(manager, REBALANCES "1\n"));
	if (!f->quirks->is_shared)
		return;

	MANAGER *second = manager_of(f->store), *third = manager_of(f->store);
	(void)subscribe(second, &subscriber, &config);
	(void)subscribe(third, &subscriber, &config);
	start(second);
	wait_for(20, metrics_have(manager, MEMBERS "2\n"));
	assert_true(metrics_have(manager, REBALANCES "2\n"));
	start(third);
	wait_for(20, metrics_have(manager, MEMBERS "3\n") && metrics_have(third, MEMBERS "3\n"));
	assert_true(metrics_have(manager, REBALANCES "3\n"));
	assert_true(metrics_have(third, REBALANCES "1\n"));
	stop(third);
	assert_true(metrics_have(third, MEMBERS "0\n"));
	wait_for(20, metrics_have(manager, MEMBERS "2\n"));
	assert_true(metrics_have(manager, REBALANCES "4\n"));
	wait_for(20, status_of(subscription).lanes_owned == 3);
	assert_true(metrics_have(manager, "\ntidemark_group_lanes{subscription=\"p\"} 5\n"));
	assert_true(metrics_have(manager, REBALANCES "4\n"));
}

/* ---- Stopping and closing -------------------------------------------------------------------- */

static uint32_t lanes_stopped(struct tide_subscription *subscription)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < LANES; i++)
		count += atomic_load(&lane_at(subscription, i)->state_now) == TIDE_STATE_STOPPED;
	return count;
}

/* Another member comes, and while its lanes are given back the subscription is stopped. */
static void lanes_that_are_given_back_stay_stopped_with_their_subscription(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = sharing_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	for (int round = 0; round < 3; round++) {
		start(manager);
		wait_for(20, status_of(subscription).lanes_owned == LANES);
		MANAGER *other = manager_of(f->store);
		(void)subscribe(other, &subscriber, &config);
		start(other);
		wait_for(20, lanes_stopped(subscription) > 0 ||
				     status_of(subscription).lanes_owned == LANES / 2);
		/* about when they begin again */
		double until = seconds_now() + 0.15 * (round + 1);
		while (seconds_now() < until)
			wait_a_moment();
		must(tide_manager_stop(manager, (const char *const[]){ "p", NULL }, 0, err));
		until = seconds_now() + 0.3;
		do
			assert_int_equal(lanes_stopped(subscription), LANES);
		while (seconds_now() < until);
	}
}

/** A handler that keeps its lane from stopping until its manager has left the group, or has begun
 * a lane again that had stopped. */
struct keeper {
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	atomic_int inside, begun_again;
};

static bool keeper_is_member(struct keeper *keeper)
{
	mutex_lock(&keeper->manager->lock);
	bool is_member = keeper->subscription->lanes.membership->state != MEMBERSHIP_NONE;
	mutex_unlock(&keeper->manager->lock);
	return is_member;
}

static tide_status keeper_handle(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct keeper *keeper = self;
	(void)event, (void)delivery;
	atomic_store(&keeper->inside, 1);
	double until = seconds_now() + 20;
	while (lanes_stopped(keeper->subscription) < LANES - 1 && seconds_now() < until)
		wait_a_moment();
	while (keeper_is_member(keeper) && lanes_stopped(keeper->subscription) == LANES - 1 &&
	       seconds_now() < until)
		wait_a_moment();
	atomic_store(&keeper->begun_again, lanes_stopped(keeper->subscription) < LANES - 1);
	return TIDE_OK;
}

static void lane_that_has_stopped_stays_so_while_its_manager_is_closed(struct fixture *f)
{
	struct keeper keeper = { .manager = manager_of(f->store) };
	struct tide_subscriber subscriber = { .name = "p",
					      .self = &keeper,
					      .handle = keeper_handle };
	struct tide_subscription_config config = sharing_config();
	keeper.subscription = subscribe(keeper.manager, &subscriber, &config);
	start(keeper.manager);
	append_one(f->store, stream_of("Order", 1), "A");
	wait_for(20, atomic_load(&keeper.inside));
	tide_manager_close(keeper.manager);
	assert_int_equal(atomic_load(&keeper.begun_again), 0);
}

const struct test_case sharing_cases[] = {
	CASE(restart_of_what_was_stopped_begins_all_of_its_lanes),
	CASE(members_and_changes_of_the_share_are_counted),
	CASE(lanes_that_are_given_back_stay_stopped_with_their_subscription),
	CASE(lane_that_has_stopped_stays_so_while_its_manager_is_closed),
	CASES_END,
};

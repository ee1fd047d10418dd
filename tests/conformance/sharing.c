/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes as their manager begins and ends them, together. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"
#include "path/port.h"
#include "supervise/sharing.h"

#define LANES 4

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
	struct tide_subscription_config config = lanes_config(LANES);
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
	struct tide_subscription_config config = lanes_config(LANES);
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

/* No look is due any more but by the bell. */
static void wait_for_the_bell_alone(struct tide_manager *manager)
{
	bool is_set = false;
	while (!is_set) {
		mutex_lock(&manager->lock);
		is_set = !manager->sharing.chore.is_under_way;
		if (is_set)
			manager->sharing.hearing.look_at = MONO_NEVER;
		mutex_unlock(&manager->lock);
		wait_a_moment();
	}
}

/* Through a handle of its own, as from another process: it is heard of who comes and who goes. */
static void bell_of_the_store_hastens_a_look_at_the_members(struct fixture *f)
{
	if (!f->quirks->is_shared_by_processes)
		return;
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	struct tide_store *handle = fixture_second_handle(f);
	struct tide_manager *other = manager_of(handle);
	(void)subscribe(other, &subscriber, &config);
	MANAGER *manager = manager_of(f->store);
	(void)subscribe(manager, &subscriber, &config);
	start(manager);
	wait_for(20, metrics_have(manager, MEMBERS "1\n"));
	wait_for_the_bell_alone(manager);
	start(other);
	wait_for(20, metrics_have(manager, MEMBERS "2\n"));
	wait_for(20, metrics_have(other, MEMBERS "2\n"));
	wait_for_the_bell_alone(manager);
	tide_manager_close(other);
	wait_for(20, metrics_have(manager, MEMBERS "1\n"));
	stop(manager);
	tide_store_close(handle);
}

/* ---- What a member tells of the lanes of others ---------------------------------------------- */

static struct tide_subscription_health health_of(struct tide_manager *manager)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(manager, "p", &health, err));
	return health;
}

static bool tells_of_unowned(struct tide_manager *manager, const char *text)
{
	struct tide_subscription_health health = health_of(manager);
	return health.status == TIDE_UNHEALTHY && *health.unowned_lane &&
	       strstr(health.indicators[TIDE_INDICATOR_STATE].message, text) != NULL;
}

/* Its run has ended in an error, and nobody else takes it, since each has its share. */
static void lane_that_nobody_owns_is_unhealthy_in_every_member(struct fixture *f)
{
	if (!f->quirks->is_shared)
		return;
	RECORDER *recorder = recorder_new();
	atomic_bool fails = true;
	recorder->judge = fail_while_told;
	recorder->self = &fails;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	config.continue_on_error = false;
	struct tide_manager *managers[2];
	struct tide_subscription *subscriptions[2];
	for (int i = 0; i < 2; i++) {
		must(tide_manager_open(TIDE_MANAGER(.store = f->store, .lease_seconds = 1),
				       &managers[i], err));
		subscriptions[i] = subscribe(managers[i], &subscriber, &config);
		start(managers[i]);
	}
	wait_for(20, status_of(subscriptions[0]).lanes_owned == LANES / 2 &&
			     status_of(subscriptions[1]).lanes_owned == LANES / 2);
	append_one(f->store, stream_of("Order", 1), "A");
	wait_for(20, status_of(subscriptions[0]).state == TIDE_STATE_ERROR ||
			     status_of(subscriptions[1]).state == TIDE_STATE_ERROR);
	int ended = status_of(subscriptions[1]).state == TIDE_STATE_ERROR;
	wait_for(20, tells_of_unowned(managers[!ended], "' stopped at "));
	wait_for(20, tells_of_unowned(managers[ended], "' stopped at "));
	struct tide_subscription_health one = health_of(managers[ended]);
	struct tide_subscription_health other = health_of(managers[!ended]);
	assert_string_equal(one.unowned_lane, other.unowned_lane);
	assert_int_equal(one.cause, TIDE_CAUSE_FAILED_EVENT);
	assert_int_equal(other.cause, TIDE_CAUSE_FAILED_EVENT);
	char since[TIDE_TIME_TEXT_SIZE], text[400], *json;
	snprintf(text, sizeof text, "lane %c of 'p' stopped at ", other.unowned_lane[2]);
	assert_ptr_equal(strstr(other.reason, text), other.reason);
	assert_string_equal(other.indicators[TIDE_INDICATOR_STATE].message, other.reason);
	assert_int_equal(other.state, TIDE_STATE_LIVE);
	must(tide_subscription_health_json(&other, &json, err));
	snprintf(text, sizeof text,
		 "{\"state\":\"live\",\"unowned_lane\":\"%s\",\"unowned_since\":\"%s\"}",
		 other.unowned_lane, tide_time_format(other.unowned_since, since));
	assert_non_null(strstr(json, text));
	tide_free(json);

	fails = false;
	must(tide_manager_restart(managers[ended], "p", err));
	for (int i = 0; i < 2; i++)
		wait_for(20, health_of(managers[i]).status == TIDE_HEALTHY);
	tide_manager_close(managers[1]);
	wait_for(20, status_of(subscriptions[0]).lanes_owned == LANES);
	tide_manager_close(managers[0]);
}

static bool group_says(struct tide_manager *manager, const char *part, int times)
{
	char *text;
	must(tide_manager_group_json(manager, "p", &text, err));
	int found = 0;
	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
		found++;
	tide_free(text);
	return found == times;
}

static void wait_for_halves(struct tide_subscription *one, struct tide_subscription *other)
{
	wait_for(20, status_of(one).lanes_owned == LANES / 2 &&
			     status_of(other).lanes_owned == LANES / 2);
}

/* What comes is handled by the half of the first one alone, until the other is resumed. */
static void append_20_with_half_paused(struct fixture *f, struct tide_subscription *subscription,
				       struct tide_manager *other,
				       struct tide_subscription *elsewhere)
{
	wait_for_halves(subscription, elsewhere);
	must(tide_subscription_wait_state(elsewhere, TIDE_STATE_LIVE, 20, err));
	assert_true(tide_manager_pause(other, "p", TIDE_PAUSE_MANUAL));
	must(tide_subscription_wait_state(elsewhere, TIDE_STATE_PAUSED, 20, err));
	for (int64_t i = 1; i <= 20; i++)
		append_one(f->store, stream_of("Order", i), "A");
}

/* As processes of containers may be: with one host and one pid. */
static void members_with_one_pid_have_each_their_own_lanes(struct fixture *f)
{
	if (!f->quirks->is_shared)
		return;
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *first = manager_of(f->store), *second = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(first, &subscriber, &config);
	struct tide_subscription *other = subscribe(second, &subscriber, &config);
	start(first);
	start(second);
	wait_for_halves(subscription, other);
	wait_for(20, group_says(first, ",\"lanes\":2,\"here\":true}", 1) &&
			     group_says(first, ",\"lanes\":2,\"here\":false}", 1));
	wait_for(20, group_says(second, ",\"lanes\":2,\"here\":true}", 1) &&
			     group_says(second, ",\"lanes\":2,\"here\":false}", 1));
}

/* Those of the other do not move, and each knows of it. */
static void status_counts_the_lanes_that_others_run(struct fixture *f)
{
	if (!f->quirks->is_shared)
		return;
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store), *other = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	struct tide_subscription *elsewhere = subscribe(other, &subscriber, &config);
	start(manager);
	start(other);
	append_20_with_half_paused(f, subscription, other, elsewhere);
	wait_for(20, tide_subscription_position(subscription) == 20);
	wait_for(20, status_of(subscription).position < 20);
	struct tide_subscription_status told = status_of(subscription);
	assert_int_equal(told.lag_events, 20 - told.position);
	assert_int_equal(told.state, TIDE_STATE_LIVE);
	assert_int_equal(told.lanes_owned, LANES / 2);

	assert_true(tide_manager_resume(other, "p"));
	wait_for(20, status_of(subscription).position == 20);
	assert_int_equal(status_of(subscription).lag_events, 0);
	stop(other);
	wait_for(20, status_of(subscription).lanes_owned == LANES);
	wait_for(20, status_of(subscription).position == 20);
	assert_int_equal(recorder_count(recorder), 20);
}

/** A thread that waits for event 20. */
struct waiter {
	struct tide_subscription *subscription;
	struct tide_error err;
	pthread_t thread;
};

static void *waiter_run(void *self)
{
	struct waiter *waiter = self;
	(void)tide_subscription_wait(waiter->subscription, 20, 20, &waiter->err);
	return NULL;
}

/* Of what others run its rows say how far it is; a lane that is given to them goes on. */
static void a_wait_ends_when_the_lanes_of_others_are_there_too(struct fixture *f)
{
	if (!f->quirks->is_shared)
		return;
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store), *other = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	struct tide_subscription *elsewhere = subscribe(other, &subscriber, &config);
	start(manager);
	wait_for(20, status_of(subscription).lanes_owned == LANES);
	struct waiter waiter = { .subscription = subscription };
	assert_int_equal(pthread_create(&waiter.thread, NULL, waiter_run, &waiter), 0);
	start(other);
	append_20_with_half_paused(f, subscription, other, elsewhere);
	refused(TIDE_TIMEOUT, tide_subscription_wait(subscription, 20, 0.3, err));
	assert_true(tide_manager_resume(other, "p"));
	must(tide_subscription_wait(subscription, 20, 20, err));
	must(tide_subscription_wait(elsewhere, 20, 20, err));
	assert_int_equal(pthread_join(waiter.thread, NULL), 0);
	assert_string_equal(waiter.err.message, "");
	assert_int_equal(recorder_count(recorder), 20);
}

/* Those that only stood by here have no part in it. */
static void position_of_what_was_stopped_is_that_of_its_own_lanes(struct fixture *f)
{
	if (!f->quirks->is_shared)
		return;
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store), *other = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	struct tide_subscription *elsewhere = subscribe(other, &subscriber, &config);
	for (int64_t i = 1; i <= 20; i++)
		append_one(f->store, stream_of("Order", i), "A");
	start(manager);
	wait_for(20, status_of(subscription).lanes_owned == LANES);
	start(other);
	wait_for(20, status_of(elsewhere).lanes_owned == LANES / 2 &&
			     tide_subscription_position(elsewhere) == 20);
	stop(other);
	assert_int_equal(tide_subscription_position(elsewhere), 20);
	assert_int_equal(status_of(elsewhere).position, 20);
	assert_int_equal(status_of(elsewhere).lag_events, 0);
}

/* ---- Stopping and closing -------------------------------------------------------------------- */

static uint32_t lanes_stopped(struct tide_subscription *subscription)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < LANES; i++)
		count += atomic_load(&lane_at(subscription, i)->state_now) == TIDE_STATE_STOPPED;
	return count;
}

static bool is_sharing(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	bool is_sharing = manager->sharing.chore.is_under_way;
	mutex_unlock(&manager->lock);
	return is_sharing;
}

/* Another member comes, and while lanes that are given back begin again the subscription is
 * stopped: once nobody looks at lanes any more, none of them runs. */
static void lanes_that_are_given_back_stay_stopped_with_their_subscription(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	for (int round = 0; round < 5; round++) {
		start(manager);
		wait_for(20, status_of(subscription).lanes_owned == LANES);
		MANAGER *other = manager_of(f->store);
		(void)subscribe(other, &subscriber, &config);
		start(other);
		/* or it was done too soon to be seen */
		wait_for(20, lanes_stopped(subscription) > 0
				     ? is_sharing(manager)
				     : status_of(subscription).lanes_owned == LANES / 2);
		must(tide_manager_stop(manager, (const char *const[]){ "p", NULL }, 0, err));
		wait_for(20, !is_sharing(manager));
		assert_int_equal(lanes_stopped(subscription), LANES);
	}
}

static bool is_renewing(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	bool is_renewing = manager->renewer.chore.is_under_way;
	mutex_unlock(&manager->lock);
	return is_renewing;
}

/* The renewer has no rest, and a run lets go of its ownership whenever that is. */
static void lanes_stop_while_their_leases_are_renewed(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = lanes_config(8 * LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	for (int round = 0; round < 10; round++) {
		start(manager);
		wait_for(20, status_of(subscription).lanes_owned == config.lanes);
		for (uint32_t i = 0; i < config.lanes; i++) {
			struct tide_subscription *lane = lane_at(subscription, i);
			mutex_lock(&lane->lock);
			lane->lease.renew_ns = 1;
			lane->lease.renew_at = (struct mono_time){ 0 };
			mutex_unlock(&lane->lock);
		}
		if (port_renew_ns(f->store) > 0)
			wait_for(20, is_renewing(manager));
		stop(manager);
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
	struct tide_subscription_config config = lanes_config(LANES);
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
	CASE(bell_of_the_store_hastens_a_look_at_the_members),
	CASE(lane_that_nobody_owns_is_unhealthy_in_every_member),
	CASE(members_with_one_pid_have_each_their_own_lanes),
	CASE(status_counts_the_lanes_that_others_run),
	CASE(a_wait_ends_when_the_lanes_of_others_are_there_too),
	CASE(position_of_what_was_stopped_is_that_of_its_own_lanes),
	CASE(lanes_that_are_given_back_stay_stopped_with_their_subscription),
	CASE(lanes_stop_while_their_leases_are_renewed),
	CASE(lane_that_has_stopped_stays_so_while_its_manager_is_closed),
	CASES_END,
};

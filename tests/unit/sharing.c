/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a manager knows of the lanes of others, and for how long; what a look at them costs; and a
 * stop while a lane begins again. Where the script looks itself, its manager has no threads.
 */
#include "path/lanes.h"
#include "path/store.h"
#include "rig.h"
#include "supervise/sharing.h"
#include "sys/thread.h"

#define LANES 2
#define MEMBERS "tidemark_group_members{subscription=\"Totals\"}"

static const char *const totals[] = { "Totals", NULL };

/* ---- A manager without threads --------------------------------------------------------------- */

static void rig_look(struct rig *rig)
{
	mutex_lock(&rig->manager->lock);
	rig->manager->sharing.hearing.look_at = (struct mono_time){ 0 };
	mutex_unlock(&rig->manager->lock);
	watchdog_look(rig->manager, clock_mono(&clock_system));
}

static void rig_open_still(struct rig *rig)
{
	rig_open(rig, "memory:%n");
	must(tide_manager_open(TIDE_MANAGER(.store = rig->store, .checkpoints = rig->checkpoints),
			       &rig->manager, err));
	rig->manager->is_threaded = false;
	rig->config.lanes = LANES;
	rig_subscribe(rig);
}

static void rig_start_still(struct rig *rig)
{
	must(tide_manager_start(rig->manager, NULL, 0, NULL, NULL, err));
	rig_look(rig);
}

static void rig_close_still(struct rig *rig)
{
	must(tide_manager_stop(rig->manager, NULL, 0, err));
	for (struct tide_subscription *lane = rig->manager->subscriptions; lane; lane = lane->next)
		while (runner_is_running(lane))
			(void)runner_step(lane, clock_mono(&clock_system));
	rig_close(rig);
}

/* A renewal finds that its lease has run out. */
static void rig_lose(struct rig *rig)
{
	const struct tide_subscription *head = rig->subscription;
	struct tide_lease_renewal renewal = { .fence = { .name = head->name, .owner = head->owner },
					      .is_member = true,
					      .result = TIDE_RENEWAL_LOST };
	mutex_lock(&rig->manager->lock);
	sharing_renewed_locked(rig->manager, &renewal, clock_mono(&clock_system));
	mutex_unlock(&rig->manager->lock);
}

/* What is known of who has the lane that comes last. */
static int owner_known(const struct rig *rig)
{
	struct tide_subscription *lane = lane_at(rig->subscription, LANES - 1);
	mutex_lock(&lane->lock);
	int owner = (int)lane->lanes.elsewhere.owner;
	mutex_unlock(&lane->lock);
	return owner;
}

/* ---- What it is a member of ------------------------------------------------------------------ */

static void who_has_lost_its_membership_counts_no_members(void **state)
{
	(void)state;
	struct rig rig;
	rig_open_still(&rig);
	rig_start_still(&rig);
	METRIC_IS(&rig, MEMBERS, 1);
	rig_lose(&rig);
	METRIC_IS(&rig, MEMBERS, 0);
	rig_look(&rig); /* it joins again */
	METRIC_IS(&rig, MEMBERS, 1);
	rig_lose(&rig);
	must(tide_manager_stop(rig.manager, totals, 0, err));
	METRIC_IS(&rig, MEMBERS, 0);
	rig_close_still(&rig);
}

static void what_was_known_of_lanes_goes_with_the_membership(void **state)
{
	(void)state;
	struct rig rig;
	rig_open_still(&rig);
	rig_start_still(&rig);
	assert_int_equal(owner_known(&rig), LANE_UNOWNED); /* nobody steps its lanes */
	rig_lose(&rig);
	must(tide_manager_stop(rig.manager, totals, 0, err));
	assert_int_equal(owner_known(&rig), LANE_UNKNOWN);
	rig_close_still(&rig);
}

static void rig_ask_for_group(struct rig *rig)
{
	char *text;
	must(tide_manager_group_json(rig->manager, "Totals", &text, err));
	assert_non_null(strstr(text, "\"lane_statuses\":[{\"name\":\"Totals#0/2\""));
	tide_free(text);
}

static void who_asks_for_a_group_leaves_nothing_behind_where_it_is_stopped(void **state)
{
	(void)state;
	struct rig rig;
	rig_open_still(&rig);
	rig_ask_for_group(&rig);
	assert_int_equal(owner_known(&rig), LANE_UNKNOWN);
	rig_start_still(&rig);
	must(tide_manager_stop(rig.manager, totals, 0, err));
	rig_look(&rig); /* it leaves */
	METRIC_IS(&rig, MEMBERS, 0);
	rig_ask_for_group(&rig);
	assert_int_equal(owner_known(&rig), LANE_UNKNOWN);
	rig_close_still(&rig);
}

/* ---- What a look costs ----------------------------------------------------------------------- */

static struct tide_backend sharing_real, sharing_counting;
static int lists;

static tide_status list_counted(void *session, struct tide_lease_info **ret, size_t *ret_count,
				struct tide_error *err)
{
	lists++;
	return sharing_real.checkpoint.lease_list(session, ret, ret_count, err);
}

static void one_look_reads_the_rows_of_all_groups_at_once(void **state)
{
	(void)state;
	struct rig rig;
	rig_open_still(&rig);
	rig_subscribe_as(&rig, "Sums", NULL);
	rig_subscribe_as(&rig, "Means", NULL);
	rig_start_still(&rig);
	sharing_real = sharing_counting = *rig.store->backend;
	sharing_counting.checkpoint.lease_list = list_counted;
	rig.store->backend = &sharing_counting;
	for (int look = 1; look <= 3; look++) {
		lists = 0;
		for (struct tide_subscription *head = rig.manager->heads; head; head = head->next)
			head->lanes.membership->elsewhere_at = (struct mono_time){ 0 };
		rig_look(&rig);
		assert_int_equal(lists, 1);
	}
	assert_int_equal(owner_known(&rig), LANE_UNOWNED);
	rig.store->backend = &sharing_real;
	rig_close_still(&rig);
}

static void who_looks_without_a_thread_is_no_thread_of_the_manager(void **state)
{
	(void)state;
	struct rig rig;
	rig_open_still(&rig);
	rig_start_still(&rig);
	assert_null(engine_of_thread);
	rig_close_still(&rig);
}

/* ---- Stopped while a lane begins ------------------------------------------------------------- */

static bool membership_is_now(struct rig *rig, enum membership_state state)
{
	return membership_is(rig->manager, rig->subscription->lanes.membership, state);
}

/* Nobody looks at the groups until it is let go. */
static void sharer_take(struct rig *rig)
{
	bool is_taken = false;
	while (!is_taken) {
		mutex_lock(&rig->manager->lock);
		is_taken = chore_take_locked(rig->manager, &rig->manager->sharing.chore);
		mutex_unlock(&rig->manager->lock);
	}
}

static void sharer_let_go(struct rig *rig)
{
	mutex_lock(&rig->manager->lock);
	rig->manager->sharing.hearing.look_at = (struct mono_time){ 0 };
	chore_done_locked(rig->manager, &rig->manager->sharing.chore);
	mutex_unlock(&rig->manager->lock);
}

static bool lane_thread_is(struct tide_subscription *lane, enum thread_state thread)
{
	mutex_lock(&lane->lock);
	bool is_so = lane->run.thread == thread;
	mutex_unlock(&lane->lock);
	return is_so;
}

/* While it changes, whoever begins the lane waits. */
static void lane_move_thread(struct tide_subscription *lane, enum thread_state thread)
{
	mutex_lock(&lane->lock);
	run_move_thread(&lane->run, thread);
	cond_broadcast(&lane->changed);
	mutex_unlock(&lane->lock);
}

static atomic_bool has_stopped;

static void stop_within_a_limit(void *self)
{
	struct rig *rig = self;
	(void)tide_manager_stop(rig->manager, totals, 0.1, NULL);
	atomic_store(&has_stopped, true);
}

static void a_stop_leaves_a_lane_that_begins_behind_at_its_limit(void **state)
{
	(void)state;
	struct rig rig;
	struct thread thread;
	rig_open(&rig, "memory:%n");
	rig.config.lanes = LANES;
	rig_begin(&rig);
	struct tide_subscription *lane = lane_at(rig.subscription, LANES - 1);
	wait_for(20, membership_is_now(&rig, MEMBERSHIP_HELD));
	sharer_take(&rig);
	run_ask_stop(lane, mono_add(clock_mono(&clock_system), 20 * NS_PER_SECOND));
	wait_for(20, run_is_over(lane) && lane_thread_is(lane, THREAD_NONE));
	lane_move_thread(lane, THREAD_CHANGING);
	sharer_let_go(&rig);
	wait_for(20, membership_is_now(&rig, MEMBERSHIP_BEGINNING));

	atomic_store(&has_stopped, false);
	must(thread_start(&thread, "stops", stop_within_a_limit, &rig, err));
	wait_for(20, atomic_load(&has_stopped));
	thread_join(&thread);
	lane_move_thread(lane, THREAD_NONE);
	wait_for(20, membership_is_now(&rig, MEMBERSHIP_NONE));
	wait_for(20, run_is_over(lane));
	assert_int_equal(tide_subscription_state(rig.subscription), TIDE_STATE_STOPPED);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_lost_its_membership_counts_no_members),
		cmocka_unit_test(what_was_known_of_lanes_goes_with_the_membership),
		cmocka_unit_test(who_asks_for_a_group_leaves_nothing_behind_where_it_is_stopped),
		cmocka_unit_test(one_look_reads_the_rows_of_all_groups_at_once),
		cmocka_unit_test(who_looks_without_a_thread_is_no_thread_of_the_manager),
		cmocka_unit_test(a_stop_leaves_a_lane_that_begins_behind_at_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others ask at each moment between two locks of a runner or of a start. The linker leads each
 * unlocking through here, so that no moment depends on luck.
 */
#include "walk.h"

/* The call that comes after the nth unlocking of a subscription from now on; 0: none does. */
static struct {
	int nth;
	void (*call)(struct tide_subscription *subscription);
	struct tide_subscription *subscription;
} meanwhile;

void __real_mutex_unlock(struct mutex *mutex);
void __wrap_mutex_unlock(struct mutex *mutex);

TIDE_UNCHECKED void __wrap_mutex_unlock(struct mutex *mutex)
{
	enum lock_name name = mutex->name;
	__real_mutex_unlock(mutex);
	if (meanwhile.nth > 0 && name == LOCK_SUBSCRIPTION && --meanwhile.nth == 0)
		meanwhile.call(meanwhile.subscription);
}

static void ask_stop(struct tide_subscription *subscription)
{
	run_ask_stop(subscription, MONO_NEVER);
}

/** What is under way when the call comes. */
enum scene { STARTING, CATCHING_UP, LIVE, PAUSED };

static void scene_begin(struct walk *walk, enum scene scene)
{
	struct tide_subscription_config config = walk_config();
	config.batch_size = 2;
	walk_open(walk, "memory", 5);
	walk_start(walk, false, &config);
	while (scene == CATCHING_UP && status_of(walk->subscription).position == 0)
		(void)runner_step(walk->subscription, clock_mono(&walk->clock));
	if (scene >= LIVE)
		walk_until(walk, TIDE_STATE_LIVE);
	if (scene == PAUSED)
		assert_true(tide_manager_pause(walk->rig.manager, "Walk", TIDE_PAUSE_MANUAL));
	subscription_nudge(walk->subscription); /* something was asked before */
}

/* False: the run was at rest before the nth unlocking. */
static bool stop_at(enum scene scene, int nth)
{
	struct walk walk;
	scene_begin(&walk, scene);
	meanwhile.call = ask_stop;
	meanwhile.subscription = walk.subscription;
	meanwhile.nth = nth;
	do
		walk.next = runner_step(walk.subscription, clock_mono(&walk.clock));
	while (walk.next.ns <= walk.now_ns);

	bool was_asked = meanwhile.nth == 0;
	meanwhile.nth = 0;
	while (was_asked && wakeup_is_rung(&walk.subscription->wakeup) &&
	       runner_is_running(walk.subscription))
		(void)runner_step(walk.subscription, clock_mono(&walk.clock));
	if (was_asked) {
		assert_false(runner_is_running(walk.subscription));
		assert_int_equal(tide_subscription_state(walk.subscription), TIDE_STATE_STOPPED);
	}
	walk_close(&walk);
	return was_asked;
}

static void check_stops(enum scene scene)
{
	int nth = 1;
	while (stop_at(scene, nth))
		nth++;
	assert_true(nth > 1);
}

static void a_stop_at_any_moment_of_a_start_is_obeyed(void **state)
{
	(void)state;
	check_stops(STARTING);
}

static void a_stop_at_any_moment_of_a_run_is_obeyed(void **state)
{
	(void)state;
	check_stops(CATCHING_UP);
	check_stops(LIVE);
	check_stops(PAUSED);
}

static void start_as_well(struct tide_subscription *subscription)
{
	must(run_start(subscription, false, false, err));
}

/* The second start finds the run of the first one, or begins the one that the first one finds. */
static void a_start_at_any_moment_of_another_begins_one_run(void **state)
{
	(void)state;
	bool was_called = true;
	for (int nth = 1; was_called; nth++) {
		struct walk walk;
		scene_begin(&walk, LIVE);
		ask_stop(walk.subscription);
		walk_to_wait(&walk);
		uint64_t run = walk.subscription->span.number;
		meanwhile.call = start_as_well;
		meanwhile.subscription = walk.subscription;
		meanwhile.nth = nth;
		must(run_start(walk.subscription, false, false, err));
		was_called = meanwhile.nth == 0;
		meanwhile.nth = 0;
		assert_int_equal(walk.subscription->span.number, run + 1);
		walk_until(&walk, TIDE_STATE_LIVE);
		walk_close(&walk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_at_any_moment_of_a_start_is_obeyed),
		cmocka_unit_test(a_stop_at_any_moment_of_a_run_is_obeyed),
		cmocka_unit_test(a_start_at_any_moment_of_another_begins_one_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others ask at each moment between two locks of a runner or of a start. The linker leads each
 * unlocking through here, so that no moment depends on luck.
 */
#include "walk.h"

/* What comes after the nth unlocking by this thread from now on; 0: nothing does. */
static _Thread_local struct {
	int nth;
	enum lock_name lock;
	void (*call)(struct tide_subscription *subscription);
	struct tide_subscription *subscription;
} meanwhile;

void __real_mutex_unlock(struct mutex *mutex);
void __wrap_mutex_unlock(struct mutex *mutex);

TIDE_UNCHECKED void __wrap_mutex_unlock(struct mutex *mutex)
{
	enum lock_name name = mutex->name;
	__real_mutex_unlock(mutex);
	if (meanwhile.nth > 0 && name == meanwhile.lock && --meanwhile.nth == 0)
		meanwhile.call(meanwhile.subscription);
}

static void call_at(enum lock_name lock, int nth,
		    void (*call)(struct tide_subscription *subscription),
		    struct tide_subscription *subscription)
{
	meanwhile.lock = lock;
	meanwhile.call = call;
	meanwhile.subscription = subscription;
	meanwhile.nth = nth;
}

/* Whether it has come; it does not come any more. */
static bool has_called(void)
{
	bool has_come = meanwhile.nth == 0;
	meanwhile.nth = 0;
	return has_come;
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
	call_at(LOCK_SUBSCRIPTION, nth, ask_stop, walk.subscription);
	do
		walk.next = runner_step(walk.subscription, clock_mono(&walk.clock));
	while (walk.next.ns <= walk.now_ns);

	bool was_asked = has_called();
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
		call_at(LOCK_SUBSCRIPTION, nth, start_as_well, walk.subscription);
		must(run_start(walk.subscription, false, false, err));
		was_called = has_called();
		assert_int_equal(walk.subscription->span.number, run + 1);
		walk_until(&walk, TIDE_STATE_LIVE);
		walk_close(&walk);
	}
}

/* ---- Two starts, of which the first has no thread -------------------------------------------- */

#define A_WHILE 50 /* moments, in which who need not wait would be done */

static bool refuses_thread; /* the next one */

tide_status __real_thread_start_watched(struct thread *thread, const char *name,
					void (*run)(void *self), void (*died)(void *self),
					void *self, struct tide_error *err);
tide_status __wrap_thread_start_watched(struct thread *thread, const char *name,
					void (*run)(void *self), void (*died)(void *self),
					void *self, struct tide_error *err);

tide_status __wrap_thread_start_watched(struct thread *thread, const char *name,
					void (*run)(void *self), void (*died)(void *self),
					void *self, struct tide_error *err)
{
	if (!refuses_thread)
		return __real_thread_start_watched(thread, name, run, died, self, err);
	refuses_thread = false;
	return tide_fail(err, TIDE_OUT_OF_MEMORY, "no thread can be had");
}

/** A subscription that no thread runs yet. */
struct stage {
	struct rig rig;
	struct witness witness;
	struct tide_subscription *subscription;
};

static void stage_open(struct stage *stage)
{
	struct tide_subscription_config config = quick_config();
	stage->witness = (struct witness)WITNESS;
	struct tide_subscriber subscriber = witness_single("Walk", &stage->witness);
	rig_open(&stage->rig, "memory");
	must(tide_manager_subscribe(stage->rig.manager, &subscriber, &config, &stage->subscription,
				    err));
}

static void stage_close(struct stage *stage)
{
	rig_close(&stage->rig);
	witness_fini(&stage->witness);
}

static struct thread other;
static atomic_bool other_is_done;
static tide_status other_status;

/* Until it is done, if it need not wait for this one. */
static void other_does(void (*run)(void *self), void *self)
{
	must(thread_start(&other, "other", run, self, err));
	for (int i = 0; i < A_WHILE && !atomic_load(&other_is_done); i++)
		wait_a_moment();
}

static void start_in_a_thread(void *self)
{
	other_status = run_start(self, true, false, NULL);
	atomic_store(&other_is_done, true);
}

static void start_elsewhere(struct tide_subscription *subscription)
{
	other_does(start_in_a_thread, subscription);
}

/* It waits for what the first one comes to, and begins a run of its own. */
static void a_start_beside_one_that_fails_begins_a_run(void **state)
{
	(void)state;
	bool was_called = true;
	for (int nth = 1; was_called; nth++) {
		struct stage stage;
		stage_open(&stage);
		atomic_store(&other_is_done, false);
		refuses_thread = true;
		call_at(LOCK_SUBSCRIPTION, nth, start_elsewhere, stage.subscription);
		refused(TIDE_OUT_OF_MEMORY, run_start(stage.subscription, true, false, err));
		was_called = has_called();
		if (was_called) {
			thread_join(&other);
			assert_int_equal(other_status, TIDE_OK);
			wait_state(stage.subscription, TIDE_STATE_LIVE);
		}
		ask_stop(stage.subscription);
		wait_for(PATIENCE, !runner_is_running(stage.subscription));
		stage_close(&stage);
	}
}

/* ---- A restart while what has failed lets go ------------------------------------------------- */

static struct walk *walk_that_fails;
static bool was_told; /* that it has failed, before the restart was asked for */

static void restart_in_a_thread(void *self)
{
	other_status = tide_manager_restart(self, "Walk", NULL);
	atomic_store(&other_is_done, true);
}

static void restart_elsewhere(struct tide_subscription *subscription)
{
	(void)subscription;
	struct tide_why why;
	struct tide_checkpoints *checkpoints = walk_that_fails->rig.checkpoints;
	was_told = tide_checkpoints_why(checkpoints, "Walk", &why, NULL) == TIDE_OK &&
		   why.cause == TIDE_CAUSE_FAILED_EVENT;
	other_does(restart_in_a_thread, walk_that_fails->rig.manager);
}

/* Who has read in its row that it failed need not know how far it is with letting go. */
static void a_restart_of_what_has_failed_waits_until_it_has_let_go(void **state)
{
	(void)state;
	bool was_called = true;
	int told = 0;
	for (int nth = 1; was_called; nth++) {
		struct walk walk;
		struct tide_subscription_config config = walk_config();
		config.continue_on_error = false;
		walk_open(&walk, "memory", 3);
		walk.witness.decide = walk_refuse_two;
		walk_start(&walk, false, &config);

		walk_that_fails = &walk;
		atomic_store(&other_is_done, false);
		was_told = false;
		call_at(LOCK_SUBSCRIPTION, nth, restart_elsewhere, walk.subscription);
		while (runner_is_running(walk.subscription) && !was_told)
			(void)runner_step(walk.subscription, clock_mono(&walk.clock));
		was_called = has_called();
		if (was_called)
			thread_join(&other);
		if (was_told)
			assert_int_equal(other_status, TIDE_OK);
		told += was_told;
		walk_close(&walk);
	}
	assert_true(told > 1);
}

/* ---- A stop of everything during a start ----------------------------------------------------- */

static struct tide_manager *manager_to_stop;
static bool was_starting;

static void stop_in_a_thread(void *self)
{
	(void)self;
	must(tide_manager_stop(manager_to_stop, NULL, 0, err));
	atomic_store(&other_is_done, true);
}

static void stop_elsewhere(struct tide_subscription *subscription)
{
	(void)subscription;
	was_starting = manager_to_stop->starts > 0;
	other_does(stop_in_a_thread, NULL);
}

/* A start that has begun before the stop leaves nothing behind that runs. */
static void a_stop_of_everything_waits_for_what_is_being_started(void **state)
{
	(void)state;
	bool was_called = true;
	for (int nth = 1; was_called; nth++) {
		struct stage stage;
		stage_open(&stage);
		manager_to_stop = stage.rig.manager;
		was_starting = false;
		atomic_store(&other_is_done, false);
		call_at(LOCK_REGISTRY, nth, stop_elsewhere, NULL);
		(void)tide_manager_start(stage.rig.manager, NULL, 0, NULL, NULL, NULL);
		was_called = has_called();
		if (was_called)
			thread_join(&other);
		if (was_starting)
			assert_false(runner_is_running(stage.subscription));
		stage_close(&stage);
	}
}

/* ---- No thread for what the watchdog has done beside it -------------------------------------- */

static atomic_int refused_times; /* of the thread that shares lanes, from now on */

tide_status __real_thread_start(struct thread *thread, const char *name, void (*run)(void *self),
				void *self, struct tide_error *err);
tide_status __wrap_thread_start(struct thread *thread, const char *name, void (*run)(void *self),
				void *self, struct tide_error *err);

tide_status __wrap_thread_start(struct thread *thread, const char *name, void (*run)(void *self),
				void *self, struct tide_error *err)
{
	bool is_sharer = strcmp(name, "tide-sharer") == 0;
	if (is_sharer && atomic_fetch_sub(&refused_times, 1) > 0)
		return tide_fail(err, TIDE_OUT_OF_MEMORY, "no thread for '%s'", name);
	return __real_thread_start(thread, name, run, self, err);
}

/** Lines of the log that tell of it. */
struct waits {
	atomic_int told, ended;
};

static void waits_line(void *self, const struct tide_log_line *line)
{
	struct waits *waits = self;
	if (strcmp(line->message, "the lanes cannot be shared now") == 0 &&
	    strstr(line->fields, "error='no thread for \\'tide-sharer\\''"))
		atomic_fetch_add(&waits->told, 1);
	if (strcmp(line->message, "the lanes are shared again") == 0)
		atomic_fetch_add(&waits->ended, 1);
}

static void lanes_that_no_thread_shares_are_told(void **state)
{
	(void)state;
	struct rig rig;
	struct waits waits = { 0 };
	struct witness witness = WITNESS;
	struct tide_subscriber subscriber = witness_single("Walk", &witness);
	struct tide_subscription_config config = quick_config();
	config.lanes = 2;
	rig_open(&rig, "memory");
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, NULL, err));
	atomic_store(&refused_times, 3);
	tide_log_set(waits_line, &waits, TIDE_LOG_NOTICE);
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_int_equal(atomic_load(&waits.told), 1);
	assert_int_equal(atomic_load(&waits.ended), 1);
	rig_close(&rig);
	witness_fini(&witness);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_at_any_moment_of_a_start_is_obeyed),
		cmocka_unit_test(a_stop_at_any_moment_of_a_run_is_obeyed),
		cmocka_unit_test(a_start_at_any_moment_of_another_begins_one_run),
		cmocka_unit_test(a_start_beside_one_that_fails_begins_a_run),
		cmocka_unit_test(a_restart_of_what_has_failed_waits_until_it_has_let_go),
		cmocka_unit_test(a_stop_of_everything_waits_for_what_is_being_started),
		cmocka_unit_test(lanes_that_no_thread_shares_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness and liveness of real managers, and every probe's answer in time whatever hangs. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include <tidemark/backend.h>

#include "supervise/health.h"
#include "supervise/manager.h"
#include "sys/thread.h"

#define ANSWERS_WITHIN 1.5
/* Most of that is what the library waits; a machine with other work may take the rest, but not each
 * time. */
#define ANSWERS(...)                                                                               \
	do {                                                                                       \
		int answers_tries = 0;                                                             \
		double answers_since;                                                              \
		do {                                                                               \
			assert_in_range(++answers_tries, 1, 5);                                    \
			answers_since = seconds_now();                                             \
			__VA_ARGS__;                                                               \
		} while (seconds_now() - answers_since >= ANSWERS_WITHIN);                         \
	} while (0)

/* ---- Readiness ------------------------------------------------------------------------------- */

static void ready_is(struct rig *rig, bool is_ready, const char *reason, const char *details)
{
	struct tide_readiness readiness;
	must(tide_manager_readiness(rig->manager, &readiness, err));
	assert_string_equal(readiness.reason, reason);
	assert_int_equal(readiness.ready, is_ready);
	char *json;
	must(tide_readiness_json(&readiness, &json, err));
	json_keys_are(json, "", "ready reason details timestamp");
	json_keys_are(json, "details", details);
	tide_free(json);
	tide_readiness_fini(&readiness);
}

#define READY_KEYS "running subscription_count shutting_down"

static void readiness_gives_its_first_reason(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.continue_on_error = false;
	rig_subscribe_as(&rig, "Second", NULL);
	rig_subscribe_as(&rig, "Totals", NULL);
	ready_is(&rig, false, "Manager is not running", READY_KEYS);
	rig_start(&rig);
	ready_is(&rig, true, "Manager is ready", READY_KEYS);
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	must(tide_manager_stop(rig.manager, (const char *const[]){ "Second", NULL }, 0, err));
	ready_is(&rig, true, "Manager is ready", READY_KEYS);
	must(tide_manager_start(rig.manager, NULL, 10, NULL, NULL, err));
	assert_true(tide_manager_resume(rig.manager, "Totals"));
	rig_append(&rig, "Bad");
	rig_await(&rig, TIDE_STATE_ERROR);
	rig.subscription = tide_manager_subscription(rig.manager, "Second");
	rig_await(&rig, TIDE_STATE_ERROR);
	ready_is(&rig, false, "Subscriptions in error state: Second, Totals",
		 READY_KEYS " error_subscriptions");
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	ready_is(&rig, false, "Manager is shutting down", READY_KEYS);
	rig_close(&rig);
}

/* ---- Whatever hangs -------------------------------------------------------------------------- */

/* A memory store whose feed end cannot be read while the gate is closed. */
static struct tide_backend slow;
static tide_status (*slow_end)(void *session, tide_position *ret, struct tide_error *err);
static tide_status (*slow_lease)(void *session, const char *name, const struct tide_uuid *owner,
				 struct tide_lease *ret, struct tide_error *err);
static atomic_bool is_end_closed, is_lease_closed, is_lease_asked;

static tide_status slow_read_end(void *session, tide_position *ret, struct tide_error *err)
{
	while (atomic_load(&is_end_closed))
		wait_a_moment();
	return slow_end(session, ret, err);
}

static tide_status slow_acquire(void *session, const char *name, const struct tide_uuid *owner,
				struct tide_lease *ret, struct tide_error *err)
{
	atomic_store(&is_lease_asked, true);
	while (atomic_load(&is_lease_closed))
		wait_a_moment();
	return slow_lease(session, name, owner, ret, err);
}

static int slow_register(void **state)
{
	(void)state;
	slow = *tide_backend_find("memory");
	slow.scheme = "slow";
	slow_end = slow.store.end;
	slow.store.end = slow_read_end;
	slow_lease = slow.checkpoint.lease_acquire;
	slow.checkpoint.lease_acquire = slow_acquire;
	return tide_backend_register(&slow, NULL) == TIDE_OK ? 0 : -1;
}

static void start_all(void *self)
{
	rig_start_to(self, 0);
}

static void who_is_still_starting_is_not_ready(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "slow:%n");
	atomic_store(&is_lease_asked, false);
	atomic_store(&is_lease_closed, true);
	struct thread thread;
	must(thread_start(&thread, "starter", start_all, &rig, err));
	wait_for(10, atomic_load(&is_lease_asked));
	ready_is(&rig, false, "Subscriptions still starting: Totals",
		 READY_KEYS " starting_subscriptions");
	TELLS(&rig, STATE, "unknown: 'Totals' is starting since ");
	char *json = health_json_of(&rig);
	JSON_IS(json, "status", "\"degraded\"");
	JSON_IS(json, "degraded_count", "1");
	tide_free(json);
	atomic_store(&is_lease_closed, false);
	thread_join(&thread);
	rig_close(&rig);
}

static void who_stands_by_is_ready_and_healthy(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "memory:%n");
	struct rig other = rig;
	other.manager = NULL;
	rig_subscribe(&other);
	rig_start(&other);
	ready_is(&other, true, "Manager is ready", READY_KEYS);
	SAYS(&other, STATE, "healthy: Subscription is standing by");
	tide_manager_close(other.manager);
	rig_close(&rig);
}

/* Not ready only because of a database, and after it has been away for long enough. */
static bool is_ready(struct rig *rig)
{
	struct tide_readiness readiness;
	must(tide_manager_readiness(rig->manager, &readiness, err));
	bool is_away = strncmp(readiness.reason, "Database unavailable for ", 25) == 0;
	assert_int_equal(is_away, !readiness.ready);
	assert_int_equal(is_away, readiness.unavailable_seconds > 5);
	tide_readiness_fini(&readiness);
	return !is_away;
}

static void probes_answer_in_time_when_the_store_hangs(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "slow:%n");
	rig_settle(&rig, "Good");
	assert_false(health_of(&rig).lag_stale);
	atomic_store(&is_end_closed, true);
	struct tide_subscription_health health;
	ANSWERS(ready_is(&rig, true, "Manager is ready", READY_KEYS));
	ANSWERS(health = health_of(&rig));
	assert_true(health.lag_stale);
	assert_int_equal(health.feed, TIDE_UNAVAILABLE);
	assert_int_equal(health.status, TIDE_UNHEALTHY);
	assert_string_equal(health.store_error.message, "it does not answer");
	SAYS(&rig, LAG, "unknown: Lag unknown, 0 events when last known");
	struct tide_subscription_status status;
	ANSWERS(must(tide_subscription_status(rig.subscription, &status, err)));
	assert_true(status.lag_stale);
	ANSWERS(tide_free(health_json_of(&rig)));
	struct tide_liveness liveness;
	ANSWERS(must(tide_manager_liveness(rig.manager, &liveness, err)));
	assert_true(liveness.alive);
	char *text;
	ANSWERS(must(tide_manager_metrics(rig.manager, &text, err)); tide_free(text));
	wait_for(30, !is_ready(&rig));
	ANSWERS((void)is_ready(&rig));
	atomic_store(&is_end_closed, false);
	wait_for(10, is_ready(&rig));
	COMES_TO_SAY(&rig, STORE, "healthy: Databases answer");
	wait_for(10, !health_of(&rig).lag_stale);
	rig_close(&rig);
}

/* ---- Liveness -------------------------------------------------------------------------------- */

static void liveness_has_its_keys_in_order(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	struct tide_liveness liveness;
	char *json;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	must(tide_liveness_json(&liveness, &json, err));
	json_keys_are(json, "", "alive reason details timestamp");
	json_keys_are(json, "details", "running uptime_seconds lock_responsive subscription_count");
	JSON_IS(json, "alive", "true");
	JSON_IS(json, "reason", "\"Manager is alive and responsive\"");
	JSON_IS(json, "details.running", "false");
	JSON_IS(json, "details.lock_responsive", "true");
	JSON_IS(json, "details.subscription_count", "1");
	tide_free(json);
	rig_close(&rig);
}

struct holder {
	struct mutex *lock;
	atomic_bool is_held, should_release;
};

static void hold(void *self)
{
	struct holder *holder = self;
	mutex_lock(holder->lock);
	atomic_store(&holder->is_held, true);
	while (!atomic_load(&holder->should_release))
		wait_a_moment();
	mutex_unlock(holder->lock);
}

static void holding(struct rig *rig, struct mutex *lock, void (*look)(struct rig *rig))
{
	struct holder holder = { .lock = lock };
	struct thread thread;
	must(thread_start(&thread, "holder", hold, &holder, err));
	wait_for(10, atomic_load(&holder.is_held));
	look(rig);
	atomic_store(&holder.should_release, true);
	thread_join(&thread);
}

static void is_not_alive(struct rig *rig)
{
	struct tide_liveness liveness;
	ANSWERS(must(tide_manager_liveness(rig->manager, &liveness, err)));
	assert_false(liveness.alive);
	assert_false(liveness.lock_responsive);
	assert_string_equal(liveness.reason, "Internal lock not responsive (possible deadlock)");
}

static void looks_at_a_held_manager(struct rig *rig)
{
	is_not_alive(rig);
	struct tide_health health = { 0 };
	ANSWERS(tide_health_fini(&health); must(tide_manager_health(rig->manager, &health, err)));
	assert_false(health.is_responsive);
	char *json;
	must(tide_health_json(&health, &json, err));
	JSON_IS(json, "status", "\"unhealthy\"");
	JSON_IS(json, "subscription_count", "1");
	JSON_IS(json, "unhealthy_count", "1");
	JSON_IS(json, "subscriptions", "[]");
	tide_free(json);
	tide_health_fini(&health);
	ANSWERS(SAYS(rig, STATE, "unhealthy: Internal lock not responsive (possible deadlock)"));
	SAYS(rig, HANDLER, "healthy: Handler responsive");
	struct tide_readiness readiness = { 0 };
	ANSWERS(tide_readiness_fini(&readiness);
		must(tide_manager_readiness(rig->manager, &readiness, err)));
	assert_false(readiness.ready);
	bool is_running = atomic_load(&rig->manager->is_running);
	assert_string_equal(readiness.reason,
			    is_running ? "Internal lock not responsive (possible deadlock)"
				       : "Manager is not running");
	tide_readiness_fini(&readiness);
}

static void looks_at_a_held_subscription(struct rig *rig)
{
	is_not_alive(rig);
	ANSWERS(SAYS(rig, STATE, "unhealthy: Internal lock not responsive (possible deadlock)"));
}

static void a_lock_that_is_not_given_back_ends_liveness(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	holding(&rig, &rig.manager->lock, looks_at_a_held_manager);
	rig_start(&rig);
	holding(&rig, &rig.manager->lock, looks_at_a_held_manager);
	holding(&rig, &rig.subscription->lock, looks_at_a_held_subscription);
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_true(liveness.alive);
	rig_close(&rig);
}

static void a_thread_that_its_handler_ends_is_missed(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "sqlite:%d/store.db");
	rig.config.checkpoint_strategy = TIDE_EVERY_EVENT;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	atomic_store(&rig.script.should_end_thread, true);
	rig_append(&rig, "Good");
	rig_await(&rig, TIDE_STATE_ERROR);
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_false(liveness.alive);
	assert_true(liveness.lock_responsive);
	assert_string_equal(liveness.reason, "Worker thread died: Totals");
	TELLS(&rig, STATE, "unhealthy: 'Totals' ended in an error at ");
	atomic_store(&rig.script.should_end_thread, false);
	must(tide_manager_restart(rig.manager, "Totals", err));
	must(tide_subscription_wait(rig.subscription, 2, 10, err));
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_true(liveness.alive);
	/* the first, the fatal one, and the fatal one again */
	assert_int_equal(atomic_load(&rig.script.calls), 3);
	rig_close(&rig);
}

static atomic_int asked_inside;

static tide_status ask_inside(void *self, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	struct rig *rig = self;
	struct tide_health health;
	struct tide_liveness liveness;
	bool is_ok = tide_manager_health(rig->manager, &health, NULL) == TIDE_OK &&
		     tide_manager_liveness(rig->manager, &liveness, NULL) == TIDE_OK &&
		     liveness.alive;
	if (is_ok)
		tide_health_fini(&health);
	atomic_store(&asked_inside, is_ok ? 1 : -1);
	return TIDE_OK;
}

static void a_handler_may_ask_for_health(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_subscribe_as(&rig, "Quiet", (const char *const[]){ "Nothing", NULL });
	struct tide_subscriber subscriber = { .name = "Curious",
					      .self = &rig,
					      .handle = ask_inside };
	must(tide_manager_subscribe(rig.manager, &subscriber, &rig.config, NULL, err));
	rig_start(&rig);
	rig_append(&rig, "Good");
	wait_for(10, atomic_load(&asked_inside) != 0);
	assert_int_equal(atomic_load(&asked_inside), 1);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readiness_gives_its_first_reason),
		cmocka_unit_test(who_is_still_starting_is_not_ready),
		cmocka_unit_test(who_stands_by_is_ready_and_healthy),
		cmocka_unit_test(probes_answer_in_time_when_the_store_hangs),
		cmocka_unit_test(liveness_has_its_keys_in_order),
		cmocka_unit_test(a_lock_that_is_not_given_back_ends_liveness),
		cmocka_unit_test(a_thread_that_its_handler_ends_is_missed),
		cmocka_unit_test(a_handler_may_ask_for_health),
	};
	return cmocka_run_group_tests(tests, slow_register, NULL);
}

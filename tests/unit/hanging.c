/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database that hangs or is away: neither a save, a renewal nor a start holds up an end. The
 * store's operations are a copy with one replaced.
 */
#include "path/store.h"
#include "rig.h"
#include "supervise/manager.h"
#include "sys/thread.h"

static struct tide_shutdown_result hanging_result;

static void run(void *self)
{
	struct rig *rig = self;
	must(tide_manager_run_until_shutdown(rig->manager, &hanging_result, err));
}

static struct tide_backend stopping_real, stopping_backend;
static atomic_bool stopping_is_closed; /* what was replaced waits until it is opened */
static atomic_int stopping_inside;     /* so many wait */

static void rig_replace(struct rig *rig)
{
	stopping_real = stopping_backend = *rig->store->backend;
	atomic_store(&stopping_is_closed, false);
	rig->store->backend = &stopping_backend;
}

static void stopping_wait(void)
{
	atomic_fetch_add(&stopping_inside, 1);
	while (atomic_load(&stopping_is_closed))
		wait_a_moment();
	atomic_fetch_sub(&stopping_inside, 1);
}
static atomic_int renewals;

static tide_status renew_or_hang(void *session, struct tide_lease_renewal *leases, size_t count,
				 struct tide_error *err)
{
	stopping_wait();
	atomic_fetch_add(&renewals, 1);
	return stopping_real.checkpoint.lease_renew_all(session, leases, count, err);
}

static void a_renewal_that_hangs_does_not_keep_a_stop(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_replace(&rig);
	stopping_backend.checkpoint.lease_renew_ns = NS_PER_MS;
	stopping_backend.checkpoint.lease_renew_all = renew_or_hang;
	atomic_store(&stopping_is_closed, true);
	rig_subscribe(&rig);
	rig_start(&rig);
	wait_for(10, atomic_load(&stopping_inside) == 1);
	rig_settle(&rig, "Good"); /* ownership has no time here */
	double since = seconds_now();
	struct tide_error why = refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, 2, err));
	/* everything else ends at once, so it is not what the limit cuts off */
	must_mention(&why, "renewal");
	assert_true(seconds_now() - since < 20);
	assert_int_equal(tide_subscription_state(rig.subscription), TIDE_STATE_STOPPED);
	why = refused(TIDE_BUSY, tide_manager_destroy(rig.manager, err));
	must_mention(&why, "renewal");
	/* It starts again meanwhile, and goes on renewing when the hanging one is done. */
	must(tide_manager_start(rig.manager, NULL, 10, NULL, NULL, err));
	assert_int_equal(atomic_load(&stopping_inside), 1); /* nobody asks twice */
	int before = atomic_load(&renewals);
	atomic_store(&stopping_is_closed, false);
	wait_for(10, atomic_load(&renewals) > before + 2);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	must(tide_manager_destroy(rig.manager, err));
	rig.manager = NULL;
	rig.store->backend = &stopping_real;
	rig_close(&rig);
}

/* of these and those the first half says "down", the other "away" */
static atomic_int renewals_refused;

#define REFUSED_EACH 20

static tide_status renew_in_an_outage(void *session, struct tide_lease_renewal *leases,
				      size_t count, struct tide_error *err)
{
	int number = atomic_fetch_add(&renewals_refused, 1);
	if (number < 2 * REFUSED_EACH)
		return tide_fail(err, TIDE_CONNECTION_LOST, "the database is %s",
				 number < REFUSED_EACH ? "down" : "away");
	return stopping_real.checkpoint.lease_renew_all(session, leases, count, err);
}

static void an_outage_is_told_once_by_renewals(void **state)
{
	(void)state;
	struct rig rig;
	rig_log_begin();
	rig_open(&rig, "memory:%n");
	rig_replace(&rig);
	atomic_store(&renewals_refused, 0);
	stopping_backend.checkpoint.lease_renew_ns = NS_PER_MS;
	stopping_backend.checkpoint.lease_renew_all = renew_in_an_outage;
	rig_subscribe(&rig);
	rig_start(&rig);
	double since = seconds_now();
	wait_for(60, rig_logged("ownership renewed again", NULL) == 1);
	/* on a machine that slow it is told again */
	int more = (int)((seconds_now() - since) / 10);
	assert_in_range(rig_logged("ownership not renewed", "the database is down"), 1, 1 + more);
	assert_in_range(rig_logged("ownership not renewed", "the database is away"), 1, 1 + more);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	must(tide_manager_destroy(rig.manager, err));
	rig.manager = NULL;
	rig.store->backend = &stopping_real;
	rig_close(&rig);
	rig_log_end();
}

static tide_status save_or_hang(void *session, const struct tide_fence *fence,
				const struct tide_checkpoint_write *write, struct tide_error *err)
{
	stopping_wait();
	return stopping_real.checkpoint.save(session, fence, write, err);
}

static void a_save_that_hangs_does_not_keep_a_stop(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_replace(&rig);
	stopping_backend.checkpoint.save = save_or_hang;
	rig.config.checkpoint_strategy = TIDE_PERIODIC;
	rig.config.checkpoint_interval_seconds = 3600;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	rig_hold(&rig); /* so that the stop saves what is settled, itself */
	atomic_store(&stopping_is_closed, true);
	double since = seconds_now();
	refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, 0.1, err));
	assert_true(seconds_now() - since < 20);
	assert_int_equal(tide_subscription_state(rig.subscription), TIDE_STATE_STOPPED);
	refused(TIDE_BUSY, tide_manager_destroy(rig.manager, err));
	atomic_store(&rig.script.is_closed, false);
	atomic_store(&stopping_is_closed, false);
	wait_for(10, tide_manager_destroy(rig.manager, NULL) == TIDE_OK);
	rig.manager = NULL;
	rig.store->backend = &stopping_real;
	struct tide_checkpoint row;
	must(tide_checkpoints_load(rig.checkpoints, "Totals", &row, err));
	assert_int_equal(row.position, 1);
	rig_close(&rig);
}

/* One event is settled; its save hangs beside the handler of the second one, which ends its thread
 * meanwhile. */
static void a_thread_that_ends_in_its_handler_waits_for_the_save_beside_it(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_replace(&rig);
	stopping_backend.checkpoint.save = save_or_hang;
	rig.config.checkpoint_strategy = TIDE_PERIODIC;
	rig.config.checkpoint_interval_seconds = 3600;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	rig_hold(&rig);
	atomic_store(&stopping_inside, 0);
	atomic_store(&stopping_is_closed, true);
	control_save_aside(rig.manager, rig.subscription, (struct mono_time){ 1 });
	wait_for(60, atomic_load(&stopping_inside) == 1);
	atomic_store(&rig.script.should_end_thread, true);
	atomic_store(&rig.script.is_closed, false);
	wait_for(60, atomic_load(&rig.subscription->hand.since) == 0);
	atomic_store(&stopping_is_closed, false);
	rig_await(&rig, TIDE_STATE_ERROR);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	wait_for(60, tide_manager_destroy(rig.manager, NULL) == TIDE_OK);
	rig.manager = NULL;
	rig.store->backend = &stopping_real;
	struct tide_checkpoint row;
	must(tide_checkpoints_load(rig.checkpoints, "Totals", &row, err));
	assert_int_equal(row.position, 1);
	assert_int_equal(row.events_processed, 1);
	rig_close(&rig);
}

static tide_status acquire_or_hang(void *session, const char *name, const struct tide_uuid *owner,
				   struct tide_lease *ret, struct tide_error *err)
{
	stopping_wait();
	return stopping_real.checkpoint.lease_acquire(session, name, owner, ret, err);
}

static void a_start_that_hangs_does_not_keep_a_shutdown(void **state)
{
	(void)state;
	struct rig rig;
	struct thread thread;
	rig_open(&rig, "memory:%n");
	rig_replace(&rig);
	stopping_backend.checkpoint.lease_acquire = acquire_or_hang;
	atomic_store(&stopping_is_closed, true);
	rig.shutdown_timeout = 0.3;
	rig_subscribe(&rig);
	must(thread_start(&thread, "runs", run, &rig, err));
	wait_for(10, atomic_load(&stopping_inside) == 1);
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	thread_join(&thread);
	assert_int_equal(hanging_result.reason, TIDE_SHUTDOWN_TIMEOUT);
	must_mention(&hanging_result.error, "Totals");
	atomic_store(&stopping_is_closed, false);
	wait_for(10, tide_manager_destroy(rig.manager, NULL) == TIDE_OK);
	rig.manager = NULL;
	rig.store->backend = &stopping_real;
	rig_close(&rig);
}

static void start(void *self)
{
	struct rig *rig = self;
	rig_start(rig);
}

static void a_start_does_not_outlive_the_stop_that_gave_it_up(void **state)
{
	(void)state;
	struct rig rig;
	struct thread thread;
	rig_open(&rig, "memory:%n");
	rig_replace(&rig);
	stopping_backend.checkpoint.lease_acquire = acquire_or_hang;
	atomic_store(&stopping_is_closed, true);
	rig_subscribe(&rig);
	must(thread_start(&thread, "starts", start, &rig, err));
	wait_for(10, atomic_load(&stopping_inside) == 1);
	refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, 0.05, err));
	thread_join(&thread);
	atomic_store(&stopping_is_closed, false);
	wait_for(10, tide_manager_destroy(rig.manager, NULL) == TIDE_OK);
	rig.manager = NULL;
	rig.store->backend = &stopping_real;
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_renewal_that_hangs_does_not_keep_a_stop),
		cmocka_unit_test(an_outage_is_told_once_by_renewals),
		cmocka_unit_test(a_save_that_hangs_does_not_keep_a_stop),
		cmocka_unit_test(a_thread_that_ends_in_its_handler_waits_for_the_save_beside_it),
		cmocka_unit_test(a_start_that_hangs_does_not_keep_a_shutdown),
		cmocka_unit_test(a_start_does_not_outlive_the_stop_that_gave_it_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two things at the same moment: a pause and a change of state, a stop and a start, a lease and a
 * handler that does not return; and transactions that cannot be committed. The backend under the
 * manager is a copy with one operation replaced.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_tools.h"
#include "path/store.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

static struct tide_backend edge_real, edge_backend;

/* From here on the store's operations are those of edge_backend. */
static void edge_replace(struct rig *rig)
{
	edge_real = edge_backend = *rig->store->backend;
	rig->store->backend = &edge_backend;
}

/* When none of the manager's threads looks at the store any more. */
static void edge_restore(struct rig *rig)
{
	must(tide_manager_stop(rig->manager, NULL, 0, err));
	rig->store->backend = &edge_real;
}

/* ---- Pausing --------------------------------------------------------------------------------- */

static struct tide_manager *edge_manager;
static bool edge_was_paused;

/* A live subscription "Edge" that the test steps itself. */
static struct tide_subscription *edge_live(struct rig *rig, struct witness *witness)
{
	struct tide_subscription *subscription;
	rig_open(rig, "memory");
	edge_manager = rig->manager;
	rig->manager->is_threaded = false;
	struct tide_subscriber subscriber = witness_single("Edge", witness);
	must(tide_manager_subscribe(rig->manager, &subscriber, NULL, &subscription, err));
	must(tide_manager_start(rig->manager, NULL, 0, NULL, NULL, err));
	while (tide_subscription_state(subscription) != TIDE_STATE_LIVE)
		(void)runner_step(subscription, clock_mono(&clock_system));
	return subscription;
}

static void edge_end(struct rig *rig, struct witness *witness,
		     struct tide_subscription *subscription)
{
	must(tide_manager_stop(rig->manager, NULL, 0, err));
	while (tide_subscription_state(subscription) != TIDE_STATE_STOPPED)
		(void)runner_step(subscription, clock_mono(&clock_system));
	rig_close(rig);
	witness_fini(witness);
}

static tide_status end_while_somebody_pauses(void *session, tide_position *ret,
					     struct tide_error *err)
{
	edge_was_paused = tide_manager_pause(edge_manager, "Edge", TIDE_PAUSE_MANUAL);
	return edge_real.store.end(session, ret, err);
}

static void a_pause_that_meets_falling_behind_stands(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription = edge_live(&rig, &witness);
	append_many(rig.store, stream_of("Order", 1), 0, 3);
	edge_replace(&rig);
	edge_backend.store.end = end_while_somebody_pauses;
	subscription->runner.feed.is_behind = true;
	(void)runner_step(subscription, clock_mono(&clock_system));
	assert_true(edge_was_paused);
	assert_int_equal(tide_subscription_state(subscription), TIDE_STATE_PAUSED);
	edge_restore(&rig);
	edge_end(&rig, &witness, subscription);
}

/* ---- Losing ownership ------------------------------------------------------------------------ */

static _Atomic(tide_status) edge_restarted;

/* The log is told of each change of state at once: this is where another thread's restart would get
 * in. */
static void restart_what_is_in_error(void *self, const struct tide_log_line *line)
{
	(void)self;
	if (strcmp(line->message, "state changed") == 0 && strstr(line->fields, "to=error"))
		atomic_store(&edge_restarted, tide_manager_restart(edge_manager, "Edge", NULL));
}

static void a_restart_does_not_get_between_losing_ownership_and_standing_by(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription = edge_live(&rig, &witness);
	uint64_t run = subscription->span.number;
	mutex_lock(&subscription->lock);
	subscription_lose_locked(subscription);
	mutex_unlock(&subscription->lock);
	subscription_nudge(subscription);
	atomic_store(&edge_restarted, TIDE_OK);
	tide_log_set(restart_what_is_in_error, NULL, TIDE_LOG_INFO);
	(void)runner_step(subscription, clock_mono(&clock_system));
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_int_equal(atomic_load(&edge_restarted), TIDE_STATE);
	assert_int_equal(tide_subscription_state(subscription), TIDE_STATE_STARTING);
	assert_int_equal(status_of(subscription).previous_state, TIDE_STATE_ERROR);
	assert_int_equal(status_of(subscription).error.status, TIDE_FENCED);
	assert_int_equal(subscription->span.number, run);
	edge_end(&rig, &witness, subscription);
}

/* ---- Starting -------------------------------------------------------------------------------- */

static void a_run_without_a_thread_took_no_time(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	bool was_without = false;
	rig_open(&rig, "memory");
	struct tide_subscriber subscriber = witness_single("Edge", &witness);
	must(tide_manager_subscribe(rig.manager, &subscriber, NULL, &subscription, err));
	for (int64_t nth = 1; !was_without && nth < 100; nth++) {
		alloc_fail_from(nth);
		(void)tide_manager_start(rig.manager, NULL, 0, NULL, NULL, NULL);
		alloc_fail_from(0);
		struct tide_subscription_status status = status_of(subscription);
		assert_true(status.uptime_seconds >= 0);
		was_without = strstr(status.error.message, "no thread for 'tide-runner'") != NULL;
		if (!was_without)
			must(tide_manager_stop(rig.manager, NULL, 0, err));
	}
	assert_true(was_without);
	rig_close(&rig);
	witness_fini(&witness);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static tide_status wait_for_gate(struct witness *witness, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	wait_for(PATIENCE, atomic_load(&witness->gate));
	return TIDE_OK;
}

static void *edge_run(void *manager)
{
	(void)tide_manager_run_until_shutdown(manager, NULL, NULL);
	return NULL;
}

static void nothing_starts_while_a_shutdown_is_under_way(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	pthread_t thread;
	witness.decide = wait_for_gate;
	rig_open(&rig, "memory");
	append_many(rig.store, stream_of("Order", 1), 0, 1);
	struct tide_subscriber subscriber = witness_single("Edge", &witness);
	must(tide_manager_subscribe(rig.manager, &subscriber, NULL, &subscription, err));
	assert_int_equal(pthread_create(&thread, NULL, edge_run, rig.manager), 0);
	wait_for(PATIENCE, atomic_load(&witness.inside) == 1);
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	struct tide_error why = { 0 };
	assert_int_equal(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, &why),
			 TIDE_SHUTTING_DOWN);
	assert_int_equal(tide_manager_destroy(rig.manager, &why), TIDE_STATE);
	atomic_store(&witness.gate, true);
	pthread_join(thread, NULL);
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	rig_close(&rig);
	witness_fini(&witness);
}

static atomic_int edge_renewals;

static tide_status count_renewals(void *session, struct tide_lease_renewal *leases, size_t count,
				  struct tide_error *err)
{
	(void)session;
	(void)err;
	for (size_t i = 0; i < count; i++)
		leases[i].result = TIDE_RENEWAL_MADE;
	atomic_fetch_add(&edge_renewals, 1);
	return TIDE_OK;
}

static void the_lease_of_an_abandoned_handler_is_renewed(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	witness.decide = wait_for_gate;
	rig_open(&rig, "memory");
	edge_replace(&rig);
	edge_backend.checkpoint.lease_renew_all = count_renewals;
	edge_backend.checkpoint.lease_renew_ns = NS_PER_MS;
	append_many(rig.store, stream_of("Order", 1), 0, 1);
	struct tide_subscriber subscriber = witness_single("Edge", &witness);
	must(tide_manager_subscribe(rig.manager, &subscriber, NULL, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	wait_for(PATIENCE, atomic_load(&witness.inside) == 1);
	struct tide_error why;
	assert_int_equal(tide_manager_stop(rig.manager, NULL, 0.05, &why), TIDE_TIMEOUT);
	int before = atomic_load(&edge_renewals);
	wait_for(PATIENCE, atomic_load(&edge_renewals) > before + 1);
	atomic_store(&witness.gate, true);
	rig_shut(&rig);
	temp_remove(rig.directory);
	witness_fini(&witness);
}

#define TOLD 4 /* that are paused, which is told others a second later */

static atomic_int edge_told, edge_late;
static int edge_renewals_then;

/* So slow that the lease is due again. */
static tide_status tell_slowly(void *session, const struct tide_fence *fence, const char *reason,
			       bool *ret, struct tide_error *err)
{
	int renewals = atomic_load(&edge_renewals);
	struct mono_time until = mono_add(clock_mono(&clock_system), 5 * NS_PER_MS);
	atomic_fetch_add(&edge_late, renewals == edge_renewals_then);
	edge_renewals_then = renewals;
	while (clock_mono(&clock_system).ns < until.ns)
		wait_a_moment();
	atomic_fetch_add(&edge_told, 1);
	return edge_real.checkpoint.lease_tell(session, fence, reason, ret, err);
}

static void a_lease_that_is_due_goes_before_what_is_told_others(void **state)
{
	(void)state;
	static const char *const names[TOLD] = { "a", "b", "c", "d" };
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	rig_open(&rig, "memory");
	edge_replace(&rig);
	atomic_store(&edge_told, 0);
	atomic_store(&edge_late, 0);
	edge_renewals_then = -1;
	edge_backend.checkpoint.lease_renew_all = count_renewals;
	edge_backend.checkpoint.lease_renew_ns = NS_PER_MS;
	edge_backend.checkpoint.lease_tell = tell_slowly;

	for (size_t i = 0; i < TOLD; i++) {
		struct tide_subscriber subscriber = witness_single(names[i], &witness);
		must(tide_manager_subscribe(rig.manager, &subscriber, NULL, &subscription, err));
	}
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	for (size_t i = 0; i < TOLD; i++)
		assert_true(tide_manager_pause(rig.manager, names[i], TIDE_PAUSE_MANUAL));
	wait_for(PATIENCE, atomic_load(&edge_told) >= TOLD);
	assert_int_equal(atomic_load(&edge_late), 0);
	edge_restore(&rig);
	rig_close(&rig);
	witness_fini(&witness);
}

/* ---- What a stop leaves behind --------------------------------------------------------------- */

static atomic_int edge_hanging; /* database calls that wait for the gate */
static atomic_bool edge_gate;

static void hang_at_gate(void)
{
	atomic_fetch_add(&edge_hanging, 1);
	while (!atomic_load(&edge_gate))
		wait_a_moment();
}

static tide_status hang_in_save(void *session, const struct tide_fence *fence,
				const struct tide_checkpoint_write *write, struct tide_error *err)
{
	hang_at_gate();
	return edge_real.checkpoint.save(session, fence, write, err);
}

static tide_status hang_in_release(void *session, const struct tide_fence *fence,
				   struct tide_error *err)
{
	hang_at_gate();
	return edge_real.checkpoint.lease_release(session, fence, err);
}

static tide_status hang_in_read(void *session, const struct tide_page_query *query,
				struct tide_page *page, struct tide_error *err)
{
	hang_at_gate();
	return edge_real.store.read(session, query, page, err);
}

static tide_status hang_in_renewal(void *session, struct tide_lease_renewal *leases, size_t count,
				   struct tide_error *err)
{
	hang_at_gate();
	return edge_real.checkpoint.lease_renew_all(session, leases, count, err);
}

static void hang_in_callback(void *self, const struct tide_error_record *record)
{
	(void)self;
	(void)record;
	hang_at_gate();
}

static tide_status hang_in_handler(struct witness *witness, const struct tide_event *event,
				   struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	if (witness->more)
		hang_at_gate();
	return TIDE_OK;
}

static tide_status refuse_once(struct witness *witness, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	(void)event;
	if (atomic_exchange(&witness->gate, true))
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "refused");
}

enum edge_left { LEFT_HANDLER, LEFT_SAVE, LEFT_RELEASE, LEFT_READ, LEFT_CALLBACK, LEFT_RENEWAL };

static void edge_hang(struct rig *rig, struct witness *witness, enum edge_left left)
{
	int64_t id;
	witness->decide = left == LEFT_CALLBACK ? refuse_once : hang_in_handler;
	witness->more = left == LEFT_HANDLER ? witness : NULL;
	if (left == LEFT_CALLBACK)
		must(tide_manager_on_error(rig->manager, TIDE_ERRORS_ALL, 0, hang_in_callback, NULL,
					   &id, err));
	if (left == LEFT_SAVE)
		edge_backend.checkpoint.save = hang_in_save;
	if (left == LEFT_RELEASE)
		edge_backend.checkpoint.lease_release = hang_in_release;
	if (left == LEFT_READ)
		edge_backend.store.read = hang_in_read;
	edge_backend.checkpoint.lease_renew_all =
		left == LEFT_RENEWAL ? hang_in_renewal : count_renewals;
	edge_backend.checkpoint.lease_renew_ns = NS_PER_MS;
}

static void check_left(enum edge_left left, const char *what)
{
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription_config config = quick_config();
	atomic_store(&edge_gate, false);
	atomic_store(&edge_hanging, 0);
	rig_open(&rig, "memory");
	edge_replace(&rig);
	edge_hang(&rig, &witness, left);
	append_many(rig.store, stream_of("Order", 1), 0, 1);
	struct tide_subscriber subscriber = witness_single("Left", &witness);
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	if (left == LEFT_RELEASE)
		run_ask_stop(subscription, MONO_NEVER);
	wait_for(PATIENCE, atomic_load(&edge_hanging) > 0);
	double limit = left == LEFT_RENEWAL ? 2 : 0.1; /* only there the run has to end by then */
	struct tide_error stopped =
		refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, limit, err));
	assert_string_equal(stopped.message, what);
	if (left != LEFT_RENEWAL) { /* that one keeps nobody from starting */
		struct tide_error refusal = refused(
			TIDE_BUSY, tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
		assert_string_equal(refusal.message, what);
		refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, 0.1, err));
	}
	struct tide_error refusal = refused(TIDE_BUSY, tide_manager_destroy(rig.manager, err));
	assert_string_equal(refusal.message, what);
	atomic_store(&edge_gate, true);
	rig_shut(&rig);
	temp_remove(rig.directory);
	witness_fini(&witness);
}

static void what_is_left_behind_is_named_alike_by_stop_start_and_destroy(void **state)
{
	(void)state;
	check_left(LEFT_HANDLER, "the handler of 'Left' has not returned");
	check_left(LEFT_SAVE,
		   "the database call that saves the position of 'Left' has not returned");
	check_left(LEFT_RELEASE,
		   "the database call that releases the ownership of 'Left' has not returned");
	check_left(LEFT_READ, "a database call of 'Left' has not returned");
	check_left(LEFT_CALLBACK, "an error callback of 'Left' has not returned");
	check_left(LEFT_RENEWAL, "the renewal of an ownership has not returned");
}

/* ---- Transactions that cannot be committed --------------------------------------------------- */

static atomic_int edge_bad_commits; /* how many fail from now on; -1: all of them */

static tide_status commit_or_fail(void *session, struct tide_error *err)
{
	if (atomic_load(&edge_bad_commits) == 0)
		return edge_real.store.commit(session, err);
	if (atomic_load(&edge_bad_commits) > 0)
		atomic_fetch_sub(&edge_bad_commits, 1);
	return tide_fail(err, TIDE_IO, "the disk is gone");
}

static tide_status fail_two(struct witness *witness, const struct tide_event *event,
			    struct tide_delivery *delivery)
{
	if (event->position == 2 && !atomic_load(&witness->gate))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
	return TIDE_OK;
}

struct edge {
	struct rig rig;
	struct witness witness;
	struct tide_subscription *subscription;
};

/* A transactional subscription over three events of one aggregate; `bad_commits` of its commits
 * fail. */
static void edge_open(struct edge *edge, int bad_commits, bool is_held)
{
	*edge = (struct edge){ .witness = WITNESS };
	edge->witness.decide = fail_two;
	rig_open(&edge->rig, "sqlite");
	append_many(edge->rig.store, stream_of("Order", 1), 0, 3);
	edge_replace(&edge->rig);
	edge_backend.store.commit = commit_or_fail;
	atomic_store(&edge_bad_commits, bad_commits);
	struct tide_subscriber subscriber = witness_single("Edge", &edge->witness);
	subscriber.transactional = true;
	struct tide_subscription_config config = quick_config();
	config.hold_aggregate_on_failure = is_held;
	config.circuit_breaker_enabled = false;
	must(tide_manager_subscribe(edge->rig.manager, &subscriber, &config, &edge->subscription,
				    err));
	must(tide_manager_start(edge->rig.manager, NULL, 0, NULL, NULL, err));
}

static void edge_close(struct edge *edge)
{
	edge_restore(&edge->rig);
	rig_close(&edge->rig);
	witness_fini(&edge->witness);
}

static void a_failed_event_that_cannot_be_committed_either_ends_the_run(void **state)
{
	(void)state;
	struct edge edge;
	edge_open(&edge, -1, false);
	wait_for(PATIENCE, tide_subscription_state(edge.subscription) == TIDE_STATE_ERROR);
	assert_int_equal(status_of(edge.subscription).error.status, TIDE_IO);
	assert_int_equal(status_of(edge.subscription).position, 0);
	edge_close(&edge);
}

static void a_lost_transaction_holds_no_aggregate(void **state)
{
	(void)state;
	struct edge edge;
	edge_open(&edge, 1, true);
	wait_for(PATIENCE, saved_position(edge.rig.checkpoints, "Edge") == 3);
	struct tide_dead_letter_list dead = dead_letters_of(edge.rig.checkpoints, "Edge");
	assert_int_equal(dead.count, 2); /* the failed one, and the one behind it */
	assert_string_equal(dead.entries[0].error_message, "no such customer");
	tide_dead_letters_free(&dead);
	edge_close(&edge);
}

static void a_redelivery_that_cannot_be_committed_has_failed(void **state)
{
	(void)state;
	struct edge edge;
	edge_open(&edge, 0, false);
	wait_position(edge.subscription, 3);
	wait_for(PATIENCE, saved_position(edge.rig.checkpoints, "Edge") == 3);
	struct tide_dead_letter_list dead = dead_letters_of(edge.rig.checkpoints, "Edge");
	int64_t id = dead.entries[0].id;
	tide_dead_letters_free(&dead);
	atomic_store(&edge.witness.gate, true);
	atomic_store(&edge_bad_commits, 1);
	must(tide_dead_letters_retry(edge.rig.checkpoints, id, err));
	wait_for(PATIENCE, atomic_load(&edge_bad_commits) == 0);
	dead = dead_letters_of(edge.rig.checkpoints, "Edge");
	while (dead.entries[0].status == TIDE_DEAD_LETTER_RETRYING &&
	       tide_subscription_state(edge.subscription) != TIDE_STATE_ERROR) {
		tide_dead_letters_free(&dead);
		dead = dead_letters_of(edge.rig.checkpoints, "Edge");
	}
	assert_int_equal(dead.entries[0].status, TIDE_DEAD_LETTER_FAILED);
	assert_int_equal(dead.entries[0].retry_count, 1);
	assert_string_equal(dead.entries[0].error_message, "the disk is gone");
	tide_dead_letters_free(&dead);
	assert_int_equal(tide_subscription_state(edge.subscription), TIDE_STATE_LIVE);
	edge_close(&edge);
}

/* ---- The self-check -------------------------------------------------------------------------- */

static void count_errors(void *self, const struct tide_error_record *record)
{
	(void)record;
	atomic_fetch_add((atomic_int *)self, 1);
}

static void the_self_check_looks_at_every_event_of_a_batch(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witness = WITNESS;
	struct tide_subscription *subscription;
	atomic_int errors = 0;
	int64_t id;
	rig_open(&rig, "memory");
	append_many(rig.store, stream_of("Order", 1), 0, 50);
	must(tide_manager_on_error(rig.manager, TIDE_ERRORS_ALL, 0, count_errors, &errors, &id,
				   err));
	struct tide_subscriber subscriber = witness_batch("Edge", &witness);
	struct tide_subscription_config config = quick_config();
	config.self_check = true;
	config.batch_size = 10;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	wait_position(subscription, 50);
	assert_int_equal(atomic_load(&errors), 0);
	rig_close(&rig);
	witness_fini(&witness);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_that_meets_falling_behind_stands),
		cmocka_unit_test(a_restart_does_not_get_between_losing_ownership_and_standing_by),
		cmocka_unit_test(a_run_without_a_thread_took_no_time),
		cmocka_unit_test(nothing_starts_while_a_shutdown_is_under_way),
		cmocka_unit_test(the_lease_of_an_abandoned_handler_is_renewed),
		cmocka_unit_test(a_lease_that_is_due_goes_before_what_is_told_others),
		cmocka_unit_test(what_is_left_behind_is_named_alike_by_stop_start_and_destroy),
		cmocka_unit_test(a_failed_event_that_cannot_be_committed_either_ends_the_run),
		cmocka_unit_test(a_lost_transaction_holds_no_aggregate),
		cmocka_unit_test(a_redelivery_that_cannot_be_committed_has_failed),
		cmocka_unit_test(the_self_check_looks_at_every_event_of_a_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

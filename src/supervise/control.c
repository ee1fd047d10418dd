/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, stopping, pausing and resuming one subscription from any thread.
 *
 * Happy path: what is wanted is written under the subscription's lock, the runner is nudged and
 * obeys before the next event; whoever waits, waits for what the runner announces.
 * Failure modes: the handler does not return by the deadline: the subscription is STOPPED without
 * it, what is settled is saved from here, and the runner ends when the handler returns, ignoring
 * what it came to.
 */
#include "supervise/manager.h"

#include <assert.h>
#include <string.h>

#include "path/gate.h"
#include "path/interrupt.h"
#include "path/pause.h"
#include "supervise/errand.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define CONTROL_INTERRUPT_AGAIN_NS NS_PER_SECOND
#define CONTROL_SAVE_NS NS_PER_SECOND /* that a last save may take before it is interrupted, too */

/* What a run that a stop has left behind, or is about to, is still in: the stop and who is refused
 * for it say the same. */
static tide_status control_say_left_locked(struct tide_subscription *subscription,
					   tide_status status, struct tide_error *err)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	static const char *const calls[] = {
		[RUNNER_CALLS_QUERY] = "a database call",
		[RUNNER_CALLS_SAVE] = "the database call that saves the position",
		[RUNNER_CALLS_RELEASE] = "the database call that releases the ownership",
		[RUNNER_CALLS_BACK] = "an error callback",
	};
	const char *what = calls[subscription->stop.is_frozen ? RUNNER_CALLS_SAVE
							      : atomic_load(&subscription->call)];
	if (atomic_load(&subscription->hand.since) != 0)
		what = "the handler";
	return tide_fail(err, status, "%s of '%s' has not returned", what, subscription->name);
}

tide_status control_check_left_locked(struct tide_subscription *subscription,
				      struct tide_error *err)
{
	assert(mutex_is_mine(&subscription->lock));
	return subscription->run.state == RUN_ABANDONED
		       ? control_say_left_locked(subscription, TIDE_BUSY, err)
		       : TIDE_OK;
}

tide_status manager_check_left(struct tide_manager *manager, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&manager->lock);
	for (struct tide_subscription *subscription = manager->subscriptions;
	     subscription && status == TIDE_OK; subscription = subscription->next) {
		mutex_lock(&subscription->lock);
		status = control_check_left_locked(subscription, err);
		mutex_unlock(&subscription->lock);
	}
	mutex_unlock(&manager->lock);
	return status;
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* What metrics count over the whole life of a subscription, and statistics by the run. */
static void control_keep_totals_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	subscription->metrics.blocked_ns += subscription->flow.total_pause_ns;
	for (size_t i = 0; i < RETRY_OPERATIONS; i++)
		subscription->metrics.retries[i] += subscription->retries[i].retries;
}

/* A new run: nothing of the last one counts, but its position, for a restart. */
static void control_reset_run_locked(struct tide_subscription *subscription, bool is_restart)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct clock *clock = subscription->engine->clock;
	control_keep_totals_locked(subscription);
	subscription->counts = (struct run_counts){ 0 };
	subscription->flow = (struct feed_flow){ 0 };
	subscription->runner.feed.flow = (struct feed_flow){ 0 };
	memset(subscription->retries, 0, sizeof subscription->retries);
	error_log_reset(&subscription->errors);
	breaker_reset(&subscription->breakers.handler);
	breaker_reset(&subscription->breakers.infra);
	memset(subscription->stores, 0, sizeof subscription->stores);
	subscription->error = (struct tide_error){ 0 };
	subscription->span.started_at = clock_wall(clock);
	subscription->span.started = clock_mono(clock);

	if (subscription->run.thread == THREAD_DIED)
		run_move_thread(&subscription->run, THREAD_NONE);
	subscription->start_stage = START_RESOLVING;
	subscription->stop.was_saved = subscription->pause.is_save_due = false;
	subscription->pause.by = 0;
	subscription_run_locked(subscription, RUN_STARTING);
	subscription->interruption.hand = INT64_MAX;
	subscription->run_number++;
	assert(subscription->runner.start.standing != STANDING_RESOLVED);
	subscription->runner.start.basis = is_restart ? BASIS_RESTART : BASIS_CONFIGURED;
	if (!is_restart)
		subscription->runner.start.standing = STANDING_UNKNOWN;
}

static tide_status control_begin_locked(struct tide_subscription *subscription, bool is_restart,
					struct tide_error *err) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	tide_status status = control_check_left_locked(subscription, err);
	if (status != TIDE_OK)
		return status;
	if (is_restart && subscription->states.state != TIDE_STATE_ERROR)
		return tide_fail(err, TIDE_STATE, "'%s' is %s, only one in error can be restarted",
				 subscription->name, tide_state_name(subscription->states.state));

	enum tide_state from = subscription->states.state;
	states_begin(&subscription->states);
	if (from != TIDE_STATE_STARTING)
		subscription_note_move_locked(subscription, from, TIDE_STATE_STARTING,
					      is_restart ? "restarted" : "started");
	atomic_store(&subscription->state_now, (int)TIDE_STATE_STARTING);
	control_reset_run_locked(subscription, is_restart);
	cond_broadcast(&subscription->changed);
	return TIDE_OK;
}

static void control_fail_start(struct tide_subscription *subscription, const struct tide_error *why)
{
	mutex_lock(&subscription->lock);
	(void)subscription_move_locked(subscription, TIDE_STATE_ERROR, why->message);
	subscription_run_locked(subscription, RUN_NONE);
	subscription->span.ended = clock_mono(subscription->engine->clock);
	subscription->error = *why;
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
	subscription_tell_moves(subscription);
}

void control_refuse_start(struct tide_subscription *subscription, const struct tide_error *why)
{
	mutex_lock(&subscription->lock);
	while (subscription->run.thread == THREAD_CHANGING)
		cond_wait(&subscription->changed, &subscription->lock);
	bool has_begun = !run_exists(&subscription->run) &&
			 control_begin_locked(subscription, false, NULL) == TIDE_OK;
	mutex_unlock(&subscription->lock);
	if (!has_begun)
		return;
	subscription_tell_moves(subscription);
	control_fail_start(subscription, why);
}

static tide_status control_start_thread(struct tide_subscription *subscription,
					struct tide_error *err)
{
	thread_join(&subscription->thread); /* of the last run: it has ended */
	struct tide_error why;
	tide_status status =
		thread_start_watched(&subscription->thread, "tide-runner", runner_thread,
				     runner_thread_died, subscription, &why);
	if (status != TIDE_OK)
		control_fail_start(subscription, &why);
	if (status != TIDE_OK && err)
		*err = why;

	mutex_lock(&subscription->lock);
	run_move_thread(&subscription->run, status == TIDE_OK ? THREAD_ALIVE : THREAD_NONE);
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
	return status;
}

tide_status control_start(struct tide_manager *manager, struct tide_subscription *subscription,
			  bool is_restart, struct tide_error *err)
{
	mutex_lock(&subscription->lock);
	/* by another start, whose run may have failed already */
	while (subscription->run.thread == THREAD_CHANGING)
		cond_wait(&subscription->changed, &subscription->lock);
	bool is_under_way = run_is_under_way(&subscription->run);
	tide_status status = TIDE_OK;
	if (!is_under_way || is_restart)
		status = control_begin_locked(subscription, is_restart, err);
	bool has_begun = status == TIDE_OK && (!is_under_way || is_restart);
	if (has_begun && manager->is_threaded)
		run_move_thread(&subscription->run, THREAD_CHANGING);
	mutex_unlock(&subscription->lock);

	if (has_begun)
		subscription_tell_moves(subscription);
	return has_begun && manager->is_threaded ? control_start_thread(subscription, err) : status;
}

static bool control_has_started_locked(const struct tide_subscription *subscription,
				       bool until_live) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	enum tide_state state = subscription->states.state;
	if (!run_is_under_way(&subscription->run))
		return true;
	if (!until_live)
		return subscription->start_stage >= START_RESOLVED;
	return subscription->ownership.state == OWNERSHIP_STANDBY || state == TIDE_STATE_LIVE ||
	       state == TIDE_STATE_PAUSED;
}

tide_status control_wait_started(struct tide_subscription *subscription, bool until_live,
				 struct mono_time deadline, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&subscription->lock);
	while (!control_has_started_locked(subscription, until_live) &&
	       cond_wait_until(&subscription->changed, &subscription->lock, deadline)) {
	}

	/* What went wrong when that had been reached is not what the start came to, however soon it
	 * was. */
	bool has_reached =
		subscription->start_stage >= (until_live ? START_CAUGHT_UP : START_RESOLVED);
	if (subscription->states.state == TIDE_STATE_ERROR && !has_reached) {
		status = subscription->error.status;
		if (err)
			*err = subscription->error;
	}

	mutex_unlock(&subscription->lock);
	return status;
}

/* ---- Stopping -------------------------------------------------------------------------------- */

void control_ask_stop(struct tide_subscription *subscription, struct mono_time deadline)
{
	mutex_lock(&subscription->lock);
	subscription->stop.deadline = deadline;
	bool is_running = run_exists(&subscription->run);
	if (is_running && !run_is_ending(&subscription->run))
		subscription_run_locked(subscription, RUN_STOPPING);
	mutex_unlock(&subscription->lock);
	if (is_running)
		subscription_nudge(subscription);
}

bool control_is_ended(struct tide_subscription *subscription)
{
	return !runner_is_running(subscription);
}

/* While this is set, a runner whose handler returns waits before it touches its progress. */
static bool control_freeze_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	bool is_in_hand = atomic_load(&subscription->hand.since) != 0;
	subscription->stop.is_frozen = is_in_hand &&
				       !transaction_is_open(&subscription->runner.transaction) &&
				       ownership_is_ours(&subscription->ownership);
	return subscription->stop.is_frozen;
}

static bool control_save_prefix(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_frozen = !subscription->stop.is_frozen && control_freeze_locked(subscription);
	mutex_unlock(&subscription->lock);
	if (!is_frozen)
		return false;
	bool is_written = save_from_outside(subscription);
	mutex_lock(&subscription->lock);
	assert(subscription->stop.is_frozen);
	subscription->stop.is_frozen = false;
	subscription->stop.was_saved = subscription->stop.was_saved || is_written;
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
	return is_written;
}

struct control_save {
	struct tide_manager *manager;
	struct tide_subscription *subscription;
};

static void control_run_save(void *self)
{
	struct control_save *save = self;
	(void)control_save_prefix(save->subscription);
	manager_unpin_one(save->manager);
}

void control_save_aside(struct tide_manager *manager, struct tide_subscription *subscription,
			struct mono_time limit)
{
	if (atomic_load(&subscription->hand.since) == 0)
		return;
	struct control_save *save = alloc_zero(1, sizeof *save);
	tide_status status = TIDE_OUT_OF_MEMORY;
	manager_pin_again(manager);
	if (save) {
		*save = (struct control_save){ manager, subscription };
		status = errand_run(control_run_save, save, limit, NULL, NULL);
	}

	if (status == TIDE_OUT_OF_MEMORY) /* rather without a limit than not at all */
		control_run_save(&(struct control_save){ manager, subscription });
	else if (status != TIDE_OK)
		log_at(TIDE_LOG_WARNING, "checkpoint", "the settled prefix is not saved yet",
		       "name='%s'", subscription->name);
}

struct control_interrupt {
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	int64_t hand;
};

static void control_run_interrupt(void *self)
{
	struct control_interrupt *interrupt = self;
	struct tide_subscription *subscription = interrupt->subscription;
	if (interrupt_run(subscription, interrupt->hand))
		log_at(TIDE_LOG_NOTICE, "subscription",
		       "what it does in its database is interrupted", "name='%s'",
		       subscription->name);
	manager_unpin_one(interrupt->manager);
}

void control_interrupt_aside(struct tide_manager *manager, struct tide_subscription *subscription,
			     int64_t hand)
{
	struct control_interrupt *interrupt = alloc_zero(1, sizeof *interrupt);
	tide_status status = TIDE_OUT_OF_MEMORY;
	manager_pin_again(manager);
	if (interrupt) {
		*interrupt = (struct control_interrupt){ manager, subscription, hand };
		status = errand_run(control_run_interrupt, interrupt, clock_mono(&clock_system),
				    NULL, NULL);
	}
	if (status == TIDE_OUT_OF_MEMORY)
		control_run_interrupt(&(struct control_interrupt){ manager, subscription, hand });
}

/* STOPPED without what has not returned: whatever that comes to is ignored. */
static bool control_abandon(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_abandoned = run_is_under_way(&subscription->run);
	if (is_abandoned) {
		struct tide_error why;
		(void)control_say_left_locked(subscription, TIDE_TIMEOUT, &why);
		(void)subscription_move_locked(subscription, TIDE_STATE_STOPPED, why.message);
		subscription_run_locked(subscription, RUN_ABANDONED);
		subscription->span.ended = clock_mono(subscription->engine->clock);
	}

	mutex_unlock(&subscription->lock);
	if (is_abandoned)
		subscription_tell_moves(subscription);
	return is_abandoned;
}

tide_status control_wait_stopped(struct tide_manager *manager,
				 struct tide_subscription *subscription,
				 struct mono_time save_until, struct tide_error *err)
{
	mutex_lock(&subscription->lock);
	while (run_is_under_way(&subscription->run) &&
	       cond_wait_until(&subscription->changed, &subscription->lock,
			       subscription->stop.deadline)) {
	}

	bool is_over = !run_exists(&subscription->run);
	mutex_unlock(&subscription->lock);
	if (is_over)
		return TIDE_OK;

	int64_t hand = atomic_load(&subscription->hand.since);
	if (control_abandon(subscription)) {
		control_save_aside(manager, subscription, save_until);
		/* else it may be at its last save: the watchdog gives that its time */
		if (hand != 0)
			control_interrupt_aside(manager, subscription, hand);
	}

	mutex_lock(&subscription->lock);
	tide_status status = control_say_left_locked(subscription, TIDE_TIMEOUT, err);
	mutex_unlock(&subscription->lock);
	return status;
}

void control_join(struct tide_subscription *subscription)
{
	struct mono_time patience = mono_add(clock_mono(&clock_system), CONTROL_SAVE_NS);
	mutex_lock(&subscription->lock);
	while (run_exists(&subscription->run) && subscription->run.thread != THREAD_NONE) {
		int64_t hand = atomic_load(&subscription->hand.since);
		mutex_unlock(&subscription->lock);
		if (hand != 0 || mono_since(clock_mono(&clock_system), patience) >= 0)
			(void)interrupt_run(subscription, hand);
		mutex_lock(&subscription->lock);
		if (run_exists(&subscription->run))
			(void)cond_wait_until(
				&subscription->changed, &subscription->lock,
				mono_add(clock_mono(&clock_system), CONTROL_INTERRUPT_AGAIN_NS));
	}

	mutex_unlock(&subscription->lock);
	thread_join(&subscription->thread);
}

/* ---- Pausing --------------------------------------------------------------------------------- */

bool tide_manager_pause(struct tide_manager *manager, const char *name,
			enum tide_pause_reason reason)
{
	/* the other one is the library's */
	if (reason != TIDE_PAUSE_MANUAL && reason != TIDE_PAUSE_MAINTENANCE)
		return false;
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return false;
	struct clock *clock = subscription->engine->clock;
	bool has_effect = pause_begin(subscription, reason, clock_mono(clock), clock_wall(clock));
	if (has_effect)
		subscription_nudge(subscription);
	manager_unpin_one(manager);
	return has_effect;
}

bool tide_manager_resume(struct tide_manager *manager, const char *name)
{
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return false;
	bool has_moved = pause_end(subscription, false);
	if (has_moved)
		subscription_nudge(subscription);
	manager_unpin_one(manager);
	return has_moved;
}

/* Both of them: every subscription in the order of registration. */
static tide_status control_each(struct tide_manager *manager, bool is_pause,
				enum tide_pause_reason reason, struct tide_named_flag **ret,
				size_t *ret_count, struct tide_error *err)
{
	if (!manager || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	struct manager_set set;
	tide_status status = manager_pin(manager, NULL, &set, err);
	if (status != TIDE_OK)
		return status;

	struct tide_named_flag *flags = alloc_zero(set.count + 1, sizeof *flags);
	for (size_t i = 0; flags && i < set.count; i++) {
		memcpy(flags[i].name, set.items[i]->name, sizeof flags[i].name);
		flags[i].took_effect = is_pause ? tide_manager_pause(manager, flags[i].name, reason)
						: tide_manager_resume(manager, flags[i].name);
	}

	*ret_count = flags ? set.count : *ret_count;
	manager_unpin(manager, &set);
	if (!flags)
		return alloc_fail(err);

	*ret = flags;
	return TIDE_OK;
}

tide_status tide_manager_pause_all(struct tide_manager *manager, enum tide_pause_reason reason,
				   struct tide_named_flag **ret, size_t *ret_count,
				   struct tide_error *err)
{
	return control_each(manager, true, reason, ret, ret_count, err);
}

tide_status tide_manager_resume_all(struct tide_manager *manager, struct tide_named_flag **ret,
				    size_t *ret_count, struct tide_error *err)
{
	return control_each(manager, false, TIDE_PAUSE_MANUAL, ret, ret_count, err);
}

bool tide_manager_reset_breakers(struct tide_manager *manager, const char *name)
{
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return false;

	gate_reset(subscription, GATE_HANDLER);
	gate_reset(subscription, GATE_INFRA);
	subscription_nudge(subscription);
	manager_unpin_one(manager);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run of a subscription, from outside: begun, asked to stop, given up. Any thread.
 *
 * Happy path: what is wanted is written under the subscription's lock, the runner is nudged and
 * obeys before the next event; whoever waits, waits for what the runner announces.
 * Failure modes: its thread cannot be made: the run ends in ERROR. The handler does not return by
 * the deadline: the subscription is STOPPED without it, what is settled is saved from here, and the
 * runner ends when the handler returns, ignoring what it came to.
 */
#include "path/run.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "path/runner.h"
#include "path/save.h"

/* What a run that a stop has left behind, or is about to, is still in: the stop and who is refused
 * for it say the same. */
static tide_status run_say_left_locked(struct tide_subscription *subscription, tide_status status,
				       struct tide_error *err) TIDE_REQUIRES(subscription->lock)
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

tide_status run_say_left(struct tide_subscription *subscription, struct tide_error *err)
{
	mutex_lock(&subscription->lock);
	tide_status status = run_say_left_locked(subscription, TIDE_TIMEOUT, err);
	mutex_unlock(&subscription->lock);
	return status;
}

tide_status run_check_left_locked(struct tide_subscription *subscription, struct tide_error *err)
{
	assert(mutex_is_mine(&subscription->lock));
	return subscription->run.state == RUN_ABANDONED
		       ? run_say_left_locked(subscription, TIDE_BUSY, err)
		       : TIDE_OK;
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* What metrics count over the whole life of a subscription, and statistics by the run. */
static void run_keep_totals_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	subscription->metrics.blocked_ns += subscription->flow.total_pause_ns;
	for (size_t i = 0; i < RETRY_OPERATIONS; i++)
		subscription->metrics.retries[i] += subscription->retries[i].retries;
}

/* A new run: nothing of the last one counts, but its position, for a restart. */
static void run_reset_locked(struct tide_subscription *subscription, bool is_restart)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct clock *clock = subscription->engine->clock;
	run_keep_totals_locked(subscription);
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
	subscription->span.number++;
	assert(subscription->runner.start.standing != STANDING_RESOLVED);
	subscription->runner.start.basis = is_restart ? BASIS_RESTART : BASIS_CONFIGURED;
	if (!is_restart)
		subscription->runner.start.standing = STANDING_UNKNOWN;
}

static tide_status run_begin_locked(struct tide_subscription *subscription, bool is_restart,
				    struct tide_error *err) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	tide_status status = run_check_left_locked(subscription, err);
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
	run_reset_locked(subscription, is_restart);
	cond_broadcast(&subscription->changed);
	return TIDE_OK;
}

static void run_fail_start(struct tide_subscription *subscription, const struct tide_error *why)
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

void run_await_failed(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	while (subscription->run.state == RUN_FAILED)
		cond_wait(&subscription->changed, &subscription->lock);
	mutex_unlock(&subscription->lock);
}

void run_refuse(struct tide_subscription *subscription, const struct tide_error *why)
{
	mutex_lock(&subscription->lock);
	while (subscription->run.thread == THREAD_CHANGING)
		cond_wait(&subscription->changed, &subscription->lock);
	bool has_begun = !run_exists(&subscription->run) &&
			 run_begin_locked(subscription, false, NULL) == TIDE_OK;
	mutex_unlock(&subscription->lock);
	if (!has_begun)
		return;
	subscription_tell_moves(subscription);
	run_fail_start(subscription, why);
}

static tide_status run_start_thread(struct tide_subscription *subscription, struct tide_error *err)
{
	thread_join(&subscription->thread); /* of the last run: it has ended */
	struct tide_error why;
	char name[sizeof subscription->thread.name] = "tide-runner";
	if (subscription->lanes.head)
		snprintf(name, sizeof name, "tide-lane-%u", subscription->lanes.index);
	tide_status status = thread_start_watched(&subscription->thread, name, runner_thread,
						  runner_thread_died, subscription, &why);
	if (status != TIDE_OK)
		run_fail_start(subscription, &why);
	if (status != TIDE_OK && err)
		*err = why;

	mutex_lock(&subscription->lock);
	run_move_thread(&subscription->run, status == TIDE_OK ? THREAD_ALIVE : THREAD_NONE);
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
	return status;
}

tide_status run_start(struct tide_subscription *subscription, bool is_threaded, bool is_restart,
		      struct tide_error *err)
{
	mutex_lock(&subscription->lock);
	/* by another start, whose run may have failed already */
	while (subscription->run.thread == THREAD_CHANGING)
		cond_wait(&subscription->changed, &subscription->lock);
	bool is_under_way = run_is_under_way(&subscription->run);
	tide_status status = TIDE_OK;
	if (!is_under_way || is_restart)
		status = run_begin_locked(subscription, is_restart, err);
	bool has_begun = status == TIDE_OK && (!is_under_way || is_restart);
	if (has_begun && is_threaded)
		run_move_thread(&subscription->run, THREAD_CHANGING);
	mutex_unlock(&subscription->lock);

	if (has_begun)
		subscription_tell_moves(subscription);
	return has_begun && is_threaded ? run_start_thread(subscription, err) : status;
}

static bool run_has_started_locked(const struct tide_subscription *subscription, bool until_live)
	TIDE_REQUIRES(subscription->lock)
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

tide_status run_wait_started(struct tide_subscription *subscription, bool until_live,
			     struct mono_time deadline, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&subscription->lock);
	while (!run_has_started_locked(subscription, until_live) &&
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

void run_ask_stop(struct tide_subscription *subscription, struct mono_time deadline)
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

bool run_is_over(struct tide_subscription *subscription)
{
	return !runner_is_running(subscription);
}

bool run_wait_over(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	while (run_is_under_way(&subscription->run) &&
	       cond_wait_until(&subscription->changed, &subscription->lock,
			       subscription->stop.deadline)) {
	}
	bool is_over = !run_exists(&subscription->run);
	mutex_unlock(&subscription->lock);
	return is_over;
}

/* While this is set, a runner whose handler returns waits before it touches its progress. */
static bool run_freeze_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	bool is_in_hand = atomic_load(&subscription->hand.since) != 0;
	subscription->stop.is_frozen = is_in_hand &&
				       !transaction_is_open(&subscription->runner.transaction) &&
				       ownership_is_ours(&subscription->ownership);
	return subscription->stop.is_frozen;
}

bool run_save_prefix(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_frozen = !subscription->stop.is_frozen && run_freeze_locked(subscription);
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

/* STOPPED without what has not returned: whatever that comes to is ignored. */
bool run_abandon(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_abandoned = run_is_under_way(&subscription->run);
	if (is_abandoned) {
		struct tide_error why;
		(void)run_say_left_locked(subscription, TIDE_TIMEOUT, &why);
		(void)subscription_move_locked(subscription, TIDE_STATE_STOPPED, why.message);
		subscription_run_locked(subscription, RUN_ABANDONED);
		subscription->span.ended = clock_mono(subscription->engine->clock);
	}

	mutex_unlock(&subscription->lock);
	if (is_abandoned)
		subscription_tell_moves(subscription);
	return is_abandoned;
}

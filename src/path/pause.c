/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pausing and resuming one subscription, from any thread.
 *
 * Happy path: the state moves under the subscription's lock, and the runner, which is nudged or is
 * the caller, rests before the next event, with what is settled saved; resuming moves it back to
 * where it was.
 * Failure modes: it does not run, or a stop was asked for: without effect. Its breaker has paused
 * it already: a person's pause takes that one's place, so that no probe ends it.
 */
#include "path/pause.h"

#include <assert.h>

static const char *pause_why(enum tide_pause_reason reason)
{
	return reason == TIDE_PAUSE_BACKPRESSURE ? "handler breaker is open"
						 : tide_pause_reason_name(reason);
}

static bool pause_is_by_breaker_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	return subscription->states.state == TIDE_STATE_PAUSED &&
	       subscription->pause_reason == TIDE_PAUSE_BACKPRESSURE;
}

bool pause_begin(struct tide_subscription *subscription, enum tide_pause_reason reason,
		 struct mono_time now, struct tide_time wall)
{
	mutex_lock(&subscription->lock);
	bool is_person = reason != TIDE_PAUSE_BACKPRESSURE;
	bool takes_over = is_person && pause_is_by_breaker_locked(subscription);
	enum tide_state from = subscription->states.state;
	bool may_move = state_is_running(from) && !(is_person && run_is_ending(&subscription->run));
	bool has_moved = may_move && subscription_move_locked(subscription, TIDE_STATE_PAUSED,
							      pause_why(reason)) == TIDE_OK;
	if (has_moved) {
		subscription->paused_from = from;
		subscription->paused_at = wall;
		subscription->paused_mono = now;
		subscription->is_pause_save_due = true;
	}

	if (has_moved || takes_over)
		subscription->pause_reason = reason;
	mutex_unlock(&subscription->lock);

	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved || takes_over;
}

bool pause_end(struct tide_subscription *subscription, bool is_probe)
{
	const char *why = is_probe ? "handler breaker lets a probe through" : "resumed";
	mutex_lock(&subscription->lock);
	enum tide_state to = subscription->paused_from;
	bool may_move = subscription->states.state == TIDE_STATE_PAUSED &&
			(!is_probe || pause_is_by_breaker_locked(subscription));
	assert(!may_move || state_is_running(to));
	bool has_moved = may_move && subscription_move_locked(subscription, to, why) == TIDE_OK;
	if (has_moved && !is_probe)
		subscription->is_manual_probe =
			subscription->handler_breaker.state != BREAKER_CLOSED;
	mutex_unlock(&subscription->lock);

	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved;
}

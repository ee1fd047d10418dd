/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pausing and resuming one subscription, from any thread.
 *
 * Happy path: the state moves under the subscription's lock, and the runner, which is nudged or is
 * the caller, rests before the next event, with what is settled saved; resuming moves it back to
 * where it was.
 * Failure modes: it does not run, or a stop was asked for: a pause by this manager is without
 * effect, and a durable one is obeyed by the next start. Its breaker has paused it already: a
 * person's pause takes that one's place, so that no probe ends it.
 *
 *	PAUSED while `pauses` is not empty:  HERE | DURABLY, each until it is ended    BREAKER, alone
 */
#include "path/pause.h"

#include <assert.h>
#include <stdio.h>

#include "path/controls.h"
#include "sys/log.h"

static void pause_say_locked(const struct tide_subscription *subscription, char *ret, size_t size)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const char *reason = tide_pause_reason_name(subscription_pause_reason_locked(subscription));
	if (subscription->pause.by & PAUSED_DURABLY)
		snprintf(ret, size, "%s, by '%.100s'", reason,
			 subscription->pause.control.paused_by);
	else
		snprintf(ret, size, "%s",
			 subscription->pause.by & PAUSED_HERE ? reason : "handler breaker is open");
}

bool pause_enter_locked(struct tide_subscription *subscription, enum tide_state from,
			struct mono_time now, struct tide_time wall)
{
	assert(mutex_is_mine(&subscription->lock));
	char why[160];
	pause_say_locked(subscription, why, sizeof why);
	if (subscription_move_locked(subscription, TIDE_STATE_PAUSED, why) != TIDE_OK)
		return false;
	subscription->pause.from = from;
	subscription->pause.at = wall;
	subscription->pause.since = now;
	subscription->pause.is_save_due = true;
	return true;
}

bool pause_begin(struct tide_subscription *subscription, enum tide_pause_reason reason,
		 struct mono_time now, struct tide_time wall)
{
	mutex_lock(&subscription->lock);
	bool is_person = reason != TIDE_PAUSE_BACKPRESSURE, has_moved = false;
	enum tide_state from = subscription->states.state;
	bool takes_over = is_person && from == TIDE_STATE_PAUSED &&
			  subscription->pause.by == PAUSED_BY_BREAKER;
	bool may_move = state_is_running(from) && !(is_person && run_is_ending(&subscription->run));

	if (takes_over || may_move) {
		subscription->pause.by = is_person ? PAUSED_HERE : PAUSED_BY_BREAKER;
		subscription->pause.here_reason = reason;
	}
	if (may_move)
		has_moved = pause_enter_locked(subscription, from, now, wall);
	mutex_unlock(&subscription->lock);

	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved || takes_over;
}

/* No pause is left. */
static bool pause_leave_locked(struct tide_subscription *subscription, bool is_probe,
			       const char *why) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	enum tide_state to = subscription->pause.from;
	assert(state_is_running(to));
	if (subscription_move_locked(subscription, to, why) != TIDE_OK)
		return false;
	if (!is_probe)
		subscription->pause.is_probe_asked =
			subscription->breakers.handler.state != BREAKER_CLOSED;
	return true;
}

bool pause_end(struct tide_subscription *subscription, bool is_probe)
{
	const char *why = is_probe ? "handler breaker lets a probe through" : "resumed";
	mutex_lock(&subscription->lock);
	bool may_end = is_probe ? subscription->pause.by == PAUSED_BY_BREAKER
				: !(subscription->pause.by & PAUSED_DURABLY);
	bool has_moved = false;
	if (may_end && subscription->states.state == TIDE_STATE_PAUSED) {
		subscription->pause.by = 0;
		has_moved = pause_leave_locked(subscription, is_probe, why);
	}
	mutex_unlock(&subscription->lock);

	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved;
}

/* ---- What the database says ------------------------------------------------------------------ */

static bool pause_take_locked(struct tide_subscription *subscription, const struct pause_word *word)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	enum tide_state state = subscription->states.state;
	subscription->pause.control = *word->control;
	subscription->pause.by = (subscription->pause.by & PAUSED_HERE) | PAUSED_DURABLY;
	if (!state_is_running(state) || run_is_ending(&subscription->run))
		return false;
	return pause_enter_locked(subscription, state, word->asked, word->wall);
}

static bool pause_drop_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	subscription->pause.by &= ~(unsigned)PAUSED_DURABLY;
	return subscription->pause.by == 0 && subscription->states.state == TIDE_STATE_PAUSED &&
	       pause_leave_locked(subscription, false, "resumed");
}

static void pause_log(const struct tide_subscription *subscription, const struct pause_word *word)
{
	const struct tide_control *control = word->control;
	char since[TIDE_TIME_TEXT_SIZE];
	if (!control)
		log_at(TIDE_LOG_NOTICE, "subscription", "the durable pause has ended", "name='%s'",
		       subscription->name);
	else
		log_at(TIDE_LOG_NOTICE, "subscription", "paused durably",
		       "name='%s' by='%s' since=%s reason=%s note='%s'", subscription->name,
		       control->paused_by, tide_time_format(control->paused_at, since),
		       tide_pause_reason_name(control->reason), control->note);
}

const struct tide_control *pause_find(const struct tide_subscription *subscription,
				      const struct tide_control *list, size_t count)
{
	const struct tide_control *control =
		controls_find(list, count, subscription_title(subscription));
	return control ? control : controls_find(list, count, subscription->name);
}

bool pause_obey(struct tide_subscription *subscription, const struct pause_word *word)
{
	bool has_moved = false, is_news = false;
	mutex_lock(&subscription->lock);
	bool was_paused = subscription->pause.by & PAUSED_DURABLY;
	if (word->asked.ns >= subscription->pause.asked.ns) {
		subscription->pause.asked = word->asked;
		is_news = was_paused != (word->control != NULL);
		if (word->control)
			has_moved = pause_take_locked(subscription, word);
		else if (was_paused)
			has_moved = pause_drop_locked(subscription);
	}
	mutex_unlock(&subscription->lock);

	if (is_news)
		pause_log(subscription, word);
	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved;
}

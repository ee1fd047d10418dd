/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What everybody may see of a subscription and ask of it. Everything here works under its lock, and
 * all but subscription_wait returns at once; the runner does the work.
 */
#include "path/subscription.h"

#include <assert.h>
#include <string.h>

#include "core/text.h"
#include "path/limit.h"
#include "sys/alloc.h"
#include "sys/log.h"

_Thread_local const struct engine *engine_of_thread;

/* ---- State ----------------------------------------------------------------------------------- */

void subscription_note_move_locked(struct tide_subscription *subscription, enum tide_state from,
				   enum tide_state to, const char *why)
{
	assert(mutex_is_mine(&subscription->lock));
	struct moves *moves = &subscription->moves;
	/* more threads than that have moved it and not told yet: the oldest is lost */
	if (moves->count == MOVES_MAX) {
		moves->first = (moves->first + 1) % MOVES_MAX;
		moves->count--;
	}
	struct move *move = &moves->ring[(moves->first + moves->count++) % MOVES_MAX];
	move->from = from;
	move->to = to;
	size_t size = utf8_cut(why, strlen(why), sizeof move->why - 1);
	memcpy(move->why, why, size);
	move->why[size] = '\0';
}

tide_status subscription_move_locked(struct tide_subscription *subscription, enum tide_state to,
				     const char *why)
{
	assert(mutex_is_mine(&subscription->lock));
	enum tide_state from = subscription->states.state;
	tide_status status = states_move(&subscription->states, to, NULL);
	if (status != TIDE_OK)
		return status;
	atomic_store(&subscription->state_now, (int)to);
	subscription_note_move_locked(subscription, from, to, why);
	if (to == TIDE_STATE_LIVE || to == TIDE_STATE_PAUSED)
		subscription->start_stage = START_CAUGHT_UP;
	if (from == TIDE_STATE_LIVE || to == TIDE_STATE_LIVE) /* these clocks run only while LIVE */
		subscription->backpressured_since = clock_mono(subscription->engine->clock);
	cond_broadcast(&subscription->changed);
	return TIDE_OK;
}

static bool subscription_next_move(struct tide_subscription *subscription, struct move *ret)
{
	struct moves *moves = &subscription->moves;
	mutex_lock(&subscription->lock);
	bool has_one = moves->count > 0;
	if (has_one) {
		*ret = moves->ring[moves->first];
		moves->first = (moves->first + 1) % MOVES_MAX;
		moves->count--;
	}
	mutex_unlock(&subscription->lock);
	return has_one;
}

void subscription_tell_moves(struct tide_subscription *subscription)
{
	struct move move;
	assert(!mutex_is_mine(&subscription->lock));
	if (mutex_is_mine(&subscription->telling))
		return; /* called back by the sink: who called it goes on */
	mutex_lock(&subscription->telling);
	while (subscription_next_move(subscription, &move))
		log_at(TIDE_LOG_INFO, "subscription", "state changed",
		       "name='%s' from=%s to=%s reason='%s'", subscription->name,
		       tide_state_name(move.from), tide_state_name(move.to), move.why);
	mutex_unlock(&subscription->telling);
}

void subscription_run_locked(struct tide_subscription *subscription, enum run_state to)
{
	assert(mutex_is_mine(&subscription->lock));
	run_move(&subscription->run, to);
	bool is_first = to == RUN_STARTING, is_over = to == RUN_NONE;
	assert(!(is_first || is_over) || subscription->ownership.state == OWNERSHIP_NONE);
	assert(!is_first || subscription->states.state == TIDE_STATE_STARTING);
	assert(!(is_over || to == RUN_ABANDONED) || state_is_terminal(subscription->states.state));
	(void)is_first;
	(void)is_over;
}

void subscription_own_locked(struct tide_subscription *subscription, enum ownership_state to)
{
	assert(mutex_is_mine(&subscription->lock));
	ownership_move(&subscription->ownership, to);
	bool exists = ownership_exists(&subscription->ownership);
	assert(!exists || run_exists(&subscription->run));
	assert(!exists || (subscription->lease.fence.name == subscription->name &&
			   subscription->lease.fence.epoch > 0));
	assert(to != OWNERSHIP_STANDBY || subscription->states.state == TIDE_STATE_STARTING ||
	       subscription->run.state == RUN_ABANDONED);
	if (exists && subscription->lanes.elsewhere.owner == LANE_UNOWNED)
		subscription->lanes.elsewhere.owner = LANE_OWNED;
}

void subscription_lose_locked(struct tide_subscription *subscription)
{
	assert(mutex_is_mine(&subscription->lock));
	if (ownership_is_ours(&subscription->ownership))
		subscription_own_locked(subscription, OWNERSHIP_LOST);
}

bool subscription_move(struct tide_subscription *subscription, enum tide_state to, const char *why)
{
	mutex_lock(&subscription->lock);
	bool has_moved = subscription_move_locked(subscription, to, why) == TIDE_OK;
	mutex_unlock(&subscription->lock);
	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved;
}

bool subscription_move_from(struct tide_subscription *subscription, enum tide_state from,
			    enum tide_state to, const char *why)
{
	mutex_lock(&subscription->lock);
	bool has_moved = subscription->states.state == from &&
			 subscription_move_locked(subscription, to, why) == TIDE_OK;
	mutex_unlock(&subscription->lock);
	if (has_moved)
		subscription_tell_moves(subscription);
	return has_moved;
}

bool subscription_is_backpressured_locked(const struct tide_subscription *subscription)
{
	assert(mutex_is_mine(&subscription->lock));
	return subscription->flow.in_flight >= subscription->runner.feed.limits.threshold;
}

void subscription_nudge(struct tide_subscription *subscription)
{
	atomic_store(&subscription->attention, true);
	wakeup_ring(&subscription->wakeup, RING_CONTROL);
}

/* As the feed has it, to which 0 is none. */
static tide_position subscription_bound(tide_position limit)
{
	return limit > 0 ? limit : FEED_BOUND_BEGIN;
}

void subscription_limit(struct tide_subscription *subscription, uint32_t lane, tide_position limit)
{
	struct tide_subscription *own = lane_at(subscription, lane);
	atomic_store(&own->runner.feed.bound.position, subscription_bound(limit));
	subscription_nudge(own);
}

bool subscription_is_at_limit(struct tide_subscription *subscription, uint32_t lane,
			      tide_position limit)
{
	struct tide_subscription *own = lane_at(subscription, lane);
	return atomic_load(&own->runner.feed.bound.met) == subscription_bound(limit);
}

struct tide_uuid subscription_member(const struct tide_subscription *subscription)
{
	return subscription->owner;
}

/* ---- Status ---------------------------------------------------------------------------------- */

enum tide_pause_reason
subscription_pause_reason_locked(const struct tide_subscription *subscription)
{
	if (subscription->pause.by & PAUSED_DURABLY)
		return subscription->pause.control.reason;
	return subscription->pause.by & PAUSED_HERE ? subscription->pause.here_reason
						    : TIDE_PAUSE_BACKPRESSURE;
}

static void subscription_snapshot_pause_locked(const struct tide_subscription *subscription,
					       struct mono_time now,
					       struct tide_subscription_status *ret)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	if (subscription->states.state != TIDE_STATE_PAUSED)
		return;
	ret->pause_reason = subscription_pause_reason_locked(subscription);
	ret->paused_at = subscription->pause.at;
	ret->pause_duration_seconds = seconds_of_ns(mono_since(now, subscription->pause.since));
	if (!(subscription->pause.by & PAUSED_DURABLY))
		return;

	const struct tide_control *control = &subscription->pause.control;
	int64_t us = clock_wall(subscription->engine->clock).unix_us - control->paused_at.unix_us;
	ret->paused_at = control->paused_at;
	ret->pause_duration_seconds = us > 0 ? (double)us / 1e6 : 0;
	memcpy(ret->paused_by, control->paused_by, sizeof ret->paused_by);
	memcpy(ret->pause_note, control->note, sizeof ret->pause_note);
}

static void subscription_snapshot_counts_locked(const struct tide_subscription *subscription,
						struct tide_subscription_status *ret)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));

	const struct run_counts *counts = &subscription->counts;
	ret->events_processed = counts->processed;
	ret->events_failed = counts->failed;
	ret->events_dlq = counts->dead_lettered;
	ret->events_skipped = counts->skipped;
	ret->events_discarded = counts->discarded;
	ret->redeliveries_resolved = subscription->redelivered.ok;
	ret->redeliveries_failed = subscription->redelivered.failed;
	ret->has_last_processed_at = counts->processed > 0;
	ret->last_processed_at = counts->last_processed_at;
	ret->last_event_id = counts->last_event_id;
	memcpy(ret->last_event_type, counts->last_event_type, sizeof ret->last_event_type);
	ret->in_flight = subscription->flow.in_flight;
	ret->in_flight_peak = subscription->flow.peak_in_flight;
	ret->backpressure = subscription_is_backpressured_locked(subscription);
}

void subscription_snapshot_locked(struct tide_subscription *subscription,
				  const struct probe_answer *answer,
				  struct tide_subscription_status *ret)
{
	assert(mutex_is_mine(&subscription->lock));
	*ret = (struct tide_subscription_status){ .lag_stale = !answer->is_fresh };
	memcpy(ret->name, subscription->name, sizeof ret->name);
	struct mono_time now = clock_mono(subscription->engine->clock);
	ret->state = subscription->states.state;
	ret->has_previous_state = subscription->states.has_previous;
	ret->previous_state = subscription->states.previous;
	ret->position = subscription->position;
	ret->lag_known = answer->has_end;
	if (answer->has_end && answer->end > subscription->position)
		ret->lag_events = answer->end - subscription->position;
	ret->has_started_at = subscription->span.number > 0;
	ret->started_at = subscription->span.started_at;
	if (ret->has_started_at) {
		bool has_ended = state_is_terminal(subscription->states.state);
		ret->uptime_seconds = seconds_of_ns(mono_since(
			has_ended ? subscription->span.ended : now, subscription->span.started));
	}

	ret->error = subscription->error;
	ret->recent_errors_count = subscription->errors.count;
	ret->standby = subscription->ownership.state == OWNERSHIP_STANDBY;
	if (subscription->flow.is_at_hole && !state_is_terminal(subscription->states.state))
		memcpy(ret->waiting_for, answer->waiting_for, sizeof ret->waiting_for);
	subscription_snapshot_counts_locked(subscription, ret);
	subscription_snapshot_pause_locked(subscription, now, ret);
}

bool subscription_is_elsewhere_locked(const struct tide_subscription *subscription)
{
	assert(mutex_is_mine(&subscription->lock));
	return subscription->lanes.elsewhere.owner != LANE_UNKNOWN &&
	       (subscription->ownership.state == OWNERSHIP_STANDBY ||
		subscription->states.state == TIDE_STATE_STARTING);
}

/* Its run is over, and it is to begin again, standing by: it was given to another process. */
static bool subscription_is_given_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	return subscription->lanes.elsewhere.owner != LANE_UNKNOWN &&
	       subscription->states.state == TIDE_STATE_STOPPED;
}

tide_position subscription_place_locked(const struct tide_subscription *subscription)
{
	return subscription_is_elsewhere_locked(subscription)
		       ? subscription->lanes.elsewhere.position
		       : subscription->position;
}

/* A failure of a run that is over, or of a read that a pause has given up, says nothing of now. */
static bool subscription_is_trying_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	if (subscription->states.state == TIDE_STATE_PAUSED)
		return subscription->pause.is_save_due;
	return run_exists(&subscription->run) && !state_is_terminal(subscription->states.state);
}

void subscription_stores_locked(const struct tide_subscription *subscription,
				const struct probe_answer *answer,
				struct availability ret[DATABASES])
{
	assert(mutex_is_mine(&subscription->lock));
	bool is_trying = subscription_is_trying_locked(subscription);
	for (int i = 0; i < DATABASES; i++)
		ret[i] = is_trying
				 ? availability_worse(&subscription->stores[i], &answer->stores[i])
				 : answer->stores[i];
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static bool subscription_is_there_locked(const struct tide_subscription *subscription,
					 const struct subscription_goal *goal)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	if (goal->position >= 0)
		return subscription_place_locked(subscription) >= goal->position;
	return subscription->states.state == goal->state;
}

tide_status subscription_wait(struct tide_subscription *subscription,
			      const struct subscription_goal *goal, struct mono_time deadline,
			      struct tide_error *err)
{
	bool is_in_time = true, is_there, has_ended;
	mutex_lock(&subscription->lock);
	for (;;) {
		is_there = subscription_is_there_locked(subscription, goal);
		has_ended = state_is_terminal(subscription->states.state) &&
			    !run_exists(&subscription->run) &&
			    !subscription_is_given_locked(subscription);
		if (is_there || has_ended || !is_in_time)
			break;
		if (goal->position >= 0 && goal->position < subscription->wake_at)
			subscription->wake_at = goal->position;
		is_in_time = cond_wait_until(&subscription->changed, &subscription->lock, deadline);
	}

	enum tide_state state = subscription->states.state;
	tide_position position = subscription_place_locked(subscription);
	mutex_unlock(&subscription->lock);

	if (is_there)
		return TIDE_OK;
	return tide_fail(err, has_ended ? TIDE_STATE : TIDE_TIMEOUT,
			 "'%s' is %s at position %lld%s", subscription->name,
			 tide_state_name(state), (long long)position,
			 has_ended ? "" : ", and the time is up");
}

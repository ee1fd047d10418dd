/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription as who uses it sees it: itself, or all of its lanes together.
 *
 * Happy path: each lane is asked in turn, and what they say is folded: the least position, the
 * greatest lag, the state of the worst, everything counted in sum.
 * Failure modes: a lane is owned elsewhere: it stands by here, and as long as another one does not
 * it says no more than where its row stood when a member last looked.
 */
#include "path/lanes.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

#define WHOLE_LOOK_NS (10 * NS_PER_MS) /* of who waits for a state that no single lane has */

/* ---- State ----------------------------------------------------------------------------------- */

/* How much a state of one lane says of all of them. */
static int whole_weight(enum tide_state state)
{
	static const int weights[] = {
		[TIDE_STATE_STOPPED] = 0,  [TIDE_STATE_LIVE] = 1,   [TIDE_STATE_CATCHING_UP] = 2,
		[TIDE_STATE_STARTING] = 3, [TIDE_STATE_PAUSED] = 4, [TIDE_STATE_ERROR] = 5,
	};
	return weights[state];
}

static enum tide_state whole_state_of(const struct tide_subscription *lane)
{
	return (enum tide_state)atomic_load(&lane->state_now);
}

/* A lane that stands by is another process's, and is what the whole is only when all are. */
static bool whole_stands_by(struct tide_subscription *lane)
{
	mutex_lock(&lane->lock);
	bool is_standby = lane->ownership.state == OWNERSHIP_STANDBY;
	mutex_unlock(&lane->lock);
	return is_standby;
}

static enum tide_state whole_state(struct tide_subscription *subscription)
{
	int heaviest = -1;
	enum tide_state state = whole_state_of(lane_at(subscription, 0));
	for (uint32_t i = 0; subscription->lanes.list && i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		enum tide_state of = whole_state_of(lane);
		if (whole_weight(of) <= heaviest ||
		    (of == TIDE_STATE_STARTING && whole_stands_by(lane)))
			continue;
		heaviest = whole_weight(of);
		state = of;
	}
	return state;
}

bool whole_has_state(const struct tide_subscription *subscription, enum tide_state state)
{
	struct tide_subscription *self = (struct tide_subscription *)subscription;
	bool is_found = false;
	for (uint32_t i = 0; !is_found && i < lane_count(subscription); i++)
		is_found = whole_state_of(lane_at(self, i)) == state;
	return is_found;
}

const char *tide_subscription_name(const struct tide_subscription *subscription)
{
	return subscription ? subscription->name : "";
}

/* The locks are not part of the value. */
enum tide_state tide_subscription_state(const struct tide_subscription *subscription)
{
	return subscription ? whole_state((struct tide_subscription *)subscription)
			    : TIDE_STATE_STOPPED;
}

bool tide_subscription_is_running(const struct tide_subscription *subscription)
{
	return tide_state_is_running(tide_subscription_state(subscription));
}

bool tide_subscription_is_paused(const struct tide_subscription *subscription)
{
	return tide_state_is_paused(tide_subscription_state(subscription));
}

bool tide_subscription_is_terminal(const struct tide_subscription *subscription)
{
	return tide_state_is_terminal(tide_subscription_state(subscription));
}

/* It is not this process's, or was not when its run ended. */
static bool whole_is_others_locked(const struct tide_subscription *lane) TIDE_REQUIRES(lane->lock)
{
	assert(mutex_is_mine(&lane->lock));
	const struct states *states = &lane->states;
	return lane->ownership.state == OWNERSHIP_STANDBY ||
	       (states->state == TIDE_STATE_STOPPED && states->has_previous &&
		states->previous == TIDE_STATE_STARTING);
}

tide_position tide_subscription_position(const struct tide_subscription *subscription)
{
	struct tide_subscription *self = (struct tide_subscription *)subscription;
	tide_position least = -1;
	for (uint32_t i = 0; self && i < lane_count(self); i++) {
		struct tide_subscription *lane = lane_at(self, i);
		mutex_lock(&lane->lock);
		bool counts = !self->lanes.list || !whole_is_others_locked(lane);
		tide_position position = lane->position;
		mutex_unlock(&lane->lock);
		if (counts && (least < 0 || position < least))
			least = position;
	}
	return least < 0 ? 0 : least;
}

/* ---- Status ---------------------------------------------------------------------------------- */

static void whole_add_counts(struct tide_subscription_status *sum,
			     const struct tide_subscription_status *lane)
{
	sum->events_processed += lane->events_processed;
	sum->events_failed += lane->events_failed;
	sum->events_dlq += lane->events_dlq;
	sum->events_skipped += lane->events_skipped;
	sum->events_discarded += lane->events_discarded;
	sum->redeliveries_resolved += lane->redeliveries_resolved;
	sum->redeliveries_failed += lane->redeliveries_failed;
	sum->recent_errors_count += lane->recent_errors_count;
	sum->in_flight += lane->in_flight;
	sum->in_flight_peak += lane->in_flight_peak;
	sum->backpressure |= lane->backpressure;
	if (!lane->has_last_processed_at ||
	    (sum->has_last_processed_at &&
	     lane->last_processed_at.unix_us <= sum->last_processed_at.unix_us))
		return;
	sum->has_last_processed_at = true;
	sum->last_processed_at = lane->last_processed_at;
	sum->last_event_id = lane->last_event_id;
	memcpy(sum->last_event_type, lane->last_event_type, sizeof sum->last_event_type);
}

/* What the worst lane says of itself stands for all. */
static void whole_take_worst(struct tide_subscription_status *sum,
			     const struct tide_subscription_status *lane)
{
	sum->state = lane->state;
	sum->has_previous_state = lane->has_previous_state;
	sum->previous_state = lane->previous_state;
	sum->pause_reason = lane->pause_reason;
	sum->paused_at = lane->paused_at;
	sum->pause_duration_seconds = lane->pause_duration_seconds;
	memcpy(sum->paused_by, lane->paused_by, sizeof sum->paused_by);
	memcpy(sum->pause_note, lane->pause_note, sizeof sum->pause_note);
	if (lane->error.status != TIDE_OK)
		sum->error = lane->error;
}

static void whole_fold(struct tide_subscription_status *sum,
		       const struct tide_subscription_status *lane, bool is_first)
{
	if (is_first || lane->position < sum->position)
		sum->position = lane->position;
	if (lane->lag_events > sum->lag_events)
		sum->lag_events = lane->lag_events;
	if (is_first || whole_weight(lane->state) > whole_weight(sum->state))
		whole_take_worst(sum, lane);
	else if (sum->error.status == TIDE_OK)
		sum->error = lane->error;
	if (lane->has_started_at &&
	    (!sum->has_started_at || lane->started_at.unix_us < sum->started_at.unix_us))
		sum->started_at = lane->started_at;
	if (lane->uptime_seconds > sum->uptime_seconds)
		sum->uptime_seconds = lane->uptime_seconds;
	sum->has_started_at |= lane->has_started_at;
	sum->lag_known = lane->lag_known;
	sum->lag_stale = lane->lag_stale;
	if (!*sum->waiting_for)
		memcpy(sum->waiting_for, lane->waiting_for, sizeof sum->waiting_for);
	sum->standby = lane->standby;
	whole_add_counts(sum, lane);
}

/** What one lane says. */
struct whole_lane {
	struct tide_subscription_status status;
	bool is_owned;
	bool is_others;    /* and says something only where all of them are */
	bool is_elsewhere; /* its row says where it is */
};

static void whole_look(struct tide_subscription *lane, const struct probe_answer *answer,
		       struct whole_lane *ret)
{
	struct tide_subscription_status *status = &ret->status;
	mutex_lock(&lane->lock);
	subscription_snapshot_locked(lane, answer, status);
	ret->is_owned = ownership_is_ours(&lane->ownership);
	ret->is_others = whole_is_others_locked(lane);
	ret->is_elsewhere = subscription_is_elsewhere_locked(lane);
	if (ret->is_elsewhere)
		status->position = lane->lanes.elsewhere.position;
	mutex_unlock(&lane->lock);

	if (ret->is_elsewhere)
		status->lag_events =
			answer->end > status->position ? answer->end - status->position : 0;
}

static void whole_fold_elsewhere(struct tide_subscription_status *sum,
				 const struct tide_subscription_status *lane)
{
	if (lane->position >= sum->position)
		return;
	sum->position = lane->position;
	if (lane->lag_events > sum->lag_events)
		sum->lag_events = lane->lag_events;
}

/* Of those that are others', when no other says anything. */
static void whole_snapshot_lanes(struct tide_subscription *head, const struct probe_answer *answer,
				 struct tide_subscription_status *ret)
{
	struct tide_subscription_status elsewhere = { .position = INT64_MAX };
	struct whole_lane one;
	bool has_any = false;

	for (int round = 0; round < 2 && !has_any; round++)
		for (uint32_t i = 0; i < head->lanes.total; i++) {
			whole_look(head->lanes.list[i], answer, &one);
			if (one.is_elsewhere)
				whole_fold_elsewhere(&elsewhere, &one.status);
			if (one.is_others && round == 0)
				continue;
			whole_fold(ret, &one.status, !has_any);
			ret->lanes_owned += one.is_owned;
			has_any = true;
		}
	whole_fold_elsewhere(ret, &elsewhere);
}

void whole_snapshot(struct tide_subscription *subscription, const struct probe_answer *answer,
		    struct tide_subscription_status *ret)
{
	if (!subscription->lanes.list) {
		struct whole_lane one;
		whole_look(subscription, answer, &one);
		*ret = one.status;
		return;
	}
	*ret = (struct tide_subscription_status){ .lanes = subscription->lanes.total };
	memcpy(ret->name, subscription->name, sizeof ret->name);
	whole_snapshot_lanes(subscription, answer, ret);
}

tide_status tide_subscription_status(struct tide_subscription *subscription,
				     struct tide_subscription_status *ret, struct tide_error *err)
{
	if (!subscription || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 subscription ? "ret" : "subscription");
	struct probe_answer answer =
		probe_ask(&subscription->engine->probe, subscription->engine->probe_ns);
	whole_snapshot(subscription, &answer, ret);
	return TIDE_OK;
}

tide_status tide_subscription_lane_statuses(struct tide_subscription *subscription,
					    struct tide_subscription_status **ret,
					    size_t *ret_count, struct tide_error *err)
{
	if (!subscription || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 subscription ? "ret" : "subscription");
	struct tide_subscription_status *list =
		alloc_zero(lane_count(subscription) + (size_t)1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	struct probe_answer answer =
		probe_ask(&subscription->engine->probe, subscription->engine->probe_ns);
	for (uint32_t i = 0; i < lane_count(subscription); i++)
		whole_snapshot(lane_at(subscription, i), &answer, &list[i]);
	*ret_count = lane_count(subscription);
	*ret = list;
	return TIDE_OK;
}

/* ---- Failures -------------------------------------------------------------------------------- */

static bool whole_is_newer(const struct tide_recent_error *a, const struct tide_recent_error *b)
{
	return a->timestamp.unix_us > b->timestamp.unix_us;
}

/* Those of a lane come newest first; `list` is that, too. */
static void whole_insert(struct tide_recent_error *list, size_t *count, size_t most,
			 const struct tide_recent_error *error)
{
	size_t at = *count;
	while (at > 0 && whole_is_newer(error, &list[at - 1]))
		at--;
	if (at == most)
		return;
	size_t kept = *count < most ? *count : most - 1;
	memmove(&list[at + 1], &list[at], (kept - at) * sizeof *list);
	list[at] = *error;
	*count = kept + 1;
}

static void whole_add_errors(struct tide_subscription *lane, struct tide_recent_error *list,
			     size_t *count, size_t most)
{
	mutex_lock(&lane->lock);
	const struct error_log *log = &lane->errors;
	for (int32_t i = 0; i < log->count; i++)
		whole_insert(list, count, most, error_log_recent(log, i));
	mutex_unlock(&lane->lock);
}

static size_t whole_count_errors(struct tide_subscription *subscription)
{
	size_t most = (size_t)subscription->config.max_recent_errors, count = 0;
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		count += (size_t)lane->errors.count;
		mutex_unlock(&lane->lock);
	}
	return count < most ? count : most;
}

tide_status tide_subscription_recent_errors(struct tide_subscription *subscription,
					    struct tide_recent_error **ret, size_t *ret_count,
					    struct tide_error *err)
{
	if (!subscription || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 subscription ? "ret" : "subscription");

	size_t most = whole_count_errors(subscription), count = 0;
	struct tide_recent_error *list = alloc_zero(most + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);
	for (uint32_t i = 0; most > 0 && i < lane_count(subscription); i++)
		whole_add_errors(lane_at(subscription, i), list, &count, most);
	*ret_count = count;
	*ret = list;
	return TIDE_OK;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static tide_status whole_check_wait(const struct tide_subscription *subscription, double seconds,
				    struct tide_error *err)
{
	if (!subscription || !(seconds >= 0))
		return tide_fail(err, TIDE_ARGUMENT,
				 subscription ? "seconds %g is negative" : "subscription is NULL",
				 seconds);
	if (engine_of_thread == subscription->engine)
		return tide_fail(err, TIDE_DEADLOCK, "a handler may not wait for '%s'",
				 subscription->name);
	return TIDE_OK;
}

static struct mono_time whole_deadline(double seconds)
{
	return mono_add(clock_mono(&clock_system), ns_of_seconds(seconds));
}

tide_status tide_subscription_wait(struct tide_subscription *subscription, tide_position position,
				   double seconds, struct tide_error *err)
{
	if (position < 0)
		return tide_fail(err, TIDE_ARGUMENT, "position %lld is negative",
				 (long long)position);
	tide_status status = whole_check_wait(subscription, seconds, err);
	if (status != TIDE_OK)
		return status;

	struct mono_time deadline = whole_deadline(seconds);
	const struct subscription_goal goal = { .position = position };
	for (uint32_t i = 0; status == TIDE_OK && i < lane_count(subscription); i++)
		status = subscription_wait(lane_at(subscription, i), &goal, deadline, err);
	return status;
}

static bool whole_has_ended(struct tide_subscription *subscription)
{
	bool has_ended = true;
	for (uint32_t i = 0; has_ended && i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		has_ended = state_is_terminal(lane->states.state) && !run_exists(&lane->run);
		mutex_unlock(&lane->lock);
	}
	return has_ended;
}

/* No single lane announces what all of them come to. */
static tide_status whole_wait_state(struct tide_subscription *head, enum tide_state state,
				    struct mono_time deadline, struct tide_error *err)
{
	struct tide_subscription *first = lane_at(head, 0);
	assert(head->lanes.list);
	for (;;) {
		bool has_ended = whole_has_ended(head);
		enum tide_state now_is = whole_state(head);
		struct mono_time now = clock_mono(&clock_system);
		if (now_is == state)
			return TIDE_OK;
		if (has_ended || now.ns >= deadline.ns)
			return tide_fail(err, has_ended ? TIDE_STATE : TIDE_TIMEOUT, "'%s' is %s%s",
					 head->name, tide_state_name(now_is),
					 has_ended ? "" : ", and the time is up");
		mutex_lock(&first->lock);
		(void)cond_wait_until(&first->changed, &first->lock,
				      mono_min(deadline, mono_add(now, WHOLE_LOOK_NS)));
		mutex_unlock(&first->lock);
	}
}

tide_status tide_subscription_wait_state(struct tide_subscription *subscription,
					 enum tide_state state, double seconds,
					 struct tide_error *err)
{
	if ((unsigned)state > TIDE_STATE_ERROR)
		return tide_fail(err, TIDE_ARGUMENT, "state %d is no state", (int)state);
	tide_status status = whole_check_wait(subscription, seconds, err);
	if (status != TIDE_OK)
		return status;
	if (subscription->lanes.list)
		return whole_wait_state(subscription, state, whole_deadline(seconds), err);
	return subscription_wait(subscription,
				 &(struct subscription_goal){ .position = -1, .state = state },
				 whole_deadline(seconds), err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of several lanes as that of one subscription: of each thing the worst that any lane
 * has, and what is counted in sum. No clock, no lock, no database.
 */
#include "supervise/health.h"

#include <assert.h>
#include <string.h>

#include "policy/why.h"

/* From what needs a person to what needs nobody. */
static int health_weight(enum tide_state state)
{
	static const int weights[] = {
		[TIDE_STATE_LIVE] = 0,    [TIDE_STATE_CATCHING_UP] = 1, [TIDE_STATE_STARTING] = 2,
		[TIDE_STATE_STOPPED] = 3, [TIDE_STATE_PAUSED] = 4,      [TIDE_STATE_ERROR] = 5,
	};
	return weights[state];
}

static void health_fold_state(struct tide_subscription_health *sum,
			      const struct tide_subscription_health *lane)
{
	sum->state = lane->state;
	sum->paused_at = lane->paused_at;
	memcpy(sum->paused_by, lane->paused_by, sizeof sum->paused_by);
	memcpy(sum->pause_note, lane->pause_note, sizeof sum->pause_note);
	if (lane->last_error.status != TIDE_OK)
		sum->last_error = lane->last_error;
}

static void health_fold_lag(struct tide_subscription_health *sum,
			    const struct tide_subscription_health *lane)
{
	if (lane->lag_events > sum->lag_events)
		sum->lag_events = lane->lag_events;
	sum->lag_known &= lane->lag_known;
	sum->lag_stale |= lane->lag_stale;
	if (!*sum->waiting_for)
		memcpy(sum->waiting_for, lane->waiting_for, sizeof sum->waiting_for);
}

static void health_fold_counts(struct tide_subscription_health *sum,
			       const struct tide_subscription_health *lane)
{
	sum->events_processed += lane->events_processed;
	sum->events_failed += lane->events_failed;
	sum->error_rate_per_minute += lane->error_rate_per_minute;
	sum->in_flight += lane->in_flight;
	sum->in_flight_peak += lane->in_flight_peak;
	sum->pause_count += lane->pause_count;
	sum->backpressure |= lane->backpressure;
	if (lane->backpressure_seconds > sum->backpressure_seconds)
		sum->backpressure_seconds = lane->backpressure_seconds;
	if (lane->uptime_seconds > sum->uptime_seconds)
		sum->uptime_seconds = lane->uptime_seconds;
}

static void health_fold_breaker(struct tide_breaker_status *worst,
				const struct tide_breaker_status *lane)
{
	if (lane->state > worst->state ||
	    (lane->state == worst->state && lane->failure_count > worst->failure_count))
		*worst = *lane;
}

static void health_fold_stores(struct tide_subscription_health *sum,
			       const struct tide_subscription_health *lane)
{
	if (lane->unavailable_seconds <= sum->unavailable_seconds)
		return;
	sum->feed = lane->feed;
	sum->checkpoints = lane->checkpoints;
	sum->unavailable_seconds = lane->unavailable_seconds;
	sum->store_error = lane->store_error;
}

/* Whoever runs it: a lane that nobody has is told by who stands by for it. Of several the one that
 * has waited longest. */
static void health_fold_reason(struct tide_subscription_health *sum,
			       const struct tide_subscription_health *lane)
{
	int weight = why_weight(lane->cause) - why_weight(sum->cause);
	bool is_older = lane->cause == TIDE_CAUSE_LANE_UNOWNED && weight == 0 &&
			lane->unowned_since.unix_us < sum->unowned_since.unix_us;
	if (weight < 0 || (weight == 0 && !is_older))
		return;
	sum->cause = lane->cause;
	memcpy(sum->reason, lane->reason, sizeof sum->reason);
}

/* The one that has waited longest for an owner. */
static void health_fold_unowned(struct tide_subscription_health *sum,
				const struct tide_subscription_health *lane)
{
	if (!*lane->unowned_lane ||
	    (*sum->unowned_lane && sum->unowned_since.unix_us <= lane->unowned_since.unix_us))
		return;
	memcpy(sum->unowned_lane, lane->unowned_lane, sizeof sum->unowned_lane);
	sum->unowned_since = lane->unowned_since;
}

void health_fold(struct tide_subscription_health *sum, const struct tide_subscription_health *lane)
{
	assert(strcmp(sum->name, lane->name) == 0);
	if (sum->standby && !lane->standby) { /* those are another process's */
		const struct tide_subscription_health others = *sum;
		*sum = *lane;
		health_fold_reason(sum, &others);
		health_fold_unowned(sum, &others);
		return;
	}
	health_fold_reason(sum, lane);
	health_fold_unowned(sum, lane);
	if (lane->standby && !sum->standby)
		return;
	sum->is_responsive &= lane->is_responsive;
	if (health_weight(lane->state) > health_weight(sum->state))
		health_fold_state(sum, lane);
	else if (sum->last_error.status == TIDE_OK)
		sum->last_error = lane->last_error;
	health_fold_lag(sum, lane);
	health_fold_counts(sum, lane);
	health_fold_breaker(&sum->handler_breaker, &lane->handler_breaker);
	health_fold_breaker(&sum->infra_breaker, &lane->infra_breaker);
	health_fold_stores(sum, lane);
	if (lane->running_seconds <= sum->running_seconds)
		return;
	sum->running_seconds = lane->running_seconds;
	sum->running_position = lane->running_position;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps a subscription from going on, as its own process sees it.
 *
 * Happy path: the states, the call in hand, the breakers and the availability of the databases, of
 * which status and health are made, are looked at in an order: what explains the others comes
 * first. No database is asked.
 * Failure modes: nothing here fails; what is not known is no evidence.
 */
#include "path/reason.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

#define REASON_RUNNING_NS NS_PER_SECOND
#define REASON_PACE_NS (2 * NS_PER_SECOND)
#define REASON_SLOW_SHARE 0.9 /* of the time goes into the handler ... */
#define REASON_SLOW_RATE 100  /* ... and so few events a second come out of it */
#define REASON_NS_PER_US 1000

/* ---- The cause ------------------------------------------------------------------------------- */

/* The event that failed last is still the next one. */
static bool reason_is_failing_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	return subscription->failing.position > subscription->position;
}

static const struct availability *reason_away_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	for (int i = 0; i < DATABASES; i++)
		if (subscription->stores[i].state == TIDE_UNAVAILABLE)
			return &subscription->stores[i];
	return NULL;
}

static int64_t reason_hand(const struct tide_subscription *subscription, struct mono_time now,
			   bool *ret_is_late)
{
	int64_t since = atomic_load(&subscription->hand.since);
	*ret_is_late = since < 0;
	return since == 0 ? 0 : now.ns - (since < 0 ? -since : since);
}

static enum tide_cause reason_of_end_locked(const struct tide_subscription *subscription,
					    const struct tide_error *error)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct tide_error *failed = &subscription->failing.error;
	if (error->status == TIDE_DIVERGED)
		return TIDE_CAUSE_DIVERGED;
	if (reason_is_failing_locked(subscription) && failed->status == error->status &&
	    strcmp(failed->message, error->message) == 0)
		return TIDE_CAUSE_FAILED_EVENT;
	if (error->status == TIDE_STATE && error->native == TIDE_NATIVE_FILE_CHANGED)
		return TIDE_CAUSE_FILE_CHANGED;
	return error->status == TIDE_DISK_FULL ? TIDE_CAUSE_DISK_FULL : TIDE_CAUSE_ERROR;
}

static enum tide_cause reason_of_run_locked(const struct tide_subscription *subscription,
					    struct mono_time now) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	bool is_late;
	int64_t running = reason_hand(subscription, now, &is_late);
	const struct availability *away = reason_away_locked(subscription);

	if (is_late)
		return TIDE_CAUSE_HANDLER_STUCK;
	if (running >= REASON_RUNNING_NS)
		return TIDE_CAUSE_HANDLER_RUNNING;
	if (away)
		return away->error.status == TIDE_DISK_FULL ? TIDE_CAUSE_DISK_FULL
							    : TIDE_CAUSE_DATABASE_AWAY;
	if (subscription->states.state == TIDE_STATE_STARTING)
		return TIDE_CAUSE_STARTING;
	if (subscription->breakers.handler.state == BREAKER_OPEN)
		return TIDE_CAUSE_HANDLER_BREAKER;
	if (reason_is_failing_locked(subscription))
		return TIDE_CAUSE_RETRYING;
	if (subscription->pace.verdict == PACE_SLOW)
		return TIDE_CAUSE_SLOW_HANDLER;
	return subscription->states.state == TIDE_STATE_LIVE ? TIDE_CAUSE_LIVE
							     : TIDE_CAUSE_CATCHING_UP;
}

enum tide_cause reason_cause_locked(const struct tide_subscription *subscription,
				    struct mono_time now)
{
	assert(mutex_is_mine(&subscription->lock));
	enum tide_state state = subscription->states.state;
	switch (state) {
	case TIDE_STATE_ERROR:
		return reason_of_end_locked(subscription, &subscription->error);
	case TIDE_STATE_STOPPED:
		return TIDE_CAUSE_STOPPED;
	case TIDE_STATE_PAUSED:
		return subscription->pause.by == PAUSED_BY_BREAKER ? TIDE_CAUSE_HANDLER_BREAKER
								   : TIDE_CAUSE_PAUSED;
	case TIDE_STATE_STARTING:
		if (subscription->ownership.state == OWNERSHIP_STANDBY)
			return TIDE_CAUSE_STANDING_BY;
		if (!run_exists(&subscription->run))
			return TIDE_CAUSE_STOPPED;
		break;
	case TIDE_STATE_CATCHING_UP:
	case TIDE_STATE_LIVE:
		break;
	}

	return reason_of_run_locked(subscription, now);
}

/* ---- Its evidence ---------------------------------------------------------------------------- */

static struct tide_time reason_ago(struct tide_time wall, int64_t ns)
{
	return (struct tide_time){ wall.unix_us - ns / REASON_NS_PER_US };
}

static void reason_add_pause_locked(const struct tide_subscription *subscription,
				    struct tide_why *ret) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct tide_control *control = &subscription->pause.control;
	bool is_durable = subscription->pause.by & PAUSED_DURABLY;
	why_set_since(ret, is_durable ? control->paused_at : subscription->pause.at);
	why_add_text(ret, "pause_reason",
		     tide_pause_reason_name(subscription_pause_reason_locked(subscription)));
	if (is_durable)
		why_add_text(ret, "paused_by", control->paused_by);
	if (is_durable && *control->note)
		why_add_text(ret, "pause_note", control->note);
}

static void reason_add_failing_locked(const struct tide_subscription *subscription,
				      struct tide_why *ret) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct failing *failing = &subscription->failing;
	if (!reason_is_failing_locked(subscription))
		return;
	why_add_number(ret, "event_position", (double)failing->position);
	why_add_uuid(ret, "event_id", &failing->event_id);
	why_add_text(ret, "event_type", failing->event_type);
	why_add_number(ret, "attempts", failing->attempts);
	why_add_number(ret, "max_attempts", subscription->config.max_retries + 1.0);
	why_add_error(ret, &failing->error);
}

static void reason_add_hand(const struct tide_subscription *subscription, int64_t running,
			    struct tide_time wall, struct tide_why *ret)
{
	why_set_since(ret, reason_ago(wall, running));
	why_add_number(ret, "event_position", (double)atomic_load(&subscription->hand.position));
	why_add_number(ret, "running_seconds", (double)(running / NS_PER_SECOND));
	why_add_number(ret, "limit_seconds", subscription->config.processing_timeout);
	why_add_number(ret, "attempts", atomic_load(&subscription->hand.attempt));
}

static void reason_add_breaker_locked(const struct tide_subscription *subscription,
				      struct mono_time now, struct tide_time wall,
				      struct tide_why *ret) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct breaker *breaker = &subscription->breakers.handler;
	why_set_since(ret, breaker->last_failure_at);
	why_add_number(ret, "failures", breaker->failures);
	why_add_time(ret, "until", reason_ago(wall, mono_since(now, breaker_ready_at(breaker))));
}

static void reason_add_away_locked(const struct tide_subscription *subscription,
				   struct mono_time now, struct tide_time wall,
				   struct tide_why *ret) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct availability *away = reason_away_locked(subscription);
	const struct tide_store *feed = subscription->engine->store;
	const struct tide_store *database = subscription->engine->checkpoints->database;
	if (!away)
		return;
	why_set_since(ret, reason_ago(wall, mono_since(now, away->since)));
	why_add_text(ret, "database",
		     away == &subscription->stores[DATABASE_FEED] ? feed->url : database->url);
	why_add_time(ret, "next_at", subscription->try_at);
	why_add_error(ret, &away->error);
}

static void reason_add_pace_locked(const struct tide_subscription *subscription,
				   struct tide_why *ret) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct pace *pace = &subscription->pace;
	if (pace->verdict == PACE_UNKNOWN)
		return;
	why_add_number(ret, "events_per_second", pace->rate);
	why_add_number(ret, "handler_percent", (double)(int)(pace->share * 100));
}

static struct tide_time reason_ended(const struct span *span)
{
	return reason_ago(span->started_at, mono_since(span->started, span->ended));
}

static void reason_begin(const struct tide_subscription *subscription, enum tide_cause cause,
			 struct tide_why *ret)
{
	struct tide_lane lane = lane_share(subscription);
	memcpy(ret->name, subscription->name, sizeof ret->name);
	if (lane.total > 0) {
		why_add_number(ret, "lane", lane.index);
		why_add_number(ret, "lanes", lane.total);
	}
	ret->cause = cause;
}

void reason_fill_locked(const struct tide_subscription *subscription, enum tide_cause cause,
			struct mono_time now, struct tide_time wall, struct tide_why *ret)
{
	assert(mutex_is_mine(&subscription->lock));
	bool is_late;
	reason_begin(subscription, cause, ret);
	ret->state = subscription->states.state;
	if (state_is_terminal(ret->state) && subscription->span.ended.ns > 0)
		why_set_since(ret, reason_ended(&subscription->span));
	else if (subscription->span.number > 0)
		why_set_since(ret, subscription->span.started_at);

	if (cause == TIDE_CAUSE_HANDLER_RUNNING || cause == TIDE_CAUSE_HANDLER_STUCK)
		reason_add_hand(subscription, reason_hand(subscription, now, &is_late), wall, ret);
	if (cause == TIDE_CAUSE_HANDLER_BREAKER)
		reason_add_breaker_locked(subscription, now, wall, ret);
	if (cause == TIDE_CAUSE_RETRYING) {
		why_set_since(ret, subscription->failing.since);
		why_add_time(ret, "next_at", subscription->failing.next_at);
	}
	if (cause == TIDE_CAUSE_PAUSED)
		reason_add_pause_locked(subscription, ret);
	if (cause == TIDE_CAUSE_SLOW_HANDLER)
		why_set_since(ret, subscription->pace.since);

	reason_add_away_locked(subscription, now, wall, ret);
	reason_add_failing_locked(subscription, ret);
	if (cause == TIDE_CAUSE_SLOW_HANDLER || cause == TIDE_CAUSE_CATCHING_UP)
		reason_add_pace_locked(subscription, ret);
	if (subscription->states.state == TIDE_STATE_ERROR)
		why_add_error(ret, &subscription->error);
	why_add_number(ret, "position", (double)subscription->position);
	if (atomic_load(&subscription->number))
		why_add_number(ret, "session", (double)atomic_load(&subscription->number));
}

void reason_fill_end_locked(const struct tide_subscription *subscription,
			    const struct tide_error *error, struct tide_time wall,
			    struct tide_why *ret)
{
	assert(mutex_is_mine(&subscription->lock));
	reason_begin(subscription, reason_of_end_locked(subscription, error), ret);
	ret->state = TIDE_STATE_ERROR;
	why_set_since(ret, wall);
	reason_add_failing_locked(subscription, ret);
	why_add_error(ret, error);
	why_add_number(ret, "position", (double)subscription->position);
}

/* ---- The pace -------------------------------------------------------------------------------- */

void reason_pace_locked(struct tide_subscription *subscription, struct mono_time now,
			struct tide_time wall)
{
	assert(mutex_is_mine(&subscription->lock));
	struct pace *pace = &subscription->pace;
	const struct metrics *metrics = &subscription->metrics;
	double seconds = metrics->handled_seconds.sum + metrics->failed_seconds.sum;
	int64_t took = mono_since(now, pace->at), processed = subscription->counts.processed;
	if (pace->at.ns != 0 && took < REASON_PACE_NS)
		return;

	bool was_slow = pace->verdict == PACE_SLOW;
	bool is_known = pace->at.ns != 0 && processed >= pace->processed;
	if (is_known) {
		pace->share = (seconds - pace->handler_seconds) / seconds_of_ns(took);
		pace->rate = (double)(processed - pace->processed) / seconds_of_ns(took);
	}
	bool is_slow =
		is_known && pace->share >= REASON_SLOW_SHARE && pace->rate < REASON_SLOW_RATE;
	pace->verdict = is_slow ? PACE_SLOW : is_known ? PACE_KNOWN : PACE_UNKNOWN;
	if (is_slow && !was_slow)
		pace->since = wall;
	pace->at = now;
	pace->handler_seconds = seconds;
	pace->processed = processed;
}

char *reason_text(struct tide_why *why)
{
	struct buffer buffer = { 0 };
	char *text = NULL;
	why_write(&buffer, why);
	if (!buffer.failed && buffer.size >= TIDE_LEASE_REASON_SIZE) {
		buffer_fini(&buffer);
		why->evidence_count = 0; /* escapes have made it too long */
		why_write(&buffer, why);
	}
	return buffer_take(&buffer, &text, NULL) == TIDE_OK ? text : NULL;
}

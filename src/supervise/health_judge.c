/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of health: what was found out about a subscription, against thresholds. No clock, no
 * lock, no database.
 *
 * healthy < unknown < degraded < unhealthy < critical: the worst indicator is the subscription's
 * status.
 */
#include "supervise/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const health_indicators[] = {
	[TIDE_INDICATOR_STATE] = "state",
	[TIDE_INDICATOR_ERRORS] = "errors",
	[TIDE_INDICATOR_LAG] = "lag",
	[TIDE_INDICATOR_BACKPRESSURE] = "backpressure",
	[TIDE_INDICATOR_HANDLER_BREAKER] = "handler_circuit_breaker",
	[TIDE_INDICATOR_INFRA_BREAKER] = "infra_circuit_breaker",
	[TIDE_INDICATOR_DLQ] = "dlq",
	[TIDE_INDICATOR_STORE] = "store",
	[TIDE_INDICATOR_HANDLER] = "handler",
};

const char *tide_indicator_name(enum tide_indicator_kind kind)
{
	return (unsigned)kind < TIDE_INDICATORS ? health_indicators[kind] : "unknown";
}

const char *tide_availability_name(enum tide_availability availability)
{
	static const char *const names[] = { "unknown", "available", "unavailable" };
	return (unsigned)availability <= TIDE_UNAVAILABLE ? names[availability] : "unknown";
}

const char *tide_health_status_name(enum tide_health_status status)
{
	static const char *const names[] = { "healthy", "unknown", "degraded", "unhealthy",
					     "critical" };
	return (unsigned)status <= TIDE_CRITICAL ? names[status] : "unknown";
}

static TIDE_PRINTF(3, 4) void health_say(struct tide_indicator *indicator,
					 enum tide_health_status status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(indicator->message, sizeof indicator->message, format, arguments);
	va_end(arguments);
	indicator->status = status;
}

static void health_judge_pause(const struct tide_subscription_health *health,
			       struct tide_indicator *ret)
{
	char since[TIDE_TIME_TEXT_SIZE];
	if (!*health->paused_by)
		health_say(ret, TIDE_DEGRADED, "Subscription is paused");
	else
		health_say(ret, TIDE_DEGRADED, "Subscription is paused by %s since %s%s%s",
			   health->paused_by, tide_time_format(health->paused_at, since),
			   *health->pause_note ? ": " : "", health->pause_note);
}

static void health_judge_state(const struct tide_subscription_health *health,
			       struct tide_indicator *ret)
{
	switch (health->state) {
	case TIDE_STATE_LIVE:
		health_say(ret, TIDE_HEALTHY, "Subscription is live and processing events");
		break;
	case TIDE_STATE_CATCHING_UP:
		health_say(ret, TIDE_HEALTHY, "Subscription is catching up on historical events");
		break;
	case TIDE_STATE_PAUSED:
		health_judge_pause(health, ret);
		break;
	case TIDE_STATE_STOPPED:
		health_say(ret, TIDE_DEGRADED, "Subscription is stopped");
		break;
	case TIDE_STATE_ERROR:
		health_say(ret, TIDE_UNHEALTHY, "Subscription in error state: %s",
			   health->last_error.message);
		break;
	case TIDE_STATE_STARTING:
		if (health->standby)
			health_say(ret, TIDE_HEALTHY, "Subscription is standing by");
		else
			health_say(ret, TIDE_HEALTH_UNKNOWN, "Unknown state: starting");
		break;
	}
}

/* Whatever those do that run here. */
static void health_judge_lanes(const struct tide_subscription_health *health,
			       struct tide_indicator *ret)
{
	char since[TIDE_TIME_TEXT_SIZE];
	if (*health->unowned_lane && ret->status < TIDE_UNHEALTHY)
		health_say(ret, TIDE_UNHEALTHY, "Lane '%s' has had no owner since %s",
			   health->unowned_lane, tide_time_format(health->unowned_since, since));
}

/* A number against its two thresholds. */
static enum tide_health_status health_grade(double value, double warning, double critical,
					    double *ret_threshold)
{
	*ret_threshold = value >= critical ? critical : value >= warning ? warning : 0;
	return value >= critical ? TIDE_CRITICAL : value >= warning ? TIDE_DEGRADED : TIDE_HEALTHY;
}

static void health_judge_errors(const struct tide_subscription_health *health,
				const struct tide_health_config *config, struct tide_indicator *ret)
{
	long long failed = (long long)health->events_failed;
	enum tide_health_status status =
		health_grade((double)failed, (double)config->max_errors_warning,
			     (double)config->max_errors_critical, &ret->threshold);
	if (status == TIDE_HEALTHY &&
	    health->error_rate_per_minute > config->max_error_rate_per_minute) {
		status = TIDE_DEGRADED;
		ret->threshold = (double)config->max_errors_warning;
	}

	if (status == TIDE_CRITICAL)
		health_say(ret, status, "Critical error count: %lld", failed);
	else if (status == TIDE_DEGRADED)
		health_say(ret, status, "Elevated error count: %lld", failed);
	else
		health_say(ret, status, "Error rate within acceptable limits");
}

static void health_judge_lag(const struct tide_subscription_health *health,
			     const struct tide_health_config *config, struct tide_indicator *ret)
{
	long long lag = (long long)health->lag_events;
	enum tide_health_status status =
		health_grade((double)lag, (double)config->max_lag_events_warning,
			     (double)config->max_lag_events_critical, &ret->threshold);
	if (health->standby) { /* the owner's lag is not its own */
		status = TIDE_HEALTHY;
		ret->threshold = 0;
	}

	if (status == TIDE_HEALTHY && health->lag_stale && !health->standby)
		health_say(ret, TIDE_HEALTH_UNKNOWN,
			   health->lag_known ? "Lag unknown, %lld events when last known"
					     : "Lag unknown",
			   lag);
	else if (status == TIDE_CRITICAL)
		health_say(ret, status, "Critical lag: %lld events behind", lag);
	else if (status == TIDE_DEGRADED)
		health_say(ret, status, "High lag: %lld events behind", lag);
	else
		health_say(ret, status, "Lag within limits: %lld events", lag);
	size_t said = strlen(ret->message);
	if (*health->waiting_for)
		snprintf(ret->message + said, sizeof ret->message - said,
			 "; events wait for an append that stays open: %s", health->waiting_for);
}

static void health_judge_backpressure(const struct tide_subscription_health *health,
				      const struct tide_health_config *config,
				      struct tide_indicator *ret)
{
	bool is_counted = health->backpressure && health->state == TIDE_STATE_LIVE;
	enum tide_health_status status = TIDE_HEALTHY;
	if (is_counted)
		status = health_grade(health->backpressure_seconds,
				      config->backpressure_warning_seconds,
				      config->backpressure_critical_seconds, &ret->threshold);
	health_say(ret, status,
		   health->backpressure ? "Subscription experiencing backpressure"
					: "No backpressure");
}

static void health_judge_breaker(const struct tide_breaker_status *breaker,
				 const struct tide_health_config *config,
				 struct tide_indicator *ret)
{
	if (breaker->state == TIDE_BREAKER_OPEN)
		health_say(ret, config->circuit_open_is_unhealthy ? TIDE_UNHEALTHY : TIDE_DEGRADED,
			   "Circuit breaker is OPEN - requests blocked");
	else if (breaker->state == TIDE_BREAKER_HALF_OPEN)
		health_say(ret, TIDE_DEGRADED, "Circuit breaker is HALF_OPEN - testing recovery");
	else
		health_say(ret, TIDE_HEALTHY, "Circuit breaker is CLOSED - normal operation");
}

static void health_judge_dlq(const struct tide_subscription_health *health,
			     const struct tide_health_config *config, struct tide_indicator *ret)
{
	long long count = (long long)health->dlq_count;
	enum tide_health_status status =
		health_grade((double)count, (double)config->max_dlq_events_warning,
			     (double)config->max_dlq_events_critical, &ret->threshold);
	if (status == TIDE_CRITICAL)
		health_say(ret, status, "Critical DLQ backlog: %lld events", count);
	else if (status == TIDE_DEGRADED)
		health_say(ret, status, "DLQ backlog: %lld events", count);
	else if (count > 0)
		health_say(ret, status, "DLQ has %lld events", count);
	else
		health_say(ret, status, "DLQ is empty");
}

static void health_judge_store(const struct tide_subscription_health *health,
			       struct tide_indicator *ret)
{
	bool is_away = health->feed == TIDE_UNAVAILABLE || health->checkpoints == TIDE_UNAVAILABLE;
	if (is_away)
		health_say(ret, TIDE_UNHEALTHY, "Database unavailable for %lld s: %s",
			   (long long)health->unavailable_seconds, health->store_error.message);
	else if (health->feed == TIDE_AVAILABLE && health->checkpoints == TIDE_AVAILABLE)
		health_say(ret, TIDE_HEALTHY, "Databases answer");
	else
		health_say(ret, TIDE_HEALTH_UNKNOWN, "Databases have not been asked");
}

static void health_judge_handler(const struct tide_subscription_health *health,
				 double processing_timeout, struct tide_indicator *ret)
{
	if (health->running_seconds >= processing_timeout)
		health_say(ret, TIDE_UNHEALTHY, "Handler stuck for %lld s at position %lld",
			   (long long)health->running_seconds, (long long)health->running_position);
	else
		health_say(ret, TIDE_HEALTHY, "Handler responsive");
}

#define SAYS(indicator) (1u << TIDE_INDICATOR_##indicator)

/* The indicators that judge what the cause is made of. */
static unsigned health_shown_by(const struct tide_subscription_health *health)
{
	bool has_ended = health->state == TIDE_STATE_ERROR;
	switch (health->cause) {
	case TIDE_CAUSE_STARTING:
	case TIDE_CAUSE_PAUSED:
	case TIDE_CAUSE_FAILED_EVENT:
	case TIDE_CAUSE_DIVERGED:
	case TIDE_CAUSE_ERROR:
	case TIDE_CAUSE_STOPPED:
	case TIDE_CAUSE_LANE_UNOWNED:
	case TIDE_CAUSE_FILE_CHANGED:
		return SAYS(STATE);
	case TIDE_CAUSE_HANDLER_STUCK:
		return SAYS(HANDLER);
	case TIDE_CAUSE_HANDLER_BREAKER:
		return SAYS(STATE) | SAYS(HANDLER_BREAKER);
	case TIDE_CAUSE_DATABASE_AWAY:
		return SAYS(STORE);
	case TIDE_CAUSE_DISK_FULL:
		return has_ended ? SAYS(STATE) : SAYS(STORE);
	default:
		return 0;
	}
}
#undef SAYS

/* What why says of the same cause. */
static void health_say_reason(struct tide_subscription_health *health)
{
	unsigned shown = *health->reason ? health_shown_by(health) : 0;
	for (unsigned i = 0; i < TIDE_INDICATORS; i++) {
		struct tide_indicator *indicator = &health->indicators[i];
		if (shown >> i & 1u && indicator->status != TIDE_HEALTHY)
			health_say(indicator, indicator->status, "%s", health->reason);
	}
}

void health_judge(struct tide_subscription_health *health, const struct tide_health_config *config,
		  double processing_timeout)
{
	struct tide_indicator *indicators = health->indicators;
	memset(indicators, 0, sizeof health->indicators);
	health_judge_state(health, &indicators[TIDE_INDICATOR_STATE]);
	health_judge_errors(health, config, &indicators[TIDE_INDICATOR_ERRORS]);
	health_judge_lag(health, config, &indicators[TIDE_INDICATOR_LAG]);
	health_judge_backpressure(health, config, &indicators[TIDE_INDICATOR_BACKPRESSURE]);
	health_judge_breaker(&health->handler_breaker, config,
			     &indicators[TIDE_INDICATOR_HANDLER_BREAKER]);
	health_judge_breaker(&health->infra_breaker, config,
			     &indicators[TIDE_INDICATOR_INFRA_BREAKER]);
	health_judge_dlq(health, config, &indicators[TIDE_INDICATOR_DLQ]);
	health_judge_store(health, &indicators[TIDE_INDICATOR_STORE]);
	health_judge_handler(health, processing_timeout, &indicators[TIDE_INDICATOR_HANDLER]);
	health_judge_lanes(health, &indicators[TIDE_INDICATOR_STATE]);
	health_say_reason(health);

	if (!health->is_responsive)
		health_say(&indicators[TIDE_INDICATOR_STATE], TIDE_UNHEALTHY,
			   "Internal lock not responsive (possible deadlock)");
	health->status = TIDE_HEALTHY;

	for (int i = 0; i < TIDE_INDICATORS; i++) {
		indicators[i].kind = (enum tide_indicator_kind)i;
		if (indicators[i].status > health->status)
			health->status = indicators[i].status;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health, readiness and liveness as JSON. The order of the keys is part of the contract.
 */
#include <tidemark/health.h>

#include "core/json.h"

static const char *health_error_text(const struct tide_subscription_health *health)
{
	return health->last_error.status == TIDE_OK ? NULL : health->last_error.message;
}

/* ---- As an answer over HTTP ------------------------------------------------------------------ */

static int health_http_status(bool is_well)
{
	return is_well ? 200 : 503;
}

int tide_health_http_status(const struct tide_health *health)
{
	return health_http_status(health && health->status == TIDE_HEALTHY);
}

int tide_readiness_http_status(const struct tide_readiness *readiness)
{
	return health_http_status(readiness && readiness->ready);
}

int tide_liveness_http_status(const struct tide_liveness *liveness)
{
	return health_http_status(liveness && liveness->alive);
}

/* ---- Indicators ------------------------------------------------------------------------------ */

static void health_add_state(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_add_string(buffer, "state",
			health->is_responsive ? tide_state_name(health->state) : "unknown");
	if (health->state == TIDE_STATE_ERROR)
		json_add_string(buffer, "error", health_error_text(health));
	if (!*health->unowned_lane)
		return;
	json_add_string(buffer, "unowned_lane", health->unowned_lane);
	json_add_time(buffer, "unowned_since", true, health->unowned_since);
}

static void health_add_errors(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_add_integer(buffer, "total_errors", health->events_failed);
	json_add_number(buffer, "error_rate_per_minute", health->error_rate_per_minute, 1);
}

static void health_add_backpressure(struct buffer *buffer,
				    const struct tide_subscription_health *health)
{
	json_add_bool(buffer, "is_backpressured", health->backpressure);
	json_add_integer(buffer, "events_in_flight", health->in_flight);
	json_add_integer(buffer, "peak_in_flight", health->in_flight_peak);
	json_add_integer(buffer, "pause_count", health->pause_count);
}

static void health_add_breaker(struct buffer *buffer, const struct tide_breaker_status *breaker)
{
	json_add_string(buffer, "state", tide_breaker_state_name(breaker->state));
	json_add_integer(buffer, "failure_count", breaker->failure_count);
}

static void health_add_lag(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_key(buffer, "lag_events");
	if (health->lag_known)
		json_integer(buffer, health->lag_events);
	else
		json_null(buffer);
}

static void health_add_store(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_add_string(buffer, "feed", tide_availability_name(health->feed));
	json_add_string(buffer, "checkpoints", tide_availability_name(health->checkpoints));
	json_key(buffer, "since_seconds");
	if (health->feed == TIDE_UNAVAILABLE || health->checkpoints == TIDE_UNAVAILABLE)
		json_number(buffer, health->unavailable_seconds, 3);
	else
		json_null(buffer);
}

static void health_add_handler(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_add_number(buffer, "running_seconds", health->running_seconds, 3);
	json_key(buffer, "position");
	if (health->running_position > 0)
		json_integer(buffer, health->running_position);
	else
		json_null(buffer);
}

static void health_add_details(struct buffer *buffer, const struct tide_subscription_health *health,
			       const struct tide_indicator *indicator)
{
	switch (indicator->kind) {
	case TIDE_INDICATOR_STATE:
		health_add_state(buffer, health);
		break;
	case TIDE_INDICATOR_ERRORS:
		health_add_errors(buffer, health);
		break;
	case TIDE_INDICATOR_LAG:
		health_add_lag(buffer, health);
		if (*health->waiting_for)
			json_add_string(buffer, "waiting_for", health->waiting_for);
		break;
	case TIDE_INDICATOR_BACKPRESSURE:
		health_add_backpressure(buffer, health);
		break;
	case TIDE_INDICATOR_HANDLER_BREAKER:
		health_add_breaker(buffer, &health->handler_breaker);
		break;
	case TIDE_INDICATOR_INFRA_BREAKER:
		health_add_breaker(buffer, &health->infra_breaker);
		break;
	case TIDE_INDICATOR_DLQ:
		json_add_integer(buffer, "dlq_count", health->dlq_count);
		break;
	case TIDE_INDICATOR_STORE:
		health_add_store(buffer, health);
		break;
	case TIDE_INDICATOR_HANDLER:
		health_add_handler(buffer, health);
		break;
	case TIDE_INDICATORS:
		break;
	}
}

static bool indicator_has_thresholds(enum tide_indicator_kind kind)
{
	return kind == TIDE_INDICATOR_ERRORS || kind == TIDE_INDICATOR_LAG ||
	       kind == TIDE_INDICATOR_BACKPRESSURE || kind == TIDE_INDICATOR_DLQ;
}

static void health_add_indicator(struct buffer *buffer,
				 const struct tide_subscription_health *health,
				 const struct tide_indicator *indicator)
{
	json_open(buffer, '{');
	json_add_string(buffer, "name", tide_indicator_name(indicator->kind));
	json_add_string(buffer, "status", tide_health_status_name(indicator->status));
	json_add_string(buffer, "message", indicator->message);
	json_key(buffer, "details");
	json_open(buffer, '{');
	health_add_details(buffer, health, indicator);

	if (indicator_has_thresholds(indicator->kind) && indicator->status == TIDE_DEGRADED)
		json_add_number(buffer, "warning_threshold", indicator->threshold, -1);
	if (indicator_has_thresholds(indicator->kind) && indicator->status == TIDE_CRITICAL)
		json_add_number(buffer, "threshold", indicator->threshold, -1);
	json_close(buffer, '}');
	json_close(buffer, '}');
}

static void health_add_indicators(struct buffer *buffer,
				  const struct tide_subscription_health *health)
{
	json_key(buffer, "indicators");
	json_open(buffer, '[');
	for (int i = 0; i < TIDE_INDICATORS; i++)
		health_add_indicator(buffer, health, &health->indicators[i]);
	json_close(buffer, ']');
}

/* ---- Health ---------------------------------------------------------------------------------- */

static tide_status health_check_json(const void *value, char **ret, struct tide_error *err)
{
	if (!value || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 value ? "ret" : "what is to be written");
	return TIDE_OK;
}

static void health_add_member(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_open(buffer, '{');
	json_add_string(buffer, "name", health->name);
	json_add_string(buffer, "status", tide_health_status_name(health->status));
	json_add_string(buffer, "state",
			health->is_responsive ? tide_state_name(health->state) : "unknown");
	json_add_integer(buffer, "events_processed", health->events_processed);
	json_add_integer(buffer, "events_failed", health->events_failed);
	health_add_lag(buffer, health);
	json_add_number(buffer, "error_rate", health->error_rate_per_minute, 1);
	json_add_string(buffer, "last_error", health_error_text(health));
	json_add_number(buffer, "uptime_seconds", health->uptime_seconds, 3);
	health_add_indicators(buffer, health);
	json_close(buffer, '}');
}

tide_status tide_health_json(const struct tide_health *health, char **ret, struct tide_error *err)
{
	if (health_check_json(health, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };

	json_open(&buffer, '{');
	json_add_string(&buffer, "status", tide_health_status_name(health->status));
	json_add_bool(&buffer, "running", health->running);
	json_add_integer(&buffer, "subscription_count",
			 health->healthy_count + health->degraded_count + health->unhealthy_count);
	json_add_integer(&buffer, "healthy_count", health->healthy_count);
	json_add_integer(&buffer, "degraded_count", health->degraded_count);
	json_add_integer(&buffer, "unhealthy_count", health->unhealthy_count);
	json_add_integer(&buffer, "total_events_processed", health->total_events_processed);
	json_add_integer(&buffer, "total_events_failed", health->total_events_failed);
	json_add_integer(&buffer, "total_lag_events", health->total_lag_events);
	json_add_number(&buffer, "uptime_seconds", health->uptime_seconds, 3);
	json_add_time(&buffer, "timestamp", true, health->timestamp);
	json_key(&buffer, "subscriptions");
	json_open(&buffer, '[');
	for (size_t i = 0; i < health->subscription_count; i++)
		health_add_member(&buffer, &health->subscriptions[i]);
	json_close(&buffer, ']');
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_subscription_health_json(const struct tide_subscription_health *health, char **ret,
					  struct tide_error *err)
{
	if (health_check_json(health, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	json_add_string(&buffer, "status", tide_health_status_name(health->status));
	json_add_string(&buffer, "subscription_name", health->name);
	json_add_time(&buffer, "timestamp", true, health->timestamp);
	json_add_number(&buffer, "uptime_seconds", health->uptime_seconds, 3);
	health_add_indicators(&buffer, health);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

/* ---- Readiness and liveness ------------------------------------------------------------------ */

static void readiness_add_details(struct buffer *buffer, const struct tide_readiness *readiness)
{
	json_key(buffer, "details");
	json_open(buffer, '{');
	json_add_bool(buffer, "running", readiness->running);
	json_add_integer(buffer, "subscription_count", (int64_t)readiness->subscription_count);
	json_add_bool(buffer, "shutting_down", readiness->shutting_down);

	if (readiness->name_count > 0) {
		json_key(buffer, readiness->lists_errors ? "error_subscriptions"
							 : "starting_subscriptions");
		json_open(buffer, '[');
		for (size_t i = 0; i < readiness->name_count; i++)
			json_string(buffer, readiness->names[i]);
		json_close(buffer, ']');
	}
	json_close(buffer, '}');
}

tide_status tide_readiness_json(const struct tide_readiness *readiness, char **ret,
				struct tide_error *err)
{
	if (health_check_json(readiness, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	json_add_bool(&buffer, "ready", readiness->ready);
	json_add_string(&buffer, "reason", readiness->reason);
	readiness_add_details(&buffer, readiness);
	json_add_time(&buffer, "timestamp", true, readiness->timestamp);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_liveness_json(const struct tide_liveness *liveness, char **ret,
			       struct tide_error *err)
{
	if (health_check_json(liveness, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };

	json_open(&buffer, '{');
	json_add_bool(&buffer, "alive", liveness->alive);
	json_add_string(&buffer, "reason", liveness->reason);
	json_key(&buffer, "details");
	json_open(&buffer, '{');
	json_add_bool(&buffer, "running", liveness->running);
	json_add_number(&buffer, "uptime_seconds", liveness->uptime_seconds, 3);
	json_add_bool(&buffer, "lock_responsive", liveness->lock_responsive);
	json_add_integer(&buffer, "subscription_count", (int64_t)liveness->subscription_count);
	json_close(&buffer, '}');
	json_add_time(&buffer, "timestamp", true, liveness->timestamp);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health, readiness and liveness as JSON.
 */
#include <tidemark/health.h>

#include <stddef.h>

#include "core/json_fields.h"

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

/* ---- Tables ---------------------------------------------------------------------------------- */

static const char *health_status_name(int value)
{
	return tide_health_status_name((enum tide_health_status)value);
}

static const char *health_availability_name(int value)
{
	return tide_availability_name((enum tide_availability)value);
}

static const char *health_breaker_name(int value)
{
	return tide_breaker_state_name((enum tide_breaker_state)value);
}

static bool health_is_away(const void *object)
{
	const struct tide_subscription_health *health = object;
	return health->feed == TIDE_UNAVAILABLE || health->checkpoints == TIDE_UNAVAILABLE;
}

static bool health_has_call(const void *object)
{
	return ((const struct tide_subscription_health *)object)->running_position > 0;
}

/* clang-format off */
#define AT(member) .place = offsetof(struct tide_subscription_health, member)
#define KNOWN(member) .known = offsetof(struct tide_subscription_health, member)
#define LAG_FIELD { "lag_events", JSON_FIELD_INTEGER, AT(lag_events), KNOWN(lag_known) }
static const struct json_field errors_fields[] = {
	{ "total_errors",          JSON_FIELD_INTEGER, AT(events_failed) },
	{ "error_rate_per_minute", JSON_FIELD_REAL,    AT(error_rate_per_minute), .decimals = 1 },
};
static const struct json_field lag_fields[] = { LAG_FIELD };
static const struct json_field backpressure_fields[] = {
	{ "is_backpressured", JSON_FIELD_FLAG,    AT(backpressure) },
	{ "events_in_flight", JSON_FIELD_INTEGER, AT(in_flight) },
	{ "peak_in_flight",   JSON_FIELD_INTEGER, AT(in_flight_peak) },
	{ "pause_count",      JSON_FIELD_INTEGER, AT(pause_count) },
};
static const struct json_field handler_breaker_fields[] = {
	{ "state",         JSON_FIELD_NAME,  AT(handler_breaker.state), .name = health_breaker_name },
	{ "failure_count", JSON_FIELD_SMALL, AT(handler_breaker.failure_count) },
};
static const struct json_field infra_breaker_fields[] = {
	{ "state",         JSON_FIELD_NAME,  AT(infra_breaker.state), .name = health_breaker_name },
	{ "failure_count", JSON_FIELD_SMALL, AT(infra_breaker.failure_count) },
};
static const struct json_field dlq_fields[] = {
	{ "dlq_count", JSON_FIELD_INTEGER, AT(dlq_count) },
};
static const struct json_field store_fields[] = {
	{ "feed",          JSON_FIELD_NAME, AT(feed),        .name = health_availability_name },
	{ "checkpoints",   JSON_FIELD_NAME, AT(checkpoints), .name = health_availability_name },
	{ "since_seconds", JSON_FIELD_REAL, AT(unavailable_seconds), .decimals = 3,
		.is_known = health_is_away },
};
static const struct json_field handler_fields[] = {
	{ "running_seconds", JSON_FIELD_REAL,    AT(running_seconds), .decimals = 3 },
	{ "position",        JSON_FIELD_INTEGER, AT(running_position), .is_known = health_has_call },
};

/* What an indicator is judged by; more of the state and the lag follows it. */
static const struct { const struct json_field *fields; size_t count; } indicator_details[] = {
	[TIDE_INDICATOR_ERRORS]          = { JSON_FIELDS(errors_fields) },
	[TIDE_INDICATOR_LAG]             = { JSON_FIELDS(lag_fields) },
	[TIDE_INDICATOR_BACKPRESSURE]    = { JSON_FIELDS(backpressure_fields) },
	[TIDE_INDICATOR_HANDLER_BREAKER] = { JSON_FIELDS(handler_breaker_fields) },
	[TIDE_INDICATOR_INFRA_BREAKER]   = { JSON_FIELDS(infra_breaker_fields) },
	[TIDE_INDICATOR_DLQ]             = { JSON_FIELDS(dlq_fields) },
	[TIDE_INDICATOR_STORE]           = { JSON_FIELDS(store_fields) },
	[TIDE_INDICATOR_HANDLER]         = { JSON_FIELDS(handler_fields) },
	[TIDE_INDICATORS]                = { NULL, 0 },
};

/* of one among all, its state between them */
static const struct json_field member_names[] = {
	{ "name",   JSON_FIELD_CHARS, AT(name) },
	{ "status", JSON_FIELD_NAME,  AT(status), .name = health_status_name },
};
static const struct json_field member_fields[] = {
	{ "events_processed", JSON_FIELD_INTEGER, AT(events_processed) },
	{ "events_failed",    JSON_FIELD_INTEGER, AT(events_failed) },
	LAG_FIELD,
	{ "error_rate",       JSON_FIELD_REAL,    AT(error_rate_per_minute), .decimals = 1 },
	{ "last_error",       JSON_FIELD_ERROR,   AT(last_error) },
	{ "uptime_seconds",   JSON_FIELD_REAL,    AT(uptime_seconds), .decimals = 3 },
};

/* of one alone */
static const struct json_field subscription_fields[] = {
	{ "status",            JSON_FIELD_NAME,  AT(status), .name = health_status_name },
	{ "subscription_name", JSON_FIELD_CHARS, AT(name) },
	{ "timestamp",         JSON_FIELD_TIME,  AT(timestamp) },
	{ "uptime_seconds",    JSON_FIELD_REAL,  AT(uptime_seconds), .decimals = 3 },
};
#undef LAG_FIELD
#undef KNOWN
#undef AT

/* the number of all between them */
#define AT(member) .place = offsetof(struct tide_health, member)
static const struct json_field health_heads[] = {
	{ "status",  JSON_FIELD_NAME, AT(status), .name = health_status_name },
	{ "running", JSON_FIELD_FLAG, AT(running) },
};
static const struct json_field health_fields[] = {
	{ "healthy_count",          JSON_FIELD_INTEGER, AT(healthy_count) },
	{ "degraded_count",         JSON_FIELD_INTEGER, AT(degraded_count) },
	{ "unhealthy_count",        JSON_FIELD_INTEGER, AT(unhealthy_count) },
	{ "total_events_processed", JSON_FIELD_INTEGER, AT(total_events_processed) },
	{ "total_events_failed",    JSON_FIELD_INTEGER, AT(total_events_failed) },
	{ "total_lag_events",       JSON_FIELD_INTEGER, AT(total_lag_events) },
	{ "uptime_seconds",         JSON_FIELD_REAL,    AT(uptime_seconds), .decimals = 3 },
	{ "timestamp",              JSON_FIELD_TIME,    AT(timestamp) },
};
#undef AT

/* details between them */
#define AT(member) .place = offsetof(struct tide_readiness, member)
static const struct json_field readiness_heads[] = {
	{ "ready",  JSON_FIELD_FLAG, AT(ready) },
	{ "reason", JSON_FIELD_TEXT, AT(reason) },
};
static const struct json_field readiness_details[] = {
	{ "running",            JSON_FIELD_FLAG, AT(running) },
	{ "subscription_count", JSON_FIELD_SIZE, AT(subscription_count) },
	{ "shutting_down",      JSON_FIELD_FLAG, AT(shutting_down) },
};
#undef AT

#define AT(member) .place = offsetof(struct tide_liveness, member)
static const struct json_field liveness_heads[] = {
	{ "alive",  JSON_FIELD_FLAG,  AT(alive) },
	{ "reason", JSON_FIELD_CHARS, AT(reason) },
};
static const struct json_field liveness_details[] = {
	{ "running",            JSON_FIELD_FLAG, AT(running) },
	{ "uptime_seconds",     JSON_FIELD_REAL, AT(uptime_seconds), .decimals = 3 },
	{ "lock_responsive",    JSON_FIELD_FLAG, AT(lock_responsive) },
	{ "subscription_count", JSON_FIELD_SIZE, AT(subscription_count) },
};
#undef AT
/* clang-format on */

/* ---- Indicators ------------------------------------------------------------------------------ */

static void health_add_state(struct buffer *buffer, const struct tide_subscription_health *health)
{
	json_add_string(buffer, "state",
			health->is_responsive ? tide_state_name(health->state) : "unknown");
}

static void health_add_state_details(struct buffer *buffer,
				     const struct tide_subscription_health *health)
{
	health_add_state(buffer, health);
	if (health->state == TIDE_STATE_ERROR)
		json_add_string(buffer, "error", health_error_text(health));
	if (!*health->unowned_lane)
		return;
	json_add_string(buffer, "unowned_lane", health->unowned_lane);
	json_add_time(buffer, "unowned_since", true, health->unowned_since);
}

static void health_add_details(struct buffer *buffer, const struct tide_subscription_health *health,
			       enum tide_indicator_kind kind)
{
	if (kind == TIDE_INDICATOR_STATE)
		health_add_state_details(buffer, health);
	json_add_fields(buffer, indicator_details[kind].fields, indicator_details[kind].count,
			health);
	if (kind == TIDE_INDICATOR_LAG && *health->waiting_for)
		json_add_string(buffer, "waiting_for", health->waiting_for);
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
	health_add_details(buffer, health, indicator->kind);

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
	json_add_fields(buffer, JSON_FIELDS(member_names), health);
	health_add_state(buffer, health);
	json_add_fields(buffer, JSON_FIELDS(member_fields), health);
	health_add_indicators(buffer, health);
	json_close(buffer, '}');
}

tide_status tide_health_json(const struct tide_health *health, char **ret, struct tide_error *err)
{
	if (health_check_json(health, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };

	json_open(&buffer, '{');
	json_add_fields(&buffer, JSON_FIELDS(health_heads), health);
	json_add_integer(&buffer, "subscription_count",
			 health->healthy_count + health->degraded_count + health->unhealthy_count);
	json_add_fields(&buffer, JSON_FIELDS(health_fields), health);
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
	json_add_fields(&buffer, JSON_FIELDS(subscription_fields), health);
	health_add_indicators(&buffer, health);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

/* ---- Readiness and liveness ------------------------------------------------------------------ */

static void readiness_add_details(struct buffer *buffer, const struct tide_readiness *readiness)
{
	json_key(buffer, "details");
	json_open(buffer, '{');
	json_add_fields(buffer, JSON_FIELDS(readiness_details), readiness);

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
	json_add_fields(&buffer, JSON_FIELDS(readiness_heads), readiness);
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
	json_add_fields(&buffer, JSON_FIELDS(liveness_heads), liveness);
	json_key(&buffer, "details");
	json_fields(&buffer, JSON_FIELDS(liveness_details), liveness);
	json_add_time(&buffer, "timestamp", true, liveness->timestamp);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

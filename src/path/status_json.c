/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription's status and statistics as JSON.
 */
#include "path/status_json.h"

#include <stddef.h>

#include <tidemark/subscription.h>

static const char *status_state(int value)
{
	return tide_state_name((enum tide_state)value);
}

static const char *status_pause_reason(int value)
{
	return tide_pause_reason_name((enum tide_pause_reason)value);
}

static const char *status_breaker_state(int value)
{
	return tide_breaker_state_name((enum tide_breaker_state)value);
}

static bool status_is_paused(const void *object)
{
	return ((const struct tide_subscription_status *)object)->state == TIDE_STATE_PAUSED;
}

/* clang-format off */
#define AT(member) .place = offsetof(struct tide_subscription_status, member)
#define KNOWN(member) .known = offsetof(struct tide_subscription_status, member)
const struct json_field status_fields[] = {
	{ "name",                   JSON_FIELD_CHARS,   AT(name) },
	{ "state",                  JSON_FIELD_NAME,    AT(state), .name = status_state,
		.names = TIDE_STATE_ERROR + 1 },
	{ "position",               JSON_FIELD_INTEGER, AT(position) },
	{ "lag_events",             JSON_FIELD_INTEGER, AT(lag_events), KNOWN(lag_known) },
	{ "events_processed",       JSON_FIELD_INTEGER, AT(events_processed) },
	{ "events_failed",          JSON_FIELD_INTEGER, AT(events_failed) },
	{ "events_dlq",             JSON_FIELD_INTEGER, AT(events_dlq) },
	{ "last_processed_at",      JSON_FIELD_TIME,    AT(last_processed_at),
		KNOWN(has_last_processed_at) },
	{ "started_at",             JSON_FIELD_TIME,    AT(started_at), KNOWN(has_started_at) },
	{ "uptime_seconds",         JSON_FIELD_REAL,    AT(uptime_seconds), .decimals = 3 },
	{ "error",                  JSON_FIELD_ERROR,   AT(error) },
	{ "recent_errors_count",    JSON_FIELD_SMALL,   AT(recent_errors_count) },
	{ "events_skipped",         JSON_FIELD_INTEGER, AT(events_skipped) },
	{ "events_discarded",       JSON_FIELD_INTEGER, AT(events_discarded) },
	{ "last_event_id",          JSON_FIELD_UUID,    AT(last_event_id) },
	{ "last_event_type",        JSON_FIELD_WORDS,   AT(last_event_type) },
	{ "previous_state",         JSON_FIELD_NAME,    AT(previous_state), .name = status_state,
		KNOWN(has_previous_state) },
	{ "pause_reason",           JSON_FIELD_NAME,    AT(pause_reason),
		.name = status_pause_reason, .is_known = status_is_paused },
	{ "paused_at",              JSON_FIELD_TIME,    AT(paused_at), .is_known = status_is_paused },
	{ "pause_duration_seconds", JSON_FIELD_REAL,    AT(pause_duration_seconds), .decimals = 3,
		.is_known = status_is_paused },
	{ "in_flight",              JSON_FIELD_INTEGER, AT(in_flight) },
	{ "in_flight_peak",         JSON_FIELD_INTEGER, AT(in_flight_peak) },
	{ "backpressure",           JSON_FIELD_FLAG,    AT(backpressure) },
	{ "standby",                JSON_FIELD_FLAG,    AT(standby) },
	{ "lag_stale",              JSON_FIELD_FLAG,    AT(lag_stale) },
	{ "waiting_for",            JSON_FIELD_WORDS,   AT(waiting_for) },
	{ "paused_by",              JSON_FIELD_WORDS,   AT(paused_by) },
	{ "pause_note",             JSON_FIELD_WORDS,   AT(pause_note) },
};
const size_t status_field_count = sizeof status_fields / sizeof *status_fields;

/* of one that has any */
static const struct json_field status_lane_fields[] = {
	{ "lanes",       JSON_FIELD_UNSIGNED, AT(lanes) },
	{ "lanes_owned", JSON_FIELD_UNSIGNED, AT(lanes_owned) },
};
#undef KNOWN
#undef AT

#define AT(member) .place = offsetof(struct tide_flow_stats, member)
static const struct json_field flow_fields[] = {
	{ "events_in_flight",         JSON_FIELD_INTEGER, AT(events_in_flight) },
	{ "peak_in_flight",           JSON_FIELD_INTEGER, AT(peak_in_flight) },
	{ "pause_count",              JSON_FIELD_INTEGER, AT(pause_count) },
	{ "total_pause_time_seconds", JSON_FIELD_REAL,    AT(total_pause_time_seconds), .decimals = 3 },
	{ "total_acquisitions",       JSON_FIELD_INTEGER, AT(total_acquisitions) },
	{ "total_releases",           JSON_FIELD_INTEGER, AT(total_releases) },
};
#undef AT

#define AT(member) .place = offsetof(struct tide_filter_stats, member)
static const struct json_field filter_fields[] = {
	{ "events_evaluated", JSON_FIELD_INTEGER, AT(events_evaluated) },
	{ "events_matched",   JSON_FIELD_INTEGER, AT(events_matched) },
	{ "events_skipped",   JSON_FIELD_INTEGER, AT(events_skipped) },
	{ "match_rate",       JSON_FIELD_REAL,    AT(match_rate), .decimals = 4 },
};
#undef AT

#define AT(member) .place = offsetof(struct tide_retry_stats, member)
static const struct json_field retry_fields[] = {
	{ "attempts",            JSON_FIELD_INTEGER, AT(attempts) },
	{ "successes",           JSON_FIELD_INTEGER, AT(successes) },
	{ "failures",            JSON_FIELD_INTEGER, AT(failures) },
	{ "total_delay_seconds", JSON_FIELD_REAL,    AT(total_delay_seconds), .decimals = 3 },
	{ "last_error",          JSON_FIELD_ERROR,   AT(last_error) },
};
#undef AT

#define AT(member) .place = offsetof(struct tide_breaker_status, member)
#define KNOWN(member) .known = offsetof(struct tide_breaker_status, member)
static const struct json_field breaker_fields[] = {
	{ "state",             JSON_FIELD_NAME,  AT(state), .name = status_breaker_state },
	{ "failure_count",     JSON_FIELD_SMALL, AT(failure_count) },
	{ "last_failure_time", JSON_FIELD_TIME,  AT(last_failure_time), KNOWN(has_last_failure) },
	{ "half_open_calls",   JSON_FIELD_SMALL, AT(half_open_calls) },
};
#undef KNOWN
#undef AT
/* clang-format on */

tide_status tide_subscription_status_json(const struct tide_subscription_status *status, char **ret,
					  struct tide_error *err)
{
	if (!status || !ret || status->lanes == 0)
		return json_fields_text(status_fields, status_field_count, status, ret, err);
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	json_add_fields(&buffer, status_fields, status_field_count, status);
	json_add_fields(&buffer, JSON_FIELDS(status_lane_fields), status);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_flow_stats_json(const struct tide_flow_stats *stats, char **ret,
				 struct tide_error *err)
{
	return json_fields_text(JSON_FIELDS(flow_fields), stats, ret, err);
}

tide_status tide_filter_stats_json(const struct tide_filter_stats *stats, char **ret,
				   struct tide_error *err)
{
	return json_fields_text(JSON_FIELDS(filter_fields), stats, ret, err);
}

tide_status tide_retry_stats_json(const struct tide_retry_stats *stats, char **ret,
				  struct tide_error *err)
{
	return json_fields_text(JSON_FIELDS(retry_fields), stats, ret, err);
}

tide_status tide_breaker_status_json(const struct tide_breaker_status *status, char **ret,
				     struct tide_error *err)
{
	return json_fields_text(JSON_FIELDS(breaker_fields), status, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription's status and statistics as JSON. The order of the keys is part of the contract.
 */
#include <tidemark/subscription.h>

#include "core/json.h"

static void status_add_string(struct buffer *buffer, const char *key, const char *value)
{
	json_key(buffer, key);
	json_string(buffer, value);
}

static void status_add_integer(struct buffer *buffer, const char *key, int64_t value)
{
	json_key(buffer, key);
	json_integer(buffer, value);
}

static void status_add_bool(struct buffer *buffer, const char *key, bool value)
{
	json_key(buffer, key);
	json_bool(buffer, value);
}

static void status_add_seconds(struct buffer *buffer, const char *key, bool is_known,
			       double seconds)
{
	json_key(buffer, key);
	if (is_known)
		json_number(buffer, seconds, 3);
	else
		json_null(buffer);
}

static void status_add_time(struct buffer *buffer, const char *key, bool is_known,
			    struct tide_time time)
{
	json_key(buffer, key);
	if (is_known)
		json_time(buffer, time);
	else
		json_null(buffer);
}

static const char *status_or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static void status_add_progress(struct buffer *buffer,
				const struct tide_subscription_status *status)
{
	status_add_string(buffer, "name", status->name);
	status_add_string(buffer, "state", tide_state_name(status->state));
	status_add_integer(buffer, "position", status->position);
	json_key(buffer, "lag_events");

	if (status->lag_known)
		json_integer(buffer, status->lag_events);
	else
		json_null(buffer);
	status_add_integer(buffer, "events_processed", status->events_processed);
	status_add_integer(buffer, "events_failed", status->events_failed);
	status_add_integer(buffer, "events_dlq", status->events_dlq);
	status_add_time(buffer, "last_processed_at", status->has_last_processed_at,
			status->last_processed_at);
	status_add_time(buffer, "started_at", status->has_started_at, status->started_at);
	status_add_seconds(buffer, "uptime_seconds", true, status->uptime_seconds);
	status_add_string(buffer, "error",
			  status->error.status == TIDE_OK ? NULL : status->error.message);
	status_add_integer(buffer, "recent_errors_count", status->recent_errors_count);
}

static void status_add_rest(struct buffer *buffer, const struct tide_subscription_status *status)
{
	bool is_paused = status->state == TIDE_STATE_PAUSED;
	status_add_integer(buffer, "events_skipped", status->events_skipped);
	status_add_integer(buffer, "events_discarded", status->events_discarded);
	json_key(buffer, "last_event_id");
	json_uuid(buffer, &status->last_event_id);
	status_add_string(buffer, "last_event_type", status_or_null(status->last_event_type));
	status_add_string(buffer, "previous_state",
			  status->has_previous_state ? tide_state_name(status->previous_state)
						     : NULL);
	status_add_string(buffer, "pause_reason",
			  is_paused ? tide_pause_reason_name(status->pause_reason) : NULL);
	status_add_time(buffer, "paused_at", is_paused, status->paused_at);
	status_add_seconds(buffer, "pause_duration_seconds", is_paused,
			   status->pause_duration_seconds);
	status_add_integer(buffer, "in_flight", status->in_flight);
	status_add_integer(buffer, "in_flight_peak", status->in_flight_peak);
	status_add_bool(buffer, "backpressure", status->backpressure);
	status_add_bool(buffer, "standby", status->standby);
	status_add_bool(buffer, "lag_stale", status->lag_stale);
	status_add_string(buffer, "waiting_for", status_or_null(status->waiting_for));
	status_add_string(buffer, "paused_by", status_or_null(status->paused_by));
	status_add_string(buffer, "pause_note", status_or_null(status->pause_note));
}

static tide_status status_check(const void *value, char **ret, struct tide_error *err)
{
	if (!value || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 value ? "ret" : "what is to be written");
	return TIDE_OK;
}

tide_status tide_subscription_status_json(const struct tide_subscription_status *status, char **ret,
					  struct tide_error *err)
{
	if (status_check(status, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	status_add_progress(&buffer, status);
	status_add_rest(&buffer, status);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_flow_stats_json(const struct tide_flow_stats *stats, char **ret,
				 struct tide_error *err)
{
	if (status_check(stats, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };

	json_open(&buffer, '{');
	status_add_integer(&buffer, "events_in_flight", stats->events_in_flight);
	status_add_integer(&buffer, "peak_in_flight", stats->peak_in_flight);
	status_add_integer(&buffer, "pause_count", stats->pause_count);
	status_add_seconds(&buffer, "total_pause_time_seconds", true,
			   stats->total_pause_time_seconds);
	status_add_integer(&buffer, "total_acquisitions", stats->total_acquisitions);
	status_add_integer(&buffer, "total_releases", stats->total_releases);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_filter_stats_json(const struct tide_filter_stats *stats, char **ret,
				   struct tide_error *err)
{
	if (status_check(stats, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	status_add_integer(&buffer, "events_evaluated", stats->events_evaluated);
	status_add_integer(&buffer, "events_matched", stats->events_matched);
	status_add_integer(&buffer, "events_skipped", stats->events_skipped);
	json_key(&buffer, "match_rate");
	json_number(&buffer, stats->match_rate, 4);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_retry_stats_json(const struct tide_retry_stats *stats, char **ret,
				  struct tide_error *err)
{
	if (status_check(stats, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	status_add_integer(&buffer, "attempts", stats->attempts);
	status_add_integer(&buffer, "successes", stats->successes);
	status_add_integer(&buffer, "failures", stats->failures);
	status_add_seconds(&buffer, "total_delay_seconds", true, stats->total_delay_seconds);
	status_add_string(&buffer, "last_error",
			  stats->last_error.status == TIDE_OK ? NULL : stats->last_error.message);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

tide_status tide_breaker_status_json(const struct tide_breaker_status *status, char **ret,
				     struct tide_error *err)
{
	if (status_check(status, ret, err) != TIDE_OK)
		return TIDE_ARGUMENT;
	struct buffer buffer = { 0 };
	json_open(&buffer, '{');
	status_add_string(&buffer, "state", tide_breaker_state_name(status->state));
	status_add_integer(&buffer, "failure_count", status->failure_count);
	status_add_time(&buffer, "last_failure_time", status->has_last_failure,
			status->last_failure_time);
	status_add_integer(&buffer, "half_open_calls", status->half_open_calls);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

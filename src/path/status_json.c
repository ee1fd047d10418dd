/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription's status and statistics as JSON. The order of the keys is part of the contract.
 */
#include <tidemark/subscription.h>

#include "core/json.h"

static const char *status_or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static void status_add_counts(struct buffer *buffer, const struct tide_subscription_status *status)
{
	json_add_string(buffer, "name", status->name);
	json_add_string(buffer, "state", tide_state_name(status->state));
	json_add_integer(buffer, "position", status->position);
	json_key(buffer, "lag_events");

	if (status->lag_known)
		json_integer(buffer, status->lag_events);
	else
		json_null(buffer);
	json_add_integer(buffer, "events_processed", status->events_processed);
	json_add_integer(buffer, "events_failed", status->events_failed);
	json_add_integer(buffer, "events_dlq", status->events_dlq);
	json_add_time(buffer, "last_processed_at", status->has_last_processed_at,
		      status->last_processed_at);
	json_add_time(buffer, "started_at", status->has_started_at, status->started_at);
	json_add_number(buffer, "uptime_seconds", status->uptime_seconds, 3);
	json_add_string(buffer, "error",
			status->error.status == TIDE_OK ? NULL : status->error.message);
	json_add_integer(buffer, "recent_errors_count", status->recent_errors_count);
}

static void status_add_rest(struct buffer *buffer, const struct tide_subscription_status *status)
{
	bool is_paused = status->state == TIDE_STATE_PAUSED;
	json_add_integer(buffer, "events_skipped", status->events_skipped);
	json_add_integer(buffer, "events_discarded", status->events_discarded);
	json_add_uuid(buffer, "last_event_id", &status->last_event_id);
	json_add_string(buffer, "last_event_type", status_or_null(status->last_event_type));
	json_add_string(buffer, "previous_state",
			status->has_previous_state ? tide_state_name(status->previous_state)
						   : NULL);
	json_add_string(buffer, "pause_reason",
			is_paused ? tide_pause_reason_name(status->pause_reason) : NULL);
	json_add_time(buffer, "paused_at", is_paused, status->paused_at);
	json_key(buffer, "pause_duration_seconds");
	if (is_paused)
		json_number(buffer, status->pause_duration_seconds, 3);
	else
		json_null(buffer);
	json_add_integer(buffer, "in_flight", status->in_flight);
	json_add_integer(buffer, "in_flight_peak", status->in_flight_peak);
	json_add_bool(buffer, "backpressure", status->backpressure);
	json_add_bool(buffer, "standby", status->standby);
	json_add_bool(buffer, "lag_stale", status->lag_stale);
	json_add_string(buffer, "waiting_for", status_or_null(status->waiting_for));
	json_add_string(buffer, "paused_by", status_or_null(status->paused_by));
	json_add_string(buffer, "pause_note", status_or_null(status->pause_note));
	if (status->lanes == 0)
		return;
	json_add_integer(buffer, "lanes", status->lanes);
	json_add_integer(buffer, "lanes_owned", status->lanes_owned);
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
	status_add_counts(&buffer, status);
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
	json_add_integer(&buffer, "events_in_flight", stats->events_in_flight);
	json_add_integer(&buffer, "peak_in_flight", stats->peak_in_flight);
	json_add_integer(&buffer, "pause_count", stats->pause_count);
	json_add_number(&buffer, "total_pause_time_seconds", stats->total_pause_time_seconds, 3);
	json_add_integer(&buffer, "total_acquisitions", stats->total_acquisitions);
	json_add_integer(&buffer, "total_releases", stats->total_releases);
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
	json_add_integer(&buffer, "events_evaluated", stats->events_evaluated);
	json_add_integer(&buffer, "events_matched", stats->events_matched);
	json_add_integer(&buffer, "events_skipped", stats->events_skipped);
	json_add_number(&buffer, "match_rate", stats->match_rate, 4);
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
	json_add_integer(&buffer, "attempts", stats->attempts);
	json_add_integer(&buffer, "successes", stats->successes);
	json_add_integer(&buffer, "failures", stats->failures);
	json_add_number(&buffer, "total_delay_seconds", stats->total_delay_seconds, 3);
	json_add_string(&buffer, "last_error",
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
	json_add_string(&buffer, "state", tide_breaker_state_name(status->state));
	json_add_integer(&buffer, "failure_count", status->failure_count);
	json_add_time(&buffer, "last_failure_time", status->has_last_failure,
		      status->last_failure_time);
	json_add_integer(&buffer, "half_open_calls", status->half_open_calls);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

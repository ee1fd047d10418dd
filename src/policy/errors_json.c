/* SPDX-License-Identifier: Apache-2.0 */
/* Error records and statistics as JSON. The order of the keys is part of the contract. */
#include "policy/errors_json.h"

/* Only what has happened is named. */
static void errors_add_counts(struct buffer *buffer, const struct tide_error_stats *stats)
{
	json_key(buffer, "errors_by_type");
	json_open(buffer, '{');
	for (int i = 0; i < TIDE_STATUS_COUNT; i++)
		if (stats->by_type[i])
			json_add_integer(buffer, tide_status_name((tide_status)i),
					 stats->by_type[i]);
	json_close(buffer, '}');
	json_key(buffer, "errors_by_category");
	json_open(buffer, '{');

	for (int i = 0; i <= TIDE_CATEGORY_UNKNOWN; i++)
		if (stats->by_category[i])
			json_add_integer(buffer, tide_category_name((enum tide_category)i),
					 stats->by_category[i]);
	json_close(buffer, '}');
}

void errors_add_stats(struct buffer *buffer, const struct tide_error_stats *stats)
{
	json_open(buffer, '{');
	json_add_integer(buffer, "total_errors", stats->total_errors);
	json_add_integer(buffer, "transient_errors", stats->transient_errors);
	json_add_integer(buffer, "permanent_errors", stats->permanent_errors);
	json_add_integer(buffer, "retried_errors", stats->retried_errors);
	json_add_integer(buffer, "dlq_count", stats->dlq_count);
	errors_add_counts(buffer, stats);
	json_add_time(buffer, "first_error_at", stats->has_errors, stats->first_error_at);
	json_add_time(buffer, "last_error_at", stats->has_errors, stats->last_error_at);
	json_add_number(buffer, "error_rate_per_minute", stats->error_rate_per_minute, 1);
	json_close(buffer, '}');
}

tide_status tide_error_stats_json(const struct tide_error_stats *stats, char **ret,
				  struct tide_error *err)
{
	if (!stats || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", stats ? "ret" : "stats");
	struct buffer buffer = { 0 };
	errors_add_stats(&buffer, stats);
	return buffer_take(&buffer, ret, err);
}

tide_status tide_error_record_json(const struct tide_error_record *record, char **ret,
				   struct tide_error *err)
{
	if (!record || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", record ? "ret" : "record");
	struct buffer buffer = { 0 };

	json_open(&buffer, '{');
	json_add_uuid(&buffer, "event_id", &record->event_id);
	json_add_string(&buffer, "event_type", record->event_type);
	json_add_integer(&buffer, "position", record->position);
	json_add_string(&buffer, "error_type", tide_status_name(record->error_type));
	json_add_string(&buffer, "error_message", record->error_message);
	json_add_string(&buffer, "error_stacktrace", record->error_stacktrace);
	json_add_string(&buffer, "category", tide_category_name(record->classification.category));
	json_add_string(&buffer, "severity", tide_severity_name(record->classification.severity));
	json_add_bool(&buffer, "retryable", record->classification.retryable);
	json_add_time(&buffer, "timestamp", true, record->timestamp);
	json_add_string(&buffer, "subscription_name", record->subscription_name);
	json_add_integer(&buffer, "retry_count", record->retry_count);
	json_add_bool(&buffer, "sent_to_dlq", record->sent_to_dlq);
	json_key(&buffer, "dlq_id");
	if (record->dlq_id)
		json_integer(&buffer, record->dlq_id);
	else
		json_null(&buffer);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

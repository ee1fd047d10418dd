/* SPDX-License-Identifier: Apache-2.0 */
/* Error records and statistics as JSON. The order of the keys is part of the contract. */
#include "policy/errors_json.h"

static void errors_add_integer(struct buffer *buffer, const char *key, int64_t value)
{
	json_key(buffer, key);
	json_integer(buffer, value);
}

static void errors_add_string(struct buffer *buffer, const char *key, const char *value)
{
	json_key(buffer, key);
	json_string(buffer, value);
}

static void errors_add_time(struct buffer *buffer, const char *key, bool is_known,
			    struct tide_time time)
{
	json_key(buffer, key);
	if (is_known)
		json_time(buffer, time);
	else
		json_null(buffer);
}

/* Only what has happened is named. */
static void errors_add_counts(struct buffer *buffer, const struct tide_error_stats *stats)
{
	json_key(buffer, "errors_by_type");
	json_open(buffer, '{');
	for (int i = 0; i < TIDE_STATUS_COUNT; i++)
		if (stats->by_type[i])
			errors_add_integer(buffer, tide_status_name((tide_status)i),
					   stats->by_type[i]);
	json_close(buffer, '}');
	json_key(buffer, "errors_by_category");
	json_open(buffer, '{');

	for (int i = 0; i <= TIDE_CATEGORY_UNKNOWN; i++)
		if (stats->by_category[i])
			errors_add_integer(buffer, tide_category_name((enum tide_category)i),
					   stats->by_category[i]);
	json_close(buffer, '}');
}

void errors_add_stats(struct buffer *buffer, const struct tide_error_stats *stats)
{
	json_open(buffer, '{');
	errors_add_integer(buffer, "total_errors", stats->total_errors);
	errors_add_integer(buffer, "transient_errors", stats->transient_errors);
	errors_add_integer(buffer, "permanent_errors", stats->permanent_errors);
	errors_add_integer(buffer, "retried_errors", stats->retried_errors);
	errors_add_integer(buffer, "dlq_count", stats->dlq_count);
	errors_add_counts(buffer, stats);
	errors_add_time(buffer, "first_error_at", stats->has_errors, stats->first_error_at);
	errors_add_time(buffer, "last_error_at", stats->has_errors, stats->last_error_at);
	json_key(buffer, "error_rate_per_minute");
	json_number(buffer, stats->error_rate_per_minute, 1);
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
	json_key(&buffer, "event_id");
	json_uuid(&buffer, &record->event_id);
	errors_add_string(&buffer, "event_type", record->event_type);
	errors_add_integer(&buffer, "position", record->position);
	errors_add_string(&buffer, "error_type", tide_status_name(record->error_type));
	errors_add_string(&buffer, "error_message", record->error_message);
	errors_add_string(&buffer, "error_stacktrace", record->error_stacktrace);
	errors_add_string(&buffer, "category", tide_category_name(record->classification.category));
	errors_add_string(&buffer, "severity", tide_severity_name(record->classification.severity));
	json_key(&buffer, "retryable");
	json_bool(&buffer, record->classification.retryable);
	errors_add_time(&buffer, "timestamp", true, record->timestamp);
	errors_add_string(&buffer, "subscription_name", record->subscription_name);
	errors_add_integer(&buffer, "retry_count", record->retry_count);
	json_key(&buffer, "sent_to_dlq");
	json_bool(&buffer, record->sent_to_dlq);
	json_key(&buffer, "dlq_id");
	if (record->dlq_id)
		json_integer(&buffer, record->dlq_id);
	else
		json_null(&buffer);
	json_close(&buffer, '}');
	return buffer_take(&buffer, ret, err);
}

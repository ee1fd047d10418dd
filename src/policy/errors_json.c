/* SPDX-License-Identifier: Apache-2.0 */
/* Error records and statistics as JSON. */
#include "policy/errors_json.h"

#include <stddef.h>

#include "core/json_fields.h"

static const char *error_type_name(int value)
{
	return tide_status_name((tide_status)value);
}

static const char *error_category_name(int value)
{
	return tide_category_name((enum tide_category)value);
}

static const char *error_severity_name(int value)
{
	return tide_severity_name((enum tide_severity)value);
}

static bool error_has_entry(const void *object)
{
	return ((const struct tide_error_record *)object)->dlq_id != 0;
}

/* clang-format off */
#define AT(member) .place = offsetof(struct tide_error_stats, member)
#define KNOWN(member) .known = offsetof(struct tide_error_stats, member)
static const struct json_field errors_totals[] = {
	{ "total_errors",     JSON_FIELD_INTEGER, AT(total_errors) },
	{ "transient_errors", JSON_FIELD_INTEGER, AT(transient_errors) },
	{ "permanent_errors", JSON_FIELD_INTEGER, AT(permanent_errors) },
	{ "retried_errors",   JSON_FIELD_INTEGER, AT(retried_errors) },
	{ "dlq_count",        JSON_FIELD_INTEGER, AT(dlq_count) },
};

/* behind the counts by type and category */
static const struct json_field errors_times[] = {
	{ "first_error_at",        JSON_FIELD_TIME, AT(first_error_at), KNOWN(has_errors) },
	{ "last_error_at",         JSON_FIELD_TIME, AT(last_error_at),  KNOWN(has_errors) },
	{ "error_rate_per_minute", JSON_FIELD_REAL, AT(error_rate_per_minute), .decimals = 1 },
};
#undef KNOWN
#undef AT

#define AT(member) .place = offsetof(struct tide_error_record, member)
static const struct json_field error_fields[] = {
	{ "event_id",          JSON_FIELD_UUID,    AT(event_id) },
	{ "event_type",        JSON_FIELD_TEXT,    AT(event_type) },
	{ "position",          JSON_FIELD_INTEGER, AT(position) },
	{ "error_type",        JSON_FIELD_NAME,    AT(error_type), .name = error_type_name },
	{ "error_message",     JSON_FIELD_TEXT,    AT(error_message) },
	{ "error_stacktrace",  JSON_FIELD_TEXT,    AT(error_stacktrace) },
	{ "category",          JSON_FIELD_NAME,    AT(classification.category),
		.name = error_category_name },
	{ "severity",          JSON_FIELD_NAME,    AT(classification.severity),
		.name = error_severity_name },
	{ "retryable",         JSON_FIELD_FLAG,    AT(classification.retryable) },
	{ "timestamp",         JSON_FIELD_TIME,    AT(timestamp) },
	{ "subscription_name", JSON_FIELD_TEXT,    AT(subscription_name) },
	{ "retry_count",       JSON_FIELD_SMALL,   AT(retry_count) },
	{ "sent_to_dlq",       JSON_FIELD_FLAG,    AT(sent_to_dlq) },
	{ "dlq_id",            JSON_FIELD_INTEGER, AT(dlq_id), .is_known = error_has_entry },
};
#undef AT
/* clang-format on */

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
	json_add_fields(buffer, JSON_FIELDS(errors_totals), stats);
	errors_add_counts(buffer, stats);
	json_add_fields(buffer, JSON_FIELDS(errors_times), stats);
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
	return json_fields_text(JSON_FIELDS(error_fields), record, ret, err);
}

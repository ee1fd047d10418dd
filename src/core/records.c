/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON objects. */
#include "core/records.h"

#include <stddef.h>

#include "core/json_fields.h"

static const char *dead_letter_status(int value)
{
	return tide_dead_letter_status_name((enum tide_dead_letter_status)value);
}

/* clang-format off */
#define AT(member) .place = offsetof(struct tide_dead_letter, member)
#define KNOWN(member) .known = offsetof(struct tide_dead_letter, member)
static const struct json_field dead_letter_fields[] = {
	{ "id",               JSON_FIELD_INTEGER, AT(id) },
	{ "event_id",         JSON_FIELD_TEXT,    AT(event_id_text) },
	{ "projection_name",  JSON_FIELD_TEXT,    AT(projection_name) },
	{ "event_type",       JSON_FIELD_TEXT,    AT(event_type) },
	{ "error_message",    JSON_FIELD_TEXT,    AT(error_message) },
	{ "error_stacktrace", JSON_FIELD_TEXT,    AT(error_stacktrace) },
	{ "retry_count",      JSON_FIELD_SMALL,   AT(retry_count) },
	{ "first_failed_at",  JSON_FIELD_TIME,    AT(first_failed_at) },
	{ "last_failed_at",   JSON_FIELD_TIME,    AT(last_failed_at) },
	{ "status",           JSON_FIELD_NAME,    AT(status), .name = dead_letter_status },
	{ "resolved_at",      JSON_FIELD_TIME,    AT(resolved_at), KNOWN(is_resolved) },
	{ "resolved_by",      JSON_FIELD_TEXT,    AT(resolved_by) },
	{ "parked_behind",    JSON_FIELD_TEXT,    AT(parked_behind) },
};
#undef KNOWN
#undef AT

#define AT(member) .place = offsetof(struct tide_journal_entry, member)
static const struct json_field journal_fields[] = {
	{ "at",              JSON_FIELD_TIME,  AT(at) },
	{ "who",             JSON_FIELD_CHARS, AT(who) },
	{ "host",            JSON_FIELD_WORDS, AT(host) },
	{ "act",             JSON_FIELD_CHARS, AT(act) },
	{ "projection_name", JSON_FIELD_CHARS, AT(name) },
	{ "detail",          JSON_FIELD_WORDS, AT(detail) },
};
#undef AT

#define AT(member) .place = offsetof(struct tide_checkpoint, member)
#define KNOWN(member) .known = offsetof(struct tide_checkpoint, member)
static const struct json_field checkpoint_fields[] = {
	{ "projection_name",   JSON_FIELD_CHARS,   AT(projection_name) },
	{ "global_position",   JSON_FIELD_INTEGER, AT(position), KNOWN(has_position) },
	{ "events_processed",  JSON_FIELD_INTEGER, AT(events_processed) },
	{ "last_event_id",     JSON_FIELD_UUID,    AT(last_event_id) },
	{ "last_event_type",   JSON_FIELD_WORDS,   AT(last_event_type) },
	{ "last_processed_at", JSON_FIELD_TIME,    AT(last_processed_at),
		KNOWN(has_last_processed_at) },
	{ "created_at",        JSON_FIELD_TIME,    AT(created_at) },
	{ "updated_at",        JSON_FIELD_TIME,    AT(updated_at) },
};
#undef KNOWN
#undef AT

#define AT(member) .place = offsetof(struct tide_lag, member)
#define KNOWN(member) .known = offsetof(struct tide_lag, member)
static const struct json_field lag_fields[] = {
	{ "projection_name",        JSON_FIELD_CHARS,   AT(projection_name) },
	{ "last_event_id",          JSON_FIELD_UUID,    AT(last_event_id) },
	{ "latest_event_id",        JSON_FIELD_UUID,    AT(latest_event_id) },
	{ "lag_seconds",            JSON_FIELD_REAL,    AT(lag_seconds), .decimals = 1 },
	{ "event_time_lag_seconds", JSON_FIELD_REAL,    AT(event_time_lag_seconds), .decimals = 1 },
	{ "events_processed",       JSON_FIELD_INTEGER, AT(events_processed) },
	{ "last_processed_at",      JSON_FIELD_TIME,    AT(last_processed_at),
		KNOWN(has_last_processed_at) },
	{ "lag_events",             JSON_FIELD_INTEGER, AT(lag_events) },
};
#undef KNOWN
#undef AT
/* clang-format on */

void dead_letter_write_json(struct buffer *buffer, const struct tide_dead_letter *letter)
{
	json_open(buffer, '{');
	json_add_fields(buffer, JSON_FIELDS(dead_letter_fields), letter);
	json_key(buffer, "event_data");
	if (json_check(tide_text(letter->event_data), false, "event_data", NULL) == TIDE_OK)
		json_raw(buffer, tide_text(letter->event_data));
	else
		json_string(buffer, letter->event_data);
	json_close(buffer, '}');
}

void journal_write_json(struct buffer *buffer, const struct tide_journal_entry *entry)
{
	json_fields(buffer, JSON_FIELDS(journal_fields), entry);
}

void checkpoint_write_json(struct buffer *buffer, const struct tide_checkpoint *row)
{
	json_fields(buffer, JSON_FIELDS(checkpoint_fields), row);
}

void lag_write_json(struct buffer *buffer, const struct tide_lag *lag)
{
	json_fields(buffer, JSON_FIELDS(lag_fields), lag);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON objects. */
#include "core/records.h"

void dead_letter_write_json(struct buffer *buffer, const struct tide_dead_letter *letter)
{
	json_open(buffer, '{');
	json_add_integer(buffer, "id", letter->id);
	json_add_string(buffer, "event_id", letter->event_id_text);
	json_add_string(buffer, "projection_name", letter->projection_name);
	json_add_string(buffer, "event_type", letter->event_type);
	json_add_string(buffer, "error_message", letter->error_message);
	json_add_string(buffer, "error_stacktrace", letter->error_stacktrace);
	json_add_integer(buffer, "retry_count", letter->retry_count);
	json_add_time(buffer, "first_failed_at", true, letter->first_failed_at);
	json_add_time(buffer, "last_failed_at", true, letter->last_failed_at);
	json_add_string(buffer, "status", tide_dead_letter_status_name(letter->status));
	json_add_time(buffer, "resolved_at", letter->is_resolved, letter->resolved_at);
	json_add_string(buffer, "resolved_by", letter->resolved_by);
	json_add_string(buffer, "parked_behind", letter->parked_behind);
	json_key(buffer, "event_data");

	if (json_check(tide_text(letter->event_data), false, "event_data", NULL) == TIDE_OK)
		json_raw(buffer, tide_text(letter->event_data));
	else
		json_string(buffer, letter->event_data);
	json_close(buffer, '}');
}

void journal_write_json(struct buffer *buffer, const struct tide_journal_entry *entry)
{
	json_open(buffer, '{');
	json_add_time(buffer, "at", true, entry->at);
	json_add_string(buffer, "who", entry->who);
	json_add_string(buffer, "host", *entry->host ? entry->host : NULL);
	json_add_string(buffer, "act", entry->act);
	json_add_string(buffer, "projection_name", entry->name);
	json_add_string(buffer, "detail", *entry->detail ? entry->detail : NULL);
	json_close(buffer, '}');
}

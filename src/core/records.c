/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON objects. */
#include "core/records.h"

void dead_letter_write_json(struct buffer *buffer, const struct tide_dead_letter *letter)
{
	json_open(buffer, '{');
	json_key(buffer, "id");
	json_integer(buffer, letter->id);
	json_key(buffer, "event_id");
	json_string(buffer, letter->event_id_text);
	json_key(buffer, "projection_name");
	json_string(buffer, letter->projection_name);
	json_key(buffer, "event_type");
	json_string(buffer, letter->event_type);
	json_key(buffer, "error_message");
	json_string(buffer, letter->error_message);
	json_key(buffer, "error_stacktrace");
	json_string(buffer, letter->error_stacktrace);
	json_key(buffer, "retry_count");
	json_integer(buffer, letter->retry_count);
	json_key(buffer, "first_failed_at");
	json_time(buffer, letter->first_failed_at);
	json_key(buffer, "last_failed_at");
	json_time(buffer, letter->last_failed_at);
	json_key(buffer, "status");
	json_string(buffer, tide_dead_letter_status_name(letter->status));
	json_key(buffer, "resolved_at");

	if (letter->is_resolved)
		json_time(buffer, letter->resolved_at);
	else
		json_null(buffer);
	json_key(buffer, "resolved_by");
	json_string(buffer, letter->resolved_by);
	json_key(buffer, "parked_behind");
	json_string(buffer, letter->parked_behind);
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
	json_key(buffer, "at");
	json_time(buffer, entry->at);
	json_key(buffer, "who");
	json_string(buffer, entry->who);
	json_key(buffer, "host");
	json_string(buffer, *entry->host ? entry->host : NULL);
	json_key(buffer, "act");
	json_string(buffer, entry->act);
	json_key(buffer, "projection_name");
	json_string(buffer, entry->name);
	json_key(buffer, "detail");
	json_string(buffer, *entry->detail ? entry->detail : NULL);
	json_close(buffer, '}');
}

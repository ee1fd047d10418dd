/* SPDX-License-Identifier: Apache-2.0 */
/* What a statement may ask of an event, its parameters by name and their values; and whether it is
 * for the event at all. */
#include <string.h>

#include "project/sql.h"

/* clang-format off */
static const char *const sql_fields[SQL_FIELD_COUNT] = {
	[SQL_GLOBAL_POSITION] = "global_position", [SQL_EVENT_ID] = "event_id", [SQL_EVENT_TYPE] = "event_type",
	[SQL_EVENT_VERSION] = "event_version", [SQL_OCCURRED_AT] = "occurred_at", [SQL_AGGREGATE_ID] = "aggregate_id",
	[SQL_AGGREGATE_TYPE] = "aggregate_type", [SQL_AGGREGATE_VERSION] = "aggregate_version",
	[SQL_TENANT_ID] = "tenant_id", [SQL_ACTOR_ID] = "actor_id", [SQL_CORRELATION_ID] = "correlation_id",
	[SQL_CAUSATION_ID] = "causation_id", [SQL_METADATA] = "metadata", [SQL_PAYLOAD] = "payload",
};
/* clang-format on */

enum sql_field sql_field_find(const char *name, size_t size)
{
	int field = 0;

	while (field < SQL_FIELD_COUNT &&
	       !(strlen(sql_fields[field]) == size && strncmp(sql_fields[field], name, size) == 0))
		field++;
	return (enum sql_field)field;
}

bool sql_section_wants(const struct sql_script *script, const struct sql_section *section,
		       const struct tide_event *event)
{
	if (section->kind != SQL_ON || section->is_all)
		return section->kind == SQL_ON;
	for (size_t i = 0; i < section->types; i++) {
		const char *type = script->types[section->type + i];
		if (strncmp(type, event->event_type.data, event->event_type.size + 1) == 0)
			return true;
	}
	return false;
}

const char *sql_field_name(enum sql_field field)
{
	return sql_fields[field];
}

static struct sql_value sql_integer(int64_t integer)
{
	return (struct sql_value){ .is_integer = true, .integer = integer };
}

static struct sql_value sql_text(struct tide_text text)
{
	return (struct sql_value){ .is_null = !text.data, .text = text };
}

static struct sql_value sql_uuid(const struct tide_uuid *uuid, char scratch[SQL_SCRATCH_SIZE])
{
	if (tide_uuid_is_nil(uuid))
		return (struct sql_value){ .is_null = true };
	return sql_text(
		(struct tide_text){ tide_uuid_format(uuid, scratch), TIDE_UUID_TEXT_SIZE - 1 });
}

struct sql_value sql_field_value(enum sql_field field, const struct tide_event *event,
				 char scratch[SQL_SCRATCH_SIZE])
{
	switch (field) {
	case SQL_GLOBAL_POSITION:
		return sql_integer(event->position);
	case SQL_EVENT_ID:
		return sql_uuid(&event->event_id, scratch);
	case SQL_EVENT_TYPE:
		return sql_text(event->event_type);
	case SQL_EVENT_VERSION:
		return sql_integer(event->event_version);
	case SQL_OCCURRED_AT:
		return sql_text(tide_text(tide_time_format(event->occurred_at, scratch)));
	case SQL_AGGREGATE_ID:
		return sql_uuid(&event->aggregate_id, scratch);
	case SQL_AGGREGATE_TYPE:
		return sql_text(event->aggregate_type);
	case SQL_AGGREGATE_VERSION:
		return sql_integer(event->version);
	case SQL_TENANT_ID:
		return sql_uuid(&event->tenant_id, scratch);
	case SQL_ACTOR_ID:
		return sql_text(event->actor_id);
	case SQL_CORRELATION_ID:
		return sql_uuid(&event->correlation_id, scratch);
	case SQL_CAUSATION_ID:
		return sql_uuid(&event->causation_id, scratch);
	case SQL_METADATA:
		return sql_text(event->metadata);
	case SQL_PAYLOAD:
		return sql_text(event->payload);
	case SQL_FIELD_COUNT:
		break;
	}
	return (struct sql_value){ .is_null = true };
}

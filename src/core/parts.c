/* SPDX-License-Identifier: Apache-2.0 */
#include "core/parts.h"

#include <assert.h>
#include <string.h>

/* clang-format off */
static const struct { const char *name, *loss; } part_table[PART_COUNT] = {
	[PART_ANCHOR]         = { "ANCHOR",         "positions are not compared with the events they stand on" },
	[PART_PARKED]         = { "PARKED",         "subscriptions cannot hold aggregates behind failed events" },
	[PART_SNAPSHOT_EVENT] = { "SNAPSHOT_EVENT", "snapshots are not compared with the events they stand on" },
	[PART_LEASE_SECONDS]  = { "LEASE_SECONDS",  "ownership is leased for 15 s" },
	[PART_LEASE_HISTORY]  = { "LEASE_HISTORY",  "where an owner ran and how it ended is not kept" },
	[PART_LEASE_REASON]   = { "LEASE_REASON",   "what keeps a subscription from going on is told by its own process alone" },
	[PART_VERSIONS]       = { "VERSIONS",       "changed projections and shared tables are not noticed" },
	[PART_SEGMENTS]       = { "SEGMENTS",       "'tide audit' cannot prove that nothing was skipped" },
	[PART_REBUILDS]       = { "REBUILDS",       "a rebuild that was interrupted begins anew, and none is made beside" },
	[PART_CONTROLS]       = { "CONTROLS",       "subscriptions cannot be paused durably, and what persons do is not kept" },
	[PART_GROUPS]         = { "GROUPS",         "processes cannot share the lanes of a subscription" },
};

const struct part_column part_columns[PART_COLUMN_COUNT] = {
	{ PART_ANCHOR,         "projection_checkpoints", "anchor_position", "BIGINT" },
	{ PART_ANCHOR,         "projection_checkpoints", "anchor_event_id", "UUID" },
	{ PART_PARKED,         "dead_letter_queue",      "parked_behind",   "UUID" },
	{ PART_SNAPSHOT_EVENT, "snapshots",              "last_event_id",   "UUID" },
	{ PART_LEASE_SECONDS,  "subscription_leases",    "lease_seconds",   "DOUBLE PRECISION" },
	{ PART_LEASE_HISTORY,  "subscription_leases",    "host",            "TEXT" },
	{ PART_LEASE_HISTORY,  "subscription_leases",    "pid",             "INTEGER" },
	{ PART_LEASE_HISTORY,  "subscription_leases",    "last_error",      "TEXT" },
	{ PART_LEASE_HISTORY,  "subscription_leases",    "last_error_at",   "TIMESTAMPTZ" },
	{ PART_LEASE_REASON,   "subscription_leases",    "reason",          "TEXT" },
	{ PART_VERSIONS,       "projection_versions",    NULL,              NULL },
	{ PART_SEGMENTS,       "projection_segments",    NULL,              NULL },
	{ PART_REBUILDS,       "projection_rebuilds",    NULL,              NULL },
	{ PART_CONTROLS,       "subscription_controls",  NULL,              NULL },
	{ PART_CONTROLS,       "subscription_journal",   NULL,              NULL },
	{ PART_GROUPS,         "subscription_groups",    NULL,              NULL },
	{ PART_GROUPS,         "subscription_members",   NULL,              NULL },
};
/* clang-format on */

enum part part_of(const char *table, const char *column)
{
	for (size_t i = 0; i < PART_COLUMN_COUNT; i++)
		if (strcmp(part_columns[i].table, table) == 0 &&
		    (!part_columns[i].name || strcmp(part_columns[i].name, column) == 0))
			return part_columns[i].part;
	return PART_COUNT;
}

const char *part_loss(enum part part)
{
	return part_table[part].loss;
}

/* The part that a segment begins with; `*ret_size` is the size of its name. */
static enum part part_named(const char *text, size_t *ret_size)
{
	*ret_size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	enum part part = 0;
	while (part < PART_COUNT && (strlen(part_table[part].name) != *ret_size ||
				     strncmp(part_table[part].name, text, *ret_size) != 0))
		part++;
	return part;
}

/* The next segment of a text, NULL when none is left. */
static const char *part_segment(const char *text)
{
	const char *at = text;
	while ((at = strchr(at, '<')) &&
	       !((at[1] == '+' || at[1] == '-') && at[2] >= 'A' && at[2] <= 'Z'))
		at++;
	return at;
}

bool parts_divide(const char *text)
{
	return part_segment(text) != NULL;
}

void parts_expand(struct buffer *buffer, const char *text, part_set parts)
{
	const char *segment;
	while ((segment = part_segment(text))) {
		size_t name;
		enum part part = part_named(segment + 2, &name);
		const char *body = segment + 2 + name, *end = strstr(body, "+>");
		assert(part < PART_COUNT && end); /* our texts are right */
		buffer_add(buffer, text, (size_t)(segment - text));
		if (((parts & PART_BIT(part)) != 0) == (segment[1] == '+'))
			buffer_add(buffer, body, (size_t)(end - body));
		text = end + 2;
	}
	buffer_add(buffer, text, strlen(text));
}

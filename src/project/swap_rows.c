/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Tidemark itself keeps of a projection, when a build takes its place: checkpoint, dead
 * letters, segments, version, number of lanes. All of it in the transaction that moves the tables.
 *
 * With lanes the rows of all of them go, whatever their number; a name that has no row in
 * subscription_groups has none, and what is called like a lane of it is somebody's partition.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "project/swap.h"
#include "sys/alloc.h"

/** A table whose rows are a projection's. */
static const struct swap_table {
	const char *name, *key, *columns, *order;
} swap_tables[] = {
	{ "projection_checkpoints", "projection_name",
	  "last_event_id, last_event_type, last_processed_at, global_position, events_processed, "
	  "created_at, updated_at, anchor_position, anchor_event_id",
	  "" },
	{ "dead_letter_queue", "projection_name",
	  "event_id, event_type, event_data, error_message, error_stacktrace, retry_count, "
	  "first_failed_at, last_failed_at, status, resolved_at, resolved_by, parked_behind",
	  " ORDER BY id" },
	{ "projection_segments", "name",
	  "from_position, stored_position, filter, events_processed, events_discarded, began_at, "
	  "until_position, until_processed, ended_at",
	  " ORDER BY id" },
	{ "projection_versions", "name",
	  "tables, init_hash, statements_hash, filter, built_at, tide_version", "" },
	/* the last one: by it the rows of lanes are found */
	{ "subscription_groups", "name", "lanes, processed_before, changed_at", "" },
};
#define SWAP_TABLE_COUNT (sizeof swap_tables / sizeof *swap_tables)

static tide_status rows_ask(const struct swap_rows *rows, const char *text,
			    const char *const *values, int count, struct tide_error *err)
{
	const struct tide_sql_projection *projection = rows->swap->projection;
	struct sql_question question = { .text = text, .count = count };

	if (!text)
		return alloc_fail(err);
	for (int i = 0; i < count; i++)
		question.values[i] = values[i];
	return projection->dialect->ask(&projection->script, rows->connection, &question, err);
}

tide_status swap_rows_run(const struct swap_rows *rows, const char *text, const char *const *values,
			  int count, struct tide_error *err)
{
	ALLOC_AUTO char *full = alloc_format(text, rows->own, rows->beside);
	return rows_ask(rows, full, values, count, err);
}

tide_status swap_rows_find(struct swap_rows *rows, const struct swap *swap, void *connection,
			   struct tide_error *err)
{
	const struct tide_sql_projection *projection = swap->projection;
	struct sql_place place;
	tide_status status =
		projection->dialect->find_place(&projection->script, connection, &place, err);

	*rows = (struct swap_rows){ .swap = swap, .connection = connection };
	snprintf(rows->own, sizeof rows->own, "%s", place.own);
	if (swap_is_postgres(swap))
		snprintf(rows->beside, sizeof rows->beside, "\"%s\".", swap->beside);
	else
		snprintf(rows->beside, sizeof rows->beside, "build.");
	return status;
}

/* Whether a key is the name in `parameter`, or that of a lane of it. */
static char *rows_match(const char *place, const char *key, const char *parameter)
{
	ALLOC_AUTO char *name = alloc_format("CAST(%s AS TEXT)", parameter);
	if (!name)
		return NULL;
	return alloc_format("(%s = %s OR (substr(%s, 1, length(%s) + 1) = %s || '#' AND "
			    "trim(substr(%s, length(%s) + 2), '0123456789') = '/' AND EXISTS "
			    "(SELECT 1 FROM %ssubscription_groups tide_group WHERE tide_group.name "
			    "= %s)))",
			    key, name, key, name, name, key, name, place, name);
}

/** How many rows of lanes there are, as the group and as its rows have it. */
struct rows_count {
	uint32_t lanes;
	long rows;
};

static tide_status rows_note_count(void *self, const char *const *columns, struct tide_error *err)
{
	struct rows_count *count = self;
	(void)err;
	uint32_t lanes = (uint32_t)strtoul(columns[0], NULL, 10);
	count->lanes = lanes > 1 ? lanes : 1;
	count->rows = strtol(columns[1], NULL, 10);
	return TIDE_OK;
}

tide_status swap_rows_check_lanes(const struct swap_rows *rows, struct tide_error *err)
{
	const struct swap *swap = rows->swap;
	const struct tide_sql_projection *projection = swap->projection;
	struct rows_count count = { 1, 1 };
	ALLOC_AUTO char *match = rows_match(rows->own, "projection_name", "$1");
	ALLOC_AUTO char *text = !match ? NULL
				       : alloc_format("SELECT g.lanes, (SELECT count(*) FROM "
						      "%sprojection_checkpoints WHERE %s) FROM "
						      "%ssubscription_groups g WHERE g.name = "
						      "CAST($1 AS TEXT)%s",
						      rows->own, match, rows->own,
						      swap_is_postgres(swap) ? " FOR UPDATE" : "");
	struct sql_question question = { .text = text,
					 .values = { projection->name },
					 .count = 1,
					 .row = rows_note_count,
					 .self = &count };
	if (!text)
		return alloc_fail(err);

	tide_status status =
		projection->dialect->ask(&projection->script, rows->connection, &question, err);
	if (status != TIDE_OK || (count.lanes == swap->lanes && count.rows == (long)swap->lanes))
		return status;
	return tide_fail(err, TIDE_STATE,
			 "the number of lanes of '%.255s' was changed meanwhile; call it again",
			 projection->name);
}

static tide_status rows_rename(const struct swap_rows *rows, const char *from, const char *to,
			       struct tide_error *err)
{
	const char *const values[] = { to, from };
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < SWAP_TABLE_COUNT && status == TIDE_OK; i++) {
		const struct swap_table *table = &swap_tables[i];
		ALLOC_AUTO char *match = rows_match(rows->own, table->key, "$2");
		ALLOC_AUTO char *text =
			!match ? NULL
			       : alloc_format("UPDATE %s%s SET %s = CAST($1 AS TEXT) || substr(%s, "
					      "length(CAST($2 AS TEXT)) + 1) WHERE %s",
					      rows->own, table->name, table->key, table->key,
					      match);
		status = rows_ask(rows, text, values, 2, err);
	}
	return status;
}

static tide_status rows_delete(const struct swap_rows *rows, const char *place, const char *name,
			       struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < SWAP_TABLE_COUNT && status == TIDE_OK; i++) {
		const struct swap_table *table = &swap_tables[i];
		ALLOC_AUTO char *match = rows_match(place, table->key, "$1");
		ALLOC_AUTO char *text = !match ? NULL
					       : alloc_format("DELETE FROM %s%s WHERE %s", place,
							      table->name, match);
		status = rows_ask(rows, text, &name, 1, err);
	}
	return status;
}

/** From where to where, and under which names. */
struct rows_copy {
	const char *from, *from_name, *to, *to_name;
};

static tide_status rows_copy(const struct swap_rows *rows, const struct rows_copy *copy,
			     struct tide_error *err)
{
	const char *const values[] = { copy->to_name, copy->from_name };
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < SWAP_TABLE_COUNT && status == TIDE_OK; i++) {
		const struct swap_table *table = &swap_tables[i];
		ALLOC_AUTO char *match = rows_match(copy->from, table->key, "$2");
		ALLOC_AUTO char *text =
			!match ? NULL
			       : alloc_format("INSERT INTO %s%s (%s, %s) SELECT CAST($1 AS TEXT) "
					      "|| substr(%s, length(CAST($2 AS TEXT)) + 1), %s "
					      "FROM %s%s WHERE %s%s",
					      copy->to, table->name, table->key, table->columns,
					      table->key, table->columns, copy->from, table->name,
					      match, table->order);
		status = rows_ask(rows, text, values, 2, err);
	}
	return status;
}

/* The tables of a version, as they are called where they are now. */
static tide_status rows_call_tables(const struct swap_rows *rows, const char *place,
				    const char *name, const char *prefix, struct tide_error *err)
{
	const char *const values[] = { prefix, name };
	ALLOC_AUTO char *text = alloc_format(
		swap_is_postgres(rows->swap)
			? "UPDATE %sprojection_versions SET tables = regexp_replace(tables::text, "
			  "'\"[^\".]*\\.', '\"' || $1::text, 'g')::json WHERE name = $2"
			: "UPDATE %sprojection_versions SET tables = (SELECT "
			  "json_group_array($1 || value) FROM json_each(tables)) WHERE name = $2",
		place);
	return rows_ask(rows, text, values, 2, err);
}

/* Whoever has loaded the other file learns from the time that it is not the one any more. */
static tide_status rows_stamp(const struct swap_rows *rows, struct tide_error *err)
{
	char now[TIDE_TIME_TEXT_SIZE];
	const char *const values[] = { tide_time_format(tide_time_now(), now),
				       rows->swap->projection->name };

	return swap_rows_run(rows, "UPDATE %sprojection_versions SET built_at = $1 WHERE name = $2",
			     values, 2, err);
}

/* Who owned NAME is fenced, and goes by the row. It comes before the number of lanes is moved. */
static tide_status rows_end_lease(const struct swap_rows *rows, struct tide_error *err)
{
	char now[TIDE_TIME_TEXT_SIZE];
	const char *const values[] = { tide_time_format(tide_time_now(), now),
				       rows->swap->projection->name };
	ALLOC_AUTO char *match = rows_match(rows->own, "name", "$2");
	ALLOC_AUTO char *text =
		!match ? NULL
		       : alloc_format("UPDATE %ssubscription_leases SET owner = NULL, epoch = "
				      "epoch + 1, released_at = $1, %ssuspect_position = NULL, "
				      "suspect_deaths = NULL WHERE %s",
				      rows->own,
				      swap_is_postgres(rows->swap)
					      ? "expires_at = clock_timestamp(), "
					      : "",
				      match);

	return rows_ask(rows, text, values, 2, err);
}

/* A build that had nothing to handle has saved nothing; without a position it would begin where a
 * first start does. */
static tide_status rows_stand(const struct swap_rows *rows, struct tide_error *err)
{
	const char *name = rows->swap->projection->name;
	ALLOC_AUTO char *match = rows_match(rows->own, "projection_name", "$1");
	ALLOC_AUTO char *text = !match ? NULL
				       : alloc_format("UPDATE %sprojection_checkpoints SET "
						      "global_position = 0 WHERE global_position "
						      "IS NULL AND %s",
						      rows->own, match);
	return rows_ask(rows, text, &name, 1, err);
}

tide_status swap_rows_forward(const struct swap_rows *rows, struct tide_error *err)
{
	const struct swap *swap = rows->swap;
	const char *name = swap->projection->name;
	const struct rows_copy copy = { rows->beside, swap->build, rows->own, name };
	char prefix[TIDE_NAME_MAX + 40];

	tide_status status = rows_end_lease(rows, err);
	if (status == TIDE_OK)
		status = rows_delete(rows, rows->own, swap->old, err);
	if (status == TIDE_OK)
		status = rows_rename(rows, name, swap->old, err);
	snprintf(prefix, sizeof prefix, "%s%s", swap->old, swap_is_postgres(swap) ? "." : "_");
	if (status == TIDE_OK)
		status = rows_call_tables(rows, rows->own, swap->old, prefix, err);
	if (status == TIDE_OK)
		status = rows_copy(rows, &copy, err);
	if (status == TIDE_OK)
		status = rows_stand(rows, err);
	if (status == TIDE_OK && swap_is_postgres(swap)) {
		struct sql_place place;
		status = swap->projection->dialect->find_place(&swap->projection->script,
							       rows->connection, &place, err);
		if (status == TIDE_OK)
			status = rows_call_tables(rows, rows->own, name, place.made, err);
	}
	return status == TIDE_OK ? rows_stamp(rows, err) : status;
}

/* The build has followed while it served. */
static tide_status rows_keep(const struct swap_rows *rows, struct tide_error *err)
{
	const struct swap *swap = rows->swap;
	const struct rows_copy copy = { rows->own, swap->projection->name, rows->beside,
					swap->build };
	char prefix[TIDE_NAME_MAX + 40];

	snprintf(prefix, sizeof prefix, "%s.", swap->beside);
	tide_status status = rows_delete(rows, rows->beside, swap->build, err);
	if (status == TIDE_OK)
		status = rows_copy(rows, &copy, err);
	return status == TIDE_OK ? rows_call_tables(rows, rows->beside, swap->build, prefix, err)
				 : status;
}

tide_status swap_rows_back(const struct swap_rows *rows, bool keeps, const char *tables,
			   struct tide_error *err)
{
	const struct swap *swap = rows->swap;
	const char *name = swap->projection->name;
	const char *const values[] = { tables, name };

	tide_status status = rows_end_lease(rows, err);
	if (status == TIDE_OK && keeps)
		status = rows_keep(rows, err);
	if (status == TIDE_OK)
		status = rows_delete(rows, rows->own, name, err);
	if (status == TIDE_OK)
		status = rows_rename(rows, swap->old, name, err);
	if (status == TIDE_OK)
		status = swap_rows_run(rows,
				       swap_is_postgres(swap)
					       ? "UPDATE %sprojection_versions SET tables = "
						 "$1::text::json WHERE name = $2"
					       : "UPDATE %sprojection_versions SET tables = $1 "
						 "WHERE name = $2",
				       values, 2, err);
	return status == TIDE_OK ? rows_stamp(rows, err) : status;
}

tide_status swap_rows_drop(const struct swap_rows *rows, struct tide_error *err)
{
	return rows_delete(rows, rows->own, rows->swap->old, err);
}

tide_status swap_rows_store(const struct swap_rows *rows, enum rebuild_state state,
			    const char *undo, struct tide_error *err)
{
	const struct swap *swap = rows->swap;
	char now[TIDE_TIME_TEXT_SIZE], position[24];
	const char *const values[] = { rebuild_state_name(state), position,
				       tide_time_format(tide_time_now(), now), undo,
				       swap->projection->name };

	snprintf(position, sizeof position, "%" PRId64, swap->position);
	return swap_rows_run(rows,
			     "UPDATE %sprojection_rebuilds SET state = $1, reached = $2, "
			     "changed_at = $3, undo = $4 WHERE name = $5",
			     values, 5, err);
}

tide_status swap_rows_store_back(const struct swap_rows *rows, struct tide_error *err)
{
	ALLOC_AUTO char *undo = NULL;
	tide_status status = rebuild_write_lanes(rows->swap->lanes, &undo, err);
	return status == TIDE_OK ? swap_rows_store(rows, REBUILD_BESIDE, undo, err) : status;
}

/* ---- Taking back ----------------------------------------------------------------------------- */

tide_status swap_undo(const struct swap *swap, swap_statement *run, void *self, char **ret_tables,
		      struct tide_error *err)
{
	const char *undo = swap->row.undo ? swap->row.undo : "";
	struct json_reader reader;
	struct json_token token;
	bool is_back = false;
	tide_status status = TIDE_OK;
	ALLOC_AUTO char *text = alloc_zero(strlen(undo) + 1, 1);

	if (!text)
		return alloc_fail(err);
	json_read(&reader, undo, strlen(undo));
	do {
		token = json_next(&reader);
		if (token.kind == JSON_KEY)
			is_back = json_equals(&token, "back");
		if (token.kind != JSON_STRING)
			continue;
		text[json_unescape(&token, text)] = '\0';
		if (is_back)
			status = run(self, text, err);
		else
			*ret_tables = alloc_text(text, strlen(text));
	} while (status == TIDE_OK && token.kind != JSON_END && token.kind != JSON_ERROR);
	if (status == TIDE_OK && !*ret_tables)
		status = tide_fail(err, TIDE_CORRUPT,
				   "projection_rebuilds does not tell how '%s' is swapped back",
				   swap->projection->name);
	return status;
}

static tide_status rows_note_found(void *self, const char *const *columns, struct tide_error *err)
{
	(void)columns;
	(void)err;
	*(bool *)self = true;
	return TIDE_OK;
}

tide_status swap_check_old(void *self, void *connection, struct tide_error *err)
{
	const struct swap *swap = self;
	const struct tide_sql_projection *projection = swap->projection;
	struct swap_rows rows;
	char init[17], statements[17];
	bool is_found = false;
	tide_status status = swap_rows_find(&rows, swap, connection, err);

	if (status != TIDE_OK)
		return status;
	rebuild_hashes(projection, init, statements);
	ALLOC_AUTO char *text = alloc_format(
		"SELECT 1 FROM %sprojection_versions WHERE name = $1 AND init_hash = $2 AND "
		"statements_hash = $3",
		rows.own);
	struct sql_question question = { .text = text,
					 .values = { swap->old, init, statements },
					 .count = 3,
					 .row = rows_note_found,
					 .self = &is_found };
	status = text ? projection->dialect->ask(&projection->script, connection, &question, err)
		      : alloc_fail(err);
	if (status == TIDE_OK && !is_found)
		status = tide_fail(err, TIDE_STATE,
				   "'%.200s' is not the file that the old '%.100s' was made with; "
				   "put that one back first, or say --force",
				   projection->path, projection->name);
	return status;
}

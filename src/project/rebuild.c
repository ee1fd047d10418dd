/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The row of a projection that is rebuilt, so that a rebuild that was interrupted goes on.
 *
 * Happy path: the row is written in the transaction that empties, or swaps, the tables.
 * Failure modes: a database of an earlier version has no such table: a rebuild in place begins anew
 * then, and none is made beside.
 */
#include "project/rebuild.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "sys/alloc.h"

static const char *const rebuild_states[REBUILD_STATE_COUNT] = {
	[REBUILD_NONE] = "none",       [REBUILD_IN_PLACE] = "in_place", [REBUILD_BESIDE] = "beside",
	[REBUILD_SWAPPED] = "swapped", [REBUILD_ENDED] = "ended",
};

/** A row being read for a file. */
struct rebuild_reading {
	const struct tide_sql_projection *projection;
	struct rebuild_row *row;
};

const char *rebuild_state_name(enum rebuild_state state)
{
	return rebuild_states[state];
}

void rebuild_row_fini(struct rebuild_row *row)
{
	tide_free(row->undo);
	row->undo = NULL;
}

void rebuild_hashes(const struct tide_sql_projection *projection, char init[17],
		    char statements[17])
{
	snprintf(init, 17, "%016" PRIx64, projection->script.init_hash);
	snprintf(statements, 17, "%016" PRIx64, projection->script.statements_hash);
}

static tide_status rebuild_take_row(void *self, const char *const *columns, struct tide_error *err)
{
	const struct rebuild_reading *reading = self;
	struct rebuild_row *row = reading->row;
	char init[17], statements[17];

	for (size_t i = 0; i < REBUILD_STATE_COUNT; i++)
		if (strcmp(columns[1], rebuild_states[i]) == 0)
			row->state = (enum rebuild_state)i;
	rebuild_hashes(reading->projection, init, statements);

	row->build = strtoll(columns[0], NULL, 10);
	row->is_same = strcmp(columns[2], init) == 0 && strcmp(columns[3], statements) == 0;
	row->reached = strtoll(columns[4], NULL, 10);
	if (!columns[5])
		return TIDE_OK;
	row->undo = alloc_text(columns[5], strlen(columns[5]));
	return row->undo ? TIDE_OK : alloc_fail(err);
}

tide_status rebuild_load(const struct tide_sql_projection *projection, void *connection,
			 bool needed, struct rebuild_row *ret, struct tide_error *err)
{
	struct rebuild_row row = { .state = REBUILD_NONE };
	struct rebuild_reading reading = { projection, &row };
	struct sql_place place;
	tide_status status =
		projection->dialect->find_place(&projection->script, connection, &place, err);

	if (status == TIDE_OK && !place.has_rebuilds && needed)
		return tide_fail(
			err, TIDE_SCHEMA,
			"table 'projection_rebuilds' is missing; make it with 'tide init'");
	if (status != TIDE_OK || !place.has_rebuilds) {
		*ret = row;
		return status;
	}
	ALLOC_AUTO char *text =
		alloc_format("SELECT build, state, init_hash, statements_hash, reached, undo FROM "
			     "%sprojection_rebuilds WHERE name = $1",
			     place.own);
	struct sql_question question = { .text = text,
					 .values = { projection->name },
					 .count = 1,
					 .row = rebuild_take_row,
					 .self = &reading };
	status = text ? projection->dialect->ask(&projection->script, connection, &question, err)
		      : alloc_fail(err);
	if (status == TIDE_OK)
		*ret = row;
	else
		rebuild_row_fini(&row);
	return status;
}

static tide_status rebuild_write(const struct tide_sql_projection *projection, void *connection,
				 const struct sql_place *place, const struct rebuild_row *row,
				 struct tide_error *err)
{
	char now[TIDE_TIME_TEXT_SIZE], init[17], statements[17], build[24], reached[24];
	ALLOC_AUTO char *text = alloc_format(
		"INSERT INTO %sprojection_rebuilds (name, build, state, init_hash, "
		"statements_hash, reached, changed_at, undo) VALUES ($1, $2, $3, $4, $5, $6, $7, "
		"$8) ON CONFLICT (name) DO UPDATE SET build = excluded.build, state = "
		"excluded.state, init_hash = excluded.init_hash, statements_hash = "
		"excluded.statements_hash, reached = excluded.reached, changed_at = "
		"excluded.changed_at, undo = excluded.undo",
		place->own);

	rebuild_hashes(projection, init, statements);
	snprintf(build, sizeof build, "%" PRId64, row->build);
	snprintf(reached, sizeof reached, "%" PRId64, row->reached);
	struct sql_question question = {
		.text = text,
		.values = { projection->name, build, rebuild_states[row->state], init, statements,
			    reached, tide_time_format(tide_time_now(), now), row->undo },
		.count = 8,
	};
	return text ? projection->dialect->ask(&projection->script, connection, &question, err)
		    : alloc_fail(err);
}

tide_status rebuild_store(const struct tide_sql_projection *projection, void *connection,
			  const struct rebuild_row *row, struct tide_error *err)
{
	struct sql_place place;
	tide_status status =
		projection->dialect->find_place(&projection->script, connection, &place, err);

	return status == TIDE_OK && place.has_rebuilds
		       ? rebuild_write(projection, connection, &place, row, err)
		       : status;
}

/* ---- What it notes --------------------------------------------------------------------------- */

/* 0: it does not say. */
static int64_t rebuild_number(const char *undo, const char *key)
{
	struct json_reader reader;
	struct json_token token;
	int64_t number = 0;
	bool is_it = false;

	if (!undo)
		return 0;
	json_read(&reader, undo, strlen(undo));
	do {
		token = json_next(&reader);
		if (token.kind == JSON_NUMBER && is_it)
			(void)json_int(&token, &number);
		is_it = token.kind == JSON_KEY && json_equals(&token, key);
	} while (token.kind != JSON_END && token.kind != JSON_ERROR);
	return number;
}

tide_position rebuild_answered(const char *undo)
{
	return rebuild_number(undo, "answered");
}

uint32_t rebuild_lanes(const char *undo)
{
	int64_t lanes = rebuild_number(undo, "lanes");
	return lanes > 1 && lanes <= UINT32_MAX ? (uint32_t)lanes : 1;
}

tide_status rebuild_write_lanes(uint32_t lanes, char **ret, struct tide_error *err)
{
	*ret = lanes > 1 ? alloc_format("{\"lanes\": %u}", lanes) : NULL;
	return lanes == 1 || *ret ? TIDE_OK : alloc_fail(err);
}

/* ---- What was answered before ---------------------------------------------------------------- */

static tide_status rebuild_take_position(void *self, const char *const *columns,
					 struct tide_error *err)
{
	(void)err;
	if (columns[0])
		*(tide_position *)self = strtoll(columns[0], NULL, 10);
	return TIDE_OK;
}

/* Of several partitions the one that is behind; what others have answered is recognised by its
 * ids. One that is begun anew before it was done has answered as far as the first. */
static tide_status rebuild_note_answered(const struct tide_sql_projection *projection,
					 void *connection, struct rebuild_row *row,
					 struct tide_error *err)
{
	struct sql_place place;
	tide_position before = rebuild_answered(row->undo), position = 0;
	tide_status status =
		projection->dialect->find_place(&projection->script, connection, &place, err);
	if (status != TIDE_OK)
		return status;

	ALLOC_AUTO char *text = alloc_format(
		"SELECT min(global_position) FROM %sprojection_checkpoints WHERE projection_name = "
		"CAST($1 AS text) OR substr(projection_name, 1, length(CAST($1 AS text)) + 1) = "
		"CAST($1 AS text) || '#'",
		place.own);
	struct sql_question question = { .text = text,
					 .values = { projection->name },
					 .count = 1,
					 .row = rebuild_take_position,
					 .self = &position };
	status = text ? projection->dialect->ask(&projection->script, connection, &question, err)
		      : alloc_fail(err);
	if (status != TIDE_OK)
		return status;
	rebuild_row_fini(row);
	row->undo =
		alloc_format("{\"answered\": %" PRId64 "}", position > before ? position : before);
	return row->undo ? TIDE_OK : alloc_fail(err);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

tide_status rebuild_refuse_beside(const char *name, const struct rebuild_row *row,
				  struct tide_error *err)
{
	if (row->state == REBUILD_SWAPPED)
		return tide_fail(err, TIDE_STATE,
				 "what build %lld of '%s' has replaced is kept; end that first "
				 "with --drop-old or --swap-back",
				 (long long)row->build, name);
	if (row->state == REBUILD_BESIDE)
		return tide_fail(err, TIDE_STATE,
				 "build %lld of '%s' stands beside it; go on with --beside, or end "
				 "that first with --drop-old",
				 (long long)row->build, name);
	return TIDE_OK;
}

tide_status rebuild_empty(struct tide_sql_projection *projection, void *connection,
			  tide_position reached, struct tide_error *err)
{
	struct rebuild_row row;
	tide_status status = sql_check_reset(projection, err);

	if (status == TIDE_OK)
		status = rebuild_load(projection, connection, false, &row, err);
	if (status != TIDE_OK)
		return status;
	status = rebuild_refuse_beside(projection->name, &row, err);
	if (status == TIDE_OK && projection->script.append_count > 0)
		status = rebuild_note_answered(projection, connection, &row, err);
	else
		rebuild_row_fini(&row);
	if (status == TIDE_OK)
		status = sql_reset(projection, connection, err);
	row.state = REBUILD_IN_PLACE;
	row.reached = reached;
	if (status == TIDE_OK)
		status = rebuild_store(projection, connection, &row, err);
	rebuild_row_fini(&row);
	return status;
}

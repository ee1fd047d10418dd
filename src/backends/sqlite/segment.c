/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches of the feed with one filter, for who proves later that nothing was skipped. */
#include <string.h>

#include "backends/sqlite/internal.h"
#include "core/segment.h"

static const char segment_end[] =
	"UPDATE projection_segments SET until_position = ?2, until_processed = ?3, ended_at = ?4 "
	"WHERE name = ?1 AND ended_at IS NULL";
static const char segment_begin[] =
	"INSERT INTO projection_segments (name, from_position, events_processed, began_at, filter, "
	"stored_position) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char segment_list[] =
	"SELECT from_position, events_processed, events_discarded, filter, ended_at IS NOT NULL, "
	"until_position, until_processed, stored_position, name FROM projection_segments WHERE "
	"substr(name, 1, length(?1)) = ?1 ORDER BY id";

static bool segment_is_kept(const struct sqlite_session *session)
{
	return (session->connection.parts & PART_BIT(PART_SEGMENTS)) != 0;
}

static tide_status segment_run(struct sqlite_session *session, const char *sql,
			       const struct tide_segment_write *write, tide_position position,
			       struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, write->name);
	sqlite3_bind_int64(statement, 2, position);
	sqlite3_bind_int64(statement, 3, write->processed);
	sqlite_bind_time(statement, 4, write->now, now);
	sqlite_bind_string(statement, 5, write->filter);
	sqlite3_bind_int64(statement, 6, write->stored);
	return sqlite_step(&session->connection, statement, NULL, err);
}

tide_status sqlite_segment_end(struct sqlite_session *session, const struct tide_group_row *row,
			       struct tide_time now, struct tide_error *err)
{
	struct tide_segment_write write = { .name = row->name,
					    .processed = row->processed,
					    .now = now };
	return row->has_open && segment_is_kept(session)
		       ? segment_run(session, segment_end, &write, row->until, err)
		       : TIDE_OK;
}

static tide_status segment_change(struct sqlite_session *session,
				  const struct tide_segment_write *write, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (write->should_forget)
		status = sqlite_segment_forget(session, write->name, err);
	if (status == TIDE_OK && write->should_end)
		status = segment_run(session, segment_end, write, write->until, err);
	if (status == TIDE_OK && write->should_begin)
		status = segment_run(session, segment_begin, write, write->from, err);
	return status;
}

tide_status sqlite_segment_turn(void *self, const struct tide_fence *fence,
				const struct tide_segment_write *write, struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool joined;
	if (!segment_is_kept(session))
		return TIDE_OK;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = sqlite_fence_check(session, fence, err);
	if (status == TIDE_OK)
		status = segment_change(session, write, err);
	return sqlite_write_end(session, joined, status, err);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool segment_decode(sqlite3_stmt *statement, struct tide_segment *ret)
{
	struct tide_text filter = sqlite_column_view(statement, 3);
	*ret = (struct tide_segment){ .from = sqlite3_column_int64(statement, 0),
				      .processed_before = sqlite3_column_int64(statement, 1),
				      .discarded = sqlite3_column_int64(statement, 2),
				      .has_ended = sqlite3_column_int(statement, 4),
				      .until = sqlite3_column_int64(statement, 5),
				      .processed_until = sqlite3_column_int64(statement, 6),
				      .stored = sqlite3_column_int64(statement, 7) };
	text_take_name(sqlite_column_view(statement, 8), ret->name);
	ret->filter = alloc_text(filter.data ? filter.data : "", filter.size);
	return ret->filter != NULL;
}

static tide_status segment_collect(struct sqlite_session *session, sqlite3_stmt *statement,
				   const char *name, struct tide_segment **list, size_t *count,
				   struct tide_error *err)
{
	bool has_row = true;
	tide_status status = TIDE_OK;
	while ((status = sqlite_step(&session->connection, statement, &has_row, err)) == TIDE_OK &&
	       has_row) {
		if (!segment_is_of(name, (const char *)sqlite3_column_text(statement, 8)))
			continue;

		struct tide_segment *more = alloc_resize(*list, *count + 1, sizeof *more);
		if (!more)
			return alloc_fail(err);
		*list = more;
		if (!segment_decode(statement, &more[*count]))
			return alloc_fail(err);
		(*count)++;
	}
	return status;
}

tide_status sqlite_segment_list(void *self, const char *name, struct tide_segment **ret,
				size_t *ret_count, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	struct tide_segment *list = NULL;
	size_t count = 0;
	tide_status status = TIDE_OK;

	if (segment_is_kept(session))
		status = sqlite_statement(&session->connection, segment_list, &statement, err);
	if (statement) {
		sqlite_bind_string(statement, 1, name);
		status = segment_collect(session, statement, name, &list, &count, err);
	}

	if (status != TIDE_OK) {
		tide_segments_free(list, count);
		return status;
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

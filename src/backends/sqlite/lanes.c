/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many lanes a subscription has, and their rows when that is changed.
 *
 * Happy path: in one transaction everything is as it was read and nobody lives who works with it,
 * so the old ownerships end in a new epoch, the rows of the new lanes are written, and the number.
 * A transaction that writes keeps every other writer out, so that nothing changes meanwhile; who
 * lives is told by locks, and whoever takes one then needs that transaction's end for its row.
 */
#include <stdio.h>

#include "backends/sqlite/internal.h"
#include "core/control.h"

static const char lanes_get[] =
	"SELECT lanes, processed_before, changed_at FROM subscription_groups WHERE name = ?1";
static const char lanes_put[] =
	"INSERT INTO subscription_groups (name, lanes, processed_before, changed_at) VALUES (?1, "
	"?2, 0, ?3) ON CONFLICT (name) DO UPDATE SET lanes = excluded.lanes, changed_at = "
	"excluded.changed_at";
static const char lanes_turn[] =
	"UPDATE subscription_leases SET owner = NULL, epoch = epoch + 1, released_at = ?2, "
	"suspect_position = NULL, suspect_deaths = NULL WHERE name = ?1";
static const char lanes_row[] =
	"INSERT INTO projection_checkpoints (projection_name, global_position, events_processed, "
	"created_at, updated_at<+ANCHOR , anchor_position, anchor_event_id+>) VALUES (?1, ?2, 0, "
	"?3, ?4<+ANCHOR , ?5, ?6+>) ON CONFLICT (projection_name) DO UPDATE SET global_position = "
	"excluded.global_position, created_at = iif(?3 > ?4, ?3, created_at), updated_at = ?4"
	"<+ANCHOR , anchor_position = excluded.anchor_position, "
	"anchor_event_id = excluded.anchor_event_id+>";
static const char lanes_clear[] = "DELETE FROM subscription_members WHERE name = ?1";
static const char lanes_count[] =
	"UPDATE subscription_groups SET processed_before = processed_before + coalesce((SELECT "
	"events_processed FROM projection_checkpoints WHERE projection_name = ?2), 0) WHERE name = "
	"?1";
static const char lanes_fence[] =
	"UPDATE subscription_leases SET epoch = epoch + 1 WHERE name = ?1";
static const char lanes_uncount[] =
	"UPDATE subscription_groups SET processed_before = 0 WHERE name = ?1";
/* ?3: NULL for rows of numbers before, since the one that was written last tells the number where
 * there is no group */
static const char lanes_back[] =
	"UPDATE projection_checkpoints SET global_position = ?2, updated_at = ifnull(?3, "
	"updated_at)<+ANCHOR , anchor_position = NULL, anchor_event_id = NULL+> WHERE "
	"projection_name = ?1 AND global_position > ?2";
static const char lanes_delete[] = "DELETE FROM projection_checkpoints WHERE projection_name = ?1";

tide_status sqlite_group_get(void *self, const char *name, struct tide_group *ret,
			     struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool is_found = false;
	tide_status status = TIDE_OK;
	if (sqlite_group_is_kept(session))
		status = sqlite_statement(&session->connection, lanes_get, &statement, err);
	if (statement) {
		sqlite_bind_string(statement, 1, name);
		status = sqlite_step(&session->connection, statement, &is_found, err);
	}

	if (status != TIDE_OK)
		return status;
	if (!is_found)
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no lanes", name);

	*ret = (struct tide_group){ .lanes = (uint32_t)sqlite3_column_int64(statement, 0),
				    .processed_before = sqlite3_column_int64(statement, 1) };
	snprintf(ret->name, sizeof ret->name, "%s", name);
	(void)sqlite_column_time(statement, 2, &ret->changed_at);
	return TIDE_OK;
}

/* ---- Another number -------------------------------------------------------------------------- */

static tide_status lanes_has_number(struct sqlite_session *session,
				    const struct tide_group_change *change, bool *ret,
				    struct tide_error *err)
{
	struct tide_group group = { .lanes = 0 };
	tide_status status = sqlite_group_get(session, change->name, &group, err);
	if (status == TIDE_NOT_FOUND)
		status = TIDE_OK;
	*ret = status == TIDE_OK && group.lanes == change->lanes_before;
	return status;
}

static tide_status lanes_has_member(struct sqlite_session *session, const char *name, bool *ret,
				    struct tide_error *err)
{
	ALLOC_AUTO struct tide_member *members = NULL;
	size_t count = 0;
	tide_status status = sqlite_member_list(session, name, &members, &count, err);
	*ret = count > 0;
	return status;
}

/* Whether a row is as it was read. */
static tide_status lanes_is_same(struct sqlite_session *session,
				 const struct tide_group_row *before, bool *ret,
				 struct tide_error *err)
{
	struct tide_checkpoint row = { .has_position = false };
	tide_status status = sqlite_checkpoint_load(session, before->name, &row, err);
	bool has_row = status == TIDE_OK;
	if (status == TIDE_NOT_FOUND)
		status = TIDE_OK;
	*ret = has_row == before->has_row && row.has_position == before->has_position &&
	       (!row.has_position || row.position == before->position);
	return status;
}

static tide_status lanes_is_ready(struct sqlite_session *session,
				  const struct tide_group_change *change, bool *ret,
				  struct tide_error *err)
{
	bool is_ready = false, is_busy = false;
	tide_status status = lanes_has_number(session, change, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = lanes_has_member(session, change->name, &is_busy, err);

	for (size_t i = 0; status == TIDE_OK && is_ready && !is_busy && i < change->before_count;
	     i++) {
		status = lanes_is_same(session, &change->before[i], &is_ready, err);
		if (status == TIDE_OK)
			status = sqlite_lease_is_owned(session, change->before[i].name, &is_busy,
						       err);
	}

	for (size_t i = 0; status == TIDE_OK && is_ready && !is_busy && i < change->after_count;
	     i++)
		status = sqlite_lease_is_owned(session, change->after[i].name, &is_busy, err);
	*ret = is_ready && !is_busy;
	return status;
}

static tide_status lanes_end_ownership(struct sqlite_session *session, const char *name,
				       struct tide_time at, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lanes_turn, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	sqlite_bind_time(statement, 2, at, now);
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status lanes_end_before(struct sqlite_session *session,
				    const struct tide_group_row *row, struct tide_time at,
				    struct tide_error *err)
{
	tide_status status = lanes_end_ownership(session, row->name, at, err);
	return status == TIDE_OK ? sqlite_segment_end(session, row, at, err) : status;
}

static tide_status lanes_write_row(struct sqlite_session *session, const struct tide_group_row *row,
				   struct tide_time created, struct tide_time now,
				   struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char made[TIDE_TIME_TEXT_SIZE], written[TIDE_TIME_TEXT_SIZE], anchor[TIDE_UUID_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lanes_row, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_clear_bindings(statement);
	sqlite_bind_string(statement, 1, row->name);
	if (row->has_position)
		sqlite3_bind_int64(statement, 2, row->position);
	sqlite_bind_time(statement, 3, created, made);
	sqlite_bind_time(statement, 4, now, written);
	if (row->anchor.position) {
		sqlite3_bind_int64(statement, 5, row->anchor.position);
		sqlite_bind_uuid(statement, 6, &row->anchor.event_id, anchor);
	}
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status lanes_write_number(struct sqlite_session *session,
				      const struct tide_group_change *change,
				      struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lanes_put, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, change->name);
	sqlite3_bind_int64(statement, 2, change->lanes);
	sqlite_bind_time(statement, 3, change->now, now);
	return sqlite_step(&session->connection, statement, NULL, err);
}

/* A statement of one or two names. */
static tide_status lanes_run(struct sqlite_session *session, const char *sql, const char *name,
			     const char *row, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	if (row)
		sqlite_bind_string(statement, 2, row);
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status lanes_write(struct sqlite_session *session,
			       const struct tide_group_change *change, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < change->before_count; i++)
		status = lanes_end_before(session, &change->before[i], change->now, err);
	for (size_t i = 0; status == TIDE_OK && i < change->after_count; i++)
		status = lanes_write_row(session, &change->after[i], change->created, change->now,
					 err);
	if (status == TIDE_OK)
		status = lanes_run(session, lanes_clear, change->name, NULL, err);
	return status == TIDE_OK ? lanes_write_number(session, change, err) : status;
}

tide_status sqlite_group_change(void *self, const struct tide_group_change *change, bool *ret,
				struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool joined, is_ready = false;
	if (!sqlite_group_is_kept(session))
		return group_unsupported(err);

	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = lanes_is_ready(session, change, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = lanes_write(session, change, err);
	status = sqlite_write_end(session, joined, status, err);
	if (status == TIDE_OK)
		*ret = is_ready;
	return status;
}

/* ---- Old rows -------------------------------------------------------------------------------- */

static tide_status lanes_forget(struct sqlite_session *session, const char *name, const char *row,
				struct tide_error *err)
{
	tide_status status = lanes_run(session, lanes_count, name, row, err);
	if (status == TIDE_OK)
		status = lanes_run(session, lanes_delete, row, NULL, err);
	return status == TIDE_OK ? sqlite_segment_forget_open(session, row, err) : status;
}

tide_status sqlite_group_forget(void *self, const struct tide_group *group, const char *const *rows,
				size_t count, struct tide_error *err)
{
	struct sqlite_session *session = self;
	struct tide_group now = { .lanes = 0 };
	bool joined;
	if (!sqlite_group_is_kept(session))
		return group_unsupported(err);

	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = sqlite_group_get(session, group->name, &now, err);
	bool is_same =
		now.lanes == group->lanes && now.changed_at.unix_us == group->changed_at.unix_us;
	for (size_t i = 0; status == TIDE_OK && is_same && i < count; i++)
		status = lanes_forget(session, group->name, rows[i], err);
	if (status == TIDE_NOT_FOUND)
		status = TIDE_OK;
	return sqlite_write_end(session, joined, status, err);
}

/* ---- All rows at once ------------------------------------------------------------------------ */

static tide_status lanes_begin_anew(struct sqlite_session *session,
				    const struct tide_group_move *move, size_t i,
				    struct tide_error *err)
{
	struct tide_group_row row = { .name = move->rows[i],
				      .has_position = true,
				      .position = move->position };
	tide_status status = lanes_run(session, lanes_delete, row.name, NULL, err);
	if (status == TIDE_OK)
		status = sqlite_segment_forget(session, row.name, err);
	if (status != TIDE_OK || i >= move->lanes || move->position < 0)
		return status;

	return lanes_write_row(session, &row, move->now, move->now, err);
}

static tide_status lanes_go_back(struct sqlite_session *session, const struct tide_group_move *move,
				 size_t i, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, lanes_back, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_clear_bindings(statement);
	sqlite_bind_string(statement, 1, move->rows[i]);
	sqlite3_bind_int64(statement, 2, move->position);
	if (i < move->lanes)
		sqlite_bind_time(statement, 3, move->now, now);
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status lanes_move(struct sqlite_session *session, const struct tide_group_move *move,
			      struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < move->row_count; i++) {
		status = lanes_run(session, lanes_fence, move->rows[i], NULL, err);
		if (status == TIDE_OK)
			status = move->forgets ? lanes_begin_anew(session, move, i, err)
					       : lanes_go_back(session, move, i, err);
	}
	return status == TIDE_OK && move->forgets
		       ? lanes_run(session, lanes_uncount, move->name, NULL, err)
		       : status;
}

tide_status sqlite_group_move(void *self, const struct tide_group_move *move, bool *ret,
			      struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool joined, is_same = false;
	if (!sqlite_group_is_kept(session))
		return group_unsupported(err);

	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	struct tide_group_change known = { .name = move->name, .lanes_before = move->lanes };
	status = lanes_has_number(session, &known, &is_same, err);
	if (status == TIDE_OK && is_same)
		status = lanes_move(session, move, err);
	status = sqlite_write_end(session, joined, status, err);
	if (status == TIDE_OK)
		*ret = is_same;
	return status;
}

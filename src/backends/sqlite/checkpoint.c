/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: one row per projection, and the fence that keeps a former owner from writing it.
 *
 * Happy path: one statement writes the row if the fence still stands, in the open delivery transaction or its own.
 * Fails when: the lease row has another owner or epoch (fenced), or the database is locked or full.
 */

#include <string.h>

#include "backends/sqlite/internal.h"

#define CHECKPOINT_COLUMNS                                                                                             \
	"projection_name, last_event_id, last_event_type, last_processed_at, global_position, events_processed, "      \
	"created_at, updated_at"

static const char checkpoint_load[] =
	"SELECT " CHECKPOINT_COLUMNS " FROM projection_checkpoints WHERE projection_name = ?1";
static const char checkpoint_list[] =
	"SELECT " CHECKPOINT_COLUMNS " FROM projection_checkpoints ORDER BY projection_name COLLATE BINARY";
static const char checkpoint_reset[] = "DELETE FROM projection_checkpoints WHERE projection_name = ?1";
static const char checkpoint_save[] =
	"INSERT INTO projection_checkpoints (" CHECKPOINT_COLUMNS ") "
	"SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7 WHERE " SQLITE_FENCE(
		"?8", "?9", "?10") " "
				   "ON CONFLICT (projection_name) DO UPDATE SET last_event_id = "
				   "coalesce(excluded.last_event_id, last_event_id), "
				   "last_event_type = coalesce(excluded.last_event_type, last_event_type), "
				   "last_processed_at = coalesce(excluded.last_processed_at, last_processed_at), "
				   "global_position = coalesce(excluded.global_position, global_position), "
				   "events_processed = coalesce(events_processed, 0) + excluded.events_processed, "
				   "updated_at = excluded.updated_at";
static const char checkpoint_fence[] = "SELECT " SQLITE_FENCE("?1", "?2", "?3");

void sqlite_bind_fence(sqlite3_stmt *statement, int first, const struct tide_fence *fence,
		       char text[TIDE_UUID_TEXT_SIZE])
{
	if (!fence) {
		sqlite3_bind_null(statement, first);
		return;
	}
	sqlite_bind_string(statement, first, fence->name);
	sqlite_bind_uuid(statement, first + 1, &fence->owner, text);
	sqlite3_bind_int64(statement, first + 2, fence->epoch);
}

tide_status sqlite_fenced(const struct tide_fence *fence, struct tide_error *err)
{
	return tide_fail(err, TIDE_FENCED, "'%.255s' has another owner now", fence->name);
}

tide_status sqlite_fence_check(struct sqlite_session *session, const struct tide_fence *fence, struct tide_error *err)
{
	if (!fence)
		return TIDE_OK;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char owner[TIDE_UUID_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, checkpoint_fence, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_fence(statement, 1, fence, owner);
	status = sqlite_step(&session->connection, statement, NULL, err);
	if (status != TIDE_OK)
		return status;
	return sqlite3_column_int(statement, 0) ? TIDE_OK : sqlite_fenced(fence, err);
}

/* Texts of other libraries may be empty or odd; what cannot be read counts as absent. */
static void checkpoint_decode(sqlite3_stmt *statement, struct tide_checkpoint *ret)
{
	memset(ret, 0, sizeof *ret);
	sqlite_column_name(statement, 0, ret->projection_name);
	if (!sqlite_column_uuid(statement, 1, &ret->last_event_id))
		memset(&ret->last_event_id, 0, sizeof ret->last_event_id);
	sqlite_column_name(statement, 2, ret->last_event_type);
	ret->has_last_processed_at = sqlite_column_time(statement, 3, &ret->last_processed_at);
	ret->has_position = sqlite3_column_type(statement, 4) != SQLITE_NULL;
	ret->position = sqlite3_column_int64(statement, 4);
	ret->events_processed = sqlite3_column_int64(statement, 5);
	sqlite_column_time(statement, 6, &ret->created_at);
	sqlite_column_time(statement, 7, &ret->updated_at);
}

tide_status sqlite_checkpoint_load(void *self, const char *name, struct tide_checkpoint *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool is_found;
	tide_status status = sqlite_statement(&session->connection, checkpoint_load, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	status = sqlite_step(&session->connection, statement, &is_found, err);
	if (status != TIDE_OK)
		return status;
	if (!is_found)
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no checkpoint", name);
	checkpoint_decode(statement, ret);
	return TIDE_OK;
}

tide_status sqlite_checkpoint_save(void *self, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write, struct tide_error *err)
{
	struct sqlite_session *session = self;
	const struct tide_progress *progress = &write->progress;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char event_id[TIDE_UUID_TEXT_SIZE], owner[TIDE_UUID_TEXT_SIZE], now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_place_check_now_and_then(session->store, err);
	if (status == TIDE_OK)
		status = sqlite_statement(&session->connection, checkpoint_save, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_clear_bindings(statement);
	sqlite_bind_string(statement, 1, write->name);
	sqlite_bind_time(statement, 7, write->now, now);
	if (progress->event_id) {
		sqlite_bind_uuid(statement, 2, progress->event_id, event_id);
		sqlite_bind_string(statement, 3, progress->event_type);
		sqlite3_bind_text(statement, 4, now, -1, SQLITE_STATIC);
	}
	if (write->has_position)
		sqlite3_bind_int64(statement, 5, progress->position);
	sqlite3_bind_int64(statement, 6, progress->count);
	sqlite_bind_fence(statement, 8, fence, owner);
	status = sqlite_step(&session->connection, statement, NULL, err);
	if (status != TIDE_OK)
		return status;
	/* A user's call has no fence to miss, and always writes a row. */
	return !fence || sqlite3_changes(session->connection.handle) ? TIDE_OK : sqlite_fenced(fence, err);
}

static tide_status checkpoint_collect(struct sqlite_connection *connection, sqlite3_stmt *statement,
				      struct tide_checkpoint **ret, size_t *ret_count, struct tide_error *err)
{
	ALLOC_AUTO struct tide_checkpoint *rows = alloc_zero(1, sizeof *rows);
	size_t count = 0, capacity = 1;
	if (!rows)
		return alloc_fail(err);
	for (;;) {
		bool has_row;
		tide_status status = sqlite_step(connection, statement, &has_row, err);
		if (status != TIDE_OK)
			return status;
		if (!has_row)
			break;
		if (count == capacity) {
			struct tide_checkpoint *more = alloc_resize(rows, capacity * 2, sizeof *rows);
			if (!more)
				return alloc_fail(err);
			rows = more;
			capacity *= 2;
		}
		checkpoint_decode(statement, &rows[count++]);
	}
	*ret = rows;
	*ret_count = count;
	rows = NULL;
	return TIDE_OK;
}

tide_status sqlite_checkpoint_list(void *self, struct tide_checkpoint **ret, size_t *ret_count, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, checkpoint_list, &statement, err);
	if (status != TIDE_OK)
		return status;
	return checkpoint_collect(&session->connection, statement, ret, ret_count, err);
}

tide_status sqlite_checkpoint_reset(void *self, const char *name, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, checkpoint_reset, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	return sqlite_step(&session->connection, statement, NULL, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: one row per projection, and the fence that keeps a former owner from writing it.
 *
 * Happy path: one statement writes the row if the fence still stands, in the open delivery
 * transaction or its own. Fails when: the lease row has another owner or epoch (fenced), or the
 * database is locked or full.
 */

#include <string.h>

#include "backends/sqlite/internal.h"

#define CHECKPOINT_COLUMNS                                                                         \
	"projection_name, last_event_id, last_event_type, last_processed_at, global_position, "    \
	"events_processed, "                                                                       \
	"created_at, updated_at"
#define CHECKPOINT_ANCHOR "<+ANCHOR , anchor_position, anchor_event_id+>"

static const char checkpoint_load[] = "SELECT " CHECKPOINT_COLUMNS CHECKPOINT_ANCHOR
				      " FROM projection_checkpoints WHERE projection_name = ?1";
static const char checkpoint_list[] =
	"SELECT " CHECKPOINT_COLUMNS CHECKPOINT_ANCHOR
	" FROM projection_checkpoints ORDER BY projection_name COLLATE BINARY";
static const char checkpoint_reset[] =
	"DELETE FROM projection_checkpoints WHERE projection_name = ?1";
/* ?2 event_id, ?3 event_type, ?4 its time, ?5 position, ?6 count, ?7 now; ?8 to ?10 the fence; ?12
 * and ?13 the anchor, which goes with the position */
#define CHECKPOINT_FENCE SQLITE_FENCE("?8", "?9", "?10")
#define CHECKPOINT_STAND                                                                           \
	"<+ANCHOR , anchor_position = iif(?5 IS NULL, anchor_position, ?12), "                     \
	"anchor_event_id = iif(?5 IS NULL, anchor_event_id, ?13)+>"
#define CHECKPOINT_UPSERT                                                                          \
	"INSERT INTO projection_checkpoints (" CHECKPOINT_COLUMNS CHECKPOINT_ANCHOR                \
	") SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7<+ANCHOR , ?12, ?13+> WHERE " CHECKPOINT_FENCE     \
	" ON CONFLICT (projection_name) DO UPDATE SET last_event_id = "                            \
	"coalesce(excluded.last_event_id, "                                                        \
	"last_event_id), last_event_type = coalesce(excluded.last_event_type, last_event_type), "  \
	"last_processed_at = coalesce(excluded.last_processed_at, last_processed_at), "            \
	"global_position = coalesce(excluded.global_position, global_position), "                  \
	"events_processed = coalesce(events_processed, 0) + excluded.events_processed, "           \
	"updated_at = excluded.updated_at" CHECKPOINT_STAND
static const char checkpoint_save[] = CHECKPOINT_UPSERT;
/* Over no row; one without a position may have come meanwhile. */
static const char checkpoint_make[] = CHECKPOINT_UPSERT " WHERE global_position IS NULL";
/* Over the row with this position: ?11, null for none. */
static const char checkpoint_move[] =
	"UPDATE projection_checkpoints SET last_event_id = coalesce(?2, last_event_id), "
	"last_event_type = coalesce(?3, last_event_type), last_processed_at = coalesce(?4, "
	"last_processed_at), "
	"global_position = coalesce(?5, global_position), events_processed = "
	"coalesce(events_processed, 0) + ?6, "
	"updated_at = ?7" CHECKPOINT_STAND
	" WHERE projection_name = ?1 AND global_position IS ?11 AND " CHECKPOINT_FENCE;
/* A person moved the position: whoever owns it begins again from the row. */
static const char checkpoint_turn[] =
	"UPDATE subscription_leases SET epoch = epoch + 1 WHERE name = ?1";
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

tide_status sqlite_fence_check(struct sqlite_session *session, const struct tide_fence *fence,
			       struct tide_error *err)
{
	if (!fence)
		return TIDE_OK;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char owner[TIDE_UUID_TEXT_SIZE];
	tide_status status =
		sqlite_statement(&session->connection, checkpoint_fence, &statement, err);
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

	if (sqlite3_column_count(statement) > 9 &&
	    sqlite_column_uuid(statement, 9, &ret->anchor.event_id))
		ret->anchor.position = sqlite3_column_int64(statement, 8);
}

tide_status sqlite_checkpoint_load(void *self, const char *name, struct tide_checkpoint *ret,
				   struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool is_found;
	tide_status status =
		sqlite_statement(&session->connection, checkpoint_load, &statement, err);
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

/** Texts that are bound until the statement is reset. */
struct checkpoint_texts {
	char event_id[TIDE_UUID_TEXT_SIZE], owner[TIDE_UUID_TEXT_SIZE], anchor[TIDE_UUID_TEXT_SIZE];
	char now[TIDE_TIME_TEXT_SIZE];
};

static void checkpoint_bind(sqlite3_stmt *statement, const struct tide_checkpoint_write *write,
			    struct checkpoint_texts *texts)
{
	const struct tide_progress *progress = &write->progress;
	sqlite3_clear_bindings(statement);
	sqlite_bind_string(statement, 1, write->name);
	sqlite_bind_time(statement, 7, write->now, texts->now);
	if (progress->event_id) {
		sqlite_bind_uuid(statement, 2, progress->event_id, texts->event_id);
		sqlite_bind_string(statement, 3, progress->event_type);
		sqlite3_bind_text(statement, 4, texts->now, -1, SQLITE_STATIC);
	}

	if (write->has_position)
		sqlite3_bind_int64(statement, 5, progress->position);
	sqlite3_bind_int64(statement, 6, progress->count);
	if (write->expected && write->expected->has_position)
		sqlite3_bind_int64(statement, 11, write->expected->position);
	if (write->anchor.position) {
		sqlite3_bind_int64(statement, 12, write->anchor.position);
		sqlite_bind_uuid(statement, 13, &write->anchor.event_id, texts->anchor);
	}
}

tide_status sqlite_checkpoint_write(struct sqlite_session *session, const struct tide_fence *fence,
				    const struct tide_checkpoint_write *write, bool *ret_written,
				    struct tide_error *err)
{
	const struct tide_checkpoint_known *expected = write->expected;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	struct checkpoint_texts texts;
	const char *sql = !expected           ? checkpoint_save
			  : expected->has_row ? checkpoint_move
					      : checkpoint_make;
	tide_status status = sqlite_statement(&session->connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;

	checkpoint_bind(statement, write, &texts);
	sqlite_bind_fence(statement, 8, fence, texts.owner);
	status = sqlite_step(&session->connection, statement, NULL, err);
	*ret_written = status == TIDE_OK && sqlite3_changes(session->connection.handle) > 0;
	return status;
}

static tide_status checkpoint_run(struct sqlite_session *session, const char *sql, const char *name,
				  struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status checkpoint_set(struct sqlite_session *session,
				  const struct tide_checkpoint_write *write, struct tide_error *err)
{
	bool joined, is_written;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = checkpoint_run(session, checkpoint_turn, write->name, err);
	if (status == TIDE_OK)
		status = sqlite_checkpoint_write(session, NULL, write, &is_written, err);
	return sqlite_write_end(session, joined, status, err);
}

/* ---- Segments, as far as they go with the row ------------------------------------------------ */

static const char checkpoint_forget[] = "DELETE FROM projection_segments WHERE name = ?1";
static const char checkpoint_forget_open[] =
	"DELETE FROM projection_segments WHERE name = ?1 AND ended_at IS NULL";
static const char checkpoint_discard[] =
	"UPDATE projection_segments SET events_discarded = events_discarded + ?2 WHERE name = ?1 "
	"AND ended_at IS NULL";

static bool checkpoint_has_segments(const struct sqlite_session *session)
{
	return (session->connection.parts & PART_BIT(PART_SEGMENTS)) != 0;
}

static tide_status segment_discard(struct sqlite_session *session, const char *name, int64_t count,
				   struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	if (!checkpoint_has_segments(session))
		return TIDE_OK;
	tide_status status =
		sqlite_statement(&session->connection, checkpoint_discard, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	sqlite3_bind_int64(statement, 2, count);
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status segment_forget(struct sqlite_session *session, const char *sql, const char *name,
				  struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	if (!checkpoint_has_segments(session))
		return TIDE_OK;
	tide_status status = sqlite_statement(&session->connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	return sqlite_step(&session->connection, statement, NULL, err);
}

tide_status sqlite_segment_forget(struct sqlite_session *session, const char *name,
				  struct tide_error *err)
{
	return segment_forget(session, checkpoint_forget, name, err);
}

tide_status sqlite_segment_forget_open(struct sqlite_session *session, const char *name,
				       struct tide_error *err)
{
	return segment_forget(session, checkpoint_forget_open, name, err);
}

/* What was dropped is counted with the position, or not at all. */
static tide_status checkpoint_write_discarded(struct sqlite_session *session,
					      const struct tide_fence *fence,
					      const struct tide_checkpoint_write *write,
					      bool *ret_written, struct tide_error *err)
{
	bool joined;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = sqlite_checkpoint_write(session, fence, write, ret_written, err);
	if (status == TIDE_OK && *ret_written)
		status = segment_discard(session, write->name, write->discarded, err);
	return sqlite_write_end(session, joined, status, err);
}

/* Saves that come by themselves share commits, where all connections write the same columns. */
static bool checkpoint_may_share(const struct sqlite_session *session)
{
	return !sqlite_is_in_transaction(&session->connection) &&
	       session->connection.parts == session->store->parts;
}

static tide_status checkpoint_write_somehow(struct sqlite_session *session,
					    const struct tide_fence *fence,
					    const struct tide_checkpoint_write *write,
					    bool *ret_written, struct tide_error *err)
{
	if (write->discarded)
		return checkpoint_write_discarded(session, fence, write, ret_written, err);
	if (checkpoint_may_share(session))
		return sqlite_saves_write(session, fence, write, ret_written, err);
	return sqlite_checkpoint_write(session, fence, write, ret_written, err);
}

tide_status sqlite_checkpoint_save(void *self, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write,
				   struct tide_error *err)
{
	bool is_written;
	struct sqlite_session *session = self;
	tide_status status = sqlite_place_check_now_and_then(session->store, err);
	if (status != TIDE_OK)
		return status;
	if (!fence && write->has_position)
		return checkpoint_set(self, write, err);

	status = checkpoint_write_somehow(self, fence, write, &is_written, err);
	if (status != TIDE_OK || is_written)
		return status;

	status = sqlite_fence_check(self, fence, err);
	if (status != TIDE_OK)
		return status;
	return tide_fail(err, TIDE_DIVERGED, "the checkpoint of '%s' is another one", write->name);
}

static tide_status checkpoint_collect(struct sqlite_connection *connection, sqlite3_stmt *statement,
				      struct tide_checkpoint **ret, size_t *ret_count,
				      struct tide_error *err)
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
			struct tide_checkpoint *more =
				alloc_resize(rows, capacity * 2, sizeof *rows);
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

tide_status sqlite_checkpoint_list(void *self, struct tide_checkpoint **ret, size_t *ret_count,
				   struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status =
		sqlite_statement(&session->connection, checkpoint_list, &statement, err);
	if (status != TIDE_OK)
		return status;
	return checkpoint_collect(&session->connection, statement, ret, ret_count, err);
}

tide_status sqlite_checkpoint_reset(void *self, const char *name, struct tide_error *err)
{
	bool joined;
	tide_status status = sqlite_write_begin(self, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = checkpoint_run(self, checkpoint_turn, name, err);
	if (status == TIDE_OK)
		status = checkpoint_run(self, checkpoint_reset, name, err);
	if (status == TIDE_OK)
		status = sqlite_segment_forget(self, name, err);
	return sqlite_write_end(self, joined, status, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: one row per aggregate, replaced unless the stored one is newer and of the same
 * shape. */

#include "backends/sqlite/internal.h"

static const char snapshot_load[] =
	"SELECT version, schema_version, state, created_at<+SNAPSHOT_EVENT , last_event_id+> FROM "
	"snapshots "
	"WHERE " SQLITE_UUID_IS("aggregate_id",
				"?1") " AND aggregate_type = ?2 ORDER BY version DESC LIMIT 1";
static const char snapshot_save[] =
	"INSERT INTO snapshots (aggregate_id, aggregate_type, version, schema_version, state, "
	"created_at"
	"<+SNAPSHOT_EVENT , last_event_id+>) VALUES (coalesce((SELECT aggregate_id FROM snapshots "
	"WHERE aggregate_id = "
	"upper(?1) AND aggregate_type = ?2), "
	"?1), ?2, ?3, ?4, ?5, ?6<+SNAPSHOT_EVENT , coalesce((SELECT "
	"event_id "
	"FROM events WHERE " SQLITE_UUID_IS(
		"aggregate_id", "?1") " AND aggregate_type = ?2 AND version = ?3), "
				      "'00000000-0000-0000-0000-000000000000')+>) ON CONFLICT "
				      "(aggregate_id, aggregate_type) DO UPDATE "
				      "SET "
				      "version = excluded.version, schema_version = "
				      "excluded.schema_version, state = excluded.state, "
				      "created_at = excluded.created_at<+SNAPSHOT_EVENT , "
				      "last_event_id = excluded.last_event_id+> "
				      "WHERE snapshots.schema_version <> excluded.schema_version "
				      "OR snapshots.version <= "
				      "excluded.version "
				      /* or its last event is not where it was */
				      "OR NOT EXISTS (SELECT 1 FROM events e WHERE " SQLITE_UUID_IS(
					      "e.aggregate_id",
					      "?1") " AND e.aggregate_type = ?2 AND e.version = "
						    "snapshots.version<+SNAPSHOT_EVENT  AND "
						    "lower(coalesce(snapshots.last_event_id, "
						    "e.event_id)) = lower(e.event_id)+>)";

static tide_status snapshot_decode(sqlite3_stmt *statement, struct tide_stream stream,
				   struct tide_snapshot *ret, struct tide_error *err)
{
	struct tide_text state = sqlite_column_view(statement, 2);
	struct tide_snapshot snapshot = {
		.stream = stream,
		.version = (tide_version)sqlite3_column_int64(statement, 0),
		.schema_version = (int32_t)sqlite3_column_int64(statement, 1),
	};

	sqlite_column_time(statement, 3, &snapshot.created_at);
	snapshot.has_last_event = sqlite3_column_count(statement) > 4 &&
				  sqlite3_column_type(statement, 4) != SQLITE_NULL;
	if (snapshot.has_last_event && !sqlite_column_uuid(statement, 4, &snapshot.last_event_id))
		snapshot.last_event_id = (struct tide_uuid){ { 0 } };
	char *copy = alloc_text(state.data ? state.data : "", state.size);
	if (!copy)
		return alloc_fail(err);

	snapshot.state = text_view(copy, state.size);
	*ret = snapshot;
	return TIDE_OK;
}

tide_status sqlite_snapshot_load(void *self, struct tide_stream stream, struct tide_snapshot *ret,
				 struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char id[TIDE_UUID_TEXT_SIZE];
	bool is_found;
	tide_status status = sqlite_statement(&session->connection, snapshot_load, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_uuid(statement, 1, &stream.aggregate_id, id);
	sqlite_bind_string(statement, 2, stream.aggregate_type);
	status = sqlite_step(&session->connection, statement, &is_found, err);
	if (status != TIDE_OK)
		return status;
	if (!is_found)
		return tide_fail(err, TIDE_NOT_FOUND, "aggregate '%s:%s' has no snapshot",
				 tide_uuid_format(&stream.aggregate_id, id), stream.aggregate_type);
	return snapshot_decode(statement, stream, ret, err);
}

tide_status sqlite_snapshot_save(void *self, const struct tide_snapshot *snapshot,
				 struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char id[TIDE_UUID_TEXT_SIZE], created[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, snapshot_save, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_uuid(statement, 1, &snapshot->stream.aggregate_id, id);
	sqlite_bind_string(statement, 2, snapshot->stream.aggregate_type);
	sqlite3_bind_int64(statement, 3, snapshot->version);
	sqlite3_bind_int64(statement, 4, snapshot->schema_version);
	int code = sqlite3_bind_text64(statement, 5, snapshot->state.data, snapshot->state.size,
				       SQLITE_STATIC, SQLITE_UTF8);
	if (code != SQLITE_OK)
		return sqlite_fail(&session->connection, code, "snapshot", err);

	sqlite_bind_time(statement, 6, snapshot->created_at, created);
	return sqlite_step(&session->connection, statement, NULL, err);
}

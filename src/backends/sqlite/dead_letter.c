/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead-letter queue: one row per event and projection.
 *
 * Happy path: add inserts or refreshes the row in one statement with the fence; a change looks at
 * the row's status and writes in one transaction, its own or the open delivery. Fails when: there
 * is no such row (not_found), its status does not fit (state), the owner changed (fenced).
 *
 * Instants are ordered as instants (tide_us), because other libraries write them in other shapes.
 */

#include <stdio.h>
#include <string.h>

#include "backends/sqlite/internal.h"

#define DEAD_LETTER_COLUMNS                                                                        \
	"id, event_id, projection_name, event_type, event_data, error_message, error_stacktrace, " \
	"retry_count, "                                                                            \
	"first_failed_at, last_failed_at, status, resolved_at, resolved_by, "                      \
	"<+PARKED parked_behind+><-PARKED NULL+>"

/* What is parked behind an event; all when `id` is null. */
#define DEAD_LETTER_BEHIND(id)                                                                     \
	"AND (" id " IS NULL<+PARKED  OR " SQLITE_UUID_IS("parked_behind", id) "+>)"

static const char dead_letter_add[] =
	"INSERT INTO dead_letter_queue (event_id, projection_name, event_type, event_data, "
	"error_message, "
	"error_stacktrace, retry_count, first_failed_at, last_failed_at, status<+PARKED , "
	"parked_behind+>) "
	/* an entry that another library has for the event in upper case is the event's */
	"SELECT coalesce((SELECT event_id FROM dead_letter_queue WHERE event_id = upper(?1) AND "
	"length(?1) = 36 AND "
	"projection_name = ?2), ?1), ?2, ?3, "
	"?4, ?5, ?6, ?7, ?8, ?8, 'failed'<+PARKED , ?12+> WHERE " SQLITE_FENCE(
		"?9", "?10",
		"?11") " "
		       "ON CONFLICT (event_id, projection_name) DO UPDATE SET retry_count = "
		       "excluded.retry_count, "
		       "last_failed_at = excluded.last_failed_at, error_message = "
		       "excluded.error_message, "
		       "error_stacktrace = excluded.error_stacktrace, status = 'failed', "
		       "resolved_at = NULL, "
		       "resolved_by = NULL<+PARKED , parked_behind = excluded.parked_behind+> "
		       "RETURNING id";
static const char dead_letter_list_newest[] =
	"SELECT " DEAD_LETTER_COLUMNS
	" FROM dead_letter_queue WHERE (?1 IS NULL OR projection_name = ?1) "
	"AND status IN (?2, ?3, ?4) AND id > ?6 " DEAD_LETTER_BEHIND(
		"?7") " ORDER BY tide_us(first_failed_at) DESC, id DESC LIMIT ?5";
static const char dead_letter_list_oldest[] =
	"SELECT " DEAD_LETTER_COLUMNS
	" FROM dead_letter_queue WHERE (?1 IS NULL OR projection_name = ?1) "
	"AND status IN (?2, ?3, ?4) AND id > ?6 " DEAD_LETTER_BEHIND("?7") " ORDER BY id LIMIT ?5";
static const char dead_letter_get[] =
	"SELECT " DEAD_LETTER_COLUMNS " FROM dead_letter_queue WHERE id = ?1";
static const char dead_letter_status[] = "SELECT status FROM dead_letter_queue WHERE id = ?1";
static const char dead_letter_change[] =
	"UPDATE dead_letter_queue SET status = ?2, retry_count = retry_count + ?3, error_message = "
	"coalesce(?4, "
	"error_message), "
	"error_stacktrace = iif(?4 IS NULL, error_stacktrace, ?5), last_failed_at = iif(?4 IS "
	"NULL, last_failed_at, "
	"?6), "
	"resolved_at = iif(?2 = 'resolved', ?6, NULL), resolved_by = iif(?2 = 'resolved', ?7, NULL)"
	"<+PARKED , parked_behind = CASE WHEN ?2 = 'resolved' THEN NULL WHEN ?4 IS NULL THEN "
	"parked_behind ELSE ?8 "
	"END+> "
	"WHERE id = ?1";
static const char dead_letter_discard[] = "DELETE FROM dead_letter_queue WHERE id = ?1";
static const char dead_letter_purge[] =
	"DELETE FROM dead_letter_queue WHERE status = 'resolved' AND tide_us(resolved_at) < ?1";
static const char dead_letter_stats[] =
	"SELECT coalesce(sum(status = 'failed'), 0), coalesce(sum(status = 'retrying'), 0), "
	"count(DISTINCT projection_name), min(tide_us(first_failed_at)) FROM dead_letter_queue "
	"WHERE status <> "
	"'resolved'";
static const char dead_letter_counts[] =
	"SELECT projection_name, count(*), min(tide_us(first_failed_at)), "
	"max(tide_us(last_failed_at)), "
	"sum(status = 'retrying') FROM dead_letter_queue WHERE status <> 'resolved' GROUP BY "
	"projection_name "
	"ORDER BY count(*) DESC, projection_name COLLATE BINARY";

static bool dead_letter_has_parked(const struct sqlite_connection *connection)
{
	return (connection->parts & PART_BIT(PART_PARKED)) != 0;
}

bool sqlite_dead_letter_can_park(void *self)
{
	return (((struct sqlite_store *)self)->parts & PART_BIT(PART_PARKED)) != 0;
}

tide_status sqlite_dead_letter_add(void *self, const struct tide_fence *fence,
				   const struct tide_dead_letter_write *write, int64_t *ret,
				   struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char event_id[TIDE_UUID_TEXT_SIZE], owner[TIDE_UUID_TEXT_SIZE], now[TIDE_TIME_TEXT_SIZE];
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_add, &statement, err);
	if (status != TIDE_OK)
		return status;
	if (write->event_id_text)
		sqlite_bind_string(statement, 1, write->event_id_text);
	else
		sqlite_bind_uuid(statement, 1, &write->event_id, event_id);
	sqlite_bind_string(statement, 2, write->projection_name);
	sqlite_bind_string(statement, 3, write->event_type);
	sqlite_bind_string(statement, 4, write->event_data);
	sqlite_bind_string(statement, 5, write->message);
	sqlite_bind_string(statement, 6, write->stacktrace);
	sqlite3_bind_int64(statement, 7, write->retry_count);
	sqlite_bind_time(statement, 8, write->now, now);
	sqlite_bind_fence(statement, 9, fence, owner);
	if (dead_letter_has_parked(&session->connection))
		sqlite_bind_string(statement, 12, write->parked_behind);
	bool has_row;
	status = sqlite_step(&session->connection, statement, &has_row, err);
	if (status == TIDE_OK && !has_row)
		return sqlite_fenced(fence, err);

	int64_t id = status == TIDE_OK ? sqlite3_column_int64(statement, 0) : 0;
	/* The statement commits when it is over, not with its row. */
	if (status == TIDE_OK)
		status = sqlite_step(&session->connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = id;
	return status;
}

/* ---- Reading entries ------------------------------------------------------------------------- */

static enum tide_dead_letter_status dead_letter_status_read(struct tide_text text)
{
	if (text_equals(text, "resolved"))
		return TIDE_DEAD_LETTER_RESOLVED;
	return text_equals(text, "retrying") ? TIDE_DEAD_LETTER_RETRYING : TIDE_DEAD_LETTER_FAILED;
}

static const char *dead_letter_string(sqlite3_stmt *statement, int column)
{
	const char *text = sqlite_column_view(statement, column).data;
	return text ? text : "";
}

static tide_status dead_letter_take(sqlite3_stmt *statement, struct tide_dead_letter_list *list,
				    struct tide_error *err)
{
	struct tide_uuid behind;
	char behind_text[TIDE_UUID_TEXT_SIZE];
	struct tide_dead_letter entry = {
		.id = sqlite3_column_int64(statement, 0),
		.projection_name = dead_letter_string(statement, 2),
		.event_type = dead_letter_string(statement, 3),
		.event_data = dead_letter_string(statement, 4),
		.error_message = dead_letter_string(statement, 5),
		.error_stacktrace = sqlite_column_view(statement, 6).data,
		.retry_count = (int32_t)sqlite3_column_int64(statement, 7),
		.status = dead_letter_status_read(sqlite_column_view(statement, 10)),
		.resolved_by = sqlite_column_view(statement, 12).data,
		.parked_behind = sqlite_column_view(statement, 13).data,
	};

	if (!sqlite_column_uuid(statement, 1, &entry.event_id)) {
		entry.event_id_text = dead_letter_string(statement, 1);
		entry.event_id = tide_uuid_v5(NULL, entry.event_id_text);
	}

	/* in the spelling of the id of the entry that it names */
	if (sqlite_column_uuid(statement, 13, &behind))
		entry.parked_behind = tide_uuid_format(&behind, behind_text);
	sqlite_column_time(statement, 8, &entry.first_failed_at);
	sqlite_column_time(statement, 9, &entry.last_failed_at);
	entry.is_resolved = sqlite_column_time(statement, 11, &entry.resolved_at);
	return tide_dead_letter_list_add(list, &entry, err);
}

/* Take every row of a bound statement; `*ret` is untouched when one fails. */
static tide_status dead_letter_collect(struct sqlite_session *session, sqlite3_stmt *statement,
				       struct tide_dead_letter_list *ret, struct tide_error *err)
{
	struct tide_dead_letter_list list = { 0 };
	for (;;) {
		bool has_row;
		tide_status status = sqlite_step(&session->connection, statement, &has_row, err);
		if (status == TIDE_OK && has_row)
			status = dead_letter_take(statement, &list, err);
		if (status != TIDE_OK) {
			tide_dead_letters_free(&list);
			return status;
		}
		if (!has_row)
			break;
	}

	*ret = list;
	return TIDE_OK;
}

tide_status sqlite_dead_letter_list(void *self, const struct tide_dead_letter_filter *filter,
				    struct tide_dead_letter_list *ret, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection,
					      filter->oldest_first ? dead_letter_list_oldest
								   : dead_letter_list_newest,
					      &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_string(statement, 1, filter->projection_name);
	for (int i = 0; i < 3; i++)
		sqlite_bind_string(statement, 2 + i,
				   filter->statuses[i] ? tide_dead_letter_status_name(
								 (enum tide_dead_letter_status)i)
						       : "");
	sqlite3_bind_int64(statement, 5, filter->limit < 0 ? -1 : filter->limit);
	sqlite3_bind_int64(statement, 6, filter->after_id);
	sqlite_bind_string(statement, 7, filter->parked_behind);
	return dead_letter_collect(session, statement, ret, err);
}

static tide_status dead_letter_unknown(int64_t id, struct tide_error *err)
{
	return tide_fail(err, TIDE_NOT_FOUND, "dead letter %lld does not exist", (long long)id);
}

tide_status sqlite_dead_letter_get(void *self, int64_t id, struct tide_dead_letter_list *ret,
				   struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	struct tide_dead_letter_list list;
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_get, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_bind_int64(statement, 1, id);
	status = dead_letter_collect(session, statement, &list, err);
	if (status != TIDE_OK)
		return status;
	if (list.count == 0)
		return dead_letter_unknown(id, err);

	*ret = list;
	return TIDE_OK;
}

/* ---- Changing entries ------------------------------------------------------------------------ */

/* Look at an entry inside the transaction that will change it: is its status among `from`? */
static tide_status dead_letter_expect(struct sqlite_session *session, int64_t id,
				      const bool from[3], struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool is_found;
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_status, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_bind_int64(statement, 1, id);
	status = sqlite_step(&session->connection, statement, &is_found, err);
	if (status != TIDE_OK)
		return status;
	if (!is_found)
		return dead_letter_unknown(id, err);

	enum tide_dead_letter_status present =
		dead_letter_status_read(sqlite_column_view(statement, 0));
	if (from[present])
		return TIDE_OK;

	return tide_fail(err, TIDE_STATE, "dead letter %lld is %s", (long long)id,
			 tide_dead_letter_status_name(present));
}

static tide_status dead_letter_update(struct sqlite_session *session,
				      const struct tide_dead_letter_change *change,
				      struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_change, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite3_bind_int64(statement, 1, change->id);
	sqlite_bind_string(statement, 2, tide_dead_letter_status_name(change->to));
	sqlite3_bind_int64(statement, 3, change->add_retries);
	sqlite_bind_string(statement, 4, change->message);
	sqlite_bind_string(statement, 5, change->stacktrace);
	sqlite_bind_time(statement, 6, change->now, now);
	sqlite_bind_string(statement, 7, change->resolved_by);
	if (dead_letter_has_parked(&session->connection))
		sqlite_bind_string(statement, 8, change->parked_behind);
	return sqlite_step(&session->connection, statement, NULL, err);
}

tide_status sqlite_dead_letter_change(void *self, const struct tide_fence *fence,
				      const struct tide_dead_letter_change *change,
				      struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool joined;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = sqlite_fence_check(session, fence, err);
	if (status == TIDE_OK)
		status = dead_letter_expect(session, change->id, change->from, err);
	if (status == TIDE_OK)
		status = dead_letter_update(session, change, err);
	return sqlite_write_end(session, joined, status, err);
}

static tide_status dead_letter_delete(struct sqlite_session *session, int64_t id,
				      struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_discard, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_bind_int64(statement, 1, id);
	return sqlite_step(&session->connection, statement, NULL, err);
}

tide_status sqlite_dead_letter_discard(void *self, int64_t id, struct tide_error *err)
{
	static const bool unresolved[3] = {
		[TIDE_DEAD_LETTER_FAILED] = true, [TIDE_DEAD_LETTER_RETRYING] = true
	};
	struct sqlite_session *session = self;
	bool joined;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = dead_letter_expect(session, id, unresolved, err);
	if (status == TIDE_OK)
		status = dead_letter_delete(session, id, err);
	return sqlite_write_end(session, joined, status, err);
}

tide_status sqlite_dead_letter_purge(void *self, struct tide_time before, int64_t *ret,
				     struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_purge, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite3_bind_int64(statement, 1, before.unix_us);
	status = sqlite_step(&session->connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = sqlite3_changes64(session->connection.handle);
	return status;
}

/* ---- Totals ---------------------------------------------------------------------------------- */

tide_status sqlite_dead_letter_stats(void *self, struct tide_dead_letter_stats *ret,
				     struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_stats, &statement, err);
	if (status == TIDE_OK)
		status = sqlite_step(&session->connection, statement, NULL, err);
	if (status != TIDE_OK)
		return status;

	ret->total_failed = sqlite3_column_int64(statement, 0);
	ret->total_retrying = sqlite3_column_int64(statement, 1);
	ret->affected_projections = sqlite3_column_int64(statement, 2);
	ret->has_oldest_failure = sqlite3_column_type(statement, 3) != SQLITE_NULL;
	ret->oldest_failure.unix_us = sqlite3_column_int64(statement, 3);
	return TIDE_OK;
}

/* Make room for one more; `rows` keeps its old value on failure. */
static bool dead_letter_grow(struct tide_dead_letter_count **rows, size_t count, size_t *capacity)
{
	if (count < *capacity)
		return true;
	size_t wanted = *capacity ? *capacity * 2 : 8;
	struct tide_dead_letter_count *more = alloc_resize(*rows, wanted, sizeof *more);
	if (!more)
		return false;
	*rows = more;
	*capacity = wanted;
	return true;
}

tide_status sqlite_dead_letter_counts(void *self, struct tide_dead_letter_count **ret,
				      size_t *ret_count, struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	ALLOC_AUTO struct tide_dead_letter_count *rows = NULL;
	size_t count = 0, capacity = 0;
	tide_status status =
		sqlite_statement(&session->connection, dead_letter_counts, &statement, err);
	if (status != TIDE_OK)
		return status;

	for (;;) {
		bool has_row;
		status = sqlite_step(&session->connection, statement, &has_row, err);
		if (status != TIDE_OK)
			return status;
		if (!dead_letter_grow(&rows, count, &capacity))
			return alloc_fail(err);
		if (!has_row)
			break;
		struct tide_dead_letter_count *row = &rows[count++];
		sqlite_column_name(statement, 0, row->projection_name);
		row->failure_count = sqlite3_column_int64(statement, 1);
		row->oldest_failure.unix_us = sqlite3_column_int64(statement, 2);
		row->most_recent_failure.unix_us = sqlite3_column_int64(statement, 3);
		row->retrying_count = sqlite3_column_int64(statement, 4);
	}

	*ret = rows;
	*ret_count = count;
	rows = NULL;
	return TIDE_OK;
}

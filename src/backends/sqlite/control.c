/* SPDX-License-Identifier: Apache-2.0 */
/* Durable pauses, and the journal of what persons did: a pause and its entry in one transaction. */
#include "backends/sqlite/internal.h"
#include "core/control.h"

#define CONTROL_TEXT_OF(number) #number
#define CONTROL_TEXT(number) CONTROL_TEXT_OF(number)

static const char control_pause[] =
	"INSERT INTO subscription_controls (name, paused_at, paused_by, reason, note, updated_at) "
	"VALUES (?1, ?2, ?3, ?4, ?5, ?2) ON CONFLICT (name) DO UPDATE SET paused_by = "
	"excluded.paused_by, reason = excluded.reason, note = excluded.note, updated_at = "
	"excluded.updated_at";
static const char control_find[] = "SELECT 1 FROM subscription_controls WHERE name = ?1";
static const char control_resume[] = "DELETE FROM subscription_controls WHERE name = ?1";
static const char control_list[] = "SELECT name, paused_at, paused_by, reason, note, updated_at "
				   "FROM subscription_controls ORDER BY name COLLATE BINARY";
static const char control_flush[] = "PRAGMA synchronous = FULL";
static const char control_no_flush[] = "PRAGMA synchronous = NORMAL";
static const char journal_add[] =
	"INSERT INTO subscription_journal (at, who, host, act, name, detail) VALUES (?1, ?2, ?3, "
	"?4, ?5, ?6)";
static const char journal_trim[] =
	"DELETE FROM subscription_journal WHERE id <= (SELECT id FROM subscription_journal ORDER "
	"BY id DESC LIMIT 1 OFFSET " CONTROL_TEXT(TIDE_JOURNAL_KEPT) ")";
static const char journal_list[] =
	"SELECT id, at, who, host, act, name, detail FROM subscription_journal WHERE ?1 IS NULL OR "
	"name = ?1 ORDER BY id DESC LIMIT ?2";

static bool control_is_kept(const struct sqlite_session *session)
{
	return (session->connection.parts & PART_BIT(PART_CONTROLS)) != 0;
}

/* ---- The journal ----------------------------------------------------------------------------- */

static tide_status journal_put(struct sqlite_session *session,
			       const struct tide_journal_write *write, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	tide_status status = sqlite_statement(&session->connection, journal_add, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_time(statement, 1, write->now, now);
	sqlite_bind_string(statement, 2, write->who);
	sqlite_bind_string(statement, 3, write->host);
	sqlite_bind_string(statement, 4, write->act);
	sqlite_bind_string(statement, 5, write->name);
	sqlite_bind_string(statement, 6, write->detail);
	return sqlite_step(&session->connection, statement, NULL, err);
}

tide_status sqlite_journal_add(void *self, const struct tide_journal_write *write,
			       struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool joined;
	if (!control_is_kept(session))
		return TIDE_OK;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;
	status = journal_put(session, write, err);
	if (status == TIDE_OK)
		status = sqlite_run(&session->connection, journal_trim, err);
	return sqlite_write_end(session, joined, status, err);
}

static void journal_decode(sqlite3_stmt *statement, struct tide_journal_entry *ret)
{
	*ret = (struct tide_journal_entry){ .id = sqlite3_column_int64(statement, 0) };
	(void)sqlite_column_time(statement, 1, &ret->at);
	control_copy(ret->who, sizeof ret->who, sqlite_column_view(statement, 2));
	control_copy(ret->host, sizeof ret->host, sqlite_column_view(statement, 3));
	control_copy(ret->act, sizeof ret->act, sqlite_column_view(statement, 4));
	control_copy(ret->name, sizeof ret->name, sqlite_column_view(statement, 5));
	control_copy(ret->detail, sizeof ret->detail, sqlite_column_view(statement, 6));
}

static tide_status journal_collect(struct sqlite_session *session, sqlite3_stmt *statement,
				   struct tide_journal_entry **list, size_t *count,
				   struct tide_error *err)
{
	size_t capacity = 0;
	for (;;) {
		bool has_row;
		tide_status status = sqlite_step(&session->connection, statement, &has_row, err);
		if (status != TIDE_OK || (!has_row && *list))
			return status;
		if (*count == capacity) {
			capacity = capacity ? capacity * 2 : 8;
			struct tide_journal_entry *more =
				alloc_resize(*list, capacity, sizeof *more);
			if (!more)
				return alloc_fail(err);
			*list = more;
		}
		if (!has_row)
			return TIDE_OK;
		journal_decode(statement, &(*list)[(*count)++]);
	}
}

tide_status sqlite_journal_list(void *self, const char *name, int64_t limit,
				struct tide_journal_entry **ret, size_t *ret_count,
				struct tide_error *err)
{
	struct sqlite_session *session = self;
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	ALLOC_AUTO struct tide_journal_entry *list = NULL;
	size_t count = 0;
	tide_status status = TIDE_OK;

	if (control_is_kept(session))
		status = sqlite_statement(&session->connection, journal_list, &statement, err);
	if (statement) {
		sqlite_bind_string(statement, 1, name);
		sqlite3_bind_int64(statement, 2, limit);
		status = journal_collect(session, statement, &list, &count, err);
	}

	if (status != TIDE_OK)
		return status;
	*ret = list;
	*ret_count = count;
	list = NULL;
	return TIDE_OK;
}

/* ---- Pauses ---------------------------------------------------------------------------------- */

static tide_status control_was_paused(struct sqlite_session *session, const char *name, bool *ret,
				      struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&session->connection, control_find, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, name);
	return sqlite_step(&session->connection, statement, ret, err);
}

static tide_status control_put(struct sqlite_session *session,
			       const struct tide_control_write *write, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	char now[TIDE_TIME_TEXT_SIZE];
	const char *sql = write->is_pause ? control_pause : control_resume;
	tide_status status = sqlite_statement(&session->connection, sql, &statement, err);
	if (status != TIDE_OK)
		return status;

	sqlite_bind_string(statement, 1, write->journal.name);
	if (write->is_pause) {
		sqlite_bind_time(statement, 2, write->journal.now, now);
		sqlite_bind_string(statement, 3, write->journal.who);
		sqlite_bind_string(statement, 4, write->reason);
		sqlite_bind_string(statement, 5, write->note);
	}
	return sqlite_step(&session->connection, statement, NULL, err);
}

static tide_status control_write(struct sqlite_session *session,
				 const struct tide_control_write *write, bool *ret_was_paused,
				 struct tide_error *err)
{
	bool joined, was_paused = false;
	tide_status status = sqlite_write_begin(session, &joined, err);
	if (status != TIDE_OK)
		return status;

	status = control_was_paused(session, write->journal.name, &was_paused, err);
	if (status == TIDE_OK)
		status = control_put(session, write, err);
	if (status == TIDE_OK)
		status = sqlite_journal_add(session, &write->journal, err);
	status = sqlite_write_end(session, joined, status, err);
	if (status == TIDE_OK)
		*ret_was_paused = was_paused;
	return status;
}

/* A person's word is flushed, unlike what is made again from the events. */
tide_status sqlite_control_set(void *self, const struct tide_control_write *write,
			       bool *ret_was_paused, struct tide_error *err)
{
	struct sqlite_session *session = self;
	bool is_lazy = !session->store->is_projection_full &&
		       sqlite3_get_autocommit(session->connection.handle);
	if (!control_is_kept(session))
		return control_unsupported(err);

	tide_status status =
		is_lazy ? sqlite_run(&session->connection, control_flush, err) : TIDE_OK;
	if (status == TIDE_OK)
		status = control_write(session, write, ret_was_paused, err);
	if (is_lazy) /* else it is only slower from now on */
		(void)sqlite_run(&session->connection, control_no_flush, NULL);
	return status;
}

static void control_decode(sqlite3_stmt *statement, struct tide_control *ret)
{
	*ret = (struct tide_control){ .reason = control_reason(sqlite_column_view(statement, 3)) };
	sqlite_column_name(statement, 0, ret->name);
	(void)sqlite_column_time(statement, 1, &ret->paused_at);
	control_copy(ret->paused_by, sizeof ret->paused_by, sqlite_column_view(statement, 2));
	control_copy(ret->note, sizeof ret->note, sqlite_column_view(statement, 4));
	(void)sqlite_column_time(statement, 5, &ret->updated_at);
}

static tide_status control_collect(struct sqlite_session *session, struct tide_control **list,
				   size_t *count, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	bool has_row = true;
	tide_status status = sqlite_statement(&session->connection, control_list, &statement, err);

	while (status == TIDE_OK &&
	       (status = sqlite_step(&session->connection, statement, &has_row, err)) == TIDE_OK &&
	       has_row) {
		struct tide_control *more = alloc_resize(*list, *count + 1, sizeof *more);
		if (!more)
			return alloc_fail(err);
		*list = more;
		control_decode(statement, &more[(*count)++]);
	}
	return status;
}

tide_status sqlite_control_list(void *self, struct tide_control **ret, size_t *ret_count,
				struct tide_error *err)
{
	struct sqlite_session *session = self;
	ALLOC_AUTO struct tide_control *list = NULL;
	size_t count = 0;
	tide_status status = TIDE_OK;
	if (control_is_kept(session))
		status = control_collect(session, &list, &count, err);
	if (status != TIDE_OK)
		return status;
	*ret = list;
	*ret_count = count;
	list = NULL;
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL projections on SQLite. Statements are prepared once for each connection and reset after each
 * event; SQLite itself prepares them again when the schema changes. Whenever it does, its
 * authorizer sees which tables they would change, also through triggers and views.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "project/sql_append.h"
#include "sys/alloc.h"
#include "sys/native.h"

static const char *const sqlite_forbidden[] = { "BEGIN",     "COMMIT",  "END",    "ROLLBACK",
						"SAVEPOINT", "RELEASE", "PRAGMA", "ATTACH",
						"DETACH",    "VACUUM",  NULL };

#define SQLITE_WORDS 300

/* What has failed on a connection, in its own words; `otherwise` is for what would fail again. */
static tide_status sqlite_cause(sqlite3 *db, int code, tide_status otherwise,
				char ret_words[SQLITE_WORDS])
{
	/* first: looking for the errno may set others */
	snprintf(ret_words, SQLITE_WORDS, "%s", sqlite3_errmsg(db));
	int latest = sqlite3_extended_errcode(db);
	if ((latest & 0xff) == (code & 0xff))
		code = latest;
	struct native means = native_sqlite(code, native_sqlite_errno(db, code));
	return means.is_of_statement ? otherwise : means.status;
}

static tide_status sqlite_fail_statement(const struct sql_script *script,
					 const struct sql_statement *statement, sqlite3 *db,
					 int code, tide_status otherwise, struct tide_error *err)
{
	char words[SQLITE_WORDS];
	tide_status status = sqlite_cause(db, code, otherwise, words);
	tide_fail(err, status, "'%s' line %zu: %s", script->path, statement->line, words);
	if (err)
		err->native = code;
	return status;
}

/* ---- Tidemark's own tables, and other projections' ------------------------------------------- */

/* The table that an action would change; NULL: none. */
static const char *sqlite_changed_table(int action, const char *first, const char *second)
{
	switch (action) {
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_TEMP_TABLE:
	case SQLITE_CREATE_VIEW:
	case SQLITE_CREATE_TEMP_VIEW:
	case SQLITE_CREATE_VTABLE:
	case SQLITE_DROP_TABLE:
	case SQLITE_DROP_TEMP_TABLE:
	case SQLITE_DROP_VIEW:
	case SQLITE_DROP_TEMP_VIEW:
	case SQLITE_DROP_VTABLE:
		return first;
	case SQLITE_ALTER_TABLE:
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_TEMP_INDEX:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_CREATE_TEMP_TRIGGER:
	case SQLITE_DROP_INDEX:
	case SQLITE_DROP_TEMP_INDEX:
	case SQLITE_DROP_TRIGGER:
	case SQLITE_DROP_TEMP_TRIGGER:
		return second;
	default:
		return NULL;
	}
}

/* Where SQLite keeps the greatest position; when a table is dropped or renamed, it writes there
 * itself. */
static bool sqlite_is_numbers(const struct sql_script *script, const char *table)
{
	return strcmp(table, "sqlite_sequence") == 0 && !script->is_redefined;
}

static int sqlite_authorize(void *self, int action, const char *first, const char *second,
			    const char *database, const char *trigger)
{
	struct sql_script *script = self;
	const char *table = sqlite_changed_table(action, first, second);
	bool is_temporary = database && strcmp(database, "temp") == 0;

	(void)trigger;
	script->is_redefined |= action == SQLITE_DROP_TABLE || action == SQLITE_ALTER_TABLE;
	if (!script->is_watching || !table)
		return SQLITE_OK;
	if (!sql_is_own_table(table, strlen(table)) && !sqlite_is_numbers(script, table)) {
		struct sql_rival *rival = is_temporary ? NULL : sql_rival_find(script, table);
		if (!rival || sql_rival_write(rival))
			return SQLITE_OK;
		script->refused_rival = rival;
	}
	snprintf(script->refused, sizeof script->refused, "%s", table);
	return SQLITE_DENY;
}

/* The connection prepares the subscription's own statements, too: those are not looked at. */
static void sqlite_watch(struct sql_script *script, bool is_watching)
{
	script->is_watching = is_watching;
	script->is_redefined = false;
	script->refused[0] = '\0';
	script->refused_rival = NULL;
}

static tide_status sqlite_judge(const struct sql_script *script,
				const struct sql_statement *statement, sqlite3 *db, int code,
				tide_status otherwise, struct tide_error *err)
{
	if ((code & 0xff) == SQLITE_AUTH && script->refused[0]) {
		struct sql_own own = { .kind = SQL_OWN_TABLE, .rival = script->refused_rival };
		snprintf(own.name, sizeof own.name, "%s", script->refused);
		return sql_fail_own(script, &(struct sql_lines){ statement->line, statement->line },
				    &own, otherwise, err);
	}
	return sqlite_fail_statement(script, statement, db, code, otherwise, err);
}

/* ---- Checking and running -------------------------------------------------------------------- */

static bool sqlite_is_complete(const char *text)
{
	return sqlite3_complete(text) != 0;
}

/* Tables are not there, so only what the parser itself refuses is an error now; names are checked
 * when attached. */
static bool sqlite_is_syntax(const char *message)
{
	return strncmp(message, "near \"", 6) == 0 ||
	       strncmp(message, "unrecognized token", 18) == 0 ||
	       strncmp(message, "incomplete input", 16) == 0;
}

/* An empty database but for Tidemark's tables, so that changing them is seen already here. */
static sqlite3 *sqlite_scratch(struct sql_script *script)
{
	sqlite3 *db;
	int code =
		sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	for (size_t i = 0; i < SQL_OWN_TABLES && code == SQLITE_OK; i++) {
		char sql[100];
		snprintf(sql, sizeof sql, "CREATE TABLE %s (id INTEGER PRIMARY KEY AUTOINCREMENT)",
			 sql_own_tables[i]);
		code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	if (code == SQLITE_OK)
		code = sqlite3_set_authorizer(db, sqlite_authorize, script);
	if (code == SQLITE_OK)
		return db;
	sqlite3_close(db);
	return NULL;
}

static tide_status sqlite_check_syntax(struct sql_script *script, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	sqlite3 *db = sqlite_scratch(script);

	if (!db)
		return alloc_fail(err);
	for (size_t i = 0; i < script->statement_count && status == TIDE_OK; i++) {
		const struct sql_statement *statement = &script->statements[i];
		sqlite3_stmt *prepared = NULL;
		sqlite_watch(script, true);
		int code = sqlite3_prepare_v2(db, statement->text, (int)statement->size, &prepared,
					      NULL);
		if (code == SQLITE_NOMEM || code == SQLITE_AUTH ||
		    (code != SQLITE_OK && sqlite_is_syntax(sqlite3_errmsg(db))))
			status = sqlite_judge(script, statement, db, code, TIDE_ARGUMENT, err);
		sqlite3_finalize(prepared);
	}
	sqlite_watch(script, false);
	sqlite3_close(db);
	return status;
}

static tide_status sqlite_run_one(struct sql_script *script, const struct sql_statement *statement,
				  sqlite3 *db, struct tide_error *err)
{
	sqlite3_stmt *prepared = NULL;
	sqlite_watch(script, true);
	int code = sqlite3_prepare_v2(db, statement->text, (int)statement->size, &prepared, NULL);
	tide_status status = TIDE_OK;

	if (code == SQLITE_OK)
		while ((code = sqlite3_step(prepared)) == SQLITE_ROW)
			;
	if (code != SQLITE_DONE)
		status = sqlite_judge(script, statement, db, code, TIDE_ARGUMENT, err);
	sqlite3_finalize(prepared);
	return status;
}

static tide_status sqlite_run_all(struct sql_script *script, enum sql_section_kind kind,
				  sqlite3 *connection, struct tide_error *err)
{
	for (size_t i = 0; i < script->section_count; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0; section->kind == kind && j < section->count; j++) {
			const struct sql_statement *statement =
				&script->statements[section->first + j];
			tide_status status = sqlite_run_one(script, statement, connection, err);
			if (status != TIDE_OK)
				return status;
		}
	}
	return TIDE_OK;
}

static tide_status sqlite_run_sections(struct sql_script *script, enum sql_section_kind kind,
				       void *connection, struct tide_error *err)
{
	sqlite3_set_authorizer(connection, sqlite_authorize, script);
	tide_status status = sqlite_run_all(script, kind, connection, err);
	sqlite_watch(script, false);
	sqlite3_set_authorizer(connection, NULL, NULL);
	return status;
}

/** A prepared statement and the fields of its parameters in order. */
struct sqlite_prepared {
	sqlite3_stmt *statement;
	int count;
	enum sql_field fields[];
};

static void sqlite_prepared_free(struct sqlite_prepared *prepared)
{
	if (prepared)
		sqlite3_finalize(prepared->statement);
	tide_free(prepared);
}

static tide_status sqlite_prepare_one(struct sql_script *script, struct sql_statement *statement,
				      sqlite3 *db, struct tide_error *err)
{
	sqlite3_stmt *handle = NULL;
	sqlite_watch(script, true);
	int code = sqlite3_prepare_v3(db, statement->text, (int)statement->size,
				      SQLITE_PREPARE_PERSISTENT, &handle, NULL);

	if (code != SQLITE_OK)
		return sqlite_judge(script, statement, db, code, TIDE_ARGUMENT, err);
	tide_status status =
		sql_reaction_check(script, statement, sqlite3_column_count(handle), err);
	if (status != TIDE_OK) {
		sqlite3_finalize(handle);
		return status;
	}
	int count = sqlite3_bind_parameter_count(handle);
	struct sqlite_prepared *prepared =
		alloc_zero(1, sizeof *prepared + (size_t)count * sizeof prepared->fields[0]);
	if (!prepared) {
		sqlite3_finalize(handle);
		return alloc_fail(err);
	}
	prepared->statement = handle;
	prepared->count = count;
	for (int i = 0; i < count; i++) {
		const char *name = sqlite3_bind_parameter_name(handle, i + 1) + 1;
		prepared->fields[i] = sql_field_find(name, strlen(name));
	}
	statement->prepared = prepared;
	return TIDE_OK;
}

static void sqlite_detach(struct sql_script *script, void *connection)
{
	sqlite3_set_authorizer(connection, NULL, NULL);
	for (size_t i = 0; i < script->statement_count; i++) {
		sqlite_prepared_free(script->statements[i].prepared);
		script->statements[i].prepared = NULL;
	}
}

/* The transaction is one that writes, so that init runs in one process at a time. */
static tide_status sqlite_prepare(struct sql_script *script, void *connection,
				  struct tide_error *err)
{
	tide_status status =
		script->is_made ? TIDE_OK : sqlite_run_sections(script, SQL_INIT, connection, err);

	/* it stays with the connection: setting it has every statement prepared again */
	sqlite3_set_authorizer(connection, sqlite_authorize, script);

	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0;
		     section->kind == SQL_ON && j < section->count && status == TIDE_OK; j++)
			status = sqlite_prepare_one(script, &script->statements[section->first + j],
						    connection, err);
	}
	sqlite_watch(script, false);
	return status;
}

static int sqlite_bind(sqlite3_stmt *statement, int at, const struct sql_value *value)
{
	if (value->is_null)
		return sqlite3_bind_null(statement, at);
	if (value->is_integer)
		return sqlite3_bind_int64(statement, at, value->integer);
	return sqlite3_bind_text64(statement, at, value->text.data, value->text.size, SQLITE_STATIC,
				   SQLITE_UTF8);
}

/* Constraints are told by names alone; a trigger, or a function, may have said anything of the
 * event. */
static tide_status sqlite_judge_event(struct sql_script *script,
				      const struct sql_statement *statement, sqlite3 *db, int code,
				      struct tide_error *err)
{
	int extended = sqlite3_extended_errcode(db);
	char *words = alloc_format("%s", sqlite3_errmsg(db));
	tide_status status = sqlite_judge(script, statement, db, code, TIDE_HANDLER_PERMANENT, err);
	bool is_named = (code & 0xff) == SQLITE_CONSTRAINT &&
			extended != SQLITE_CONSTRAINT_TRIGGER &&
			extended != SQLITE_CONSTRAINT_FUNCTION;
	if (status != TIDE_HANDLER_PERMANENT || is_named || script->refused[0]) {
		tide_free(words);
		return status;
	}

	script->words = words;
	return tide_fail(err, status, "'%s' line %zu: SQLite refused it: %s (%d)", script->path,
			 statement->line, sqlite3_errstr(extended), extended);
}

/* Step to the end; what it gives to be appended is kept. */
static tide_status sqlite_step_all(struct sql_script *script, const struct sql_statement *statement,
				   sqlite3_stmt *prepared, int *ret_code, struct tide_error *err)
{
	tide_status status = TIDE_OK;

	while (status == TIDE_OK && (*ret_code = sqlite3_step(prepared)) == SQLITE_ROW)
		if (statement->append)
			status = sql_reaction_add(script, statement,
						  (const char *)sqlite3_column_text(prepared, 0),
						  (size_t)sqlite3_column_bytes(prepared, 0), err);
	return status;
}

static tide_status sqlite_execute(struct sql_script *script, const struct sql_statement *statement,
				  void *connection, const struct tide_event *event,
				  bool *ret_is_own, struct tide_error *err)
{
	const struct sqlite_prepared *prepared = statement->prepared;
	char scratch[SQL_FIELD_COUNT][SQL_SCRATCH_SIZE];
	int code = SQLITE_OK;

	/* the texts are borrowed: they are bound again before the statement runs the next time */
	for (int i = 0; i < prepared->count && code == SQLITE_OK; i++) {
		enum sql_field field = prepared->fields[i];
		struct sql_value value = sql_field_value(field, event, scratch[field]);
		code = sqlite_bind(prepared->statement, i + 1, &value);
	}
	sqlite_watch(script, true);
	tide_status status = TIDE_OK;
	if (code == SQLITE_OK)
		status = sqlite_step_all(script, statement, prepared->statement, &code, err);
	if (status == TIDE_OK && code != SQLITE_DONE)
		status = sqlite_judge_event(script, statement, connection, code, err);
	else if (status == TIDE_OK && script->changed &&
		 !sqlite3_stmt_readonly(prepared->statement))
		script->changed[statement - script->statements] += sqlite3_changes(connection);
	*ret_is_own = script->refused[0] != '\0';
	sqlite_watch(script, false);
	sqlite3_reset(prepared->statement);
	return status;
}

/* ---- Examining ------------------------------------------------------------------------------- */

/* The tables as they are, without rows. What cannot be made in memory, such as a table of a module,
 * is not there then. */
static tide_status sqlite_copy_schema(sqlite3 *from, sqlite3 *to, struct tide_error *err)
{
	static const char text[] = "SELECT sql FROM main.sqlite_schema WHERE sql IS NOT NULL AND "
				   "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
				   "ORDER BY type <> 'table', rowid";
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(from, text, -1, &statement, NULL);

	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW)
			(void)sqlite3_exec(to, (const char *)sqlite3_column_text(statement, 0),
					   NULL, NULL, NULL);
	}
	sqlite3_finalize(statement);
	if (code == SQLITE_DONE)
		return TIDE_OK;
	char words[SQLITE_WORDS];
	tide_status status = sqlite_cause(from, code, TIDE_IO, words);
	return tide_fail(err, status, "cannot read the schema: %s", words);
}

/* In a copy of the schema in memory, after init. */
static tide_status sqlite_examine_in(struct sql_script *script, sqlite3 *db, sql_tell *tell,
				     void *self)
{
	struct tide_error problem;
	tide_status status = sqlite_run_sections(script, SQL_INIT, db, &problem);

	if (status != TIDE_OK)
		tell(self, problem.message);
	sqlite3_set_authorizer(db, sqlite_authorize, script);
	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0; section->kind == SQL_ON && j < section->count; j++) {
			struct sql_statement *statement = &script->statements[section->first + j];
			if (sqlite_prepare_one(script, statement, db, &problem) != TIDE_OK)
				tell(self, problem.message);
		}
	}
	sqlite_watch(script, false);
	sqlite_detach(script, db);
	return TIDE_OK;
}

static tide_status sqlite_examine(struct sql_script *script, void *connection, sql_tell *tell,
				  void *self, struct tide_error *err)
{
	sqlite3 *db = NULL;
	int code =
		sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	tide_status status = code == SQLITE_OK ? TIDE_OK : alloc_fail(err);

	if (status == TIDE_OK)
		status = sqlite_copy_schema(connection, db, err);
	if (status == TIDE_OK)
		status = sqlite_examine_in(script, db, tell, self);
	sqlite3_close(db);
	return status;
}

#define SQLITE_CELLS_MAX 64

static tide_status sqlite_query_rows(sqlite3_stmt *statement, sql_cells *row, void *self,
				     struct tide_error *err)
{
	const char *cells[SQLITE_CELLS_MAX];
	int count = sqlite3_column_count(statement);
	tide_status status = TIDE_OK;
	int code;

	if (count > SQLITE_CELLS_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "it has %d columns, expected at most %d",
				 count, SQLITE_CELLS_MAX);
	while (status == TIDE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int i = 0; i < count; i++)
			cells[i] = (const char *)sqlite3_column_text(statement, i);
		status = row(self, cells, (size_t)count, err);
	}
	if (status == TIDE_OK && code != SQLITE_DONE)
		status = tide_fail(err, TIDE_ARGUMENT, "%s",
				   sqlite3_errmsg(sqlite3_db_handle(statement)));
	return status;
}

static tide_status sqlite_query(void *connection, const char *text, sql_cells *row, void *self,
				struct tide_error *err)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(connection, text, -1, &statement, NULL) != SQLITE_OK)
		return tide_fail(err, TIDE_ARGUMENT, "%s", sqlite3_errmsg(connection));
	tide_status status = statement ? sqlite_query_rows(statement, row, self, err)
				       : tide_fail(err, TIDE_ARGUMENT, "it is empty");
	sqlite3_finalize(statement);
	return status;
}

/* ---- Questions ------------------------------------------------------------------------------- */

static tide_status sqlite_ask_fail(const struct sql_script *script, sqlite3 *db, int code,
				   struct tide_error *err)
{
	char words[SQLITE_WORDS];
	tide_status status = sqlite_cause(db, code, TIDE_IO, words);
	tide_fail(err, status, "'%s': %s", script->path, words);
	if (err)
		err->native = code;
	return status;
}

static tide_status sqlite_ask(const struct sql_script *script, void *connection,
			      const struct sql_question *question, struct tide_error *err)
{
	const char *columns[SQL_COLUMNS_MAX] = { NULL };
	sqlite3_stmt *statement = NULL;
	tide_status status = TIDE_OK;
	int code = sqlite3_prepare_v2(connection, question->text, -1, &statement, NULL);

	for (int i = 0; code == SQLITE_OK && i < question->count; i++)
		code = sqlite3_bind_text(statement, i + 1, question->values[i], -1, SQLITE_STATIC);
	while (code == SQLITE_OK && status == TIDE_OK &&
	       (code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(statement) && i < SQL_COLUMNS_MAX; i++)
			columns[i] = (const char *)sqlite3_column_text(statement, i);
		status = question->row ? question->row(question->self, columns, err) : TIDE_OK;
		code = SQLITE_OK;
	}
	if (status == TIDE_OK && code != SQLITE_DONE)
		status = sqlite_ask_fail(script, connection, code, err);
	sqlite3_finalize(statement);
	return status;
}

static tide_status sqlite_note_table(void *self, const char *const *columns, struct tide_error *err)
{
	struct sql_place *place = self;

	(void)err;
	place->has_versions |= strcmp(columns[0], "projection_versions") == 0;
	place->has_rebuilds |= strcmp(columns[0], "projection_rebuilds") == 0;
	return TIDE_OK;
}

static tide_status sqlite_find_place(const struct sql_script *script, void *connection,
				     struct sql_place *ret, struct tide_error *err)
{
	struct sql_question question = {
		.text = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name IN "
			"('projection_versions', 'projection_rebuilds')",
		.row = sqlite_note_table,
		.self = ret,
	};

	*ret = (struct sql_place){ .own = "main." };
	return sqlite_ask(script, connection, &question, err);
}

const struct sql_dialect sql_dialect_sqlite = {
	.scheme = "sqlite",
	.forbidden = sqlite_forbidden,
	.other_parameters = "?@$",
	.has_brackets = true,
	.is_complete = sqlite_is_complete,
	.check = sqlite_check_syntax,
	.run = sqlite_run_sections,
	.prepare = sqlite_prepare,
	.find_place = sqlite_find_place,
	.ask = sqlite_ask,
	.examine = sqlite_examine,
	.query = sqlite_query,
	.detach = sqlite_detach,
	.execute = sqlite_execute,
};

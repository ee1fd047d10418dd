/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What made which tables: a row of projection_versions for each projection.
 *
 * Happy path: the row is there and says what the file says. Without a row it is entered.
 * Failure modes: init has changed since the tables were made; they are another projection's
 * (sql_rival.c has those that the projection writes to without making them). A
 * projection that has a checkpoint and no row ran before there were rows, and is entered as it is.
 * One that has a row has had a checkpoint from its first start on, so that a checkpoint that is
 * gone can be told from one that never was; a reset takes both.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tidemark/version.h>

#include "core/json.h"
#include "project/sql.h"
#include "sys/alloc.h"
#include "sys/log.h"

/** One projection compared with the rows. */
struct version {
	struct sql_script *script;
	const char *name;
	struct sql_place place;
	struct buffer tables; /* JSON */
	char init_hash[17], statements_hash[17];

	bool has_row, has_checkpoint;
	bool has_new_init, has_new_statements;
	bool has_new_tables;      /* that it writes to without making them */
	struct buffer own_tables; /* of its row */
	/* another projection, and what both make; empty: none */
	char rival[TIDE_NAME_MAX + 1], table[200];
};

static void version_hash(struct version *version)
{
	snprintf(version->init_hash, sizeof version->init_hash, "%016" PRIx64,
		 version->script->init_hash);
	snprintf(version->statements_hash, sizeof version->statements_hash, "%016" PRIx64,
		 version->script->statements_hash);
}

/* A table of the script as the row names it. */
static char *version_table(const struct version *version, size_t at)
{
	return sql_place_table(&version->place, version->script->tables[at]);
}

static bool version_writes_to(const struct sql_rival *rival)
{
	return rival->state == SQL_RIVAL_WRITTEN || rival->state == SQL_RIVAL_NOTED;
}

static tide_status version_write_tables(struct version *version, struct tide_error *err)
{
	json_open(&version->tables, '[');
	for (size_t i = 0; i < version->script->table_count; i++) {
		ALLOC_AUTO char *table = version_table(version, i);
		if (!table)
			return alloc_fail(err);
		json_string(&version->tables, table);
	}
	for (size_t i = 0; i < version->script->rival_count; i++)
		if (version_writes_to(&version->script->rivals[i]))
			json_string(&version->tables, version->script->rivals[i].table);
	json_close(&version->tables, ']');
	return version->tables.failed ? alloc_fail(err) : TIDE_OK;
}

static tide_status version_note_own(void *self, const char *const *columns, struct tide_error *err)
{
	struct version *version = self;

	version->has_row = true;
	version->has_new_init = strcmp(columns[2], version->init_hash) != 0;
	version->has_new_statements = strcmp(columns[3], version->statements_hash) != 0;
	buffer_add(&version->own_tables, columns[1], strlen(columns[1]));
	return version->own_tables.failed ? alloc_fail(err) : TIDE_OK;
}

static tide_status version_note_checkpoint(void *self, const char *const *columns,
					   struct tide_error *err)
{
	struct version *version = self;

	(void)columns;
	(void)err;
	version->has_checkpoint = true;
	return TIDE_OK;
}

/* Tables that both rows have are shared since before there were rows. */
static tide_status version_note_rival(void *self, const char *const *columns,
				      struct tide_error *err)
{
	struct version *version = self;

	for (size_t i = 0; i < version->script->table_count; i++) {
		ALLOC_AUTO char *table = version_table(version, i);
		if (!table)
			return alloc_fail(err);
		if (!sql_tables_hold(columns[1], table) ||
		    (version->has_row && sql_tables_hold(version->own_tables.data, table)))
			continue;
		snprintf(version->rival, sizeof version->rival, "%s", columns[0]);
		snprintf(version->table, sizeof version->table, "%s", table);
	}
	return TIDE_OK;
}

static tide_status version_ask(struct version *version, const struct sql_dialect *dialect,
			       void *connection, const char *text, sql_row *row,
			       struct tide_error *err)
{
	ALLOC_AUTO char *full = alloc_format(text, version->place.own);
	struct sql_question question = {
		.text = full, .values = { version->name }, .count = 1, .row = row, .self = version
	};

	return full ? dialect->ask(version->script, connection, &question, err) : alloc_fail(err);
}

static tide_status version_look(struct version *version, const struct sql_dialect *dialect,
				void *connection, struct tide_error *err)
{
	static const char columns[] = "SELECT name, tables, init_hash, statements_hash FROM "
				      "%sprojection_versions WHERE name ";
	char own[sizeof columns + 10], others[sizeof columns + 10];

	snprintf(own, sizeof own, "%s= $1", columns);
	snprintf(others, sizeof others, "%s<> $1", columns);
	tide_status status = version_write_tables(version, err);
	if (status == TIDE_OK)
		status = version_ask(version, dialect, connection, own, version_note_own, err);
	if (status == TIDE_OK)
		status = version_ask(version, dialect, connection, others, version_note_rival, err);
	if (status == TIDE_OK)
		status = version_ask(version, dialect, connection, SQL_HAS_BEGUN,
				     version_note_checkpoint, err);
	return status;
}

static tide_status version_refuse_changed(const struct version *version, struct tide_error *err)
{
	const char *path = version->script->path;
	tide_status status = tide_fail(err, TIDE_STATE,
				       "'%.150s' init: changed; rebuild it (tide rebuild %.100s "
				       "--file %.150s), or accept it (the same with --accept)",
				       path, version->name, path);
	if (err)
		err->native = TIDE_NATIVE_FILE_CHANGED;
	return status;
}

static tide_status version_judge(const struct version *version, enum sql_entry entry,
				 struct tide_error *err)
{
	bool is_older = !version->has_row && version->has_checkpoint;
	const char *path = version->script->path;

	if (version->has_new_init && entry == SQL_ENTRY_START)
		return version_refuse_changed(version, err);
	if (version->has_new_statements && entry == SQL_ENTRY_START)
		log_at(TIDE_LOG_NOTICE, "projection",
		       "statements changed, what they made of earlier events stays",
		       "name='%s' file='%s'", version->name, path);
	if (!*version->rival)
		return TIDE_OK;
	if (entry != SQL_ENTRY_ACCEPT && !is_older)
		return tide_fail(err, TIDE_ALREADY_EXISTS,
				 "table '%s' of projection '%s' is made by projection '%s'; give "
				 "it tables of its own, or "
				 "take them over with --accept-changes",
				 version->table, version->name, version->rival);
	log_at(TIDE_LOG_WARNING, "projection",
	       is_older ? "two projections make one table" : "tables taken over",
	       "name='%s' table='%s' other='%s'", version->name, version->table, version->rival);
	return TIDE_OK;
}

/* One that is forgotten is entered anew if it is started again: whose tables were taken over, or
 * are emptied by a reset. */
static tide_status version_forget(const struct version *version, const char *name,
				  const struct sql_dialect *dialect, void *connection,
				  struct tide_error *err)
{
	ALLOC_AUTO char *text = alloc_format("DELETE FROM %sprojection_versions WHERE name = $1",
					     version->place.own);
	struct sql_question question = { .text = text, .values = { name }, .count = 1 };

	return text ? dialect->ask(version->script, connection, &question, err) : alloc_fail(err);
}

/* Tables that init does not make, and that its row has not got yet. */
static tide_status version_enter_rivals(struct version *version, const struct sql_dialect *dialect,
					enum sql_entry entry, void *connection,
					struct tide_error *err)
{
	struct sql_script *script = version->script;
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < script->rival_count && status == TIDE_OK; i++) {
		struct sql_rival *rival = &script->rivals[i];
		if (rival->state != SQL_RIVAL_WRITTEN)
			continue;
		rival->state = SQL_RIVAL_NOTED;
		if (version->has_row && sql_tables_hold(version->own_tables.data, rival->table))
			continue;
		version->has_new_tables = true;
		log_at(TIDE_LOG_WARNING, "projection",
		       entry == SQL_ENTRY_ACCEPT ? "tables taken over"
						 : "two projections write to one table",
		       "name='%s' table='%s' other='%s'", version->name, rival->table, rival->name);
		if (entry == SQL_ENTRY_ACCEPT)
			status = version_forget(version, rival->name, dialect, connection, err);
	}
	return status;
}

/* ---- Another file's tables ------------------------------------------------------------------- */

/* A file that was changed since is told from one that others have left behind by the time: it is
 * read after the tables were made. */
static tide_status version_note_stale(void *self, const char *const *columns,
				      struct tide_error *err)
{
	struct version *version = self;
	struct sql_script *script = version->script;
	struct tide_time built_at;

	if ((strcmp(columns[0], version->init_hash) == 0 &&
	     strcmp(columns[1], version->statements_hash) == 0) ||
	    tide_time_parse(columns[2], &built_at, NULL) != TIDE_OK ||
	    built_at.unix_us <= script->read_at.unix_us)
		return TIDE_OK;
	atomic_store(&script->is_stale, true);
	return tide_fail(err, TIDE_STATE,
			 "projection '%s' was rebuilt from another file than '%s' was when it was "
			 "read; it is to be read again (tide reload, or a new start)",
			 version->name, script->path);
}

tide_status sql_version_refuse_stale(struct sql_script *script, const struct sql_dialect *dialect,
				     const char *name, void *connection, struct tide_error *err)
{
	struct version version = { .script = script, .name = name };

	version_hash(&version);
	tide_status status = dialect->find_place(script, connection, &version.place, err);
	if (status != TIDE_OK || !version.place.has_versions)
		return status;
	return version_ask(&version, dialect, connection,
			   *version.place.made
				   ? "SELECT init_hash, statements_hash, (built_at AT TIME ZONE "
				     "'UTC')::text FROM %sprojection_versions WHERE name = $1"
				   : "SELECT init_hash, statements_hash, built_at FROM "
				     "%sprojection_versions WHERE name = $1",
			   version_note_stale, err);
}

/* ---- A checkpoint that is gone --------------------------------------------------------------- */

static tide_status version_note_filled(void *self, const char *const *columns,
				       struct tide_error *err)
{
	const struct version *version = self;

	(void)columns;
	return tide_fail(err, TIDE_STATE,
			 "the checkpoint of projection '%s' is gone, but what it made is filled: "
			 "everything would be "
			 "projected into it again; begin anew (tide project %s --reset), or do "
			 "that (--accept-changes)",
			 version->name, version->script->path);
}

static void version_quote(struct buffer *text, const char *name, size_t size)
{
	buffer_add(text, "\"", 1);
	for (size_t i = 0; i < size; i++) {
		if (name[i] == '"')
			buffer_add(text, "\"", 1);
		buffer_add(text, &name[i], 1);
	}
	buffer_add(text, "\"", 1);
}

static tide_status version_ask_filled(const char *table, char **ret, struct tide_error *err)
{
	const char *dot = strchr(table, '.'), *name = dot ? dot + 1 : table;
	struct buffer text = { 0 };

	buffer_format(&text, "SELECT 1 FROM ");
	if (dot) {
		version_quote(&text, table, (size_t)(dot - table));
		buffer_add(&text, ".", 1);
	}
	version_quote(&text, name, strlen(name));
	buffer_format(&text, " LIMIT 1");
	return buffer_take(&text, ret, err);
}

static tide_status version_refuse_filled(struct version *version, const struct sql_dialect *dialect,
					 void *connection, struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < version->script->table_count && status == TIDE_OK; i++) {
		ALLOC_AUTO char *text = NULL;
		status = version_ask_filled(version->script->tables[i], &text, err);
		struct sql_question question = { .text = text,
						 .row = version_note_filled,
						 .self = version };
		if (status == TIDE_OK)
			status = dialect->ask(version->script, connection, &question, err);
	}
	return status;
}

/* A row without a position, or one that is there and nobody has begun: it says that the projection
 * has begun, in the transaction that makes its tables. */
static tide_status version_begin_checkpoint(struct version *version,
					    const struct sql_dialect *dialect, void *connection,
					    struct tide_error *err)
{
	const char *row = version->script->row ? version->script->row : version->name;
	char now[TIDE_TIME_TEXT_SIZE];
	ALLOC_AUTO char *text =
		alloc_format("INSERT INTO %sprojection_checkpoints (projection_name) VALUES ($1) "
			     "ON CONFLICT (projection_name) DO UPDATE SET created_at = $2, "
			     "updated_at = $2",
			     version->place.own);
	struct sql_question question = {
		.text = text,
		.values = { row, tide_time_format(tide_time_now(), now) },
		.count = 2,
	};
	return text ? dialect->ask(version->script, connection, &question, err) : alloc_fail(err);
}

static tide_status version_write_filter(const struct sql_script *script, char **ret,
					struct tide_error *err)
{
	struct buffer filter = { 0 };
	bool wants_all = false;

	for (size_t i = 0; i < script->section_count; i++)
		wants_all |= script->sections[i].is_all;
	*ret = NULL;
	if (wants_all)
		return TIDE_OK;
	json_open(&filter, '[');
	for (size_t i = 0; i < script->type_count; i++)
		json_string(&filter, script->types[i]);
	json_close(&filter, ']');
	return buffer_take(&filter, ret, err);
}

static tide_status version_write(const struct version *version, const struct sql_dialect *dialect,
				 void *connection, struct tide_error *err)
{
	char now[TIDE_TIME_TEXT_SIZE];
	char *filter;
	tide_status status = version_write_filter(version->script, &filter, err);

	if (status != TIDE_OK)
		return status;
	ALLOC_AUTO char *owned = filter;
	ALLOC_AUTO char *text = alloc_format("INSERT INTO %sprojection_versions (name, tables, "
					     "init_hash, statements_hash, filter, built_at, "
					     "tide_version) VALUES ($1, $2, $3, $4, $5, $6, $7) ON "
					     "CONFLICT (name) DO UPDATE SET tables = "
					     "excluded.tables, init_hash = excluded.init_hash, "
					     "statements_hash = excluded.statements_hash, filter = "
					     "excluded.filter, built_at = excluded.built_at, "
					     "tide_version = excluded.tide_version",
					     version->place.own);
	struct sql_question question = {
		.text = text,
		.values = { version->name, version->tables.data, version->init_hash,
			    version->statements_hash, owned, tide_time_format(tide_time_now(), now),
			    TIDE_VERSION_TEXT },
		.count = 7,
	};
	return text ? dialect->ask(version->script, connection, &question, err) : alloc_fail(err);
}

/** A read model that is not where the projection writes now. */
struct elsewhere {
	const struct version *version;
	const char *table;
};

static tide_status version_note_elsewhere(void *self, const char *const *columns,
					  struct tide_error *err)
{
	const struct elsewhere *elsewhere = self;
	const struct version *version = elsewhere->version;

	return tide_fail(err, TIDE_STATE,
			 "table '%s%s' was not there, while projection '%s' has filled '%s.%s'; "
			 "move it (ALTER TABLE ... SET "
			 "SCHEMA), or begin anew with --reset",
			 version->place.made, elsewhere->table, version->name, columns[0],
			 elsewhere->table);
}

/* A table that this transaction has made, in front of one that the search path led to before. */
static tide_status version_refuse_elsewhere(const struct version *version,
					    const struct sql_dialect *dialect, void *connection,
					    struct tide_error *err)
{
	ALLOC_AUTO char *text = alloc_format(
		"SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
		"WHERE c.relname = $2 AND c.relkind IN ('r', 'p', 'm') AND n.nspname = "
		"ANY(current_schemas(false)) AND n.nspname <> current_schema() AND EXISTS (SELECT "
		"FROM pg_locks l JOIN pg_class m ON m.oid = l.relation WHERE l.pid = "
		"pg_backend_pid() AND l.mode = 'AccessExclusiveLock' AND m.relname = $2 AND "
		"m.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = "
		"current_schema())) AND EXISTS (" SQL_HAS_BEGUN ")",
		version->place.own);
	tide_status status = text ? TIDE_OK : alloc_fail(err);

	for (size_t i = 0; i < version->script->table_count && status == TIDE_OK; i++) {
		struct elsewhere elsewhere = { version, version->script->tables[i] };
		struct sql_question question = { .text = text,
						 .values = { version->name, elsewhere.table },
						 .count = 2,
						 .row = version_note_elsewhere,
						 .self = &elsewhere };
		if (!strchr(elsewhere.table, '.'))
			status = dialect->ask(version->script, connection, &question, err);
	}
	return status;
}

static tide_status version_begin(struct version *version, const struct sql_dialect *dialect,
				 enum sql_entry entry, void *connection, struct tide_error *err)
{
	tide_status status = TIDE_OK;

	if (version->has_row && !version->has_checkpoint && entry == SQL_ENTRY_START)
		status = version_refuse_filled(version, dialect, connection, err);
	if (status == TIDE_OK && !version->has_checkpoint)
		status = version_begin_checkpoint(version, dialect, connection, err);
	if (status == TIDE_OK && (!version->has_row || version->has_new_init ||
				  version->has_new_statements || version->has_new_tables))
		status = version_write(version, dialect, connection, err);
	return status;
}

tide_status sql_version_enter(struct sql_script *script, const struct sql_dialect *dialect,
			      const char *name, enum sql_entry entry, void *connection,
			      struct tide_error *err)
{
	struct version version = { .script = script, .name = name };

	version_hash(&version);
	tide_status status = dialect->find_place(script, connection, &version.place, err);
	if (status == TIDE_OK && entry == SQL_ENTRY_START && *version.place.made)
		status = version_refuse_elsewhere(&version, dialect, connection, err);
	if (status != TIDE_OK || !version.place.has_versions)
		return status;
	status = version_look(&version, dialect, connection, err);
	if (status == TIDE_OK)
		status = version_judge(&version, entry, err);
	if (status == TIDE_OK && *version.rival && entry == SQL_ENTRY_ACCEPT)
		status = version_forget(&version, version.rival, dialect, connection, err);
	if (status == TIDE_OK)
		status = version_enter_rivals(&version, dialect, entry, connection, err);
	if (status == TIDE_OK && entry == SQL_ENTRY_RESET)
		status = version_forget(&version, name, dialect, connection, err);
	else if (status == TIDE_OK)
		status = version_begin(&version, dialect, entry, connection, err);
	buffer_fini(&version.tables);
	buffer_fini(&version.own_tables);
	return status;
}

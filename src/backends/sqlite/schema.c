/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables: checked at every open, created or completed when asked.
 *
 * Happy path: make the model, an empty memory database from schema.sql, and compare: every table
 * and column of the model must be there, whatever is unique in it, and NOT NULL where rows are told
 * apart by it. What else is there does not matter. Fails when: something is missing (schema, naming
 * it), unless it belongs to a part of the schema that earlier versions lack. Initialising adds
 * missing tables and nullable columns in one transaction, so that two processes can do it at once.
 * Uniqueness and NOT NULL are not added: rows may break them already.
 *
 * Somebody may change them while they are in use: SQLite counts the changes, and each append and
 * page compares the count with that of the last check, in the transaction it is in where there is
 * one.
 */

#include <stdio.h>

#include "backends/sqlite/internal.h"
#include "backends/sqlite/schema.sql.h"
#include "sys/missing.h"

#define SCHEMA_CATEGORY_INDEX                                                                      \
	"CREATE INDEX IF NOT EXISTS idx_events_aggregate_type ON events (aggregate_type)"

/** One column of the model, and whether the database has it. */
struct schema_column {
	const char *table, *name, *type;
	bool is_required; /* not null without being the key: cannot be added to a table with rows */
	bool has_table, is_there;
};

static const char schema_model_columns[] =
	"SELECT m.name, c.name, c.type, c.\"notnull\" OR c.pk > 0 FROM sqlite_schema m, "
	"pragma_table_info(m.name) c "
	"WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.rowid, c.cid";
static const char schema_version[] = "PRAGMA schema_version";
static const char schema_lookup[] =
	"SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 "
	"COLLATE NOCASE), "
	"EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE)";

/*
 * Columns of a table that no two rows share, in the order of their names: of an index over all
 * rows, or what names the rowid, which an append learns its positions by.
 */
#define SCHEMA_KEYS                                                                                \
	"SELECT m.name AS relation, 'UNIQUE' AS kind, (SELECT group_concat(name, ', ') FROM "      \
	"(SELECT "                                                                                 \
	"lower(coalesce(name, '?')) AS name FROM pragma_index_info(l.name) ORDER BY 1)) AS "       \
	"columns "                                                                                 \
	"FROM sqlite_schema m, pragma_index_list(m.name) l WHERE m.type = 'table' AND "            \
	"l.\"unique\" AND NOT l.partial "                                                          \
	"UNION ALL SELECT m.name, 'INTEGER PRIMARY KEY', lower(c.name) FROM sqlite_schema m, "     \
	"pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk = 1 AND upper(c.type) = "     \
	"'INTEGER' AND NOT "                                                                       \
	"EXISTS (SELECT 1 FROM pragma_index_list(m.name) WHERE origin = 'pk')"
static const char schema_model_keys[] = SCHEMA_KEYS;
static const char schema_key_lookup[] =
	"SELECT EXISTS (SELECT 1 FROM (" SCHEMA_KEYS
	") WHERE relation = ?1 COLLATE NOCASE AND kind = ?2 AND columns = "
	"?3), EXISTS (SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 "
	"COLLATE NOCASE)";

/* What no row may lack: all that an event is, and elsewhere what a uniqueness is over. */
static const char schema_model_filled[] =
	"SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = "
	"'table' AND c.\"notnull\" AND (m.name = 'events' OR EXISTS (SELECT 1 FROM "
	"pragma_index_list(m.name) l, pragma_index_info(l.name) i WHERE l.\"unique\" AND i.name = "
	"c.name)) ORDER BY m.rowid, c.cid";
static const char schema_null_lookup[] =
	"SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE AND NOT \"notnull\" "
	"AND NOT pk";

/* Versions before the column said in the message what an entry waits for: converted once, when it
 * is added. */
static const char schema_convert_parked[] =
	"UPDATE dead_letter_queue SET parked_behind = lower(substr(error_message, 21)) WHERE "
	"status <> 'resolved' "
	"AND retry_count = 0 AND error_message LIKE "
	"'parked behind event ________-____-____-____-____________'";

static tide_status schema_look_up(struct sqlite_connection *connection,
				  struct schema_column *column, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(connection, schema_lookup, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, column->table);
	sqlite_bind_string(statement, 2, column->name);
	status = sqlite_step(connection, statement, NULL, err);
	if (status != TIDE_OK)
		return status;
	column->has_table = sqlite3_column_int(statement, 0);
	column->is_there = sqlite3_column_int(statement, 1);
	return TIDE_OK;
}

/* Called for one column of the model; `initialize` adds it when it may be added. */
static tide_status schema_settle(struct sqlite_connection *connection, struct schema_column *column,
				 bool initialize, struct tide_error *err)
{
	tide_status status = schema_look_up(connection, column, err);
	if (status != TIDE_OK || column->is_there)
		return status;
	if (!column->has_table && initialize)
		return TIDE_OK; /* schema.sql is run afterwards */

	enum part part = part_of(column->table, column->name);
	if (part != PART_COUNT && !initialize) {
		connection->parts &= ~PART_BIT(part);
		return TIDE_OK;
	}

	if (!column->has_table)
		return tide_fail(err, TIDE_SCHEMA,
				 "table '%s' is missing; create it with 'tide init'",
				 column->table);
	if (column->is_required)
		return tide_fail(err, TIDE_SCHEMA,
				 "column '%s' of table '%s' is missing and cannot be added",
				 column->name, column->table);
	if (!initialize)
		return tide_fail(err, TIDE_SCHEMA,
				 "column '%s' of table '%s' is missing; add it with 'tide init'",
				 column->name, column->table);

	char sql[200];
	snprintf(sql, sizeof sql, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s", column->table,
		 column->name, column->type);
	status = sqlite_script(connection, sql, err);
	return status == TIDE_OK && part == PART_PARKED
		       ? sqlite_script(connection, schema_convert_parked, err)
		       : status;
}

/* Called for a row of the model, with its texts. */
typedef tide_status schema_judge(struct sqlite_connection *connection, sqlite3_stmt *row,
				 bool initialize, struct tide_error *err);

static tide_status schema_compare(struct sqlite_connection *connection,
				  struct sqlite_connection *model, const char *rows,
				  schema_judge *judge, bool initialize, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(model, rows, &statement, err);
	bool has_row = status == TIDE_OK;

	while (has_row) {
		status = sqlite_step(model, statement, &has_row, err);
		if (status == TIDE_OK && has_row)
			status = judge(connection, statement, initialize, err);
		has_row &= status == TIDE_OK;
	}
	return status;
}

static tide_status schema_judge_column(struct sqlite_connection *connection, sqlite3_stmt *row,
				       bool initialize, struct tide_error *err)
{
	struct schema_column column = {
		.table = sqlite_column_view(row, 0).data,
		.name = sqlite_column_view(row, 1).data,
		.type = sqlite_column_view(row, 2).data,
		.is_required = sqlite3_column_int(row, 3),
	};
	if (!column.table || !column.name || !column.type)
		return alloc_fail(err);
	return schema_settle(connection, &column, initialize, err);
}

/** Columns of the model that no two rows share. */
struct schema_key {
	const char *table, *kind, *columns;
};

static tide_status schema_fail_key(const struct schema_key *key, struct tide_error *err)
{
	if (strcmp(key->kind, "UNIQUE") != 0)
		return tide_fail(err, TIDE_SCHEMA,
				 "table '%s' has no %s (%s); make it anew with one", key->table,
				 key->kind, key->columns);
	int first = (int)strcspn(key->columns, ",");
	return tide_fail(err, TIDE_SCHEMA,
			 "table '%s' has no UNIQUE (%s) over all rows; run CREATE UNIQUE INDEX "
			 "uq_%s_%.*s ON %s (%s)",
			 key->table, key->columns, key->table, first, key->columns, key->table,
			 key->columns);
}

static tide_status schema_check_key(struct sqlite_connection *connection,
				    const struct schema_key *key, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(connection, schema_key_lookup, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, key->table);
	sqlite_bind_string(statement, 2, key->kind);
	sqlite_bind_string(statement, 3, key->columns);
	status = sqlite_step(connection, statement, NULL, err);
	if (status != TIDE_OK || sqlite3_column_int(statement, 0) ||
	    !sqlite3_column_int(statement, 1))
		return status;
	return schema_fail_key(key, err);
}

/* A table that is not there yet is made with its keys. */
static tide_status schema_judge_key(struct sqlite_connection *connection, sqlite3_stmt *row,
				    bool initialize, struct tide_error *err)
{
	struct schema_key key = { .table = sqlite_column_view(row, 0).data,
				  .kind = sqlite_column_view(row, 1).data,
				  .columns = sqlite_column_view(row, 2).data };
	(void)initialize;
	if (!key.table || !key.kind || !key.columns)
		return alloc_fail(err);
	return schema_check_key(connection, &key, err);
}

/* A row that holds nothing there is outside of every uniqueness, or cannot be read. */
static tide_status schema_judge_filled(struct sqlite_connection *connection, sqlite3_stmt *row,
				       bool initialize, struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	const char *table = sqlite_column_view(row, 0).data,
		   *column = sqlite_column_view(row, 1).data;
	bool may_be_null = false;
	(void)initialize;
	if (!table || !column)
		return alloc_fail(err);

	tide_status status = sqlite_statement(connection, schema_null_lookup, &statement, err);
	if (status != TIDE_OK)
		return status;
	sqlite_bind_string(statement, 1, table);
	sqlite_bind_string(statement, 2, column);
	status = sqlite_step(connection, statement, &may_be_null, err);
	if (status != TIDE_OK || !may_be_null)
		return status;
	return tide_fail(err, TIDE_SCHEMA,
			 "column '%s' of table '%s' is not NOT NULL, so that a row could come that "
			 "nobody can read or tell from others; make the table anew with that",
			 column, table);
}

static tide_status schema_check(struct sqlite_connection *connection, bool initialize,
				struct tide_error *err)
{
	struct sqlite_store place = { .file = (char *)":memory:", .is_memory = true };
	struct sqlite_connection model;
	tide_status status = sqlite_connect(&place, true, false, &model, err);
	if (status != TIDE_OK)
		return status;

	connection->parts = PARTS_ALL;
	status = sqlite_script(&model, sqlite_schema, err);
	if (status == TIDE_OK)
		status = schema_compare(connection, &model, schema_model_columns,
					schema_judge_column, initialize, err);
	if (status == TIDE_OK)
		status = schema_compare(connection, &model, schema_model_keys, schema_judge_key,
					initialize, err);
	if (status == TIDE_OK)
		status = schema_compare(connection, &model, schema_model_filled,
					schema_judge_filled, initialize, err);
	sqlite_disconnect(&model);
	return status;
}

static tide_status schema_create(struct sqlite_connection *connection, bool has_category_index,
				 struct tide_error *err)
{
	tide_status status = sqlite_script(connection, "BEGIN IMMEDIATE", err);
	if (status != TIDE_OK)
		return status;

	status = schema_check(connection, true, err);
	if (status == TIDE_OK)
		status = sqlite_script(connection, sqlite_schema, err);
	if (status == TIDE_OK && has_category_index)
		status = sqlite_script(connection, SCHEMA_CATEGORY_INDEX, err);
	if (status == TIDE_OK)
		status = sqlite_script(connection, "COMMIT", err);
	if (!sqlite3_get_autocommit(connection->handle))
		sqlite_script(connection, "ROLLBACK", NULL);
	return status;
}

static tide_status schema_ask_version(struct sqlite_connection *connection, int64_t *ret,
				      struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(connection, schema_version, &statement, err);
	if (status == TIDE_OK)
		status = sqlite_step(connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = sqlite3_column_int64(statement, 0);
	return status;
}

/* What an open store does without stays as it was when it was opened. */
static tide_status schema_check_again(struct sqlite_connection *connection, struct tide_error *err)
{
	part_set parts = connection->parts;
	tide_status status = schema_check(connection, false, err);
	connection->parts = parts;
	return status;
}

tide_status sqlite_schema_look(struct sqlite_store *store, struct sqlite_connection *connection,
			       struct tide_error *err)
{
	int64_t version;
	if (store->is_memory)
		return TIDE_OK; /* no other process has it */
	tide_status status = schema_ask_version(connection, &version, err);
	if (status != TIDE_OK || version == store->schema_version)
		return status;

	status = schema_check_again(connection, err);
	if (status == TIDE_OK)
		store->schema_version = version;
	return status;
}

tide_status sqlite_schema_prepare(struct sqlite_store *store, struct sqlite_connection *connection,
				  bool initialize, bool has_category_index, struct tide_error *err)
{
	int64_t version = 0;
	tide_status status = schema_ask_version(connection, &version, err);
	if (status == TIDE_OK)
		status = schema_check(connection, false, err);
	bool is_complete =
		status == TIDE_OK && connection->parts == PARTS_ALL && !has_category_index;
	store->schema_version = is_complete || !initialize ? version : -1;
	if (initialize && !is_complete && (status == TIDE_OK || status == TIDE_SCHEMA))
		status = schema_create(connection, has_category_index, err);
	if (status == TIDE_OK)
		parts_tell_missing(connection->parts);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deep half of an audit in SQLite: the log is folded again, and the tables are compared.
 *
 * Happy path: one read transaction copies the read model's tables, its position and its dead
 * letters into a scratch file; the projection runs over the events up to that position in another,
 * without those dead letters; then each table is compared row by row, and the scratch goes.
 * Failure modes: a row is missing, added or different: a finding, named by its key. An event that
 * fails in the fold is left out, as one that was discarded was. The owner is not waited for: it
 * writes on beside the copy.
 */
#include <dirent.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit.h"
#include "sys/alloc.h"

/** A fold in a scratch place, beside what it is compared with. */
struct deep {
	struct fold fold;
	const struct audit_other *other;
	char *live;        /* file of the read model */
	char scratch[200]; /* folder */
	sqlite3 *copy;     /* main: the copies; attached: `live`, then `fold` */
};

static int deep_fail_sqlite(struct deep *deep, const char *what)
{
	struct tide_error err;
	tide_fail(&err, TIDE_IO, "audit, %s: %s", what, sqlite3_errmsg(deep->copy));
	return cli_fail(deep->fold.audit->cli, &err);
}

/* ---- The scratch ----------------------------------------------------------------------------- */

static int deep_open(struct deep *deep)
{
	const char *folder = getenv("TMPDIR");
	struct tide_error err;
	char path[256];

	snprintf(deep->scratch, sizeof deep->scratch, "%.180s/tide-audit-XXXXXX",
		 folder && *folder ? folder : "/tmp");
	if (!mkdtemp(deep->scratch)) {
		tide_fail(&err, TIDE_IO, "cannot make '%s'", deep->scratch);
		*deep->scratch = '\0';
		return cli_fail(deep->fold.audit->cli, &err);
	}
	snprintf(path, sizeof path, "%s/copy.db", deep->scratch);
	if (sqlite3_open_v2(path, &deep->copy,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
			    NULL) != SQLITE_OK)
		return deep_fail_sqlite(deep, "scratch");
	sqlite3_busy_timeout(deep->copy, 10000);
	return CLI_DONE;
}

static void deep_close(struct deep *deep)
{
	char path[500];
	struct dirent *entry;

	sqlite3_close(deep->copy);
	tide_free(deep->live);
	tide_free(deep->fold.rows);
	tide_free(deep->fold.left_out);
	DIR *folder = *deep->scratch ? opendir(deep->scratch) : NULL;
	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof path, "%s/%s", deep->scratch, entry->d_name);
		if (entry->d_name[0] != '.')
			(void)unlink(path);
	}
	if (folder)
		closedir(folder);
	if (*deep->scratch)
		(void)rmdir(deep->scratch);
}

/* A path as a URI wants it. */
static char *deep_uri(const char *path, const char *how)
{
	struct buffer uri = { 0 };
	char *text = NULL;

	buffer_format(&uri, "file:");
	for (; *path; path++) {
		if (strchr("?#%", *path))
			buffer_format(&uri, "%%%02X", (unsigned char)*path);
		else
			buffer_add(&uri, path, 1);
	}
	buffer_format(&uri, "?%s", how);
	return buffer_take(&uri, &text, NULL) == TIDE_OK ? text : NULL;
}

/* ---- The copy -------------------------------------------------------------------------------- */

static sqlite3_stmt *deep_prepare(struct deep *deep, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(deep->copy, sql, -1, &statement, NULL) != SQLITE_OK)
		return NULL;
	if (sqlite3_bind_parameter_count(statement) > 0)
		sqlite3_bind_text(statement, 1, deep->fold.audit->name, -1, SQLITE_STATIC);
	return statement;
}

static int deep_attach(struct deep *deep, const char *uri, const char *as)
{
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(deep->copy, "ATTACH ?1 AS ?2", -1, &statement, NULL) != SQLITE_OK)
		return SQLITE_ERROR;
	sqlite3_bind_text(statement, 1, uri, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, as, -1, SQLITE_STATIC);
	(void)sqlite3_step(statement);
	return sqlite3_finalize(statement);
}

static int deep_copy_position(struct deep *deep, const char *name, tide_position *ret)
{
	sqlite3_stmt *statement =
		deep_prepare(deep, "SELECT global_position FROM live.projection_checkpoints WHERE "
				   "projection_name = ?1");
	if (statement)
		sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	*ret = statement && sqlite3_step(statement) == SQLITE_ROW
		       ? sqlite3_column_int64(statement, 0)
		       : 0;
	return sqlite3_finalize(statement) == SQLITE_OK && statement
		       ? CLI_DONE
		       : deep_fail_sqlite(deep, "checkpoint");
}

/* Of the name, and of its lanes if it has any. */
static int deep_copy_rows(struct deep *deep)
{
	sqlite3_stmt *statement = deep_prepare(
		deep, "SELECT projection_name, global_position FROM live.projection_checkpoints "
		      "WHERE substr(projection_name, 1, length(?1)) = ?1 AND global_position IS "
		      "NOT NULL");
	bool is_whole = true;

	while (is_whole && statement && sqlite3_step(statement) == SQLITE_ROW)
		is_whole =
			fold_add_row(&deep->fold, (const char *)sqlite3_column_text(statement, 0),
				     sqlite3_column_int64(statement, 1));
	int code = sqlite3_finalize(statement);
	if (!is_whole)
		return cli_out_of_memory(deep->fold.audit->cli);
	return code == SQLITE_OK && statement ? CLI_DONE : deep_fail_sqlite(deep, "checkpoint");
}

static int deep_copy_positions(struct deep *deep)
{
	struct swap *swap = deep->other->swap;
	int exit = CLI_DONE;
	if (!swap)
		return deep_copy_rows(deep);

	for (uint32_t i = 0; exit == CLI_DONE && i < swap->lanes; i++)
		exit = deep_copy_position(deep, swap->rows[i].name, &swap->rows[i].position);
	deep->fold.position = swap_furthest(swap);
	return exit;
}

/* What was set aside, and not handled since. */
static int deep_copy_left_out(struct deep *deep)
{
	sqlite3_stmt *statement = deep_prepare(
		deep, "SELECT event_id FROM live.dead_letter_queue WHERE projection_name = ?1 AND "
		      "(status <> 'resolved' OR resolved_by <> 'retry')");
	bool is_whole = true;

	while (is_whole && statement && sqlite3_step(statement) == SQLITE_ROW)
		is_whole = fold_leave_out(&deep->fold,
					  (const char *)sqlite3_column_text(statement, 0));
	int code = sqlite3_finalize(statement);
	if (!is_whole)
		return cli_out_of_memory(deep->fold.audit->cli);
	return code == SQLITE_OK && statement ? CLI_DONE : deep_fail_sqlite(deep, "dead letters");
}

static int deep_run(struct deep *deep, const char *sql)
{
	return sqlite3_exec(deep->copy, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? CLI_DONE
		       : deep_fail_sqlite(deep, "copy");
}

static int deep_copy_tables(struct deep *deep)
{
	sqlite3_stmt *statement = deep_prepare(
		deep, "SELECT t.value, EXISTS (SELECT 1 FROM live.sqlite_schema m WHERE "
		      "lower(m.name) = lower(t.value)) FROM live.projection_versions v, "
		      "json_each(v.tables) t WHERE v.name = ?1");
	int exit = statement ? CLI_DONE : deep_fail_sqlite(deep, "tables");

	while (exit == CLI_DONE && statement && sqlite3_step(statement) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		char *sql = sqlite3_mprintf("CREATE TABLE main.\"%w\" AS SELECT * FROM live.\"%w\"",
					    name, name);
		if (sqlite3_column_int(statement, 1))
			exit = sql ? deep_run(deep, sql) : cli_out_of_memory(deep->fold.audit->cli);
		else
			audit_find(deep->fold.audit, "table '%.200s' is gone", name);
		sqlite3_free(sql);
	}
	sqlite3_finalize(statement);
	return exit;
}

/* Who may write neither file nor directory reads what nobody has open as it is. */
static int deep_attach_live(struct deep *deep)
{
	char *log ALLOC_AUTO = alloc_format("%s-wal", deep->live);
	char *uri ALLOC_AUTO = deep_uri(deep->live, "mode=ro");
	char *frozen ALLOC_AUTO = deep_uri(deep->live, "immutable=1");
	if (!log || !uri || !frozen)
		return cli_out_of_memory(deep->fold.audit->cli);

	int code = deep_attach(deep, uri, "live");
	if ((code == SQLITE_READONLY || code == SQLITE_CANTOPEN) && access(log, F_OK) != 0)
		code = deep_attach(deep, frozen, "live");
	return code == SQLITE_OK ? CLI_DONE : deep_fail_sqlite(deep, "read model");
}

/* One transaction, so that tables, position and dead letters are of one moment. */
static int deep_copy(struct deep *deep)
{
	int exit = deep_attach_live(deep);
	if (exit == CLI_DONE)
		exit = deep_run(deep, "BEGIN");
	if (exit == CLI_DONE)
		exit = deep_copy_positions(deep);
	if (exit == CLI_DONE)
		exit = deep_copy_left_out(deep);
	if (exit == CLI_DONE)
		exit = deep_copy_tables(deep);
	if (exit == CLI_DONE)
		exit = deep_run(deep, "COMMIT");
	return exit == CLI_DONE ? deep_run(deep, "DETACH live") : exit;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/** A table: its columns as a list, and those of its key. What differs is told, whatever the columns
 * themselves hold for equal. */
struct deep_table {
	const char *name;
	struct buffer columns, groups, key;
};

static bool deep_read_table(struct deep *deep, struct deep_table *table)
{
	sqlite3_stmt *statement = NULL;
	char *sql = sqlite3_mprintf(
		"SELECT name, pk FROM pragma_table_info(%Q, 'fold') ORDER BY cid", table->name);
	if (sql)
		(void)sqlite3_prepare_v2(deep->copy, sql, -1, &statement, NULL);
	sqlite3_free(sql);

	while (statement && sqlite3_step(statement) == SQLITE_ROW) {
		char *name = sqlite3_mprintf("\"%w\"", sqlite3_column_text(statement, 0));
		table->columns.failed |= !name;
		if (!name)
			break;
		const char *comma = table->columns.size ? ", " : "";
		buffer_format(&table->columns, "%s%s COLLATE BINARY AS %s", comma, name, name);
		buffer_format(&table->groups, "%s%s COLLATE BINARY", comma, name);
		if (sqlite3_column_int(statement, 1))
			buffer_format(&table->key, "%squote(%s)",
				      table->key.size ? " || ', ' || " : "", name);
		sqlite3_free(name);
	}
	sqlite3_finalize(statement);
	if (table->columns.size > 0 && table->key.size == 0)
		buffer_format(&table->key, "'one without a key'");
	return table->columns.size > 0 && !table->columns.failed && !table->groups.failed &&
	       !table->key.failed;
}

/* Rows of one side that the other has not, or not so often. */
static int deep_compare_side(struct deep *deep, const struct deep_table *table, const char *side,
			     const char *other, const char *says)
{
	char *sql = sqlite3_mprintf(
		"SELECT %s FROM (SELECT %s, count(*) AS \"tide rows\" FROM %s.\"%w\" GROUP BY %s "
		"EXCEPT SELECT %s, count(*) FROM %s.\"%w\" GROUP BY %s)",
		table->key.data, table->columns.data, side, table->name, table->groups.data,
		table->columns.data, other, table->name, table->groups.data);
	sqlite3_stmt *statement = NULL;
	if (sql)
		(void)sqlite3_prepare_v2(deep->copy, sql, -1, &statement, NULL);
	sqlite3_free(sql);

	while (statement && sqlite3_step(statement) == SQLITE_ROW)
		audit_differ(deep->fold.audit, table->name, says,
			     (const char *)sqlite3_column_text(statement, 0));
	return statement && sqlite3_finalize(statement) == SQLITE_OK
		       ? CLI_DONE
		       : deep_fail_sqlite(deep, "comparison");
}

static int deep_compare_table(struct deep *deep, const char *name)
{
	struct deep_table table = { .name = name };
	int exit = CLI_DONE;

	if (!deep_read_table(deep, &table)) {
		audit_find(deep->fold.audit, "the file does not make table '%.200s'", name);
	} else {
		deep->fold.audit->tables_compared++;
		exit = deep_compare_side(deep, &table, "main", "fold", AUDIT_SAYS_OTHER);
		if (exit == CLI_DONE)
			exit = deep_compare_side(deep, &table, "fold", "main", AUDIT_SAYS_LACKS);
	}
	buffer_fini(&table.columns);
	buffer_fini(&table.groups);
	buffer_fini(&table.key);
	return exit;
}

static int deep_compare(struct deep *deep)
{
	char path[256];
	int exit = CLI_DONE;

	snprintf(path, sizeof path, "%s/fold.db", deep->scratch);
	char *uri ALLOC_AUTO = deep_uri(deep->other->place ? deep->other->place : path, "mode=ro");
	if (!uri)
		return cli_out_of_memory(deep->fold.audit->cli);
	if (deep_attach(deep, uri, "fold") != SQLITE_OK)
		return deep_fail_sqlite(deep, "fold");
	sqlite3_stmt *statement = deep_prepare(
		deep, "SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name");
	while (exit == CLI_DONE && statement && sqlite3_step(statement) == SQLITE_ROW)
		exit = deep_compare_table(deep, (const char *)sqlite3_column_text(statement, 0));
	if (exit == CLI_DONE && !statement)
		exit = deep_fail_sqlite(deep, "tables");
	sqlite3_finalize(statement);
	if (exit == CLI_DONE)
		audit_end_comparison(deep->fold.audit);
	return exit;
}

int audit_compare_sqlite(struct audit *audit, const char *path, const struct audit_other *other)
{
	struct deep deep = { .fold.audit = audit, .other = other };
	char scratch[256];

	deep.live = alloc_text(path, strlen(path));
	int exit = deep.live ? deep_open(&deep) : cli_out_of_memory(audit->cli);
	snprintf(scratch, sizeof scratch, "sqlite:%s/fold.db", deep.scratch);
	if (exit == CLI_DONE)
		exit = deep_copy(&deep);
	if (exit == CLI_DONE)
		exit = other->reach(other->self, &deep.fold, scratch);
	if (exit == CLI_DONE)
		exit = deep_compare(&deep);
	deep_close(&deep);
	return exit;
}

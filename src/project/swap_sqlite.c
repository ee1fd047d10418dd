/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build in SQLite: a file of its own, whose tables are copied into that of the read model in one
 * transaction.
 *
 * Happy path: the transaction has the file's write lock, so that NAME stands still; the build is
 * brought to its position; the tables of the old version are renamed NAME_old_N_…, without the
 * indexes, triggers and views that bear the same names; what the build's file has is made and
 * filled in their place; Tidemark's own rows go along (swap_rows.c). What takes it back is kept
 * in the row.
 * Failure modes: killed at any moment: SQLite rolls back, and the old one serves. A table of
 * somebody else has a name that the build needs: refused. Readers go on all the while, on what was
 * there before (write-ahead log).
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/json.h"
#include "project/swap.h"
#include "sys/alloc.h"
#include "sys/native.h"

#define COPY_BUSY_MS 10000
#define COPY_WORDS 300

/** A swap under way. */
struct copy {
	const struct swap *swap;
	struct swap_rows rows;
	sqlite3 *db;              /* main: what serves; build: the build's file */
	struct buffer back, made; /* JSON strings: what remakes the old ones, what drops the new */
	char *tables;             /* of the old version, as JSON */
	tide_position position;   /* of the row that was read last */
};

/* ---- Statements ------------------------------------------------------------------------------ */

static tide_status copy_fail(const struct copy *copy, int code, struct tide_error *err)
{
	char words[COPY_WORDS]; /* first: looking for the errno may set others */
	snprintf(words, sizeof words, "%s", sqlite3_errmsg(copy->db));
	struct native means = native_sqlite(code, native_sqlite_errno(copy->db, code));
	return tide_fail(err, means.is_of_statement ? TIDE_IO : means.status, "'%.200s': %s",
			 copy->swap->serving, words);
}

static tide_status copy_run(void *self, const char *text, struct tide_error *err)
{
	const struct copy *copy = self;
	int code = sqlite3_exec(copy->db, text, NULL, NULL, NULL);
	return code == SQLITE_OK ? TIDE_OK : copy_fail(copy, code, err);
}

/* A text of SQLite's own, which is released. */
static tide_status copy_run_made(struct copy *copy, char *text, struct tide_error *err)
{
	tide_status status = text ? copy_run(copy, text, err) : alloc_fail(err);
	sqlite3_free(text);
	return status;
}

/** What is done for a row of a query: its columns as text. */
typedef tide_status copy_row(struct copy *copy, const char *const *columns, struct tide_error *err);
#define COPY_COLUMNS 3

/** Rows that were read before anything is done for them: what is done changes the schema. */
struct copy_list {
	char *(*rows)[COPY_COLUMNS];
	size_t count;
};

static void copy_list_fini(struct copy_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		for (int j = 0; j < COPY_COLUMNS; j++)
			tide_free(list->rows[i][j]);
	tide_free(list->rows);
}

static tide_status copy_list_add(struct copy_list *list, sqlite3_stmt *statement,
				 struct tide_error *err)
{
	char *(*rows)[COPY_COLUMNS] = alloc_resize(list->rows, list->count + 1, sizeof *rows);
	if (!rows)
		return alloc_fail(err);

	list->rows = rows;
	memset(rows[list->count++], 0, sizeof *rows);
	for (int i = 0; i < sqlite3_column_count(statement) && i < COPY_COLUMNS; i++) {
		const char *text = (const char *)sqlite3_column_text(statement, i);
		char **cell = &rows[list->count - 1][i];
		*cell = text ? alloc_text(text, strlen(text)) : NULL;
		if (text && !*cell)
			return alloc_fail(err);
	}
	return TIDE_OK;
}

static tide_status copy_read(struct copy *copy, const char *query, const char *value,
			     struct copy_list *list, struct tide_error *err)
{
	sqlite3_stmt *statement = NULL;
	tide_status status = TIDE_OK;
	int code = sqlite3_prepare_v2(copy->db, query, -1, &statement, NULL);

	if (code == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 0)
		code = sqlite3_bind_text(statement, 1, value, -1, SQLITE_STATIC);
	while (code == SQLITE_OK && status == TIDE_OK &&
	       (code = sqlite3_step(statement)) == SQLITE_ROW) {
		status = copy_list_add(list, statement, err);
		code = SQLITE_OK;
	}
	if (status == TIDE_OK && code != SQLITE_DONE)
		status = copy_fail(copy, code, err);
	sqlite3_finalize(statement);
	return status;
}

static tide_status copy_each(struct copy *copy, const char *query, const char *value, copy_row *row,
			     struct tide_error *err)
{
	struct copy_list list = { 0 };
	tide_status status = copy_read(copy, query, value, &list, err);

	for (size_t i = 0; i < list.count && status == TIDE_OK; i++)
		status = row(copy, (const char *const *)list.rows[i], err);
	copy_list_fini(&list);
	return status;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static tide_status copy_open(struct copy *copy, const struct swap *swap, bool has_build,
			     struct tide_error *err)
{
	*copy = (struct copy){ .swap = swap };
	int code = sqlite3_open_v2(swap->serving, &copy->db, SQLITE_OPEN_READWRITE, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(copy->db, COPY_BUSY_MS);
	/* as all that subscriptions write */
	if (code == SQLITE_OK)
		code = sqlite3_exec(copy->db,
				    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA "
				    "legacy_alter_table = ON",
				    NULL, NULL, NULL);
	if (code != SQLITE_OK)
		return copy_fail(copy, code, err);
	if (!has_build)
		return TIDE_OK;
	return copy_run_made(copy, sqlite3_mprintf("ATTACH %Q AS build", swap->beside), err);
}

static void copy_close(struct copy *copy)
{
	sqlite3_close(copy->db);
	buffer_fini(&copy->back);
	buffer_fini(&copy->made);
	tide_free(copy->tables);
}

/* The first statement writes, so that no other writer comes in between; the build's file is not
 * locked, since the build still writes there. */
static tide_status copy_begin(struct copy *copy, struct tide_error *err)
{
	char *lock = sqlite3_mprintf("UPDATE main.projection_rebuilds SET state = state WHERE name "
				     "= %Q",
				     copy->swap->projection->name);
	tide_status status = lock ? copy_run(copy, "BEGIN", err) : alloc_fail(err);

	if (status == TIDE_OK)
		status = copy_run(copy, lock, err);
	sqlite3_free(lock);
	return status == TIDE_OK ? swap_rows_find(&copy->rows, copy->swap, copy->db, err) : status;
}

static tide_status copy_end(struct copy *copy, tide_status status, struct tide_error *err)
{
	if (status == TIDE_OK)
		status = copy_run(copy, "COMMIT", err);
	if (status != TIDE_OK && !sqlite3_get_autocommit(copy->db))
		(void)sqlite3_exec(copy->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

/* ---- What is replaced ------------------------------------------------------------------------ */

static void copy_note(struct buffer *list, const char *text)
{
	json_string(list, text);
}

static tide_status copy_note_made(struct buffer *list, char *text, struct tide_error *err)
{
	if (!text)
		return alloc_fail(err);
	copy_note(list, text);
	sqlite3_free(text);
	return list->failed ? alloc_fail(err) : TIDE_OK;
}

/* Its name is needed: it goes, and is remade when the swap is taken back. */
static tide_status copy_put_away(struct copy *copy, const char *const *columns,
				 struct tide_error *err)
{
	copy_note(&copy->back, columns[2]);
	return copy_run_made(copy, sqlite3_mprintf("DROP %s main.\"%w\"", columns[0], columns[1]),
			     err);
}

/* A view, and what triggers on it. */
static tide_status copy_keep_text(struct copy *copy, const char *const *columns,
				  struct tide_error *err)
{
	copy_note(&copy->back, columns[0]);
	return copy->back.failed ? alloc_fail(err) : TIDE_OK;
}

static tide_status copy_drop_view(struct copy *copy, const char *const *columns,
				  struct tide_error *err)
{
	return copy_run_made(copy, sqlite3_mprintf("DROP VIEW main.\"%w\"", columns[0]), err);
}

static tide_status copy_put_views_away(struct copy *copy, struct tide_error *err)
{
#define COPY_VIEWS                                                                                 \
	"main.sqlite_schema m WHERE m.type = 'view' AND EXISTS (SELECT 1 FROM "                    \
	"build.sqlite_schema "                                                                     \
	"b WHERE b.type = 'view' AND lower(b.name) = lower(m.name))"
	tide_status status = copy_each(copy,
				       "SELECT sql FROM main.sqlite_schema WHERE type IN ('view', "
				       "'trigger') AND tbl_name IN (SELECT m.name FROM " COPY_VIEWS
				       ") ORDER BY type = 'trigger', rowid",
				       NULL, copy_keep_text, err);
	return status == TIDE_OK ? copy_each(copy, "SELECT m.name FROM " COPY_VIEWS, NULL,
					     copy_drop_view, err)
				 : status;
#undef COPY_VIEWS
}

static tide_status copy_rename(struct copy *copy, const char *const *columns,
			       struct tide_error *err)
{
	const char *table = columns[0], *old = copy->swap->old;

	tide_status status = copy_note_made(
		&copy->back,
		sqlite3_mprintf("ALTER TABLE main.\"%w_%w\" RENAME TO \"%w\"", old, table, table),
		err);
	if (status == TIDE_OK)
		status = copy_each(
			copy,
			"SELECT type, name, sql FROM main.sqlite_schema WHERE tbl_name = "
			"?1 AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY "
			"type, rowid",
			table, copy_put_away, err);
	return status == TIDE_OK
		       ? copy_run_made(copy,
				       sqlite3_mprintf("ALTER TABLE main.\"%w\" RENAME TO "
						       "\"%w_%w\"",
						       table, old, table),
				       err)
		       : status;
}

static tide_status copy_take_tables(struct copy *copy, const char *const *columns,
				    struct tide_error *err)
{
	tide_free(copy->tables);
	copy->tables = alloc_text(columns[0], strlen(columns[0]));
	return copy->tables ? TIDE_OK : alloc_fail(err);
}

static tide_status copy_put_olds_away(struct copy *copy, struct tide_error *err)
{
	const char *name = copy->swap->projection->name;
	tide_status status =
		copy_each(copy, "SELECT tables FROM main.projection_versions WHERE name = ?1", name,
			  copy_take_tables, err);

	if (status == TIDE_OK)
		status =
			copy_each(copy,
				  "SELECT m.name FROM json_each(?1) t JOIN main.sqlite_schema m ON "
				  "m.type = 'table' AND lower(m.name) = lower(t.value)",
				  copy->tables ? copy->tables : "[]", copy_rename, err);
	return status == TIDE_OK ? copy_put_views_away(copy, err) : status;
}

/* ---- What comes instead ---------------------------------------------------------------------- */

static tide_status copy_refuse(struct copy *copy, const char *const *columns,
			       struct tide_error *err)
{
	if (columns[2])
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "table '%.100s' is of a module: rebuild '%.100s' in place",
				 columns[1], copy->swap->projection->name);
	return tide_fail(err, TIDE_ALREADY_EXISTS,
			 "%s '%.100s' is not of '%.100s', and the build makes one of that name",
			 columns[0], columns[1], copy->swap->projection->name);
}

static tide_status copy_make(struct copy *copy, const char *const *columns, struct tide_error *err)
{
	tide_status status = copy_run(copy, columns[2], err);
	bool has_own_end = strcmp(columns[0], "table") == 0 || strcmp(columns[0], "view") == 0;

	/* the others go with their table */
	return status == TIDE_OK && has_own_end
		       ? copy_note_made(&copy->made,
					sqlite3_mprintf("DROP %s IF EXISTS main.\"%w\"", columns[0],
							columns[1]),
					err)
		       : status;
}

static tide_status copy_fill(struct copy *copy, const char *const *columns, struct tide_error *err)
{
	tide_status status =
		copy_run_made(copy,
			      sqlite3_mprintf("INSERT INTO main.\"%w\" (%s) SELECT %s FROM "
					      "build.\"%w\"",
					      columns[0], columns[1], columns[1], columns[0]),
			      err);

	/* the numbers that AUTOINCREMENT goes on from */
	return status == TIDE_OK
		       ? copy_run_made(
				 copy,
				 sqlite3_mprintf(
					 "DELETE FROM main.sqlite_sequence WHERE name = %Q; "
					 "INSERT INTO main.sqlite_sequence (name, seq) SELECT "
					 "name, seq FROM build.sqlite_sequence WHERE name = "
					 "%Q",
					 columns[0], columns[0]),
				 err)
		       : status;
}

/* What the build's file has besides Tidemark's own. */
#define COPY_NEWS                                                                                  \
	"build.sqlite_schema b WHERE b.sql IS NOT NULL AND b.name NOT LIKE 'sqlite\\_%' ESCAPE "   \
	"'\\' AND lower(b.tbl_name) NOT IN (SELECT value FROM json_each(?1))"

static tide_status copy_make_news(struct copy *copy, const char *own, struct tide_error *err)
{
	static const struct {
		const char *query;
		copy_row *row;
	} steps[] = {
		{ "SELECT type, name, sql LIKE 'CREATE VIRTUAL%' OR NULL FROM " COPY_NEWS
		  " AND (sql LIKE 'CREATE VIRTUAL%' OR EXISTS (SELECT 1 FROM main.sqlite_schema m "
		  "WHERE lower(m.name) = lower(b.name)))",
		  copy_refuse },
		{ "SELECT type, name, sql FROM " COPY_NEWS " AND type = 'table' ORDER BY rowid",
		  copy_make },
		{ "SELECT name, (SELECT group_concat('\"' || replace(c.name, '\"', '\"\"') || "
		  "'\"') FROM pragma_table_info(b.name, 'build') c) FROM " COPY_NEWS
		  " AND type = 'table' ORDER BY rowid",
		  copy_fill },
		{ "SELECT type, name, sql FROM " COPY_NEWS " AND type = 'index' ORDER BY rowid",
		  copy_make },
		{ "SELECT type, name, sql FROM " COPY_NEWS
		  " AND type IN ('view', 'trigger') ORDER BY type = 'trigger', rowid",
		  copy_make },
	};
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < sizeof steps / sizeof *steps && status == TIDE_OK; i++)
		status = copy_each(copy, steps[i].query, own, steps[i].row, err);
	return status;
}

static tide_status copy_all(struct copy *copy, struct tide_error *err)
{
	struct buffer own = { 0 }, undo = { 0 };
	tide_status status = copy_put_olds_away(copy, err);

	json_open(&own, '[');
	for (size_t i = 0; i < SQL_OWN_TABLES; i++)
		json_string(&own, sql_own_tables[i]);
	json_close(&own, ']');
	if (status == TIDE_OK)
		status = own.failed ? alloc_fail(err) : copy_make_news(copy, own.data, err);
	if (status == TIDE_OK)
		status = swap_rows_forward(&copy->rows, err);

	json_open(&undo, '{');
	json_add_string(&undo, "tables", copy->tables ? copy->tables : "[]");
	json_key(&undo, "back");
	json_open(&undo, '[');
	if (copy->made.size > 0)
		json_raw(&undo, tide_text(copy->made.data));
	if (copy->back.size > 0)
		json_raw(&undo, tide_text(copy->back.data));
	json_close(&undo, ']');
	json_close(&undo, '}');
	if (status == TIDE_OK)
		status = undo.failed
				 ? alloc_fail(err)
				 : swap_rows_store(&copy->rows, REBUILD_SWAPPED, undo.data, err);
	buffer_fini(&undo);
	buffer_fini(&own);
	return status;
}

/* ---- Its file -------------------------------------------------------------------------------- */

/* Nobody may read there what they may not read here. */
tide_status swap_make_sqlite(const struct swap *swap, struct tide_error *err)
{
	struct stat serving;
	if (stat(swap->serving, &serving) != 0)
		return tide_fail(err, TIDE_NOT_FOUND, "'%.300s' is not there", swap->serving);
	int file = open(swap->beside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		return tide_fail(err, TIDE_IO, "cannot make '%.300s'", swap->beside);

	(void)fchmod(file, serving.st_mode & 0666);
	close(file);
	return TIDE_OK;
}

/* ---- Swapping -------------------------------------------------------------------------------- */

static tide_status copy_note_position(struct copy *copy, const char *const *columns,
				      struct tide_error *err)
{
	(void)err;
	copy->position = columns[0] ? strtoll(columns[0], NULL, 10) : 0;
	return TIDE_OK;
}

static tide_status copy_find_positions(struct copy *copy, struct swap *swap, struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (uint32_t i = 0; status == TIDE_OK && i < swap->lanes; i++) {
		copy->position = 0;
		status = copy_each(copy,
				   "SELECT global_position FROM main.projection_checkpoints WHERE "
				   "projection_name = ?1",
				   swap->rows[i].name, copy_note_position, err);
		swap->rows[i].position = copy->position;
	}
	swap->position = swap_furthest(swap);
	return status;
}

tide_status swap_sqlite(struct swap *swap, swap_reach *reach, void *self, struct tide_error *err)
{
	struct copy copy;
	tide_status status = copy_open(&copy, swap, true, err);

	if (status == TIDE_OK)
		status = copy_begin(&copy, err);
	if (status == TIDE_OK)
		status = swap_rows_check_lanes(&copy.rows, err);
	if (status == TIDE_OK)
		status = copy_find_positions(&copy, swap, err);
	if (status == TIDE_OK)
		status = reach(self, err);
	if (status == TIDE_OK)
		status = copy_all(&copy, err);
	status = copy_end(&copy, status, err);
	copy_close(&copy);
	return status;
}

/* The build's file still is what it was when it was swapped. */
tide_status swap_back_sqlite(struct swap *swap, struct tide_error *err)
{
	struct copy copy;
	tide_status status = copy_open(&copy, swap, false, err);

	if (status == TIDE_OK)
		status = copy_begin(&copy, err);
	if (status == TIDE_OK)
		status = swap_rows_check_lanes(&copy.rows, err);
	if (status == TIDE_OK)
		status = swap_undo(swap, copy_run, &copy, &copy.tables, err);
	if (status == TIDE_OK)
		status = swap_rows_back(&copy.rows, false, copy.tables, err);
	swap->position = swap->row.reached;
	if (status == TIDE_OK)
		status = swap_rows_store_back(&copy.rows, err);
	status = copy_end(&copy, status, err);
	copy_close(&copy);
	return status;
}

/* ---- The end --------------------------------------------------------------------------------- */

static tide_status copy_drop(struct copy *copy, const char *const *columns, struct tide_error *err)
{
	return copy_run_made(copy, sqlite3_mprintf("DROP TABLE IF EXISTS main.\"%w\"", columns[0]),
			     err);
}

/* Its files go first: without them a build is made anew, and what was replaced is whole. */
static void copy_remove_files(const struct swap *swap)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-owners" };

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		ALLOC_AUTO char *path = alloc_format("%s%s", swap->beside, ends[i]);
		if (path)
			(void)unlink(path);
	}
}

tide_status swap_end_sqlite(struct swap *swap, struct tide_error *err)
{
	struct copy copy;
	tide_status status = copy_open(&copy, swap, false, err);

	copy_remove_files(swap);
	if (status == TIDE_OK)
		status = copy_begin(&copy, err);
	if (status == TIDE_OK)
		status = copy_each(&copy,
				   "SELECT t.value FROM main.projection_versions v, "
				   "json_each(v.tables) t WHERE v.name = ?1",
				   swap->old, copy_drop, err);
	if (status == TIDE_OK)
		status = swap_rows_drop(&copy.rows, err);
	swap->position = swap->row.reached;
	if (status == TIDE_OK)
		status = swap_rows_store(&copy.rows, REBUILD_ENDED, NULL, err);
	status = copy_end(&copy, status, err);
	copy_close(&copy);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deep half of an audit in PostgreSQL: the log is folded again, and the tables are compared.
 *
 * Happy path: a schema is made for the scratch; one repeatable-read transaction copies the read
 * model's tables, its position and its dead letters there; the projection runs over the events up
 * to that position, with the scratch alone in its search_path; each table is compared row by row,
 * and the schema is dropped.
 * Failure modes: as in SQLite. A projection that names a schema would write to the read model
 * itself: its locks tell before it commits, and the audit is refused. Killed on the way: the schema
 * audit_scratch_PID stays, and nobody needs it.
 */
#include "cli/audit.h"

#ifdef TIDE_HAVE_POSTGRES

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "sys/alloc.h"

/** A fold in a schema of its own, beside what it is compared with. */
struct deep {
	struct fold fold;
	char scratch[40]; /* schema */
	void *session;
	PGconn *native;
	char *tables[64]; /* of the read model, as they are named */
	size_t table_count;
	int64_t samples;
};

static void deep_clear(PGresult **rows)
{
	PQclear(*rows);
}
#define DEEP_ROWS __attribute__((cleanup(deep_clear))) PGresult

static int deep_fail(struct deep *deep, const char *what)
{
	struct tide_error err;
	tide_fail(&err, TIDE_IO, "audit, %s: %s", what, PQerrorMessage(deep->native));
	err.message[strcspn(err.message, "\n")] = '\0';
	return cli_fail(deep->fold.audit->cli, &err);
}

/* `#` stands for the schema of the scratch, `@` for it and a dot; $1 is the name of the
 * projection. */
static PGresult *deep_ask(struct deep *deep, const char *sql)
{
	struct buffer text = { 0 };
	const char *values[] = { deep->fold.audit->name };
	for (; *sql; sql++) {
		if (*sql == '@' || *sql == '#')
			buffer_format(&text, "%s%s", deep->scratch, *sql == '@' ? "." : "");
		else
			buffer_add(&text, sql, 1);
	}

	PGresult *rows = NULL;
	if (!text.failed && strstr(text.data, "$1"))
		rows = PQexecParams(deep->native, text.data, 1, NULL, values, NULL, NULL, 0);
	else if (!text.failed)
		rows = PQexec(deep->native, text.data);
	buffer_fini(&text);
	return rows;
}

static bool deep_is_done(const PGresult *rows)
{
	ExecStatusType status = PQresultStatus(rows);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static int deep_run(struct deep *deep, const char *sql, const char *what)
{
	DEEP_ROWS *rows = deep_ask(deep, sql);
	return deep_is_done(rows) ? CLI_DONE : deep_fail(deep, what);
}

/* ---- The copy -------------------------------------------------------------------------------- */

static int deep_copy_table(struct deep *deep, const char *name)
{
	char sql[700];
	if (deep->table_count == sizeof deep->tables / sizeof *deep->tables) {
		audit_find(deep->fold.audit, "table '%.200s' is one too many to compare", name);
		return CLI_DONE;
	}
	snprintf(sql, sizeof sql, "CREATE TABLE @\"live %zu\" AS SELECT * FROM %.400s",
		 deep->table_count, name);
	char *kept = alloc_text(name, strlen(name));
	if (!kept)
		return cli_out_of_memory(deep->fold.audit->cli);
	deep->tables[deep->table_count++] = kept;
	return deep_run(deep, sql, "copy");
}

static int deep_copy_tables(struct deep *deep, const char *own)
{
	char sql[400];
	int exit = CLI_DONE;
	snprintf(sql, sizeof sql,
		 "SELECT t.value, to_regclass(t.value) IS NOT NULL FROM %.140sprojection_versions "
		 "v, json_array_elements_text(v.tables) t WHERE v.name = $1::text",
		 own);
	DEEP_ROWS *rows = deep_ask(deep, sql);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return deep_fail(deep, "tables");

	for (int i = 0; i < PQntuples(rows) && exit == CLI_DONE; i++) {
		if (*PQgetvalue(rows, i, 1) == 't')
			exit = deep_copy_table(deep, PQgetvalue(rows, i, 0));
		else
			audit_find(deep->fold.audit, "table '%.200s' is gone",
				   PQgetvalue(rows, i, 0));
	}
	return exit;
}

static int deep_copy_position(struct deep *deep, const char *own)
{
	char sql[400];
	snprintf(sql, sizeof sql,
		 "SELECT COALESCE(max(global_position), 0) FROM %.140sprojection_checkpoints WHERE "
		 "projection_name = $1::text",
		 own);
	DEEP_ROWS *rows = deep_ask(deep, sql);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return deep_fail(deep, "checkpoint");
	deep->fold.position = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
	return CLI_DONE;
}

/* What was set aside, and not handled since. */
static int deep_copy_left_out(struct deep *deep, const char *own)
{
	char sql[400];
	snprintf(sql, sizeof sql,
		 "SELECT event_id::text FROM %.140sdead_letter_queue WHERE projection_name = "
		 "$1::text AND (status <> 'resolved' OR resolved_by <> 'retry')",
		 own);
	DEEP_ROWS *rows = deep_ask(deep, sql);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return deep_fail(deep, "dead letters");
	for (int i = 0; i < PQntuples(rows); i++)
		if (!fold_leave_out(&deep->fold, PQgetvalue(rows, i, 0)))
			return cli_out_of_memory(deep->fold.audit->cli);
	return CLI_DONE;
}

/* One snapshot, so that tables, position and dead letters are of one moment. */
static int deep_copy(struct deep *deep, const char *own)
{
	int exit = deep_run(deep, "BEGIN ISOLATION LEVEL REPEATABLE READ", "copy");
	if (exit == CLI_DONE)
		exit = deep_copy_position(deep, own);
	if (exit == CLI_DONE)
		exit = deep_copy_left_out(deep, own);
	if (exit == CLI_DONE)
		exit = deep_copy_tables(deep, own);
	DEEP_ROWS *rows = deep_ask(deep, exit == CLI_DONE ? "COMMIT" : "ROLLBACK");
	return exit == CLI_DONE && !deep_is_done(rows) ? deep_fail(deep, "copy") : exit;
}

/* ---- The fold -------------------------------------------------------------------------------- */

/* What a transaction holds locks of writing on is what it has written to, or has made. */
static tide_status deep_guard(struct fold *fold, void *connection, struct tide_error *err)
{
	struct deep *deep = (struct deep *)fold;
	char sql[500];
	snprintf(
		sql, sizeof sql,
		"SELECT c.oid::regclass FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
		"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE l.pid = pg_backend_pid() AND "
		"l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', "
		"'AccessExclusiveLock') AND c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname NOT IN "
		"('%s', 'pg_catalog', 'pg_toast') AND n.nspname NOT LIKE 'pg_temp%%' LIMIT 1",
		deep->scratch);

	DEEP_ROWS *rows = PQexec(connection, sql);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return tide_fail(err, TIDE_HANDLER_PERMANENT,
				 "audit: what '%s' writes to is not known", fold->audit->name);
	if (PQntuples(rows) > 0)
		return tide_fail(err, TIDE_HANDLER_PERMANENT,
				 "the file writes to '%.200s' by its schema: an audit folds only "
				 "what goes by the search_path",
				 PQgetvalue(rows, 0, 0));
	return TIDE_OK;
}

/* The same database, with the scratch alone in the search_path. */
static char *deep_url(struct deep *deep, const char *url)
{
	struct buffer text = { 0 };
	char *ret = NULL;
	size_t plain = strcspn(url, "?");
	char mark = '?';

	buffer_add(&text, url, plain);
	for (const char *at = url + plain; *at;) {
		size_t size = strcspn(++at, "&");
		if (strncmp(at, "schema=", 7) != 0) {
			buffer_format(&text, "%c%.*s", mark, (int)size, at);
			mark = '&';
		}
		at += size;
	}
	buffer_format(&text, "%cschema=%s&options=-csearch_path%%3D%s", mark, deep->scratch,
		      deep->scratch);
	return buffer_take(&text, &ret, NULL) == TIDE_OK ? ret : NULL;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* The key of the table in the fold, as an expression over `t`. */
static int deep_find_key(struct deep *deep, const char *table, struct buffer *ret)
{
	char sql[700];
	snprintf(sql, sizeof sql,
		 "SELECT string_agg(format('COALESCE(t.%%I::text, ''NULL'')', a.attname), ' || '', "
		 "'' || ' "
		 "ORDER BY "
		 "array_position(i.indkey::int2[], a.attnum)) FROM pg_index i JOIN pg_attribute a "
		 "ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indisprimary AND "
		 "i.indrelid = to_regclass('@%.300s')",
		 table);

	DEEP_ROWS *rows = deep_ask(deep, sql);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return deep_fail(deep, "key");
	buffer_format(ret, "%s",
		      PQgetisnull(rows, 0, 0) ? "'one without a key'" : PQgetvalue(rows, 0, 0));
	return ret->failed ? cli_out_of_memory(deep->fold.audit->cli) : CLI_DONE;
}

static bool deep_is_made(struct deep *deep, const char *table)
{
	char sql[400];
	snprintf(sql, sizeof sql, "SELECT to_regclass('@%.300s') IS NOT NULL", table);
	DEEP_ROWS *rows = deep_ask(deep, sql);
	return PQresultStatus(rows) == PGRES_TUPLES_OK && *PQgetvalue(rows, 0, 0) == 't';
}

/* Rows of one side that the other has not, or not so often. */
static int deep_compare_side(struct deep *deep, const char *key, const char *side,
			     const char *other, const char *name, const char *says)
{
	char *sql ALLOC_AUTO = alloc_format("SELECT d.key FROM (SELECT %s AS key, t::text FROM @%s "
					    "t EXCEPT ALL SELECT %s, t::text "
					    "FROM @%s t) d ORDER BY 1",
					    key, side, key, other);
	if (!sql)
		return cli_out_of_memory(deep->fold.audit->cli);
	DEEP_ROWS *rows = deep_ask(deep, sql);
	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return deep_fail(deep, "comparison");

	for (int i = 0; i < PQntuples(rows); i++) {
		deep->fold.audit->rows_different++;
		if (deep->samples++ < AUDIT_SAMPLES)
			audit_find(deep->fold.audit, "table '%.100s' %s: row %.200s", name, says,
				   PQgetvalue(rows, i, 0));
	}
	return CLI_DONE;
}

static int deep_compare_table(struct deep *deep, size_t number)
{
	const char *name = deep->tables[number], *dot = strrchr(name, '.');
	const char *table = dot ? dot + 1 : name;
	struct buffer key = { 0 };
	char copy[20];

	snprintf(copy, sizeof copy, "\"live %zu\"", number);
	if (!deep_is_made(deep, table)) {
		audit_find(deep->fold.audit, "the file does not make table '%.200s'", name);
		return CLI_DONE;
	}
	deep->fold.audit->tables_compared++;
	int exit = deep_find_key(deep, table, &key);
	if (exit == CLI_DONE)
		exit = deep_compare_side(deep, key.data, copy, table, table,
					 "is not what the log makes of it");
	if (exit == CLI_DONE)
		exit = deep_compare_side(deep, key.data, table, copy, table,
					 "lacks what the log makes of it");
	buffer_fini(&key);
	return exit;
}

static int deep_compare(struct deep *deep)
{
	int exit = CLI_DONE;
	for (size_t i = 0; i < deep->table_count && exit == CLI_DONE; i++)
		exit = deep_compare_table(deep, i);
	if (exit == CLI_DONE && deep->fold.audit->tables_compared == 0)
		audit_find(deep->fold.audit,
			   "no table is known to compare: projection_versions has none");
	if (deep->samples > AUDIT_SAMPLES)
		audit_find(deep->fold.audit, "%lld rows differ in all", (long long)deep->samples);
	return exit;
}

/* ---- The scratch ----------------------------------------------------------------------------- */

static int deep_find_own(struct deep *deep, char ret[140])
{
	DEEP_ROWS *rows = deep_ask(
		deep, "SELECT quote_ident(n.nspname) || '.' FROM pg_class c JOIN pg_namespace n ON "
		      "n.oid = c.relnamespace WHERE c.oid = to_regclass('projection_checkpoints')");
	if (PQresultStatus(rows) != PGRES_TUPLES_OK || PQntuples(rows) != 1)
		return deep_fail(deep, "schema");
	snprintf(ret, 140, "%s", PQgetvalue(rows, 0, 0));
	return CLI_DONE;
}

static int deep_audit(struct deep *deep, const char *own, const char *url, const char *file)
{
	char *scratch ALLOC_AUTO = deep_url(deep, url);
	if (!scratch)
		return cli_out_of_memory(deep->fold.audit->cli);
	int exit = deep_run(deep, "CREATE SCHEMA #", "scratch");
	if (exit != CLI_DONE)
		return exit;
	exit = deep_copy(deep, own);
	if (exit == CLI_DONE)
		exit = fold_run(&deep->fold, scratch, file);
	if (exit == CLI_DONE)
		exit = deep_compare(deep);
	int dropped = deep_run(deep, "DROP SCHEMA # CASCADE", "scratch");
	return exit == CLI_DONE ? dropped : exit;
}

/* A connection of the read model's, whose search_path finds it as a handler's does. */
static int deep_connect(struct deep *deep, char own[140])
{
	struct tide_store *database = deep->fold.audit->checkpoints->database;
	struct tide_error err;
	if (store_borrow(database, &deep->session, &err) != TIDE_OK ||
	    database->backend->store.begin(deep->session, &err) != TIDE_OK)
		return cli_fail(deep->fold.audit->cli, &err);
	deep->native = database->backend->store.connection(deep->session);
	int exit = deep_find_own(deep, own);
	database->backend->store.rollback(deep->session);
	return exit;
}

int audit_deep_postgres(struct audit *audit, const char *url, const char *file)
{
	struct deep deep = { .fold = { .audit = audit, .guard = deep_guard } };
	struct tide_error err;
	char own[140];

	if (strstr(url, "options=")) {
		tide_fail(&err, TIDE_UNSUPPORTED,
			  "--deep needs a URL without 'options', which it sets itself");
		return cli_fail(audit->cli, &err);
	}
	snprintf(deep.scratch, sizeof deep.scratch, "audit_scratch_%d", (int)getpid());
	int exit = deep_connect(&deep, own);
	if (exit == CLI_DONE)
		exit = deep_audit(&deep, own, url, file);
	if (deep.session)
		store_return(audit->checkpoints->database, deep.session, TIDE_OK);
	for (size_t i = 0; i < deep.table_count; i++)
		tide_free(deep.tables[i]);
	tide_free(deep.fold.left_out);
	return exit;
}

#else

int audit_deep_postgres(struct audit *audit, const char *url, const char *file)
{
	struct tide_error err;
	(void)url;
	(void)file;
	tide_fail(&err, TIDE_UNSUPPORTED, "this tide was built without PostgreSQL");
	return cli_fail(audit->cli, &err);
}

#endif

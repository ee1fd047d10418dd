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
 * audit_scratch_NUMBER stays, and nobody needs it.
 */
#include "cli/audit.h"

#ifdef TIDE_HAVE_POSTGRES

#include <stdlib.h>
#include <string.h>

#include "path/port.h"
#include "project/swap.h"
#include "sys/alloc.h"
#include "sys/libpq.h"

/** A table of the read model. */
struct deep_table {
	char *name;          /* as projection_versions has it */
	char *live, *folded; /* where it is, and where the fold has it; quoted for SQL */
};

/** A fold in a schema of its own, beside what it is compared with. */
struct deep {
	struct fold fold;
	const struct audit_other *other;
	char scratch[CLI_SCRATCH_SIZE]; /* schema */
	void *session;
	PGconn *native;
	struct deep_table tables[64];
	size_t table_count;
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

/* NULL as a text is memory that is out; `value` is its $1, NULL: it has none. */
static int deep_ask(struct deep *deep, const char *sql, const char *value, const char *what,
		    PGresult **ret)
{
	const char *values[] = { value };
	if (!sql)
		return cli_out_of_memory(deep->fold.audit->cli);
	*ret = PQexecParams(deep->native, sql, value ? 1 : 0, NULL, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(*ret);
	bool is_done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
	return is_done ? CLI_DONE : deep_fail(deep, what);
}

static int deep_run(struct deep *deep, const char *sql, const char *what)
{
	DEEP_ROWS *rows = NULL;
	return deep_ask(deep, sql, NULL, what, &rows);
}

/* ---- The copy -------------------------------------------------------------------------------- */

static int deep_copy_table(struct deep *deep, const char *name, const char *live,
			   const char *folded)
{
	struct deep_table *table = &deep->tables[deep->table_count];
	if (deep->table_count == sizeof deep->tables / sizeof *deep->tables) {
		audit_find(deep->fold.audit, "table '%.200s' is one too many to compare", name);
		return CLI_DONE;
	}
	*table =
		(struct deep_table){ alloc_text(name, strlen(name)), alloc_text(live, strlen(live)),
				     alloc_text(folded, strlen(folded)) };
	deep->table_count++;
	if (!table->name || !table->live || !table->folded)
		return cli_out_of_memory(deep->fold.audit->cli);
	char *sql ALLOC_AUTO = alloc_format("CREATE TABLE %s.\"live %zu\" AS SELECT * FROM %s",
					    deep->scratch, deep->table_count - 1, live);
	return deep_run(deep, sql, "copy");
}

static int deep_copy_tables(struct deep *deep, const char *own)
{
	char *sql ALLOC_AUTO = alloc_format(
		"SELECT n.name, n.live, '%s.' || n.own, to_regclass(n.live) IS NOT NULL FROM "
		"(SELECT t.name, (SELECT string_agg(quote_ident(part), '.') FROM "
		"unnest(string_to_array(t.name, '.')) part) AS live, "
		"quote_ident(substring(t.name FROM '[^.]*$')) AS own FROM %sprojection_versions v, "
		"json_array_elements_text(v.tables) t(name) WHERE v.name = $1::text) n",
		deep->other->place ? deep->other->place : deep->scratch, own);
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, deep->fold.audit->name, "tables", &rows);

	for (int i = 0; exit == CLI_DONE && i < PQntuples(rows); i++) {
		if (*PQgetvalue(rows, i, 3) == 't')
			exit = deep_copy_table(deep, PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1),
					       PQgetvalue(rows, i, 2));
		else
			audit_find(deep->fold.audit, "table '%.200s' is gone",
				   PQgetvalue(rows, i, 0));
	}
	return exit;
}

static int deep_copy_position(struct deep *deep, const char *own, const char *name,
			      tide_position *ret)
{
	char *sql ALLOC_AUTO =
		alloc_format("SELECT COALESCE(max(global_position), 0) FROM "
			     "%sprojection_checkpoints WHERE projection_name = $1::text",
			     own);
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, name, "checkpoint", &rows);
	if (exit == CLI_DONE)
		*ret = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
	return exit;
}

/* Of the name, and of its lanes if it has any. */
static int deep_copy_rows(struct deep *deep, const char *own)
{
	char *sql ALLOC_AUTO = alloc_format(
		"SELECT projection_name, global_position FROM %sprojection_checkpoints WHERE "
		"substr(projection_name, 1, length($1::text)) = $1::text AND global_position IS "
		"NOT NULL",
		own);
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, deep->fold.audit->name, "checkpoint", &rows);
	for (int i = 0; exit == CLI_DONE && i < PQntuples(rows); i++)
		if (!fold_add_row(&deep->fold, PQgetvalue(rows, i, 0),
				  strtoll(PQgetvalue(rows, i, 1), NULL, 10)))
			exit = cli_out_of_memory(deep->fold.audit->cli);
	return exit;
}

static int deep_copy_positions(struct deep *deep, const char *own)
{
	struct swap *swap = deep->other->swap;
	int exit = CLI_DONE;
	if (!swap)
		return deep_copy_rows(deep, own);

	for (uint32_t i = 0; exit == CLI_DONE && i < swap->lanes; i++)
		exit = deep_copy_position(deep, own, swap->rows[i].name, &swap->rows[i].position);
	deep->fold.position = swap_furthest(swap);
	return exit;
}

/* What was set aside, and not handled since. */
static int deep_copy_left_out(struct deep *deep, const char *own)
{
	char *sql ALLOC_AUTO =
		alloc_format("SELECT event_id::text FROM %sdead_letter_queue WHERE projection_name "
			     "= $1::text AND (status <> 'resolved' OR resolved_by <> 'retry')",
			     own);
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, deep->fold.audit->name, "dead letters", &rows);
	for (int i = 0; exit == CLI_DONE && i < PQntuples(rows); i++)
		if (!fold_leave_out(&deep->fold, PQgetvalue(rows, i, 0)))
			exit = cli_out_of_memory(deep->fold.audit->cli);
	return exit;
}

/* One snapshot, so that tables, position and dead letters are of one moment. */
static int deep_copy(struct deep *deep, const char *own)
{
	int exit = deep_run(deep, "BEGIN ISOLATION LEVEL REPEATABLE READ", "copy");
	if (exit == CLI_DONE)
		exit = deep_copy_positions(deep, own);
	if (exit == CLI_DONE)
		exit = deep_copy_left_out(deep, own);
	if (exit == CLI_DONE)
		exit = deep_copy_tables(deep, own);
	if (exit == CLI_DONE)
		return deep_run(deep, "COMMIT", "copy");
	PQclear(PQexec(deep->native, "ROLLBACK"));
	return exit;
}

/* ---- The fold -------------------------------------------------------------------------------- */

static tide_status deep_guard(struct fold *fold, void *connection, struct tide_error *err)
{
	return swap_guard_postgres(((struct deep *)fold)->scratch, connection, err);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* The key of the table in the fold, as an expression over `t`. */
static int deep_find_key(struct deep *deep, const struct deep_table *table, struct buffer *ret)
{
	static const char sql[] =
		"SELECT string_agg(format('COALESCE(t.%I::text, ''NULL'')', a.attname), ' || '', "
		"'' || ' ORDER BY array_position(i.indkey::int2[], a.attnum)) FROM pg_index i JOIN "
		"pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE "
		"i.indisprimary AND i.indrelid = to_regclass($1::text)";
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, table->folded, "key", &rows);
	if (exit != CLI_DONE)
		return exit;
	buffer_format(ret, "%s",
		      PQgetisnull(rows, 0, 0) ? "'one without a key'" : PQgetvalue(rows, 0, 0));
	return ret->failed ? cli_out_of_memory(deep->fold.audit->cli) : CLI_DONE;
}

static int deep_is_made(struct deep *deep, const struct deep_table *table, bool *ret)
{
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, "SELECT to_regclass($1::text) IS NOT NULL", table->folded,
			    "comparison", &rows);
	*ret = exit == CLI_DONE && *PQgetvalue(rows, 0, 0) == 't';
	return exit;
}

/* Rows of one side that the other has not, or not so often. */
static int deep_compare_side(struct deep *deep, const char *key, const char *side,
			     const char *other, const char *name, const char *says)
{
	char *sql ALLOC_AUTO =
		alloc_format("SELECT d.key FROM (SELECT %s AS key, t::text FROM %s "
			     "t EXCEPT ALL SELECT %s, t::text FROM %s t) d ORDER BY 1",
			     key, side, key, other);
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, NULL, "comparison", &rows);
	for (int i = 0; exit == CLI_DONE && i < PQntuples(rows); i++)
		audit_differ(deep->fold.audit, name, says, PQgetvalue(rows, i, 0));
	return exit;
}

static int deep_compare_table(struct deep *deep, size_t number)
{
	const struct deep_table *table = &deep->tables[number];
	const char *dot = strrchr(table->name, '.'), *name = dot ? dot + 1 : table->name;
	struct buffer key = { 0 };
	bool is_made;
	char copy[80];

	snprintf(copy, sizeof copy, "%s.\"live %zu\"", deep->scratch, number);
	int exit = deep_is_made(deep, table, &is_made);
	if (exit == CLI_DONE && !is_made)
		audit_find(deep->fold.audit, "the file does not make table '%.200s'", table->name);
	if (exit != CLI_DONE || !is_made)
		return exit;

	deep->fold.audit->tables_compared++;
	exit = deep_find_key(deep, table, &key);
	if (exit == CLI_DONE)
		exit = deep_compare_side(deep, key.data, copy, table->folded, name,
					 AUDIT_SAYS_OTHER);
	if (exit == CLI_DONE)
		exit = deep_compare_side(deep, key.data, table->folded, copy, name,
					 AUDIT_SAYS_LACKS);
	buffer_fini(&key);
	return exit;
}

static int deep_compare(struct deep *deep)
{
	int exit = CLI_DONE;
	for (size_t i = 0; i < deep->table_count && exit == CLI_DONE; i++)
		exit = deep_compare_table(deep, i);
	if (exit == CLI_DONE)
		audit_end_comparison(deep->fold.audit);
	return exit;
}

/* ---- The scratch ----------------------------------------------------------------------------- */

static int deep_find_own(struct deep *deep, char ret[140])
{
	static const char sql[] =
		"SELECT quote_ident(n.nspname) || '.' FROM pg_class c JOIN pg_namespace n ON "
		"n.oid = c.relnamespace WHERE c.oid = to_regclass('projection_checkpoints')";
	DEEP_ROWS *rows = NULL;
	int exit = deep_ask(deep, sql, NULL, "schema", &rows);
	if (exit == CLI_DONE && PQntuples(rows) != 1)
		exit = deep_fail(deep, "schema");
	if (exit == CLI_DONE)
		snprintf(ret, 140, "%s", PQgetvalue(rows, 0, 0));
	return exit;
}

static int deep_audit(struct deep *deep, const char *own, const char *url)
{
	char *scratch ALLOC_AUTO = NULL;
	struct tide_error err;
	if (swap_schema_url(url, deep->scratch, &scratch, &err) != TIDE_OK)
		return cli_fail(deep->fold.audit->cli, &err);
	char *make ALLOC_AUTO = alloc_format("CREATE SCHEMA %s", deep->scratch);
	char *drop ALLOC_AUTO = alloc_format("DROP SCHEMA %s CASCADE", deep->scratch);
	if (!drop)
		return cli_out_of_memory(deep->fold.audit->cli);
	int exit = deep_run(deep, make, "scratch");
	if (exit != CLI_DONE)
		return exit;
	exit = deep_copy(deep, own);
	if (exit == CLI_DONE)
		exit = deep->other->reach(deep->other->self, &deep->fold, scratch);
	if (exit == CLI_DONE)
		exit = deep_compare(deep);
	int dropped = deep_run(deep, drop, "scratch");
	return exit == CLI_DONE ? dropped : exit;
}

/* A connection of the read model's, whose search_path finds it as a handler's does. */
static int deep_connect(struct deep *deep, char own[140])
{
	struct tide_store *database = deep->fold.audit->checkpoints->database;
	struct tide_error err;
	if (store_borrow(database, &deep->session, &err) != TIDE_OK ||
	    port_begin(database, deep->session, &err) != TIDE_OK)
		return cli_fail(deep->fold.audit->cli, &err);
	deep->native = port_connection(database, deep->session);
	int exit = deep_find_own(deep, own);
	port_rollback(database, deep->session);
	return exit;
}

int audit_compare_postgres(struct audit *audit, const char *url, const struct audit_other *other)
{
	struct deep deep = { .fold = { .audit = audit, .guard = deep_guard }, .other = other };
	char own[140];

	cli_scratch_name("audit_scratch", deep.scratch);
	int exit = deep_connect(&deep, own);
	if (exit == CLI_DONE)
		exit = deep_audit(&deep, own, url);
	if (deep.session)
		store_return(audit->checkpoints->database, deep.session, TIDE_OK);
	for (size_t i = 0; i < deep.table_count; i++) {
		tide_free(deep.tables[i].name);
		tide_free(deep.tables[i].live);
		tide_free(deep.tables[i].folded);
	}
	tide_free(deep.fold.rows);
	tide_free(deep.fold.left_out);
	return exit;
}

#else

int audit_compare_postgres(struct audit *audit, const char *url, const struct audit_other *other)
{
	struct tide_error err;
	(void)url;
	(void)other;
	tide_fail(&err, TIDE_UNSUPPORTED, "this tide was built without PostgreSQL");
	return cli_fail(audit->cli, &err);
}

#endif

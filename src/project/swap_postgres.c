/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build in PostgreSQL: a schema of its own, swapped in one transaction.
 *
 * Happy path: what bears the same names, and the tables of the old version, go to the schema
 * NAME_old_N, what is in the build's schema to their place, with owners and grants; Tidemark's own
 * rows go along (swap_rows.c). The statements that take it back are kept in the row.
 * Failure modes: a reader holds a table for longer than a tenth of a second: TIDE_BUSY, nothing has
 * happened, and who waits behind this waits no longer than that. Others' views or keys stand on the
 * tables: refused, each is named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "project/postgres_result.h"
#include "project/swap.h"
#include "sys/alloc.h"
#include "sys/libpq.h"

#define MOVE_PARAMETERS 5

/** A swap under way, in a transaction. */
struct move {
	struct swap_rows rows;
	const struct swap *swap;
	PGconn *connection;
	/* the build's schema, that of what is replaced, the tables of NAME as JSON, the schema
	 * where NAME's are made, Tidemark's own tables as an array */
	const char *values[MOVE_PARAMETERS];
	char *tables;
	char made[70], own_tables[400];
};

static void move_clear(PGresult **rows)
{
	PQclear(*rows);
}
#define MOVE_ROWS __attribute__((cleanup(move_clear))) PGresult

static void move_fini(struct move *move)
{
	tide_free(move->tables);
}

/* ---- Whether it stays in its place ----------------------------------------------------------- */

/* What a transaction holds locks of writing on is what it has written to, or has made. */
tide_status swap_guard_postgres(const char *schema, void *connection, struct tide_error *err)
{
	static const char look[] =
		"SELECT c.oid::regclass FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
		"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE l.pid = pg_backend_pid() AND "
		"l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', "
		"'AccessExclusiveLock') AND c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname NOT IN "
		"($1::name, 'pg_catalog', 'pg_toast') AND n.nspname NOT LIKE 'pg_temp%' LIMIT 1";
	MOVE_ROWS *rows = PQexecParams(connection, look, 1, NULL, &schema, NULL, NULL, 0);

	if (PQresultStatus(rows) != PGRES_TUPLES_OK)
		return tide_fail(err, TIDE_HANDLER_PERMANENT,
				 "what the file writes to beside '%.64s' is not known", schema);
	if (PQntuples(rows) > 0)
		return tide_fail(err, TIDE_HANDLER_PERMANENT,
				 "the file writes to '%.200s' by its schema: only what goes by the "
				 "search_path can be made beside",
				 PQgetvalue(rows, 0, 0));
	return TIDE_OK;
}

/* ---- Statements ------------------------------------------------------------------------------ */

static tide_status move_fail(const struct move *move, PGresult *result, struct tide_error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	tide_status status = postgres_status(move->connection, result);

	if (state && strcmp(state, "42P07") == 0)
		status = TIDE_ALREADY_EXISTS;
	else if (status == TIDE_HANDLER_PERMANENT)
		status = TIDE_IO;
	return tide_fail(err, status, "'%.100s': %.300s", move->swap->projection->name,
			 words ? words : "the connection is lost");
}

static tide_status move_ask(const struct move *move, const char *text, int count, PGresult **ret,
			    struct tide_error *err)
{
	*ret = PQexecParams(move->connection, text, count, NULL, move->values, NULL, NULL, 0);
	return postgres_is_success(*ret) ? TIDE_OK : move_fail(move, *ret, err);
}

static tide_status move_run(const struct move *move, const char *text, struct tide_error *err)
{
	MOVE_ROWS *result = PQexec(move->connection, text);
	return postgres_is_success(result) ? TIDE_OK : move_fail(move, result, err);
}

/* Run what a query writes. */
static tide_status move_run_each(const struct move *move, const char *query, struct tide_error *err)
{
	MOVE_ROWS *rows = NULL;
	tide_status status = move_ask(move, query, MOVE_PARAMETERS, &rows, err);

	for (int i = 0; status == TIDE_OK && i < PQntuples(rows); i++)
		status = move_run(move, PQgetvalue(rows, i, 0), err);
	return status;
}

/* ---- What is moved --------------------------------------------------------------------------- */

/* clang-format off */
/* All of them use each parameter, so that its type is known. `olds` and `news` are relations. */
#define MOVE_RELATIONS \
	"WITH given AS (SELECT $1::name AS build, $2::name AS old, $3::json AS tables, $4::name " \
	"AS made, $5::name[] AS own), " \
	"relations AS (SELECT c.oid, c.relname, n.nspname, c.relowner, c.relacl, c.relkind, " \
	"c.relrowsecurity, CASE c.relkind " \
	"WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN " \
	"'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind, " \
	"c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = " \
	"'pg_class'::regclass AND d.objid = c.oid AND " \
	"d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) AS is_owned FROM " \
	"pg_class c " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', " \
	"'S', 'f')), " \
	"news AS (SELECT r.* FROM relations r, given WHERE r.nspname = build AND r.relname <> " \
	"ALL(own) AND NOT (r.is_owned AND " \
	"r.relname LIKE ANY(SELECT o || '\\_%' FROM unnest(own) o))), " \
	"named AS (SELECT to_regclass((SELECT string_agg(quote_ident(part), '.') FROM " \
	"unnest(string_to_array(t.name, '.')) part)) AS oid " \
	"FROM given, json_array_elements_text(given.tables) t(name)), " \
	"olds AS (SELECT r.* FROM relations r JOIN named ON named.oid = r.oid UNION SELECT r.* " \
	"FROM relations r JOIN news w ON w.relname = r.relname AND " \
	"w.kind = r.kind AND r.kind <> 'TABLE' JOIN given ON r.nspname = given.made) "
/* clang-format on */

static const char move_relations[] = MOVE_RELATIONS
	", routines AS (SELECT p.proname, n.nspname, p.proargtypes, "
	"pg_get_function_identity_arguments(p.oid) AS arguments FROM pg_proc p JOIN pg_namespace n "
	"ON n.oid = p.pronamespace), "
	"types AS (SELECT t.typname, n.nspname, CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' "
	"END AS kind FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype "
	"IN ('d', 'e', 'r') OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND "
	"c.relkind = 'c')), "
	"moves AS (SELECT 1 AS turn, format('%s %I.%I', kind, nspname, relname) AS what, "
	"format('%s %I.%I', kind, given.old, relname) AS there, nspname AS place, given.old AS "
	"target FROM olds, given WHERE NOT is_owned UNION ALL "
	"SELECT 1, format('ROUTINE %I.%I(%s)', o.nspname, o.proname, o.arguments), "
	"format('ROUTINE %I.%I(%s)', given.old, o.proname, o.arguments), o.nspname, given.old FROM "
	"routines o, routines w, given WHERE o.nspname = given.made AND w.nspname = given.build "
	"AND o.proname = w.proname AND o.proargtypes = w.proargtypes UNION ALL "
	"SELECT 1, format('%s %I.%I', o.kind, o.nspname, o.typname), format('%s %I.%I', o.kind, "
	"given.old, o.typname), o.nspname, given.old FROM types o, types w, given WHERE o.nspname "
	"= given.made AND w.nspname = given.build AND o.typname = w.typname UNION ALL "
	"SELECT 2, format('%s %I.%I', kind, nspname, relname), format('%s %I.%I', kind, "
	"given.made, relname), nspname, given.made FROM news, given WHERE NOT is_owned UNION ALL "
	"SELECT 2, format('ROUTINE %I.%I(%s)', nspname, proname, arguments), format('ROUTINE "
	"%I.%I(%s)', given.made, proname, arguments), nspname, given.made FROM routines, given "
	"WHERE nspname = given.build UNION ALL "
	"SELECT 2, format('%s %I.%I', kind, nspname, typname), format('%s %I.%I', kind, "
	"given.made, typname), nspname, given.made FROM types, given WHERE nspname = given.build) "
	"SELECT format('ALTER %s SET SCHEMA %I', what, target), format('ALTER %s SET SCHEMA %I', "
	"there, place) FROM moves ORDER BY turn, what";

static const char move_grants[] = MOVE_RELATIONS
	", pairs AS (SELECT o.*, w.oid AS new_oid, w.nspname AS new_place, w.relowner AS new_owner "
	"FROM olds o JOIN news w ON w.relname = o.relname AND (w.kind = o.kind OR (w.kind <> "
	"'SEQUENCE') = (o.kind <> 'SEQUENCE'))), "
	"grants AS (SELECT p.oid, format('GRANT %s ON %s %I.%I TO %s%s', a.privilege_type, CASE "
	"p.kind WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, p.new_place, p.relname, CASE "
	"a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE "
	"WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS text FROM pairs p, "
	"aclexplode(p.relacl) a WHERE a.grantee <> p.relowner UNION ALL "
	"SELECT p.oid, format('GRANT %s (%I) ON %I.%I TO %s%s', a.privilege_type, c.attname, "
	"p.new_place, p.relname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE "
	"quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT "
	"OPTION' ELSE '' END) FROM pairs p JOIN pg_attribute c ON c.attrelid = p.oid JOIN "
	"pg_attribute m ON m.attrelid = p.new_oid AND m.attname = c.attname, aclexplode(c.attacl) "
	"a WHERE c.attnum > 0 AND NOT c.attisdropped) "
	"SELECT text FROM (SELECT 1 AS turn, text FROM grants UNION ALL "
	"SELECT 2, format('ALTER %s %I.%I OWNER TO %I', kind, new_place, relname, "
	"pg_get_userbyid(relowner)) FROM pairs WHERE relowner <> new_owner AND NOT is_owned) s "
	"ORDER BY turn, text";

/* Others' things that would go on standing on what is moved, or would be lost with it. */
#define MOVE_STAND_ON(set)                                                                         \
	"SELECT DISTINCT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || "   \
	"v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND "         \
	"d.classid "                                                                               \
	"= 'pg_rewrite'::regclass JOIN pg_class v ON v.oid = r.ev_class WHERE d.refclassid = "     \
	"'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM " set                             \
	") AND v.oid NOT IN (SELECT "                                                              \
	"oid FROM " set ") UNION SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || "    \
	"k.conrelid::regclass::text FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid "   \
	"IN "                                                                                      \
	"(SELECT oid FROM " set ") AND k.conrelid NOT IN (SELECT oid FROM " set ") UNION SELECT "  \
	"'table ' || i.inhrelid::regclass::text || ' that inherits' FROM pg_inherits i WHERE "     \
	"i.inhparent IN (SELECT oid FROM " set ") AND i.inhrelid NOT IN (SELECT oid FROM " set ")"

static const char move_refused[] = MOVE_RELATIONS MOVE_STAND_ON(
	"olds") " UNION SELECT 'row security of ' || o.oid::regclass::text || ', which the build "
		"lacks' "
		"FROM olds o JOIN news w ON w.relname = o.relname WHERE o.relrowsecurity AND NOT "
		"w.relrowsecurity ORDER BY 1";
static const char move_refused_end[] = MOVE_RELATIONS
	", gone AS (SELECT r.oid FROM relations r, given WHERE r.nspname IN (given.old, "
	"given.build)) " MOVE_STAND_ON("gone") " ORDER BY 1";

static tide_status move_refuse(const struct move *move, const char *query, struct tide_error *err)
{
	MOVE_ROWS *rows = NULL;
	struct buffer names = { 0 };
	tide_status status = move_ask(move, query, MOVE_PARAMETERS, &rows, err);

	if (status != TIDE_OK || PQntuples(rows) == 0)
		return status;
	for (int i = 0; i < PQntuples(rows); i++)
		buffer_format(&names, "%s%s", i ? ", " : "", PQgetvalue(rows, i, 0));
	status = names.failed ? alloc_fail(err)
			      : tide_fail(err, TIDE_STATE,
					  "others stand on the tables of '%.100s': %.350s; drop "
					  "them first, and make them again behind it",
					  move->swap->projection->name, names.data);
	buffer_fini(&names);
	return status;
}

/* ---- The transaction ------------------------------------------------------------------------- */

static tide_status move_find_tables(struct move *move, const char *name, struct tide_error *err)
{
	const char *const values[] = { name };
	ALLOC_AUTO char *text =
		alloc_format("SELECT current_schema(), COALESCE((SELECT tables::text FROM "
			     "%sprojection_versions WHERE name = $1::text), '[]')",
			     move->rows.own);
	if (!text)
		return alloc_fail(err);
	MOVE_ROWS *rows = PQexecParams(move->connection, text, 1, NULL, values, NULL, NULL, 0);
	if (!postgres_is_success(rows))
		return move_fail(move, rows, err);

	snprintf(move->made, sizeof move->made, "%s", PQgetvalue(rows, 0, 0));
	move->tables = alloc_text(PQgetvalue(rows, 0, 1), (size_t)PQgetlength(rows, 0, 1));
	move->values[2] = move->tables;
	return move->tables ? TIDE_OK : alloc_fail(err);
}

static tide_status move_begin(struct move *move, const struct swap *swap, void *connection,
			      struct tide_error *err)
{
	*move = (struct move){ .swap = swap, .connection = connection };
	size_t size = (size_t)snprintf(move->own_tables, sizeof move->own_tables, "{");
	for (size_t i = 0; i < SQL_OWN_TABLES; i++)
		size += (size_t)snprintf(move->own_tables + size, sizeof move->own_tables - size,
					 "%s%s", i ? "," : "", sql_own_tables[i]);
	snprintf(move->own_tables + size, sizeof move->own_tables - size, "}");
	move->values[0] = swap->beside;
	move->values[1] = swap->old;
	move->values[3] = move->made;
	move->values[4] = move->own_tables;

	tide_status status = swap_rows_find(&move->rows, swap, connection, err);
	if (status == TIDE_OK)
		status = move_run(move, "SET LOCAL lock_timeout = '100ms'", err);
	return status == TIDE_OK ? move_find_tables(move, swap->projection->name, err) : status;
}

static tide_status move_check_row(const struct move *move, const struct swap_row *row,
				  struct tide_error *err)
{
	char epoch[24], position[24];
	const char *const values[] = { row->name, move->swap->owner, epoch, position };
	ALLOC_AUTO char *text = alloc_format(
		"SELECT 1 FROM %ssubscription_leases l JOIN %sprojection_checkpoints c ON "
		"c.projection_name = l.name WHERE l.name = $1::text AND l.owner = $2::text AND "
		"l.epoch = $3::int8 AND c.global_position = $4::int8 FOR UPDATE",
		move->rows.own, move->rows.own);

	if (!text)
		return alloc_fail(err);
	snprintf(epoch, sizeof epoch, "%lld", (long long)row->epoch);
	snprintf(position, sizeof position, "%lld", (long long)row->position);
	MOVE_ROWS *rows = PQexecParams(move->connection, text, 4, NULL, values, NULL, NULL, 0);
	if (!postgres_is_success(rows))
		return move_fail(move, rows, err);
	return PQntuples(rows) == 1
		       ? TIDE_OK
		       : tide_fail(err, TIDE_FENCED, "'%s' has another owner, or another position",
				   row->name);
}

/* NAME still is where it stood, and ours. */
static tide_status move_check_owned(const struct move *move, struct tide_error *err)
{
	tide_status status = swap_rows_check_lanes(&move->rows, err);
	for (uint32_t i = 0; status == TIDE_OK && i < move->swap->lanes; i++)
		status = move_check_row(move, &move->swap->rows[i], err);
	return status;
}

static tide_status move_make_schema(const struct move *move, const char *schema,
				    struct tide_error *err)
{
	ALLOC_AUTO char *text = alloc_format("CREATE SCHEMA IF NOT EXISTS \"%s\"", schema);
	return text ? move_run(move, text, err) : alloc_fail(err);
}

/* Each is done, and how it is undone is noted. */
static tide_status move_all(struct move *move, struct buffer *ret_undo, struct tide_error *err)
{
	MOVE_ROWS *rows = NULL;
	tide_status status = move_ask(move, move_relations, MOVE_PARAMETERS, &rows, err);

	for (int i = 0; status == TIDE_OK && i < PQntuples(rows); i++)
		status = move_run(move, PQgetvalue(rows, i, 0), err);
	if (status != TIDE_OK)
		return status;
	json_open(ret_undo, '{');
	json_add_string(ret_undo, "tables", move->tables);
	json_key(ret_undo, "back");
	json_open(ret_undo, '[');
	for (int i = PQntuples(rows); i-- > 0;)
		json_string(ret_undo, PQgetvalue(rows, i, 1));
	json_close(ret_undo, ']');
	json_close(ret_undo, '}');
	return ret_undo->failed ? alloc_fail(err) : TIDE_OK;
}

static tide_status move_swap(struct move *move, struct buffer *undo, struct tide_error *err)
{
	tide_status status = move_check_owned(move, err);

	if (status == TIDE_OK)
		status = move_refuse(move, move_refused, err);
	if (status == TIDE_OK)
		status = move_make_schema(move, move->swap->old, err);
	if (status == TIDE_OK)
		status = move_run_each(move, move_grants, err);
	if (status == TIDE_OK)
		status = move_all(move, undo, err);
	if (status == TIDE_OK)
		status = swap_rows_forward(&move->rows, err);
	return status == TIDE_OK ? swap_rows_store(&move->rows, REBUILD_SWAPPED, undo->data, err)
				 : status;
}

tide_status swap_make_postgres(void *self, void *connection, struct tide_error *err)
{
	const struct swap *swap = self;
	struct move move = { .swap = swap, .connection = connection };
	return move_make_schema(&move, swap->beside, err);
}

tide_status swap_postgres(void *self, void *connection, struct tide_error *err)
{
	struct move move;
	struct buffer undo = { 0 };
	tide_status status = move_begin(&move, self, connection, err);

	if (status == TIDE_OK)
		status = move_swap(&move, &undo, err);
	buffer_fini(&undo);
	move_fini(&move);
	return status;
}

/* ---- Back, and the end ----------------------------------------------------------------------- */

static tide_status move_run_back(void *self, const char *text, struct tide_error *err)
{
	return move_run(self, text, err);
}

static tide_status move_back(struct move *move, struct tide_error *err)
{
	ALLOC_AUTO char *tables = NULL;
	tide_status status = move_check_owned(move, err);

	if (status == TIDE_OK)
		status = swap_undo(move->swap, move_run_back, move, &tables, err);
	if (status == TIDE_OK)
		status = swap_rows_back(&move->rows, true, tables, err);
	return status == TIDE_OK ? swap_rows_store_back(&move->rows, err) : status;
}

tide_status swap_back_postgres(void *self, void *connection, struct tide_error *err)
{
	struct move move;
	tide_status status = move_begin(&move, self, connection, err);

	if (status == TIDE_OK)
		status = move_back(&move, err);
	move_fini(&move);
	return status;
}

static tide_status move_end(struct move *move, struct tide_error *err)
{
	const struct swap *swap = move->swap;
	ALLOC_AUTO char *text = alloc_format("DROP SCHEMA IF EXISTS \"%s\", \"%s\" CASCADE",
					     swap->old, swap->beside);
	if (!text)
		return alloc_fail(err);
	tide_status status = move_refuse(move, move_refused_end, err);
	if (status == TIDE_OK)
		status = move_run(move, text, err);
	if (status == TIDE_OK)
		status = swap_rows_drop(&move->rows, err);
	return status == TIDE_OK ? swap_rows_store(&move->rows, REBUILD_ENDED, NULL, err) : status;
}

tide_status swap_end_postgres(void *self, void *connection, struct tide_error *err)
{
	struct swap *swap = self;
	struct move move;
	swap->position = swap->row.reached;
	tide_status status = move_begin(&move, swap, connection, err);

	if (status == TIDE_OK)
		status = move_end(&move, err);
	move_fini(&move);
	return status;
}

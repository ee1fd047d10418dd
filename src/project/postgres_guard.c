/* SPDX-License-Identifier: Apache-2.0 */
#include "project/postgres_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/json.h"
#include "sys/alloc.h"

/* Modes that a lock has when a table is written to or altered (PostgreSQL 13.3.1, Table-Level
 * Locks), and a sequence's when a number is taken from it or set. */
#define GUARD_MODES                                                                                \
	"('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', "  \
	"'ExclusiveLock', "                                                                        \
	"'AccessExclusiveLock')"

#define GUARD_LOCKS                                                                                \
	"pg_locks l WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.granted AND " \
	"l.database = "                                                                            \
	"(SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.mode "       \
	"IN " GUARD_MODES

/* Tables of other stores in the same database count as well: they stand beside checkpoints of their
 * own. A foreign key takes no more than ShareRowExclusiveLock on what it refers to. Renaming a
 * schema locks none of its tables, but the catalog of schemas; a name that changed without it is
 * somebody else's doing. */
const char postgres_guard_look[] =
	"SELECT l.relation, c.relname, l.is_more, n.nspname || '.' || c.relname FROM (SELECT "
	"l.relation, "
	"bool_or(l.mode <> 'ShareRowExclusiveLock') AS is_more FROM " GUARD_LOCKS
	" GROUP BY l.relation) l "
	"LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = "
	"c.relnamespace WHERE l.relation = ANY($1::oid[]) OR n.nspname || '.' || c.relname IN "
	"(SELECT json_array_elements_text($4::json)) OR "
	"(l.relation = 'pg_namespace'::regclass AND "
	"NOT EXISTS (SELECT FROM pg_namespace s WHERE s.oid = $2::oid AND s.nspname = $3::name)) "
	"OR "
	"(c.relkind IN ('r', 'p') AND c.relname IN ('events', 'projection_checkpoints', "
	"'dead_letter_queue', "
	"'snapshots', 'subscription_leases', 'projection_versions', 'tidemark_schema', "
	"'tidemark_feed', 'subscription_controls', 'subscription_journal', "
	"'subscription_groups', 'subscription_members', 'projection_segments', "
	"'projection_rebuilds') AND "
	"EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = c.relnamespace AND "
	"o.relname = 'projection_checkpoints'))";

const char postgres_guard_state[] =
	"SELECT pg_stat_get_xact_tuples_inserted(o) + pg_stat_get_xact_tuples_updated(o) + "
	"pg_stat_get_xact_tuples_deleted(o), pg_relation_filenode(o) FROM unnest($1::oid[]) o";

static const char guard_find[] =
	"WITH own AS (SELECT c.oid, c.relname, n.oid AS place, n.nspname FROM pg_class c JOIN "
	"pg_namespace n ON n.oid "
	"= "
	"c.relnamespace WHERE c.relname = ANY($1::text[]) AND c.relkind IN ('r', 'p') AND "
	"c.relnamespace = "
	"(SELECT e.relnamespace FROM pg_class e WHERE e.oid = to_regclass('events'))), "
	"found AS (SELECT oid, relname, false AS is_sequence, place, nspname FROM own UNION ALL "
	"SELECT s.oid, s.relname, true, own.place, own.nspname FROM own JOIN pg_depend d ON "
	"d.refobjid = own.oid AND "
	"d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype IN "
	"('a', 'i') "
	"JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S') "
	"SELECT oid, relname, is_sequence, EXISTS (SELECT FROM " GUARD_LOCKS
	" AND l.relation = found.oid), place, nspname "
	"FROM found ORDER BY is_sequence, relname LIMIT 28";
_Static_assert(GUARD_RELATIONS_MAX == 28, "the limit of the query above");

static tide_status guard_query(PGconn *connection, const char *text, int count,
			       const char *const *values, PGresult **ret, struct tide_error *err)
{
	PGresult *result = PQexecParams(connection, text, count, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		*ret = result;
		return TIDE_OK;
	}
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	tide_status status = PQstatus(connection) == CONNECTION_OK ? TIDE_IO : TIDE_CONNECTION_LOST;
	tide_fail(err, status, "looking after Tidemark's tables: %.300s",
		  message ? message : "the connection is lost");
	PQclear(result);
	return status;
}

/* In the order of the rivals. */
static const char guard_find_rivals[] =
	"SELECT t.at, c.oid FROM json_array_elements_text($1::json) WITH ORDINALITY t(name, at) "
	"JOIN pg_namespace n ON n.nspname = split_part(t.name, '.', 1) "
	"JOIN pg_class c ON c.relnamespace = n.oid AND "
	"c.relname = substr(t.name, strpos(t.name, '.') + 1)";

static tide_status guard_find_oids(PGconn *connection, struct postgres_guard *guard,
				   struct tide_error *err)
{
	const char *const values[] = { guard->rivals };
	PGresult *rows;

	tide_status status = guard_query(connection, guard_find_rivals, 1, values, &rows, err);
	if (status != TIDE_OK)
		return status;
	for (int i = 0; i < PQntuples(rows); i++) {
		struct sql_rival *rival = &guard->script->rivals[atoi(PQgetvalue(rows, i, 0)) - 1];
		snprintf(rival->oid, sizeof rival->oid, "%s", PQgetvalue(rows, i, 1));
	}
	PQclear(rows);
	return TIDE_OK;
}

static tide_status guard_name_rivals(struct postgres_guard *guard, struct tide_error *err)
{
	struct buffer names = { 0 };

	json_open(&names, '[');
	for (size_t i = 0; i < guard->script->rival_count; i++)
		json_string(&names, guard->script->rivals[i].table);
	json_close(&names, ']');
	return buffer_take(&names, &guard->rivals, err);
}

static tide_status guard_watch(PGconn *connection, struct postgres_guard *guard,
			       struct tide_error *err)
{
	struct sql_script *script = guard->script;
	struct buffer watched = { 0 };
	tide_status status = guard_name_rivals(guard, err);

	if (status == TIDE_OK && script->rival_count)
		status = guard_find_oids(connection, guard, err);
	if (status != TIDE_OK)
		return status;
	buffer_add(&watched, guard->oids, strlen(guard->oids) - 1);
	for (size_t i = 0; i < script->rival_count; i++)
		if (script->rivals[i].oid[0])
			buffer_format(&watched, "%s%s", watched.size > 1 ? "," : "",
				      script->rivals[i].oid);
	buffer_add(&watched, "}", 1);
	return buffer_take(&watched, &guard->watched, err);
}

void postgres_guard_fini(struct postgres_guard *guard)
{
	tide_free(guard->watched);
	tide_free(guard->rivals);
	guard->watched = guard->rivals = NULL;
}

static void guard_names(char ret[SQL_OWN_TABLES * 32])
{
	size_t size = 0;

	for (size_t i = 0; i < SQL_OWN_TABLES; i++)
		size += (size_t)snprintf(ret + size, SQL_OWN_TABLES * 32 - size, "%c%s",
					 i ? ',' : '{', sql_own_tables[i]);
	snprintf(ret + size, SQL_OWN_TABLES * 32 - size, "}");
}

tide_status postgres_guard_load(PGconn *connection, struct sql_script *script,
				struct postgres_guard *ret, struct tide_error *err)
{
	char names[SQL_OWN_TABLES * 32];
	const char *const values[] = { names };
	size_t size = 0;
	PGresult *rows;

	*ret = (struct postgres_guard){ .script = script, .schema_oid = "0" };
	guard_names(names);
	tide_status status = guard_query(connection, guard_find, 1, values, &rows, err);
	if (status != TIDE_OK)
		return status;
	ret->count = PQntuples(rows);
	for (int i = 0; i < ret->count; i++) {
		snprintf(ret->relations[i].oid, sizeof ret->relations[i].oid, "%s",
			 PQgetvalue(rows, i, 0));
		snprintf(ret->relations[i].name, sizeof ret->relations[i].name, "%s",
			 PQgetvalue(rows, i, 1));
		ret->relations[i].is_numbers = *PQgetvalue(rows, i, 2) == 't';
		ret->relations[i].was_locked = *PQgetvalue(rows, i, 3) == 't';
		snprintf(ret->schema_oid, sizeof ret->schema_oid, "%s", PQgetvalue(rows, i, 4));
		snprintf(ret->schema, sizeof ret->schema, "%s", PQgetvalue(rows, i, 5));
		size += (size_t)snprintf(ret->oids + size, sizeof ret->oids - size, "%c%s",
					 i ? ',' : '{', ret->relations[i].oid);
	}
	snprintf(ret->oids + size, sizeof ret->oids - size, ret->count ? "}" : "{}");
	PQclear(rows);
	return guard_watch(connection, ret, err);
}

static struct sql_own guard_own(const struct postgres_guard *guard, int i)
{
	struct sql_own own = { .kind = guard->relations[i].is_numbers ? SQL_OWN_SEQUENCE
								      : SQL_OWN_TABLE };

	snprintf(own.name, sizeof own.name, "%s", guard->relations[i].name);
	return own;
}

/* By its number, also when it is gone; by its name, also when it was made anew. */
static struct sql_rival *guard_find_rival(const struct postgres_guard *guard, const char *oid,
					  const char *name)
{
	for (size_t i = 0; i < guard->script->rival_count; i++) {
		struct sql_rival *rival = &guard->script->rivals[i];
		if (strcmp(rival->oid, oid) == 0 || strcmp(rival->table, name) == 0)
			return rival;
	}
	return NULL;
}

static struct sql_own guard_judge_rival(struct sql_rival *rival, bool is_more)
{
	struct sql_own own = { .kind = SQL_OWN_TABLE };

	if (!is_more || sql_rival_write(rival))
		return own;
	own.rival = rival;
	snprintf(own.name, sizeof own.name, "%.60s", rival->table);
	return own;
}

/* A position stays taken from the sequence when the append that took it is rolled back, and the
 * lock on it is the transaction's. */
static bool guard_is_append(const struct postgres_guard *guard, int i)
{
	return guard->script->has_appended && guard->relations[i].is_numbers;
}

/* What is none of the guard's relations is a table of the same name elsewhere, or the catalog that
 * the schema's name is in. */
static struct sql_own guard_judge_row(const struct postgres_guard *guard, const PGresult *rows,
				      int row)
{
	struct sql_own own = { .kind = SQL_OWN_TABLE };

	for (int i = 0; i < guard->count; i++)
		if (strcmp(guard->relations[i].oid, PQgetvalue(rows, row, 0)) == 0)
			return guard->relations[i].was_locked || guard_is_append(guard, i)
				       ? own
				       : guard_own(guard, i);
	struct sql_rival *rival =
		guard_find_rival(guard, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 3));
	if (rival)
		return guard_judge_rival(rival, *PQgetvalue(rows, row, 2) == 't');
	bool is_table =
		sql_is_own_table(PQgetvalue(rows, row, 1), strlen(PQgetvalue(rows, row, 1)));
	if (!is_table)
		own.kind = SQL_OWN_SCHEMA;
	snprintf(own.name, sizeof own.name, "%s",
		 is_table ? PQgetvalue(rows, row, 1) : guard->schema);
	return own;
}

/* A table goes before its sequence, which is dropped with it; Tidemark's go before others. */
struct sql_own postgres_guard_judge(const struct postgres_guard *guard, const PGresult *rows)
{
	struct sql_own own = { .kind = SQL_OWN_TABLE };

	for (int i = 0; i < PQntuples(rows); i++) {
		struct sql_own found = guard_judge_row(guard, rows, i);
		bool is_first = !own.name[0] || own.rival;
		if (found.name[0] && (is_first || (found.kind == SQL_OWN_TABLE && !found.rival)))
			own = found;
	}
	return own;
}

tide_status postgres_guard_touched(const struct postgres_guard *guard, PGconn *connection,
				   struct sql_own *ret, struct tide_error *err)
{
	const char *const values[] = { guard->watched, guard->schema_oid, guard->schema,
				       guard->rivals };
	PGresult *rows;

	tide_status status = guard_query(connection, postgres_guard_look, 4, values, &rows, err);
	if (status != TIDE_OK)
		return status;
	*ret = postgres_guard_judge(guard, rows);
	PQclear(rows);
	return TIDE_OK;
}

struct sql_own postgres_guard_changed(const struct postgres_guard *guard, const PGresult *before,
				      const PGresult *after)
{
	for (int i = 0; i < guard->count && i < PQntuples(before) && i < PQntuples(after); i++)
		for (int column = 0; column < 2; column++)
			if (strcmp(PQgetvalue(before, i, column), PQgetvalue(after, i, column)) !=
			    0)
				return guard_own(guard, i);
	return (struct sql_own){ .kind = SQL_OWN_TABLE };
}

/* ---- By name --------------------------------------------------------------------------------- */

bool postgres_guard_is_name(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool guard_takes_numbers(const struct sql_statement *statement)
{
	for (size_t i = 0; i + 7 <= statement->size; i++)
		if (strncasecmp(statement->text + i, "nextval", 7) == 0 ||
		    strncasecmp(statement->text + i, "setval", 6) == 0)
			return true;
	return false;
}

static struct sql_own guard_find_name(const struct postgres_guard *guard, const char *name,
				      size_t size, bool with_tables)
{
	struct sql_own own = { .kind = SQL_OWN_TABLE };

	if (with_tables && sql_is_own_table(name, size))
		snprintf(own.name, sizeof own.name, "%.*s", (int)size, name);
	for (int i = 0; i < guard->count && !own.name[0]; i++)
		if (guard->relations[i].is_numbers && strlen(guard->relations[i].name) == size &&
		    strncasecmp(guard->relations[i].name, name, size) == 0)
			own = guard_own(guard, i);
	return own;
}

struct sql_own postgres_guard_named(const struct postgres_guard *guard,
				    const struct sql_statement *statement, bool with_tables)
{
	const char *end = statement->text + statement->size;
	struct sql_own own = { .kind = SQL_OWN_TABLE };
	size_t size;

	if (!with_tables && !guard_takes_numbers(statement))
		return own;
	for (const char *at = statement->text; at < end && !own.name[0]; at += size + 1) {
		size = 0;
		while (at + size < end && postgres_guard_is_name(at[size]))
			size++;
		own = guard_find_name(guard, at, size, with_tables);
	}
	return own;
}

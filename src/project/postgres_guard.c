/* SPDX-License-Identifier: Apache-2.0 */
#include "project/postgres_guard.h"

#include <stdio.h>
#include <string.h>

/* Modes that a lock on a table has when it is written to, and when it is altered (PostgreSQL 13.3.1, Table-Level Locks). */
#define GUARD_WRITES                                                                                                   \
	"{RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,"                    \
	"AccessExclusiveLock}"
#define GUARD_ALTERS "{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}"

#define GUARD_LOCKS(modes)                                                                                             \
	"FROM pg_locks l WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.granted AND l.database = "   \
	"(SELECT oid FROM pg_database WHERE datname = current_database()) AND l.mode = ANY(" modes ")"

const char postgres_guard_state[] =
	"SELECT pg_stat_get_xact_tuples_inserted(o) + pg_stat_get_xact_tuples_updated(o) + "
	"pg_stat_get_xact_tuples_deleted(o), pg_relation_filenode(o) FROM unnest($1::oid[]) o";

static tide_status guard_query(PGconn *connection, const char *text, int count, const char *const *values,
			       PGresult **ret, struct tide_error *err)
{
	PGresult *result = PQexecParams(connection, text, count, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		*ret = result;
		return TIDE_OK;
	}
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	tide_status status = PQstatus(connection) == CONNECTION_OK ? TIDE_IO : TIDE_CONNECTION_LOST;
	tide_fail(err, status, "looking after Tidemark's tables: %.300s", message ? message : "the connection is lost");
	PQclear(result);
	return status;
}

static void guard_names(char ret[SQL_OWN_TABLES * 32])
{
	size_t size = 0;

	for (size_t i = 0; i < SQL_OWN_TABLES; i++)
		size += (size_t)snprintf(ret + size, SQL_OWN_TABLES * 32 - size, "%c%s", i ? ',' : '{',
					 sql_own_tables[i]);
	snprintf(ret + size, SQL_OWN_TABLES * 32 - size, "}");
}

tide_status postgres_guard_load(PGconn *connection, struct postgres_guard *ret, struct tide_error *err)
{
	char names[SQL_OWN_TABLES * 32];
	const char *const values[] = { names };
	size_t size = 0;
	PGresult *rows;

	guard_names(names);
	tide_status status = guard_query(
		connection,
		"SELECT c.oid, c.relname, EXISTS (SELECT " GUARD_LOCKS(
			"'" GUARD_WRITES
			"'") " AND l.relation = c.oid) "
			     "FROM pg_class c WHERE c.relname = ANY($1::text[]) AND c.relkind IN ('r', 'p') AND "
			     "c.relnamespace = "
			     "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('events')) ORDER BY c.relname",
		1, values, &rows, err);
	if (status != TIDE_OK)
		return status;
	*ret = (struct postgres_guard){ .count = PQntuples(rows) };
	for (int i = 0; i < ret->count; i++) {
		size += (size_t)snprintf(ret->oids + size, sizeof ret->oids - size, "%c%s", i ? ',' : '{',
					 PQgetvalue(rows, i, 0));
		snprintf(ret->names[i], sizeof ret->names[i], "%s", PQgetvalue(rows, i, 1));
		ret->was_locked[i] = *PQgetvalue(rows, i, 2) == 't';
	}
	snprintf(ret->oids + size, sizeof ret->oids - size, ret->count ? "}" : "{}");
	PQclear(rows);
	return TIDE_OK;
}

static bool guard_was_locked(const struct postgres_guard *guard, const char *name)
{
	for (int i = 0; i < guard->count; i++)
		if (strcmp(guard->names[i], name) == 0)
			return guard->was_locked[i];
	return false;
}

/* Tables of other stores in the same database count as well: they stand beside checkpoints of their own. */
tide_status postgres_guard_locked(const struct postgres_guard *guard, PGconn *connection, bool is_write, char ret[64],
				  struct tide_error *err)
{
	char names[SQL_OWN_TABLES * 32];
	const char *const values[] = { is_write ? GUARD_WRITES : GUARD_ALTERS, names };
	PGresult *rows;

	guard_names(names);
	ret[0] = '\0';
	tide_status status = guard_query(
		connection,
		"SELECT c.relname FROM pg_class c WHERE c.relname = ANY($2::text[]) AND c.oid IN (SELECT "
		"l.relation " GUARD_LOCKS("$1::text[]") ") AND EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = "
							"c.relnamespace AND o.relname = 'projection_checkpoints')",
		2, values, &rows, err);
	if (status != TIDE_OK)
		return status;
	for (int i = 0; i < PQntuples(rows); i++)
		if (!guard_was_locked(guard, PQgetvalue(rows, i, 0)))
			snprintf(ret, 64, "%s", PQgetvalue(rows, i, 0));
	PQclear(rows);
	return TIDE_OK;
}

const char *postgres_guard_changed(const struct postgres_guard *guard, const PGresult *before, const PGresult *after,
				   bool *ret_is_file)
{
	for (int i = 0; i < guard->count && i < PQntuples(before) && i < PQntuples(after); i++)
		for (int column = 0; column < 2; column++) {
			*ret_is_file = column == 1;
			if (strcmp(PQgetvalue(before, i, column), PQgetvalue(after, i, column)) != 0)
				return guard->names[i];
		}
	return NULL;
}

const char *postgres_guard_made(const struct postgres_guard *before, const struct postgres_guard *after)
{
	for (int i = 0; i < after->count; i++) {
		int j = 0;
		while (j < before->count && strcmp(before->names[j], after->names[i]) != 0)
			j++;
		if (j == before->count)
			return after->names[i];
	}
	return NULL;
}

tide_status postgres_guard_can_count(PGconn *connection, bool *ret, struct tide_error *err)
{
	PGresult *rows;
	tide_status status =
		guard_query(connection, "SELECT current_setting('track_counts')::bool", 0, NULL, &rows, err);

	if (status != TIDE_OK)
		return status;
	*ret = *PQgetvalue(rows, 0, 0) == 't';
	PQclear(rows);
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an answer does not come: asked through a connection of its own, since the one that waits
 * cannot be asked.
 *
 * Happy path: the server's list of processes says what that one waits for: a synchronous standby,
 * or a lock. Behind a pooler its number is not known; then whether any of this database waits for a
 * standby.
 * Failure: the server does not answer at all, or the role may not know: nothing is said.
 */
#include "backends/postgres/connection.h"

#include <stdio.h>
#include <string.h>

#include "sys/alloc.h"

static PGconn *late_connect(const struct pg_target *target)
{
	size_t count = 0;
	while (target->keywords[count])
		count++;
	ALLOC_AUTO const char **keywords = alloc_zero(count + 2, sizeof *keywords);
	ALLOC_AUTO const char **values = alloc_zero(count + 2, sizeof *values);
	if (!keywords || !values)
		return NULL;

	memcpy(keywords, target->keywords, count * sizeof *keywords);
	memcpy(values, target->values, count * sizeof *values);
	keywords[count] = "connect_timeout"; /* what comes later counts */
	values[count] = "2";
	return PQconnectdbParams(keywords, values, 0);
}

/* In a transaction, so that the limit is not left behind on a connection of a pooler. */
static PGresult *late_ask(PGconn *connection, int process)
{
	char number[16];
	const char *const parameters[] = { number };
	snprintf(number, sizeof number, "%d", process);
	PQclear(PQexec(connection, "BEGIN READ ONLY; SET LOCAL statement_timeout = '2s'"));
	return PQexecParams(
		connection,
		"SELECT wait_event = 'SyncRep', current_setting('synchronous_standby_names'), "
		"wait_event_type = 'Lock', array_to_string(pg_blocking_pids(pid), ', ') "
		"FROM pg_stat_activity WHERE wait_event IS NOT NULL AND CASE WHEN $1::int4 <> 0 "
		"THEN pid = $1::int4 ELSE wait_event = 'SyncRep' AND "
		"datname = current_database() END LIMIT 1",
		1, NULL, parameters, NULL, NULL, 1);
}

static void late_describe(const PGresult *rows, char ret[PG_LATE_SIZE])
{
	if (PQntuples(rows) == 0)
		return;
	if (pg_bool(rows, 0, 0))
		snprintf(ret, PG_LATE_SIZE,
			 ", it waits for a synchronous standby (synchronous_standby_names is "
			 "'%.60s')",
			 PQgetvalue(rows, 0, 1));
	else if (pg_bool(rows, 0, 2))
		snprintf(ret, PG_LATE_SIZE, ", it waits for a lock that process %.40s holds",
			 PQgetvalue(rows, 0, 3));
}

void pg_late_cause(const struct pg_connection *connection, char ret[PG_LATE_SIZE])
{
	bool is_direct = connection->target->can_prepare;
	int process = is_direct ? PQbackendPID(connection->native) : 0;
	PGconn *other = late_connect(connection->target);
	ret[0] = '\0';
	if (PQstatus(other) == CONNECTION_OK) {
		PG_RESULT_AUTO PGresult *rows = late_ask(other, process);
		late_describe(rows, ret);
	}
	PQfinish(other);
}

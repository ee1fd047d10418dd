/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events on their way through a pipeline of PostgreSQL.
 *
 *	first ─▶ │ the server was asked for their answers │ kept: it may still have them │
 *
 * Happy path: statements are sent ahead of the answers to earlier ones, which are taken meanwhile.
 * As many are on their way as are answered in a moment: a stop waits for them, and the time of one
 * must not be that of many.
 * Failure modes: a statement fails: the server runs none behind it. libpq takes what comes while it
 * sends, so neither side waits for the other.
 */
#include "project/postgres_flight.h"

#include <assert.h>

#include "project/postgres_result.h"

#define FLIGHT_FIRST 16
#define FLIGHT_SHORT_NS (20 * NS_PER_MS)
#define FLIGHT_LONG_NS (100 * NS_PER_MS)

void flight_init(struct flight *flight)
{
	*flight = (struct flight){ .most = FLIGHT_FIRST };
}

void flight_begin(struct flight *flight)
{
	flight->count = flight->kept = flight->done = flight->round = 0;
	flight->since = clock_mono(&clock_system);
}

void flight_add(struct flight *flight, size_t statements)
{
	assert(flight->count < FLIGHT_MAX);
	flight->statements[(flight->first + flight->count++) % FLIGHT_MAX] = statements;
	flight->kept++;
}

/* What comes back too late is halved, what comes at once is doubled. */
static void flight_measure(struct flight *flight)
{
	flight->done++;
	if (++flight->round < flight->most)
		return;

	struct mono_time now = clock_mono(&clock_system);
	int64_t took = mono_since(now, flight->since);
	flight->round = 0;
	flight->since = now;
	if (took < FLIGHT_SHORT_NS && flight->most < FLIGHT_MAX)
		flight->most *= 2;
	else if (took > FLIGHT_LONG_NS && flight->most > 1)
		flight->most /= 2;
}

/* Which statement has failed is found out when its event is alone. */
tide_status flight_land(struct flight *flight, const struct sql_script *script, PGconn *connection,
			struct tide_error *err)
{
	assert(flight->count > 0);
	tide_status status = TIDE_OK;
	for (size_t left = flight->statements[flight->first]; left > 0; left--) {
		PGresult *result = postgres_take(connection);
		if (status == TIDE_OK && !postgres_is_success(result))
			status = tide_fail(err, postgres_status(connection, result),
					   "'%s': an event has failed", script->path);
		PQclear(result);
	}

	flight->first = (flight->first + 1) % FLIGHT_MAX;
	flight->count--;
	if (flight->kept > flight->count)
		flight->kept = flight->count;
	if (status == TIDE_OK)
		flight_measure(flight);
	return status;
}

/* The server sends no answer before it is asked to, or has many of them. */
tide_status flight_wait(struct flight *flight, const struct sql_script *script, PGconn *connection,
			size_t most, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (flight->kept > 0 && (2 * flight->kept >= flight->most || most < flight->kept)) {
		flight->kept = 0;
		status = postgres_sent(script, connection,
				       PQsendFlushRequest(connection) && PQflush(connection) >= 0,
				       err);
	}

	while (status == TIDE_OK && flight->count > most)
		status = flight_land(flight, script, connection, err);
	return status;
}

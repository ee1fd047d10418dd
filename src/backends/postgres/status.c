/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From PostgreSQL's errors to Tidemark's: the only place that knows what an SQLSTATE means.
 *
 * The longest prefix in the table decides. Transient are exactly the classes 08 and 53 (but for a
 * full disk), 57P, 40001 and 40P01, waiting for a lock in vain, and transactions that may only
 * read.
 */
#include "backends/postgres/status.h"

#include <string.h>

#include "core/url.h"

/* clang-format off */
static const struct { const char *prefix; tide_status status; } status_table[] = {
	{ "08",    TIDE_CONNECTION_LOST },  /* connection exception */
	{ "0A",    TIDE_UNSUPPORTED },      /* feature not supported */
	{ "25006", TIDE_BUSY },             /* read-only transaction: a standby that may be promoted, or a setting */
	{ "25P03", TIDE_CONNECTION_LOST },  /* idle in a transaction for too long, terminated */
	{ "28",    TIDE_CONNECTION_LOST },  /* refused at the door */
	{ "3F",    TIDE_SCHEMA },           /* no such schema */
	{ "40001", TIDE_BUSY },             /* serialization failure */
	{ "40P01", TIDE_BUSY },             /* deadlock detected */
	{ "42501", TIDE_UNSUPPORTED },      /* insufficient privilege */
	{ "42703", TIDE_SCHEMA },           /* undefined column */
	{ "42P01", TIDE_SCHEMA },           /* undefined table */
	{ "53",    TIDE_BUSY },             /* insufficient resources: memory, connections, locks */
	{ "53100", TIDE_DISK_FULL },        /* disk full */
	{ "55P03", TIDE_BUSY },             /* lock not available */
	{ "57014", TIDE_TIMEOUT },          /* query cancelled, by statement_timeout as a rule */
	{ "57P",   TIDE_CONNECTION_LOST },  /* shut down, restarted, terminated */
	{ "58",    TIDE_IO },               /* system error */
	{ "XX001", TIDE_CORRUPT },          /* data corrupted */
	{ "XX002", TIDE_CORRUPT },          /* index corrupted */
};
/* clang-format on */

tide_status pg_status_of(const char *sqlstate)
{
	size_t best = 0;
	tide_status status = TIDE_IO;
	for (size_t i = 0; i < sizeof status_table / sizeof *status_table; i++) {
		size_t size = strlen(status_table[i].prefix);
		if (size > best && strncmp(sqlstate, status_table[i].prefix, size) == 0) {
			best = size;
			status = status_table[i].status;
		}
	}
	return status;
}

int pg_native_of(const char *sqlstate)
{
	int native = 0;
	for (int i = 0; i < 5 && sqlstate[i]; i++) {
		char digit = sqlstate[i];
		native = native * 36 + (digit <= '9' ? digit - '0' : digit - 'A' + 10);
	}
	return native;
}

/* libpq's messages end in a newline and may have several lines. */
static void status_flatten(const char *message, char ret[400])
{
	size_t size = 0;
	for (; *message && size < 399; message++) {
		bool is_space = *message == '\n' || *message == '\t';
		if (is_space && (size == 0 || ret[size - 1] == ' '))
			continue;
		ret[size++] = is_space ? ' ' : *message;
	}
	while (size > 0 && (ret[size - 1] == ' ' || ret[size - 1] == '.'))
		size--;
	ret[size] = '\0';
	url_redact_words(ret);
}

tide_status pg_fail_result(const PGresult *result, struct tide_error *err)
{
	char message[400];
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	status_flatten(primary ? primary : PQresultErrorMessage(result), message);
	/* libpq itself reports a lost connection as a result without SQLSTATE */
	tide_status status = state ? pg_status_of(state) : TIDE_CONNECTION_LOST;
	tide_fail(err, status, "PostgreSQL: %s (%s)", message, state ? state : "no SQLSTATE");
	if (err && state)
		err->native = pg_native_of(state);
	return status;
}

/* libpq keeps the SQLSTATE of a refused connection to itself: the server's words, and those of
 * PgBouncer, tell. */
static bool status_is_crowded(const char *message)
{
	static const char *const words[] = { "too many clients", "too many connections",
					     "connection slots are reserved",
					     "no more connections allowed" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(message, words[i]))
			return true;
	return false;
}

tide_status pg_fail_connect(const PGconn *native, struct tide_error *err)
{
	char message[400];
	status_flatten(PQerrorMessage(native), message);
	if (!status_is_crowded(message))
		return pg_fail_connection(native, err);
	tide_fail(err, TIDE_BUSY, "PostgreSQL has too many connections: %s (53300)", message);
	if (err)
		err->native = pg_native_of("53300");
	return TIDE_BUSY;
}

tide_status pg_fail_connection(const PGconn *native, struct tide_error *err)
{
	char message[400];
	status_flatten(native ? PQerrorMessage(native) : "out of memory", message);
	return tide_fail(err, TIDE_CONNECTION_LOST, "PostgreSQL: %s",
			 *message ? message : "the connection is lost");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From PostgreSQL's errors to Tidemark's; sys/native.c has what an SQLSTATE means. */
#include "backends/postgres/status.h"

#include <string.h>

#include "core/url.h"
#include "sys/native.h"

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
	tide_status status = state ? native_postgres(state).status : TIDE_CONNECTION_LOST;
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

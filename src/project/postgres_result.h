/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_RESULT_H
#define TIDE_PROJECT_POSTGRES_RESULT_H

#include "project/sql.h"
#include "sys/libpq.h"

/** What an answer means to who retries; TIDE_HANDLER_PERMANENT: the same would fail again. */
tide_status postgres_status(PGconn *connection, const PGresult *result);
bool postgres_is_success(const PGresult *result);

/** What may be logged of a failure: SQLSTATE, constraint, table, column. `ret` has room for it, and
 * is returned. */
const char *postgres_name_cause(const PGresult *result, char *ret, size_t size);

/** Keep the server's own words for the dead letter, unless some are kept already. */
void postgres_keep_words(struct sql_script *script, const PGresult *result);

/** Takes the result; `otherwise` is for what would fail again: TIDE_HANDLER_PERMANENT when there is
 * an event in it. */
tide_status postgres_end(const struct sql_script *script, const struct sql_statement *statement,
			 PGconn *connection, PGresult *result, tide_status otherwise,
			 struct tide_error *err);

/** What a call of libpq that sends came to. */
tide_status postgres_sent(const struct sql_script *script, PGconn *connection, int is_sent,
			  struct tide_error *err);
/** The result of what was sent next; NULL when the connection is lost. */
PGresult *postgres_take(PGconn *connection);

#endif

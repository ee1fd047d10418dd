/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POSTGRES_STATUS_H
#define TIDE_POSTGRES_STATUS_H

#include <tidemark/error.h>

#include "sys/libpq.h"

/** An SQLSTATE as a number, for tide_error.native: its five characters as digits of base 36. */
int pg_native_of(const char *sqlstate);
/** Report a failed result, with the server's message on one line. */
tide_status pg_fail_result(const PGresult *result, struct tide_error *err);
/** Report that a connection could not be made or was lost; libpq's message on one line. */
tide_status pg_fail_connect(const PGconn *native, struct tide_error *err);
tide_status pg_fail_connection(const PGconn *native, struct tide_error *err);

#endif

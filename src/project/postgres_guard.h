/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_GUARD_H
#define TIDE_PROJECT_POSTGRES_GUARD_H

/*
 * What a transaction has done to Tidemark's own tables. PostgreSQL has no authorizer; it has locks, which tell of every
 * table that a statement would write to as soon as it is prepared, and of every one that was altered; counters of the rows
 * that this transaction has written, whoever's trigger or function did it; and the file of each table, which another one
 * takes the place of when it is truncated.
 */

#include <libpq-fe.h>

#include "project/sql.h"

/** Tidemark's tables beside the projection's: those of the schema where its events are. */
struct postgres_guard {
	int count;
	char names[SQL_OWN_TABLES][64];
	bool was_locked[SQL_OWN_TABLES]; /* by this transaction, before it was a projection's */
	char oids[SQL_OWN_TABLES * 11 + 3];
};

/** Rows written in this transaction and the file, a row for each table in the guard's order; `$1` is its oids. */
extern const char postgres_guard_state[];

/** Find the tables. TIDE_OK, or the connection's error. */
tide_status postgres_guard_load(PGconn *connection, struct postgres_guard *ret, struct tide_error *err);
/** The table that a lock of this transaction tells was altered, or with `is_write` written to; NULL: none. */
tide_status postgres_guard_locked(const struct postgres_guard *guard, PGconn *connection, bool is_write, char ret[64],
				  struct tide_error *err);
/** The table whose state has changed between two looks; NULL: none. `*ret_is_file`: it is another file. */
const char *postgres_guard_changed(const struct postgres_guard *guard, const PGresult *before, const PGresult *after,
				   bool *ret_is_file);
/** A table that was not there at the first look, or has another name; NULL: none. */
const char *postgres_guard_made(const struct postgres_guard *before, const struct postgres_guard *after);
/** Whether the counters count at all. */
tide_status postgres_guard_can_count(PGconn *connection, bool *ret, struct tide_error *err);

#endif

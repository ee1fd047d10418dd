/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_GUARD_H
#define TIDE_PROJECT_POSTGRES_GUARD_H

/*
 * What a transaction has done to Tidemark's own tables, and to those that are noted for other
 * projections. PostgreSQL has no authorizer; it has locks,
 * which a transaction keeps until its end: on every table that it has written to, altered or
 * dropped, whoever's trigger or function did it, on those that a statement would write to as soon
 * as it is prepared, and on sequences whose numbers it took or set.
 */

#include "project/sql.h"
#include "sys/libpq.h"

#define GUARD_RELATIONS_MAX ((size_t)2 * SQL_OWN_TABLES)

/** Tidemark's tables beside the projection's, those of the schema where its events are, and their
 * sequences. */
struct postgres_guard {
	int count;
	struct {
		char oid[12];
		char name[64];
		bool is_numbers; /* a sequence */
		bool was_locked; /* by this transaction, before it was a projection's */
	} relations[GUARD_RELATIONS_MAX];
	char oids[GUARD_RELATIONS_MAX * 11 + 3]; /* of all, as an array */
	char schema_oid[12], schema[64];
	struct sql_script *script; /* whose rivals are watched */
	char *watched;             /* numbers of all of these, as an array */
	char *rivals;              /* names of the latter, as JSON */
};

/** The look: `$1` to `$4` are the guard's watched, schema_oid, schema and rivals. */
extern const char postgres_guard_look[];
/** Rows written in this transaction and the file, a row for each relation in the guard's order;
 * `$1` is its oids. */
extern const char postgres_guard_state[];

/** Find the tables, and those of the script's rivals. TIDE_OK, or the connection's error;
 * postgres_guard_fini either way. */
tide_status postgres_guard_load(PGconn *connection, struct sql_script *script,
				struct postgres_guard *ret, struct tide_error *err);
void postgres_guard_fini(struct postgres_guard *guard);
/** Whether a name may have the character without quotes. */
bool postgres_guard_is_name(char c);
/**
 * What a statement names that it may not, its name empty: nothing. Sequences, where it calls what
 * takes or sets a number, since nothing takes that back; `with_tables`: tables as well.
 */
struct sql_own postgres_guard_named(const struct postgres_guard *guard,
				    const struct sql_statement *statement, bool with_tables);
/** What the rows of a look tell was touched; its name empty: nothing. */
struct sql_own postgres_guard_judge(const struct postgres_guard *guard, const PGresult *rows);
/** Look, and judge. */
tide_status postgres_guard_touched(const struct postgres_guard *guard, PGconn *connection,
				   struct sql_own *ret, struct tide_error *err);
/** What was written or replaced between two states; its name empty: nothing. */
struct sql_own postgres_guard_changed(const struct postgres_guard *guard, const PGresult *before,
				      const PGresult *after);

#endif

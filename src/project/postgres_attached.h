/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_ATTACHED_H
#define TIDE_PROJECT_POSTGRES_ATTACHED_H

/*
 * What a projection has made for a connection: where subscriptions share connections, it has that
 * for several, and comes back to each. The script's `attached` is that of the connection in use.
 */

#include "project/postgres_flight.h"
#include "project/postgres_guard.h"
#include "project/sql.h"
#include "sys/libpq.h"

/** A statement made ready: its name on the server, or, when a pooler may change the server, its
 * text. */
struct postgres_prepared {
	char *text; /* with numbered parameters; NULL: prepared under the name */
	char name[40];
	Oid types[]; /* of its parameters */
};

/** What was made for a connection; those of others are behind it. */
struct postgres_attachment {
	struct postgres_attachment *next;
	const PGconn *connection;
	struct postgres_guard guard;
	bool is_outdated; /* other tables are to be watched by now */
	bool is_pooled;   /* a pooler may change the server process between transactions */
	char look[40];    /* name of the prepared look at what was locked; empty: pooled */
	struct postgres_prepared **prepared; /* by statement */
	struct sql_lines lines;              /* of what was sent since the last look; 0: nothing */
	struct flight flight;                /* of events that are handled together */
	size_t sent_count; /* statements of the event in hand that are on their way */
	const struct sql_statement *sent[]; /* room for all of the script */
};

/** Make one that is in use from now on. */
tide_status attached_new(struct sql_script *script, PGconn *connection, struct tide_error *err);
/** Have that of the connection in use; false: there is none. */
bool attached_turn_to(struct sql_script *script, const PGconn *connection);
void attached_drop(struct sql_script *script, void *connection);

/** Find what it is to watch, in the open transaction, and see whether others have to anew. */
tide_status attached_load_guard(struct sql_script *script, PGconn *connection,
				struct tide_error *err);
/** In a transaction that has done nothing yet: do so, if it has to. */
tide_status attached_refresh(struct sql_script *script, PGconn *connection, struct tide_error *err);

const struct postgres_prepared *attached_prepared(const struct sql_script *script,
						  const struct sql_statement *statement);
/** Prepare what has its text and types, unless it is there: names go by the text, so that what any
 * projection, or an earlier run, has prepared on this connection is good. */
tide_status attached_prepare(const struct sql_script *script, const struct sql_statement *statement,
			     PGconn *connection, struct tide_error *err);
tide_status attached_prepare_look(struct sql_script *script, PGconn *connection,
				  struct tide_error *err);
/** Nobody may find it there. */
void attached_forget(const struct postgres_prepared *prepared, PGconn *connection);

#endif

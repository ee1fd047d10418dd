/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_POSTGRES_LIVE_H
#define TIDE_PROJECT_POSTGRES_LIVE_H

#include "project/postgres_guard.h"
#include "project/sql.h"
#include "sys/libpq.h"

#define POSTGRES_CELLS_MAX 64

/** How a statement is prepared, and who is told what is wrong with it. */
struct postgres_live {
	/* `*ret`: what the server said */
	tide_status (*prepare)(const struct sql_script *script,
			       const struct sql_statement *statement, PGconn *connection,
			       PGresult **ret, struct tide_error *err);
	/* after it was: whether it would write to what it may not */
	tide_status (*refuse)(const struct sql_script *script,
			      const struct sql_statement *statement,
			      const struct postgres_guard *guard, PGconn *connection,
			      struct tide_error *err);
	const struct postgres_guard *guard;
	sql_tell *tell;
	void *self;
	bool lacks_tables; /* set by the examination */
};

/** In an open transaction, which may not write any more. */
tide_status postgres_live_examine(const struct sql_script *script, PGconn *connection,
				  struct postgres_live *live, struct tide_error *err);
tide_status postgres_live_query(PGconn *connection, const char *text, sql_cells *row, void *self,
				struct tide_error *err);

#endif

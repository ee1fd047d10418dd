/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_LIVE_H
#define TIDE_CLI_LIVE_H

/* A projection tried on its database, see project/sql_live.c. */

#include "path/checkpoints.h"
#include "project/sql.h"

/** Hold the statements of a projection against the tables of its database, changing nothing; what
 * is wrong with one is told with its file and line. */
tide_status live_examine(struct tide_sql_projection *projection, struct tide_store *database,
			 sql_tell *tell, void *self, struct tide_error *err);

/** What a trial came to. */
struct live_trial {
	int64_t events; /* that were run */
	int64_t failed; /* of them */
	tide_position from, to;
	struct tide_error first; /* why the first one failed */
	tide_position first_at;
	int64_t *rows; /* changed, by statement; for tide_free */
};
/** Who is told what would be appended. */
struct live_hearer {
	sql_appended *tell;
	void *self;
};
/** Run init and then the statements for so many events behind a position, in a transaction that is
 * rolled back. */
tide_status live_try(struct tide_sql_projection *projection, struct tide_checkpoints *checkpoints,
		     tide_position after, int64_t limit, const struct live_hearer *hearer,
		     struct live_trial *ret, struct tide_error *err);

/** What is done in a transaction of a session of its own, on the native connection. */
typedef tide_status live_action(void *self, void *connection, struct tide_error *err);
/** Do it and commit; what fails is rolled back. */
tide_status live_do(struct tide_store *database, live_action *action, void *self,
		    struct tide_error *err);
/** Run a statement on the database of the read model, and commit. */
tide_status live_run(struct tide_sql_projection *projection, struct tide_store *database,
		     const char *text, struct tide_error *err);
/** Run a query on the database of the read model; what it changes is rolled back. */
tide_status live_query(struct tide_sql_projection *projection, struct tide_store *database,
		       const char *text, sql_cells *row, void *self, struct tide_error *err);

#endif

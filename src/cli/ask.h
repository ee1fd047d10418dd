/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_ASK_H
#define TIDE_CLI_ASK_H

/* Questions in SQL that both kinds of databases understand, for what only people want to know. */

#include "cli/cli.h"
#include "path/store.h"

/** A store that is asked: one of the two connections, in a transaction that reads. */
struct ask {
	struct cli *cli;
	struct tide_store *store;
	void *session;
	struct sqlite3 *sqlite; /* NULL: it is PostgreSQL */
	void *postgres;
};

/** Takes a row: its columns as text, NULL for null; false ends the question. */
typedef bool ask_row(void *self, const char *const *columns);
#define ASK_COLUMNS_MAX 8

/** Begin to ask; CLI_DONE, or said why: a memory store has no SQL. */
int ask_begin(struct ask *ask, struct cli *cli, struct tide_store *store);
/** `value` is parameter 1, NULL: there is none. CLI_DONE, or said why. */
int ask_rows(struct ask *ask, const char *sql, const char *value, ask_row *row, void *self);
/** The one number of a question. */
int ask_number(struct ask *ask, const char *sql, const char *value, int64_t *ret);
/** `sqlite` or `postgres`, whichever it is. */
static inline const char *ask_either(const struct ask *ask, const char *sqlite,
				     const char *postgres)
{
	return ask->sqlite ? sqlite : postgres;
}
void ask_end(struct ask *ask);

#endif

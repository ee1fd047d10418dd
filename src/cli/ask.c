/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "path/port.h"
#ifdef TIDE_HAVE_POSTGRES
#include "sys/libpq.h"
#endif

static int ask_fail(struct ask *ask, const char *why)
{
	struct tide_error err;
	tide_fail(&err, TIDE_IO, "the store cannot be asked: %s", why);
	err.message[strcspn(err.message, "\n")] = '\0';
	return cli_fail(ask->cli, &err);
}

int ask_begin(struct ask *ask, struct cli *cli, struct tide_store *store)
{
	const struct tide_backend *backend = store->backend;
	struct tide_error err;
	*ask = (struct ask){ .cli = cli, .store = store };
	bool is_sqlite = strcmp(backend->scheme, "sqlite") == 0;
	if (!is_sqlite && strcmp(backend->scheme, "postgresql") != 0) {
		tide_fail(&err, TIDE_UNSUPPORTED, "'%s' has no SQL to ask in",
			  tide_store_url(store));
		return cli_fail(cli, &err);
	}
	if (store_borrow(store, &ask->session, &err) != TIDE_OK)
		return cli_fail(cli, &err);

	if (!is_sqlite && port_begin(store, ask->session, &err) != TIDE_OK) {
		store_return(store, ask->session, err.status);
		ask->session = NULL;
		return cli_fail(cli, &err);
	}
	void *connection = port_connection(store, ask->session);
	if (is_sqlite)
		ask->sqlite = connection;
	else
		ask->postgres = connection;
	return CLI_DONE;
}

static int ask_sqlite(struct ask *ask, const char *sql, const char *value, ask_row *row, void *self)
{
	const char *columns[ASK_COLUMNS_MAX] = { NULL };
	sqlite3_stmt *statement = NULL;
	bool goes_on = true;
	if (sqlite3_prepare_v2(ask->sqlite, sql, -1, &statement, NULL) != SQLITE_OK)
		return ask_fail(ask, sqlite3_errmsg(ask->sqlite));
	if (value)
		sqlite3_bind_text(statement, 1, value, -1, SQLITE_STATIC);

	int code = SQLITE_ROW;
	while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(statement) && i < ASK_COLUMNS_MAX; i++)
			columns[i] = (const char *)sqlite3_column_text(statement, i);
		goes_on = row(self, columns);
	}
	int exit = code == SQLITE_ROW || code == SQLITE_DONE
			   ? CLI_DONE
			   : ask_fail(ask, sqlite3_errmsg(ask->sqlite));
	sqlite3_finalize(statement);
	return exit;
}

#ifdef TIDE_HAVE_POSTGRES
static int ask_postgres(struct ask *ask, const char *sql, const char *value, ask_row *row,
			void *self)
{
	const char *columns[ASK_COLUMNS_MAX] = { NULL };
	PGresult *rows =
		PQexecParams(ask->postgres, sql, value ? 1 : 0, NULL, &value, NULL, NULL, 0);
	bool goes_on = true;
	int exit = PQresultStatus(rows) == PGRES_TUPLES_OK
			   ? CLI_DONE
			   : ask_fail(ask, PQerrorMessage(ask->postgres));

	for (int i = 0; exit == CLI_DONE && i < PQntuples(rows) && goes_on; i++) {
		for (int j = 0; j < PQnfields(rows) && j < ASK_COLUMNS_MAX; j++)
			columns[j] = PQgetisnull(rows, i, j) ? NULL : PQgetvalue(rows, i, j);
		goes_on = row(self, columns);
	}
	PQclear(rows);
	return exit;
}
#endif

int ask_rows(struct ask *ask, const char *sql, const char *value, ask_row *row, void *self)
{
#ifdef TIDE_HAVE_POSTGRES
	if (!ask->sqlite)
		return ask_postgres(ask, sql, value, row, self);
#endif
	return ask_sqlite(ask, sql, value, row, self);
}

static bool ask_take_number(void *self, const char *const *columns)
{
	*(int64_t *)self = columns[0] ? strtoll(columns[0], NULL, 10) : 0;
	return false;
}

int ask_number(struct ask *ask, const char *sql, const char *value, int64_t *ret)
{
	*ret = 0;
	return ask_rows(ask, sql, value, ask_take_number, ret);
}

void ask_end(struct ask *ask)
{
	if (ask->session && !ask->sqlite)
		port_rollback(ask->store, ask->session);
	if (ask->session)
		store_return(ask->store, ask->session, TIDE_OK);
	ask->session = NULL;
}

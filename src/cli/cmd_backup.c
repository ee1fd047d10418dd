/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide backup: a consistent copy of a SQLite store, made while everything runs.
 *
 * Happy path: SQLite writes a new file of one moment, compact, in one read transaction; then it is
 * opened and has to have the events of that moment.
 * Failure modes: the file is there already, or the disk is full: nothing is left behind. PostgreSQL
 * has its own tools, which are named.
 */
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "sys/alloc.h"

static int backup_refuse(struct cli *cli, tide_status status, const char *why, const char *file)
{
	struct tide_error err;
	tide_fail(&err, status, "backup '%.300s': %s", file, why);
	return cli_fail(cli, &err);
}

static int backup_write(struct ask *ask, const char *file)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(ask->sqlite, "VACUUM INTO ?1", -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, file, -1, SQLITE_STATIC);
		(void)sqlite3_step(statement);
		code = sqlite3_finalize(statement);
	}
	if (code == SQLITE_OK)
		return CLI_DONE;
	int exit = backup_refuse(ask->cli, TIDE_IO, sqlite3_errmsg(ask->sqlite), file);
	(void)unlink(file);
	return exit;
}

/* The copy is a store, and ends where it says. */
static int backup_look(struct cli *cli, const char *file, tide_position *ret)
{
	char *url ALLOC_AUTO = alloc_format("sqlite:%s", file);
	struct tide_store *copy;
	struct tide_error err;
	if (!url)
		return cli_out_of_memory(cli);
	if (tide_store_open(url, TIDE_STORE_OPTIONS(.read_only = true), &copy, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	tide_status status = tide_store_end(copy, ret, &err);
	tide_store_close(copy);
	return status == TIDE_OK ? CLI_DONE : cli_fail(cli, &err);
}

static int backup_say(struct cli *cli, const char *file, tide_position end)
{
	struct buffer line = { 0 };
	if (cli->json) {
		json_open(&line, '{');
		json_key(&line, "file");
		json_string(&line, file);
		json_key(&line, "global_position");
		json_integer(&line, end);
		json_close(&line, '}');
	} else {
		buffer_format(&line, "'%s' has everything up to position %lld", file,
			      (long long)end);
	}
	return cli_line(cli, &line);
}

int cmd_backup(struct cli *cli)
{
	const char *file = cli->args[0];
	tide_position end = 0;
	struct ask ask;
	int exit;

	if (strncmp(cli->store_url, "sqlite:", 7) != 0)
		return backup_refuse(cli, TIDE_UNSUPPORTED,
				     "only of SQLite; PostgreSQL's own is pg_dump --format=custom",
				     file);
	if (access(file, F_OK) == 0 || errno != ENOENT)
		return backup_refuse(cli, TIDE_ALREADY_EXISTS, "it is there already", file);
	struct tide_store *store = cli_open(cli, true, &exit);
	if (!store)
		return exit;

	exit = ask_begin(&ask, cli, store);
	if (exit == CLI_DONE)
		exit = backup_write(&ask, file);
	ask_end(&ask);
	tide_store_close(store);
	if (exit == CLI_DONE)
		exit = backup_look(cli, file, &end);
	return exit == CLI_DONE ? backup_say(cli, file, end) : exit;
}

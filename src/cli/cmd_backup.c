/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide backup: a consistent copy of a SQLite store, made while everything runs.
 *
 * Happy path: SQLite writes a new file of one moment, compact, in one read transaction; then it is
 * opened and has to have the events of that moment.
 * Failure modes: the file is there already, or the disk is full: nothing is left behind. The file
 * is made before anything is written, so that what is removed then is never another one's.
 * PostgreSQL has its own tools, which are named.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ask.h"
#include "sys/alloc.h"

static int backup_refuse(struct cli *cli, tide_status status, const char *why, const char *file)
{
	struct tide_error err;
	tide_fail(&err, status, "backup '%.300s': %s", file, why);
	return cli_fail(cli, &err);
}

/* Empty, which SQLite takes, and for nobody who may not read the store. */
static int backup_make(struct ask *ask, const char *file)
{
	const char *store = sqlite3_db_filename(ask->sqlite, "main");
	struct stat like;
	mode_t mode = store && stat(store, &like) == 0 ? like.st_mode & 0666 : 0600;
	int made = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (made >= 0) {
		close(made);
		return CLI_DONE;
	}
	bool is_there = errno == EEXIST;
	return backup_refuse(ask->cli, is_there ? TIDE_ALREADY_EXISTS : TIDE_IO,
			     is_there ? "it is there already" : strerror(errno), file);
}

static int backup_write(struct ask *ask, const char *file)
{
	/* behind a slash SQLite takes a name as it is, also `:memory:` and `file:NAME` */
	char *path ALLOC_AUTO = alloc_format("%s%s", *file == '/' ? "" : "./", file);
	sqlite3_stmt *statement = NULL;
	if (!path)
		return cli_out_of_memory(ask->cli);
	int code = sqlite3_prepare_v2(ask->sqlite, "VACUUM INTO ?1", -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
		(void)sqlite3_step(statement);
		code = sqlite3_finalize(statement);
	}
	return code == SQLITE_OK
		       ? CLI_DONE
		       : backup_refuse(ask->cli, TIDE_IO, sqlite3_errmsg(ask->sqlite), file);
}

/* Of any name of a file; NULL: no memory. */
static char *backup_url(const char *file)
{
	struct buffer url = { 0 };
	char *text = NULL;

	buffer_format(&url, "sqlite:%s", *file == '/' ? "" : "./");
	for (; *file; file++)
		buffer_format(&url, strchr("%?", *file) ? "%%%02X" : "%c", (unsigned char)*file);
	(void)buffer_take(&url, &text, NULL);
	return text;
}

/* The copy is a store, and ends where it says. */
static int backup_look(struct cli *cli, const char *file, tide_position *ret)
{
	char *url ALLOC_AUTO = backup_url(file);
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
		json_add_string(&line, "file", file);
		json_add_integer(&line, "global_position", end);
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

	struct tide_store *store = cli_open(cli, true, &exit);
	if (!store)
		return exit;

	exit = ask_begin(&ask, cli, store);
	if (exit == CLI_DONE && !ask.sqlite)
		exit = backup_refuse(cli, TIDE_UNSUPPORTED,
				     "only of SQLite; PostgreSQL's own is pg_dump --format=custom",
				     file);
	if (exit == CLI_DONE)
		exit = backup_make(&ask, file);
	bool is_made = exit == CLI_DONE;
	if (is_made)
		exit = backup_write(&ask, file);
	ask_end(&ask);
	tide_store_close(store);

	if (exit == CLI_DONE)
		exit = backup_look(cli, file, &end);
	if (is_made && exit != CLI_DONE)
		(void)unlink(file);
	return exit == CLI_DONE ? backup_say(cli, file, end) : exit;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide project: a file of SQL kept up to date with the feed, under a manager.
 *
 * Happy path: the file is checked before anything is opened for writing; then it is followed
 * (follow.c). Failure modes: --reset is refused while somebody else runs the projection.
 */
#include <unistd.h>

#include "cli/follow.h"
#include "cli/trial.h"
#include "path/checkpoints.h"

static int project_reset(const struct follow *follow, struct tide_sql_projection *projection)
{
	const char *name = follow->subscriber->name;
	struct tide_error err;
	bool is_owned;

	if (!follow->cli->options[OPT_RESET].is_set)
		return CLI_DONE;
	if (tide_checkpoints_is_owned(follow->checkpoints, name, &is_owned, &err) != TIDE_OK)
		return cli_fail(follow->cli, &err);
	if (is_owned && !follow->cli->options[OPT_FORCE].is_set) {
		tide_fail(&err, TIDE_STATE,
			  "projection '%s' is running; stop it first, or say --force", name);
		return cli_fail(follow->cli, &err);
	}
	tide_status status = tide_sql_projection_reset(projection, follow->checkpoints, &err);
	if (status == TIDE_BUSY && is_owned)
		tide_fail(&err, TIDE_BUSY,
			  "projection '%s' was not reset, its owner%s holds the database", name,
			  cli_owner_text(follow->checkpoints, name));
	return status == TIDE_OK ? CLI_DONE : cli_fail(follow->cli, &err);
}

/* What the database itself says of an event may quote it: it is for whoever looks at a terminal and
 * asked for it. */
static void project_show_words(void *self, const struct tide_error_record *record)
{
	struct cli *cli = self;
	if (record->error_stacktrace)
		cli_note(cli, "the database says of position %lld: %s", (long long)record->position,
			 record->error_stacktrace);
}

static int project_listen(const struct follow *follow)
{
	struct tide_error err;
	int64_t id;
	if (!follow->cli->options[OPT_VERBOSE].is_set || isatty(STDERR_FILENO) != 1 ||
	    tide_manager_on_error(follow->manager, TIDE_ERRORS_ALL, 0, project_show_words,
				  follow->cli, &id, &err) == TIDE_OK)
		return CLI_DONE;
	return cli_fail(follow->cli, &err);
}

static int project_follow(struct follow *follow, struct tide_sql_projection *projection)
{
	follow->subscriber = tide_sql_projection_subscriber(projection);
	int exit = follow_open(follow);
	if (exit == CLI_DONE)
		exit = project_reset(follow, projection);
	if (exit == CLI_DONE)
		exit = follow_begin(follow);
	if (exit == CLI_DONE)
		exit = project_listen(follow);
	if (exit == CLI_DONE)
		exit = follow_run(follow);
	follow_close(follow);
	return exit;
}

int cmd_project(struct cli *cli)
{
	struct follow follow = { .cli = cli };
	struct tide_sql_projection *projection;
	const char *into = cli->options[OPT_INTO].text;
	struct tide_error err;

	int exit = trial_check(cli);
	if (exit == CLI_DONE)
		exit = follow_config(&follow);
	if (exit != CLI_DONE)
		return exit;
	if (tide_sql_projection_open(
		    TIDE_SQL_PROJECTION(.path = cli->args[0], .name = cli->options[OPT_NAME].text,
					.url = into ? into : cli->store_url,
					.accept_changes = cli->options[OPT_ACCEPT_CHANGES].is_set),
		    &projection, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	exit = cli->options[OPT_DRY_RUN].is_set ? trial_run(cli, projection)
						: project_follow(&follow, projection);
	tide_sql_projection_close(projection);
	return exit;
}

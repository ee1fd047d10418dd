/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide project --dry-run: what the statements of a projection would do.
 *
 * Happy path: they are run for some events in a transaction that is rolled back (live.c), and a
 * line tells what each has changed.
 * Failure modes: events that fail are counted, and the first is told; the status is 1 then.
 */
#include "cli/trial.h"

#include "cli/live.h"

#define TRIAL_EVENTS 100

int trial_check(struct cli *cli)
{
	static const enum cli_option others[] = { OPT_ONCE, OPT_RESET, OPT_FROM, OPT_FORCE };

	if (!cli->options[OPT_DRY_RUN].is_set)
		return cli->options[OPT_TRY_LIMIT].is_set
			       ? cli_usage(cli, "--limit needs --dry-run")
			       : CLI_DONE;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (cli->options[others[i]].is_set)
			return cli_usage(cli, "--dry-run does not go with --%s",
					 cli_options[others[i]].name);
	return CLI_DONE;
}

static int trial_tell_statement(struct cli *cli, const struct sql_script *script, size_t at,
				const struct live_trial *trial)
{
	struct buffer line = { 0 };
	int64_t rows = trial->rows[at];

	if (!cli->json) {
		buffer_format(&line, "'%s' line %zu: rows changed: %s", script->path,
			      script->statements[at].line, number_text(rows));
		return cli_line(cli, &line);
	}
	json_open(&line, '{');
	json_add_string(&line, "file", script->path);
	json_add_integer(&line, "line", (int64_t)script->statements[at].line);
	json_add_integer(&line, "rows_changed", rows);
	json_close(&line, '}');
	return cli_line(cli, &line);
}

static int trial_tell(struct cli *cli, const struct sql_script *script,
		      const struct live_trial *trial)
{
	struct tide_error err;
	int exit = CLI_DONE;

	for (size_t i = 0; i < script->section_count; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0; section->kind == SQL_ON && j < section->count; j++)
			if (exit == CLI_DONE)
				exit = trial_tell_statement(cli, script, section->first + j, trial);
	}
	cli_note(cli, "%s events behind position %lld were run, up to %lld; nothing is kept",
		 number_text(trial->events), (long long)trial->from, (long long)trial->to);
	if (exit != CLI_DONE || trial->failed == 0)
		return exit;
	tide_fail(&err, TIDE_HANDLER_PERMANENT,
		  "events that failed: %s; the first, at %lld: %.300s", number_text(trial->failed),
		  (long long)trial->first_at, trial->first.message);
	return cli_fail(cli, &err);
}

/** What is said while events are tried. */
struct trial_hearer {
	struct cli *cli;
	const char *path;
	int exit;
};

static tide_status trial_tell_append(void *self, size_t at, const char *stream, const char *type,
				     const char *payload, struct tide_error *err)
{
	struct trial_hearer *hearer = self;
	struct buffer line = { 0 };

	(void)err;
	if (hearer->cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "file", hearer->path);
		json_add_integer(&line, "line", (int64_t)at);
		json_add_string(&line, "appended_to", stream);
		json_add_string(&line, "event_type", type);
		json_key(&line, "payload");
		json_raw(&line, tide_text(payload));
		json_close(&line, '}');
	} else {
		buffer_format(&line, "'%s' line %zu: would append: %s %s %s", hearer->path, at,
			      stream, type, payload);
	}
	int exit = cli_line(hearer->cli, &line);
	hearer->exit = hearer->exit == CLI_DONE ? exit : hearer->exit;
	return TIDE_OK;
}

static int trial_make(struct cli *cli, struct tide_sql_projection *projection,
		      struct tide_checkpoints *checkpoints)
{
	const struct option_value *limit = &cli->options[OPT_TRY_LIMIT];
	struct trial_hearer hearer = { cli, projection->script.path, CLI_DONE };
	const struct live_hearer appends = { trial_tell_append, &hearer };
	struct live_trial trial;
	struct tide_error err;
	struct tide_checkpoint row;

	tide_status status = checkpoints_load_slowest(checkpoints, projection->name, &row, &err);
	if (status == TIDE_NOT_FOUND)
		row.has_position = false;
	else if (status != TIDE_OK)
		return cli_fail(cli, &err);
	status = live_try(projection, checkpoints, row.has_position ? row.position : 0,
			  limit->is_set ? limit->number : TRIAL_EVENTS, &appends, &trial, &err);
	int exit = status == TIDE_OK ? trial_tell(cli, &projection->script, &trial)
				     : cli_fail(cli, &err);
	exit = exit == CLI_DONE ? hearer.exit : exit;
	tide_free(trial.rows);
	return exit;
}

int trial_run(struct cli *cli, struct tide_sql_projection *projection)
{
	struct tide_checkpoints *checkpoints = NULL;
	int exit;

	struct tide_store *store = cli_open(cli, false, &exit);
	if (store)
		checkpoints = cli_open_checkpoints(cli, store, CLI_WRITE, &exit);
	if (checkpoints)
		exit = trial_make(cli, projection, checkpoints);
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
	return exit;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tide why: why projections are not further, from their databases alone. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "path/checkpoints.h"
#include "sys/alloc.h"

static int why_print_json(struct cli *cli, const struct tide_why *why)
{
	struct buffer line = { 0 };
	struct tide_error err;
	char *text ALLOC_AUTO = NULL;

	if (tide_why_json(why, &text, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	buffer_add(&line, text, strlen(text));
	return cli_line(cli, &line);
}

static int why_print(struct cli *cli, const char *name, struct tide_checkpoints *checkpoints)
{
	struct buffer line = { 0 };
	struct tide_error err;
	struct tide_why why;

	if (tide_checkpoints_why(checkpoints, name, &why, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (cli->json)
		return why_print_json(cli, &why);
	buffer_format(&line, "%s", why.reason);
	if (*why.advice)
		buffer_format(&line, "; %s", why.advice);
	return cli_line(cli, &line);
}

static int why_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every name that has a checkpoint, was ever owned or is paused, once. */
static int why_print_all(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	struct tide_lease_info *leases ALLOC_AUTO = NULL;
	struct tide_control *controls ALLOC_AUTO = NULL;
	struct tide_error err;
	size_t row_count = 0, lease_count = 0, control_count = 0, count = 0;

	if (tide_checkpoints_list(checkpoints, &rows, &row_count, &err) != TIDE_OK ||
	    checkpoints_leases(checkpoints, &leases, &lease_count, &err) != TIDE_OK ||
	    tide_controls_list(checkpoints, &controls, &control_count, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	const char **names ALLOC_AUTO =
		alloc_zero(row_count + lease_count + control_count + 1, sizeof *names);
	if (!names)
		return cli_out_of_memory(cli);

	for (size_t i = 0; i < row_count; i++)
		names[count++] = rows[i].projection_name;
	for (size_t i = 0; i < lease_count; i++)
		names[count++] = leases[i].name;
	for (size_t i = 0; i < control_count; i++)
		names[count++] = controls[i].name;
	qsort(names, count, sizeof *names, why_compare);

	int exit = CLI_DONE;
	for (size_t i = 0; i < count && exit == CLI_DONE; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			exit = why_print(cli, names[i], checkpoints);
	if (count == 0)
		cli_note(cli, "no projection has run here yet");
	return exit;
}

static int why_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	return cli->arg_count ? why_print(cli, cli->args[0], checkpoints)
			      : why_print_all(cli, checkpoints);
}

int cmd_why(struct cli *cli)
{
	return cli_with_checkpoints(cli, why_run, CLI_READ);
}

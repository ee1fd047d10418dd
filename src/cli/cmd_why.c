/* SPDX-License-Identifier: Apache-2.0 */
/* tide why: why projections are not further, from their databases alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "path/checkpoints.h"
#include "path/family.h"
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

/* As persons know it: of the row of a lane the name of all of them. */
static tide_status why_title(struct tide_checkpoints *checkpoints, const char *name,
			     char ret[TIDE_NAME_MAX + 1], struct tide_error *err)
{
	const char *mark = strrchr(name, '#');
	struct tide_group group = { .lanes = 0 };
	struct tide_lane lane;
	tide_status status = TIDE_OK;
	snprintf(ret, TIDE_NAME_MAX + 1, "%.*s", mark ? (int)(mark - name) : 0, name);
	if (family_has(ret, name, &lane))
		status = checkpoints_group(checkpoints, ret, &group, err);
	if (group.lanes == 0) /* or a partition by hand */
		snprintf(ret, TIDE_NAME_MAX + 1, "%s", name);
	return status;
}

/** Names that something is known of. */
struct why_names {
	char (*list)[TIDE_NAME_MAX + 1];
	size_t count;
};

static int why_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Every name that has a checkpoint, was ever owned or is paused. */
static tide_status why_names_read(struct tide_checkpoints *checkpoints, struct why_names *ret,
				  struct tide_error *err)
{
	struct tide_checkpoint *rows ALLOC_AUTO = NULL;
	struct tide_lease_info *leases ALLOC_AUTO = NULL;
	struct tide_control *controls ALLOC_AUTO = NULL;
	size_t row_count = 0, lease_count = 0, control_count = 0;
	tide_status status = tide_checkpoints_list(checkpoints, &rows, &row_count, err);
	if (status == TIDE_OK)
		status = checkpoints_leases(checkpoints, &leases, &lease_count, err);
	if (status == TIDE_OK)
		status = tide_controls_list(checkpoints, &controls, &control_count, err);
	if (status != TIDE_OK)
		return status;
	ret->list = alloc_zero(row_count + lease_count + control_count + 1, sizeof *ret->list);
	if (!ret->list)
		return alloc_fail(err);

	for (size_t i = 0; i < row_count && status == TIDE_OK; i++)
		status = why_title(checkpoints, rows[i].projection_name, ret->list[ret->count++],
				   err);
	for (size_t i = 0; i < lease_count && status == TIDE_OK; i++)
		status = why_title(checkpoints, leases[i].name, ret->list[ret->count++], err);
	for (size_t i = 0; i < control_count && status == TIDE_OK; i++)
		status = why_title(checkpoints, controls[i].name, ret->list[ret->count++], err);
	qsort(ret->list, ret->count, sizeof *ret->list, why_compare);
	return status;
}

static int why_print_all(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct why_names names = { .count = 0 };
	struct tide_error err;
	int exit = CLI_DONE;
	tide_status status = why_names_read(checkpoints, &names, &err);
	if (status != TIDE_OK)
		exit = cli_fail(cli, &err);
	else if (names.count == 0)
		cli_note(cli, "no projection has run here yet");
	for (size_t i = 0; i < names.count && exit == CLI_DONE; i++)
		if (i == 0 || strcmp(names.list[i], names.list[i - 1]) != 0)
			exit = why_print(cli, names.list[i], checkpoints);
	tide_free(names.list);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide handle: a program that gets events as lines and answers each, under a manager.
 *
 * Happy path: it is followed like any projection (follow.c); the program is started with its first
 * event. Failure modes: a program that is not there is told before anything is opened.
 */
#include "cli/follow.h"
#include "project/command.h"

static int handle_open(struct follow *follow, struct tide_command_projection **ret)
{
	struct cli *cli = follow->cli;
	const struct option_value *window = &cli->options[OPT_WINDOW];
	struct tide_error err;

	if (!cli->options[OPT_NAME].is_set)
		return cli_usage(cli, "handle needs --name, that of its checkpoint");
	if (window->is_set && cli->options[OPT_BATCH].is_set)
		return cli_usage(cli, "--window does not go with --batch");
	if (window->is_set && window->number > follow->config.max_in_flight)
		return cli_usage(cli, "--window '%s' is more than the %lld events read ahead",
				 window->text, (long long)follow->config.max_in_flight);
	if (window->is_set && window->number > follow->config.batch_size)
		return cli_usage(cli, "--window '%s' is more than a page, --batch-size %lld",
				 window->text, (long long)follow->config.batch_size);
	if (command_find(cli->args[0], &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (tide_command_projection_open(
		    TIDE_COMMAND_PROJECTION(.name = cli->options[OPT_NAME].text,
					    .arguments = (const char *const *)cli->args,
					    .event_types = cli->options[OPT_TYPE].texts,
					    .window = window->is_set ? window->number : 0,
					    .batch = cli->options[OPT_BATCH].is_set,
					    .max_process_deaths =
						    follow->config.max_process_deaths),
		    ret, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	return CLI_DONE;
}

int cmd_handle(struct cli *cli)
{
	struct follow follow = { .cli = cli };
	struct tide_command_projection *projection;

	int exit = follow_config(&follow);
	if (exit == CLI_DONE)
		exit = handle_open(&follow, &projection);
	if (exit != CLI_DONE)
		return exit;
	follow.subscriber = tide_command_projection_subscriber(projection);
	exit = follow_open(&follow);
	if (exit == CLI_DONE)
		exit = follow_begin(&follow);
	if (exit == CLI_DONE)
		exit = follow_run(&follow);
	follow_close(&follow);
	tide_command_projection_close(projection);
	return exit;
}

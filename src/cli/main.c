/* SPDX-License-Identifier: Apache-2.0 */
/* `tide`: find the command, run it, and make sure that what it printed has arrived. */
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>

#include <tidemark/version.h>

#include "cli/completion.h"

/* Here and nowhere below, so that what commands need does not need the commands. */
/* clang-format off */
static int (*const main_commands[COMMAND_COUNT])(struct cli *cli) = {
#define COMMAND(id, name, run, arguments, fewest, most, summary, text) [COMMAND_##id] = run,
#include "cli/commands.def"
#undef COMMAND
};
/* clang-format on */

static int main_run(struct cli *cli)
{
	if (cli->options[OPT_HELP].is_set) {
		if (cli->command == COMMAND_NONE)
			help_print(stdout);
		else
			help_print_command(stdout, cli->command);
		return CLI_DONE;
	}

	if (cli->options[OPT_VERSION].is_set)
		return cmd_version(cli);
	if (cli->command == COMMAND_NONE) {
		help_print(stderr);
		return CLI_USAGE;
	}

	static const enum tide_log_level levels[] = { TIDE_LOG_WARNING, TIDE_LOG_INFO,
						      TIDE_LOG_DEBUG };
	int verbose = cli->options[OPT_VERBOSE].times;
	tide_log_set(cli_log, cli, levels[verbose < 2 ? verbose : 2]);
	return main_commands[cli->command](cli);
}

/* Debian's usual limit of 1024 is less than a few hundred projections on SQLite need; what more is
 * allowed costs nothing. */
static void main_raise_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	struct tide_error err;

	main_raise_files();
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its write */
	int exit = options_parse(&cli, argc, argv);
	if (exit == CLI_DONE)
		exit = main_run(&cli);
	/* an earlier write that failed has left its mark on the stream, not its reason */
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && exit == CLI_DONE) {
		int why = cli.output_error ? cli.output_error : errno;
		tide_fail(&err, TIDE_IO, "standard output: %s",
			  why ? strerror(why) : "not everything has arrived");
		exit = cli_fail(&cli, &err);
	}
	options_fini(&cli);
	return exit;
}

static int help_complete(struct cli *cli)
{
	static void (*const writers[])(const struct completion *) = {
		completion_bash, completion_zsh, completion_fish, /* as the option names them */
	};
	const struct completion completion = { stdout, cli_options, cli_commands };
	int shell;

	int exit = option_choice(cli, OPT_COMPLETION, &shell);
	if (exit == CLI_DONE)
		writers[shell](&completion);
	return exit;
}

int cmd_help(struct cli *cli)
{
	if (cli->options[OPT_COMPLETION].is_set)
		return help_complete(cli);
	if (cli->options[OPT_MAN].is_set) {
		help_print_man(stdout);
		return CLI_DONE;
	}

	if (cli->arg_count == 0) {
		help_print(stdout);
		return CLI_DONE;
	}

	for (int i = 0; i < COMMAND_NONE; i++) {
		if (strcmp(cli_commands[i].name, cli->args[0]) == 0) {
			help_print_command(stdout, (enum cli_command)i);
			return CLI_DONE;
		}
	}
	return cli_unknown_command(cli, cli->args[0]);
}

int cmd_version(struct cli *cli)
{
	struct buffer line = { 0 };

	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "version", TIDE_VERSION_TEXT);
		json_add_string(&line, "sqlite", sqlite3_libversion());
		json_close(&line, '}');
	} else {
		buffer_format(&line, "tide %s (SQLite %s)", TIDE_VERSION_TEXT,
			      sqlite3_libversion());
	}
	return cli_line(cli, &line);
}

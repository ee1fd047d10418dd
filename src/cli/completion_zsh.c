/* SPDX-License-Identifier: Apache-2.0 */
/* Completion in zsh: a function for _arguments, with what each option does beside it. */
#include "cli/completion.h"

#include <string.h>

static const char zsh_head[] =
	"#compdef tide\n"
	"# zsh completion of tide, as `tide help --completion zsh` writes it\n"
	"\n"
	"_tide_stores()\n"
	"{\n"
	"\tif compset -P 'sqlite:'; then\n"
	"\t\t_files\n"
	"\telse\n"
	"\t\tcompadd -S '' -- sqlite: postgresql:// memory:\n"
	"\tfi\n"
	"}\n"
	"\n";

/* What may follow: `:message:action`. */
static void zsh_print_kind(const struct completion *completion, enum completion_kind kind,
			   const char *name, const char *words)
{
	static const char *const actions[] = { " ", "", "_tide_commands", "_files",
					       "_tide_stores" };

	fputc(':', completion->out);
	completion_quote(completion->out, name, ":\\");
	if (kind == COMPLETION_WORDS)
		fprintf(completion->out, ":(%s)", words);
	else
		fprintf(completion->out, ":%s", actions[kind]);
}

static void zsh_print_name(const struct completion *completion, int option, bool is_long)
{
	const struct option_info *info = &completion->options[option];
	bool may_repeat = info->kind == OPTION_LIST || strcmp(info->name, "verbose") == 0;
	char words[128];

	fputs("\t\t\t'", completion->out);
	if (may_repeat)
		fputc('*', completion->out);
	else if (info->letter)
		fprintf(completion->out, "(-%c --%s)", info->letter, info->name);
	if (is_long)
		fprintf(completion->out, "--%s%s[", info->name, info->argument ? "=" : "");
	else
		fprintf(completion->out, "-%c%s[", info->letter, info->argument ? "+" : "");
	completion_quote(completion->out, info->help, "[]\\");
	fputc(']', completion->out);
	if (info->argument) {
		enum completion_kind kind = completion_of_option(completion, option, words);
		zsh_print_kind(completion, kind, info->argument, words);
	}
	fputs("' \\\n", completion->out);
}

static void zsh_print_options(const struct completion *completion, int command)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (!(completion->options[i].commands & (1u << command)))
			continue;
		if (completion->options[i].letter)
			zsh_print_name(completion, i, false);
		zsh_print_name(completion, i, true);
	}
}

static void zsh_print_places(const struct completion *completion, int command)
{
	const struct command_info *info = &completion->commands[command];
	char words[128];

	for (int place = 0; place < 2; place++) {
		enum completion_kind kind = completion_of_place(completion, command, place, words);
		if (kind == COMPLETION_NOTHING)
			continue;
		fprintf(completion->out, "\t\t\t'%d", place + 1);
		zsh_print_kind(completion, kind, info->name, words);
		fputs("' \\\n", completion->out);
	}
}

static void zsh_print_commands(const struct completion *completion)
{
	fputs("_tide_commands()\n{\n\tlocal -a commands=(\n", completion->out);
	for (int i = 0; i < COMMAND_NONE; i++) {
		fprintf(completion->out, "\t\t'%s:", completion->commands[i].name);
		completion_quote(completion->out, completion->commands[i].summary, ":\\");
		fputs("'\n", completion->out);
	}
	fputs("\t)\n\t_describe -t commands command commands\n}\n\n", completion->out);
}

void completion_zsh(const struct completion *completion)
{
	fputs(zsh_head, completion->out);
	zsh_print_commands(completion);
	fputs("_tide()\n{\n\tlocal curcontext=$curcontext state state_descr line\n\ttypeset -A "
	      "opt_args\n"
	      "\t_arguments -C \\\n",
	      completion->out);
	zsh_print_options(completion, COMMAND_NONE);
	fputs("\t\t\t'1:command:_tide_commands' \\\n\t\t\t'*::argument:->arguments' && return\n"
	      "\t[[ $state == arguments ]] || return\n"
	      "\tcase $line[1] in\n",
	      completion->out);
	for (int command = 0; command < COMMAND_NONE; command++) {
		fprintf(completion->out, "\t%s)\n\t\t_arguments \\\n",
			completion->commands[command].name);
		zsh_print_options(completion, command);
		zsh_print_places(completion, command);
		fputs("\t\t\t&& return\n\t\t;;\n", completion->out);
	}
	fputs("\tesac\n}\n\n_tide \"$@\"\n", completion->out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Completion in bash. It needs nothing of the package bash-completion but the place of its file. */
#include "cli/completion.h"

static const char bash_head[] =
	"# bash completion of tide, as `tide help --completion bash` writes it\n"
	"\n";

static const char bash_tail[] =
	"# The words of the line up to the cursor as tide will see them: readline takes = and :\n"
	"# for words of their own.\n"
	"_tide_split()\n"
	"{\n"
	"\tlocal i part glue=\n"
	"\tparts=()\n"
	"\tfor ((i = 1; i <= COMP_CWORD; i++)); do\n"
	"\t\tpart=${COMP_WORDS[i]}\n"
	"\t\tif [[ ${#parts[@]} -gt 0 && (-n $glue || $part == [=:]*) ]]; then\n"
	"\t\t\tparts[${#parts[@]}-1]+=$part\n"
	"\t\telse\n"
	"\t\t\tparts+=(\"$part\")\n"
	"\t\tfi\n"
	"\t\tglue=\n"
	"\t\t[[ $part == *[=:] ]] && glue=1\n"
	"\tdone\n"
	"}\n"
	"\n"
	"# What may stand for the word.\n"
	"_tide_offer()\n"
	"{\n"
	"\tlocal prefix=${raw%\"$word\"}\n"
	"\t[[ $prefix == [=:] ]] && prefix=\n"
	"\tcase $kind in\n"
	"\twords)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -P \"$prefix\" -W \"$words\" -- \"$word\")\n"
	"\t\t;;\n"
	"\tfiles)\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -P \"$prefix\" -f -- \"$word\")\n"
	"\t\t;;\n"
	"\tstores)\n"
	"\t\tif [[ $word == sqlite:* ]]; then\n"
	"\t\t\tword=${word#sqlite:} kind=files\n"
	"\t\t\t_tide_offer\n"
	"\t\telse\n"
	"\t\t\tcompopt -o nospace 2>/dev/null\n"
	"\t\t\twords='sqlite: postgresql:// memory:' kind=words\n"
	"\t\t\t_tide_offer\n"
	"\t\tfi\n"
	"\t\t;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"_tide()\n"
	"{\n"
	"\tlocal command= place=0 before= raw=${COMP_WORDS[COMP_CWORD]} word kind words part\n"
	"\tlocal -a parts\n"
	"\tCOMPREPLY=()\n"
	"\t_tide_split\n"
	"\tword=${parts[${#parts[@]}-1]}\n"
	"\tunset \"parts[${#parts[@]}-1]\"\n"
	"\tfor part in \"${parts[@]}\"; do\n"
	"\t\tif [[ -n $before ]]; then\n"
	"\t\t\tbefore=\n"
	"\t\telif [[ $part == -* ]]; then\n"
	"\t\t\t_tide_argument \"$command\" \"$part\" && before=$part\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\tcommand=$part\n"
	"\t\telse\n"
	"\t\t\tplace=$((place + 1))\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ -z $before && $word == --*=* ]]; then\n"
	"\t\tbefore=${word%%=*} word=${word#*=}\n"
	"\tfi\n"
	"\tif [[ -n $before ]]; then\n"
	"\t\t_tide_argument \"$command\" \"$before\"\n"
	"\telif [[ $word == -* ]]; then\n"
	"\t\t_tide_options \"$command\"\n"
	"\telse\n"
	"\t\t_tide_place \"$command\" \"$place\"\n"
	"\tfi\n"
	"\t_tide_offer\n"
	"}\n"
	"complete -F _tide tide\n";

static const char *bash_command(const struct completion *completion, int command)
{
	return command == COMMAND_NONE ? "" : completion->commands[command].name;
}

static void bash_print_commands(const struct completion *completion)
{
	for (int i = 0; i < COMMAND_NONE; i++)
		fprintf(completion->out, "%s%s", i ? " " : "", completion->commands[i].name);
}

static void bash_print_kind(const struct completion *completion, enum completion_kind kind,
			    const char *words)
{
	static const char *const names[] = { "", "words", "words", "files", "stores" };

	fprintf(completion->out, "kind=%s words='", names[kind]);
	if (kind == COMPLETION_COMMANDS)
		bash_print_commands(completion);
	else
		fputs(words, completion->out);
	fputs("' ;;\n", completion->out);
}

static void bash_print_argument(const struct completion *completion, int command, int option)
{
	const struct option_info *info = &completion->options[option];
	const char *of = command == COMMAND_NONE ? "*" : completion->commands[command].name;
	char words[128];

	fprintf(completion->out, "\t%s:--%s", of, info->name);
	if (info->letter)
		fprintf(completion->out, " | %s:-%c", of, info->letter);
	fputs(") ", completion->out);
	enum completion_kind kind = completion_of_option(completion, option, words);
	bash_print_kind(completion, kind, words);
}

static void bash_print_arguments(const struct completion *completion)
{
	fputs("# What the option of a command takes; 1: nothing.\n"
	      "_tide_argument() # COMMAND OPTION\n{\n\tcase $1:$2 in\n",
	      completion->out);
	for (int command = 0; command < COMMAND_COUNT; command++)
		for (int i = 0; i < OPT_COUNT; i++)
			if (completion_has(completion, command, i) &&
			    completion->options[i].argument)
				bash_print_argument(completion, command, i);
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n", completion->out);
}

static void bash_print_options(const struct completion *completion)
{
	fputs("_tide_options() # COMMAND\n{\n\tkind=words words=\n\tcase $1 in\n", completion->out);
	for (int command = 0; command < COMMAND_COUNT; command++) {
		fprintf(completion->out, "\t'%s') words='", bash_command(completion, command));
		for (int i = 0; i < OPT_COUNT; i++)
			if (completion->options[i].commands & (1u << command))
				fprintf(completion->out, "--%s ", completion->options[i].name);
		fputs("' ;;\n", completion->out);
	}
	fputs("\tesac\n}\n\n", completion->out);
}

static void bash_print_places(const struct completion *completion)
{
	char words[128];

	fputs("_tide_place() # COMMAND PLACE\n{\n\tkind= words=\n\tcase $1:$2 in\n\t:0) kind=words "
	      "words='",
	      completion->out);
	bash_print_commands(completion);
	fputs("' ;;\n", completion->out);
	for (int command = 0; command < COMMAND_NONE; command++) {
		for (int place = 0; place < 2; place++) {
			enum completion_kind kind =
				completion_of_place(completion, command, place, words);
			if (kind == COMPLETION_NOTHING)
				continue;
			fprintf(completion->out, "\t%s:%d) ", completion->commands[command].name,
				place);
			bash_print_kind(completion, kind, words);
		}
	}
	fputs("\tesac\n}\n\n", completion->out);
}

void completion_bash(const struct completion *completion)
{
	fputs(bash_head, completion->out);
	bash_print_arguments(completion);
	bash_print_options(completion);
	bash_print_places(completion);
	fputs(bash_tail, completion->out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Completion in fish: a line an option, offered where its command is. */
#include "cli/completion.h"

static const char fish_head[] =
	"# fish completion of tide, as `tide help --completion fish` writes it\n"
	"\n"
	"function __tide_stores\n"
	"\tset -l word (commandline -ct | string replace -r '^--[a-z-]+=' '')\n"
	"\tif string match -q 'sqlite:*' -- $word\n"
	"\t\tprintf 'sqlite:%s\\n' (__fish_complete_path (string replace sqlite: '' -- $word))\n"
	"\telse\n"
	"\t\tprintf '%s\\n' sqlite: postgresql:// memory:\n"
	"\tend\n"
	"end\n"
	"\n"
	"# The command and its arguments up to the word at the cursor, without options and what "
	"those take.\n"
	"function __tide_words\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l command ''\n"
	"\tset -l is_value 0\n"
	"\tset -e words[1]\n"
	"\tfor word in $words\n"
	"\t\tif test $is_value = 1\n"
	"\t\t\tset is_value 0\n"
	"\t\t\tcontinue\n"
	"\t\tend\n"
	"\t\tswitch \"$command:$word\"\n";

static const char fish_middle[] = "\t\t\t\tset is_value 1\n"
				  "\t\t\tcase '*:-*'\n"
				  "\t\t\tcase '*'\n"
				  "\t\t\t\techo $word\n"
				  "\t\t\t\ttest -z \"$command\"; and set command $word\n"
				  "\t\tend\n"
				  "\tend\n"
				  "end\n"
				  "\n"
				  "function __tide_in # COMMAND\n"
				  "\tset -l words (__tide_words)\n"
				  "\ttest \"$words[1]\" = $argv[1]\n"
				  "end\n"
				  "\n"
				  "function __tide_at # COUNT of words before\n"
				  "\tset -l words (__tide_words)\n"
				  "\ttest (count $words) = $argv[1]\n"
				  "end\n"
				  "\n"
				  "complete -c tide -f\n";

static void fish_print_valued(const struct completion *completion)
{
	fputs("\t\t\tcase", completion->out);
	for (int command = 0; command < COMMAND_COUNT; command++) {
		const char *of = command == COMMAND_NONE ? "*" : completion->commands[command].name;
		for (int i = 0; i < OPT_COUNT; i++) {
			const struct option_info *info = &completion->options[i];
			if (!completion_has(completion, command, i) || !info->argument)
				continue;
			fprintf(completion->out, " '%s:--%s'", of, info->name);
			if (info->letter)
				fprintf(completion->out, " '%s:-%c'", of, info->letter);
		}
	}
	fputc('\n', completion->out);
}

static void fish_print_kind(const struct completion *completion, enum completion_kind kind,
			    const char *words)
{
	switch (kind) {
	case COMPLETION_NOTHING:
		break;
	case COMPLETION_WORDS:
		fprintf(completion->out, " -a '%s'", words);
		break;
	case COMPLETION_COMMANDS:
		fputs(" -a '", completion->out);
		for (int i = 0; i < COMMAND_NONE; i++)
			fprintf(completion->out, "%s%s", i ? " " : "",
				completion->commands[i].name);
		fputc('\'', completion->out);
		break;
	case COMPLETION_FILES:
		fputs(" -F", completion->out);
		break;
	case COMPLETION_STORES:
		fputs(" -a '(__tide_stores)'", completion->out);
		break;
	}
}

static void fish_print_option(const struct completion *completion, int command, int option)
{
	const struct option_info *info = &completion->options[option];
	char words[128];

	fputs("complete -c tide", completion->out);
	if (info->commands == 1u << COMMAND_NONE)
		fputs(" -n '__tide_at 0'", completion->out);
	else if (command != COMMAND_NONE)
		fprintf(completion->out, " -n '__tide_in %s'", completion->commands[command].name);
	if (info->letter)
		fprintf(completion->out, " -s %c", info->letter);
	fprintf(completion->out, " -l %s", info->name);
	if (info->argument) {
		enum completion_kind kind = completion_of_option(completion, option, words);
		fputs(kind == COMPLETION_FILES ? " -r" : " -x", completion->out);
		fish_print_kind(completion, kind, words);
	}
	fputs(" -d '", completion->out);
	completion_quote(completion->out, info->help, "\\");
	fputs("'\n", completion->out);
}

static void fish_print_command(const struct completion *completion, int command)
{
	const struct command_info *info = &completion->commands[command];
	char words[128];

	fprintf(completion->out, "\ncomplete -c tide -n '__tide_at 0' -a %s -d '", info->name);
	completion_quote(completion->out, info->summary, "\\");
	fputs("'\n", completion->out);
	for (int place = 0; place < 2; place++) {
		enum completion_kind kind = completion_of_place(completion, command, place, words);
		if (kind == COMPLETION_NOTHING)
			continue;
		fprintf(completion->out, "complete -c tide -n '__tide_in %s; and __tide_at %d'",
			info->name, place + 1);
		fish_print_kind(completion, kind, words);
		fputc('\n', completion->out);
	}
}

void completion_fish(const struct completion *completion)
{
	fputs(fish_head, completion->out);
	fish_print_valued(completion);
	fputs(fish_middle, completion->out);
	for (int command = 0; command < COMMAND_COUNT; command++) {
		if (command != COMMAND_NONE)
			fish_print_command(completion, command);
		for (int i = 0; i < OPT_COUNT; i++)
			if (completion_has(completion, command, i))
				fish_print_option(completion, command, i);
	}
}

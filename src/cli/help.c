/* SPDX-License-Identifier: Apache-2.0 */
/* Help and the manual page, both written from the tables of commands and options. */
#include <string.h>

#include <tidemark/version.h>

#include "cli/cli.h"
#include "cli/terminal.h"

static void help_print_options(FILE *out, enum cli_command command, bool are_global)
{
	size_t width = terminal_width(out), indent = width > 0 && width < 80 ? 24 : 30;

	for (int i = 0; i < OPT_COUNT; i++) {
		const struct option_info *info = &cli_options[i];
		bool is_global = info->commands & (1u << COMMAND_NONE);
		char name[64], letter[5] = "    ";
		if (!(info->commands & (1u << command)) || is_global != are_global)
			continue;
		if (info->letter)
			snprintf(letter, sizeof letter, "-%c, ", info->letter);
		int size = snprintf(name, sizeof name, "  %s--%s %s", letter, info->name,
				    info->argument ? info->argument : "");
		bool has_room = (size_t)size < indent;
		fprintf(out, "%-*s", has_room ? (int)indent : 0, name);
		terminal_wrap(out, info->help, indent, has_room ? indent : indent + 1);
	}
}

/* `0 done, 1 failed` and so on. */
#define EXIT(id, number, word, text) #number " " word ", "
#define EXIT_OF(status, id)
static const char help_exit_words[] =
#include "cli/exits.def"
	;
#undef EXIT
#undef EXIT_OF

void help_print(FILE *out)
{
	char exits[sizeof help_exit_words];

	snprintf(exits, sizeof exits, "%.*s", (int)(sizeof help_exit_words - 3), help_exit_words);

	fputs("usage: tide [--store URL] [--json] COMMAND ...\n\n", out);
	terminal_wrap(out, "An event store and durable projections, in one file or one database.",
		      0, 0);
	fputs("\ncommands:\n", out);
	for (int i = 0; i < COMMAND_NONE; i++) {
		int size = fprintf(out, "  %s", cli_commands[i].name);
		terminal_wrap(out, cli_commands[i].summary, 16, (size_t)size);
	}
	fputs("\noptions of every command:\n", out);
	help_print_options(out, COMMAND_NONE, true);
	fputs("\nstores: sqlite:FILE, postgresql://..., memory:\n", out);
	terminal_wrap(out, exits, 13, (size_t)fprintf(out, "exit status: "));
	fputs("'tide COMMAND --help' explains a command.\n", out);
}

static bool help_has_options(enum cli_command command)
{
	for (int i = 0; i < OPT_COUNT; i++)
		if (cli_options[i].commands & (1u << command) &&
		    !(cli_options[i].commands & (1u << COMMAND_NONE)))
			return true;
	return false;
}

void help_print_command(FILE *out, enum cli_command command)
{
	const struct command_info *info = &cli_commands[command];

	char synopsis[256];

	snprintf(synopsis, sizeof synopsis, "tide %s%s%s%s", info->name,
		 help_has_options(command) ? " [OPTION...]" : "", *info->arguments ? " " : "",
		 info->arguments);
	terminal_wrap(out, synopsis, 7, (size_t)fprintf(out, "usage: "));
	fputc('\n', out);
	terminal_wrap(out, info->text, 0, 0);
	if (help_has_options(command)) {
		fputs("\noptions:\n", out);
		help_print_options(out, command, false);
	}
	fputs("\noptions of every command:\n", out);
	help_print_options(out, command, true);
}

/* Troff takes a leading dot or quote for a request, a backslash for an escape and a hyphen for a
 * dash. */
static void help_troff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\n')
			fputs("\n.PP\n", out);
		else
			fputc(*text, out);
	}
}

static void help_troff_options(FILE *out, enum cli_command command, bool are_global)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct option_info *info = &cli_options[i];
		bool is_global = info->commands & (1u << COMMAND_NONE);
		if (!(info->commands & (1u << command)) || is_global != are_global)
			continue;
		fputs(".TP\n\\fB", out);
		if (info->letter)
			fprintf(out, "\\-%c\\fR, \\fB", info->letter);
		fputs("\\-\\-", out);
		help_troff(out, info->name);
		fputs("\\fR", out);
		if (info->argument)
			fprintf(out, " \\fI%s\\fR", info->argument);
		fputc('\n', out);
		help_troff(out, info->help);
		fputs(".\n", out);
	}
}

static void help_troff_command(FILE *out, enum cli_command command)
{
	const struct command_info *info = &cli_commands[command];

	fputs(".SS tide ", out);
	help_troff(out, info->name);
	fputs("\n.B tide ", out);
	help_troff(out, info->name);
	fputs(help_has_options(command) ? " [\\fIOPTION\\fR...] " : " ", out);
	help_troff(out, info->arguments);
	fputs("\n.PP\n", out);
	help_troff(out, info->text);
	fputc('\n', out);
	help_troff_options(out, command, false);
}

static void help_troff_exit(FILE *out, int number, const char *word, const char *text)
{
	fprintf(out, ".TP\n%d\n%s: ", number, word);
	help_troff(out, text);
	fputc('\n', out);
}

static void help_troff_exits(FILE *out)
{
#define EXIT(id, number, word, text) help_troff_exit(out, number, word, text);
#define EXIT_OF(status, id)
#include "cli/exits.def"
#undef EXIT
#undef EXIT_OF
}

void help_print_man(FILE *out)
{
	fprintf(out, ".TH TIDE 1 \"2026-11-22\" \"Tidemark %s\" \"Tidemark\"\n", TIDE_VERSION_TEXT);
	fputs(".SH NAME\ntide \\- an event store and durable projections on the command line\n"
	      ".SH SYNOPSIS\n.B tide\n[\\fB\\-\\-store\\fR \\fIURL\\fR] [\\fB\\-\\-json\\fR] "
	      "\\fICOMMAND\\fR ...\n"
	      ".SH DESCRIPTION\n"
	      "Appends events to streams, reads and follows them, and keeps read models up to date "
	      "with files of SQL.\n"
	      "On a terminal a row of a table is one line, cut at the terminal's width; "
	      "\\fB\\-\\-wide\\fR shows all "
	      "of it.\n"
	      "For what takes long, a progress bar is on standard error when that is a terminal.\n"
	      "With \\fB\\-\\-json\\fR it writes one JSON object a line.\n"
	      ".SH OPTIONS OF EVERY COMMAND\n",
	      out);
	help_troff_options(out, COMMAND_NONE, true);
	fputs(".SH COMMANDS\n", out);

	for (int i = 0; i < COMMAND_NONE; i++)
		help_troff_command(out, (enum cli_command)i);
	fputs(".SH STORES\n.TP\n\\fBsqlite:\\fIFILE\\fR\none file; any number of processes on one "
	      "machine may use it.\n"
	      ".TP\n\\fBpostgresql://\\fIHOST\\fR/\\fIDATABASE\\fR\na PostgreSQL database, as "
	      "libpq names it.\n"
	      ".TP\n\\fBmemory:\\fR\nnothing is kept; for trying things.\n"
	      ".SH ENVIRONMENT\n.TP\n.B TIDE_STORE\nthe store when \\fB\\-\\-store\\fR is not "
	      "given.\n"
	      ".TP\n.B NO_COLOR\nwhen it is set and not empty, terminals are shown no colours.\n"
	      ".TP\n.B TERM\nwhen it is \\fBdumb\\fR or absent, terminals are shown no colours and "
	      "no progress.\n"
	      ".SH EXIT STATUS\n",
	      out);
	help_troff_exits(out);
	fputs(".SH EXAMPLES\n.nf\n"
	      "tide init\n"
	      "tide append Order/name:1001 OrderPlaced '{\"total\": 100}'\n"
	      "tide read \\-\\-type OrderPlaced\n"
	      "tide project orders.sql \\-\\-once\n"
	      "tide lag\n"
	      ".fi\n",
	      out);
}

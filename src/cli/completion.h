/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_COMPLETION_H
#define TIDE_CLI_COMPLETION_H

/*
 * What a shell needs to complete a call of `tide`, written from the tables of commands and options.
 *
 * No completion runs `tide`: what is in a store is not offered, and a key pressed opens none.
 */

#include <stdio.h>

#include "cli/cli.h"

/** Where the script goes, and the tables it is made from. */
struct completion {
	FILE *out;
	const struct option_info *options;
	const struct command_info *commands;
};

/** What stands in one place of a call. */
enum completion_kind {
	COMPLETION_NOTHING, /* anything: a shell cannot know */
	COMPLETION_WORDS,   /* one of a few words */
	COMPLETION_COMMANDS,
	COMPLETION_FILES,
	COMPLETION_STORES
};

void completion_bash(const struct completion *completion);
void completion_zsh(const struct completion *completion);
void completion_fish(const struct completion *completion);

/* ---- completion.c: what the tables say ---- */

/** An option belongs to a command, and to no other only because it belongs to all. */
bool completion_has(const struct completion *completion, int command, int option);
bool completion_is_global(const struct completion *completion, int option);
/** What an option takes; for words, `words` are those, with spaces between. */
enum completion_kind completion_of_option(const struct completion *completion, int option,
					  char words[128]);
/** The same of the arguments of a command, of which `place` is 0, 1 and so on. */
enum completion_kind completion_of_place(const struct completion *completion, int command,
					 int place, char words[128]);
/** Write text inside a shell's single quotes; each of `special` gets a backslash. */
void completion_quote(FILE *out, const char *text, const char *special);

#endif

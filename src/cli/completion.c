/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tables of options and commands say about what stands where.
 *
 * An argument that is written `any|none|N` is one of the words in small letters; FILE, CONFIG, URL
 * and COMMAND are what they are called, and of everything else a shell knows nothing.
 */
#include "cli/completion.h"

#include <ctype.h>
#include <string.h>

bool completion_is_global(const struct completion *completion, int option)
{
	return completion->options[option].commands & (1u << COMMAND_NONE);
}

bool completion_has(const struct completion *completion, int command, int option)
{
	return completion->options[option].commands & (1u << command) &&
	       (command == COMMAND_NONE || !completion_is_global(completion, option));
}

static enum completion_kind completion_of_name(const char *name, size_t size)
{
	static const struct {
		const char *name;
		enum completion_kind kind;
	} kinds[] = { { "FILE", COMPLETION_FILES },
		      { "CONFIG", COMPLETION_FILES },
		      { "URL", COMPLETION_STORES },
		      { "COMMAND", COMPLETION_COMMANDS } };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strlen(kinds[i].name) == size && strncmp(kinds[i].name, name, size) == 0)
			return kinds[i].kind;
	return COMPLETION_NOTHING;
}

/* The words in small letters that begin a part of `one|two THREE|N`. */
static enum completion_kind completion_of_choice(const char *text, char words[128])
{
	size_t used = 0;

	for (const char *at = text; at; at = strchr(at, '|')) {
		at += strspn(at, "[| ");
		size_t size = strcspn(at, "]| ");
		if (!islower((unsigned char)*at) || used + size + 2 > 128)
			continue;
		if (used > 0)
			words[used++] = ' ';
		memcpy(words + used, at, size);
		used += size;
	}
	words[used] = '\0';
	return used > 0 ? COMPLETION_WORDS : COMPLETION_NOTHING;
}

enum completion_kind completion_of_option(const struct completion *completion, int option,
					  char words[128])
{
	const char *argument = completion->options[option].argument;

	*words = '\0';
	if (!argument)
		return COMPLETION_NOTHING;
	return strchr(argument, '|') ? completion_of_choice(argument, words)
				     : completion_of_name(argument, strlen(argument));
}

enum completion_kind completion_of_place(const struct completion *completion, int command,
					 int place, char words[128])
{
	const char *at = completion->commands[command].arguments;

	*words = '\0';
	if (strchr(at, '|'))
		return place == 0 ? completion_of_choice(at, words) : COMPLETION_NOTHING;
	for (; place > 0 && *at; place--) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	at += strspn(at, "[");
	return completion_of_name(at, strcspn(at, "] "));
}

void completion_quote(FILE *out, const char *text, const char *special)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			fputc('\\', out);
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	}
}

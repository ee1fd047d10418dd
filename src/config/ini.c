/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of an INI file: `[section]`, `key = value`, and comments, which are lines of their own that
 * begin with # or ;. Lines may be as long as they like, and every one that is none of these is a
 * problem of its own.
 */
#include <string.h>

#include "config/config.h"
#include "core/text.h"

#define INI_BLANKS " \t\r"

/* Without the blanks around it. */
static char *ini_trim(char *text)
{
	text += strspn(text, INI_BLANKS);
	size_t size = strlen(text);
	while (size > 0 && strchr(INI_BLANKS, text[size - 1]))
		text[--size] = '\0';
	return text;
}

struct ini {
	struct problems *problems;
	ini_line *call;
	void *self;
	const char *section; /* NULL: none yet, or one that could not be read */
	bool is_lost;        /* the latter: its keys are no problems of their own */
};

static void ini_begin_section(struct ini *ini, int line, char *text)
{
	size_t size = strlen(text);
	ini->section = NULL;
	ini->is_lost = true;
	if (text[size - 1] != ']') {
		problems_add(ini->problems, line, NULL, NULL,
			     "a section has no ']' at the end of its line");
		return;
	}

	text[size - 1] = '\0';
	ini->section = ini_trim(text + 1);
	if (*ini->section) {
		ini->call(ini->self, line, ini->section, NULL, NULL);
		return;
	}

	ini->section = NULL;
	problems_add(ini->problems, line, NULL, NULL, "a section has no name");
}

static void ini_take(struct ini *ini, int line, char *text)
{
	char *equals;
	if (*text == '\0' || *text == '#' || *text == ';')
		return;
	if (*text == '[') {
		ini_begin_section(ini, line, text);
		return;
	}

	equals = strchr(text, '=');
	if (!equals || equals == text) {
		problems_add(ini->problems, line, ini->section, NULL,
			     "the line is neither '[section]' nor 'key = value' nor a comment that "
			     "begins with #");
		return;
	}

	*equals = '\0';
	char *key = ini_trim(text);
	if (ini->section)
		ini->call(ini->self, line, ini->section, key, ini_trim(equals + 1));
	else if (!ini->is_lost)
		problems_add(ini->problems, line, NULL, NULL,
			     "'%.100s' stands before the first section", key);
}

void ini_read(char *text, size_t size, struct problems *problems, ini_line *call, void *self)
{
	struct ini ini = { .problems = problems, .call = call, .self = self };
	char *at = text, *end = text + size;

	if (size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
		at += 3;
	for (int line = 1; at < end; line++) {
		char *next = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((next ? next : end) - at);
		at[length] = '\0';
		if (memchr(at, '\0', length) || !utf8_is_valid(at, length))
			problems_add(problems, line, ini.section, NULL,
				     "the line is no text in UTF-8");
		else
			ini_take(&ini, line, ini_trim(at));
		at += length + 1;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal is asked and told: its width, the columns that text takes, colours. Files and
 * pipes get none of it. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/terminal.h"
#include "core/utf8.h"

#define WIDTH_UNTOLD 80
#define WIDTH_LEAST 20
#define WIDTH_READABLE 100

static bool terminal_is_one(FILE *file)
{
	return isatty(fileno(file)) == 1;
}

bool terminal_obeys(FILE *file)
{
	const char *term = getenv("TERM");

	return terminal_is_one(file) && term && *term && strcmp(term, "dumb") != 0;
}

/* https://no-color.org: set to anything but the empty text. */
bool terminal_has_colours(FILE *file)
{
	const char *none = getenv("NO_COLOR");

	return terminal_obeys(file) && !(none && *none);
}

size_t terminal_width(FILE *file)
{
	struct winsize size;

	if (!terminal_is_one(file))
		return 0;
	if (ioctl(fileno(file), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return WIDTH_UNTOLD;
	return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

static wchar_t terminal_character(const unsigned char *at, size_t length)
{
	static const unsigned char leads[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned character = at[0] & leads[length];

	for (size_t i = 1; i < length; i++)
		character = character << 6 | (at[i] & 0x3f);
	return (wchar_t)character;
}

/* The C library knows it, in any locale of UTF-8; the user's may be another one. */
static size_t terminal_character_columns(const unsigned char *at, size_t length)
{
	static locale_t unicode;
	int columns = 1;

	if (length < 2)
		return 1;
	if (!unicode)
		unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (unicode) {
		locale_t before = uselocale(unicode);
		columns = wcwidth(terminal_character(at, length));
		uselocale(before);
	}
	return columns < 0 ? 1 : (size_t)columns;
}

size_t terminal_fit(const char *text, size_t size, size_t limit, size_t *ret_columns)
{
	const unsigned char *begin = (const unsigned char *)text, *at = begin, *end = begin + size;
	size_t columns = 0;

	while (at < end) {
		size_t length = utf8_length(at, (size_t)(end - at));
		size_t more = terminal_character_columns(at, length);
		if (columns + more > limit)
			break;
		columns += more;
		at += length ? length : 1;
	}
	*ret_columns = columns;
	return (size_t)(at - begin);
}

size_t terminal_columns(const char *text)
{
	size_t columns;

	terminal_fit(text, strlen(text), SIZE_MAX, &columns);
	return columns;
}

void terminal_wrap(FILE *file, const char *text, size_t indent, size_t at)
{
	size_t width = terminal_width(file);

	if (width == 0 || width > WIDTH_READABLE)
		width = WIDTH_READABLE;
	if (at > indent)
		fprintf(file, "\n%*s", (int)indent, "");
	else
		fprintf(file, "%*s", (int)(indent - at), "");
	at = indent;
	while (*text) {
		size_t word = strcspn(text, " \n"), columns;
		terminal_fit(text, word, SIZE_MAX, &columns);
		if (at > indent && at + 1 + columns > width) {
			fprintf(file, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', file);
			at++;
		}
		fwrite(text, 1, word, file);
		at += columns;
		text += word;
		if (*text == '\n') {
			fprintf(file, "\n%*s", (int)indent, "");
			at = indent;
		}
		text += *text != '\0';
	}
	fputc('\n', file);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_TERMINAL_H
#define TIDE_CLI_TERMINAL_H

/* What a terminal is asked and told. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TERMINAL_CUT "…" /* stands in the last column of a line that was cut */
#define TERMINAL_ERASE "\033[K"
#define TERMINAL_PLAIN "\033[0m"
#define TERMINAL_BOLD "\033[1m"
#define TERMINAL_RED "\033[31m"
#define TERMINAL_GREEN "\033[32m"
#define TERMINAL_YELLOW "\033[33m"

/** Whether the file is a terminal that obeys escape sequences: TERM is neither absent nor dumb. */
bool terminal_obeys(FILE *file);
/** The same, and nobody has set NO_COLOR. */
bool terminal_has_colours(FILE *file);
/** Its columns; 0: it is no terminal. */
size_t terminal_width(FILE *file);
/** The columns that text of UTF-8 takes: two for wide characters, none for combining ones. */
size_t terminal_columns(const char *text);
/** The bytes of the longest beginning that takes no more than `limit` columns, and how many it
 * takes. */
size_t terminal_fit(const char *text, size_t size, size_t limit, size_t *ret_columns);
/** Print words behind `indent` blanks, in lines of at most 100 columns and the terminal's; the
 * caller has already printed `at` columns of the first line. */
void terminal_wrap(FILE *file, const char *text, size_t indent, size_t at);

#endif

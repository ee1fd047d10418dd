/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows under heads. In a file or a pipe they are as wide as they are; on a terminal a row is one
 * line: a column that may be shortened gives way first, then the line is cut.
 */
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "sys/alloc.h"

#define TABLE_LAST_LEAST 12  /* columns that a shortened one leaves to the last */
#define TABLE_SHORT_LEAST 16 /* of a shortened one */
#define TABLE_SHORT_END 8    /* of them, behind what is left out */

/** How the rows of one flush are printed. */
struct table_look {
	size_t limit; /* columns of the terminal; 0: none */
	bool has_colours;
	size_t widths[TABLE_COLUMNS];
};

void table_init(struct table *table, const char *const *heads)
{
	*table = (struct table){ 0 };
	for (; heads[table->columns]; table->columns++) {
		const char *head = heads[table->columns];
		bool has_kind = *head && strchr(">~!|", *head);
		table->kinds[table->columns] = has_kind ? *head : '\0';
		table->heads[table->columns] = head + has_kind;
		table->widths[table->columns] = terminal_columns(head + has_kind);
	}
}

void table_add(struct table *table, const char *format, ...)
{
	char *cell = NULL;
	va_list list;

	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 64;
		char **cells = alloc_resize(table->cells, capacity, sizeof *cells);
		if (!cells) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->capacity = capacity;
	}
	va_start(list, format);
	int size = vsnprintf(NULL, 0, format, list);
	va_end(list);
	cell = size < 0 ? NULL : alloc_zero((size_t)size + 1, 1);
	if (!cell) {
		table->failed = true;
		return;
	}
	va_start(list, format);
	vsnprintf(cell, (size_t)size + 1, format, list);
	va_end(list);
	struct buffer shown = { 0 };
	output_add_shown(&shown, cell, (size_t)size, "");
	tide_free(cell);
	table->failed |= buffer_take(&shown, &cell, NULL) != TIDE_OK;
	if (!table->failed)
		table->cells[table->count++] = cell;
}

/* The column that may be shortened gives what the line has too much, as long as it is readable. */
static void table_shorten(const struct table *table, struct table_look *look)
{
	size_t last = table->widths[table->columns - 1],
	       total = last < TABLE_LAST_LEAST ? last : TABLE_LAST_LEAST;

	for (size_t i = 0; i + 1 < table->columns; i++)
		total += table->widths[i] + 2;
	for (size_t i = 0; i < table->columns && total > look->limit; i++) {
		size_t width = table->widths[i], excess = total - look->limit;
		if (table->kinds[i] != '~' || width <= TABLE_SHORT_LEAST)
			continue;
		look->widths[i] =
			width - TABLE_SHORT_LEAST > excess ? width - excess : TABLE_SHORT_LEAST;
		total -= width - look->widths[i];
	}
}

static struct table_look table_look(struct cli *cli, const struct table *table)
{
	struct table_look look = { .limit = cli->options[OPT_WIDE].is_set ? 0
									  : terminal_width(stdout),
				   .has_colours = terminal_has_colours(stdout) };

	memcpy(look.widths, table->widths, sizeof look.widths);
	if (look.limit)
		table_shorten(table, &look);
	return look;
}

/* The beginning and the end of a cell, in as many columns as there are for it. */
static void table_add_short(struct buffer *text, const char *cell, size_t width)
{
	size_t size = strlen(cell), columns, begin = width - 1 - TABLE_SHORT_END;

	buffer_add(text, cell, terminal_fit(cell, size, begin, &columns));
	buffer_format(text, "%*s" TERMINAL_CUT "%s", (int)(begin - columns), "",
		      cell + size - TABLE_SHORT_END);
}

static const char *table_colour(const char *word)
{
	static const struct {
		const char *word, *colour;
	} colours[] = { { "ok", TERMINAL_GREEN },      { "resolved", TERMINAL_GREEN },
			{ "notice", TERMINAL_YELLOW }, { "retrying", TERMINAL_YELLOW },
			{ "problem", TERMINAL_RED },   { "failed", TERMINAL_RED } };

	for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
		if (strcmp(colours[i].word, word) == 0)
			return colours[i].colour;
	return NULL;
}

/* A cell in its column, and the gap to the next. */
static void table_add_cell(struct buffer *text, const struct table *table,
			   const struct table_look *look, size_t i, const char *cell)
{
	bool is_last = i + 1 == table->columns, is_right = table->kinds[i] == '>';
	size_t columns = terminal_columns(cell), width = look->widths[i];
	int blanks = columns < width ? (int)(width - columns) : 0;

	buffer_format(text, "%*s", is_right ? blanks : 0, "");
	if (columns > width && table->kinds[i] == '~')
		table_add_short(text, cell, width);
	else
		buffer_add(text, cell, strlen(cell));
	buffer_format(text, "%*s", is_last ? 0 : (is_right ? 0 : blanks) + 2, "");
}

/* Print as much of the text as is left of the line, which shows that more would follow; returns
 * whether it was cut. */
static bool table_put(const char *text, bool is_last, size_t *left, const char *colour)
{
	size_t size = strlen(text), columns, room = is_last ? *left : *left - 1;
	bool is_cut = terminal_fit(text, size, room, &columns) < size;

	if (is_cut)
		size = terminal_fit(text, size, *left - 1, &columns);
	if (colour)
		fputs(colour, stdout);
	fwrite(text, 1, size, stdout);
	if (is_cut)
		fputs(TERMINAL_CUT, stdout);
	if (colour)
		fputs(TERMINAL_PLAIN, stdout);
	*left -= columns;
	return is_cut;
}

static const char *table_colour_of(const struct table *table, size_t i, char *const *cells)
{
	if (!cells)
		return TERMINAL_BOLD;
	return table->kinds[i] == '!' ? table_colour(cells[i]) : NULL;
}

static void table_print_row(const struct table *table, const struct table_look *look,
			    char *const *cells)
{
	size_t left = look->limit ? look->limit : SIZE_MAX;
	bool is_cut = false;

	for (size_t i = 0; i < table->columns && !is_cut; i++) {
		const char *colour = look->has_colours ? table_colour_of(table, i, cells) : NULL;
		struct buffer text = { 0 };
		if (cells && table->kinds[i] == '|' && look->limit) {
			terminal_wrap(stdout, cells[i], look->limit - left, look->limit - left);
			return;
		}
		table_add_cell(&text, table, look, i, cells ? cells[i] : table->heads[i]);
		if (!text.failed && text.data)
			is_cut = table_put(text.data, i + 1 == table->columns, &left, colour);
		buffer_fini(&text);
	}
	putchar('\n');
}

static void table_forget(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		tide_free(table->cells[i]);
	table->count = 0;
}

int table_flush(struct cli *cli, struct table *table)
{
	if (table->failed)
		return cli_out_of_memory(cli);
	for (size_t i = 0; i < table->count; i++) {
		size_t width = terminal_columns(table->cells[i]);
		if (width > table->widths[i % table->columns])
			table->widths[i % table->columns] = width;
	}

	struct table_look look = table_look(cli, table);
	if (table->count && !table->is_headed)
		table_print_row(table, &look, NULL);
	table->is_headed |= table->count > 0;
	for (size_t i = 0; i + table->columns <= table->count; i += table->columns) {
		table_print_row(table, &look, table->cells + i);
		output_note_error(cli);
	}
	table_forget(table);
	return CLI_DONE;
}

void table_fini(struct table *table)
{
	table_forget(table);
	tide_free(table->cells);
	*table = (struct table){ 0 };
}

int table_print(struct cli *cli, const struct table_kind *kind, const void *rows, size_t size,
		size_t count)
{
	struct table table;
	int exit = CLI_DONE;

	table_init(&table, kind->heads);
	for (size_t i = 0; i < count && exit == CLI_DONE; i++) {
		const void *row = (const char *)rows + i * size;
		struct buffer line = { 0 };
		if (cli->json) {
			kind->json(&line, row);
			exit = cli_line(cli, &line);
		} else {
			kind->cells(&table, row);
		}
	}
	if (exit == CLI_DONE)
		exit = table_flush(cli, &table);
	table_fini(&table);
	return exit;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What people and programs see: errors, lines of JSON, tables. */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/utf8.h"
#include "sys/alloc.h"

/* A line on standard error. */
static void output_say(const char *before, const char *text)
{
	fputs(before, stderr);
	output_put(stderr, text, strlen(text));
	fputc('\n', stderr);
}

/* What comes while a progress bar may stand in the line. */
static const char *output_over_bar(void)
{
	return isatty(STDERR_FILENO) ? "\r\033[Ktide: " : "tide: ";
}

static void output_error_json(const char *name, const char *message, const struct buffer *members)
{
	struct buffer line = { 0 };

	json_open(&line, '{');
	json_key(&line, "error");
	json_open(&line, '{');
	json_key(&line, "name");
	json_string(&line, name);
	json_key(&line, "message");
	json_string(&line, message);
	if (members && members->data)
		buffer_add(&line, members->data, members->size);
	json_close(&line, '}');
	json_close(&line, '}');
	output_say("", line.failed ? "{\"error\":{\"name\":\"out_of_memory\"}}" : line.data);
	buffer_fini(&line);
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	char message[512];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	if (cli->json) {
		output_error_json(tide_status_name(TIDE_ARGUMENT), message, NULL);
		return CLI_USAGE;
	}
	const char *command = cli->command == COMMAND_NONE ? "" : cli_commands[cli->command].name;
	output_say("tide: ", message);
	fprintf(stderr, "try 'tide %s%s--help'\n", command, *command ? " " : "");
	return CLI_USAGE;
}

int cli_exit_of(tide_status status)
{
	switch (status) {
	case TIDE_OK:
		return CLI_DONE;
	case TIDE_ARGUMENT:
		return CLI_USAGE;
	case TIDE_CONFLICT:
		return CLI_CONFLICT;
	case TIDE_NOT_FOUND:
		return CLI_NOT_FOUND;
	case TIDE_CONNECTION_LOST:
	case TIDE_BUSY:
	case TIDE_TIMEOUT:
		return CLI_UNAVAILABLE;
	default:
		return CLI_FAILED;
	}
}

int cli_fail_with(struct cli *cli, const struct tide_error *err, const struct buffer *members)
{
	if (cli->json)
		output_error_json(tide_status_name(err->status), err->message, members);
	else
		output_say("tide: ", err->message);
	return cli_exit_of(err->status);
}

int cli_fail(struct cli *cli, const struct tide_error *err)
{
	return cli_fail_with(cli, err, NULL);
}

void cli_note(struct cli *cli, const char *format, ...)
{
	char message[1024];
	va_list list;

	if (cli->json)
		return;
	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	output_say(output_over_bar(), message);
}

static void log_json(const struct tide_log_line *line)
{
	struct buffer text = { 0 };

	json_open(&text, '{');
	json_key(&text, "log");
	json_open(&text, '{');
	json_key(&text, "level");
	json_string(&text, tide_log_level_name(line->level));
	json_key(&text, "component");
	json_string(&text, line->component);
	json_key(&text, "message");
	json_string(&text, line->message);
	json_key(&text, "fields");
	json_string(&text, line->fields);
	json_close(&text, '}');
	json_close(&text, '}');
	if (!text.failed)
		output_say("", text.data);
	buffer_fini(&text);
}

static void log_text(const struct tide_log_line *line)
{
	struct buffer text = { 0 };

	buffer_format(&text, "%s: %s: %s%s%s", tide_log_level_name(line->level), line->component, line->message,
		      *line->fields ? " " : "", line->fields);
	output_say(output_over_bar(), text.failed ? line->message : text.data);
	buffer_fini(&text);
}

void cli_log(void *self, const struct tide_log_line *line)
{
	const struct cli *cli = self;

	if (cli->json)
		log_json(line);
	else
		log_text(line);
}

static int output_out_of_memory(struct cli *cli)
{
	struct tide_error err;

	alloc_fail(&err);
	return cli_fail(cli, &err);
}

/* C1 controls, DEL and what turns the direction of writing: a terminal obeys them. */
static bool output_is_command(const unsigned char *at, size_t length)
{
	unsigned second = length > 1 ? at[1] : 0, third = length > 2 ? at[2] : 0;
	if (at[0] == 0x7f || (at[0] == 0xc2 && second < 0xa0))
		return true;
	if (at[0] == 0xd8 && second == 0x9c) /* U+061C */
		return true;
	if (at[0] != 0xe2)
		return false;
	return (second == 0x80 && (third == 0x8e || third == 0x8f || (third >= 0xaa && third <= 0xae))) ||
	       (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

/* Within JSON the escape is JSON's own, so that the line still reads as the same. */
static void output_escape(struct buffer *buffer, const unsigned char *at, size_t length)
{
	if (length == 1)
		buffer_format(buffer, "\\u%04x", at[0]);
	else if (length == 2)
		buffer_format(buffer, "\\u%04x", (at[0] & 0x1f) << 6 | (at[1] & 0x3f));
	else
		buffer_format(buffer, "\\u%04x", (at[0] & 0xf) << 12 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f));
}

void output_add_shown(struct buffer *buffer, const char *text, size_t size, const char *allowed)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + size;
	while (at < end) {
		size_t length = utf8_length(at, (size_t)(end - at));
		bool is_control = length == 1 && at[0] < 0x20 && !strchr(allowed, at[0]);
		if (length == 0)
			buffer_format(buffer, "\\x%02x", at[0]);
		else if (at[0] == 0 || is_control || output_is_command(at, length))
			output_escape(buffer, at, length);
		else
			buffer_add(buffer, (const char *)at, length);
		at += length ? length : 1;
	}
}

void output_put(FILE *file, const char *text, size_t size)
{
	struct buffer shown = { 0 };
	if (isatty(fileno(file)))
		output_add_shown(&shown, text, size, "\n\t\r");
	fwrite(shown.data ? shown.data : text, 1, shown.data ? shown.size : size, file);
	buffer_fini(&shown);
}

int cli_line(struct cli *cli, struct buffer *line)
{
	bool failed = line->failed;

	if (!failed && line->data) {
		output_put(stdout, line->data, line->size);
		fputc('\n', stdout);
	}
	buffer_fini(line);
	*line = (struct buffer){ 0 };
	return failed ? output_out_of_memory(cli) : CLI_DONE;
}

/* The texts below are for one line of output: a ring of buffers lets several of them stand in one call of printf. */
static char *output_scratch(void)
{
	static _Thread_local char ring[8][48];
	static _Thread_local unsigned next;

	return ring[next++ % 8];
}

const char *number_text(int64_t number)
{
	char digits[32], *text = output_scratch();
	size_t size = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)number), to = 0;

	for (size_t i = 0; i < size; i++) {
		if (i > 0 && digits[i - 1] != '-' && (size - i) % 3 == 0)
			text[to++] = ',';
		text[to++] = digits[i];
	}
	text[to] = '\0';
	return text;
}

const char *seconds_text(double seconds)
{
	char *text = output_scratch();
	int64_t whole = (int64_t)seconds;

	if (seconds < 10)
		snprintf(text, 48, "%.2f s", seconds);
	else if (whole < 60)
		snprintf(text, 48, "%d s", (int)whole);
	else if (whole < 3600)
		snprintf(text, 48, "%d:%02d min", (int)(whole / 60), (int)(whole % 60));
	else
		snprintf(text, 48, "%lld:%02d h", (long long)(whole / 3600), (int)(whole / 60 % 60));
	return text;
}

const char *time_text(bool is_known, struct tide_time time)
{
	char *text = output_scratch();

	if (!is_known)
		return "-";
	tide_time_format(time, text);
	text[10] = ' ';
	text[19] = '\0';
	return text;
}

void table_init(struct table *table, const char *const *heads)
{
	*table = (struct table){ 0 };
	while (heads[table->columns]) {
		const char *head = heads[table->columns];
		table->heads[table->columns] = head;
		table->widths[table->columns++] = strlen(head) - (*head == '>');
	}
}

/* Columns on the terminal: continuation bytes of UTF-8 take none. */
static size_t table_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
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

static void table_print_row(const struct table *table, char *const *cells)
{
	for (size_t i = 0; i < table->columns; i++) {
		const char *cell = cells ? cells[i] : table->heads[i] + (*table->heads[i] == '>');
		bool is_last = i + 1 == table->columns, is_right = *table->heads[i] == '>';
		int blanks = (int)(table->widths[i] - table_width(cell));
		printf("%*s%s%*s%s", is_right ? blanks : 0, "", cell, is_right || is_last ? 0 : blanks, "",
		       is_last ? "\n" : "  ");
	}
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
		return output_out_of_memory(cli);
	for (size_t i = 0; i < table->count; i++) {
		size_t width = table_width(table->cells[i]);
		if (width > table->widths[i % table->columns])
			table->widths[i % table->columns] = width;
	}
	if (table->count && !table->is_headed)
		table_print_row(table, NULL);
	table->is_headed |= table->count > 0;
	for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
		table_print_row(table, table->cells + i);
	table_forget(table);
	return CLI_DONE;
}

void table_fini(struct table *table)
{
	table_forget(table);
	tide_free(table->cells);
	*table = (struct table){ 0 };
}

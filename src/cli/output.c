/* SPDX-License-Identifier: Apache-2.0 */
/* What people and programs see: errors, lines of JSON, figures. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "core/utf8.h"
#include "sys/alloc.h"

/* A line on standard error. */
static void output_say(const char *before, const char *text)
{
	fputs(before, stderr);
	output_put(stderr, text, strlen(text));
	fputc('\n', stderr);
}

/* "tide: ", in a colour where there are any, over the progress bar that may stand in the line. */
static const char *output_name(const char *colour)
{
	static char text[32];
	bool has_colours = terminal_has_colours(stderr);

	snprintf(text, sizeof text, "%s%stide:%s ",
		 terminal_obeys(stderr) ? "\r" TERMINAL_ERASE : "", has_colours ? colour : "",
		 has_colours ? TERMINAL_PLAIN : "");
	return text;
}

static void output_error_json(const char *name, const char *message, const struct buffer *members)
{
	struct buffer line = { 0 };

	json_open(&line, '{');
	json_key(&line, "error");
	json_open(&line, '{');
	json_add_string(&line, "name", name);
	json_add_string(&line, "message", message);
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
	output_say(output_name(TERMINAL_RED), message);
	fprintf(stderr, "try 'tide %s%s--help'\n", command, *command ? " " : "");
	return CLI_USAGE;
}

int cli_exit_of(tide_status status)
{
	switch (status) {
	case TIDE_OK:
		return CLI_DONE;
#define EXIT(id, number, word, text)
#define EXIT_OF(status, id)                                                                        \
	case TIDE_##status:                                                                        \
		return CLI_##id;
#include "cli/exits.def"
#undef EXIT
#undef EXIT_OF
	default:
		return CLI_FAILED;
	}
}

int cli_fail_with(struct cli *cli, const struct tide_error *err, const struct buffer *members)
{
	if (cli->json)
		output_error_json(tide_status_name(err->status), err->message, members);
	else
		output_say(output_name(TERMINAL_RED), err->message);
	return cli_exit_of(err->status);
}

int cli_fail(struct cli *cli, const struct tide_error *err)
{
	return cli_fail_with(cli, err, NULL);
}

const char *cli_message_of_event(const struct tide_error *err)
{
	static const char place[] = "event 0: ";
	size_t size = sizeof place - 1;

	return err->message + (strncmp(err->message, place, size) == 0 ? size : 0);
}

int cli_fail_run(struct cli *cli, const struct tide_error *err)
{
	return cli_fail(cli, err) == CLI_UNAVAILABLE ? CLI_UNAVAILABLE : CLI_FAILED;
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
	output_say(output_name(TERMINAL_BOLD), message);
}

static void log_json(const struct tide_log_line *line)
{
	struct buffer text = { 0 };

	json_open(&text, '{');
	json_key(&text, "log");
	json_open(&text, '{');
	json_add_string(&text, "level", tide_log_level_name(line->level));
	json_add_string(&text, "component", line->component);
	json_add_string(&text, "message", line->message);
	json_add_string(&text, "fields", line->fields);
	json_close(&text, '}');
	json_close(&text, '}');
	if (!text.failed)
		output_say("", text.data);
	buffer_fini(&text);
}

static void log_text(const struct tide_log_line *line)
{
	struct buffer text = { 0 };

	buffer_format(&text, "%s: %s: %s%s%s", tide_log_level_name(line->level), line->component,
		      line->message, *line->fields ? " " : "", line->fields);
	output_say(output_name(line->level == TIDE_LOG_ERROR ? TERMINAL_RED : TERMINAL_YELLOW),
		   text.failed ? line->message : text.data);
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

int cli_out_of_memory(struct cli *cli)
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
	return (second == 0x80 &&
		(third == 0x8e || third == 0x8f || (third >= 0xaa && third <= 0xae))) ||
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
		buffer_format(buffer, "\\u%04x",
			      (at[0] & 0xf) << 12 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f));
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

void output_note_error(struct cli *cli)
{
	if (ferror(stdout) && !cli->output_error)
		cli->output_error = errno;
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
	return failed ? cli_out_of_memory(cli) : CLI_DONE;
}

/* The texts below are for one line of output: a ring of buffers lets several of them stand in one
 * call of printf. */
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
		snprintf(text, 48, "%lld:%02d h", (long long)(whole / 3600),
			 (int)(whole / 60 % 60));
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

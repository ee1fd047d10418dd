/* SPDX-License-Identifier: Apache-2.0 */
/* tide read, tide export: stored events, as a table or as lines of JSON. */
#include <unistd.h>

#include "cli/cli.h"

/** One listing. */
struct read_call {
	struct event_filter filter;
	struct event_lines lines;
	struct progress progress;
	tide_position position; /* of the last event */
	int64_t undecodable;
};

static int read_each(struct cli *cli, struct read_call *call, struct tide_reader *reader)
{
	const struct tide_event *event;
	struct tide_error err;

	for (;;) {
		tide_status status = tide_reader_next(reader, &event, &err);
		if (status == TIDE_DECODE) {
			/* the reader goes on behind the damaged row, and so do we; the exit status tells */
			call->undecodable++;
			cli_fail(cli, &err);
			continue;
		}
		if (status != TIDE_OK)
			return cli_fail(cli, &err);
		if (!event)
			return call->undecodable ? CLI_FAILED : CLI_DONE;
		int exit = event_lines_add(&call->lines, event);
		if (exit != CLI_DONE)
			return exit;
		if (ferror(stdout)) /* main tells why */
			return CLI_DONE;
		call->position = event->position;
		progress_show(&call->progress, call->position, call->lines.count);
	}
}

static int read_from(struct cli *cli, struct read_call *call, struct tide_store *store, bool has_progress)
{
	struct tide_reader *reader;
	struct tide_error err;
	tide_position end = 0;

	if (has_progress && tide_store_end(store, &end, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (tide_store_read(store, &call->filter.query, &reader, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	progress_begin(&call->progress, "export", call->filter.query.after.value, end);
	/* on the same terminal the bar would run through the events */
	call->progress.is_shown &= has_progress && !isatty(STDOUT_FILENO);
	int exit = read_each(cli, call, reader);
	progress_end(&call->progress, exit == CLI_DONE ? end : call->position, call->lines.count);
	tide_reader_close(reader);
	int flushed = event_lines_flush(&call->lines);
	return exit == CLI_DONE ? flushed : exit;
}

static int read_run(struct cli *cli, bool is_json, bool has_progress)
{
	struct read_call call = { 0 };
	struct tide_store *store = NULL;

	int exit = event_filter_read(cli, &call.filter);
	if (exit == CLI_DONE)
		store = cli_open(cli, true, &exit);
	if (store) {
		event_lines_init(&call.lines, cli, is_json);
		exit = read_from(cli, &call, store, has_progress);
		event_lines_fini(&call.lines);
	}
	tide_store_close(store);
	return exit;
}

int cmd_read(struct cli *cli)
{
	return read_run(cli, cli->json, false);
}

int cmd_export(struct cli *cli)
{
	return read_run(cli, true, true);
}

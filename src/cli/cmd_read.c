/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide read, tide export: stored events, as a table or as lines of JSON.
 *
 * An export is a proof: it waits for the appends that are open at its start, and when one stays it
 * ends with what is certain and an error. A read is a look: it shows what is visible, and warns
 * where the order is not final.
 */
#include <unistd.h>

#include "cli/cli.h"

/** One listing. */
struct read_call {
	struct event_filter filter;
	struct event_lines lines;
	struct meter meter;
	/* of the feed at the start; an end of 0 and newest of 0 for one stream */
	struct tide_horizon horizon;
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
			/* the reader goes on behind the damaged row, and so do we; the exit status
			 * tells */
			call->undecodable++;
			cli_fail(cli, &err);
			continue;
		}
		if (status != TIDE_OK)
			return cli_fail(cli, &err);
		bool is_later = event && call->filter.query.unsettled &&
				event->position > call->horizon.newest;
		if (!event || is_later)
			return call->undecodable ? CLI_FAILED : CLI_DONE;
		int exit = event_lines_add(&call->lines, event);
		if (exit != CLI_DONE)
			return exit;
		if (ferror(stdout)) /* main tells why */
			return CLI_DONE;
		call->position = event->position;
		meter_show(&call->meter, call->position, call->lines.count);
	}
}

/* How far the order is final; a stream's always is. */
static int read_look(struct cli *cli, struct read_call *call, struct tide_store *store,
		     bool is_export)
{
	struct tide_query *query = &call->filter.query;
	struct tide_error err;

	if (query->of_stream)
		return CLI_DONE;
	if (is_export)
		return cli_settle(cli, store, &call->horizon);
	if (tide_store_settle(store, 0, &call->horizon, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	query->unsettled = call->horizon.end < call->horizon.newest;
	if (query->unsettled && query->backward &&
	    (!query->before.is_set || query->before.value > call->horizon.newest))
		query->before = tide_bound(call->horizon.newest + 1);
	if (query->unsettled)
		cli_warn_unsettled(cli, &call->horizon);
	return CLI_DONE;
}

static int read_from(struct cli *cli, struct read_call *call, struct tide_store *store,
		     bool is_export)
{
	struct tide_reader *reader;
	struct tide_error err;

	int exit = read_look(cli, call, store, is_export);
	if (exit != CLI_DONE)
		return exit;
	tide_position end = call->horizon.end;
	if (tide_store_read(store, &call->filter.query, &reader, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	meter_begin(&call->meter, "export", call->filter.query.after.value, end);
	/* on the same terminal the bar would run through the events */
	call->meter.is_shown &= is_export && !isatty(STDOUT_FILENO);
	exit = read_each(cli, call, reader);
	meter_end(&call->meter, exit == CLI_DONE ? end : call->position, call->lines.count);
	tide_reader_close(reader);
	int flushed = event_lines_flush(&call->lines);
	if (exit == CLI_DONE && flushed == CLI_DONE && is_export)
		return cli_fail_unsettled(cli, &call->horizon);
	return exit == CLI_DONE ? flushed : exit;
}

static int read_run(struct cli *cli, bool is_json, bool is_export)
{
	struct read_call call = { 0 };
	struct tide_store *store = NULL;

	int exit = event_filter_read(cli, &call.filter);
	if (exit == CLI_DONE)
		store = cli_open(cli, true, &exit);
	if (store) {
		event_lines_init(&call.lines, cli, is_json);
		exit = read_from(cli, &call, store, is_export);
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

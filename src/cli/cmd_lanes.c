/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide lanes: where each lane of a subscription is, and who runs it, from the databases alone.
 *
 * Happy path: the group's row says how many there are, and each has a row and an ownership.
 * Failure modes: a lane has never been saved, or nobody runs it: that is shown. The name has no
 * lanes: not_found.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "path/checkpoints.h"
#include "path/family.h"
#include "sys/alloc.h"

#define LANES_WATCH_MS 1000

/** What the rows say of a lane; a member that is NULL: nothing. */
struct lane_row {
	const char *name; /* of all of them */
	uint32_t index, total;
	const struct tide_checkpoint *checkpoint;
	const struct tide_lease_info *lease;
	tide_position end; /* of the feed */
};

struct lanes_call {
	struct tide_checkpoint *checkpoints;
	struct tide_lease_info *leases;
	size_t checkpoint_count, lease_count;
	struct lane_row *rows;
	uint32_t total;
	tide_position end;
};

static void lanes_fini(struct lanes_call *call)
{
	tide_free(call->checkpoints);
	tide_free(call->leases);
	tide_free(call->rows);
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* The group's own row says it, and without one the rows of the lanes do. */
static tide_status lanes_count(struct tide_checkpoints *checkpoints, const char *name,
			       struct lanes_call *call, struct tide_error *err)
{
	struct tide_group group;
	tide_status status = checkpoints_group(checkpoints, name, &group, err);
	if (status != TIDE_OK)
		return status;

	if (group.lanes == 0)
		call->total = family_lanes(name, call->checkpoints, call->checkpoint_count);
	else
		call->total = group.lanes > 1 ? group.lanes : 0;
	return call->total > 0
		       ? TIDE_OK
		       : tide_fail(err, TIDE_NOT_FOUND, "projection '%s' has no lanes", name);
}

static tide_status lanes_join(struct lanes_call *call, const char *name, struct tide_error *err)
{
	struct tide_lane lane;
	call->rows = alloc_zero(call->total, sizeof *call->rows);
	if (!call->rows)
		return alloc_fail(err);
	for (uint32_t i = 0; i < call->total; i++)
		call->rows[i] = (struct lane_row){
			.name = name, .index = i, .total = call->total, .end = call->end
		};

	for (size_t i = 0; i < call->checkpoint_count; i++)
		if (family_has(name, call->checkpoints[i].projection_name, &lane) &&
		    lane.total == call->total)
			call->rows[lane.index].checkpoint = &call->checkpoints[i];
	for (size_t i = 0; i < call->lease_count; i++)
		if (family_has(name, call->leases[i].name, &lane) && lane.total == call->total)
			call->rows[lane.index].lease = &call->leases[i];
	return TIDE_OK;
}

static tide_status lanes_look(struct tide_store *store, struct tide_checkpoints *checkpoints,
			      const char *name, struct lanes_call *call, struct tide_error *err)
{
	tide_status status = tide_store_end(store, &call->end, err);
	if (status == TIDE_OK)
		status = tide_checkpoints_list(checkpoints, &call->checkpoints,
					       &call->checkpoint_count, err);
	if (status == TIDE_OK)
		status = checkpoints_leases(checkpoints, &call->leases, &call->lease_count, err);
	if (status == TIDE_OK)
		status = lanes_count(checkpoints, name, call, err);
	return status == TIDE_OK ? lanes_join(call, name, err) : status;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static bool lane_is_owned(const struct lane_row *row)
{
	return row->lease && row->lease->is_owned;
}

static bool lane_has_position(const struct lane_row *row)
{
	return row->checkpoint && row->checkpoint->has_position;
}

static int64_t lane_lag(const struct lane_row *row)
{
	tide_position position = lane_has_position(row) ? row->checkpoint->position : 0;
	return row->end > position ? row->end - position : 0;
}

static void lane_json(struct buffer *line, const void *self)
{
	const struct lane_row *row = self;
	const struct tide_lease_info *lease = row->lease;
	bool is_owned = lane_is_owned(row);
	json_open(line, '{');
	json_add_string(line, "projection_name", row->name);
	json_add_integer(line, "lane", row->index);
	json_add_integer(line, "lanes", row->total);
	json_key(line, "global_position");
	if (lane_has_position(row))
		json_integer(line, row->checkpoint->position);
	else
		json_null(line);

	json_add_integer(line, "lag_events", lane_lag(row));
	json_add_integer(line, "events_processed",
			 row->checkpoint ? row->checkpoint->events_processed : 0);
	json_add_bool(line, "owned", is_owned);
	json_add_string(line, "host", lease && *lease->host ? lease->host : NULL);
	json_key(line, "pid");
	if (lease && lease->pid > 0)
		json_integer(line, lease->pid);
	else
		json_null(line);
	json_add_time(line, "acquired_at", is_owned,
		      is_owned ? lease->acquired_at : (struct tide_time){ 0 });
	json_close(line, '}');
}

static const char *const lane_heads[] = { "lane", ">position", ">behind", ">processed",
					  "~pid", "host",      "since",   NULL };

static void lane_cells(struct table *table, const void *self)
{
	const struct lane_row *row = self;
	bool is_owned = lane_is_owned(row);
	table_add(table, "%u/%u", row->index, row->total);
	if (lane_has_position(row))
		table_add(table, "%lld", (long long)row->checkpoint->position);
	else
		table_add(table, "-");
	table_add(table, "%s", number_text(lane_lag(row)));
	table_add(table, "%s",
		  number_text(row->checkpoint ? row->checkpoint->events_processed : 0));

	if (is_owned && row->lease->pid > 0)
		table_add(table, "%d", row->lease->pid);
	else
		table_add(table, "-");
	table_add(table, "%s", is_owned && *row->lease->host ? row->lease->host : "-");
	table_add(
		table, "%s",
		time_text(is_owned, is_owned ? row->lease->acquired_at : (struct tide_time){ 0 }));
}

static const struct table_kind lane_kind = { lane_heads, lane_cells, lane_json };

static int lanes_show(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct lanes_call call = { .total = 0 };
	struct tide_error err;
	int exit;
	if (lanes_look(cli->store, checkpoints, cli->args[0], &call, &err) == TIDE_OK)
		exit = table_print(cli, &lane_kind, call.rows, sizeof *call.rows, call.total);
	else
		exit = cli_fail(cli, &err);
	lanes_fini(&call);
	return exit;
}

/* Until a signal ends it, or nobody reads any more. */
static int lanes_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct pollfd reader = { .fd = STDOUT_FILENO };
	bool is_watch = cli->options[OPT_WATCH].is_set, is_over = !is_watch;
	bool redraws = is_watch && !cli->json && isatty(STDOUT_FILENO) == 1;
	int exit;
	do {
		if (redraws)
			fputs("\033[H\033[J", stdout);
		exit = lanes_show(cli, checkpoints);
		if (exit == CLI_DONE && is_watch)
			(void)fflush(stdout);
		is_over = is_over || exit != CLI_DONE ||
			  (poll(&reader, 1, LANES_WATCH_MS) > 0 && reader.revents);
	} while (!is_over);
	return exit;
}

int cmd_lanes(struct cli *cli)
{
	return cli_with_checkpoints(cli, lanes_run, CLI_READ);
}

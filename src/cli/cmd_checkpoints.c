/* SPDX-License-Identifier: Apache-2.0 */
/* tide checkpoints, tide lag: how far projections have come, and how far they are behind. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/records.h"
#include "path/checkpoints.h"
#include "sys/alloc.h"

static void checkpoint_json(struct buffer *line, const void *self)
{
	checkpoint_write_json(line, self);
}

static const char *const checkpoint_heads[] = { "projection", ">position",         ">processed",
						"last event", "last processed at", NULL };

static void checkpoint_cells(struct table *table, const void *self)
{
	const struct tide_checkpoint *row = self;
	table_add(table, "%s", row->projection_name);
	if (row->has_position)
		table_add(table, "%lld", (long long)row->position);
	else
		table_add(table, "-");
	table_add(table, "%s", number_text(row->events_processed));
	table_add(table, "%s", *row->last_event_type ? row->last_event_type : "-");
	table_add(table, "%s", time_text(row->has_last_processed_at, row->last_processed_at));
}

static const struct table_kind checkpoint_kind = { checkpoint_heads, checkpoint_cells,
						   checkpoint_json };

static int checkpoints_list(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct tide_checkpoint *rows;
	struct tide_error err;
	size_t count;

	if (tide_checkpoints_list(checkpoints, &rows, &count, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	int exit = table_print(cli, &checkpoint_kind, rows, sizeof *rows, count);
	tide_free(rows);
	if (count == 0)
		cli_note(cli, "no projection has a checkpoint yet");
	return exit;
}

static int checkpoints_show(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct tide_checkpoint row;
	struct tide_error err;

	if (tide_checkpoints_load(checkpoints, cli->args[1], &row, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	return table_print(cli, &checkpoint_kind, &row, sizeof row, 1);
}

/** What is about to be moved: of one with lanes the lane that is furthest behind. */
struct checkpoints_target {
	const char *name;
	tide_position position;
	uint32_t lanes; /* 1: it had some, and has none; 0: it never had any */
	bool is_owned;
};

/* One that is running is left alone, unless it is forced. */
static int checkpoints_find_target(struct cli *cli, struct tide_checkpoints *checkpoints,
				   struct checkpoints_target *ret)
{
	const char *name = cli->args[1];
	struct tide_checkpoint row;
	struct tide_group group;
	struct tide_error err;

	*ret = (struct checkpoints_target){ .name = name };
	if (checkpoints_load_slowest(checkpoints, name, &row, &err) != TIDE_OK ||
	    checkpoints_group(checkpoints, name, &group, &err) != TIDE_OK ||
	    tide_checkpoints_is_owned(checkpoints, name, &ret->is_owned, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	ret->position = row.has_position ? row.position : 0;
	ret->lanes = group.lanes;
	if (!ret->is_owned || cli->options[OPT_FORCE].is_set)
		return CLI_DONE;
	tide_fail(&err, TIDE_STATE, "projection '%s' is running; stop it first, or say --force",
		  name);
	return cli_fail(cli, &err);
}

static const char *checkpoints_lanes_text(const struct checkpoints_target *target)
{
	static char text[64];
	if (target->lanes < 2)
		return "";
	snprintf(text, sizeof text, " in all its %u lanes", target->lanes);
	return text;
}

static void checkpoints_note_letters(struct cli *cli, const char *name, int64_t deleted)
{
	if (deleted)
		cli_note(cli, "%s unresolved dead letters of '%s' were deleted",
			 number_text(deleted), name);
}

/* One whose owner is fenced, and one that has or had lanes, takes its dead letters along. */
static tide_status checkpoints_forget(struct tide_checkpoints *checkpoints,
				      const struct checkpoints_target *target, int64_t *ret_deleted,
				      struct tide_error *err)
{
	static const struct checkpoints_anew forgets = { .from = -1 };
	return target->is_owned || target->lanes > 0
		       ? checkpoints_begin_anew(checkpoints, target->name, &forgets, ret_deleted,
						err)
		       : tide_checkpoints_reset(checkpoints, target->name, err);
}

static int checkpoints_reset(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct checkpoints_target target;
	struct buffer line = { 0 };
	struct tide_error err;
	int64_t deleted = 0;

	int exit = checkpoints_find_target(cli, checkpoints, &target);
	if (exit != CLI_DONE)
		return exit;
	if (checkpoints_forget(checkpoints, &target, &deleted, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	checkpoints_note_letters(cli, target.name, deleted);
	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "projection_name", target.name);
		json_add_integer(&line, "global_position_before", target.position);
		json_add_integer(&line, "dead_letters_deleted", deleted);
		json_close(&line, '}');
	} else {
		buffer_format(&line, "'%s' begins anew%s; it was at position %lld", target.name,
			      checkpoints_lanes_text(&target), (long long)target.position);
	}
	return cli_line(cli, &line);
}

static int checkpoints_rewind(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct checkpoints_target target;
	struct buffer line = { 0 };
	struct tide_error err;
	int64_t to = cli->options[OPT_TO].number, deleted = 0;

	int exit = checkpoints_find_target(cli, checkpoints, &target);
	if (exit != CLI_DONE)
		return exit;
	if (tide_checkpoints_rewind(checkpoints, target.name, to, &deleted, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "projection_name", target.name);
		json_add_integer(&line, "global_position",
				 to < target.position ? to : target.position);
		json_add_integer(&line, "global_position_before", target.position);
		json_add_integer(&line, "dead_letters_deleted", deleted);
		json_close(&line, '}');
		return cli_line(cli, &line);
	}
	buffer_format(&line, "'%s' goes on behind position %lld%s; it was at %lld", target.name,
		      (long long)to, checkpoints_lanes_text(&target), (long long)target.position);
	if (to > target.position)
		buffer_format(&line, ", where lanes that had not come to %lld stay", (long long)to);
	if (deleted)
		buffer_format(&line, "; %s dead letters above it were deleted",
			      number_text(deleted));
	return cli_line(cli, &line);
}

static int checkpoints_accept(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	const char *name = cli->args[1];
	struct buffer line = { 0 };
	struct tide_anchor anchor;
	struct tide_error err;

	if (tide_checkpoints_accept(checkpoints, name, &anchor, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "projection_name", name);
		json_add_integer(&line, "anchor_position", anchor.position);
		json_add_uuid(&line, "anchor_event_id", &anchor.event_id);
		json_close(&line, '}');
	} else {
		buffer_format(&line,
			      "'%s' accepts the store as it is; it stands on the event at %lld",
			      name, (long long)anchor.position);
	}
	return cli_line(cli, &line);
}

static int checkpoints_print_release(struct cli *cli, const char *name, bool is_owned,
				     const struct tide_lease_info *lease, const char *owner)
{
	struct buffer line = { 0 };

	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "projection_name", name);
		json_add_bool(&line, "was_owned", is_owned);
		json_add_string(&line, "host", *lease->host ? lease->host : NULL);
		json_key(&line, "pid");
		if (lease->pid > 0)
			json_integer(&line, lease->pid);
		else
			json_null(&line);
		json_close(&line, '}');
		return cli_line(cli, &line);
	}
	if (!is_owned)
		buffer_format(&line, "'%s' is released; nobody who lives owned it", name);
	else
		buffer_format(
			&line,
			"'%s' is released; its owner%s is fenced at its next write or renewal",
			name, owner);
	if (is_owned && lease->seconds_left < 0)
		buffer_format(&line, "%s",
			      ", and keeps others out by a lock of its process until then");
	return cli_line(cli, &line);
}

/* The ownership, and the error that ended the last one: where the projection is stays as it is. */
static int checkpoints_release(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	const char *name = cli->args[1];
	struct tide_lease_info lease = { .seconds_left = -1 };
	struct tide_error err;
	bool is_owned;

	if (tide_checkpoints_is_owned(checkpoints, name, &is_owned, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	const char *owner = cli_owner_text(checkpoints, name);
	(void)cli_find_lease(checkpoints, name, &lease);
	if (is_owned && !cli->options[OPT_FORCE].is_set) {
		tide_fail(
			&err, TIDE_STATE,
			"projection '%s' is running in another process%s; stop it, or say --force",
			name, owner);
		return cli_fail(cli, &err);
	}
	if (tide_checkpoints_release(checkpoints, name, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	return checkpoints_print_release(cli, name, is_owned, &lease, owner);
}

static const char *const lag_heads[] = { "projection", ">events behind",    ">seconds behind",
					 ">processed", "last processed at", NULL };

static int lag_print(struct cli *cli, struct table *table, const struct tide_lag *lag)
{
	struct buffer line = { 0 };

	if (!cli->json) {
		table_add(table, "%s", lag->projection_name);
		table_add(table, "%s", number_text(lag->lag_events));
		table_add(table, "%.1f", lag->lag_seconds);
		table_add(table, "%s", number_text(lag->events_processed));
		table_add(table, "%s",
			  time_text(lag->has_last_processed_at, lag->last_processed_at));
		return CLI_DONE;
	}
	lag_write_json(&line, lag);
	return cli_line(cli, &line);
}

/* A projection whose store went back under it has no lag that means anything: told when all have
 * been printed. */
static int lag_of(struct cli *cli, struct tide_checkpoints *checkpoints, const char *name,
		  struct table *table, struct tide_error *diverged)
{
	struct tide_error err;
	struct tide_lag lag;

	if (tide_checkpoints_lag(checkpoints, name, NULL, &lag, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (diverged->status == TIDE_OK &&
	    tide_checkpoints_verify(checkpoints, name, &err) == TIDE_DIVERGED)
		*diverged = err;
	return lag_print(cli, table, &lag);
}

static int lag_print_all(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct tide_checkpoint *rows = NULL;
	struct table table;
	struct tide_error err, diverged = { 0 };
	size_t count = 0;
	int exit = CLI_DONE;

	table_init(&table, lag_heads);
	if (cli->arg_count == 1)
		exit = lag_of(cli, checkpoints, cli->args[0], &table, &diverged);
	else if (tide_checkpoints_list(checkpoints, &rows, &count, &err) != TIDE_OK)
		exit = cli_fail(cli, &err);
	for (size_t i = 0; i < count && exit == CLI_DONE; i++)
		exit = lag_of(cli, checkpoints, rows[i].projection_name, &table, &diverged);
	if (exit == CLI_DONE)
		exit = table_flush(cli, &table);
	table_fini(&table);
	tide_free(rows);
	if (cli->arg_count == 0 && count == 0 && exit == CLI_DONE)
		cli_note(cli, "no projection has a checkpoint yet");
	return exit == CLI_DONE && diverged.status != TIDE_OK ? cli_fail(cli, &diverged) : exit;
}

/* What is visible at the start counts, and an append that holds some of it back is told. */
static int lag_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct tide_horizon horizon = { 0 };

	int exit = cli_settle(cli, cli->store, &horizon);
	if (exit == CLI_DONE)
		exit = lag_print_all(cli, checkpoints);
	return exit == CLI_DONE ? cli_fail_unsettled(cli, &horizon) : exit;
}

static cli_action *checkpoints_find(const char *name)
{
	static const struct {
		const char *name;
		cli_action *run;
	} actions[] = { { "show", checkpoints_show },
			{ "reset", checkpoints_reset },
			{ "rewind", checkpoints_rewind },
			{ "accept", checkpoints_accept },
			{ "release", checkpoints_release } };

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(actions[i].name, name) == 0)
			return actions[i].run;
	return NULL;
}

int cmd_checkpoints(struct cli *cli)
{
	const char *action = cli->arg_count ? cli->args[0] : "list";

	if (strcmp(action, "list") == 0) {
		if (cli->arg_count > 1)
			return cli_usage(cli, "checkpoints list does not take '%s'", cli->args[1]);
		return cli_with_checkpoints(cli, checkpoints_list, CLI_READ);
	}
	cli_action *run = checkpoints_find(action);
	if (!run)
		return cli_usage(
			cli,
			"checkpoints '%s' is none of list, show, reset, rewind, accept, release",
			action);
	if (cli->arg_count < 2)
		return cli_usage(cli, "checkpoints %s needs the name of a projection", action);
	if (run == checkpoints_rewind && !cli->options[OPT_TO].is_set)
		return cli_usage(cli,
				 "checkpoints rewind needs --to N, the position to go back to");
	return cli_with_checkpoints(cli, run, run == checkpoints_show ? CLI_READ : CLI_WRITE);
}

int cmd_lag(struct cli *cli)
{
	return cli_with_checkpoints(cli, lag_run, CLI_READ);
}

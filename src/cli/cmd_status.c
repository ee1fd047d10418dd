/* SPDX-License-Identifier: Apache-2.0 */
/* tide status: every subscription that a database knows of, from its rows alone. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "path/checkpoints.h"
#include "path/family.h"
#include "policy/why.h"
#include "sys/alloc.h"

/** What the rows say of one name; a member that is NULL: nothing. */
struct status_row {
	const char *name;
	const struct tide_checkpoint *checkpoint;
	const struct tide_lease_info *lease;
	const struct tide_lease_info *failed; /* of the run, or lane, that ended in an error */
	const struct tide_control *control;
	const struct tide_dead_letter_count *letters;
};

/** All of them, and what they point to. */
struct status_call {
	tide_position end;
	struct tide_checkpoint *checkpoints;
	struct tide_lease_info *leases;
	struct tide_control *controls;
	struct tide_dead_letter_count *letters;
	size_t checkpoint_count, lease_count, control_count, letter_count;
	struct status_row *rows; /* sorted by name */
	size_t count;
	struct tide_group group;      /* of the name that is asked for */
	struct tide_checkpoint lanes; /* of it, together */
};

static tide_status status_read(struct status_call *call, struct tide_store *store,
			       struct tide_checkpoints *checkpoints, struct tide_error *err)
{
	tide_status status = tide_store_end(store, &call->end, err);
	if (status == TIDE_OK)
		status = tide_checkpoints_list(checkpoints, &call->checkpoints,
					       &call->checkpoint_count, err);
	if (status == TIDE_OK)
		status = checkpoints_leases(checkpoints, &call->leases, &call->lease_count, err);
	if (status == TIDE_OK)
		status =
			tide_controls_list(checkpoints, &call->controls, &call->control_count, err);
	if (status == TIDE_OK)
		status = tide_dead_letters_counts(checkpoints, &call->letters, &call->letter_count,
						  err);
	return status;
}

static bool status_has_ended(const struct tide_lease_info *lease)
{
	return !lease->is_owned && why_has_ended(lease);
}

static bool status_is_owned(const struct status_row *row)
{
	return row->lease && row->lease->is_owned;
}

/* Found by name, or added. There is room for all. */
static struct status_row *status_row(struct status_call *call, const char *name)
{
	for (size_t i = 0; i < call->count; i++)
		if (strcmp(call->rows[i].name, name) == 0)
			return &call->rows[i];
	call->rows[call->count].name = name;
	return &call->rows[call->count++];
}

static int status_compare(const void *a, const void *b)
{
	const struct status_row *first = a, *second = b;
	return strcmp(first->name, second->name);
}

static bool status_join(struct status_call *call)
{
	call->rows = alloc_zero(call->checkpoint_count + call->lease_count + call->control_count +
					call->letter_count + 2,
				sizeof *call->rows);
	if (!call->rows)
		return false;

	for (size_t i = 0; i < call->checkpoint_count; i++)
		status_row(call, call->checkpoints[i].projection_name)->checkpoint =
			&call->checkpoints[i];
	for (size_t i = 0; i < call->lease_count; i++) {
		struct status_row *row = status_row(call, call->leases[i].name);
		row->lease = &call->leases[i];
		row->failed = status_has_ended(row->lease) ? row->lease : NULL;
	}
	for (size_t i = 0; i < call->control_count; i++)
		status_row(call, call->controls[i].name)->control = &call->controls[i];
	for (size_t i = 0; i < call->letter_count; i++)
		status_row(call, call->letters[i].projection_name)->letters = &call->letters[i];
	qsort(call->rows, call->count, sizeof *call->rows, status_compare);
	return true;
}

/* Of a name with lanes: one that runs, the slowest if that does; and one that does not, since its
 * run ended in an error. */
static void status_fold_leases(const struct status_call *call, struct status_row *whole,
			       const struct tide_checkpoint *slowest, uint32_t lanes)
{
	struct tide_lane lane;
	for (size_t i = 0; i < call->lease_count; i++) {
		const struct tide_lease_info *lease = &call->leases[i];
		if (!family_has(whole->name, lease->name, &lane) || lane.total != lanes)
			continue;
		bool is_slowest = slowest && strcmp(lease->name, slowest->projection_name) == 0;
		if (lease->is_owned ? !status_is_owned(whole) || is_slowest
				    : !status_is_owned(whole) && is_slowest)
			whole->lease = lease;
		if (!whole->failed && status_has_ended(lease))
			whole->failed = lease;
	}
}

/* How many lanes the one that is asked for has: its group's row says it, also beside what is left
 * of the time without, and where there is none the rows of lanes do. */
static uint32_t status_count_lanes(const struct status_call *call, const char *name)
{
	if (call->group.lanes > 0)
		return call->group.lanes > 1 ? call->group.lanes : 0;
	for (size_t i = 0; i < call->checkpoint_count; i++)
		if (strcmp(call->checkpoints[i].projection_name, name) == 0 &&
		    call->checkpoints[i].has_position)
			return 0;
	return family_lanes(name, call->checkpoints, call->checkpoint_count);
}

/* The least position of all lanes and what they have counted. In the order of what says most: one
 * that has ended in an error, a pause, those that run. */
static void status_fold_lanes(struct status_call *call, const char *name)
{
	int64_t processed;
	uint32_t lanes = status_count_lanes(call, name);
	if (lanes == 0)
		return;
	const struct tide_checkpoint *slowest =
		family_slowest(name, lanes, call->checkpoints, call->checkpoint_count, &processed);
	struct status_row *whole = status_row(call, name);
	whole->failed = NULL; /* of the time without lanes */
	if (slowest) {
		call->lanes = *slowest;
		call->lanes.events_processed = processed;
		whole->checkpoint = &call->lanes;
	}
	status_fold_leases(call, whole, slowest, lanes);
}

static void status_fini(struct status_call *call)
{
	tide_free(call->checkpoints);
	tide_free(call->leases);
	tide_free(call->controls);
	tide_free(call->letters);
	tide_free(call->rows);
}

/* ---- What a row comes to --------------------------------------------------------------------- */

static tide_position status_position(const struct status_row *row)
{
	return row->checkpoint && row->checkpoint->has_position ? row->checkpoint->position : 0;
}

static int64_t status_lag(const struct status_call *call, const struct status_row *row)
{
	tide_position position = status_position(row);
	return call->end > position ? call->end - position : 0;
}

static const char *status_state(const struct status_call *call, const struct status_row *row)
{
	if (row->failed)
		return tide_state_name(TIDE_STATE_ERROR);
	if (row->control)
		return tide_state_name(TIDE_STATE_PAUSED);
	if (!status_is_owned(row))
		return tide_state_name(TIDE_STATE_STOPPED);
	return tide_state_name(status_lag(call, row) ? TIDE_STATE_CATCHING_UP : TIDE_STATE_LIVE);
}

/* ---- As lines -------------------------------------------------------------------------------- */

static void status_json_text(struct buffer *line, const char *key, const char *text)
{
	json_add_string(line, key, text && *text ? text : NULL);
}

static void status_json_progress(struct buffer *line, const struct status_call *call,
				 const struct status_row *row)
{
	const struct tide_checkpoint *checkpoint = row->checkpoint;
	json_add_string(line, "projection_name", row->name);
	json_add_string(line, "state", status_state(call, row));
	json_key(line, "global_position");
	if (checkpoint && checkpoint->has_position)
		json_integer(line, checkpoint->position);
	else
		json_null(line);

	json_add_integer(line, "lag_events", status_lag(call, row));
	json_add_integer(line, "events_processed", checkpoint ? checkpoint->events_processed : 0);
	json_add_time(line, "last_processed_at", checkpoint && checkpoint->has_last_processed_at,
		      checkpoint ? checkpoint->last_processed_at : (struct tide_time){ 0 });
	json_add_integer(line, "dead_letters", row->letters ? row->letters->failure_count : 0);
}

static void status_json_owner(struct buffer *line, const struct status_row *row)
{
	const struct tide_lease_info *lease = row->lease;
	bool is_owned = status_is_owned(row);
	json_add_bool(line, "owned", is_owned);
	status_json_text(line, "host", lease ? lease->host : NULL);
	json_key(line, "pid");
	if (lease && lease->pid > 0)
		json_integer(line, lease->pid);
	else
		json_null(line);
	json_add_time(line, "acquired_at", is_owned,
		      is_owned ? lease->acquired_at : (struct tide_time){ 0 });
}

static void status_json_control(struct buffer *line, const struct status_row *row)
{
	const struct tide_control *control = row->control;
	json_add_time(line, "paused_at", control != NULL,
		      control ? control->paused_at : (struct tide_time){ 0 });
	status_json_text(line, "paused_by", control ? control->paused_by : NULL);
	status_json_text(line, "pause_reason",
			 control ? tide_pause_reason_name(control->reason) : NULL);
	status_json_text(line, "pause_note", control ? control->note : NULL);
	status_json_text(line, "last_error", row->failed ? row->failed->last_error : NULL);
	json_add_time(line, "last_error_at", row->failed != NULL,
		      row->failed ? row->failed->last_error_at : (struct tide_time){ 0 });
}

static int status_print_json(struct cli *cli, const struct status_call *call,
			     const struct status_row *row)
{
	struct buffer line = { 0 };
	json_open(&line, '{');
	status_json_progress(&line, call, row);
	status_json_owner(&line, row);
	status_json_control(&line, row);
	json_close(&line, '}');
	return cli_line(cli, &line);
}

static const char *const status_heads[] = { "projection",    "state",   ">position", ">behind",
					    ">dead letters", "~run by", "|because",  NULL };

static void status_print_text(struct table *table, const struct status_call *call,
			      const struct status_row *row)
{
	table_add(table, "%s", row->name);
	table_add(table, "%s", status_state(call, row));
	if (row->checkpoint && row->checkpoint->has_position)
		table_add(table, "%lld", (long long)row->checkpoint->position);
	else
		table_add(table, "-");
	table_add(table, "%s", number_text(status_lag(call, row)));
	table_add(table, "%s", number_text(row->letters ? row->letters->failure_count : 0));

	if (status_is_owned(row) && *row->lease->host)
		table_add(table, "pid %d on %s", row->lease->pid, row->lease->host);
	else
		table_add(table, "%s", status_is_owned(row) ? "somebody" : "-");
	struct tide_lane lane;
	if (row->failed && family_has(row->name, row->failed->name, &lane))
		table_add(table, "lane %u: %s", lane.index, row->failed->last_error);
	else if (row->failed)
		table_add(table, "%s", row->failed->last_error);
	else if (row->control)
		table_add(table, "paused by %s since %s%s%s", row->control->paused_by,
			  time_text(true, row->control->paused_at), *row->control->note ? ": " : "",
			  row->control->note);
	else
		table_add(table, "-");
}

static int status_print(struct cli *cli, const struct status_call *call)
{
	const char *name = cli->arg_count ? cli->args[0] : NULL;
	struct table table;
	struct tide_error err;
	size_t shown = 0;
	int exit = CLI_DONE;

	table_init(&table, status_heads);
	for (size_t i = 0; i < call->count && exit == CLI_DONE; i++) {
		if (name && strcmp(call->rows[i].name, name) != 0)
			continue;
		shown++;
		if (cli->json)
			exit = status_print_json(cli, call, &call->rows[i]);
		else
			status_print_text(&table, call, &call->rows[i]);
	}
	if (exit == CLI_DONE)
		exit = table_flush(cli, &table);
	table_fini(&table);

	if (name && !shown) {
		tide_fail(&err, TIDE_NOT_FOUND, "nothing is known of projection '%s'", name);
		return cli_fail(cli, &err);
	}
	if (!shown && exit == CLI_DONE)
		cli_note(cli, "no projection has run yet");
	return exit;
}

static int status_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	struct status_call call = { .count = 0 };
	const char *name = cli->arg_count ? cli->args[0] : NULL;
	struct tide_error err;
	int exit;

	if (status_read(&call, cli->store, checkpoints, &err) != TIDE_OK ||
	    (name && checkpoints_group(checkpoints, name, &call.group, &err) != TIDE_OK))
		exit = cli_fail(cli, &err);
	else if (!status_join(&call))
		exit = cli_out_of_memory(cli);
	else {
		if (name)
			status_fold_lanes(&call, name);
		exit = status_print(cli, &call);
	}
	status_fini(&call);
	return exit;
}

int cmd_status(struct cli *cli)
{
	return cli_with_checkpoints(cli, status_run, CLI_READ);
}

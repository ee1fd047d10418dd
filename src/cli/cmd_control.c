/* SPDX-License-Identifier: Apache-2.0 */
/* tide pause, resume, skip, journal: what persons say to subscriptions, and what they have said. */
#include <string.h>

#include "cli/cli.h"
#include "core/records.h"

#define JOURNAL_SHOWN 100

static int control_request(struct cli *cli, struct tide_control_request *ret)
{
	int reason;

	int exit = option_choice(cli, OPT_REASON, &reason);
	*ret = (struct tide_control_request){ .by = cli->options[OPT_CONTROL_BY].text,
					      .reason = (enum tide_pause_reason)reason,
					      .note = cli->options[OPT_NOTE].text };
	return exit;
}

/* What was written is there: that the row cannot be read again would only cost its words. */
static void control_find(struct tide_checkpoints *checkpoints, const char *name,
			 struct tide_control *ret)
{
	struct tide_control *list = NULL;
	size_t count = 0;

	if (tide_controls_list(checkpoints, &list, &count, NULL) != TIDE_OK)
		return;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			*ret = list[i];
	tide_free(list);
}

static void pause_json(struct buffer *line, const struct tide_control *control, bool was_paused,
		       bool is_owned)
{
	json_open(line, '{');
	json_add_string(line, "projection_name", control->name);
	json_add_bool(line, "was_paused", was_paused);
	json_add_time(line, "paused_at", true, control->paused_at);

	json_add_string(line, "paused_by", control->paused_by);
	json_add_string(line, "pause_reason", tide_pause_reason_name(control->reason));
	json_add_string(line, "pause_note", *control->note ? control->note : NULL);
	json_add_bool(line, "owned", is_owned);
	json_close(line, '}');
}

static int pause_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	const char *name = cli->args[0];
	struct tide_control_request request;
	struct tide_control control = { .note = "" };
	struct buffer line = { 0 };
	struct tide_error err;
	bool was_paused, is_owned;

	int exit = control_request(cli, &request);
	if (exit != CLI_DONE)
		return exit;
	if (tide_control_pause(checkpoints, name, &request, &was_paused, &err) != TIDE_OK ||
	    tide_checkpoints_is_owned(checkpoints, name, &is_owned, &err) != TIDE_OK)
		return cli_fail(cli, &err);

	control_find(checkpoints, name, &control);
	if (cli->json)
		pause_json(&line, &control, was_paused, is_owned);
	else if (is_owned)
		buffer_format(&line, "'%s' is paused%s; its owner%s stops before the next event",
			      name, was_paused ? " still" : "", cli_owner_text(checkpoints, name));
	else
		buffer_format(&line, "'%s' is paused%s; nobody runs it now", name,
			      was_paused ? " still" : "");
	return cli_line(cli, &line);
}

static int resume_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	const char *name = cli->args[0];
	struct tide_control_request request;
	struct buffer line = { 0 };
	struct tide_error err;
	bool was_paused, is_owned;

	int exit = control_request(cli, &request);
	if (exit != CLI_DONE)
		return exit;
	if (tide_control_resume(checkpoints, name, &request, &was_paused, &err) != TIDE_OK ||
	    tide_checkpoints_is_owned(checkpoints, name, &is_owned, &err) != TIDE_OK)
		return cli_fail(cli, &err);

	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "projection_name", name);
		json_add_bool(&line, "was_paused", was_paused);
		json_add_bool(&line, "owned", is_owned);
		json_close(&line, '}');
	} else if (!was_paused) {
		buffer_format(&line, "'%s' was not paused", name);
	} else if (is_owned) {
		buffer_format(&line, "'%s' is resumed; its owner%s goes on", name,
			      cli_owner_text(checkpoints, name));
	} else {
		buffer_format(&line, "'%s' is resumed; nobody runs it now", name);
	}
	return cli_line(cli, &line);
}

static int skip_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	const char *name = cli->args[0];
	struct tide_control_request request;
	struct tide_anchor event;
	struct buffer line = { 0 };
	struct tide_error err;
	char id[TIDE_UUID_TEXT_SIZE];

	int exit = control_request(cli, &request);
	if (exit != CLI_DONE)
		return exit;
	if (tide_control_skip(checkpoints, name, cli->options[OPT_POSITION].number, &request,
			      &event, &err) != TIDE_OK)
		return cli_fail(cli, &err);

	if (cli->json) {
		json_open(&line, '{');
		json_add_string(&line, "projection_name", name);
		json_add_integer(&line, "global_position", event.position);
		json_add_uuid(&line, "event_id", &event.event_id);
		json_close(&line, '}');
	} else {
		buffer_format(&line, "'%s' goes on behind the event at %lld (%s), which is skipped",
			      name, (long long)event.position,
			      tide_uuid_format(&event.event_id, id));
	}
	return cli_line(cli, &line);
}

/* ---- The journal ----------------------------------------------------------------------------- */

static const char *const journal_heads[] = { "at",         "who",     "~host", "act",
					     "projection", "|detail", NULL };

static void journal_json(struct buffer *line, const void *row)
{
	journal_write_json(line, row);
}

static void journal_cells(struct table *table, const void *row)
{
	const struct tide_journal_entry *entry = row;
	table_add(table, "%s", time_text(true, entry->at));
	table_add(table, "%s", entry->who);
	table_add(table, "%s", *entry->host ? entry->host : "-");
	table_add(table, "%s", entry->act);
	table_add(table, "%s", entry->name);
	table_add(table, "%s", *entry->detail ? entry->detail : "-");
}

static const struct table_kind journal_kind = { journal_heads, journal_cells, journal_json };

static int journal_run(struct cli *cli, struct tide_checkpoints *checkpoints)
{
	const char *name = cli->arg_count ? cli->args[0] : NULL;
	const struct option_value *limit = &cli->options[OPT_JOURNAL_LIMIT];
	struct tide_journal_entry *list;
	struct tide_error err;
	size_t count;

	if (tide_journal_list(checkpoints, name, limit->is_set ? limit->number : JOURNAL_SHOWN,
			      &list, &count, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	int exit = table_print(cli, &journal_kind, list, sizeof *list, count);
	tide_free(list);
	if (count == 0 && exit == CLI_DONE)
		cli_note(cli, "the journal is empty");
	return exit;
}

int cmd_pause(struct cli *cli)
{
	return cli_with_checkpoints(cli, pause_run, CLI_WRITE);
}

int cmd_resume(struct cli *cli)
{
	return cli_with_checkpoints(cli, resume_run, CLI_WRITE);
}

int cmd_skip(struct cli *cli)
{
	return cli_with_checkpoints(cli, skip_run, CLI_WRITE);
}

int cmd_journal(struct cli *cli)
{
	return cli_with_checkpoints(cli, journal_run, CLI_READ);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tide dead-letters: the events that projections could not handle, and what becomes of them. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/** One call, and the queue it works on. */
struct letters_call {
	struct cli *cli;
	struct tide_checkpoints *checkpoints;
	const char *by;
};

static void letter_json(struct buffer *line, const struct tide_dead_letter *letter)
{
	json_open(line, '{');
	json_key(line, "id");
	json_integer(line, letter->id);
	json_key(line, "event_id");
	json_string(line, letter->event_id_text);
	json_key(line, "projection_name");
	json_string(line, letter->projection_name);
	json_key(line, "event_type");
	json_string(line, letter->event_type);
	json_key(line, "error_message");
	json_string(line, letter->error_message);
	json_key(line, "error_stacktrace");
	json_string(line, letter->error_stacktrace);
	json_key(line, "retry_count");
	json_integer(line, letter->retry_count);
	json_key(line, "first_failed_at");
	json_time(line, letter->first_failed_at);
	json_key(line, "last_failed_at");
	json_time(line, letter->last_failed_at);
	json_key(line, "status");
	json_string(line, tide_dead_letter_status_name(letter->status));
	json_key(line, "resolved_at");
	if (letter->is_resolved)
		json_time(line, letter->resolved_at);
	else
		json_null(line);
	json_key(line, "resolved_by");
	json_string(line, letter->resolved_by);
	json_key(line, "parked_behind");
	json_string(line, letter->parked_behind);
	json_key(line, "event_data");
	if (json_check(tide_text(letter->event_data), false, "event_data", NULL) == TIDE_OK)
		json_raw(line, tide_text(letter->event_data));
	else
		json_string(line, letter->event_data);
	json_close(line, '}');
}

static const char *const letter_heads[] = { ">id",      "projection",      "event type", "!status",
					    ">retries", "first failed at", "error",      NULL };

static void letter_row(struct table *table, const struct tide_dead_letter *letter)
{
	table_add(table, "%lld", (long long)letter->id);
	table_add(table, "%s", letter->projection_name);
	table_add(table, "%s", letter->event_type);
	table_add(table, "%s", tide_dead_letter_status_name(letter->status));
	table_add(table, "%d", (int)letter->retry_count);
	table_add(table, "%s", time_text(true, letter->first_failed_at));
	table_add(table, "%s", letter->error_message);
}

static int letters_list(struct letters_call *call)
{
	static const char *const names[] = { "failed", "retrying", "resolved", "all", NULL };
	struct tide_dead_letter_query query = { .projection_name = call->cli->options[OPT_PROJECTION].text,
						.limit = option_bound(call->cli, OPT_LETTER_LIMIT) };
	struct tide_dead_letter_list list;
	struct table table;
	struct tide_error err;
	int status;

	int exit = option_choice(call->cli, OPT_STATUS, names, &status);
	if (exit != CLI_DONE)
		return exit;
	query.any_status = status == 3;
	query.status = query.any_status ? TIDE_DEAD_LETTER_FAILED : (enum tide_dead_letter_status)status;
	if (tide_dead_letters_list(call->checkpoints, &query, &list, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	table_init(&table, letter_heads);
	for (size_t i = 0; i < list.count && exit == CLI_DONE; i++) {
		struct buffer line = { 0 };
		if (call->cli->json) {
			letter_json(&line, &list.entries[i]);
			exit = cli_line(call->cli, &line);
		} else {
			letter_row(&table, &list.entries[i]);
		}
	}
	if (exit == CLI_DONE)
		exit = table_flush(call->cli, &table);
	if (list.count == 0)
		cli_note(call->cli, "no dead letters");
	table_fini(&table);
	tide_dead_letters_free(&list);
	return exit;
}

static int letter_print(struct cli *cli, const struct tide_dead_letter *letter)
{
	struct buffer line = { 0 };

	if (cli->json) {
		letter_json(&line, letter);
		return cli_line(cli, &line);
	}
	buffer_format(&line, "dead letter      %lld (%s)\n", (long long)letter->id,
		      tide_dead_letter_status_name(letter->status));
	buffer_format(&line, "projection       %s\n", letter->projection_name);
	buffer_format(&line, "event            %s %s\n", letter->event_type, letter->event_id_text);
	buffer_format(&line, "failed           first %s, last %s, %d retries\n",
		      time_text(true, letter->first_failed_at), time_text(true, letter->last_failed_at),
		      (int)letter->retry_count);
	if (letter->is_resolved)
		buffer_format(&line, "resolved         %s by %s\n", time_text(true, letter->resolved_at),
			      letter->resolved_by ? letter->resolved_by : "-");
	if (letter->parked_behind)
		buffer_format(&line, "parked behind    %s\n", letter->parked_behind);
	buffer_format(&line, "error            %s\n", letter->error_message);
	if (letter->error_stacktrace)
		buffer_format(&line, "stack trace\n%s\n", letter->error_stacktrace);
	buffer_format(&line, "event as JSON\n%s", letter->event_data);
	return cli_line(cli, &line);
}

static int letter_show(struct letters_call *call, int64_t id)
{
	struct tide_dead_letter_list list;
	struct tide_error err;

	if (tide_dead_letters_get(call->checkpoints, id, &list, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	int exit = letter_print(call->cli, &list.entries[0]);
	tide_dead_letters_free(&list);
	return exit;
}

static int letter_done(struct letters_call *call, int64_t id, const char *what, const char *text)
{
	struct buffer line = { 0 };

	if (!call->cli->json) {
		buffer_format(&line, "dead letter %lld: %s", (long long)id, text);
		return cli_line(call->cli, &line);
	}
	json_open(&line, '{');
	json_key(&line, "id");
	json_integer(&line, id);
	json_key(&line, "status");
	json_string(&line, what);
	json_close(&line, '}');
	return cli_line(call->cli, &line);
}

static int letter_retry(struct letters_call *call, int64_t id)
{
	struct tide_error err;

	if (tide_dead_letters_retry(call->checkpoints, id, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	return letter_done(call, id, "retrying", "the projection will handle it once more, when it runs");
}

static int letter_resolve(struct letters_call *call, int64_t id)
{
	struct tide_error err;

	if (tide_dead_letters_resolve(call->checkpoints, id, call->by, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	return letter_done(call, id, "resolved", "resolved");
}

static int letter_discard(struct letters_call *call, int64_t id)
{
	struct tide_error err;

	if (tide_dead_letters_discard(call->checkpoints, id, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	return letter_done(call, id, "discarded", "discarded");
}

static int letters_purge(struct letters_call *call)
{
	const struct option_value *days = &call->cli->options[OPT_OLDER_THAN];
	struct buffer line = { 0 };
	struct tide_error err;
	int64_t deleted;

	if (days->number > 100000)
		return cli_usage(call->cli, "--older-than '%s' is more days than there were", days->text);
	if (tide_dead_letters_purge(call->checkpoints, days->is_set ? (int)days->number : 30, &deleted, &err) !=
	    TIDE_OK)
		return cli_fail(call->cli, &err);
	if (!call->cli->json) {
		buffer_format(&line, "%s resolved dead letters deleted", number_text(deleted));
		return cli_line(call->cli, &line);
	}
	json_open(&line, '{');
	json_key(&line, "dead_letters_deleted");
	json_integer(&line, deleted);
	json_close(&line, '}');
	return cli_line(call->cli, &line);
}

/* clang-format off */
static const struct letters_action {
	const char *name;
	int (*all)(struct letters_call *call);             /* without ids, or: */
	int (*one)(struct letters_call *call, int64_t id); /* for each id */
	int most_ids;
} letters_actions[] = {
	{ "list",    letters_list,  NULL,           0 },
	{ "show",    NULL,          letter_show,    1 },
	{ "retry",   NULL,          letter_retry,   1 << 20 },
	{ "resolve", NULL,          letter_resolve, 1 },
	{ "discard", NULL,          letter_discard, 1 },
	{ "purge",   letters_purge, NULL,           0 },
};
/* clang-format on */

static const struct letters_action *letters_find(const char *name)
{
	for (size_t i = 0; i < sizeof letters_actions / sizeof *letters_actions; i++)
		if (strcmp(letters_actions[i].name, name) == 0)
			return &letters_actions[i];
	return NULL;
}

static int letters_check(struct cli *cli, const struct letters_action *action)
{
	int ids = cli->arg_count ? cli->arg_count - 1 : 0;
	int64_t id;

	if (action->one && ids == 0)
		return cli_usage(cli, "dead-letters %s needs an id", action->name);
	if (ids > action->most_ids)
		return cli_usage(cli, "dead-letters %s does not take '%s'", action->name,
				 cli->args[1 + action->most_ids]);
	for (int i = 1; i <= ids; i++)
		if (!number_read(cli->args[i], &id))
			return cli_usage(cli, "dead letter '%s' is no id", cli->args[i]);
	return CLI_DONE;
}

/* The first that fails decides the exit status; the others are still done. */
static int letters_each(struct letters_call *call, const struct letters_action *action)
{
	int exit = CLI_DONE;

	for (int i = 1; i < call->cli->arg_count; i++) {
		int64_t id = 0;
		number_read(call->cli->args[i], &id);
		int one = action->one(call, id);
		exit = exit == CLI_DONE ? one : exit;
	}
	return exit;
}

static const char *letters_user(struct cli *cli)
{
	const struct passwd *user = getpwuid(getuid());

	if (cli->options[OPT_BY].is_set)
		return cli->options[OPT_BY].text;
	return user ? user->pw_name : "tide";
}

int cmd_dead_letters(struct cli *cli)
{
	const char *name = cli->arg_count ? cli->args[0] : "list";
	const struct letters_action *action = letters_find(name);
	struct letters_call call = { .cli = cli, .by = letters_user(cli) };
	int exit;

	if (!action)
		return cli_usage(cli, "dead-letters '%s' is none of list, show, retry, resolve, discard, purge", name);
	exit = letters_check(cli, action);
	if (exit != CLI_DONE)
		return exit;
	struct tide_store *store = cli_open(cli, false, &exit);
	if (store)
		call.checkpoints = cli_open_checkpoints(cli, store, false, &exit);
	if (call.checkpoints)
		exit = action->all ? action->all(&call) : letters_each(&call, action);
	tide_checkpoints_close(call.checkpoints);
	tide_store_close(store);
	return exit;
}

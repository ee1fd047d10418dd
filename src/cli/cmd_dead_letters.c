/* SPDX-License-Identifier: Apache-2.0 */
/* tide dead-letters: the events that projections could not handle, and what becomes of them. */
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/records.h"
#include "sys/alloc.h"
#include "sys/clock.h"
#include "sys/wakeup.h"

#define LETTERS_PAGE 500
#define LETTERS_LOOK_NS (50 * NS_PER_MS)

/** One call, and the queue it works on. */
struct letters_call {
	struct cli *cli;
	struct tide_checkpoints *checkpoints;
	const char *by;
	int64_t chosen; /* entries that were meant by --projection or --all */

	/* of a retry with --wait */
	int64_t *asked; /* ids of which nothing is known yet */
	size_t asked_count, asked_capacity;
	int64_t failed_again;
};

static const char *const letter_heads[] = { ">id",      "projection",      "event type", "!status",
					    ">retries", "first failed at", "error",      NULL };

static void letter_json(struct buffer *line, const void *row)
{
	dead_letter_write_json(line, row);
}

static void letter_cells(struct table *table, const void *row)
{
	const struct tide_dead_letter *letter = row;
	table_add(table, "%lld", (long long)letter->id);
	table_add(table, "%s", letter->projection_name);
	table_add(table, "%s", letter->event_type);
	table_add(table, "%s", tide_dead_letter_status_name(letter->status));
	table_add(table, "%d", (int)letter->retry_count);
	table_add(table, "%s", time_text(true, letter->first_failed_at));
	table_add(table, "%s", letter->error_message);
}

static const struct table_kind letter_kind = { letter_heads, letter_cells, letter_json };

static int letters_list(struct letters_call *call)
{
	struct tide_dead_letter_query query = { .projection_name =
							call->cli->options[OPT_PROJECTION].text,
						.limit =
							option_bound(call->cli, OPT_LETTER_LIMIT) };
	struct tide_dead_letter_list list;
	struct tide_error err;
	int status;

	int exit = option_choice(call->cli, OPT_STATUS, &status);
	if (exit != CLI_DONE)
		return exit;
	query.any_status = status == 3;
	query.status =
		query.any_status ? TIDE_DEAD_LETTER_FAILED : (enum tide_dead_letter_status)status;
	if (tide_dead_letters_list(call->checkpoints, &query, &list, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	exit = table_print(call->cli, &letter_kind, list.entries, sizeof *list.entries, list.count);
	if (list.count == 0)
		cli_note(call->cli, "no dead letters");
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
		      time_text(true, letter->first_failed_at),
		      time_text(true, letter->last_failed_at), (int)letter->retry_count);
	if (letter->is_resolved)
		buffer_format(&line, "resolved         %s by %s\n",
			      time_text(true, letter->resolved_at),
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
	json_add_integer(&line, "id", id);
	json_add_string(&line, "status", what);
	json_close(&line, '}');
	return cli_line(call->cli, &line);
}

static bool letters_remember(struct letters_call *call, int64_t id)
{
	if (call->asked_count == call->asked_capacity) {
		size_t capacity = call->asked_capacity ? 2 * call->asked_capacity : 64;
		int64_t *asked = alloc_resize(call->asked, capacity, sizeof *asked);
		if (!asked)
			return false;
		call->asked = asked;
		call->asked_capacity = capacity;
	}
	call->asked[call->asked_count++] = id;
	return true;
}

static int letter_retry(struct letters_call *call, int64_t id)
{
	struct tide_error err;

	if (tide_dead_letters_retry(call->checkpoints, id, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	if (call->cli->options[OPT_LETTER_WAIT].is_set)
		return letters_remember(call, id) ? CLI_DONE : cli_out_of_memory(call->cli);
	return letter_done(call, id, "retrying",
			   "the projection will handle it once more, when it runs");
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

/* ---- What came of a retry -------------------------------------------------------------------- */

/* Tell what came of one; it stays in the list as long as nothing has. */
static int letter_look(struct letters_call *call, int64_t id, bool *ret_is_due)
{
	struct tide_dead_letter_list list;
	struct tide_error err;
	int exit = CLI_DONE;

	*ret_is_due = false;
	tide_status status = tide_dead_letters_get(call->checkpoints, id, &list, &err);
	if (status == TIDE_NOT_FOUND)
		return letter_done(call, id, "discarded", "discarded meanwhile");
	if (status != TIDE_OK)
		return cli_fail(call->cli, &err);
	const struct tide_dead_letter *letter = &list.entries[0];
	if (letter->status == TIDE_DEAD_LETTER_RETRYING) {
		*ret_is_due = true;
	} else if (letter->status == TIDE_DEAD_LETTER_RESOLVED) {
		exit = letter_done(call, id, "resolved", "resolved");
	} else {
		struct buffer text = { 0 };
		call->failed_again++;
		buffer_format(&text, "failed again: %s", letter->error_message);
		exit = letter_done(call, id, "failed", text.failed ? "failed again" : text.data);
		buffer_fini(&text);
	}
	tide_dead_letters_free(&list);
	return exit;
}

static int letters_look(struct letters_call *call)
{
	size_t kept = 0;
	int exit = CLI_DONE;

	for (size_t i = 0; i < call->asked_count; i++) {
		bool is_due = true;
		int64_t id = call->asked[i];
		if (exit == CLI_DONE)
			exit = letter_look(call, id, &is_due);
		if (is_due)
			call->asked[kept++] = id;
	}
	call->asked_count = kept;
	return exit;
}

static int letters_fail_outcome(struct letters_call *call)
{
	struct tide_error err;

	if (call->asked_count)
		tide_fail(&err, TIDE_TIMEOUT,
			  "dead letters that no process has handled within %g s: %zu; they stay "
			  "asked for",
			  call->cli->options[OPT_LETTER_WAIT].seconds, call->asked_count);
	else if (call->failed_again)
		tide_fail(&err, TIDE_HANDLER_PERMANENT, "dead letters that failed again: %lld",
			  (long long)call->failed_again);
	else
		return CLI_DONE;
	return cli_fail(call->cli, &err);
}

/* Look until the projections have handled what was asked for, or the time is over. */
static int letters_await(struct letters_call *call)
{
	double seconds = call->cli->options[OPT_LETTER_WAIT].seconds;
	struct mono_time end = mono_add(clock_mono(&clock_system), ns_of_seconds(seconds));
	struct wakeup never;
	int exit = CLI_DONE;

	wakeup_init(&never);
	while (exit == CLI_DONE && call->asked_count) {
		exit = letters_look(call);
		struct mono_time now = clock_mono(&clock_system);
		if (now.ns >= end.ns)
			break;
		if (call->asked_count)
			wakeup_wait(&never, mono_min(end, mono_add(now, LETTERS_LOOK_NS)));
	}
	wakeup_fini(&never);
	return exit == CLI_DONE ? letters_fail_outcome(call) : exit;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int letters_purge(struct letters_call *call)
{
	const struct option_value *days = &call->cli->options[OPT_OLDER_THAN];
	struct buffer line = { 0 };
	struct tide_error err;
	int64_t deleted;

	if (days->number > 100000)
		return cli_usage(call->cli, "--older-than '%s' is more days than there were",
				 days->text);
	if (tide_dead_letters_purge(call->checkpoints, days->is_set ? (int)days->number : 30,
				    &deleted, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	if (!call->cli->json) {
		buffer_format(&line, "%s resolved dead letters deleted", number_text(deleted));
		return cli_line(call->cli, &line);
	}
	json_open(&line, '{');
	json_add_integer(&line, "dead_letters_deleted", deleted);
	json_close(&line, '}');
	return cli_line(call->cli, &line);
}

/* clang-format off */
static const struct letters_action {
	const char *name;
	int (*all)(struct letters_call *call);             /* without ids, or: */
	int (*one)(struct letters_call *call, int64_t id); /* for each id */
	bool takes_one;                                    /* id and no more */
	bool takes_retrying;                               /* when all are meant: those that are asked for already, too */
} letters_actions[] = {
	{ "list",    letters_list,  NULL,           false, false },
	{ "show",    NULL,          letter_show,    true,  false },
	{ "retry",   NULL,          letter_retry,   false, false },
	{ "resolve", NULL,          letter_resolve, false, true },
	{ "discard", NULL,          letter_discard, false, true },
	{ "purge",   letters_purge, NULL,           false, false },
};
/* clang-format on */

static const struct letters_action *letters_find(const char *name)
{
	for (size_t i = 0; i < sizeof letters_actions / sizeof *letters_actions; i++)
		if (strcmp(letters_actions[i].name, name) == 0)
			return &letters_actions[i];
	return NULL;
}

static bool letters_means_many(const struct cli *cli, const struct letters_action *action)
{
	return action->one && !action->takes_one &&
	       (cli->options[OPT_ALL].is_set || cli->options[OPT_PROJECTION].is_set);
}

static int letters_check(struct cli *cli, const struct letters_action *action)
{
	bool means_many = letters_means_many(cli, action);
	int ids = cli->arg_count ? cli->arg_count - 1 : 0, most = action->all || means_many ? 0
								  : action->takes_one       ? 1
										      : INT_MAX;
	int64_t id;

	if (cli->options[OPT_ALL].is_set && (!means_many || cli->options[OPT_PROJECTION].is_set))
		return cli_usage(
			cli,
			"--all goes with retry, resolve and discard, and not with --projection");
	if (cli->options[OPT_LETTER_WAIT].is_set && strcmp(action->name, "retry") != 0)
		return cli_usage(cli, "--wait goes with retry");
	if (action->takes_one && ids == 0)
		return cli_usage(cli, "dead-letters %s needs an id", action->name);
	if (action->one && ids == 0 && !means_many)
		return cli_usage(cli, "dead-letters %s needs ids, --projection NAME or --all",
				 action->name);
	if (ids > most)
		return cli_usage(cli, "dead-letters %s does not take '%s'%s", action->name,
				 cli->args[1 + most],
				 means_many ? " beside --projection or --all" : "");
	for (int i = 1; i <= ids; i++)
		if (!number_read(cli->args[i], &id))
			return cli_usage(cli, "dead letter '%s' is no id", cli->args[i]);
	return CLI_DONE;
}

/* Whether the verb is for this entry, when all are meant. What is parked is due when what it waits
 * for is out of the way. */
static bool letters_wants(const struct letters_action *action,
			  const struct tide_dead_letter *letter)
{
	if (action->takes_retrying)
		return letter->status != TIDE_DEAD_LETTER_RESOLVED;
	return letter->status == TIDE_DEAD_LETTER_FAILED && !letter->parked_behind;
}

/* One page of entries behind an id; the first failure decides the exit status. */
static int letters_page(struct letters_call *call, const struct letters_action *action,
			struct tide_dead_letter_query *query, size_t *ret_count)
{
	struct tide_dead_letter_list list;
	struct tide_error err;
	int exit = CLI_DONE;

	*ret_count = 0;
	if (tide_dead_letters_list(call->checkpoints, query, &list, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	for (size_t i = 0; i < list.count; i++) {
		query->after_id = list.entries[i].id;
		if (!letters_wants(action, &list.entries[i]))
			continue;
		call->chosen++;
		int one = action->one(call, list.entries[i].id);
		exit = exit == CLI_DONE ? one : exit;
	}
	*ret_count = list.count;
	tide_dead_letters_free(&list);
	return exit;
}

static int letters_many(struct letters_call *call, const struct letters_action *action)
{
	struct tide_dead_letter_query query = { .projection_name =
							call->cli->options[OPT_PROJECTION].text,
						.any_status = true,
						.limit = tide_bound(LETTERS_PAGE),
						.oldest_first = true };
	int exit = CLI_DONE;
	size_t count;

	do {
		int page = letters_page(call, action, &query, &count);
		exit = exit == CLI_DONE ? page : exit;
	} while (count == LETTERS_PAGE);
	if (call->chosen == 0)
		cli_note(call->cli, "no dead letters to %s", action->name);
	return exit;
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

static int letters_run(struct letters_call *call, const struct letters_action *action)
{
	if (action->all)
		return action->all(call);
	int exit = letters_means_many(call->cli, action) ? letters_many(call, action)
							 : letters_each(call, action);
	int outcome = letters_await(call);
	return exit == CLI_DONE ? outcome : exit;
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
		return cli_usage(
			cli,
			"dead-letters '%s' is none of list, show, retry, resolve, discard, purge",
			name);
	exit = letters_check(cli, action);
	if (exit != CLI_DONE)
		return exit;
	bool only_reads = action->all == letters_list || action->one == letter_show;
	struct tide_store *store = cli_open(cli, only_reads, &exit);
	if (store)
		call.checkpoints =
			cli_open_checkpoints(cli, store, only_reads ? CLI_READ : CLI_WRITE, &exit);
	if (call.checkpoints)
		exit = letters_run(&call, action);
	tide_free(call.asked);
	tide_checkpoints_close(call.checkpoints);
	tide_store_close(store);
	return exit;
}

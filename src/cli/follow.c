/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One projection kept up to date with the feed in the foreground, under a manager of its own.
 *
 * Happy path: the subscription runs until SIGTERM or SIGINT, or with --once until it has settled
 * what was stored at the start and delivered again what had been asked for. A watcher thread draws
 * the progress and asks for the shutdown; the summary at the end is what the subscription itself
 * says it did. Failure modes: a subscription that ends in error ends the command with that error.
 * With --once a projection that somebody else runs is `busy`; without, this process stands by and
 * takes over.
 */
#include "cli/follow.h"

#include <inttypes.h>
#include <string.h>

#include "path/checkpoints.h"
#include "path/knobs.h"
#include "sys/alloc.h"

#define FOLLOW_LEASE_MAX 300 /* seconds */
#define WATCH_NS (20 * NS_PER_MS)
#define WATCH_LIVE_NS NS_PER_SECOND /* when nothing is waited for */
#define ONCE_RETRIES 5              /* of a database that fails, for who waits for the end */
/* looks before --once gives up on a projection that somebody else runs */
#define STANDBY_PATIENCE 100

static int follow_start_from(struct cli *cli, struct tide_subscription_config *config)
{
	const char *text = cli->options[OPT_FROM].text;

	if (cli->options[OPT_RESET].is_set && text && strcmp(text, "checkpoint") == 0)
		return cli_usage(
			cli,
			"--reset forgets the checkpoint; it does not go with --from checkpoint");
	if (!text || strcmp(text, "checkpoint") == 0)
		return CLI_DONE;
	/* a run that another process began meanwhile is gone on with */
	config->start_from_initially = true;
	if (strcmp(text, "beginning") == 0) {
		config->start_from = TIDE_START_BEGINNING;
	} else if (strcmp(text, "end") == 0) {
		config->start_from = TIDE_START_END;
	} else if (number_read(text, &config->start_position)) {
		config->start_from = TIDE_START_POSITION;
	} else {
		return cli_usage(
			cli, "--from '%s' is none of checkpoint, beginning, end, and no position",
			text);
	}
	return CLI_DONE;
}

static int follow_on_error(struct cli *cli, struct tide_subscription_config *config)
{
	enum { DEAD_LETTER, STOP, DISCARD };
	int what;

	int exit = option_choice(cli, OPT_ON_ERROR, &what);
	config->continue_on_error = what != STOP;
	config->discard_failed_events = what == DISCARD;
	config->hold_aggregate_on_failure = cli->options[OPT_HOLD_AGGREGATE].is_set;
	if (exit == CLI_DONE && config->hold_aggregate_on_failure && what != DEAD_LETTER)
		return cli_usage(cli, "--hold-aggregate needs --on-error dead-letter");
	return exit;
}

/* What the options say of the subscription's own knobs. */
static int follow_set_knobs(struct cli *cli, struct tide_subscription_config *config)
{
	static const struct {
		enum cli_option option;
		const char *field;
	} set[] = {
#define KNOB(field, kind, rule, fallback, text)
#define KNOB_OPTION(field, id, name, letter, argument, kind, help) { OPT_##id, #field },
#include "path/knobs.def"
#undef KNOB
#undef KNOB_OPTION
	};
	struct tide_error err;

	for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
		const struct option_value *value = &cli->options[set[i].option];
		if (value->is_set &&
		    knob_read(knob_find(set[i].field), value->text, config, &err) != TIDE_OK)
			return cli_usage(cli, "--%s %s", cli_options[set[i].option].name,
					 err.message);
	}
	return CLI_DONE;
}

int follow_config(struct follow *call)
{
	struct cli *cli = call->cli;
	struct tide_subscription_config *config = &call->config;
	*config = tide_catch_up_config(1000, true);
	config->self_check = true;
	/* who waits for the end of the history wants to see every failure */
	if (cli->options[OPT_ONCE].is_set)
		config->max_infrastructure_retries = ONCE_RETRIES;

	/* not a pause after five */
	config->circuit_breaker_enabled = !cli->options[OPT_ONCE].is_set;
	if (cli->options[OPT_WAIT].is_set && !cli->options[OPT_ONCE].is_set)
		return cli_usage(cli, "--wait needs --once");
	const struct option_value *lease = &cli->options[OPT_LEASE];
	if (lease->is_set && !(lease->seconds >= 1 && lease->seconds <= FOLLOW_LEASE_MAX))
		return cli_usage(cli, "--lease is %g s, expected 1 to %d", lease->seconds,
				 FOLLOW_LEASE_MAX);

	int exit = follow_set_knobs(cli, config);
	if (config->max_in_flight < config->batch_size)
		config->max_in_flight = config->batch_size;
	if (exit == CLI_DONE)
		exit = follow_start_from(cli, config);
	return exit == CLI_DONE ? follow_on_error(cli, config) : exit;
}

/* What was projected already would be projected again, or skipped for good. */
static int follow_refuse_from(struct follow *call)
{
	const char *name = call->subscriber->name;
	const char *anew =
		call->cli->command == COMMAND_HANDLE ? "'tide checkpoints reset'" : "--reset";
	struct tide_checkpoint row;
	struct tide_error err;

	if (call->config.start_from == TIDE_START_CHECKPOINT)
		return CLI_DONE;
	tide_status status = checkpoints_load_slowest(call->checkpoints, name, &row, &err);
	if (status == TIDE_NOT_FOUND)
		return CLI_DONE;
	if (status != TIDE_OK)
		return cli_fail(call->cli, &err);
	if (row.has_position)
		tide_fail(&err, TIDE_STATE,
			  "projection '%s' has a checkpoint, at %lld; leave out --from, or begin "
			  "anew with %s",
			  name, (long long)row.position, anew);
	else
		tide_fail(&err, TIDE_STATE,
			  "projection '%s' has a checkpoint; leave out --from, or begin anew with "
			  "%s",
			  name, anew);
	return cli_fail(call->cli, &err);
}

static void follow_end(struct follow *call)
{
	tide_manager_request_shutdown(call->manager, TIDE_SHUTDOWN_PROGRAMMATIC);
}

/* What keeps this process out, for a message: another number of lanes, or an owner. */
static const char *follow_owner_text(const struct follow *call)
{
	static char text[64];
	const char *name = call->subscriber->name;
	struct tide_group group;
	if (checkpoints_group(call->checkpoints, name, &group, NULL) != TIDE_OK ||
	    group.lanes < 2 || group.lanes == call->config.lanes)
		return cli_owner_text(call->checkpoints, name);
	snprintf(text, sizeof text, " with %u lanes", group.lanes);
	return text;
}

static void follow_watch_standby(struct follow *call)
{
	const char *name = call->subscriber->name;

	call->standbys++;
	if (call->cli->options[OPT_ONCE].is_set && call->standbys > STANDBY_PATIENCE) {
		call->gave_up = true;
		follow_end(call);
	} else if (!call->cli->options[OPT_ONCE].is_set && !call->was_noted) {
		call->was_noted = true;
		cli_note(call->cli,
			 "'%s' is running in another process%s; standing by to take over", name,
			 follow_owner_text(call));
	}
}

static void follow_watch_pause(struct follow *call, const struct tide_subscription_status *status)
{
	bool was_paused = call->is_paused;

	call->is_paused = true;
	if (call->cli->options[OPT_ONCE].is_set)
		follow_end(call);
	else if (!was_paused)
		cli_note(call->cli,
			 "'%s' is paused by %s since %s; it goes on after: tide resume %s",
			 status->name, status->paused_by, time_text(true, status->paused_at),
			 status->name);
}

/* Nobody who waits for the end of the history waits for a person. */
static int follow_fail_paused(struct follow *call)
{
	const char *name = call->subscriber->name;
	struct tide_control *list = NULL;
	struct tide_error err;
	size_t count = 0;

	(void)tide_controls_list(call->checkpoints, &list, &count, NULL);
	tide_fail(&err, TIDE_STATE, "projection '%s' is paused", name);
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			tide_fail(&err, TIDE_STATE,
				  "projection '%s' is paused by '%s' since %s; end that with: tide "
				  "resume %s",
				  name, list[i].paused_by, time_text(true, list[i].paused_at),
				  name);
	tide_free(list);
	return cli_fail(call->cli, &err);
}

/* Dead letters that are yet to be delivered again; the error of asking is the subscription's to
 * find. */
static bool follow_has_redeliveries(const struct follow *call)
{
	const char *name = call->subscriber->name;
	struct tide_dead_letter_count *counts;
	size_t count;
	bool has_some = false;

	if (tide_dead_letters_counts(call->checkpoints, &counts, &count, NULL) != TIDE_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		has_some |= strcmp(counts[i].projection_name, name) == 0 &&
			    counts[i].retrying_count > 0;
	tide_free(counts);
	return has_some;
}

/* What came by; each lane passes over what the others handle, so those of lanes are the handled. */
static int64_t follow_events(const struct follow *call,
			     const struct tide_subscription_status *status)
{
	return status->events_processed + (call->config.lanes > 1 ? 0 : status->events_skipped);
}

/* What its own lanes come to is what this process waits for. */
static tide_status follow_status(const struct follow *call, struct tide_subscription_status *ret,
				 struct tide_error *err)
{
	tide_status status = tide_subscription_status(call->subscription, ret, err);
	if (status == TIDE_OK)
		ret->position = tide_subscription_position(call->subscription);
	return status;
}

/* Look once: draw, and ask for the end when it has come. An owner that was replaced restarts by
 * itself. Whether there is more to draw, or an end to come. */
static bool follow_watch_once(struct follow *call)
{
	bool is_once = call->cli->options[OPT_ONCE].is_set;
	struct tide_subscription_status status;
	struct tide_error err;

	if (follow_status(call, &status, &err) != TIDE_OK)
		return true;
	call->done = status.position;
	call->events = follow_events(call, &status);
	if (call->done < call->goal && status.state != TIDE_STATE_STARTING)
		meter_show(&call->meter, call->done, call->events);
	else if (call->done >= call->goal)
		meter_end(&call->meter, call->done, call->events);
	if (*status.paused_by)
		follow_watch_pause(call, &status);
	else if (status.state == TIDE_STATE_ERROR && status.error.status != TIDE_FENCED)
		follow_end(call);
	else if (status.standby)
		follow_watch_standby(call);
	else if (is_once && status.position >= call->goal && status.state != TIDE_STATE_STARTING &&
		 !follow_has_redeliveries(call))
		follow_end(call);
	else
		call->standbys = 0;
	return is_once || (call->done < call->goal && !status.standby && !*status.paused_by);
}

/* A look asks the database, and what runs for months is to cost little. That it has ended is seen
 * without. */
static void follow_rest(struct follow *call, int64_t ns)
{
	struct mono_time began = clock_mono(&clock_system);

	do
		wakeup_wait(&call->stop, mono_add(clock_mono(&clock_system), WATCH_NS));
	while (!wakeup_is_rung(&call->stop) && mono_since(clock_mono(&clock_system), began) < ns &&
	       !tide_subscription_is_terminal(call->subscription));
}

static void follow_watch(void *self)
{
	struct follow *call = self;

	do
		follow_rest(call, follow_watch_once(call) ? WATCH_NS : WATCH_LIVE_NS);
	while (!wakeup_is_rung(&call->stop));
}

/* The status as everywhere, and what only a run has. */
static int follow_json(struct follow *call, const struct tide_subscription_status *status,
		       const struct tide_shutdown_result *result, double seconds,
		       struct buffer *line)
{
	struct tide_error err;
	char *text;

	if (tide_subscription_status_json(status, &text, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	buffer_add(line, text, strlen(text) - 1); /* without its brace */
	tide_free(text);
	json_add_number(line, "seconds", seconds, 3);
	json_add_string(line, "shutdown", tide_shutdown_reason_name(result->reason));
	json_add_integer(line, "redeliveries_resolved", status->redeliveries_resolved);
	json_add_integer(line, "redeliveries_failed", status->redeliveries_failed);
	json_close(line, '}');
	return CLI_DONE;
}

static void follow_text(const struct follow *call, struct buffer *line,
			const struct tide_subscription_status *status, double seconds)
{
	const struct tide_horizon *horizon = &call->horizon;
	int64_t events = follow_events(call, status);

	/* nothing is known of a checkpoint that the start did not come to read */
	if (status->state == TIDE_STATE_ERROR && status->has_previous_state &&
	    status->previous_state == TIDE_STATE_STARTING) {
		buffer_format(line, "'%s' has not begun", status->name);
		return;
	}
	buffer_format(line, "'%s' is at position %lld, %s behind%s: %s events handled",
		      status->name, (long long)status->position,
		      status->lag_events ? number_text(status->lag_events) : "nothing",
		      horizon->end < horizon->newest ? " what is certain" : "",
		      number_text(status->events_processed - status->events_dlq));
	if (status->events_skipped)
		buffer_format(line,
			      call->config.lanes > 1
				      ? ", its lanes passed over %s of other lanes or types"
				      : ", %s of other types",
			      number_text(status->events_skipped));
	if (status->events_dlq)
		buffer_format(line, ", %s dead-lettered (look: tide dead-letters)",
			      number_text(status->events_dlq));
	if (status->events_discarded)
		buffer_format(line, ", %s failed and discarded",
			      number_text(status->events_discarded));
	if (status->redeliveries_resolved)
		buffer_format(line, ", dead letters resolved: %s",
			      number_text(status->redeliveries_resolved));
	if (status->redeliveries_failed)
		buffer_format(line,
			      ", dead letters that failed again: %s (look: tide dead-letters)",
			      number_text(status->redeliveries_failed));
	buffer_format(line, " in %s", seconds_text(seconds));
	if (events >= 1000 && seconds > 0)
		buffer_format(line, " (%s/s)", number_text((int64_t)((double)events / seconds)));
}

/* Events that are set aside are no failure of the command, unless the caller wants them to be. */
static int follow_judge(struct follow *call, const struct tide_subscription_status *status)
{
	struct tide_error err;

	if (!call->cli->options[OPT_STRICT].is_set ||
	    (!status->events_dlq && !status->redeliveries_failed))
		return CLI_DONE;
	if (!status->redeliveries_failed)
		tide_fail(&err, TIDE_HANDLER_PERMANENT,
			  "events that '%s' could not handle: %s, dead-lettered", status->name,
			  number_text(status->events_dlq));
	else
		tide_fail(&err, TIDE_HANDLER_PERMANENT,
			  "events that '%s' could not handle: %s, dead-lettered; dead letters that "
			  "failed again: %s",
			  status->name, number_text(status->events_dlq),
			  number_text(status->redeliveries_failed));
	return cli_fail(call->cli, &err);
}

/* The end was reached, and its transaction was not committed. */
static bool follow_was_undone(const struct follow *call,
			      const struct tide_subscription_status *status,
			      const struct tide_shutdown_result *result)
{
	return call->cli->options[OPT_ONCE].is_set &&
	       result->reason == TIDE_SHUTDOWN_PROGRAMMATIC && status->position < call->goal &&
	       status->error.status != TIDE_OK;
}

static int follow_summary(struct follow *call, const struct tide_shutdown_result *result)
{
	struct tide_subscription_status status;
	struct buffer line = { 0 };
	struct tide_error err;

	if (follow_status(call, &status, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	if (call->gave_up && call->cli->options[OPT_RESET].is_set) {
		cli_note(call->cli, "'%s' was reset, and is projected anew by its owner%s",
			 status.name, cli_owner_text(call->checkpoints, status.name));
		return CLI_DONE;
	}
	if (call->gave_up) {
		tide_fail(&err, TIDE_BUSY, "projection '%s' is running in another process%s",
			  status.name, follow_owner_text(call));
		return cli_fail(call->cli, &err);
	}
	if (call->is_paused && call->cli->options[OPT_ONCE].is_set)
		return follow_fail_paused(call);
	double seconds = meter_seconds(&call->meter);
	int exit = CLI_DONE;
	if (call->cli->json)
		exit = follow_json(call, &status, result, seconds, &line);
	else
		follow_text(call, &line, &status, seconds);
	if (exit == CLI_DONE)
		exit = cli_line(call->cli, &line);
	if (status.state == TIDE_STATE_ERROR)
		exit = cli_fail_run(call->cli, &status.error);
	else if (result->error.status != TIDE_OK)
		exit = cli_fail_run(call->cli, &result->error);
	else if (follow_was_undone(call, &status, result))
		exit = cli_fail_run(call->cli, &status.error);
	else if (exit == CLI_DONE)
		exit = follow_judge(call, &status);
	if (exit == CLI_DONE)
		exit = cli_fail_unsettled(call->cli, &call->horizon);
	if (exit == CLI_DONE && result->reason == TIDE_SHUTDOWN_PROGRAMMATIC &&
	    status.position < call->goal) {
		tide_fail(&err, TIDE_BUSY,
			  "the checkpoint of '%s' went back to position %lld while it ran, %lld "
			  "was its goal; run it "
			  "again",
			  status.name, (long long)status.position, (long long)call->goal);
		return cli_fail(call->cli, &err);
	}
	return exit;
}

/* Where --once ends: behind what is visible now, or as far as it is settled. */
static int follow_find_goal(struct follow *call)
{
	struct tide_error err;

	if (!call->cli->options[OPT_ONCE].is_set) {
		if (tide_store_end(call->store, &call->goal, &err) != TIDE_OK)
			return cli_fail(call->cli, &err);
		return CLI_DONE;
	}
	int exit = cli_settle(call->cli, call->store, &call->horizon);
	call->goal = call->horizon.end;
	return exit;
}

/* It waits for that position, and an event before it may be meant. */
static void follow_note_beyond(const struct follow *call)
{
	const struct tide_subscription_config *config = &call->config;
	if (config->start_from == TIDE_START_POSITION && config->start_position > call->goal)
		cli_note(call->cli,
			 "'%s' begins behind position %lld, and the feed ends at %lld: what comes "
			 "up to there is not for it",
			 call->subscriber->name, (long long)config->start_position,
			 (long long)call->goal);
}

int follow_run(struct follow *call)
{
	struct cli *cli = call->cli;
	const struct tide_subscriber *subscriber = call->subscriber;
	struct tide_shutdown_result result;
	tide_position position = 0;
	struct tide_error err;

	int exit = follow_find_goal(call);
	if (exit != CLI_DONE)
		return exit;
	follow_note_beyond(call);
	if (tide_manager_subscribe(call->manager, subscriber, &call->config, &call->subscription,
				   &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (call->config.start_from == TIDE_START_CHECKPOINT &&
	    tide_checkpoints_position(call->checkpoints, subscriber->name, &position, &err) !=
		    TIDE_OK)
		position = 0;
	meter_begin(&call->meter, subscriber->name, position, call->goal);
	wakeup_init(&call->stop);
	tide_status status = thread_start(&call->watcher, "tide watch", follow_watch, call, &err);
	if (status == TIDE_OK)
		status = cli_run(call->manager, &result, &err);
	wakeup_ring(&call->stop, 1);
	thread_join(&call->watcher);
	wakeup_fini(&call->stop);
	follow_watch_once(call); /* for what was done since the last look */
	meter_end(&call->meter, call->done, call->events);
	return status == TIDE_OK ? follow_summary(call, &result) : cli_fail_run(cli, &err);
}

int follow_open(struct follow *call)
{
	int exit;
	call->store = cli_open(call->cli, false, &exit);
	if (!call->store)
		return exit;
	call->checkpoints = cli_open_checkpoints(call->cli, call->store, CLI_INITIALIZE, &exit);
	return call->checkpoints ? CLI_DONE : exit;
}

int follow_begin(struct follow *call)
{
	struct tide_error err;
	int exit = follow_refuse_from(call);
	if (exit != CLI_DONE)
		return exit;
	if (tide_manager_open(TIDE_MANAGER(.store = call->store, .checkpoints = call->checkpoints,
					   .lease_seconds = call->cli->options[OPT_LEASE].seconds),
			      &call->manager, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	return CLI_DONE;
}

void follow_close(struct follow *call)
{
	tide_manager_close(call->manager);
	tide_checkpoints_close(call->checkpoints);
	tide_store_close(call->store);
}

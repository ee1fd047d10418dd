/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command projections: a batch handler that has a process answer for the events of its batch.
 *
 *	events ─▶ align ─▶ process there? ─▶ send, half a window at a time ─▶ wait ─▶ answers ─▶ take
 *
 * Happy path: what is answered when the call looks is taken; the rest of the window stays in flight
 * until the next call, so that each call waits for the oldest event alone, with its own time.
 * Failure modes: an answer is no ok: the call fails for that event, what was sent behind it is sent
 * again. No answer in time: the group is killed. The process ends: the oldest event has failed, or
 * none has; it is started again with the next call. It answers rubbish, or unasked: it is started
 * again, since nobody knows what its next answer is for.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/event.h"
#include "core/text.h"
#include "project/command.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define COMMAND_LOOK_MS 20
#define COMMAND_END_NS NS_PER_SECOND         /* for a process that has closed its output */
#define COMMAND_GRACE_NS (2 * NS_PER_SECOND) /* at most, between SIGTERM and SIGKILL */
#define COMMAND_BACKOFF_MAX_NS (30 * NS_PER_SECOND)
#define COMMAND_STARTS_MAX 6 /* tries to start it when the system cannot */
#define COMMAND_WINDOW_MAX 1000000
#define COMMAND_DRAIN_SECONDS 6

struct tide_command_projection {
	/* fixed after open */
	struct tide_subscriber subscriber;
	char **arguments, **event_types;
	char *name;
	bool is_batch;
	size_t window_size;
	int64_t drain_ns;
	int32_t deaths_max;
	uint32_t lane, lanes;

	/* the subscription's thread only */
	struct process process;
	struct window window;
	struct replies replies;
	struct buffer out; /* lines to be sent, from out_at */
	size_t out_at;
	/* deaths in a row with the same event, or batch, to be answered */
	tide_position death_position;
	size_t death_events;
	int32_t deaths;
	int failed_starts, short_lives; /* in a row */
	struct mono_time start_at;      /* not before that */
	struct mono_time end_by;        /* of a stop; 0: none was seen */
};

/** One call of the handler. */
struct command_call {
	struct tide_command_projection *command;
	const struct tide_event *const *events;
	size_t count;
	size_t taken;       /* answered with ok */
	tide_status status; /* of a failure */
	struct tide_delivery *delivery;
};

/** What a part of a call came to. */
enum outcome { GO_ON, NOTHING, TAKEN, FAILED };

/* The call is about its first event alone; a batch is one whole. */
static enum outcome command_fail(struct command_call *call, tide_status status, const char *why)
{
	if (!call->command->is_batch)
		tide_delivery_take(call->delivery, 1, 0);
	call->status = tide_delivery_fail(call->delivery, status, "%s", why);
	return FAILED;
}

/* ---- Its process ----------------------------------------------------------------------------- */

static struct mono_time command_now(void)
{
	return clock_mono(&clock_system);
}

static int64_t command_backoff(int times)
{
	int64_t delay = NS_PER_SECOND << (times < 6 ? times : 6) >> 1;
	return delay < COMMAND_BACKOFF_MAX_NS ? delay : COMMAND_BACKOFF_MAX_NS;
}

/* Nothing is in flight to a process that is gone; what it was sent is remembered. */
static void command_clear(struct tide_command_projection *command)
{
	command->window.in_flight = command->window.stale = 0;
	command->out.size = command->out_at = 0;
	replies_clear(&command->replies);
}

static void command_kill(struct tide_command_projection *command, char ret[PROCESS_SAYS_SIZE])
{
	process_kill(&command->process, ret);
	command_clear(command);
	log_at(TIDE_LOG_INFO, "command", "ended", "name='%s' pid=%d how='%s'", command->name,
	       (int)command->process.is.pid, ret);
}

/* Nobody knows what its next answer would be for. */
static void command_distrust(struct tide_command_projection *command, const char *why)
{
	char how[PROCESS_SAYS_SIZE];
	log_at(TIDE_LOG_WARNING, "command", "started anew", "name='%s' pid=%d why='%s'",
	       command->name, (int)command->process.is.pid, why);
	command_kill(command, how);
}

/* The program's own environment with three more; the pointers are the list's, the three the
 * caller's. */
static tide_status command_environment(char own[3][TIDE_NAME_MAX + 20], char ***ret,
				       struct tide_error *err)
{
	size_t count = 0, kept = 0;
	while (environ && environ[count])
		count++;
	char **list = alloc_zero(count + 4, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++) {
		bool is_own = false;
		for (size_t j = 0; j < 3 && !is_own; j++)
			is_own = strncmp(environ[i], own[j], strcspn(own[j], "=") + 1) == 0;
		if (!is_own)
			list[kept++] = environ[i];
	}
	for (size_t j = 0; j < 3; j++)
		list[kept++] = own[j];
	*ret = list;
	return TIDE_OK;
}

static tide_status command_start(struct tide_command_projection *command, struct tide_error *err)
{
	char own[3][TIDE_NAME_MAX + 20], **environment ALLOC_AUTO = NULL;
	snprintf(own[0], sizeof own[0], "TIDE_PROJECTION=%s", command->name);
	snprintf(own[1], sizeof own[1], "TIDE_LANE=%u", command->lane);
	snprintf(own[2], sizeof own[2], "TIDE_LANES=%u", command->lanes);
	tide_status status = command_environment(own, &environment, err);
	struct spawn_plan plan = { command->name, command->arguments, environment };
	return status == TIDE_OK ? process_start(&command->process, &plan, err) : status;
}

/* What the system cannot do now it may do soon; a program that is not there will not come by
 * itself. Neither is the event's fault. */
static enum outcome command_not_started(struct command_call *call, const struct tide_error *error)
{
	struct tide_command_projection *command = call->command;
	bool may_pass = error->status == TIDE_BUSY || error->status == TIDE_OUT_OF_MEMORY;
	log_at(TIDE_LOG_WARNING, "command", "not started", "name='%s' error='%s'", command->name,
	       error->message);
	if (may_pass && ++command->failed_starts < COMMAND_STARTS_MAX) {
		command->start_at =
			mono_add(command_now(), command_backoff(command->failed_starts));
		return NOTHING;
	}

	command->failed_starts = 0;
	tide_delivery_stop(call->delivery);
	call->status = tide_delivery_fail(call->delivery, error->status, "%s", error->message);
	return FAILED;
}

/* It ended, or wrote, with nothing to be answered. */
static void command_look_at_rest(struct tide_command_projection *command)
{
	size_t room;
	char *data = replies_room(&command->replies, &room), how[PROCESS_SAYS_SIZE];
	ssize_t got = process_read(&command->process, data, room);
	if (got > 0 || command->replies.size > 0) {
		command_distrust(command, "it wrote without having been sent an event");
		return;
	}
	if (got == 0 && !process_has_ended(&command->process))
		return;

	struct mono_time now = command_now();
	bool is_short = mono_since(now, command->process.began) < NS_PER_SECOND;
	command->short_lives = is_short ? command->short_lives + 1 : 0;
	if (is_short)
		command->start_at = mono_add(now, command_backoff(command->short_lives));
	command_kill(command, how);
}

/* A process to send to; NOTHING while it is too early for one. */
static enum outcome command_be_there(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	struct tide_error err;
	bool is_at_rest = command->window.in_flight == 0 && command->window.stale == 0;
	if (command->process.is_there && is_at_rest)
		command_look_at_rest(command);
	if (command->process.is_there)
		return GO_ON;

	if (command_now().ns < command->start_at.ns) {
		struct process none = { .is.from = -1, .is.to = -1 };
		process_wait(&none, false, COMMAND_LOOK_MS);
		return NOTHING;
	}
	if (command_start(command, &err) != TIDE_OK)
		return command_not_started(call, &err);
	command->failed_starts = 0;
	return GO_ON;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void command_write_event(struct buffer *out, const struct tide_event *event, int32_t attempt)
{
	event_write_json(out, event);
	if (out->failed)
		return;
	out->size--; /* its brace */
	json_add_integer(out, "attempt", attempt);
	json_close(out, '}');
}

static void command_add_batch(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	int32_t attempt = tide_delivery_attempt(call->delivery);
	size_t before = command->out.size;
	window_send(&command->window, call->events[0], attempt);
	json_open(&command->out, '[');
	for (size_t i = 0; i < call->count; i++)
		command_write_event(&command->out, call->events[i], attempt);
	json_close(&command->out, ']');
	buffer_add(&command->out, "\n", 1);
	window_measure(&command->window, command->out.size - before);
}

/* Half a window at a time: each write wakes the process, and each answer us. An event that failed
 * goes alone. */
static void command_add_window(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	struct window *window = &command->window;
	int32_t attempt = tide_delivery_attempt(call->delivery);
	size_t most = attempt > 1 ? 1 : call->count;
	if (window->in_flight > command->window_size / 2)
		return;
	while (window->in_flight < most) {
		bool is_first = window->in_flight == 0;
		size_t before = command->out.size;
		const struct tide_event *event = call->events[window->in_flight];
		command_write_event(&command->out, event,
				    window_send(window, event, is_first ? attempt : 1));
		buffer_add(&command->out, "\n", 1);
		window_measure(window, command->out.size - before);
	}
}

static enum outcome command_send(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	struct buffer *out = &command->out;
	bool may_send = command->window.stale == 0 && command->end_by.ns == 0 && call->taken == 0;
	if (may_send && command->is_batch && command->window.in_flight == 0)
		command_add_batch(call);
	else if (may_send && !command->is_batch)
		command_add_window(call);

	if (out->failed) { /* what of it was sent is unknown */
		char how[PROCESS_SAYS_SIZE];
		command_kill(command, how);
		buffer_fini(out);
		*out = (struct buffer){ 0 };
		return command_fail(call, TIDE_HANDLER_TRANSIENT, "out of memory");
	}

	ssize_t written = 1;
	while (command->out_at < out->size && written > 0) {
		written = process_write(&command->process, out->data + command->out_at,
					out->size - command->out_at);
		command->out_at += written > 0 ? (size_t)written : 0;
	}
	if (command->out_at == out->size)
		out->size = command->out_at = 0;
	return GO_ON;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static enum outcome command_refuse(struct command_call *call, const struct reply *reply)
{
	struct tide_command_projection *command = call->command;
	bool is_retry = reply->kind == REPLY_RETRY;
	window_fail(&command->window, true);
	tide_delivery_set_stacktrace(call->delivery, reply->stacktrace);
	if (reply->kind != REPLY_RUBBISH)
		return command_fail(call,
				    is_retry ? TIDE_HANDLER_TRANSIENT : TIDE_HANDLER_PERMANENT,
				    *reply->why ? reply->why
				    : is_retry  ? "the command said retry"
						: "the command said fail");

	char why[sizeof reply->why + 100];
	snprintf(why, sizeof why, "the command answered event %lld with %s",
		 (long long)call->events[0]->position, reply->why);
	command_distrust(command, "its answer was none");
	return command_fail(call, TIDE_HANDLER_PERMANENT, why);
}

/* An answer that names an event is for that one or for none. */
static void command_check_position(const struct command_call *call, struct reply *reply)
{
	tide_position position = call->events[call->taken]->position;
	if (!reply->has_position || reply->position == position)
		return;
	reply->kind = REPLY_RUBBISH;
	snprintf(reply->why, sizeof reply->why, "an answer for event %lld",
		 (long long)reply->position);
}

/* The next line is the answer to the oldest event; one that is no ok waits for a call of its own
 * when others are taken. */
static enum outcome command_take_one(struct command_call *call, struct tide_text line)
{
	struct tide_command_projection *command = call->command;
	struct reply reply;
	reply_read(line, command->replies.is_skipping, &reply);
	command_check_position(call, &reply);

	enum outcome outcome = GO_ON;
	if (reply.kind == REPLY_OK) {
		replies_pass(&command->replies, line);
		window_settle(&command->window);
		command->process.has_answered = true;
		call->taken += command->is_batch ? call->count : 1;
		command->deaths = command->short_lives = 0;
	} else if (call->taken > 0) {
		outcome = TAKEN;
	} else {
		replies_pass(&command->replies, line);
		outcome = command_refuse(call, &reply);
	}
	reply_fini(&reply);
	return outcome;
}

static bool command_awaits(const struct command_call *call)
{
	const struct window *window = &call->command->window;
	return window->in_flight > 0 && call->taken < call->count &&
	       window_is(window_oldest(window), call->events[call->taken]);
}

static enum outcome command_take(struct command_call *call, bool *ret_has_passed)
{
	struct tide_command_projection *command = call->command;
	struct tide_text line;
	enum outcome outcome = GO_ON;
	while (outcome == GO_ON && replies_peek(&command->replies, &line)) {
		if (command->window.stale > 0) {
			replies_pass(&command->replies, line);
			command->window.stale--;
			*ret_has_passed = true;
		} else if (command_awaits(call)) {
			outcome = command_take_one(call, line);
		} else {
			break;
		}
	}
	return outcome == GO_ON && call->taken > 0 ? TAKEN : outcome;
}

/* Read once, take what is there. `*ret_is_over`: nothing more will come. */
static enum outcome command_listen(struct command_call *call, bool *ret_is_over)
{
	struct tide_command_projection *command = call->command;
	bool has_passed = false;
	enum outcome outcome = command_take(call, &has_passed);
	if (outcome != GO_ON)
		return outcome;

	size_t room;
	char *data = replies_room(&command->replies, &room);
	ssize_t got = process_read(&command->process, data, room);
	*ret_is_over = got < 0;
	if (got > 0)
		command->replies.size += (size_t)got;
	outcome = command_take(call, &has_passed);

	/* the next one to be passed over has its own time */
	return outcome == GO_ON && has_passed ? NOTHING : outcome;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* One that has worked before, and has read nothing of what it was to answer next, ended for another
 * reason. */
static bool command_was_at_fault(const struct tide_command_projection *command)
{
	const struct window *window = &command->window;
	size_t unread = process_unread(&command->process) + command->out.size - command->out_at;
	return window->in_flight > 0 &&
	       !(command->process.has_answered && unread >= window_bytes(window));
}

/* What was to be answered first is held to have ended it. */
static enum outcome command_died(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	char how[PROCESS_SAYS_SIZE], why[PROCESS_SAYS_SIZE + 60];
	bool is_at_fault = command_was_at_fault(command);
	tide_position position = call->events[0]->position;
	command_kill(command, how);
	if (!is_at_fault) {
		command->start_at =
			mono_add(command_now(), command_backoff(++command->short_lives));
		return NOTHING;
	}

	bool is_same = position == command->death_position && call->count == command->death_events;
	command->deaths = is_same ? command->deaths + 1 : 1;
	command->death_position = position;
	command->death_events = call->count;
	bool is_last = command->deaths >= command->deaths_max;
	if (is_last && command->deaths > 1)
		snprintf(why, sizeof why, "the command %s, %d times in a row", how,
			 command->deaths);
	else
		snprintf(why, sizeof why, "the command %s", how);
	if (is_last)
		command->deaths = 0;
	return command_fail(call, is_last ? TIDE_HANDLER_PERMANENT : TIDE_HANDLER_TRANSIENT, why);
}

/* Its output is closed, so nothing more will be answered; it has a moment to end by itself, so that
 * its status can be told. */
static enum outcome command_closed(struct command_call *call)
{
	struct process *process = &call->command->process;
	struct mono_time until = mono_add(command_now(), COMMAND_END_NS);
	struct process none = { .is.from = -1, .is.to = -1 };
	while (!process_has_ended(process) && command_now().ns < until.ns &&
	       !tide_delivery_is_late(call->delivery))
		process_wait(&none, false, 1);
	return command_died(call);
}

static enum outcome command_late(struct command_call *call)
{
	char how[PROCESS_SAYS_SIZE];
	log_at(TIDE_LOG_WARNING, "command", "killed, for it has not answered in time",
	       "name='%s' pid=%d position=%lld", call->command->name,
	       (int)call->command->process.is.pid, (long long)call->events[0]->position);
	command_kill(call->command, how);
	return command_fail(call, TIDE_TIMEOUT, "the command has not answered in time");
}

/* Between SIGTERM and SIGKILL. */
static int64_t command_grace(const struct tide_command_projection *command)
{
	int64_t grace = command->drain_ns / 4;
	return grace < COMMAND_GRACE_NS ? grace : COMMAND_GRACE_NS;
}

/* The run is ending: no more is sent, and what is in flight has until the end of the drain. */
static enum outcome command_stop(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	struct mono_time now = command_now();
	if (command->end_by.ns == 0)
		command->end_by = mono_add(now, command->drain_ns);
	if (command->window.in_flight == 0)
		return NOTHING;
	if (command->out.size == 0)
		process_close_input(&command->process);
	if (now.ns < command->end_by.ns)
		return GO_ON;

	char how[PROCESS_SAYS_SIZE];
	log_at(TIDE_LOG_WARNING, "command",
	       "ended, for it has not answered before the end of the drain",
	       "name='%s' pid=%d position=%lld", command->name, (int)command->process.is.pid,
	       (long long)call->events[0]->position);
	(void)process_end(&command->process, now, command_grace(command), how);
	command_clear(command);
	return NOTHING;
}

static void command_leave(void *self)
{
	struct tide_command_projection *command = self;
	char how[PROCESS_SAYS_SIZE];
	struct mono_time until =
		command->end_by.ns ? command->end_by : mono_add(command_now(), command->drain_ns);
	if (command->process.is_there) {
		bool has_ended = process_end(&command->process, until, command_grace(command), how);
		log_at(has_ended ? TIDE_LOG_INFO : TIDE_LOG_WARNING, "command",
		       has_ended ? "ended" : "ended, for it has not done so by itself",
		       "name='%s' pid=%d how='%s'", command->name, (int)command->process.is.pid,
		       how);
	}

	command_clear(command);
	window_clear(&command->window);
	command->end_by = command->start_at = (struct mono_time){ 0 };
	command->deaths = command->failed_starts = command->short_lives = 0;
}

/* ---- The handler ----------------------------------------------------------------------------- */

static enum outcome command_step(struct command_call *call)
{
	struct tide_command_projection *command = call->command;
	bool is_over = false;
	enum outcome outcome = GO_ON;
	if (tide_delivery_is_stopping(call->delivery))
		outcome = command_stop(call);
	if (outcome == GO_ON)
		outcome = command_be_there(call);
	if (outcome == GO_ON)
		outcome = command_send(call);
	if (outcome == GO_ON)
		outcome = command_listen(call, &is_over);
	if (outcome != GO_ON)
		return outcome;

	if (tide_delivery_is_late(call->delivery))
		return command_late(call);
	if (is_over)
		return command_closed(call);
	process_wait(&command->process, command->out.size > 0, COMMAND_LOOK_MS);
	return GO_ON;
}

static tide_status command_handle(void *self, const struct tide_event *const *events, size_t count,
				  struct tide_delivery *delivery)
{
	struct tide_command_projection *command = self;
	struct command_call call = { command, events, count, 0, TIDE_OK, delivery };
	window_align(&command->window, events[0]);

	for (int looks = 0;; looks++) {
		enum outcome outcome = command_step(&call);
		/* a process whose output somebody else holds open ends without being heard */
		if (outcome == GO_ON && looks % 5 == 4 && process_has_ended(&command->process)) {
			bool is_over;
			outcome = command_listen(&call, &is_over);
			outcome = outcome == GO_ON ? command_died(&call) : outcome;
		}
		if (outcome == NOTHING || outcome == TAKEN)
			tide_delivery_take(delivery, call.taken, command->window.in_flight);
		if (outcome != GO_ON)
			return outcome == FAILED ? call.status : TIDE_OK;
	}
}

/* ---- The projection -------------------------------------------------------------------------- */

static tide_status command_check(const struct tide_command_projection_options *options,
				 struct tide_error *err)
{
	if (!options || !options->name || !options->arguments || !options->arguments[0])
		return tide_fail(err, TIDE_ARGUMENT, "a command projection needs a %s",
				 options && options->name ? "command" : "name");
	tide_status status = name_check_projection(options->name, false, err);
	if (status != TIDE_OK)
		return status;

	if (!*options->arguments[0])
		return tide_fail(err, TIDE_ARGUMENT, "command '' is empty");
	if (options->window < 0 || options->window > COMMAND_WINDOW_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "window is %lld, expected 1 to %d",
				 (long long)options->window, COMMAND_WINDOW_MAX);
	if (options->batch && options->window > 1)
		return tide_fail(err, TIDE_ARGUMENT,
				 "window is %lld, and a batch goes by itself, without one",
				 (long long)options->window);
	if (!(options->drain_timeout >= 0))
		return tide_fail(err, TIDE_ARGUMENT, "drain_timeout is %g, expected more than 0",
				 options->drain_timeout);
	if (options->max_process_deaths < 0)
		return tide_fail(err, TIDE_ARGUMENT, "max_process_deaths is %d, expected 1 or more",
				 options->max_process_deaths);
	if (options->lanes ? options->lane >= options->lanes : options->lane > 0)
		return tide_fail(err, TIDE_ARGUMENT, "lane is %u, expected less than lanes, %u",
				 options->lane, options->lanes ? options->lanes : 1);
	return TIDE_OK;
}

/* A list that ends in NULL, in one block with its texts. */
static char **command_copy(const char *const *list)
{
	size_t count = 0, size = 0;
	for (; list[count]; count++)
		size += strlen(list[count]) + 1;
	char **copy = alloc_zero((count + 1) * sizeof *copy + size, 1);
	if (!copy)
		return NULL;

	char *text = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		size = strlen(list[i]) + 1;
		copy[i] = memcpy(text, list[i], size);
		text += size;
	}
	return copy;
}

static tide_status command_init(struct tide_command_projection *command,
				const struct tide_command_projection_options *options,
				struct tide_error *err)
{
	double drain = options->drain_timeout > 0 ? options->drain_timeout : COMMAND_DRAIN_SECONDS;
	command->is_batch = options->batch;
	command->window_size = options->window > 0 ? (size_t)options->window : 1;
	command->drain_ns = ns_of_seconds(drain);
	command->deaths_max = options->max_process_deaths ? options->max_process_deaths : 3;
	command->lane = options->lane;
	command->lanes = options->lanes ? options->lanes : 1;
	command->name = alloc_text(options->name, strlen(options->name));
	command->arguments = command_copy(options->arguments);
	command->event_types = options->event_types ? command_copy(options->event_types) : NULL;
	command->replies.data = alloc_zero(REPLIES_SIZE, 1);
	if (!command->name || !command->arguments || !command->replies.data ||
	    (options->event_types && !command->event_types))
		return alloc_fail(err);
	return window_init(&command->window, command->window_size, err);
}

static void command_free(struct tide_command_projection *command)
{
	window_fini(&command->window);
	buffer_fini(&command->out);
	tide_free(command->replies.data);
	tide_free(command->event_types);
	tide_free(command->arguments);
	tide_free(command->name);
	tide_free(command);
}

/* Each lane has a process of its own. */
static tide_status command_open_lane(void *self, struct tide_lane lane, void **ret,
				     struct tide_error *err)
{
	const struct tide_command_projection *whole = self;
	struct tide_command_projection *own;
	tide_status status = tide_command_projection_open(
		TIDE_COMMAND_PROJECTION(.name = whole->name,
					.arguments = (const char *const *)whole->arguments,
					.event_types = (const char *const *)whole->event_types,
					.window = whole->is_batch ? 0 : (int64_t)whole->window_size,
					.batch = whole->is_batch,
					.drain_timeout = seconds_of_ns(whole->drain_ns),
					.max_process_deaths = whole->deaths_max, .lane = lane.index,
					.lanes = lane.total),
		&own, err);
	if (status == TIDE_OK)
		*ret = own;
	return status;
}

static void command_close_lane(void *self)
{
	tide_command_projection_close(self);
}

tide_status tide_command_projection_open(const struct tide_command_projection_options *options,
					 struct tide_command_projection **ret,
					 struct tide_error *err)
{
	tide_status status =
		ret ? command_check(options, err) : tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	if (status != TIDE_OK)
		return status;
	struct tide_command_projection *command = alloc_zero(1, sizeof *command);
	if (!command)
		return alloc_fail(err);

	status = command_init(command, options, err);
	if (status == TIDE_OK)
		status = spawner_enter(err);
	if (status != TIDE_OK) {
		command_free(command);
		return status;
	}

	command->subscriber = (struct tide_subscriber){
		.name = command->name,
		.self = command,
		.event_types = (const char *const *)command->event_types,
		.handle_batch = command_handle,
		.batch_events = command->is_batch ? 0 : command->window_size,
		.leave = command_leave,
		.lane_open = command_open_lane,
		.lane_close = command_close_lane,
	};
	*ret = command;
	return TIDE_OK;
}

void tide_command_projection_close(struct tide_command_projection *projection)
{
	if (!projection)
		return;
	command_leave(projection);
	spawner_leave();
	command_free(projection);
}

const struct tide_subscriber *
tide_command_projection_subscriber(const struct tide_command_projection *projection)
{
	return projection ? &projection->subscriber : NULL;
}

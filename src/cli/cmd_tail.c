/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide tail: events as they are appended, by any process.
 *
 * A subscription like any other, whose checkpoint is in memory and forgotten; its handler prints.
 * It ends with SIGINT, SIGTERM, --limit events, or when nobody reads what it writes.
 */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sys/thread.h"

#define TAIL_LOOK_MS 100

/** Looks out for the end of the reader, whether or not there is anything to write to it, and for
 * that of the subscription. */
struct tail_watch {
	struct thread thread;
	int wake[2]; /* closed at the writing end: the watch is over */
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	bool has_lost_reader; /* read when the thread has ended */
};

/** One tail; the handler's after the start. */
struct tail_call {
	struct event_filter filter;
	struct event_lines lines;
	struct tide_manager *manager;
	int64_t left; /* events still to show; < 0: no limit */
};

static bool tail_wants(const struct tide_query *query, const struct tide_event *event)
{
	const struct tide_time *from = query->occurred_from, *until = query->occurred_until;

	if (query->of_stream &&
	    !(tide_uuid_equal(&query->stream.aggregate_id, &event->aggregate_id) &&
	      strcmp(query->stream.aggregate_type, event->aggregate_type.data) == 0))
		return false;
	if (query->of_stream && event->version <= query->after.value)
		return false;
	return !(from && event->occurred_at.unix_us < from->unix_us) &&
	       !(until && event->occurred_at.unix_us > until->unix_us);
}

static tide_status tail_handle(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	struct tail_call *call = self;

	(void)delivery;
	if (call->left == 0 || !tail_wants(&call->filter.query, event))
		return TIDE_OK;
	bool failed = event_lines_add(&call->lines, event) != CLI_DONE;
	failed |= event_lines_flush(&call->lines) != CLI_DONE || ferror(stdout);
	call->left -= call->left > 0;
	if (call->left == 0 || failed) {
		call->left = 0;
		tide_manager_request_shutdown(call->manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	}
	return TIDE_OK;
}

/* Of a stream the versions before --after are passed over by the handler, from the beginning of the
 * feed. */
static struct tide_subscription_config tail_config(const struct tide_query *query)
{
	struct tide_subscription_config config = tide_catch_up_config(1000, false);

	config.event_types = query->event_types;
	config.aggregate_types = query->aggregate_types;
	config.tenant_id = query->tenant_id;
	config.start_from = TIDE_START_END;
	if (query->after.is_set) {
		config.start_from = TIDE_START_POSITION;
		config.start_position = query->of_stream ? 0 : query->after.value;
	}
	return config;
}

/* An owner that was replaced begins again by itself. */
static bool tail_has_failed(const struct tail_watch *watch)
{
	struct tide_subscription_status status;

	return tide_subscription_status(watch->subscription, &status, NULL) == TIDE_OK &&
	       status.state == TIDE_STATE_ERROR && status.error.status != TIDE_FENCED;
}

/* poll(2): the writing end of a pipe is in error when nobody has the reading end open. */
static void tail_watch_run(void *self)
{
	struct tail_watch *watch = self;
	struct pollfd look[] = { { .fd = STDOUT_FILENO },
				 { .fd = watch->wake[0], .events = POLLIN } };

	while (poll(look, 2, TAIL_LOOK_MS) <= 0 && !tail_has_failed(watch)) {
	}
	watch->has_lost_reader = (look[0].revents & POLLERR) != 0;
	if (watch->has_lost_reader || tail_has_failed(watch))
		tide_manager_request_shutdown(watch->manager, TIDE_SHUTDOWN_PROGRAMMATIC);
}

static tide_status tail_watch_start(struct tail_watch *watch, struct tide_manager *manager,
				    struct tide_subscription *subscription, struct tide_error *err)
{
	*watch = (struct tail_watch){ .manager = manager, .subscription = subscription };
	if (pipe(watch->wake) != 0)
		return tide_fail(err, TIDE_IO, "no pipe can be made");
	tide_status status = thread_start(&watch->thread, "tide tail", tail_watch_run, watch, err);
	if (status != TIDE_OK) {
		close(watch->wake[0]);
		close(watch->wake[1]);
	}
	return status;
}

/* As every other writer to a pipe that nobody reads: `tide read` ends by this signal, too. */
static void tail_watch_stop(struct tail_watch *watch)
{
	close(watch->wake[1]);
	thread_join(&watch->thread);
	close(watch->wake[0]);
	if (watch->has_lost_reader)
		raise(SIGPIPE);
}

static int tail_run(struct cli *cli, struct tail_call *call)
{
	struct tide_subscription_config config = tail_config(&call->filter.query);
	struct tide_subscriber subscriber = { .name = "tide tail",
					      .self = call,
					      .handle = tail_handle };
	struct tide_shutdown_result result;
	struct tide_subscription *subscription;
	struct tide_subscription_status status;
	struct tail_watch watch;
	struct tide_error err;

	if (tide_manager_subscribe(call->manager, &subscriber, &config, &subscription, &err) !=
	    TIDE_OK)
		return cli_fail(cli, &err);
	if (call->left == 0)
		return CLI_DONE;
	if (tail_watch_start(&watch, call->manager, subscription, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	tide_status ended = cli_run(call->manager, &result, &err);
	tail_watch_stop(&watch);
	if (ended != TIDE_OK)
		return cli_fail(cli, &err);
	if (tide_subscription_status(subscription, &status, &err) == TIDE_OK &&
	    status.state == TIDE_STATE_ERROR)
		return cli_fail_run(cli, &status.error);
	return CLI_DONE;
}

static int tail_open(struct cli *cli, struct tail_call *call, struct tide_store *store)
{
	struct tide_checkpoints *checkpoints;
	struct tide_error err;
	int exit;

	if (tide_checkpoints_open("memory:", NULL, store, &checkpoints, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	if (tide_manager_open(TIDE_MANAGER(.store = store, .checkpoints = checkpoints),
			      &call->manager, &err) == TIDE_OK) {
		exit = tail_run(cli, call);
		tide_manager_close(call->manager);
	} else {
		exit = cli_fail(cli, &err);
	}
	tide_checkpoints_close(checkpoints);
	return exit;
}

int cmd_tail(struct cli *cli)
{
	struct tail_call call = { 0 };
	struct tide_store *store = NULL;

	int exit = event_filter_read(cli, &call.filter);
	call.left = call.filter.query.limit.is_set ? call.filter.query.limit.value : -1;
	if (exit == CLI_DONE)
		store = cli_open(cli, true, &exit);
	if (store) {
		event_lines_init(&call.lines, cli, cli->json);
		exit = tail_open(cli, &call, store);
		event_lines_fini(&call.lines);
	}
	tide_store_close(store);
	return exit;
}

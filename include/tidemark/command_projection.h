/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_COMMAND_PROJECTION_H
#define TIDEMARK_COMMAND_PROJECTION_H

#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * A projection that is a program: it gets events as lines on its standard input and answers each
 * with a line on its standard output.
 *
 *	#!/bin/sh
 *	while read -r event; do
 *		printf '%s\n' "$event" >>seen && echo ok || echo "retry disk full?"
 *	done
 *
 * An event is one JSON object, as tide_event_to_json writes it, and `attempt`: how often it was
 * sent in this run. The answers, in the order of the events: `ok`, `retry [why]`, `fail [why]`, or
 * {"result": "ok" | "retry" | "fail", "why": …, "stacktrace": …}; a `global_position` in it must be
 * that of the event. Anything else is a `fail`, and the program is started anew, since nobody knows
 * what it will answer for next.
 *
 * Events are delivered at least once, in order; behind one that failed they are sent again. The
 * program runs from the first event of a run to the run's end, in a process group of its own, with
 * TIDE_PROJECTION, TIDE_LANE and TIDE_LANES in its environment. What it writes to its standard
 * error is logged. It is killed, group and all, when an event is not answered within
 * processing_timeout, and with the process that started it.
 */
struct tide_command_projection;

/** What is run, and how. Fill it with TIDE_COMMAND_PROJECTION. */
struct tide_command_projection_options {
	size_t size;      /* of this struct, set by TIDE_COMMAND_PROJECTION */
	const char *name; /* of the projection and its checkpoint */
	/* the program, looked for in PATH, and its arguments; ends in NULL; no shell sees them */
	const char *const *arguments;
	const char *const *event_types; /* ends in NULL; NULL or empty: all */
	/* events sent before the first answer; 0: 1; at most a page, see batch_size */
	int64_t window;
	bool batch; /* a page is one line, a JSON array, with one answer; without a window */
	/* seconds to answer and end in when the run ends; 0: 6. SIGTERM follows, and SIGKILL
	 * after a quarter of it, at most 2; less than the manager's drain_timeout in all */
	double drain_timeout;
	/* deaths while one event was the next to be answered that dead-letter it; 0: 3 */
	int32_t max_process_deaths;
	uint32_t lane, lanes; /* of TIDE_LANE and TIDE_LANES; lanes 0: 0 and 1 */
};
#ifdef __cplusplus
static inline struct tide_command_projection_options tide_command_projection_options_default(void)
{
	struct tide_command_projection_options options = {};
	options.size = sizeof options;
	return options;
}
#else
#define TIDE_COMMAND_PROJECTION(...)                                                               \
	(&(const struct tide_command_projection_options){                                          \
		.size = sizeof(struct tide_command_projection_options), __VA_ARGS__ })
#endif

/**
 * Make a projection of a command; nothing is started yet.
 *
 * Owns:    the caller owns `*ret`; release it with tide_command_projection_close.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_command_projection_open(const struct tide_command_projection_options *options,
					 struct tide_command_projection **ret,
					 struct tide_error *err);

/**
 * Release a projection that is no longer subscribed; NULL is allowed.
 *
 * Owns:    takes `projection`.
 * Threads: one, as the last call on it.
 * Returns: nothing.
 */
void tide_command_projection_close(struct tide_command_projection *projection);
static inline void
tide_command_projection_close_cleanup(struct tide_command_projection **projection)
{
	tide_command_projection_close(*projection);
}

/**
 * Give the subscriber that a manager runs; one manager at a time.
 *
 * A program that cannot be executed ends the run in ERROR; its event comes again with the next run.
 * One that ends by itself fails the event it was to answer next, as TIDE_HANDLER_TRANSIENT, and is
 * started again.
 *
 * Owns:    nothing; it belongs to the projection, which must outlive the subscription.
 * Threads: any.
 * Returns: the subscriber; NULL for NULL.
 */
const struct tide_subscriber *
tide_command_projection_subscriber(const struct tide_command_projection *projection);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

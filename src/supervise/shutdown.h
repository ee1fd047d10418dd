/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_SHUTDOWN_H
#define TIDE_SUPERVISE_SHUTDOWN_H

#include "supervise/manager.h"

/** Whether a subscription runs at one moment, and what it has in hand; no events: nothing. */
struct shutdown_hand {
	bool is_running;
	int64_t events;
	tide_position position; /* of the first one */
};

/** One sequence; used by the thread that runs it. */
struct shutdown_run {
	struct tide_manager *manager;
	bool is_plain; /* a stop: no hooks, no signals, and what is in hand has all of the time */
	struct manager_set set;
	struct tide_shutdown_result result;
	struct mono_time began, deadline;
	double drain_limit;
	double drain_seconds;                      /* what it took */
	bool has_drained;                          /* nothing was in hand at its end */
	struct shutdown_hand *at_start, *at_drain; /* of each subscription */
};

/* ---- request.c ------------------------------------------------------------------------------- */

tide_status shutdown_init(struct shutdown *shutdown, struct tide_error *err);
void shutdown_fini(struct shutdown *shutdown);
/** Wake who waits for a request. Threads: any; a signal handler, too. */
void shutdown_ring(struct shutdown *shutdown);
/** Whether a second signal has come. */
bool shutdown_is_forced(const struct shutdown_run *run);
/** What a request has asked for is done, or given up: the next start may come. */
void shutdown_forget_request(struct tide_manager *manager);

/* ---- shutdown.c and hooks.c ------------------------------------------------------------------ */

/** How long what is in hand is waited for: all of `drain_timeout` unless the final checkpoint needs
 * the rest. Seconds; `left` of `total`. */
double shutdown_drain_limit(double total, double left, double drain_timeout);

/** Run the whole sequence; `run` says which one (deadline 0: as asked for, or as configured) and
 * holds the result. TIDE_OUT_OF_MEMORY: nothing was begun. */
tide_status shutdown_through(struct shutdown_run *run, struct tide_error *err);

/** Call the hooks of one moment, in order, each within its limit. */
void hooks_call(struct shutdown_run *run, enum tide_hook_moment moment);

#endif

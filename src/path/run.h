/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_RUN_H
#define TIDE_PATH_RUN_H

/*
 * The run of a subscription, from outside: begun, asked to stop, given up. Threads: any.
 */

#include "path/subscription.h"

/** TIDE_TIMEOUT: what the run that a stop leaves behind is still in. */
tide_status run_say_left(struct tide_subscription *subscription, struct tide_error *err);
/** TIDE_BUSY, naming what has not returned, while its last run is left behind. */
tide_status run_check_left_locked(struct tide_subscription *subscription, struct tide_error *err)
	TIDE_REQUIRES(subscription->lock);

/** Begin a run, in a thread of its own or to be stepped; success when one is under way. TIDE_BUSY
 * while the last one is left behind. */
tide_status run_start(struct tide_subscription *subscription, bool is_threaded, bool is_restart,
		      struct tide_error *err);
/** Wait until a run that an error has ended is over, or was given up. */
void run_await_failed(struct tide_subscription *subscription);
/** What keeps the whole manager from starting is this one's error, unless it runs. */
void run_refuse(struct tide_subscription *subscription, const struct tide_error *why);
/** Wait until the start is resolved (`deadline` MONO_NEVER), or is live or ended, or the deadline;
 * the error that kept it from that, never a later one. */
tide_status run_wait_started(struct tide_subscription *subscription, bool until_live,
			     struct mono_time deadline, struct tide_error *err);

/** Ask it to stop; returns at once. */
void run_ask_stop(struct tide_subscription *subscription, struct mono_time deadline);
bool run_is_over(struct tide_subscription *subscription);
/** Wait until it is, or was given up, or the deadline of the stop; whether it is. */
bool run_wait_over(struct tide_subscription *subscription);
/** Save what is settled while its handler is in hand; whether it was written. */
bool run_save_prefix(struct tide_subscription *subscription);
/** STOPPED without what has not returned, unless it is over. */
bool run_abandon(struct tide_subscription *subscription);

#endif

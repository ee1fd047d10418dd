/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_RUNNER_H
#define TIDE_PATH_RUNNER_H

/*
 * Moving a subscription: runner_step does what is due, never sleeps, and says when it wants to be
 * called next. Its parts, a file and a header each, run in the one thread that steps it.
 */

#include <assert.h>

#include "path/subscription.h"

/** Take a step at `now`; returns when to call again, MONO_NEVER when the run is over. */
struct mono_time runner_step(struct tide_subscription *subscription, struct mono_time now);
/** Whether a run is under way. */
bool runner_is_running(struct tide_subscription *subscription);
/** Step until the run is over: the body of the subscription's thread. */
void runner_thread(void *subscription);
/** When that thread ended otherwise: a handler ended it. The run ends in ERROR. */
void runner_thread_died(void *subscription);

/** `why`: what is waited for, static text. */
static inline enum step runner_wait(struct tide_subscription *subscription, struct mono_time until,
				    const char *why)
{
	assert(why);
	subscription->runner.wait.at = until;
	subscription->runner.wait.why = why;
	return STEP_WAIT;
}

/** The run cannot go on: a part returns this, and what is above it hands it up. */
static inline enum step runner_give_up(struct tide_subscription *subscription,
				       const struct tide_error *cause)
{
	assert(cause->status != TIDE_OK);
	subscription->runner.cause = *cause;
	return STEP_FAIL;
}

/** After what may have taken long, so that its time is not the next handler's. */
static inline void runner_look_at_clock(struct tide_subscription *subscription)
{
	subscription->runner.now = clock_mono(subscription->engine->clock);
}

/** Nobody else may own it yet, as of runner.now: else no handler is called. */
static inline bool runner_is_trusted(const struct tide_subscription *subscription)
{
	return subscription->runner.now.ns <
	       atomic_load_explicit(&subscription->lease.trust_until, memory_order_relaxed);
}

/** The wall time of runner.now, from one look at the clock per step. */
static inline struct tide_time runner_wall(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	return (struct tide_time){ runner->begun.wall.unix_us +
				   mono_since(runner->now, runner->begun.mono) / 1000 };
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_RUN_H
#define TIDE_POLICY_RUN_H

#include <stdbool.h>

/** A subscription's run, from its start until its runner has let go of everything. */
enum run_state {
	RUN_NONE,
	RUN_STARTING,  /* where to begin is not known yet */
	RUN_READY,     /* it is, or another owner is waited for */
	RUN_STOPPING,  /* a stop was asked for */
	RUN_FAILED,    /* an error has ended it, and it lets go of what it holds */
	RUN_ABANDONED, /* STOPPED while its handler, or a call of its, had not returned */
};

/** The thread that steps it; none in a simulation. */
enum thread_state {
	THREAD_NONE,
	THREAD_CHANGING, /* one start joins the last one and makes the next */
	THREAD_ALIVE,
	THREAD_DIED, /* ended by anything but its own return; until the next run */
};

/** Written under the subscription's lock; `state` is read by handlers without. */
struct run {
	_Atomic(enum run_state) state;
	enum thread_state thread;
};

/** The only writers of the two. Who asks for a move that there is not has lost track: it ends the
 * program. */
void run_move(struct run *run, enum run_state to);
void run_move_thread(struct run *run, enum thread_state to);
bool run_may(enum run_state from, enum run_state to);
bool run_thread_may(enum thread_state from, enum thread_state to);
const char *run_name(enum run_state state);
const char *run_thread_name(enum thread_state state);

static inline bool run_exists(const struct run *run)
{
	return run->state != RUN_NONE;
}

/** Somebody may wait for it: there is one, and nobody has given it up. */
static inline bool run_is_under_way(const struct run *run)
{
	return run->state != RUN_NONE && run->state != RUN_ABANDONED;
}

static inline bool run_is_ending(const struct run *run)
{
	enum run_state state = run->state;
	return state == RUN_STOPPING || state == RUN_FAILED || state == RUN_ABANDONED;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run of a subscription, and the thread that steps it.
 *
 *           start             resolved, or standing by
 *   NONE ──────────▶ STARTING ────────────────────────▶ READY          all of them end in NONE,
 *                        │                                │             when the runner is done
 *                        │      a stop is asked for;      │
 *                        │       an error ends it         │
 *                        └─────▶ STOPPING, FAILED ◀───────┘
 *                                        │  its limit has passed (from any of the four)
 *                                        ▼
 *                                    ABANDONED
 *
 *             a start                       made                  returns
 *   NONE ───────────────▶ CHANGING ──────────────────▶ ALIVE ────────────────▶ NONE
 *                           ▲   │ could not be made     │ │ ends otherwise
 *                           │   ▼                       │ ▼
 *                           │  NONE                     │ DIED ──▶ NONE, with the next run
 *                           └───────────────────────────┘ the next start joins one that is about to return
 */
#include "policy/run.h"

#include <assert.h>
#include <stddef.h>

/* clang-format off */
#define TO(state) (1u << RUN_##state)
static const struct { const char *name; unsigned to; } run_table[] = {
	[RUN_NONE]      = { "none",      TO(STARTING) },
	[RUN_STARTING]  = { "starting",  TO(READY)    | TO(STOPPING)  | TO(FAILED) | TO(ABANDONED) | TO(NONE) },
	[RUN_READY]     = { "ready",     TO(STOPPING) | TO(FAILED)    | TO(ABANDONED) | TO(NONE) },
	[RUN_STOPPING]  = { "stopping",  TO(ABANDONED) | TO(NONE) },
	[RUN_FAILED]    = { "failed",    TO(ABANDONED) | TO(NONE) },
	[RUN_ABANDONED] = { "abandoned", TO(NONE) },
};
#undef TO

#define TO(state) (1u << THREAD_##state)
static const struct { const char *name; unsigned to; } run_threads[] = {
	[THREAD_NONE]     = { "none",     TO(CHANGING) },
	[THREAD_CHANGING] = { "changing", TO(ALIVE) | TO(NONE) },
	[THREAD_ALIVE]    = { "alive",    TO(DIED)  | TO(NONE) | TO(CHANGING) },
	[THREAD_DIED]     = { "died",     TO(NONE) },
};
#undef TO
/* clang-format on */

#define RUN_COUNT (sizeof run_table / sizeof run_table[0])
#define RUN_THREADS (sizeof run_threads / sizeof run_threads[0])

const char *run_name(enum run_state state)
{
	return (size_t)state < RUN_COUNT ? run_table[state].name : "unknown";
}

const char *run_thread_name(enum thread_state state)
{
	return (size_t)state < RUN_THREADS ? run_threads[state].name : "unknown";
}

bool run_may(enum run_state from, enum run_state to)
{
	return (size_t)from < RUN_COUNT && (size_t)to < RUN_COUNT &&
	       (run_table[from].to & (1u << to));
}

bool run_thread_may(enum thread_state from, enum thread_state to)
{
	return (size_t)from < RUN_THREADS && (size_t)to < RUN_THREADS &&
	       (run_threads[from].to & (1u << to));
}

void run_move(struct run *run, enum run_state to)
{
	assert(run_may(run->state, to));
	run->state = to;
}

void run_move_thread(struct run *run, enum thread_state to)
{
	assert(run_thread_may(run->thread, to));
	run->thread = to;
}

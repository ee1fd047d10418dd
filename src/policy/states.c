/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a subscription.
 *
 *              ┌──────────────▶ LIVE ◀─────────────┐
 *              │                 ▲ │               │
 *   STARTING ──┤     feed end    │ │ fell behind   ├── PAUSED (returns to where it was)
 *      ▲       │                 │ ▼               │
 *      │       └──────────▶ CATCHING_UP ◀──────────┘
 *      │  restart                │
 *    ERROR ◀── any but STOPPED ──┴──▶ STOPPED (the end of the run)
 *
 * STARTING leads to PAUSED, too: a name that is paused durably begins there.
 */
#include "policy/states.h"

#include <assert.h>
#include <stdio.h>

/* clang-format off */
#define TO(state) (1u << TIDE_STATE_##state)
static const struct {
	const char *name;
	unsigned to;
} states_table[] = {
	[TIDE_STATE_STARTING]    = { "starting",    TO(CATCHING_UP) | TO(LIVE)   | TO(PAUSED) | TO(STOPPED) | TO(ERROR) },
	[TIDE_STATE_CATCHING_UP] = { "catching_up", TO(LIVE)        | TO(PAUSED) | TO(STOPPED) | TO(ERROR) },
	[TIDE_STATE_LIVE]        = { "live",        TO(CATCHING_UP) | TO(PAUSED) | TO(STOPPED) | TO(ERROR) },
	[TIDE_STATE_PAUSED]      = { "paused",      TO(CATCHING_UP) | TO(LIVE)   | TO(STOPPED) | TO(ERROR) },
	[TIDE_STATE_STOPPED]     = { "stopped",     0 },
	[TIDE_STATE_ERROR]       = { "error",       TO(STARTING) },
};
#undef TO
/* clang-format on */

#define STATES_COUNT (sizeof states_table / sizeof states_table[0])

const char *tide_state_name(enum tide_state state)
{
	return (size_t)state < STATES_COUNT ? states_table[state].name : "unknown";
}

bool tide_state_is_running(enum tide_state state)
{
	return state_is_running(state);
}

bool tide_state_is_paused(enum tide_state state)
{
	return state == TIDE_STATE_PAUSED;
}

bool tide_state_is_terminal(enum tide_state state)
{
	return state_is_terminal(state);
}

bool states_may(enum tide_state from, enum tide_state to)
{
	return (size_t)from < STATES_COUNT && (size_t)to < STATES_COUNT &&
	       (states_table[from].to & (1u << to));
}

static tide_status states_refuse(enum tide_state from, enum tide_state to, struct tide_error *err)
{
	char allowed[96] = "";
	size_t size = 0;
	for (size_t i = 0; i < STATES_COUNT; i++)
		if (states_may(from, (enum tide_state)i))
			size += (size_t)snprintf(allowed + size, sizeof allowed - size, "%s%s",
						 size ? ", " : "", states_table[i].name);
	return tide_fail(err, TIDE_STATE, "cannot go from %s to %s; allowed: %s",
			 tide_state_name(from), tide_state_name(to), size ? allowed : "none");
}

tide_status states_move(struct states *states, enum tide_state to, struct tide_error *err)
{
	assert((size_t)states->state < STATES_COUNT);
	if (!states_may(states->state, to))
		return states_refuse(states->state, to, err);
	states->previous = states->state;
	states->has_previous = true;
	states->state = to;
	return TIDE_OK;
}

void states_begin(struct states *states)
{
	assert(state_is_terminal(states->state) || states->state == TIDE_STATE_STARTING);
	states->previous = states->state;
	states->has_previous = states->has_previous || states->state == TIDE_STATE_ERROR;
	states->state = TIDE_STATE_STARTING;
}

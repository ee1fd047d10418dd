/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_STATES_H
#define TIDE_POLICY_STATES_H

#include <tidemark/subscription.h>

/** Where a subscription is and where it came from. */
struct states {
	_Atomic(enum tide_state) state; /* written under the owner's lock, read by anybody */
	enum tide_state previous;
	bool has_previous;
};

/**
 * Go to another state: the only writer of the state. TIDE_STATE with `cannot go from FROM to TO;
 * allowed: A, B` leaves everything as it was.
 */
tide_status states_move(struct states *states, enum tide_state to, struct tide_error *err);
/** Begin a run in STARTING, from wherever the last one ended. */
void states_begin(struct states *states);
bool states_may(enum tide_state from, enum tide_state to);

static inline bool state_is_running(enum tide_state state)
{
	return state == TIDE_STATE_CATCHING_UP || state == TIDE_STATE_LIVE;
}
static inline bool state_is_terminal(enum tide_state state)
{
	return state == TIDE_STATE_STOPPED || state == TIDE_STATE_ERROR;
}

#endif

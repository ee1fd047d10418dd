/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_OWNERSHIP_H
#define TIDE_POLICY_OWNERSHIP_H

#include <stdbool.h>

enum ownership_state {
	OWNERSHIP_NONE,     /* nobody asks */
	OWNERSHIP_ASKING,   /* a run wants it and has no answer yet */
	OWNERSHIP_STANDBY,  /* another owner is active; asks now and then */
	OWNERSHIP_OWNED,    /* ours */
	OWNERSHIP_RENEWING, /* ours, and a renewal is under way */
	OWNERSHIP_LOST,     /* found to be another's; what the run holds has yet to go */
};

/** Who owns a subscription, as this process knows. */
struct ownership {
	/* written under the subscription's lock, read by its runner without */
	_Atomic(enum ownership_state) state;
};

/** Go to another state: the only writer of it. Who asks for a move that there is not has lost
 * track: it ends the program. */
void ownership_move(struct ownership *ownership, enum ownership_state to);
bool ownership_may(enum ownership_state from, enum ownership_state to);
const char *ownership_name(enum ownership_state state);

/** Writes would be let through, as far as is known. */
static inline bool ownership_is_ours(const struct ownership *ownership)
{
	enum ownership_state state = ownership->state;
	return state == OWNERSHIP_OWNED || state == OWNERSHIP_RENEWING;
}

/** It was acquired, and the run has not let go of it. */
static inline bool ownership_exists(const struct ownership *ownership)
{
	return ownership_is_ours(ownership) || ownership->state == OWNERSHIP_LOST;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns a subscription.
 *
 *            a run asks              acquired            the renewer asks
 *   NONE ───────────────▶ ASKING ────────────────▶ OWNED ◀──────────────▶ RENEWING
 *     │                     │                     ▲  │  renewed, skipped       │
 *     │ begins again        │ another is active   │  │ fenced                  │ lost, fenced
 *     │ after a loss        ▼                     │  ▼                         │
 *     └─────────────────▶ STANDBY ────────────────┘ LOST ◀─────────────────────┘
 *                              the other has gone
 *
 *   All of them end in NONE, when the run lets go of what it holds.
 */
#include "policy/ownership.h"

#include <assert.h>
#include <stddef.h>

/* clang-format off */
#define TO(state) (1u << OWNERSHIP_##state)
static const struct {
	const char *name;
	unsigned to;
} ownership_table[] = {
	[OWNERSHIP_NONE]     = { "none",     TO(ASKING)   | TO(STANDBY) },
	[OWNERSHIP_ASKING]   = { "asking",   TO(STANDBY)  | TO(OWNED) | TO(NONE) },
	[OWNERSHIP_STANDBY]  = { "standby",  TO(OWNED)    | TO(NONE) },
	[OWNERSHIP_OWNED]    = { "owned",    TO(RENEWING) | TO(LOST)  | TO(NONE) },
	[OWNERSHIP_RENEWING] = { "renewing", TO(OWNED)    | TO(LOST)  | TO(NONE) },
	[OWNERSHIP_LOST]     = { "lost",     TO(NONE) },
};
#undef TO
/* clang-format on */

#define OWNERSHIP_COUNT (sizeof ownership_table / sizeof ownership_table[0])

const char *ownership_name(enum ownership_state state)
{
	return (size_t)state < OWNERSHIP_COUNT ? ownership_table[state].name : "unknown";
}

bool ownership_may(enum ownership_state from, enum ownership_state to)
{
	return (size_t)from < OWNERSHIP_COUNT && (size_t)to < OWNERSHIP_COUNT &&
	       (ownership_table[from].to & (1u << to));
}

void ownership_move(struct ownership *ownership, enum ownership_state to)
{
	assert(ownership_may(ownership->state, to));
	ownership->state = to;
}

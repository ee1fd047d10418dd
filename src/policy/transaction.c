/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delivery transaction of a run.
 *
 *            begin              its handler has looked
 *   NONE ───────────▶ OPEN ◀──────────────────────────▶ INSPECTED
 *    ▲                 │        another call                │
 *    └─────────────────┴────────────────────────────────────┘
 *              committed, given back, or lost
 */
#include "policy/transaction.h"

#include <assert.h>
#include <stddef.h>

/* clang-format off */
#define TO(state) (1u << TRANSACTION_##state)
static const struct {
	const char *name;
	unsigned to;
} transaction_table[] = {
	[TRANSACTION_NONE]      = { "none",      TO(OPEN) },
	[TRANSACTION_OPEN]      = { "open",      TO(INSPECTED) | TO(NONE) },
	[TRANSACTION_INSPECTED] = { "inspected", TO(OPEN)      | TO(NONE) },
};
#undef TO
/* clang-format on */

#define TRANSACTION_COUNT (sizeof transaction_table / sizeof transaction_table[0])

const char *transaction_name(enum transaction_state state)
{
	return (size_t)state < TRANSACTION_COUNT ? transaction_table[state].name : "unknown";
}

bool transaction_may(enum transaction_state from, enum transaction_state to)
{
	return (size_t)from < TRANSACTION_COUNT && (size_t)to < TRANSACTION_COUNT &&
	       (transaction_table[from].to & (1u << to));
}

void transaction_move(enum transaction_state *state, enum transaction_state to)
{
	assert(transaction_may(*state, to));
	*state = to;
}

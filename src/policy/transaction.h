/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_TRANSACTION_H
#define TIDE_POLICY_TRANSACTION_H

#include <stdbool.h>

enum transaction_state {
	TRANSACTION_NONE,
	TRANSACTION_OPEN,      /* handlers have written to it since it was looked at, or may */
	TRANSACTION_INSPECTED, /* its handler has seen what they did; since then only we have */
};

/** Go to another state: the only writer of it. Who asks for a move that there is not has lost
 * track: it ends the program. */
void transaction_move(enum transaction_state *state, enum transaction_state to);
bool transaction_may(enum transaction_state from, enum transaction_state to);
const char *transaction_name(enum transaction_state state);

#endif

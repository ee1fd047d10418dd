/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_AHEAD_H
#define TIDE_PATH_AHEAD_H

#include "path/panes.h"

/** The thread of a store that reads history ahead of its subscriptions, on another processor. */
struct ahead;

/** Nothing is started before it is asked for; the store outlives it. */
tide_status ahead_new(struct tide_store *store, struct ahead **ret, struct tide_error *err);
/** Ends the thread; the store has no reader any more. */
void ahead_free(struct ahead *ahead);

/** Readers of history need more, soon. Any thread. Where no thread can be started they read for
 * themselves. */
void ahead_ask(struct ahead *ahead);

/** Read the pane of a turn, for all. TIDE_OK: it is let go of with panes_take or panes_let_go.
 * Else it is gone; errors of the backend. */
tide_status ahead_fill(struct tide_store *store, void *session, const struct panes_turn *turn,
		       struct tide_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SETTLE_H
#define TIDE_PATH_SETTLE_H

/*
 * The only way the position moves.
 */

#include "path/delivery.h"

enum settlement { SETTLED_HANDLED, SETTLED_DEAD_LETTERED, SETTLED_PARKED, SETTLED_DISCARDED };

/**
 * Settle the entries of a call that succeeded: the position moves over them, and the breaker
 * closes. Ends the delivery; false, and nothing is settled, when it was abandoned.
 */
bool settle_handled(struct tide_subscription *subscription, size_t count,
		    const struct tide_delivery *delivery);
/** Settle the entry that comes next in another way. */
void settle_next(struct tide_subscription *subscription, enum settlement how);
/** Publish what is in flight. */
void settle_flow(struct tide_subscription *subscription);
/** Settle what was passed over at the end of the page. */
void settle_page_end(struct tide_subscription *subscription);

#endif

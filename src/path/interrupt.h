/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_INTERRUPT_H
#define TIDE_PATH_INTERRUPT_H

#include "path/subscription.h"

/** The runner's sessions are open: they may be interrupted. */
void interrupt_offer(struct tide_subscription *subscription);
/** They are about to be closed. */
void interrupt_withdraw(struct tide_subscription *subscription);
/** A call has returned: wait for who interrupts it still, before its session is used. */
void interrupt_await(struct tide_subscription *subscription);
/** Interrupt the call with this `hand.since`; 0: whatever the run does in its databases. False:
 * there is nothing. Threads: any but the runner's. */
bool interrupt_run(struct tide_subscription *subscription, int64_t hand);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_GATE_H
#define TIDE_PATH_GATE_H

/*
 * The breakers of a subscription: of its handler and of its databases. Each move of one is made
 * here, and logged once the lock is released.
 */

#include "path/subscription.h"

enum gate { GATE_HANDLER, GATE_INFRA };

/** What has become of a breaker, until it is told. */
struct gate_move {
	enum gate gate;
	enum breaker_state from, to;
};

/** Ask to be let through; every admission is followed by exactly one success, pass, failure or
 * cancel. `*ret_ready_at`: when to ask again. */
bool gate_admit(struct tide_subscription *subscription, enum gate gate,
		struct mono_time *ret_ready_at);
/** The same for the next event; a person who asked for a probe gets it now. */
bool gate_admit_event(struct tide_subscription *subscription);
/** Before its recovery time an open breaker of the handler rejects, unless a person has asked for a
 * probe. */
bool gate_rejects_event(struct tide_subscription *subscription, bool *ret_is_manual);
/** What was let through is not made after all; no effect on what is judged already. */
void gate_cancel(struct tide_subscription *subscription, enum gate gate);
void gate_reset(struct tide_subscription *subscription, enum gate gate);

struct gate_move gate_success_locked(struct tide_subscription *subscription, enum gate gate)
	TIDE_REQUIRES(subscription->lock);
/** It succeeded and shows nothing. */
struct gate_move gate_pass_locked(struct tide_subscription *subscription, enum gate gate)
	TIDE_REQUIRES(subscription->lock);
struct gate_move gate_failure_locked(struct tide_subscription *subscription, enum gate gate,
				     struct tide_time wall) TIDE_REQUIRES(subscription->lock);
/** Log it, if there was one; not under the lock. */
void gate_tell(const struct tide_subscription *subscription, struct gate_move move);

#endif

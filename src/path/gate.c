/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breakers of a subscription: of its handler and of its databases.
 *
 * Happy path: who is about to call asks to be let through; what the call came to is a success, and
 * the breaker stays closed.
 * Failure modes: enough failures in a row open it: nobody is let through until its recovery time
 * has passed, then one probe is. What was let through and is not made is cancelled.
 *
 *	admit ─▶ success │ pass │ failure │ cancel        under the lock: move; after it: gate_tell
 */
#include "path/gate.h"

#include <assert.h>

#include "sys/log.h"

static struct breaker *gate_breaker(struct tide_subscription *subscription, enum gate gate)
{
	return gate == GATE_HANDLER ? &subscription->breakers.handler
				    : &subscription->breakers.infra;
}

/* As it is, so that gate_end_locked tells what has changed. */
static struct gate_move gate_begin_locked(struct tide_subscription *subscription, enum gate gate)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	enum breaker_state now = gate_breaker(subscription, gate)->state;
	return (struct gate_move){ gate, now, now };
}

static struct gate_move gate_end_locked(struct tide_subscription *subscription,
					struct gate_move move) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	move.to = gate_breaker(subscription, move.gate)->state;
	return move;
}

void gate_tell(const struct tide_subscription *subscription, struct gate_move move)
{
	assert(!mutex_is_mine(&subscription->lock));
	if (move.from != move.to)
		log_at(TIDE_LOG_WARNING, "subscription", "circuit breaker changed",
		       "name='%s' breaker=%s from=%s to=%s", subscription->name,
		       move.gate == GATE_HANDLER ? "handler" : "infra",
		       breaker_state_name(move.from), breaker_state_name(move.to));
}

static bool gate_admit_locked(struct tide_subscription *subscription, enum gate gate,
			      bool is_probe_asked, struct gate_move *ret)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	*ret = gate_begin_locked(subscription, gate);
	bool is_admitted = breaker_admit(gate_breaker(subscription, gate), subscription->runner.now,
					 is_probe_asked);
	*ret = gate_end_locked(subscription, *ret);
	return is_admitted;
}

bool gate_admit(struct tide_subscription *subscription, enum gate gate,
		struct mono_time *ret_ready_at)
{
	struct gate_move move;
	mutex_lock(&subscription->lock);
	bool is_admitted = gate_admit_locked(subscription, gate, false, &move);
	*ret_ready_at = breaker_ready_at(gate_breaker(subscription, gate));
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
	return is_admitted;
}

bool gate_admit_event(struct tide_subscription *subscription)
{
	struct gate_move move;
	if (subscription->runner.next.is_admitted)
		return true;
	mutex_lock(&subscription->lock);
	bool is_admitted = gate_admit_locked(subscription, GATE_HANDLER,
					     subscription->pause.is_probe_asked, &move);
	subscription->pause.is_probe_asked = false;
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
	return is_admitted;
}

bool gate_rejects_event(struct tide_subscription *subscription, bool *ret_is_manual)
{
	*ret_is_manual = false;
	if (subscription->runner.next.is_admitted)
		return false;
	mutex_lock(&subscription->lock);
	const struct breaker *breaker = &subscription->breakers.handler;
	bool is_open = breaker->state == BREAKER_OPEN &&
		       subscription->runner.now.ns < breaker_ready_at(breaker).ns;
	*ret_is_manual = subscription->pause.is_probe_asked;
	mutex_unlock(&subscription->lock);
	return is_open && !*ret_is_manual;
}

void gate_cancel(struct tide_subscription *subscription, enum gate gate)
{
	mutex_lock(&subscription->lock);
	struct gate_move move = gate_begin_locked(subscription, gate);
	breaker_cancel(gate_breaker(subscription, gate));
	move = gate_end_locked(subscription, move);
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
}

void gate_reset(struct tide_subscription *subscription, enum gate gate)
{
	mutex_lock(&subscription->lock);
	struct gate_move move = gate_begin_locked(subscription, gate);
	breaker_reset(gate_breaker(subscription, gate));
	move = gate_end_locked(subscription, move);
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
}

struct gate_move gate_success_locked(struct tide_subscription *subscription, enum gate gate)
{
	assert(mutex_is_mine(&subscription->lock));
	struct gate_move move = gate_begin_locked(subscription, gate);
	breaker_success(gate_breaker(subscription, gate));
	return gate_end_locked(subscription, move);
}

struct gate_move gate_pass_locked(struct tide_subscription *subscription, enum gate gate)
{
	assert(mutex_is_mine(&subscription->lock));
	struct gate_move move = gate_begin_locked(subscription, gate);
	breaker_pass(gate_breaker(subscription, gate));
	return gate_end_locked(subscription, move);
}

struct gate_move gate_failure_locked(struct tide_subscription *subscription, enum gate gate,
				     struct tide_time wall)
{
	assert(mutex_is_mine(&subscription->lock));
	struct gate_move move = gate_begin_locked(subscription, gate);
	(void)breaker_failure(gate_breaker(subscription, gate), subscription->runner.now, wall);
	return gate_end_locked(subscription, move);
}

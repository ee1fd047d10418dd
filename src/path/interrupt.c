/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending what a run does inside a database, from another thread: a statement of a handler that is
 * past its time, or whatever a stop has given up waiting for.
 *
 *	runner   │ open ─▶ offer ─▶ … hand.since = 0 ─▶ await ─▶ … ─▶ withdraw ─▶ close
 *	another  │            begin: is_under_way = true, still the same call? ─▶ interrupt ─▶ end
 *
 * Happy path: the statement fails, the runner goes on with that.
 * Failure modes: the call returns meanwhile: the runner waits until the interruption is over before
 * it uses the session, so that none meets the statement behind the one that was meant. The database
 * does not answer: that wait ends with its connection.
 */
#include "path/interrupt.h"

#include <assert.h>

#include "path/port.h"

void interrupt_offer(struct tide_subscription *subscription)
{
	assert(subscription->runner.sessions.database);
	mutex_lock(&subscription->lock);
	subscription->interruption.session = subscription->runner.sessions.database;
	subscription->interruption.feed_session = subscription->runner.sessions.feed;
	mutex_unlock(&subscription->lock);
}

static void interrupt_wait_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	while (atomic_load(&subscription->interruption.is_under_way))
		cond_wait(&subscription->changed, &subscription->lock);
}

void interrupt_withdraw(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	interrupt_wait_locked(subscription);
	subscription->interruption.session = subscription->interruption.feed_session = NULL;
	mutex_unlock(&subscription->lock);
}

void interrupt_await(struct tide_subscription *subscription)
{
	if (!atomic_load(&subscription->interruption.is_under_way))
		return;
	mutex_lock(&subscription->lock);
	interrupt_wait_locked(subscription);
	mutex_unlock(&subscription->lock);
}

static void interrupt_end(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	assert(atomic_load(&subscription->interruption.is_under_way));
	atomic_store(&subscription->interruption.is_under_way, false);
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
}

/* The runner sets `hand.since` to 0 and then looks at `is_under_way`; here it is the other way
 * round: one of the two sees the other. */
static bool interrupt_begin(struct tide_subscription *subscription, int64_t hand)
{
	mutex_lock(&subscription->lock);
	bool is_free = subscription->interruption.session &&
		       !atomic_load(&subscription->interruption.is_under_way);
	if (is_free)
		atomic_store(&subscription->interruption.is_under_way, true);
	mutex_unlock(&subscription->lock);
	if (!is_free)
		return false;
	if (hand == 0 || atomic_load(&subscription->hand.since) == hand)
		return true;
	interrupt_end(subscription);
	return false;
}

bool interrupt_run(struct tide_subscription *subscription, int64_t hand)
{
	const struct tide_store *feed = subscription->engine->store;
	const struct tide_store *database = subscription->engine->checkpoints->database;
	if (!interrupt_begin(subscription, hand))
		return false;

	mutex_lock(&subscription->lock); /* they stay as they are until the end */
	void *session = subscription->interruption.session,
	     *feed_session = subscription->interruption.feed_session;
	mutex_unlock(&subscription->lock);

	port_interrupt(database, session);
	if (hand == 0 && feed_session && feed_session != session)
		port_interrupt(feed, feed_session);
	interrupt_end(subscription);
	return true;
}

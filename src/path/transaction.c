/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delivery transaction: what handlers write and the position behind it commit together, or not
 * at all.
 *
 *	begin ─▶ handlers, dead letters ─▶ commit ─▶ leave
 *	             └─ lost or given up ─▶ forget: progress, counts and feed are as of the last commit
 *
 * Failure modes: it goes down with its connection: its events come again, and the counts of what
 * was in it are taken back.
 */
#include "path/transaction.h"

#include <assert.h>

#include "path/react.h"
#include "path/session.h"
#include "path/settle.h"

const struct tide_fence *transaction_fence(const struct tide_subscription *subscription)
{
	return &subscription->runner.fence;
}

tide_status transaction_begin(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(!transaction_is_open(&runner->transaction) && runner->sessions.database);
	assert(subscription->subscriber.transactional);
	tide_status status = session_prepare(subscription, err);
	if (status == TIDE_OK)
		status = session_begin(subscription, err);
	if (status != TIDE_OK)
		return status;

	session_note_number(subscription);
	transaction_move(&runner->transaction.state, TRANSACTION_OPEN);
	if (subscription->config.checkpoint_strategy == TIDE_PERIODIC)
		runner->progress.saved_at = runner->now; /* its interval counts from here */
	runner->transaction.before = runner->progress;

	mutex_lock(&subscription->lock);
	runner->transaction.counts_before = subscription->counts;
	metrics_transaction_begin(&subscription->metrics);
	mutex_unlock(&subscription->lock);
	return TIDE_OK;
}

void transaction_leave(struct tide_subscription *subscription)
{
	if (!transaction_is_open(&subscription->runner.transaction))
		return;
	transaction_move(&subscription->runner.transaction.state, TRANSACTION_NONE);
	react_commit(subscription);
	mutex_lock(&subscription->lock);
	metrics_transaction_end(&subscription->metrics, true);
	mutex_unlock(&subscription->lock);
}

void transaction_forget(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (!transaction_is_open(&runner->transaction))
		return;

	transaction_move(&runner->transaction.state, TRANSACTION_NONE);
	react_forget(subscription);
	assert(runner->transaction.before.position <= runner->progress.position);
	runner->save.is_due = runner->save.is_unknown = false;
	runner->progress = runner->transaction.before;
	runner->next.attempts = 0;
	feed_start(&runner->feed, runner->progress.position, runner->now);

	mutex_lock(&subscription->lock);
	subscription->counts = runner->transaction.counts_before;
	metrics_transaction_end(&subscription->metrics, false);
	subscription->position = runner->progress.position;
	mutex_unlock(&subscription->lock);

	settle_flow(subscription);
	/* what it held by dead letters that are gone, too, is not held any more: look before the
	 * next event */
	if (runner->held)
		runner->requests.look_at = runner->now;
}

void transaction_roll_back(struct tide_subscription *subscription)
{
	if (transaction_is_open(&subscription->runner.transaction) &&
	    subscription->runner.sessions.database)
		session_rollback(subscription);
	transaction_forget(subscription);
}

tide_status transaction_inspect(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (runner->transaction.state != TRANSACTION_OPEN || !subscriber->before_commit)
		return TIDE_OK;
	void *connection = session_connection(subscription);
	tide_status status = subscriber->before_commit(subscriber->self, connection, err);
	if (status == TIDE_OK)
		transaction_move(&runner->transaction.state, TRANSACTION_INSPECTED);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt at an event, or a batch: the handler is called once, under a savepoint when it has a
 * transaction.
 *
 * Happy path: the handler returns TIDE_OK in time, and what it wrote stays in the transaction.
 * Failure modes: it fails or is late: its writes are rolled back to the savepoint. It ended the
 * transaction, or that is gone with its connection: the delivery says so, and nothing of it is used
 * any more. It is interrupted: see interrupt.c. The ownership is not trusted any more once the
 * database has answered what comes before the call: there is no call, and nothing comes of it.
 */
#include "path/attempt.h"

#include <assert.h>

#include "path/delivery.h"
#include "path/interrupt.h"
#include "path/react.h"
#include "path/report.h"
#include "path/runner.h"
#include "path/session.h"
#include "path/transaction.h"
#include "path/typed.h"

/* ---- One call -------------------------------------------------------------------------------- */

static tide_status attempt_judge(const struct tide_subscription *subscription,
				 const struct tide_delivery *delivery, tide_status status,
				 struct tide_error *err)
{
	if (delivery->is_late)
		return tide_fail(
			err, TIDE_TIMEOUT, "handler took %.3f s, processing_timeout is %g s",
			seconds_of_ns(delivery->took), subscription->config.processing_timeout);

	if (status == TIDE_OK)
		return TIDE_OK;
	if ((unsigned)status >= TIDE_STATUS_COUNT)
		return tide_fail(err, TIDE_INTERNAL, "handler returned %d, which is no status",
				 (int)status);

	if (status == TIDE_FENCED) /* only a write of ours can find that out */
		status = TIDE_HANDLER_PERMANENT;
	return tide_fail(err, status, "%s",
			 *delivery->message ? delivery->message : tide_status_name(status));
}

static tide_status attempt_call(struct tide_subscription *subscription,
				const struct tide_event *const *events, size_t count,
				struct tide_delivery *delivery, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	bool is_together = count > 1 && subscriber->handle_together;
	assert(count == 1 || (count > 1 && (subscriber->handle_batch || is_together)));
	struct mono_time begun = runner->now;
	delivery->since = begun;
	delivery->event = events[0];
	if (is_together)
		delivery->together = (struct together){ events, count, 0 };
	delivery_take_in_hand(delivery, delivery->position, count);

	tide_status status;
	if (is_together)
		status = subscriber->handle_together(subscriber->self, events, count, delivery);
	else if (subscription->typed)
		status = typed_handle(subscription->typed, subscriber->self, events[0], delivery);
	else if (subscriber->handle)
		status = subscriber->handle(subscriber->self, events[0], delivery);
	else
		status = subscriber->handle_batch(subscriber->self, events, count, delivery);
	runner->now = clock_mono(subscription->engine->clock);
	delivery->took = mono_since(runner->now, begun);
	delivery->is_late |= mono_since(runner->now, delivery->since) >=
			     ns_of_seconds(subscription->config.processing_timeout);
	if (delivery->is_late && !is_together)
		report_late(subscription, runner->now);
	atomic_store(&subscription->hand.since, 0);
	interrupt_await(subscription);
	return attempt_judge(subscription, delivery, status, err);
}

/* ---- Its transaction ------------------------------------------------------------------------- */

/* After the call: the transaction must still be there, and whole if the handler said so. */
static tide_status attempt_check(struct tide_subscription *subscription,
				 struct tide_delivery *delivery, tide_status status,
				 struct tide_error *err)
{
	assert(transaction_is_open(&subscription->runner.transaction) &&
	       subscription->runner.sessions.database);
	struct tide_error check;
	tide_status state = session_check(subscription, &check);
	if (state == TIDE_STATE && status == TIDE_DISK_FULL) { /* SQLite itself may end it then */
		delivery->writes = WRITES_LOST;
		return status;
	}

	if (state == TIDE_STATE) {
		delivery->writes = WRITES_ENDED;
		return tide_fail(err, TIDE_STATE, "handler ended the delivery transaction");
	}

	if (state == TIDE_CONNECTION_LOST)
		delivery->writes = WRITES_LOST;
	if (state == TIDE_CONNECTION_LOST || (status == TIDE_OK && state != TIDE_OK)) {
		*err = check;
		return state;
	}
	return status;
}

/* A stop that gives up before this has the event undone, so that what was settled before it can be
 * committed. */
static bool attempt_may_keep(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_abandoned = subscription->run.state == RUN_ABANDONED;
	mutex_unlock(&subscription->lock);
	return !is_abandoned;
}

static tide_status attempt_omit(struct tide_subscription *subscription,
				struct tide_delivery *delivery, struct tide_error *err)
{
	delivery->taken = 0;
	if (!transaction_is_open(&subscription->runner.transaction))
		return TIDE_OK;
	tide_status status = session_release_savepoint(subscription, err);
	if (status != TIDE_OK)
		delivery->writes = WRITES_LOST;
	return status;
}

tide_status attempt_make(struct tide_subscription *subscription,
			 const struct tide_event *const *events, size_t count,
			 struct tide_delivery *delivery, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	if (!transaction_is_open(&runner->transaction))
		return runner_is_trusted(subscription)
			       ? attempt_call(subscription, events, count, delivery, err)
			       : attempt_omit(subscription, delivery, err);

	tide_status status = session_savepoint(subscription, err);
	if (status != TIDE_OK) {
		delivery->writes = WRITES_LOST;
		return status;
	}

	runner_look_at_clock(subscription);
	if (!runner_is_trusted(subscription))
		return attempt_omit(subscription, delivery, err);
	if (runner->transaction.state == TRANSACTION_INSPECTED)
		transaction_move(&runner->transaction.state, TRANSACTION_OPEN);
	delivery->connection = session_connection(subscription);
	react_begin(subscription);
	status = attempt_call(subscription, events, count, delivery, err);
	status = attempt_check(subscription, delivery, status, err);
	if (delivery_has_spoilt(delivery))
		return status;

	bool is_kept = status == TIDE_OK && attempt_may_keep(subscription);
	struct tide_error undo;
	tide_status done = is_kept ? session_release_savepoint(subscription, &undo)
				   : session_rollback_to(subscription, &undo);
	if (done == TIDE_OK && is_kept) {
		delivery->writes = WRITES_KEPT;
		react_keep(subscription);
	}
	if (done == TIDE_OK)
		return status;

	delivery->writes = WRITES_LOST;
	if (delivery->is_late) /* interrupted: SQLite rolls all of the transaction back */
		return status;

	*err = undo;
	return done;
}

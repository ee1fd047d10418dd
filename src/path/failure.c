/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a failed event.
 *
 *   attempt failed ──▶ transient, attempts left ──▶ wait, deliver again with attempt + 1
 *                  └─▶ permanent or exhausted ──▶ a batch: its events one by one
 *                                             └─▶ its end ──▶ dead letter │ discarded │ ERROR
 *
 * Happy path of a failure: classified, logged, dead-lettered, settled, counted, told.
 * Failure modes: the dead letter cannot be written: tried again like any other write; the event is
 * not settled before it is. For good: the run ends in ERROR with that write's error.
 */
#include "path/failure.h"

#include <assert.h>
#include <string.h>

#include "core/event.h"
#include "core/text.h"
#include "path/delivery.h"
#include "path/fate.h"
#include "path/gate.h"
#include "path/held.h"
#include "path/infra.h"
#include "path/parked.h"
#include "path/report.h"
#include "path/runner.h"
#include "path/save.h"
#include "path/session.h"
#include "path/settle.h"
#include "path/transaction.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* ---- One attempt failed ---------------------------------------------------------------------- */

/* A handler's own word on whether to try again stands; a plain status is what its classification
 * says. */
static bool failure_is_retryable(const struct tide_error *error,
				 const struct tide_classification *class, bool is_late)
{
	if (error->status == TIDE_HANDLER_TRANSIENT || is_late)
		return true;
	return error->status != TIDE_HANDLER_PERMANENT && class->retryable;
}

static void failure_count_attempt(struct tide_subscription *subscription,
				  const struct tide_error *error, int64_t delay)
{
	subscription->runner.next.is_admitted = false;
	mutex_lock(&subscription->lock);
	retry_count(&subscription->retries[RETRY_HANDLER], error, delay);
	struct gate_move move =
		gate_failure_locked(subscription, GATE_HANDLER, runner_wall(subscription));
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
}

/* The late one was recorded at its deadline already. */
static void failure_record_attempt(struct tide_subscription *subscription,
				   const struct tide_event *event, const struct tide_error *error,
				   const struct tide_delivery *delivery)
{
	if (delivery->is_late) {
		mutex_lock(&subscription->lock);
		subscription->errors.stats.retried_errors++;
		mutex_unlock(&subscription->lock);
		return;
	}

	report_failure(subscription, error,
		       &(struct report_context){ .event = event,
						 .stacktrace = delivery->stacktrace,
						 .retry_count = delivery->attempt - 1,
						 .is_retried = delivery->writes != WRITES_ENDED &&
							       !delivery->is_stop });
	runner_look_at_clock(subscription);
}

/* The end of an event's delivery: it has failed for good. */
static void failure_begin_end(struct tide_subscription *subscription,
			      const struct tide_error *error, struct tide_delivery *delivery)
{
	assert(error->status != TIDE_OK);
	assert(delivery->position > subscription->runner.progress.position);
	struct fate *fate = fates_end(&subscription->runner.fates, delivery->position);
	fate->error = *error;
	fate->attempts = delivery->attempt;
	fate->told = delivery->is_late ? FATE_RECORDED : FATE_NOT_TOLD;
	fate->stacktrace = delivery->stacktrace;
	delivery->stacktrace = NULL;
}

/* The transaction went down with the call: its events come again, on a new connection. */
static void failure_drop_transaction(struct tide_subscription *subscription, bool is_split,
				     const struct tide_delivery *delivery)
{
	struct runner *runner = &subscription->runner;
	if (is_split)
		fates_untry(&runner->fates, delivery->position);
	else
		fates_try(&runner->fates, delivery->position, delivery->attempt);
	runner->infra.try_at =
		mono_add(runner->now,
			 retry_delay(&subscription->retry, delivery->attempt - 1, &runner->random));
	infra_close(subscription);
}

/* The handler ended it, and what is in it is nobody's any more; or the fault is its own. The event
 * has ended the run. */
static enum step failure_of_run(struct tide_subscription *subscription,
				const struct tide_event *event, const struct tide_error *error,
				const struct tide_delivery *delivery)
{
	if (delivery_has_spoilt(delivery))
		infra_close(subscription);
	mutex_lock(&subscription->lock);
	metrics_type(&subscription->metrics, event->event_type)->counts.failed[error->status]++;
	subscription->counts.failed++;
	if (delivery->is_stop) /* so nobody may be asked to skip the event */
		subscription->failing.position = 0;
	mutex_unlock(&subscription->lock);
	return runner_give_up(subscription, error);
}

static void failure_try_again(struct tide_subscription *subscription, tide_position position,
			      int32_t attempt, int64_t delay)
{
	log_at(TIDE_LOG_WARNING, "subscription", "trying again",
	       "name='%s' operation=handler position=%lld attempt=%d delay_seconds=%.3f",
	       subscription->name, (long long)position, attempt, seconds_of_ns(delay));
	subscription->runner.next.retry_at = mono_add(subscription->runner.now, delay);
	mutex_lock(&subscription->lock);
	subscription->failing.next_at.unix_us = runner_wall(subscription).unix_us + delay / 1000;
	mutex_unlock(&subscription->lock);
}

enum step failure_of_attempt(struct tide_subscription *subscription, const struct tide_event *event,
			     size_t count, const struct tide_error *error,
			     struct tide_delivery *delivery)
{
	struct runner *runner = &subscription->runner;
	assert(error->status != TIDE_OK && count > 0);
	assert(runner->next.attempts > 0);
	tide_position position = event->position;
	struct tide_classification class = report_classify(subscription, error);
	bool is_last = !failure_is_retryable(error, &class, delivery->is_late) ||
		       runner->next.attempts > subscription->config.max_retries;
	int64_t delay = is_last ? -1
				: retry_delay(&subscription->retry, runner->next.attempts - 1,
					      &runner->random);
	failure_count_attempt(subscription, error, delay);
	bool is_end = delivery->writes == WRITES_ENDED || delivery->is_stop;
	if (!is_last || count > 1 || is_end)
		failure_record_attempt(subscription, event, error, delivery);
	if (is_end)
		return failure_of_run(subscription, event, error, delivery);

	bool is_split = count > 1 && is_last;
	if (is_split) {
		runner->apart.calls_until = runner->batch[count - 1]->position;
		runner->next.attempts = 0;
	}

	if (delivery->writes == WRITES_LOST)
		failure_drop_transaction(subscription, is_split, delivery);
	if (!is_last) {
		failure_try_again(subscription, position, delivery->attempt + 1, delay);
		/* when its transaction is gone, the event has to come again first */
	} else if (count == 1) {
		failure_begin_end(subscription, error, delivery);
	}
	return STEP_ON;
}

void failure_without_attempt(struct tide_subscription *subscription, tide_status status,
			     const char *message)
{
	struct tide_error err;
	struct runner *runner = &subscription->runner;
	struct tide_delivery none;
	delivery_begin(&none, subscription, runner->next.attempts > 0 ? runner->next.attempts : 1,
		       feed_peek(&runner->feed)->event.position);
	tide_fail(&err, status, "%s", message);
	failure_begin_end(subscription, &err, &none);
}

/* ---- The end of a failed event --------------------------------------------------------------- */

static void failure_conclude(struct tide_subscription *subscription, const struct tide_event *event,
			     int64_t dlq_id)
{
	const struct fate *fate = fates_ending(&subscription->runner.fates);
	assert(fate->position == event->position);
	mutex_lock(&subscription->lock);
	metrics_type(&subscription->metrics, event->event_type)
		->counts.failed[fate->error.status]++;
	subscription->errors.stats.dlq_count += fate->told == FATE_RECORDED && dlq_id != 0;
	mutex_unlock(&subscription->lock);

	if (fate->told == FATE_RECORDED)
		return;
	report_failure(subscription, &fate->error,
		       &(struct report_context){ .event = event,
						 .stacktrace = fate->stacktrace,
						 .retry_count = fate->attempts - 1,
						 .dlq_id = dlq_id,
						 .is_logged = fate->told == FATE_LOGGED });
	runner_look_at_clock(subscription);
}

/* Too many failed events end the run, after the one that was too many was settled. */
static enum step failure_count_event(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct fate *fate = fates_ending(&runner->fates);
	struct tide_error error = fate->error;
	/* What took its transaction with it is committed at once: it would come again with the next
	 * one that does. */
	if (fate->took_transaction)
		runner->save.is_due = true;
	fates_settle(&runner->fates, fate->position, runner->apart.commits_until > 0);
	int32_t limit = subscription->config.max_errors_before_stop;
	mutex_lock(&subscription->lock);
	bool is_enough = limit > 0 && subscription->counts.failed >= limit;
	mutex_unlock(&subscription->lock);
	return is_enough ? runner_give_up(subscription, &error) : STEP_ON;
}

/* The event ends the run: it has failed, and is not settled. The count stands even if the
 * transaction goes. */
static void failure_conclude_unsettled(struct tide_subscription *subscription,
				       const struct tide_event *event)
{
	struct runner *runner = &subscription->runner;
	tide_status status = fates_ending(&runner->fates)->error.status;
	failure_conclude(subscription, event, 0);
	fates_settle(&runner->fates, event->position, runner->apart.commits_until > 0);
	mutex_lock(&subscription->lock);
	subscription->counts.failed++;
	runner->transaction.counts_before.failed++;
	metrics_type(&subscription->metrics, event->event_type)->before.failed[status]++;
	mutex_unlock(&subscription->lock);
}

static enum step failure_stop(struct tide_subscription *subscription,
			      const struct tide_event *event)
{
	struct tide_error error = fates_ending(&subscription->runner.fates)->error;
	failure_conclude_unsettled(subscription, event);
	return runner_give_up(subscription, &error);
}

static enum step failure_discard(struct tide_subscription *subscription,
				 const struct tide_event *event)
{
	log_at(TIDE_LOG_WARNING, "subscription", "failed event discarded by configuration",
	       "name='%s' position=%lld event_type=%s", subscription->name,
	       (long long)event->position, event->event_type.data ? event->event_type.data : "");
	failure_conclude(subscription, event, 0);
	settle_next(subscription, SETTLED_DISCARDED);
	return failure_count_event(subscription);
}

/* In the delivery transaction it has a savepoint of its own: what is refused leaves the rest
 * whole. */
static tide_status failure_write_once(struct tide_subscription *subscription,
				      const struct tide_dead_letter_write *write, int64_t *ret,
				      struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(runner->sessions.database);
	if (!transaction_is_open(&runner->transaction))
		return session_dead_letter_add(subscription, write, ret, err);

	tide_status status = session_savepoint(subscription, err);
	if (status != TIDE_OK)
		return status;

	status = session_dead_letter_add(subscription, write, ret, err);
	if (status == TIDE_OK)
		status = session_release_savepoint(subscription, err);
	if (status == TIDE_OK)
		return TIDE_OK;

	struct tide_error undo;
	if (session_rollback_to(subscription, &undo) == TIDE_OK)
		return status;

	infra_close(subscription); /* nobody knows what is in the transaction: it goes */
	*err = undo;
	return undo.status;
}

/* An event that the column cannot hold as it is, is kept as text. */
static tide_status failure_write(struct tide_subscription *subscription,
				 struct tide_dead_letter_write write, int64_t *ret,
				 struct tide_error *err)
{
	tide_status status = failure_write_once(subscription, &write, ret, err);
	if (status != TIDE_ARGUMENT || !subscription->runner.sessions.database)
		return status;
	char *plain ALLOC_AUTO = NULL;
	status = event_plain_data(write.event_data, &plain, err);
	write.event_data = plain;
	return status == TIDE_OK ? failure_write_once(subscription, &write, ret, err) : status;
}

/* Tries are the entry's own: what succeeds between two of them, such as delivering again what was
 * settled before it in a transaction that is gone, does not make it a new one. */
static enum step failure_judge_add(struct tide_subscription *subscription,
				   const struct tide_event *event, tide_status status,
				   struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	const struct fate *fate = fates_find(&runner->fates, event->position);
	if (fate && runner->infra.tries[RETRY_DLQ] < fate->entry_tries)
		runner->infra.tries[RETRY_DLQ] = fate->entry_tries;
	enum step step = infra_end(subscription, RETRY_DLQ, status, err);
	fates_try_entry(&runner->fates, event->position,
			step == STEP_ON ? 0 : runner->infra.tries[RETRY_DLQ]);
	if (step == STEP_WAIT)
		return save_before_wait(subscription);
	if (step == STEP_FAIL && fates_ending(&runner->fates) && status != TIDE_FENCED)
		failure_conclude_unsettled(subscription, event);
	return step;
}

/* Add the entry of the next event; STEP_ON with `*ret` when it was accepted. `behind` NULL: it is
 * not parked. */
static enum step failure_add(struct tide_subscription *subscription, const struct tide_event *event,
			     const char *message, const char *behind, int64_t *ret)
{
	struct runner *runner = &subscription->runner;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return save_before_wait(subscription);

	struct tide_error err;
	char *data ALLOC_AUTO = NULL, *id ALLOC_AUTO = NULL, type[TIDE_NAME_MAX + 1];
	struct tide_uuid event_id = { { 0 } };
	tide_status status = session_open(subscription, &err);
	if (status == TIDE_OK)
		status = event_write_data(event, &data, &err);
	if (status == TIDE_OK)
		status = event_id_for_queue(event, &event_id, &id, &err);
	text_take_name(event->event_type.data ? event->event_type : tide_text("Unknown"), type);

	/* The entry commits with the position behind its event: else a crash between the two
	 * delivers it again. */
	if (status == TIDE_OK && subscription->subscriber.transactional &&
	    !transaction_is_open(&runner->transaction))
		status = transaction_begin(subscription, &err);
	const struct fate *fate = fates_ending(&runner->fates); /* NULL: it is parked */
	struct tide_dead_letter_write write = {
		.projection_name = subscription_title(subscription),
		.event_id = event_id,
		.event_id_text = id,
		.event_type = type,
		.event_data = data,
		.message = message,
		.stacktrace = fate ? fate->stacktrace : NULL,
		.retry_count = fate ? fate->attempts - 1 : 0,
		.now = runner_wall(subscription),
		.parked_behind = behind,
	};

	if (status == TIDE_OK)
		status = transaction_inspect(subscription, &err);
	if (status == TIDE_OK)
		status = failure_write(subscription, write, ret, &err);
	if (status == TIDE_OK && runner->held)
		status = held_add(runner->held, event, id, &err);
	step = failure_judge_add(subscription, event, status, &err);
	if (step == STEP_ON && transaction_is_open(&runner->transaction) &&
	    subscription->subscriber.before_commit)
		/* the next event's transaction has nothing of ours in it */
		runner->save.is_due = true;
	if (step == STEP_ON)
		log_at(TIDE_LOG_ERROR, "dlq", "event dead-lettered",
		       "name='%s' id=%lld position=%lld event_type=%s retry_count=%d error='%s'",
		       subscription->name, (long long)*ret, (long long)event->position,
		       write.event_type, write.retry_count, message);
	return step;
}

static enum step failure_dead_letter(struct tide_subscription *subscription,
				     const struct tide_event *event)
{
	struct fate *fate = fates_ending(&subscription->runner.fates);
	int64_t id = 0;
	if (fate->told == FATE_NOT_TOLD) {
		/* Logged before the queue is asked, told when it has answered. */
		struct tide_error_record record = report_describe(
			subscription, &fate->error,
			&(struct report_context){ .event = event,
						  .retry_count = fate->attempts - 1 });
		errors_log(&record);
		fate->told = FATE_LOGGED;
	}

	enum step step = failure_add(subscription, event, fate->error.message, NULL, &id);
	if (step != STEP_ON)
		return step;

	failure_conclude(subscription, event, id);
	settle_next(subscription, SETTLED_DEAD_LETTERED);
	return failure_count_event(subscription);
}

/* What the handler itself judges has to be committed before the queue is written to. */
static bool failure_must_save(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	return subscription->subscriber.before_commit && runner->progress.is_dirty &&
	       runner->transaction.state == TRANSACTION_OPEN;
}

enum step failure_finish(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct fate *fate = fates_ending(&runner->fates);
	assert(fate);
	if (failure_must_save(subscription))
		return save_step(subscription);

	const struct tide_page_entry *entry = feed_peek(&runner->feed);
	if (!entry || entry->event.position != fate->position) {
		/* The feed began anew behind an earlier event: this goes on when the failed one has
		 * come again. */
		fates_put_off(&runner->fates);
		return STEP_ON;
	}

	if (!subscription->config.continue_on_error)
		return failure_stop(subscription, &entry->event);
	if (subscription->config.discard_failed_events)
		return failure_discard(subscription, &entry->event);
	return failure_dead_letter(subscription, &entry->event);
}

enum step failure_park(struct tide_subscription *subscription, const char *behind)
{
	const struct tide_event *event = &feed_peek(&subscription->runner.feed)->event;
	char message[PARKED_MESSAGE_SIZE];
	int64_t id;
	if (failure_must_save(subscription))
		return save_step(subscription);
	parked_say(behind, message);
	enum step step = failure_add(subscription, event, message, behind, &id);
	if (step != STEP_ON)
		return step;

	/* it failed before the feed began anew, and waits now behind one that failed before it */
	struct runner *runner = &subscription->runner;
	fates_settle(&runner->fates, event->position, runner->apart.commits_until > 0);
	settle_next(subscription, SETTLED_PARKED);
	return STEP_ON;
}

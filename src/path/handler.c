/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One delivery: call the handler with the event, or the batch, that comes next, and judge what it came to.
 *
 * Happy path: the handler returns TIDE_OK in time; each event of the call is settled.
 * Failure modes: it fails or is late: under a transaction its writes are rolled back to the savepoint; failure.c decides
 * about another attempt. The breaker is open: the prefix is saved and the subscription pauses; nothing is skipped. The
 * transaction cannot be begun: an infrastructure failure, tried again; the handler was not called. An event that took the
 * process down too often is not handed over any more.
 */
#include "path/runner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/text.h"
#include "path/held.h"
#include "path/interrupt.h"
#include "path/pause.h"
#include "path/selfcheck.h"
#include "path/typed.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define HANDLER_STACKTRACE_MAX ((size_t)16 << 10)

/* ---- What a handler may ask and say ------------------------------------------------------------------------- */

int32_t tide_delivery_attempt(const struct tide_delivery *delivery)
{
	return delivery ? delivery->attempt : 0;
}

tide_position tide_delivery_position(const struct tide_delivery *delivery)
{
	return delivery ? delivery->position : 0;
}

bool tide_delivery_is_late(const struct tide_delivery *delivery)
{
	if (!delivery)
		return false;
	const struct tide_subscription *subscription = delivery->subscription;
	int64_t elapsed = mono_since(clock_mono(subscription->engine->clock), delivery->since);
	return elapsed >= ns_of_seconds(subscription->config.processing_timeout);
}

bool tide_delivery_is_stopping(const struct tide_delivery *delivery)
{
	return delivery && run_is_ending(&delivery->subscription->run);
}

void *tide_delivery_connection(const struct tide_delivery *delivery)
{
	return delivery ? delivery->connection : NULL;
}

tide_status tide_delivery_fail(struct tide_delivery *delivery, tide_status status, const char *format, ...)
{
	if (!delivery || !format)
		return status;
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(delivery->message, sizeof delivery->message, format, arguments);
	va_end(arguments);
	if (size >= (int)sizeof delivery->message)
		delivery->message[utf8_cut(delivery->message, strlen(delivery->message),
					   sizeof delivery->message - 1)] = '\0';
	delivery->has_message = size > 0;
	return status;
}

void tide_delivery_set_stacktrace(struct tide_delivery *delivery, const char *stacktrace)
{
	if (!delivery)
		return;
	tide_free(delivery->stacktrace);
	delivery->stacktrace = NULL;
	if (stacktrace) /* without memory there is none */
		(void)escape_text(
			text_view(stacktrace, utf8_cut(stacktrace, strlen(stacktrace), HANDLER_STACKTRACE_MAX)),
			ESCAPE_UTF8, &delivery->stacktrace, NULL);
}

void tide_delivery_stop(struct tide_delivery *delivery)
{
	if (delivery)
		delivery->is_stop = true;
}

void delivery_begin(struct tide_delivery *delivery, struct tide_subscription *subscription, int32_t attempt,
		    tide_position position)
{
	delivery->subscription = subscription;
	delivery->attempt = attempt;
	delivery->position = position;
	delivery->took = -1;
	delivery->connection = NULL;
	delivery->stacktrace = NULL;
	delivery->is_stop = false;
	delivery->has_message = delivery->is_late = delivery->is_kept = false;
	delivery->has_ended_transaction = delivery->has_lost_transaction = false;
}

/* ---- One call ----------------------------------------------------------------------------------------------- */

/*
 * The event is in hand from here on: the watchdog sees since when. It reads `hand_since`, then the others, then claims
 * `hand_since`: each store here releases the one before it, so that it never takes the next call's position for this one's.
 */
static void handler_take_in_hand(struct tide_subscription *subscription, const struct tide_delivery *delivery,
				 size_t count)
{
	atomic_store_explicit(&subscription->hand_events, (int64_t)count, memory_order_release);
	atomic_store_explicit(&subscription->hand_position, delivery->position, memory_order_release);
	atomic_store_explicit(&subscription->hand_attempt, delivery->attempt, memory_order_release);
	atomic_store_explicit(&subscription->hand_since, delivery->since.ns ? delivery->since.ns : 1,
			      memory_order_release);
}

bool delivery_end_locked(struct tide_subscription *subscription, const struct tide_delivery *delivery,
			 tide_status status)
{
	struct metrics *metrics = &subscription->metrics;
	if (delivery->took >= 0)
		histogram_add(status == TIDE_OK ? &metrics->handled_seconds : &metrics->failed_seconds, delivery->took);
	while (subscription->is_frozen)
		cond_wait(&subscription->changed, &subscription->lock);
	return delivery->is_kept || subscription->run.state != RUN_ABANDONED;
}

bool delivery_end(struct tide_subscription *subscription, const struct tide_delivery *delivery, tide_status status)
{
	mutex_lock(&subscription->lock);
	bool counts = delivery_end_locked(subscription, delivery, status);
	mutex_unlock(&subscription->lock);
	return counts;
}

static tide_status handler_judge(const struct tide_subscription *subscription, const struct tide_delivery *delivery,
				 tide_status status, struct tide_error *err)
{
	if (delivery->is_late)
		return tide_fail(err, TIDE_TIMEOUT, "handler took %.3f s, processing_timeout is %g s",
				 seconds_of_ns(delivery->took), subscription->config.processing_timeout);
	if (status == TIDE_OK)
		return TIDE_OK;
	if ((unsigned)status >= TIDE_STATUS_COUNT)
		return tide_fail(err, TIDE_INTERNAL, "handler returned %d, which is no status", (int)status);
	if (status == TIDE_FENCED) /* only a write of ours can find that out */
		status = TIDE_HANDLER_PERMANENT;
	return tide_fail(err, status, "%s", delivery->has_message ? delivery->message : tide_status_name(status));
}

tide_status handler_call(struct tide_subscription *subscription, const struct tide_event *const *events, size_t count,
			 struct tide_delivery *delivery, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	delivery->since = runner->now;
	handler_take_in_hand(subscription, delivery, count);
	tide_status status;
	if (subscription->typed)
		status = typed_handle(subscription->typed, subscriber->self, events[0], delivery);
	else if (subscriber->handle)
		status = subscriber->handle(subscriber->self, events[0], delivery);
	else
		status = subscriber->handle_batch(subscriber->self, events, count, delivery);
	runner->now = clock_mono(subscription->engine->clock);
	delivery->took = mono_since(runner->now, delivery->since);
	delivery->is_late = delivery->took >= ns_of_seconds(subscription->config.processing_timeout);
	if (delivery->is_late)
		failure_report_late(subscription, runner->now);
	atomic_store(&subscription->hand_since, 0);
	interrupt_await(subscription);
	return handler_judge(subscription, delivery, status, err);
}

/* After the call: the transaction must still be there, and whole if the handler said so. */
static tide_status handler_check(struct tide_subscription *subscription, struct tide_delivery *delivery,
				 tide_status status, struct tide_error *err)
{
	const struct tide_store_ops *ops = &subscription->engine->checkpoints->database->backend->store;
	struct tide_error check;
	tide_status state = ops->check(subscription->runner.session, &check);
	if (state == TIDE_STATE && status == TIDE_DISK_FULL) { /* SQLite itself may end it then */
		delivery->has_lost_transaction = true;
		return status;
	}
	if (state == TIDE_STATE) {
		delivery->has_ended_transaction = true;
		return tide_fail(err, TIDE_STATE, "handler ended the delivery transaction");
	}
	delivery->has_lost_transaction = state == TIDE_CONNECTION_LOST;
	if (delivery->has_lost_transaction || (status == TIDE_OK && state != TIDE_OK)) {
		*err = check;
		return state;
	}
	return status;
}

/* A stop that gives up before this has the event undone, so that what was settled before it can be committed. */
static bool handler_may_keep(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_abandoned = subscription->run.state == RUN_ABANDONED;
	mutex_unlock(&subscription->lock);
	return !is_abandoned;
}

tide_status handler_attempt(struct tide_subscription *subscription, const struct tide_event *const *events,
			    size_t count, struct tide_delivery *delivery, struct tide_error *err)
{
	const struct tide_store_ops *ops = &subscription->engine->checkpoints->database->backend->store;
	struct runner *runner = &subscription->runner;
	if (!runner->is_in_transaction)
		return handler_call(subscription, events, count, delivery, err);
	tide_status status = ops->savepoint(runner->session, err);
	delivery->has_lost_transaction = status != TIDE_OK;
	if (status != TIDE_OK)
		return status;
	runner_look_at_clock(subscription);
	runner->is_inspected = false;
	delivery->connection = ops->connection(runner->session);
	status = handler_call(subscription, events, count, delivery, err);
	status = handler_check(subscription, delivery, status, err);
	if (delivery->has_ended_transaction || delivery->has_lost_transaction)
		return status;
	delivery->is_kept = status == TIDE_OK && handler_may_keep(subscription);
	struct tide_error undo;
	tide_status done =
		delivery->is_kept ? ops->release(runner->session, &undo) : ops->rollback_to(runner->session, &undo);
	if (done == TIDE_OK)
		return status;
	delivery->is_kept = false;
	delivery->has_lost_transaction = true;
	if (delivery->is_late) /* interrupted: SQLite rolls all of the transaction back */
		return status;
	*err = undo;
	return done;
}

/* ---- Before a call ------------------------------------------------------------------------------------------ */

/* The breaker is open: hold the position, save what is settled, and let a person see it. */
static enum step handler_pause(struct tide_subscription *subscription)
{
	(void)pause_begin(subscription, TIDE_PAUSE_BACKPRESSURE, subscription->runner.now, runner_wall(subscription));
	return STEP_ON;
}

/* Before its recovery time an open breaker is shown, whatever backoff the event has to wait for besides. A person who asks
 * for a probe gets it now. */
static bool handler_is_rejected(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (runner->is_admitted)
		return false;
	mutex_lock(&subscription->lock);
	const struct breaker *breaker = &subscription->handler_breaker;
	bool is_open = breaker->state == BREAKER_OPEN && runner->now.ns < breaker_ready_at(breaker).ns;
	bool is_manual = subscription->is_manual_probe;
	mutex_unlock(&subscription->lock);
	if (is_manual)
		runner->retry_at = runner->now;
	return is_open && !is_manual;
}

static bool handler_admit(struct tide_subscription *subscription)
{
	if (subscription->runner.is_admitted)
		return true;
	mutex_lock(&subscription->lock);
	enum breaker_state before = subscription->handler_breaker.state;
	bool is_admitted =
		breaker_admit(&subscription->handler_breaker, subscription->runner.now, subscription->is_manual_probe);
	enum breaker_state after = subscription->handler_breaker.state;
	subscription->is_manual_probe = false;
	mutex_unlock(&subscription->lock);
	runner_log_breaker(subscription, "handler", before, after);
	return is_admitted;
}

static void handler_cancel_probe(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	breaker_cancel(&subscription->handler_breaker);
	mutex_unlock(&subscription->lock);
}

static void handler_check_self(struct tide_subscription *subscription, const struct tide_event *event)
{
	struct runner *runner = &subscription->runner;
	const struct tide_filter *filter = &subscription->filter;
	bool is_unfiltered = !filter->event_types && !filter->patterns && !filter->aggregate_types &&
			     !filter->tenant_id && !filter->partition_total;
	if (!runner->self_check || !is_unfiltered || runner->attempts > 0 || event->undecodable)
		return;
	tide_version expected = self_check_see(runner->self_check, event);
	if (expected == 0)
		return;
	char id[TIDE_UUID_TEXT_SIZE];
	struct tide_error err;
	tide_fail(&err, TIDE_CORRUPT, "self-check: version %d of %s %s came where %d was due", event->version,
		  event->aggregate_type.data, tide_uuid_format(&event->aggregate_id, id), expected);
	failure_record(subscription, &err, &(struct failure_context){ .event = event });
	runner_look_at_clock(subscription);
}

/* ---- After an unclean end ----------------------------------------------------------------------------------- */

/* Only what a mark has witnessed: a death with no event marked is held against none, since it may have come from outside. */
static int32_t handler_deaths(const struct runner *runner, tide_position position)
{
	return position == runner->suspect ? runner->suspect_deaths : 0;
}

/* Mark the event before it is handed over, or give up on one that has taken the process down too often. */
static enum step handler_mark(struct tide_subscription *subscription, const struct tide_event *event,
			      bool *ret_given_up)
{
	struct runner *runner = &subscription->runner;
	int32_t deaths = handler_deaths(runner, event->position);
	*ret_given_up = deaths >= subscription->config.max_process_deaths;
	if (*ret_given_up) {
		runner->attempts = deaths;
		failure_without_attempt(subscription, TIDE_HANDLER_PERMANENT, "the process died while handling it");
		return STEP_ON;
	}
	if (runner->attempts > 0)
		return STEP_ON;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;
	struct tide_error err;
	const struct tide_checkpoint_ops *ops = &subscription->engine->checkpoints->database->backend->checkpoint;
	tide_status status = infra_open(subscription, &err);
	if (status == TIDE_OK)
		status = ops->lease_mark(runner->session, save_fence(subscription), event->position, deaths, &err);
	return infra_end(subscription, RETRY_OWNERSHIP, status, &err);
}

/* Enough events were survived, and the last of them is saved: the mark goes, lest a later death be held against it. */
static void handler_end_care(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_checkpoint_ops *ops = &subscription->engine->checkpoints->database->backend->checkpoint;
	runner->is_careful = false;
	if (runner->session)
		(void)ops->lease_mark(runner->session, save_fence(subscription), 0, 0, NULL);
	runner_look_at_clock(subscription);
}

/* ---- The delivery ------------------------------------------------------------------------------------------- */

/* How many entries go into one call: the rest of the page for a batch handler, as far as all of it may be delivered. */
static size_t handler_collect(struct tide_subscription *subscription, const struct tide_event **events)
{
	struct runner *runner = &subscription->runner;
	const struct tide_page *page = feed_page(&runner->feed);
	const struct tide_page_entry *entry = feed_peek(&runner->feed);
	events[0] = &entry->event;
	bool is_alone = !subscription->subscriber.handle_batch || runner->is_careful || runner->is_single ||
			(runner->is_split && entry->event.position <= runner->split_until);
	size_t count = 1;
	for (size_t i = runner->feed.next + 1; !is_alone && i < page->count; i++) {
		const struct tide_event *event = &page->entries[i].event;
		bool has_failed = event->position == runner->pending.position;
		if (event->undecodable || has_failed || held_behind(runner->held, event))
			break;
		events[count++] = event;
	}
	return count;
}

/* Where it commits, a full disk is nobody's failure: the event keeps its attempts, and comes again like a failed save. */
static enum step handler_wait_out(struct tide_subscription *subscription, const struct tide_delivery *delivery,
				  struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	runner->attempts--;
	runner->is_admitted = false;
	handler_cancel_probe(subscription);
	if (infra_end(subscription, RETRY_CHECKPOINT, err->status, err) == STEP_FAIL)
		return STEP_FAIL;
	if (delivery->has_lost_transaction)
		infra_close(subscription);
	enum step step = save_before_wait(subscription);
	runner->commit_tries =
		runner->tries[RETRY_CHECKPOINT]; /* also when what was settled before it is committed now */
	return step;
}

static enum step handler_failed(struct tide_subscription *subscription, const struct tide_event *event, size_t count,
				struct tide_error *err, struct tide_delivery *delivery)
{
	bool is_outage = err->status == TIDE_DISK_FULL && subscription->subscriber.transactional && !delivery->is_late;
	return is_outage ? handler_wait_out(subscription, delivery, err)
			 : failure_of_attempt(subscription, event, count, err, delivery);
}

static enum step handler_deliver(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_event *single[1];
	const struct tide_event **events = runner->batch ? runner->batch : single;
	size_t count = handler_collect(subscription, events);
	for (size_t i = 1; i < count; i++)
		handler_check_self(subscription, events[i]);
	if (events[0]->position == runner->lost_position && runner->attempts < runner->lost_attempts)
		runner->attempts = runner->lost_attempts;
	struct tide_delivery delivery;
	delivery_begin(&delivery, subscription, ++runner->attempts, events[0]->position);
	struct tide_error err;
	tide_status status = handler_attempt(subscription, events, count, &delivery, &err);
	/* What an abandoned one came to is ignored: the stop waiting in `attention` ends the run. */
	enum step step = STEP_ON;
	if (status == TIDE_OK && settle_handled(subscription, count, &delivery))
		runner->careful_left -= runner->is_careful;
	else if (status != TIDE_OK && delivery_end(subscription, &delivery, status))
		step = handler_failed(subscription, events[0], count, &err, &delivery);
	else if (delivery.has_ended_transaction || delivery.has_lost_transaction)
		infra_close(subscription);
	tide_free(delivery.stacktrace);
	return step;
}

static enum step handler_begin(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (!subscription->subscriber.transactional || runner->is_in_transaction)
		return STEP_ON;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;
	struct tide_error err;
	tide_status status = infra_open(subscription, &err);
	if (status == TIDE_OK)
		status = save_begin_transaction(subscription, &err);
	return infra_end(subscription, RETRY_CHECKPOINT, status, &err);
}

enum step handler_step(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_event *event = &feed_peek(&runner->feed)->event;
	const char *behind = held_behind(runner->held, event);
	if (behind)
		return failure_park(subscription, behind);
	if (event->position == runner->pending.position) {
		runner->pending.is_pending = true;
		return STEP_ON;
	}
	handler_check_self(subscription, event);
	if (event->undecodable || event->position == runner->doomed) {
		runner->buried = event->position;
		failure_without_attempt(subscription, event->undecodable ? TIDE_DECODE : runner->doom.status,
					event->undecodable ? event->undecodable : runner->doom.message);
		return STEP_ON;
	}
	if (handler_is_rejected(subscription))
		return handler_pause(subscription);
	if (runner->attempts > 0 && runner->now.ns < runner->retry_at.ns) {
		/* No transaction stays open during a backoff, and the timer of the saves runs on. */
		const struct progress *progress = &runner->progress;
		if (runner->is_in_transaction ||
		    progress_is_due(progress, &subscription->config, PROGRESS_AFTER_EVENT, runner->now))
			return save_step(subscription);
		return runner_wait(subscription,
				   mono_min(runner->retry_at, progress_due_at(progress, &subscription->config)),
				   "the event is tried again");
	}
	if (!handler_admit(subscription))
		return handler_pause(subscription);
	if (runner->is_careful && runner->careful_left <= 0 && !runner->is_in_transaction)
		handler_end_care(subscription);
	bool is_given_up = false;
	enum step step = runner->is_careful ? handler_mark(subscription, event, &is_given_up) : STEP_ON;
	if (step == STEP_ON && !is_given_up)
		step = handler_begin(subscription);
	if (step != STEP_ON || is_given_up) {
		handler_cancel_probe(subscription);
		return step;
	}
	return handler_deliver(subscription);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One delivery: call the handler with the event, or the batch, that comes next, and judge what it
 * came to.
 *
 * Happy path: the handler returns TIDE_OK in time; each event of the call is settled.
 * Failure modes: it fails or is late: under a transaction its writes are rolled back to the
 * savepoint; failure.c decides about another attempt. The breaker is open: the prefix is saved and
 * the subscription pauses; nothing is skipped. The transaction cannot be begun: an infrastructure
 * failure, tried again; the handler was not called. An event that took the process down too often
 * is not handed over any more.
 */
#include "path/handler.h"

#include <assert.h>

#include "path/attempt.h"
#include "path/delivery.h"
#include "path/failure.h"
#include "path/fate.h"
#include "path/gate.h"
#include "path/held.h"
#include "path/infra.h"
#include "path/pause.h"
#include "path/report.h"
#include "path/runner.h"
#include "path/save.h"
#include "path/selfcheck.h"
#include "path/session.h"
#include "path/settle.h"
#include "path/transaction.h"
#include "sys/alloc.h"

/* ---- Before a call --------------------------------------------------------------------------- */

/* The breaker is open: hold the position, save what is settled, and let a person see it. */
static enum step handler_pause(struct tide_subscription *subscription)
{
	(void)pause_begin(subscription, TIDE_PAUSE_BACKPRESSURE, subscription->runner.now,
			  runner_wall(subscription));
	return STEP_ON;
}

/* An open breaker is shown, whatever backoff the event has to wait for besides. */
static bool handler_is_rejected(struct tide_subscription *subscription)
{
	bool is_manual;
	bool is_rejected = gate_rejects_event(subscription, &is_manual);
	if (is_manual)
		subscription->runner.next.retry_at = subscription->runner.now;
	return is_rejected;
}

static void handler_check_self(struct tide_subscription *subscription,
			       const struct tide_event *event)
{
	struct runner *runner = &subscription->runner;
	const struct tide_filter *filter = &subscription->filter;
	bool is_unfiltered = !filter->event_types && !filter->patterns &&
			     !filter->aggregate_types && !filter->tenant_id &&
			     !filter->partition_total;
	if (!runner->self_check || !is_unfiltered || runner->next.attempts > 0 ||
	    event->undecodable)
		return;

	tide_version expected = self_check_see(runner->self_check, event);
	if (expected == 0)
		return;

	char id[TIDE_UUID_TEXT_SIZE];
	struct tide_error err;
	tide_fail(&err, TIDE_CORRUPT, "self-check: version %d of %s %s came where %d was due",
		  event->version, event->aggregate_type.data,
		  tide_uuid_format(&event->aggregate_id, id), expected);
	report_failure(subscription, &err, &(struct report_context){ .event = event });
	runner_look_at_clock(subscription);
}

/* ---- After an unclean end -------------------------------------------------------------------- */

/* Only what a mark has witnessed: a death with no event marked is held against none, since it may
 * have come from outside. */
static int32_t handler_deaths(const struct runner *runner, tide_position position)
{
	return position == runner->care.suspect ? runner->care.deaths : 0;
}

/* Mark the event before it is handed over, or give up on one that has taken the process down too
 * often. */
static enum step handler_mark(struct tide_subscription *subscription,
			      const struct tide_event *event, bool *ret_given_up)
{
	struct runner *runner = &subscription->runner;
	int32_t deaths = handler_deaths(runner, event->position);
	*ret_given_up = deaths >= subscription->config.max_process_deaths;
	if (*ret_given_up) {
		runner->next.attempts = deaths;
		failure_without_attempt(subscription, TIDE_HANDLER_PERMANENT,
					"the process died while handling it");
		return STEP_ON;
	}

	if (runner->next.attempts > 0)
		return STEP_ON;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	tide_status status = session_open(subscription, &err);
	if (status == TIDE_OK)
		status = session_lease_mark(subscription, event->position, deaths, &err);
	return infra_end(subscription, RETRY_OWNERSHIP, status, &err);
}

/* Enough events were survived, and the last of them is saved: the mark goes, lest a later death be
 * held against it. */
static void handler_end_care(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	runner->care.is_on = false;
	if (runner->sessions.database)
		(void)session_lease_mark(subscription, 0, 0, NULL);
	session_rest(subscription);
	runner_look_at_clock(subscription);
}

/* ---- The delivery ---------------------------------------------------------------------------- */

static bool handler_is_behind_limit(struct tide_subscription *subscription,
				    const struct tide_event *event)
{
	tide_position limit = atomic_load(&subscription->runner.feed.bound.position);
	return limit != 0 && event->position > limit;
}

/* Whether an event is one of several in a call. Handled together are only those of which nothing
 * is known yet, and not where each has a commit of its own. */
static bool handler_may_gather(struct tide_subscription *subscription,
			       const struct tide_event *event)
{
	struct runner *runner = &subscription->runner;
	if (runner->care.is_on || runner->apart.commits_until > 0 ||
	    event->position <= runner->apart.calls_until ||
	    handler_is_behind_limit(subscription, event))
		return false;
	if (subscription->subscriber.handle_batch)
		return true;
	return subscription->subscriber.handle_together && runner->next.is_admitted &&
	       runner->next.attempts == 0 && !fates_find(&runner->fates, event->position) &&
	       subscription->config.checkpoint_strategy != TIDE_EVERY_EVENT;
}

/* How many entries go into one call: the rest of the page for a handler that takes several, as far
 * as all of it may be delivered. */
static size_t handler_collect(struct tide_subscription *subscription,
			      const struct tide_event **events)
{
	struct runner *runner = &subscription->runner;
	const struct tide_page *page = feed_page(&runner->feed);
	const struct tide_page_entry *entry = feed_peek(&runner->feed);

	events[0] = &entry->event;
	bool is_alone = !handler_may_gather(subscription, events[0]);
	size_t count = 1, most = subscription->subscriber.batch_events, end = page->count;
	if (most > 0 && end - runner->feed.next > most)
		end = runner->feed.next + most;

	for (size_t i = runner->feed.next + 1; !is_alone && i < end; i++) {
		const struct tide_event *event = &page->entries[i].event;
		bool has_failed = fates_has_failed(&runner->fates, event->position);
		if (event->undecodable || has_failed || held_behind(runner->held, event) ||
		    !handler_may_gather(subscription, event))
			break;
		events[count++] = event;
	}
	return count;
}

/* Where it commits, a full disk is nobody's failure: the event keeps its attempts, and comes again
 * like a failed save. */
static enum step handler_wait_out(struct tide_subscription *subscription,
				  const struct tide_delivery *delivery, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	runner->next.attempts--;
	runner->next.is_admitted = false;
	gate_cancel(subscription, GATE_HANDLER);
	if (infra_end(subscription, RETRY_CHECKPOINT, err->status, err) == STEP_FAIL)
		return STEP_FAIL;
	if (delivery->writes == WRITES_LOST)
		infra_close(subscription);

	enum step step = save_before_wait(subscription);
	runner->infra.commit_tries =
		/* also when what was settled before it is committed now */
		runner->infra.tries[RETRY_CHECKPOINT];
	return step;
}

static enum step handler_failed(struct tide_subscription *subscription,
				const struct tide_event *event, size_t count,
				struct tide_error *err, struct tide_delivery *delivery)
{
	bool is_outage = err->status == TIDE_DISK_FULL && subscription->subscriber.transactional &&
			 !delivery->is_late;
	return is_outage ? handler_wait_out(subscription, delivery, err)
			 : failure_of_attempt(subscription, event, count, err, delivery);
}

/* Nothing has come of the call: no attempt was made, and the same events come again. */
static enum step handler_again(struct tide_subscription *subscription,
			       struct tide_delivery *delivery)
{
	subscription->runner.next.attempts--;
	gate_cancel(subscription, GATE_HANDLER);
	delivery->took = -1;
	(void)delivery_end(subscription, delivery, TIDE_OK);
	return STEP_ON;
}

/* Nobody hears of what failed together: each of the events comes again, alone, under a savepoint of
 * its own. */
static enum step handler_part(struct tide_subscription *subscription,
			      struct tide_delivery *delivery)
{
	const struct together *together = &delivery->together;
	subscription->runner.apart.calls_until = together->events[together->count - 1]->position;
	enum step step = handler_again(subscription, delivery);
	if (delivery_has_spoilt(delivery))
		infra_close(subscription);
	return step;
}

static enum step handler_deliver(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_event *single[1];
	const struct tide_event **events = runner->batch ? runner->batch : single;
	size_t count = handler_collect(subscription, events);
	assert(events[0]->position > runner->progress.position);
	assert(count <= runner->feed.limits.page_events);
	assert(!subscription->subscriber.transactional ||
	       transaction_is_open(&runner->transaction));
	for (size_t i = 1; i < count; i++)
		handler_check_self(subscription, events[i]);
	const struct fate *fate = fates_find(&runner->fates, events[0]->position);
	if (fate && fate->kind == FATE_TRIED && runner->next.attempts < fate->attempts)
		runner->next.attempts = fate->attempts;
	struct tide_delivery delivery;
	delivery_begin(&delivery, subscription, ++runner->next.attempts, events[0]->position);
	struct tide_error err;
	tide_status status = attempt_make(subscription, events, count, &delivery, &err);
	count = delivery_taken(&delivery, count);
	atomic_store(&subscription->hand.has_begun, status == TIDE_OK && delivery.begun > 0);

	/* What an abandoned one came to is ignored: the stop waiting in `attention` ends the
	 * run. */
	enum step step = STEP_ON;
	if (status == TIDE_OK && count == 0)
		step = handler_again(subscription, &delivery);
	else if (status == TIDE_OK && settle_handled(subscription, count, &delivery))
		runner->care.left -= runner->care.is_on;
	else if (status != TIDE_OK && delivery.together.count > 0)
		step = handler_part(subscription, &delivery);
	else if (status != TIDE_OK && delivery_end(subscription, &delivery, status))
		step = handler_failed(subscription, events[0], count ? count : 1, &err, &delivery);
	else if (delivery_has_spoilt(&delivery))
		infra_close(subscription);
	tide_free(delivery.stacktrace);
	return step;
}

static enum step handler_begin(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (!subscription->subscriber.transactional || transaction_is_open(&runner->transaction))
		return STEP_ON;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;
	struct tide_error err;
	tide_status status = session_open(subscription, &err);
	if (status == TIDE_OK)
		status = transaction_begin(subscription, &err);
	return infra_end(subscription, RETRY_CHECKPOINT, status, &err);
}

/* ---- The event that is next ------------------------------------------------------------------ */

/** What is done with it: the first of these whose condition holds. */
enum handler_due {
	HANDLER_WAITS,     /* it lies behind the limit */
	HANDLER_PARKS,     /* an unresolved dead letter of its aggregate is before it */
	HANDLER_HAS_ENDED, /* it has failed for good, and the feed has brought it again */
	HANDLER_BURIES,    /* it cannot be decoded, or what it did not be committed: no call */
	HANDLER_PAUSES,    /* the breaker is open, or its probe is another's */
	HANDLER_BACKS_OFF, /* its next attempt is not due */
	HANDLER_DELIVERS
};

static enum handler_due handler_choose(struct tide_subscription *subscription,
				       const struct tide_event *event)
{
	struct runner *runner = &subscription->runner;
	if (handler_is_behind_limit(subscription, event))
		return HANDLER_WAITS;
	if (held_behind(runner->held, event))
		return HANDLER_PARKS;
	if (fates_has_failed(&runner->fates, event->position))
		return HANDLER_HAS_ENDED;
	handler_check_self(subscription, event);
	if (event->undecodable || fates_doomed(&runner->fates, event->position))
		return HANDLER_BURIES;

	if (handler_is_rejected(subscription))
		return HANDLER_PAUSES;
	if (runner->next.attempts > 0 && runner->now.ns < runner->next.retry_at.ns)
		return HANDLER_BACKS_OFF;
	return gate_admit_event(subscription) ? HANDLER_DELIVERS : HANDLER_PAUSES;
}

static enum step handler_bury(struct tide_subscription *subscription,
			      const struct tide_event *event)
{
	struct fates *fates = &subscription->runner.fates;
	const struct fate *doomed = fates_doomed(fates, event->position);
	assert(event->undecodable || doomed);
	struct tide_error why = { 0 };
	if (event->undecodable)
		tide_fail(&why, TIDE_DECODE, "%s", event->undecodable);
	else
		why = doomed->error;
	failure_without_attempt(subscription, why.status, why.message);
	fates_ending(fates)->is_uncalled = true;
	return STEP_ON;
}

/* No transaction stays open during a backoff, and the timer of the saves runs on. */
static enum step handler_back_off(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_subscription_config *config = &subscription->config;
	if (transaction_is_open(&runner->transaction) ||
	    progress_is_due(&runner->progress, config, PROGRESS_AFTER_EVENT, runner->now))
		return save_step(subscription);
	return runner_wait(
		subscription,
		mono_min(runner->next.retry_at, progress_due_at(&runner->progress, config)),
		"the event is tried again");
}

static enum step handler_wait_at_limit(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	tide_position limit = atomic_load(&subscription->runner.feed.bound.position);
	if (transaction_is_open(&runner->transaction) || runner->progress.is_dirty)
		return save_step(subscription);
	if (feed_peek(&runner->feed)->event.position > limit)
		atomic_store(&runner->feed.bound.met, limit);
	return runner_wait(subscription, MONO_NEVER, "the event lies behind the limit");
}

/* It was admitted: what does not come to a call gives the probe back. */
static enum step handler_take(struct tide_subscription *subscription,
			      const struct tide_event *event)
{
	struct runner *runner = &subscription->runner;
	if (runner->care.is_on && runner->care.left <= 0 &&
	    !transaction_is_open(&runner->transaction))
		handler_end_care(subscription);
	bool is_given_up = false;
	enum step step =
		runner->care.is_on ? handler_mark(subscription, event, &is_given_up) : STEP_ON;

	if (step == STEP_ON && !is_given_up)
		step = handler_begin(subscription);
	if (step != STEP_ON || is_given_up) {
		gate_cancel(subscription, GATE_HANDLER);
		return step;
	}
	return handler_deliver(subscription);
}

enum step handler_step(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_event *event = &feed_peek(&runner->feed)->event;
	switch (handler_choose(subscription, event)) {
	case HANDLER_WAITS:
		return handler_wait_at_limit(subscription);
	case HANDLER_PARKS:
		return failure_park(subscription, held_behind(runner->held, event));
	case HANDLER_HAS_ENDED:
		fates_come_again(&runner->fates, event->position);
		return STEP_ON;
	case HANDLER_BURIES:
		return handler_bury(subscription, event);
	case HANDLER_PAUSES:
		return handler_pause(subscription);
	case HANDLER_BACKS_OFF:
		return handler_back_off(subscription);
	case HANDLER_DELIVERS:
		break;
	}
	return handler_take(subscription, event);
}

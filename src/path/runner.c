/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of one subscription, and the thread that takes it.
 *
 * Happy path: obey what was asked (stop, pause); read a page when there is room; deliver the next
 * event; save when the strategy says so; at the feed end, say when to look again.
 * Failure modes: each part says STEP_WAIT when it has to wait, and the next step asks it again; a
 * part that has failed for good ends the run in ERROR, with the settled prefix saved.
 *
 *	obey ─▶ STARTING: start.c
 *	     ─▶ PAUSED:   save, rest
 *	     ─▶ running:  save due? ─▶ an event at its end? ─▶ redelivery due? ─▶ read ahead? ─▶ next event │ page end │ idle
 */
#include "path/runner.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "path/check.h"
#include "path/failure.h"
#include "path/fate.h"
#include "path/gate.h"
#include "path/handler.h"
#include "path/infra.h"
#include "path/pause.h"
#include "path/reason.h"
#include "path/redeliver.h"
#include "path/report.h"
#include "path/save.h"
#include "path/session.h"
#include "path/settle.h"
#include "path/start.h"
#include "path/transaction.h"
#include "sys/alloc.h"
#include "sys/log.h"

/* how often it looks whether its ownership has been renewed */
#define RUNNER_DISTRUST_NS (50 * NS_PER_MS)

/* ---- Ending ---------------------------------------------------------------------------------- */

/* For who asks later, when this process may be gone. */
static void runner_note_end(struct tide_subscription *subscription, const struct tide_error *error)
{
	struct tide_time wall = runner_wall(subscription);
	struct tide_why why = { 0 };
	mutex_lock(&subscription->lock);
	reason_fill_end_locked(subscription, error, wall, &why);
	mutex_unlock(&subscription->lock);

	char *reason ALLOC_AUTO = reason_text(&why);
	start_note(subscription, &(struct tide_lease_note){ .last_error = error->message,
							    .now = wall,
							    .reason = reason });
}

/* `error`: what ended the run; NULL: nothing did, or it begins again. */
static void runner_release(struct tide_subscription *subscription, const struct tide_error *error)
{
	struct runner *runner = &subscription->runner;
	mutex_lock(&subscription->lock);
	bool was_ours = ownership_is_ours(&subscription->ownership);
	bool was_lost = subscription->ownership.state == OWNERSHIP_LOST;
	if (subscription->ownership.state != OWNERSHIP_NONE)
		subscription_own_locked(subscription, OWNERSHIP_NONE);
	subscription->metrics.ownership[METRICS_RELEASED] += was_ours;
	subscription->metrics.ownership[METRICS_LOST] += was_lost;
	mutex_unlock(&subscription->lock);

	struct tide_error err;
	if (was_lost && runner->sessions.database) {
		(void)session_lease_release(subscription,
					    NULL); /* a person's call ended only its epoch */
	} else if (was_ours && session_open(subscription, NULL) == TIDE_OK) {
		if (error)
			runner_note_end(subscription, error);
		atomic_store(&subscription->call, RUNNER_CALLS_RELEASE);
		tide_status status = session_lease_release(subscription, &err);
		atomic_store(&subscription->call, RUNNER_CALLS_QUERY);
		if (status == TIDE_OK) {
			log_at(TIDE_LOG_NOTICE, "subscription", "ownership released", "name='%s'",
			       subscription->name);
			notifier_ring_standby(subscription->engine->store->notifier,
					      subscription->name);
		} else {
			log_at(TIDE_LOG_WARNING, "subscription", "ownership not released",
			       "name='%s' error='%s'", subscription->name, err.message);
		}
	}

	if (was_lost)
		log_at(TIDE_LOG_NOTICE, "subscription", "ownership lost", "name='%s'",
		       subscription->name);
}

/* What the handler holds for the run goes before somebody else may call one. */
static void runner_leave_handler(struct tide_subscription *subscription)
{
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (subscriber->leave) {
		atomic_store(&subscription->hand.has_begun, true); /* a shutdown waits for it */
		subscriber->leave(subscriber->self);
		runner_look_at_clock(subscription);
	}
	session_forget_context(subscription);
	atomic_store(&subscription->hand.has_begun, false);
}

/* What a run holds goes, whatever ended it; the settled prefix was saved, or could not be. */
static void runner_let_go(struct tide_subscription *subscription, const struct tide_error *error)
{
	struct runner *runner = &subscription->runner;
	runner->save.is_unknown = false;
	transaction_roll_back(subscription);
	runner_leave_handler(subscription);
	runner_release(subscription, error);
	if (runner->link.wakeup)
		notifier_remove(subscription->engine->store->notifier, &runner->link);
	runner->link.wakeup = NULL;
	infra_close(subscription);
	feed_rest(&runner->feed);
	save_void_memory(subscription);
	memset(runner->infra.tries, 0, sizeof runner->infra.tries);
	runner->infra.try_at = runner->save.final_at = runner->start.acquire_at =
		(struct mono_time){ 0 };

	gate_cancel(subscription, GATE_HANDLER);
	gate_cancel(subscription, GATE_INFRA);
	mutex_lock(&subscription->lock);
	subscription->flow = runner->feed.flow;
	mutex_unlock(&subscription->lock);
}

/* The run is over: the state says so, and waiters learn it. A stop that gave up waiting has moved
 * the state already. */
static void runner_finish(struct tide_subscription *subscription, enum tide_state to,
			  const char *why, const struct tide_error *error)
{
	assert(state_is_terminal(to));
	runner_let_go(subscription, error);
	mutex_lock(&subscription->lock);
	bool has_moved = subscription_move_locked(subscription, to, why) == TIDE_OK;
	subscription->span.ended = subscription->runner.now;
	subscription_run_locked(subscription, RUN_NONE);
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
	if (has_moved)
		subscription_tell_moves(subscription);
}

/* ERROR and out of it at once: nobody else gets in between and restarts what restarts by itself.
 * False: it was stopped. */
static bool runner_begin_again(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool has_moved = subscription_move_locked(subscription, TIDE_STATE_ERROR,
						  "ownership lost") == TIDE_OK &&
			 subscription_move_locked(subscription, TIDE_STATE_STARTING,
						  "standing by again") == TIDE_OK;

	/* a run of its own, in the same thread; what went wrong stays to be seen */
	if (has_moved) {
		subscription_own_locked(subscription, OWNERSHIP_STANDBY);
		subscription->counts = (struct run_counts){ 0 };
		subscription->pause.by = 0;
		subscription->span.started_at = runner_wall(subscription);
		subscription->span.started = subscription->runner.now;
	}

	mutex_unlock(&subscription->lock);
	if (has_moved) {
		subscription_tell_moves(subscription);
	}
	return has_moved;
}

/* Somebody else owns the subscription now: report it as an error, then start again, standing by. */
static enum step runner_stand_by_again(struct tide_subscription *subscription,
				       const struct tide_error *error)
{
	struct runner *runner = &subscription->runner;
	mutex_lock(&subscription->lock);
	subscription_lose_locked(subscription);
	subscription->error = *error;
	mutex_unlock(&subscription->lock);

	runner_let_go(subscription, NULL);
	if (!runner_begin_again(subscription))
		return runner_wait(
			subscription, runner->now,
			"a stop"); /* never STEP_ON: what was under way has not succeeded */

	runner->start.basis = BASIS_ROW;
	runner->start.acquire_at = mono_add(runner->now, runner->feed.limits.poll_ns);
	return runner_wait(subscription, runner->start.acquire_at, "another owner is active");
}

static void runner_hear_of_loss(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	subscription_lose_locked(subscription);
	mutex_unlock(&subscription->lock);
}

static void runner_report_unsaved(struct tide_subscription *subscription,
				  const struct tide_error *error)
{
	const struct runner *runner = &subscription->runner;
	log_at(TIDE_LOG_ERROR, "checkpoint", "the final checkpoint was not saved",
	       "name='%s' position=%lld error='%s'", subscription->name,
	       (long long)runner->progress.position, error->message);
	report_failure(
		subscription, error,
		&(struct report_context){ .retry_count = runner->infra.tries[RETRY_CHECKPOINT],
					  .is_logged = true });
}

static enum step runner_fail(struct tide_subscription *subscription, const struct tide_error *error)
{
	struct tide_error first = *error, err;
	assert(first.status != TIDE_OK);
	if (first.status == TIDE_FENCED)
		return runner_stand_by_again(subscription, &first);
	if (first.status != TIDE_DIVERGED && save_once(subscription, &err) != TIDE_OK)
		runner_report_unsaved(subscription, &err);
	mutex_lock(&subscription->lock);
	subscription->error = first;
	if (!run_is_ending(&subscription->run))
		subscription_run_locked(subscription, RUN_FAILED);
	mutex_unlock(&subscription->lock);
	runner_finish(subscription, TIDE_STATE_ERROR, first.message, &first);
	return STEP_END;
}

/* The delay before the final save is tried again; negative: it is not. */
static int64_t runner_delay_of_stop(struct tide_subscription *subscription,
				    const struct tide_error *error)
{
	struct runner *runner = &subscription->runner;
	int64_t delay = retry_delay(&subscription->retry, runner->infra.tries[RETRY_CHECKPOINT],
				    &runner->random);
	bool may_retry = infra_may_retry(subscription, RETRY_CHECKPOINT, error);
	mutex_lock(&subscription->lock);
	may_retry = may_retry && mono_add(runner->now, delay).ns < subscription->stop.deadline.ns;
	delay = may_retry ? delay : -1;
	retry_count_again(&subscription->retries[RETRY_CHECKPOINT], delay);
	mutex_unlock(&subscription->lock);
	return delay;
}

/* Until then no ring makes it try again. */
static enum step runner_stop_waits(struct tide_subscription *subscription)
{
	atomic_store(&subscription->attention, true);
	return runner_wait(subscription, subscription->runner.save.final_at,
			   "the final save is tried again");
}

static enum step runner_stop_later(struct tide_subscription *subscription,
				   const struct tide_error *error, int64_t delay)
{
	struct runner *runner = &subscription->runner;
	report_failure(
		subscription, error,
		&(struct report_context){ .retry_count = runner->infra.tries[RETRY_CHECKPOINT]++,
					  .is_retried = true });
	log_at(TIDE_LOG_WARNING, "subscription", "trying again",
	       "name='%s' operation=%s attempt=%d delay_seconds=%.3f", subscription->name,
	       retry_operation_name(RETRY_CHECKPOINT), runner->infra.tries[RETRY_CHECKPOINT] + 1,
	       seconds_of_ns(delay));
	if (error->retry == TIDE_RETRY_REOPEN)
		infra_close(subscription);
	runner->save.final_at = mono_add(runner->now, delay);
	return runner_stop_waits(subscription);
}

static enum step runner_stop(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	struct tide_error err;
	if (runner->now.ns < runner->save.final_at.ns)
		return runner_stop_waits(subscription);

	tide_status status = save_once(subscription, &err);
	if (status == TIDE_HANDLER_PERMANENT) /* found by the handler itself, before the commit */
		return report_end(subscription, &err);
	if (status != TIDE_OK && status != TIDE_FENCED) {
		int64_t delay = runner_delay_of_stop(subscription, &err);
		if (delay >= 0)
			return runner_stop_later(subscription, &err, delay);
	}

	if (status != TIDE_OK)
		runner_report_unsaved(subscription, &err);
	if (status == TIDE_FENCED)
		runner_hear_of_loss(subscription);
	if (status == TIDE_OK && start_look_last(subscription, &err) == TIDE_DIVERGED)
		return report_end(subscription, &err);

	runner_finish(subscription, TIDE_STATE_STOPPED, "stop was asked for", NULL);
	return STEP_END;
}

/* Events that the handler has under way are in hand, too: it is called for them until it has
 * answered. Any failure ends that, and so does a lost ownership. */
static bool runner_has_begun(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum tide_state state = (enum tide_state)atomic_load(&subscription->state_now);
	return atomic_load(&subscription->hand.has_begun) && state_is_running(state) &&
	       runner_is_trusted(subscription) && runner->start.standing == STANDING_RESOLVED &&
	       !runner->save.is_unknown && runner->next.attempts == 0 &&
	       !fates_ending(&runner->fates) && feed_peek(&runner->feed);
}

static enum step runner_finish_begun(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	atomic_store(&subscription->attention, true);
	enum step step = handler_step(subscription);
	return step == STEP_ON ? runner_wait(subscription, runner->now, "a stop") : step;
}

/* ---- Obeying --------------------------------------------------------------------------------- */

/* The stop gave up waiting for the handler: nothing of what it did after that counts, but what was
 * settled before it does. */
static enum step runner_end_abandoned(struct tide_subscription *subscription)
{
	struct tide_error err;
	tide_status status = save_once(subscription, &err);
	if (status == TIDE_FENCED)
		runner_hear_of_loss(subscription);
	else if (status != TIDE_OK)
		runner_report_unsaved(subscription, &err);
	runner_finish(subscription, TIDE_STATE_STOPPED, "abandoned handler returned", NULL);
	return STEP_END;
}

static enum step runner_obey(struct tide_subscription *subscription)
{
	atomic_store(&subscription->attention, false);
	mutex_lock(&subscription->lock);
	enum run_state run = subscription->run.state;
	bool is_lost = subscription->ownership.state == OWNERSHIP_LOST;
	mutex_unlock(&subscription->lock);

	if (run == RUN_ABANDONED)
		return runner_end_abandoned(subscription);
	if (run == RUN_STOPPING)
		return !is_lost && runner_has_begun(subscription)
			       ? runner_finish_begun(subscription)
			       : runner_stop(subscription);
	if (is_lost) {
		struct tide_error err;
		tide_fail(&err, TIDE_FENCED, "'%s' has another owner now", subscription->name);
		return report_end(subscription, &err);
	}
	return STEP_ON;
}

static void runner_log_wakeup(const struct tide_subscription *subscription, unsigned sources,
			      bool is_poll)
{
	static const struct {
		unsigned source;
		const char *name;
	} names[] = { { RING_APPEND, "append" },   { RING_BUS, "bus" },
		      { RING_NOTIFY, "notify" },   { RING_MANUAL, "manual" },
		      { RING_CONTROL, "control" }, { RING_TAIL, "tail" },
		      { RING_RELEASE, "release" } };
	char text[80] = "";
	size_t size = 0;
	if ((!sources && !is_poll) || !log_is_wanted(TIDE_LOG_DEBUG))
		return;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (sources & names[i].source)
			size += (size_t)snprintf(text + size, sizeof text - size, ",%s",
						 names[i].name);
	if (is_poll)
		snprintf(text + size, sizeof text - size, ",poll");
	log_at(TIDE_LOG_DEBUG, "subscription", "woken", "name='%s' sources=%s", subscription->name,
	       text + 1);
}

static void runner_log_wait(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	char seconds[32] = "never";
	if (!log_is_wanted(TIDE_LOG_DEBUG))
		return;
	if (runner->wait.at.ns != MONO_NEVER.ns)
		snprintf(seconds, sizeof seconds, "%.3f",
			 seconds_of_ns(mono_since(runner->wait.at, runner->now)));
	log_at(TIDE_LOG_DEBUG, "subscription", "waiting", "name='%s' seconds=%s for='%s'",
	       subscription->name, seconds, runner->wait.why);
}

/* Hear who rang since the last time, before looking for work. */
static void runner_listen(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	unsigned sources = wakeup_reset(&subscription->wakeup);
	bool is_poll = runner->now.ns >= runner->poll_at.ns;

	if (is_poll)
		runner->poll_at = mono_add(runner->now, runner->feed.limits.poll_ns);
	if (sources & (unsigned)~RING_CONTROL || is_poll ||
	    runner->now.ns >= runner->feed.look_at.ns)
		feed_rung(&runner->feed);
	if (sources & RING_MANUAL)
		runner->requests.look_at = runner->now;
	if (sources & RING_RELEASE)
		runner->start.acquire_at = runner->now;

	int64_t *counts = subscription->metrics.wakeups;
	mutex_lock(&subscription->lock);
	counts[METRICS_WAKE_APPEND] += (sources & RING_APPEND) != 0;
	counts[METRICS_WAKE_BUS] += (sources & RING_BUS) != 0;
	counts[METRICS_WAKE_NOTIFY] += (sources & RING_NOTIFY) != 0;
	counts[METRICS_WAKE_MANUAL] += (sources & RING_MANUAL) != 0;
	counts[METRICS_WAKE_POLL] += is_poll;
	mutex_unlock(&subscription->lock);
	runner_log_wakeup(subscription, sources, is_poll);
}

/* ---- Paused ---------------------------------------------------------------------------------- */

struct runner_pause {
	bool is_save_due;
	bool is_by_breaker;
	struct mono_time ready_at;
};

static struct runner_pause runner_look_at_pause(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	struct runner_pause pause = { subscription->pause.is_save_due,
				      subscription->pause.by == PAUSED_BY_BREAKER,
				      breaker_ready_at(&subscription->breakers.handler) };
	mutex_unlock(&subscription->lock);
	return pause;
}

/* Saved and forgotten: what was read ahead is read again later. The attempts of the event that is
 * due are kept. */
static enum step runner_save_pause(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (runner->progress.is_dirty || transaction_is_open(&runner->transaction)) {
		enum step step = save_step(subscription);
		if (step != STEP_ON)
			return step;
	}

	int32_t attempts = runner->next.attempts;
	feed_start(&runner->feed, runner->progress.position, runner->now);
	runner->next.attempts = attempts;
	settle_flow(subscription);

	mutex_lock(&subscription->lock);
	subscription->pause.is_save_due = false;
	mutex_unlock(&subscription->lock);
	return STEP_ON;
}

static enum step runner_rest(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	struct runner_pause pause = runner_look_at_pause(subscription);
	if (pause.is_save_due)
		return runner_save_pause(subscription);
	if (!pause.is_by_breaker)
		return runner_wait(subscription, MONO_NEVER, "paused");
	if (runner->now.ns < pause.ready_at.ns)
		return runner_wait(subscription, pause.ready_at,
				   "the breaker of the handler is open");
	/* a person's pause that takes the breaker's place meanwhile stands */
	(void)pause_end(subscription, true);
	return STEP_ON;
}

/* ---- Running --------------------------------------------------------------------------------- */

static enum step runner_fill(struct tide_subscription *subscription, bool is_live)
{
	struct runner *runner = &subscription->runner;
	/* what is live lies in memory, or one reads it for all */
	enum step step = is_live ? infra_admit(subscription) : infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	struct feed *feed = &runner->feed;
	tide_position from = feed->read_to;
	int64_t before = feed->flow.total_acquisitions;
	tide_status status = session_open(subscription, &err);
	if (status == TIDE_OK)
		status = feed_fill(feed, runner->sessions.feed, is_live, runner->now, &err);
	step = infra_end(subscription, RETRY_READ, status, &err);
	if (step == STEP_ON)
		settle_flow(subscription);
	if (status == TIDE_OK)
		log_at(TIDE_LOG_DEBUG, "subscription", "page read",
		       "name='%s' behind=%lld to=%lld events=%lld source=%s", subscription->name,
		       (long long)from, (long long)feed->read_to,
		       (long long)(feed->flow.total_acquisitions - before), feed->source);
	return step;
}

/* Too slow for the tail: what is missing comes from the store, up to a feed end read now. */
static enum step runner_fall_back(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	const struct tide_store *feed = subscription->engine->store;
	tide_status status = session_open(subscription, &err);
	if (status == TIDE_OK)
		status = session_end(subscription, &runner->start.catch_up_to, &err);
	step = infra_end(subscription, RETRY_READ, status, &err);
	if (step != STEP_ON)
		return step;

	runner->feed.is_behind = false;
	runner->feed.since_end = 0;
	tail_open(feed->tail, runner->start.catch_up_to);
	if (runner->progress.position < runner->start.catch_up_to)
		subscription_move_from(subscription, TIDE_STATE_LIVE, TIDE_STATE_CATCHING_UP,
				       "fell behind the newest events");
	return STEP_ON;
}

/* Caught up, between two pages: what is not saved is saved before LIVE can be seen. */
static enum step runner_go_live(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (runner->progress.is_dirty || transaction_is_open(&runner->transaction))
		return save_step(subscription);
	feed_rest(&runner->feed); /* what is new is no history */
	subscription_move_from(subscription, TIDE_STATE_CATCHING_UP, TIDE_STATE_LIVE,
			       "reached the feed end");
	return STEP_ON;
}

static const char *runner_idles_for(const struct feed *feed)
{
	if (feed->wait_until.ns > 0)
		return "another subscription that reads the same history";
	return feed->flow.is_at_hole ? "an open append before the next event" : "new events";
}

/* Nothing to deliver: no transaction stays open, the timer saves what it has to, and then sleep. */
static enum step runner_idle(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (transaction_is_open(&runner->transaction) ||
	    progress_is_due(&runner->progress, &subscription->config, PROGRESS_IDLE, runner->now)) {
		runner->save.is_due = true;
		return STEP_ON;
	}

	/* What became of a save is found out first: until then a look is no reason to wake. */
	struct mono_time look_at = runner->save.is_unknown ? MONO_NEVER : runner->look.at;
	if (runner->now.ns >= look_at.ns)
		return start_look(subscription);
	struct mono_time until = mono_min(mono_min(runner->poll_at, look_at), runner->feed.look_at);
	until = mono_min(until, progress_due_at(&runner->progress, &subscription->config));
	if (runner->feed.wait_until.ns > 0)
		until = mono_min(until, runner->feed.wait_until);
	return runner_wait(subscription, mono_min(until, runner->requests.look_at),
			   runner_idles_for(&runner->feed));
}

/* The ownership could not be renewed for so long that another owner may be near: no call begins
 * before it is. */
static enum step runner_distrust(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (transaction_is_open(&runner->transaction)) {
		enum step step = save_before_wait(subscription);
		if (step != STEP_WAIT)
			return step;
	}
	return runner_wait(subscription, mono_add(runner->now, RUNNER_DISTRUST_NS),
			   "the ownership is not renewed");
}

/* One thing that is due while CATCHING_UP or LIVE. */
static enum step runner_drain(struct tide_subscription *subscription, bool is_live)
{
	struct runner *runner = &subscription->runner;
	struct feed *feed = &runner->feed;
	bool is_between = feed->next == 0;
	bool is_look_due = runner->save.is_due && runner->now.ns >= runner->look.at.ns;
	if ((is_look_due || start_must_look(subscription)) && !runner->save.is_unknown)
		return start_look(subscription);
	if (runner->save.is_due)
		return save_step(subscription);
	if (fates_ending(&runner->fates))
		return failure_finish(subscription);
	if (!runner_is_trusted(subscription))
		return runner_distrust(subscription);
	if (!transaction_is_open(&runner->transaction) &&
	    runner->now.ns >= runner->requests.look_at.ns)
		return redeliver_step(subscription);

	bool is_at_end = feed->is_end && !feed_page(feed);
	if (!is_live && is_between &&
	    (runner->progress.position >= runner->start.catch_up_to || is_at_end))
		return runner_go_live(subscription);
	if (is_live && feed->is_behind && !transaction_is_open(&runner->transaction))
		return runner_fall_back(subscription);
	if (!transaction_is_open(&runner->transaction) && !(is_live && feed->is_behind) &&
	    feed_wants(feed, runner->now))
		return runner_fill(subscription, is_live);
	if (!feed_page(feed))
		return runner_idle(subscription);
	if (feed_peek(feed))
		return handler_step(subscription);

	settle_page_end(subscription);
	return STEP_ON;
}

/* A run that has begun knows where it stands, unless its row went back. */
static bool runner_is_lost(const struct tide_subscription *subscription)
{
	enum tide_state state = (enum tide_state)atomic_load(&subscription->state_now);
	return (state_is_running(state) || state == TIDE_STATE_PAUSED) &&
	       subscription->runner.start.standing != STANDING_RESOLVED;
}

static enum step runner_part(struct tide_subscription *subscription)
{
	/* before what was asked is looked at: who asks meanwhile rings for the next step */
	if (wakeup_is_rung(&subscription->wakeup))
		runner_listen(subscription);
	if (atomic_load(&subscription->attention)) {
		enum step step = runner_obey(subscription);
		if (step != STEP_ON)
			return step;
	}

	if (runner_is_lost(subscription))
		return start_again(subscription);

	switch ((enum tide_state)atomic_load(&subscription->state_now)) {
	case TIDE_STATE_STARTING:
		return start_step(subscription);
	case TIDE_STATE_CATCHING_UP:
		return runner_drain(subscription, false);
	case TIDE_STATE_LIVE:
		return runner_drain(subscription, true);
	case TIDE_STATE_PAUSED:
		return runner_rest(subscription);
	case TIDE_STATE_STOPPED: /* moved there by a stop that gave up waiting */
		return runner_end_abandoned(subscription);
	case TIDE_STATE_ERROR:
		break;
	}
	return STEP_END;
}

static enum step runner_advance(struct tide_subscription *subscription)
{
	enum step step = runner_part(subscription);
	check_run(subscription, step);
	return step == STEP_FAIL ? runner_fail(subscription, &subscription->runner.cause) : step;
}

struct mono_time runner_step(struct tide_subscription *subscription, struct mono_time now)
{
	struct runner *runner = &subscription->runner;
	runner->now = runner->begun.mono = now;
	runner->begun.wall = clock_wall(subscription->engine->clock);
	atomic_fetch_add_explicit(&subscription->steps, 1, memory_order_relaxed);
	runner_listen(subscription);

	for (int i = 0; i < subscription->engine->parts_per_step; i++) {
		enum step step = runner_advance(subscription);
		if (step == STEP_END)
			return MONO_NEVER;
		if (step == STEP_WAIT) {
			session_rest(subscription);
			runner_log_wait(subscription);
			return runner->wait.at;
		}
	}
	return now;
}

bool runner_is_running(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	bool is_running = run_exists(&subscription->run);
	mutex_unlock(&subscription->lock);
	return is_running;
}

static uint64_t runner_run(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	uint64_t run = subscription->span.number;
	mutex_unlock(&subscription->lock);
	return run;
}

/* The next run may have been registered already when this one's thread looks; that one has a thread
 * of its own. */
static bool runner_is_of_run(struct tide_subscription *subscription, uint64_t run)
{
	return runner_is_running(subscription) && runner_run(subscription) == run;
}

static void runner_leave(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	/* else the next start waits for this one, or it died */
	if (subscription->run.thread == THREAD_ALIVE)
		run_move_thread(&subscription->run, THREAD_NONE);
	cond_broadcast(&subscription->changed);
	mutex_unlock(&subscription->lock);
}

static void runner_enter(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	while (subscription->run.thread == THREAD_CHANGING) /* until the start knows it */
		cond_wait(&subscription->changed, &subscription->lock);
	mutex_unlock(&subscription->lock);
}

void runner_thread(void *self)
{
	struct tide_subscription *subscription = self;
	engine_of_thread = subscription->engine;
	runner_enter(subscription);

	uint64_t run = runner_run(subscription);
	while (runner_is_of_run(subscription, run)) {
		struct mono_time now = clock_mono(subscription->engine->clock);
		struct mono_time next = runner_step(subscription, now);
		/* A wait for a time that has come still gives the processor away; and nobody rings
		 * for a run that has ended. */
		if (next.ns > now.ns && runner_is_of_run(subscription, run))
			wakeup_wait(&subscription->wakeup, next);
	}
	runner_leave(subscription);
}

/* The thread's last moments. The handler has not returned: what it wrote is rolled back, nothing is
 * settled. */
void runner_thread_died(void *self)
{
	struct tide_subscription *subscription = self;
	atomic_store(&subscription->hand.since, 0);
	mutex_lock(&subscription->lock);
	run_move_thread(&subscription->run, THREAD_DIED);
	while (subscription->stop.is_frozen)
		cond_wait(&subscription->changed, &subscription->lock);
	bool is_abandoned = subscription->run.state == RUN_ABANDONED;
	mutex_unlock(&subscription->lock);

	/* else the last save finds out what became of it */
	if (!subscription->runner.save.is_unknown)
		transaction_roll_back(subscription);
	if (is_abandoned) {
		(void)runner_end_abandoned(subscription);
	} else {
		struct tide_error err;
		tide_fail(&err, TIDE_INTERNAL, "the handler ended the thread of '%s'",
			  subscription->name);
		report_failure(subscription, &err, &(struct report_context){ 0 });
		(void)runner_fail(subscription, &err);
	}
	runner_leave(subscription);
}

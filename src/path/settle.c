/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way the position moves: over an event that was handled, filtered out, accepted by the
 * dead-letter queue, or discarded because the configuration says so.
 */
#include "path/settle.h"

#include <assert.h>

#include "core/text.h"
#include "path/delivery.h"
#include "path/gate.h"
#include "path/react.h"
#include "path/runner.h"
#include "path/transaction.h"

/* The clock of backpressure, for health, begins when the threshold is reached. */
static void settle_flow_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct feed *feed = &subscription->runner.feed;
	bool is_full = feed->flow.in_flight >= feed->limits.threshold;
	if (is_full && !subscription_is_backpressured_locked(subscription))
		subscription->backpressured_since = subscription->runner.now;
	subscription->flow = feed->flow;
}

void settle_flow(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	settle_flow_locked(subscription);
	mutex_unlock(&subscription->lock);
}

/* Clocks of two machines may differ: no event is handled before it was stored. */
static void settle_latency(struct metrics *metrics, const struct tide_event *event,
			   struct tide_time wall)
{
	int64_t us = wall.unix_us - event->stored_at.unix_us, most = INT64_MAX / 1000;
	us = us < 0 ? 0 : us > most ? most : us;
	histogram_add(&metrics->totals.latency_seconds, us * 1000, 1);
}

static void settle_count_locked(struct tide_subscription *subscription,
				const struct tide_event *event, enum settlement how,
				struct tide_time wall) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct run_counts *counts = &subscription->counts;
	struct metrics *metrics = &subscription->metrics;
	counts->discarded += how == SETTLED_DISCARDED;
	metrics->totals.discarded += how == SETTLED_DISCARDED;
	counts->failed += how == SETTLED_DEAD_LETTERED || how == SETTLED_DISCARDED;
	if (how == SETTLED_DISCARDED)
		return;

	bool is_dead = how != SETTLED_HANDLED;
	counts->processed++;
	counts->dead_lettered += is_dead;
	metrics->totals.dead_lettered += is_dead;
	if (!is_dead)
		settle_latency(metrics, event, wall);
	struct metrics_counts *type = &metrics_type(metrics, event->event_type)->counts;
	type->handled += !is_dead;
	type->dead_lettered += is_dead;
	counts->last_processed_at = wall;
	counts->last_event_id = event->event_id;
	text_take_name(event->event_type, counts->last_event_type);
}

static void settle_passed_locked(struct tide_subscription *subscription, int64_t passed,
				 int64_t matched) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	subscription->counts.skipped += passed;
	subscription->metrics.totals.skipped += passed;
	subscription->counts.evaluated += passed + matched;
}

/* Wake who waits for the new position; nobody is woken for each event of a million. */
static void settle_position_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	subscription->position = subscription->runner.progress.position;
	if (subscription->position < subscription->wake_at)
		return;
	subscription->wake_at = INT64_MAX;
	cond_broadcast(&subscription->changed);
}

static void settle_entry_locked(struct tide_subscription *subscription, enum settlement how,
				struct tide_time wall) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct runner *runner = &subscription->runner;
	const struct tide_page_entry *entry = feed_peek(&runner->feed);
	assert(entry && entry->event.position > runner->progress.position);
	progress_move(&runner->progress, entry->event.position);
	progress_stand(&runner->progress,
		       (struct tide_anchor){ entry->event.position, entry->event.event_id });
	if (how != SETTLED_DISCARDED)
		progress_count(&runner->progress, &entry->event);
	runner->progress.discarded += how == SETTLED_DISCARDED;
	settle_passed_locked(subscription, entry->passed_before, 1);
	settle_count_locked(subscription, &entry->event, how, wall);
	feed_take(&runner->feed);
}

static void settle_done(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	runner->next.attempts = 0;
	if (progress_is_due(&runner->progress, &subscription->config, PROGRESS_AFTER_EVENT,
			    runner->now) ||
	    runner->care.is_on || runner->apart.commits_until > 0 || react_is_open(subscription))
		runner->save.is_due = true;
}

void settle_next(struct tide_subscription *subscription, enum settlement how)
{
	struct tide_time wall = runner_wall(subscription);
	mutex_lock(&subscription->lock);
	settle_entry_locked(subscription, how, wall);
	settle_flow_locked(subscription);
	settle_position_locked(subscription);
	mutex_unlock(&subscription->lock);
	settle_done(subscription);
}

bool settle_handled(struct tide_subscription *subscription, size_t count,
		    const struct tide_delivery *delivery)
{
	assert(count > 0 && count <= feed_page(&subscription->runner.feed)->count);
	struct tide_time wall = runner_wall(subscription);
	mutex_lock(&subscription->lock);
	if (!delivery_end_locked(subscription, delivery, TIDE_OK)) {
		mutex_unlock(&subscription->lock);
		return false;
	}

	struct gate_move move = gate_success_locked(subscription, GATE_HANDLER);
	retry_count(&subscription->retries[RETRY_HANDLER], NULL, -1);
	for (size_t i = 0; i < count; i++)
		settle_entry_locked(subscription, SETTLED_HANDLED, wall);
	settle_flow_locked(subscription);
	settle_position_locked(subscription);
	mutex_unlock(&subscription->lock);

	subscription->runner.next.is_admitted = true;
	gate_tell(subscription, move);
	settle_done(subscription);
	return true;
}

void settle_page_end(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	const struct tide_page *page = feed_page(&runner->feed);
	assert(page && page->scanned_to >= runner->progress.position);
	assert(page->passed.position <= page->scanned_to);
	progress_move(&runner->progress, page->scanned_to);
	progress_stand(&runner->progress, page->passed);

	mutex_lock(&subscription->lock);
	settle_passed_locked(subscription, page->passed_after, 0);
	settle_position_locked(subscription);
	mutex_unlock(&subscription->lock);

	feed_finish_page(&runner->feed);
	bool is_committed_by_page = transaction_is_open(&runner->transaction) &&
				    subscription->config.checkpoint_strategy != TIDE_PERIODIC;
	if (progress_is_due(&runner->progress, &subscription->config, PROGRESS_AFTER_PAGE,
			    runner->now) ||
	    is_committed_by_page)
		runner->save.is_due = true;
}

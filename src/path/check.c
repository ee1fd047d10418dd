/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has to hold of a run between any two of its parts, whichever they were.
 *
 * Failure modes: one of it does not hold: the process ends there, before anything is settled or
 * saved that has not been handled.
 */
#include "path/check.h"

#include <assert.h>

#include "path/fate.h"
#include "path/transaction.h"

/* What was read ahead is in order, behind the position, and counted. */
static void check_feed(const struct tide_subscription *subscription)
{
	struct feed *feed = (struct feed *)&subscription->runner.feed;
	const struct feed_flow *flow = &feed->flow;
	const struct tide_page_entry *entry = feed_peek(feed);
	assert(feed->count <= feed->capacity);
	assert(feed->count > 0 || feed->next == 0);
	assert(flow->in_flight >= 0 && flow->in_flight <= feed->limits.max_in_flight);
	assert(flow->in_flight == flow->total_acquisitions - flow->total_releases);
	assert(!entry || entry->event.position > subscription->runner.progress.position);
	assert(!entry || entry->event.position <= feed->read_to);
}

/* The position moves only over what is settled, and no further than what was read. */
static void check_progress(const struct runner *runner)
{
	const struct progress *progress = &runner->progress;
	assert(progress->unsaved >= 0);
	assert(progress->position <= runner->feed.read_to);
	assert(progress->anchor.position <= progress->position);
	assert(progress->unsaved == 0 || progress->is_dirty);
	assert(!transaction_is_open(&runner->transaction) ||
	       runner->transaction.before.position <= progress->position);
}

/* A transaction has a session, unless its connection was lost while it was committed. */
static void check_transaction(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	assert(!transaction_is_open(&runner->transaction) ||
	       subscription->subscriber.transactional);
	assert(!transaction_is_open(&runner->transaction) || runner->sessions.database ||
	       runner->save.is_unknown);
	assert(!runner->sessions.feed || runner->sessions.database);
	assert(!runner->sessions.attached || runner->sessions.database ||
	       !subscription->subscriber.transactional);
}

void check_run(const struct tide_subscription *subscription, enum step step)
{
	const struct runner *runner = &subscription->runner;
	check_feed(subscription);
	check_progress(runner);
	check_transaction(subscription);
	fates_check(&runner->fates, runner->progress.position);
	assert(step != STEP_WAIT || runner->wait.why);
	assert(runner->requests.next <= runner->requests.count);
	assert(runner->requests.count == 0 || runner->requests.list);
	assert(runner->next.attempts >= 0 && runner->infra.commit_tries >= 0);
}

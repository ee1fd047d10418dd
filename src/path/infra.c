/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on databases: feed reads, checkpoint and dead-letter writes, ownership. One is under
 * way at a time.
 *
 * Happy path: infra_begin lets it through, it succeeds, infra_end forgets earlier failures.
 * Failure modes: transient, or a full disk: recorded, tried again after a growing delay without
 * end, or as often as max_infrastructure_retries says, with new sessions when the connection is
 * gone. Too often in a row: the breaker opens and nothing is tried for a while; the state stays.
 * Permanent or exhausted: the run ends in ERROR. Fenced: somebody else owns the subscription; never
 * tried again.
 */
#include "path/infra.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "path/gate.h"
#include "path/report.h"
#include "path/runner.h"
#include "path/session.h"
#include "path/transaction.h"
#include "sys/log.h"

enum step infra_admit(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (runner->now.ns < runner->infra.try_at.ns)
		return runner_wait(subscription, runner->infra.try_at,
				   "the database is tried again");

	struct mono_time ready_at;
	return gate_admit(subscription, GATE_INFRA, &ready_at)
		       ? STEP_ON
		       : runner_wait(subscription, ready_at,
				     "the breaker of the databases is open");
}

/* Without a connection nothing is admitted, so that nobody's probe waits for one. */
enum step infra_begin(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (runner->now.ns >= runner->infra.try_at.ns && !session_enter(subscription))
		return runner_wait(subscription, mono_add(runner->now, NS_PER_SECOND),
				   "a connection to the database");
	return infra_admit(subscription);
}

void infra_close(struct tide_subscription *subscription)
{
	session_close(subscription);
	/* else the next save finds out what became of the transaction */
	if (!subscription->runner.save.is_unknown)
		transaction_forget(subscription);
}

/* A database is available as far as the runner knows, when nothing on it is being tried again. */
static void infra_note_answers_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct runner *runner = &subscription->runner;
	const int32_t *tries = runner->infra.tries;
	bool is_waiting[DATABASES] = { [DATABASE_FEED] = tries[RETRY_READ] > 0,
				       [DATABASE_CHECKPOINTS] = tries[RETRY_CHECKPOINT] > 0 ||
								tries[RETRY_DLQ] > 0 ||
								tries[RETRY_OWNERSHIP] > 0 };
	for (int i = 0; i < DATABASES; i++)
		if (!is_waiting[i])
			availability_note(&subscription->stores[i], TIDE_OK, NULL, runner->now);
}

static void infra_succeeded(struct tide_subscription *subscription, enum retry_operation operation)
{
	struct runner *runner = &subscription->runner;
	/* What reads the events of a lost transaction again, or begins another, does not show that
	 * it can be committed. */
	bool is_outstanding = runner->infra.commit_tries > 0;
	if (!is_outstanding)
		runner->infra.tries[operation] = 0;
	mutex_lock(&subscription->lock);
	struct gate_move move = is_outstanding ? gate_pass_locked(subscription, GATE_INFRA)
					       : gate_success_locked(subscription, GATE_INFRA);
	infra_note_answers_locked(subscription);
	retry_count(&subscription->retries[operation], NULL, -1);
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
}

bool infra_may_retry(const struct tide_subscription *subscription, enum retry_operation operation,
		     const struct tide_error *error)
{
	int32_t limit = subscription->config.max_infrastructure_retries;
	struct tide_classification class =
		errors_classify(&subscription->engine->errors, error->status, error->message);
	bool will_pass = class.retryable || error->status == TIDE_DISK_FULL;
	bool is_allowed = limit < 0 || subscription->runner.infra.tries[operation] < limit;
	return will_pass && is_allowed && error->status != TIDE_FENCED;
}

/* The database that an operation failed on: whose session could not be opened, or has a write that
 * is not answered, else the one the operation is for. */
static enum database infra_database(const struct tide_subscription *subscription,
				    enum retry_operation operation)
{
	const struct runner *runner = &subscription->runner;
	assert(operation != RETRY_HANDLER);
	if (!runner->sessions.database || session_is_unanswered(subscription))
		return DATABASE_CHECKPOINTS;
	return operation == RETRY_READ || !runner->sessions.feed ? DATABASE_FEED
								 : DATABASE_CHECKPOINTS;
}

/* Count a failed try and decide about the next one; returns its delay, negative when there is
 * none. */
static int64_t infra_failed(struct tide_subscription *subscription, enum retry_operation operation,
			    const struct tide_error *error)
{
	struct runner *runner = &subscription->runner;
	bool is_last = !infra_may_retry(subscription, operation, error);
	enum database database = infra_database(subscription, operation);
	int64_t delay = is_last ? -1
				: retry_delay(&subscription->retry, runner->infra.tries[operation],
					      &runner->random);
	mutex_lock(&subscription->lock);
	retry_count(&subscription->retries[operation], error, delay);
	availability_note(&subscription->stores[database], error->status, error, runner->now);
	subscription->try_at.unix_us =
		runner_wall(subscription).unix_us + (is_last ? 0 : delay / 1000);
	struct gate_move move =
		gate_failure_locked(subscription, GATE_INFRA, runner_wall(subscription));
	mutex_unlock(&subscription->lock);
	gate_tell(subscription, move);
	return delay;
}

/* A message that leaves no room for it is cut. */
static void infra_say_attempts(struct tide_error *err, int32_t attempts)
{
	assert(attempts > 1);
	char suffix[40];
	size_t size = (size_t)snprintf(suffix, sizeof suffix, " (after %d attempts)", attempts);
	size_t end = utf8_cut(err->message, strlen(err->message), sizeof err->message - 1 - size);
	memcpy(err->message + end, suffix, size + 1);
}

enum step infra_end(struct tide_subscription *subscription, enum retry_operation operation,
		    tide_status status, struct tide_error *err)
{
	assert(operation < RETRY_OPERATIONS);
	struct runner *runner = &subscription->runner;
	runner_look_at_clock(subscription);
	if (status == TIDE_OK) {
		infra_succeeded(subscription, operation);
		session_rest(subscription);
		return STEP_ON;
	}

	int32_t *tries = &runner->infra.tries[operation];
	int64_t delay = infra_failed(subscription, operation, err);
	report_failure(subscription, err,
		       &(struct report_context){ .retry_count = *tries, .is_retried = delay >= 0 });
	if (err->retry == TIDE_RETRY_REOPEN)
		infra_close(subscription);
	*tries += *tries < INT32_MAX;
	if (delay < 0) {
		if (status != TIDE_FENCED && status != TIDE_DIVERGED && *tries > 1)
			infra_say_attempts(err, *tries);
		return runner_give_up(subscription, err);
	}

	log_at(TIDE_LOG_WARNING, "subscription", "trying again",
	       "name='%s' operation=%s attempt=%d delay_seconds=%.3f", subscription->name,
	       retry_operation_name(operation), *tries + 1, seconds_of_ns(delay));
	runner->infra.try_at = mono_add(runner->now, delay);
	return runner_wait(subscription, runner->infra.try_at, "the database is tried again");
}

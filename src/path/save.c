/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving progress: by itself, or as the last statement of the delivery transaction, so that the
 * read model and the position commit together.
 *
 * Happy path: the strategy asks for a save, the row is written with the ownership as its fence, the
 * transaction commits.
 * Failure modes: a write fails: tried again, the events stay settled in memory. A commit fails:
 * nothing of the transaction was settled; progress, counts and feed return to the last commit, and
 * its events are delivered again, one per transaction when the failure was permanent. The
 * connection is lost on the way: on a new one the stored position tells whether the write was made,
 * so that it never counts twice. Its answer does not come in time, as without a synchronous
 * standby: it is waited for again and again, then the stored position tells. It was to be made
 * together with those of others, and was not: it is made alone, at once. The row is not the one
 * that was read or written last: lower, commits of the database were lost, and the run begins again
 * from it; higher or gone, `diverged`.
 *
 *	expected ──save──▶ as attempted                      outcome unknown: attempted? made. expected? write again.
 *	    └─ another row ─▶ lower: begin again from it ┆ higher, gone: diverged
 */
#include "path/save.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "path/fate.h"
#include "path/gate.h"
#include "path/infra.h"
#include "path/port.h"
#include "path/report.h"
#include "path/requests.h"
#include "path/runner.h"
#include "path/session.h"
#include "path/settle.h"
#include "path/start.h"
#include "path/transaction.h"
#include "sys/log.h"

static void save_count(struct tide_subscription *subscription, struct mono_time since)
{
	int64_t took = mono_since(clock_mono(subscription->engine->clock), since);
	mutex_lock(&subscription->lock);
	subscription->metrics.checkpoints_saved++;
	histogram_add(&subscription->metrics.checkpoint_seconds, took, 1);
	mutex_unlock(&subscription->lock);
	log_at(TIDE_LOG_DEBUG, "checkpoint", "saved", "name='%s' position=%lld seconds=%.6f",
	       subscription->name, (long long)subscription->runner.progress.position,
	       seconds_of_ns(took));
}

static void save_done(struct tide_subscription *subscription, struct mono_time since)
{
	struct runner *runner = &subscription->runner;
	if (runner->progress.is_dirty) {
		save_count(subscription, since);
		progress_saved(&runner->progress, runner->now);
	} else { /* a transaction was committed that moved nothing: the row is as it was */
		runner->progress.saved_at = runner->now;
	}

	transaction_leave(subscription);
	runner->save.is_due = runner->save.is_unknown = false;
	runner->save.company = SAVE_ANYHOW;
	runner->infra.commit_tries = 0;
	memset(runner->infra.tries, 0, sizeof runner->infra.tries); /* it goes on */
	fates_commit(&runner->fates, runner->progress.position);
	if (runner->progress.position >= runner->apart.commits_until)
		runner->apart.commits_until = 0;
}

/* The row, as it stands under our ownership. */
static tide_status save_read(struct tide_subscription *subscription, void *session,
			     struct tide_checkpoint *ret, struct tide_checkpoint_known *ret_known,
			     struct tide_error *err)
{
	const struct tide_store *database = subscription->engine->checkpoints->database;
	tide_status status =
		port_lease_renew(database, session, transaction_fence(subscription), err);
	if (status != TIDE_OK)
		return status;
	*ret = (struct tide_checkpoint){ 0 };
	*ret_known = (struct tide_checkpoint_known){ 0 };
	status = port_load(database, session, subscription->name, ret, err);
	if (status == TIDE_OK)
		*ret_known = checkpoint_known(ret);
	return status == TIDE_NOT_FOUND ? TIDE_OK : status;
}

static tide_status save_look(struct tide_subscription *subscription, void *session,
			     struct tide_checkpoint_known *ret, struct tide_error *err)
{
	struct tide_checkpoint row;
	return save_read(subscription, session, &row, ret, err);
}

/* Whether the row is what an attempt would have stored. One that moved nothing shows in the count
 * alone. */
static bool save_was_made(const struct progress *attempted, const struct tide_checkpoint_known *row)
{
	const struct tide_checkpoint_known *before = &attempted->stored;
	bool is_news = !before->has_position || attempted->position != before->position;
	if (!row->has_position || row->position != attempted->position)
		return false;
	return is_news || (attempted->unsaved > 0 &&
			   row->events_processed >= before->events_processed + attempted->unsaved);
}

/* The row as progress has it; it borrows from the progress. */
static struct tide_checkpoint_write save_row(const struct tide_subscription *subscription,
					     struct tide_time now)
{
	const struct progress *progress = &subscription->runner.progress;
	bool has_event = !tide_uuid_is_nil(&progress->last_event_id);
	return (struct tide_checkpoint_write){
		.name = subscription->name,
		.has_position = true,
		.progress = { progress->position, has_event ? &progress->last_event_id : NULL,
			      has_event ? progress->last_event_type : NULL, progress->unsaved },
		.now = now,
		.expected = &progress->stored,
		.anchor = progress->anchor,
		.discarded = progress->discarded,
		.may_combine = subscription->runner.save.company == SAVE_COMBINED,
	};
}

static tide_status save_write(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	assert(runner->progress.is_dirty || transaction_is_open(&runner->transaction));
	struct tide_checkpoint_write write = save_row(subscription, runner_wall(subscription));
	tide_status status = transaction_inspect(subscription, err);
	if (status == TIDE_OK && runner->progress.is_dirty)
		status = session_save(subscription, &write, err);
	if (status == TIDE_OK && transaction_is_open(&runner->transaction))
		status = session_commit(subscription, err);
	return status;
}

static void save_count_failure(struct tide_subscription *subscription)
{
	mutex_lock(&subscription->lock);
	subscription->metrics.checkpoint_failures++;
	mutex_unlock(&subscription->lock);
}

/* The runner is inside its handler and waits before it goes on: its progress stands still. */
bool save_from_outside(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	assert(subscription->stop.is_frozen && !transaction_is_open(&runner->transaction));
	struct tide_store *database = subscription->engine->checkpoints->database;
	void *session;
	if (!runner->progress.is_dirty || store_borrow(database, &session, NULL) != TIDE_OK)
		return false;

	struct mono_time since = clock_mono(subscription->engine->clock);
	struct tide_checkpoint_write write =
		save_row(subscription, clock_wall(subscription->engine->clock));
	tide_status status = TIDE_OK;
	bool was_made = false;
	struct tide_checkpoint_known row;
	if (runner->save.is_unknown) /* by the last one from here: nothing has moved since */
		status = save_look(subscription, session, &row, NULL);
	if (runner->save.is_unknown && status == TIDE_OK)
		was_made = save_was_made(&runner->save.attempted, &row);
	if (status == TIDE_OK && !was_made)
		status =
			port_save(database, session, transaction_fence(subscription), &write, NULL);
	store_return(database, session, status);
	if (status == TIDE_CONNECTION_LOST || status == TIDE_TIMEOUT) {
		runner->save.is_unknown = true; /* the next save finds out */
		runner->save.attempted = runner->progress;
	}

	if (status == TIDE_OK) {
		runner->save.is_unknown = false;
		save_count(subscription, since);
		progress_saved(&runner->progress, clock_mono(subscription->engine->clock));
	} else {
		save_count_failure(subscription);
	}
	return status == TIDE_OK;
}

void save_void_memory(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	feed_start(&runner->feed, runner->progress.position, runner->now);
	fates_forget(&runner->fates); /* attempts end with their run */
	requests_forget(&runner->requests);
	if (runner->start.standing == STANDING_RESOLVED)
		runner->start.standing = STANDING_LEFT;
	runner->save.is_due = runner->save.is_unknown = false;
	runner->next.attempts = runner->infra.commit_tries = 0;
	runner->apart.calls_until = runner->apart.commits_until = 0;
}

/* The run's memory is void: it begins again from the row. */
static void save_begin_again(struct tide_subscription *subscription,
			     const struct tide_checkpoint_known *row, const char *why)
{
	struct runner *runner = &subscription->runner;
	log_at(TIDE_LOG_WARNING, "checkpoint", why, "name='%s' stored=%lld known=%lld",
	       subscription->name, (long long)(row->has_position ? row->position : 0),
	       (long long)runner->progress.stored.position);
	runner->progress.is_dirty = false;
	runner->progress.unsaved = runner->progress.discarded = 0;
	start_go_by_row(&runner->start);
	save_void_memory(subscription);
	settle_flow(subscription);
	mutex_lock(&subscription->lock);
	subscription->position = row->has_position ? row->position : 0;
	mutex_unlock(&subscription->lock);
}

static tide_status save_diverged(const struct tide_subscription *subscription,
				 const struct tide_checkpoint_known *row, struct tide_error *err)
{
	char found[32] = "gone", known[32] = "no position";
	const struct tide_checkpoint_known *stored = &subscription->runner.progress.stored;
	if (row->has_row)
		snprintf(found, sizeof found, "at %lld", (long long)row->position);

	if (stored->has_position)
		snprintf(known, sizeof known, "%lld", (long long)stored->position);
	return tide_fail(err, TIDE_DIVERGED,
			 "the checkpoint of '%s' is %s, its owner left it at %s, and nobody else "
			 "may move it; "
			 "a restart goes by the row, 'tide checkpoints rewind' moves it, 'tide "
			 "project FILE --reset' "
			 "makes the read model anew",
			 subscription->name, found, known);
}

/*
 * The row is not the one that was read or written last, and no transaction is open. Higher or gone:
 * somebody wrote past the ownership. Lower, or what an attempt stored that was taken for lost:
 * begin again from it.
 */
static tide_status save_judge(struct tide_subscription *subscription,
			      const struct tide_checkpoint_known *row, struct tide_error *err)
{
	const struct runner *runner = &subscription->runner;
	const struct progress *attempted = &runner->save.attempted;
	bool is_of_ours = row_compare(&attempted->stored, &runner->progress.stored) == ROW_SAME &&
			  row_compare(&runner->progress.stored, &attempted->stored) == ROW_SAME;
	if (attempted->is_dirty && is_of_ours && save_was_made(attempted, row)) {
		save_begin_again(subscription, row, "a save was made after all, going on from it");
		return TIDE_OK;
	}

	switch (row_compare(&runner->progress.stored, row)) {
	case ROW_SAME:
		return tide_fail(err, TIDE_BUSY,
				 "the checkpoint of '%s' changed while it was saved",
				 subscription->name);
	case ROW_LOWER:
		save_begin_again(subscription, row,
				 "the checkpoint went back, beginning again from it");
		return TIDE_OK;
	case ROW_OTHER:
		break;
	}
	return save_diverged(subscription, row, err);
}

void save_begin_again_from(struct tide_subscription *subscription,
			   const struct tide_checkpoint *row, const char *why)
{
	struct tide_checkpoint_known known = checkpoint_known(row);
	transaction_roll_back(subscription);
	save_begin_again(subscription, &known, why);
}

tide_status save_look_at_row(struct tide_subscription *subscription, struct tide_checkpoint *ret,
			     bool *ret_resolved, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct tide_checkpoint_known known;
	tide_status status = save_read(subscription, runner->sessions.database, ret, &known, err);
	if (status == TIDE_OK && row_compare(&runner->progress.stored, &known) != ROW_SAME) {
		transaction_roll_back(subscription);
		status = save_judge(subscription, &known, err);
	}
	*ret_resolved = runner->start.standing == STANDING_RESOLVED;
	return status;
}

/* A save met another row than it expected: nothing was written. */
static tide_status save_refused(struct tide_subscription *subscription, struct tide_error *err)
{
	struct tide_checkpoint_known row;
	transaction_roll_back(subscription);
	struct tide_error why = *err;
	tide_status status =
		save_look(subscription, subscription->runner.sessions.database, &row, err);
	if (status != TIDE_OK ||
	    row_compare(&subscription->runner.progress.stored, &row) != ROW_SAME)
		return status == TIDE_OK ? save_judge(subscription, &row, err) : status;
	*err = why; /* not the row has diverged, but the database */
	return why.status;
}

/* Whether a write that failed may have been made all the same: its connection is lost, or its
 * answer has not come. */
static bool save_is_unknown(const struct tide_subscription *subscription,
			    const struct tide_error *error)
{
	bool is_combined = subscription->runner.save.company == SAVE_COMBINED;
	bool may_be_late =
		error->status == TIDE_TIMEOUT || (is_combined && error->status == TIDE_BUSY);
	return error->status == TIDE_CONNECTION_LOST ||
	       (may_be_late && session_is_unanswered(subscription));
}

/* A write ended badly. Without a transaction the events stay settled; with one, they are not. */
static void save_failed(struct tide_subscription *subscription, const struct tide_error *error)
{
	struct runner *runner = &subscription->runner;
	struct progress attempted = runner->progress;
	if (save_is_unknown(subscription, error)) {
		runner->save.is_unknown = true;
		runner->save.attempted = attempted;
		return;
	}

	if (!transaction_is_open(&runner->transaction))
		return;
	bool was_one_event = runner->apart.commits_until > 0;
	transaction_roll_back(subscription);
	if (error->retry != TIDE_RETRY_NEVER || error->status == TIDE_FENCED)
		return;
	if (was_one_event && error->status != TIDE_HANDLER_PERMANENT)
		fates_doom(&runner->fates, attempted.position, error);

	/* one event more where nothing was settled before the commit */
	runner->apart.commits_until = attempted.position > 0 ? attempted.position : 1;
}

/* It was made, and its answer lost. */
static void save_adopt(struct tide_subscription *subscription, bool *ret_done)
{
	struct runner *runner = &subscription->runner;
	const struct progress *attempted = &runner->save.attempted;
	assert(runner->progress.position >= attempted->position);
	assert(runner->progress.unsaved >= attempted->unsaved);
	*ret_done = runner->progress.position == attempted->position;
	if (*ret_done) {
		save_done(subscription, runner->now);
		return;
	}

	/* a handler was in hand meanwhile: only the rest is unsaved */
	runner->progress.unsaved -= attempted->unsaved;
	runner->progress.discarded -= attempted->discarded;
	runner->progress.stored =
		(struct tide_checkpoint_known){ true, true, attempted->position,
						attempted->stored.events_processed +
							attempted->unsaved };
}

/* After a lost connection, or once a late answer has come: either it was saved after all, or it is
 * lost, and with it the transaction for good. */
static tide_status save_resolve(struct tide_subscription *subscription, bool *ret_done,
				struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct tide_checkpoint_known row;
	*ret_done = false;
	tide_status status = save_look(subscription, runner->sessions.database, &row, err);
	if (status != TIDE_OK)
		return status;

	runner->save.is_unknown = false;
	if (save_was_made(&runner->save.attempted, &row)) {
		save_adopt(subscription, ret_done);
		return TIDE_OK;
	}

	*ret_done = transaction_is_open(&runner->transaction);
	transaction_forget(subscription);
	if (row_compare(&runner->progress.stored, &row) == ROW_SAME)
		return TIDE_OK;

	*ret_done = true;
	return save_judge(subscription, &row, err);
}

static tide_status save_try(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	struct mono_time since = runner->now;
	bool is_done = false;
	atomic_store(&subscription->call, RUNNER_CALLS_SAVE);
	tide_status status = session_open(subscription, err);
	if (status == TIDE_OK && runner->save.is_unknown)
		status = save_resolve(subscription, &is_done, err);
	if (status == TIDE_OK && !is_done) {
		struct tide_error why;
		status = save_write(subscription, &why);
		if (status == TIDE_OK)
			save_done(subscription, since);
		else if (status == TIDE_DIVERGED)
			status = save_refused(subscription, &why);
		else
			save_failed(subscription, &why);
		if (status != TIDE_OK && err)
			*err = why;
	}

	atomic_store(&subscription->call, RUNNER_CALLS_QUERY);
	if (status != TIDE_OK && !(status == TIDE_BUSY && runner->save.company == SAVE_COMBINED))
		save_count_failure(subscription);
	return status;
}

/* By its own connection, committing the delivery transaction if one is open. */
static enum step save_alone(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum step step = infra_begin(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	bool was_in_transaction = transaction_is_open(&runner->transaction),
	     was_single = runner->apart.commits_until > 0;
	tide_status status = save_try(subscription, &err);

	/* found by the handler itself: no event is to blame */
	if (status == TIDE_HANDLER_PERMANENT && was_single)
		return report_end(subscription, &err);

	bool is_final = fates_has_refused(&runner->fates);
	if (status != TIDE_OK && was_in_transaction && !transaction_is_open(&runner->transaction) &&
	    err.retry == TIDE_RETRY_NEVER && status != TIDE_FENCED && status != TIDE_DIVERGED &&
	    !is_final) {
		/* The run goes on: the events are delivered again, one per transaction. */
		report_failure(subscription, &err, &(struct report_context){ .is_retried = true });
		runner->infra.commit_tries = 0;
		return infra_end(subscription, RETRY_CHECKPOINT, TIDE_OK, &err);
	}

	step = infra_end(subscription, RETRY_CHECKPOINT, status, &err);
	if (step == STEP_WAIT && was_in_transaction)
		runner->infra.commit_tries = runner->infra.tries[RETRY_CHECKPOINT];
	return step;
}

/* Whether it may be one of several that are written together, by the connection of one of them. */
static bool save_can_combine(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	return !transaction_is_open(&runner->transaction) && !runner->save.is_unknown &&
	       runner->save.company == SAVE_ANYHOW && runner->progress.stored.has_row &&
	       runner->progress.discarded == 0 && runner->infra.tries[RETRY_CHECKPOINT] == 0 &&
	       session_combines(subscription);
}

/* Whoever was to make it tells why it did not. */
static enum step save_combined(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	enum step step = infra_admit(subscription);
	if (step != STEP_ON)
		return step;

	struct tide_error err;
	runner->save.company = SAVE_COMBINED;
	tide_status status = save_try(subscription, &err);
	runner->save.company = status == TIDE_BUSY ? SAVE_APART : SAVE_ANYHOW;
	if (status != TIDE_BUSY)
		return infra_end(subscription, RETRY_CHECKPOINT, status, &err);

	runner->save.attempted = runner->progress; /* made after all, it is known again */
	gate_cancel(subscription, GATE_INFRA);
	runner_look_at_clock(subscription);
	return save_alone(subscription);
}

enum step save_step(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	if (!runner->progress.is_dirty && !transaction_is_open(&runner->transaction)) {
		runner->save.is_due = false;
		return STEP_ON;
	}

	runner->save.is_due = true; /* until it is made, nothing else happens */
	return save_can_combine(subscription) ? save_combined(subscription)
					      : save_alone(subscription);
}

/* One attempt, whatever the breaker says, and none of its business. */
static tide_status save_try_aside(struct tide_subscription *subscription, struct tide_error *err)
{
	tide_status status = save_try(subscription, err);
	mutex_lock(&subscription->lock);
	retry_count(&subscription->retries[RETRY_CHECKPOINT], status == TIDE_OK ? NULL : err, -1);
	mutex_unlock(&subscription->lock);
	return status;
}

enum step save_before_wait(struct tide_subscription *subscription)
{
	struct runner *runner = &subscription->runner;
	struct tide_error err;
	if (!transaction_is_open(&runner->transaction) || runner->save.is_unknown)
		return STEP_WAIT;

	/* nothing is settled in it: it is given back, and the feed goes on */
	if (!runner->progress.is_dirty) {
		session_rollback(subscription);
		transaction_leave(subscription);
		return STEP_WAIT;
	}

	bool was_single = runner->apart.commits_until > 0;
	tide_status status = save_try_aside(subscription, &err);
	if (status == TIDE_OK && runner->start.standing != STANDING_RESOLVED)
		return runner_wait(subscription, runner->now,
				   "the start position is resolved again");
	if (status == TIDE_OK)
		return STEP_WAIT;
	if (status == TIDE_FENCED || status == TIDE_DIVERGED ||
	    (status == TIDE_HANDLER_PERMANENT && was_single))
		return report_end(subscription, &err);
	report_failure(subscription, &err, &(struct report_context){ .is_retried = true });

	/* what became of it is found out before anything else */
	runner->save.is_due = runner->save.is_unknown;
	if (err.retry == TIDE_RETRY_REOPEN)
		infra_close(subscription);
	return STEP_WAIT;
}

tide_status save_once(struct tide_subscription *subscription, struct tide_error *err)
{
	struct runner *runner = &subscription->runner;
	if (!ownership_exists(&subscription->ownership) ||
	    (!runner->progress.is_dirty && !transaction_is_open(&runner->transaction)))
		return TIDE_OK;
	bool was_dirty = runner->progress.is_dirty;
	tide_status status = save_try_aside(subscription, err);
	if (status == TIDE_OK && runner->start.standing == STANDING_RESOLVED) {
		mutex_lock(&subscription->lock);
		subscription->stop.was_saved = was_dirty;
		mutex_unlock(&subscription->lock);
	}
	return status;
}

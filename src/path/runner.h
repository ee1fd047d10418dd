/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_RUNNER_H
#define TIDE_PATH_RUNNER_H

/*
 * Moving a subscription: runner_step does what is due, never sleeps, and says when it wants to be
 * called next. Its parts, a file each, share the types below; all of them run in the one thread
 * that steps the subscription.
 */

#include <assert.h>

#include "path/gate.h"
#include "path/session.h"
#include "path/subscription.h"

/** What a part of a step came to. */
enum step {
	STEP_ON,   /* something was done: go on at once */
	STEP_WAIT, /* nothing to do before runner.wait_at, or a ring */
	STEP_FAIL, /* the run has to end for runner.cause; only runner_advance ends it */
	STEP_END   /* the run is over */
};

/** Take a step at `now`; returns when to call again, MONO_NEVER when the run is over. */
struct mono_time runner_step(struct tide_subscription *subscription, struct mono_time now);
/** What has to hold after each part of a step (check.c). */
void check_run(const struct tide_subscription *subscription, enum step step);
/** Whether a run is under way. */
bool runner_is_running(struct tide_subscription *subscription);
/** Step until the run is over: the body of the subscription's thread. */
void runner_thread(void *subscription);
/** When that thread ended otherwise: a handler ended it. The run ends in ERROR. */
void runner_thread_died(void *subscription);

/** `why`: what is waited for, static text. */
static inline enum step runner_wait(struct tide_subscription *subscription, struct mono_time until,
				    const char *why)
{
	assert(why);
	subscription->runner.wait_at = until;
	subscription->runner.wait_why = why;
	return STEP_WAIT;
}

/** The run cannot go on: a part returns this, and what is above it hands it up. */
static inline enum step runner_give_up(struct tide_subscription *subscription,
				       const struct tide_error *cause)
{
	assert(cause->status != TIDE_OK);
	subscription->runner.cause = *cause;
	return STEP_FAIL;
}

/** After what may have taken long, so that its time is not the next handler's. */
static inline void runner_look_at_clock(struct tide_subscription *subscription)
{
	subscription->runner.now = clock_mono(subscription->engine->clock);
}

/** The wall time of runner.now, from one look at the clock per step. */
static inline struct tide_time runner_wall(const struct tide_subscription *subscription)
{
	const struct runner *runner = &subscription->runner;
	return (struct tide_time){ runner->step_wall.unix_us +
				   mono_since(runner->now, runner->step_mono) / 1000 };
}

/** Move to another state, log it. A move that the table forbids is ignored: somebody else moved
 * first. */
bool subscription_move(struct tide_subscription *subscription, enum tide_state to, const char *why);
/** The same, unless somebody moved it away from `from` first: a pause that came meanwhile
 * stands. */
bool subscription_move_from(struct tide_subscription *subscription, enum tide_state from,
			    enum tide_state to, const char *why);

/* ---- infra.c: operations on databases, tried again behind the infrastructure breaker --------- */

/** May the operation be tried now? STEP_WAIT: not yet. Every STEP_ON is followed by infra_end. */
enum step infra_begin(struct tide_subscription *subscription);
/** Judge how it ended: STEP_ON when it succeeded, STEP_WAIT until the next try, STEP_FAIL when
 * there is none. */
enum step infra_end(struct tide_subscription *subscription, enum retry_operation operation,
		    tide_status status, struct tide_error *err);
/** Whether an operation on a database that failed so is tried once more: what passes, and a full
 * disk, ends no run. */
bool infra_may_retry(const struct tide_subscription *subscription, enum retry_operation operation,
		     const struct tide_error *error);
/** Open what is not open: the sessions, and the transactional handler's own preparations. */
tide_status session_open(struct tide_subscription *subscription, struct tide_error *err);
/** Have the subscriber make its tables, once on each connection; for the owner, with no transaction
 * open. */
tide_status session_prepare(struct tide_subscription *subscription, struct tide_error *err);
void infra_close(struct tide_subscription *subscription);
void session_close(struct tide_subscription *subscription);
/** Whether a write of the run's session was not answered in time, and nothing was asked of it
 * since: what became of it is unknown. */
bool session_is_unanswered(const struct tide_subscription *subscription);
/** Keep the number of what it writes through, for who asks what that waits for. */
void session_note_number(struct tide_subscription *subscription);

/* ---- start.c --------------------------------------------------------------------------------- */

/** STARTING: own the subscription, resolve where it begins, enter CATCHING_UP or LIVE. */
enum step start_step(struct tide_subscription *subscription);
/** In a run whose memory is void: resolve anew where it stands. */
enum step start_again(struct tide_subscription *subscription);
/** Whether a connection was made anew since it was looked last; and to look: at the row, and what
 * it stands on. */
bool start_must_look(const struct tide_subscription *subscription);
enum step start_look(struct tide_subscription *subscription);
/** Before a run ends with nothing to save: TIDE_OK also when the row went back, and the position
 * with it. */
tide_status start_look_last(struct tide_subscription *subscription, struct tide_error *err);

/** From here on the stored checkpoint decides where it stands, when it is resolved again. */
void start_go_by_row(struct runner *runner);

/** Keep a note beside the lease that is owned, if that can be done; nothing depends on it. */
void start_note(struct tide_subscription *subscription, const struct tide_lease_note *note);

/* ---- save.c ---------------------------------------------------------------------------------- */

/** Save progress, committing the delivery transaction if one is open. */
enum step save_step(struct tide_subscription *subscription);
/** Somebody has to wait: commit what is settled, so that no transaction is open meanwhile. Returns
 * STEP_WAIT as before, or STEP_FAIL. */
enum step save_before_wait(struct tide_subscription *subscription);
/** Save once, for a run that ends: TIDE_OK also when nothing was to save. */
tide_status save_once(struct tide_subscription *subscription, struct tide_error *err);
/** Have the handler look at what the open delivery transaction has done, before Tidemark writes to
 * it. */
tide_status transaction_inspect(struct tide_subscription *subscription, struct tide_error *err);
tide_status transaction_begin(struct tide_subscription *subscription, struct tide_error *err);
/** It is committed, or given back with nothing in it. */
void transaction_leave(struct tide_subscription *subscription);
/** Give the transaction up: progress and counts return to the last commit, and the feed with
 * them. */
void transaction_roll_back(struct tide_subscription *subscription);
/** The same when the transaction is gone with its connection. */
void transaction_forget(struct tide_subscription *subscription);
/** Save the settled prefix of a frozen subscription from another thread; whether it was written. */
bool save_from_outside(struct tide_subscription *subscription);
/** What was kept of events in hand or behind goes: they come again. */
void save_void_memory(struct tide_subscription *subscription);
/** Read the row under our ownership and compare it with what is known; `*ret_resolved` false: the
 * run begins again from it. */
tide_status save_look_at_row(struct tide_subscription *subscription, struct tide_checkpoint *ret,
			     bool *ret_resolved, struct tide_error *err);
/** The memory of the run is void: it begins again from the row, with a warning. */
void save_begin_again_from(struct tide_subscription *subscription,
			   const struct tide_checkpoint *row, const char *why);
/** A row as one that is known. */
struct tide_checkpoint_known checkpoint_known(const struct tide_checkpoint *row);
/** The fence of this subscription's writes. */
const struct tide_fence *transaction_fence(const struct tide_subscription *subscription);

/* ---- handler.c: one delivery ----------------------------------------------------------------- */

/** Deliver the event, or the batch, that comes next; or see that it has to wait. */
enum step handler_step(struct tide_subscription *subscription);

/** What has become of what a handler wrote to the delivery transaction. */
enum delivery_writes {
	WRITES_NONE,  /* it is in hand still, has none, or it was undone */
	WRITES_KEPT,  /* there for good: no stop abandons the call any more */
	WRITES_ENDED, /* with the transaction, which only the runner may end */
	WRITES_LOST,  /* with the connection, or the savepoint */
};

/** A handler call in progress, or its result. */
struct tide_delivery {
	struct tide_subscription *subscription;
	int32_t attempt;
	tide_position position;
	struct mono_time since;
	int64_t took; /* ns; -1: was not called */
	void *connection;
	bool has_message;
	char message[sizeof((struct tide_error *)0)->message];
	char *stacktrace;
	bool is_stop; /* its failure is not the event's, and ends the run */
	size_t taken; /* the first events of its batch that it is about; SIZE_MAX: all of them */
	size_t begun; /* events behind them that the handler has under way */
	bool is_late; /* past processing_timeout: recorded at its deadline */
	enum delivery_writes writes;
};

/** Whether nobody knows what is in the transaction that it was made in. */
static inline bool delivery_has_spoilt(const struct tide_delivery *delivery)
{
	return delivery->writes == WRITES_ENDED || delivery->writes == WRITES_LOST;
}

/** Fill everything but the message, which is large and written only by a failure. */
void delivery_begin(struct tide_delivery *delivery, struct tide_subscription *subscription,
		    int32_t attempt, tide_position position);
/** Call the handler once; `err` is complete unless it returned TIDE_OK in time. */
tide_status attempt_call(struct tide_subscription *subscription,
			 const struct tide_event *const *events, size_t count,
			 struct tide_delivery *delivery, struct tide_error *err);
/** The whole of one attempt under a savepoint when transactional: a failed one leaves nothing
 * behind. */
tide_status attempt_make(struct tide_subscription *subscription,
			 const struct tide_event *const *events, size_t count,
			 struct tide_delivery *delivery, struct tide_error *err);

/** How many events of the call its result is about; 0: none yet, the call comes again. */
size_t delivery_taken(const struct tide_delivery *delivery, size_t count);

/**
 * Every attempt ends with this, before anything of the run is touched: it is counted, and the
 * answer is whether it counts, or a stop has given up waiting for it meanwhile.
 */
bool delivery_end(struct tide_subscription *subscription, const struct tide_delivery *delivery,
		  tide_status status);
bool delivery_end_locked(struct tide_subscription *subscription,
			 const struct tide_delivery *delivery, tide_status status)
	TIDE_REQUIRES(subscription->lock);

/* ---- settle.c: the only way the position moves ----------------------------------------------- */

enum settlement { SETTLED_HANDLED, SETTLED_DEAD_LETTERED, SETTLED_PARKED, SETTLED_DISCARDED };

/**
 * Settle the entries of a call that succeeded: the position moves over them, and the breaker
 * closes. Ends the delivery; false, and nothing is settled, when it was abandoned.
 */
bool settle_handled(struct tide_subscription *subscription, size_t count,
		    const struct tide_delivery *delivery);
/** Settle the entry that comes next in another way. */
void settle_next(struct tide_subscription *subscription, enum settlement how);
/** Publish what is in flight. */
void settle_flow(struct tide_subscription *subscription);
/** Settle what was passed over at the end of the page. */
void settle_page_end(struct tide_subscription *subscription);

/* ---- failure.c ------------------------------------------------------------------------------- */

/** An attempt at the next event (or batch) failed: schedule another, split the batch, or begin its
 * end. */
enum step failure_of_attempt(struct tide_subscription *subscription, const struct tide_event *event,
			     size_t count, const struct tide_error *error,
			     struct tide_delivery *delivery);
/** The next event is finished without another attempt: for a cause outside its handler. */
void failure_without_attempt(struct tide_subscription *subscription, tide_status status,
			     const char *message);
/** Finish the event that is at its end: dead letter, discard or ERROR. */
enum step failure_finish(struct tide_subscription *subscription);
/** Park the next event behind an unresolved one of its aggregate. */
enum step failure_park(struct tide_subscription *subscription, const char *behind);

/** What a record is about besides the error itself. */
struct report_context {
	const struct tide_event *event; /* NULL: none */
	const char *stacktrace;
	int32_t retry_count;
	bool is_retried;
	int64_t dlq_id; /* 0: not sent */
	bool is_logged; /* already */
};
/** A failure as who listens is told of it. */
struct tide_error_record report_describe(struct tide_subscription *subscription,
					 const struct tide_error *error,
					 const struct report_context *context);
/** Classify, log, count and tell one failure. */
void report_failure(struct tide_subscription *subscription, const struct tide_error *error,
		    const struct report_context *context);
/** The watchdog's: report a handler past its time, once per call. */
void report_late(struct tide_subscription *subscription, struct mono_time now);

/* ---- redeliver.c ----------------------------------------------------------------------------- */

/** Deliver one requested dead letter again, if there is one; STEP_WAIT is never returned for
 * "none". */
enum step redeliver_step(struct tide_subscription *subscription);
/** Look anew at the next step. */
void requests_forget(struct runner *runner);
int requests_compare(const void *a, const void *b);
/** Keep what is needed of a page of requests. TIDE_OUT_OF_MEMORY. */
tide_status requests_note(struct runner *runner, const struct tide_dead_letter_list *page,
			  struct tide_error *err);

/* ---- parked.c (and parked_release) ----------------------------------------------------------- */

#define PARKED_MESSAGE_SIZE 256

/** The message of a parked entry, for people alone. */
void parked_say(const char *behind, char ret[PARKED_MESSAGE_SIZE]);
/** Find out again which aggregates are held, and make due what is parked behind nothing any
 * more. */
tide_status parked_load(struct tide_subscription *subscription, bool *ret_released,
			struct tide_error *err);
/** A due entry failed and is the head of its aggregate now: park those that were due with it behind
 * it. */
tide_status parked_put_back(struct tide_subscription *subscription,
			    const struct tide_dead_letter *head, const struct tide_event *event,
			    struct tide_error *err);

#endif

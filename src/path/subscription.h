/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SUBSCRIPTION_H
#define TIDE_PATH_SUBSCRIPTION_H

/*
 * A subscription: what was configured, what everybody may see (under its lock), and the runner that
 * moves it.
 */

#include <tidemark/control.h>

#include "path/checkpoint.h"
#include "path/checkpoints.h"
#include "path/fate.h"
#include "path/feed.h"
#include "path/metrics.h"
#include "path/probe.h"
#include "policy/availability.h"
#include "policy/breaker.h"
#include "policy/errors.h"
#include "policy/ownership.h"
#include "policy/retry.h"
#include "policy/run.h"
#include "policy/states.h"
#include "policy/transaction.h"
#include "sys/thread.h"

struct held;
struct self_check;
struct typed;

/** What all subscriptions of one manager share. Fixed after open, but for what has its own lock. */
struct engine {
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct clock *clock;
	struct errors errors;
	struct probe probe;
	struct metrics_names event_types; /* that metrics name */
	double lease_seconds;             /* of ownerships that end by time */
	int64_t probe_ns;                 /* how long a status waits for a database */
	uint64_t seed;                    /* of jitter */
	int parts_per_step;               /* things a runner does before its step returns */
};

/** What a run has come to: restored when a delivery transaction is lost. */
struct run_counts {
	int64_t processed, failed, dead_lettered, skipped, discarded;
	int64_t evaluated; /* events looked at by the filter: matched = evaluated - skipped */
	bool has_last_processed_at;
	struct tide_time last_processed_at;
	struct tide_uuid last_event_id;
	char last_event_type[TIDE_NAME_MAX + 1];
};

/** A dead letter that somebody asked to have delivered again. */
struct redelivery {
	tide_position position;
	int64_t id;
};

/** What pauses a subscription, one bit each: events are delivered while there is none. */
enum {
	PAUSED_HERE = 1,       /* a person, by this manager, until the run ends */
	PAUSED_DURABLY = 2,    /* a person, by the database */
	PAUSED_BY_BREAKER = 4, /* never beside another: a person's takes its place */
};

/** A delivery transaction, and what the run returns to when it is lost. */
struct transaction {
	enum transaction_state state;
	struct progress before; /* as of the last commit */
	struct run_counts counts_before;
};

static inline bool transaction_is_open(const struct transaction *transaction)
{
	return transaction->state != TRANSACTION_NONE;
}

/** Whether it is known where the run stands. */
enum standing {
	STANDING_UNKNOWN,
	STANDING_LEFT, /* where the last run stopped, or this one before its memory was void */
	STANDING_RESOLVED,
};

/** What decides where a run begins. */
enum basis {
	BASIS_CONFIGURED,
	BASIS_ROW, /* the stored checkpoint: it stood by, was fenced, or its row went back */
	/* likewise, after ERROR; behind the settled prefix when nothing was ever stored */
	BASIS_RESTART,
};

/** What a subscriber was told of the session's connection. */
enum attachment { ATTACHMENT_NONE, ATTACHMENT_MADE, ATTACHMENT_PREPARED };

#define MOVES_MAX 8

/** Changes of state in their order, until somebody has told them. */
struct moves {
	struct move {
		enum tide_state from, to;
		char why[256];
	} ring[MOVES_MAX];
	size_t first, count;
};

/** The runner's own: touched by the thread that steps it and by nobody else. */
struct runner {
	struct mono_time now;       /* of this step, moved on after each handler call */
	struct mono_time step_mono; /* when the step began, on both clocks */
	struct tide_time step_wall;
	struct random random;

	struct mono_time wait_at; /* when the next step is due */
	const char *wait_why;     /* what is waited for, for the log */
	struct tide_error cause;  /* with STEP_FAIL: what the run ends for */
	struct mono_time poll_at;

	void *session; /* of the checkpoint database; also of the feed when it is the same store */
	void *feed_session;         /* of the event store */
	enum attachment attachment; /* of the subscriber to the session */
	struct notify_link link;

	struct feed feed;
	struct progress progress;
	struct transaction transaction;
	/* after a permanent commit failure: one event per transaction up to here; 0: all of a
	 * page */
	tide_position single_until;

	/* the event that comes next */
	/* the breaker was closed after the last call, and nothing has failed since */
	bool is_admitted;
	int32_t attempts; /* handler calls it has had */
	struct mono_time retry_at;
	tide_position split_until; /* a batch failed: events up to here come one by one */
	struct fates fates;
	const struct tide_event **batch; /* page_events slots, batch handlers only */

	/* infrastructure: one operation at a time is being tried */
	int32_t tries[RETRY_OPERATIONS]; /* failures in a row */
	/* those of a delivery transaction that could not be committed yet; 0: there is none */
	int32_t commit_tries;
	struct mono_time try_at;
	struct mono_time stop_at; /* when a final save that failed is tried again */
	bool is_save_due;
	bool is_save_unknown; /* a save or commit lost its connection: look whether it was made */
	struct progress attempted; /* what the last such one would have saved */

	/* starting */
	struct mono_time acquire_at; /* when a standby asks again */
	enum standing standing;
	enum basis basis;
	/* when row and anchor are looked at again; 0: a database was connected to anew */
	struct mono_time look_at;
	uint64_t losses; /* of connections when it was looked last */
	struct tide_fence fence;
	tide_position catch_up_to; /* W */

	/* an unclean end before this run: events are marked before they are handed over */
	bool is_careful;
	int64_t careful_left;
	tide_position suspect;
	int32_t suspect_deaths;

	struct mono_time redeliver_at; /* when to look for requested redeliveries */
	/* found at the last look, by position; those from `redelivery_next` are due */
	struct redelivery *redeliveries;
	size_t redelivery_count, redelivery_next;
	struct held *held;             /* aggregates with an unresolved dead letter; NULL: none */
	struct self_check *self_check; /* NULL: off */
};

/** The event that failed last, for who asks why it is not settled. */
struct failing {
	tide_position position; /* 0: none has failed */
	struct tide_uuid event_id;
	char event_type[TIDE_NAME_MAX + 1];
	int32_t attempts; /* that it has had */
	struct tide_error error;
	struct tide_time since;   /* its first failure */
	struct tide_time next_at; /* when it is tried again */
};

/** How much of its time a subscription spends in its handler, over the last seconds. */
struct pace {
	struct mono_time at;
	double handler_seconds; /* in all, until then */
	int64_t processed;
	bool is_known;
	double share, rate;     /* of the time; events a second */
	struct tide_time since; /* nearly all of it since then; while is_slow */
	bool is_slow;
};

/** What a process has told others of a subscription, beside its lease. */
struct told {
	int seen; /* enum tide_cause */
	struct mono_time seen_since;
	bool is_told;
	int cause; /* enum tide_cause, when something is told */
	struct mono_time told_at;
	struct mono_time again_at; /* when it is tried again */
};

/** What the runner's thread may hang in beside its handler, for who gives up waiting for it. */
enum runner_call {
	RUNNER_CALLS_QUERY, /* or nothing */
	RUNNER_CALLS_SAVE,
	RUNNER_CALLS_RELEASE,
	RUNNER_CALLS_BACK, /* an error callback */
};

/** How far the start of a run has come; only forward. An error is the start's own while it is where
 * somebody waits for. */
enum start_stage {
	START_RESOLVING,
	START_RESOLVED,  /* the position is known */
	START_CAUGHT_UP, /* live or paused once, or standing by */
};

struct tide_subscription {
	/* fixed after registration */
	char name[TIDE_NAME_MAX + 1];
	struct engine *engine;
	struct tide_subscriber subscriber;
	struct tide_subscription_config config;
	struct tide_filter filter;
	void *texts; /* what subscriber, config and filter name, in one block */
	struct retry_policy retry;
	struct typed *typed; /* NULL: no table of handlers; the runner's own while it runs */
	struct tide_uuid owner;
	struct tide_subscription *next; /* under the manager's lock */

	struct wakeup wakeup;
	struct thread thread;
	atomic_bool attention; /* stop, pause or resume was asked for: look under the lock */
	/* ns when the handler was called; 0: none in hand; negative: reported late */
	atomic_int_least64_t hand_since;
	atomic_int_least64_t hand_position;
	atomic_int hand_attempt;
	atomic_int_least64_t hand_events; /* of the call in hand: more than 1 in a batch */
	/* between two calls: the handler has events behind the settled ones under way */
	atomic_bool has_begun;
	atomic_int call;             /* enum runner_call */
	atomic_int_least64_t number; /* of the session that it writes through; 0: none */
	atomic_int_least64_t
		/* ns: an ownership that could not be renewed is not trusted any more; INT64_MAX:
		 * always */
		trust_until;
	/* somebody ends what the runner does in its databases: see interrupt.c */
	atomic_bool is_interrupting;
	atomic_int state_now;    /* states.state, for the runner's look at it between two events */
	_Atomic(uint64_t) steps; /* taken: a worker that lives goes on counting */

	struct mutex telling; /* held by who tells moves; the lock is taken under it */

	/* under lock */
	struct mutex lock;
	struct moves moves;
	struct cond changed;
	/* the least position that somebody waits for; INT64_MAX: nobody does */
	tide_position wake_at;
	struct states states;
	struct run run;
	/* counts the runs: a thread ends with its own, even when the next has begun */
	uint64_t run_number;
	struct tide_error error; /* the last one; TIDE_OK: none */
	struct run_counts counts;
	tide_position position;
	struct feed_flow flow;
	struct mono_time backpressured_since; /* while LIVE */
	struct tide_time started_at;
	struct mono_time started_mono, ended_mono;
	struct ownership ownership;
	struct mono_time renew_at;
	int64_t renew_ns; /* how often it is renewed */
	/* how long after a renewal handlers are called still; INT64_MAX: always */
	int64_t trust_ns;
	struct tide_fence owned;                /* what is renewed, while the ownership is held */
	void *open_session, *open_feed_session; /* the runner's, while they may be interrupted */
	/* `hand_since` of what was interrupted last; INT64_MAX: nothing in this run */
	int64_t interrupted_hand;
	struct mono_time interrupt_at; /* when it is interrupted again */
	enum start_stage start_stage;  /* stays where the run was when it ended */
	struct mono_time stop_deadline;
	bool is_frozen;       /* somebody saves the settled prefix while the handler is in hand */
	bool was_final_saved; /* the trailing save of this stop wrote something */
	bool is_pause_save_due;
	unsigned pauses;
	enum tide_pause_reason here_reason; /* of PAUSED_HERE */
	struct tide_control control;        /* of PAUSED_DURABLY */
	struct mono_time control_asked;     /* when the database was asked for it last */
	enum tide_state paused_from;
	struct tide_time paused_at;
	struct mono_time paused_mono;
	bool is_manual_probe; /* resume while the handler breaker is open: probe at once */
	struct error_log errors;
	struct failing failing;
	struct tide_time try_at; /* when a database is tried again */
	struct pace pace;
	struct told told;
	struct retry_stats retries[RETRY_OPERATIONS];
	struct breaker handler_breaker, infra_breaker;
	struct availability stores[DATABASES]; /* as the runner's own operations found them */
	int64_t redelivered_ok, redelivered_failed;
	struct metrics metrics;

	struct runner runner;
};

/** Check and copy what was given; the subscription is registered by the manager. Errors of
 * tide_manager_subscribe. */
tide_status subscription_new(struct engine *engine, const struct tide_subscriber *subscriber,
			     const struct tide_subscription_config *config,
			     struct tide_subscription **ret, struct tide_error *err);
void subscription_free(struct tide_subscription *subscription);

/** Move and announce, under the lock; whoever calls tells it when the lock is released. */
tide_status subscription_move_locked(struct tide_subscription *subscription, enum tide_state to,
				     const char *why) TIDE_REQUIRES(subscription->lock);
/** Have a move told that was made otherwise: the begin of a run. */
void subscription_note_move_locked(struct tide_subscription *subscription, enum tide_state from,
				   enum tide_state to, const char *why)
	TIDE_REQUIRES(subscription->lock);
/** Log the moves that are not told yet, whoever made them, in their order. */
void subscription_tell_moves(struct tide_subscription *subscription);

/** Move the run, and check what has to hold then. */
void subscription_run_locked(struct tide_subscription *subscription, enum run_state to)
	TIDE_REQUIRES(subscription->lock);
/** Move the ownership, and check what has to hold then. */
void subscription_own_locked(struct tide_subscription *subscription, enum ownership_state to)
	TIDE_REQUIRES(subscription->lock);
/** An ownership that is held is another's: the runner lets go of it. */
void subscription_lose_locked(struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock);

/** Why it is paused; asked only while it is. */
enum tide_pause_reason
subscription_pause_reason_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock);

/** Whether as much is in flight as is to be read ahead. */
bool subscription_is_backpressured_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock);

/** Ask for attention and ring. */
void subscription_nudge(struct tide_subscription *subscription);

/** Take the status with a feed end that is already known. */
void subscription_snapshot_locked(struct tide_subscription *subscription,
				  const struct probe_answer *answer,
				  struct tide_subscription_status *ret)
	TIDE_REQUIRES(subscription->lock);

/** How the databases are: as a probe found them, and by the runner's own operation while it is
 * being tried again. */
void subscription_stores_locked(const struct tide_subscription *subscription,
				const struct probe_answer *answer,
				struct availability ret[DATABASES])
	TIDE_REQUIRES(subscription->lock);

/** Set while this thread runs handlers or callbacks of an engine: what may not be done from there
 * asks it. */
extern _Thread_local const struct engine *engine_of_thread;

#endif

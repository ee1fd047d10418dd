/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_SUBSCRIPTION_H
#define TIDE_PATH_SUBSCRIPTION_H

/*
 * A subscription: what was configured, what everybody may see (under its lock), and the runner that
 * moves it.
 */

#include <tidemark/control.h>

#include "path/checkpoints.h"
#include "path/fate.h"
#include "path/feed.h"
#include "path/infra.h"
#include "path/metrics.h"
#include "path/probe.h"
#include "path/requests.h"
#include "path/save.h"
#include "path/session.h"
#include "path/start.h"
#include "path/transaction.h"
#include "policy/availability.h"
#include "policy/breaker.h"
#include "policy/errors.h"
#include "policy/ownership.h"
#include "policy/run.h"
#include "policy/states.h"
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

/** What pauses a subscription, one bit each: events are delivered while there is none. */
enum {
	PAUSED_HERE = 1,       /* a person, by this manager, until the run ends */
	PAUSED_DURABLY = 2,    /* a person, by the database */
	PAUSED_BY_BREAKER = 4, /* never beside another: a person's takes its place */
};

#define MOVES_MAX 8

/** Changes of state in their order, until somebody has told them. */
struct moves {
	struct move {
		enum tide_state from, to;
		char why[256];
	} ring[MOVES_MAX];
	size_t first, count;
};

/** An instant on both clocks. */
struct moment {
	struct mono_time mono;
	struct tide_time wall;
};

/** When the next step is due, and what is waited for until then. */
struct waiting {
	struct mono_time at;
	const char *why; /* for the log */
};

/** The event that comes next. */
struct next_event {
	/* the breaker was closed after the last call, and nothing has failed since */
	bool is_admitted;
	int32_t attempts; /* handler calls it has had */
	struct mono_time retry_at;
};

/** Up to where events go one by one; 0: they do not. */
struct apart {
	/* a batch, or what was handled together, failed: each has a call of its own */
	tide_position calls_until;
	tide_position commits_until; /* a commit failed for good: each has its own transaction */
};

/** The runner's own: touched by the thread that steps it and by nobody else. A part belongs to the
 * file whose header has it. */
struct runner {
	struct mono_time now; /* of this step, moved on after each handler call */
	struct moment begun;  /* the step */
	struct random random;
	struct waiting wait;
	struct tide_error cause; /* with STEP_FAIL: what the run ends for */
	struct mono_time poll_at;

	struct sessions sessions;
	struct tide_fence fence;
	struct infra infra;
	struct start start;
	struct look look;
	struct care care;

	struct notify_link link; /* registered while it has a wakeup */
	struct feed feed;
	struct progress progress;
	struct transaction transaction;
	struct save save;

	struct next_event next;
	struct apart apart;
	struct fates fates;
	/* page_events slots; NULL: the handler takes one at a time */
	const struct tide_event **batch;
	struct requests requests;
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
	enum { PACE_UNKNOWN, PACE_KNOWN, PACE_SLOW } verdict;
	double share, rate;     /* of the time; events a second; but for UNKNOWN */
	struct tide_time since; /* nearly all of it since then; while SLOW */
};

/** What a process has told others of a subscription, beside its lease. */
struct told {
	int seen; /* enum tide_cause */
	struct mono_time seen_since;
	int cause; /* enum tide_cause; that it is live: nothing is told */
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

/** What its lateness means. */
enum hand_kind {
	HAND_ALONE,
	HAND_TOGETHER, /* its events come alone then, and the one that is late is told of */
};

/** The call that a handler has in hand, for who looks at it from outside. */
struct hand {
	/* ns when it was made; 0: none in hand; negative: reported late */
	atomic_int_least64_t since;
	atomic_int_least64_t position;
	atomic_int attempt;
	atomic_int_least64_t events; /* more than 1 in a batch */
	atomic_int kind;             /* enum hand_kind */
	/* between two calls: the handler has events behind the settled ones under way */
	atomic_bool has_begun;
};

/** The lease of an ownership that is held, and how far it is trusted. Under the lock. */
struct lease {
	struct tide_fence fence; /* what is renewed */
	struct mono_time renew_at;
	int64_t renew_ns; /* how often */
	/* how long after a renewal handlers are called still; INT64_MAX: always */
	int64_t trust_ns;
	/* ns: one that could not be renewed is not trusted any more; INT64_MAX: always. Read
	 * without the lock. */
	atomic_int_least64_t trust_until;
};

/** Ending what the runner does in its databases: see interrupt.c. Under the lock. */
struct interruption {
	atomic_bool is_under_way;
	void *session, *feed_session; /* the runner's, while they may be interrupted */
	/* hand.since of what was interrupted last; INT64_MAX: nothing in this run */
	int64_t hand;
	struct mono_time again_at;
};

/** The pauses of a subscription. Under the lock. */
struct pause {
	unsigned by;                        /* PAUSED_ bits */
	enum tide_pause_reason here_reason; /* of PAUSED_HERE */
	struct tide_control control;        /* of PAUSED_DURABLY */
	struct mono_time asked;             /* when the database was asked for it last */
	enum tide_state from;
	struct tide_time at;
	struct mono_time since;
	bool is_save_due;
	bool is_probe_asked; /* resume while the handler breaker is open: probe at once */
};

/** The stop that is asked for. Under the lock. */
struct stop {
	struct mono_time deadline;
	bool is_frozen; /* somebody saves the settled prefix while the handler is in hand */
	bool was_saved; /* its trailing save wrote something */
};

/** When a run began and ended. Under the lock. */
struct span {
	/* counts the runs: a thread ends with its own, even when the next has begun */
	uint64_t number;
	struct tide_time started_at;
	struct mono_time started, ended;
};

struct breakers {
	struct breaker handler, infra;
};

/** What redeliveries have come to. */
struct redelivered {
	int64_t ok, failed;
};

struct membership;

/** Whether a lane is to be had by this process, as its manager finds (supervise/sharing.c). */
enum lane_wish {
	LANE_UNDECIDED, /* it waits, and its start with it */
	LANE_UNWANTED,  /* another process's, or nobody's yet: it stands by */
	LANE_WANTED,    /* it asks for the ownership */
	LANE_REFUSED,   /* its run ends in the head's error */
};

/** What was seen of a lane that is not this process's, when its rows were last looked at; under the
 * lane's lock. */
struct lane_elsewhere {
	enum { LANE_UNKNOWN, LANE_OWNED, LANE_UNOWNED } owner; /* who lives; unknown: not seen */
	tide_position position;
	struct mono_time unowned_at;    /* since when that was seen */
	struct tide_time unowned_since; /* since when it is so, as far as its row tells */
	enum tide_cause cause;          /* of it, with what why.c says; while UNOWNED */
	char reason[1200];
};

/** Its place among lanes. A lane is a subscription of its own with a share of the aggregates, and
 * has a head, which never runs and stands for all of them. Fixed after registration. */
struct lanes {
	uint32_t total;                  /* 0: it is neither */
	uint32_t index;                  /* of a lane */
	struct tide_subscription *head;  /* of a lane */
	_Atomic(int) wish;               /* of a lane: enum lane_wish */
	struct lane_elsewhere elsewhere; /* of a lane */
	struct tide_subscription **list; /* of a head: `total` of them, by their index */
	/* of a head, under its lock: the lane whose turn it is to prepare its tables; NULL: none */
	const struct tide_subscription *preparing;
	struct tide_time clean;        /* of a head, under its lock: as family_trim has it */
	struct tide_error refused;     /* of a head, under its lock: why its lanes are */
	struct membership *membership; /* of a head: its manager's, one block */
};

struct tide_subscription {
	/* fixed after registration */
	char name[TIDE_NAME_MAX + 1];
	struct lanes lanes;
	struct engine *engine;
	struct tide_subscriber subscriber;
	struct tide_subscription_config config;
	struct tide_filter filter;
	void *texts; /* what subscriber, config and filter name, in one block */
	struct retry_policy retry;
	struct typed *typed;    /* NULL: no table of handlers; the runner's own while it runs */
	struct tide_uuid owner; /* of its leases; all lanes of a head have the head's */
	struct tide_subscription *next; /* under the manager's lock */

	struct wakeup wakeup;
	struct thread thread;
	atomic_bool attention; /* stop, pause or resume was asked for: look under the lock */
	struct hand hand;
	atomic_int call;             /* enum runner_call */
	atomic_int_least64_t number; /* of the session that it writes through; 0: none */
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
	struct tide_error error; /* the last one; TIDE_OK: none */
	struct run_counts counts;
	tide_position position;
	struct feed_flow flow;
	struct mono_time backpressured_since; /* while LIVE */
	struct span span;
	struct ownership ownership;
	struct lease lease;
	struct interruption interruption;
	enum start_stage start_stage; /* stays where the run was when it ended */
	struct stop stop;
	struct pause pause;
	struct error_log errors;
	struct failing failing;
	struct tide_time try_at; /* when a database is tried again */
	struct pace pace;
	struct told told;
	struct retry_stats retries[RETRY_OPERATIONS];
	struct breakers breakers;
	struct availability stores[DATABASES]; /* as the runner's own operations found them */
	struct redelivered redelivered;
	struct metrics metrics;

	struct runner runner;
};

/** What runs of it: its lanes, or itself alone. */
static inline uint32_t lane_count(const struct tide_subscription *subscription)
{
	return subscription->lanes.list ? subscription->lanes.total : 1;
}

static inline struct tide_subscription *lane_at(struct tide_subscription *subscription, uint32_t i)
{
	return subscription->lanes.list ? subscription->lanes.list[i] : subscription;
}

/** The name that persons know: under it are the dead letters and pauses of all lanes. */
static inline const char *subscription_title(const struct tide_subscription *subscription)
{
	return subscription->lanes.head ? subscription->lanes.head->name : subscription->name;
}

/** The share of the aggregates whose dead letters it looks after, of those of its title; total 0:
 * all of them. */
static inline struct tide_lane lane_share(const struct tide_subscription *subscription)
{
	return subscription->lanes.head
		       ? (struct tide_lane){ subscription->lanes.index, subscription->lanes.total }
		       : (struct tide_lane){ 0, 0 };
}

/** Check and copy what was given; the subscription is registered by the manager. Errors of
 * tide_manager_subscribe. */
tide_status subscription_new(struct engine *engine, const struct tide_subscriber *subscriber,
			     const struct tide_subscription_config *config,
			     struct tide_subscription **ret, struct tide_error *err);
/** The same without what a run needs: it stands for its lanes (path/lanes.c). */
tide_status subscription_new_head(struct engine *engine, const struct tide_subscriber *subscriber,
				  const struct tide_subscription_config *config,
				  struct tide_subscription **ret, struct tide_error *err);
void subscription_free(struct tide_subscription *subscription);

/** Move and announce, under the lock; whoever calls tells it when the lock is released. */
tide_status subscription_move_locked(struct tide_subscription *subscription, enum tide_state to,
				     const char *why) TIDE_REQUIRES(subscription->lock);
/** Move to another state, log it. A move that the table forbids is ignored: somebody else moved
 * first. */
bool subscription_move(struct tide_subscription *subscription, enum tide_state to, const char *why);
/** The same, unless somebody moved it away from `from` first: a pause that came meanwhile
 * stands. */
bool subscription_move_from(struct tide_subscription *subscription, enum tide_state from,
			    enum tide_state to, const char *why);
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

/** Whether it is a lane that another process is to run, and its row says where it is. */
bool subscription_is_elsewhere_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock);
/** Where it is, whoever runs it. */
tide_position subscription_place_locked(const struct tide_subscription *subscription)
	TIDE_REQUIRES(subscription->lock);

/** What is waited for: a position, or a state when `position` is negative. */
struct subscription_goal {
	tide_position position;
	enum tide_state state;
};
/** TIDE_TIMEOUT, TIDE_STATE: it ended before. */
tide_status subscription_wait(struct tide_subscription *subscription,
			      const struct subscription_goal *goal, struct mono_time deadline,
			      struct tide_error *err);

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

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_MANAGER_H
#define TIDE_SUPERVISE_MANAGER_H

/*
 * A manager: the registry of its subscriptions, the watchdog, and the shutdown sequence.
 * Subscriptions are pinned while somebody works with them outside the registry's lock; removal
 * waits until nobody does.
 */

#include <tidemark/manager.h>

#include "path/bus.h"
#include "path/run.h"
#include "path/runner.h"

struct hook {
	struct hook *next;
	enum tide_hook_moment moment;
	tide_hook *run;
	void *self;
	double limit_seconds;
};

/** A shutdown in progress; used by the thread that runs it, but for what is atomic. */
struct shutdown {
	_Atomic(int) reason; /* enum tide_shutdown_reason; set once, by a signal handler too */
	_Atomic(int64_t) deadline_us;     /* the instant that was asked for; 0: none */
	atomic_int signals;               /* received since the request */
	_Atomic(int64_t) signalled_at;    /* ns, when the last of them came; 0: none */
	atomic_bool is_running;           /* run_until_shutdown is under way */
	int event;                        /* eventfd: a request or signal came */
	struct hook *hooks;               /* under the manager's lock; in order of registration */
	struct tide_shutdown_result last; /* under the manager's lock */
	bool has_last;                    /* under the manager's lock */
	double last_drain_seconds;        /* under the manager's lock */
};

/** What the watchdog has done by a thread that ends with it, see chore.c. */
struct chore {
	struct thread thread; /* watchdog thread, and who ends that */
	bool is_under_way;    /* under the manager's lock */
};

/** Renews the leases of a manager, all of them at once, on a session of its own. */
struct renewer {
	struct chore chore;

	/* whose renewal it is: the thread's, and without one the watchdog's */
	void *session; /* of the checkpoint database; opened with the first lease */
	struct tide_lease_renewal *leases;
	/* of the leases: a subscription may be removed meanwhile */
	char (*names)[TIDE_NAME_MAX + 1];
	size_t capacity;
	struct tide_error told; /* TIDE_OK: the last renewal succeeded */
	struct mono_time tell_at;
};

/** When to look at what others write. */
struct hearing {
	struct mono_time look_at; /* under the manager's lock: when a look is due */
	struct mono_time hear_at; /* under the manager's lock: before then no ring counts */
	struct wakeup wakeup;
	/* whose look it is */
	struct notify_link link; /* without a wakeup: it is not on the store's bell */
};

/** Looks what persons have said to the subscriptions of a manager, in the renewer's thread. */
struct controls {
	struct hearing hearing;
	struct tide_error told; /* whose look it is. TIDE_OK: the last one succeeded */
};

/** Looks at the groups of a manager, in a thread of its own: what waits for others' writes must not
 * keep a renewal waiting. */
struct sharing {
	struct chore chore;
	struct hearing hearing;
	void *session; /* whose look it is: of the checkpoint database */
};

struct tide_manager {
	struct engine engine;
	/* fixed after open */
	struct tide_bus *bus;
	struct bus_bell bell; /* on the bus */
	bool owns_checkpoints;
	double shutdown_timeout, drain_timeout;
	struct tide_health_config health;
	bool is_threaded; /* false: a simulation steps the runners */

	atomic_int stops; /* of everything, that are under way; raised under the lock */

	/* under lock */
	struct mutex lock;
	struct cond changed;
	/* what runs, in order of registration: lanes, and subscriptions without any */
	struct tide_subscription *subscriptions;
	struct tide_subscription *heads; /* of the lanes */
	_Atomic(size_t) count;  /* as persons count: heads, not lanes; read without the lock */
	int starts;             /* being begun; a stop waits for them */
	int pins;               /* snapshots of the registry in use */
	atomic_bool is_running; /* read without the lock too */
	struct mono_time started_at;
	bool is_looking; /* the watchdog thread runs */
	bool should_end_watch;
	bool is_changing_watch; /* somebody starts or joins it */
	struct thread watchdog;
	struct renewer renewer;
	struct controls controls;
	struct sharing sharing;

	struct shutdown shutdown;
	int64_t shutdowns_initiated[8]; /* by reason; under lock */
	int64_t shutdowns_completed[3]; /* clean, timeout, forced; under lock */
	struct histogram shutdown_seconds[3], drain_seconds; /* under lock */
	int64_t shutdown_events_drained;                     /* under lock */
};

/* ---- registry.c ------------------------------------------------------------------------------ */

/** Subscriptions, pinned; NULL for a name that is unknown. One with lanes is there as its head,
 * whose lanes lane_at has. */
struct manager_set {
	struct tide_subscription **items;
	const char *const *names; /* of the items; NULL: all of them are known */
	size_t count;
};
/** Those of these names; NULL: every one. */
tide_status manager_pin(struct tide_manager *manager, const char *const *names,
			struct manager_set *ret, struct tide_error *err);
/** Everything that runs, lanes by themselves. */
tide_status manager_pin_lanes(struct tide_manager *manager, struct manager_set *ret,
			      struct tide_error *err);
/** What stands for one that runs where persons are told of it; NULL: another lane does that. */
static inline struct tide_subscription *manager_shown(struct tide_subscription *subscription)
{
	struct tide_subscription *head = subscription->lanes.head;
	return !head ? subscription : subscription->lanes.index == 0 ? head : NULL;
}
/** The next one that persons are told of, from a place in the list of what runs; NULL: none. */
static inline struct tide_subscription *manager_show_next(struct tide_subscription **place)
{
	struct tide_subscription *shown = NULL;
	for (; *place && !shown; *place = (*place)->next)
		shown = manager_shown(*place);
	return shown;
}
/** How many that is. */
size_t manager_lanes_locked(const struct tide_manager *manager) TIDE_REQUIRES(manager->lock);
void manager_unpin(struct tide_manager *manager, struct manager_set *set);
/** One by the name that persons know; NULL: unknown. */
struct tide_subscription *manager_find_locked(struct tide_manager *manager, const char *name)
	TIDE_REQUIRES(manager->lock);
/** Whose ownership it is; NULL: it has been removed. */
struct tide_subscription *manager_find_owner_locked(struct tide_manager *manager,
						    const struct tide_fence *fence)
	TIDE_REQUIRES(manager->lock);
/** One by name, pinned; NULL: unknown. */
struct tide_subscription *manager_pin_one(struct tide_manager *manager, const char *name);
void manager_pin_again(struct tide_manager *manager); /* for somebody else, who unpins it */
void manager_unpin_one(struct tide_manager *manager);

/** Add one, with its lanes, at the end, pinned. TIDE_ALREADY_EXISTS. */
tide_status manager_register(struct tide_manager *manager, struct tide_subscription *subscription,
			     bool *ret_is_running, struct tide_error *err);
/** Take one out and wait until nobody but the caller, whose pin goes too, has anything pinned;
 * false: somebody else was faster. */
bool manager_remove(struct tide_manager *manager, struct tide_subscription *subscription);

/* ---- admission.c ----------------------------------------------------------------------------- */

/** TIDE_DEADLOCK when this thread runs handlers or callbacks of this manager. */
tide_status manager_check_thread(const struct tide_manager *manager, const char *what,
				 struct tide_error *err);
bool manager_is_shutting_down(const struct tide_manager *manager);
/** The same, or being stopped: nothing may be subscribed or started. */
bool manager_is_ending(const struct tide_manager *manager);
/** Begin to start something: TIDE_SHUTTING_DOWN while everything is being stopped, or a request for
 * that is made, unless the start is the run's that will obey it. Followed by manager_end_start,
 * before anything is waited for. */
tide_status manager_begin_start(struct tide_manager *manager, bool is_for_run,
				struct tide_error *err);
void manager_end_start(struct tide_manager *manager);
/** Begin to stop everything: no start begins any more, and those that have begun are in the
 * registry. Whether it is the only one. */
bool manager_begin_stop(struct tide_manager *manager);
void manager_end_stop(struct tide_manager *manager);

/* ---- manager.c and run.c --------------------------------------------------------------------- */

/** What a start waits for. */
struct start_wait {
	enum {
		/* nothing; also while shutting down: a request made before the run leads to start,
		 * then shutdown */
		START_UNTIL_BEGUN,
		START_UNTIL_RESOLVED, /* each knows where to begin, or why not */
		/* and then until each is live or has ended, or the seconds have passed */
		START_UNTIL_LIVE,
	} until;
	double seconds;
};
/** tide_manager_start. An error without `*ret` is the manager's: nothing has been started. */
tide_status manager_start(struct tide_manager *manager, const char *const *names,
			  struct start_wait wait, struct tide_start_result **ret, size_t *ret_count,
			  struct tide_error *err);

/** The sequence for who waits for signals and requests himself, with the reason of the request that
 * was made: as at the end of tide_manager_run_until_shutdown. TIDE_OUT_OF_MEMORY: nothing was
 * begun. */
tide_status manager_shut_down(struct tide_manager *manager, struct tide_shutdown_result *ret,
			      struct tide_error *err);
/** End every wait of that sequence, as a second signal does. Threads: any. */
void manager_force(struct tide_manager *manager);

/* ---- control.c: one subscription ------------------------------------------------------------- */

/** TIDE_BUSY, naming what has not returned, while something is left that a stop gave up waiting
 * for. */
tide_status manager_check_left(struct tide_manager *manager, struct tide_error *err);
/** Wait until its run is over; at the deadline it was given its handler is abandoned and the
 * settled prefix saved, which is waited for until `save_until`: TIDE_TIMEOUT. */
tide_status control_wait_stopped(struct tide_manager *manager,
				 struct tide_subscription *subscription,
				 struct mono_time save_until, struct tide_error *err);
/** How long a save from outside is waited for when a stop has given up at its deadline. */
static inline struct mono_time control_save_until(struct mono_time deadline)
{
	return mono_add(deadline, NS_PER_SECOND);
}
/** Save what is settled while its handler is in hand, and wait for that until `limit`; a save that
 * hangs goes on alone. */
void control_save_aside(struct tide_manager *manager, struct tide_subscription *subscription,
			struct mono_time limit);
/** Interrupt, beside the caller, the call with this `hand.since`, or (0) whatever its run does in
 * its databases. */
void control_interrupt_aside(struct tide_manager *manager, struct tide_subscription *subscription,
			     int64_t hand);
/** Join its thread, waiting for an abandoned handler; what it does in its databases is interrupted
 * now and then. */
void control_join(struct tide_subscription *subscription);

/* ---- watchdog.c ------------------------------------------------------------------------------ */

tide_status watchdog_start(struct tide_manager *manager, struct tide_error *err);
/** End it; false: it, or a renewal, has not returned by the deadline, and ends later by itself
 * unless it is started again. */
bool watchdog_stop(struct tide_manager *manager, struct mono_time deadline);
/** One look at every subscription: late handlers, leases to renew. */
void watchdog_look(struct tide_manager *manager, struct mono_time now);

/* ---- chore.c --------------------------------------------------------------------------------- */

/** Whether it is the caller's to start: nobody does it. */
bool chore_take_locked(struct tide_manager *manager, struct chore *chore)
	TIDE_REQUIRES(manager->lock);
/** Start the thread of one that was taken; `run` gets the manager, and ends with
 * chore_done_locked, as who took it does when there is no thread. */
tide_status chore_start(struct tide_manager *manager, struct chore *chore, const char *name,
			void (*run)(void *self), struct tide_error *err);
void chore_done_locked(struct tide_manager *manager, struct chore *chore)
	TIDE_REQUIRES(manager->lock);
/** Wait for the thread of one that is done. */
void chore_join(struct chore *chore);

/* ---- hearing.c ------------------------------------------------------------------------------- */

bool hearing_is_due_locked(struct tide_manager *manager, struct hearing *hearing,
			   struct mono_time now) TIDE_REQUIRES(manager->lock);
/** A look begins: what rang before, and what was due, is seen by it. */
void hearing_begin(struct tide_manager *manager, struct hearing *hearing);
/** It is over: the next one is due then, unless somebody wanted one meanwhile; rings count from
 * `hear_at` on. */
void hearing_over(struct tide_manager *manager, struct hearing *hearing, struct mono_time look_at,
		  struct mono_time hear_at);
/** Nobody looks any more. */
void hearing_end(struct tide_manager *manager, struct hearing *hearing);

/* ---- renewal.c ------------------------------------------------------------------------------- */

/** See that leases which are due are being renewed. */
void renewal_look(struct tide_manager *manager, struct mono_time now);
/** Wait until the renewer is done, and let go of what it has. */
void renewal_end(struct tide_manager *manager);

/* ---- controls.c ------------------------------------------------------------------------------ */

/** Whether it is time to look what persons have said. */
bool controls_are_due_locked(struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock);
/** Look, and have every subscription obey. */
void controls_look(struct tide_manager *manager);
/** Wait for nothing any more; with the renewer, whose thread has ended. */
void controls_end(struct tide_manager *manager);

#endif

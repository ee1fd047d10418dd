/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_MANAGER_H
#define TIDEMARK_MANAGER_H

#include <tidemark/bus.h>
#include <tidemark/error_record.h>
#include <tidemark/health.h>
#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Runs subscriptions over one store; usable from any thread. */
struct tide_manager;

/** How to open a manager; zero members mean their defaults. Fill it with TIDE_MANAGER. */
struct tide_manager_options {
	size_t size;              /* of this struct, set by TIDE_MANAGER */
	struct tide_store *store; /* required; must outlive the manager */
	struct tide_bus *bus;     /* NULL: none; its publishes wake subscriptions */
	/* NULL: the store's own; dead letters and ownership live there too */
	struct tide_checkpoints *checkpoints;
	double shutdown_timeout;                 /* seconds of a whole shutdown; 0: 30 */
	double drain_timeout;                    /* seconds for what is in hand; 0: 10 */
	double probe_limit;                      /* seconds a probe waits for a database; 0: 1 */
	const struct tide_health_config *health; /* thresholds; NULL: defaults */
	/* of ownership in PostgreSQL, 1 to 300; renewed at a third of it; 0: 5 */
	double lease_seconds;
};
#ifdef __cplusplus
static inline struct tide_manager_options tide_manager_options_default(struct tide_store *store)
{
	struct tide_manager_options options = {};
	options.size = sizeof options;
	options.store = store;
	return options;
}
#else
#define TIDE_MANAGER(...)                                                                          \
	(&(const struct tide_manager_options){ .size = sizeof(struct tide_manager_options),        \
					       __VA_ARGS__ })
#endif

/**
 * Open a manager; no thread starts before a subscription does.
 *
 * Owns:    the caller owns `*ret` and closes it before the store.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_open(const struct tide_manager_options *options, struct tide_manager **ret,
			      struct tide_error *err);

/**
 * Release a stopped manager and its subscriptions.
 *
 * Owns:    takes `manager` on TIDE_OK only.
 * Threads: any but a handler or callback of it.
 * Returns: TIDE_OK, TIDE_STATE (running), TIDE_BUSY (an abandoned handler, or a database that was
 *          left behind, has not returned), TIDE_DEADLOCK.
 */
tide_status tide_manager_destroy(struct tide_manager *manager, struct tide_error *err);

/**
 * Stop and release a manager on any exit; NULL is allowed. It waits for a handler that does not
 * return.
 *
 * Owns:    takes `manager`.
 * Threads: any but a handler or callback of it.
 * Returns: nothing.
 */
void tide_manager_close(struct tide_manager *manager);
static inline void tide_manager_close_cleanup(struct tide_manager **manager)
{
	tide_manager_close(*manager);
}

/**
 * Register a subscriber; on a running manager it starts at once, and its start error is returned
 * while it stays registered.
 *
 * The start error is what kept its position from being resolved; a handler's failure never is,
 * however soon it comes. `config` may be NULL for the defaults. `ret` may be NULL.
 *
 * Owns:    nothing; `*ret` belongs to the manager and lives until it is unsubscribed or the manager
 *          closed.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT (names the field and the value), TIDE_ALREADY_EXISTS,
 *          TIDE_UNSUPPORTED (transactional handler on another database, holding aggregates without
 *          the column for it), TIDE_SHUTTING_DOWN, TIDE_OUT_OF_MEMORY, and the errors of starting.
 */
tide_status tide_manager_subscribe(struct tide_manager *manager,
				   const struct tide_subscriber *subscriber,
				   const struct tide_subscription_config *config,
				   struct tide_subscription **ret, struct tide_error *err);

/**
 * Stop a subscription with a final checkpoint and remove it.
 *
 * Owns:    releases the subscription.
 * Threads: any but a handler or callback of the manager (TIDE_DEADLOCK).
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_DEADLOCK, TIDE_BUSY (its handler or a database call does
 *          not return; it stays registered).
 */
tide_status tide_manager_unsubscribe(struct tide_manager *manager, const char *name,
				     struct tide_error *err);

/** What starting came to for one name. */
struct tide_start_result {
	char name[TIDE_NAME_MAX + 1];
	struct tide_error error; /* status TIDE_OK: started, standing by, or running already */
};

/**
 * Start the named subscriptions (`names` ends in NULL; NULL: all) that are not running, and the
 * manager with them.
 *
 * Returns when each start position is resolved, the subscription stands by, or it failed. With
 * `wait_seconds` > 0 it goes on until each is live, paused, standing by or ended, or the time is
 * up; only then the errors of catching up, a handler's own, are those of the start. One failing
 * start does not prevent others.
 *
 * Owns:    `ret` may be NULL; else the caller owns `*ret`, an array of `*ret_count`; release it
 *          with tide_free.
 * Threads: any but a handler.
 * Returns: TIDE_OK when all of them started, else the first failure (with `ret` filled all the
 *          same), TIDE_SHUTTING_DOWN, TIDE_DEADLOCK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_start(struct tide_manager *manager, const char *const *names,
			       double wait_seconds, struct tide_start_result **ret,
			       size_t *ret_count, struct tide_error *err);

/**
 * Start every subscription that is not running, and the manager: tide_manager_start without names.
 *
 * With `wait_seconds` > 0 it returns when each is live, which is behind all that was stored before,
 * or paused, standing by or ended, or when the time is up.
 *
 * Owns:    nothing.
 * Threads: any but a handler.
 * Returns: TIDE_OK when all of them started, else the first failure, TIDE_SHUTTING_DOWN,
 *          TIDE_DEADLOCK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_run(struct tide_manager *manager, double wait_seconds,
			     struct tide_error *err);

/**
 * Restart one subscription that is in ERROR, behind what it had settled; of one with lanes those in
 * ERROR, and those that were stopped. One that has just failed is waited for until it has let go.
 *
 * Owns:    nothing.
 * Threads: any but a handler.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_STATE (not in ERROR), TIDE_SHUTTING_DOWN, TIDE_BUSY, and
 *          the errors of starting.
 */
tide_status tide_manager_restart(struct tide_manager *manager, const char *name,
				 struct tide_error *err);

/**
 * Forget the position and the unresolved dead letters of a subscription, so that it begins where
 * one without a checkpoint does.
 *
 * It may run, here or elsewhere: its owner writes nothing more and begins anew. One in ERROR is
 * started again. `by` is who is named in the journal, 1 to 255 bytes; NULL is the user of this
 * process. One whose subscriber can empty its read model has that rebuilt instead. Lanes begin anew
 * together, all behind one position.
 *
 * Owns:    nothing.
 * Threads: any but a handler.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT, TIDE_STATE (it has a read model),
 *          TIDE_SHUTTING_DOWN, TIDE_DEADLOCK, TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY,
 *          and the errors of starting.
 */
tide_status tide_manager_reset(struct tide_manager *manager, const char *name, const char *by,
			       struct tide_error *err);

/**
 * Empty the read model of a subscription and forget its position, in one transaction, so that it is
 * made anew from the beginning of the feed, or from the position that its configuration names.
 *
 * As tide_manager_reset otherwise; `empty` is called once for all lanes. Its subscriber has to have
 * that, as that of a SQL projection with a reset section has.
 *
 * Owns:    nothing.
 * Threads: any but a handler.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT (also: no reset section), TIDE_UNSUPPORTED
 *          (nothing says how to empty its read model), TIDE_STATE (a build stands beside it, or it
 *          is one of several partitions), TIDE_SHUTTING_DOWN, TIDE_DEADLOCK, TIDE_BUSY,
 *          TIDE_CONNECTION_LOST, TIDE_DISK_FULL, TIDE_OUT_OF_MEMORY, and the errors of `empty` and
 *          of starting.
 */
tide_status tide_manager_rebuild(struct tide_manager *manager, const char *name, const char *by,
				 struct tide_error *err);

/**
 * Stop the named subscriptions (NULL: all, and the manager) after the event in hand, with a final
 * checkpoint.
 *
 * `limit_seconds` <= 0 means the configured limits. Stopping what does not run is success. Stopping
 * all is a shutdown without signals and hooks: it counts as one, nothing can be subscribed or
 * started meanwhile, and it ends a request for shutdown that nobody waits for. What is in hand has
 * all of the limit.
 *
 * Owns:    nothing.
 * Threads: any but a handler or callback.
 * Returns: TIDE_OK, TIDE_TIMEOUT (a handler, or a database, had not returned at the limit),
 *          TIDE_NOT_FOUND, TIDE_DEADLOCK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_stop(struct tide_manager *manager, const char *const *names,
			      double limit_seconds, struct tide_error *err);

/**
 * Pause before the next event; the one in hand is finished first, and this does not wait for it.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it took effect: false for unknown names and for what is neither catching up nor
 *          live.
 */
bool tide_manager_pause(struct tide_manager *manager, const char *name,
			enum tide_pause_reason reason);

/**
 * Resume a paused subscription where it was.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether it took effect: false for what is not paused.
 */
bool tide_manager_resume(struct tide_manager *manager, const char *name);

/** What pausing or resuming all came to for one name. */
struct tide_named_flag {
	char name[TIDE_NAME_MAX + 1];
	bool took_effect;
};

/**
 * Pause or resume every subscription, in the order of registration.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_OUT_OF_MEMORY (nothing was changed).
 */
tide_status tide_manager_pause_all(struct tide_manager *manager, enum tide_pause_reason reason,
				   struct tide_named_flag **ret, size_t *ret_count,
				   struct tide_error *err);
tide_status tide_manager_resume_all(struct tide_manager *manager, struct tide_named_flag **ret,
				    size_t *ret_count, struct tide_error *err);

/**
 * List the names of the paused subscriptions, in the order of registration.
 *
 * The list ends in NULL, so that other calls take it as `names`.
 *
 * Owns:    the caller owns `*ret`, one block; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_paused_names(struct tide_manager *manager, const char ***ret,
				      size_t *ret_count, struct tide_error *err);

/**
 * Find a subscription by name; NULL when there is none.
 *
 * Owns:    nothing; it belongs to the manager.
 * Threads: any.
 * Returns: the subscription.
 */
struct tide_subscription *tide_manager_subscription(struct tide_manager *manager, const char *name);

/**
 * Take the status of every subscription, in the order of registration.
 *
 * Owns:    the caller owns `*ret`, an array of `*ret_count`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_statuses(struct tide_manager *manager,
				  struct tide_subscription_status **ret, size_t *ret_count,
				  struct tide_error *err);

/**
 * Tell how many subscriptions are registered, whether the manager runs, and for how many seconds.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the fact.
 */
size_t tide_manager_count(struct tide_manager *manager);
bool tide_manager_is_running(struct tide_manager *manager);
double tide_manager_uptime(struct tide_manager *manager);

/** How far a shutdown has come. */
enum tide_shutdown_phase {
	TIDE_PHASE_RUNNING,
	TIDE_PHASE_STOPPING,
	TIDE_PHASE_DRAINING,
	TIDE_PHASE_CHECKPOINTING,
	TIDE_PHASE_STOPPED,
	TIDE_PHASE_FORCED
};

/** Why a shutdown happened. */
enum tide_shutdown_reason {
	TIDE_SHUTDOWN_NONE, /* none was requested */
	TIDE_SHUTDOWN_SIGTERM,
	TIDE_SHUTDOWN_SIGINT,
	TIDE_SHUTDOWN_PROGRAMMATIC,
	TIDE_SHUTDOWN_HEALTH_CHECK,
	TIDE_SHUTDOWN_TIMEOUT,
	TIDE_SHUTDOWN_DOUBLE_SIGNAL
};

/** What a shutdown came to. */
struct tide_shutdown_result {
	enum tide_shutdown_phase phase;
	enum tide_shutdown_reason reason;
	double duration_seconds;
	int64_t subscriptions_stopped; /* reached STOPPED */
	int64_t events_drained; /* in hand at the beginning of the drain and settled by its end */
	int64_t checkpoints_saved;  /* final saves made */
	int64_t in_flight_at_start; /* in hand when the sequence began */
	int64_t events_not_drained; /* of those, not settled */
	bool forced;
	struct tide_error error; /* status TIDE_OK: none */
};

/** When a hook runs: before anything is stopped, or after everything is. */
enum tide_hook_moment { TIDE_HOOK_BEFORE_SHUTDOWN, TIDE_HOOK_AFTER_SHUTDOWN };

/** Called on a thread of its own; `result` is NULL before the shutdown. A failure is logged,
 * nothing else. */
typedef tide_status tide_hook(void *self, const struct tide_shutdown_result *result);

/**
 * Add a hook to the shutdown sequence, to be given `limit_seconds` (<= 0: 5). Hooks run in the
 * order they were added.
 *
 * Owns:    nothing; `self` must outlive the manager.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_add_hook(struct tide_manager *manager, enum tide_hook_moment moment,
				  tide_hook *hook, void *self, double limit_seconds,
				  struct tide_error *err);

/**
 * Start everything, wait for SIGTERM, SIGINT or a request, and shut down in order.
 *
 * Signal handling is installed meanwhile and restored afterwards. A subscription that fails to
 * start does not end it, and one that hangs is not waited for; what keeps all of them from
 * starting, such as a thread that cannot be made, is the result. A second signal ends every wait,
 * skips what is left of hooks and drain, and gives the checkpoints one second; a third is left to
 * the system, which ends the process. One that follows another within half a second is the same
 * one, since timeout(1) and shells signal a process and its group; where the handling that is
 * restored would end the process, the return waits for it that long.
 *
 * Owns:    nothing; `ret` may be NULL.
 * Threads: one at a time in a process, not a handler.
 * Returns: TIDE_OK with `*ret` filled, TIDE_STATE (signal handling is installed already),
 *          TIDE_DEADLOCK, TIDE_SHUTTING_DOWN (it is being stopped), TIDE_OUT_OF_MEMORY (also: no
 *          thread).
 */
tide_status tide_manager_run_until_shutdown(struct tide_manager *manager,
					    struct tide_shutdown_result *ret,
					    struct tide_error *err);

/**
 * Ask for shutdown; only the first reason counts. Safe in a signal handler.
 *
 * Owns:    nothing.
 * Threads: any, signal handlers and event handlers included.
 * Returns: nothing.
 */
void tide_manager_request_shutdown(struct tide_manager *manager, enum tide_shutdown_reason reason);

/**
 * Ask for a shutdown that is over by a given instant, in place of one within the configured time.
 *
 * Only the first such instant counts, and none that comes when the sequence has begun. The steps
 * share the time that is left, however little: the checkpoints keep a fifth of it, at least a
 * second, or half of less than two, and an instant in the past leaves behind whatever is in hand.
 * Safe in a signal handler.
 *
 * Owns:    nothing.
 * Threads: any, signal handlers and event handlers included.
 * Returns: nothing.
 */
void tide_manager_request_shutdown_by(struct tide_manager *manager,
				      enum tide_shutdown_reason reason, struct tide_time deadline);

/**
 * Call `callback` for every failure of every subscription, present and later, that is of interest.
 *
 * `which` is the category or severity (enum tide_category, enum tide_severity) when the interest is
 * in one.
 *
 * Owns:    nothing; `self` must outlive the registration.
 * Threads: any, callbacks included.
 * Returns: TIDE_OK with `*ret` the registration's id, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_on_error(struct tide_manager *manager, enum tide_error_interest interest,
				  int which, tide_error_callback *callback, void *self,
				  int64_t *ret, struct tide_error *err);

/**
 * End the registration of an error callback.
 *
 * Owns:    nothing.
 * Threads: any, callbacks included.
 * Returns: whether there was one.
 */
bool tide_manager_off_error(struct tide_manager *manager, int64_t id);

/**
 * Classify failures differently: all of one status, or, when `pattern` is given, those whose
 * message contains it (whatever the case of its letters). Status rules come first, then patterns in
 * order of registration.
 *
 * Owns:    nothing; the texts are copied.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_classify(struct tide_manager *manager, const char *pattern,
				  tide_status status,
				  const struct tide_classification *classification,
				  struct tide_error *err);

/**
 * Take the failure statistics of one subscription's present run, or of all of them together (`name`
 * NULL).
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_error_stats(struct tide_manager *manager, const char *name,
				     struct tide_error_stats *ret, struct tide_error *err);

/**
 * Close the circuit breakers of a subscription at once.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: whether there is such a subscription.
 */
bool tide_manager_reset_breakers(struct tide_manager *manager, const char *name);

/**
 * Name a phase ("stopped") or a reason ("signal_sigterm") as written in JSON.
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_shutdown_phase_name(enum tide_shutdown_phase phase);
const char *tide_shutdown_reason_name(enum tide_shutdown_reason reason);

/**
 * Write a shutdown result as one JSON object.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_shutdown_result_json(const struct tide_shutdown_result *result, char **ret,
				      struct tide_error *err);

/** What the last shutdown took, for those who collect figures. A plain value. */
struct tide_shutdown_metrics {
	double shutdown_duration_seconds;
	double drain_duration_seconds;
	int64_t events_drained;
	int64_t checkpoints_saved;
	int64_t in_flight_at_start;
	const char *outcome; /* "clean", "timeout", or "forced": by a double signal; static text */
};

/**
 * Take the figures of the manager's last shutdown, or write them as one JSON object.
 *
 * Owns:    the caller owns the text `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (no shutdown has ended yet), TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_shutdown_metrics(struct tide_manager *manager,
					  struct tide_shutdown_metrics *ret,
					  struct tide_error *err);
tide_status tide_shutdown_metrics_json(const struct tide_shutdown_metrics *metrics, char **ret,
				       struct tide_error *err);

/**
 * Write every metric of a manager, its store and its bus in the Prometheus text format 0.0.4.
 *
 * What the databases cannot say within a second is as last known.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_metrics(struct tide_manager *manager, char **ret, struct tide_error *err);

/**
 * Write the failure statistics of all subscriptions as one JSON object: totals, and each by its
 * name.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_error_stats_json(struct tide_manager *manager, char **ret,
					  struct tide_error *err);

/**
 * Write the status of a subscription with lanes as one JSON object: that of the whole over all
 * processes, `members`, which run it, and `lane_statuses`: the status of each lane that is this
 * process's, and what its rows say of another's (`name`, `position`, `lag_events`,
 * `events_processed`). Each lane ends in `owned`, and `host`, `pid` and `acquired_at` of its owner.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any; it asks the database of the checkpoints.
 * Returns: TIDE_OK, TIDE_NOT_FOUND (none of that name, or it has no lanes), TIDE_ARGUMENT,
 *          TIDE_BUSY, TIDE_CONNECTION_LOST, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_group_json(struct tide_manager *manager, const char *name, char **ret,
				    struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

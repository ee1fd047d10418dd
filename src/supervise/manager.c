/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a manager, and starting and stopping its subscriptions together.
 *
 * Happy path: open, subscribe, start, stop, close.
 * Failure modes: one failing start does not prevent the others. A handler that does not return is
 * abandoned at the limit; nothing it may still use is freed before it has returned.
 */
#include "supervise/shutdown.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "path/lanes.h"
#include "supervise/group.h"
#include "supervise/membership.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define MANAGER_SHUTDOWN_TIMEOUT 30.0
#define MANAGER_DRAIN_TIMEOUT 10.0
#define MANAGER_LEASE_SECONDS 5.0
#define MANAGER_LEASE_LONGEST 300.0
#define MANAGER_PROBE_LIMIT 1.0
#define MANAGER_PARTS_PER_STEP 256
#define MANAGER_DESTROY_SECONDS 1.0 /* that destroying waits for a database */

/* ---- Opening and closing --------------------------------------------------------------------- */

static tide_status manager_check_numbers(const struct tide_health_config *health,
					 struct tide_error *err)
{
	const struct {
		const char *name;
		double warning, critical;
	} pairs[] = {
		{ "max_errors", (double)health->max_errors_warning,
		  (double)health->max_errors_critical },
		{ "max_lag_events", (double)health->max_lag_events_warning,
		  (double)health->max_lag_events_critical },
		{ "max_dlq_events", (double)health->max_dlq_events_warning,
		  (double)health->max_dlq_events_critical },
		{ "backpressure_seconds", health->backpressure_warning_seconds,
		  health->backpressure_critical_seconds },
	};

	if (!(health->max_error_rate_per_minute >= 0) || isinf(health->max_error_rate_per_minute))
		return tide_fail(err, TIDE_ARGUMENT,
				 "max_error_rate_per_minute is %g, expected 0 or more",
				 health->max_error_rate_per_minute);

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		if (!(pairs[i].warning >= 0) || isinf(pairs[i].warning) || isinf(pairs[i].critical))
			return tide_fail(err, TIDE_ARGUMENT, "%s warning is %g, expected 0 or more",
					 pairs[i].name, pairs[i].warning);
		if (!(pairs[i].critical >= pairs[i].warning))
			return tide_fail(err, TIDE_ARGUMENT,
					 "%s critical is %g, expected the warning (%g) or more",
					 pairs[i].name, pairs[i].critical, pairs[i].warning);
	}
	return TIDE_OK;
}

static tide_status manager_check_options(const struct tide_manager_options *options,
					 struct tide_error *err)
{
	if (!options || options->size != sizeof *options)
		return tide_fail(err, TIDE_ARGUMENT, "options are to be filled with TIDE_MANAGER");
	if (!options->store)
		return tide_fail(err, TIDE_ARGUMENT, "store is NULL");

	const struct {
		const char *name;
		double value;
	} limits[] = { { "shutdown_timeout", options->shutdown_timeout },
		       { "drain_timeout", options->drain_timeout },
		       { "probe_limit", options->probe_limit } };
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		if (!(limits[i].value >= 0) || isinf(limits[i].value))
			return tide_fail(err, TIDE_ARGUMENT,
					 "%s is %g, expected more than 0 (0: the default)",
					 limits[i].name, limits[i].value);
	if (options->lease_seconds != 0 &&
	    !(options->lease_seconds >= 1 && options->lease_seconds <= MANAGER_LEASE_LONGEST))
		return tide_fail(err, TIDE_ARGUMENT,
				 "lease_seconds is %g, expected 1 to %g (0: the default)",
				 options->lease_seconds, MANAGER_LEASE_LONGEST);
	return options->health ? manager_check_numbers(options->health, err) : TIDE_OK;
}

static void manager_ring_bus(void *self)
{
	struct tide_manager *manager = self;
	notifier_ring(manager->engine.store->notifier, RING_BUS);
}

static double manager_or(double value, double standard)
{
	return value > 0 ? value : standard;
}

static tide_status manager_init(struct tide_manager *manager,
				const struct tide_manager_options *options, struct tide_error *err)
{
	static const struct tide_health_config healthy = TIDE_HEALTH_CONFIG_DEFAULT;
	struct engine *engine = &manager->engine;
	manager->bus = options->bus;
	manager->shutdown_timeout = manager_or(options->shutdown_timeout, MANAGER_SHUTDOWN_TIMEOUT);
	manager->drain_timeout = manager_or(options->drain_timeout, MANAGER_DRAIN_TIMEOUT);
	manager->health = options->health ? *options->health : healthy;
	manager->is_threaded = true;
	mutex_init(&manager->lock, LOCK_REGISTRY);
	cond_init(&manager->changed);
	wakeup_init(&manager->controls.hearing.wakeup);
	wakeup_init(&manager->sharing.hearing.wakeup);
	errors_init(&engine->errors);
	metrics_names_init(&engine->event_types);
	engine->store = options->store;
	engine->checkpoints = options->checkpoints;
	engine->clock = &clock_system;
	engine->lease_seconds = manager_or(options->lease_seconds, MANAGER_LEASE_SECONDS);
	engine->parts_per_step = MANAGER_PARTS_PER_STEP;
	engine->probe_ns = ns_of_seconds(manager_or(options->probe_limit, MANAGER_PROBE_LIMIT));
	random_bytes(&engine->seed, sizeof engine->seed);
	tide_status status = TIDE_OK;
	if (!engine->checkpoints) {
		status = tide_checkpoints_open(NULL, NULL, options->store, &engine->checkpoints,
					       err);
		manager->owns_checkpoints = status == TIDE_OK;
	}

	struct tide_store *database =
		status == TIDE_OK ? engine->checkpoints->database : options->store;
	probe_init(&engine->probe, options->store, database);
	tide_status prepared = shutdown_init(&manager->shutdown, err);
	return status == TIDE_OK ? prepared : status;
}

/* A save that was left behind still uses a subscription. */
static void manager_await_pins(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	while (manager->pins > 0)
		cond_wait(&manager->changed, &manager->lock);
	mutex_unlock(&manager->lock);
}

static void manager_free_subscriptions(struct tide_manager *manager)
{
	for (struct tide_subscription *one = manager->subscriptions; one; one = one->next)
		control_join(one);
	for (struct tide_subscription *one = manager->subscriptions, *next; one; one = next) {
		next = one->next;
		if (!one->lanes.head)
			lanes_free(one);
	}
	manager->subscriptions = NULL;
	while (manager->heads) {
		struct tide_subscription *head = manager->heads;
		manager->heads = head->next;
		lanes_free(head);
	}
}

static void manager_free(struct tide_manager *manager)
{
	/* an abandoned handler's lease was still renewed */
	(void)watchdog_stop(manager, MONO_NEVER);
	manager_await_pins(manager);
	assert(manager->pins == 0 && manager->starts == 0);
	if (manager->bus)
		bus_remove_bell(manager->bus, &manager->bell);
	manager_free_subscriptions(manager);

	probe_fini(&manager->engine.probe);
	if (manager->owns_checkpoints)
		tide_checkpoints_close(manager->engine.checkpoints);
	shutdown_fini(&manager->shutdown);
	errors_fini(&manager->engine.errors);
	metrics_names_fini(&manager->engine.event_types);
	wakeup_fini(&manager->controls.hearing.wakeup);
	wakeup_fini(&manager->sharing.hearing.wakeup);
	cond_fini(&manager->changed);
	mutex_fini(&manager->lock);
	tide_free(manager);
}

tide_status tide_manager_open(const struct tide_manager_options *options, struct tide_manager **ret,
			      struct tide_error *err)
{
	tide_status status = manager_check_options(options, err);
	if (status == TIDE_OK && !ret)
		status = tide_fail(err, TIDE_ARGUMENT, "ret is NULL");
	if (status != TIDE_OK)
		return status;

	struct tide_manager *manager = alloc_zero(1, sizeof *manager);
	if (!manager)
		return alloc_fail(err);

	status = manager_init(manager, options, err);
	if (status != TIDE_OK) {
		manager_free(manager);
		return status;
	}

	manager->bell = (struct bus_bell){ .ring = manager_ring_bus, .self = manager };
	if (manager->bus)
		bus_add_bell(manager->bus, &manager->bell);
	*ret = manager;
	return TIDE_OK;
}

tide_status tide_manager_destroy(struct tide_manager *manager, struct tide_error *err)
{
	if (!manager)
		return TIDE_OK;
	tide_status status = manager_check_thread(manager, "destroy the manager", err);
	if (status != TIDE_OK)
		return status;
	if (tide_manager_is_running(manager) || atomic_load(&manager->shutdown.is_running))
		return tide_fail(err, TIDE_STATE, "the manager is running: stop it first");

	status = manager_check_left(manager, err);
	if (status != TIDE_OK)
		return status;

	struct mono_time limit =
		mono_add(clock_mono(&clock_system), ns_of_seconds(MANAGER_DESTROY_SECONDS));
	if (!watchdog_stop(manager, limit))
		return tide_fail(err, TIDE_BUSY, "the renewal of an ownership has not returned");

	manager_free(manager);
	return TIDE_OK;
}

/* Closing cannot fail, so it stops without memory of its own; nobody else uses the manager any
 * more. */
static void manager_stop_for_close(struct tide_manager *manager)
{
	struct mono_time limit = mono_add(clock_mono(manager->engine.clock),
					  ns_of_seconds(manager->shutdown_timeout));
	struct tide_subscription *subscription;
	membership_stop_all(manager, limit);
	for (subscription = manager->subscriptions; subscription; subscription = subscription->next)
		run_ask_stop(subscription, limit);
	for (subscription = manager->subscriptions; subscription && manager->is_threaded;
	     subscription = subscription->next)
		(void)control_wait_stopped(manager, subscription, limit, NULL);
	(void)watchdog_stop(manager, MONO_NEVER);
}

void tide_manager_close(struct tide_manager *manager)
{
	if (!manager)
		return;
	manager_stop_for_close(manager);
	manager_free(manager);
}

/* ---- Starting and stopping ------------------------------------------------------------------- */

static tide_status manager_set_running(struct tide_manager *manager, struct tide_error *err)
{
	mutex_lock(&manager->lock);
	bool was_running = manager->is_running;
	if (!was_running)
		manager->started_at = clock_mono(manager->engine.clock);
	manager->is_running = true;
	mutex_unlock(&manager->lock);
	tide_status status =
		was_running || !manager->is_threaded ? TIDE_OK : watchdog_start(manager, err);
	if (status != TIDE_OK)
		manager->is_running = false;
	return status;
}

static void manager_refuse_all(const struct manager_set *set, const struct tide_error *why)
{
	log_at(TIDE_LOG_ERROR, "manager", "nothing is started", "error='%s'", why->message);
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i])
			group_refuse(set->items[i], why);
}

static void manager_start_all(struct tide_manager *manager, const struct manager_set *set,
			      struct tide_start_result *results)
{
	for (size_t i = 0; i < set->count; i++) {
		struct tide_start_result *result = &results[i];
		const char *name = set->items[i] ? set->items[i]->name : set->names[i];
		snprintf(result->name, sizeof result->name, "%s", name);
		if (set->items[i])
			(void)group_start(manager, set->items[i], &result->error);
		else
			tide_fail(&result->error, TIDE_NOT_FOUND, "no subscription '%s'", name);
	}
}

/* Whether each has started. */
static tide_status manager_await_all(const struct manager_set *set, struct start_wait wait,
				     struct tide_start_result *results, struct tide_error *err)
{
	tide_status first = TIDE_OK;
	struct mono_time deadline =
		mono_add(clock_mono(&clock_system), ns_of_seconds(wait.seconds));

	for (size_t i = 0; i < set->count; i++) {
		struct tide_error *error = &results[i].error;
		if (set->items[i] && error->status == TIDE_OK && wait.until >= START_UNTIL_RESOLVED)
			(void)group_wait_started(set->items[i], false, MONO_NEVER, error);
		if (set->items[i] && error->status == TIDE_OK && wait.until >= START_UNTIL_LIVE)
			(void)group_wait_started(set->items[i], true, deadline, error);
		if (error->status != TIDE_OK && first == TIDE_OK) {
			first = error->status;
			if (err)
				*err = *error;
		}
	}
	return first;
}

/* Begin the runs of a set; what they come to is waited for when this start no longer keeps a stop
 * waiting. */
static tide_status manager_begin_all(struct tide_manager *manager, bool is_for_run,
				     const struct manager_set *set,
				     struct tide_start_result *results, struct tide_error *err)
{
	tide_status status = manager_begin_start(manager, is_for_run, err);
	if (status != TIDE_OK)
		return status;
	status = manager_set_running(manager, err);
	if (status == TIDE_OK)
		manager_start_all(manager, set, results);
	manager_end_start(manager);
	return status;
}

tide_status manager_start(struct tide_manager *manager, const char *const *names,
			  struct start_wait wait, struct tide_start_result **ret, size_t *ret_count,
			  struct tide_error *err)
{
	tide_status status = manager_check_thread(manager, "start subscriptions", err);
	struct manager_set set;
	if (status == TIDE_OK)
		status = manager_pin(manager, names, &set, err);
	if (status != TIDE_OK)
		return status;

	struct tide_start_result *results = alloc_zero(set.count + 1, sizeof *results);
	struct tide_error why;
	status = results ? manager_begin_all(manager, wait.until == START_UNTIL_BEGUN, &set,
					     results, &why)
			 : alloc_fail(&why);
	if (status != TIDE_OK && status != TIDE_SHUTTING_DOWN)
		manager_refuse_all(&set, &why);
	if (status != TIDE_OK && err)
		*err = why;
	if (status == TIDE_OK) {
		status = manager->is_threaded ? manager_await_all(&set, wait, results, err)
					      : TIDE_OK;
		if (ret) {
			*ret = results;
			*ret_count = set.count;
			results = NULL;
		}
	}

	tide_free(results);
	manager_unpin(manager, &set);
	return status;
}

tide_status tide_manager_start(struct tide_manager *manager, const char *const *names,
			       double wait_seconds, struct tide_start_result **ret,
			       size_t *ret_count, struct tide_error *err)
{
	if (!manager || (ret && !ret_count) || !(wait_seconds >= 0))
		return tide_fail(err, TIDE_ARGUMENT, "%s",
				 !manager ? "manager is NULL"
					  : "wait_seconds is negative, or ret_count NULL");
	struct start_wait wait = { wait_seconds > 0 ? START_UNTIL_LIVE : START_UNTIL_RESOLVED,
				   wait_seconds };
	return manager_start(manager, names, wait, ret, ret_count, err);
}

tide_status tide_manager_run(struct tide_manager *manager, double wait_seconds,
			     struct tide_error *err)
{
	return tide_manager_start(manager, NULL, wait_seconds, NULL, NULL, err);
}

static tide_status manager_restart(struct tide_manager *manager,
				   struct tide_subscription *subscription, struct tide_error *err)
{
	group_await_failed(subscription); /* not as a start, which would keep a stop waiting */
	tide_status status = manager_begin_start(manager, false, err);
	if (status != TIDE_OK)
		return status;
	bool is_restartable = whole_has_state(subscription, TIDE_STATE_ERROR);
	if (is_restartable)
		status = manager_set_running(manager, err);
	if (status == TIDE_OK)
		status = group_restart(manager, subscription, err);
	manager_end_start(manager);
	if (status == TIDE_OK && manager->is_threaded)
		status = group_wait_started(subscription, false, MONO_NEVER, err);
	return status;
}

tide_status tide_manager_restart(struct tide_manager *manager, const char *name,
				 struct tide_error *err)
{
	if (!manager || !name)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "name" : "manager");
	tide_status status = manager_check_thread(manager, "restart a subscription", err);
	if (status == TIDE_OK && manager_is_ending(manager))
		status = tide_fail(err, TIDE_SHUTTING_DOWN, "the manager is shutting down");
	if (status != TIDE_OK)
		return status;

	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);

	status = manager_restart(manager, subscription, err);
	manager_unpin_one(manager);
	return status;
}

static tide_status manager_stop_set(struct tide_manager *manager, const struct manager_set *set,
				    double limit_seconds, struct tide_error *err)
{
	tide_status first = TIDE_OK;
	struct mono_time now = clock_mono(manager->engine.clock), until = now;
	for (size_t i = 0; i < set->count; i++) {
		if (!set->items[i])
			continue;
		double limit = set->names ? set->items[i]->config.shutdown_timeout
					  : manager->shutdown_timeout;
		struct mono_time deadline =
			mono_add(now, ns_of_seconds(limit_seconds > 0 ? limit_seconds : limit));
		group_ask_stop(manager, set->items[i], deadline);
		if (deadline.ns > until.ns)
			until = deadline;
	}

	for (size_t i = 0; i < set->count; i++) {
		struct tide_error error = { 0 };
		if (!set->items[i])
			tide_fail(&error, TIDE_NOT_FOUND, "no subscription '%s'", set->names[i]);
		else if (manager->is_threaded)
			(void)group_wait_stopped(manager, set->items[i], control_save_until(until),
						 &error);
		if (error.status != TIDE_OK && first == TIDE_OK) {
			first = error.status;
			if (err)
				*err = error;
		}
	}
	return first;
}

static tide_status manager_stop_some(struct tide_manager *manager, const char *const *names,
				     double limit_seconds, struct tide_error *err)
{
	struct manager_set set;
	tide_status status = manager_pin(manager, names, &set, err);
	if (status != TIDE_OK)
		return status;
	status = manager_stop_set(manager, &set, limit_seconds, err);
	manager_unpin(manager, &set);
	return status;
}

/* The sequence of a shutdown, without signals and hooks. A request that nobody has obeyed is obeyed
 * by it. */
static tide_status manager_stop_all(struct tide_manager *manager, double limit_seconds,
				    struct tide_error *err)
{
	struct shutdown_run run = { .manager = manager, .is_plain = true };
	if (limit_seconds > 0)
		run.deadline =
			mono_add(clock_mono(manager->engine.clock), ns_of_seconds(limit_seconds));
	tide_status status = shutdown_through(&run, err);
	if (status != TIDE_OK)
		return status;
	if (!atomic_load(&manager->shutdown.is_running))
		shutdown_forget_request(manager);
	if (run.result.error.status != TIDE_OK && err)
		*err = run.result.error;
	return run.result.error.status;
}

tide_status tide_manager_stop(struct tide_manager *manager, const char *const *names,
			      double limit_seconds, struct tide_error *err)
{
	if (!manager)
		return tide_fail(err, TIDE_ARGUMENT, "manager is NULL");
	tide_status status = manager_check_thread(manager, "stop subscriptions", err);
	if (status != TIDE_OK)
		return status;
	if (names)
		return manager_stop_some(manager, names, limit_seconds, err);

	bool is_first = manager_begin_stop(manager);
	if (is_first && manager->is_threaded && tide_manager_is_running(manager))
		status = manager_stop_all(manager, limit_seconds, err);
	else
		status = manager_stop_some(manager, NULL, limit_seconds, err);
	if (!manager->is_threaded)
		atomic_store(&manager->is_running, false);
	manager_end_stop(manager);
	return status;
}

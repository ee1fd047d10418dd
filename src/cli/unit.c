/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store and its projections under `tide run`: one thread, one manager.
 *
 * Happy path: the store and the database of the read models are opened, what is wanted is
 * subscribed and started; a reload brings another list, and only what differs is stopped or
 * started; a request for shutdown runs the manager's sequence. Failure modes: what cannot be opened
 * is tried again, with a delay that doubles up to 30 s; a projection that cannot be stopped in time
 * goes on as it was and is tried again; one that is refused waits for the next reload. All of it is
 * logged.
 */
#include <string.h>
#include <unistd.h>

#include "cli/daemon.h"
#include "project/sql.h"
#include "supervise/shutdown.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define UNIT_DELAY_FIRST 0.5
#define UNIT_DELAY_LONGEST 30.0
#define UNIT_AGAIN 1.0 /* seconds until a projection that did not stop is asked again */

static void unit_ring_main(const struct unit *unit)
{
	uint64_t one = 1;
	ssize_t written = write(unit->bell, &one, sizeof one);
	(void)written; /* full means rung already */
}

static bool unit_is_ending(const struct unit *unit)
{
	return atomic_load(&unit->reason) != TIDE_SHUTDOWN_NONE;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* What it was is looked at by the unit's own thread. */
static void unit_on_error(void *self, const struct tide_error_record *record)
{
	struct unit *unit = self;
	(void)record;
	wakeup_ring(&unit->wakeup, 1);
}

static tide_status unit_open_manager(struct unit *unit, struct tide_error *err)
{
	struct tide_manager *manager = NULL;
	tide_status status = tide_manager_open(
		TIDE_MANAGER(.store = unit->store, .checkpoints = unit->checkpoints,
			     .shutdown_timeout = unit->daemon.shutdown_timeout,
			     .drain_timeout = unit->daemon.drain_timeout,
			     .lease_seconds = unit->daemon.lease_seconds, .health = &unit->health),
		&manager, err);
	int64_t id;
	if (status == TIDE_OK)
		status = tide_manager_on_error(manager, TIDE_ERRORS_ALL, 0, unit_on_error, unit,
					       &id, err);
	if (status != TIDE_OK) {
		tide_manager_close(manager);
		return status;
	}

	status = sources_attach(unit->sources, unit->name, manager, err);
	if (status != TIDE_OK) {
		tide_manager_close(manager);
		return status;
	}
	mutex_lock(&unit->lock);
	unit->manager = manager;
	mutex_unlock(&unit->lock);
	return TIDE_OK;
}

static void unit_close(struct unit *unit)
{
	struct tide_manager *manager = unit->manager;
	mutex_lock(&unit->lock);
	unit->manager = NULL;
	mutex_unlock(&unit->lock);
	tide_manager_close(manager);
	tide_checkpoints_close(unit->checkpoints);
	tide_store_close(unit->store);
	unit->checkpoints = NULL;
	unit->store = NULL;
}

static tide_status unit_open(struct unit *unit, struct tide_error *err)
{
	tide_status status = tide_store_open(unit->url, NULL, &unit->store, err);
	if (status == TIDE_OK)
		status = tide_checkpoints_open(unit->into,
					       TIDE_STORE_OPTIONS(.initialize = unit->into != NULL),
					       unit->store, &unit->checkpoints, err);
	if (status == TIDE_OK)
		status = unit_open_manager(unit, err);
	if (status != TIDE_OK)
		unit_close(unit);
	return status;
}

/* One try; whether it is open. A failure is told once, and again when it is another one. */
static bool unit_try(struct unit *unit)
{
	struct tide_error err;
	if (unit_open(unit, &err) == TIDE_OK) {
		if (unit->error.status != TIDE_OK)
			log_at(TIDE_LOG_NOTICE, "daemon", "store is there", "store='%s'",
			       unit->name);
		unit->error.status = TIDE_OK;
		return true;
	}

	if (unit->error.status == TIDE_OK || strcmp(unit->error.message, err.message) != 0)
		log_at(TIDE_LOG_ERROR, "daemon", "store cannot be opened; trying again",
		       "store='%s' error='%s'", unit->name, err.message);
	unit->error = err;
	unit->delay = unit->delay > 0 ? unit->delay * 2 : UNIT_DELAY_FIRST;
	if (unit->delay > UNIT_DELAY_LONGEST)
		unit->delay = UNIT_DELAY_LONGEST;
	return false;
}

/* ---- What runs ------------------------------------------------------------------------------- */

static bool unit_is_unchanged(const struct config_projection *a, const struct config_projection *b)
{
	return strcmp(a->name, b->name) == 0 && a->text.size == b->text.size &&
	       memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

/* Whether the list has this one as it is; it is taken off then. */
static bool unit_take_same(const struct config_projection *projection,
			   struct config_projection **list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!list[i] || !unit_is_unchanged(list[i], projection))
			continue;
		config_projection_free(list[i]);
		list[i] = NULL;
		return true;
	}
	return false;
}

static void unit_free_list(struct config_projection **list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		config_projection_free(list[i]);
	tide_free(list);
}

/* Take what is wanted: who runs and is not on the list is to leave, who is on it and does not run
 * waits. */
static void unit_plan(struct unit *unit)
{
	mutex_lock(&unit->lock);
	struct config_projection **wanted = unit->wanted;
	size_t count = unit->wanted_count;
	bool has_wanted = unit->has_wanted;
	unit->wanted = NULL;
	unit->has_wanted = false;
	mutex_unlock(&unit->lock);

	if (!has_wanted)
		return;
	for (size_t i = 0; i < unit->run_count; i++)
		unit->runs[i].is_leaving =
			!unit_take_same(unit->runs[i].projection, wanted, count) ||
			!unit->runs[i].is_subscribed;
	unit_free_list(unit->waiting, unit->waiting_count);
	unit->waiting = wanted;
	unit->waiting_count = count;
}

/* Stop one with its final checkpoint; whether it is gone. */
static bool unit_end_run(struct unit *unit, struct unit_run *run)
{
	struct tide_error err;
	if (!run->is_subscribed)
		return true;
	tide_status status = tide_manager_unsubscribe(unit->manager, run->projection->name, &err);
	if (status == TIDE_OK || status == TIDE_NOT_FOUND) {
		log_at(TIDE_LOG_NOTICE, "daemon", "projection stopped", "name='%s' store='%s'",
		       run->projection->name, unit->name);
		return true;
	}
	log_at(TIDE_LOG_ERROR, "daemon", "projection does not stop; trying again",
	       "name='%s' error='%s'", run->projection->name, err.message);
	return false;
}

static void unit_end_leaving(struct unit *unit)
{
	for (size_t i = unit->run_count; i-- > 0;) {
		if (!unit->runs[i].is_leaving || !unit_end_run(unit, &unit->runs[i]))
			continue;
		config_projection_free(unit->runs[i].projection);
		unit->run_count--;
		memmove(&unit->runs[i], &unit->runs[i + 1],
			(unit->run_count - i) * sizeof *unit->runs);
	}
}

static void unit_subscribe(struct unit *unit, struct unit_run *run)
{
	struct config_projection *projection = run->projection;
	struct tide_error err;
	const struct tide_subscriber *subscriber =
		projection->program ? tide_command_projection_subscriber(projection->program)
				    : tide_sql_projection_subscriber(projection->sql);
	tide_status status =
		tide_manager_subscribe(unit->manager, subscriber, &projection->config, NULL, &err);

	run->is_subscribed = tide_manager_subscription(unit->manager, projection->name) != NULL;
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "daemon", "projection started", "name='%s' store='%s'",
		       projection->name, unit->name);
	else
		log_at(TIDE_LOG_ERROR, "daemon", "projection did not start",
		       "name='%s' store='%s' error='%s'", projection->name, unit->name,
		       err.message);
}

static bool unit_runs(const struct unit *unit, const char *name)
{
	for (size_t i = 0; i < unit->run_count; i++)
		if (strcmp(unit->runs[i].projection->name, name) == 0)
			return true;
	return false;
}

/* Begin those that wait, but for one whose older self has not stopped yet. */
static void unit_begin_waiting(struct unit *unit)
{
	for (size_t i = 0; i < unit->waiting_count && !unit_is_ending(unit); i++) {
		struct config_projection *projection = unit->waiting[i];
		if (!projection || unit_runs(unit, projection->name))
			continue;
		struct unit_run *runs = alloc_resize(unit->runs, unit->run_count + 1, sizeof *runs);
		if (!runs)
			return;
		unit->runs = runs;
		runs[unit->run_count] = (struct unit_run){ .projection = projection };
		unit->waiting[i] = NULL;
		unit_subscribe(unit, &runs[unit->run_count++]);
	}
}

/* Whether something is left to be brought about. */
static bool unit_is_behind(const struct unit *unit)
{
	for (size_t i = 0; i < unit->run_count; i++)
		if (unit->runs[i].is_leaving)
			return true;
	for (size_t i = 0; i < unit->waiting_count; i++)
		if (unit->waiting[i])
			return true;
	return false;
}

/* The manager starts with all that is there first; what comes later starts as it is subscribed.
 * Nobody waits for a database here. */
static void unit_start_manager(struct unit *unit)
{
	struct tide_error err;
	if (tide_manager_is_running(unit->manager) || unit->run_count == 0)
		return;
	if (manager_start(unit->manager, NULL, (struct start_wait){ START_UNTIL_BEGUN, 0 }, NULL,
			  NULL, &err) != TIDE_OK)
		log_at(TIDE_LOG_ERROR, "daemon", "a projection did not start",
		       "store='%s' error='%s'", unit->name, err.message);
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* Show what waits for the store, and why. */
static void unit_show_waiting(struct unit *unit)
{
	const char **names ALLOC_AUTO = alloc_zero(unit->waiting_count + 1, sizeof *names);
	size_t count = 0;
	for (size_t i = 0; names && i < unit->waiting_count; i++)
		if (unit->waiting[i])
			names[count++] = unit->waiting[i]->name;
	if (names)
		sources_wait(unit->sources, unit->name, names, count, &unit->error);
}

/* A projection that was rebuilt beside by another process has ended; its file is to be read
 * again, once. */
static void unit_look_stale(struct unit *unit)
{
	for (size_t i = 0; i < unit->run_count; i++) {
		const struct config_projection *projection = unit->runs[i].projection;
		if (!projection->sql || !atomic_exchange(&projection->sql->script.is_stale, false))
			continue;
		log_at(TIDE_LOG_NOTICE, "daemon", "projection was rebuilt; its file is read again",
		       "name='%s' store='%s'", projection->name, unit->name);
		atomic_store(&unit->is_stale, true);
	}
}

/* Do what is due; when to look again. */
static struct mono_time unit_step(struct unit *unit)
{
	struct mono_time now = clock_mono(&clock_system);
	unit_plan(unit);
	if (!unit->manager)
		unit_show_waiting(unit);
	if (!unit->manager && now.ns < unit->next_try.ns)
		return unit->next_try;
	if (!unit->manager && !unit_try(unit)) {
		unit_show_waiting(unit);
		unit->next_try = mono_add(clock_mono(&clock_system), ns_of_seconds(unit->delay));
		return unit->next_try;
	}

	unit_look_stale(unit);
	unit_end_leaving(unit);
	unit_begin_waiting(unit);
	unit_start_manager(unit);
	return unit_is_behind(unit) ? mono_add(clock_mono(&clock_system), ns_of_seconds(UNIT_AGAIN))
				    : MONO_NEVER;
}

static void unit_shut_down(struct unit *unit)
{
	struct tide_error err;
	if (!unit->manager)
		return;
	tide_manager_request_shutdown(unit->manager,
				      (enum tide_shutdown_reason)atomic_load(&unit->reason));
	if (manager_shut_down(unit->manager, &unit->result, &err) != TIDE_OK)
		unit->result.error = err;
}

static void unit_live(void *self)
{
	struct unit *unit = self;

	while (!unit_is_ending(unit)) {
		wakeup_reset(&unit->wakeup);
		if (unit_is_ending(unit))
			break;
		struct mono_time next = unit_step(unit);
		atomic_store(&unit->has_tried, true);
		unit_ring_main(unit);
		wakeup_wait(&unit->wakeup, next);
	}
	unit_shut_down(unit);
	(void)sources_detach(unit->sources, unit->name, MONO_NEVER);
	atomic_store(&unit->is_ended, true);
	unit_ring_main(unit);
}

/* ---- From outside ---------------------------------------------------------------------------- */

static bool unit_is_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool unit_is_same(const struct unit *unit, const struct config *config,
		  const struct config_store *store)
{
	const struct config_daemon *a = &unit->daemon, *b = &config->daemon;
	const struct tide_health_config *mine = &unit->health, *theirs = &config->health;
	return unit_is_text(unit->name, store->name) && unit_is_text(unit->url, store->url) &&
	       unit_is_text(unit->into, store->into) &&
	       a->shutdown_timeout == b->shutdown_timeout && a->drain_timeout == b->drain_timeout &&
	       a->lease_seconds == b->lease_seconds &&
	       mine->max_error_rate_per_minute == theirs->max_error_rate_per_minute &&
	       mine->max_errors_warning == theirs->max_errors_warning &&
	       mine->max_errors_critical == theirs->max_errors_critical &&
	       mine->max_lag_events_warning == theirs->max_lag_events_warning &&
	       mine->max_lag_events_critical == theirs->max_lag_events_critical &&
	       mine->max_dlq_events_warning == theirs->max_dlq_events_warning &&
	       mine->max_dlq_events_critical == theirs->max_dlq_events_critical &&
	       mine->backpressure_warning_seconds == theirs->backpressure_warning_seconds &&
	       mine->backpressure_critical_seconds == theirs->backpressure_critical_seconds &&
	       mine->circuit_open_is_unhealthy == theirs->circuit_open_is_unhealthy;
}

static void unit_release(struct unit *unit)
{
	for (size_t i = 0; i < unit->run_count; i++)
		config_projection_free(unit->runs[i].projection);
	unit_free_list(unit->waiting, unit->waiting_count);
	unit_free_list(unit->wanted, unit->wanted_count);
	tide_free(unit->runs);
	tide_free(unit->name);
	tide_free(unit->url);
	tide_free(unit->into);
	wakeup_fini(&unit->wakeup);
	mutex_fini(&unit->lock);
	tide_free(unit);
}

tide_status unit_start(const struct config *config, const struct config_store *store, int bell,
		       struct http_sources *sources, struct unit **ret, struct tide_error *err)
{
	struct unit *unit = alloc_zero(1, sizeof *unit);
	if (!unit)
		return alloc_fail(err);

	unit->daemon = config->daemon;
	unit->daemon.http = (struct config_http){ 0 }; /* the daemon's own */
	unit->sources = sources;
	unit->health = config->health;
	unit->bell = bell;
	mutex_init(&unit->lock, LOCK_UNIT);
	wakeup_init(&unit->wakeup);
	unit->name = alloc_text(store->name, strlen(store->name));
	unit->url = alloc_text(store->url, strlen(store->url));
	unit->into = store->into ? alloc_text(store->into, strlen(store->into)) : NULL;
	tide_status status =
		unit->name && unit->url && (unit->into || !store->into) ? TIDE_OK : alloc_fail(err);
	if (status == TIDE_OK) /* stores are shown in the order of the configuration */
		sources_wait(sources, unit->name, NULL, 0, &unit->error);
	if (status == TIDE_OK)
		status = thread_start(&unit->thread, "tide store", unit_live, unit, err);
	if (status == TIDE_OK)
		*ret = unit;
	else
		unit_release(unit);
	return status;
}

tide_status unit_want(struct unit *unit, struct config *config, struct tide_error *err)
{
	struct config_projection **list = alloc_zero(config->projection_count + 1, sizeof *list),
				 **old;
	size_t count = 0, old_count;
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < config->projection_count; i++) {
		if (!config->projections[i] ||
		    strcmp(config->projections[i]->store, unit->name) != 0)
			continue;
		list[count++] = config->projections[i];
		config->projections[i] = NULL;
	}

	mutex_lock(&unit->lock);
	old = unit->wanted;
	old_count = unit->wanted_count;
	unit->wanted = list;
	unit->wanted_count = count;
	unit->has_wanted = true;
	mutex_unlock(&unit->lock);

	unit_free_list(old, old_count);
	wakeup_ring(&unit->wakeup, 1);
	return TIDE_OK;
}

void unit_stop(struct unit *unit, enum tide_shutdown_reason reason)
{
	int none = TIDE_SHUTDOWN_NONE;
	atomic_compare_exchange_strong(&unit->reason, &none, (int)reason);
	wakeup_ring(&unit->wakeup, 1);
}

void unit_force(struct unit *unit)
{
	mutex_lock(&unit->lock);
	if (unit->manager)
		manager_force(unit->manager);
	mutex_unlock(&unit->lock);
}

void unit_free(struct unit *unit)
{
	thread_join(&unit->thread);
	unit_close(unit);
	unit_release(unit);
}

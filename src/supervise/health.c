/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding out how a manager is, whatever hangs.
 *
 * Happy path: the probe's thread asks the databases; the registry and each subscription are looked
 * at under their locks; health_judge.c judges. Failure modes: a database hangs: after a second its
 * last answer is used and marked stale. A lock is not to be had: the subscription, or with the
 * registry's the whole manager, is reported as not responsive, with what is known without it;
 * liveness says that the process had better be restarted. Every answer is there within 1.5 seconds.
 */
#include "supervise/health.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/json.h"
#include "path/reason.h"
#include "path/statistics.h"
#include "policy/why.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

#define HEALTH_DATABASE_NS NS_PER_SECOND /* the most that a database is waited for */
#define HEALTH_LOCK_NS (250 * NS_PER_MS) /* the most that locks are, after it */
#define HEALTH_LIVENESS_NS NS_PER_SECOND /* the most that liveness waits for locks */

static struct mono_time health_deadline(int64_t ns)
{
	return mono_add(clock_mono(&clock_system), ns);
}

static struct probe_answer health_ask(struct tide_manager *manager)
{
	int64_t limit = manager->engine.probe_ns < HEALTH_DATABASE_NS ? manager->engine.probe_ns
								      : HEALTH_DATABASE_NS;
	return probe_ask(&manager->engine.probe, limit);
}

static tide_status health_check(const struct tide_manager *manager, const void *ret,
				struct tide_error *err)
{
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	return TIDE_OK;
}

/* ---- One subscription ------------------------------------------------------------------------ */

static void health_look_elsewhere_locked(struct tide_subscription *lane, struct mono_time now,
					 struct tide_subscription_health *ret)
	TIDE_REQUIRES(lane->lock)
{
	assert(mutex_is_mine(&lane->lock));
	const struct lane_elsewhere *elsewhere = &lane->lanes.elsewhere;
	int64_t patience = 2 * ns_of_seconds(lane->engine->lease_seconds);
	if (elsewhere->owner != LANE_UNOWNED || mono_since(now, elsewhere->unowned_at) < patience)
		return;
	memcpy(ret->unowned_lane, lane->name, sizeof ret->unowned_lane);
	ret->unowned_since = elsewhere->unowned_since;
	if (why_weight(elsewhere->cause) <= why_weight(ret->cause))
		return;
	ret->cause = elsewhere->cause;
	memcpy(ret->reason, elsewhere->reason, sizeof ret->reason);
}

static void health_look_locked(struct tide_subscription *subscription,
			       const struct probe_answer *answer,
			       struct tide_subscription_health *ret)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct tide_subscription_status status;
	subscription_snapshot_locked(subscription, answer, &status);
	struct mono_time now = clock_mono(subscription->engine->clock);

	ret->state = status.state;
	ret->standby = status.standby;
	ret->events_processed = status.events_processed;
	ret->events_failed = status.events_failed;
	ret->error_rate_per_minute = (double)rate_per_minute(&subscription->errors.rate, now);
	ret->last_error = status.error;
	ret->uptime_seconds = status.uptime_seconds;
	ret->lag_events = status.lag_events;
	ret->lag_stale = status.lag_stale;
	ret->lag_known = status.lag_known;
	memcpy(ret->waiting_for, status.waiting_for, sizeof ret->waiting_for);
	memcpy(ret->paused_by, status.paused_by, sizeof ret->paused_by);
	memcpy(ret->pause_note, status.pause_note, sizeof ret->pause_note);
	ret->paused_at = status.paused_at;
	ret->backpressure = status.backpressure;
	if (status.backpressure && status.state == TIDE_STATE_LIVE)
		ret->backpressure_seconds =
			seconds_of_ns(mono_since(now, subscription->backpressured_since));
	ret->in_flight = status.in_flight;
	ret->in_flight_peak = status.in_flight_peak;
	ret->pause_count = subscription->flow.pause_count;
	ret->handler_breaker = breaker_status_of(&subscription->breakers.handler);
	ret->infra_breaker = breaker_status_of(&subscription->breakers.infra);
}

/* The one that has been away longest, of those that are. */
static struct availability stores_worst(const struct availability stores[DATABASES])
{
	return availability_worse(&stores[DATABASE_FEED], &stores[DATABASE_CHECKPOINTS]);
}

/* The engine's clock, which the runner looks at, and the probe's are the same but in
 * simulations. */
static double stores_seconds(struct tide_manager *manager, const struct availability *worst)
{
	return worst->state == TIDE_UNAVAILABLE
		       ? seconds_of_ns(mono_since(clock_mono(manager->engine.clock), worst->since))
		       : 0;
}

static void health_look_at_stores(struct tide_manager *manager,
				  const struct availability stores[DATABASES],
				  struct tide_subscription_health *ret)
{
	struct availability worst = stores_worst(stores);
	ret->feed = stores[DATABASE_FEED].state;
	ret->checkpoints = stores[DATABASE_CHECKPOINTS].state;
	ret->unavailable_seconds = stores_seconds(manager, &worst);
	if (worst.state == TIDE_UNAVAILABLE)
		ret->store_error = worst.error;
}

/* A database that the probe alone has found away keeps it from going on, too. */
static enum tide_cause health_cause_locked(const struct tide_subscription *subscription,
					   const struct availability *worst, struct mono_time now)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	enum tide_cause cause = reason_cause_locked(subscription, now);
	if (worst->state != TIDE_UNAVAILABLE || cause >= TIDE_CAUSE_DATABASE_AWAY)
		return cause;
	return worst->error.status == TIDE_DISK_FULL ? TIDE_CAUSE_DISK_FULL
						     : TIDE_CAUSE_DATABASE_AWAY;
}

/* Who ran it is who is asked. */
static void health_add_owner(struct tide_why *why)
{
	char host[256] = "";
	why_add_number(why, "pid", getpid());
	if (gethostname(host, sizeof host - 1) == 0)
		why_add_text(why, "host", host);
}

/* In the words of why.c, as far as no database has to be asked. */
static void health_explain_locked(struct tide_subscription *subscription,
				  const struct availability *worst,
				  struct tide_subscription_health *ret)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct clock *clock = subscription->engine->clock;
	struct mono_time now = clock_mono(clock);
	struct tide_why why = { 0 };
	ret->cause = health_cause_locked(subscription, worst, now);
	bool has_run = subscription->span.number > 0;
	if (!has_run || ret->cause == TIDE_CAUSE_LIVE || ret->cause == TIDE_CAUSE_CATCHING_UP)
		return;

	reason_fill_locked(subscription, ret->cause, now, clock_wall(clock), &why);
	memcpy(why.name, ret->name, sizeof why.name);
	if (worst->state == TIDE_UNAVAILABLE && !tide_why_evidence(&why, "error"))
		why_add_error(&why, &worst->error);
	if (ret->lag_events > 0 && !ret->lag_stale)
		why_add_number(&why, "lag_events", (double)ret->lag_events);
	if (ret->state == TIDE_STATE_ERROR ||
	    (ret->state == TIDE_STATE_STOPPED && subscription->start_stage >= START_RESOLVED))
		health_add_owner(&why);
	why_say(&why);
	memcpy(ret->reason, why.reason, sizeof ret->reason);
}

/* Without a lock: the handler may be the one who does not let go of something. */
static void health_look_at_hand(struct tide_subscription *subscription,
				struct tide_subscription_health *ret)
{
	int64_t since = atomic_load(&subscription->hand.since);
	if (since == 0)
		return;
	int64_t now = clock_mono(subscription->engine->clock).ns;
	int64_t running = now - (since < 0 ? -since : since);
	ret->running_seconds = running > 0 ? seconds_of_ns(running) : 0;
	ret->running_position = atomic_load(&subscription->hand.position);
}

/* What is known of a subscription without its lock. */
static void health_begin(struct tide_manager *manager, const char *name,
			 struct tide_subscription_health *ret)
{
	memset(ret, 0, sizeof *ret);
	snprintf(ret->name, sizeof ret->name, "%s", name);
	ret->timestamp = clock_wall(manager->engine.clock);
	ret->lag_stale = true;
}

static void health_look(struct tide_manager *manager, struct tide_subscription *subscription,
			const struct probe_answer *answer, struct mono_time deadline,
			struct tide_subscription_health *ret) TIDE_UNCHECKED
{
	struct availability stores[DATABASES];
	health_begin(manager, subscription_title(subscription), ret);
	health_look_at_hand(subscription, ret);
	health_look_at_stores(manager, answer->stores, ret);
	ret->is_responsive = mutex_lock_until(&subscription->lock, deadline);
	if (!ret->is_responsive)
		return;
	health_look_locked(subscription, answer, ret);
	subscription_stores_locked(subscription, answer, stores);
	struct availability worst = stores_worst(stores);
	health_explain_locked(subscription, &worst, ret);
	health_look_elsewhere_locked(subscription, clock_mono(subscription->engine->clock), ret);
	mutex_unlock(&subscription->lock);
	health_look_at_stores(manager, stores, ret);
}

/* All of its lanes, where it has some. */
static void health_look_whole(struct tide_manager *manager, struct tide_subscription *subscription,
			      const struct probe_answer *answer, struct mono_time deadline,
			      struct tide_subscription_health *ret)
{
	struct tide_subscription_health one;
	health_look(manager, lane_at(subscription, 0), answer, deadline, ret);
	for (uint32_t i = 1; i < lane_count(subscription); i++) {
		health_look(manager, lane_at(subscription, i), answer, deadline, &one);
		health_fold(ret, &one);
	}
}

static void health_conclude(struct tide_manager *manager, double processing_timeout,
			    struct tide_subscription_health *health)
{
	health->dlq_count = probe_dead_letters(&manager->engine.probe, health->name, NULL);
	health_judge(health, &manager->health, processing_timeout);
}

tide_status tide_subscription_health(struct tide_manager *manager, const char *name,
				     struct tide_subscription_health *ret,
				     struct tide_error *err) TIDE_UNCHECKED
{
	if (!name)
		return tide_fail(err, TIDE_ARGUMENT, "name is NULL");
	tide_status status = health_check(manager, ret, err);
	if (status != TIDE_OK)
		return status;
	struct probe_answer answer = health_ask(manager);
	struct mono_time deadline = health_deadline(HEALTH_LOCK_NS);
	if (!mutex_lock_until(&manager->lock, deadline)) {
		health_begin(manager, name, ret);
		health_look_at_stores(manager, answer.stores, ret);
		health_conclude(manager, HUGE_VAL, ret);
		return TIDE_OK;
	}

	struct tide_subscription *subscription = manager_find_locked(manager, name);
	double timeout = subscription ? subscription->config.processing_timeout : 0;
	if (subscription)
		health_look_whole(manager, subscription, &answer, deadline, ret);
	mutex_unlock(&manager->lock);
	if (!subscription)
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);
	health_conclude(manager, timeout, ret);
	return TIDE_OK;
}

/* ---- All of them ----------------------------------------------------------------------------- */

void health_sum(struct tide_health *health)
{
	health->status = health->subscription_count ? TIDE_HEALTHY : TIDE_HEALTH_UNKNOWN;
	for (size_t i = 0; i < health->subscription_count; i++) {
		const struct tide_subscription_health *one = &health->subscriptions[i];
		enum tide_health_status status =
			one->status == TIDE_HEALTH_UNKNOWN ? TIDE_DEGRADED : one->status;
		health->healthy_count += status == TIDE_HEALTHY;
		health->degraded_count += status == TIDE_DEGRADED;
		health->unhealthy_count += status > TIDE_DEGRADED;
		health->total_events_processed += one->events_processed;
		health->total_events_failed += one->events_failed;
		health->total_lag_events += one->lag_events;
		if (status > health->status)
			health->status = status;
	}
}

static double health_uptime_locked(const struct tide_manager *manager) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	bool is_running = atomic_load(&manager->is_running);
	return is_running ? seconds_of_ns(mono_since(clock_mono(manager->engine.clock),
						     manager->started_at))
			  : 0;
}

/* `timeouts` has a slot for every subscription. */
static tide_status health_collect_locked(struct tide_manager *manager,
					 const struct probe_answer *answer,
					 struct mono_time deadline, struct tide_health *ret,
					 double **ret_timeouts, struct tide_error *err)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	size_t count = atomic_load(&manager->count);
	ret->running = atomic_load(&manager->is_running);
	ret->uptime_seconds = health_uptime_locked(manager);
	ret->subscriptions = alloc_zero(count + 1, sizeof *ret->subscriptions);
	*ret_timeouts = alloc_zero(count + 1, sizeof **ret_timeouts);
	if (!ret->subscriptions || !*ret_timeouts)
		return alloc_fail(err);

	struct tide_subscription *next = manager->subscriptions, *shown;
	while ((shown = manager_show_next(&next))) {
		size_t i = ret->subscription_count++;
		(*ret_timeouts)[i] = shown->config.processing_timeout;
		health_look_whole(manager, shown, answer, deadline, &ret->subscriptions[i]);
	}
	return TIDE_OK;
}

static struct tide_health health_without_lock(struct tide_manager *manager)
{
	return (struct tide_health){ .status = TIDE_UNHEALTHY,
				     .running = atomic_load(&manager->is_running),
				     .timestamp = clock_wall(manager->engine.clock),
				     .unhealthy_count = (int64_t)atomic_load(&manager->count) };
}

tide_status tide_manager_health(struct tide_manager *manager, struct tide_health *ret,
				struct tide_error *err) TIDE_UNCHECKED
{
	tide_status status = health_check(manager, ret, err);
	if (status != TIDE_OK)
		return status;
	struct probe_answer answer = health_ask(manager);
	struct mono_time deadline = health_deadline(HEALTH_LOCK_NS);
	struct tide_health health = { .timestamp = clock_wall(manager->engine.clock),
				      .is_responsive = true };
	double *timeouts ALLOC_AUTO = NULL;
	if (!mutex_lock_until(&manager->lock, deadline)) {
		*ret = health_without_lock(manager);
		return TIDE_OK;
	}

	status = health_collect_locked(manager, &answer, deadline, &health, &timeouts, err);
	mutex_unlock(&manager->lock);
	if (status != TIDE_OK) {
		tide_health_fini(&health);
		return status;
	}
	for (size_t i = 0; i < health.subscription_count; i++)
		health_conclude(manager, timeouts[i], &health.subscriptions[i]);
	health_sum(&health);
	*ret = health;
	return TIDE_OK;
}

void tide_health_fini(struct tide_health *health)
{
	if (!health)
		return;
	tide_free(health->subscriptions);
	*health = (struct tide_health){ 0 };
}

/* ---- Readiness ------------------------------------------------------------------------------- */

/* seconds that a database may be away before the manager is not ready any more */
#define READINESS_PATIENCE 5.0

/* Whether it keeps the manager from being ready: in error, or on its way. */
static bool readiness_concerns_lane(struct tide_subscription *subscription, bool errors,
				    struct mono_time deadline) TIDE_UNCHECKED
{
	if (!mutex_lock_until(&subscription->lock, deadline))
		return !errors; /* nobody knows: not ready */
	enum tide_state state = subscription->states.state;
	bool is_starting =
		state == TIDE_STATE_STARTING && subscription->ownership.state != OWNERSHIP_STANDBY;
	mutex_unlock(&subscription->lock);
	return errors ? state == TIDE_STATE_ERROR : is_starting;
}

static bool readiness_concerns(struct tide_subscription *subscription, bool errors,
			       struct mono_time deadline)
{
	bool is_found = false;
	for (uint32_t i = 0; !is_found && i < lane_count(subscription); i++)
		is_found = readiness_concerns_lane(lane_at(subscription, i), errors, deadline);
	return is_found;
}

static tide_status readiness_list_locked(struct tide_manager *manager, bool errors,
					 struct mono_time deadline, struct tide_readiness *ret,
					 struct tide_error *err) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	ret->lists_errors = errors;
	struct tide_subscription *next = manager->subscriptions, *shown;
	while ((shown = manager_show_next(&next))) {
		if (!readiness_concerns(shown, errors, deadline))
			continue;
		ret->names[ret->name_count] = alloc_text(shown->name, strlen(shown->name));
		if (!ret->names[ret->name_count])
			return alloc_fail(err);
		ret->name_count++;
	}
	return TIDE_OK;
}

/* The longest that a database of a subscription has been away; the probe alone tells of those
 * without their lock. */
static double readiness_unavailable_locked(struct tide_manager *manager,
					   const struct probe_answer *answer,
					   struct mono_time deadline) TIDE_UNCHECKED
{
	assert(mutex_is_mine(&manager->lock));
	struct availability worst = stores_worst(answer->stores), stores[DATABASES];
	for (struct tide_subscription *subscription = manager->subscriptions; subscription;
	     subscription = subscription->next) {
		if (!mutex_lock_until(&subscription->lock, deadline))
			continue;
		subscription_stores_locked(subscription, answer, stores);
		mutex_unlock(&subscription->lock);
		struct availability one = stores_worst(stores);
		worst = availability_worse(&worst, &one);
	}
	return stores_seconds(manager, &worst);
}

static tide_status readiness_collect_locked(struct tide_manager *manager,
					    const struct probe_answer *answer,
					    struct mono_time deadline, struct tide_readiness *ret,
					    struct tide_error *err) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	ret->names = alloc_zero(ret->subscription_count + 1, sizeof *ret->names);
	if (!ret->names)
		return alloc_fail(err);
	if (ret->shutting_down || !ret->running)
		return TIDE_OK;
	ret->unavailable_seconds = readiness_unavailable_locked(manager, answer, deadline);
	tide_status status = readiness_list_locked(manager, true, deadline, ret, err);
	if (status == TIDE_OK && ret->name_count == 0)
		status = readiness_list_locked(manager, false, deadline, ret, err);
	return status;
}

tide_status readiness_say(struct tide_readiness *ret, bool is_responsive, struct tide_error *err)
{
	const char *what = is_responsive ? "Manager is ready"
					 : "Internal lock not responsive (possible deadlock)";
	bool is_away = ret->unavailable_seconds > READINESS_PATIENCE;
	char away[64];

	snprintf(away, sizeof away, "Database unavailable for %lld s",
		 (long long)ret->unavailable_seconds);
	if (ret->shutting_down)
		what = "Manager is shutting down";
	else if (!ret->running)
		what = "Manager is not running";
	else if (ret->name_count > 0)
		what = ret->lists_errors ? "Subscriptions in error state: "
					 : "Subscriptions still starting: ";
	else if (is_away)
		what = away;
	ret->ready = is_responsive && !ret->shutting_down && ret->running && ret->name_count == 0 &&
		     !is_away;

	struct buffer buffer = { 0 };
	buffer_add(&buffer, what, strlen(what));
	for (size_t i = 0; i < ret->name_count; i++)
		buffer_format(&buffer, "%s%s", i ? ", " : "", ret->names[i]);
	return buffer_take(&buffer, &ret->reason, err);
}

tide_status tide_manager_readiness(struct tide_manager *manager, struct tide_readiness *ret,
				   struct tide_error *err) TIDE_UNCHECKED
{
	tide_status status = health_check(manager, ret, err);
	if (status != TIDE_OK)
		return status;
	struct tide_readiness readiness = { .timestamp = clock_wall(manager->engine.clock),
					    .running = atomic_load(&manager->is_running),
					    .shutting_down = manager_is_ending(manager),
					    .subscription_count = atomic_load(&manager->count) };
	struct probe_answer answer = { 0 };
	if (readiness.running && !readiness.shutting_down)
		answer = health_ask(manager);
	struct mono_time deadline = health_deadline(HEALTH_LOCK_NS);
	bool is_responsive = mutex_lock_until(&manager->lock, deadline);

	if (is_responsive) {
		status = readiness_collect_locked(manager, &answer, deadline, &readiness, err);
		mutex_unlock(&manager->lock);
	}
	if (status == TIDE_OK)
		status = readiness_say(&readiness, is_responsive, err);
	if (status == TIDE_OK)
		*ret = readiness;
	else
		tide_readiness_fini(&readiness);
	return status;
}

void tide_readiness_fini(struct tide_readiness *readiness)
{
	if (!readiness)
		return;
	for (size_t i = 0; i < readiness->name_count; i++)
		tide_free(readiness->names[i]);
	tide_free(readiness->names);
	tide_free(readiness->reason);
	*readiness = (struct tide_readiness){ 0 };
}

/* ---- Liveness -------------------------------------------------------------------------------- */

/* Whether every lock answers, and the first subscription whose thread has died. */
static bool liveness_look_locked(struct tide_manager *manager, struct mono_time deadline,
				 const char **ret_dead) TIDE_UNCHECKED
{
	assert(mutex_is_mine(&manager->lock));
	for (struct tide_subscription *subscription = manager->subscriptions; subscription;
	     subscription = subscription->next) {
		if (!mutex_lock_until(&subscription->lock, deadline))
			return false;
		if (subscription->run.thread == THREAD_DIED && !*ret_dead)
			*ret_dead = subscription->name;
		mutex_unlock(&subscription->lock);
	}
	return true;
}

tide_status tide_manager_liveness(struct tide_manager *manager, struct tide_liveness *ret,
				  struct tide_error *err) TIDE_UNCHECKED
{
	tide_status status = health_check(manager, ret, err);
	if (status != TIDE_OK)
		return status;
	struct mono_time deadline = health_deadline(HEALTH_LIVENESS_NS);
	struct tide_liveness liveness = { .timestamp = clock_wall(manager->engine.clock),
					  .running = atomic_load(&manager->is_running),
					  .subscription_count = atomic_load(&manager->count) };
	const char *what = "Internal lock not responsive (possible deadlock)", *dead = NULL;

	if (mutex_lock_until(&manager->lock, deadline)) {
		liveness.uptime_seconds = health_uptime_locked(manager);
		liveness.lock_responsive = liveness_look_locked(manager, deadline, &dead);
		if (dead)
			snprintf(liveness.reason, sizeof liveness.reason, "Worker thread died: %s",
				 dead);
		mutex_unlock(&manager->lock);
	}
	if (liveness.lock_responsive)
		what = "Manager is alive and responsive";
	if (!liveness.lock_responsive || !dead)
		snprintf(liveness.reason, sizeof liveness.reason, "%s", what);
	liveness.alive = liveness.lock_responsive && !dead;
	*ret = liveness;
	return TIDE_OK;
}

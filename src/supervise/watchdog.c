/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: one thread per manager that looks at every subscription now and then. It reports handlers past their time
 * while they still run, and renews leases, so that neither needs the subscription's own thread.
 *
 * Failure modes: a renewal finds another owner: the subscription is told and stops before its next event. A renewal fails:
 * it is tried again at the next look; the lease lasts several of them.
 */
#include "supervise/manager.h"

#include <string.h>

#include "sys/alloc.h"
#include "sys/log.h"

#define WATCHDOG_LOOK_NS (50 * NS_PER_MS)

/* Unless the ownership that was asked about has been released or followed by another meanwhile. */
static void watchdog_lose(struct tide_subscription *subscription, const struct tide_fence *fence)
{
	mutex_lock(&subscription->lock);
	bool is_lost = subscription->is_owned && subscription->owned.epoch == fence->epoch;
	subscription->is_lost = subscription->is_lost || is_lost;
	mutex_unlock(&subscription->lock);
	if (is_lost)
		subscription_nudge(subscription);
}

static void watchdog_renew(struct tide_manager *manager, struct tide_subscription *subscription)
{
	struct tide_store *database = manager->engine.checkpoints->database;
	mutex_lock(&subscription->lock);
	bool is_owned = subscription->is_owned;
	struct tide_fence fence = subscription->owned;
	mutex_unlock(&subscription->lock);
	void *session;
	struct tide_error err;
	if (!is_owned)
		return;
	tide_status status = store_borrow(database, &session, &err);
	if (status == TIDE_OK) {
		status = database->backend->checkpoint.lease_renew(session, &fence, &err);
		store_return(database, session, status);
	}
	if (status == TIDE_FENCED)
		watchdog_lose(subscription, &fence);
	else if (status != TIDE_OK)
		log_at(TIDE_LOG_WARNING, "subscription", "ownership not renewed", "name='%s' error='%s'",
		       subscription->name, err.message);
}

void watchdog_look(struct tide_manager *manager, struct mono_time now)
{
	struct manager_set set;
	if (manager_pin(manager, NULL, &set, NULL) != TIDE_OK)
		return;
	int64_t renew_ns = manager->engine.checkpoints->database->backend->checkpoint.lease_renew_ns;
	bool is_renewal = renew_ns > 0 && mono_since(now, manager->renewed_at) >= renew_ns;
	for (size_t i = 0; i < set.count; i++) {
		failure_report_late(set.items[i], now);
		if (is_renewal)
			watchdog_renew(manager, set.items[i]);
	}
	if (is_renewal)
		manager->renewed_at = now;
	manager_unpin(manager, &set);
}

static void watchdog_run(void *self)
{
	struct tide_manager *manager = self;
	engine_of_thread = &manager->engine; /* callbacks run here too */
	mutex_lock(&manager->lock);
	while (!manager->should_end_watch) {
		mutex_unlock(&manager->lock);
		struct mono_time now = clock_mono(manager->engine.clock);
		watchdog_look(manager, now);
		mutex_lock(&manager->lock);
		if (!manager->should_end_watch)
			(void)cond_wait_until(&manager->changed, &manager->lock, mono_add(now, WATCHDOG_LOOK_NS));
	}
	mutex_unlock(&manager->lock);
}

tide_status watchdog_start(struct tide_manager *manager, struct tide_error *err)
{
	mutex_lock(&manager->lock);
	bool is_needed = !manager->is_watching;
	manager->is_watching = true;
	manager->should_end_watch = false;
	mutex_unlock(&manager->lock);
	if (!is_needed)
		return TIDE_OK;
	manager->renewed_at = clock_mono(manager->engine.clock);
	tide_status status = thread_start(&manager->watchdog, "tide-watchdog", watchdog_run, manager, err);
	if (status != TIDE_OK) {
		mutex_lock(&manager->lock);
		manager->is_watching = false;
		mutex_unlock(&manager->lock);
	}
	return status;
}

void watchdog_stop(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	bool was_watching = manager->is_watching;
	manager->is_watching = false;
	manager->should_end_watch = true;
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
	if (was_watching)
		thread_join(&manager->watchdog);
}

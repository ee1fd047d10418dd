/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renewing leases beside the watchdog. Where ownership has no time a renewal is the look that finds an idle owner fenced.
 *
 * Happy path: the watchdog finds a lease due and starts a renewer; that one renews whatever is due, one after the other, and
 * ends when nothing is.
 * Failure modes: a renewal finds another owner: the subscription is told and stops before its next event. A renewal fails:
 * it is tried again before the lease runs out. A renewal hangs: after a second another renewer goes on with the rest, up to
 * a few, and nobody waits for the one that hangs but who destroys the manager.
 */
#include "supervise/manager.h"

#include <string.h>

#include "sys/alloc.h"
#include "sys/log.h"

#define RENEWAL_SLOW_NS NS_PER_SECOND /* so long in one renewal, and another renewer is needed */
#define RENEWAL_AGAIN 5               /* a failed one is tried again after this part of the interval */

/* What is renewed, without the subscription: it may be removed meanwhile. */
struct renewal {
	char name[TIDE_NAME_MAX + 1];
	struct tide_fence fence;
};

static int64_t renewal_interval(const struct tide_manager *manager)
{
	return manager->engine.checkpoints->database->backend->checkpoint.lease_renew_ns;
}

static bool renewal_is_due_locked(struct tide_subscription *subscription, struct mono_time now)
{
	mutex_lock(&subscription->lock);
	bool is_due = subscription->is_owned && !subscription->is_being_renewed && subscription->renew_at.ns <= now.ns;
	mutex_unlock(&subscription->lock);
	return is_due;
}

static struct tide_subscription *renewal_find_due_locked(const struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock)
{
	struct tide_subscription *subscription = manager->subscriptions;
	while (subscription && !renewal_is_due_locked(subscription, now))
		subscription = subscription->next;
	return subscription;
}

/* Only renewers look for what is due, under the registry's lock: nobody else takes it meanwhile. */
static bool renewal_take_locked(struct tide_manager *manager, struct mono_time now, struct renewal *ret)
	TIDE_REQUIRES(manager->lock)
{
	struct tide_subscription *subscription = renewal_find_due_locked(manager, now);
	if (!subscription)
		return false;
	memcpy(ret->name, subscription->name, sizeof ret->name);
	mutex_lock(&subscription->lock);
	ret->fence = subscription->owned;
	subscription->is_being_renewed = true;
	mutex_unlock(&subscription->lock);
	ret->fence.name = ret->name;
	return true;
}

static tide_status renewal_ask(struct tide_manager *manager, const struct renewal *renewal)
{
	struct tide_store *database = manager->engine.checkpoints->database;
	void *session;
	struct tide_error err;
	tide_status status = store_borrow(database, &session, &err);
	if (status == TIDE_OK) {
		status = database->backend->checkpoint.lease_renew(session, &renewal->fence, &err);
		store_return(database, session, status);
	}
	probe_note(&manager->engine.probe, DATABASE_CHECKPOINTS, status, &err);
	if (status != TIDE_OK && status != TIDE_FENCED)
		log_at(TIDE_LOG_WARNING, "subscription", "ownership not renewed", "name='%s' error='%s'", renewal->name,
		       err.message);
	return status;
}

/* Unless the ownership that was asked about has been released or followed by another meanwhile. */
static void renewal_note(struct tide_subscription *subscription, const struct renewal *renewal, tide_status status,
			 struct mono_time began, struct mono_time now)
{
	mutex_lock(&subscription->lock);
	struct mono_time again = status == TIDE_OK ? mono_add(began, subscription->renew_ns)
						   : mono_add(now, subscription->renew_ns / RENEWAL_AGAIN);
	bool is_same = subscription->is_owned && subscription->owned.epoch == renewal->fence.epoch;
	bool is_lost = is_same && status == TIDE_FENCED;
	subscription->is_being_renewed = false;
	subscription->is_lost = subscription->is_lost || is_lost;
	if (is_same)
		subscription->renew_at = again;
	if (is_same && status == TIDE_OK)
		atomic_store(&subscription->trust_until, mono_add(began, subscription->trust_ns).ns);
	mutex_unlock(&subscription->lock);
	if (is_lost)
		subscription_nudge(subscription);
}

static void renewal_put_locked(struct tide_manager *manager, const struct renewal *renewal, tide_status status,
			       struct mono_time began) TIDE_REQUIRES(manager->lock)
{
	struct tide_subscription *subscription = manager->subscriptions;
	while (subscription && memcmp(&subscription->owner, &renewal->fence.owner, sizeof subscription->owner) != 0)
		subscription = subscription->next;
	if (subscription)
		renewal_note(subscription, renewal, status, began, clock_mono(manager->engine.clock));
}

/* Renew what is due until nothing is; `renewer` NULL: in the caller's own thread. */
static void renewal_work_locked(struct tide_manager *manager, struct renewer *renewer) TIDE_REQUIRES(manager->lock)
{
	struct renewal renewal;
	struct mono_time began = clock_mono(manager->engine.clock);
	while (!(renewer && manager->should_end_watch) && renewal_take_locked(manager, began, &renewal)) {
		if (renewer)
			renewer->since = began;
		mutex_unlock(&manager->lock);
		tide_status status = renewal_ask(manager, &renewal);
		mutex_lock(&manager->lock);
		renewal_put_locked(manager, &renewal, status, began);
		began = clock_mono(manager->engine.clock);
	}
}

static void renewal_run(void *self)
{
	struct renewer *renewer = self;
	struct tide_manager *manager = renewer->manager;
	mutex_lock(&manager->lock);
	renewal_work_locked(manager, renewer);
	renewer->is_alive = false;
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
}

/* A free place for one more, when something is due and everybody who is at work is slow. */
static struct renewer *renewal_place_locked(struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock)
{
	struct renewer *free = NULL;
	for (size_t i = 0; i < MANAGER_RENEWERS; i++) {
		struct renewer *renewer = &manager->renewers[i];
		if (renewer->is_alive && mono_since(now, renewer->since) < RENEWAL_SLOW_NS)
			return NULL;
		if (!renewer->is_alive)
			free = renewer;
	}
	return free && renewal_find_due_locked(manager, now) ? free : NULL;
}

void renewal_look(struct tide_manager *manager, struct mono_time now)
{
	if (renewal_interval(manager) == 0)
		return;
	mutex_lock(&manager->lock);
	if (!manager->is_threaded)
		renewal_work_locked(manager, NULL);
	struct renewer *renewer = manager->is_threaded ? renewal_place_locked(manager, now) : NULL;
	if (renewer) {
		renewer->manager = manager;
		renewer->since = now;
		renewer->is_alive = true;
	}
	mutex_unlock(&manager->lock);
	if (!renewer)
		return;
	thread_join(&renewer->thread); /* of its last time: it has ended */
	if (thread_start(&renewer->thread, "tide-renewer", renewal_run, renewer, NULL) == TIDE_OK)
		return;
	mutex_lock(&manager->lock); /* the next look tries again */
	renewer->is_alive = false;
	mutex_unlock(&manager->lock);
}

bool renewal_is_over_locked(const struct tide_manager *manager)
{
	for (size_t i = 0; i < MANAGER_RENEWERS; i++)
		if (manager->renewers[i].is_alive)
			return false;
	return true;
}

void renewal_join(struct tide_manager *manager)
{
	for (size_t i = 0; i < MANAGER_RENEWERS; i++)
		thread_join(&manager->renewers[i].thread);
}

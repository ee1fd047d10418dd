/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: which subscriptions a manager has.
 *
 * Happy path: one is made, added at the end, found by its name, pinned while somebody works with
 * it, removed when its run is over and nobody does.
 * Failure modes: its handler does not return: it stays. Two remove it at once: one of them finds
 * nothing.
 */
#include "supervise/manager.h"

#include <string.h>

#include "sys/alloc.h"

static struct tide_subscription *manager_find_locked(struct tide_manager *manager, const char *name)
	TIDE_REQUIRES(manager->lock)
{
	struct tide_subscription *subscription = manager->subscriptions;
	while (subscription && strcmp(subscription->name, name) != 0)
		subscription = subscription->next;
	return subscription;
}

static size_t manager_set_size_locked(const struct tide_manager *manager, const char *const *names)
	TIDE_REQUIRES(manager->lock)
{
	size_t count = 0;
	while (names && names[count])
		count++;
	return names ? count : manager->count;
}

tide_status manager_pin(struct tide_manager *manager, const char *const *names,
			struct manager_set *ret, struct tide_error *err)
{
	*ret = (struct manager_set){ .names = names };
	mutex_lock(&manager->lock);
	size_t count = manager_set_size_locked(manager, names);
	ret->items = alloc_zero(count + 1, sizeof *ret->items);
	if (ret->items) {
		ret->count = count;
		struct tide_subscription *next = manager->subscriptions;
		for (size_t i = 0; i < count; i++) {
			ret->items[i] = names ? manager_find_locked(manager, names[i]) : next;
			next = names ? next : next->next;
		}
		manager->pins++;
	}

	mutex_unlock(&manager->lock);
	return ret->items ? TIDE_OK : alloc_fail(err);
}

void manager_pin_again(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	manager->pins++;
	mutex_unlock(&manager->lock);
}

void manager_unpin_one(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	if (--manager->pins == 0)
		cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
}

void manager_unpin(struct tide_manager *manager, struct manager_set *set)
{
	tide_free(set->items);
	set->items = NULL;
	manager_unpin_one(manager);
}

struct tide_subscription *manager_pin_one(struct tide_manager *manager, const char *name)
{
	if (!manager || !name)
		return NULL;
	mutex_lock(&manager->lock);
	struct tide_subscription *subscription = manager_find_locked(manager, name);
	manager->pins += subscription != NULL;
	mutex_unlock(&manager->lock);
	return subscription;
}

struct tide_subscription *tide_manager_subscription(struct tide_manager *manager, const char *name)
{
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (subscription)
		manager_unpin_one(manager);
	return subscription;
}

size_t tide_manager_count(struct tide_manager *manager)
{
	if (!manager)
		return 0;
	mutex_lock(&manager->lock);
	size_t count = manager->count;
	mutex_unlock(&manager->lock);
	return count;
}

bool tide_manager_is_running(struct tide_manager *manager)
{
	if (!manager)
		return false;
	mutex_lock(&manager->lock);
	bool is_running = manager->is_running;
	mutex_unlock(&manager->lock);
	return is_running;
}

double tide_manager_uptime(struct tide_manager *manager)
{
	if (!manager)
		return 0;
	mutex_lock(&manager->lock);
	int64_t ns = manager->is_running
			     ? mono_since(clock_mono(manager->engine.clock), manager->started_at)
			     : 0;
	mutex_unlock(&manager->lock);
	return seconds_of_ns(ns);
}

static tide_status manager_register(struct tide_manager *manager,
				    struct tide_subscription *subscription, bool *ret_is_running,
				    struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&manager->lock);
	if (manager_find_locked(manager, subscription->name)) {
		status = tide_fail(err, TIDE_ALREADY_EXISTS, "subscription '%s' exists already",
				   subscription->name);
	} else {
		struct tide_subscription **place = &manager->subscriptions;
		while (*place)
			place = &(*place)->next;
		*place = subscription;
		manager->count++;
		manager->pins++; /* until its subscriber has seen it started */
	}

	*ret_is_running = manager->is_running;
	mutex_unlock(&manager->lock);
	return status;
}

/* Make and register a subscription, pinned; begin its run on a running manager. An error with
 * `*ret` is that of the run. */
static tide_status manager_add(struct tide_manager *manager,
			       const struct tide_subscriber *subscriber,
			       const struct tide_subscription_config *config,
			       struct tide_subscription **ret, bool *ret_is_running,
			       struct tide_error *err)
{
	struct tide_subscription *subscription;
	tide_status status =
		subscription_new(&manager->engine, subscriber, config, &subscription, err);
	if (status != TIDE_OK)
		return status;
	status = manager_register(manager, subscription, ret_is_running, err);
	if (status != TIDE_OK) {
		subscription_free(subscription);
		return status;
	}
	*ret = subscription;
	return *ret_is_running ? control_start(manager, subscription, false, err) : TIDE_OK;
}

tide_status tide_manager_subscribe(struct tide_manager *manager,
				   const struct tide_subscriber *subscriber,
				   const struct tide_subscription_config *config,
				   struct tide_subscription **ret, struct tide_error *err)
{
	if (!manager || !subscriber)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 manager ? "subscriber" : "manager");

	struct tide_subscription *subscription = NULL;
	bool is_running = false;
	tide_status status = manager_begin_start(manager, false, err);
	if (status != TIDE_OK)
		return status;

	status = manager_add(manager, subscriber, config, &subscription, &is_running, err);
	manager_end_start(manager);
	if (!subscription)
		return status;
	if (ret)
		*ret = subscription;
	if (is_running && status == TIDE_OK && engine_of_thread != &manager->engine)
		status = control_wait_started(subscription, false, MONO_NEVER, err);
	manager_unpin_one(manager);
	return status;
}

/* Whether it was there: somebody else may have been faster. */
static bool manager_remove(struct tide_manager *manager, struct tide_subscription *subscription)
{
	mutex_lock(&manager->lock);
	struct tide_subscription **place = &manager->subscriptions;
	while (*place && *place != subscription)
		place = &(*place)->next;
	bool is_found = *place != NULL;
	if (is_found) {
		*place = subscription->next;
		manager->count--;
	}

	if (--manager->pins == 0) /* ours */
		cond_broadcast(&manager->changed);
	while (is_found && manager->pins > 0)
		cond_wait(&manager->changed, &manager->lock);
	mutex_unlock(&manager->lock);

	if (!is_found)
		return false;
	/* started meanwhile by somebody who had it pinned */
	control_ask_stop(subscription, MONO_NEVER);
	control_join(subscription);
	subscription_free(subscription);
	return true;
}

tide_status tide_manager_unsubscribe(struct tide_manager *manager, const char *name,
				     struct tide_error *err)
{
	if (!manager || !name)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "name" : "manager");
	tide_status status = manager_check_thread(manager, "unsubscribe", err);
	if (status != TIDE_OK)
		return status;

	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);

	int64_t limit = ns_of_seconds(subscription->config.shutdown_timeout);
	struct mono_time deadline = mono_add(clock_mono(manager->engine.clock), limit);
	struct tide_error why;
	control_ask_stop(subscription, deadline);
	if (control_wait_stopped(manager, subscription, control_save_until(deadline), &why) ==
	    TIDE_TIMEOUT) {
		manager_unpin_one(manager);
		return tide_fail(err, TIDE_BUSY, "%s", why.message);
	}

	return manager_remove(manager, subscription)
		       ? TIDE_OK
		       : tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);
}

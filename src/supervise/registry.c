/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: which subscriptions a manager has.
 *
 * Happy path: one is added at the end, found by its name, pinned while somebody works with it, and
 * removed when nobody does.
 * Failure modes: memory is out: nothing is pinned. Two remove it at once: one of them finds
 * nothing.
 */
#include "supervise/manager.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

static struct tide_subscription *manager_search(struct tide_subscription *list, const char *name)
{
	while (list && strcmp(list->name, name) != 0)
		list = list->next;
	return list;
}

struct tide_subscription *manager_find_locked(struct tide_manager *manager, const char *name)
{
	assert(mutex_is_mine(&manager->lock));
	struct tide_subscription *head = manager_search(manager->heads, name);
	struct tide_subscription *found =
		head ? head : manager_search(manager->subscriptions, name);
	return found && !found->lanes.head ? found : NULL; /* persons know no lane by its name */
}

struct tide_subscription *manager_find_owner_locked(struct tide_manager *manager,
						    const struct tide_fence *fence)
{
	assert(mutex_is_mine(&manager->lock));
	struct tide_subscription *found = manager_search(manager->subscriptions, fence->name);
	return found && tide_uuid_equal(&found->owner, &fence->owner) ? found : NULL;
}

static size_t manager_set_size_locked(const struct tide_manager *manager, const char *const *names)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
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
		for (size_t i = 0; i < count; i++)
			ret->items[i] = names ? manager_find_locked(manager, names[i])
					      : manager_show_next(&next);
		manager->pins++;
	}

	mutex_unlock(&manager->lock);
	return ret->items ? TIDE_OK : alloc_fail(err);
}

size_t manager_lanes_locked(const struct tide_manager *manager)
{
	assert(mutex_is_mine(&manager->lock));
	size_t count = 0;
	for (const struct tide_subscription *one = manager->subscriptions; one; one = one->next)
		count++;
	return count;
}

tide_status manager_pin_lanes(struct tide_manager *manager, struct manager_set *ret,
			      struct tide_error *err)
{
	*ret = (struct manager_set){ 0 };
	mutex_lock(&manager->lock);
	ret->items = alloc_zero(manager_lanes_locked(manager) + 1, sizeof *ret->items);
	for (struct tide_subscription *one = manager->subscriptions; ret->items && one;
	     one = one->next)
		ret->items[ret->count++] = one;
	manager->pins += ret->items != NULL;
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
	assert(manager->pins > 0);
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

static void manager_append(struct tide_subscription **list, struct tide_subscription *subscription)
{
	assert(!subscription->next);
	while (*list)
		list = &(*list)->next;
	*list = subscription;
}

static bool manager_take_out(struct tide_subscription **list,
			     struct tide_subscription *subscription)
{
	while (*list && *list != subscription)
		list = &(*list)->next;
	if (!*list)
		return false;
	*list = subscription->next;
	subscription->next = NULL;
	return true;
}

/* A name of it that is another's; NULL: none is. */
static const char *manager_taken_locked(const struct tide_manager *manager,
					struct tide_subscription *subscription)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	const char *name = subscription->name;
	if (manager_search(manager->heads, name) || manager_search(manager->subscriptions, name))
		return name;
	for (uint32_t i = 0; subscription->lanes.list && i < lane_count(subscription); i++)
		if (manager_search(manager->subscriptions, lane_at(subscription, i)->name))
			return lane_at(subscription, i)->name;
	return NULL;
}

tide_status manager_register(struct tide_manager *manager, struct tide_subscription *subscription,
			     bool *ret_is_running, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&manager->lock);
	const char *taken = manager_taken_locked(manager, subscription);
	if (taken) {
		status = tide_fail(err, TIDE_ALREADY_EXISTS, "subscription '%s' exists already",
				   taken);
	} else {
		for (uint32_t i = 0; i < lane_count(subscription); i++)
			manager_append(&manager->subscriptions, lane_at(subscription, i));
		if (subscription->lanes.list)
			manager_append(&manager->heads, subscription);
		manager->count++;
		manager->pins++; /* until its subscriber has seen it started */
	}

	*ret_is_running = manager->is_running;
	mutex_unlock(&manager->lock);
	return status;
}

bool manager_remove(struct tide_manager *manager, struct tide_subscription *subscription)
{
	mutex_lock(&manager->lock);
	assert(manager->pins > 0);
	bool is_found = true;
	for (uint32_t i = 0; is_found && i < lane_count(subscription); i++)
		is_found = manager_take_out(&manager->subscriptions, lane_at(subscription, i));
	if (is_found && subscription->lanes.list)
		is_found = manager_take_out(&manager->heads, subscription);
	if (is_found) {
		assert(manager->count > 0);
		manager->count--;
	}

	if (--manager->pins == 0) /* ours */
		cond_broadcast(&manager->changed);
	while (is_found && manager->pins > 0)
		cond_wait(&manager->changed, &manager->lock);
	mutex_unlock(&manager->lock);
	return is_found;
}

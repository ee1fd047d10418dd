/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bell of a store: it says "look again" and nothing else; no delivery depends on it.
 *
 * Happy path: an append commits, notifier_ring sets each waiter's wakeup. Commits of other
 * processes reach the listener thread through the backend's watch, and it rings the same bell.
 * Failure modes: the watch breaks: logged once, opened again after a second; meanwhile every
 * subscription polls anyway.
 */
#include "path/notify.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"
#include "sys/log.h"
#include "sys/thread.h"

#define NOTIFY_WAIT_NS NS_PER_SECOND

struct notifier {
	/* fixed after open */
	const struct tide_notify_ops *ops;
	void *state;

	/* under lock */
	struct mutex lock;
	struct cond changed;
	struct notify_link *links;
	void *watch;
	bool is_ending;
	bool is_starting; /* a thread is being started or joined by somebody */
	bool is_listening;

	atomic_int waiters;          /* number of links, read without the lock */
	atomic_uint_least64_t rings; /* hints that the feed may have grown, heard or not */
	struct thread thread;
};

tide_status notifier_new(const struct tide_backend *backend, void *state, struct notifier **ret,
			 struct tide_error *err)
{
	struct notifier *notifier = alloc_zero(1, sizeof *notifier);
	if (!notifier)
		return alloc_fail(err);
	notifier->ops = &backend->notify;
	notifier->state = state;
	mutex_init(&notifier->lock, LOCK_NOTIFIER);
	cond_init(&notifier->changed);
	*ret = notifier;
	return TIDE_OK;
}

void notifier_free(struct notifier *notifier)
{
	if (!notifier)
		return;
	cond_fini(&notifier->changed);
	mutex_fini(&notifier->lock);
	tide_free(notifier);
}

uint64_t notifier_rings(struct notifier *notifier)
{
	return atomic_load(&notifier->rings);
}

void notifier_ring(struct notifier *notifier, unsigned source)
{
	if (source != RING_TAIL)
		atomic_fetch_add(&notifier->rings, 1);
	if (atomic_load(&notifier->waiters) == 0)
		return;
	mutex_lock(&notifier->lock);
	for (struct notify_link *link = notifier->links; link; link = link->next)
		wakeup_ring(link->wakeup, source);
	mutex_unlock(&notifier->lock);
}

void notifier_ring_standby(struct notifier *notifier, const char *name)
{
	mutex_lock(&notifier->lock);
	for (struct notify_link *link = notifier->links; link; link = link->next)
		if (atomic_load(&link->is_asking) && strcmp(link->name, name) == 0)
			wakeup_ring(link->wakeup, RING_RELEASE);
	mutex_unlock(&notifier->lock);
}

static bool notifier_is_ending(struct notifier *notifier)
{
	mutex_lock(&notifier->lock);
	bool is_ending = notifier->is_ending;
	mutex_unlock(&notifier->lock);
	return is_ending;
}

/* Publish or withdraw the watch, so that an interrupt never meets a closed one. */
static void notifier_set_watch(struct notifier *notifier, void *watch)
{
	mutex_lock(&notifier->lock);
	notifier->watch = watch;
	mutex_unlock(&notifier->lock);
}

static tide_status notifier_listen(struct notifier *notifier, void *watch, struct tide_error *err)
{
	while (!notifier_is_ending(notifier)) {
		bool rang = false;
		tide_status status = notifier->ops->wait(watch, NOTIFY_WAIT_NS, &rang, err);
		if (status != TIDE_OK)
			return status;
		if (rang)
			notifier_ring(notifier, RING_NOTIFY);
	}
	return TIDE_OK;
}

static void notifier_rest(struct notifier *notifier)
{
	struct mono_time until = mono_add(clock_mono(&clock_system), NS_PER_SECOND);
	mutex_lock(&notifier->lock);
	while (!notifier->is_ending &&
	       cond_wait_until(&notifier->changed, &notifier->lock, until)) {
	}
	mutex_unlock(&notifier->lock);
}

static void notifier_run(void *self)
{
	struct notifier *notifier = self;
	bool is_reported = false;
	while (!notifier_is_ending(notifier)) {
		struct tide_error err;
		void *watch = NULL;
		tide_status status = notifier->ops->start(notifier->state, &watch, &err);
		if (status == TIDE_OK) {
			/* what happened before the watch began */
			notifier_ring(notifier, RING_NOTIFY);
			notifier_set_watch(notifier, watch);
			status = notifier_listen(notifier, watch, &err);
			notifier_set_watch(notifier, NULL);
			notifier->ops->stop(watch);
		}
		if (status != TIDE_OK && !is_reported)
			log_at(TIDE_LOG_WARNING, "store", "no notifications, polling instead",
			       "error='%s'", err.message);
		is_reported = status != TIDE_OK;
		if (status != TIDE_OK)
			notifier_rest(notifier);
	}
}

static void notifier_wait_locked(struct notifier *notifier) TIDE_REQUIRES(notifier->lock)
{
	assert(mutex_is_mine(&notifier->lock));
	while (notifier->is_starting)
		cond_wait(&notifier->changed, &notifier->lock);
}

/* Start or end the listener thread; one caller at a time, the lock is not held while joining. */
static tide_status notifier_follow(struct notifier *notifier, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&notifier->lock);
	notifier_wait_locked(notifier);
	bool should_listen = notifier->links && notifier->ops->start;
	if (should_listen != notifier->is_listening) {
		notifier->is_starting = true;
		notifier->is_ending = !should_listen;
		if (!should_listen && notifier->watch)
			notifier->ops->interrupt(notifier->watch);
		cond_broadcast(&notifier->changed);
		mutex_unlock(&notifier->lock);
		if (should_listen)
			status = thread_start(&notifier->thread, "tide-listener", notifier_run,
					      notifier, err);
		else
			thread_join(&notifier->thread);
		mutex_lock(&notifier->lock);
		notifier->is_listening = should_listen && status == TIDE_OK;
		notifier->is_starting = false;
		cond_broadcast(&notifier->changed);
	}

	mutex_unlock(&notifier->lock);
	return status;
}

tide_status notifier_add(struct notifier *notifier, struct notify_link *link,
			 struct tide_error *err)
{
	mutex_lock(&notifier->lock);
	link->next = notifier->links;
	notifier->links = link;
	atomic_fetch_add(&notifier->waiters, 1);
	mutex_unlock(&notifier->lock);
	tide_status status = notifier_follow(notifier, err);
	if (status != TIDE_OK)
		notifier_remove(notifier, link);
	return status;
}

void notifier_remove(struct notifier *notifier, struct notify_link *link)
{
	mutex_lock(&notifier->lock);
	for (struct notify_link **place = &notifier->links; *place; place = &(*place)->next)
		if (*place == link) {
			*place = link->next;
			atomic_fetch_sub(&notifier->waiters, 1);
			break;
		}
	mutex_unlock(&notifier->lock);
	(void)notifier_follow(notifier, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the watchdog has done beside it when it is due, by a thread that ends when it is done.
 *
 * Happy path: a look finds it due, takes it, and starts its thread; the next one finds it under
 * way, or done. Failure modes: there is no thread to be had: that is told, it is due still, and the
 * next look tries again.
 */
#include <assert.h>

#include "supervise/manager.h"
#include "sys/log.h"

bool chore_take_locked(struct tide_manager *manager, struct chore *chore)
{
	assert(mutex_is_mine(&manager->lock));
	bool is_taken = !chore->is_under_way;
	chore->is_under_way = true;
	return is_taken;
}

/* A failure and its end, each once. */
static void chore_tell(struct chore *chore, const char *name, tide_status status,
		       const struct tide_error *why)
{
	bool has_no_thread = status != TIDE_OK;
	if (has_no_thread == chore->has_no_thread)
		return;
	chore->has_no_thread = has_no_thread;
	if (has_no_thread)
		log_at(TIDE_LOG_WARNING, "subscription", "what is due waits for a thread",
		       "error='%s'", why->message);
	else
		log_at(TIDE_LOG_NOTICE, "subscription", "what was due has a thread again",
		       "thread='%s'", name);
}

void chore_start(struct tide_manager *manager, struct chore *chore, const char *name,
		 void (*run)(void *self))
{
	struct tide_error err;
	thread_join(&chore->thread); /* of its last time: it has ended */
	tide_status status = thread_start(&chore->thread, name, run, manager, &err);
	chore_tell(chore, name, status, &err);
	if (status == TIDE_OK)
		return;
	mutex_lock(&manager->lock);
	chore_done_locked(manager, chore);
	mutex_unlock(&manager->lock);
}

void chore_done_locked(struct tide_manager *manager, struct chore *chore)
{
	assert(mutex_is_mine(&manager->lock) && chore->is_under_way);
	chore->is_under_way = false;
	cond_broadcast(&manager->changed);
}

void chore_join(struct chore *chore)
{
	thread_join(&chore->thread);
	assert(!chore->is_under_way);
}

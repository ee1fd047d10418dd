/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the watchdog has done beside it when it is due, by a thread that ends when it is done.
 *
 * Happy path: a look finds it due, takes it, and starts its thread; the next one finds it under
 * way, or done. Failure modes: there is no thread to be had: it is due still, and the next look
 * tries again.
 */
#include <assert.h>

#include "supervise/manager.h"

bool chore_take_locked(struct tide_manager *manager, struct chore *chore)
{
	assert(mutex_is_mine(&manager->lock));
	bool is_taken = !chore->is_under_way;
	chore->is_under_way = true;
	return is_taken;
}

void chore_start(struct tide_manager *manager, struct chore *chore, const char *name,
		 void (*run)(void *self))
{
	thread_join(&chore->thread); /* of its last time: it has ended */
	if (thread_start(&chore->thread, name, run, manager, NULL) == TIDE_OK)
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

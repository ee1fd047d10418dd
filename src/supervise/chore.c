/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the watchdog has done beside it when it is due, by a thread that ends when it is done.
 *
 * Happy path: a look finds it due, takes it, and starts its thread; the next one finds it under
 * way, or done. Failure modes: there is no thread to be had: whoever took it tells so as of any
 * other failure of it, and gives it back; it is due still, and a later look tries again.
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

tide_status chore_start(struct tide_manager *manager, struct chore *chore, const char *name,
			void (*run)(void *self), struct tide_error *err)
{
	thread_join(&chore->thread); /* of its last time: it has ended */
	return thread_start(&chore->thread, name, run, manager, err);
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

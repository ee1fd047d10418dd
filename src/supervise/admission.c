/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may begin something on a manager, and when.
 *
 * Happy path: a start begins and ends; a stop of everything waits for those that have begun.
 * Failure modes: everything is being stopped, or that was asked for: a start is refused. A handler
 * or callback asks for what would wait for itself: refused.
 */
#include "supervise/manager.h"

#include <assert.h>

tide_status manager_check_thread(const struct tide_manager *manager, const char *what,
				 struct tide_error *err)
{
	if (engine_of_thread != &manager->engine)
		return TIDE_OK;
	return tide_fail(err, TIDE_DEADLOCK, "a handler or callback of this manager may not %s",
			 what);
}

bool manager_is_shutting_down(const struct tide_manager *manager)
{
	return atomic_load(&manager->shutdown.reason) != TIDE_SHUTDOWN_NONE;
}

bool manager_is_ending(const struct tide_manager *manager)
{
	return manager_is_shutting_down(manager) || atomic_load(&manager->stops) > 0;
}

tide_status manager_begin_start(struct tide_manager *manager, bool is_for_run,
				struct tide_error *err)
{
	mutex_lock(&manager->lock);
	bool is_ending = atomic_load(&manager->stops) > 0 ||
			 (!is_for_run && manager_is_shutting_down(manager));
	manager->starts += !is_ending;
	mutex_unlock(&manager->lock);
	return is_ending ? tide_fail(err, TIDE_SHUTTING_DOWN, "the manager is shutting down")
			 : TIDE_OK;
}

void manager_end_start(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	assert(manager->starts > 0);
	if (--manager->starts == 0)
		cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
}

bool manager_begin_stop(struct tide_manager *manager)
{
	mutex_lock(&manager->lock);
	bool is_first = atomic_fetch_add(&manager->stops, 1) == 0;
	while (manager->starts > 0)
		cond_wait(&manager->changed, &manager->lock);
	mutex_unlock(&manager->lock);
	return is_first;
}

void manager_end_stop(struct tide_manager *manager)
{
	assert(atomic_load(&manager->stops) > 0);
	atomic_fetch_sub(&manager->stops, 1);
}

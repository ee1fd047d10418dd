/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/wakeup.h"

#include <assert.h>

void wakeup_init(struct wakeup *wakeup)
{
	mutex_init(&wakeup->lock, LOCK_WAKEUP);
	cond_init(&wakeup->cond);
	atomic_init(&wakeup->sources, 0);
}

void wakeup_fini(struct wakeup *wakeup)
{
	cond_fini(&wakeup->cond);
	mutex_fini(&wakeup->lock);
}

void wakeup_ring(struct wakeup *wakeup, unsigned sources)
{
	assert(sources != 0);
	/* Whoever rings first signals. A read-modify-write, not a load: what was written before
	 * this ring is then visible to the thread whose wakeup_reset takes the bit away. */
	if (atomic_fetch_or(&wakeup->sources, sources) != 0)
		return;
	/* or the signal could fall between the waiter's look and its wait */
	mutex_lock(&wakeup->lock);
	cond_broadcast(&wakeup->cond);
	mutex_unlock(&wakeup->lock);
}

unsigned wakeup_reset(struct wakeup *wakeup)
{
	return atomic_exchange(&wakeup->sources, 0);
}

bool wakeup_is_rung(struct wakeup *wakeup)
{
	return atomic_load(&wakeup->sources) != 0;
}

void wakeup_wait(struct wakeup *wakeup, struct mono_time deadline)
{
	if (wakeup_is_rung(wakeup))
		return;
	mutex_lock(&wakeup->lock);
	while (!wakeup_is_rung(wakeup) && cond_wait_until(&wakeup->cond, &wakeup->lock, deadline))
		continue;
	mutex_unlock(&wakeup->lock);
}

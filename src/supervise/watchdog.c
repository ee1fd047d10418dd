/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: one thread per manager that looks at every subscription now and then. It reports
 * handlers past their time while they still run and interrupts their statements, and sees that
 * leases are renewed (renewal.c), so that neither needs the subscription's own thread.
 *
 * Failure modes: an error callback, called from here, or a renewal does not return: a stop leaves
 * them behind at its limit; the next start goes on with what still looks.
 */
#include "supervise/sharing.h"

#include <assert.h>

#include "path/report.h"

#define WATCHDOG_LOOK_NS (50 * NS_PER_MS)
#define WATCHDOG_INTERRUPT_AGAIN_NS NS_PER_SECOND
/* that a run which was left behind may take for its last save */
#define WATCHDOG_SAVE_NS (5 * NS_PER_SECOND)

/* Whether something of a call past its time, or of what a stop has left behind, is to be
 * interrupted now: at once, and again when that did not end it. A run that was left behind has some
 * time for its last save. */
static bool watchdog_finds_hanging_locked(struct tide_subscription *subscription, int64_t hand,
					  struct mono_time now) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	bool is_left = subscription->run.state == RUN_ABANDONED;
	bool is_late = hand < 0 && subscription->subscriber.transactional;
	if (!is_left && !is_late)
		return false;
	if (subscription->interruption.hand != hand)
		subscription->interruption.again_at =
			hand != 0 ? now : mono_add(now, WATCHDOG_SAVE_NS);
	subscription->interruption.hand = hand;
	if (now.ns < subscription->interruption.again_at.ns)
		return false;
	subscription->interruption.again_at = mono_add(now, WATCHDOG_INTERRUPT_AGAIN_NS);
	return true;
}

static void watchdog_interrupt(struct tide_manager *manager, struct tide_subscription *subscription,
			       struct mono_time now)
{
	int64_t hand = atomic_load(&subscription->hand.since);
	mutex_lock(&subscription->lock);
	bool is_hanging = watchdog_finds_hanging_locked(subscription, hand, now);
	mutex_unlock(&subscription->lock);
	if (is_hanging)
		control_interrupt_aside(manager, subscription, hand);
}

void watchdog_look(struct tide_manager *manager, struct mono_time now)
{
	struct manager_set set;
	renewal_look(manager, now);
	sharing_look(manager, now);
	if (manager_pin_lanes(manager, &set, NULL) != TIDE_OK)
		return;
	for (size_t i = 0; i < set.count; i++) {
		report_late(set.items[i], now);
		watchdog_interrupt(manager, set.items[i], now);
	}
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
			(void)cond_wait_until(&manager->changed, &manager->lock,
					      mono_add(now, WATCHDOG_LOOK_NS));
	}

	assert(manager->is_looking);
	manager->is_looking = false;
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
}

static void watchdog_wait_locked(struct tide_manager *manager) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	while (manager->is_changing_watch)
		cond_wait(&manager->changed, &manager->lock);
}

tide_status watchdog_start(struct tide_manager *manager, struct tide_error *err)
{
	mutex_lock(&manager->lock);
	watchdog_wait_locked(manager);
	/* also for one that a stop has left behind and that still looks */
	manager->should_end_watch = false;
	bool is_needed = !manager->is_looking;
	manager->is_changing_watch = is_needed;
	manager->is_looking = true;
	mutex_unlock(&manager->lock);

	if (!is_needed)
		return TIDE_OK;
	thread_join(&manager->watchdog); /* one that was left behind, and has ended since */
	tide_status status =
		thread_start(&manager->watchdog, "tide-watchdog", watchdog_run, manager, err);
	mutex_lock(&manager->lock);
	assert(manager->is_changing_watch);
	manager->is_looking = manager->is_looking && status == TIDE_OK;
	manager->is_changing_watch = false;
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
	return status;
}

bool watchdog_stop(struct tide_manager *manager, struct mono_time deadline)
{
	mutex_lock(&manager->lock);
	watchdog_wait_locked(manager);
	manager->should_end_watch = true;
	cond_broadcast(&manager->changed);
	bool is_over = false, is_in_time = true;
	while (!(is_over = !manager->is_looking && !manager->renewer.chore.is_under_way &&
			   !manager->sharing.chore.is_under_way) &&
	       is_in_time && manager->should_end_watch)
		is_in_time = cond_wait_until(&manager->changed, &manager->lock, deadline);
	bool is_mine = is_over && !manager->is_changing_watch;
	manager->is_changing_watch = manager->is_changing_watch || is_mine;
	mutex_unlock(&manager->lock);

	if (!is_mine)
		return is_over;
	thread_join(&manager->watchdog);
	sharing_end(manager);
	renewal_end(manager);

	mutex_lock(&manager->lock);
	assert(manager->is_changing_watch);
	manager->is_changing_watch = false;
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a manager does with one subscription besides its run (path/run.c): what a stop leaves behind
 * is saved, interrupted and joined; persons pause and resume, and reset breakers.
 *
 * Happy path: the run is over before its deadline, and nothing is left behind.
 * Failure modes: the handler does not return by then: the run is given up, what is settled is saved
 * aside, and what it does in its databases is interrupted. Memory is out: that is done without a
 * limit instead.
 */
#include "supervise/manager.h"

#include <assert.h>
#include <string.h>

#include "path/gate.h"
#include "path/interrupt.h"
#include "path/pause.h"
#include "supervise/errand.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define CONTROL_INTERRUPT_AGAIN_NS NS_PER_SECOND
#define CONTROL_SAVE_NS NS_PER_SECOND /* that a last save may take before it is interrupted, too */

tide_status manager_check_left(struct tide_manager *manager, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	mutex_lock(&manager->lock);
	for (struct tide_subscription *subscription = manager->subscriptions;
	     subscription && status == TIDE_OK; subscription = subscription->next) {
		mutex_lock(&subscription->lock);
		status = run_check_left_locked(subscription, err);
		mutex_unlock(&subscription->lock);
	}
	mutex_unlock(&manager->lock);
	return status;
}

/* ---- Stopping -------------------------------------------------------------------------------- */

struct control_save {
	struct tide_manager *manager;
	struct tide_subscription *subscription;
};

static void control_run_save(void *self)
{
	struct control_save *save = self;
	(void)run_save_prefix(save->subscription);
	manager_unpin_one(save->manager);
}

void control_save_aside(struct tide_manager *manager, struct tide_subscription *subscription,
			struct mono_time limit)
{
	if (atomic_load(&subscription->hand.since) == 0)
		return;
	struct control_save *save = alloc_zero(1, sizeof *save);
	tide_status status = TIDE_OUT_OF_MEMORY;
	manager_pin_again(manager);
	if (save) {
		*save = (struct control_save){ manager, subscription };
		status = errand_run(control_run_save, save, limit, NULL, NULL);
	}

	if (status == TIDE_OUT_OF_MEMORY) /* rather without a limit than not at all */
		control_run_save(&(struct control_save){ manager, subscription });
	else if (status != TIDE_OK)
		log_at(TIDE_LOG_WARNING, "checkpoint", "the settled prefix is not saved yet",
		       "name='%s'", subscription->name);
}

struct control_interrupt {
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	int64_t hand;
};

static void control_run_interrupt(void *self)
{
	struct control_interrupt *interrupt = self;
	struct tide_subscription *subscription = interrupt->subscription;
	if (interrupt_run(subscription, interrupt->hand))
		log_at(TIDE_LOG_NOTICE, "subscription",
		       "what it does in its database is interrupted", "name='%s'",
		       subscription->name);
	manager_unpin_one(interrupt->manager);
}

void control_interrupt_aside(struct tide_manager *manager, struct tide_subscription *subscription,
			     int64_t hand)
{
	struct control_interrupt *interrupt = alloc_zero(1, sizeof *interrupt);
	tide_status status = TIDE_OUT_OF_MEMORY;
	manager_pin_again(manager);
	if (interrupt) {
		*interrupt = (struct control_interrupt){ manager, subscription, hand };
		status = errand_run(control_run_interrupt, interrupt, clock_mono(&clock_system),
				    NULL, NULL);
	}
	if (status == TIDE_OUT_OF_MEMORY)
		control_run_interrupt(&(struct control_interrupt){ manager, subscription, hand });
}

tide_status control_wait_stopped(struct tide_manager *manager,
				 struct tide_subscription *subscription,
				 struct mono_time save_until, struct tide_error *err)
{
	if (run_wait_over(subscription))
		return TIDE_OK;

	int64_t hand = atomic_load(&subscription->hand.since);
	if (run_abandon(subscription)) {
		control_save_aside(manager, subscription, save_until);
		/* else it may be at its last save: the watchdog gives that its time */
		if (hand != 0)
			control_interrupt_aside(manager, subscription, hand);
	}

	return run_say_left(subscription, err);
}

void control_join(struct tide_subscription *subscription)
{
	struct mono_time patience = mono_add(clock_mono(&clock_system), CONTROL_SAVE_NS);
	mutex_lock(&subscription->lock);
	while (run_exists(&subscription->run) && subscription->run.thread != THREAD_NONE) {
		int64_t hand = atomic_load(&subscription->hand.since);
		mutex_unlock(&subscription->lock);
		if (hand != 0 || mono_since(clock_mono(&clock_system), patience) >= 0)
			(void)interrupt_run(subscription, hand);
		mutex_lock(&subscription->lock);
		if (run_exists(&subscription->run))
			(void)cond_wait_until(
				&subscription->changed, &subscription->lock,
				mono_add(clock_mono(&clock_system), CONTROL_INTERRUPT_AGAIN_NS));
	}

	mutex_unlock(&subscription->lock);
	thread_join(&subscription->thread);
}

/* ---- Pausing --------------------------------------------------------------------------------- */

bool tide_manager_pause(struct tide_manager *manager, const char *name,
			enum tide_pause_reason reason)
{
	/* the other one is the library's */
	if (reason != TIDE_PAUSE_MANUAL && reason != TIDE_PAUSE_MAINTENANCE)
		return false;
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return false;
	struct clock *clock = subscription->engine->clock;
	struct mono_time now = clock_mono(clock);
	struct tide_time wall = clock_wall(clock);
	bool has_effect = false;
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		if (!pause_begin(lane_at(subscription, i), reason, now, wall))
			continue;
		subscription_nudge(lane_at(subscription, i));
		has_effect = true;
	}
	manager_unpin_one(manager);
	return has_effect;
}

bool tide_manager_resume(struct tide_manager *manager, const char *name)
{
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return false;
	bool has_moved = false;
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		if (!pause_end(lane_at(subscription, i), false))
			continue;
		subscription_nudge(lane_at(subscription, i));
		has_moved = true;
	}
	manager_unpin_one(manager);
	return has_moved;
}

/* Both of them: every subscription in the order of registration. */
static tide_status control_each(struct tide_manager *manager, bool is_pause,
				enum tide_pause_reason reason, struct tide_named_flag **ret,
				size_t *ret_count, struct tide_error *err)
{
	if (!manager || !ret || !ret_count)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	struct manager_set set;
	tide_status status = manager_pin(manager, NULL, &set, err);
	if (status != TIDE_OK)
		return status;

	struct tide_named_flag *flags = alloc_zero(set.count + 1, sizeof *flags);
	for (size_t i = 0; flags && i < set.count; i++) {
		memcpy(flags[i].name, set.items[i]->name, sizeof flags[i].name);
		flags[i].took_effect = is_pause ? tide_manager_pause(manager, flags[i].name, reason)
						: tide_manager_resume(manager, flags[i].name);
	}

	*ret_count = flags ? set.count : *ret_count;
	manager_unpin(manager, &set);
	if (!flags)
		return alloc_fail(err);

	*ret = flags;
	return TIDE_OK;
}

tide_status tide_manager_pause_all(struct tide_manager *manager, enum tide_pause_reason reason,
				   struct tide_named_flag **ret, size_t *ret_count,
				   struct tide_error *err)
{
	return control_each(manager, true, reason, ret, ret_count, err);
}

tide_status tide_manager_resume_all(struct tide_manager *manager, struct tide_named_flag **ret,
				    size_t *ret_count, struct tide_error *err)
{
	return control_each(manager, false, TIDE_PAUSE_MANUAL, ret, ret_count, err);
}

bool tide_manager_reset_breakers(struct tide_manager *manager, const char *name)
{
	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return false;

	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		gate_reset(lane_at(subscription, i), GATE_HANDLER);
		gate_reset(lane_at(subscription, i), GATE_INFRA);
		subscription_nudge(lane_at(subscription, i));
	}
	manager_unpin_one(manager);
	return true;
}

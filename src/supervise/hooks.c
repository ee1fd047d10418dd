/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of the shutdown sequence.
 *
 * Happy path: each is called in turn, on a thread of its own, and returns within its limit.
 * Failure modes: one fails, does not return in time, or there is no memory for its thread: that is
 * logged and the next one is called. A second signal: those not begun are skipped.
 */
#include "supervise/shutdown.h"

#include <assert.h>

#include "supervise/errand.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define HOOK_SECONDS 5.0

struct hook_call {
	struct hook hook;
	struct tide_shutdown_result result;
};

static void hook_run(void *self)
{
	struct hook_call *call = self;
	bool is_after = call->hook.moment == TIDE_HOOK_AFTER_SHUTDOWN;
	tide_status status = call->hook.run(call->hook.self, is_after ? &call->result : NULL);
	if (status != TIDE_OK)
		log_at(TIDE_LOG_ERROR, "shutdown", "a hook failed", "error=%s",
		       tide_status_name(status));
}

static bool hook_is_forced(const void *run)
{
	return shutdown_is_forced(run);
}

static void hook_call(struct shutdown_run *run, const struct hook *hook, struct mono_time limit)
{
	struct hook_call *call = alloc_zero(1, sizeof *call);
	tide_status status = TIDE_OUT_OF_MEMORY;
	if (call) {
		*call = (struct hook_call){ *hook, run->result };
		status = errand_run(hook_run, call, limit, hook_is_forced, run);
	}
	if (status == TIDE_OUT_OF_MEMORY)
		log_at(TIDE_LOG_ERROR, "shutdown", "a hook was not called, out of memory", "%s",
		       "");
	else if (status != TIDE_OK)
		log_at(TIDE_LOG_ERROR, "shutdown", "a hook did not return in time",
		       "limit_seconds=%.3f", hook->limit_seconds);
}

/* Hooks are only ever added, at the end, at any time: what follows one is looked at under the
 * lock. */
static const struct hook *hook_next(struct tide_manager *manager, const struct hook *hook)
{
	mutex_lock(&manager->lock);
	const struct hook *next = hook ? hook->next : manager->shutdown.hooks;
	mutex_unlock(&manager->lock);
	return next;
}

/* Hooks leave the checkpoint its time: 1 s, or half of the total when that is less. */
void hooks_call(struct shutdown_run *run, enum tide_hook_moment moment)
{
	assert(!run->is_plain);
	struct clock *clock = run->manager->engine.clock;
	double total = seconds_of_ns(mono_since(run->deadline, run->began));
	double kept = moment == TIDE_HOOK_AFTER_SHUTDOWN ? 0 : total / 2 < 1 ? total / 2 : 1;
	struct mono_time last = mono_add(run->deadline, -ns_of_seconds(kept));
	for (const struct hook *hook = hook_next(run->manager, NULL);
	     hook && !shutdown_is_forced(run); hook = hook_next(run->manager, hook)) {
		struct mono_time limit =
			mono_add(clock_mono(clock), ns_of_seconds(hook->limit_seconds));
		if (hook->moment == moment)
			hook_call(run, hook, mono_min(limit, last));
	}
}

tide_status tide_manager_add_hook(struct tide_manager *manager, enum tide_hook_moment moment,
				  tide_hook *run, void *self, double limit_seconds,
				  struct tide_error *err)
{
	if (!manager || !run || (unsigned)moment > TIDE_HOOK_AFTER_SHUTDOWN)
		return tide_fail(err, TIDE_ARGUMENT, "%s",
				 !manager ? "manager is NULL"
				 : !run   ? "hook is NULL"
					  : "moment is none");

	struct hook *hook = alloc_zero(1, sizeof *hook);
	if (!hook)
		return alloc_fail(err);

	*hook = (struct hook){ NULL, moment, run, self,
			       limit_seconds > 0 ? limit_seconds : HOOK_SECONDS };
	mutex_lock(&manager->lock);
	struct hook **place = &manager->shutdown.hooks;
	while (*place)
		place = &(*place)->next;
	*place = hook;
	mutex_unlock(&manager->lock);
	return TIDE_OK;
}

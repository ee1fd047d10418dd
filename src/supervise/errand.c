/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something that may hang, with a limit: a shutdown hook, a save from outside while a database does
 * not answer.
 *
 * Happy path: its thread runs it, whoever asked is told and releases it.
 * Failure modes: the limit passes: the thread goes on alone and releases it when it is through.
 */
#include "supervise/errand.h"

#include <assert.h>

#include "sys/alloc.h"
#include "sys/mutex.h"

#define ERRAND_LOOK_NS (20 * NS_PER_MS) /* how often patience is asked about */

struct errand {
	void (*run)(void *self);
	void *self;
	struct thread thread;
	struct mutex lock;
	struct cond changed;
	/* under lock; who sets the second one leaves the release to the other */
	bool is_done, is_left;
};

static void errand_free(struct errand *errand)
{
	cond_fini(&errand->changed);
	mutex_fini(&errand->lock);
	tide_free(errand->self);
	tide_free(errand);
}

/* Also when it ended its thread instead of returning. */
static void errand_end(void *argument)
{
	struct errand *errand = argument;
	mutex_lock(&errand->lock);
	assert(!errand->is_done);
	errand->is_done = true;
	bool is_left = errand->is_left;
	cond_broadcast(&errand->changed);
	mutex_unlock(&errand->lock);
	if (is_left)
		errand_free(errand);
}

static void errand_thread(void *argument)
{
	struct errand *errand = argument;
	errand->run(errand->self);
	errand_end(errand);
}

static bool errand_await(struct errand *errand, struct mono_time limit,
			 errand_impatience *is_impatient, const void *asker)
{
	mutex_lock(&errand->lock);
	assert(!errand->is_left);
	while (!errand->is_done && clock_mono(&clock_system).ns < limit.ns &&
	       !(is_impatient && is_impatient(asker)))
		(void)cond_wait_until(
			&errand->changed, &errand->lock,
			mono_min(limit, mono_add(clock_mono(&clock_system), ERRAND_LOOK_NS)));
	bool is_done = errand->is_done;
	errand->is_left = !is_done;
	mutex_unlock(&errand->lock);
	return is_done;
}

tide_status errand_run(void (*run)(void *self), void *self, struct mono_time limit,
		       errand_impatience *is_impatient, const void *asker)
{
	assert(run);
	struct errand *errand = alloc_zero(1, sizeof *errand);
	if (!errand) {
		tide_free(self);
		return TIDE_OUT_OF_MEMORY;
	}

	*errand = (struct errand){ .run = run, .self = self };
	mutex_init(&errand->lock, LOCK_ERRAND);
	cond_init(&errand->changed);
	if (thread_start_watched(&errand->thread, "tide-errand", errand_thread, errand_end, errand,
				 NULL) != TIDE_OK) {
		errand_free(errand);
		return TIDE_OUT_OF_MEMORY;
	}

	thread_detach(&errand->thread);
	if (!errand_await(errand, limit, is_impatient, asker))
		return TIDE_TIMEOUT;

	errand_free(errand);
	return TIDE_OK;
}

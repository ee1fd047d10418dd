/* SPDX-License-Identifier: Apache-2.0 */
/* The bell of a store while others come and go, and while its watch is yet to begin. */
#include "path/notify.h"

#include <stdatomic.h>

#include "lib/wait.h"
#include "sys/thread.h"

#define PATIENCE 30.0
#define A_WHILE 50 /* moments, in which who need not wait would be done */

/* Called in the midst of a ring; NULL: nobody is. */
static void (*in_a_ring)(void *self);
static void *in_a_ring_self;

void __real_wakeup_ring(struct wakeup *wakeup, unsigned sources);
void __wrap_wakeup_ring(struct wakeup *wakeup, unsigned sources);

void __wrap_wakeup_ring(struct wakeup *wakeup, unsigned sources)
{
	if (in_a_ring)
		in_a_ring(in_a_ring_self);
	__real_wakeup_ring(wakeup, sources);
}

/* ---- A watch --------------------------------------------------------------------------------- */

/** A database that tells of nothing: its watch is open, or has been told to end. */
struct silent {
	atomic_bool may_begin, is_interrupted;
};

static tide_status silent_start(void *store, void **ret, struct tide_error *err)
{
	struct silent *silent = store;
	(void)err;
	while (!atomic_load(&silent->may_begin))
		wait_a_moment();
	*ret = silent;
	return TIDE_OK;
}

static tide_status silent_wait(void *watch, int64_t timeout_ns, bool *ret_rang,
			       struct tide_error *err)
{
	struct silent *silent = watch;
	(void)timeout_ns, (void)err;
	while (!atomic_load(&silent->is_interrupted))
		wait_a_moment();
	*ret_rang = false;
	return TIDE_OK;
}

static void silent_interrupt(void *watch)
{
	atomic_store(&((struct silent *)watch)->is_interrupted, true);
}

static void silent_stop(void *watch)
{
	(void)watch;
}

/* What was committed before the watch was there is told by nobody. */
static void what_came_before_the_watch_is_looked_for(void **state)
{
	(void)state;
	static const struct tide_backend backend = { .notify = { silent_start, silent_wait,
								 silent_interrupt, silent_stop } };
	struct silent silent = { false, false };
	struct notifier *notifier;
	struct wakeup wakeup;
	struct notify_link link = { .wakeup = &wakeup, .name = "watched" };
	wakeup_init(&wakeup);
	must(notifier_new(&backend, &silent, &notifier, err));
	must(notifier_add(notifier, &link, err));
	assert_false(wakeup_is_rung(&wakeup)); /* it may look now, and find nothing */
	atomic_store(&silent.may_begin, true);
	wakeup_wait(&wakeup, mono_add(clock_mono(&clock_system), ns_of_seconds(PATIENCE)));
	assert_int_equal(wakeup_reset(&wakeup), RING_NOTIFY);
	notifier_remove(notifier, &link);
	notifier_free(notifier);
	wakeup_fini(&wakeup);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/** One that goes while its bell is rung. */
struct leaving {
	struct notifier *notifier;
	struct notify_link link;
	struct thread thread;
	atomic_bool is_ringing, is_leaving, has_left, left_too_early;
};

static void leave(void *self)
{
	struct leaving *leaving = self;
	atomic_store(&leaving->is_leaving, true);
	notifier_remove(leaving->notifier, &leaving->link);
	atomic_store(&leaving->left_too_early, atomic_load(&leaving->is_ringing));
	atomic_store(&leaving->has_left, true);
}

static void let_leave(void *self)
{
	struct leaving *leaving = self;
	in_a_ring = NULL;
	atomic_store(&leaving->is_ringing, true);
	must(thread_start(&leaving->thread, "leaves", leave, leaving, err));
	wait_for(PATIENCE, atomic_load(&leaving->is_leaving));
	for (int i = 0; i < A_WHILE && !atomic_load(&leaving->has_left); i++)
		wait_a_moment();
	atomic_store(&leaving->is_ringing, false);
}

static void whoever_is_rung_is_there_until_that_is_over(void **state)
{
	(void)state;
	static const struct tide_backend backend = { 0 };
	struct leaving leaving = { .link = { .name = "leaving" } };
	struct wakeup wakeup;
	wakeup_init(&wakeup);
	leaving.link.wakeup = &wakeup;
	must(notifier_new(&backend, NULL, &leaving.notifier, err));
	must(notifier_add(leaving.notifier, &leaving.link, err));
	in_a_ring_self = &leaving;
	in_a_ring = let_leave;
	notifier_ring(leaving.notifier, RING_APPEND);
	thread_join(&leaving.thread);
	assert_true(leaving.has_left);
	assert_false(leaving.left_too_early);
	assert_int_equal(wakeup_reset(&wakeup), RING_APPEND);
	notifier_free(leaving.notifier);
	wakeup_fini(&wakeup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_came_before_the_watch_is_looked_for),
		cmocka_unit_test(whoever_is_rung_is_there_until_that_is_over),
	};
	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <signal.h>

#include "sys/random.h"
#include "sys/thread.h"
#include "sys/wakeup.h"

static struct mono_time in_ns(int64_t ns)
{
	return mono_add(clock_mono(&clock_system), ns);
}

static void rings_merge_until_reset(void **state)
{
	(void)state;
	struct wakeup wakeup;
	wakeup_init(&wakeup);
	assert_false(wakeup_is_rung(&wakeup));
	assert_int_equal(wakeup_reset(&wakeup), 0);
	wakeup_ring(&wakeup, 1);
	wakeup_ring(&wakeup, 4);
	wakeup_ring(&wakeup, 1);
	assert_true(wakeup_is_rung(&wakeup));
	assert_int_equal(wakeup_reset(&wakeup), 5);
	assert_false(wakeup_is_rung(&wakeup));
	wakeup_fini(&wakeup);
}

static void a_wait_ends_at_once_when_rung_before(void **state)
{
	(void)state;
	struct wakeup wakeup;
	wakeup_init(&wakeup);
	wakeup_ring(&wakeup, 1);
	wakeup_wait(&wakeup, MONO_NEVER);
	assert_int_equal(wakeup_reset(&wakeup), 1);
	wakeup_fini(&wakeup);
}

static void a_wait_ends_at_its_deadline_and_not_before(void **state)
{
	(void)state;
	struct wakeup wakeup;
	wakeup_init(&wakeup);
	struct mono_time deadline = in_ns(20 * NS_PER_MS);
	wakeup_wait(&wakeup, deadline);
	assert_true(clock_mono(&clock_system).ns >= deadline.ns);
	wakeup_wait(&wakeup, in_ns(-NS_PER_SECOND));
	wakeup_wait(&wakeup, (struct mono_time){ INT64_MIN });
	assert_false(wakeup_is_rung(&wakeup));
	wakeup_fini(&wakeup);
}

#define EXCHANGES 20000

/* Two threads that pass a number back and forth, each waiting without a deadline: one lost ring and
 * the test hangs. */
static struct {
	struct wakeup bells[2];
	int numbers[2]; /* guarded by nothing but the bells */
} game;

static void play(int self)
{
	for (int i = 0; i < EXCHANGES; i++) {
		game.numbers[!self] = i;
		wakeup_ring(&game.bells[!self], 1);
		while (wakeup_reset(&game.bells[self]) == 0)
			wakeup_wait(&game.bells[self], MONO_NEVER);
		assert_in_range(game.numbers[self], i, i + 1);
	}
}

static void play_second(void *self)
{
	(void)self;
	for (int i = 0; i < EXCHANGES; i++) {
		while (wakeup_reset(&game.bells[1]) == 0)
			wakeup_wait(&game.bells[1], MONO_NEVER);
		game.numbers[0] = game.numbers[1];
		wakeup_ring(&game.bells[0], 2);
	}
}

static void no_ring_is_lost_and_what_was_written_before_it_is_seen(void **state)
{
	(void)state;
	struct thread second;
	wakeup_init(&game.bells[0]);
	wakeup_init(&game.bells[1]);
	assert_int_equal(thread_start(&second, "second", play_second, NULL, NULL), TIDE_OK);
	play(0);
	thread_join(&second);
	wakeup_fini(&game.bells[0]);
	wakeup_fini(&game.bells[1]);
}

static struct {
	struct mutex lock;
	struct cond changed;
	int count;
	bool is_held;
} shared;

static void hold(void *self)
{
	(void)self;
	mutex_lock(&shared.lock);
	shared.is_held = true;
	cond_broadcast(&shared.changed);
	while (shared.is_held)
		cond_wait(&shared.changed, &shared.lock);
	shared.count++;
	mutex_unlock(&shared.lock);
}

static void a_lock_knows_its_owner(void **state)
{
	(void)state;
	struct thread holder;
	mutex_init(&shared.lock, LOCK_CALLED_BACK);
	cond_init(&shared.changed);
	assert_int_equal(thread_start(&holder, "holder", hold, NULL, NULL), TIDE_OK);
	mutex_lock(&shared.lock);
	assert_true(mutex_is_mine(&shared.lock));
	while (!shared.is_held)
		cond_wait(&shared.changed, &shared.lock);
	assert_true(mutex_is_mine(&shared.lock));
	shared.is_held = false;
	cond_signal(&shared.changed);
	mutex_unlock(&shared.lock);
	assert_false(mutex_is_mine(&shared.lock));
	thread_join(&holder);
	assert_int_equal(shared.count, 1);
	cond_fini(&shared.changed);
	mutex_fini(&shared.lock);
}

TIDE_UNCHECKED static void try_for_a_while(void *self)
{
	assert_false(mutex_lock_until(self, in_ns(10 * NS_PER_MS)));
	assert_false(mutex_is_mine(self));
}

TIDE_UNCHECKED static void a_timed_lock_gives_up_at_its_deadline(void **state)
{
	(void)state;
	struct mutex lock;
	struct thread other;
	mutex_init(&lock, LOCK_CALLED_BACK);
	/* free: taken though the time is up */
	assert_true(mutex_lock_until(&lock, (struct mono_time){ 0 }));
	assert_int_equal(thread_start(&other, "other", try_for_a_while, &lock, NULL), TIDE_OK);
	thread_join(&other);
	assert_true(mutex_is_mine(&lock));
	mutex_unlock(&lock);
	mutex_fini(&lock);
}

static void a_timed_wait_tells_when_time_is_up(void **state)
{
	(void)state;
	mutex_init(&shared.lock, LOCK_CALLED_BACK);
	cond_init(&shared.changed);
	mutex_lock(&shared.lock);
	struct mono_time deadline = in_ns(5 * NS_PER_MS);
	while (cond_wait_until(&shared.changed, &shared.lock, deadline))
		continue;
	assert_true(clock_mono(&clock_system).ns >= deadline.ns);
	assert_true(mutex_is_mine(&shared.lock));
	mutex_unlock(&shared.lock);
	cond_fini(&shared.changed);
	mutex_fini(&shared.lock);
}

static void look_at_signals(void *self)
{
	sigset_t blocked;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	*(bool *)self = sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM) &&
			sigismember(&blocked, SIGCHLD);
}

static void a_thread_has_every_signal_blocked(void **state)
{
	(void)state;
	struct thread thread;
	bool is_blocked = false;
	sigset_t mine;
	assert_int_equal(thread_start(&thread, "a name of more than sixteen bytes", look_at_signals,
				      &is_blocked, NULL),
			 TIDE_OK);
	thread_join(&thread);
	thread_join(&thread);
	assert_true(is_blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_false(sigismember(&mine, SIGTERM));
}

static void times_do_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(mono_add(in_ns(0), INT64_MAX).ns, INT64_MAX);
	assert_int_equal(ns_of_seconds(1e30), INT64_MAX);
	assert_int_equal(ns_of_seconds(1.5), 1500000000);
}

static void a_seed_repeats_its_numbers(void **state)
{
	(void)state;
	struct random a, b, other;
	random_seed(&a, 7);
	random_seed(&b, 7);
	random_seed(&other, 8);
	double sum = 0;
	bool differs = false;
	for (int i = 0; i < 10000; i++) {
		double unit = random_unit(&a);
		assert_true(unit >= 0 && unit < 1);
		assert_true(unit == random_unit(&b));
		differs = differs || unit != random_unit(&other);
		sum += unit;
	}
	assert_true(differs && sum > 4800 && sum < 5200);
	random_seed(&a, 0);
	assert_true(random_next(&a) != random_next(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_merge_until_reset),
		cmocka_unit_test(a_wait_ends_at_once_when_rung_before),
		cmocka_unit_test(a_wait_ends_at_its_deadline_and_not_before),
		cmocka_unit_test(no_ring_is_lost_and_what_was_written_before_it_is_seen),
		cmocka_unit_test(a_lock_knows_its_owner),
		cmocka_unit_test(a_timed_lock_gives_up_at_its_deadline),
		cmocka_unit_test(a_timed_wait_tells_when_time_is_up),
		cmocka_unit_test(a_thread_has_every_signal_blocked),
		cmocka_unit_test(times_do_not_overflow),
		cmocka_unit_test(a_seed_repeats_its_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

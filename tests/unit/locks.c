/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the locks: what src/sys/locks.def allows, and that what it does not ends the
 * process. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/mutex.h"
#include "unit.h"

static struct mutex locks[LOCKS];

static int set_up(void **state)
{
	(void)state;
	for (int i = 0; i < LOCKS; i++)
		mutex_init(&locks[i], (enum lock_name)i);
	return 0;
}

TIDE_UNCHECKED static bool may_follow(enum lock_name held, enum lock_name next)
{
	mutex_lock(&locks[held]);
	bool may = mutex_may_lock(&locks[next]);
	mutex_unlock(&locks[held]);
	return may;
}

static void locks_are_taken_in_the_order_of_their_table(void **state)
{
	(void)state;
	assert_true(may_follow(LOCK_REGISTRY, LOCK_SUBSCRIPTION));
	assert_false(may_follow(LOCK_SUBSCRIPTION, LOCK_REGISTRY));
	assert_true(may_follow(LOCK_SUBSCRIPTION, LOCK_WAKEUP));
	assert_false(may_follow(LOCK_WAKEUP, LOCK_NOTIFIER));
	assert_true(may_follow(LOCK_MEMORY_STORE, LOCK_MEMORY_BOOK));
	for (int i = 0; i < LOCKS; i++)
		assert_false(may_follow((enum lock_name)i, (enum lock_name)i));
}

static void what_is_called_back_may_take_what_it_needs(void **state)
{
	(void)state;
	for (int i = LOCK_SINK + 1; i < LOCKS; i++)
		assert_true(may_follow(LOCK_SINK, (enum lock_name)i));
	for (int i = 0; i < LOCK_CALLED_BACK; i++)
		assert_true(may_follow((enum lock_name)i, LOCK_CALLED_BACK));
}

static void a_lock_that_stands_alone_goes_with_none_of_the_core(void **state)
{
	(void)state;
	assert_false(may_follow(LOCK_SUBSCRIPTION, LOCK_BUS));
	assert_false(may_follow(LOCK_SESSIONS, LOCK_BUS));
	assert_false(may_follow(LOCK_TAIL, LOCK_SQLITE_STORE));
	assert_false(may_follow(LOCK_BUS, LOCK_MEMORY_STORE));
}

TIDE_UNCHECKED static void a_lock_left_is_not_held_any_more_in_whatever_order(void **state)
{
	(void)state;
	mutex_lock(&locks[LOCK_REGISTRY]);
	mutex_lock(&locks[LOCK_SUBSCRIPTION]);
	mutex_unlock(&locks[LOCK_REGISTRY]);
	assert_false(mutex_may_lock(&locks[LOCK_REGISTRY]));
	assert_true(mutex_may_lock(&locks[LOCK_TAIL]));
	mutex_unlock(&locks[LOCK_SUBSCRIPTION]);
	assert_true(mutex_may_lock(&locks[LOCK_REGISTRY]));
}

TIDE_UNCHECKED static void taking_one_against_the_order_ends_the_process(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		mutex_lock(&locks[LOCK_SUBSCRIPTION]);
		mutex_lock(&locks[LOCK_REGISTRY]);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
#ifdef TIDE_CHECK_LOCKS
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locks_are_taken_in_the_order_of_their_table),
		cmocka_unit_test(what_is_called_back_may_take_what_it_needs),
		cmocka_unit_test(a_lock_that_stands_alone_goes_with_none_of_the_core),
		cmocka_unit_test(a_lock_left_is_not_held_any_more_in_whatever_order),
		cmocka_unit_test(taking_one_against_the_order_ends_the_process),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
#else
	return 77; /* this build does not check it */
#endif
}

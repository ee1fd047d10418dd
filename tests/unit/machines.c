/* SPDX-License-Identifier: Apache-2.0 */
/* The small machines beside the states of a subscription: which moves there are, and no other. */
#include <string.h>

#include "policy/ownership.h"
#include "policy/run.h"
#include "policy/transaction.h"
#include "unit.h"

/* Rows from, columns to, in the order of the enum. */
static void check_moves(const char *const *expected, int count, bool (*may)(int from, int to))
{
	for (int from = 0; from < count; from++)
		for (int to = 0; to < count; to++)
			if (may(from, to) != (expected[from][to] == 'x'))
				fail_msg("from %d to %d", from, to);
	assert_false(may(count, 0));
	assert_false(may(0, count));
	assert_false(may(-1, 0));
}

static bool may_own(int from, int to)
{
	return ownership_may((enum ownership_state)from, (enum ownership_state)to);
}

static void ownership_moves_as_it_is_drawn(void **state)
{
	(void)state;
	static const char *const expected[] = {
		[OWNERSHIP_NONE] = ".xx...",     [OWNERSHIP_ASKING] = "x.xx..",
		[OWNERSHIP_STANDBY] = "x..x..",  [OWNERSHIP_OWNED] = "x...xx",
		[OWNERSHIP_RENEWING] = "x..x.x", [OWNERSHIP_LOST] = "x.....",
	};
	check_moves(expected, sizeof expected / sizeof *expected, may_own);
	assert_string_equal(ownership_name(OWNERSHIP_RENEWING), "renewing");
	assert_string_equal(ownership_name((enum ownership_state)6), "unknown");
}

static void ownership_exists_until_the_run_lets_go(void **state)
{
	(void)state;
	struct ownership ownership = { OWNERSHIP_NONE };
	ownership_move(&ownership, OWNERSHIP_ASKING);
	assert_false(ownership_exists(&ownership));
	ownership_move(&ownership, OWNERSHIP_OWNED);
	ownership_move(&ownership, OWNERSHIP_RENEWING);
	assert_true(ownership_exists(&ownership) && ownership_is_ours(&ownership));
	ownership_move(&ownership, OWNERSHIP_LOST);
	assert_true(ownership_exists(&ownership) && !ownership_is_ours(&ownership));
	ownership_move(&ownership, OWNERSHIP_NONE);
	assert_false(ownership_exists(&ownership));
}

static bool may_run(int from, int to)
{
	return run_may((enum run_state)from, (enum run_state)to);
}

static bool may_thread(int from, int to)
{
	return run_thread_may((enum thread_state)from, (enum thread_state)to);
}

static void run_and_thread_move_as_they_are_drawn(void **state)
{
	(void)state;
	static const char *const runs[] = {
		[RUN_NONE] = ".x....",     [RUN_STARTING] = "x.xxxx", [RUN_READY] = "x..xxx",
		[RUN_STOPPING] = "x....x", [RUN_FAILED] = "x....x",   [RUN_ABANDONED] = "x.....",
	};
	static const char *const threads[] = { [THREAD_NONE] = ".x..",
					       [THREAD_CHANGING] = "x.x.",
					       [THREAD_ALIVE] = "xx.x",
					       [THREAD_DIED] = "x..." };
	check_moves(runs, sizeof runs / sizeof *runs, may_run);
	check_moves(threads, sizeof threads / sizeof *threads, may_thread);
	assert_string_equal(run_name(RUN_STOPPING), "stopping");
	assert_string_equal(run_name((enum run_state)6), "unknown");
	assert_string_equal(run_thread_name(THREAD_DIED), "died");
	assert_string_equal(run_thread_name((enum thread_state)4), "unknown");
}

static void a_run_is_under_way_until_it_is_given_up(void **state)
{
	(void)state;
	struct run run = { 0 };
	assert_false(run_exists(&run) || run_is_under_way(&run) || run_is_ending(&run));
	run_move(&run, RUN_STARTING);
	run_move(&run, RUN_READY);
	assert_true(run_is_under_way(&run) && !run_is_ending(&run));
	run_move(&run, RUN_STOPPING);
	assert_true(run_is_under_way(&run) && run_is_ending(&run));
	run_move(&run, RUN_NONE);
	run_move(&run, RUN_STARTING);
	run_move(&run, RUN_FAILED);
	assert_true(run_is_under_way(&run) && run_is_ending(&run));
	run_move(&run, RUN_ABANDONED);
	assert_true(run_exists(&run) && !run_is_under_way(&run) && run_is_ending(&run));
	run_move(&run, RUN_NONE);
	assert_false(run_exists(&run));
}

static bool may_transact(int from, int to)
{
	return transaction_may((enum transaction_state)from, (enum transaction_state)to);
}

static void a_transaction_moves_as_it_is_drawn(void **state)
{
	(void)state;
	static const char *const expected[] = { [TRANSACTION_NONE] = ".x.",
						[TRANSACTION_OPEN] = "x.x",
						[TRANSACTION_INSPECTED] = "xx." };
	check_moves(expected, sizeof expected / sizeof *expected, may_transact);
	assert_string_equal(transaction_name(TRANSACTION_INSPECTED), "inspected");
	assert_string_equal(transaction_name((enum transaction_state)3), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ownership_moves_as_it_is_drawn),
		cmocka_unit_test(ownership_exists_until_the_run_lets_go),
		cmocka_unit_test(run_and_thread_move_as_they_are_drawn),
		cmocka_unit_test(a_run_is_under_way_until_it_is_given_up),
		cmocka_unit_test(a_transaction_moves_as_it_is_drawn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The small machines beside the states of a subscription: which moves there are, and no other. */
#include <string.h>

#include "policy/ownership.h"
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
		[OWNERSHIP_NONE] = ".xx...",  [OWNERSHIP_ASKING] = "x.xx..",   [OWNERSHIP_STANDBY] = "x..x..",
		[OWNERSHIP_OWNED] = "x...xx", [OWNERSHIP_RENEWING] = "x..x.x", [OWNERSHIP_LOST] = "x.....",
	};
	check_moves(expected, sizeof expected / sizeof *expected, may_own);
	assert_string_equal(ownership_name(OWNERSHIP_RENEWING), "renewing");
	assert_string_equal(ownership_name((enum ownership_state)6), "unknown");
}

static void ownership_is_held_until_the_run_lets_go(void **state)
{
	(void)state;
	struct ownership ownership = { OWNERSHIP_NONE };
	ownership_move(&ownership, OWNERSHIP_ASKING);
	assert_false(ownership_is_held(&ownership));
	ownership_move(&ownership, OWNERSHIP_OWNED);
	ownership_move(&ownership, OWNERSHIP_RENEWING);
	assert_true(ownership_is_held(&ownership) && ownership_is_ours(&ownership));
	ownership_move(&ownership, OWNERSHIP_LOST);
	assert_true(ownership_is_held(&ownership) && !ownership_is_ours(&ownership));
	ownership_move(&ownership, OWNERSHIP_NONE);
	assert_false(ownership_is_held(&ownership));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ownership_moves_as_it_is_drawn),
		cmocka_unit_test(ownership_is_held_until_the_run_lets_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

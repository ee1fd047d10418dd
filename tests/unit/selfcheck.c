/* SPDX-License-Identifier: Apache-2.0 */
/* Whether versions come without a hole. */
#include "path/selfcheck.h"

#include <stdio.h>

#include "unit.h"

#define TYPES 20000 /* more than aggregates that are remembered */

static struct self_check *check_new(void)
{
	struct self_check *check;
	struct tide_error err;
	assert_int_equal(self_check_new(&check, &err), TIDE_OK);
	return check;
}

/* What was due instead of one of the same aggregate id; 0: nothing else was. */
static tide_version see(struct self_check *check, const char *type, tide_version version)
{
	return self_check_see(check, &(struct tide_event){ .aggregate_id = { { 7 } },
							   .aggregate_type = tide_text(type),
							   .version = version });
}

static void a_version_that_is_missing_is_told_once(void **state)
{
	(void)state;
	struct self_check *check = check_new();
	assert_int_equal(see(check, "Order", 5), 0); /* it is not known from where on */
	assert_int_equal(see(check, "Order", 6), 0);
	assert_int_equal(see(check, "Order", 9), 7);
	assert_int_equal(see(check, "Order", 10), 0);
	self_check_free(check);
}

static void what_is_delivered_again_is_no_hole(void **state)
{
	(void)state;
	struct self_check *check = check_new();
	for (tide_version version = 1; version <= 3; version++)
		assert_int_equal(see(check, "Order", version), 0);
	for (tide_version version = 2; version <= 4; version++)
		assert_int_equal(see(check, "Order", version), 0);
	self_check_reset(check);
	assert_int_equal(see(check, "Order", 8), 0);
	self_check_free(check);
}

/* Among so many some share their place with an earlier one. */
static void one_id_under_two_types_is_two_aggregates(void **state)
{
	(void)state;
	struct self_check *check = check_new();
	char type[24];
	for (int i = 0; i < TYPES; i++) {
		snprintf(type, sizeof type, "Type%d", i);
		assert_int_equal(see(check, type, 2 * i + 1), 0);
	}
	self_check_free(check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_that_is_missing_is_told_once),
		cmocka_unit_test(what_is_delivered_again_is_no_hole),
		cmocka_unit_test(one_id_under_two_types_is_two_aggregates),
	};
	return cmocka_run_group_tests_name("selfcheck", tests, NULL, NULL);
}

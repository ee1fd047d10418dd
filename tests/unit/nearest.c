/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nearest.h"

#include <string.h>

#include "unit.h"

static const char *nearest_of(const char *word)
{
	static const char *const names[] = { "append", "import",       "export", "read",
					     "tail",   "dead-letters", "lag" };
	struct nearest nearest;
	nearest_begin(&nearest, word);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		nearest_offer(&nearest, names[i]);
	return nearest.name ? nearest.name : "";
}

static void a_slip_of_the_finger_finds_what_was_meant(void **state)
{
	(void)state;
	static const char *const slips[][2] = {
		{ "apend", "append" },
		{ "appendd", "append" },
		{ "paapend", "append" },
		{ "exprot", "export" },
		{ "imprt", "import" },
		{ "raed", "read" },
		{ "reed", "read" },
		{ "tial", "tail" },
		{ "dead-leters", "dead-letters" },
		{ "deadletters", "dead-letters" },
		{ "lga", "lag" },
		{ "export", "export" },
	};
	for (size_t i = 0; i < sizeof slips / sizeof *slips; i++)
		assert_string_equal(nearest_of(slips[i][0]), slips[i][1]);
}

static void a_beginning_finds_what_it_begins(void **state)
{
	(void)state;
	static const char *const beginnings[][2] = {
		{ "exp", "export" },
		{ "expo", "export" },
		{ "app", "append" },
		{ "dead", "dead-letters" },
		{ "dead-l", "dead-letters" },
		{ "rea", "read" },
		{ "ap", "" },
		{ "de", "" },
	};
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
		assert_string_equal(nearest_of(beginnings[i][0]), beginnings[i][1]);
}

static void what_is_far_from_everything_finds_nothing(void **state)
{
	(void)state;
	static const char *const words[] = {
		"",
		"x",
		"zz",
		"frobnicate",
		"run",
		"dashboard",
		"a-word-that-is-longer-than-any-name-of-an-option-could-ever-be"
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		assert_string_equal(nearest_of(words[i]), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slip_of_the_finger_finds_what_was_meant),
		cmocka_unit_test(a_beginning_finds_what_it_begins),
		cmocka_unit_test(what_is_far_from_everything_finds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "core/text.h"

static const char *const bad_utf8[] = {
	"\x80",
	"\xbf",
	"\xc3",
	"\xc3(",
	"\xc0\x80",
	"\xc1\xbf",
	"\xe0\x80\x80",
	"\xe0\x9f\xbf",
	"\xe2\x82",
	"\xe2(\xac",
	"\xe2\x82(",
	"\xed\xa0\x80",
	"\xed\xbf\xbf",
	"\xf0\x80\x80\x80",
	"\xf0\x8f\xbf\xbf",
	"\xf0\x9f\x98",
	"\xf0\x9f\x98(",
	"\xf4\x90\x80\x80",
	"\xf5\x80\x80\x80",
	"\xf8\x88\x80\x80\x80",
	"\xfe",
	"\xff",
};
static const char *const good_utf8[] = {
	"",
	"x",
	"\x7f",
	"\xc2\x80",
	"\xdf\xbf",
	"\xe0\xa0\x80",
	"\xe2\x82\xac",
	"\xed\x9f\xbf",
	"\xee\x80\x80",
	"\xef\xbf\xbf",
	"\xf0\x90\x80\x80",
	"\xf0\x9f\x98\x80",
	"\xf4\x8f\xbf\xbf",
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static void utf8_is_told_from_what_is_none_at_every_place(void **state)
{
	(void)state;
	for (size_t lead = 0; lead < 20; lead++) {
		char text[64];
		memset(text, 'x', sizeof text);
		for (size_t i = 0; i < COUNT(bad_utf8); i++) {
			size_t size = strlen(bad_utf8[i]);
			memcpy(text + lead, bad_utf8[i], size);
			assert_false(utf8_is_valid(text, lead + size));
			assert_false(utf8_is_valid(text, lead + size + 9));
			memset(text + lead, 'x', size);
		}
		for (size_t i = 0; i < COUNT(good_utf8); i++) {
			size_t size = strlen(good_utf8[i]);
			memcpy(text + lead, good_utf8[i], size);
			assert_true(utf8_is_valid(text, lead + size));
			assert_true(utf8_is_valid(text, lead + size + 9));
			memset(text + lead, 'x', size);
		}
	}
}

static void a_cut_falls_between_characters(void **state)
{
	(void)state;
	const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	static const size_t cuts[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11 };
	for (size_t limit = 0; limit < COUNT(cuts); limit++)
		assert_int_equal(utf8_cut(text, 11, limit), cuts[limit]);
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
}

static void texts_equal_strings_of_the_same_size(void **state)
{
	(void)state;
	assert_true(text_equals(text_view("abcd", 3), "abc"));
	assert_false(text_equals(text_view("abcd", 3), "abcd"));
	assert_false(text_equals(text_view("abcd", 3), "ab"));
	assert_true(text_equals(text_view("x", 0), ""));
	assert_true(text_equals(tide_text(NULL), NULL));
	assert_false(text_equals(tide_text(NULL), ""));
	assert_false(text_equals(tide_text(""), NULL));
}

static void type_names_are_of_letters_digits_and_three_signs(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		char name[] = { 'a', (char)byte, '\0' };
		bool is_good =
			strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-",
			       byte) != NULL;
		assert_int_equal(name_check_type(name, "event_type", NULL),
				 is_good ? TIDE_OK : TIDE_ARGUMENT);
	}
	struct tide_error err;
	assert_fails(name_check_type("bad name", "event_type", &err), TIDE_ARGUMENT, &err,
		     "event_type 'bad name' has a character other than A-Z a-z 0-9 _ . -");
	assert_fails(name_check_type("", "event_type", &err), TIDE_ARGUMENT, &err,
		     "event_type is empty");
	assert_fails(name_check_type(NULL, "aggregate_type", &err), TIDE_ARGUMENT, &err,
		     "aggregate_type is missing");
}

static void a_name_has_at_most_255_bytes(void **state)
{
	(void)state;
	char name[TIDE_NAME_MAX + 2];
	memset(name, 'n', sizeof name);
	name[TIDE_NAME_MAX] = '\0';
	assert_int_equal(name_check_type(name, "event_type", NULL), TIDE_OK);
	assert_int_equal(name_check_projection(name, false, NULL), TIDE_OK);
	assert_int_equal(name_check_actor(name, "actor_id", NULL), TIDE_OK);
	name[TIDE_NAME_MAX] = 'n';
	name[TIDE_NAME_MAX + 1] = '\0';
	struct tide_error err;
	assert_fails(name_check_type(name, "event_type", &err), TIDE_ARGUMENT, &err,
		     "event_type 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...' is longer than 255 "
		     "bytes");
	assert_int_equal(name_check_projection(name, false, NULL), TIDE_ARGUMENT);
	assert_int_equal(name_check_actor(name, "actor_id", NULL), TIDE_ARGUMENT);
}

static void projection_names_are_utf8_without_control_characters(void **state)
{
	(void)state;
	struct tide_error err;
	assert_int_equal(name_check_projection("Umsatz \xc3\xbc"
					       "ber \xe2\x82\xac 100",
					       false, NULL),
			 TIDE_OK);
	assert_int_equal(name_check_projection("\xc2\xa0", false, NULL), TIDE_OK);
	assert_fails(name_check_projection("a\nb", false, &err), TIDE_ARGUMENT, &err,
		     "name 'a b' has a control character");
	assert_int_equal(name_check_projection("a\x7f", false, NULL), TIDE_ARGUMENT);
	assert_int_equal(name_check_projection("\xc2\x80", false, NULL), TIDE_ARGUMENT);
	assert_int_equal(name_check_projection("\xc2\x9f", false, NULL), TIDE_ARGUMENT);
	assert_int_equal(name_check_projection("", false, NULL), TIDE_ARGUMENT);
	for (size_t i = 0; i < COUNT(bad_utf8); i++)
		assert_int_equal(name_check_projection(bad_utf8[i], false, NULL), TIDE_ARGUMENT);
}

static void a_partition_suffix_belongs_to_partitioned_names_only(void **state)
{
	(void)state;
	static const char *const suffixed[] = { "orders#0/4", "#1/2", "a#12/345", "a#b#0/1" };
	static const char *const plain[] = { "orders#/4",   "orders#1/", "orders1/4", "orders#a/4",
					     "orders#1/4x", "1/4",       "#",         "/" };
	for (size_t i = 0; i < COUNT(suffixed); i++) {
		assert_int_equal(name_check_projection(suffixed[i], false, NULL), TIDE_ARGUMENT);
		assert_int_equal(name_check_projection(suffixed[i], true, NULL), TIDE_OK);
	}
	for (size_t i = 0; i < COUNT(plain); i++)
		assert_int_equal(name_check_projection(plain[i], false, NULL), TIDE_OK);
}

static void patterns_match_whole_names(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "Order*", "OrderPlaced", true },
		{ "Order*", "Order", true },
		{ "Order*", "MyOrder", false },
		{ "*Placed", "OrderPlaced", true },
		{ "*Placed", "OrderPlacedAgain", false },
		{ "*", "", true },
		{ "*", "x", true },
		{ "?", "x", true },
		{ "?", "", false },
		{ "?", "xy", false },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "*a*b*", "xxaxxbxx", true },
		{ "*a*b*", "xxbxxaxx", false },
		{ "a*b*c", "abbbc", true },
		{ "a*bc", "abcbc", true },
		{ "a*bc", "abcb", false },
		{ "**", "x", true },
		{ "a**b", "ab", true },
		{ "Order", "order", false },
		{ "[abc]", "b", true },
		{ "[abc]", "d", false },
		{ "[a-c]x", "ax", true },
		{ "[a-c]x", "bx", true },
		{ "[a-c]x", "cx", true },
		{ "[a-c]x", "dx", false },
		{ "[!abc]", "d", true },
		{ "[!abc]", "a", false },
		{ "[!a-c]", "b", false },
		{ "[a-cx-z]", "y", true },
		{ "[a-]", "-", true },
		{ "[-a]", "-", true },
		{ "[]a]", "]", true },
		{ "[!]]", "]", false },
		{ "[!]]", "a", true },
		{ "[a!]", "!", true },
		{ "*[0-9]", "Step12", true },
		{ "*[0-9]", "Step", false },
		{ "[z-a]", "m", false },
		{ "Order.[A-Z]*", "Order.Placed", true },
		{ "", "", true },
		{ "", "x", false },
		{ "abc", "ab", false },
		{ "*x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaay", false },
		{ "a]", "a]", true },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		if (pattern_matches(cases[i].pattern, cases[i].text, strlen(cases[i].text)) !=
		    cases[i].matches)
			fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].text);
	assert_true(pattern_matches("ab", "abc", 2));
}

static void a_pattern_with_many_stars_ends_soon(void **state)
{
	(void)state;
	char text[4096];
	memset(text, 'a', sizeof text);
	assert_false(
		pattern_matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text, sizeof text));
}

static void patterns_are_checked(void **state)
{
	(void)state;
	struct tide_error err;
	char longest[TIDE_NAME_MAX + 2];
	memset(longest, '*', sizeof longest);
	longest[TIDE_NAME_MAX + 1] = '\0';
	assert_int_equal(pattern_check(longest + 1, NULL), TIDE_OK);
	assert_int_equal(pattern_check(longest, NULL), TIDE_ARGUMENT);
	assert_int_equal(pattern_check("", NULL), TIDE_ARGUMENT);
	assert_int_equal(pattern_check(NULL, NULL), TIDE_ARGUMENT);
	assert_int_equal(pattern_check("Order[a-z]*", NULL), TIDE_OK);
	assert_int_equal(pattern_check("a]b", NULL), TIDE_OK);
	assert_fails(pattern_check("Order[a-z", &err), TIDE_ARGUMENT, &err,
		     "pattern 'Order[a-z' has a [ without ]");
	static const char *const open[] = { "[", "[]", "[!", "[!]", "a[b]c[", "[a" };
	for (size_t i = 0; i < COUNT(open); i++)
		assert_int_equal(pattern_check(open[i], NULL), TIDE_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_told_from_what_is_none_at_every_place),
		cmocka_unit_test(a_cut_falls_between_characters),
		cmocka_unit_test(texts_equal_strings_of_the_same_size),
		cmocka_unit_test(type_names_are_of_letters_digits_and_three_signs),
		cmocka_unit_test(a_name_has_at_most_255_bytes),
		cmocka_unit_test(projection_names_are_utf8_without_control_characters),
		cmocka_unit_test(a_partition_suffix_belongs_to_partitioned_names_only),
		cmocka_unit_test(patterns_match_whole_names),
		cmocka_unit_test(a_pattern_with_many_stars_ends_soon),
		cmocka_unit_test(patterns_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

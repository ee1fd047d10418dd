/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <inttypes.h>

#include <tidemark/time.h>

#include "core/text.h"

#define UNTOUCHED INT64_C(4711)

static void good_instants_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t unix_us;
	} cases[] = {
		{ "1970-01-01T00:00:00.000000+00:00", 0 },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01t00:00:00z", 0 },
		{ "1970-01-01 00:00:00", 0 },
		{ "1970-01-01T00:00:01", 1000000 },
		{ "1969-12-31T23:59:59.999999Z", -1 },
		{ "2001-09-09T01:46:40Z", INT64_C(1000000000000000) },
		{ "1970-01-01T00:00:00.1Z", 100000 },
		{ "1970-01-01T00:00:00.000001Z", 1 },
		{ "1970-01-01T00:00:00.0000019Z", 1 },
		{ "1970-01-01T00:00:00.123456789Z", 123456 },
		{ "1970-01-01T00:00:00.999999999", 999999 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T23:00:00-01:00", 0 },
		{ "1970-01-02T05:29:00+23:59", INT64_C(19800000000) },
		{ "1969-12-31T00:01:00-23:59", 0 },
		{ "1970-01-01T00:00:00-00:00", 0 },
		{ "2000-02-29T00:00:00Z", INT64_C(951782400000000) },
		{ "2024-02-29T12:00:00Z", INT64_C(1709208000000000) },
		{ "2024-02-29T23:30:00-01:00", INT64_C(1709253000000000) },
		{ "2024-03-01T00:30:00+01:00", INT64_C(1709249400000000) },
		{ "0001-01-01T00:00:00Z", TIDE_TIME_MIN_US },
		{ "0001-01-01T05:00:00+05:00", TIDE_TIME_MIN_US },
		{ "9999-12-31T23:59:59.999999Z", TIDE_TIME_MAX_US },
		{ "9999-12-31T18:59:59.999999-05:00", TIDE_TIME_MAX_US },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tide_time time = { UNTOUCHED };
		if (tide_time_parse(cases[i].text, &time, NULL) != TIDE_OK ||
		    time.unix_us != cases[i].unix_us)
			fail_msg("'%s' gave %" PRId64, cases[i].text, time.unix_us);
	}
}

static void wrong_instants_are_refused_and_leave_the_output(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",
		"2024",
		"2024-01-01",
		"2024-01-01T00:00",
		"2024-01-01T00:00Z",
		"2024-00-01T00:00:00Z",
		"2024-13-01T00:00:00Z",
		"2024-01-00T00:00:00Z",
		"2024-01-32T00:00:00Z",
		"2024-04-31T00:00:00Z",
		"2023-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"2024-02-30T00:00:00Z",
		"0000-01-01T00:00:00Z",
		"2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z",
		"2024-01-01T00:00:60Z",
		"2024-01-01T00:00:61Z",
		"2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00.",
		"2024-01-01T00:00:00.1234567890Z",
		"2024-01-01T00:00:00,5Z",
		"2024-01-01T00:00:00+1:00",
		"2024-01-01T00:00:00+0100",
		"2024-01-01T00:00:00+01",
		"2024-01-01T00:00:00+24:00",
		"2024-01-01T00:00:00+00:60",
		"2024-01-01T00:00:00 Z",
		"2024-01-01T00:00:00ZZ",
		"2024-01-01T00:00:00Z ",
		" 2024-01-01T00:00:00Z",
		"2024-01-01_00:00:00Z",
		"2024-01-01  00:00:00Z",
		"2024/01/01T00:00:00Z",
		"24-01-01T00:00:00Z",
		"02024-01-01T00:00:00Z",
		"-024-01-01T00:00:00Z",
		"+024-01-01T00:00:00Z",
		"2024-1-01T00:00:00Z",
		"2024-01-01T0:00:00Z",
		"2024-01-01T00-00-00Z",
		"2024-01-01T00:00:0aZ",
		"2O24-01-01T00:00:00Z",
		"0001-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"2024-01-01T00:00:00x01:00",
		"20 4-01-01T00:00:00Z",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct tide_time time = { UNTOUCHED };
		struct tide_error err;
		char message[160];
		snprintf(message, sizeof message,
			 "'%s' is no RFC 3339 instant in the years 0001 to 9999", wrong[i]);
		assert_fails(tide_time_parse(wrong[i], &time, &err), TIDE_ARGUMENT, &err, message);
		assert_int_equal(time.unix_us, UNTOUCHED);
	}
	struct tide_time time;
	assert_int_equal(tide_time_parse(NULL, &time, NULL), TIDE_ARGUMENT);
	assert_int_equal(tide_time_parse("2024-01-01T00:00:00Z", NULL, NULL), TIDE_ARGUMENT);
}

static void the_written_form_is_fixed(void **state)
{
	(void)state;
	static const struct {
		int64_t unix_us;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000000+00:00" },
		{ -1, "1969-12-31T23:59:59.999999+00:00" },
		{ INT64_C(951782399999999), "2000-02-28T23:59:59.999999+00:00" },
		{ INT64_C(951782400000000), "2000-02-29T00:00:00.000000+00:00" },
		{ INT64_C(951868800000000), "2000-03-01T00:00:00.000000+00:00" },
		{ TIDE_TIME_MIN_US, "0001-01-01T00:00:00.000000+00:00" },
		{ TIDE_TIME_MAX_US, "9999-12-31T23:59:59.999999+00:00" },
		{ INT64_MIN, "0001-01-01T00:00:00.000000+00:00" },
		{ INT64_MAX, "9999-12-31T23:59:59.999999+00:00" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[TIDE_TIME_TEXT_SIZE];
		assert_string_equal(tide_time_format((struct tide_time){ cases[i].unix_us }, text),
				    cases[i].text);
	}
}

static void every_day_of_ten_thousand_years_round_trips(void **state)
{
	(void)state;
	int64_t step = INT64_C(86400000000) - 7; /* every day, at another time of day */
	for (int64_t us = TIDE_TIME_MIN_US; us <= TIDE_TIME_MAX_US - step; us += step) {
		char text[TIDE_TIME_TEXT_SIZE];
		struct tide_time time;
		tide_time_format((struct tide_time){ us }, text);
		if (!time_read(text, TIDE_TIME_TEXT_SIZE - 1, &time) || time.unix_us != us)
			fail_msg("%s is not %" PRId64, text, us);
	}
}

static void texts_sort_like_their_instants(void **state)
{
	(void)state;
	char before[TIDE_TIME_TEXT_SIZE] = "", text[TIDE_TIME_TEXT_SIZE];
	for (int64_t us = TIDE_TIME_MIN_US; us < TIDE_TIME_MAX_US - INT64_C(40000000000000);
	     us += INT64_C(34567891234567)) {
		tide_time_format((struct tide_time){ us }, text);
		assert_true(strcmp(before, text) < 0);
		memcpy(before, text, sizeof text);
	}
}

static void now_is_after_this_was_written(void **state)
{
	(void)state;
	struct tide_time written;
	assert_int_equal(tide_time_parse("2020-01-01T00:00:00Z", &written, NULL), TIDE_OK);
	assert_true(tide_time_now().unix_us > written.unix_us);
}

/* The second of a minute is read by what the first has left. */
static void times_of_one_minute_are_read_one_after_the_other(void **state)
{
	static const char *const minutes[] = { "0001-01-01T00:00", "1969-12-31T23:59",
					       "1970-01-01T00:00", "9999-12-31T23:59" };
	static const char *const rests[] = { ":17.000001+00:00", ":00.000000+00:00",
					     ":59.999999+00:00" };
	static const char *const malformed[] = { ":1x.000000+00:00", ":60.000000+00:00",
						 ":10.00000x+00:00", ":10.0/0000+00:00" };
	struct time_reader reader = { 0 };
	char text[40];
	(void)state;
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		for (size_t k = 0; k < sizeof rests / sizeof *rests; k++) {
			struct tide_time expected, found;
			snprintf(text, sizeof text, "%s%s", minutes[i], rests[k]);
			assert_true(time_read(text, strlen(text), &expected));
			assert_true(time_reader_next(&reader, text, strlen(text), &found));
			assert_int_equal(found.unix_us, expected.unix_us);
		}
		for (size_t k = 0; k < sizeof malformed / sizeof *malformed; k++) {
			struct tide_time found;
			snprintf(text, sizeof text, "%s%s", minutes[i], malformed[k]);
			assert_false(time_reader_next(&reader, text, strlen(text), &found));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_instants_are_read),
		cmocka_unit_test(wrong_instants_are_refused_and_leave_the_output),
		cmocka_unit_test(the_written_form_is_fixed),
		cmocka_unit_test(every_day_of_ten_thousand_years_round_trips),
		cmocka_unit_test(texts_sort_like_their_instants),
		cmocka_unit_test(now_is_after_this_was_written),
		cmocka_unit_test(times_of_one_minute_are_read_one_after_the_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

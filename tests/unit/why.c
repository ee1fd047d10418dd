/* SPDX-License-Identifier: Apache-2.0 */
/* Causes as values: what is kept beside a lease is read again, and put into the words of the
 * manual. unit-why SOURCE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/why.h"
#include "unit.h"

static const char *why_source = ".";

static struct tide_why why_made(void)
{
	struct tide_why why = { .cause = TIDE_CAUSE_RETRYING, .state = TIDE_STATE_LIVE };
	snprintf(why.name, sizeof why.name, "Totals");
	why_set_since(&why, (struct tide_time){ INT64_C(1767225600000000) });
	why_add_number(&why, "event_position", 7);
	why_add_number(&why, "attempts", 2);
	why_add_number(&why, "max_attempts", 6);
	why_add_text(&why, "error", "the \"mill\" is\nbroken");
	return why;
}

static void what_is_kept_is_read_again(void **state)
{
	(void)state;
	struct tide_why why = why_made(), read;
	struct buffer buffer = { 0 };
	why_write(&buffer, &why);
	assert_false(buffer.failed);
	assert_true(why_read(buffer.data, &read));
	assert_int_equal(read.cause, TIDE_CAUSE_RETRYING);
	assert_int_equal(read.state, TIDE_STATE_LIVE);
	assert_true(read.has_since && read.since.unix_us == why.since.unix_us);
	assert_true(tide_why_evidence(&read, "event_position")->number == 7);
	assert_string_equal(tide_why_evidence(&read, "error")->text, "the \"mill\" is broken");
	assert_null(tide_why_evidence(&read, "pid"));
	buffer_fini(&buffer);
}

static void what_is_no_cause_is_not_read(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"null",
		"{}",
		"[]",
		"{\"cause\":\"of a later version\"}",
		"{\"cause\":7}",
		"{\"cause\":\"live\",\"evidence\":{\"a\":[]}}",
		"{\"cause\":\"live\"",
		"{\"cause\":\"live\",\"evidence\":{\"a key that is longer than any of ours\":1}}"
	};
	struct tide_why why;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(why_read(texts[i], &why));
	assert_true(why_read("{\"cause\":\"live\",\"of later\":{\"a\":[1]}}", &why));
}

/* A clock that is set back while a subscription runs lets its end be before its begin. */
static void the_word_of_a_run_says_how_it_ended_and_clocks_where_there_is_none(void **state)
{
	(void)state;
	struct tide_why why;
	struct tide_lease_info lease = { .has_last_error = true,
					 .acquired_at = { 2000000 },
					 .last_error_at = { 1000000 },
					 .last_error = "no such customer" };
	assert_false(why_read_end(&lease, &why)); /* it is of the run before, for all one knows */
	snprintf(lease.reason, sizeof lease.reason, "%s",
		 "{\"cause\":\"failed_event\",\"state\":\"error\"}");
	assert_true(why_read_end(&lease, &why));
	assert_int_equal(why.cause, TIDE_CAUSE_FAILED_EVENT);

	lease.last_error_at.unix_us = 3000000;
	snprintf(lease.reason, sizeof lease.reason, "%s",
		 "{\"cause\":\"live\",\"state\":\"live\"}");
	assert_false(why_read_end(&lease, &why));
	lease.reason[0] = '\0';
	assert_true(why_read_end(&lease, &why));
	assert_int_equal(why.cause, TIDE_CAUSE_ERROR);
}

static void a_fact_that_is_not_known_takes_its_part_along(void **state)
{
	(void)state;
	struct tide_why why = why_made();
	why_say(&why);
	assert_string_equal(why.reason, "'Totals' is retrying the event at 7: attempt 2 of 6 "
					"failed: the \"mill\" is broken");
	why_add_text(&why, "event_type", "Ground");
	why_say(&why);
	assert_string_equal(why.reason, "'Totals' is retrying the event at 7 of type Ground: "
					"attempt 2 of 6 failed: the \"mill\" is broken");
}

static bool why_outweighs(enum tide_cause one, enum tide_cause other)
{
	return why_weight(one) > why_weight(other);
}

/* What a lane says is not hidden by one of which less is wrong. */
static void each_cause_has_its_place_among_lanes(void **state)
{
	(void)state;
	bool is_taken[TIDE_CAUSE_COUNT] = { false };
	for (int i = 0; i < TIDE_CAUSE_COUNT; i++) {
		int weight = why_weight((enum tide_cause)i);
		assert_in_range(weight, 0, TIDE_CAUSE_COUNT - 1);
		assert_false(is_taken[weight]);
		is_taken[weight] = true;
	}
	static const enum tide_cause over[] = { TIDE_CAUSE_NOT_RUN, TIDE_CAUSE_STOPPED,
						TIDE_CAUSE_DIED, TIDE_CAUSE_LANE_UNOWNED };
	static const enum tide_cause ends[] = { TIDE_CAUSE_FAILED_EVENT, TIDE_CAUSE_FILE_CHANGED,
						TIDE_CAUSE_ERROR, TIDE_CAUSE_DIVERGED };
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++)
			assert_true(why_outweighs(ends[i], over[j]));
	assert_true(why_outweighs(TIDE_CAUSE_STOPPED, TIDE_CAUSE_NOT_RUN));
	assert_true(why_outweighs(TIDE_CAUSE_DIED, TIDE_CAUSE_STOPPED));
	assert_true(why_outweighs(TIDE_CAUSE_LANE_UNOWNED, TIDE_CAUSE_PAUSED));
	assert_true(why_outweighs(TIDE_CAUSE_LIVE, TIDE_CAUSE_STANDING_BY));
}

static void evidence_has_its_limits(void **state)
{
	(void)state;
	struct tide_why why = { 0 };
	char key[24], text[2000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int i = 0; i < 2 * TIDE_EVIDENCE_MAX; i++) {
		snprintf(key, sizeof key, "fact%d", i);
		why_add_text(&why, key, text);
	}
	assert_int_equal(why.evidence_count, TIDE_EVIDENCE_MAX);
	assert_int_equal(strlen(why.evidence[0].text), sizeof why.evidence[0].text - 1);
	why_add_number(&why, "fact0", 1);
	assert_false(why.evidence[0].is_number);
	assert_string_equal(tide_cause_name(TIDE_CAUSE_COUNT), "unknown");
}

static const char *why_page(void)
{
	char path[4096];
	static char page[1 << 20];
	snprintf(path, sizeof path, "%s/docs/operating.md", why_source);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	page[fread(page, 1, sizeof page - 1, file)] = '\0';
	fclose(file);
	return page;
}

static void the_manual_has_every_cause(void **state)
{
	(void)state;
	const char *page = why_page();
	char row[2400];
	for (int i = 0; i < TIDE_CAUSE_COUNT; i++) {
		enum tide_cause cause = (enum tide_cause)i;
		snprintf(row, sizeof row, "\n| `%s` | %s | %s |\n", tide_cause_name(cause),
			 why_sentence(cause), why_advice(cause));
		if (!strstr(page, row))
			fail_msg("docs/operating.md has no row%s", row);
	}
}

static bool why_fits(const char *sentence, const char *said);

/* What is in brackets is said, or what stands behind ~ in it. */
static bool why_fits_part(const char *part, const char *said)
{
	char chosen[2400];
	const char *end = strchr(part, ']'), *other = strchr(part, '~');
	if (!other || other > end)
		other = end;
	snprintf(chosen, sizeof chosen, "%.*s%s", (int)(other - part - 1), part + 1, end + 1);
	if (why_fits(chosen, said))
		return true;
	const char *from = other < end ? other + 1 : end;
	snprintf(chosen, sizeof chosen, "%.*s%s", (int)(end - from), from, end + 1);
	return why_fits(chosen, said);
}

/* Whether this may have been said: any text stands for a fact. */
static bool why_fits(const char *sentence, const char *said)
{
	for (; *sentence && *sentence != '[' && *sentence != '{'; sentence++, said++)
		if (*sentence != *said)
			return false;
	if (!*sentence)
		return !*said;
	if (*sentence == '[')
		return why_fits_part(sentence, said);
	sentence = strchr(sentence, '}') + 1;
	while (*said)
		if (why_fits(sentence, ++said))
			return true;
	return false;
}

static void what_the_manual_shows_of_each_cause_may_be_said(void **state)
{
	(void)state;
	const char *shown = strstr(why_page(), "\n| cause | came out as |\n");
	assert_non_null(shown);
	assert_false(why_fits("a {b}[ c {d}~ e]", "a 1 c "));
	assert_true(why_fits("a {b}[ c {d}~ e]", "a 1 e"));
	for (int i = 0; i < TIDE_CAUSE_COUNT; i++) {
		enum tide_cause cause = (enum tide_cause)i;
		char row[40], said[1200] = "";
		snprintf(row, sizeof row, "\n| `%s` | ", tide_cause_name(cause));
		const char *at = strstr(shown, row), *end = at ? strstr(at, " |\n") : NULL;
		if (end)
			snprintf(said, sizeof said, "%.*s", (int)(end - at - (long)strlen(row)),
				 at + strlen(row));
		if (!why_fits(why_sentence(cause), said))
			fail_msg("%s is shown as '%s'", tide_cause_name(cause), said);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_is_read_again),
		cmocka_unit_test(what_is_no_cause_is_not_read),
		cmocka_unit_test(
			the_word_of_a_run_says_how_it_ended_and_clocks_where_there_is_none),
		cmocka_unit_test(a_fact_that_is_not_known_takes_its_part_along),
		cmocka_unit_test(each_cause_has_its_place_among_lanes),
		cmocka_unit_test(evidence_has_its_limits),
		cmocka_unit_test(the_manual_has_every_cause),
		cmocka_unit_test(what_the_manual_shows_of_each_cause_may_be_said),
	};
	if (argc > 1)
		why_source = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The knobs of a subscription are one table: what is written from it elsewhere follows it. knobs
 * SOURCE; --print writes the page's table. */
#include <stdio.h>
#include <string.h>

#include "lib/build.h"
#include "lib/must.h"

#include "core/json.h"
#include "path/config.h"
#include "core/value.h"
#include "path/knobs.h"
#include "sys/alloc.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define PADDING 13 /* bytes between the members, with 64 bits */

static const char *source;

static bool knob_is_text(const struct knob *knob)
{
	return knob->kind == KNOB_LIST || knob->kind == KNOB_UUID;
}

static const size_t sizes[] = {
	[KNOB_INTEGER] = 8, [KNOB_BYTES] = 8,   [KNOB_SMALL] = 4, [KNOB_UNSIGNED] = 4,
	[KNOB_REAL] = 8,    [KNOB_SECONDS] = 8, [KNOB_FLAG] = 1,  [KNOB_STRATEGY] = 4,
	[KNOB_START] = 4,   [KNOB_LIST] = 8,    [KNOB_UUID] = 8,
};

static void defaults_are_those_of_the_table(void **state)
{
	(void)state;
	const struct tide_subscription_config wanted = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	for (size_t i = 0; i < knob_count; i++) {
		struct tide_subscription_config config;
		memset(&config, 0x5a, sizeof config);
		if (knob_is_text(&knobs[i]))
			continue;
		must(knob_read(&knobs[i], knobs[i].fallback, &config, err));
		if (memcmp((char *)&config + knobs[i].place, (const char *)&wanted + knobs[i].place,
			   sizes[knobs[i].kind]) != 0)
			fail_msg("%s is not '%s' by default", knobs[i].name, knobs[i].fallback);
	}
}

/* What no knob stands for is padding, which is never as long as a member that needs eight bytes. */
static void every_member_is_a_knob(void **state)
{
	(void)state;
	bool is_known[sizeof(struct tide_subscription_config)] = { false };
	size_t unknown = 0;
	memset(is_known, true, sizeof(size_t)); /* its size */
	memset(is_known + offsetof(struct tide_subscription_config, start_position), true,
	       sizeof(tide_position));
	for (size_t i = 0; i < knob_count; i++)
		memset(is_known + knobs[i].place, true, sizes[knobs[i].kind]);
	for (size_t i = 0; i < sizeof is_known; i++)
		unknown += !is_known[i];
	assert_int_equal(unknown, PADDING);
}

static void every_default_meets_its_rule_and_wrong_ones_are_named(void **state)
{
	(void)state;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	must(config_check(&config, err));
	for (size_t i = 0; i < knob_count; i++) {
		must(knob_check(&knobs[i], &config, err));
		assert_ptr_equal(knob_find(knobs[i].name), &knobs[i]);
		if (knob_is_text(&knobs[i]))
			continue;
		struct tide_error why =
			refused(TIDE_ARGUMENT, knob_read(&knobs[i], "a word", &config, err));
		must_mention(&why, "'a word'");
		refused(TIDE_ARGUMENT, knob_read(&knobs[i], "", &config, err));
	}
	assert_null(knob_find("batchsize"));
}

static void values_are_read_with_their_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double seconds; /* < 0: refused */
	} times[] = {
		{ "5", 5 },     { "1.5s", 1.5 },  { "200ms", 0.2 }, { "2 min", 120 }, { "2m", 120 },
		{ "1h", 3600 }, { "3d", 259200 }, { "5 s", 5 },     { "", -1 },       { "s", -1 },
		{ "5x", -1 },   { "5 s s", -1 },  { "1.2.3", -1 },  { "1e3", -1 },    { ".", -1 },
		{ "5.", -1 },   { "nan", -1 },    { "inf", -1 },    { "0x10", -1 },   { "1,5", -1 },
	};
	for (size_t i = 0; i < COUNT(times); i++) {
		double seconds;
		tide_status status = value_read_seconds(times[i].text, &seconds, NULL);
		if ((status == TIDE_OK) != (times[i].seconds >= 0))
			fail_msg("'%s': %s", times[i].text, tide_status_name(status));
		if (status == TIDE_OK && seconds != times[i].seconds)
			fail_msg("'%s' is %g", times[i].text, seconds);
	}
	int64_t bytes, number;
	must(value_read_bytes("16 MiB", &bytes, err));
	assert_int_equal(bytes, 16777216);
	must(value_read_bytes("64KiB", &bytes, err));
	assert_int_equal(bytes, 65536);
	refused(TIDE_ARGUMENT, value_read_bytes("16 MB", &bytes, err));
	refused(TIDE_ARGUMENT, value_read_bytes("9223372036854775807 GiB", &bytes, err));
	must(value_read_integer("-9223372036854775808", &number, err));
	refused(TIDE_ARGUMENT, value_read_integer("9223372036854775808", &number, err));
	refused(TIDE_ARGUMENT, value_read_integer("1 2", &number, err));
}

static void counts_keep_their_size(void **state)
{
	(void)state;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	refused(TIDE_ARGUMENT, knob_read(knob_find("max_retries"), "2147483648", &config, err));
	refused(TIDE_ARGUMENT, knob_read(knob_find("partition_total"), "4294967297", &config, err));
	refused(TIDE_ARGUMENT, knob_read(knob_find("partition_total"), "-1", &config, err));
	refused(TIDE_ARGUMENT, knob_read(knob_find("max_retries"), "none", &config, err));
	assert_int_equal(config.max_retries, 5);
	must(knob_read(knob_find("start_from"), "42", &config, err));
	assert_int_equal(config.start_from, TIDE_START_POSITION);
	assert_int_equal(config.start_position, 42);
}

static void knobs_write_table(struct buffer *text)
{
	buffer_format(text, "| field | default | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < knob_count; i++)
		buffer_format(text, "| `%s` | %s | %s |\n", knobs[i].name, knobs[i].fallback,
			      knobs[i].text);
}

static void the_page_has_the_table(void **state)
{
	(void)state;
	struct buffer table = { 0 };
	char *path ALLOC_AUTO = alloc_format("%s/docs/subscriptions.md", source);
	char *page ALLOC_AUTO = alloc_zero(1, 1 << 20);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_in_range(fread(page, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
	fclose(file);
	knobs_write_table(&table);
	if (!strstr(page, table.data))
		fail_msg("docs/subscriptions.md has another table of knobs than:\n%s", table.data);
	buffer_fini(&table);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_table),
		cmocka_unit_test(every_member_is_a_knob),
		cmocka_unit_test(every_default_meets_its_rule_and_wrong_ones_are_named),
		cmocka_unit_test(values_are_read_with_their_units),
		cmocka_unit_test(counts_keep_their_size),
		cmocka_unit_test(the_page_has_the_table),
	};
	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		struct buffer table = { 0 };
		knobs_write_table(&table);
		fputs(table.data, stdout);
		buffer_fini(&table);
		return 0;
	}
	source = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is made from the table of knobs follows another table: this program has that of changed/path.
 * knobs_changed SOURCE
 */
#include <stdio.h>
#include <string.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/temp.h"

#include "cli/cli.h"
#include "config/config.h"
#include "path/config.h"
#include "path/knobs.h"
#include "sys/alloc.h"

static const char *source;

/* ---- What options.c needs of the command ----------------------------------------------------- */

const struct command_info cli_commands[COMMAND_COUNT];

int cli_usage(struct cli *cli, const char *format, ...)
{
	(void)cli, (void)format;
	return CLI_USAGE;
}

int cli_fail(struct cli *cli, const struct tide_error *err)
{
	(void)cli, (void)err;
	return CLI_USAGE;
}

/* ---- Claims ---------------------------------------------------------------------------------- */

static void a_changed_rule_is_obeyed_with_field_and_value(void **state)
{
	(void)state;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.batch_size = 7;
	must(config_check(&config, err));
	config.batch_size = 8;
	struct tide_error why = refused(TIDE_ARGUMENT, config_check(&config, err));
	must_mention(&why, "batch_size is 8, expected at most 7");
}

/* The test `knobs` compares them with what the header has. */
static void a_changed_default_is_another_than_the_headers(void **state)
{
	(void)state;
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	int64_t before = config.batch_size;
	must(knob_read(knob_find("batch_size"), knob_find("batch_size")->fallback, &config, err));
	assert_int_equal(config.batch_size, 3);
	assert_int_not_equal(config.batch_size, before);
}

static void a_changed_option_is_one_of_the_command(void **state)
{
	(void)state;
	const struct option_info *option = &cli_options[OPT_PROJECT_BATCH];
	assert_string_equal(option->name, "few-at-once");
	assert_string_equal(option->help, "few of a changed table");
}

static void load_says(const char *line, const char *wanted)
{
	char folder[TEMP_PATH_SIZE];
	struct problems problems = { 0 };
	struct config config;
	temp_make(folder);
	char *path ALLOC_AUTO = alloc_format("%s/a.conf", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"[store s]\nurl = sqlite:a.db\n[projection a]\nstore = s\ncommand = true\n%s\n",
		line);
	fclose(file);
	tide_status status = config_load(path, &config, &problems, NULL);
	assert_true((status == TIDE_OK) == (wanted == NULL));
	if (wanted && !strstr(problems.items[0].text, wanted))
		fail_msg("%s: %s", line, problems.items[0].text);
	if (status == TIDE_OK)
		config_fini(&config);
	problems_fini(&problems);
	temp_remove(folder);
}

static void keys_of_the_daemon_are_those_of_a_changed_table(void **state)
{
	(void)state;
	load_says("batch_size = 7", NULL);
	load_says("batch_size = 8", "expected at most 7");
}

static void the_page_lacks_the_rows_of_a_changed_table(void **state)
{
	(void)state;
	char *path ALLOC_AUTO = alloc_format("%s/docs/subscriptions.md", source);
	char *page ALLOC_AUTO = alloc_zero(1, 1 << 20);
	const struct knob *knob = knob_find("batch_size");
	char *row ALLOC_AUTO =
		alloc_format("| `%s` | %s | %s |\n", knob->name, knob->fallback, knob->text);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_in_range(fread(page, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
	fclose(file);
	assert_non_null(strstr(page, "| `batch_size` | 100 | "));
	assert_null(strstr(page, row)); /* which is what `knobs` looks for */
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_changed_rule_is_obeyed_with_field_and_value),
		cmocka_unit_test(a_changed_default_is_another_than_the_headers),
		cmocka_unit_test(a_changed_option_is_one_of_the_command),
		cmocka_unit_test(keys_of_the_daemon_are_those_of_a_changed_table),
		cmocka_unit_test(the_page_lacks_the_rows_of_a_changed_table),
	};
	source = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

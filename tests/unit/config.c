/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of the daemon: lines, values, variables. config SOURCE; --print writes the
 * page's tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/temp.h"

#include "config/config.h"
#include "path/knobs.h"
#include "sys/alloc.h"

static const char *source;

static void take_line(void *self, int line, const char *section, const char *key, const char *value)
{
	buffer_format(self, "%d[%s]%s=%s;", line, section, key ? key : "", value ? value : "");
}

static void read_lines(const char *text, const char *wanted, size_t wanted_problems)
{
	struct problems problems = { 0 };
	struct buffer got = { 0 };
	char *copy ALLOC_AUTO = alloc_text(text, strlen(text));
	buffer_add(&got, "", 0);
	ini_read(copy, strlen(text), &problems, take_line, &got);
	assert_string_equal(got.data ? got.data : "", wanted);
	assert_int_equal(problems.count, wanted_problems);
	problems_fini(&problems);
	buffer_fini(&got);
}

static void lines_are_sections_keys_and_comments(void **state)
{
	(void)state;
	read_lines("[a b]\n k = v \n# no\n ; no\n\nx=a = b # kept\r\n",
		   "1[a b]=;2[a b]k=v;6[a b]x=a = b # kept;", 0);
	read_lines("[ a ]\nempty =", "1[a]=;2[a]empty=;", 0);
	read_lines("k = v\n[a\nin = lost\n[]\n= v\nword\n", "", 5);
	read_lines("\xef\xbb\xbf[a]\n\xff = 1\n", "1[a]=;", 1);
	char *wide ALLOC_AUTO = alloc_zero(1, 5000), *wanted ALLOC_AUTO = alloc_zero(1, 5100);
	size_t size = (size_t)snprintf(wide, 5000, "[%0300d]\nk = ", 0);
	memset(wide + size, 'v', 4000);
	size_t end = (size_t)snprintf(wanted, 5100, "1[%0300d]=;2[%0300d]k=", 0, 0);
	memset(wanted + end, 'v', 4000);
	wanted[end + 4000] = ';';
	read_lines(wide, wanted, 0);
}

static void variables_are_expanded(void **state)
{
	(void)state;
	static const struct {
		const char *text, *wanted; /* NULL: refused */
	} cases[] = {
		{ "plain", "plain" },
		{ "a${SET}b${SET}", "axbx" },
		{ "${GONE:-other}", "other" },
		{ "${SET:-other}", "x" },
		{ "${EMPTY:-other}", "other" },
		{ "${EMPTY}", "" },
		{ "$SET $ }", "$SET $ }" },
		{ "${GONE:-}", "" },
		{ "${GONE}", NULL },
		{ "${SET", NULL },
		{ "${}", NULL },
		{ "${A B}", NULL },
		{ "${SET:x}", NULL },
		{ "", "" },
	};
	setenv("SET", "x", 1);
	setenv("EMPTY", "", 1);
	unsetenv("GONE");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *got ALLOC_AUTO = NULL;
		tide_status status = value_expand(cases[i].text, &got, NULL);
		if ((status == TIDE_OK) != (cases[i].wanted != NULL))
			fail_msg("'%s': %s", cases[i].text, tide_status_name(status));
		if (status == TIDE_OK)
			assert_string_equal(got, cases[i].wanted);
	}
}

static void levels_are_of_components(void **state)
{
	(void)state;
	struct log_levels levels = { .level = TIDE_LOG_NOTICE };
	must(log_levels_read("error, store = debug", &levels, err));
	assert_true(log_levels_want(&levels, "store", TIDE_LOG_DEBUG));
	assert_false(log_levels_want(&levels, "manager", TIDE_LOG_WARNING));
	assert_true(log_levels_want(&levels, "manager", TIDE_LOG_ERROR));
	assert_int_equal(log_levels_least(&levels), TIDE_LOG_DEBUG);
	struct tide_error why =
		refused(TIDE_ARGUMENT, log_levels_read("stroe=debug", &levels, err));
	must_mention(&why, "'stroe'");
	refused(TIDE_ARGUMENT, log_levels_read("store=loud", &levels, err));
}

/* A file of one store and one projection; NULL: it is sound, and its first store has the URL. */
static void load_store(const char *store, const char *line, const char *wanted, const char *url)
{
	char folder[TEMP_PATH_SIZE];
	struct problems problems = { 0 };
	struct config config;
	temp_make(folder);
	char *sql ALLOC_AUTO = alloc_format("%s/a.sql", folder),
		  *path ALLOC_AUTO = alloc_format("%s/a.conf", folder);
	FILE *file = fopen(sql, "w");
	assert_non_null(file);
	fputs("-- init:\nCREATE TABLE IF NOT EXISTS a (id INTEGER);\n-- on: *\nINSERT INTO a "
	      "VALUES "
	      "(:global_position);\n",
	      file);
	fclose(file);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "[store s]\n%s\n[projection a]\nstore = s\nfile = %s\n%s\n", store, sql,
		line);
	fclose(file);
	tide_status status = config_load(path, &config, &problems, NULL);
	if ((status == TIDE_OK) != (wanted == NULL))
		fail_msg("%s: %s %s", line, tide_status_name(status),
			 problems.count ? problems.items[0].text : "");
	if (wanted && !strstr(problems.items[0].text, wanted))
		fail_msg("%s: %s", line, problems.items[0].text);
	if (status == TIDE_OK) {
		assert_string_equal(config.stores[0].url, url);
		config_fini(&config);
	}
	problems_fini(&problems);
	temp_remove(folder);
}

static void load_with(const char *line, const char *wanted)
{
	load_store("url = sqlite:a.db", line, wanted, "sqlite:a.db");
}

static void connections_are_those_of_postgresql(void **state)
{
	(void)state;
	load_store("url = postgresql:///a\nconnections = 4", "", NULL,
		   "postgresql:///a?connections=4");
	load_store("connections = 1000\nurl = postgres:///a?schema=b", "", NULL,
		   "postgres:///a?schema=b&connections=1000");
	load_store("url = sqlite:a.db\ninto = postgresql:\nconnections = 4", "", NULL,
		   "sqlite:a.db");
	load_store("url = sqlite:a.db\nconnections = 4", "", "connections: is for PostgreSQL",
		   NULL);
	load_store("url = postgresql:\nconnections = 0", "",
		   "connections: is 0, expected 1 to 1000", NULL);
	load_store("url = postgresql:\nconnections = 1001", "",
		   "connections: is 1001, expected 1 to 1000", NULL);
	load_store("url = postgresql:\nconnections = some", "", "connections: 'some'", NULL);
}

static void every_knob_is_a_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < knob_count; i++) {
		const struct knob *knob = &knobs[i];
		const char *value = knob->kind == KNOB_LIST ? "OrderPlaced, OrderPaid"
				    : knob->kind == KNOB_UUID
					    ? "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
					    : knob->fallback;
		char *good ALLOC_AUTO = alloc_format("%s = %s", knob->name, value);
		char *bad ALLOC_AUTO = alloc_format("%s = [", knob->name);
		char *title ALLOC_AUTO = alloc_format("[projection a] %s: ", knob->name);
		load_with(good, NULL);
		load_with(bad, title);
	}
	load_with("no_knob = 1", "there is no such key");
	load_with("from = end\nstart_from = end", "says the same as 'from'");
	load_with("on_error = stop\nhold_aggregate = true", "needs on_error = dead-letter");
	load_with("initial_retry_delay = 2min", "expected initial_retry_delay (120) or more");
}

static void tables_write(struct buffer *text)
{
	static const char *const sections[] = { "daemon", "store", "projection", "health" };
	for (size_t i = 0; i < 4; i++) {
		buffer_format(text, "| `[%s]` | default | meaning |\n|---|---|---|\n", sections[i]);
		for (size_t j = 0; j < setting_count; j++)
			if (strcmp(settings[j].section, sections[i]) == 0)
				buffer_format(text, "| `%s` | %s | %s |\n", settings[j].key,
					      settings[j].fallback, settings[j].text);
		buffer_format(text, "\n");
	}
}

static void the_page_has_the_tables(void **state)
{
	(void)state;
	struct buffer tables = { 0 };
	char *path ALLOC_AUTO = alloc_format("%s/docs/daemon.md", source),
		   *page ALLOC_AUTO = alloc_zero(1, 1 << 20);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_in_range(fread(page, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
	fclose(file);
	tables_write(&tables);
	if (!strstr(page, tables.data))
		fail_msg("docs/daemon.md has other tables than --print");
	buffer_fini(&tables);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_sections_keys_and_comments),
		cmocka_unit_test(variables_are_expanded),
		cmocka_unit_test(levels_are_of_components),
		cmocka_unit_test(every_knob_is_a_key),
		cmocka_unit_test(connections_are_those_of_postgresql),
		cmocka_unit_test(the_page_has_the_tables),
	};
	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		struct buffer tables = { 0 };
		tables_write(&tables);
		fputs(tables.data, stdout);
		buffer_fini(&tables);
		return 0;
	}
	source = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/text.h"
#include "sys/log.h"
#include "sys/thread.h"

static struct {
	int lines;
	int inside; /* sinks at work at this moment */
	enum tide_log_level level;
	char component[32], message[64], fields[4096];
} seen;

static void remember(void *self, const struct tide_log_line *line)
{
	assert_ptr_equal(self, &seen);
	assert_int_equal(seen.inside++, 0);
	seen.lines++;
	seen.level = line->level;
	snprintf(seen.component, sizeof seen.component, "%s", line->component);
	snprintf(seen.message, sizeof seen.message, "%s", line->message);
	snprintf(seen.fields, sizeof seen.fields, "%s", line->fields);
	seen.inside--;
}

static void a_wanted_line_reaches_the_sink_with_its_parts(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	tide_log_set(remember, &seen, TIDE_LOG_INFO);
	log_at(TIDE_LOG_DEBUG, "store", "unwanted", " ");
	assert_int_equal(seen.lines, 0);
	log_at(TIDE_LOG_INFO, "store", "opened", "url='%s' position=%d", "memory:", 5);
	assert_int_equal(seen.lines, 1);
	assert_int_equal(seen.level, TIDE_LOG_INFO);
	assert_string_equal(seen.component, "store");
	assert_string_equal(seen.message, "opened");
	assert_string_equal(seen.fields, "url='memory:' position=5");
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	log_at(TIDE_LOG_INFO, "store", "unwanted", " ");
	assert_int_equal(seen.lines, 1);
}

static void fields_are_one_line_of_utf8_and_cut_when_too_long(void **state)
{
	(void)state;
	char text[5000];
	memset(text, 'x', sizeof text);
	text[1] = '\n';
	text[2] = '\xff';
	text[sizeof text - 1] = '\0';
	tide_log_set(remember, &seen, TIDE_LOG_DEBUG);
	log_at(TIDE_LOG_ERROR, "dlq", "long", "%s", text);
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_in_range(strlen(seen.fields), 1000, 4095);
	assert_memory_equal(seen.fields, "x ?x", 4);
	assert_true(utf8_is_valid(seen.fields, strlen(seen.fields)));
}

static void a_quoted_value_can_be_taken_apart_again(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	tide_log_set(remember, &seen, TIDE_LOG_DEBUG);
	log_at(TIDE_LOG_ERROR, "dlq", "odd",
	       "error='%s' name='%.*s' n=%lld took=%.3f of=%zu 100%% kind=%s", "'x' is \\", 2,
	       "a'b", (long long)-5, 1.5, (size_t)7, "it's");
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_string_equal(
		seen.fields,
		"error='\\'x\\' is \\\\' name='a\\'' n=-5 took=1.500 of=7 100% kind=it's");
}

static void call_back(void *self, const struct tide_log_line *line)
{
	(void)line;
	++*(int *)self;
	log_at(TIDE_LOG_CRITICAL, "store", "again", " ");
}

static void a_sink_that_logs_does_not_wait_for_itself(void **state)
{
	(void)state;
	int calls = 0;
	tide_log_set(call_back, &calls, TIDE_LOG_DEBUG);
	log_at(TIDE_LOG_ERROR, "store", "first", " ");
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_int_equal(calls, 1);
}

static void log_much(void *self)
{
	(void)self;
	for (int i = 0; i < 1000; i++)
		log_at(TIDE_LOG_INFO, "bus", "line", "i=%d", i);
}

static void lines_of_several_threads_come_one_at_a_time(void **state)
{
	(void)state;
	struct thread threads[3];
	memset(&seen, 0, sizeof seen);
	tide_log_set(remember, &seen, TIDE_LOG_INFO);
	for (int i = 0; i < 3; i++)
		assert_int_equal(thread_start(&threads[i], "logger", log_much, NULL, NULL),
				 TIDE_OK);
	for (int i = 0; i < 3; i++)
		thread_join(&threads[i]);
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	assert_int_equal(seen.lines, 3000);
}

static void the_default_writes_warnings_to_standard_error(void **state)
{
	(void)state;
	char path[] = "/tmp/tide-log-XXXXXX", text[512] = "";
	int file = mkstemp(path), before = dup(STDERR_FILENO);
	fflush(stderr);
	dup2(file, STDERR_FILENO);
	log_at(TIDE_LOG_NOTICE, "store", "unwanted", " ");
	tide_log_set(NULL, NULL, TIDE_LOG_ERROR); /* a level without a sink counts, too */
	log_at(TIDE_LOG_WARNING, "store", "unwanted", " ");
	tide_log_set(NULL, NULL, TIDE_LOG_WARNING);
	log_at(TIDE_LOG_WARNING, "subscription", "retry", "name='%s'", "orders");
	log_at(TIDE_LOG_ERROR, "store", "closed", "%s", "");
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	ssize_t size = pread(file, text, sizeof text - 1, 0);
	close(before);
	close(file);
	unlink(path);
	assert_true(size > 33);
	char *rest = strchr(text, ' ');
	assert_int_equal(rest - text, TIDE_TIME_TEXT_SIZE - 1);
	char *second = strchr(rest, '\n') + 1;
	assert_memory_equal(rest, " warning subscription: retry name='orders'\n",
			    (size_t)(second - rest));
	assert_string_equal(strchr(second, ' '), " error store: closed\n");
}

static void levels_have_names(void **state)
{
	(void)state;
	assert_string_equal(tide_log_level_name(TIDE_LOG_DEBUG), "debug");
	assert_string_equal(tide_log_level_name(TIDE_LOG_NOTICE), "notice");
	assert_string_equal(tide_log_level_name(TIDE_LOG_CRITICAL), "critical");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wanted_line_reaches_the_sink_with_its_parts),
		cmocka_unit_test(fields_are_one_line_of_utf8_and_cut_when_too_long),
		cmocka_unit_test(a_quoted_value_can_be_taken_apart_again),
		cmocka_unit_test(a_sink_that_logs_does_not_wait_for_itself),
		cmocka_unit_test(lines_of_several_threads_come_one_at_a_time),
		cmocka_unit_test(the_default_writes_warnings_to_standard_error),
		cmocka_unit_test(levels_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conformance BACKEND [PATTERN]: runs every case, or those whose name contains the pattern, over
 * one backend; with TIDE_TEST_TO_FIRST_FAILURE in the environment up to the first that fails.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance/cases.h"
#include "lib/child.h"
#include "lib/wait.h"

#define CASES_MAX 1000
#define LOG_KEPT 100 /* lines of a case that are shown when it fails */

/* A case that takes this long hangs, on whatever machine; sanitizers take ten times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CASE_SECONDS 1200
#else
#define CASE_SECONDS 150
#endif

static const struct test_case *const case_files[] = {
	append_cases,     append_race_cases, read_cases,     feed_cases,
	page_cases,       checkpoint_cases,  lag_cases,      dead_letter_cases,
	snapshot_cases,   lease_cases,       limits_cases,   position_cases,
	foreign_cases,    delivery_cases,    failure_cases,  transaction_cases,
	typed_cases,      bad_input_cases,   schema_cases,   out_of_memory_cases,
	control_cases,    part_cases,        together_cases, reaction_cases,
	group_cases,      lanes_cases,       history_cases,  sharing_cases,
	skip_cases,       move_cases,        family_cases,   takeover_cases,
	append_all_cases,
};

static const struct test_backend *backend;
static struct CMUnitTest tests[CASES_MAX];
static size_t test_count, skipped_count;

/* Cases fail handlers on purpose; what the library says of it would drown what cmocka says, but
 * for a case that has failed. */
static struct {
	pthread_mutex_t lock;
	size_t count;
	char lines[LOG_KEPT][300];
} log_kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void log_keep(void *self, const struct tide_log_line *line)
{
	(void)self;
	pthread_mutex_lock(&log_kept.lock);
	snprintf(log_kept.lines[log_kept.count++ % LOG_KEPT], sizeof log_kept.lines[0],
		 "%.3f %s: %s %s\n", seconds_now(), line->component, line->message, line->fields);
	pthread_mutex_unlock(&log_kept.lock);
}

/* Also from a signal handler, which may have interrupted whoever holds the lock. */
static void log_show(void)
{
	bool is_locked = pthread_mutex_trylock(&log_kept.lock) == 0;
	size_t first = log_kept.count < LOG_KEPT ? 0 : log_kept.count - LOG_KEPT;
	for (size_t i = first; i < log_kept.count; i++)
		dprintf(STDERR_FILENO, "%s", log_kept.lines[i % LOG_KEPT]);
	dprintf(STDERR_FILENO, "%.3f: the end\n", seconds_now());
	if (is_locked)
		pthread_mutex_unlock(&log_kept.lock);
}

static void log_forget(void)
{
	pthread_mutex_lock(&log_kept.lock);
	log_kept.count = 0;
	pthread_mutex_unlock(&log_kept.lock);
}

/** What cmocka carries for a case: the case, and its fixture while it runs. */
struct case_state {
	const struct test_case *test;
	struct fixture fixture;
	bool has_passed;
};

static const char *volatile case_name;

/* The servers that a case has started die with this process. */
static void case_hangs(int signal_number)
{
	static const char text[] = " hangs\n";
	(void)signal_number;
	(void)!write(STDERR_FILENO, case_name, strlen(case_name));
	(void)!write(STDERR_FILENO, text, sizeof text - 1);
	log_show();
	_exit(3);
}

void case_goes_on(void)
{
	alarm(CASE_SECONDS);
}

static int case_set_up(void **state)
{
	struct case_state *self = *state;
	case_name = self->test->name;
	log_forget();
	case_goes_on();
	fixture_open(&self->fixture, backend);
	return 0;
}

/* Whoever asks only whether all cases pass knows it now. */
static void case_is_last(void)
{
	fprintf(stderr, "%s failed, no other case was run\n", case_name);
	if (backend->stop)
		backend->stop();
	exit(1);
}

static int case_tear_down(void **state)
{
	struct case_state *self = *state;
	if (!self->has_passed)
		log_show();
	fixture_close(&self->fixture);
	alarm(0);
	if (!self->has_passed && getenv("TIDE_TEST_TO_FIRST_FAILURE"))
		case_is_last();
	return 0;
}

static void case_run(void **state)
{
	struct case_state *self = *state;
	self->test->run(&self->fixture);
	self->has_passed = true;
}

static bool case_can_run(const struct test_case *test)
{
	const struct quirks *quirks = &backend->quirks;
	unsigned has = (quirks->has_sql ? NEEDS_SQL : 0u) |
		       (quirks->is_shared ? NEEDS_SHARED : 0u) |
		       (quirks->is_shared_by_processes ? NEEDS_PROCESSES : 0u) |
		       (quirks->has_transactions ? NEEDS_TRANSACTIONS : 0u) |
		       (quirks->has_text_columns ? NEEDS_TEXT_COLUMNS : 0u);
	return (test->needs & ~has) == 0;
}

static void case_add(const struct test_case *test)
{
	static struct case_state states[CASES_MAX];
	if (!case_can_run(test)) {
		printf("skipped: %s\n", test->name);
		skipped_count++;
		return;
	}
	states[test_count].test = test;
	tests[test_count] = (struct CMUnitTest){ test->name, case_run, case_set_up, case_tear_down,
						 &states[test_count] };
	test_count++;
}

int main(int argc, char **argv)
{
	tide_log_set(log_keep, NULL, TIDE_LOG_DEBUG);
	child_main(argc, argv);
	backend = argc >= 2 ? test_backend_find(argv[1]) : NULL;
	const char *pattern = argc >= 3 ? argv[2] : "";
	if (!backend) {
		fprintf(stderr, "usage: conformance BACKEND [PATTERN]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof case_files / sizeof *case_files; i++)
		for (const struct test_case *test = case_files[i]; test->name; test++)
			if (strstr(test->name, pattern))
				case_add(test);

	if (backend->start && !backend->start())
		return 77; /* what meson takes for "cannot run here" */
	signal(SIGALRM, case_hangs);
	int failed = _cmocka_run_group_tests(backend->name, tests, test_count, NULL, NULL);
	if (backend->stop)
		backend->stop();
	printf("%zu cases, %zu skipped\n", test_count, skipped_count);
	if (!*pattern && skipped_count != backend->quirks.skipped) {
		fprintf(stderr, "%s must skip %zu cases\n", backend->name, backend->quirks.skipped);
		return 1;
	}
	return failed ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary directories of tests: whatever becomes of a program, nothing of it is left. */
#include "lib/temp.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/child.h"
#include "lib/must.h"
#include "lib/wait.h"

#define PATIENCE 30

/* A program that leaves two directories with something in them: "abort", "exit", or until it is
 * killed. */
static int leave(const char *how, int report_to)
{
	for (int i = 0; i < 2; i++) {
		char directory[TEMP_PATH_SIZE], path[TEMP_PATH_SIZE + 16];
		temp_make(directory);
		snprintf(path, sizeof path, "%s/deeper", directory);
		mkdir(path, 0700);
	}

	child_report(report_to, 'm');
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "exit") == 0)
		return 1;
	for (;;)
		pause();
}

static int entries(const char *directory)
{
	int count = -2; /* . and .. */
	DIR *opened = opendir(directory);
	assert_non_null(opened);
	while (readdir(opened))
		count++;
	closedir(opened);
	return count;
}

/* What is below `base` when the program is at its end. */
static void leave_below(const char *base, const char *how)
{
	setenv("TMPDIR", base, 1);
	struct child child = child_start(leave, how);
	assert_int_equal(child_await(&child, PATIENCE), 'm');
	if (strcmp(how, "killed") == 0) { /* the others may be gone by now */
		assert_int_equal(entries(base), 2);
		child_signal(&child, SIGKILL);
	}
	assert_int_not_equal(child_join(&child), 0);
	unsetenv("TMPDIR");
}

static void whatever_ends_a_test_nothing_of_it_is_left(void **state)
{
	static const char *const ways[] = { "exit", "abort", "killed" };
	(void)state;
	char base[TEMP_PATH_SIZE];
	unsetenv("TEST_KEEP");
	temp_make(base);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		leave_below(base, ways[i]);
		wait_for(PATIENCE, entries(base) == 0);
	}

	setenv("TEST_KEEP", "1", 1);
	leave_below(base, "abort");
	assert_int_equal(entries(base), 2);
	temp_remove(base);
}

int main(int argc, char **argv)
{
	child_main(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_ends_a_test_nothing_of_it_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

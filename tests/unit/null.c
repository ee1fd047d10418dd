/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing crashes when it is given nothing: every public function is called with NULL for each of
 * its pointers, in a process of its own, so that a crash has a name and hides no other. null.def is
 * the table; the map of the library says that it is whole.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tidemark/backend.h>
#include <tidemark/scenario.h>
#include <tidemark/sql_projection.h>
#include <tidemark/tidemark.h>

#include "lib/must.h"

#define REFUSES(function, ...)                                                                     \
	static bool null_##function(struct tide_error *err)                                        \
	{                                                                                          \
		return function(__VA_ARGS__) == TIDE_ARGUMENT && err->status == TIDE_ARGUMENT &&   \
		       err->message[0];                                                            \
	}
#define IGNORES(function, ...)                                                                     \
	static bool null_##function(struct tide_error *err)                                        \
	{                                                                                          \
		(void)err;                                                                         \
		(void)function(__VA_ARGS__);                                                       \
		return true;                                                                       \
	}
#define VALUES(function)
#include "null.def"
#undef REFUSES
#undef IGNORES
#undef VALUES

static const struct {
	const char *name;
	bool (*call)(struct tide_error *err); /* NULL: takes no handle */
} nulls[] = {
#define REFUSES(function, ...) { #function, null_##function },
#define IGNORES(function, ...) { #function, null_##function },
#define VALUES(function) { #function, NULL },
#include "null.def"
};

/* What became of a call: 0 as it should be, 1 refused otherwise or not at all, 128 + signal. */
static int null_outcome(bool (*call)(struct tide_error *err))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct tide_error err = { 0 };
		if (!freopen("/dev/null", "w", stderr))
			_exit(99);
		/* cmocka has handlers */
		static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
		for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
			signal(deadly[i], SIG_DFL);
		alarm(30);
		_exit(call(&err) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void nothing_crashes_when_it_is_given_nothing(void **state)
{
	(void)state;
	int wrong = 0;
	for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) {
		int outcome = nulls[i].call ? null_outcome(nulls[i].call) : 0;
		if (outcome)
			print_error("%s: %s %d\n", nulls[i].name,
				    outcome == 1 ? "does not refuse it" : "ends with", outcome);
		wrong += outcome != 0;
	}
	assert_int_equal(wrong, 0);
}

static bool null_is_listed(const char *name)
{
	for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
		if (strcmp(nulls[i].name, name) == 0)
			return true;
	return false;
}

static void every_public_function_is_in_the_table(void **state)
{
	char line[256], name[128];
	size_t count = 0, missing = 0;
	FILE *map = fopen(*state, "r");
	assert_non_null(map);
	while (fgets(line, sizeof line, map)) {
		if (sscanf(line, " %127[a-z0-9_];", name) != 1 || strncmp(name, "tide_", 5) != 0)
			continue;
		count++;
		if (!null_is_listed(name))
			print_error("%s is not in null.def\n", name);
		missing += !null_is_listed(name);
	}
	fclose(map);
	assert_int_equal(missing, 0);
	assert_int_equal(count, sizeof nulls / sizeof *nulls);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(every_public_function_is_in_the_table, argv[1]),
		cmocka_unit_test(nothing_crashes_when_it_is_given_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/temp.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/must.h"
#include "lib/wait.h"

/* Debian's usual 1024 are too few for a thousand subscriptions; every program of the tests raises
 * its own limit. */
__attribute__((constructor)) static void temp_raise_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int temp_remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat;
	(void)kind;
	(void)walk;
	return remove(path);
}

void temp_remove(const char *directory)
{
	nftw(directory, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What a server that is about to end writes meanwhile is removed, too. */
static void sweeper_remove(const char *directory)
{
	double end = seconds_now() + 10;
	struct stat stat;
	while (lstat(directory, &stat) == 0 && seconds_now() < end) {
		temp_remove(directory);
		wait_a_moment();
	}
}

/* Reads names until nobody is left who could write one. */
static void sweeper_run(int names)
{
	char *all = NULL;
	size_t size = 0;
	ssize_t got = 1;
	while (got > 0) {
		char *more = realloc(all, size + TEMP_PATH_SIZE);
		if (!more)
			break;
		all = more;
		got = read(names, all + size, TEMP_PATH_SIZE);
		size += got > 0 ? (size_t)got : 0;
	}
	for (size_t at = 0; at < size; at += strlen(all + at) + 1)
		sweeper_remove(all + at);
	_exit(0);
}

/* Nobody's child, so that nobody waits for it, and out of reach of a terminal and of who reads the
 * test's output. */
static void sweeper_begin(int names)
{
	if (fork() != 0 || setsid() < 0)
		_exit(0);
	dup2(names, 0);
	close_range(1, ~0u, 0);
	sweeper_run(0);
}

/* A process that outlives this one, however it ends, and removes what it left. Returns where names
 * of directories are written; the last program that has it open lets the sweeper begin. */
static int sweeper_start(void)
{
	int names[2], status;
	assert_int_equal(pipe2(names, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		sweeper_begin(names[0]);
	close(names[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return names[1];
}

void temp_make(char ret[TEMP_PATH_SIZE])
{
	static int names = -1;
	const char *base = getenv("TMPDIR");
	snprintf(ret, TEMP_PATH_SIZE, "%s/tidemark-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(ret))
		fail_msg("no temporary directory '%s'", ret);
	if (getenv("TEST_KEEP"))
		return;
	if (names < 0)
		names = sweeper_start();
	size_t size = strlen(ret) + 1;
	assert_int_equal(write(names, ret, size), size);
}

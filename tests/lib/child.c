/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/child.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/must.h"

/* A function is named by its distance from this one: the program is loaded elsewhere the next
 * time. */
static intptr_t child_distance(child_function *run)
{
	return (intptr_t)run - (intptr_t)child_main;
}

void child_main(int argc, char **argv)
{
	if (argc != 5 || strcmp(argv[1], "--child") != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child_function *run = (child_function *)((intptr_t)child_main + strtoll(argv[2], NULL, 10));
	exit(run(argv[4], atoi(argv[3])));
}

struct child child_start(child_function *run, const char *argument)
{
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	char distance[32], report_to[16];
	snprintf(distance, sizeof distance, "%lld", (long long)child_distance(run));
	snprintf(report_to, sizeof report_to, "%d", pipes[1]);
	char *const arguments[] = { (char *)"child", (char *)"--child", distance,
				    report_to,       (char *)argument,  NULL };
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pipes[0]);
		execv("/proc/self/exe", arguments);
		_exit(127);
	}
	close(pipes[1]);
	return (struct child){ .pid = pid, .reports = pipes[0] };
}

void child_report(int report_to, char what)
{
	if (write(report_to, &what, 1) != 1)
		_exit(99);
}

char child_await(struct child *child, double seconds)
{
	struct pollfd poller = { .fd = child->reports, .events = POLLIN };
	if (poll(&poller, 1, (int)(seconds * 1000)) != 1)
		fail_msg("the child reported nothing in %.1f s", seconds);
	char what = '\0';
	return read(child->reports, &what, 1) == 1 ? what : '\0';
}

void child_signal(const struct child *child, int number)
{
	kill(child->pid, number);
}

int child_join(struct child *child)
{
	int status = 0;
	waitpid(child->pid, &status, 0);
	close(child->reports);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

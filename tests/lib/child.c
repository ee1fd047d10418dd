/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/child.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/must.h"

struct child child_start(int (*run)(void *self, int report_to), void *self)
{
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[0]);
		_exit(run(self, pipes[1]));
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

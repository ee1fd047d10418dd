/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of a command, from its start to the end of its group.
 *
 * Happy path: started by the spawner's thread, written to and read from without blocking, ended by
 * closing its input.
 * Failure modes: it ends by itself, which is seen before it is reaped, so that its number still
 * names its group and nobody else's; it does not end: the group is terminated, then killed.
 */
#include "project/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/log.h"

#define PROCESS_LOOK_MS 5

tide_status process_start(struct process *process, const struct spawn_plan *plan,
			  struct tide_error *err)
{
	tide_status status = spawner_start(plan, &process->is, err);
	if (status != TIDE_OK)
		return status;

	process->is_there = true;
	process->has_answered = false;
	process->began = clock_mono(&clock_system);
	log_at(TIDE_LOG_INFO, "command", "started", "name='%s' pid=%d", plan->name,
	       (int)process->is.pid);
	return TIDE_OK;
}

/* It stays a zombie, whose number is nobody else's. Where the program ignores SIGCHLD it does not:
 * it is gone. */
static bool process_look(const struct process *process, siginfo_t *ret)
{
	memset(ret, 0, sizeof *ret);
	int rc = waitid(P_PID, (id_t)process->is.pid, ret, WEXITED | WNOHANG | WNOWAIT);
	return rc != 0 ? errno == ECHILD : ret->si_pid != 0;
}

bool process_has_ended(const struct process *process)
{
	siginfo_t info;
	return process_look(process, &info);
}

void process_close_input(struct process *process)
{
	if (process->is.to >= 0)
		close(process->is.to);
	process->is.to = -1;
}

static void process_describe(const siginfo_t *info, char ret[PROCESS_SAYS_SIZE])
{
	if (info->si_pid == 0)
		snprintf(ret, PROCESS_SAYS_SIZE, "ended");
	else if (info->si_code == CLD_EXITED)
		snprintf(ret, PROCESS_SAYS_SIZE, "ended with status %d", info->si_status);
	else
		snprintf(ret, PROCESS_SAYS_SIZE, "was killed by signal %d", info->si_status);
}

void process_kill(struct process *process, char ret[PROCESS_SAYS_SIZE])
{
	siginfo_t info;
	if (!process->is_there)
		return;

	/* what it left behind in its group goes with it */
	kill(-process->is.pid, SIGKILL);
	while (waitid(P_PID, (id_t)process->is.pid, &info, WEXITED | WNOWAIT) != 0 &&
	       errno == EINTR)
		continue;
	if (!process_look(process, &info))
		memset(&info, 0, sizeof info);
	process_describe(&info, ret);
	while (waitpid(process->is.pid, NULL, 0) < 0 && errno == EINTR)
		continue;

	process_close_input(process);
	close(process->is.from);
	spawner_forget(process->is.errors);
	process->is_there = false;
}

/* What it still writes is nobody's, and does not keep it. */
static bool process_await(const struct process *process, struct mono_time until)
{
	char nothing[4096];
	while (!process_has_ended(process)) {
		if (clock_mono(&clock_system).ns >= until.ns)
			return false;
		process_wait(process, false, PROCESS_LOOK_MS);
		if (process_read(process, nothing, sizeof nothing) < 0)
			(void)poll(NULL, 0, PROCESS_LOOK_MS);
	}
	return true;
}

bool process_end(struct process *process, struct mono_time until, int64_t grace_ns,
		 char ret[PROCESS_SAYS_SIZE])
{
	process_close_input(process);
	bool has_ended = process_await(process, until);
	if (!has_ended) {
		kill(-process->is.pid, SIGTERM);
		(void)process_await(process, mono_add(clock_mono(&clock_system), grace_ns));
	}
	process_kill(process, ret);
	return has_ended;
}

/* Threads of the library block all signals: the one of a closed pipe is taken away again, lest it
 * meets a thread of the program later. */
static void process_take_sigpipe(void)
{
	static const struct timespec none = { 0, 0 };
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	(void)sigtimedwait(&pipe, NULL, &none);
}

ssize_t process_write(const struct process *process, const char *data, size_t size)
{
	if (process->is.to < 0)
		return -1;
	ssize_t written = write(process->is.to, data, size);
	if (written >= 0)
		return written;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	if (errno == EPIPE)
		process_take_sigpipe();
	return -1;
}

ssize_t process_read(const struct process *process, char *data, size_t size)
{
	ssize_t got = read(process->is.from, data, size);
	if (got > 0)
		return got;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

size_t process_unread(const struct process *process)
{
	int bytes = 0;
	if (process->is.to < 0 || ioctl(process->is.to, FIONREAD, &bytes) != 0)
		return 0;
	return bytes > 0 ? (size_t)bytes : 0;
}

void process_wait(const struct process *process, bool wants_to_write, int milliseconds)
{
	struct pollfd ends[] = { { process->is.from, POLLIN, 0 },
				 { wants_to_write ? process->is.to : -1, POLLOUT, 0 } };
	(void)poll(ends, 2, milliseconds);
}

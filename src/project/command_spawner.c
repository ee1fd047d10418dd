/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that starts all processes of commands, and reads what they write to their standard
 * error. The kernel's PR_SET_PDEATHSIG means the thread that forked, so it has to outlive them.
 *
 * Happy path: a request is put on the list, the bell rings, the thread forks and says how it went;
 * between requests it logs what comes, line by line.
 * Failure modes: the program cannot be executed: the child says why through a pipe that closes when
 * it can. A line is longer than its buffer: its begin is logged, the rest passed over.
 */
#include "project/command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/alloc.h"
#include "sys/log.h"
#include "sys/mutex.h"
#include "sys/thread.h"

#define ERRORS_LINE_SIZE 1024

/** A standard error, read by the thread until its end or until it is forgotten. */
struct errors {
	struct errors *next;
	uint64_t id;
	int fd;
	pid_t pid;
	bool is_forgotten; /* under the lock; it goes when what is there was read */
	bool is_cut;       /* the line is longer than its buffer */
	size_t size;
	char line[ERRORS_LINE_SIZE + 1];
	char name[TIDE_NAME_MAX + 1];
};

struct request {
	struct request *next;
	const struct spawn_plan *plan;
	struct spawned *ret;
	struct errors *errors;
	struct tide_error err;
	tide_status status;
	bool is_done;
};

static struct spawner {
	struct mutex lock;
	struct cond changed;
	/* under lock */
	int users;
	bool is_changing; /* the thread is being started or joined */
	bool should_end;
	struct request *requests;
	struct errors *errors; /* linked by the thread alone, which reads it without the lock */
	uint64_t last_id;
	/* the thread's own */
	size_t error_count;
	struct pollfd *polled; /* the bell's, and one for each; grown before one is added */
	/* fixed while there is a thread */
	int bell;
	struct thread thread;
} spawner = { .lock = MUTEX_STATIC(LOCK_SPAWNER), .changed = { .cond = PTHREAD_COND_INITIALIZER } };

static void spawner_ring(void)
{
	uint64_t one = 1;
	ssize_t written = write(spawner.bell, &one, sizeof one);
	(void)written; /* full means rung already */
}

/* ---- Standard errors ------------------------------------------------------------------------- */

static void errors_say(struct errors *errors)
{
	errors->line[errors->size] = '\0';
	if (errors->size > 0)
		log_at(TIDE_LOG_NOTICE, "command", "says", "name='%s' pid=%d line='%s'%s",
		       errors->name, (int)errors->pid, errors->line,
		       errors->is_cut ? " cut=true" : "");
	errors->size = 0;
	errors->is_cut = false;
}

static void errors_take(struct errors *errors, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n')
			errors_say(errors);
		else if (errors->size < ERRORS_LINE_SIZE)
			errors->line[errors->size++] = data[i] ? data[i] : ' ';
		else
			errors->is_cut = true;
	}
}

/* Whether there may be more. */
static bool errors_read(struct errors *errors)
{
	char data[4096];
	ssize_t got = read(errors->fd, data, sizeof data);
	if (got > 0)
		errors_take(errors, data, (size_t)got);
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Some of what is there, for one that ends: a process that is not in the group may go on writing
 * for ever. */
static void errors_read_last(struct errors *errors)
{
	struct pollfd end = { errors->fd, POLLIN, 0 };
	for (int i = 0; i < 64 && poll(&end, 1, 0) == 1; i++)
		if (!errors_read(errors))
			return;
}

/* ---- Starting -------------------------------------------------------------------------------- */

/** Both ends of the pipes of a process to be: its own, and ours. */
struct ends {
	int input[2], output[2], errors[2], problem[2];
};

static void ends_close(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
}

/* Above the standard three, which the program may have closed. */
static bool ends_make(int ends[2])
{
	int made[2];
	if (pipe2(made, O_CLOEXEC) != 0)
		return false;
	for (int i = 0; i < 2; i++) {
		ends[i] = made[i] > 2 ? made[i] : fcntl(made[i], F_DUPFD_CLOEXEC, 3);
		if (made[i] <= 2)
			close(made[i]);
	}
	return ends[0] >= 0 && ends[1] >= 0;
}

static void ends_fini(struct ends *ends)
{
	for (int i = 0; i < 2; i++) {
		ends_close(&ends->input[i]);
		ends_close(&ends->output[i]);
		ends_close(&ends->errors[i]);
		ends_close(&ends->problem[i]);
	}
}

static bool ends_open(struct ends *ends)
{
	*ends = (struct ends){ { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	return ends_make(ends->input) && ends_make(ends->output) && ends_make(ends->errors) &&
	       ends_make(ends->problem);
}

/* In the child, where only what is safe in a signal handler may be called. */
static _Noreturn void spawner_become(const struct spawn_plan *plan, const struct ends *ends,
				     pid_t parent)
{
	sigset_t none;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before that */
		_exit(127);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	dup2(ends->input[0], STDIN_FILENO);
	dup2(ends->output[1], STDOUT_FILENO);
	dup2(ends->errors[1], STDERR_FILENO);
	(void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	execvpe(plan->arguments[0], plan->arguments, plan->environment);
	int problem = errno;
	ssize_t written = write(ends->problem[1], &problem, sizeof problem);
	(void)written;
	_exit(127);
}

static tide_status spawner_refuse(const char *program, int problem, struct tide_error *err)
{
	bool may_pass =
		problem == EAGAIN || problem == ENOMEM || problem == EMFILE || problem == ENFILE;
	return tide_fail(err,
			 may_pass            ? TIDE_BUSY
			 : problem == ENOENT ? TIDE_NOT_FOUND
					     : TIDE_UNSUPPORTED,
			 "'%.200s' cannot be executed: %s", program, strerror(problem));
}

/* The child's ends are closed here, too: whoever has them open keeps a process from seeing its
 * end. */
static int spawner_await_exec(struct ends *ends)
{
	int problem = 0;
	ssize_t got;
	ends_close(&ends->input[0]);
	ends_close(&ends->output[1]);
	ends_close(&ends->errors[1]);
	ends_close(&ends->problem[1]);
	while ((got = read(ends->problem[0], &problem, sizeof problem)) < 0 && errno == EINTR)
		continue;
	return got == (ssize_t)sizeof problem ? problem : 0;
}

static tide_status spawner_fork(struct request *request, struct ends *ends)
{
	const char *program = request->plan->arguments[0];
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		spawner_become(request->plan, ends, parent);
	if (pid < 0)
		return spawner_refuse(program, errno, &request->err);

	setpgid(pid, pid); /* whoever of the two comes first */
	int problem = spawner_await_exec(ends);
	if (problem != 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		return spawner_refuse(program, problem, &request->err);
	}

	*request->ret =
		(struct spawned){ .pid = pid, .to = ends->input[1], .from = ends->output[0] };
	fcntl(ends->input[1], F_SETFL, O_NONBLOCK);
	fcntl(ends->output[0], F_SETFL, O_NONBLOCK);
	fcntl(ends->errors[0], F_SETFL, O_NONBLOCK);
	request->errors->pid = pid;
	request->errors->fd = ends->errors[0];
	ends->input[1] = ends->output[0] = ends->errors[0] = -1;
	return TIDE_OK;
}

static void spawner_serve(struct request *request)
{
	struct ends ends;
	bool is_open = ends_open(&ends);
	request->status =
		is_open ? spawner_fork(request, &ends)
			: spawner_refuse(request->plan->arguments[0], errno, &request->err);
	ends_fini(&ends);
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* Room to wait for one more, and for the bell. */
static bool spawner_reserve(void)
{
	struct pollfd *polled =
		alloc_resize(spawner.polled, spawner.error_count + 2, sizeof *spawner.polled);
	if (polled)
		spawner.polled = polled;
	return polled;
}

static void spawner_serve_one(struct request *request)
{
	if (spawner_reserve())
		spawner_serve(request);
	else
		request->status = alloc_fail(&request->err);

	mutex_lock(&spawner.lock);
	if (request->status == TIDE_OK) {
		struct errors *errors = request->errors;
		errors->id = request->ret->errors = ++spawner.last_id;
		errors->next = spawner.errors;
		spawner.errors = errors;
		spawner.error_count++;
		request->errors = NULL;
	}
	request->is_done = true;
	cond_broadcast(&spawner.changed);
	mutex_unlock(&spawner.lock);
}

static struct request *spawner_take(void)
{
	mutex_lock(&spawner.lock);
	struct request *request = spawner.requests;
	if (request)
		spawner.requests = request->next;
	mutex_unlock(&spawner.lock);
	return request;
}

/* Take one off the list that is at its end, or forgotten. */
static void spawner_drop(struct errors *errors)
{
	errors_say(errors);
	mutex_lock(&spawner.lock);
	struct errors **at = &spawner.errors;
	while (*at != errors)
		at = &(*at)->next;
	*at = errors->next;
	spawner.error_count--;
	cond_broadcast(&spawner.changed);
	mutex_unlock(&spawner.lock);
	close(errors->fd);
	tide_free(errors);
}

static bool spawner_is_forgotten(const struct errors *errors)
{
	mutex_lock(&spawner.lock);
	bool is_forgotten = errors->is_forgotten;
	mutex_unlock(&spawner.lock);
	return is_forgotten;
}

/* In the order in which they were waited for: this thread alone changes the list. */
static void spawner_read_all(void)
{
	const struct pollfd *polled = spawner.polled + 1;
	struct errors *next;
	for (struct errors *errors = spawner.errors; errors; errors = next, polled++) {
		next = errors->next;
		bool is_over = polled->revents != 0 && !errors_read(errors);
		if (!is_over && spawner_is_forgotten(errors)) {
			errors_read_last(errors);
			is_over = true;
		}
		if (is_over)
			spawner_drop(errors);
	}
}

static void spawner_wait(void)
{
	uint64_t rung;
	nfds_t count = 0;
	spawner.polled[count++] = (struct pollfd){ spawner.bell, POLLIN, 0 };
	for (const struct errors *errors = spawner.errors; errors; errors = errors->next)
		spawner.polled[count++] = (struct pollfd){ errors->fd, POLLIN, 0 };
	(void)poll(spawner.polled, count, -1);
	ssize_t taken = read(spawner.bell, &rung, sizeof rung);
	(void)taken;
}

static bool spawner_is_ending(void)
{
	mutex_lock(&spawner.lock);
	bool is_ending = spawner.should_end;
	mutex_unlock(&spawner.lock);
	return is_ending;
}

static void spawner_live(void *self)
{
	(void)self;
	while (!spawner_is_ending()) {
		spawner_wait();
		spawner_read_all();
		for (struct request *request; (request = spawner_take());)
			spawner_serve_one(request);
	}
	while (spawner.errors)
		spawner_drop(spawner.errors);
}

/* ---- From outside ---------------------------------------------------------------------------- */

static tide_status spawner_begin(struct tide_error *err)
{
	spawner.should_end = false;
	spawner.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (spawner.bell < 0)
		return tide_fail(err, TIDE_IO, "eventfd: %s", strerror(errno));
	tide_status status = spawner_reserve() ? thread_start(&spawner.thread, "tide commands",
							      spawner_live, NULL, err)
					       : alloc_fail(err);
	if (status != TIDE_OK)
		close(spawner.bell);
	return status;
}

static void spawner_end(void)
{
	mutex_lock(&spawner.lock);
	spawner.should_end = true;
	mutex_unlock(&spawner.lock);
	spawner_ring();
	thread_join(&spawner.thread);
	close(spawner.bell);
	tide_free(spawner.polled);
	spawner.polled = NULL;
}

static void spawner_settle_locked(void) TIDE_REQUIRES(spawner.lock)
{
	while (spawner.is_changing)
		cond_wait(&spawner.changed, &spawner.lock);
}

static void spawner_change(bool is_changing, int users)
{
	mutex_lock(&spawner.lock);
	spawner.is_changing = is_changing;
	spawner.users += users;
	cond_broadcast(&spawner.changed);
	mutex_unlock(&spawner.lock);
}

tide_status spawner_enter(struct tide_error *err)
{
	mutex_lock(&spawner.lock);
	spawner_settle_locked();
	bool is_first = spawner.users == 0;
	spawner.is_changing = is_first;
	spawner.users += !is_first;
	mutex_unlock(&spawner.lock);
	if (!is_first)
		return TIDE_OK;

	tide_status status = spawner_begin(err);
	spawner_change(false, status == TIDE_OK);
	return status;
}

void spawner_leave(void)
{
	mutex_lock(&spawner.lock);
	spawner_settle_locked();
	spawner.is_changing = --spawner.users == 0;
	bool is_last = spawner.is_changing;
	mutex_unlock(&spawner.lock);
	if (!is_last)
		return;
	spawner_end();
	spawner_change(false, 0);
}

tide_status spawner_start(const struct spawn_plan *plan, struct spawned *ret,
			  struct tide_error *err)
{
	struct request request = { .plan = plan,
				   .ret = ret,
				   .errors = alloc_zero(1, sizeof(struct errors)) };
	if (!request.errors)
		return alloc_fail(err);
	snprintf(request.errors->name, sizeof request.errors->name, "%s", plan->name);

	mutex_lock(&spawner.lock);
	struct request **last = &spawner.requests;
	while (*last)
		last = &(*last)->next;
	*last = &request;
	mutex_unlock(&spawner.lock);
	spawner_ring();

	mutex_lock(&spawner.lock);
	while (!request.is_done)
		cond_wait(&spawner.changed, &spawner.lock);
	mutex_unlock(&spawner.lock);
	tide_free(request.errors);
	if (request.status != TIDE_OK && err)
		*err = request.err;
	return request.status;
}

static struct errors *spawner_find_locked(uint64_t id) TIDE_REQUIRES(spawner.lock)
{
	struct errors *errors = spawner.errors;
	while (errors && errors->id != id)
		errors = errors->next;
	return errors;
}

void spawner_forget(uint64_t id)
{
	mutex_lock(&spawner.lock);
	struct errors *errors = spawner_find_locked(id);
	if (errors)
		errors->is_forgotten = true;
	mutex_unlock(&spawner.lock);
	if (!errors)
		return;

	spawner_ring();
	mutex_lock(&spawner.lock);
	while (spawner_find_locked(id))
		cond_wait(&spawner.changed, &spawner.lock);
	mutex_unlock(&spawner.lock);
}

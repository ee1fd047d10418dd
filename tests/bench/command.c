/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands as handlers, against the same lines through the same program by bare pipes: written as
 * fast as they go, answers read as they come, as many on the way as the pipes hold.
 */
#include "bench.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW 100
#define PATIENCE 600.0

static const char *const each[] = { "/proc/self/exe", "--answer", "each", NULL };
static const char *const together[] = { "/proc/self/exe", "--answer", "together", NULL };
static const char *const in_python[] = { "python3", "-c",
					 "import sys\n"
					 "for line in sys.stdin:\n"
					 "    sys.stdout.write('ok\\n')\n"
					 "    sys.stdout.flush()\n",
					 NULL };

/* ---- The program ----------------------------------------------------------------------------- */

/* Each line at once, as a handler does that has worked on it. */
static void answer_each(void)
{
	char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, stdin) > 0) {
		fputs("ok\n", stdout);
		fflush(stdout);
	}
}

/* What was read together is answered together. */
static void answer_together(void)
{
	static char in[1 << 16], out[3 << 16];
	ssize_t got;
	while ((got = read(STDIN_FILENO, in, sizeof in)) > 0) {
		size_t size = 0;
		for (const char *at = in; (at = memchr(at, '\n', (size_t)(in + got - at))); at++) {
			memcpy(out + size, "ok\n", 3);
			size += 3;
		}
		if (size > 0 && write(STDOUT_FILENO, out, size) != (ssize_t)size)
			_exit(1);
	}
}

_Noreturn void command_answer(const char *how)
{
	if (strcmp(how, "each") == 0)
		answer_each();
	else
		answer_together();
	_exit(0);
}

/* ---- Bare pipes ------------------------------------------------------------------------------ */

struct lines {
	char *text;
	size_t size;
	int64_t count;
};

static struct tide_store *command_store(const struct bench *bench)
{
	struct tide_store *store;
	struct tide_error err;
	char url[4104];
	snprintf(url, sizeof url, "sqlite:%s", bench->history);
	bench_check(tide_store_open(url, NULL, &store, &err), &err);
	return store;
}

/* Every event as it is sent, made before time is taken. */
static struct lines lines_make(const struct bench *bench)
{
	struct lines lines = { 0 };
	struct tide_store *store = command_store(bench);
	struct tide_reader *reader;
	const struct tide_event *event;
	struct tide_error err;
	FILE *out = open_memstream(&lines.text, &lines.size);
	bench_check(tide_store_read(store, NULL, &reader, &err), &err);
	for (;;) {
		char *json;
		bench_check(tide_reader_next(reader, &event, &err), &err);
		if (!event)
			break;
		bench_check(tide_event_to_json(event, &json, &err), &err);
		fprintf(out, "%.*s,\"attempt\":1}\n", (int)strlen(json) - 1, json);
		tide_free(json);
		lines.count++;
	}
	fclose(out);
	tide_reader_close(reader);
	tide_store_close(store);
	return lines;
}

static pid_t bare_start(const char *const *arguments, int ends[2])
{
	int input[2], output[2];
	if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
		bench_die("no pipe");
	pid_t pid = fork();
	if (pid == 0) {
		dup2(input[0], STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	if (pid < 0)
		bench_die("no process");
	close(input[0]);
	close(output[1]);
	ends[0] = input[1];
	ends[1] = output[0];
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return pid;
}

/* A program that has answered once is there: its start is no part of the rate, nor is ours. */
static void bare_feed(const int ends[2], const char *text, size_t size, int64_t count)
{
	char in[1 << 16];
	while (count > 0) {
		struct pollfd polled[] = { { size ? ends[0] : -1, POLLOUT, 0 },
					   { ends[1], POLLIN, 0 } };
		(void)poll(polled, 2, -1);
		if (polled[0].revents) {
			ssize_t written = write(ends[0], text, size);
			text += written > 0 ? written : 0;
			size -= written > 0 ? (size_t)written : 0;
		}
		if (!polled[1].revents)
			continue;
		ssize_t got = read(ends[1], in, sizeof in);
		if (got <= 0)
			bench_die("the program has ended");
		for (ssize_t i = 0; i < got; i++)
			count -= in[i] == '\n';
	}
}

static double bare_command(struct bench *bench, const char *const *arguments)
{
	struct lines lines = lines_make(bench);
	int ends[2];
	pid_t pid = bare_start(arguments, ends);
	size_t first = (size_t)(strchr(lines.text, '\n') - lines.text) + 1;
	bare_feed(ends, lines.text, first, 1);
	struct lap lap = lap_begin();
	bare_feed(ends, lines.text + first, lines.size - first, lines.count - 1);
	double rate = lap_end(&lap, lines.count - 1);
	close(ends[0]);
	close(ends[1]);
	waitpid(pid, NULL, 0);
	free(lines.text);
	return rate;
}

double bare_command_each(struct bench *bench)
{
	return bare_command(bench, each);
}

double bare_command_together(struct bench *bench)
{
	return bare_command(bench, together);
}

double bare_command_python(struct bench *bench)
{
	return bare_command(bench, in_python);
}

/* ---- Ours ------------------------------------------------------------------------------------ */

static double our_command(struct bench *bench, const char *const *arguments)
{
	struct tide_store *store = command_store(bench);
	struct tide_command_projection *command;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config = tide_catch_up_config(1000, true);
	struct tide_error err;
	tide_position end;
	char name[32];
	snprintf(name, sizeof name, "command-%ld-%d", (long)getpid(), ++bench->made);
	bench_check(tide_store_end(store, &end, &err), &err);
	bench_check(tide_manager_open(TIDE_MANAGER(.store = store), &manager, &err), &err);
	bench_check(tide_command_projection_open(TIDE_COMMAND_PROJECTION(.name = name,
									 .arguments = arguments,
									 .window = WINDOW),
						 &command, &err),
		    &err);
	bench_check(tide_manager_subscribe(manager, tide_command_projection_subscriber(command),
					   &config, &subscription, &err),
		    &err);
	bench_check(tide_manager_start(manager, NULL, 0, NULL, NULL, &err), &err);
	bench_check(tide_subscription_wait(subscription, 1, PATIENCE, &err), &err);
	tide_position began = tide_subscription_position(subscription);
	struct lap lap = lap_begin();
	bench_check(tide_subscription_wait(subscription, end, PATIENCE, &err), &err);
	double rate = lap_end(&lap, end - began);
	bench_check(tide_manager_stop(manager, NULL, 0, &err), &err);
	tide_manager_close(manager);
	tide_command_projection_close(command);
	tide_store_close(store);
	return rate;
}

double our_command_each(struct bench *bench)
{
	return our_command(bench, each);
}

double our_command_together(struct bench *bench)
{
	return our_command(bench, together);
}

double our_command_python(struct bench *bench)
{
	return our_command(bench, in_python);
}

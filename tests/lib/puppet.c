/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/puppet.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/must.h"

/* ---- The process ----------------------------------------------------------------------------- */

static void say(const char *line)
{
	size_t size = strlen(line);
	while (size > 0) {
		ssize_t written = write(STDOUT_FILENO, line, size);
		if (written <= 0)
			_exit(90);
		line += written;
		size -= (size_t)written;
	}
}

static void flood(void)
{
	static char much[1 << 20];
	memset(much, 'x', sizeof much - 1);
	for (int i = 0; i < 100; i++)
		say(much);
}

/* One that holds the pipes open, in the group, until it is killed. */
static void leave_somebody_behind(const char *file)
{
	char name[400];
	snprintf(name, sizeof name, "%s.child", file);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGTERM, SIG_IGN);
		for (;;)
			pause();
	}
	FILE *out = fopen(name, "w");
	fprintf(out, "%d\n", (int)pid);
	fclose(out);
}

static void answer_as(const char *behaviour, const char *file)
{
	if (strcmp(behaviour, "retry") == 0)
		say("retry not yet\n");
	else if (strcmp(behaviour, "fail") == 0)
		say("fail no such customer\n");
	else if (strcmp(behaviour, "json") == 0)
		say("{\"result\":\"fail\",\"why\":\"in \\\"JSON\\\"\",\"stacktrace\":\"at "
		    "line 7\"}\n");
	else if (strcmp(behaviour, "rubbish") == 0)
		say("hello\nok\n");
	else if (strcmp(behaviour, "twice") == 0)
		say("ok\nok\n");
	else if (strcmp(behaviour, "other") == 0)
		say("{\"result\":\"ok\",\"global_position\":999}\n");
	else if (strcmp(behaviour, "flood") == 0) {
		flood();
		pause();
	} else if (strcmp(behaviour, "flood-line") == 0) {
		flood();
		say("\n");
	} else if (strcmp(behaviour, "leave") == 0) {
		leave_somebody_behind(file);
		_exit(0);
	} else if (strcmp(behaviour, "leave-and-hang") == 0) {
		leave_somebody_behind(file);
		pause();
	} else if (strcmp(behaviour, "close") == 0) {
		close(STDOUT_FILENO);
		pause();
	} else if (strcmp(behaviour, "hang") == 0)
		pause();
	else if (strcmp(behaviour, "exit") == 0)
		_exit(3);
	else if (strcmp(behaviour, "crash") == 0)
		raise(SIGKILL);
	else if (strcmp(behaviour, "last") == 0) {
		say("ok\n");
		_exit(0);
	} else
		say("fail unknown behaviour\n");
}

static int64_t number_in(const char *line, const char *key)
{
	const char *at = strstr(line, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

static void note(const char *file, int64_t position, int attempt)
{
	char line[80];
	int out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int size = snprintf(line, sizeof line, "%lld %d %d\n", (long long)position, attempt,
			    (int)getpid());
	if (out < 0 || write(out, line, (size_t)size) != size)
		_exit(91);
	close(out);
}

/* Before and instead of any event. */
static void play_first(const char *behaviour, const char *file)
{
	if (strcmp(behaviour, "target") == 0) {
		char name[400];
		snprintf(name, sizeof name, "%s.pid", file);
		FILE *out = fopen(name, "w");
		fprintf(out, "%d\n", (int)getpid());
		fclose(out);
	}
	if (strcmp(behaviour, "stay") == 0) /* neither its end nor SIGTERM ends it */
		signal(SIGTERM, SIG_IGN);
	if (strcmp(behaviour, "words") == 0)
		fprintf(stderr, "it's %s\a\xff\n%04000d\n", getenv("TIDE_PROJECTION"), 7);
	if (strcmp(behaviour, "talk") == 0)
		say("unasked\n");
}

static void play(int argc, char **argv)
{
	const char *file = argv[1], *behaviour = argc > 2 ? argv[2] : "";
	int64_t at = argc > 3 ? atoll(argv[3]) : -1;
	int times = argc > 4 ? atoi(argv[4]) : 0;
	char *line = NULL;
	size_t size = 0;
	play_first(behaviour, file);
	while (getline(&line, &size, stdin) > 0) {
		int64_t position = number_in(line, "\"global_position\":");
		int attempt = (int)number_in(line, "\"attempt\":");
		note(file, position, attempt);
		if (strcmp(behaviour, "slow") == 0)
			(void)poll(NULL, 0, times);
		if (position == at && attempt <= times)
			answer_as(behaviour, file);
		else
			say("ok\n");
	}
	free(line);
	while (strcmp(behaviour, "stay") == 0)
		pause();
	exit(0);
}

void puppet_main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--puppet") == 0)
		play(argc - 1, argv + 1);
}

/* ---- The test's side ------------------------------------------------------------------------- */

void puppet_make(struct puppet *puppet, const char *directory, const char *behaviour,
		 int64_t position, int times)
{
	snprintf(puppet->file, sizeof puppet->file, "%s/sent", directory);
	snprintf(puppet->position, sizeof puppet->position, "%lld", (long long)position);
	snprintf(puppet->times, sizeof puppet->times, "%d", times);
	const char *const arguments[] = { "/proc/self/exe", "--puppet",    puppet->file, behaviour,
					  puppet->position, puppet->times, NULL };
	memcpy(puppet->arguments, arguments, sizeof arguments);
}

void sent_read(const char *file, struct sent *ret)
{
	*ret = (struct sent){ 0 };
	FILE *in = fopen(file, "r");
	long long position;
	int attempt, pid;
	while (in && fscanf(in, "%lld %d %d", &position, &attempt, &pid) == 3) {
		ret->items = realloc(ret->items, (size_t)(ret->count + 1) * sizeof *ret->items);
		assert_non_null(ret->items);
		ret->items[ret->count].position = position;
		ret->items[ret->count].pid = pid;
		ret->items[ret->count++].attempt = attempt;
	}
	if (in)
		fclose(in);
}

void sent_fini(struct sent *sent)
{
	free(sent->items);
	*sent = (struct sent){ 0 };
}

void sent_is_whole(const struct sent *sent, int64_t last)
{
	int64_t highest = 0;
	for (int i = 0; i < sent->count; i++) {
		if (sent->items[i].position > highest + 1)
			fail_msg("event %lld was sent where %lld was due",
				 (long long)sent->items[i].position, (long long)highest + 1);
		if (sent->items[i].position > highest)
			highest = sent->items[i].position;
	}
	assert_int_equal(highest, last);
}

int sent_processes(const struct sent *sent)
{
	int processes = 0;
	for (int i = 0; i < sent->count; i++)
		processes += i == 0 || sent->items[i].pid != sent->items[i - 1].pid;
	return processes;
}

int sent_times(const struct sent *sent, int64_t position)
{
	int times = 0;
	for (int i = 0; i < sent->count; i++)
		times += sent->items[i].position == position;
	return times;
}

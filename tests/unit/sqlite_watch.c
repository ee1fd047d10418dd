/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static int flush_ms; /* that a flush takes at least, in this process */

/* In front of the C library's, for SQLite. */
__attribute__((visibility("default"))) int fdatasync(int file)
{
	(void)poll(NULL, 0, flush_ms);
	return (int)syscall(SYS_fdatasync, file);
}

/** A process that appends one event for each byte it reads, and answers with the time its append
 * returned. */
struct writer {
	const char *database;
	int flush_ms;
	int ask, answer;
};

static int writer_run(void *self)
{
	struct writer *writer = self;
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	void *store;
	char byte;
	if (fixture_try_open(writer->database, "", NULL, &store, &err) != TIDE_OK)
		return 1;
	flush_ms = writer->flush_ms;
	while (read(writer->ask, &byte, 1) == 1) {
		if (fixture_append(store, &aggregate, TIDE_ANY, 1, NULL, &err) != TIDE_OK)
			return 2;
		int64_t now = fixture_now_us();
		if (write(writer->answer, &now, sizeof now) != sizeof now)
			return 3;
	}
	STORE->close(store);
	return 0;
}

/** The writer as its parent sees it. */
struct remote {
	pid_t child;
	int ask, answer;
};

static struct remote remote_start(const struct fixture *fixture, int flush)
{
	int ask[2], answer[2];
	assert_int_equal(pipe(ask), 0);
	assert_int_equal(pipe(answer), 0);
	struct writer writer = { fixture->database, flush, ask[0], answer[1] };
	fflush(NULL);
	struct remote remote = { .ask = ask[1], .answer = answer[0] };
	remote.child = fork();
	assert_true(remote.child >= 0);
	if (remote.child == 0) {
		close(ask[1]);
		_exit(writer_run(&writer));
	}
	close(ask[0]);
	close(answer[1]);
	return remote;
}

static void remote_ask(struct remote *remote)
{
	assert_int_equal(write(remote->ask, "x", 1), 1);
}

static int64_t remote_answer(struct remote *remote)
{
	int64_t at;
	assert_int_equal(read(remote->answer, &at, sizeof at), sizeof at);
	return at;
}

static void remote_end(struct remote *remote)
{
	close(remote->ask);
	fixture_join(remote->child);
	close(remote->answer);
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static void commits_of_another_process_ring(void **state)
{
	enum { ROUNDS = 30 };
	struct fixture *fixture = *state;
	struct tide_error err;
	int64_t latency[ROUNDS];
	STORE->close(fixture_open(fixture->database, ""));
	struct remote remote = remote_start(fixture, 0);
	void *store = fixture_open(fixture->database, ""), *watch;
	assert_ok(NOTIFY->start(store, &watch, &err));
	for (int i = 0; i < ROUNDS; i++) {
		bool rang = false;
		remote_ask(&remote);
		assert_ok(NOTIFY->wait(watch, 10 * SECOND, &rang, &err));
		assert_true(rang);
		int64_t rung_at = fixture_now_us();
		latency[i] = rung_at - remote_answer(&remote);
		/* Past the pause between two rings, so that the next one is not held back. */
		assert_ok(NOTIFY->wait(watch, 2000000, &rang, &err));
	}
	qsort(latency, ROUNDS, sizeof *latency, compare_numbers);
	print_message("ring after the append returned: median %d us, worst %d us\n",
		      (int)latency[ROUNDS / 2], (int)latency[ROUNDS - 1]);
	remote_end(&remote);
	NOTIFY->stop(watch);
	STORE->close(store);
}

/* The log changes before it is flushed, and the commit is to be seen behind that only. */
static void a_commit_whose_flush_takes_long_rings_soon_behind_it(void **state)
{
	enum { ROUNDS = 7, FLUSH_MS = 40 };
	struct fixture *fixture = *state;
	struct tide_error err;
	int64_t soonest = INT64_MAX;
	STORE->close(fixture_open(fixture->database, ""));
	struct remote remote = remote_start(fixture, FLUSH_MS);
	void *store = fixture_open(fixture->database, ""), *watch;
	assert_ok(NOTIFY->start(store, &watch, &err));
	for (int i = 0; i < ROUNDS; i++) {
		bool rang = false;
		remote_ask(&remote);
		assert_ok(NOTIFY->wait(watch, 10 * SECOND, &rang, &err));
		assert_true(rang);
		int64_t late = fixture_now_us() - remote_answer(&remote);
		soonest = late < soonest ? late : soonest;
		assert_ok(NOTIFY->wait(watch, SECOND / 20, &rang, &err));
	}
	print_message("soonest ring: %d us late\n", (int)soonest);
	assert_true(soonest < FLUSH_MS / 2 * 1000); /* a pause half as long as the flush, at most */
	remote_end(&remote);
	NOTIFY->stop(watch);
	STORE->close(store);
}

static void an_idle_watch_costs_next_to_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct timespec before, after;
	bool rang = true;
	void *store = fixture_open(fixture->database, ""), *watch;
	assert_ok(NOTIFY->start(store, &watch, &err));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	assert_ok(NOTIFY->wait(watch, SECOND, &rang, &err));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	assert_false(rang);
	int64_t used = (after.tv_sec - before.tv_sec) * SECOND + after.tv_nsec - before.tv_nsec;
	print_message("an idle second took %d us of CPU time\n", (int)(used / 1000));
	assert_true(used < SECOND / 50);
	NOTIFY->stop(watch);
	STORE->close(store);
}

static void *interrupt_from_elsewhere(void *watch)
{
	NOTIFY->interrupt(watch);
	return NULL;
}

static void an_interrupt_ends_a_wait(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	const char *databases[2] = { fixture->database, ":memory:" };
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		bool rang = true;
		void *store = fixture_open(databases[i], ""), *watch;
		assert_ok(NOTIFY->start(store, &watch, &err));
		/* One that comes before the wait counts, too. */
		NOTIFY->interrupt(watch);
		assert_ok(NOTIFY->wait(watch, 3600 * SECOND, &rang, &err));
		assert_false(rang);
		assert_int_equal(pthread_create(&thread, NULL, interrupt_from_elsewhere, watch), 0);
		assert_ok(NOTIFY->wait(watch, 3600 * SECOND, &rang, &err));
		assert_false(rang);
		pthread_join(thread, NULL);
		NOTIFY->stop(watch);
		STORE->close(store);
	}
}

static void a_log_made_anew_is_followed(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	char log[TEMP_PATH_SIZE + 32], other[TEMP_PATH_SIZE + 48];
	bool rang = false;
	STORE->close(fixture_open(fixture->database, ""));
	void *store = fixture_open(fixture->database, ""), *watch;
	assert_ok(NOTIFY->start(store, &watch, &err));
	snprintf(log, sizeof log, "%s-wal", fixture->database);
	snprintf(other, sizeof other, "%s.link", log);
	/* Touching the log's links is what the kernel reports as its end when it is still open; the
	 * name stays. */
	assert_int_equal(link(log, other), 0);
	assert_int_equal(unlink(other), 0);
	struct remote remote = remote_start(fixture, 0);
	for (int i = 0; i < 3; i++) {
		remote_ask(&remote);
		assert_ok(NOTIFY->wait(watch, 10 * SECOND, &rang, &err));
		assert_true(rang);
		remote_answer(&remote);
	}
	remote_end(&remote);
	NOTIFY->stop(watch);
	STORE->close(store);
}

static void without_inotify_commits_ring_all_the_same(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	bool rang = false;
	STORE->close(fixture_open(fixture->database, ""));
	struct remote remote = remote_start(fixture, 0);
	void *store = fixture_open(fixture->database, ""), *watch;
	assert_ok(NOTIFY->start(store, &watch, &err));
	/* The second file it opened is inotify's: close it behind its back. */
	char name[64], target[64];
	int closed = 0;
	for (int file = 3; file < 64; file++) {
		snprintf(name, sizeof name, "/proc/self/fd/%d", file);
		ssize_t size = readlink(name, target, sizeof target - 1);
		if (size > 0 && (target[size] = '\0', strstr(target, "inotify"))) {
			int null = fileno(tmpfile());
			assert_true(dup2(null, file) == file);
			closed++;
		}
	}
	assert_int_equal(closed, 1);
	remote_ask(&remote);
	assert_ok(NOTIFY->wait(watch, 10 * SECOND, &rang, &err));
	assert_true(rang);
	remote_end(&remote);
	NOTIFY->stop(watch);
	STORE->close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(commits_of_another_process_ring),
		TEST(a_commit_whose_flush_takes_long_rings_soon_behind_it),
		TEST(an_idle_watch_costs_next_to_nothing),
		TEST(an_interrupt_ends_a_wait),
		TEST(a_log_made_anew_is_followed),
		TEST(without_inotify_commits_ring_all_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

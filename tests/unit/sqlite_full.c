/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full: a small file system where one may be mounted, else a limit on the size of
 * files. */
#include "sqlite_fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FULL_BYTES (1 << 20)

/* Append until the disk is full; then nothing is half there and reading goes on. 0: as it should
 * be. */
static int fill(const char *database)
{
	struct tide_error err;
	struct tide_uuid aggregate = tide_uuid_v7();
	struct tide_append_result result = { 0 };
	void *store, *session;
	int64_t stored = 0;
	tide_status status = fixture_try_open(database, "", TIDE_STORE_OPTIONS(.initialize = true),
					      &store, &err);
	for (int i = 0; status == TIDE_OK && i < 10000; i++) {
		status = fixture_append(store, &aggregate, TIDE_ANY, 20, &result, &err);
		stored += status == TIDE_OK ? 20 : 0;
	}
	if (status != TIDE_DISK_FULL) {
		fprintf(stderr, "not disk_full but %s: %s\n", tide_status_name(status),
			err.message);
		return 1;
	}
	/* Again: no transaction was left open. */
	if (fixture_append(store, &aggregate, TIDE_ANY, 20, &result, &err) != TIDE_DISK_FULL) {
		fprintf(stderr, "the second time: %s\n", err.message);
		return 2;
	}
	tide_position end;
	if (STORE->session_open(store, &session, &err) != TIDE_OK ||
	    STORE->end(session, &end, &err) != TIDE_OK) {
		fprintf(stderr, "reading: %s\n", err.message);
		return 3;
	}
	STORE->session_close(session);
	STORE->close(store);
	return end == stored ? 0 : 4;
}

static int fill_small_file_system(void *self)
{
	const struct fixture *fixture = self;
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", fixture->directory, "tmpfs", 0, "size=1m") != 0)
		return 77;
	return fill(fixture->database);
}

static int fill_limited_file(void *self)
{
	const struct fixture *fixture = self;
	struct rlimit limit = { FULL_BYTES, FULL_BYTES };
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 78;
	return fill(fixture->database);
}

static void a_full_disk_is_disk_full_and_loses_nothing(void **state)
{
	int how;
	pid_t child = fixture_fork(fill_small_file_system, *state);
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFEXITED(how));
	if (WEXITSTATUS(how) == 77)
		print_message(
			"no file system may be mounted here: only the limit on files is tried\n");
	else
		assert_int_equal(WEXITSTATUS(how), 0);
}

static void a_file_at_its_limit_is_disk_full_and_loses_nothing(void **state)
{
	fixture_join(fixture_fork(fill_limited_file, *state));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(a_full_disk_is_disk_full_and_loses_nothing),
		TEST(a_file_at_its_limit_is_disk_full_and_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

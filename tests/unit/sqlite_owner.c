/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/** A process that owns a subscription and tells so through a pipe. */
struct holder {
	const char *database;
	int told;
	bool releases;
};

static int holder_run(void *self)
{
	struct holder *holder = self;
	struct tide_error err;
	struct tide_uuid owner = tide_uuid_v4();
	struct tide_lease lease;
	void *store, *session;
	if (fixture_try_open(holder->database, "", NULL, &store, &err) != TIDE_OK ||
	    STORE->session_open(store, &session, &err) != TIDE_OK ||
	    CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err) != TIDE_OK ||
	    !lease.is_owned)
		return 1;
	struct tide_fence fence = { "P", owner, lease.epoch };
	if (CHECKPOINT->lease_mark(session, &fence, 42, lease.suspect_deaths, &err) != TIDE_OK)
		return 2;
	if (holder->releases && CHECKPOINT->lease_release(session, &fence, &err) != TIDE_OK)
		return 3;
	if (write(holder->told, "x", 1) != 1)
		return 4;
	for (;;)
		pause();
}

/* Start a holder and wait until it owns. */
static pid_t holder_start(const struct fixture *fixture, bool releases)
{
	int pipes[2];
	char byte;
	assert_int_equal(pipe(pipes), 0);
	struct holder holder = { fixture->database, pipes[1], releases };
	pid_t child = fixture_fork(holder_run, &holder);
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	return child;
}

static void holder_kill(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_killed_owner_is_replaced_at_once_and_its_suspect_reported(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_lease lease;
	struct tide_uuid owner = tide_uuid_v4();
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	for (int deaths = 1; deaths <= 2; deaths++) {
		bool is_owned;
		pid_t child = holder_start(fixture, false);
		assert_ok(CHECKPOINT->lease_is_owned(session, "P", &is_owned, &err));
		assert_true(is_owned);
		assert_ok(CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err));
		assert_false(lease.is_owned);
		holder_kill(child);
		assert_ok(CHECKPOINT->lease_is_owned(session, "P", &is_owned, &err));
		assert_false(is_owned);
	}
	assert_ok(CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err));
	assert_true(lease.is_owned);
	assert_int_equal(lease.epoch, 3);
	assert_true(lease.was_unclean);
	assert_int_equal(lease.suspect, 42);
	assert_int_equal(lease.suspect_deaths, 2);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_released_lease_is_clean(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_lease lease;
	struct tide_uuid owner = tide_uuid_v4();
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	pid_t child = holder_start(fixture, true);
	assert_ok(CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err));
	assert_true(lease.is_owned);
	assert_false(lease.was_unclean);
	assert_int_equal(lease.suspect, 0);
	assert_int_equal(lease.suspect_deaths, 0);
	holder_kill(child);
	STORE->session_close(session);
	STORE->close(store);
}

static void two_owners_in_one_process_exclude_each_other(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	const char *databases[2] = { fixture->database, ":memory:" };
	for (int i = 0; i < 2; i++) {
		void *store = fixture_open(databases[i], "");
		void *session = fixture_session(store);
		/* The same file opened twice, or the same store: only this one shares a memory
		 * database. */
		void *other_store = i == 0 ? fixture_open(databases[i], "") : store;
		void *other = fixture_session(other_store);
		struct tide_uuid first = tide_uuid_v4(), second = tide_uuid_v4();
		struct tide_lease lease, refused;
		assert_ok(CHECKPOINT->lease_acquire(session, "P", &first, &lease, &err));
		assert_true(lease.is_owned);
		assert_ok(CHECKPOINT->lease_acquire(session, "P", &second, &refused, &err));
		assert_false(refused.is_owned);
		assert_ok(CHECKPOINT->lease_acquire(other, "P", &second, &refused, &err));
		assert_false(refused.is_owned);
		assert_ok(CHECKPOINT->lease_acquire(other, "Q", &second, &refused, &err));
		assert_true(refused.is_owned);
		struct tide_fence fence = { "P", first, lease.epoch };
		assert_ok(CHECKPOINT->lease_release(session, &fence, &err));
		assert_ok(CHECKPOINT->lease_acquire(other, "P", &second, &refused, &err));
		assert_true(refused.is_owned);
		assert_int_equal(refused.epoch, lease.epoch + 1);
		STORE->session_close(other);
		STORE->session_close(session);
		if (other_store != store)
			STORE->close(other_store);
		STORE->close(store);
	}
}

static void a_stale_owner_writes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_lease lease;
	struct tide_uuid owner = tide_uuid_v4(), event_id = tide_uuid_v4();
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	assert_ok(CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err));
	struct tide_fence fence = { "P", owner, lease.epoch };
	struct tide_checkpoint_write save = { .name = "P",
					      .has_position = true,
					      .progress = { .position = 1, .count = 1 } };
	struct tide_dead_letter_write dead = { .projection_name = "P",
					       .event_id = event_id,
					       .event_type = "A",
					       .event_data = "{}",
					       .message = "m" };
	int64_t id = 0;
	assert_ok(CHECKPOINT->save(session, &fence, &save, &err));
	assert_ok(CHECKPOINT->dead_letter_add(session, &fence, &dead, &id, &err));
	fixture_sql(fixture, "UPDATE subscription_leases SET epoch = epoch + 1");
	save.progress.position = 2;
	dead.message = "n";
	struct tide_dead_letter_change change = { .id = id,
						  .from = { true },
						  .to = TIDE_DEAD_LETTER_RESOLVED };
	assert_status(TIDE_FENCED, CHECKPOINT->save(session, &fence, &save, &err));
	assert_status(TIDE_FENCED, CHECKPOINT->dead_letter_add(session, &fence, &dead, &id, &err));
	assert_status(TIDE_FENCED, CHECKPOINT->dead_letter_change(session, &fence, &change, &err));
	assert_status(TIDE_FENCED, CHECKPOINT->lease_renew(session, &fence, &err));
	assert_status(TIDE_FENCED, CHECKPOINT->lease_mark(session, &fence, 1, 0, &err));
	assert_int_equal(
		fixture_number(fixture, "SELECT global_position FROM projection_checkpoints"), 1);
	assert_int_equal(
		fixture_number(
			fixture,
			"SELECT count(*) FROM dead_letter_queue WHERE error_message = 'm' AND "
			"status = 'failed'"),
		1);
	/* The same owner may begin again, with a new epoch. */
	assert_ok(CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err));
	assert_true(lease.is_owned);
	assert_true(lease.epoch > fence.epoch + 1);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_write_joins_the_open_delivery(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct tide_dead_letter_write dead = { .projection_name = "P",
					       .event_id = tide_uuid_v4(),
					       .event_type = "A",
					       .event_data = "{}",
					       .message = "m" };
	int64_t id;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	assert_ok(CHECKPOINT->dead_letter_add(session, NULL, &dead, &id, &err));
	struct tide_dead_letter_change change = { .id = id,
						  .from = { true },
						  .to = TIDE_DEAD_LETTER_RETRYING };
	assert_ok(STORE->begin(session, &err));
	assert_ok(CHECKPOINT->dead_letter_change(session, NULL, &change, &err));
	assert_int_equal(
		fixture_number(fixture,
			       "SELECT count(*) FROM dead_letter_queue WHERE status = 'failed'"),
		1);
	STORE->rollback(session);
	assert_int_equal(
		fixture_number(fixture,
			       "SELECT count(*) FROM dead_letter_queue WHERE status = 'failed'"),
		1);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_handler_that_ends_the_delivery_is_found_out(void **state)
{
	static const char *const ways[] = { "COMMIT", "ROLLBACK", "COMMIT; BEGIN",
					    "ROLLBACK; BEGIN IMMEDIATE", "COMMIT; SAVEPOINT tide" };
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		assert_ok(STORE->begin(session, &err));
		assert_ok(STORE->savepoint(session, &err));
		assert_ok(STORE->check(session, &err));
		sqlite3_exec(STORE->connection(session), ways[i], NULL, NULL, NULL);
		assert_status(TIDE_STATE, STORE->check(session, &err));
		assert_string_equal(err.message, "handler ended the delivery transaction");
		STORE->rollback(session);
	}
	assert_ok(STORE->begin(session, &err));
	assert_ok(STORE->savepoint(session, &err));
	sqlite3_exec(STORE->connection(session),
		     "CREATE TABLE t (x); SAVEPOINT mine; INSERT INTO t VALUES (1); RELEASE mine",
		     NULL, NULL, NULL);
	assert_ok(STORE->check(session, &err));
	assert_ok(STORE->release(session, &err));
	assert_ok(STORE->savepoint(session, &err));
	sqlite3_exec(STORE->connection(session), "INSERT INTO t VALUES (2)", NULL, NULL, NULL);
	assert_ok(STORE->rollback_to(session, &err));
	assert_ok(STORE->commit(session, &err));
	assert_int_equal(fixture_number(fixture, "SELECT sum(x) FROM t"), 1);
	STORE->session_close(session);
	STORE->close(store);
}

static void a_delivery_that_the_database_rolled_back_says_why(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	assert_ok(STORE->begin(session, &err));
	assert_ok(STORE->savepoint(session, &err));
	int code = sqlite3_exec(STORE->connection(session),
				"CREATE TABLE t (x); PRAGMA max_page_count = 40; "
				"INSERT OR ROLLBACK INTO t VALUES (zeroblob(1000000))",
				NULL, NULL, NULL);
	assert_int_equal(code & 0xff, SQLITE_FULL);
	/* Whether SQLite ends the transaction here is its own affair; what matters is that nobody
	 * goes on in none. */
	bool is_open = !sqlite3_get_autocommit(STORE->connection(session));
	assert_status(is_open ? TIDE_OK : TIDE_DISK_FULL, STORE->check(session, &err));
	STORE->rollback(session);
	assert_ok(STORE->begin(session, &err));
	assert_ok(STORE->commit(session, &err));
	STORE->session_close(session);
	STORE->close(store);
}

/* ---- The file of the locks ---- */

static mode_t mode_of(const char *path, uid_t *ret_owner)
{
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	*ret_owner = info.st_uid;
	return info.st_mode & 0777;
}

static void own(void *session, const char *name)
{
	struct tide_error err;
	struct tide_lease lease;
	struct tide_uuid owner = tide_uuid_v4();
	assert_ok(CHECKPOINT->lease_acquire(session, name, &owner, &lease, &err));
	assert_true(lease.is_owned);
}

static void the_file_of_the_locks_has_the_mode_and_the_owner_of_the_database(void **state)
{
	static const mode_t modes[] = { 0600, 0640, 0660, 0644, 0666 };
	struct fixture *fixture = *state;
	char path[TEMP_PATH_SIZE + 32];
	uid_t owner, other = geteuid() == 0 ? 65534 : geteuid();
	snprintf(path, sizeof path, "%s-owners", fixture->database);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		void *store = fixture_open(fixture->database, "");
		assert_int_equal(chmod(fixture->database, modes[i]), 0);
		assert_int_equal(chown(fixture->database, other, (gid_t)-1), 0);
		void *session = fixture_session(store);
		own(session, "P");
		/* the one of the round before is put right, too */
		assert_int_equal(mode_of(path, &owner), modes[i]);
		assert_int_equal(owner, other);
		STORE->session_close(session);
		STORE->close(store);
	}
}

/* Takes a subscription as the second user of a database, whose first user owns another one. */
static int second_user_run(void *self)
{
	struct fixture *fixture = self;
	struct tide_error err;
	struct tide_uuid owner = tide_uuid_v4();
	struct tide_lease lease;
	void *store, *session;
	if (setgid(65534) != 0 || setuid(65533) != 0 ||
	    fixture_try_open(fixture->database, "", NULL, &store, &err) != TIDE_OK ||
	    STORE->session_open(store, &session, &err) != TIDE_OK)
		return 1;
	if (CHECKPOINT->lease_acquire(session, "P", &owner, &lease, &err) != TIDE_OK ||
	    lease.is_owned)
		return 2;
	return CHECKPOINT->lease_acquire(session, "Q", &owner, &lease, &err) == TIDE_OK &&
			       lease.is_owned
		       ? 0
		       : 3;
}

static int stranger_run(void *self)
{
	char path[TEMP_PATH_SIZE + 32];
	snprintf(path, sizeof path, "%s-owners", ((struct fixture *)self)->database);
	return setgid(65532) == 0 && setuid(65532) == 0 && open(path, O_RDONLY) < 0 ? 0 : 1;
}

static void a_second_user_of_the_group_may_own_and_a_stranger_cannot_lock(void **state)
{
	if (geteuid() != 0)
		skip(); /* only root can become them */
	struct fixture *fixture = *state;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	char path[TEMP_PATH_SIZE + 32];
	assert_int_equal(chmod(fixture->directory, 0777), 0);
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", fixture->database, suffixes[i]);
		assert_int_equal(chown(path, 0, 65534), 0);
		assert_int_equal(chmod(path, 0660), 0);
	}
	own(session, "P");
	fixture_join(fixture_fork(second_user_run, fixture));
	fixture_join(fixture_fork(stranger_run, fixture));
	STORE->session_close(session);
	STORE->close(store);
}

static int files_open(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void a_thousand_ownerships_take_one_descriptor(void **state)
{
	struct fixture *fixture = *state;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	char name[32];
	own(session, "first");
	int before = files_open();
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "P%d", i);
		own(session, name);
	}
	assert_int_equal(files_open(), before);
	STORE->session_close(session);
	STORE->close(store);
}

static void too_many_open_files_are_told_with_their_limit(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	struct rlimit limit, tight;
	void *store = fixture_open(fixture->database, ""), *sessions[64];
	size_t count = 0;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	tight = limit;
	tight.rlim_cur = 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	tide_status status = TIDE_OK;
	while (status == TIDE_OK && count < 64) {
		status = STORE->session_open(store, &sessions[count], &err);
		if (status == TIDE_OK) {
			tide_position end;
			count++;
			status = STORE->end(sessions[count - 1], &end, &err);
		}
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_status(TIDE_IO, status);
	assert_says(&err, "may have 40 files open (ulimit -n)");
	assert_null(strstr(err.message, "may not write"));
	while (count > 0)
		STORE->session_close(sessions[--count]);
	STORE->close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(a_killed_owner_is_replaced_at_once_and_its_suspect_reported),
		TEST(a_released_lease_is_clean),
		TEST(two_owners_in_one_process_exclude_each_other),
		TEST(a_stale_owner_writes_nothing),
		TEST(a_write_joins_the_open_delivery),
		TEST(a_handler_that_ends_the_delivery_is_found_out),
		TEST(a_delivery_that_the_database_rolled_back_says_why),
		TEST(the_file_of_the_locks_has_the_mode_and_the_owner_of_the_database),
		TEST(a_second_user_of_the_group_may_own_and_a_stranger_cannot_lock),
		TEST(a_thousand_ownerships_take_one_descriptor),
		TEST(too_many_open_files_are_told_with_their_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

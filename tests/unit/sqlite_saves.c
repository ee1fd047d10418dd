/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints that several subscriptions save at the same time, and who waits to write. */
#include <pthread.h>

#include "sqlite_fixture.h"

#include "backends/sqlite/internal.h"
#include "lib/wait.h"

#define SAVERS 20

/** A thread with a session, an ownership and a row at position 1, which it moves to 2. */
struct saver {
	char name[16];
	void *session;
	struct tide_fence fence;
	struct tide_checkpoint_known expected;
	pthread_t thread;
	tide_status status;
	struct tide_error err;
};

/** A store, its savers, and somebody else's transaction that keeps them all waiting. */
struct crowd {
	struct sqlite_store *store;
	struct saver savers[SAVERS];
	sqlite3 *blocker;
};

static tide_status saver_save(struct saver *saver, tide_position position,
			      const struct tide_checkpoint_known *expected)
{
	const struct tide_checkpoint_write write = { .name = saver->name,
						     .has_position = true,
						     .progress = { .position = position,
								   .count = 1 },
						     .now = { 1700000000000000 },
						     .expected = expected };
	return CHECKPOINT->save(saver->session, &saver->fence, &write, &saver->err);
}

static void *saver_run(void *self)
{
	struct saver *saver = self;
	saver->status = saver_save(saver, 2, &saver->expected);
	return NULL;
}

static void saver_open(struct saver *saver, struct sqlite_store *store, int number)
{
	struct tide_lease lease;
	struct tide_error err;
	snprintf(saver->name, sizeof saver->name, "saver-%d", number);
	saver->session = fixture_session(store);
	saver->fence = (struct tide_fence){ saver->name, tide_uuid_v4(), 0 };
	assert_ok(CHECKPOINT->lease_acquire(saver->session, saver->name, &saver->fence.owner,
					    &lease, &err));
	saver->fence.epoch = lease.epoch;
	saver->expected = (struct tide_checkpoint_known){ 0 };
	assert_int_equal(saver_save(saver, 1, &saver->expected), TIDE_OK);
	saver->expected = (struct tide_checkpoint_known){
		.has_row = true, .has_position = true, .position = 1, .events_processed = 1
	};
}

static void blocker_do(struct crowd *crowd, const char *sql)
{
	assert_int_equal(sqlite3_exec(crowd->blocker, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void crowd_open(struct crowd *crowd, const struct fixture *fixture)
{
	fixture_count_commits();
	crowd->store = fixture_open(fixture->database, "");
	for (int i = 0; i < SAVERS; i++)
		saver_open(&crowd->savers[i], crowd->store, i);
	assert_int_equal(sqlite3_open(fixture->database, &crowd->blocker), SQLITE_OK);
}

static size_t crowd_waiting(struct crowd *crowd)
{
	struct combiner *saves = &crowd->store->saves.waiting;
	mutex_lock(&saves->lock);
	size_t count = saves->waiting;
	mutex_unlock(&saves->lock);
	return count;
}

/* All save at once: the first one waits for the file, the others for it. */
static void crowd_save(struct crowd *crowd)
{
	blocker_do(crowd, "BEGIN IMMEDIATE");
	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(pthread_create(&crowd->savers[i].thread, NULL, saver_run,
						&crowd->savers[i]),
				 0);
	wait_for(60, crowd_waiting(crowd) == SAVERS - 1);
	atomic_store(&fixture_commits, 0);
	blocker_do(crowd, "ROLLBACK");
	for (int i = 0; i < SAVERS; i++)
		pthread_join(crowd->savers[i].thread, NULL);
}

static void crowd_close(struct crowd *crowd)
{
	for (int i = 0; i < SAVERS; i++)
		STORE->session_close(crowd->savers[i].session);
	sqlite3_close(crowd->blocker);
	STORE->close(crowd->store);
}

static int64_t moved(const struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT count(*) FROM projection_checkpoints WHERE "
				       "global_position = 2 AND events_processed = 2");
}

static void saves_that_wait_share_a_commit(void **state)
{
	const struct fixture *fixture = *state;
	struct crowd crowd = { 0 };
	crowd_open(&crowd, fixture);
	crowd_save(&crowd);
	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status, TIDE_OK);
	assert_int_equal(moved(fixture), SAVERS);
	assert_in_range(atomic_load(&fixture_commits), 1, 2);
	crowd_close(&crowd);
}

/* A trigger of the owner's, a person who ended an ownership, one who moved a row. */
static void a_row_that_is_refused_is_refused_alone(void **state)
{
	const struct fixture *fixture = *state;
	struct crowd crowd = { 0 };
	crowd_open(&crowd, fixture);
	fixture_sql(fixture,
		    "CREATE TRIGGER refuses BEFORE UPDATE ON projection_checkpoints WHEN "
		    "NEW.projection_name = 'saver-3' BEGIN SELECT RAISE(ABORT, 'not this'); END;"
		    "UPDATE subscription_leases SET epoch = epoch + 1 WHERE name = 'saver-7';"
		    "UPDATE projection_checkpoints SET global_position = 9 WHERE projection_name = "
		    "'saver-11'");
	crowd_save(&crowd);
	for (int i = 0; i < SAVERS; i++) {
		tide_status status = crowd.savers[i].status;
		if (i == 3)
			assert_int_equal(status, TIDE_IO);
		else
			assert_int_equal(status, i == 7    ? TIDE_FENCED
						 : i == 11 ? TIDE_DIVERGED
							   : TIDE_OK);
	}

	assert_says(&crowd.savers[3].err, "not this");
	assert_says(&crowd.savers[7].err, "saver-7");
	assert_int_equal(moved(fixture), SAVERS - 3);
	crowd_close(&crowd);
}

static void who_ends_the_transaction_of_all_fails_alone(void **state)
{
	const struct fixture *fixture = *state;
	struct crowd crowd = { 0 };
	crowd_open(&crowd, fixture);
	fixture_sql(
		fixture,
		"CREATE TRIGGER ends BEFORE UPDATE ON projection_checkpoints WHEN "
		"NEW.projection_name = 'saver-3' BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END");
	crowd_save(&crowd);
	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status == TIDE_OK, i != 3);
	assert_says(&crowd.savers[3].err, "all of it");
	assert_int_equal(moved(fixture), SAVERS - 1);
	crowd_close(&crowd);
}

static void a_file_that_stays_locked_is_everybodys(void **state)
{
	const struct fixture *fixture = *state;
	struct crowd crowd = { 0 };
	crowd_open(&crowd, fixture);
	for (int i = 0; i < SAVERS; i++)
		((struct sqlite_session *)crowd.savers[i].session)->connection.busy_ns =
			100 * NS_PER_MS;
	blocker_do(&crowd, "BEGIN IMMEDIATE");
	for (int i = 0; i < SAVERS; i++)
		pthread_create(&crowd.savers[i].thread, NULL, saver_run, &crowd.savers[i]);
	for (int i = 0; i < SAVERS; i++)
		pthread_join(crowd.savers[i].thread, NULL);
	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status, TIDE_BUSY);
	blocker_do(&crowd, "ROLLBACK");
	assert_int_equal(moved(fixture), 0);
	assert_int_equal(saver_save(&crowd.savers[0], 2, &crowd.savers[0].expected), TIDE_OK);
	crowd_close(&crowd);
}

/* ---- Whose turn it is ------------------------------------------------------------------------ */

static bool turn_is_taken(struct sqlite_turn *turn)
{
	mutex_lock(&turn->lock);
	bool is_taken = turn->is_taken;
	mutex_unlock(&turn->lock);
	return is_taken;
}

static bool turn_is_waited_for(struct sqlite_turn *turn)
{
	mutex_lock(&turn->lock);
	bool is_waited_for = turn->first != NULL;
	mutex_unlock(&turn->lock);
	return is_waited_for;
}

static void *turn_take(void *turn)
{
	assert_true(sqlite_turn_wait(turn, 60 * NS_PER_SECOND));
	return NULL;
}

static void who_has_waited_for_long_is_not_overtaken(void **state)
{
	struct sqlite_turn turn = { 0 };
	pthread_t thread;
	(void)state;
	sqlite_turn_init(&turn);
	assert_true(sqlite_turn_try(&turn));
	assert_false(sqlite_turn_wait(&turn, 0));
	pthread_create(&thread, NULL, turn_take, &turn);
	wait_for(60, turn_is_waited_for(&turn));
	double since = seconds_now();
	wait_for(60, seconds_now() > since + 0.005);

	sqlite_turn_give(&turn);
	assert_false(sqlite_turn_try(&turn));
	pthread_join(thread, NULL);
	assert_false(turn_is_waited_for(&turn));
	sqlite_turn_give(&turn);
	sqlite_turn_fini(&turn);
}

static void a_turn_ends_with_its_transaction_whoever_ends_it(void **state)
{
	const struct fixture *fixture = *state;
	struct sqlite_store *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	struct tide_error err;
	assert_ok(STORE->begin(session, &err));
	assert_true(turn_is_taken(&store->turn));
	assert_ok(STORE->commit(session, &err));
	assert_false(turn_is_taken(&store->turn));

	assert_ok(STORE->begin(session, &err));
	sqlite3_exec(STORE->connection(session), "ROLLBACK", NULL, NULL, NULL);
	assert_status(TIDE_STATE, STORE->commit(session, &err));
	STORE->rollback(session);
	assert_false(turn_is_taken(&store->turn));

	assert_ok(STORE->begin(session, &err));
	STORE->session_close(session);
	assert_false(turn_is_taken(&store->turn));
	STORE->close(store);
}

/** An append by a thread of its own. */
struct appender {
	struct sqlite_store *store;
	tide_status status;
};

static void *appender_run(void *self)
{
	struct appender *appender = self;
	struct tide_uuid aggregate = tide_uuid_v4();
	struct tide_append_result result;
	struct tide_error err;
	appender->status =
		fixture_append(appender->store, &aggregate, TIDE_NO_STREAM, 1, &result, &err);
	return NULL;
}

/* It has SQLite's lock until it is done, though no transaction is open. */
static void a_statement_that_returns_rows_goes_on_whosever_turn_it_is(void **state)
{
	const struct fixture *fixture = *state;
	struct appender appender = { fixture_open(fixture->database, ""), TIDE_OK };
	struct sqlite_session *session = fixture_session(appender.store);
	fixture_sql(fixture, "CREATE TABLE notes (note TEXT)");
	sqlite3_stmt *statement;
	struct tide_error err;
	pthread_t thread;
	bool is_row;
	assert_ok(sqlite_statement(&session->connection,
				   "INSERT INTO notes VALUES ('one'), ('two') RETURNING note",
				   &statement, &err));
	assert_ok(sqlite_step(&session->connection, statement, &is_row, &err));
	assert_true(is_row);

	pthread_create(&thread, NULL, appender_run, &appender);
	wait_for(60, turn_is_taken(&appender.store->turn));
	do
		assert_ok(sqlite_step(&session->connection, statement, &is_row, &err));
	while (is_row);
	pthread_join(thread, NULL);
	assert_int_equal(appender.status, TIDE_OK);
	sqlite3_reset(statement);
	STORE->session_close(session);
	STORE->close(appender.store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(saves_that_wait_share_a_commit),
		TEST(a_row_that_is_refused_is_refused_alone),
		TEST(who_ends_the_transaction_of_all_fails_alone),
		TEST(a_file_that_stays_locked_is_everybodys),
		TEST(who_has_waited_for_long_is_not_overtaken),
		TEST(a_turn_ends_with_its_transaction_whoever_ends_it),
		TEST(a_statement_that_returns_rows_goes_on_whosever_turn_it_is),
	};
	return cmocka_run_group_tests_name("sqlite_saves", tests, NULL, NULL);
}

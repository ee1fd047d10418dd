/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints that several subscriptions save at the same time share a statement and a commit, and
 * nothing else. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tidemark/tidemark.h>

#include "backends/postgres/inner.h"
#include "postgres_tools.h"

#define SAVERS 8
#define NAMELESS 6 /* the one that has settled an event which is not kept */
/* what a save in its middle waits for: that of the first, and that of a group */
#define FIRST 4710
#define GROUP 4711

/** A thread with a session that shares connections, an ownership and a row at position 1, which it
 * moves to 2. */
struct saver {
	char name[16];
	struct pg_session *session;
	struct tide_fence fence;
	struct tide_checkpoint_known expected;
	pthread_t thread;
	atomic_int first;   /* what the save with others came to; -1: nothing yet */
	tide_status status; /* at last */
	bool is_unsure;     /* what became of the first */
	struct tide_error err;
};

/** A store, its savers, and somebody who keeps the first of them waiting in the middle of its save,
 * by a trigger of the owner's. */
struct crowd {
	const char *schema;
	struct pg_store *store;
	struct saver savers[SAVERS];
	PGconn *blocker;
};

/* Each writes what only it would, and one a position alone. */
static tide_status saver_save(struct saver *saver, tide_position position, bool may_combine)
{
	const unsigned number = (unsigned)(saver->name[6] - '0');
	const struct tide_uuid id = uuid_of(10 * (number + 1) + (unsigned)position);
	char type[16];
	snprintf(type, sizeof type, "Type%u", number);
	const struct tide_checkpoint_write write = {
		.name = saver->name,
		.has_position = true,
		.progress = { position, number == NAMELESS ? NULL : &id,
			      number == NAMELESS ? NULL : type, 1 },
		.now = { 1700000000000000 + 1000 * number + position },
		.expected = &saver->expected,
		.anchor = { number == NAMELESS ? 0 : position, id },
		.may_combine = may_combine,
	};
	return CHECKPOINT->save(saver->session, &saver->fence, &write, &saver->err);
}

/* As a subscription does: with others, and else by a connection of its own. */
static void *saver_run(void *self)
{
	struct saver *saver = self;
	saver->status = saver_save(saver, 2, true);
	saver->is_unsure = STORE->await(saver->session, TIDE_AWAIT_NOTHING, NULL) == TIDE_TIMEOUT;
	saver->first = (int)saver->status;
	if (saver->first == TIDE_BUSY && !saver->is_unsure) {
		wait_for(60, STORE->session_take(saver->session));
		saver->status = saver_save(saver, 2, false);
	}
	if (saver->first != TIDE_TIMEOUT)
		STORE->session_rest(saver->session);
	return NULL;
}

static void nobody_is_rung(void *self)
{
	(void)self;
}

static void saver_open(struct saver *saver, void *store, int number)
{
	struct tide_lease lease;
	snprintf(saver->name, sizeof saver->name, "saver-%d", number);
	void *session;
	must(STORE->session_share(store, nobody_is_rung, saver, &session, err));
	saver->session = session;
	saver->first = -1;
	saver->fence = (struct tide_fence){ saver->name, tide_uuid_v4(), 0 };
	must(CHECKPOINT->lease_acquire(saver->session, saver->name, &saver->fence.owner, &lease,
				       err));
	saver->fence.epoch = lease.epoch;
	must(saver_save(saver, 1, true));
	STORE->session_rest(session);
	saver->expected = (struct tide_checkpoint_known){
		.has_row = true, .has_position = true, .position = 1, .events_processed = 1
	};
}

/* ---- The crowd ------------------------------------------------------------------------------- */

static void crowd_do(const struct crowd *crowd, PGconn *connection, const char *text)
{
	char whole[600];
	snprintf(whole, sizeof whole, "SET search_path = %s; %s", crowd->schema, text);
	sql_run(connection, whole);
}

static int64_t crowd_number(const struct crowd *crowd, const char *what)
{
	char text[300];
	snprintf(text, sizeof text,
		 "SELECT count(DISTINCT %s) FROM %s.projection_checkpoints "
		 "WHERE global_position = 2 AND events_processed = 2",
		 what, crowd->schema);
	return sql_asked(text);
}

static int64_t moved(const struct crowd *crowd)
{
	return crowd_number(crowd, "projection_name");
}

static void crowd_wait_at(const struct crowd *crowd, int number, int lock)
{
	char text[500];
	snprintf(text, sizeof text,
		 "CREATE FUNCTION wait_%d() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
		 "NEW.projection_name = 'saver-%d' THEN PERFORM pg_advisory_xact_lock_shared(%d); "
		 "END IF; RETURN NEW; END $$; CREATE TRIGGER waits_%d BEFORE UPDATE ON "
		 "projection_checkpoints FOR EACH ROW EXECUTE FUNCTION wait_%d()",
		 number, number, lock, number, number);
	crowd_do(crowd, crowd->blocker, text);
}

static void crowd_open(struct crowd *crowd, const char *schema)
{
	char url[100];
	snprintf(url, sizeof url, "postgresql:///?schema=%s", schema);
	crowd->schema = schema;
	crowd->store = backend_opened(url);
	crowd->blocker = sql_connect("");
	for (int i = 0; i < SAVERS; i++)
		saver_open(&crowd->savers[i], crowd->store, i);
	crowd_wait_at(crowd, 0, FIRST);
}

static void crowd_close(struct crowd *crowd)
{
	PQfinish(crowd->blocker);
	for (int i = 0; i < SAVERS; i++)
		STORE->session_close(crowd->savers[i].session);
	STORE->close(crowd->store);
}

static size_t crowd_waiting(struct crowd *crowd)
{
	struct combiner *saves = &crowd->store->saves;
	mutex_lock(&saves->lock);
	size_t count = saves->waiting;
	mutex_unlock(&saves->lock);
	return count;
}

static void saver_begin(struct saver *saver)
{
	assert_int_equal(pthread_create(&saver->thread, NULL, saver_run, saver), 0);
}

static void held_await(int lock)
{
	char text[120];
	snprintf(text, sizeof text,
		 "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %d AND NOT "
		 "granted",
		 lock);
	wait_for(60, sql_asked(text) == 1);
}

/* The first one waits, the others for it. */
static void crowd_gather(struct crowd *crowd)
{
	sql_run(crowd->blocker, "SELECT pg_advisory_lock(4710)");
	saver_begin(&crowd->savers[0]);
	held_await(FIRST);
	for (int i = 1; i < SAVERS; i++) {
		saver_begin(&crowd->savers[i]);
		wait_for(60, crowd_waiting(crowd) == (size_t)i);
	}
}

static void crowd_let_go(const struct crowd *crowd)
{
	sql_run(crowd->blocker, "SELECT pg_advisory_unlock(4710)");
}

static void crowd_save(struct crowd *crowd)
{
	crowd_gather(crowd);
	crowd_let_go(crowd);
	for (int i = 0; i < SAVERS; i++)
		pthread_join(crowd->savers[i].thread, NULL);
}

/* ---- What they come to ----------------------------------------------------------------------- */

static void saver_is_at_2(struct saver *saver, unsigned number)
{
	struct tide_checkpoint row;
	char type[16] = "";
	struct tide_uuid id = uuid_of(10 * (number + 1) + 2);
	must(CHECKPOINT->load(saver->session, saver->name, &row, err));
	assert_int_equal(row.position, 2);
	assert_int_equal(row.events_processed, 2);
	assert_int_equal(row.updated_at.unix_us, 1700000000000002 + 1000 * number);
	assert_int_equal(row.anchor.position, number == NAMELESS ? 0 : 2);
	assert_int_equal(row.has_last_processed_at, number != NAMELESS);

	if (number == NAMELESS)
		id = (struct tide_uuid){ { 0 } };
	else
		snprintf(type, sizeof type, "Type%u", number);
	assert_true(tide_uuid_equal(&row.last_event_id, &id));
	assert_string_equal(row.last_event_type, type);
	if (number != NAMELESS)
		assert_true(tide_uuid_equal(&row.anchor.event_id, &id));
	STORE->session_rest(saver->session);
}

static void saves_that_wait_share_a_commit(void **state)
{
	struct crowd crowd = { 0 };
	(void)state;
	crowd_open(&crowd, "saves");
	crowd_save(&crowd);
	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status, TIDE_OK);
	assert_int_equal(moved(&crowd), SAVERS);
	assert_int_equal(crowd_number(&crowd, "xmin::text"), 2);

	for (int i = 0; i < SAVERS; i++)
		saver_is_at_2(&crowd.savers[i], (unsigned)i);
	crowd_close(&crowd);
}

/* A person who ended an ownership, one who moved a row, one who removed another. */
static void a_row_that_is_refused_is_refused_alone(void **state)
{
	struct crowd crowd = { 0 };
	(void)state;
	crowd_open(&crowd, "saves_refused");
	PGconn *person = sql_connect("");
	crowd_do(&crowd, person,
		 "UPDATE subscription_leases SET epoch = epoch + 1 WHERE name = 'saver-2'; UPDATE "
		 "projection_checkpoints SET global_position = 9 WHERE projection_name = "
		 "'saver-4'; DELETE FROM projection_checkpoints WHERE projection_name = 'saver-6'");
	PQfinish(person);
	crowd_save(&crowd);

	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status, i == 2             ? TIDE_FENCED
							 : i == 4 || i == 6 ? TIDE_DIVERGED
									    : TIDE_OK);
	must_mention(&crowd.savers[2].err, "saver-2");
	must_mention(&crowd.savers[4].err, "saver-4");
	assert_int_equal(moved(&crowd), SAVERS - 3);
	assert_int_equal(crowd_number(&crowd, "xmin::text"), 2);
	crowd_close(&crowd);
}

/* Also with the word of a connection that is lost, as a trigger has that asks another server. */
static void what_the_owner_of_the_database_forbids_is_forbidden_alone(void **state)
{
	static const char *const codes[] = { "P0001", "08006" };
	(void)state;
	for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
		struct crowd crowd = { 0 };
		char text[500];
		crowd_open(&crowd, k ? "saves_forbidden" : "saves_lost_elsewhere");
		snprintf(
			text, sizeof text,
			"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
			"NEW.projection_name = 'saver-3' THEN RAISE EXCEPTION 'not this' USING "
			"ERRCODE = '%s'; END IF; RETURN NEW; END $$; CREATE TRIGGER refuses BEFORE "
			"UPDATE ON projection_checkpoints FOR EACH ROW EXECUTE FUNCTION refuse()",
			codes[k]);
		crowd_do(&crowd, crowd.blocker, text);
		crowd_save(&crowd);

		for (int i = 0; i < SAVERS; i++)
			assert_int_equal(crowd.savers[i].status == TIDE_OK, i != 3);
		must_mention(&crowd.savers[3].err, "not this");
		assert_int_equal(moved(&crowd), SAVERS - 1);
		crowd_close(&crowd);
	}
}

/* A transaction that has one row, and one that is about to end an ownership. */
static void who_meets_a_lock_waits_alone(void **state)
{
	struct crowd crowd = { 0 };
	(void)state;
	crowd_open(&crowd, "saves_locked");
	PGconn *person = sql_connect("");
	crowd_do(&crowd, person,
		 "BEGIN; SELECT 1 FROM projection_checkpoints WHERE projection_name = 'saver-3' "
		 "FOR UPDATE; SELECT 1 FROM subscription_leases WHERE name = 'saver-5' FOR UPDATE");
	assert_int_equal(saver_save(&crowd.savers[3], 2, true), TIDE_BUSY); /* at once */
	assert_int_equal(saver_save(&crowd.savers[5], 2, true), TIDE_BUSY);
	STORE->session_rest(crowd.savers[3].session);
	STORE->session_rest(crowd.savers[5].session);
	crowd_gather(&crowd);
	crowd_let_go(&crowd);
	for (int i = 0; i < SAVERS; i++)
		if (i != 3 && i != 5)
			pthread_join(crowd.savers[i].thread, NULL);
	assert_int_equal(moved(&crowd), SAVERS - 2);
	assert_int_equal(crowd_number(&crowd, "xmin::text"), 2);

	sql_run(person, "ROLLBACK");
	PQfinish(person);
	pthread_join(crowd.savers[3].thread, NULL);
	pthread_join(crowd.savers[5].thread, NULL);
	for (int i = 0; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status, TIDE_OK);
	assert_int_equal(moved(&crowd), SAVERS);
	crowd_close(&crowd);
}

/* ---- The leader's connection ----------------------------------------------------------------- */

/* The first goes on, and the others wait in the middle of theirs. */
static void crowd_stop_in_group(struct crowd *crowd)
{
	crowd_wait_at(crowd, 3, GROUP);
	crowd_gather(crowd);
	sql_run(crowd->blocker, "SELECT pg_advisory_lock(4711)");
	crowd_let_go(crowd);
	pthread_join(crowd->savers[0].thread, NULL);
	held_await(GROUP);
}

static void group_let_go(const struct crowd *crowd)
{
	sql_run(crowd->blocker, "SELECT pg_advisory_unlock(4711)");
}

/* All but the first. */
static void crowd_join_others(struct crowd *crowd)
{
	for (int i = 1; i < SAVERS; i++)
		pthread_join(crowd->savers[i].thread, NULL);
}

/* Until they have looked. */
static void others_are_unsure(struct crowd *crowd)
{
	for (int i = 2; i < SAVERS; i++) {
		struct saver *saver = &crowd->savers[i];
		struct tide_checkpoint row;
		assert_int_equal(saver->first, TIDE_BUSY);
		assert_true(saver->is_unsure);
		must(CHECKPOINT->load(saver->session, saver->name, &row, err));
		must(STORE->await(saver->session, TIDE_AWAIT_NOTHING, err));
		STORE->session_rest(saver->session);
	}
}

static void a_connection_that_is_lost_leaves_all_of_them_unsure(void **state)
{
	struct crowd crowd = { 0 };
	(void)state;
	crowd_open(&crowd, "saves_lost");
	crowd_stop_in_group(&crowd);
	sql_asked("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = "
		  "'advisory' AND NOT granted");
	crowd_join_others(&crowd);
	assert_int_equal(crowd.savers[1].status, TIDE_CONNECTION_LOST);
	others_are_unsure(&crowd);
	assert_int_equal(moved(&crowd), 1);
	group_let_go(&crowd);
	must(saver_save(&crowd.savers[2], 2, true));
	crowd_close(&crowd);
}

static void an_answer_that_does_not_come_leaves_all_of_them_unsure(void **state)
{
	struct crowd crowd = { 0 };
	(void)state;
	crowd_open(&crowd, "saves_late");
	crowd.savers[6].session->answer_seconds = 0.3;
	crowd_stop_in_group(&crowd);
	double since = seconds_now();
	crowd_join_others(&crowd);
	assert_true(seconds_now() - since < 15); /* and not for append_timeout */
	assert_int_equal(crowd.savers[1].status, TIDE_TIMEOUT);
	others_are_unsure(&crowd);
	group_let_go(&crowd);
	must(STORE->await(crowd.savers[1].session, TIDE_AWAIT_ANSWER, err));
	assert_int_equal(moved(&crowd), SAVERS);
	crowd_close(&crowd);
}

static void a_leader_that_is_interrupted_ends_alone(void **state)
{
	struct crowd crowd = { 0 };
	(void)state;
	crowd_open(&crowd, "saves_interrupted");
	crowd_stop_in_group(&crowd);
	STORE->interrupt(crowd.savers[1].session);
	pthread_join(crowd.savers[1].thread, NULL);
	group_let_go(&crowd);

	for (int i = 2; i < SAVERS; i++)
		pthread_join(crowd.savers[i].thread, NULL);
	must_mention(&crowd.savers[1].err, "57014");
	for (int i = 2; i < SAVERS; i++)
		assert_int_equal(crowd.savers[i].status, TIDE_OK);
	assert_int_equal(moved(&crowd), SAVERS - 1);
	crowd_close(&crowd);
}

/* One session has the seat, and another one what is kept for what must not wait. */
static void without_a_connection_each_of_them_asks_for_its_own(void **state)
{
	struct crowd crowd = { .schema = "saves_apart" };
	struct saver taking[2] = { 0 };
	(void)state;
	crowd.store = backend_opened("postgresql:///?schema=saves_apart&connections=1");
	crowd.blocker = sql_connect("");
	for (int i = 0; i < SAVERS; i++)
		saver_open(&crowd.savers[i], crowd.store, i);
	for (int i = 0; i < 2; i++) {
		saver_open(&taking[i], crowd.store, SAVERS + i);
		must(STORE->begin(taking[i].session, err));
	}

	for (int i = 0; i < SAVERS; i++)
		saver_begin(&crowd.savers[i]);
	for (int i = 0; i < SAVERS; i++) {
		wait_for(60, crowd.savers[i].first == TIDE_BUSY);
		assert_false(crowd.savers[i].is_unsure);
	}
	for (int i = 0; i < 2; i++) {
		STORE->rollback(taking[i].session);
		STORE->session_close(taking[i].session);
	}
	for (int i = 0; i < SAVERS; i++) {
		pthread_join(crowd.savers[i].thread, NULL);
		assert_int_equal(crowd.savers[i].status, TIDE_OK);
	}
	assert_int_equal(moved(&crowd), SAVERS);
	crowd_close(&crowd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saves_that_wait_share_a_commit),
		cmocka_unit_test(a_row_that_is_refused_is_refused_alone),
		cmocka_unit_test(what_the_owner_of_the_database_forbids_is_forbidden_alone),
		cmocka_unit_test(who_meets_a_lock_waits_alone),
		cmocka_unit_test(a_connection_that_is_lost_leaves_all_of_them_unsure),
		cmocka_unit_test(an_answer_that_does_not_come_leaves_all_of_them_unsure),
		cmocka_unit_test(a_leader_that_is_interrupted_ends_alone),
		cmocka_unit_test(without_a_connection_each_of_them_asks_for_its_own),
	};
	tide_log_set(NULL, NULL, TIDE_LOG_CRITICAL);
	if (!postgres_start())
		return 77;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	postgres_stop();
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several subscriptions in one history, and the one that reads for all of them hangs, fails, or is
 * stopped; what is read ahead of one; and a store that is another one meanwhile. The store's
 * operations are a copy with its reads replaced.
 */
#include <pthread.h>
#include <string.h>

#include "engine_tools.h"
#include "path/store.h"

#define EVENTS 6000
#define SUBS 4
#define HELD_AT 500

static struct tide_backend real, replaced;

/** What becomes of a page that is read for all. */
static struct {
	atomic_int number;  /* of these pages, from 1 */
	int hangs_at;       /* 0: none */
	int fails_at;       /* 0: none */
	atomic_bool is_on;  /* they count from then on */
	atomic_bool is_let; /* what hangs goes on */
	atomic_int hanging;
	int together; /* so many first reads wait for each other; 0: none does */
	atomic_int begun;
	atomic_bool fails_ahead; /* what is read ahead, and its session */
	atomic_int failed_ahead;
	atomic_int sparse; /* reads for which an index may find the events */
} shared;

static bool fails_ahead(void)
{
	char name[16] = "";
	(void)pthread_getname_np(pthread_self(), name, sizeof name);
	bool fails = atomic_load(&shared.fails_ahead) && strcmp(name, "tide-ahead") == 0;
	atomic_fetch_add(&shared.failed_ahead, fails);
	return fails;
}

static tide_status session_or_not(void *store, void **ret, struct tide_error *err)
{
	return fails_ahead() ? tide_fail(err, TIDE_IO, "there is no session")
			     : real.store.session_open(store, ret, err);
}

static tide_status read_or_not(void *session, const struct tide_page_query *query,
			       struct tide_page *page, struct tide_error *err)
{
	if (shared.together && atomic_fetch_add(&shared.begun, 1) < shared.together)
		wait_for(PATIENCE, atomic_load(&shared.begun) >= shared.together);
	atomic_fetch_add(&shared.sparse, query->is_sparse);
	bool counts = query->is_once && atomic_load(&shared.is_on);
	int number = counts ? atomic_fetch_add(&shared.number, 1) + 1 : 0;
	if (number > 0 && number == shared.hangs_at) {
		atomic_fetch_add(&shared.hanging, 1);
		while (!atomic_load(&shared.is_let))
			wait_a_moment();
		atomic_fetch_sub(&shared.hanging, 1);
	}
	if ((number > 0 && number == shared.fails_at) || fails_ahead())
		return tide_fail(err, TIDE_IO, "this page cannot be read");
	return real.store.read(session, query, page, err);
}

/** A history, and who reads it. */
struct crowd {
	struct rig rig;
	struct witness witnesses[SUBS];
	struct tide_subscription *subscriptions[SUBS];
	int count;
	atomic_int begun, held; /* in the call of the first event, of that which all wait at */
	atomic_bool is_open;
	int together; /* none goes on from the first event before so many have begun */
	bool reads_ahead;
	struct tide_uuid seen[EVENTS + 1]; /* by the last one */
};

static tide_status crowd_decide(struct witness *witness, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	struct crowd *crowd = witness->more;
	(void)delivery;
	if (event->position == 1 && atomic_fetch_add(&crowd->begun, 1) < crowd->together)
		wait_for(PATIENCE, atomic_load(&crowd->begun) >= crowd->together);
	if (event->position == HELD_AT) {
		atomic_fetch_add(&crowd->held, 1);
		while (!atomic_load(&crowd->is_open))
			wait_a_moment();
	}
	if (witness == &crowd->witnesses[SUBS - 1])
		crowd->seen[event->position] = event->event_id;
	return TIDE_OK;
}

static void crowd_add(struct crowd *crowd, int i)
{
	char name[16];
	snprintf(name, sizeof name, "sub%d", i);
	crowd->witnesses[i] = (struct witness)WITNESS;
	crowd->witnesses[i].decide = crowd_decide;
	crowd->witnesses[i].more = crowd;
	struct tide_subscriber subscriber = witness_single(name, &crowd->witnesses[i]);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_BEGINNING;
	config.batch_size = config.max_in_flight = 10;
	config.max_infrastructure_retries = 0;
	config.read_ahead = crowd->reads_ahead;
	must(tide_manager_subscribe(crowd->rig.manager, &subscriber, &config,
				    &crowd->subscriptions[i], err));
	crowd->count++;
}

/* All of them stand at one event, and then they go on together. */
static void crowd_open_as(struct crowd *crowd, const char *backend, int count, bool reads_ahead)
{
	*crowd = (struct crowd){ .together = count, .reads_ahead = reads_ahead };
	rig_open(&crowd->rig, backend);
	for (unsigned i = 0; i < EVENTS / 50; i++)
		append_many(crowd->rig.store, stream_of("Order", i), i * 50, 50);
	real = replaced = *crowd->rig.store->backend;
	replaced.store.read = read_or_not;
	replaced.store.session_open = session_or_not;
	memset(&shared, 0, sizeof shared);
	crowd->rig.store->backend = &replaced;
	for (int i = 0; i < count; i++)
		crowd_add(crowd, i);
	must(tide_manager_start(crowd->rig.manager, NULL, 0, NULL, NULL, err));
	wait_for(PATIENCE, atomic_load(&crowd->held) == count);
	atomic_store(&shared.is_on, true);
}

static void crowd_open(struct crowd *crowd, const char *backend, int count)
{
	crowd_open_as(crowd, backend, count, false);
}

static void crowd_close(struct crowd *crowd)
{
	rig_close(&crowd->rig);
	for (int i = 0; i < crowd->count; i++)
		witness_fini(&crowd->witnesses[i]);
}

static int crowd_count(const struct crowd *crowd, enum tide_state state)
{
	int count = 0;
	for (int i = 0; i < crowd->count; i++)
		count += tide_subscription_state(crowd->subscriptions[i]) == state;
	return count;
}

/* ---- Who reads for all ----------------------------------------------------------------------- */

static void a_read_that_hangs_keeps_only_who_reads(const char *backend)
{
	static struct crowd crowd;
	crowd_open(&crowd, backend, SUBS);
	shared.hangs_at = 2;
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == SUBS - 1);
	assert_int_equal(atomic_load(&shared.hanging), 1);
	assert_int_equal(crowd_count(&crowd, TIDE_STATE_CATCHING_UP), 1);
	atomic_store(&shared.is_let, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == SUBS);
	must(tide_manager_stop(crowd.rig.manager, NULL, PATIENCE, err));
	for (int i = 0; i < SUBS; i++)
		witness_saw_all(&crowd.witnesses[i], 1, EVENTS);
	crowd_close(&crowd);
}

static void who_hangs_while_it_reads_for_all_keeps_nobody_else(void **state)
{
	(void)state;
	a_read_that_hangs_keeps_only_who_reads("memory");
	a_read_that_hangs_keeps_only_who_reads("sqlite");
}

static void a_read_that_fails_is_the_failure_of_who_read(void **state)
{
	static struct crowd crowd;
	(void)state;
	crowd_open(&crowd, "sqlite", SUBS);
	shared.fails_at = 2;
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == SUBS - 1 &&
				   crowd_count(&crowd, TIDE_STATE_ERROR) == 1);
	for (int i = 0; i < SUBS; i++) {
		struct tide_subscription_status status = status_of(crowd.subscriptions[i]);
		bool has_failed = status.state == TIDE_STATE_ERROR;
		assert_int_equal(status.recent_errors_count, has_failed);
		if (has_failed)
			must_mention(&status.error, "this page cannot be read");
		if (has_failed)
			must(tide_manager_restart(crowd.rig.manager, status.name, err));
	}
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == SUBS);
	must(tide_manager_stop(crowd.rig.manager, NULL, PATIENCE, err));
	for (int i = 0; i < SUBS; i++)
		witness_saw_all(&crowd.witnesses[i], 1, EVENTS);
	crowd_close(&crowd);
}

static void who_waits_for_anothers_read_obeys(void **state)
{
	static struct crowd crowd;
	(void)state;
	crowd_open(&crowd, "memory", SUBS);
	shared.hangs_at = 1;
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, atomic_load(&shared.hanging) == 1);
	int paused = 0;
	for (int i = 0; i < SUBS; i++)
		paused += tide_manager_pause(crowd.rig.manager,
					     tide_subscription_name(crowd.subscriptions[i]),
					     TIDE_PAUSE_MANUAL);
	atomic_store(&shared.is_let, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_PAUSED) == paused);
	for (int i = 0; i < SUBS; i++)
		(void)tide_manager_resume(crowd.rig.manager,
					  tide_subscription_name(crowd.subscriptions[i]));
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == SUBS);
	must(tide_manager_stop(crowd.rig.manager, NULL, PATIENCE, err));
	assert_int_equal(panes_bytes(crowd.rig.store->panes), 0);
	for (int i = 0; i < SUBS; i++)
		witness_saw_all(&crowd.witnesses[i], 1, EVENTS);
	crowd_close(&crowd);
}

/* ---- Reading ahead --------------------------------------------------------------------------- */

/* A pane is 1000 events here. */
static int64_t read_of_the_store(const struct crowd *crowd)
{
	return atomic_load(&crowd->rig.store->metrics.feed_events[METRICS_FROM_STORE]);
}

static void two_pages_are_read_ahead_of_who_handles(void **state)
{
	static struct crowd crowd;
	(void)state;
	crowd_open_as(&crowd, "sqlite", 1, true);
	wait_for(PATIENCE, read_of_the_store(&crowd) == 3000);
	wait_a_moment();
	assert_int_equal(read_of_the_store(&crowd), 3000);
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == 1);
	assert_int_equal(panes_bytes(crowd.rig.store->panes), 0);
	witness_saw_all(&crowd.witnesses[0], 1, EVENTS);
	crowd_close(&crowd);

	crowd_open(&crowd, "sqlite", 1); /* not as it wishes */
	assert_int_equal(read_of_the_store(&crowd), HELD_AT);
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == 1);
	crowd_close(&crowd);
}

static void what_cannot_be_read_ahead_is_read_by_who_needs_it(void **state)
{
	static struct crowd crowd;
	(void)state;
	crowd_open_as(&crowd, "sqlite", 1, true);
	wait_for(PATIENCE, read_of_the_store(&crowd) == 3000);
	atomic_store(&shared.fails_ahead, true);
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_LIVE) == 1);
	assert_true(atomic_load(&shared.failed_ahead) > 1); /* a read, and then sessions */
	assert_int_equal(status_of(crowd.subscriptions[0]).recent_errors_count, 0);
	must(tide_manager_stop(crowd.rig.manager, NULL, PATIENCE, err));
	assert_int_equal(panes_bytes(crowd.rig.store->panes), 0);
	witness_saw_all(&crowd.witnesses[0], 1, EVENTS);
	crowd_close(&crowd);
}

/* ---- Who wants little ------------------------------------------------------------------------ */

#define MANY 200000

/* How much is shared is for the threads to say, but not once they know that they want little. An
 * index that finds nothing is asked once. */
static void who_wants_little_of_all_reads_for_itself(void **state)
{
	(void)state;
	struct rig rig;
	struct witness witnesses[3];
	struct tide_subscription *subscriptions[3];
	const char *const types[] = { "Rare", NULL };
	rig_open(&rig, "memory");
	for (unsigned i = 0; i < MANY / 1000; i++)
		append_many(rig.store, stream_of("Order", i), i * 1000, 1000);
	real = replaced = *rig.store->backend;
	replaced.store.read = read_or_not;
	memset(&shared, 0, sizeof shared);
	shared.together = 3;
	rig.store->backend = &replaced;
	for (int i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof name, "sub%d", i);
		witnesses[i] = (struct witness)WITNESS;
		struct tide_subscriber subscriber = witness_single(name, &witnesses[i]);
		struct tide_subscription_config config = quick_config();
		subscriber.event_types = types;
		must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscriptions[i],
					    err));
	}
	must(tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, err));
	for (int i = 0; i < 3; i++)
		wait_position(subscriptions[i], MANY);
	must(tide_manager_stop(rig.manager, NULL, PATIENCE, err));
	assert_true(atomic_load(&rig.store->metrics.feed_events[METRICS_FROM_WINDOW]) <= 3 * 20000);
	assert_int_equal(atomic_load(&shared.sparse), 3);
	rig.store->backend = &real;
	rig_close(&rig);
	for (int i = 0; i < 3; i++)
		witness_fini(&witnesses[i]);
}

/* ---- Another store --------------------------------------------------------------------------- */

static void a_run_that_begins_takes_nothing_of_what_the_store_was(void **state)
{
	static struct crowd crowd;
	(void)state;
	crowd_open(&crowd, "sqlite", SUBS - 1);
	struct tide_anchor kept = panes_newest(crowd.rig.store->panes);
	assert_true(kept.position >= HELD_AT);
	struct tide_uuid other = uuid_of(4711);
	char sql[200], text[TIDE_UUID_TEXT_SIZE];
	snprintf(sql, sizeof sql, "UPDATE events SET event_id = '%s' WHERE global_position = %lld",
		 tide_uuid_format(&other, text), (long long)kept.position);
	sqlite3 *database = plain_open(crowd.rig.file);
	plain_run(database, sql);
	sqlite3_close(database);

	crowd_add(&crowd, SUBS - 1);
	const char *const names[] = { "sub3", NULL };
	must(tide_manager_start(crowd.rig.manager, names, 0, NULL, NULL, err));
	wait_for(PATIENCE, atomic_load(&crowd.held) == SUBS);
	atomic_store(&crowd.is_open, true);
	wait_position(crowd.subscriptions[SUBS - 1], EVENTS);
	assert_true(tide_uuid_equal(&crowd.seen[kept.position], &other));
	(void)tide_manager_stop(crowd.rig.manager, NULL, PATIENCE, NULL);
	crowd_close(&crowd);
}

/* Also where pages of the file before were read ahead. */
static void a_replaced_file_ends_all(int count, bool reads_ahead)
{
	static struct crowd crowd;
	struct rig other;
	crowd_open_as(&crowd, "sqlite", count, reads_ahead);
	rig_make(&other, "sqlite");
	assert_int_equal(rename(other.file, crowd.rig.file), 0);
	rig_close(&other);
	atomic_store(&crowd.is_open, true);
	wait_for(PATIENCE, crowd_count(&crowd, TIDE_STATE_ERROR) == count);
	for (int i = 0; i < count; i++)
		assert_int_equal(status_of(crowd.subscriptions[i]).error.status, TIDE_DIVERGED);
	(void)tide_manager_stop(crowd.rig.manager, NULL, PATIENCE, NULL);
	crowd_close(&crowd);
}

static void a_file_that_is_replaced_in_the_middle_ends_all(void **state)
{
	(void)state;
	a_replaced_file_ends_all(SUBS, false);
	a_replaced_file_ends_all(SUBS, true);
	a_replaced_file_ends_all(1, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_hangs_while_it_reads_for_all_keeps_nobody_else),
		cmocka_unit_test(a_read_that_fails_is_the_failure_of_who_read),
		cmocka_unit_test(who_waits_for_anothers_read_obeys),
		cmocka_unit_test(two_pages_are_read_ahead_of_who_handles),
		cmocka_unit_test(what_cannot_be_read_ahead_is_read_by_who_needs_it),
		cmocka_unit_test(who_wants_little_of_all_reads_for_itself),
		cmocka_unit_test(a_run_that_begins_takes_nothing_of_what_the_store_was),
		cmocka_unit_test(a_file_that_is_replaced_in_the_middle_ends_all),
	};
	return cmocka_run_group_tests_name("engine_history", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers that take too long: left behind by a stop that cannot wait, reported at
 * processing_timeout while they run.
 */
#include <string.h>

#include "engine_tools.h"

/* A handler of event 3 that returns when the gate opens. */
static tide_status wait_at_three(struct witness *witness, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)delivery;
	while (event->position == 3 && !atomic_load(&witness->gate))
		wait_a_moment();
	return TIDE_OK;
}

static void a_stop_does_not_wait_for_ever_and_ignores_what_comes_later(void **state)
{
	struct rig rig;
	struct witness witness = WITNESS;
	witness.decide = wait_at_three;
	rig_open(&rig, *state);
	append_many(rig.store, stream_of("Order", 1), 0, 5);
	struct tide_subscriber subscriber = witness_single("Stuck", &witness);
	struct tide_subscription_config config = quick_config();
	struct tide_subscription *subscription;
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	wait_for(PATIENCE, atomic_load(&witness.calls) == 3);
	double since = seconds_now();
	struct tide_error why =
		refused(TIDE_TIMEOUT, tide_manager_stop(rig.manager, NULL, 0.2, err));
	must_mention(&why, "Stuck");
	assert_true(seconds_now() - since < 5);
	assert_int_equal(tide_subscription_state(subscription), TIDE_STATE_STOPPED);
	assert_int_equal(tide_subscription_position(subscription), 2);
	/* the settled prefix of the page */
	assert_int_equal(saved_position(rig.checkpoints, "Stuck"), 2);
	refused(TIDE_BUSY, tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	must(tide_manager_stop(rig.manager, (const char *const[]){ NULL }, 0.1, err));
	(void)tide_manager_stop(rig.manager, NULL, 0.1, NULL);
	refused(TIDE_BUSY, tide_manager_destroy(rig.manager, err));
	bool is_owned = false;
	must(tide_checkpoints_is_owned(rig.checkpoints, "Stuck", &is_owned, err));
	assert_true(is_owned); /* until the handler has returned */
	atomic_store(&witness.gate, true);
	wait_for(PATIENCE,
		 tide_checkpoints_is_owned(rig.checkpoints, "Stuck", &is_owned, NULL) == TIDE_OK &&
			 !is_owned);
	/* its late success settled nothing */
	assert_int_equal(tide_subscription_position(subscription), 2);
	assert_int_equal(saved_position(rig.checkpoints, "Stuck"), 2);
	wait_for(PATIENCE,
		 tide_manager_start(rig.manager, NULL, PATIENCE, NULL, NULL, NULL) == TIDE_OK);
	wait_position(subscription, 5);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	/* Event 3 came twice, since its first success came too late to count. */
	const tide_position expected[] = { 1, 2, 3, 3, 4, 5 };
	assert_int_equal(witness.count, COUNT(expected));
	assert_memory_equal(witness.positions, expected, sizeof expected);
	assert_int_equal(atomic_load(&witness.overlaps), 0);
	struct tide_checkpoint row = checkpoint_of(rig.checkpoints, "Stuck");
	assert_int_equal(row.position, 5);
	assert_int_equal(row.events_processed, 5);
	must(tide_manager_destroy(rig.manager, err));
	rig.manager = NULL;
	rig_close(&rig);
	witness_fini(&witness);
}

/* ---- processing_timeout ---------------------------------------------------------------------- */

struct records {
	pthread_mutex_t lock;
	int timeouts, others;
	tide_position position;
	bool was_running; /* the handler, when the record came */
	struct witness *witness;
};

static void records_note(void *self, const struct tide_error_record *record)
{
	struct records *records = self;
	pthread_mutex_lock(&records->lock);
	bool is_timeout = record->error_type == TIDE_TIMEOUT;
	records->timeouts += is_timeout;
	records->others += !is_timeout;
	if (is_timeout) {
		records->position = record->position;
		records->was_running =
			records->was_running || atomic_load(&records->witness->inside) > 0;
		assert_int_equal(record->classification.category, TIDE_CATEGORY_TRANSIENT);
	}
	pthread_mutex_unlock(&records->lock);
}

static int records_timeouts(struct records *records)
{
	pthread_mutex_lock(&records->lock);
	int count = records->timeouts;
	pthread_mutex_unlock(&records->lock);
	return count;
}

/* Writes, and is late with event 3, every time; asks the delivery whether it is. */
static tide_status write_and_be_late(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	struct records *records = witness->more;
	sqlite3 *connection = tide_delivery_connection(delivery);
	if (connection) {
		char sql[80];
		snprintf(sql, sizeof sql, "INSERT INTO written VALUES (%lld)",
			 (long long)event->position);
		if (sqlite3_exec(connection, sql, NULL, NULL, NULL) != SQLITE_OK)
			return TIDE_HANDLER_PERMANENT;
	}
	if (event->position != 3)
		return TIDE_OK;
	while (!tide_delivery_is_late(delivery) ||
	       records_timeouts(records) < tide_delivery_attempt(delivery))
		wait_a_moment();
	return TIDE_OK;
}

static void late_handlers(const char *backend, bool is_transactional)
{
	struct rig rig;
	struct witness witness = WITNESS;
	struct records records = { .lock = PTHREAD_MUTEX_INITIALIZER, .witness = &witness };
	witness.decide = write_and_be_late;
	witness.more = &records;
	rig_open(&rig, backend);
	sqlite3 *database = is_transactional ? plain_open(rig.file) : NULL;
	if (database)
		plain_run(database, "CREATE TABLE written (position INTEGER)");
	append_many(rig.store, stream_of("Order", 1), 0, 5);
	struct tide_subscriber subscriber = witness_single("Late", &witness);
	subscriber.transactional = is_transactional;
	struct tide_subscription_config config = quick_config();
	config.processing_timeout = 0.1;
	config.max_retries = 2;
	struct tide_subscription *subscription;
	int64_t id;
	must(tide_manager_on_error(rig.manager, TIDE_ERRORS_ALL, 0, records_note, &records, &id,
				   err));
	must(tide_manager_subscribe(rig.manager, &subscriber, &config, &subscription, err));
	must(tide_manager_start(rig.manager, NULL, 0, NULL, NULL, err));
	wait_position(subscription, 5);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	/* Three attempts, one record each, made while the handler ran; no second one when it
	 * returned. */
	assert_int_equal(records.timeouts, 3);
	assert_int_equal(records.others, 0);
	assert_true(records.was_running);
	assert_int_equal(records.position, 3);
	assert_int_equal(atomic_load(&witness.calls), 7);
	struct tide_dead_letter_list dead = dead_letters_of(rig.checkpoints, "Late");
	assert_int_equal(dead.count, 1);
	assert_int_equal(dead.entries[0].retry_count, 2);
	tide_dead_letters_free(&dead);
	if (database) {
		assert_int_equal(plain_number(database, "SELECT count(*) FROM written"), 4);
		assert_int_equal(
			plain_number(database, "SELECT count(*) FROM written WHERE position = 3"),
			0);
		sqlite3_close(database);
	}
	rig_close(&rig);
	witness_fini(&witness);
}

static void a_late_handler_is_reported_while_it_runs_and_retried(void **state)
{
	late_handlers(*state, false);
}

static void the_writes_of_a_late_handler_are_rolled_back(void **state)
{
	(void)state;
	late_handlers("sqlite", true);
}

int main(void)
{
	static char memory[] = "memory", sqlite[] = "sqlite";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(
			a_stop_does_not_wait_for_ever_and_ignores_what_comes_later, memory),
		cmocka_unit_test_prestate(
			a_stop_does_not_wait_for_ever_and_ignores_what_comes_later, sqlite),
		cmocka_unit_test_prestate(a_late_handler_is_reported_while_it_runs_and_retried,
					  memory),
		cmocka_unit_test_prestate(a_late_handler_is_reported_while_it_runs_and_retried,
					  sqlite),
		cmocka_unit_test(the_writes_of_a_late_handler_are_rolled_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

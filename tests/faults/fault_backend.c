/* SPDX-License-Identifier: Apache-2.0 */
/* The fault backend itself: what its schedules do to operations, to sessions, and to
 * subscriptions. */
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"
#include "path/store.h"

static struct tide_store *open_with(const char *options, const char *inner)
{
	char url[1000];
	snprintf(url, sizeof url, "fault:%s/%s", options, inner);
	struct tide_store *store;
	must(tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	return store;
}

static tide_status append_to(struct tide_store *store, unsigned number, struct tide_error *err)
{
	struct tide_new_event events[] = { event_of("A", number) };
	events[0].event_id = uuid_of(number);
	return tide_store_append(store, APPEND(stream_of("Order", 1), TIDE_ANY, events), NULL, err);
}

static void schedule_lets_some_pass_and_then_fails_some(void **state)
{
	(void)state;
	struct tide_store *store = open_with("after=2,times=3,op=append,status=busy", "memory:");
	for (unsigned i = 1; i <= 8; i++) {
		if (i <= 2 || i > 5) {
			must(append_to(store, i, err));
			continue;
		}
		struct tide_error why = refused(TIDE_BUSY, append_to(store, i, err));
		must_mention(&why, "append");
		must_mention(&why, "fault");
		assert_int_equal(why.retry, TIDE_RETRY_LATER);
	}
	assert_int_equal(end_of(store), 5);
	tide_store_close(store);
}

static void schedule_without_end_fails_for_ever(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=append,times=-1,status=disk_full", "memory:");
	for (unsigned i = 1; i <= 20; i++)
		refused(TIDE_DISK_FULL, append_to(store, i, err));
	assert_int_equal(end_of(store), 0);
	tide_store_close(store);
}

static void fault_after_the_operation_leaves_it_done(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=append,when=after", "memory:");
	struct tide_append_result result = { .version = 77 };
	struct tide_new_event events[] = { event_of("A", 1) };
	events[0].event_id = uuid_of(1);
	refused(TIDE_CONNECTION_LOST,
		tide_store_append(store, APPEND(stream_of("Order", 1), 0, events), &result, err));
	assert_int_equal(result.version, 77);
	assert_int_equal(end_of(store), 1);
	must(tide_store_append(store, APPEND(stream_of("Order", 1), 0, events), &result, err));
	assert_true(result.was_stored_before);
	assert_int_equal(result.version, 1);
	tide_store_close(store);
}

static void operation_that_is_not_named_does_not_count(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=read+find,times=1", "memory:");
	must(append_to(store, 1, err));
	assert_int_equal(end_of(store), 1);
	struct tide_event *event;
	struct tide_uuid id = uuid_of(1);
	refused(TIDE_CONNECTION_LOST, tide_store_event(store, &id, &event, err));
	must(tide_store_event(store, &id, &event, err));
	tide_free(event);
	SEEN all = see(store, NULL);
	assert_int_equal(all.count, 1);
	tide_store_close(store);
}

static void name_of_a_group_stands_for_its_operations(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=dead_letter+lease,times=-1,status=io", "memory:");
	struct tide_checkpoints *checkpoints;
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	struct tide_dead_letter_stats stats;
	struct tide_dead_letter_list list = { 0 };
	bool is_owned;
	refused(TIDE_IO, tide_dead_letters_stats(checkpoints, &stats, err));
	refused(TIDE_IO, tide_dead_letters_list(checkpoints, NULL, &list, err));
	refused(TIDE_IO, tide_checkpoints_is_owned(checkpoints, "p", &is_owned, err));
	must(tide_checkpoints_save(checkpoints, "p", &(struct tide_progress){ .position = 1 },
				   err));
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
}

static uint64_t outcomes_of(const char *options)
{
	struct tide_store *store = open_with(options, "memory:");
	uint64_t outcomes = 0;
	for (unsigned i = 0; i < 64; i++)
		outcomes = outcomes << 1 | (append_to(store, i, NULL) != TIDE_OK);
	tide_store_close(store);
	return outcomes;
}

static void rate_fails_a_share_and_the_same_one_for_a_seed(void **state)
{
	(void)state;
	uint64_t seven = outcomes_of("op=append,rate=0.3,seed=7"),
		 eight = outcomes_of("op=append,rate=0.3,seed=8");
	assert_in_range(__builtin_popcountll(seven), 5, 40);
	assert_true(seven == outcomes_of("op=append,seed=7,rate=0.3"));
	assert_true(seven != eight);
	assert_true(outcomes_of("op=append,rate=0") == 0);
	assert_int_equal(__builtin_popcountll(outcomes_of("op=append,rate=0.5,times=4")), 4);
}

static void delay_comes_before_each_operation_that_counts(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=append,times=0,delay_ms=20", "memory:");
	double begin = seconds_now();
	for (unsigned i = 0; i < 3; i++)
		must(append_to(store, i, err));
	assert_true(seconds_now() - begin >= 0.06);
	tide_store_close(store);
}

static void open_can_fail_too(void **state)
{
	(void)state;
	struct tide_store *store = NULL;
	refused(TIDE_BUSY, tide_store_open("fault:op=open,status=busy/memory:", NULL, &store, err));
	refused(TIDE_BUSY,
		tide_store_open("fault:op=open,status=busy,when=after/memory:", NULL, &store, err));
	assert_null(store);
}

static void faults_nest(void **state)
{
	(void)state;
	struct tide_store *store =
		open_with("op=append,after=1,status=io", "fault:op=append,status=busy/memory:");
	refused(TIDE_BUSY, append_to(store, 1, err));
	refused(TIDE_IO, append_to(store, 2, err));
	must(append_to(store, 3, err));
	tide_store_close(store);
}

static void decorated_backend_can_do_what_the_inner_one_can(void **state)
{
	(void)state;
	struct tide_store *memory = open_with("", "memory:"),
			  *sqlite = open_with("", "sqlite::memory:");
	assert_null(memory->backend->store.begin);
	assert_non_null(memory->backend->store.clear);
	assert_non_null(sqlite->backend->store.begin);
	assert_null(sqlite->backend->store.clear);
	assert_true(memory->backend != sqlite->backend);
	struct tide_store *again = open_with("times=0", "memory:");
	assert_ptr_equal(memory->backend, again->backend);
	tide_store_close(memory);
	tide_store_close(sqlite);
	tide_store_close(again);
}

static void lost_session_stays_lost_and_another_one_works(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=end", "memory:");
	const struct tide_store_ops *ops = &store->backend->store;
	void *session, *other;
	tide_position end;
	tide_version version;
	must(ops->session_open(store->state, &session, err));
	must(ops->session_open(store->state, &other, err));
	refused(TIDE_CONNECTION_LOST, ops->end(session, &end, err));
	refused(TIDE_CONNECTION_LOST, ops->end(session, &end, err));
	refused(TIDE_CONNECTION_LOST,
		ops->stream_version(session, stream_of("Order", 1), &version, err));
	must(ops->end(other, &end, err));
	ops->session_close(session);
	ops->session_close(other);
	tide_store_close(store);
}

static void lost_session_has_rolled_its_transaction_back(void **state)
{
	(void)state;
	char directory[TEMP_PATH_SIZE], url[2 * TEMP_PATH_SIZE];
	temp_make(directory);
	snprintf(url, sizeof url, "sqlite:%s/store.db", directory);
	struct tide_store *store = open_with("op=commit", url);
	const struct tide_store_ops *ops = &store->backend->store;
	struct tide_checkpoint_write write = { .name = "p",
					       .has_position = true,
					       .progress = { .position = 5 },
					       .now = tide_time_now() };
	void *session;
	must(ops->session_open(store->state, &session, err));
	must(ops->begin(session, err));
	must(store->backend->checkpoint.save(session, NULL, &write, err));
	refused(TIDE_CONNECTION_LOST, ops->commit(session, err));
	/* the lock of the lost transaction is gone while its session is still open */
	must(append_to(store, 1, err));
	ops->rollback(session);
	ops->session_close(session);
	struct tide_checkpoints *checkpoints;
	tide_position position;
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	refused(TIDE_NOT_FOUND, tide_checkpoints_position(checkpoints, "p", &position, err));
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
	temp_remove(directory);
}

/* ---- Under subscriptions: whatever fails on the way, each event is settled once, and in order  */

static void subscription_survives(const char *options, const char *inner, bool may_repeat)
{
	char directory[TEMP_PATH_SIZE], url[2 * TEMP_PATH_SIZE];
	temp_make(directory);
	snprintf(url, sizeof url, inner, directory);
	struct tide_store *store = open_with(options, url);
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.batch_size = 7;
	config.max_retries = 50;
	{
		MANAGER *manager = manager_of(store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
		for (unsigned i = 0; i < 60; i++)
			append_many(store, stream_of("Order", i % 3), i, 2);
		must(tide_subscription_wait(subscription, 120, 60, err));
	}
	tide_position last = 0;
	for (size_t i = 0; i < recorder_count(recorder); i++) {
		tide_position position = recorder->calls[i].position;
		assert_true(position == last + 1 || (may_repeat && position == last));
		last = position;
	}
	assert_int_equal(last, 120);
	tide_store_close(store);
	temp_remove(directory);
}

static void failing_reads_and_saves_lose_and_repeat_nothing(void **state)
{
	(void)state;
	static const char *const schedules[] = {
		"op=read,rate=0.2,seed=1",
		"op=read,rate=0.2,seed=2,when=after",
		"op=read,rate=0.2,seed=3,status=busy",
		"op=save,rate=0.3,seed=4,status=busy",
		"op=save,rate=0.3,seed=5",
		"op=end,rate=0.3,seed=6",
		"op=session_open+read+save,rate=0.2,seed=7",
		"op=lease,rate=0.3,seed=8",
	};
	for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
		subscription_survives(schedules[i], "memory:", false);
		subscription_survives(schedules[i], "sqlite:%s/store.db", false);
	}
}

static void unknown_outcome_of_a_save_does_not_count_twice(void **state)
{
	(void)state;
	struct tide_store *store = open_with("op=save,when=after,times=5", "memory:");
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	append_many(store, stream_of("Order", 1), 0, 20);
	{
		MANAGER *manager = manager_of(store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
		must(tide_subscription_wait(subscription, 20, 60, err));
	}
	struct tide_checkpoints *checkpoints;
	struct tide_checkpoint row;
	must(tide_checkpoints_open(NULL, NULL, store, &checkpoints, err));
	must(tide_checkpoints_load(checkpoints, "p", &row, err));
	assert_int_equal(row.position, 20);
	assert_int_equal(row.events_processed, 20);
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
}

static tide_status judge_refusing_3(struct recorder *recorder, const struct tide_event *event,
				    struct tide_delivery *delivery)
{
	(void)recorder;
	if (event->position != 3)
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not this one");
}

static void dead_letter_that_cannot_be_written_ends_the_run_unsettled(void **state)
{
	(void)state;
	struct tide_store *store =
		open_with("op=dead_letter_add,times=-1,status=disk_full", "memory:");
	append_many(store, stream_of("Order", 1), 0, 5);
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_refusing_3;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.max_infrastructure_retries = 2;
	struct tide_manager *manager = manager_of(store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	/* may end in the error already */
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.error.status, TIDE_DISK_FULL);
	assert_int_equal(status.position, 2);
	delivered(recorder, 1, 2, 3);
	tide_manager_close(manager);
	tide_store_close(store);
}

static void log_quietly(void *self, const struct tide_log_line *line)
{
	(void)self;
	(void)line;
}

int main(void)
{
	tide_log_set(log_quietly, NULL, TIDE_LOG_DEBUG);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedule_lets_some_pass_and_then_fails_some),
		cmocka_unit_test(schedule_without_end_fails_for_ever),
		cmocka_unit_test(fault_after_the_operation_leaves_it_done),
		cmocka_unit_test(operation_that_is_not_named_does_not_count),
		cmocka_unit_test(name_of_a_group_stands_for_its_operations),
		cmocka_unit_test(rate_fails_a_share_and_the_same_one_for_a_seed),
		cmocka_unit_test(delay_comes_before_each_operation_that_counts),
		cmocka_unit_test(open_can_fail_too),
		cmocka_unit_test(faults_nest),
		cmocka_unit_test(decorated_backend_can_do_what_the_inner_one_can),
		cmocka_unit_test(lost_session_stays_lost_and_another_one_works),
		cmocka_unit_test(lost_session_has_rolled_its_transaction_back),
		cmocka_unit_test(failing_reads_and_saves_lose_and_repeat_nothing),
		cmocka_unit_test(unknown_outcome_of_a_save_does_not_count_twice),
		cmocka_unit_test(dead_letter_that_cannot_be_written_ends_the_run_unsettled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

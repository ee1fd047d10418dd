/* SPDX-License-Identifier: Apache-2.0 */
/* Transactional delivery: what a handler writes and what the subscription remembers are there
 * together or not at all.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"
#include "lib/child.h"

/** A handler that writes a row per event into a table of its own, and fails on some. */
struct writer {
	const struct test_backend *backend;
	tide_position fails_after_writing; /* the row is written, then the handler fails */
	tide_position writes_twice;        /* the second row violates the key */
	const char *ends_transaction;      /* the handler runs this; NULL: it behaves */
	bool has_table; /* else an earlier case may have left one, in a schema that cases share */
	int64_t rows, sum; /* what the last reader of the table saw */
	bool refuses_to_be_emptied;
	tide_position emptied_up_to;
	struct fixture *fixture;
	tide_position committed; /* what others see while the eighth event is handled */
};

static tide_status writer_attach(void *self, void *connection, struct tide_error *err)
{
	struct recorder *recorder = self;
	struct writer *writer = recorder->self;
	if (writer->has_table)
		return TIDE_OK;
	writer->has_table =
		writer->backend->run(connection, "DROP TABLE IF EXISTS read_model") &&
		writer->backend->run(connection,
				     "CREATE TABLE read_model (position BIGINT PRIMARY KEY)");
	return writer->has_table ? TIDE_OK
				 : tide_fail(err, TIDE_IO, "the read model cannot be made");
}

static tide_status judge_writing(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	const struct writer *writer = recorder->self;
	void *connection = tide_delivery_connection(delivery);
	char sql[128];
	snprintf(sql, sizeof sql, "INSERT INTO read_model VALUES (%lld)",
		 (long long)event->position);
	if (!connection || !writer->backend->run(connection, sql))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "row not written");
	if (event->position == writer->writes_twice && !writer->backend->run(connection, sql))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "written before");
	if (event->position == writer->fails_after_writing)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "changed its mind");
	if (writer->ends_transaction)
		writer->backend->run(connection, writer->ends_transaction);
	return TIDE_OK;
}

static tide_status judge_counting(struct recorder *recorder, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)event;
	struct writer *writer = recorder->self;
	void *connection = tide_delivery_connection(delivery);
	writer->rows = writer->backend->ask(connection, "SELECT COUNT(*) FROM read_model");
	writer->sum = writer->backend->ask(connection,
					   "SELECT COALESCE(SUM(position), 0) FROM read_model");
	return TIDE_OK;
}

static struct tide_subscriber writing_subscriber(struct recorder *recorder, struct writer *writer)
{
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	recorder->judge = judge_writing;
	recorder->self = writer;
	subscriber.transactional = true;
	subscriber.attach = writer_attach;
	return subscriber;
}

/* Look into the table with a subscription of its own: the way into it that every transactional
 * backend has. */
static void look_into(struct fixture *f, struct writer *writer, recorder_judge *judge)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, writer);
	subscriber.name = "count";
	recorder->judge = judge;
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = end_of(f->store) - 1;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
	assert_int_equal(recorder_count(recorder), 1);
}

static void holds_rows(struct fixture *f, struct writer *writer, int64_t rows, int64_t sum)
{
	look_into(f, writer, judge_counting);
	assert_int_equal(writer->rows, rows);
	assert_int_equal(writer->sum, sum);
}

static void run_writer(struct fixture *f, struct recorder *recorder, struct writer *writer,
		       const struct tide_subscription_config *config, bool is_batch)
{
	struct tide_subscriber subscriber = writing_subscriber(recorder, writer);
	if (is_batch) {
		subscriber.handle = NULL;
		subscriber.handle_batch = recorder_handle_batch;
	}
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
}

static void rows_and_checkpoint_commit_together_under_every_strategy(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct writer writer = { .backend = f->backend };
	for (int strategy = TIDE_EVERY_EVENT; strategy <= TIDE_PERIODIC; strategy++) {
		RECORDER *recorder = recorder_new();
		struct tide_subscription_config config = quick_config();
		config.start_from = TIDE_START_CHECKPOINT;
		config.checkpoint_strategy = (enum tide_checkpoint_strategy)strategy;
		config.batch_size = 4;
		run_writer(f, recorder, &writer, &config, strategy == TIDE_PERIODIC);
		tide_position end = end_of(f->store);
		assert_int_equal(recorder_count(recorder), 10);
		assert_int_equal(row_of(f, "p").position, end);
		assert_int_equal(row_of(f, "p").events_processed, end);
		holds_rows(f, &writer, end, end * (end + 1) / 2);
		append_many(f->store, stream_of("Order", 1), 0, 10);
	}
}

static void failed_event_is_rolled_back_alone(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct writer writer = { .backend = f->backend,
				 .fails_after_writing = 4,
				 .writes_twice = 7 };
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	run_writer(f, recorder, &writer, &config, false);
	holds_rows(f, &writer, 8, 55 - 4 - 7);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 2);
	assert_string_equal(letters.entries[0].error_message, "written before");
	assert_string_equal(letters.entries[1].error_message, "changed its mind");
	tide_dead_letters_free(&letters);
	assert_int_equal(row_of(f, "p").position, 10);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

static tide_status judge_first_not_yet(struct recorder *recorder, const struct tide_event *event,
				       struct tide_delivery *delivery)
{
	(void)recorder;
	bool is_early = event->position == 1 && tide_delivery_attempt(delivery) < 3;
	return is_early ? TIDE_HANDLER_TRANSIENT : TIDE_OK;
}

/* Before anything was settled its transactions are committed with nothing in them. */
static void first_event_keeps_its_attempts_while_nothing_is_settled(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	struct writer writer = { .backend = f->backend };
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	recorder->judge = judge_first_not_yet;
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
	delivered(recorder, 1, 1, 1, 2, 3);
	assert_int_equal(recorder->calls[2].attempt, 3);
	assert_int_equal(row_of(f, "p").position, 3);
	assert_int_equal(row_of(f, "p").events_processed, 3);
}

static void failed_batch_is_rolled_back_and_delivered_one_by_one(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct writer writer = { .backend = f->backend, .fails_after_writing = 4 };
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.batch_size = 5;
	run_writer(f, recorder, &writer, &config, true);
	holds_rows(f, &writer, 9, 55 - 4);
	assert_int_equal(row_of(f, "p").position, 10);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

/* The read model refuses what nobody knows when it is committed, and the fourth event is unknown.
 * In SQLite foreign keys are obeyed by who asks for that. */
static tide_status known_attach(void *self, void *connection, struct tide_error *err)
{
	static const char *const tables[] = {
		"DROP TABLE IF EXISTS read_model",
		"DROP TABLE IF EXISTS known",
		"CREATE TABLE known (position BIGINT PRIMARY KEY)",
		"INSERT INTO known VALUES (1), (2), (3), (5), (6), (7), (8), (9), (10)",
		("CREATE TABLE read_model (position BIGINT PRIMARY KEY REFERENCES known (position) "
		 "DEFERRABLE INITIALLY DEFERRED)"),
	};
	struct recorder *recorder = self;
	struct writer *writer = recorder->self;
	bool is_made = !strstr(writer->backend->name, "sqlite") ||
		       writer->backend->run(connection, "PRAGMA foreign_keys = ON");
	for (size_t i = 0; is_made && i < sizeof tables / sizeof *tables && !writer->has_table; i++)
		is_made = writer->backend->run(connection, tables[i]);
	writer->has_table = is_made;
	return is_made ? TIDE_OK : tide_fail(err, TIDE_IO, "the read model cannot be made");
}

static tide_status judge_known(struct recorder *recorder, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	struct writer *writer = recorder->self;
	if (event->position == 8)
		writer->committed = stored_position(writer->fixture, "p");
	return judge_writing(recorder, event, delivery);
}

/* Only the commit finds it, and does not say which event it was. The page behind it is one
 * transaction again. */
static void event_that_cannot_be_committed_is_found_among_those_of_its_page(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct writer writer = { .backend = f->backend, .fixture = f };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	recorder->judge = judge_known;
	subscriber.attach = known_attach;
	struct tide_subscription_config config = quick_config();
	config.batch_size = 5;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);

	SEEN all = see(f->store, NULL);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	assert_true(tide_uuid_equal(&letters.entries[0].event_id, &all.events[3]->event_id));
	tide_dead_letters_free(&letters);
	assert_true(writer.committed < 7);
	holds_rows(f, &writer, 9, 55 - 4);
	assert_int_equal(row_of(f, "p").position, 10);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

static void failure_that_ends_the_run_leaves_the_prefix_in_both(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct writer writer = { .backend = f->backend, .fails_after_writing = 6 };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	struct tide_subscription_config config = quick_config();
	config.continue_on_error = false;
	{
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		(void)tide_manager_start(manager, NULL, 0, NULL, NULL,
					 NULL); /* may end in the handler's error already */
		must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
	}
	assert_int_equal(row_of(f, "p").position, 5);
	holds_rows(f, &writer, 5, 15);
}

static void handler_that_ends_the_transaction_itself_ends_the_run(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	struct writer writer = { .backend = f->backend, .ends_transaction = "COMMIT" };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.error.status, TIDE_STATE);
	must_mention(&status.error, "handler ended the delivery transaction");
	delivered(recorder, 1);
}

static tide_status judge_without_connection(struct recorder *recorder,
					    const struct tide_event *event,
					    struct tide_delivery *delivery)
{
	(void)recorder;
	(void)event;
	if (!tide_delivery_connection(delivery))
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "was given a connection");
}

static void other_handlers_are_given_no_connection(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_without_connection;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_int_equal(status_of(subscription).events_failed, 0);
}

static void read_model_may_live_in_another_database_with_its_checkpoint(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct writer writer = { .backend = test_backend_find("sqlite"), .fails_after_writing = 4 };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	struct tide_subscription_config config = quick_config();
	struct tide_checkpoints *elsewhere;
	char url[2 * TEMP_PATH_SIZE];
	snprintf(url, sizeof url, "sqlite:%s/elsewhere.db", f->directory);
	must(tide_checkpoints_open(url, TIDE_STORE_OPTIONS(.initialize = true), f->store,
				   &elsewhere, err));
	for (int run = 0; run < 2; run++) {
		struct tide_manager *manager;
		must(tide_manager_open(TIDE_MANAGER(.store = f->store, .checkpoints = elsewhere),
				       &manager, err));
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		catch_up(f->store, subscription);
		tide_manager_close(manager);
		config.start_from = TIDE_START_CHECKPOINT;
	}
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	struct tide_checkpoint row;
	must(tide_checkpoints_load(elsewhere, "p", &row, err));
	assert_int_equal(row.position, 10);
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "p", &row, err));
	struct tide_dead_letter_list letters = { 0 };
	must(tide_dead_letters_list(elsewhere, NULL, &letters, err));
	assert_int_equal(letters.count, 1);
	tide_dead_letters_free(&letters);
	tide_checkpoints_close(elsewhere);
}

/* ---- Killed in the middle -------------------------------------------------------------------- */

/* The argument is the backend's name, a blank, and the URL. */
static int project_until_killed(const char *argument, int report_to)
{
	char name[64];
	const char *url = strchr(argument, ' ') + 1;
	snprintf(name, sizeof name, "%.*s", (int)(url - 1 - argument), argument);
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	struct writer writer = { .backend = test_backend_find(name), .has_table = true };
	struct recorder *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	config.batch_size = 5;
	struct tide_manager *manager = manager_of(store);
	subscribe(manager, &subscriber, &config);
	if (tide_manager_start(manager, NULL, 0, NULL, NULL, NULL) != TIDE_OK)
		return 2;
	child_report(report_to, 'r');
	for (;;)
		wait_a_moment();
}

static void projection_killed_in_the_middle_equals_the_feed_up_to_its_checkpoint(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3000);
	struct writer writer = { .backend = f->backend };
	holds_rows(f, &writer, 0, 0);
	char argument[3 * TEMP_PATH_SIZE];
	snprintf(argument, sizeof argument, "%s %s", f->backend->name, f->url);
	for (int round = 0; round < 2; round++) {
		struct child child = child_start(project_until_killed, argument);
		assert_int_equal(child_await(&child, 30), 'r');
		tide_position before = stored_position(f, "p");
		wait_for(60, stored_position(f, "p") > before + 20);
		child_signal(&child, SIGKILL);
		assert_int_equal(child_join(&child), 128 + SIGKILL);
		tide_position position;
		/* a server may still commit what it had been told to before the process died */
		do {
			position = stored_position(f, "p");
			look_into(f, &writer, judge_counting);
		} while (stored_position(f, "p") != position);
		assert_int_equal(writer.rows, position);
		assert_int_equal(writer.sum, position * (position + 1) / 2);
		assert_int_equal(row_of(f, "p").events_processed, position);
	}
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	must(tide_subscription_wait(subscription, 3000, 60, err));
	stop(manager);
	holds_rows(f, &writer, 3000, 3000 * 3001 / 2);
	assert_int_equal(row_of(f, "p").events_processed, 3000);
}

static tide_status judge_cutting(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)event;
	const struct writer *writer = recorder->self;
	bool is_cut = writer->backend->run(tide_delivery_connection(delivery),
					   "DELETE FROM read_model WHERE position > 16");
	return is_cut ? TIDE_OK : TIDE_HANDLER_PERMANENT;
}

/* A crash that took back commits, or a failover that lost them: rows and checkpoint are those of an
 * earlier time. */
static void read_model_that_went_back_with_its_row_is_made_whole(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 25);
	struct writer writer = { .backend = f->backend };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	wait_for(30, stored_position(f, "p") == 25);
	look_into(f, &writer, judge_cutting);
	fixture_sql(f, "UPDATE projection_checkpoints SET global_position = 16 WHERE "
		       "projection_name = 'p'");
	append_many(f->store, stream_of("Order", 1), 25, 5);
	wait_for(30, stored_position(f, "p") == 30);
	stop(manager);
	holds_rows(f, &writer, 30, 30 * 31 / 2);
}

static tide_status writer_empty(void *self, void *connection, tide_position end,
				struct tide_error *err)
{
	struct recorder *recorder = self;
	struct writer *writer = recorder->self;
	writer->emptied_up_to = end;
	if (!writer->backend->run(connection, "DELETE FROM read_model"))
		return tide_fail(err, TIDE_IO, "the read model is not emptied");
	return writer->refuses_to_be_emptied ? tide_fail(err, TIDE_STATE, "not today") : TIDE_OK;
}

static void rebuild_of_one_that_runs_is_whole_and_from_the_beginning(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 6);
	struct writer writer = { .backend = f->backend, .refuses_to_be_emptied = true };
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = writing_subscriber(recorder, &writer);
	subscriber.empty = writer_empty;
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_END;
	config.start_from_initially = true;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 4);
	catch_up(f->store, subscription);
	wait_for(10, stored_position(f, "p") == 10);
	delivered(recorder, 7, 8, 9, 10);

	struct tide_error why =
		refused(TIDE_STATE, tide_manager_rebuild(manager, "p", "anna", err));
	must_mention(&why, "not today");
	assert_int_equal(row_of(f, "p").position, 10);
	why = refused(TIDE_STATE, tide_manager_reset(manager, "p", "anna", err));
	must_mention(&why, "rebuild it");

	writer.refuses_to_be_emptied = false;
	recorder_forget(recorder);
	must(tide_manager_rebuild(manager, "p", "anna", err));
	wait_for(30, recorder_count(recorder) == 10);
	wait_for(30, stored_position(f, "p") == 10);
	assert_int_equal(writer.emptied_up_to, 10);
	stop(manager);
	holds_rows(f, &writer, 10, 55);

	struct tide_journal_entry *list;
	size_t count;
	must(tide_journal_list(f->checkpoints, "p", 1, &list, &count, err));
	assert_string_equal(list[0].act, "rebuild");
	assert_string_equal(list[0].who, "anna");
	assert_string_equal(list[0].detail, "in place, up to position 10");
	tide_free(list);
}

const struct test_case transaction_cases[] = {
	CASE_NEEDS(rows_and_checkpoint_commit_together_under_every_strategy, NEEDS_TRANSACTIONS),
	CASE_NEEDS(failed_event_is_rolled_back_alone, NEEDS_TRANSACTIONS),
	CASE_NEEDS(first_event_keeps_its_attempts_while_nothing_is_settled, NEEDS_TRANSACTIONS),
	CASE_NEEDS(failed_batch_is_rolled_back_and_delivered_one_by_one, NEEDS_TRANSACTIONS),
	CASE_NEEDS(event_that_cannot_be_committed_is_found_among_those_of_its_page,
		   NEEDS_TRANSACTIONS),
	CASE_NEEDS(failure_that_ends_the_run_leaves_the_prefix_in_both, NEEDS_TRANSACTIONS),
	CASE_NEEDS(handler_that_ends_the_transaction_itself_ends_the_run, NEEDS_TRANSACTIONS),
	CASE_NEEDS(read_model_that_went_back_with_its_row_is_made_whole,
		   NEEDS_TRANSACTIONS | NEEDS_SQL),
	CASE_NEEDS(rebuild_of_one_that_runs_is_whole_and_from_the_beginning, NEEDS_TRANSACTIONS),
	CASE(other_handlers_are_given_no_connection),
	CASE(read_model_may_live_in_another_database_with_its_checkpoint),
	CASE_NEEDS(projection_killed_in_the_middle_equals_the_feed_up_to_its_checkpoint,
		   NEEDS_TRANSACTIONS | NEEDS_PROCESSES),
	CASES_END,
};

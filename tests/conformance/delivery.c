/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions over a backend: where they begin, what they see, what they remember. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"
#include "lib/child.h"

#define TYPES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- Where they begin ------------------------------------------------------------------------ */

static void worked_example_comes_out_exactly(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		append_one(f->store, stream_of("Order", (unsigned)i), "OrderPlaced");
	RECORDER *first = recorder_new(), *second = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("orders", first);
	subscriber.event_types = TYPES("OrderPlaced");
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.start_from = TIDE_START_BEGINNING;
	{
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		catch_up(f->store, subscription);
		tide_position position = 0;
		must(tide_checkpoints_position(f->checkpoints, "orders", &position, err));
		assert_int_equal(position, 3);
		assert_int_equal(status_of(subscription).events_processed, 3);
		stop(manager);
	}
	assert_int_equal(row_of(f, "orders").events_processed, 3);
	config.start_from = TIDE_START_CHECKPOINT;
	subscriber.self = second;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	delivered_nothing(second);
	append_one(f->store, stream_of("Order", 9), "OrderPlaced");
	catch_up(f->store, subscription);
	delivered(second, 4);
	wait_for(10, stored_position(f, "orders") == 4);
	assert_int_equal(row_of(f, "orders").events_processed, 4);
}

/* Run a subscription over what is stored, and stop it. */
static void run_once(struct fixture *f, struct recorder *recorder,
		     const struct tide_subscription_config *config)
{
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
}

/* Holds each event until its position is allowed. */
static tide_status judge_allowed(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	while (atomic_load((atomic_int *)recorder->self) < event->position &&
	       !tide_delivery_is_stopping(delivery))
		wait_a_moment();
	return TIDE_OK;
}

static void paused_catch_up_goes_on_as_catch_up(struct fixture *f)
{
	atomic_int allowed = 0;
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_allowed;
	recorder->self = &allowed;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	wait_for(20, recorder->inside == 1);
	assert_int_equal(status_of(subscription).state, TIDE_STATE_CATCHING_UP);

	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL));
	atomic_store(&allowed, 1);
	wait_for(20, recorder_count(recorder) == 1 && recorder->inside == 0);
	assert_true(tide_manager_resume(manager, "p"));
	wait_for(20, recorder->inside == 1);
	assert_int_equal(status_of(subscription).state, TIDE_STATE_CATCHING_UP);
	assert_int_equal(status_of(subscription).previous_state, TIDE_STATE_PAUSED);
	atomic_store(&allowed, 3);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 3);
}

static void checkpoint_without_a_row_begins_at_the_beginning(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	run_once(f, recorder, &config);
	delivered(recorder, 1, 2, 3);
	append_many(f->store, stream_of("Order", 1), 0, 2);
	run_once(f, recorder, &config);
	delivered(recorder, 1, 2, 3, 4, 5);
	run_once(f, recorder, NULL);
	delivered(recorder, 1, 2, 3, 4, 5);
	assert_int_equal(row_of(f, "p").events_processed, 5);
}

static void beginning_replays_whatever_the_checkpoint(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 2 },
				   err));
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	run_once(f, recorder, &config);
	delivered(recorder, 1, 2, 3);
	run_once(f, recorder, &config);
	delivered(recorder, 1, 2, 3, 1, 2, 3);
}

static void end_begins_behind_what_is_stored(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_END;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 2);
	catch_up(f->store, subscription);
	delivered(recorder, 4, 5);
	stop(manager);
	append_many(f->store, stream_of("Order", 1), 0, 1);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 1);
	catch_up(f->store, subscription);
	delivered(recorder, 4, 5, 7);
}

static void initial_start_goes_on_behind_a_checkpoint(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = 1;
	config.start_from_initially = true;
	run_once(f, recorder, &config);
	delivered(recorder, 2, 3);
	append_many(f->store, stream_of("Order", 1), 0, 2);
	run_once(f, recorder, &config);
	delivered(recorder, 2, 3, 4, 5);
	config.start_from = TIDE_START_END;
	append_many(f->store, stream_of("Order", 1), 0, 1);
	run_once(f, recorder, &config);
	delivered(recorder, 2, 3, 4, 5, 6);
}

static void position_begins_behind_it(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 5);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = 3;
	run_once(f, recorder, &config);
	delivered(recorder, 4, 5);
}

static void position_beyond_the_end_waits_for_it(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 2);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = 5;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 5);
	must(tide_subscription_wait(subscription, 7, 30, err));
	delivered(recorder, 6, 7);
}

static void row_without_position_resumes_behind_its_last_event(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 4);
	SEEN all = see(f->store, NULL);
	must(tide_checkpoints_update(f->checkpoints, "p", &all.events[1]->event_id, "Counted",
				     err));
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	run_once(f, recorder, &config);
	delivered(recorder, 3, 4);
	assert_int_equal(row_of(f, "p").events_processed, 3);
}

static void row_without_position_and_known_event_counts_as_none(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 2);
	struct tide_uuid unknown = uuid_of(4711);
	must(tide_checkpoints_update(f->checkpoints, "p", &unknown, "Counted", err));
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	run_once(f, recorder, &config);
	delivered(recorder, 1, 2);
}

/* ---- History and live ------------------------------------------------------------------------ */

/** Writers that append while a subscription starts, runs and is paused. */
struct appenders {
	struct tide_store *store;
	atomic_int wrong;
};

static void appenders_run(void *self, size_t index)
{
	struct appenders *appenders = self;
	for (unsigned i = 0; i < 60; i++) {
		struct tide_new_event events[] = { event_of("A", i), event_of("B", i) };
		struct tide_append append = { .stream = stream_of("Order", (unsigned)index),
					      .expected = TIDE_ANY,
					      .events = events,
					      .count = 1 + i % 2 };
		if (tide_store_append(appenders->store, &append, NULL, NULL) != TIDE_OK)
			atomic_fetch_add(&appenders->wrong, 1);
	}
}

static void history_and_live_are_one_sequence(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 99), 0, 300);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.batch_size = 7;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
	struct appenders appenders = { .store = f->store };
	race_to(5, appenders_run, &appenders);
	assert_int_equal(appenders.wrong, 0);
	catch_up(f->store, subscription);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_LIVE, 30, err));
	delivered_all_after(recorder, f->store, 0);
	assert_int_equal(status_of(subscription).lag_events, 0);
	stop(manager);
	assert_int_equal(row_of(f, "p").position, end_of(f->store));
	assert_int_equal(row_of(f, "p").events_processed, 300 + 5 * 90);
}

static void events_appended_through_another_handle_arrive(struct fixture *f)
{
	struct tide_store *other = fixture_second_handle(f);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	for (unsigned i = 0; i < 5; i++) {
		append_many(other, stream_of("Order", i), 0, 3);
		catch_up(f->store, subscription);
	}
	delivered_all_after(recorder, f->store, 0);
	stop(manager);
	tide_store_close(other);
}

static int append_slowly(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	for (unsigned i = 0; i < 30; i++) {
		struct tide_new_event events[] = { event_of("Child", i) };
		if (tide_store_append(store, APPEND(stream_of("Order", i % 3), TIDE_ANY, events),
				      NULL, NULL) != TIDE_OK)
			return 2;
		wait_a_moment();
	}
	child_report(report_to, 'd');
	tide_store_close(store);
	return 0;
}

static void events_appended_by_another_process_arrive(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	struct child child = child_start(append_slowly, f->url);
	assert_int_equal(child_await(&child, 30), 'd');
	assert_int_equal(child_join(&child), 0);
	catch_up(f->store, subscription);
	assert_int_equal(recorder_count(recorder), 30);
	delivered_all_after(recorder, f->store, 0);
	stop(manager);
}

static void subscriptions_do_not_disturb_each_other(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 100);
	struct recorder *recorders[4];
	char names[4][8];
	struct tide_subscription *subscriptions[4];
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	for (int i = 0; i < 4; i++) {
		recorders[i] = recorder_new();
		snprintf(names[i], sizeof names[i], "p%d", i);
		struct tide_subscriber subscriber = subscriber_of(names[i], recorders[i]);
		config.batch_size = 1 + i * 13;
		subscriptions[i] = subscribe(manager, &subscriber, &config);
	}
	start(manager);
	append_many(f->store, stream_of("Order", 2), 0, 50);
	for (int i = 0; i < 4; i++)
		catch_up(f->store, subscriptions[i]);
	stop(manager);
	for (int i = 0; i < 4; i++) {
		delivered_all_after(recorders[i], f->store, 0);
		assert_int_equal(row_of(f, names[i]).events_processed, 150);
		recorder_free(recorders[i]);
	}
}

/* ---- Filters --------------------------------------------------------------------------------- */

static void put_mixed(struct fixture *f)
{
	append_one(f->store, stream_of("Order", 1), "OrderPlaced");   /* 1 */
	append_one(f->store, stream_of("Order", 1), "OrderPaid");     /* 2 */
	append_one(f->store, stream_of("Invoice", 1), "InvoiceSent"); /* 3 */
	append_one(f->store, stream_of("Invoice", 1), "OrderPaid");   /* 4 */
	append_one(f->store, stream_of("Order", 2), "OrderPlaced");   /* 5 */
	append_one(f->store, stream_of("Order", 2), "OrderPlacedV2"); /* 6 */
	struct tide_new_event events[] = { event_of("OrderPaid", 1) };
	events[0].tenant_id = uuid_of(70);
	/* 7 */
	must(tide_store_append(f->store, APPEND(stream_of("Order", 3), TIDE_ANY, events), NULL,
			       err));
	append_one(f->store, stream_of("Invoice", 2), "Other"); /* 8 */
}

static void filters_decide_what_is_delivered_and_positions_pass_the_rest(struct fixture *f)
{
	put_mixed(f);
	struct tide_uuid tenant = uuid_of(70);
	const char *const none[] = { NULL };
	const struct {
		const char *const *declared, *const *types, *const *patterns, *const *aggregates;
		const struct tide_uuid *tenant;
		const tide_position positions[9];
	} rows[] = {
		{ .positions = { 1, 2, 3, 4, 5, 6, 7, 8 } },
		{ .declared = TYPES("OrderPaid"), .positions = { 2, 4, 7 } },
		{ .declared = TYPES("OrderPaid"),
		  .types = TYPES("OrderPlaced"),
		  .positions = { 1, 5 } },
		{ .declared = TYPES("OrderPaid"),
		  .types = none,
		  .positions = { 1, 2, 3, 4, 5, 6, 7, 8 } },
		{ .patterns = TYPES("Order*"), .positions = { 1, 2, 4, 5, 6, 7 } },
		{ .patterns = TYPES("OrderPlaced??", "Inv*"), .positions = { 3, 6 } },
		{ .patterns = TYPES("*[!d]"), .positions = { 3, 6, 8 } },
		{ .aggregates = TYPES("Invoice"), .positions = { 3, 4, 8 } },
		{ .declared = TYPES("OrderPaid"),
		  .aggregates = TYPES("Order"),
		  .positions = { 2, 7 } },
		{ .declared = TYPES("OrderPaid"), .tenant = &tenant, .positions = { 7 } },
		{ .declared = TYPES("Nothing"), .positions = { 0 } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		RECORDER *recorder = recorder_new();
		struct tide_subscription_config config = quick_config();
		config.event_types = rows[i].types;
		config.event_type_patterns = rows[i].patterns;
		config.aggregate_types = rows[i].aggregates;
		config.tenant_id = rows[i].tenant;
		config.batch_size = 3;
		struct tide_subscriber subscriber = subscriber_of("p", recorder);
		subscriber.event_types = rows[i].declared;
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		catch_up(f->store, subscription);
		recorder_check(recorder, rows[i].positions, __FILE__, __LINE__);
		struct tide_subscription_status status = status_of(subscription);
		assert_int_equal(status.position, 8);
		assert_int_equal(status.lag_events, 0);
		assert_int_equal(status.events_processed, recorder_count(recorder));
		assert_int_equal(status.events_skipped, 8 - recorder_count(recorder));
		stop(manager);
		assert_int_equal(row_of(f, "p").position, 8);
		must(tide_checkpoints_reset(f->checkpoints, "p", err));
	}
}

static void partitions_share_the_feed_without_loss_or_repetition(struct fixture *f)
{
	for (unsigned i = 0; i < 60; i++)
		append_one(f->store, stream_of("Order", i), "A");
	int seen[61] = { 0 };
	for (uint32_t index = 0; index < 4; index++) {
		RECORDER *recorder = recorder_new();
		struct tide_subscription_config config = quick_config();
		config.partition_index = index;
		config.partition_total = 4;
		struct tide_subscriber subscriber = subscriber_of("p", recorder);
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		char name[16];
		snprintf(name, sizeof name, "p#%u/4", index);
		assert_string_equal(tide_subscription_name(subscription), name);
		start(manager);
		catch_up(f->store, subscription);
		stop(manager);
		for (size_t i = 0; i < recorder_count(recorder); i++)
			seen[recorder->calls[i].position]++;
		assert_int_equal(row_of(f, name).position, 60);
		assert_in_range(recorder_count(recorder), 1, 59);
	}
	for (int i = 1; i <= 60; i++)
		assert_int_equal(seen[i], 1);
}

static void live_subscriptions_see_what_reads_see_under_every_filter(struct fixture *f)
{
	struct tide_store *other = f->quirks->is_shared ? fixture_second_handle(f) : f->store;
	const char *const types[] = { "OrderPaid", "OrderPlaced", NULL }, *const aggregates[] = {
		"Invoice", NULL
	};
	struct tide_uuid tenant = uuid_of(70);
	struct recorder *recorders[8];
	struct tide_subscription *subscriptions[8];
	struct tide_manager *manager = manager_of(f->store);
	for (unsigned mask = 0; mask < 8; mask++) {
		char name[8];
		snprintf(name, sizeof name, "p%u", mask);
		recorders[mask] = recorder_new();
		struct tide_subscriber subscriber = subscriber_of(name, recorders[mask]);
		struct tide_subscription_config config = quick_config();
		config.event_types = mask & 1 ? types : NULL;
		config.aggregate_types = mask & 2 ? aggregates : NULL;
		config.tenant_id = mask & 4 ? &tenant : NULL;
		subscriptions[mask] = subscribe(manager, &subscriber, &config);
	}
	start(manager);
	for (unsigned i = 0; i < 120; i++) {
		static const char *const names[] = { "OrderPaid", "OrderPlaced", "Other" };
		struct tide_new_event events[] = { event_of(names[i % 3], i) };
		events[0].tenant_id = i % 5 < 2 ? tenant : events[0].tenant_id;
		must(tide_store_append(
			i % 4 ? f->store : other,
			APPEND(stream_of(i % 2 ? "Order" : "Invoice", i % 7), TIDE_ANY, events),
			NULL, err));
	}
	for (unsigned mask = 0; mask < 8; mask++) {
		catch_up(f->store, subscriptions[mask]);
		struct tide_query query = { .event_types = mask & 1 ? types : NULL,
					    .aggregate_types = mask & 2 ? aggregates : NULL,
					    .tenant_id = mask & 4 ? &tenant : NULL };
		SEEN wanted = see(f->store, &query);
		assert_int_equal(recorder_count(recorders[mask]), wanted.count);
		for (size_t i = 0; i < wanted.count; i++)
			assert_int_equal(recorders[mask]->calls[i].position,
					 wanted.events[i]->position);
		struct tide_subscription_status status = status_of(subscriptions[mask]);
		assert_int_equal(status.events_processed + status.events_skipped, 120);
	}
	tide_manager_close(manager);
	for (unsigned mask = 0; mask < 8; mask++)
		recorder_free(recorders[mask]);
	if (other != f->store)
		tide_store_close(other);
}

/* ---- What is remembered ---------------------------------------------------------------------- */

static void every_strategy_saves_the_same_in_the_end(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	append_one(f->store, stream_of("Order", 1), "Filtered");
	for (int strategy = TIDE_EVERY_EVENT; strategy <= TIDE_PERIODIC; strategy++) {
		RECORDER *recorder = recorder_new();
		struct tide_subscription_config config = quick_config();
		config.checkpoint_strategy = (enum tide_checkpoint_strategy)strategy;
		struct tide_subscriber subscriber = subscriber_of("p", recorder);
		subscriber.event_types = TYPES("Counted");
		for (int run = 0; run < 2; run++) {
			MANAGER *manager = manager_of(f->store);
			struct tide_subscription *subscription =
				subscribe(manager, &subscriber, &config);
			start(manager);
			catch_up(f->store, subscription);
			stop(manager);
			config.start_from = TIDE_START_CHECKPOINT;
			struct tide_checkpoint row = row_of(f, "p");
			SEEN all = see(f->store, NULL);
			assert_int_equal(row.position, 4);
			assert_int_equal(row.events_processed, 3);
			assert_true(tide_uuid_equal(&row.last_event_id, &all.events[2]->event_id));
			assert_string_equal(row.last_event_type, "Counted");
		}
		delivered(recorder, 1, 2, 3);
		must(tide_checkpoints_reset(f->checkpoints, "p", err));
	}
}

/* Inside the handler of event N the stored position is N - 1. */
static tide_status judge_saved_before(struct recorder *recorder, const struct tide_event *event,
				      struct tide_delivery *delivery)
{
	tide_position stored = 0;
	tide_checkpoints_position(recorder->self, "p", &stored, NULL);
	if (stored == event->position - 1)
		return TIDE_OK;
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "stored position is %lld",
				  (long long)stored);
}

static void every_event_saves_before_the_next_is_handed_over(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_saved_before;
	recorder->self = f->checkpoints;
	struct tide_subscription_config config = quick_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	run_once(f, recorder, &config);
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 0);
	tide_dead_letters_free(&letters);
}

static void batch_handler_gets_pages_of_matching_events(struct fixture *f)
{
	for (unsigned i = 0; i < 20; i++) {
		append_one(f->store, stream_of("Order", 1), "Wanted");
		append_one(f->store, stream_of("Order", 1), "Other");
	}
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.batch_size = 6;
	struct tide_subscriber subscriber = batch_subscriber_of("p", recorder);
	subscriber.event_types = TYPES("Wanted");
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
	assert_int_equal(recorder_count(recorder), 20);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(recorder->calls[i].position, 2 * i + 1);
		assert_in_range(recorder->calls[i].batch, 1, 6);
	}
	assert_int_equal(row_of(f, "p").events_processed, 20);
	assert_int_equal(row_of(f, "p").position, 40);
}

static tide_status judge_third_never(struct recorder *recorder, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	(void)recorder;
	(void)delivery;
	return event->position == 3 ? TIDE_HANDLER_TRANSIENT : TIDE_OK;
}

static void events_of_a_batch_that_failed_have_all_their_attempts(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	RECORDER *recorder = recorder_new();
	recorder->judge = judge_third_never;
	struct tide_subscription_config config = quick_config();
	config.max_retries = 2;
	struct tide_subscriber subscriber = batch_subscriber_of("p", recorder);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	stop(manager);
	delivered(recorder, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 3, 3);
	static const int32_t attempts[] = { 1, 1, 1, 2, 2, 2, 3, 3, 3, 1, 1, 1, 2, 3 };
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
		assert_int_equal(recorder->calls[i].attempt, attempts[i]);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	assert_int_equal(letters.entries[0].retry_count, 2);
	tide_dead_letters_free(&letters);
}

/* ---- Pause ----------------------------------------------------------------------------------- */

static void paused_subscription_holds_its_position_and_goes_on_in_order(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 5);
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_true(tide_manager_pause(manager, "p", TIDE_PAUSE_MAINTENANCE));
	must(tide_subscription_wait_state(subscription, TIDE_STATE_PAUSED, 30, err));
	append_many(f->store, stream_of("Order", 1), 0, 5);
	struct tide_subscription_status status = status_of(subscription);
	assert_int_equal(status.position, 5);
	assert_int_equal(status.lag_events, 5);
	assert_int_equal(status.pause_reason, TIDE_PAUSE_MAINTENANCE);
	wait_for(10, stored_position(f, "p") == 5);
	assert_true(tide_manager_resume(manager, "p"));
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
}

/* ---- Ownership ------------------------------------------------------------------------------- */

static void second_manager_stands_by_and_takes_over(struct fixture *f)
{
	struct tide_store *other = fixture_second_handle(f);
	RECORDER *first = recorder_new(), *second = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	struct tide_subscriber one = subscriber_of("p", first), two = subscriber_of("p", second);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *owner = subscribe(manager, &one, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 3);
	catch_up(f->store, owner);
	{
		MANAGER *standby_manager = manager_of(other);
		struct tide_subscription *standby = subscribe(standby_manager, &two, &config);
		start(standby_manager);
		struct tide_subscription_status status = status_of(standby);
		assert_true(status.standby);
		assert_int_equal(status.state, TIDE_STATE_STARTING);
		bool is_owned = false;
		must(tide_checkpoints_is_owned(f->checkpoints, "p", &is_owned, err));
		assert_true(is_owned);
		append_many(f->store, stream_of("Order", 1), 0, 2);
		catch_up(f->store, owner);
		assert_false(tide_manager_pause(standby_manager, "p", TIDE_PAUSE_MANUAL));
		stop(manager);
		append_many(f->store, stream_of("Order", 1), 0, 2);
		must(tide_subscription_wait_state(standby, TIDE_STATE_LIVE, 30, err));
		catch_up(f->store, standby);
		delivered(first, 1, 2, 3, 4, 5);
		delivered(second, 6, 7);
		assert_false(status_of(standby).standby);
		stop(standby_manager);
		bool is_still_owned = true;
		must(tide_checkpoints_is_owned(f->checkpoints, "p", &is_still_owned, err));
		assert_false(is_still_owned);
	}
	tide_store_close(other);
}

static void displaced_owner_saves_nothing_until_it_owns_again(struct fixture *f)
{
	RECORDER *recorder = recorder_new();
	struct tide_subscription_config config = quick_config();
	config.start_from = TIDE_START_CHECKPOINT;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	append_many(f->store, stream_of("Order", 1), 0, 3);
	catch_up(f->store, subscription);
	wait_for(10, stored_position(f, "p") == 3);
	fixture_sql(f, "UPDATE subscription_leases SET epoch = epoch + 100 WHERE name = 'p'");
	append_many(f->store, stream_of("Order", 1), 0, 2);
	wait_for(40, stored_position(f, "p") == 5);
	struct tide_recent_error *errors;
	size_t count;
	bool was_fenced = false;
	must(tide_subscription_recent_errors(subscription, &errors, &count, err));
	for (size_t i = 0; i < count; i++)
		was_fenced = was_fenced || errors[i].error_type == TIDE_FENCED;
	tide_free(errors);
	assert_true(was_fenced);
	assert_int_equal(row_of(f, "p").events_processed, 5);
	stop(manager);
}

const struct test_case delivery_cases[] = {
	CASE(worked_example_comes_out_exactly),
	CASE(paused_catch_up_goes_on_as_catch_up),
	CASE(checkpoint_without_a_row_begins_at_the_beginning),
	CASE(beginning_replays_whatever_the_checkpoint),
	CASE(end_begins_behind_what_is_stored),
	CASE(initial_start_goes_on_behind_a_checkpoint),
	CASE(position_begins_behind_it),
	CASE(position_beyond_the_end_waits_for_it),
	CASE(row_without_position_resumes_behind_its_last_event),
	CASE(row_without_position_and_known_event_counts_as_none),
	CASE(history_and_live_are_one_sequence),
	CASE_NEEDS(events_appended_through_another_handle_arrive, NEEDS_SHARED),
	CASE_NEEDS(events_appended_by_another_process_arrive, NEEDS_PROCESSES),
	CASE(subscriptions_do_not_disturb_each_other),
	CASE(filters_decide_what_is_delivered_and_positions_pass_the_rest),
	CASE(partitions_share_the_feed_without_loss_or_repetition),
	CASE(live_subscriptions_see_what_reads_see_under_every_filter),
	CASE(every_strategy_saves_the_same_in_the_end),
	CASE(every_event_saves_before_the_next_is_handed_over),
	CASE(batch_handler_gets_pages_of_matching_events),
	CASE(events_of_a_batch_that_failed_have_all_their_attempts),
	CASE(paused_subscription_holds_its_position_and_goes_on_in_order),
	CASE_NEEDS(second_manager_stands_by_and_takes_over, NEEDS_SHARED),
	CASE_NEEDS(displaced_owner_saves_nothing_until_it_owns_again, NEEDS_SQL),
	CASES_END,
};

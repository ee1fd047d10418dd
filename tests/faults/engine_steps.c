/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in which step: whose time a wait is, when a breaker shows, when progress is saved
 * and counted, what a stop that gives up leaves behind.
 */
#include <stdlib.h>
#include <string.h>

#include "path/report.h"
#include "sys/alloc.h"
#include "walk.h"

/* ---- Whose time it is ------------------------------------------------------------------------ */

static struct walk *walk_now;

/* Longer than a handler may take, while there is something to handle. */
static void walk_take_long(void)
{
	if (walk_now->witness.count < 3)
		walk_now->now_ns += 60 * NS_PER_SECOND;
}

static tide_status walk_read_slowly(void *session, const struct tide_page_query *query,
				    struct tide_page *page, struct tide_error *err)
{
	walk_take_long();
	return walk_real.store.read(session, query, page, err);
}

static tide_status walk_savepoint_slowly(void *session, struct tide_error *err)
{
	walk_take_long();
	return walk_real.store.savepoint(session, err);
}

static void walk_hear_slowly(void *self, const struct tide_error_record *record)
{
	(void)self;
	(void)record;
	walk_take_long();
}

static void check_time(const char *backend, bool is_transactional)
{
	struct walk walk;
	int64_t id;
	walk_open(&walk, backend, 4);
	walk_now = &walk;
	walk_backend.store.read = walk_read_slowly;
	walk_backend.store.savepoint = walk_savepoint_slowly;
	must(tide_manager_on_error(walk.rig.manager, TIDE_ERRORS_ALL, 0, walk_hear_slowly, NULL,
				   &id, err));
	walk.witness.decide = walk_refuse_two;
	struct tide_subscription_config config = walk_config();
	config.processing_timeout = 10;
	walk_start(&walk, is_transactional, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk.records[TIDE_TIMEOUT], 0);
	assert_int_equal(atomic_load(&walk.witness.calls), 4);
	walk_close(&walk);
}

static void the_time_of_databases_and_callbacks_is_not_the_handlers(void **state)
{
	(void)state;
	check_time("memory", false);
	check_time("sqlite", true);
}

/* ---- Reading ahead --------------------------------------------------------------------------- */

static int walk_reads;

static tide_status walk_read_counted(void *session, const struct tide_page_query *query,
				     struct tide_page *page, struct tide_error *err)
{
	walk_reads++;
	assert_in_range(walk_reads, 0, atomic_load(&walk_now->witness.calls) + 6);
	return walk_real.store.read(session, query, page, err);
}

/* Each read may cost a look at who holds the feed: events wait for one of them, not for as many as
 * may be in flight. */
static void small_pages_are_delivered_as_they_are_read(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 50);
	walk_now = &walk;
	walk_reads = 0;
	walk_backend.store.read = walk_read_counted;
	struct tide_subscription_config config = walk_config();
	config.batch_size = 1;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(atomic_load(&walk.witness.calls), 50);
	walk_close(&walk);
}

/* ---- The breaker ----------------------------------------------------------------------------- */

static void an_open_breaker_shows_at_once_and_a_backoff_that_is_longer_still_counts(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = walk_fail_two;
	struct tide_subscription_config config = walk_config();
	config.circuit_breaker_enabled = true;
	config.circuit_breaker_failure_threshold = 2;
	config.circuit_breaker_recovery_timeout = 3;
	config.initial_retry_delay = 1;
	config.max_retry_delay = 10;
	config.retry_exponential_base = 10;
	walk_start(&walk, false, &config);
	walk_to_wait(&walk);
	assert_int_equal(tide_subscription_state(walk.subscription), TIDE_STATE_CATCHING_UP);
	walk.now_ns += NS_PER_SECOND;
	walk_to_wait(&walk); /* the second failure: open for 3 seconds, the next attempt in 10 */
	assert_int_equal(tide_subscription_state(walk.subscription), TIDE_STATE_PAUSED);
	walk.now_ns += 3 * NS_PER_SECOND;
	walk_to_wait(&walk);
	assert_int_equal(tide_subscription_state(walk.subscription), TIDE_STATE_CATCHING_UP);
	assert_int_equal(atomic_load(&walk.witness.calls), 1 + 2);
	walk.now_ns += 7 * NS_PER_SECOND;
	walk_to_wait(&walk);
	assert_int_equal(tide_subscription_state(walk.subscription), TIDE_STATE_PAUSED);
	assert_int_equal(atomic_load(&walk.witness.calls), 1 + 3);
	assert_true(tide_manager_resume(walk.rig.manager, "Walk"));
	walk_to_wait(&walk); /* a person need not wait for either */
	assert_int_equal(atomic_load(&walk.witness.calls), 1 + 4);
	walk_close(&walk);
}

/* ---- When progress is saved ------------------------------------------------------------------ */

static tide_status take_a_minute(struct witness *witness, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct walk *walk = witness->more;
	walk->now_ns += 60 * NS_PER_SECOND;
	if (event->position == 6 && tide_delivery_attempt(delivery) < 4)
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "not yet");
	return TIDE_OK;
}

static int saves_of(enum tide_checkpoint_strategy strategy)
{
	struct walk walk;
	walk_open(&walk, "memory", 8);
	walk.witness.decide = take_a_minute;
	walk.witness.more = &walk;
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = strategy;
	config.checkpoint_interval_seconds = 1;
	config.processing_timeout = 100;
	config.batch_size = 4;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(saved_position(walk.rig.checkpoints, "Walk"), 8);
	int saves = walk_saves;
	walk_close(&walk);
	return saves;
}

static void pages_are_saved_whole_however_long_they_take(void **state)
{
	(void)state;
	assert_int_equal(saves_of(TIDE_EVERY_EVENT), 8);
	assert_int_equal(saves_of(TIDE_EVERY_BATCH), 2);
	assert_int_equal(saves_of(TIDE_PERIODIC), 8);
}

/* ---- A stop that gives up -------------------------------------------------------------------- */

static void walk_give_up(struct walk *walk, tide_status expected)
{
	struct tide_error why;
	run_ask_stop(walk->subscription, (struct mono_time){ 1 });
	assert_int_equal(
		control_wait_stopped(walk->rig.manager, walk->subscription, MONO_NEVER, &why),
		expected);
	assert_int_equal(tide_subscription_state(walk->subscription), TIDE_STATE_STOPPED);
}

static tide_status be_given_up_at_three(struct witness *witness, const struct tide_event *event,
					struct tide_delivery *delivery)
{
	struct walk *walk = witness->more;
	(void)delivery;
	if (event->position == 3)
		walk_give_up(walk, TIDE_TIMEOUT);
	return TIDE_OK;
}

/* Two events are settled and not saved when the stop gives up: inside the third one's handler, or
 * just behind the second. */
static void check_given_up(const char *backend, bool is_transactional, bool is_inside)
{
	struct walk walk;
	walk_open(&walk, backend, 4);
	walk.witness.more = &walk;
	walk.witness.decide = is_inside ? be_given_up_at_three : NULL;
	walk.rig.manager->engine.parts_per_step = 1;
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.checkpoint_interval_seconds = 1000;
	walk_start(&walk, is_transactional, &config);
	while (status_of(walk.subscription).position < 2)
		(void)runner_step(walk.subscription, clock_mono(&walk.clock));
	assert_int_equal(saved_position(walk.rig.checkpoints, "Walk"), -1);
	if (!is_inside)
		walk_give_up(&walk, TIDE_TIMEOUT);
	while (runner_is_running(walk.subscription))
		(void)runner_step(walk.subscription, clock_mono(&walk.clock));
	struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(row.position, 2);
	assert_int_equal(row.events_processed, 2);
	assert_int_equal(status_of(walk.subscription).position, 2);
	walk_close(&walk);
}

static void what_is_settled_is_saved_when_a_stop_gives_up(void **state)
{
	(void)state;
	check_given_up("memory", false, true);
	check_given_up("memory", false, false);
	check_given_up("sqlite", true, true);
	check_given_up("sqlite", true, false);
}

/* ---- Ownership ------------------------------------------------------------------------------- */

static void who_stands_by_again_begins_to_count_anew(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 4);
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	walk_fenced_save = 3;
	walk_start(&walk, false, &config);
	struct tide_time started_at = status_of(walk.subscription).started_at;
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk.records[TIDE_FENCED], 1);
	/* the third one's save was refused */
	assert_int_equal(witness_count(&walk.witness), 3 + 2);
	struct tide_subscription_status status = status_of(walk.subscription);
	assert_int_equal(status.events_processed, 2);
	assert_true(status.started_at.unix_us >= started_at.unix_us);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").events_processed, 4);
	walk_close(&walk);
}

/* ---- Redelivery ------------------------------------------------------------------------------ */

static tide_status refuse_seven_once(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 7 && tide_delivery_attempt(delivery) == 1)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not yet");
	return TIDE_OK;
}

static void redeliveries_come_in_the_order_of_their_events(void **state)
{
	(void)state;
	struct walk walk;
	int64_t id;
	walk_open(&walk, "memory", 8);
	walk.witness.decide = refuse_seven_once;
	struct tide_subscription_config config = walk_config();
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	struct tide_dead_letter_list dead = dead_letters_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(dead.count, 1);
	SEEN seen = see(walk.rig.store, &(struct tide_query){ 0 });
	must(tide_dead_letters_add(walk.rig.checkpoints, "Walk", seen.events[2], "earlier", NULL, 0,
				   &id, err));
	must(tide_dead_letters_retry(walk.rig.checkpoints, dead.entries[0].id, err));
	must(tide_dead_letters_retry(walk.rig.checkpoints, id, err));
	tide_dead_letters_free(&dead);
	walk_to_wait(&walk);
	const tide_position expected[] = { 1, 2, 3, 4, 5, 6, 8, 3, 7 };
	assert_int_equal(walk.witness.count, COUNT(expected));
	assert_memory_equal(walk.witness.positions, expected, sizeof expected);
	walk_close(&walk);
}

/* ---- A handler that does what only the runner may -------------------------------------------- */

static tide_status end_the_transaction(struct witness *witness, const struct tide_event *event,
				       struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 2)
		plain_run(tide_delivery_connection(delivery), "COMMIT");
	return TIDE_OK;
}

static void a_handler_that_ends_the_transaction_has_failed_and_ends_the_run(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = end_the_transaction;
	struct tide_subscription_config config = walk_config();
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	struct tide_subscription_status status = status_of(walk.subscription);
	assert_int_equal(status.error.status, TIDE_STATE);
	assert_string_equal(status.error.message, "handler ended the delivery transaction");
	assert_int_equal(status.events_failed, 1);
	assert_int_equal(status.position, 0);
	assert_int_equal(walk.records[TIDE_STATE], 1);
	assert_int_equal(saved_position(walk.rig.checkpoints, "Walk"), -1);
	walk_close(&walk);
}

/* ---- Counters -------------------------------------------------------------------------------- */

static int walk_metric(struct walk *walk, const char *sample)
{
	char *text;
	must(tide_manager_metrics(walk->rig.manager, &text, err));
	const char *line = strstr(text, sample);
	int value = line ? atoi(line + strlen(sample)) : 0;
	tide_free(text);
	return value;
}

#define WALK_PROCESSED                                                                             \
	"\ntidemark_events_processed_total{subscription=\"Walk\",event_type=\"Counted\",status="
#define WALK_FAILED                                                                                \
	"\ntidemark_events_failed_total{subscription=\"Walk\",event_type=\"Counted\",error_type="  \
	"\"handler_permanent\"} "

/* The first commit fails: its events come again, and count once; a counter never goes back
 * either. */
static void what_a_transaction_took_back_counts_once(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = walk_refuse_two;
	walk.rig.manager->engine.parts_per_step = 1;
	walk_bad_commits = 1;
	struct tide_subscription_config config = walk_config();
	walk_start(&walk, true, &config);
	for (int steps = 0, last = 0; tide_subscription_state(walk.subscription) != TIDE_STATE_LIVE;
	     steps++) {
		assert_in_range(steps, 0, 1000);
		walk.next = runner_step(walk.subscription, clock_mono(&walk.clock));
		walk.now_ns += 10 * NS_PER_MS;
		int now = walk_metric(&walk, WALK_PROCESSED "\"handled\"} ");
		assert_true(now >= last);
		last = now;
	}
	assert_int_equal(walk_bad_commits, 0);
	assert_int_equal(walk.records[TIDE_HANDLER_PERMANENT], 2); /* records are of attempts */
	assert_int_equal(walk_metric(&walk, WALK_PROCESSED "\"handled\"} "), 3);
	assert_int_equal(walk_metric(&walk, WALK_PROCESSED "\"dead_lettered\"} "), 1);
	assert_int_equal(walk_metric(&walk, WALK_FAILED), 1);
	struct tide_subscription_status status = status_of(walk.subscription);
	assert_int_equal(status.events_processed, 4);
	assert_int_equal(status.events_failed, 1);
	assert_int_equal(
		walk_metric(&walk, "\ntidemark_events_dead_lettered_total{subscription=\"Walk\"} "),
		1);
	walk_close(&walk);
}

/* ---- Periodic -------------------------------------------------------------------------------- */

static tide_status walk_read_first_slowly(void *session, const struct tide_page_query *query,
					  struct tide_page *page, struct tide_error *err)
{
	if (walk_now->witness.count == 0)
		walk_now->now_ns += 60 * NS_PER_SECOND;
	return walk_real.store.read(session, query, page, err);
}

/* Which begins with the transaction, however long ago the last save was. */
static void a_periodic_transaction_stays_open_for_its_interval(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk_now = &walk;
	walk_backend.store.read = walk_read_first_slowly;
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.checkpoint_interval_seconds = 10;
	config.batch_size = 2;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_saves, 1);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").position, 4);
	walk_close(&walk);
}

/* ---- Handled together ------------------------------------------------------------------------ */

static int told_late, told_later;

/* The watchdog looks past the limit, and past twice the limit. */
static tide_status take_long_together(void *self, const struct tide_event *const *events,
				      size_t count, struct tide_delivery *delivery)
{
	(void)self;
	(void)events;
	(void)delivery;
	assert_in_range(count, 2, 4);
	walk_now->now_ns += 15 * NS_PER_SECOND;
	report_late(walk_now->subscription, clock_mono(&walk_now->clock));
	told_late = walk_now->records[TIDE_TIMEOUT];
	walk_now->now_ns += 6 * NS_PER_SECOND;
	report_late(walk_now->subscription, clock_mono(&walk_now->clock));
	told_later = walk_now->records[TIDE_TIMEOUT];
	return TIDE_OK;
}

static void what_is_late_together_is_told_when_it_does_not_end(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk_now = &walk;
	struct tide_subscriber subscriber = witness_single("Walk", &walk.witness);
	subscriber.transactional = true;
	subscriber.handle_together = take_long_together;
	struct tide_subscription_config config = walk_config();
	config.processing_timeout = 10;
	must(tide_manager_subscribe(walk.rig.manager, &subscriber, &config, &walk.subscription,
				    err));
	must(tide_manager_start(walk.rig.manager, NULL, 0, NULL, NULL, err));
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(told_late, 0);
	assert_int_equal(told_later, 1);
	assert_int_equal(witness_count(&walk.witness), 4);
	walk_close(&walk);
}

/* ---- Without memory -------------------------------------------------------------------------- */

/* Every page has been used once: what is left to allocate is the window of the newest events. */
static void a_live_subscription_without_a_window_reads_the_store_and_rests(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 8);
	walk.rig.manager->engine.parts_per_step = 1;
	struct tide_subscription_config config = walk_config();
	config.batch_size = config.max_in_flight = 1;
	walk_start(&walk, false, &config);
	while (status_of(walk.subscription).position < 3)
		(void)runner_step(walk.subscription, clock_mono(&walk.clock));
	alloc_fail_from(1);
	walk.subscription->runner.requests.look_at =
		MONO_NEVER; /* it asks the database for a list */
	for (int polls = 0; polls < 3; polls++, walk.now_ns = walk.next.ns) {
		int steps = 0;
		do
			walk.next = runner_step(walk.subscription, clock_mono(&walk.clock));
		while (walk.next.ns <= walk.now_ns && ++steps < 100);
		assert_in_range(steps, 0, 99);
	}
	alloc_fail_from(0);
	assert_int_equal(tide_subscription_state(walk.subscription), TIDE_STATE_LIVE);
	append_many(walk.rig.store, stream_of("Order", 1), 8, 3);
	walk_to_wait(&walk);
	witness_saw_all(&walk.witness, 1, 11);
	walk_close(&walk);
}

/* It has read the end by itself, and no look of others' tells it when to look again. */
static void without_a_window_the_poll_finds_what_no_bell_told_of(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 1);
	struct tide_subscription_config config = walk_config();
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	tail_forget(walk.rig.store->tail);
	walk_on(&walk);
	append_many(walk.rig.store, stream_of("Order", 1), 1, 1);
	(void)wakeup_reset(&walk.subscription->wakeup); /* the bell was not heard */
	for (int polls = 0; polls < 3; polls++)
		walk_on(&walk);
	witness_saw_all(&walk.witness, 1, 2);
	walk_close(&walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_of_databases_and_callbacks_is_not_the_handlers),
		cmocka_unit_test(small_pages_are_delivered_as_they_are_read),
		cmocka_unit_test(
			an_open_breaker_shows_at_once_and_a_backoff_that_is_longer_still_counts),
		cmocka_unit_test(pages_are_saved_whole_however_long_they_take),
		cmocka_unit_test(what_is_settled_is_saved_when_a_stop_gives_up),
		cmocka_unit_test(who_stands_by_again_begins_to_count_anew),
		cmocka_unit_test(redeliveries_come_in_the_order_of_their_events),
		cmocka_unit_test(a_handler_that_ends_the_transaction_has_failed_and_ends_the_run),
		cmocka_unit_test(what_a_transaction_took_back_counts_once),
		cmocka_unit_test(a_periodic_transaction_stays_open_for_its_interval),
		cmocka_unit_test(what_is_late_together_is_told_when_it_does_not_end),
		cmocka_unit_test(a_live_subscription_without_a_window_reads_the_store_and_rests),
		cmocka_unit_test(without_a_window_the_poll_finds_what_no_bell_told_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

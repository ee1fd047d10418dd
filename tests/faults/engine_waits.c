/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscription holds while it waits to try something again, and what it keeps over the wait: stepped by hand under a
 * clock that moves only when told. The backend under the manager is a copy whose operations fail when told.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_tools.h"
#include "path/store.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

struct walk {
	struct clock clock; /* first: the engine's clock is the walk */
	int64_t now_ns;
	struct rig rig;
	struct witness witness;
	struct tide_subscription *subscription;
	struct mono_time next;
	sqlite3 *outside; /* another process, as far as locks go */
	int records[TIDE_STATUS_COUNT];
};

static struct tide_backend walk_real, walk_backend;
static int walk_bad_entries, walk_bad_commits, walk_lost_answers, walk_bad_saves; /* how many fail; -1: all */
static int walk_saves;                                                            /* made */
static int walk_fenced_save; /* this one finds another owner; 0: none does */
static tide_status walk_entry_status;
static const char *walk_entry_message;

static bool walk_fails(int *count)
{
	bool fails = *count != 0;
	*count -= *count > 0;
	return fails;
}

static tide_status walk_add(void *session, const struct tide_fence *fence, const struct tide_dead_letter_write *write,
			    int64_t *ret, struct tide_error *err)
{
	if (walk_fails(&walk_bad_entries))
		return tide_fail(err, walk_entry_status, "%s", walk_entry_message);
	return walk_real.checkpoint.dead_letter_add(session, fence, write, ret, err);
}

static tide_status walk_commit(void *session, struct tide_error *err)
{
	if (walk_fails(&walk_bad_commits))
		return tide_fail(err, TIDE_BUSY, "the database is locked");
	tide_status status = walk_real.store.commit(session, err);
	if (status == TIDE_OK && walk_fails(&walk_lost_answers))
		return tide_fail(err, TIDE_CONNECTION_LOST, "the answer got lost");
	return status;
}

static tide_status walk_save(void *session, const struct tide_fence *fence, const struct tide_checkpoint_write *write,
			     struct tide_error *err)
{
	if (walk_fails(&walk_bad_saves))
		return tide_fail(err, TIDE_BUSY, "the database is locked");
	if (++walk_saves == walk_fenced_save)
		return tide_fail(err, TIDE_FENCED, "somebody else is faster");
	return walk_real.checkpoint.save(session, fence, write, err);
}

static struct mono_time walk_mono(struct clock *clock)
{
	return (struct mono_time){ ((struct walk *)clock)->now_ns };
}

static struct tide_time walk_wall(struct clock *clock)
{
	return (struct tide_time){ INT64_C(1700000000000000) + ((struct walk *)clock)->now_ns / 1000 };
}

static void walk_hear(void *self, const struct tide_error_record *record)
{
	((struct walk *)self)->records[record->error_type]++;
}

static void walk_open(struct walk *walk, const char *backend, size_t events)
{
	int64_t id;
	*walk = (struct walk){ .clock = { walk_mono, walk_wall }, .now_ns = NS_PER_SECOND, .witness = WITNESS };
	rig_open(&walk->rig, backend);
	append_many(walk->rig.store, stream_of("Order", 1), 0, events);
	walk->rig.manager->is_threaded = false;
	walk->rig.manager->engine.clock = &walk->clock;
	must(tide_manager_on_error(walk->rig.manager, TIDE_ERRORS_ALL, 0, walk_hear, walk, &id, err));
	if (strcmp(backend, "sqlite") == 0) {
		walk->outside = plain_open(walk->rig.file);
		sqlite3_busy_timeout(walk->outside, 0);
	}
	walk_real = walk_backend = *walk->rig.store->backend;
	walk_backend.checkpoint.dead_letter_add = walk_add;
	walk_backend.checkpoint.save = walk_save;
	walk_backend.store.commit = walk_commit;
	walk->rig.store->backend = &walk_backend;
	walk_bad_entries = walk_bad_commits = walk_lost_answers = walk_bad_saves = walk_saves = walk_fenced_save = 0;
	walk_entry_status = TIDE_BUSY;
	walk_entry_message = "the queue is shut";
}

static void walk_start(struct walk *walk, bool is_transactional, const struct tide_subscription_config *config)
{
	struct tide_subscriber subscriber = witness_single("Walk", &walk->witness);
	subscriber.transactional = is_transactional;
	must(tide_manager_subscribe(walk->rig.manager, &subscriber, config, &walk->subscription, err));
	must(tide_manager_start(walk->rig.manager, NULL, 0, NULL, NULL, err));
}

static bool walk_is_locked(struct walk *walk)
{
	bool is_locked = sqlite3_exec(walk->outside, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK;
	(void)sqlite3_exec(walk->outside, "ROLLBACK", NULL, NULL, NULL);
	return is_locked;
}

/* Step until the runner wants to wait, and see that nobody else has to wait for it. */
static void walk_to_wait(struct walk *walk)
{
	int steps = 0;
	do
		walk->next = runner_step(walk->subscription, clock_mono(&walk->clock));
	while (walk->next.ns <= walk->now_ns && ++steps < 1000);
	assert_in_range(steps, 0, 999);
	if (walk->outside)
		assert_false(walk_is_locked(walk));
}

static void walk_on(struct walk *walk)
{
	assert_true(walk->next.ns < MONO_NEVER.ns);
	walk->now_ns = walk->next.ns;
	walk_to_wait(walk);
}

static void walk_until(struct walk *walk, enum tide_state state)
{
	walk_to_wait(walk);
	for (int waits = 0; tide_subscription_state(walk->subscription) != state; waits++) {
		assert_in_range(waits, 0, 1000);
		walk_on(walk);
	}
}

static void walk_close(struct walk *walk)
{
	must(tide_manager_stop(walk->rig.manager, NULL, 0, err));
	while (runner_is_running(walk->subscription))
		(void)runner_step(walk->subscription, clock_mono(&walk->clock));
	walk->rig.store->backend = &walk_real;
	sqlite3_close(walk->outside);
	rig_close(&walk->rig);
	witness_fini(&walk->witness);
}

static size_t walk_dead_letters(struct walk *walk, int32_t *ret_retries)
{
	struct tide_dead_letter_list dead = dead_letters_of(walk->rig.checkpoints, "Walk");
	size_t count = dead.count;
	*ret_retries = count > 0 ? dead.entries[0].retry_count : -1;
	tide_dead_letters_free(&dead);
	return count;
}

static tide_status fail_two(struct witness *witness, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 2)
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "no such customer");
	return TIDE_OK;
}

static struct tide_subscription_config walk_config(void)
{
	struct tide_subscription_config config = quick_config();
	config.max_retries = 3;
	return config;
}

/* ---- A dead letter that has to wait -------------------------------------------------------------------------- */

static void no_transaction_is_open_while_a_dead_letter_waits(void **state)
{
	(void)state;
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = fail_two;
	walk_bad_entries = 3;
	struct tide_subscription_config config = walk_config();
	config.max_retries = 4;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_bad_entries, 0);
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	assert_int_equal(retries, 4);
	assert_int_equal(atomic_load(&walk.witness.calls), 1 + 5 + 2);
	assert_int_equal(walk.records[TIDE_HANDLER_TRANSIENT], 5);
	assert_int_equal(walk.records[TIDE_BUSY], 3);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").events_processed, 4);
	walk_close(&walk);
}

static tide_status refuse_two(struct witness *witness, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)witness;
	if (event->position == 2)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
	return TIDE_OK;
}

/* The first event is settled in the transaction in which the dead letter of the second cannot be written at once. */
struct prefix_case {
	int bad_commits, bad_saves, lost_answers;
	int calls; /* of the handler in the end; the second event has one in any case */
};

static void check_prefix(const struct prefix_case *prefix)
{
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = refuse_two;
	struct tide_subscription_config config = walk_config();
	walk_bad_entries = 3;
	walk_bad_commits = prefix->bad_commits;
	walk_bad_saves = prefix->bad_saves;
	walk_lost_answers = prefix->lost_answers;
	walk_start(&walk, true, &config);
	walk_to_wait(&walk);
	assert_int_equal(walk_bad_entries, 2);
	if (prefix->calls == 4)
		assert_int_equal(saved_position(walk.rig.checkpoints, "Walk"), 1);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_bad_entries + walk_bad_commits + walk_bad_saves + walk_lost_answers, 0);
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	assert_int_equal(retries, 0);
	assert_int_equal(atomic_load(&walk.witness.calls), prefix->calls);
	assert_int_equal(walk.records[TIDE_HANDLER_PERMANENT], 1);
	struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(row.position, 4);
	assert_int_equal(row.events_processed, 4);
	walk_close(&walk);
}

static void what_is_settled_before_a_dead_letter_that_waits_is_committed(void **state)
{
	(void)state;
	check_prefix(&(struct prefix_case){ .calls = 4 });
	check_prefix(&(struct prefix_case){ .lost_answers = 1, .calls = 4 });
	check_prefix(&(struct prefix_case){ .bad_commits = 1, .calls = 5 });
	check_prefix(&(struct prefix_case){ .bad_saves = 1, .calls = 5 });
}

/* Each round settles the first event again before the dead letter fails again: the tries of the latter still end. */
static void a_dead_letter_that_is_never_accepted_ends_the_run_whatever_succeeds_in_between(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = refuse_two;
	struct tide_subscription_config config = walk_config();
	walk_bad_entries = walk_bad_commits = -1;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	struct tide_subscription_status status = status_of(walk.subscription);
	assert_string_equal(status.error.message, "the queue is shut (after 4 attempts)");
	walk_close(&walk);
}

/* The first event's handler changes its mind when it is called again. */
static tide_status fail_late(struct witness *witness, const struct tide_event *event, struct tide_delivery *delivery)
{
	bool is_again = atomic_load(&witness->calls) > 3;
	if (event->position != 3 && !(event->position == 1 && is_again))
		return TIDE_OK;
	tide_delivery_set_stacktrace(delivery, "at fail_late");
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
}

/* The third event waits for its dead letter when the two before it come again: now the first fails, the second is parked. */
static void a_failure_that_is_kept_is_nobody_elses(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 2);
	append_many(walk.rig.store, stream_of("Order", 2), 0, 1);
	walk.witness.decide = fail_late;
	struct tide_subscription_config config = walk_config();
	config.hold_aggregate_on_failure = true;
	walk_bad_entries = walk_bad_commits = 1;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_bad_entries + walk_bad_commits, 0);
	assert_int_equal(atomic_load(&walk.witness.calls), 4);
	struct tide_dead_letter_list dead = dead_letters_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(dead.count, 3);
	assert_string_equal(dead.entries[0].error_message, "no such customer");
	assert_memory_equal(dead.entries[1].error_message, "parked behind event ", 20);
	assert_null(dead.entries[1].error_stacktrace);
	assert_string_equal(dead.entries[2].error_message, "no such customer");
	assert_string_equal(dead.entries[2].error_stacktrace, "at fail_late");
	tide_dead_letters_free(&dead);
	assert_int_equal(walk.records[TIDE_HANDLER_PERMANENT], 2);
	walk_close(&walk);
}

/* ---- A dead letter that is refused --------------------------------------------------------------------------- */

static void check_refused(const char *backend, bool is_transactional, tide_status status, int32_t max_retries)
{
	struct walk walk;
	walk_open(&walk, backend, 4);
	walk.witness.decide = refuse_two;
	struct tide_subscription_config config = walk_config();
	config.max_retries = max_retries;
	walk_bad_entries = -1;
	walk_entry_status = status;
	walk_start(&walk, is_transactional, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	struct tide_subscription_status now = status_of(walk.subscription);
	assert_int_equal(now.error.status, status);
	assert_int_equal(now.events_failed, 1);
	assert_int_equal(now.events_dlq, 0);
	assert_int_equal(now.position, 1);
	assert_int_equal(saved_position(walk.rig.checkpoints, "Walk"), 1);
	assert_int_equal(walk.records[TIDE_HANDLER_PERMANENT], 1);
	assert_int_equal(walk.records[status], status == TIDE_BUSY ? 1 + max_retries : 1);
	struct tide_error_stats stats;
	must(tide_manager_error_stats(walk.rig.manager, "Walk", &stats, err));
	assert_int_equal(stats.dlq_count, 0);
	walk_close(&walk);
}

static void an_event_that_not_even_the_queue_takes_is_recorded_and_counted(void **state)
{
	(void)state;
	check_refused("memory", false, TIDE_BUSY, 2);
	check_refused("memory", false, TIDE_IO, 2);
	check_refused("sqlite", true, TIDE_BUSY, 2);
	check_refused("sqlite", true, TIDE_IO, 2);
	check_refused("sqlite", true, TIDE_BUSY, 0);
}

static void check_text(const char *message, tide_status status, int32_t max_retries, const char *expected)
{
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = refuse_two;
	struct tide_subscription_config config = walk_config();
	config.max_retries = max_retries;
	walk_bad_entries = -1;
	walk_entry_status = status;
	walk_entry_message = message;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	assert_string_equal(status_of(walk.subscription).error.message, expected);
	walk_close(&walk);
}

static void a_write_that_ends_the_run_says_after_how_many_attempts(void **state)
{
	(void)state;
	check_text("shut", TIDE_BUSY, 2, "shut (after 3 attempts)");
	check_text("shut", TIDE_BUSY, 0, "shut (after 1 attempts)");
	check_text("shut", TIDE_IO, 2, "shut (after 1 attempts)");
	/* A text that leaves no room is cut, between two characters. */
	static const char suffix[] = " (after 1 attempts)";
	char message[sizeof((struct tide_error *)0)->message], expected[sizeof message];
	size_t end = sizeof message - sizeof suffix;
	memset(message, 'x', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	memcpy(message + end - 1, "\xc3\xa9", 2);
	memset(expected, 'x', end - 1);
	memcpy(expected + end - 1, suffix, sizeof suffix);
	check_text(message, TIDE_IO, 0, expected);
}

/* ---- The trailing save of an error --------------------------------------------------------------------------- */

static void a_trailing_save_that_fails_is_recorded_and_not_what_is_reported(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = refuse_two;
	struct tide_subscription_config config = walk_config();
	config.continue_on_error = false;
	walk_bad_saves = -1;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	assert_string_equal(status_of(walk.subscription).error.message, "no such customer");
	assert_int_equal(walk.records[TIDE_HANDLER_PERMANENT], 1);
	assert_int_equal(walk.records[TIDE_BUSY], 1);
	walk_close(&walk);
}

/* ---- A pause meanwhile --------------------------------------------------------------------------------------- */

static void check_pause(const char *backend, bool is_transactional)
{
	struct walk walk;
	int32_t retries;
	walk_open(&walk, backend, 4);
	walk.witness.decide = fail_two;
	struct tide_subscription_config config = walk_config();
	walk_bad_entries = 2;
	walk_start(&walk, is_transactional, &config);
	walk_to_wait(&walk);
	while (walk_bad_entries == 2)
		walk_on(&walk);
	assert_true(tide_manager_pause(walk.rig.manager, "Walk", TIDE_PAUSE_MANUAL));
	walk_to_wait(&walk);
	assert_true(tide_manager_resume(walk.rig.manager, "Walk"));
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(atomic_load(&walk.witness.calls), 1 + 4 + 2);
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	assert_int_equal(retries, 3);
	assert_int_equal(walk.records[TIDE_HANDLER_TRANSIENT], 4);
	walk_close(&walk);
}

static void a_pause_before_the_dead_letter_gives_no_further_attempt(void **state)
{
	(void)state;
	check_pause("memory", false);
	check_pause("sqlite", true);
}

/* ---- Whose time it is ---------------------------------------------------------------------------------------- */

static struct walk *walk_now;

/* Longer than a handler may take, while there is something to handle. */
static void walk_take_long(void)
{
	if (walk_now->witness.count < 3)
		walk_now->now_ns += 60 * NS_PER_SECOND;
}

static tide_status walk_read_slowly(void *session, const struct tide_page_query *query, struct tide_page *page,
				    struct tide_error *err)
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
	must(tide_manager_on_error(walk.rig.manager, TIDE_ERRORS_ALL, 0, walk_hear_slowly, NULL, &id, err));
	walk.witness.decide = refuse_two;
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

/* ---- The breaker --------------------------------------------------------------------------------------------- */

static void an_open_breaker_shows_at_once_and_a_backoff_that_is_longer_still_counts(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = fail_two;
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

/* ---- When progress is saved ---------------------------------------------------------------------------------- */

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

/* ---- A stop that gives up ------------------------------------------------------------------------------------ */

static void walk_give_up(struct walk *walk, tide_status expected)
{
	struct tide_error why;
	control_ask_stop(walk->subscription, (struct mono_time){ 1 });
	assert_int_equal(control_wait_stopped(walk->rig.manager, walk->subscription, MONO_NEVER, &why), expected);
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

/* Two events are settled and not saved when the stop gives up: inside the third one's handler, or just behind the second. */
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

/* ---- Ownership ----------------------------------------------------------------------------------------------- */

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
	assert_int_equal(witness_count(&walk.witness), 3 + 2); /* the third one's save was refused */
	struct tide_subscription_status status = status_of(walk.subscription);
	assert_int_equal(status.events_processed, 2);
	assert_true(status.started_at.unix_us >= started_at.unix_us);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").events_processed, 4);
	walk_close(&walk);
}

/* ---- Redelivery ---------------------------------------------------------------------------------------------- */

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
	must(tide_dead_letters_add(walk.rig.checkpoints, "Walk", seen.events[2], "earlier", NULL, 0, &id, err));
	must(tide_dead_letters_retry(walk.rig.checkpoints, dead.entries[0].id, err));
	must(tide_dead_letters_retry(walk.rig.checkpoints, id, err));
	tide_dead_letters_free(&dead);
	walk_to_wait(&walk);
	const tide_position expected[] = { 1, 2, 3, 4, 5, 6, 8, 3, 7 };
	assert_int_equal(walk.witness.count, COUNT(expected));
	assert_memory_equal(walk.witness.positions, expected, sizeof expected);
	walk_close(&walk);
}

/* ---- Counters ------------------------------------------------------------------------------------------------ */

static int walk_metric(struct walk *walk, const char *sample)
{
	char *text;
	must(tide_manager_metrics(walk->rig.manager, &text, err));
	const char *line = strstr(text, sample);
	int value = line ? atoi(line + strlen(sample)) : 0;
	tide_free(text);
	return value;
}

#define WALK_PROCESSED "\ntidemark_events_processed_total{subscription=\"Walk\",event_type=\"Counted\",status="
#define WALK_FAILED                                                                                                    \
	"\ntidemark_events_failed_total{subscription=\"Walk\",event_type=\"Counted\",error_type="                      \
	"\"handler_permanent\"} "

/* The first commit fails: its events come again, and count once; a counter never goes back either. */
static void what_a_transaction_took_back_counts_once(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = refuse_two;
	walk.rig.manager->engine.parts_per_step = 1;
	walk_bad_commits = 1;
	struct tide_subscription_config config = walk_config();
	walk_start(&walk, true, &config);
	for (int steps = 0, last = 0; tide_subscription_state(walk.subscription) != TIDE_STATE_LIVE; steps++) {
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
	assert_int_equal(walk_metric(&walk, "\ntidemark_events_dead_lettered_total{subscription=\"Walk\"} "), 1);
	walk_close(&walk);
}

/* ---- Without memory ------------------------------------------------------------------------------------------ */

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
	walk.subscription->runner.redeliver_at = MONO_NEVER; /* it asks the database for a list */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_transaction_is_open_while_a_dead_letter_waits),
		cmocka_unit_test(what_is_settled_before_a_dead_letter_that_waits_is_committed),
		cmocka_unit_test(a_dead_letter_that_is_never_accepted_ends_the_run_whatever_succeeds_in_between),
		cmocka_unit_test(a_failure_that_is_kept_is_nobody_elses),
		cmocka_unit_test(a_trailing_save_that_fails_is_recorded_and_not_what_is_reported),
		cmocka_unit_test(the_time_of_databases_and_callbacks_is_not_the_handlers),
		cmocka_unit_test(an_open_breaker_shows_at_once_and_a_backoff_that_is_longer_still_counts),
		cmocka_unit_test(an_event_that_not_even_the_queue_takes_is_recorded_and_counted),
		cmocka_unit_test(a_write_that_ends_the_run_says_after_how_many_attempts),
		cmocka_unit_test(a_pause_before_the_dead_letter_gives_no_further_attempt),
		cmocka_unit_test(pages_are_saved_whole_however_long_they_take),
		cmocka_unit_test(what_is_settled_is_saved_when_a_stop_gives_up),
		cmocka_unit_test(who_stands_by_again_begins_to_count_anew),
		cmocka_unit_test(redeliveries_come_in_the_order_of_their_events),
		cmocka_unit_test(what_a_transaction_took_back_counts_once),
		cmocka_unit_test(a_live_subscription_without_a_window_reads_the_store_and_rests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

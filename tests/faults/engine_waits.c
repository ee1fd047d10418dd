/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscription holds while it waits to try a write again, what it keeps over the wait, and
 * how it ends when the write fails for good.
 */
#include <string.h>

#include "walk.h"

/* ---- A dead letter that has to wait ---------------------------------------------------------- */

static void no_transaction_is_open_while_a_dead_letter_waits(void **state)
{
	(void)state;
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = walk_fail_two;
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

/* The first event is settled in the transaction in which the dead letter of the second cannot be
 * written at once. */
struct prefix_case {
	int bad_commits, bad_saves, lost_answers;
	int calls; /* of the handler in the end; the second event has one in any case */
};

static void check_prefix(const struct prefix_case *prefix)
{
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = walk_refuse_two;
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
	assert_int_equal(walk_bad_entries + walk_bad_commits + walk_bad_saves + walk_lost_answers,
			 0);
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

/* Each round settles the first event again before the dead letter fails again: the tries of the
 * latter still end. */
static void a_dead_letter_that_nobody_takes_ends_the_run_whatever_succeeds_in_between(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = walk_refuse_two;
	struct tide_subscription_config config = walk_config();
	walk_bad_entries = walk_bad_commits = -1;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	struct tide_subscription_status status = status_of(walk.subscription);
	assert_string_equal(status.error.message, "the queue is shut (after 4 attempts)");
	walk_close(&walk);
}

/* The first event's handler changes its mind when it is called again. */
static tide_status fail_late(struct witness *witness, const struct tide_event *event,
			     struct tide_delivery *delivery)
{
	bool is_again = atomic_load(&witness->calls) > 3;
	if (event->position != 3 && !(event->position == 1 && is_again))
		return TIDE_OK;
	tide_delivery_set_stacktrace(delivery, "at fail_late");
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "no such customer");
}

/* The third event waits for its dead letter when the two before it come again: now the first fails,
 * the second is parked. */
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

/* ---- A dead letter that is refused ----------------------------------------------------------- */

static void check_refused(const char *backend, bool is_transactional, tide_status status,
			  int32_t max_retries)
{
	struct walk walk;
	walk_open(&walk, backend, 4);
	walk.witness.decide = walk_refuse_two;
	struct tide_subscription_config config = walk_config();
	config.max_infrastructure_retries = max_retries;
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

/* `first` is what the first attempt fails with; TIDE_OK: the same as the others. */
static void check_text_after(tide_status first, const char *message, tide_status status,
			     int32_t max_retries, const char *expected)
{
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = walk_refuse_two;
	struct tide_subscription_config config = walk_config();
	config.max_infrastructure_retries = max_retries;
	walk_bad_entries = -1;
	walk_entry_status = status;
	walk_entry_first = first;
	walk_entry_message = message;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	assert_string_equal(status_of(walk.subscription).error.message, expected);
	walk_close(&walk);
}

static void check_text(const char *message, tide_status status, int32_t max_retries,
		       const char *expected)
{
	check_text_after(TIDE_OK, message, status, max_retries, expected);
}

static void a_write_that_ends_the_run_says_after_how_many_attempts(void **state)
{
	(void)state;
	check_text("shut", TIDE_BUSY, 2, "shut (after 3 attempts)");
	check_text("shut", TIDE_BUSY, 0, "shut");
	check_text("shut", TIDE_IO, 2, "shut");
	check_text_after(TIDE_BUSY, "shut", TIDE_IO, 2, "shut (after 2 attempts)");
	check_text_after(TIDE_BUSY, "the store went back", TIDE_DIVERGED, 2, "the store went back");
	/* A text that leaves no room is cut, between two characters. */
	static const char suffix[] = " (after 2 attempts)";
	char message[sizeof((struct tide_error *)0)->message], expected[sizeof message];
	size_t end = sizeof message - sizeof suffix;
	memset(message, 'x', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	memcpy(message + end - 1, "\xc3\xa9", 2);
	memset(expected, 'x', end - 1);
	memcpy(expected + end - 1, suffix, sizeof suffix);
	check_text(message, TIDE_BUSY, 1, expected);
}

/* ---- The trailing save of an error ----------------------------------------------------------- */

static void a_trailing_save_that_fails_is_recorded_and_not_what_is_reported(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 4);
	walk.witness.decide = walk_refuse_two;
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

/* ---- A pause meanwhile ----------------------------------------------------------------------- */

static void check_pause(const char *backend, bool is_transactional)
{
	struct walk walk;
	int32_t retries;
	walk_open(&walk, backend, 4);
	walk.witness.decide = walk_fail_two;
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

/* ---- A wait before anything is settled ------------------------------------------------------- */

static tide_status fail_first_twice(struct witness *witness, const struct tide_event *event,
				    struct tide_delivery *delivery)
{
	int *failures = witness->more;
	if (event->position == 1 && (*failures)++ < 2)
		return tide_delivery_fail(delivery, TIDE_HANDLER_TRANSIENT, "not yet");
	return TIDE_OK;
}

/* What is committed over the backoff moves nothing, and so leaves no row. */
static void a_first_event_that_is_tried_again_begins_the_checkpoint(void **state)
{
	(void)state;
	static const char *const backends[] = { "sqlite", "memory" };
	for (size_t i = 0; i < 2; i++) {
		struct walk walk;
		int failures = 0;
		walk_open(&walk, backends[i], 3);
		walk.witness.decide = fail_first_twice;
		walk.witness.more = &failures;
		struct tide_subscription_config config = walk_config();
		config.circuit_breaker_enabled = false;
		walk_start(&walk, i == 0, &config);
		walk_until(&walk, TIDE_STATE_LIVE);
		assert_int_equal(failures, 3);
		struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
		assert_int_equal(row.position, 3);
		assert_int_equal(row.events_processed, 3);
		walk_close(&walk);
	}
}

/* ---- A save beside a handler ----------------------------------------------------------------- */

static int lost_saves; /* of the next ones, the answers */

static tide_status save_without_answer(void *session, const struct tide_fence *fence,
				       const struct tide_checkpoint_write *write,
				       struct tide_error *err)
{
	tide_status status = walk_real.checkpoint.save(session, fence, write, err);
	if (status == TIDE_OK && lost_saves > 0) {
		lost_saves--;
		return tide_fail(err, TIDE_CONNECTION_LOST, "the answer got lost");
	}
	return status;
}

/* A shutdown that waits for the third call saves what the two before it have settled. */
static tide_status save_beside_third(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	(void)delivery;
	struct walk *walk = witness->more;
	if (event->position == 3) {
		assert_false(run_save_prefix(walk->subscription));
		assert_int_equal(lost_saves, 0);
		assert_int_equal(saved_position(walk->rig.checkpoints, "Walk"), 2);
	}
	return TIDE_OK;
}

static void a_save_beside_a_handler_whose_answer_is_lost_counts_its_events_once(void **state)
{
	(void)state;
	static const char *const backends[] = { "sqlite", "memory" };
	for (size_t i = 0; i < 2; i++) {
		struct walk walk;
		walk_open(&walk, backends[i], 4);
		walk_backend.checkpoint.save = save_without_answer;
		walk.witness.decide = save_beside_third;
		walk.witness.more = &walk;
		lost_saves = 1;
		struct tide_subscription_config config = walk_config();
		walk_start(&walk, false, &config);
		walk_until(&walk, TIDE_STATE_LIVE);
		assert_int_equal(atomic_load(&walk.witness.calls), 4);
		struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
		assert_int_equal(row.position, 4);
		assert_int_equal(row.events_processed, 4);
		walk_close(&walk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_event_that_is_tried_again_begins_the_checkpoint),
		cmocka_unit_test(no_transaction_is_open_while_a_dead_letter_waits),
		cmocka_unit_test(what_is_settled_before_a_dead_letter_that_waits_is_committed),
		cmocka_unit_test(
			a_dead_letter_that_nobody_takes_ends_the_run_whatever_succeeds_in_between),
		cmocka_unit_test(a_failure_that_is_kept_is_nobody_elses),
		cmocka_unit_test(an_event_that_not_even_the_queue_takes_is_recorded_and_counted),
		cmocka_unit_test(a_write_that_ends_the_run_says_after_how_many_attempts),
		cmocka_unit_test(a_trailing_save_that_fails_is_recorded_and_not_what_is_reported),
		cmocka_unit_test(a_pause_before_the_dead_letter_gives_no_further_attempt),
		cmocka_unit_test(
			a_save_beside_a_handler_whose_answer_is_lost_counts_its_events_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that are lost at the worst moment: what was lost with them comes again, counts once,
 * and comes to an end.
 */
#include <string.h>

#include "walk.h"

/* ---- Handlers that take their connection with them ------------------------------------------- */

static bool is_lost;
static int thirds; /* calls with the third event */

static tide_status losing_check(void *session, struct tide_error *err)
{
	if (is_lost)
		return tide_fail(err, TIDE_CONNECTION_LOST, "the server is gone");
	return walk_real.store.check(session, err);
}

/* The third event, and the seventh. */
static tide_status lose_two(struct witness *witness, const struct tide_event *event,
			    struct tide_delivery *delivery)
{
	(void)witness;
	(void)delivery;
	is_lost = event->position == 3 || event->position == 7;
	return TIDE_OK;
}

/* The seventh event always, and the third at each other call. */
static tide_status lose_by_turns(struct witness *witness, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	(void)witness;
	(void)delivery;
	thirds += event->position == 3;
	is_lost = event->position == 7 || (event->position == 3 && thirds % 2 == 1);
	return TIDE_OK;
}

static tide_status lose_three(struct witness *witness, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)witness;
	(void)delivery;
	is_lost = is_lost || event->position == 3;
	return TIDE_OK;
}

static tide_status lose_batch(void *self, const struct tide_event *const *events, size_t count,
			      struct tide_delivery *delivery)
{
	struct witness *witness = self;
	is_lost = false;
	for (size_t i = 0; i < count; i++)
		(void)witness->decide(witness, events[i], delivery);
	atomic_fetch_add(&witness->calls, 1);
	return TIDE_OK;
}

static void check_losers(tide_status (*decide)(struct witness *, const struct tide_event *,
					       struct tide_delivery *),
			 size_t losers)
{
	bool is_batch = decide == lose_three;
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 8);
	walk_backend.store.check = losing_check;
	walk.witness.decide = decide;
	struct tide_subscription_config config = walk_config();
	config.circuit_breaker_enabled = false;
	struct tide_subscriber subscriber = witness_single("Walk", &walk.witness);
	subscriber.transactional = true;
	if (is_batch) {
		subscriber.handle = NULL;
		subscriber.handle_batch = lose_batch;
	}
	must(tide_manager_subscribe(walk.rig.manager, &subscriber, &config, &walk.subscription,
				    err));
	must(tide_manager_start(walk.rig.manager, NULL, 0, NULL, NULL, err));
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_dead_letters(&walk, &retries), losers);
	assert_int_equal(retries, config.max_retries);
	struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(row.position, 8);
	assert_int_equal(row.events_processed, 8);
	walk_close(&walk);
}

static void two_events_of_one_page_that_lose_their_connection_come_to_an_end(void **state)
{
	(void)state;
	check_losers(lose_two, 2);
}

static void an_event_keeps_its_attempts_while_another_loses_the_connection(void **state)
{
	(void)state;
	thirds = 0;
	check_losers(lose_by_turns, 2);
}

static void an_event_of_a_split_batch_that_loses_its_connection_comes_to_an_end(void **state)
{
	(void)state;
	check_losers(lose_three, 1);
}

/* The third event fails; of what comes after that only the first of a call is handled. */
static tide_status refuse_third_and_take_one(void *self, const struct tide_event *const *events,
					     size_t count, struct tide_delivery *delivery)
{
	(void)self;
	bool is_again = thirds > 0, is_third = false;
	for (size_t i = 0; i < count; i++)
		is_third = is_third || events[i]->position == 3;
	thirds += is_third;
	if (is_third)
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as told");
	if (is_again)
		tide_delivery_take(delivery, 1, 0);
	return TIDE_OK;
}

static void a_failed_event_that_comes_again_behind_others_is_not_handled_again(void **state)
{
	(void)state;
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 3);
	thirds = 0;
	walk_bad_entries = 1;
	walk_entry_status = TIDE_CONNECTION_LOST;
	struct tide_subscription_config config = walk_config();
	struct tide_subscriber subscriber = { .name = "Walk",
					      .handle_batch = refuse_third_and_take_one,
					      .transactional = true,
					      .batch_events = 2 };
	must(tide_manager_subscribe(walk.rig.manager, &subscriber, &config, &walk.subscription,
				    err));
	must(tide_manager_start(walk.rig.manager, NULL, 0, NULL, NULL, err));
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(walk_bad_entries, 0);
	assert_int_equal(thirds, 1);
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").position, 3);
	walk_close(&walk);
}

/* ---- Saves beside a handler ------------------------------------------------------------------ */

static int saves_to_lose;
static bool are_made; /* and only their answers are lost */

static tide_status losing_save(void *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, struct tide_error *err)
{
	bool loses = saves_to_lose > 0;
	saves_to_lose -= loses;
	tide_status status = loses && !are_made
				     ? TIDE_OK
				     : walk_real.checkpoint.save(session, fence, write, err);
	return loses && status == TIDE_OK
		       ? tide_fail(err, TIDE_CONNECTION_LOST, "the answer got lost")
		       : status;
}

static tide_status save_beside_three(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	struct walk *walk = witness->more;
	(void)delivery;
	if (event->position != 3)
		return TIDE_OK;
	run_ask_stop(walk->subscription, MONO_NEVER);
	for (int i = 0; i < 2; i++)
		control_save_aside(walk->rig.manager, walk->subscription, MONO_NEVER);
	return TIDE_OK;
}

static void check_beside(int to_lose, bool is_made)
{
	struct walk walk;
	walk_open(&walk, "memory", 4);
	saves_to_lose = to_lose;
	are_made = is_made;
	walk_backend.checkpoint.save = losing_save;
	walk.witness.decide = save_beside_three;
	walk.witness.more = &walk;
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.checkpoint_interval_seconds = 1000;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_STOPPED);
	assert_int_equal(saves_to_lose, 0);
	struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(row.position, 3);
	assert_int_equal(row.events_processed, 3);
	assert_int_equal(walk.subscription->metrics.checkpoint_failures, to_lose);
	walk_close(&walk);
}

static void a_save_beside_a_handler_whose_answer_is_lost_counts_once(void **state)
{
	(void)state;
	for (int to_lose = 0; to_lose <= 2; to_lose++) {
		check_beside(to_lose, true);
		check_beside(to_lose, false);
	}
}

/* Everything once more, up to where the row is already. */
static void check_replayed(bool is_made)
{
	struct walk walk;
	walk_open(&walk, "memory", 4);
	must(tide_checkpoints_save(walk.rig.checkpoints, "Walk",
				   &(struct tide_progress){ .position = 4, .count = 4 }, err));
	saves_to_lose = 1;
	are_made = is_made;
	walk_backend.checkpoint.save = losing_save;
	struct tide_subscription_config config = walk_config();
	config.start_from = TIDE_START_BEGINNING;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(saves_to_lose, 0);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").events_processed, 8);
	walk_close(&walk);
}

static void a_save_that_moves_nothing_and_whose_answer_is_lost_counts_once(void **state)
{
	(void)state;
	check_replayed(true);
	check_replayed(false);
}

static tide_status save_beside_five(struct witness *witness, const struct tide_event *event,
				    struct tide_delivery *delivery)
{
	struct walk *walk = witness->more;
	(void)delivery;
	if (event->position == 5)
		control_save_aside(walk->rig.manager, walk->subscription, MONO_NEVER);
	return TIDE_OK;
}

/* Every wait ends later than it began, also when the time of a look has come. */
static void an_idle_run_that_does_not_know_its_save_sleeps_until_it_finds_out(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "memory", 3);
	walk_backend.checkpoint.save = losing_save;
	walk.witness.decide = save_beside_five;
	walk.witness.more = &walk;
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = TIDE_PERIODIC;
	config.checkpoint_interval_seconds = 30;
	saves_to_lose = 0;
	walk_start(&walk, false, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	saves_to_lose = 1;
	are_made = true;
	append_many(walk.rig.store, stream_of("Order", 1), 3, 2);
	walk_to_wait(&walk);
	assert_int_equal(saves_to_lose, 0);
	assert_true(walk.subscription->runner.save.is_unknown);

	int64_t began = walk.now_ns;
	while (walk.now_ns - began < 20 * NS_PER_SECOND)
		walk_on(&walk);
	assert_true(walk.subscription->runner.save.is_unknown);
	while (walk.subscription->runner.save.is_unknown &&
	       walk.now_ns - began < 60 * NS_PER_SECOND)
		walk_on(&walk);
	struct tide_checkpoint row = checkpoint_of(walk.rig.checkpoints, "Walk");
	assert_int_equal(row.position, 5);
	assert_int_equal(row.events_processed, 5);
	walk_close(&walk);
}

/* ---- A row that went back -------------------------------------------------------------------- */

static tide_status lose_second_twice(struct witness *witness, const struct tide_event *event,
				     struct tide_delivery *delivery)
{
	(void)witness;
	(void)delivery;
	is_lost = event->position == 2 && ++thirds <= 2;
	return TIDE_OK;
}

/* Everything behind the row is delivered as if for the first time. */
static void a_run_that_begins_again_has_all_attempts_again(void **state)
{
	(void)state;
	struct walk walk;
	walk_open(&walk, "sqlite", 3);
	walk_backend.store.check = losing_check;
	walk.witness.decide = lose_second_twice;
	is_lost = false;
	thirds = 0;
	struct tide_subscription_config config = walk_config();
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	walk_start(&walk, true, &config);
	walk_to_wait(&walk);
	while (thirds < 2)
		walk_on(&walk);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").position, 1);
	assert_int_equal(sqlite3_exec(walk.outside,
				      "UPDATE projection_checkpoints SET global_position = 0", NULL,
				      NULL, NULL),
			 SQLITE_OK);

	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(thirds, 3);
	size_t last = walk.witness.count - 1;
	assert_int_equal(walk.witness.positions[last - 2], 1);
	assert_int_equal(walk.witness.positions[last - 1], 2);
	assert_int_equal(walk.witness.attempts[last - 1], 1);
	assert_int_equal(walk.witness.positions[last], 3);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").position, 3);
	walk_close(&walk);
}

/* ---- A transaction that is lost with the run ------------------------------------------------- */

#define LOSSES_FAILED                                                                              \
	"\ntidemark_events_failed_total{subscription=\"Walk\",event_type=\"Counted\",error_type="  \
	"\"handler_permanent\"} 1\n"

/* Neither the queue takes the second event, nor can what was settled before it be committed. */
static void the_event_that_ends_the_run_has_failed_whatever_becomes_of_its_transaction(void **state)
{
	(void)state;
	struct walk walk;
	char *text;
	walk_open(&walk, "sqlite", 4);
	walk.witness.decide = walk_refuse_two;
	struct tide_subscription_config config = walk_config();
	walk_bad_entries = walk_bad_commits = -1;
	walk_entry_status = TIDE_IO;
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_ERROR);
	assert_int_equal(status_of(walk.subscription).events_failed, 1);
	assert_int_equal(status_of(walk.subscription).events_processed, 0);
	must(tide_manager_metrics(walk.rig.manager, &text, err));
	assert_non_null(strstr(text, LOSSES_FAILED));
	tide_free(text);
	walk_close(&walk);
}

/* ---- An event that cannot be committed ------------------------------------------------------- */

static int refusals; /* of transactions in which the second event was handled */
static int burials_to_lose;
static bool is_two_handled;

static tide_status refusing_commit(void *session, struct tide_error *err)
{
	bool is_refused = is_two_handled;
	is_two_handled = false;
	refusals += is_refused;
	if (is_refused)
		return tide_fail(err, TIDE_ARGUMENT, "the second event breaks a rule");
	bool is_burial_lost = refusals == 2 && burials_to_lose > 0;
	burials_to_lose -= is_burial_lost;
	if (is_burial_lost)
		return tide_fail(err, TIDE_CONNECTION_LOST, "the server is gone");
	return walk_real.store.commit(session, err);
}

static tide_status handle_two(struct witness *witness, const struct tide_event *event,
			      struct tide_delivery *delivery)
{
	(void)witness;
	(void)delivery;
	is_two_handled = is_two_handled || event->position == 2;
	return TIDE_OK;
}

/* With the page, then by itself, then as a dead letter: the second time after a lost connection. */
static void an_event_that_is_buried_is_not_handled_when_that_is_lost(void **state)
{
	(void)state;
	struct walk walk;
	int32_t retries;
	walk_open(&walk, "sqlite", 3);
	walk_backend.store.commit = refusing_commit;
	walk.witness.decide = handle_two;
	refusals = 0;
	burials_to_lose = 1;
	is_two_handled = false;
	struct tide_subscription_config config = walk_config();
	walk_start(&walk, true, &config);
	walk_until(&walk, TIDE_STATE_LIVE);
	assert_int_equal(refusals, 2);
	assert_int_equal(burials_to_lose, 0);
	assert_int_equal(walk_dead_letters(&walk, &retries), 1);
	assert_int_equal(checkpoint_of(walk.rig.checkpoints, "Walk").position, 3);
	walk_close(&walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_events_of_one_page_that_lose_their_connection_come_to_an_end),
		cmocka_unit_test(an_event_keeps_its_attempts_while_another_loses_the_connection),
		cmocka_unit_test(an_event_that_is_buried_is_not_handled_when_that_is_lost),
		cmocka_unit_test(
			an_event_of_a_split_batch_that_loses_its_connection_comes_to_an_end),
		cmocka_unit_test(
			a_failed_event_that_comes_again_behind_others_is_not_handled_again),
		cmocka_unit_test(a_save_beside_a_handler_whose_answer_is_lost_counts_once),
		cmocka_unit_test(a_save_that_moves_nothing_and_whose_answer_is_lost_counts_once),
		cmocka_unit_test(an_idle_run_that_does_not_know_its_save_sleeps_until_it_finds_out),
		cmocka_unit_test(a_run_that_begins_again_has_all_attempts_again),
		cmocka_unit_test(
			the_event_that_ends_the_run_has_failed_whatever_becomes_of_its_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

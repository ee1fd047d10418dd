/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that fail: what becomes of the event, of the position, and of what can be asked
 * afterwards. */
#include <stdio.h>
#include <string.h>

#include "conformance/recorder.h"

/** Which events fail, how, and how often. */
struct failing {
	tide_position first, second; /* positions; 0: none */
	tide_status status;
	int32_t times; /* attempts that fail; < 0: all */
	atomic_bool is_healed;
	const char *words; /* of the failure; NULL: "cannot take N" */
	const char *trace; /* NULL: "somewhere deep" */
};

static tide_status judge_failing(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct failing *failing = recorder->self;
	if (failing->is_healed ||
	    (event->position != failing->first && event->position != failing->second))
		return TIDE_OK;
	if (failing->times >= 0 && tide_delivery_attempt(delivery) > failing->times)
		return TIDE_OK;
	tide_delivery_set_stacktrace(delivery, failing->trace ? failing->trace : "somewhere deep");
	if (failing->words)
		return tide_delivery_fail(delivery, failing->status, "%s", failing->words);
	return tide_delivery_fail(delivery, failing->status, "cannot take %d",
				  (int)event->position);
}

/** A subscription of a failing handler over ten events in two streams: odd positions Order/1, even
 * Order/2. */
struct trial {
	struct recorder *recorder;
	struct failing failing;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	struct tide_subscription_config config;
	struct tide_subscriber subscriber;
};

static void trial_prepare(struct trial *t, struct fixture *f)
{
	for (unsigned i = 1; i <= 10; i++)
		append_one(f->store, stream_of("Order", 2 - i % 2), "A");
	memset(t, 0, sizeof *t);
	t->recorder = recorder_new();
	t->recorder->judge = judge_failing;
	t->recorder->self = &t->failing;
	t->config = quick_config();
	t->subscriber = subscriber_of("p", t->recorder);
}

static void trial_start(struct trial *t, struct fixture *f)
{
	t->manager = manager_of(f->store);
	t->subscription = subscribe(t->manager, &t->subscriber, &t->config);
	/* a handler may have failed before this returns; what became of it is asked of the
	 * subscription */
	(void)tide_manager_start(t->manager, NULL, 0, NULL, NULL, NULL);
}

static void trial_end(struct trial *t)
{
	tide_manager_close(t->manager);
	recorder_free(t->recorder);
}

static void permanent_failure_is_dead_lettered_and_passed(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 4, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	SEEN all = see(f->store, NULL);
	assert_int_equal(letters.count, 1);
	const struct tide_dead_letter *letter = &letters.entries[0];
	assert_true(tide_uuid_equal(&letter->event_id, &all.events[3]->event_id));
	assert_string_equal(letter->error_message, "cannot take 4");
	assert_string_equal(letter->error_stacktrace, "somewhere deep");
	assert_string_equal(letter->event_type, "A");
	assert_int_equal(letter->retry_count, 0);
	assert_int_equal(letter->status, TIDE_DEAD_LETTER_FAILED);
	char *json;
	must(tide_event_to_json(all.events[3], &json, err));
	same_json(tide_text(letter->event_data), json);
	tide_free(json);
	tide_dead_letters_free(&letters);
	struct tide_subscription_status status = status_of(t.subscription);
	assert_int_equal(status.events_failed, 1);
	assert_int_equal(status.events_dlq, 1);
	assert_int_equal(status.events_processed, 10);
	trial_end(&t);
	assert_int_equal(row_of(f, "p").position, 10);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

static void transient_failure_is_tried_again_while_the_position_is_held(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 2, .status = TIDE_HANDLER_TRANSIENT, .times = 2 };
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	for (int attempt = 1; attempt <= 3; attempt++)
		assert_int_equal(t.recorder->calls[attempt].attempt, attempt);
	assert_int_equal(t.recorder->calls[4].attempt, 1);
	assert_int_equal(status_of(t.subscription).events_failed, 0);
	trial_end(&t);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 0);
	tide_dead_letters_free(&letters);
}

static void exhausted_retries_are_dead_lettered_with_their_count(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 9, .status = TIDE_BUSY, .times = -1 };
	t.config.max_retries = 3;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 10);
	trial_end(&t);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	assert_int_equal(letters.entries[0].retry_count, 3);
	tide_dead_letters_free(&letters);
}

static void failure_without_continuing_ends_in_error_behind_the_prefix(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 6, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.continue_on_error = false;
	trial_start(&t, f);
	must(tide_subscription_wait_state(t.subscription, TIDE_STATE_ERROR, 30, err));
	delivered(t.recorder, 1, 2, 3, 4, 5, 6);
	struct tide_subscription_status status = status_of(t.subscription);
	assert_int_equal(status.position, 5);
	assert_int_equal(status.error.status, TIDE_HANDLER_PERMANENT);
	must_mention(&status.error, "cannot take 6");
	assert_int_equal(row_of(f, "p").position, 5);
	assert_int_equal(row_of(f, "p").events_processed, 5);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 0);
	tide_dead_letters_free(&letters);
	recorder_forget(t.recorder);
	t.failing.is_healed = true;
	must(tide_manager_restart(t.manager, "p", err));
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 6, 7, 8, 9, 10);
	trial_end(&t);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

static void discarded_failures_are_dropped_and_counted(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 6, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.discard_failed_events = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	struct tide_subscription_status status = status_of(t.subscription);
	assert_int_equal(status.events_discarded, 1);
	assert_int_equal(status.events_failed, 1);
	assert_int_equal(status.events_dlq, 0);
	trial_end(&t);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 0);
	tide_dead_letters_free(&letters);
	assert_int_equal(row_of(f, "p").position, 10);
	assert_int_equal(row_of(f, "p").events_processed, 9);
}

static void failing_batch_is_delivered_again_one_by_one(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){
		.first = 4, .second = 7, .status = TIDE_HANDLER_PERMANENT, .times = -1
	};
	t.subscriber = batch_subscriber_of("p", t.recorder);
	t.config.batch_size = 10;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(t.recorder->calls[i].batch, i < 10 ? 10 : 1);
	trial_end(&t);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 2);
	tide_dead_letters_free(&letters);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

/* ---- Redelivery ------------------------------------------------------------------------------ */

static struct tide_dead_letter_list letter_of(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list found = { 0 };
	must(tide_dead_letters_get(f->checkpoints, id, &found, err));
	return found;
}

static enum tide_dead_letter_status letter_status(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list found = letter_of(f, id);
	enum tide_dead_letter_status status = found.entries[0].status;
	tide_dead_letters_free(&found);
	return status;
}

static int32_t letter_retries(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list found = letter_of(f, id);
	int32_t retries = found.entries[0].retry_count;
	tide_dead_letters_free(&found);
	return retries;
}

static void retried_dead_letter_is_delivered_and_resolved(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 4, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	int64_t id = letters.entries[0].id;
	tide_dead_letters_free(&letters);

	recorder_forget(t.recorder);
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	wait_for(20, letter_status(f, id) == TIDE_DEAD_LETTER_FAILED);
	letters = letter_of(f, id);
	assert_int_equal(letters.entries[0].retry_count, 1);
	tide_dead_letters_free(&letters);
	delivered(t.recorder, 4);

	t.failing.is_healed = true;
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	wait_for(20, letter_status(f, id) == TIDE_DEAD_LETTER_RESOLVED);
	delivered(t.recorder, 4, 4);
	letters = letter_of(f, id);
	assert_string_equal(letters.entries[0].resolved_by, "retry");
	tide_dead_letters_free(&letters);
	assert_int_equal(status_of(t.subscription).position, 10);
	trial_end(&t);
	assert_int_equal(row_of(f, "p").events_processed, 10);
}

static void dead_letter_marked_while_nobody_owns_is_delivered_at_the_next_start(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){
		.first = 4, .second = 8, .status = TIDE_HANDLER_PERMANENT, .times = -1
	};
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	stop(t.manager);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 2);
	int64_t ids[2] = { letters.entries[0].id, letters.entries[1].id };
	tide_dead_letters_free(&letters);
	recorder_forget(t.recorder);
	t.failing.is_healed = true;
	for (int i = 0; i < 2; i++)
		must(tide_dead_letters_retry(f->checkpoints, ids[i], err));
	assert_int_equal(letter_status(f, ids[0]), TIDE_DEAD_LETTER_RETRYING);
	tide_manager_close(t.manager);
	t.config.start_from = TIDE_START_CHECKPOINT;
	trial_start(&t, f);
	for (int i = 0; i < 2; i++)
		wait_for(20, letter_status(f, ids[i]) == TIDE_DEAD_LETTER_RESOLVED);
	delivered(t.recorder, 4, 8);
	trial_end(&t);
}

/* More than are looked up at a time, asked for from the last to the first. */
static void any_number_of_requests_is_delivered_in_the_order_of_the_events(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	append_many(f->store, stream_of("Order", 3), 1, 210);
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	tide_manager_close(t.manager);
	recorder_forget(t.recorder);
	SEEN seen = see(f->store, NULL);
	for (size_t i = seen.count; i-- > 0;) {
		int64_t id;
		must(tide_dead_letters_add(f->checkpoints, "p", seen.events[i], "to be seen again",
					   NULL, 0, &id, err));
		must(tide_dead_letters_retry(f->checkpoints, id, err));
	}
	t.config.start_from = TIDE_START_CHECKPOINT;
	trial_start(&t, f);
	wait_for(20, recorder_count(t.recorder) == seen.count);
	delivered_all_after(t.recorder, f->store, 0);
	trial_end(&t);
}

static void failing_event_never_takes_the_checkpoint_back(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 10 },
				   err));
	t.failing = (struct failing){ .first = 1, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.continue_on_error = false;
	trial_start(&t, f);
	wait_for(20, status_of(t.subscription).state == TIDE_STATE_ERROR);
	delivered(t.recorder, 1);
	trial_end(&t);
	assert_int_equal(row_of(f, "p").position, 10);
}

/* ---- Held aggregates ------------------------------------------------------------------------- */

static void failed_aggregate_is_held_and_released_in_order(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 5, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 8, 10);
	struct tide_subscription_status status = status_of(t.subscription);
	assert_int_equal(status.events_failed, 1);
	assert_int_equal(status.events_dlq, 3);
	assert_int_equal(status.events_processed, 10);
	SEEN all = see(f->store, NULL);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 3);
	char parked[80], id[TIDE_UUID_TEXT_SIZE];
	snprintf(parked, sizeof parked, "parked behind event %s",
		 tide_uuid_format(&all.events[4]->event_id, id));
	assert_string_equal(letters.entries[0].error_message, parked);
	assert_string_equal(letters.entries[1].error_message, parked);
	assert_string_equal(letters.entries[2].error_message, "cannot take 5");
	assert_int_equal(letters.entries[0].retry_count, 0);
	tide_uuid_format(&all.events[4]->event_id, id);
	assert_string_equal(letters.entries[0].parked_behind, id);
	assert_string_equal(letters.entries[1].parked_behind, id);
	assert_null(letters.entries[2].parked_behind);
	int64_t ids[3];
	for (int i = 0; i < 3; i++)
		ids[i] = letters.entries[i].id;
	tide_dead_letters_free(&letters);
	refused(TIDE_STATE, tide_dead_letters_retry(f->checkpoints, ids[0], err));

	recorder_forget(t.recorder);
	t.failing.is_healed = true;
	must(tide_dead_letters_retry(f->checkpoints, ids[2], err));
	for (int i = 0; i < 3; i++)
		wait_for(20, letter_status(f, ids[i]) == TIDE_DEAD_LETTER_RESOLVED);
	delivered(t.recorder, 5, 7, 9);
	append_one(f->store, stream_of("Order", 1), "A");
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 5, 7, 9, 11);
	trial_end(&t);
}

/* Rows of both spellings are one aggregate, also in the queue that another run finds. */
static void aggregate_in_upper_case_is_held_and_released_in_order(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	fixture_sql(f, "UPDATE events SET event_id = upper(event_id), aggregate_id = "
		       "upper(aggregate_id) WHERE global_position IN (5, 9)");
	t.failing = (struct failing){ .first = 5, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 8, 10);
	tide_manager_close(t.manager);

	fixture_sql(f, "UPDATE dead_letter_queue SET event_id = upper(event_id), parked_behind = "
		       "upper(parked_behind)");
	append_one(f->store, stream_of("Order", 1), "A");
	recorder_forget(t.recorder);
	t.config.start_from = TIDE_START_CHECKPOINT;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered_nothing(t.recorder);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 4);
	int64_t newest = letters.entries[0].id, head = letters.entries[3].id;
	refused(TIDE_STATE, tide_dead_letters_retry(f->checkpoints, letters.entries[1].id, err));
	tide_dead_letters_free(&letters);

	t.failing.is_healed = true;
	must(tide_dead_letters_retry(f->checkpoints, head, err));
	wait_for(20, letter_status(f, newest) == TIDE_DEAD_LETTER_RESOLVED);
	delivered(t.recorder, 5, 7, 9, 11);
	trial_end(&t);
}

/* One id under two types is two aggregates. */
static void aggregate_of_another_type_is_not_held(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	append_one(f->store, stream_of("Order", 1), "A");
	append_one(f->store, stream_of("Invoice", 1), "A");
	append_one(f->store, stream_of("Order", 1), "A");
	t.failing = (struct failing){ .first = 11, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	assert_int_equal(status_of(t.subscription).events_dlq, 2);
	trial_end(&t);
}

/* A batch leaves out what is held: of the failed one's aggregate nothing is delivered. */
static void held_event_is_left_out_of_a_batch(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 1, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.subscriber = batch_subscriber_of("p", t.recorder);
	t.config.batch_size = 10;
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	recorder_forget(t.recorder);
	append_many(f->store, stream_of("Order", 2), 20, 3);
	append_many(f->store, stream_of("Order", 1), 20, 3);
	append_many(f->store, stream_of("Order", 2), 30, 3);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 11, 12, 13, 17, 18, 19);
	trial_end(&t);
}

/* Of one that was due: the head failed again in its place, and what is behind it goes back. */
static void due_entry_that_fails_is_the_new_head(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 5, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 3);
	int64_t nine = letters.entries[0].id, seven = letters.entries[1].id,
		five = letters.entries[2].id;
	tide_dead_letters_free(&letters);
	t.failing.first = 7;
	must(tide_dead_letters_discard(f->checkpoints, five, err));
	wait_for(20, letter_retries(f, seven) == 1 &&
			     letter_status(f, nine) == TIDE_DEAD_LETTER_FAILED);
	SEEN all = see(f->store, NULL);
	char id[TIDE_UUID_TEXT_SIZE];
	letters = letters_of(f, "p");
	assert_int_equal(letters.count, 2);
	assert_string_equal(letters.entries[0].parked_behind,
			    tide_uuid_format(&all.events[6]->event_id, id));
	assert_null(letters.entries[1].parked_behind);
	assert_string_equal(letters.entries[1].error_message, "cannot take 7");
	tide_dead_letters_free(&letters);
	t.failing.is_healed = true;
	must(tide_dead_letters_retry(f->checkpoints, seven, err));
	wait_for(20, letter_status(f, nine) == TIDE_DEAD_LETTER_RESOLVED);
	letters = letter_of(f, nine);
	assert_null(letters.entries[0].parked_behind);
	tide_dead_letters_free(&letters);
	trial_end(&t);
}

/* What a handler says is text, also when it is ours. */
static void handler_that_speaks_of_parking_is_retried_like_any_other(struct fixture *f)
{
	for (int is_holding = 0; is_holding < 2; is_holding++) {
		struct trial t;
		trial_prepare(&t, f);
		t.failing = (struct failing){
			.first = 10 * is_holding + 5,
			.status = TIDE_HANDLER_PERMANENT,
			.times = -1,
			.words = "parked behind event 99999999-9999-4999-8999-999999999999"
		};
		t.config.hold_aggregate_on_failure = is_holding;
		t.config.start_from = TIDE_START_CHECKPOINT;
		trial_start(&t, f);
		catch_up(f->store, t.subscription);
		struct tide_dead_letter_list letters = letters_of(f, "p");
		/* 15, 17, 19, 21 and the one from before */
		assert_int_equal(letters.count, is_holding ? 5 : 1);
		int64_t id = letters.entries[is_holding ? 3 : 0].id;
		tide_dead_letters_free(&letters);
		must(tide_dead_letters_retry(f->checkpoints, id, err));
		wait_for(20, letter_retries(f, id) == 1);
		append_one(f->store, stream_of("Order", 2), "A");
		append_one(f->store, stream_of("Order", 2), "A");
		catch_up(f->store, t.subscription);
		assert_int_equal(letter_retries(f, id), 1); /* once for each request */
		assert_int_equal(letter_status(f, id), TIDE_DEAD_LETTER_FAILED);
		t.failing.is_healed = true;
		must(tide_dead_letters_retry(f->checkpoints, id, err));
		wait_for(20, letter_status(f, id) == TIDE_DEAD_LETTER_RESOLVED);
		trial_end(&t);
	}
}

static void held_aggregate_is_still_held_after_a_restart(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 5, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	stop(t.manager);
	tide_manager_close(t.manager);
	recorder_forget(t.recorder);
	append_one(f->store, stream_of("Order", 1), "A"); /* 11: held */
	append_one(f->store, stream_of("Order", 2), "A"); /* 12 */
	t.config.start_from = TIDE_START_CHECKPOINT;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	delivered(t.recorder, 12);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 4);
	int64_t oldest = letters.entries[3].id;
	tide_dead_letters_free(&letters);
	must(tide_dead_letters_discard(f->checkpoints, oldest, err));
	wait_for(20, recorder_count(t.recorder) == 4);
	delivered(t.recorder, 12, 7, 9, 11);
	trial_end(&t);
}

static void aggregate_whose_failure_was_settled_by_hand_is_held_no_longer(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){
		.first = 9, .second = 10, .status = TIDE_HANDLER_PERMANENT, .times = -1
	};
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 2);
	must(tide_dead_letters_resolve(f->checkpoints, letters.entries[0].id, "me", err));
	must(tide_dead_letters_discard(f->checkpoints, letters.entries[1].id, err));
	tide_dead_letters_free(&letters);
	recorder_forget(t.recorder);
	append_one(f->store, stream_of("Order", 1), "A");
	append_one(f->store, stream_of("Order", 2), "A");
	catch_up(f->store, t.subscription);
	wait_for(20, recorder_count(t.recorder) == 2);
	delivered(t.recorder, 11, 12);
	trial_end(&t);
}

/* The head went, and whoever took it away did not get to say so: a crash between two writes, or a
 * person with SQL. */
static void parked_entry_that_waits_for_nothing_becomes_due(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 5, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	recorder_forget(t.recorder);
	fixture_sql(f, "DELETE FROM dead_letter_queue WHERE error_message NOT LIKE 'parked%'");
	wait_for(20, recorder_count(t.recorder) == 2);
	delivered(t.recorder, 7, 9);
	trial_end(&t);
}

/* Before the column its message said what an entry waits for; a handler may have said the same. */
static void parked_entries_of_an_earlier_version_are_converted_once(struct fixture *f)
{
	struct trial t;
	trial_prepare(&t, f);
	t.failing = (struct failing){ .first = 5, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	t.config.hold_aggregate_on_failure = true;
	trial_start(&t, f);
	catch_up(f->store, t.subscription);
	trial_end(&t);
	fixture_sql(f, "ALTER TABLE dead_letter_queue DROP COLUMN parked_behind");
	fixture_reopen(f); /* which initialises */
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 3);
	assert_string_equal(letters.entries[0].parked_behind, letters.entries[2].event_id_text);
	assert_string_equal(letters.entries[1].parked_behind, letters.entries[2].event_id_text);
	assert_null(letters.entries[2].parked_behind);
	tide_dead_letters_free(&letters);
	fixture_sql(f, "UPDATE dead_letter_queue SET parked_behind = NULL");
	fixture_reopen(f);
	letters = letters_of(f, "p");
	assert_null(letters.entries[0].parked_behind);
	tide_dead_letters_free(&letters);
}

static void holding_is_refused_where_the_queue_cannot_keep_it(struct fixture *f)
{
	append_one(f->store, stream_of("Order", 1), "A");
	fixture_sql(f, "ALTER TABLE dead_letter_queue DROP COLUMN parked_behind");
	struct tide_store *old;
	must(tide_store_open(f->url, NULL, &old, err));
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	struct tide_manager *manager = manager_of(old);
	config.hold_aggregate_on_failure = true;
	struct tide_error why;
	assert_int_equal(tide_manager_subscribe(manager, &subscriber, &config, NULL, &why),
			 TIDE_UNSUPPORTED);
	assert_non_null(strstr(why.message, "parked_behind"));
	config.hold_aggregate_on_failure = false;
	recorder->judge = judge_failing;
	struct failing failing = { .first = 1, .status = TIDE_HANDLER_PERMANENT, .times = -1 };
	recorder->self = &failing;
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	catch_up(old, subscription);
	tide_checkpoints_close(f->checkpoints); /* opened while the column was there */
	must(tide_checkpoints_open(NULL, NULL, old, &f->checkpoints, err));
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	int64_t id = letters.entries[0].id;
	tide_dead_letters_free(&letters);
	failing.is_healed = true;
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	wait_for(20, letter_status(f, id) == TIDE_DEAD_LETTER_RESOLVED);
	tide_manager_close(manager);
	tide_checkpoints_close(f->checkpoints);
	tide_store_close(old);
	must(tide_checkpoints_open(NULL, NULL, f->store, &f->checkpoints, err));
}

/* ---- Rows that are no events ----------------------------------------------------------------- */

static void undecodable_event_is_dead_lettered_with_its_raw_text(struct fixture *f)
{
	append_one(f->store, stream_of("Order", 1), "A");
	fixture_sql(f, "INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, "
		       "version, timestamp, "
		       "payload) VALUES ('11111111-1111-4111-8111-111111111111', "
		       "'22222222-2222-4222-8222-222222222222', 'Order', 'Broken', 1, "
		       "'2024-03-01T12:00:00Z', "
		       "'{\"n\":')");
	append_one(f->store, stream_of("Order", 1), "A");
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 3);
	stop(manager);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	assert_non_null(strstr(letters.entries[0].event_data, "\"raw\""));
	assert_non_null(strstr(letters.entries[0].event_data, "Broken"));
	tide_dead_letters_free(&letters);
	assert_int_equal(row_of(f, "p").position, 3);
}

static void event_whose_id_is_no_uuid_is_set_aside_under_its_text(struct fixture *f)
{
	append_one(f->store, stream_of("Order", 1), "A");
	for (int i = 2; i <= 3; i++) {
		char sql[300];
		snprintf(sql, sizeof sql,
			 "INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, "
			 "version, timestamp, "
			 "payload) VALUES ('order-%d', '22222222-2222-4222-8222-222222222222', "
			 "'Order', 'A', %d, "
			 "'2024-03-01T12:00:00Z', '{}')",
			 i, i);
		fixture_sql(f, sql);
	}
	append_one(f->store, stream_of("Order", 1), "A");
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	config.hold_aggregate_on_failure = true;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 4);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 2);
	assert_string_equal(letters.entries[0].event_id_text, "order-3");
	assert_string_equal(letters.entries[0].parked_behind, "order-2");
	assert_string_equal(letters.entries[1].event_id_text, "order-2");
	int64_t two = letters.entries[1].id, three = letters.entries[0].id;
	tide_dead_letters_free(&letters);
	/* unmended it fails again; mended, it is delivered, and what waits behind it is looked
	 * at */
	must(tide_dead_letters_retry(f->checkpoints, two, err));
	wait_for(20, letter_retries(f, two) == 1);
	fixture_sql(f, "UPDATE events SET event_id = '33333333-3333-4333-8333-33333333333' || "
		       "substr(event_id, 7) "
		       "WHERE event_id LIKE 'order-%'");
	must(tide_dead_letters_retry(f->checkpoints, two, err));
	wait_for(20, letter_status(f, two) == TIDE_DEAD_LETTER_RESOLVED);
	wait_for(20, letter_status(f, three) == TIDE_DEAD_LETTER_RESOLVED);
	delivered(recorder, 1, 4, 2, 3);
	stop(manager);
}

/* What is valid JSON and a valid text here may be none to a column. */
static void failed_event_of_any_content_is_set_aside_and_delivered_again(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1) };
	events[0].payload = tide_text("{\"n\":-1e200000,\"t\":\"\\u4e2d\\ud83c\\udf0a\\u0001\"}");
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events), NULL,
			       err));
	append_one(f->store, stream_of("Order", 1), "B"); /* for the subscription to stand on */
	RECORDER *recorder = recorder_new();
	struct failing failing = { .first = 1,
				   .status = TIDE_HANDLER_PERMANENT,
				   .times = -1,
				   .words = "\xe4\xb8\xad \xff \x01 \xed\xa0\x80",
				   .trace = "line 1\n\tline \xff\xc3\n\x7f" };
	recorder->judge = judge_failing;
	recorder->self = &failing;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	struct tide_dead_letter_list letters = letters_of(f, "p");
	assert_int_equal(letters.count, 1);
	assert_string_equal(letters.entries[0].error_stacktrace, "line 1\n\tline \\xff\\xc3\n\x7f");
	int64_t id = letters.entries[0].id;
	tide_dead_letters_free(&letters);
	if (f->quirks->has_sql) /* then it is delivered as the queue keeps it */
		fixture_sql(f, "DELETE FROM events WHERE event_type = 'A'");
	failing.is_healed = true;
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	wait_for(20, letter_status(f, id) == TIDE_DEAD_LETTER_RESOLVED);
	stop(manager);
}

const struct test_case failure_cases[] = {
	CASE(permanent_failure_is_dead_lettered_and_passed),
	CASE(transient_failure_is_tried_again_while_the_position_is_held),
	CASE(exhausted_retries_are_dead_lettered_with_their_count),
	CASE(failure_without_continuing_ends_in_error_behind_the_prefix),
	CASE(discarded_failures_are_dropped_and_counted),
	CASE(failing_batch_is_delivered_again_one_by_one),
	CASE(retried_dead_letter_is_delivered_and_resolved),
	CASE(dead_letter_marked_while_nobody_owns_is_delivered_at_the_next_start),
	CASE(any_number_of_requests_is_delivered_in_the_order_of_the_events),
	CASE(failing_event_never_takes_the_checkpoint_back),
	CASE(aggregate_of_another_type_is_not_held),
	CASE(held_event_is_left_out_of_a_batch),
	CASE(failed_aggregate_is_held_and_released_in_order),
	CASE_NEEDS(aggregate_in_upper_case_is_held_and_released_in_order,
		   NEEDS_SQL | NEEDS_TEXT_COLUMNS),
	CASE(due_entry_that_fails_is_the_new_head),
	CASE(handler_that_speaks_of_parking_is_retried_like_any_other),
	CASE(held_aggregate_is_still_held_after_a_restart),
	CASE(aggregate_whose_failure_was_settled_by_hand_is_held_no_longer),
	CASE_NEEDS(parked_entry_that_waits_for_nothing_becomes_due, NEEDS_SQL),
	CASE_NEEDS(parked_entries_of_an_earlier_version_are_converted_once, NEEDS_SQL),
	CASE_NEEDS(holding_is_refused_where_the_queue_cannot_keep_it, NEEDS_SQL),
	CASE_NEEDS(undecodable_event_is_dead_lettered_with_its_raw_text,
		   NEEDS_SQL | NEEDS_TEXT_COLUMNS),
	CASE_NEEDS(event_whose_id_is_no_uuid_is_set_aside_under_its_text,
		   NEEDS_SQL | NEEDS_TEXT_COLUMNS),
	CASE(failed_event_of_any_content_is_set_aside_and_delivered_again),
	CASES_END,
};

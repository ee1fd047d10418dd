/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persons move a name that has lanes: all rows of its family together, or none.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidemark/backend.h>

#include "conformance/recorder.h"
#include "conformance/tally.h"
#include "lib/child.h"
#include "path/store.h"

#define LANES 4

/* Lanes of two numbers: of the old ones one stands before the stuck event, the others at the end;
 * of the new ones one does likewise, and has yet to pass what the old ones had settled. */
static void make_family(struct fixture *f, struct tally *tally)
{
	tally_fill(f, EVENTS);
	tally->is_stuck = true;
	tally_run(f, tally, LANES - 1);
	tally_run(f, tally, LANES);
	tally->is_stuck = false;
	assert_true(stored_position(f, lane_name(lane_of_stuck(LANES), LANES)) < STUCK);
	assert_int_equal(stored_position(f, lane_name((lane_of_stuck(LANES) + 1) % LANES, LANES)),
			 EVENTS);
}

/* How many rows of p there are, and how many of its journal's entries are of an act. */
static size_t count_rows(struct fixture *f)
{
	struct tide_checkpoint *rows;
	size_t count, found = 0;
	must(tide_checkpoints_list(f->checkpoints, &rows, &count, err));
	for (size_t i = 0; i < count; i++)
		found += rows[i].projection_name[0] == 'p';
	tide_free(rows);
	return found;
}

static size_t count_acts(struct fixture *f, const char *act)
{
	struct tide_journal_entry *list;
	size_t count, found = 0;
	must(tide_journal_list(f->checkpoints, "p", 0, &list, &count, err));
	for (size_t i = 0; i < count; i++)
		found += strcmp(list[i].act, act) == 0;
	tide_free(list);
	return found;
}

static size_t count_letters(struct fixture *f)
{
	struct tide_dead_letter_list letters = letters_of(f, "p");
	size_t count = letters.count;
	tide_dead_letters_free(&letters);
	return count;
}

/* ---- Stopped --------------------------------------------------------------------------------- */

static void reset_forgets_every_row_of_the_family(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	make_family(f, &tally);
	assert_true(count_rows(f) > LANES);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_int_equal(count_rows(f), 0);
	assert_int_equal(count_acts(f, "reset"), 1);
	tally_forget(&tally);
	tally_run(f, &tally, LANES);
	assert_true(were_handled(&tally, 1, EVENTS, 1));
}

static void rewind_takes_back_what_is_beyond_and_leaves_what_is_behind(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	make_family(f, &tally);
	tide_position behind = stored_position(f, lane_name(lane_of_stuck(LANES), LANES));
	struct tide_error why = refused(
		TIDE_ARGUMENT, tide_checkpoints_rewind(f->checkpoints, "p", EVENTS + 1, NULL, err));
	must_mention(&why, "'p' is at position 96, 97 is above it");
	must(tide_checkpoints_rewind(f->checkpoints, "p", 50, NULL, err));
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)),
				 i == lane_of_stuck(LANES) ? behind : 50);
	assert_int_equal(count_acts(f, "rewind"), 1);

	int handled[51];
	for (int i = 1; i <= 50; i++)
		handled[i] = atomic_load(&tally.calls[i]);
	tally_forget(&tally);
	tally_run(f, &tally, LANES);
	assert_true(were_handled(&tally, 51, EVENTS, 1));
	for (int i = 1; i <= 50; i++)
		assert_int_equal(tally.calls[i] + handled[i], 1);
}

static void move_of_the_family_takes_dead_letters_along(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	tally.buries = true;
	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	tally.buries = false;
	int64_t deleted;
	must(tide_checkpoints_rewind(f->checkpoints, "p", 50, &deleted, err));
	assert_int_equal(deleted, 1);
	assert_int_equal(count_letters(f), 1);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_int_equal(count_letters(f), 0);
}

static void accept_gives_each_row_an_anchor(struct fixture *f)
{
	struct tally tally;
	struct tide_anchor anchor;
	tally_open(&tally, f);
	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	must(tide_checkpoints_rewind(f->checkpoints, "p", 50, NULL, err));
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(row_of(f, lane_name(i, LANES)).anchor.position, 0);
	must(tide_checkpoints_accept(f->checkpoints, "p", &anchor, err));
	assert_int_equal(anchor.position, 50);
	for (uint32_t i = 0; i < LANES; i++) {
		struct tide_checkpoint row = row_of(f, lane_name(i, LANES));
		assert_int_equal(row.position, 50);
		assert_int_equal(row.anchor.position, 50);
	}
	must(tide_checkpoints_verify(f->checkpoints, "p", err));
	assert_int_equal(count_acts(f, "accept"), 1);

	refused(TIDE_NOT_FOUND, tide_checkpoints_accept(f->checkpoints, "q", NULL, err));
	refused(TIDE_NOT_FOUND, tide_checkpoints_rewind(f->checkpoints, "q", 0, NULL, err));
	refused(TIDE_NOT_FOUND, tide_checkpoints_release(f->checkpoints, "q", err));
}

static void name_without_lanes_any_more_is_moved_with_its_old_rows(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	make_family(f, &tally);
	tally.is_stuck = true;
	struct tide_subscriber subscriber = tally_subscriber(&tally);
	struct tide_subscription_config config = lanes_config(1);
	config.continue_on_error = false;
	{
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
		must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
	}
	assert_true(count_rows(f) > 1);
	must(tide_checkpoints_rewind(f->checkpoints, "p", 50, NULL, err));
	tally.is_stuck = false;
	MANAGER *manager = manager_of(f->store);
	tally_forget(&tally);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	assert_true(were_handled(&tally, 51, EVENTS, 1));
	stop(manager);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_int_equal(count_rows(f), 0);
}

static void partitions_by_hand_are_moved_one_by_one(struct fixture *f)
{
	struct tide_progress progress = { .position = 3 };
	must(tide_checkpoints_save(f->checkpoints, "p#0/2", &progress, err));
	must(tide_checkpoints_save(f->checkpoints, "p#1/2", &progress, err));
	struct tide_error why =
		refused(TIDE_UNSUPPORTED, tide_checkpoints_reset(f->checkpoints, "p", err));
	must_mention(&why, "'p#0/2' to 'p#1/2'");
	refused(TIDE_UNSUPPORTED, tide_checkpoints_rewind(f->checkpoints, "p", 1, NULL, err));
	refused(TIDE_UNSUPPORTED, tide_checkpoints_accept(f->checkpoints, "p", NULL, err));
	refused(TIDE_UNSUPPORTED, tide_checkpoints_release(f->checkpoints, "p", err));
	must(tide_checkpoints_rewind(f->checkpoints, "p#1/2", 1, NULL, err));
	assert_int_equal(stored_position(f, "p#0/2"), 3);
	assert_int_equal(stored_position(f, "p#1/2"), 1);
}

/* ---- Running --------------------------------------------------------------------------------- */

static void lanes_that_run_begin_anew_by_themselves(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	tally_fill(f, EVENTS);
	struct tide_subscriber subscriber = tally_subscriber(&tally);
	struct tide_subscription_config config = lanes_config(LANES);
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	bool is_owned = false;
	start(manager);
	catch_up(f->store, subscription);
	assert_true(were_handled(&tally, 1, EVENTS, 1));
	must(tide_checkpoints_is_owned(f->checkpoints, "p", &is_owned, err));
	assert_true(is_owned);

	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	wait_for(60, were_handled(&tally, 1, EVENTS, 2));
	for (uint32_t i = 0; i < LANES; i++)
		wait_for(30, stored_position(f, lane_name(i, LANES)) == EVENTS);
	must(tide_checkpoints_rewind(f->checkpoints, "p", 50, NULL, err));
	wait_for(60, were_handled(&tally, 51, EVENTS, 3));
	assert_true(were_handled(&tally, 1, 50, 2));

	for (uint32_t i = 0; i < LANES; i++)
		wait_for(30, stored_position(f, lane_name(i, LANES)) == EVENTS);
	must(tide_manager_reset(manager, "p", "anna", err));
	wait_for(60, were_handled(&tally, 1, 50, 3) && were_handled(&tally, 51, EVENTS, 4));
	must(tide_checkpoints_release(f->checkpoints, "p", err));
	tally_fill(f, EVENTS);
	for (uint32_t i = 0; i < LANES; i++)
		wait_for(60, stored_position(f, lane_name(i, LANES)) == 2 * EVENTS);
	stop(manager);
	must(tide_checkpoints_is_owned(f->checkpoints, "p", &is_owned, err));
	assert_false(is_owned);
}

static void lanes_that_are_reset_begin_where_start_from_leads_all_of_them(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	tally_fill(f, EVENTS);
	struct tide_subscriber subscriber = tally_subscriber(&tally);
	struct tide_subscription_config config = lanes_config(LANES);
	config.start_from = TIDE_START_END;
	config.start_from_initially = true;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	must(tide_manager_pause(manager, "p", TIDE_PAUSE_MANUAL) ? TIDE_OK : TIDE_STATE);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_PAUSED, 30, err));
	append_one(f->store, stream_of("Order", 0), "A");
	must(tide_manager_reset(manager, "p", NULL, err));
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)), EVENTS + 1);
	stop(manager);

	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	MANAGER *second = manager_of(f->store);
	subscription = subscribe(second, &subscriber, &config);
	start(second);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)), EVENTS + 1);
}

static void reset_starts_the_lane_that_ended_in_error(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	tally.is_stuck = true;
	tally_fill(f, EVENTS);
	struct tide_subscriber subscriber = tally_subscriber(&tally);
	struct tide_subscription_config config = lanes_config(LANES);
	config.continue_on_error = false;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
	for (uint32_t i = 0; i < LANES; i++)
		if (i != lane_of_stuck(LANES))
			wait_for(30, stored_position(f, lane_name(i, LANES)) == EVENTS);
	tally.is_stuck = false;
	tally_forget(&tally);
	must(tide_manager_reset(manager, "p", NULL, err));
	wait_for(60, were_handled(&tally, 1, EVENTS, 1));
}

/* ---- Read models ----------------------------------------------------------------------------- */

static tide_status model_prepare(void *self, void *connection, struct tide_error *err)
{
	const struct tally *tally = self;
	return tally->backend->run(connection,
				   "CREATE TABLE IF NOT EXISTS moved (position INTEGER)")
		       ? TIDE_OK
		       : tide_fail(err, TIDE_IO, "the read model cannot be made");
}

static tide_status model_handle(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	struct tally *tally = self;
	char sql[80];
	snprintf(sql, sizeof sql, "INSERT INTO moved VALUES (%d)", (int)event->position);
	atomic_fetch_add(&tally->calls[event->position], 1);
	return tally->backend->run(tide_delivery_connection(delivery), sql)
		       ? TIDE_OK
		       : TIDE_HANDLER_PERMANENT;
}

static tide_status model_empty(void *self, void *connection, tide_position end,
			       struct tide_error *err)
{
	struct tally *tally = self;
	(void)end;
	atomic_fetch_add(&tally->emptied, 1);
	if (!tally->backend->run(connection, "DELETE FROM moved"))
		return tide_fail(err, TIDE_IO, "the read model is not emptied");
	return tally->refuses_to_be_emptied ? tide_fail(err, TIDE_STATE, "not today") : TIDE_OK;
}

static int64_t model_answers[2];

static tide_status model_count(void *self, const struct tide_event *event,
			       struct tide_delivery *delivery)
{
	const struct tally *tally = self;
	(void)event;
	void *connection = tide_delivery_connection(delivery);
	model_answers[0] = tally->backend->ask(connection, "SELECT COUNT(*) FROM moved");
	model_answers[1] =
		tally->backend->ask(connection, "SELECT COUNT(DISTINCT position) FROM moved");
	return TIDE_OK;
}

static void rebuild_empties_the_read_model_of_all_lanes_once(struct fixture *f)
{
	struct tally tally;
	tally_open(&tally, f);
	tally_fill(f, EVENTS);
	struct tide_subscriber subscriber = {
		.name = "p",
		.self = &tally,
		.handle = model_handle,
		.transactional = true,
		.prepare = model_prepare,
		.empty = model_empty,
	};
	struct tide_subscription_config config = lanes_config(LANES);
	config.batch_size = 5;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	tally.refuses_to_be_emptied = true;
	refused(TIDE_STATE, tide_manager_rebuild(manager, "p", "anna", err));
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)), EVENTS);
	assert_int_equal(count_acts(f, "rebuild"), 0);
	refused(TIDE_STATE, tide_manager_reset(manager, "p", "anna", err));

	tally.refuses_to_be_emptied = false;
	atomic_store(&tally.emptied, 0);
	must(tide_manager_rebuild(manager, "p", "anna", err));
	assert_int_equal(tally.emptied, 1);
	assert_int_equal(count_acts(f, "rebuild"), 1);
	for (uint32_t i = 0; i < LANES; i++)
		wait_for(60, stored_position(f, lane_name(i, LANES)) == EVENTS);
	stop(manager);

	struct tide_subscriber counter = {
		.name = "count", .self = &tally, .handle = model_count, .transactional = true
	};
	config = quick_config();
	config.start_from = TIDE_START_POSITION;
	config.start_position = EVENTS - 1;
	MANAGER *second = manager_of(f->store);
	subscription = subscribe(second, &counter, &config);
	start(second);
	catch_up(f->store, subscription);
	assert_int_equal(model_answers[0], EVENTS);
	assert_int_equal(model_answers[1], EVENTS);
}

/* ---- Killed ---------------------------------------------------------------------------------- */

/* The process dies before one of the steps that its move takes in the database. */
static int steps_left;
static struct tide_backend dying;
static const struct tide_backend *living;

static void die_when_it_is_time(void)
{
	if (steps_left-- == 0)
		raise(SIGKILL);
}

static tide_status dying_begin(void *session, struct tide_error *err)
{
	die_when_it_is_time();
	return living->store.begin(session, err);
}

static tide_status dying_commit(void *session, struct tide_error *err)
{
	die_when_it_is_time();
	tide_status status = living->store.commit(session, err);
	die_when_it_is_time();
	return status;
}

static tide_status dying_move(void *session, const struct tide_group_move *move, bool *ret,
			      struct tide_error *err)
{
	die_when_it_is_time();
	return living->checkpoint.group_move(session, move, ret, err);
}

static tide_status dying_discard(void *session, int64_t id, struct tide_error *err)
{
	die_when_it_is_time();
	return living->checkpoint.dead_letter_discard(session, id, err);
}

static tide_status dying_note(void *session, const struct tide_journal_write *write,
			      struct tide_error *err)
{
	die_when_it_is_time();
	return living->checkpoint.journal_add(session, write, err);
}

static tide_status dying_seize(void *session, const char *name, const struct tide_uuid *owner,
			       struct tide_lease *ret, struct tide_error *err)
{
	die_when_it_is_time();
	return living->checkpoint.lease_seize(session, name, owner, ret, err);
}

static tide_status dying_release(void *session, const struct tide_fence *fence,
				 struct tide_error *err)
{
	die_when_it_is_time();
	return living->checkpoint.lease_release(session, fence, err);
}

/* STEP URL */
static int move_until_killed(const char *argument, int report_to)
{
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	int64_t deleted;
	(void)report_to;
	steps_left = atoi(argument);
	if (tide_store_open(strchr(argument, ' ') + 1, NULL, &store, NULL) != TIDE_OK ||
	    tide_checkpoints_open(NULL, NULL, store, &checkpoints, NULL) != TIDE_OK)
		return 1;
	living = store->backend;
	dying = *living;
	dying.store.begin = dying_begin;
	dying.store.commit = dying_commit;
	dying.checkpoint.group_move = dying_move;
	dying.checkpoint.dead_letter_discard = dying_discard;
	dying.checkpoint.journal_add = dying_note;
	if (living->checkpoint.lease_seize)
		dying.checkpoint.lease_seize = dying_seize;
	dying.checkpoint.lease_release = dying_release;
	store->backend = &dying;
	return tide_checkpoints_rewind(checkpoints, "p", 50, &deleted, NULL) == TIDE_OK ? 0 : 2;
}

/* Whether it has happened; half of it fails the test. */
static bool has_moved(struct fixture *f)
{
	size_t letters = count_letters(f);
	tide_position position = stored_position(f, lane_name(0, LANES));
	for (uint32_t i = 1; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)), position);
	assert_true(position == 50 || position == EVENTS);
	assert_int_equal(letters, position == 50 ? 1 : 2);
	assert_int_equal(count_acts(f, "rewind"), position == 50);
	return position == 50;
}

static void move_that_is_killed_at_any_step_is_whole_or_none(struct fixture *f)
{
	struct tally tally;
	char argument[sizeof f->url + 16];
	bool was_moved = false;
	int step = 0, result;
	tally_open(&tally, f);
	tally.buries = true;
	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	tally.buries = false;
	do {
		snprintf(argument, sizeof argument, "%d %s", step++, f->url);
		struct child child = child_start(move_until_killed, argument);
		result = child_join(&child);
		assert_true(result == 0 || result == 128 + SIGKILL);
		assert_true(has_moved(f) >= was_moved);
		was_moved = has_moved(f);
	} while (!was_moved);
	assert_true(step > 5); /* begin, letter, move, journal, before and after the commit */

	tally_run(f, &tally, LANES);
	assert_true(were_handled(&tally, 1, 39, 1) && were_handled(&tally, 41, 50, 1));
	assert_true(were_handled(&tally, 51, 59, 2) && were_handled(&tally, 60, 60, 1) &&
		    were_handled(&tally, 61, EVENTS, 2));
}

const struct test_case move_cases[] = {
	CASE(reset_forgets_every_row_of_the_family),
	CASE(rewind_takes_back_what_is_beyond_and_leaves_what_is_behind),
	CASE(move_of_the_family_takes_dead_letters_along),
	CASE(accept_gives_each_row_an_anchor),
	CASE(name_without_lanes_any_more_is_moved_with_its_old_rows),
	CASE(partitions_by_hand_are_moved_one_by_one),
	CASE(lanes_that_run_begin_anew_by_themselves),
	CASE(lanes_that_are_reset_begin_where_start_from_leads_all_of_them),
	CASE(reset_starts_the_lane_that_ended_in_error),
	CASE_NEEDS(rebuild_empties_the_read_model_of_all_lanes_once, NEEDS_TRANSACTIONS),
	CASE_NEEDS(move_that_is_killed_at_any_step_is_whole_or_none,
		   NEEDS_PROCESSES | NEEDS_TRANSACTIONS),
	CASES_END,
};

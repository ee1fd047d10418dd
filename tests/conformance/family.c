/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a name that has lanes, as who reads them and who writes them find them when something
 * comes in between.
 */
#include <stdio.h>
#include <string.h>

#include <tidemark/backend.h>

#include "conformance/tally.h"
#include "path/checkpoints.h"
#include "path/family.h"
#include "path/port.h"
#include "path/segments.h"
#include "path/store.h"

#define LANES 3
static void were_handled_once(struct tally *tally)
{
	assert_true(were_handled(tally, 1, EVENTS, 1));
}

/* ---- In between ------------------------------------------------------------------------------ */

/** What happens once between what somebody has read and what they then do. */
static struct between {
	struct fixture *f;
	struct tally *tally;
	void (*happen)(struct fixture *f, struct tally *tally);
	tide_status fails;
	atomic_int calls_left; /* until it fails, and fails again */
	const struct tide_backend *real;
	struct tide_backend backend;
} between;

static void between_begin(struct fixture *f, struct tally *tally)
{
	between = (struct between){
		.f = f, .tally = tally, .real = f->store->backend, .backend = *f->store->backend
	};
	f->store->backend = &between.backend;
}

static void between_end(void)
{
	between.f->store->backend = between.real;
}

static bool between_fails(struct tide_error *err)
{
	return atomic_fetch_sub(&between.calls_left, 1) <= 0 &&
	       tide_fail(err, between.fails, "not now") != TIDE_OK;
}

static void between_happens(void)
{
	void (*happen)(struct fixture *, struct tally *) = between.happen;
	between.happen = NULL;
	if (happen)
		happen(between.f, between.tally);
}

static tide_status between_change(void *session, const struct tide_group_change *change, bool *ret,
				  struct tide_error *err)
{
	between_happens();
	return between.real->checkpoint.group_change(session, change, ret, err);
}

static bool become(struct fixture *f, uint32_t lanes)
{
	struct family_wish wish = { .name = "p", .lanes = lanes, .now = tide_time_now() };
	void *session;
	bool is_so = false;
	must(store_borrow(f->store, &session, err));
	must(family_become(f->store, session, &wish, &is_so, err));
	store_return(f->store, session, TIDE_OK);
	return is_so;
}

/* Delayed where it has seen that there is none of the rows. */
static bool become_late(struct fixture *f, struct tally *tally, uint32_t lanes,
			void (*happen)(struct fixture *f, struct tally *tally))
{
	between_begin(f, tally);
	between.happen = happen;
	between.backend.checkpoint.group_change = between_change;
	bool is_so = become(f, lanes);
	between_end();
	assert_null(between.happen);
	return is_so;
}

static void somebody_else_handles_everything(struct fixture *f, struct tally *tally)
{
	tally_run(f, tally, LANES);
}

static void lanes_that_begin_anew_are_begun_once(struct fixture *f)
{
	struct tally tally = { .is_stuck = false }, before = { .is_stuck = false };
	tally_fill(f, EVENTS);
	tally_run(f, &before, LANES);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_true(become_late(f, &tally, LANES, somebody_else_handles_everything));
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)), EVENTS);
	tally_run(f, &tally, LANES);
	were_handled_once(&tally);
}

/* All but what the stuck event's lane has left, and then back to the number of before. */
static void somebody_else_comes_and_goes(struct fixture *f, struct tally *tally)
{
	tally_fill(f, EVENTS - STUCK + 1);
	tally->is_stuck = true;
	tally_run(f, tally, LANES + 1);
	tally->is_stuck = false;
	assert_true(become(f, LANES));
}

static void lanes_that_were_made_meanwhile_stay_where_they_are(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	tally_fill(f, STUCK - 1);
	tally_run(f, &tally, LANES);
	assert_false(become_late(f, &tally, LANES + 1, somebody_else_comes_and_goes));
	tally_run(f, &tally, LANES + 1);
	were_handled_once(&tally);
}

static tide_status between_forget(void *session, const struct tide_group *group,
				  const char *const *rows, size_t count, struct tide_error *err)
{
	between_happens();
	return between.real->checkpoint.group_forget(session, group, rows, count, err);
}

static void somebody_else_goes_back_and_on(struct fixture *f, struct tally *tally)
{
	assert_true(become(f, LANES));
	tally->is_stuck = true;
	tally_run(f, tally, LANES);
	tally->is_stuck = false;
	assert_true(become(f, LANES + 1));
}

static void rows_that_are_inherited_anew_are_not_forgotten(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	struct family_wish wish = { .name = "p", .lanes = LANES + 1 };
	struct tide_time clean;
	void *session;
	tally_fill(f, EVENTS);
	assert_true(become(f, LANES));
	assert_true(become(f, LANES + 1));
	between_begin(f, &tally);
	between.happen = somebody_else_goes_back_and_on;
	between.backend.checkpoint.group_forget = between_forget;
	must(store_borrow(f->store, &session, err));
	must(family_trim(f->store, session, &wish, &clean, err));
	store_return(f->store, session, TIDE_OK);
	between_end();
	assert_null(between.happen);
	tally_run(f, &tally, LANES + 1);
	were_handled_once(&tally);
}

static tide_status forget_in_vain(void *session, const struct tide_group *group,
				  const char *const *rows, size_t count, struct tide_error *err)
{
	return between_fails(err)
		       ? between.fails
		       : between.real->checkpoint.group_forget(session, group, rows, count, err);
}

/* One that has just begun without lanes has no row yet. */
static void lanes_are_not_made_of_a_name_that_somebody_runs_without(struct fixture *f)
{
	struct tide_uuid owner = tide_uuid_v7();
	struct tide_lease lease;
	void *session;
	must(store_borrow(f->store, &session, err));
	must(f->store->backend->checkpoint.lease_acquire(session, "p", &owner, &lease, err));
	assert_false(become(f, LANES));
	must(f->store->backend->checkpoint.lease_release(
		session, &(struct tide_fence){ "p", owner, lease.epoch }, err));
	store_return(f->store, session, TIDE_OK);
	assert_true(become(f, LANES));
}

/* Else nobody would forget them any more. */
static void rows_that_could_not_be_forgotten_are_not_told_to_be(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	struct family_wish wish = { .name = "p", .lanes = LANES + 1 };
	struct tide_time clean = { 0 };
	void *session;
	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	assert_true(become(f, LANES + 1));
	between_begin(f, &tally);
	between.fails = TIDE_BUSY;
	between.backend.checkpoint.group_forget = forget_in_vain;
	must(store_borrow(f->store, &session, err));
	refused(TIDE_BUSY, family_trim(f->store, session, &wish, &clean, err));
	assert_int_equal(clean.unix_us, 0);
	between_end();
	must(family_trim(f->store, session, &wish, &clean, err));
	store_return(f->store, session, TIDE_OK);
	assert_true(clean.unix_us != 0);
	assert_int_equal(stored_position(f, lane_name(0, LANES)), 0);
}

static tide_status between_rows(void *session, struct tide_checkpoint **ret, size_t *ret_count,
				struct tide_error *err)
{
	tide_status status = between.real->checkpoint.list(session, ret, ret_count, err);
	between_happens();
	return status;
}

static tide_status between_reset(void *session, const char *name, struct tide_error *err)
{
	between_happens();
	return between.real->checkpoint.reset(session, name, err);
}

/* How many entries of an act the journal has, and what the newest of them says. */
static size_t noted(struct fixture *f, const char *act, char ret_detail[TIDE_NOTE_MAX + 1])
{
	struct tide_journal_entry *list;
	size_t count, found = 0;
	must(tide_journal_list(f->checkpoints, "p", 0, &list, &count, err));
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].act, act) == 0 && found++ == 0)
			snprintf(ret_detail, TIDE_NOTE_MAX + 1, "%s", list[i].detail);
	tide_free(list);
	return found;
}

static void change_of_the_number_is_in_the_journal(struct fixture *f)
{
	char detail[TIDE_NOTE_MAX + 1];
	tally_fill(f, 6);
	assert_true(become(f, LANES));
	assert_int_equal(noted(f, "lanes", detail), 0); /* it is new */
	assert_true(become(f, LANES));
	assert_true(become(f, LANES + 1));
	assert_int_equal(noted(f, "lanes", detail), 1);
	assert_string_equal(detail, "from 3 to 4");
	assert_true(become(f, 1));
	assert_int_equal(noted(f, "lanes", detail), 2);
	assert_string_equal(detail, "from 4 to 1");
}

static void somebody_gives_it_lanes(struct fixture *f, struct tally *tally)
{
	(void)tally;
	assert_true(become(f, LANES));
}

static void reset_of_a_name_that_is_given_lanes_meanwhile_is_refused(struct fixture *f)
{
	char detail[TIDE_NOTE_MAX + 1];
	tally_fill(f, 2);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 2 },
				   err));
	between_begin(f, NULL);
	between.happen = somebody_gives_it_lanes;
	if (between.real->checkpoint.lease_seize) /* beside the transaction, else before it */
		between.backend.checkpoint.reset = between_reset;
	else
		between.backend.checkpoint.list = between_rows;
	struct tide_error why =
		refused(TIDE_BUSY, tide_checkpoints_reset(f->checkpoints, "p", err));
	between_end();
	must_mention(&why, "the number of lanes of 'p' was changed meanwhile");
	assert_int_equal(stored_position(f, "p"), 2);
	assert_int_equal(stored_position(f, "p#1/3"), 2);
	assert_int_equal(noted(f, "reset", detail), 0);
	assert_int_equal(noted(f, "lanes", detail), 1);
	assert_string_equal(detail, "from 1 to 3");
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_int_equal(stored_position(f, "p#1/3"), 0);
}

static tide_status between_transactions(void *session, struct tide_error *err)
{
	between_happens();
	return between.real->store.begin(session, err);
}

static tide_status between_seize(void *session, const char *name, const struct tide_uuid *owner,
				 struct tide_lease *ret, struct tide_error *err)
{
	between_happens();
	return between.real->checkpoint.lease_seize(session, name, owner, ret, err);
}

static void somebody_gives_it_one_more(struct fixture *f, struct tally *tally)
{
	(void)tally;
	assert_true(become(f, LANES + 1));
}

/* Before the first thing that the move does in the database. */
static void move_of_another_number_than_was_seen_is_refused(struct fixture *f)
{
	char detail[TIDE_NOTE_MAX + 1];
	tally_fill(f, 6);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 5 },
				   err));
	between_begin(f, NULL);
	between.backend.store.begin = between_transactions;
	if (between.real->checkpoint.lease_seize)
		between.backend.checkpoint.lease_seize = between_seize;
	between.happen = somebody_gives_it_lanes;
	struct tide_error why =
		refused(TIDE_BUSY, tide_checkpoints_rewind(f->checkpoints, "p", 2, NULL, err));
	must_mention(&why, "the number of lanes of 'p' was changed meanwhile");
	between.happen = somebody_gives_it_one_more;
	refused(TIDE_BUSY, tide_checkpoints_accept(f->checkpoints, "p", NULL, err));
	between.happen = somebody_gives_it_lanes;
	refused(TIDE_BUSY, tide_checkpoints_rewind(f->checkpoints, "p", 2, NULL, err));
	between_end();

	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(stored_position(f, lane_name(i, LANES)), 5);
	assert_int_equal(noted(f, "rewind", detail) + noted(f, "accept", detail), 0);
}

/* ---- The one that is furthest behind --------------------------------------------------------- */

static tide_status between_list(void *session, struct tide_checkpoint **ret, size_t *ret_count,
				struct tide_error *err)
{
	if (between_fails(err))
		return between.fails;
	return between.real->checkpoint.list(session, ret, ret_count, err);
}

static struct tide_checkpoint slowest_of(struct fixture *f)
{
	struct tide_checkpoint row;
	must(checkpoints_load_slowest(f->checkpoints, "p", &row, err));
	return row;
}

static tide_position lag_of(struct fixture *f)
{
	struct tide_lag lag;
	must(tide_checkpoints_lag(f->checkpoints, "p", NULL, &lag, err));
	assert_string_equal(lag.projection_name, "p");
	return lag.lag_events;
}

static tide_position why_of(struct fixture *f)
{
	struct tide_why why;
	must(tide_checkpoints_why(f->checkpoints, "p", &why, err));
	const struct tide_evidence *position = tide_why_evidence(&why, "position");
	assert_non_null(position);
	return (tide_position)position->number;
}

static void lanes_are_what_is_told_of_a_name_that_ran_without_any(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	struct tide_subscriber subscriber = tally_subscriber(&tally);
	struct tide_subscription_config config = quick_config();
	tally_fill(f, EVENTS);
	for (int i = 0; i < 2; i++) {
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		start(manager);
		catch_up(f->store, subscription);
		stop(manager);
		assert_int_equal(why_of(f), EVENTS);

		assert_true(become(f, LANES));
		must(tide_checkpoints_save(f->checkpoints, "p#1/3",
					   &(struct tide_progress){ .position = 2 }, err));
		assert_int_equal(why_of(f), 2);
	}
}

static void slowest_lane_is_told_also_beside_the_row_it_inherits_from(struct fixture *f)
{
	struct tide_progress plain = { .position = EVENTS }, slow = { .position = 2 };
	struct tide_checkpoint row;
	tally_fill(f, EVENTS);
	refused(TIDE_NOT_FOUND, checkpoints_load_slowest(f->checkpoints, "p", &row, err));
	must(tide_checkpoints_save(f->checkpoints, "p", &plain, err));
	assert_string_equal(slowest_of(f).projection_name, "p");

	assert_true(become(f, LANES));
	must(tide_checkpoints_save(f->checkpoints, "p#1/3", &slow, err));
	assert_int_equal(stored_position(f, "p"), EVENTS);
	assert_string_equal(slowest_of(f).projection_name, "p#1/3");
	assert_int_equal(slowest_of(f).position, 2);
	assert_int_equal(lag_of(f), EVENTS - 2);

	assert_true(become(f, 1));
	assert_int_equal(stored_position(f, "p#1/3"), 2);
	assert_string_equal(slowest_of(f).projection_name, "p");
}

/* As by a host whose clock is ahead. */
static void lanes_of_another_number_that_were_saved_later_are_not_told(struct fixture *f)
{
	struct tide_progress slow = { .position = 2 }, slower = { .position = 1 };
	tally_fill(f, EVENTS);
	must(tide_checkpoints_save(f->checkpoints, "p", &slow, err));
	assert_true(become(f, LANES));
	must(tide_checkpoints_save(f->checkpoints, "p#0/2", &slower, err));
	assert_int_equal(slowest_of(f).position, 2);
	assert_int_equal(lag_of(f), EVENTS - 2);
}

static void lanes_that_cannot_be_read_are_not_told_to_be_none(struct fixture *f)
{
	static const char *const names[] = { "p", "q" }; /* of lanes, and of partitions by hand */
	struct tide_checkpoint row;
	struct tide_lag lag;
	tally_fill(f, 1);
	assert_true(become(f, LANES));
	must(tide_checkpoints_save(f->checkpoints, "q#0/2",
				   &(struct tide_progress){ .position = 1 }, err));
	between_begin(f, NULL);
	between.backend.checkpoint.list = between_list;
	between.fails = TIDE_BUSY;
	for (size_t i = 0; i < 2; i++) {
		refused(TIDE_BUSY, checkpoints_load_slowest(f->checkpoints, names[i], &row, err));
		refused(TIDE_BUSY, tide_checkpoints_lag(f->checkpoints, names[i], NULL, &lag, err));
	}
	between_end();
}

static bool has_begun(struct fixture *f, uint32_t index, uint32_t lanes)
{
	struct tide_checkpoint row;
	const char *name = lanes == 1 ? "p" : lane_name(index, lanes);
	must(tide_checkpoints_load(f->checkpoints, name, &row, err));
	return row.created_at.unix_us <= row.updated_at.unix_us;
}

static void lanes_have_begun_when_what_they_inherit_from_has(struct fixture *f)
{
	const struct tide_progress five = { .position = 5 };
	tally_fill(f, EVENTS);
	assert_true(become(f, 2));
	assert_false(has_begun(f, 0, 2));
	assert_true(become(f, 3));
	assert_false(has_begun(f, 1, 3));
	assert_true(become(f, 2));
	assert_false(has_begun(f, 0, 2));
	assert_true(become(f, 1));
	assert_false(has_begun(f, 0, 1));
	assert_true(become(f, 3));
	must(tide_checkpoints_save(f->checkpoints, lane_name(2, 3), &five, err));
	assert_true(become(f, 4));
	assert_true(has_begun(f, 3, 4));
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_true(become(f, 4));
	assert_false(has_begun(f, 0, 4));
}

/* ---- Plain ones ------------------------------------------------------------------------------ */

static tide_status between_end_of_feed(void *session, tide_position *ret, struct tide_error *err)
{
	if (between_fails(err))
		return between.fails;
	return between.real->store.end(session, ret, err);
}

static void who_stands_by_does_not_ask_where_the_feed_ends(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	struct tide_subscriber subscriber = tally_subscriber(&tally);
	struct tide_subscription_config config = quick_config();
	struct tide_uuid owner = uuid_of(900);
	struct tide_lease lease = { .is_owned = false };
	void *session;
	must(store_borrow(f->store, &session, err));
	must(f->store->backend->checkpoint.lease_acquire(session, "p", &owner, &lease, err));
	assert_true(lease.is_owned);
	config.start_from = TIDE_START_END;
	between_begin(f, &tally);
	between.backend.store.end = between_end_of_feed;
	between.fails = TIDE_BUSY;
	{
		MANAGER *manager = manager_of(f->store);
		struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
		must(tide_manager_start(manager, NULL, 0, NULL, NULL, err));
		wait_for(30, status_of(subscription).standby);
		stop(manager);
	}
	between_end();
	store_return(f->store, session, TIDE_OK);
}

/* ---- Ownerships ------------------------------------------------------------------------------ */

static tide_status between_end_lease(void *session, const char *name, bool *ret,
				     struct tide_error *err)
{
	if (between_fails(err))
		return between.fails;
	return between.real->checkpoint.lease_end(session, name, ret, err);
}

static void release_that_fails_half_way_is_told(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	char detail[TIDE_NOTE_MAX + 1];
	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	between_begin(f, NULL);
	between.backend.checkpoint.lease_end = between_end_lease;
	between.fails = TIDE_BUSY;
	refused(TIDE_BUSY, tide_checkpoints_release(f->checkpoints, "p", err));
	assert_int_equal(noted(f, "release", detail), 0);
	between.calls_left = 2;
	refused(TIDE_BUSY, tide_checkpoints_release(f->checkpoints, "p", err));
	between_end();
	assert_int_equal(noted(f, "release", detail), 1);
	assert_string_equal(detail, "2 of its 3 ownerships, and then: not now");

	must(tide_checkpoints_release(f->checkpoints, "p", err));
	assert_int_equal(noted(f, "release", detail), 2);
	assert_string_equal(detail, "");
	refused(TIDE_NOT_FOUND, tide_checkpoints_release(f->checkpoints, "q", err));
}

/* ---- What is kept of them -------------------------------------------------------------------- */

/* Segments of the name and of all its lanes. */
static struct tide_segment *kept(struct fixture *f, size_t *ret_count)
{
	struct tide_segment *list = NULL;
	void *session;
	must(store_borrow(f->store, &session, err));
	must(segments_list_family(f->store, session, "p", &list, ret_count, err));
	store_return(f->store, session, TIDE_OK);
	return list;
}

static int64_t processed_in(struct fixture *f, const struct tide_segment *segment)
{
	struct tide_checkpoint row;
	if (segment->has_ended)
		return segment->processed_until - segment->processed_before;
	must(tide_checkpoints_load(f->checkpoints, segment->name, &row, err));
	return row.events_processed - segment->processed_before;
}

static void segments_of_lanes_end_with_another_number_and_outlive_their_rows(struct fixture *f)
{
	struct tally tally = { .is_stuck = true };
	struct family_wish wish = { .name = "p", .lanes = LANES + 1 };
	struct tide_time clean;
	void *session;
	size_t count, inherit = 0;
	int64_t processed = 0;

	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	assert_true(become(f, LANES + 1));
	struct tide_segment *list = kept(f, &count);
	assert_int_equal(count, LANES);
	for (size_t i = 0; i < count; i++)
		assert_true(list[i].has_ended && list[i].until == stored_position(f, list[i].name));
	tide_segments_free(list, count);

	tally.is_stuck = false;
	tally_run(f, &tally, LANES + 1);
	must(store_borrow(f->store, &session, err));
	must(family_trim(f->store, session, &wish, &clean, err));
	store_return(f->store, session, TIDE_OK);
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, lane_name(0, LANES),
						      &(struct tide_checkpoint){ 0 }, err));
	list = kept(f, &count);
	assert_int_equal(count, LANES + LANES + 1);
	for (size_t i = 0; i < count; i++) {
		inherit += strstr(list[i].filter, "\"inherited\"") != NULL;
		processed += processed_in(f, &list[i]);
	}
	tide_segments_free(list, count);
	assert_int_not_equal(inherit, 0);
	assert_int_equal(processed, EVENTS);
}

/* Partitions by hand of a name that begins alike are not its own. */
static void segments_are_listed_by_name_and_lane(struct fixture *f)
{
	static const char *const names[] = { "p",   "p#0/3", "p#12/30",  "p2",
					     "p#0", "p#x/3", "p#0/3#1/2" };
	struct tide_segment *list;
	void *session;
	size_t count;
	must(store_borrow(f->store, &session, err));
	for (size_t i = 0; i < 7; i++) {
		struct tide_segment_write write = { .name = names[i],
						    .should_begin = true,
						    .filter = "{}",
						    .now = tide_time_now() };
		must(port_segment_turn(f->store, session, NULL, &write, err));
	}
	must(segments_list(f->store, session, "p", &list, &count, err));
	assert_int_equal(count, 1);
	tide_segments_free(list, count);
	store_return(f->store, session, TIDE_OK);
	list = kept(f, &count);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(list[i].name, names[i]);
	tide_segments_free(list, count);
}

static void lanes_that_go_back_take_back_what_was_kept_beyond(struct fixture *f)
{
	struct tally tally = { .is_stuck = false };
	size_t count;
	tally_fill(f, EVENTS);
	tally_run(f, &tally, LANES);
	must(tide_checkpoints_rewind(f->checkpoints, "p", 10, NULL, err));
	struct tide_segment *list = kept(f, &count);
	assert_int_equal(count, 2 * LANES);
	for (size_t i = 0; i < count; i++) {
		bool is_first = i < LANES;
		assert_int_equal(list[i].has_ended, is_first);
		assert_int_equal(is_first ? list[i].until : list[i].from, is_first ? EVENTS : 10);
	}
	tide_segments_free(list, count);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	tide_segments_free(kept(f, &count), 0);
	assert_int_equal(count, 0);
}

const struct test_case family_cases[] = {
	CASE(segments_of_lanes_end_with_another_number_and_outlive_their_rows),
	CASE(segments_are_listed_by_name_and_lane),
	CASE(lanes_that_go_back_take_back_what_was_kept_beyond),
	CASE(lanes_that_begin_anew_are_begun_once),
	CASE(lanes_have_begun_when_what_they_inherit_from_has),
	CASE(lanes_that_were_made_meanwhile_stay_where_they_are),
	CASE(lanes_are_not_made_of_a_name_that_somebody_runs_without),
	CASE(rows_that_are_inherited_anew_are_not_forgotten),
	CASE(rows_that_could_not_be_forgotten_are_not_told_to_be),
	CASE(change_of_the_number_is_in_the_journal),
	CASE(reset_of_a_name_that_is_given_lanes_meanwhile_is_refused),
	CASE_NEEDS(move_of_another_number_than_was_seen_is_refused, NEEDS_TRANSACTIONS),
	CASE(lanes_are_what_is_told_of_a_name_that_ran_without_any),
	CASE(slowest_lane_is_told_also_beside_the_row_it_inherits_from),
	CASE(lanes_of_another_number_that_were_saved_later_are_not_told),
	CASE(lanes_that_cannot_be_read_are_not_told_to_be_none),
	CASE(who_stands_by_does_not_ask_where_the_feed_ends),
	CASE(release_that_fails_half_way_is_told),
	CASES_END,
};

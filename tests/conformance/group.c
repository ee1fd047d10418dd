/* SPDX-License-Identifier: Apache-2.0 */
/* Groups as a backend keeps them: who is a member and lives, how many lanes there are, and their
 * rows when the number is changed: all of it or nothing. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conformance/cases.h"
#include "lib/child.h"
#include "lib/wait.h"
#include "path/store.h"

#define LANES 3

/** Somebody with a session, who may be a member and own lanes. */
struct hand {
	struct tide_store *store;
	const struct tide_checkpoint_ops *ops;
	void *session;
	struct tide_uuid id;
	struct tide_fence fence;
};

static void hand_open(struct hand *hand, struct tide_store *store, unsigned number)
{
	*hand = (struct hand){ .store = store,
			       .ops = &store->backend->checkpoint,
			       .id = uuid_of(number) };
	const struct tide_store_ops *events = &store->backend->store;
	struct tide_session_limits limits = { .lease = 1, .idle_in_transaction = 10 };
	must(events->session_open(store->state, &hand->session, err));
	if (events->limit)
		events->limit(hand->session, &limits);
}

static void hand_close(struct hand *hand)
{
	hand->store->backend->store.session_close(hand->session);
}

static bool hand_join(struct hand *hand, uint32_t lanes)
{
	struct tide_member_write write = { .group = "p",
					   .lanes = lanes,
					   .id = hand->id,
					   .host = "here",
					   .pid = 7,
					   .now = tide_time_now() };
	bool is_member;
	must(hand->ops->member_join(hand->session, &write, &is_member, err));
	return is_member;
}

static void hand_leave(struct hand *hand)
{
	must(hand->ops->member_leave(hand->session, "p", &hand->id, err));
}

static bool hand_own(struct hand *hand, const char *name)
{
	struct tide_lease lease = { .is_owned = false };
	must(hand->ops->lease_acquire(hand->session, name, &hand->id, &lease, err));
	hand->fence = (struct tide_fence){ name, hand->id, lease.epoch };
	return lease.is_owned;
}

static enum tide_renewal hand_renew(struct hand *hand)
{
	struct tide_lease_renewal renewal = { .fence = { "p", hand->id, 0 }, .is_member = true };
	must(hand->ops->lease_renew_all(hand->session, &renewal, 1, err));
	return renewal.result;
}

static size_t hand_members(struct hand *hand, struct tide_member ret[8])
{
	struct tide_member *list;
	size_t count;
	must(hand->ops->member_list(hand->session, "p", &list, &count, err));
	assert_true(count <= 8);
	if (count > 0)
		memcpy(ret, list, count * sizeof *list);
	tide_free(list);
	return count;
}

static bool has_no_member(struct hand *hand)
{
	struct tide_member members[8];
	return hand_members(hand, members) == 0;
}

/* ---- Changes --------------------------------------------------------------------------------- */

static const struct tide_group_row plain_row = { .name = "p" };

/** A change of p, from what is there to lanes that all begin at one position. */
struct plan {
	struct tide_group_change change;
	struct tide_group_row after[8];
	char names[8][16];
};

static void plan_init(struct plan *plan, uint32_t before, uint32_t lanes, tide_position position)
{
	*plan = (struct plan){ .change = { .name = "p",
					   .lanes_before = before,
					   .lanes = lanes,
					   .before = &plain_row,
					   .before_count = before == 0,
					   .after = plan->after,
					   .after_count = lanes,
					   .created = { 1000000 },
					   .now = tide_time_now() } };
	for (uint32_t i = 0; i < lanes; i++) {
		if (lanes == 1)
			strcpy(plan->names[i], "p");
		else
			snprintf(plan->names[i], sizeof plan->names[i], "p#%u/%u", i, lanes);
		plan->after[i] = (struct tide_group_row){ .name = plan->names[i],
							  .has_position = true,
							  .position = position,
							  .anchor = { position, uuid_of(77) } };
	}
}

static bool hand_change(struct hand *hand, const struct plan *plan)
{
	bool is_made;
	must(hand->ops->group_change(hand->session, &plan->change, &is_made, err));
	return is_made;
}

static void hand_make_lanes(struct hand *hand)
{
	struct plan plan;
	plan_init(&plan, 0, LANES, 5);
	assert_true(hand_change(hand, &plan));
}

static uint32_t hand_lanes(struct hand *hand)
{
	struct tide_group group;
	tide_status status = hand->ops->group_get(hand->session, "p", &group, NULL);
	assert_true(status == TIDE_OK || status == TIDE_NOT_FOUND);
	return status == TIDE_OK ? group.lanes : 0;
}

static struct tide_checkpoint row_of(struct fixture *f, const char *name)
{
	struct tide_checkpoint row;
	must(tide_checkpoints_load(f->checkpoints, name, &row, err));
	return row;
}

static void number_of_lanes_is_written_with_all_their_rows(struct fixture *f)
{
	struct hand hand;
	struct tide_group group;
	struct tide_checkpoint row;
	hand_open(&hand, f->store, 1);
	struct tide_error why =
		refused(TIDE_NOT_FOUND, hand.ops->group_get(hand.session, "p", &group, err));
	assert_string_equal(why.message, "'p' has no lanes");

	struct tide_time before = tide_time_now();
	hand_make_lanes(&hand);
	must(hand.ops->group_get(hand.session, "p", &group, err));
	assert_string_equal(group.name, "p");
	assert_int_equal(group.lanes, LANES);
	assert_int_equal(group.processed_before, 0);
	assert_true(group.changed_at.unix_us > before.unix_us - 60 * INT64_C(1000000));

	row = row_of(f, "p#2/3");
	assert_true(row.has_position);
	assert_int_equal(row.position, 5);
	assert_int_equal(row.created_at.unix_us, 1000000);
	assert_true(row.updated_at.unix_us >= before.unix_us);
	assert_int_equal(row.anchor.position, 5);
	struct tide_uuid anchor = uuid_of(77);
	assert_true(tide_uuid_equal(&row.anchor.event_id, &anchor));
	assert_int_equal(row.events_processed, 0);
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "p", &row, err));
	hand_close(&hand);
}

static void change_moves_rows_and_fences_who_owned_them(struct fixture *f)
{
	struct hand hand;
	struct plan plan;
	hand_open(&hand, f->store, 1);
	assert_true(hand_own(&hand, "p"));
	struct tide_checkpoint_write write = { .name = "p",
					       .has_position = true,
					       .progress = { .position = 9, .count = 4 },
					       .now = tide_time_now() };
	must(hand.ops->save(hand.session, &hand.fence, &write, err));
	must(hand.ops->lease_release(hand.session, &hand.fence, err));
	int64_t epoch = hand.fence.epoch;

	struct tide_group_row read = {
		.name = "p", .has_row = true, .has_position = true, .position = 9
	};
	plan_init(&plan, 0, LANES, 9);
	plan.change.before = &read;
	assert_true(hand_change(&hand, &plan));
	plan_init(&plan, LANES, 1, 20);
	assert_true(hand_change(&hand, &plan));
	assert_int_equal(hand_lanes(&hand), 1);

	struct tide_checkpoint row = row_of(f, "p");
	assert_int_equal(row.position, 20);
	assert_int_equal(row.events_processed, 4);
	assert_int_equal(row_of(f, "p#0/3").position, 9);
	refused(TIDE_FENCED, hand.ops->save(hand.session, &hand.fence, &write, err));
	assert_true(hand_own(&hand, "p"));
	assert_true(hand.fence.epoch > epoch + 1);
	hand_close(&hand);
}

/* What a change that is not made has left as it was. */
static void assert_unchanged(struct fixture *f, struct hand *hand, const struct plan *plan)
{
	struct tide_checkpoint row;
	assert_false(hand_change(hand, plan));
	assert_int_equal(hand_lanes(hand), LANES);
	assert_int_equal(row_of(f, "p#0/3").position, 5);
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "p#0/2", &row, err));
}

static void change_is_not_made_when_something_is_not_as_it_was_read(struct fixture *f)
{
	struct hand hand;
	struct plan plan;
	hand_open(&hand, f->store, 1);
	hand_make_lanes(&hand);
	struct tide_group_row reads[] = {
		{ .name = "p#0/3", .has_row = true, .has_position = true, .position = 6 },
		{ .name = "p#0/3", .has_row = true },
		{ .name = "p#0/3" },
		{ .name = "p#0/4", .has_row = true, .has_position = true, .position = 5 },
	};
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
		plan_init(&plan, LANES, 2, 5);
		plan.change.before = &reads[i];
		plan.change.before_count = 1;
		assert_unchanged(f, &hand, &plan);
	}

	plan_init(&plan, 4, 2, 5);
	assert_unchanged(f, &hand, &plan);
	plan_init(&plan, 0, 2, 5);
	assert_unchanged(f, &hand, &plan);
	hand_close(&hand);
}

static void change_is_not_made_while_a_member_or_an_owner_lives(struct fixture *f)
{
	struct hand hand, other;
	struct plan plan;
	hand_open(&hand, f->store, 1);
	hand_open(&other, f->store, 2);
	hand_make_lanes(&hand);
	assert_true(hand_join(&other, LANES));
	plan_init(&plan, LANES, 2, 5);
	assert_unchanged(f, &hand, &plan);
	hand_leave(&other);

	struct tide_group_row read = {
		.name = "p#0/3", .has_row = true, .has_position = true, .position = 5
	};
	plan.change.before = &read;
	plan.change.before_count = 1;
	assert_true(hand_own(&other, "p#0/3"));
	assert_unchanged(f, &hand, &plan);
	must(other.ops->lease_release(other.session, &other.fence, err));
	assert_true(hand_own(&other, "p#1/2"));
	assert_unchanged(f, &hand, &plan);
	must(other.ops->lease_release(other.session, &other.fence, err));

	assert_true(hand_change(&hand, &plan));
	assert_int_equal(hand_lanes(&hand), 2);
	hand_close(&other);
	hand_close(&hand);
}

static void row_that_is_forgotten_leaves_what_it_has_counted(struct fixture *f)
{
	struct hand hand;
	struct tide_group group;
	struct tide_checkpoint row;
	static const char *const names[] = { "p#0/3", "p#2/3", "p#8/9" };
	hand_open(&hand, f->store, 1);
	hand_make_lanes(&hand);
	for (size_t i = 0; i < 2; i++) {
		assert_true(hand_own(&hand, names[i]));
		struct tide_checkpoint_write write = { .name = names[i],
						       .has_position = true,
						       .progress = { .position = 9, .count = 4 },
						       .now = tide_time_now() };
		must(hand.ops->save(hand.session, &hand.fence, &write, err));
		must(hand.ops->lease_release(hand.session, &hand.fence, err));
	}

	must(hand.ops->group_get(hand.session, "p", &group, err));
	struct tide_group of_another_number = group, of_before = group, of_nobody = group;
	of_another_number.lanes = 4;
	of_before.changed_at.unix_us--;
	strcpy(of_nobody.name, "q");
	must(hand.ops->group_forget(hand.session, &of_another_number, names, 3, err));
	must(hand.ops->group_forget(hand.session, &of_before, names, 3, err));
	must(hand.ops->group_forget(hand.session, &of_nobody, names, 3, err));
	assert_int_equal(row_of(f, "p#0/3").events_processed, 4);
	must(hand.ops->group_forget(hand.session, &group, names, 3, err));
	must(hand.ops->group_get(hand.session, "p", &group, err));
	assert_int_equal(group.processed_before, 8);
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "p#0/3", &row, err));
	assert_int_equal(row_of(f, "p#1/3").position, 5);
	hand_close(&hand);
}

/* ---- All rows at once ------------------------------------------------------------------------ */

static const char *const family[] = { "p#0/3", "p#1/3", "p#2/3", "p", "p#7/8" };

/* Its own count, and a row of the time before. */
static void hand_make_family(struct fixture *f, struct hand *hand)
{
	hand_make_lanes(hand);
	assert_true(hand_own(hand, "p#1/3"));
	struct tide_checkpoint_write write = { .name = "p#1/3",
					       .has_position = true,
					       .progress = { .position = 9, .count = 4 },
					       .now = tide_time_now(),
					       .anchor = { 9, uuid_of(78) } };
	must(hand->ops->save(hand->session, &hand->fence, &write, err));
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 20 },
				   err));
	must(tide_checkpoints_save(f->checkpoints, "q", &(struct tide_progress){ .position = 20 },
				   err));
}

static bool hand_move(struct hand *hand, uint32_t lanes, bool forgets, tide_position position)
{
	struct tide_group_move move = { .name = "p",
					.lanes = lanes,
					.rows = family,
					.row_count = sizeof family / sizeof *family,
					.forgets = forgets,
					.position = position,
					.now = tide_time_now() };
	bool is_moved;
	must(hand->ops->group_move(hand->session, &move, &is_moved, err));
	return is_moved;
}

static void rows_of_a_family_go_back_together_and_fence_their_owners(struct fixture *f)
{
	struct hand hand;
	struct tide_member members[8];
	hand_open(&hand, f->store, 1);
	hand_make_family(f, &hand);
	assert_true(hand_join(&hand, LANES));
	assert_false(hand_move(&hand, LANES + 1, false, 7));
	assert_int_equal(row_of(f, "p#1/3").position, 9);
	must(hand.ops->lease_renew(hand.session, &hand.fence, err));

	assert_true(hand_move(&hand, LANES, false, 7));
	struct tide_checkpoint row = row_of(f, "p#1/3");
	assert_int_equal(row.position, 7);
	assert_int_equal(row.anchor.position, 0);
	assert_int_equal(row.events_processed, 4);
	assert_int_equal(row_of(f, "p").position, 7);
	row = row_of(f, "p#0/3");
	assert_int_equal(row.position, 5);
	assert_int_equal(row.anchor.position, 5);
	assert_int_equal(row_of(f, "q").position, 20);
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "p#7/8", &row, err));

	refused(TIDE_FENCED, hand.ops->lease_renew(hand.session, &hand.fence, err));
	assert_int_equal(hand_lanes(&hand), LANES);
	assert_int_equal(hand_members(&hand, members), 1);
	hand_leave(&hand);
	hand_close(&hand);
}

static void rows_of_a_family_that_is_forgotten_leave_no_count(struct fixture *f)
{
	struct hand hand;
	struct tide_group group;
	struct tide_checkpoint row;
	static const char *const old[] = { "p" };
	hand_open(&hand, f->store, 1);
	hand_make_family(f, &hand);
	must(tide_checkpoints_save(f->checkpoints, "p",
				   &(struct tide_progress){ .position = 21, .count = 3 }, err));
	must(hand.ops->group_get(hand.session, "p", &group, err));
	must(hand.ops->group_forget(hand.session, &group, old, 1, err));
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 20 },
				   err));

	assert_true(hand_move(&hand, LANES, true, -1));
	for (size_t i = 0; i < sizeof family / sizeof *family; i++)
		refused(TIDE_NOT_FOUND,
			tide_checkpoints_load(f->checkpoints, family[i], &row, err));
	must(hand.ops->group_get(hand.session, "p", &group, err));
	assert_int_equal(group.lanes, LANES);
	assert_int_equal(group.processed_before, 0);
	refused(TIDE_FENCED, hand.ops->lease_renew(hand.session, &hand.fence, err));

	must(tide_checkpoints_save(f->checkpoints, "p#2/3",
				   &(struct tide_progress){ .position = 9, .count = 9 }, err));
	assert_true(hand_move(&hand, LANES, true, 3));
	for (uint32_t i = 0; i < LANES; i++) {
		row = row_of(f, family[i]);
		assert_string_equal(row.projection_name, family[i]);
		assert_int_equal(row.position, 3);
		assert_int_equal(row.events_processed, 0);
		assert_int_equal(row.created_at.unix_us, row.updated_at.unix_us);
	}
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "p", &row, err));
	assert_int_equal(row_of(f, "q").position, 20);
	hand_close(&hand);
}

/* ---- Members --------------------------------------------------------------------------------- */

static void member_joins_a_group_of_its_number_and_no_other(struct fixture *f)
{
	struct hand hand;
	struct tide_member members[8];
	hand_open(&hand, f->store, 1);
	assert_false(hand_join(&hand, LANES));
	hand_make_lanes(&hand);
	assert_false(hand_join(&hand, LANES + 1));
	assert_int_equal(hand_members(&hand, members), 0);

	assert_true(hand_join(&hand, LANES));
	assert_int_equal(hand_members(&hand, members), 1);
	assert_true(tide_uuid_equal(&members[0].id, &hand.id));
	assert_string_equal(members[0].host, "here");
	assert_int_equal(members[0].pid, 7);
	hand_leave(&hand);
	assert_int_equal(hand_members(&hand, members), 0);
	hand_leave(&hand);
	hand_close(&hand);
}

static void members_stand_in_the_order_they_joined(struct fixture *f)
{
	struct hand a, b;
	struct tide_member members[8];
	hand_open(&a, f->store, 2);
	hand_open(&b, f->store, 1);
	hand_make_lanes(&a);
	assert_true(hand_join(&a, LANES));
	wait_a_moment();
	assert_true(hand_join(&b, LANES));
	assert_int_equal(hand_members(&a, members), 2);
	assert_true(tide_uuid_equal(&members[0].id, &a.id));

	wait_a_moment();
	assert_true(hand_join(&a, LANES));
	assert_int_equal(hand_members(&b, members), 2);
	assert_true(tide_uuid_equal(&members[0].id, &b.id));
	assert_true(tide_uuid_equal(&members[1].id, &a.id));
	hand_leave(&a);
	hand_leave(&b);
	hand_close(&b);
	hand_close(&a);
}

static void members_are_renewed_together_with_leases(struct fixture *f)
{
	struct hand hand, other;
	struct plan plan;
	hand_open(&hand, f->store, 1);
	hand_open(&other, f->store, 2);
	hand_make_lanes(&hand);
	assert_true(hand_join(&hand, LANES));
	assert_true(hand_own(&hand, "p#1/3"));
	struct tide_lease_renewal renewals[] = {
		{ .fence = { "p", other.id, 0 }, .is_member = true },
		{ .fence = hand.fence },
		{ .fence = { "p", hand.id, 0 }, .is_member = true },
		{ .fence = { "p#0/3", hand.id, 1 } },
	};
	must(hand.ops->lease_renew_all(hand.session, renewals, 4, err));
	assert_int_equal(renewals[0].result, TIDE_RENEWAL_LOST);
	assert_int_equal(renewals[1].result, TIDE_RENEWAL_MADE);
	assert_int_equal(renewals[2].result, TIDE_RENEWAL_MADE);
	assert_int_equal(renewals[3].result, TIDE_RENEWAL_LOST);

	hand_leave(&hand);
	assert_int_equal(hand_renew(&hand), TIDE_RENEWAL_LOST);
	must(hand.ops->lease_release(hand.session, &hand.fence, err));
	plan_init(&plan, LANES, 2, 5);
	assert_true(hand_change(&hand, &plan));
	assert_int_equal(hand_renew(&hand), TIDE_RENEWAL_LOST);
	hand_close(&other);
	hand_close(&hand);
}

static void member_of_a_closed_handle_is_none_any_more(struct fixture *f)
{
	struct hand hand, other;
	struct plan plan;
	struct tide_store *second = fixture_second_handle(f);
	hand_open(&hand, f->store, 1);
	hand_open(&other, second, 2);
	hand_make_lanes(&hand);
	assert_true(hand_join(&other, LANES));
	hand_close(&other);
	tide_store_close(second);
	wait_for(30, has_no_member(&hand));

	plan_init(&plan, LANES, 2, 5);
	assert_true(hand_change(&hand, &plan));
	assert_true(hand_join(&hand, 2));
	hand_leave(&hand);
	hand_close(&hand);
}

static int join_until_killed(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	struct hand hand;
	hand_open(&hand, store, 901);
	if (!hand_join(&hand, LANES))
		return 2;
	child_report(report_to, 'j');
	while (hand_renew(&hand) == TIDE_RENEWAL_MADE)
		wait_a_moment();
	child_report(report_to, 'l');
	return 3;
}

static void member_lives_as_long_as_its_process(struct fixture *f)
{
	struct hand hand;
	struct tide_member members[8];
	hand_open(&hand, f->store, 1);
	hand_make_lanes(&hand);
	struct child child = child_start(join_until_killed, f->url);
	assert_int_equal(child_await(&child, 30), 'j');
	assert_int_equal(hand_members(&hand, members), 1);
	assert_true(hand_join(&hand, LANES));
	assert_int_equal(hand_members(&hand, members), 2);

	hand_leave(&hand);
	child_signal(&child, SIGKILL);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
	wait_for(30, has_no_member(&hand));
	hand_close(&hand);
}

const struct test_case group_cases[] = {
	CASE(number_of_lanes_is_written_with_all_their_rows),
	CASE(change_moves_rows_and_fences_who_owned_them),
	CASE(change_is_not_made_when_something_is_not_as_it_was_read),
	CASE(change_is_not_made_while_a_member_or_an_owner_lives),
	CASE(row_that_is_forgotten_leaves_what_it_has_counted),
	CASE(rows_of_a_family_go_back_together_and_fence_their_owners),
	CASE(rows_of_a_family_that_is_forgotten_leave_no_count),
	CASE(member_joins_a_group_of_its_number_and_no_other),
	CASE(members_stand_in_the_order_they_joined),
	CASE(members_are_renewed_together_with_leases),
	CASE_NEEDS(member_of_a_closed_handle_is_none_any_more, NEEDS_SHARED),
	CASE_NEEDS(member_lives_as_long_as_its_process, NEEDS_PROCESSES),
	CASES_END,
};

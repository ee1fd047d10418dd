/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership as a backend keeps it: one owner at a time, a greater epoch each time, and no write
 * without it. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "conformance/cases.h"
#include "lib/child.h"
#include "lib/wait.h"
#include "path/store.h"

/** One would-be owner, with its session. */
struct contender {
	struct tide_store *store;
	const struct tide_checkpoint_ops *ops;
	void *session;
	struct tide_uuid owner;
	struct tide_lease lease;
	struct tide_fence fence;
};

static void contender_open(struct contender *c, struct tide_store *store, unsigned number)
{
	*c = (struct contender){ .store = store,
				 .ops = &store->backend->checkpoint,
				 .owner = uuid_of(number) };
	must(store->backend->store.session_open(store->state, &c->session, err));
}

static void contender_close(struct contender *c)
{
	c->store->backend->store.session_close(c->session);
}

static bool contender_acquire(struct contender *c, const char *name)
{
	memset(&c->lease, 0, sizeof c->lease);
	must(c->ops->lease_acquire(c->session, name, &c->owner, &c->lease, err));
	c->fence = (struct tide_fence){ .name = name, .owner = c->owner, .epoch = c->lease.epoch };
	return c->lease.is_owned;
}

static void contender_release(struct contender *c)
{
	must(c->ops->lease_release(c->session, &c->fence, err));
}

static bool is_owned(struct contender *c, const char *name)
{
	bool owned;
	must(c->ops->lease_is_owned(c->session, name, &owned, err));
	return owned;
}

static struct tide_checkpoint_write write_to(const char *name, tide_position position)
{
	return (struct tide_checkpoint_write){ .name = name,
					       .has_position = true,
					       .progress = { .position = position },
					       .now = tide_time_now() };
}

static void first_owner_begins_clean(struct fixture *f)
{
	struct contender a;
	contender_open(&a, f->store, 1);
	assert_false(is_owned(&a, "p"));
	assert_true(contender_acquire(&a, "p"));
	assert_true(a.lease.epoch >= 1);
	assert_false(a.lease.was_unclean);
	assert_int_equal(a.lease.suspect, 0);
	assert_true(is_owned(&a, "p"));
	assert_false(is_owned(&a, "P"));
	must(a.ops->lease_renew(a.session, &a.fence, err));
	contender_release(&a);
	assert_false(is_owned(&a, "p"));
	contender_close(&a);
}

static void second_owner_waits_for_the_release_of_the_first(struct fixture *f)
{
	struct contender a, b;
	contender_open(&a, f->store, 1);
	contender_open(&b, f->store, 2);
	assert_true(contender_acquire(&a, "p"));
	assert_false(contender_acquire(&b, "p"));
	assert_true(contender_acquire(&b, "q"));
	contender_release(&b);
	contender_release(&a);
	assert_true(contender_acquire(&b, "p"));
	assert_true(b.lease.epoch > a.lease.epoch);
	assert_false(b.lease.was_unclean);
	assert_false(contender_acquire(&a, "p"));
	contender_release(&b);
	contender_close(&a);
	contender_close(&b);
}

static void writes_of_a_former_owner_are_fenced(struct fixture *f)
{
	struct contender a, b;
	contender_open(&a, f->store, 1);
	contender_open(&b, f->store, 2);
	assert_true(contender_acquire(&a, "p"));
	struct tide_checkpoint_write write = write_to("p", 5);
	must(a.ops->save(a.session, &a.fence, &write, err));
	struct tide_fence old = a.fence;
	contender_release(&a);
	assert_true(contender_acquire(&b, "p"));
	write.progress.position = 6;
	assert_string_equal(refused(TIDE_FENCED, a.ops->save(a.session, &old, &write, err)).message,
			    "'p' has another owner now");
	struct tide_dead_letter_write letter = { .projection_name = "p",
						 .event_id = uuid_of(50),
						 .event_type = "A",
						 .event_data = "{}",
						 .message = "broke",
						 .now = tide_time_now() };
	int64_t id = 0;
	refused(TIDE_FENCED, a.ops->dead_letter_add(a.session, &old, &letter, &id, err));
	must(b.ops->dead_letter_add(b.session, &b.fence, &letter, &id, err));
	struct tide_dead_letter_change change = { .id = id,
						  .from = { true },
						  .to = TIDE_DEAD_LETTER_RESOLVED,
						  .resolved_by = "x",
						  .now = tide_time_now() };
	refused(TIDE_FENCED, a.ops->dead_letter_change(a.session, &old, &change, err));
	refused(TIDE_FENCED, a.ops->lease_renew(a.session, &old, err));
	refused(TIDE_FENCED, a.ops->lease_mark(a.session, &old, 9, 0, err));
	struct tide_checkpoint row;
	must(tide_checkpoints_load(f->checkpoints, "p", &row, err));
	assert_int_equal(row.position, 5);
	struct tide_dead_letter_list found = { 0 };
	must(tide_dead_letters_get(f->checkpoints, id, &found, err));
	assert_int_equal(found.entries[0].status, TIDE_DEAD_LETTER_FAILED);
	tide_dead_letters_free(&found);
	contender_release(&b);
	contender_close(&a);
	contender_close(&b);
}

static void fence_must_name_owner_and_epoch(struct fixture *f)
{
	struct contender a;
	contender_open(&a, f->store, 1);
	assert_true(contender_acquire(&a, "p"));
	struct tide_checkpoint_write write = write_to("p", 5);
	struct tide_fence wrong = a.fence;
	wrong.epoch++;
	refused(TIDE_FENCED, a.ops->save(a.session, &wrong, &write, err));
	wrong = a.fence;
	wrong.owner = uuid_of(77);
	refused(TIDE_FENCED, a.ops->save(a.session, &wrong, &write, err));
	wrong = a.fence;
	wrong.name = "never owned";
	refused(TIDE_FENCED, a.ops->save(a.session, &wrong, &write, err));
	tide_position position;
	refused(TIDE_NOT_FOUND, tide_checkpoints_position(f->checkpoints, "p", &position, err));
	contender_release(&a);
	contender_close(&a);
}

static void calls_of_the_user_are_not_fenced(struct fixture *f)
{
	struct contender a;
	contender_open(&a, f->store, 1);
	assert_true(contender_acquire(&a, "p"));
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 3 },
				   err));
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	assert_true(is_owned(&a, "p"));
	contender_release(&a);
	assert_false(is_owned(&a, "p"));
	contender_close(&a);
}

static struct tide_lease_info listed(struct contender *c, const char *name)
{
	struct tide_lease_info *list = NULL, found = { 0 };
	size_t count = 0;
	must(c->ops->lease_list(c->session, &list, &count, err));
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			found = list[i];
	tide_free(list);
	assert_string_equal(found.name, name);
	return found;
}

static void clean_owner_leaves_no_suspect(struct fixture *f)
{
	struct contender a, b;
	contender_open(&a, f->store, 1);
	contender_open(&b, f->store, 2);
	assert_true(contender_acquire(&a, "p"));
	must(a.ops->lease_mark(a.session, &a.fence, 12, 0, err));
	must(a.ops->lease_mark(a.session, &a.fence, 0, 0, err));
	contender_release(&a);
	assert_true(contender_acquire(&b, "p"));
	assert_false(b.lease.was_unclean);
	assert_int_equal(b.lease.suspect, 0);

	/* a mark that is still there goes with the release: whoever dies next has not left it */
	must(b.ops->lease_mark(b.session, &b.fence, 12, 1, err));
	contender_release(&b);
	assert_int_equal(listed(&b, "p").suspect, 0);
	assert_true(contender_acquire(&a, "p"));
	assert_int_equal(a.lease.suspect, 0);
	assert_int_equal(a.lease.suspect_deaths, 0);
	contender_release(&a);
	contender_close(&a);
	contender_close(&b);
}

/** Threads that all want one name, again and again, and must never have it together. */
struct contest {
	struct tide_store *store;
	atomic_int inside, overlaps, wins, wrong;
	_Atomic int64_t epoch;
};

static void contest_run(void *self, size_t index)
{
	struct contest *contest = self;
	const struct tide_backend *backend = contest->store->backend;
	struct tide_uuid owner = uuid_of(100 + (unsigned)index);
	void *session;
	if (backend->store.session_open(contest->store->state, &session, NULL) != TIDE_OK) {
		atomic_fetch_add(&contest->wrong, 1);
		return;
	}
	for (int round = 0; round < 20; round++) {
		struct tide_lease lease = { 0 };
		if (backend->checkpoint.lease_acquire(session, "p", &owner, &lease, NULL) !=
		    TIDE_OK) {
			atomic_fetch_add(&contest->wrong, 1);
			continue;
		}
		if (!lease.is_owned)
			continue;
		atomic_fetch_add(&contest->wins, 1);
		if (atomic_fetch_add(&contest->inside, 1) != 0 ||
		    lease.epoch <= atomic_load(&contest->epoch))
			atomic_fetch_add(&contest->overlaps, 1);
		atomic_store(&contest->epoch, lease.epoch);
		atomic_fetch_sub(&contest->inside, 1);
		struct tide_fence fence = { .name = "p", .owner = owner, .epoch = lease.epoch };
		if (backend->checkpoint.lease_release(session, &fence, NULL) != TIDE_OK)
			atomic_fetch_add(&contest->wrong, 1);
	}
	backend->store.session_close(session);
}

static void one_name_never_has_two_owners(struct fixture *f)
{
	struct contest contest = { .store = f->store };
	race_to(6, contest_run, &contest);
	assert_int_equal(contest.wrong, 0);
	assert_int_equal(contest.overlaps, 0);
	assert_true(contest.wins >= 6);
}

/* ---- Owners that die ------------------------------------------------------------------------- */

static int own_until_killed(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	struct contender c;
	contender_open(&c, store, 900);
	if (!contender_acquire(&c, "p"))
		return 2;
	int32_t deaths = c.lease.suspect ? c.lease.suspect_deaths : 0;
	if (c.ops->lease_mark(c.session, &c.fence, 12, deaths, NULL) != TIDE_OK)
		return 3;
	child_report(report_to, 'o');
	for (;;)
		wait_a_moment();
}

static void owner_that_dies_is_succeeded_and_leaves_its_suspect(struct fixture *f)
{
	struct contender a;
	contender_open(&a, f->store, 1);
	for (int deaths = 1; deaths <= 2; deaths++) {
		struct child child = child_start(own_until_killed, f->url);
		assert_int_equal(child_await(&child, 30), 'o');
		assert_false(contender_acquire(&a, "p"));
		assert_true(is_owned(&a, "p"));
		child_signal(&child, SIGKILL);
		assert_int_equal(child_join(&child), 128 + SIGKILL);
		wait_for(30, !is_owned(&a, "p"));
		if (deaths < 2)
			continue; /* the next child takes over, and carries the mark on */
		assert_true(contender_acquire(&a, "p"));
		assert_true(a.lease.was_unclean);
		assert_int_equal(a.lease.suspect, 12);
		assert_int_equal(a.lease.suspect_deaths, 2);
	}
	must(a.ops->lease_mark(a.session, &a.fence, 0, 0, err));
	contender_release(&a);
	assert_true(contender_acquire(&a, "p"));
	assert_false(a.lease.was_unclean);
	assert_int_equal(a.lease.suspect, 0);
	contender_release(&a);
	contender_close(&a);
}

static void handle_closed_without_a_release_is_succeeded(struct fixture *f)
{
	struct tide_store *store;
	struct contender a, b;
	must(tide_store_open(f->url, NULL, &store, err));
	contender_open(&a, store, 1);
	contender_open(&b, f->store, 2);
	assert_true(contender_acquire(&a, "p"));
	must(a.ops->lease_mark(a.session, &a.fence, 12, 1, err));
	assert_false(contender_acquire(&b, "p"));
	contender_close(&a);
	tide_store_close(store);

	wait_for(30, contender_acquire(&b, "p"));
	assert_true(b.lease.was_unclean);
	assert_int_equal(b.lease.suspect, 12);
	assert_int_equal(b.lease.suspect_deaths, 2);
	contender_release(&b);
	contender_close(&b);
}

static void lease_keeps_who_had_it_and_what_ended_it(struct fixture *f)
{
	struct contender one, two;
	contender_open(&one, f->store, 1);
	contender_open(&two, f->store, 2);
	assert_true(contender_acquire(&one, "p"));
	struct tide_lease_info info = listed(&two, "p");
	assert_true(info.is_owned);
	assert_string_equal(info.host, "");
	assert_false(info.has_last_error);
	struct tide_time before = { tide_time_now().unix_us - 1000000 };
	must(one.ops->lease_note(
		one.session, &one.fence,
		&(struct tide_lease_note){ .host = "here", .pid = 7, .now = tide_time_now() },
		err));
	must(one.ops->lease_note(one.session, &one.fence,
				 &(struct tide_lease_note){ .last_error = "the well is dry",
							    .now = tide_time_now() },
				 err));
	contender_release(&one);
	info = listed(&two, "p");
	assert_false(info.is_owned);
	assert_string_equal(info.host, "here");
	assert_int_equal(info.pid, 7);
	assert_true(info.has_last_error);
	assert_string_equal(info.last_error, "the well is dry");
	assert_true(info.last_error_at.unix_us >= before.unix_us);
	assert_true(contender_acquire(&two, "p"));
	refused(TIDE_FENCED,
		one.ops->lease_note(
			one.session, &one.fence,
			&(struct tide_lease_note){ .last_error = "late", .now = tide_time_now() },
			err));
	info = listed(&two, "p");
	assert_true(info.is_owned);
	/* it stays until another one ends a run */
	assert_string_equal(info.last_error, "the well is dry");
	contender_release(&two);
	contender_close(&two);
	contender_close(&one);
}

/* ... and what ends a run stays beside it, until there is another one. */
static void lease_keeps_what_its_owner_tells(struct fixture *f)
{
	static const char told[] = "{\"cause\":\"live\"}";
	struct contender one, two;
	bool is_told = false;
	contender_open(&one, f->store, 1);
	contender_open(&two, f->store, 2);
	assert_true(contender_acquire(&one, "p"));
	must(one.ops->lease_tell(one.session, &one.fence, told, &is_told, err));
	assert_true(is_told);
	struct tide_lease_info info = listed(&two, "p");
	assert_string_equal(info.reason, told);
	assert_true(info.has_owner);
	assert_false(info.has_released_at);
	must(one.ops->lease_tell(one.session, &one.fence, NULL, &is_told, err));
	assert_string_equal(listed(&two, "p").reason, "");

	must(one.ops->lease_note(one.session, &one.fence,
				 &(struct tide_lease_note){ .last_error = "the well is dry",
							    .reason = told,
							    .now = tide_time_now() },
				 err));
	contender_release(&one);
	info = listed(&two, "p");
	assert_string_equal(info.reason, told);
	assert_false(info.has_owner);
	assert_true(info.has_released_at);

	assert_true(contender_acquire(&two, "p"));
	assert_string_equal(listed(&two, "p").reason, "");
	must(one.ops->lease_tell(one.session, &one.fence, told, &is_told, err));
	assert_false(is_told); /* it is another's */
	assert_string_equal(listed(&two, "p").reason, "");
	contender_release(&two);
	contender_close(&two);
	contender_close(&one);
}

static void lease_that_a_person_ends_fences_its_owner(struct fixture *f)
{
	struct contender one, two;
	contender_open(&one, f->store, 1);
	contender_open(&two, f->store, 2);
	assert_string_equal(
		refused(TIDE_NOT_FOUND, tide_checkpoints_release(f->checkpoints, "p", err)).message,
		"projection 'p' was never owned");
	refused(TIDE_ARGUMENT, tide_checkpoints_release(f->checkpoints, "", err));
	assert_true(contender_acquire(&one, "p"));
	assert_true(contender_acquire(&two, "q"));
	must(one.ops->lease_mark(one.session, &one.fence, 12, 0, err));
	must(one.ops->lease_note(one.session, &one.fence,
				 &(struct tide_lease_note){ .host = "here",
							    .pid = 7,
							    .last_error = "the well is dry",
							    .now = tide_time_now() },
				 err));
	must(tide_checkpoints_release(f->checkpoints, "p", err));
	assert_false(listed(&two, "p").has_last_error);
	assert_string_equal(listed(&two, "p").host, "here");
	struct tide_checkpoint_write write = write_to("p", 5);
	refused(TIDE_FENCED, one.ops->save(one.session, &one.fence, &write, err));
	refused(TIDE_FENCED, one.ops->lease_renew(one.session, &one.fence, err));
	refused(TIDE_FENCED, one.ops->lease_mark(one.session, &one.fence, 13, 0, err));
	refused(TIDE_FENCED, one.ops->lease_release(one.session, &one.fence, err));
	must(two.ops->lease_renew(two.session, &two.fence, err));
	contender_release(&two);
	assert_false(is_owned(&two, "p"));
	assert_true(contender_acquire(&two, "p"));
	assert_true(two.lease.epoch >= one.fence.epoch + 2);
	assert_false(two.lease.was_unclean);
	assert_int_equal(two.lease.suspect, 0);
	assert_false(contender_acquire(&one, "p"));
	contender_release(&two);
	must(tide_checkpoints_release(f->checkpoints, "p", err)); /* nobody's already */
	assert_true(contender_acquire(&one, "p"));
	assert_true(one.lease.epoch >= two.fence.epoch + 2);
	contender_release(&one);
	contender_close(&two);
	contender_close(&one);
}

static void leases_are_renewed_together_each_by_itself(struct fixture *f)
{
	struct contender fine, old, next, ended, other;
	contender_open(&fine, f->store, 1);
	contender_open(&old, f->store, 2);
	contender_open(&next, f->store, 3);
	contender_open(&ended, f->store, 4);
	contender_open(&other, f->store, 5);
	assert_true(contender_acquire(&fine, "fine"));
	assert_true(contender_acquire(&old, "taken"));
	contender_release(&old);
	assert_true(contender_acquire(&next, "taken"));
	assert_true(contender_acquire(&ended, "ended"));
	must(tide_checkpoints_release(f->checkpoints, "ended", err));
	assert_true(contender_acquire(&other, "other"));

	struct tide_lease_renewal leases[] = {
		{ .fence = old.fence },   { .fence = fine.fence },
		{ .fence = ended.fence }, { .fence = { "nobody's", old.owner, 1 } },
		{ .fence = other.fence }, { .fence = next.fence }
	};
	static const enum tide_renewal expected[] = { TIDE_RENEWAL_LOST, TIDE_RENEWAL_MADE,
						      TIDE_RENEWAL_LOST, TIDE_RENEWAL_LOST,
						      TIDE_RENEWAL_MADE, TIDE_RENEWAL_MADE };
	size_t count = sizeof leases / sizeof *leases;
	must(fine.ops->lease_renew_all(fine.session, leases, count, err));
	for (size_t i = 0; i < count; i++)
		if (leases[i].result != expected[i])
			fail_msg("'%s': %d instead of %d", leases[i].fence.name, leases[i].result,
				 expected[i]);
	must(fine.ops->lease_renew_all(fine.session, NULL, 0, err));

	assert_false(is_owned(&fine, "nobody's"));
	refused(TIDE_FENCED, ended.ops->lease_release(ended.session, &ended.fence, err));
	assert_false(is_owned(&fine, "ended"));
	contender_release(&fine);
	contender_release(&next);
	contender_release(&other);
	contender_close(&other);
	contender_close(&ended);
	contender_close(&next);
	contender_close(&old);
	contender_close(&fine);
}

static int own_until_told(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	struct contender c;
	contender_open(&c, store, 901);
	if (!contender_acquire(&c, "p"))
		return 2;
	struct tide_checkpoint_write write = write_to("p", 5);
	child_report(report_to, 'o');
	while (c.ops->save(c.session, &c.fence, &write, NULL) == TIDE_OK)
		wait_a_moment();
	if (c.ops->lease_release(c.session, &c.fence, NULL) != TIDE_FENCED)
		return 3;
	child_report(report_to, 'f');
	for (;;)
		wait_a_moment();
}

static void process_whose_lease_a_person_ends_gives_way_alive(struct fixture *f)
{
	struct contender a;
	contender_open(&a, f->store, 1);
	struct child child = child_start(own_until_told, f->url);
	assert_int_equal(child_await(&child, 30), 'o');
	assert_false(contender_acquire(&a, "p"));
	must(tide_checkpoints_release(f->checkpoints, "p", err));
	assert_int_equal(child_await(&child, 30), 'f');
	assert_true(contender_acquire(&a, "p"));
	assert_false(a.lease.was_unclean);
	child_signal(&child, SIGKILL);
	assert_int_equal(child_join(&child), 128 + SIGKILL);
	contender_release(&a);
	contender_close(&a);
}

const struct test_case lease_cases[] = {
	CASE(first_owner_begins_clean),
	CASE(second_owner_waits_for_the_release_of_the_first),
	CASE(writes_of_a_former_owner_are_fenced),
	CASE(fence_must_name_owner_and_epoch),
	CASE(calls_of_the_user_are_not_fenced),
	CASE(clean_owner_leaves_no_suspect),
	CASE(one_name_never_has_two_owners),
	CASE(lease_keeps_who_had_it_and_what_ended_it),
	CASE(lease_keeps_what_its_owner_tells),
	CASE(lease_that_a_person_ends_fences_its_owner),
	CASE(leases_are_renewed_together_each_by_itself),
	CASE_NEEDS(handle_closed_without_a_release_is_succeeded, NEEDS_SHARED),
	CASE_NEEDS(process_whose_lease_a_person_ends_gives_way_alive, NEEDS_PROCESSES),
	CASE_NEEDS(owner_that_dies_is_succeeded_and_leaves_its_suspect, NEEDS_PROCESSES),
	CASES_END,
};

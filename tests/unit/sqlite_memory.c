/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out: the Nth allocation fails, for every N; nothing is lost, nothing leaks, the
 * next try succeeds.
 */
#include "sqlite_fixture.h"

#include "sys/alloc.h"

#define ATTEMPTS_MAX 200

/** Something to try with a store and a session on it. */
typedef tide_status attempt(void *store, void *session, struct tide_error *err);

static struct tide_stream stream_fixed(void)
{
	return (struct tide_stream){ { { 1, 2, 3 } }, "Thing" };
}

static tide_status attempt_append(void *store, void *session, struct tide_error *err)
{
	(void)session;
	struct tide_event events[3] = { fixture_event("A", "1"), fixture_event("A", "2"),
					fixture_event("A", "3") };
	struct tide_commit commits[2] = {
		{ stream_fixed(), TIDE_ANY, events, 2 },
		{ { tide_uuid_v7(), "Other" }, TIDE_ANY, events + 2, 1 }
	};
	struct tide_append_result results[2];
	tide_status status = STORE->append(store, commits, 2, results, err);
	if (status != TIDE_OK)
		return status;
	/* Repeated: the ids are looked up. */
	return STORE->append(store, commits, 2, results, err);
}

static tide_status attempt_read(void *store, void *session, struct tide_error *err)
{
	(void)store;
	struct tide_page page;
	tide_page_init(&page);
	tide_status status = fixture_read(session, 0, 100, &page, err);
	tide_page_fini(&page);
	return status;
}

static tide_status attempt_session(void *store, void *session, struct tide_error *err)
{
	(void)session;
	void *another;
	tide_status status = STORE->session_open(store, &another, err);
	if (status == TIDE_OK)
		STORE->session_close(another);
	return status;
}

static tide_status attempt_list(void *store, void *session, struct tide_error *err)
{
	(void)store;
	struct tide_checkpoint *rows;
	size_t count;
	struct tide_dead_letter_list letters;
	struct tide_dead_letter_count *counts;
	struct tide_dead_letter_filter filter = { .statuses = { true, true, true }, .limit = -1 };
	tide_status status = CHECKPOINT->list(session, &rows, &count, err);
	if (status != TIDE_OK)
		return status;
	tide_free(rows);
	status = CHECKPOINT->dead_letter_list(session, &filter, &letters, err);
	if (status != TIDE_OK)
		return status;
	tide_dead_letters_free(&letters);
	status = CHECKPOINT->dead_letter_counts(session, &counts, &count, err);
	if (status == TIDE_OK)
		tide_free(counts);
	return status;
}

static tide_status attempt_lease(void *store, void *session, struct tide_error *err)
{
	(void)store;
	struct tide_uuid owner = tide_uuid_v4();
	struct tide_lease lease;
	tide_status status = CHECKPOINT->lease_acquire(session, "P", &owner, &lease, err);
	if (status != TIDE_OK)
		return status;
	assert_true(lease.is_owned);
	struct tide_fence fence = { "P", owner, lease.epoch };
	return CHECKPOINT->lease_release(session, &fence, err);
}

static tide_status attempt_snapshot(void *store, void *session, struct tide_error *err)
{
	(void)store;
	struct tide_snapshot snapshot = { stream_fixed(), 1, 1, tide_text("{}"), tide_time_now() },
			     loaded;
	tide_status status = STORE->snapshot_save(session, &snapshot, err);
	if (status == TIDE_OK)
		status = STORE->snapshot_load(session, stream_fixed(), &loaded, err);
	if (status == TIDE_OK)
		tide_free((void *)loaded.state.data);
	return status;
}

static tide_status attempt_watch(void *store, void *session, struct tide_error *err)
{
	(void)session;
	void *watch;
	tide_status status = NOTIFY->start(store, &watch, err);
	if (status == TIDE_OK)
		NOTIFY->stop(watch);
	return status;
}

static void prepare(void *session)
{
	struct tide_error err;
	for (int i = 0; i < 20; i++) {
		char name[8];
		int64_t id;
		snprintf(name, sizeof name, "P%d", i);
		struct tide_checkpoint_write write = { .name = name, .has_position = true };
		struct tide_dead_letter_write dead = { .projection_name = name,
						       .event_id = tide_uuid_v4(),
						       .event_type = "A",
						       .event_data = "{}",
						       .message = "m" };
		assert_ok(CHECKPOINT->save(session, NULL, &write, &err));
		assert_ok(CHECKPOINT->dead_letter_add(session, NULL, &dead, &id, &err));
	}
}

static void every_call_survives_every_failing_allocation(void **state)
{
	static attempt *const attempts[] = { attempt_append, attempt_read,  attempt_session,
					     attempt_list,   attempt_lease, attempt_snapshot,
					     attempt_watch };
	struct fixture *fixture = *state;
	struct tide_error err;
	void *store = fixture_open(fixture->database, "");
	void *session = fixture_session(store);
	prepare(session);
	for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
		tide_status status = TIDE_OUT_OF_MEMORY;
		for (int64_t nth = 1; status == TIDE_OUT_OF_MEMORY && nth < ATTEMPTS_MAX; nth++) {
			alloc_fail_from(nth);
			status = attempts[i](store, session, &err);
			alloc_fail_from(0);
		}
		assert_status(TIDE_OK, status);
	}
	STORE->session_close(session);
	STORE->close(store);
}

static void opening_survives_every_failing_allocation(void **state)
{
	struct fixture *fixture = *state;
	struct tide_error err;
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status == TIDE_OUT_OF_MEMORY && nth < ATTEMPTS_MAX; nth++) {
		void *store = NULL;
		alloc_fail_from(nth);
		status = fixture_try_open(fixture->database, "",
					  TIDE_STORE_OPTIONS(.initialize = true), &store, &err);
		alloc_fail_from(0);
		if (status == TIDE_OK)
			STORE->close(store);
		else
			assert_null(store);
	}
	assert_status(TIDE_OK, status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(every_call_survives_every_failing_allocation),
		TEST(opening_survives_every_failing_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

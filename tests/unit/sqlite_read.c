/* SPDX-License-Identifier: Apache-2.0 */
/* What a page of rare events costs, and that it is the right one. */
#include "sqlite_fixture.h"

#define RARE 3 /* events of each rare type, among COMMON of another */
#define COMMON 6000

static int64_t steps; /* of SQLite's machine, in hundreds */

static int count_steps(void *self)
{
	(void)self;
	steps++;
	return 0;
}

/* A Rare, a Seldom and many common ones, again and again. */
static void *store_filled(const struct fixture *fixture)
{
	void *store = fixture_open(fixture->database, "?synchronous=normal");
	for (int i = 0; i < RARE; i++) {
		struct tide_append_result result;
		struct tide_error err;
		struct tide_uuid stream = tide_uuid_v4();
		struct tide_event pair[] = { fixture_event(i % 2 ? "Rare" : "Seldom", "{}"),
					     fixture_event(i % 2 ? "Seldom" : "Rare", "{}") };
		const struct tide_commit commit = { { stream, "Thing" }, TIDE_ANY, pair, 2 };
		assert_ok(STORE->append(store, &commit, 1, &result, &err));
		assert_ok(fixture_append(store, &stream, 2, COMMON / RARE, NULL, &err));
	}
	return store;
}

static void page_read(void *session, const char *const *types, bool backward,
		      struct tide_page *page)
{
	const struct tide_filter filter = { .event_types = types };
	const struct tide_page_query query = { .filter = &filter,
					       .backward = backward,
					       .bound = backward ? INT64_MAX : 0,
					       .max_events = 100,
					       .max_bytes = 1 << 20 };
	struct tide_error err;
	tide_page_begin(page, query.max_events, query.max_bytes);
	sqlite3_progress_handler(STORE->connection(session), 100, count_steps, NULL);
	steps = 0;
	assert_ok(STORE->read(session, &query, page, &err));
	assert_true(page->is_end);
}

static void assert_is_in_order(const struct tide_page *page, bool backward)
{
	for (size_t i = 1; i < page->count; i++) {
		tide_position before = page->entries[i - 1].event.position,
			      at = page->entries[i].event.position;
		assert_true(backward ? at < before : at > before);
	}
}

static void pages_of_rare_types_read_about_their_own_events(void **state)
{
	static const char *const lists[][5] = {
		{ "Rare" },
		{ "Rare", "Seldom" },
		{ "Seldom", "Never", "Rare", "Seldom" },
	};
	const struct fixture *fixture = *state;
	void *store = store_filled(fixture), *session = fixture_session(store);
	struct tide_page page;
	tide_page_init(&page);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (int backward = 0; backward < 2; backward++) {
			page_read(session, lists[i], backward, &page);
			assert_int_equal(page.count, i ? 2 * RARE : RARE);
			assert_is_in_order(&page, backward);
			assert_in_range(steps, 0, COMMON / 100);
		}

	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

/* More than are asked for by the index: the filter finds them. */
static void pages_of_many_types_are_complete(void **state)
{
	static const char *const many[] = { "A", "B", "C", "D",    "E",      "F",
					    "G", "H", "I", "Rare", "Seldom", NULL };
	const struct fixture *fixture = *state;
	void *store = store_filled(fixture), *session = fixture_session(store);
	struct tide_page page;
	tide_page_init(&page);
	page_read(session, many, false, &page);
	assert_int_equal(page.count, 2 * RARE);
	assert_is_in_order(&page, false);

	tide_page_fini(&page);
	STORE->session_close(session);
	STORE->close(store);
}

/* ---- A stream that grows --------------------------------------------------------------------- */

/** What is appended to when the events of a stream are asked for. */
struct growing {
	void *store;
	struct tide_uuid stream;
	int count; /* appends so far */
};

static int grow_at_the_rows(unsigned kind, void *self, void *statement, void *text)
{
	struct growing *growing = self;
	struct tide_error err;
	(void)kind, (void)statement;
	if (strstr(text, "payload") && growing->count == 0) {
		growing->count++;
		assert_ok(
			fixture_append(growing->store, &growing->stream, TIDE_ANY, 1, NULL, &err));
	}
	return 0;
}

static void check_growing(const struct fixture *fixture, bool backward)
{
	struct growing growing = { .store = fixture_open(fixture->database, ""),
				   .stream = tide_uuid_v4() };
	const struct tide_filter all = { 0 };
	const struct tide_stream stream = { growing.stream, "Thing" };
	const struct tide_page_query query = { .filter = &all,
					       .stream = &stream,
					       .backward = backward,
					       .bound = backward ? INT64_MAX : 0,
					       .max_events = 100,
					       .max_bytes = 1 << 20 };
	void *session = fixture_session(growing.store);
	struct tide_error err;
	struct tide_page page;
	tide_page_init(&page);
	tide_page_begin(&page, query.max_events, query.max_bytes);
	assert_ok(fixture_append(growing.store, &growing.stream, 0, 3, NULL, &err));

	sqlite3_trace_v2(STORE->connection(session), SQLITE_TRACE_STMT, grow_at_the_rows, &growing);
	assert_ok(STORE->read(session, &query, &page, &err));
	assert_int_equal(growing.count, 1);
	assert_int_equal(page.stream_version, 3);
	assert_int_equal(page.count, 3);
	STORE->session_close(session);
	STORE->close(growing.store);
	tide_page_fini(&page);
}

static void version_and_events_of_a_stream_are_of_one_snapshot(void **state)
{
	check_growing(*state, false);
	check_growing(*state, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_of_rare_types_read_about_their_own_events),
		TEST(pages_of_many_types_are_complete),
		TEST(version_and_events_of_a_stream_are_of_one_snapshot),
	};
	return cmocka_run_group_tests_name("sqlite_read", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Appends that meet: threads, handles and processes on one store. Threads keep count; the case
 * judges afterwards. */
#include <stdatomic.h>
#include <string.h>

#include "conformance/cases.h"
#include "lib/child.h"
#include "lib/wait.h"

#define RACERS 8

/** What the threads of a race share. */
struct race {
	struct tide_store *stores[2];
	int64_t expected;
	int rounds;
	bool feed_may_end_in_a_batch;
	atomic_int won, lost, wrong;
	tide_version actual[RACERS]; /* what each loser was told */
	struct tide_append_result results[RACERS];
};

static struct tide_store *race_store(struct race *race, size_t index)
{
	return race->stores[1] ? race->stores[index % 2] : race->stores[0];
}

static void race_exact(void *self, size_t index)
{
	struct race *race = self;
	struct tide_new_event events[] = { event_of("A", (unsigned)index),
					   event_of("B", (unsigned)index) };
	struct tide_append_result result = { 0 };
	tide_status status = tide_store_append(
		race_store(race, index), APPEND(stream_of("Order", 1), race->expected, events),
		&result, NULL);
	if (status == TIDE_OK) {
		atomic_fetch_add(&race->won, 1);
	} else if (status == TIDE_CONFLICT) {
		atomic_fetch_add(&race->lost, 1);
		race->actual[index] = result.version;
	} else {
		atomic_fetch_add(&race->wrong, 1);
	}
}

static void exact_rounds(struct fixture *f, struct race *race)
{
	for (race->expected = 0; race->expected < 60; race->expected += 2) {
		race->won = race->lost = race->wrong = 0;
		memset(race->actual, 0, sizeof race->actual);
		race_to(RACERS, race_exact, race);
		assert_int_equal(race->wrong, 0);
		assert_int_equal(race->won, 1);
		assert_int_equal(race->lost, RACERS - 1);
		for (size_t i = 0; i < RACERS; i++)
			assert_true(race->actual[i] == 0 || race->actual[i] == race->expected + 2);
		assert_int_equal(version_of(f->store, stream_of("Order", 1)), race->expected + 2);
	}
}

static void racing_the_same_exact_version_has_one_winner(struct fixture *f)
{
	struct race race = { .stores = { f->store } };
	exact_rounds(f, &race);
}

static void racing_through_two_handles_has_one_winner(struct fixture *f)
{
	struct race race = { .stores = { f->store, fixture_second_handle(f) } };
	exact_rounds(f, &race);
	tide_store_close(race.stores[1]);
}

static void race_any(void *self, size_t index)
{
	struct race *race = self;
	for (int round = 0; round < race->rounds; round++) {
		struct tide_new_event events[] = { event_of("A", (unsigned)index),
						   event_of("B", (unsigned)round) };
		tide_status status = tide_store_append(
			race_store(race, index), APPEND(stream_of("Order", 1), TIDE_ANY, events),
			NULL, NULL);
		atomic_fetch_add(status == TIDE_OK ? &race->won : &race->wrong, 1);
	}
}

static void any_version_races_all_succeed_without_a_gap(struct fixture *f)
{
	struct race race = { .stores = { f->store }, .rounds = 40 };
	race_to(RACERS, race_any, &race);
	assert_int_equal(race.wrong, 0);
	assert_int_equal(race.won, RACERS * 40);
	SEEN seen = see(f->store,
			&(struct tide_query){ .of_stream = true, .stream = stream_of("Order", 1) });
	assert_int_equal(seen.count, RACERS * 40 * 2);
	for (size_t i = 0; i < seen.count; i++) {
		assert_int_equal(seen.events[i]->version, i + 1);
		assert_string_equal(seen.events[i]->event_type.data, i % 2 ? "B" : "A");
		assert_true(i == 0 || seen.events[i]->position > seen.events[i - 1]->position);
	}
}

static void race_repeat(void *self, size_t index)
{
	struct race *race = self;
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].event_id = uuid_of(100);
	events[1].event_id = uuid_of(101);
	tide_status status =
		tide_store_append(race_store(race, index), APPEND(stream_of("Order", 1), 0, events),
				  &race->results[index], NULL);
	atomic_fetch_add(status == TIDE_OK ? &race->won : &race->wrong, 1);
}

static void racing_repetitions_all_get_the_same_result(struct fixture *f)
{
	struct race race = { .stores = { f->store } };
	race_to(RACERS, race_repeat, &race);
	assert_int_equal(race.wrong, 0);
	size_t stored_now = 0;
	for (size_t i = 0; i < RACERS; i++) {
		assert_int_equal(race.results[i].version, 2);
		assert_int_equal(race.results[i].first_position, race.results[0].first_position);
		assert_int_equal(race.results[i].last_position, race.results[0].last_position);
		stored_now += !race.results[i].was_stored_before;
	}
	assert_int_equal(stored_now, 1);
	assert_int_equal(version_of(f->store, stream_of("Order", 1)), 2);
}

static void race_streams(void *self, size_t index)
{
	struct race *race = self;
	for (int round = 0; round < race->rounds; round++) {
		struct tide_new_event events[] = { event_of("A", (unsigned)round) };
		tide_status status = tide_store_append(
			race_store(race, index),
			APPEND(stream_of("Order", (unsigned)index), round, events), NULL, NULL);
		atomic_fetch_add(status == TIDE_OK ? &race->won : &race->wrong, 1);
	}
}

static void appends_to_different_streams_do_not_disturb_each_other(struct fixture *f)
{
	struct race race = { .stores = { f->store }, .rounds = 50 };
	race_to(RACERS, race_streams, &race);
	assert_int_equal(race.wrong, 0);
	for (unsigned i = 0; i < RACERS; i++)
		assert_int_equal(version_of(f->store, stream_of("Order", i)), 50);
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, RACERS * 50);
}

/* ---- Reading meanwhile ----------------------------------------------------------------------- */

/* Even threads append batches of three, odd ones read the stream and the feed and count what is
 * torn. */
static void race_readers(void *self, size_t index)
{
	struct race *race = self;
	struct tide_store *store = race->stores[0];
	struct tide_stream stream = stream_of("Order", 1);
	for (int round = 0; round < race->rounds; round++) {
		if (index % 2 == 0) {
			struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2),
							   event_of("C", 3) };
			tide_status status = tide_store_append(
				store, APPEND(stream, TIDE_ANY, events), NULL, NULL);
			atomic_fetch_add(status == TIDE_OK ? &race->won : &race->wrong, 1);
			continue;
		}
		struct tide_reader *reader;
		struct tide_query query = { .of_stream = round % 2, .stream = stream };
		if (tide_store_read(store, &query, &reader, NULL) != TIDE_OK) {
			atomic_fetch_add(&race->wrong, 1);
			continue;
		}
		const struct tide_event *event = NULL;
		int64_t count = 0;
		bool is_good = true;
		while (tide_reader_next(reader, &event, NULL) == TIDE_OK && event)
			is_good = is_good && event->version == ++count;
		bool may_be_torn = !query.of_stream && race->feed_may_end_in_a_batch;
		is_good = is_good && (count % 3 == 0 || may_be_torn);
		atomic_fetch_add(is_good ? &race->lost : &race->wrong, 1);
		tide_reader_close(reader);
	}
}

static void readers_never_see_part_of_a_batch(struct fixture *f)
{
	struct race race = { .stores = { f->store },
			     .rounds = 40,
			     .feed_may_end_in_a_batch = f->quirks->feed_may_end_in_a_batch };
	race_to(RACERS, race_readers, &race);
	assert_int_equal(race.wrong, 0);
	assert_int_equal(race.won, RACERS / 2 * 40);
	assert_int_equal(race.lost, RACERS / 2 * 40);
}

/* ---- Two processes --------------------------------------------------------------------------- */

/* Long enough for one of two steady writers to lose many races in a row. */
enum { RACE_OF_PROCESSES = 300 };

static int append_in_a_child(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	child_report(report_to, 'r');
	for (unsigned i = 0; i < RACE_OF_PROCESSES; i++) {
		struct tide_new_event events[] = { event_of("Child", i), event_of("Child", i) };
		if (tide_store_append(store, APPEND(stream_of("Order", 1), TIDE_ANY, events), NULL,
				      NULL) != TIDE_OK)
			return 2;
	}
	tide_store_close(store);
	return 0;
}

#define WATCHED 200 /* events: they are read in one page */

/** One who appends to a stream, and one who reads it. */
struct watching {
	struct tide_store *store;
	atomic_bool is_over;
	atomic_int wrong;
};

/* Whether a read of the stream saw each event up to the version that it told. */
static bool watch_once(struct tide_store *store)
{
	const struct tide_query query = { .of_stream = true, .stream = stream_of("Order", 1) };
	const struct tide_event *event = NULL;
	struct tide_reader *reader;
	tide_version seen = 0;
	if (tide_store_read(store, &query, &reader, NULL) != TIDE_OK)
		return false;

	tide_status status;
	while ((status = tide_reader_next(reader, &event, NULL)) == TIDE_OK && event)
		seen = event->version;
	bool is_same = status == TIDE_OK && seen == tide_reader_stream_version(reader);
	tide_reader_close(reader);
	return is_same;
}

static void watch_run(void *self, size_t index)
{
	struct watching *watching = self;
	for (unsigned i = 0; index == 0 && i < WATCHED; i++) {
		struct tide_new_event events[] = { event_of("A", i) };
		if (tide_store_append(watching->store,
				      APPEND(stream_of("Order", 1), TIDE_ANY, events), NULL,
				      NULL) != TIDE_OK)
			atomic_fetch_add(&watching->wrong, 1);
	}

	if (index == 0)
		atomic_store(&watching->is_over, true);
	while (!atomic_load(&watching->is_over))
		atomic_fetch_add(&watching->wrong, !watch_once(watching->store));
}

static void stream_that_grows_is_read_up_to_the_version_that_is_told(struct fixture *f)
{
	struct watching watching = { .store = f->store };
	race_to(4, watch_run, &watching);
	assert_int_equal(watching.wrong, 0);
	assert_true(watch_once(f->store));
}

static void appends_of_two_processes_lose_nothing(struct fixture *f)
{
	struct child child = child_start(append_in_a_child, f->url);
	assert_int_equal(child_await(&child, 10), 'r');
	for (unsigned i = 0; i < RACE_OF_PROCESSES; i++)
		append_many(f->store, stream_of("Order", 1), i, 2);
	assert_int_equal(child_join(&child), 0);
	SEEN seen = see(f->store,
			&(struct tide_query){ .of_stream = true, .stream = stream_of("Order", 1) });
	assert_int_equal(seen.count, 4 * RACE_OF_PROCESSES);
	for (size_t i = 0; i < seen.count; i++)
		assert_int_equal(seen.events[i]->version, i + 1);
	for (size_t i = 0; i < seen.count; i += 2)
		assert_string_equal(seen.events[i]->event_type.data,
				    seen.events[i + 1]->event_type.data);
}

const struct test_case append_race_cases[] = {
	CASE(racing_the_same_exact_version_has_one_winner),
	CASE_NEEDS(racing_through_two_handles_has_one_winner, NEEDS_SHARED),
	CASE(any_version_races_all_succeed_without_a_gap),
	CASE(racing_repetitions_all_get_the_same_result),
	CASE(appends_to_different_streams_do_not_disturb_each_other),
	CASE(readers_never_see_part_of_a_batch),
	CASE(stream_that_grows_is_read_up_to_the_version_that_is_told),
	CASE_NEEDS(appends_of_two_processes_lose_nothing, NEEDS_PROCESSES),
	CASES_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The guarantee of the feed: what a reader has passed stays as it was, whoever writes meanwhile. */
#include <signal.h>
#include <stdatomic.h>

#include "conformance/cases.h"
#include "lib/child.h"
#include "lib/wait.h"

#define WRITERS 6
#define ROUNDS 60

/** Writers, and readers that follow the feed by position until everything is there. */
struct follow {
	struct tide_store *stores[2];
	atomic_int writing, wrong;
	int64_t total;
	int64_t followed[2];
};

static void follow_write(struct follow *follow, size_t index)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2),
						   event_of("C", 3) };
		struct tide_append append = {
			.stream = stream_of("Order", (unsigned)(index * 2 + (size_t)round % 2)),
			.expected = TIDE_ANY,
			.events = events,
			.count = 1 + (size_t)round % 3
		};
		if (tide_store_append(follow->stores[index % 2], &append, NULL, NULL) != TIDE_OK)
			atomic_fetch_add(&follow->wrong, 1);
	}
	atomic_fetch_sub(&follow->writing, 1);
}

/* Read on from the last position seen until nothing comes and nobody writes any more. */
static void follow_read(struct follow *follow, size_t reader_index)
{
	struct tide_store *store = follow->stores[reader_index];
	tide_position last = 0;
	int64_t count = 0;
	for (bool is_over = false; !is_over;) {
		is_over = atomic_load(&follow->writing) == 0;
		tide_position end = 0;
		if (tide_store_end(store, &end, NULL) != TIDE_OK)
			atomic_fetch_add(&follow->wrong, 1);
		struct tide_reader *reader;
		struct tide_query query = { .after = tide_bound(last) };
		if (tide_store_read(store, &query, &reader, NULL) != TIDE_OK) {
			atomic_fetch_add(&follow->wrong, 1);
			continue;
		}
		const struct tide_event *event;
		while (tide_reader_next(reader, &event, NULL) == TIDE_OK && event) {
			if (event->position <= last)
				atomic_fetch_add(&follow->wrong, 1);
			last = event->position;
			count++;
		}
		if (last < end)
			atomic_fetch_add(&follow->wrong, 1);
		tide_reader_close(reader);
	}
	follow->followed[reader_index] = count;
}

static void follow_run(void *self, size_t index)
{
	struct follow *follow = self;
	if (index < WRITERS)
		follow_write(follow, index);
	else
		follow_read(follow, index - WRITERS);
}

static void follow_all(struct fixture *f, struct tide_store *second)
{
	struct follow follow = { .stores = { f->store, second }, .writing = WRITERS };
	race_to(WRITERS + 2, follow_run, &follow);
	SEEN all = see(f->store, NULL);
	assert_int_equal(follow.wrong, 0);
	assert_int_equal(all.count, WRITERS * ROUNDS * 2);
	assert_int_equal(follow.followed[0], all.count);
	assert_int_equal(follow.followed[1], all.count);
}

static void follower_of_the_feed_misses_and_repeats_nothing(struct fixture *f)
{
	follow_all(f, f->store);
}

static void followers_through_two_handles_miss_and_repeat_nothing(struct fixture *f)
{
	struct tide_store *second = fixture_second_handle(f);
	follow_all(f, second);
	tide_store_close(second);
}

static void versions_of_a_stream_grow_with_positions(struct fixture *f)
{
	struct follow follow = { .stores = { f->store, f->store }, .writing = WRITERS };
	race_to(WRITERS + 2, follow_run, &follow);
	SEEN all = see(f->store, NULL);
	tide_version versions[2 * WRITERS] = { 0 };
	struct tide_uuid ids[2 * WRITERS];
	for (unsigned i = 0; i < 2 * WRITERS; i++)
		ids[i] = uuid_of(i);
	for (size_t i = 0; i < all.count; i++)
		for (size_t s = 0; s < 2 * WRITERS; s++)
			if (tide_uuid_equal(&ids[s], &all.events[i]->aggregate_id))
				assert_int_equal(all.events[i]->version, ++versions[s]);
}

static int feed_writer_child(const char *url, int report_to)
{
	struct tide_store *store;
	if (tide_store_open(url, NULL, &store, NULL) != TIDE_OK)
		return 1;
	child_report(report_to, 'r');
	for (unsigned i = 0;; i++) {
		struct tide_new_event events[] = { event_of("A", i), event_of("B", i),
						   event_of("C", i) };
		if (tide_store_append(store, APPEND(stream_of("Order", i % 5), TIDE_ANY, events),
				      NULL, NULL) != TIDE_OK)
			return 2;
	}
}

static void writer_killed_in_an_append_leaves_whole_batches(struct fixture *f)
{
	for (int round = 0; round < 5; round++) {
		struct child child = child_start(feed_writer_child, f->url);
		assert_int_equal(child_await(&child, 10), 'r');
		tide_position start = end_of(f->store);
		wait_for(10, end_of(f->store) > start + 30);
		child_signal(&child, SIGKILL);
		assert_int_equal(child_join(&child), 128 + SIGKILL);
	}
	SEEN all = see(f->store, NULL);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(version_of(f->store, stream_of("Order", i)) % 3, 0);
	append_one(f->store, stream_of("Order", 1), "After");
	assert_true(end_of(f->store) > all.events[all.count - 1]->position);
}

const struct test_case feed_cases[] = {
	CASE(follower_of_the_feed_misses_and_repeats_nothing),
	CASE_NEEDS(followers_through_two_handles_miss_and_repeat_nothing, NEEDS_SHARED),
	CASE(versions_of_a_stream_grow_with_positions),
	CASE_NEEDS(writer_killed_in_an_append_leaves_whole_batches, NEEDS_PROCESSES),
	CASES_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Appends to several streams at once. */
#include "conformance/cases.h"

static struct tide_stream order(unsigned number)
{
	return stream_of("Order", number);
}

static void append_all_writes_to_every_stream(struct fixture *f)
{
	append_many(f->store, order(2), 0, 2);
	struct tide_new_event a[] = { event_of("A", 1) },
			      b[] = { event_of("B", 2), event_of("C", 3) };
	struct tide_append appends[] = { *APPEND(order(1), TIDE_NO_STREAM, a),
					 *APPEND(order(2), 2, b) };
	struct tide_append_result results[2];
	must(tide_store_append_all(f->store, appends, 2, results, err));
	assert_int_equal(results[0].version, 1);
	assert_int_equal(results[1].version, 4);
	assert_int_equal(results[0].first_position, results[0].last_position);
	assert_true(results[1].first_position > results[0].last_position);
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, 5);
}

static void append_all_writes_nothing_when_one_stream_is_elsewhere(struct fixture *f)
{
	append_many(f->store, order(2), 0, 2);
	struct tide_new_event a[] = { event_of("A", 1) }, b[] = { event_of("B", 2) };
	struct tide_append appends[] = { *APPEND(order(1), TIDE_ANY, a), *APPEND(order(2), 1, b) };
	struct tide_append_result results[2] = { 0 };
	refused(TIDE_CONFLICT, tide_store_append_all(f->store, appends, 2, results, err));
	assert_int_equal(results[1].version, 2);
	assert_int_equal(version_of(f->store, order(1)), 0);
	assert_int_equal(end_of(f->store), 2);
}

static void append_all_of_one_id_for_two_streams_is_a_duplicate(struct fixture *f)
{
	struct tide_new_event a[] = { event_of("A", 1) }, b[] = { event_of("B", 2) };
	a[0].event_id = b[0].event_id = uuid_of(100);
	struct tide_append appends[] = { *APPEND(order(1), TIDE_ANY, a),
					 *APPEND(order(2), TIDE_ANY, b) };
	refused(TIDE_DUPLICATE_EVENT, tide_store_append_all(f->store, appends, 2, NULL, err));
	assert_int_equal(end_of(f->store), 0);
	append_one(f->store, order(1), "C");
	bool exists = true;
	must(tide_store_event_exists(f->store, &a[0].event_id, &exists, err));
	assert_false(exists);
}

static void append_all_may_name_a_stream_more_than_once(struct fixture *f)
{
	struct tide_new_event a[] = { event_of("A", 1), event_of("B", 2) },
			      b[] = { event_of("C", 3) }, c[] = { event_of("D", 4) },
			      d[] = { event_of("E", 5) };
	struct tide_append appends[] = { *APPEND(order(1), 0, a), *APPEND(order(2), TIDE_ANY, b),
					 *APPEND(order(1), 2, c),
					 *APPEND(order(1), TIDE_STREAM_EXISTS, d) };
	struct tide_append_result results[4];
	must(tide_store_append_all(f->store, appends, 4, results, err));
	assert_int_equal(results[0].version, 2);
	assert_int_equal(results[1].version, 1);
	assert_int_equal(results[2].version, 3);
	assert_int_equal(results[3].version, 4);
	for (int i = 1; i < 4; i++)
		assert_true(results[i].first_position > results[i - 1].last_position);
	struct tide_new_event again[] = { event_of("F", 6) };
	struct tide_append stale[] = { *APPEND(order(1), 4, again), *APPEND(order(1), 4, b) };
	b[0].event_id = uuid_of(100);
	refused(TIDE_CONFLICT, tide_store_append_all(f->store, stale, 2, results, err));
	assert_int_equal(results[1].version, 5);
	assert_int_equal(version_of(f->store, order(1)), 4);
}

static void append_all_repeated_returns_the_original_results(struct fixture *f)
{
	struct tide_new_event a[] = { event_of("A", 1) }, b[] = { event_of("B", 2) };
	a[0].event_id = uuid_of(100);
	b[0].event_id = uuid_of(101);
	struct tide_append appends[] = { *APPEND(order(1), 0, a), *APPEND(order(2), 0, b) };
	struct tide_append_result first[2], again[2];
	must(tide_store_append_all(f->store, appends, 2, first, err));
	must(tide_store_append_all(f->store, appends, 2, again, err));
	for (int i = 0; i < 2; i++) {
		assert_true(again[i].was_stored_before);
		assert_int_equal(again[i].version, first[i].version);
		assert_int_equal(again[i].first_position, first[i].first_position);
	}
	assert_int_equal(end_of(f->store), 2);
}

static void append_all_stores_what_is_new_beside_what_is_repeated(struct fixture *f)
{
	struct tide_new_event a[] = { event_of("A", 1), event_of("B", 2) },
			      b[] = { event_of("C", 3) }, c[] = { event_of("D", 4) };
	a[0].event_id = uuid_of(100);
	a[1].event_id = uuid_of(101);
	must(tide_store_append(f->store, APPEND(order(1), 0, a), NULL, err));
	append_one(f->store, order(2), "Between");
	const tide_position end = end_of(f->store);
	struct tide_append appends[] = { *APPEND(order(3), 0, b), *APPEND(order(1), 0, a),
					 *APPEND(order(1), 2, c) };
	struct tide_append_result results[3];
	must(tide_store_append_all(f->store, appends, 3, results, err));
	assert_true(results[1].was_stored_before);
	assert_int_equal(results[1].version, 2);
	assert_int_equal(results[1].first_position, 1);
	assert_int_equal(results[1].last_position, 2);
	assert_false(results[0].was_stored_before);
	assert_false(results[2].was_stored_before);
	assert_int_equal(results[2].version, 3);
	assert_true(results[0].first_position > end);
	assert_true(results[2].first_position > results[0].last_position);
	assert_int_equal(end_of(f->store), results[2].last_position);
	assert_int_equal(version_of(f->store, order(1)), 3);

	SEEN seen = see(f->store, &(struct tide_query){ .of_stream = true, .stream = order(1) });
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.stream_version, 3);
	assert_int_equal(seen.events[2]->position, results[2].first_position);
}

static void append_all_of_what_the_stream_has_left_behind_goes_on_at_its_end(struct fixture *f)
{
	struct tide_new_event a[] = { event_of("A", 1) }, b[] = { event_of("B", 2) },
			      c[] = { event_of("C", 3) };
	a[0].event_id = uuid_of(100);
	must(tide_store_append(f->store, APPEND(order(1), 0, a), NULL, err));
	append_one(f->store, order(1), "Behind");
	struct tide_append appends[] = { *APPEND(order(1), TIDE_ANY, a),
					 *APPEND(order(1), TIDE_ANY, b), *APPEND(order(1), 3, c) };
	struct tide_append_result results[3];
	must(tide_store_append_all(f->store, appends, 3, results, err));
	assert_true(results[0].was_stored_before);
	assert_int_equal(results[0].version, 1);
	assert_int_equal(results[1].version, 3);
	assert_int_equal(results[2].version, 4);
	assert_int_equal(version_of(f->store, order(1)), 4);
}

const struct test_case append_all_cases[] = {
	CASE(append_all_writes_to_every_stream),
	CASE(append_all_writes_nothing_when_one_stream_is_elsewhere),
	CASE(append_all_of_one_id_for_two_streams_is_a_duplicate),
	CASE(append_all_may_name_a_stream_more_than_once),
	CASE(append_all_stores_what_is_new_beside_what_is_repeated),
	CASE(append_all_repeated_returns_the_original_results),
	CASE(append_all_of_what_the_stream_has_left_behind_goes_on_at_its_end),
	CASES_END,
};

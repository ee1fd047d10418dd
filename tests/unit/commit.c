/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <tidemark/backend.h>

#include "sys/alloc.h"

#define ID "f47ac10b-58cc-4372-a567-0e02b2c3d479"
#define EVENT_0 "00000000-0000-7000-8000-000000000000"
#define EVENT_1 "00000000-0000-7000-8000-000000000001"
#define EVENT_2 "00000000-0000-7000-8000-000000000002"

/* A commit of three events, told apart by their ids. */
static struct {
	struct tide_event events[3];
	struct tide_commit commit;
	struct tide_append_result result;
	struct tide_error err;
} given;

static void begin(int64_t expected)
{
	memset(&given, 0, sizeof given);
	given.events[0].event_id = uuid_of(EVENT_0);
	given.events[1].event_id = uuid_of(EVENT_1);
	given.events[2].event_id = uuid_of(EVENT_2);
	given.commit = (struct tide_commit){ .stream = { uuid_of(ID), "Order" },
					     .expected = expected,
					     .events = given.events,
					     .count = 3 };
	given.result = (struct tide_append_result){ 77, 77, 77, false };
}

static tide_status decide(const struct tide_known_event *known, tide_version current)
{
	return tide_commit_decide(&given.commit, known, current, &given.result, &given.err);
}

static void assert_result(tide_version version, tide_position first, tide_position last,
			  bool was_stored_before)
{
	assert_int_equal(given.result.version, version);
	assert_int_equal(given.result.first_position, first);
	assert_int_equal(given.result.last_position, last);
	assert_int_equal(given.result.was_stored_before, was_stored_before);
}

static void every_expectation_is_met_or_a_conflict(void **state)
{
	(void)state;
	static const struct {
		int64_t expected;
		tide_version current;
		const char *name; /* of the expectation that is not met */
	} cases[] = {
		{ TIDE_ANY, 0, NULL },
		{ TIDE_ANY, 7, NULL },
		{ TIDE_NO_STREAM, 0, NULL },
		{ TIDE_NO_STREAM, 3, "no_stream" },
		{ TIDE_STREAM_EXISTS, 1, NULL },
		{ TIDE_STREAM_EXISTS, 0, "stream_exists" },
		{ 3, 3, NULL },
		{ 3, 2, "exact 3" },
		{ 3, 4, "exact 3" },
		{ INT64_C(5000000000), 3, "exact 5000000000" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(cases[i].expected);
		tide_status status = decide(NULL, cases[i].current);
		if (!cases[i].name) {
			assert_int_equal(status, TIDE_OK);
			assert_result(cases[i].current + 3, 0, 0, false);
			continue;
		}
		char message[160];
		snprintf(message, sizeof message, "'Order/" ID "' is at version %d, expected %s",
			 cases[i].current, cases[i].name);
		assert_fails(status, TIDE_CONFLICT, &given.err, message);
		assert_int_equal(given.err.retry, TIDE_RETRY_RELOAD);
		assert_result(cases[i].current, 0, 0, false);
	}
}

static void numbered_events_must_come_next(void **state)
{
	(void)state;
	for (tide_version current = 3; current <= 5; current++) {
		begin(TIDE_ANY);
		for (int i = 0; i < 3; i++)
			given.events[i].version = 5 + i;
		if (current == 4) {
			assert_int_equal(decide(NULL, current), TIDE_OK);
			continue;
		}
		char message[160];
		snprintf(message, sizeof message,
			 "'Order/" ID "' is at version %d, expected exact 4", current);
		assert_fails(decide(NULL, current), TIDE_CONFLICT, &given.err, message);
		assert_result(current, 0, 0, false);
	}
}

static void the_expectation_comes_before_the_numbers(void **state)
{
	(void)state;
	begin(2);
	given.events[0].version = 9;
	assert_int_equal(decide(NULL, 5), TIDE_CONFLICT);
	assert_non_null(strstr(given.err.message, "expected exact 2"));
}

static void a_repetition_returns_the_original_result(void **state)
{
	(void)state;
	static const struct {
		int64_t expected;
		tide_version first;
		bool is_repetition;
	} cases[] = {
		{ TIDE_NO_STREAM, 1, true },
		{ TIDE_NO_STREAM, 2, false },
		{ 4, 5, true },
		{ 4, 4, false },
		{ 4, 6, false },
		{ TIDE_ANY, 1, true },
		{ TIDE_ANY, 9, true },
		{ TIDE_STREAM_EXISTS, 1, true },
		{ TIDE_STREAM_EXISTS, 9, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		tide_version first = cases[i].first;
		struct tide_known_event known[] = { { true, true, first, 100 },
						    { true, true, first + 1, 105 },
						    { true, true, first + 2, 106 } };
		begin(cases[i].expected);
		tide_status status = decide(known, 42);
		if (cases[i].is_repetition) {
			assert_int_equal(status, TIDE_OK);
			assert_result(first + 2, 100, 106, true);
			continue;
		}
		char message[160];
		snprintf(message, sizeof message,
			 "event_id '" EVENT_0 "' is stored already, at version %d of this stream",
			 first);
		assert_fails(status, TIDE_DUPLICATE_EVENT, &given.err, message);
		assert_result(77, 77, 77, false);
	}
}

static void known_ids_that_are_no_repetition_are_duplicates(void **state)
{
	(void)state;
	static const struct {
		struct tide_known_event known[3];
		const char *message;
	} cases[] = {
		{ { { true, false, 1, 1 } },
		  "event_id '" EVENT_0 "' is stored already, in another stream" },
		{ { { false, false, 0, 0 }, { true, false, 1, 1 } },
		  "event_id '" EVENT_1 "' is stored already, in another stream" },
		{ { { true, true, 1, 1 }, { true, true, 2, 2 } },
		  "event_id '" EVENT_0 "' is stored already, at version 1 of this stream" },
		{ { { false, false, 0, 0 }, { true, true, 2, 2 }, { true, true, 3, 3 } },
		  "event_id '" EVENT_1 "' is stored already, at version 2 of this stream" },
		{ { { true, true, 1, 1 }, { true, true, 3, 3 }, { true, true, 2, 2 } },
		  "event_id '" EVENT_1 "' is stored already, at version 3 of this stream" },
		{ { { true, true, 1, 1 }, { true, true, 2, 2 }, { true, true, 4, 4 } },
		  "event_id '" EVENT_2 "' is stored already, at version 4 of this stream" },
		{ { { true, true, 1, 1 }, { true, true, 2, 2 }, { true, false, 3, 3 } },
		  "event_id '" EVENT_2 "' is stored already, in another stream" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(TIDE_ANY);
		assert_fails(decide(cases[i].known, 9), TIDE_DUPLICATE_EVENT, &given.err,
			     cases[i].message);
		assert_result(77, 77, 77, false);
	}
}

static void known_ids_come_before_the_expectation(void **state)
{
	(void)state;
	struct tide_known_event none[3] = { { false, false, 0, 0 } },
				one[3] = { { false, false, 0, 0 }, { true, false, 1, 1 } };
	begin(TIDE_NO_STREAM);
	assert_int_equal(decide(none, 5), TIDE_CONFLICT);
	assert_int_equal(decide(one, 5), TIDE_DUPLICATE_EVENT);
}

static void versions_end_at_2147483647(void **state)
{
	(void)state;
	begin(TIDE_ANY);
	assert_int_equal(decide(NULL, INT32_MAX - 3), TIDE_OK);
	assert_result(INT32_MAX, 0, 0, false);
	begin(TIDE_ANY);
	assert_fails(decide(NULL, INT32_MAX - 2), TIDE_ARGUMENT, &given.err,
		     "'Order/" ID "' at version 2147483645 cannot take 3 more events");
	assert_result(77, 77, 77, false);
}

static tide_status build_list(struct tide_dead_letter_list *list)
{
	tide_status status = TIDE_OK;
	for (int i = 0; status == TIDE_OK && i < 5; i++) {
		struct tide_dead_letter entry = { .id = i,
						  .projection_name = "orders",
						  .event_type = "OrderPlaced",
						  .event_data = "{}",
						  .error_message = i % 2 ? "odd" : "even",
						  .resolved_by = i == 4 ? "anna" : NULL };
		status = tide_dead_letter_list_add(list, &entry, NULL);
	}
	if (status != TIDE_OK)
		tide_dead_letters_free(list);
	return status;
}

static void dead_letters_are_copied_into_lists(void **state)
{
	(void)state;
	struct tide_dead_letter_list list = { 0 };
	ASSERT_SURVIVES_NO_MEMORY(build_list(&list));
	assert_int_equal(list.count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(list.entries[i].id, i);
		assert_string_equal(list.entries[i].projection_name, "orders");
		assert_string_equal(list.entries[i].event_data, "{}");
		assert_string_equal(list.entries[i].error_message, i % 2 ? "odd" : "even");
		assert_null(list.entries[i].error_stacktrace);
	}
	assert_string_equal(list.entries[4].resolved_by, "anna");
	tide_dead_letters_free(&list);
	tide_dead_letters_free(&list);
	tide_dead_letters_free(NULL);
	assert_null(list.entries);
	assert_string_equal(tide_dead_letter_status_name(TIDE_DEAD_LETTER_FAILED), "failed");
	assert_string_equal(tide_dead_letter_status_name(TIDE_DEAD_LETTER_RETRYING), "retrying");
	assert_string_equal(tide_dead_letter_status_name(TIDE_DEAD_LETTER_RESOLVED), "resolved");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_expectation_is_met_or_a_conflict),
		cmocka_unit_test(numbered_events_must_come_next),
		cmocka_unit_test(the_expectation_comes_before_the_numbers),
		cmocka_unit_test(a_repetition_returns_the_original_result),
		cmocka_unit_test(known_ids_that_are_no_repetition_are_duplicates),
		cmocka_unit_test(known_ids_come_before_the_expectation),
		cmocka_unit_test(versions_end_at_2147483647),
		cmocka_unit_test(dead_letters_are_copied_into_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "conformance/cases.h"
#include "lib/wait.h"

#define TYPES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* An event at a tenth of a second; its id is that of `number`. */
static tide_position put(struct fixture *f, const char *type, unsigned number, int64_t tenths)
{
	struct tide_time when = { INT64_C(1700000000000000) + tenths * 100000 };
	struct tide_new_event events[] = { event_of(type, number) };
	events[0].occurred_at = &when;
	events[0].event_id = uuid_of(number);
	struct tide_append_result result;
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events), &result,
			       err));
	return result.last_position;
}

/* A checkpoint at a position whose last event is that of `number`, 0: none. */
static void stand(struct fixture *f, tide_position position, unsigned number)
{
	struct tide_uuid id = uuid_of(number);
	struct tide_progress progress = { .position = position };
	if (number) {
		progress.event_id = &id;
		progress.event_type = "Placed";
		progress.count = 1;
	}
	must(tide_checkpoints_save(f->checkpoints, "p", &progress, err));
}

static struct tide_lag lag_of(struct fixture *f, const char *const *types)
{
	struct tide_lag lag;
	must(tide_checkpoints_lag(f->checkpoints, "p", types, &lag, err));
	return lag;
}

static bool is(const struct tide_uuid *id, unsigned number)
{
	struct tide_uuid wanted = uuid_of(number);
	return number ? tide_uuid_equal(id, &wanted) : tide_uuid_is_nil(id);
}

static void lag_of_a_name_without_a_row_is_not_found(struct fixture *f)
{
	put(f, "Placed", 1, 0);
	struct tide_lag lag;
	refused(TIDE_NOT_FOUND, tide_checkpoints_lag(f->checkpoints, "p", NULL, &lag, err));
}

static void lag_is_what_lies_behind_the_position(struct fixture *f)
{
	tide_position first = put(f, "Placed", 1, 0);
	put(f, "Placed", 2, 13);
	tide_position last = put(f, "Paid", 3, 25);
	stand(f, first, 1);
	struct tide_lag lag = lag_of(f, NULL);
	assert_string_equal(lag.projection_name, "p");
	assert_int_equal(lag.lag_events, last - first);
	assert_true(is(&lag.last_event_id, 1));
	assert_true(is(&lag.latest_event_id, 3));
	assert_true(lag.event_time_lag_seconds == 2.5);
	assert_int_equal(lag.events_processed, 1);
	assert_true(lag.has_last_processed_at);
}

static void lag_at_the_end_is_nothing(struct fixture *f)
{
	put(f, "Placed", 1, 0);
	tide_position last = put(f, "Placed", 2, 100);
	/* the last event was filtered: its position is passed, it was not processed */
	stand(f, last, 1);
	struct tide_lag lag = lag_of(f, NULL);
	assert_int_equal(lag.lag_events, 0);
	assert_true(lag.event_time_lag_seconds == 0.0);
	assert_true(lag.lag_seconds == 0.0);
	stand(f, last, 2);
	assert_true(lag_of(f, NULL).event_time_lag_seconds == 0.0);
}

static void event_time_lag_seconds_look_at_the_given_types_only(struct fixture *f)
{
	tide_position first = put(f, "Placed", 1, 0);
	put(f, "Placed", 2, 20);
	tide_position last = put(f, "Paid", 3, 90);
	stand(f, first, 1);
	struct tide_lag lag = lag_of(f, TYPES("Placed"));
	assert_true(lag.event_time_lag_seconds == 2.0);
	assert_true(is(&lag.latest_event_id, 2));
	assert_int_equal(lag.lag_events, last - first);
	lag = lag_of(f, TYPES("Paid", "Placed"));
	assert_true(lag.event_time_lag_seconds == 9.0);
	const char *const none[] = { NULL };
	assert_true(lag_of(f, none).event_time_lag_seconds == 9.0);
	lag = lag_of(f, TYPES("Nothing"));
	assert_true(lag.event_time_lag_seconds == 0.0);
	assert_true(is(&lag.latest_event_id, 0));
}

static void event_time_lag_seconds_are_zero_when_the_newest_match_is_behind(struct fixture *f)
{
	put(f, "Placed", 1, 0);
	tide_position second = put(f, "Placed", 2, 20);
	put(f, "Paid", 3, 90);
	stand(f, second, 1);
	struct tide_lag lag = lag_of(f, TYPES("Placed"));
	assert_true(lag.event_time_lag_seconds == 0.0);
	assert_true(is(&lag.latest_event_id, 2));
	assert_int_equal(lag.lag_events, 1);
}

static void event_time_lag_seconds_are_never_negative(struct fixture *f)
{
	tide_position first = put(f, "Placed", 1, 50);
	put(f, "Placed", 2, 10);
	stand(f, first, 1);
	assert_true(lag_of(f, NULL).event_time_lag_seconds == 0.0);
}

static void lag_newest_is_by_position_not_by_instant(struct fixture *f)
{
	tide_position first = put(f, "Placed", 1, 0);
	put(f, "Placed", 2, 500);
	put(f, "Placed", 3, 30);
	stand(f, first, 1);
	struct tide_lag lag = lag_of(f, NULL);
	assert_true(is(&lag.latest_event_id, 3));
	assert_true(lag.event_time_lag_seconds == 3.0);
}

static void
lag_without_a_last_event_counts_from_the_oldest_match_after_the_position(struct fixture *f)
{
	tide_position first = put(f, "Placed", 1, 0);
	put(f, "Paid", 2, 10);
	put(f, "Placed", 3, 40);
	put(f, "Placed", 4, 100);
	stand(f, first, 0);
	assert_true(lag_of(f, NULL).event_time_lag_seconds == 9.0);
	assert_true(lag_of(f, TYPES("Placed")).event_time_lag_seconds == 6.0);
	stand(f, first, 999); /* an event that is no longer found */
	assert_true(lag_of(f, NULL).event_time_lag_seconds == 9.0);
}

static void lag_of_a_row_without_position_uses_its_last_event(struct fixture *f)
{
	put(f, "Placed", 1, 0);
	put(f, "Placed", 2, 10);
	tide_position third = put(f, "Placed", 3, 50);
	struct tide_uuid id = uuid_of(2);
	must(tide_checkpoints_update(f->checkpoints, "p", &id, "Placed", err));
	struct tide_lag lag = lag_of(f, NULL);
	assert_int_equal(lag.lag_events, third - 2);
	assert_true(lag.event_time_lag_seconds == 4.0);
}

static void event_time_lag_seconds_are_rounded_to_one_decimal(struct fixture *f)
{
	struct tide_time instants[] = { { 1700000000000000 }, { 1700000001260000 } };
	for (unsigned i = 0; i < 2; i++) {
		struct tide_new_event events[] = { event_of("Placed", i) };
		events[0].event_id = uuid_of(1 + i);
		events[0].occurred_at = &instants[i];
		must(tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events),
				       NULL, err));
	}
	stand(f, 1, 1);
	assert_true(lag_of(f, NULL).event_time_lag_seconds == 1.3);
}

static void lag_of_a_position_beyond_the_end_is_nothing(struct fixture *f)
{
	put(f, "Placed", 1, 0);
	stand(f, 1000, 0);
	struct tide_lag lag = lag_of(f, NULL);
	assert_int_equal(lag.lag_events, 0);
	assert_true(lag.event_time_lag_seconds == 0.0);
}

static void lag_on_an_empty_store_is_nothing(struct fixture *f)
{
	stand(f, 0, 0);
	struct tide_lag lag = lag_of(f, NULL);
	assert_int_equal(lag.lag_events, 0);
	assert_true(lag.event_time_lag_seconds == 0.0);
	assert_true(is(&lag.latest_event_id, 0));
}

/* Fails unless lag_seconds is the time since the event of `number` was stored. */
static void waits_since(struct fixture *f, const char *const *types, unsigned number)
{
	struct tide_uuid id = uuid_of(number);
	struct tide_event *event;
	must(tide_store_event(f->store, &id, &event, err));
	double from = (double)(tide_time_now().unix_us - event->stored_at.unix_us) / 1e6;
	double seconds = lag_of(f, types).lag_seconds;
	double to = (double)(tide_time_now().unix_us - event->stored_at.unix_us) / 1e6;
	tide_free(event);
	if (seconds < from - 0.051 || seconds > to + 0.051)
		fail_msg("lag_seconds is %g, expected %g to %g", seconds, from, to);
}

static void
lag_seconds_are_those_that_the_oldest_match_behind_the_position_has_waited(struct fixture *f)
{
	tide_position first = put(f, "Placed", 1, 0);
	put(f, "Placed", 2, 0);
	stand(f, first, 1);
	/* it stands still, and the clock goes on */
	wait_for(30, lag_of(f, NULL).lag_seconds >= 0.3);
	tide_position third = put(f, "Placed", 3, 0);
	put(f, "Paid", 4, 0);
	waits_since(f, NULL, 2);
	waits_since(f, TYPES("Paid"), 4);
	waits_since(f, TYPES("Placed", "Paid"), 2);
	assert_true(lag_of(f, TYPES("Nothing")).lag_seconds == 0.0);
	assert_true(lag_of(f, NULL).event_time_lag_seconds == 0.0);
	stand(f, third, 3);
	waits_since(f, NULL, 4);
	assert_true(lag_of(f, TYPES("Placed")).lag_seconds == 0.0);
	struct tide_uuid id = uuid_of(1);
	must(tide_checkpoints_reset(f->checkpoints, "p", err));
	/* without a position */
	must(tide_checkpoints_update(f->checkpoints, "p", &id, "Placed", err));
	waits_since(f, NULL, 2);
}

const struct test_case lag_cases[] = {
	CASE(lag_of_a_name_without_a_row_is_not_found),
	CASE(lag_is_what_lies_behind_the_position),
	CASE(lag_at_the_end_is_nothing),
	CASE(lag_seconds_are_those_that_the_oldest_match_behind_the_position_has_waited),
	CASE(event_time_lag_seconds_look_at_the_given_types_only),
	CASE(event_time_lag_seconds_are_zero_when_the_newest_match_is_behind),
	CASE(event_time_lag_seconds_are_never_negative),
	CASE(lag_newest_is_by_position_not_by_instant),
	CASE(lag_without_a_last_event_counts_from_the_oldest_match_after_the_position),
	CASE(lag_of_a_row_without_position_uses_its_last_event),
	CASE(event_time_lag_seconds_are_rounded_to_one_decimal),
	CASE(lag_of_a_position_beyond_the_end_is_nothing),
	CASE(lag_on_an_empty_store_is_nothing),
	CASES_END,
};

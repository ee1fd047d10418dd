/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conformance/cases.h"

#define TYPES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define STREAM(...)                                                                                \
	(&(struct tide_query){ .of_stream = true, .stream = stream_of("Order", 1), __VA_ARGS__ })
#define FEED(...) (&(struct tide_query){ __VA_ARGS__ })

static const struct tide_time noon = { INT64_C(1700000000000000) };

static struct tide_time at_second(int second)
{
	return (struct tide_time){ noon.unix_us + second * INT64_C(1000000) };
}

/* An event at a second, for a tenant (0: none). */
static void put(struct fixture *f, const char *aggregate_type, unsigned aggregate,
		const char *event_type, unsigned tenant, int second)
{
	struct tide_time when = at_second(second);
	struct tide_new_event events[] = { event_of(event_type, (unsigned)second) };
	events[0].occurred_at = &when;
	if (tenant)
		events[0].tenant_id = uuid_of(1000 + tenant);
	must(tide_store_append(f->store,
			       APPEND(stream_of(aggregate_type, aggregate), TIDE_ANY, events), NULL,
			       err));
}

/* Ten events: positions 1 to 10, occurred at seconds 1 to 10. */
static void put_ten(struct fixture *f)
{
	put(f, "Order", 1, "Placed", 1, 1);
	put(f, "Order", 2, "Placed", 2, 2);
	put(f, "Order", 1, "Paid", 1, 3);
	put(f, "Invoice", 1, "Sent", 0, 4);
	put(f, "Order", 1, "Shipped", 1, 5);
	put(f, "Order", 2, "Paid", 0, 6);
	put(f, "Invoice", 2, "Sent", 2, 7);
	put(f, "Invoice", 1, "Paid", 1, 8);
	put(f, "Order", 3, "Placed", 0, 9);
	put(f, "Order", 1, "placed", 1, 10);
}

/* ---- One stream ------------------------------------------------------------------------------ */

static void stream_is_read_from_its_first_event_on(struct fixture *f)
{
	put_ten(f);
	SEEN all = see(f->store, STREAM());
	saw_versions(&all, 1, 2, 3, 4);
	saw_positions(&all, 1, 3, 5, 10);
	assert_int_equal(all.stream_version, 4);
	SEEN zero = see(f->store, STREAM(.after = tide_bound(0)));
	saw_versions(&zero, 1, 2, 3, 4);
	SEEN later = see(f->store, STREAM(.after = tide_bound(2)));
	saw_versions(&later, 3, 4);
	assert_int_equal(later.stream_version, 4);
	SEEN none = see(f->store, STREAM(.after = tide_bound(4)));
	saw_nothing(&none);
	assert_int_equal(none.stream_version, 4);
	SEEN beyond = see(f->store, STREAM(.after = tide_bound(INT64_MAX)));
	saw_nothing(&beyond);
}

static void stream_is_read_backward_from_its_last_event(struct fixture *f)
{
	put_ten(f);
	SEEN all = see(f->store, STREAM(.backward = true));
	saw_versions(&all, 4, 3, 2, 1);
	SEEN earlier = see(f->store, STREAM(.backward = true, .before = tide_bound(3)));
	saw_versions(&earlier, 2, 1);
	SEEN beyond = see(f->store, STREAM(.backward = true, .before = tide_bound(99)));
	saw_versions(&beyond, 4, 3, 2, 1);
	SEEN first = see(f->store, STREAM(.backward = true, .before = tide_bound(1)));
	saw_nothing(&first);
	SEEN zero = see(f->store, STREAM(.backward = true, .before = tide_bound(0)));
	saw_nothing(&zero);
	assert_int_equal(zero.stream_version, 4);
}

static void stream_read_can_be_limited(struct fixture *f)
{
	put_ten(f);
	SEEN two = see(f->store, STREAM(.limit = tide_bound(2)));
	saw_versions(&two, 1, 2);
	assert_int_equal(two.stream_version, 4);
	SEEN none = see(f->store, STREAM(.limit = tide_bound(0)));
	saw_nothing(&none);
	assert_int_equal(none.stream_version, 4);
	SEEN last = see(f->store, STREAM(.backward = true, .limit = tide_bound(1)));
	saw_versions(&last, 4);
	SEEN many = see(f->store, STREAM(.limit = tide_bound(INT64_MAX)));
	saw_versions(&many, 1, 2, 3, 4);
}

static void absent_stream_has_no_events_and_version_0(struct fixture *f)
{
	put_ten(f);
	SEEN seen = see(f->store, &(struct tide_query){ .of_stream = true,
							.stream = stream_of("Order", 99) });
	saw_nothing(&seen);
	assert_int_equal(seen.stream_version, 0);
	assert_int_equal(version_of(f->store, stream_of("Order", 99)), 0);
	assert_int_equal(version_of(f->store, stream_of("Invoice", 3)), 0);
	assert_int_equal(version_of(f->store, stream_of("Invoice", 1)), 2);
}

static void stream_read_keeps_to_an_instant_range(struct fixture *f)
{
	put_ten(f);
	struct tide_time three = at_second(3), five = at_second(5), after = { three.unix_us + 1 };
	SEEN both = see(f->store, STREAM(.occurred_from = &three, .occurred_until = &five));
	saw_versions(&both, 2, 3);
	assert_int_equal(both.stream_version, 4);
	SEEN past = see(f->store, STREAM(.occurred_from = &after));
	saw_versions(&past, 3, 4);
	SEEN inverted = see(f->store, STREAM(.occurred_from = &five, .occurred_until = &three));
	saw_nothing(&inverted);
	assert_int_equal(inverted.stream_version, 4);
	SEEN limited = see(f->store, STREAM(.occurred_from = &three, .limit = tide_bound(1)));
	saw_versions(&limited, 2);
	SEEN back = see(f->store,
			STREAM(.occurred_until = &five, .backward = true, .limit = tide_bound(2)));
	saw_versions(&back, 3, 2);
}

static void stream_read_keeps_to_event_types(struct fixture *f)
{
	put_ten(f);
	SEEN seen = see(f->store, STREAM(.event_types = TYPES("Paid", "placed")));
	saw_versions(&seen, 2, 4);
	assert_int_equal(seen.stream_version, 4);
}

/* ---- The feed -------------------------------------------------------------------------------- */

static void feed_is_read_in_the_order_of_positions(struct fixture *f)
{
	put_ten(f);
	SEEN all = see(f->store, NULL);
	saw_positions(&all, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
	SEEN zero = see(f->store, FEED(.after = tide_bound(0)));
	assert_int_equal(zero.count, 10);
	SEEN later = see(f->store, FEED(.after = tide_bound(8)));
	saw_positions(&later, 9, 10);
	SEEN end = see(f->store, FEED(.after = tide_bound(10)));
	saw_nothing(&end);
	SEEN beyond = see(f->store, FEED(.after = tide_bound(INT64_MAX)));
	saw_nothing(&beyond);
	assert_int_equal(all.stream_version, 0);
}

static void feed_is_read_backward_from_its_end(struct fixture *f)
{
	put_ten(f);
	SEEN all = see(f->store, FEED(.backward = true));
	saw_positions(&all, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1);
	SEEN earlier = see(f->store, FEED(.backward = true, .before = tide_bound(3)));
	saw_positions(&earlier, 2, 1);
	SEEN beyond = see(f->store,
			  FEED(.backward = true, .before = tide_bound(11), .limit = tide_bound(1)));
	saw_positions(&beyond, 10);
	SEEN one = see(f->store, FEED(.backward = true, .before = tide_bound(1)));
	saw_nothing(&one);
	SEEN zero = see(f->store, FEED(.backward = true, .before = tide_bound(0)));
	saw_nothing(&zero);
}

static void feed_of_an_empty_store_ends_at_once_and_again(struct fixture *f)
{
	struct tide_reader *reader;
	must(tide_store_read(f->store, NULL, &reader, err));
	for (int i = 0; i < 3; i++) {
		const struct tide_event *event = (const struct tide_event *)f;
		must(tide_reader_next(reader, &event, err));
		assert_null(event);
	}
	tide_reader_close(reader);
	assert_int_equal(end_of(f->store), 0);
	SEEN back = see(f->store, FEED(.backward = true));
	saw_nothing(&back);
}

static void limit_counts_what_the_filter_lets_through(struct fixture *f)
{
	put_ten(f);
	SEEN two = see(f->store, FEED(.event_types = TYPES("Paid"), .limit = tide_bound(2)));
	saw_positions(&two, 3, 6);
	SEEN back = see(f->store, FEED(.event_types = TYPES("Paid"), .limit = tide_bound(2),
				       .backward = true));
	saw_positions(&back, 8, 6);
	SEEN none = see(f->store, FEED(.event_types = TYPES("Paid"), .limit = tide_bound(0)));
	saw_nothing(&none);
}

/* ---- Filters --------------------------------------------------------------------------------- */

static void event_types_of_a_set_are_alternatives(struct fixture *f)
{
	put_ten(f);
	SEEN one = see(f->store, FEED(.event_types = TYPES("Placed")));
	saw_positions(&one, 1, 2, 9);
	SEEN two = see(f->store, FEED(.event_types = TYPES("Sent", "Placed")));
	saw_positions(&two, 1, 2, 4, 7, 9);
	SEEN unknown = see(f->store, FEED(.event_types = TYPES("Nothing")));
	saw_nothing(&unknown);
	SEEN part = see(f->store, FEED(.event_types = TYPES("Place")));
	saw_nothing(&part);
	SEEN wild = see(f->store, FEED(.event_types = TYPES("P_id", "P.id")));
	saw_nothing(&wild);
}

static void names_are_compared_bytewise(struct fixture *f)
{
	put_ten(f);
	SEEN lower = see(f->store, FEED(.event_types = TYPES("placed")));
	saw_positions(&lower, 10);
	SEEN upper = see(f->store, FEED(.event_types = TYPES("PLACED")));
	saw_nothing(&upper);
	SEEN type = see(f->store, FEED(.aggregate_types = TYPES("order")));
	saw_nothing(&type);
}

static void aggregate_types_of_a_set_are_alternatives(struct fixture *f)
{
	put_ten(f);
	SEEN invoices = see(f->store, FEED(.aggregate_types = TYPES("Invoice")));
	saw_positions(&invoices, 4, 7, 8);
	SEEN both = see(f->store, FEED(.aggregate_types = TYPES("Invoice", "Order")));
	assert_int_equal(both.count, 10);
}

static void tenant_never_matches_events_without_one(struct fixture *f)
{
	put_ten(f);
	struct tide_uuid one = uuid_of(1001), two = uuid_of(1002), three = uuid_of(1003);
	SEEN first = see(f->store, FEED(.tenant_id = &one));
	saw_positions(&first, 1, 3, 5, 8, 10);
	SEEN second = see(f->store, FEED(.tenant_id = &two));
	saw_positions(&second, 2, 7);
	SEEN third = see(f->store, FEED(.tenant_id = &three));
	saw_nothing(&third);
}

static void one_aggregate_can_be_read_from_the_feed(struct fixture *f)
{
	put_ten(f);
	struct tide_uuid id = uuid_of(1);
	SEEN all = see(f->store, FEED(.aggregate_id = &id));
	saw_positions(&all, 1, 3, 4, 5, 8, 10);
	SEEN stream = see(f->store, FEED(.aggregate_id = &id, .aggregate_types = TYPES("Invoice")));
	saw_positions(&stream, 4, 8);
}

static void instant_range_includes_both_ends(struct fixture *f)
{
	put_ten(f);
	struct tide_time three = at_second(3), five = at_second(5);
	SEEN both = see(f->store, FEED(.occurred_from = &three, .occurred_until = &five));
	saw_positions(&both, 3, 4, 5);
	SEEN one = see(f->store, FEED(.occurred_from = &five, .occurred_until = &five));
	saw_positions(&one, 5);
	SEEN from = see(f->store, FEED(.occurred_from = &five, .limit = tide_bound(2)));
	saw_positions(&from, 5, 6);
	SEEN inverted = see(f->store, FEED(.occurred_from = &five, .occurred_until = &three));
	saw_nothing(&inverted);
}

static void filters_are_combined_by_and(struct fixture *f)
{
	put_ten(f);
	struct tide_uuid tenant = uuid_of(1001), id = uuid_of(1);
	struct tide_time two = at_second(2), nine = at_second(9);
	SEEN seen = see(f->store, FEED(.event_types = TYPES("Paid", "Shipped", "placed"),
				       .tenant_id = &tenant));
	saw_positions(&seen, 3, 5, 8, 10);
	SEEN order = see(f->store, FEED(.event_types = TYPES("Paid", "Shipped", "placed"),
					.tenant_id = &tenant, .aggregate_types = TYPES("Order")));
	saw_positions(&order, 3, 5, 10);
	SEEN all = see(f->store, FEED(.event_types = TYPES("Paid", "Shipped", "placed"),
				      .tenant_id = &tenant, .aggregate_types = TYPES("Order"),
				      .aggregate_id = &id, .occurred_from = &two,
				      .occurred_until = &nine, .after = tide_bound(3)));
	saw_positions(&all, 5);
}

static void empty_sets_filter_nothing(struct fixture *f)
{
	put_ten(f);
	const char *const none[] = { NULL };
	SEEN seen = see(f->store, FEED(.event_types = none, .aggregate_types = none));
	assert_int_equal(seen.count, 10);
}

/* ---- Resuming -------------------------------------------------------------------------------- */

/* Read in pieces of `piece` events, forward or backward, and compare with one read. */
static void read_in_pieces(struct fixture *f, struct tide_query query, int64_t piece)
{
	query.limit = (struct tide_bound){ 0 };
	SEEN whole = see(f->store, &query);
	query.limit = tide_bound(piece);
	size_t done = 0;
	for (;;) {
		SEEN part = see(f->store, &query);
		for (size_t i = 0; i < part.count; i++, done++) {
			assert_true(done < whole.count);
			assert_int_equal(part.events[i]->position, whole.events[done]->position);
		}
		if (part.count == 0)
			break;
		const struct tide_event *last = part.events[part.count - 1];
		struct tide_bound bound =
			tide_bound(query.of_stream ? last->version : last->position);
		*(query.backward ? &query.before : &query.after) = bound;
	}
	assert_int_equal(done, whole.count);
}

static void read_resumed_loses_and_repeats_nothing_under_every_filter(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		put_ten(f);
	struct tide_uuid tenant = uuid_of(1001), id = uuid_of(1);
	struct tide_time three = at_second(3), eight = at_second(8);
	const char *const types[] = { "Paid", "Placed", NULL }, *const aggregates[] = { "Order",
											NULL };
	for (unsigned mask = 0; mask < 256; mask++) {
		struct tide_query query = {
			.event_types = mask & 1 ? types : NULL,
			.aggregate_types = mask & 2 ? aggregates : NULL,
			.tenant_id = mask & 4 ? &tenant : NULL,
			.aggregate_id = mask & 8 ? &id : NULL,
			.occurred_from = mask & 16 ? &three : NULL,
			.occurred_until = mask & 32 ? &eight : NULL,
			.of_stream = mask & 64,
			.stream = stream_of("Order", 1),
			.backward = mask & 128,
		};
		if (query.of_stream)
			query.aggregate_types = NULL, query.aggregate_id = NULL,
			query.tenant_id = NULL;
		read_in_pieces(f, query, 1);
		read_in_pieces(f, query, 3);
	}
}

static void long_read_returns_every_event_once_in_order(struct fixture *f)
{
	for (unsigned i = 0; i < 6; i++)
		append_many(f->store, stream_of("Order", i % 2), i * 500, 500);
	SEEN all = see(f->store, NULL);
	assert_int_equal(all.count, 3000);
	for (size_t i = 1; i < all.count; i++)
		assert_true(all.events[i]->position > all.events[i - 1]->position);
	SEEN stream = see(f->store, STREAM(.backward = true));
	assert_int_equal(stream.count, 1500);
	for (size_t i = 0; i < stream.count; i++)
		assert_int_equal(stream.events[i]->version, 1500 - i);
}

static void sparse_filter_finds_the_last_event_of_a_long_feed(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 12000);
	append_one(f->store, stream_of("Order", 2), "Rare");
	SEEN rare = see(f->store, FEED(.event_types = TYPES("Rare")));
	assert_int_equal(rare.count, 1);
	assert_int_equal(rare.events[0]->position, end_of(f->store));
}

static void reader_on_a_wide_event_keeps_its_view_until_the_next_step(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 300);
	struct tide_reader *reader;
	must(tide_store_read(f->store, NULL, &reader, err));
	for (unsigned i = 0; i < 300; i++) {
		const struct tide_event *event;
		must(tide_reader_next(reader, &event, err));
		char payload[32];
		snprintf(payload, sizeof payload, "{\"n\":%u}", i);
		append_one(f->store, stream_of("Order", 2), "Between");
		same_json(event->payload, payload);
	}
	tide_reader_close(reader);
}

static void several_readers_at_once_do_not_disturb_each_other(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 50);
	struct tide_reader *readers[12];
	for (size_t i = 0; i < 12; i++)
		must(tide_store_read(f->store, i % 2 ? STREAM() : FEED(.backward = true),
				     &readers[i], err));
	for (int step = 1; step <= 50; step++) {
		for (size_t i = 0; i < 12; i++) {
			const struct tide_event *event;
			must(tide_reader_next(readers[i], &event, err));
			assert_int_equal(event->version, i % 2 ? step : 51 - step);
		}
	}
	append_one(f->store, stream_of("Order", 1), "WrittenMeanwhile");
	for (size_t i = 0; i < 12; i++)
		tide_reader_close(readers[i]);
}

/* ---- Single events --------------------------------------------------------------------------- */

static void event_is_found_by_its_id_store_wide(struct fixture *f)
{
	put_ten(f);
	SEEN all = see(f->store, NULL);
	for (size_t i = 0; i < all.count; i++) {
		struct tide_event *event;
		bool exists = false;
		must(tide_store_event(f->store, &all.events[i]->event_id, &event, err));
		assert_int_equal(event->position, all.events[i]->position);
		assert_int_equal(event->version, all.events[i]->version);
		tide_free(event);
		must(tide_store_event_exists(f->store, &all.events[i]->event_id, &exists, err));
		assert_true(exists);
	}
}

static void unknown_event_is_not_found(struct fixture *f)
{
	put_ten(f);
	struct tide_uuid id = uuid_of(4711);
	struct tide_event *event = (struct tide_event *)f;
	struct tide_error why =
		refused(TIDE_NOT_FOUND, tide_store_event(f->store, &id, &event, err));
	char text[TIDE_UUID_TEXT_SIZE];
	must_mention(&why, tide_uuid_format(&id, text));
	assert_ptr_equal(event, f);
	bool exists = true;
	must(tide_store_event_exists(f->store, &id, &exists, err));
	assert_false(exists);
}

static void feed_that_nobody_holds_is_settled_at_once(struct fixture *f)
{
	struct tide_horizon horizon;
	struct tide_reader *reader;
	const struct tide_event *event;
	must(tide_store_settle(f->store, 0, &horizon, err));
	assert_int_equal(horizon.end, 0);
	assert_int_equal(horizon.newest, 0);
	append_one(f->store, stream_of("Order", 1), "First");
	append_one(f->store, stream_of("Order", 1), "Second");
	must(tide_store_settle(f->store, 60, &horizon, err));
	assert_int_equal(horizon.end, horizon.newest);
	assert_string_equal(horizon.holder, "");
	/* there is nothing more to see by looking beyond */
	for (int backward = 0; backward < 2; backward++) {
		struct tide_query query = { .unsettled = true, .backward = backward };
		must(tide_store_read(f->store, &query, &reader, err));
		for (int i = 0; i < 2; i++) {
			must(tide_reader_next(reader, &event, err));
			assert_non_null(event);
			assert_int_equal(event->version, backward ? 2 - i : i + 1);
		}
		must(tide_reader_next(reader, &event, err));
		assert_null(event);
		tide_reader_close(reader);
	}
}

static void feed_end_is_the_greatest_position_a_read_returns(struct fixture *f)
{
	assert_int_equal(end_of(f->store), 0);
	for (unsigned i = 0; i < 5; i++) {
		tide_position last =
			append_many(f->store, stream_of("Order", i), 0, i + 1).last_position;
		assert_int_equal(end_of(f->store), last);
		SEEN newest = see(f->store, FEED(.backward = true, .limit = tide_bound(1)));
		assert_int_equal(newest.events[0]->position, last);
	}
}

const struct test_case read_cases[] = {
	CASE(stream_is_read_from_its_first_event_on),
	CASE(stream_is_read_backward_from_its_last_event),
	CASE(stream_read_can_be_limited),
	CASE(absent_stream_has_no_events_and_version_0),
	CASE(stream_read_keeps_to_an_instant_range),
	CASE(stream_read_keeps_to_event_types),
	CASE(feed_is_read_in_the_order_of_positions),
	CASE(feed_is_read_backward_from_its_end),
	CASE(feed_of_an_empty_store_ends_at_once_and_again),
	CASE(limit_counts_what_the_filter_lets_through),
	CASE(event_types_of_a_set_are_alternatives),
	CASE(names_are_compared_bytewise),
	CASE(aggregate_types_of_a_set_are_alternatives),
	CASE(tenant_never_matches_events_without_one),
	CASE(one_aggregate_can_be_read_from_the_feed),
	CASE(instant_range_includes_both_ends),
	CASE(filters_are_combined_by_and),
	CASE(empty_sets_filter_nothing),
	CASE(read_resumed_loses_and_repeats_nothing_under_every_filter),
	CASE(long_read_returns_every_event_once_in_order),
	CASE(sparse_filter_finds_the_last_event_of_a_long_feed),
	CASE(reader_on_a_wide_event_keeps_its_view_until_the_next_step),
	CASE(several_readers_at_once_do_not_disturb_each_other),
	CASE(event_is_found_by_its_id_store_wide),
	CASE(unknown_event_is_not_found),
	CASE(feed_that_nobody_holds_is_settled_at_once),
	CASE(feed_end_is_the_greatest_position_a_read_returns),
	CASES_END,
};

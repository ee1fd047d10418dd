/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "conformance/cases.h"

static struct tide_stream order(unsigned number)
{
	return stream_of("Order", number);
}

/* Append one event with an expectation and a status to come. */
static struct tide_error try_one(struct fixture *f, struct tide_stream stream, int64_t expected,
				 tide_status wanted, struct tide_append_result *ret)
{
	struct tide_new_event events[] = { event_of("OrderPlaced", 7) };
	return refused(wanted,
		       tide_store_append(f->store, APPEND(stream, expected, events), ret, err));
}

/* ---- Expectations ---------------------------------------------------------------------------- */

static void append_to_a_new_stream_starts_at_version_1(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("OrderPlaced", 1) };
	struct tide_append_result result;
	must(tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, events), &result, err));
	assert_int_equal(result.version, 1);
	assert_int_equal(result.first_position, 1);
	assert_int_equal(result.last_position, 1);
	assert_false(result.was_stored_before);
}

static void append_numbers_a_batch_in_its_order(struct fixture *f)
{
	append_one(f->store, order(1), "OrderPlaced");
	struct tide_append_result result = append_many(f->store, order(1), 0, 3);
	assert_int_equal(result.version, 4);
	assert_true(result.first_position < result.last_position);
	SEEN seen = see(f->store, &(struct tide_query){ .of_stream = true, .stream = order(1) });
	saw_versions(&seen, 1, 2, 3, 4);
	same_json(seen.events[1]->payload, "{\"n\":0}");
	same_json(seen.events[3]->payload, "{\"n\":2}");
	assert_int_equal(seen.events[1]->position, result.first_position);
	assert_int_equal(seen.events[3]->position, result.last_position);
}

static void append_any_accepts_every_version(struct fixture *f)
{
	for (int version = 1; version <= 3; version++)
		assert_int_equal(append_one(f->store, order(1), "OrderPlaced").version, version);
}

static void append_no_stream_to_an_existing_stream_reports_where_it_is(struct fixture *f)
{
	append_many(f->store, order(1), 0, 2);
	struct tide_append_result result;
	struct tide_error why = try_one(f, order(1), TIDE_NO_STREAM, TIDE_CONFLICT, &result);
	assert_int_equal(result.version, 2);
	assert_int_equal(result.first_position, 0);
	assert_int_equal(result.last_position, 0);
	assert_int_equal(why.retry, TIDE_RETRY_RELOAD);
	char id[TIDE_UUID_TEXT_SIZE];
	struct tide_stream stream = order(1);
	must_mention(&why, tide_uuid_format(&stream.aggregate_id, id));
	must_mention(&why, "Order");
	must_mention(&why, "no_stream");
	must_mention(&why, "version 2");
}

static void append_stream_exists_wants_at_least_one_event(struct fixture *f)
{
	struct tide_append_result result;
	struct tide_error why = try_one(f, order(1), TIDE_STREAM_EXISTS, TIDE_CONFLICT, &result);
	must_mention(&why, "stream_exists");
	assert_int_equal(result.version, 0);
	append_one(f->store, order(1), "OrderPlaced");
	try_one(f, order(1), TIDE_STREAM_EXISTS, TIDE_OK, &result);
	assert_int_equal(result.version, 2);
}

static void append_at_the_exact_version_succeeds(struct fixture *f)
{
	append_many(f->store, order(1), 0, 5);
	struct tide_append_result result;
	try_one(f, order(1), 5, TIDE_OK, &result);
	assert_int_equal(result.version, 6);
}

static void append_with_stale_version_reports_the_actual_one(struct fixture *f)
{
	append_many(f->store, order(1), 0, 3);
	struct tide_append_result result;
	struct tide_error why = try_one(f, order(1), 2, TIDE_CONFLICT, &result);
	assert_int_equal(result.version, 3);
	must_mention(&why, "exact 2");
	try_one(f, order(1), 4, TIDE_CONFLICT, &result);
	assert_int_equal(result.version, 3);
	try_one(f, order(2), 1, TIDE_CONFLICT, &result);
	assert_int_equal(result.version, 0);
}

static void append_that_is_refused_stores_nothing(struct fixture *f)
{
	append_many(f->store, order(1), 0, 2);
	tide_position end = end_of(f->store);
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2), event_of("C", 3) };
	events[2].event_id = uuid_of(900);
	refused(TIDE_CONFLICT, tide_store_append(f->store, APPEND(order(1), 1, events), NULL, err));
	assert_int_equal(end_of(f->store), end);
	assert_int_equal(version_of(f->store, order(1)), 2);
	bool exists = true;
	struct tide_uuid id = uuid_of(900);
	must(tide_store_event_exists(f->store, &id, &exists, err));
	assert_false(exists);
	assert_int_equal(append_one(f->store, order(1), "D").version, 3);
}

static void append_leaves_the_result_alone_when_it_fails_otherwise(struct fixture *f)
{
	struct tide_append_result result = { .version = 77,
					     .first_position = 78,
					     .last_position = 79 };
	struct tide_new_event events[] = { event_of("not a name", 1) };
	refused(TIDE_ARGUMENT,
		tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), &result, err));
	assert_int_equal(result.version, 77);
	assert_int_equal(result.first_position, 78);
	assert_int_equal(result.last_position, 79);
}

static void append_needs_no_place_for_its_result_or_error(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("OrderPlaced", 1) };
	assert_int_equal(
		tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, events), NULL, NULL),
		TIDE_OK);
	struct tide_new_event more[] = { event_of("OrderPlaced", 2) };
	assert_int_equal(
		tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, more), NULL, NULL),
		TIDE_CONFLICT);
}

static void streams_of_one_id_and_different_types_are_different(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	append_many(f->store, stream_of("Invoice", 1), 0, 1);
	assert_int_equal(version_of(f->store, stream_of("Order", 1)), 3);
	assert_int_equal(version_of(f->store, stream_of("Invoice", 1)), 1);
	assert_int_equal(version_of(f->store, stream_of("order", 1)), 0);
}

static void positions_grow_over_all_streams(struct fixture *f)
{
	tide_position last = 0;
	for (unsigned i = 0; i < 20; i++) {
		struct tide_append_result result =
			append_many(f->store, order(i % 3), i, 1 + i % 4);
		assert_true(result.first_position > last);
		assert_true(result.last_position >= result.first_position + i % 4);
		last = result.last_position;
	}
	assert_int_equal(end_of(f->store), last);
}

/* ---- Numbered events ------------------------------------------------------------------------- */

static void append_of_numbered_events_takes_the_next_versions(struct fixture *f)
{
	append_many(f->store, order(1), 0, 2);
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].version = 3;
	events[1].version = 4;
	struct tide_append_result result;
	must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), &result, err));
	assert_int_equal(result.version, 4);
}

static void append_of_numbered_events_out_of_place_is_a_conflict(struct fixture *f)
{
	append_many(f->store, order(1), 0, 2);
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].version = 5;
	events[1].version = 6;
	struct tide_append_result result;
	struct tide_error why = refused(
		TIDE_CONFLICT,
		tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), &result, err));
	must_mention(&why, "exact 4");
	assert_int_equal(result.version, 2);
	events[0].version = INT32_MAX - 1;
	events[1].version = INT32_MAX;
	refused(TIDE_CONFLICT,
		tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), &result, err));
}

/* ---- Repetition ------------------------------------------------------------------------------ */

static void repeated(struct fixture *f, const struct tide_append *append,
		     const struct tide_append_result *first)
{
	tide_position end = end_of(f->store);
	struct tide_append_result again;
	must(tide_store_append(f->store, append, &again, err));
	assert_true(again.was_stored_before);
	assert_int_equal(again.version, first->version);
	assert_int_equal(again.first_position, first->first_position);
	assert_int_equal(again.last_position, first->last_position);
	assert_int_equal(end_of(f->store), end);
}

static void append_repeated_returns_the_original_result(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2), event_of("C", 3) };
	for (unsigned i = 0; i < 3; i++)
		events[i].event_id = uuid_of(100 + i);
	const int64_t expectations[] = { 2, TIDE_ANY, TIDE_STREAM_EXISTS };
	append_many(f->store, order(1), 0, 2);
	struct tide_append_result first;
	must(tide_store_append(f->store, APPEND(order(1), 2, events), &first, err));
	assert_false(first.was_stored_before);
	for (int i = 0; i < 3; i++)
		repeated(f, APPEND(order(1), expectations[i], events), &first);
	append_many(f->store, order(1), 0, 4);
	append_many(f->store, order(2), 0, 1);
	for (int i = 0; i < 3; i++)
		repeated(f, APPEND(order(1), expectations[i], events), &first);
}

static void append_repeated_with_no_stream_must_be_the_first_of_its_stream(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].event_id = uuid_of(100);
	events[1].event_id = uuid_of(101);
	struct tide_append_result first;
	must(tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, events), &first, err));
	append_one(f->store, order(1), "C");
	repeated(f, APPEND(order(1), TIDE_NO_STREAM, events), &first);
	struct tide_new_event second[] = { events[1] };
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, second), NULL, err));
}

static void append_repeated_at_another_version_is_a_duplicate(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1) };
	events[0].event_id = uuid_of(100);
	must(tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, events), NULL, err));
	append_many(f->store, order(1), 0, 3);
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(order(1), 4, events), NULL, err));
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(order(1), 1, events), NULL, err));
	assert_int_equal(version_of(f->store, order(1)), 4);
}

static void append_of_a_part_of_an_earlier_batch_is_a_repetition(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2), event_of("C", 3) };
	for (unsigned i = 0; i < 3; i++)
		events[i].event_id = uuid_of(100 + i);
	struct tide_append_result whole;
	must(tide_store_append(f->store, APPEND(order(1), TIDE_NO_STREAM, events), &whole, err));
	struct tide_new_event tail[] = { events[1], events[2] };
	struct tide_append_result part = whole;
	SEEN seen = see(f->store, &(struct tide_query){ .of_stream = true, .stream = order(1) });
	part.first_position = seen.events[1]->position;
	repeated(f, APPEND(order(1), TIDE_ANY, tail), &part);
	repeated(f, APPEND(order(1), 1, tail), &part);
}

static void append_over_two_earlier_batches_is_a_repetition(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].event_id = uuid_of(100);
	events[1].event_id = uuid_of(101);
	struct tide_new_event one[] = { events[0] }, two[] = { events[1] };
	struct tide_append_result first, second;
	must(tide_store_append(f->store, APPEND(order(1), 0, one), &first, err));
	append_many(f->store, order(2), 0, 3);
	must(tide_store_append(f->store, APPEND(order(1), 1, two), &second, err));
	first.version = 2;
	first.last_position = second.last_position;
	repeated(f, APPEND(order(1), TIDE_NO_STREAM, events), &first);
}

static void append_of_known_and_new_ids_is_a_duplicate(struct fixture *f)
{
	struct tide_new_event known[] = { event_of("A", 1) };
	known[0].event_id = uuid_of(100);
	must(tide_store_append(f->store, APPEND(order(1), 0, known), NULL, err));
	struct tide_new_event mixed[] = { event_of("B", 2), known[0], event_of("C", 3) };
	struct tide_error why =
		refused(TIDE_DUPLICATE_EVENT,
			tide_store_append(f->store, APPEND(order(1), TIDE_ANY, mixed), NULL, err));
	char id[TIDE_UUID_TEXT_SIZE];
	must_mention(&why, tide_uuid_format(&known[0].event_id, id));
	struct tide_new_event ahead[] = { known[0], event_of("C", 3) };
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(order(1), TIDE_ANY, ahead), NULL, err));
	assert_int_equal(version_of(f->store, order(1)), 1);
}

static void append_of_an_id_of_another_stream_is_a_duplicate(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1) };
	events[0].event_id = uuid_of(100);
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), 0, events), NULL, err));
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(stream_of("Order", 2), TIDE_ANY, events), NULL,
				  err));
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(stream_of("Invoice", 1), TIDE_NO_STREAM, events),
				  NULL, err));
	assert_int_equal(end_of(f->store), 1);
}

static void append_of_known_ids_in_another_order_is_a_duplicate(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].event_id = uuid_of(100);
	events[1].event_id = uuid_of(101);
	must(tide_store_append(f->store, APPEND(order(1), 0, events), NULL, err));
	struct tide_new_event reversed[] = { events[1], events[0] };
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(order(1), TIDE_ANY, reversed), NULL, err));
}

static void append_of_one_id_twice_is_a_duplicate(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2), event_of("C", 3) };
	events[0].event_id = events[2].event_id = uuid_of(100);
	struct tide_error why =
		refused(TIDE_DUPLICATE_EVENT,
			tide_store_append(f->store, APPEND(order(1), 0, events), NULL, err));
	char id[TIDE_UUID_TEXT_SIZE];
	must_mention(&why, tide_uuid_format(&events[0].event_id, id));
	assert_int_equal(end_of(f->store), 0);
}

static void append_looks_at_validity_then_ids_then_expectation(struct fixture *f)
{
	struct tide_new_event known[] = { event_of("A", 1) };
	known[0].event_id = uuid_of(100);
	must(tide_store_append(f->store, APPEND(order(1), 0, known), NULL, err));
	struct tide_new_event invalid[] = { known[0], event_of("B", 2) };
	invalid[1].event_type = "";
	refused(TIDE_ARGUMENT,
		tide_store_append(f->store, APPEND(order(2), 9, invalid), NULL, err));
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(order(2), 9, known), NULL, err));
}

/* ---- What is stored -------------------------------------------------------------------------- */

static void stored_event_has_every_field_it_was_given(struct fixture *f)
{
	const struct tide_time when = { INT64_C(1262304000123456) };
	struct tide_new_event events[] = { {
		.event_type = "Order.Placed-2_x",
		.payload = tide_text(
			"{\"name\":\"Zoë "
			"\\ud83d\\ude00\",\"list\":[1,2.5,null,true],\"deep\":{\"a\":{}}}"),
		.metadata = tide_text("{\"source\":\"test\",\"n\":12345678901}"),
		.event_version = 3,
		.event_id = uuid_of(500),
		.occurred_at = &when,
		.tenant_id = uuid_of(501),
		.actor_id = "usér",
		.correlation_id = uuid_of(502),
		.causation_id = uuid_of(503),
	} };
	struct tide_append_result result;
	must(tide_store_append(f->store, APPEND(order(1), 0, events), &result, err));
	struct tide_event *event;
	must(tide_store_event(f->store, &events[0].event_id, &event, err));
	assert_int_equal(event->position, result.first_position);
	assert_int_equal(event->version, 1);
	assert_int_equal(event->event_version, 3);
	assert_true(tide_uuid_equal(&event->event_id, &events[0].event_id));
	struct tide_uuid aggregate_id = uuid_of(1);
	assert_true(tide_uuid_equal(&event->aggregate_id, &aggregate_id));
	assert_true(tide_uuid_equal(&event->tenant_id, &events[0].tenant_id));
	assert_true(tide_uuid_equal(&event->correlation_id, &events[0].correlation_id));
	assert_true(tide_uuid_equal(&event->causation_id, &events[0].causation_id));
	assert_string_equal(event->event_type.data, "Order.Placed-2_x");
	assert_string_equal(event->aggregate_type.data, "Order");
	assert_string_equal(event->actor_id.data, "usér");
	assert_int_equal(event->occurred_at.unix_us, when.unix_us);
	assert_null(event->undecodable);
	same_json(event->metadata, events[0].metadata.data);
	same_json(event->payload, events[0].payload.data);
	tide_free(event);
}

static void stored_event_has_defaults_for_what_it_was_not_given(struct fixture *f)
{
	int64_t before = tide_time_now().unix_us;
	struct tide_new_event events[] = { { .event_type = "Empty" }, { .event_type = "Empty" } };
	must(tide_store_append(f->store, APPEND(order(1), 0, events), NULL, err));
	int64_t after = tide_time_now().unix_us;
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct tide_event *event = seen.events[i];
		assert_int_equal(event->event_version, 1);
		assert_int_equal(event->event_id.bytes[6] >> 4, 7);
		assert_int_equal(event->correlation_id.bytes[6] >> 4, 4);
		assert_true(tide_uuid_is_nil(&event->tenant_id));
		assert_true(tide_uuid_is_nil(&event->causation_id));
		assert_null(event->actor_id.data);
		assert_in_range(event->occurred_at.unix_us, before, after);
		same_json(event->payload, "{}");
		same_json(event->metadata, "{}");
	}
	assert_true(tide_uuid_compare(&seen.events[0]->event_id, &seen.events[1]->event_id) < 0);
	assert_false(
		tide_uuid_equal(&seen.events[0]->correlation_id, &seen.events[1]->correlation_id));
}

static void stored_at_is_the_clock_at_the_append(struct fixture *f)
{
	const struct tide_time long_ago = { 0 };
	/* a server's clock may be another, and a column may hold whole seconds */
	int64_t slack = INT64_C(2000000);
	int64_t before = tide_time_now().unix_us - slack;
	struct tide_new_event events[] = { event_of("A", 1) };
	events[0].occurred_at = &long_ago;
	must(tide_store_append(f->store, APPEND(order(1), 0, events), NULL, err));
	SEEN seen = see(f->store, NULL);
	assert_in_range(seen.events[0]->stored_at.unix_us, before, tide_time_now().unix_us + slack);
	assert_int_equal(seen.events[0]->occurred_at.unix_us, 0);
}

static void payload_may_be_any_json_value(struct fixture *f)
{
	static const char *const values[] = { "null",
					      "true",
					      "false",
					      "0",
					      "-1.5e3",
					      "\"text\"",
					      "[]",
					      "[[1],{\"a\":[]}]",
					      "{}",
					      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
					      "9007199254740993" };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct tide_new_event events[] = { { .event_type = "Any",
						     .payload = tide_text(values[i]) } };
		must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	}
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, sizeof values / sizeof *values);
	for (size_t i = 0; i < seen.count; i++)
		same_json(seen.events[i]->payload, values[i]);
}

static void payload_is_as_long_as_its_length_says(struct fixture *f)
{
	struct tide_new_event events[] = { { .event_type = "Cut",
					     .payload = { "{\"a\":1}garbage", 7 } } };
	must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	SEEN seen = see(f->store, NULL);
	same_json(seen.events[0]->payload, "{\"a\":1}");
	assert_int_equal(strlen(seen.events[0]->payload.data), seen.events[0]->payload.size);
}

static void payload_of_a_megabyte_is_stored(struct fixture *f)
{
	size_t size = 1024 * 1024;
	char *payload = malloc(size + 1);
	assert_non_null(payload);
	memset(payload, 'x', size);
	payload[0] = payload[size - 1] = '"';
	payload[size] = '\0';
	struct tide_new_event events[] = { { .event_type = "Big", .payload = tide_text(payload) } };
	must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.events[0]->payload.size, size);
	assert_memory_equal(seen.events[0]->payload.data, payload, size);
	free(payload);
}

static void payload_nested_512_deep_is_stored(struct fixture *f)
{
	char payload[1025];
	memset(payload, '[', 512);
	memset(payload + 512, ']', 512);
	payload[1024] = '\0';
	struct tide_new_event events[] = { { .event_type = "Deep",
					     .payload = tide_text(payload) } };
	must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.events[0]->payload.size, 1024);
}

static void names_of_255_bytes_are_stored(struct fixture *f)
{
	char name[256];
	memset(name, 'n', 255);
	name[255] = '\0';
	struct tide_new_event events[] = { { .event_type = name, .actor_id = name } };
	must(tide_store_append(f->store, APPEND(stream_of(name, 1), 0, events), NULL, err));
	SEEN seen = see(f->store, NULL);
	assert_string_equal(seen.events[0]->event_type.data, name);
	assert_string_equal(seen.events[0]->aggregate_type.data, name);
	assert_string_equal(seen.events[0]->actor_id.data, name);
	assert_int_equal(version_of(f->store, stream_of(name, 1)), 1);
}

static void instants_of_the_years_1_and_9999_are_stored(struct fixture *f)
{
	const struct tide_time instants[] = {
		{ TIDE_TIME_MIN_US }, { TIDE_TIME_MAX_US }, { -1 }, { 999999 }
	};
	for (size_t i = 0; i < 4; i++) {
		struct tide_new_event events[] = { { .event_type = "Then",
						     .occurred_at = &instants[i] } };
		must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	}
	SEEN seen = see(f->store, NULL);
	for (size_t i = 0; i < 4; i++)
		assert_true(seen.events[i]->occurred_at.unix_us == instants[i].unix_us);
}

static void event_ids_of_any_version_are_stored(struct fixture *f)
{
	struct tide_uuid odd;
	memset(&odd, 0xff, sizeof odd);
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2) };
	events[0].event_id = tide_uuid_v4();
	events[1].event_id = odd;
	must(tide_store_append(f->store, APPEND(order(1), 0, events), NULL, err));
	struct tide_event *event;
	must(tide_store_event(f->store, &odd, &event, err));
	assert_string_equal(event->event_type.data, "B");
	tide_free(event);
}

static void event_may_name_the_stream_it_is_in(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("A", 1) };
	events[0].aggregate_id = order(1).aggregate_id;
	events[0].aggregate_type = "Order";
	must(tide_store_append(f->store, APPEND(order(1), 0, events), NULL, err));
	assert_int_equal(version_of(f->store, order(1)), 1);
}

static void batch_of_2000_events_is_one_append(struct fixture *f)
{
	struct tide_append_result result = append_many(f->store, order(1), 0, 2000);
	assert_int_equal(result.version, 2000);
	SEEN seen = see(f->store, &(struct tide_query){ .of_stream = true, .stream = order(1) });
	assert_int_equal(seen.count, 2000);
	for (size_t i = 0; i < seen.count; i++)
		assert_int_equal(seen.events[i]->version, i + 1);
}

static void appended_events_are_there_at_once_for_every_handle(struct fixture *f)
{
	struct tide_store *other = fixture_second_handle(f);
	for (unsigned i = 1; i <= 20; i++) {
		append_one(i % 2 ? f->store : other, order(1), "A");
		assert_int_equal(version_of(i % 2 ? other : f->store, order(1)), i);
		assert_int_equal(end_of(f->store), end_of(other));
	}
	tide_store_close(other);
}

static void store_opened_again_holds_what_was_written_if_it_is_durable(struct fixture *f)
{
	append_many(f->store, order(1), 0, 3);
	fixture_reopen(f);
	assert_int_equal(version_of(f->store, order(1)), f->quirks->is_durable ? 3 : 0);
	struct tide_append_result result = append_many(f->store, order(1), 0, 1);
	assert_int_equal(result.first_position, f->quirks->is_durable ? 4 : 1);
}

static void store_opened_read_only_refuses_writes(struct fixture *f)
{
	append_one(f->store, order(1), "A");
	struct tide_store *store;
	must(tide_store_open(f->url, TIDE_STORE_OPTIONS(.read_only = true), &store, err));
	struct tide_new_event events[] = { event_of("B", 2) };
	refused(TIDE_UNSUPPORTED,
		tide_store_append(store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	assert_int_equal(version_of(store, order(1)), 1);
	tide_store_close(store);
}

static void clear_starts_positions_again_or_is_unsupported(struct fixture *f)
{
	append_many(f->store, order(1), 0, 3);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 3 },
				   err));
	if (!f->quirks->has_clear) {
		refused(TIDE_UNSUPPORTED, tide_store_clear(f->store, err));
		assert_int_equal(end_of(f->store), 3);
		return;
	}
	must(tide_store_clear(f->store, err));
	assert_int_equal(end_of(f->store), 0);
	assert_int_equal(version_of(f->store, order(1)), 0);
	SEEN none = see(f->store, NULL);
	saw_nothing(&none);
	tide_position position;
	refused(TIDE_NOT_FOUND, tide_checkpoints_position(f->checkpoints, "p", &position, err));
	assert_int_equal(append_many(f->store, order(1), 0, 2).last_position, 2);
	SEEN two = see(f->store, NULL);
	saw_positions(&two, 1, 2);
}

/* ---- What the owner of the database forbids -------------------------------------------------- */

/* No race: to try again would burn positions until a timeout, and then blame other writers. */
static void a_unique_index_of_the_owner_refuses_an_append_at_once(struct fixture *f)
{
	struct tide_new_event events[] = { event_of("UserAdded", 1) };
	events[0].actor_id = "one@example.org";
	fixture_sql(f, "CREATE UNIQUE INDEX one_event_an_actor ON events (actor_id)");
	must(tide_store_append(f->store, APPEND(order(1), TIDE_ANY, events), NULL, err));
	struct tide_error why =
		refused(TIDE_IO,
			tide_store_append(f->store, APPEND(order(2), TIDE_ANY, events), NULL, err));
	must_mention(&why, "actor");
	events[0].event_id = uuid_of(7);
	refused(TIDE_IO, tide_store_append(f->store, APPEND(order(1), 1, events), NULL, err));
	struct tide_append_result result = append_one(f->store, order(3), "UserAdded");
	assert_true(result.first_position <= 4);
	assert_int_equal(version_of(f->store, order(1)), 1);
}

const struct test_case append_cases[] = {
	CASE_NEEDS(a_unique_index_of_the_owner_refuses_an_append_at_once, NEEDS_SQL),
	CASE(append_to_a_new_stream_starts_at_version_1),
	CASE(append_numbers_a_batch_in_its_order),
	CASE(append_any_accepts_every_version),
	CASE(append_no_stream_to_an_existing_stream_reports_where_it_is),
	CASE(append_stream_exists_wants_at_least_one_event),
	CASE(append_at_the_exact_version_succeeds),
	CASE(append_with_stale_version_reports_the_actual_one),
	CASE(append_that_is_refused_stores_nothing),
	CASE(append_leaves_the_result_alone_when_it_fails_otherwise),
	CASE(append_needs_no_place_for_its_result_or_error),
	CASE(streams_of_one_id_and_different_types_are_different),
	CASE(positions_grow_over_all_streams),
	CASE(append_of_numbered_events_takes_the_next_versions),
	CASE(append_of_numbered_events_out_of_place_is_a_conflict),
	CASE(append_repeated_returns_the_original_result),
	CASE(append_repeated_with_no_stream_must_be_the_first_of_its_stream),
	CASE(append_repeated_at_another_version_is_a_duplicate),
	CASE(append_of_a_part_of_an_earlier_batch_is_a_repetition),
	CASE(append_over_two_earlier_batches_is_a_repetition),
	CASE(append_of_known_and_new_ids_is_a_duplicate),
	CASE(append_of_an_id_of_another_stream_is_a_duplicate),
	CASE(append_of_known_ids_in_another_order_is_a_duplicate),
	CASE(append_of_one_id_twice_is_a_duplicate),
	CASE(append_looks_at_validity_then_ids_then_expectation),
	CASE(stored_event_has_every_field_it_was_given),
	CASE(stored_event_has_defaults_for_what_it_was_not_given),
	CASE(stored_at_is_the_clock_at_the_append),
	CASE(payload_may_be_any_json_value),
	CASE(payload_is_as_long_as_its_length_says),
	CASE(payload_of_a_megabyte_is_stored),
	CASE(payload_nested_512_deep_is_stored),
	CASE(names_of_255_bytes_are_stored),
	CASE(instants_of_the_years_1_and_9999_are_stored),
	CASE(event_ids_of_any_version_are_stored),
	CASE(event_may_name_the_stream_it_is_in),
	CASE(batch_of_2000_events_is_one_append),
	CASE_NEEDS(appended_events_are_there_at_once_for_every_handle, NEEDS_SHARED),
	CASE(store_opened_again_holds_what_was_written_if_it_is_durable),
	CASE_NEEDS(store_opened_read_only_refuses_writes, NEEDS_SHARED),
	CASE(clear_starts_positions_again_or_is_unsupported),
	CASES_END,
};

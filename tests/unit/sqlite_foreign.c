/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that other programs wrote: envelopes, other shapes of instants, and rows that are no
 * events. */
#include "sqlite_fixture.h"

#define AGGREGATE "00112233-4455-6677-8899-aabbccddeeff"

struct opened {
	void *store, *session;
	struct tide_page page;
};

static struct opened foreign_open(const struct fixture *fixture, const char *rows)
{
	STORE->close(fixture_open(fixture->database, ""));
	fixture_sql(fixture, rows);
	struct opened opened = { .store = fixture_open(fixture->database, "") };
	opened.session = fixture_session(opened.store);
	tide_page_init(&opened.page);
	return opened;
}

static void foreign_close(struct opened *opened)
{
	tide_page_fini(&opened->page);
	STORE->session_close(opened->session);
	STORE->close(opened->store);
}

static void an_envelope_is_opened(void **state)
{
	struct tide_error err;
	struct opened opened = foreign_open(
		*state,
		"INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		"timestamp, "
		"payload) VALUES "
		"('0190a2b8-0000-7000-8000-000000000001', '" AGGREGATE
		"', 'Order', 'OrderPlaced', 1, "
		"'2024-05-06T07:08:09+02:00', "
		"'{\"event_id\":\"0190a2b8-0000-7000-8000-000000000001\",\"event_version\":3,"
		"\"correlation_id\":\"f47ac10b-58cc-4372-a567-0e02b2c3d479\",\"causation_id\":null,"
		"\"metadata\":{\"a\":1},"
		"\"aggregate_version\":1,\"total\":5}')");
	assert_ok(fixture_read(opened.session, 0, 10, &opened.page, &err));
	assert_int_equal(opened.page.count, 1);
	const struct tide_event *event = &opened.page.entries[0].event;
	assert_null(event->undecodable);
	assert_int_equal(event->event_version, 3);
	assert_false(tide_uuid_is_nil(&event->correlation_id));
	assert_true(tide_uuid_is_nil(&event->causation_id));
	assert_string_equal(event->metadata.data, "{\"a\":1}");
	assert_non_null(strstr(event->payload.data, "\"total\":5"));
	assert_null(strstr(event->payload.data, "event_id"));
	assert_null(strstr(event->payload.data, "aggregate_version"));
	assert_int_equal(event->occurred_at.unix_us, INT64_C(1714972089000000));
	foreign_close(&opened);
}

static void a_row_that_is_no_event_is_marked_and_the_scan_goes_on(void **state)
{
	struct tide_error err;
	struct opened opened =
		foreign_open(*state, "INSERT INTO events (event_id, aggregate_id, aggregate_type, "
				     "event_type, version, timestamp, payload, "
				     "event_version) VALUES "
				     "('no uuid', '" AGGREGATE
				     "', 'Order', 'A', 1, '2024-05-06 07:08:09', '{}', 1), "
				     "('0190a2b8-0000-7000-8000-000000000001', '" AGGREGATE
				     "', 'Order', 'B', 2, 'yesterday', '{}', 1), "
				     "('0190a2b8-0000-7000-8000-000000000002', '" AGGREGATE
				     "', 'Order', 'C', 3, '2024-05-06 07:08:09', "
				     "'{\"cut', 1), "
				     "('0190a2b8-0000-7000-8000-000000000003', '" AGGREGATE
				     "', 'Order', 'D', 4, '2024-05-06 07:08:09', "
				     "'raw text', NULL), "
				     "('0190a2b8-0000-7000-8000-000000000004', '" AGGREGATE
				     "', 'Order', 'E', 5, '2024-05-06 07:08:09', "
				     "'[1]', NULL)");
	assert_ok(fixture_read(opened.session, 0, 10, &opened.page, &err));
	assert_int_equal(opened.page.count, 5);
	for (size_t i = 0; i < 4; i++) {
		assert_non_null(opened.page.entries[i].event.undecodable);
		assert_int_equal(opened.page.entries[i].event.position, i + 1);
	}
	assert_string_equal(opened.page.entries[0].event.event_type.data, "A");
	assert_string_equal(opened.page.entries[2].event.payload.data, "{\"cut");
	assert_string_equal(opened.page.entries[3].event.payload.data, "raw text");
	assert_null(opened.page.entries[4].event.undecodable);
	assert_string_equal(opened.page.entries[4].event.payload.data, "[1]");
	assert_int_equal(opened.page.entries[4].event.event_version, 1);
	assert_int_equal(opened.page.scanned_to, 5);
	foreign_close(&opened);
}

/* A table without NOT NULL is refused; one that has got it back has the rows all the same. */
static void rows_that_no_constraint_kept_out_are_marked(void **state)
{
	struct tide_error err;
	struct opened opened = foreign_open(
		*state,
		"PRAGMA writable_schema = ON; "
		"UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '/*kept*/') "
		"WHERE name = 'events'; PRAGMA writable_schema = RESET; "
		"INSERT INTO events (global_position, event_id, aggregate_id, aggregate_type, "
		"event_type, version, timestamp, payload) VALUES "
		"(1, '0190a2b8-0000-7000-8000-000000000001', '" AGGREGATE
		"', 'Order', NULL, 1, '2024-05-06 07:08:09', '{}'), "
		"(2, '0190a2b8-0000-7000-8000-000000000002', '" AGGREGATE
		"', NULL, 'A', 2, '2024-05-06 07:08:09', '{}'), "
		"(3, '0190a2b8-0000-7000-8000-000000000003', '" AGGREGATE
		"', 'Order', 'A', 0, '2024-05-06 07:08:09', '{}'), "
		"(4, '0190a2b8-0000-7000-8000-000000000004', '" AGGREGATE
		"', 'Order', 'A', 2147483648, '2024-05-06 07:08:09', '{}'), "
		"(5, '0190a2b8-0000-7000-8000-000000000005', '" AGGREGATE
		"', 'Order', 'A', 5, '2024-05-06 07:08:09', '{}'); "
		"PRAGMA writable_schema = ON; "
		"UPDATE sqlite_schema SET sql = replace(sql, '/*kept*/', 'NOT NULL') "
		"WHERE name = 'events'; PRAGMA writable_schema = RESET");
	static const char *const problems[] = {
		"a required column is null",
		"a required column is null",
		"a version column is out of range",
		"a version column is out of range",
	};
	assert_ok(fixture_read(opened.session, 0, 10, &opened.page, &err));
	assert_int_equal(opened.page.count, 5);
	for (size_t i = 0; i < 4; i++) {
		const char *told = opened.page.entries[i].event.undecodable;
		assert_non_null(told);
		assert_non_null(strstr(told, problems[i]));
	}
	assert_null(opened.page.entries[4].event.undecodable);
	foreign_close(&opened);
}

static void reading_a_foreign_row_twice_gives_the_same_event(void **state)
{
	struct tide_error err;
	struct opened opened =
		foreign_open(*state, "INSERT INTO events (event_id, aggregate_id, aggregate_type, "
				     "event_type, version, timestamp, payload) "
				     "VALUES ('0190a2b8-0000-7000-8000-000000000001', '" AGGREGATE
				     "', 'Order', 'A', 1, "
				     "'2024-05-06 07:08:09', '{\"x\":1}')");
	struct tide_event *first;
	assert_ok(fixture_read(opened.session, 0, 10, &opened.page, &err));
	assert_ok(tide_event_copy(&opened.page.entries[0].event, &first, &err));
	assert_ok(fixture_read(opened.session, 0, 10, &opened.page, &err));
	const struct tide_event *second = &opened.page.entries[0].event;
	assert_true(tide_uuid_is_nil(&first->correlation_id));
	assert_true(tide_uuid_equal(&first->correlation_id, &second->correlation_id));
	assert_string_equal(first->payload.data, second->payload.data);
	assert_string_equal(first->metadata.data, "{}");
	tide_free(first);
	foreign_close(&opened);
}

static void instants_of_other_shapes_are_compared_as_instants(void **state)
{
	struct tide_error err;
	/* By text the order would be another one: 05:30+02:00 is before 04:00Z. */
	struct opened opened =
		foreign_open(*state, "INSERT INTO events (event_id, aggregate_id, aggregate_type, "
				     "event_type, version, timestamp, payload) VALUES "
				     "('0190a2b8-0000-7000-8000-000000000001', '" AGGREGATE
				     "', 'Order', 'A', 1, '2024-05-06T05:30:00+02:00', '1'), "
				     "('0190a2b8-0000-7000-8000-000000000002', '" AGGREGATE
				     "', 'Order', 'A', 2, '2024-05-06 04:00:00', '2')");
	struct tide_time from;
	assert_ok(tide_time_parse("2024-05-06T03:45:00Z", &from, &err));
	struct tide_filter filter = { .occurred_from = &from };
	for (size_t max_scan = 0; max_scan <= 100; max_scan += 100) {
		struct tide_page_query query = {
			.filter = &filter, .max_events = 10, .max_bytes = 1000, .max_scan = max_scan
		};
		tide_page_begin(&opened.page, 10, 1000);
		assert_ok(STORE->read(opened.session, &query, &opened.page, &err));
		assert_int_equal(opened.page.count, 1);
		assert_int_equal(opened.page.entries[0].event.version, 2);
	}
	foreign_close(&opened);
}

static void dead_letters_of_other_shapes_are_ordered_as_instants(void **state)
{
	struct tide_error err;
	struct opened opened =
		foreign_open(*state, "INSERT INTO dead_letter_queue (event_id, projection_name, "
				     "event_type, event_data, error_message, "
				     "first_failed_at, last_failed_at) VALUES "
				     "('0190a2b8-0000-7000-8000-000000000001', 'P', 'A', '{}', "
				     "'x', '2024-05-06 12:00:00', '2024-05-06 "
				     "12:00:00'), "
				     "('0190a2b8-0000-7000-8000-000000000002', 'P', 'A', '{}', "
				     "'x', '2024-05-06T08:00:00.000000+00:00', "
				     "'2024-05-06T08:00:00.000000+00:00')");
	struct tide_dead_letter_list list;
	struct tide_dead_letter_filter filter = { .statuses = { true, true, true }, .limit = -1 };
	assert_ok(CHECKPOINT->dead_letter_list(opened.session, &filter, &list, &err));
	assert_int_equal(list.count, 2);
	assert_int_equal(list.entries[0].id, 1);
	assert_int_equal(list.entries[1].id, 2);
	tide_dead_letters_free(&list);
	struct tide_dead_letter_stats stats;
	assert_ok(CHECKPOINT->dead_letter_stats(opened.session, &stats, &err));
	assert_int_equal(stats.total_failed, 2);
	assert_int_equal(stats.oldest_failure.unix_us, INT64_C(1714982400000000));
	foreign_close(&opened);
}

static void checkpoints_of_other_shapes_are_read(void **state)
{
	struct tide_error err;
	struct opened opened =
		foreign_open(*state, "INSERT INTO projection_checkpoints (projection_name, "
				     "last_event_id, events_processed) VALUES "
				     "('empty', '', 0); INSERT INTO projection_checkpoints "
				     "(projection_name, last_event_id, "
				     "last_event_type, "
				     "last_processed_at, events_processed) VALUES ('old', "
				     "'0190A2B8-0000-7000-8000-000000000001', 'A', "
				     "'2024-05-06T07:08:09', 7)");
	struct tide_checkpoint row;
	assert_ok(CHECKPOINT->load(opened.session, "empty", &row, &err));
	assert_true(tide_uuid_is_nil(&row.last_event_id));
	assert_false(row.has_position);
	assert_ok(CHECKPOINT->load(opened.session, "old", &row, &err));
	assert_false(tide_uuid_is_nil(&row.last_event_id));
	assert_true(row.has_last_processed_at);
	assert_int_equal(row.events_processed, 7);
	foreign_close(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		TEST(an_envelope_is_opened),
		TEST(a_row_that_is_no_event_is_marked_and_the_scan_goes_on),
		TEST(rows_that_no_constraint_kept_out_are_marked),
		TEST(reading_a_foreign_row_twice_gives_the_same_event),
		TEST(instants_of_other_shapes_are_compared_as_instants),
		TEST(dead_letters_of_other_shapes_are_ordered_as_instants),
		TEST(checkpoints_of_other_shapes_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

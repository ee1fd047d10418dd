/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that another library wrote: read as they are, and always the same. */
#include <stdio.h>
#include <string.h>

#include "conformance/cases.h"
#include "conformance/recorder.h"

#define ID(last) "11111111-1111-4111-8111-11111111111" last
#define AGGREGATE "22222222-2222-4222-8222-222222222222"

/* A row without the columns that only Tidemark writes. */
static void put_row(struct fixture *f, const char *id, int version, const char *type,
		    const char *timestamp, const char *payload)
{
	char sql[4096];
	snprintf(sql, sizeof sql,
		 "INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, version, "
		 "timestamp, payload) "
		 "VALUES ('%s', '" AGGREGATE "', 'Order', '%s', %d, '%s', '%s')",
		 id, type, version, timestamp, payload);
	fixture_sql(f, sql);
}

static struct tide_event *found(struct fixture *f, const char *id)
{
	struct tide_uuid event_id;
	must(tide_uuid_parse(id, &event_id, err));
	struct tide_event *event;
	must(tide_store_event(f->store, &event_id, &event, err));
	return event;
}

static void is_uuid(const struct tide_uuid *uuid, const char *text)
{
	char got[TIDE_UUID_TEXT_SIZE];
	assert_string_equal(tide_uuid_format(uuid, got), text);
}

static void envelope_gives_its_base_fields_and_keeps_the_domain_members(struct fixture *f)
{
	put_row(f, ID("1"), 1, "OrderPlaced", "2024-03-01T12:00:00+00:00",
		"{\"event_id\":\"" ID(
			"1") "\",\"event_type\":\"OrderPlaced\",\"event_version\":4,"
			     "\"occurred_at\":\"2024-03-01T12:00:00+00:00\",\"aggregate_id\":"
			     "\"" AGGREGATE "\","
			     "\"aggregate_type\":\"Order\",\"aggregate_version\":1,\"tenant_id\":"
			     "null,\"actor_id\":"
			     "null,"
			     "\"correlation_id\":\"33333333-3333-4333-8333-333333333333\","
			     "\"causation_id\":\"44444444-4444-4444-8444-444444444444\","
			     "\"metadata\":{\"k\":[1,2]},"
			     "\"total\":12.50,\"customer\":{\"name\":\"Zo\\u00eb\"}}");
	struct tide_event *event = found(f, ID("1"));
	assert_int_equal(event->event_version, 4);
	is_uuid(&event->correlation_id, "33333333-3333-4333-8333-333333333333");
	is_uuid(&event->causation_id, "44444444-4444-4444-8444-444444444444");
	same_json(event->metadata, "{\"k\":[1,2]}");
	same_json(event->payload, "{\"total\":12.5,\"customer\":{\"name\":\"Zoë\"}}");
	assert_string_equal(event->event_type.data, "OrderPlaced");
	assert_int_equal(event->version, 1);
	assert_true(event->occurred_at.unix_us == INT64_C(1709294400000000));
	tide_free(event);
}

static void envelope_without_base_fields_has_the_absent_values(struct fixture *f)
{
	put_row(f, ID("1"), 1, "OrderPlaced", "2024-03-01T12:00:00+00:00",
		"{\"event_id\":\"" ID("1") "\",\"total\":1}");
	struct tide_event *event = found(f, ID("1"));
	assert_int_equal(event->event_version, 1);
	assert_true(tide_uuid_is_nil(&event->correlation_id));
	assert_true(tide_uuid_is_nil(&event->causation_id));
	same_json(event->metadata, "{}");
	same_json(event->payload, "{\"total\":1}");
	tide_free(event);
}

static void payload_that_is_no_envelope_is_taken_as_it_is(struct fixture *f)
{
	static const char *const payloads[] = {
		"{\"total\":1,\"event_version\":9,\"metadata\":{\"a\":1}}",
		"{\"event_id\":\"" ID("9") "\",\"total\":1}",
		"[1,2,3]",
		"{\"nested\":{\"event_id\":\"" ID("4") "\"}}",
	};
	static const char *const ids[] = { ID("1"), ID("2"), ID("3"), ID("4") };
	for (int i = 0; i < 4; i++) {
		put_row(f, ids[i], i + 1, "OrderPlaced", "2024-03-01T12:00:00+00:00", payloads[i]);
		struct tide_event *event = found(f, ids[i]);
		same_json(event->payload, payloads[i]);
		same_json(event->metadata, "{}");
		assert_int_equal(event->event_version, 1);
		assert_true(tide_uuid_is_nil(&event->correlation_id));
		tide_free(event);
	}
}

static void foreign_row_is_the_same_at_every_reading(struct fixture *f)
{
	put_row(f, ID("1"), 1, "OrderPlaced", "2024-03-01T12:00:00+00:00", "{\"total\":1}");
	SEEN first = see(f->store, NULL);
	SEEN second = see(f->store, NULL);
	char *a, *b;
	must(tide_event_to_json(first.events[0], &a, err));
	must(tide_event_to_json(second.events[0], &b, err));
	assert_string_equal(a, b);
	tide_free(a);
	tide_free(b);
}

static void foreign_names_are_delivered_as_they_are(struct fixture *f)
{
	put_row(f, ID("1"), 1, "Order placed / été", "2024-03-01T12:00:00+00:00", "{}");
	SEEN seen = see(f->store, NULL);
	assert_string_equal(seen.events[0]->event_type.data, "Order placed / été");
}

static void foreign_instants_are_instants_not_texts(struct fixture *f)
{
	static const char *const texts[] = {
		"2024-03-01T12:00:00Z",
		"2024-03-01 12:00:01",
		"2024-03-01T14:00:02+02:00",
		"2024-03-01T06:00:03.5-06:00",
		"2024-03-01 12:00:04.123456+00:00",
	};
	static const int64_t fractions[] = { 0, 0, 0, 500000, 123456 };
	static const char *const ids[] = { ID("1"), ID("2"), ID("3"), ID("4"), ID("5") };
	const int64_t start = INT64_C(1709294400000000);
	for (int i = 0; i < 5; i++)
		put_row(f, ids[i], i + 1, "A", texts[i], "{}");
	SEEN all = see(f->store, NULL);
	for (int i = 0; i < 5; i++)
		assert_true(all.events[i]->occurred_at.unix_us ==
			    start + i * INT64_C(1000000) + fractions[i]);
	struct tide_time from = { start + 1000000 }, until = { start + 3500000 };
	SEEN some = see(f->store,
			&(struct tide_query){ .occurred_from = &from, .occurred_until = &until });
	saw_versions(&some, 2, 3, 4);
}

static void appends_go_on_behind_foreign_rows(struct fixture *f)
{
	put_row(f, ID("1"), 1, "A", "2024-03-01T12:00:00Z", "{}");
	put_row(f, ID("2"), 2, "A", "2024-03-01T12:00:00Z", "{}");
	struct tide_stream stream = { .aggregate_type = "Order" };
	must(tide_uuid_parse(AGGREGATE, &stream.aggregate_id, err));
	assert_int_equal(version_of(f->store, stream), 2);
	struct tide_new_event events[] = { event_of("B", 1) };
	struct tide_append_result result;
	must(tide_store_append(f->store, APPEND(stream, 2, events), &result, err));
	assert_int_equal(result.version, 3);
	must(tide_uuid_parse(ID("2"), &events[0].event_id, err));
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(stream, 3, events), &result, err));
}

static void additional_columns_are_tolerated(struct fixture *f)
{
	fixture_sql(f, "ALTER TABLE events ADD COLUMN note TEXT");
	fixture_sql(f, "ALTER TABLE projection_checkpoints ADD COLUMN note TEXT");
	fixture_reopen(f);
	append_one(f->store, stream_of("Order", 1), "A");
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, 1);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 1 },
				   err));
}

static void foreign_checkpoint_is_read(struct fixture *f)
{
	fixture_sql(f, "INSERT INTO projection_checkpoints (projection_name, events_processed) "
		       "VALUES ('a', 3)");
	fixture_sql(f, "INSERT INTO projection_checkpoints (projection_name, last_event_id, "
		       "last_event_type, "
		       "last_processed_at, events_processed) "
		       "VALUES ('b', '" ID("1") "', 'A', '2024-03-01 12:00:00', 4)");
	struct tide_checkpoint row;
	must(tide_checkpoints_load(f->checkpoints, "a", &row, err));
	assert_false(row.has_position);
	assert_true(tide_uuid_is_nil(&row.last_event_id));
	assert_int_equal(row.events_processed, 3);
	assert_false(row.has_last_processed_at);
	struct tide_uuid id;
	refused(TIDE_NOT_FOUND, tide_checkpoints_get(f->checkpoints, "a", &id, err));
	must(tide_checkpoints_load(f->checkpoints, "b", &row, err));
	is_uuid(&row.last_event_id, ID("1"));
	assert_true(row.last_processed_at.unix_us == INT64_C(1709294400000000));
	must(tide_checkpoints_save(f->checkpoints, "b", &(struct tide_progress){ .position = 7 },
				   err));
	must(tide_checkpoints_load(f->checkpoints, "b", &row, err));
	assert_int_equal(row.position, 7);
	assert_int_equal(row.events_processed, 4);
	is_uuid(&row.last_event_id, ID("1"));
}

static void foreign_dead_letter_is_listed(struct fixture *f)
{
	fixture_sql(
		f,
		"INSERT INTO dead_letter_queue (event_id, projection_name, event_type, event_data, "
		"error_message, retry_count, first_failed_at, last_failed_at) VALUES ('" ID(
			"1") "', 'p', 'A', "
			     "'{\"event_id\":\"" ID(
				     "1") "\",\"total\":1}', 'boom', 2, '2024-03-01 12:00:00', "
					  "'2024-03-01 12:00:01')");
	struct tide_dead_letter_list found_list = { 0 };
	must(tide_dead_letters_list(f->checkpoints, &(struct tide_dead_letter_query){ 0 },
				    &found_list, err));
	assert_int_equal(found_list.count, 1);
	const struct tide_dead_letter *entry = &found_list.entries[0];
	assert_string_equal(entry->error_message, "boom");
	assert_int_equal(entry->retry_count, 2);
	assert_int_equal(entry->status, TIDE_DEAD_LETTER_FAILED);
	assert_true(entry->first_failed_at.unix_us == INT64_C(1709294400000000));
	assert_null(entry->error_stacktrace);
	int64_t id = entry->id;
	tide_dead_letters_free(&found_list);
	must(tide_dead_letters_resolve(f->checkpoints, id, "me", err));
}

#define OF_ENTRIES 2
#define CORRELATION "33333333-3333-4333-8333-333333333333"

/** What a handler is given of events that only the queue has. */
struct queue_only {
	atomic_int calls;
	struct tide_event seen[2 * OF_ENTRIES];
};

static tide_status refuse_noting(struct recorder *recorder, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct queue_only *queue = recorder->self;
	queue->seen[atomic_load(&queue->calls)] = *event;
	atomic_fetch_add(&queue->calls, 1);
	return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "not yet");
}

static void row_that_is_no_event_ends_a_batch(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 5);
	fixture_sql(f, "UPDATE events SET payload = '{\"n\":' WHERE global_position = 3");
	RECORDER *recorder = recorder_new();
	struct tide_subscriber subscriber = batch_subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	start(manager);
	catch_up(f->store, subscription);
	delivered(recorder, 1, 2, 4, 5);
	assert_int_equal(recorder->calls[0].batch, 2);
	assert_int_equal(recorder->calls[3].batch, 2);
	assert_int_equal(status_of(subscription).events_dlq, 1);
}

static void put_queue_only(struct fixture *f, const char *id, const char *data)
{
	char sql[900];
	snprintf(
		sql, sizeof sql,
		"INSERT INTO dead_letter_queue (event_id, projection_name, event_type, event_data, "
		"error_message, retry_count, first_failed_at, last_failed_at) VALUES ('%s', 'p', "
		"'A', '%s', 'boom', 0, '2024-03-01 12:00:00', '2024-03-01 12:00:01')",
		id, data);
	fixture_sql(f, sql);
}

static bool has_failed(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_get(f->checkpoints, id, &list, err));
	bool is_failed = list.entries[0].status == TIDE_DEAD_LETTER_FAILED;
	tide_dead_letters_free(&list);
	return is_failed;
}

static void retry_all(struct fixture *f, struct queue_only *queue, int calls)
{
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(f->checkpoints,
				    &(struct tide_dead_letter_query){ .oldest_first = true }, &list,
				    err));
	assert_int_equal(list.count, OF_ENTRIES);
	for (size_t i = 0; i < list.count; i++)
		must(tide_dead_letters_retry(f->checkpoints, list.entries[i].id, err));
	wait_for(20, atomic_load(&queue->calls) == calls);
	for (size_t i = 0; i < list.count; i++)
		wait_for(20, has_failed(f, list.entries[i].id));
	tide_dead_letters_free(&list);
}

/* What an entry keeps is what there is: nothing is made up, and each delivery is the same event. */
static void entry_without_its_event_is_delivered_as_it_was_kept(struct fixture *f)
{
	put_queue_only(f, ID("1"),
		       "{\"event_id\":\"" ID("1") "\",\"event_type\":\"A\",\"aggregate_id\":\"" ID(
			       "9") "\",\"aggregate_type\":\"Order\",\"aggregate_version\":1,"
				    "\"occurred_at\":\"2024-03-01T12:00:00Z\",\"correlation_id\":"
				    "\"" CORRELATION "\",\"total\":1}");
	put_queue_only(f, ID("2"),
		       "{\"event_type\":\"A\",\"aggregate_id\":\"" ID(
			       "9") "\","
				    "\"aggregate_type\":\"Order\",\"aggregate_version\":2,"
				    "\"occurred_at\":\"2024-03-01T12:00:01Z\",\"total\":2}");
	RECORDER *recorder = recorder_new();
	struct queue_only queue = { 0 };
	recorder->judge = refuse_noting;
	recorder->self = &queue;
	struct tide_subscriber subscriber = subscriber_of("p", recorder);
	struct tide_subscription_config config = quick_config();
	MANAGER *manager = manager_of(f->store);
	subscribe(manager, &subscriber, &config);
	start(manager);
	retry_all(f, &queue, OF_ENTRIES);
	retry_all(f, &queue, 2 * OF_ENTRIES);
	stop(manager);
	for (int i = 0; i < 2 * OF_ENTRIES; i += OF_ENTRIES) {
		is_uuid(&queue.seen[i].event_id, ID("1"));
		is_uuid(&queue.seen[i].correlation_id, CORRELATION);
		is_uuid(&queue.seen[i + 1].event_id, ID("2"));
		assert_true(tide_uuid_is_nil(&queue.seen[i + 1].correlation_id));
		assert_true(tide_uuid_is_nil(&queue.seen[i + 1].causation_id));
	}
}

/* Five rows, of which the first and the last are events. */
static void read_past_the_undecodable(struct fixture *f, const struct tide_query *query)
{
	const struct tide_event *event;
	struct tide_reader *reader;
	must(tide_store_read(f->store, query, &reader, err));
	for (int position = 1; position <= 5; position++) {
		if (position == 1 || position == 5) {
			must(tide_reader_next(reader, &event, err));
			assert_non_null(event);
			assert_int_equal(event->position, position);
			continue;
		}
		struct tide_error why = refused(TIDE_DECODE, tide_reader_next(reader, &event, err));
		char text[8];
		snprintf(text, sizeof text, "%d", position);
		must_mention(&why, text);
	}

	must(tide_reader_next(reader, &event, err));
	assert_null(event);
	tide_reader_close(reader);
}

/* Rows that no reader can make an event of; native column types refuse them before. */
static void undecodable_row_is_named_and_passed(struct fixture *f)
{
	put_row(f, ID("1"), 1, "A", "2024-03-01T12:00:00Z", "{\"n\":1}");
	put_row(f, ID("2"), 2, "A", "yesterday", "{\"n\":2}");
	put_row(f, ID("3"), 3, "A", "2024-03-01T12:00:00Z", "{\"n\":");
	put_row(f, "no-uuid", 4, "A", "2024-03-01T12:00:00Z", "{\"n\":4}");
	put_row(f, ID("5"), 5, "A", "2024-03-01T12:00:00Z", "{\"n\":5}");
	struct tide_query query = { .of_stream = false };
	read_past_the_undecodable(f, &query);
	query.limit = tide_bound(2); /* of events: a row that is none uses up nothing of it */
	read_past_the_undecodable(f, &query);

	query.of_stream = true;
	query.stream.aggregate_type = "Order";
	must(tide_uuid_parse(AGGREGATE, &query.stream.aggregate_id, err));
	read_past_the_undecodable(f, &query);
	query.limit = (struct tide_bound){ 0 };
	read_past_the_undecodable(f, &query);

	struct tide_uuid id;
	must(tide_uuid_parse(ID("3"), &id, err));
	struct tide_event *event;
	refused(TIDE_DECODE, tide_store_event(f->store, &id, &event, err));
}

/* What waits longest and what is newest are events, not what stands before and behind them. */
static void lag_is_that_of_events_beside_rows_that_are_none(struct fixture *f)
{
	put_row(f, ID("1"), 1, "A", "2024-03-01T12:00:00Z", "{\"n\":1}");
	put_row(f, ID("2"), 2, "A", "yesterday", "{\"n\":2}");
	put_row(f, ID("3"), 3, "A", "2024-03-01T12:00:07Z", "{\"n\":3}");
	put_row(f, "no-uuid", 4, "A", "2024-03-01T12:00:09Z", "{\"n\":4}");
	struct tide_uuid id;
	must(tide_uuid_parse(ID("1"), &id, err));
	struct tide_progress progress = {
		.position = 1, .event_id = &id, .event_type = "A", .count = 1
	};
	must(tide_checkpoints_save(f->checkpoints, "p", &progress, err));

	struct tide_lag lag;
	must(tide_checkpoints_lag(f->checkpoints, "p", NULL, &lag, err));
	is_uuid(&lag.latest_event_id, ID("3"));
	assert_true(lag.event_time_lag_seconds == 7.0);
	assert_int_equal(lag.lag_events, 3);
	must(tide_checkpoints_save(f->checkpoints, "p", &(struct tide_progress){ .position = 3 },
				   err));
	must(tide_checkpoints_lag(f->checkpoints, "p", NULL, &lag, err));
	assert_true(lag.lag_seconds == 0.0);
	assert_int_equal(lag.lag_events, 1);
}

static void uuids_are_read_in_either_case(struct fixture *f)
{
	put_row(f, "AAAAAAAA-1111-4111-8111-11111111111A", 1, "A", "2024-03-01T12:00:00Z", "{}");
	SEEN seen = see(f->store, NULL);
	is_uuid(&seen.events[0]->event_id, "aaaaaaaa-1111-4111-8111-11111111111a");
}

/* ---- Upper case ------------------------------------------------------------------------------ */

#define UPPER(last) "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEE" last
#define UPPER_AGGREGATE "ABCDEFAB-2222-4222-8222-22222222222F"
#define UPPER_TENANT "FEDCBAFE-3333-4333-8333-33333333333A"

static void put_upper(struct fixture *f, const char *id, int version)
{
	char sql[1024];
	snprintf(sql, sizeof sql,
		 "INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, "
		 "tenant_id, version, "
		 "timestamp, payload) VALUES ('%s', '" UPPER_AGGREGATE
		 "', 'Order', 'A', '" UPPER_TENANT "', %d, '2024-03-01T12:00:00Z', '{}')",
		 id, version);
	fixture_sql(f, sql);
}

static struct tide_stream upper_stream(void)
{
	struct tide_stream stream = { .aggregate_type = "Order" };
	must(tide_uuid_parse(UPPER_AGGREGATE, &stream.aggregate_id, err));
	return stream;
}

/* Rows of both spellings are one stream, in the order of its versions, in both directions and
 * behind every bound. */
static void upper_case_rows_and_new_ones_are_one_stream(struct fixture *f)
{
	struct tide_stream stream = upper_stream();
	put_upper(f, UPPER("1"), 1);
	put_upper(f, UPPER("2"), 2);
	assert_int_equal(version_of(f->store, stream), 2);
	struct tide_append_result result;
	struct tide_new_event events[] = { event_of("B", 1), event_of("C", 1) };
	refused(TIDE_CONFLICT,
		tide_store_append(f->store, APPEND(stream, TIDE_NO_STREAM, events), &result, err));
	must(tide_store_append(f->store, APPEND(stream, 2, events), &result, err));
	assert_int_equal(result.version, 4);
	put_upper(f, UPPER("3"), 5);
	assert_int_equal(version_of(f->store, stream), 5);
	for (int backward = 0; backward < 2; backward++) {
		SEEN seen = see(f->store, &(struct tide_query){ .of_stream = true,
								.stream = stream,
								.backward = backward == 1 });
		assert_int_equal(seen.count, 5);
		for (int i = 0; i < 5; i++)
			assert_int_equal(seen.events[i]->version, backward ? 5 - i : i + 1);
	}
	SEEN rest = see(f->store, &(struct tide_query){ .of_stream = true,
							.stream = stream,
							.after = tide_bound(3) });
	assert_int_equal(rest.count, 2);
	assert_int_equal(rest.events[0]->version, 4);
}

static void upper_case_event_ids_are_known(struct fixture *f)
{
	struct tide_stream stream = upper_stream(), other = stream_of("Order", 7);
	put_upper(f, UPPER("1"), 1);
	struct tide_event *event = found(f, UPPER("1"));
	is_uuid(&event->event_id, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeee1");
	tide_free(event);
	struct tide_new_event events[] = { event_of("A", 1) };
	must(tide_uuid_parse(UPPER("1"), &events[0].event_id, err));
	bool exists = false;
	must(tide_store_event_exists(f->store, &events[0].event_id, &exists, err));
	assert_true(exists);
	struct tide_append_result result;
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(f->store, APPEND(other, TIDE_ANY, events), &result, err));
	must(tide_store_append(f->store, APPEND(stream, TIDE_ANY, events), &result, err));
	assert_true(result.was_stored_before);
	assert_int_equal(result.version, 1);
	SEEN seen = see(f->store, NULL);
	assert_int_equal(seen.count, 1);
}

static void upper_case_tenants_are_filtered(struct fixture *f)
{
	put_upper(f, UPPER("1"), 1);
	append_one(f->store, stream_of("Order", 1), "B");
	struct tide_uuid tenant;
	must(tide_uuid_parse(UPPER_TENANT, &tenant, err));
	SEEN seen = see(f->store, &(struct tide_query){ .tenant_id = &tenant });
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.events[0]->event_type.data, "A");
	struct tide_uuid id = upper_stream().aggregate_id;
	SEEN by_id = see(f->store, &(struct tide_query){ .aggregate_id = &id });
	assert_int_equal(by_id.count, 1);
}

static void upper_case_dead_letter_is_the_events(struct fixture *f)
{
	put_upper(f, UPPER("1"), 1);
	fixture_sql(
		f,
		"INSERT INTO dead_letter_queue (event_id, projection_name, event_type, event_data, "
		"error_message, retry_count, first_failed_at, last_failed_at) VALUES ('" UPPER(
			"1") "', 'p', 'A', '{}', 'boom', 2, '2024-03-01 12:00:00', '2024-03-01 "
			     "12:00:01')");
	struct tide_event *event = found(f, UPPER("1"));
	int64_t id;
	must(tide_dead_letters_add(f->checkpoints, "p", event, "again", NULL, 3, &id, err));
	tide_free(event);
	struct tide_dead_letter_list letters = { 0 };
	must(tide_dead_letters_list(f->checkpoints, NULL, &letters, err));
	assert_int_equal(letters.count, 1);
	assert_string_equal(letters.entries[0].error_message, "again");
	assert_int_equal(letters.entries[0].retry_count, 3);
	assert_true(letters.entries[0].first_failed_at.unix_us == INT64_C(1709294400000000));
	tide_dead_letters_free(&letters);
}

static void upper_case_snapshot_is_the_streams(struct fixture *f)
{
	put_upper(f, UPPER("1"), 1);
	put_upper(f, UPPER("2"), 2);
	fixture_sql(f, "INSERT INTO snapshots (aggregate_id, aggregate_type, version, "
		       "schema_version, state, "
		       "created_at) VALUES ('" UPPER_AGGREGATE "', 'Order', 1, 1, '{\"old\":1}', "
		       "'2024-03-01T12:00:00+00:00')");
	struct tide_stream stream = upper_stream();
	struct tide_snapshot snapshot = { 0 };
	must(tide_store_snapshot_load(f->store, stream, &snapshot, err));
	assert_int_equal(snapshot.version, 1);
	tide_free((void *)snapshot.state.data);
	struct tide_snapshot newer = { .stream = stream,
				       .version = 2,
				       .schema_version = 1,
				       .state = tide_text("{\"new\":1}"),
				       .created_at = tide_time_now() };
	must(tide_store_snapshot_save(f->store, &newer, err));
	must(tide_store_snapshot_load(f->store, stream, &snapshot, err));
	assert_int_equal(snapshot.version, 2);
	tide_free((void *)snapshot.state.data);
}

const struct test_case foreign_cases[] = {
	CASE_NEEDS(envelope_gives_its_base_fields_and_keeps_the_domain_members, NEEDS_SQL),
	CASE_NEEDS(envelope_without_base_fields_has_the_absent_values, NEEDS_SQL),
	CASE_NEEDS(payload_that_is_no_envelope_is_taken_as_it_is, NEEDS_SQL),
	CASE_NEEDS(foreign_row_is_the_same_at_every_reading, NEEDS_SQL),
	CASE_NEEDS(foreign_names_are_delivered_as_they_are, NEEDS_SQL),
	CASE_NEEDS(foreign_instants_are_instants_not_texts, NEEDS_SQL),
	CASE_NEEDS(appends_go_on_behind_foreign_rows, NEEDS_SQL),
	CASE_NEEDS(additional_columns_are_tolerated, NEEDS_SQL),
	CASE_NEEDS(foreign_checkpoint_is_read, NEEDS_SQL),
	CASE_NEEDS(foreign_dead_letter_is_listed, NEEDS_SQL),
	CASE_NEEDS(row_that_is_no_event_ends_a_batch, NEEDS_SQL | NEEDS_TEXT_COLUMNS),
	CASE_NEEDS(entry_without_its_event_is_delivered_as_it_was_kept, NEEDS_SQL),
	CASE_NEEDS(undecodable_row_is_named_and_passed, NEEDS_SQL | NEEDS_TEXT_COLUMNS),
	CASE_NEEDS(lag_is_that_of_events_beside_rows_that_are_none, NEEDS_SQL | NEEDS_TEXT_COLUMNS),
	CASE_NEEDS(uuids_are_read_in_either_case, NEEDS_SQL),
	CASE_NEEDS(upper_case_rows_and_new_ones_are_one_stream, NEEDS_SQL),
	CASE_NEEDS(upper_case_event_ids_are_known, NEEDS_SQL),
	CASE_NEEDS(upper_case_tenants_are_filtered, NEEDS_SQL),
	CASE_NEEDS(upper_case_dead_letter_is_the_events, NEEDS_SQL),
	CASE_NEEDS(upper_case_snapshot_is_the_streams, NEEDS_SQL),
	CASES_END,
};

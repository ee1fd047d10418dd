/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>

#include "core/event.h"
#include "core/text.h"
#include "sys/alloc.h"

#define LIMIT 1000
#define ID_A "f47ac10b-58cc-4372-a567-0e02b2c3d479"
#define ID_B "00112233-4455-6677-8899-aabbccddeeff"
#define ID_C "11111111-1111-4111-8111-111111111111"

static void assert_refused(struct tide_new_event event, const char *message)
{
	struct tide_error err;
	char expected[512];
	snprintf(expected, sizeof expected, "event 3: %s", message);
	assert_fails(event_check(&event, 3, LIMIT, &err), TIDE_ARGUMENT, &err, expected);
}

static void a_good_event_passes_its_check(void **state)
{
	(void)state;
	struct tide_time at = { TIDE_TIME_MIN_US };
	struct tide_new_event least = { .event_type = "OrderPlaced" };
	struct tide_new_event most = { .event_type = "Order.Placed_2-x",
				       .payload = tide_text("[1]"),
				       .metadata = tide_text("{\"a\":1}"),
				       .event_version = INT32_MAX,
				       .version = INT32_MAX,
				       .event_id = uuid_of(ID_A),
				       .aggregate_id = uuid_of(ID_B),
				       .aggregate_type = "Order",
				       .occurred_at = &at,
				       .tenant_id = uuid_of(ID_C),
				       .actor_id = "Zo\xc3\xab" };
	assert_int_equal(event_check(&least, 0, LIMIT, NULL), TIDE_OK);
	assert_int_equal(event_check(&most, 0, LIMIT, NULL), TIDE_OK);
}

static void each_wrong_field_is_refused_by_its_name(void **state)
{
	(void)state;
	struct tide_time early = { TIDE_TIME_MIN_US - 1 }, late = { TIDE_TIME_MAX_US + 1 };
	assert_refused((struct tide_new_event){ .event_type = NULL }, "event_type is missing");
	assert_refused((struct tide_new_event){ .event_type = "" }, "event_type is empty");
	assert_refused((struct tide_new_event){ .event_type = "bad name" },
		       "event_type 'bad name' has a character other than A-Z a-z 0-9 _ . -");
	assert_refused((struct tide_new_event){ .event_type = "T", .aggregate_type = "" },
		       "aggregate_type is empty");
	assert_refused((struct tide_new_event){ .event_type = "T", .actor_id = "" },
		       "actor_id is empty");
	assert_refused((struct tide_new_event){ .event_type = "T", .actor_id = "a\x01" },
		       "actor_id 'a ' has a control character");
	assert_refused((struct tide_new_event){ .event_type = "T", .event_version = -1 },
		       "event_version -1 is below 1");
	assert_refused((struct tide_new_event){ .event_type = "T", .version = -1 },
		       "version -1 is below 0");
	assert_refused((struct tide_new_event){ .event_type = "T", .occurred_at = &early },
		       "occurred_at -62135596800000001 us is outside the years 0001 to 9999");
	assert_refused((struct tide_new_event){ .event_type = "T", .occurred_at = &late },
		       "occurred_at 253402300800000000 us is outside the years 0001 to 9999");
	assert_refused((struct tide_new_event){ .event_type = "T", .payload = tide_text("{") },
		       "payload is no JSON: at byte 1, a member's name is missing");
	assert_refused((struct tide_new_event){ .event_type = "T", .payload = tide_text("") },
		       "payload is no JSON: at byte 0, it ends too early");
	assert_refused((struct tide_new_event){ .event_type = "T", .payload = { NULL, 5 } },
		       "payload has a size but no data");
	assert_refused((struct tide_new_event){ .event_type = "T", .metadata = tide_text("[]") },
		       "metadata is no JSON object");
	assert_refused((struct tide_new_event){ .event_type = "T", .metadata = { NULL, 5 } },
		       "metadata has a size but no data");
}

static void the_size_limit_counts_bytes_of_the_text(void **state)
{
	(void)state;
	char text[LIMIT + 2];
	memset(text, ' ', sizeof text);
	text[0] = '{';
	text[1] = '}';
	struct tide_new_event event = { .event_type = "T",
					.payload = { text, LIMIT },
					.metadata = { text, LIMIT } };
	assert_int_equal(event_check(&event, 0, LIMIT, NULL), TIDE_OK);
	event.payload.size++;
	assert_refused(event, "payload of 1001 bytes is over the limit of 1000");
	event.payload.size--;
	event.metadata.size++;
	assert_refused(event, "metadata of 1001 bytes is over the limit of 1000");
}

static void a_stamp_fills_what_is_unset_but_ids_and_keeps_what_is_set(void **state)
{
	(void)state;
	struct tide_stream stream = { uuid_of(ID_B), "Order" };
	struct tide_time now = { 5000 }, at = { 77 };
	struct tide_new_event least = { .event_type = "OrderPlaced" };
	struct tide_event event = event_stamp(&least, stream, now);
	assert_int_equal(event.event_version, 1);
	assert_int_equal(event.version, 0);
	assert_int_equal(event.position, 0);
	assert_true(tide_uuid_is_nil(&event.event_id) && tide_uuid_is_nil(&event.correlation_id));
	assert_true(tide_uuid_equal(&event.aggregate_id, &stream.aggregate_id));
	assert_true(tide_uuid_is_nil(&event.tenant_id) && tide_uuid_is_nil(&event.causation_id));
	assert_true(text_equals(event.aggregate_type, "Order") &&
		    text_equals(event.event_type, "OrderPlaced"));
	assert_true(text_equals(event.payload, "{}") && text_equals(event.metadata, "{}"));
	assert_null(event.actor_id.data);
	assert_int_equal(event.occurred_at.unix_us, 5000);
	struct tide_new_event most = { .event_type = "T",
				       .payload = tide_text("1"),
				       .metadata = tide_text("{\"a\":1}"),
				       .event_version = 3,
				       .version = 9,
				       .event_id = uuid_of(ID_A),
				       .occurred_at = &at,
				       .tenant_id = uuid_of(ID_C),
				       .actor_id = "anna",
				       .correlation_id = uuid_of(ID_B),
				       .causation_id = uuid_of(ID_C) };
	event = event_stamp(&most, stream, now);
	assert_int_equal(event.event_version, 3);
	assert_int_equal(event.version, 9);
	assert_true(tide_uuid_equal(&event.event_id, &most.event_id) &&
		    tide_uuid_equal(&event.correlation_id, &most.correlation_id));
	assert_true(tide_uuid_equal(&event.causation_id, &most.causation_id) &&
		    tide_uuid_equal(&event.tenant_id, &most.tenant_id));
	assert_int_equal(event.occurred_at.unix_us, 77);
	assert_true(text_equals(event.payload, "1") && text_equals(event.actor_id, "anna"));
}

static struct tide_event stored(void)
{
	return (struct tide_event){
		.position = 12,
		.version = 3,
		.event_version = 2,
		.event_id = uuid_of(ID_A),
		.aggregate_id = uuid_of(ID_B),
		.correlation_id = uuid_of(ID_C),
		.event_type = tide_text("OrderPlaced"),
		.aggregate_type = tide_text("Order"),
		.actor_id = tide_text("a\"b"),
		.metadata = tide_text("{\"m\":1}"),
		.payload = tide_text("{\"total\": 5,\n \"x\":\"\\u00e9\"}"),
		.occurred_at = { 1 },
		.stored_at = { 2 },
	};
}

static void derivations_leave_the_original(void **state)
{
	(void)state;
	struct tide_event cause = stored();
	struct tide_new_event plain = { .event_type = "T" },
			      caused = tide_new_event_caused_by(plain, &cause);
	assert_true(tide_uuid_equal(&caused.causation_id, &cause.event_id) &&
		    tide_uuid_equal(&caused.correlation_id, &cause.correlation_id));
	assert_true(tide_uuid_is_nil(&plain.causation_id));
	assert_int_equal(tide_new_event_with_version(plain, 4).version, 4);
	assert_int_equal(plain.version, 0);
	caused.event_id = tide_uuid_v7();
	struct tide_event effect =
		event_stamp(&caused, (struct tide_stream){ cause.aggregate_id, "Order" },
			    (struct tide_time){ 0 });
	assert_true(tide_event_is_caused_by(&effect, &cause) &&
		    !tide_event_is_caused_by(&cause, &effect));
	assert_true(tide_event_is_correlated_with(&effect, &cause));
	effect.correlation_id = cause.correlation_id = (struct tide_uuid){ { 0 } };
	assert_false(tide_event_is_correlated_with(&effect, &cause));
}

static void a_copy_is_one_block_of_its_own(void **state)
{
	(void)state;
	struct tide_event *copy = NULL, event = stored();
	char *payload = strdup("{\"a\":1}");
	event.payload = tide_text(payload);
	event.undecodable = "why";
	ASSERT_SURVIVES_NO_MEMORY(tide_event_copy(&event, &copy, NULL));
	free(payload);
	assert_string_equal(copy->payload.data, "{\"a\":1}");
	assert_string_equal(copy->event_type.data, "OrderPlaced");
	assert_string_equal(copy->actor_id.data, "a\"b");
	assert_string_equal(copy->undecodable, "why");
	assert_int_equal(copy->position, 12);
	tide_free(copy);
	assert_int_equal(tide_event_copy(NULL, &copy, NULL), TIDE_ARGUMENT);
	assert_int_equal(tide_event_copy(&event, NULL, NULL), TIDE_ARGUMENT);
}

static void metadata_is_merged_shallowly_the_second_winning(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second, *merged;
	} cases[] = {
		{ "{}", "{}", "{}" },
		{ NULL, NULL, "{}" },
		{ "{\"a\":1}", NULL, "{\"a\":1}" },
		{ NULL, "{\"a\":1}", "{\"a\":1}" },
		{ "{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", "{\"a\":1,\"b\":3,\"c\":4}" },
		{ "{\"a\":{\"x\":1}}", "{\"a\":{\"y\":2}}", "{\"a\":{\"y\":2}}" },
		{ "{\"\\u0061\":1,\"q\\\"\":[1, 2]}", "{\"a\":null}",
		  "{\"q\\\"\":[1, 2],\"a\":null}" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *merged = NULL;
		ASSERT_SURVIVES_NO_MEMORY(tide_metadata_merge(
			tide_text(cases[i].first), tide_text(cases[i].second), &merged, NULL));
		assert_string_equal(merged, cases[i].merged);
		tide_free(merged);
	}
	struct tide_error err;
	char *merged;
	assert_fails(tide_metadata_merge(tide_text("[]"), tide_text("{}"), &merged, &err),
		     TIDE_ARGUMENT, &err, "metadata is no JSON object");
	assert_int_equal(tide_metadata_merge(tide_text("{}"), tide_text("{"), &merged, NULL),
			 TIDE_ARGUMENT);
	assert_int_equal(tide_metadata_merge(tide_text("{}"), tide_text("{}"), NULL, NULL),
			 TIDE_ARGUMENT);
}

static const char rendered[] =
	"{\"global_position\":12,\"event_id\":\"" ID_A
	"\",\"event_type\":\"OrderPlaced\",\"event_version\":2,"
	"\"occurred_at\":\"1970-01-01T00:00:00.000001+00:00\",\"aggregate_id\":\"" ID_B
	"\",\"aggregate_type\":\"Order\","
	"\"aggregate_version\":3,\"tenant_id\":null,\"actor_id\":\"a\\\"b\",\"correlation_id\":"
	"\"" ID_C "\","
	"\"causation_id\":null,\"metadata\":{\"m\":1},\"payload\":{\"total\": 5,  "
	"\"x\":\"\\u00e9\"},"
	"\"stored_at\":\"1970-01-01T00:00:00.000002+00:00\"}";

static void an_event_is_rendered_on_one_line_in_order(void **state)
{
	(void)state;
	struct tide_event event = stored();
	char *json = NULL;
	ASSERT_SURVIVES_NO_MEMORY(tide_event_to_json(&event, &json, NULL));
	assert_string_equal(json, rendered);
	tide_free(json);
	event.undecodable = "bad JSON";
	event.payload = tide_text("{not json\"");
	assert_int_equal(tide_event_to_json(&event, &json, NULL), TIDE_OK);
	assert_int_equal(json_check(tide_text(json), true, "event", NULL), TIDE_OK);
	assert_non_null(strstr(json, ",\"raw\":\"{not json\\\"\",\"stored_at\":"));
	tide_free(json);
}

static void a_rendered_event_reads_back_the_same(void **state)
{
	(void)state;
	struct event_json read = { .position = 99 };
	ASSERT_SURVIVES_NO_MEMORY(event_read_json(tide_text(rendered), &read, NULL));
	assert_int_equal(read.position, 12);
	assert_int_equal(read.stored_at.unix_us, 2);
	assert_ptr_equal(read.event.occurred_at, &read.occurred_at);
	struct tide_event event = event_stamp(
		&read.event,
		(struct tide_stream){ read.event.aggregate_id, read.event.aggregate_type },
		(struct tide_time){ 9 });
	event.position = read.position;
	event.stored_at = read.stored_at;
	char *json = NULL;
	assert_int_equal(tide_event_to_json(&event, &json, NULL), TIDE_OK);
	assert_string_equal(json, rendered);
	tide_free(json);
	event_json_fini(&read);
	event_json_fini(&read);
}

static void four_members_are_enough(void **state)
{
	(void)state;
	static const char least[] =
		" {\"payload\":null , \"aggregate_type\":\"Or\\u0064er\",\"aggregate_id\":\"" ID_B
		"\",\"event_type\":\"T\",\"tenant_id\":null,"
		"\"event_id\":null,\"metadata\":null,\"occurred_at\":null,\"event_version\":null}";
	struct event_json read;
	assert_int_equal(event_read_json(tide_text(least), &read, NULL), TIDE_OK);
	assert_string_equal(read.event.aggregate_type, "Order");
	assert_string_equal(read.event.event_type, "T");
	assert_true(text_equals(read.event.payload, "null"));
	assert_string_equal(read.event.payload.data, "null");
	assert_null(read.event.metadata.data);
	assert_null(read.event.occurred_at);
	assert_int_equal(read.event.event_version, 0);
	assert_int_equal(read.position, 0);
	event_json_fini(&read);
}

#define BASE "\"aggregate_type\":\"Order\",\"aggregate_id\":\"" ID_B "\",\"event_type\":\"T\""

static void a_wrong_member_is_refused_by_its_name(void **state)
{
	(void)state;
	static const struct {
		const char *json, *message;
	} cases[] = {
		{ "{", "the event is no JSON: at byte 1, a member's name is missing" },
		{ "[]", "the event is no JSON object" },
		{ "{}", "event_type is missing" },
		{ "{" BASE "}", "payload is missing" },
		{ "{" BASE ",\"payload\":{},\"tennant_id\":1}",
		  "'tennant_id' is no member of an event" },
		{ "{" BASE ",\"payload\":{},\"tenant_id\":\"x\"}", "tenant_id \"x\" is no UUID" },
		{ "{" BASE ",\"payload\":{},\"event_id\":5}", "event_id 5 is no UUID" },
		{ "{" BASE ",\"payload\":{},\"event_version\":0}",
		  "event_version 0 is no integer from 1 to 2147483647" },
		{ "{" BASE ",\"payload\":{},\"event_version\":1.5}",
		  "event_version 1.5 is no integer from 1 to 2147483647" },
		{ "{" BASE ",\"payload\":{},\"aggregate_version\":2147483648}",
		  "aggregate_version 2147483648 is no integer from 0 to 2147483647" },
		{ "{" BASE ",\"payload\":{},\"global_position\":-1}",
		  "global_position -1 is no position" },
		{ "{" BASE ",\"payload\":{},\"occurred_at\":\"yesterday\"}",
		  "occurred_at \"yesterday\" is no RFC 3339 instant" },
		{ "{" BASE ",\"payload\":{},\"metadata\":[]}", "metadata [] is no object" },
		{ "{" BASE ",\"payload\":{},\"actor_id\":\"\"}", "actor_id \"\" is empty" },
		{ "{" BASE ",\"payload\":{},\"actor_id\":7}", "actor_id 7 is no string" },
		{ "{\"aggregate_type\":null,\"payload\":1}", "event_type is missing" },
		{ "{\"aggregate_type\":\"O\",\"event_type\":\"T\",\"payload\":1,\"aggregate_id\":"
		  "\"00000000-0000-0000-"
		  "0000-000000000000\"}",
		  "aggregate_id is the nil UUID" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct event_json read;
		struct tide_error err;
		assert_fails(event_read_json(tide_text(cases[i].json), &read, &err), TIDE_ARGUMENT,
			     &err, cases[i].message);
	}
}

static void event_data_of_others_is_read_too(void **state)
{
	(void)state;
	static const struct {
		const char *json, *payload;
	} cases[] = {
		{ "{" BASE ",\"payload\":{\"a\":1}}", "{\"a\":1}" },
		{ "{" BASE "}", "{}" },
		{ "{" BASE ",\"total\":5,\"lines\":[1, 2]}", "{\"total\":5,\"lines\":[1, 2]}" },
		{ "{" BASE ",\"payload\":\"domain\",\"total\":5}",
		  "{\"payload\":\"domain\",\"total\":5}" },
		{ "\"{\\\"aggregate_type\\\":\\\"Order\\\",\\\"aggregate_id\\\":\\\"" ID_B
		  "\\\",\\\"event_type\\\":\\\"T\\\",\\\"total\\\":5}\"",
		  "{\"total\":5}" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct event_json read;
		ASSERT_SURVIVES_NO_MEMORY(event_read_data(tide_text(cases[i].json), &read, NULL));
		assert_string_equal(read.event.aggregate_type, "Order");
		assert_string_equal(read.event.payload.data, cases[i].payload);
		event_json_fini(&read);
	}
	struct event_json read;
	assert_int_equal(event_read_data(tide_text("5"), &read, NULL), TIDE_ARGUMENT);
	assert_int_equal(event_read_data(tide_text("\"5\""), &read, NULL), TIDE_ARGUMENT);
	assert_int_equal(event_read_data(tide_text("{\"total\":5}"), &read, NULL), TIDE_ARGUMENT);
}

/* A row of another library: the columns are set, what they do not have is not. */
static struct tide_event foreign(const char *payload)
{
	struct tide_event event = stored();
	event.event_version = 0;
	event.correlation_id = event.causation_id = (struct tide_uuid){ { 0 } };
	event.metadata = tide_text(NULL);
	event.payload = tide_text(payload);
	return event;
}

/* Bytes that no database of text would take: they are set aside as what they are, escaped. */
static void event_data_of_broken_bytes_is_text(void **state)
{
	(void)state;
	static const char *const payloads[] = { "{\"a\":\"\xff\"}", "\"\xc3", "\"cut off" };
	struct tide_event event = stored();
	for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
		struct event_json read;
		char *json;
		event.payload = tide_text(payloads[i]);
		assert_int_equal(event_write_data(&event, &json, NULL), TIDE_OK);
		assert_int_equal(json_check(tide_text(json), true, "event", NULL), TIDE_OK);
		assert_non_null(strstr(json, ",\"raw\":"));
		assert_int_equal(event_read_data(tide_text(json), &read, NULL), TIDE_OK);
		assert_int_equal(read.position, event.position);
		event_json_fini(&read);
		tide_free(json);
	}
}

static void an_envelope_is_opened(void **state)
{
	(void)state;
	struct buffer scratch = { 0 };
	for (int round = 0; round < 2; round++) {
		struct tide_event event = foreign(
			"{\"event_id\":\"F47AC10B-58CC-4372-A567-0E02B2C3D479\",\"event_type\":"
			"\"Other\","
			"\"event_version\":4,\"occurred_at\":\"x\","
			"\"aggregate_id\":1,\"aggregate_type\":2,\"aggregate_version\":3,\"tenant_"
			"id\":null,"
			"\"actor_id\":\"b\",\"correlation_id\":\"" ID_C "\","
			"\"causation_id\":\"" ID_B "\",\"metadata\":{\"k\": "
			"[1]},\"order_\\u0069d\":7,\"lines\":[{\"event_id\":1}],\"version\":9}");
		assert_int_equal(event_open_envelope(&event, &scratch, NULL), TIDE_OK);
		assert_string_equal(
			event.payload.data,
			"{\"order_\\u0069d\":7,\"lines\":[{\"event_id\":1}],\"version\":9}");
		assert_int_equal(event.payload.size, strlen(event.payload.data));
		assert_string_equal(event.metadata.data, "{\"k\": [1]}");
		assert_int_equal(event.event_version, 4);
		struct tide_uuid correlation = uuid_of(ID_C), causation = uuid_of(ID_B);
		assert_true(tide_uuid_equal(&event.correlation_id, &correlation) &&
			    tide_uuid_equal(&event.causation_id, &causation));
		assert_true(text_equals(event.event_type, "OrderPlaced") &&
			    text_equals(event.actor_id, "a\"b"));
	}
	buffer_fini(&scratch);
}

static void what_an_envelope_lacks_has_its_absent_value(void **state)
{
	(void)state;
	static const struct {
		const char *payload, *domain;
	} cases[] = {
		{ "{\"event_id\":\"" ID_A "\"}", "{}" },
		{ "{\"event_id\":\"" ID_A
		  "\",\"event_version\":null,\"correlation_id\":null,\"metadata\":null,\"a\":1}",
		  "{\"a\":1}" },
		/* another event's id: domain data */
		{ "{\"event_id\":\"" ID_B "\",\"event_version\":7}", NULL },
		{ "{\"event_id\":5,\"correlation_id\":\"x\"}", NULL },
		{ "{\"a\":1}", NULL },
		{ "{}", NULL },
		{ "[{\"event_id\":\"" ID_A "\"}]", NULL },
		{ "null", NULL },
		{ "5", NULL },
		{ "{\"x\":{\"event_id\":\"" ID_A "\"}}", NULL },
	};
	struct buffer scratch = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tide_event event = foreign(cases[i].payload);
		assert_int_equal(event_open_envelope(&event, &scratch, NULL), TIDE_OK);
		assert_string_equal(event.payload.data,
				    cases[i].domain ? cases[i].domain : cases[i].payload);
		assert_string_equal(event.metadata.data, "{}");
		assert_int_equal(event.event_version, 1);
		assert_true(tide_uuid_is_nil(&event.correlation_id) &&
			    tide_uuid_is_nil(&event.causation_id));
	}
	buffer_fini(&scratch);
}

static void a_malformed_envelope_is_a_decode_error_and_leaves_the_event(void **state)
{
	(void)state;
	static const struct {
		const char *payload, *message;
	} cases[] = {
		{ "{\"a\":", "position 12: payload is no JSON: at byte 5, it ends too early" },
		{ "{\"event_id\":\"" ID_A "\",\"event_version\":\"x\"}",
		  "position 12: event_version of the envelope is malformed" },
		{ "{\"event_id\":\"" ID_A "\",\"event_version\":0}",
		  "position 12: event_version of the envelope is malformed" },
		{ "{\"event_id\":\"" ID_A "\",\"correlation_id\":\"x\"}",
		  "position 12: correlation_id of the envelope is malformed" },
		{ "{\"event_id\":\"" ID_A "\",\"causation_id\":1}",
		  "position 12: causation_id of the envelope is malformed" },
		{ "{\"event_id\":\"" ID_A "\",\"metadata\":[]}",
		  "position 12: metadata of the envelope is malformed" },
	};
	struct buffer scratch = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tide_event event = foreign(cases[i].payload);
		struct tide_error err;
		assert_fails(event_open_envelope(&event, &scratch, &err), TIDE_DECODE, &err,
			     cases[i].message);
		assert_ptr_equal(event.payload.data, cases[i].payload);
		assert_int_equal(event.event_version, 0);
	}
	struct tide_event event = foreign("{\"event_id\":\"" ID_A "\",\"a\":1}");
	buffer_fini(&scratch);
	ASSERT_SURVIVES_NO_MEMORY(event_open_envelope(&event, &scratch, NULL));
	assert_string_equal(event.payload.data, "{\"a\":1}");
	buffer_fini(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_event_passes_its_check),
		cmocka_unit_test(each_wrong_field_is_refused_by_its_name),
		cmocka_unit_test(the_size_limit_counts_bytes_of_the_text),
		cmocka_unit_test(a_stamp_fills_what_is_unset_but_ids_and_keeps_what_is_set),
		cmocka_unit_test(derivations_leave_the_original),
		cmocka_unit_test(a_copy_is_one_block_of_its_own),
		cmocka_unit_test(metadata_is_merged_shallowly_the_second_winning),
		cmocka_unit_test(an_event_is_rendered_on_one_line_in_order),
		cmocka_unit_test(a_rendered_event_reads_back_the_same),
		cmocka_unit_test(four_members_are_enough),
		cmocka_unit_test(a_wrong_member_is_refused_by_its_name),
		cmocka_unit_test(event_data_of_others_is_read_too),
		cmocka_unit_test(event_data_of_broken_bytes_is_text),
		cmocka_unit_test(an_envelope_is_opened),
		cmocka_unit_test(what_an_envelope_lacks_has_its_absent_value),
		cmocka_unit_test(a_malformed_envelope_is_a_decode_error_and_leaves_the_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

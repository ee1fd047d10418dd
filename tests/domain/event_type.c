/* SPDX-License-Identifier: Apache-2.0 */
/* Typed events: every kind there and back, what is refused and how it is said, versions, schemas,
 * the registry. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/every.h"
#include "types/fields.h"
#include "lib/build.h"
#include "lib/must.h"
#include "sys/alloc.h"

#define ROUNDS 2000

__attribute__((noinline)) /* gcc 12 takes the result for a pointer to the local otherwise */
static char *
encode(const struct tide_event_type *type, const void *value)
{
	char *json = NULL;
	tide_status status = tide_event_encode(type, value, &json, NULL);
	assert_int_equal(status, TIDE_OK);
	return json;
}

static struct tide_error refuse(const struct tide_event_type *type, const char *json)
{
	struct every every, untouched;
	memset(&every, 0x5a, sizeof every);
	memset(&untouched, 0x5a, sizeof untouched);
	struct tide_error why =
		refused(TIDE_DECODE, tide_payload_decode(type, 1, tide_text(json), &every, err));
	assert_memory_equal(&every, &untouched, sizeof every);
	return why;
}

/** Replace the first occurrence of a piece of a text; heap memory. */
static char *replace(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	assert_non_null(at);
	size_t size = strlen(text) + strlen(new) + 1;
	char *result = malloc(size);
	snprintf(result, size, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return result;
}

static void what_is_encoded_decodes_to_the_same_values(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 7);
	for (int round = 0; round < ROUNDS; round++) {
		struct every before, after;
		every_generate(&before, &random);
		ALLOC_AUTO char *json = encode(every_type, &before);
		must(tide_payload_decode(every_strict_type, 1, tide_text(json), &after, err));
		every_equal(&before, &after);
		ALLOC_AUTO char *again = encode(every_type, &after);
		assert_string_equal(json, again);
		tide_event_type_fini(every_type, &before);
		tide_event_type_fini(every_type, &after);
		assert_null(after.text);
	}
}

static void a_copy_by_table_owns_what_it_holds(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 8);
	for (int round = 0; round < 200; round++) {
		struct every before, copy;
		every_generate(&before, &random);
		must(fields_copy(every_fields, sizeof before, &copy, &before, err));
		every_equal(&before, &copy);
		assert_ptr_not_equal(before.text, copy.text);
		tide_event_type_fini(every_type, &before);
		ALLOC_AUTO char *json = encode(every_type, &copy);
		tide_event_type_fini(every_type, &copy);
	}
}

/** Members in the order of a value's JSON, last first. */
static char *reversed(const char *json)
{
	struct buffer out = { 0 };
	struct tide_text keys[64], values[64];
	size_t count = 0;
	struct json_reader reader;
	json_read(&reader, json, strlen(json));
	struct json_token token = json_next(&reader);
	for (; (token = json_next(&reader)).kind == JSON_KEY; count++) {
		keys[count] = token.text;
		assert_true(json_skip(&reader, token, &values[count]));
	}
	json_open(&out, '{');
	while (count-- > 0) {
		buffer_format(&out, "%s\"%.*s\" : ", out.size > 1 ? "," : "", (int)keys[count].size,
			      keys[count].data);
		buffer_add(&out, values[count].data, values[count].size);
	}
	json_close(&out, '}');
	char *result;
	must(buffer_take(&out, &result, err));
	return result;
}

static void members_are_found_in_any_order_and_the_last_of_a_name_wins(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 9);
	for (int round = 0; round < 100; round++) {
		struct every before, other, after;
		every_generate(&before, &random);
		every_generate(&other, &random);
		ALLOC_AUTO char *json = encode(every_type, &before), *mirrored = reversed(json);
		must(tide_payload_decode(every_type, 1, tide_text(mirrored), &after, err));
		every_equal(&before, &after);
		tide_event_type_fini(every_type, &after);
		before.has_maybe_i64 = false;
		before.maybe_i64 = 0;
		ALLOC_AUTO char *first = encode(every_type, &other),
				*second = encode(every_type, &before);
		ALLOC_AUTO char *both = alloc_format("%.*s,\"maybe_i64\":1,\"maybe_i64\":null,%s",
						     (int)strlen(first) - 1, first, second + 1);
		must(tide_payload_decode(every_type, 1, tide_text(both), &after, err));
		assert_string_equal(after.text, before.text);
		assert_false(after.has_maybe_i64);
		tide_event_type_fini(every_type, &after);
		tide_event_type_fini(every_type, &before);
		tide_event_type_fini(every_type, &other);
	}
}

static const struct part one_part = { (char *)"bolt", 2, "1.50" };

/** A small value whose JSON the cases below change. */
static char *small_json(void)
{
	struct part parts[4] = { one_part, one_part, one_part, { (char *)"nut", 3, "9.99" } };
	struct every every = { .i32 = 7,
			       .text = (char *)"hello",
			       .chars = "short",
			       .decimal = (char *)"3.25",
			       .json = (char *)"[]",
			       .part = one_part,
			       .parts = parts,
			       .part_count = 4 };
	return encode(every_type, &every);
}

static void a_refusal_names_the_path_and_the_value(void **state)
{
	(void)state;
	static const struct {
		const char *old, *new, *message;
	} cases[] = {
		{ "\"i32\":7", "\"i32\":\"abc\"", "$.i32: 'abc' is not an integer" },
		{ "\"i32\":7", "\"i32\":1.5", "$.i32: '1.5' is not an integer" },
		{ "\"i32\":7", "\"i32\":2147483648",
		  "$.i32: '2147483648' is not an integer of 32 bits" },
		{ "\"i32\":7", "\"i32\":null", "$.i32: null is not an integer" },
		{ "\"i32\":7", "\"i32\":{}", "$.i32: an object is not an integer" },
		{ "\"i64\":0", "\"i64\":9223372036854775808",
		  "$.i64: '9223372036854775808' is not an integer" },
		{ "\"u32\":0", "\"u32\":-1", "$.u32: '-1' is not an unsigned integer of 32 bits" },
		{ "\"u64\":0", "\"u64\":-1", "$.u64: '-1' is not an unsigned integer" },
		{ "\"u64\":0", "\"u64\":18446744073709551616", "is not an unsigned integer" },
		{ "\"real\":0", "\"real\":\"x\"", "$.real: 'x' is not a number" },
		{ "\"real\":0", "\"real\":1e999", "$.real: '1e999' is not a number" },
		{ "\"flag\":false", "\"flag\":0", "$.flag: '0' is not true or false" },
		{ "\"hello\"", "12", "'12' is not a string" },
		{ "\"short\"", "\"sixteen bytes ..\"",
		  "$.chars: 'sixteen bytes ..…' is longer than 15 bytes" },
		{ "\"9.99\"", "\"abc\"", "$.parts[3].price: 'abc' is not a decimal number" },
		{ "\"9.99\"", "1e3", "$.parts[3].price: '1e3' is not a decimal number" },
		{ "\"bolt\"", "[]", "$.part.name: an array is not a string" },
		{ "\"color\":\"red\"", "\"color\":\"pink\"",
		  "$.color: 'pink' is not one of red, green, blue" },
		{ "\"id\":\"0", "\"id\":\"x", "is not a UUID" },
		{ "1970-01-01", "1970-13-01",
		  "$.at: '1970-13-01T00:00:00.000000+00:00' is not an instant" },
		{ "\"numbers\":[]", "\"numbers\":{}", "$.numbers: an object is not an array" },
		{ "\"numbers\":[]", "\"numbers\":[1,true]",
		  "$.numbers[1]: 'true' is not an integer" },
		{ "\"i32\":7,", "", "$.i32: is missing" },
		{ "\"count\":3,", "", "$.parts[3].count: is missing" },
		{ "\"i32\":7", "\"i32\":7,\"i33\":8", "$.i33: is not a known member" },
		{ "\"count\":3", "\"count\":3,\"cuont\":4",
		  "$.parts[3].cuont: is not a known member" },
		{ "\"i32\":7", "\"i32\":7,,", "payload is no JSON: at byte" },
		{ "\"i32\":7", "\"i32\":\"\xff\"", "invalid UTF-8" },
	};
	ALLOC_AUTO char *json = small_json();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *changed = replace(json, cases[i].old, cases[i].new);
		struct tide_error why = refuse(every_strict_type, changed);
		must_mention(&why, cases[i].message);
		free(changed);
	}
	refuse(every_type, "");
	refuse(every_type, "[]");
	refuse(every_type, "{\"i32\":7");
}

static void values_that_json_cannot_hold_are_not_encoded(void **state)
{
	(void)state;
	const struct every good = {
		.text = (char *)"", .decimal = (char *)"1", .json = (char *)"1", .part = one_part
	};
	struct part bad_parts[2] = { one_part, { (char *)"x", 1, "1,5" } };
	struct every bad[] = { good, good, good, good, good, good, good, good };
	static const char *const messages[] = { "$.real: 'nan'",
						"$.a \"quoted\" key: is NULL",
						"$.chars: has no NUL within its 16 bytes",
						"$.decimal: 'x' is not a decimal number",
						"$.color: '9' has no name",
						"$.json: the text is no JSON",
						"$.parts[1].price: '1,5' is not a decimal number",
						"is not valid UTF-8" };
	bad[0].real = NAN;
	bad[1].text = NULL;
	memset(bad[2].chars, 'x', sizeof bad[2].chars);
	bad[3].decimal = (char *)"x";
	bad[4].color = 9;
	bad[5].json = (char *)"{";
	bad[6].parts = bad_parts;
	bad[6].part_count = 2;
	bad[7].text = (char *)"\xc3";
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *json = NULL;
		struct tide_error why =
			refused(TIDE_ARGUMENT, tide_event_encode(every_type, &bad[i], &json, err));
		must_mention(&why, messages[i]);
		assert_null(json);
	}
	ALLOC_AUTO char *json = encode(every_type, &good);
	refused(TIDE_ARGUMENT, tide_event_encode(NULL, &good, &json, err));
	refused(TIDE_ARGUMENT, tide_event_encode(every_type, NULL, &json, err));
	refused(TIDE_ARGUMENT, tide_event_encode(every_type, &good, NULL, err));
}

/* ---- Policies, versions ---------------------------------------------------------------------- */

struct price {
	int64_t cents;
	char currency[4];
	char *note;
};
static const struct tide_field price_fields[] = {
	TIDE_FIELD_INT64(struct price, cents),
	TIDE_FIELD_CHARS(struct price, currency),
	TIDE_FIELD_TEXT(struct price, note),
	TIDE_FIELD_END,
};
static const struct price price_defaults = { .currency = "EUR", .note = (char *)"none" };
TIDE_EVENT_TYPE_WITH(price_tolerant, "PriceSet", 1, struct price, price_fields, NULL,
		     TIDE_DEFAULT_MISSING, &price_defaults);

/* version 1 said {"amount": "12.50"}, version 2 {"cents": 1250} */
static tide_status price_upcast_1(struct tide_text payload, char **ret, struct tide_error *err)
{
	double amount;
	if (sscanf(payload.data, "{\"amount\":\"%lf\"}", &amount) != 1)
		return tide_fail(err, TIDE_DECODE, "no amount in '%s'", payload.data);
	*ret = alloc_format("{\"value\":%ld,\"obsolete\":[1,2]}", lround(amount * 100));
	return *ret ? TIDE_OK : alloc_fail(err);
}
static const struct tide_upcast_change price_changes_2[] = {
	TIDE_UPCAST_RENAME("value", "cents"),
	TIDE_UPCAST_REMOVE("obsolete"),
	TIDE_UPCAST_ADD("currency", "\"EUR\""),
	TIDE_UPCAST_ADD("note", "\"from version 2\""),
	TIDE_UPCAST_END,
};
static const struct tide_upcaster price_upcasters[] = {
	{ 1, NULL, price_upcast_1 },
	{ 2, price_changes_2, NULL },
	TIDE_UPCASTER_END,
};
TIDE_EVENT_TYPE_WITH(price_v3, "PriceSet", 3, struct price, price_fields, price_upcasters,
		     TIDE_REFUSE_UNKNOWN, NULL);

static void missing_members_get_their_default_when_the_policy_says_so(void **state)
{
	(void)state;
	struct price price;
	must(tide_payload_decode(&price_tolerant, 1,
				 tide_text("{\"cents\":5,\"unknown\":{\"a\":[]}}"), &price, err));
	assert_int_equal(price.cents, 5);
	assert_string_equal(price.currency, "EUR");
	assert_string_equal(price.note, "none");
	tide_event_type_fini(&price_tolerant, &price);
	must(tide_payload_decode(&price_tolerant, 1, tide_text("{\"note\":\"x\"}"), &price, err));
	assert_int_equal(price.cents, 0);
	assert_string_equal(price.note, "x");
	tide_event_type_fini(&price_tolerant, &price);
}

static void old_payloads_go_through_every_upcaster_between(void **state)
{
	(void)state;
	static const struct {
		int32_t version;
		const char *payload, *note;
	} cases[] = {
		{ 1, "{\"amount\":\"12.50\"}", "from version 2" },
		{ 2, "{\"obsolete\":null,\"value\":1250}", "from version 2" },
		{ 2, "{\"value\":1250,\"note\":\"kept\"}", "kept" },
		{ 3, "{\"cents\":1250,\"currency\":\"EUR\",\"note\":\"\"}", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct price price;
		const struct tide_event event = { .event_type = tide_text("PriceSet"),
						  .event_version = cases[i].version,
						  .payload = tide_text(cases[i].payload) };
		must(tide_event_decode(&price_v3, &event, &price, err));
		assert_int_equal(price.cents, 1250);
		assert_string_equal(price.currency, "EUR");
		assert_string_equal(price.note, cases[i].note);
		tide_event_type_fini(&price_v3, &price);
	}
}

static void versions_that_cannot_be_read_are_refused(void **state)
{
	(void)state;
	struct price price;
	struct tide_event event = { .event_type = tide_text("PriceSet"),
				    .payload = tide_text("{}") };
	event.event_version = 4;
	struct tide_error why =
		refused(TIDE_DECODE, tide_event_decode(&price_v3, &event, &price, err));
	must_mention(&why, "'PriceSet' is known up to version 3, not 4");
	event.event_version = 1;
	why = refused(TIDE_DECODE, tide_event_decode(&price_v3, &event, &price, err));
	must_mention(&why, "no amount in '{}'");
	event.event_version = 2;
	event.payload = tide_text("[]");
	refused(TIDE_DECODE, tide_event_decode(&price_v3, &event, &price, err));
	event.event_type = tide_text("PriceSetTwice");
	why = refused(TIDE_DECODE, tide_event_decode(&price_v3, &event, &price, err));
	must_mention(&why, "'PriceSetTwice' is not 'PriceSet'");
	struct tide_event_type bare = price_v3;
	bare.upcasters = NULL;
	event.event_type = tide_text("PriceSet");
	why = refused(TIDE_DECODE, tide_event_decode(&bare, &event, &price, err));
	must_mention(&why, "'PriceSet' has no upcaster from version 2");
}

/* ---- Schema, print --------------------------------------------------------------------------- */

static void a_schema_says_what_the_table_says(void **state)
{
	(void)state;
	ALLOC_AUTO char *schema = NULL;
	must(tide_event_type_schema(&price_v3, &schema, err));
	same_json(tide_text(schema),
		  "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
		  "schema\",\"title\":\"PriceSet\","
		  "\"$comment\":\"event_version "
		  "3\",\"type\":\"object\",\"properties\":{\"cents\":{\"type\":\"integer\"},"
		  "\"currency\":{\"type\":\"string\",\"maxLength\":3},\"note\":{\"type\":"
		  "\"string\"}},"
		  "\"required\":[\"cents\",\"currency\",\"note\"],\"additionalProperties\":false}");
	ALLOC_AUTO char *whole = NULL;
	must(tide_event_type_schema(every_type, &whole, err));
	must(json_check(tide_text(whole), true, "schema", err));
}

struct node {
	int32_t value;
	struct node *next;
};
static const struct tide_field node_fields[] = {
	TIDE_FIELD_INT32(struct node, value),
	TIDE_FIELD_OPTIONAL_STRUCT(struct node, next, node_fields),
	TIDE_FIELD_END,
};
TIDE_EVENT_TYPE(node_type, "Node", 1, struct node, node_fields);

static void a_table_may_contain_itself(void **state)
{
	(void)state;
	struct node last = { 3, NULL }, middle = { 2, &last }, first = { 1, &middle }, copy;
	ALLOC_AUTO char *json = encode(&node_type, &first);
	assert_string_equal(json, "{\"value\":1,\"next\":{\"value\":2,\"next\":{\"value\":3}}}");
	must(tide_payload_decode(&node_type, 1, tide_text(json), &copy, err));
	assert_int_equal(copy.next->next->value, 3);
	tide_event_type_fini(&node_type, &copy);
	ALLOC_AUTO char *schema = NULL;
	must(tide_event_type_schema(&node_type, &schema, err));
	assert_non_null(strstr(schema, "\"next\":{\"$ref\":\"#\"}"));
}

static void printing_is_one_line_for_people(void **state)
{
	(void)state;
	ALLOC_AUTO char *line = NULL;
	must(tide_event_type_print(&price_v3, &(struct price){ 250, "EUR", (char *)"two\nlines" },
				   &line, err));
	assert_string_equal(line, "PriceSet cents=250 currency=\"EUR\" note=\"two\\nlines\"");
}

/* ---- Registry -------------------------------------------------------------------------------- */

static void a_registry_finds_lists_and_forgets(void **state)
{
	(void)state;
	struct tide_event_types *types;
	const struct tide_event_type *found, **list;
	size_t count;
	must(tide_event_types_open(&types, err));
	struct tide_error why =
		refused(TIDE_NOT_FOUND, tide_event_types_find(types, "PriceSet", &found, err));
	must_mention(&why, "'PriceSet' is not registered; known: none");
	must(tide_event_types_add(types, &price_v3, err));
	must(tide_event_types_add(types, &node_type, err));
	must(tide_event_types_add(types, every_type, err));
	must(tide_event_types_find(types, "Node", &found, err));
	assert_ptr_equal(found, &node_type);
	assert_true(tide_event_types_has(types, "Every"));
	why = refused(TIDE_NOT_FOUND, tide_event_types_find(types, "Nobody", NULL, err));
	must_mention(&why, "known: Every, Node, PriceSet");
	must(tide_event_types_list(types, &list, &count, err));
	assert_int_equal(count, 3);
	assert_string_equal(list[0]->name, "Every");
	assert_string_equal(list[2]->name, "PriceSet");
	tide_free(list);
	assert_true(tide_event_types_remove(types, "Node"));
	assert_false(tide_event_types_remove(types, "Node"));
	assert_int_equal(tide_event_types_size(types), 2);
	tide_event_types_clear(types);
	assert_int_equal(tide_event_types_size(types), 0);
	tide_event_types_close(types);
}

static void the_same_type_twice_is_a_success_and_another_one_is_refused(void **state)
{
	(void)state;
	struct tide_event_types *types;
	struct tide_field copied_fields[4];
	memcpy(copied_fields, price_fields, sizeof price_fields);
	struct tide_event_type copy = price_v3, newer = price_v3, other = price_v3, bad = price_v3;
	copy.fields = copied_fields;
	newer.version = 4;
	other.fields = node_fields;
	bad.name = "no name";
	must(tide_event_types_open(&types, err));
	must(tide_event_types_add(types, &price_v3, err));
	must(tide_event_types_add(types, &price_v3, err));
	must(tide_event_types_add(types, &copy, err));
	refused(TIDE_ALREADY_EXISTS, tide_event_types_add(types, &newer, err));
	refused(TIDE_ALREADY_EXISTS, tide_event_types_add(types, &other, err));
	refused(TIDE_ARGUMENT, tide_event_types_add(types, &bad, err));
	refused(TIDE_ARGUMENT, tide_event_types_add(types, NULL, err));
	assert_int_equal(tide_event_types_size(types), 1);
	tide_event_types_close(types);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void every_failed_allocation_is_survived(void **state)
{
	(void)state;
	struct random random;
	random_seed(&random, 11);
	struct every before;
	every_generate(&before, &random);
	ALLOC_AUTO char *json = encode(every_type, &before);
	tide_status status = TIDE_OUT_OF_MEMORY;
	for (int64_t nth = 1; status == TIDE_OUT_OF_MEMORY; nth++) {
		struct every after;
		char *again = NULL;
		alloc_fail_from(nth);
		status = tide_payload_decode(every_type, 1, tide_text(json), &after, NULL);
		if (status == TIDE_OK) {
			status = tide_event_encode(every_type, &after, &again, NULL);
			tide_event_type_fini(every_type, &after);
		}
		alloc_fail_from(0);
		tide_free(again);
	}
	assert_int_equal(status, TIDE_OK);
	tide_event_type_fini(every_type, &before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_decodes_to_the_same_values),
		cmocka_unit_test(a_copy_by_table_owns_what_it_holds),
		cmocka_unit_test(members_are_found_in_any_order_and_the_last_of_a_name_wins),
		cmocka_unit_test(a_refusal_names_the_path_and_the_value),
		cmocka_unit_test(values_that_json_cannot_hold_are_not_encoded),
		cmocka_unit_test(missing_members_get_their_default_when_the_policy_says_so),
		cmocka_unit_test(old_payloads_go_through_every_upcaster_between),
		cmocka_unit_test(versions_that_cannot_be_read_are_refused),
		cmocka_unit_test(a_schema_says_what_the_table_says),
		cmocka_unit_test(a_table_may_contain_itself),
		cmocka_unit_test(printing_is_one_line_for_people),
		cmocka_unit_test(a_registry_finds_lists_and_forgets),
		cmocka_unit_test(the_same_type_twice_is_a_success_and_another_one_is_refused),
		cmocka_unit_test(every_failed_allocation_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/event.h"
#include "core/json.h"
#include "core/json_fields.h"
#include "json_cases.h"
#include "sys/alloc.h"

/* A copy that ends where the text ends, so that a sanitizer sees every byte read behind it. */
static tide_status check_exact(struct json_case json, bool must_be_object, struct tide_error *err)
{
	char *copy = malloc(json.size + !json.size);
	memcpy(copy, json.text, json.size);
	tide_status status =
		json_check((struct tide_text){ copy, json.size }, must_be_object, "payload", err);
	free(copy);
	return status;
}

static void every_good_text_is_json(void **state)
{
	(void)state;
	struct tide_error err;
	for (size_t i = 0; i < JSON_COUNT(json_good); i++)
		if (check_exact(json_good[i], false, &err) != TIDE_OK)
			fail_msg("%s: %s", json_good[i].text, err.message);
}

static void every_bad_text_is_none(void **state)
{
	(void)state;
	struct tide_error err;
	for (size_t i = 0; i < JSON_COUNT(json_bad); i++)
		if (check_exact(json_bad[i], false, &err) != TIDE_ARGUMENT)
			fail_msg("case %zu passes: %s", i, json_bad[i].text);
}

static void every_beginning_of_a_good_text_is_none(void **state)
{
	(void)state;
	static const char whole[] = "{\"a\":[1.5e3,\"x\\u00e9\\ud83d\\ude00\xc3\xa9\",null,true,"
				    "false],\"b\":{\"c\":[]}}";
	for (size_t size = 0; size < sizeof whole - 1; size++)
		assert_int_equal(check_exact((struct json_case){ whole, size }, false, NULL),
				 TIDE_ARGUMENT);
	assert_int_equal(check_exact((struct json_case){ whole, sizeof whole - 1 }, false, NULL),
			 TIDE_OK);
}

static void bad_texts_stay_bad_inside_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < JSON_COUNT(json_bad); i++) {
		struct buffer buffer = { 0 };
		buffer_add(&buffer, "[{\"key\":\"12345678901234567890\",\"x\":\"", 36);
		for (size_t j = 0; j < json_bad[i].size; j++)
			buffer_add(&buffer, "\\u0020", 6);
		buffer_add(&buffer, "\",\"bad\":", 8);
		buffer_add(&buffer, json_bad[i].text, json_bad[i].size);
		assert_int_equal(json_check((struct tide_text){ buffer.data, buffer.size }, false,
					    "x", NULL),
				 TIDE_ARGUMENT);
		buffer_fini(&buffer);
	}
}

static void nesting_ends_at_512(void **state)
{
	(void)state;
	static const struct {
		const char *open, *close;
	} kinds[] = { { "[", "]" }, { "{\"a\":", "}" }, { "[{\"a\":", "}]" } };
	for (size_t kind = 0; kind < JSON_COUNT(kinds); kind++) {
		for (int depth = 510; depth <= 514; depth++) {
			int levels = kind == 2 ? 2 : 1;
			if (depth % levels)
				continue;
			struct buffer buffer = { 0 };
			for (int i = 0; i < depth / levels; i++)
				buffer_add(&buffer, kinds[kind].open, strlen(kinds[kind].open));
			if (kind != 0)
				buffer_add(&buffer, "1", 1);
			for (int i = 0; i < depth / levels; i++)
				buffer_add(&buffer, kinds[kind].close, strlen(kinds[kind].close));
			assert_int_equal(json_check(tide_text(buffer.data), false, "payload", NULL),
					 depth <= 512 ? TIDE_OK : TIDE_ARGUMENT);
			buffer_fini(&buffer);
		}
	}
}

/* What holds a payload is deeper than it. */
static void an_event_around_the_deepest_payload_is_read(void **state)
{
	(void)state;
	struct buffer buffer = { 0 };
	struct event_json event;
	struct tide_error err;
	static const char head[] = "{\"event_type\":\"A\",\"aggregate_type\":\"T\",\"aggregate_"
				   "id\":\"name:1\",\"payload\":";
	for (int depth = 512; depth <= 513; depth++) {
		buffer_add(&buffer, head, strlen(head));
		for (int i = 0; i < 2 * depth; i++)
			buffer_add(&buffer, i < depth ? "[" : "]", 1);
		buffer_add(&buffer, "}", 1);
		assert_int_equal(event_read_json((struct tide_text){ buffer.data, buffer.size },
						 &event, &err),
				 TIDE_OK);
		assert_int_equal(event_check(&event.event, 0, 1 << 20, &err),
				 depth == 512 ? TIDE_OK : TIDE_ARGUMENT);
		event_json_fini(&event);
		buffer_fini(&buffer);
		buffer = (struct buffer){ 0 };
	}
}

static void a_message_names_the_field_the_place_and_the_problem(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "payload is no JSON: at byte 0, it ends too early" },
		{ "{\"a\":1,}", "payload is no JSON: at byte 7, a member's name is missing" },
		{ "{\"a\" 1}", "payload is no JSON: at byte 5, a colon is missing" },
		{ "[1 2]", "payload is no JSON: at byte 3, a comma or ] is missing" },
		{ "{\"a\":1 2}", "payload is no JSON: at byte 7, a comma or } is missing" },
		{ "[01]", "payload is no JSON: at byte 1, a number with a leading zero" },
		{ "\"a\\u0000\"",
		  "payload is no JSON: at byte 2, \\u0000, which not every store can hold" },
		{ "\"\\ud800\"", "payload is no JSON: at byte 1, half a surrogate pair" },
		{ "\"abc\xff\"", "payload is no JSON: at byte 4, invalid UTF-8" },
		{ "\"a\nb\"", "payload is no JSON: at byte 2, a control character in a string" },
		{ "\"abc", "payload is no JSON: at byte 4, a string without end" },
		{ "{} {}", "payload is no JSON: at byte 3, something follows the value" },
		{ "[nope]", "payload is no JSON: at byte 1, a value is missing" },
	};
	for (size_t i = 0; i < JSON_COUNT(cases); i++) {
		struct tide_error err;
		assert_fails(json_check(tide_text(cases[i].text), false, "payload", &err),
			     TIDE_ARGUMENT, &err, cases[i].message);
	}
}

static void an_object_is_asked_for_by_its_name(void **state)
{
	(void)state;
	struct tide_error err;
	assert_int_equal(json_check(tide_text(" {\"a\":[]} "), true, "metadata", NULL), TIDE_OK);
	assert_fails(json_check(tide_text("[{}]"), true, "metadata", &err), TIDE_ARGUMENT, &err,
		     "metadata is no JSON object");
	assert_int_equal(json_check(tide_text("null"), true, "metadata", NULL), TIDE_ARGUMENT);
}

static void tokens_come_in_order_with_their_raw_text(void **state)
{
	(void)state;
	static const char text[] = " { \"a\\n\" : [ -1.5e3 , \"x\" , true ] , \"b\" : null } ";
	static const struct {
		enum json_kind kind;
		const char *raw;
	} expected[] = {
		{ JSON_OBJECT, "{" },      { JSON_KEY, "a\\n" }, { JSON_ARRAY, "[" },
		{ JSON_NUMBER, "-1.5e3" }, { JSON_STRING, "x" }, { JSON_TRUE, "true" },
		{ JSON_ARRAY_END, "]" },   { JSON_KEY, "b" },    { JSON_NULL, "null" },
		{ JSON_OBJECT_END, "}" },
	};
	struct json_reader reader;
	json_read(&reader, text, sizeof text - 1);
	for (size_t i = 0; i < JSON_COUNT(expected); i++) {
		struct json_token token = json_next(&reader);
		assert_int_equal(token.kind, expected[i].kind);
		assert_int_equal(token.text.size, strlen(expected[i].raw));
		assert_memory_equal(token.text.data, expected[i].raw, token.text.size);
		assert_int_equal(token.has_escapes, i == 1);
	}
	assert_int_equal(json_next(&reader).kind, JSON_END);
	assert_int_equal(json_next(&reader).kind, JSON_END);
}

static void an_error_stays(void **state)
{
	(void)state;
	struct json_reader reader;
	json_read(&reader, "[x, 1]", 6);
	assert_int_equal(json_next(&reader).kind, JSON_ARRAY);
	for (int i = 0; i < 5; i++)
		assert_int_equal(json_next(&reader).kind, JSON_ERROR);
	assert_string_equal(reader.problem, "a value is missing");
}

static void skip_passes_one_value_and_tells_its_text(void **state)
{
	(void)state;
	static const char text[] =
		"{\"a\": [1, {\"b\": \"]\"}] , \"c\" : \"x\\\"y\", \"d\": 12, \"e\":{}}";
	static const char *const raws[] = { "[1, {\"b\": \"]\"}]", "\"x\\\"y\"", "12", "{}" };
	for (int by_key = 0; by_key < 2; by_key++) {
		struct json_reader reader;
		json_read(&reader, text, sizeof text - 1);
		json_next(&reader);
		for (size_t i = 0; i < JSON_COUNT(raws); i++) {
			struct json_token key = json_next(&reader);
			struct tide_text raw;
			assert_int_equal(key.kind, JSON_KEY);
			assert_true(json_skip(&reader, by_key ? key : json_next(&reader), &raw));
			assert_int_equal(raw.size, strlen(raws[i]));
			assert_memory_equal(raw.data, raws[i], raw.size);
		}
		assert_int_equal(json_next(&reader).kind, JSON_OBJECT_END);
		assert_int_equal(json_next(&reader).kind, JSON_END);
	}
	struct json_reader reader;
	json_read(&reader, "[[1, x]]", 8);
	json_next(&reader);
	assert_false(json_skip(&reader, json_next(&reader), NULL));
}

static struct json_token token_of(const char *text)
{
	struct json_reader reader;
	json_read(&reader, text, strlen(text));
	return json_next(&reader);
}

static void escapes_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *json, *decoded;
	} cases[] = {
		{ "\"\"", "" },
		{ "\"plain\"", "plain" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!" },
		{ "\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf" },
		{ "\"x\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
		  "x\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" },
	};
	for (size_t i = 0; i < JSON_COUNT(cases); i++) {
		struct json_token token = token_of(cases[i].json);
		char buffer[64];
		assert_int_equal(json_unescape(&token, buffer), strlen(cases[i].decoded));
		assert_string_equal(buffer, cases[i].decoded);
		assert_true(json_equals(&token, cases[i].decoded));
		char longer[80];
		snprintf(longer, sizeof longer, "%s.", cases[i].decoded);
		assert_false(json_equals(&token, longer));
		longer[strlen(cases[i].decoded) ? strlen(cases[i].decoded) - 1 : 0] = '\0';
		assert_int_equal(json_equals(&token, longer), strlen(cases[i].decoded) == 0);
	}
}

static void integers_are_read_when_they_are_integers_in_range(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_good;
		int64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "7", true, 7 },
		{ "-7", true, -7 },
		{ "9007199254740993", true, INT64_C(9007199254740993) },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "\"1\"", false, 0 },
		{ "true", false, 0 },
	};
	for (size_t i = 0; i < JSON_COUNT(cases); i++) {
		struct json_token token = token_of(cases[i].text);
		int64_t value = 42;
		assert_int_equal(json_int(&token, &value), cases[i].is_good);
		assert_int_equal(value, cases[i].is_good ? cases[i].value : 42);
	}
}

static void doubles_are_read_when_finite(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_good;
		double value;
	} cases[] = {
		{ "0", true, 0 },
		{ "1.5", true, 1.5 },
		{ "-2.5e-3", true, -2.5e-3 },
		{ "1e308", true, 1e308 },
		{ "1e309", false, 0 },
		{ "-1e400", false, 0 },
		{ "1e-400", true, 0 },
		{ "0.1", true, 0.1 },
		{ "123456789012345678", true, 123456789012345678.0 },
		{ "null", false, 0 },
	};
	for (size_t i = 0; i < JSON_COUNT(cases); i++) {
		struct json_token token = token_of(cases[i].text);
		double value = 42;
		assert_int_equal(json_double(&token, &value), cases[i].is_good);
		assert_true(value == (cases[i].is_good ? cases[i].value : 42));
	}
}

static void writing_puts_commas_where_they_belong(void **state)
{
	(void)state;
	struct buffer buffer = { 0 };
	struct tide_uuid nil = { { 0 } }, uuid = uuid_of("00112233-4455-6677-8899-AABBCCDDEEFF");
	json_open(&buffer, '{');
	json_key(&buffer, "list");
	json_open(&buffer, '[');
	json_integer(&buffer, INT64_MIN);
	json_open(&buffer, '{');
	json_close(&buffer, '}');
	json_open(&buffer, '[');
	json_close(&buffer, ']');
	json_bool(&buffer, true);
	json_bool(&buffer, false);
	json_null(&buffer);
	json_raw(&buffer, tide_text("{\"raw\":\n1} \r\n\t"));
	json_raw(&buffer, tide_text(NULL));
	json_close(&buffer, ']');
	json_key(&buffer, "id");
	json_uuid(&buffer, &uuid);
	json_key(&buffer, "none");
	json_uuid(&buffer, &nil);
	json_key(&buffer, "at");
	json_time(&buffer, (struct tide_time){ 0 });
	json_key(&buffer, "s:{");
	json_string(&buffer, NULL);
	json_key(&buffer, "t");
	json_string(&buffer, "[,{:");
	json_close(&buffer, '}');
	char *text = NULL;
	assert_int_equal(buffer_take(&buffer, &text, NULL), TIDE_OK);
	assert_string_equal(
		text, "{\"list\":[-9223372036854775808,{},[],true,false,null,{\"raw\": 1},null],"
		      "\"id\":\"00112233-4455-6677-8899-aabbccddeeff\",\"none\":null,"
		      "\"at\":\"1970-01-01T00:00:00.000000+00:00\",\"s:{\":null,\"t\":\"[,{:\"}");
	tide_free(text);
}

static void every_text_is_written_as_json_that_reads_back(void **state)
{
	(void)state;
	for (int first = 1; first < 256; first++) {
		char text[] = { 'a', (char)first, 'b', '\0' }, back[32];
		struct buffer buffer = { 0 };
		json_string(&buffer, text);
		assert_int_equal(json_check((struct tide_text){ buffer.data, buffer.size }, false,
					    "text", NULL),
				 TIDE_OK);
		struct json_token token = token_of(buffer.data);
		json_unescape(&token, back);
		assert_string_equal(back, first < 0x80 ? text
						       : "a\xef\xbf\xbd"
							 "b");
		buffer_fini(&buffer);
	}
}

static void assert_number(double value, int decimals, const char *expected)
{
	struct buffer buffer = { 0 };
	json_number(&buffer, value, decimals);
	assert_string_equal(buffer.data, expected);
	buffer_fini(&buffer);
}

static void numbers_are_written_short_or_with_their_decimals(void **state)
{
	(void)state;
	assert_number(0.1, -1, "0.1");
	assert_number(5, -1, "5");
	assert_number(1.0 / 3, -1, "0.3333333333333333");
	assert_number(5e-324, -1, "4.94065645841247e-324");
	assert_number(1e300, -1, "1e+300");
	assert_number(0.30000000000000004, -1, "0.30000000000000004");
	assert_number(1, 4, "1.0000");
	assert_number(0.66666, 4, "0.6667");
	assert_number(NAN, -1, "null");
	assert_number(INFINITY, 2, "null");
	struct buffer buffer = { 0 };
	json_number(&buffer, -DBL_MAX, 2);
	assert_int_equal(
		json_check((struct tide_text){ buffer.data, buffer.size }, false, "number", NULL),
		TIDE_OK);
	buffer_fini(&buffer);
}

static void the_locale_of_the_program_changes_nothing(void **state)
{
	(void)state;
	if (!setlocale(LC_ALL, "de_DE.UTF-8"))
		print_message("no de_DE.UTF-8 here\n");
	assert_number(0.5, -1, "0.5");
	assert_number(0.5, 2, "0.50");
	struct json_token token = token_of("0.5");
	double value = 0;
	assert_true(json_double(&token, &value) && value == 0.5);
	setlocale(LC_ALL, "C");
}

static void a_buffer_without_memory_stays_failed(void **state)
{
	(void)state;
	struct buffer buffer = { 0 };
	struct tide_error err;
	char *text = (char *)"before";
	json_open(&buffer, '[');
	alloc_fail_from(1);
	char big[1000] = { 0 };
	buffer_add(&buffer, big, sizeof big);
	alloc_fail_from(0);
	assert_true(buffer.failed);
	json_integer(&buffer, 1);
	json_raw(&buffer, tide_text("[1]"));
	assert_int_equal(buffer.size, 1);
	assert_fails(buffer_take(&buffer, &text, &err), TIDE_OUT_OF_MEMORY, &err, "out of memory");
	assert_string_equal(text, "before");
	assert_null(buffer.data);
}

static void an_empty_buffer_is_taken_as_an_empty_text(void **state)
{
	(void)state;
	struct buffer buffer = { 0 };
	char *text = NULL;
	assert_int_equal(buffer_take(&buffer, &text, NULL), TIDE_OK);
	assert_string_equal(text, "");
	tide_free(text);
}

/* ---- Structs --------------------------------------------------------------------------------- */

struct told {
	int64_t integer;
	bool is_set;
	int32_t small;
	uint32_t positive;
	size_t size;
	double real;
	char chars[8], words[8];
	const char *text;
	tide_status name;
	struct tide_time time;
	struct tide_uuid uuid;
	struct tide_error error;
};

static const char *told_name(int value)
{
	return tide_status_name((tide_status)value);
}

static bool told_is_small(const void *object)
{
	return ((const struct told *)object)->small < 0;
}

/* clang-format off */
#define AT(member) .place = offsetof(struct told, member)
#define KNOWN(member) .known = offsetof(struct told, member)
static const struct json_field told_fields[] = {
	{ "flag",    JSON_FIELD_FLAG,     AT(is_set) },
	{ "integer", JSON_FIELD_INTEGER,  AT(integer), KNOWN(is_set) },
	{ "small",   JSON_FIELD_SMALL,    AT(small), .is_known = told_is_small },
	{ "uint",    JSON_FIELD_UNSIGNED, AT(positive) },
	{ "size",    JSON_FIELD_SIZE,     AT(size) },
	{ "real",    JSON_FIELD_REAL,     AT(real), .decimals = 2 },
	{ "chars",   JSON_FIELD_CHARS,    AT(chars) },
	{ "words",   JSON_FIELD_WORDS,    AT(words) },
	{ "text",    JSON_FIELD_TEXT,     AT(text) },
	{ "name",    JSON_FIELD_NAME,     AT(name), .name = told_name },
	{ "time",    JSON_FIELD_TIME,     AT(time) },
	{ "uuid",    JSON_FIELD_UUID,     AT(uuid) },
	{ "error",   JSON_FIELD_ERROR,    AT(error) },
};
#undef KNOWN
#undef AT
/* clang-format on */

static void told_as(const struct told *told, const char *expected)
{
	char *text;
	struct tide_error err;
	assert_int_equal(json_fields_text(JSON_FIELDS(told_fields), told, &text, &err), TIDE_OK);
	assert_string_equal(text, expected);
	tide_free(text);
}

static void a_struct_is_written_by_the_table_of_its_members(void **state)
{
	(void)state;
	struct told told = { 0 };
	told_as(&told, "{\"flag\":false,\"integer\":null,\"small\":null,\"uint\":0,\"size\":0,"
		       "\"real\":0.00,\"chars\":\"\",\"words\":null,\"text\":null,"
		       "\"name\":\"ok\",\"time\":\"1970-01-01T00:00:00.000000+00:00\","
		       "\"uuid\":null,\"error\":null}");
	told = (struct told){ INT64_MIN, true, INT32_MIN, UINT32_MAX, 7,         1.5,  "a",
			      "b",       "c",  TIDE_BUSY, { 1 },      { { 1 } }, { 0 } };
	tide_fail(&told.error, TIDE_BUSY, "%s", "away");
	told_as(&told, "{\"flag\":true,\"integer\":-9223372036854775808,\"small\":-2147483648,"
		       "\"uint\":4294967295,\"size\":7,\"real\":1.50,\"chars\":\"a\","
		       "\"words\":\"b\",\"text\":\"c\",\"name\":\"busy\","
		       "\"time\":\"1970-01-01T00:00:00.000001+00:00\","
		       "\"uuid\":\"01000000-0000-0000-0000-000000000000\",\"error\":\"away\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_good_text_is_json),
		cmocka_unit_test(every_bad_text_is_none),
		cmocka_unit_test(every_beginning_of_a_good_text_is_none),
		cmocka_unit_test(bad_texts_stay_bad_inside_others),
		cmocka_unit_test(nesting_ends_at_512),
		cmocka_unit_test(an_event_around_the_deepest_payload_is_read),
		cmocka_unit_test(a_message_names_the_field_the_place_and_the_problem),
		cmocka_unit_test(an_object_is_asked_for_by_its_name),
		cmocka_unit_test(tokens_come_in_order_with_their_raw_text),
		cmocka_unit_test(an_error_stays),
		cmocka_unit_test(skip_passes_one_value_and_tells_its_text),
		cmocka_unit_test(escapes_are_decoded),
		cmocka_unit_test(integers_are_read_when_they_are_integers_in_range),
		cmocka_unit_test(doubles_are_read_when_finite),
		cmocka_unit_test(writing_puts_commas_where_they_belong),
		cmocka_unit_test(every_text_is_written_as_json_that_reads_back),
		cmocka_unit_test(numbers_are_written_short_or_with_their_decimals),
		cmocka_unit_test(the_locale_of_the_program_changes_nothing),
		cmocka_unit_test(a_struct_is_written_by_the_table_of_its_members),
		cmocka_unit_test(a_buffer_without_memory_stays_failed),
		cmocka_unit_test(an_empty_buffer_is_taken_as_an_empty_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

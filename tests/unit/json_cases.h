/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_CASES_H
#define JSON_CASES_H

/* Texts that are JSON and texts that are none, by the grammar of RFC 8259 and the limits of
 * core/json.h. */

/** One text; a size because a text may hold a NUL. */
struct json_case {
	const char *text;
	size_t size;
};

/* clang-format off */
#define CASE(text) { text, sizeof(text) - 1 }

static const struct json_case json_good[] = {
	/* values by themselves, white space */
	CASE("null"), CASE("true"), CASE("false"), CASE("0"), CASE("\"\""), CASE("[]"), CASE("{}"),
	CASE(" null"), CASE("null "), CASE("\t\n\r null \t\n\r"), CASE("[ ]"), CASE("{ }"), CASE(" [ 1 , 2 ] "),
	CASE(" { \"a\" : 1 , \"b\" : 2 } "), CASE("\n{\n\"a\"\n:\n1\n}\n"),
	/* numbers */
	CASE("-0"), CASE("1"), CASE("-1"), CASE("10"), CASE("1234567890"), CASE("0.0"), CASE("-0.5"), CASE("1.25"), CASE("0.001"),
	CASE("1e1"), CASE("1E1"), CASE("1e+1"), CASE("1e-1"), CASE("0e0"), CASE("0E+00"), CASE("1.5e300"), CASE("-1.5E-300"), CASE("1e400"),
	CASE("123456789012345678901234567890"), CASE("0.1234567890123456789012345678901234567890"), CASE("9007199254740993"),
	CASE("9223372036854775807"), CASE("-9223372036854775808"), CASE("[0]"), CASE("[-0]"), CASE("[1,2.0,3e0]"), CASE("1e00"),
	/* strings */
	CASE("\"a\""), CASE("\"\\\"\""), CASE("\"\\\\\""), CASE("\"\\/\""), CASE("\"/\""), CASE("\"\\b\\f\\n\\r\\t\""), CASE("\"\\u0001\""),
	CASE("\"\\u0041\""), CASE("\"\\u00e9\""), CASE("\"\\u00E9\""), CASE("\"\\u20ac\""), CASE("\"\\uFFFF\""), CASE("\"\\uFFFE\""),
	CASE("\"\\ud83d\\ude00\""), CASE("\"\\uD800\\uDC00\""), CASE("\"\\uDBFF\\uDFFF\""), CASE("\"\\ud7ff\""), CASE("\"\\ue000\""),
	CASE("\"\x7f\""), CASE("\"\xc3\xa9\""), CASE("\"\xe2\x82\xac\""), CASE("\"\xf0\x9f\x98\x80\""), CASE("\"\xf4\x8f\xbf\xbf\""),
	CASE("\"\xed\x9f\xbf\""), CASE("\"\xee\x80\x80\""), CASE("\"\xef\xbf\xbf\""), CASE("\"\xe2\x80\xa8\xe2\x80\xa9\""), CASE("\"\xef\xbb\xbf\""),
	CASE("\"12345678\""), CASE("\"1234567\xc3\xa9\""), CASE("\"123456\xc3\xa9\""), CASE("\"12345678\\n12345678\""), CASE("\"'\""), CASE("\"[1]\""),
	CASE("\"\\\\u0000\""), CASE("\"\\\\\\\"\""), CASE("\"a\\u0022b\""), CASE("\"   \""), CASE("\"{}[],:\""),
	/* arrays and objects */
	CASE("[1]"), CASE("[1,2]"), CASE("[[]]"), CASE("[[],[]]"), CASE("[{}]"), CASE("[null,true,false,0,\"\",[],{}]"), CASE("{\"\":0}"),
	CASE("{\"a\":{}}"), CASE("{\"a\":[]}"), CASE("{\"a\":{\"b\":{\"c\":[1,{\"d\":null}]}}}"), CASE("{\"a\":1,\"a\":2}"),
	CASE("{\"a\":1,\"b\":2,\"c\":3}"), CASE("{\"\\u0061\":1}"), CASE("{\"\xc3\xa9\":1}"), CASE("[[[[[[[[[[]]]]]]]]]]"), CASE("[\"]\"]"), CASE("{\"}\":\"{\"}"),
};

static const struct json_case json_bad[] = {
	/* nothing, or more than one value */
	CASE(""), CASE(" "), CASE("\n"), CASE("1 2"), CASE("null null"), CASE("{}{}"), CASE("[][]"), CASE("{} x"), CASE("1,"), CASE(",1"), CASE("\"a\" \"b\""),
	CASE("[]]"), CASE("{}}"), CASE("[1]1"), CASE("null\0"), CASE("\0"), CASE("1\0"), CASE("\0null"), CASE("[\0]"), CASE("\xef\xbb\xbf{}"), CASE("{}\xef\xbb\xbf"),
	/* words */
	CASE("nul"), CASE("nulll"), CASE("Null"), CASE("NULL"), CASE("tru"), CASE("True"), CASE("fals"), CASE("falsee"), CASE("undefined"), CASE("NaN"), CASE("Infinity"),
	CASE("-Infinity"), CASE("-NaN"), CASE("nan"), CASE("inf"), CASE("x"), CASE("*"), CASE("<null>"), CASE("a\xc3\xa9"), CASE("\xc3\xa9"), CASE("'a'"), CASE("`a`"), CASE("[nul"), CASE("t"),
	/* numbers */
	CASE("-"), CASE("+1"), CASE("01"), CASE("-01"), CASE("00"), CASE("012"), CASE("1."), CASE(".5"), CASE("-.5"), CASE("1.e1"), CASE("1e"), CASE("1e+"), CASE("1e-"), CASE("1E+ 1"),
	CASE("0x1"), CASE("1a"), CASE("1_000"), CASE("- 1"), CASE("--1"), CASE("1.2.3"), CASE("1e1.5"), CASE("1ee1"), CASE("0e"), CASE("0.e1"), CASE("[1.]"), CASE("[-]"), CASE("1 000"),
	CASE("\xef\xbc\x91"), CASE("1e1e1"), CASE("2.e3"), CASE("-a"), CASE("0.3e+"), CASE("[0e]"), CASE("[+1]"), CASE("[-2.]"), CASE("{\"a\":01}"),
	/* strings */
	CASE("\""), CASE("\"a"), CASE("a\""), CASE("\"\\\""), CASE("\"\\"), CASE("\"\\x41\""), CASE("\"\\a\""), CASE("\"\\v\""), CASE("\"\\'\""), CASE("\"\\0\""), CASE("\"\\U0041\""),
	CASE("\"\\u\""), CASE("\"\\u1\""), CASE("\"\\u12\""), CASE("\"\\u123\""), CASE("\"\\u123g\""), CASE("\"\\u 123\""), CASE("\"\\u+123\""), CASE("\"\\u123"), CASE("\"\\u1234"),
	CASE("\"\n\""), CASE("\"\t\""), CASE("\"\r\""), CASE("\"\0\""), CASE("\"\x01\""), CASE("\"\x1f\""), CASE("\"1234567\n\""), CASE("\"12345678\x1f\""), CASE("\"\\\n\""), CASE("\"\\ \""),
	CASE("\"\\\xc3\xa9\""), CASE("\"\\u00\xc3\xa9\""), CASE("\"a\0b\""),
	/* what not every store can hold */
	CASE("\"\\u0000\""), CASE("\"a\\u0000b\""), CASE("{\"\\u0000\":1}"), CASE("\"\\ud800\""), CASE("\"\\udbff\""), CASE("\"\\udc00\""), CASE("\"\\udfff\""), CASE("\"\\ud800a\""),
	CASE("\"\\ud800\\n\""), CASE("\"\\ud800\\u0041\""), CASE("\"\\ud800\\ud800\""), CASE("\"\\ud800\\ud800\\udc00\""), CASE("\"\\udc00\\ud800\""), CASE("\"\\ud83d\\ude0\""), CASE("\"\\ud800\\"),
	CASE("\"\\ud800\\u\""), CASE("{\"\\udc00\":1}"), CASE("\"\\ud800"), CASE("\"\\ud800\\udc0"), CASE("\"\\ud800\\udc00"),
	/* UTF-8 */
	CASE("\"\x80\""), CASE("\"\xbf\""), CASE("\"\xc3\""), CASE("\"\xc3\xc3\""), CASE("\"\xc0\xaf\""), CASE("\"\xc0\x80\""), CASE("\"\xc1\xbf\""), CASE("\"\xe0\x80\xaf\""), CASE("\"\xe0\x9f\xbf\""),
	CASE("\"\xe2\x82\""), CASE("\"\xed\xa0\x80\""), CASE("\"\xed\xbf\xbf\""), CASE("\"\xf0\x80\x80\xaf\""), CASE("\"\xf0\x8f\xbf\xbf\""), CASE("\"\xf0\x9f\x98\""), CASE("\"\xf4\x90\x80\x80\""),
	CASE("\"\xf5\x80\x80\x80\""), CASE("\"\xf8\x88\x80\x80\x80\""), CASE("\"\xfc\x84\x80\x80\x80\x80\""), CASE("\"\xfe\""), CASE("\"\xff\""), CASE("\"1234567\xff\""), CASE("{\"\xff\":1}"), CASE("\"\xe2\x82"), CASE("[\xff]"),
	/* arrays */
	CASE("["), CASE("]"), CASE("[,]"), CASE("[1,]"), CASE("[,1]"), CASE("[1,,2]"), CASE("[1 2]"), CASE("[1"), CASE("[1,"), CASE("[1;2]"), CASE("[1}"), CASE("[\"a\""), CASE("[\"a\" 1]"), CASE("[1:2]"), CASE("[[]"),
	CASE("[1,\n"), CASE("[\"a\",\n4\n,1,"), CASE("[true,"), CASE("(1)"), CASE("[}"), CASE("[\v1]"), CASE("[\f1]"), CASE("[\xc2\xa0" "1]"), CASE("[1]\xe2\x81\xa0"), CASE("[1/**/]"), CASE("[1]//"), CASE("#\n[]"),
	/* objects */
	CASE("{"), CASE("}"), CASE("{,}"), CASE("{\"a\"}"), CASE("{\"a\":}"), CASE("{\"a\":1,}"), CASE("{\"a\":1,,\"b\":2}"), CASE("{,\"a\":1}"), CASE("{\"a\" 1}"), CASE("{\"a\":1 \"b\":2}"), CASE("{a:1}"), CASE("{'a':1}"),
	CASE("{1:1}"), CASE("{null:1}"), CASE("{[]:1}"), CASE("{{}:1}"), CASE("{\"a\":1"), CASE("{\"a\":1]"), CASE("{\"a\"::1}"), CASE("{\"a\":1:2}"), CASE("{\"a\",1}"), CASE("{\"a\":1,\"b\"}"), CASE("{\"a\"=1}"), CASE("{\"a\":\"b\"}#"),
	CASE("{:1}"), CASE("{\"a\":1,"), CASE("{\"a\":"), CASE("{\"a\""), CASE("{\"a"), CASE("{\"a\":{}"), CASE("{]"), CASE("{\"a\":1;}"), CASE("{\"a\": 1, 2}"), CASE("{\"a\":/*c*/1}"), CASE("{\"a\":1}/**/"), CASE("{...}"),
};
#undef CASE
/* clang-format on */

#define JSON_COUNT(list) (sizeof(list) / sizeof *(list))

#endif

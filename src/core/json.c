/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON: a tokenizer that checks everything and allocates nothing.
 *
 * Happy path: json_next looks at what the grammar allows next and at one byte; strings are passed
 * eight bytes at a time. Failure: the reader keeps what is wrong and where, and says JSON_ERROR
 * from then on.
 */
#include "core/json.h"

#include <string.h>

#include "core/json_string.h"
#include "core/utf8.h"

/* What may come next. */
enum {
	JSON_WANTS_VALUE,
	JSON_WANTS_VALUE_OR_END, /* behind [ */
	JSON_WANTS_KEY,          /* behind a comma in an object */
	JSON_WANTS_KEY_OR_END,   /* behind { */
	JSON_WANTS_COMMA_OR_END, /* behind a value in an array or object */
	JSON_WANTS_NOTHING,      /* behind the outermost value */
	JSON_IS_BROKEN,
};

void json_read(struct json_reader *reader, const char *text, size_t size)
{
	reader->text = text;
	reader->size = size;
	reader->at = 0;
	reader->depth = 0;
	reader->depth_max = JSON_DEPTH_READ;
	reader->expect = JSON_WANTS_VALUE;
	reader->problem = NULL;
}

static struct json_token json_break(struct json_reader *reader, const char *problem)
{
	reader->expect = JSON_IS_BROKEN;
	reader->problem = problem;
	return (struct json_token){ .kind = JSON_ERROR, .at = reader->at };
}

/* The next byte that is no whitespace, 0 at the end; a NUL in the text is as wrong as the end. */
static inline unsigned char json_peek(struct json_reader *reader)
{
	while (reader->at < reader->size) {
		unsigned char byte = (unsigned char)reader->text[reader->at];
		if (byte > ' ' || (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t'))
			return byte;
		reader->at++;
	}
	return 0;
}

static inline bool json_is_in_object(const struct json_reader *reader)
{
	return reader->is_object[(reader->depth - 1) / 64] >> ((reader->depth - 1) % 64) & 1;
}

static inline void json_value_over(struct json_reader *reader)
{
	reader->expect = reader->depth ? JSON_WANTS_COMMA_OR_END : JSON_WANTS_NOTHING;
}

static inline struct json_token json_token(struct json_reader *reader, enum json_kind kind,
					   size_t size)
{
	struct json_token token = { .kind = kind,
				    .text = { reader->text + reader->at, size },
				    .at = reader->at };
	reader->at += size;
	return token;
}

static struct json_token json_open_container(struct json_reader *reader, bool is_object)
{
	if (reader->depth == reader->depth_max)
		return json_break(reader, reader->depth_max == JSON_DEPTH_MAX
						  ? "nesting deeper than 512"
						  : "nesting deeper than 576");
	uint64_t bit = UINT64_C(1) << (reader->depth % 64),
		 *bits = &reader->is_object[reader->depth / 64];
	*bits = is_object ? *bits | bit : *bits & ~bit;
	reader->depth++;
	reader->expect = is_object ? JSON_WANTS_KEY_OR_END : JSON_WANTS_VALUE_OR_END;
	return json_token(reader, is_object ? JSON_OBJECT : JSON_ARRAY, 1);
}

static struct json_token json_close_container(struct json_reader *reader, bool is_object)
{
	reader->depth--;
	json_value_over(reader);
	return json_token(reader, is_object ? JSON_OBJECT_END : JSON_ARRAY_END, 1);
}

/* The length of a character or escape that stands in a string, 0 with `*ret` the problem. */
static size_t json_pass_special(const char *at, size_t left, const char **ret)
{
	size_t length = 0;
	if (*at == '\\')
		*ret = json_escape_check(at, left, &length);
	else if ((unsigned char)*at < 0x20)
		*ret = "a control character in a string";
	else if ((length = utf8_length((const unsigned char *)at, left)) == 0)
		*ret = "invalid UTF-8";
	return *ret ? 0 : length;
}

/* Step to the quote that ends a string; false with the problem, `reader->at` on it. */
static bool json_pass_string(struct json_reader *reader, bool *ret_has_escapes)
{
	const char *text = reader->text;
	size_t at = reader->at + 1, size = reader->size, length = 8;
	while (length) {
		do
			at += length = size - at >= 8 ? json_plain_run(text + at) : 0;
		while (length == 8);
		if (at == size || text[at] == '"')
			break;
		*ret_has_escapes |= text[at] == '\\';
		at += length = json_pass_special(text + at, size - at, &reader->problem);
	}

	if (at == size)
		reader->problem = "a string without end";
	reader->at = at;
	return !reader->problem;
}

static struct json_token json_next_string(struct json_reader *reader, enum json_kind kind)
{
	size_t start = reader->at;
	bool has_escapes = false;
	if (!json_pass_string(reader, &has_escapes))
		return json_break(reader, reader->problem);
	struct json_token token = { .kind = kind,
				    .has_escapes = has_escapes,
				    .text = { reader->text + start + 1, reader->at - start - 1 },
				    .at = start };
	reader->at++;
	return token;
}

static struct json_token json_next_key(struct json_reader *reader, unsigned char byte)
{
	if (byte != '"')
		return json_break(reader, "a member's name is missing");
	struct json_token token = json_next_string(reader, JSON_KEY);
	if (token.kind == JSON_ERROR)
		return token;
	if (json_peek(reader) != ':')
		return json_break(reader, "a colon is missing");
	reader->at++;
	reader->expect = JSON_WANTS_VALUE;
	return token;
}

static size_t json_digits(const struct json_reader *reader, size_t at)
{
	size_t start = at;
	while (at < reader->size && reader->text[at] >= '0' && reader->text[at] <= '9')
		at++;
	return at - start;
}

static inline bool json_has(const struct json_reader *reader, size_t at, char a, char b)
{
	return at < reader->size && (reader->text[at] == a || reader->text[at] == b);
}

static struct json_token json_next_number(struct json_reader *reader)
{
	size_t at = reader->at, digits;
	at += json_has(reader, at, '-', '-');
	digits = json_digits(reader, at);
	if (digits == 0 || (digits > 1 && reader->text[at] == '0'))
		return json_break(reader, digits ? "a number with a leading zero"
						 : "a number without digits");

	at += digits;
	if (json_has(reader, at, '.', '.')) {
		digits = json_digits(reader, ++at);
		at += digits;
	}

	if (digits && json_has(reader, at, 'e', 'E')) {
		at++;
		at += json_has(reader, at, '+', '-');
		digits = json_digits(reader, at);
		at += digits;
	}

	if (digits == 0)
		return json_break(reader, "a number without digits behind its point or exponent");
	json_value_over(reader);
	return json_token(reader, JSON_NUMBER, at - reader->at);
}

static struct json_token json_next_word(struct json_reader *reader)
{
	static const struct {
		const char *text;
		size_t size;
		enum json_kind kind;
	} words[] = { { "null", 4, JSON_NULL },
		      { "true", 4, JSON_TRUE },
		      { "false", 5, JSON_FALSE } };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (reader->size - reader->at < words[i].size ||
		    memcmp(reader->text + reader->at, words[i].text, words[i].size) != 0)
			continue;
		json_value_over(reader);
		return json_token(reader, words[i].kind, words[i].size);
	}

	return json_break(reader,
			  reader->at == reader->size ? "it ends too early" : "a value is missing");
}

static struct json_token json_next_value(struct json_reader *reader, unsigned char byte)
{
	if (byte == '"') {
		json_value_over(reader);
		return json_next_string(reader, JSON_STRING);
	}
	if (byte == '{' || byte == '[')
		return json_open_container(reader, byte == '{');
	if (byte == '-' || (byte >= '0' && byte <= '9'))
		return json_next_number(reader);
	return json_next_word(reader);
}

static struct json_token json_next_behind_value(struct json_reader *reader, unsigned char byte)
{
	bool is_object = json_is_in_object(reader);
	if (byte == (is_object ? '}' : ']'))
		return json_close_container(reader, is_object);
	if (byte != ',')
		return json_break(reader, is_object ? "a comma or } is missing"
						    : "a comma or ] is missing");
	reader->at++;
	reader->expect = is_object ? JSON_WANTS_KEY : JSON_WANTS_VALUE;
	byte = json_peek(reader);
	return is_object ? json_next_key(reader, byte) : json_next_value(reader, byte);
}

struct json_token json_next(struct json_reader *reader)
{
	unsigned char byte = json_peek(reader);
	switch (reader->expect) {
	case JSON_WANTS_COMMA_OR_END:
		return json_next_behind_value(reader, byte);
	case JSON_WANTS_KEY_OR_END:
		return byte == '}' ? json_close_container(reader, true)
				   : json_next_key(reader, byte);
	case JSON_WANTS_VALUE_OR_END:
		return byte == ']' ? json_close_container(reader, false)
				   : json_next_value(reader, byte);
	case JSON_WANTS_VALUE:
		return json_next_value(reader, byte);
	case JSON_WANTS_NOTHING:
		if (reader->at < reader->size)
			return json_break(reader, "something follows the value");
		return (struct json_token){ .kind = JSON_END, .at = reader->at };
	default:
		return (struct json_token){ .kind = JSON_ERROR, .at = reader->at };
	}
}

bool json_skip(struct json_reader *reader, struct json_token token, struct tide_text *ret)
{
	if (token.kind == JSON_KEY)
		token = json_next(reader);
	size_t start = token.at;
	if (token.kind == JSON_ARRAY || token.kind == JSON_OBJECT)
		for (uint32_t outside = reader->depth - 1;
		     reader->depth > outside && token.kind != JSON_ERROR;)
			token = json_next(reader);
	if (token.kind == JSON_ERROR || token.kind == JSON_END)
		return false;
	if (ret)
		*ret = (struct tide_text){ reader->text + start, reader->at - start };
	return true;
}

static tide_status json_check_to(struct tide_text text, uint32_t depth_max, bool must_be_object,
				 const char *what, struct tide_error *err)
{
	struct json_reader reader;
	json_read(&reader, text.data, text.data ? text.size : 0);
	reader.depth_max = depth_max;

	struct json_token token = json_next(&reader);
	bool is_object = token.kind == JSON_OBJECT;
	while (token.kind > JSON_ERROR)
		token = json_next(&reader);
	if (token.kind == JSON_ERROR)
		return tide_fail(err, TIDE_ARGUMENT, "%s is no JSON: at byte %zu, %s", what,
				 reader.at, reader.problem);
	if (must_be_object && !is_object)
		return tide_fail(err, TIDE_ARGUMENT, "%s is no JSON object", what);
	return TIDE_OK;
}

tide_status json_check(struct tide_text text, bool must_be_object, const char *what,
		       struct tide_error *err)
{
	return json_check_to(text, JSON_DEPTH_MAX, must_be_object, what, err);
}

tide_status json_check_around(struct tide_text text, bool must_be_object, const char *what,
			      struct tide_error *err)
{
	return json_check_to(text, JSON_DEPTH_READ, must_be_object, what, err);
}

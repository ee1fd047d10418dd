/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "core/json.h"
#include "core/text.h"
#include "sys/alloc.h"

/* Write what was read, one token at a time. */
static void rewrite_token(struct buffer *buffer, const struct json_token *token)
{
	ALLOC_AUTO char *decoded = alloc_zero(1, token->text.size + 1);
	int64_t integer;
	if (token->kind == JSON_KEY || token->kind == JSON_STRING) {
		size_t size = json_unescape(token, decoded);
		assert(utf8_is_valid(decoded, size) && strlen(decoded) == size &&
		       json_equals(token, decoded));
		if (token->kind == JSON_KEY)
			json_key(buffer, decoded);
		else
			json_text(buffer, text_view(decoded, size));
	} else if (token->kind == JSON_ARRAY || token->kind == JSON_OBJECT) {
		json_open(buffer, token->text.data[0]);
	} else if (token->kind == JSON_ARRAY_END || token->kind == JSON_OBJECT_END) {
		json_close(buffer, token->text.data[0]);
	} else if (token->kind == JSON_NUMBER && json_int(token, &integer) && integer != 0) {
		json_integer(buffer, integer); /* zero may be -0 */
	} else {
		json_raw(buffer, token->text);
	}
}

static struct buffer rewrite(const char *text, size_t size)
{
	struct buffer buffer = { 0 };
	struct json_reader reader;
	json_read(&reader, text, size);
	for (struct json_token token = json_next(&reader); token.kind != JSON_END;
	     token = json_next(&reader)) {
		assert(token.kind != JSON_ERROR && token.at < size);
		rewrite_token(&buffer, &token);
	}
	return buffer;
}

/* What passes the check can be written again, and what was written reads back as itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tide_text text = { (const char *)data, size };
	if (json_check(text, false, "input", NULL) != TIDE_OK)
		return 0;
	struct buffer once = rewrite(text.data, text.size), twice = rewrite(once.data, once.size);
	assert(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
	assert(utf8_is_valid(text.data, text.size));
	buffer_fini(&once);
	buffer_fini(&twice);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command answers, line by line.
 *
 * Happy path: a line is a word, a word and why, or a JSON object of the same meaning.
 * Failure modes: anything else is rubbish, said with its begin. A line longer than the buffer is
 * rubbish as well: its begin is kept, the rest passed over, however long it is.
 */
#include "project/command.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

#define REPLY_SHOWN 200 /* bytes of rubbish that are told */

/* ---- Lines ----------------------------------------------------------------------------------- */

char *replies_room(struct replies *replies, size_t *ret_size)
{
	if (replies->at > 0) {
		replies->size -= replies->at;
		memmove(replies->data, replies->data + replies->at, replies->size);
		replies->at = 0;
	}
	if (replies->size == REPLIES_SIZE) { /* whole lines were taken before */
		replies->is_skipping = true;
		replies->size = REPLY_SHOWN;
	}
	*ret_size = REPLIES_SIZE - replies->size;
	return replies->data + replies->size;
}

bool replies_peek(struct replies *replies, struct tide_text *ret)
{
	const char *from = replies->data + replies->at;
	const char *end = memchr(from, '\n', replies->size - replies->at);
	if (end)
		*ret = text_view(from, (size_t)(end - from));
	return end;
}

void replies_pass(struct replies *replies, struct tide_text line)
{
	replies->at += line.size + 1;
	replies->is_skipping = false;
}

void replies_clear(struct replies *replies)
{
	replies->at = replies->size = 0;
	replies->is_skipping = false;
}

/* ---- What one says --------------------------------------------------------------------------- */

/* As one line of UTF-8, whatever the bytes. */
static void reply_copy(struct tide_text from, char *to, size_t size)
{
	size_t length = from.size < size ? from.size : utf8_cut(from.data, from.size, size - 1);
	for (size_t i = 0; i < length; i++)
		to[i] = from.data[i] ? from.data[i] : ' ';
	to[length] = '\0';
	text_make_line(to);
}

/* "retry", "retry why". */
static bool reply_is(struct tide_text line, const char *word, struct reply *ret)
{
	size_t size = strlen(word);
	if (line.size < size || memcmp(line.data, word, size) != 0 ||
	    (line.size > size && line.data[size] != ' '))
		return false;
	size_t blanks = size;
	while (blanks < line.size && line.data[blanks] == ' ')
		blanks++;
	reply_copy(text_view(line.data + blanks, line.size - blanks), ret->why, sizeof ret->why);
	return true;
}

static bool reply_read_word(struct tide_text line, struct reply *ret)
{
	ret->kind = REPLY_OK;
	if (text_equals(line, "ok"))
		return true;
	ret->kind = REPLY_RETRY;
	if (reply_is(line, "retry", ret))
		return true;
	ret->kind = REPLY_FAIL;
	return reply_is(line, "fail", ret);
}

static bool reply_read_result(const struct json_token *value, struct reply *ret)
{
	ret->kind = json_equals(value, "ok")      ? REPLY_OK
		    : json_equals(value, "retry") ? REPLY_RETRY
						  : REPLY_FAIL;
	return value->kind == JSON_STRING &&
	       (ret->kind != REPLY_FAIL || json_equals(value, "fail"));
}

static bool reply_read_text(const struct json_token *value, char **ret)
{
	if (value->kind == JSON_NULL)
		return true;
	if (value->kind != JSON_STRING || *ret)
		return false;
	*ret = alloc_zero(value->text.size + 1, 1);
	if (*ret) /* without memory the answer goes without it */
		(void)json_unescape(value, *ret);
	return true;
}

static bool reply_read_why(const struct json_token *value, struct reply *ret)
{
	char *why ALLOC_AUTO = NULL;
	bool is_text = reply_read_text(value, &why);
	if (why)
		reply_copy(tide_text(why), ret->why, sizeof ret->why);
	return is_text;
}

static bool reply_read_member(const struct json_token *key, const struct json_token *value,
			      bool *has_result, struct reply *ret)
{
	if (json_equals(key, "result"))
		return *has_result = reply_read_result(value, ret);
	if (json_equals(key, "why"))
		return reply_read_why(value, ret);
	if (json_equals(key, "stacktrace"))
		return reply_read_text(value, &ret->stacktrace);
	if (json_equals(key, "global_position"))
		return ret->has_position =
			       value->kind == JSON_NUMBER && json_int(value, &ret->position);
	return false;
}

static bool reply_read_object(struct tide_text line, struct reply *ret)
{
	struct json_reader reader;
	bool has_result = false;
	json_read(&reader, line.data, line.size);
	if (json_next(&reader).kind != JSON_OBJECT)
		return false;

	for (;;) {
		struct json_token key = json_next(&reader);
		if (key.kind != JSON_KEY)
			return key.kind == JSON_OBJECT_END && json_next(&reader).kind == JSON_END &&
			       has_result;
		struct json_token value = json_next(&reader);
		if (!reply_read_member(&key, &value, &has_result, ret))
			return false;
	}
}

void reply_read(struct tide_text line, bool is_cut, struct reply *ret)
{
	*ret = (struct reply){ .kind = REPLY_RUBBISH };
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	bool is_object = line.size > 0 && line.data[0] == '{';
	if (!is_cut && (is_object ? reply_read_object(line, ret) : reply_read_word(line, ret)))
		return;

	char shown[REPLY_SHOWN + 1];
	reply_fini(ret);
	ret->kind = REPLY_RUBBISH;
	reply_copy(line, shown, sizeof shown);
	snprintf(ret->why, sizeof ret->why, "'%s'%s", shown,
		 is_cut                    ? " and more, without an end in 64 KiB"
		 : line.size > REPLY_SHOWN ? " and more"
					   : "");
}

void reply_fini(struct reply *reply)
{
	tide_free(reply->stacktrace);
	reply->stacktrace = NULL;
}

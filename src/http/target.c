/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking the target of a request apart.
 *
 * Parts and parameters are cut first and decoded then, so that an escaped slash is no cut. Nothing
 * of a target ever names a file: what leads up or nowhere is a part like any other, and finds no
 * route. Failure modes: an escape that is none, bytes that are no UTF-8, control characters, too
 * many parts: refused.
 */
#include "http/target.h"

#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

#define REFUSE(status, why) ((struct http_refusal){ (status), (why) })
#define ACCEPT ((struct http_refusal){ 0, NULL })

static int target_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode in place, up to `end`; false: it is no text. */
static bool target_decode(char *text, const char *end, bool is_parameter)
{
	char *to = text;
	for (const char *from = text; from < end; from++, to++) {
		*to = is_parameter && *from == '+' ? ' ' : *from;
		if (*from != '%')
			continue;
		int high = end - from > 2 ? target_digit(from[1]) : -1;
		int low = high >= 0 ? target_digit(from[2]) : -1;
		if (low < 0)
			return false;
		*to = (char)(high * 16 + low);
		from += 2;
	}

	*to = '\0';
	for (const char *c = text; c < to; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return utf8_is_valid(text, (size_t)(to - text));
}

static struct http_refusal target_read_parts(char *path, struct http_target *ret)
{
	for (char *part = path + 1; *path && path[1];) {
		char *end = part + strcspn(part, "/");
		bool is_last = *end == '\0';
		if (ret->part_count == TARGET_PARTS_MAX)
			return REFUSE(404, "there is nothing here");
		if (!target_decode(part, end, false))
			return REFUSE(400, "the path has an escape or a character that is none");
		ret->parts[ret->part_count++] = part;
		if (is_last)
			break;
		part = end + 1;
	}
	return ACCEPT;
}

static struct http_refusal target_read_parameter(char *text, char *end, struct http_target *ret)
{
	char *equals = memchr(text, '=', (size_t)(end - text));
	if (!equals)
		return REFUSE(400, "a parameter of the query has no value");
	if (ret->parameter_count == TARGET_PARAMETERS_MAX)
		return REFUSE(400, "the query has more than 64 parameters");
	if (!target_decode(equals + 1, end, true) || !target_decode(text, equals, true))
		return REFUSE(400, "the query has an escape or a character that is none");
	ret->parameters[ret->parameter_count++] = (struct http_parameter){ text, equals + 1 };
	return ACCEPT;
}

static struct http_refusal target_read_parameters(char *query, struct http_target *ret)
{
	struct http_refusal refusal = ACCEPT;
	while (refusal.status == 0 && *query) {
		char *end = query + strcspn(query, "&"), *next = *end ? end + 1 : end;
		if (end > query)
			refusal = target_read_parameter(query, end, ret);
		query = next;
	}
	return refusal;
}

struct http_refusal target_read(struct tide_text target, struct http_target *ret)
{
	*ret = (struct http_target){ 0 };
	if (target.size > 7 && memcmp(target.data, "http://", 7) == 0) {
		const char *host = target.data + 7;
		size_t rest = target.size - 7;
		const char *slash = memchr(host, '/', rest);
		ret->host = (struct tide_text){ host, slash ? (size_t)(slash - host) : rest };
		target = slash ? (struct tide_text){ slash, rest - ret->host.size }
			       : (struct tide_text){ "/", 1 };
	}
	if (target.data[0] != '/')
		return REFUSE(400, "the target of the request is no path");
	if (memchr(target.data, '#', target.size))
		return REFUSE(400, "the target of the request has a fragment");

	ret->text = alloc_text(target.data, target.size);
	if (!ret->text)
		return REFUSE(500, "memory is out");
	char *query = strchr(ret->text, '?');
	if (query)
		*query++ = '\0';
	struct http_refusal refusal = target_read_parts(ret->text, ret);
	if (refusal.status == 0 && query)
		refusal = target_read_parameters(query, ret);
	if (refusal.status != 0)
		target_fini(ret);
	return refusal;
}

void target_fini(struct http_target *target)
{
	tide_free(target->text);
	*target = (struct http_target){ 0 };
}

const char *target_parameter(const struct http_target *target, const char *name)
{
	for (size_t i = 0; i < target->parameter_count; i++)
		if (strcmp(target->parameters[i].name, name) == 0)
			return target->parameters[i].value;
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask.
 *
 * Happy path: probes are for everybody; reading needs a token beyond loopback, changing always.
 * Without a token nothing can be changed, and nothing but loopback is bound. Failure modes: a page
 * of a browser asks in its user's place: the name of the host has to be one of this machine where
 * no token is shown (DNS rebinding), and what changes something has to be JSON from no foreign
 * origin, which no page can send unasked.
 */
#include <stdio.h>
#include <string.h>

#include "http/http.h"

#define TOKEN_LEAST 16
#define TOKEN_MOST 1024

tide_status guard_check_token(const char *token, const char *what, struct tide_error *err)
{
	size_t size = token ? strlen(token) : 0;
	if (!token)
		return TIDE_OK;
	if (size < TOKEN_LEAST || size > TOKEN_MOST)
		return tide_fail(err, TIDE_ARGUMENT, "%s has %zu characters, expected %d to %d",
				 what, size, TOKEN_LEAST, TOKEN_MOST);
	for (size_t i = 0; i < size; i++)
		if (token[i] <= ' ' || token[i] > '~')
			return tide_fail(err, TIDE_ARGUMENT,
					 "%s has a blank or a character that is not ASCII", what);
	return TIDE_OK;
}

/* How long it takes says nothing of how much of it was right. */
static bool guard_is_token(struct tide_text shown, const char *token)
{
	size_t size = token ? strlen(token) : 0;
	volatile unsigned char differs = shown.size != size || size == 0;
	for (size_t i = 0; i < shown.size; i++)
		differs |= (unsigned char)(shown.data[i] ^ (size ? token[i % size] : 0));
	return differs == 0;
}

/* What stands behind `Bearer `; empty: nothing does. */
static struct tide_text guard_shown(const struct http_head *head)
{
	const struct tide_text *field = head_field(head, "Authorization");
	struct tide_text shown = { "", 0 };
	if (field && field->size > 7 && field->data[6] == ' ' &&
	    head_is_word((struct tide_text){ field->data, 6 }, "Bearer"))
		shown = (struct tide_text){ field->data + 7, field->size - 7 };
	return shown;
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

bool guard_is_loopback(const char *host)
{
	unsigned a, b, c, d;
	char rest;
	if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
		return true;
	return sscanf(host, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) == 4 && a == 127 &&
	       b < 256 && c < 256 && d < 256;
}

/* The host that the request is for, without its port. */
static bool guard_is_for_loopback(struct tide_text host)
{
	char name[64];
	if (host.size == 0 || host.size >= sizeof name)
		return false;
	memcpy(name, host.data, host.size);
	name[host.size] = '\0';

	char *end = name[0] == '[' ? strchr(name, ']') : strchr(name, ':');
	if (end && end[strspn(end, "]:0123456789")] != '\0')
		return false;
	if (end)
		*end = '\0';
	for (char *c = name; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
	return guard_is_loopback(name + (name[0] == '['));
}

static struct tide_text guard_host(const struct http_head *head, const struct http_target *target)
{
	const struct tide_text *field = head_field(head, "Host");
	if (target->host.size > 0)
		return target->host;
	return field ? *field : (struct tide_text){ "", 0 };
}

/* An origin is foreign unless it is this server itself, by the name that it was asked for. */
static bool guard_is_foreign(const struct tide_text *origin, struct tide_text host)
{
	static const char *const schemes[] = { "http://", "https://" };
	for (int i = 0; origin && i < 2; i++) {
		size_t size = strlen(schemes[i]);
		if (origin->size == size + host.size &&
		    memcmp(origin->data, schemes[i], size) == 0 &&
		    memcmp(origin->data + size, host.data, host.size) == 0)
			return false;
	}
	return origin != NULL;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static bool guard_ask_for_token(struct http_reply *reply, const char *why)
{
	reply_refuse(reply, 401, "%s", why);
	reply_field(reply, "WWW-Authenticate", "Bearer realm=\"tidemark\"");
	return false;
}

/* Whatever parameters it has. */
static bool guard_is_json(const struct tide_text *type)
{
	static const char json[] = "application/json";
	size_t size = sizeof json - 1;
	return type && type->size >= size &&
	       head_is_word((struct tide_text){ type->data, size }, json) &&
	       (type->size == size || strchr("; ", type->data[size]));
}

static bool guard_admit_change(const struct http_guard *guard, const struct http_head *head,
			       struct tide_text host, struct http_reply *reply)
{
	struct tide_text shown = guard_shown(head);

	if (guard_is_foreign(head_field(head, "Origin"), host)) {
		reply_refuse(reply, 403, "a page of another origin may change nothing");
		return false;
	}
	if (!guard->token) {
		reply_refuse(reply, 403, "without a token_file nothing can be changed over HTTP");
		return false;
	}
	if (shown.size > 0 && guard_is_token(shown, guard->read_token)) {
		reply_refuse(reply, 403, "this token is for reading");
		return false;
	}
	if (!guard_is_token(shown, guard->token))
		return guard_ask_for_token(reply, "a change needs the token");

	if (guard_is_json(head_field(head, "Content-Type")))
		return true;
	reply_refuse(reply, 415, "a change needs Content-Type: application/json");
	return false;
}

bool guard_admit(const struct http_guard *guard, const struct http_route *route,
		 const struct http_head *head, const struct http_target *target,
		 struct http_reply *reply)
{
	struct tide_text host = guard_host(head, target), shown = guard_shown(head);
	bool is_known = shown.size > 0 && (guard_is_token(shown, guard->token) ||
					   guard_is_token(shown, guard->read_token));

	if (guard->is_loopback && !is_known && !guard_is_for_loopback(host)) {
		reply_refuse(reply, 403,
			     "the host of the request is none of this machine's own names");
		return false;
	}
	if (route->access == HTTP_ACCESS_OPEN)
		return true;
	if (route->access == HTTP_ACCESS_CHANGE)
		return guard_admit_change(guard, head, host, reply);
	if (shown.size > 0 && !is_known)
		return guard_ask_for_token(reply, "the token is not the one");
	if (!guard->is_loopback && !is_known)
		return guard_ask_for_token(reply, "from beyond this machine a token is needed");
	return true;
}

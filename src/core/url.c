/* SPDX-License-Identifier: Apache-2.0 */
#include "core/url.h"

#include <string.h>

#include "sys/alloc.h"

/* Schemes whose `rest` is left as it is. */
static const char *const url_raw_schemes[] = { "postgresql", "postgres", "nats", "fault" };

/* Parameters that hold a secret. */
static const char *const url_secrets[] = { "password", "sslpassword", "oauth_client_secret",
					   "token" };

static bool url_is_in(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}
#define URL_IS_IN(name, list) url_is_in(name, list, sizeof(list) / sizeof *(list))

static int url_hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Decode %XX in place; false when one is malformed or would put a NUL into the text. */
static bool url_decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = url_hex(from[1]), low = high < 0 ? -1 : url_hex(from[2]);
		if (low < 0 || (high | low) == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}

	*to = '\0';
	return true;
}

static char *url_split(char *text, char at)
{
	char *found = strchr(text, at);
	if (!found)
		return NULL;
	*found = '\0';
	return found + 1;
}

static bool url_has_param(const struct tide_url *url, const char *name)
{
	for (size_t i = 0; i < url->param_count; i++)
		if (strcmp(url->params[i].name, name) == 0)
			return true;
	return false;
}

static tide_status url_add_param(struct tide_url *url, char *name, struct tide_error *err)
{
	char *value = url_split(name, '=');
	if (!value)
		value = name + strlen(name);
	if (!url_decode(name) || !url_decode(value))
		return tide_fail(err, TIDE_ARGUMENT,
				 "parameter '%.64s' of the URL has a malformed %% escape", name);
	if (!*name)
		return tide_fail(err, TIDE_ARGUMENT, "the URL has a parameter without a name");
	if (url_has_param(url, name))
		return tide_fail(err, TIDE_ARGUMENT, "parameter '%.64s' is in the URL twice", name);
	if (url->param_count == TIDE_URL_PARAMS_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "the URL has more than %d parameters",
				 TIDE_URL_PARAMS_MAX);

	url->params[url->param_count].name = name;
	url->params[url->param_count++].value = value;
	return TIDE_OK;
}

static tide_status url_read_params(struct tide_url *url, char *query, struct tide_error *err)
{
	while (query && *query) {
		char *next = url_split(query, '&');
		tide_status status = url_add_param(url, query, err);
		if (status != TIDE_OK)
			return status;
		query = next;
	}
	return TIDE_OK;
}

static bool url_is_scheme(char *scheme)
{
	for (char *at = scheme; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at |= 0x20;
		bool is_letter = *at >= 'a' && *at <= 'z';
		bool is_other =
			(*at >= '0' && *at <= '9') || *at == '+' || *at == '-' || *at == '.';
		if (!is_letter && !(is_other && at > scheme))
			return false;
	}
	return *scheme != '\0';
}

/*
 * The userinfo of a URL within a text, as libpq reads it: what is between "://" and the first @
 * before a slash, whatever else is in it. Behind what libpq takes for it a second @ may stand,
 * where somebody did not escape his password: up to the last one before the path it counts, too.
 * NULL: there is none.
 */
static char *url_userinfo_end(char *authority)
{
	size_t size = strcspn(authority, "/");
	char *end = memchr(authority, '@', size);
	for (char *next = end; next && (next = memchr(next + 1, '@', strcspn(next + 1, "/?")));)
		end = next;
	return end;
}

/* Where the parameters of a URL may begin: behind the userinfo, which may hold a question mark. */
static char *url_behind_userinfo(char *text)
{
	char *authority = strncmp(text, "//", 2) == 0 ? text + 2 : strstr(text, "://");
	if (authority && authority[0] == ':')
		authority += 3;
	char *end = authority ? url_userinfo_end(authority) : NULL;
	return end ? end + 1 : text;
}

/* How much of a text that is no URL may be shown: it could be a connection string with a password
 * in it. */
static int url_shown(const char *text)
{
	size_t size = strcspn(text, "=@");
	return size < 64 ? (int)size : 64;
}

static tide_status url_read(struct tide_url *url, char *text, struct tide_error *err)
{
	char *rest = url_split(text, ':');
	if (!rest)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.*s' is no URL: it has no scheme such as sqlite:",
				 url_shown(text), text);
	if (!url_is_scheme(text))
		return tide_fail(err, TIDE_ARGUMENT, "'%.*s' is no scheme of a URL",
				 url_shown(text), text);

	char *query =
		url_split(URL_IS_IN(text, url_raw_schemes) ? url_behind_userinfo(rest) : rest, '?');
	url->scheme = text;
	url->rest = rest;
	if (!URL_IS_IN(text, url_raw_schemes) && !url_decode(rest))
		return tide_fail(err, TIDE_ARGUMENT, "the %s: URL has a malformed %% escape", text);
	return url_read_params(url, query, err);
}

tide_status url_parse(const char *text, struct tide_url *ret, struct tide_error *err)
{
	if (!text)
		return tide_fail(err, TIDE_ARGUMENT, "url is NULL");
	size_t size = strlen(text) + 1;
	struct tide_url url = { .text = alloc_resize(NULL, 2, size) };
	if (!url.text)
		return alloc_fail(err);

	memcpy(url.text, text, size);
	memcpy(url.text + size, text, size);
	url.full = url.text + size;
	tide_status status = url_read(&url, url.text, err);
	if (status != TIDE_OK)
		url_fini(&url);
	else
		*ret = url;
	return status;
}

void url_fini(struct tide_url *url)
{
	tide_free(url->text);
	*url = (struct tide_url){ 0 };
}

const char *tide_url_param(struct tide_url *url, const char *name)
{
	for (size_t i = 0; i < url->param_count; i++) {
		if (strcmp(url->params[i].name, name) != 0)
			continue;
		url->params[i].is_known = true;
		return url->params[i].value;
	}
	return NULL;
}

tide_status tide_url_check(const struct tide_url *url, struct tide_error *err)
{
	for (size_t i = 0; i < url->param_count; i++)
		if (!url->params[i].is_known)
			return tide_fail(err, TIDE_ARGUMENT, "'%.*s' is no parameter of %s: URLs",
					 url_shown(url->params[i].name), url->params[i].name,
					 url->scheme);
	return TIDE_OK;
}

/* Take user:password@ down to user@, also in a URL within the URL. */
static void url_drop_userinfo(char *text)
{
	for (char *authority = text; (authority = strstr(authority, "://"));) {
		authority += 3;
		char *host = url_userinfo_end(authority);
		char *colon = host ? memchr(authority, ':', (size_t)(host - authority)) : NULL;
		if (colon)
			memmove(colon, host, strlen(host) + 1);
	}
}

/* The value of a keyword in a connection string, which may stand in quotes: `at` is behind the
 * equals sign. */
static size_t url_word_size(const char *at)
{
	size_t size = strspn(at, " ");
	bool is_quoted = at[size] == '\'';
	for (size += is_quoted; at[size]; size++) {
		if (at[size] == '\\' && at[size + 1])
			size++;
		else if (is_quoted ? at[size] == '\'' : strchr(" &\t\n", at[size]) != NULL)
			return size + is_quoted;
	}
	return size;
}

/* Take the values of secret keywords out of a connection string: password = 'x' host=h. */
static void url_drop_words(char *text)
{
	for (size_t i = 0; i < sizeof url_secrets / sizeof *url_secrets; i++)
		for (char *at = text; (at = strstr(at, url_secrets[i]));) {
			at += strlen(url_secrets[i]);
			char *equals = at + strspn(at, " ");
			if (*equals != '=')
				continue;
			char *end = equals + 1 + url_word_size(equals + 1);
			memmove(equals + 1, end, strlen(end) + 1);
		}
}

static bool url_is_secret(const char *param, size_t size)
{
	char name[64];
	if (size >= sizeof name)
		return false;
	memcpy(name, param, size);
	name[size] = '\0';
	url_split(name, '=');
	url_decode(name);
	return URL_IS_IN(name, url_secrets);
}

static void url_drop_params(char *query)
{
	char *to = query;
	for (const char *from = query; *from;) {
		size_t size = strcspn(from, "&");
		bool is_last = from[size] == '\0';
		if (size > 0 && !url_is_secret(from, strcspn(from, "=&"))) {
			if (to > query)
				*to++ = '&';
			memmove(to, from, size);
			to += size;
		}
		from += size + !is_last;
	}

	*to = '\0';
	if (to == query)
		query[-1] = '\0'; /* the question mark */
}

void url_redact_words(char *text)
{
	url_drop_userinfo(text);
	url_drop_words(text);
}

char *url_redact(const char *text)
{
	char *copy = alloc_text(text, strlen(text));
	if (!copy)
		return NULL;
	char *query = strchr(url_behind_userinfo(copy), '?');
	if (query)
		url_drop_params(query + 1);
	url_redact_words(copy);
	return copy;
}

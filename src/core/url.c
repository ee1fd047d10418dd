/* SPDX-License-Identifier: Apache-2.0 */
#include "core/url.h"

#include <string.h>

#include "sys/alloc.h"

/* Schemes whose `rest` is left as it is. */
static const char *const url_raw_schemes[] = { "postgresql", "postgres", "nats", "fault" };

/* Parameters that hold a secret. */
static const char *const url_secrets[] = {
	"password",         "sslpassword",         "scram_client_key",
	"scram_server_key", "oauth_client_secret", "token"
};

/* What libpq takes for space between the words of a connection string. */
#define URL_SPACE " \t\n\v\f\r"

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

/*
 * How much of a word may be shown that stands where a scheme or a parameter's name should: it could
 * be of a connection string with a password in it, or of a password that was not escaped. `full` is
 * the whole text; one with an @ may hold a password before it, wherever its parts seem to begin.
 */
static int url_shown(const char *text, const char *full)
{
	size_t size = strchr(full, '@') ? 0 : strcspn(text, "=");
	return size < 64 ? (int)size : 64;
}

static tide_status url_read(struct tide_url *url, char *text, struct tide_error *err)
{
	char *rest = url_split(text, ':');
	if (!rest)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.*s' is no URL: it has no scheme such as sqlite:",
				 url_shown(text, url->full), text);
	if (!url_is_scheme(text))
		return tide_fail(err, TIDE_ARGUMENT, "'%.*s' is no scheme of a URL",
				 url_shown(text, url->full), text);

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

/* What stands behind a secret may be more of it, which holds an & that was not escaped. */
static bool url_follows_secret(const struct tide_url *url, size_t at)
{
	return at > 0 && URL_IS_IN(url->params[at - 1].name, url_secrets);
}

tide_status tide_url_check(const struct tide_url *url, struct tide_error *err)
{
	for (size_t i = 0; i < url->param_count; i++) {
		const char *name = url->params[i].name;
		if (url->params[i].is_known)
			continue;
		if (url_follows_secret(url, i))
			return tide_fail(err, TIDE_ARGUMENT,
					 "what follows '%s' is no parameter of %s: URLs; write & "
					 "as %%26 in a value",
					 url->params[i - 1].name, url->scheme);
		return tide_fail(err, TIDE_ARGUMENT, "'%.*s' is no parameter of %s: URLs",
				 url_shown(name, name), name, url->scheme);
	}
	return TIDE_OK;
}

/*
 * Where the userinfo ends that a person may have meant: libpq takes what is before the first slash
 * for host and port, and shows a port that is no number, so there the password holds the slash.
 */
static char *url_userinfo_meant(char *authority)
{
	char *end = url_userinfo_end(authority);
	char *last = authority + strcspn(authority, "/?[" URL_SPACE), *at = authority;
	while (!end && (at = memchr(at, ':', (size_t)(last - at)))) {
		at += 1 + strspn(at + 1, "0123456789");
		if (at < last && *at != ',')
			break;
	}
	if (end || !at)
		return end;

	for (char *next = authority; (next = memchr(next + 1, '@', strcspn(next + 1, URL_SPACE)));)
		end = next;
	return end;
}

/* Take user:password@ down to user@, also in a URL within the URL. */
static void url_drop_userinfo(char *text)
{
	for (char *authority = text; (authority = strstr(authority, "://"));) {
		authority += 3;
		char *host = url_userinfo_meant(authority);
		char *colon = host ? memchr(authority, ':', (size_t)(host - authority)) : NULL;
		if (colon)
			memmove(colon, host, strlen(host) + 1);
	}
}

/* The same without the slashes, or without a scheme, which only a mistake can be: but for a scheme
 * whose rest is the name of a file. */
static void url_drop_bare_userinfo(char *text)
{
	static const char *const files[] = { "sqlite", "memory" };
	char *at = strrchr(text, '@'), *colon = strchr(text, ':'), scheme[16] = "";
	if (!at || !colon || colon > at || strstr(text, "://"))
		return;
	if (colon - text < (ptrdiff_t)sizeof scheme)
		memcpy(scheme, text, (size_t)(colon - text));
	if (url_is_scheme(scheme) && URL_IS_IN(scheme, files))
		return;
	if (URL_IS_IN(scheme, url_raw_schemes)) {
		char *next = memchr(colon + 1, ':', (size_t)(at - colon - 1));
		colon = next ? next : colon;
	}
	if (at > colon + 1)
		memmove(colon, at, strlen(at) + 1);
}

/* The value of a keyword in a connection string, which may stand in quotes: `at` is behind the
 * equals sign. */
static size_t url_word_size(const char *at)
{
	size_t size = strspn(at, URL_SPACE);
	bool is_quoted = at[size] == '\'';
	for (size += is_quoted; at[size]; size++) {
		if (at[size] == '\\' && at[size + 1])
			size++;
		else if (is_quoted ? at[size] == '\'' : strchr(URL_SPACE, at[size]) != NULL)
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
			char *equals = at + strspn(at, URL_SPACE);
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

/* A name without a value behind a secret is more of it, which holds an & that was not escaped. */
static void url_drop_params(char *query)
{
	bool was_secret = false;
	char *to = query;
	for (const char *from = query; *from;) {
		size_t size = strcspn(from, "&"), name = strcspn(from, "=&");
		bool is_last = from[size] == '\0';
		was_secret = url_is_secret(from, name) || (was_secret && name == size);
		if (size > 0 && !was_secret) {
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
	url_drop_bare_userinfo(copy);
	url_redact_words(copy);
	return copy;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the server, where libevent is not: it says so. */
#include "http/http.h"

bool server_is_built(void)
{
	return false;
}

tide_status server_open(struct http_sources *sources, const struct tide_http_options *options,
			struct tide_http **ret, struct tide_error *err)
{
	(void)sources;
	(void)options;
	(void)ret;
	return tide_fail(err, TIDE_UNSUPPORTED, "this library was built without HTTP");
}

tide_status server_set_tokens(struct tide_http *server, const char *token, const char *read_token,
			      struct tide_error *err)
{
	(void)token;
	(void)read_token;
	return server_open(NULL, NULL, &server, err);
}

tide_status server_set_tls(struct tide_http *server, const char *certificate, const char *key,
			   struct tide_error *err)
{
	(void)certificate;
	(void)key;
	return server_open(NULL, NULL, &server, err);
}

bool server_close(struct tide_http *server, struct mono_time deadline)
{
	(void)server;
	(void)deadline;
	return true;
}

tide_status tide_http_open(struct tide_manager *manager, const struct tide_http_options *options,
			   struct tide_http **ret, struct tide_error *err)
{
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	return server_open(NULL, options, ret, err);
}

void tide_http_close(struct tide_http *http)
{
	(void)http;
}

const char *tide_http_url(const struct tide_http *http)
{
	(void)http;
	return NULL;
}

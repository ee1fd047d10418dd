/* SPDX-License-Identifier: Apache-2.0 */
/* In place of TLS, where OpenSSL is not: it says so. */
#include "http/tls.h"

bool tls_is_built(void)
{
	return false;
}

tide_status tls_open(const char *certificate, const char *key, struct http_tls **ret,
		     struct tide_error *err)
{
	(void)key;
	(void)ret;
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "'%.300s' is a certificate, and this library was built without TLS",
			 certificate);
}

void tls_close(struct http_tls *tls)
{
	(void)tls;
}

struct bufferevent *tls_accept(struct http_tls *tls, struct event_base *base, int fd)
{
	(void)tls;
	(void)base;
	(void)fd;
	return NULL;
}

bool tls_is_shaking_hands(struct bufferevent *stream)
{
	(void)stream;
	return false;
}

void tls_say_end(struct bufferevent *stream)
{
	(void)stream;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where to listen: `HOST:PORT`, `[HOST]:PORT`, or a port of this machine alone. */
#include <stdio.h>
#include <string.h>

#include "http/http.h"

static bool address_read_port(const char *text, int *ret)
{
	int port = 0;
	size_t size = strlen(text);
	if (size == 0 || size > 5 || strspn(text, "0123456789") != size)
		return false;
	for (const char *c = text; *c; c++)
		port = port * 10 + (*c - '0');
	*ret = port;
	return port <= 65535;
}

tide_status address_read(const char *text, char ret_host[HTTP_HOST_SIZE], int *ret_port,
			 struct tide_error *err)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	const char *host = colon ? text : "127.0.0.1";
	size_t size = colon ? (size_t)(colon - text) : strlen(host);
	bool is_quoted = size >= 2 && host[0] == '[' && host[size - 1] == ']';

	if (is_quoted) {
		host++;
		size -= 2;
	}
	if (!address_read_port(port, ret_port))
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.200s' has no port from 0 to 65535: expected HOST:PORT or PORT",
				 text);
	if (size == 0 || size >= HTTP_HOST_SIZE || (!is_quoted && memchr(host, ':', size)))
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.200s' has no host: expected HOST:PORT, [HOST]:PORT or PORT",
				 text);
	memcpy(ret_host, host, size);
	ret_host[size] = '\0';
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_TLS_H
#define TIDE_HTTP_TLS_H

/* TLS below connections, where a certificate is given. */

#include <stdbool.h>

#include <tidemark/error.h>

struct bufferevent;
struct event_base;

/** A certificate with its key. */
struct http_tls;

/** Whether this build speaks it. */
bool tls_is_built(void);
/** Read a certificate, with those above it, and its key, PEM both; `key` NULL: it is in the same
 * file. TIDE_ARGUMENT and TIDE_IO name the file, TIDE_UNSUPPORTED, TIDE_OUT_OF_MEMORY. */
tide_status tls_open(const char *certificate, const char *key, struct http_tls **ret,
		     struct tide_error *err);
void tls_close(struct http_tls *tls);
/** The connection of a socket that was accepted, which it takes; NULL: no memory. */
struct bufferevent *tls_accept(struct http_tls *tls, struct event_base *base, int fd);

/* A connection without TLS is neither. */

/** Whether nothing can be said yet. */
bool tls_is_shaking_hands(struct bufferevent *stream);
/** Say that nothing follows, so that the end cannot be taken for a cut. */
void tls_say_end(struct bufferevent *stream);

#endif

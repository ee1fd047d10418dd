/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_HTTP_H
#define TIDEMARK_HTTP_H

/*
 * A manager shown over HTTP: health, readiness and liveness for probes, metrics for Prometheus.
 */

#include <tidemark/manager.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A server for one manager, with threads of its own. */
struct tide_http;

/** How to open a server; zero members mean their defaults. Fill it with TIDE_HTTP. */
struct tide_http_options {
	size_t size; /* of this struct, set by TIDE_HTTP */
	/* HOST:PORT, [HOST]:PORT, or PORT of 127.0.0.1; port 0 is any that is free; NULL:
	 * 127.0.0.1:8080 */
	const char *address;
	/* who shows it may change things, and read from beyond loopback; 16 to 1024 visible
	 * characters; NULL: nothing can be changed, and only loopback may be bound */
	const char *token;
	const char *read_token; /* who shows it may read, from anywhere; NULL: none */
	/* files in PEM, for TLS: the certificate and those above it, and its key, which others may
	 * not read; NULL: no TLS, and a key in the same file */
	const char *tls_certificate;
	const char *tls_key;
};
#ifdef __cplusplus
static inline struct tide_http_options tide_http_options_default(void)
{
	struct tide_http_options options = {};
	options.size = sizeof options;
	return options;
}
#else
#define TIDE_HTTP(...)                                                                             \
	(&(const struct tide_http_options){ .size = sizeof(struct tide_http_options), __VA_ARGS__ })
#endif

/**
 * Show a manager over HTTP until tide_http_close.
 *
 * It listens when this returns, whether the manager runs or not. `options` may be NULL. Handlers
 * and subscriptions are never waited for by who connects: requests have threads of their own.
 *
 * Owns:    the caller owns `*ret` and closes it before the manager; texts of `options` are copied.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT (names the member or the file), TIDE_NOT_FOUND (no such file),
 *          TIDE_IO (the address cannot be bound, a file not read), TIDE_UNSUPPORTED (built without
 *          HTTP, or without TLS), TIDE_OUT_OF_MEMORY (also: no thread).
 */
tide_status tide_http_open(struct tide_manager *manager, const struct tide_http_options *options,
			   struct tide_http **ret, struct tide_error *err);

/**
 * Stop listening, answer what is under way, and release the server; NULL is allowed. It waits for a
 * request that a database does not answer.
 *
 * Owns:    takes `http`.
 * Threads: any but a handler or callback of the manager.
 * Returns: nothing.
 */
void tide_http_close(struct tide_http *http);
static inline void tide_http_close_cleanup(struct tide_http **http)
{
	tide_http_close(*http);
}

/**
 * Tell where a server listens, as "http://127.0.0.1:8080" with the port that it got; "https" with
 * TLS.
 *
 * Owns:    nothing; valid until the server is closed.
 * Threads: any.
 * Returns: the URL.
 */
const char *tide_http_url(const struct tide_http *http);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

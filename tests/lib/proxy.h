/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_PROXY_H
#define TEST_PROXY_H

/*
 * A relay between clients and the PostgreSQL server of this program, on a unix socket of its own: a
 * network that stops to carry anything, without anybody being told, and later cuts.
 */

struct proxy;

/** Listen in this directory, which must be there, for what libpq connects to with it as `host`. */
struct proxy *proxy_open(const char *directory);
/** Carry nothing any more; when this returns, nothing passes. Who connects is left waiting. */
void proxy_hold(struct proxy *proxy);
/** End every connection, and carry those that come. */
void proxy_cut(struct proxy *proxy);
void proxy_close(struct proxy *proxy);

#endif

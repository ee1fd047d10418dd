/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_RESTING_H
#define TEST_RESTING_H

#include <stdbool.h>

/** What a database knows of sessions that share its connections. */
struct resting {
	const char *url; /* of a store without events */
	/** whether a session has a connection now */
	bool (*has)(void *session);
	/** have the lease of 'rests' look as one whose owner was killed */
	void (*orphan)(void *self);
	void *self;
};

/**
 * See that handlers without a transaction are called while their session has no connection: behind
 * a page that was read, a mark, the end of care, and a dead letter that is delivered once more.
 */
void resting_see(const struct resting *resting);

#endif

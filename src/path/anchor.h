/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_ANCHOR_H
#define TIDE_PATH_ANCHOR_H

#include "path/store.h"

/** A position, what it stands on, and how to reach its feed and its dead letters. */
struct anchor_look {
	const struct tide_store *feed;
	void *feed_session;
	const struct tide_store *database;
	void *session;
	const struct tide_checkpoint *row;
};

/** The greatest event at or below a position; position 0: none, or the backend cannot tell. */
tide_status anchor_find(const struct tide_store *feed, void *session, tide_position position,
			struct tide_anchor *ret, struct tide_error *err);

/**
 * Look whether the event that the row's position stands on is where it was: TIDE_DIVERGED with the
 * evidence and the ways out. TIDE_BUSY: a replica has not got so far. `ret` is that event, position
 * 0 when the row names none, so that nothing was looked for.
 */
tide_status anchor_verify(const struct anchor_look *look, struct tide_anchor *ret,
			  struct tide_error *err);

#endif

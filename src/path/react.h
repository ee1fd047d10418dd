/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_REACT_H
#define TIDE_PATH_REACT_H

/*
 * What a handler appends in its delivery transaction.
 */

#include "path/append.h"

struct tide_delivery;
struct tide_subscription;

/** How many events were appended to a stream for the event in hand. */
struct react_stream {
	struct tide_uuid aggregate_id;
	char aggregate_type[TIDE_NAME_MAX + 1];
	size_t count;
	size_t kept; /* of them, by calls that went well */
};

/** The appends of an attempt, and those that wait for the commit. */
struct reactions {
	size_t name_size; /* of the subscription's, less its partition; fixed after registration */
	struct react_stream *streams; /* of the event of `position`; there is room for `capacity` */
	size_t count, capacity;
	tide_position position;
	struct append_tally attempt; /* by the attempt in hand */
	struct append_tally open;    /* by those before it, in the open transaction */
};

/** An attempt begins: it has appended nothing. */
void react_begin(struct tide_subscription *subscription);
/** Whether it has appended something by now. */
bool react_has_appended(const struct tide_subscription *subscription);
/** Whether attempts that succeeded have, so that the transaction is to be committed. */
bool react_is_open(const struct tide_subscription *subscription);
/** Its savepoint was released: what it appended is there with the commit. */
void react_keep(struct tide_subscription *subscription);
/** The transaction is committed: count it and ring. */
void react_commit(struct tide_subscription *subscription);
/** The transaction is gone, or was given back. */
void react_forget(struct tide_subscription *subscription);
void react_fini(struct reactions *reactions);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_TRANSACTION_H
#define TIDE_PATH_TRANSACTION_H

/*
 * The delivery transaction of a run.
 */

#include "path/checkpoint.h"
#include "path/react.h"
#include "policy/transaction.h"

struct tide_subscription;

/** What a run has come to: restored when a delivery transaction is lost. */
struct run_counts {
	int64_t processed, failed, dead_lettered, skipped, discarded;
	int64_t evaluated; /* events looked at by the filter: matched = evaluated - skipped */
	struct tide_time last_processed_at; /* with those below: once something is processed */
	struct tide_uuid last_event_id;
	char last_event_type[TIDE_NAME_MAX + 1];
};

/** It, and what the run returns to when it is lost. */
struct transaction {
	enum transaction_state state;
	struct progress before; /* as of the last commit */
	struct run_counts counts_before;
	struct reactions reactions; /* what handlers have appended in it */
};

static inline bool transaction_is_open(const struct transaction *transaction)
{
	return transaction->state != TRANSACTION_NONE;
}

tide_status transaction_begin(struct tide_subscription *subscription, struct tide_error *err);
/** It is committed, or given back with nothing in it. */
void transaction_leave(struct tide_subscription *subscription);
/** Give the transaction up: progress and counts return to the last commit, and the feed with
 * them. */
void transaction_roll_back(struct tide_subscription *subscription);
/** The same when the transaction is gone with its connection. */
void transaction_forget(struct tide_subscription *subscription);
/** Have the handler look at what the open delivery transaction has done, before Tidemark writes to
 * it. */
tide_status transaction_inspect(struct tide_subscription *subscription, struct tide_error *err);
/** The fence of this subscription's writes. */
const struct tide_fence *transaction_fence(const struct tide_subscription *subscription);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_STORE_H
#define TIDE_PATH_STORE_H

/*
 * An opened store: a backend and its state, a few idle sessions for calls from any thread, the bell
 * and the tail that its subscriptions share. Checkpoint repositories are opened stores too, often
 * the same one.
 */

#include <tidemark/backend.h>

#include "path/ahead.h"
#include "path/metrics.h"
#include "path/notify.h"
#include "path/tail.h"
#include "path/panes.h"
#include "sys/mutex.h"

#define STORE_IDLE_SESSIONS 4

struct tide_store {
	/* fixed after open */
	const struct tide_backend *backend;
	void *state;
	char *url; /* without its password */
	size_t max_payload_bytes;
	bool is_read_only;
	const struct tide_event_types *types;
	struct notifier *notifier;
	struct tail *tail;
	struct panes *panes;
	struct ahead *ahead;

	struct metrics_store metrics; /* atomic */

	/* under lock */
	struct mutex lock;
	void *idle[STORE_IDLE_SESSIONS];
	size_t idle_count;
};

/** Take a session for one call; give it back with how the call ended, so that a broken one is not
 * used again. */
tide_status store_borrow(struct tide_store *store, void **ret, struct tide_error *err);
void store_return(struct tide_store *store, void *session, tide_status status);

#endif

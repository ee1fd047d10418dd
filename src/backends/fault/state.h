/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_FAULT_STATE_H
#define TIDE_FAULT_STATE_H

#include <tidemark/backend.h>

#include "backends/fault/plan.h"
#include "core/url.h"

/** The parts of a fault URL. */
struct fault_url {
	const char *options;
	size_t options_size;
	struct tide_url inner; /* owned */
	const struct tide_backend *backend;
};

tide_status fault_url_read(const struct tide_url *url, struct fault_url *ret,
			   struct tide_error *err);

/** A decorated store. */
struct fault_store {
	const struct tide_backend *inner;
	void *state; /* the inner store */
	struct fault_plan plan;
};

/** A decorated session, used by one thread at a time. */
struct fault_session {
	struct fault_store *store;
	void *state; /* the inner session */
	/* a fault said so: every further operation fails, as on a real lost connection */
	bool is_lost;
	bool in_transaction; /* of the inner session */
	bool is_open;        /* one that shares connections: it has had one */
};

/** One operation under way. */
struct fault_call {
	struct fault_store *store;
	struct fault_session *session; /* NULL: an operation of the store */
	const struct tide_backend *inner;
	void *state; /* what the inner function is called with */
	enum fault_op op;
	struct fault_verdict verdict;
	/* TIDE_OK: the inner function is to be called, and its status put here */
	tide_status status;
};

struct fault_call fault_enter_store(void *store, enum fault_op op, struct tide_error *err);
struct fault_call fault_enter(void *session, enum fault_op op, struct tide_error *err);
/** After the inner function, or instead of it: the status to return; outputs may be set on TIDE_OK
 * only. */
tide_status fault_leave(struct fault_call *call, struct tide_error *err);

extern const struct tide_store_ops fault_store_ops;
extern const struct tide_notify_ops fault_notify_ops;
extern const struct tide_checkpoint_ops fault_checkpoint_ops;

#endif

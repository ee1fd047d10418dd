/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_TELLING_H
#define TIDE_SUPERVISE_TELLING_H

#include "path/reason.h"
#include "supervise/manager.h"

/** What is told of a subscription, beside its lease. */
struct telling {
	struct tide_fence fence;
	struct tide_why why;
	bool is_done; /* it is written */
};

/** Whether something that keeps a subscription from going on is to be told to other processes, or
 * not any more. */
bool telling_is_due_locked(struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock);
/** Take one that is due, write it without a lock, and note what came of it: it is not due for a
 * while then. */
bool telling_take_locked(struct tide_manager *manager, struct mono_time now, struct telling *ret)
	TIDE_REQUIRES(manager->lock);
tide_status telling_write(const struct tide_manager *manager, void *session,
			  struct telling *telling);
void telling_put_locked(struct tide_manager *manager, const struct telling *telling,
			struct mono_time now) TIDE_REQUIRES(manager->lock);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_GROUP_H
#define TIDE_SUPERVISE_GROUP_H

/*
 * What a manager does with one subscription as persons know it: with all of its lanes, or with
 * itself where it has none.
 */

#include "supervise/elsewhere.h"

/** Begin the runs that are not under way; the first error, whatever the others came to. */
tide_status group_start(struct tide_manager *manager, struct tide_subscription *subscription,
			struct tide_error *err);
/** Wait until those that an error has ended have let go. */
void group_await_failed(struct tide_subscription *subscription);
/** Begin those anew that are in ERROR, and the others where they were stopped. TIDE_STATE: none is
 * in ERROR. */
tide_status group_restart(struct tide_manager *manager, struct tide_subscription *subscription,
			  struct tide_error *err);
/** run_wait_started of each. */
tide_status group_wait_started(struct tide_subscription *subscription, bool until_live,
			       struct mono_time deadline, struct tide_error *err);
/** What keeps the whole manager from starting is the error of those that do not run. */
void group_refuse(struct tide_subscription *subscription, const struct tide_error *why);
/** Ask all to stop; returns at once. */
void group_ask_stop(struct tide_manager *manager, struct tide_subscription *subscription,
		    struct mono_time deadline);
/** control_wait_stopped of each. */
tide_status group_wait_stopped(struct tide_manager *manager, struct tide_subscription *subscription,
			       struct mono_time save_until, struct tide_error *err);
void group_join(struct tide_subscription *subscription);

/** Failures of all of them. */
struct tide_error_stats group_error_stats(struct tide_subscription *subscription);

/* ---- group_json.c ---------------------------------------------------------------------------- */

/** tide_manager_group_json for one of several: `rows` are those of the manager's database, read by
 * the first that needs them. */
tide_status group_json(struct tide_manager *manager, const char *name, struct elsewhere_rows *rows,
		       char **ret, struct tide_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_LANES_H
#define TIDE_PATH_LANES_H

/* A subscription with lanes: its head, and the subscriptions that have a share each. */

#include "path/subscription.h"

/** Make the head and its lanes, none of them registered; errors of tide_manager_subscribe. */
tide_status lanes_new(struct engine *engine, const struct tide_subscriber *subscriber,
		      const struct tide_subscription_config *config, struct tide_subscription **ret,
		      struct tide_error *err);
/** Free a head with its lanes, or a subscription without any; none of them runs. */
void lanes_free(struct tide_subscription *subscription);

/* ---- whole.c --------------------------------------------------------------------------------- */

/** The status of all of it, with a feed end that is already known. */
void whole_snapshot(struct tide_subscription *subscription, const struct probe_answer *answer,
		    struct tide_subscription_status *ret);
/** Whether any lane is in this state; of a subscription without lanes, whether it is. */
bool whole_has_state(const struct tide_subscription *subscription, enum tide_state state);

#endif

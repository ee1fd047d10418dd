/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_LIMIT_H
#define TIDE_PATH_LIMIT_H

/* A subscription that is to go no further than a position, by one process alone. */

#include <tidemark/subscription.h>

/* Each lane has a limit of its own; of a subscription without any, `lane` is 0. */

/** Hand over nothing behind a position, until it is called with a higher one. */
void subscription_limit(struct tide_subscription *subscription, uint32_t lane, tide_position limit);
/** Whether all up to the limit is settled and saved, as far as it is for the lane. */
bool subscription_is_at_limit(struct tide_subscription *subscription, uint32_t lane,
			      tide_position limit);
/** Who it is among the members that share its lanes. */
struct tide_uuid subscription_member(const struct tide_subscription *subscription);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_REASON_H
#define TIDE_PATH_REASON_H

/* What keeps a subscription from going on, as its own process sees it: from what its status and
 * health are made of. */

#include "path/subscription.h"
#include "policy/why.h"

/** Whether it delivers as it should is TIDE_CAUSE_LIVE, or CATCHING_UP. */
enum tide_cause reason_cause_locked(const struct tide_subscription *subscription,
				    struct mono_time now) TIDE_REQUIRES(subscription->lock);
/** The cause with its evidence; `*ret` is zero before. */
void reason_fill_locked(const struct tide_subscription *subscription, enum tide_cause cause,
			struct mono_time now, struct tide_time wall, struct tide_why *ret)
	TIDE_REQUIRES(subscription->lock);
/** The same for a run that ends with an error. */
void reason_fill_end_locked(const struct tide_subscription *subscription,
			    const struct tide_error *error, struct tide_time wall,
			    struct tide_why *ret) TIDE_REQUIRES(subscription->lock);

/** A look at how much of its time goes into its handler, now and then. */
void reason_pace_locked(struct tide_subscription *subscription, struct mono_time now,
			struct tide_time wall) TIDE_REQUIRES(subscription->lock);

/** As it is kept beside a lease: NULL when memory is out, else for tide_free. */
char *reason_text(struct tide_why *why);

#endif

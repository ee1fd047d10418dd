/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_SHARING_H
#define TIDE_SUPERVISE_SHARING_H

/*
 * The lanes of a subscription over several processes: its manager is a member of the group, and has
 * its share of the lanes.
 */

#include "supervise/membership.h"

/** Look at the groups of a manager when that is due, in a thread of its own. */
void sharing_look(struct tide_manager *manager, struct mono_time now);
/** The watchdog has ended: leave, and release what looking has used. */
void sharing_end(struct tide_manager *manager);

/* ---- For the renewer ------------------------------------------------------------------------- */

/** Whether a head's membership is due within this part of its interval; 0: now. */
bool sharing_is_due_locked(const struct tide_manager *manager, const struct tide_subscription *head,
			   struct mono_time now, int part) TIDE_REQUIRES(manager->lock);
/** What became of a renewal. */
void sharing_renewed_locked(struct tide_manager *manager, const struct tide_lease_renewal *renewal,
			    struct mono_time began) TIDE_REQUIRES(manager->lock);

#endif

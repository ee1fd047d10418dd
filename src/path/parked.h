/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_PARKED_H
#define TIDE_PATH_PARKED_H

/*
 * Events that wait in the dead-letter queue for an older one of their aggregate.
 */

#include "path/subscription.h"

#define PARKED_MESSAGE_SIZE 256

/** The message of a parked entry, for people alone. */
void parked_say(const char *behind, char ret[PARKED_MESSAGE_SIZE]);
/** Find out again which aggregates are held, and make due what is parked behind nothing any
 * more. */
tide_status parked_load(struct tide_subscription *subscription, bool *ret_has_due,
			struct tide_error *err);
/** A due entry failed and is the head of its aggregate now: park those that were due with it behind
 * it. */
tide_status parked_put_back(struct tide_subscription *subscription,
			    const struct tide_dead_letter *head, const struct tide_event *event,
			    struct tide_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_FAILURE_H
#define TIDE_PATH_FAILURE_H

/*
 * What becomes of a failed event.
 */

#include "path/delivery.h"
#include "path/step.h"

/** An attempt at the next event (or batch) failed: schedule another, split the batch, or begin its
 * end. */
enum step failure_of_attempt(struct tide_subscription *subscription, const struct tide_event *event,
			     size_t count, const struct tide_error *error,
			     struct tide_delivery *delivery);
/** The next event is finished without another attempt: for a cause outside its handler. */
void failure_without_attempt(struct tide_subscription *subscription, tide_status status,
			     const char *message);
/** Finish the event that is at its end: dead letter, discard or ERROR. */
enum step failure_finish(struct tide_subscription *subscription);
/** Park the next event behind an unresolved one of its aggregate. */
enum step failure_park(struct tide_subscription *subscription, const char *behind);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_REDELIVER_H
#define TIDE_PATH_REDELIVER_H

#include "path/subscription.h"
#include "path/step.h"

/** Deliver one requested dead letter again, if there is one; STEP_WAIT is never returned for
 * "none". */
enum step redeliver_step(struct tide_subscription *subscription);

#endif

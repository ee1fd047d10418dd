/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_HANDLER_H
#define TIDE_PATH_HANDLER_H

#include "path/subscription.h"
#include "path/step.h"

/** Deliver the event, or the batch, that comes next; or see that it has to wait. */
enum step handler_step(struct tide_subscription *subscription);

#endif

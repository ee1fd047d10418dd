/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_CHECK_H
#define TIDE_PATH_CHECK_H

#include "path/subscription.h"
#include "path/step.h"

/** What has to hold after each part of a step (check.c). */
void check_run(const struct tide_subscription *subscription, enum step step);

#endif

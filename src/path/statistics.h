/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_STATISTICS_H
#define TIDE_PATH_STATISTICS_H

/* Internal values in the shape that is told outside. The caller holds the subscription's lock. */

#include "path/subscription.h"

struct tide_breaker_status breaker_status_of(const struct breaker *breaker);
struct tide_flow_stats flow_stats_of(const struct feed_flow *flow);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_RATE_H
#define TIDE_POLICY_RATE_H

#include "sys/clock.h"

#define RATE_SECONDS 60

/** Counts what happened in the last 60 seconds, in steps of one second. */
struct rate {
	int64_t second;               /* the newest one counted, of the monotonic clock */
	int32_t counts[RATE_SECONDS]; /* by second modulo 60 */
};

void rate_add(struct rate *rate, struct mono_time now);
/** How many in the 60 seconds up to now: per minute. */
int64_t rate_per_minute(struct rate *rate, struct mono_time now);

#endif

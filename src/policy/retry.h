/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_RETRY_H
#define TIDE_POLICY_RETRY_H

#include "sys/clock.h"
#include "sys/random.h"

#include <tidemark/error.h>

/** How often and how slowly to try again. Durations in seconds. */
struct retry_policy {
	int32_t max_retries;
	double initial_delay;
	double max_delay;
	double base;
	double jitter;
};

/** The delay before retry k (0, 1, …): exponential, jittered, clamped to 0..max_delay.
 * Nanoseconds. */
int64_t retry_delay(const struct retry_policy *policy, int32_t k, struct random *random);

/** What a subscription tries: each is counted by itself. */
enum retry_operation {
	RETRY_HANDLER,
	RETRY_READ,
	RETRY_CHECKPOINT,
	RETRY_DLQ,
	RETRY_OWNERSHIP,
	RETRY_OPERATIONS
};
const char *retry_operation_name(enum retry_operation operation);

/** What trying has come to, per operation. */
struct retry_stats {
	int64_t attempts;
	int64_t successes;
	int64_t failures;
	int64_t retries;
	double total_delay_seconds;
	struct tide_error last_error;
};

/** Count a try: `error` NULL: it succeeded; `delay` (ns): until the next one, negative: there is
 * none. */
void retry_count(struct retry_stats *stats, const struct tide_error *error, int64_t delay);
/** Count that what has been counted as failed is tried once more. */
void retry_count_again(struct retry_stats *stats, int64_t delay);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/retry.h"

#include <assert.h>
#include <math.h>

int64_t retry_delay(const struct retry_policy *policy, int32_t k, struct random *random)
{
	assert(k >= 0);
	double delay = policy->initial_delay * pow(policy->base, k);
	if (!(delay < policy->max_delay)) /* also when it overflowed to infinity */
		delay = policy->max_delay;
	delay += delay * policy->jitter * (2.0 * random_unit(random) - 1.0);
	if (delay < 0)
		delay = 0;
	if (delay > policy->max_delay)
		delay = policy->max_delay;
	assert(delay >= 0 && delay <= policy->max_delay);
	return ns_of_seconds(delay);
}

void retry_count(struct retry_stats *stats, const struct tide_error *error, int64_t delay)
{
	stats->attempts++;
	stats->successes += !error;
	stats->failures += error != NULL;
	if (error) {
		stats->last_error = *error;
		retry_count_again(stats, delay);
	}
	assert(stats->attempts == stats->successes + stats->failures);
}

void retry_count_again(struct retry_stats *stats, int64_t delay)
{
	if (delay < 0)
		return;
	stats->retries++;
	stats->total_delay_seconds += seconds_of_ns(delay);
	assert(stats->retries <= stats->failures);
}

const char *retry_operation_name(enum retry_operation operation)
{
	static const char *const names[] = {
		[RETRY_HANDLER] = "handler",       [RETRY_READ] = "read",
		[RETRY_CHECKPOINT] = "checkpoint", [RETRY_DLQ] = "dlq",
		[RETRY_OWNERSHIP] = "ownership",
	};
	return operation < RETRY_OPERATIONS ? names[operation] : "unknown";
}

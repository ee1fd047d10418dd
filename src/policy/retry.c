/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/retry.h"

#include <math.h>

int64_t retry_delay(const struct retry_policy *policy, int32_t k, struct random *random)
{
	double delay = policy->initial_delay * pow(policy->base, k);
	if (!(delay < policy->max_delay)) /* also when it overflowed to infinity */
		delay = policy->max_delay;
	delay += delay * policy->jitter * (2.0 * random_unit(random) - 1.0);
	if (delay < 0)
		delay = 0;
	if (delay > policy->max_delay)
		delay = policy->max_delay;
	return ns_of_seconds(delay);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breakers of a subscription: of its handler and of its databases.
 */
#include "path/runner.h"

#include "sys/log.h"

void runner_log_breaker(const struct tide_subscription *subscription, const char *name,
			enum breaker_state from, enum breaker_state to)
{
	if (from != to)
		log_at(TIDE_LOG_WARNING, "subscription", "circuit breaker changed",
		       "name='%s' breaker=%s from=%s to=%s", subscription->name, name,
		       breaker_state_name(from), breaker_state_name(to));
}

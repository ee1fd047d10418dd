/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscription tells about its reading ahead, its filter, its retries and its breakers:
 * copies taken under its lock.
 */
#include "path/statistics.h"

_Static_assert((int)TIDE_BREAKER_OPEN == (int)BREAKER_OPEN &&
		       (int)TIDE_BREAKER_HALF_OPEN == (int)BREAKER_HALF_OPEN,
	       "breaker states are numbered alike");
_Static_assert((int)TIDE_RETRY_OPERATIONS == (int)RETRY_OPERATIONS &&
		       (int)TIDE_RETRY_OF_DLQ == (int)RETRY_DLQ,
	       "operations are numbered alike");

const char *tide_breaker_state_name(enum tide_breaker_state state)
{
	return (unsigned)state <= TIDE_BREAKER_OPEN ? breaker_state_name((enum breaker_state)state)
						    : "unknown";
}

const char *tide_retry_operation_name(enum tide_retry_operation operation)
{
	return retry_operation_name((enum retry_operation)operation);
}

struct tide_breaker_status breaker_status_of(const struct breaker *breaker)
{
	return (struct tide_breaker_status){ .state = (enum tide_breaker_state)breaker->state,
					     .failure_count = breaker->failures,
					     .has_last_failure = breaker->failures > 0,
					     .last_failure_time = breaker->last_failure_at,
					     .half_open_calls = breaker->probes };
}

struct tide_flow_stats flow_stats_of(const struct feed_flow *flow)
{
	return (struct tide_flow_stats){ .events_in_flight = flow->in_flight,
					 .peak_in_flight = flow->peak_in_flight,
					 .pause_count = flow->pause_count,
					 .total_pause_time_seconds =
						 seconds_of_ns(flow->total_pause_ns),
					 .total_acquisitions = flow->total_acquisitions,
					 .total_releases = flow->total_releases };
}

static tide_status statistics_check(const struct tide_subscription *subscription, const void *ret,
				    struct tide_error *err)
{
	if (!subscription || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 subscription ? "ret" : "subscription");
	return TIDE_OK;
}

tide_status tide_subscription_flow_stats(struct tide_subscription *subscription,
					 struct tide_flow_stats *ret, struct tide_error *err)
{
	tide_status status = statistics_check(subscription, ret, err);
	if (status != TIDE_OK)
		return status;
	mutex_lock(&subscription->lock);
	*ret = flow_stats_of(&subscription->flow);
	mutex_unlock(&subscription->lock);
	return TIDE_OK;
}

tide_status tide_subscription_filter_stats(struct tide_subscription *subscription,
					   struct tide_filter_stats *ret, struct tide_error *err)
{
	tide_status status = statistics_check(subscription, ret, err);
	if (status != TIDE_OK)
		return status;

	mutex_lock(&subscription->lock);
	int64_t evaluated = subscription->counts.evaluated, skipped = subscription->counts.skipped;
	mutex_unlock(&subscription->lock);

	int64_t matched = evaluated - skipped;
	*ret = (struct tide_filter_stats){
		.events_evaluated = evaluated,
		.events_matched = matched,
		.events_skipped = skipped,
		.match_rate = evaluated ? (double)matched / (double)evaluated : 1.0
	};
	return TIDE_OK;
}

tide_status tide_subscription_retry_stats(struct tide_subscription *subscription,
					  enum tide_retry_operation operation,
					  struct tide_retry_stats *ret, struct tide_error *err)
{
	tide_status status = statistics_check(subscription, ret, err);
	if (status != TIDE_OK)
		return status;
	if ((unsigned)operation >= TIDE_RETRY_OPERATIONS)
		return tide_fail(err, TIDE_ARGUMENT, "operation %d is none", (int)operation);
	mutex_lock(&subscription->lock);
	struct retry_stats stats = subscription->retries[operation];
	mutex_unlock(&subscription->lock);
	*ret = (struct tide_retry_stats){ stats.attempts, stats.successes, stats.failures,
					  stats.total_delay_seconds, stats.last_error };
	return TIDE_OK;
}

tide_status tide_subscription_breakers(struct tide_subscription *subscription,
				       struct tide_breaker_status *ret_handler,
				       struct tide_breaker_status *ret_infra,
				       struct tide_error *err)
{
	tide_status status =
		statistics_check(subscription, ret_handler && ret_infra ? ret_handler : NULL, err);
	if (status != TIDE_OK)
		return status;
	mutex_lock(&subscription->lock);
	*ret_handler = breaker_status_of(&subscription->breakers.handler);
	*ret_infra = breaker_status_of(&subscription->breakers.infra);
	mutex_unlock(&subscription->lock);
	return TIDE_OK;
}

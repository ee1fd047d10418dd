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

static void statistics_add_flow(struct tide_flow_stats *sum, const struct tide_flow_stats *lane)
{
	sum->events_in_flight += lane->events_in_flight;
	sum->peak_in_flight += lane->peak_in_flight;
	sum->pause_count += lane->pause_count;
	sum->total_pause_time_seconds += lane->total_pause_time_seconds;
	sum->total_acquisitions += lane->total_acquisitions;
	sum->total_releases += lane->total_releases;
}

tide_status tide_subscription_flow_stats(struct tide_subscription *subscription,
					 struct tide_flow_stats *ret, struct tide_error *err)
{
	tide_status status = statistics_check(subscription, ret, err);
	if (status != TIDE_OK)
		return status;
	struct tide_flow_stats sum = { 0 };
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		struct tide_flow_stats one = flow_stats_of(&lane->flow);
		mutex_unlock(&lane->lock);
		statistics_add_flow(&sum, &one);
	}
	*ret = sum;
	return TIDE_OK;
}

tide_status tide_subscription_filter_stats(struct tide_subscription *subscription,
					   struct tide_filter_stats *ret, struct tide_error *err)
{
	tide_status status = statistics_check(subscription, ret, err);
	if (status != TIDE_OK)
		return status;

	int64_t evaluated = 0, skipped = 0;
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		evaluated += lane->counts.evaluated;
		skipped += lane->counts.skipped;
		mutex_unlock(&lane->lock);
	}

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

	struct tide_retry_stats sum = { 0 };
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		struct retry_stats stats = lane->retries[operation];
		mutex_unlock(&lane->lock);
		sum.attempts += stats.attempts;
		sum.successes += stats.successes;
		sum.failures += stats.failures;
		sum.total_delay_seconds += stats.total_delay_seconds;
		if (sum.last_error.status == TIDE_OK)
			sum.last_error = stats.last_error;
	}
	*ret = sum;
	return TIDE_OK;
}

/* The one that lets the least through. */
static void statistics_take_breaker(struct tide_breaker_status *worst,
				    const struct breaker *breaker, bool is_first)
{
	if (is_first || worst->state < (enum tide_breaker_state)breaker->state ||
	    (worst->state == (enum tide_breaker_state)breaker->state &&
	     worst->failure_count < breaker->failures))
		*worst = breaker_status_of(breaker);
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

	struct tide_breaker_status handler = { 0 }, infra = { 0 };
	for (uint32_t i = 0; i < lane_count(subscription); i++) {
		struct tide_subscription *lane = lane_at(subscription, i);
		mutex_lock(&lane->lock);
		statistics_take_breaker(&handler, &lane->breakers.handler, i == 0);
		statistics_take_breaker(&infra, &lane->breakers.infra, i == 0);
		mutex_unlock(&lane->lock);
	}
	*ret_handler = handler;
	*ret_infra = infra;
	return TIDE_OK;
}

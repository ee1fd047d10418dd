/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_HEALTH_H
#define TIDE_SUPERVISE_HEALTH_H

#include <tidemark/health.h>

/**
 * Judge what was found out about a subscription: fills its indicators and its status.
 *
 * `processing_timeout` in seconds: a handler call that runs longer is stuck.
 */
void health_judge(struct tide_subscription_health *health, const struct tide_health_config *config,
		  double processing_timeout);
/** Add what was found out about another lane, before it is judged. */
void health_fold(struct tide_subscription_health *sum, const struct tide_subscription_health *lane);
/** Count the subscriptions and take the worst status of them. */
void health_sum(struct tide_health *health);
/** Decide whether it is ready, and why not; with `is_responsive` false a lock was not to be had.
 * TIDE_OUT_OF_MEMORY. */
tide_status readiness_say(struct tide_readiness *ret, bool is_responsive, struct tide_error *err);

#endif

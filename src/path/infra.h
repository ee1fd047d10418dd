/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_INFRA_H
#define TIDE_PATH_INFRA_H

/*
 * Operations on databases, tried again behind the infrastructure breaker.
 */

#include "path/step.h"
#include "policy/retry.h"

struct tide_subscription;

/** What is being tried again: one operation at a time. */
struct infra {
	int32_t tries[RETRY_OPERATIONS]; /* failures in a row */
	/* those of a delivery transaction that could not be committed yet; 0: there is none */
	int32_t commit_tries;
	struct mono_time try_at;
};

/** May the operation be tried now? STEP_WAIT: not yet. Every STEP_ON is followed by infra_end. */
enum step infra_begin(struct tide_subscription *subscription);
/** The same for one that need not have a connection. */
enum step infra_admit(struct tide_subscription *subscription);
/** Judge how it ended: STEP_ON when it succeeded, STEP_WAIT until the next try, STEP_FAIL when
 * there is none. */
enum step infra_end(struct tide_subscription *subscription, enum retry_operation operation,
		    tide_status status, struct tide_error *err);
/** Whether an operation on a database that failed so is tried once more: what passes, and a full
 * disk, ends no run. */
bool infra_may_retry(const struct tide_subscription *subscription, enum retry_operation operation,
		     const struct tide_error *error);
void infra_close(struct tide_subscription *subscription);

#endif

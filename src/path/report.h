/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_REPORT_H
#define TIDE_PATH_REPORT_H

/*
 * A failure, said once.
 */

#include "path/subscription.h"

/** What a record is about besides the error itself. */
struct report_context {
	const struct tide_event *event; /* NULL: none */
	const char *stacktrace;
	int32_t retry_count;
	bool is_retried;
	int64_t dlq_id; /* 0: not sent */
	bool is_logged; /* already */
};
/** What a failure of a handler means: where it appends, a conflict passes. */
struct tide_classification report_classify(const struct tide_subscription *subscription,
					   const struct tide_error *error);
/** A failure as who listens is told of it. */
struct tide_error_record report_describe(struct tide_subscription *subscription,
					 const struct tide_error *error,
					 const struct report_context *context);
/** Classify, log, count and tell one failure. */
void report_failure(struct tide_subscription *subscription, const struct tide_error *error,
		    const struct report_context *context);
/** Tell what ends the run, with no event to blame and told by nobody yet, and give up. */
enum step report_end(struct tide_subscription *subscription, const struct tide_error *error);
/** The watchdog's: report a handler past its time, once per call. */
void report_late(struct tide_subscription *subscription, struct mono_time now);

#endif

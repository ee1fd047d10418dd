/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One failure, said once: classified, logged, counted, kept among the recent ones, told to who
 * listens.
 *
 * Happy path: a part of the run reports what failed, with the event and what is done about it.
 * Failure modes: a handler hangs: the watchdog reports it past its time; whoever turns `hand.since`
 * negative, it or the runner, does.
 */
#include "path/report.h"

#include <assert.h>

#include "core/text.h"
#include "path/runner.h"

/* A stream that moved while the event was handled is found where it is by the next attempt. */
struct tide_classification report_classify(const struct tide_subscription *subscription,
					   const struct tide_error *error)
{
	struct tide_classification otherwise = tide_classify(error->status);
	if (subscription->subscriber.appends && error->status == TIDE_CONFLICT) {
		otherwise.category = TIDE_CATEGORY_TRANSIENT;
		otherwise.retryable = true;
	}
	return errors_classify_or(&subscription->engine->errors, error->status, error->message,
				  otherwise);
}

struct tide_error_record report_describe(struct tide_subscription *subscription,
					 const struct tide_error *error,
					 const struct report_context *context)
{
	const struct tide_event *event = context->event;
	return (struct tide_error_record){
		.event_id = event ? event->event_id : (struct tide_uuid){ { 0 } },
		.event_type = event && event->event_type.data ? event->event_type.data : "Unknown",
		.position = event ? event->position : -1,
		.error_type = error->status,
		.error_message = error->message,
		.error_stacktrace = context->stacktrace,
		.classification = report_classify(subscription, error),
		.timestamp = clock_wall(subscription->engine->clock),
		.subscription_name = subscription_title(subscription),
		.retry_count = context->retry_count,
		.sent_to_dlq = context->dlq_id != 0,
		.dlq_id = context->dlq_id,
	};
}

/* The late one is reported without its event, and then once more with it. */
static void report_keep_locked(struct tide_subscription *subscription,
			       const struct tide_error_record *record,
			       const struct report_context *context)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct failing *failing = &subscription->failing;
	if (!context->event || record->position <= subscription->position)
		return;
	if (failing->position != record->position)
		*failing = (struct failing){ .since = record->timestamp };
	failing->position = record->position;
	failing->event_id = record->event_id;
	failing->attempts = record->retry_count + 1;
	failing->next_at = record->timestamp;
	text_take_name(tide_text(record->event_type), failing->event_type);
	tide_fail(&failing->error, record->error_type, "%s", record->error_message);
}

static void report_note(struct tide_subscription *subscription, const struct tide_error *error,
			const struct report_context *context)
{
	struct tide_error_record record = report_describe(subscription, error, context);
	if (!context->is_logged)
		errors_log(&record);
	struct mono_time now = clock_mono(subscription->engine->clock);
	mutex_lock(&subscription->lock);
	error_log_add(&subscription->errors, &record, context->is_retried, now);
	subscription->error = *error;
	report_keep_locked(subscription, &record, context);
	subscription->metrics
		.errors[record.classification.category][record.classification.severity]++;
	mutex_unlock(&subscription->lock);
	errors_tell(&subscription->engine->errors, &record);
}

void report_failure(struct tide_subscription *subscription, const struct tide_error *error,
		    const struct report_context *context)
{
	atomic_store(&subscription->call, RUNNER_CALLS_BACK);
	report_note(subscription, error, context);
	atomic_store(&subscription->call, RUNNER_CALLS_QUERY);
}

enum step report_end(struct tide_subscription *subscription, const struct tide_error *error)
{
	report_failure(subscription, error, &(struct report_context){ .is_retried = false });
	return runner_give_up(subscription, error);
}

/* Whoever turns `hand.since` negative reports: the watchdog or the runner itself, never both. What
 * is handled together comes alone after that, and what is late then is reported: only a call that
 * does not end for as long again is, here. */
static bool report_claims_late(struct hand *hand, int64_t since, struct mono_time now,
			       int64_t limit)
{
	int kind = atomic_load(&hand->kind);
	if (since > 0)
		return now.ns - since >= limit &&
		       atomic_compare_exchange_strong(&hand->since, &since, -since) &&
		       kind == HAND_ALONE;
	return since < 0 && kind == HAND_TOGETHER && now.ns + since >= 2 * limit &&
	       atomic_compare_exchange_strong(&hand->kind, &kind, HAND_ALONE);
}

void report_late(struct tide_subscription *subscription, struct mono_time now)
{
	int64_t since = atomic_load(&subscription->hand.since);
	double limit = subscription->config.processing_timeout;
	/* Read before it is claimed: after that the next call may be in hand already. */
	struct tide_event in_hand = { .position = atomic_load(&subscription->hand.position),
				      .event_type = tide_text("Unknown") };
	int32_t attempt = atomic_load(&subscription->hand.attempt);
	if (!report_claims_late(&subscription->hand, since, now, ns_of_seconds(limit)))
		return;
	struct tide_error err;
	tide_fail(&err, TIDE_TIMEOUT, "handler is past processing_timeout (%g s) at position %lld",
		  limit, (long long)in_hand.position);

	mutex_lock(&subscription->lock);
	subscription->metrics.handler_timeouts++;
	mutex_unlock(&subscription->lock);

	report_note(subscription, &err,
		    &(struct report_context){ .event = &in_hand, .retry_count = attempt - 1 });
}

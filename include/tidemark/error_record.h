/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_ERROR_RECORD_H
#define TIDEMARK_ERROR_RECORD_H

#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** What kind of failure a status or message stands for. */
struct tide_classification {
	enum tide_category category;
	enum tide_severity severity;
	bool retryable;          /* whether trying again may help */
	const char *description; /* static text, or the rule's */
};

/** One failed attempt of anything a subscription does; a view, valid during the callback. */
struct tide_error_record {
	struct tide_uuid event_id; /* nil: no event */
	const char *event_type;    /* "Unknown" without an event */
	tide_position position;    /* -1 without an event */
	tide_status error_type;
	const char *error_message;
	const char *error_stacktrace; /* NULL: the handler supplied none */
	struct tide_classification classification;
	struct tide_time timestamp;
	const char *subscription_name;
	int32_t retry_count; /* attempts before this one */
	bool sent_to_dlq;    /* whether this failure was accepted by the dead-letter queue */
	int64_t dlq_id;      /* of the entry; 0: none */
};

/** Receives error records in the subscription's thread (late handlers: in a watching thread); must
 * not block for long. */
typedef void tide_error_callback(void *self, const struct tide_error_record *record);

/** Which records a callback wants. */
enum tide_error_interest { TIDE_ERRORS_ALL, TIDE_ERRORS_OF_CATEGORY, TIDE_ERRORS_OF_SEVERITY };

/** Failures of one subscription, or of all. A plain value, it owns nothing. */
struct tide_error_stats {
	int64_t total_errors;     /* error records */
	int64_t transient_errors; /* of category transient */
	int64_t permanent_errors; /* all others */
	int64_t retried_errors;   /* followed by another attempt */
	int64_t dlq_count;        /* accepted by the dead-letter queue */
	int64_t by_type[TIDE_STATUS_COUNT];
	int64_t by_category[5]; /* by enum tide_category */
	bool has_errors;        /* whether the next two are known */
	struct tide_time first_error_at;
	struct tide_time last_error_at;
	double error_rate_per_minute; /* records of the last 60 seconds */
};

/**
 * Classify a status and message by the built-in table of the specification, without any rules of a
 * user.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: the classification.
 */
struct tide_classification tide_classify(tide_status status);

/**
 * Write error statistics, or one record, as one JSON object.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_error_stats_json(const struct tide_error_stats *stats, char **ret,
				  struct tide_error *err);
tide_status tide_error_record_json(const struct tide_error_record *record, char **ret,
				   struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_ERRORS_H
#define TIDE_POLICY_ERRORS_H

/* What failures mean (rules), who is told (callbacks), and what each subscription remembers of them
 * (error_log). */

#include <tidemark/error_record.h>

#include "policy/rate.h"
#include "sys/mutex.h"

/** One user rule: a status, or a substring of the message. */
struct error_rule {
	struct error_rule *next;
	char *pattern; /* NULL: by status */
	tide_status status;
	struct tide_classification classification;
	char *description;
};

struct error_listener {
	struct error_listener *next;
	enum tide_error_interest interest;
	int which; /* the category or severity of interest */
	tide_error_callback *callback;
	void *self;
	int64_t id; /* from 1, in order of registration */
};

/** Rules and listeners of one manager. */
struct errors {
	struct mutex lock;
	/* under lock; status rules before patterns, each in order of registration */
	struct error_rule *rules;
	struct error_listener *listeners; /* under lock */
	int64_t last_id;                  /* under lock */
};

void errors_init(struct errors *errors);
void errors_fini(struct errors *errors);
/** `pattern` NULL: a rule for `status`, replacing an earlier one. TIDE_OK, TIDE_OUT_OF_MEMORY. */
tide_status errors_add_rule(struct errors *errors, const char *pattern, tide_status status,
			    const struct tide_classification *classification,
			    struct tide_error *err);
/** The first match of: the rule of the status, the patterns in order, the built-in table. */
struct tide_classification errors_classify(struct errors *errors, tide_status status,
					   const char *message);
/** The same with another built-in classification. */
struct tide_classification errors_classify_or(struct errors *errors, tide_status status,
					      const char *message,
					      struct tide_classification otherwise);
tide_status errors_listen(struct errors *errors, const struct error_listener *listener,
			  int64_t *ret, struct tide_error *err);
bool errors_unlisten(struct errors *errors, int64_t id);
/** Log a record by its severity. */
void errors_log(const struct tide_error_record *record);
/** Call everyone interested, in order: all, by category, by severity. No lock is held during a
 * call. */
void errors_tell(struct errors *errors, const struct tide_error_record *record);

/** What one subscription remembers of its failures. Guarded by the subscription's lock. */
struct error_log {
	struct tide_error_stats stats; /* but for the rate */
	struct rate rate;
	struct tide_recent_error *recent; /* ring, as long as it had to be so far: `room` */
	int32_t capacity, room;
	int32_t count;
	int32_t newest;
};

void error_log_init(struct error_log *log, int32_t capacity);
void error_log_fini(struct error_log *log);
void error_log_reset(struct error_log *log);
void error_log_add(struct error_log *log, const struct tide_error_record *record, bool is_retried,
		   struct mono_time now);
/** The newest one is 0. */
const struct tide_recent_error *error_log_recent(const struct error_log *log, int32_t index);
struct tide_error_stats error_log_stats(struct error_log *log, struct mono_time now);
/** Those of another run with it. */
void error_stats_add(struct tide_error_stats *sum, const struct tide_error_stats *one);

#endif

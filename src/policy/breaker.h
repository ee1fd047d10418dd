/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_POLICY_BREAKER_H
#define TIDE_POLICY_BREAKER_H

#include <stdbool.h>

#include "sys/clock.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

/** A circuit breaker: after too many failures in a row nothing is admitted for a while, then a
 * single probe. */
struct breaker {
	/* fixed after init */
	bool is_enabled;
	int32_t threshold;
	int64_t recovery_ns;

	enum breaker_state state;
	int32_t failures;              /* in a row */
	int32_t probes;                /* admitted while half open, not yet judged: 0 or 1 */
	struct mono_time last_failure; /* when failures > 0 */
	struct tide_time last_failure_at;
	int64_t times_opened;
};

void breaker_init(struct breaker *breaker, bool is_enabled, int32_t threshold,
		  double recovery_seconds);

/**
 * Ask to be let through. Open turns half open at the end of the recovery time, or at once when
 * `probe_now`; half open lets one probe through. An admitted call must be followed by exactly one
 * of success, failure, cancel.
 */
bool breaker_admit(struct breaker *breaker, struct mono_time now, bool probe_now);
void breaker_success(struct breaker *breaker);
/** Returns whether this failure opened it. */
bool breaker_failure(struct breaker *breaker, struct mono_time now, struct tide_time wall);
/** The probe was not made after all: the breaker is open and ready for another one. */
void breaker_cancel(struct breaker *breaker);
/** The probe succeeded and shows nothing: the next call is one as well. */
void breaker_pass(struct breaker *breaker);
void breaker_reset(struct breaker *breaker);
/** When the next probe may be made; the past when one may be made now. */
struct mono_time breaker_ready_at(const struct breaker *breaker);
const char *breaker_state_name(enum breaker_state state);

#endif

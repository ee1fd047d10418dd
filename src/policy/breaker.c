/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            threshold failures in a row
 *   CLOSED ────────────────────────────────▶ OPEN ◀──────────┐
 *      ▲                                      │ recovery      │ the probe failed
 *      │            the probe succeeded       ▼ time passed   │
 *      └──────────────────────────────── HALF_OPEN ───────────┘
 */
#include "policy/breaker.h"

#include <assert.h>

void breaker_init(struct breaker *breaker, bool is_enabled, int32_t threshold,
		  double recovery_seconds)
{
	assert(!is_enabled || (threshold > 0 && recovery_seconds > 0));
	*breaker = (struct breaker){ .is_enabled = is_enabled,
				     .threshold = threshold,
				     .recovery_ns = ns_of_seconds(recovery_seconds) };
}

struct mono_time breaker_ready_at(const struct breaker *breaker)
{
	return breaker->state == BREAKER_OPEN
		       ? mono_add(breaker->last_failure, breaker->recovery_ns)
		       : (struct mono_time){ 0 };
}

bool breaker_admit(struct breaker *breaker, struct mono_time now, bool probe_now)
{
	assert(breaker->probes == 0 || breaker->probes == 1);
	if (!breaker->is_enabled || breaker->state == BREAKER_CLOSED)
		return true;
	if (breaker->state == BREAKER_OPEN) {
		if (!probe_now && now.ns < breaker_ready_at(breaker).ns)
			return false;
		breaker->state = BREAKER_HALF_OPEN;
		breaker->probes = 0;
	}
	if (breaker->probes > 0)
		return false;
	breaker->probes = 1;
	return true;
}

void breaker_success(struct breaker *breaker)
{
	breaker_reset(breaker);
}

bool breaker_failure(struct breaker *breaker, struct mono_time now, struct tide_time wall)
{
	if (!breaker->is_enabled)
		return false;
	breaker->failures += breaker->failures < INT32_MAX;
	breaker->last_failure = now;
	breaker->last_failure_at = wall;
	breaker->probes = 0;
	if (breaker->state == BREAKER_CLOSED && breaker->failures < breaker->threshold)
		return false;
	bool was_open = breaker->state == BREAKER_OPEN;
	breaker->state = BREAKER_OPEN;
	breaker->times_opened += !was_open;
	assert(breaker->times_opened > 0);
	return !was_open;
}

void breaker_cancel(struct breaker *breaker)
{
	if (breaker->state != BREAKER_HALF_OPEN)
		return;
	assert(breaker->failures > 0);
	/* Open with its recovery time over: the next call may probe. */
	breaker->state = BREAKER_OPEN;
	breaker->probes = 0;
	breaker->last_failure.ns -= breaker->recovery_ns;
}

void breaker_pass(struct breaker *breaker)
{
	breaker->probes = 0;
}

void breaker_reset(struct breaker *breaker)
{
	breaker->state = BREAKER_CLOSED;
	breaker->failures = 0;
	breaker->probes = 0;
}

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = { "closed", "half_open", "open" };
	return names[state];
}

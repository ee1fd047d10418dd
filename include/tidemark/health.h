/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_HEALTH_H
#define TIDEMARK_HEALTH_H

#include <tidemark/subscription.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** How well something is, from best to worst. */
enum tide_health_status {
	TIDE_HEALTHY,
	TIDE_HEALTH_UNKNOWN,
	TIDE_DEGRADED,
	TIDE_UNHEALTHY,
	TIDE_CRITICAL
};

/** Thresholds of health. Starts from TIDE_HEALTH_CONFIG_DEFAULT; numbers >= 0, warning <= critical. */
struct tide_health_config {
	double max_error_rate_per_minute;      /* 10 */
	int64_t max_errors_warning;            /* 10 */
	int64_t max_errors_critical;           /* 100 */
	int64_t max_lag_events_warning;        /* 1000 */
	int64_t max_lag_events_critical;       /* 10000 */
	int64_t max_dlq_events_warning;        /* 10 */
	int64_t max_dlq_events_critical;       /* 100 */
	double backpressure_warning_seconds;   /* 60 */
	double backpressure_critical_seconds;  /* 300 */
	bool circuit_open_is_unhealthy;        /* true; false: degraded */
};

/* clang-format off */
#define TIDE_HEALTH_CONFIG_DEFAULT {                                     \
	.max_error_rate_per_minute = 10.0,                               \
	.max_errors_warning = 10, .max_errors_critical = 100,            \
	.max_lag_events_warning = 1000, .max_lag_events_critical = 10000, \
	.max_dlq_events_warning = 10, .max_dlq_events_critical = 100,    \
	.backpressure_warning_seconds = 60.0,                            \
	.backpressure_critical_seconds = 300.0,                          \
	.circuit_open_is_unhealthy = true }
/* clang-format on */

/**
 * Name a health status: "healthy", "unknown", "degraded", "unhealthy", "critical".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_health_status_name(enum tide_health_status status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDEMARK_HEALTH_H
#define TIDEMARK_HEALTH_H

#include <tidemark/why.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct tide_manager;

/** How well something is, from best to worst. */
enum tide_health_status {
	TIDE_HEALTHY,
	TIDE_HEALTH_UNKNOWN,
	TIDE_DEGRADED,
	TIDE_UNHEALTHY,
	TIDE_CRITICAL
};

/** Thresholds of health. Starts from TIDE_HEALTH_CONFIG_DEFAULT; numbers >= 0, warning <=
 * critical. */
struct tide_health_config {
	double max_error_rate_per_minute;     /* 10 */
	int64_t max_errors_warning;           /* 10 */
	int64_t max_errors_critical;          /* 100 */
	int64_t max_lag_events_warning;       /* 1000 */
	int64_t max_lag_events_critical;      /* 10000 */
	int64_t max_dlq_events_warning;       /* 10 */
	int64_t max_dlq_events_critical;      /* 100 */
	double backpressure_warning_seconds;  /* 60 */
	double backpressure_critical_seconds; /* 300 */
	bool circuit_open_is_unhealthy;       /* true; false: degraded */
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

/** What a subscription's health is judged by, in this order. */
enum tide_indicator_kind {
	TIDE_INDICATOR_STATE,
	TIDE_INDICATOR_ERRORS,
	TIDE_INDICATOR_LAG,
	TIDE_INDICATOR_BACKPRESSURE,
	TIDE_INDICATOR_HANDLER_BREAKER,
	TIDE_INDICATOR_INFRA_BREAKER,
	TIDE_INDICATOR_DLQ,
	TIDE_INDICATOR_STORE,
	TIDE_INDICATOR_HANDLER,
	TIDE_INDICATORS /* the number of them */
};

/** One indicator of a subscription; its details are members of the subscription's health. */
struct tide_indicator {
	enum tide_indicator_kind kind;
	enum tide_health_status status;
	char message[600];
	/* the one that was reached, when degraded or critical; 0: there is none */
	double threshold;
};

/** Whether a database answers. */
enum tide_availability {
	TIDE_AVAILABILITY_UNKNOWN, /* it was not asked yet */
	TIDE_AVAILABLE,
	TIDE_UNAVAILABLE /* the last operation on it failed, or it has not answered in time */
};

/** How well one subscription is. A plain value, it owns nothing. */
struct tide_subscription_health {
	char name[TIDE_NAME_MAX + 1];
	enum tide_health_status status; /* of its worst indicator */
	struct tide_time timestamp;
	/* false: its lock was not to be had in time, and nothing else is known */
	bool is_responsive;
	enum tide_state state;
	bool standby;
	int64_t events_processed;     /* this run */
	int64_t events_failed;        /* this run */
	double error_rate_per_minute; /* error records of the last 60 seconds */
	struct tide_error last_error; /* status TIDE_OK: none */
	double uptime_seconds;        /* of this run */
	int64_t lag_events;
	bool lag_stale; /* the store could not be asked in time */
	/* who holds back committed events by an open append; empty: nobody */
	char waiting_for[TIDE_WAITING_FOR_SIZE];
	bool backpressure;
	double backpressure_seconds; /* how long the flag is set while live */
	int64_t in_flight;
	int64_t in_flight_peak;
	int64_t pause_count; /* how often the reader was blocked */
	struct tide_breaker_status handler_breaker;
	struct tide_breaker_status infra_breaker;
	int64_t dlq_count;              /* unresolved dead letters, as last known */
	double running_seconds;         /* of the handler call in progress; 0: none */
	tide_position running_position; /* of its first event; 0: none */
	struct tide_indicator indicators[TIDE_INDICATORS];
	bool lag_known;              /* false: the feed end was never known, and lag_events is 0 */
	enum tide_availability feed; /* the database of the events */
	/* the one of checkpoints, dead letters and ownership; may be the same */
	enum tide_availability checkpoints;
	double unavailable_seconds;    /* since one of them has been unavailable; 0: none is */
	struct tide_error store_error; /* the last failure, while one is unavailable */
	char paused_by[256];           /* who paused it durably; empty: nobody has */
	char pause_note[501];          /* with paused_by; empty: none */
	struct tide_time paused_at;    /* with paused_by */
	/* why it is not further, as its process knows it, in the words of tide_subscription_why;
	 * empty: it is well */
	char reason[1200];
	enum tide_cause cause; /* of `reason` */
	/* a lane that no process has had for twice the lease; empty: each is somebody's */
	char unowned_lane[TIDE_NAME_MAX + 1];
	struct tide_time unowned_since; /* with unowned_lane */
};

/** How well a manager and its subscriptions are. Release it with tide_health_fini. */
struct tide_health {
	enum tide_health_status
		/* of the worst subscription; unknown counts as degraded; no subscription:
		 * unknown */
		status;
	/* false: its lock was not to be had in time; all are counted unhealthy, none is listed */
	bool is_responsive;
	bool running;
	struct tide_time timestamp;
	double uptime_seconds;
	size_t subscription_count;
	int64_t healthy_count;
	int64_t degraded_count;  /* degraded and unknown */
	int64_t unhealthy_count; /* unhealthy and critical */
	int64_t total_events_processed;
	int64_t total_events_failed;
	int64_t total_lag_events;
	/* subscription_count of them, in order of registration */
	struct tide_subscription_health *subscriptions;
};

/** Whether a manager does its work. Release it with tide_readiness_fini. */
struct tide_readiness {
	bool ready;
	char *reason;
	bool running;
	bool shutting_down;
	size_t subscription_count;
	bool lists_errors; /* `names` are in error; else they are still starting */
	char **names;      /* name_count of them, in order of registration */
	size_t name_count;
	struct tide_time timestamp;
	/* since a database of a subscription has been unavailable; 0: none is */
	double unavailable_seconds;
};

/** Whether a process still works or had better be restarted. A plain value, it owns nothing. */
struct tide_liveness {
	bool alive;
	char reason[64 + TIDE_NAME_MAX];
	bool running;
	double uptime_seconds;
	bool lock_responsive;
	size_t subscription_count;
	struct tide_time timestamp;
};

/**
 * Name whether a database answers, as written in JSON: "unknown", "available", "unavailable".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_availability_name(enum tide_availability availability);

/**
 * Name an indicator, such as "handler_circuit_breaker".
 *
 * Owns:    nothing; the text is static.
 * Threads: any.
 * Returns: the name.
 */
const char *tide_indicator_name(enum tide_indicator_kind kind);

/**
 * Judge a manager and every subscription of it by the thresholds it was opened with.
 *
 * Answers within 1.5 seconds, whatever hangs: what the databases cannot say in time is as last
 * known.
 *
 * Owns:    the caller owns what `*ret` holds; release it with tide_health_fini.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_health(struct tide_manager *manager, struct tide_health *ret,
				struct tide_error *err);

/**
 * Judge one subscription, within 1.5 seconds. While a manager does not answer, any name is reported
 * as not responsive.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_NOT_FOUND, TIDE_ARGUMENT.
 */
tide_status tide_subscription_health(struct tide_manager *manager, const char *name,
				     struct tide_subscription_health *ret, struct tide_error *err);

/**
 * Tell whether a manager is ready: running, not shutting down, no subscription starting or in
 * error, and no database unavailable for more than 5 seconds. It asks the databases, and answers
 * within 1.5 seconds; a manager whose lock is not to be had by then is not ready.
 *
 * Owns:    the caller owns what `*ret` holds; release it with tide_readiness_fini.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_manager_readiness(struct tide_manager *manager, struct tide_readiness *ret,
				   struct tide_error *err);

/**
 * Tell whether a manager is alive: its locks answer within a second, and no thread of a
 * subscription has died.
 *
 * A manager that does not run is alive, and so is one whose handlers hang.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT.
 */
tide_status tide_manager_liveness(struct tide_manager *manager, struct tide_liveness *ret,
				  struct tide_error *err);

/**
 * Tell the HTTP status that answers a probe: 200 when healthy, ready or alive, else 503. NULL is
 * 503.
 *
 * Owns:    nothing.
 * Threads: any.
 * Returns: 200 or 503.
 */
int tide_health_http_status(const struct tide_health *health);
int tide_readiness_http_status(const struct tide_readiness *readiness);
int tide_liveness_http_status(const struct tide_liveness *liveness);

/**
 * Release what a health or readiness holds; NULL and all zero are allowed.
 *
 * Owns:    releases the members, not the struct.
 * Threads: one.
 * Returns: nothing.
 */
void tide_health_fini(struct tide_health *health);
void tide_readiness_fini(struct tide_readiness *readiness);
static inline void tide_health_fini_cleanup(struct tide_health *health)
{
	tide_health_fini(health);
}
static inline void tide_readiness_fini_cleanup(struct tide_readiness *readiness)
{
	tide_readiness_fini(readiness);
}

/**
 * Write a health, a readiness or a liveness as one JSON object.
 *
 * Owns:    the caller owns `*ret`; release it with tide_free.
 * Threads: any.
 * Returns: TIDE_OK, TIDE_ARGUMENT, TIDE_OUT_OF_MEMORY.
 */
tide_status tide_health_json(const struct tide_health *health, char **ret, struct tide_error *err);
tide_status tide_subscription_health_json(const struct tide_subscription_health *health, char **ret,
					  struct tide_error *err);
tide_status tide_readiness_json(const struct tide_readiness *readiness, char **ret,
				struct tide_error *err);
tide_status tide_liveness_json(const struct tide_liveness *liveness, char **ret,
			       struct tide_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

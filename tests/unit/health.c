/* SPDX-License-Identifier: Apache-2.0 */
/* Health, readiness and liveness of real managers: every indicator, every text, and answers in time whatever hangs. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include <tidemark/backend.h>

#include "supervise/health.h"
#include "supervise/manager.h"
#include "sys/thread.h"

#define HEALTH_KEYS                                                                                                    \
	"status running subscription_count healthy_count degraded_count unhealthy_count total_events_processed "       \
	"total_events_failed total_lag_events uptime_seconds timestamp subscriptions"
#define MEMBER_KEYS                                                                                                    \
	"name status state events_processed events_failed lag_events error_rate last_error uptime_seconds indicators"
#define ANSWERS_WITHIN 1.5
/* Most of that is what the library waits; a machine with other work may take the rest, but not each time. */
#define ANSWERS(...)                                                                                                   \
	do {                                                                                                           \
		int answers_tries = 0;                                                                                 \
		double answers_since;                                                                                  \
		do {                                                                                                   \
			assert_in_range(++answers_tries, 1, 5);                                                        \
			answers_since = seconds_now();                                                                 \
			__VA_ARGS__;                                                                                   \
		} while (seconds_now() - answers_since >= ANSWERS_WITHIN);                                             \
	} while (0)

static struct tide_subscription_health health_of(struct rig *rig)
{
	struct tide_subscription_health health;
	must(tide_subscription_health(rig->manager, "Totals", &health, err));
	return health;
}

/** The status and message of one indicator, as "degraded: Subscription is paused". */
static const char *says(struct rig *rig, enum tide_indicator_kind kind)
{
	static char text[700];
	struct tide_subscription_health health = health_of(rig);
	snprintf(text, sizeof text, "%s: %s", tide_health_status_name(health.indicators[kind].status),
		 health.indicators[kind].message);
	return text;
}

#define SAYS(rig, kind, text) assert_string_equal(says(rig, TIDE_INDICATOR_##kind), text)
#define COMES_TO_SAY(rig, kind, text) wait_for(10, strcmp(says(rig, TIDE_INDICATOR_##kind), text) == 0)

static char *health_json_of(struct rig *rig)
{
	struct tide_health health;
	char *json;
	must(tide_manager_health(rig->manager, &health, err));
	must(tide_health_json(&health, &json, err));
	tide_health_fini(&health);
	return json;
}

/* ---- The rules, at both sides of every threshold ------------------------------------------------------------- */

static struct tide_subscription_health judged(struct tide_subscription_health health)
{
	static const struct tide_health_config config = TIDE_HEALTH_CONFIG_DEFAULT;
	health.is_responsive = true;
	health_judge(&health, &config, 30.0);
	return health;
}

#define LIVE(...) judged((struct tide_subscription_health){ .state = TIDE_STATE_LIVE, __VA_ARGS__ })
#define JUDGES(kind, expected, text, ...)                                                                              \
	do {                                                                                                           \
		struct tide_subscription_health judged_health = LIVE(__VA_ARGS__);                                     \
		const struct tide_indicator *judged_one = &judged_health.indicators[TIDE_INDICATOR_##kind];            \
		assert_string_equal(judged_one->message, text);                                                        \
		assert_int_equal(judged_one->status, expected);                                                        \
		assert_int_equal(judged_health.status, expected);                                                      \
	} while (0)

static void thresholds_are_reached_at_their_value_and_not_below(void **state)
{
	(void)state;
	JUDGES(ERRORS, TIDE_HEALTHY, "Error rate within acceptable limits", .events_failed = 9,
	       .error_rate_per_minute = 10);
	JUDGES(ERRORS, TIDE_DEGRADED, "Elevated error count: 10", .events_failed = 10);
	JUDGES(ERRORS, TIDE_DEGRADED, "Elevated error count: 99", .events_failed = 99);
	JUDGES(ERRORS, TIDE_CRITICAL, "Critical error count: 100", .events_failed = 100);
	JUDGES(ERRORS, TIDE_DEGRADED, "Elevated error count: 0", .error_rate_per_minute = 11);
	JUDGES(LAG, TIDE_HEALTHY, "Lag within limits: 999 events", .lag_events = 999);
	JUDGES(LAG, TIDE_DEGRADED, "High lag: 1000 events behind", .lag_events = 1000);
	JUDGES(LAG, TIDE_DEGRADED, "High lag: 9999 events behind", .lag_events = 9999);
	JUDGES(LAG, TIDE_CRITICAL, "Critical lag: 10000 events behind", .lag_events = 10000);
	JUDGES(BACKPRESSURE, TIDE_HEALTHY, "No backpressure", .backpressure_seconds = 400);
	JUDGES(BACKPRESSURE, TIDE_HEALTHY, "Subscription experiencing backpressure", .backpressure = true,
	       .backpressure_seconds = 59.9);
	JUDGES(BACKPRESSURE, TIDE_DEGRADED, "Subscription experiencing backpressure", .backpressure = true,
	       .backpressure_seconds = 60);
	JUDGES(BACKPRESSURE, TIDE_DEGRADED, "Subscription experiencing backpressure", .backpressure = true,
	       .backpressure_seconds = 299.9);
	JUDGES(BACKPRESSURE, TIDE_CRITICAL, "Subscription experiencing backpressure", .backpressure = true,
	       .backpressure_seconds = 300);
	JUDGES(DLQ, TIDE_HEALTHY, "DLQ is empty", .dlq_count = 0);
	JUDGES(DLQ, TIDE_HEALTHY, "DLQ has 9 events", .dlq_count = 9);
	JUDGES(DLQ, TIDE_DEGRADED, "DLQ backlog: 10 events", .dlq_count = 10);
	JUDGES(DLQ, TIDE_DEGRADED, "DLQ backlog: 99 events", .dlq_count = 99);
	JUDGES(DLQ, TIDE_CRITICAL, "Critical DLQ backlog: 100 events", .dlq_count = 100);
	JUDGES(HANDLER, TIDE_HEALTHY, "Handler responsive", .running_seconds = 29.9, .running_position = 7);
	JUDGES(HANDLER, TIDE_UNHEALTHY, "Handler stuck for 30 s at position 7", .running_seconds = 30,
	       .running_position = 7);
}

static void the_clocks_of_backpressure_run_only_while_live(void **state)
{
	(void)state;
	struct tide_subscription_health health = judged((struct tide_subscription_health){
		.state = TIDE_STATE_CATCHING_UP, .backpressure = true, .backpressure_seconds = 400 });
	assert_int_equal(health.indicators[TIDE_INDICATOR_BACKPRESSURE].status, TIDE_HEALTHY);
}

static void who_stands_by_is_healthy_whatever_the_lag(void **state)
{
	(void)state;
	struct tide_subscription_health health = judged((struct tide_subscription_health){
		.state = TIDE_STATE_STARTING, .standby = true, .lag_events = 20000 });
	assert_int_equal(health.status, TIDE_HEALTHY);
	assert_string_equal(health.indicators[TIDE_INDICATOR_STATE].message, "Subscription is standing by");
	assert_string_equal(health.indicators[TIDE_INDICATOR_LAG].message, "Lag within limits: 20000 events");
	health = judged((struct tide_subscription_health){ .state = TIDE_STATE_STARTING });
	assert_int_equal(health.status, TIDE_HEALTH_UNKNOWN);
	assert_string_equal(health.indicators[TIDE_INDICATOR_STATE].message, "Unknown state: starting");
}

/* ---- Real subscriptions -------------------------------------------------------------------------------------- */

static void health_has_its_keys_in_order(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "sqlite:%d/store.db");
	rig_settle(&rig, "Good");
	char *json = health_json_of(&rig);
	json_keys_are(json, "", HEALTH_KEYS);
	json_keys_are(json, "subscriptions.0", MEMBER_KEYS);
	static const struct {
		const char *name, *details;
	} indicators[] = {
		{ "\"state\"", "state" },
		{ "\"errors\"", "total_errors error_rate_per_minute" },
		{ "\"lag\"", "lag_events" },
		{ "\"backpressure\"", "is_backpressured events_in_flight peak_in_flight pause_count" },
		{ "\"handler_circuit_breaker\"", "state failure_count" },
		{ "\"infra_circuit_breaker\"", "state failure_count" },
		{ "\"dlq\"", "dlq_count" },
		{ "\"handler\"", "running_seconds position" },
	};
	for (size_t i = 0; i < 8; i++) {
		char path[64];
		snprintf(path, sizeof path, "subscriptions.0.indicators.%zu", i);
		json_keys_are(json, path, "name status message details");
		snprintf(path, sizeof path, "subscriptions.0.indicators.%zu.name", i);
		JSON_IS(json, path, indicators[i].name);
		snprintf(path, sizeof path, "subscriptions.0.indicators.%zu.details", i);
		json_keys_are(json, path, indicators[i].details);
	}
	JSON_IS(json, "status", "\"healthy\"");
	JSON_IS(json, "running", "true");
	JSON_IS(json, "healthy_count", "1");
	JSON_IS(json, "total_events_processed", "1");
	tide_free(json);
	struct tide_subscription_health one = health_of(&rig);
	must(tide_subscription_health_json(&one, &json, err));
	json_keys_are(json, "", "status subscription_name timestamp uptime_seconds indicators");
	JSON_IS(json, "subscription_name", "\"Totals\"");
	tide_free(json);
	struct tide_subscription_health none;
	refused(TIDE_NOT_FOUND, tide_subscription_health(rig.manager, "Nobody", &none, err));
	rig_close(&rig);
}

static void each_state_has_its_text(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.continue_on_error = false;
	rig_subscribe(&rig);
	SAYS(&rig, STATE, "degraded: Subscription is stopped");
	rig_append(&rig, "Good");
	rig_append(&rig, "Good");
	atomic_store(&rig.script.is_closed, true);
	rig_start_to(&rig, 0);
	rig_await_inside(&rig);
	SAYS(&rig, STATE, "healthy: Subscription is catching up on historical events");
	atomic_store(&rig.script.is_closed, false);
	rig_await(&rig, TIDE_STATE_LIVE);
	SAYS(&rig, STATE, "healthy: Subscription is live and processing events");
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	SAYS(&rig, STATE, "degraded: Subscription is paused");
	assert_true(tide_manager_resume(rig.manager, "Totals"));
	rig_append(&rig, "Bad");
	rig_await(&rig, TIDE_STATE_ERROR);
	SAYS(&rig, STATE, "unhealthy: Subscription in error state: bad event");
	char *json = health_json_of(&rig);
	json_keys_are(json, "subscriptions.0.indicators.0.details", "state error");
	JSON_IS(json, "subscriptions.0.last_error", "\"bad event\"");
	JSON_IS(json, "unhealthy_count", "1");
	tide_free(json);
	rig_close(&rig);
}

static void a_manager_is_as_well_as_its_worst_subscription(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	must(tide_manager_unsubscribe(rig.manager, "Totals", err));
	char *json = health_json_of(&rig);
	JSON_IS(json, "status", "\"unknown\"");
	JSON_IS(json, "subscriptions", "[]");
	tide_free(json);
	rig_subscribe_as(&rig, "A", NULL);
	rig_subscribe_as(&rig, "B", NULL);
	rig_start(&rig);
	assert_true(tide_manager_pause(rig.manager, "A", TIDE_PAUSE_MANUAL));
	json = health_json_of(&rig);
	JSON_IS(json, "status", "\"degraded\"");
	JSON_IS(json, "healthy_count", "1");
	JSON_IS(json, "degraded_count", "1");
	JSON_IS(json, "unhealthy_count", "0");
	tide_free(json);
	rig_close(&rig);
}

static void failures_and_dead_letters_degrade_at_their_thresholds(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "sqlite:%d/store.db");
	rig.health.max_errors_warning = rig.health.max_dlq_events_warning = 2;
	rig.health.max_errors_critical = rig.health.max_dlq_events_critical = 3;
	rig_begin(&rig);
	SAYS(&rig, DLQ, "healthy: DLQ is empty");
	rig_settle(&rig, "Bad");
	SAYS(&rig, ERRORS, "healthy: Error rate within acceptable limits");
	SAYS(&rig, DLQ, "healthy: DLQ has 1 events");
	rig_settle(&rig, "Bad");
	SAYS(&rig, ERRORS, "degraded: Elevated error count: 2");
	SAYS(&rig, DLQ, "degraded: DLQ backlog: 2 events");
	char *json = health_json_of(&rig);
	json_keys_are(json, "subscriptions.0.indicators.1.details",
		      "total_errors error_rate_per_minute warning_threshold");
	JSON_IS(json, "subscriptions.0.indicators.1.details.warning_threshold", "2");
	json_keys_are(json, "subscriptions.0.indicators.6.details", "dlq_count warning_threshold");
	tide_free(json);
	rig_settle(&rig, "Bad");
	SAYS(&rig, ERRORS, "critical: Critical error count: 3");
	SAYS(&rig, DLQ, "critical: Critical DLQ backlog: 3 events");
	json = health_json_of(&rig);
	json_keys_are(json, "subscriptions.0.indicators.1.details", "total_errors error_rate_per_minute threshold");
	JSON_IS(json, "subscriptions.0.indicators.6.details.threshold", "3");
	JSON_IS(json, "total_events_failed", "3");
	tide_free(json);
	rig_close(&rig);
}

static void many_records_in_a_minute_degrade(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.health.max_error_rate_per_minute = 2;
	rig_begin(&rig);
	atomic_store(&rig.script.failures, 2);
	rig_settle(&rig, "Good");
	SAYS(&rig, ERRORS, "healthy: Error rate within acceptable limits");
	atomic_store(&rig.script.failures, 1);
	rig_settle(&rig, "Good");
	SAYS(&rig, ERRORS, "degraded: Elevated error count: 0");
	rig_close(&rig);
}

static void lag_degrades_at_its_thresholds(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.health.max_lag_events_warning = 2;
	rig.health.max_lag_events_critical = 3;
	rig_begin(&rig);
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	rig_append(&rig, "Good");
	SAYS(&rig, LAG, "healthy: Lag within limits: 1 events");
	rig_append(&rig, "Good");
	SAYS(&rig, LAG, "degraded: High lag: 2 events behind");
	rig_append(&rig, "Good");
	SAYS(&rig, LAG, "critical: Critical lag: 3 events behind");
	rig_close(&rig);
}

static void a_full_read_ahead_degrades_after_a_while_when_live(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.health.backpressure_warning_seconds = 0.05;
	rig.health.backpressure_critical_seconds = 0.3;
	rig.config.batch_size = 2;
	rig.config.max_in_flight = 4;
	rig.config.backpressure_threshold = 0.5;
	rig_begin(&rig);
	SAYS(&rig, BACKPRESSURE, "healthy: No backpressure");
	atomic_store(&rig.script.is_closed, true);
	rig_append(&rig, "Good");
	rig_await_inside(&rig);
	append_many(rig.store, stream_of("Rig", 2), 1, 8);
	atomic_store(&rig.script.passes, 1);
	wait_for(10, atomic_load(&rig.script.calls) == 2);
	assert_int_equal(tide_subscription_state(rig.subscription), TIDE_STATE_LIVE);
	COMES_TO_SAY(&rig, BACKPRESSURE, "degraded: Subscription experiencing backpressure");
	COMES_TO_SAY(&rig, BACKPRESSURE, "critical: Subscription experiencing backpressure");
	atomic_store(&rig.script.is_closed, false);
	COMES_TO_SAY(&rig, BACKPRESSURE, "healthy: No backpressure");
	rig_close(&rig);
}

static void a_full_read_ahead_is_normal_while_catching_up(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.health.backpressure_warning_seconds = rig.health.backpressure_critical_seconds = 0;
	rig.config.batch_size = 2;
	rig.config.max_in_flight = 4;
	rig.config.backpressure_threshold = 0.5;
	rig_subscribe(&rig);
	append_many(rig.store, stream_of("Rig", 2), 1, 8);
	atomic_store(&rig.script.is_closed, true);
	rig_start_to(&rig, 0);
	rig_await_inside(&rig);
	SAYS(&rig, BACKPRESSURE, "healthy: Subscription experiencing backpressure");
	rig_close(&rig);
}

static void breakers_are_told(void **state)
{
	(void)state;
	for (int is_unhealthy = 0; is_unhealthy < 2; is_unhealthy++) {
		struct rig rig;
		rig_open(&rig, "memory:%n");
		rig.health.circuit_open_is_unhealthy = is_unhealthy;
		rig.config.circuit_breaker_failure_threshold = 1;
		rig.config.circuit_breaker_recovery_timeout = 3600;
		rig_subscribe(&rig);
		SAYS(&rig, HANDLER_BREAKER, "healthy: Circuit breaker is CLOSED - normal operation");
		SAYS(&rig, INFRA_BREAKER, "healthy: Circuit breaker is CLOSED - normal operation");
		atomic_store(&rig.script.failures, 1);
		rig_append(&rig, "Good");
		rig_start(&rig);
		rig_await(&rig, TIDE_STATE_PAUSED);
		SAYS(&rig, HANDLER_BREAKER,
		     is_unhealthy ? "unhealthy: Circuit breaker is OPEN - requests blocked"
				  : "degraded: Circuit breaker is OPEN - requests blocked");
		atomic_store(&rig.script.is_closed, true);
		assert_true(tide_manager_resume(rig.manager, "Totals")); /* a manual probe */
		wait_for(10, atomic_load(&rig.script.calls) == 2);
		SAYS(&rig, HANDLER_BREAKER, "degraded: Circuit breaker is HALF_OPEN - testing recovery");
		rig_close(&rig);
	}
}

static void the_breaker_of_databases_is_told(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "fault:op=save,status=busy,times=-1/memory:%n");
	rig.config.circuit_breaker_failure_threshold = 2;
	rig.config.circuit_breaker_recovery_timeout = 3600;
	rig.config.shutdown_timeout = 0.2;
	rig.shutdown_timeout = 0.2;
	rig_begin(&rig);
	rig_append(&rig, "Good");
	COMES_TO_SAY(&rig, INFRA_BREAKER, "unhealthy: Circuit breaker is OPEN - requests blocked");
	SAYS(&rig, HANDLER_BREAKER, "healthy: Circuit breaker is CLOSED - normal operation");
	rig_close(&rig);
}

static void a_stuck_handler_is_told_and_does_not_end_liveness(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.processing_timeout = 0.05;
	rig_begin(&rig);
	SAYS(&rig, HANDLER, "healthy: Handler responsive");
	atomic_store(&rig.script.is_closed, true);
	rig_append(&rig, "Good");
	COMES_TO_SAY(&rig, HANDLER, "unhealthy: Handler stuck for 0 s at position 1");
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_true(liveness.alive);
	struct tide_error_stats stats;
	wait_for(10, tide_manager_error_stats(rig.manager, "Totals", &stats, NULL) == TIDE_OK &&
			     stats.by_type[TIDE_TIMEOUT] == 1);
	rig_close(&rig);
}

/* ---- Readiness ----------------------------------------------------------------------------------------------- */

static void ready_is(struct rig *rig, bool is_ready, const char *reason, const char *details)
{
	struct tide_readiness readiness;
	must(tide_manager_readiness(rig->manager, &readiness, err));
	assert_string_equal(readiness.reason, reason);
	assert_int_equal(readiness.ready, is_ready);
	char *json;
	must(tide_readiness_json(&readiness, &json, err));
	json_keys_are(json, "", "ready reason details timestamp");
	json_keys_are(json, "details", details);
	tide_free(json);
	tide_readiness_fini(&readiness);
}

#define READY_KEYS "running subscription_count shutting_down"

static void readiness_gives_its_first_reason(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.continue_on_error = false;
	rig_subscribe_as(&rig, "Second", NULL);
	rig_subscribe_as(&rig, "Totals", NULL);
	ready_is(&rig, false, "Manager is not running", READY_KEYS);
	rig_start(&rig);
	ready_is(&rig, true, "Manager is ready", READY_KEYS);
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	must(tide_manager_stop(rig.manager, (const char *const[]){ "Second", NULL }, 0, err));
	ready_is(&rig, true, "Manager is ready", READY_KEYS);
	must(tide_manager_start(rig.manager, NULL, 10, NULL, NULL, err));
	assert_true(tide_manager_resume(rig.manager, "Totals"));
	rig_append(&rig, "Bad");
	rig_await(&rig, TIDE_STATE_ERROR);
	rig.subscription = tide_manager_subscription(rig.manager, "Second");
	rig_await(&rig, TIDE_STATE_ERROR);
	ready_is(&rig, false, "Subscriptions in error state: Second, Totals", READY_KEYS " error_subscriptions");
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	ready_is(&rig, false, "Manager is shutting down", READY_KEYS);
	rig_close(&rig);
}

/* ---- Whatever hangs ------------------------------------------------------------------------------------------ */

/* A memory store whose feed end cannot be read while the gate is closed. */
static struct tide_backend slow;
static tide_status (*slow_end)(void *session, tide_position *ret, struct tide_error *err);
static tide_status (*slow_lease)(void *session, const char *name, const struct tide_uuid *owner, struct tide_lease *ret,
				 struct tide_error *err);
static atomic_bool is_end_closed, is_lease_closed, is_lease_asked;

static tide_status slow_read_end(void *session, tide_position *ret, struct tide_error *err)
{
	while (atomic_load(&is_end_closed))
		wait_a_moment();
	return slow_end(session, ret, err);
}

static tide_status slow_acquire(void *session, const char *name, const struct tide_uuid *owner, struct tide_lease *ret,
				struct tide_error *err)
{
	atomic_store(&is_lease_asked, true);
	while (atomic_load(&is_lease_closed))
		wait_a_moment();
	return slow_lease(session, name, owner, ret, err);
}

static int slow_register(void **state)
{
	(void)state;
	slow = *tide_backend_find("memory");
	slow.scheme = "slow";
	slow_end = slow.store.end;
	slow.store.end = slow_read_end;
	slow_lease = slow.checkpoint.lease_acquire;
	slow.checkpoint.lease_acquire = slow_acquire;
	return tide_backend_register(&slow, NULL) == TIDE_OK ? 0 : -1;
}

static void start_all(void *self)
{
	rig_start_to(self, 0);
}

static void who_is_still_starting_is_not_ready(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "slow:%n");
	atomic_store(&is_lease_asked, false);
	atomic_store(&is_lease_closed, true);
	struct thread thread;
	must(thread_start(&thread, "starter", start_all, &rig, err));
	wait_for(10, atomic_load(&is_lease_asked));
	ready_is(&rig, false, "Subscriptions still starting: Totals", READY_KEYS " starting_subscriptions");
	SAYS(&rig, STATE, "unknown: Unknown state: starting");
	char *json = health_json_of(&rig);
	JSON_IS(json, "status", "\"degraded\"");
	JSON_IS(json, "degraded_count", "1");
	tide_free(json);
	atomic_store(&is_lease_closed, false);
	thread_join(&thread);
	rig_close(&rig);
}

static void who_stands_by_is_ready_and_healthy(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "memory:%n");
	struct rig other = rig;
	other.manager = NULL;
	rig_subscribe(&other);
	rig_start(&other);
	ready_is(&other, true, "Manager is ready", READY_KEYS);
	SAYS(&other, STATE, "healthy: Subscription is standing by");
	tide_manager_close(other.manager);
	rig_close(&rig);
}

static void probes_answer_in_time_when_the_store_hangs(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "slow:%n");
	rig_settle(&rig, "Good");
	assert_false(health_of(&rig).lag_stale);
	atomic_store(&is_end_closed, true);
	struct tide_subscription_health health;
	ANSWERS(health = health_of(&rig));
	assert_true(health.lag_stale);
	struct tide_subscription_status status;
	ANSWERS(must(tide_subscription_status(rig.subscription, &status, err)));
	assert_true(status.lag_stale);
	ANSWERS(tide_free(health_json_of(&rig)));
	ANSWERS(ready_is(&rig, true, "Manager is ready", READY_KEYS));
	struct tide_liveness liveness;
	ANSWERS(must(tide_manager_liveness(rig.manager, &liveness, err)));
	assert_true(liveness.alive);
	char *text;
	ANSWERS(must(tide_manager_metrics(rig.manager, &text, err)); tide_free(text));
	atomic_store(&is_end_closed, false);
	wait_for(10, !health_of(&rig).lag_stale);
	rig_close(&rig);
}

/* ---- Liveness ------------------------------------------------------------------------------------------------ */

static void liveness_has_its_keys_in_order(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	struct tide_liveness liveness;
	char *json;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	must(tide_liveness_json(&liveness, &json, err));
	json_keys_are(json, "", "alive reason details timestamp");
	json_keys_are(json, "details", "running uptime_seconds lock_responsive subscription_count");
	JSON_IS(json, "alive", "true");
	JSON_IS(json, "reason", "\"Manager is alive and responsive\"");
	JSON_IS(json, "details.running", "false");
	JSON_IS(json, "details.lock_responsive", "true");
	JSON_IS(json, "details.subscription_count", "1");
	tide_free(json);
	rig_close(&rig);
}

struct holder {
	struct mutex *lock;
	atomic_bool is_held, should_release;
};

static void hold(void *self)
{
	struct holder *holder = self;
	mutex_lock(holder->lock);
	atomic_store(&holder->is_held, true);
	while (!atomic_load(&holder->should_release))
		wait_a_moment();
	mutex_unlock(holder->lock);
}

static void holding(struct rig *rig, struct mutex *lock, void (*look)(struct rig *rig))
{
	struct holder holder = { .lock = lock };
	struct thread thread;
	must(thread_start(&thread, "holder", hold, &holder, err));
	wait_for(10, atomic_load(&holder.is_held));
	look(rig);
	atomic_store(&holder.should_release, true);
	thread_join(&thread);
}

static void is_not_alive(struct rig *rig)
{
	struct tide_liveness liveness;
	ANSWERS(must(tide_manager_liveness(rig->manager, &liveness, err)));
	assert_false(liveness.alive);
	assert_false(liveness.lock_responsive);
	assert_string_equal(liveness.reason, "Internal lock not responsive (possible deadlock)");
}

static void looks_at_a_held_manager(struct rig *rig)
{
	is_not_alive(rig);
	struct tide_health health = { 0 };
	ANSWERS(tide_health_fini(&health); must(tide_manager_health(rig->manager, &health, err)));
	assert_false(health.is_responsive);
	char *json;
	must(tide_health_json(&health, &json, err));
	JSON_IS(json, "status", "\"unhealthy\"");
	JSON_IS(json, "subscription_count", "1");
	JSON_IS(json, "unhealthy_count", "1");
	JSON_IS(json, "subscriptions", "[]");
	tide_free(json);
	tide_health_fini(&health);
	ANSWERS(SAYS(rig, STATE, "unhealthy: Internal lock not responsive (possible deadlock)"));
	SAYS(rig, HANDLER, "healthy: Handler responsive");
	struct tide_readiness readiness = { 0 };
	ANSWERS(tide_readiness_fini(&readiness); must(tide_manager_readiness(rig->manager, &readiness, err)));
	assert_false(readiness.ready);
	bool is_running = atomic_load(&rig->manager->is_running);
	assert_string_equal(readiness.reason,
			    is_running ? "Internal lock not responsive (possible deadlock)" : "Manager is not running");
	tide_readiness_fini(&readiness);
}

static void looks_at_a_held_subscription(struct rig *rig)
{
	is_not_alive(rig);
	ANSWERS(SAYS(rig, STATE, "unhealthy: Internal lock not responsive (possible deadlock)"));
}

static void a_lock_that_is_not_given_back_ends_liveness(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	holding(&rig, &rig.manager->lock, looks_at_a_held_manager);
	rig_start(&rig);
	holding(&rig, &rig.manager->lock, looks_at_a_held_manager);
	holding(&rig, &rig.subscription->lock, looks_at_a_held_subscription);
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_true(liveness.alive);
	rig_close(&rig);
}

static void a_thread_that_its_handler_ends_is_missed(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "sqlite:%d/store.db");
	rig.config.checkpoint_strategy = TIDE_EVERY_EVENT;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	atomic_store(&rig.script.should_end_thread, true);
	rig_append(&rig, "Good");
	rig_await(&rig, TIDE_STATE_ERROR);
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_false(liveness.alive);
	assert_true(liveness.lock_responsive);
	assert_string_equal(liveness.reason, "Worker thread died: Totals");
	SAYS(&rig, STATE, "unhealthy: Subscription in error state: the handler ended the thread of 'Totals'");
	atomic_store(&rig.script.should_end_thread, false);
	must(tide_manager_restart(rig.manager, "Totals", err));
	must(tide_subscription_wait(rig.subscription, 2, 10, err));
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_true(liveness.alive);
	assert_int_equal(atomic_load(&rig.script.calls), 3); /* the first, the fatal one, and the fatal one again */
	rig_close(&rig);
}

static atomic_int asked_inside;

static tide_status ask_inside(void *self, const struct tide_event *event, struct tide_delivery *delivery)
{
	(void)event;
	(void)delivery;
	struct rig *rig = self;
	struct tide_health health;
	struct tide_liveness liveness;
	bool is_ok = tide_manager_health(rig->manager, &health, NULL) == TIDE_OK &&
		     tide_manager_liveness(rig->manager, &liveness, NULL) == TIDE_OK && liveness.alive;
	if (is_ok)
		tide_health_fini(&health);
	atomic_store(&asked_inside, is_ok ? 1 : -1);
	return TIDE_OK;
}

static void a_handler_may_ask_for_health(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_subscribe_as(&rig, "Quiet", (const char *const[]){ "Nothing", NULL });
	struct tide_subscriber subscriber = { .name = "Curious", .self = &rig, .handle = ask_inside };
	must(tide_manager_subscribe(rig.manager, &subscriber, &rig.config, NULL, err));
	rig_start(&rig);
	rig_append(&rig, "Good");
	wait_for(10, atomic_load(&asked_inside) != 0);
	assert_int_equal(atomic_load(&asked_inside), 1);
	rig_close(&rig);
}

static void thresholds_are_checked_when_a_manager_is_opened(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	struct tide_manager *manager;
	struct tide_health_config health = rig.health;
	health.max_lag_events_warning = 20000;
	struct tide_error why = refused(
		TIDE_ARGUMENT, tide_manager_open(TIDE_MANAGER(.store = rig.store, .health = &health), &manager, err));
	must_mention(&why, "max_lag_events");
	health = rig.health;
	health.max_error_rate_per_minute = -1;
	why = refused(TIDE_ARGUMENT,
		      tide_manager_open(TIDE_MANAGER(.store = rig.store, .health = &health), &manager, err));
	must_mention(&why, "max_error_rate_per_minute");
	health = rig.health;
	health.max_dlq_events_critical = health.max_dlq_events_warning;
	must(tide_manager_open(TIDE_MANAGER(.store = rig.store, .health = &health), &manager, err));
	tide_manager_close(manager);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thresholds_are_reached_at_their_value_and_not_below),
		cmocka_unit_test(the_clocks_of_backpressure_run_only_while_live),
		cmocka_unit_test(who_stands_by_is_healthy_whatever_the_lag),
		cmocka_unit_test(health_has_its_keys_in_order),
		cmocka_unit_test(each_state_has_its_text),
		cmocka_unit_test(a_manager_is_as_well_as_its_worst_subscription),
		cmocka_unit_test(failures_and_dead_letters_degrade_at_their_thresholds),
		cmocka_unit_test(many_records_in_a_minute_degrade),
		cmocka_unit_test(lag_degrades_at_its_thresholds),
		cmocka_unit_test(a_full_read_ahead_degrades_after_a_while_when_live),
		cmocka_unit_test(a_full_read_ahead_is_normal_while_catching_up),
		cmocka_unit_test(breakers_are_told),
		cmocka_unit_test(the_breaker_of_databases_is_told),
		cmocka_unit_test(a_stuck_handler_is_told_and_does_not_end_liveness),
		cmocka_unit_test(readiness_gives_its_first_reason),
		cmocka_unit_test(who_is_still_starting_is_not_ready),
		cmocka_unit_test(who_stands_by_is_ready_and_healthy),
		cmocka_unit_test(probes_answer_in_time_when_the_store_hangs),
		cmocka_unit_test(liveness_has_its_keys_in_order),
		cmocka_unit_test(a_lock_that_is_not_given_back_ends_liveness),
		cmocka_unit_test(a_thread_that_its_handler_ends_is_missed),
		cmocka_unit_test(a_handler_may_ask_for_health),
		cmocka_unit_test(thresholds_are_checked_when_a_manager_is_opened),
	};
	return cmocka_run_group_tests(tests, slow_register, NULL);
}

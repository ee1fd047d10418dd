/* SPDX-License-Identifier: Apache-2.0 */
/* Health of real managers: every indicator, every text. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include <tidemark/backend.h>

#include "supervise/health.h"
#include "supervise/manager.h"
#include "sys/thread.h"

#define HEALTH_KEYS                                                                                \
	"status running subscription_count healthy_count degraded_count unhealthy_count "          \
	"total_events_processed "                                                                  \
	"total_events_failed total_lag_events uptime_seconds timestamp subscriptions"
#define MEMBER_KEYS                                                                                \
	"name status state events_processed events_failed lag_events error_rate last_error "       \
	"uptime_seconds indicators"
/* ---- The rules, at both sides of every threshold --------------------------------------------- */

static struct tide_subscription_health judged(struct tide_subscription_health health)
{
	static const struct tide_health_config config = TIDE_HEALTH_CONFIG_DEFAULT;
	health.is_responsive = true;
	if (health.feed == TIDE_AVAILABILITY_UNKNOWN &&
	    health.checkpoints == TIDE_AVAILABILITY_UNKNOWN)
		health.feed = health.checkpoints = TIDE_AVAILABLE;
	health_judge(&health, &config, 30.0);
	return health;
}

#define LIVE(...) judged((struct tide_subscription_health){ .state = TIDE_STATE_LIVE, __VA_ARGS__ })
#define JUDGES(kind, expected, text, ...)                                                          \
	do {                                                                                       \
		struct tide_subscription_health judged_health = LIVE(__VA_ARGS__);                 \
		const struct tide_indicator *judged_one =                                          \
			&judged_health.indicators[TIDE_INDICATOR_##kind];                          \
		assert_string_equal(judged_one->message, text);                                    \
		assert_int_equal(judged_one->status, expected);                                    \
		assert_int_equal(judged_health.status, expected);                                  \
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
	JUDGES(BACKPRESSURE, TIDE_HEALTHY, "Subscription experiencing backpressure",
	       .backpressure = true, .backpressure_seconds = 59.9);
	JUDGES(BACKPRESSURE, TIDE_DEGRADED, "Subscription experiencing backpressure",
	       .backpressure = true, .backpressure_seconds = 60);
	JUDGES(BACKPRESSURE, TIDE_DEGRADED, "Subscription experiencing backpressure",
	       .backpressure = true, .backpressure_seconds = 299.9);
	JUDGES(BACKPRESSURE, TIDE_CRITICAL, "Subscription experiencing backpressure",
	       .backpressure = true, .backpressure_seconds = 300);
	JUDGES(DLQ, TIDE_HEALTHY, "DLQ is empty", .dlq_count = 0);
	JUDGES(DLQ, TIDE_HEALTHY, "DLQ has 9 events", .dlq_count = 9);
	JUDGES(DLQ, TIDE_DEGRADED, "DLQ backlog: 10 events", .dlq_count = 10);
	JUDGES(DLQ, TIDE_DEGRADED, "DLQ backlog: 99 events", .dlq_count = 99);
	JUDGES(DLQ, TIDE_CRITICAL, "Critical DLQ backlog: 100 events", .dlq_count = 100);
	JUDGES(HANDLER, TIDE_HEALTHY, "Handler responsive", .running_seconds = 29.9,
	       .running_position = 7);
	JUDGES(HANDLER, TIDE_UNHEALTHY, "Handler stuck for 30 s at position 7",
	       .running_seconds = 30, .running_position = 7);
}

static void databases_that_do_not_answer_are_told(void **state)
{
	(void)state;
	struct tide_error lost = { .status = TIDE_CONNECTION_LOST,
				   .message = "the server is away" };
	JUDGES(STORE, TIDE_HEALTHY, "Databases answer", .feed = TIDE_AVAILABLE,
	       .checkpoints = TIDE_AVAILABLE);
	JUDGES(STORE, TIDE_HEALTH_UNKNOWN, "Databases have not been asked", .feed = TIDE_AVAILABLE);
	JUDGES(STORE, TIDE_UNHEALTHY, "Database unavailable for 7 s: the server is away",
	       .feed = TIDE_UNAVAILABLE, .checkpoints = TIDE_AVAILABLE, .unavailable_seconds = 7.9,
	       .store_error = lost);
	JUDGES(STORE, TIDE_UNHEALTHY, "Database unavailable for 0 s: the server is away",
	       .checkpoints = TIDE_UNAVAILABLE, .store_error = lost);
	assert_string_equal(tide_availability_name(TIDE_AVAILABILITY_UNKNOWN), "unknown");
	assert_string_equal(tide_availability_name(TIDE_AVAILABLE), "available");
	assert_string_equal(tide_availability_name(TIDE_UNAVAILABLE), "unavailable");
}

static void an_unknown_lag_is_not_none(void **state)
{
	(void)state;
	JUDGES(LAG, TIDE_HEALTH_UNKNOWN, "Lag unknown", .lag_stale = true);
	JUDGES(LAG, TIDE_HEALTH_UNKNOWN, "Lag unknown, 0 events when last known", .lag_stale = true,
	       .lag_known = true);
	JUDGES(LAG, TIDE_DEGRADED, "High lag: 1000 events behind", .lag_stale = true,
	       .lag_known = true, .lag_events = 1000);
	JUDGES(LAG, TIDE_HEALTHY, "Lag within limits: 0 events", .lag_stale = true,
	       .standby = true);
	char *json;
	struct tide_subscription_health health =
		judged((struct tide_subscription_health){ .lag_stale = true });
	must(tide_subscription_health_json(&health, &json, err));
	JSON_IS(json, "indicators.2.details.lag_events", "null");
	tide_free(json);
	struct tide_subscription_status status = { .lag_stale = true };
	must(tide_subscription_status_json(&status, &json, err));
	JSON_IS(json, "lag_events", "null");
	tide_free(json);
}

static void the_clocks_of_backpressure_run_only_while_live(void **state)
{
	(void)state;
	struct tide_subscription_health health =
		judged((struct tide_subscription_health){ .state = TIDE_STATE_CATCHING_UP,
							  .backpressure = true,
							  .backpressure_seconds = 400 });
	assert_int_equal(health.indicators[TIDE_INDICATOR_BACKPRESSURE].status, TIDE_HEALTHY);
}

static void who_stands_by_is_healthy_whatever_the_lag(void **state)
{
	(void)state;
	struct tide_subscription_health health = judged((struct tide_subscription_health){
		.state = TIDE_STATE_STARTING, .standby = true, .lag_events = 20000 });
	assert_int_equal(health.status, TIDE_HEALTHY);
	assert_string_equal(health.indicators[TIDE_INDICATOR_STATE].message,
			    "Subscription is standing by");
	assert_string_equal(health.indicators[TIDE_INDICATOR_LAG].message,
			    "Lag within limits: 20000 events");
	health = judged((struct tide_subscription_health){ .state = TIDE_STATE_STARTING });
	assert_int_equal(health.status, TIDE_HEALTH_UNKNOWN);
	assert_string_equal(health.indicators[TIDE_INDICATOR_STATE].message,
			    "Unknown state: starting");
}

/* ---- Real subscriptions ---------------------------------------------------------------------- */

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
		{ "\"backpressure\"",
		  "is_backpressured events_in_flight peak_in_flight pause_count" },
		{ "\"handler_circuit_breaker\"", "state failure_count" },
		{ "\"infra_circuit_breaker\"", "state failure_count" },
		{ "\"dlq\"", "dlq_count" },
		{ "\"store\"", "feed checkpoints since_seconds" },
		{ "\"handler\"", "running_seconds position" },
	};
	for (size_t i = 0; i < 9; i++) {
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
	SAYS(&rig, STATE, "unknown: Unknown state: starting"); /* before its first start */
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
	TELLS(&rig, STATE, "degraded: 'Totals' is paused since ");
	assert_true(tide_manager_resume(rig.manager, "Totals"));
	rig_append(&rig, "Bad");
	rig_await(&rig, TIDE_STATE_ERROR);
	TELLS(&rig, STATE, "unhealthy: 'Totals' stopped at ");
	char *json = health_json_of(&rig);
	json_keys_are(json, "subscriptions.0.indicators.0.details", "state error");
	JSON_IS(json, "subscriptions.0.last_error", "\"bad event\"");
	JSON_IS(json, "unhealthy_count", "1");
	tide_free(json);
	atomic_store(&rig.script.is_healed, true);
	must(tide_manager_restart(rig.manager, "Totals", err));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	TELLS(&rig, STATE, "degraded: nobody runs 'Totals': it was stopped at ");
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
	json_keys_are(json, "subscriptions.0.indicators.1.details",
		      "total_errors error_rate_per_minute threshold");
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
		SAYS(&rig, HANDLER_BREAKER,
		     "healthy: Circuit breaker is CLOSED - normal operation");
		SAYS(&rig, INFRA_BREAKER, "healthy: Circuit breaker is CLOSED - normal operation");
		atomic_store(&rig.script.failures, 1);
		rig_append(&rig, "Good");
		rig_start(&rig);
		rig_await(&rig, TIDE_STATE_PAUSED);
		TELLS(&rig, HANDLER_BREAKER,
		      is_unhealthy ? "unhealthy: 'Totals' rests until "
				   : "degraded: 'Totals' rests until ");
		atomic_store(&rig.script.is_closed, true);
		assert_true(tide_manager_resume(rig.manager, "Totals")); /* a manual probe */
		wait_for(10, atomic_load(&rig.script.calls) == 2);
		SAYS(&rig, HANDLER_BREAKER,
		     "degraded: Circuit breaker is HALF_OPEN - testing recovery");
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

/* One probe's question succeeds all the time: it is the subscription's own write that is being
 * tried again. */
static void a_write_that_fails_makes_its_database_unavailable(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "fault:op=save,status=busy,times=-1/memory:%n");
	rig.config.circuit_breaker_enabled = false;
	rig.config.shutdown_timeout = rig.shutdown_timeout = 0.2;
	rig_subscribe(&rig);
	SAYS(&rig, STORE, "healthy: Databases answer");
	rig_start(&rig);
	SAYS(&rig, STORE, "healthy: Databases answer");
	rig_append(&rig, "Good");
	COMES_TO_TELL(&rig, STORE, "unhealthy: 'Totals' waits for a database since ");
	char *json = health_json_of(&rig);
	JSON_IS(json, "subscriptions.0.indicators.7.details.feed", "\"available\"");
	JSON_IS(json, "subscriptions.0.indicators.7.details.checkpoints", "\"unavailable\"");
	JSON_IS(json, "status", "\"unhealthy\"");
	tide_free(json);
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
	COMES_TO_TELL(&rig, HANDLER,
		      "unhealthy: the handler of 'Totals' is stuck: it has been running for ");
	struct tide_liveness liveness;
	must(tide_manager_liveness(rig.manager, &liveness, err));
	assert_true(liveness.alive);
	struct tide_error_stats stats;
	wait_for(10, tide_manager_error_stats(rig.manager, "Totals", &stats, NULL) == TIDE_OK &&
			     stats.by_type[TIDE_TIMEOUT] == 1);
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
	struct tide_error why =
		refused(TIDE_ARGUMENT,
			tide_manager_open(TIDE_MANAGER(.store = rig.store, .health = &health),
					  &manager, err));
	must_mention(&why, "max_lag_events");
	health = rig.health;
	health.max_error_rate_per_minute = -1;
	why = refused(TIDE_ARGUMENT,
		      tide_manager_open(TIDE_MANAGER(.store = rig.store, .health = &health),
					&manager, err));
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
		cmocka_unit_test(databases_that_do_not_answer_are_told),
		cmocka_unit_test(an_unknown_lag_is_not_none),
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
		cmocka_unit_test(a_write_that_fails_makes_its_database_unavailable),
		cmocka_unit_test(a_stuck_handler_is_told_and_does_not_end_liveness),
		cmocka_unit_test(thresholds_are_checked_when_a_manager_is_opened),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses and statistics of real subscriptions, and the keys under which they are told. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/states.h"

#define STATUS_KEYS                                                                                \
	"name state position lag_events events_processed events_failed events_dlq "                \
	"last_processed_at started_at "                                                            \
	"uptime_seconds error recent_errors_count events_skipped events_discarded last_event_id "  \
	"last_event_type "                                                                         \
	"previous_state pause_reason paused_at pause_duration_seconds in_flight in_flight_peak "   \
	"backpressure standby "                                                                    \
	"lag_stale waiting_for paused_by pause_note"
#define STATS_KEYS                                                                                 \
	"total_errors transient_errors permanent_errors retried_errors dlq_count errors_by_type "  \
	"errors_by_category "                                                                      \
	"first_error_at last_error_at error_rate_per_minute"
#define RECORD_KEYS                                                                                \
	"event_id event_type position error_type error_message error_stacktrace category "         \
	"severity retryable "                                                                      \
	"timestamp subscription_name retry_count sent_to_dlq dlq_id"

static char *status_of(struct rig *rig)
{
	struct tide_subscription_status status;
	char *json;
	must(tide_subscription_status(rig->subscription, &status, err));
	must(tide_subscription_status_json(&status, &json, err));
	return json;
}

static void a_status_has_its_keys_in_order(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	char *json = status_of(&rig);
	json_keys_are(json, "", STATUS_KEYS);
	JSON_IS(json, "state", "\"starting\"");
	JSON_IS(json, "started_at", "null");
	JSON_IS(json, "last_processed_at", "null");
	JSON_IS(json, "error", "null");
	JSON_IS(json, "last_event_id", "null");
	JSON_IS(json, "last_event_type", "null");
	JSON_IS(json, "previous_state", "null");
	JSON_IS(json, "pause_reason", "null");
	JSON_IS(json, "paused_at", "null");
	JSON_IS(json, "pause_duration_seconds", "null");
	tide_free(json);
	rig_close(&rig);
}

static void a_status_tells_what_happened(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "sqlite:%d/store.db");
	rig.config.event_types = (const char *const[]){ "Good", "Bad", NULL };
	rig_subscribe(&rig);
	rig_append(&rig, "Good");
	rig_append(&rig, "Other");
	rig_append(&rig, "Bad");
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 3, 10, err));
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MAINTENANCE));
	rig_append(&rig, "Good");
	char *json = status_of(&rig);
	JSON_IS(json, "name", "\"Totals\"");
	JSON_IS(json, "state", "\"paused\"");
	JSON_IS(json, "position", "3");
	JSON_IS(json, "lag_events", "1");
	JSON_IS(json, "events_processed", "2");
	JSON_IS(json, "events_failed", "1");
	JSON_IS(json, "events_dlq", "1");
	JSON_IS(json, "events_skipped", "1");
	JSON_IS(json, "events_discarded", "0");
	JSON_IS(json, "error", "\"bad event\"");
	JSON_IS(json, "recent_errors_count", "1");
	JSON_IS(json, "last_event_type", "\"Bad\"");
	JSON_IS(json, "previous_state", "\"live\"");
	JSON_IS(json, "pause_reason", "\"maintenance\"");
	JSON_IS(json, "lag_stale", "false");
	tide_free(json);
	rig_close(&rig);
}

static void every_subscription_has_a_status_in_order_of_registration(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_subscribe_as(&rig, "Second", NULL);
	rig_subscribe_as(&rig, "First", NULL);
	struct tide_subscription_status *statuses;
	size_t count;
	must(tide_manager_statuses(rig.manager, &statuses, &count, err));
	assert_int_equal(count, 2);
	assert_string_equal(statuses[0].name, "Second");
	assert_string_equal(statuses[1].name, "First");
	tide_free(statuses);
	rig_close(&rig);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

static void what_is_acquired_is_released_or_in_flight(void **state)
{
	(void)state;
	struct rig rig;
	rig_read_ahead(&rig);
	struct tide_flow_stats stats;
	must(tide_subscription_flow_stats(rig.subscription, &stats, err));
	assert_int_equal(stats.events_in_flight, 4);
	assert_int_equal(stats.peak_in_flight, 4);
	assert_int_equal(stats.total_acquisitions - stats.total_releases, 4);
	atomic_store(&rig.script.is_closed, false);
	must(tide_subscription_wait(rig.subscription, 10, 10, err));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	must(tide_subscription_flow_stats(rig.subscription, &stats, err));
	assert_int_equal(stats.events_in_flight, 0);
	assert_int_equal(stats.total_acquisitions, 10);
	assert_int_equal(stats.total_releases, 10);
	assert_true(stats.pause_count > 0);
	assert_true(stats.total_pause_time_seconds > 0);
	char *json;
	must(tide_flow_stats_json(&stats, &json, err));
	json_keys_are(json, "",
		      "events_in_flight peak_in_flight pause_count total_pause_time_seconds "
		      "total_acquisitions "
		      "total_releases");
	tide_free(json);
	rig_close(&rig);
}

static void a_filter_tells_what_it_let_through(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.event_types = (const char *const[]){ "Good", NULL };
	rig_subscribe(&rig);
	struct tide_filter_stats stats;
	must(tide_subscription_filter_stats(rig.subscription, &stats, err));
	assert_true(stats.match_rate == 1.0);
	rig_start(&rig);
	rig_settle(&rig, "Good");
	rig_settle(&rig, "Other");
	rig_settle(&rig, "Other");
	must(tide_subscription_filter_stats(rig.subscription, &stats, err));
	char *json;
	must(tide_filter_stats_json(&stats, &json, err));
	assert_string_equal(json, "{\"events_evaluated\":3,\"events_matched\":1,\"events_skipped\":"
				  "2,\"match_rate\":0.3333}");
	tide_free(json);
	rig_close(&rig);
}

static void each_operation_tells_how_often_it_was_tried(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "fault:op=save,status=busy,times=2/memory:%n");
	atomic_store(&rig.script.failures, 3);
	rig_start(&rig);
	rig_settle(&rig, "Good");
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	struct tide_retry_stats stats;
	must(tide_subscription_retry_stats(rig.subscription, TIDE_RETRY_OF_HANDLER, &stats, err));
	assert_int_equal(stats.attempts, 4);
	assert_int_equal(stats.successes, 1);
	assert_int_equal(stats.failures, 3);
	assert_true(stats.total_delay_seconds > 0);
	assert_string_equal(stats.last_error.message, "not now");
	char *json;
	must(tide_retry_stats_json(&stats, &json, err));
	json_keys_are(json, "", "attempts successes failures total_delay_seconds last_error");
	JSON_IS(json, "last_error", "\"not now\"");
	tide_free(json);
	must(tide_subscription_retry_stats(rig.subscription, TIDE_RETRY_OF_CHECKPOINT, &stats,
					   err));
	assert_int_equal(stats.failures, 2);
	assert_int_equal(stats.last_error.status, TIDE_BUSY);
	must(tide_subscription_retry_stats(rig.subscription, TIDE_RETRY_OF_OWNERSHIP, &stats, err));
	assert_int_equal(stats.successes, 1);
	refused(TIDE_ARGUMENT, tide_subscription_retry_stats(rig.subscription,
							     TIDE_RETRY_OPERATIONS, &stats, err));
	rig_close(&rig);
}

static void breakers_tell_their_state(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.circuit_breaker_failure_threshold = 2;
	rig.config.circuit_breaker_recovery_timeout = 3600;
	rig_subscribe(&rig);
	struct tide_breaker_status handler, infra;
	must(tide_subscription_breakers(rig.subscription, &handler, &infra, err));
	char *json;
	must(tide_breaker_status_json(&handler, &json, err));
	assert_string_equal(json, "{\"state\":\"closed\",\"failure_count\":0,\"last_failure_time\":"
				  "null,\"half_open_calls\":0}");
	tide_free(json);
	atomic_store(&rig.script.failures, 100);
	rig_append(&rig, "Good");
	rig_start(&rig);
	rig_await(&rig, TIDE_STATE_PAUSED);
	must(tide_subscription_breakers(rig.subscription, &handler, &infra, err));
	assert_int_equal(handler.state, TIDE_BREAKER_OPEN);
	assert_int_equal(handler.failure_count, 2);
	assert_true(handler.has_last_failure);
	assert_int_equal(infra.state, TIDE_BREAKER_CLOSED);
	must(tide_breaker_status_json(&handler, &json, err));
	JSON_IS(json, "state", "\"open\"");
	tide_free(json);
	atomic_store(&rig.script.failures, 0);
	assert_true(tide_manager_reset_breakers(rig.manager, "Totals"));
	must(tide_subscription_breakers(rig.subscription, &handler, &infra, err));
	assert_int_equal(handler.state, TIDE_BREAKER_CLOSED);
	assert_int_equal(handler.failure_count, 0);
	rig_close(&rig);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static char *last_record;
static atomic_int records;

static void keep_record(void *self, const struct tide_error_record *record)
{
	(void)self;
	tide_free(last_record);
	last_record = NULL;
	(void)tide_error_record_json(record, &last_record, NULL);
	atomic_fetch_add(&records, 1);
}

static void records_and_statistics_have_their_keys_in_order(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	rig_subscribe_as(&rig, "Others", NULL);
	int64_t id;
	must(tide_manager_on_error(rig.manager, TIDE_ERRORS_ALL, 0, keep_record, NULL, &id, err));
	must(tide_manager_unsubscribe(rig.manager, "Others", err));
	atomic_store(&records, 0);
	rig_start(&rig);
	rig.subscription = tide_manager_subscription(rig.manager, "Totals");
	atomic_store(&rig.script.failures, 1);
	rig_settle(&rig, "Bad");
	assert_int_equal(atomic_load(&records), 2);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	json_keys_are(last_record, "", RECORD_KEYS);
	JSON_IS(last_record, "event_type", "\"Bad\"");
	JSON_IS(last_record, "position", "1");
	JSON_IS(last_record, "error_type", "\"handler_permanent\"");
	JSON_IS(last_record, "error_message", "\"bad event\"");
	JSON_IS(last_record, "error_stacktrace", "\"" RIG_STACKTRACE "\"");
	JSON_IS(last_record, "category", "\"permanent\"");
	JSON_IS(last_record, "severity", "\"medium\"");
	JSON_IS(last_record, "retryable", "false");
	JSON_IS(last_record, "subscription_name", "\"Totals\"");
	JSON_IS(last_record, "retry_count", "1");
	JSON_IS(last_record, "sent_to_dlq", "true");
	tide_free(last_record);
	last_record = NULL;
	struct tide_error_stats stats;
	char *json;
	must(tide_manager_error_stats(rig.manager, "Totals", &stats, err));
	must(tide_error_stats_json(&stats, &json, err));
	json_keys_are(json, "", STATS_KEYS);
	JSON_IS(json, "total_errors", "2");
	JSON_IS(json, "transient_errors", "1");
	JSON_IS(json, "permanent_errors", "1");
	JSON_IS(json, "retried_errors", "1");
	JSON_IS(json, "dlq_count", "1");
	JSON_IS(json, "errors_by_type", "{\"handler_transient\":1,\"handler_permanent\":1}");
	JSON_IS(json, "errors_by_category", "{\"transient\":1,\"permanent\":1}");
	tide_free(json);
	must(tide_manager_error_stats_json(rig.manager, &json, err));
	json_keys_are(json, "", "total_errors total_dlq_count subscriptions");
	JSON_IS(json, "total_errors", "2");
	JSON_IS(json, "total_dlq_count", "1");
	json_keys_are(json, "subscriptions", "Totals");
	json_keys_are(json, "subscriptions.Totals", STATS_KEYS);
	tide_free(json);
	rig_close(&rig);
}

static void a_record_without_an_event_is_null_unknown_and_minus_one(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "fault:op=read,status=busy,times=1/memory:%n");
	int64_t id;
	must(tide_manager_on_error(rig.manager, TIDE_ERRORS_ALL, 0, keep_record, NULL, &id, err));
	atomic_store(&records, 0);
	rig_append(&rig, "Good");
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 1, 10, err));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	assert_int_equal(atomic_load(&records), 1);
	JSON_IS(last_record, "event_id", "null");
	JSON_IS(last_record, "event_type", "\"Unknown\"");
	JSON_IS(last_record, "position", "-1");
	JSON_IS(last_record, "dlq_id", "null");
	tide_free(last_record);
	last_record = NULL;
	rig_close(&rig);
}

/* ---- Callbacks ------------------------------------------------------------------------------- */

static char told[64];
static atomic_size_t told_count;
static struct {
	struct tide_manager *manager;
	int64_t ids[3];
} leaving;

static void tell(void *self, const struct tide_error_record *record)
{
	(void)record;
	size_t at = atomic_fetch_add(&told_count, 1);
	if (at < sizeof told - 1)
		told[at] = *(const char *)self;
}

static void tell_and_leave(void *self, const struct tide_error_record *record)
{
	tell(self, record);
	assert_true(tide_manager_off_error(leaving.manager, leaving.ids[0]));
}

static void listen_to(struct rig *rig, enum tide_error_interest interest, int which,
		      const char *letter)
{
	int64_t id;
	must(tide_manager_on_error(rig->manager, interest, which, tell, (void *)(uintptr_t)letter,
				   &id, err));
}

static void callbacks_run_by_group_and_for_later_subscriptions_too(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig_subscribe_as(&rig, "Before", (const char *const[]){ "Nothing", NULL });
	memset(told, 0, sizeof told);
	atomic_store(&told_count, 0);
	listen_to(&rig, TIDE_ERRORS_OF_SEVERITY, TIDE_SEVERITY_MEDIUM, "m");
	listen_to(&rig, TIDE_ERRORS_OF_SEVERITY, TIDE_SEVERITY_HIGH, "h");
	listen_to(&rig, TIDE_ERRORS_OF_CATEGORY, TIDE_CATEGORY_PERMANENT, "p");
	listen_to(&rig, TIDE_ERRORS_OF_CATEGORY, TIDE_CATEGORY_TRANSIENT, "t");
	leaving.manager = rig.manager;
	must(tide_manager_on_error(rig.manager, TIDE_ERRORS_ALL, 0, tell_and_leave,
				   (void *)(uintptr_t) "x", &leaving.ids[0], err));
	listen_to(&rig, TIDE_ERRORS_ALL, 0, "a");
	rig_subscribe(&rig); /* later than the callbacks */
	rig_start(&rig);
	rig_settle(&rig, "Bad");
	assert_string_equal(told, "xapm");
	atomic_store(&rig.script.failures, 1);
	rig_settle(&rig, "Good");
	assert_string_equal(told, "xapmatm");
	assert_false(tide_manager_off_error(rig.manager, leaving.ids[0]));
	rig_close(&rig);
}

/* ---- Classification -------------------------------------------------------------------------- */

static void every_status_is_classified_as_specified(void **state)
{
	(void)state;
	static const struct {
		const char *names, *category, *severity;
		bool retryable;
	} rows[] = {
		{ "connection_lost timeout busy handler_transient", "transient", "medium", true },
		{ "handler_permanent", "permanent", "medium", false },
		{ "argument not_found decode", "application", "medium", false },
		{ "state deadlock unhandled_event version", "application", "high", false },
		{ "diverged", "application", "critical", false },
		{ "out_of_memory disk_full corrupt", "infrastructure", "critical", false },
		{ "already_exists conflict duplicate_event schema fenced circuit_open "
		  "publish_failed shutting_down "
		  "cancelled "
		  "io unsupported internal",
		  "unknown", "medium", false },
	};
	int seen = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char names[256], *rest = names;
		snprintf(names, sizeof names, "%s", rows[i].names);
		for (char *name; (name = strtok_r(rest, " ", &rest)); seen++) {
			tide_status status;
			assert_int_equal(tide_status_from_name(name, &status), TIDE_OK);
			struct tide_classification found = tide_classify(status);
			assert_string_equal(tide_category_name(found.category), rows[i].category);
			assert_string_equal(tide_severity_name(found.severity), rows[i].severity);
			assert_int_equal(found.retryable, rows[i].retryable);
		}
	}
	assert_int_equal(seen, TIDE_STATUS_COUNT - 1);
}

static void rules_come_before_patterns_and_patterns_before_the_table(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	int64_t id;
	must(tide_manager_on_error(rig.manager, TIDE_ERRORS_ALL, 0, keep_record, NULL, &id, err));
	struct tide_classification first = { TIDE_CATEGORY_INFRASTRUCTURE, TIDE_SEVERITY_LOW, false,
					     "first" };
	struct tide_classification second = { TIDE_CATEGORY_UNKNOWN, TIDE_SEVERITY_HIGH, false,
					      "second" };
	struct tide_classification rule = { TIDE_CATEGORY_APPLICATION, TIDE_SEVERITY_CRITICAL, true,
					    "rule" };
	must(tide_manager_classify(rig.manager, "BAD ev", TIDE_OK, &first, err));
	must(tide_manager_classify(rig.manager, "event", TIDE_OK, &second, err));
	rig_start(&rig);
	rig_settle(&rig, "Bad");
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	JSON_IS(last_record, "category", "\"infrastructure\"");
	must(tide_manager_classify(rig.manager, NULL, TIDE_HANDLER_PERMANENT, &rule, err));
	rig_start(&rig);
	rig_settle(&rig, "Bad");
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	JSON_IS(last_record, "category", "\"application\"");
	JSON_IS(last_record, "severity", "\"critical\"");
	JSON_IS(last_record, "retry_count", "0"); /* the handler's own word stands */
	tide_free(last_record);
	last_record = NULL;
	rig_close(&rig);
}

/* ---- States ---------------------------------------------------------------------------------- */

static void every_pair_of_states_is_allowed_or_refused_as_specified(void **state)
{
	(void)state;
	static const char *const names[] = { "starting", "catching_up", "live",
					     "paused",   "stopped",     "error" };
	static const char *const allowed[] = { "catching_up, live, paused, stopped, error",
					       "live, paused, stopped, error",
					       "catching_up, paused, stopped, error",
					       "catching_up, live, stopped, error",
					       "none",
					       "starting" };
	static const char table[6][7] = {
		"011111", "001111", "010111", "011011", "000000", "100000"
	};
	for (int from = 0; from < 6; from++)
		for (int to = 0; to < 6; to++) {
			struct states states = { .state = (enum tide_state)from };
			struct tide_error err = { 0 };
			char text[160];
			snprintf(text, sizeof text, "cannot go from %s to %s; allowed: %s",
				 names[from], names[to], allowed[from]);
			tide_status status = states_move(&states, (enum tide_state)to, &err);
			bool is_allowed = table[from][to] == '1';
			assert_int_equal(status, is_allowed ? TIDE_OK : TIDE_STATE);
			assert_int_equal(states.state, is_allowed ? to : from);
			assert_int_equal(states.has_previous, is_allowed);
			if (!is_allowed)
				assert_string_equal(err.message, text);
			else
				assert_int_equal(states.previous, from);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_has_its_keys_in_order),
		cmocka_unit_test(a_status_tells_what_happened),
		cmocka_unit_test(every_subscription_has_a_status_in_order_of_registration),
		cmocka_unit_test(what_is_acquired_is_released_or_in_flight),
		cmocka_unit_test(a_filter_tells_what_it_let_through),
		cmocka_unit_test(each_operation_tells_how_often_it_was_tried),
		cmocka_unit_test(breakers_tell_their_state),
		cmocka_unit_test(records_and_statistics_have_their_keys_in_order),
		cmocka_unit_test(a_record_without_an_event_is_null_unknown_and_minus_one),
		cmocka_unit_test(callbacks_run_by_group_and_for_later_subscriptions_too),
		cmocka_unit_test(every_status_is_classified_as_specified),
		cmocka_unit_test(rules_come_before_patterns_and_patterns_before_the_table),
		cmocka_unit_test(every_pair_of_states_is_allowed_or_refused_as_specified),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

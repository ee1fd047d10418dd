/* SPDX-License-Identifier: Apache-2.0 */
/* Every metric, driven by a real manager and then looked at in the text that Prometheus would
 * read. */
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../domain/account.h"
#include "path/metrics.h"
#include "sys/thread.h"

#define S "{subscription=\"Totals\"}"
#define SL(labels) "{subscription=\"Totals\"," labels "}"
#define T "tidemark_"
#define COMES_TO(rig, sample, value) wait_for(10, rig_metric(rig, sample) == (value))

/* ---- The text -------------------------------------------------------------------------------- */

static const struct {
	const char *name, *type;
} table[] = {
	{ "events_appended_total", "counter" },
	{ "append_conflicts_total", "counter" },
	{ "append_duplicates_total", "counter" },
	{ "append_duration_seconds", "histogram" },
	{ "feed_pages_total", "counter" },
	{ "feed_events_total", "counter" },
	{ "events_processed_total", "counter" },
	{ "events_skipped_total", "counter" },
	{ "events_failed_total", "counter" },
	{ "events_dead_lettered_total", "counter" },
	{ "events_discarded_total", "counter" },
	{ "processing_duration_seconds", "histogram" },
	{ "delivery_latency_seconds", "histogram" },
	{ "handler_timeouts_total", "counter" },
	{ "subscription_position", "gauge" },
	{ "subscription_lag_events", "gauge" },
	{ "subscription_lag_seconds", "gauge" },
	{ "subscription_state", "gauge" },
	{ "subscription_standby", "gauge" },
	{ "group_lanes", "gauge" },
	{ "group_members", "gauge" },
	{ "group_rebalances_total", "counter" },
	{ "events_in_flight", "gauge" },
	{ "backpressure", "gauge" },
	{ "backpressure_seconds_total", "counter" },
	{ "checkpoints_saved_total", "counter" },
	{ "checkpoint_failures_total", "counter" },
	{ "checkpoint_duration_seconds", "histogram" },
	{ "retries_total", "counter" },
	{ "circuit_breaker_state", "gauge" },
	{ "circuit_breaker_opened_total", "counter" },
	{ "errors_total", "counter" },
	{ "dead_letters", "gauge" },
	{ "dead_letter_redeliveries_total", "counter" },
	{ "wakeups_total", "counter" },
	{ "ownership_changes_total", "counter" },
	{ "bus_events_published_total", "counter" },
	{ "bus_handlers_invoked_total", "counter" },
	{ "bus_handler_errors_total", "counter" },
	{ "snapshots_total", "counter" },
	{ "shutdowns_initiated_total", "counter" },
	{ "shutdowns_completed_total", "counter" },
	{ "shutdown_duration_seconds", "histogram" },
	{ "shutdown_drain_duration_seconds", "histogram" },
	{ "shutdown_events_drained_total", "counter" },
};

/** Step over one line; it must be the given text up to the first space behind `prefix`. */
static const char *after_line(const char *text)
{
	const char *end = strchr(text, '\n');
	assert_non_null(end);
	return end + 1;
}

static void metrics_come_in_the_order_of_the_table_each_with_help_and_type(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "sqlite:%d/store.db");
	rig.config.lanes = 2;
	must(tide_manager_subscribe(rig.manager,
				    &(struct tide_subscriber){ .name = "Shared",
							       .self = &rig.script,
							       .handle = rig_handle },
				    &rig.config, NULL, err));
	rig_settle(&rig, "Good");
	rig_settle(&rig, "Bad");
	char *text, expected[128];
	must(tide_manager_metrics(rig.manager, &text, err));
	const char *at = text;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		snprintf(expected, sizeof expected, "# HELP " T "%s ", table[i].name);
		assert_memory_equal(at, expected, strlen(expected));
		at = after_line(at);
		snprintf(expected, sizeof expected, "# TYPE " T "%s %s\n", table[i].name,
			 table[i].type);
		assert_memory_equal(at, expected, strlen(expected));
		at = after_line(at);
		snprintf(expected, sizeof expected, T "%s", table[i].name);
		size_t samples = 0;
		for (; *at && *at != '#'; at = after_line(at), samples++)
			assert_memory_equal(at, expected, strlen(expected));
		assert_true(samples > 0);
	}
	assert_int_equal(*at, '\0');
	tide_free(text);
	rig_close(&rig);
}

static void histograms_are_cumulative_up_to_infinity(void **state)
{
	(void)state;
	static const char *const bounds[] = { "0.001", "0.005", "0.01", "0.05", "0.1", "0.5",
					      "1",     "5",     "10",   "30",   "60",  "+Inf" };
	struct rig rig;
	rig_live(&rig, "memory:%n");
	rig_settle(&rig, "Good");
	atomic_store(&rig.script.is_closed, true);
	rig_append(&rig, "Good");
	rig_await_inside(&rig);
	double since = seconds_now();
	wait_for(10, seconds_now() - since > 0.02);
	atomic_store(&rig.script.is_closed, false);
	must(tide_subscription_wait(rig.subscription, 2, 10, err));
	double before = 0;
	for (size_t i = 0; i < 12; i++) {
		char sample[160];
		snprintf(sample, sizeof sample,
			 T "processing_duration_seconds_bucket" SL("status=\"success\",le=\"%s\""),
			 bounds[i]);
		double value = rig_metric(&rig, sample);
		assert_true(value >= before);
		before = value;
	}
	assert_true(before == 2);
	METRIC_IS(&rig, T "processing_duration_seconds_bucket" SL("status=\"success\",le=\"0.01\""),
		  1);
	METRIC_IS(&rig, T "processing_duration_seconds_count" SL("status=\"success\""), 2);
	assert_true(rig_metric(&rig, T "processing_duration_seconds_sum" SL("status=\"success\"")) >
		    0.02);
	rig_close(&rig);
}

/* Prometheus: le is less or equal. */
static void a_duration_of_a_bound_is_counted_by_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < METRICS_BUCKETS - 1; i++) {
		struct histogram histogram = { 0 };
		int64_t ns = llround(metrics_bounds[i] * 1e9);
		histogram_add(&histogram, ns - 1, 1);
		histogram_add(&histogram, ns, 10);
		histogram_add(&histogram, ns + 1, 100);
		for (size_t j = 0; j < METRICS_BUCKETS; j++)
			assert_int_equal(histogram.buckets[j], j == i ? 11 : j == i + 1 ? 100 : 0);
		assert_true(fabs(histogram.sum / metrics_bounds[i] - 111) < 1e-4);
	}
}

/* An event that waits for a subscription to start has waited since it was stored. */
static void latency_counts_from_the_append_to_the_handling(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	rig_append(&rig, "Good");
	rig_append(&rig, "Good");
	double since = seconds_now();
	wait_for(10, seconds_now() - since > 0.06);
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 2, 10, err));
	COMES_TO(&rig, T "delivery_latency_seconds_count" S, 2);
	METRIC_IS(&rig, T "delivery_latency_seconds_bucket" SL("le=\"0.05\""), 0);
	METRIC_IS(&rig, T "delivery_latency_seconds_bucket" SL("le=\"+Inf\""), 2);
	assert_true(rig_metric(&rig, T "delivery_latency_seconds_sum" S) > 0.12);

	rig_settle(&rig, "Bad"); /* set aside: not handled */
	METRIC_IS(&rig, T "delivery_latency_seconds_count" S, 2);
	rig_settle(&rig, "Good");
	METRIC_IS(&rig, T "delivery_latency_seconds_count" S, 3);
	rig_close(&rig);
}

static void label_values_are_escaped(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "sqlite:%d/store.db");
	rig_sql(&rig, "INSERT INTO events (event_id, aggregate_id, aggregate_type, event_type, "
		      "version, timestamp, payload) "
		      "VALUES ('11111111-1111-4111-8111-111111111111', "
		      "'22222222-2222-4222-8222-222222222222', 'Rig', "
		      "'a\"b\\c' || char(10) || 'd', 1, '2024-01-01T00:00:00+00:00', '{}')");
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 1, 10, err));
	METRIC_IS(&rig,
		  T
		  "events_processed_total" SL("event_type=\"a\\\"b\\\\c\\nd\",status=\"handled\""),
		  1);
	rig_close(&rig);
}

static void event_types_beyond_a_thousand_count_as_other(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "memory:%n");
	for (int i = 0; i < 1005; i++) {
		char type[32];
		snprintf(type, sizeof type, "Type%d", i);
		rig_append(&rig, type);
	}
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 1005, 20, err));
	METRIC_IS(&rig, T "events_processed_total" SL("event_type=\"Type999\",status=\"handled\""),
		  1);
	METRIC_IS(&rig, T "events_processed_total" SL("event_type=\"other\",status=\"handled\""),
		  5);
	rig_subscribe_as(&rig, "Second", (const char *const[]){ "Type1003", "Type3", NULL });
	must(tide_subscription_wait(rig.subscription, 1005, 20, err));
	METRIC_IS(&rig,
		  T "events_processed_total{subscription=\"Second\",event_type=\"Type3\",status="
		    "\"handled\"}",
		  1);
	METRIC_IS(&rig,
		  T "events_processed_total{subscription=\"Second\",event_type=\"other\",status="
		    "\"handled\"}",
		  1);
	rig_close(&rig);
}

/* ---- The store ------------------------------------------------------------------------------- */

static void appends_count(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "sqlite:%d/store.db");
	struct tide_new_event events[2] = { event_of("Good", 1), event_of("Good", 2) };
	events[0].event_id = uuid_of(901);
	events[1].event_id = uuid_of(902);
	must(tide_store_append(rig.store, APPEND(stream_of("Rig", 1), TIDE_NO_STREAM, events), NULL,
			       err));
	must(tide_store_append(rig.store, APPEND(stream_of("Rig", 1), TIDE_NO_STREAM, events), NULL,
			       err));
	refused(TIDE_DUPLICATE_EVENT,
		tide_store_append(rig.store, APPEND(stream_of("Rig", 2), TIDE_ANY, events), NULL,
				  err));
	struct tide_new_event third[1] = { event_of("Good", 3) };
	refused(TIDE_CONFLICT,
		tide_store_append(rig.store, APPEND(stream_of("Rig", 1), 7, third), NULL, err));
	METRIC_IS(&rig, T "events_appended_total", 2);
	METRIC_IS(&rig, T "append_duplicates_total{result=\"replayed\"}", 1);
	METRIC_IS(&rig, T "append_duplicates_total{result=\"refused\"}", 1);
	METRIC_IS(&rig, T "append_conflicts_total", 1);
	METRIC_IS(&rig, T "append_duration_seconds_count", 4);
	METRIC_IS(&rig, T "append_duration_seconds_bucket{le=\"+Inf\"}", 4);
	assert_true(rig_metric(&rig, T "append_duration_seconds_sum") > 0);
	rig_close(&rig);
}

static struct tide_repository *accounts_of(struct rig *rig, const struct tide_aggregate_type *type)
{
	struct tide_repository *repository;
	must(tide_repository_open(
		TIDE_REPOSITORY(.store = rig->store, .type = type, .snapshot_every = 2),
		&repository, err));
	return repository;
}

static void deposit(struct tide_repository *repository, struct tide_aggregate *aggregate)
{
	raise_move(aggregate, 1);
	raise_move(aggregate, 1);
	must(tide_repository_save(repository, aggregate, err));
}

static struct tide_aggregate *account_of(struct tide_repository *repository,
					 const struct tide_uuid *id)
{
	struct tide_aggregate *aggregate;
	must(tide_repository_load(repository, id, &aggregate, err));
	return aggregate;
}

static void snapshots_count(void **state)
{
	(void)state;
	struct rig rig;
	rig_ready(&rig, "fault:op=snapshot_save,status=busy,after=1,times=1/memory:%n");
	struct tide_uuid id = uuid_of(77);
	struct tide_repository *repository = accounts_of(&rig, &account_type),
			       *newer = accounts_of(&rig, &account_type_v2);
	struct tide_aggregate *aggregate;
	must(tide_repository_create(repository, &id, &aggregate, err));
	deposit(repository, aggregate);
	METRIC_IS(&rig, T "snapshots_total{result=\"saved\"}", 1);
	deposit(repository, aggregate); /* the fault */
	METRIC_IS(&rig, T "snapshots_total{result=\"failed\"}", 1);
	tide_aggregate_free(account_of(repository, &id));
	METRIC_IS(&rig, T "snapshots_total{result=\"loaded\"}", 1);
	tide_aggregate_free(account_of(newer, &id));
	METRIC_IS(&rig, T "snapshots_total{result=\"rejected\"}", 1);
	tide_aggregate_free(aggregate);
	tide_repository_close(repository);
	tide_repository_close(newer);
	rig_close(&rig);
}

static tide_status refuse_event(void *self, const struct tide_event *event)
{
	(void)self;
	(void)event;
	return TIDE_INTERNAL;
}

static tide_status take_event(void *self, const struct tide_event *event)
{
	(void)self;
	(void)event;
	return TIDE_OK;
}

static void the_bus_and_its_wake_ups_count(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.poll_interval_seconds = 3600;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	SEEN seen = see(rig.store, NULL);
	must(tide_bus_subscribe_all(rig.bus, take_event, NULL, err));
	must(tide_bus_subscribe_all(rig.bus, refuse_event, NULL, err));
	must(tide_bus_publish(rig.bus, (const struct tide_event *const *)seen.events, 1, err));
	METRIC_IS(&rig, T "bus_events_published_total", 1);
	METRIC_IS(&rig, T "bus_handlers_invoked_total", 1);
	METRIC_IS(&rig, T "bus_handler_errors_total", 1);
	COMES_TO(&rig, T "wakeups_total" SL("source=\"bus\""), 1);
	rig_close(&rig);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void events_count_by_what_became_of_them(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "sqlite:%d/store.db");
	rig.config.event_types = (const char *const[]){ "Good", "Bad", NULL };
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	rig_settle(&rig, "Good");
	rig_settle(&rig, "Other");
	rig_settle(&rig, "Bad");
	METRIC_IS(&rig, T "events_processed_total" SL("event_type=\"Good\",status=\"handled\""), 2);
	METRIC_IS(&rig,
		  T "events_processed_total" SL("event_type=\"Bad\",status=\"dead_lettered\""), 1);
	METRIC_IS(&rig, T "events_skipped_total" S, 1);
	METRIC_IS(&rig,
		  T "events_failed_total" SL("event_type=\"Bad\",error_type=\"handler_permanent\""),
		  1);
	METRIC_IS(&rig, T "events_dead_lettered_total" S, 1);
	METRIC_IS(&rig, T "events_discarded_total" S, 0);
	METRIC_IS(&rig, T "processing_duration_seconds_count" SL("status=\"failed\""), 1);
	METRIC_IS(&rig, T "errors_total" SL("category=\"permanent\",severity=\"medium\""), 1);
	METRIC_IS(&rig, T "dead_letters" SL("status=\"failed\""), 1);
	METRIC_IS(&rig, T "subscription_position" S, 4);
	rig_close(&rig);
}

static void discarded_events_count(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.discard_failed_events = true;
	rig_begin(&rig);
	rig_settle(&rig, "Bad");
	METRIC_IS(&rig, T "events_discarded_total" S, 1);
	METRIC_IS(&rig, T "events_dead_lettered_total" S, 0);
	METRIC_IS(&rig,
		  T "events_failed_total" SL("event_type=\"Bad\",error_type=\"handler_permanent\""),
		  1);
	rig_close(&rig);
}

static void late_handlers_count_while_they_still_run(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.processing_timeout = 0.05;
	rig.config.max_retries = 0;
	rig_begin(&rig);
	atomic_store(&rig.script.is_closed, true);
	rig_append(&rig, "Good");
	COMES_TO(&rig, T "handler_timeouts_total" S, 1);
	METRIC_IS(&rig, T "errors_total" SL("category=\"transient\",severity=\"medium\""), 1);
	atomic_store(&rig.script.is_closed, false);
	must(tide_subscription_wait(rig.subscription, 1, 10, err));
	METRIC_IS(&rig, T "handler_timeouts_total" S, 1);
	METRIC_IS(&rig, T "events_failed_total" SL("event_type=\"Good\",error_type=\"timeout\""),
		  1);
	rig_close(&rig);
}

/* ---- Where a subscription is ----------------------------------------------------------------- */

static void the_present_state_is_one_and_the_others_are_zero(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "memory:%n");
	METRIC_IS(&rig, T "subscription_state" SL("state=\"live\""), 1);
	METRIC_IS(&rig, T "subscription_state" SL("state=\"paused\""), 0);
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	static const char *const states[] = { "starting", "catching_up", "live",
					      "paused",   "stopped",     "error" };
	for (size_t i = 0; i < 6; i++) {
		char sample[128];
		snprintf(sample, sizeof sample, T "subscription_state" SL("state=\"%s\""),
			 states[i]);
		METRIC_IS(&rig, sample, i == 3);
	}
	rig_close(&rig);
}

static void append_at(struct rig *rig, const char *event_type, const char *when)
{
	struct tide_new_event event = event_of(event_type, 1);
	struct tide_time instant;
	must(tide_time_parse(when, &instant, err));
	event.occurred_at = &instant;
	must(tide_store_append(rig->store,
			       &(struct tide_append){ .stream = stream_of("Rig", 1),
						      .expected = TIDE_ANY,
						      .events = &event,
						      .count = 1 },
			       NULL, err));
}

static void lag_is_told_in_events_and_in_seconds_of_what_is_wanted(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "sqlite:%d/store.db");
	rig.config.event_types = (const char *const[]){ "Good", NULL };
	rig_subscribe(&rig);
	append_at(&rig, "Good", "2024-01-01T00:00:00Z");
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 1, 10, err));
	METRIC_IS(&rig, T "subscription_lag_events" S, 0);
	METRIC_IS(&rig, T "subscription_lag_seconds" S, 0);
	assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
	append_at(&rig, "Good", "2024-01-01T00:00:12Z");
	append_at(&rig, "Other", "2024-01-01T00:01:00Z");
	METRIC_IS(&rig, T "subscription_lag_events" S, 2);
	/* paused, and the clock goes on */
	wait_for(30, rig_metric(&rig, T "subscription_lag_seconds" S) >= 0.2);
	/* that of the store, not of the event */
	assert_true(rig_metric(&rig, T "subscription_lag_seconds" S) < 1000);
	rig_close(&rig);
}

static void reading_ahead_is_told(void **state)
{
	(void)state;
	struct rig rig;
	rig_read_ahead(&rig);
	METRIC_IS(&rig, T "events_in_flight" S, 4);
	METRIC_IS(&rig, T "backpressure" S, 1);
	atomic_store(&rig.script.is_closed, false);
	must(tide_subscription_wait(rig.subscription, 10, 10, err));
	COMES_TO(&rig, T "events_in_flight" S, 0);
	METRIC_IS(&rig, T "backpressure" S, 0);
	double blocked = rig_metric(&rig, T "backpressure_seconds_total" S);
	assert_true(blocked > 0);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	rig_start(&rig);
	assert_true(rig_metric(&rig, T "backpressure_seconds_total" S) >= blocked); /* over runs */
	rig_close(&rig);
}

/* Reading ahead in parts of a page would save after each of them. */
static void a_blocked_reader_goes_on_in_whole_pages(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.batch_size = rig.config.max_in_flight = 10;
	rig_subscribe(&rig);
	append_many(rig.store, stream_of("Rig", 1), 1, 50);
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 50, 10, err));
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	METRIC_IS(&rig, T "checkpoints_saved_total" S, 5);
	rig_close(&rig);
}

static void ownership_and_standing_by_are_told(void **state)
{
	(void)state;
	struct rig rig;
	rig_live(&rig, "sqlite:%d/store.db");
	METRIC_IS(&rig, T "ownership_changes_total" SL("change=\"acquired\""), 1);
	METRIC_IS(&rig, T "subscription_standby" S, 0);
	struct rig other = rig;
	other.manager = NULL;
	rig_subscribe(&other);
	rig_start(&other);
	METRIC_IS(&other, T "subscription_standby" S, 1);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	METRIC_IS(&rig, T "ownership_changes_total" SL("change=\"released\""), 1);
	COMES_TO(&other, T "ownership_changes_total" SL("change=\"acquired\""), 1);
	tide_manager_close(other.manager);
	rig_start(&rig);
	rig_await(&rig, TIDE_STATE_LIVE);
	rig_sql(&rig, "UPDATE subscription_leases SET owner = "
		      "'33333333-3333-4333-8333-333333333333', epoch = epoch + 1");
	rig_append(&rig, "Good");
	COMES_TO(&rig, T "ownership_changes_total" SL("change=\"lost\""), 1);
	rig_close(&rig);
}

/* ---- What it does to go on ------------------------------------------------------------------- */

static void saves_and_failed_saves_count(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "fault:op=save,status=busy,times=2/memory:%n");
	rig.config.checkpoint_strategy = TIDE_EVERY_EVENT;
	rig_begin(&rig);
	rig_settle(&rig, "Good");
	COMES_TO(&rig, T "checkpoints_saved_total" S, 1);
	METRIC_IS(&rig, T "checkpoint_failures_total" S, 2);
	METRIC_IS(&rig, T "checkpoint_duration_seconds_count" S, 1);
	METRIC_IS(&rig, T "retries_total" SL("operation=\"checkpoint\""), 2);
	rig_close(&rig);
}

static void each_operation_counts_its_retries(const char *fault, const char *sample)
{
	struct rig rig;
	rig_open(&rig, fault);
	rig_subscribe(&rig);
	rig_append(&rig, "Bad");
	rig_start(&rig);
	must(tide_subscription_wait(rig.subscription, 1, 10, err));
	METRIC_IS(&rig, sample, 2);
	rig_close(&rig);
}

static void retries_count_by_operation_and_over_runs(void **state)
{
	(void)state;
	each_operation_counts_its_retries("fault:op=read,status=busy,times=2/memory:%n",
					  T "retries_total" SL("operation=\"read\""));
	each_operation_counts_its_retries("fault:op=dead_letter_add,status=busy,times=2/memory:%n",
					  T "retries_total" SL("operation=\"dlq\""));
	each_operation_counts_its_retries("fault:op=lease_acquire,status=busy,times=2/memory:%n",
					  T "retries_total" SL("operation=\"ownership\""));
	struct rig rig;
	rig_live(&rig, "memory:%n");
	atomic_store(&rig.script.failures, 2);
	rig_settle(&rig, "Good");
	METRIC_IS(&rig, T "retries_total" SL("operation=\"handler\""), 2);
	must(tide_manager_stop(rig.manager, NULL, 0, err));
	rig_start(&rig);
	atomic_store(&rig.script.failures, 1);
	rig_settle(&rig, "Good");
	METRIC_IS(&rig, T "retries_total" SL("operation=\"handler\""), 3);
	rig_close(&rig);
}

static void breakers_tell_state_and_openings(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.circuit_breaker_failure_threshold = 2;
	rig.config.circuit_breaker_recovery_timeout = 3600;
	rig_subscribe(&rig);
	METRIC_IS(&rig, T "circuit_breaker_state" SL("breaker=\"handler\""), 0);
	atomic_store(&rig.script.failures, 3);
	rig_append(&rig, "Good");
	rig_start(&rig);
	rig_await(&rig, TIDE_STATE_PAUSED);
	METRIC_IS(&rig, T "circuit_breaker_state" SL("breaker=\"handler\""), 2);
	METRIC_IS(&rig, T "circuit_breaker_opened_total" SL("breaker=\"handler\""), 1);
	atomic_store(&rig.script.is_closed, true);
	assert_true(tide_manager_resume(rig.manager, "Totals"));
	wait_for(10, atomic_load(&rig.script.calls) == 3);
	METRIC_IS(&rig, T "circuit_breaker_state" SL("breaker=\"handler\""), 1);
	atomic_store(&rig.script.is_closed, false);
	COMES_TO(&rig, T "circuit_breaker_opened_total" SL("breaker=\"handler\""), 2);
	rig_close(&rig);
	rig_open(&rig, "fault:op=save,status=busy,times=-1/memory:%n");
	rig.config.circuit_breaker_failure_threshold = 2;
	rig.config.circuit_breaker_recovery_timeout = 3600;
	rig.shutdown_timeout = 0.2;
	rig_begin(&rig);
	rig_append(&rig, "Good");
	COMES_TO(&rig, T "circuit_breaker_state" SL("breaker=\"infra\""), 2);
	METRIC_IS(&rig, T "circuit_breaker_opened_total" SL("breaker=\"infra\""), 1);
	rig_close(&rig);
}

static int64_t only_dead_letter(struct rig *rig)
{
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(rig->checkpoints,
				    &(struct tide_dead_letter_query){ .any_status = true }, &list,
				    err));
	assert_int_equal(list.count, 1);
	int64_t id = list.entries[0].id;
	tide_dead_letters_free(&list);
	return id;
}

static void redelivery_is_told_from_request_to_end(void **state)
{
	(void)state;
	static const char *const urls[] = { "memory:%n", "sqlite:%d/store.db" };
	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		rig_open(&rig, urls[i]);
		rig_begin(&rig);
		rig_settle(&rig, "Bad");
		int64_t id = only_dead_letter(&rig);
		assert_true(tide_manager_pause(rig.manager, "Totals", TIDE_PAUSE_MANUAL));
		must(tide_dead_letters_retry(rig.checkpoints, id, err));
		METRIC_IS(&rig, T "dead_letters" SL("status=\"retrying\""), 1);
		METRIC_IS(&rig, T "dead_letters" SL("status=\"failed\""), 0);
		assert_true(tide_manager_resume(rig.manager, "Totals"));
		COMES_TO(&rig, T "dead_letter_redeliveries_total" SL("result=\"failed\""), 1);
		METRIC_IS(&rig, T "dead_letters" SL("status=\"failed\""), 1);
		atomic_store(&rig.script.is_healed, true);
		must(tide_dead_letters_retry(rig.checkpoints, id, err));
		COMES_TO(&rig, T "dead_letter_redeliveries_total" SL("result=\"resolved\""), 1);
		METRIC_IS(&rig, T "dead_letters" SL("status=\"failed\""), 0);
		assert_true(rig_metric(&rig, T "wakeups_total" SL("source=\"manual\"")) >= 1);
		rig_close(&rig);
	}
}

static void wake_ups_count_by_source(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.config.poll_interval_seconds = 3600;
	rig_begin(&rig);
	double before = rig_metric(&rig, T "wakeups_total" SL("source=\"append\""));
	rig_settle(&rig, "Good");
	assert_true(rig_metric(&rig, T "wakeups_total" SL("source=\"append\"")) > before);
	METRIC_IS(&rig, T "wakeups_total" SL("source=\"notify\""), 0);
	rig_close(&rig);
	rig_live(&rig, "sqlite:%d/store.db");
	wait_for(10, rig_metric(&rig, T "wakeups_total" SL("source=\"poll\"")) > 2);
	before = rig_metric(&rig, T "wakeups_total" SL("source=\"notify\""));
	struct tide_store *second;
	must(tide_store_open(rig.url, NULL, &second, err));
	append_one(second, stream_of("Rig", 1), "Good");
	wait_for(10, rig_metric(&rig, T "wakeups_total" SL("source=\"notify\"")) > before);
	tide_store_close(second);
	rig_close(&rig);
}

/* ---- Shutdowns ------------------------------------------------------------------------------- */

static void run(void *self)
{
	struct rig *rig = self;
	(void)tide_manager_run_until_shutdown(rig->manager, NULL, NULL);
}

static void shutdowns_are_told(void **state)
{
	(void)state;
	struct rig rig;
	rig_log_begin_at(TIDE_LOG_DEBUG);
	rig_ready(&rig, "memory:%n");
	struct tide_shutdown_metrics metrics;
	refused(TIDE_NOT_FOUND, tide_manager_shutdown_metrics(rig.manager, &metrics, err));
	struct thread thread;
	must(thread_start(&thread, "runs", run, &rig, err));
	rig_await(&rig, TIDE_STATE_LIVE);
	atomic_store(&rig.script.is_closed, true);
	rig_append(&rig, "Good");
	rig_await_inside(&rig);
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_HEALTH_CHECK);
	COMES_TO(&rig, T "shutdowns_initiated_total{reason=\"health_check\"}", 1);
	wait_for(10, rig_logged("phase began", "draining") == 1);
	double since = seconds_now();
	wait_for(10, seconds_now() - since > 0.05);
	atomic_store(&rig.script.is_closed, false);
	thread_join(&thread);
	METRIC_IS(&rig, T "shutdowns_completed_total{outcome=\"clean\"}", 1);
	METRIC_IS(&rig, T "shutdowns_completed_total{outcome=\"timeout\"}", 0);
	METRIC_IS(&rig, T "shutdown_duration_seconds_count{outcome=\"clean\"}", 1);
	METRIC_IS(&rig, T "shutdown_drain_duration_seconds_count", 1);
	METRIC_IS(&rig, T "shutdown_events_drained_total", 1);
	must(tide_manager_shutdown_metrics(rig.manager, &metrics, err));
	assert_int_equal(metrics.events_drained, 1);
	assert_int_equal(metrics.in_flight_at_start, 1);
	assert_int_equal(metrics.checkpoints_saved, 1);
	assert_true(metrics.drain_duration_seconds > 0.02);
	assert_true(metrics.shutdown_duration_seconds >= metrics.drain_duration_seconds);
	assert_string_equal(metrics.outcome, "clean");
	char *json;
	must(tide_shutdown_metrics_json(&metrics, &json, err));
	json_keys_are(
		json, "",
		"shutdown_duration_seconds drain_duration_seconds events_drained checkpoints_saved "
		"in_flight_at_start outcome");
	tide_free(json);
	rig_close(&rig);
	rig_log_end();
}

static void a_shutdown_that_takes_too_long_is_told(void **state)
{
	(void)state;
	struct rig rig;
	rig_open(&rig, "memory:%n");
	rig.shutdown_timeout = 0.2;
	rig_subscribe(&rig);
	struct thread thread;
	must(thread_start(&thread, "runs", run, &rig, err));
	rig_await(&rig, TIDE_STATE_LIVE);
	atomic_store(&rig.script.is_closed, true);
	rig_append(&rig, "Good");
	rig_await_inside(&rig);
	tide_manager_request_shutdown(rig.manager, TIDE_SHUTDOWN_PROGRAMMATIC);
	thread_join(&thread);
	METRIC_IS(&rig, T "shutdowns_initiated_total{reason=\"programmatic\"}", 1);
	METRIC_IS(&rig, T "shutdowns_completed_total{outcome=\"timeout\"}", 1);
	METRIC_IS(&rig, T "shutdown_duration_seconds_count{outcome=\"timeout\"}", 1);
	struct tide_shutdown_metrics metrics;
	must(tide_manager_shutdown_metrics(rig.manager, &metrics, err));
	assert_string_equal(metrics.outcome, "timeout");
	rig_close(&rig);
}

/* Also in the next one, whose own counts are told once it is committed. */
static void what_is_rolled_back_is_not_counted(void **state)
{
	(void)state;
	struct metrics metrics = { 0 };
	struct metrics_type *type = metrics_type(&metrics, tide_text("Good"));
	type->counts.handled = 5;
	metrics.totals.skipped = 7;
	for (int i = 0; i < 2; i++) {
		metrics_transaction_begin(&metrics);
		metrics_type(&metrics, tide_text("Good"))->counts.handled += 2;
		metrics.totals.skipped += 3;
		metrics_transaction_end(&metrics, i == 1);
		assert_int_equal(metrics_told(&metrics, type).handled, i == 1 ? 7 : 5);
		assert_int_equal(metrics_told_totals(&metrics).skipped, i == 1 ? 10 : 7);
	}
	metrics_fini(&metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_come_in_the_order_of_the_table_each_with_help_and_type),
		cmocka_unit_test(histograms_are_cumulative_up_to_infinity),
		cmocka_unit_test(a_duration_of_a_bound_is_counted_by_it),
		cmocka_unit_test(latency_counts_from_the_append_to_the_handling),
		cmocka_unit_test(label_values_are_escaped),
		cmocka_unit_test(event_types_beyond_a_thousand_count_as_other),
		cmocka_unit_test(appends_count),
		cmocka_unit_test(snapshots_count),
		cmocka_unit_test(the_bus_and_its_wake_ups_count),
		cmocka_unit_test(events_count_by_what_became_of_them),
		cmocka_unit_test(what_is_rolled_back_is_not_counted),
		cmocka_unit_test(discarded_events_count),
		cmocka_unit_test(late_handlers_count_while_they_still_run),
		cmocka_unit_test(the_present_state_is_one_and_the_others_are_zero),
		cmocka_unit_test(lag_is_told_in_events_and_in_seconds_of_what_is_wanted),
		cmocka_unit_test(reading_ahead_is_told),
		cmocka_unit_test(a_blocked_reader_goes_on_in_whole_pages),
		cmocka_unit_test(ownership_and_standing_by_are_told),
		cmocka_unit_test(saves_and_failed_saves_count),
		cmocka_unit_test(retries_count_by_operation_and_over_runs),
		cmocka_unit_test(breakers_tell_state_and_openings),
		cmocka_unit_test(redelivery_is_told_from_request_to_end),
		cmocka_unit_test(wake_ups_count_by_source),
		cmocka_unit_test(shutdowns_are_told),
		cmocka_unit_test(a_shutdown_that_takes_too_long_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The samples of each metric of metrics.def: a function for each. */
#include "supervise/metrics.h"

#define EACH_VIEW(view, source)                                                                    \
	for (const struct metrics_view *view = (source)->views;                                    \
	     view < (source)->views + (source)->count; view++)

/* ---- The store ------------------------------------------------------------------------------- */

static int64_t metrics_read(_Atomic(int64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_write_events_appended_total(struct metrics_source *source)
{
	metrics_integer(source->text, metrics_read(&source->store->events_appended), NULL);
}

void metrics_write_append_conflicts_total(struct metrics_source *source)
{
	metrics_integer(source->text, metrics_read(&source->store->conflicts), NULL);
}

void metrics_write_append_duplicates_total(struct metrics_source *source)
{
	_Atomic(int64_t) *duplicates = source->store->duplicates;
	metrics_integer(source->text, metrics_read(&duplicates[METRICS_REPLAYED]), "result",
			"replayed", NULL);
	metrics_integer(source->text, metrics_read(&duplicates[METRICS_REFUSED]), "result",
			"refused", NULL);
}

void metrics_write_append_duration_seconds(struct metrics_source *source)
{
	struct histogram histogram = metrics_append_seconds(source->store);
	metrics_histogram(source->text, &histogram, NULL);
}

static void metrics_by_source(struct metrics_source *source, _Atomic(int64_t) *counts)
{
	static const char *const sources[METRICS_SOURCES] = { "store", "window", "tail" };
	for (int i = 0; i < METRICS_SOURCES; i++)
		metrics_integer(source->text, metrics_read(&counts[i]), "source", sources[i], NULL);
}

void metrics_write_feed_pages_total(struct metrics_source *source)
{
	metrics_by_source(source, source->store->feed_pages);
}

void metrics_write_feed_events_total(struct metrics_source *source)
{
	metrics_by_source(source, source->store->feed_events);
}

void metrics_write_snapshots_total(struct metrics_source *source)
{
	static const char *const results[] = { "saved", "failed", "loaded", "rejected" };
	for (int i = 0; i < TIDE_SNAPSHOT_OUTCOMES; i++)
		metrics_integer(source->text, metrics_read(&source->store->snapshots[i]), "result",
				results[i], NULL);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void metrics_processed(struct metrics_source *source, const struct metrics_view *view,
			      const struct metrics_type *type)
{
	if (type->counts.handled)
		metrics_integer(source->text, type->counts.handled, "subscription", view->name,
				"event_type", type->event_type, "status", "handled", NULL);
	if (type->counts.dead_lettered)
		metrics_integer(source->text, type->counts.dead_lettered, "subscription",
				view->name, "event_type", type->event_type, "status",
				"dead_lettered", NULL);
}

void metrics_write_events_processed_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	for (size_t i = 0; i < view->metrics.type_count; i++)
		metrics_processed(source, view, &view->metrics.types[i]);
}

static void metrics_failed(struct metrics_source *source, const struct metrics_view *view,
			   const struct metrics_type *type)
{
	for (int i = 0; i < TIDE_STATUS_COUNT; i++)
		if (type->counts.failed[i])
			metrics_integer(source->text, type->counts.failed[i], "subscription",
					view->name, "event_type", type->event_type, "error_type",
					tide_status_name((tide_status)i), NULL);
}

void metrics_write_events_failed_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	for (size_t i = 0; i < view->metrics.type_count; i++)
		metrics_failed(source, view, &view->metrics.types[i]);
}

void metrics_write_processing_duration_seconds(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	{
		metrics_histogram(source->text, &view->metrics.handled_seconds, "subscription",
				  view->name, "status", "success", NULL);
		metrics_histogram(source->text, &view->metrics.failed_seconds, "subscription",
				  view->name, "status", "failed", NULL);
	}
}

void metrics_write_delivery_latency_seconds(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_histogram(source->text, &view->metrics.totals.latency_seconds, "subscription",
			  view->name, NULL);
}

void metrics_write_events_skipped_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->metrics.totals.skipped, "subscription", view->name,
			NULL);
}

void metrics_write_events_dead_lettered_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->metrics.totals.dead_lettered, "subscription",
			view->name, NULL);
}

void metrics_write_events_discarded_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->metrics.totals.discarded, "subscription", view->name,
			NULL);
}

void metrics_write_handler_timeouts_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->metrics.handler_timeouts, "subscription", view->name,
			NULL);
}

/* ---- Where a subscription is ----------------------------------------------------------------- */

void metrics_write_subscription_position(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->position, "subscription", view->name, NULL);
}

void metrics_write_subscription_lag_events(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	if (view->has_lag)
		metrics_integer(source->text, view->lag_events, "subscription", view->name, NULL);
}

void metrics_write_subscription_lag_seconds(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	if (view->has_lag_seconds)
		metrics_number(source->text, view->lag_seconds, "subscription", view->name, NULL);
}

void metrics_write_subscription_state(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	for (int state = TIDE_STATE_STARTING; state <= TIDE_STATE_ERROR; state++)
		metrics_integer(source->text, view->state == (enum tide_state)state, "subscription",
				view->name, "state", tide_state_name((enum tide_state)state), NULL);
}

void metrics_write_subscription_standby(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->is_standby, "subscription", view->name, NULL);
}

void metrics_write_group_lanes(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	if (view->lanes > 0)
		metrics_integer(source->text, view->lanes, "subscription", view->title, NULL);
}

void metrics_write_group_members(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	if (view->lanes > 1)
		metrics_integer(source->text, view->members, "subscription", view->title, NULL);
}

void metrics_write_group_rebalances_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	if (view->lanes > 1)
		metrics_integer(source->text, view->rebalances, "subscription", view->title, NULL);
}

void metrics_write_events_in_flight(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->in_flight, "subscription", view->name, NULL);
}

void metrics_write_backpressure(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->is_backpressured, "subscription", view->name, NULL);
}

void metrics_write_backpressure_seconds_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_number(source->text, seconds_of_ns(view->metrics.blocked_ns), "subscription",
		       view->name, NULL);
}

/* ---- What it does to go on ------------------------------------------------------------------- */

void metrics_write_checkpoints_saved_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->metrics.checkpoints_saved, "subscription", view->name,
			NULL);
}

void metrics_write_checkpoint_failures_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_integer(source->text, view->metrics.checkpoint_failures, "subscription", view->name,
			NULL);
}

void metrics_write_checkpoint_duration_seconds(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	metrics_histogram(source->text, &view->metrics.checkpoint_seconds, "subscription",
			  view->name, NULL);
}

void metrics_write_retries_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	for (int i = 0; i < TIDE_RETRY_OPERATIONS; i++)
		metrics_integer(source->text, view->metrics.retries[i], "subscription", view->name,
				"operation",
				tide_retry_operation_name((enum tide_retry_operation)i), NULL);
}

void metrics_write_circuit_breaker_state(struct metrics_source *source)
{
	static const char *const names[] = { "handler", "infra" };
	EACH_VIEW(view, source)
	for (int i = 0; i < 2; i++)
		metrics_integer(source->text, view->breakers[i].state, "subscription", view->name,
				"breaker", names[i], NULL);
}

void metrics_write_circuit_breaker_opened_total(struct metrics_source *source)
{
	static const char *const names[] = { "handler", "infra" };
	EACH_VIEW(view, source)
	for (int i = 0; i < 2; i++)
		metrics_integer(source->text, view->breakers[i].times_opened, "subscription",
				view->name, "breaker", names[i], NULL);
}

static void metrics_errors(struct metrics_source *source, const struct metrics_view *view,
			   int category)
{
	for (int severity = 0; severity <= TIDE_SEVERITY_CRITICAL; severity++)
		if (view->metrics.errors[category][severity])
			metrics_integer(source->text, view->metrics.errors[category][severity],
					"subscription", view->name, "category",
					tide_category_name((enum tide_category)category),
					"severity",
					tide_severity_name((enum tide_severity)severity), NULL);
}

void metrics_write_errors_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	for (int category = 0; category <= TIDE_CATEGORY_UNKNOWN; category++)
		metrics_errors(source, view, category);
}

void metrics_write_dead_letters(struct metrics_source *source)
{
	static const char *const names[] = { "failed", "retrying" };
	EACH_VIEW(view, source)
	for (int i = 0; view->title && i < 2; i++)
		metrics_integer(source->text, view->dead_letters[i], "subscription", view->title,
				"status", names[i], NULL);
}

void metrics_write_dead_letter_redeliveries_total(struct metrics_source *source)
{
	EACH_VIEW(view, source)
	{
		metrics_integer(source->text, view->redelivered_ok, "subscription", view->name,
				"result", "resolved", NULL);
		metrics_integer(source->text, view->redelivered_failed, "subscription", view->name,
				"result", "failed", NULL);
	}
}

void metrics_write_wakeups_total(struct metrics_source *source)
{
	static const char *const names[] = { "append", "bus", "notify", "poll", "manual" };
	EACH_VIEW(view, source)
	for (int i = 0; i < 5; i++)
		metrics_integer(source->text, view->metrics.wakeups[i], "subscription", view->name,
				"source", names[i], NULL);
}

void metrics_write_ownership_changes_total(struct metrics_source *source)
{
	static const char *const names[] = { "acquired", "lost", "released" };
	EACH_VIEW(view, source)
	for (int i = 0; i < 3; i++)
		metrics_integer(source->text, view->metrics.ownership[i], "subscription",
				view->name, "change", names[i], NULL);
}

/* ---- The bus --------------------------------------------------------------------------------- */

void metrics_write_bus_events_published_total(struct metrics_source *source)
{
	if (source->bus)
		metrics_integer(source->text, tide_bus_stats(source->bus).events_published, NULL);
}

void metrics_write_bus_handlers_invoked_total(struct metrics_source *source)
{
	if (source->bus)
		metrics_integer(source->text, tide_bus_stats(source->bus).handlers_invoked, NULL);
}

void metrics_write_bus_handler_errors_total(struct metrics_source *source)
{
	if (source->bus)
		metrics_integer(source->text, tide_bus_stats(source->bus).handler_errors, NULL);
}

/* ---- Shutdowns ------------------------------------------------------------------------------- */

static const char *const metrics_outcomes[] = { "clean", "timeout", "forced" };

void metrics_write_shutdowns_initiated_total(struct metrics_source *source)
{
	for (int i = TIDE_SHUTDOWN_SIGTERM; i <= TIDE_SHUTDOWN_DOUBLE_SIGNAL; i++)
		metrics_integer(source->text, source->shutdowns_initiated[i], "reason",
				tide_shutdown_reason_name((enum tide_shutdown_reason)i), NULL);
}

void metrics_write_shutdowns_completed_total(struct metrics_source *source)
{
	for (int i = 0; i < 3; i++)
		metrics_integer(source->text, source->shutdowns_completed[i], "outcome",
				metrics_outcomes[i], NULL);
}

void metrics_write_shutdown_duration_seconds(struct metrics_source *source)
{
	for (int i = 0; i < 3; i++)
		metrics_histogram(source->text, &source->shutdown_seconds[i], "outcome",
				  metrics_outcomes[i], NULL);
}

void metrics_write_shutdown_drain_duration_seconds(struct metrics_source *source)
{
	metrics_histogram(source->text, &source->drain_seconds, NULL);
}

void metrics_write_shutdown_events_drained_total(struct metrics_source *source)
{
	metrics_integer(source->text, source->shutdown_events_drained, NULL);
}

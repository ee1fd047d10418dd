/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that is counted, as the Prometheus text of metrics.def.
 *
 * Happy path: the probe's thread asks the databases; each subscription is copied under its lock;
 * metrics_samples.c writes. Failure modes: a database hangs: what it cannot say in a second is as
 * last known, or left out when it was never known.
 */
#include "supervise/metrics.h"

#include <assert.h>
#include <string.h>

#include "supervise/sharing.h"
#include "sys/alloc.h"

/* ---- Copies ---------------------------------------------------------------------------------- */

static void metrics_copy_numbers_locked(struct tide_subscription *subscription,
					struct metrics_view *view) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct lanes *lanes = &subscription->lanes;
	bool is_first = lanes->index == 0;
	view->name = subscription->name;
	view->title = is_first ? subscription_title(subscription) : NULL;
	view->lanes = !is_first ? 0 : lanes->total > 0 ? lanes->total : 1;
	view->metrics = subscription->metrics;
	view->metrics.totals = metrics_told_totals(&subscription->metrics);
	view->metrics.types = NULL;
	view->metrics.type_count = view->metrics.type_capacity = 0;
	view->state = subscription->states.state;
	view->position = subscription->position;
	view->is_standby = subscription->ownership.state == OWNERSHIP_STANDBY;
	view->is_backpressured = subscription_is_backpressured_locked(subscription);
	view->in_flight = subscription->flow.in_flight;
	view->metrics.blocked_ns += subscription->flow.total_pause_ns;

	for (size_t i = 0; i < RETRY_OPERATIONS; i++)
		view->metrics.retries[i] += subscription->retries[i].retries;
	view->breakers[0] = subscription->breakers.handler;
	view->breakers[1] = subscription->breakers.infra;
	view->redelivered_ok = subscription->redelivered.ok;
	view->redelivered_failed = subscription->redelivered.failed;
}

/* The event types' names stay the subscription's: it is pinned. */
static tide_status metrics_copy_types_locked(const struct tide_subscription *subscription,
					     struct metrics_view *view, struct tide_error *err)
	TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	const struct metrics *metrics = &subscription->metrics;
	struct metrics_type *types = alloc_zero(metrics->type_count + 1, sizeof *types);
	if (!types)
		return alloc_fail(err);

	for (size_t i = 0; i < metrics->type_capacity; i++)
		if (metrics->types[i].event_type)
			types[view->metrics.type_count++] = (struct metrics_type){
				.event_type = metrics->types[i].event_type,
				.counts = metrics_told(metrics, &metrics->types[i]),
			};
	types[view->metrics.type_count].counts = metrics_told(metrics, &metrics->other);
	memcpy(view->other, "other", sizeof view->other);
	types[view->metrics.type_count++].event_type = view->other;
	view->metrics.types = types;
	return TIDE_OK;
}

static tide_status metrics_copy(struct tide_subscription *subscription, struct metrics_view *view,
				struct tide_error *err)
{
	mutex_lock(&subscription->lock);
	metrics_copy_numbers_locked(subscription, view);
	tide_status status = metrics_copy_types_locked(subscription, view, err);
	mutex_unlock(&subscription->lock);
	return status;
}

/* ---- What has to be asked -------------------------------------------------------------------- */

static bool metrics_want_lag(const struct tide_subscription *subscription,
			     const struct metrics_view *view, struct probe_lag *ret)
{
	memcpy(ret->name, subscription->name, sizeof ret->name);
	ret->position = view->position;
	const char *const *types = subscription->filter.event_types;
	size_t count = 0;
	while (types && types[count])
		count++;
	if (count == 0)
		return true;

	ret->event_types = alloc_zero(count + 1, sizeof *ret->event_types);
	for (size_t i = 0; ret->event_types && i < count; i++) {
		ret->event_types[i] = alloc_text(types[i], strlen(types[i]));
		if (!ret->event_types[i])
			return false;
	}
	return ret->event_types != NULL;
}

/* Who is behind has its seconds measured; the others are not behind at all. */
static struct probe_answer metrics_ask(struct tide_manager *manager, const struct manager_set *set,
				       const struct metrics_view *views)
{
	int64_t limit =
		manager->engine.probe_ns < NS_PER_SECOND ? manager->engine.probe_ns : NS_PER_SECOND;
	struct mono_time since = clock_mono(&clock_system);
	struct probe_answer answer = probe_ask(&manager->engine.probe, limit);
	struct probe_lags lags = { .items = alloc_zero(set->count + 1, sizeof *lags.items) };
	bool is_whole = lags.items != NULL;

	for (size_t i = 0; is_whole && i < set->count; i++)
		if (answer.end > views[i].position)
			is_whole = metrics_want_lag(set->items[i], &views[i],
						    &lags.items[lags.count++]);
	limit -= mono_since(clock_mono(&clock_system), since);
	if (is_whole && answer.is_fresh && lags.count > 0 && limit > 0)
		answer = probe_ask_lags(&manager->engine.probe, &lags, limit);
	probe_lags_fini(&lags);
	return answer;
}

static void metrics_complete(struct tide_manager *manager, const struct probe_answer *answer,
			     struct metrics_view *view)
{
	struct probe *probe = &manager->engine.probe;
	int64_t retrying = 0, unresolved = 0;
	if (view->title)
		unresolved = probe_dead_letters(probe, view->title, &retrying);
	view->dead_letters[0] = unresolved - retrying;
	view->dead_letters[1] = retrying;
	view->has_lag = answer->has_end;
	view->lag_events =
		answer->has_end && answer->end > view->position ? answer->end - view->position : 0;
	view->has_lag_seconds =
		probe_lag_seconds(probe, view->name, view->position, &view->lag_seconds);

	if (view->has_lag && view->lag_events == 0) {
		view->has_lag_seconds = true;
		view->lag_seconds = 0;
	}
}

/* ---- All of it ------------------------------------------------------------------------------- */

typedef void metrics_write(struct metrics_source *source);

static void metrics_write_one(struct metrics_source *sources, size_t count, metrics_write *write)
{
	for (size_t i = 0; i < count; i++) {
		sources[i].text->store = sources[i].label;
		write(&sources[i]);
	}
}

static void metrics_write_all(struct metrics_text *text, struct metrics_source *sources,
			      size_t count)
{
#define METRIC(name, type, labels, help)                                                           \
	metrics_begin(text, #name, METRIC_##type, help);                                           \
	metrics_write_one(sources, count, metrics_write_##name);
#define METRIC_COUNTER "counter"
#define METRIC_GAUGE "gauge"
#define METRIC_HISTOGRAM "histogram"
#include "supervise/metrics.def"
#undef METRIC
}

static void metrics_copy_groups_locked(const struct tide_manager *manager,
				       struct metrics_source *source) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	for (size_t i = 0; i < source->count; i++) {
		const struct tide_subscription *head = source->set.items[i]->lanes.head;
		const struct membership *membership = head ? head->lanes.membership : NULL;
		if (!membership)
			continue;
		source->views[i].members = membership->members;
		source->views[i].rebalances = membership->rebalances;
	}
}

static tide_status metrics_collect(struct metrics_source *source, struct tide_error *err)
{
	struct tide_manager *manager = source->manager;
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < source->count; i++)
		status = metrics_copy(source->set.items[i], &source->views[i], err);
	if (status != TIDE_OK)
		return status;

	struct probe_answer answer = metrics_ask(manager, &source->set, source->views);
	for (size_t i = 0; i < source->count; i++)
		metrics_complete(manager, &answer, &source->views[i]);

	mutex_lock(&manager->lock);
	metrics_copy_groups_locked(manager, source);
	memcpy(source->shutdowns_initiated, manager->shutdowns_initiated,
	       sizeof source->shutdowns_initiated);
	memcpy(source->shutdowns_completed, manager->shutdowns_completed,
	       sizeof source->shutdowns_completed);
	memcpy(source->shutdown_seconds, manager->shutdown_seconds,
	       sizeof source->shutdown_seconds);
	source->drain_seconds = manager->drain_seconds;
	source->shutdown_events_drained = manager->shutdown_events_drained;
	mutex_unlock(&manager->lock);
	return TIDE_OK;
}

tide_status metrics_look(struct tide_manager *manager, const char *label,
			 struct metrics_source *ret, struct tide_error *err)
{
	struct metrics_source source = { .label = label,
					 .manager = manager,
					 .store = &manager->engine.store->metrics,
					 .bus = manager->bus };
	tide_status status = manager_pin_lanes(manager, &source.set, err);
	if (status != TIDE_OK)
		return status;

	source.count = source.set.count;
	source.views = alloc_zero(source.count + 1, sizeof *source.views);
	status = source.views ? metrics_collect(&source, err) : alloc_fail(err);
	if (status == TIDE_OK)
		*ret = source;
	else
		metrics_source_fini(&source);
	return status;
}

void metrics_source_fini(struct metrics_source *source)
{
	if (!source->manager)
		return;
	for (size_t i = 0; source->views && i < source->count; i++)
		tide_free(source->views[i].metrics.types);
	tide_free(source->views);
	manager_unpin(source->manager, &source->set);
	*source = (struct metrics_source){ 0 };
}

tide_status metrics_tell(struct metrics_source *sources, size_t count, char **ret,
			 struct tide_error *err)
{
	struct metrics_text text = { 0 };
	for (size_t i = 0; i < count; i++)
		sources[i].text = &text;
	metrics_write_all(&text, sources, count);
	return buffer_take(&text.buffer, ret, err);
}

tide_status tide_manager_metrics(struct tide_manager *manager, char **ret, struct tide_error *err)
{
	struct metrics_source source;
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	tide_status status = metrics_look(manager, NULL, &source, err);
	if (status != TIDE_OK)
		return status;
	status = metrics_tell(&source, 1, ret, err);
	metrics_source_fini(&source);
	return status;
}

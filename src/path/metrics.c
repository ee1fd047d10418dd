/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscription counts: by event type, by kind of failure, by duration. Beyond
 * METRICS_TYPES_MAX types, and when memory is out, an event counts under "other".
 */
#include "path/metrics.h"

#include <assert.h>
#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

const double metrics_bounds[METRICS_BUCKETS - 1] = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5,
						     1,     5,     10,   30,   60 };

void histogram_add(struct histogram *histogram, int64_t ns, int64_t count)
{
	double seconds = (double)ns / 1e9;
	size_t bucket = 0;
	while (bucket < METRICS_BUCKETS - 1 && seconds > metrics_bounds[bucket])
		bucket++;
	histogram->buckets[bucket] += count;
	histogram->count += count;
	histogram->sum += seconds * (double)count;
}

/* ---- What a store counts --------------------------------------------------------------------- */

void metrics_add(_Atomic(int64_t) *counter, int64_t value)
{
	atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

void metrics_append_took(struct metrics_store *metrics, int64_t ns)
{
	struct histogram one = { 0 };
	histogram_add(&one, ns, 1);
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		if (one.buckets[i])
			metrics_add(&metrics->append_buckets[i], 1);
	metrics_add(&metrics->append_ns, ns);
}

struct histogram metrics_append_seconds(struct metrics_store *metrics)
{
	struct histogram ret = { .sum = (double)atomic_load(&metrics->append_ns) / 1e9 };
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		ret.buckets[i] = atomic_load(&metrics->append_buckets[i]);
		ret.count += ret.buckets[i];
	}
	return ret;
}

void metrics_read_page(struct metrics_store *metrics, int source, int64_t events)
{
	assert(source >= 0 && source < METRICS_SOURCES);
	metrics_add(&metrics->feed_pages[source], 1);
	metrics_add(&metrics->feed_events[source], events);
}

/* ---- Names ----------------------------------------------------------------------------------- */

void metrics_names_init(struct metrics_names *names)
{
	*names = (struct metrics_names){ 0 };
	mutex_init(&names->lock, LOCK_EVENT_TYPES);
}

void metrics_names_fini(struct metrics_names *names)
{
	for (size_t i = 0; i < names->capacity; i++)
		tide_free(names->slots[i]);
	tide_free(names->slots);
	mutex_fini(&names->lock);
}

static char **metrics_name_slot(char **slots, size_t capacity, struct tide_text name)
{
	assert((capacity & (capacity - 1)) == 0);
	size_t i = fnv1a64(name.data, name.size) & (capacity - 1);
	while (slots[i] && !text_equals(name, slots[i]))
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

static bool metrics_names_grow_locked(struct metrics_names *names)
{
	assert(mutex_is_mine(&names->lock));
	if (names->count * 2 < names->capacity)
		return true;
	size_t capacity = names->capacity ? names->capacity * 2 : 16;
	char **slots = alloc_zero(capacity, sizeof *slots);
	if (!slots)
		return false;

	for (size_t i = 0; i < names->capacity; i++)
		if (names->slots[i])
			*metrics_name_slot(slots, capacity, tide_text(names->slots[i])) =
				names->slots[i];
	tide_free(names->slots);
	names->slots = slots;
	names->capacity = capacity;
	return true;
}

/* Whether a name has a label of its own; the first thousand do. */
static bool metrics_names_admit(struct metrics_names *names, struct tide_text name)
{
	if (!names)
		return true;
	mutex_lock(&names->lock);
	char **slot = metrics_names_grow_locked(names)
			      ? metrics_name_slot(names->slots, names->capacity, name)
			      : NULL;
	if (slot && !*slot && names->count < METRICS_TYPES_MAX) {
		*slot = alloc_text(name.data, name.size);
		names->count += *slot != NULL;
	}

	bool is_admitted = slot && *slot;
	mutex_unlock(&names->lock);
	return is_admitted;
}

/* ---- Counts by event type -------------------------------------------------------------------- */

static struct metrics_type *metrics_slot(struct metrics_type *types, size_t capacity,
					 struct tide_text event_type)
{
	assert((capacity & (capacity - 1)) == 0);
	size_t i = fnv1a64(event_type.data, event_type.size) & (capacity - 1);
	while (types[i].event_type && !text_equals(event_type, types[i].event_type))
		i = (i + 1) & (capacity - 1);
	return &types[i];
}

static bool metrics_grow(struct metrics *metrics)
{
	if (metrics->type_count * 2 < metrics->type_capacity)
		return true;
	size_t capacity = metrics->type_capacity ? metrics->type_capacity * 2 : 16;
	struct metrics_type *types = alloc_zero(capacity, sizeof *types);
	if (!types)
		return false;

	for (size_t i = 0; i < metrics->type_capacity; i++)
		if (metrics->types[i].event_type)
			*metrics_slot(types, capacity, tide_text(metrics->types[i].event_type)) =
				metrics->types[i];
	tide_free(metrics->types);
	metrics->types = types;
	metrics->type_capacity = capacity;
	metrics->last = NULL;
	return true;
}

static struct metrics_type *metrics_find(struct metrics *metrics, struct tide_text event_type)
{
	if (!metrics_grow(metrics))
		return &metrics->other;
	struct metrics_type *type =
		metrics_slot(metrics->types, metrics->type_capacity, event_type);

	if (!type->event_type) {
		if (metrics->type_count == METRICS_TYPES_MAX ||
		    !metrics_names_admit(metrics->names, event_type))
			return &metrics->other;
		type->event_type = alloc_text(event_type.data, event_type.size);
		if (!type->event_type)
			return &metrics->other;
		metrics->type_count++;
	}
	return metrics->last = type;
}

struct metrics_type *metrics_type(struct metrics *metrics, struct tide_text event_type)
{
	if (metrics->last && text_equals(event_type, metrics->last->event_type))
		return metrics->last;
	struct metrics_type *type = metrics_find(metrics, event_type);
	if (metrics->is_in_transaction && type->transaction != metrics->transaction) {
		type->before = type->counts;
		type->transaction = metrics->transaction;
	}
	return type;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

void metrics_transaction_begin(struct metrics *metrics)
{
	metrics->is_in_transaction = true;
	metrics->transaction++;
	metrics->totals_before = metrics->totals;
	/* each type counted from here on is looked up once, and what it was is put aside */
	metrics->last = NULL;
}

struct metrics_counts metrics_told(const struct metrics *metrics, const struct metrics_type *type)
{
	bool is_open = metrics->is_in_transaction && type->transaction == metrics->transaction;
	return is_open ? type->before : type->counts;
}

struct metrics_totals metrics_told_totals(const struct metrics *metrics)
{
	return metrics->is_in_transaction ? metrics->totals_before : metrics->totals;
}

void metrics_transaction_end(struct metrics *metrics, bool is_committed)
{
	if (!is_committed) {
		metrics->totals = metrics_told_totals(metrics);
		metrics->other.counts = metrics_told(metrics, &metrics->other);
		for (size_t i = 0; i < metrics->type_capacity; i++)
			metrics->types[i].counts = metrics_told(metrics, &metrics->types[i]);
	}
	metrics->is_in_transaction = false;
}

void metrics_fini(struct metrics *metrics)
{
	for (size_t i = 0; i < metrics->type_capacity; i++)
		tide_free(metrics->types[i].event_type);
	tide_free(metrics->types);
	metrics->types = NULL;
	metrics->type_capacity = metrics->type_count = 0;
	metrics->last = NULL;
}

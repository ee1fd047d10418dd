/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscription counts: by event type, by kind of failure, by duration. Beyond METRICS_TYPES_MAX types, and when
 * memory is out, an event counts under "other".
 */
#include "path/metrics.h"

#include <string.h>

#include "core/text.h"
#include "sys/alloc.h"

const double metrics_bounds[METRICS_BUCKETS - 1] = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60 };

void histogram_add(struct histogram *histogram, int64_t ns)
{
	double seconds = (double)ns / 1e9;
	size_t bucket = 0;
	while (bucket < METRICS_BUCKETS - 1 && seconds > metrics_bounds[bucket])
		bucket++;
	histogram->buckets[bucket]++;
	histogram->count++;
	histogram->sum += seconds;
}

static struct metrics_type *metrics_slot(struct metrics_type *types, size_t capacity, struct tide_text event_type)
{
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
			*metrics_slot(types, capacity, tide_text(metrics->types[i].event_type)) = metrics->types[i];
	tide_free(metrics->types);
	metrics->types = types;
	metrics->type_capacity = capacity;
	metrics->last = NULL;
	return true;
}

struct metrics_type *metrics_type(struct metrics *metrics, struct tide_text event_type)
{
	if (metrics->last && text_equals(event_type, metrics->last->event_type))
		return metrics->last;
	if (!metrics_grow(metrics))
		return &metrics->other;
	struct metrics_type *type = metrics_slot(metrics->types, metrics->type_capacity, event_type);
	if (!type->event_type) {
		if (metrics->type_count == METRICS_TYPES_MAX)
			return &metrics->other;
		type->event_type = alloc_text(event_type.data, event_type.size);
		if (!type->event_type)
			return &metrics->other;
		metrics->type_count++;
	}
	return metrics->last = type;
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

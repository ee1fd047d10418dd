/* SPDX-License-Identifier: Apache-2.0 */
#include "path/held.h"

#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "sys/alloc.h"

/* Dead letters are few: a plain array, searched from its end. */
struct held_aggregate {
	struct tide_uuid aggregate_id;
	uint64_t type_hash;
	struct tide_uuid behind;
};

struct held {
	struct held_aggregate *aggregates;
	size_t count, capacity;
};

tide_status held_new(struct held **ret, struct tide_error *err)
{
	struct held *held = alloc_zero(1, sizeof *held);
	if (!held)
		return alloc_fail(err);
	*ret = held;
	return TIDE_OK;
}

void held_free(struct held *held)
{
	if (!held)
		return;
	tide_free(held->aggregates);
	tide_free(held);
}

static struct held_aggregate *held_find(const struct held *held, const struct tide_uuid *aggregate_id,
					uint64_t type_hash)
{
	for (size_t i = held->count; i-- > 0;)
		if (held->aggregates[i].type_hash == type_hash &&
		    tide_uuid_equal(&held->aggregates[i].aggregate_id, aggregate_id))
			return &held->aggregates[i];
	return NULL;
}

static tide_status held_put(struct held *held, const struct held_aggregate *aggregate, struct tide_error *err)
{
	if (held_find(held, &aggregate->aggregate_id, aggregate->type_hash))
		return TIDE_OK;
	if (held->count == held->capacity) {
		size_t capacity = held->capacity ? held->capacity * 2 : 16;
		void *grown = alloc_resize(held->aggregates, capacity, sizeof *held->aggregates);
		if (!grown)
			return alloc_fail(err);
		held->aggregates = grown;
		held->capacity = capacity;
	}
	held->aggregates[held->count++] = *aggregate;
	return TIDE_OK;
}

tide_status held_add(struct held *held, const struct tide_event *event, struct tide_error *err)
{
	struct held_aggregate aggregate = { event->aggregate_id,
					    fnv1a64(event->aggregate_type.data, event->aggregate_type.size),
					    event->event_id };
	return held_put(held, &aggregate, err);
}

const struct tide_uuid *held_behind(const struct held *held, const struct tide_event *event)
{
	if (!held || held->count == 0)
		return NULL;
	uint64_t hash = fnv1a64(event->aggregate_type.data, event->aggregate_type.size);
	const struct held_aggregate *found = held_find(held, &event->aggregate_id, hash);
	return found ? &found->behind : NULL;
}

/* The aggregate of an entry, from the event it keeps as JSON; false when that does not say. */
static bool held_read_entry(const struct tide_dead_letter *entry, struct held_aggregate *ret)
{
	struct json_reader reader;
	struct json_token token;
	bool has_id = false, has_type = false;
	json_read(&reader, entry->event_data, strlen(entry->event_data));
	if (json_next(&reader).kind != JSON_OBJECT)
		return false;
	while ((token = json_next(&reader)).kind == JSON_KEY) {
		struct json_token value = json_next(&reader);
		if (value.kind == JSON_STRING && json_equals(&token, "aggregate_id"))
			has_id = uuid_read(value.text.data, value.text.size, &ret->aggregate_id);
		if (value.kind == JSON_STRING && json_equals(&token, "aggregate_type")) {
			ret->type_hash = fnv1a64(value.text.data, value.text.size);
			has_type = true;
		}
		if (!json_skip(&reader, value, NULL))
			return false;
	}
	ret->behind = entry->event_id;
	return has_id && has_type;
}

tide_status held_load(struct held *held, const struct tide_dead_letter_list *list, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	held->count = 0;
	for (size_t i = 0; i < list->count && status == TIDE_OK; i++) {
		struct held_aggregate aggregate;
		if (held_read_entry(&list->entries[i], &aggregate))
			status = held_put(held, &aggregate, err);
	}
	return status;
}

bool held_same_aggregate(const struct tide_dead_letter *entry, const struct tide_event *event)
{
	struct held_aggregate aggregate;
	return held_read_entry(entry, &aggregate) && tide_uuid_equal(&aggregate.aggregate_id, &event->aggregate_id) &&
	       aggregate.type_hash == fnv1a64(event->aggregate_type.data, event->aggregate_type.size);
}

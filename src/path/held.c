/* SPDX-License-Identifier: Apache-2.0 */
#include "path/held.h"

#include <string.h>

#include "core/event.h"
#include "sys/alloc.h"

/* Dead letters are few: a plain array, searched from its end. */
struct held_aggregate {
	struct tide_uuid aggregate_id;
	uint64_t type_hash;
	char *behind;
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

static void held_empty(struct held *held)
{
	while (held->count > 0)
		tide_free(held->aggregates[--held->count].behind);
}

void held_free(struct held *held)
{
	if (!held)
		return;
	held_empty(held);
	tide_free(held->aggregates);
	tide_free(held);
}

static const struct held_aggregate *
held_find(const struct held *held, const struct tide_uuid *aggregate_id, uint64_t type_hash)
{
	for (size_t i = held->count; i-- > 0;)
		if (held->aggregates[i].type_hash == type_hash &&
		    tide_uuid_equal(&held->aggregates[i].aggregate_id, aggregate_id))
			return &held->aggregates[i];
	return NULL;
}

static bool held_reserve(struct held *held)
{
	if (held->count < held->capacity)
		return true;
	size_t capacity = held->capacity ? held->capacity * 2 : 16;
	void *grown = alloc_resize(held->aggregates, capacity, sizeof *held->aggregates);
	if (!grown)
		return false;
	held->aggregates = grown;
	held->capacity = capacity;
	return true;
}

static tide_status held_put(struct held *held, const struct tide_uuid *aggregate_id,
			    uint64_t type_hash, const char *behind, struct tide_error *err)
{
	/* A row whose aggregate cannot be read belongs to none: it holds nobody. */
	if (tide_uuid_is_nil(aggregate_id) || held_find(held, aggregate_id, type_hash))
		return TIDE_OK;
	char *copy = held_reserve(held) ? alloc_text(behind, strlen(behind)) : NULL;
	if (!copy)
		return alloc_fail(err);
	held->aggregates[held->count++] = (struct held_aggregate){ *aggregate_id, type_hash, copy };
	return TIDE_OK;
}

tide_status held_add(struct held *held, const struct tide_event *event, const char *event_id,
		     struct tide_error *err)
{
	return held_put(held, &event->aggregate_id, event_type_hash(event->aggregate_type),
			event_id, err);
}

const char *held_behind(const struct held *held, const struct tide_event *event)
{
	if (!held || held->count == 0)
		return NULL;
	const struct held_aggregate *found =
		held_find(held, &event->aggregate_id, event_type_hash(event->aggregate_type));
	return found ? found->behind : NULL;
}

tide_status held_load(struct held *held, const struct tide_dead_letter_list *list,
		      struct tide_lane share, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	held_empty(held);
	for (size_t i = 0; i < list->count && status == TIDE_OK; i++) {
		struct event_place place;
		status = event_read_place(tide_text(list->entries[i].event_data), &place, err);
		if (status == TIDE_OK && place.has_stream &&
		    event_place_is_in(&place, share.index, share.total))
			status = held_put(held, &place.aggregate_id, place.type_hash,
					  list->entries[i].event_id_text, err);
	}
	return status;
}

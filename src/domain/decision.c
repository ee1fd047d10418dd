/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions, and the lists of events that aggregates hand out. */
#include "domain/decision.h"

#include "domain/aggregate.h"
#include "sys/alloc.h"

tide_status tide_decision_add(struct tide_decision *decision, const struct tide_event_type *type,
			      const void *payload, struct tide_error *err)
{
	if (!decision)
		return tide_fail(err, TIDE_ARGUMENT, "decision must not be null");
	if (decision->count == decision->capacity) {
		size_t capacity = decision->capacity ? decision->capacity * 2 : 4;
		void *grown = alloc_resize(decision->items, capacity, sizeof *decision->items);
		if (!grown)
			return alloc_fail(err);
		decision->items = grown;
		decision->capacity = capacity;
	}

	char *json;
	tide_status status = tide_event_encode(type, payload, &json, err);
	if (status != TIDE_OK)
		return status;

	decision->items[decision->count].type = type;
	decision->items[decision->count++].payload = json;
	return TIDE_OK;
}

void decision_fini(struct tide_decision *decision)
{
	for (size_t i = 0; i < decision->count; i++)
		tide_free(decision->items[i].payload);
	tide_free(decision->items);
}

void tide_event_list_fini(struct tide_event_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++)
		tide_free(list->events[i]);
	tide_free(list->events);
	*list = (struct tide_event_list){ 0 };
}

size_t tide_aggregate_uncommitted_count(const struct tide_aggregate *aggregate)
{
	return aggregate ? aggregate->uncommitted.count : 0;
}

tide_status tide_aggregate_uncommitted(const struct tide_aggregate *aggregate,
				       struct tide_event_list *ret, struct tide_error *err)
{
	if (!aggregate || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s must not be null",
				 aggregate ? "ret" : "aggregate");

	const struct tide_event_list *list = &aggregate->uncommitted;
	struct tide_event_list copy = { .events = alloc_zero(list->count, sizeof *copy.events) };
	tide_status status = copy.events ? TIDE_OK : alloc_fail(err);
	for (; copy.count < list->count && status == TIDE_OK; copy.count += status == TIDE_OK)
		status = tide_event_copy(list->events[copy.count], &copy.events[copy.count], err);
	if (status == TIDE_OK)
		*ret = copy;
	else
		tide_event_list_fini(&copy);
	return status;
}

void tide_aggregate_clear(struct tide_aggregate *aggregate, struct tide_event_list *ret)
{
	if (!aggregate)
		return;
	struct tide_event_list cleared = aggregate->uncommitted;
	aggregate->uncommitted = (struct tide_event_list){ 0 };
	aggregate->capacity = 0;
	if (ret)
		*ret = cleared;
	else
		tide_event_list_fini(&cleared);
}

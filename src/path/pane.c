/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of history that several readers take their events from.
 *
 * Happy path: it is read without a filter, the events of each lane are linked, and then nobody
 * writes to it any more: each reader adds to its own page what its filter lets through, and counts
 * the rest. A lane goes from one of its events to the next and looks at none of the others.
 * Failure modes: there is no memory for the links, or they are of another number of lanes: the
 * reader's filter looks at each event. The reader's page is full: the rest is for its next one.
 */
#include "path/pane.h"

#include <assert.h>

#include "core/text.h"
#include "sys/alloc.h"

_Static_assert(PANE_EVENTS_MAX < UINT16_MAX, "places of entries are short");

size_t pane_lanes_bytes(uint32_t total, size_t events)
{
	return total > 0 ? (total + events) * sizeof(uint16_t) : 0;
}

size_t pane_bytes(const struct pane *pane)
{
	const struct tide_page *page = &pane->page;
	return page->bytes + page->count * sizeof *page->entries +
	       pane_lanes_bytes(pane->lanes.total, page->max_events);
}

struct pane *pane_new(const struct pane_size *size)
{
	size_t count = size->lanes + size->events;
	struct pane *pane = alloc_zero(1, sizeof *pane);
	uint16_t *places = pane && size->lanes > 0 ? alloc_zero(count, sizeof *places) : NULL;
	if (!pane)
		return NULL;
	tide_page_init(&pane->page);
	tide_page_begin(&pane->page, size->events, size->share);
	if (places)
		pane->lanes = (struct pane_lanes){ size->lanes, places, places + size->lanes };
	return pane;
}

void pane_free(struct pane *pane)
{
	tide_page_fini(&pane->page);
	tide_free(pane->lanes.first);
	tide_free(pane);
}

/* The first entry behind `after`; count when there is none. */
static size_t pane_find(const struct pane *pane, tide_position after)
{
	size_t low = 0, high = pane->page.count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (pane->page.entries[middle].event.position > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* From the last one to the first, so that each finds the one behind it. */
void pane_link(struct pane *pane)
{
	struct pane_lanes *lanes = &pane->lanes;
	size_t count = pane->page.count;
	assert(count <= PANE_EVENTS_MAX);
	for (uint32_t i = 0; i < lanes->total; i++)
		lanes->first[i] = (uint16_t)count;
	for (size_t i = count; lanes->total > 0 && i-- > 0;) {
		const struct tide_uuid *id = &pane->page.entries[i].event.aggregate_id;
		uint64_t lane = fnv1a64(id->bytes, sizeof id->bytes) % lanes->total;
		lanes->next[i] = lanes->first[lane];
		lanes->first[lane] = (uint16_t)i;
	}
}

static bool pane_is_linked_for(const struct pane *pane, const struct tide_filter *filter)
{
	return pane->lanes.total > 0 && pane->lanes.total == filter->partition_total;
}

/* The first entry from a place on that may be wanted. */
static size_t pane_first(const struct pane *pane, const struct tide_filter *filter, size_t from)
{
	if (!pane_is_linked_for(pane, filter))
		return from;
	size_t i = pane->lanes.first[filter->partition_index];
	while (i < from)
		i = pane->lanes.next[i];
	return i;
}

/* Entries that are not wanted. */
static void pane_pass(const struct pane *pane, size_t from, size_t to, struct tide_page *page)
{
	assert(from <= to && to <= pane->page.count);
	if (from == to)
		return;
	const struct tide_event *last = &pane->page.entries[to - 1].event;
	page->passed_after += (int64_t)(to - from);
	page->passed = (struct tide_anchor){ last->position, last->event_id };
	page->scanned_to = last->position;
}

static bool pane_add(const struct tide_event *event, struct tide_page *page)
{
	if (!tide_page_fits(page, event->payload.size + event->metadata.size) ||
	    tide_page_add(page, event, NULL) != TIDE_OK)
		return false;
	page->scanned_to = event->position;
	return true;
}

bool pane_copy(const struct pane *pane, const struct tide_filter *filter, struct tide_page *page)
{
	assert(pane->state == PANE_READ && page->scanned_to >= pane->from);
	bool is_linked = pane_is_linked_for(pane, filter);
	struct tide_filter rest = *filter;
	if (is_linked)
		rest.partition_total = 0;

	size_t count = pane->page.count, seen = pane_find(pane, page->scanned_to);
	for (size_t i = pane_first(pane, filter, seen); i < count;
	     i = is_linked ? pane->lanes.next[i] : i + 1) {
		const struct tide_event *event = &pane->page.entries[i].event;
		if (!tide_filter_matches(&rest, event))
			continue;
		pane_pass(pane, seen, i, page);
		seen = i;
		if (!pane_add(event, page))
			return false;
		seen = i + 1;
	}

	pane_pass(pane, seen, count, page);
	if (page->scanned_to < pane->to)
		page->scanned_to = pane->to;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following the feed without a subscription.
 *
 * Happy path: at the end the tail answers, and one look fills it for everybody. Behind its window
 * the store is read, by the filter, until the window is reached. Failure modes: a look fails: the
 * tail is told, so that the next one looks again; there is no memory for a window: everyone reads
 * the store.
 */
#include "path/follow.h"

#include "path/port.h"

#define FOLLOW_SCAN_MAX 10000
#define FOLLOW_LOOK_EVENTS 1000
#define FOLLOW_LOOK_BYTES (4 << 20)
#define FOLLOW_TRIES 8 /* looks until what others do meanwhile is waited for */

static tide_status follow_read(struct tide_store *store, const struct tide_page_query *query,
			       struct tide_page *page, struct tide_error *err)
{
	void *session;
	tide_status status = store_borrow(store, &session, err);
	if (status != TIDE_OK)
		return status;
	status = port_read(store, session, query, page, err);
	store_return(store, session, status);
	return status;
}

static tide_status follow_read_store(struct tide_store *store, const struct follow_query *query,
				     struct tide_page *page, struct mono_time *ret_look_at,
				     struct tide_error *err)
{
	struct tide_page_query read = { .filter = query->filter,
					.bound = query->after,
					.max_events = query->max_events,
					.max_bytes = query->max_bytes,
					.max_scan = FOLLOW_SCAN_MAX };
	tide_page_begin(page, query->max_events, query->max_bytes);
	tide_status status = follow_read(store, &read, page, err);
	if (status != TIDE_OK)
		return status;

	struct mono_time now = clock_mono(&clock_system);
	bool was_read = query->was_read || page->scanned_to > query->after;
	if (page->scanned_to < query->after)
		page->scanned_to = query->after;
	if (page->is_end && was_read) /* else nobody knows that the store reaches so far */
		tail_open(store->tail, page->scanned_to);
	*ret_look_at = mono_add(now, page->wait_ns ? page->wait_ns : query->max_age_ns);
	return TIDE_OK;
}

/* For everybody: what is behind the window, without a filter. */
static tide_status follow_look(struct tide_store *store, tide_position to, struct tide_error *err)
{
	static const struct tide_filter everything = { 0 };
	struct mono_time now = clock_mono(&clock_system);
	struct tide_page page;
	struct tide_page_query read = { .filter = &everything,
					.bound = to,
					.max_events = FOLLOW_LOOK_EVENTS,
					.max_bytes = FOLLOW_LOOK_BYTES,
					.max_scan = FOLLOW_SCAN_MAX };

	tide_page_init(&page);
	tide_page_begin(&page, read.max_events, read.max_bytes);
	tide_status status = follow_read(store, &read, &page, err);
	if (status == TIDE_OK)
		status = tail_filled(store->tail, &page, now, err);
	else
		(void)tail_filled(store->tail, NULL, now, NULL);
	tide_page_fini(&page);
	return status;
}

tide_status follow_page(struct tide_store *store, const struct follow_query *query,
			struct tide_page *page, struct mono_time *ret_look_at,
			struct tide_error *err)
{
	struct mono_time now = clock_mono(&clock_system);
	struct tail_query ask = { query->after, query->was_read, query->filter, now,
				  query->max_age_ns };
	tide_status status = TIDE_OK;
	tide_position to = 0;

	for (int tries = 0; status == TIDE_OK && tries < FOLLOW_TRIES; tries++) {
		tide_page_begin(page, query->max_events, query->max_bytes);
		*ret_look_at = mono_add(now, query->max_age_ns);
		switch (tail_read(store->tail, &ask, page, &to, ret_look_at)) {
		case TAIL_PAGE:
			return TIDE_OK;
		case TAIL_END:
		case TAIL_FILLING:
			page->scanned_to = query->after;
			return TIDE_OK;
		case TAIL_FILL:
			status = follow_look(store, to, err);
			break;
		case TAIL_BEHIND:
		case TAIL_CLOSED:
			return follow_read_store(store, query, page, ret_look_at, err);
		}
	}
	page->scanned_to = query->after;
	return status;
}

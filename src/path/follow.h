/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PATH_FOLLOW_H
#define TIDE_PATH_FOLLOW_H

#include "path/store.h"

/** What is read of the feed by who follows it without a subscription. */
struct follow_query {
	tide_position after;
	bool was_read; /* everything up to `after` was read by this one */
	const struct tide_filter *filter;
	size_t max_events, max_bytes;
	int64_t max_age_ns; /* how old a look at the store may be that found nothing */
};

/**
 * Read the next page behind a position: from the tail that all who are near the end share, else
 * from the store. `page->scanned_to` is where to go on; the same as `after`: nothing is new, and
 * `*ret_look_at` is when to look again without a ring. Errors are those of the backend.
 */
tide_status follow_page(struct tide_store *store, const struct follow_query *query,
			struct tide_page *page, struct mono_time *ret_look_at,
			struct tide_error *err);

#endif

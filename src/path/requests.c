/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead letters that somebody asked to have delivered again, as found at the last look, in the
 * order of their positions.
 *
 * Failure modes: memory is out: none is known, and the next look finds them again.
 */
#include "path/requests.h"

#include <stdlib.h>

#include "core/event.h"
#include "sys/alloc.h"

static int requests_compare(const void *a, const void *b)
{
	const struct redelivery *left = a, *right = b;
	if (left->position != right->position)
		return left->position < right->position ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

void requests_sort(struct requests *requests)
{
	if (requests->count > 1)
		qsort(requests->list, requests->count, sizeof *requests->list, requests_compare);
}

void requests_forget(struct requests *requests)
{
	tide_free(requests->list);
	requests->list = NULL;
	requests->count = requests->next = 0;
}

/* Keep what is needed of a page of requests: their number is not bounded, and each has a whole
 * event with it. */
tide_status requests_note(struct requests *requests, const struct tide_dead_letter_list *page,
			  struct tide_lane share, struct tide_error *err)
{
	size_t most = requests->count + page->count;
	struct redelivery *notes = alloc_resize(requests->list, most, sizeof *notes);
	if (!notes)
		return alloc_fail(err);

	requests->list = notes;
	for (size_t i = 0; i < page->count; i++) {
		struct event_place place;
		tide_status status =
			event_read_place(tide_text(page->entries[i].event_data), &place, err);
		if (status != TIDE_OK)
			return status;
		if (event_place_is_in(&place, share.index, share.total))
			notes[requests->count++] =
				(struct redelivery){ place.position, page->entries[i].id };
	}
	return TIDE_OK;
}

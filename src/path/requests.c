/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead letters that somebody asked to have delivered again, as found at the last look, in the
 * order of their positions.
 *
 * Failure modes: memory is out: none is known, and the next look finds them again.
 */
#include "path/runner.h"

#include <stdlib.h>

#include "core/event.h"
#include "sys/alloc.h"

int requests_compare(const void *a, const void *b)
{
	const struct redelivery *left = a, *right = b;
	if (left->position != right->position)
		return left->position < right->position ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

void requests_forget(struct runner *runner)
{
	tide_free(runner->redeliveries);
	runner->redeliveries = NULL;
	runner->redelivery_count = runner->redelivery_next = 0;
}

/* Keep what is needed of a page of requests: their number is not bounded, and each has a whole
 * event with it. */
tide_status requests_note(struct runner *runner, const struct tide_dead_letter_list *page,
			  struct tide_error *err)
{
	size_t count = runner->redelivery_count;
	struct redelivery *notes =
		alloc_resize(runner->redeliveries, count + page->count, sizeof *notes);
	if (!notes)
		return alloc_fail(err);

	runner->redeliveries = notes;
	for (size_t i = 0; i < page->count; i++) {
		struct event_place place;
		tide_status status =
			event_read_place(tide_text(page->entries[i].event_data), &place, err);
		if (status != TIDE_OK)
			return status;
		notes[count + i] = (struct redelivery){ place.position, page->entries[i].id };
	}

	runner->redelivery_count += page->count;
	return TIDE_OK;
}

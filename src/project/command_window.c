/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which events a command was sent and has not settled.
 *
 *	first ─▶ │ in flight: to be answered, in order │ sent before, to be sent again │
 *
 * Happy path: events are added behind those in flight, and leave at the front as they are answered.
 * Failure modes: one fails: nothing is in flight any more, the answers that are still to come are
 * stale, and how often each event was sent is remembered for the next time.
 */
#include "project/command.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

tide_status window_init(struct window *window, size_t events, struct tide_error *err)
{
	/* one that is delivered in between, and room to move in */
	*window = (struct window){ .capacity = 2 * events + 2 };
	window->events = alloc_zero(window->capacity, sizeof *window->events);
	return window->events ? TIDE_OK : alloc_fail(err);
}

void window_fini(struct window *window)
{
	tide_free(window->events);
	window->events = NULL;
}

void window_clear(struct window *window)
{
	window->first = window->count = window->in_flight = window->stale = 0;
}

const struct sent_event *window_oldest(const struct window *window)
{
	return window->count ? &window->events[window->first] : NULL;
}

bool window_is(const struct sent_event *sent, const struct tide_event *event)
{
	return sent->position == event->position &&
	       tide_uuid_equal(&sent->event_id, &event->event_id);
}

static void window_drop_first(struct window *window)
{
	window->first++;
	window->count--;
}

void window_align(struct window *window, const struct tide_event *event)
{
	const struct sent_event *oldest = window_oldest(window);
	if (oldest && window_is(oldest, event))
		return;

	window->stale += window->in_flight;
	window->in_flight = 0;
	while ((oldest = window_oldest(window)) && oldest->position < event->position)
		window_drop_first(window);
}

/* Make room for one more at `index`; the last one is forgotten when there is none. */
static struct sent_event *window_insert(struct window *window, size_t index)
{
	if (window->count == window->capacity)
		window->count--;
	if (window->first > 0 && window->first + window->count == window->capacity) {
		memmove(window->events, &window->events[window->first],
			window->count * sizeof *window->events);
		window->first = 0;
	}

	struct sent_event *at = &window->events[window->first + index];
	memmove(at + 1, at, (window->count - index) * sizeof *at);
	window->count++;
	return at;
}

int32_t window_send(struct window *window, const struct tide_event *event, int32_t attempt)
{
	size_t index = window->in_flight;
	struct sent_event *at = &window->events[window->first + index];
	while (index < window->count && at->position < event->position) {
		window->count--;
		memmove(at, at + 1, (window->count - index) * sizeof *at);
	}

	if (index == window->count || !window_is(at, event)) {
		at = window_insert(window, index);
		*at = (struct sent_event){ event->position, event->event_id, 0, 0 };
	}

	at->attempt = at->attempt + 1 > attempt ? at->attempt + 1 : attempt;
	window->in_flight++;
	return at->attempt;
}

void window_measure(struct window *window, size_t bytes)
{
	assert(window->in_flight > 0);
	window->events[window->first + window->in_flight - 1].bytes = bytes;
}

size_t window_bytes(const struct window *window)
{
	size_t bytes = 0;
	for (size_t i = 0; i < window->in_flight; i++)
		bytes += window->events[window->first + i].bytes;
	return bytes;
}

void window_settle(struct window *window)
{
	assert(window->in_flight > 0);
	window->in_flight--;
	window_drop_first(window);
}

void window_fail(struct window *window, bool is_answered)
{
	window->stale += is_answered ? window->in_flight - 1 : window->in_flight;
	window->in_flight = 0;
}

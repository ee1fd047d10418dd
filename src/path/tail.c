/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest events of a store, shared by all its live subscriptions, so that a thousand of them
 * cost one read.
 *
 * Happy path: a subscription at the end of the window is told to look (TAIL_FILL), reads the store
 * once without a filter, hands the page over (tail_filled) and wakes the others, who take their
 * events from memory.
 * Failure modes: the look fails: the next one who asks looks. Memory is out: the window closes and
 * everyone reads the store. A subscription is too slow: its events leave the window and it reads
 * the store (TAIL_BEHIND).
 *
 *      positions   ··· from ]  e  e  e  e  e  to ]  not looked at yet
 */
#include "path/tail.h"

#include <assert.h>

#include "sys/alloc.h"

struct tail {
	struct notifier *notifier; /* fixed after open */

	/* under lock */
	struct mutex lock;
	bool is_open;
	tide_position from, to;
	struct tide_event **ring; /* TAIL_EVENTS_MAX slots, allocated when the window opens */
	size_t first, count, bytes;
	bool is_filling;
	bool is_void;        /* closed meanwhile: what that look finds is of another store */
	bool is_silent;      /* nobody rang for this look: what it finds is news to everybody */
	bool has_waiters;    /* somebody was told TAIL_FILLING */
	bool is_at_end;      /* the last look found the end */
	bool is_at_hole;     /* it was a hole */
	uint64_t rings_seen; /* rings before the last look began */
	struct mono_time looked_at; /* when it began */
	struct mono_time look_at;   /* when to look again without a ring */
};

tide_status tail_new(struct notifier *notifier, struct tail **ret, struct tide_error *err)
{
	struct tail *tail = alloc_zero(1, sizeof *tail);
	if (!tail)
		return alloc_fail(err);
	tail->notifier = notifier;
	mutex_init(&tail->lock, LOCK_TAIL);
	*ret = tail;
	return TIDE_OK;
}

static size_t tail_event_bytes(const struct tide_event *event)
{
	return sizeof *event + event->payload.size + event->metadata.size;
}

static void tail_drop_first_locked(struct tail *tail) TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	assert(tail->count > 0);
	assert(tail->ring[tail->first]->position > tail->from);
	struct tide_event *event = tail->ring[tail->first];
	tail->from = event->position;
	tail->bytes -= tail_event_bytes(event);
	tail->first = (tail->first + 1) % TAIL_EVENTS_MAX;
	tail->count--;
	tide_free(event);
}

static void tail_close_locked(struct tail *tail) TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	while (tail->count > 0)
		tail_drop_first_locked(tail);
	tide_free(tail->ring);
	tail->ring = NULL;
	tail->is_open = false;
}

void tail_free(struct tail *tail)
{
	if (!tail)
		return;
	mutex_lock(&tail->lock);
	tail_close_locked(tail);
	mutex_unlock(&tail->lock);
	mutex_fini(&tail->lock);
	tide_free(tail);
}

void tail_open(struct tail *tail, tide_position end)
{
	mutex_lock(&tail->lock);
	if (!tail->is_open)
		tail->ring = alloc_zero(TAIL_EVENTS_MAX, sizeof(struct tide_event *));
	if (!tail->is_open && tail->ring) {
		tail->is_open = true;
		tail->from = tail->to = end;
		tail->is_at_end = false;
	}
	mutex_unlock(&tail->lock);
}

/* The first slot whose event lies behind `after`; count when there is none. */
static size_t tail_find_locked(const struct tail *tail, tide_position after)
	TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	size_t low = 0, high = tail->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (tail->ring[(tail->first + middle) % TAIL_EVENTS_MAX]->position > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void tail_pass(struct tide_page *page, const struct tide_event *event)
{
	tide_page_pass(page);
	page->passed = (struct tide_anchor){ event->position, event->event_id };
}

static void tail_copy_locked(const struct tail *tail, tide_position after,
			     const struct tide_filter *filter, struct tide_page *page)
	TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	assert(after >= tail->from);
	page->scanned_to = after;
	for (size_t i = tail_find_locked(tail, after); i < tail->count; i++) {
		const struct tide_event *event = tail->ring[(tail->first + i) % TAIL_EVENTS_MAX];
		if (!tide_filter_matches(filter, event))
			tail_pass(page, event);
		else if (!tide_page_fits(page, event->payload.size + event->metadata.size) ||
			 tide_page_add(page, event, NULL) != TIDE_OK)
			return; /* full; what was copied is delivered first */
		page->scanned_to = event->position;
	}
	page->scanned_to = tail->to;
}

static bool tail_is_fresh_locked(const struct tail *tail, const struct tail_query *query)
	TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	return tail->is_at_end && tail->rings_seen == notifier_rings(tail->notifier) &&
	       mono_since(query->now, tail->looked_at) < query->max_age_ns &&
	       query->now.ns < tail->look_at.ns;
}

/* A window that nobody followed for long moves to where its only reader is, instead of reading all
 * that lies between. */
static void tail_move_locked(struct tail *tail, const struct tail_query *query)
	TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	if (!query->was_read || tail->is_filling || query->after - tail->to <= TAIL_EVENTS_MAX)
		return;
	while (tail->count > 0)
		tail_drop_first_locked(tail);
	tail->from = tail->to = query->after;
	tail->is_at_end = false;
}

static enum tail_answer tail_at_end_locked(struct tail *tail, const struct tail_query *query,
					   tide_position *ret_to, struct mono_time *ret_look_at)
	TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	if (tail->is_filling) {
		tail->has_waiters = true;
		return TAIL_FILLING;
	}

	if (tail_is_fresh_locked(tail, query)) {
		*ret_look_at =
			mono_min(tail->look_at, mono_add(tail->looked_at, query->max_age_ns));
		return TAIL_END;
	}

	uint64_t rings = notifier_rings(tail->notifier);
	tail->is_filling = true;
	tail->is_silent = tail->rings_seen == rings;
	tail->rings_seen = rings;
	tail->looked_at = query->now;
	*ret_to = tail->to;
	return TAIL_FILL;
}

enum tail_answer tail_read(struct tail *tail, const struct tail_query *query,
			   struct tide_page *page, tide_position *ret_to,
			   struct mono_time *ret_look_at)
{
	mutex_lock(&tail->lock);
	enum tail_answer answer = tail->is_open ? TAIL_BEHIND : TAIL_CLOSED;
	if (tail->is_open)
		tail_move_locked(tail, query);
	if (tail->is_open && query->after >= tail->to) {
		answer = tail_at_end_locked(tail, query, ret_to, ret_look_at);
	} else if (tail->is_open && query->after >= tail->from) {
		tail_copy_locked(tail, query->after, query->filter, page);
		if (page->scanned_to > query->after) /* else memory is out: try the store */
			answer = TAIL_PAGE;
	}

	mutex_unlock(&tail->lock);
	return answer;
}

static bool tail_append_locked(struct tail *tail, const struct tide_event *event)
	TIDE_REQUIRES(tail->lock)
{
	assert(mutex_is_mine(&tail->lock));
	assert(event->position > tail->to);
	struct tide_event *copy;
	if (tide_event_copy(event, &copy, NULL) != TIDE_OK)
		return false;
	while (tail->count == TAIL_EVENTS_MAX ||
	       (tail->count > 0 && tail->bytes + tail_event_bytes(copy) > TAIL_BYTES_MAX))
		tail_drop_first_locked(tail);
	assert(tail->count < TAIL_EVENTS_MAX);
	tail->ring[(tail->first + tail->count) % TAIL_EVENTS_MAX] = copy;
	tail->count++;
	tail->bytes += tail_event_bytes(copy);
	return true;
}

tide_position tail_newest(struct tail *tail, struct tide_anchor *ret)
{
	mutex_lock(&tail->lock);
	*ret = (struct tide_anchor){ 0 };
	if (tail->is_open && tail->count > 0) {
		const struct tide_event *event =
			tail->ring[(tail->first + tail->count - 1) % TAIL_EVENTS_MAX];
		*ret = (struct tide_anchor){ event->position, event->event_id };
	}
	tide_position to = tail->is_open ? tail->to : 0;
	mutex_unlock(&tail->lock);
	return to;
}

void tail_forget(struct tail *tail)
{
	mutex_lock(&tail->lock);
	if (tail->is_open)
		tail_close_locked(tail);
	tail->is_void = tail->is_filling;
	mutex_unlock(&tail->lock);
}

bool tail_is_at_hole(struct tail *tail)
{
	mutex_lock(&tail->lock);
	bool is_at_hole = tail->is_at_hole;
	mutex_unlock(&tail->lock);
	return is_at_hole;
}

tide_status tail_filled(struct tail *tail, const struct tide_page *page, struct mono_time now,
			struct tide_error *err)
{
	bool has_memory = true;
	mutex_lock(&tail->lock);
	assert(tail->is_filling);
	tail->is_at_end = false;
	if (tail->is_void || !tail->is_open)
		page = NULL;
	tail->is_void = false;
	for (size_t i = 0; page && i < page->count && has_memory; i++)
		has_memory = tail_append_locked(tail, &page->entries[i].event);
	if (!has_memory) {
		tail_close_locked(tail);
	} else if (page) {
		tail->to = page->scanned_to;
		tail->is_at_end = page->is_end;
		tail->is_at_hole = page->wait_ns > 0;
		tail->look_at = page->wait_ns ? mono_add(now, page->wait_ns) : MONO_NEVER;
	}

	tail->is_filling = false;
	assert(!tail->is_open || tail->from <= tail->to);
	bool should_ring = tail->has_waiters || (tail->is_silent && page && page->count > 0);
	tail->has_waiters = false;
	mutex_unlock(&tail->lock);

	if (should_ring)
		notifier_ring(tail->notifier, RING_TAIL);
	return has_memory ? TIDE_OK : alloc_fail(err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One subscription's events in order: pages of the store, its own or shared with others that are
 * near, then the tail; no gap, no repeat.
 *
 * Happy path: feed_fill reads the page strictly behind the last position read; feed_peek and
 * feed_take walk through the pages in the order they were read. There is no other way into the ring
 * of pages, so order follows from reading order.
 * Failure modes: a read fails: nothing has changed, the next one asks for the same page. The reader
 * gets too far ahead (max_in_flight, bytes): it is blocked until enough is settled. The tail has
 * moved on: is_behind, and pages come from the store. Somebody else reads what comes next: it is
 * waited for, for a moment (panes.c).
 */
#include "path/feed.h"

#include <assert.h>

#include "core/text.h"
#include "path/ahead.h"
#include "path/port.h"
#include "path/store.h"
#include "sys/alloc.h"

#define FEED_SHARED_MAX 9000 /* a pane more is no more than that */
/* what lets fewer than one in so many through is for the database to find */
#define FEED_NARROW 64
#define FEED_BROAD 4       /* what lets one in so many through is read ahead, with all others */
#define FEED_LEAP_MIN 1000 /* events say whether they were leapt to */
/* that may be read before anything is delivered; then one for each delivery */
#define FEED_PAGES_AHEAD 4
#define FEED_LOOK_EVENTS 256
#define FEED_LOOK_BYTES ((size_t)4 << 20)

/* Whether something else than the feed itself may find what the filter wants. */
static bool feed_may_be_found(const struct tide_filter *filter)
{
	return (filter->event_types && *filter->event_types) ||
	       (filter->aggregate_types && *filter->aggregate_types) || filter->tenant_id ||
	       filter->aggregate_id;
}

tide_status feed_init(struct feed *feed, struct tide_store *store, const struct tide_filter *filter,
		      const struct feed_limits *limits, struct tide_error *err)
{
	*feed = (struct feed){ .store = store,
			       .filter = filter,
			       .limits = *limits,
			       .reader = { .max_bytes = limits->max_bytes } };
	if (feed_may_be_found(filter)) /* what of them there are is seen soon */
		feed->share.verdict = FEED_WANTS_SOME;
	/* Every page but the last one read holds page_events, or the bytes are used up: one more
	 * never happens. */
	feed->capacity = (size_t)(limits->max_in_flight / (int64_t)limits->page_events) + 2;
	tide_page_init(&feed->scratch);
	feed->pages = alloc_zero(feed->capacity, sizeof *feed->pages);
	return feed->pages ? TIDE_OK : alloc_fail(err);
}

void feed_fini(struct feed *feed)
{
	feed_rest(feed);
	for (size_t i = 0; feed->pages && i < feed->capacity; i++)
		if (feed->pages[i]) {
			tide_page_fini(feed->pages[i]);
			tide_free(feed->pages[i]);
		}
	tide_free(feed->pages);
	feed->pages = NULL;
	feed_inherit(feed, NULL, 0);
	tide_page_fini(&feed->scratch);
}

/* ---- What is in flight ----------------------------------------------------------------------- */

static void feed_acquire(struct feed *feed, const struct tide_page *page)
{
	struct feed_flow *flow = &feed->flow;
	assert(flow->in_flight + (int64_t)page->count <= feed->limits.max_in_flight);
	flow->in_flight += (int64_t)page->count;
	flow->total_acquisitions += (int64_t)page->count;
	if (flow->in_flight > flow->peak_in_flight)
		flow->peak_in_flight = flow->in_flight;
	feed->bytes += (int64_t)page->bytes;
	feed->read_releases = flow->total_releases;
}

static void feed_release(struct feed *feed, int64_t events, int64_t bytes)
{
	feed->flow.in_flight -= events;
	feed->flow.total_releases += events;
	feed->bytes -= bytes;
	assert(feed->flow.in_flight >= 0 && feed->bytes >= 0);
}

static void feed_block(struct feed *feed, struct mono_time now)
{
	assert(!feed->is_blocked);
	feed->is_blocked = true;
	feed->blocked_since = now;
	feed->blocked_releases = feed->flow.total_releases;
	feed->flow.pause_count++;
}

static void feed_unblock(struct feed *feed, struct mono_time now)
{
	if (feed->is_blocked)
		feed->flow.total_pause_ns += mono_since(now, feed->blocked_since);
	feed->is_blocked = false;
}

void feed_rest(struct feed *feed)
{
	if (feed->store)
		panes_leave(feed->store->panes, &feed->reader);
	feed->wait_until = (struct mono_time){ 0 };
}

void feed_start(struct feed *feed, tide_position position, struct mono_time now)
{
	feed_rest(feed);
	feed_release(feed, feed->flow.in_flight, feed->bytes);
	feed_unblock(feed, now);
	feed->first = feed->count = feed->next = 0;
	feed->was_read = feed->was_read && feed->read_to >= position;
	feed->read_to = position;
	feed->is_end = feed->flow.is_at_hole = feed->is_behind = false;
	feed->since_end = 0;
}

void feed_inherit(struct feed *feed, struct inherit_row *rows, size_t count)
{
	tide_free(feed->inherited.rows);
	feed->inherited = (struct feed_inherited){ rows, count };
}

void feed_rung(struct feed *feed)
{
	feed->is_end = false;
	feed->wait_until = (struct mono_time){ 0 };
}

static bool feed_has_room(const struct feed *feed)
{
	int64_t room = feed->limits.max_in_flight - feed->flow.in_flight;
	if (feed->count == feed->capacity || feed->bytes >= feed->limits.max_bytes)
		return false;
	/*
	 * Whole pages: a page is what a strategy saves after and what a batch handler gets, and
	 * each costs a read and a save. Only on the way up to the threshold a part of one may do.
	 */
	bool is_filling = !feed->is_blocked && feed->flow.in_flight < feed->limits.threshold;
	return room >= (int64_t)feed->limits.page_events || (room > 0 && is_filling);
}

/* Reading ahead keeps step with delivering: small pages that each cost a look would else be read by
 * the hundred while the first of them waits. */
static bool feed_is_out_of_step(const struct feed *feed)
{
	return feed->count >= FEED_PAGES_AHEAD && feed->flow.total_releases == feed->read_releases;
}

bool feed_wants(struct feed *feed, struct mono_time now)
{
	if (feed->is_end || now.ns < feed->wait_until.ns || feed_is_out_of_step(feed))
		return false;
	bool has_room = feed_has_room(feed);
	bool has_settled = feed->flow.total_releases > feed->blocked_releases;
	if (feed->is_blocked && has_settled && feed->flow.in_flight < feed->limits.threshold &&
	    has_room)
		feed_unblock(feed, now);
	if (!feed->is_blocked && !has_room)
		feed_block(feed, now);
	return !feed->is_blocked;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static struct tide_page *feed_spare(struct feed *feed)
{
	assert(feed->count < feed->capacity);
	struct tide_page **slot = &feed->pages[(feed->first + feed->count) % feed->capacity];
	if (!*slot) {
		*slot = alloc_zero(1, sizeof **slot);
		if (*slot)
			tide_page_init(*slot);
	}
	return *slot;
}

static int64_t feed_scanned(const struct tide_page *page)
{
	int64_t scanned = (int64_t)page->count + page->passed_after;
	for (size_t i = 0; i < page->count; i++)
		scanned += page->entries[i].passed_before;
	return scanned;
}

static bool feed_is_narrow(const struct feed *feed)
{
	return feed->share.verdict >= FEED_WANTS_FEW;
}

/* Lanes want little of all, but together they want it. */
static enum feed_verdict feed_judge(const struct feed *feed)
{
	const struct feed_share *share = &feed->share;
	int64_t lanes = feed->filter->partition_total > 0 ? feed->filter->partition_total : 1;
	int64_t wanted = share->wanted * lanes;
	if (wanted < share->scanned / FEED_NARROW && feed_may_be_found(feed->filter))
		return feed_is_narrow(feed) ? share->verdict : FEED_WANTS_FEW;
	return wanted < share->scanned / FEED_BROAD ? FEED_WANTS_SOME : FEED_WANTS_MOST;
}

/* Who leaps sees soon that it has come where much is wanted, and not by a few that stand
 * together. */
static void feed_note_share(struct feed *feed, int64_t scanned, int64_t wanted)
{
	struct feed_share *share = &feed->share;
	share->scanned += scanned;
	share->wanted += wanted;
	if (share->scanned >= PANES_SCAN_MAX ||
	    (feed_is_narrow(feed) && share->wanted >= FEED_NARROW))
		*share = (struct feed_share){ .verdict = feed_judge(feed) };
}

/* What was leapt over was not looked at. */
static void feed_count(struct feed *feed, int source, const struct tide_page *page)
{
	metrics_read_page(&feed->store->metrics, source, feed_scanned(page) - page->leapt);
}

static bool feed_passes(const struct feed *feed, const struct tide_event *event)
{
	return inherit_passes(feed->inherited.rows, feed->inherited.count,
			      fnv1a64(event->aggregate_id.bytes, sizeof event->aggregate_id.bytes),
			      event->position);
}

/* Take out what lanes of another number have settled; it counts as what the filter passes over. */
static void feed_pass_inherited(const struct feed *feed, struct tide_page *page)
{
	size_t kept = 0;
	int64_t passed = 0;
	for (size_t i = 0; i < page->count; i++) {
		struct tide_page_entry *entry = &page->entries[i];
		const struct tide_event *event = &entry->event;
		passed += entry->passed_before;
		if (feed_passes(feed, event)) {
			passed++;
			page->bytes -= event->payload.size + event->metadata.size;
			if (event->position > page->passed.position)
				page->passed =
					(struct tide_anchor){ event->position, event->event_id };
			continue;
		}

		page->entries[kept] = *entry;
		page->entries[kept++].passed_before = passed;
		passed = 0;
	}

	page->count = kept;
	page->passed_after += passed;
}

static void feed_accept(struct feed *feed, struct tide_page *page, struct mono_time now)
{
	if (feed->inherited.count > 0)
		feed_pass_inherited(feed, page);
	assert(page->count <= page->max_events);
	assert(page->count == 0 || page->entries[0].event.position > feed->read_to);
	assert(page->count == 0 ||
	       page->entries[page->count - 1].event.position <= page->scanned_to);
	/* An event that alone is more than the bytes left comes alone, when nothing else is in
	 * flight. */
	if (feed->flow.in_flight > 0 &&
	    feed->bytes + (int64_t)page->bytes > feed->limits.max_bytes) {
		feed_block(feed, now);
		return;
	}

	bool has_moved = page->scanned_to > feed->read_to;
	feed_note_share(feed, feed_scanned(page), (int64_t)page->count);
	feed->was_read = feed->was_read || has_moved;
	if (has_moved)
		feed->read_to = page->scanned_to;
	feed->is_end = page->is_end;
	feed->flow.is_at_hole = page->wait_ns > 0;
	feed->look_at = page->wait_ns ? mono_add(now, page->wait_ns) : MONO_NEVER;
	if (page->count == 0 && feed->count > 0) {
		struct tide_page *last =
			feed->pages[(feed->first + feed->count - 1) % feed->capacity];
		last->passed_after += page->passed_after;
		last->scanned_to = feed->read_to;
		if (page->passed.position)
			last->passed = page->passed;
	} else if (has_moved) {
		feed->count++;
		feed_acquire(feed, page);
	}
}

static void feed_accept_read(struct feed *feed, struct tide_page *page, struct mono_time now)
{
	feed_accept(feed, page, now);
	panes_stand(feed->store->panes, &feed->reader, feed->read_to, page->is_end);
	if (page->is_end) {
		feed->since_end = 0;
		tail_open(feed->store->tail, feed->read_to);
	}
}

/* Types that are common, with other criteria that hardly any event meets, are scanned: an index is
 * the longer way to most of the events. */
static void feed_note_leap(struct feed *feed, const struct tide_page *page)
{
	int64_t looked = feed_scanned(page) - page->leapt;
	if (looked >= FEED_LEAP_MIN && looked > page->leapt)
		feed->share.verdict = FEED_FINDS_NO_FEW;
}

static tide_status feed_read_store(struct feed *feed, void *session, struct tide_page *page,
				   struct mono_time now, struct tide_error *err)
{
	struct tide_page_query query = { .filter = feed->filter,
					 .bound = feed->read_to,
					 .max_events = page->max_events,
					 .max_bytes = page->max_bytes,
					 .max_scan = PANES_SCAN_MAX,
					 .is_sparse = feed->share.verdict == FEED_WANTS_FEW };
	feed->source = "store";
	tide_status status = port_read(feed->store, session, &query, page, err);
	if (status != TIDE_OK)
		return status;

	feed_count(feed, METRICS_FROM_STORE, page);
	if (query.is_sparse)
		feed_note_leap(feed, page);
	feed_accept_read(feed, page, now);
	return TIDE_OK;
}

/* For all who are near, without a filter. Then what this one wants of it. */
static tide_status feed_fill_pane(struct feed *feed, void *session, struct tide_page *page,
				  const struct panes_turn *turn, struct tide_error *err)
{
	feed->source = "store_for_window";
	tide_status status = ahead_fill(feed->store, session, turn, err);
	if (status != TIDE_OK)
		return status;

	const struct tide_page *pane = panes_page(turn->pane);
	tide_position end = pane->scanned_to;
	bool is_end = pane->is_end;
	int64_t wait_ns = pane->wait_ns;
	panes_take(feed->store->panes, turn->pane, feed->filter, page);
	page->is_end = is_end && page->scanned_to == end;
	page->wait_ns = page->is_end ? wait_ns : 0;
	return TIDE_OK;
}

/* Who does not want most of it has no more read than that. */
static uint32_t feed_panes_ahead(const struct feed *feed)
{
	return feed->share.verdict == FEED_WANTS_MOST ? feed->limits.panes_ahead : 0;
}

/* History: what others have read, or read now, as far as that goes, else a page of one's own. */
static tide_status feed_read_history(struct feed *feed, void *session, struct tide_page *page,
				     struct mono_time now, struct tide_error *err)
{
	struct panes_query query = { .after = feed->read_to,
				     .until = feed->read_to + FEED_SHARED_MAX,
				     .filter = feed->filter,
				     .now = now,
				     .is_lane = feed->filter->partition_total > 1,
				     .ahead = feed_panes_ahead(feed),
				     .losses = port_losses(feed->store) };
	enum panes_answer answer;
	struct panes_turn turn;
	feed->source = "window";
	while ((answer = panes_read(feed->store->panes, &feed->reader, &query, page, &turn)) ==
	       PANES_FILL) {
		tide_status status = feed_fill_pane(feed, session, page, &turn, err);
		if (status != TIDE_OK)
			return status;
		query.after = page->scanned_to;
		if (page->is_end || query.after == turn.after)
			break;
	}

	if (query.ahead > 0)
		ahead_ask(feed->store->ahead);
	bool has_moved = page->scanned_to > feed->read_to;
	if (!has_moved && answer == PANES_WAIT) {
		feed->wait_until = turn.until;
		return TIDE_OK;
	}
	if (!has_moved && !page->is_end) /* alone, or there is no memory for a copy */
		return feed_read_store(feed, session, page, now, err);
	feed_count(feed, METRICS_FROM_WINDOW, page);
	feed_accept_read(feed, page, now);
	return TIDE_OK;
}

/* Look at the store for all live subscriptions: everything behind the window, without a filter. */
static tide_status feed_look(struct feed *feed, void *session, tide_position to,
			     struct mono_time now, struct tide_error *err)
{
	static const struct tide_filter everything = { 0 };
	struct tide_page_query query = { .filter = &everything,
					 .bound = to,
					 .max_events = FEED_LOOK_EVENTS,
					 .max_bytes = FEED_LOOK_BYTES,
					 .max_scan = PANES_SCAN_MAX };
	feed->source = "store_for_tail";
	tide_page_begin(&feed->scratch, query.max_events, query.max_bytes);
	tide_status status = port_read(feed->store, session, &query, &feed->scratch, err);
	if (status != TIDE_OK) {
		(void)tail_filled(feed->store->tail, NULL, now, NULL);
		return status;
	}

	feed_count(feed, METRICS_FROM_STORE, &feed->scratch);
	feed->since_end = feed->scratch.is_end ? 0 : feed->since_end + (int64_t)feed->scratch.count;
	return tail_filled(feed->store->tail, &feed->scratch, now, err);
}

/* Live without a window: the store is read as in catch-up, for as long as the end stays near. */
static tide_status feed_read_alone(struct feed *feed, void *session, struct tide_page *page,
				   struct mono_time now, struct tide_error *err)
{
	tide_position from = feed->read_to;
	tide_status status = feed_read_store(feed, session, page, now, err);
	if (status == TIDE_OK && !page->is_end)
		feed->since_end += feed->read_to - from;
	feed->is_behind = feed->since_end > TAIL_EVENTS_MAX;
	return status;
}

static tide_status feed_read_tail(struct feed *feed, void *session, struct tide_page *page,
				  struct mono_time now, struct tide_error *err)
{
	struct tail_query query = { feed->read_to, feed->was_read, feed->filter, now,
				    feed->limits.poll_ns };
	tide_position to = 0;
	struct mono_time look_at = MONO_NEVER;

	feed->source = "tail";
	switch (tail_read(feed->store->tail, &query, page, &to, &look_at)) {
	case TAIL_PAGE:
		feed_count(feed, METRICS_FROM_TAIL, page);
		feed_accept(feed, page, now);
		return TIDE_OK;
	case TAIL_END:
	case TAIL_FILLING:
		feed->flow.is_at_hole = tail_is_at_hole(feed->store->tail);
		feed->is_end = true;
		feed->look_at = look_at;
		return TIDE_OK;
	case TAIL_FILL:
		if (feed->since_end > TAIL_EVENTS_MAX)
			feed->is_behind = true;
		return feed_look(feed, session, to, now, err); /* and then ask again */
	case TAIL_CLOSED:
		return feed_read_alone(feed, session, page, now, err);
	case TAIL_BEHIND:
		feed->is_behind = true;
	}
	return TIDE_OK;
}

tide_status feed_fill(struct feed *feed, void *session, bool is_live, struct mono_time now,
		      struct tide_error *err)
{
	struct tide_page *page = feed_spare(feed);
	if (!page)
		return alloc_fail(err);
	int64_t room = feed->limits.max_in_flight - feed->flow.in_flight;
	int64_t bytes = feed->limits.max_bytes - feed->bytes;
	int64_t events = (int64_t)feed->limits.page_events;
	assert(room > 0 && bytes > 0);
	tide_page_begin(page, (size_t)(room < events ? room : events), (size_t)bytes);

	bool is_shared = !is_live && !feed_is_narrow(feed);
	if (!is_shared)
		feed_rest(feed);
	return is_live     ? feed_read_tail(feed, session, page, now, err)
	       : is_shared ? feed_read_history(feed, session, page, now, err)
			   : feed_read_store(feed, session, page, now, err);
}

/* ---- Delivering ------------------------------------------------------------------------------ */

void feed_take(struct feed *feed)
{
	assert(feed_peek(feed));
	const struct tide_event *event = &feed_peek(feed)->event;
	feed_release(feed, 1, (int64_t)(event->payload.size + event->metadata.size));
	feed->next++;
}

void feed_finish_page(struct feed *feed)
{
	assert(feed_page(feed) && !feed_peek(feed));
	/* else the next one is read into the same memory, which is in the cache */
	if (--feed->count > 0)
		feed->first = (feed->first + 1) % feed->capacity;
	feed->next = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a store, read once for all subscriptions that are close together in it, wherever
 * that is.
 *
 * Happy path: who comes first where nobody has read, with another one near behind, or on the way
 * to where its page leads, reads a pane for everybody, without a filter (PANES_FILL). The others
 * take their events from it, each by its filter and up to the size of its page, and since reading
 * costs them nothing they catch up with whoever reads. A pane goes when all who were near behind it
 * have passed.
 *
 *	positions   ··· [ pane ][ pane ][ pane ]{ being read } not read yet
 *	                  ▲ slow            ▲▲ others          ▲ reads, or is alone
 *
 * Why it is as if each had read for itself: a page of the store holds every visible event of
 * (from, to], and none becomes visible there later, whoever reads. A reader at p in [from, to)
 * takes those of (p, s] that its filter lets through, in order, counts the others, and stands at s.
 * Nothing else is passed on. Where the feed ends, and that it stands at a hole, only a read of
 * one's own says: another's look is older than the bell that was heard since.
 *
 * Failure modes: a read fails: it is the failure of who read; the others hear that it is over, and
 * the next one reads. It takes long: each waits for it up to PANES_WAIT_NS, then nobody waits for
 * that read any more. There is no room for what comes next: who is there waits for those who need
 * what is kept, until half of it is free, or room for a pane after as long as who is so many times
 * slower takes; a reader that is waited for in vain is slow until it has come there. A reader is
 * slow: it keeps nobody, its panes are the first to go when there is no room, and out of reach it
 * reads by itself. A connection was lost, or the store is another: all panes are void. There is no
 * memory: each reads for itself.
 */
#include "path/panes.h"

#include <assert.h>

#include "path/notify.h"
#include "path/pane.h"
#include "sys/alloc.h"

#define PANES_BYTES_MAX ((size_t)16 << 20)
#define PANES_MIN 8 /* the bytes are divided by */
#define PANES_PANE_BYTES ((size_t)1 << 20)
/* positions; how near is what fits */
#define PANES_REACH_MIN 1000
#define PANES_REACH_MAX 65536
#define PANES_WAIT_NS NS_PER_SECOND
/* who is so many times slower is not waited for, but as long as it may be the machine's fault */
#define PANES_AHEAD_TIMES 16
#define PANES_AHEAD_NS (100 * NS_PER_MS)

struct panes {
	/* under lock */
	struct mutex lock;
	struct panes_reader *readers;
	struct pane *list;   /* those that are listed */
	size_t bytes;        /* of all of them */
	tide_position reach; /* how far behind a reader is near */
	tide_position end;   /* of the feed, as of the last read; INT64_MAX: further on */
	uint64_t losses;     /* when they were read */
};

static const struct panes_lead no_lead = { .from = -1, .patience = { .at = -1 } };

tide_status panes_new(struct panes **ret, struct tide_error *err)
{
	struct panes *panes = alloc_zero(1, sizeof *panes);
	if (!panes)
		return alloc_fail(err);
	panes->reach = PANES_REACH_MAX;
	panes->end = INT64_MAX;
	mutex_init(&panes->lock, LOCK_PANES);
	*ret = panes;
	return TIDE_OK;
}

/* ---- Panes ----------------------------------------------------------------------------------- */

static void panes_put_locked(const struct panes *panes, struct pane *pane)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	assert(pane->references > 0);
	if (--pane->references == 0)
		pane_free(pane);
}

/* As much as the greatest reader reads ahead by itself. */
static size_t panes_limit_locked(const struct panes *panes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	int64_t most = 0;
	for (const struct panes_reader *at = panes->readers; at; at = at->next)
		if (at->max_bytes > most)
			most = at->max_bytes;
	return most < (int64_t)PANES_BYTES_MAX ? (size_t)most : PANES_BYTES_MAX;
}

/* There is room again for as much as makes waking worth while, or another has read what comes
 * next. */
static void panes_ring_ahead_locked(struct panes *panes, const struct pane *read)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	bool has_room = panes->bytes <= panes_limit_locked(panes) / 2;
	for (struct panes_reader *at = panes->readers; at; at = at->next) {
		bool is_read = read && read->from <= at->at && at->at < read->to;
		if (at->standing != PANES_AHEAD || !(has_room || is_read))
			continue;
		wakeup_ring(at->wakeup, RING_TAIL);
		at->lead = no_lead;
		at->standing = PANES_READS;
	}
}

static void panes_unlist_locked(struct panes *panes, struct pane *pane) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	assert(panes->bytes >= pane->bytes);
	struct pane **at = &panes->list;
	while (*at != pane)
		at = &(*at)->next;
	*at = pane->next;
	panes->bytes -= pane->bytes;
	panes_put_locked(panes, pane);
	panes_ring_ahead_locked(panes, NULL);
}

static void panes_forget_locked(struct panes *panes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	while (panes->list)
		panes_unlist_locked(panes, panes->list);
	assert(panes->bytes == 0);
}

/* ---- Who needs what -------------------------------------------------------------------------- */

static bool pane_is_near(const struct panes *panes, const struct pane *pane,
			 const struct panes_reader *reader)
{
	return reader->at < pane->to && pane->from - reader->at <= panes->reach;
}

/* How many will come by, and how far off the next one is. */
static size_t panes_needers_locked(const struct panes *panes, const struct pane *pane,
				   tide_position *ret_distance) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	size_t count = 0;
	*ret_distance = INT64_MAX;
	for (const struct panes_reader *at = panes->readers; at; at = at->next) {
		if (!pane_is_near(panes, pane, at))
			continue;
		count++;
		if (pane->from - at->at < *ret_distance)
			*ret_distance = pane->from - at->at;
	}
	return count;
}

/* Whether somebody else will come by here, or by what this one goes on to read: of readers that
 * pass each other with great pages always the last one reads. */
static bool panes_is_followed_locked(const struct panes *panes, const struct panes_reader *reader,
				     tide_position until) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (const struct panes_reader *at = panes->readers; at; at = at->next)
		if (at != reader && at->at < until && reader->at - at->at <= panes->reach)
			return true;
	return false;
}

/* Those whose events are linked: the more there are, the more it spares. */
static uint32_t panes_lanes_locked(const struct panes *panes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	uint32_t most = 0;
	for (const struct panes_reader *at = panes->readers; at; at = at->next)
		if (at->lanes > most)
			most = at->lanes;
	return most > 1 ? most : 0;
}

static void panes_drop_passed_locked(struct panes *panes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	tide_position distance;
	for (struct pane *pane = panes->list, *next; pane; pane = next) {
		next = pane->next;
		if (pane->state == PANE_READ && panes_needers_locked(panes, pane, &distance) == 0)
			panes_unlist_locked(panes, pane);
	}
}

/* The pane that is missed least: by the fewest, and of those by who comes by last. */
static struct pane *panes_least_locked(const struct panes *panes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	struct pane *least = NULL;
	size_t fewest = 0;
	tide_position farthest = 0, distance;
	for (struct pane *pane = panes->list; pane; pane = pane->next) {
		size_t needers = panes_needers_locked(panes, pane, &distance);
		if (pane->state != PANE_READ || pane->references > 1)
			continue;
		if (!least || needers < fewest || (needers == fewest && distance > farthest)) {
			least = pane;
			fewest = needers;
			farthest = distance;
		}
	}
	return least;
}

/* Those that nobody comes by any more go for it. */
static bool panes_has_room_locked(struct panes *panes, size_t bytes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	size_t limit = panes_limit_locked(panes);
	if (panes->bytes + bytes > limit)
		panes_drop_passed_locked(panes);
	return panes->bytes + bytes <= limit;
}

static bool panes_make_room_locked(struct panes *panes, size_t bytes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	struct pane *least;
	while (!panes_has_room_locked(panes, bytes) && (least = panes_least_locked(panes)))
		panes_unlist_locked(panes, least);
	return panes_has_room_locked(panes, bytes);
}

/* ---- Readers --------------------------------------------------------------------------------- */

static void panes_join_locked(struct panes *panes, struct panes_reader *reader)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	if (reader->standing != PANES_AWAY)
		return;
	reader->standing = PANES_READS;
	reader->awaited_from = 0;
	reader->for_page.at = -1;
	reader->lead = no_lead;
	reader->unfit.from = -1;
	reader->next = panes->readers;
	panes->readers = reader;
}

/* Those that were near behind a pane and have passed it keep it no longer. */
static void panes_stand_locked(struct panes *panes, struct panes_reader *reader, tide_position at)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	tide_position before = reader->at, distance;
	reader->at = at;
	for (struct pane *pane = panes->list, *next; pane; pane = next) {
		next = pane->next;
		bool is_passed = before < pane->to && at >= pane->to && pane->state == PANE_READ;
		if (is_passed && panes_needers_locked(panes, pane, &distance) == 0)
			panes_unlist_locked(panes, pane);
	}
}

void panes_stand(struct panes *panes, struct panes_reader *reader, tide_position at, bool is_end)
{
	mutex_lock(&panes->lock);
	if (reader->standing != PANES_AWAY) {
		if (is_end)
			panes->end = at;
		else if (at > panes->end)
			panes->end = INT64_MAX;
		panes_stand_locked(panes, reader, at);
	}
	mutex_unlock(&panes->lock);
}

void panes_leave(struct panes *panes, struct panes_reader *reader)
{
	mutex_lock(&panes->lock);
	if (reader->standing != PANES_AWAY) {
		struct panes_reader **at = &panes->readers;
		while (*at != reader)
			at = &(*at)->next;
		*at = reader->next;
		reader->standing = PANES_AWAY;
		panes_drop_passed_locked(panes);
	}
	mutex_unlock(&panes->lock);
}

void panes_free(struct panes *panes)
{
	if (!panes)
		return;
	mutex_lock(&panes->lock);
	assert(!panes->readers);
	panes_forget_locked(panes);
	mutex_unlock(&panes->lock);
	mutex_fini(&panes->lock);
	tide_free(panes);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The pane that has what comes behind a position, or that is to have it once it is read. */
static struct pane *panes_find_locked(const struct panes *panes, tide_position after, bool is_read)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (struct pane *pane = panes->list; pane; pane = pane->next)
		if ((pane->state == PANE_READ) == is_read && pane->from <= after &&
		    after < pane->to)
			return pane;
	return NULL;
}

static void panes_heed_losses_locked(struct panes *panes, uint64_t losses)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	if (panes->losses == losses)
		return;
	panes->losses = losses;
	panes_forget_locked(panes);
}

/* Each waits once where it stands, whatever rings meanwhile. */
static bool patience_lasts(struct panes_patience *patience, tide_position at, struct mono_time now,
			   int64_t most_ns)
{
	if (patience->at != at)
		*patience = (struct panes_patience){ at, mono_add(now, most_ns) };
	return now.ns < patience->until.ns;
}

/* Who has waited in vain speaks for all. */
static bool panes_may_wait_locked(const struct panes *panes, struct panes_reader *reader,
				  struct pane *pane, struct mono_time now)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	if (pane->state == PANE_LATE || !reader->wakeup)
		return false;
	if (!patience_lasts(&reader->for_page, reader->at, now, PANES_WAIT_NS))
		pane->state = PANE_LATE;
	return pane->state == PANE_FILLING;
}

/* No further than to the next pane: positions are not more than events. */
static size_t panes_events_locked(const struct panes *panes, tide_position after, size_t events)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (const struct pane *pane = panes->list; pane; pane = pane->next)
		if (pane->from > after && pane->from - after < (tide_position)events)
			events = (size_t)(pane->from - after);
	return events;
}

/* What a pane behind a position takes; no events: there can be none. */
static struct pane_size panes_size_locked(const struct panes *panes, tide_position after)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	size_t share = panes_limit_locked(panes) / PANES_MIN / 2;
	uint32_t lanes = panes_lanes_locked(panes);
	if (share > PANES_PANE_BYTES)
		share = PANES_PANE_BYTES;
	size_t events = share / sizeof(struct tide_page_entry);
	events = panes_events_locked(panes, after,
				     events < PANE_EVENTS_MAX ? events : PANE_EVENTS_MAX);
	return (struct pane_size){ .events = events,
				   .share = share,
				   .lanes = lanes,
				   .bytes = 2 * share + pane_lanes_bytes(lanes, events) };
}

/* A pane to be read, its room reserved; NULL: there is none, or no memory. */
static struct pane *panes_begin_locked(struct panes *panes, tide_position after,
				       const struct pane_size *size) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	if (size->events == 0 || !panes_make_room_locked(panes, size->bytes))
		return NULL;
	struct pane *pane = pane_new(size);
	if (!pane)
		return NULL;

	pane->next = panes->list;
	pane->from = after;
	pane->to = after + (tide_position)size->events;
	pane->losses = panes->losses;
	pane->bytes = size->bytes;
	pane->references = 2; /* the list's, and who reads it */
	pane->state = PANE_FILLING;
	panes->list = pane;
	panes->bytes += size->bytes;
	return pane;
}

/* ---- Waiting for room ------------------------------------------------------------------------ */

/* Somebody who will be here soon needs it. */
static bool panes_is_awaited(const struct panes *panes, const struct pane *pane,
			     const struct panes_reader *at, const struct panes_reader *reader)
{
	return at != reader && at->standing == PANES_READS && at->at >= at->awaited_from &&
	       pane_is_near(panes, pane, at);
}

static bool panes_awaits_locked(const struct panes *panes, const struct pane *pane,
				const struct panes_reader *reader) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (const struct panes_reader *at = panes->readers; at; at = at->next)
		if (panes_is_awaited(panes, pane, at, reader))
			return true;
	return false;
}

static void panes_await_no_more_locked(struct panes *panes, const struct pane *pane,
				       const struct panes_reader *reader) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (struct panes_reader *at = panes->readers; at; at = at->next)
		if (panes_is_awaited(panes, pane, at, reader))
			at->awaited_from = reader->at;
}

/* Who has not taken what it read stands further back again. */
static void lead_go_on(struct panes_lead *lead, tide_position at, struct mono_time now)
{
	if (lead->from >= 0 && lead->from <= at)
		return;
	lead->from = at;
	lead->since = now;
}

/* As long as who is so many times slower takes for so many positions. */
static int64_t lead_most_ns(const struct panes_lead *lead, tide_position at, tide_position count,
			    struct mono_time now)
{
	assert(lead->from >= 0 && at >= lead->from);
	double pace_ns = (double)mono_since(now, lead->since) / (double)(at - lead->from + 1);
	double most_ns = PANES_AHEAD_TIMES * pace_ns * (double)count;
	return most_ns < PANES_AHEAD_NS  ? PANES_AHEAD_NS
	       : most_ns > PANES_WAIT_NS ? PANES_WAIT_NS
					 : (int64_t)most_ns;
}

/* Here somebody waits until there is room for much, which rings. */
static bool panes_is_waited_locked(const struct panes *panes, const struct panes_reader *reader)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (const struct panes_reader *at = panes->readers; at; at = at->next)
		if (at->at == reader->at && at->lead.patience.at == at->at)
			return true;
	return false;
}

/* What would have to go is waited for by others who are about to come. */
static bool panes_must_wait_locked(struct panes *panes, struct panes_reader *reader, size_t bytes,
				   struct mono_time now) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	struct panes_lead *lead = &reader->lead;
	bool has_room = panes_has_room_locked(panes, bytes);
	if (!reader->wakeup || (has_room && !panes_is_waited_locked(panes, reader)))
		return false;

	const struct pane *least = panes_least_locked(panes);
	bool is_awaited = least && panes_awaits_locked(panes, least, reader);
	int64_t most_ns = lead_most_ns(lead, reader->at, panes->reach / PANES_MIN, now);
	if (is_awaited && patience_lasts(&lead->patience, reader->at, now, most_ns))
		return true;
	if (is_awaited && !has_room)
		panes_await_no_more_locked(panes, least, reader);
	*lead = no_lead;
	return false;
}

/* Nobody has read what comes next. */
static enum panes_answer panes_miss_locked(struct panes *panes, struct panes_reader *reader,
					   const struct panes_query *query, bool is_followed,
					   struct panes_turn *ret) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	struct pane *filling = panes_find_locked(panes, reader->at, false);
	*ret = (struct panes_turn){ .after = reader->at };
	if (filling && !panes_may_wait_locked(panes, reader, filling, query->now))
		return PANES_ALONE;
	if (filling) {
		reader->standing = PANES_WAITS;
		ret->until = reader->for_page.until;
		return PANES_WAIT;
	}

	/* at the end each has to see for itself that it is one */
	is_followed = is_followed || panes_is_followed_locked(panes, reader, query->until);
	if (reader->at >= panes->end || !is_followed)
		return PANES_ALONE;
	struct pane_size size = panes_size_locked(panes, reader->at);
	if (panes_must_wait_locked(panes, reader, size.bytes, query->now)) {
		reader->standing = PANES_AHEAD;
		ret->until = reader->lead.patience.until;
		return PANES_WAIT;
	}
	ret->pane = panes_begin_locked(panes, reader->at, &size);
	return ret->pane ? PANES_FILL : PANES_ALONE;
}

/* Where the first pane is missing of those that the reader wishes; negative: nowhere, or somebody
 * reads it. */
static tide_position panes_gap_locked(const struct panes *panes, const struct panes_reader *reader)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	tide_position at = reader->at;
	for (uint32_t i = 0; i <= reader->ahead; i++) {
		const struct pane *pane = panes_find_locked(panes, at, true);
		if (!pane)
			return at >= panes->end || panes_find_locked(panes, at, false) ? -1 : at;
		at = pane->to;
	}
	return -1;
}

bool panes_next(struct panes *panes, uint64_t losses, struct panes_turn *ret)
{
	*ret = (struct panes_turn){ 0 };
	mutex_lock(&panes->lock);
	panes_heed_losses_locked(panes, losses);
	for (const struct panes_reader *at = panes->readers; at && !ret->pane; at = at->next) {
		tide_position gap = at->ahead > 0 ? panes_gap_locked(panes, at) : -1;
		if (gap < 0)
			continue;
		/* what is there already is not worth less */
		struct pane_size size = panes_size_locked(panes, gap);
		if (at->unfit.from == gap && at->unfit.bytes > size.bytes)
			size.bytes = at->unfit.bytes;
		if (panes_has_room_locked(panes, size.bytes))
			*ret = (struct panes_turn){ .pane = panes_begin_locked(panes, gap, &size),
						    .after = gap };
	}
	mutex_unlock(&panes->lock);
	return ret->pane != NULL;
}

static bool panes_is_enough(const struct panes_query *query, const struct tide_page *page)
{
	return !tide_page_fits(page, 0) || page->scanned_to >= query->until;
}

enum panes_answer panes_read(struct panes *panes, struct panes_reader *reader,
			     const struct panes_query *query, struct tide_page *page,
			     struct panes_turn *ret)
{
	enum panes_answer answer = PANES_FULL;
	page->scanned_to = query->after;
	bool goes_on = !panes_is_enough(query, page);
	mutex_lock(&panes->lock);
	bool is_followed = query->ahead > 0 || (query->is_lane && reader->standing == PANES_AWAY);
	panes_join_locked(panes, reader);
	reader->lanes = query->filter->partition_total;
	reader->ahead = query->ahead;
	panes_stand_locked(panes, reader, query->after);
	panes_heed_losses_locked(panes, query->losses);
	reader->standing = PANES_READS;
	lead_go_on(&reader->lead, reader->at, query->now);

	struct pane *pane;
	while (goes_on && (pane = panes_find_locked(panes, page->scanned_to, true))) {
		pane->references++;
		mutex_unlock(&panes->lock);
		goes_on = pane_copy(pane, query->filter, page) && !panes_is_enough(query, page);
		mutex_lock(&panes->lock);
		panes_put_locked(panes, pane);
		panes_stand_locked(panes, reader, page->scanned_to);
		reader->for_page.at = -1;
	}

	if (goes_on)
		answer = panes_miss_locked(panes, reader, query, is_followed, ret);
	mutex_unlock(&panes->lock);
	return answer;
}

struct tide_page *panes_page(struct pane *pane)
{
	return &pane->page;
}

/* How far behind somebody may be and still find what is read now. */
static void panes_measure_locked(struct panes *panes, const struct pane *pane)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	size_t limit = panes_limit_locked(panes);
	double per_byte = (double)(pane->to - pane->from) / (double)(pane->bytes + 1);
	double reach = per_byte * (double)limit;
	panes->reach = reach < PANES_REACH_MIN   ? PANES_REACH_MIN
		       : reach > PANES_REACH_MAX ? PANES_REACH_MAX
						 : (tide_position)reach;
}

static void panes_ring_locked(struct panes *panes) TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (struct panes_reader *at = panes->readers; at; at = at->next) {
		if (at->standing != PANES_WAITS)
			continue;
		wakeup_ring(at->wakeup, RING_TAIL);
		at->for_page.at = -1;
		at->standing = PANES_READS;
	}
}

/* A single event may be more than a pane: it is read ahead again when there is room for it. */
static void panes_note_unfit_locked(struct panes *panes, const struct pane *pane)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	for (struct panes_reader *at = panes->readers; at; at = at->next)
		if (at->ahead > 0 && panes_gap_locked(panes, at) == pane->from)
			at->unfit = (struct panes_unfit){ pane->from, pane->bytes };
}

static bool panes_has_locked(const struct panes *panes, const struct pane *pane)
	TIDE_REQUIRES(panes->lock)
{
	assert(mutex_is_mine(&panes->lock));
	const struct pane *at = panes->list;
	while (at && at != pane)
		at = at->next;
	return at != NULL;
}

void panes_filled(struct panes *panes, struct pane *pane, bool was_read, uint64_t losses)
{
	pane_link(pane);
	mutex_lock(&panes->lock);
	bool is_listed = panes_has_locked(panes, pane);
	assert(pane->state != PANE_READ && pane->references > 0);
	assert(!was_read || pane->page.scanned_to >= pane->from);
	pane->state = PANE_READ;
	if (is_listed) {
		panes->bytes -= pane->bytes;
		pane->bytes = pane_bytes(pane);
		panes->bytes += pane->bytes;
	}
	pane->to = was_read ? pane->page.scanned_to : pane->from;
	if (was_read && pane->page.is_end)
		panes->end = pane->to;
	bool fits = panes->bytes <= panes_limit_locked(panes);
	bool is_kept = is_listed && pane->to > pane->from && pane->losses == losses && fits;
	if (is_kept)
		panes_measure_locked(panes, pane);
	else if (is_listed)
		panes_unlist_locked(panes, pane);
	if (was_read && is_listed && !fits)
		panes_note_unfit_locked(panes, pane);
	if (!was_read)
		panes_put_locked(panes, pane);
	panes_ring_locked(panes);
	panes_ring_ahead_locked(panes, is_kept ? pane : NULL);
	mutex_unlock(&panes->lock);
}

void panes_let_go(struct panes *panes, struct pane *pane)
{
	mutex_lock(&panes->lock);
	panes_put_locked(panes, pane);
	mutex_unlock(&panes->lock);
}

void panes_take(struct panes *panes, struct pane *pane, const struct tide_filter *filter,
		struct tide_page *page)
{
	(void)pane_copy(pane, filter, page);
	panes_let_go(panes, pane);
}

/* ---- Whether the store is what it was -------------------------------------------------------- */

struct tide_anchor panes_newest(struct panes *panes)
{
	struct tide_anchor newest = { 0 };
	mutex_lock(&panes->lock);
	for (const struct pane *pane = panes->list; pane; pane = pane->next) {
		const struct tide_page *page = &pane->page;
		if (pane->state != PANE_READ || page->count == 0)
			continue;
		const struct tide_event *event = &page->entries[page->count - 1].event;
		if (event->position > newest.position)
			newest = (struct tide_anchor){ event->position, event->event_id };
	}
	mutex_unlock(&panes->lock);
	return newest;
}

void panes_forget(struct panes *panes)
{
	mutex_lock(&panes->lock);
	panes_forget_locked(panes);
	mutex_unlock(&panes->lock);
}

size_t panes_bytes(struct panes *panes)
{
	mutex_lock(&panes->lock);
	size_t bytes = panes->bytes;
	mutex_unlock(&panes->lock);
	return bytes;
}

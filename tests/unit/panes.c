/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of history for several readers: who reads, who waits, and what is kept. */
#include "panes_rig.h"

static const struct tide_filter everything;

/** Two readers that are close together. */
struct two {
	struct panes *panes;
	struct one first, second;
};

static void two_open(struct two *two)
{
	two->panes = panes_made();
	one_make(&two->first, 16 * MB);
	one_make(&two->second, 16 * MB);
}

/* The first one is told to read. */
static void two_begin(struct two *two)
{
	two_open(two);
	assert_int_equal(ask(two->panes, &two->second), PANES_ALONE);
	assert_int_equal(ask(two->panes, &two->first), PANES_FILL);
}

static void two_close(struct two *two)
{
	one_end(two->panes, &two->first);
	one_end(two->panes, &two->second);
	panes_free(two->panes);
}

/* ---- Who reads ------------------------------------------------------------------------------- */

static void who_has_nobody_behind_it_reads_for_itself(void **state)
{
	(void)state;
	struct two two;
	two_open(&two);
	assert_int_equal(ask(two.panes, &two.first), PANES_ALONE);
	two.first.at = 500;
	two.second.at = 10000;
	assert_int_equal(ask(two.panes, &two.first), PANES_ALONE);
	assert_int_equal(ask(two.panes, &two.second), PANES_FILL);
	panes_filled(two.panes, two.second.turn.pane, false, 0);
	assert_int_equal(ask(two.panes, &two.first),
			 PANES_ALONE); /* it has no need of what is ahead */
	two.second.at = 10000 + 1000000;
	assert_int_equal(ask(two.panes, &two.second), PANES_ALONE); /* nor has one so far behind */
	two_close(&two);
}

/* Each with a page that leads beyond the other: whoever asks is the last one. */
static void those_who_pass_each_other_read_together(void **state)
{
	(void)state;
	struct two two;
	two_open(&two);
	two.first.at = 8000;
	assert_int_equal(ask(two.panes, &two.first), PANES_ALONE);
	two.second.at = 7000;
	assert_int_equal(ask(two.panes, &two.second), PANES_FILL);
	fill(two.panes, &two.second, 100000, 10);
	has(&two.second, 7001, 7100);
	two.second.at = 8000;
	assert_int_equal(ask(two.panes, &two.second), PANES_FILL);
	fill(two.panes, &two.second, 100000, 10);
	assert_int_equal(ask(two.panes, &two.first), PANES_FULL);
	has(&two.first, 8001, 8100);
	two_close(&two);
}

static void a_lane_that_comes_first_reads_for_those_to_come(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one one;
	one_make(&one, 16 * MB);
	struct panes_query query = { .until = 9000, .filter = &everything, .is_lane = true };
	tide_page_begin(&one.page, 100, (size_t)MB);
	assert_int_equal(panes_read(panes, &one.reader, &query, &one.page, &one.turn), PANES_FILL);
	panes_filled(panes, one.turn.pane, false, 0);
	assert_int_equal(panes_read(panes, &one.reader, &query, &one.page, &one.turn), PANES_ALONE);
	one_end(panes, &one);
	panes_free(panes);
}

static void who_is_near_takes_its_own_of_what_another_read(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	fill(two.panes, &two.first, 5000, 10);
	has(&two.first, 1, 100);
	assert_int_equal(ask(two.panes, &two.first), PANES_FULL);
	has(&two.first, 101, 200);

	two.second.at = 950;
	two.second.filter.partition_total = 3;
	assert_int_equal(ask(two.panes, &two.second),
			 PANES_FILL); /* and it reads on where that ends */
	tide_position last = 950;
	int64_t passed = two.second.page.passed_after;
	for (size_t i = 0; i < two.second.page.count; i++) {
		const struct tide_page_entry *entry = &two.second.page.entries[i];
		assert_int_equal(entry->event.position, last + entry->passed_before + 1);
		assert_true(tide_filter_matches(&two.second.filter, &entry->event));
		last = entry->event.position;
		passed += entry->passed_before;
	}
	assert_int_equal(two.second.at, 1000);
	assert_int_equal(passed + (int64_t)two.second.page.count, 50);
	assert_int_equal(last + two.second.page.passed_after, 1000);
	assert_in_range(two.second.page.passed.position, 998, 1000);
	assert_false(two.second.page.is_end);
	panes_filled(two.panes, two.second.turn.pane, false, 0);
	two_close(&two);
}

static void where_the_feed_ends_each_sees_for_itself(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	fill(two.panes, &two.first, 60, 10);
	panes_stand(two.panes, &two.first.reader, 60, true);
	assert_int_equal(ask(two.panes, &two.second), PANES_ALONE);
	has(&two.second, 1, 60);
	assert_false(two.second.page.is_end);
	assert_int_equal(ask(two.panes, &two.first),
			 PANES_ALONE); /* at once, and not one after the other */
	panes_stand(two.panes, &two.first.reader, 70, false); /* it has grown */
	panes_stand(two.panes, &two.second.reader, 70, false);
	two.first.at = two.second.at = 70;
	assert_int_equal(ask(two.panes, &two.first), PANES_FILL);
	panes_filled(two.panes, two.first.turn.pane, false, 0);
	two_close(&two);
}

/* ---- Who waits ------------------------------------------------------------------------------- */

static void who_comes_while_it_is_read_waits_and_is_rung(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	assert_int_equal(ask(two.panes, &two.second), PANES_WAIT);
	assert_int_equal(two.second.turn.until.ns, 2 * NS_PER_SECOND);
	assert_int_equal(ask_at(two.panes, &two.second, 500, 0),
			 PANES_WAIT); /* however often it asks */
	assert_int_equal(two.second.turn.until.ns, 2 * NS_PER_SECOND);
	assert_false(wakeup_is_rung(&two.second.wakeup));
	fill(two.panes, &two.first, 5000, 10);
	assert_true(wakeup_is_rung(&two.second.wakeup));
	assert_false(wakeup_is_rung(&two.first.wakeup));
	assert_int_equal(ask(two.panes, &two.second), PANES_FULL);
	has(&two.second, 1, 100);
	two_close(&two);
}

static void who_has_waited_in_vain_reads_and_nobody_waits_for_that_any_more(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	struct one third;
	one_make(&third, 16 * MB);
	assert_int_equal(ask(two.panes, &two.second), PANES_WAIT);
	assert_int_equal(ask_at(two.panes, &two.second, 1000, 0), PANES_ALONE);
	assert_int_equal(ask_at(two.panes, &third, 1000, 0), PANES_ALONE);
	two.second.at = third.at = 2000; /* further on they read together again */
	assert_int_equal(ask_at(two.panes, &two.second, 1000, 0), PANES_FILL);
	assert_int_equal(ask_at(two.panes, &third, 1000, 0), PANES_WAIT);
	panes_filled(two.panes, two.second.turn.pane, false, 0);
	panes_filled(two.panes, two.first.turn.pane, false, 0);
	one_end(two.panes, &third);
	two_close(&two);
}

static void a_read_that_failed_is_made_by_the_next_one(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	assert_int_equal(ask(two.panes, &two.second), PANES_WAIT);
	panes_filled(two.panes, two.first.turn.pane, false, 0);
	assert_true(wakeup_is_rung(&two.second.wakeup));
	assert_int_equal(panes_bytes(two.panes), 0);
	assert_int_equal(ask(two.panes, &two.second), PANES_FILL);
	fill(two.panes, &two.second, 5000, 10);
	assert_int_equal(ask(two.panes, &two.first), PANES_FULL);
	has(&two.first, 1, 100);
	two_close(&two);
}

/* ---- What is kept ---------------------------------------------------------------------------- */

static void what_all_have_passed_goes(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	fill(two.panes, &two.first, 5000, 10);
	assert_true(panes_bytes(two.panes) > 10000);
	panes_stand(two.panes, &two.first.reader, 1000, false);
	assert_true(panes_bytes(two.panes) > 10000);
	panes_stand(two.panes, &two.second.reader, 1000, false);
	assert_int_equal(panes_bytes(two.panes), 0);

	two.first.at = two.second.at = 1000;
	assert_int_equal(ask(two.panes, &two.first), PANES_FILL);
	fill(two.panes, &two.first, 5000, 10);
	panes_leave(two.panes, &two.second.reader); /* paused, or stopped */
	panes_leave(two.panes, &two.first.reader);
	assert_int_equal(panes_bytes(two.panes), 0);
	two_close(&two);
}

/* `size` of an event's payload. */
static void stays_within(int64_t limit, size_t size)
{
	struct panes *panes = panes_made();
	struct one quick, slow, third;
	one_make(&quick, limit);
	one_make(&slow, limit / 2);
	one_make(&third, limit / 2);
	assert_int_equal(ask(panes, &slow), PANES_ALONE);
	for (int i = 0; i < 300; i++) {
		if (ask(panes, &quick) == PANES_FILL)
			fill(panes, &quick, 100000, size);
		else
			quick.at += 100;
		if (i % 7 == 0 && ask(panes, &third) == PANES_FILL)
			fill(panes, &third, 100000, size);
		assert_true((int64_t)panes_bytes(panes) <= limit);
	}
	one_end(panes, &quick);
	one_end(panes, &slow);
	one_end(panes, &third);
	panes_free(panes);
}

static void a_slow_one_keeps_no_more_than_the_greatest_reads_ahead(void **state)
{
	(void)state;
	stays_within(64 << 10, 10);
	stays_within(MB, 1000);
	stays_within(16 * MB, 10);
	stays_within(MB, 300000); /* one is more than a share */
	stays_within(20, 10);
}

static void a_slow_one_keeps_nobody_from_reading_together(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one first, second, slow;
	one_make(&first, 2 * MB);
	one_make(&second, 2 * MB);
	one_make(&slow, 2 * MB);
	assert_int_equal(ask(panes, &slow), PANES_ALONE);
	for (int i = 0; i < 100; i++) {
		enum panes_answer answer = ask(panes, &first);
		if (answer == PANES_FILL)
			fill(panes, &first, 1000000, 1000);
		assert_int_not_equal(answer, PANES_ALONE);
		/* there is nothing left of it when it was not kept */
		second.at = first.at - 100;
		answer = ask(panes, &second);
		if (answer == PANES_FILL)
			fill(panes, &second, 1000000, 1000);
		assert_int_not_equal(answer, PANES_ALONE);
	}
	one_end(panes, &first);
	one_end(panes, &second);
	one_end(panes, &slow);
	panes_free(panes);
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

static size_t count_wanted(const struct tide_filter *filter, tide_position from, tide_position to)
{
	size_t count = 0;
	for (tide_position at = from + 1; at <= to; at++) {
		struct tide_event event = { .aggregate_id = uuid_of((unsigned)at) };
		count += tide_filter_matches(filter, &event);
	}
	return count;
}

/* By pages of 7 events, from a position on: its own, in order, and the others counted. */
static void lane_takes_its_own(struct panes *panes, struct one *lane, tide_position from)
{
	tide_position last = lane->at = from;
	size_t count = 0;
	do {
		struct panes_query query = { .after = lane->at,
					     .until = 1000,
					     .filter = &lane->filter,
					     .now = { NS_PER_SECOND } };
		tide_page_begin(&lane->page, 7, (size_t)MB);
		assert_int_equal(panes_read(panes, &lane->reader, &query, &lane->page, &lane->turn),
				 PANES_FULL);
		for (size_t i = 0; i < lane->page.count; i++) {
			const struct tide_page_entry *entry = &lane->page.entries[i];
			assert_true(tide_filter_matches(&lane->filter, &entry->event));
			assert_int_equal(entry->event.position, last + entry->passed_before + 1);
			last = entry->event.position;
		}
		assert_int_equal(last + lane->page.passed_after, lane->page.scanned_to);
		lane->at = last = lane->page.scanned_to;
		count += lane->page.count;
	} while (lane->at < 1000);
	assert_int_equal(count, count_wanted(&lane->filter, from, 1000));
}

/* Of as many lanes as those for which it was read, and of others. */
static void lanes_take_their_own_from_wherever_they_stand(void **state)
{
	(void)state;
	static const uint32_t totals[] = { 8, 3, 1024 };
	struct panes *panes = panes_made();
	struct one first, slow, lane;
	one_make(&first, 16 * MB);
	one_make(&slow, 16 * MB);
	first.filter.partition_total = 8;
	assert_int_equal(ask(panes, &slow), PANES_ALONE);
	assert_int_equal(ask(panes, &first), PANES_FILL);
	fill(panes, &first, 1000, 10);
	for (uint32_t i = 0; i < 24; i++) {
		one_make(&lane, 16 * MB);
		lane.filter.partition_total = totals[i % 3];
		lane.filter.partition_index = i / 3;
		lane_takes_its_own(panes, &lane, 0);
		lane_takes_its_own(panes, &lane, 333 + 20 * i);
		one_end(panes, &lane);
	}
	one_end(panes, &first);
	one_end(panes, &slow);
	panes_free(panes);
}

/* ---- Who is ahead ---------------------------------------------------------------------------- */

/* Reads on until there is no room. */
static void read_to_the_brim(struct panes *panes, struct one *one)
{
	enum panes_answer answer = PANES_FILL;
	for (int i = 0; i < 1000 && answer != PANES_WAIT; i++) {
		answer = ask(panes, one);
		assert_int_not_equal(answer, PANES_ALONE);
		if (answer == PANES_FILL)
			fill(panes, one, 1000000, 1000);
	}
	assert_int_equal(answer, PANES_WAIT);
	assert_int_equal(one->turn.until.ns, NS_PER_SECOND + 100 * NS_PER_MS);
}

static void who_is_ahead_waits_for_who_needs_what_is_kept(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one ahead, behind;
	one_make(&ahead, 2 * MB);
	one_make(&behind, 2 * MB);
	assert_int_equal(ask(panes, &behind), PANES_ALONE);
	read_to_the_brim(panes, &ahead);
	assert_false(wakeup_is_rung(&ahead.wakeup));
	while (behind.at < ahead.at - 100)
		assert_int_equal(ask(panes, &behind), PANES_FULL);
	assert_true(wakeup_is_rung(&ahead.wakeup));
	assert_int_equal(ask(panes, &ahead), PANES_FILL);
	fill(panes, &ahead, 1000000, 1000);

	wakeup_reset(&ahead.wakeup);
	read_to_the_brim(panes, &ahead);
	panes_leave(panes, &behind.reader);
	assert_true(wakeup_is_rung(&ahead.wakeup));
	one_end(panes, &ahead);
	one_end(panes, &behind);
	panes_free(panes);
}

/* It never waits for those behind it. */
static void goes_on(struct panes *panes, struct one *one, int64_t ms)
{
	enum panes_answer answer = ask_at(panes, one, ms, 0);
	assert_int_not_equal(answer, PANES_WAIT);
	if (answer == PANES_FILL)
		fill(panes, one, 1000000, 1000);
}

static void who_was_waited_for_in_vain_is_not_waited_for_until_it_is_there(void **state)
{
	(void)state;
	struct panes *panes = panes_made();
	struct one ahead, slow, slower;
	one_make(&ahead, 2 * MB);
	one_make(&slow, 2 * MB);
	one_make(&slower, 2 * MB);
	assert_int_equal(ask(panes, &slow), PANES_ALONE);
	assert_int_equal(ask(panes, &slower), PANES_FILL);
	panes_filled(panes, slower.turn.pane, false, 0);
	read_to_the_brim(panes, &ahead);
	assert_int_equal(ask_at(panes, &ahead, 99, 0), PANES_WAIT);
	for (int i = 0; i < 20; i++) {
		panes_stand(panes, &slow.reader, ++slow.at, false);
		panes_stand(panes, &slower.reader, slower.at = slow.at, false);
		goes_on(panes, &ahead, 100);
	}

	/* what had to go is fetched for both again, and the second one waits for it */
	while (ask(panes, &slow) == PANES_FULL)
		panes_stand(panes, &slower.reader, slower.at = slow.at, false);
	assert_int_equal(ask(panes, &slower), PANES_WAIT);
	fill(panes, &slow, 1000000, 1000);
	for (int i = 0; i < 20; i++)
		goes_on(panes, &ahead, 200);
	panes_leave(panes, &slower.reader);
	slow.at = ahead.at;
	if (ask(panes, &slow) == PANES_FILL)
		fill(panes, &slow, 1000000, 1000);
	panes_stand(panes, &slow.reader, ahead.at, false);
	slow.at = ahead.at;
	read_to_the_brim(panes, &ahead);
	one_end(panes, &ahead);
	one_end(panes, &slow);
	one_end(panes, &slower);
	panes_free(panes);
}

/* ---- Who is unlike --------------------------------------------------------------------------- */

#define HISTORY 20000
#define WALKERS 6

static const char *const four_types[] = { "Alpha", "Beta", "Gamma", "Delta", NULL };

/** One of several that catch up, each in a time of its own. */
struct walker {
	struct one one;
	const char *types[5];
	int wanted; /* of four types */
	int64_t ns; /* that an event takes */
	int64_t due_ns, end_ns;
};

/** All of them, and what they have read of the store. */
struct walk {
	struct panes *panes;
	struct walker walkers[WALKERS];
	int count;
	tide_position read;
};

static void walk_add(struct walk *walk, int wanted, int64_t ns)
{
	struct walker *walker = &walk->walkers[walk->count++];
	one_make(&walker->one, 2 * MB);
	for (int i = 0; i < wanted; i++)
		walker->types[i] = four_types[i];
	walker->one.filter.event_types = walker->types;
	walker->wanted = wanted;
	walker->ns = ns;
}

static void read_mixed(struct tide_page *page, tide_position after)
{
	static const char payload[1000];
	struct tide_event event = { .aggregate_type = tide_text("Order"),
				    .metadata = tide_text("{}"),
				    .payload = { payload, sizeof payload } };
	page->scanned_to = after;
	while (page->scanned_to < HISTORY && tide_page_fits(page, sizeof payload + 2)) {
		event.position = ++page->scanned_to;
		event.event_type = tide_text(four_types[event.position % 4]);
		event.event_id = event.aggregate_id = uuid_of((unsigned)event.position);
		must(tide_page_add(page, &event, err));
	}
}

/* A page of the store by itself, or one for all: how many events it handles then. */
static int64_t walker_reads(struct walk *walk, struct walker *walker, bool is_alone)
{
	struct one *one = &walker->one;
	tide_position from = one->at;
	if (is_alone) {
		one->at += 400 / walker->wanted;
		one->at = one->at < HISTORY ? one->at : HISTORY;
		walk->read += one->at - from;
		panes_stand(walk->panes, &one->reader, one->at, false);
		return (one->at - from) * walker->wanted / 4;
	}
	struct tide_page *page = panes_page(one->turn.pane);
	read_mixed(page, one->turn.after);
	walk->read += page->scanned_to - one->turn.after;
	panes_filled(walk->panes, one->turn.pane, true, 0);
	panes_take(walk->panes, one->turn.pane, &one->filter, &one->page);
	one->at = one->page.scanned_to;
	panes_stand(walk->panes, &one->reader, one->at, false);
	return (int64_t)one->page.count;
}

static void walker_steps(struct walk *walk, struct walker *walker)
{
	struct one *one = &walker->one;
	enum panes_answer answer = ask_by(walk->panes, one, walker->due_ns, 0);
	int64_t handled = (int64_t)one->page.count;
	if (answer == PANES_WAIT && handled == 0) {
		walker->due_ns = one->turn.until.ns - NS_PER_SECOND;
		return;
	}
	if (answer == PANES_FILL || (answer == PANES_ALONE && handled == 0))
		handled = walker_reads(walk, walker, answer == PANES_ALONE);
	wakeup_reset(&one->wakeup);
	walker->due_ns += handled * walker->ns;
	walker->end_ns = walker->due_ns;
	if (one->at >= HISTORY)
		panes_leave(walk->panes, &one->reader);
}

static struct walker *walk_next(struct walk *walk)
{
	struct walker *next = NULL;
	for (int i = 0; i < walk->count; i++) {
		struct walker *walker = &walk->walkers[i];
		if (walker->one.at < HISTORY && (!next || walker->due_ns < next->due_ns))
			next = walker;
	}
	return next;
}

/* Each does what is due, and who is rung looks at once. */
static void walk_to_the_end(struct walk *walk)
{
	for (struct walker *next; (next = walk_next(walk));) {
		int64_t now_ns = next->due_ns;
		walker_steps(walk, next);
		for (int i = 0; i < walk->count; i++) {
			struct walker *walker = &walk->walkers[i];
			if (!wakeup_is_rung(&walker->one.wakeup))
				continue;
			wakeup_reset(&walker->one.wakeup);
			walker->due_ns = now_ns;
		}
	}
}

static void walk_open(struct walk *walk)
{
	*walk = (struct walk){ .panes = panes_made() };
}

static void walk_close(struct walk *walk)
{
	for (int i = 0; i < walk->count; i++)
		one_end(walk->panes, &walk->walkers[i].one);
	panes_free(walk->panes);
}

static void who_wants_less_of_all_stays_with_those_that_want_more(void **state)
{
	(void)state;
	static struct walk walk;
	for (int64_t ns = NS_PER_MS / 500; ns <= 10 * NS_PER_MS; ns *= 10) {
		walk_open(&walk);
		for (int i = 0; i < WALKERS; i++)
			walk_add(&walk, 1 + i % 4, ns);
		walk_to_the_end(&walk);
		if (walk.read > HISTORY * 5 / 4)
			fail_msg("%lld events were read for a history of %d", (long long)walk.read,
				 HISTORY);
		walk_close(&walk);
	}
}

static int64_t walk_beside(int64_t ns, int64_t other_ns)
{
	static struct walk walk;
	walk_open(&walk);
	walk_add(&walk, 4, ns);
	walk_add(&walk, 4, other_ns);
	walk_to_the_end(&walk);
	int64_t end_ns = walk.walkers[0].end_ns;
	walk_close(&walk);
	return end_ns;
}

static void who_is_much_slower_costs_one_wait(void **state)
{
	(void)state;
	int64_t ns = NS_PER_MS / 10, by_itself = HISTORY * ns;
	assert_true(walk_beside(ns, 20 * ns) <= by_itself * 5 / 4 + NS_PER_SECOND);
	assert_true(walk_beside(ns, 60 * NS_PER_SECOND) <= by_itself * 5 / 4 + NS_PER_SECOND);
	assert_true(walk_beside(ns, ns / 20) <= by_itself);
}

/* ---- Whether the store is what it was -------------------------------------------------------- */

static void what_was_read_before_a_connection_was_lost_is_void(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	fill(two.panes, &two.first, 5000, 10);
	assert_int_equal(panes_newest(two.panes).position, 1000);
	assert_int_equal(ask_at(two.panes, &two.second, 0, 1), PANES_FILL);
	assert_int_equal(two.second.page.count, 0);
	assert_int_equal(panes_newest(two.panes).position, 0);
	panes_filled(two.panes, two.second.turn.pane, false, 1);
	assert_int_equal(panes_bytes(two.panes), 0);

	/* lost while it is being read: who read it has it, nobody else */
	two.first.at = two.second.at = 100;
	assert_int_equal(ask_at(two.panes, &two.second, 0, 1), PANES_FILL);
	read_into(panes_page(two.second.turn.pane), 100, 5000, 10);
	panes_filled(two.panes, two.second.turn.pane, true, 2);
	assert_int_equal(panes_bytes(two.panes), 0);
	panes_take(two.panes, two.second.turn.pane, &two.second.filter, &two.second.page);
	assert_int_equal(two.second.page.scanned_to, 200);
	two_close(&two);
}

static void what_is_forgotten_while_it_is_read_is_not_kept(void **state)
{
	(void)state;
	struct two two;
	two_begin(&two);
	panes_forget(two.panes);
	fill(two.panes, &two.first, 5000, 10);
	has(&two.first, 1, 100);
	assert_int_equal(panes_bytes(two.panes), 0);
	assert_int_equal(ask(two.panes, &two.second), PANES_FILL);
	assert_int_equal(two.second.page.count, 0);
	panes_filled(two.panes, two.second.turn.pane, false, 0);
	two_close(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_nobody_behind_it_reads_for_itself),
		cmocka_unit_test(those_who_pass_each_other_read_together),
		cmocka_unit_test(a_lane_that_comes_first_reads_for_those_to_come),
		cmocka_unit_test(who_is_near_takes_its_own_of_what_another_read),
		cmocka_unit_test(where_the_feed_ends_each_sees_for_itself),
		cmocka_unit_test(who_comes_while_it_is_read_waits_and_is_rung),
		cmocka_unit_test(who_has_waited_in_vain_reads_and_nobody_waits_for_that_any_more),
		cmocka_unit_test(a_read_that_failed_is_made_by_the_next_one),
		cmocka_unit_test(what_all_have_passed_goes),
		cmocka_unit_test(a_slow_one_keeps_no_more_than_the_greatest_reads_ahead),
		cmocka_unit_test(a_slow_one_keeps_nobody_from_reading_together),
		cmocka_unit_test(lanes_take_their_own_from_wherever_they_stand),
		cmocka_unit_test(who_is_ahead_waits_for_who_needs_what_is_kept),
		cmocka_unit_test(who_was_waited_for_in_vain_is_not_waited_for_until_it_is_there),
		cmocka_unit_test(who_wants_less_of_all_stays_with_those_that_want_more),
		cmocka_unit_test(who_is_much_slower_costs_one_wait),
		cmocka_unit_test(what_was_read_before_a_connection_was_lost_is_void),
		cmocka_unit_test(what_is_forgotten_while_it_is_read_is_not_kept),
	};
	return cmocka_run_group_tests_name("panes", tests, NULL, NULL);
}

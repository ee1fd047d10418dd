/* SPDX-License-Identifier: Apache-2.0 */
/* What a backend owes the core when it fills a page: exact counts of what it passed over, bounds,
 * an honest end. */
#include <string.h>

#include "conformance/cases.h"
#include "path/store.h"

/** A page under test, with its session. */
struct paging {
	const struct tide_backend *backend;
	void *session;
	struct tide_page page;
	struct tide_filter filter;
	struct tide_page_query query;
};

static void paging_open(struct paging *p, struct fixture *f)
{
	memset(p, 0, sizeof *p);
	p->backend = f->store->backend;
	must(p->backend->store.session_open(f->store->state, &p->session, err));
	tide_page_init(&p->page);
	p->query = (struct tide_page_query){ .filter = &p->filter,
					     .max_events = 100,
					     .max_bytes = 1 << 20 };
}

static void paging_close(struct paging *p)
{
	tide_page_fini(&p->page);
	p->backend->store.session_close(p->session);
}

static void paging_read(struct paging *p)
{
	tide_page_begin(&p->page, p->query.max_events, p->query.max_bytes);
	must(p->backend->store.read(p->session, &p->query, &p->page, err));
}

static const char *const wanted[] = { "Wanted", NULL };

/* Three wanted events among ten: at 3, 4 and 8. */
static void put_wanted_at_3_4_8(struct fixture *f)
{
	for (int i = 1; i <= 10; i++)
		append_one(f->store, stream_of("Order", 1),
			   i == 3 || i == 4 || i == 8 ? "Wanted" : "Other");
}

static void page_of_an_empty_feed_is_its_end(struct fixture *f)
{
	struct paging p;
	paging_open(&p, f);
	p.query.max_scan = 100;
	paging_read(&p);
	assert_int_equal(p.page.count, 0);
	assert_int_equal(p.page.scanned_to, 0);
	assert_true(p.page.is_end);
	assert_int_equal(p.page.wait_ns, 0);
	paging_close(&p);
}

static void page_counts_what_it_passed_over(struct fixture *f)
{
	put_wanted_at_3_4_8(f);
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = wanted;
	p.query.max_scan = 1000;
	paging_read(&p);
	assert_int_equal(p.page.count, 3);
	assert_int_equal(p.page.entries[0].passed_before, 2);
	assert_int_equal(p.page.entries[1].passed_before, 0);
	assert_int_equal(p.page.entries[2].passed_before, 3);
	assert_int_equal(p.page.passed_after, 2);
	assert_int_equal(p.page.scanned_to, 10);
	assert_true(p.page.is_end);
	paging_close(&p);
}

static void page_full_of_events_says_where_it_stopped(struct fixture *f)
{
	put_wanted_at_3_4_8(f);
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = wanted;
	p.query.max_scan = 1000;
	p.query.max_events = 2;
	paging_read(&p);
	assert_int_equal(p.page.count, 2);
	assert_false(p.page.is_end);
	assert_in_range(p.page.scanned_to, 4, 7);
	assert_int_equal(p.page.passed_after, p.page.scanned_to - 4);
	p.query.bound = p.page.scanned_to;
	paging_read(&p);
	assert_int_equal(p.page.count, 1);
	assert_int_equal(p.page.entries[0].event.position, 8);
	paging_close(&p);
}

static void scan_without_a_match_is_bounded(struct fixture *f)
{
	for (int i = 0; i < 50; i++)
		append_one(f->store, stream_of("Order", 1), "Other");
	append_one(f->store, stream_of("Order", 1), "Wanted");
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = wanted;
	p.query.max_scan = 20;
	for (int round = 1; round <= 2; round++) {
		paging_read(&p);
		assert_int_equal(p.page.count, 0);
		assert_int_equal(p.page.scanned_to, 20 * round);
		assert_int_equal(p.page.passed_after, 20);
		assert_false(p.page.is_end);
		p.query.bound = p.page.scanned_to;
	}
	paging_read(&p);
	assert_int_equal(p.page.count, 1);
	assert_int_equal(p.page.entries[0].passed_before, 10);
	assert_int_equal(p.page.scanned_to, 51);
	paging_close(&p);
}

/** What pages came to, one behind the other. */
struct sum {
	size_t count, pages;
	int64_t passed, leapt;
	tide_position positions[200];
};

/* The greatest event that a page tells of is the one at or below where it ends, if it tells. */
static void paging_stands_on_an_event(const struct paging *p)
{
	const struct tide_page *page = &p->page;
	struct tide_anchor stand = page->passed, found = { 0 };
	bool may_come;
	if (page->count > 0 && page->entries[page->count - 1].event.position > stand.position) {
		const struct tide_event *last = &page->entries[page->count - 1].event;
		stand = (struct tide_anchor){ last->position, last->event_id };
	}
	if (stand.position == 0)
		return;
	must(p->backend->store.anchor(p->session, page->scanned_to, &found, &may_come, err));
	assert_int_equal(found.position, stand.position);
	assert_true(tide_uuid_equal(&found.event_id, &stand.event_id));
}

static struct sum paging_sum_up(struct paging *p)
{
	struct sum sum = { 0 };
	p->query.bound = 0;
	do {
		paging_read(p);
		for (size_t i = 0; i < p->page.count; i++) {
			assert_true(sum.count < sizeof sum.positions / sizeof *sum.positions);
			sum.positions[sum.count++] = p->page.entries[i].event.position;
			sum.passed += p->page.entries[i].passed_before;
		}
		sum.pages++;
		sum.passed += p->page.passed_after;
		sum.leapt += p->page.leapt;
		assert_true(p->page.is_end || p->page.scanned_to > p->query.bound);
		paging_stands_on_an_event(p);
		p->query.bound = p->page.scanned_to;
	} while (!p->page.is_end);
	return sum;
}

static void put_mixture(struct fixture *f, const struct tide_time instants[3])
{
	for (unsigned i = 0; i < 60; i++) {
		struct tide_new_event events[] = { event_of(i % 4 ? "Other" : "Wanted", i) };
		events[0].occurred_at = &instants[i % 3];
		events[0].tenant_id = i % 5 ? uuid_of(70 + i % 2) : events[0].tenant_id;
		must(tide_store_append(
			f->store,
			APPEND(stream_of(i % 7 ? "Order" : "Invoice", i % 6), TIDE_ANY, events),
			NULL, err));
	}
}

/* Counting in small scans, or leaps, must come to what one scan counts, under every kind of
 * filter. */
static void small_scans_add_up_to_one_scan(struct fixture *f)
{
	const struct tide_time instants[] = { { 1000000 }, { 2000000 }, { 3000000 } };
	put_mixture(f, instants);
	struct tide_uuid tenant = uuid_of(71), id = uuid_of(2);
	const char *const orders[] = { "Order", NULL }, *const patterns[] = { "W*", "x", NULL };
	SEEN all = see(f->store, NULL);
	for (unsigned mask = 0; mask < 256; mask++) {
		struct paging p;
		paging_open(&p, f);
		p.filter = (struct tide_filter){
			.event_types = mask & 1 ? wanted : NULL,
			.patterns = mask & 2 ? patterns : NULL,
			.aggregate_types = mask & 4 ? orders : NULL,
			.tenant_id = mask & 8 ? &tenant : NULL,
			.aggregate_id = mask & 16 ? &id : NULL,
			.occurred_from = mask & 32 ? &instants[1] : NULL,
			.partition_index = 1,
			.partition_total = mask & 64 ? 3 : 0,
		};
		p.query.max_scan = 7;
		p.query.max_events = 2;
		p.query.is_sparse = mask & 128;
		size_t matching = 0;
		struct sum sum = paging_sum_up(&p);
		for (size_t i = 0; i < all.count; i++)
			if (tide_filter_matches(&p.filter, all.events[i]))
				assert_int_equal(sum.positions[matching++],
						 all.events[i]->position);
		assert_int_equal(sum.count, matching);
		assert_int_equal(sum.passed, all.count - matching);
		paging_close(&p);
	}
}

/* ---- Few events of many ---------------------------------------------------------------------- */

#define FEW_EVERY 50

/* 300 events, one in 50 of each of two types. */
static void put_few(struct fixture *f)
{
	struct tide_new_event events[300];
	for (unsigned i = 0; i < 300; i++)
		events[i] = event_of(i % FEW_EVERY == 30   ? "Wanted"
				     : i % FEW_EVERY == 40 ? "Seldom"
							   : "Other",
				     i);
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), 0, events), NULL, err));
}

static const char *const few[] = { "Seldom", "Never", "Wanted", "Seldom", NULL };

static void sparse_pages_leap_from_one_wanted_event_to_the_next(struct fixture *f)
{
	put_few(f);
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = few;
	p.query.max_scan = 20;
	p.query.is_sparse = true;
	struct sum sum = paging_sum_up(&p);
	assert_int_equal(sum.count, 12);
	assert_int_equal(sum.passed, 288);
	for (size_t i = 0; i < sum.count; i++)
		assert_int_equal(sum.positions[i], i / 2 * FEW_EVERY + (i % 2 ? 41 : 31));
	assert_in_range(sum.pages, f->quirks->leaps ? 1 : 15, f->quirks->leaps ? 2 : 16);
	assert_in_range(sum.leapt, f->quirks->leaps ? 287 : 0, f->quirks->leaps ? 288 : 0);
	paging_close(&p);
}

static void sparse_page_ends_where_it_is_full(struct fixture *f)
{
	put_few(f);
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = few;
	p.query.max_scan = 100;
	p.query.max_events = 3;
	p.query.is_sparse = true;
	paging_read(&p);
	assert_in_range(p.page.count, 1, 3);
	assert_int_equal(p.page.entries[0].passed_before, 30);
	assert_in_range(p.page.scanned_to, 81, 100);
	assert_false(p.page.is_end);
	p.query.max_events = 100;
	p.query.max_bytes = 1;
	p.query.bound = 31;
	paging_read(&p);
	assert_int_equal(p.page.count, 1);
	assert_int_equal(p.page.entries[0].event.position, 41);
	assert_int_equal(p.page.entries[0].passed_before, 9);
	assert_in_range(p.page.scanned_to, 41, 80);
	assert_int_equal(p.page.passed_after, p.page.scanned_to - 41);
	paging_close(&p);
}

/* More than are looked for one by one. */
static void sparse_pages_of_many_types_are_scanned(struct fixture *f)
{
	const char *const many[] = { "A", "B", "C", "D",      "E",      "F",
				     "G", "H", "I", "Wanted", "Seldom", NULL };
	put_few(f);
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = many;
	p.query.max_scan = 20;
	p.query.is_sparse = true;
	struct sum sum = paging_sum_up(&p);
	assert_int_equal(sum.count, 12);
	assert_int_equal(sum.passed, 288);
	assert_int_equal(sum.leapt, 0);
	paging_close(&p);
}

static void sparse_pages_go_without_the_index_of_types(struct fixture *f)
{
	put_few(f);
	struct paging p;
	for (int round = 0; round < 3; round++) {
		if (round > 0)
			fixture_sql(f, "DROP INDEX idx_events_event_type");
		if (round == 1) {
			fixture_sql(f, "CREATE INDEX idx_events_event_type ON events (version)");
			fixture_reopen(f);
		}
		paging_open(&p, f);
		p.filter.event_types = few;
		p.query.max_scan = 20;
		p.query.is_sparse = true;
		struct sum sum = paging_sum_up(&p);
		assert_int_equal(sum.count, 12);
		assert_int_equal(sum.passed, 288);
		assert_in_range(sum.leapt, round ? 0 : 287, round ? 0 : 288);
		paging_close(&p);
	}
}

/* What is leapt over counts by its positions, as far as nobody has looked. */
static void holes_that_are_leapt_over_lose_no_event(struct fixture *f)
{
	put_few(f);
	fixture_sql(f, "DELETE FROM events WHERE global_position BETWEEN 10 AND 20 OR "
		       "global_position IN (31, 32, 140, 142, 281)");
	fixture_reopen(f);
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = few;
	p.query.max_scan = 20;
	p.query.max_events = 5;
	struct sum scanned = paging_sum_up(&p);
	p.query.is_sparse = true;
	struct sum leapt = paging_sum_up(&p);
	assert_int_equal(scanned.count, 10);
	assert_int_equal(scanned.passed, 300 - 16 - 10);
	assert_int_equal(leapt.count, 10);
	assert_memory_equal(leapt.positions, scanned.positions, sizeof scanned.positions);
	assert_in_range(leapt.passed, scanned.passed, 300 - 10);
	paging_close(&p);
}

/* Among the wanted and as the newest of all. */
static void rows_that_are_no_events_are_leapt_to_and_over(struct fixture *f)
{
	put_few(f);
	fixture_sql(f, "UPDATE events SET timestamp = 'never' WHERE global_position = 81");
	fixture_sql(f, "UPDATE events SET event_id = 'nobody ' || global_position WHERE "
		       "global_position IN (131, 300)");
	struct paging p;
	paging_open(&p, f);
	p.filter.event_types = few;
	p.query.max_scan = 20;
	p.query.is_sparse = true;
	paging_read(&p);
	assert_int_equal(p.page.count, 12);
	assert_int_equal(p.page.scanned_to, 300);
	assert_int_equal(p.page.passed_after, 9);
	assert_int_equal(p.page.passed.position, 0);
	assert_null(p.page.entries[0].event.undecodable);
	assert_int_equal(p.page.entries[2].event.position, 81);
	assert_non_null(p.page.entries[2].event.undecodable);
	assert_string_equal(p.page.entries[4].event.event_id_text, "nobody 131");
	paging_close(&p);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

static void page_is_bounded_in_bytes(struct fixture *f)
{
	char payload[1003];
	memset(payload, 'x', 1002);
	payload[0] = payload[1001] = '"';
	payload[1002] = '\0';
	struct tide_new_event events[5];
	for (int i = 0; i < 5; i++)
		events[i] = (struct tide_new_event){ .event_type = "Big",
						     .payload = tide_text(payload) };
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), 0, events), NULL, err));
	struct paging p;
	paging_open(&p, f);
	p.query.max_scan = 1000;
	p.query.max_bytes = 2500;
	paging_read(&p);
	assert_int_equal(p.page.count, 2);
	assert_int_equal(p.page.scanned_to, 2);
	assert_false(p.page.is_end);
	p.query.max_bytes = 10;
	p.query.bound = 2;
	paging_read(&p);
	assert_int_equal(p.page.count, 1);
	assert_int_equal(p.page.entries[0].event.position, 3);
	assert_int_equal(p.page.scanned_to, 3);
	paging_close(&p);
}

static void page_that_takes_the_last_event_is_the_end(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	struct paging p;
	paging_open(&p, f);
	p.query.max_scan = 1000;
	p.query.max_events = 10;
	paging_read(&p);
	assert_int_equal(p.page.count, 10);
	if (!p.page.is_end) { /* not having looked is allowed; the next page must say it then */
		p.query.bound = p.page.scanned_to;
		paging_read(&p);
		assert_int_equal(p.page.count, 0);
	}
	assert_true(p.page.is_end);
	assert_int_equal(p.page.scanned_to, 10);
	append_one(f->store, stream_of("Order", 1), "Later");
	p.query.bound = 10;
	paging_read(&p);
	assert_int_equal(p.page.count, 1);
	assert_int_equal(p.page.entries[0].event.position, 11);
	paging_close(&p);
}

static void page_beyond_the_end_is_empty_and_goes_not_back(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 3);
	struct paging p;
	paging_open(&p, f);
	p.query.max_scan = 1000;
	p.query.bound = 1000;
	paging_read(&p);
	assert_int_equal(p.page.count, 0);
	assert_true(p.page.is_end);
	assert_true(p.page.scanned_to <= 1000);
	paging_close(&p);
}

/* What was read ahead of an earlier page says nothing of what came since. */
static void page_is_the_end_of_what_there_is_by_now(struct fixture *f)
{
	for (unsigned i = 0; i < 2; i++)
		append_many(f->store, stream_of("Order", i), 0, 500);
	struct paging p;
	paging_open(&p, f);
	p.query.max_events = 500;
	p.query.max_scan = 10000;
	for (int pages = 0; pages < 2; pages++) {
		paging_read(&p);
		assert_int_equal(p.page.count, 500);
		p.query.bound = p.page.scanned_to;
	}

	/* for which what was read ahead lands, if it has not */
	tide_version version;
	must(p.backend->store.stream_version(p.session, stream_of("Order", 1), &version, err));
	append_one(f->store, stream_of("Order", 2), "Late");
	for (p.page.is_end = false; !p.page.is_end; p.query.bound = p.page.scanned_to)
		paging_read(&p);
	assert_int_equal(p.page.scanned_to, end_of(f->store));
	paging_close(&p);
}

const struct test_case page_cases[] = {
	CASE(page_of_an_empty_feed_is_its_end),
	CASE(page_counts_what_it_passed_over),
	CASE(page_full_of_events_says_where_it_stopped),
	CASE(scan_without_a_match_is_bounded),
	CASE(small_scans_add_up_to_one_scan),
	CASE(sparse_pages_leap_from_one_wanted_event_to_the_next),
	CASE(sparse_page_ends_where_it_is_full),
	CASE(sparse_pages_of_many_types_are_scanned),
	CASE_NEEDS(sparse_pages_go_without_the_index_of_types, NEEDS_SQL),
	CASE_NEEDS(holes_that_are_leapt_over_lose_no_event, NEEDS_SQL),
	CASE_NEEDS(rows_that_are_no_events_are_leapt_to_and_over, NEEDS_TEXT_COLUMNS),
	CASE(page_is_bounded_in_bytes),
	CASE(page_that_takes_the_last_event_is_the_end),
	CASE(page_beyond_the_end_is_empty_and_goes_not_back),
	CASE(page_is_the_end_of_what_there_is_by_now),
	CASES_END,
};

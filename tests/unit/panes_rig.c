/* SPDX-License-Identifier: Apache-2.0 */
#include "panes_rig.h"

#include <stdlib.h>

struct panes *panes_made(void)
{
	struct panes *panes;
	must(panes_new(&panes, err));
	return panes;
}

void one_make(struct one *one, int64_t max_bytes)
{
	*one = (struct one){ .reader = { .wakeup = &one->wakeup, .max_bytes = max_bytes } };
	wakeup_init(&one->wakeup);
	tide_page_init(&one->page);
}

void one_end(struct panes *panes, struct one *one)
{
	panes_leave(panes, &one->reader);
	wakeup_fini(&one->wakeup);
	tide_page_fini(&one->page);
}

static enum panes_answer one_asks(struct panes *panes, struct one *one, struct panes_query query)
{
	query.after = one->at;
	query.until = one->at + 9000;
	query.filter = &one->filter;
	tide_page_begin(&one->page, 100, (size_t)16 * MB);
	enum panes_answer answer = panes_read(panes, &one->reader, &query, &one->page, &one->turn);
	one->at = one->page.scanned_to;
	return answer;
}

enum panes_answer ask_by(struct panes *panes, struct one *one, int64_t ns, uint64_t losses)
{
	return one_asks(panes, one,
			(struct panes_query){ .now = { NS_PER_SECOND + ns }, .losses = losses });
}

enum panes_answer ask_at(struct panes *panes, struct one *one, int64_t ms, uint64_t losses)
{
	return ask_by(panes, one, ms * NS_PER_MS, losses);
}

enum panes_answer ask(struct panes *panes, struct one *one)
{
	return ask_at(panes, one, 0, 0);
}

enum panes_answer ask_ahead(struct panes *panes, struct one *one)
{
	return one_asks(panes, one, (struct panes_query){ .now = { NS_PER_SECOND }, .ahead = 2 });
}

void read_into(struct tide_page *page, tide_position after, tide_position end, size_t size)
{
	char *payload = calloc(1, size + 1);
	memset(payload, 'x', size);
	struct tide_event event = { .event_type = tide_text("Counted"),
				    .aggregate_type = tide_text("Order"),
				    .metadata = tide_text("{}"),
				    .payload = { payload, size } };
	page->scanned_to = after;
	while (page->scanned_to < end && tide_page_fits(page, size + 2)) {
		event.position = page->scanned_to + 1;
		event.aggregate_id = uuid_of((unsigned)event.position);
		event.event_id = event.aggregate_id;
		must(tide_page_add(page, &event, err));
		page->scanned_to++;
	}
	page->is_end = page->scanned_to >= end;
	free(payload);
}

void fill(struct panes *panes, struct one *one, tide_position end, size_t size)
{
	read_into(panes_page(one->turn.pane), one->turn.after, end, size);
	panes_filled(panes, one->turn.pane, true, 0);
	panes_take(panes, one->turn.pane, &one->filter, &one->page);
	one->at = one->page.scanned_to;
	panes_stand(panes, &one->reader, one->at, false);
}

void has(const struct one *one, tide_position first, tide_position last)
{
	assert_int_equal(one->page.count, last - first + 1);
	for (size_t i = 0; i < one->page.count; i++)
		assert_int_equal(one->page.entries[i].event.position, first + (tide_position)i);
	assert_int_equal(one->at, last);
}

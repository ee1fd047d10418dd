/* SPDX-License-Identifier: Apache-2.0 */
/* The window over the newest events: who looks, who waits, and where it moves. */
#include "path/tail.h"

#include <string.h>

#include "lib/build.h"

static const struct tide_filter everything;

/** A tail, its bell, and the page of whoever reads it. */
struct window {
	struct tide_backend backend;
	struct notifier *notifier;
	struct tail *tail;
	struct tide_page page;
	tide_position to; /* where the last one was told to look behind */
};

static void window_open(struct window *window, tide_position end)
{
	*window = (struct window){ 0 };
	must(notifier_new(&window->backend, NULL, &window->notifier, err));
	must(tail_new(window->notifier, &window->tail, err));
	tide_page_init(&window->page);
	tail_open(window->tail, end);
}

static void window_close(struct window *window)
{
	tail_free(window->tail);
	notifier_free(window->notifier);
	tide_page_fini(&window->page);
}

static enum tail_answer ask(struct window *window, tide_position after, bool was_read)
{
	const struct tail_query query = { .after = after,
					  .was_read = was_read,
					  .filter = &everything,
					  .now = { NS_PER_SECOND },
					  .max_age_ns = NS_PER_SECOND };
	struct mono_time look_at;
	tide_page_begin(&window->page, 100, (size_t)1 << 20);
	return tail_read(window->tail, &query, &window->page, &window->to, &look_at);
}

/* The look of a store whose every position up to `end` is an event. */
static void look(struct window *window, tide_position end)
{
	struct tide_event event = { .event_type = tide_text("Counted"),
				    .aggregate_type = tide_text("Order"),
				    .metadata = tide_text("{}"),
				    .payload = tide_text("{}") };
	tide_page_begin(&window->page, 100, (size_t)1 << 20);
	for (tide_position i = window->to + 1; i <= end; i++) {
		event.position = i;
		event.aggregate_id = event.event_id = uuid_of((unsigned)i);
		must(tide_page_add(&window->page, &event, err));
	}
	window->page.scanned_to = end > window->to ? end : window->to;
	window->page.is_end = true;
	must(tail_filled(window->tail, &window->page, (struct mono_time){ NS_PER_SECOND }, err));
}

static void one_looks_for_all_and_the_others_take_what_it_found(void **state)
{
	(void)state;
	struct window window;
	window_open(&window, 10);
	assert_int_equal(ask(&window, 10, true), TAIL_FILL);
	assert_int_equal(window.to, 10);
	assert_int_equal(ask(&window, 10, true), TAIL_FILLING);
	look(&window, 12);

	assert_int_equal(ask(&window, 10, true), TAIL_PAGE);
	assert_int_equal(window.page.count, 2);
	assert_int_equal(window.page.scanned_to, 12);
	assert_int_equal(ask(&window, 12, true), TAIL_END);
	assert_int_equal(ask(&window, 9, true), TAIL_BEHIND);
	window_close(&window);
}

/* Who begins beyond the end waits there, and those at the end keep their window. */
static void the_window_stays_for_one_that_has_read_nothing_up_to_where_it_is(void **state)
{
	(void)state;
	struct window window;
	window_open(&window, 10);
	assert_int_equal(ask(&window, 1000000, false), TAIL_FILL);
	assert_int_equal(window.to, 10);
	look(&window, 11);
	assert_int_equal(ask(&window, 1000000, false), TAIL_END);
	assert_int_equal(ask(&window, 10, true), TAIL_PAGE);
	assert_int_equal(window.page.count, 1);
	window_close(&window);
}

static void the_window_moves_to_one_that_has_read_more_than_it_holds(void **state)
{
	(void)state;
	struct window window;
	window_open(&window, 10);
	assert_int_equal(ask(&window, 10 + TAIL_EVENTS_MAX, true), TAIL_FILL);
	assert_int_equal(window.to, 10); /* what lies between is not too much to read */
	look(&window, 10);
	assert_int_equal(ask(&window, 11 + TAIL_EVENTS_MAX, true), TAIL_FILL);
	assert_int_equal(window.to, 11 + TAIL_EVENTS_MAX);
	assert_int_equal(ask(&window, 10, true), TAIL_BEHIND);
	look(&window, 11 + TAIL_EVENTS_MAX);
	window_close(&window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_looks_for_all_and_the_others_take_what_it_found),
		cmocka_unit_test(the_window_stays_for_one_that_has_read_nothing_up_to_where_it_is),
		cmocka_unit_test(the_window_moves_to_one_that_has_read_more_than_it_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

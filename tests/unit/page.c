/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>

#include <tidemark/backend.h>

#include "sys/alloc.h"

static struct tide_event event_of(int i, const char *payload)
{
	return (struct tide_event){
		.position = i,
		.version = i,
		.event_version = 1,
		.event_type = tide_text("OrderPlaced"),
		.aggregate_type = tide_text("Order"),
		.metadata = tide_text("{}"),
		.payload = tide_text(payload),
	};
}

static void events_are_copied_with_their_texts(void **state)
{
	(void)state;
	struct tide_page page;
	char payload[] = "{\"a\":1}", actor[] = "anna";
	tide_page_init(&page);
	tide_page_begin(&page, 10, 1000);
	struct tide_event event = event_of(7, payload);
	event.actor_id = tide_text(actor);
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	memset(payload, 'x', sizeof payload - 1);
	memset(actor, 'x', sizeof actor - 1);
	const struct tide_event *copy = &page.entries[0].event;
	assert_int_equal(page.count, 1);
	assert_int_equal(page.bytes, 9);
	assert_int_equal(copy->position, 7);
	assert_string_equal(copy->payload.data, "{\"a\":1}");
	assert_string_equal(copy->actor_id.data, "anna");
	assert_string_equal(copy->event_type.data, "OrderPlaced");
	assert_string_equal(copy->aggregate_type.data, "Order");
	assert_string_equal(copy->metadata.data, "{}");
	assert_null(copy->undecodable);
	tide_page_fini(&page);
}

static void absent_texts_stay_absent_and_ends_are_marked(void **state)
{
	(void)state;
	struct tide_page page;
	tide_page_init(&page);
	tide_page_begin(&page, 10, 1000);
	struct tide_event event = event_of(1, NULL);
	event.event_type = (struct tide_text){ "OrderPlaced", 5 }; /* no NUL behind it */
	event.undecodable = "bad UUID";
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	const struct tide_event *copy = &page.entries[0].event;
	assert_null(copy->payload.data);
	assert_null(copy->actor_id.data);
	assert_string_equal(copy->event_type.data, "Order");
	assert_string_equal(copy->undecodable, "bad UUID");
	assert_ptr_not_equal(copy->undecodable, event.undecodable);
	tide_page_fini(&page);
}

static void what_fits_is_bounded_by_events_and_bytes_but_for_the_first(void **state)
{
	(void)state;
	struct tide_page page;
	tide_page_init(&page);
	tide_page_begin(&page, 2, 10);
	assert_true(tide_page_fits(&page, 1000));
	struct tide_event event = event_of(1, "{\"abc\":1}");
	/* 11 bytes with its metadata */
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	assert_false(tide_page_fits(&page, 0));
	tide_page_begin(&page, 2, 12);
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	assert_true(tide_page_fits(&page, 1));
	assert_false(tide_page_fits(&page, 2));
	assert_false(tide_page_fits(&page, SIZE_MAX));
	event = event_of(2, "1");
	event.metadata = tide_text(NULL);
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	assert_false(tide_page_fits(&page, 0));
	tide_page_fini(&page);
}

static void passed_events_are_counted_before_the_next(void **state)
{
	(void)state;
	struct tide_page page;
	tide_page_init(&page);
	tide_page_begin(&page, 10, 1000);
	struct tide_event event = event_of(1, "{}");
	tide_page_pass(&page);
	tide_page_pass(&page);
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
	tide_page_pass(&page);
	assert_int_equal(page.entries[0].passed_before, 2);
	assert_int_equal(page.entries[1].passed_before, 0);
	assert_int_equal(page.passed_after, 1);
	page.scanned_to = 9;
	page.is_end = true;
	page.wait_ns = 5;
	page.stream_version = 3;
	tide_page_begin(&page, 5, 500);
	assert_int_equal(
		page.count + page.bytes + (size_t)page.passed_after + (size_t)page.scanned_to, 0);
	assert_false(page.is_end);
	assert_int_equal(page.wait_ns, 0);
	assert_int_equal(page.stream_version, 0);
	tide_page_fini(&page);
}

static void fill(struct tide_page *page, int events, const char *payload)
{
	tide_page_begin(page, (size_t)events, SIZE_MAX);
	for (int i = 1; i <= events; i++) {
		struct tide_event event = event_of(i, payload);
		assert_int_equal(tide_page_add(page, &event, NULL), TIDE_OK);
	}
	for (int i = 1; i <= events; i++) {
		assert_int_equal(page->entries[i - 1].event.position, i);
		assert_string_equal(page->entries[i - 1].event.payload.data, payload);
	}
}

static void a_page_that_was_full_once_allocates_nothing_more(void **state)
{
	(void)state;
	struct tide_page page;
	char payload[301];
	memset(payload, 'p', sizeof payload - 1);
	payload[sizeof payload - 1] = '\0';
	tide_page_init(&page);
	fill(&page, 5000, payload);
	alloc_fail_from(INT64_MAX);
	for (int round = 0; round < 10; round++)
		fill(&page, 5000, payload);
	assert_int_equal(alloc_count(), 0);
	alloc_fail_from(0);
	tide_page_fini(&page);
}

static void huge_events_fit_and_their_memory_is_given_back(void **state)
{
	(void)state;
	struct tide_page page;
	size_t size = (size_t)5 << 20;
	char *huge = malloc(size + 1);
	memset(huge, 'h', size);
	huge[size] = '\0';
	tide_page_init(&page);
	for (int round = 0; round < 3; round++) {
		tide_page_begin(&page, 100, SIZE_MAX);
		alloc_fail_from(INT64_MAX);
		for (int i = 0; i < 9; i++) {
			struct tide_event event =
				event_of(i, i % 3 == 1 ? huge : "{\"small\":true}");
			assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
		}
		/* each huge one had its memory back, and asks for it again */
		assert_true(alloc_count() >= 3);
		alloc_fail_from(0);
		for (int i = 0; i < 9; i++)
			assert_string_equal(page.entries[i].event.payload.data,
					    i % 3 == 1 ? huge : "{\"small\":true}");
	}
	free(huge);
	tide_page_fini(&page);
}

static void without_memory_the_page_stays_as_it_was(void **state)
{
	(void)state;
	struct tide_event event = event_of(1, "{\"a\":1}");
	for (int64_t nth = 1; nth <= 3; nth++) {
		struct tide_page page;
		struct tide_error err;
		tide_page_init(&page);
		tide_page_begin(&page, 10, 1000);
		tide_page_pass(&page);
		alloc_fail_from(nth);
		assert_fails(tide_page_add(&page, &event, &err), TIDE_OUT_OF_MEMORY, &err,
			     "out of memory");
		alloc_fail_from(0);
		assert_int_equal(page.count, 0);
		assert_int_equal(page.bytes, 0);
		assert_int_equal(page.passed_after, 1);
		assert_int_equal(tide_page_add(&page, &event, NULL), TIDE_OK);
		tide_page_fini(&page);
		tide_page_fini(&page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_copied_with_their_texts),
		cmocka_unit_test(absent_texts_stay_absent_and_ends_are_marked),
		cmocka_unit_test(what_fits_is_bounded_by_events_and_bytes_but_for_the_first),
		cmocka_unit_test(passed_events_are_counted_before_the_next),
		cmocka_unit_test(a_page_that_was_full_once_allocates_nothing_more),
		cmocka_unit_test(huge_events_fit_and_their_memory_is_given_back),
		cmocka_unit_test(without_memory_the_page_stays_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any point of a call: the call says so, nothing leaks, and the store is as
 * before. */
#include <tidemark/snapshot.h>

#include "conformance/cases.h"
#include "sys/alloc.h"

#define ALLOCATIONS_MAX 5000

/** One call under test; its results are released when it succeeds. */
typedef tide_status starved_call(struct fixture *fixture, struct tide_error *err);

/* Let the 1st, the 2nd, … allocation fail, and all behind it, until the call needs no more of
 * them. */
static void starve(struct fixture *f, starved_call *call, void (*unchanged)(struct fixture *f))
{
	for (int64_t nth = 1; nth < ALLOCATIONS_MAX; nth++) {
		struct tide_error err = { 0 };
		alloc_fail_from(nth);
		tide_status status = call(f, &err);
		alloc_fail_from(0);
		if (status == TIDE_OK)
			return;
		must_be(status, TIDE_OUT_OF_MEMORY, &err, "a call without memory", __FILE__,
			__LINE__);
		if (unchanged)
			unchanged(f);
	}
	fail_msg("the call needs more than %d allocations", ALLOCATIONS_MAX);
}

static tide_status call_open(struct fixture *f, struct tide_error *err)
{
	struct tide_store *store;
	tide_status status =
		tide_store_open(f->url, TIDE_STORE_OPTIONS(.initialize = true), &store, err);
	if (status == TIDE_OK)
		tide_store_close(store);
	return status;
}

static tide_status call_append(struct fixture *f, struct tide_error *err)
{
	struct tide_new_event events[] = { event_of("A", 1), event_of("B", 2), event_of("C", 3) };
	events[1].event_id = uuid_of(500);
	return tide_store_append(f->store, APPEND(stream_of("Order", 2), TIDE_NO_STREAM, events),
				 NULL, err);
}

static void nothing_appended(struct fixture *f)
{
	struct tide_uuid id = uuid_of(500);
	bool exists = true;
	must(tide_store_event_exists(f->store, &id, &exists, err));
	assert_false(exists);
	assert_int_equal(version_of(f->store, stream_of("Order", 2)), 0);
	assert_int_equal(end_of(f->store), 10);
}

static tide_status call_append_again(struct fixture *f, struct tide_error *err)
{
	struct tide_append_result result;
	struct tide_new_event events[] = { event_of("B", 2) };
	events[0].event_id = uuid_of(500);
	tide_status status = tide_store_append(
		f->store, APPEND(stream_of("Order", 2), TIDE_ANY, events), &result, err);
	assert_true(status != TIDE_OK || result.was_stored_before);
	return status;
}

static tide_status call_read(struct fixture *f, struct tide_error *err)
{
	struct tide_reader *reader;
	tide_status status = tide_store_read(f->store, NULL, &reader, err);
	if (status != TIDE_OK)
		return status;
	int64_t count = 0;
	const struct tide_event *event = NULL;
	while ((status = tide_reader_next(reader, &event, err)) == TIDE_OK && event)
		assert_int_equal(event->position, ++count);
	tide_reader_close(reader);
	assert_true(status != TIDE_OK || count == 13);
	return status;
}

static tide_status call_find(struct fixture *f, struct tide_error *err)
{
	struct tide_uuid id = uuid_of(500);
	struct tide_event *event;
	tide_status status = tide_store_event(f->store, &id, &event, err);
	if (status == TIDE_OK)
		tide_free(event);
	return status;
}

static tide_status call_save(struct fixture *f, struct tide_error *err)
{
	struct tide_uuid id = uuid_of(500);
	struct tide_progress progress = {
		.position = 7, .event_id = &id, .event_type = "B", .count = 1
	};
	return tide_checkpoints_save(f->checkpoints, "p", &progress, err);
}

static void nothing_saved(struct fixture *f)
{
	tide_position position;
	refused(TIDE_NOT_FOUND, tide_checkpoints_position(f->checkpoints, "p", &position, err));
}

static tide_status call_list(struct fixture *f, struct tide_error *err)
{
	struct tide_checkpoint *rows = NULL;
	size_t count = 0;
	tide_status status = tide_checkpoints_list(f->checkpoints, &rows, &count, err);
	tide_free(rows);
	assert_true(status != TIDE_OK || count == 1);
	return status;
}

static tide_status call_lag(struct fixture *f, struct tide_error *err)
{
	struct tide_lag lag;
	return tide_checkpoints_lag(f->checkpoints, "p", NULL, &lag, err);
}

static tide_status call_dead_letter(struct fixture *f, struct tide_error *err)
{
	struct tide_event event = { .position = 1,
				    .version = 1,
				    .event_version = 1,
				    .event_id = uuid_of(500),
				    .aggregate_id = uuid_of(1),
				    .event_type = tide_text("A"),
				    .aggregate_type = tide_text("Order"),
				    .metadata = tide_text("{}"),
				    .payload = tide_text("{}") };
	int64_t id;
	return tide_dead_letters_add(f->checkpoints, "p", &event, "broke", "trace", 1, &id, err);
}

static void no_dead_letter(struct fixture *f)
{
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(f->checkpoints, NULL, &list, err));
	assert_int_equal(list.count, 0);
	tide_dead_letters_free(&list);
}

static tide_status call_list_dead_letters(struct fixture *f, struct tide_error *err)
{
	struct tide_dead_letter_list list = { 0 };
	tide_status status = tide_dead_letters_list(f->checkpoints, NULL, &list, err);
	assert_int_equal(list.count, status == TIDE_OK ? 1 : 0);
	tide_dead_letters_free(&list);
	return status;
}

static tide_status call_count_dead_letters(struct fixture *f, struct tide_error *err)
{
	struct tide_dead_letter_count *counts = NULL;
	size_t count = 0;
	struct tide_dead_letter_stats stats;
	tide_status status = tide_dead_letters_counts(f->checkpoints, &counts, &count, err);
	tide_free(counts);
	return status == TIDE_OK ? tide_dead_letters_stats(f->checkpoints, &stats, err) : status;
}

static tide_status call_resolve(struct fixture *f, struct tide_error *err)
{
	return tide_dead_letters_resolve(f->checkpoints, 1, "somebody", err);
}

static tide_status call_snapshot(struct fixture *f, struct tide_error *err)
{
	struct tide_snapshot snapshot = { .stream = stream_of("Order", 1),
					  .version = 3,
					  .schema_version = 1,
					  .state = tide_text("{\"n\":1}") };
	return tide_store_snapshot_save(f->store, &snapshot, err);
}

static tide_status call_load_snapshot(struct fixture *f, struct tide_error *err)
{
	struct tide_snapshot snapshot;
	tide_status status =
		tide_store_snapshot_load(f->store, stream_of("Order", 1), &snapshot, err);
	if (status == TIDE_OK)
		tide_free((char *)snapshot.state.data);
	return status;
}

static tide_status handle_nothing(void *self, const void *payload, const struct tide_event *event,
				  struct tide_delivery *delivery)
{
	(void)self, (void)payload, (void)event, (void)delivery;
	return TIDE_OK;
}

static tide_status call_subscribe(struct fixture *f, struct tide_error *err)
{
	static const struct tide_field fields[] = { TIDE_FIELD_END };
	static const struct tide_event_type a = { "A", 1, 1, fields, NULL, 0, NULL };
	static const struct tide_event_handler handlers[] = { { &a, handle_nothing },
							      TIDE_EVENT_HANDLER_END };
	const struct tide_subscriber subscriber = { .name = "p", .handlers = handlers };
	TIDE_CLEANUP(tide_manager_close) struct tide_manager *manager = NULL;
	TIDE_CLEANUP(tide_free) const char **paused = NULL;
	size_t count = 0;
	tide_status status = tide_manager_open(TIDE_MANAGER(.store = f->store), &manager, err);
	if (status == TIDE_OK)
		status = tide_manager_subscribe(manager, &subscriber, NULL, NULL, err);
	if (status == TIDE_OK)
		status = tide_manager_paused_names(manager, &paused, &count, err);
	return status;
}

static void no_call_without_memory_changes_anything(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 10);
	starve(f, call_open, NULL);
	starve(f, call_append, nothing_appended);
	starve(f, call_append_again, NULL);
	assert_int_equal(version_of(f->store, stream_of("Order", 2)), 3);
	starve(f, call_read, NULL);
	starve(f, call_find, NULL);
	starve(f, call_save, nothing_saved);
	starve(f, call_list, NULL);
	starve(f, call_lag, NULL);
	starve(f, call_dead_letter, no_dead_letter);
	starve(f, call_list_dead_letters, NULL);
	starve(f, call_count_dead_letters, NULL);
	starve(f, call_resolve, NULL);
	starve(f, call_snapshot, NULL);
	starve(f, call_load_snapshot, NULL);
	starve(f, call_subscribe, NULL);
}

const struct test_case out_of_memory_cases[] = {
	CASE(no_call_without_memory_changes_anything),
	CASES_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <tidemark/snapshot.h>

#include "conformance/cases.h"
#include "lib/wait.h"
#include "path/store.h"

/* Store an event and return an owned copy of it. */
static struct tide_event *stored(struct fixture *f, unsigned number)
{
	struct tide_new_event events[] = { event_of("OrderPlaced", number) };
	events[0].event_id = uuid_of(number);
	events[0].metadata = tide_text("{\"m\":1}");
	must(tide_store_append(f->store, APPEND(stream_of("Order", 1), TIDE_ANY, events), NULL,
			       err));
	struct tide_event *event;
	must(tide_store_event(f->store, &events[0].event_id, &event, err));
	return event;
}

static int64_t add(struct fixture *f, const char *projection, unsigned number, const char *message)
{
	bool exists = false;
	struct tide_uuid id = uuid_of(number);
	must(tide_store_event_exists(f->store, &id, &exists, err));
	struct tide_event *event;
	if (exists)
		must(tide_store_event(f->store, &id, &event, err));
	else
		event = stored(f, number);
	int64_t entry = 0;
	must(tide_dead_letters_add(f->checkpoints, projection, event, message, NULL, 5, &entry,
				   err));
	tide_free(event);
	return entry;
}

static struct tide_dead_letter_list list(struct fixture *f, struct tide_dead_letter_query query)
{
	struct tide_dead_letter_list found = { 0 };
	must(tide_dead_letters_list(f->checkpoints, &query, &found, err));
	return found;
}

static struct tide_dead_letter_list get(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list found = { 0 };
	must(tide_dead_letters_get(f->checkpoints, id, &found, err));
	assert_int_equal(found.count, 1);
	assert_int_equal(found.entries[0].id, id);
	return found;
}

static enum tide_dead_letter_status status_of(struct fixture *f, int64_t id)
{
	struct tide_dead_letter_list found = get(f, id);
	enum tide_dead_letter_status status = found.entries[0].status;
	tide_dead_letters_free(&found);
	return status;
}

/* Let the clock pass, so that the next instant is a later one. */
static void let_time_pass(void)
{
	struct tide_time now = tide_time_now();
	wait_for(5, tide_time_now().unix_us > now.unix_us + 1000);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

static void added_entry_has_every_column(struct fixture *f)
{
	int64_t before = tide_time_now().unix_us - 2000000;
	struct tide_event *event = stored(f, 1);
	int64_t id = 0;
	must(tide_dead_letters_add(f->checkpoints, "orders", event, "it broke", "at line 3", 5, &id,
				   err));
	struct tide_dead_letter_list found = get(f, id);
	const struct tide_dead_letter *entry = &found.entries[0];
	assert_true(tide_uuid_equal(&entry->event_id, &event->event_id));
	assert_string_equal(entry->projection_name, "orders");
	assert_string_equal(entry->event_type, "OrderPlaced");
	assert_string_equal(entry->error_message, "it broke");
	assert_string_equal(entry->error_stacktrace, "at line 3");
	assert_int_equal(entry->retry_count, 5);
	assert_int_equal(entry->status, TIDE_DEAD_LETTER_FAILED);
	assert_in_range(entry->first_failed_at.unix_us, before, tide_time_now().unix_us + 2000000);
	assert_int_equal(entry->first_failed_at.unix_us, entry->last_failed_at.unix_us);
	assert_false(entry->is_resolved);
	assert_null(entry->resolved_by);
	char *json;
	must(tide_event_to_json(event, &json, err));
	same_json(tide_text(entry->event_data), json);
	tide_free(json);
	tide_dead_letters_free(&found);
	tide_free(event);
}

static void entry_without_a_trace_has_none(struct fixture *f)
{
	int64_t id = add(f, "orders", 1, "it broke");
	struct tide_dead_letter_list found = get(f, id);
	assert_null(found.entries[0].error_stacktrace);
	tide_dead_letters_free(&found);
}

static void adding_again_refreshes_the_entry(struct fixture *f)
{
	int64_t id = add(f, "orders", 1, "first");
	struct tide_dead_letter_list before = get(f, id);
	must(tide_dead_letters_resolve(f->checkpoints, id, "me", err));
	let_time_pass();
	struct tide_event *event;
	struct tide_uuid event_id = uuid_of(1);
	must(tide_store_event(f->store, &event_id, &event, err));
	int64_t again = 0;
	must(tide_dead_letters_add(f->checkpoints, "orders", event, "second", "trace", 2, &again,
				   err));
	tide_free(event);
	assert_int_equal(again, id);
	struct tide_dead_letter_list after = get(f, id);
	assert_string_equal(after.entries[0].error_message, "second");
	assert_string_equal(after.entries[0].error_stacktrace, "trace");
	assert_int_equal(after.entries[0].retry_count, 2);
	assert_int_equal(after.entries[0].status, TIDE_DEAD_LETTER_FAILED);
	assert_false(after.entries[0].is_resolved);
	assert_null(after.entries[0].resolved_by);
	assert_int_equal(after.entries[0].first_failed_at.unix_us,
			 before.entries[0].first_failed_at.unix_us);
	assert_true(after.entries[0].last_failed_at.unix_us >
		    before.entries[0].last_failed_at.unix_us);
	tide_dead_letters_free(&before);
	tide_dead_letters_free(&after);
}

static void two_projections_have_an_entry_each(struct fixture *f)
{
	int64_t one = add(f, "orders", 1, "a"), two = add(f, "Orders", 1, "b");
	assert_true(one != two);
	must(tide_dead_letters_resolve(f->checkpoints, one, "me", err));
	assert_int_equal(status_of(f, two), TIDE_DEAD_LETTER_FAILED);
}

static void message_of_any_text_is_kept(struct fixture *f)
{
	const char *message = "Zoë said: \"no\"\n'; DROP TABLE events; --\t\x7f";
	int64_t id = add(f, "orders", 1, message);
	struct tide_dead_letter_list found = get(f, id);
	assert_string_equal(found.entries[0].error_message, message);
	tide_dead_letters_free(&found);
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* One condition has one text, whatever keeps the rows. */
static void same_condition_has_the_same_words(struct fixture *f)
{
	struct tide_dead_letter_list found;
	struct tide_checkpoint row;
	struct tide_event *event;
	struct tide_uuid nowhere = uuid_of(7);
	int64_t id = add(f, "orders", 1, "it broke");
	char text[80];
	assert_string_equal(
		refused(TIDE_NOT_FOUND, tide_dead_letters_get(f->checkpoints, 12345, &found, err))
			.message,
		"dead letter 12345 does not exist");
	assert_string_equal(
		refused(TIDE_NOT_FOUND, tide_dead_letters_discard(f->checkpoints, 12345, err))
			.message,
		"dead letter 12345 does not exist");
	must(tide_dead_letters_resolve(f->checkpoints, id, "me", err));
	snprintf(text, sizeof text, "dead letter %lld is resolved", (long long)id);
	assert_string_equal(
		refused(TIDE_STATE, tide_dead_letters_resolve(f->checkpoints, id, "me", err))
			.message,
		text);
	assert_string_equal(
		refused(TIDE_STATE, tide_dead_letters_retry(f->checkpoints, id, err)).message,
		text);
	assert_string_equal(
		refused(TIDE_STATE, tide_dead_letters_discard(f->checkpoints, id, err)).message,
		text);
	assert_string_equal(
		refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "nobody", &row, err))
			.message,
		"'nobody' has no checkpoint");
	assert_string_equal(
		refused(TIDE_NOT_FOUND, tide_store_event(f->store, &nowhere, &event, err)).message,
		"event '4b3defb1-8fae-5489-a954-be9fe8cec3c7' is not stored");
}

/* ---- Listing --------------------------------------------------------------------------------- */

static void entries_are_listed_newest_first_failure_first(struct fixture *f)
{
	int64_t ids[4];
	for (unsigned i = 0; i < 4; i++) {
		ids[i] = add(f, "orders", 1 + i, "broke");
		if (i % 2)
			let_time_pass();
	}
	add(f, "orders", 1, "broke again"); /* does not move it: first_failed_at stays */
	struct tide_dead_letter_list found = list(f, (struct tide_dead_letter_query){ 0 });
	assert_int_equal(found.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(found.entries[i].id, ids[3 - i]);
	tide_dead_letters_free(&found);
}

static void list_keeps_to_projection_status_and_limit(struct fixture *f)
{
	int64_t failed = add(f, "orders", 1, "x"), retrying = add(f, "orders", 2, "x"),
		done = add(f, "orders", 3, "x");
	int64_t other = add(f, "invoices", 1, "x");
	must(tide_dead_letters_retry(f->checkpoints, retrying, err));
	must(tide_dead_letters_resolve(f->checkpoints, done, "me", err));
	const struct {
		struct tide_dead_letter_query query;
		size_t count;
		int64_t first;
	} rows[] = {
		{ { 0 }, 2, other },
		{ { .projection_name = "orders" }, 1, failed },
		{ { .projection_name = "order" }, 0, 0 },
		{ { .projection_name = "orders", .status = TIDE_DEAD_LETTER_RETRYING },
		  1,
		  retrying },
		{ { .status = TIDE_DEAD_LETTER_RESOLVED }, 1, done },
		{ { .projection_name = "orders", .any_status = true }, 3, done },
		{ { .any_status = true, .limit = tide_bound(2) }, 2, other },
		{ { .any_status = true, .limit = tide_bound(0) }, 0, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tide_dead_letter_list found = list(f, rows[i].query);
		assert_int_equal(found.count, rows[i].count);
		if (rows[i].first)
			assert_int_equal(found.entries[0].id, rows[i].first);
		tide_dead_letters_free(&found);
	}
}

static void list_without_a_limit_has_at_most_100_entries(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 105);
	SEEN all = see(f->store, NULL);
	for (size_t i = 0; i < all.count; i++) {
		int64_t id;
		must(tide_dead_letters_add(f->checkpoints, "orders", all.events[i], "x", NULL, 0,
					   &id, err));
	}
	struct tide_dead_letter_list found = list(f, (struct tide_dead_letter_query){ 0 });
	assert_int_equal(found.count, 100);
	tide_dead_letters_free(&found);
	found = list(f, (struct tide_dead_letter_query){ .limit = tide_bound(1000) });
	assert_int_equal(found.count, 105);
	tide_dead_letters_free(&found);
}

static void unknown_entry_is_not_found(struct fixture *f)
{
	int64_t known = add(f, "orders", 1, "x");
	struct tide_dead_letter_list found = { 0 };
	const int64_t unknown[] = { known + 1, 0, -1, INT64_MAX };
	for (size_t i = 0; i < 4; i++) {
		refused(TIDE_NOT_FOUND,
			tide_dead_letters_get(f->checkpoints, unknown[i], &found, err));
		refused(TIDE_NOT_FOUND, tide_dead_letters_retry(f->checkpoints, unknown[i], err));
		refused(TIDE_NOT_FOUND,
			tide_dead_letters_resolve(f->checkpoints, unknown[i], "me", err));
		refused(TIDE_NOT_FOUND, tide_dead_letters_discard(f->checkpoints, unknown[i], err));
	}
	assert_int_equal(found.count, 0);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static void only_a_failed_entry_can_be_marked_retrying(struct fixture *f)
{
	int64_t id = add(f, "orders", 1, "x");
	must(tide_dead_letters_retry(f->checkpoints, id, err));
	assert_int_equal(status_of(f, id), TIDE_DEAD_LETTER_RETRYING);
	refused(TIDE_STATE, tide_dead_letters_retry(f->checkpoints, id, err));
	must(tide_dead_letters_resolve(f->checkpoints, id, "me", err));
	refused(TIDE_STATE, tide_dead_letters_retry(f->checkpoints, id, err));
	struct tide_dead_letter_list found = get(f, id);
	assert_int_equal(found.entries[0].retry_count, 5);
	assert_string_equal(found.entries[0].error_message, "x");
	tide_dead_letters_free(&found);
}

static void resolved_entry_says_when_and_by_whom(struct fixture *f)
{
	int64_t id = add(f, "orders", 1, "x"), retrying = add(f, "orders", 2, "x");
	must(tide_dead_letters_retry(f->checkpoints, retrying, err));
	must(tide_dead_letters_resolve(f->checkpoints, retrying, "cron", err));
	int64_t before = tide_time_now().unix_us - 2000000;
	must(tide_dead_letters_resolve(f->checkpoints, id, "Zoë", err));
	struct tide_dead_letter_list found = get(f, id);
	assert_int_equal(found.entries[0].status, TIDE_DEAD_LETTER_RESOLVED);
	assert_true(found.entries[0].is_resolved);
	assert_string_equal(found.entries[0].resolved_by, "Zoë");
	assert_in_range(found.entries[0].resolved_at.unix_us, before,
			tide_time_now().unix_us + 2000000);
	tide_dead_letters_free(&found);
	refused(TIDE_STATE, tide_dead_letters_resolve(f->checkpoints, id, "again", err));
}

static void resolver_is_named_by_1_to_255_bytes(struct fixture *f)
{
	int64_t id = add(f, "orders", 1, "x");
	char name[257];
	memset(name, 'n', 256);
	name[256] = '\0';
	refused(TIDE_ARGUMENT, tide_dead_letters_resolve(f->checkpoints, id, "", err));
	refused(TIDE_ARGUMENT, tide_dead_letters_resolve(f->checkpoints, id, name, err));
	refused(TIDE_ARGUMENT, tide_dead_letters_resolve(f->checkpoints, id, NULL, err));
	assert_int_equal(status_of(f, id), TIDE_DEAD_LETTER_FAILED);
	must(tide_dead_letters_resolve(f->checkpoints, id, name + 1, err));
}

static void discard_deletes_what_is_unresolved(struct fixture *f)
{
	int64_t failed = add(f, "orders", 1, "x"), retrying = add(f, "orders", 2, "x"),
		done = add(f, "orders", 3, "x");
	must(tide_dead_letters_retry(f->checkpoints, retrying, err));
	must(tide_dead_letters_resolve(f->checkpoints, done, "me", err));
	must(tide_dead_letters_discard(f->checkpoints, failed, err));
	must(tide_dead_letters_discard(f->checkpoints, retrying, err));
	refused(TIDE_STATE, tide_dead_letters_discard(f->checkpoints, done, err));
	struct tide_dead_letter_list found =
		list(f, (struct tide_dead_letter_query){ .any_status = true });
	assert_int_equal(found.count, 1);
	tide_dead_letters_free(&found);
	int64_t again = add(f, "orders", 1, "new");
	assert_true(again > 0);
	found = get(f, again);
	assert_string_equal(found.entries[0].error_message, "new");
	tide_dead_letters_free(&found);
}

static void purge_deletes_what_was_resolved_before(struct fixture *f)
{
	int64_t failed = add(f, "orders", 1, "x"), done = add(f, "orders", 2, "x"), removed = -1;
	must(tide_dead_letters_resolve(f->checkpoints, done, "me", err));
	refused(TIDE_ARGUMENT, tide_dead_letters_purge(f->checkpoints, -1, &removed, err));
	must(tide_dead_letters_purge(f->checkpoints, 1, &removed, err));
	assert_int_equal(removed, 0);
	let_time_pass();
	must(tide_dead_letters_purge(f->checkpoints, 0, &removed, err));
	assert_int_equal(removed, 1);
	must(tide_dead_letters_purge(f->checkpoints, 0, &removed, err));
	assert_int_equal(removed, 0);
	assert_int_equal(status_of(f, failed), TIDE_DEAD_LETTER_FAILED);
	struct tide_dead_letter_list found = { 0 };
	refused(TIDE_NOT_FOUND, tide_dead_letters_get(f->checkpoints, done, &found, err));
}

/* The backend is asked itself: nobody else can name the very instant. */
static void purge_keeps_what_was_resolved_at_its_instant(struct fixture *f)
{
	const struct tide_store *store = f->store;
	struct tide_dead_letter_change change = {
		.id = add(f, "orders", 1, "x"),
		.from = { [TIDE_DEAD_LETTER_FAILED] = true },
		.to = TIDE_DEAD_LETTER_RESOLVED,
		.resolved_by = "me",
		.now = { INT64_C(1700000000123456) },
	};
	const struct tide_checkpoint_ops *ops = &store->backend->checkpoint;
	int64_t removed = -1;
	void *session;
	must(store->backend->store.session_open(store->state, &session, err));
	must(ops->dead_letter_change(session, NULL, &change, err));
	must(ops->dead_letter_purge(session, change.now, &removed, err));
	assert_int_equal(removed, 0);
	struct tide_time later = { change.now.unix_us + 1 };
	must(ops->dead_letter_purge(session, later, &removed, err));
	assert_int_equal(removed, 1);
	store->backend->store.session_close(session);
}

/* As a run does that holds an aggregate: behind the event that failed. */
static int64_t park(struct fixture *f, unsigned number, unsigned behind)
{
	const struct tide_store *store = f->store;
	const struct tide_checkpoint_ops *ops = &store->backend->checkpoint;
	char id[TIDE_UUID_TEXT_SIZE];
	struct tide_uuid head = uuid_of(behind);
	struct tide_dead_letter_write write = { .projection_name = "orders",
						.event_id = uuid_of(number),
						.event_type = "OrderPlaced",
						.event_data = "{}",
						.message = "parked",
						.now = tide_time_now(),
						.parked_behind = tide_uuid_format(&head, id) };
	int64_t entry = 0;
	void *session;
	must(store->backend->store.session_open(store->state, &session, err));
	must(ops->dead_letter_add(session, NULL, &write, &entry, err));
	store->backend->store.session_close(session);
	return entry;
}

/* Whoever takes the head away says so: nobody may be running who would find them. */
static void what_is_parked_becomes_due_with_the_end_of_its_head(struct fixture *f)
{
	for (unsigned number = 1; number <= 11; number += 10) {
		int64_t head = add(f, "orders", number, "it broke");
		int64_t first = park(f, number + 1, number), second = park(f, number + 2, number);
		int64_t others = park(f, number + 3, 100);
		refused(TIDE_STATE, tide_dead_letters_retry(f->checkpoints, first, err));
		if (number == 1)
			must(tide_dead_letters_resolve(f->checkpoints, head, "me", err));
		else
			must(tide_dead_letters_discard(f->checkpoints, head, err));
		assert_int_equal(status_of(f, first), TIDE_DEAD_LETTER_RETRYING);
		assert_int_equal(status_of(f, second), TIDE_DEAD_LETTER_RETRYING);
		assert_int_equal(status_of(f, others), TIDE_DEAD_LETTER_FAILED);
	}
}

/* ---- Counting -------------------------------------------------------------------------------- */

static void stats_total_what_is_unresolved(struct fixture *f)
{
	struct tide_dead_letter_stats stats;
	must(tide_dead_letters_stats(f->checkpoints, &stats, err));
	assert_int_equal(stats.total_failed + stats.total_retrying + stats.affected_projections, 0);
	assert_false(stats.has_oldest_failure);
	int64_t done = add(f, "early", 1, "x");
	let_time_pass();
	int64_t oldest = add(f, "orders", 2, "x");
	let_time_pass();
	int64_t retrying = add(f, "orders", 3, "x");
	add(f, "invoices", 4, "x");
	must(tide_dead_letters_resolve(f->checkpoints, done, "me", err));
	must(tide_dead_letters_retry(f->checkpoints, retrying, err));
	must(tide_dead_letters_stats(f->checkpoints, &stats, err));
	assert_int_equal(stats.total_failed, 2);
	assert_int_equal(stats.total_retrying, 1);
	assert_int_equal(stats.affected_projections, 2);
	assert_true(stats.has_oldest_failure);
	struct tide_dead_letter_list found = get(f, oldest);
	assert_int_equal(stats.oldest_failure.unix_us, found.entries[0].first_failed_at.unix_us);
	tide_dead_letters_free(&found);
}

static void counts_are_by_projection_the_most_first(struct fixture *f)
{
	int64_t done = add(f, "c", 1, "x");
	int64_t oldest = add(f, "b", 2, "x");
	let_time_pass();
	add(f, "b", 3, "x");
	add(f, "z", 4, "x");
	add(f, "Z", 5, "x");
	let_time_pass();
	add(f, "b", 2, "again");
	must(tide_dead_letters_resolve(f->checkpoints, done, "me", err));
	struct tide_dead_letter_count *counts;
	size_t count;
	must(tide_dead_letters_counts(f->checkpoints, &counts, &count, err));
	assert_int_equal(count, 3);
	assert_string_equal(counts[0].projection_name, "b");
	assert_int_equal(counts[0].failure_count, 2);
	assert_string_equal(counts[1].projection_name, "Z");
	assert_string_equal(counts[2].projection_name, "z");
	struct tide_dead_letter_list found = get(f, oldest);
	assert_int_equal(counts[0].oldest_failure.unix_us,
			 found.entries[0].first_failed_at.unix_us);
	assert_int_equal(counts[0].most_recent_failure.unix_us,
			 found.entries[0].last_failed_at.unix_us);
	tide_dead_letters_free(&found);
	tide_free(counts);
}

/* In the order of their ids, a page at a time, whatever becomes of the entries between two
 * pages. */
static void entries_are_paged_oldest_first(struct fixture *f)
{
	int64_t ids[5];
	for (int i = 0; i < 5; i++)
		ids[i] = add(f, i == 3 ? "others" : "orders", i + 1, "it broke");
	struct tide_dead_letter_query query = { .projection_name = "orders",
						.any_status = true,
						.limit = tide_bound(2),
						.oldest_first = true };
	struct tide_dead_letter_list found = list(f, query);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.entries[0].id, ids[0]);
	assert_int_equal(found.entries[1].id, ids[1]);
	tide_dead_letters_free(&found);
	must(tide_dead_letters_discard(f->checkpoints, ids[1], err));
	query.after_id = ids[1];
	found = list(f, query);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.entries[0].id, ids[2]);
	assert_int_equal(found.entries[1].id, ids[4]);
	tide_dead_letters_free(&found);
	query.after_id = ids[4];
	found = list(f, query);
	assert_int_equal(found.count, 0);
	tide_dead_letters_free(&found);
}

static void cleared_store_has_no_entries_and_snapshots_left(struct fixture *f)
{
	struct tide_snapshot snapshot = { .stream = stream_of("Order", 1),
					  .version = 1,
					  .schema_version = 1,
					  .state = tide_text("{}") };
	add(f, "p", 1, "no");
	must(tide_store_snapshot_save(f->store, &snapshot, err));
	if (!f->quirks->has_clear)
		return;
	must(tide_store_clear(f->store, err));
	refused(TIDE_NOT_FOUND,
		tide_store_snapshot_load(f->store, snapshot.stream, &snapshot, err));
	struct tide_dead_letter_list left = list(f, (struct tide_dead_letter_query){ 0 });
	assert_int_equal(left.count, 0);
	tide_dead_letters_free(&left);
}

const struct test_case dead_letter_cases[] = {
	CASE(same_condition_has_the_same_words),
	CASE(added_entry_has_every_column),
	CASE(entry_without_a_trace_has_none),
	CASE(adding_again_refreshes_the_entry),
	CASE(two_projections_have_an_entry_each),
	CASE(message_of_any_text_is_kept),
	CASE(entries_are_listed_newest_first_failure_first),
	CASE(list_keeps_to_projection_status_and_limit),
	CASE(entries_are_paged_oldest_first),
	CASE(list_without_a_limit_has_at_most_100_entries),
	CASE(unknown_entry_is_not_found),
	CASE(only_a_failed_entry_can_be_marked_retrying),
	CASE(resolved_entry_says_when_and_by_whom),
	CASE(resolver_is_named_by_1_to_255_bytes),
	CASE(discard_deletes_what_is_unresolved),
	CASE(purge_deletes_what_was_resolved_before),
	CASE(purge_keeps_what_was_resolved_at_its_instant),
	CASE(what_is_parked_becomes_due_with_the_end_of_its_head),
	CASE(stats_total_what_is_unresolved),
	CASE(counts_are_by_projection_the_most_first),
	CASE(cleared_store_has_no_entries_and_snapshots_left),
	CASES_END,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <string.h>

#include "conformance/cases.h"
#include "lib/wait.h"

static void save(struct fixture *f, const char *name, tide_position position, unsigned event,
		 int64_t count)
{
	struct tide_uuid id = uuid_of(event);
	struct tide_progress progress = { .position = position, .count = count };
	if (event) {
		progress.event_id = &id;
		progress.event_type = "OrderPlaced";
	}
	must(tide_checkpoints_save(f->checkpoints, name, &progress, err));
}

static struct tide_checkpoint load(struct fixture *f, const char *name)
{
	struct tide_checkpoint row;
	must(tide_checkpoints_load(f->checkpoints, name, &row, err));
	return row;
}

/* Something of the clock must pass so that a later instant is greater. */
static void let_time_pass(void)
{
	struct tide_time now = tide_time_now();
	wait_for(5, tide_time_now().unix_us > now.unix_us + 1000);
}

static void absent_checkpoint_is_not_found(struct fixture *f)
{
	struct tide_checkpoint row;
	struct tide_uuid id;
	tide_position position;
	struct tide_error why =
		refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "nobody", &row, err));
	must_mention(&why, "nobody");
	refused(TIDE_NOT_FOUND, tide_checkpoints_get(f->checkpoints, "nobody", &id, err));
	refused(TIDE_NOT_FOUND,
		tide_checkpoints_position(f->checkpoints, "nobody", &position, err));
}

static void saved_position_is_read_back(struct fixture *f)
{
	int64_t before = tide_time_now().unix_us;
	save(f, "orders", 42, 7, 3);
	tide_position position = 0;
	struct tide_uuid id, wanted = uuid_of(7);
	must(tide_checkpoints_position(f->checkpoints, "orders", &position, err));
	must(tide_checkpoints_get(f->checkpoints, "orders", &id, err));
	assert_int_equal(position, 42);
	assert_true(tide_uuid_equal(&id, &wanted));
	struct tide_checkpoint row = load(f, "orders");
	assert_string_equal(row.projection_name, "orders");
	assert_string_equal(row.last_event_type, "OrderPlaced");
	assert_true(tide_uuid_equal(&row.last_event_id, &wanted));
	assert_true(row.has_position);
	assert_int_equal(row.position, 42);
	assert_int_equal(row.events_processed, 3);
	assert_true(row.has_last_processed_at);
	int64_t slack = 2000000;
	assert_in_range(row.last_processed_at.unix_us, before - slack,
			tide_time_now().unix_us + slack);
	assert_in_range(row.created_at.unix_us, before - slack, tide_time_now().unix_us + slack);
	assert_in_range(row.updated_at.unix_us, before - slack, tide_time_now().unix_us + slack);
}

static void position_saved_without_an_event_keeps_the_last_one(struct fixture *f)
{
	save(f, "orders", 5, 7, 1);
	struct tide_checkpoint before = load(f, "orders");
	let_time_pass();
	save(f, "orders", 9, 0, 0);
	struct tide_checkpoint after = load(f, "orders");
	assert_int_equal(after.position, 9);
	assert_int_equal(after.events_processed, 1);
	assert_true(tide_uuid_equal(&after.last_event_id, &before.last_event_id));
	assert_string_equal(after.last_event_type, "OrderPlaced");
	assert_int_equal(after.last_processed_at.unix_us, before.last_processed_at.unix_us);
	assert_true(after.updated_at.unix_us >= before.updated_at.unix_us);
	assert_int_equal(after.created_at.unix_us, before.created_at.unix_us);
}

static void first_save_without_an_event_has_none(struct fixture *f)
{
	save(f, "orders", 9, 0, 0);
	struct tide_checkpoint row = load(f, "orders");
	assert_true(tide_uuid_is_nil(&row.last_event_id));
	assert_string_equal(row.last_event_type, "");
	assert_false(row.has_last_processed_at);
	assert_int_equal(row.events_processed, 0);
	struct tide_uuid id;
	refused(TIDE_NOT_FOUND, tide_checkpoints_get(f->checkpoints, "orders", &id, err));
}

static void repeated_save_adds_its_count_again(struct fixture *f)
{
	save(f, "orders", 5, 7, 3);
	struct tide_checkpoint first = load(f, "orders");
	let_time_pass();
	save(f, "orders", 5, 7, 3);
	struct tide_checkpoint second = load(f, "orders");
	assert_int_equal(second.position, 5);
	assert_int_equal(second.events_processed, 6);
	assert_true(second.last_processed_at.unix_us > first.last_processed_at.unix_us);
	assert_int_equal(second.created_at.unix_us, first.created_at.unix_us);
}

static void lower_position_rewinds(struct fixture *f)
{
	save(f, "orders", 50, 7, 1);
	save(f, "orders", 10, 8, 1);
	assert_int_equal(load(f, "orders").position, 10);
	save(f, "orders", 0, 0, 0);
	assert_int_equal(load(f, "orders").position, 0);
	assert_true(load(f, "orders").has_position);
}

static void greatest_position_is_kept_exactly(struct fixture *f)
{
	save(f, "orders", INT64_MAX, 7, 1);
	assert_true(load(f, "orders").position == INT64_MAX);
}

static void update_counts_one_event_and_leaves_the_position(struct fixture *f)
{
	struct tide_uuid id = uuid_of(7), other = uuid_of(8);
	must(tide_checkpoints_update(f->checkpoints, "orders", &id, "OrderPlaced", err));
	struct tide_checkpoint row = load(f, "orders");
	assert_false(row.has_position);
	assert_int_equal(row.events_processed, 1);
	assert_true(row.has_last_processed_at);
	tide_position position;
	refused(TIDE_NOT_FOUND,
		tide_checkpoints_position(f->checkpoints, "orders", &position, err));
	save(f, "orders", 12, 0, 0);
	must(tide_checkpoints_update(f->checkpoints, "orders", &other, "OrderPaid", err));
	row = load(f, "orders");
	assert_int_equal(row.position, 12);
	assert_int_equal(row.events_processed, 2);
	assert_true(tide_uuid_equal(&row.last_event_id, &other));
	assert_string_equal(row.last_event_type, "OrderPaid");
}

static void reset_deletes_the_row_of_this_name_only(struct fixture *f)
{
	save(f, "orders", 5, 7, 1);
	save(f, "orders2", 6, 7, 1);
	save(f, "Orders", 7, 7, 1);
	must(tide_checkpoints_reset(f->checkpoints, "orders", err));
	must(tide_checkpoints_reset(f->checkpoints, "orders", err));
	must(tide_checkpoints_reset(f->checkpoints, "never", err));
	struct tide_checkpoint row;
	refused(TIDE_NOT_FOUND, tide_checkpoints_load(f->checkpoints, "orders", &row, err));
	assert_int_equal(load(f, "orders2").position, 6);
	assert_int_equal(load(f, "Orders").position, 7);
	save(f, "orders", 1, 7, 1);
	assert_int_equal(load(f, "orders").events_processed, 1);
}

static void checkpoints_are_listed_sorted_bytewise(struct fixture *f)
{
	static const char *const names[] = { "b", "a", "Z", "été", "a b", "aa", "~", "_", "日本" };
	static const char *const sorted[] = { "Z", "_", "a", "a b", "aa", "b", "~", "été", "日本" };
	for (size_t i = 0; i < 9; i++)
		save(f, names[i], (int64_t)i, 7, 1);
	struct tide_checkpoint *rows;
	size_t count;
	must(tide_checkpoints_list(f->checkpoints, &rows, &count, err));
	assert_int_equal(count, 9);
	for (size_t i = 0; i < 9; i++)
		assert_string_equal(rows[i].projection_name, sorted[i]);
	tide_free(rows);
}

static void list_without_rows_is_empty(struct fixture *f)
{
	struct tide_checkpoint *rows = NULL;
	size_t count = 9;
	must(tide_checkpoints_list(f->checkpoints, &rows, &count, err));
	assert_int_equal(count, 0);
	tide_free(rows);
}

static void name_of_255_bytes_is_kept(struct fixture *f)
{
	char name[256];
	memset(name, 'p', 255);
	name[255] = '\0';
	save(f, name, 5, 7, 1);
	assert_string_equal(load(f, name).projection_name, name);
	assert_int_equal(load(f, name).position, 5);
}

static void checkpoint_is_there_after_opening_again_if_durable(struct fixture *f)
{
	save(f, "orders", 5, 7, 2);
	fixture_reopen(f);
	tide_position position = 0;
	if (f->quirks->is_durable) {
		must(tide_checkpoints_position(f->checkpoints, "orders", &position, err));
		assert_int_equal(position, 5);
	} else {
		refused(TIDE_NOT_FOUND,
			tide_checkpoints_position(f->checkpoints, "orders", &position, err));
	}
}

/** Threads that save one row each, and one row together. */
struct savers {
	struct tide_checkpoints *checkpoints;
	atomic_int wrong;
};

static void savers_run(void *self, size_t index)
{
	struct savers *savers = self;
	const char *const names[] = { "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7" };
	struct tide_uuid id = uuid_of(7);
	for (int i = 1; i <= 25; i++) {
		struct tide_progress progress = {
			.position = i, .event_id = &id, .event_type = "A", .count = 1
		};
		if (tide_checkpoints_save(savers->checkpoints, names[index], &progress, NULL) !=
			    TIDE_OK ||
		    tide_checkpoints_update(savers->checkpoints, "together", &id, "A", NULL) !=
			    TIDE_OK)
			atomic_fetch_add(&savers->wrong, 1);
	}
}

static void saves_of_many_threads_are_all_counted(struct fixture *f)
{
	struct savers savers = { .checkpoints = f->checkpoints };
	race_to(8, savers_run, &savers);
	assert_int_equal(savers.wrong, 0);
	assert_int_equal(load(f, "together").events_processed, 200);
	assert_int_equal(load(f, "p3").events_processed, 25);
	assert_int_equal(load(f, "p7").position, 25);
}

static void checkpoints_may_live_in_another_database(struct fixture *f)
{
	append_many(f->store, stream_of("Order", 1), 0, 5);
	struct tide_checkpoints *elsewhere;
	must(tide_checkpoints_open("sqlite::memory:", TIDE_STORE_OPTIONS(.initialize = true),
				   f->store, &elsewhere, err));
	must(tide_checkpoints_save(elsewhere, "orders", &(struct tide_progress){ .position = 2 },
				   err));
	tide_position position;
	refused(TIDE_NOT_FOUND,
		tide_checkpoints_position(f->checkpoints, "orders", &position, err));
	struct tide_lag lag;
	must(tide_checkpoints_lag(elsewhere, "orders", NULL, &lag, err));
	assert_int_equal(lag.lag_events, 3);
	tide_checkpoints_close(elsewhere);
}

static void nobody_owns_a_name_without_a_subscription(struct fixture *f)
{
	bool is_owned = true;
	must(tide_checkpoints_is_owned(f->checkpoints, "orders", &is_owned, err));
	assert_false(is_owned);
}

const struct test_case checkpoint_cases[] = {
	CASE(absent_checkpoint_is_not_found),
	CASE(saved_position_is_read_back),
	CASE(position_saved_without_an_event_keeps_the_last_one),
	CASE(first_save_without_an_event_has_none),
	CASE(repeated_save_adds_its_count_again),
	CASE(lower_position_rewinds),
	CASE(greatest_position_is_kept_exactly),
	CASE(update_counts_one_event_and_leaves_the_position),
	CASE(reset_deletes_the_row_of_this_name_only),
	CASE(checkpoints_are_listed_sorted_bytewise),
	CASE(list_without_rows_is_empty),
	CASE(name_of_255_bytes_is_kept),
	CASE(checkpoint_is_there_after_opening_again_if_durable),
	CASE(saves_of_many_threads_are_all_counted),
	CASE(checkpoints_may_live_in_another_database),
	CASE(nobody_owns_a_name_without_a_subscription),
	CASES_END,
};

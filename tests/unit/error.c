/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "core/status.h"
#include "core/text.h"
#include "policy/errors.h"
#include "sys/alloc.h"

static void every_status_has_a_name_that_leads_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TIDE_STATUS_COUNT; i++) {
		tide_status found = TIDE_STATUS_COUNT;
		assert_int_equal(tide_status_from_name(tide_status_name((tide_status)i), &found),
				 TIDE_OK);
		assert_int_equal(found, i);
	}
	assert_string_equal(tide_status_name(TIDE_CONFLICT), "conflict");
	assert_string_equal(tide_status_name((tide_status)-1), "internal");
	assert_string_equal(tide_status_name(TIDE_STATUS_COUNT), "internal");
}

static void an_unknown_name_is_not_found_and_leaves_the_output(void **state)
{
	(void)state;
	tide_status found = TIDE_BUSY;
	assert_int_equal(tide_status_from_name("Conflict", &found), TIDE_NOT_FOUND);
	assert_int_equal(tide_status_from_name("", &found), TIDE_NOT_FOUND);
	assert_int_equal(tide_status_from_name(NULL, &found), TIDE_NOT_FOUND);
	assert_int_equal(found, TIDE_BUSY);
}

static void retryable_statuses_are_the_transient_ones(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TIDE_STATUS_COUNT; i++) {
		const struct status_info *info = status_info((tide_status)i);
		assert_int_equal(info->is_retryable, info->category == TIDE_CATEGORY_TRANSIENT);
		assert_false(info->is_retryable && info->retry == TIDE_RETRY_NEVER);
	}
}

static void categories_and_severities_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(tide_category_name(TIDE_CATEGORY_TRANSIENT), "transient");
	assert_string_equal(tide_category_name(TIDE_CATEGORY_PERMANENT), "permanent");
	assert_string_equal(tide_category_name(TIDE_CATEGORY_INFRASTRUCTURE), "infrastructure");
	assert_string_equal(tide_category_name(TIDE_CATEGORY_APPLICATION), "application");
	assert_string_equal(tide_category_name(TIDE_CATEGORY_UNKNOWN), "unknown");
	assert_string_equal(tide_severity_name(TIDE_SEVERITY_LOW), "low");
	assert_string_equal(tide_severity_name(TIDE_SEVERITY_CRITICAL), "critical");
}

static void fail_fills_everything_and_returns_the_status(void **state)
{
	(void)state;
	struct tide_error err = { .native = 5 };
	assert_fails(tide_fail(&err, TIDE_CONNECTION_LOST, "gone after %d", 3),
		     TIDE_CONNECTION_LOST, &err, "gone after 3");
	assert_int_equal(err.retry, TIDE_RETRY_REOPEN);
	assert_int_equal(err.native, 0);
	assert_int_equal(tide_fail(NULL, TIDE_BUSY, "nobody listens"), TIDE_BUSY);
}

static void fail_can_use_the_message_it_replaces(void **state)
{
	(void)state;
	struct tide_error err;
	tide_fail(&err, TIDE_BUSY, "locked");
	assert_fails(tide_fail(&err, TIDE_BUSY, "%s (after %d attempts)", err.message, 3),
		     TIDE_BUSY, &err, "locked (after 3 attempts)");
}

static void a_long_message_is_cut_at_a_character(void **state)
{
	(void)state;
	for (int lead = 0; lead < 5; lead++) {
		char text[1024];
		memset(text, 'x', (size_t)lead);
		for (size_t i = (size_t)lead; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[sizeof text - 8] = '\0';
		struct tide_error err;
		tide_fail(&err, TIDE_INTERNAL, "%s", text);
		size_t size = strlen(err.message);
		assert_in_range(size, sizeof err.message - 4, sizeof err.message - 1);
		assert_true(utf8_is_valid(err.message, size));
		assert_int_equal((size - (size_t)lead) % 3, 0);
	}
}

static void a_message_is_one_line_of_utf8_whatever_is_in_it(void **state)
{
	(void)state;
	struct tide_error err;
	assert_fails(tide_fail(&err, TIDE_ARGUMENT, "'a\nb\tc\xff\xc3\xa9\xc2\x85'"), TIDE_ARGUMENT,
		     &err, "'a b c?\xc3\xa9  '");
}

/* ---- What is counted of them ----------------------------------------------------------------- */

static void count_one(struct error_log *log, tide_status type, int64_t at, bool is_retried)
{
	bool is_transient = type == TIDE_BUSY;
	const struct tide_error_record record = {
		.event_type = "OrderPlaced",
		.error_type = type,
		.error_message = "busy",
		.timestamp = { at },
		.sent_to_dlq = !is_retried,
		.classification.category =
			is_transient ? TIDE_CATEGORY_TRANSIENT : TIDE_CATEGORY_PERMANENT,
	};
	error_log_add(log, &record, is_retried, (struct mono_time){ 0 });
}

/* Each is counted once, and the first and the last of them keep their times. */
static void errors_are_counted_between_the_first_and_the_last(void **state)
{
	(void)state;
	struct error_log log;
	error_log_init(&log, 10);
	assert_false(log.stats.has_errors);
	count_one(&log, TIDE_BUSY, 100, true);
	count_one(&log, TIDE_BUSY, 200, true);
	count_one(&log, TIDE_SCHEMA, 300, false);

	struct tide_error_stats stats = error_log_stats(&log, (struct mono_time){ 0 });
	assert_true(stats.has_errors);
	assert_int_equal(stats.first_error_at.unix_us, 100);
	assert_int_equal(stats.last_error_at.unix_us, 300);
	assert_int_equal(stats.total_errors, 3);
	assert_int_equal(stats.transient_errors, 2);
	assert_int_equal(stats.permanent_errors, 1);
	assert_int_equal(stats.retried_errors, 2);
	assert_int_equal(stats.dlq_count, 1);
	assert_int_equal(stats.by_type[TIDE_BUSY], 2);
	assert_int_equal(stats.by_type[TIDE_SCHEMA], 1);
	assert_int_equal(stats.by_category[TIDE_CATEGORY_TRANSIENT], 2);
	assert_int_equal(stats.by_category[TIDE_CATEGORY_PERMANENT], 1);
	error_log_fini(&log);
}

/* Of several lanes, in whatever order: also one that had none. */
static void errors_of_several_are_added_up(void **state)
{
	(void)state;
	const struct tide_error_stats none = { 0 };
	struct error_log early, late;
	struct tide_error_stats sum = { 0 };
	error_log_init(&early, 10);
	error_log_init(&late, 10);
	count_one(&early, TIDE_BUSY, 100, true);
	count_one(&early, TIDE_BUSY, 400, true);
	count_one(&late, TIDE_SCHEMA, 200, false);

	error_stats_add(&sum, &none);
	error_stats_add(&sum, &late.stats);
	error_stats_add(&sum, &early.stats);
	error_stats_add(&sum, &none);
	assert_int_equal(sum.first_error_at.unix_us, 100);
	assert_int_equal(sum.last_error_at.unix_us, 400);
	assert_int_equal(sum.total_errors, 3);
	assert_int_equal(sum.transient_errors, 2);
	assert_int_equal(sum.permanent_errors, 1);
	assert_int_equal(sum.dlq_count, 1);
	assert_int_equal(sum.by_type[TIDE_BUSY], 2);
	error_log_fini(&early);
	error_log_fini(&late);
}

/* ---- The ones that a subscription remembers -------------------------------------------------- */

static void remember(struct error_log *log, tide_position position)
{
	const struct tide_error_record record = { .event_type = "OrderPlaced",
						  .position = position,
						  .error_type = TIDE_BUSY,
						  .error_message = "busy" };
	error_log_add(log, &record, true, (struct mono_time){ 0 });
}

static void are_the_newest(const struct error_log *log, int32_t count, tide_position newest)
{
	assert_int_equal(log->count, count);
	for (int32_t i = 0; i < count; i++)
		assert_int_equal(error_log_recent(log, i)->position, newest - i);
}

static void the_newest_errors_are_remembered_however_many_there_are(void **state)
{
	static const int32_t most[] = { 0, 1, 3, 4, 5, 9, 100 };
	(void)state;
	for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
		struct error_log log;
		error_log_init(&log, most[i]);
		for (int again = 0; again < 2; again++) {
			for (int32_t position = 1; position <= 250; position++) {
				remember(&log, position);
				are_the_newest(&log, position < most[i] ? position : most[i],
					       position);
			}
			error_log_reset(&log);
			assert_int_equal(log.count, 0);
		}
		error_log_fini(&log);
	}
}

static void without_memory_fewer_errors_are_remembered(void **state)
{
	(void)state;
	struct error_log log;
	error_log_init(&log, 100);
	alloc_fail_from(1);
	remember(&log, 1);
	are_the_newest(&log, 0, 0);
	alloc_fail_from(0);
	for (tide_position position = 2; position <= 5; position++)
		remember(&log, position);
	are_the_newest(&log, 4, 5);

	alloc_fail_from(1);
	remember(&log, 6);
	alloc_fail_from(0);
	are_the_newest(&log, 4, 6);
	remember(&log, 7);
	are_the_newest(&log, 4, 7);
	error_log_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_a_name_that_leads_back),
		cmocka_unit_test(an_unknown_name_is_not_found_and_leaves_the_output),
		cmocka_unit_test(retryable_statuses_are_the_transient_ones),
		cmocka_unit_test(categories_and_severities_have_their_names),
		cmocka_unit_test(fail_fills_everything_and_returns_the_status),
		cmocka_unit_test(fail_can_use_the_message_it_replaces),
		cmocka_unit_test(a_long_message_is_cut_at_a_character),
		cmocka_unit_test(a_message_is_one_line_of_utf8_whatever_is_in_it),
		cmocka_unit_test(errors_are_counted_between_the_first_and_the_last),
		cmocka_unit_test(errors_of_several_are_added_up),
		cmocka_unit_test(the_newest_errors_are_remembered_however_many_there_are),
		cmocka_unit_test(without_memory_fewer_errors_are_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

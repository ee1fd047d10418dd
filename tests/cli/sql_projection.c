/* SPDX-License-Identifier: Apache-2.0 */
/* SQL projections as a library sees them: what opening takes and refuses, and that no allocation is
 * missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tidemark/sql_projection.h>

#include "sys/alloc.h"

static const char good[] = "-- init:\n"
			   "CREATE TABLE IF NOT EXISTS seen (id TEXT, type TEXT);\n"
			   "-- on: OrderPlaced, OrderPaid\n"
			   "INSERT INTO seen VALUES (:event_id, :event_type);\n"
			   "DELETE FROM seen WHERE id = '';\n"
			   "-- on: OrderShipped\n"
			   "DELETE FROM seen;\n"
			   "-- reset:\n"
			   "DELETE FROM seen;\n";

static void subscriber_declares_the_types_of_the_file(void **state)
{
	static const char *const types[] = { "OrderPlaced", "OrderPaid", "OrderShipped" };
	struct tide_sql_projection *projection;
	(void)state;
	assert_int_equal(tide_sql_projection_open(TIDE_SQL_PROJECTION(.text = good, .name = "seen"),
						  &projection, NULL),
			 TIDE_OK);
	const struct tide_subscriber *subscriber = tide_sql_projection_subscriber(projection);
	assert_string_equal(subscriber->name, "seen");
	assert_true(subscriber->transactional);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(subscriber->event_types[i], types[i]);
	assert_null(subscriber->event_types[3]);
	tide_sql_projection_close(projection);
}

static void star_declares_every_type(void **state)
{
	struct tide_sql_projection *projection;
	(void)state;
	assert_int_equal(
		tide_sql_projection_open(
			TIDE_SQL_PROJECTION(.text = "-- on: *\nSELECT 1;\n-- on: A\nSELECT 2",
					    .name = "all"),
			&projection, NULL),
		TIDE_OK);
	assert_null(tide_sql_projection_subscriber(projection)->event_types);
	tide_sql_projection_close(projection);
}

static void name_comes_from_the_path(void **state)
{
	static const struct {
		const char *path, *name;
	} cases[] = { { "/a/b.sql", "b" },
		      { "b.sql", "b" },
		      { "b", "b" },
		      { ".sql", ".sql" },
		      { "/a.sql/b.txt", "b.txt" } };
	struct tide_sql_projection *projection;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(tide_sql_projection_open(
					 TIDE_SQL_PROJECTION(.text = good, .path = cases[i].path),
					 &projection, NULL),
				 TIDE_OK);
		assert_string_equal(tide_sql_projection_subscriber(projection)->name,
				    cases[i].name);
		tide_sql_projection_close(projection);
	}
}

static void refusals_leave_the_output_alone(void **state)
{
	static const struct {
		const struct tide_sql_projection_options options;
		tide_status status;
	} cases[] = {
		{ { .text = good }, TIDE_ARGUMENT },
		{ { .path = NULL }, TIDE_ARGUMENT },
		{ { .path = "/nowhere/at-all.sql" }, TIDE_NOT_FOUND },
		{ { .path = "/" }, TIDE_IO },
		{ { .text = good, .name = "x", .url = "memory:" }, TIDE_UNSUPPORTED },
		{ { .text = "-- on: A\nSELEC 1;", .name = "x" }, TIDE_ARGUMENT },
		{ { .text = "-- on: A\nSELECT [x;", .name = "x" }, TIDE_ARGUMENT },
		{ { .text = "-- on: A\nSELECT /* x;", .name = "x" }, TIDE_ARGUMENT },
		{ { .text = "-- on: ,\nSELECT 1;", .name = "x" }, TIDE_ARGUMENT },
		{ { .text = "-- init: now\nSELECT 1;", .name = "x" }, TIDE_ARGUMENT },
	};
	struct tide_sql_projection *const nothing = (struct tide_sql_projection *)&cases,
					  *projection = nothing;
	struct tide_error err;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(&err, 0, sizeof err);
		assert_int_equal(tide_sql_projection_open(&cases[i].options, &projection, &err),
				 cases[i].status);
		assert_int_equal(err.status, cases[i].status);
		assert_ptr_equal(projection, nothing);
		assert_true(err.message[0] != '\0');
	}
}

#ifdef TIDE_HAVE_POSTGRES
/* PostgreSQL's do: there the quote stands in the comment, in SQLite behind it. */
static void comments_nest_where_the_database_nests_them(void **state)
{
	static const char nested[] = "-- on: A\nSELECT 1 /* a /* b */ ' */;\n";
	struct tide_sql_projection *projection;
	struct tide_error err;
	(void)state;
	assert_int_equal(tide_sql_projection_open(TIDE_SQL_PROJECTION(.text = nested, .name = "x"),
						  &projection, &err),
			 TIDE_ARGUMENT);
	assert_int_equal(tide_sql_projection_open(TIDE_SQL_PROJECTION(.text = nested, .name = "x",
								      .url = "postgresql:///x"),
						  &projection, &err),
			 TIDE_OK);
	tide_sql_projection_close(projection);
}
#endif

static void a_store_behind_faults_keeps_its_dialect(void **state)
{
	struct tide_sql_projection *projection;
	(void)state;
	assert_int_equal(tide_sql_projection_open(
				 TIDE_SQL_PROJECTION(.text = good, .name = "x",
						     .url = "fault:after=3/sqlite:orders.db"),
				 &projection, NULL),
			 TIDE_OK);
	tide_sql_projection_close(projection);
}

static void case_is_no_part_of_a_scheme(void **state)
{
	static const char *const urls[] = { "SQLite:a.db", "FAULT:/SQLITE:a.db", "sqlite:a.db" };
	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct tide_sql_projection *projection = NULL;
		assert_int_equal(
			tide_sql_projection_open(
				TIDE_SQL_PROJECTION(.text = good, .name = "x", .url = urls[i]),
				&projection, NULL),
			TIDE_OK);
		tide_sql_projection_close(projection);
	}
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
	struct tide_sql_projection *projection = NULL;
	struct tide_error err;
	(void)state;
	for (int64_t nth = 1;; nth++) {
		alloc_fail_from(nth);
		tide_status status = tide_sql_projection_open(
			TIDE_SQL_PROJECTION(.text = good, .name = "seen"), &projection, &err);
		bool was_reached = alloc_count() >= nth;
		alloc_fail_from(0);
		if (!was_reached) {
			assert_int_equal(status, TIDE_OK);
			break;
		}
		assert_int_equal(status, TIDE_OUT_OF_MEMORY);
		assert_null(projection);
	}
	tide_sql_projection_close(projection);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscriber_declares_the_types_of_the_file),
		cmocka_unit_test(star_declares_every_type),
		cmocka_unit_test(name_comes_from_the_path),
		cmocka_unit_test(refusals_leave_the_output_alone),
#ifdef TIDE_HAVE_POSTGRES
		cmocka_unit_test(comments_nest_where_the_database_nests_them),
#endif
		cmocka_unit_test(a_store_behind_faults_keeps_its_dialect),
		cmocka_unit_test(case_is_no_part_of_a_scheme),
		cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

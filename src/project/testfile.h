/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_TESTFILE_H
#define TIDE_PROJECT_TESTFILE_H

/* A file of cases for a projection: given events, expect rows. */

#include <tidemark/error.h>

/** An event that is given: `Order/name:1 OrderPlaced {"total":5} @2026-01-31T12:00:00Z`. Views into
 * the file's text. */
struct test_given {
	size_t line;
	const char *stream, *type, *payload;
	const char *time; /* NULL: none was said */
};

/** What is expected of a query, or of an event. */
struct test_expect {
	size_t line;
	const char *query; /* NULL: an event is refused with a message that has `text` */
	const char *text;
	bool is_unordered;
	const char **rows; /* `a|b`, count of them */
	size_t count;
};

struct test_case {
	size_t line;
	const char *title;
	struct test_given *given;
	size_t given_count;
	struct test_expect *expects;
	size_t expect_count;
};

/** A file taken apart. */
struct test_file {
	const char *path;
	char *text; /* owns what the rest points into */
	struct test_case *cases;
	size_t count;
};

/** Read and take apart: TIDE_ARGUMENT naming file and line, TIDE_NOT_FOUND, TIDE_IO,
 * TIDE_OUT_OF_MEMORY. `path` must outlive the file. */
tide_status test_file_read(const char *path, struct test_file *ret, struct tide_error *err);
void test_file_fini(struct test_file *file);

#endif

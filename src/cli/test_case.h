/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_TEST_CASE_H
#define TIDE_CLI_TEST_CASE_H

#include "core/json.h"
#include "project/sql.h"
#include "project/testfile.h"

/** Run one case in a store of its own. `*ret_found` gets a line for each thing that is not as
 * expected; it stays empty when the case passes. An error is no verdict on the case: the file is
 * wrong (TIDE_ARGUMENT), or the database cannot be used. */
tide_status test_case_run(struct tide_sql_projection *projection, const struct test_file *file,
			  const struct test_case *test, const char *url, struct buffer *ret_found,
			  struct tide_error *err);

#endif

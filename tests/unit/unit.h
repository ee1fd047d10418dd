/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_H
#define UNIT_H

/* What every unit test needs: cmocka with the headers it wants before it, and a claim about a
 * failure's text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tidemark/error.h>
#include <tidemark/uuid.h>

static inline void assert_fails(tide_status actual, tide_status expected,
				const struct tide_error *err, const char *message)
{
	assert_string_equal(tide_status_name(actual), tide_status_name(expected));
	assert_int_equal(err->status, expected);
	assert_string_equal(err->message, message);
}

/** The UUID of a text that is one. */
static inline struct tide_uuid uuid_of(const char *text)
{
	struct tide_uuid uuid;
	assert_int_equal(tide_uuid_parse(text, &uuid, NULL), TIDE_OK);
	return uuid;
}

/** Let the 1st, 2nd, ... allocation of a call fail until it succeeds; whatever it returns must be
 * OK or out_of_memory.
 */
#define ASSERT_SURVIVES_NO_MEMORY(call)                                                            \
	for (int64_t unit_nth = 1;; unit_nth++) {                                                  \
		alloc_fail_from(unit_nth);                                                         \
		tide_status unit_status = (call);                                                  \
		alloc_fail_from(0);                                                                \
		if (unit_status == TIDE_OK) {                                                      \
			assert_true(unit_nth > 1);                                                 \
			break;                                                                     \
		}                                                                                  \
		assert_int_equal(unit_status, TIDE_OUT_OF_MEMORY);                                 \
	}

#endif

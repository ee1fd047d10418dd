/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_MUST_H
#define TEST_MUST_H

/*
 * Calls that must succeed, and calls that must be refused in a stated way. Inside them `err` is a
 * fresh error:
 *
 *	must(tide_store_append(store, &append, &result, err));
 *	struct tide_error why = refused(TIDE_CONFLICT, tide_store_append(store, &append, &result, err));
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tidemark/error.h>

#define must(call)                                                                                 \
	__extension__({                                                                            \
		struct tide_error must_error = { 0 }, *const err = &must_error;                    \
		must_be(call, TIDE_OK, err, #call, __FILE__, __LINE__);                            \
	})

#define refused(status, call)                                                                      \
	__extension__({                                                                            \
		struct tide_error must_error = { 0 }, *const err = &must_error;                    \
		must_be(call, status, err, #call, __FILE__, __LINE__);                             \
		must_error;                                                                        \
	})

/** Fails the test unless `got` is `wanted` and, for a failure, the error says the same and has a
 * one-line message. */
void must_be(tide_status got, tide_status wanted, const struct tide_error *err, const char *call,
	     const char *file, int line);

/** Fails the test unless the message contains the text. */
void must_mention(const struct tide_error *err, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_BENCH_MESSAGE_DB_H
#define TIDE_TESTS_BENCH_MESSAGE_DB_H

/*
 * message-db, which is functions of SQL in a database: a bare loop over them. The server that libpq
 * finds by itself has them. Each measurement ends a lap.
 */

#include <stdbool.h>
#include <stdint.h>

/** Install it from a directory with node_modules, and make a history; false, and why not. */
bool message_db_install(const char *directory, int64_t history, char why[256]);

/** Into a new store. Several at a time are one transaction and, when tuned, one pipeline. */
void message_db_append(int64_t count, int64_t each, bool is_tuned);
/** The history, in pages of 1000, with a position that is written behind each `every` events. */
void message_db_catch_up(int64_t count, int64_t every);
/** Seconds of `count` events until they were found, by a poll each `poll_ms`, in ascending
 * order. */
void message_db_live(double *took, int count, int poll_ms);

#endif

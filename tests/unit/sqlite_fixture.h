/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_TESTS_SQLITE_FIXTURE_H
#define TIDE_TESTS_SQLITE_FIXTURE_H

/* Driving the SQLite backend by its table, in a directory of the test's own. */

/* clang-format off: cmocka.h needs these before it */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <tidemark/backend.h>

#include "backends/sqlite/sqlite.h"
#include "lib/temp.h"

#define STORE (&tide_backend_sqlite.store)
#define NOTIFY (&tide_backend_sqlite.notify)
#define CHECKPOINT (&tide_backend_sqlite.checkpoint)

/** A directory for one test, and the database in it. */
struct fixture {
	char directory[TEMP_PATH_SIZE];
	char database[TEMP_PATH_SIZE + 16];
};

/* cmocka's set-up and tear-down: `*state` is a struct fixture. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/** Open a store on a path; `params` ("?synchronous=normal" or "") follow it. */
tide_status fixture_try_open(const char *path, const char *params,
			     const struct tide_store_options *options, void **ret,
			     struct tide_error *err);
/** The same, initialising; it must succeed. */
void *fixture_open(const char *path, const char *params);
void *fixture_session(void *store);
/** Run SQL on a plain connection; it must succeed. */
void fixture_sql(const struct fixture *fixture, const char *sql);
/** A single integer. */
int64_t fixture_number(const struct fixture *fixture, const char *sql);

/** Commits of this process, by connections that are opened once they are counted. */
extern atomic_int fixture_commits;
/** From 0 on. */
void fixture_count_commits(void);

/** An event with a random id and a payload. */
struct tide_event fixture_event(const char *type, const char *payload);
/** Append `count` events of type "Happened" to a stream; the status of the append. */
tide_status fixture_append(void *store, const struct tide_uuid *aggregate, int64_t expected,
			   size_t count, struct tide_append_result *ret, struct tide_error *err);
/** Read the feed after a position into a page. */
tide_status fixture_read(void *session, tide_position after, size_t max_events,
			 struct tide_page *page, struct tide_error *err);

/** Run `body` in a child process; its exit status is what body returns. */
pid_t fixture_fork(int (*body)(void *self), void *self);
/** Wait for a child; it must have exited with 0. */
void fixture_join(pid_t child);
/** Monotonic microseconds. */
int64_t fixture_now_us(void);

#define assert_ok(call) assert_ok_at(call, &err, #call, __FILE__, __LINE__)
#define assert_status(status, call) assert_status_at(status, call, &err, #call, __FILE__, __LINE__)
void assert_ok_at(tide_status status, const struct tide_error *err, const char *text,
		  const char *file, int line);
void assert_status_at(tide_status wanted, tide_status status, const struct tide_error *err,
		      const char *text, const char *file, int line);
void assert_says(const struct tide_error *err, const char *part);

#endif

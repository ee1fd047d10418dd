/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_POSTGRES_TOOLS_H
#define TEST_POSTGRES_TOOLS_H

/* Driving the backend by its tables: what the core would hide (sessions, pages, fences) can be
 * looked at. */

#include <libpq-fe.h>

#include "backends/postgres/postgres.h"
#include "lib/build.h"
#include "lib/must.h"
#include "lib/postgres.h"
#include "lib/wait.h"

#define STORE (&tide_backend_postgres.store)
#define CHECKPOINT (&tide_backend_postgres.checkpoint)
#define NOTIFY (&tide_backend_postgres.notify)

/** Open a store of the server. */
tide_status backend_open(const char *url, bool initialize, void **ret, struct tide_error *err);
void *backend_opened(const char *url);
void *session_opened(void *store);
/** A complete event. */
struct tide_event event_made(struct tide_stream stream, const char *payload);
/** Append one event with its payload. */
tide_status append_event(void *store, const struct tide_event *event, int64_t expected,
			 struct tide_append_result *ret, struct tide_error *err);
struct tide_append_result appended(void *store, struct tide_stream stream, const char *payload);
tide_position end_seen(void *session);

/** Read a page of the feed as a subscription does. */
tide_status feed_read(void *session, struct tide_page *page, tide_position after, size_t max_events,
		      struct tide_error *err);

/** Statements past Tidemark, on a connection that stays. */
PGconn *sql_connect(const char *options);
void sql_run(PGconn *connection, const char *text);
int64_t sql_number(PGconn *connection, const char *text);
/** The same on a connection of its own. */
int64_t sql_asked(const char *text);

/** Say which standbys commits wait for; the server reads it some moments later. */
void standby_named(const char *setting);

#endif

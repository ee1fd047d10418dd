/* SPDX-License-Identifier: Apache-2.0 */
#include "postgres_tools.h"

#include <stdlib.h>

#include "core/event.h"
#include "core/url.h"

tide_status backend_open(const char *url, bool initialize, void **ret, struct tide_error *err)
{
	struct tide_url parsed;
	tide_status status = url_parse(url, &parsed, err);
	if (status != TIDE_OK)
		return status;
	status = STORE->open(&parsed, TIDE_STORE_OPTIONS(.initialize = initialize), ret, err);
	url_fini(&parsed);
	return status;
}

void *backend_opened(const char *url)
{
	void *store;
	must(backend_open(url, true, &store, err));
	return store;
}

void *session_opened(void *store)
{
	void *session;
	must(STORE->session_open(store, &session, err));
	return session;
}

struct tide_event event_made(struct tide_stream stream, const char *payload)
{
	struct tide_new_event event = { .event_id = tide_uuid_v7(),
					.event_type = "Happened",
					.payload = tide_text(payload) };
	return event_stamp(&event, stream, tide_time_now());
}

tide_status append_event(void *store, const struct tide_event *event, int64_t expected,
			 struct tide_append_result *ret, struct tide_error *err)
{
	struct tide_commit commit = { .stream = { event->aggregate_id, event->aggregate_type.data },
				      .expected = expected,
				      .events = event,
				      .count = 1 };
	return STORE->append(store, &commit, 1, ret, err);
}

struct tide_append_result appended(void *store, struct tide_stream stream, const char *payload)
{
	struct tide_event event = event_made(stream, payload);
	struct tide_append_result result;
	must(append_event(store, &event, TIDE_ANY, &result, err));
	return result;
}

tide_position end_seen(void *session)
{
	tide_position end;
	must(STORE->end(session, &end, err));
	return end;
}

tide_status feed_read(void *session, struct tide_page *page, tide_position after, size_t max_events,
		      struct tide_error *err)
{
	static const struct tide_filter all = { 0 };
	struct tide_page_query query = { .filter = &all,
					 .bound = after,
					 .max_events = max_events,
					 .max_bytes = 1 << 22,
					 .max_scan = 10000 };
	tide_page_begin(page, query.max_events, query.max_bytes);
	return STORE->read(session, &query, page, err);
}

PGconn *sql_connect(const char *options)
{
	PGconn *connection = PQconnectdb(options);
	if (PQstatus(connection) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(connection));
	return connection;
}

void sql_run(PGconn *connection, const char *text)
{
	PGresult *result = PQexec(connection, text);
	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", text, PQerrorMessage(connection));
	PQclear(result);
}

int64_t sql_number(PGconn *connection, const char *text)
{
	PGresult *result = PQexec(connection, text);
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
		fail_msg("%s: %s", text, PQerrorMessage(connection));
	int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return value;
}

int64_t sql_asked(const char *text)
{
	PGconn *connection = sql_connect("");
	int64_t value = sql_number(connection, text);
	PQfinish(connection);
	return value;
}

void standby_named(const char *setting)
{
	PGconn *connection = sql_connect("");
	char sql[100];
	snprintf(sql, sizeof sql, "ALTER SYSTEM SET synchronous_standby_names = '%s'", setting);
	sql_run(connection, sql);
	sql_run(connection, "SELECT pg_reload_conf()");
	PQfinish(connection);
}

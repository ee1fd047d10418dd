/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_fixture.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/url.h"

int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	assert_non_null(fixture);
	temp_make(fixture->directory);
	snprintf(fixture->database, sizeof fixture->database, "%s/events.db", fixture->directory);
	*state = fixture;
	return 0;
}

int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;
	temp_remove(fixture->directory);
	free(fixture);
	return 0;
}

tide_status fixture_try_open(const char *path, const char *params,
			     const struct tide_store_options *options, void **ret,
			     struct tide_error *err)
{
	char text[2 * TEMP_PATH_SIZE];
	struct tide_url url;
	snprintf(text, sizeof text, "sqlite:%s%s", path, params);
	tide_status status = url_parse(text, &url, err);
	if (status != TIDE_OK)
		return status;
	status = STORE->open(&url, options, ret, err);
	url_fini(&url);
	return status;
}

void *fixture_open(const char *path, const char *params)
{
	struct tide_error err;
	void *store;
	assert_ok(fixture_try_open(path, params, TIDE_STORE_OPTIONS(.initialize = true), &store,
				   &err));
	return store;
}

void *fixture_session(void *store)
{
	struct tide_error err;
	void *session;
	assert_ok(STORE->session_open(store, &session, &err));
	return session;
}

void fixture_sql(const struct fixture *fixture, const char *sql)
{
	sqlite3 *handle;
	char *message = NULL;
	assert_int_equal(sqlite3_open(fixture->database, &handle), SQLITE_OK);
	sqlite3_busy_timeout(handle, 5000);
	if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(handle);
}

int64_t fixture_number(const struct fixture *fixture, const char *sql)
{
	sqlite3 *handle;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open(fixture->database, &handle), SQLITE_OK);
	sqlite3_busy_timeout(handle, 5000);
	assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(handle);
	return number;
}

atomic_int fixture_commits;

static int count_commit(unsigned kind, void *self, void *statement, void *text)
{
	(void)kind;
	(void)self;
	(void)statement;
	atomic_fetch_add(&fixture_commits, strcmp(text, "COMMIT") == 0);
	return 0;
}

static int count_all(sqlite3 *db, char **message, const void *functions)
{
	(void)message;
	(void)functions;
	return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_commit, NULL);
}

void fixture_count_commits(void)
{
	sqlite3_reset_auto_extension();
	sqlite3_auto_extension((void (*)(void))count_all);
	atomic_store(&fixture_commits, 0);
}

struct tide_event fixture_event(const char *type, const char *payload)
{
	return (struct tide_event){
		.event_version = 1,
		.event_id = tide_uuid_v7(),
		.correlation_id = tide_uuid_v4(),
		.event_type = tide_text(type),
		.metadata = tide_text("{}"),
		.payload = tide_text(payload),
		.occurred_at = tide_time_now(),
	};
}

tide_status fixture_append(void *store, const struct tide_uuid *aggregate, int64_t expected,
			   size_t count, struct tide_append_result *ret, struct tide_error *err)
{
	struct tide_append_result result;
	struct tide_event *events = calloc(count, sizeof *events);
	assert_non_null(events);
	for (size_t i = 0; i < count; i++)
		events[i] = fixture_event("Happened", "{\"n\":1}");
	struct tide_commit commit = { { *aggregate, "Thing" }, expected, events, count };
	tide_status status = STORE->append(store, &commit, 1, ret ? ret : &result, err);
	free(events);
	return status;
}

tide_status fixture_read(void *session, tide_position after, size_t max_events,
			 struct tide_page *page, struct tide_error *err)
{
	static const struct tide_filter all;
	struct tide_page_query query = { .filter = &all,
					 .bound = after,
					 .max_events = max_events,
					 .max_bytes = 16 << 20,
					 .max_scan = 10000 };
	tide_page_begin(page, query.max_events, query.max_bytes);
	return STORE->read(session, &query, page, err);
}

pid_t fixture_fork(int (*body)(void *self), void *self)
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(body(self));
	return child;
}

void fixture_join(pid_t child)
{
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
		fail_msg("child ended with status 0x%x", how);
}

int64_t fixture_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

void assert_ok_at(tide_status status, const struct tide_error *err, const char *text,
		  const char *file, int line)
{
	if (status == TIDE_OK)
		return;
	print_error("%s: %s: %s\n", text, tide_status_name(status), err->message);
	_fail(file, line);
}

void assert_status_at(tide_status wanted, tide_status status, const struct tide_error *err,
		      const char *text, const char *file, int line)
{
	if (status == wanted)
		return;
	print_error("%s: %s, not %s: %s\n", text, tide_status_name(status),
		    tide_status_name(wanted), status == TIDE_OK ? "" : err->message);
	_fail(file, line);
}

void assert_says(const struct tide_error *err, const char *part)
{
	if (!strstr(err->message, part))
		fail_msg("message '%s' does not say '%s'", err->message, part);
}

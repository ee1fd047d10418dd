/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One case of a projection's tests.
 *
 * Happy path: the given events are appended to a fresh store, the projection runs over them as it
 * does everywhere, and what its tables and the dead-letter queue hold then is compared with what is
 * expected.
 * Failure modes: the projection ends, an event is refused that nobody expected to be, rows differ:
 * each is a line of what was found.
 */
#include "cli/test_case.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/live.h"
#include "sys/alloc.h"

#define CASE_SECONDS 60
#define CASE_FIRST_US INT64_C(946684800000000) /* 2000-01-01T00:00:00Z; each event a second later */

/** A case that runs. */
struct case_run {
	struct tide_sql_projection *projection;
	const struct test_file *file;
	const struct test_case *test;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct tide_uuid *ids; /* of the given events */
	struct buffer *found;
};

/* ---- Given ----------------------------------------------------------------------------------- */

static tide_status case_fail(const struct case_run *run, size_t line, const char *message,
			     struct tide_error *err)
{
	return tide_fail(err, TIDE_ARGUMENT, "'%s' line %zu: %.400s", run->file->path, line,
			 message);
}

static tide_status case_append(const struct case_run *run, size_t at, struct tide_error *err)
{
	const struct test_given *given = &run->test->given[at];
	struct tide_time time = { CASE_FIRST_US + (int64_t)at * 1000000 };
	char type[TIDE_NAME_MAX + 1];
	struct tide_append append = { .expected = TIDE_ANY, .count = 1 };
	struct tide_append_result result;
	struct tide_error why;

	tide_status status = stream_parse(given->stream, type, &append.stream, &why);
	if (status == TIDE_OK && given->time)
		status = tide_time_parse(given->time, &time, &why);
	run->ids[at] = tide_uuid_v7();
	const struct tide_new_event event = { .event_type = given->type,
					      .payload = tide_text(given->payload),
					      .event_id = run->ids[at],
					      .occurred_at = &time };
	append.events = &event;
	if (status == TIDE_OK)
		status = tide_store_append(run->store, &append, &result, &why);
	if (status == TIDE_ARGUMENT)
		return case_fail(run, given->line, why.message, err);
	return status == TIDE_OK ? TIDE_OK : tide_fail(err, status, "%s", why.message);
}

/* ---- Run ------------------------------------------------------------------------------------- */

static void case_note_end(const struct case_run *run, struct tide_subscription *subscription,
			  tide_position end)
{
	struct tide_subscription_status status;
	if (tide_subscription_status(subscription, &status, NULL) != TIDE_OK)
		return;
	if (status.state == TIDE_STATE_ERROR)
		buffer_format(run->found, "the projection ended: %s\n", status.error.message);
	else if (status.position < end)
		buffer_format(run->found, "the projection did not finish in %d s\n", CASE_SECONDS);
}

static tide_status case_project(const struct case_run *run, struct tide_error *err)
{
	const struct tide_subscriber *subscriber = tide_sql_projection_subscriber(run->projection);
	struct tide_subscription_config config = tide_catch_up_config(100, true);
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	tide_position end;

	config.max_retries = 0;
	config.circuit_breaker_enabled = false;
	tide_status status = tide_store_end(run->store, &end, err);
	if (status == TIDE_OK)
		status = tide_manager_open(TIDE_MANAGER(.store = run->store), &manager, err);
	if (status != TIDE_OK)
		return status;
	status = tide_manager_subscribe(manager, subscriber, &config, &subscription, err);
	if (status == TIDE_OK) {
		(void)tide_manager_run(manager, CASE_SECONDS, NULL); /* the status tells */
		case_note_end(run, subscription, end);
		(void)tide_manager_stop(manager, NULL, 0, NULL);
	}
	tide_manager_close(manager);
	return status;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/** The rows that a query gave, as lines. */
struct case_rows {
	char **lines;
	size_t count;
};

static void case_rows_fini(struct case_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		tide_free(rows->lines[i]);
	tide_free(rows->lines);
}

static void case_add_cell(struct buffer *line, const char *cell)
{
	for (; *cell; cell++) {
		if (*cell == '|' || *cell == '\\')
			buffer_add(line, "\\", 1);
		if (*cell == '\n')
			buffer_add(line, "\\n", 2);
		else
			buffer_add(line, cell, 1);
	}
}

static tide_status case_take_row(void *self, const char *const *cells, size_t count,
				 struct tide_error *err)
{
	struct case_rows *rows = self;
	struct buffer line = { 0 };
	char **lines = alloc_resize(rows->lines, rows->count + 1, sizeof *lines);
	if (!lines)
		return alloc_fail(err);
	rows->lines = lines;

	buffer_format(&line, "%s", "");
	for (size_t i = 0; i < count; i++) {
		buffer_format(&line, "%s", i ? "|" : "");
		case_add_cell(&line, cells[i] ? cells[i] : "NULL");
	}
	tide_status status = buffer_take(&line, &lines[rows->count], err);
	rows->count += status == TIDE_OK;
	return status;
}

/* Mark the first line that is the same and not marked yet. */
static bool case_match(const char *row, char *const *lines, bool *is_taken, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_taken[i] || strcmp(lines[i], row) != 0)
			continue;
		is_taken[i] = true;
		return true;
	}
	return false;
}

static bool case_is_in_order(const struct test_expect *expect, const struct case_rows *rows)
{
	bool is_same = expect->count == rows->count;
	for (size_t i = 0; is_same && i < rows->count; i++)
		is_same = strcmp(expect->rows[i], rows->lines[i]) == 0;
	return is_same;
}

/* Rows that are missing, and rows that should not be there; none of both: the order is another
 * one. */
static tide_status case_differ(const struct case_run *run, const struct test_expect *expect,
			       const struct case_rows *rows, struct tide_error *err)
{
	bool *is_taken ALLOC_AUTO = alloc_zero(rows->count + 1, sizeof *is_taken);
	struct buffer lines = { 0 };
	size_t wrong = 0;
	if (!is_taken)
		return alloc_fail(err);
	for (size_t i = 0; i < expect->count; i++)
		if (!case_match(expect->rows[i], rows->lines, is_taken, rows->count)) {
			buffer_format(&lines, "- %s\n", expect->rows[i]);
			wrong++;
		}
	for (size_t i = 0; i < rows->count; i++)
		if (!is_taken[i]) {
			buffer_format(&lines, "+ %s\n", rows->lines[i]);
			wrong++;
		}

	if (wrong > 0)
		buffer_format(run->found, "line %zu: %s\n%s", expect->line, expect->query,
			      lines.data ? lines.data : "");
	else if (!expect->is_unordered) {
		buffer_format(run->found, "line %zu: %s: the order is another one\n", expect->line,
			      expect->query);
		for (size_t i = 0; i < rows->count; i++)
			buffer_format(run->found, "+ %s\n", rows->lines[i]);
	}
	bool has_failed = lines.failed;
	buffer_fini(&lines);
	return has_failed ? alloc_fail(err) : TIDE_OK;
}

static tide_status case_expect_rows(const struct case_run *run, const struct test_expect *expect,
				    struct tide_error *err)
{
	struct case_rows rows = { 0 };
	struct tide_error why;
	tide_status status =
		live_query(run->projection, run->store, expect->query, case_take_row, &rows, &why);

	if (status == TIDE_ARGUMENT) {
		buffer_format(run->found, "line %zu: %s: %s\n", expect->line, expect->query,
			      why.message);
		status = TIDE_OK;
	} else if (status != TIDE_OK) {
		tide_fail(err, status, "%s", why.message);
	} else if (!case_is_in_order(expect, &rows)) {
		status = case_differ(run, expect, &rows, err);
	}
	case_rows_fini(&rows);
	return status;
}

/* ---- Events that are refused ----------------------------------------------------------------- */

static bool case_says(const struct tide_dead_letter *letter, const char *text)
{
	return strstr(letter->error_message, text) ||
	       (letter->error_stacktrace && strstr(letter->error_stacktrace, text));
}

static void case_expect_error(const struct case_run *run, const struct test_expect *expect,
			      const struct tide_dead_letter_list *letters, bool *is_expected)
{
	for (size_t i = 0; i < letters->count; i++) {
		if (is_expected[i] || !case_says(&letters->entries[i], expect->text))
			continue;
		is_expected[i] = true;
		return;
	}
	buffer_format(run->found, "line %zu: no event was refused with '%s'\n", expect->line,
		      expect->text);
}

static void case_note_refused(const struct case_run *run, const struct tide_dead_letter *letter)
{
	size_t at = 0;
	while (at + 1 < run->test->given_count &&
	       !tide_uuid_equal(&run->ids[at], &letter->event_id))
		at++;
	buffer_format(run->found, "line %zu: the event was refused: %s%s%s\n",
		      run->test->given[at].line, letter->error_message,
		      letter->error_stacktrace ? ": " : "",
		      letter->error_stacktrace ? letter->error_stacktrace : "");
}

static tide_status case_compare_errors(const struct case_run *run, struct tide_error *err)
{
	const struct tide_dead_letter_query query = {
		.projection_name = run->projection->name,
		.any_status = true,
		.limit = tide_bound((int64_t)run->test->given_count),
		.oldest_first = true,
	};
	struct tide_dead_letter_list letters = { 0 };
	tide_status status = tide_dead_letters_list(run->checkpoints, &query, &letters, err);
	if (status != TIDE_OK)
		return status;

	bool *is_expected ALLOC_AUTO = alloc_zero(letters.count + 1, sizeof *is_expected);
	if (!is_expected)
		status = alloc_fail(err);
	for (size_t i = 0; status == TIDE_OK && i < run->test->expect_count; i++)
		if (run->test->expects[i].text)
			case_expect_error(run, &run->test->expects[i], &letters, is_expected);
	for (size_t i = 0; status == TIDE_OK && i < letters.count; i++)
		if (!is_expected[i])
			case_note_refused(run, &letters.entries[i]);
	tide_dead_letters_free(&letters);
	return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static tide_status case_steps(const struct case_run *run, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < run->test->given_count; i++)
		status = case_append(run, i, err);
	if (status == TIDE_OK)
		status = case_project(run, err);
	if (status == TIDE_OK)
		status = case_compare_errors(run, err);
	for (size_t i = 0; status == TIDE_OK && i < run->test->expect_count; i++)
		if (run->test->expects[i].query)
			status = case_expect_rows(run, &run->test->expects[i], err);
	return status == TIDE_OK && run->found->failed ? alloc_fail(err) : status;
}

tide_status test_case_run(struct tide_sql_projection *projection, const struct test_file *file,
			  const struct test_case *test, const char *url, struct buffer *ret_found,
			  struct tide_error *err)
{
	struct tide_uuid *ids ALLOC_AUTO = alloc_zero(test->given_count + 1, sizeof *ids);
	struct case_run run = {
		.projection = projection, .file = file, .test = test, .ids = ids, .found = ret_found
	};

	if (!ids)
		return alloc_fail(err);
	tide_status status =
		tide_store_open(url, TIDE_STORE_OPTIONS(.initialize = true), &run.store, err);
	if (status != TIDE_OK)
		return status;
	status = tide_checkpoints_open(NULL, NULL, run.store, &run.checkpoints, err);
	if (status == TIDE_OK)
		status = case_steps(&run, err);
	tide_checkpoints_close(run.checkpoints);
	tide_store_close(run.store);
	return status;
}

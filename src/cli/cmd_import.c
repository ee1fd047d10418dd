/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide import: newline-delimited JSON into the store, in the order of the file.
 *
 * Happy path: lines fill a batch; neighbours of one stream become one commit; the batch is one transaction.
 * Failure modes: a line that is no event stops the import in front of its batch, named by its number. A batch whose
 * events are all stored already is recognised by the store. One of which some are is taken apart: what is stored is
 * checked one by one, the rest is stored as one transaction again. Memory is bounded by the batch.
 */
#include "cli/cli.h"
#include "cli/lines.h"
#include "core/event.h"
#include "path/store.h"
#include "sys/alloc.h"

#define IMPORT_BATCH 1000
#define IMPORT_BATCH_MAX 10000
#define IMPORT_BATCH_BYTES (16u << 20)

/** One import. */
struct import {
	struct cli *cli;
	struct tide_store *store;
	struct line_reader lines;
	struct progress progress;
	int exit; /* status to end with, set where the reason is told */

	/* the batch */
	size_t capacity, count, bytes;
	size_t pending;                /* events of the batch still to append, in front */
	struct event_json *read;       /* own the texts of the events */
	struct tide_new_event *events; /* the same events in one array */
	int64_t *numbers;              /* their lines */
	struct tide_append *commits;
	struct tide_append_result *results;

	/* so far */
	int64_t appended, known;
	tide_position last_position;
};

static bool import_init(struct import *import)
{
	size_t capacity = import->capacity;

	import->read = alloc_zero(capacity, sizeof *import->read);
	import->events = alloc_zero(capacity, sizeof *import->events);
	import->numbers = alloc_zero(capacity, sizeof *import->numbers);
	import->commits = alloc_zero(capacity, sizeof *import->commits);
	import->results = alloc_zero(capacity, sizeof *import->results);
	return import->read && import->events && import->numbers && import->commits && import->results;
}

static void import_forget_batch(struct import *import)
{
	for (size_t i = 0; i < import->count; i++)
		event_json_fini(&import->read[i]);
	import->count = 0;
	import->bytes = 0;
}

static void import_fini(struct import *import)
{
	import_forget_batch(import);
	tide_free(import->read);
	tide_free(import->events);
	tide_free(import->numbers);
	tide_free(import->commits);
	tide_free(import->results);
	line_reader_close(&import->lines);
}

/* Whatever the library says of a line is the file's fault, not the command line's. */
static bool import_refuse(struct import *import, int64_t number, const struct tide_error *cause)
{
	struct tide_error err = *cause;
	struct buffer members = { 0 };

	tide_fail(&err, cause->status, "'%s' line %lld: %s", import->lines.path, (long long)number, cause->message);
	buffer_format(&members, ",\"line\":%lld", (long long)number);
	import->exit = cli_fail_with(import->cli, &err, &members);
	if (import->exit == CLI_USAGE)
		import->exit = CLI_FAILED;
	buffer_fini(&members);
	return false;
}

static bool import_fail(struct import *import, const struct tide_error *err)
{
	import->exit = cli_fail(import->cli, err);
	if (import->exit == CLI_USAGE)
		import->exit = CLI_FAILED;
	return false;
}

static bool import_is_same_stream(const struct tide_new_event *a, const struct tide_new_event *b)
{
	return tide_uuid_equal(&a->aggregate_id, &b->aggregate_id) && strcmp(a->aggregate_type, b->aggregate_type) == 0;
}

/* A commit is a run of neighbours of one stream, all of them without version or numbered one after the other. */
static bool import_continues(const struct tide_new_event *last, const struct tide_new_event *event)
{
	return import_is_same_stream(last, event) &&
	       (last->version == 0 ? event->version == 0 : event->version == last->version + 1);
}

static size_t import_commits(struct import *import)
{
	const struct tide_new_event *events = import->events;
	size_t commits = 0;

	for (size_t i = 0; i < import->pending; i++) {
		if (i > 0 && import_continues(&events[i - 1], &events[i])) {
			import->commits[commits - 1].count++;
			continue;
		}
		import->commits[commits] = (struct tide_append){
			.stream = { events[i].aggregate_id, events[i].aggregate_type },
			.expected = TIDE_ANY,
			.events = &events[i],
			.count = 1,
		};
		commits++;
	}
	return commits;
}

static void import_settle(struct import *import, size_t commits)
{
	for (size_t i = 0; i < commits; i++) {
		const struct tide_append_result *result = &import->results[i];
		if (result->was_stored_before)
			import->known += (int64_t)import->commits[i].count;
		else
			import->appended += (int64_t)import->commits[i].count;
		if (result->last_position > import->last_position)
			import->last_position = result->last_position;
	}
}

/* The version in front of commit `i` as the batch would have it; -1 when it cannot be told. */
static tide_version import_version_before(const struct import *import, size_t i)
{
	const struct tide_append *commit = &import->commits[i];
	tide_version version;

	for (size_t j = i; j-- > 0;) {
		const struct tide_append *earlier = &import->commits[j];
		const struct tide_new_event *last = &earlier->events[earlier->count - 1];
		if (import_is_same_stream(last, commit->events))
			return last->version > 0 ? last->version : -1;
	}
	return tide_store_stream_version(import->store, commit->stream, &version, NULL) == TIDE_OK ? version : -1;
}

/* Only events that say their version can conflict: find the first that does not follow. */
static bool import_conflict(struct import *import, size_t commits, const struct tide_error *err)
{
	for (size_t i = 0; i < commits; i++) {
		tide_version first = import->commits[i].events->version;
		tide_version before = first > 0 ? import_version_before(import, i) : -1;
		if (before >= 0 && before != first - 1)
			return import_refuse(import, import->numbers[import->commits[i].events - import->events], err);
	}
	return import_fail(import, err);
}

/* The store names an event by its place in a commit; here the same rules find its line. */
static bool import_invalid(struct import *import, const struct tide_error *cause)
{
	struct tide_error err;

	for (size_t i = 0; i < import->pending; i++) {
		if (event_check(&import->events[i], 0, import->store->max_payload_bytes, &err) == TIDE_OK)
			continue;
		if (strncmp(err.message, "event 0: ", 9) == 0)
			memmove(err.message, err.message + 9, strlen(err.message + 9) + 1);
		return import_refuse(import, import->numbers[i], &err);
	}
	return import_fail(import, cause);
}

/* Whether the same event stands among the first `count` already. */
static bool import_is_repeated(const struct import *import, size_t count, const struct tide_new_event *event)
{
	if (tide_uuid_is_nil(&event->event_id))
		return false;
	for (size_t i = 0; i < count; i++)
		if (tide_uuid_equal(&import->events[i].event_id, &event->event_id) &&
		    import_is_same_stream(&import->events[i], event))
			return true;
	return false;
}

/* Keep the events that are not stored; the others must be in their stream, which the store checks. */
static bool import_drop_known(struct import *import)
{
	size_t kept = 0;

	for (size_t i = 0; i < import->pending; i++) {
		struct tide_append one = { { import->events[i].aggregate_id, import->events[i].aggregate_type },
					   TIDE_ANY,
					   &import->events[i],
					   1 };
		struct tide_append_result result;
		struct tide_error err;
		bool exists = false;
		tide_status status = tide_store_event_exists(import->store, &import->events[i].event_id, &exists, &err);
		if (status == TIDE_OK && exists)
			status = tide_store_append(import->store, &one, &result, &err);
		if (status != TIDE_OK)
			return import_refuse(import, import->numbers[i], &err);
		if (exists || import_is_repeated(import, kept, &import->events[i])) {
			import->known++;
			continue;
		}
		import->numbers[kept] = import->numbers[i];
		import->events[kept++] = import->events[i];
	}
	import->pending = kept;
	return true;
}

static bool import_append(struct import *import, bool may_be_known)
{
	size_t commits = import_commits(import);
	struct tide_error err;
	tide_status status;

	if (commits == 0)
		return true;
	status = tide_store_append_all(import->store, import->commits, commits, import->results, &err);
	if (status == TIDE_OK) {
		import_settle(import, commits);
		return true;
	}
	if (status == TIDE_ARGUMENT)
		return import_invalid(import, &err);
	if (status == TIDE_CONFLICT && !may_be_known)
		return import_conflict(import, commits, &err);
	if (!may_be_known || (status != TIDE_DUPLICATE_EVENT && status != TIDE_CONFLICT))
		return import_fail(import, &err);
	return import_drop_known(import) && import_append(import, false);
}

static bool import_flush(struct import *import)
{
	import->pending = import->count;
	bool done = import_append(import, true);
	import_forget_batch(import);
	progress_show(&import->progress, import->lines.consumed, import->appended + import->known);
	return done;
}

static bool import_is_blank(struct tide_text line)
{
	for (size_t i = 0; i < line.size; i++)
		if (!strchr(" \t\r", line.data[i]))
			return false;
	return true;
}

static bool import_line(struct import *import, struct tide_text line)
{
	size_t at = import->count;
	struct tide_error err;

	if (import_is_blank(line))
		return true;
	if (event_read_json(line, &import->read[at], &err) != TIDE_OK)
		return import_refuse(import, import->lines.number, &err);
	import->events[at] = import->read[at].event;
	import->numbers[at] = import->lines.number;
	import->count++;
	import->bytes += line.size;
	if (import->count < import->capacity && import->bytes < IMPORT_BATCH_BYTES)
		return true;
	return import_flush(import);
}

static bool import_all(struct import *import)
{
	struct tide_text line;
	struct tide_error err;

	for (;;) {
		if (line_reader_next(&import->lines, &line, &err) != TIDE_OK)
			return import_fail(import, &err);
		if (!line.data)
			return import_flush(import);
		if (!import_line(import, line))
			return false;
	}
}

static int import_print(struct import *import)
{
	double seconds = progress_seconds(&import->progress);
	int64_t events = import->appended + import->known;
	struct buffer line = { 0 };

	if (!import->cli->json) {
		buffer_format(&line, "%s events in %s (%s/s)", number_text(events), seconds_text(seconds),
			      number_text((int64_t)((double)events / (seconds > 0 ? seconds : 1))));
		if (import->known)
			buffer_format(&line, ", %s of them stored before", number_text(import->known));
		if (import->last_position)
			buffer_format(&line, ", the last at position %s", number_text(import->last_position));
		return cli_line(import->cli, &line);
	}
	json_open(&line, '{');
	json_key(&line, "events");
	json_integer(&line, events);
	json_key(&line, "appended");
	json_integer(&line, import->appended);
	json_key(&line, "stored_before");
	json_integer(&line, import->known);
	json_key(&line, "last_position");
	json_integer(&line, import->last_position);
	json_key(&line, "seconds");
	json_number(&line, seconds, 3);
	json_close(&line, '}');
	return cli_line(import->cli, &line);
}

static int import_run(struct import *import)
{
	struct tide_error err;

	if (!import_init(import)) {
		alloc_fail(&err);
		return cli_fail(import->cli, &err);
	}
	progress_begin(&import->progress, "import", 0, import->lines.total);
	bool done = import_all(import);
	progress_end(&import->progress, import->lines.consumed, import->appended + import->known);
	if (done)
		return import_print(import);
	if (import->appended)
		cli_note(import->cli, "%s events were stored before that; the same import goes on from there",
			 number_text(import->appended));
	return import->exit;
}

int cmd_import(struct cli *cli)
{
	const struct option_value *batch = &cli->options[OPT_IMPORT_BATCH];
	struct import import = { .cli = cli, .capacity = batch->is_set ? (size_t)batch->number : IMPORT_BATCH };
	struct tide_error err;
	int exit;

	if (import.capacity > IMPORT_BATCH_MAX)
		return cli_usage(cli, "--batch-size '%s' is more than %d", batch->text, IMPORT_BATCH_MAX);
	if (line_reader_open(&import.lines, cli->arg_count ? cli->args[0] : NULL, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	import.store = cli_open(cli, false, &exit);
	if (import.store)
		exit = import_run(&import);
	tide_store_close(import.store);
	import_fini(&import);
	return exit;
}

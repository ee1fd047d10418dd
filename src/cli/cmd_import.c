/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide import: newline-delimited JSON into the store, in the order of the file.
 *
 * Happy path: lines fill a batch while the one before it is stored; neighbours of one stream become
 * one commit; the batch is one transaction.
 * Failure modes: a line that is no event stops the import in front of its batch, named by its
 * number, and with it up to which line everything is stored. A batch whose events are all stored
 * already is recognised by the store. One of which some are is taken apart: what is stored is
 * checked one by one, the rest is stored as one transaction again. When bad lines are skipped, a
 * batch that is refused is stored event by event, and what is refused of it goes to the file for
 * them, and nothing is read ahead. Memory is bounded by two batches.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/batches.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "core/event.h"
#include "path/store.h"
#include "sys/alloc.h"

#define IMPORT_BATCH 1000
#define IMPORT_BATCH_MAX 10000

/** One import. */
struct import {
	struct cli *cli;
	struct tide_store *store;
	struct line_reader lines;
	struct meter meter;
	int exit;       /* status to end with, set where the reason is told */
	FILE *skipping; /* where refused lines go; NULL: the first one ends the import */

	/* the batch that is stored */
	struct batches batches;
	size_t capacity;
	struct batch *batch;
	size_t pending; /* events of it still to append, in front */
	struct tide_append *commits;
	struct tide_append_result *results;

	/* so far */
	int64_t appended, known, skipped;
	int64_t consumed;  /* bytes of the file */
	int64_t stored_to; /* up to this line everything is stored, or was skipped */
	tide_position last_position;
};

static bool import_init(struct import *import)
{
	size_t capacity = import->capacity;

	import->commits = alloc_zero(capacity, sizeof *import->commits);
	import->results = alloc_zero(capacity, sizeof *import->results);
	return batches_init(&import->batches, &import->lines, capacity,
			    import->cli->options[OPT_FROM_LINE].number) &&
	       import->commits && import->results;
}

static void import_fini(struct import *import)
{
	batches_fini(&import->batches);
	tide_free(import->commits);
	tide_free(import->results);
	line_reader_close(&import->lines);
}

static bool import_refuse(struct import *import, int64_t number, const struct tide_error *cause)
{
	struct tide_error err = *cause;
	struct buffer members = { 0 };

	tide_fail(&err, cause->status, "'%s' line %lld: %s", import->lines.path, (long long)number,
		  cli_message_of_event(cause));
	buffer_format(&members, ",\"line\":%lld,\"stored_to_line\":%lld", (long long)number,
		      (long long)import->stored_to);
	import->exit = cli_fail_with(import->cli, &err, &members);
	buffer_fini(&members);
	return false;
}

static bool import_fail(struct import *import, const struct tide_error *err)
{
	struct buffer members = { 0 };

	buffer_format(&members, ",\"stored_to_line\":%lld", (long long)import->stored_to);
	import->exit = cli_fail_with(import->cli, err, &members);
	buffer_fini(&members);
	return false;
}

/* ---- Skipping -------------------------------------------------------------------------------- */

/* Whether a refusal is about the line, not about the store. */
static bool import_may_skip(const struct import *import, tide_status status)
{
	return import->skipping && (status == TIDE_ARGUMENT || status == TIDE_CONFLICT ||
				    status == TIDE_DUPLICATE_EVENT);
}

static bool import_skip(struct import *import, int64_t number, struct tide_text line,
			const struct tide_error *cause)
{
	struct tide_error err;

	import_refuse(import, number, cause);
	import->skipped++;
	if (fwrite(line.data, 1, line.size, import->skipping) == line.size &&
	    fputc('\n', import->skipping) != EOF)
		return true;
	tide_fail(&err, TIDE_IO, "--skip-bad '%s': %s", import->cli->options[OPT_SKIP_BAD].text,
		  strerror(errno));
	return import_fail(import, &err);
}

/* The batch was refused: each event is stored or skipped by itself. */
static bool import_append_one_by_one(struct import *import)
{
	for (size_t i = 0; i < import->pending; i++) {
		struct tide_new_event *event = &import->batch->events[i];
		struct tide_append one = {
			{ event->aggregate_id, event->aggregate_type }, TIDE_ANY, event, 1
		};
		struct tide_append_result result;
		struct tide_error err;
		tide_status status = tide_store_append(import->store, &one, &result, &err);
		if (status == TIDE_OK) {
			import->known += result.was_stored_before;
			import->appended += !result.was_stored_before;
			import->last_position = result.last_position;
		} else if (!import_may_skip(import, status)) {
			return import_refuse(import, import->batch->numbers[i], &err);
		} else if (!import_skip(import, import->batch->numbers[i],
					batch_line(import->batch, i), &err)) {
			return false;
		}
		import->stored_to = import->batch->numbers[i];
	}
	return true;
}

/* ---- Batches --------------------------------------------------------------------------------- */

static bool import_is_same_stream(const struct tide_new_event *a, const struct tide_new_event *b)
{
	return tide_uuid_equal(&a->aggregate_id, &b->aggregate_id) &&
	       strcmp(a->aggregate_type, b->aggregate_type) == 0;
}

/* A commit is a run of neighbours of one stream, all of them without version or numbered one after
 * the other. */
static bool import_continues(const struct tide_new_event *last, const struct tide_new_event *event)
{
	return import_is_same_stream(last, event) &&
	       (last->version == 0 ? event->version == 0 : event->version == last->version + 1);
}

static size_t import_commits(struct import *import)
{
	const struct tide_new_event *events = import->batch->events;
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
	return tide_store_stream_version(import->store, commit->stream, &version, NULL) == TIDE_OK
		       ? version
		       : -1;
}

/* Only events that say their version can conflict: find the first that does not follow. */
static bool import_conflict(struct import *import, size_t commits, const struct tide_error *err)
{
	for (size_t i = 0; i < commits; i++) {
		tide_version first = import->commits[i].events->version;
		tide_version before = first > 0 ? import_version_before(import, i) : -1;
		if (before >= 0 && before != first - 1)
			return import_refuse(import,
					     import->batch->numbers[import->commits[i].events -
								    import->batch->events],
					     err);
	}
	return import_fail(import, err);
}

/* The store names an event by its place in a commit; here the same rules find its line. */
static bool import_invalid(struct import *import, const struct tide_error *cause)
{
	struct tide_error err;

	for (size_t i = 0; i < import->pending; i++) {
		if (event_check(&import->batch->events[i], 0, import->store->max_payload_bytes,
				&err) == TIDE_OK)
			continue;
		return import_refuse(import, import->batch->numbers[i], &err);
	}
	return import_fail(import, cause);
}

/* Whether the same event stands among the first `count` already. */
static bool import_is_repeated(const struct import *import, size_t count,
			       const struct tide_new_event *event)
{
	if (tide_uuid_is_nil(&event->event_id))
		return false;
	for (size_t i = 0; i < count; i++)
		if (tide_uuid_equal(&import->batch->events[i].event_id, &event->event_id) &&
		    import_is_same_stream(&import->batch->events[i], event))
			return true;
	return false;
}

/* Keep the events that are not stored; the others must be in their stream, which the store
 * checks. */
static bool import_drop_known(struct import *import)
{
	size_t kept = 0;

	for (size_t i = 0; i < import->pending; i++) {
		struct tide_append one = { { import->batch->events[i].aggregate_id,
					     import->batch->events[i].aggregate_type },
					   TIDE_ANY,
					   &import->batch->events[i],
					   1 };
		struct tide_append_result result;
		struct tide_error err;
		bool exists = false;
		tide_status status = tide_store_event_exists(
			import->store, &import->batch->events[i].event_id, &exists, &err);
		if (status == TIDE_OK && exists)
			status = tide_store_append(import->store, &one, &result, &err);
		if (status != TIDE_OK)
			return import_refuse(import, import->batch->numbers[i], &err);
		if (exists || import_is_repeated(import, kept, &import->batch->events[i])) {
			import->known++;
			continue;
		}
		import->batch->numbers[kept] = import->batch->numbers[i];
		import->batch->events[kept++] = import->batch->events[i];
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
	status = tide_store_append_all(import->store, import->commits, commits, import->results,
				       &err);
	if (status == TIDE_OK) {
		import_settle(import, commits);
		return true;
	}
	if (import_may_skip(import, status))
		return import_append_one_by_one(import);
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
	const struct batch *batch = import->batch;
	import->pending = batch->count;
	bool done = import_append(import, true);
	if (done)
		import->stored_to = batch->line;
	import->consumed = batch->consumed;
	meter_show(&import->meter, batch->consumed, import->appended + import->known);
	return done;
}

/* Where refused lines are kept aside nothing is read ahead. */
static struct batch *import_next(struct import *import)
{
	struct batch *batch = &import->batches.all[0];
	if (!import->skipping)
		return batches_next(&import->batches, import->batch);
	batch_empty(batch);
	batch_fill(&import->batches, batch);
	return batch;
}

static bool import_all(struct import *import)
{
	struct batch *batch;
	do {
		batch = import->batch = import_next(import);
		while (batch->end == BATCH_IS_BAD && import_may_skip(import, batch->why.status)) {
			if (!import_skip(import, batch->line, batch->refused, &batch->why))
				return false;
			batch_fill(&import->batches, batch);
		}

		if (batch->end == BATCH_IS_BAD)
			return import_refuse(import, batch->line, &batch->why);
		if (batch->end == BATCH_FAILED)
			return import_fail(import, &batch->why);
		if (!import_flush(import))
			return false;
	} while (batch->end != BATCH_IS_LAST);
	return true;
}

static int import_print(struct import *import)
{
	double seconds = meter_seconds(&import->meter);
	int64_t events = import->appended + import->known;
	struct buffer line = { 0 };

	if (!import->cli->json) {
		buffer_format(&line, "%s events in %s (%s/s)", number_text(events),
			      seconds_text(seconds),
			      number_text((int64_t)((double)events / (seconds > 0 ? seconds : 1))));
		if (import->known)
			buffer_format(&line, ", %s of them stored before",
				      number_text(import->known));
		if (import->last_position)
			buffer_format(&line, ", the last at position %lld",
				      (long long)import->last_position);
		if (import->skipped)
			buffer_format(&line, ", %s lines skipped", number_text(import->skipped));
		return cli_line(import->cli, &line);
	}
	json_open(&line, '{');
	json_add_integer(&line, "events", events);
	json_add_integer(&line, "appended", import->appended);
	json_add_integer(&line, "stored_before", import->known);
	json_add_integer(&line, "global_position", import->last_position);
	json_add_number(&line, "seconds", seconds, 3);
	json_add_integer(&line, "skipped", import->skipped);
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
	import->batches.keeps_lines = import->skipping != NULL;
	if (!import->skipping && batches_start(&import->batches, &err) != TIDE_OK)
		return cli_fail(import->cli, &err);
	meter_begin(&import->meter, "import", 0, import->lines.total);
	bool done = import_all(import);
	meter_end(&import->meter, import->consumed, import->appended + import->known);
	if (done) {
		int exit = import_print(import);
		return exit == CLI_DONE && import->skipped ? CLI_FAILED : exit;
	}
	if (import->stored_to)
		cli_note(import->cli,
			 "%s events were stored before that: everything up to line %lld; "
			 "--from-line %lld goes on "
			 "behind it",
			 number_text(import->appended), (long long)import->stored_to,
			 (long long)import->stored_to + 1);
	else
		cli_note(import->cli, "nothing was stored");
	return import->exit;
}

/* The file for refused lines is there before the first event is stored. What it holds may be the
 * very lines that are imported, or those of an earlier import that nobody has mended yet. */
static int import_open_skipping(struct import *import)
{
	const char *path = import->cli->options[OPT_SKIP_BAD].text;
	struct tide_error err;
	struct stat info;

	if (!path)
		return CLI_DONE;
	if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
		tide_fail(&err, TIDE_ALREADY_EXISTS,
			  "--skip-bad '%s': it is there already and not empty; give another name",
			  path);
		return cli_fail(import->cli, &err);
	}
	import->skipping = fopen(path, "we");
	if (import->skipping) {
		setvbuf(import->skipping, NULL, _IOLBF, 0); /* what is told as kept is */
		return CLI_DONE;
	}
	tide_fail(&err, TIDE_IO, "--skip-bad '%s': %s", path, strerror(errno));
	return cli_fail(import->cli, &err);
}

static int import_close_skipping(struct import *import, int exit)
{
	struct tide_error err;

	if (!import->skipping || fclose(import->skipping) == 0)
		return exit;
	tide_fail(&err, TIDE_IO, "--skip-bad '%s': %s", import->cli->options[OPT_SKIP_BAD].text,
		  strerror(errno));
	return cli_fail(import->cli, &err);
}

int cmd_import(struct cli *cli)
{
	const struct option_value *batch = &cli->options[OPT_IMPORT_BATCH];
	const struct option_value *skip_bad = &cli->options[OPT_SKIP_BAD];
	struct import import = { .cli = cli,
				 .capacity = batch->is_set ? (size_t)batch->number : IMPORT_BATCH };
	struct tide_error err;
	int exit;

	if (import.capacity > IMPORT_BATCH_MAX)
		return cli_usage(cli, "--batch-size '%s' is more than %d", batch->text,
				 IMPORT_BATCH_MAX);
	if (skip_bad->is_set && strcmp(skip_bad->text, "-") == 0)
		return cli_usage(cli, "--skip-bad '-' is no file");
	if (line_reader_open(&import.lines, cli->arg_count ? cli->args[0] : NULL, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	exit = import_open_skipping(&import);
	if (exit == CLI_DONE)
		import.store = cli_open(cli, false, &exit);
	if (import.store)
		exit = import_close_skipping(&import, import_run(&import));
	tide_store_close(import.store);
	import_fini(&import);
	return exit;
}

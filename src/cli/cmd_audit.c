/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide audit: proves from the databases alone that nothing was skipped.
 *
 * Happy path: for each segment of a projection, the events of the feed that match its filter are as
 * many as the checkpoint says were processed, dead-lettered ones among them, or discarded.
 * Failure modes: they are not, a stretch between two segments was passed over, or nothing was kept
 * to compare with: each is a finding, and the status is 1.
 */
#include <string.h>
#include <strings.h>

#include "cli/audit.h"
#include "core/url.h"
#include "path/checkpoints.h"
#include "sys/alloc.h"

#define AUDIT_TRIES 20
#define AUDIT_LETTERS 1000

/* ---- What the database says ------------------------------------------------------------------ */

static bool audit_is_same(const struct tide_segment *a, size_t a_count,
			  const struct tide_segment *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (a[i].has_ended != b[i].has_ended || a[i].discarded != b[i].discarded)
			return false;
	return true;
}

static tide_status audit_list(struct audit *audit, struct tide_segment **ret, size_t *ret_count,
			      struct tide_error *err)
{
	struct tide_store *database = audit->checkpoints->database;
	void *session;
	tide_status status = store_borrow(database, &session, err);
	if (status != TIDE_OK)
		return status;
	status = segments_list(database, session, audit->name, ret, ret_count, err);
	store_return(database, session, status);
	return status;
}

/* The row between two equal looks at the segments belongs to them, whoever runs meanwhile. */
static tide_status audit_read(struct audit *audit, struct tide_error *err)
{
	bool is_same = false;
	tide_status status = audit_list(audit, &audit->segments, &audit->segment_count, err);

	for (int i = 0; i < AUDIT_TRIES && status == TIDE_OK && !is_same; i++) {
		struct tide_segment *next;
		size_t count;
		status = tide_checkpoints_load(audit->checkpoints, audit->name, &audit->row, err);
		if (status == TIDE_OK)
			status = audit_list(audit, &next, &count, err);
		if (status != TIDE_OK)
			break;
		is_same = audit_is_same(audit->segments, audit->segment_count, next, count);
		tide_segments_free(audit->segments, audit->segment_count);
		audit->segments = next;
		audit->segment_count = count;
	}
	return status == TIDE_OK && !is_same
		       ? tide_fail(err, TIDE_BUSY, "'%s' begins again and again, try later",
				   audit->name)
		       : status;
}

static tide_status audit_count_letters(struct audit *audit, enum tide_dead_letter_status which,
				       int64_t *ret, struct tide_error *err)
{
	struct tide_dead_letter_query query = { .projection_name = audit->name,
						.status = which,
						.limit = { true, AUDIT_LETTERS },
						.oldest_first = true };
	size_t count = AUDIT_LETTERS;

	while (count == AUDIT_LETTERS) {
		struct tide_dead_letter_list list = { 0 };
		tide_status status = tide_dead_letters_list(audit->checkpoints, &query, &list, err);
		if (status != TIDE_OK)
			return status;
		count = list.count;
		*ret += (int64_t)count;
		if (count > 0)
			query.after_id = list.entries[count - 1].id;
		tide_dead_letters_free(&list);
	}
	return TIDE_OK;
}

static tide_status audit_letters(struct audit *audit, struct tide_error *err)
{
	tide_status status =
		audit_count_letters(audit, TIDE_DEAD_LETTER_FAILED, &audit->dead_letters, err);
	if (status == TIDE_OK)
		status = audit_count_letters(audit, TIDE_DEAD_LETTER_RETRYING, &audit->dead_letters,
					     err);
	if (status == TIDE_OK)
		status = audit_count_letters(audit, TIDE_DEAD_LETTER_RESOLVED,
					     &audit->dead_letters_resolved, err);
	return status;
}

/* ---- What the feed says ---------------------------------------------------------------------- */

/** A stretch of the feed being counted. */
struct audit_stretch {
	const char *filter;
	tide_position from, until;
	int64_t matching;
	tide_position first; /* that matches; 0: none does */
};

/* What cannot be decoded is delivered, too, whatever its filter would say of it. */
static tide_status audit_count(struct audit *audit, struct audit_stretch *stretch,
			       struct tide_error *err)
{
	struct segment_filter filter;
	struct tide_reader *reader;
	const struct tide_event *event = NULL;
	struct meter meter;
	tide_status status = segment_filter_read(stretch->filter, &filter, err);
	if (status != TIDE_OK)
		return status;

	struct tide_query query = { .after = { true, stretch->from } };
	status = tide_store_read(audit->store, &query, &reader, err);
	if (status != TIDE_OK) {
		segment_filter_fini(&filter);
		return status;
	}
	meter_begin(&meter, audit->name, stretch->from, stretch->until);
	while ((status = tide_reader_next(reader, &event, err)) == TIDE_OK && event &&
	       event->position <= stretch->until) {
		if (!tide_filter_matches(&filter.filter, event))
			continue;
		if (stretch->matching++ == 0)
			stretch->first = event->position;
		meter_show(&meter, event->position, stretch->matching);
	}
	meter_end(&meter, stretch->until, stretch->matching);
	tide_reader_close(reader);
	segment_filter_fini(&filter);
	return status;
}

static tide_status audit_segment(struct audit *audit, const struct tide_segment *segment,
				 struct tide_error *err)
{
	int64_t processed =
		(segment->has_ended ? segment->processed_until : audit->row.events_processed) -
		segment->processed_before;
	struct audit_stretch stretch = { .filter = segment->filter,
					 .from = segment->from,
					 .until = segment_reach(segment, &audit->row) };
	tide_status status = audit_count(audit, &stretch, err);
	if (status != TIDE_OK)
		return status;

	audit->matching += stretch.matching;
	audit->processed += processed;
	audit->discarded += segment->discarded;
	int64_t settled = processed + segment->discarded;
	if (stretch.matching != settled)
		audit_find(audit,
			   "positions %lld to %lld hold %lld events for it, %lld were settled "
			   "(processed %lld, discarded %lld)",
			   (long long)(segment->from + 1), (long long)stretch.until,
			   (long long)stretch.matching, (long long)settled, (long long)processed,
			   (long long)segment->discarded);
	return TIDE_OK;
}

/* Between two segments somebody moved the position ahead. */
static tide_status audit_gap(struct audit *audit, const struct tide_segment *segment,
			     const struct tide_segment *next, struct tide_error *err)
{
	struct audit_stretch stretch = { .filter = next->filter,
					 .from = segment_reach(segment, &audit->row),
					 .until = next->from };
	if (stretch.until <= stretch.from)
		return TIDE_OK;
	tide_status status = audit_count(audit, &stretch, err);
	if (status == TIDE_OK && stretch.matching > 0)
		audit_find(audit,
			   "a start at %lld passed over %lld events for it, the first of them at "
			   "%lld",
			   (long long)next->from, (long long)stretch.matching,
			   (long long)stretch.first);
	return status;
}

static tide_status audit_segments(struct audit *audit, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (audit->segment_count == 0)
		audit_find(audit, "nothing was kept to compare with: it has not run since 'tide "
				  "init' made the table projection_segments, or since it was "
				  "reset or accepted");
	for (size_t i = 0; i < audit->segment_count && status == TIDE_OK; i++) {
		status = audit_segment(audit, &audit->segments[i], err);
		if (status == TIDE_OK && i + 1 < audit->segment_count)
			status =
				audit_gap(audit, &audit->segments[i], &audit->segments[i + 1], err);
	}
	return status;
}

/* ---- As lines -------------------------------------------------------------------------------- */

static void audit_json(const struct audit *audit, struct buffer *line)
{
	json_open(line, '{');
	json_add_string(line, "projection_name", audit->name);
	json_add_bool(line, "proven", audit->finding_count == 0);
	json_add_integer(line, "global_position",
			 audit->row.has_position ? audit->row.position : 0);
	json_add_integer(line, "segments", (int64_t)audit->segment_count);
	json_add_integer(line, "events_matching", audit->matching);
	json_add_integer(line, "events_processed", audit->processed);
	json_add_integer(line, "events_discarded", audit->discarded);
	json_add_integer(line, "dead_letters", audit->dead_letters);
	json_add_integer(line, "dead_letters_resolved", audit->dead_letters_resolved);
	json_key(line, "tables_compared");

	if (audit->is_deep)
		json_integer(line, audit->tables_compared);
	else
		json_null(line);
	json_key(line, "rows_different");
	if (audit->is_deep)
		json_integer(line, audit->rows_different);
	else
		json_null(line);
	json_key(line, "findings");
	json_open(line, '[');
	for (size_t i = 0; i < audit->finding_count; i++)
		json_string(line, audit->findings[i]);
	json_close(line, ']');
	json_close(line, '}');
}

static void audit_text(const struct audit *audit, struct buffer *line)
{
	buffer_format(line, "'%s' is %s: up to position %lld, %s events were for it, %s processed",
		      audit->name, audit->finding_count ? "not proven" : "proven",
		      (long long)(audit->row.has_position ? audit->row.position : 0),
		      number_text(audit->matching), number_text(audit->processed));
	if (audit->discarded)
		buffer_format(line, ", %s discarded", number_text(audit->discarded));

	if (audit->dead_letters + audit->dead_letters_resolved)
		buffer_format(line, ", dead letters: %s unresolved, %s resolved",
			      number_text(audit->dead_letters),
			      number_text(audit->dead_letters_resolved));
	if (audit->is_deep)
		buffer_format(line, "; tables compared with a fold of the log: %s",
			      number_text(audit->tables_compared));
	for (size_t i = 0; i < audit->finding_count; i++)
		buffer_format(line, "\n  %s", audit->findings[i]);
}

static int audit_print(struct audit *audit)
{
	struct buffer line = { 0 };
	if (audit->is_out_of_memory)
		return cli_out_of_memory(audit->cli);
	if (audit->cli->json)
		audit_json(audit, &line);
	else
		audit_text(audit, &line);
	int exit = cli_line(audit->cli, &line);
	return exit == CLI_DONE && audit->finding_count ? CLI_FAILED : exit;
}

static void audit_fini(struct audit *audit)
{
	for (size_t i = 0; i < audit->finding_count; i++)
		tide_free(audit->findings[i]);
	tide_segments_free(audit->segments, audit->segment_count);
}

static const char *audit_url(const struct cli *cli)
{
	const char *into = cli->options[OPT_INTO].text;
	return into ? into : cli->store_url;
}

static bool audit_is_postgres(const struct cli *cli)
{
	return strncasecmp(audit_url(cli), "postgres", 8) == 0;
}

static int audit_fold(void *self, struct fold *fold, const char *url)
{
	return fold_run(fold, url, self);
}

/* A fold is of one position. */
static tide_status audit_refuse_lanes(const struct audit *audit, struct tide_error *err)
{
	struct tide_group group;
	tide_status status = checkpoints_group(audit->checkpoints, audit->name, &group, err);
	if (status != TIDE_OK || (group.lanes < 2 && !strchr(audit->name, '#')))
		return status;
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "'%s' is of lanes, whose read model stands at several positions; --deep "
			 "compares one that stands at one: run it without lanes first",
			 audit->name);
}

static int audit_deep(struct audit *audit, const char *file)
{
	struct audit_other other = { .reach = audit_fold, .self = (void *)(uintptr_t)file };
	struct tide_url url;
	struct tide_error err;
	int exit;

	audit->is_deep = true;
	/* what fails in the fold is no news: it was set aside or dropped before */
	if (!audit->cli->options[OPT_VERBOSE].is_set)
		tide_log_set(cli_log, audit->cli, TIDE_LOG_CRITICAL);
	if (audit_is_postgres(audit->cli))
		return audit_compare_postgres(audit, audit_url(audit->cli), &other);
	if (url_parse(audit_url(audit->cli), &url, &err) != TIDE_OK)
		return cli_fail(audit->cli, &err);

	if (strcmp(url.scheme, "sqlite") == 0 && strcmp(url.rest, ":memory:") != 0) {
		exit = audit_compare_sqlite(audit, url.rest, &other);
	} else {
		tide_fail(&err, TIDE_UNSUPPORTED,
			  "--deep audits read models in SQLite files and PostgreSQL");
		exit = cli_fail(audit->cli, &err);
	}
	url_fini(&url);
	return exit;
}

static int audit_one(struct cli *cli, struct tide_store *store,
		     struct tide_checkpoints *checkpoints, const char *name)
{
	struct audit audit = {
		.cli = cli, .store = store, .checkpoints = checkpoints, .name = name
	};
	struct tide_error err;
	int exit = CLI_DONE;

	tide_status status =
		cli->options[OPT_AUDIT_DEEP].is_set ? audit_refuse_lanes(&audit, &err) : TIDE_OK;
	if (status == TIDE_OK)
		status = audit_read(&audit, &err);
	if (status == TIDE_OK)
		status = audit_segments(&audit, &err);
	if (status == TIDE_OK)
		status = audit_letters(&audit, &err);
	if (status != TIDE_OK)
		exit = cli_fail(cli, &err);
	if (exit == CLI_DONE && cli->options[OPT_AUDIT_DEEP].is_set)
		exit = audit_deep(&audit, cli->options[OPT_AUDIT_FILE].text);
	if (exit == CLI_DONE)
		exit = audit_print(&audit);
	audit_fini(&audit);
	return exit;
}

static int audit_all(struct cli *cli, struct tide_store *store,
		     struct tide_checkpoints *checkpoints)
{
	struct tide_checkpoint *rows;
	struct tide_error err;
	size_t count;
	int worst = CLI_DONE;

	if (tide_checkpoints_list(checkpoints, &rows, &count, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	for (size_t i = 0; i < count; i++) {
		int exit = audit_one(cli, store, checkpoints, rows[i].projection_name);
		if (exit > worst)
			worst = exit;
	}
	tide_free(rows);
	if (count == 0)
		cli_note(cli, "no projection has a checkpoint yet");
	return worst;
}

int cmd_audit(struct cli *cli)
{
	bool is_all = cli->options[OPT_AUDIT_ALL].is_set;
	bool is_deep = cli->options[OPT_AUDIT_DEEP].is_set;
	struct tide_checkpoints *checkpoints = NULL;
	int exit;

	if (is_all == (cli->arg_count == 1))
		return cli_usage(cli,
				 is_all ? "--all audits every projection, not '%s'"
					: "audit needs the name of a projection, or --all%s",
				 is_all ? cli->args[0] : "");
	if (is_deep != cli->options[OPT_AUDIT_FILE].is_set || (is_deep && is_all))
		return cli_usage(cli, is_deep && is_all ? "--deep audits one projection, not --all"
							: "--deep and --file FILE go together");

	/* the scratch of a fold in PostgreSQL is in the same database */
	enum cli_access access = is_deep && audit_is_postgres(cli) ? CLI_WRITE : CLI_READ;
	struct tide_store *store = cli_open(cli, access == CLI_READ, &exit);
	if (store)
		checkpoints = cli_open_checkpoints(cli, store, access, &exit);
	if (checkpoints)
		exit = is_all ? audit_all(cli, store, checkpoints)
			      : audit_one(cli, store, checkpoints, cli->args[0]);
	tide_checkpoints_close(checkpoints);
	tide_store_close(store);
	return exit;
}

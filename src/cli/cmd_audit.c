/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide audit: proves from the databases alone that nothing was skipped.
 *
 * Happy path: for each segment of a projection, the events of the feed that match its filter are as
 * many as the checkpoint says were processed, dead-lettered ones among them, or discarded; and each
 * event is in one of them. Of a name with lanes these are the segments of all lanes it ever had.
 * Failure modes: they are not, a stretch between two segments was passed over, or nothing was kept
 * to compare with: each is a finding, and the status is 1.
 */
#include <string.h>
#include <strings.h>

#include "cli/audit.h"
#include "core/event.h"
#include "core/url.h"
#include "path/checkpoints.h"
#include "path/family.h"
#include "sys/alloc.h"

#define AUDIT_TRIES 20
#define AUDIT_LETTERS 1000

/* ---- Whose it is ----------------------------------------------------------------------------- */

/* A lane of a name, or the name: `*ret` is where the lanes of `name` are told. */
static tide_status audit_find_title(struct tide_checkpoints *checkpoints, const char *name,
				    char title[TIDE_NAME_MAX + 1], struct tide_group *ret,
				    struct tide_lane *ret_lane, struct tide_error *err)
{
	const char *end = strrchr(name, '#');
	*ret_lane = (struct tide_lane){ 0, 0 };
	snprintf(title, TIDE_NAME_MAX + 1, "%.*s", end ? (int)(end - name) : TIDE_NAME_MAX, name);
	if (end && family_has(title, name, ret_lane)) {
		tide_status status = checkpoints_group(checkpoints, title, ret, err);
		if (status != TIDE_OK || ret->lanes > 0)
			return status;
	}
	*ret_lane = (struct tide_lane){ 0, 0 };
	snprintf(title, TIDE_NAME_MAX + 1, "%.255s", name);
	return checkpoints_group(checkpoints, title, ret, err);
}

static tide_status audit_identify(struct audit *audit, struct tide_error *err)
{
	struct tide_group group;
	tide_status status = audit_find_title(audit->checkpoints, audit->name, audit->title, &group,
					      &audit->lane, err);
	audit->is_family = group.lanes > 0;
	audit->lanes = audit->lane.total > 0 ? audit->lane.total
		       : group.lanes > 1     ? group.lanes
					     : 1;
	return status;
}

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
	status =
		audit->is_family
			? segments_list_family(database, session, audit->title, ret, ret_count, err)
			: segments_list(database, session, audit->title, ret, ret_count, err);
	store_return(database, session, status);
	return status;
}

static bool audit_is_row(const struct audit *audit, const char *row_name)
{
	struct tide_lane lane;
	return strcmp(row_name, audit->title) == 0 ||
	       (audit->is_family && family_has(audit->title, row_name, &lane));
}

static tide_status audit_read_rows(struct audit *audit, struct tide_error *err)
{
	size_t count = 0;
	tide_free(audit->rows);
	audit->rows = NULL;
	audit->row_count = 0;
	tide_status status = tide_checkpoints_list(audit->checkpoints, &audit->rows, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		if (audit_is_row(audit, audit->rows[i].projection_name))
			audit->rows[audit->row_count++] = audit->rows[i];
	return status;
}

/* The rows between two equal looks at the segments belong to them, whoever runs meanwhile. */
static tide_status audit_read(struct audit *audit, struct tide_error *err)
{
	bool is_same = false;
	tide_status status = audit_list(audit, &audit->segments, &audit->segment_count, err);

	for (int i = 0; i < AUDIT_TRIES && status == TIDE_OK && !is_same; i++) {
		struct tide_segment *next;
		size_t count;
		status = audit_read_rows(audit, err);
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

static void audit_put_present(struct audit *audit, const struct tide_checkpoint *row, bool *found)
{
	struct tide_lane lane = { 0, 1 };
	if (strcmp(row->projection_name, audit->title) != 0)
		(void)family_has(audit->title, row->projection_name, &lane);
	if (lane.total != audit->lanes || !audit_counts(audit, row->projection_name))
		return;
	tide_position position = row->has_position ? row->position : 0;
	audit->present[lane.index] = position;
	if (!*found || position < audit->position)
		audit->position = position;
	*found = true;
}

/* Where it is to be proven up to. */
static tide_status audit_find_present(struct audit *audit, struct tide_error *err)
{
	bool found = false;
	audit->present = alloc_zero(audit->lanes, sizeof *audit->present);
	if (!audit->present)
		return alloc_fail(err);
	for (uint32_t i = 0; i < audit->lanes; i++)
		audit->present[i] = -1;
	for (size_t i = 0; i < audit->row_count; i++)
		audit_put_present(audit, &audit->rows[i], &found);

	for (uint32_t i = 0; found && audit->lane.total == 0 && i < audit->lanes; i++)
		if (audit->present[i] < 0)
			audit_find(audit,
				   "its lane %u/%u has no checkpoint, which would tell how far it "
				   "has come",
				   i, audit->lanes);
	struct tide_checkpoint row; /* says why there is none */
	return found ? TIDE_OK : tide_checkpoints_load(audit->checkpoints, audit->name, &row, err);
}

/* ---- Dead letters ---------------------------------------------------------------------------- */

static bool audit_keep_letter(struct audit *audit, const struct tide_dead_letter *entry)
{
	if (audit->letter_count == audit->letter_capacity) {
		size_t capacity = audit->letter_capacity ? audit->letter_capacity * 2 : 64;
		struct audit_letter *more = alloc_resize(audit->letters, capacity, sizeof *more);
		if (!more)
			return false;
		audit->letters = more;
		audit->letter_capacity = capacity;
	}
	audit->letters[audit->letter_count++] =
		(struct audit_letter){ entry->event_id,
				       entry->status == TIDE_DEAD_LETTER_RESOLVED };
	return true;
}

/* They are kept under the title; a lane has those whose aggregate falls to it. */
static tide_status audit_put_letter(struct audit *audit, const struct tide_dead_letter *entry,
				    struct tide_error *err)
{
	struct event_place place;
	tide_status status = event_read_place(tide_text(entry->event_data), &place, err);
	if (status != TIDE_OK || !event_place_is_in(&place, audit->lane.index, audit->lane.total))
		return status;
	if (entry->status == TIDE_DEAD_LETTER_RESOLVED)
		audit->dead_letters_resolved++;
	else
		audit->dead_letters++;
	return audit_keep_letter(audit, entry) ? TIDE_OK : alloc_fail(err);
}

static tide_status audit_letters(struct audit *audit, struct tide_error *err)
{
	struct tide_dead_letter_query query = { .projection_name = audit->title,
						.any_status = true,
						.limit = { true, AUDIT_LETTERS },
						.oldest_first = true };
	size_t count = AUDIT_LETTERS;

	while (count == AUDIT_LETTERS) {
		struct tide_dead_letter_list list = { 0 };
		tide_status status = tide_dead_letters_list(audit->checkpoints, &query, &list, err);
		count = list.count;
		for (size_t i = 0; status == TIDE_OK && i < count; i++)
			status = audit_put_letter(audit, &list.entries[i], err);
		if (status == TIDE_OK && count > 0)
			query.after_id = list.entries[count - 1].id;
		tide_dead_letters_free(&list);
		if (status != TIDE_OK)
			return status;
	}
	return TIDE_OK;
}

/* ---- As lines -------------------------------------------------------------------------------- */

static int64_t audit_segment_count(const struct audit *audit)
{
	int64_t count = 0;
	for (size_t i = 0; i < audit->segment_count; i++)
		count += audit_counts(audit, audit->segments[i].name);
	return count;
}

/* That are audited together; 1: it has none, or is one. */
static uint32_t audit_lanes(const struct audit *audit)
{
	return audit->lane.total > 0 ? 1 : audit->lanes;
}

static void audit_json_stretches(const struct audit *audit, struct buffer *line)
{
	json_key(line, "stretches");
	json_open(line, '[');
	for (size_t i = 0; i < audit->stretch_count; i++) {
		const struct audit_stretch *stretch = &audit->stretches[i];
		if (!stretch->is_counted)
			continue;

		json_open(line, '{');
		json_add_string(line, "row", stretch->segment->name);
		json_add_integer(line, "behind", stretch->segment->from);
		json_add_integer(line, "until", stretch->until);
		json_add_integer(line, "matching", stretch->matching);
		json_add_integer(line, "processed", stretch->processed);
		json_add_integer(line, "discarded", stretch->segment->discarded);
		json_add_integer(line, "unresolved", stretch->unresolved);
		json_add_integer(line, "resolved", stretch->resolved);
		json_close(line, '}');
	}
	json_close(line, ']');
}

static void audit_json(const struct audit *audit, struct buffer *line)
{
	json_open(line, '{');
	json_add_string(line, "projection_name", audit->name);
	json_add_bool(line, "proven", audit->finding_count == 0);
	json_add_integer(line, "global_position", audit->position);
	json_add_integer(line, "segments", audit_segment_count(audit));
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
	json_add_integer(line, "lanes", audit_lanes(audit));
	json_add_integer(line, "from_position", audit->behind);
	audit_json_stretches(audit, line);
	json_close(line, '}');
}

static void audit_text(const struct audit *audit, struct buffer *line)
{
	buffer_format(line, "'%s' is %s: ", audit->name,
		      audit->finding_count ? "not proven" : "proven");
	if (audit->behind > 0)
		buffer_format(line, "behind position %lld ", (long long)audit->behind);
	buffer_format(line, "up to position %lld", (long long)audit->position);
	if (audit_lanes(audit) > 1)
		buffer_format(line, " in %u lanes", audit_lanes(audit));
	buffer_format(line, ", %s events were for it, %s processed", number_text(audit->matching),
		      number_text(audit->processed));
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
	for (size_t i = 0; i < audit->stretch_count; i++)
		segment_filter_fini(&audit->stretches[i].filter);
	tide_free(audit->stretches);
	tide_segments_free(audit->segments, audit->segment_count);
	tide_free(audit->letters);
	tide_free(audit->present);
	tide_free(audit->rows);
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

/* Its tables are those of all lanes. */
static tide_status audit_refuse_lane(const struct audit *audit, struct tide_error *err)
{
	if (audit->lane.total > 0)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' is a lane of '%s', whose tables all its lanes fill; --deep "
				 "compares those of '%s'",
				 audit->name, audit->title, audit->title);
	if (strchr(audit->name, '#'))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' is a partition by hand, whose tables others may fill, too",
				 audit->name);
	return TIDE_OK;
}

/* What was handled before anything was kept is in the tables, and in no fold of what came since. */
static bool audit_has_earlier(struct audit *audit)
{
	const struct tide_segment *first = audit->segments;
	if (audit->segment_count == 0 || first->processed_before == 0)
		return false;
	audit_find(audit,
		   "its tables are not compared: it had handled %lld events up to position %lld "
		   "before anything was kept of it; tide rebuild %.200s makes them anew",
		   (long long)first->processed_before, (long long)first->from, audit->name);
	return true;
}

static int audit_deep(struct audit *audit, const char *file)
{
	struct audit_other other = { .reach = audit_fold, .self = (void *)(uintptr_t)file };
	struct tide_url url;
	struct tide_error err;
	int exit;

	audit->is_deep = true;
	if (audit_has_earlier(audit))
		return CLI_DONE;
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

	tide_status status = audit_identify(&audit, &err);
	if (status == TIDE_OK && cli->options[OPT_AUDIT_DEEP].is_set)
		status = audit_refuse_lane(&audit, &err);
	if (status == TIDE_OK)
		status = audit_read(&audit, &err);
	if (status == TIDE_OK)
		status = audit_find_present(&audit, &err);
	if (status == TIDE_OK)
		status = audit_letters(&audit, &err);
	if (status == TIDE_OK)
		status = audit_count(&audit, &err);
	if (status != TIDE_OK)
		exit = cli_fail(cli, &err);
	if (exit == CLI_DONE && cli->options[OPT_AUDIT_DEEP].is_set)
		exit = audit_deep(&audit, cli->options[OPT_AUDIT_FILE].text);
	if (exit == CLI_DONE)
		exit = audit_print(&audit);
	audit_fini(&audit);
	return exit;
}

/* Lanes are told once, together. */
static bool audit_is_told(const struct tide_checkpoint *rows, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(rows[i].projection_name, rows[at].projection_name) == 0)
			return true;
	return false;
}

static int audit_all(struct cli *cli, struct tide_store *store,
		     struct tide_checkpoints *checkpoints)
{
	ALLOC_AUTO struct tide_checkpoint *rows = NULL;
	struct tide_error err;
	size_t count;
	int worst = CLI_DONE;

	if (tide_checkpoints_list(checkpoints, &rows, &count, &err) != TIDE_OK)
		return cli_fail(cli, &err);
	for (size_t i = 0; i < count; i++) {
		/* the row stands for its name from here on */
		struct tide_group group;
		struct tide_lane lane;
		char title[TIDE_NAME_MAX + 1];
		if (audit_find_title(checkpoints, rows[i].projection_name, title, &group, &lane,
				     &err) != TIDE_OK)
			return cli_fail(cli, &err);
		snprintf(rows[i].projection_name, sizeof rows[i].projection_name, "%s", title);
		if (audit_is_told(rows, i))
			continue;
		int exit = audit_one(cli, store, checkpoints, title);
		if (exit > worst)
			worst = exit;
	}
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

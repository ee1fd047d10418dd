/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tide doctor: what may be wrong with a store, and what to do about it.
 *
 * A list of checks; each adds findings. What only SQLite can tell is asked over the store's own
 * connection; other backends examine themselves.
 */
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "path/checkpoints.h"
#include "path/port.h"

#define PAUSE_LONG_US ((int64_t)24 * 3600 * 1000000)
#define WAL_SIZE_MUCH (256 << 20)
#define WAL_PAGES_MUCH 4000 /* four times what makes SQLite copy them into the database by itself */
#define FINDINGS_SHOWN 5

/** One examination. */
struct doctor_call {
	struct cli *cli;
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	sqlite3 *db; /* NULL: not an SQLite store */
	struct table table;
	int problems;
};

static void doctor_report(void *self, enum tide_finding_level level, const char *check,
			  const char *advice, const char *finding)
{
	static const char *const levels[] = { "ok", "notice", "problem" };
	struct doctor_call *call = self;
	struct buffer line = { 0 };

	call->problems += level == TIDE_FINDING_PROBLEM;
	if (!call->cli->json) {
		table_add(&call->table, "%s", levels[level]);
		table_add(&call->table, "%s", check);
		table_add(&call->table, "%s%s%s", finding, *advice ? ": " : "", advice);
		return;
	}
	json_open(&line, '{');
	json_add_string(&line, "check", check);
	json_add_string(&line, "level", levels[level]);
	json_add_string(&line, "finding", finding);
	json_add_string(&line, "advice", *advice ? advice : NULL);
	json_close(&line, '}');
	cli_line(call->cli, &line);
}

static void doctor_add(struct doctor_call *call, enum tide_finding_level level, const char *check,
		       const char *advice, const char *format, ...) TIDE_PRINTF(5, 6);

static void doctor_add(struct doctor_call *call, enum tide_finding_level level, const char *check,
		       const char *advice, const char *format, ...)
{
	char finding[512];
	va_list list;

	va_start(list, format);
	vsnprintf(finding, sizeof finding, format, list);
	va_end(list);
	doctor_report(call, level, check, advice, finding);
}

/* The check could not be made: that is a finding as well, with the error's own words. */
static void doctor_unable(struct doctor_call *call, const char *check, const struct tide_error *err)
{
	doctor_add(call, TIDE_FINDING_PROBLEM, check, "", "%s", err->message);
}

static sqlite3_stmt *doctor_prepare(struct doctor_call *call, const char *check, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(call->db, sql, -1, &statement, NULL) == SQLITE_OK)
		return statement;
	doctor_add(call, TIDE_FINDING_PROBLEM, check, "", "%s", sqlite3_errmsg(call->db));
	return NULL;
}

static const char *doctor_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text ? text : "";
}

static void doctor_integrity(struct doctor_call *call)
{
	sqlite3_stmt *statement =
		call->db ? doctor_prepare(call, "integrity", "PRAGMA quick_check(5)") : NULL;

	while (statement && sqlite3_step(statement) == SQLITE_ROW) {
		const char *text = doctor_text(statement, 0);
		if (strcmp(text, "ok") == 0)
			doctor_add(call, TIDE_FINDING_OK, "integrity", "", "the file is sound");
		else
			doctor_add(call, TIDE_FINDING_PROBLEM, "integrity",
				   "restore a backup, or export what can be read and import it "
				   "into a new store",
				   "%s", text);
	}
	sqlite3_finalize(statement);
}

/* Opening has found every table and column; indexes are only missed when reads are slow. */
static void doctor_indexes(struct doctor_call *call)
{
	static const char *const names[] = { "idx_events_event_type", "idx_events_tenant_id",
					     "idx_dlq_projection_status",
					     "idx_dlq_first_failed_at" };
	size_t missing = 0;

	doctor_add(call, TIDE_FINDING_OK, "schema", "", "every table and column is there");
	for (size_t i = 0; call->db && i < sizeof names / sizeof *names; i++) {
		sqlite3_stmt *statement = doctor_prepare(
			call, "indexes",
			"SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?");
		if (!statement)
			return;
		sqlite3_bind_text(statement, 1, names[i], -1, SQLITE_STATIC);
		if (sqlite3_step(statement) != SQLITE_ROW) {
			missing++;
			doctor_add(call, TIDE_FINDING_PROBLEM, "indexes", "tide init makes it",
				   "'%s' is missing", names[i]);
		}
		sqlite3_finalize(statement);
	}
	if (call->db && !missing)
		doctor_add(call, TIDE_FINDING_OK, "indexes", "", "every index is there");
}

static void doctor_holes(struct doctor_call *call)
{
	sqlite3_stmt *statement = NULL;
	int64_t holes = 0;

	if (call->db)
		statement =
			doctor_prepare(call, "streams",
				       "SELECT aggregate_type, lower(aggregate_id), count(*), "
				       "min(version), max(version) "
				       "FROM events GROUP BY lower(aggregate_id), aggregate_type "
				       "HAVING min(version) <> 1 OR max(version) <> count(*)");
	if (!statement)
		return;
	while (sqlite3_step(statement) == SQLITE_ROW) {
		if (holes++ >= FINDINGS_SHOWN)
			continue;
		doctor_add(call, TIDE_FINDING_PROBLEM, "streams",
			   "events were deleted behind the store's back; restore them",
			   "'%s/%s' has %lld events between versions %lld and %lld",
			   doctor_text(statement, 0), doctor_text(statement, 1),
			   (long long)sqlite3_column_int64(statement, 2),
			   (long long)sqlite3_column_int64(statement, 3),
			   (long long)sqlite3_column_int64(statement, 4));
	}
	sqlite3_finalize(statement);
	if (holes > FINDINGS_SHOWN)
		doctor_add(call, TIDE_FINDING_PROBLEM, "streams", "",
			   "%s streams in all have holes", number_text(holes));
	if (!holes)
		doctor_add(call, TIDE_FINDING_OK, "streams", "", "no stream has a hole");
}

/* The newest event at or below a position; 0: none, or none that can be read. */
static tide_position doctor_newest(struct doctor_call *call, tide_position position)
{
	struct tide_query query = { .backward = true,
				    .before = { true, position + 1 },
				    .limit = { true, 1 },
				    .unsettled = true };
	struct tide_reader *reader = NULL;
	const struct tide_event *event = NULL;

	if (tide_store_read(call->store, &query, &reader, NULL) == TIDE_OK)
		(void)tide_reader_next(reader, &event, NULL);
	tide_position newest = event ? event->position : 0;
	tide_reader_close(reader);
	return newest;
}

/* Whether events lie between a position and the event that it was saved on, which is there. */
static bool doctor_has_moved(struct doctor_call *call, const struct tide_checkpoint *row,
			     tide_position end)
{
	tide_position saved_on = row->anchor.position;
	if (!row->has_position || saved_on == 0 || saved_on >= row->position || saved_on >= end)
		return false;

	tide_position newest = doctor_newest(call, row->position < end ? row->position : end);
	if (newest <= saved_on)
		return false;
	doctor_add(call, TIDE_FINDING_NOTICE, "checkpoints",
		   "it was moved, or began there; tide audit tells whether they were handled",
		   "'%s' is at %lld, was saved on the event at %lld, and events up to %lld lie "
		   "between",
		   row->projection_name, (long long)row->position, (long long)saved_on,
		   (long long)newest);
	return true;
}

/* Where what it was saved on is still the newest event, it began there, or was accepted there. */
static void doctor_beyond(struct doctor_call *call, const struct tide_checkpoint *row,
			  tide_position end)
{
	bool is_meant = row->anchor.position > 0 && row->anchor.position == end;
	doctor_add(call, is_meant ? TIDE_FINDING_NOTICE : TIDE_FINDING_PROBLEM, "checkpoints",
		   is_meant ? "no event up to there will be handled; if that is not meant, tide "
			      "checkpoints rewind"
			    : "the events were replaced by others; rebuild the projection, or "
			      "reset its checkpoint",
		   "'%s' is at %lld, beyond the end of the feed at %lld", row->projection_name,
		   (long long)row->position, (long long)end);
}

static void doctor_checkpoints(struct doctor_call *call)
{
	struct tide_checkpoint *rows = NULL;
	struct tide_error err;
	tide_position end;
	size_t count = 0, wrong = 0;

	if (tide_store_end(call->store, &end, &err) != TIDE_OK ||
	    tide_checkpoints_list(call->checkpoints, &rows, &count, &err) != TIDE_OK) {
		doctor_unable(call, "checkpoints", &err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (tide_checkpoints_verify(call->checkpoints, rows[i].projection_name, &err) ==
		    TIDE_DIVERGED) {
			wrong++;
			doctor_add(call, TIDE_FINDING_PROBLEM, "checkpoints", "", "%s",
				   err.message);
			continue;
		}
		wrong += doctor_has_moved(call, &rows[i], end);
		if (!rows[i].has_position || rows[i].position <= end)
			continue;
		wrong++;
		doctor_beyond(call, &rows[i], end);
	}
	tide_free(rows);
	if (!wrong)
		doctor_add(
			call, TIDE_FINDING_OK, "checkpoints", "",
			"%zu, none beyond the end of the feed at %lld or on events that are gone",
			count, (long long)end);
}

static void doctor_dead_letters(struct doctor_call *call)
{
	struct tide_dead_letter_count *counts = NULL;
	struct tide_error err;
	size_t count = 0;

	if (tide_dead_letters_counts(call->checkpoints, &counts, &count, &err) != TIDE_OK) {
		doctor_unable(call, "dead letters", &err);
		return;
	}
	for (size_t i = 0; i < count; i++)
		doctor_add(call, TIDE_FINDING_PROBLEM, "dead letters",
			   "look with tide dead-letters, mend the cause, then retry, resolve or "
			   "discard them",
			   "'%s' has %s, the oldest since %s", counts[i].projection_name,
			   number_text(counts[i].failure_count),
			   time_text(true, counts[i].oldest_failure));
	tide_free(counts);
	if (!count)
		doctor_add(call, TIDE_FINDING_OK, "dead letters", "", "none");
}

/* A pause that was forgotten looks like a projection that is late. */
static void doctor_pauses(struct doctor_call *call)
{
	struct tide_control *list = NULL;
	struct tide_error err;
	size_t count = 0, old = 0;

	if (tide_controls_list(call->checkpoints, &list, &count, &err) != TIDE_OK) {
		doctor_unable(call, "pauses", &err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		int64_t us = tide_time_now().unix_us - list[i].paused_at.unix_us;
		if (us < PAUSE_LONG_US)
			continue;
		old++;
		doctor_add(call, TIDE_FINDING_NOTICE, "pauses",
			   "end it with tide resume when its reason is gone",
			   "'%s' is paused by %s since %s (%s)%s%.200s", list[i].name,
			   list[i].paused_by, time_text(true, list[i].paused_at),
			   tide_pause_reason_name(list[i].reason), *list[i].note ? ": " : "",
			   list[i].note);
	}
	tide_free(list);
	if (!old)
		doctor_add(call, TIDE_FINDING_OK, "pauses", "", "%zu, none older than a day",
			   count);
}

static bool doctor_has_versions(struct doctor_call *call)
{
	sqlite3_stmt *statement = NULL;

	if (call->db)
		statement = doctor_prepare(
			call, "projections",
			"SELECT 1 FROM sqlite_master WHERE name = 'projection_versions'");
	bool has_versions = statement && sqlite3_step(statement) == SQLITE_ROW;
	sqlite3_finalize(statement);
	return has_versions;
}

/* What each projection made, and whether it is still there and its alone. */
static void doctor_projections(struct doctor_call *call)
{
	static const char check[] = "projections";
	sqlite3_stmt *statement = NULL;

	if (doctor_has_versions(call))
		statement = doctor_prepare(
			call, check,
			"SELECT v.name, t.value, EXISTS (SELECT 1 FROM sqlite_master m WHERE "
			"lower(m.name) = t.value), "
			"(SELECT count(*) FROM projection_versions o, json_each(o.tables) u WHERE "
			"u.value = t.value) "
			"FROM projection_versions v, json_each(v.tables) t ORDER BY 1, 2");
	while (statement && sqlite3_step(statement) == SQLITE_ROW) {
		const char *name = doctor_text(statement, 0), *table = doctor_text(statement, 1);
		if (!sqlite3_column_int(statement, 2))
			doctor_add(call, TIDE_FINDING_PROBLEM, check,
				   "build it anew: tide project FILE --reset",
				   "table '%s' of projection '%s' is gone", table, name);
		else if (sqlite3_column_int(statement, 3) > 1)
			doctor_add(call, TIDE_FINDING_PROBLEM, check,
				   "give each projection tables of its own",
				   "table '%s' of projection '%s' is made by another one, too",
				   table, name);
		else
			doctor_add(call, TIDE_FINDING_OK, check, "", "'%s' makes table '%s'", name,
				   table);
	}
	sqlite3_finalize(statement);
}

static void doctor_wal(struct doctor_call *call)
{
	const char *path = call->db ? sqlite3_db_filename(call->db, "main") : NULL;
	char wal[4096];
	struct stat stat_of;

	if (!path || !*path || snprintf(wal, sizeof wal, "%s-wal", path) >= (int)sizeof wal)
		return;
	int64_t size = stat(wal, &stat_of) == 0 ? stat_of.st_size : 0;
	int pages = 0, copied = 0;
	int code = sqlite3_wal_checkpoint_v2(call->db, "main", SQLITE_CHECKPOINT_PASSIVE, &pages,
					     &copied);
	if (code == SQLITE_OK && pages > WAL_PAGES_MUCH && copied < pages)
		doctor_add(call, TIDE_FINDING_NOTICE, "write-ahead log",
			   "a reader pins it, so it grows with every write: end the process that "
			   "reads for so long",
			   "%s of its %s pages cannot be copied into the database",
			   number_text(pages - copied), number_text(pages));
	else if (size > WAL_SIZE_MUCH)
		doctor_add(call, TIDE_FINDING_NOTICE, "write-ahead log",
			   "a reader holds it open; end long reads, it shrinks when the last "
			   "process closes the store",
			   "%s MiB", number_text(size >> 20));
	else
		doctor_add(call, TIDE_FINDING_OK, "write-ahead log", "", "%s KiB",
			   number_text(size >> 10));
}

static void doctor_try_writing(struct doctor_call *call, struct tide_store *store,
			       tide_report report)
{
	struct tide_error err;
	void *session;

	if (!port_examines_writing(store))
		return;
	tide_status status = store_borrow(store, &session, &err);
	if (status == TIDE_OK) {
		status = port_examine_writing(store, session, report, call, &err);
		store_return(store, session, status);
	}
	if (status != TIDE_OK)
		report(call, TIDE_FINDING_PROBLEM, "writing", "", err.message);
}

static void doctor_report_into(void *self, enum tide_finding_level level, const char *check,
			       const char *advice, const char *finding)
{
	char name[40];

	snprintf(name, sizeof name, "%s (--into)", check);
	doctor_report(self, level, name, advice, finding);
}

static void doctor_writing(struct doctor_call *call)
{
	doctor_try_writing(call, call->store, doctor_report);
	if (call->checkpoints->database != call->store)
		doctor_try_writing(call, call->checkpoints->database, doctor_report_into);
}

/* The last run ended in error, and nobody has started another one since. */
static void doctor_ended(struct doctor_call *call)
{
	struct tide_lease_info *leases = NULL;
	struct tide_error err;
	size_t count = 0, ended = 0;

	if (checkpoints_leases(call->checkpoints, &leases, &count, &err) != TIDE_OK) {
		doctor_unable(call, "projections", &err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct tide_lease_info *one = &leases[i];
		bool was_last = one->has_last_error &&
				one->last_error_at.unix_us >= one->acquired_at.unix_us;
		if (one->is_owned || !was_last)
			continue;
		char advice[400];
		snprintf(advice, sizeof advice,
			 "mend the cause and start it again; or tide checkpoints release %s, which "
			 "forgets the error of "
			 "a projection that is not wanted any more",
			 one->name);
		ended++;
		doctor_add(call, TIDE_FINDING_PROBLEM, "projections", advice,
			   "'%s' ended in error at %s on %s (pid %d): %s", one->name,
			   time_text(true, one->last_error_at),
			   *one->host ? one->host : "an unknown host", one->pid, one->last_error);
	}
	tide_free(leases);
	if (!ended)
		doctor_add(call, TIDE_FINDING_OK, "projections", "", "none has ended in error");
}

static void doctor_rows(struct doctor_call *call)
{
	struct tide_reader *reader;
	const struct tide_event *event = NULL;
	struct tide_error err;
	int64_t wrong = 0;

	tide_status status = tide_store_read(call->store, &(struct tide_query){ 0 }, &reader, &err);
	while (status == TIDE_OK) {
		status = tide_reader_next(reader, &event, &err);
		if (status == TIDE_OK && !event)
			break;
		if (status != TIDE_DECODE)
			continue;
		if (wrong++ < FINDINGS_SHOWN)
			doctor_add(call, TIDE_FINDING_PROBLEM, "rows",
				   "subscriptions dead-letter it; mend the row, or leave it", "%s",
				   err.message);
		status = TIDE_OK;
	}
	tide_reader_close(reader);
	if (status != TIDE_OK)
		doctor_unable(call, "rows", &err);
	else if (wrong > FINDINGS_SHOWN)
		doctor_add(call, TIDE_FINDING_PROBLEM, "rows", "",
			   "%s rows in all cannot be read as events", number_text(wrong));
	else if (!wrong)
		doctor_add(call, TIDE_FINDING_OK, "rows", "", "every row can be read as an event");
}

static void doctor_examine(struct doctor_call *call)
{
	static void (*const checks[])(struct doctor_call *) = {
		doctor_indexes,      doctor_writing, doctor_checkpoints, doctor_projections,
		doctor_dead_letters, doctor_ended,   doctor_pauses,      doctor_wal
	};
	static void (*const scans[])(struct doctor_call *) = { doctor_integrity, doctor_holes,
							       doctor_rows };

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		checks[i](call);
	if (!call->cli->options[OPT_DEEP].is_set)
		doctor_add(call, TIDE_FINDING_OK, "rows", "--deep does",
			   "nothing here has read every event");
	for (size_t i = 0; i < sizeof scans / sizeof *scans && call->cli->options[OPT_DEEP].is_set;
	     i++)
		scans[i](call);
}

static int doctor_run(struct doctor_call *call)
{
	static const char *const heads[] = { "!", "check", "|finding", NULL };
	const struct tide_backend *backend = call->store->backend;
	struct tide_error err;
	void *session;

	if (store_borrow(call->store, &session, &err) != TIDE_OK)
		return cli_fail(call->cli, &err);
	if (strcmp(backend->scheme, "sqlite") == 0)
		call->db = port_connection(call->store, session);
	table_init(&call->table, heads);
	doctor_examine(call);
	tide_status status = port_examine(call->store, session, doctor_report, call, &err);
	if (status == TIDE_OK && call->cli->options[OPT_DEEP].is_set)
		status = port_examine_deep(call->store, session, doctor_report, call, &err);
	if (status != TIDE_OK)
		doctor_unable(call, "database", &err);
	int exit = table_flush(call->cli, &call->table);
	table_fini(&call->table);
	store_return(call->store, session, status);
	if (exit != CLI_DONE)
		return exit;
	return call->problems ? CLI_FAILED : CLI_DONE;
}

int cmd_doctor(struct cli *cli)
{
	struct doctor_call call = { .cli = cli };
	enum cli_access access;
	int exit;

	call.store = cli_open_as_allowed(cli, &access, &exit);
	if (call.store)
		call.checkpoints = cli_open_checkpoints(cli, call.store, access, &exit);
	if (call.checkpoints)
		exit = doctor_run(&call);
	tide_checkpoints_close(call.checkpoints);
	tide_store_close(call.store);
	return exit;
}

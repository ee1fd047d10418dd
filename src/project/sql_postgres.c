/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL projections on PostgreSQL. Each use of a named parameter becomes a numbered one of its own,
 * so that the server finds its type from where it stands; positions, versions, instants and JSON
 * have theirs. Statements are prepared once for each connection, unless a pooler stands in between
 * that may change the server process behind it, or they give rows. The statements of an event
 * travel together: one round trip.
 *
 * Failure modes: a syntax error is found when the projection is prepared, as the server alone knows
 * its SQL. What changes Tidemark's own tables, or another projection's, is refused: as soon as it
 * is prepared, or, done by a trigger or function, before the commit, by one look at all that the
 * transaction has done, deferred triggers included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/json.h"
#include "project/postgres_ask.h"
#include "project/postgres_attached.h"
#include "project/postgres_flight.h"
#include "project/postgres_guard.h"
#include "project/postgres_live.h"
#include "project/postgres_result.h"
#include "project/sql_append.h"
#include "sys/alloc.h"
#include "sys/libpq.h"

#define POSTGRES_INIT_LOCK "8388346167795281770" /* "tideproj" */
#define POSTGRES_RACES_MAX 5

static const char *const postgres_forbidden[] = { "BEGIN",    "START",  "COMMIT",    "END",
						  "ROLLBACK", "ABORT",  "SAVEPOINT", "RELEASE",
						  "PREPARE",  "VACUUM", "DISCARD",   "COPY",
						  "LISTEN",   NULL };

/* Types of parameters (pg_type.dat); 0: as the server finds it. */
static const Oid postgres_types[SQL_FIELD_COUNT] = {
	[SQL_GLOBAL_POSITION] = 20,   [SQL_EVENT_VERSION] = 23, [SQL_OCCURRED_AT] = 1184,
	[SQL_AGGREGATE_VERSION] = 23, [SQL_METADATA] = 114,     [SQL_PAYLOAD] = 114,
};

static bool postgres_is_complete(const char *text)
{
	(void)text;
	return true;
}

static tide_status postgres_check(struct sql_script *script, struct tide_error *err)
{
	(void)script;
	(void)err;
	return TIDE_OK;
}

/* ---- Tidemark's own tables ------------------------------------------------------------------- */

static bool postgres_begins_with(const struct sql_statement *statement, const char *const *words)
{
	size_t size = strcspn(statement->text, " \t\r\n\f(;");

	for (size_t i = 0; words[i]; i++)
		if (strlen(words[i]) == size && strncasecmp(statement->text, words[i], size) == 0)
			return true;
	return false;
}

/* A statement that cannot be prepared in earnest, or undone, is judged by the names in it. */
static tide_status postgres_refuse_named(const struct sql_script *script,
					 const struct sql_statement *statement,
					 const struct postgres_guard *guard, struct tide_error *err)
{
	static const char *const words[] = { "TRUNCATE", "DROP", NULL };
	struct sql_own own =
		postgres_guard_named(guard, statement, postgres_begins_with(statement, words));

	if (!own.name[0])
		return TIDE_OK;
	return sql_fail_own(script, &(struct sql_lines){ statement->line, statement->line }, &own,
			    TIDE_ARGUMENT, err);
}

static tide_status postgres_refuse_touched(const struct sql_script *script,
					   const struct sql_lines *lines,
					   const struct postgres_guard *guard, PGconn *connection,
					   struct tide_error *err)
{
	struct sql_own own;
	tide_status status = postgres_guard_touched(guard, connection, &own, err);

	if (status != TIDE_OK || !own.name[0])
		return status;
	return sql_fail_own(script, lines, &own, TIDE_ARGUMENT, err);
}

/* For the statement that was run or prepared last. */
static tide_status postgres_refuse_locked(const struct sql_script *script,
					  const struct sql_statement *statement,
					  const struct postgres_guard *guard, PGconn *connection,
					  struct tide_error *err)
{
	return postgres_refuse_touched(script,
				       &(struct sql_lines){ statement->line, statement->line },
				       guard, connection, err);
}

static tide_status postgres_state(const struct sql_script *script,
				  const struct postgres_guard *guard, PGconn *connection,
				  PGresult **ret, struct tide_error *err)
{
	const char *const values[] = { guard->oids };
	PGresult *result =
		PQexecParams(connection, postgres_guard_state, 1, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return postgres_end(script, NULL, connection, result, TIDE_IO, err);
	*ret = result;
	return TIDE_OK;
}

/* Write $1, $2, … for the named parameters in their order. */
static tide_status postgres_number(const struct sql_script *script,
				   const struct sql_statement *statement, char **ret,
				   struct tide_error *err)
{
	struct buffer buffer = { 0 };
	const char *at = statement->text, *end = at + statement->size;

	for (size_t i = 0; i < statement->parameters; i++) {
		const struct sql_parameter *parameter =
			&script->parameters[statement->parameter + i];
		buffer_add(&buffer, at, (size_t)(parameter->text - at));
		buffer_format(&buffer, "$%zu", i + 1);
		at = parameter->text + parameter->size;
	}
	buffer_add(&buffer, at, (size_t)(end - at));
	return buffer_take(&buffer, ret, err);
}

/* ---- Preparing ------------------------------------------------------------------------------- */

/*
 * A prepared statement that gives rows fails once a table is changed so that its columns would have
 * other types, and takes its transaction along: such a one is sent as text each time.
 */
static bool postgres_has_rows(PGconn *connection, const char *name)
{
	PGresult *result = PQdescribePrepared(connection, name);
	bool has_rows = !postgres_is_success(result) || PQnfields(result) > 0;

	PQclear(result);
	return has_rows;
}

static tide_status postgres_check_columns(const struct sql_script *script,
					  const struct sql_statement *statement, PGconn *connection,
					  const char *name, struct tide_error *err)
{
	if (!statement->append)
		return TIDE_OK;
	PGresult *result = PQdescribePrepared(connection, name);
	if (!postgres_is_success(result))
		return postgres_end(script, statement, connection, result, TIDE_ARGUMENT, err);
	int columns = PQnfields(result);
	PQclear(result);
	return sql_reaction_check(script, statement, columns, err);
}

static tide_status postgres_prepare_one(const struct sql_script *script,
					const struct sql_statement *statement, PGconn *connection,
					struct tide_error *err)
{
	const struct postgres_attachment *attachment = script->attached;
	struct postgres_prepared *prepared =
		alloc_zero(1, sizeof *prepared + statement->parameters * sizeof prepared->types[0]);

	if (!prepared)
		return alloc_fail(err);
	attachment->prepared[statement - script->statements] = prepared;
	for (size_t i = 0; i < statement->parameters; i++)
		prepared->types[i] =
			postgres_types[script->parameters[statement->parameter + i].field];
	tide_status status = postgres_refuse_named(script, statement, &attachment->guard, err);
	if (status == TIDE_OK)
		status = postgres_number(script, statement, &prepared->text, err);
	if (status != TIDE_OK)
		return status;
	status = attached_prepare(script, statement, connection, err);
	if (status == TIDE_OK)
		status = postgres_check_columns(script, statement, connection, prepared->name, err);
	if (status == TIDE_OK && !attachment->is_pooled &&
	    !postgres_has_rows(connection, prepared->name)) {
		tide_free(prepared->text);
		prepared->text = NULL;
	}
	/* parsing it has locked what it would write to */
	if (status == TIDE_OK)
		status = postgres_refuse_locked(script, statement, &attachment->guard, connection,
						err);
	if (status != TIDE_OK)
		attached_forget(prepared, connection);
	return status;
}

static tide_status postgres_prepare_all(struct sql_script *script, PGconn *connection,
					struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0;
		     section->kind == SQL_ON && j < section->count && status == TIDE_OK; j++)
			status = postgres_prepare_one(
				script, &script->statements[section->first + j], connection, err);
	}
	return status;
}

/* A pooler tells another process number than the server does. */
static tide_status postgres_look(const struct sql_script *script, PGconn *connection,
				 bool *ret_is_pooled, struct tide_error *err)
{
	char own[16];
	PGresult *result = PQexec(connection, "SELECT pg_backend_pid()");

	snprintf(own, sizeof own, "%d", PQbackendPID(connection));
	*ret_is_pooled = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), own) != 0;
	return postgres_end(script, NULL, connection, result, TIDE_IO, err);
}

static bool postgres_has(const struct sql_script *script, enum sql_section_kind kind)
{
	for (size_t i = 0; i < script->section_count; i++)
		if (script->sections[i].kind == kind && script->sections[i].count)
			return true;
	return false;
}

static tide_status postgres_command(const struct sql_script *script, PGconn *connection,
				    const char *text, struct tide_error *err)
{
	return postgres_end(script, NULL, connection, PQexec(connection, text), TIDE_IO, err);
}

/* Somebody else made the same thing at the same moment, and IF NOT EXISTS did not see it yet: it
 * does the next time. */
static bool postgres_lost_race(const PGresult *result)
{
	static const char *const states[] = { "42P06", "42P07", "42710", "42723" };
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *schema = PQresultErrorField(result, PG_DIAG_SCHEMA_NAME);

	for (size_t i = 0; state && i < sizeof states / sizeof *states; i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	if (state && strcmp(state, "23505") == 0)
		return schema && strcmp(schema, "pg_catalog") == 0;
	return state && strcmp(state, "XX000") == 0 &&
	       strcmp(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY),
		      "tuple concurrently updated") == 0;
}

/* Run one; what it would do to Tidemark's tables is looked for by its names before, by its locks
 * after. */
static tide_status postgres_run_one(const struct sql_script *script,
				    const struct sql_statement *statement,
				    const struct postgres_guard *guard, PGconn *connection,
				    bool *ret_lost_race, struct tide_error *err)
{
	ALLOC_AUTO char *text = alloc_text(statement->text, statement->size);

	if (!text)
		return alloc_fail(err);
	tide_status status = postgres_refuse_named(script, statement, guard, err);
	if (status != TIDE_OK)
		return status;
	PGresult *result = PQexec(connection, text);
	*ret_lost_race = postgres_lost_race(result);
	status = postgres_end(script, statement, connection, result, TIDE_ARGUMENT, err);
	return status == TIDE_OK ? postgres_refuse_locked(script, statement, guard, connection, err)
				 : status;
}

static tide_status postgres_run_once(const struct sql_script *script, enum sql_section_kind kind,
				     const struct postgres_guard *guard, PGconn *connection,
				     bool *ret_lost_race, struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0; section->kind == kind && j < section->count && status == TIDE_OK;
		     j++)
			status = postgres_run_one(script, &script->statements[section->first + j],
						  guard, connection, ret_lost_race, err);
	}
	return status;
}

/* Those that do not take the lock of init may still be met. */
static tide_status postgres_run_until_made(const struct sql_script *script,
					   enum sql_section_kind kind,
					   const struct postgres_guard *guard, PGconn *connection,
					   struct tide_error *err)
{
	bool lost_race = true;
	tide_status status = TIDE_OK;

	for (int tries = 0; status == TIDE_OK && lost_race && tries < POSTGRES_RACES_MAX; tries++) {
		lost_race = false;
		status = postgres_command(script, connection, "SAVEPOINT tidemark_sql", err);
		if (status != TIDE_OK)
			return status;
		status = postgres_run_once(script, kind, guard, connection, &lost_race, err);
		if (status == TIDE_OK)
			return postgres_command(script, connection,
						"RELEASE SAVEPOINT tidemark_sql", err);
		bool is_last = !lost_race || tries + 1 == POSTGRES_RACES_MAX;
		if (!is_last)
			status = postgres_command(script, connection,
						  "ROLLBACK TO SAVEPOINT tidemark_sql", err);
	}
	return status;
}

static struct sql_lines postgres_lines(const struct sql_script *script, enum sql_section_kind kind)
{
	struct sql_lines lines = { 0, 0 };

	for (size_t i = 0; i < script->section_count; i++) {
		const struct sql_section *section = &script->sections[i];
		if (section->kind != kind || !section->count)
			continue;
		if (!lines.first)
			lines.first = script->statements[section->first].line;
		lines.last = script->statements[section->first + section->count - 1].line;
	}
	return lines;
}

/* What is done when all of them have run, and what locks do not tell of tables that were locked
 * before. */
static tide_status postgres_refuse_done(const struct sql_script *script, enum sql_section_kind kind,
					const struct postgres_guard *guard, PGconn *connection,
					const PGresult *before, struct tide_error *err)
{
	struct sql_lines lines = postgres_lines(script, kind);
	PGresult *after = NULL;

	tide_status status =
		postgres_command(script, connection, "SET CONSTRAINTS ALL IMMEDIATE", err);
	if (status == TIDE_OK)
		status = postgres_refuse_touched(script, &lines, guard, connection, err);
	if (status == TIDE_OK)
		status = postgres_state(script, guard, connection, &after, err);
	if (status != TIDE_OK)
		return status;
	struct sql_own own = postgres_guard_changed(guard, before, after);
	PQclear(after);
	return own.name[0] ? sql_fail_own(script, &lines, &own, TIDE_ARGUMENT, err) : TIDE_OK;
}

/* One process at a time, in this database. */
static tide_status postgres_run(struct sql_script *script, enum sql_section_kind kind,
				void *connection, struct tide_error *err)
{
	struct postgres_guard guard = { .count = 0 };
	PGresult *before = NULL;

	if (!postgres_has(script, kind))
		return TIDE_OK;
	tide_status status = postgres_command(
		script, connection, "SELECT pg_advisory_xact_lock(" POSTGRES_INIT_LOCK ")", err);
	if (status == TIDE_OK)
		status = postgres_guard_load(connection, script, &guard, err);
	if (status == TIDE_OK)
		status = postgres_state(script, &guard, connection, &before, err);
	if (status == TIDE_OK)
		status = postgres_run_until_made(script, kind, &guard, connection, err);
	if (status == TIDE_OK)
		status = postgres_refuse_done(script, kind, &guard, connection, before, err);
	PQclear(before);
	postgres_guard_fini(&guard);
	return status;
}

static tide_status postgres_attach(struct sql_script *script, PGconn *connection,
				   struct tide_error *err)
{
	tide_status status = attached_new(script, connection, err);
	if (status != TIDE_OK)
		return status;
	struct postgres_attachment *attachment = script->attached;
	status = postgres_look(script, connection, &attachment->is_pooled, err);
	if (status == TIDE_OK)
		status = attached_load_guard(script, connection, err);
	return status == TIDE_OK && !attachment->is_pooled
		       ? attached_prepare_look(script, connection, err)
		       : status;
}

static tide_status postgres_prepare(struct sql_script *script, void *connection,
				    struct tide_error *err)
{
	if (!connection)
		return tide_fail(err, TIDE_CONNECTION_LOST, "'%s' init: the connection is lost",
				 script->path);
	tide_status status =
		script->is_made ? TIDE_OK : postgres_run(script, SQL_INIT, connection, err);
	if (status == TIDE_OK)
		status = postgres_attach(script, connection, err);
	return status == TIDE_OK ? postgres_prepare_all(script, connection, err) : status;
}

/* ---- Events ---------------------------------------------------------------------------------- */

/** The values of one run. */
struct postgres_values {
	const char **values;
	char (*scratch)[SQL_SCRATCH_SIZE];
};

static void postgres_bind(const struct sql_script *script, const struct sql_statement *statement,
			  const struct tide_event *event, struct postgres_values *ret)
{
	for (size_t i = 0; i < statement->parameters; i++) {
		enum sql_field field = script->parameters[statement->parameter + i].field;
		struct sql_value value = sql_field_value(field, event, ret->scratch[i]);
		ret->values[i] = value.is_null ? NULL : value.text.data;
		if (value.is_integer) {
			snprintf(ret->scratch[i], SQL_SCRATCH_SIZE, "%lld",
				 (long long)value.integer);
			ret->values[i] = ret->scratch[i];
		}
	}
}

static tide_status postgres_begin(struct sql_script *script, void *connection,
				  struct tide_error *err)
{
	if (!attached_turn_to(script, connection))
		return tide_fail(err, TIDE_INTERNAL, "nothing is prepared on this connection");
	struct postgres_attachment *attachment = script->attached;
	tide_status status = attached_refresh(script, connection, err);
	if (status != TIDE_OK)
		return status;
	attachment->sent_count = 0;
	flight_begin(&attachment->flight);
	return postgres_sent(script, connection, PQenterPipelineMode(connection), err);
}

static void postgres_note_sent(struct postgres_attachment *attachment,
			       const struct sql_statement *statement)
{
	struct sql_lines *lines = &attachment->lines;

	attachment->sent[attachment->sent_count++] = statement;
	if (!lines->first || statement->line < lines->first)
		lines->first = statement->line;
	if (statement->line > lines->last)
		lines->last = statement->line;
}

static tide_status postgres_execute(struct sql_script *script,
				    const struct sql_statement *statement, void *connection,
				    const struct tide_event *event, bool *ret_is_own,
				    struct tide_error *err)
{
	struct postgres_attachment *attachment = script->attached;
	const struct postgres_prepared *prepared = attached_prepared(script, statement);
	int count = (int)statement->parameters;
	ALLOC_AUTO const char **values = alloc_zero(statement->parameters + 1, sizeof *values);
	ALLOC_AUTO char(*scratch)[SQL_SCRATCH_SIZE] =
		alloc_zero(statement->parameters + 1, sizeof *scratch);

	*ret_is_own = false; /* that is seen before the commit */
	if (!values || !scratch)
		return alloc_fail(err);
	postgres_bind(script, statement, event, &(struct postgres_values){ values, scratch });
	int is_sent = prepared->text ? PQsendQueryParams(connection, prepared->text, count,
							 prepared->types, values, NULL, NULL, 0)
				     : PQsendQueryPrepared(connection, prepared->name, count,
							   values, NULL, NULL, 0);
	if (is_sent)
		postgres_note_sent(attachment, statement);
	return postgres_sent(script, connection, is_sent, err);
}

/* A statement that only reads has changed nothing. */
static int64_t postgres_changed(PGresult *result)
{
	return strncmp(PQcmdStatus(result), "SELECT", 6) == 0
		       ? 0
		       : strtoll(PQcmdTuples(result), NULL, 10);
}

static tide_status postgres_keep_rows(struct sql_script *script,
				      const struct sql_statement *statement, const PGresult *result,
				      struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (int i = 0; statement->append && status == TIDE_OK && i < PQntuples(result); i++)
		status = sql_reaction_add(script, statement,
					  PQgetisnull(result, i, 0) ? NULL
								    : PQgetvalue(result, i, 0),
					  (size_t)PQgetlength(result, i, 0), err);
	return status;
}

/* Behind an error the rest was not run. */
static tide_status postgres_take_statements(struct sql_script *script, PGconn *connection,
					    struct tide_error *err)
{
	const struct postgres_attachment *attachment = script->attached;
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < attachment->sent_count; i++) {
		PGresult *result = postgres_take(connection);
		if (status == TIDE_OK)
			postgres_keep_words(script, result);
		if (script->changed)
			script->changed[attachment->sent[i] - script->statements] +=
				postgres_changed(result);
		if (status == TIDE_OK)
			status = postgres_keep_rows(script, attachment->sent[i], result, err);
		if (status == TIDE_OK)
			status = postgres_end(script, attachment->sent[i], connection, result,
					      TIDE_HANDLER_PERMANENT, err);
		else
			PQclear(result);
	}
	return status;
}

static tide_status postgres_answer(struct sql_script *script, void *connection, bool is_last,
				   size_t *ret_events, struct tide_error *err)
{
	struct postgres_attachment *attachment = script->attached;
	struct flight *flight = &attachment->flight;

	if (!is_last)
		flight_add(flight, attachment->sent_count);
	attachment->sent_count = 0;
	tide_status status = flight_wait(flight, script, connection,
					 is_last ? flight->count - 1 : flight->most - 1, err);
	*ret_events = flight->done;
	return status;
}

static void postgres_leave_pipeline(PGconn *connection)
{
	bool is_over = false;

	while (!is_over) {
		PGresult *result = PQgetResult(connection);
		is_over = !result || PQresultStatus(result) == PGRES_PIPELINE_SYNC ||
			  PQstatus(connection) != CONNECTION_OK;
		PQclear(result);
	}
	PQexitPipelineMode(connection);
}

static tide_status postgres_finish(struct sql_script *script, void *connection,
				   struct tide_error *err)
{
	struct postgres_attachment *attachment = script->attached;
	tide_status status = postgres_sent(script, connection, PQpipelineSync(connection), err);

	if (status != TIDE_OK) /* nothing comes back */
		return status;
	while (attachment->flight.count > 0) /* behind one that has failed */
		(void)flight_land(&attachment->flight, script, connection, NULL);
	status = postgres_take_statements(script, connection, err);
	postgres_leave_pipeline(connection);
	return status;
}

/* ---- Before the commit ----------------------------------------------------------------------- */

static tide_status postgres_send_look(const struct sql_script *script, PGconn *connection,
				      struct tide_error *err)
{
	const struct postgres_attachment *attachment = script->attached;
	const struct postgres_guard *guard = &attachment->guard;
	const char *const values[] = { guard->watched, guard->schema_oid, guard->schema,
				       guard->rivals };

	int is_sent = PQenterPipelineMode(connection) &&
		      PQsendQueryParams(connection, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, NULL,
					NULL, NULL, 0);
	if (is_sent)
		is_sent = attachment->is_pooled ? PQsendQueryParams(connection, postgres_guard_look,
								    4, NULL, values, NULL, NULL, 0)
						: PQsendQueryPrepared(connection, attachment->look,
								      4, values, NULL, NULL, 0);
	return postgres_sent(script, connection, is_sent && PQpipelineSync(connection), err);
}

/* What a deferred constraint refuses is an event's failure, as it would be in the commit: its words
 * may quote the event. */
static tide_status postgres_end_deferred(const struct sql_script *script, PGconn *connection,
					 PGresult *result, struct tide_error *err)
{
	tide_status status = postgres_status(connection, result);
	char names[400];

	if (postgres_is_success(result))
		status = TIDE_OK;
	else if (status == TIDE_HANDLER_PERMANENT)
		status = tide_fail(err, TIDE_IO, "'%s' before the commit: %s", script->path,
				   postgres_name_cause(result, names, sizeof names));
	else
		return postgres_end(script, NULL, connection, result, TIDE_IO, err);
	PQclear(result);
	return status;
}

static tide_status postgres_fail_look(const struct sql_script *script, PGconn *connection,
				      const PGresult *result, struct tide_error *err)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	tide_status status = postgres_status(connection, result);

	return tide_fail(err, status == TIDE_HANDLER_PERMANENT ? TIDE_IO : status,
			 "'%s': looking after Tidemark's tables: %.300s", script->path,
			 message ? message : "the connection is lost");
}

static tide_status postgres_take_look(const struct sql_script *script, PGconn *connection,
				      struct tide_error *err)
{
	const struct postgres_attachment *attachment = script->attached;
	struct sql_own own = { .name = "" };

	tide_status status =
		postgres_end_deferred(script, connection, postgres_take(connection), err);
	PGresult *rows = postgres_take(connection);
	if (status == TIDE_OK && PQresultStatus(rows) == PGRES_TUPLES_OK)
		own = postgres_guard_judge(&attachment->guard, rows);
	else if (status == TIDE_OK)
		status = postgres_fail_look(script, connection, rows, err);
	PQclear(rows);
	postgres_leave_pipeline(connection);
	return own.name[0]
		       ? sql_fail_own(script, &attachment->lines, &own, TIDE_HANDLER_PERMANENT, err)
		       : status;
}

static tide_status postgres_before_commit(struct sql_script *script, void *connection,
					  struct tide_error *err)
{
	if (!attached_turn_to(script, connection))
		return tide_fail(err, TIDE_INTERNAL, "nothing is prepared on this connection");
	struct postgres_attachment *attachment = script->attached;
	bool is_looked_for = attachment->lines.first != 0; /* else nothing was done */
	if (!is_looked_for) {
		script->has_appended = false;
		return TIDE_OK;
	}
	tide_status status = postgres_send_look(script, connection, err);
	if (status == TIDE_OK)
		status = postgres_take_look(script, connection, err);
	attachment->lines = (struct sql_lines){ 0, 0 };
	script->has_appended = false;
	return status;
}

/* ---- Trying ---------------------------------------------------------------------------------- */

static tide_status postgres_parse(const struct sql_script *script,
				  const struct sql_statement *statement, PGconn *connection,
				  PGresult **ret, struct tide_error *err)
{
	ALLOC_AUTO char *text = NULL;
	ALLOC_AUTO Oid *types = alloc_zero(statement->parameters + 1, sizeof *types);
	if (!types)
		return alloc_fail(err);
	for (size_t i = 0; i < statement->parameters; i++)
		types[i] = postgres_types[script->parameters[statement->parameter + i].field];

	tide_status status = postgres_number(script, statement, &text, err);
	if (status == TIDE_OK)
		*ret = PQprepare(connection, "", text, (int)statement->parameters, types);
	return status;
}

static tide_status postgres_examine(struct sql_script *script, void *connection, sql_tell *tell,
				    void *self, struct tide_error *err)
{
	struct postgres_guard guard = { .count = 0 };
	struct postgres_live live = { .prepare = postgres_parse,
				      .refuse = postgres_refuse_locked,
				      .guard = &guard,
				      .tell = tell,
				      .self = self };
	tide_status status = postgres_guard_load(connection, script, &guard, err);
	if (status == TIDE_OK)
		status = postgres_live_examine(script, connection, &live, err);
	postgres_guard_fini(&guard);
	return status;
}

static tide_status postgres_query(void *connection, const char *text, sql_cells *row, void *self,
				  struct tide_error *err)
{
	return postgres_live_query(connection, text, row, self, err);
}

const struct sql_dialect sql_dialect_postgres = {
	.scheme = "postgresql",
	.alias = "postgres",
	.forbidden = postgres_forbidden,
	.other_parameters = "$",
	.has_dollar_quotes = true,
	.is_complete = postgres_is_complete,
	.check = postgres_check,
	.run = postgres_run,
	.prepare = postgres_prepare,
	.find_place = postgres_find_place,
	.ask = postgres_ask,
	.examine = postgres_examine,
	.query = postgres_query,
	.detach = attached_drop,
	.begin = postgres_begin,
	.execute = postgres_execute,
	.answer = postgres_answer,
	.end = postgres_finish,
	.before_commit = postgres_before_commit,
};

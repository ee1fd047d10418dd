/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL projections on PostgreSQL. Each use of a named parameter becomes a numbered one of its own, so that the server
 * finds its type from where it stands; positions, versions, instants and JSON have theirs. Statements are prepared once
 * for each connection, unless a pooler stands in between that may change the server process behind it.
 *
 * Failure modes: a syntax error is found when the projection is attached, as the server alone knows its SQL.
 */
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "project/sql.h"
#include "sys/alloc.h"

#define POSTGRES_INIT_LOCK "8388346167795281770" /* "tideproj" */
#define POSTGRES_RACES_MAX 5

static const char *const postgres_forbidden[] = { "BEGIN",   "START",     "COMMIT",  "END",     "ROLLBACK",
						  "ABORT",   "SAVEPOINT", "RELEASE", "PREPARE", "VACUUM",
						  "DISCARD", "COPY",      "LISTEN",  NULL };

/* Types of parameters (pg_type.dat); 0: as the server finds it. */
static const Oid postgres_types[SQL_FIELD_COUNT] = {
	[SQL_GLOBAL_POSITION] = 20,   [SQL_EVENT_VERSION] = 23, [SQL_OCCURRED_AT] = 1184,
	[SQL_AGGREGATE_VERSION] = 23, [SQL_METADATA] = 114,     [SQL_PAYLOAD] = 114,
};

/* A failure that time or another connection can mend (the specification's list of transient SQLSTATEs). */
static tide_status postgres_status(PGconn *connection, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (PQstatus(connection) != CONNECTION_OK || (state && strncmp(state, "08", 2) == 0))
		return TIDE_CONNECTION_LOST;
	if (!state)
		return TIDE_INTERNAL;
	if (strncmp(state, "57P", 3) == 0)
		return TIDE_CONNECTION_LOST;
	if (strcmp(state, "53100") == 0)
		return TIDE_DISK_FULL;
	if (strncmp(state, "53", 2) == 0 || strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0 ||
	    strcmp(state, "55P03") == 0)
		return TIDE_BUSY;
	return TIDE_HANDLER_PERMANENT;
}

static bool postgres_is_success(const PGresult *result)
{
	return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK ||
	       PQresultStatus(result) == PGRES_EMPTY_QUERY;
}

/* Takes the result; `otherwise` is for what would fail again. */
static tide_status postgres_end(const struct sql_script *script, const struct sql_statement *statement,
				PGconn *connection, PGresult *result, tide_status otherwise, struct tide_error *err)
{
	if (postgres_is_success(result)) {
		PQclear(result);
		return TIDE_OK;
	}
	tide_status status = postgres_status(connection, result);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	if (!message)
		message = "the connection is lost";
	if (status == TIDE_HANDLER_PERMANENT)
		status = otherwise;
	if (statement)
		tide_fail(err, status, "'%s' line %zu: %s", script->path, statement->line, message);
	else
		tide_fail(err, status, "'%s' init: %s", script->path, message);
	PQclear(result);
	return status;
}

static bool postgres_is_complete(const char *text)
{
	(void)text;
	return true;
}

static tide_status postgres_check(const struct sql_script *script, struct tide_error *err)
{
	(void)script;
	(void)err;
	return TIDE_OK;
}

/** A statement made ready: its name on the server, or, when a pooler may change the server, its text. */
struct postgres_prepared {
	char *text; /* with numbered parameters; NULL: prepared under the name */
	char name[32];
	Oid types[]; /* of its parameters */
};

static void postgres_detach(struct sql_script *script, void *connection)
{
	(void)connection;
	for (size_t i = 0; i < script->statement_count; i++) {
		struct postgres_prepared *prepared = script->statements[i].prepared;
		if (prepared)
			tide_free(prepared->text);
		tide_free(prepared);
		script->statements[i].prepared = NULL;
	}
}

/* Write $1, $2, … for the named parameters in their order. */
static tide_status postgres_number(const struct sql_script *script, const struct sql_statement *statement, char **ret,
				   struct tide_error *err)
{
	struct buffer buffer = { 0 };
	const char *at = statement->text, *end = at + statement->size;

	for (size_t i = 0; i < statement->parameters; i++) {
		const struct sql_parameter *parameter = &script->parameters[statement->parameter + i];
		buffer_add(&buffer, at, (size_t)(parameter->text - at));
		buffer_format(&buffer, "$%zu", i + 1);
		at = parameter->text + parameter->size;
	}
	buffer_add(&buffer, at, (size_t)(end - at));
	return buffer_take(&buffer, ret, err);
}

static tide_status postgres_prepare_one(const struct sql_script *script, struct sql_statement *statement,
					PGconn *connection, bool is_pooled, struct tide_error *err)
{
	static atomic_uint number;
	struct postgres_prepared *prepared =
		alloc_zero(1, sizeof *prepared + statement->parameters * sizeof prepared->types[0]);

	if (!prepared)
		return alloc_fail(err);
	statement->prepared = prepared;
	for (size_t i = 0; i < statement->parameters; i++)
		prepared->types[i] = postgres_types[script->parameters[statement->parameter + i].field];
	tide_status status = postgres_number(script, statement, &prepared->text, err);
	if (status != TIDE_OK)
		return status;
	if (!is_pooled)
		snprintf(prepared->name, sizeof prepared->name, "tidemark_sql_%u", atomic_fetch_add(&number, 1));
	PGresult *result =
		PQprepare(connection, prepared->name, prepared->text, (int)statement->parameters, prepared->types);
	status = postgres_end(script, statement, connection, result, TIDE_ARGUMENT, err);
	if (status == TIDE_OK && !is_pooled) {
		tide_free(prepared->text);
		prepared->text = NULL;
	}
	return status;
}

static tide_status postgres_prepare_all(struct sql_script *script, PGconn *connection, bool is_pooled,
					struct tide_error *err)
{
	tide_status status = TIDE_OK;

	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0; section->kind == SQL_ON && j < section->count && status == TIDE_OK; j++)
			status = postgres_prepare_one(script, &script->statements[section->first + j], connection,
						      is_pooled, err);
	}
	return status;
}

/* A pooler tells another process number than the server does. */
static tide_status postgres_look(const struct sql_script *script, PGconn *connection, bool *ret_is_pooled,
				 struct tide_error *err)
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

static tide_status postgres_command(const struct sql_script *script, PGconn *connection, const char *text,
				    struct tide_error *err)
{
	return postgres_end(script, NULL, connection, PQexec(connection, text), TIDE_IO, err);
}

/* Somebody else made the same thing at the same moment, and IF NOT EXISTS did not see it yet: it does the next time. */
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
	       strcmp(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "tuple concurrently updated") == 0;
}

static tide_status postgres_run_once(const struct sql_script *script, enum sql_section_kind kind, PGconn *connection,
				     bool *ret_lost_race, struct tide_error *err)
{
	for (size_t i = 0; i < script->section_count; i++) {
		const struct sql_section *section = &script->sections[i];
		for (size_t j = 0; section->kind == kind && j < section->count; j++) {
			const struct sql_statement *statement = &script->statements[section->first + j];
			ALLOC_AUTO char *text = alloc_text(statement->text, statement->size);
			if (!text)
				return alloc_fail(err);
			PGresult *result = PQexec(connection, text);
			*ret_lost_race = postgres_lost_race(result);
			tide_status status = postgres_end(script, statement, connection, result, TIDE_ARGUMENT, err);
			if (status != TIDE_OK)
				return status;
		}
	}
	return TIDE_OK;
}

/* One process at a time, in this database; those that do not take the lock may still be met. */
static tide_status postgres_run(const struct sql_script *script, enum sql_section_kind kind, void *connection,
				struct tide_error *err)
{
	bool lost_race = true;
	tide_status status = TIDE_OK;

	if (!postgres_has(script, kind))
		return TIDE_OK;
	status = postgres_command(script, connection, "SELECT pg_advisory_xact_lock(" POSTGRES_INIT_LOCK ")", err);
	for (int tries = 0; status == TIDE_OK && lost_race && tries < POSTGRES_RACES_MAX; tries++) {
		lost_race = false;
		status = postgres_command(script, connection, "SAVEPOINT tidemark_sql", err);
		if (status != TIDE_OK)
			return status;
		status = postgres_run_once(script, kind, connection, &lost_race, err);
		if (status == TIDE_OK)
			return postgres_command(script, connection, "RELEASE SAVEPOINT tidemark_sql", err);
		bool is_last = !lost_race || tries + 1 == POSTGRES_RACES_MAX;
		if (!is_last)
			status = postgres_command(script, connection, "ROLLBACK TO SAVEPOINT tidemark_sql", err);
	}
	return status;
}

static tide_status postgres_prepare(struct sql_script *script, void *connection, struct tide_error *err)
{
	bool is_pooled;

	if (!connection)
		return tide_fail(err, TIDE_CONNECTION_LOST, "'%s' init: the connection is lost", script->path);
	tide_status status = postgres_look(script, connection, &is_pooled, err);
	if (status == TIDE_OK)
		status = postgres_run(script, SQL_INIT, connection, err);
	return status == TIDE_OK ? postgres_prepare_all(script, connection, is_pooled, err) : status;
}

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
			snprintf(ret->scratch[i], SQL_SCRATCH_SIZE, "%lld", (long long)value.integer);
			ret->values[i] = ret->scratch[i];
		}
	}
}

static tide_status postgres_execute(const struct sql_script *script, const struct sql_statement *statement,
				    void *connection, const struct tide_event *event, struct tide_error *err)
{
	const struct postgres_prepared *prepared = statement->prepared;
	int count = (int)statement->parameters;
	ALLOC_AUTO const char **values = alloc_zero(statement->parameters + 1, sizeof *values);
	ALLOC_AUTO char(*scratch)[SQL_SCRATCH_SIZE] = alloc_zero(statement->parameters + 1, sizeof *scratch);

	if (!values || !scratch)
		return alloc_fail(err);
	postgres_bind(script, statement, event, &(struct postgres_values){ values, scratch });
	PGresult *result =
		prepared->text ? PQexecParams(connection, prepared->text, count, prepared->types, values, NULL, NULL, 0)
			       : PQexecPrepared(connection, prepared->name, count, values, NULL, NULL, 0);
	return postgres_end(script, statement, connection, result, TIDE_HANDLER_PERMANENT, err);
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
	.detach = postgres_detach,
	.execute = postgres_execute,
};

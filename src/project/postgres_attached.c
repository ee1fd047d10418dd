/* SPDX-License-Identifier: Apache-2.0 */
#include "project/postgres_attached.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "project/postgres_result.h"
#include "sys/alloc.h"

tide_status attached_new(struct sql_script *script, PGconn *connection, struct tide_error *err)
{
	struct postgres_attachment *attachment = alloc_zero(
		1, sizeof *attachment + script->statement_count * sizeof attachment->sent[0]);
	struct postgres_prepared **prepared =
		alloc_zero(script->statement_count + 1, sizeof(struct postgres_prepared *));

	if (!attachment || !prepared) {
		tide_free(attachment);
		tide_free(prepared);
		return alloc_fail(err);
	}

	attachment->next = script->attached;
	attachment->connection = connection;
	attachment->prepared = prepared;
	flight_init(&attachment->flight);
	script->attached = attachment;
	return TIDE_OK;
}

bool attached_turn_to(struct sql_script *script, const PGconn *connection)
{
	struct postgres_attachment *previous = NULL, *at = script->attached;

	while (at && at->connection != connection) {
		previous = at;
		at = at->next;
	}

	if (previous && at) {
		previous->next = at->next;
		at->next = script->attached;
		script->attached = at;
	}
	return at != NULL;
}

void attached_drop(struct sql_script *script, void *connection)
{
	if (!attached_turn_to(script, connection))
		return;
	struct postgres_attachment *attachment = script->attached;

	for (size_t i = 0; i < script->statement_count; i++) {
		if (attachment->prepared[i])
			tide_free(attachment->prepared[i]->text);
		tide_free(attachment->prepared[i]);
	}
	script->attached = attachment->next;
	postgres_guard_fini(&attachment->guard);
	tide_free(attachment->prepared);
	tide_free(attachment);
}

/* ---- What is watched ------------------------------------------------------------------------- */

tide_status attached_load_guard(struct sql_script *script, PGconn *connection,
				struct tide_error *err)
{
	struct postgres_attachment *attachment = script->attached;
	tide_status status = postgres_guard_load(connection, script, &attachment->guard, err);

	attachment->is_outdated = status != TIDE_OK;
	for (struct postgres_attachment *at = attachment->next; status == TIDE_OK && at;
	     at = at->next)
		at->is_outdated |= !at->guard.rivals ||
				   strcmp(at->guard.rivals, attachment->guard.rivals) != 0;
	return status;
}

tide_status attached_refresh(struct sql_script *script, PGconn *connection, struct tide_error *err)
{
	struct postgres_attachment *attachment = script->attached;

	if (!attachment->is_outdated)
		return TIDE_OK;
	postgres_guard_fini(&attachment->guard);
	return attached_load_guard(script, connection, err);
}

/* ---- Statements ------------------------------------------------------------------------------ */

const struct postgres_prepared *attached_prepared(const struct sql_script *script,
						  const struct sql_statement *statement)
{
	const struct postgres_attachment *attachment = script->attached;

	return attachment->prepared[statement - script->statements];
}

static void attached_name(const char *text, const Oid *types, size_t count, char ret[40])
{
	uint64_t hash = fnv1a64(text, strlen(text));

	hash = hash * 31 + fnv1a64((const char *)types, count * sizeof *types);
	snprintf(ret, 40, "tidemark_sql_%016llx", (unsigned long long)hash);
}

/* One whose name is another text's has a name of its own. */
static tide_status attached_find(const struct sql_script *script, PGconn *connection,
				 const char *text, char name[40], bool *ret_is_there,
				 struct tide_error *err)
{
	static atomic_uint number;
	const char *const values[] = { name, text };
	PGresult *rows = PQexecParams(connection,
				      "SELECT statement = $2 FROM pg_prepared_statements WHERE "
				      "name = $1",
				      2, NULL, values, NULL, NULL, 0);

	bool is_taken = PQntuples(rows) == 1;
	*ret_is_there = is_taken && *PQgetvalue(rows, 0, 0) == 't';
	if (is_taken && !*ret_is_there)
		snprintf(name, 40, "tidemark_sql_%u", atomic_fetch_add(&number, 1));
	return postgres_end(script, NULL, connection, rows, TIDE_IO, err);
}

tide_status attached_prepare(const struct sql_script *script, const struct sql_statement *statement,
			     PGconn *connection, struct tide_error *err)
{
	const struct postgres_attachment *attachment = script->attached;
	struct postgres_prepared *prepared = attachment->prepared[statement - script->statements];
	bool is_there = false;
	tide_status status = TIDE_OK;

	if (!attachment->is_pooled) {
		attached_name(prepared->text, prepared->types, statement->parameters,
			      prepared->name);
		status = attached_find(script, connection, prepared->text, prepared->name,
				       &is_there, err);
	}

	if (status != TIDE_OK || is_there)
		return status;
	PGresult *result = PQprepare(connection, prepared->name, prepared->text,
				     (int)statement->parameters, prepared->types);
	return postgres_end(script, statement, connection, result, TIDE_ARGUMENT, err);
}

tide_status attached_prepare_look(struct sql_script *script, PGconn *connection,
				  struct tide_error *err)
{
	struct postgres_attachment *attachment = script->attached;
	bool is_there = false;

	attached_name(postgres_guard_look, NULL, 0, attachment->look);
	tide_status status = attached_find(script, connection, postgres_guard_look,
					   attachment->look, &is_there, err);
	if (status != TIDE_OK || is_there)
		return status;
	return postgres_end(script, NULL, connection,
			    PQprepare(connection, attachment->look, postgres_guard_look, 0, NULL),
			    TIDE_IO, err);
}

void attached_forget(const struct postgres_prepared *prepared, PGconn *connection)
{
	char text[60];

	if (!prepared->name[0] || PQtransactionStatus(connection) != PQTRANS_INTRANS)
		return;
	snprintf(text, sizeof text, "DEALLOCATE %s", prepared->name);
	PQclear(PQexec(connection, text));
}

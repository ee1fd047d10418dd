/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trying a projection on a database: what its statements would meet, and what they would do.
 *
 * Happy path: the statements are held against the tables that are there, or run for some events in
 * a transaction that its owner rolls back; nothing of it stays.
 * Failure modes: what fails is told with file and line, and the rest is tried all the same.
 */
#include <stdio.h>

#include "project/sql_append.h"

#include "sys/alloc.h"

static tide_status live_load(struct tide_sql_projection *projection, void *connection,
			     struct tide_error *err)
{
	return sql_rivals_load(&projection->script, projection->dialect, projection->name,
			       sql_entry_of(projection), connection, err);
}

tide_status sql_projection_examine(struct tide_sql_projection *projection, void *connection,
				   sql_tell *tell, void *self, struct tide_error *err)
{
	tide_status status = live_load(projection, connection, err);

	return status == TIDE_OK ? projection->dialect->examine(&projection->script, connection,
								tell, self, err)
				 : status;
}

tide_status sql_projection_query(const struct tide_sql_projection *projection, void *connection,
				 const char *text, sql_cells *row, void *self,
				 struct tide_error *err)
{
	return projection->dialect->query(connection, text, row, self, err);
}

tide_status sql_projection_try(struct tide_sql_projection *projection, void *connection,
			       struct tide_error *err)
{
	struct sql_script *script = &projection->script;

	script->changed = alloc_zero(script->statement_count + 1, sizeof *script->changed);
	tide_status status =
		script->changed ? live_load(projection, connection, err) : alloc_fail(err);
	return status == TIDE_OK ? projection->dialect->prepare(script, connection, err) : status;
}

void sql_projection_try_end(struct tide_sql_projection *projection, void *connection)
{
	sql_reactions_clear(&projection->script);
	projection->dialect->detach(&projection->script, connection);
	tide_free(projection->script.changed);
	projection->script.changed = NULL;
}

static tide_status live_execute(struct tide_sql_projection *projection, void *connection,
				const struct tide_event *event, struct tide_error *err)
{
	struct sql_script *script = &projection->script;
	tide_status status = TIDE_OK;
	bool is_own;

	for (size_t i = 0; i < script->section_count && status == TIDE_OK; i++) {
		const struct sql_section *section = &script->sections[i];
		bool is_wanted = sql_section_wants(script, section, event);
		for (size_t j = 0; is_wanted && j < section->count && status == TIDE_OK; j++)
			status = projection->dialect->execute(
				script, &script->statements[section->first + j], connection, event,
				&is_own, err);
	}
	return status;
}

tide_status sql_projection_try_event(struct tide_sql_projection *projection, void *connection,
				     const struct tide_event *event, struct tide_error *err)
{
	const struct sql_dialect *dialect = projection->dialect;
	struct sql_script *script = &projection->script;
	struct tide_error end;

	sql_reactions_clear(script);
	tide_status status = dialect->begin ? dialect->begin(script, connection, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;
	status = live_execute(projection, connection, event, err);
	tide_status ended = dialect->end ? dialect->end(script, connection, &end) : TIDE_OK;
	tide_free(script->words);
	script->words = NULL;
	if (status != TIDE_OK || ended == TIDE_OK)
		return status;
	return tide_fail(err, ended, "%s", end.message);
}

tide_status sql_projection_tell_appends(struct tide_sql_projection *projection,
					const struct tide_event *event, sql_appended *tell,
					void *self, struct tide_error *err)
{
	const struct sql_script *script = &projection->script;
	char text[TIDE_NAME_MAX + TIDE_UUID_TEXT_SIZE + 2], id[TIDE_UUID_TEXT_SIZE];
	struct tide_stream stream;
	tide_status status = TIDE_OK;

	for (size_t i = 0; status == TIDE_OK && i < script->reaction_count; i++) {
		const struct sql_append *append = script->reactions[i].append;
		status = sql_append_stream(script, append, event, &stream, err);
		if (status != TIDE_OK)
			return status;
		snprintf(text, sizeof text, "%s/%s", stream.aggregate_type,
			 tide_uuid_format(&stream.aggregate_id, id));
		status = tell(self, append->line, text, append->event_type,
			      script->reactions[i].payload, err);
	}
	return status;
}

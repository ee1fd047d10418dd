/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the statements of an event have given to be appended.
 *
 * Happy path: each row of a statement below `-- append:` is kept; when all statements of the event
 * have run, they are appended in one call, in the delivery's transaction.
 * Failure modes: a row that is no JSON, or a stream that has no name, fails the event. An event at
 * or below the position that was answered before a rebuild is not answered again. What was done to
 * Tidemark's own tables is looked for ahead of the append, whose own writes look the same.
 */
#include <stdlib.h>
#include <string.h>

#include "core/event.h"
#include "project/rebuild.h"
#include "project/sql_append.h"
#include "sys/alloc.h"

/* ---- Rows ------------------------------------------------------------------------------------ */

static const struct sql_append *react_append(const struct sql_script *script,
					     const struct sql_statement *statement)
{
	return &script->appends[statement->append - 1];
}

tide_status sql_reaction_check(const struct sql_script *script,
			       const struct sql_statement *statement, int columns,
			       struct tide_error *err)
{
	if (!statement->append || columns == 1)
		return TIDE_OK;
	return tide_fail(err, TIDE_ARGUMENT,
			 "'%s' line %zu: what is below 'append:' gives one column of JSON, and "
			 "this gives %d",
			 script->path, statement->line, columns);
}

static tide_status react_check_row(const struct sql_script *script, const struct sql_append *append,
				   const char *payload, struct tide_error *err)
{
	struct tide_error why;
	tide_status status = TIDE_ARGUMENT;

	if (payload)
		status = json_check(tide_text(payload), false, "the row", &why);
	else
		tide_fail(&why, TIDE_ARGUMENT, "the row is NULL, which is no event");
	return status == TIDE_OK ? TIDE_OK
				 : tide_fail(err, TIDE_HANDLER_PERMANENT, "'%s' line %zu: %s",
					     script->path, append->line, why.message);
}

tide_status sql_reaction_add(struct sql_script *script, const struct sql_statement *statement,
			     const char *text, size_t size, struct tide_error *err)
{
	const struct sql_append *append = react_append(script, statement);
	ALLOC_AUTO char *payload = text ? alloc_text(text, size) : NULL;
	struct sql_reaction *reactions =
		alloc_resize(script->reactions, script->reaction_count + 1, sizeof *reactions);

	if (!reactions)
		return alloc_fail(err);
	script->reactions = reactions;
	if (text && !payload)
		return alloc_fail(err);
	tide_status status = react_check_row(script, append, payload, err);
	if (status != TIDE_OK)
		return status;
	/* between two tokens of JSON: an event is one line wherever it is shown */
	for (char *at = payload; (at = strpbrk(at, "\r\n")); at++)
		*at = ' ';
	reactions[script->reaction_count++] = (struct sql_reaction){ append, payload };
	payload = NULL;
	return TIDE_OK;
}

void sql_reactions_clear(struct sql_script *script)
{
	for (size_t i = 0; i < script->reaction_count; i++)
		tide_free(script->reactions[i].payload);
	tide_free(script->reactions);
	script->reactions = NULL;
	script->reaction_count = 0;
}

bool sql_appends_for(const struct sql_script *script, const struct tide_event *event)
{
	if (script->append_count == 0)
		return false;
	for (size_t i = 0; i < script->section_count; i++) {
		const struct sql_section *section = &script->sections[i];
		if (!sql_section_wants(script, section, event))
			continue;
		for (size_t j = 0; j < section->count; j++)
			if (script->statements[section->first + j].append)
				return true;
	}
	return false;
}

/* ---- After a rebuild ------------------------------------------------------------------------- */

tide_status sql_react_prepare(struct tide_sql_projection *projection, void *connection,
			      struct tide_error *err)
{
	struct sql_script *script = &projection->script;
	struct sql_place place;

	if (script->append_count == 0)
		return TIDE_OK;
	tide_status status = projection->dialect->find_place(script, connection, &place, err);
	if (status != TIDE_OK)
		return status;
	tide_free(script->ask_answered);
	script->ask_answered =
		alloc_format("SELECT undo FROM %sprojection_rebuilds WHERE name = $1", place.own);
	if (!script->ask_answered)
		return alloc_fail(err);
	if (!place.has_rebuilds) /* a database of an earlier version: ids alone are recognised */
		script->ask_answered[0] = '\0';
	return TIDE_OK;
}

static tide_status react_take_answered(void *self, const char *const *columns,
				       struct tide_error *err)
{
	(void)err;
	*(tide_position *)self = rebuild_answered(columns[0]);
	return TIDE_OK;
}

/* Read for each event: a rebuild may come while the connection stays. */
static tide_status react_answered(const struct tide_sql_projection *projection, void *connection,
				  tide_position *ret, struct tide_error *err)
{
	const struct sql_script *script = &projection->script;
	struct sql_question question = { .text = script->ask_answered,
					 .values = { projection->name },
					 .count = 1,
					 .row = react_take_answered,
					 .self = ret };

	*ret = 0;
	if (!question.text || !*question.text)
		return TIDE_OK;
	return projection->dialect->ask(script, connection, &question, err);
}

/* ---- Appending ------------------------------------------------------------------------------- */

static tide_status react_append_all(const struct sql_script *script, const struct tide_event *event,
				    struct tide_delivery *delivery, struct tide_error *err)
{
	size_t count = script->reaction_count;
	ALLOC_AUTO struct tide_append *appends = alloc_zero(count, sizeof *appends);
	ALLOC_AUTO struct tide_new_event *events = alloc_zero(count, sizeof *events);
	tide_status status = appends && events ? TIDE_OK : alloc_fail(err);

	for (size_t i = 0; status == TIDE_OK && i < count; i++) {
		const struct sql_reaction *reaction = &script->reactions[i];
		events[i] = (struct tide_new_event){ .event_type = reaction->append->event_type,
						     .payload = tide_text(reaction->payload) };
		appends[i] = (struct tide_append){ .expected = TIDE_ANY,
						   .events = &events[i],
						   .count = 1 };
		status =
			sql_append_stream(script, reaction->append, event, &appends[i].stream, err);
	}
	return status == TIDE_OK ? tide_delivery_append(delivery, appends, count, NULL, err)
				 : status;
}

static tide_status react_look(struct tide_sql_projection *projection, void *connection,
			      bool *ret_is_own, struct tide_error *err)
{
	const struct sql_dialect *dialect = projection->dialect;

	if (!dialect->before_commit)
		return TIDE_OK;
	tide_status status = dialect->before_commit(&projection->script, connection, err);
	*ret_is_own = status == TIDE_HANDLER_PERMANENT;
	return status;
}

tide_status sql_react(struct tide_sql_projection *projection, const struct tide_event *event,
		      struct tide_delivery *delivery, bool *ret_is_own, struct tide_error *err)
{
	struct sql_script *script = &projection->script;
	void *connection = tide_delivery_connection(delivery);
	tide_position answered;

	if (script->reaction_count == 0)
		return TIDE_OK;
	tide_status status = react_answered(projection, connection, &answered, err);
	if (status != TIDE_OK || event->position <= answered)
		return status;
	status = react_look(projection, connection, ret_is_own, err);
	if (status != TIDE_OK)
		return status;
	script->has_appended = true;
	return react_append_all(script, event, delivery, err);
}

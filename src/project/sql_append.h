/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_PROJECT_SQL_APPEND_H
#define TIDE_PROJECT_SQL_APPEND_H

/* What a SQL projection appends: the lines that say where to, and the rows that are events. */

#include "project/sql.h"

/* ---- sql_append.c: a line -------------------------------------------------------------------- */

/** Read what stands behind `append:`, and add it to the script's. TIDE_ARGUMENT naming the line. */
tide_status sql_append_read(struct sql_script *script, size_t line, const char *text, size_t size,
			    struct tide_error *err);
void sql_appends_free(struct sql_script *script);
/** The stream for an event; its type belongs to the line. TIDE_HANDLER_PERMANENT: a parameter is
 * NULL. */
tide_status sql_append_stream(const struct sql_script *script, const struct sql_append *append,
			      const struct tide_event *event, struct tide_stream *ret,
			      struct tide_error *err);

/* ---- sql_react.c: the rows of an event ------------------------------------------------------- */

/** An event that is to be appended. */
struct sql_reaction {
	const struct sql_append *append;
	char *payload; /* JSON */
};

/** Keep what a statement with an append has given; `text` NULL: it is NULL, which is no event. */
tide_status sql_reaction_add(struct sql_script *script, const struct sql_statement *statement,
			     const char *text, size_t size, struct tide_error *err);
/** Refuse a statement with an append that gives another number of columns than one. */
tide_status sql_reaction_check(const struct sql_script *script,
			       const struct sql_statement *statement, int columns,
			       struct tide_error *err);
void sql_reactions_clear(struct sql_script *script);
/** Whether an event has statements that append. */
bool sql_appends_for(const struct sql_script *script, const struct tide_event *event);

/** Find where rebuilds are noted, in the open transaction. */
tide_status sql_react_prepare(struct tide_sql_projection *projection, void *connection,
			      struct tide_error *err);
/** Append what the statements of an event have given, in its delivery, unless the event was
 * answered before a rebuild. `*ret_is_own`: what failed is the projection's fault. */
tide_status sql_react(struct tide_sql_projection *projection, const struct tide_event *event,
		      struct tide_delivery *delivery, bool *ret_is_own, struct tide_error *err);

#endif

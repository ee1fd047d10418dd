/* SPDX-License-Identifier: Apache-2.0 */
/* Tidemark's own tables and other projections', which a projection may read and not change. */
#include <string.h>
#include <strings.h>

#include "project/sql.h"

const char *const sql_own_tables[SQL_OWN_TABLES] = {
	"events",
	"projection_checkpoints",
	"dead_letter_queue",
	"snapshots",
	"subscription_leases",
	"projection_versions",
	"tidemark_schema",
	"tidemark_feed",
	"subscription_controls",
	"subscription_journal",
	"subscription_groups",
	"subscription_members",
	"projection_segments",
	"projection_rebuilds",
};

bool sql_is_own_table(const char *name, size_t size)
{
	for (size_t i = 0; i < SQL_OWN_TABLES; i++)
		if (strlen(sql_own_tables[i]) == size &&
		    strncasecmp(sql_own_tables[i], name, size) == 0)
			return true;
	return false;
}

static tide_status sql_fail_rival(const struct sql_script *script, const struct sql_lines *lines,
				  const struct sql_rival *rival, tide_status status,
				  struct tide_error *err)
{
	static const char way[] =
		"give it tables of its own, or take it over with --accept-changes";

	if (status == TIDE_ARGUMENT)
		status = TIDE_ALREADY_EXISTS;
	if (lines->first == lines->last)
		return tide_fail(err, status,
				 "'%s' line %zu: table '%.130s' belongs to projection '%.130s'; %s",
				 script->path, lines->first, rival->table, rival->name, way);
	return tide_fail(err, status,
			 "'%s' lines %zu to %zu: table '%.130s' belongs to projection '%.130s'; %s",
			 script->path, lines->first, lines->last, rival->table, rival->name, way);
}

tide_status sql_fail_own(const struct sql_script *script, const struct sql_lines *lines,
			 const struct sql_own *own, tide_status status, struct tide_error *err)
{
	static const char *const kinds[] = { [SQL_OWN_TABLE] = "table",
					     [SQL_OWN_SEQUENCE] = "sequence",
					     [SQL_OWN_SCHEMA] = "schema" };
	static const char why[] = "a projection may read it and not change it";
	const char *kind = kinds[own->kind];

	if (own->rival)
		return sql_fail_rival(script, lines, own->rival, status, err);
	if (lines->first == lines->last)
		return tide_fail(err, status, "'%s' line %zu: '%.64s' is Tidemark's own %s: %s",
				 script->path, lines->first, own->name, kind, why);
	return tide_fail(err, status, "'%s' lines %zu to %zu: '%.64s' is Tidemark's own %s: %s",
			 script->path, lines->first, lines->last, own->name, kind, why);
}

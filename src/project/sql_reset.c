/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying the read model of a SQL projection: init, reset, and what is noted of both. */
#include "project/sql.h"

tide_status sql_reset(void *self, void *connection, struct tide_error *err)
{
	struct tide_sql_projection *projection = self;
	tide_status status = sql_rivals_load(&projection->script, projection->dialect,
					     projection->name, SQL_ENTRY_RESET, connection, err);

	if (status == TIDE_OK)
		status = sql_version_enter(&projection->script, projection->dialect,
					   projection->name, SQL_ENTRY_RESET, connection, err);
	if (status == TIDE_OK)
		status = projection->dialect->run(&projection->script, SQL_INIT, connection, err);
	return status == TIDE_OK
		       ? projection->dialect->run(&projection->script, SQL_RESET, connection, err)
		       : status;
}

tide_status sql_check_reset(const struct tide_sql_projection *projection, struct tide_error *err)
{
	for (size_t i = 0; i < projection->script.section_count; i++)
		if (projection->script.sections[i].kind == SQL_RESET)
			return TIDE_OK;
	return tide_fail(err, TIDE_ARGUMENT, "'%s' has no section '-- reset:'", projection->path);
}

tide_status tide_sql_projection_reset(struct tide_sql_projection *projection,
				      struct tide_checkpoints *checkpoints, struct tide_error *err)
{
	if (!projection || !checkpoints)
		return tide_fail(err, TIDE_ARGUMENT,
				 "a SQL projection and its checkpoints are required");
	tide_status status = sql_check_reset(projection, err);
	return status == TIDE_OK ? tide_checkpoints_reset_with(checkpoints, projection->name,
							       sql_reset, projection, err)
				 : status;
}

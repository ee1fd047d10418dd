/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

tide_status pg_snapshot_load(void *session, struct tide_stream stream, struct tide_snapshot *ret,
			     struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_uuid(&params, &stream.aggregate_id);
	pg_put_string(&params, stream.aggregate_type);
	tide_status status = pg_read_run(session, PG_SNAPSHOT_LOAD, &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	char id[TIDE_UUID_TEXT_SIZE];
	if (PQntuples(rows) == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "aggregate '%s:%s' has no snapshot",
				 tide_uuid_format(&stream.aggregate_id, id), stream.aggregate_type);

	struct tide_text state = pg_text(rows, 0, 2);
	char *copy = alloc_text(state.data, state.size);
	if (!copy)
		return alloc_fail(err);

	*ret = (struct tide_snapshot){ .stream = stream,
				       .version = pg_int4(rows, 0, 0),
				       .schema_version = pg_int4(rows, 0, 1),
				       .state = { copy, state.size } };
	pg_time(rows, 0, 3, &ret->created_at);
	ret->has_last_event = PQnfields(rows) > 4 && !pg_is_null(rows, 0, 4);
	if (ret->has_last_event)
		ret->last_event_id = pg_uuid(rows, 0, 4);
	return TIDE_OK;
}

tide_status pg_snapshot_save(void *session, const struct tide_snapshot *snapshot,
			     struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_uuid(&params, &snapshot->stream.aggregate_id);
	pg_put_string(&params, snapshot->stream.aggregate_type);
	pg_put_int4(&params, snapshot->version);
	pg_put_int4(&params, snapshot->schema_version);
	pg_put_text(&params, snapshot->state);
	pg_put_time(&params, &snapshot->created_at);
	return pg_write_run(session, PG_SNAPSHOT_SAVE, &params, &result, err);
}

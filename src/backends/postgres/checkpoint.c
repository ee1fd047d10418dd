/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

static void checkpoint_copy(char ret[TIDE_NAME_MAX + 1], struct tide_text text)
{
	size_t size = text.size < TIDE_NAME_MAX ? text.size : TIDE_NAME_MAX;
	if (text.data)
		memcpy(ret, text.data, size);
}

static void checkpoint_row(const PGresult *rows, int row, struct tide_checkpoint *ret)
{
	*ret = (struct tide_checkpoint){ .last_event_id = pg_uuid(rows, row, 1),
					 .events_processed = pg_int8(rows, row, 5) };
	checkpoint_copy(ret->projection_name, pg_text(rows, row, 0));
	checkpoint_copy(ret->last_event_type, pg_text(rows, row, 2));
	ret->has_last_processed_at = !pg_is_null(rows, row, 3);

	if (ret->has_last_processed_at)
		pg_time(rows, row, 3, &ret->last_processed_at);
	ret->has_position = !pg_is_null(rows, row, 4);

	if (ret->has_position)
		ret->position = pg_int8(rows, row, 4);
	pg_time(rows, row, 6, &ret->created_at);
	pg_time(rows, row, 7, &ret->updated_at);

	if (PQnfields(rows) > 9 && !pg_is_null(rows, row, 8))
		ret->anchor = (struct tide_anchor){ pg_int8(rows, row, 8), pg_uuid(rows, row, 9) };
}

tide_status pg_checkpoint_load(void *session, const char *name, struct tide_checkpoint *ret,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, name);
	tide_status status = pg_write_run(session, PG_CHECKPOINT_LOAD, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(rows) == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no checkpoint", name);
	checkpoint_row(rows, 0, ret);
	return TIDE_OK;
}

/*
 * A subscription's save is made again from its events when it is lost; in a transaction the
 * transaction decides. The first one is flushed: a row that is gone is not taken for one that a
 * crash took back.
 */
static tide_status checkpoint_statement(struct pg_session *session, const struct tide_fence *fence,
					const struct tide_checkpoint_write *write,
					enum pg_statement *ret, struct tide_error *err)
{
	const struct tide_checkpoint_known *expected = write->expected;
	struct pg_connection *writer;
	tide_status status = pg_session_writer(session, &writer, err);
	if (status != TIDE_OK)
		return status;

	bool is_lazy =
		session->store->is_lazy && PQtransactionStatus(writer->native) == PQTRANS_IDLE;
	if (!fence)
		*ret = write->has_position ? PG_CHECKPOINT_SET : PG_CHECKPOINT_SAVE;
	else if (!expected)
		*ret = PG_CHECKPOINT_SAVE_FENCED;
	else if (!expected->has_row)
		*ret = PG_CHECKPOINT_MAKE;
	else
		*ret = is_lazy ? PG_CHECKPOINT_MOVE_LAZY : PG_CHECKPOINT_MOVE;
	return TIDE_OK;
}

static void checkpoint_put(const struct pg_session *session, struct pg_params *params,
			   const struct tide_fence *fence,
			   const struct tide_checkpoint_write *write)
{
	bool has_anchor = (session->store->target.parts & PART_BIT(PART_ANCHOR)) != 0;
	if (fence) {
		pg_put_fence(params, fence);
	} else {
		pg_put_string(params, write->name);
		pg_put_null(params);
		pg_put_null(params);
	}

	pg_put_uuid(params, write->progress.event_id);
	pg_put_fitting(params, write->progress.event_type, session->store->target.greatest,
		       TIDE_NAME_MAX);
	if (write->has_position)
		pg_put_int8(params, write->progress.position);
	else
		pg_put_null(params);
	pg_put_int8(params, write->progress.count);
	pg_put_time(params, &write->now);
	if (has_anchor && write->anchor.position)
		pg_put_int8(params, write->anchor.position);
	else if (has_anchor)
		pg_put_null(params);
	if (has_anchor)
		pg_put_uuid(params, write->anchor.position ? &write->anchor.event_id : NULL);
	if (write->expected && write->expected->has_position)
		pg_put_int8(params, write->expected->position);
	else if (write->expected && write->expected->has_row)
		pg_put_null(params);
}

/* Nothing was written: the fence fell, or the row is another one. */
static tide_status checkpoint_refused(struct pg_session *session, const struct tide_fence *fence,
				      struct tide_error *err)
{
	tide_status status = pg_lease_hold(session, fence, err);
	if (status != TIDE_OK)
		return status;
	return tide_fail(err, TIDE_DIVERGED, "the checkpoint of '%.255s' is another one",
			 fence->name);
}

static bool checkpoint_may_combine(struct pg_session *session, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write,
				   const struct pg_params *params)
{
	return write->may_combine && fence && write->expected && write->expected->has_row &&
	       !params->bytes.failed && pg_session_combines(session);
}

static tide_status checkpoint_save(struct pg_session *session, const struct tide_fence *fence,
				   const struct tide_checkpoint_write *write,
				   struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	enum pg_statement statement;
	checkpoint_put(session, &params, fence, write);
	if (checkpoint_may_combine(session, fence, write, &params))
		return pg_saves_write(session, &params, err);

	tide_status status = checkpoint_statement(session, fence, write, &statement, err);
	if (status == TIDE_OK)
		status = pg_write_run(session, statement, &params, &result, err);
	if (status == TIDE_OK && fence && pg_changed(result) == 0)
		return checkpoint_refused(session, fence, err);
	return status;
}

tide_status pg_segment_change(struct pg_session *session, const struct tide_segment_write *write,
			      const tide_position *until, int64_t discarded, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_string(&params, write->name);
	if (until)
		pg_put_int8(&params, *until);
	else
		pg_put_null(&params);
	pg_put_int8(&params, write->processed);
	pg_put_time(&params, &write->now);
	pg_put_int8(&params, discarded);
	return pg_write_run(session, PG_SEGMENT_CHANGE, &params, &result, err);
}

/* A role that may subscribe and no more keeps no segments. */
static tide_status checkpoint_count_discarded(struct pg_session *session,
					      const struct tide_checkpoint_write *write,
					      struct tide_error *err)
{
	struct tide_segment_write segment = { .name = write->name };
	bool may_count = false;
	tide_status status = TIDE_OK;
	if (session->store->target.parts & PART_BIT(PART_SEGMENTS))
		status = pg_may(session, "projection_segments", "SELECT, UPDATE", &may_count, err);
	return status == TIDE_OK && may_count
		       ? pg_segment_change(session, &segment, NULL, write->discarded, err)
		       : status;
}

/* What was dropped is counted with the position, or not at all. */
tide_status pg_checkpoint_save(void *session, const struct tide_fence *fence,
			       const struct tide_checkpoint_write *write, struct tide_error *err)
{
	struct pg_connection *writer;
	if (!write->discarded)
		return checkpoint_save(session, fence, write, err);
	tide_status status = pg_session_writer(session, &writer, err);
	if (status != TIDE_OK)
		return status;

	bool joins = PQtransactionStatus(writer->native) != PQTRANS_IDLE;
	if (!joins)
		status = pg_begin(session, err);
	if (status == TIDE_OK)
		status = checkpoint_save(session, fence, write, err);
	if (status == TIDE_OK)
		status = checkpoint_count_discarded(session, write, err);
	if (status == TIDE_OK && !joins)
		status = pg_commit(session, err);
	if (status != TIDE_OK && !joins)
		pg_rollback(session);
	return status;
}

tide_status pg_checkpoint_list(void *session, struct tide_checkpoint **ret, size_t *ret_count,
			       struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_write_run(session, PG_CHECKPOINT_LIST, NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = (size_t)PQntuples(rows);
	struct tide_checkpoint *list = alloc_zero(count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++)
		checkpoint_row(rows, (int)i, &list[i]);
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

tide_status pg_checkpoint_reset(void *session, const char *name, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_string(&params, name);
	return pg_write_run(session, PG_CHECKPOINT_RESET, &params, &result, err);
}

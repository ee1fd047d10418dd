/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches of the feed with one filter, for who proves later that nothing was skipped. */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

static bool segment_is_kept(const struct pg_session *session)
{
	return (session->store->target.parts & PART_BIT(PART_SEGMENTS)) != 0;
}

/* One statement ends the open one, too. */
static tide_status segment_begin(struct pg_session *session, const struct tide_fence *fence,
				 const struct tide_segment_write *write, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_fence(&params, fence);
	pg_put_int8(&params, write->from);
	pg_put_int8(&params, write->processed);
	pg_put_time(&params, &write->now);
	pg_put_string(&params, write->filter);
	pg_put_int8(&params, write->stored);
	if (write->should_end)
		pg_put_int8(&params, write->until);
	else
		pg_put_null(&params);
	tide_status status = pg_write_run(session, PG_SEGMENT_BEGIN, &params, &result, err);
	if (status == TIDE_OK && pg_changed(result) == 0)
		return pg_fail_fenced(fence, err);
	return status;
}

/* So seldom that it is not prepared. */
static tide_status segment_forget(struct pg_session *session, const char *name,
				  struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	struct pg_connection *writer;
	ALLOC_AUTO char *text = alloc_format("DELETE FROM %sprojection_segments WHERE name = "
					     "$1::text",
					     session->store->target.schema);
	if (!text)
		return alloc_fail(err);
	pg_put_string(&params, name);
	tide_status status = pg_session_writer(session, &writer, err);
	return status == TIDE_OK ? pg_query(writer, text, &params, &result, err) : status;
}

tide_status pg_segment_turn(void *session, const struct tide_fence *fence,
			    const struct tide_segment_write *write, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (!segment_is_kept(session))
		return TIDE_OK;
	if (write->should_forget)
		status = segment_forget(session, write->name, err);
	if (status == TIDE_OK && write->should_begin)
		status = segment_begin(session, fence, write, err);
	else if (status == TIDE_OK && write->should_end)
		status = pg_segment_change(session, write, &write->until, 0, err);
	return status;
}

static bool segment_row(const PGresult *rows, int row, struct tide_segment *ret)
{
	struct tide_text filter = pg_text(rows, row, 3);
	*ret = (struct tide_segment){ .from = pg_int8(rows, row, 0),
				      .processed_before = pg_int8(rows, row, 1),
				      .discarded = pg_int8(rows, row, 2),
				      .has_ended = pg_bool(rows, row, 4),
				      .stored = pg_int8(rows, row, 7) };
	if (!pg_is_null(rows, row, 5))
		ret->until = pg_int8(rows, row, 5);
	if (!pg_is_null(rows, row, 6))
		ret->processed_until = pg_int8(rows, row, 6);
	ret->filter = alloc_text(filter.data, filter.size);
	return ret->filter != NULL;
}

tide_status pg_segment_list(void *session, const char *name, struct tide_segment **ret,
			    size_t *ret_count, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = TIDE_OK;
	pg_put_string(&params, name);
	if (segment_is_kept(session))
		status = pg_read_run(session, PG_SEGMENT_LIST, &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = rows ? (size_t)PQntuples(rows) : 0;
	struct tide_segment *list = alloc_zero(count + 1, sizeof *list);
	bool is_whole = list != NULL;
	for (size_t i = 0; is_whole && i < count; i++)
		is_whole = segment_row(rows, (int)i, &list[i]);
	if (!is_whole) {
		tide_segments_free(list, count);
		return alloc_fail(err);
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Stretches of the feed with one filter, for who proves later that nothing was skipped. */
#include "backends/postgres/inner.h"
#include "core/segment.h"
#include "core/text.h"

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

/* Whoever begins it owns the name by other means. So seldom that it is not prepared. */
static tide_status segment_begin_by_hand(struct pg_session *session,
					 const struct tide_segment_write *write,
					 struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	struct pg_connection *writer;
	ALLOC_AUTO char *text = alloc_format(
		"INSERT INTO %sprojection_segments (name, from_position, events_processed, "
		"began_at, filter, stored_position) VALUES ($1::text, $2::int8, $3::int8, "
		"$4::timestamptz, $5::text::json, $6::int8)",
		session->store->target.schema);
	if (!text)
		return alloc_fail(err);

	pg_put_string(&params, write->name);
	pg_put_int8(&params, write->from);
	pg_put_int8(&params, write->processed);
	pg_put_time(&params, &write->now);
	pg_put_string(&params, write->filter);
	pg_put_int8(&params, write->stored);
	tide_status status = pg_session_writer(session, &writer, err);
	return status == TIDE_OK ? pg_query(writer, text, &params, &result, err) : status;
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
	if (status == TIDE_OK && write->should_begin && fence)
		return segment_begin(session, fence, write, err);
	if (status == TIDE_OK && write->should_end)
		status = pg_segment_change(session, write, &write->until, 0, err);
	if (status == TIDE_OK && write->should_begin)
		status = segment_begin_by_hand(session, write, err);
	return status;
}

/* In the open transaction, which a refused right would end. */
tide_status pg_segments_end(struct pg_session *session, const struct tide_group_change *change,
			    struct tide_error *err)
{
	bool may_end = false;
	tide_status status = TIDE_OK;
	if (segment_is_kept(session))
		status = pg_may(session, "projection_segments", "SELECT, UPDATE", &may_end, err);
	for (size_t i = 0; status == TIDE_OK && may_end && i < change->before_count; i++) {
		const struct tide_group_row *row = &change->before[i];
		struct tide_segment_write write = { .name = row->name,
						    .processed = row->processed,
						    .now = change->now };
		if (row->has_open)
			status = pg_segment_change(session, &write, &row->until, 0, err);
	}
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
	text_take_name(pg_text(rows, row, 8), ret->name);
	ret->filter = alloc_text(filter.data, filter.size);
	return ret->filter != NULL;
}

static bool segment_row_is_of(const PGresult *rows, int row, const char *name)
{
	char owner[TIDE_NAME_MAX + 1];
	text_take_name(pg_text(rows, row, 8), owner);
	return segment_is_of(name, owner);
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

	int row_count = rows ? PQntuples(rows) : 0;
	size_t count = 0;
	struct tide_segment *list = alloc_zero((size_t)row_count + 1, sizeof *list);
	bool is_whole = list != NULL;
	for (int i = 0; is_whole && i < row_count; i++)
		if (segment_row_is_of(rows, i, name))
			is_whole = segment_row(rows, i, &list[count++]);
	if (!is_whole) {
		tide_segments_free(list, count);
		return alloc_fail(err);
	}
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

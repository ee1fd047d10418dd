/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many lanes a subscription has, and their rows when that is changed.
 *
 * Happy path: in one transaction the group's row is locked, which members that join wait for, and
 * then the leases of the family, which its owners' writes wait for; everything is as it was read
 * and nobody lives who works with it. So the old ownerships end in a new epoch, the rows of the new
 * lanes are written, and the number. Fails when: the answer to the COMMIT does not come in time
 * (timeout); what became of it is seen by reading.
 */
#include "backends/postgres/inner.h"

#include "core/control.h"
#include "sys/alloc.h"

tide_status pg_group_get(void *self, const char *name, struct tide_group *ret,
			 struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = TIDE_OK;
	bool is_kept = pg_group_is_kept(self), may_see = true;
	pg_put_string(&params, name);
	if (is_kept)
		status = pg_may(self, "subscription_groups", "SELECT", &may_see, err);
	if (status == TIDE_OK && !may_see)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "this role may not read subscription_groups");
	if (status == TIDE_OK && is_kept)
		status = pg_write_run(self, PG_GROUP_GET, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (!rows || PQntuples(rows) == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "'%.255s' has no lanes", name);

	*ret = (struct tide_group){ .lanes = (uint32_t)pg_int4(rows, 0, 0),
				    .processed_before = pg_int8(rows, 0, 1) };
	snprintf(ret->name, sizeof ret->name, "%s", name);
	(void)pg_time(rows, 0, 2, &ret->changed_at);
	return TIDE_OK;
}

/* ---- Another number -------------------------------------------------------------------------- */

/* Lock the group's row, made when there should be none. */
static tide_status lanes_lock(struct pg_session *session, const char *name, uint32_t lanes,
			      bool *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *made = NULL, *rows = NULL;
	tide_status status = TIDE_OK;
	pg_put_string(&params, name);
	if (lanes == 0)
		status = pg_write_run(session, PG_GROUP_MAKE, &params, &made, err);
	if (status == TIDE_OK)
		status = pg_write_run(session, PG_GROUP_LOCK, &params, &rows, err);
	if (status == TIDE_OK)
		*ret = PQntuples(rows) == 1 && pg_int4(rows, 0, 0) == (int32_t)lanes;
	return status;
}

static void lanes_put_names(struct pg_params *params, const struct tide_group_row *rows,
			    size_t count)
{
	pg_array_begin(params, PG_TEXT, count);
	for (size_t i = 0; i < count; i++)
		pg_array_text(params, tide_text(rows[i].name));
	pg_array_end(params);
}

/* Lock the leases of all rows, old and new; `*ret` false: one is owned, or locked by who moves the
 * name, which locks the group's row behind them: nobody waits for that here. */
static tide_status lanes_seat(struct pg_session *session, const struct tide_group_change *change,
			      bool *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	lanes_put_names(&params, change->before, change->before_count);
	lanes_put_names(&params, change->after, change->after_count);
	tide_status status = pg_write_run(session, PG_GROUP_SEAT_FREE, &params, &rows, err);
	if (status == TIDE_OK)
		*ret = pg_int8(rows, 0, 0) == 0;
	return status;
}

static tide_status lanes_have_no_member(struct pg_session *session, const char *name, bool *ret,
					struct tide_error *err)
{
	ALLOC_AUTO struct tide_member *members = NULL;
	size_t count = 0;
	tide_status status = pg_member_list(session, name, &members, &count, err);
	if (status == TIDE_OK)
		*ret = count == 0;
	return status;
}

static bool lanes_is_same(const PGresult *rows, const struct tide_group_row *before)
{
	int row = 0;
	while (row < PQntuples(rows) && !text_equals(pg_text(rows, row, 0), before->name))
		row++;
	if (row == PQntuples(rows))
		return !before->has_row;
	if (pg_is_null(rows, row, 1))
		return before->has_row && !before->has_position;
	return before->has_position && pg_int8(rows, row, 1) == before->position;
}

static tide_status lanes_are_same(struct pg_session *session,
				  const struct tide_group_change *change, bool *ret,
				  struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	lanes_put_names(&params, change->before, change->before_count);
	tide_status status = pg_write_run(session, PG_GROUP_ROWS, &params, &rows, err);
	*ret = status == TIDE_OK;
	for (size_t i = 0; *ret && i < change->before_count; i++)
		*ret = lanes_is_same(rows, &change->before[i]);
	return status;
}

static void lanes_put_rows(struct pg_params *params, const struct tide_group_row *rows,
			   size_t count)
{
	lanes_put_names(params, rows, count);
	pg_array_begin(params, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_array_int8(params, rows[i].has_position ? rows[i].position : -1);
	pg_array_end(params);

	pg_array_begin(params, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_array_int8(params, rows[i].anchor.position);
	pg_array_end(params);

	pg_array_begin(params, PG_UUID, count);
	for (size_t i = 0; i < count; i++)
		pg_array_uuid(params, &rows[i].anchor.event_id, true);
	pg_array_end(params);
}

static tide_status lanes_write(struct pg_session *session, const struct tide_group_change *change,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_string(&params, change->name);
	pg_put_int4(&params, (int32_t)change->lanes);
	lanes_put_names(&params, change->before, change->before_count);
	pg_put_time(&params, &change->now);
	lanes_put_rows(&params, change->after, change->after_count);
	pg_put_time(&params, &change->created);
	return pg_write_run(session, PG_GROUP_WRITE, &params, &result, err);
}

/* In the order of the locks. */
static tide_status lanes_change(struct pg_session *session, const struct tide_group_change *change,
				bool *ret, struct tide_error *err)
{
	bool is_ready = false;
	tide_status status =
		lanes_lock(session, change->name, change->lanes_before, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = lanes_have_no_member(session, change->name, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = lanes_seat(session, change, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = lanes_are_same(session, change, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = lanes_write(session, change, err);
	if (status == TIDE_OK && is_ready)
		status = pg_segments_end(session, change, err);
	*ret = is_ready;
	return status;
}

tide_status pg_group_change(void *self, const struct tide_group_change *change, bool *ret,
			    struct tide_error *err)
{
	bool is_ready = false;
	if (!pg_group_is_kept(self))
		return group_unsupported(err);

	tide_status status = pg_begin(self, err);
	if (status == TIDE_OK)
		status = lanes_change(self, change, &is_ready, err);
	if (status == TIDE_OK && is_ready)
		status = pg_commit(self, err);
	if (status != TIDE_OK || !is_ready)
		pg_rollback(self);
	if (status == TIDE_OK)
		*ret = is_ready;
	return status;
}

/* ---- Old rows -------------------------------------------------------------------------------- */

tide_status pg_group_forget(void *self, const struct tide_group *group, const char *const *rows,
			    size_t count, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	if (!pg_group_is_kept(self))
		return group_unsupported(err);
	pg_put_string(&params, group->name);
	pg_put_int4(&params, (int32_t)group->lanes);
	pg_put_members(&params, rows, count, sizeof *rows);
	pg_put_time(&params, &group->changed_at);
	return pg_write_run(self, PG_GROUP_FORGET, &params, &result, err);
}

/* ---- All rows at once ------------------------------------------------------------------------ */

static tide_status lanes_clear(struct pg_session *session, const struct tide_group_move *move,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 }, begun = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL, *made = NULL;
	pg_put_string(&params, move->name);
	pg_put_members(&params, move->rows, move->row_count, sizeof *move->rows);
	tide_status status = pg_write_run(session, PG_GROUP_CLEAR, &params, &result, err);
	if (status != TIDE_OK || move->position < 0)
		return status;

	pg_put_members(&begun, move->rows, move->lanes, sizeof *move->rows);
	pg_put_int8(&begun, move->position);
	pg_put_time(&begun, &move->now);
	return pg_write_run(session, PG_GROUP_BEGIN, &begun, &made, err);
}

static tide_status lanes_go_back(struct pg_session *session, const struct tide_group_move *move,
				 struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_members(&params, move->rows, move->row_count, sizeof *move->rows);
	pg_put_int4(&params, (int32_t)move->lanes);
	pg_put_int8(&params, move->position);
	pg_put_time(&params, &move->now);
	return pg_write_run(session, PG_GROUP_BACK, &params, &result, err);
}

static tide_status lanes_lock_leases(struct pg_session *session, const struct tide_group_move *move,
				     struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_members(&params, move->rows, move->row_count, sizeof *move->rows);
	pg_put_members(&params, move->rows, 0, sizeof *move->rows);
	return pg_write_run(session, PG_GROUP_SEAT, &params, &rows, err);
}

static tide_status lanes_move(struct pg_session *session, const struct tide_group_move *move,
			      bool *ret, struct tide_error *err)
{
	tide_status status = lanes_lock(session, move->name, move->lanes, ret, err);
	if (status == TIDE_OK && *ret)
		status = lanes_lock_leases(session, move, err);
	if (status != TIDE_OK || !*ret)
		return status;
	return move->forgets ? lanes_clear(session, move, err) : lanes_go_back(session, move, err);
}

tide_status pg_group_move(void *self, const struct tide_group_move *move, bool *ret,
			  struct tide_error *err)
{
	struct pg_connection *writer;
	bool is_same = false;
	if (!pg_group_is_kept(self))
		return group_unsupported(err);
	tide_status status = pg_session_writer(self, &writer, err);
	if (status != TIDE_OK)
		return status;

	bool joins = PQtransactionStatus(writer->native) != PQTRANS_IDLE;
	if (!joins)
		status = pg_begin(self, err);
	if (status == TIDE_OK)
		status = lanes_move(self, move, &is_same, err);
	if (status == TIDE_OK && is_same && !joins)
		status = pg_commit(self, err);
	if ((status != TIDE_OK || !is_same) && !joins)
		pg_rollback(self);
	if (status == TIDE_OK)
		*ret = is_same;
	return status;
}

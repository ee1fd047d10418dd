/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of groups: a row each, held as a lease is, for some seconds by the server's clock, and
 * renewed with the leases of its manager (lease.c). Who joins deletes the rows of those that have
 * died; one that was frozen finds its row gone and joins again, as the newest.
 */
#include "backends/postgres/inner.h"

#include "core/control.h"
#include "sys/alloc.h"

tide_status pg_member_join(void *self, const struct tide_member_write *write, bool *ret,
			   struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	const struct pg_session *session = self;
	char id[TIDE_UUID_TEXT_SIZE];
	if (!pg_group_is_kept(session))
		return group_unsupported(err);

	pg_put_string(&params, write->group);
	pg_put_int4(&params, (int32_t)write->lanes);
	pg_put_string(&params, tide_uuid_format(&write->id, id));
	pg_put_fitting(&params, write->host, session->store->target.greatest,
		       sizeof((struct tide_member *)0)->host - 1);
	pg_put_int4(&params, write->pid);
	pg_put_int4(&params, session->lease_ms);
	tide_status status = pg_read_run(self, PG_MEMBER_JOIN, &params, &result, err);
	if (status != TIDE_OK)
		return status;
	*ret = pg_changed(result) > 0;
	pg_bell_ring(session->store);
	return TIDE_OK;
}

tide_status pg_member_leave(void *self, const char *group, const struct tide_uuid *member,
			    struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	const struct pg_session *session = self;
	char id[TIDE_UUID_TEXT_SIZE];
	if (!pg_group_is_kept(session))
		return TIDE_OK;
	pg_put_string(&params, group);
	pg_put_string(&params, tide_uuid_format(member, id));
	tide_status status = pg_read_run(self, PG_MEMBER_LEAVE, &params, &result, err);
	if (status == TIDE_OK)
		pg_bell_ring(session->store);
	return status;
}

static void member_row(const PGresult *rows, int row, struct tide_member *ret)
{
	struct tide_text id = pg_text(rows, row, 0);
	(void)uuid_read(id.data, id.size, &ret->id);
	control_copy(ret->host, sizeof ret->host, pg_text(rows, row, 1));
	ret->pid = pg_is_null(rows, row, 2) ? 0 : pg_int4(rows, row, 2);
	(void)pg_time(rows, row, 3, &ret->joined_at);
	ret->seconds_left = (double)pg_int8(rows, row, 4) / 1000;
}

tide_status pg_member_list(void *self, const char *group, struct tide_member **ret,
			   size_t *ret_count, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = TIDE_OK;
	pg_put_string(&params, group);
	if (pg_group_is_kept(self))
		status = pg_write_run(self, PG_MEMBER_LIST, &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = rows ? (size_t)PQntuples(rows) : 0;
	struct tide_member *list = alloc_zero(count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++)
		member_row(rows, (int)i, &list[i]);
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

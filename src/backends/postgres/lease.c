/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership: a row a subscription, held for some seconds by the server's clock and renewed
 * meanwhile. The row says how many; one of an earlier version does not: 15.
 *
 * No lock outlives its statement, so this works through a pooler in transaction mode, and a host
 * that has gone is replaced when its lease runs out. Leases are written beside the transaction of a
 * delivery, never in it: a mark must be there when the handler kills the process.
 */
#include "backends/postgres/inner.h"

#include <assert.h>

#include "core/text.h"
#include "sys/alloc.h"

void pg_put_fence(struct pg_params *params, const struct tide_fence *fence)
{
	char owner[TIDE_UUID_TEXT_SIZE];
	if (!fence) {
		pg_put_null(params);
		pg_put_null(params);
		pg_put_null(params);
		return;
	}
	pg_put_string(params, fence->name);
	pg_put_string(params, tide_uuid_format(&fence->owner, owner));
	pg_put_int8(params, fence->epoch);
}

tide_status pg_fail_fenced(const struct tide_fence *fence, struct tide_error *err)
{
	return tide_fail(err, TIDE_FENCED, "'%.255s' has another owner now", fence->name);
}

static tide_status lease_try(struct pg_session *session, const char *name,
			     const struct tide_uuid *owner, struct tide_lease *ret,
			     struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	pg_put_string(&params, name);
	pg_put_string(&params, tide_uuid_format(owner, text));
	pg_put_int4(&params, session->lease_ms);
	tide_status status = pg_read_run(session, PG_LEASE_ACQUIRE, &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	*ret = (struct tide_lease){ .is_owned = PQntuples(rows) == 1 };
	if (!ret->is_owned)
		return TIDE_OK;

	ret->epoch = pg_int8(rows, 0, 0);
	ret->was_unclean = pg_bool(rows, 0, 1);
	if (!pg_is_null(rows, 0, 2))
		ret->suspect = pg_int8(rows, 0, 2);
	if (!pg_is_null(rows, 0, 3))
		ret->suspect_deaths = pg_int4(rows, 0, 3);
	ret->seconds = pg_int4(rows, 0, 4) / 1000.0;
	return TIDE_OK;
}

tide_status pg_lease_acquire(void *session, const char *name, const struct tide_uuid *owner,
			     struct tide_lease *ret, struct tide_error *err)
{
	struct tide_lease lease;
	tide_status status = lease_try(session, name, owner, &lease, err);
	if (status == TIDE_OK && !lease.is_owned) {
		PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
		PG_RESULT_AUTO PGresult *result = NULL;
		pg_put_string(&params, name);
		status = pg_read_run(session, PG_LEASE_MAKE, &params, &result, err);
		if (status == TIDE_OK && pg_changed(result) == 1)
			status = lease_try(session, name, owner, &lease, err);
	}

	if (status == TIDE_OK)
		*ret = lease;
	return status;
}

tide_status pg_lease_seize(void *session, const char *name, const struct tide_uuid *owner,
			   struct tide_lease *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params made = { .count = 0 }, params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL, *rows = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	pg_put_string(&made, name);
	tide_status status = pg_read_run(session, PG_LEASE_MAKE, &made, &result, err);
	pg_put_string(&params, name);
	pg_put_string(&params, tide_uuid_format(owner, text));
	if (status == TIDE_OK)
		status = pg_read_run(session, PG_LEASE_SEIZE, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(rows) == 0)
		return tide_fail(err, TIDE_BUSY,
				 "the lease of '%.255s' was deleted while it was taken", name);

	*ret = (struct tide_lease){ .is_owned = true, .epoch = pg_int8(rows, 0, 0) };
	return TIDE_OK;
}

static tide_status lease_change(struct pg_session *session, enum pg_statement statement,
				const struct pg_params *params, const struct tide_fence *fence,
				struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *result = NULL;
	tide_status status = pg_read_run(session, statement, params, &result, err);
	if (status == TIDE_OK && pg_changed(result) == 0)
		return pg_fail_fenced(fence, err);
	return status;
}

tide_status pg_lease_renew(void *session, const struct tide_fence *fence, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_fence(&params, fence);
	return lease_change(session, PG_LEASE_RENEW, &params, fence, err);
}

tide_status pg_lease_hold(void *session, const struct tide_fence *fence, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_fence(&params, fence);
	tide_status status = pg_write_run(session, PG_FENCE, &params, &rows, err);
	return status == TIDE_OK && PQntuples(rows) == 0 ? pg_fail_fenced(fence, err) : status;
}

static void lease_put_all(struct pg_params *params, const struct tide_lease_renewal *leases,
			  size_t count)
{
	char text[TIDE_UUID_TEXT_SIZE];
	pg_array_begin(params, PG_TEXT, count);
	for (size_t i = 0; i < count; i++)
		pg_array_text(params, tide_text(leases[i].fence.name));
	pg_array_end(params);

	pg_array_begin(params, PG_TEXT, count);
	for (size_t i = 0; i < count; i++)
		pg_array_text(params, tide_text(tide_uuid_format(&leases[i].fence.owner, text)));
	pg_array_end(params);

	pg_array_begin(params, PG_INT8, count);
	for (size_t i = 0; i < count; i++)
		pg_array_int8(params, leases[i].is_member ? -1 : leases[i].fence.epoch);
	pg_array_end(params);
}

static enum pg_statement lease_renewal_of(const struct tide_lease_renewal *leases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (leases[i].is_member)
			return PG_LEASE_RENEW_ALL_AND_MEMBERS;
	return PG_LEASE_RENEW_ALL;
}

tide_status pg_lease_renew_all(void *session, struct tide_lease_renewal *leases, size_t count,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (count == 0)
		return TIDE_OK;
	lease_put_all(&params, leases, count);
	tide_status status =
		pg_read_run(session, lease_renewal_of(leases, count), &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	for (size_t i = 0; i < count; i++)
		leases[i].result = TIDE_RENEWAL_LOST;
	for (int row = 0; row < PQntuples(rows); row++) {
		int64_t place = pg_int8(rows, row, 0);
		assert(place >= 1 && place <= (int64_t)count);
		leases[place - 1].result =
			pg_bool(rows, row, 1) ? TIDE_RENEWAL_MADE : TIDE_RENEWAL_SKIPPED;
	}
	return TIDE_OK;
}

tide_status pg_lease_release(void *session, const struct tide_fence *fence, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_fence(&params, fence);
	return lease_change(session, PG_LEASE_RELEASE, &params, fence, err);
}

tide_status pg_lease_end(void *session, const char *name, bool *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_string(&params, name);
	tide_status status = pg_read_run(session, PG_LEASE_END, &params, &result, err);
	if (status == TIDE_OK)
		*ret = pg_changed(result) > 0;
	return status;
}

tide_status pg_lease_mark(void *session, const struct tide_fence *fence, tide_position position,
			  int32_t deaths, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_fence(&params, fence);
	if (position > 0) {
		pg_put_int8(&params, position);
		pg_put_int4(&params, deaths);
	} else {
		pg_put_null(&params);
		pg_put_null(&params);
	}
	return lease_change(session, PG_LEASE_MARK, &params, fence, err);
}

tide_status pg_lease_is_owned(void *session, const char *name, bool *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, name);
	tide_status status = pg_read_run(session, PG_LEASE_IS_OWNED, &params, &rows, err);
	if (status == TIDE_OK)
		*ret = PQntuples(rows) > 0;
	return status;
}

tide_status pg_lease_note(void *self, const struct tide_fence *fence,
			  const struct tide_lease_note *note, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	const struct pg_session *session = self;
	uint32_t greatest = session->store->target.greatest;
	if (!(session->store->target.parts & PART_BIT(PART_LEASE_HISTORY)))
		return TIDE_OK;
	pg_put_fence(&params, fence);
	pg_put_fitting(&params, note->host, greatest,
		       sizeof((struct tide_lease_info *)0)->host - 1);
	pg_put_int4(&params, note->pid);
	pg_put_fitting(&params, note->last_error, greatest,
		       sizeof((struct tide_lease_info *)0)->last_error - 1);
	pg_put_string(&params, note->reason);
	return lease_change(self, PG_LEASE_NOTE, &params, fence, err);
}

tide_status pg_lease_tell(void *self, const struct tide_fence *fence, const char *reason, bool *ret,
			  struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	const struct pg_session *session = self;
	*ret = true;
	if (!(session->store->target.parts & PART_BIT(PART_LEASE_REASON)))
		return TIDE_OK;

	pg_put_fence(&params, fence);
	pg_put_string(&params, reason);
	tide_status status = pg_read_run(self, PG_LEASE_TELL, &params, &result, err);
	*ret = status == TIDE_OK && pg_changed(result) > 0;
	return status;
}

static void lease_text(const PGresult *rows, int row, int column, char *ret, size_t size)
{
	struct tide_text text = pg_text(rows, row, column);
	size_t length = !text.data ? 0 : text.size < size ? text.size : size - 1;
	if (length > 0)
		memcpy(ret, text.data, length);
	ret[length] = '\0';
}

static void lease_row(const PGresult *rows, int row, struct tide_lease_info *ret)
{
	lease_text(rows, row, 0, ret->name, sizeof ret->name);
	ret->is_owned = pg_bool(rows, row, 1);
	(void)pg_time(rows, row, 2, &ret->acquired_at);
	ret->seconds_left = (double)pg_int8(rows, row, 3);
	lease_text(rows, row, 4, ret->host, sizeof ret->host);
	ret->pid = pg_is_null(rows, row, 5) ? 0 : pg_int4(rows, row, 5);
	lease_text(rows, row, 6, ret->last_error, sizeof ret->last_error);
	ret->has_last_error = !pg_is_null(rows, row, 6) && !pg_is_null(rows, row, 7) &&
			      pg_time(rows, row, 7, &ret->last_error_at);
	ret->has_owner = pg_bool(rows, row, 8);
	ret->has_released_at =
		!pg_is_null(rows, row, 9) && pg_time(rows, row, 9, &ret->released_at);
	ret->suspect = pg_is_null(rows, row, 10) ? 0 : pg_int8(rows, row, 10);
	ret->suspect_deaths = pg_is_null(rows, row, 11) ? 0 : pg_int4(rows, row, 11);
	lease_text(rows, row, 12, ret->reason, sizeof ret->reason);
	struct tide_text owner = pg_text(rows, row, 13);
	(void)uuid_read(owner.data, owner.size, &ret->owner);
}

tide_status pg_lease_list(void *session, struct tide_lease_info **ret, size_t *ret_count,
			  struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_read_run(session, PG_LEASE_LIST, NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = (size_t)PQntuples(rows);
	struct tide_lease_info *list = alloc_zero(count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++)
		lease_row(rows, (int)i, &list[i]);
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

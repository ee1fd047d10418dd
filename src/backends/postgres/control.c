/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable pauses, and the journal of what persons did. A pause and its entry are one statement; the
 * bell tells listeners of other processes.
 */
#include "backends/postgres/inner.h"

#include "core/control.h"
#include "sys/alloc.h"

static bool control_is_kept(const struct pg_session *session)
{
	return (session->store->target.parts & PART_BIT(PART_CONTROLS)) != 0;
}

static void journal_put(const struct pg_session *session, struct pg_params *params,
			const struct tide_journal_write *write)
{
	uint32_t greatest = session->store->target.greatest;
	pg_put_string(params, write->name);
	pg_put_time(params, &write->now);
	pg_put_fitting(params, write->who, greatest, TIDE_PERSON_MAX);
	pg_put_fitting(params, write->host, greatest, TIDE_PERSON_MAX);
	pg_put_string(params, write->act);
	pg_put_fitting(params, write->detail, greatest, TIDE_NOTE_MAX);
}

tide_status pg_control_set(void *self, const struct tide_control_write *write, bool *ret_was_paused,
			   struct tide_error *err)
{
	struct pg_session *session = self;
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (!control_is_kept(session))
		return control_unsupported(err);

	journal_put(session, &params, &write->journal);
	if (write->is_pause) {
		pg_put_string(&params, write->reason);
		pg_put_fitting(&params, write->note, session->store->target.greatest,
			       TIDE_NOTE_MAX);
	}

	tide_status status =
		pg_write_run(session, write->is_pause ? PG_CONTROL_PAUSE : PG_CONTROL_RESUME,
			     &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	*ret_was_paused = pg_bool(rows, 0, 0);
	pg_bell_ring(session->store);
	return TIDE_OK;
}

static void control_row(const PGresult *rows, int row, struct tide_control *ret)
{
	control_copy(ret->name, sizeof ret->name, pg_text(rows, row, 0));
	(void)pg_time(rows, row, 1, &ret->paused_at);
	control_copy(ret->paused_by, sizeof ret->paused_by, pg_text(rows, row, 2));
	ret->reason = control_reason(pg_text(rows, row, 3));
	control_copy(ret->note, sizeof ret->note, pg_text(rows, row, 4));
	(void)pg_time(rows, row, 5, &ret->updated_at);
}

tide_status pg_control_list(void *self, struct tide_control **ret, size_t *ret_count,
			    struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = TIDE_OK;
	if (control_is_kept(self))
		status = pg_read_run(self, PG_CONTROL_LIST, NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = rows ? (size_t)PQntuples(rows) : 0;
	struct tide_control *list = alloc_zero(count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++)
		control_row(rows, (int)i, &list[i]);
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

tide_status pg_journal_add(void *self, const struct tide_journal_write *write,
			   struct tide_error *err)
{
	struct pg_session *session = self;
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (!control_is_kept(session))
		return TIDE_OK;
	bool may_write;
	tide_status status =
		pg_may(session, "subscription_journal", "SELECT, INSERT, DELETE", &may_write, err);
	if (status != TIDE_OK)
		return status;
	if (!may_write)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "this role may not write 'subscription_journal'");
	journal_put(session, &params, write);
	return pg_write_run(session, PG_JOURNAL_ADD, &params, &rows, err);
}

static void journal_row(const PGresult *rows, int row, struct tide_journal_entry *ret)
{
	ret->id = pg_int8(rows, row, 0);
	(void)pg_time(rows, row, 1, &ret->at);
	control_copy(ret->who, sizeof ret->who, pg_text(rows, row, 2));
	control_copy(ret->host, sizeof ret->host, pg_text(rows, row, 3));
	control_copy(ret->act, sizeof ret->act, pg_text(rows, row, 4));
	control_copy(ret->name, sizeof ret->name, pg_text(rows, row, 5));
	control_copy(ret->detail, sizeof ret->detail, pg_text(rows, row, 6));
}

tide_status pg_journal_list(void *self, const char *name, int64_t limit,
			    struct tide_journal_entry **ret, size_t *ret_count,
			    struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = TIDE_OK;
	pg_put_string(&params, name);
	pg_put_int8(&params, limit < 0 ? INT64_MAX : limit);
	if (control_is_kept(self))
		status = pg_read_run(self, PG_JOURNAL_LIST, &params, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = rows ? (size_t)PQntuples(rows) : 0;
	struct tide_journal_entry *list = alloc_zero(count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++)
		journal_row(rows, (int)i, &list[i]);
	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

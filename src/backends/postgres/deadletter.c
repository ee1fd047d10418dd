/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

#define DEAD_LETTER_STATUSES 3

static void dead_letter_put_statuses(struct pg_params *params,
				     const bool statuses[DEAD_LETTER_STATUSES])
{
	size_t count = 0;
	for (int i = 0; i < DEAD_LETTER_STATUSES; i++)
		count += statuses[i];
	pg_array_begin(params, PG_TEXT, count);
	for (int i = 0; i < DEAD_LETTER_STATUSES; i++)
		if (statuses[i])
			pg_array_text(params, tide_text(tide_dead_letter_status_name(
						      (enum tide_dead_letter_status)i)));
	pg_array_end(params);
}

/* The column is a UUID: an id of another store that is none has a UUID by its name. */
static void dead_letter_put_id(struct pg_params *params, const char *text)
{
	struct tide_uuid id;
	if (text && tide_uuid_parse(text, &id, NULL) != TIDE_OK)
		id = tide_uuid_v5(NULL, text);
	pg_put_uuid(params, text ? &id : NULL);
}

bool pg_dead_letter_can_park(void *store)
{
	return (((struct pg_store *)store)->target.parts & PART_BIT(PART_PARKED)) != 0;
}

/* JSONB has its limits: numbers beyond NUMERIC and escapes that the encoding lacks (classes 22 and
 * 0A), sizes (54). */
static bool dead_letter_is_refused(struct pg_session *session)
{
	static const char *const classes[] = { "22", "0A", "54" };
	struct pg_connection *connection;
	bool is_refused = false;
	if (pg_session_writer(session, &connection, NULL) == TIDE_OK)
		for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
			is_refused =
				is_refused || strncmp(connection->sqlstate, classes[i], 2) == 0;
	return is_refused;
}

static tide_status dead_letter_refuse(struct tide_error *err)
{
	return err ? tide_fail(err, TIDE_ARGUMENT, "%s", err->message) : TIDE_ARGUMENT;
}

tide_status pg_dead_letter_add(void *session, const struct tide_fence *fence,
			       const struct tide_dead_letter_write *write, int64_t *ret,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_fence(&params, fence);
	pg_put_uuid(&params, &write->event_id);
	uint32_t greatest = ((struct pg_session *)session)->store->target.greatest;
	pg_put_fitting(&params, write->event_type, greatest, TIDE_NAME_MAX);
	pg_put_string(&params, write->event_data);
	pg_put_fitting(&params, write->message, greatest, SIZE_MAX);
	pg_put_fitting(&params, write->stacktrace, greatest, SIZE_MAX);
	pg_put_int4(&params, write->retry_count);
	pg_put_time(&params, &write->now);
	dead_letter_put_id(&params, write->parked_behind);
	pg_put_string(&params, write->projection_name);
	tide_status status =
		pg_write_run(session, fence ? PG_DEAD_LETTER_ADD_FENCED : PG_DEAD_LETTER_ADD,
			     &params, &rows, err);
	if (status == TIDE_TIMEOUT)
		return status;
	if (status != TIDE_OK)
		return dead_letter_is_refused(session) ? dead_letter_refuse(err) : status;
	if (PQntuples(rows) == 0)
		return pg_fail_fenced(fence, err);

	*ret = pg_int8(rows, 0, 0);
	return TIDE_OK;
}

static enum tide_dead_letter_status dead_letter_status(const char *name)
{
	for (int i = 0; i < DEAD_LETTER_STATUSES; i++)
		if (strcmp(name, tide_dead_letter_status_name((enum tide_dead_letter_status)i)) ==
		    0)
			return (enum tide_dead_letter_status)i;
	return TIDE_DEAD_LETTER_FAILED;
}

/* `behind` is where a text of the entry is written. */
static void dead_letter_row(const PGresult *rows, int row, struct tide_dead_letter *ret,
			    char behind[TIDE_UUID_TEXT_SIZE])
{
	*ret = (struct tide_dead_letter){ .id = pg_int8(rows, row, 0),
					  .event_id = pg_uuid(rows, row, 1),
					  .projection_name = pg_text(rows, row, 2).data,
					  .event_type = pg_text(rows, row, 3).data,
					  .event_data = pg_text(rows, row, 4).data,
					  .error_message = pg_text(rows, row, 5).data,
					  .error_stacktrace = pg_text(rows, row, 6).data,
					  .retry_count = pg_int4(rows, row, 7),
					  .status = dead_letter_status(PQgetvalue(rows, row, 10)),
					  .is_resolved = !pg_is_null(rows, row, 11),
					  .resolved_by = pg_text(rows, row, 12).data };
	if (!pg_is_null(rows, row, 13)) {
		struct tide_uuid id = pg_uuid(rows, row, 13);
		ret->parked_behind = tide_uuid_format(&id, behind);
	}

	pg_time(rows, row, 8, &ret->first_failed_at);
	pg_time(rows, row, 9, &ret->last_failed_at);
	if (ret->is_resolved)
		pg_time(rows, row, 11, &ret->resolved_at);
}

static tide_status dead_letter_rows(const PGresult *rows, struct tide_dead_letter_list *ret,
				    struct tide_error *err)
{
	struct tide_dead_letter_list list = { 0 };
	for (int row = 0; row < PQntuples(rows); row++) {
		struct tide_dead_letter entry;
		char behind[TIDE_UUID_TEXT_SIZE];
		dead_letter_row(rows, row, &entry, behind);
		tide_status status = tide_dead_letter_list_add(&list, &entry, err);
		if (status != TIDE_OK) {
			tide_dead_letters_free(&list);
			return status;
		}
	}

	*ret = list;
	return TIDE_OK;
}

tide_status pg_dead_letter_list(void *session, const struct tide_dead_letter_filter *filter,
				struct tide_dead_letter_list *ret, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_string(&params, filter->projection_name);
	dead_letter_put_statuses(&params, filter->statuses);
	pg_put_int8(&params, filter->limit < 0 ? INT64_MAX : filter->limit);
	pg_put_int4(&params, filter->oldest_first);
	pg_put_int8(&params, filter->after_id);
	dead_letter_put_id(&params, filter->parked_behind);
	tide_status status = pg_write_run(session, PG_DEAD_LETTER_LIST, &params, &rows, err);
	return status == TIDE_OK ? dead_letter_rows(rows, ret, err) : status;
}

static tide_status dead_letter_fail_unknown(int64_t id, struct tide_error *err)
{
	return tide_fail(err, TIDE_NOT_FOUND, "dead letter %lld does not exist", (long long)id);
}

tide_status pg_dead_letter_get(void *session, int64_t id, struct tide_dead_letter_list *ret,
			       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_int8(&params, id);
	tide_status status = pg_write_run(session, PG_DEAD_LETTER_GET, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	return PQntuples(rows) == 0 ? dead_letter_fail_unknown(id, err)
				    : dead_letter_rows(rows, ret, err);
}

/* Why a change of one entry changed nothing. */
static tide_status dead_letter_explain(void *session, const struct tide_fence *fence, int64_t id,
				       struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = fence ? pg_lease_hold(session, fence, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;

	pg_put_int8(&params, id);
	status = pg_write_run(session, PG_DEAD_LETTER_STATUS, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(rows) == 0)
		return dead_letter_fail_unknown(id, err);

	return tide_fail(err, TIDE_STATE, "dead letter %lld is %s", (long long)id,
			 PQgetvalue(rows, 0, 0));
}

tide_status pg_dead_letter_change(void *session, const struct tide_fence *fence,
				  const struct tide_dead_letter_change *change,
				  struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_fence(&params, fence);
	pg_put_int8(&params, change->id);
	dead_letter_put_statuses(&params, change->from);
	pg_put_string(&params, tide_dead_letter_status_name(change->to));

	uint32_t greatest = ((struct pg_session *)session)->store->target.greatest;
	pg_put_fitting(&params, change->message, greatest, SIZE_MAX);
	pg_put_fitting(&params, change->stacktrace, greatest, SIZE_MAX);
	pg_put_int4(&params, change->add_retries);
	pg_put_fitting(&params, change->resolved_by, greatest, TIDE_NAME_MAX);
	pg_put_time(&params, &change->now);
	dead_letter_put_id(&params, change->parked_behind);

	tide_status status =
		pg_write_run(session, fence ? PG_DEAD_LETTER_CHANGE_FENCED : PG_DEAD_LETTER_CHANGE,
			     &params, &result, err);

	if (status == TIDE_OK && pg_changed(result) == 0)
		return dead_letter_explain(session, fence, change->id, err);
	return status;
}

tide_status pg_dead_letter_discard(void *session, int64_t id, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_int8(&params, id);
	tide_status status = pg_write_run(session, PG_DEAD_LETTER_DISCARD, &params, &result, err);
	if (status == TIDE_OK && pg_changed(result) == 0)
		return dead_letter_explain(session, NULL, id, err);
	return status;
}

tide_status pg_dead_letter_purge(void *session, struct tide_time before, int64_t *ret,
				 struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_time(&params, &before);
	tide_status status = pg_write_run(session, PG_DEAD_LETTER_PURGE, &params, &result, err);
	if (status == TIDE_OK)
		*ret = pg_changed(result);
	return status;
}

tide_status pg_dead_letter_stats(void *session, struct tide_dead_letter_stats *ret,
				 struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_write_run(session, PG_DEAD_LETTER_STATS, NULL, &rows, err);
	if (status != TIDE_OK)
		return status;
	*ret = (struct tide_dead_letter_stats){ .total_failed = pg_int8(rows, 0, 0),
						.total_retrying = pg_int8(rows, 0, 1),
						.affected_projections = pg_int8(rows, 0, 2),
						.has_oldest_failure = !pg_is_null(rows, 0, 3) };
	if (ret->has_oldest_failure)
		pg_time(rows, 0, 3, &ret->oldest_failure);
	return TIDE_OK;
}

tide_status pg_dead_letter_counts(void *session, struct tide_dead_letter_count **ret,
				  size_t *ret_count, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_write_run(session, PG_DEAD_LETTER_COUNTS, NULL, &rows, err);
	if (status != TIDE_OK)
		return status;

	size_t count = (size_t)PQntuples(rows);
	struct tide_dead_letter_count *list = alloc_zero(count + 1, sizeof *list);
	if (!list)
		return alloc_fail(err);

	for (size_t i = 0; i < count; i++) {
		struct tide_text name = pg_text(rows, (int)i, 0);
		memcpy(list[i].projection_name, name.data,
		       name.size < TIDE_NAME_MAX ? name.size : TIDE_NAME_MAX);
		list[i].failure_count = pg_int8(rows, (int)i, 1);
		pg_time(rows, (int)i, 2, &list[i].oldest_failure);
		pg_time(rows, (int)i, 3, &list[i].most_recent_failure);
		list[i].retrying_count = pg_int8(rows, (int)i, 4);
	}

	*ret = list;
	*ret_count = count;
	return TIDE_OK;
}

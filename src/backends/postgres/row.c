/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rows to events.
 *
 * Happy path: a row's columns are viewed, the filter is asked, the event is copied into the page.
 * Texts above a size do not come along with their row, so that a result stays small whatever is in
 * it; they are fetched when the event is wanted and may find room. Failure: a row that is no event
 * is added with the reason; only a lost connection or memory ends a read.
 */
#include "backends/postgres/inner.h"

#include "core/event.h"
#include "core/text.h"
#include "sys/alloc.h"

#define ROW_TEXTS_MIN (8 * 1024)
#define ROW_TEXTS_MAX (1024 * 1024)

int32_t pg_row_limit(const struct tide_page_query *query, int rows)
{
	size_t share = query->max_bytes / (size_t)rows;
	if (share > ROW_TEXTS_MAX)
		return ROW_TEXTS_MAX;
	return share < ROW_TEXTS_MIN ? ROW_TEXTS_MIN : (int32_t)share;
}

static void row_ids(const PGresult *rows, int row, struct tide_event *ret)
{
	ret->event_id = pg_uuid(rows, row, PG_COLUMN_EVENT_ID);
	ret->aggregate_id = pg_uuid(rows, row, PG_COLUMN_AGGREGATE_ID);
	ret->tenant_id = pg_uuid(rows, row, PG_COLUMN_TENANT_ID);
	ret->correlation_id = pg_uuid(rows, row, PG_COLUMN_CORRELATION_ID);
	ret->causation_id = pg_uuid(rows, row, PG_COLUMN_CAUSATION_ID);
}

static void row_columns(const PGresult *rows, int row, struct tide_event *ret)
{
	*ret = (struct tide_event){ .position = pg_int8(rows, row, PG_COLUMN_POSITION),
				    .version = pg_int4(rows, row, PG_COLUMN_VERSION),
				    .event_version = 1,
				    .event_type = pg_text(rows, row, PG_COLUMN_EVENT_TYPE),
				    .aggregate_type = pg_text(rows, row, PG_COLUMN_AGGREGATE_TYPE),
				    .actor_id = pg_text(rows, row, PG_COLUMN_ACTOR_ID),
				    .metadata = pg_text(rows, row, PG_COLUMN_METADATA),
				    .payload = pg_text(rows, row, PG_COLUMN_PAYLOAD) };
	row_ids(rows, row, ret);

	if (!pg_is_null(rows, row, PG_COLUMN_EVENT_VERSION))
		ret->event_version = pg_int4(rows, row, PG_COLUMN_EVENT_VERSION);
	if (!pg_time(rows, row, PG_COLUMN_TIMESTAMP, &ret->occurred_at))
		ret->undecodable = "timestamp lies outside the years 1 to 9999";

	if (!pg_time(rows, row, PG_COLUMN_CREATED_AT, &ret->stored_at))
		ret->undecodable = "created_at lies outside the years 1 to 9999";
}

/* The texts of a wanted event whose row came without them. */
static tide_status row_fetch(struct pg_session *session, struct tide_event *event, PGresult **ret,
			     struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_int8(&params, event->position);
	tide_status status = pg_read_run(session, PG_TEXTS, &params, ret, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(*ret) == 0) {
		event->undecodable = "the row was deleted while it was read";
		event->payload = tide_text("");
		return TIDE_OK;
	}

	event->metadata = pg_text(*ret, 0, 0);
	event->payload = pg_text(*ret, 0, 1);
	return TIDE_OK;
}

/* A database without an encoding holds any bytes. */
static bool row_is_text(const struct tide_event *event)
{
	return utf8_is_valid(event->payload.data, event->payload.size) &&
	       (!event->metadata.data || utf8_is_valid(event->metadata.data, event->metadata.size));
}

static tide_status row_complete(struct pg_session *session, struct tide_event *event,
				bool is_foreign, struct tide_error *problem)
{
	if (!event->undecodable && session->store->target.is_bytes && !row_is_text(event))
		event->undecodable = "payload or metadata is no UTF-8";
	if (is_foreign && !event->undecodable) {
		session->scratch.size = 0;
		tide_status status = event_open_envelope(event, &session->scratch, problem);
		if (status == TIDE_DECODE)
			event->undecodable = problem->message;
		else if (status != TIDE_OK)
			return status;
	}

	if (!event->metadata.data || event->undecodable)
		event->metadata = tide_text("{}");
	return TIDE_OK;
}

tide_status pg_row_add(struct pg_session *session, const PGresult *rows, int row,
		       const struct tide_filter *filter, struct tide_page *page, bool *ret_fits,
		       struct tide_error *err)
{
	struct tide_event event;
	row_columns(rows, row, &event);
	*ret_fits = true;
	if (!tide_filter_matches(filter, &event)) {
		tide_page_pass(page);
		return TIDE_OK;
	}

	if (page->count > 0 && page->count >= page->max_events) {
		*ret_fits = false;
		return TIDE_OK;
	}

	PG_RESULT_AUTO PGresult *texts = NULL;
	struct tide_error problem = { .status = TIDE_OK };
	tide_status status = TIDE_OK;
	if (!event.payload.data)
		status = row_fetch(session, &event, &texts, err);
	if (status != TIDE_OK)
		return status;

	status = row_complete(session, &event, pg_is_null(rows, row, PG_COLUMN_EVENT_VERSION),
			      &problem);
	if (status != TIDE_OK)
		return tide_fail(err, status, "%s", problem.message);

	*ret_fits = tide_page_fits(page, event.payload.size + event.metadata.size);
	return *ret_fits ? tide_page_add(page, &event, err) : TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads other than a subscription's: one stream by version, and the feed with the filter in the
 * database or backward; one event by its id, a stream's version, what stands at a position.
 *
 * Happy path: one statement a page. A read of a stream also tells the stream's version, in the same
 * statement. The feed is read up to its end by the gap rule only, so such a read sees nothing that
 * a subscription would have to skip.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"

#define READ_ROWS_MAX 1000

static void read_where(struct buffer *text, struct pg_params *params, const char *condition)
{
	buffer_format(text, " AND ");
	buffer_format(text, condition, params->count + 1);
}

/* The filter as conditions of the statement, each with its parameter. */
static void read_filter(struct buffer *text, struct pg_params *params,
			const struct tide_filter *filter)
{
	if (filter->event_types && *filter->event_types) {
		read_where(text, params, "event_type = ANY($%d::text[])");
		pg_put_names(params, filter->event_types);
	}

	if (filter->aggregate_types && *filter->aggregate_types) {
		read_where(text, params, "aggregate_type = ANY($%d::text[])");
		pg_put_names(params, filter->aggregate_types);
	}

	if (filter->aggregate_id) {
		read_where(text, params, "aggregate_id = $%d::uuid");
		pg_put_uuid(params, filter->aggregate_id);
	}

	if (filter->tenant_id) {
		read_where(text, params, "tenant_id = $%d::uuid");
		pg_put_uuid(params, filter->tenant_id);
	}

	if (filter->occurred_from) {
		read_where(text, params, "\"timestamp\" >= $%d::timestamptz");
		pg_put_time(params, filter->occurred_from);
	}

	if (filter->occurred_until) {
		read_where(text, params, "\"timestamp\" <= $%d::timestamptz");
		pg_put_time(params, filter->occurred_until);
	}
}

static bool read_is_filtered(const struct tide_filter *filter)
{
	return (filter->event_types && *filter->event_types) ||
	       (filter->aggregate_types && *filter->aggregate_types) || filter->aggregate_id ||
	       filter->tenant_id || filter->occurred_from || filter->occurred_until ||
	       filter->patterns || filter->partition_total;
}

static tide_status read_run_text(struct pg_session *session, struct buffer *text,
				 const struct pg_params *params, PGresult **ret,
				 struct tide_error *err)
{
	ALLOC_AUTO char *full = NULL;
	struct pg_connection *reader;
	tide_status status = buffer_take(text, &full, err);
	if (status == TIDE_OK)
		status = pg_session_reader(session, &reader, err);
	if (status == TIDE_OK)
		status = pg_query(reader, full, params, ret, err);
	if (status == TIDE_CONNECTION_LOST)
		pg_store_lost(session->store);
	return status;
}

/* Rows of the feed within (low, high), ordered as the query wants. */
static tide_status read_feed_rows(struct pg_session *session, const struct tide_page_query *query,
				  int64_t low, int64_t high, int rows, PGresult **ret,
				  struct tide_error *err)
{
	struct buffer text = { 0 };
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_int8(&params, low);
	pg_put_int8(&params, high);
	pg_put_int4(&params, rows);
	pg_put_int4(&params, pg_row_limit(query, rows));

	pg_statement_expand(&text,
			    "SELECT " PG_COLUMNS PG_TEXTS_WHEN(PG_SIZE_BELOW(
				    "$4::int4")) " FROM @events WHERE global_position > $1::int8 "
						 "AND global_position < $2::int8",
			    session->store->target.schema);
	read_filter(&text, &params, query->filter);
	buffer_format(&text, " ORDER BY global_position %s LIMIT $3::int4",
		      query->backward ? "DESC" : "ASC");
	return read_run_text(session, &text, &params, ret, err);
}

static tide_status read_stream_filtered(struct pg_session *session,
					const struct tide_page_query *query, int64_t bound,
					int rows, PGresult **ret, struct tide_error *err)
{
	struct buffer text = { 0 };
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_uuid(&params, &query->stream->aggregate_id);
	pg_put_string(&params, query->stream->aggregate_type);
	pg_put_int8(&params, bound);
	pg_put_int4(&params, rows);
	pg_put_int4(&params, pg_row_limit(query, rows));
	pg_statement_expand(&text,
			    "SELECT e.*, v.current FROM (SELECT COALESCE((SELECT version FROM "
			    "@events WHERE aggregate_id = "
			    "$1::uuid AND aggregate_type = $2::text ORDER BY version DESC LIMIT "
			    "1), 0) AS current) v LEFT JOIN "
			    "LATERAL (SELECT " PG_COLUMNS PG_TEXTS_WHEN(PG_SIZE_BELOW(
				    "$5::int4")) " FROM @events WHERE aggregate_id = $1::uuid AND "
						 "aggregate_type = $2::text",
			    session->store->target.schema);
	read_filter(&text, &params, query->filter);

	const char *order = query->backward ? "DESC" : "ASC";
	buffer_format(&text,
		      " AND version %s $3::int8 ORDER BY version %s LIMIT $4::int4) e ON true "
		      "ORDER BY e.version %s",
		      query->backward ? "<" : ">", order, order);
	return read_run_text(session, &text, &params, ret, err);
}

static tide_status read_stream_rows(struct pg_session *session, const struct tide_page_query *query,
				    int64_t bound, int rows, PGresult **ret, struct tide_error *err)
{
	if (read_is_filtered(query->filter))
		return read_stream_filtered(session, query, bound, rows, ret, err);
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_uuid(&params, &query->stream->aggregate_id);
	pg_put_string(&params, query->stream->aggregate_type);
	pg_put_int8(&params, bound);
	pg_put_int4(&params, rows);
	pg_put_int4(&params, pg_row_limit(query, rows));
	return pg_read_run(session, query->backward ? PG_STREAM_BACKWARD : PG_STREAM_FORWARD,
			   &params, ret, err);
}

/* A stream without such events is a single row without an event. */
static int read_count(const PGresult *rows)
{
	return PQntuples(rows) > 0 && pg_is_null(rows, 0, PG_COLUMN_POSITION) ? 0 : PQntuples(rows);
}

/* Move rows into the page; `*ret_bound` goes on behind the last one that went in or was passed
 * over. */
static tide_status read_fill(struct pg_session *session, const PGresult *rows,
			     const struct tide_page_query *query, struct tide_page *page,
			     int64_t *ret_bound, bool *ret_fits, struct tide_error *err)
{
	*ret_fits = true;
	for (int row = 0; *ret_fits && row < read_count(rows); row++) {
		tide_status status =
			pg_row_add(session, rows, row, query->filter, page, ret_fits, err);
		if (status != TIDE_OK)
			return status;
		if (*ret_fits)
			*ret_bound = query->stream ? pg_int4(rows, row, PG_COLUMN_VERSION)
						   : pg_int8(rows, row, PG_COLUMN_POSITION);
	}
	return TIDE_OK;
}

static int read_rows(const struct tide_page_query *query)
{
	return query->max_events < READ_ROWS_MAX ? (int)query->max_events : READ_ROWS_MAX;
}

static tide_status read_stream(struct pg_session *session, const struct tide_page_query *query,
			       struct tide_page *page, struct tide_error *err)
{
	int rows = read_rows(query);
	int64_t bound = query->bound;
	bool fits = true, is_first = true;
	do {
		PG_RESULT_AUTO PGresult *result = NULL;
		tide_status status = read_stream_rows(session, query, bound, rows, &result, err);
		if (status == TIDE_OK)
			status = read_fill(session, result, query, page, &bound, &fits, err);
		if (status != TIDE_OK)
			return status;
		if (is_first)
			page->stream_version = pg_int4(result, 0, PG_COLUMN_COUNT);
		is_first = false;
		page->is_end = fits && read_count(result) < rows;
	} while (fits && !page->is_end && page->count < page->max_events);
	return TIDE_OK;
}

/* The feed within its settled end; what lies behind it is not there yet, unless it is asked for. */
static tide_status read_feed(struct pg_session *session, const struct tide_page_query *query,
			     struct tide_page *page, struct tide_error *err)
{
	tide_position end = INT64_MAX - 1;
	tide_status status = query->is_unsettled ? TIDE_OK : pg_end(session, &end, err);
	int rows = read_rows(query);
	int64_t bound = query->bound;
	for (bool fits = true; status == TIDE_OK && fits && page->count < page->max_events;) {
		PG_RESULT_AUTO PGresult *result = NULL;
		int64_t low = query->backward ? 0 : bound;
		int64_t high = query->backward && bound <= end ? bound : end + 1;
		status = read_feed_rows(session, query, low, high, rows, &result, err);
		if (status == TIDE_OK)
			status = read_fill(session, result, query, page, &bound, &fits, err);
		if (status == TIDE_OK && fits && read_count(result) < rows) {
			page->is_end = true;
			bound = query->backward ? 0 : query->is_unsettled ? bound : end;
			break;
		}
	}

	page->scanned_to = bound;
	return status;
}

tide_status pg_read(void *self, const struct tide_page_query *query, struct tide_page *page,
		    struct tide_error *err)
{
	struct pg_session *session = self;
	bool has_leapt = false;
	tide_status status = pg_session_look(session, err);
	if (status == TIDE_OK && query->is_sparse)
		status = pg_leap_read(session, query, page, &has_leapt, err);
	if (status != TIDE_OK || has_leapt)
		return status;
	if (query->stream)
		return read_stream(session, query, page, err);
	if (!query->backward && !query->is_unsettled &&
	    (query->max_scan > 0 || !read_is_filtered(query->filter)))
		return pg_scan_read(session, query, page, err);
	return read_feed(session, query, page, err);
}

tide_status pg_stream_version(void *self, struct tide_stream stream, tide_version *ret,
			      struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_uuid(&params, &stream.aggregate_id);
	pg_put_string(&params, stream.aggregate_type);
	tide_status status = pg_read_run(self, PG_STREAM_VERSION, &params, &rows, err);
	if (status == TIDE_OK)
		*ret = pg_int4(rows, 0, 0);
	return status;
}

tide_status pg_anchor(void *self, tide_position position, struct tide_anchor *ret,
		      bool *ret_may_come, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_int8(&params, position);
	tide_status status = pg_read_run(self, PG_ANCHOR, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	*ret = (struct tide_anchor){ 0 };
	*ret_may_come = pg_bool(rows, 0, 2);
	if (!pg_is_null(rows, 0, 0))
		*ret = (struct tide_anchor){ pg_int8(rows, 0, 0), pg_uuid(rows, 0, 1) };
	return TIDE_OK;
}

tide_status pg_find(void *self, const struct tide_uuid *event_id, struct tide_page *page,
		    struct tide_error *err)
{
	static const struct tide_filter all = { 0 };
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	char text[TIDE_UUID_TEXT_SIZE];
	pg_put_uuid(&params, event_id);
	tide_status status = pg_read_run(self, PG_FIND, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (PQntuples(rows) == 0)
		return tide_fail(err, TIDE_NOT_FOUND, "event '%s' is not stored",
				 tide_uuid_format(event_id, text));

	bool fits;
	return pg_row_add(self, rows, 0, &all, page, &fits, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed forward, by the gap rule, read ahead.
 *
 * Happy path: rows of an earlier query fill the page. The query behind it was sent as soon as the earlier one's rows
 * had arrived, and its rows travel while pages are handled; the socket is emptied now and then, so that the server can
 *go on sending.
 *
 *	        ask                     take
 *	(none) ────▶ next, flying ────▶ next, landed ────▶ chunk ────▶ page
 *
 * Rows are delivered while each follows its predecessor without a hole, or the hole is settled. What counts as settled
 * for a row is what was settled when its query was sent: the query may not have seen what was settled later.
 * Only a query sent during this read may say that the feed is at its end: an older one may have missed a commit whose
 * bell has been heard since.
 *
 * Failure: at a hole that may still be filled the page ends before it and says when to look again.
 */
#include "backends/postgres/inner.h"

#include "core/text.h"
#include "sys/alloc.h"

#define SCAN_ROWS_MIN 1000 /* of a subscription's query, however small its pages are */
#define SCAN_ROWS_MAX 2000
#define SCAN_PAGE_MIN 100 /* a smaller page of a user's read is likely its last */

/** One read of the feed in progress. */
struct scan_read {
	const struct tide_page_query *query;
	struct tide_page *page;
	int rows;       /* a query's limit */
	size_t scanned; /* events looked at */
	bool goes_on;   /* where an earlier read ended: another one will follow */
	bool is_fresh;  /* the chunk in use was asked for by this read */
	bool is_done;
};

static void scan_chunk_drop(struct pg_chunk *chunk)
{
	PQclear(chunk->rows);
	*chunk = (struct pg_chunk){ 0 };
}

/* Whether the database can tell that an event does not match, so that its texts need not come along. */
static bool scan_has_texts_to_omit(const struct tide_filter *filter)
{
	return (filter->event_types && *filter->event_types) || (filter->aggregate_types && *filter->aggregate_types) ||
	       filter->tenant_id;
}

static tide_status scan_ask(struct pg_session *session, const struct scan_read *read, tide_position bound,
			    struct tide_error *err)
{
	struct pg_scan *scan = &session->scan;
	const struct tide_filter *filter = read->query->filter;
	bool some = scan_has_texts_to_omit(filter);
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	pg_put_int8(&params, bound);
	pg_put_int4(&params, read->rows);
	pg_put_int4(&params, pg_row_limit(read->query, read->rows));
	if (some) {
		pg_put_names(&params, filter->event_types);
		pg_put_names(&params, filter->aggregate_types);
		pg_put_uuid(&params, filter->tenant_id);
	}
	struct pg_connection *reader;
	tide_status status = pg_session_reader(session, &reader, err);
	tide_position settled = session->settled; /* before the query is sent */
	if (status == TIDE_OK)
		status = pg_send(reader, some ? PG_SCAN_SOME : PG_SCAN, &params, err);
	if (status != TIDE_OK) {
		pg_store_lost(session->store);
		return status;
	}
	scan->next = (struct pg_chunk){ .limit = read->rows, .settled = settled };
	scan->is_asked = scan->is_flying = true;
	return TIDE_OK;
}

tide_status pg_scan_land(struct pg_session *session, struct tide_error *err)
{
	struct pg_scan *scan = &session->scan;
	if (!scan->is_flying)
		return TIDE_OK;
	scan->is_flying = false;
	tide_status status = pg_take(&session->reader, &scan->next.rows, err);
	if (status != TIDE_OK) {
		scan->is_asked = false;
		if (status == TIDE_CONNECTION_LOST)
			pg_store_lost(session->store);
		return status;
	}
	scan->next.count = PQntuples(scan->next.rows);
	return TIDE_OK;
}

void pg_scan_drain(struct pg_session *session)
{
	if (session->scan.is_flying)
		PQconsumeInput(session->reader.native);
}

/* Forget what was read ahead; what flies is taken by the next statement, or ends with the connection. */
void pg_scan_drop(struct pg_session *session)
{
	if (session->scan.is_flying)
		pg_scan_land(session, NULL);
	scan_chunk_drop(&session->scan.chunk);
	scan_chunk_drop(&session->scan.next);
	session->scan.is_asked = false;
}

/* Behind a full chunk there is more: ask for it while this one is used. */
static void scan_ask_ahead(struct pg_session *session, const struct scan_read *read)
{
	struct pg_scan *scan = &session->scan;
	struct pg_chunk *chunk = &scan->chunk;
	if (read->goes_on && !scan->is_asked && chunk->rows && chunk->count == chunk->limit)
		scan_ask(session, read, pg_int8(chunk->rows, chunk->count - 1, PG_COLUMN_POSITION), NULL);
}

/* Make the next chunk the one in use, asking for it when that was not done. */
static tide_status scan_turn(struct pg_session *session, struct scan_read *read, struct tide_error *err)
{
	struct pg_scan *scan = &session->scan;
	tide_status status = TIDE_OK;
	read->is_fresh = !scan->is_asked;
	if (!scan->is_asked)
		status = scan_ask(session, read, read->page->scanned_to, err);
	if (status == TIDE_OK)
		status = pg_scan_land(session, err);
	if (status != TIDE_OK)
		return status;
	scan_chunk_drop(&scan->chunk);
	scan->chunk = scan->next;
	scan->next = (struct pg_chunk){ 0 };
	scan->is_asked = false;
	scan_ask_ahead(session, read);
	return TIDE_OK;
}

/* At a hole: what was delivered so far is a page; else find out whether the hole is final, and read again. */
static tide_status scan_meet_hole(struct pg_session *session, struct scan_read *read, tide_position before,
				  struct tide_error *err)
{
	struct pg_chunk *chunk = &session->scan.chunk;
	bool is_at_end = chunk->count < chunk->limit;
	tide_position newest = is_at_end ? pg_int8(chunk->rows, chunk->count - 1, PG_COLUMN_POSITION) : 0;
	pg_scan_drop(session);
	if (read->scanned > 0) {
		read->is_done = true;
		return TIDE_OK;
	}
	if (session->settled >= before)
		return TIDE_OK;
	bool is_settled;
	tide_status status = pg_gap_check(session, newest, &is_settled, err);
	if (status == TIDE_OK && !is_settled) {
		read->page->is_end = read->is_done = true;
		read->page->wait_ns = session->gap.wait_ns;
	}
	return status;
}

static tide_status scan_take_row(struct pg_session *session, struct scan_read *read, struct tide_error *err)
{
	struct pg_chunk *chunk = &session->scan.chunk;
	struct tide_page *page = read->page;
	tide_position position = pg_int8(chunk->rows, chunk->at, PG_COLUMN_POSITION);
	if (position > page->scanned_to + 1 && position - 1 > chunk->settled)
		return scan_meet_hole(session, read, position - 1, err);
	bool fits;
	tide_status status = pg_row_add(session, chunk->rows, chunk->at, read->query->filter, page, &fits, err);
	if (status != TIDE_OK)
		return status;
	if (!fits) {
		read->is_done = true;
		return TIDE_OK;
	}
	chunk->at++;
	page->scanned_to = position;
	read->scanned++;
	read->is_done = page->count >= page->max_events ||
			(read->query->max_scan > 0 && read->scanned >= read->query->max_scan);
	return TIDE_OK;
}

static tide_status scan_step(struct pg_session *session, struct scan_read *read, struct tide_error *err)
{
	struct pg_chunk *chunk = &session->scan.chunk;
	if (chunk->at < chunk->count)
		return scan_take_row(session, read, err);
	if (chunk->rows && chunk->count < chunk->limit && read->is_fresh) {
		read->page->is_end = read->is_done = true;
		return TIDE_OK;
	}
	return scan_turn(session, read, err);
}

/* What decides whose texts come along: rows asked for another filter may lack them. Their number and the greatest size
 * do not matter, since texts that are missing are fetched. */
static uint64_t scan_shape(const struct tide_filter *filter)
{
	uint64_t shape = 1;
	for (const char *const *name = filter->event_types; name && *name; name++)
		shape = shape * 31 + fnv1a64(*name, strlen(*name));
	shape = shape * 31 + 1;
	for (const char *const *name = filter->aggregate_types; name && *name; name++)
		shape = shape * 31 + fnv1a64(*name, strlen(*name));
	if (filter->tenant_id)
		shape = shape * 31 + fnv1a64(filter->tenant_id->bytes, sizeof filter->tenant_id->bytes);
	return shape;
}

static bool scan_is_filtered(const struct tide_filter *filter)
{
	return scan_has_texts_to_omit(filter) || filter->patterns || filter->aggregate_id || filter->occurred_from ||
	       filter->occurred_until || filter->partition_total;
}

/* A first small read takes what it needs; one of several fetches more than its page at a time. */
static int scan_rows(const struct tide_page_query *query, bool goes_on)
{
	size_t rows = scan_is_filtered(query->filter) ? SCAN_ROWS_MAX : 2 * query->max_events;
	if (!goes_on || (query->max_scan == 0 && query->max_events < SCAN_PAGE_MIN))
		rows = query->max_events;
	else if (rows < SCAN_ROWS_MIN)
		rows = SCAN_ROWS_MIN;
	return rows > SCAN_ROWS_MAX ? SCAN_ROWS_MAX : (int)rows;
}

tide_status pg_scan_read(struct pg_session *session, const struct tide_page_query *query, struct tide_page *page,
			 struct tide_error *err)
{
	struct scan_read read = { .query = query, .page = page, .goes_on = query->max_scan > 0 };
	uint64_t shape = scan_shape(query->filter);
	if (session->scan.at != query->bound || session->scan.shape != shape)
		pg_scan_drop(session);
	session->scan.shape = shape;
	read.goes_on |= query->bound > 0 && session->scan.at == query->bound;
	read.rows = scan_rows(query, read.goes_on);
	pg_scan_drain(session);
	page->scanned_to = query->bound;
	tide_status status = TIDE_OK;
	while (status == TIDE_OK && !read.is_done)
		status = scan_step(session, &read, err);
	if (status != TIDE_OK) {
		pg_scan_drop(session);
		return status;
	}
	session->scan.at = page->scanned_to;
	if (page->is_end) {
		pg_scan_drop(session);
		pg_gap_mark(session);
	}
	pg_scan_drain(session);
	return TIDE_OK;
}

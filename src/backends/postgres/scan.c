/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed forward, by the gap rule, read ahead.
 *
 * Happy path: rows of an earlier query fill the page. The query behind it was sent as soon as the
 * earlier one's rows had arrived, and its rows travel while pages are handled; the socket is
 * emptied now and then, so that the server can go on sending.
 *
 *	        ask                     take
 *	(none) ────▶ next, flying ────▶ next, landed ────▶ chunk ────▶ page
 *
 * Rows are delivered while each follows its predecessor without a hole, or the hole is settled.
 * What counts as settled for a row is what was settled before its query's snapshot: the query may
 * not have seen what was settled later. At a hole that is not settled a query is sent whose rows
 * come behind a look at those who may own it (gap.c). Only a query sent during this read may say
 * that the feed is at its end: an older one may have missed a commit whose bell has been heard
 * since.
 *
 * Failure: at a hole that may still be filled the page ends before it and says when to look again.
 * What a subscription reads on from, or what the newest of them has read, is read again as the
 * first row, since behind a pooler another server may answer without any connection being lost:
 * when it is not there, that counts as a lost connection.
 */
#include "backends/postgres/inner.h"

#include "core/text.h"
#include "sys/alloc.h"

#define SCAN_ROWS_MIN 1000 /* of a subscription's query, however small its pages are */
#define SCAN_ROWS_MAX 2000
#define SCAN_PAGE_MIN 100 /* a smaller page of a user's read is likely its last */
#define SCAN_ROWS_HELD 32 /* behind a look at a hole: few, since it may have to be repeated */

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

/* Whether the database can tell that an event does not match, so that its texts need not come
 * along. */
static bool scan_has_texts_to_omit(const struct tide_filter *filter)
{
	return (filter->event_types && *filter->event_types) ||
	       (filter->aggregate_types && *filter->aggregate_types) || filter->tenant_id;
}

static void scan_put(struct pg_params *params, const struct scan_read *read, tide_position bound,
		     int limit)
{
	const struct tide_filter *filter = read->query->filter;
	pg_put_int8(params, bound);
	pg_put_int4(params, limit);
	pg_put_int4(params, pg_row_limit(read->query, read->rows));
	if (!scan_has_texts_to_omit(filter))
		return;
	pg_put_names(params, filter->event_types);
	pg_put_names(params, filter->aggregate_types);
	pg_put_uuid(params, filter->tenant_id);
}

static tide_status scan_send(struct pg_session *session, const struct scan_read *read,
			     tide_position bound, int limit, struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 }, look = { .count = 0 };
	enum pg_statement scan =
		scan_has_texts_to_omit(read->query->filter) ? PG_SCAN_SOME : PG_SCAN;
	scan_put(&params, read, bound, limit);
	if (!session->scan.is_held)
		return pg_send(session->reader, scan, &params, err);
	pg_gap_put(session, &look);
	return pg_send_both(session->reader,
			    (enum pg_statement[]){ pg_gap_statement(session), scan },
			    (const struct pg_params *[]){ &look, &params }, err);
}

/* Before a hole that is held for long a single row is enough to see that it is not any more. */
static int scan_limit(const struct pg_session *session, const struct scan_read *read)
{
	if (!session->scan.is_held)
		return read->rows;
	int limit = pg_gap_is_held_long(session) ? 1 : SCAN_ROWS_HELD;
	return limit < read->rows ? limit : read->rows;
}

struct tide_anchor pg_row_anchor(const PGresult *rows, int row)
{
	return (struct tide_anchor){ pg_int8(rows, row, PG_COLUMN_POSITION),
				     pg_uuid(rows, row, PG_COLUMN_EVENT_ID) };
}

struct tide_anchor pg_scan_known(const struct pg_session *session, tide_position position)
{
	struct pg_store *store = session->store;
	if (session->scan.last.position == position)
		return session->scan.last;
	mutex_lock(&store->lock);
	struct tide_anchor newest = store->newest;
	mutex_unlock(&store->lock);
	return newest.position == position ? newest : (struct tide_anchor){ 0 };
}

void pg_scan_stand(struct pg_session *session, struct tide_anchor last)
{
	struct pg_store *store = session->store;
	session->scan.last = last;
	mutex_lock(&store->lock);
	if (last.position > store->newest.position)
		store->newest = last;
	mutex_unlock(&store->lock);
}

static void scan_remember(struct pg_session *session)
{
	const struct pg_chunk *chunk = &session->scan.chunk;
	if (chunk->rows && chunk->at > 0)
		pg_scan_stand(session, pg_row_anchor(chunk->rows, chunk->at - 1));
}

tide_status pg_scan_verify(struct pg_session *session, struct tide_anchor stand,
			   const PGresult *rows, struct tide_error *err)
{
	char id[TIDE_UUID_TEXT_SIZE];
	if (stand.position == 0)
		return TIDE_OK;
	struct tide_anchor found =
		PQntuples(rows) > 0 ? pg_row_anchor(rows, 0) : (struct tide_anchor){ 0 };
	if (found.position == stand.position && tide_uuid_equal(&found.event_id, &stand.event_id))
		return TIDE_OK;

	session->scan.last = (struct tide_anchor){ 0 };
	pg_store_lost(session->store);
	return tide_fail(err, TIDE_CONNECTION_LOST,
			 "PostgreSQL: another server answers, or events were taken away: event %s, "
			 "which was at %lld, is not there",
			 tide_uuid_format(&stand.event_id, id), (long long)stand.position);
}

/* The first row is what it is to be, and has been taken. */
static tide_status scan_verify(struct pg_session *session, struct tide_error *err)
{
	struct pg_chunk *chunk = &session->scan.chunk;
	tide_status status = pg_scan_verify(session, chunk->stand, chunk->rows, err);
	if (status == TIDE_OK && chunk->stand.position > 0)
		chunk->at = 1;
	return status;
}

static tide_status scan_ask(struct pg_session *session, const struct scan_read *read,
			    tide_position bound, struct tide_error *err)
{
	struct pg_scan *scan = &session->scan;
	struct pg_connection *reader;
	tide_status status = pg_session_reader(session, &reader, err);
	if (status != TIDE_OK)
		return status;

	pg_gap_learn(session);
	struct tide_anchor stand = { 0 };
	if (read->query->max_scan > 0 && bound > 0)
		stand = pg_scan_known(session, bound);
	bool is_again = stand.position > 0;
	int limit = scan_limit(session, read) + is_again;
	status = scan_send(session, read, bound - is_again, limit, err);
	if (status != TIDE_OK) {
		pg_store_lost(session->store);
		return status;
	}

	scan->next = (struct pg_chunk){ .limit = limit,
					.settled = session->settled,
					.is_checked = scan->is_held,
					.stand = stand };
	scan->is_asked = scan->is_flying = true;
	return TIDE_OK;
}

/* Behind a full chunk there is more: ask for it while this one is used. */
static void scan_ask_ahead(struct pg_session *session, const struct scan_read *read)
{
	struct pg_scan *scan = &session->scan;
	struct pg_chunk *chunk = &scan->chunk;
	if (!read->goes_on || scan->is_asked || !chunk->rows || chunk->count < chunk->limit)
		return;
	scan->last = pg_row_anchor(chunk->rows, chunk->count - 1);
	scan_ask(session, read, scan->last.position, NULL);
}

/* Make the next chunk the one in use, asking for it when that was not done. */
static tide_status scan_turn(struct pg_session *session, struct scan_read *read,
			     struct tide_error *err)
{
	struct pg_scan *scan = &session->scan;
	tide_status status = TIDE_OK;
	read->is_fresh = !scan->is_asked;
	do {
		if (!scan->is_asked) {
			read->is_fresh = true;
			status = scan_ask(session, read, read->page->scanned_to, err);
		}
		if (status == TIDE_OK)
			status = pg_session_land(session, err);
	} while (status == TIDE_OK ? !scan->is_asked
				   : scan->is_held && pg_gap_goes_on_unmarked(session));
	if (status != TIDE_OK)
		return status;

	scan_remember(session);
	pg_chunk_drop(&scan->chunk);
	scan->chunk = scan->next;
	scan->next = (struct pg_chunk){ 0 };
	scan->is_asked = false;
	status = scan_verify(session, err);
	if (status == TIDE_OK)
		scan_ask_ahead(session, read);
	return status;
}

/* At a hole: what was delivered so far is a page; else find out whether the hole is final, and wait
 * if it is not. */
static void scan_meet_hole(struct pg_session *session, struct scan_read *read, tide_position hole)
{
	bool was_checked = session->scan.chunk.is_checked && read->is_fresh;
	scan_remember(session);
	pg_session_drop(session);
	session->scan.is_held = true;
	read->is_done = read->scanned > 0 || was_checked;
	if (read->scanned > 0 || !was_checked)
		return;
	pg_gap_hold(session, hole);
	read->page->is_end = true;
	read->page->wait_ns = session->gap.wait_ns;
}

static tide_status scan_take_row(struct pg_session *session, struct scan_read *read,
				 struct tide_error *err)
{
	struct pg_chunk *chunk = &session->scan.chunk;
	struct tide_page *page = read->page;
	tide_position position = pg_int8(chunk->rows, chunk->at, PG_COLUMN_POSITION);
	if (position > page->scanned_to + 1 && position - 1 > chunk->settled) {
		scan_meet_hole(session, read, position - 1);
		return TIDE_OK;
	}

	bool fits;
	int64_t passed = page->passed_after;
	tide_status status =
		pg_row_add(session, chunk->rows, chunk->at, read->query->filter, page, &fits, err);
	if (status != TIDE_OK)
		return status;
	if (page->passed_after > passed)
		page->passed = (struct tide_anchor){ position, pg_uuid(chunk->rows, chunk->at,
								       PG_COLUMN_EVENT_ID) };
	if (!fits) {
		read->is_done = true;
		return TIDE_OK;
	}

	chunk->at++;
	page->scanned_to = position;
	read->scanned++;
	session->scan.is_held = false;
	pg_gap_release(session);
	read->is_done = page->count >= page->max_events ||
			(read->query->max_scan > 0 && read->scanned >= read->query->max_scan);
	return TIDE_OK;
}

static tide_status scan_step(struct pg_session *session, struct scan_read *read,
			     struct tide_error *err)
{
	struct pg_chunk *chunk = &session->scan.chunk;
	if (chunk->at < chunk->count)
		return scan_take_row(session, read, err);
	if (chunk->rows && chunk->count < chunk->limit && read->is_fresh) {
		session->scan.is_held = false; /* what was behind the hole is gone */
		read->page->is_end = read->is_done = true;
		return TIDE_OK;
	}
	return scan_turn(session, read, err);
}

/* What decides whose texts come along: rows asked for another filter may lack them. Their number
 * and the greatest size do not matter, since texts that are missing are fetched. */
static uint64_t scan_shape(const struct tide_filter *filter)
{
	uint64_t shape = 1;
	for (const char *const *name = filter->event_types; name && *name; name++)
		shape = shape * 31 + fnv1a64(*name, strlen(*name));
	shape = shape * 31 + 1;
	for (const char *const *name = filter->aggregate_types; name && *name; name++)
		shape = shape * 31 + fnv1a64(*name, strlen(*name));
	if (filter->tenant_id)
		shape = shape * 31 +
			fnv1a64(filter->tenant_id->bytes, sizeof filter->tenant_id->bytes);
	return shape;
}

bool pg_scan_is_filtered(const struct tide_filter *filter)
{
	return scan_has_texts_to_omit(filter) || filter->patterns || filter->aggregate_id ||
	       filter->occurred_from || filter->occurred_until || filter->partition_total;
}

/* A first small read takes what it needs; one of several fetches more than its page at a time. */
static int scan_rows(const struct tide_page_query *query, bool goes_on)
{
	size_t rows = pg_scan_is_filtered(query->filter) ? SCAN_ROWS_MAX : 2 * query->max_events;
	if (!goes_on || (query->max_scan == 0 && query->max_events < SCAN_PAGE_MIN))
		rows = query->max_events;
	else if (rows < SCAN_ROWS_MIN)
		rows = SCAN_ROWS_MIN;
	return rows > SCAN_ROWS_MAX ? SCAN_ROWS_MAX : (int)rows;
}

tide_status pg_scan_read(struct pg_session *session, const struct tide_page_query *query,
			 struct tide_page *page, struct tide_error *err)
{
	struct scan_read read = { .query = query,
				  .page = page,
				  .goes_on = query->max_scan > 0 && !query->is_once };
	uint64_t shape = scan_shape(query->filter);
	pg_session_heed_losses(session);
	if (session->scan.at != query->bound)
		session->scan.is_held = false;
	if (session->scan.at != query->bound || session->scan.shape != shape)
		pg_session_drop(session);
	session->scan.shape = shape;
	read.goes_on |= !query->is_once && query->bound > 0 && session->scan.at == query->bound;
	read.rows = scan_rows(query, read.goes_on);
	pg_session_drain(session);
	page->scanned_to = query->bound;
	tide_status status = TIDE_OK;
	while (status == TIDE_OK && !read.is_done)
		status = scan_step(session, &read, err);
	if (status != TIDE_OK) {
		pg_session_drop(session);
		return status;
	}

	scan_remember(session);
	session->scan.at = page->scanned_to;
	if (page->is_end) {
		pg_session_drop(session);
		pg_gap_mark(session);
	}

	pg_session_drain(session);
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed forward for who wants few of its events: by the index on type and position.
 *
 * Happy path: a look tells what is settled (gap.c); of that one statement finds the next events of
 * the types, and the last event of all. When there are no more of the types than it was to find,
 * everything up to that last one was looked at, else everything up to the last one found. What lies
 * between counts by its positions. Nothing is read ahead. What other criteria do not want is passed
 * over here.
 *
 *	positions   ··· stand ──────▶ wanted ────────▶ wanted ────────▶ last ··· not settled
 *
 * Failure modes: nothing more is settled, there are many types, or the index is missing: nothing is
 * read, and the scan goes on (scan.c), at whose holes and end is all that is not settled. The event
 * that was read last is in the answer, as in a scan's: another server is found by it, and one that
 * lacks what was settled elsewhere has its own last event, beyond which nothing is passed over.
 */
#include "backends/postgres/inner.h"

#define LEAP_TYPES_MAX 8 /* each is looked for by itself */
#define LEAP_ROWS_MAX 2000

/** One leap in progress. */
struct leap {
	const struct tide_page_query *query;
	struct tide_page *page;
	tide_position to;        /* settled */
	int limit;               /* of events of the types */
	struct tide_anchor last; /* that was taken */
};

static bool leap_is_of_few_types(const struct tide_filter *filter)
{
	int count = 0;
	while (filter->event_types && filter->event_types[count])
		if (++count > LEAP_TYPES_MAX)
			return false;
	return count > 0;
}

static tide_status leap_find_index(struct pg_session *session, bool *ret, struct tide_error *err)
{
	struct pg_store *store = session->store;
	int64_t print = store->print;
	if (print != store->leap_print) {
		PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
		PG_RESULT_AUTO PGresult *rows = NULL;
		pg_put_string(&params, store->table);
		tide_status status = pg_read_run(session, PG_LEAP_INDEX, &params, &rows, err);
		if (status != TIDE_OK)
			return status;
		store->has_leap_index = pg_bool(rows, 0, 0);
		store->leap_print = print;
	}
	*ret = store->has_leap_index;
	return TIDE_OK;
}

/* No more than the page takes, where each that is found is wanted. */
static int leap_limit(const struct tide_page_query *query)
{
	struct tide_filter rest = *query->filter;
	rest.event_types = NULL;
	size_t limit = pg_scan_is_filtered(&rest) ? LEAP_ROWS_MAX : query->max_events;
	if (limit > query->max_scan)
		limit = query->max_scan;
	return limit < LEAP_ROWS_MAX ? (int)limit : LEAP_ROWS_MAX;
}

static tide_status leap_ask(struct pg_session *session, const struct leap *leap, PGresult **ret,
			    struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	const struct tide_filter *filter = leap->query->filter;
	pg_put_int8(&params, leap->query->bound);
	pg_put_int4(&params, leap->limit);
	pg_put_int4(&params, pg_row_limit(leap->query, leap->limit));
	pg_put_names(&params, filter->event_types);
	pg_put_names(&params, filter->aggregate_types);
	pg_put_uuid(&params, filter->tenant_id);
	pg_put_int8(&params, leap->to);
	return pg_read_run(session, PG_LEAP, &params, ret, err);
}

/* A row, and what was left out before it; `*ret_fits` is false when it is of the next page. */
static tide_status leap_take_row(struct pg_session *session, struct leap *leap,
				 const PGresult *rows, int row, bool *ret_fits,
				 struct tide_error *err)
{
	struct tide_page *page = leap->page;
	const struct tide_anchor at = pg_row_anchor(rows, row);
	int64_t over = at.position - page->scanned_to - 1, passed = page->passed_after + over;
	page->passed_after = passed;
	tide_status status =
		pg_row_add(session, rows, row, leap->query->filter, page, ret_fits, err);
	if (status != TIDE_OK)
		return status;
	if (!*ret_fits) {
		page->passed_after -= over;
		return TIDE_OK;
	}
	if (page->passed_after > passed)
		page->passed = at;
	page->leapt += over;
	page->scanned_to = at.position;
	leap->last = at;
	return TIDE_OK;
}

/* The last event of all is believed to be the next only when none of the types was left behind. */
static tide_status leap_take(struct pg_session *session, struct leap *leap, const PGresult *rows,
			     struct tide_error *err)
{
	int row = 0, count = PQntuples(rows);
	bool fits = true;
	tide_status status = TIDE_OK;
	while (row < count && pg_int8(rows, row, PG_COLUMN_POSITION) <= leap->query->bound)
		row++;
	if (count - row > leap->limit)
		count = row + leap->limit;
	for (; status == TIDE_OK && fits && row < count; row++)
		status = leap_take_row(session, leap, rows, row, &fits, err);
	return status;
}

static tide_status leap_make(struct pg_session *session, struct leap *leap, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	const struct tide_anchor stand = pg_scan_known(session, leap->query->bound);
	tide_status status = leap_ask(session, leap, &rows, err);
	if (status == TIDE_OK)
		status = pg_scan_verify(session, stand, rows, err);
	return status == TIDE_OK ? leap_take(session, leap, rows, err) : status;
}

/* A hole that is waited for is the scan's. */
static bool leap_may_be(const struct pg_session *session, const struct tide_page_query *query)
{
	return leap_is_of_few_types(query->filter) &&
	       !(session->scan.is_held && session->scan.at == query->bound);
}

tide_status pg_leap_read(struct pg_session *session, const struct tide_page_query *query,
			 struct tide_page *page, bool *ret, struct tide_error *err)
{
	struct leap leap = { .query = query, .page = page, .limit = leap_limit(query) };
	bool has_index = false;
	*ret = false;
	pg_session_heed_losses(session);
	if (!leap_may_be(session, query))
		return TIDE_OK;
	tide_status status = leap_find_index(session, &has_index, err);
	if (status == TIDE_OK && has_index)
		status = pg_settled(session, &leap.to, err);
	if (status != TIDE_OK || leap.to <= query->bound)
		return status;

	pg_session_drop(session);
	page->scanned_to = query->bound;
	status = leap_make(session, &leap, err);
	if (status != TIDE_OK || leap.last.position == 0)
		return status;
	pg_scan_stand(session, leap.last);
	pg_gap_release(session);
	session->scan.is_held = false;
	session->scan.at = page->scanned_to;
	*ret = true;
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far the feed can be read now, and who holds it up.
 *
 * Happy path: a look (gap.c) tells what is settled; what follows that without a hole is counted,
 * and the end is told. Failure: a holder that stays for seconds is somebody's open append; it is
 * named in the log, and waited for. When its age is not told, an append counts as staying open once
 * it was the oldest for as long by our own clock.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"
#include "sys/log.h"

#define HORIZON_WAIT_MIN_NS (NS_PER_MS / 2)
#define HORIZON_WAIT_MAX_NS (10 * NS_PER_MS)
#define HORIZON_WAIT_SHARE 8 /* of the time that it has taken already */
#define HORIZON_TELL_NS (5 * NS_PER_SECOND)
#define HORIZON_STAYS_NS (5 * NS_PER_SECOND)
#define HORIZON_UNBROKEN_ROWS 50000
#define HORIZON_MARK_EVERY_NS (5 * NS_PER_SECOND)

/* ---- A hole that holds the feed up ----------------------------------------------------------- */

/* Those that may own holes below a position, for the query that tells of them. */
static char *horizon_owners(const struct pg_session *session, tide_position below)
{
	const struct pg_gap *gap = &session->gap;
	struct buffer names = { 0 };
	char *text = NULL;
	for (size_t i = 0; i < gap->count; i++)
		if (pg_gap_may_own(session, &gap->floors[i], below))
			buffer_format(&names, "%s%s", names.size ? " " : "",
				      gap->floors[i].transaction);
	return names.size && buffer_take(&names, &text, NULL) == TIDE_OK ? text : NULL;
}

/* The oldest of them; empty when nobody can be named. */
static void horizon_name_owner(struct pg_session *session, tide_position below,
			       char ret[PG_HOLDER_SIZE])
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	ALLOC_AUTO char *owners = horizon_owners(session, below);
	*ret = '\0';
	if (session->gap.is_replica)
		snprintf(ret, PG_HOLDER_SIZE, "a transaction of the primary");
	else if (owners && pg_holders(session, owners, &rows, NULL) == TIDE_OK &&
		 PQntuples(rows) > 0)
		pg_holder_describe(rows, 0, ret);
}

static void horizon_tell(struct pg_session *session)
{
	struct pg_gap *gap = &session->gap;
	char who[PG_HOLDER_SIZE] = "";
	gap->is_told = true;
	if (!gap->is_replica)
		horizon_name_owner(session, gap->hole, who);
	if (*who)
		log_at(TIDE_LOG_WARNING, "store", "events wait for an append that stays open",
		       "holder=\"%s\"", who);
}

void pg_gap_hold(struct pg_session *session, tide_position hole)
{
	struct pg_gap *gap = &session->gap;
	struct mono_time now = clock_mono(&clock_system);
	if (gap->hole != hole) {
		gap->hole = hole;
		gap->since = now;
		gap->is_told = false;
	}

	int64_t wait_ns = mono_since(now, gap->since) / HORIZON_WAIT_SHARE;
	gap->wait_ns = wait_ns < HORIZON_WAIT_MIN_NS
			       ? HORIZON_WAIT_MIN_NS
			       : (wait_ns > HORIZON_WAIT_MAX_NS ? HORIZON_WAIT_MAX_NS : wait_ns);
	if (pg_gap_is_held_long(session))
		pg_gap_share_floors(session);
	if (!gap->is_told && mono_since(now, gap->since) > HORIZON_TELL_NS)
		horizon_tell(session);
}

bool pg_gap_is_held_long(const struct pg_session *session)
{
	return session->gap.wait_ns == HORIZON_WAIT_MAX_NS;
}

void pg_gap_release(struct pg_session *session)
{
	session->gap.hole = 0;
	session->gap.wait_ns = 0;
}

/* ---- The mark, and the end ------------------------------------------------------------------- */

void pg_gap_mark(struct pg_session *session)
{
	struct pg_store *store = session->store;
	int64_t now = clock_mono(&clock_system).ns, due = store->mark_at, proven = session->proven;
	if (proven <= store->marked || now < due || !store->may_mark ||
	    !atomic_compare_exchange_strong(&store->mark_at, &due, now + HORIZON_MARK_EVERY_NS))
		return;
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_int8(&params, session->numbering_file);
	pg_put_int8(&params, proven);
	pg_put_string(&params, store->table);

	tide_status status = pg_read_run(session, PG_MARK_MOVE, &params, &result, NULL);
	if (status == TIDE_OK)
		store->marked = proven;
	else if (*session->reader->sqlstate && status != TIDE_BUSY)
		store->may_mark = false; /* a database that takes no writes, for example */
}

static tide_status horizon_look(struct pg_session *session, tide_position *ret_newest,
				struct tide_error *err)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_session_heed_losses(session);
	pg_gap_learn(session);
	pg_gap_put(session, &params);

	tide_status status;
	do
		status = pg_read_run(session, pg_gap_statement(session), &params, &rows, err);
	while (status != TIDE_OK && pg_gap_goes_on_unmarked(session));
	if (status == TIDE_OK)
		status = pg_gap_found(session, rows, err);
	if (status == TIDE_OK)
		*ret_newest = pg_int8(rows, 0, PG_GAP_NEWEST);
	return status;
}

/* Settle by counting: what stands behind the settled prefix without a hole is visible, so it is
 * settled, too. */
static tide_status horizon_count(struct pg_session *session, tide_position newest,
				 struct tide_error *err)
{
	int64_t counted = HORIZON_UNBROKEN_ROWS;
	while (counted == HORIZON_UNBROKEN_ROWS) {
		PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
		PG_RESULT_AUTO PGresult *rows = NULL;
		pg_put_int8(&params, session->settled);
		pg_put_int8(&params, newest);
		pg_put_int4(&params, HORIZON_UNBROKEN_ROWS);
		tide_status status = pg_read_run(session, PG_UNBROKEN, &params, &rows, err);
		if (status != TIDE_OK)
			return status;
		pg_gap_settle(session, pg_int8(rows, 0, 0));
		counted = pg_int8(rows, 0, 1);
	}
	return TIDE_OK;
}

tide_status pg_settled(struct pg_session *session, tide_position *ret, struct tide_error *err)
{
	tide_position newest;
	tide_status status = horizon_look(session, &newest, err);
	if (status == TIDE_OK)
		*ret = newest < session->settled ? newest : session->settled;
	return status;
}

/* The greatest position a read could return now, and the greatest visible one. What is settled ends
 * at a visible one. */
static tide_status horizon_find_end(struct pg_session *session, tide_position *ret,
				    tide_position *ret_newest, struct tide_error *err)
{
	tide_position newest;
	tide_status status = horizon_look(session, &newest, err);
	if (status == TIDE_OK && newest > session->settled)
		status = horizon_count(session, newest, err);
	if (status != TIDE_OK)
		return status;
	*ret = newest < session->settled ? newest : session->settled;
	*ret_newest = newest;
	pg_gap_mark(session);
	return TIDE_OK;
}

tide_status pg_end(void *session, tide_position *ret, struct tide_error *err)
{
	tide_position newest;
	return horizon_find_end(session, ret, &newest, err);
}

tide_status pg_horizon(void *session, struct tide_horizon *ret, struct tide_error *err)
{
	_Static_assert(sizeof ret->holder == PG_HOLDER_SIZE, "a holder fits");
	struct tide_horizon horizon = { 0 };
	tide_status status = horizon_find_end(session, &horizon.end, &horizon.newest, err);
	if (status != TIDE_OK)
		return status;
	if (horizon.end < horizon.newest)
		horizon_name_owner(session, horizon.end + 1, horizon.holder);
	*ret = horizon;
	return TIDE_OK;
}

/* ---- Who is in the way ----------------------------------------------------------------------- */

static bool horizon_stays(struct pg_session *session, const PGresult *rows)
{
	struct mono_time now = clock_mono(&clock_system);
	const char *transaction = PQgetvalue(rows, 0, PG_HOLDER_TRANSACTION);
	if (strncmp(session->open_append, transaction, sizeof session->open_append - 1) != 0) {
		snprintf(session->open_append, sizeof session->open_append, "%s", transaction);
		session->open_since = now;
	}
	if (mono_since(now, session->open_since) >= HORIZON_STAYS_NS)
		return true;
	return !pg_is_null(rows, 0, PG_HOLDER_SECONDS) &&
	       pg_int8(rows, 0, PG_HOLDER_SECONDS) >= HORIZON_STAYS_NS / NS_PER_SECOND;
}

/* Where nothing is held up yet, the oldest append is who would do it next. */
tide_status pg_waiting_for(void *self, char *ret, size_t size, struct tide_error *err)
{
	struct pg_session *session = self;
	PG_RESULT_AUTO PGresult *rows = NULL;
	char who[PG_HOLDER_SIZE] = "";
	tide_position end = 0, newest = 0;
	tide_status status = horizon_find_end(session, &end, &newest, err);
	if (status != TIDE_OK)
		return status;
	ALLOC_AUTO char *owners = end < newest ? horizon_owners(session, end + 1) : NULL;
	if (owners || end == newest)
		status = pg_holders(session, owners, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (rows && PQntuples(rows) > 0 && horizon_stays(session, rows))
		pg_holder_describe(rows, 0, who);
	snprintf(ret, size, "%s", who);
	return TIDE_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which positions are settled: visible, or never to become so.
 *
 * Positions come from a sequence and become visible in the order of commits. nextval takes RowExclusiveLock on the
 * sequence before it draws a value and the transaction keeps it to its end, so only its holders can own a hole:
 *
 *	Q := the greatest visible position; then, in a later statement, H := the holders.
 *	H empty: everything up to Q is settled. Else wait until every member of H has left; then it is.
 *
 * A value below Q was drawn before Q was seen, by a transaction that held the lock until its end: at the moment H was
 * read it was a member, or it had ended. A statement that begins after all of H have ended sees what they committed.
 * Q must never be read after H, nor in the same statement (its snapshot would be older than its look at the locks).
 *
 * H can be nonempty for long because of one open append, and then a reader that begins meanwhile would wait at the first
 * hole of a long history that others have read to its end. So what a check has proven is left in a row of
 * tidemark_feed now and then, and a reader that has to wait looks there first. What is settled stays so; a crash of the
 * server takes back the mark before it takes back the events it speaks of; a sequence that was restarted voids it.
 *
 * A replica does not see these locks. There, H is the next transaction number known when Q was seen, and the wait is
 * until no transaction below it runs. A transaction that draws a value long before it first writes can be missed.
 *
 * Failure: a holder that stays for seconds is somebody's open append; it is named in the log, and waited for.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"
#include "sys/log.h"

#define GAP_WAIT_MIN_NS (NS_PER_MS / 2)
#define GAP_WAIT_MAX_NS (10 * NS_PER_MS)
#define GAP_TELL_NS (5 * NS_PER_SECOND)
#define GAP_UNBROKEN_ROWS 50000
#define GAP_MARK_EVERY_NS (5 * NS_PER_SECOND)

static void gap_settle(struct pg_session *session, tide_position upto)
{
	if (upto > session->settled)
		session->settled = upto;
	int64_t known = session->store->settled;
	while (known < session->settled &&
	       !atomic_compare_exchange_weak(&session->store->settled, &known, session->settled))
		;
}

static void gap_prove(struct pg_session *session, tide_position upto)
{
	if (upto > session->proven && !session->gap.is_replica)
		session->proven = upto;
	gap_settle(session, upto);
}

void pg_gap_mark(struct pg_session *session)
{
	struct pg_store *store = session->store;
	int64_t now = clock_mono(&clock_system).ns, due = store->mark_at, proven = session->proven;
	if (proven <= store->marked || now < due || !store->may_mark ||
	    !atomic_compare_exchange_strong(&store->mark_at, &due, now + GAP_MARK_EVERY_NS))
		return;
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *result = NULL;
	pg_put_int8(&params, session->numbering_file);
	pg_put_int8(&params, proven);
	pg_put_int8(&params, store->numbering);
	tide_status status = pg_read_run(session, PG_MARK_MOVE, &params, &result, NULL);
	if (status == TIDE_OK)
		store->marked = proven;
	else if (*session->reader.sqlstate && status != TIDE_BUSY)
		store->may_mark = false; /* a database that takes no writes, for example */
}

/* What readers before this one have proven. */
static void gap_read_mark(struct pg_session *session)
{
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (session->has_read_mark || !session->store->has_mark || session->gap.is_replica)
		return;
	pg_put_int8(&params, session->numbering_file);
	session->has_read_mark = pg_read_run(session, PG_MARK, &params, &rows, NULL) == TIDE_OK;
	if (session->has_read_mark)
		gap_settle(session, pg_int8(rows, 0, 0));
}

static tide_status gap_newest(struct pg_session *session, tide_position *ret, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_read_run(session, PG_NEWEST, NULL, &rows, err);
	if (status == TIDE_OK)
		*ret = pg_int8(rows, 0, 0);
	return status;
}

/* A sequence that was restarted draws its values anew: nothing of what was found is true of them. */
static bool gap_was_restarted(struct pg_session *session, int64_t file)
{
	if (session->numbering_file == file)
		return false;
	session->numbering_file = file;
	session->settled = session->proven = 0;
	session->has_read_mark = false;
	session->store->settled = session->store->marked = 0;
	return true;
}

/* Look at the holders, after `visible` has been seen. */
static tide_status gap_begin(struct pg_session *session, tide_position visible, struct tide_error *err)
{
	struct pg_gap *gap = &session->gap;
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	pg_put_int8(&params, session->store->numbering);
	tide_status status = pg_read_run(session, PG_HOLDERS, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (gap_was_restarted(session, pg_int8(rows, 0, 3)))
		return TIDE_OK;
	gap->is_replica = pg_bool(rows, 0, 0);
	struct tide_text holders = pg_text(rows, 0, gap->is_replica ? 2 : 1);
	if (!holders.data) {
		gap_prove(session, visible);
		return TIDE_OK;
	}
	gap_read_mark(session);
	tide_free(gap->holders);
	gap->holders = alloc_text(holders.data, holders.size);
	if (!gap->holders)
		return alloc_fail(err);
	gap->is_waiting = true;
	gap->is_told = false;
	gap->upto = visible;
	gap->wait_ns = GAP_WAIT_MIN_NS;
	gap->since = clock_mono(&clock_system);
	return TIDE_OK;
}

static void gap_tell(struct pg_session *session)
{
	struct pg_gap *gap = &session->gap;
	PG_RESULT_AUTO PGresult *rows = NULL;
	char who[PG_HOLDER_SIZE];
	gap->is_told = true;
	if (gap->is_replica || pg_holders(session, gap->holders, &rows, NULL) != TIDE_OK || PQntuples(rows) == 0)
		return;
	pg_holder_describe(rows, 0, who);
	log_at(TIDE_LOG_WARNING, "store", "events wait for an append that stays open", "holder=\"%s\"", who);
}

/* Look whether a member of the holders is still there. */
static tide_status gap_go_on(struct pg_session *session, struct tide_error *err)
{
	struct pg_gap *gap = &session->gap;
	PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
	PG_RESULT_AUTO PGresult *rows = NULL;
	if (!gap->is_replica)
		pg_put_int8(&params, session->store->numbering);
	pg_put_string(&params, gap->holders);
	enum pg_statement statement = gap->is_replica ? PG_REPLICA_BEHIND : PG_HOLDERS_STAY;
	tide_status status = pg_read_run(session, statement, &params, &rows, err);
	if (status != TIDE_OK)
		return status;
	if (!pg_bool(rows, 0, 0)) {
		gap->is_waiting = false;
		gap_prove(session, gap->upto);
		return TIDE_OK;
	}
	gap->wait_ns = gap->wait_ns >= GAP_WAIT_MAX_NS / 2 ? GAP_WAIT_MAX_NS : 2 * gap->wait_ns;
	if (!gap->is_told && mono_since(clock_mono(&clock_system), gap->since) > GAP_TELL_NS)
		gap_tell(session);
	return TIDE_OK;
}

tide_status pg_gap_check(struct pg_session *session, tide_position visible, bool *ret_is_settled,
			 struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (session->gap.is_waiting) {
		status = gap_go_on(session, err);
	} else {
		if (visible == 0)
			status = gap_newest(session, &visible, err);
		if (status == TIDE_OK)
			status = gap_begin(session, visible, err);
	}
	if (status == TIDE_OK)
		*ret_is_settled = !session->gap.is_waiting;
	return status;
}

/* Settle by counting: what stands behind the settled prefix without a hole is visible, so it is settled, too. */
static tide_status gap_count(struct pg_session *session, tide_position newest, struct tide_error *err)
{
	int64_t counted = GAP_UNBROKEN_ROWS;
	while (counted == GAP_UNBROKEN_ROWS) {
		PG_PARAMS_AUTO struct pg_params params = { .count = 0 };
		PG_RESULT_AUTO PGresult *rows = NULL;
		pg_put_int8(&params, session->settled);
		pg_put_int8(&params, newest);
		pg_put_int4(&params, GAP_UNBROKEN_ROWS);
		tide_status status = pg_read_run(session, PG_UNBROKEN, &params, &rows, err);
		if (status != TIDE_OK)
			return status;
		gap_settle(session, pg_int8(rows, 0, 0));
		counted = pg_int8(rows, 0, 1);
	}
	return TIDE_OK;
}

/* The greatest position a read could return now. What is settled ends at a visible position. */
tide_status pg_end(void *self, tide_position *ret, struct tide_error *err)
{
	struct pg_session *session = self;
	tide_position newest;
	tide_status status = gap_newest(session, &newest, err);
	bool is_settled = false, was_waiting = session->gap.is_waiting;
	if (status == TIDE_OK && newest > session->settled)
		status = pg_gap_check(session, newest, &is_settled, err);
	if (status == TIDE_OK && newest > session->settled && was_waiting && is_settled)
		status = pg_gap_check(session, newest, &is_settled, err);
	if (status == TIDE_OK && newest > session->settled)
		status = gap_count(session, newest, err);
	if (status != TIDE_OK)
		return status;
	*ret = newest < session->settled ? newest : session->settled;
	pg_gap_mark(session);
	return TIDE_OK;
}

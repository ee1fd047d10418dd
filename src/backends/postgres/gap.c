/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which positions are settled: visible, or never to become so.
 *
 * Positions come from a sequence and become visible in the order of commits. nextval takes
 * RowExclusiveLock on the sequence before it draws a value and the transaction keeps it to its end,
 * so only its holders can own a hole. A look sees Q, the greatest visible position, and then H, the
 * holders, in one statement, whose snapshot is the older part:
 *
 *	floor of a holder := its floor, if the last look saw it, too; else the Q of the last look
 *	settled           := max(settled, min(Q, the least floor in H))
 *
 * Proof. A value below Q was drawn before Q was seen, by a transaction that held the lock from then
 * until its end: when H is read it is a member, or it has ended. Who was not seen by the last look
 * took the lock after it, so all that it draws is above everything drawn before, the last Q
 * included: it owns no hole at or below its floor, then or later. So at or below `settled` nobody
 * owns a hole, and a statement that begins after the look sees what those who ended left. Rows that
 * are read must come from such a later statement; the two travel together. Nothing is waited for by
 * name: each look gets as far as the oldest holder lets it. At a hole looks follow each other
 * quickly, so floors are fresh.
 *
 * A prepared transaction keeps its name, but not through a restart of the server: one that is not
 * known from the last look may be old, and all that is sure is that it owns nothing that is
 * settled.
 *
 * One open append can keep H from being empty for long, and then a reader that begins meanwhile
 * would wait at the first hole of a long history that others have read to its end. So what looks
 * have proven is left in the row of tidemark_feed now and then, and each look reads it. What is
 * settled stays so; a crash of the server takes back the mark before it takes back the events it
 * speaks of; a sequence that was restarted or replaced has another file, which voids it. The
 * sequence is found anew in the statement that looks, which holds the table that it belongs to.
 *
 * A replica does not see these locks. There, Q is settled once no transaction runs that is older
 * than the next transaction number known when Q was seen. A transaction that draws a value long
 * before it first writes can be missed.
 */
#include "backends/postgres/inner.h"

#include <assert.h>
#include <stdlib.h>

#include "sys/alloc.h"

/* ---- What is settled, for this session and the others ---------------------------------------- */

/* What this session has found is of the server that the others have, as far as any knows. */
static bool gap_may_share(const struct pg_session *session)
{
	const struct pg_store *store = session->store;
	assert(mutex_is_mine(&store->lock));
	return store->numbering_file == session->numbering_file && store->losses == session->losses;
}

void pg_gap_settle(struct pg_session *session, tide_position upto)
{
	struct pg_store *store = session->store;
	if (upto <= session->settled)
		return;
	session->settled = upto;
	mutex_lock(&store->lock);
	if (gap_may_share(session) && store->settled < upto)
		store->settled = upto;
	mutex_unlock(&store->lock);
}

void pg_gap_learn(struct pg_session *session)
{
	struct pg_store *store = session->store;
	mutex_lock(&store->lock);
	if (session->numbering_file == 0)
		session->numbering_file = store->numbering_file;
	if (store->numbering_file == session->numbering_file && store->settled > session->settled)
		session->settled = store->settled;
	mutex_unlock(&store->lock);
}

void pg_gap_void(struct pg_session *session)
{
	tide_free(session->gap.floors);
	session->gap = (struct pg_gap){ .is_replica = session->gap.is_replica };
	session->settled = session->proven = 0;
	session->scan.last = (struct tide_anchor){ 0 };
}

void pg_gap_fini(struct pg_session *session)
{
	tide_free(session->gap.floors);
}

/* A sequence that was restarted draws its values anew, one of a table in the place of another has
 * values of its own: the events may be others, too. */
static tide_status gap_begin_life(struct pg_session *session, int64_t file, struct tide_error *err)
{
	struct pg_store *store = session->store;
	int64_t checked;
	tide_status status = pg_schema_check_numbering(store, session->reader, &checked, err);
	if (status != TIDE_OK)
		return status;

	pg_gap_void(session);
	if (session->numbering_file != 0)
		/* what positions stand on is to be looked at, as after a lost connection */
		store->losses++;
	session->numbering_file = file;

	mutex_lock(&store->lock);
	if (store->numbering_file != file) {
		store->numbering_file = file;
		store->settled = 0;
		store->floor_count = 0;
		store->marked = 0;
		store->newest = (struct tide_anchor){ 0 };
	}

	mutex_unlock(&store->lock);
	return TIDE_OK;
}

/* The newest events were taken away, or a server took them back with all that was known of them. */
static void gap_begin_anew(struct pg_session *session)
{
	pg_gap_void(session);
	pg_store_lost(session->store);
}

static tide_position gap_shared_floor(const struct pg_store *store, const char *transaction)
{
	for (size_t i = 0; i < store->floor_count; i++)
		if (strcmp(store->floors[i].transaction, transaction) == 0)
			return store->floors[i].floor;
	return 0;
}

/* Without memory the old ones stay, which are as true. */
void pg_gap_share_floors(struct pg_session *session)
{
	const struct pg_gap *gap = &session->gap;
	struct pg_store *store = session->store;
	struct pg_floor *floors = alloc_zero(gap->count, sizeof *floors);
	if (!floors)
		return;

	mutex_lock(&store->lock);
	for (size_t i = 0; i < gap->count; i++) {
		tide_position known = gap_shared_floor(store, gap->floors[i].transaction);
		floors[i] = gap->floors[i];
		if (floors[i].floor < known)
			floors[i].floor = known;
	}
	struct pg_floor *old = floors;
	if (gap_may_share(session)) {
		old = store->floors;
		store->floors = floors;
		store->floor_count = gap->count;
	}
	mutex_unlock(&store->lock);
	tide_free(old);
}

bool pg_gap_may_own(const struct pg_session *session, const struct pg_floor *floor,
		    tide_position below)
{
	struct pg_store *store = session->store;
	mutex_lock(&store->lock);
	tide_position known = store->numbering_file == session->numbering_file
				      ? gap_shared_floor(store, floor->transaction)
				      : 0;
	mutex_unlock(&store->lock);
	return floor->floor < below && known < below;
}

/* ---- A look at the holders ------------------------------------------------------------------- */

enum pg_statement pg_gap_statement(const struct pg_session *session)
{
	return session->store->has_mark ? PG_GAP : PG_GAP_UNMARKED;
}

void pg_gap_put(const struct pg_session *session, struct pg_params *params)
{
	pg_put_string(params, session->store->table);
}

bool pg_gap_goes_on_unmarked(struct pg_session *session)
{
	const char *sqlstate = session->reader->sqlstate;
	bool is_refused = strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "42501") == 0;
	return is_refused && pg_connection_is_usable(session->reader) &&
	       atomic_exchange(&session->store->has_mark, false);
}

static tide_position gap_floor(const struct pg_session *session, const char *transaction,
			       bool is_prepared)
{
	const struct pg_gap *gap = &session->gap;
	for (size_t i = 0; i < gap->count; i++)
		if (strcmp(gap->floors[i].transaction, transaction) == 0)
			return gap->floors[i].floor;
	return is_prepared || gap->seen < session->settled ? session->settled : gap->seen;
}

/* Their floors, and the least of them. */
static tide_status gap_take_floors(struct pg_session *session, const PGresult *rows,
				   tide_position *least, struct tide_error *err)
{
	struct pg_gap *gap = &session->gap;
	struct pg_floor *floors = alloc_zero((size_t)PQntuples(rows), sizeof *floors);
	size_t count = 0;
	if (!floors)
		return alloc_fail(err);

	for (int row = 0; row < PQntuples(rows); row++) {
		if (pg_is_null(rows, row, PG_GAP_HOLDER))
			continue;
		struct pg_floor *floor = &floors[count++];
		const char *name = PQgetvalue(rows, row, PG_GAP_HOLDER);
		snprintf(floor->transaction, sizeof floor->transaction, "%s", name);
		floor->floor = gap_floor(session, name, pg_bool(rows, row, PG_GAP_IS_PREPARED));
		if (floor->floor < *least)
			*least = floor->floor;
	}

	tide_free(gap->floors);
	gap->floors = floors;
	gap->count = count;
	return TIDE_OK;
}

static void gap_look_at_replica(struct pg_session *session, const PGresult *rows,
				tide_position newest)
{
	struct pg_gap *gap = &session->gap;
	int64_t horizon = pg_int8(rows, 0, PG_GAP_XMAX);
	if (gap->upto > 0 && pg_int8(rows, 0, PG_GAP_XMIN) >= gap->horizon) {
		pg_gap_settle(session, gap->upto);
		gap->upto = 0;
	}
	if (pg_int8(rows, 0, PG_GAP_XMIN) >= horizon) {
		pg_gap_settle(session, newest);
	} else if (gap->upto == 0) {
		gap->horizon = horizon;
		gap->upto = newest;
	}
}

tide_status pg_gap_found(struct pg_session *session, const PGresult *rows, struct tide_error *err)
{
	struct pg_gap *gap = &session->gap;
	tide_position newest = pg_int8(rows, 0, PG_GAP_NEWEST),
		      mark = pg_int8(rows, 0, PG_GAP_MARK);
	tide_position least = newest;
	tide_status status = TIDE_OK;
	if (pg_is_null(rows, 0, PG_GAP_FILE))
		/* in between: a table that is being replaced; nothing is known of its holes */
		return TIDE_OK;
	int64_t file = pg_int8(rows, 0, PG_GAP_FILE);
	if (file != session->numbering_file)
		status = gap_begin_life(session, file, err);
	else if (newest < gap->seen || newest < session->settled)
		gap_begin_anew(session);
	if (status != TIDE_OK)
		return status;
	if (mark <= newest)
		pg_gap_settle(session, mark);
	gap->is_replica = pg_bool(rows, 0, PG_GAP_IS_REPLICA);
	if (gap->is_replica) {
		gap_look_at_replica(session, rows, newest);
		return TIDE_OK;
	}

	status = gap_take_floors(session, rows, &least, err);
	if (status != TIDE_OK)
		return status;

	gap->seen = newest;
	if (least > session->proven)
		session->proven = least;
	pg_gap_settle(session, least);
	return TIDE_OK;
}

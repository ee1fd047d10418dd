/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that the sessions of subscriptions take by turns.
 *
 *	queue ──granted, rung──▶ seat ──▶ a transaction, or a few statements ──▶ given back
 *
 * Happy path: a session takes the seat that it had last, where what it has prepared still is, else
 * one that nobody had, else the one that was not used for longest. While there are two for each
 * session it reads by one beside that of its transactions. Who finds none free waits in a queue,
 * without a thread standing still for it: the seat that is given back next is granted to the first
 * of the queue, who is rung. Who rests without having asked again leaves the queue. Nobody who has
 * one waits for another of them, so that no two wait for each other.
 * Failure modes: what must not wait for a handler (the last save and the release of a run that
 * stops, a mark beside an open transaction) finds all of them taken: it has one more, by turns, and
 * holds it for some statements only. A connection that was lost, or has a transaction open, is
 * closed when its seat is given back, and made anew by the next one.
 */
#include "backends/postgres/inner.h"

#include <assert.h>

#include "sys/alloc.h"

tide_status pg_seats_init(struct pg_seats *seats, size_t count, struct tide_error *err)
{
	seats->list = alloc_zero(count + 1, sizeof *seats->list);
	if (!seats->list)
		return alloc_fail(err);
	seats->count = count;
	seats->last = &seats->first;
	mutex_init(&seats->lock, LOCK_POSTGRES_SEATS);
	cond_init(&seats->changed);
	return TIDE_OK;
}

void pg_seats_fini(struct pg_seats *seats)
{
	if (!seats->list)
		return;
	assert(seats->sessions == 0);
	for (size_t i = 0; i <= seats->count; i++)
		pg_connection_close(&seats->list[i].connection);
	cond_fini(&seats->changed);
	mutex_fini(&seats->lock);
	tide_free(seats->list);
	seats->list = NULL;
}

static struct pg_seat *seats_extra(const struct pg_seats *seats)
{
	return &seats->list[seats->count];
}

/* ---- Seats ----------------------------------------------------------------------------------- */

/* What the session reads and writes by. */
static void seats_point(struct pg_session *session)
{
	const struct pg_place *place = &session->place;
	session->writer = place->seat ? &place->seat->connection : &session->own[1];
	session->reader = place->beside ? &place->beside->connection
			  : place->seat ? session->writer
					: &session->own[0];
}

static bool seats_is_better(const struct pg_seat *seat, const struct pg_seat *than)
{
	if (!than || !seat->last != !than->last)
		return !than || !seat->last;
	return seat->used < than->used;
}

/* One that nobody has, from now on taken; NULL: there is none. */
static struct pg_seat *seats_free_locked(struct pg_seats *seats, const struct pg_session *session)
	TIDE_REQUIRES(seats->lock)
{
	struct pg_seat *best = NULL;
	for (size_t i = 0; i < seats->count; i++) {
		struct pg_seat *seat = &seats->list[i];
		if (seat->is_taken)
			continue;
		if (seat->last == session) {
			best = seat;
			break;
		}
		if (seats_is_better(seat, best))
			best = seat;
	}

	if (best)
		best->is_taken = true;
	return best;
}

/* ---- The queue ------------------------------------------------------------------------------- */

static void seats_enqueue_locked(struct pg_seats *seats, struct pg_session *session)
	TIDE_REQUIRES(seats->lock)
{
	if (session->place.is_queued)
		return;
	session->place.is_queued = true;
	session->place.next = NULL;
	*seats->last = session;
	seats->last = &session->place.next;
}

static void seats_dequeue_locked(struct pg_seats *seats, struct pg_session *session)
	TIDE_REQUIRES(seats->lock)
{
	struct pg_session **at = &seats->first;
	if (!session->place.is_queued)
		return;
	while (*at != session)
		at = &(*at)->place.next;
	*at = session->place.next;
	if (seats->last == &session->place.next)
		seats->last = at;
	session->place.is_queued = false;
}

/* It is the next one's, or free; who is to be rung for it is pinned until then. */
static struct pg_session *seats_put_locked(struct pg_seats *seats, struct pg_seat *seat,
					   const struct pg_session *session)
	TIDE_REQUIRES(seats->lock)
{
	struct pg_session *next = seat == seats_extra(seats) ? NULL : seats->first;
	seat->last = session;
	seat->used = ++seats->turns;

	if (!next) {
		seat->is_taken = false;
		cond_broadcast(&seats->changed);
		return NULL;
	}
	seats_dequeue_locked(seats, next);
	next->place.granted = seat;
	next->place.pins++;
	return next;
}

static void seats_ring(struct pg_seats *seats, struct pg_session *session)
{
	if (!session)
		return;
	session->place.ring(session->place.self);
	mutex_lock(&seats->lock);
	session->place.pins--;
	cond_broadcast(&seats->changed);
	mutex_unlock(&seats->lock);
}

/* ---- By its session -------------------------------------------------------------------------- */

static struct pg_seat *seats_take_locked(struct pg_seats *seats, struct pg_session *session)
	TIDE_REQUIRES(seats->lock)
{
	struct pg_place *place = &session->place;
	struct pg_seat *seat = place->granted;
	place->granted = NULL;
	if (!seat)
		seat = seats_free_locked(seats, session);
	if (seat)
		seats_dequeue_locked(seats, session);
	return seat;
}

bool pg_seats_has_extra(const struct pg_session *session)
{
	const struct pg_place *place = &session->place;
	return place->seat && place->seat == seats_extra(&session->store->seats);
}

bool pg_seats_has(struct pg_session *session)
{
	struct pg_seats *seats = &session->store->seats;
	mutex_lock(&seats->lock);
	const struct pg_place *place = &session->place;
	bool has_one = place->seat || place->granted || place->is_queued;
	mutex_unlock(&seats->lock);
	return has_one;
}

bool pg_seats_take(struct pg_session *session)
{
	struct pg_seats *seats = &session->store->seats;
	struct pg_place *place = &session->place;
	if (place->seat)
		return true;
	mutex_lock(&seats->lock);
	place->seat = seats_take_locked(seats, session);
	if (!place->seat)
		seats_enqueue_locked(seats, session);
	place->has_asked = !place->seat;
	seats_point(session);
	mutex_unlock(&seats->lock);
	return place->seat != NULL;
}

bool pg_seats_await(struct pg_session *session, int64_t patience_ns)
{
	struct pg_seats *seats = &session->store->seats;
	struct mono_time until = mono_add(clock_mono(&clock_system), patience_ns);
	mutex_lock(&seats->lock);
	while (!session->place.granted && clock_mono(&clock_system).ns < until.ns)
		(void)cond_wait_until(&seats->changed, &seats->lock, until);
	mutex_unlock(&seats->lock);
	return pg_seats_take(session);
}

static tide_status seats_fail(const struct pg_seats *seats, const struct pg_place *place,
			      struct tide_error *err)
{
	if (place->is_interrupted)
		return tide_fail(err, TIDE_BUSY,
				 "waiting for a connection to PostgreSQL was ended");
	return tide_fail(err, TIDE_BUSY,
			 "all %zu connections of subscriptions are in use, and the one beside them",
			 seats->count);
}

/* Any, as soon as there is one. */
static struct pg_seat *seats_wait_locked(struct pg_seats *seats, struct pg_session *session)
	TIDE_REQUIRES(seats->lock)
{
	struct pg_place *place = &session->place;
	struct mono_time until = mono_add(clock_mono(&clock_system), session->store->busy_ns);
	struct pg_seat *seat = NULL;

	place->is_waiting = true;
	place->is_interrupted = false;
	while (!(seat = seats_take_locked(seats, session)) && !place->is_interrupted) {
		struct pg_seat *extra = seats_extra(seats);
		if (!extra->is_taken) {
			extra->is_taken = true;
			seat = extra;
			break;
		}
		if (clock_mono(&clock_system).ns >= until.ns)
			break;
		(void)cond_wait_until(&seats->changed, &seats->lock, until);
	}
	place->is_waiting = false;
	return seat;
}

static tide_status seats_claim(struct pg_session *session, struct pg_seat **at,
			       struct tide_error *err)
{
	struct pg_seats *seats = &session->store->seats;
	mutex_lock(&seats->lock);
	*at = seats_wait_locked(seats, session);
	seats_point(session);
	mutex_unlock(&seats->lock);
	return *at ? TIDE_OK : seats_fail(seats, &session->place, err);
}

tide_status pg_seats_claim(struct pg_session *session, struct tide_error *err)
{
	struct pg_place *place = &session->place;
	if (!place->is_shared || place->seat)
		return TIDE_OK;
	return seats_claim(session, &place->seat, err);
}

tide_status pg_seats_claim_reader(struct pg_session *session, struct tide_error *err)
{
	struct pg_seats *seats = &session->store->seats;
	struct pg_place *place = &session->place;
	if (!place->is_shared || place->beside)
		return TIDE_OK;
	tide_status status = pg_seats_claim(session, err);
	if (status != TIDE_OK)
		return status;
	if (session->in_transaction)
		return seats_claim(session, &place->beside, err);

	mutex_lock(&seats->lock);
	if (2 * seats->sessions <= seats->count && !session->scan.is_flying)
		place->beside = seats_free_locked(seats, session);
	seats_point(session);
	mutex_unlock(&seats->lock);
	return TIDE_OK;
}

static struct pg_seat *seats_drop_locked(struct pg_seat **at)
{
	struct pg_seat *seat = *at;
	*at = NULL;
	return seat;
}

static void seats_clean(struct pg_seat *seat)
{
	struct pg_connection *connection = seat ? &seat->connection : NULL;
	if (connection && connection->native &&
	    (!pg_connection_is_usable(connection) ||
	     PQtransactionStatus(connection->native) != PQTRANS_IDLE))
		pg_connection_close(connection);
}

static void seats_give(struct pg_session *session, bool is_leaving)
{
	struct pg_seats *seats = &session->store->seats;
	struct pg_place *place = &session->place;
	struct pg_seat *given[3] = { NULL };
	struct pg_session *rung[3] = { NULL };

	mutex_lock(&seats->lock);
	while (place->pins > 0)
		cond_wait(&seats->changed, &seats->lock);
	given[0] = seats_drop_locked(&place->beside);
	given[1] = seats_drop_locked(&place->seat);
	/* who has asked comes again when rung; who has not needs none any more */
	if (!place->has_asked || is_leaving) {
		seats_dequeue_locked(seats, session);
		given[2] = seats_drop_locked(&place->granted);
	}
	place->has_asked = false;
	seats_point(session);
	mutex_unlock(&seats->lock);

	for (size_t i = 0; i < 3; i++)
		seats_clean(given[i]);
	mutex_lock(&seats->lock);
	for (size_t i = 0; i < 3; i++)
		if (given[i])
			rung[i] = seats_put_locked(seats, given[i], session);
	mutex_unlock(&seats->lock);
	for (size_t i = 0; i < 3; i++)
		seats_ring(seats, rung[i]);
}

void pg_seats_give(struct pg_session *session)
{
	seats_give(session, false);
}

bool pg_seats_suffice(struct pg_store *store)
{
	mutex_lock(&store->seats.lock);
	bool suffice = store->seats.sessions <= store->seats.count;
	mutex_unlock(&store->seats.lock);
	return suffice;
}

/* Its connections stay with it until that is over. */
void pg_seats_interrupt(struct pg_session *session)
{
	struct pg_seats *seats = &session->store->seats;
	mutex_lock(&seats->lock);
	session->place.pins++;
	session->place.is_interrupted |= session->place.is_waiting;
	struct pg_connection *writer = session->writer, *reader = session->reader;
	cond_broadcast(&seats->changed);
	mutex_unlock(&seats->lock);

	pg_connection_interrupt(writer);
	if (reader != writer)
		pg_connection_interrupt(reader);
	mutex_lock(&seats->lock);
	session->place.pins--;
	cond_broadcast(&seats->changed);
	mutex_unlock(&seats->lock);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

void pg_seats_enter(struct pg_session *session)
{
	struct pg_seats *seats = &session->store->seats;
	mutex_lock(&seats->lock);
	seats->sessions++;
	mutex_unlock(&seats->lock);
}

/* Behind the last session no connection stays. */
static void seats_close_idle(struct pg_seats *seats)
{
	for (size_t i = 0; i <= seats->count; i++) {
		struct pg_seat *seat = &seats->list[i];
		mutex_lock(&seats->lock);
		bool is_idle = seats->sessions == 0 && !seat->is_taken;
		seat->is_taken |= is_idle;
		mutex_unlock(&seats->lock);
		if (!is_idle)
			continue;

		pg_connection_close(&seat->connection);
		mutex_lock(&seats->lock);
		struct pg_session *next = seats_put_locked(seats, seat, NULL);
		mutex_unlock(&seats->lock);
		seats_ring(seats, next);
	}
}

void pg_seats_leave(struct pg_session *session)
{
	struct pg_seats *seats = &session->store->seats;
	seats_give(session, true);
	mutex_lock(&seats->lock);
	bool is_last = --seats->sessions == 0;
	mutex_unlock(&seats->lock);
	if (is_last)
		seats_close_idle(seats);
}

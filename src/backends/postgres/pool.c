/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of connections that appends share.
 *
 * Happy path: an append takes the connection that was used last. When all are in use it waits in a
 * queue; who gives one back hands it to the first of the queue, which takes along those behind it
 * that append one event each to streams of their own, so that they share its statement and its
 * commit (group.c). Once twice as many append as there are connections, a quarter of those serves
 * them all: the server does the same rows in fewer and greater commits with less work. Below that
 * each has a connection, and waits for its own commit alone. A connection whose append was not
 * answered in time lies at the bottom, flying, until somebody who finds no other sees that its
 * answer has landed. While there is one, nobody is taken along: who repeats that append waits
 * behind it in the server, and would keep the others waiting.
 */
#include "backends/postgres/inner.h"

#define POOL_LOOK_NS (20 * NS_PER_MS)
#define POOL_GROUP_BYTES (1u << 20)

static struct pg_connection *pool_remove_locked(struct pg_store *store, size_t at)
	TIDE_REQUIRES(store->lock)
{
	struct pg_connection *connection = store->idle[at];
	memmove(&store->idle[at], &store->idle[at + 1],
		(--store->idle_count - at) * sizeof *store->idle);
	return connection;
}

/*
 * The one that was used last, unless it is flying: those lie at the bottom. One that has landed
 * leaves behind an event that nobody was told of.
 */
static struct pg_connection *pool_find_locked(struct pg_store *store, bool *ret_has_landed)
	TIDE_REQUIRES(store->lock)
{
	for (size_t at = store->idle_count; at-- > 0;) {
		bool was_flying = pg_connection_is_flying(store->idle[at]);
		if (was_flying && !pg_connection_land(store->idle[at]))
			continue;
		*ret_has_landed |= was_flying;
		return pool_remove_locked(store, at);
	}
	return NULL;
}

static void pool_unlink_locked(struct pg_store *store, struct pg_turn **at)
	TIDE_REQUIRES(store->lock)
{
	struct pg_turn *turn = *at;
	*at = turn->next;
	if (store->last == &turn->next)
		store->last = at;
	turn->next = NULL;
}

static void pool_leave_locked(struct pg_store *store, struct pg_turn *turn)
	TIDE_REQUIRES(store->lock)
{
	struct pg_turn **at = &store->first;
	while (*at != turn)
		at = &(*at)->next;
	pool_unlink_locked(store, at);
}

static size_t pool_flying_locked(const struct pg_store *store) TIDE_REQUIRES(store->lock)
{
	size_t count = 0;
	for (size_t i = 0; i < store->idle_count; i++)
		count += pg_connection_is_flying(store->idle[i]);
	return count;
}

/* How many connections may be in use at once. */
static size_t pool_lanes_locked(const struct pg_store *store) TIDE_REQUIRES(store->lock)
{
	size_t all = store->pool_size, few = all / 4 > 2 ? all / 4 : 2;
	bool is_crowded = store->crowd >= 2 * all && pool_flying_locked(store) == 0;
	return is_crowded && few < all ? few : all;
}

static bool pool_has_lane_locked(const struct pg_store *store) TIDE_REQUIRES(store->lock)
{
	return store->pool_size - store->idle_count < pool_lanes_locked(store);
}

static void pool_enter_locked(struct pg_store *store) TIDE_REQUIRES(store->lock)
{
	store->callers++;
	if (store->callers > store->crowd)
		store->crowd = store->callers;
}

static void pool_hand_over_locked(struct pg_store *store, struct pg_connection *connection)
	TIDE_REQUIRES(store->lock)
{
	struct pg_turn *turn = store->first;
	pool_unlink_locked(store, &store->first);
	turn->connection = connection;
	cond_signal(&turn->changed);
}

static void pool_serve_locked(struct pg_store *store, bool *ret_has_landed)
	TIDE_REQUIRES(store->lock)
{
	struct pg_connection *connection;
	while (store->first && pool_has_lane_locked(store) &&
	       (connection = pool_find_locked(store, ret_has_landed)) != NULL)
		pool_hand_over_locked(store, connection);
}

static size_t pool_size_of(const struct tide_commit *commit)
{
	return commit->events[0].payload.size + commit->events[0].metadata.size;
}

static bool pool_is_apart(const struct pg_turn *leader, const struct tide_commit *commit)
{
	for (const struct pg_turn *turn = leader; turn; turn = turn->next)
		if (tide_uuid_equal(&turn->commit->stream.aggregate_id,
				    &commit->stream.aggregate_id) &&
		    strcmp(turn->commit->stream.aggregate_type, commit->stream.aggregate_type) == 0)
			return false;
	return true;
}

/* However often a call gets to the server, it has its time once. */
static void pool_start_time(const struct pg_store *store, struct pg_turn *turn)
{
	if (turn->deadline.ns == 0)
		turn->deadline =
			mono_add(clock_mono(&clock_system), ns_of_seconds(store->append_seconds));
}

/* Who appends to a stream of the group waits for the next one. */
static void pool_take_along_locked(struct pg_store *store, struct pg_turn *leader)
	TIDE_REQUIRES(store->lock)
{
	size_t count = 1, bytes = pool_size_of(leader->commit);
	struct pg_turn **end = &leader->next;
	for (struct pg_turn **at = &store->first; *at && count < PG_GROUP_MAX;) {
		struct pg_turn *turn = *at;
		size_t size = turn->commit ? pool_size_of(turn->commit) : 0;
		if (!turn->commit || bytes + size > POOL_GROUP_BYTES ||
		    !pool_is_apart(leader, turn->commit)) {
			at = &turn->next;
			continue;
		}
		pool_unlink_locked(store, at);
		*end = turn;
		end = &turn->next;
		turn->state = PG_TURN_TAKEN;
		pool_start_time(store, turn);
		bytes += size;
		count++;
	}
}

/* Nobody signals that a flying one lands, so while there are some they are looked at in between. */
static void pool_wait_locked(struct pg_store *store, struct pg_turn *turn, bool *ret_has_landed)
	TIDE_REQUIRES(store->lock)
{
	struct mono_time deadline = mono_add(clock_mono(&clock_system), store->busy_ns);
	if (turn->deadline.ns != 0)
		deadline = mono_min(deadline, turn->deadline);
	while (!turn->connection && turn->state == PG_TURN_WAITING) {
		struct mono_time now = clock_mono(&clock_system),
				 look = mono_add(now, POOL_LOOK_NS);
		if (now.ns >= deadline.ns) {
			pool_leave_locked(store, turn);
			return;
		}
		(void)cond_wait_until(&turn->changed, &store->lock,
				      pool_flying_locked(store) > 0 ? mono_min(look, deadline)
								    : deadline);
		pool_serve_locked(store, ret_has_landed);
	}

	while (turn->state == PG_TURN_TAKEN)
		cond_wait(&turn->changed, &store->lock);
}

/* Wait for a connection, or until somebody who had one has settled the turn; false: neither
 * came. */
static bool pool_wait(struct pg_store *store, struct pg_turn *turn, size_t *ret_flying)
{
	bool has_landed = false;
	cond_init(&turn->changed);
	mutex_lock(&store->lock);
	pool_enter_locked(store);
	*store->last = turn;
	store->last = &turn->next;
	pool_serve_locked(store, &has_landed);
	pool_wait_locked(store, turn, &has_landed);
	*ret_flying = pool_flying_locked(store);
	if (turn->connection && turn->commit && *ret_flying == 0)
		pool_take_along_locked(store, turn);
	if (turn->connection)
		store->crowd -= store->crowd > store->callers;
	else if (turn->state == PG_TURN_WAITING)
		store->callers--;
	mutex_unlock(&store->lock);

	cond_fini(&turn->changed);
	if (has_landed)
		pg_bell_ring(store);
	return turn->connection || turn->state != PG_TURN_WAITING;
}

static tide_status pool_fail(const struct pg_store *store, size_t flying, struct tide_error *err)
{
	if (flying == 0)
		return tide_fail(err, TIDE_BUSY, "all %zu connections of the pool are in use",
				 store->pool_size);
	return tide_fail(err, TIDE_BUSY,
			 "all %zu connections of the pool are in use, %zu of them by appends that "
			 "PostgreSQL has not "
			 "answered within append_timeout (%g s)",
			 store->pool_size, flying, store->append_seconds);
}

/* Connect anew where that is needed, and look at what appends stand on where it is time. */
static tide_status pool_make_ready(struct pg_store *store, struct pg_turn *turn,
				   struct tide_error *err)
{
	bool is_new = !pg_connection_has_survived(turn->connection);
	tide_status status = TIDE_OK;
	if (is_new) {
		pg_connection_close(turn->connection);
		status = pg_connection_open(turn->connection, &store->target, err);
	}
	if (status != TIDE_OK)
		return status;

	pool_start_time(store, turn);
	pg_connection_limit(turn->connection, PG_ANSWER_APPEND, store->append_seconds);
	turn->connection->deadline = turn->deadline;
	return is_new || pg_look_is_due(store) ? pg_look(store, turn->connection, err) : TIDE_OK;
}

tide_status pg_pool_take(struct pg_store *store, struct pg_turn *turn, struct tide_error *err)
{
	size_t flying;
	if (!pool_wait(store, turn, &flying))
		return pool_fail(store, flying, err);
	if (!turn->connection)
		return TIDE_OK;
	tide_status status = pool_make_ready(store, turn, err);
	if (status == TIDE_OK)
		return TIDE_OK;

	if (status == TIDE_CONNECTION_LOST) {
		pg_connection_close(turn->connection);
		pg_store_lost(store);
	}
	pg_pool_settle(store, turn->next);
	pg_pool_give(store, turn->connection);
	return status;
}

void pg_pool_settle(struct pg_store *store, struct pg_turn *group)
{
	mutex_lock(&store->lock);
	while (group) {
		struct pg_turn *turn = group;
		group = turn->next;
		store->callers--;
		turn->state = turn->outcome == PG_TURN_WAITING ? PG_TURN_ALONE : turn->outcome;
		cond_signal(&turn->changed);
	}
	mutex_unlock(&store->lock);
}

void pg_pool_give(struct pg_store *store, struct pg_connection *connection)
{
	bool is_flying = pg_connection_is_flying(connection), has_landed = false;
	mutex_lock(&store->lock);
	size_t at = is_flying ? 0 : store->idle_count;
	memmove(&store->idle[at + 1], &store->idle[at],
		(store->idle_count++ - at) * sizeof *store->idle);
	store->idle[at] = connection;
	store->callers--;
	pool_serve_locked(store, &has_landed);
	mutex_unlock(&store->lock);
	if (has_landed)
		pg_bell_ring(store);
}

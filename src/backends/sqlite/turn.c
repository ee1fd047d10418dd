/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is to write, among the connections of one store.
 *
 *	writer ──▶ nobody writes? its turn ──▶ BEGIN … COMMIT, or one statement ──▶ given back:
 *	           else wait ◀── the first who waits looks, and has it if it has waited for long
 *
 * SQLite has one write lock a file, and who does not get it sleeps and looks again: hundreds of
 * subscriptions would sleep while nobody writes. They wait here instead, and are woken. Other
 * stores and processes are met at SQLite's own lock, as ever.
 *
 * Happy path: nobody writes, and the turn is taken and given without waiting. Whoever runs may
 * overtake who has yet to wake, but not who has waited for TURN_PATIENCE_NS. Fails when: never. Who
 * does not get the turn in its time asks SQLite, which says who holds the file.
 */

#include <assert.h>

#include "backends/sqlite/internal.h"

#define TURN_PATIENCE_NS (2 * NS_PER_MS)

/** One who waits, on its own stack. */
struct sqlite_turn_waiter {
	struct cond changed;
	struct mono_time since;
	bool has_turn; /* it was handed over, and it is in the list no more */
	struct sqlite_turn_waiter *next;
};

void sqlite_turn_init(struct sqlite_turn *turn)
{
	mutex_init(&turn->lock, LOCK_SQLITE_TURN);
	turn->last = &turn->first;
}

void sqlite_turn_fini(struct sqlite_turn *turn)
{
	assert(!turn->first && !turn->is_taken);
	mutex_fini(&turn->lock);
}

bool sqlite_turn_try(struct sqlite_turn *turn)
{
	mutex_lock(&turn->lock);
	bool is_free = !turn->is_taken;
	turn->is_taken = true;
	mutex_unlock(&turn->lock);
	return is_free;
}

static void turn_leave_locked(struct sqlite_turn *turn, struct sqlite_turn_waiter *waiter)
	TIDE_REQUIRES(turn->lock)
{
	struct sqlite_turn_waiter **at = &turn->first;
	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	if (!waiter->next)
		turn->last = at;
}

/* false: not in time */
static bool turn_wait_locked(struct sqlite_turn *turn, struct sqlite_turn_waiter *waiter,
			     struct mono_time until) TIDE_REQUIRES(turn->lock)
{
	bool is_in_time = true;
	*turn->last = waiter;
	turn->last = &waiter->next;
	while (turn->is_taken && !waiter->has_turn && is_in_time)
		is_in_time = cond_wait_until(&waiter->changed, &turn->lock, until);

	if (waiter->has_turn)
		return true;
	turn_leave_locked(turn, waiter);
	bool is_free = !turn->is_taken;
	turn->is_taken = true;
	return is_free;
}

bool sqlite_turn_wait(struct sqlite_turn *turn, int64_t patience_ns)
{
	struct sqlite_turn_waiter waiter = { .since = clock_mono(&clock_system) };
	bool is_mine;
	cond_init(&waiter.changed);
	mutex_lock(&turn->lock);
	is_mine = !turn->is_taken;
	turn->is_taken = true;
	if (!is_mine)
		is_mine = turn_wait_locked(turn, &waiter, mono_add(waiter.since, patience_ns));
	mutex_unlock(&turn->lock);
	cond_fini(&waiter.changed);
	return is_mine;
}

void sqlite_turn_give(struct sqlite_turn *turn)
{
	mutex_lock(&turn->lock);
	assert(turn->is_taken);
	struct sqlite_turn_waiter *first = turn->first;
	turn->is_taken = false;
	if (first && mono_since(clock_mono(&clock_system), first->since) > TURN_PATIENCE_NS) {
		turn->is_taken = first->has_turn = true;
		turn_leave_locked(turn, first);
	}
	if (first)
		cond_signal(&first->changed);
	mutex_unlock(&turn->lock);
}

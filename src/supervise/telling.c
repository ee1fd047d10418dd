/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling other processes what keeps a subscription from going on, so that `tide why` knows it from
 * the database alone.
 *
 * Happy path: nothing does, and nothing is written. What has lasted for a second is written beside
 * the lease, again while its figures move, and taken back when it is over.
 * Failure modes: the row or the file is locked, or the database is away: nobody waits, and it is
 * tried again a second later. The process dies: what it told last stays beside its lease.
 */
#include "supervise/telling.h"

#include <assert.h>
#include "path/port.h"
#include "sys/alloc.h"

#define TELLING_LASTS_NS NS_PER_SECOND
#define TELLING_AGAIN_NS NS_PER_SECOND
#define TELLING_MOVES_NS (5 * NS_PER_SECOND)

/* Whether its evidence is another one a few seconds later. */
static bool telling_moves(enum tide_cause cause)
{
	switch (cause) {
	case TIDE_CAUSE_CATCHING_UP:
	case TIDE_CAUSE_SLOW_HANDLER:
	case TIDE_CAUSE_HANDLER_RUNNING:
	case TIDE_CAUSE_HANDLER_STUCK:
	case TIDE_CAUSE_RETRYING:
	case TIDE_CAUSE_DATABASE_AWAY:
	case TIDE_CAUSE_DISK_FULL:
		return true;
	default:
		return false;
	}
}

static bool telling_is_due_for_locked(struct tide_subscription *subscription, struct mono_time now,
				      struct tide_time wall) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	struct told *told = &subscription->told;
	if (!ownership_is_ours(&subscription->ownership))
		return false;
	reason_pace_locked(subscription, now, wall);
	enum tide_cause cause = reason_cause_locked(subscription, now);
	if (told->seen_since.ns == 0 || told->seen != (int)cause) {
		told->seen = (int)cause;
		told->seen_since = now;
	}

	bool is_trouble = cause != TIDE_CAUSE_LIVE;
	bool is_same = told->cause == (int)cause;
	bool has_lasted = mono_since(now, told->seen_since) >= TELLING_LASTS_NS;
	bool has_moved = is_trouble && is_same && telling_moves(cause) &&
			 mono_since(now, told->told_at) >= TELLING_MOVES_NS;
	return now.ns >= told->again_at.ns && (has_moved || (!is_same && has_lasted));
}

bool telling_is_due_locked(struct tide_manager *manager, struct mono_time now)
{
	assert(mutex_is_mine(&manager->lock));
	bool is_due = false;
	if (!port_tells_reasons(manager->engine.checkpoints->database))
		return false;
	struct tide_time wall = clock_wall(manager->engine.clock);
	for (struct tide_subscription *subscription = manager->subscriptions; subscription;
	     subscription = subscription->next) {
		mutex_lock(&subscription->lock);
		is_due |= telling_is_due_for_locked(subscription, now, wall);
		mutex_unlock(&subscription->lock);
	}
	return is_due;
}

/* The first that is due; false: none is. */
bool telling_take_locked(struct tide_manager *manager, struct mono_time now, struct telling *ret)
{
	assert(mutex_is_mine(&manager->lock));
	struct tide_time wall = clock_wall(manager->engine.clock);
	bool is_due = false;

	for (struct tide_subscription *subscription = manager->subscriptions;
	     subscription && !is_due; subscription = subscription->next) {
		mutex_lock(&subscription->lock);
		is_due = telling_is_due_for_locked(subscription, now, wall);
		if (is_due) {
			*ret = (struct telling){ .fence = subscription->lease.fence };
			reason_fill_locked(subscription, (enum tide_cause)subscription->told.seen,
					   now, wall, &ret->why);
		}
		mutex_unlock(&subscription->lock);
	}
	ret->fence.name = ret->why.name; /* it may be removed meanwhile */
	return is_due;
}

tide_status telling_write(const struct tide_manager *manager, void *session,
			  struct telling *telling)
{
	const struct tide_store *database = manager->engine.checkpoints->database;
	bool is_live = telling->why.cause == TIDE_CAUSE_LIVE;
	char *reason ALLOC_AUTO = is_live ? NULL : reason_text(&telling->why);
	telling->is_done = false;
	if (!reason && !is_live)
		return TIDE_OUT_OF_MEMORY;
	return port_lease_tell(database, session, &telling->fence, reason, &telling->is_done, NULL);
}

void telling_put_locked(struct tide_manager *manager, const struct telling *telling,
			struct mono_time now)
{
	assert(mutex_is_mine(&manager->lock));
	struct tide_subscription *subscription =
		manager_find_owner_locked(manager, &telling->fence);
	if (!subscription)
		return;

	struct told *told = &subscription->told;
	mutex_lock(&subscription->lock);
	told->again_at = telling->is_done ? now : mono_add(now, TELLING_AGAIN_NS);
	if (telling->is_done) {
		told->cause = (int)telling->why.cause;
		told->told_at = now;
	}
	mutex_unlock(&subscription->lock);
}

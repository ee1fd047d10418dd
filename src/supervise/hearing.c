/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a manager looks at what others write into the database of its checkpoints: by the clock, and
 * when the bell of the store rings.
 *
 * Happy path: a look takes the rings that came before it, and is over; the next one is due at its
 * time, or at a ring, though appends, which ring as well, do not lead to one at once.
 * Failure modes: where checkpoints are elsewhere than the events nobody listens, and the clock is
 * enough; so it is when listening fails. Somebody wants a look while one is under way: another
 * follows at once.
 */
#include "supervise/manager.h"

#include <assert.h>

static struct tide_store *hearing_database(const struct tide_manager *manager)
{
	return manager->engine.checkpoints->database;
}

bool hearing_is_due_locked(struct tide_manager *manager, struct hearing *hearing,
			   struct mono_time now)
{
	assert(mutex_is_mine(&manager->lock));
	bool is_heard = now.ns >= hearing->hear_at.ns && wakeup_is_rung(&hearing->wakeup);
	return is_heard || now.ns >= hearing->look_at.ns;
}

void hearing_begin(struct tide_manager *manager, struct hearing *hearing)
{
	struct notify_link *link = &hearing->link;
	struct tide_store *database = hearing_database(manager);
	if (!link->wakeup && database == manager->engine.store) {
		*link = (struct notify_link){ .wakeup = &hearing->wakeup, .name = "" };
		if (notifier_add(database->notifier, link, NULL) != TIDE_OK)
			link->wakeup = NULL;
	}

	(void)wakeup_reset(&hearing->wakeup); /* before looking */
	mutex_lock(&manager->lock);
	hearing->look_at = MONO_NEVER;
	mutex_unlock(&manager->lock);
}

void hearing_over(struct tide_manager *manager, struct hearing *hearing, struct mono_time look_at,
		  struct mono_time hear_at)
{
	mutex_lock(&manager->lock);
	hearing->look_at = mono_min(hearing->look_at, look_at);
	hearing->hear_at = hear_at;
	mutex_unlock(&manager->lock);
}

void hearing_end(struct tide_manager *manager, struct hearing *hearing)
{
	if (hearing->link.wakeup)
		notifier_remove(hearing_database(manager)->notifier, &hearing->link);
	hearing->link.wakeup = NULL;
}

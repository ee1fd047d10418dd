/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What persons have said to the subscriptions of a manager, in whichever process.
 *
 * Happy path: at the poll, and soon after the bell of the store, one statement reads every durable
 * pause, and every subscription obeys before its next event. A start asks by itself (start.c), so
 * that nothing is delivered before it knows.
 * Failure modes: the database cannot be asked: what was known goes on to hold, and the log has the
 * error when it changes. An answer that is older than a start's own is not believed (pause_obey).
 */
#include "supervise/manager.h"

#include <assert.h>
#include <string.h>

#include "path/controls.h"
#include "path/pause.h"
#include "path/port.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define CONTROLS_RING_NS (100 * NS_PER_MS) /* between two looks because of rings */

static struct tide_store *controls_database(const struct tide_manager *manager)
{
	return manager->engine.checkpoints->database;
}

/* ---- When ------------------------------------------------------------------------------------ */

/* The shortest poll interval of those that run; 0: none does. */
static int64_t controls_poll_locked(const struct tide_manager *manager) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	int64_t least = 0;
	for (struct tide_subscription *subscription = manager->subscriptions; subscription;
	     subscription = subscription->next) {
		int64_t poll = ns_of_seconds(subscription->config.poll_interval_seconds);
		if (runner_is_running(subscription) && (least == 0 || poll < least))
			least = poll;
	}
	return least;
}

bool controls_are_due_locked(struct tide_manager *manager, struct mono_time now)
{
	assert(mutex_is_mine(&manager->lock));
	return port_has_controls(controls_database(manager)) &&
	       hearing_is_due_locked(manager, &manager->controls.hearing, now) &&
	       controls_poll_locked(manager) > 0;
}

void controls_end(struct tide_manager *manager)
{
	hearing_end(manager, &manager->controls.hearing);
}

/* ---- A look ---------------------------------------------------------------------------------- */

/* Pinned, so that each is there when its turn has come; none is told under the lock. */
static void controls_obey(struct tide_manager *manager, const struct tide_control *list,
			  size_t count, struct pause_word word)
{
	struct tide_subscription *subscription;
	mutex_lock(&manager->lock);
	manager->pins++;
	for (subscription = manager->subscriptions; subscription;
	     subscription = subscription->next) {
		mutex_unlock(&manager->lock);
		word.control = pause_find(subscription, list, count);
		if (pause_obey(subscription, &word))
			subscription_nudge(subscription);
		mutex_lock(&manager->lock);
	}

	if (--manager->pins == 0)
		cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
}

static void controls_tell(struct controls *controls, tide_status status,
			  const struct tide_error *err)
{
	struct tide_error *told = &controls->told;
	bool is_same = told->status == status &&
		       (status == TIDE_OK || strcmp(told->message, err->message) == 0);
	if (is_same)
		return;
	if (status == TIDE_OK) {
		log_at(TIDE_LOG_NOTICE, "subscription", "durable pauses can be read again", "%s",
		       "");
		memset(told, 0, sizeof *told);
	} else {
		log_at(TIDE_LOG_WARNING, "subscription", "durable pauses cannot be read",
		       "error='%s'", err->message);
		*told = *err;
	}
}

static void controls_set_due(struct tide_manager *manager, struct mono_time now)
{
	mutex_lock(&manager->lock);
	int64_t poll = controls_poll_locked(manager);
	mutex_unlock(&manager->lock);
	hearing_over(manager, &manager->controls.hearing, mono_add(now, poll),
		     mono_add(now, CONTROLS_RING_NS));
}

void controls_look(struct tide_manager *manager)
{
	struct tide_store *database = controls_database(manager);
	struct clock *clock = manager->engine.clock;
	ALLOC_AUTO struct tide_control *list = NULL;
	size_t count = 0;
	void *session;
	struct tide_error err;

	hearing_begin(manager, &manager->controls.hearing);
	struct pause_word word = { .asked = clock_mono(clock), .wall = clock_wall(clock) };
	tide_status status = store_borrow(database, &session, &err);
	if (status == TIDE_OK) {
		status = controls_load(database, session, NULL, &list, &count, &err);
		store_return(database, session, status);
	}

	controls_tell(&manager->controls, status, &err);
	if (status == TIDE_OK)
		controls_obey(manager, list, count, word);
	controls_set_due(manager, word.asked);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renewing leases beside the watchdog. Where ownership has no time a renewal is the look that finds
 * an idle owner fenced.
 *
 * Happy path: the watchdog finds a lease due and starts the renewer; that one renews all that are
 * due, and those that soon will be, in one statement on a session that nothing else uses, then
 * looks at controls (controls.c), and ends when nothing is due. It then tells others what keeps a
 * subscription from going on (telling.c).
 * Failure modes: a renewal finds another owner: the subscription is told and stops before its next
 * event. A row is locked, or the renewal fails: it is tried again before the lease runs out, and
 * the log has the error when it changes, and now and then. A renewal hangs: no lease is renewed,
 * and no handler called any more once two thirds of the lease have passed; nobody waits for it but
 * who destroys the manager.
 */
#include "supervise/telling.h"

#include <assert.h>
#include <string.h>

#include "path/port.h"
#include "supervise/sharing.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define RENEWAL_TOGETHER 2 /* what is due within this part of its interval goes along */
#define RENEWAL_AGAIN 5    /* a failed one is tried again after this part of the interval */
#define RENEWAL_TELL_NS (10 * NS_PER_SECOND) /* the same error is told again after this */

static struct tide_store *renewal_database(const struct tide_manager *manager)
{
	return manager->engine.checkpoints->database;
}

/* ---- What is due ----------------------------------------------------------------------------- */

/* Owned, and due within this part of its interval; 0: now. */
static bool renewal_is_due_locked(const struct tide_subscription *subscription,
				  struct mono_time now, int part) TIDE_REQUIRES(subscription->lock)
{
	assert(mutex_is_mine(&subscription->lock));
	int64_t ahead = part > 0 ? subscription->lease.renew_ns / part : 0;
	return subscription->ownership.state == OWNERSHIP_OWNED &&
	       subscription->lease.renew_at.ns <= mono_add(now, ahead).ns;
}

static bool renewal_is_due(struct tide_subscription *subscription, struct mono_time now)
{
	mutex_lock(&subscription->lock);
	bool is_due = renewal_is_due_locked(subscription, now, 0);
	mutex_unlock(&subscription->lock);
	return is_due;
}

static bool renewal_finds_due_locked(const struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	struct tide_subscription *subscription = manager->subscriptions;
	while (subscription && !renewal_is_due(subscription, now))
		subscription = subscription->next;
	const struct tide_subscription *head = manager->heads;
	while (head && !sharing_is_due_locked(manager, head, now, 0))
		head = head->next;
	return subscription || head;
}

static tide_status renewal_make_room(struct renewer *renewer, size_t count, struct tide_error *err)
{
	if (count <= renewer->capacity)
		return TIDE_OK;
	struct tide_lease_renewal *leases = alloc_resize(renewer->leases, count, sizeof *leases);
	if (!leases)
		return alloc_fail(err);
	renewer->leases = leases;
	char(*names)[TIDE_NAME_MAX + 1] = alloc_resize(renewer->names, count, sizeof *names);
	if (!names)
		return alloc_fail(err);
	renewer->names = names;
	renewer->capacity = count;
	return TIDE_OK;
}

/* Unless it is not due, or let go meanwhile: its run asks nobody. */
static bool renewal_take_one(struct renewer *renewer, size_t at,
			     struct tide_subscription *subscription, struct mono_time now)
{
	struct tide_lease_renewal *lease = &renewer->leases[at];
	assert(at < renewer->capacity);
	mutex_lock(&subscription->lock);
	bool is_due = renewal_is_due_locked(subscription, now, RENEWAL_TOGETHER);
	if (is_due) {
		*lease = (struct tide_lease_renewal){ .fence = subscription->lease.fence,
						      .result = TIDE_RENEWAL_SKIPPED };
		assert(lease->fence.epoch > 0);
		subscription_own_locked(subscription, OWNERSHIP_RENEWING);
	}
	mutex_unlock(&subscription->lock);

	if (!is_due)
		return false;
	memcpy(renewer->names[at], subscription->name, sizeof renewer->names[at]);
	lease->fence.name = renewer->names[at];
	return true;
}

static void renewal_take_member(struct renewer *renewer, size_t at,
				const struct tide_subscription *head)
{
	assert(at < renewer->capacity);
	memcpy(renewer->names[at], head->name, sizeof renewer->names[at]);
	renewer->leases[at] = (struct tide_lease_renewal){ .fence = { .name = renewer->names[at],
								      .owner = head->owner },
							   .result = TIDE_RENEWAL_SKIPPED,
							   .is_member = true };
}

/* `*ret` is 0 when nothing is due. */
static tide_status renewal_take_locked(struct tide_manager *manager, struct mono_time now,
				       size_t *ret, struct tide_error *err)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	struct renewer *renewer = &manager->renewer;
	*ret = 0;
	if (!renewal_finds_due_locked(manager, now))
		return TIDE_OK;
	/* there are no more heads than lanes */
	tide_status status = renewal_make_room(renewer, 2 * manager_lanes_locked(manager), err);
	if (status != TIDE_OK)
		return status;

	struct tide_subscription *subscription;
	for (subscription = manager->subscriptions; subscription; subscription = subscription->next)
		*ret += renewal_take_one(renewer, *ret, subscription, now);
	for (const struct tide_subscription *head = manager->heads; head; head = head->next)
		if (sharing_is_due_locked(manager, head, now, RENEWAL_TOGETHER))
			renewal_take_member(renewer, (*ret)++, head);
	return TIDE_OK;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void renewal_close_session(struct tide_manager *manager)
{
	if (manager->renewer.session)
		port_session_close(renewal_database(manager), manager->renewer.session);
	manager->renewer.session = NULL;
}

/* During an outage every renewal fails, several times a second with many leases. */
static void renewal_tell(struct renewer *renewer, size_t count, tide_status status,
			 const struct tide_error *err, struct mono_time now)
{
	struct tide_error *told = &renewer->told;
	bool is_same = told->status == status &&
		       (status == TIDE_OK || strcmp(told->message, err->message) == 0);

	if (is_same && (status == TIDE_OK || now.ns < renewer->tell_at.ns))
		return;
	if (status == TIDE_OK)
		log_at(TIDE_LOG_NOTICE, "subscription", "ownership renewed again", "count=%zu",
		       count);
	else
		log_at(TIDE_LOG_WARNING, "subscription", "ownership not renewed",
		       "count=%zu error='%s'", count, err->message);
	if (status == TIDE_OK)
		memset(told, 0, sizeof *told);
	else
		*told = *err;
	renewer->tell_at = mono_add(now, RENEWAL_TELL_NS);
}

static tide_status renewal_open_session(struct tide_manager *manager, struct tide_error *err)
{
	const struct tide_store *database = renewal_database(manager);
	if (manager->renewer.session)
		return TIDE_OK;
	return port_session_open(database, &manager->renewer.session, err);
}

static tide_status renewal_ask(struct tide_manager *manager, size_t count, struct tide_error *err)
{
	struct renewer *renewer = &manager->renewer;
	assert(count > 0 && count <= renewer->capacity);
	const struct tide_store *database = renewal_database(manager);
	tide_status status = renewal_open_session(manager, err);

	if (status == TIDE_OK)
		status = port_lease_renew_all(database, renewer->session, renewer->leases, count,
					      err);
	if (status == TIDE_CONNECTION_LOST)
		renewal_close_session(manager);
	probe_note(&manager->engine.probe, DATABASE_CHECKPOINTS, status, err);
	return status;
}

/* ---- What came of it ------------------------------------------------------------------------- */

/* Unless the ownership that was asked about has been released or followed by another meanwhile. */
static void renewal_note(struct tide_subscription *subscription,
			 const struct tide_lease_renewal *lease, struct mono_time began,
			 struct mono_time now)
{
	mutex_lock(&subscription->lock);
	bool is_same = subscription->ownership.state == OWNERSHIP_RENEWING &&
		       subscription->lease.fence.epoch == lease->fence.epoch;
	bool is_made = is_same && lease->result == TIDE_RENEWAL_MADE;
	bool is_lost = is_same && lease->result == TIDE_RENEWAL_LOST;
	if (is_same)
		subscription_own_locked(subscription, is_lost ? OWNERSHIP_LOST : OWNERSHIP_OWNED);
	if (is_same)
		subscription->lease.renew_at =
			is_made ? mono_add(began, subscription->lease.renew_ns)
				: mono_add(now, subscription->lease.renew_ns / RENEWAL_AGAIN);
	if (is_made)
		atomic_store(&subscription->lease.trust_until,
			     mono_add(began, subscription->lease.trust_ns).ns);
	mutex_unlock(&subscription->lock);

	if (is_lost)
		subscription_nudge(subscription);
}

static void renewal_put_locked(struct tide_manager *manager, size_t count, tide_status status,
			       struct mono_time began) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	assert(count <= manager->renewer.capacity);
	struct mono_time now = clock_mono(manager->engine.clock);
	for (size_t i = 0; i < count; i++) {
		struct tide_lease_renewal *lease = &manager->renewer.leases[i];
		if (status != TIDE_OK)
			lease->result = TIDE_RENEWAL_SKIPPED;
		if (lease->is_member) {
			sharing_renewed_locked(manager, lease, began);
			continue;
		}
		struct tide_subscription *subscription =
			manager_find_owner_locked(manager, &lease->fence);
		if (subscription)
			renewal_note(subscription, lease, began, now);
	}
}

/* Until nothing is due, or memory is short: the next look tries again. */
static void renewal_work_locked(struct tide_manager *manager) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));

	size_t count = 1;
	tide_status status = TIDE_OK;
	while (count > 0 && !(manager->is_threaded && manager->should_end_watch)) {
		struct tide_error err;
		struct mono_time began = clock_mono(manager->engine.clock);
		status = renewal_take_locked(manager, began, &count, &err);
		mutex_unlock(&manager->lock);
		if (count > 0)
			status = renewal_ask(manager, count, &err);
		if (count > 0 || status != TIDE_OK)
			renewal_tell(&manager->renewer, count, status, &err, began);
		mutex_lock(&manager->lock);
		renewal_put_locked(manager, count, status, began);
	}
}

/* ---- Its thread ------------------------------------------------------------------------------ */

/* On the same session, behind what must not be late: the rest waits for the next time once a lease
 * is due. */
static void renewal_tell_others_locked(struct tide_manager *manager) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	struct mono_time now = clock_mono(manager->engine.clock);
	struct telling telling;
	tide_status status = TIDE_OK;
	bool is_late = false;
	while (!is_late && !manager->should_end_watch &&
	       telling_take_locked(manager, now, &telling)) {
		mutex_unlock(&manager->lock);
		if (status == TIDE_OK) /* else none is, until later */
			status = renewal_open_session(manager, NULL);
		if (status == TIDE_OK)
			status = telling_write(manager, manager->renewer.session, &telling);
		if (status == TIDE_CONNECTION_LOST)
			renewal_close_session(manager);
		mutex_lock(&manager->lock);
		telling_put_locked(manager, &telling, now);
		is_late = renewal_finds_due_locked(manager, clock_mono(manager->engine.clock));
	}
}

static void renewal_work_all_locked(struct tide_manager *manager) TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	if (port_renew_ns(renewal_database(manager)) != 0)
		renewal_work_locked(manager);
	if (!controls_are_due_locked(manager, clock_mono(manager->engine.clock)))
		return;
	mutex_unlock(&manager->lock);
	controls_look(manager);
	mutex_lock(&manager->lock);
}

static bool renewal_is_needed_locked(struct tide_manager *manager, struct mono_time now)
	TIDE_REQUIRES(manager->lock)
{
	assert(mutex_is_mine(&manager->lock));
	bool has_leases = port_renew_ns(renewal_database(manager)) != 0;
	return (has_leases &&
		(renewal_finds_due_locked(manager, now) || telling_is_due_locked(manager, now))) ||
	       controls_are_due_locked(manager, now);
}

static void renewal_run(void *self)
{
	struct tide_manager *manager = self;
	mutex_lock(&manager->lock);
	renewal_work_all_locked(manager);
	renewal_tell_others_locked(manager);
	chore_done_locked(manager, &manager->renewer.chore);
	mutex_unlock(&manager->lock);
}

void renewal_look(struct tide_manager *manager, struct mono_time now)
{
	struct chore *chore = &manager->renewer.chore;
	mutex_lock(&manager->lock);
	if (!manager->is_threaded)
		renewal_work_all_locked(manager);
	bool is_due = manager->is_threaded && renewal_is_needed_locked(manager, now) &&
		      chore_take_locked(manager, chore);
	mutex_unlock(&manager->lock);
	if (!is_due)
		return;

	struct tide_error err;
	tide_status status = chore_start(manager, chore, "tide-renewer", renewal_run, &err);
	if (status == TIDE_OK)
		return;
	renewal_tell(&manager->renewer, 0, status, &err, now);
	mutex_lock(&manager->lock);
	chore_done_locked(manager, chore);
	mutex_unlock(&manager->lock);
}

void renewal_end(struct tide_manager *manager)
{
	struct renewer *renewer = &manager->renewer;
	chore_join(&renewer->chore);
	renewal_close_session(manager);
	controls_end(manager);
	tide_free(renewer->leases);
	tide_free(renewer->names);
	renewer->leases = NULL;
	renewer->names = NULL;
	renewer->capacity = 0;
}

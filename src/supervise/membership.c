/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a manager is a member of a group: what who starts and stops a subscription says, and what
 * the sharer (sharing.c) has made of it.
 *
 *        started               joined              stopped
 *   NONE ──────▶ WANTED ────────────────▶ HELD ──────────────▶ LEAVING ──▶ NONE
 *                  ▲  a renewal finds it gone │ ▲                left
 *                  └──────────────────────────┤ │ it has begun         ▲
 *                                             ▼ │                      │
 *                                          BEGINNING ──────────────────┘
 *                        a lane that was given back begins again    a stop has waited in vain
 *
 * Happy path: a start wants it, and a look joins; a stop ends it, and a look leaves.
 * Failure modes: it is stopped while a lane begins again: the stop waits for that, and at its limit
 * leaves it to the sharer, which stops the lane once it has begun.
 */
#include "supervise/membership.h"

#include <assert.h>

#include "supervise/elsewhere.h"
#include "sys/alloc.h"

/* clang-format off */
#define TO(state) (1u << MEMBERSHIP_##state)
static const unsigned membership_moves[] = {
	[MEMBERSHIP_NONE]      = TO(WANTED) | TO(LEAVING), /* it joined, and was stopped meanwhile */
	[MEMBERSHIP_WANTED]    = TO(HELD) | TO(NONE),
	[MEMBERSHIP_HELD]      = TO(WANTED) | TO(BEGINNING) | TO(LEAVING),
	[MEMBERSHIP_BEGINNING] = TO(HELD) | TO(LEAVING),
	[MEMBERSHIP_LEAVING]   = TO(HELD) | TO(NONE),
};
#undef TO
/* clang-format on */

void membership_move_locked(struct tide_manager *manager, struct tide_subscription *head,
			    enum membership_state to)
{
	assert(mutex_is_mine(&manager->lock));
	struct membership *membership = head->lanes.membership;
	assert(membership_moves[membership->state] & 1u << to);
	membership->state = to;
	if (!membership_exists(membership)) /* that share is others', and none a new one */
		membership->members = membership->share = 0;
	if (!membership_knows(membership))
		elsewhere_forget(head);
	cond_broadcast(&manager->changed);
}

/* ---- Started and stopped --------------------------------------------------------------------- */

tide_status membership_init(struct tide_subscription *subscription, struct tide_error *err)
{
	uint32_t lanes = subscription->lanes.list ? subscription->lanes.total : 0;
	if (lanes == 0)
		return TIDE_OK;
	struct membership *membership =
		alloc_zero(1, sizeof *membership + lanes * sizeof membership->views[0]);
	if (!membership)
		return alloc_fail(err);
	subscription->lanes.membership = membership;
	return TIDE_OK;
}

void membership_wish(struct tide_subscription *lane, enum lane_wish wish)
{
	if (atomic_exchange(&lane->lanes.wish, (int)wish) != (int)wish)
		wakeup_ring(&lane->wakeup, RING_RELEASE);
}

void membership_wish_all(struct tide_subscription *head, enum lane_wish wish)
{
	for (uint32_t i = 0; i < head->lanes.total; i++)
		membership_wish(head->lanes.list[i], wish);
}

void membership_begin(struct tide_manager *manager, struct tide_subscription *head)
{
	struct membership *membership = head->lanes.membership;
	if (!membership)
		return;
	mutex_lock(&manager->lock);
	bool is_new = membership->state == MEMBERSHIP_NONE;
	if (is_new)
		membership_move_locked(manager, head, MEMBERSHIP_WANTED);
	else if (membership->state == MEMBERSHIP_LEAVING)
		membership_move_locked(manager, head, MEMBERSHIP_HELD);
	manager->sharing.hearing.look_at = (struct mono_time){ 0 };
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
	if (is_new)
		membership_wish_all(head, LANE_UNDECIDED);
}

void membership_stop(struct tide_manager *manager, struct tide_subscription *head,
		     struct mono_time deadline)
{
	const struct membership *membership = head->lanes.membership;
	bool is_in_time = true;
	if (!membership)
		return;
	mutex_lock(&manager->lock);
	while (membership->state == MEMBERSHIP_BEGINNING && is_in_time)
		is_in_time = cond_wait_until(&manager->changed, &manager->lock, deadline);
	if (membership->state == MEMBERSHIP_WANTED)
		membership_move_locked(manager, head, MEMBERSHIP_NONE);
	else if (membership_knows(membership))
		membership_move_locked(manager, head, MEMBERSHIP_LEAVING);
	manager->sharing.hearing.look_at = (struct mono_time){ 0 };
	cond_broadcast(&manager->changed);
	mutex_unlock(&manager->lock);
}

void membership_stop_all(struct tide_manager *manager, struct mono_time deadline)
{
	mutex_lock(&manager->lock);
	for (struct tide_subscription *head = manager->heads; head; head = head->next) {
		mutex_unlock(&manager->lock);
		membership_stop(manager, head, deadline);
		mutex_lock(&manager->lock);
	}
	mutex_unlock(&manager->lock);
}

void membership_await_left(struct tide_manager *manager, struct tide_subscription *head,
			   struct mono_time until)
{
	const struct membership *membership = head->lanes.membership;
	bool is_in_time = true;
	if (!membership)
		return;
	mutex_lock(&manager->lock);
	while (membership->state == MEMBERSHIP_LEAVING && manager->is_looking && is_in_time)
		is_in_time = cond_wait_until(&manager->changed, &manager->lock, until);
	mutex_unlock(&manager->lock);
}

/* ---- As the sharer finds it ------------------------------------------------------------------ */

bool membership_is(struct tide_manager *manager, const struct membership *membership,
		   enum membership_state state)
{
	mutex_lock(&manager->lock);
	bool is_so = membership->state == state;
	mutex_unlock(&manager->lock);
	return is_so;
}

bool membership_move(struct tide_manager *manager, struct tide_subscription *head,
		     enum membership_state from, enum membership_state to)
{
	mutex_lock(&manager->lock);
	bool has_moved = head->lanes.membership->state == from;
	if (has_moved)
		membership_move_locked(manager, head, to);
	mutex_unlock(&manager->lock);
	return has_moved;
}

void membership_joined(struct tide_manager *manager, struct tide_subscription *head)
{
	mutex_lock(&manager->lock);
	bool is_wanted = head->lanes.membership->state == MEMBERSHIP_WANTED;
	membership_move_locked(manager, head, is_wanted ? MEMBERSHIP_HELD : MEMBERSHIP_LEAVING);
	mutex_unlock(&manager->lock);
}

bool membership_has_begun(struct tide_manager *manager, struct tide_subscription *head)
{
	const struct membership *membership = head->lanes.membership;
	mutex_lock(&manager->lock);
	if (membership->state == MEMBERSHIP_BEGINNING)
		membership_move_locked(manager, head, MEMBERSHIP_HELD);
	bool is_to_run = membership->state != MEMBERSHIP_LEAVING;
	mutex_unlock(&manager->lock);
	return is_to_run;
}

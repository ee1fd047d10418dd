/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_SUPERVISE_MEMBERSHIP_H
#define TIDE_SUPERVISE_MEMBERSHIP_H

/* Whether a manager is a member of a group, from the start of a subscription to its stop. */

#include "policy/balance.h"
#include "supervise/manager.h"

/** Whether a manager is a member of a group. */
enum membership_state {
	MEMBERSHIP_NONE,      /* it is none, and need not be */
	MEMBERSHIP_WANTED,    /* the subscription was started */
	MEMBERSHIP_HELD,      /* and it is one */
	MEMBERSHIP_BEGINNING, /* and begins a lane again, which a stop waits for */
	MEMBERSHIP_LEAVING,   /* the subscription was stopped, and it still is one */
};

/** What a manager knows of a group that it runs; kept with the head, in one block. */
struct membership {
	/* under the manager's lock */
	enum membership_state state;
	struct mono_time renew_at;
	int64_t members;    /* that lived at the last look; 0: it is none of them */
	uint32_t share;     /* of the lanes, at that look */
	int64_t rebalances; /* how often that became another one */

	/* whose look it is: the sharer's, and without a thread the watchdog's */
	int64_t takes;                 /* lanes wanted so far: the order in which they were */
	struct mono_time trim_at;      /* when old rows are looked at again */
	struct mono_time elsewhere_at; /* when those of other processes' lanes are */
	struct tide_error told;        /* TIDE_OK: the last look succeeded */
	struct balance_lane views[];   /* by the lanes' index */
};

/** Whether others count it as one of them. */
static inline bool membership_exists(const struct membership *membership)
{
	return membership->state == MEMBERSHIP_HELD || membership->state == MEMBERSHIP_BEGINNING ||
	       membership->state == MEMBERSHIP_LEAVING;
}

/** Whether it is to know of the lanes of others (elsewhere.c): as long as it hears of them. */
static inline bool membership_knows(const struct membership *membership)
{
	return membership->state == MEMBERSHIP_HELD || membership->state == MEMBERSHIP_BEGINNING;
}

/** Prepare a head that is about to be registered; nothing for one without lanes. */
tide_status membership_init(struct tide_subscription *subscription, struct tide_error *err);
/** The subscription is to run: its lanes wait until the first look has decided. */
void membership_begin(struct tide_manager *manager, struct tide_subscription *head);
/** It is to stop: others may have its lanes as soon as these are let go. A lane that begins is
 * waited for until then. */
void membership_stop(struct tide_manager *manager, struct tide_subscription *head,
		     struct mono_time deadline);
/** Every one of them is to stop. */
void membership_stop_all(struct tide_manager *manager, struct mono_time deadline);
/** Wait until it is no member any more, or until then. */
void membership_await_left(struct tide_manager *manager, struct tide_subscription *head,
			   struct mono_time until);

/* ---- For the sharer and the renewer ---------------------------------------------------------- */

/** Move it; what was known of a group that it is no member of any more is forgotten. */
void membership_move_locked(struct tide_manager *manager, struct tide_subscription *head,
			    enum membership_state to) TIDE_REQUIRES(manager->lock);
/** A lane hears of it at once. */
void membership_wish(struct tide_subscription *lane, enum lane_wish wish);
void membership_wish_all(struct tide_subscription *head, enum lane_wish wish);
bool membership_is(struct tide_manager *manager, const struct membership *membership,
		   enum membership_state state);
/** Unless it was started or stopped meanwhile; whether it has moved. */
bool membership_move(struct tide_manager *manager, struct tide_subscription *head,
		     enum membership_state from, enum membership_state to);
/** It is counted as one: who was stopped meanwhile leaves again. */
void membership_joined(struct tide_manager *manager, struct tide_subscription *head);
/** A lane has begun again. False: its stop has not waited so long, and it is to stop. */
bool membership_has_begun(struct tide_manager *manager, struct tide_subscription *head);

#endif

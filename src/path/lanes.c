/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: a subscription that handles the events of several aggregates at once.
 *
 *	head NAME ──▶ NAME#0/L   NAME#1/L   …   NAME#(L-1)/L      each a subscription as any other,
 *	 (never runs)  its own checkpoint, ownership, run           with the partition {i, L}
 *
 * Happy path: an aggregate falls to one lane by its hash, so that its events come in order and one
 * at a time, while the lanes go on beside each other. Persons know the head's name alone: dead
 * letters and pauses are kept under it.
 * Failure modes: a lane cannot be made: nothing is left of any.
 */
#include "path/lanes.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

/* What its calls are given is its own, where the subscriber makes that. */
static tide_status lanes_open_own(struct tide_subscription *lane, struct tide_error *err)
{
	struct tide_subscriber *subscriber = &lane->subscriber;
	struct tide_lane place = { lane->lanes.index, lane->lanes.total };
	void *own = NULL;
	if (!subscriber->lane_open)
		return TIDE_OK;
	tide_status status = subscriber->lane_open(subscriber->self, place, &own, err);
	if (status == TIDE_OK)
		subscriber->self = own;
	else
		subscriber->lane_close = NULL; /* there is nothing of its own */
	return status;
}

static tide_status lanes_add(struct tide_subscription *head,
			     const struct tide_subscriber *subscriber,
			     const struct tide_subscription_config *config, uint32_t index,
			     struct tide_error *err)
{
	struct tide_subscription_config own = *config;
	struct tide_subscription *lane = NULL;
	assert(head->lanes.list && index < head->lanes.total);
	own.lanes = 1;
	own.partition_index = index;
	own.partition_total = head->lanes.total;
	tide_status status = subscription_new(head->engine, subscriber, &own, &lane, err);
	if (status != TIDE_OK)
		return status;

	lane->lanes.index = index;
	lane->lanes.total = head->lanes.total;
	lane->lanes.head = head;
	lane->owner = head->owner; /* its leases name the member that has them */
	head->lanes.list[index] = lane;
	return lanes_open_own(lane, err);
}

static tide_status lanes_fill(struct tide_subscription *head,
			      const struct tide_subscriber *subscriber,
			      const struct tide_subscription_config *config, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	head->lanes.total = config->lanes;
	head->lanes.list = alloc_zero(config->lanes, sizeof *head->lanes.list);
	if (!head->lanes.list)
		return alloc_fail(err);
	for (uint32_t i = 0; status == TIDE_OK && i < config->lanes; i++)
		status = lanes_add(head, subscriber, config, i, err);
	return status;
}

tide_status lanes_new(struct engine *engine, const struct tide_subscriber *subscriber,
		      const struct tide_subscription_config *config, struct tide_subscription **ret,
		      struct tide_error *err)
{
	struct tide_subscription *head = NULL;
	tide_status status = subscription_new_head(engine, subscriber, config, &head, err);
	if (status != TIDE_OK)
		return status;
	status = lanes_fill(head, subscriber, config, err);
	if (status == TIDE_OK)
		*ret = head;
	else
		lanes_free(head);
	return status;
}

static void lanes_free_one(struct tide_subscription *lane)
{
	const struct tide_subscriber *subscriber = lane ? &lane->subscriber : NULL;
	if (subscriber && subscriber->lane_open && subscriber->lane_close)
		subscriber->lane_close(subscriber->self);
	subscription_free(lane);
}

void lanes_free(struct tide_subscription *subscription)
{
	if (!subscription || !subscription->lanes.list) {
		subscription_free(subscription);
		return;
	}
	for (uint32_t i = 0; i < subscription->lanes.total; i++)
		lanes_free_one(subscription->lanes.list[i]);
	tide_free(subscription->lanes.list);
	tide_free(subscription->lanes.membership);
	subscription->lanes.list = NULL;
	subscription_free(subscription);
}

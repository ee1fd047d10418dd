/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/tally.h"

#include <stdio.h>

#include <tidemark/backend.h>

void tally_open(struct tally *tally, struct fixture *f)
{
	*tally = (struct tally){ .backend = f->backend };
}

void tally_forget(struct tally *tally)
{
	for (size_t i = 0; i <= 2 * EVENTS; i++)
		atomic_store(&tally->calls[i], 0);
}

static tide_status tally_handle(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	struct tally *tally = self;
	if ((event->position == STUCK && tally->is_stuck) ||
	    ((event->position == 40 || event->position == 60) && tally->buries))
		return tide_delivery_fail(delivery, TIDE_HANDLER_PERMANENT, "as it was told");
	atomic_fetch_add(&tally->calls[event->position], 1);
	return TIDE_OK;
}

struct tide_subscriber tally_subscriber(struct tally *tally)
{
	return (struct tide_subscriber){ .name = "p", .self = tally, .handle = tally_handle };
}

void tally_fill(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++)
		append_one(f->store, stream_of("Order", (unsigned)end_of(f->store) % AGGREGATES),
			   "A");
}

bool were_handled(struct tally *tally, tide_position first, tide_position last, int times)
{
	for (tide_position i = first; i <= last; i++)
		if (atomic_load(&tally->calls[i]) != times)
			return false;
	return true;
}

uint32_t lane_of_stuck(uint32_t lanes)
{
	struct tide_event event = { .aggregate_id = uuid_of((STUCK - 1) % AGGREGATES) };
	uint32_t lane = 0;
	while (!tide_filter_matches(
		&(struct tide_filter){ .partition_index = lane, .partition_total = lanes }, &event))
		lane++;
	return lane;
}

const char *lane_name(uint32_t lane, uint32_t lanes)
{
	static char name[32];
	snprintf(name, sizeof name, "p#%u/%u", lane, lanes);
	return lanes == 1 ? "p" : name;
}

void tally_run(struct fixture *f, struct tally *tally, uint32_t lanes)
{
	struct tide_subscriber subscriber = tally_subscriber(tally);
	struct tide_subscription_config config = lanes_config(lanes);
	config.continue_on_error = !tally->is_stuck;
	MANAGER *manager = manager_of(f->store);
	struct tide_subscription *subscription = subscribe(manager, &subscriber, &config);
	(void)tide_manager_start(manager, NULL, 0, NULL, NULL, NULL);
	for (uint32_t i = 0; i < lanes; i++)
		if (!tally->is_stuck || i != lane_of_stuck(lanes))
			wait_for(30, stored_position(f, lane_name(i, lanes)) == end_of(f->store));
	if (tally->is_stuck)
		must(tide_subscription_wait_state(subscription, TIDE_STATE_ERROR, 30, err));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/resting.h"

#include <stdatomic.h>

#include <tidemark/tidemark.h>

#include "lib/build.h"
#include "lib/must.h"
#include "lib/wait.h"
#include "path/subscription.h"

#define PAGE 2
#define EVENTS 7
#define REFUSED 6 /* position of the event that becomes a dead letter */

/** A handler that looks at the session of its run. */
struct rester {
	const struct resting *resting;
	const struct tide_subscription *subscription;
	atomic_int calls, holding, refused;
};

static tide_status rester_handle(void *self, const struct tide_event *event,
				 struct tide_delivery *delivery)
{
	struct rester *rester = self;
	void *session = rester->subscription->runner.sessions.database;
	(void)delivery;
	atomic_fetch_add(&rester->holding, rester->resting->has(session));
	atomic_fetch_add(&rester->calls, 1);
	return event->position == REFUSED && atomic_fetch_add(&rester->refused, 1) == 0
		       ? TIDE_HANDLER_PERMANENT
		       : TIDE_OK;
}

static void rester_deliver_again(struct tide_checkpoints *checkpoints)
{
	struct tide_dead_letter_list list = { 0 };
	must(tide_dead_letters_list(checkpoints,
				    &(struct tide_dead_letter_query){ .projection_name = "rests" },
				    &list, err));
	assert_int_equal(list.count, 1);
	must(tide_dead_letters_retry(checkpoints, list.entries[0].id, err));
	tide_dead_letters_free(&list);
}

static tide_status other_handle(void *self, const struct tide_event *event,
				struct tide_delivery *delivery)
{
	(void)self;
	(void)event;
	(void)delivery;
	return TIDE_OK;
}

void resting_see(const struct resting *resting)
{
	struct rester rester = { .resting = resting };
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	struct tide_subscriber subscriber = { .name = "rests",
					      .self = &rester,
					      .handle = rester_handle };
	struct tide_store *store;
	struct tide_manager *manager;
	struct tide_subscription *subscription;
	config.batch_size = PAGE; /* care ends behind as many */
	must(tide_store_open(resting->url, TIDE_STORE_OPTIONS(.initialize = true), &store, err));
	must(tide_manager_open(TIDE_MANAGER(.store = store), &manager, err));
	must(tide_manager_subscribe(manager, &subscriber, &config, &subscription, err));
	rester.subscription = subscription;
	must(tide_manager_subscribe(
		manager, &(struct tide_subscriber){ .name = "other", .handle = other_handle }, NULL,
		NULL, err));
	must(tide_manager_start(manager, NULL, 60, NULL, NULL, err));
	must(tide_manager_stop(manager, NULL, 60, err));
	resting->orphan(resting->self);

	append_many(store, stream_of("Order", 1), 0, EVENTS);
	must(tide_manager_start(manager, NULL, 60, NULL, NULL, err));
	wait_for(60, rester.calls == EVENTS);
	must(tide_subscription_wait(subscription, EVENTS, 60, err));
	rester_deliver_again(subscription->engine->checkpoints);
	wait_for(60, rester.calls == EVENTS + 1);
	must(tide_manager_stop(manager, NULL, 60, err));
	assert_int_equal(rester.holding, 0);
	tide_manager_close(manager);
	tide_store_close(store);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription that begins anew because a person says so, while it runs.
 *
 * Happy path: its ownership is taken, its position is forgotten, and its read model emptied in the
 * same transaction, that of all lanes together; each run that is fenced by it begins again by
 * itself. Failure modes: it has a read model that nobody can empty, or that must not be left as it
 * is: refused; it had ended in an error: it is started again.
 */
#include <stdio.h>

#include "core/text.h"
#include "path/checkpoints.h"
#include "path/config.h"
#include "path/lanes.h"
#include "supervise/group.h"
#include "supervise/manager.h"

/** What is done to a subscription. */
struct anew {
	struct tide_manager *manager;
	struct tide_subscription *subscription; /* pinned */
	const char *by;
	tide_position end; /* of the feed */
};

static tide_status anew_begin(struct tide_manager *manager, const char *name, const char *by,
			      struct anew *ret, struct tide_error *err)
{
	if (!manager || !name)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "name" : "manager");
	tide_status status = by ? name_check_actor(by, "by", err) : TIDE_OK;
	if (status == TIDE_OK)
		status = manager_check_thread(manager, "begin a subscription anew", err);
	if (status == TIDE_OK && manager_is_ending(manager))
		status = tide_fail(err, TIDE_SHUTTING_DOWN, "the manager is shutting down");
	if (status != TIDE_OK)
		return status;

	*ret = (struct anew){ .manager = manager, .by = by };
	ret->subscription = manager_pin_one(manager, name);
	return ret->subscription ? TIDE_OK
				 : tide_fail(err, TIDE_NOT_FOUND, "no subscription '%.255s'", name);
}

/* One that runs notices by itself that it is to begin again. */
static tide_status anew_forget(const struct anew *anew, struct checkpoints_anew *how,
			       struct tide_error *err)
{
	const char *name = anew->subscription->name;
	group_await_failed(anew->subscription);
	bool has_ended = whole_has_state(anew->subscription, TIDE_STATE_ERROR);
	how->by = anew->by;
	tide_status status =
		checkpoints_begin_anew(anew->manager->engine.checkpoints, name, how, NULL, err);
	if (status != TIDE_OK || !has_ended)
		return status;
	status = tide_manager_restart(anew->manager, name, err);
	return status == TIDE_STATE ? TIDE_OK : status; /* it has begun again by itself */
}

tide_status tide_manager_reset(struct tide_manager *manager, const char *name, const char *by,
			       struct tide_error *err)
{
	struct checkpoints_anew how = { .from = -1 };
	struct anew anew;
	tide_status status = anew_begin(manager, name, by, &anew, err);
	if (status != TIDE_OK)
		return status;

	bool has_lanes = anew.subscription->lanes.list != NULL;
	if (anew.subscription->subscriber.empty)
		status = tide_fail(err, TIDE_STATE,
				   "'%.255s' has a read model, into which everything would be "
				   "projected again; rebuild it",
				   name);
	if (status == TIDE_OK && has_lanes)
		status = tide_store_end(manager->engine.store, &anew.end, err);
	if (status == TIDE_OK && has_lanes) /* all of them; one without finds that out by itself */
		how.from = config_start(&anew.subscription->config, anew.end);
	if (status == TIDE_OK)
		status = anew_forget(&anew, &how, err);
	manager_unpin_one(manager);
	return status;
}

static tide_status anew_empty(void *self, void *connection, struct tide_error *err)
{
	const struct anew *anew = self;
	const struct tide_subscriber *subscriber = &anew->subscription->subscriber;
	return subscriber->empty(subscriber->self, connection, anew->end, err);
}

static tide_status anew_check_rebuild(const struct tide_subscription *subscription,
				      struct tide_error *err)
{
	if (!subscription->subscriber.empty)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "nothing says how to empty the read model of '%.255s'; reset it",
				 subscription->name);
	if (subscription->config.partition_total > 0)
		return tide_fail(err, TIDE_STATE,
				 "'%.255s' is one of %u partitions, which share a read model",
				 subscription->name, subscription->config.partition_total);
	return TIDE_OK;
}

tide_status tide_manager_rebuild(struct tide_manager *manager, const char *name, const char *by,
				 struct tide_error *err)
{
	struct anew anew;
	tide_status status = anew_begin(manager, name, by, &anew, err);
	if (status != TIDE_OK)
		return status;

	char detail[64];
	const struct tide_subscription_config *config = &anew.subscription->config;
	struct checkpoints_anew how = {
		.function = anew_empty, .self = &anew, .act = "rebuild", .detail = detail
	};
	if (config->start_from == TIDE_START_POSITION)
		how.from = config->start_position;
	status = anew_check_rebuild(anew.subscription, err);
	if (status == TIDE_OK)
		status = tide_store_end(manager->engine.store, &anew.end, err);
	snprintf(detail, sizeof detail, "in place, up to position %lld", (long long)anew.end);
	if (status == TIDE_OK)
		status = anew_forget(&anew, &how, err);
	manager_unpin_one(manager);
	return status;
}

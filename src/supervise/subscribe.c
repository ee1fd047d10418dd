/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscribing and unsubscribing on a manager, running or not.
 *
 * Happy path: a subscription is made, registered, and begun where the manager runs; unsubscribing
 * stops it, waits until nobody works with it, and removes it.
 * Failure modes: its start fails: it stays registered, and the error is that of its run. Its
 * handler does not return: it stays. Two remove it at once: one of them finds nothing.
 */
#include "path/lanes.h"
#include "supervise/group.h"
#include "supervise/membership.h"

/* Make and register a subscription, pinned; begin its run on a running manager. An error with
 * `*ret` is that of the run. */
static tide_status manager_add(struct tide_manager *manager,
			       const struct tide_subscriber *subscriber,
			       const struct tide_subscription_config *config,
			       struct tide_subscription **ret, bool *ret_is_running,
			       struct tide_error *err)
{
	struct tide_subscription *subscription = NULL;
	bool has_lanes = config && config->size == sizeof *config && config->lanes > 1;
	tide_status status = (has_lanes ? lanes_new : subscription_new)(
		&manager->engine, subscriber, config, &subscription, err);
	if (status != TIDE_OK)
		return status;
	status = membership_init(subscription, err);
	if (status == TIDE_OK)
		status = manager_register(manager, subscription, ret_is_running, err);
	if (status != TIDE_OK) {
		lanes_free(subscription);
		return status;
	}
	*ret = subscription;
	return *ret_is_running ? group_start(manager, subscription, err) : TIDE_OK;
}

tide_status tide_manager_subscribe(struct tide_manager *manager,
				   const struct tide_subscriber *subscriber,
				   const struct tide_subscription_config *config,
				   struct tide_subscription **ret, struct tide_error *err)
{
	if (!manager || !subscriber)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL",
				 manager ? "subscriber" : "manager");

	struct tide_subscription *subscription = NULL;
	bool is_running = false;
	tide_status status = manager_begin_start(manager, false, err);
	if (status != TIDE_OK)
		return status;

	status = manager_add(manager, subscriber, config, &subscription, &is_running, err);
	manager_end_start(manager);
	if (!subscription)
		return status;
	if (ret)
		*ret = subscription;
	if (is_running && status == TIDE_OK && engine_of_thread != &manager->engine)
		status = group_wait_started(subscription, false, MONO_NEVER, err);
	manager_unpin_one(manager);
	return status;
}

tide_status tide_manager_unsubscribe(struct tide_manager *manager, const char *name,
				     struct tide_error *err)
{
	if (!manager || !name)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "name" : "manager");
	tide_status status = manager_check_thread(manager, "unsubscribe", err);
	if (status != TIDE_OK)
		return status;

	struct tide_subscription *subscription = manager_pin_one(manager, name);
	if (!subscription)
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);

	int64_t limit = ns_of_seconds(subscription->config.shutdown_timeout);
	struct mono_time deadline = mono_add(clock_mono(manager->engine.clock), limit);
	struct tide_error why;
	group_ask_stop(manager, subscription, deadline);
	if (group_wait_stopped(manager, subscription, control_save_until(deadline), &why) ==
	    TIDE_TIMEOUT) {
		manager_unpin_one(manager);
		return tide_fail(err, TIDE_BUSY, "%s", why.message);
	}

	if (!manager_remove(manager, subscription))
		return tide_fail(err, TIDE_NOT_FOUND, "no subscription '%s'", name);

	/* started meanwhile by somebody who had it pinned */
	group_ask_stop(manager, subscription, MONO_NEVER);
	group_join(subscription);
	lanes_free(subscription);
	return TIDE_OK;
}

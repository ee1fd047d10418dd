/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription from what a subscriber asks for: checked, copied, its parts made.
 *
 * Failure modes: something asked for cannot be had, by the field that asks for it; memory is out:
 * nothing is left of it.
 */
#include "path/subscription.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "path/config.h"
#include "path/fate.h"
#include "path/held.h"
#include "path/port.h"
#include "path/react.h"
#include "path/requests.h"
#include "path/selfcheck.h"
#include "path/typed.h"
#include "sys/alloc.h"

static tide_status subscription_check(const struct tide_subscriber *subscriber,
				      const struct tide_subscription_config *config,
				      struct tide_error *err)
{
	tide_status status = name_check_projection(subscriber->name, false, err);
	if (status != TIDE_OK)
		return status;

	int kinds = !!subscriber->handle + !!subscriber->handle_batch + !!subscriber->handlers;
	if (kinds != 1)
		return tide_fail(
			err, TIDE_ARGUMENT,
			"subscriber '%s' has %s of handle, handle_batch and handlers, expected one",
			subscriber->name, kinds ? "more than one" : "none");
	if (subscriber->handle_together && (!subscriber->transactional || !subscriber->handle))
		return tide_fail(err, TIDE_ARGUMENT,
				 "subscriber '%s' has handle_together, which needs a transactional "
				 "handle beside it",
				 subscriber->name);

	if (subscriber->appends && subscriber->handle_batch)
		return tide_fail(err, TIDE_ARGUMENT,
				 "subscriber '%s' appends and has handle_batch; what it appends "
				 "follows one event, which handle or handlers take",
				 subscriber->name);

	for (size_t i = 0;
	     status == TIDE_OK && subscriber->event_types && subscriber->event_types[i]; i++)
		status = name_check_type(subscriber->event_types[i], "event_types", err);
	return status == TIDE_OK ? config_check(config, err) : status;
}

/* A transactional handler needs a backend with transactions under its checkpoints. */
static tide_status subscription_check_transactional(const struct engine *engine,
						    const struct tide_subscriber *subscriber,
						    struct tide_error *err)
{
	const struct tide_store *database = engine->checkpoints->database;
	if (subscriber->transactional && !port_has_transactions(database))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' has a transactional handler, and '%s' has no transactions",
				 subscriber->name, database->url);
	return TIDE_OK;
}

/* What is appended commits with the checkpoint only where both are in one database. */
static tide_status subscription_check_appends(const struct engine *engine,
					      const struct tide_subscriber *subscriber,
					      struct tide_error *err)
{
	const struct tide_store *store = engine->store, *database = engine->checkpoints->database;
	if (!subscriber->appends)
		return TIDE_OK;
	if (!subscriber->transactional)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' appends, which only a transactional handler can",
				 subscriber->name);
	if (subscriber->appends_after == INT64_MAX)
		return TIDE_OK;

	if (store != database)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' appends to '%s', and its checkpoint is in '%s': what it "
				 "appends could not commit with it",
				 subscriber->name, store->url, database->url);
	if (store->is_read_only)
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' appends, and '%s' was opened read-only", subscriber->name,
				 store->url);
	if (!port_appends_within(store))
		return tide_fail(err, TIDE_UNSUPPORTED,
				 "'%s' appends, and '%s' takes no appends in a transaction",
				 subscriber->name, store->url);
	return TIDE_OK;
}

/* What waits behind what is a column that databases of earlier versions lack. Without holding,
 * their events would be out of order, and nobody has asked for that. */
static tide_status subscription_check_holding(const struct engine *engine,
					      const struct tide_subscription_config *config,
					      const char *name, struct tide_error *err)
{
	const struct tide_store *database = engine->checkpoints->database;
	if (!config->hold_aggregate_on_failure || port_can_park(database))
		return TIDE_OK;
	return tide_fail(err, TIDE_UNSUPPORTED,
			 "'%s' asks for hold_aggregate_on_failure, and table 'dead_letter_queue' "
			 "has no column "
			 "'parked_behind'; add it with 'tide init'",
			 name);
}

static tide_status subscription_set_name(struct tide_subscription *subscription,
					 struct tide_error *err)
{
	const struct tide_subscription_config *config = &subscription->config;
	char suffix[32] = "";
	if (config->partition_total)
		snprintf(suffix, sizeof suffix, "#%u/%u", config->partition_index,
			 config->partition_total);
	size_t size = strlen(subscription->subscriber.name), more = strlen(suffix);
	if (size + more > TIDE_NAME_MAX)
		return tide_fail(err, TIDE_ARGUMENT,
				 "name '%s%s' has %zu bytes, expected at most %d",
				 subscription->subscriber.name, suffix, size + more, TIDE_NAME_MAX);

	memcpy(subscription->name, subscription->subscriber.name, size);
	memcpy(subscription->name + size, suffix, more + 1);
	subscription->runner.transaction.reactions.name_size = size;
	subscription->subscriber.name = subscription->name;
	return TIDE_OK;
}

#define PANES_READ_AHEAD 2 /* one is read while another is there */

static struct feed_limits subscription_limits(const struct tide_subscription *subscription)
{
	const struct tide_subscription_config *config = &subscription->config;
	bool reads_ahead = config->read_ahead && port_reads_here(subscription->engine->store);
	int64_t page = config->batch_size < config->max_in_flight ? config->batch_size
								  : config->max_in_flight;
	double threshold = config->backpressure_threshold * (double)config->max_in_flight;
	int64_t whole = (int64_t)threshold;
	whole += (double)whole < threshold;
	return (struct feed_limits){ .page_events = (size_t)page,
				     .max_in_flight = config->max_in_flight,
				     .threshold = whole > 1 ? whole : 1,
				     .max_bytes = config->max_batch_bytes,
				     .poll_ns = ns_of_seconds(config->poll_interval_seconds),
				     .panes_ahead = reads_ahead ? PANES_READ_AHEAD : 0 };
}

static void subscription_init(struct tide_subscription *subscription)
{
	const struct tide_subscription_config *config = &subscription->config;
	mutex_init(&subscription->lock, LOCK_SUBSCRIPTION);
	mutex_init(&subscription->telling, LOCK_TELLING);
	cond_init(&subscription->changed);
	subscription->wake_at = INT64_MAX;
	wakeup_init(&subscription->wakeup);
	subscription->retry =
		(struct retry_policy){ config->max_retries, config->initial_retry_delay,
				       config->max_retry_delay, config->retry_exponential_base,
				       config->retry_jitter };
	subscription->owner = tide_uuid_v4();
	breaker_init(&subscription->breakers.handler, config->circuit_breaker_enabled,
		     config->circuit_breaker_failure_threshold,
		     config->circuit_breaker_recovery_timeout);
	breaker_init(&subscription->breakers.infra, config->circuit_breaker_enabled,
		     config->circuit_breaker_failure_threshold,
		     config->circuit_breaker_recovery_timeout);
	random_seed(&subscription->runner.random,
		    subscription->engine->seed ^
			    fnv1a64(subscription->name, strlen(subscription->name)));
	subscription->states.state = TIDE_STATE_STARTING; /* until the end of its first run */
	atomic_store(&subscription->state_now, (int)TIDE_STATE_STARTING);
	subscription->metrics.names = &subscription->engine->event_types;
}

/* The types of the table are the declared ones. */
static tide_status subscription_build_typed(struct tide_subscription *subscription,
					    struct tide_error *err)
{
	if (!subscription->subscriber.handlers)
		return TIDE_OK;
	tide_status status = typed_new(&subscription->subscriber, &subscription->typed, err);
	if (status == TIDE_OK)
		subscription->subscriber.event_types = typed_event_types(subscription->typed);
	subscription->subscriber.handlers = NULL;
	return status;
}

static tide_status subscription_build(struct tide_subscription *subscription,
				      struct tide_error *err)
{
	const struct tide_subscription_config *config = &subscription->config;
	struct runner *runner = &subscription->runner;
	struct feed_limits limits = subscription_limits(subscription);
	tide_status status = subscription_build_typed(subscription, err);
	if (status == TIDE_OK)
		status = config_copy_filter(&subscription->subscriber, config, &subscription->texts,
					    &subscription->filter, err);
	error_log_init(&subscription->errors, config->max_recent_errors);
	if (status == TIDE_OK)
		status = feed_init(&runner->feed, subscription->engine->store,
				   &subscription->filter, &limits, err);
	runner->feed.reader.wakeup = &subscription->wakeup;
	const struct tide_subscriber *subscriber = &subscription->subscriber;
	if (status == TIDE_OK && (subscriber->handle_batch || subscriber->handle_together)) {
		runner->batch = alloc_zero(limits.page_events, sizeof *runner->batch);
		status = runner->batch ? TIDE_OK : alloc_fail(err);
	}

	if (status == TIDE_OK && config->hold_aggregate_on_failure)
		status = held_new(&runner->held, err);
	if (status == TIDE_OK && config->self_check)
		status = self_check_new(&runner->self_check, err);

	return status;
}

/* Only the filter names texts from here on. */
static void subscription_forget_texts(struct tide_subscription *subscription)
{
	subscription->subscriber.event_types = NULL;
	subscription->config.event_types = subscription->config.event_type_patterns = NULL;
	subscription->config.aggregate_types = NULL;
	subscription->config.tenant_id = NULL;
}

/* What is asked for can be had, and has a name. */
static tide_status subscription_begin(struct engine *engine,
				      const struct tide_subscriber *subscriber,
				      const struct tide_subscription_config *config,
				      struct tide_subscription **ret, struct tide_error *err)
{
	static const struct tide_subscription_config defaults = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	if (!config)
		config = &defaults;
	tide_status status = subscription_check(subscriber, config, err);
	if (status == TIDE_OK)
		status = subscription_check_transactional(engine, subscriber, err);
	if (status == TIDE_OK)
		status = subscription_check_appends(engine, subscriber, err);
	if (status == TIDE_OK)
		status = subscription_check_holding(engine, config, subscriber->name, err);
	if (status != TIDE_OK)
		return status;

	struct tide_subscription *subscription = alloc_zero(1, sizeof *subscription);
	if (!subscription)
		return alloc_fail(err);

	subscription->engine = engine;
	subscription->subscriber = *subscriber;
	subscription->config = *config;
	status = subscription_set_name(subscription, err);
	subscription_init(subscription);
	*ret = subscription;
	return status;
}

static tide_status subscription_end(struct tide_subscription *subscription, tide_status status,
				    struct tide_subscription **ret)
{
	if (status != TIDE_OK) {
		subscription_free(subscription);
		return status;
	}
	subscription_forget_texts(subscription);
	*ret = subscription;
	return TIDE_OK;
}

tide_status subscription_new(struct engine *engine, const struct tide_subscriber *subscriber,
			     const struct tide_subscription_config *config,
			     struct tide_subscription **ret, struct tide_error *err)
{
	struct tide_subscription *subscription = NULL;
	tide_status status = subscription_begin(engine, subscriber, config, &subscription, err);
	if (status == TIDE_OK)
		status = subscription_build(subscription, err);
	return subscription_end(subscription, status, ret);
}

tide_status subscription_new_head(struct engine *engine, const struct tide_subscriber *subscriber,
				  const struct tide_subscription_config *config,
				  struct tide_subscription **ret, struct tide_error *err)
{
	struct tide_subscription *subscription = NULL;
	tide_status status = subscription_begin(engine, subscriber, config, &subscription, err);
	return subscription_end(subscription, status, ret);
}

void subscription_free(struct tide_subscription *subscription)
{
	if (!subscription)
		return;
	struct runner *runner = &subscription->runner;

	feed_fini(&runner->feed);
	held_free(runner->held);
	self_check_free(runner->self_check);
	react_fini(&runner->transaction.reactions);
	tide_free(runner->batch);
	typed_free(subscription->typed);
	fates_forget(&runner->fates);
	requests_forget(&runner->requests);
	error_log_fini(&subscription->errors);
	metrics_fini(&subscription->metrics);
	wakeup_fini(&subscription->wakeup);
	cond_fini(&subscription->changed);
	mutex_fini(&subscription->telling);
	mutex_fini(&subscription->lock);
	tide_free(subscription->texts);
	tide_free(subscription);
}

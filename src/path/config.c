/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a subscription: checked in the order of its table, the first violation named with its value; and
 * copied into one block, so that what the caller gave may go.
 */
#include <math.h>
#include <string.h>

#include "core/text.h"
#include "path/config.h"
#include "sys/alloc.h"

#define CONFIG_REFUSE(field, format, value, rule)                                                                      \
	tide_fail(err, TIDE_ARGUMENT, field " is " format ", expected " rule, value)

struct tide_subscription_config tide_catch_up_config(int64_t batch_size, bool checkpoint_every_batch)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.batch_size = batch_size ? batch_size : 1000;
	config.checkpoint_strategy = checkpoint_every_batch ? TIDE_EVERY_BATCH : TIDE_PERIODIC;
	return config;
}

struct tide_subscription_config tide_live_only_config(void)
{
	struct tide_subscription_config config = TIDE_SUBSCRIPTION_CONFIG_DEFAULT;
	config.start_from = TIDE_START_END;
	config.batch_size = 100;
	config.checkpoint_strategy = TIDE_EVERY_EVENT;
	return config;
}

const char *tide_checkpoint_strategy_name(enum tide_checkpoint_strategy strategy)
{
	static const char *const names[] = { "every_event", "every_batch", "periodic" };
	return (size_t)strategy < 3 ? names[strategy] : "unknown";
}

const char *tide_pause_reason_name(enum tide_pause_reason reason)
{
	static const char *const names[] = { "manual", "maintenance", "backpressure" };
	return (size_t)reason < 3 ? names[reason] : "unknown";
}

/* ---- Checks, in the order of the table ---------------------------------------------------------------------- */

static tide_status config_check_flow(const struct tide_subscription_config *config, struct tide_error *err)
{
	if (config->size != sizeof *config)
		return tide_fail(err, TIDE_ARGUMENT,
				 "config.size is %zu, expected %zu: begin with TIDE_SUBSCRIPTION_CONFIG_DEFAULT",
				 config->size, sizeof *config);
	if ((unsigned)config->start_from > TIDE_START_POSITION)
		return CONFIG_REFUSE("start_from", "%d", (int)config->start_from, "a known value");
	if (config->start_from == TIDE_START_POSITION && config->start_position < 0)
		return CONFIG_REFUSE("start_from", "position %lld", (long long)config->start_position, "0 or more");
	if (config->batch_size < 1)
		return CONFIG_REFUSE("batch_size", "%lld", (long long)config->batch_size, "1 or more");
	if (config->max_in_flight < 1)
		return CONFIG_REFUSE("max_in_flight", "%lld", (long long)config->max_in_flight, "1 or more");
	if (config->max_batch_bytes < 1)
		return CONFIG_REFUSE("max_batch_bytes", "%lld", (long long)config->max_batch_bytes, "1 or more");
	if (!(config->backpressure_threshold >= 0.0 && config->backpressure_threshold <= 1.0))
		return CONFIG_REFUSE("backpressure_threshold", "%g", config->backpressure_threshold, "0.0 to 1.0");
	if ((unsigned)config->checkpoint_strategy > TIDE_PERIODIC)
		return CONFIG_REFUSE("checkpoint_strategy", "%d", (int)config->checkpoint_strategy, "a known value");
	return TIDE_OK;
}

static tide_status config_check_seconds(const struct tide_subscription_config *config, struct tide_error *err)
{
	const struct {
		const char *name;
		double value;
	} fields[] = {
		{ "checkpoint_interval_seconds", config->checkpoint_interval_seconds },
		{ "poll_interval_seconds", config->poll_interval_seconds },
		{ "processing_timeout", config->processing_timeout },
		{ "shutdown_timeout", config->shutdown_timeout },
	};
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (!(fields[i].value > 0) || isinf(fields[i].value))
			return tide_fail(err, TIDE_ARGUMENT, "%s is %g, expected more than 0", fields[i].name,
					 fields[i].value);
	return TIDE_OK;
}

static tide_status config_check_pattern(const char *pattern, struct tide_error *err)
{
	struct tide_error why;
	tide_status status = pattern_check(pattern, &why);
	return status == TIDE_OK ? TIDE_OK : tide_fail(err, status, "event_type_patterns: %s", why.message);
}

static tide_status config_check_filter(const struct tide_subscription_config *config, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && config->event_types && config->event_types[i]; i++)
		status = name_check_type(config->event_types[i], "event_types", err);
	for (size_t i = 0; status == TIDE_OK && config->event_type_patterns && config->event_type_patterns[i]; i++)
		status = config_check_pattern(config->event_type_patterns[i], err);
	for (size_t i = 0; status == TIDE_OK && config->aggregate_types && config->aggregate_types[i]; i++)
		status = name_check_type(config->aggregate_types[i], "aggregate_types", err);
	if (status != TIDE_OK)
		return status;
	if (config->tenant_id && tide_uuid_is_nil(config->tenant_id))
		return tide_fail(err, TIDE_ARGUMENT, "tenant_id is the nil UUID");
	if (config->partition_total > 1024)
		return CONFIG_REFUSE("partition_total", "%u", config->partition_total, "1 to 1024");
	if (config->partition_total ? config->partition_index >= config->partition_total : config->partition_index > 0)
		return tide_fail(err, TIDE_ARGUMENT, "partition_index is %u, expected less than the total, %u",
				 config->partition_index, config->partition_total);
	return TIDE_OK;
}

static tide_status config_check_retry(const struct tide_subscription_config *config, struct tide_error *err)
{
	if (config->discard_failed_events && config->hold_aggregate_on_failure)
		return tide_fail(
			err, TIDE_ARGUMENT,
			"discard_failed_events is true together with hold_aggregate_on_failure, expected at most one");
	if (config->max_retries < 0)
		return CONFIG_REFUSE("max_retries", "%d", config->max_retries, "0 or more");
	if (config->max_infrastructure_retries < -1)
		return CONFIG_REFUSE("max_infrastructure_retries", "%d", config->max_infrastructure_retries,
				     "0 or more, or -1 for none");
	if (!(config->initial_retry_delay > 0) || isinf(config->initial_retry_delay))
		return CONFIG_REFUSE("initial_retry_delay", "%g", config->initial_retry_delay, "more than 0");
	if (!(config->max_retry_delay >= config->initial_retry_delay) || isinf(config->max_retry_delay))
		return tide_fail(err, TIDE_ARGUMENT, "max_retry_delay is %g, expected initial_retry_delay (%g) or more",
				 config->max_retry_delay, config->initial_retry_delay);
	if (!(config->retry_exponential_base > 1.0) || isinf(config->retry_exponential_base))
		return CONFIG_REFUSE("retry_exponential_base", "%g", config->retry_exponential_base, "more than 1.0");
	if (!(config->retry_jitter >= 0.0 && config->retry_jitter <= 1.0))
		return CONFIG_REFUSE("retry_jitter", "%g", config->retry_jitter, "0.0 to 1.0");
	return TIDE_OK;
}

static tide_status config_check_limits(const struct tide_subscription_config *config, struct tide_error *err)
{
	if (config->max_recent_errors < 0)
		return CONFIG_REFUSE("max_recent_errors", "%d", config->max_recent_errors, "0 or more");
	if (config->max_errors_before_stop < 0)
		return CONFIG_REFUSE("max_errors_before_stop", "%d", config->max_errors_before_stop,
				     "1 or more, or 0 for none");
	if (config->circuit_breaker_failure_threshold < 1)
		return CONFIG_REFUSE("circuit_breaker_failure_threshold", "%d",
				     config->circuit_breaker_failure_threshold, "1 or more");
	if (!(config->circuit_breaker_recovery_timeout > 0) || isinf(config->circuit_breaker_recovery_timeout))
		return CONFIG_REFUSE("circuit_breaker_recovery_timeout", "%g", config->circuit_breaker_recovery_timeout,
				     "more than 0");
	if (config->max_process_deaths < 1)
		return CONFIG_REFUSE("max_process_deaths", "%d", config->max_process_deaths, "1 or more");
	return TIDE_OK;
}

tide_status config_check(const struct tide_subscription_config *config, struct tide_error *err)
{
	static tide_status (*const checks[])(const struct tide_subscription_config *, struct tide_error *) = {
		config_check_flow, config_check_seconds, config_check_filter, config_check_retry, config_check_limits,
	};
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < sizeof checks / sizeof checks[0]; i++)
		status = checks[i](config, err);
	return status;
}

/* ---- One block for all texts -------------------------------------------------------------------------------- */

struct config_block {
	char *at;
	size_t size;
};

static void *config_put(struct config_block *block, const void *data, size_t size)
{
	void *place = block->at ? memcpy(block->at + block->size, data, size) : NULL;
	block->size += (size + 15) & ~(size_t)15;
	return place;
}

static const char *const *config_put_list(struct config_block *block, const char *const *list)
{
	size_t count = 0;
	while (list && list[count])
		count++;
	if (count == 0)
		return NULL;
	const char **place = config_put(block, list, (count + 1) * sizeof *list);
	for (size_t i = 0; i < count; i++) {
		char *text = config_put(block, list[i], strlen(list[i]) + 1);
		if (place)
			place[i] = text;
	}
	return place;
}

/* The filter in effect: the configured types, else the declared ones; an empty configured set is no type filter at all. */
static void config_put_filter(struct config_block *block, const struct tide_subscriber *subscriber,
			      const struct tide_subscription_config *config, struct tide_filter *ret)
{
	*ret = (struct tide_filter){
		.event_types =
			config_put_list(block, config->event_types ? config->event_types : subscriber->event_types),
		.patterns = config_put_list(block, config->event_type_patterns),
		.aggregate_types = config_put_list(block, config->aggregate_types),
		.partition_index = config->partition_index,
		.partition_total = config->partition_total,
	};
	if (config->tenant_id)
		ret->tenant_id = config_put(block, config->tenant_id, sizeof *config->tenant_id);
}

tide_status config_copy_filter(const struct tide_subscriber *subscriber, const struct tide_subscription_config *config,
			       void **ret_block, struct tide_filter *ret, struct tide_error *err)
{
	struct config_block block = { 0 };
	config_put_filter(&block, subscriber, config, ret);
	block.at = alloc_zero(1, block.size + 1);
	if (!block.at)
		return alloc_fail(err);
	*ret_block = block.at;
	block.size = 0;
	config_put_filter(&block, subscriber, config, ret);
	return TIDE_OK;
}

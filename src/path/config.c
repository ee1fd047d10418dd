/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a subscription: checked in the order of its table, the first violation named
 * with its value; and copied into one block, so that what the caller gave may go.
 */
#include <string.h>

#include "path/config.h"
#include "path/knobs.h"
#include "sys/alloc.h"

struct tide_subscription_config tide_catch_up_config(int64_t batch_size,
						     bool checkpoint_every_batch)
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

const char *tide_pause_reason_name(enum tide_pause_reason reason)
{
	static const char *const names[] = { "manual", "maintenance", "backpressure" };
	return (size_t)reason < 3 ? names[reason] : "unknown";
}

/* ---- Checks, in the order of the table ------------------------------------------------------- */

tide_status config_check(const struct tide_subscription_config *config, struct tide_error *err)
{
	if (config->size != sizeof *config)
		return tide_fail(err, TIDE_ARGUMENT,
				 "config.size is %zu, expected %zu: begin with "
				 "TIDE_SUBSCRIPTION_CONFIG_DEFAULT",
				 config->size, sizeof *config);
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && i < knob_count; i++)
		status = knob_check(&knobs[i], config, err);
	return status;
}

tide_position config_start(const struct tide_subscription_config *config, tide_position end)
{
	switch (config->start_from) {
	case TIDE_START_POSITION:
		return config->start_position;
	case TIDE_START_END:
		return end;
	case TIDE_START_CHECKPOINT:
	case TIDE_START_BEGINNING:
		break;
	}
	return 0;
}

/* ---- One block for all texts ----------------------------------------------------------------- */

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

/* The filter in effect: the configured types, else the declared ones; an empty configured set is no
 * type filter at all. */
static void config_put_filter(struct config_block *block, const struct tide_subscriber *subscriber,
			      const struct tide_subscription_config *config,
			      struct tide_filter *ret)
{
	*ret = (struct tide_filter){
		.event_types = config_put_list(
			block, config->event_types ? config->event_types : subscriber->event_types),
		.patterns = config_put_list(block, config->event_type_patterns),
		.aggregate_types = config_put_list(block, config->aggregate_types),
		.partition_index = config->partition_index,
		.partition_total = config->partition_total,
	};
	if (config->tenant_id)
		ret->tenant_id = config_put(block, config->tenant_id, sizeof *config->tenant_id);
}

tide_status config_copy_filter(const struct tide_subscriber *subscriber,
			       const struct tide_subscription_config *config, void **ret_block,
			       struct tide_filter *ret, struct tide_error *err)
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

/* SPDX-License-Identifier: Apache-2.0 */
/* What is logged: `notice, store=debug`. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "sys/alloc.h"

const char *const config_components[] = { "store",   "subscription", "bus",      "checkpoint",
					  "dlq",     "manager",      "shutdown", "daemon",
					  "command", "http",         NULL };

static int levels_component(const char *name)
{
	for (int i = 0; config_components[i]; i++)
		if (strcmp(config_components[i], name) == 0)
			return i;
	return -1;
}

bool log_levels_want(const struct log_levels *levels, const char *component,
		     enum tide_log_level level)
{
	int own = levels_component(component);
	return level >= (own >= 0 && levels->has_own[own] ? levels->own[own] : levels->level);
}

enum tide_log_level log_levels_least(const struct log_levels *levels)
{
	enum tide_log_level least = levels->level;
	for (int i = 0; config_components[i]; i++)
		if (levels->has_own[i] && levels->own[i] < least)
			least = levels->own[i];
	return least;
}

static tide_status levels_read_one(const char *text, enum tide_log_level *ret,
				   struct tide_error *err)
{
	for (int i = TIDE_LOG_DEBUG; i <= TIDE_LOG_CRITICAL; i++)
		if (strcmp(tide_log_level_name((enum tide_log_level)i), text) == 0) {
			*ret = (enum tide_log_level)i;
			return TIDE_OK;
		}
	return tide_fail(err, TIDE_ARGUMENT,
			 "'%.100s' is none of debug, info, notice, warning, error, critical", text);
}

static tide_status levels_read_item(const char *item, struct log_levels *levels,
				    struct tide_error *err)
{
	const char *equals = strchr(item, '=');
	char name[32];
	if (!equals)
		return levels_read_one(item, &levels->level, err);

	snprintf(name, sizeof name, "%.*s", (int)(equals - item), item);
	name[strcspn(name, " \t")] = '\0';
	int component = levels_component(name);
	if (component < 0)
		return tide_fail(
			err, TIDE_ARGUMENT,
			"'%s' is no component; there are: store, subscription, bus, checkpoint, "
			"dlq, manager, shutdown, daemon",
			name);

	levels->has_own[component] = true;
	return levels_read_one(equals + 1 + strspn(equals + 1, " \t"), &levels->own[component],
			       err);
}

tide_status log_levels_read(const char *text, struct log_levels *ret, struct tide_error *err)
{
	struct log_levels levels = { .level = ret->level };
	const char **items ALLOC_AUTO = NULL;
	tide_status status = value_read_list(text, &items, err);
	for (size_t i = 0; status == TIDE_OK && items[i]; i++)
		status = levels_read_item(items[i], &levels, err);
	if (status == TIDE_OK)
		*ret = levels;
	return status;
}

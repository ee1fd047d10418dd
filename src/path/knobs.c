/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The knobs of a subscription: knobs.def as a table.
 *
 * Happy path: a text becomes a value, a value meets its rule. Failure modes: a text that is no
 * value says so with the text, a value out of bounds says so with the field, the value and what was
 * expected; NaN and infinities are out of every bounds.
 */
#include "path/knobs.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "core/value.h"

/* ---- Rules that look at more than a number --------------------------------------------------- */

static tide_status knob_check_start(const struct tide_subscription_config *config,
				    struct tide_error *err)
{
	if ((unsigned)config->start_from > TIDE_START_POSITION)
		return tide_fail(err, TIDE_ARGUMENT, "start_from is %d, expected a known value",
				 (int)config->start_from);
	if (config->start_from == TIDE_START_POSITION && config->start_position < 0)
		return tide_fail(err, TIDE_ARGUMENT,
				 "start_from is position %lld, expected 0 or more",
				 (long long)config->start_position);
	return TIDE_OK;
}

const char *tide_checkpoint_strategy_name(enum tide_checkpoint_strategy strategy)
{
	static const char *const names[] = { "every_event", "every_batch", "periodic" };
	return (size_t)strategy < 3 ? names[strategy] : "unknown";
}

static tide_status knob_check_names(const char *const *names, const char *field,
				    struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (size_t i = 0; status == TIDE_OK && names && names[i]; i++)
		status = name_check_type(names[i], field, err);
	return status;
}

static tide_status knob_check_types(const struct tide_subscription_config *config,
				    struct tide_error *err)
{
	return knob_check_names(config->event_types, "event_types", err);
}

static tide_status knob_check_aggregates(const struct tide_subscription_config *config,
					 struct tide_error *err)
{
	return knob_check_names(config->aggregate_types, "aggregate_types", err);
}

static tide_status knob_check_patterns(const struct tide_subscription_config *config,
				       struct tide_error *err)
{
	struct tide_error why;
	for (size_t i = 0; config->event_type_patterns && config->event_type_patterns[i]; i++) {
		tide_status status = pattern_check(config->event_type_patterns[i], &why);
		if (status != TIDE_OK)
			return tide_fail(err, status, "event_type_patterns: %s", why.message);
	}
	return TIDE_OK;
}

static tide_status knob_check_tenant(const struct tide_subscription_config *config,
				     struct tide_error *err)
{
	if (config->tenant_id && tide_uuid_is_nil(config->tenant_id))
		return tide_fail(err, TIDE_ARGUMENT, "tenant_id is the nil UUID");
	return TIDE_OK;
}

static tide_status knob_check_partition(const struct tide_subscription_config *config,
					struct tide_error *err)
{
	uint32_t index = config->partition_index, total = config->partition_total;
	if (total ? index >= total : index > 0)
		return tide_fail(err, TIDE_ARGUMENT,
				 "partition_index is %u, expected less than the total, %u", index,
				 total);
	return TIDE_OK;
}

static tide_status knob_check_lanes(const struct tide_subscription_config *config,
				    struct tide_error *err)
{
	if (config->lanes < 1 || config->lanes > LANES_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "lanes is %u, expected 1 to %d", config->lanes,
				 LANES_MAX);
	if (config->lanes > 1 && config->partition_total)
		return tide_fail(err, TIDE_ARGUMENT,
				 "lanes is %u together with partition %u/%u, expected at most one",
				 config->lanes, config->partition_index, config->partition_total);
	return TIDE_OK;
}

static tide_status knob_check_discard(const struct tide_subscription_config *config,
				      struct tide_error *err)
{
	if (config->discard_failed_events && config->hold_aggregate_on_failure)
		return tide_fail(err, TIDE_ARGUMENT,
				 "discard_failed_events is true together with "
				 "hold_aggregate_on_failure, expected at most one");
	return TIDE_OK;
}

static tide_status knob_check_delay(const struct tide_subscription_config *config,
				    struct tide_error *err)
{
	if (!(config->max_retry_delay >= config->initial_retry_delay) ||
	    isinf(config->max_retry_delay))
		return tide_fail(err, TIDE_ARGUMENT,
				 "max_retry_delay is %g, expected initial_retry_delay (%g) or more",
				 config->max_retry_delay, config->initial_retry_delay);
	return TIDE_OK;
}

/* ---- The table ------------------------------------------------------------------------------- */

/* clang-format off */
#define AT_LEAST(least, words) .low = (least), .high = DBL_MAX, .expected = words
#define AT_MOST(most, words)   .low = 0, .high = (most), .expected = words
#define ABOVE(bound, words)    .low = (bound), .high = DBL_MAX, .is_above = true, .expected = words
#define SHARE                  .low = 0, .high = 1, .expected = "0.0 to 1.0"
#define CHECKED(name)          .check = knob_check_##name
#define ANY                    .high = 1
const struct knob knobs[] = {
#define KNOB(field, kind_, rule, fallback_, text_) \
	{ .name = #field, .kind = KNOB_##kind_, .place = offsetof(struct tide_subscription_config, field), \
	  rule, .fallback = fallback_, .text = text_ },
#define KNOB_OPTION(field, id, name, letter, argument, kind, help)
#include "path/knobs.def"
#undef KNOB
#undef KNOB_OPTION
};
/* clang-format on */
const size_t knob_count = sizeof knobs / sizeof *knobs;

const struct knob *knob_find(const char *name)
{
	for (size_t i = 0; i < knob_count; i++)
		if (strcmp(knobs[i].name, name) == 0)
			return &knobs[i];
	return NULL;
}

static const void *knob_at(const struct knob *knob, const struct tide_subscription_config *config)
{
	return (const char *)config + knob->place;
}

/* Its value as a number, exact for what a rule may be about. */
static double knob_number(const struct knob *knob, const struct tide_subscription_config *config)
{
	const void *at = knob_at(knob, config);
	switch (knob->kind) {
	case KNOB_INTEGER:
	case KNOB_BYTES:
		return (double)*(const int64_t *)at;
	case KNOB_SMALL:
		return *(const int32_t *)at;
	case KNOB_UNSIGNED:
		return *(const uint32_t *)at;
	case KNOB_REAL:
	case KNOB_SECONDS:
		return *(const double *)at;
	case KNOB_STRATEGY:
		return (int)*(const enum tide_checkpoint_strategy *)at;
	case KNOB_FLAG:
	case KNOB_START:
	case KNOB_LIST:
	case KNOB_UUID:
		break;
	}
	return 0;
}

tide_status knob_check(const struct knob *knob, const struct tide_subscription_config *config,
		       struct tide_error *err)
{
	if (knob->check)
		return knob->check(config, err);
	double number = knob_number(knob, config);
	if (number <= knob->high && (knob->is_above ? number > knob->low : number >= knob->low))
		return TIDE_OK;
	if (knob->kind == KNOB_REAL || knob->kind == KNOB_SECONDS)
		return tide_fail(err, TIDE_ARGUMENT, "%s is %g, expected %s", knob->name, number,
				 knob->expected);
	return tide_fail(err, TIDE_ARGUMENT, "%s is %.0f, expected %s", knob->name, number,
			 knob->expected);
}

/* ---- From text ------------------------------------------------------------------------------- */

static tide_status knob_read_start(const char *text, struct tide_subscription_config *config,
				   struct tide_error *err)
{
	static const char *const names[] = { "checkpoint", "beginning", "end" };
	for (int i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			config->start_from = (enum tide_start_from)i;
			return TIDE_OK;
		}
	int64_t position;
	if (value_read_integer(text, &position, NULL) != TIDE_OK || position < 0)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.200s' is none of checkpoint, beginning, end, and no position",
				 text);

	config->start_from = TIDE_START_POSITION;
	config->start_position = position;
	return TIDE_OK;
}

static tide_status knob_read_strategy(const char *text, enum tide_checkpoint_strategy *ret,
				      struct tide_error *err)
{
	char name[16];
	snprintf(name, sizeof name, "%s", text);
	for (char *at = name; *at; at++)
		if (*at == '-') /* as --strategy has it */
			*at = '_';

	for (int i = 0; i <= TIDE_PERIODIC; i++)
		if (strcmp(name, tide_checkpoint_strategy_name((enum tide_checkpoint_strategy)i)) ==
		    0) {
			*ret = (enum tide_checkpoint_strategy)i;
			return TIDE_OK;
		}
	return tide_fail(err, TIDE_ARGUMENT,
			 "'%.200s' is none of every-batch, every-event, periodic", text);
}

/* A count of 32 bits, where "none" stands for the least it may be. */
static tide_status knob_read_count(const struct knob *knob, const char *text, int64_t most,
				   int64_t *ret, struct tide_error *err)
{
	if (strcmp(text, "none") == 0 && strcmp(knob->fallback, "none") == 0) {
		*ret = (int64_t)knob->low;
		return TIDE_OK;
	}
	tide_status status = value_read_integer(text, ret, err);
	if (status == TIDE_OK && (*ret > most || *ret < INT32_MIN))
		return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is too many", text);
	if (status == TIDE_OK && *ret < 0 && knob->kind == KNOB_UNSIGNED)
		return tide_fail(err, TIDE_ARGUMENT, "'%.200s' is less than 0", text);
	return status;
}

tide_status knob_read(const struct knob *knob, const char *text,
		      struct tide_subscription_config *config, struct tide_error *err)
{
	void *at = (char *)config + knob->place;
	int64_t count = 0;
	tide_status status;

	switch (knob->kind) {
	case KNOB_INTEGER:
		return value_read_integer(text, at, err);
	case KNOB_BYTES:
		return value_read_bytes(text, at, err);
	case KNOB_SMALL:
		status = knob_read_count(knob, text, INT32_MAX, &count, err);
		if (status == TIDE_OK)
			*(int32_t *)at = (int32_t)count;
		return status;
	case KNOB_UNSIGNED:
		status = knob_read_count(knob, text, UINT32_MAX, &count, err);
		if (status == TIDE_OK)
			*(uint32_t *)at = (uint32_t)count;
		return status;
	case KNOB_REAL:
		return value_read_real(text, at, err);
	case KNOB_SECONDS:
		return value_read_seconds(text, at, err);
	case KNOB_FLAG:
		return value_read_flag(text, at, err);
	case KNOB_STRATEGY:
		return knob_read_strategy(text, at, err);
	case KNOB_START:
		return knob_read_start(text, config, err);
	case KNOB_LIST:
	case KNOB_UUID:
		break;
	}
	return tide_fail(err, TIDE_ARGUMENT, "%s is not read from text here", knob->name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One subscription more closely: its newest failures, and the configuration that is in effect. */
#include <string.h>

#include "core/json_fields.h"
#include "http/api.h"
#include "path/knobs.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

/* The subscription of the path, pinned; NULL: the reply says why not. */
static struct tide_subscription *detail_begin(struct http_job *job, struct api_call *ret)
{
	const char *name = route_part(job, 0);
	struct tide_error err;
	if (!api_begin_for(job, name, ret))
		return NULL;
	struct tide_subscription *subscription = manager_pin_one(ret->manager, name);
	if (subscription)
		return subscription;
	tide_fail(&err, TIDE_NOT_FOUND, "no subscription '%.255s'", name);
	reply_fail(&job->reply, &err, NULL);
	api_end(ret);
	return NULL;
}

static void detail_end(struct api_call *call)
{
	manager_unpin_one(call->manager);
	api_end(call);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static const char *detail_error_name(int value)
{
	return tide_status_name((tide_status)value);
}

/* clang-format off */
#define AT(member) .place = offsetof(struct tide_recent_error, member)
static const struct json_field detail_error_fields[] = {
	{ "event_id",      JSON_FIELD_UUID,    AT(event_id) },
	{ "event_type",    JSON_FIELD_CHARS,   AT(event_type) },
	{ "position",      JSON_FIELD_INTEGER, AT(position) },
	{ "error_type",    JSON_FIELD_NAME,    AT(error_type), .name = detail_error_name },
	{ "error_message", JSON_FIELD_CHARS,   AT(error_message) },
	{ "timestamp",     JSON_FIELD_TIME,    AT(timestamp) },
	{ "sent_to_dlq",   JSON_FIELD_FLAG,    AT(sent_to_dlq) },
};
#undef AT
/* clang-format on */

void route_errors(struct http_job *job)
{
	struct tide_recent_error *list ALLOC_AUTO = NULL;
	size_t count = 0;
	struct tide_error err;
	struct api_call call;

	struct tide_subscription *subscription = detail_begin(job, &call);
	if (!subscription)
		return;
	if (tide_subscription_recent_errors(subscription, &list, &count, &err) == TIDE_OK) {
		struct buffer *body = api_answer(job);
		json_open(body, '{');
		json_key(body, "errors");
		json_open(body, '[');
		for (size_t i = 0; i < count; i++)
			json_fields(body, JSON_FIELDS(detail_error_fields), &list[i]);
		json_close(body, ']');
		json_close(body, '}');
		api_close(job);
	} else {
		reply_fail(&job->reply, &err, NULL);
	}
	detail_end(&call);
}

/* ---- The configuration ----------------------------------------------------------------------- */

static void detail_add_list(struct buffer *body, const char *const *names)
{
	json_open(body, '[');
	for (; *names; names++)
		json_string(body, *names);
	json_close(body, ']');
}

static void detail_add_start(struct buffer *body, const struct tide_subscription_config *config)
{
	static const char *const starts[] = {
		[TIDE_START_CHECKPOINT] = "checkpoint",
		[TIDE_START_BEGINNING] = "beginning",
		[TIDE_START_END] = "end",
	};
	if (config->start_from == TIDE_START_POSITION)
		json_integer(body, config->start_position);
	else
		json_string(body, starts[config->start_from]);
}

static void detail_add_pointer(struct buffer *body, enum knob_kind kind, const void *value)
{
	if (!value)
		json_null(body);
	else if (kind == KNOB_LIST)
		detail_add_list(body, value);
	else
		json_uuid(body, value);
}

static void detail_add_knob(struct buffer *body, const struct knob *knob,
			    const struct tide_subscription_config *config)
{
	const void *place = (const char *)config + knob->place;
	json_key(body, knob->name);
	switch (knob->kind) {
	case KNOB_INTEGER:
	case KNOB_BYTES:
		json_integer(body, *(const int64_t *)place);
		break;
	case KNOB_SMALL:
		json_integer(body, *(const int32_t *)place);
		break;
	case KNOB_UNSIGNED:
		json_integer(body, *(const uint32_t *)place);
		break;
	case KNOB_REAL:
	case KNOB_SECONDS:
		json_number(body, *(const double *)place, 3);
		break;
	case KNOB_FLAG:
		json_bool(body, *(const bool *)place);
		break;
	case KNOB_STRATEGY:
		json_string(body, tide_checkpoint_strategy_name(config->checkpoint_strategy));
		break;
	case KNOB_START:
		detail_add_start(body, config);
		break;
	case KNOB_LIST:
	case KNOB_UUID:
		detail_add_pointer(body, knob->kind, *(const void *const *)place);
		break;
	}
}

void route_config(struct http_job *job)
{
	struct api_call call;
	const struct tide_subscription *subscription = detail_begin(job, &call);
	if (!subscription)
		return;

	struct tide_subscription_config config = subscription->config;
	config.event_types = subscription->filter.event_types;
	config.event_type_patterns = subscription->filter.patterns;
	config.aggregate_types = subscription->filter.aggregate_types;
	config.tenant_id = subscription->filter.tenant_id;

	struct buffer *body = api_answer(job);
	json_open(body, '{');
	for (size_t i = 0; i < knob_count; i++)
		detail_add_knob(body, &knobs[i], &config);
	json_add_bool(body, "can_rebuild", subscription->subscriber.empty != NULL);
	json_close(body, '}');
	api_close(job);
	detail_end(&call);
}

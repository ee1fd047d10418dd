/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions: how they are, why they are not further, and what persons say to them. */
#include <stdio.h>
#include <string.h>

#include <tidemark/why.h>

#include "http/api.h"
#include "supervise/group.h"
#include "sys/alloc.h"

/* ---- How they are ---------------------------------------------------------------------------- */

static tide_status subscription_add(struct buffer *body,
				    const struct tide_subscription_status *status,
				    const char *store, struct tide_error *err)
{
	char *text;
	tide_status result = tide_subscription_status_json(status, &text, err);
	if (result == TIDE_OK)
		api_add_object(body, text, store);
	return result;
}

/* A database that is away keeps nobody from knowing how its lanes here are. */
static tide_status subscription_add_alone(struct buffer *body,
					  const struct tide_subscription_status *status,
					  const char *store, struct tide_error *err)
{
	char *text ALLOC_AUTO = NULL;
	tide_status result = tide_subscription_status_json(status, &text, err);
	if (result != TIDE_OK)
		return result;

	json_raw(body, (struct tide_text){ text, strlen(text) - 1 }); /* without its brace */
	json_key(body, "members");
	json_null(body);
	json_key(body, "lane_statuses");
	json_null(body);
	if (store) {
		json_add_string(body, "store", store);
	}
	json_close(body, '}');
	return TIDE_OK;
}

/* One with lanes is told over all processes that run it; it may have been removed meanwhile. */
static tide_status subscription_add_whole(struct buffer *body, const struct http_pin *pin,
					  const struct tide_subscription_status *status,
					  struct elsewhere_rows *rows, struct tide_error *err)
{
	char *text;
	if (status->lanes == 0)
		return subscription_add(body, status, pin->name, err);

	tide_status result = group_json(pin->manager, status->name, rows, &text, err);
	if (result == TIDE_CONNECTION_LOST || result == TIDE_BUSY || result == TIDE_NOT_FOUND)
		return subscription_add_alone(body, status, pin->name, err);
	if (result == TIDE_OK)
		api_add_object(body, text, pin->name);
	return result;
}

/* One whose store is not open. */
static tide_status subscription_add_waiting(struct buffer *body, const struct http_pin *pin,
					    const char *name, struct tide_error *err)
{
	struct tide_subscription_status *status ALLOC_AUTO = alloc_zero(1, sizeof *status);
	if (!status)
		return alloc_fail(err);
	snprintf(status->name, sizeof status->name, "%s", name);
	status->state = TIDE_STATE_STARTING;
	status->error = pin->error;
	status->lag_stale = true;
	return subscription_add(body, status, pin->name, err);
}

static tide_status subscriptions_add(struct buffer *body, const struct http_pin *pin,
				     struct tide_error *err)
{
	struct tide_subscription_status *list ALLOC_AUTO = NULL;
	struct elsewhere_rows rows = { .are_read = false };
	size_t count = 0;
	tide_status status = TIDE_OK;

	for (size_t i = 0; status == TIDE_OK && !pin->manager && i < pin->waiting_count; i++)
		status = subscription_add_waiting(body, pin, pin->waiting[i], err);
	if (pin->manager)
		status = tide_manager_statuses(pin->manager, &list, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		status = subscription_add_whole(body, pin, &list[i], &rows, err);
	elsewhere_rows_fini(&rows);
	return status;
}

/* What `add` has to say of each store, as one list. */
static void subscriptions_answer(struct http_job *job,
				 tide_status (*add)(struct buffer *body, const struct http_pin *pin,
						    struct tide_error *err))
{
	struct http_pins pins;
	struct tide_error err;
	tide_status status = sources_pin(job->server->sources, &pins, &err);
	if (status != TIDE_OK) {
		reply_fail(&job->reply, &err, NULL);
		return;
	}

	struct buffer *body = api_answer(job);
	json_open(body, '{');
	json_key(body, "subscriptions");
	json_open(body, '[');
	for (size_t i = 0; status == TIDE_OK && i < pins.count; i++)
		status = add(body, &pins.items[i], &err);
	json_close(body, ']');
	json_close(body, '}');
	api_close(job);
	sources_unpin(job->server->sources, &pins);
	if (status != TIDE_OK)
		reply_fail(&job->reply, &err, NULL);
}

void route_subscriptions(struct http_job *job)
{
	subscriptions_answer(job, subscriptions_add);
}

void route_subscription(struct http_job *job)
{
	struct tide_subscription_status *status ALLOC_AUTO = alloc_zero(1, sizeof *status);
	const char *name = route_part(job, 0);
	struct elsewhere_rows rows = { .are_read = false };
	struct tide_subscription *subscription;
	tide_status result = TIDE_OK;
	struct tide_error err;
	struct api_call call;

	if (!status) {
		job->reply.body.failed = true;
		return;
	}
	if (!api_begin_for(job, name, &call))
		return;
	subscription = manager_pin_one(call.manager, name);
	if (!subscription) {
		result = tide_fail(&err, TIDE_NOT_FOUND, "no subscription '%.255s'", name);
	} else {
		result = tide_subscription_status(subscription, status, &err);
		manager_unpin_one(call.manager);
	}
	if (result == TIDE_OK)
		result = subscription_add_whole(api_answer(job), call.pin, status, &rows, &err);
	elsewhere_rows_fini(&rows);
	if (result == TIDE_OK)
		api_close(job);
	else
		reply_fail(&job->reply, &err, NULL);
	api_end(&call);
}

/* ---- Why ------------------------------------------------------------------------------------- */

static tide_status why_answer(struct buffer *body, const struct http_pin *pin, const char *name,
			      struct tide_error *err)
{
	struct tide_why *why ALLOC_AUTO = alloc_zero(1, sizeof *why);
	char *text;

	if (!why)
		return alloc_fail(err);
	tide_status status = tide_subscription_why(pin->manager, name, why, err);
	if (status == TIDE_NOT_FOUND) /* another process may run it over these databases */
		status = tide_checkpoints_why(pin->manager->engine.checkpoints, name, why, err);
	if (status == TIDE_OK)
		status = tide_why_json(why, &text, err);
	if (status == TIDE_OK)
		api_add_object(body, text, pin->name);
	return status;
}

static tide_status why_answer_all(struct buffer *body, const struct http_pin *pin,
				  struct tide_error *err)
{
	struct tide_subscription_status *list ALLOC_AUTO = NULL;
	size_t count = 0;
	tide_status status = TIDE_OK;

	if (pin->manager)
		status = tide_manager_statuses(pin->manager, &list, &count, err);
	for (size_t i = 0; status == TIDE_OK && i < count; i++) {
		status = why_answer(body, pin, list[i].name, err);
		if (status == TIDE_NOT_FOUND) /* it was removed meanwhile */
			status = TIDE_OK;
	}
	return status;
}

void route_whys(struct http_job *job)
{
	subscriptions_answer(job, why_answer_all);
}

void route_why(struct http_job *job)
{
	const char *name = route_part(job, 0);
	struct tide_error err;
	struct api_call call;

	if (!api_begin_for(job, name, &call))
		return;
	if (why_answer(api_answer(job), call.pin, name, &err) == TIDE_OK)
		api_close(job);
	else
		reply_fail(&job->reply, &err, NULL);
	api_end(&call);
}

/* ---- What persons say ------------------------------------------------------------------------ */

static void control_answer(struct http_job *job, const char *name, const char *key, bool value)
{
	struct buffer *body = api_answer(job);
	json_open(body, '{');
	json_add_string(body, "name", name);
	json_add_bool(body, key, value);
	json_close(body, '}');
	api_close(job);
}

static void control_change(struct http_job *job,
			   tide_status (*change)(struct tide_checkpoints *checkpoints,
						 const char *name,
						 const struct tide_control_request *request,
						 bool *ret_was_paused, struct tide_error *err))
{
	struct api_member members[API_REQUEST_MEMBERS];
	const char *name = route_part(job, 0);
	struct tide_control_request request;
	bool was_paused;
	struct tide_error err;
	struct api_call call;

	if (!api_request(job, members, &request))
		return;
	if (api_begin_for(job, name, &call)) {
		if (change(call.checkpoints, name, &request, &was_paused, &err) == TIDE_OK)
			control_answer(job, name, "was_paused", was_paused);
		else
			reply_fail(&job->reply, &err, NULL);
		api_end(&call);
	}
	api_free_members(members, API_REQUEST_MEMBERS);
}

void route_pause(struct http_job *job)
{
	control_change(job, tide_control_pause);
}

void route_resume(struct http_job *job)
{
	control_change(job, tide_control_resume);
}

void route_restart(struct http_job *job)
{
	const char *name = route_part(job, 0);
	struct tide_error err;
	struct api_call call;

	if (!api_body(job, NULL, 0) || !api_begin_for(job, name, &call))
		return;
	if (tide_manager_restart(call.manager, name, &err) == TIDE_OK)
		control_answer(job, name, "restarted", true);
	else
		reply_fail(&job->reply, &err, NULL);
	api_end(&call);
}

static void control_begin_anew(struct http_job *job, const char *key,
			       tide_status (*begin)(struct tide_manager *manager, const char *name,
						    const char *by, struct tide_error *err))
{
	struct api_member by = { .name = "by" };
	const char *name = route_part(job, 0);
	struct tide_error err;
	struct api_call call;

	if (!api_body(job, &by, 1))
		return;
	if (api_begin_for(job, name, &call)) {
		if (begin(call.manager, name, by.text ? by.text : "http", &err) == TIDE_OK)
			control_answer(job, name, key, true);
		else
			reply_fail(&job->reply, &err, NULL);
		api_end(&call);
	}
	api_free_members(&by, 1);
}

void route_reset(struct http_job *job)
{
	control_begin_anew(job, "reset", tide_manager_reset);
}

void route_rebuild(struct http_job *job)
{
	control_begin_anew(job, "rebuilding", tide_manager_rebuild);
}

void route_reset_breakers(struct http_job *job)
{
	const char *name = route_part(job, 0);
	struct tide_error err;
	struct api_call call;

	if (!api_body(job, NULL, 0) || !api_begin_for(job, name, &call))
		return;
	if (tide_manager_reset_breakers(call.manager, name)) {
		control_answer(job, name, "breakers_closed", true);
	} else {
		tide_fail(&err, TIDE_NOT_FOUND, "no subscription '%.255s'", name);
		reply_fail(&job->reply, &err, NULL);
	}
	api_end(&call);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the routes of the API share.
 *
 * Every store that is shown is pinned during a call, so that none is closed meanwhile; one of them
 * is the call's. Failure modes: several are there and none is named, or the store is not open: the
 * reply says so, and nothing is done.
 */
#include "http/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "supervise/manager.h"
#include "sys/alloc.h"

/* ---- Which store ----------------------------------------------------------------------------- */

static const struct http_pin *api_find(const struct http_pins *pins, const char *store)
{
	for (size_t i = 0; i < pins->count; i++)
		if (pins->items[i].name && strcmp(pins->items[i].name, store) == 0)
			return &pins->items[i];
	return NULL;
}

static bool pin_runs(const struct http_pin *pin, const char *name)
{
	if (pin->manager)
		return tide_manager_subscription(pin->manager, name) != NULL;
	for (size_t i = 0; i < pin->waiting_count; i++)
		if (strcmp(pin->waiting[i], name) == 0)
			return true;
	return false;
}

/* `name` NULL: no subscription leads to a store. */
static bool api_choose(struct api_call *call, const char *name)
{
	struct http_job *job = call->job;
	const char *store = target_parameter(&job->target, "store");
	if (store)
		call->pin = api_find(&call->pins, store);
	for (size_t i = 0; !store && name && !call->pin && i < call->pins.count; i++)
		if (pin_runs(&call->pins.items[i], name))
			call->pin = &call->pins.items[i];
	if (!store && !call->pin && call->pins.count == 1)
		call->pin = &call->pins.items[0];
	if (call->pin)
		return true;

	if (store)
		reply_refuse(&job->reply, 404, "there is no store '%.200s'", store);
	else if (name)
		reply_refuse(&job->reply, 404, "no subscription '%.255s'", name);
	else
		reply_refuse(&job->reply, 400,
			     "several stores are shown: name one by the parameter store");
	return false;
}

bool api_begin_for(struct http_job *job, const char *name, struct api_call *ret)
{
	struct tide_error err;
	*ret = (struct api_call){ .job = job };
	if (sources_pin(job->server->sources, &ret->pins, &err) != TIDE_OK) {
		reply_fail(&job->reply, &err, NULL);
		return false;
	}
	if (!api_choose(ret, name)) {
		api_end(ret);
		return false;
	}
	if (!ret->pin->manager) {
		bool is_away = ret->pin->error.status != TIDE_OK;
		reply_refuse(&job->reply, 503, "store '%.200s' is not open%s%s",
			     ret->pin->name ? ret->pin->name : "", is_away ? ": " : " yet",
			     is_away ? ret->pin->error.message : "");
		reply_field(&job->reply, "Retry-After", "1");
		api_end(ret);
		return false;
	}
	ret->manager = ret->pin->manager;
	ret->store = ret->manager->engine.store;
	ret->checkpoints = ret->manager->engine.checkpoints;
	return true;
}

bool api_begin(struct http_job *job, struct api_call *ret)
{
	return api_begin_for(job, NULL, ret);
}

void api_end(struct api_call *call)
{
	sources_unpin(call->job->server->sources, &call->pins);
}

/* ---- Answers --------------------------------------------------------------------------------- */

bool api_refuse(struct http_job *job, const char *format, ...)
{
	struct tide_error err = { 0 };
	char message[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	text_make_line(message);
	tide_fail(&err, TIDE_ARGUMENT, "%s", message);
	reply_fail(&job->reply, &err, NULL);
	return false;
}

struct buffer *api_answer(struct http_job *job)
{
	job->reply.status = 200;
	job->reply.type = "application/json";
	return &job->reply.body;
}

void api_close(struct http_job *job)
{
	buffer_add(&job->reply.body, "\n", 1);
}

void api_add_object(struct buffer *body, char *json, const char *store)
{
	size_t size = strlen(json);
	if (store && size > 1) {
		struct buffer whole = { 0 };
		buffer_add(&whole, json, size - 1);
		json_add_string(&whole, "store", store);
		json_close(&whole, '}');
		body->failed = body->failed || whole.failed;
		if (!whole.failed)
			json_raw(body, (struct tide_text){ whole.data, whole.size });
		buffer_fini(&whole);
	} else {
		json_raw(body, (struct tide_text){ json, size });
	}
	tide_free(json);
}

/* ---- The query ------------------------------------------------------------------------------- */

bool api_number(struct http_job *job, const char *name, int64_t least, int64_t most,
		struct tide_bound *ret)
{
	const char *text = target_parameter(&job->target, name);
	struct json_token token = { .kind = JSON_NUMBER };
	int64_t number;

	*ret = (struct tide_bound){ 0 };
	if (!text)
		return true;
	token.text = tide_text(text);
	if (strspn(text, "0123456789") != token.text.size || !json_int(&token, &number) ||
	    number < least || number > most)
		return api_refuse(job, "%s '%.64s' is no number from %lld to %lld", name, text,
				  (long long)least, (long long)most);
	*ret = tide_bound(number);
	return true;
}

bool api_limit(struct http_job *job, int64_t *ret)
{
	struct tide_bound limit;
	if (!api_number(job, "limit", 0, API_PAGE_MAX, &limit))
		return false;
	*ret = limit.is_set ? limit.value : API_PAGE;
	return true;
}

bool api_time(struct http_job *job, const char *name, struct tide_time *ret, bool *ret_is_set)
{
	const char *text = target_parameter(&job->target, name);
	*ret_is_set = text != NULL;
	if (text && !time_read(text, strlen(text), ret))
		return api_refuse(job, "%s '%.64s' is no RFC 3339 instant", name, text);
	return true;
}

bool api_uuid(struct http_job *job, const char *name, struct tide_uuid *ret, bool *ret_is_set)
{
	const char *text = target_parameter(&job->target, name);
	*ret_is_set = text != NULL;
	if (text && !uuid_read(text, strlen(text), ret))
		return api_refuse(job, "%s '%.64s' is no UUID", name, text);
	return true;
}

bool api_word(struct http_job *job, const char *name, const char *const *words, int *ret)
{
	const char *text = target_parameter(&job->target, name);
	struct buffer all = { 0 };

	*ret = 0;
	for (int i = 0; text && words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret = i;
			buffer_fini(&all);
			return true;
		}
		buffer_format(&all, "%s%s", i ? ", " : "", words[i]);
	}
	if (text)
		api_refuse(job, "%s '%.64s' is none of %s", name, text, all.data ? all.data : "");
	buffer_fini(&all);
	return !text;
}

void api_list(const struct http_job *job, const char *name,
	      const char *ret[TARGET_PARAMETERS_MAX + 1])
{
	size_t count = 0;
	for (size_t i = 0; i < job->target.parameter_count; i++)
		if (strcmp(job->target.parameters[i].name, name) == 0)
			ret[count++] = job->target.parameters[i].value;
	ret[count] = NULL;
}

bool api_stream(struct http_job *job, size_t part, struct tide_stream *ret)
{
	const char *type = route_part(job, part), *id = route_part(job, part + 1);
	struct tide_error err;

	if (name_check_type(type, "aggregate_type", &err) != TIDE_OK)
		return api_refuse(job, "%s", err.message);
	ret->aggregate_type = type;
	if (strncmp(id, "name:", 5) == 0 && id[5]) {
		ret->aggregate_id = tide_uuid_v5(NULL, id + 5);
		return true;
	}
	if (!uuid_read(id, strlen(id), &ret->aggregate_id) || tide_uuid_is_nil(&ret->aggregate_id))
		return api_refuse(job, "aggregate_id '%.64s' is neither a UUID nor name:anything",
				  id);
	return true;
}

/* ---- The body -------------------------------------------------------------------------------- */

void api_free_members(struct api_member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tide_free(members[i].text);
}

static struct api_member *api_find_member(struct api_member *members, size_t count,
					  const struct json_token *key)
{
	for (size_t i = 0; i < count; i++)
		if (json_equals(key, members[i].name))
			return &members[i];
	return NULL;
}

static bool api_read_member(struct http_job *job, struct json_reader *reader,
			    const struct json_token *key, struct api_member *members, size_t count)
{
	struct api_member *member = api_find_member(members, count, key);
	struct json_token value = json_next(reader);

	if (!member)
		return api_refuse(job, "'%.*s' is no member of the body",
				  (int)utf8_cut(key->text.data, key->text.size, 64),
				  key->text.data);
	if (value.kind == JSON_NULL)
		return true;
	if (value.kind != JSON_STRING)
		return api_refuse(job, "%s is no string", member->name);
	tide_free(member->text);
	member->text = alloc_zero(value.text.size + 1, 1);
	if (member->text)
		json_unescape(&value, member->text);
	job->reply.body.failed = job->reply.body.failed || !member->text;
	return member->text != NULL;
}

bool api_body(struct http_job *job, struct api_member *members, size_t count)
{
	struct tide_text body = { job->body.data ? job->body.data : "", job->body.size };
	struct json_reader reader;
	struct tide_error err;

	if (body.size == 0)
		return true;
	if (json_check(body, true, "the body", &err) != TIDE_OK)
		return api_refuse(job, "%s", err.message);
	json_read(&reader, body.data, body.size);
	json_next(&reader);
	for (struct json_token key = json_next(&reader); key.kind == JSON_KEY;
	     key = json_next(&reader))
		if (!api_read_member(job, &reader, &key, members, count)) {
			api_free_members(members, count);
			return false;
		}
	return true;
}

bool api_request(struct http_job *job, struct api_member members[API_REQUEST_MEMBERS],
		 struct tide_control_request *ret)
{
	members[0] = (struct api_member){ .name = "by" };
	members[1] = (struct api_member){ .name = "note" };
	members[2] = (struct api_member){ .name = "reason" };
	if (!api_body(job, members, API_REQUEST_MEMBERS))
		return false;

	const char *reason = members[2].text;
	bool is_maintenance = reason && strcmp(reason, "maintenance") == 0;
	if (reason && !is_maintenance && strcmp(reason, "manual") != 0) {
		api_refuse(job, "reason '%.64s' is none of manual, maintenance", reason);
		api_free_members(members, API_REQUEST_MEMBERS);
		return false;
	}
	*ret = (struct tide_control_request){
		.by = members[0].text ? members[0].text : "http",
		.reason = is_maintenance ? TIDE_PAUSE_MAINTENANCE : TIDE_PAUSE_MANUAL,
		.note = members[1].text,
	};
	return true;
}

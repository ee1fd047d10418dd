/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: pages of the feed and of a stream, one by its id, and appends.
 *
 * A page ends at its limit of rows or behind the event that makes it long; `next` is where the next
 * one goes on, so that memory is bounded whatever is stored. Failure modes: a row that cannot be
 * decoded is shown as an object with its error.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/event.h"
#include "core/text.h"
#include "http/api.h"
#include "sys/alloc.h"

/* ---- Pages ----------------------------------------------------------------------------------- */

/** A page in the making. */
struct event_page {
	int64_t limit, count;
	int64_t last; /* bound of the next page; 0: nothing was read */
	bool is_cut;  /* there may be more */
};

static void page_add_undecodable(struct buffer *body, const struct tide_error *err)
{
	json_open(body, '{');
	json_add_string(body, "error", err->message);
	json_close(body, '}');
}

static tide_status page_read(struct tide_reader *reader, bool of_stream, struct event_page *page,
			     struct buffer *body, struct tide_error *err)
{
	const struct tide_event *event;
	/* it never ends behind a row whose position nobody knows */
	while (page->count < page->limit && (body->size < API_PAGE_BYTES || page->last == 0)) {
		tide_status status = tide_reader_next(reader, &event, err);
		if (status == TIDE_DECODE) {
			page_add_undecodable(body, err);
			continue;
		}
		if (status != TIDE_OK || !event)
			return status;
		page->count++;
		page->last = of_stream ? event->version : event->position;
		event_write_json(body, event);
	}
	page->is_cut = true;
	return TIDE_OK;
}

/* after, before, limit, order, since, until */
static bool events_read_query(struct http_job *job, struct tide_query *query,
			      struct event_page *page, struct tide_time times[2])
{
	static const char *const orders[] = { "asc", "desc", NULL };
	bool has_since, has_until;
	int order;

	*page = (struct event_page){ 0 };
	if (!api_word(job, "order", orders, &order) ||
	    !api_number(job, "after", 0, INT64_MAX, &query->after) ||
	    !api_number(job, "before", 0, INT64_MAX, &query->before) ||
	    !api_limit(job, &page->limit) || !api_time(job, "since", &times[0], &has_since) ||
	    !api_time(job, "until", &times[1], &has_until))
		return false;
	if (order == 0 && query->before.is_set)
		return api_refuse(job, "before needs order=desc");
	if (order == 1 && query->after.is_set)
		return api_refuse(job, "after does not go with order=desc; use before");
	query->backward = order == 1;
	query->occurred_from = has_since ? &times[0] : NULL;
	query->occurred_until = has_until ? &times[1] : NULL;
	return true;
}

static void page_close(struct buffer *body, const struct event_page *page)
{
	json_close(body, ']');
	json_key(body, "next");
	if (page->is_cut && page->last > 0)
		json_integer(body, page->last);
	else
		json_null(body);
	json_close(body, '}');
}

/* ---- The feed -------------------------------------------------------------------------------- */

static void events_answer(struct api_call *call, const struct tide_query *query,
			  struct event_page *page)
{
	struct http_job *job = call->job;
	struct tide_reader *reader = NULL;
	struct tide_error err;

	tide_status status = tide_store_read(call->store, query, &reader, &err);
	if (status == TIDE_OK) {
		struct buffer *body = api_answer(job);
		json_open(body, '{');
		json_key(body, "events");
		json_open(body, '[');
		status = page_read(reader, false, page, body, &err);
		page_close(body, page);
		api_close(job);
	}
	tide_reader_close(reader);
	if (status != TIDE_OK)
		reply_fail(&job->reply, &err, NULL);
}

void route_events(struct http_job *job)
{
	const char *types[TARGET_PARAMETERS_MAX + 1], *aggregates[TARGET_PARAMETERS_MAX + 1];
	struct tide_query query = { .event_types = types, .aggregate_types = aggregates };
	struct tide_uuid tenant, aggregate;
	bool has_tenant, has_aggregate;
	struct tide_time times[2];
	struct event_page page;
	struct api_call call;

	api_list(job, "type", types);
	api_list(job, "aggregate_type", aggregates);
	if (!events_read_query(job, &query, &page, times) ||
	    !api_uuid(job, "tenant", &tenant, &has_tenant) ||
	    !api_uuid(job, "aggregate_id", &aggregate, &has_aggregate))
		return;
	query.tenant_id = has_tenant ? &tenant : NULL;
	query.aggregate_id = has_aggregate ? &aggregate : NULL;
	if (!api_begin(job, &call))
		return;
	events_answer(&call, &query, &page);
	api_end(&call);
}

void route_event(struct http_job *job)
{
	const char *id = route_part(job, 0);
	struct tide_event *event;
	struct tide_uuid uuid;
	struct tide_error err;
	struct api_call call;

	if (!uuid_read(id, strlen(id), &uuid)) {
		api_refuse(job, "event_id '%.64s' is no UUID", id);
		return;
	}
	if (!api_begin(job, &call))
		return;
	if (tide_store_event(call.store, &uuid, &event, &err) == TIDE_OK) {
		event_write_json(api_answer(job), event);
		api_close(job);
		tide_free(event);
	} else {
		reply_fail(&job->reply, &err, NULL);
	}
	api_end(&call);
}

/* ---- A stream -------------------------------------------------------------------------------- */

static void stream_write_head(struct buffer *body, struct tide_stream stream, tide_version version)
{
	char id[TIDE_UUID_TEXT_SIZE];
	json_add_string(body, "aggregate_type", stream.aggregate_type);
	json_add_string(body, "aggregate_id", tide_uuid_format(&stream.aggregate_id, id));
	json_add_integer(body, "aggregate_version", version);
}

static void reply_version(struct http_reply *reply, tide_version version)
{
	char tag[16];
	snprintf(tag, sizeof tag, "\"%d\"", (int)version);
	reply_field(reply, "ETag", tag);
}

static void stream_answer(struct api_call *call, const struct tide_query *query,
			  struct event_page *page)
{
	struct http_job *job = call->job;
	struct tide_reader *reader = NULL;
	struct tide_error err;

	tide_status status = tide_store_read(call->store, query, &reader, &err);
	if (status == TIDE_OK) {
		struct buffer *body = api_answer(job);
		json_open(body, '{');
		stream_write_head(body, query->stream, tide_reader_stream_version(reader));
		json_key(body, "events");
		json_open(body, '[');
		status = page_read(reader, true, page, body, &err);
		page_close(body, page);
		api_close(job);
		reply_version(&job->reply, tide_reader_stream_version(reader));
	}
	tide_reader_close(reader);
	if (status != TIDE_OK) {
		job->reply.fields[0] = '\0';
		reply_fail(&job->reply, &err, NULL);
	}
}

void route_stream(struct http_job *job)
{
	struct tide_query query = { .of_stream = true };
	struct tide_time times[2];
	struct event_page page;
	struct api_call call;

	if (!api_stream(job, 0, &query.stream) || !events_read_query(job, &query, &page, times) ||
	    !api_begin(job, &call))
		return;
	stream_answer(&call, &query, &page);
	api_end(&call);
}

/* ---- Appends --------------------------------------------------------------------------------- */

/** The events of a body. */
struct append_body {
	struct tide_append append;
	struct event_json *events;
	struct tide_new_event *list;
};

static void append_fini(struct append_body *body)
{
	for (size_t i = 0; i < body->append.count; i++)
		event_json_fini(&body->events[i]);
	tide_free(body->events);
	tide_free(body->list);
}

/* `"N"`, or `*` for any. */
static bool append_read_match(struct http_job *job, const struct tide_text *match, int64_t *ret)
{
	struct json_token token = { .kind = JSON_NUMBER };
	if (text_equals(*match, "*")) {
		*ret = TIDE_STREAM_EXISTS;
		return true;
	}
	if (match->size > 2 && match->data[0] == '"' && match->data[match->size - 1] == '"')
		token.text = (struct tide_text){ match->data + 1, match->size - 2 };
	for (size_t i = 0; i < token.text.size; i++)
		if (token.text.data[i] < '0' || token.text.data[i] > '9')
			token.text.size = 0;
	if (token.text.size == 0 || !json_int(&token, ret) || *ret > INT32_MAX)
		return api_refuse(job, "If-Match is neither a version in quotes nor *");
	return true;
}

static bool append_read_expected(struct http_job *job, int64_t *ret)
{
	const struct tide_text *match = head_field(&job->head, "If-Match");
	const struct tide_text *none = head_field(&job->head, "If-None-Match");

	*ret = none ? TIDE_NO_STREAM : TIDE_ANY;
	if (match && none)
		return api_refuse(job, "If-Match does not go with If-None-Match");
	if (none && !text_equals(*none, "*"))
		return api_refuse(job, "If-None-Match is not *");
	return !match || append_read_match(job, match, ret);
}

static tide_status append_read_one(struct append_body *body, struct tide_text json,
				   struct tide_error *err)
{
	size_t count = body->append.count;
	if ((count & (count - 1)) == 0) { /* room doubles */
		struct event_json *events =
			alloc_resize(body->events, count ? 2 * count : 1, sizeof *events);
		if (!events)
			return alloc_fail(err);
		body->events = events;
	}

	struct tide_error why;
	tide_status status =
		event_read_of_stream(json, body->append.stream, &body->events[count], &why);
	if (status != TIDE_OK)
		return tide_fail(err, status, "event %zu: %s", count, why.message);
	if (tide_uuid_is_nil(&body->events[count].event.event_id))
		body->events[count].event.event_id = tide_uuid_v7();
	body->append.count++;
	return TIDE_OK;
}

/* An array of events, or one. */
static tide_status append_read_body(const struct http_job *job, struct append_body *ret,
				    struct tide_error *err)
{
	struct tide_text text = { job->body.data ? job->body.data : "", job->body.size };
	tide_status status = json_check_around(text, false, "the body", err);
	struct json_reader reader;
	if (status != TIDE_OK)
		return status;
	json_read(&reader, text.data, text.size);
	struct json_token token = json_next(&reader);
	if (token.kind == JSON_OBJECT)
		return append_read_one(ret, text, err);
	if (token.kind != JSON_ARRAY)
		return tide_fail(err, TIDE_ARGUMENT, "the body is neither an event nor a list");

	for (token = json_next(&reader); token.kind != JSON_ARRAY_END && status == TIDE_OK;
	     token = json_next(&reader)) {
		struct tide_text one;
		if (!json_skip(&reader, token, &one))
			return tide_fail(err, TIDE_ARGUMENT, "the body is no JSON");
		status = append_read_one(ret, one, err);
	}
	return status;
}

static tide_status append_list(struct append_body *body, struct tide_error *err)
{
	body->list = alloc_zero(body->append.count + 1, sizeof *body->list);
	if (!body->list)
		return alloc_fail(err);
	for (size_t i = 0; i < body->append.count; i++) {
		struct event_json *event = &body->events[i];
		body->list[i] = event->event;
		if (event->event.occurred_at) /* it points into what has moved since */
			body->list[i].occurred_at = &event->occurred_at;
	}
	body->append.events = body->list;
	return TIDE_OK;
}

static void append_answer(struct http_job *job, const struct append_body *body,
			  const struct tide_append_result *result)
{
	struct buffer *answer = api_answer(job);
	job->reply.status = result->was_stored_before ? 200 : 201;
	json_open(answer, '{');
	stream_write_head(answer, body->append.stream, result->version);
	json_add_integer(answer, "first_position", result->first_position);
	json_add_integer(answer, "global_position", result->last_position);

	json_key(answer, "event_ids");
	json_open(answer, '[');
	for (size_t i = 0; i < body->append.count; i++)
		json_uuid(answer, &body->list[i].event_id);
	json_close(answer, ']');
	json_add_bool(answer, "was_stored_before", result->was_stored_before);
	json_close(answer, '}');
	api_close(job);
	reply_version(&job->reply, result->version);
}

static void append_fail(struct http_job *job, const struct append_body *body, tide_version actual,
			const struct tide_error *err)
{
	struct buffer members = { 0 };
	int64_t expected = body->append.expected;
	if (err->status == TIDE_CONFLICT) {
		if (expected >= 0)
			buffer_format(&members, ",\"expected\":%" PRId64, expected);
		else
			buffer_format(&members, ",\"expected\":\"%s\"",
				      expected == TIDE_ANY ? "any" : "exists");
		buffer_format(&members, ",\"actual\":%d", (int)actual);
	}
	reply_fail(&job->reply, err, &members);
	buffer_fini(&members);
}

void route_append(struct http_job *job)
{
	struct append_body body = { 0 };
	struct tide_append_result result = { 0 };
	struct tide_error err;
	struct api_call call;

	if (!api_stream(job, 0, &body.append.stream) ||
	    !append_read_expected(job, &body.append.expected) || !api_begin(job, &call))
		return;
	tide_status status = append_read_body(job, &body, &err);
	if (status == TIDE_OK)
		status = append_list(&body, &err);
	if (status == TIDE_OK)
		status = tide_store_append(call.store, &body.append, &result, &err);
	if (status == TIDE_OK)
		append_answer(job, &body, &result);
	else
		append_fail(job, &body, result.version, &err);
	append_fini(&body);
	api_end(&call);
}

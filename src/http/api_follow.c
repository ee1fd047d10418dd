/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginning to follow the feed: where, and by which filter.
 *
 * A client that comes back says in Last-Event-ID which event it has seen last, and goes on behind
 * it; else it says `after`, or begins with what is stored from now on.
 */
#include <string.h>

#include "core/text.h"
#include "http/api.h"
#include "http/stream.h"
#include "sys/alloc.h"

/* Whether it says where; else it is the end. */
static bool follow_read_position(struct http_job *job, struct tide_bound *ret)
{
	const struct tide_text *last = head_field(&job->head, "Last-Event-ID");
	struct json_token token = { .kind = JSON_NUMBER };
	int64_t number;

	if (!last || last->size == 0)
		return api_number(job, "after", 0, INT64_MAX, ret);
	token.text = *last;
	for (size_t i = 0; i < last->size; i++)
		if (last->data[i] < '0' || last->data[i] > '9')
			return api_refuse(job, "Last-Event-ID is no position");
	if (!json_int(&token, &number))
		return api_refuse(job, "Last-Event-ID is no position");
	*ret = tide_bound(number);
	return true;
}

static uint64_t follow_mix(uint64_t key, const void *data, size_t size)
{
	return (key ^ fnv1a64(data, size)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* An id of zeros is none of what is stored; no id is all of it. */
static uint64_t follow_mix_id(uint64_t key, const struct tide_uuid *id)
{
	return follow_mix(key, id, id ? sizeof *id : 0);
}

static uint64_t follow_key(const struct http_stream *stream)
{
	uint64_t key = 1;
	for (size_t i = 0; stream->types[i]; i++)
		key = follow_mix(key, stream->types[i], strlen(stream->types[i]));
	key = follow_mix(key, "", 1);
	for (size_t i = 0; stream->aggregates[i]; i++)
		key = follow_mix(key, stream->aggregates[i], strlen(stream->aggregates[i]));
	key = follow_mix_id(key, stream->filter.tenant_id);
	return follow_mix_id(key, stream->filter.aggregate_id);
}

/* The target moves into the stream, since its filter points there. */
static bool follow_read_filter(struct http_job *job, struct http_stream *stream)
{
	bool has_tenant, has_aggregate;
	if (!api_uuid(job, "tenant", &stream->tenant_id, &has_tenant) ||
	    !api_uuid(job, "aggregate_id", &stream->aggregate_id, &has_aggregate))
		return false;
	api_list(job, "type", stream->types);
	api_list(job, "aggregate_type", stream->aggregates);
	stream->filter = (struct tide_filter){
		.event_types = stream->types[0] ? stream->types : NULL,
		.aggregate_types = stream->aggregates[0] ? stream->aggregates : NULL,
		.tenant_id = has_tenant ? &stream->tenant_id : NULL,
		.aggregate_id = has_aggregate ? &stream->aggregate_id : NULL,
	};
	stream->key = follow_key(stream);
	return true;
}

static tide_status follow_begin(struct api_call *call, struct tide_bound after,
				struct http_stream *stream, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	if (after.is_set)
		stream->position = after.value;
	else
		status = tide_store_end(call->store, &stream->position, err);
	stream->was_read = !after.is_set;
	stream->told = stream->position;
	stream->has_room = true;
	return status == TIDE_OK ? stream_open(call->job->server, call->pin, stream, err) : status;
}

void route_follow(struct http_job *job)
{
	struct http_stream *stream = alloc_zero(1, sizeof *stream);
	struct tide_bound after;
	struct tide_error err;
	struct api_call call;

	if (!stream) {
		job->reply.body.failed = true;
		return;
	}
	if (!follow_read_position(job, &after) || !follow_read_filter(job, stream) ||
	    !api_begin(job, &call)) {
		tide_free(stream);
		return;
	}
	stream->target = job->target;
	job->target = (struct http_target){ 0 };
	if (follow_begin(&call, after, stream, &err) == TIDE_OK) {
		job->stream = stream;
	} else {
		target_fini(&stream->target);
		tide_free(stream);
		reply_fail(&job->reply, &err, NULL);
	}
	api_end(&call);
}

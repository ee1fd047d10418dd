/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/memory/log.h"

#include <assert.h>
#include <string.h>

#include "sys/alloc.h"

#define TEXTS_BLOCK (UINT64_C(1) << 20)

struct log *log_new(void)
{
	return alloc_zero(1, sizeof(struct log));
}

static void log_free_streams(struct log *log)
{
	for (size_t i = 0; i < log->stream_count; i++) {
		tide_free((char *)log->streams[i]->stream.aggregate_type);
		tide_free(log->streams[i]->positions);
		tide_free(log->streams[i]);
	}
	tide_free(log->streams);
}

void log_free(struct log *log)
{
	while (log) {
		struct log *retired = log->retired;
		for (size_t i = 0; i < LOG_CHUNKS; i++)
			tide_free(log->chunks[i]);
		while (log->texts) {
			struct log_texts *next = log->texts->next;
			tide_free(log->texts);
			log->texts = next;
		}
		log_free_streams(log);
		index_fini(&log->by_event_id);
		index_fini(&log->by_stream);
		tide_free(log);
		log = retired;
	}
}

/* ---- Finding --------------------------------------------------------------------------------- */

tide_position log_find(const struct log *log, const struct tide_uuid *event_id)
{
	uint64_t hash = hash_uuid(event_id);
	tide_position position;
	for (size_t probe = 0; (position = index_next(&log->by_event_id, hash, &probe)) != 0;)
		if (tide_uuid_equal(&log_at(log, position)->event_id, event_id))
			return position;
	return 0;
}

struct log_stream *log_find_stream(const struct log *log, struct tide_stream stream)
{
	uint64_t hash = hash_uuid_name(&stream.aggregate_id, stream.aggregate_type);
	int64_t place;
	for (size_t probe = 0; (place = index_next(&log->by_stream, hash, &probe)) != 0;) {
		struct log_stream *found = log->streams[place - 1];
		if (tide_uuid_equal(&found->stream.aggregate_id, &stream.aggregate_id) &&
		    strcmp(found->stream.aggregate_type, stream.aggregate_type) == 0)
			return found;
	}
	return NULL;
}

/* ---- Making room: everything that can fail comes before anything is changed ------------------ */

static tide_status log_reserve_events(struct log *log, size_t more, struct tide_error *err)
{
	tide_position last =
		atomic_load_explicit(&log->end, memory_order_relaxed) + (tide_position)more;
	uint64_t n = (uint64_t)last - 1 + (UINT64_C(1) << LOG_FIRST_BITS);
	unsigned chunk = 63u - (unsigned)__builtin_clzll(n) - LOG_FIRST_BITS;

	assert(chunk < LOG_CHUNKS);
	for (unsigned i = 0; i <= chunk; i++) {
		if (log->chunks[i])
			continue;
		log->chunks[i] =
			alloc_zero((size_t)1 << (i + LOG_FIRST_BITS), sizeof(struct tide_event));
		if (!log->chunks[i])
			return alloc_fail(err);
	}
	return index_reserve(&log->by_event_id, more, err);
}

static void log_stream_free(struct log_stream *stream)
{
	tide_free((char *)stream->stream.aggregate_type);
	tide_free(stream);
}

static tide_status log_add_stream(struct log *log, struct tide_stream stream,
				  struct log_stream **ret, struct tide_error *err)
{
	if (log->stream_count == log->stream_capacity) {
		size_t capacity = log->stream_capacity ? log->stream_capacity * 2 : 64;
		struct log_stream **streams = alloc_resize(log->streams, capacity, sizeof *streams);
		if (!streams)
			return alloc_fail(err);
		log->streams = streams;
		log->stream_capacity = capacity;
	}
	tide_status status = index_reserve(&log->by_stream, 1, err);
	if (status != TIDE_OK)
		return status;

	struct log_stream *added = alloc_zero(1, sizeof *added);
	if (!added)
		return alloc_fail(err);
	added->stream.aggregate_id = stream.aggregate_id;
	added->stream.aggregate_type =
		alloc_text(stream.aggregate_type, strlen(stream.aggregate_type));
	if (!added->stream.aggregate_type) {
		log_stream_free(added);
		return alloc_fail(err);
	}
	log->streams[log->stream_count++] = added;
	index_put(&log->by_stream, hash_uuid_name(&stream.aggregate_id, stream.aggregate_type),
		  (int64_t)log->stream_count);
	*ret = added;
	return TIDE_OK;
}

/* A stream made here and left empty by a later failure is as good as absent. */
static tide_status log_reserve_stream(struct log *log, struct tide_stream stream, size_t more,
				      struct tide_error *err)
{
	struct log_stream *found = log_find_stream(log, stream);
	if (!found) {
		tide_status status = log_add_stream(log, stream, &found, err);
		if (status != TIDE_OK)
			return status;
	}

	size_t needed = (size_t)found->version + more;
	if (needed <= found->capacity)
		return TIDE_OK;

	size_t capacity = found->capacity * 2 > needed ? found->capacity * 2 : needed;
	tide_position *positions = alloc_resize(found->positions, capacity, sizeof *positions);
	if (!positions)
		return alloc_fail(err);

	found->positions = positions;
	found->capacity = capacity;
	return TIDE_OK;
}

static char *log_reserve_text(struct log *log, size_t size)
{
	struct log_texts *block = log->texts;
	if (!block || block->size - block->used < size) {
		size_t block_size = size > TEXTS_BLOCK / 4 ? size : TEXTS_BLOCK;
		if (!block && size <= 4096)
			block_size = 4096; /* many stores of tests stay tiny */
		block = alloc_zero(1, sizeof *block + block_size);
		if (!block)
			return NULL;
		block->size = block_size;
		block->next = log->texts;
		log->texts = block;
	}

	char *text = block->data + block->used;
	block->used += size;
	return text;
}

/* ---- Inserting ------------------------------------------------------------------------------- */

static struct tide_text log_copy_text(char **at, struct tide_text text)
{
	if (!text.data)
		return text;
	memcpy(*at, text.data, text.size);
	(*at)[text.size] = '\0';
	struct tide_text copy = { *at, text.size };
	*at += text.size + 1;
	return copy;
}

static tide_status log_copy_event(struct log *log, struct tide_event *ret,
				  const struct tide_event *event, struct tide_error *err)
{
	size_t size = event->event_type.size + event->aggregate_type.size + event->actor_id.size +
		      event->metadata.size + event->payload.size + 5;
	char *at = log_reserve_text(log, size);
	if (!at)
		return alloc_fail(err);

	*ret = *event;
	ret->event_type = log_copy_text(&at, event->event_type);
	ret->aggregate_type = log_copy_text(&at, event->aggregate_type);
	ret->actor_id = log_copy_text(&at, event->actor_id);
	ret->metadata = log_copy_text(&at, event->metadata);
	ret->payload = log_copy_text(&at, event->payload);
	ret->undecodable = ret->event_id_text = NULL;
	return TIDE_OK;
}

/*
 * Copy the events behind the end, where no reader looks; `*next` is the position after the last
 * one. `last` is the version decided for the last of them: commits of the same stream may stand
 * before this one in the same call.
 */
static tide_status log_copy_commit(struct log *log, const struct tide_commit *commit,
				   tide_version last, tide_position *next, struct tide_time now,
				   struct tide_error *err)
{
	tide_version version = last - (tide_version)commit->count;
	const struct log_stream *stream = log_find_stream(log, commit->stream);
	size_t more = (size_t)(last - (stream ? stream->version : 0));
	tide_status status = log_reserve_stream(log, commit->stream, more, err);

	for (size_t i = 0; status == TIDE_OK && i < commit->count; i++, ++*next) {
		struct tide_event *event = log_at(log, *next);
		status = log_copy_event(log, event, &commit->events[i], err);
		if (status != TIDE_OK)
			return status;
		event->position = *next;
		event->version = version + (tide_version)i + 1;
		event->stored_at = now;
	}
	return status;
}

static void log_index_events(struct log *log, tide_position first, tide_position last)
{
	for (tide_position position = first; position <= last; position++)
		index_put(&log->by_event_id, hash_uuid(&log_at(log, position)->event_id), position);
}

static void log_extend_stream(struct log *log, const struct tide_commit *commit,
			      tide_position first, struct tide_append_result *ret)
{
	struct log_stream *stream = log_find_stream(log, commit->stream);
	for (size_t i = 0; i < commit->count; i++)
		stream->positions[stream->version++] = first + (tide_position)i;
	*ret = (struct tide_append_result){
		.version = stream->version,
		.first_position = first,
		.last_position = first + (tide_position)commit->count - 1,
	};
}

tide_status log_insert(struct log *log, const struct tide_commit *commits, size_t count,
		       struct tide_append_result *results, struct tide_error *err)
{
	size_t total = 0;
	for (size_t i = 0; i < count; i++)
		total += results[i].was_stored_before ? 0 : commits[i].count;
	if (total == 0)
		return TIDE_OK;

	tide_status status = log_reserve_events(log, total, err);
	tide_position first = atomic_load_explicit(&log->end, memory_order_relaxed) + 1;
	tide_position next = first;
	struct tide_time now = tide_time_now();
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		if (!results[i].was_stored_before)
			status = log_copy_commit(log, &commits[i], results[i].version, &next, now,
						 err);
	if (status != TIDE_OK)
		return status;

	log_index_events(log, first, next - 1);
	for (size_t i = 0; i < count; i++) {
		if (results[i].was_stored_before)
			continue;
		log_extend_stream(log, &commits[i], first, &results[i]);
		first += (tide_position)commits[i].count;
	}
	atomic_store_explicit(&log->end, next - 1, memory_order_release);
	return TIDE_OK;
}

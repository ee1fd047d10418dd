/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading for streams: a thread a store, while somebody follows it.
 *
 * Happy path: a ring of the store's bell; streams that stand at one position and have one filter
 * share the page that is read, from the tail, and its text; each gets a reference, and one write.
 * Failure modes: a socket has no room: its stream stays where it is, and its pages are read when it
 * has some, by then perhaps from the store. A read fails: all wait, and it is tried again. The
 * store is to be closed: its streams end.
 */
#include "http/stream.h"

#include <poll.h>
#include <string.h>

#include "core/event.h"
#include "path/follow.h"
#include "supervise/manager.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define STREAM_PAGE_EVENTS 256
#define STREAM_PAGE_BYTES (64 << 10)
#define STREAM_POLL_NS (500 * NS_PER_MS)
/* between two rounds for many: each event alone would cost a write for each of them */
#define STREAM_REST_MS 20
#define STREAM_MANY 16
#define STREAM_TELL 1000 /* positions passed over until a client is told where it is */
#define STREAM_SHARED 8  /* pages of a round that may be shared */

/** A page that was read in this round. */
struct shared_page {
	tide_position after, to;
	uint64_t key;
	struct http_block *block; /* NULL: it has no events */
};

struct streamer {
	struct streamer *next; /* under the server's lock */
	/* fixed */
	struct tide_http *server;
	struct http_source *source; /* kept */
	struct tide_store *store;
	struct notify_link link;
	struct wakeup wakeup;
	struct thread thread;

	/* its thread's */
	struct tide_page page;
	struct http_stream **ready;
	size_t capacity;
	struct shared_page shared[STREAM_SHARED];
	size_t shared_count;
	struct mono_time look_at;
	struct tide_error told; /* TIDE_OK: the last read succeeded */

	/* under the server's lock */
	struct http_stream *streams;
	size_t count;
	bool has_ended;
};

/* ---- Blocks ---------------------------------------------------------------------------------- */

void block_put(struct http_block *block)
{
	if (!block || atomic_fetch_sub(&block->references, 1) > 1)
		return;
	buffer_fini(&block->text);
	tide_free(block);
}

static struct http_block *block_get(struct http_block *block)
{
	if (block)
		atomic_fetch_add(&block->references, 1);
	return block;
}

/* JSON is one line here: line feeds in it are white space. It is written into a buffer of its own,
 * since json_* look at what stands before them. */
static void block_add_event(struct http_block *block, const struct tide_event *event,
			    struct buffer *json)
{
	json->size = 0;
	event_write_json(json, event);
	for (size_t i = 0; !json->failed && i < json->size; i++)
		if (json->data[i] == '\n' || json->data[i] == '\r')
			json->data[i] = ' ';
	buffer_format(&block->text, "id: %lld\ndata: ", (long long)event->position);
	if (!json->failed)
		buffer_add(&block->text, json->data, json->size);
	buffer_add(&block->text, "\n\n", 2);
	block->text.failed = block->text.failed || json->failed;
}

static struct http_block *block_new(const struct tide_page *page)
{
	struct http_block *block = alloc_zero(1, sizeof *block);
	struct buffer json = { 0 };
	if (!block)
		return NULL;
	atomic_store(&block->references, 1);
	for (size_t i = 0; i < page->count; i++)
		block_add_event(block, &page->entries[i].event, &json);
	buffer_fini(&json);
	if (!block->text.failed)
		return block;
	block_put(block);
	return NULL;
}

/* Where a client is, so that it goes on there: an event without data is none. */
static struct http_block *block_of_position(tide_position position)
{
	struct http_block *block = alloc_zero(1, sizeof *block);
	if (!block)
		return NULL;
	atomic_store(&block->references, 1);
	buffer_format(&block->text, "id: %lld\n\n", (long long)position);
	if (!block->text.failed)
		return block;
	block_put(block);
	return NULL;
}

/* ---- A round --------------------------------------------------------------------------------- */

static void stream_free(struct http_stream *stream)
{
	target_fini(&stream->target);
	block_put(stream->block);
	tide_free(stream);
}

/* Away with those whose connection is gone. */
static void streamer_sweep_locked(struct streamer *streamer) TIDE_REQUIRES(streamer->server->lock)
{
	for (struct http_stream **at = &streamer->streams, *stream; (stream = *at);) {
		if (!stream->is_gone) {
			at = &stream->next;
			continue;
		}
		*at = stream->next;
		streamer->count--;
		streamer->server->stream_count--;
		stream_free(stream);
	}
}

/* Those with room. */
static size_t streamer_gather(struct streamer *streamer)
{
	size_t count = 0;

	mutex_lock(&streamer->server->lock);
	streamer_sweep_locked(streamer);
	if (streamer->count > streamer->capacity) {
		struct http_stream **ready =
			alloc_resize(streamer->ready, streamer->count, sizeof *ready);
		streamer->ready = ready ? ready : streamer->ready;
		streamer->capacity = ready ? streamer->count : streamer->capacity;
	}
	for (struct http_stream *stream = streamer->streams; stream; stream = stream->next) {
		if (!stream->has_room || stream->block || count == streamer->capacity)
			stream->is_behind = true;
		else
			streamer->ready[count++] = stream;
	}
	mutex_unlock(&streamer->server->lock);
	return count;
}

static struct shared_page *streamer_find(struct streamer *streamer,
					 const struct http_stream *stream)
{
	for (size_t i = 0; i < streamer->shared_count; i++)
		if (streamer->shared[i].after == stream->position &&
		    streamer->shared[i].key == stream->key)
			return &streamer->shared[i];
	return NULL;
}

static tide_status streamer_read(struct streamer *streamer, const struct http_stream *stream,
				 struct shared_page *ret, struct tide_error *err)
{
	struct follow_query query = { .after = stream->position,
				      .was_read = stream->was_read,
				      .filter = &stream->filter,
				      .max_events = STREAM_PAGE_EVENTS,
				      .max_bytes = STREAM_PAGE_BYTES,
				      .max_age_ns = STREAM_POLL_NS };
	struct mono_time look_at = MONO_NEVER;
	tide_status status = follow_page(streamer->store, &query, &streamer->page, &look_at, err);
	if (status != TIDE_OK)
		return status;

	streamer->look_at = mono_min(streamer->look_at, look_at);
	*ret = (struct shared_page){ .after = stream->position,
				     .to = streamer->page.scanned_to,
				     .key = stream->key };
	if (streamer->page.count == 0)
		return TIDE_OK;
	ret->block = block_new(&streamer->page);
	return ret->block ? TIDE_OK : alloc_fail(err);
}

/* Give it the page: whether it has moved. */
static bool streamer_give(struct streamer *streamer, struct http_stream *stream,
			  const struct shared_page *page)
{
	struct tide_http *server = streamer->server;
	struct http_block *block = block_get(page->block);
	bool has_moved = page->to > stream->position;

	if (!block && page->to - stream->told >= STREAM_TELL)
		block = block_of_position(page->to);
	stream->position = page->to;
	stream->was_read = stream->was_read || has_moved;
	if (block)
		stream->told = page->to;

	mutex_lock(&server->lock);
	stream->is_behind = has_moved;
	if (block && stream->is_gone) { /* since it was gathered */
		block_put(block);
	} else if (block) {
		stream->block = block;
		stream->has_room = false;
		if (!stream->is_fed) {
			stream->next_fed = server->fed;
			server->fed = stream;
			stream->is_fed = true;
		}
	}
	mutex_unlock(&server->lock);
	return has_moved;
}

static void streamer_forget(struct streamer *streamer)
{
	for (size_t i = 0; i < streamer->shared_count; i++)
		block_put(streamer->shared[i].block);
	streamer->shared_count = 0;
}

static tide_status streamer_serve(struct streamer *streamer, struct http_stream *stream,
				  bool *ret_has_moved, struct tide_error *err)
{
	struct shared_page *page = streamer_find(streamer, stream);
	if (!page) {
		struct shared_page read;
		tide_status status = streamer_read(streamer, stream, &read, err);
		if (status != TIDE_OK)
			return status;
		if (streamer->shared_count == STREAM_SHARED)
			streamer_forget(streamer);
		page = &streamer->shared[streamer->shared_count++];
		*page = read;
	}
	*ret_has_moved = streamer_give(streamer, stream, page) || *ret_has_moved;
	return TIDE_OK;
}

static void streamer_tell(struct streamer *streamer, tide_status status,
			  const struct tide_error *err)
{
	if (status == TIDE_OK) {
		streamer->told.status = TIDE_OK;
		return;
	}
	if (streamer->told.status == TIDE_OK || strcmp(streamer->told.message, err->message) != 0)
		log_at(TIDE_LOG_WARNING, "http", "events cannot be read for streams; trying again",
		       "error='%s'", err->message);
	streamer->told = *err;
}

/* One page for each that has room; whether one of them has moved. */
static bool streamer_round(struct streamer *streamer)
{
	size_t count = streamer_gather(streamer);
	bool has_moved = false;
	tide_status status = TIDE_OK;
	struct tide_error err;

	streamer->look_at = mono_add(clock_mono(&clock_system), STREAM_POLL_NS);
	for (size_t i = 0; status == TIDE_OK && i < count; i++)
		status = streamer_serve(streamer, streamer->ready[i], &has_moved, &err);
	streamer_forget(streamer);
	streamer_tell(streamer, status, &err);
	if (count > 0)
		server_ring(streamer->server);
	if (has_moved && count > STREAM_MANY)
		(void)poll(NULL, 0, STREAM_REST_MS);
	return has_moved && status == TIDE_OK;
}

/* ---- The thread ------------------------------------------------------------------------------ */

static bool streamer_should_end(struct streamer *streamer)
{
	struct tide_http *server = streamer->server;
	mutex_lock(&server->lock);
	bool should_end = server->should_end;
	mutex_unlock(&server->lock);
	return should_end || sources_is_leaving(server->sources, streamer->source);
}

/* All of its streams are over; who is to free them finds that nobody else will. */
static void streamer_finish(struct streamer *streamer)
{
	struct tide_http *server = streamer->server;
	mutex_lock(&streamer->server->lock);
	streamer_sweep_locked(streamer); /* the loop is told of none that is gone */
	for (struct http_stream *stream = streamer->streams; stream; stream = stream->next) {
		stream->is_over = true;
		if (!stream->is_fed) {
			stream->next_fed = server->fed;
			server->fed = stream;
			stream->is_fed = true;
		}
	}
	streamer->has_ended = true;
	server->streamers_alive--;
	cond_broadcast(&server->returned);
	mutex_unlock(&streamer->server->lock);
	server_ring(server);
}

static void streamer_live(void *self)
{
	struct streamer *streamer = self;
	struct tide_error err;
	bool is_linked = notifier_add(streamer->store->notifier, &streamer->link, &err) == TIDE_OK;
	if (!is_linked)
		log_at(TIDE_LOG_WARNING, "http", "streams are not rung; they look now and then",
		       "error='%s'", err.message);

	while (!streamer_should_end(streamer)) {
		(void)wakeup_reset(&streamer->wakeup);
		if (!streamer_round(streamer))
			wakeup_wait(&streamer->wakeup, streamer->look_at);
	}
	if (is_linked)
		notifier_remove(streamer->store->notifier, &streamer->link);
	tide_page_fini(&streamer->page);
	streamer_finish(streamer);
	sources_release(streamer->server->sources, streamer->source);
}

/* ---- From outside ---------------------------------------------------------------------------- */

static void streamer_free(struct streamer *streamer)
{
	struct http_stream *stream;
	thread_join(&streamer->thread);
	while ((stream = streamer->streams)) {
		streamer->streams = stream->next;
		stream_free(stream);
	}
	wakeup_fini(&streamer->wakeup);
	tide_free(streamer->ready);
	tide_free(streamer);
}

static tide_status streamer_new(struct tide_http *server, const struct http_pin *pin,
				struct streamer **ret, struct tide_error *err)
{
	struct streamer *streamer = alloc_zero(1, sizeof *streamer);
	if (!streamer)
		return alloc_fail(err);
	streamer->server = server;
	streamer->source = pin->source;
	streamer->store = pin->manager->engine.store;
	tide_page_init(&streamer->page);
	wakeup_init(&streamer->wakeup);
	streamer->link = (struct notify_link){ .wakeup = &streamer->wakeup, .name = "" };
	*ret = streamer;
	return TIDE_OK;
}

static struct streamer *streams_find_locked(struct tide_http *server,
					    const struct http_source *source)
	TIDE_REQUIRES(server->lock)
{
	for (struct streamer *streamer = server->streamers; streamer; streamer = streamer->next)
		if (streamer->source == source && !streamer->has_ended)
			return streamer;
	return NULL;
}

static void stream_add_locked(struct tide_http *server, struct streamer *streamer,
			      struct http_stream *stream) TIDE_REQUIRES(server->lock)
{
	stream->streamer = streamer;
	stream->next = streamer->streams;
	streamer->streams = stream;
	streamer->count++;
	server->stream_count++;
}

/* Start a thread for the store, unless another worker was faster. */
static tide_status streams_start(struct tide_http *server, const struct http_pin *pin,
				 struct http_stream *stream, struct tide_error *err)
{
	struct streamer *streamer = NULL, *other;
	tide_status status = streamer_new(server, pin, &streamer, err);
	if (status != TIDE_OK)
		return status;

	mutex_lock(&server->lock);
	other = streams_find_locked(server, pin->source);
	stream_add_locked(server, other ? other : streamer, stream);
	if (!other) {
		streamer->next = server->streamers;
		server->streamers = streamer;
		server->streamers_alive++;
	}
	mutex_unlock(&server->lock);
	if (other) {
		streamer_free(streamer);
		return TIDE_OK;
	}

	sources_keep(server->sources, pin->source);
	status = thread_start(&streamer->thread, "tide streams", streamer_live, streamer, err);
	if (status != TIDE_OK) {
		tide_page_fini(&streamer->page);
		sources_release(server->sources, pin->source);
		streamer_finish(streamer);
	}
	return TIDE_OK; /* without a thread the stream is over, which the loop is told */
}

tide_status stream_open(struct tide_http *server, const struct http_pin *pin,
			struct http_stream *stream, struct tide_error *err)
{
	mutex_lock(&server->lock);
	bool is_full = server->stream_count >= HTTP_STREAMS_MAX;
	struct streamer *streamer = is_full ? NULL : streams_find_locked(server, pin->source);
	if (streamer)
		stream_add_locked(server, streamer, stream);
	mutex_unlock(&server->lock);

	if (is_full)
		return tide_fail(err, TIDE_BUSY, "%d streams are followed already",
				 HTTP_STREAMS_MAX);
	if (!streamer)
		return streams_start(server, pin, stream, err);
	wakeup_ring(&streamer->wakeup, RING_CONTROL);
	return TIDE_OK;
}

static void stream_unfeed_locked(struct tide_http *server, struct http_stream *stream)
	TIDE_REQUIRES(server->lock)
{
	struct http_stream **at = &server->fed;
	while (stream->is_fed && *at && *at != stream)
		at = &(*at)->next_fed;
	if (stream->is_fed && *at)
		*at = stream->next_fed;
	stream->is_fed = false;
}

void stream_drop(struct http_stream *stream)
{
	struct streamer *streamer = stream->streamer;
	struct tide_http *server = streamer->server;

	mutex_lock(&server->lock);
	stream_unfeed_locked(server, stream);
	stream->is_gone = true;
	bool is_mine = streamer->has_ended;
	if (is_mine) {
		struct http_stream **at = &streamer->streams;
		while (*at != stream)
			at = &(*at)->next;
		*at = stream->next;
		streamer->count--;
		server->stream_count--;
	}
	mutex_unlock(&server->lock);
	if (is_mine)
		stream_free(stream);
	else
		wakeup_ring(&streamer->wakeup, RING_CONTROL);
}

void stream_has_room(struct http_stream *stream)
{
	struct streamer *streamer = stream->streamer;
	mutex_lock(&streamer->server->lock);
	bool is_awaited = stream->is_behind && !stream->has_room;
	stream->has_room = true;
	mutex_unlock(&streamer->server->lock);
	if (is_awaited)
		wakeup_ring(&streamer->wakeup, RING_CONTROL);
}

struct http_stream *stream_take(struct tide_http *server, struct http_block **ret,
				bool *ret_is_over)
{
	mutex_lock(&server->lock);
	struct http_stream *stream = server->fed;
	if (stream) {
		server->fed = stream->next_fed;
		stream->is_fed = false;
		*ret_is_over = stream->is_over;
		/* without a connection it keeps what it was given */
		*ret = stream->connection ? stream->block : NULL;
		if (stream->connection)
			stream->block = NULL;
	}
	mutex_unlock(&server->lock);
	return stream;
}

struct http_block *stream_take_own(struct http_stream *stream, bool *ret_is_over)
{
	struct tide_http *server = stream->streamer->server;
	mutex_lock(&server->lock);
	struct http_block *block = stream->block;
	stream->block = NULL;
	*ret_is_over = stream->is_over;
	mutex_unlock(&server->lock);
	return block;
}

bool streams_end(struct tide_http *server, struct mono_time deadline)
{
	bool has_returned = true;
	/* nobody adds one any more: the workers have ended */
	for (struct streamer *streamer = server->streamers; streamer; streamer = streamer->next)
		wakeup_ring(&streamer->wakeup, RING_CONTROL);

	mutex_lock(&server->lock);
	while (server->streamers_alive > 0 && has_returned)
		has_returned = cond_wait_until(&server->returned, &server->lock, deadline);
	has_returned = server->streamers_alive == 0;
	mutex_unlock(&server->lock);
	return has_returned;
}

void streams_free(struct tide_http *server)
{
	struct streamer *streamer;
	while ((streamer = server->streamers)) {
		server->streamers = streamer->next;
		streamer_free(streamer);
	}
}

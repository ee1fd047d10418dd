/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_STREAM_H
#define TIDE_HTTP_STREAM_H

/*
 * Streams of events, as server-sent events: whoever follows the feed over HTTP.
 *
 *   streamer (a thread a store) ── block ──▶ loop: socket
 *            ▲                                 │ has room again
 *            └─────────────────────────────────┘
 *
 * A stream has at most one block under way, and gets the next one when its socket has room. One
 * that reads slowly is read for again later, from the store: it costs no memory and loses nothing.
 */

#include <stdatomic.h>

#include "http/http.h"
#include "path/notify.h"

/** Bytes of events, shared by the streams that stand at the same position. */
struct http_block {
	atomic_int references;
	struct buffer text;
};
void block_put(struct http_block *block);

struct http_stream {
	struct streamer *streamer;
	/* fixed after open */
	struct http_target target; /* what the filter points to */
	struct tide_filter filter;
	const char *types[TARGET_PARAMETERS_MAX + 1], *aggregates[TARGET_PARAMETERS_MAX + 1];
	struct tide_uuid tenant_id, aggregate_id;
	uint64_t key; /* of the filter: streams with the same one have the same events */

	/* the streamer's */
	tide_position position;
	tide_position told; /* the last id that the client has */
	bool was_read;      /* position comes from the store, not from the client */

	/* the loop's */
	struct connection *connection; /* NULL: not yet */

	/* under the server's lock */
	struct http_stream *next;     /* of its streamer */
	struct http_stream *next_fed; /* of what the loop is to look at */
	struct http_block *block;     /* for the loop */
	bool is_fed;
	bool has_room;  /* the loop would take a block */
	bool is_behind; /* there is more when it has */
	bool is_over;   /* its store is not shown any more */
	bool is_gone;   /* the connection is */
};

/** Begin a stream behind a position; takes the target. Called by a worker. TIDE_BUSY: there are
 * HTTP_STREAMS_MAX; TIDE_OUT_OF_MEMORY. */
tide_status stream_open(struct tide_http *server, const struct http_pin *pin,
			struct http_stream *stream, struct tide_error *err);
/** The connection is gone, or was never there. Any thread but a streamer's. */
void stream_drop(struct http_stream *stream);
/** Its socket has room. Loop thread. */
void stream_has_room(struct http_stream *stream);
/** The next stream with something for the loop; NULL: none. `*ret`, which may be NULL, is the
 * block. */
struct http_stream *stream_take(struct tide_http *server, struct http_block **ret,
				bool *ret_is_over);
/** What was meant for it before it had a connection. Loop thread. */
struct http_block *stream_take_own(struct http_stream *stream, bool *ret_is_over);
/** End the streamers; false: one has not returned by the deadline. */
bool streams_end(struct tide_http *server, struct mono_time deadline);
void streams_free(struct tide_http *server);

#endif

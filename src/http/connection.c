/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: requests are read one after the other, each is answered before the next is looked
 * at.
 *
 *   HEAD ──▶ BODY ──▶ WORKING ──▶ WRITING ──▶ HEAD
 *                        └──▶ STREAMING ──▶ LAST
 *     │        │                     │ the connection is not kept
 *     └────────┴──── refused ──▶ LAST ──▶ ENDING ──▶ gone
 *
 * Happy path: a head is read and admitted, its body follows, a worker answers, the answer is
 * written. Failure modes: whoever needs longer for a head than 10 s, or for a body than 60 s, is
 * told 408, or cut off where hands are not shaken yet; whoever does not read the answer for 30 s is
 * cut off; whatever cannot be read as a request is refused and the connection ends, since nobody
 * knows where the next one begins. The other side has a second to read a last answer before its
 * unread bytes reset the connection.
 */
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"
#include "http/stream.h"
#include "sys/alloc.h"

#define CONNECTION_HEAD_SECONDS 10
#define CONNECTION_KEPT_SECONDS 60
#define CONNECTION_BODY_SECONDS 60
#define CONNECTION_WRITE_SECONDS 30
#define CONNECTION_BEAT_SECONDS 15
#define CONNECTION_ROOM (64 << 10)              /* bytes of events that may wait to be written */
#define CONNECTION_READ_MAX (2 * HTTP_HEAD_MAX) /* bytes that wait to be looked at */

/* ---- Lists ----------------------------------------------------------------------------------- */

static struct connections *connection_list(struct connection *connection)
{
	struct tide_http *server = connection->server;
	if (connection->state == CONNECTION_STREAMING)
		return &server->streaming;
	return connection->state == CONNECTION_HEAD ? &server->waiting : &server->busy;
}

static void connection_unlink(struct connection *connection)
{
	struct connections *list = connection_list(connection);
	*(connection->previous ? &connection->previous->next : &list->first) = connection->next;
	*(connection->next ? &connection->next->previous : &list->last) = connection->previous;
	connection->next = connection->previous = NULL;
	list->count--;
}

static void connection_link(struct connection *connection)
{
	struct connections *list = connection_list(connection);
	connection->previous = list->last;
	*(list->last ? &list->last->next : &list->first) = connection;
	list->last = connection;
	list->count++;
}

/* ---- Moving ---------------------------------------------------------------------------------- */

static void connection_set_timer(struct connection *connection, long seconds)
{
	struct timeval time = { seconds, 0 };
	event_del(connection->timer);
	if (seconds > 0)
		event_add(connection->timer, &time);
}

static void connection_move(struct connection *connection, enum connection_state state)
{
	static const int seconds[] = {
		[CONNECTION_HEAD] = CONNECTION_HEAD_SECONDS,
		[CONNECTION_BODY] = CONNECTION_BODY_SECONDS,
		[CONNECTION_WORKING] = 0,
		[CONNECTION_WRITING] = 0,
		[CONNECTION_STREAMING] = CONNECTION_BEAT_SECONDS,
		[CONNECTION_LAST] = 0,
		[CONNECTION_ENDING] = 1,
	};
	static const struct timeval patience = { CONNECTION_WRITE_SECONDS, 0 };
	bool is_reading = state == CONNECTION_HEAD || state == CONNECTION_BODY ||
			  state == CONNECTION_STREAMING || state == CONNECTION_ENDING;
	bool is_writing = state == CONNECTION_WRITING || state == CONNECTION_LAST;

	connection_unlink(connection);
	connection->state = state;
	connection_link(connection);
	connection_set_timer(connection, state == CONNECTION_HEAD && connection->is_kept
						 ? CONNECTION_KEPT_SECONDS
						 : seconds[state]);
	bufferevent_set_timeouts(connection->stream, NULL, is_writing ? &patience : NULL);
	if (is_reading)
		bufferevent_enable(connection->stream, EV_READ);
	else
		bufferevent_disable(connection->stream, EV_READ);
}

void connection_free(struct connection *connection)
{
	if (connection->job) {
		if (connection->state == CONNECTION_WORKING)
			connection->job->connection = NULL;
		else
			job_free(connection->job);
	}
	if (connection->events)
		stream_drop(connection->events);
	connection_unlink(connection);
	event_free(connection->timer);
	bufferevent_free(connection->stream);
	server_look_whether_empty(connection->server);
	tide_free(connection);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void connection_write(struct connection *connection, const struct http_reply *reply)
{
	struct evbuffer *out = bufferevent_get_output(connection->stream);
	bool keeps = connection->keeps_alive;
	time_t now = time(NULL);
	char date[40];
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
	bool is_written = evbuffer_add_printf(out,
					      "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
					      "Content-Length: %zu\r\nCache-Control: no-store\r\n"
					      "X-Content-Type-Options: nosniff\r\n%s%s\r\n",
					      reply->status, reply_phrase(reply->status), date,
					      reply->type, reply->body.size, reply->fields,
					      keeps ? "" : "Connection: close\r\n") > 0;
	if (is_written && !connection->wants_head && reply->body.size > 0)
		is_written = evbuffer_add(out, reply->body.data, reply->body.size) == 0;
	if (is_written)
		connection_move(connection, keeps ? CONNECTION_WRITING : CONNECTION_LAST);
	else
		connection_free(connection);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void connection_let_go(const void *data, size_t size, void *self)
{
	(void)data;
	(void)size;
	block_put(self);
}

void connection_feed(struct connection *connection, struct http_block *block, bool is_over)
{
	struct evbuffer *out = bufferevent_get_output(connection->stream);
	if (block && evbuffer_add_reference(out, block->text.data, block->text.size,
					    connection_let_go, block) != 0) {
		block_put(block);
		connection_free(connection);
		return;
	}

	size_t waiting = evbuffer_get_length(out);
	if (is_over && waiting == 0)
		connection_free(connection);
	else if (is_over && connection->state == CONNECTION_STREAMING)
		connection_move(connection, CONNECTION_LAST);
	else if (waiting <= CONNECTION_ROOM)
		stream_has_room(connection->events);
}

/* What the system keeps of events that nobody reads is bounded, too; who is gone without a word is
 * found out. */
static void connection_bound(struct connection *connection)
{
	int fd = bufferevent_getfd(connection->stream), room = CONNECTION_ROOM, yes = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
}

static void connection_begin_events(struct connection *connection, struct http_job *job)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				   "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
				   "Connection: close\r\n\r\nretry: 1000\n\n";
	bool is_over;

	connection->events = job->stream;
	connection->events->connection = connection;
	job->stream = NULL;
	connection_bound(connection);
	if (evbuffer_add(bufferevent_get_output(connection->stream), head, sizeof head - 1) != 0) {
		connection_free(connection);
		return;
	}
	connection_move(connection, CONNECTION_STREAMING);
	struct http_block *block = stream_take_own(connection->events, &is_over);
	if (block || is_over)
		connection_feed(connection, block, is_over);
}

/* Tell who waits for events that the connection is there. */
static void connection_beat(struct connection *connection)
{
	struct evbuffer *out = bufferevent_get_output(connection->stream);
	if (evbuffer_get_length(out) == 0)
		(void)evbuffer_add(out, ":\n\n", 3);
	connection_set_timer(connection, CONNECTION_BEAT_SECONDS);
}

void connection_reply(struct connection *connection, struct http_job *job)
{
	assert(connection->state == CONNECTION_WORKING && connection->job == job);
	connection->job = NULL;
	if (job->stream && !connection->wants_head && !connection->server->is_ending) {
		connection_begin_events(connection, job);
		return;
	}
	if (job->stream) {
		job->reply.status = connection->server->is_ending ? 503 : 200;
		job->reply.type = "text/event-stream";
	}
	connection->keeps_alive = connection->keeps_alive && !connection->server->is_ending;
	connection_write(connection, &job->reply);
}

/* Answer what is no request, or is not to be one; nothing follows it. */
static void connection_refuse(struct connection *connection, int status, const char *why)
{
	struct http_reply reply = { 0 };
	reply_refuse(&reply, status, "%s", why);
	connection->keeps_alive = false;
	if (reply.body.failed)
		connection_free(connection);
	else
		connection_write(connection, &reply);
	reply_release(&reply);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* Only what brings events may be long: anybody who may connect may send a body. */
static uint64_t connection_body_max(const struct http_job *job)
{
	return job->route->body == HTTP_BODY_EVENTS ? HTTP_BODY_MAX : HTTP_BODY_SMALL_MAX;
}

/* Whether the route is there for who asks; else the job's reply says why not. */
static bool connection_admit(struct connection *connection, struct http_job *job)
{
	struct tide_http *server = connection->server;
	char allowed[32] = "";

	struct http_refusal refusal = target_read(job->head.target, &job->target);
	if (refusal.status == 0)
		refusal =
			route_find(server->routes, &job->head, &job->target, &job->route, allowed);
	if (refusal.status != 0) {
		reply_refuse(&job->reply, refusal.status, "%s", refusal.why);
		if (refusal.status == 405)
			reply_field(&job->reply, "Allow", allowed);
		return false;
	}

	mutex_lock(&server->lock);
	bool is_admitted =
		guard_admit(&server->guard, job->route, &job->head, &job->target, &job->reply);
	mutex_unlock(&server->lock);
	if (is_admitted && job->head.has_length && job->head.length > connection_body_max(job)) {
		reply_refuse(&job->reply, 413, "the body is longer than %u KiB",
			     (unsigned)(connection_body_max(job) >> 10));
		return false;
	}
	return is_admitted;
}

static bool connection_has_body(const struct http_job *job)
{
	return job->head.is_chunked || (job->head.has_length && job->head.length > 0);
}

static void connection_give(struct connection *connection)
{
	struct http_job *job = connection->job;
	connection_move(connection, CONNECTION_WORKING);
	work_give(connection->server, job);
}

static void connection_read_body(struct connection *connection)
{
	struct http_job *job = connection->job;
	struct evbuffer *in = bufferevent_get_input(connection->stream);
	struct http_refusal refusal = { 0 };
	struct evbuffer_iovec piece;
	bool is_whole = false;

	while (!is_whole && refusal.status == 0 && evbuffer_peek(in, -1, NULL, &piece, 1) > 0) {
		size_t used = piece.iov_len;
		if (job->head.is_chunked) {
			refusal = chunks_read(&connection->chunks, piece.iov_base, piece.iov_len,
					      connection_body_max(job), &job->body, &used);
			is_whole = connection->chunks.state == CHUNK_DONE;
		} else {
			uint64_t left = job->head.length - job->body.size;
			used = left < used ? (size_t)left : used;
			buffer_add(&job->body, piece.iov_base, used);
			is_whole = used == left;
		}
		evbuffer_drain(in, used);
		if (job->body.failed)
			refusal = (struct http_refusal){ 503, "memory is out" };
	}
	if (refusal.status != 0)
		connection_refuse(connection, refusal.status, refusal.why);
	else if (is_whole)
		connection_give(connection);
}

/* A head is here: its request is refused, or waits for its body, or is given to a worker. */
static void connection_begin(struct connection *connection, struct http_job *job)
{
	connection->wants_head = job->head.method == HTTP_HEAD;
	connection->keeps_alive = job->head.keeps_alive && !connection->server->is_ending;
	if (!connection_admit(connection, job)) {
		if (connection_has_body(job))
			connection->keeps_alive = false;
		connection_write(connection, &job->reply);
		job_free(job);
		return;
	}

	job->server = connection->server;
	job->connection = connection;
	connection->job = job;
	if (!connection_has_body(job)) {
		connection_give(connection);
		return;
	}
	connection->chunks = (struct http_chunks){ 0 };
	connection_move(connection, CONNECTION_BODY);
	if (job->head.expects_continue &&
	    evbuffer_get_length(bufferevent_get_input(connection->stream)) == 0)
		bufferevent_write(connection->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	connection_read_body(connection);
}

static void connection_take_head(struct connection *connection, struct evbuffer *in, size_t size)
{
	struct http_refusal refusal = { 503, "memory is out" };
	struct http_job *job = alloc_zero(1, sizeof *job);
	if (job)
		job->head_text = alloc_zero(size + 1, 1);
	connection->wants_head = false;
	if (job && job->head_text) {
		evbuffer_remove(in, job->head_text, size);
		refusal = head_read(job->head_text, size, &job->head);
	}

	if (refusal.status == 0) {
		connection_begin(connection, job);
		return;
	}
	connection_refuse(connection, refusal.status, refusal.why);
	job_free(job);
}

/* An empty line before a request is passed over (RFC 9112, 2.2). */
static void connection_skip_line(struct connection *connection, struct evbuffer *in)
{
	char line[2];
	if (connection->scan.at == 0 && evbuffer_copyout(in, line, 2) == 2 && line[0] == '\r' &&
	    line[1] == '\n')
		evbuffer_drain(in, 2);
}

static void connection_read_head(struct connection *connection)
{
	struct evbuffer *in = bufferevent_get_input(connection->stream);
	connection_skip_line(connection, in);
	size_t size = evbuffer_get_length(in), head_size;
	if (size == 0)
		return;
	if (connection->is_kept) { /* the next request has begun */
		connection->is_kept = false;
		connection_set_timer(connection, CONNECTION_HEAD_SECONDS);
	}
	size = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX;
	const char *text = (const char *)evbuffer_pullup(in, (ev_ssize_t)size);
	if (!text) {
		connection_free(connection);
		return;
	}

	struct http_refusal refusal = head_scan(&connection->scan, text, size, &head_size);
	if (refusal.status != 0) {
		connection->wants_head = false;
		connection_refuse(connection, refusal.status, refusal.why);
	} else if (head_size > 0) {
		connection->scan = (struct http_scan){ 0 };
		connection_take_head(connection, in, head_size);
	}
}

/* ---- What libevent calls --------------------------------------------------------------------- */

static void connection_on_read(struct bufferevent *stream, void *self)
{
	struct connection *connection = self;
	if (connection->state == CONNECTION_HEAD)
		connection_read_head(connection);
	else if (connection->state == CONNECTION_BODY)
		connection_read_body(connection);
	else if (connection->state == CONNECTION_ENDING ||
		 connection->state == CONNECTION_STREAMING)
		evbuffer_drain(bufferevent_get_input(stream), SIZE_MAX);
}

/* All is written. */
static void connection_on_write(struct bufferevent *stream, void *self)
{
	struct connection *connection = self;
	if (evbuffer_get_length(bufferevent_get_output(stream)) > 0)
		return;
	if (connection->state == CONNECTION_LAST) {
		tls_say_end(stream);
		shutdown(bufferevent_getfd(stream), SHUT_WR);
		connection_move(connection, CONNECTION_ENDING);
		connection_on_read(stream, connection);
	} else if (connection->state == CONNECTION_STREAMING) {
		stream_has_room(connection->events);
	} else if (connection->state == CONNECTION_WRITING) {
		connection->is_kept = true;
		connection_move(connection, CONNECTION_HEAD);
		connection_read_head(connection);
	}
}

static void connection_on_event(struct bufferevent *stream, short what, void *self)
{
	(void)stream;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		connection_free(self);
}

static void connection_on_timer(evutil_socket_t fd, short what, void *self)
{
	struct connection *connection = self;
	bool is_silent = connection->state == CONNECTION_ENDING || connection->is_kept ||
			 tls_is_shaking_hands(connection->stream);
	(void)fd;
	(void)what;

	if (connection->state == CONNECTION_STREAMING) {
		connection_beat(connection);
		return;
	}
	connection->wants_head = false;
	if (is_silent)
		connection_free(connection);
	else
		connection_refuse(connection, 408,
				  connection->state == CONNECTION_HEAD
					  ? "the head of the request did not come within 10 s"
					  : "the body of the request did not come within 60 s");
}

/* ---- From the server ------------------------------------------------------------------------- */

/* Takes the socket; NULL: no memory. */
static struct bufferevent *connection_stream(struct tide_http *server, int fd)
{
	struct bufferevent *stream;
	if (!server->speaks_tls) {
		stream = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
		if (!stream)
			close(fd);
		return stream;
	}
	mutex_lock(&server->lock);
	stream = tls_accept(server->tls, server->base, fd);
	mutex_unlock(&server->lock);
	return stream;
}

/* What is written goes out: by Nagle's algorithm the end of an answer, or the next event, would
 * wait until what was sent is acknowledged, 40 ms on Linux. */
static void connection_hurry(int fd)
{
	int yes = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

void connection_open(struct tide_http *server, int fd)
{
	connection_hurry(fd);
	struct connection *connection = alloc_zero(1, sizeof *connection);
	struct bufferevent *stream = connection_stream(server, fd);
	if (connection)
		connection->timer = evtimer_new(server->base, connection_on_timer, connection);
	if (!connection || !stream || !connection->timer) {
		if (stream)
			bufferevent_free(stream);
		if (connection && connection->timer)
			event_free(connection->timer);
		tide_free(connection);
		return;
	}

	connection->server = server;
	connection->stream = stream;
	connection_link(connection);
	bufferevent_setcb(stream, connection_on_read, connection_on_write, connection_on_event,
			  connection);
	bufferevent_setwatermark(stream, EV_READ, 0, CONNECTION_READ_MAX);
	connection_move(connection, CONNECTION_HEAD);
}

bool connection_evict(struct tide_http *server)
{
	if (!server->waiting.first)
		return false;
	connection_free(server->waiting.first);
	return true;
}

void connections_end(struct tide_http *server)
{
	while (server->streaming.first)
		connection_free(server->streaming.first);
	while (server->waiting.first)
		connection_free(server->waiting.first);
	for (struct connection *connection = server->busy.first, *next; connection;
	     connection = next) {
		next = connection->next;
		if (connection->state == CONNECTION_BODY)
			connection_free(connection);
		else if (connection->state == CONNECTION_WRITING)
			connection->state = CONNECTION_LAST; /* of the same list */
	}
}

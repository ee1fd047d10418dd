/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: it listens, and its loop thread has all sockets.
 *
 * Happy path: what is accepted becomes a connection; workers ring when a reply is made. Failure
 * modes: too many connections: the one that has waited longest for a head makes room, and where all
 * have requests under way the new one is told 503; no descriptor is left: accepting rests for a
 * tenth of a second; a worker hangs at the end: everything is left behind.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"
#include "http/stream.h"
#include "sys/alloc.h"
#include "sys/log.h"

#define SERVER_BACKLOG 512
#define SERVER_REST_US 100000

/* ---- The loop -------------------------------------------------------------------------------- */

/* One that expects TLS could not read it. */
static void server_refuse(const struct tide_http *server, int fd)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
				     "Content-Length: 0\r\nConnection: close\r\n\r\n";
	ssize_t sent = server->speaks_tls
			       ? 0
			       : send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sent; /* who does not take it sees the end of the connection */
	close(fd);
}

static void server_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
			     struct sockaddr *address, int size, void *self)
{
	struct tide_http *server = self;
	(void)listener;
	(void)address;
	(void)size;

	bool is_full = server->waiting.count + server->busy.count >= HTTP_CONNECTIONS_MAX;
	if (is_full && !connection_evict(server))
		server_refuse(server, fd);
	else
		connection_open(server, fd);
}

static void server_on_retry(evutil_socket_t fd, short what, void *self)
{
	struct tide_http *server = self;
	(void)fd;
	(void)what;
	if (server->listener)
		evconnlistener_enable(server->listener);
}

static void server_on_accept_error(struct evconnlistener *listener, void *self)
{
	struct timeval rest = { 0, SERVER_REST_US };
	struct tide_http *server = self;
	int code = errno;

	evconnlistener_disable(listener);
	event_add(server->retry_event, &rest);
	log_at(TIDE_LOG_WARNING, "http", "no connection could be accepted; trying again",
	       "error='%s'", strerror(code));
}

static void server_close_listener(struct tide_http *server)
{
	if (server->listener)
		evconnlistener_free(server->listener);
	server->listener = NULL;
}

static void server_feed(struct tide_http *server)
{
	struct http_stream *stream;
	struct http_block *block;
	bool is_over;
	while ((stream = stream_take(server, &block, &is_over)))
		if (stream->connection)
			connection_feed(stream->connection, block, is_over);
}

/* Give replies to their connections, and end when it is time. */
static void server_on_bell(evutil_socket_t fd, short what, void *self)
{
	struct tide_http *server = self;
	struct timeval patience = { 1, 0 };
	uint64_t rung;
	(void)what;

	ssize_t taken = read(fd, &rung, sizeof rung);
	(void)taken;
	mutex_lock(&server->lock);
	struct http_job *done = server->done;
	server->done = NULL;
	bool should_close = server->should_close, should_stop = server->should_stop;
	mutex_unlock(&server->lock);

	if (should_close && !server->is_ending) {
		server->is_ending = true;
		server_close_listener(server);
	}
	for (struct http_job *job = done, *next; job; job = next) {
		next = job->next;
		if (job->connection)
			connection_reply(job->connection, job);
		job_free(job);
	}
	server_feed(server);
	if (should_stop && !server->is_stopping) {
		server->is_stopping = true;
		connections_end(server);
		event_base_loopexit(server->base, &patience);
		server_look_whether_empty(server);
	}
}

static void server_live(void *self)
{
	struct tide_http *server = self;
	event_base_loop(server->base, EVLOOP_NO_EXIT_ON_EMPTY);
	server_close_listener(server);
	while (server->waiting.first)
		connection_free(server->waiting.first);
	while (server->streaming.first)
		connection_free(server->streaming.first);
	while (server->busy.first)
		connection_free(server->busy.first);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static bool server_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)address)
				     ->sin_addr.s_addr) >>
			       24 ==
		       127;
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(
		       &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static tide_status server_bind(struct tide_http *server, const struct addrinfo *address,
			       const char *shown, struct tide_error *err)
{
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
	server->listener =
		evconnlistener_new_bind(server->base, server_on_accept, server, flags,
					SERVER_BACKLOG, address->ai_addr, (int)address->ai_addrlen);
	if (!server->listener)
		return tide_fail(err, TIDE_IO, "'%.200s': %s", shown, strerror(errno));
	evconnlistener_set_error_cb(server->listener, server_on_accept_error);

	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	char host[64], port[16];
	getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&bound, &size);
	if (getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return tide_fail(err, TIDE_IO, "'%.200s' has no address", shown);
	server->url = alloc_format(bound.ss_family == AF_INET6 ? "%s://[%s]:%s" : "%s://%s:%s",
				   server->speaks_tls ? "https" : "http", host, port);
	return server->url ? TIDE_OK : alloc_fail(err);
}

static tide_status server_listen(struct tide_http *server, const char *text, struct tide_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	char host[HTTP_HOST_SIZE], port_text[8];
	int port;

	tide_status status = address_read(text, host, &port, err);
	if (status != TIDE_OK)
		return status;
	snprintf(port_text, sizeof port_text, "%d", port);
	int code = getaddrinfo(host, port_text, &hints, &found);
	if (code != 0)
		return tide_fail(err, TIDE_IO, "'%.200s': %s", text, gai_strerror(code));

	server->guard.is_loopback = server_is_loopback(found->ai_addr);
	if (!server->guard.is_loopback && !server->guard.token && !server->guard.read_token)
		status = tide_fail(err, TIDE_ARGUMENT,
				   "address '%.200s' is beyond this machine, and needs a token",
				   text);
	else
		status = server_bind(server, found, text, err);
	freeaddrinfo(found);
	return status;
}

static tide_status server_start_loop(struct tide_http *server, struct tide_error *err)
{
	server->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->bell < 0)
		return tide_fail(err, TIDE_IO, "eventfd: %s", strerror(errno));
	server->bell_event =
		event_new(server->base, server->bell, EV_READ | EV_PERSIST, server_on_bell, server);
	server->retry_event = evtimer_new(server->base, server_on_retry, server);
	if (!server->bell_event || !server->retry_event || event_add(server->bell_event, NULL) != 0)
		return alloc_fail(err);
	return thread_start(&server->loop, "tide http loop", server_live, server, err);
}

static struct tide_http *server_new(struct http_sources *sources)
{
	struct tide_http *server = alloc_zero(1, sizeof *server);
	struct event_base *base = server && !alloc_is_refused() ? event_base_new() : NULL;
	if (!base) {
		tide_free(server);
		return NULL;
	}

	server->routes = &http_routes;
	server->sources = sources;
	server->base = base;
	server->bell = -1;
	mutex_init(&server->lock, LOCK_HTTP);
	cond_init(&server->returned);
	for (int i = 0; i < HTTP_LANES; i++) {
		server->queues[i].last = &server->queues[i].first;
		cond_init(&server->queues[i].changed);
	}
	return server;
}

static void server_free_jobs(struct http_job *job)
{
	for (struct http_job *next; job; job = next) {
		next = job->next;
		job_free(job);
	}
}

static void server_free(struct tide_http *server)
{
	for (int i = 0; i < HTTP_LANES; i++) {
		server_free_jobs(server->queues[i].first);
		cond_fini(&server->queues[i].changed);
	}
	server_free_jobs(server->done);
	streams_free(server);
	server_close_listener(server);
	if (server->bell_event)
		event_free(server->bell_event);
	if (server->retry_event)
		event_free(server->retry_event);
	event_base_free(server->base);
	if (server->bell >= 0)
		close(server->bell);

	buffer_fini(&server->health.body);
	buffer_fini(&server->metrics.body);
	tide_free(server->guard.token);
	tide_free(server->guard.read_token);
	tls_close(server->tls);
	tide_free(server->url);
	cond_fini(&server->returned);
	mutex_fini(&server->lock);
	if (server->owns_sources)
		sources_free(server->sources);
	tide_free(server);
}

tide_status server_open(struct http_sources *sources, const struct tide_http_options *options,
			struct tide_http **ret, struct tide_error *err)
{
	struct tide_http *server = server_new(sources);
	if (!server)
		return alloc_fail(err);

	tide_status status = server_set_tokens(server, options->token, options->read_token, err);
	if (status == TIDE_OK && options->tls_certificate)
		status = tls_open(options->tls_certificate, options->tls_key, &server->tls, err);
	server->speaks_tls = server->tls != NULL;
	if (status == TIDE_OK)
		status = server_listen(server,
				       options->address ? options->address : "127.0.0.1:8080", err);
	if (status == TIDE_OK)
		status = work_start(server, err);
	if (status == TIDE_OK)
		status = server_start_loop(server, err);
	if (status == TIDE_OK) {
		*ret = server;
		return TIDE_OK;
	}
	work_end(server, MONO_NEVER);
	server_free(server);
	return status;
}

tide_status server_set_tokens(struct tide_http *server, const char *token, const char *read_token,
			      struct tide_error *err)
{
	char *change = token ? alloc_text(token, strlen(token)) : NULL, *old;
	char *read = read_token ? alloc_text(read_token, strlen(read_token)) : NULL, *old_read;
	if ((token && !change) || (read_token && !read)) {
		tide_free(change);
		tide_free(read);
		return alloc_fail(err);
	}

	mutex_lock(&server->lock);
	old = server->guard.token;
	old_read = server->guard.read_token;
	server->guard.token = change;
	server->guard.read_token = read;
	mutex_unlock(&server->lock);
	tide_free(old);
	tide_free(old_read);
	return TIDE_OK;
}

tide_status server_set_tls(struct tide_http *server, const char *certificate, const char *key,
			   struct tide_error *err)
{
	struct http_tls *tls = NULL, *old;
	if (server->speaks_tls != (certificate != NULL))
		return tide_fail(err, TIDE_STATE,
				 "'%.200s' cannot begin or cease to speak TLS; start it again",
				 server->url);
	tide_status status = certificate ? tls_open(certificate, key, &tls, err) : TIDE_OK;
	if (status != TIDE_OK)
		return status;

	mutex_lock(&server->lock);
	old = server->tls;
	server->tls = tls;
	mutex_unlock(&server->lock);
	tls_close(old);
	return TIDE_OK;
}

static void server_tell_loop(struct tide_http *server, bool should_stop)
{
	mutex_lock(&server->lock);
	server->should_close = true;
	server->should_stop = should_stop;
	mutex_unlock(&server->lock);
	server_ring(server);
}

bool server_close(struct tide_http *server, struct mono_time deadline)
{
	server_tell_loop(server, false);
	if (!work_end(server, deadline) || !streams_end(server, deadline))
		return false;
	server_tell_loop(server, true);
	thread_join(&server->loop);
	server_free(server);
	return true;
}

bool server_is_built(void)
{
	return true;
}

/* ---- The interface --------------------------------------------------------------------------- */

static tide_status http_check(const struct tide_manager *manager,
			      const struct tide_http_options *options, struct tide_http **ret,
			      struct tide_error *err)
{
	if (!manager || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", manager ? "ret" : "manager");
	if (options->size != sizeof *options)
		return tide_fail(err, TIDE_ARGUMENT, "options.size is %zu, expected %zu",
				 options->size, sizeof *options);
	if (options->tls_key && !options->tls_certificate)
		return tide_fail(err, TIDE_ARGUMENT, "tls_key needs tls_certificate beside it");
	tide_status status = guard_check_token(options->token, "token", err);
	return status == TIDE_OK ? guard_check_token(options->read_token, "read_token", err)
				 : status;
}

tide_status tide_http_open(struct tide_manager *manager, const struct tide_http_options *options,
			   struct tide_http **ret, struct tide_error *err)
{
	struct tide_http_options defaults = { .size = sizeof defaults };
	struct http_sources *sources;
	struct tide_http *server;

	options = options ? options : &defaults;
	tide_status status = http_check(manager, options, ret, err);
	if (status == TIDE_OK)
		status = sources_new(&sources, err);
	if (status != TIDE_OK)
		return status;
	status = sources_attach(sources, NULL, manager, err);
	if (status == TIDE_OK)
		status = server_open(sources, options, &server, err);
	if (status != TIDE_OK) {
		sources_free(sources);
		return status;
	}
	server->owns_sources = true;
	*ret = server;
	return TIDE_OK;
}

void tide_http_close(struct tide_http *http)
{
	if (http)
		server_close(http, MONO_NEVER);
}

const char *tide_http_url(const struct tide_http *http)
{
	return http ? http->url : NULL;
}

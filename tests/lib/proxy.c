/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread moves what is there from one socket of a pair to the other, through a buffer for each
 * direction, and looks every few milliseconds whether it shall. All sockets are closed by an exec,
 * so that a process which is started meanwhile keeps no connection open.
 */
#include "lib/proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/must.h"
#include "lib/postgres.h"

#define PAIRS 300 /* more than the server takes */
#define LOOK_MS 5

/** One direction of a connection. */
struct flow {
	int from, to;
	size_t start, end; /* of what was read and not written yet */
	char bytes[16384];
};

/** A connection and its counterpart. */
struct pair {
	struct flow flows[2]; /* of the client, of the server */
};

struct proxy {
	pthread_t thread;
	int listener;
	pthread_mutex_t lock; /* held while anything moves */
	/* under lock */
	bool is_held, is_over;
	size_t count;
	struct pair *pairs[PAIRS];
};

static int socket_at(const char *directory, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int length = snprintf(ret->sun_path, sizeof ret->sun_path, "%s/.s.PGSQL.5432", directory);
	assert_in_range(length, 1, sizeof ret->sun_path - 1);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void pair_end(struct pair *pair)
{
	close(pair->flows[0].from);
	close(pair->flows[1].from);
	free(pair);
}

static struct pair *pair_begin(int client)
{
	struct sockaddr_un address;
	int server = socket_at(postgres_directory(), &address);
	struct pair *pair = malloc(sizeof *pair);
	if (!pair || server < 0 || connect(server, (struct sockaddr *)&address, sizeof address)) {
		close(server);
		close(client);
		free(pair);
		return NULL;
	}
	for (int i = 0; i < 2; i++) {
		struct flow *flow = &pair->flows[i];
		flow->from = i == 0 ? client : server;
		flow->to = i == 0 ? server : client;
		flow->start = flow->end = 0;
	}
	return pair;
}

/* False when the connection has ended. */
static bool flow_move(struct flow *flow)
{
	if (flow->start == flow->end) {
		ssize_t got = recv(flow->from, flow->bytes, sizeof flow->bytes, MSG_DONTWAIT);
		if (got <= 0)
			return got < 0 && (errno == EAGAIN || errno == EINTR);
		flow->start = 0;
		flow->end = (size_t)got;
	}
	ssize_t sent = send(flow->to, flow->bytes + flow->start, flow->end - flow->start,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	flow->start += (size_t)sent;
	return true;
}

static void proxy_accept(struct proxy *proxy)
{
	int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
	struct pair *pair = client < 0 ? NULL : pair_begin(client);
	if (pair)
		proxy->pairs[proxy->count++] = pair;
}

/* What may move: who listens last, and each socket for reading unless something waits to be
 * written to its counterpart. */
static size_t proxy_list(struct proxy *proxy, struct pollfd polls[2 * PAIRS + 1])
{
	size_t count = 0;
	for (size_t i = 0; i < proxy->count; i++)
		for (int side = 0; side < 2; side++) {
			const struct flow *in = &proxy->pairs[i]->flows[side];
			const struct flow *out = &proxy->pairs[i]->flows[1 - side];
			short events = in->start == in->end ? POLLIN : 0;
			events |= out->start < out->end ? POLLOUT : 0;
			polls[count++] = (struct pollfd){ .fd = in->from, .events = events };
		}
	if (proxy->count < PAIRS)
		polls[count++] = (struct pollfd){ .fd = proxy->listener, .events = POLLIN };
	return count;
}

static void proxy_move(struct proxy *proxy)
{
	size_t kept = 0;
	for (size_t i = 0; i < proxy->count; i++) {
		struct pair *pair = proxy->pairs[i];
		if (flow_move(&pair->flows[0]) && flow_move(&pair->flows[1]))
			proxy->pairs[kept++] = pair;
		else
			pair_end(pair);
	}
	proxy->count = kept;
}

static void *proxy_run(void *self)
{
	struct proxy *proxy = self;
	struct pollfd polls[2 * PAIRS + 1];
	for (bool is_over = false; !is_over;) {
		pthread_mutex_lock(&proxy->lock);
		size_t count = proxy->is_held ? 0 : proxy_list(proxy, polls);
		pthread_mutex_unlock(&proxy->lock);
		poll(polls, count, LOOK_MS);
		bool is_asked = count > 0 && (polls[count - 1].revents & POLLIN) &&
				polls[count - 1].fd == proxy->listener;
		pthread_mutex_lock(&proxy->lock);
		is_over = proxy->is_over;
		if (!proxy->is_held) {
			proxy_move(proxy);
			if (is_asked && proxy->count < PAIRS)
				proxy_accept(proxy);
		}
		pthread_mutex_unlock(&proxy->lock);
	}
	return NULL;
}

struct proxy *proxy_open(const char *directory)
{
	struct sockaddr_un address;
	struct proxy *proxy = calloc(1, sizeof *proxy);
	assert_non_null(proxy);
	pthread_mutex_init(&proxy->lock, NULL);
	proxy->listener = socket_at(directory, &address);
	assert_int_equal(bind(proxy->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(proxy->listener, PAIRS), 0);
	assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
	return proxy;
}

void proxy_hold(struct proxy *proxy)
{
	pthread_mutex_lock(&proxy->lock);
	proxy->is_held = true;
	pthread_mutex_unlock(&proxy->lock);
}

void proxy_cut(struct proxy *proxy)
{
	pthread_mutex_lock(&proxy->lock);
	for (size_t i = 0; i < proxy->count; i++)
		pair_end(proxy->pairs[i]);
	proxy->count = 0;
	proxy->is_held = false;
	pthread_mutex_unlock(&proxy->lock);
}

void proxy_close(struct proxy *proxy)
{
	if (!proxy)
		return;
	pthread_mutex_lock(&proxy->lock);
	proxy->is_over = true;
	pthread_mutex_unlock(&proxy->lock);
	pthread_join(proxy->thread, NULL);
	proxy_cut(proxy);
	close(proxy->listener);
	pthread_mutex_destroy(&proxy->lock);
	free(proxy);
}

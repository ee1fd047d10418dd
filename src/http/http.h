/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_HTTP_H
#define TIDE_HTTP_HTTP_H

/*
 * The HTTP server: what its files share.
 *
 *   accept ──▶ connection.c (loop thread) ── job ──▶ work.c (a worker thread) ──▶ a route's handler
 *                     ▲                                   │
 *                     └────────────── reply ──────────────┘
 *
 * One thread has the sockets and nothing else: it reads heads, refuses what is to be refused and
 * writes. Whatever asks a database or waits for a lock of a subscription is done by workers.
 */

#include <tidemark/http.h>

#include "http/head.h"
#include "http/sources.h"
#include "http/target.h"
#include "http/tls.h"
#include "sys/mutex.h"
#include "sys/thread.h"

struct bufferevent;
struct evconnlistener;
struct event;
struct event_base;

#define HTTP_BODY_MAX (16 << 20)       /* of events */
#define HTTP_BODY_SMALL_MAX (64 << 10) /* of anything else */
#define HTTP_CONNECTIONS_MAX 1024
#define HTTP_STREAMS_MAX 1024 /* beside them */
#define HTTP_WORKERS 4        /* of what may ask a database for long */

/* ---- routes.c -------------------------------------------------------------------------------- */

struct http_job;

/** Who may ask. */
enum http_access {
	HTTP_ACCESS_OPEN,  /* anybody */
	HTTP_ACCESS_READ,  /* without a token from loopback, with one from elsewhere */
	HTTP_ACCESS_CHANGE /* with the token for changes */
};

/** Who does it. */
enum http_lane {
	HTTP_LANE_PROBE, /* answers within 1.5 seconds whatever hangs */
	HTTP_LANE_WORK,
	HTTP_LANES
};

/** What the body of a request is. */
enum http_body {
	HTTP_BODY_NONE,    /* nothing, or an object without members */
	HTTP_BODY_REQUEST, /* by, note, reason */
	HTTP_BODY_BY,      /* by */
	HTTP_BODY_EVENTS   /* an event, or a list of them */
};

struct http_route {
	const char *name;
	enum http_method method;
	const char *path; /* parts in braces are anything */
	enum http_access access;
	enum http_lane lane;
	enum http_body body;
	void (*run)(struct http_job *job);
	const char *parameters; /* names of the query, between blanks */
	const char *summary;
};
struct http_routes {
	const struct http_route *items;
	size_t count;
};
extern const struct http_routes http_routes; /* of table.c */
/** The route of a request, or a refusal; with 405 `ret_allowed` has the methods there are. */
struct http_refusal route_find(const struct http_routes *routes, const struct http_head *head,
			       const struct http_target *target, const struct http_route **ret,
			       char ret_allowed[32]);
/** What fills the Nth part in braces. */
const char *route_part(const struct http_job *job, size_t n);

/* ---- reply.c --------------------------------------------------------------------------------- */

struct http_reply {
	int status;
	const char *type; /* of the body */
	char fields[256]; /* more lines of the head, each with its end */
	struct buffer body;
};
void reply_release(struct http_reply *reply);
/** What an HTTP status is called. */
const char *reply_phrase(int status);
/** Add a line to the head. */
void reply_field(struct http_reply *reply, const char *name, const char *value);
/** A problem (RFC 9457) that HTTP itself has a name for. */
void reply_refuse(struct http_reply *reply, int status, const char *format, ...) TIDE_PRINTF(3, 4);
/** A problem of the library, with the status that fits. `members`, which may be NULL, are more of
 * it. */
void reply_fail(struct http_reply *reply, const struct tide_error *err,
		const struct buffer *members);
/** JSON that was made by the library; takes it. */
void reply_json(struct http_reply *reply, int status, char *json);

/* ---- guard.c --------------------------------------------------------------------------------- */

/** What a server was told of who may ask, guarded by its lock. */
struct http_guard {
	bool is_loopback;         /* fixed after open: it is bound there */
	char *token, *read_token; /* NULL: none */
};
/** Whether an address is one that only this machine reaches. */
bool guard_is_loopback(const char *host);
/** Whether a request may be made; else the reply says why not. */
bool guard_admit(const struct http_guard *guard, const struct http_route *route,
		 const struct http_head *head, const struct http_target *target,
		 struct http_reply *reply);

/* ---- work.c ---------------------------------------------------------------------------------- */

/** A request on its way to a worker and back. It belongs to one thread at a time. */
struct http_job {
	struct http_job *next;
	struct tide_http *server;
	struct connection *connection; /* the loop's; NULL: it is gone */
	const struct http_route *route;
	char *head_text;
	struct http_head head; /* in head_text */
	struct http_target target;
	struct buffer body;
	struct http_reply reply;
	struct http_stream *stream; /* that the answer begins; NULL: none */
};
void job_free(struct http_job *job);

/** Jobs that wait for their threads; guarded by the server's lock. */
struct http_queue {
	struct http_job *first, **last;
	struct cond changed;
};

tide_status work_start(struct tide_http *server, struct tide_error *err);
/** Give a job to the workers of its lane. Loop thread. */
void work_give(struct tide_http *server, struct http_job *job);
/** Begin no more jobs; whether all workers have returned by the deadline. */
bool work_end(struct tide_http *server, struct mono_time deadline);

/* ---- connection.c: loop thread --------------------------------------------------------------- */

/** Where a connection stands. */
enum connection_state {
	CONNECTION_HEAD,      /* a head is awaited, or on its way */
	CONNECTION_BODY,      /* a body is */
	CONNECTION_WORKING,   /* a worker has its request */
	CONNECTION_WRITING,   /* the reply is on its way */
	CONNECTION_STREAMING, /* events follow, for as long as it likes */
	CONNECTION_LAST,      /* the same, and nothing follows */
	CONNECTION_ENDING     /* all is written; the other side is to close, or a second to pass */
};

struct connection {
	struct connection *next, *previous; /* of its list */
	struct tide_http *server;
	struct bufferevent *stream;
	struct event *timer;
	enum connection_state state;
	bool is_kept;          /* a reply was given before: a silent end is no failure */
	bool wants_head;       /* the request was HEAD */
	bool keeps_alive;      /* after the reply that is being made */
	struct http_scan scan; /* of the head */
	struct http_chunks chunks;
	struct http_stream *events; /* while streaming, and until it has ended */
	struct http_job *job;       /* while a body is read, and while a worker has it */
};

/** Connections by what they wait for. */
struct connections {
	struct connection *first, *last;
	size_t count;
};

/** Take a socket that was accepted. */
void connection_open(struct tide_http *server, int fd);
/** Write the reply of a job that is done. */
void connection_reply(struct connection *connection, struct http_job *job);
/** Write events, or end them; takes the block, which may be NULL. */
struct http_block;
void connection_feed(struct connection *connection, struct http_block *block, bool is_over);
/** End the one that has waited longest for a head; false: there is none. */
bool connection_evict(struct tide_http *server);
/** End what only waits, and the others behind their reply. */
void connections_end(struct tide_http *server);
void connection_free(struct connection *connection);

/* ---- server.c and ring.c --------------------------------------------------------------------- */

/** What was made within a second is given again. */
struct http_made {
	struct mono_time at;
	bool is_made;
	int status;
	struct buffer body;
};

struct tide_http {
	/* fixed after open */
	const struct http_routes *routes;
	struct http_sources *sources;
	bool owns_sources, speaks_tls;
	int port;
	char *url;
	struct event_base *base;
	struct evconnlistener *listener; /* loop thread */
	struct event *bell_event, *retry_event;
	int bell; /* eventfd: something is done, or the end has come */
	struct thread loop;
	struct thread workers[1 + HTTP_WORKERS];
	size_t worker_count;

	/* loop thread */
	struct connections waiting, streaming, busy; /* for a head, for events, and the others */
	bool is_ending;   /* nothing new is accepted, and no connection kept */
	bool is_stopping; /* the loop ends with its last connection */

	/* the probe's worker */
	struct http_made health, metrics;

	/* under lock */
	struct mutex lock;
	struct http_guard guard;
	struct http_tls *tls; /* of new connections; NULL: none, now or later */
	struct http_queue queues[HTTP_LANES];
	struct http_job *done;   /* newest first */
	struct http_stream *fed; /* streams with something for the loop */
	struct streamer *streamers;
	size_t streamers_alive; /* threads of them that have not returned */
	size_t stream_count;
	size_t working; /* worker threads that have not returned */
	struct cond returned;
	bool should_end;                /* workers begin nothing any more */
	bool should_close, should_stop; /* what the loop is to be: is_ending, is_stopping */
};

/** Something for the loop to look at. Threads: any. */
void server_ring(struct tide_http *server);
/** Leave the loop when it is to stop and no connection is left. Loop thread. */
void server_look_whether_empty(struct tide_http *server);
/** Open a server over sources of somebody else, who frees them later. */
tide_status server_open(struct http_sources *sources, const struct tide_http_options *options,
			struct tide_http **ret, struct tide_error *err);
/** Say who may ask from now on. TIDE_OUT_OF_MEMORY. */
tide_status server_set_tokens(struct tide_http *server, const char *token, const char *read_token,
			      struct tide_error *err);
/** Take another certificate for connections from now on. TIDE_STATE: with TLS it would be another
 * server; and the errors of tls_open. */
tide_status server_set_tls(struct tide_http *server, const char *certificate, const char *key,
			   struct tide_error *err);
/** Whether this build can open one. */
bool server_is_built(void);
/** End it; false: a worker hangs in a database at the deadline, and everything is left behind. */
bool server_close(struct tide_http *server, struct mono_time deadline);

/** TIDE_ARGUMENT unless it is 16 to 1024 visible characters; NULL is none. */
tide_status guard_check_token(const char *token, const char *what, struct tide_error *err);
/** Take `HOST:PORT`, `[HOST]:PORT` or `PORT` apart. TIDE_ARGUMENT. */
#define HTTP_HOST_SIZE 256
tide_status address_read(const char *text, char ret_host[HTTP_HOST_SIZE], int *ret_port,
			 struct tide_error *err);

/* ---- The routes' handlers -------------------------------------------------------------------- */

#define ROUTE(method, path, name, access, lane, body, parameters, summary)                         \
	void route_##name(struct http_job *job);
#include "http/routes.def"
#undef ROUTE

#endif

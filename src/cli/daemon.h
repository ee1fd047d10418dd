/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_DAEMON_H
#define TIDE_CLI_DAEMON_H

/* `tide run`: one unit a store, each with a thread and a manager of its own, under one main thread
 * that takes signals. */

#include <stdatomic.h>

#include <tidemark/tidemark.h>

#include "config/config.h"
#include "http/sources.h"
#include "sys/thread.h"
#include "sys/wakeup.h"

struct cli;

/** What a unit runs: one projection of the configuration. */
struct unit_run {
	struct config_projection *projection; /* owned */
	bool is_subscribed;                   /* else it was refused, until a reload */
	bool is_leaving;                      /* it is not wanted any more, or not like this */
};

/** One store with the projections over it. */
struct unit {
	/* fixed after start */
	char *name, *url, *into;
	struct config_daemon daemon;
	struct tide_health_config health;
	int bell;                     /* eventfd of the main thread */
	struct http_sources *sources; /* what is shown over HTTP */
	struct thread thread;
	struct wakeup wakeup;

	struct mutex lock;
	/* under lock */
	struct config_projection **wanted; /* what is to run, owned; NULL: nothing new */
	size_t wanted_count;
	bool has_wanted;
	struct tide_manager *manager; /* written by the unit's thread */

	atomic_int reason;     /* enum tide_shutdown_reason that ends it */
	atomic_bool has_tried; /* opening it, once */
	atomic_bool is_ended;
	atomic_bool is_stale; /* a projection was rebuilt from another file than it has */

	/* its thread's; anybody's when that has ended */
	struct tide_store *store;
	struct tide_checkpoints *checkpoints;
	struct unit_run *runs;
	size_t run_count;
	struct config_projection **waiting; /* to be run; members that are begun are NULL */
	size_t waiting_count;
	struct tide_error error; /* why it could not be opened at the last try */
	double delay;            /* before the next try, seconds */
	struct mono_time next_try;
	struct tide_shutdown_result result;
};

/** Start a unit for a store; it has nothing to run yet. TIDE_OUT_OF_MEMORY. */
tide_status unit_start(const struct config *config, const struct config_store *store, int bell,
		       struct http_sources *sources, struct unit **ret, struct tide_error *err);
/** Whether it is what this store of this configuration asks for, so that it can go on. */
bool unit_is_same(const struct unit *unit, const struct config *config,
		  const struct config_store *store);
/** Say what it is to run from now on: takes the projections of the configuration that are over its
 * store. TIDE_OUT_OF_MEMORY. */
tide_status unit_want(struct unit *unit, struct config *config, struct tide_error *err);
/** Ask it to end, in order; a second signal ends every wait. */
void unit_stop(struct unit *unit, enum tide_shutdown_reason reason);
void unit_force(struct unit *unit);
/** Release one that has ended. */
void unit_free(struct unit *unit);

/* ---- daemon_log.c ---- */

/** Where log lines go: a tide_log_sink; `self` is a struct daemon_log. */
struct daemon_log {
	struct cli *cli;
	struct mutex lock;
	struct log_levels levels; /* under lock */
	bool is_json;             /* under lock */
};
void daemon_log_sink(void *self, const struct tide_log_line *line);
/** Begin with these, or change to them. */
void daemon_log_set(struct daemon_log *log, const struct config_daemon *daemon);

/* ---- notify_socket.c: the service manager ---- */

/** Tell it something, such as "READY=1", when there is one. */
void notify_socket_tell(const char *state);
/** How often it wants to hear WATCHDOG=1, ns; 0: never. */
int64_t notify_socket_watchdog_ns(void);

/** Run what the configuration says until SIGTERM or SIGINT; takes it. */
int daemon_run(struct cli *cli, const char *path, struct config *config);
/** Write every problem to standard error, a line each, with the name of the file before it. */
void daemon_tell_problems(struct cli *cli, const char *path, const struct problems *problems);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_HTTP_SOURCES_H
#define TIDE_HTTP_SOURCES_H

/*
 * The managers that are shown. A program has one, a daemon one for each of its stores, which come
 * and go: who asks has them pinned, and one that is to be closed is taken away first.
 */

#include <tidemark/manager.h>

#include "sys/clock.h"

struct http_sources;
struct http_source;

/** One of them, while it is pinned. */
struct http_pin {
	struct http_source *source;
	const char *name;             /* NULL: a program's only one */
	struct tide_manager *manager; /* NULL: its store is not open */
	char **waiting;               /* the subscriptions that wait for it then */
	size_t waiting_count;
	struct tide_error error; /* why it is not open */
	double seconds;          /* for how long it has not been */
};
struct http_pins {
	struct http_pin *items;
	size_t count;
};

/** TIDE_OUT_OF_MEMORY. */
tide_status sources_new(struct http_sources **ret, struct tide_error *err);
void sources_free(struct http_sources *sources);
/** Say that a store is not open, why, and which subscriptions wait for it. Without memory it stays
 * as it was. */
void sources_wait(struct http_sources *sources, const char *name, const char *const *waiting,
		  size_t count, const struct tide_error *why);
/** Show a manager. `name` NULL: the only one. TIDE_OUT_OF_MEMORY. */
tide_status sources_attach(struct http_sources *sources, const char *name,
			   struct tide_manager *manager, struct tide_error *err);
/** Show it no longer, and the store neither; false: somebody still works with it at the
 * deadline. */
bool sources_detach(struct http_sources *sources, const char *name, struct mono_time deadline);

tide_status sources_pin(struct http_sources *sources, struct http_pins *ret,
			struct tide_error *err);
/** Keep one that is pinned, for longer, and let it go; while it is to be taken away, soon. */
void sources_keep(struct http_sources *sources, struct http_source *source);
void sources_release(struct http_sources *sources, struct http_source *source);
bool sources_is_leaving(struct http_sources *sources, const struct http_source *source);
void sources_unpin(struct http_sources *sources, struct http_pins *pins);

#endif

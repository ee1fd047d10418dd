/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a store: the URL's scheme leads to a backend, the backend opens the database, and the
 * handle adds what all of its users share: idle sessions, the bell, the tail.
 *
 * Failure modes: a session that lost its connection is closed when it is given back and the next
 * call opens another.
 */
#include "path/store.h"

#include <assert.h>

#include "core/url.h"
#include "path/port.h"
#include "sys/alloc.h"

#define STORE_MAX_PAYLOAD ((size_t)16 << 20)

static tide_status store_check_options(const struct tide_store_options *options,
				       struct tide_error *err)
{
	if (options->size != sizeof *options)
		return tide_fail(
			err, TIDE_ARGUMENT,
			"options.size is %zu, expected %zu: fill it with TIDE_STORE_OPTIONS",
			options->size, sizeof *options);
	if (!(options->busy_timeout_seconds >= 0))
		return tide_fail(err, TIDE_ARGUMENT, "busy_timeout_seconds %g is below 0",
				 options->busy_timeout_seconds);
	if (!(options->append_timeout_seconds >= 0))
		return tide_fail(err, TIDE_ARGUMENT, "append_timeout_seconds %g is below 0",
				 options->append_timeout_seconds);
	return TIDE_OK;
}

static tide_status store_find_backend(const struct tide_url *url, const struct tide_backend **ret,
				      struct tide_error *err)
{
	const struct tide_backend *backend = tide_backend_find(url->scheme);
	if (!backend)
		return tide_fail(
			err, TIDE_ARGUMENT,
			"no backend for '%s:' (there are memory, sqlite, postgresql, fault)",
			url->scheme);
	return port_resolve(backend, url, ret, err);
}

/* Open the database and what goes with it; the store is whole or nothing is left open. */
static tide_status store_start(struct tide_store *store, struct tide_url *url,
			       const struct tide_store_options *options, struct tide_error *err)
{
	tide_status status = store_find_backend(url, &store->backend, err);
	store->url = url_redact(url->full);
	if (status == TIDE_OK && !store->url)
		status = alloc_fail(err);
	if (status == TIDE_OK)
		status = port_open(store, url, options, &store->state, err);
	if (status != TIDE_OK)
		return status;
	status = notifier_new(store->backend, store->state, &store->notifier, err);
	if (status == TIDE_OK)
		status = tail_new(store->notifier, &store->tail, err);
	if (status == TIDE_OK)
		status = panes_new(&store->panes, err);
	if (status == TIDE_OK)
		status = ahead_new(store, &store->ahead, err);
	return status;
}

tide_status tide_store_open(const char *text, const struct tide_store_options *options,
			    struct tide_store **ret, struct tide_error *err)
{
	struct tide_store_options defaults = { .size = sizeof defaults };
	if (!options)
		options = &defaults;
	if (!text || !ret)
		return tide_fail(err, TIDE_ARGUMENT, "%s is NULL", text ? "ret" : "url");

	tide_status status = store_check_options(options, err);
	struct tide_url url;
	if (status == TIDE_OK)
		status = url_parse(text, &url, err);
	if (status != TIDE_OK)
		return status;

	struct tide_store *store = alloc_zero(1, sizeof *store);
	if (store) {
		store->max_payload_bytes =
			options->max_payload_bytes ? options->max_payload_bytes : STORE_MAX_PAYLOAD;
		store->is_read_only = options->read_only;
		store->types = options->types;
		mutex_init(&store->lock, LOCK_SESSIONS);
		status = store_start(store, &url, options, err);
	} else {
		status = alloc_fail(err);
	}

	url_fini(&url);
	if (status == TIDE_OK)
		*ret = store;
	else
		tide_store_close(store);
	return status;
}

void tide_store_close(struct tide_store *store)
{
	if (!store)
		return;
	ahead_free(store->ahead);
	for (size_t i = 0; i < store->idle_count; i++)
		port_session_close(store, store->idle[i]);
	panes_free(store->panes);
	tail_free(store->tail);
	notifier_free(store->notifier);
	if (store->state)
		port_close(store);
	mutex_fini(&store->lock);
	tide_free(store->url);
	tide_free(store);
}

const char *tide_store_url(const struct tide_store *store)
{
	return store ? store->url : "";
}

tide_status tide_store_clear(struct tide_store *store, struct tide_error *err)
{
	if (!store)
		return tide_fail(err, TIDE_ARGUMENT, "store is NULL");
	tide_status status = port_clear(store, err);
	if (status == TIDE_OK)
		panes_forget(store->panes);
	return status;
}

/* One whose last write is not answered yet is left where it is: nobody waits for a write of
 * somebody else. */
static bool store_is_answered(const struct tide_store *store, void *session)
{
	return port_await(store, session, TIDE_AWAIT_LANDED, NULL) == TIDE_OK;
}

static void *store_remove_locked(struct tide_store *store, size_t at) TIDE_REQUIRES(store->lock)
{
	assert(mutex_is_mine(&store->lock));
	void *session = store->idle[at];
	memmove(&store->idle[at], &store->idle[at + 1],
		(--store->idle_count - at) * sizeof store->idle[0]);
	return session;
}

tide_status store_borrow(struct tide_store *store, void **ret, struct tide_error *err)
{
	void *session = NULL;
	mutex_lock(&store->lock);
	for (size_t at = store->idle_count; at-- > 0 && !session;)
		if (store_is_answered(store, store->idle[at]))
			session = store_remove_locked(store, at);
	mutex_unlock(&store->lock);
	if (!session)
		return port_session_open(store, ret, err);
	*ret = session;
	return TIDE_OK;
}

void store_return(struct tide_store *store, void *session, tide_status status)
{
	if (status != TIDE_CONNECTION_LOST) {
		mutex_lock(&store->lock);
		if (store->idle_count < STORE_IDLE_SESSIONS) {
			store->idle[store->idle_count++] = session;
			session = NULL;
		}
		mutex_unlock(&store->lock);
	}
	if (session)
		port_session_close(store, session);
}

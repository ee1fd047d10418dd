/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that the sessions of subscriptions share.
 *
 *	session ── its first statement ──▶ takes a link: the one used last, else a new one
 *	        ── rests ────────────────▶ gives it back: idle, or the next one's who waits
 *
 * What is prepared on a link is for whoever has it, so that it does not matter whose it was. Who
 * has handed its connection to a handler keeps it: what that has made there is its own.
 *
 * Happy path: there is an idle one. Fails when: a new one cannot be opened. All are in use: their
 * sessions have them for a few statements each, so who needs one waits, for as long as for a lock;
 * then there is one more, closed when it is given back, so that nobody depends on others who wait
 * for a writer of another process, or whose handler is given a dead letter once more.
 */

#include <assert.h>

#include "backends/sqlite/internal.h"

/* of one store in one process */
#define LINKS_MAX ((size_t)16)

void sqlite_links_init(struct sqlite_links *links)
{
	mutex_init(&links->lock, LOCK_SQLITE_LINKS);
	cond_init(&links->changed);
}

void sqlite_links_fini(struct sqlite_links *links)
{
	assert(links->sessions == 0 && links->count == 0);
	cond_fini(&links->changed);
	mutex_fini(&links->lock);
}

static void links_point_locked(struct sqlite_connection *connection, struct sqlite_link *link)
{
	connection->link = link;
	connection->handle = link ? link->handle : NULL;
}

/* An idle one; NULL: there is room for one more, which is counted from now on. */
static struct sqlite_link *links_wait_locked(struct sqlite_links *links, int64_t patience_ns)
	TIDE_REQUIRES(links->lock)
{
	struct mono_time until = mono_add(clock_mono(&clock_system), patience_ns);
	while (!links->idle && links->count >= LINKS_MAX && clock_mono(&clock_system).ns < until.ns)
		(void)cond_wait_until(&links->changed, &links->lock, until);

	struct sqlite_link *link = links->idle;
	if (link)
		links->idle = link->next;
	else
		links->count++;
	return link;
}

static void links_count_off(struct sqlite_links *links)
{
	mutex_lock(&links->lock);
	assert(links->count > 0);
	links->count--;
	cond_signal(&links->changed);
	mutex_unlock(&links->lock);
}

/* By a copy: others may look at the connection, to end what runs on it. */
static tide_status links_open(struct sqlite_connection *connection, struct tide_error *err)
{
	const struct sqlite_store *store = connection->store;
	struct sqlite_connection opened = *connection;
	tide_status status = sqlite_place_check(store, err);
	if (status == TIDE_OK)
		status = sqlite_link_open(&opened, false, store->is_projection_full, err);
	if (status != TIDE_OK)
		links_count_off(connection->links);
	mutex_lock(&connection->links->lock);
	links_point_locked(connection, opened.link);
	mutex_unlock(&connection->links->lock);
	return status;
}

void sqlite_links_enter(struct sqlite_links *links, struct sqlite_connection *connection)
{
	connection->links = links;
	mutex_lock(&links->lock);
	links->sessions++;
	mutex_unlock(&links->lock);
}

tide_status sqlite_links_take(struct sqlite_connection *connection, struct tide_error *err)
{
	struct sqlite_links *links = connection->links;
	if (connection->link)
		return TIDE_OK;
	assert(links);
	mutex_lock(&links->lock);
	links_point_locked(connection, links_wait_locked(links, connection->busy_ns));
	mutex_unlock(&links->lock);

	tide_status status = connection->link ? TIDE_OK : links_open(connection, err);
	if (status == TIDE_OK)
		sqlite_connection_point(connection);
	return status;
}

void sqlite_links_give(struct sqlite_connection *connection)
{
	struct sqlite_links *links = connection->links;
	struct sqlite_link *link = connection->link;
	if (!links || connection->is_kept || !link)
		return;
	assert(sqlite3_get_autocommit(link->handle) && !connection->has_turn);

	mutex_lock(&links->lock);
	links_point_locked(connection, NULL);
	bool is_beyond = links->count > LINKS_MAX;
	if (!is_beyond) {
		link->next = links->idle;
		links->idle = link;
		cond_signal(&links->changed);
	}
	mutex_unlock(&links->lock);
	if (!is_beyond)
		return;
	sqlite_link_close(connection->store, link);
	links_count_off(links);
}

void sqlite_links_keep(struct sqlite_connection *connection)
{
	if (!connection->links || connection->is_kept)
		return;
	assert(connection->link);
	connection->is_kept = true;
	links_count_off(connection->links);
}

/* Behind the last session no link stays. */
static struct sqlite_link *links_leave_locked(struct sqlite_links *links) TIDE_REQUIRES(links->lock)
{
	assert(links->sessions > 0);
	if (--links->sessions > 0)
		return NULL;
	struct sqlite_link *idle = links->idle;
	links->idle = NULL;
	for (const struct sqlite_link *at = idle; at; at = at->next)
		links->count--;
	return idle;
}

void sqlite_links_leave(struct sqlite_connection *connection)
{
	struct sqlite_links *links = connection->links;
	if (!links)
		return;
	mutex_lock(&links->lock);
	struct sqlite_link *own = connection->link;
	links_point_locked(connection, NULL);
	mutex_unlock(&links->lock);
	if (own)
		sqlite_link_close(connection->store, own);
	if (own && !connection->is_kept)
		links_count_off(links);

	mutex_lock(&links->lock);
	struct sqlite_link *idle = links_leave_locked(links);
	mutex_unlock(&links->lock);
	while (idle) {
		struct sqlite_link *next = idle->next;
		sqlite_link_close(connection->store, idle);
		idle = next;
	}
}

/* It is nobody else's while this looks at it. */
void sqlite_links_interrupt(struct sqlite_connection *connection)
{
	struct sqlite_links *links = connection->links;
	if (!links) {
		sqlite3_interrupt(connection->handle);
		return;
	}
	mutex_lock(&links->lock);
	if (connection->handle)
		sqlite3_interrupt(connection->handle);
	mutex_unlock(&links->lock);
}

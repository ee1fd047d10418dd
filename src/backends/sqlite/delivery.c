/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which threads have a delivery transaction open, and on which file.
 *
 * The transaction has the file's one write lock until its handler has returned. A write of the same
 * thread through another connection would wait for that until the busy timeout, in vain: it is
 * refused at once instead.
 *
 * Fails when: never. A handler that has its writes made by another thread is not found out, and
 * waits.
 */

#include "backends/sqlite/internal.h"

static struct mutex deliveries_lock = MUTEX_STATIC(LOCK_SQLITE_DELIVERIES);
static struct sqlite_delivery *deliveries; /* under lock */
static _Thread_local char delivery_thread; /* its address is the thread's name */

void sqlite_delivery_begin(struct sqlite_session *session)
{
	struct sqlite_delivery *delivery = &session->delivery;
	*delivery = (struct sqlite_delivery){ .is_open = true,
					      .thread = &delivery_thread,
					      .connection = &session->connection,
					      .file = session->store->file };
	mutex_lock(&deliveries_lock);
	delivery->next = deliveries;
	deliveries = delivery;
	mutex_unlock(&deliveries_lock);
}

void sqlite_delivery_end(struct sqlite_session *session)
{
	struct sqlite_delivery *delivery = &session->delivery;
	if (!delivery->is_open)
		return;
	mutex_lock(&deliveries_lock);
	struct sqlite_delivery **at = &deliveries;
	while (*at != delivery)
		at = &(*at)->next;
	*at = delivery->next;
	mutex_unlock(&deliveries_lock);
	delivery->is_open = false;
}

bool sqlite_delivery_is_mine(const char *file, const struct sqlite_connection *but)
{
	bool is_mine = false;
	mutex_lock(&deliveries_lock);
	for (const struct sqlite_delivery *at = deliveries; at && !is_mine; at = at->next)
		is_mine = at->thread == &delivery_thread && at->connection != but &&
			  strcmp(at->file, file) == 0;
	mutex_unlock(&deliveries_lock);
	return is_mine;
}

tide_status sqlite_fail_own_lock(const char *file, struct tide_error *err)
{
	return tide_fail(err, TIDE_DEADLOCK,
			 "the transactional handler that calls has the write lock of '%.200s': "
			 "append in its transaction "
			 "with tide_delivery_append, write through tide_delivery_connection, or be "
			 "no transactional one",
			 file);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling other processes that something was committed.
 *
 * A NOTIFY in the append's transaction would take a lock that all commits queue for. So a thread of
 * its own sends it afterwards, on a connection of its own, at most once in 5 ms for the whole
 * process, and always once more after the last ring. The thread starts with the first append.
 * Failure: the connection is made anew with the next ring, and so is a thread that could not be
 * started; listeners poll meanwhile.
 */
#include "backends/postgres/inner.h"

#include "sys/alloc.h"
#include "sys/log.h"

#define BELL_INTERVAL_NS (5 * NS_PER_MS)
#define BELL_RECONNECT_NS NS_PER_SECOND

void pg_bell_init(struct pg_bell *bell)
{
	mutex_init(&bell->lock, LOCK_POSTGRES_BELL);
	cond_init(&bell->changed);
}

void pg_bell_fini(struct pg_bell *bell)
{
	mutex_lock(&bell->lock);
	bell->is_stopping = true;
	mutex_unlock(&bell->lock);
	cond_broadcast(&bell->changed);
	thread_join(&bell->thread);
	cond_fini(&bell->changed);
	mutex_fini(&bell->lock);
}

/* False when the bell is to stop and was not rung since. */
static bool bell_await_ring(struct pg_bell *bell)
{
	mutex_lock(&bell->lock);
	while (!bell->is_rung && !bell->is_stopping)
		cond_wait(&bell->changed, &bell->lock);
	bool is_rung = bell->is_rung;
	bell->is_rung = false;
	mutex_unlock(&bell->lock);
	return is_rung;
}

static void bell_pause(struct pg_bell *bell, int64_t ns)
{
	struct mono_time until = mono_add(clock_mono(&clock_system), ns);
	mutex_lock(&bell->lock);
	while (!bell->is_stopping && cond_wait_until(&bell->changed, &bell->lock, until))
		;
	mutex_unlock(&bell->lock);
}

static bool bell_send(struct pg_store *store, struct pg_connection *connection)
{
	char text[120];
	/* a notification's commit has nothing to flush, and would compete with the appends for
	 * it */
	snprintf(text, sizeof text,
		 "SELECT set_config('synchronous_commit', 'off', true), pg_notify('%s', '')",
		 store->channel);
	if (!pg_connection_is_usable(connection)) {
		pg_connection_close(connection);
		if (pg_connection_open(connection, &store->target, NULL) != TIDE_OK)
			return false;
	}
	return pg_command(connection, text, NULL) == TIDE_OK;
}

static void bell_run(void *self)
{
	struct pg_store *store = self;
	struct pg_connection connection = { 0 };
	while (bell_await_ring(&store->bell)) {
		/* a connection that was lost while it lay idle costs one try */
		bool is_sent = bell_send(store, &connection) || bell_send(store, &connection);
		bell_pause(&store->bell, is_sent ? BELL_INTERVAL_NS : BELL_RECONNECT_NS);
	}
	pg_connection_close(&connection);
}

void pg_bell_ring(struct pg_store *store)
{
	struct pg_bell *bell = &store->bell;
	struct tide_error err = { 0 };
	mutex_lock(&bell->lock);
	bool was_rung = bell->is_rung;
	bell->is_rung = true;
	if (!bell->is_running)
		bell->is_running =
			thread_start(&bell->thread, "tide-bell", bell_run, store, &err) == TIDE_OK;
	/* where no thread takes a ring, the one before has told */
	bool is_news = !bell->is_running && !was_rung;
	mutex_unlock(&bell->lock);

	if (!was_rung)
		cond_signal(&bell->changed);
	if (is_news)
		log_at(TIDE_LOG_WARNING, "store", "other processes are not notified, they poll",
		       "error='%s'", err.message);
}

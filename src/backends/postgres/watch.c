/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hearing of commits.
 *
 * Happy path: LISTEN on a connection of its own, then wait for the socket. A pooler in transaction
 * mode takes LISTEN and delivers nothing. So the watch sends itself a notification now and then, by
 * another connection as a writer would; when it does not hear it, it is deaf, and looks at the
 * newest position instead, every 50 ms. Failure: with a connection that is lost the wait ends with
 * TIDE_CONNECTION_LOST; the next one connects again, and rings once for what it may have missed.
 */
#include "backends/postgres/inner.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sys/alloc.h"
#include "sys/log.h"
#include "sys/random.h"

#define WATCH_PROBE_EVERY_NS (30 * NS_PER_SECOND)
#define WATCH_PROBE_LIMIT_NS (2 * NS_PER_SECOND)
#define WATCH_LOOK_EVERY_NS (50 * NS_PER_MS)

/** A listener; everything but `interrupt` belongs to its thread. */
struct pg_watch {
	struct pg_store *store;
	int interrupt; /* an eventfd */
	struct pg_connection connection;
	bool is_deaf;
	bool is_probing;           /* a notification of our own is awaited */
	char token[17];            /* its payload; that of a commit is empty */
	struct mono_time probe_at; /* when to probe, or to give the probe up */
	tide_position newest;      /* as seen while deaf */
};

tide_status pg_watch_start(void *store, void **ret, struct tide_error *err)
{
	struct pg_watch *watch = alloc_zero(1, sizeof *watch);
	if (!watch)
		return alloc_fail(err);

	watch->store = store;
	uint64_t token;
	random_bytes(&token, sizeof token);
	snprintf(watch->token, sizeof watch->token, "%016llx", (unsigned long long)token);
	watch->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watch->interrupt < 0) {
		tide_free(watch);
		return tide_fail(err, TIDE_IO, "there is no file descriptor left for a listener");
	}

	*ret = watch;
	return TIDE_OK;
}

void pg_watch_stop(void *self)
{
	struct pg_watch *watch = self;
	pg_connection_close(&watch->connection);
	close(watch->interrupt);
	tide_free(watch);
}

void pg_watch_interrupt(void *self)
{
	struct pg_watch *watch = self;
	uint64_t one = 1;
	ssize_t size = write(watch->interrupt, &one, sizeof one);
	(void)size; /* a full counter is an interrupt, too */
}

static tide_status watch_probe(struct pg_watch *watch, struct tide_error *err)
{
	struct pg_connection other = { 0 };
	char text[80];
	snprintf(text, sizeof text, "NOTIFY %s, '%s'", watch->store->channel, watch->token);
	tide_status status = pg_connection_open(&other, &watch->store->target, err);
	if (status != TIDE_OK)
		return status;
	status = pg_command(&other, text, err);
	pg_connection_close(&other);
	watch->is_probing = true;
	watch->probe_at = mono_add(clock_mono(&clock_system), WATCH_PROBE_LIMIT_NS);
	return status;
}

static tide_status watch_connect(struct pg_watch *watch, struct tide_error *err)
{
	tide_status status = pg_connection_open(&watch->connection, &watch->store->target, err);
	char text[40];
	snprintf(text, sizeof text, "LISTEN %s", watch->store->channel);
	if (status == TIDE_OK)
		status = pg_command(&watch->connection, text, err);

	bool is_replica = status != TIDE_OK && strcmp(watch->connection.sqlstate, "25006") == 0;
	if (is_replica || status == TIDE_UNSUPPORTED) { /* a replica does not listen */
		watch->is_deaf = true;
		watch->is_probing = false;
		watch->probe_at = MONO_NEVER;
		return TIDE_OK;
	}
	return status == TIDE_OK ? watch_probe(watch, err) : status;
}

/* Take the notifications that have arrived. Our own tell that we can hear. */
static bool watch_hear(struct pg_watch *watch)
{
	bool rang = false;
	PGnotify *heard;
	while ((heard = PQnotifies(watch->connection.native)) != NULL) {
		if (watch->is_probing && strcmp(heard->extra, watch->token) == 0) {
			watch->is_probing = watch->is_deaf = false;
			watch->probe_at = mono_add(clock_mono(&clock_system), WATCH_PROBE_EVERY_NS);
		}
		rang |= *heard->extra == '\0';
		PQfreemem(heard);
	}
	return rang;
}

/* The probe is due, or it was not heard in time. */
static tide_status watch_mind_probe(struct pg_watch *watch, struct mono_time now,
				    struct tide_error *err)
{
	if (now.ns < watch->probe_at.ns)
		return TIDE_OK;
	if (watch->is_probing && !watch->is_deaf) {
		watch->is_deaf = true;
		log_at(TIDE_LOG_NOTICE, "store",
		       "notifications do not arrive, looking for new events instead",
		       "channel='%s'", watch->store->channel);
	}

	if (!watch->is_probing)
		return watch_probe(watch, err);
	watch->is_probing = false;
	watch->probe_at = mono_add(now, WATCH_PROBE_EVERY_NS);
	return TIDE_OK;
}

/* What a deaf watch does instead of listening. */
static tide_status watch_look(struct pg_watch *watch, bool *ret_rang, struct tide_error *err)
{
	PG_RESULT_AUTO PGresult *rows = NULL;
	tide_status status = pg_run(watch->store, &watch->connection, PG_NEWEST, NULL, &rows, err);
	if (status != TIDE_OK)
		return status;
	tide_position newest = pg_int8(rows, 0, 0);
	*ret_rang |= newest != watch->newest;
	watch->newest = newest;
	return TIDE_OK;
}

/* Sleep until the socket has something, `until`, or an interrupt; false after an interrupt. */
static bool watch_sleep(struct pg_watch *watch, struct mono_time now, struct mono_time until)
{
	int64_t ms = until.ns > now.ns ? (until.ns - now.ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	struct pollfd fds[] = { { .fd = watch->interrupt, .events = POLLIN },
				{ .fd = PQsocket(watch->connection.native), .events = POLLIN } };
	poll(fds, 2, ms > 60000 ? 60000 : (int)ms);
	uint64_t count;
	return !(fds[0].revents & POLLIN) || read(watch->interrupt, &count, sizeof count) < 0;
}

/* Go round until somebody rang or the time is up. */
static tide_status watch_listen(struct pg_watch *watch, struct mono_time deadline, bool *ret_rang,
				struct tide_error *err)
{
	tide_status status = TIDE_OK;
	while (status == TIDE_OK) {
		struct mono_time now = clock_mono(&clock_system);
		*ret_rang |= watch_hear(watch);
		status = watch_mind_probe(watch, now, err);
		if (status == TIDE_OK && watch->is_deaf)
			status = watch_look(watch, ret_rang, err);
		if (status != TIDE_OK || *ret_rang || now.ns >= deadline.ns)
			break;
		struct mono_time until = mono_min(deadline, watch->probe_at);
		if (watch->is_deaf)
			until = mono_min(until, mono_add(now, WATCH_LOOK_EVERY_NS));
		if (!watch_sleep(watch, now, until))
			break;
		if (!PQconsumeInput(watch->connection.native))
			status = tide_fail(err, TIDE_CONNECTION_LOST,
					   "PostgreSQL: the listening connection is lost");
	}
	return status;
}

tide_status pg_watch_wait(void *self, int64_t timeout_ns, bool *ret_rang, struct tide_error *err)
{
	struct pg_watch *watch = self;
	struct mono_time deadline = mono_add(clock_mono(&clock_system), timeout_ns);
	bool rang = false;
	tide_status status = TIDE_OK;
	if (!watch->connection.native) {
		status = watch_connect(watch, err);
		rang = true;
	}

	if (status == TIDE_OK)
		status = watch_listen(watch, deadline, &rang, err);
	if (status != TIDE_OK)
		pg_connection_close(&watch->connection);
	else
		*ret_rang = rang;
	return status;
}

tide_status pg_watch_test(struct pg_store *store, bool *ret_hears, struct tide_error *err)
{
	void *self = NULL;
	tide_status status = pg_watch_start(store, &self, err);
	if (status != TIDE_OK)
		return status;
	struct pg_watch *watch = self;
	do {
		bool rang;
		status = pg_watch_wait(watch, 10 * NS_PER_MS, &rang, err);
	} while (status == TIDE_OK && watch->is_probing && !watch->is_deaf);
	*ret_hears = !watch->is_deaf;
	pg_watch_stop(watch);
	return status;
}

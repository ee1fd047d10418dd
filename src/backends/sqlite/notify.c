/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hearing of commits of other connections, those of other processes among them.
 *
 * The truth is `PRAGMA data_version`, which differs after a commit by anybody else; asking costs 3
 * to 4 µs. The kernel says when asking is worth it (inotify on the write-ahead log). A commit shows
 * in data_version only after its log was flushed, so a change of the log is followed by questions
 * in short pauses for WATCH_HOT_NS, which grow from there: a flush that takes long is heard of
 * before it has taken twice as long.
 *
 * Happy path: sleep, the log changes, data_version differs, ring. Fails when: the database cannot
 * be asked. While nothing happens the pauses between questions grow from 1 to 100 ms, with which
 * inotify is done without, where it is not available or there is no log at the moment. Rings come
 * at most once a millisecond.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"

#define WATCH_RING_NS (1 * NS_PER_MS) /* between two rings */
#define WATCH_HOT_NS (20 * NS_PER_MS) /* asking often after a change of the log */
#define WATCH_HOT_FIRST_NS (NS_PER_MS / 20)
#define WATCH_HOT_LAST_NS (1 * NS_PER_MS)
#define WATCH_IDLE_FIRST_NS (1 * NS_PER_MS)
#define WATCH_IDLE_LAST_NS (100 * NS_PER_MS)

/** The listener thread's own connection and what it waits for. */
struct watch {
	/* fixed after start */
	struct sqlite_store *store;
	bool is_memory; /* nobody else can commit: only interrupts are waited for */
	int interrupt;  /* eventfd */
	int changes;    /* inotify; -1: none */
	char *log;      /* path of the write-ahead log */

	/* listener thread only */
	struct sqlite_connection connection;
	int log_watch; /* of `changes`; -1: the log is not watched */
	int64_t version, schema;
	struct mono_time last_ring;
	struct mono_time hot_until;
	int64_t pause_ns; /* the last one, to grow from */
};

/* `literal` is a PRAGMA whose answer is a number. */
static tide_status watch_ask(struct watch *watch, const char *literal, int64_t *ret,
			     struct tide_error *err)
{
	SQLITE_AUTO_RESET sqlite3_stmt *statement = NULL;
	tide_status status = sqlite_statement(&watch->connection, literal, &statement, err);
	if (status == TIDE_OK)
		status = sqlite_step(&watch->connection, statement, NULL, err);
	if (status == TIDE_OK)
		*ret = sqlite3_column_int64(statement, 0);
	return status;
}

static tide_status watch_version(struct watch *watch, int64_t *ret, struct tide_error *err)
{
	return watch_ask(watch, "PRAGMA data_version", ret, err);
}

/*
 * A backup that is copied into the open file (sqlite3_backup_step, the shell's .restore) keeps its
 * inode and raises the number of its schema. So does a change of a table, after which a look that
 * finds nothing is cheap.
 */
static tide_status watch_schema(struct watch *watch, int64_t *ret, struct tide_error *err)
{
	return watch_ask(watch, "PRAGMA schema_version", ret, err);
}

/* The log may not exist yet, or anew: try again at every look. */
static void watch_follow_log(struct watch *watch)
{
	if (watch->changes >= 0 && watch->log_watch < 0)
		watch->log_watch =
			inotify_add_watch(watch->changes, watch->log,
					  IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB);
}

static bool watch_note(struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB)) {
		/* A deleted file that is still open tells so by IN_ATTRIB only: follow the name,
		 * not the file. */
		inotify_rm_watch(watch->changes, event->wd);
		if (event->wd == watch->log_watch)
			watch->log_watch = -1;
	}
	if ((event->mask & IN_IGNORED) && event->wd == watch->log_watch)
		watch->log_watch = -1;
	return !(event->mask & IN_IGNORED);
}

/* Read what the kernel has to say; true when the log changed. */
static bool watch_drain(struct watch *watch)
{
	_Alignas(struct inotify_event) char buffer[4096];
	bool has_changed = false;
	for (;;) {
		ssize_t size =
			watch->changes >= 0 ? read(watch->changes, buffer, sizeof buffer) : 0;
		if (size <= 0)
			return has_changed;
		for (char *at = buffer; at < buffer + size;) {
			const struct inotify_event *event =
				(const struct inotify_event *)(void *)at;
			has_changed = watch_note(watch, event) || has_changed;
			at += sizeof *event + event->len;
		}
	}
}

static void watch_close(struct watch *watch)
{
	if (watch->interrupt >= 0)
		close(watch->interrupt);
	if (watch->changes >= 0)
		close(watch->changes);
	sqlite_disconnect(&watch->connection);
	tide_free(watch->log);
	tide_free(watch);
}

static tide_status watch_open(struct watch *watch, struct sqlite_store *store,
			      struct tide_error *err)
{
	watch->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watch->interrupt < 0)
		return sqlite_fail_system(errno, "cannot watch", store->file, err);
	if (store->is_memory)
		return TIDE_OK;

	watch->log = alloc_format("%s-wal", store->file);
	if (!watch->log)
		return alloc_fail(err);

	watch->changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	tide_status status = sqlite_connect(store, false, false, &watch->connection, err);
	if (status == TIDE_OK)
		status = watch_version(watch, &watch->version, err);
	if (status == TIDE_OK)
		status = watch_schema(watch, &watch->schema, err);
	return status;
}

tide_status sqlite_watch_start(void *self, void **ret, struct tide_error *err)
{
	struct sqlite_store *store = self;
	struct watch *watch = alloc_zero(1, sizeof *watch);
	if (!watch)
		return alloc_fail(err);

	watch->store = store;
	watch->is_memory = store->is_memory;
	watch->interrupt = watch->changes = watch->log_watch = -1;
	tide_status status = watch_open(watch, store, err);
	if (status != TIDE_OK) {
		watch_close(watch);
		return status;
	}

	watch_follow_log(watch);
	*ret = watch;
	return TIDE_OK;
}

void sqlite_watch_stop(void *self)
{
	if (self)
		watch_close(self);
}

void sqlite_watch_interrupt(void *self)
{
	struct watch *watch = self;
	uint64_t one = 1;
	/* It cannot fail before 2^64 - 1 interrupts are pending, and then it is interrupted all
	 * right. */
	ssize_t written = write(watch->interrupt, &one, sizeof one);
	(void)written;
}

static int64_t watch_grow(int64_t pause, int64_t first, int64_t last)
{
	if (pause < first)
		return first;
	return pause * 2 > last ? last : pause * 2;
}

/* How long to pause before asking again. */
static int64_t watch_pause(struct watch *watch, struct mono_time now)
{
	if (mono_since(watch->hot_until, now) > 0)
		watch->pause_ns =
			watch_grow(watch->pause_ns, WATCH_HOT_FIRST_NS, WATCH_HOT_LAST_NS);
	else
		watch->pause_ns =
			watch_grow(watch->pause_ns, WATCH_IDLE_FIRST_NS, WATCH_IDLE_LAST_NS);
	return watch->pause_ns;
}

/* Sleep until the pause is over, the log changes (unless asking often anyway), or an interrupt:
 * then true. */
static bool watch_sleep(struct watch *watch, int64_t pause_ns, bool ignores_log)
{
	struct pollfd files[2] = { { .fd = watch->interrupt, .events = POLLIN },
				   { .fd = ignores_log ? -1 : watch->changes, .events = POLLIN } };
	struct timespec pause = { .tv_sec = pause_ns / NS_PER_SECOND,
				  .tv_nsec = (long)(pause_ns % NS_PER_SECOND) };
	if (ppoll(files, 2, &pause, NULL) <= 0 || !(files[0].revents & POLLIN))
		return false;
	uint64_t count;
	return read(watch->interrupt, &count, sizeof count) == (ssize_t)sizeof count;
}

/* Ask whether somebody committed since the last time. */
static tide_status watch_look(struct watch *watch, bool *ret_rang, struct tide_error *err)
{
	struct mono_time now = clock_mono(&clock_system);
	watch_follow_log(watch);
	if (watch_drain(watch)) {
		watch->hot_until = mono_add(now, WATCH_HOT_NS);
		watch->pause_ns = 0;
	}

	int64_t version = watch->version, schema = watch->schema;
	tide_status status = watch_version(watch, &version, err);
	if (status == TIDE_OK && version != watch->version)
		status = watch_schema(watch, &schema, err);
	if (status != TIDE_OK)
		return status;

	*ret_rang = version != watch->version;
	watch->version = version;
	if (schema != watch->schema) /* before anybody is told to read */
		atomic_fetch_add(&watch->store->losses, 1);
	watch->schema = schema;
	if (*ret_rang) {
		watch->last_ring = now;
		watch->pause_ns = 0;
	}
	return TIDE_OK;
}

static tide_status watch_wait_file(struct watch *watch, struct mono_time deadline, bool *ret_rang,
				   struct tide_error *err)
{
	struct mono_time now = clock_mono(&clock_system);
	int64_t rest = mono_since(mono_add(watch->last_ring, WATCH_RING_NS), now);
	if (rest > 0 && watch_sleep(watch, rest, true)) {
		*ret_rang = false;
		return TIDE_OK;
	}

	for (;;) {
		bool rang = false;
		tide_status status = watch_look(watch, &rang, err);
		if (status != TIDE_OK)
			return status;
		now = clock_mono(&clock_system);
		int64_t left = mono_since(deadline, now);
		if (rang || left <= 0) {
			*ret_rang = rang;
			return TIDE_OK;
		}
		int64_t pause = watch_pause(watch, now);
		if (watch_sleep(watch, pause < left ? pause : left,
				mono_since(watch->hot_until, now) > 0)) {
			*ret_rang = false;
			return TIDE_OK;
		}
	}
}

uint64_t sqlite_losses(void *self)
{
	struct sqlite_store *store = self;
	return atomic_load(&store->losses);
}

tide_status sqlite_watch_wait(void *self, int64_t timeout_ns, bool *ret_rang,
			      struct tide_error *err)
{
	struct watch *watch = self;
	if (!watch->is_memory)
		return watch_wait_file(watch, mono_add(clock_mono(&clock_system), timeout_ns),
				       ret_rang, err);
	watch_sleep(watch, timeout_ns, true);
	*ret_rang = false;
	return TIDE_OK;
}

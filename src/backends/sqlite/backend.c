/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the SQLite backend; opening and closing a store, and what its URL may say.
 *
 * Happy path: read the URL, connect the writer, check or create the tables. Fails when: the URL is
 * wrong (argument), the file or a table is missing (schema), it is no database (corrupt).
 */

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"
#include "backends/sqlite/sqlite.h"

#define BACKEND_BUSY_SECONDS 5.0

/* Read a parameter that is one of two words; absent: `fallback`. */
static tide_status backend_choice(struct tide_url *url, const char *name, const char *yes,
				  const char *no, bool *ret, struct tide_error *err)
{
	const char *value = tide_url_param(url, name);
	if (!value)
		return TIDE_OK;
	if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
		return tide_fail(err, TIDE_ARGUMENT, "parameter '%s' is '%s'; allowed: %s, %s",
				 name, value, yes, no);
	*ret = strcmp(value, yes) == 0;
	return TIDE_OK;
}

static tide_status backend_params(struct tide_url *url, struct sqlite_store *store,
				  bool *ret_category_index, struct tide_error *err)
{
	tide_status status =
		backend_choice(url, "synchronous", "full", "normal", &store->is_append_full, err);
	if (status == TIDE_OK)
		status = backend_choice(url, "projection_synchronous", "full", "normal",
					&store->is_projection_full, err);
	if (status == TIDE_OK)
		status = backend_choice(url, "category_index", "1", "0", ret_category_index, err);
	if (status == TIDE_OK)
		status = backend_choice(url, "mode", "ro", "rw", &store->is_read_only, err);
	if (status == TIDE_OK)
		status = tide_url_check(url, err);
	return status;
}

/* Each memory store is a database of its own, which all of its sessions find by this name. */
static tide_status backend_name_memory(struct sqlite_store *store, struct tide_error *err)
{
	static atomic_ulong stores;
	store->is_memory = true;
	store->file =
		alloc_format("file:/tidemark-%lu?vfs=memdb", atomic_fetch_add(&stores, 1) + 1);
	return store->file ? TIDE_OK : alloc_fail(err);
}

/* Resolve a file that need not exist: its folder must. */
static tide_status backend_resolve(const char *path, bool exists, char ret[PATH_MAX],
				   struct tide_error *err)
{
	if (exists)
		return realpath(path, ret) ? TIDE_OK
					   : sqlite_fail_system(errno, "cannot open", path, err);

	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	ALLOC_AUTO char *folder =
		slash ? alloc_text(path, (size_t)(slash - path) + 1) : alloc_text(".", 1);
	if (!folder)
		return alloc_fail(err);
	if (!realpath(folder, ret))
		return sqlite_fail_system(errno, "cannot open", path, err);

	size_t size = strlen(ret);
	if (size + 1 + strlen(name) >= PATH_MAX)
		return sqlite_fail_system(ENAMETOOLONG, "cannot open", path, err);
	if (ret[size - 1] != '/')
		ret[size++] = '/';
	memcpy(ret + size, name, strlen(name) + 1);
	return TIDE_OK;
}

/* The path is made absolute, because sessions are opened later, and free of links, because lock
 * files are named by it.
 */
static tide_status backend_name_file(struct sqlite_store *store, const char *path, bool initialize,
				     struct tide_error *err)
{
	if (!*path)
		return tide_fail(err, TIDE_ARGUMENT, "URL 'sqlite:' names no file");
	bool exists = access(path, F_OK) == 0;
	if (!exists && errno != ENOENT)
		return sqlite_fail_system(errno, "cannot open", path, err);
	if (!exists && (!initialize || store->is_read_only))
		return tide_fail(err, TIDE_SCHEMA,
				 "database '%s' does not exist; create it with 'tide init'", path);

	char resolved[PATH_MAX];
	tide_status status = backend_resolve(path, exists, resolved, err);
	if (status != TIDE_OK)
		return status;

	store->file = alloc_format("%s", resolved);
	store->owners = alloc_format("%s-owners", resolved);
	return store->file && store->owners ? TIDE_OK : alloc_fail(err);
}

static void backend_close(void *self)
{
	struct sqlite_store *store = self;
	if (!store)
		return;
	sqlite_memberships_close(store);
	sqlite_holdings_close(store);
	sqlite_writer_close(&store->writer);
	sqlite_links_fini(&store->links);
	sqlite_saves_fini(&store->saves);
	sqlite_turn_fini(&store->turn);
	mutex_fini(&store->lock);
	tide_free(store->file);
	tide_free(store->owners);
	tide_free(store);
}

static tide_status backend_open_store(struct sqlite_store *store, struct tide_url *url,
				      bool initialize, struct tide_error *err)
{
	bool has_category_index = false;
	tide_status status = backend_params(url, store, &has_category_index, err);
	if (status != TIDE_OK)
		return status;
	if (strcmp(url->rest, ":memory:") == 0)
		status = backend_name_memory(store, err);
	else
		status = backend_name_file(store, url->rest, initialize, err);
	if (status != TIDE_OK)
		return status;
	/* A memory database is always new: without its tables it would be of no use. */
	return sqlite_writer_open(store, initialize || store->is_memory, has_category_index, err);
}

static tide_status backend_open(struct tide_url *url, const struct tide_store_options *options,
				void **ret, struct tide_error *err)
{
	struct sqlite_store *store = alloc_zero(1, sizeof *store);
	if (!store)
		return alloc_fail(err);

	mutex_init(&store->lock, LOCK_SQLITE_STORE);
	mutex_init(&store->writer.lock, LOCK_SQLITE_WRITER);
	sqlite_saves_init(&store->saves, sqlite_checkpoint_write);
	sqlite_turn_init(&store->turn);
	sqlite_links_init(&store->links);
	store->writer.last = &store->writer.first;
	atomic_init(&store->owners_file, -1);
	store->is_append_full = true;
	store->is_read_only = options && options->read_only;
	double seconds = options && options->busy_timeout_seconds > 0
				 ? options->busy_timeout_seconds
				 : BACKEND_BUSY_SECONDS;
	store->busy_ns = ns_of_seconds(seconds);
	tide_status status = backend_open_store(store, url, options && options->initialize, err);
	if (status != TIDE_OK) {
		backend_close(store);
		return status;
	}

	*ret = store;
	return TIDE_OK;
}

/* clang-format off */
const struct tide_backend tide_backend_sqlite = {
	.scheme = "sqlite",
	.store = {
		.open = backend_open,
		.close = backend_close,
		.append = sqlite_append,
		.session_open = sqlite_session_open,
		.session_close = sqlite_session_close,
		.session_share = sqlite_session_share,
		.session_ready = sqlite_session_ready,
		.session_rest = sqlite_session_rest,
		.read = sqlite_read,
		.end = sqlite_end,
		.stream_version = sqlite_stream_version,
		.find = sqlite_find,
		.anchor = sqlite_anchor,
		.begin = sqlite_begin,
		.commit = sqlite_commit,
		.rollback = sqlite_rollback,
		.savepoint = sqlite_savepoint,
		.release = sqlite_release,
		.rollback_to = sqlite_rollback_to,
		.check = sqlite_check,
		.connection = sqlite_native,
		.interrupt = sqlite_interrupt,
		.limit = sqlite_session_limit,
		.append_within = sqlite_append_within,
		.blocked = sqlite_blocked,
		.losses = sqlite_losses,
		.reads_here = true,
		.examine_writing = sqlite_examine_writing,
		.snapshot_load = sqlite_snapshot_load,
		.snapshot_save = sqlite_snapshot_save,
	},
	.notify = {
		.start = sqlite_watch_start,
		.wait = sqlite_watch_wait,
		.interrupt = sqlite_watch_interrupt,
		.stop = sqlite_watch_stop,
	},
	.checkpoint = {
		.load = sqlite_checkpoint_load,
		.save = sqlite_checkpoint_save,
		.list = sqlite_checkpoint_list,
		.reset = sqlite_checkpoint_reset,
		.lease_acquire = sqlite_lease_acquire,
		.lease_renew = sqlite_lease_renew,
		.lease_renew_all = sqlite_lease_renew_all,
		.lease_release = sqlite_lease_release,
		.lease_end = sqlite_lease_end,
		.lease_mark = sqlite_lease_mark,
		.lease_is_owned = sqlite_lease_is_owned,
		.lease_note = sqlite_lease_note,
		.lease_tell = sqlite_lease_tell,
		.lease_list = sqlite_lease_list,
		.lease_renew_ns = NS_PER_SECOND, /* a look: who moves a position ends the epoch of an idle owner */
		.dead_letter_add = sqlite_dead_letter_add,
		.dead_letter_list = sqlite_dead_letter_list,
		.dead_letter_get = sqlite_dead_letter_get,
		.dead_letter_change = sqlite_dead_letter_change,
		.dead_letter_discard = sqlite_dead_letter_discard,
		.dead_letter_purge = sqlite_dead_letter_purge,
		.dead_letter_stats = sqlite_dead_letter_stats,
		.dead_letter_counts = sqlite_dead_letter_counts,
		.dead_letter_can_park = sqlite_dead_letter_can_park,
		.control_set = sqlite_control_set,
		.control_list = sqlite_control_list,
		.journal_add = sqlite_journal_add,
		.journal_list = sqlite_journal_list,
		.segment_turn = sqlite_segment_turn,
		.segment_list = sqlite_segment_list,
		.group_get = sqlite_group_get,
		.group_change = sqlite_group_change,
		.group_forget = sqlite_group_forget,
		.group_move = sqlite_group_move,
		.member_join = sqlite_member_join,
		.member_leave = sqlite_member_leave,
		.member_list = sqlite_member_list,
	},
};
/* clang-format on */

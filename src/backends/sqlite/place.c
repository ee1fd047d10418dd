/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the file that is open is still the one at its path.
 *
 * A file that was deleted or replaced goes on being read and written by those who have it open:
 * events would go where nobody finds them, and those of the new file would never be seen. So device
 * and inode are compared with those at opening: before each group of appends, at each page that is
 * read, which a subscription's poll is, and now and then before what a session writes. Those of the
 * log and of its index, too, which stay as long as somebody has the database open: without them two
 * processes write two logs, or one over what the other has written to it.
 *
 * A frozen file is one that this user may read and not write, nor the directory, while nobody has
 * it open: SQLite reads it only when it takes it for immutable. It is one as long as no log appears
 * beside it and its time stays.
 *
 * A second name of the file is only warned of: who opens it by that has another log beside it, and
 * what the two write replaces each other.
 *
 * Fails when: a path leads nowhere, or to another file or a link to it, the file was emptied, or a
 * frozen file is written (diverged). A path that cannot be looked at proves nothing.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"
#include "sys/log.h"

#define PLACE_AGAIN_NS (100 * NS_PER_MS)

static const char *const place_ends[SQLITE_FILES] = { "", "-wal", "-shm" };

/* The path was resolved when the database was opened: a link there now is another file. */
static bool place_look(const struct sqlite_store *store, enum sqlite_file file, struct stat *ret)
{
	char path[PATH_MAX];
	int size = snprintf(path, sizeof path, "%s%s", store->file, place_ends[file]);
	errno = ENAMETOOLONG;
	return size < (int)sizeof path && lstat(path, ret) == 0;
}

int sqlite_place_names(const struct sqlite_store *store)
{
	struct stat info;
	bool is_known = !store->is_memory && place_look(store, SQLITE_FILE_DATABASE, &info);
	return is_known ? (int)info.st_nlink : 1;
}

void sqlite_place_note(struct sqlite_store *store)
{
	struct stat info;
	for (enum sqlite_file file = 0; file < SQLITE_FILES; file++)
		if (!store->is_memory && place_look(store, file, &info))
			store->places[file] =
				(struct sqlite_place){ true, info.st_dev, info.st_ino };
	int names = sqlite_place_names(store);
	if (names > 1)
		log_at(TIDE_LOG_WARNING, "store",
		       "the database has several names; use one of them only, or what is written "
		       "by one replaces what is written by another",
		       "file='%.300s' names=%d", store->file, names);
}

static bool place_has_log(const struct sqlite_store *store)
{
	char log[PATH_MAX];
	return snprintf(log, sizeof log, "%s-wal", store->file) >= (int)sizeof log ||
	       access(log, F_OK) == 0;
}

bool sqlite_place_freeze(struct sqlite_store *store)
{
	struct stat info;
	if (store->is_memory || place_has_log(store) || access(store->file, R_OK) != 0 ||
	    stat(store->file, &info) != 0)
		return false;
	store->changed_at = info.st_mtim;
	store->is_frozen = true;
	return true;
}

/* Pages that are written into a frozen file, or a log beside it, would be read wrongly or not at
 * all. */
static tide_status place_check_frozen(const struct sqlite_store *store, const struct stat *info,
				      struct tide_error *err)
{
	bool is_same = info->st_mtim.tv_sec == store->changed_at.tv_sec &&
		       info->st_mtim.tv_nsec == store->changed_at.tv_nsec;
	if (is_same && !place_has_log(store))
		return TIDE_OK;
	return tide_fail(err, TIDE_DIVERGED,
			 "'%.300s' is being written since this reader, who may not write, opened "
			 "it: read again",
			 store->file);
}

static tide_status place_fail(const struct sqlite_store *store, enum sqlite_file file,
			      const char *became, struct tide_error *err)
{
	if (file == SQLITE_FILE_DATABASE)
		return tide_fail(err, TIDE_DIVERGED,
				 "database '%.300s' was %s while it was open; put the right file "
				 "there, and start what uses it again",
				 store->file, became);
	return tide_fail(
		err, TIDE_DIVERGED,
		"the %s of database '%.300s' was %s while it was open; end all that has it "
		"open, look with 'tide doctor --deep', and start it again",
		place_ends[file], store->file, became);
}

static tide_status place_check_file(const struct sqlite_store *store, enum sqlite_file file,
				    struct tide_error *err)
{
	struct stat info;
	const struct sqlite_place *place = &store->places[file];
	if (!place->is_known)
		return TIDE_OK;
	if (!place_look(store, file, &info))
		return errno == ENOENT || errno == ENOTDIR ? place_fail(store, file, "deleted", err)
							   : TIDE_OK;
	if (info.st_dev != place->device || info.st_ino != place->inode)
		return place_fail(store, file, "replaced by another file", err);
	if (file != SQLITE_FILE_DATABASE)
		return TIDE_OK;
	if (info.st_size == 0)
		return place_fail(store, file, "emptied", err);
	return store->is_frozen ? place_check_frozen(store, &info, err) : TIDE_OK;
}

tide_status sqlite_place_check(const struct sqlite_store *store, struct tide_error *err)
{
	tide_status status = TIDE_OK;
	for (enum sqlite_file file = 0; status == TIDE_OK && file < SQLITE_FILES; file++)
		status = place_check_file(store, file, err);
	return status;
}

tide_status sqlite_place_check_now_and_then(struct sqlite_store *store, struct tide_error *err)
{
	int64_t now = clock_mono(&clock_system).ns;
	if (now < atomic_load_explicit(&store->place_again, memory_order_relaxed))
		return TIDE_OK;
	tide_status status = sqlite_place_check(store, err);
	if (status == TIDE_OK)
		atomic_store_explicit(&store->place_again, now + PLACE_AGAIN_NS,
				      memory_order_relaxed);
	return status;
}

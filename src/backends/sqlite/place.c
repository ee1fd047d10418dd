/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the file that is open is still the one at its path.
 *
 * A file that was deleted or replaced goes on being read and written by those who have it open: events would go where
 * nobody finds them, and those of the new file would never be seen. So device and inode are compared with those at
 * opening: before each group of appends, at each page that is read, which a subscription's poll is, and now and then
 * before what a session writes.
 *
 * Fails when: the path leads nowhere, or to another file (diverged). A path that cannot be looked at proves nothing.
 */

#include <errno.h>
#include <sys/stat.h>

#include "backends/sqlite/internal.h"

#define PLACE_AGAIN_NS (100 * NS_PER_MS)

void sqlite_place_note(struct sqlite_store *store)
{
	struct stat info;
	store->has_place = !store->is_memory && stat(store->file, &info) == 0;
	if (!store->has_place)
		return;
	store->device = info.st_dev;
	store->inode = info.st_ino;
}

tide_status sqlite_place_check(const struct sqlite_store *store, struct tide_error *err)
{
	struct stat info;
	if (!store->has_place)
		return TIDE_OK;
	bool is_there = stat(store->file, &info) == 0;
	if (is_there ? info.st_dev == store->device && info.st_ino == store->inode
		     : errno != ENOENT && errno != ENOTDIR)
		return TIDE_OK;
	return tide_fail(err, TIDE_DIVERGED,
			 "database '%.300s' was %s while it was open; put the right file there, and start what uses it "
			 "again",
			 store->file, is_there ? "replaced by another file" : "deleted");
}

tide_status sqlite_place_check_now_and_then(struct sqlite_store *store, struct tide_error *err)
{
	int64_t now = clock_mono(&clock_system).ns;
	if (now < atomic_load_explicit(&store->place_again, memory_order_relaxed))
		return TIDE_OK;
	tide_status status = sqlite_place_check(store, err);
	if (status == TIDE_OK)
		atomic_store_explicit(&store->place_again, now + PLACE_AGAIN_NS, memory_order_relaxed);
	return status;
}

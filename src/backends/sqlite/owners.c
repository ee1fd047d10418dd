/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `<database>-owners`, whose bytes are locked by who lives: leases and members of groups.
 *
 * The locks are open-file-description locks (fcntl(2), F_OFD_SETLK): the kernel ends them with the
 * process. A store has one open file for all of its locks, so that two stores in one process
 * exclude each other as two processes do. A child made by fork without exec shares the locks.
 *
 * The file has the mode of the database, and its owner where we may give it, as SQLite's own files
 * beside it: who may not write the database must not be able to stop its subscriptions by a lock.
 *
 * Fails when: the file cannot be opened (io).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/sqlite/internal.h"

static struct flock owners_byte(int64_t byte, short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
}

/* Give the file the database's mode, and its owner where that is allowed; what is not ours stays as
 * it is. */
static void owners_follow(const struct sqlite_store *store, int file)
{
	struct stat database, owners;
	if (stat(store->file, &database) != 0 || fstat(file, &owners) != 0)
		return;
	bool is_other = owners.st_uid != database.st_uid || owners.st_gid != database.st_gid;
	if (is_other && geteuid() == 0 && fchown(file, database.st_uid, database.st_gid) != 0)
		return;
	mode_t mode = database.st_mode & 0666;
	if ((owners.st_mode & 0777) != mode && (owners.st_uid == geteuid() || geteuid() == 0))
		(void)fchmod(file, mode);
}

/* Its mode follows the database's when somebody opens it who may change it. */
static tide_status owners_fail(int number, const char *path, struct tide_error *err)
{
	tide_status status = sqlite_fail_system(number, "cannot open", path, err);
	if (number != EACCES || !err)
		return status;
	struct tide_error said = *err;
	tide_fail(err, status,
		  "%.300s: it needs the mode of the database, which it gets when its owner runs a "
		  "projection on it, or by chmod",
		  said.message);
	err->native = number;
	return status;
}

/* The one open file of a store; two threads that open it at once keep one of the two. */
static tide_status owners_open(struct sqlite_store *store, int *ret, struct tide_error *err)
{
	*ret = atomic_load(&store->owners_file);
	if (*ret >= 0)
		return TIDE_OK;

	int file = open(store->owners, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		return owners_fail(errno, store->owners, err);

	owners_follow(store, file);
	int none = -1;
	if (!atomic_compare_exchange_strong(&store->owners_file, &none, file)) {
		close(file);
		file = none;
	}

	*ret = file;
	return TIDE_OK;
}

tide_status sqlite_owners_lock(struct sqlite_store *store, int64_t byte, bool *ret,
			       struct tide_error *err)
{
	int file;
	tide_status status = owners_open(store, &file, err);
	if (status != TIDE_OK)
		return status;
	struct flock lock = owners_byte(byte, F_WRLCK);
	*ret = fcntl(file, F_OFD_SETLK, &lock) == 0;
	if (*ret || errno == EAGAIN || errno == EACCES)
		return TIDE_OK;
	return sqlite_fail_system(errno, "cannot lock", store->owners, err);
}

void sqlite_owners_unlock(struct sqlite_store *store, int64_t byte)
{
	struct flock lock = owners_byte(byte, F_UNLCK);
	int file = atomic_load(&store->owners_file);
	if (file >= 0)
		(void)fcntl(file, F_OFD_SETLK, &lock);
}

/* Ask the kernel whether the byte is locked, by this process or another one. */
tide_status sqlite_owners_probe(const struct sqlite_store *store, int64_t byte, bool *ret,
				struct tide_error *err)
{
	const char *path = store->owners;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 && errno != ENOENT)
		return owners_fail(errno, path, err);
	if (file < 0) {
		*ret = false;
		return TIDE_OK;
	}

	struct flock lock = owners_byte(byte, F_WRLCK);
	int code = fcntl(file, F_OFD_GETLK, &lock);
	int number = errno;
	close(file);
	if (code != 0)
		return sqlite_fail_system(number, "cannot query the lock of", path, err);

	*ret = lock.l_type != F_UNLCK;
	return TIDE_OK;
}

void sqlite_owners_close(struct sqlite_store *store)
{
	int file = atomic_load(&store->owners_file);
	if (file >= 0)
		close(file); /* and with it all locks */
}

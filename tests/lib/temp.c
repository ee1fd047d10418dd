/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/temp.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/must.h"

/* Debian's usual 1024 are too few for a thousand subscriptions; every program of the tests raises
 * its own limit. */
__attribute__((constructor)) static void temp_raise_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void temp_make(char ret[TEMP_PATH_SIZE])
{
	const char *base = getenv("TMPDIR");
	snprintf(ret, TEMP_PATH_SIZE, "%s/tidemark-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(ret))
		fail_msg("no temporary directory '%s'", ret);
}

static int temp_remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat;
	(void)kind;
	(void)walk;
	return remove(path);
}

void temp_remove(const char *directory)
{
	nftw(directory, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

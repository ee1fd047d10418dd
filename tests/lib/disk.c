/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/disk.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

#include "lib/must.h"

bool disk_prepare(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void disk_set(const char *directory, int kibibytes, unsigned long flags)
{
	char options[40];
	snprintf(options, sizeof options, "size=%dk,mode=0777", kibibytes);
	assert_int_equal(mount("tmpfs", directory, "tmpfs", flags, options), 0);
}

void disk_mount(const char *directory, int kibibytes)
{
	disk_set(directory, kibibytes, 0);
}

void disk_resize(const char *directory, int kibibytes)
{
	disk_set(directory, kibibytes, MS_REMOUNT);
}

void disk_unmount(const char *directory)
{
	assert_int_equal(umount2(directory, MNT_DETACH), 0);
}

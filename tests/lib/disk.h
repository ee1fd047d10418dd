/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_DISK_H
#define TEST_DISK_H

#include <stdbool.h>

/*
 * A small disk that fills, and can be made greater while it is in use: a tmpfs that only this
 * process and those that it starts see.
 */

/** To be called before the first thread and the first child; false when nothing may be mounted
 * here. */
bool disk_prepare(void);
/** Mount one of so many KiB on a directory. */
void disk_mount(const char *directory, int kibibytes);
void disk_resize(const char *directory, int kibibytes);
void disk_unmount(const char *directory);

#endif

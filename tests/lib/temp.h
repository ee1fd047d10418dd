/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_TEMP_H
#define TEST_TEMP_H

#define TEMP_PATH_SIZE 256

/** Make a directory of its own for a test, and remove it with everything in it. What a program
 * leaves when it fails or is killed is removed behind it, unless the environment has TEST_KEEP. */
void temp_make(char ret[TEMP_PATH_SIZE]);
void temp_remove(const char *directory);

#endif

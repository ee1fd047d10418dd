/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there is a program, before anything depends on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "project/command.h"

#define FIND_PATH_DEFAULT "/bin:/usr/bin"

static bool find_in(const char *folder, size_t size, const char *program)
{
	char path[4096];
	int length = snprintf(path, sizeof path, "%.*s%s%s", (int)size, folder, size ? "/" : "",
			      program);
	return length > 0 && (size_t)length < sizeof path && access(path, X_OK) == 0;
}

tide_status command_find(const char *program, struct tide_error *err)
{
	const char *path = getenv("PATH");
	bool is_found = strchr(program, '/') && access(program, X_OK) == 0;
	if (!path)
		path = FIND_PATH_DEFAULT;
	while (!strchr(program, '/') && !is_found && path) {
		size_t size = strcspn(path, ":");
		is_found = find_in(path, size, program);
		path = path[size] ? path + size + 1 : NULL;
	}
	return is_found ? TIDE_OK
			: tide_fail(err, TIDE_NOT_FOUND, "there is no program '%.300s'", program);
}

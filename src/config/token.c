/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token in a file of its own, so that it stands in no configuration and no list of processes.
 *
 * Failure modes: others may read the file, or it is no file: refused, so that nobody believes a
 * secret to be one that is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "http/http.h"
#include "sys/alloc.h"

#define TOKEN_FILE_MAX 2048

static tide_status token_read_open(int fd, const char *path, char **ret, struct tide_error *err)
{
	char text[TOKEN_FILE_MAX];
	struct stat status;

	if (fstat(fd, &status) != 0)
		return tide_fail(err, TIDE_IO, "'%.300s': %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return tide_fail(err, TIDE_ARGUMENT, "'%.300s' is no file", path);
	if (status.st_mode & 077)
		return tide_fail(err, TIDE_ARGUMENT,
				 "'%.300s' has mode %04o, expected 0600: others may not read it",
				 path, (unsigned)status.st_mode & 07777);
	ssize_t size = read(fd, text, sizeof text - 1);
	if (size < 0)
		return tide_fail(err, TIDE_IO, "'%.300s': %s", path, strerror(errno));
	while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
		size--;
	text[size] = '\0';

	struct tide_error why;
	if (guard_check_token(text, "the token", &why) != TIDE_OK)
		return tide_fail(err, TIDE_ARGUMENT, "'%.300s': %s", path, why.message);
	*ret = alloc_text(text, strlen(text));
	return *ret ? TIDE_OK : alloc_fail(err);
}

tide_status token_read(const char *path, char **ret, struct tide_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return tide_fail(err, errno == ENOENT ? TIDE_NOT_FOUND : TIDE_IO, "'%.300s': %s",
				 path, strerror(errno));
	tide_status status = token_read_open(fd, path, ret, err);
	close(fd);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A projection in SQL and a file of its cases: a line that is wrong is named, in one line. */
#include "target.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tidemark/sql_projection.h>

#include "project/testfile.h"
#include "sys/alloc.h"

static void check_error(tide_status status, const struct tide_error *err)
{
	if (status == TIDE_OK)
		return;
	assert(status == TIDE_ARGUMENT || status == TIDE_UNSUPPORTED);
	assert(err->status == status && err->message[0] && !strchr(err->message, '\n'));
}

static void read_projection(const char *text, const char *url)
{
	struct tide_sql_projection *projection;
	struct tide_error err;
	tide_status status = tide_sql_projection_open(
		TIDE_SQL_PROJECTION(.text = text, .name = "p", .url = url), &projection, &err);
	check_error(status, &err);
	if (status == TIDE_OK)
		tide_sql_projection_close(projection);
}

static void read_cases(const uint8_t *data, size_t size)
{
	char path[64];
	struct test_file file;
	struct tide_error err;
	int fd = memfd_create("cases", MFD_CLOEXEC);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

	tide_status status = test_file_read(path, &file, &err);
	check_error(status, &err);
	if (status == TIDE_OK) {
		for (size_t i = 0; i < file.count; i++)
			assert(file.cases[i].line > 0 && file.cases[i].expect_count > 0);
		test_file_fini(&file);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = alloc_text((const char *)data, size);
	assert(text);
	read_projection(text, "sqlite:p.db");
	read_projection(text, "postgresql:///p");
	tide_free(text);
	read_cases(data, size);
	return 0;
}

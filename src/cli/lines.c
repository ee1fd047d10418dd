/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a file: one buffer that grows to the longest line, up to a limit, and no further. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/lines.h"
#include "sys/alloc.h"

#define LINES_FIRST_CAPACITY (256u << 10)

tide_status line_reader_open(struct line_reader *reader, const char *path, struct tide_error *err)
{
	struct stat stat;

	*reader =
		(struct line_reader){ .file = STDIN_FILENO, .path = "standard input", .until = -1 };
	if (path && strcmp(path, "-") != 0) {
		reader->path = path;
		reader->file = open(path, O_RDONLY | O_CLOEXEC);
		if (reader->file < 0)
			return tide_fail(err, errno == ENOENT ? TIDE_NOT_FOUND : TIDE_IO,
					 "'%s': %s", path, strerror(errno));
	}
	if (fstat(reader->file, &stat) == 0 && S_ISREG(stat.st_mode))
		reader->total = stat.st_size;
	return TIDE_OK;
}

/* Make room behind `end`: move what is left to the front, or grow. */
static tide_status lines_make_room(struct line_reader *reader, struct tide_error *err)
{
	if (reader->at > 0) {
		memmove(reader->data, reader->data + reader->at, reader->end - reader->at);
		reader->end -= reader->at;
		reader->at = 0;
	}

	if (reader->end < reader->capacity)
		return TIDE_OK;
	if (reader->capacity >= LINE_SIZE_MAX)
		return tide_fail(err, TIDE_ARGUMENT, "'%s' line %lld: longer than %u bytes",
				 reader->path, (long long)reader->number + 1, LINE_SIZE_MAX);

	size_t capacity = reader->capacity ? 2 * reader->capacity : LINES_FIRST_CAPACITY;
	char *data = alloc_resize(reader->data, capacity, 1);
	if (!data)
		return alloc_fail(err);

	reader->data = data;
	reader->capacity = capacity;
	return TIDE_OK;
}

/* A file is always there to be read; what comes by and by may never come. */
static tide_status lines_wait(const struct line_reader *reader, struct tide_error *err)
{
	struct pollfd polled[] = { { .fd = reader->file, .events = POLLIN },
				   { .fd = reader->until, .events = 0 } };
	if (reader->until < 0 || reader->total)
		return TIDE_OK;
	while (poll(polled, 2, -1) < 0 && errno == EINTR)
		continue;
	if (polled[1].revents)
		return tide_fail(err, TIDE_CANCELLED, "'%s': nobody reads on", reader->path);
	return TIDE_OK;
}

static tide_status lines_fill(struct line_reader *reader, struct tide_error *err)
{
	tide_status status = lines_make_room(reader, err);
	ssize_t size;

	if (status == TIDE_OK)
		status = lines_wait(reader, err);
	if (status != TIDE_OK)
		return status;
	do {
		size = read(reader->file, reader->data + reader->end,
			    reader->capacity - reader->end);
	} while (size < 0 && errno == EINTR);
	if (size < 0)
		return tide_fail(err, TIDE_IO, "'%s': %s", reader->path, strerror(errno));
	reader->is_over = size == 0;
	reader->end += (size_t)size;
	return TIDE_OK;
}

static struct tide_text lines_take(struct line_reader *reader, size_t size, size_t ending)
{
	struct tide_text line = { reader->data + reader->at, size };

	reader->at += size + ending;
	reader->consumed += (int64_t)(size + ending);
	reader->searched = 0;
	reader->number++;
	return line;
}

/* Editors of other systems put a byte order mark (U+FEFF) in front of UTF-8. */
static struct tide_text lines_without_mark(const struct line_reader *reader, struct tide_text line)
{
	bool has_mark =
		reader->number == 1 && line.size >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0;

	return has_mark ? (struct tide_text){ line.data + 3, line.size - 3 } : line;
}

tide_status line_reader_next(struct line_reader *reader, struct tide_text *ret,
			     struct tide_error *err)
{
	for (;;) {
		size_t size = reader->end - reader->at;
		const char *from = reader->data + reader->at + reader->searched;
		const char *end = size > reader->searched
					  ? memchr(from, '\n', size - reader->searched)
					  : NULL;
		if (end) {
			*ret = lines_without_mark(
				reader,
				lines_take(reader, (size_t)(end - (reader->data + reader->at)), 1));
			return TIDE_OK;
		}
		if (reader->is_over) {
			*ret = size ? lines_without_mark(reader, lines_take(reader, size, 0))
				    : (struct tide_text){ 0 };
			return TIDE_OK;
		}
		reader->searched = size;
		tide_status status = lines_fill(reader, err);
		if (status != TIDE_OK)
			return status;
	}
}

void line_reader_close(struct line_reader *reader)
{
	if (reader->file > STDIN_FILENO)
		close(reader->file);
	tide_free(reader->data);
	reader->data = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_LINES_H
#define TIDE_CLI_LINES_H

/* Lines of a file of any length, in bounded memory. */

#include <tidemark/event.h>

#define LINE_SIZE_MAX (64u << 20) /* two texts of 16 MiB, escaped */

struct line_reader {
	int file;
	const char *path; /* for messages */
	char *data;
	size_t at, end, capacity;
	size_t searched;  /* from `at`: no line end up to here */
	bool is_over;     /* the file is */
	int64_t number;   /* of the last line returned, from 1 */
	int64_t consumed; /* bytes of the lines returned */
	int64_t total;    /* bytes of the file; 0: unknown */
	int until;        /* a pipe: nothing is waited for once its other end is closed; -1: none */
};

/** Open a file; NULL and "-" mean standard input. TIDE_OK, TIDE_NOT_FOUND, TIDE_IO. */
tide_status line_reader_open(struct line_reader *reader, const char *path, struct tide_error *err);
/** The next line without its end, valid until the next call; data NULL at the end of the file. */
tide_status line_reader_next(struct line_reader *reader, struct tide_text *ret,
			     struct tide_error *err);
void line_reader_close(struct line_reader *reader);

#endif

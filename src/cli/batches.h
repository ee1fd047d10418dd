/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TIDE_CLI_BATCHES_H
#define TIDE_CLI_BATCHES_H

/* Batches of events out of lines of JSON, read ahead by a thread of their own. */

#include "cli/lines.h"
#include "core/event.h"
#include "sys/thread.h"

#define BATCHES 2 /* one is stored while the other one is read */

/** What a batch ended with. */
enum batch_end {
	BATCH_IS_FULL,
	BATCH_IS_LAST, /* the file is over */
	BATCH_IS_BAD,  /* a line is no event: what stands before it is not to be stored */
	BATCH_FAILED   /* the file could not be read on */
};

/** Events that are stored together. */
struct batch {
	size_t count, bytes;
	struct event_json *read;       /* own the texts of the events */
	struct tide_new_event *events; /* the same events in one array */
	int64_t *numbers;              /* their lines */
	size_t *kept_at;               /* where each begins in `kept`, and one more for the end */
	struct buffer kept;            /* the lines themselves, when they are kept */
	enum batch_end end;
	struct tide_error why;    /* when it is bad or failed */
	struct tide_text refused; /* the bad line, until the next one is read */
	int64_t line;             /* the last one that was read */
	int64_t consumed;         /* bytes of the file up to there */
};

/** A file that is read in batches. */
struct batches {
	struct line_reader *lines;
	int64_t from_line;
	size_t capacity; /* of a batch, events */
	bool keeps_lines;
	struct batch all[BATCHES];
	/* numbers of batches go from whoever empties them to whoever fills them, and back */
	int emptied[2], filled[2];
	struct thread thread;
};

/** false: out of memory. */
bool batches_init(struct batches *batches, struct line_reader *lines, size_t capacity,
		  int64_t from_line);
/** Ends the thread, too, wherever it is. */
void batches_fini(struct batches *batches);

/** Read on into a batch, behind what it holds. */
void batch_fill(struct batches *batches, struct batch *batch);
void batch_empty(struct batch *batch);
/** The line of an event, when they are kept. */
struct tide_text batch_line(const struct batch *batch, size_t at);

/** Begin to read ahead. TIDE_OK, TIDE_IO, TIDE_OUT_OF_MEMORY. */
tide_status batches_start(struct batches *batches, struct tide_error *err);
/** The next batch; the one before it is emptied. */
struct batch *batches_next(struct batches *batches, struct batch *before);

#endif

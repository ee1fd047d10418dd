/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ahead: a thread makes events of lines while those before them are stored.
 *
 *	            emptied ──▶ read lines into it ──▶ filled
 *	 batches_next ◀──────────────────────────────────┘
 *	   └─ stored, emptied ──▶ …
 *
 * The batches go round in pipes, by their numbers: in the order of the file, and no more than there
 * are. Fails when: a line is no event, or the file cannot be read: the batch says so and is the
 * last one. Whoever stores does not go on: its end of the pipe is closed, which the thread sees
 * wherever it waits, for a batch or for a line.
 */
#include "cli/batches.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sys/alloc.h"

#define BATCH_BYTES (16u << 20)

static bool batch_init(struct batch *batch, size_t capacity)
{
	batch->read = alloc_zero(capacity, sizeof *batch->read);
	batch->events = alloc_zero(capacity, sizeof *batch->events);
	batch->numbers = alloc_zero(capacity, sizeof *batch->numbers);
	batch->kept_at = alloc_zero(capacity + 1, sizeof *batch->kept_at);
	return batch->read && batch->events && batch->numbers && batch->kept_at;
}

bool batches_init(struct batches *batches, struct line_reader *lines, size_t capacity,
		  int64_t from_line)
{
	bool is_made = true;
	*batches = (struct batches){ .lines = lines,
				     .capacity = capacity,
				     .from_line = from_line,
				     .emptied = { -1, -1 },
				     .filled = { -1, -1 } };
	for (size_t i = 0; i < BATCHES && is_made; i++)
		is_made = batch_init(&batches->all[i], capacity);
	return is_made;
}

void batch_empty(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		event_json_fini(&batch->read[i]);
	batch->count = batch->bytes = batch->kept.size = 0;
}

struct tide_text batch_line(const struct batch *batch, size_t at)
{
	return (struct tide_text){ batch->kept.data + batch->kept_at[at],
				   batch->kept_at[at + 1] - batch->kept_at[at] };
}

static void batches_close(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
}

void batches_fini(struct batches *batches)
{
	if (!batches->lines)
		return; /* it was not begun */
	batches_close(&batches->emptied[1]);
	batches_close(&batches->filled[0]);
	thread_join(&batches->thread);
	batches_close(&batches->emptied[0]);
	batches_close(&batches->filled[1]);
	for (size_t i = 0; i < BATCHES; i++) {
		struct batch *batch = &batches->all[i];
		batch_empty(batch);
		tide_free(batch->read);
		tide_free(batch->events);
		tide_free(batch->numbers);
		tide_free(batch->kept_at);
		buffer_fini(&batch->kept);
	}
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static bool batch_is_blank(struct tide_text line)
{
	for (size_t i = 0; i < line.size; i++)
		if (!strchr(" \t\r", line.data[i]))
			return false;
	return true;
}

static bool batch_keep(struct batch *batch, struct tide_text line, size_t at)
{
	buffer_add(&batch->kept, line.data, line.size);
	batch->kept_at[at + 1] = batch->kept.size;
	if (batch->kept.failed)
		alloc_fail(&batch->why);
	return !batch->kept.failed;
}

static enum batch_end batch_add(const struct batches *batches, struct batch *batch,
				struct tide_text line)
{
	size_t at = batch->count;
	batch->refused = line;
	if (event_read_json(line, &batch->read[at], &batch->why) != TIDE_OK)
		return BATCH_IS_BAD;

	batch->events[at] = batch->read[at].event;
	batch->numbers[at] = batches->lines->number;
	batch->bytes += line.size;
	batch->count++;
	return batches->keeps_lines && !batch_keep(batch, line, at) ? BATCH_FAILED : BATCH_IS_FULL;
}

static enum batch_end batch_read(struct batches *batches, struct batch *batch)
{
	struct line_reader *lines = batches->lines;
	enum batch_end end = BATCH_IS_FULL;
	while (end == BATCH_IS_FULL && batch->count < batches->capacity &&
	       batch->bytes < BATCH_BYTES) {
		struct tide_text line;
		if (line_reader_next(lines, &line, &batch->why) != TIDE_OK)
			return BATCH_FAILED;
		if (!line.data)
			return BATCH_IS_LAST;
		if (lines->number >= batches->from_line && !batch_is_blank(line))
			end = batch_add(batches, batch, line);
	}
	return end;
}

void batch_fill(struct batches *batches, struct batch *batch)
{
	batch->end = batch_read(batches, batch);
	batch->line = batches->lines->number;
	batch->consumed = batches->lines->consumed;
}

/* ---- Ahead ----------------------------------------------------------------------------------- */

static bool batches_pass(int to, size_t number)
{
	unsigned char byte = (unsigned char)number;
	ssize_t size;
	do
		size = write(to, &byte, 1);
	while (size < 0 && errno == EINTR);
	return size == 1;
}

static bool batches_take(int from, size_t *ret)
{
	unsigned char byte;
	ssize_t size;
	do
		size = read(from, &byte, 1);
	while (size < 0 && errno == EINTR);
	*ret = size == 1 ? byte : 0;
	return size == 1;
}

static void batches_run(void *self)
{
	struct batches *batches = self;
	size_t number;
	while (batches_take(batches->emptied[0], &number)) {
		batch_fill(batches, &batches->all[number]);
		if (!batches_pass(batches->filled[1], number) ||
		    batches->all[number].end != BATCH_IS_FULL)
			return;
	}
}

tide_status batches_start(struct batches *batches, struct tide_error *err)
{
	if (pipe2(batches->emptied, O_CLOEXEC) != 0 || pipe2(batches->filled, O_CLOEXEC) != 0)
		return tide_fail(err, TIDE_IO, "cannot read ahead: %s", strerror(errno));
	batches->lines->until = batches->emptied[0];
	for (size_t i = 0; i < BATCHES; i++)
		batches_pass(batches->emptied[1], i);
	return thread_start(&batches->thread, "tide import", batches_run, batches, err);
}

struct batch *batches_next(struct batches *batches, struct batch *before)
{
	size_t number;
	if (before) {
		batch_empty(before);
		batches_pass(batches->emptied[1], (size_t)(before - batches->all));
	}
	batches_take(batches->filled[0], &number);
	return &batches->all[number];
}
